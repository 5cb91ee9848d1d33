//! *Pin to digest*: a person says which digest a resource stays on.

use crate::service::{
    context::{Services, unrecorded},
    queue::{self, Request},
    reach::{self, Caller, ProjectPlace},
    sources,
};
use crate::store::{NewEvent, Tx};
use contract::{backend::At, error::AppError};
use domain::{
    artifact::{Digest, ExactImage},
    draft::check_digest,
    event::{Happened, Subject},
    field::FieldErrors,
    id::PromotionId,
    promotion::{Origin, Promotion, Purpose},
    resource::{Binding, HoldCause, Resource, Source},
};

/// Pins a resource to a digest and starts the promotion to it.
/// With `create_file` the values file is made where there is none: a person said so.
///
/// # Errors
/// In the field `digest` when it is malformed or the registry lacks it; else when the caller may not, or the registry can't be asked.
pub async fn edit_pin(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    digest: &str,
    create_file: bool,
) -> Result<PromotionId, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let (image, origin) = image_to_pin(services, &place.project, &resource, digest)
        .await
        .map_err(unrecorded)?;
    let placed = sources::placed_in(services, &place, &resource, &image).await?;
    let preview = sources::change_of(services, &place, &resource, &placed, create_file).await?;
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    if resource.pin().is_none() {
        queue::put_on_hold(
            services,
            &mut *tx,
            &caller,
            &place.project,
            &mut resource,
            HoldCause::Pinned,
        )
        .await?;
    }
    move_pin(
        services,
        &mut *tx,
        &caller,
        &place.project,
        &mut resource,
        &image.digest,
    )
    .await?;
    let request = Request {
        purpose: Purpose::Pin,
        actor: caller.actor.clone(),
        origin,
        image,
        creates: false,
        preview,
    };
    let promotion = queue::request(services, &mut *tx, &place.project, &resource, request).await?;
    if create_file {
        tx.may_create_file(promotion.id).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(promotion.id)
}

/// The image that a resource would be pinned to, and where it comes from when it is promoted.
pub(crate) async fn image_to_pin(
    services: &Services,
    place: &ProjectPlace,
    resource: &Resource,
    digest: &str,
) -> Result<(ExactImage, Option<Origin>), AppError> {
    let digest = check_digest(digest).map_err(|why| FieldErrors::one("digest", why))?;
    let (repository, origin) = match &resource.source {
        Source::Image { repository, .. } => (repository.clone(), None),
        Source::Promote { from } => {
            let (repository, origin) = sources::source_repository(services, place, *from).await?;
            (repository, Some(origin))
        }
    };
    Ok((
        sources::pinned_image(services, place, &repository, &digest).await?,
        origin,
    ))
}

/// After a promotion that was refused or withdrawn: a resource that was pinned to its image stays pinned, to what it runs.
pub(super) async fn pin_to_what_runs(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &ProjectPlace,
    ended: &Promotion,
) -> Result<(), AppError> {
    let Some(mut resource) = tx.resource(ended.resource).await? else {
        return Ok(());
    };
    match &resource.desired {
        Some(desired) if resource.pin() == Some(&ended.image.digest) => {
            let digest = desired.digest.clone();
            move_pin(services, tx, caller, place, &mut resource, &digest).await
        }
        _ => Ok(()),
    }
}

/// Writes which digest a pinned resource stays on.
pub(super) async fn move_pin(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &ProjectPlace,
    resource: &mut Resource,
    digest: &Digest,
) -> Result<(), AppError> {
    if resource.pin() == Some(digest) {
        return Ok(());
    }
    resource.binding = Binding::Pin(digest.clone());
    tx.update_resource(resource).await?;
    let event = NewEvent {
        workspace: place.workspace.id,
        subject: Subject::resource(place.record.project.id, resource),
        actor: caller.actor.clone(),
        happened: Happened::PinChanged { to: digest.clone() },
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}
