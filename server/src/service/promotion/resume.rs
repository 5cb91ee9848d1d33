//! *Resume*: what a person chose stays until a person lets the resource follow its source again; then it catches up.

use crate::{
    ports::git::GitError,
    service::{
        context::Services,
        queue::{self, Request},
        reach::{self, Caller},
        sources::{self, TagCounts, WhatCounts, course, newest_that_counts, runs_there},
    },
};
use contract::{backend::At, error::AppError};
use domain::{
    follow::Course,
    id::PromotionId,
    promotion::Purpose,
    resource::{Binding, HoldCause, Source},
};

/// Lifts the hold. Returns the promotion that catches up with the source; `None` when there is nothing newer to catch up with.
/// With `create_file` the values file is made where there is none: a person said so.
///
/// # Errors
/// When nothing holds it, or the caller may not.
pub async fn resume(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    create_file: bool,
) -> Result<Option<PromotionId>, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let lacks_file = resource
        .hold
        .as_ref()
        .is_some_and(|hold| hold.cause == HoldCause::NoFile)
        && !create_file;
    if lacks_file && sources::lacks_file(services, &place.project, &place.environment, true).await {
        let path = place.project.record.project.values_path(&place.environment.key);
        return Err(AppError::Conflict(GitError::NoFile { path }.to_string()));
    }
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    if resource.hold.is_none() {
        return Err(AppError::Conflict(format!(
            "Nothing holds {}/{}: somebody resumed it already.",
            place.environment.name, resource.name
        )));
    }
    let was_removed = resource.desired.is_none()
        && resource
            .hold
            .as_ref()
            .is_some_and(|hold| hold.cause == HoldCause::RemovedFromGit);
    resource.binding = Binding::TrackLatest;
    tx.update_resource(&resource).await?;
    queue::lift_hold(services, &mut *tx, &caller, &place.project, &mut resource).await?;

    let workspace = place.project.workspace.id;
    let (image, origin, purpose) = match &resource.source {
        Source::Promote { from } => {
            let source = tx.resource(*from).await?;
            let origin = source.as_ref().and_then(|source| place.project.origin(source));
            (source.and_then(|source| source.desired), origin, Purpose::Promote)
        }
        Source::Image { repository, tags } => {
            let what = WhatCounts::new(tags, place.project.platforms(place.environment.id));
            let newest = newest_that_counts(&mut *tx, place.project.workspace.id, repository, &what).await?;
            (newest, None, Purpose::Deploy)
        }
    };
    let tags = TagCounts::of(&tx.order_of(resource.id).await?);
    // What was removed is created again as it ran last, or as its source runs now if that is newer.
    let ran = match was_removed {
        true => {
            let history = tx.promotions_of(resource.id, 1).await?;
            sources::that_ran(&history).next()
        }
        false => None,
    };
    let image = match (ran, image) {
        (Some(ran), Some(image)) => {
            let leads = course(&mut *tx, place.project.workspace.id, &tags, Some(&ran), &image).await?;
            Some(if leads == Course::Newer { image } else { ran })
        }
        (ran, image) => image.or(ran),
    };
    let open = tx.open_promotions(resource.id).await?;
    // Compared with what is on its way, where something is: a rollback that was just asked for is caught up with, too.
    let heads_for = open.first().map(|open| &open.image).or(resource.desired.as_ref());
    let leads = match &image {
        Some(image) => course(&mut *tx, place.project.workspace.id, &tags, heads_for, image).await?,
        None => Course::Same,
    };
    let image = match image {
        Some(image)
            if runs_there(&mut *tx, &place.project, place.environment.id, &image).await?
                && tx.recall_of(workspace, &image.digest).await?.is_none() =>
        {
            Some(image)
        }
        _ => None,
    };
    let promotion = match image {
        Some(image) if leads == Course::Newer => {
            let request = Request {
                purpose,
                actor: caller.actor.clone(),
                origin,
                image,
                creates: false,
                preview: None,
            };
            let started = queue::request(services, &mut *tx, &place.project, &resource, request)
                .await?
                .id;
            if create_file {
                tx.may_create_file(started).await?;
            }
            Some(started)
        }
        _ => None,
    };
    tx.commit().await?;
    services.wrote();
    Ok(promotion)
}
