//! *Heal*: what a registry lost of an image that runs is copied to it again, from another repository of the project. And before somebody goes
//! back to an image it is looked whether that can be pulled.

use crate::{
    ports::{
        image_copy::{CopyEnd, CopyError},
        image_look::LookPace,
    },
    service::{
        context::Services,
        reach::{self, Caller, EnvironmentPlace},
    },
    store::{ImageAt, NewEvent, StoreError, Tx},
};
use contract::{backend::At, error::AppError};
use domain::{
    artifact::{ExactImage, Repository},
    event::{Happened, Subject},
    field::FieldErrors,
    id::{ProjectId, WorkspaceId},
    resource::Resource,
};
use std::time::Duration;

/// Promotions of a resource that are looked through for where its image came from.
const LOOK_BACK: i64 = 50;
/// How long whoever goes back to an image waits for its registry.
const LONGEST: Duration = Duration::from_secs(5);
/// Missing parts that are named.
const MOST_NAMED: usize = 3;

/// Has what the registry lost of a resource's image copied from another repository.
///
/// # Errors
/// In the field `from` when the image never lay there; when nothing is missing; when the caller may not.
pub async fn heal(services: &Services, caller: &Caller, at: &At, resource: &str, from: &str) -> Result<(), AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let resource = reach::reread(&mut *tx, &resource).await?;
    let project = place.project.record.project.id;
    let Some(image) = image_at(place.project.workspace.id, &resource) else {
        return Err(AppError::Conflict("Git declares no image of it.".into()));
    };
    let known = tx.presence(&image).await?;
    if known.is_none_or(|known| known.missing.is_empty()) {
        return Err(AppError::Conflict(format!(
            "No part of {} is missing in {}.",
            image.digest.short(),
            image.repository
        )));
    }
    let from = from.trim();
    let sources = healers(&mut *tx, project, &resource, &image).await?;
    let Some(from) = sources.into_iter().find(|source| source.as_str() == from) else {
        let why = format!("This project never had the image in {from}. Choose one of those offered.");
        return Err(FieldErrors::one("from", why).into());
    };
    let now = services.now();
    tx.heal(&image, &from, now).await?;
    let event = NewEvent {
        workspace: image.workspace,
        subject: Subject::resource(project, &resource),
        actor: caller.actor.clone(),
        happened: Happened::HealAsked {
            repository: image.repository,
            digest: image.digest,
            from,
        },
    };
    tx.append_event(&event, now).await?;
    tx.commit().await?;
    services.wrote();
    services.wake.presence.notify_one();
    Ok(())
}

/// The image that Git declares of a resource.
pub(crate) fn image_at(workspace: WorkspaceId, resource: &Resource) -> Option<ImageAt> {
    let image = resource.desired.as_ref()?;
    Some(ImageAt {
        workspace,
        repository: image.repository.clone(),
        digest: image.digest.clone(),
    })
}

/// The repositories that may still hold an image which one of them lost: where it came from, and where others of the project run it.
pub(crate) async fn healers(
    tx: &mut dyn Tx,
    project: ProjectId,
    resource: &Resource,
    image: &ImageAt,
) -> Result<Vec<Repository>, StoreError> {
    let came_from = (tx.promotions_of(resource.id, LOOK_BACK).await?.into_iter())
        .filter(|promotion| promotion.image.digest == image.digest)
        .map(|promotion| promotion.image.repository);
    let mut found: Vec<Repository> = came_from.collect();
    let others = tx.resources(project).await?.into_iter();
    found.extend(
        others
            .filter_map(|other| other.desired)
            .filter(|runs| runs.digest == image.digest)
            .map(|runs| runs.repository),
    );
    let incomplete = tx.incomplete(image.workspace).await?;
    found.retain(|repository| {
        let is_lost = (incomplete.iter())
            .any(|record| record.image.digest == image.digest && record.image.repository == *repository);
        *repository != image.repository && !is_lost
    });
    found.sort();
    found.dedup();
    Ok(found)
}

/// Refuses an image that can't be pulled any more. A registry that doesn't answer refuses nothing: what ran before may be on the nodes still.
///
/// # Errors
/// When parts of it are gone; when the database fails.
pub(crate) async fn check_pullable(
    services: &Services,
    place: &EnvironmentPlace,
    image: &ExactImage,
) -> Result<(), AppError> {
    let of = ImageAt {
        workspace: place.project.workspace.id,
        repository: image.repository.clone(),
        digest: image.digest.clone(),
    };
    let known = services.store.read().await?.presence(&of).await?;
    let parts = known.map(|known| known.parts).unwrap_or_default();
    let Ok(access) = reach::registry_access(services, &place.project.registries, &image.repository) else {
        return Ok(());
    };
    let at = CopyEnd {
        access,
        repository: image.repository.clone(),
    };
    let look = async {
        let seen = services.looks.look(&at, &image.digest, &parts, LookPace::Now).await?;
        match seen.missing.is_empty() {
            true => Ok(seen),
            // A registry may err for a moment.
            false => {
                services
                    .looks
                    .look(&at, &image.digest, &seen.missing, LookPace::Now)
                    .await
            }
        }
    };
    let missing = match tokio::time::timeout(LONGEST, look).await {
        Ok(Ok(presence)) => presence.missing,
        Ok(Err::<_, CopyError>(_)) | Err(_) => return Ok(()),
    };
    if missing.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = missing.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if missing.len() > MOST_NAMED {
        named.push(format!("{} more parts", missing.len() - MOST_NAMED));
    }
    Err(AppError::Conflict(format!(
        "{} can't be pulled any more: {} lost {}. Promote it again, or pin it, so that it is copied anew from where it came from; or choose another image.",
        image.short_label(),
        image.repository,
        named.join(", ")
    )))
}
