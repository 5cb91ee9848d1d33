//! Soaks: since when a resource is healthy with which digest, and whether what ended was only replaced by something newer.
//!
//! A policy may let a soak go on past a newer image (`continuesWhenReplaced`). That holds for what was healthy until the newer one was, and
//! as long as the resource doesn't go back. What can't be told ends a soak: gates fail closed.

use crate::{
    service::{
        context::KEPT_MILLIS,
        sources::{TagCounts, course},
    },
    store::{StoreError, Tx, Waiting},
};
use domain::{
    artifact::{Digest, ExactImage},
    follow::Course,
    id::{ProjectId, WorkspaceId},
    plan::Health,
    resource::Resource,
    time::Timestamp,
};

/// Remembers what a resource is healthy with, and has those looked at that wait for it. `healthy` are the digests, none but with
/// [`Health::Healthy`].
pub(crate) async fn note_soak(
    tx: &mut dyn Tx,
    (workspace, project): (WorkspaceId, ProjectId),
    resource: &Resource,
    health: Health,
    healthy: &[Digest],
    now: Timestamp,
) -> Result<(), StoreError> {
    let open = tx.open_runs(resource.id).await?;
    for ended in open.iter().filter(|digest| !healthy.contains(digest)) {
        // A rollout shows as Progressing; what broke, or is gone, was not replaced.
        let makes_way = matches!(health, Health::Healthy | Health::Progressing)
            && leads_on(tx, workspace, resource, ended).await? == Course::Newer;
        tx.end_run(resource.id, ended, now, makes_way).await?;
        tx.wake_waiting(Waiting::Digest(workspace, ended), now).await?;
    }
    if !matches!(health, Health::Healthy | Health::Progressing) {
        tx.makes_no_way(resource.id).await?;
    }
    for begun in healthy.iter().filter(|digest| !open.contains(digest)) {
        tx.begin_run(resource.id, begun, now).await?;
        tx.wake_waiting(Waiting::Digest(workspace, begun), now).await?;
    }
    soak_went_on(tx, (workspace, project), resource, now).await?;
    let is_there = |desired: &ExactImage| healthy == std::slice::from_ref(&desired.digest);
    if resource.desired.as_ref().is_some_and(is_there) {
        tx.replaced(resource.id).await?;
    }
    Ok(())
}

/// Looks whether what Git says now leads on from what the resource ran: behind a rollback, a pin or a revert nothing soaks on.
pub(crate) async fn soak_went_on(
    tx: &mut dyn Tx,
    (workspace, project): (WorkspaceId, ProjectId),
    resource: &Resource,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(last) = tx.replaced_last(resource.id).await? else {
        return Ok(());
    };
    if leads_on(tx, workspace, resource, &last).await? != Course::Newer {
        end_soak(tx, project, resource, now).await?;
    }
    Ok(())
}

/// Nothing that a resource ran soaks on: it went back, or nobody knows what it does.
pub(crate) async fn end_soak(
    tx: &mut dyn Tx,
    project: ProjectId,
    resource: &Resource,
    now: Timestamp,
) -> Result<(), StoreError> {
    if tx.went_back(resource.id).await? {
        tx.wake_waiting(Waiting::Project(project), now).await?;
    }
    Ok(())
}

/// Where what Git says now leads from a digest that the resource ran.
async fn leads_on(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
    ran: &Digest,
) -> Result<Course, StoreError> {
    let Some(desired) = &resource.desired else {
        return Ok(Course::Unknown);
    };
    if desired.digest == *ran {
        return Ok(Course::Same);
    }
    let ran = ExactImage {
        digest: ran.clone(),
        tag: None,
        ..desired.clone()
    };
    let order = TagCounts::of(&tx.order_of(resource.id).await?);
    course(tx, workspace, &order, Some(&ran), desired).await
}

/// From when on nobody knows whether what was healthy `since` still is: its Argo CD was `seen` last then. `None` while it is followed.
/// When it is said to have been seen later than now, a clock was wrong, and nobody knows anything.
pub(crate) fn unseen_since(seen: Option<Timestamp>, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    match seen {
        Some(seen) if seen > now.plus_millis(KEPT_MILLIS) => Some(since),
        Some(seen) if now.millis_since(seen) <= KEPT_MILLIS => None,
        Some(seen) => Some(seen.max(since)),
        None => Some(since),
    }
}
