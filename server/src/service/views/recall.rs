//! A recall: where a digest runs and is to run, and what each place can go back to.

use crate::{
    service::{
        context::Services,
        promotion::{self, digest_of},
        reach::{self, Caller, ProjectPlace, not_found},
    },
    store::{ProjectRecord, RecalledPlace, Tx},
};
use contract::{
    error::AppError,
    recall::{MovingAway, RecallView, RecalledPlaceView},
    resource::RecallNotice,
};
use domain::{
    artifact::{Digest, ExactImage, Tag},
    environment::Workspace,
    id::{ProjectId, ResourceId, WorkspaceId},
    promotion::{Promotion, Purpose},
    resource::{Resource, Source},
    rights::{self, Right},
};
use std::collections::HashMap;

/// What is known of a digest that is recalled, was, or may be: places in environments that the caller may not see are only counted.
///
/// # Errors
/// In the field `digest` when it is none; when there is no such workspace for the caller.
pub async fn recall(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    digest: &str,
) -> Result<RecallView, AppError> {
    let mut access = caller.access.iter();
    let (workspace, role) = access
        .find(|(w, _)| w.name.as_str() == workspace)
        .ok_or_else(|| not_found("workspace", workspace))?;
    rights::check(*role, Right::View)?;
    let digest = digest_of(digest)?;
    let mut tx = services.store.read().await?;
    let (lifted, in_force): (Vec<_>, Vec<_>) =
        (tx.recalls_ever(workspace.id, &digest).await?.into_iter()).partition(|recall| recall.lifted.is_some());
    let found = tx.places_of_digest(workspace.id, &digest).await?;
    let tag = tag_of(&found, &digest);
    let mut good = promotion::last_good(&mut *tx, workspace.id, &digest).await?;
    let mut moving: HashMap<ResourceId, Promotion> = HashMap::new();
    for open in tx.open_away_from(workspace.id, &digest).await? {
        // The newest of a resource comes first.
        moving.entry(open.resource).or_insert(open);
    }
    let projects = projects(&mut *tx, caller, workspace, &found).await?;
    drop(tx);
    let count = found.len();
    let places: Vec<RecalledPlaceView> = found
        .into_iter()
        .filter_map(|place| {
            let project = projects.get(&place.project)?;
            let id = place.resource.id;
            place_view(project, place, good.remove(&id), moving.get(&id))
        })
        .collect();
    Ok(RecallView {
        workspace: workspace.name.clone(),
        tag: tag.map(|tag| tag.to_string()),
        digest,
        recall: in_force.into_iter().next(),
        lifted,
        hidden: count - places.len(),
        places,
        denied: caller
            .administered(workspace.name.as_str())
            .err()
            .map(|why| why.to_string()),
        now: services.now(),
    })
}

/// What a digest is called where it is to run.
fn tag_of(places: &[RecalledPlace], digest: &Digest) -> Option<Tag> {
    let mut desired = places.iter().filter_map(|place| place.resource.desired.as_ref());
    desired
        .find(|image| image.digest == *digest && image.tag.is_some())
        .and_then(|image| image.tag.clone())
}

/// The projects of some places that the caller may know of.
async fn projects(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    places: &[RecalledPlace],
) -> Result<HashMap<ProjectId, ProjectPlace>, AppError> {
    let mut known = HashMap::new();
    let records: HashMap<ProjectId, ProjectRecord> = match places.is_empty() {
        true => HashMap::new(),
        false => (tx.projects(workspace.id).await?.into_iter())
            .map(|record| (record.project.id, record))
            .collect(),
    };
    for (id, record) in records {
        if places.iter().any(|place| place.project == id)
            && let Some(project) = reach::complete_place(tx, caller, workspace, record).await?
        {
            known.insert(id, project);
        }
    }
    Ok(known)
}

/// A place as it is shown; `None` where the caller may not know of its environment.
fn place_view(
    project: &ProjectPlace,
    place: RecalledPlace,
    good: Option<ExactImage>,
    moving: Option<&Promotion>,
) -> Option<RecalledPlaceView> {
    let mut environments = project.environments.iter();
    let environment = environments.find(|e| e.id == place.resource.environment && project.shows(e))?;
    Some(RecalledPlaceView {
        project: project.record.project.name.clone(),
        environment: environment.name.clone(),
        resource: place.resource.name,
        desired: place.is_desired,
        live: place.is_live,
        good,
        moving: moving.map(|open| MovingAway {
            promotion: open.id,
            state: open.state,
            back: open.purpose == Purpose::Rollback,
        }),
        denied: project.may_roll_back(environment).err().map(|why| why.to_string()),
    })
}

/// What a resource's page says of recalls: of what it is to run, of what it runs, and of what its source offers.
pub(super) async fn notices(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
    latest: Option<&ExactImage>,
) -> Result<Vec<RecallNotice>, AppError> {
    let desired = resource.desired.as_ref().map(|image| &image.digest);
    let live = resource.live.iter().flat_map(|live| &live.digests);
    let mut here: Vec<Digest> = Vec::new();
    for digest in desired.into_iter().chain(live) {
        if !here.contains(digest) {
            here.push(digest.clone());
        }
    }
    let mut notices = Vec::new();
    for digest in &here {
        if let Some(recall) = tx.recall_of(workspace, digest).await? {
            notices.push(RecallNotice { recall, here: true });
        }
    }
    let offered = match (&resource.source, latest) {
        (Source::Promote { .. }, Some(latest)) => tx.recall_of(workspace, &latest.digest).await?.into_iter().collect(),
        (Source::Promote { .. }, None) => Vec::new(),
        (Source::Image { repository, .. }, _) => tx.recalls_in(workspace, repository).await?,
    };
    let new = offered.into_iter().filter(|recall| !here.contains(&recall.digest));
    notices.extend(
        new.take(MOST_OFFERED)
            .map(|recall| RecallNotice { recall, here: false }),
    );
    Ok(notices)
}

/// Recalls of what a source offers that a page tells of.
const MOST_OFFERED: usize = 3;
