//! New artifacts: it is decided once what comes of what was seen, and those who follow by themselves are promoted ([`deploy_newest`]).

use crate::{
    service::{
        context::Services,
        observe::{desired, look, pushed},
        queue::{self, Request, is_withdrawn},
        reach::{self, EnvironmentPlace},
        sources::{self, NewestArtifact, TagCounts, WhatCounts, course, newest_that_counts},
    },
    store::{StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    arrival::{Heard, counts},
    artifact::{ExactImage, Repository},
    door::Entrance,
    follow::Course,
    id::{ResourceId, WorkspaceId},
    promotion::{Actor, Purpose},
    resource::{Resource, Source},
    tag_rule::TagRule,
};

/// Deploys the newest artifact of a repository that counts to those who follow it by themselves, where that is to be done: what was found
/// together is decided on together. After a full list, those for whom it was the first have learned their repository.
///
/// # Errors
/// When the database fails.
pub(crate) async fn deploy_newest(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
    heard: Heard,
    entrance: &Entrance,
) -> Result<(), AppError> {
    let mut tx = services.store.read().await?;
    let mut decided = decision(&mut *tx, workspace, repository, heard).await?;
    drop(tx);
    if decided.start.is_empty() {
        if decided.learners.is_empty() {
            return Ok(());
        }
        return carry_out(services, workspace, repository, heard, entrance).await;
    }
    if decided.start.iter().any(|(resource, _)| resource.desired.is_none()) {
        if !adopt(services, workspace, repository).await? {
            // Nobody knows what Git declares: the next look decides.
            return Ok(());
        }
        let mut tx = services.store.read().await?;
        decided = decision(&mut *tx, workspace, repository, heard).await?;
    }
    if heard == Heard::Told {
        let mut named: Vec<&ExactImage> = Vec::new();
        for (resource, image) in &decided.start {
            // A rule that orders by tags says which one is written, too.
            let is_by_age = resource
                .source
                .tags()
                .is_none_or(|tags| TagCounts::of(tags).is_by_age());
            if is_by_age && !named.contains(&image) {
                named.push(image);
            }
        }
        for image in named {
            if !look::is_newest_by_all_tags(services, workspace, image).await? {
                pushed::look_at_whole(services, workspace, repository, entrance);
                return Ok(());
            }
        }
    }
    carry_out(services, workspace, repository, heard, entrance).await
}

/// Writes what is decided, as things are now.
async fn carry_out(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
    heard: Heard,
    entrance: &Entrance,
) -> Result<(), AppError> {
    let mut tx = services.write_through(entrance).await?;
    let decision = decision(&mut *tx, workspace, repository, heard).await?;
    for (resource, image) in &decision.start {
        deploy(services, &mut *tx, workspace, resource, image).await?;
    }
    for resource in decision.learners {
        tx.learn(workspace, repository, resource).await?;
    }
    tx.commit().await?;
    // What was learned is nothing to see.
    if !decision.start.is_empty() {
        services.wrote();
    }
    Ok(())
}

async fn decision(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    heard: Heard,
) -> Result<Decision, AppError> {
    let mut decision = Decision {
        start: Vec::new(),
        learners: Vec::new(),
    };
    let learned = tx.learned(repository).await?;
    // Resources of one repository mostly have one rule.
    let mut known: Vec<(TagRule, Vec<String>, WhatCounts, Option<NewestArtifact>)> = Vec::new();
    for (resource, platforms) in tx.resources_of_image(workspace, repository).await? {
        let learned = learned.get(&resource.id).copied();
        if learned.is_none() && heard == Heard::Listed {
            decision.learners.push(resource.id);
        }
        let Some(rule) = resource.source.tags() else { continue };
        let at = match known.iter().position(|(of, on, ..)| of == rule && *on == platforms) {
            Some(at) => at,
            None => {
                let what = WhatCounts::new(rule, &platforms);
                let arrival = sources::newest_arrival(tx, workspace, repository, &what).await?;
                known.push((rule.clone(), platforms, what, arrival));
                known.len() - 1
            }
        };
        let Some((_, _, what, Some(newest))) = known.get(at) else {
            continue;
        };
        let upto = learned.map(|learned| match newest.is_of_tag {
            true => learned.upto_tag,
            false => learned.upto,
        });
        let git_declares = resource.desired.is_some();
        if counts(newest.arrived, git_declares, upto, heard)
            && !has(tx, workspace, &resource, &what.tags, &newest.image).await?
        {
            decision.start.push((resource, newest.image.clone()));
        }
    }
    Ok(decision)
}

/// Whether nothing is to be done for a resource about an image: it doesn't track, runs it, or its newest promotion is to it (also
/// when that failed: trying again is a person's decision), or it runs something newer.
async fn has(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
    tags: &TagCounts,
    image: &ExactImage,
) -> Result<bool, AppError> {
    if !resource.follows_by_itself() {
        return Ok(true);
    }
    let newest = tx.promotions_of(resource.id, 1).await?.into_iter().next();
    if newest.is_some_and(|newest| newest.image.digest == image.digest) {
        return Ok(true);
    }
    // Nothing goes back by itself.
    Ok(course(tx, workspace, tags, resource.desired.as_ref(), image).await? != Course::Newer)
}

async fn deploy(
    services: &Services,
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
    image: &ExactImage,
) -> Result<(), AppError> {
    let Some(project) = project_of(tx, workspace, resource).await? else {
        return Ok(());
    };
    let place = reach::place_for_waybill(tx, project).await?;
    if tx.recall_of(workspace, &image.digest).await?.is_some() {
        return Ok(());
    }
    let request = Request {
        purpose: Purpose::Deploy,
        actor: Actor::Waybill,
        origin: None,
        image: image.clone(),
        creates: resource.desired.is_none(),
        preview: None,
    };
    queue::request(services, tx, &place, resource, request).await?;
    Ok(())
}

/// Reads Git for resources of an image repository that are not known to run anything yet: one that was just applied may be
/// running long since, and what Git declares for it is adopted before anything is deployed. `false` when Git could not be read.
async fn adopt(services: &Services, workspace: WorkspaceId, repository: &Repository) -> Result<bool, AppError> {
    let mut tx = services.store.read().await?;
    let mut projects = Vec::new();
    for (resource, _) in tx.resources_of_image(workspace, repository).await? {
        if resource.desired.is_some() {
            continue;
        }
        if let Some(record) = project_of(&mut *tx, workspace, &resource).await?
            && !projects.contains(&record.project.id)
        {
            projects.push(record.project.id);
        }
    }
    drop(tx);
    let mut is_read = true;
    for project in projects {
        // Once for all who want it at about the same time.
        let read = async || {
            let read = desired::read_desired(services, project).await;
            if let Err(error) = &read {
                tracing::warn!(%project, %error, "the repository could not be read before deploying");
            }
            Ok::<bool, AppError>(read.is_ok())
        };
        is_read &= services.pushes.adopting.of(project).get(read).await?;
    }
    Ok(is_read)
}

/// The newest artifact of a repository that counts in an environment, after a look at it.
pub(crate) async fn newest_artifact(
    services: &Services,
    place: &EnvironmentPlace,
    repository: &Repository,
    tags: &TagRule,
) -> Result<Option<ExactImage>, AppError> {
    let workspace = place.project.workspace.id;
    look::look_at_repository(services, workspace, repository).await?;
    let mut tx = services.store.read().await?;
    let what = WhatCounts::new(tags, place.project.platforms(place.environment.id));
    newest_that_counts(&mut *tx, workspace, repository, &what).await
}

/// What is to be done about a repository's newest artifacts.
struct Decision {
    /// To whom which is deployed.
    start: Vec<(Resource, ExactImage)>,
    /// For whom this is the first full list.
    learners: Vec<ResourceId>,
}

/// Other images count for a resource than before: what is there already starts nothing, and what waits and no longer counts is withdrawn.
/// Where its repository was never listed in full, the first list will say what is there.
pub(crate) async fn relearn_after_rule_change(
    services: &Services,
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
    platforms: &[String],
) -> Result<(), AppError> {
    let Source::Image { repository, tags } = &resource.source else {
        return Ok(());
    };
    if tx.learned(repository).await?.contains_key(&resource.id) {
        tx.learn(workspace, repository, resource.id).await?;
    }
    let what = WhatCounts::new(tags, platforms);
    for open in tx.open_promotions(resource.id).await? {
        if is_withdrawn(&open) && !still_counts(tx, workspace, &what, &open.image).await? {
            let why = format!("{} no longer counts.", open.image.short_label());
            queue::withdraw(services, tx, open, &why).await?;
        }
    }
    Ok(())
}

/// Whether an image has a tag that counts, and a platform that runs. One that nobody heard of but through Git has no tags.
async fn still_counts(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    what: &WhatCounts,
    image: &ExactImage,
) -> Result<bool, StoreError> {
    let runs =
        (tx.artifact(workspace, &image.repository, &image.digest).await?).is_none_or(|artifact| what.runs(&artifact));
    let tags = tx.tags_of_image(workspace, &image.repository, &image.digest).await?;
    let counts = tags.is_empty() || tags.iter().any(|tag| what.tags.passes_over(tag).is_none());
    Ok(runs && counts)
}

async fn project_of(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
) -> Result<Option<crate::store::ProjectRecord>, AppError> {
    for record in tx.projects(workspace).await? {
        if tx
            .environments(record.project.id)
            .await?
            .iter()
            .any(|e| e.id == resource.environment)
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
