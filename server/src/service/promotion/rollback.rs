//! *Roll back*: a resource goes back to an image that ran there before, at once, and stays there until a person resumes it.

use super::{heal::check_pullable, pin};
use crate::service::{
    context::Services,
    queue::{self, Request},
    reach::{self, Caller},
    sources,
};
use contract::{backend::At, error::AppError};
use domain::{draft::check_digest, field::FieldErrors, id::PromotionId, promotion::Purpose, resource::HoldCause};

/// Promotions of a resource that are looked through for an image that ran.
pub(crate) const LOOK_BACK: i64 = 200;

/// Brings a resource back to an image that ran there before.
/// With `create_file` the values file is made where there is none: a person said so.
///
/// # Errors
/// In the field `digest` when it never ran there; else when it runs already, when its registry lost parts of it, or when the caller may not.
pub async fn rollback(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    digest: &str,
    create_file: bool,
) -> Result<PromotionId, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    place.project.may_roll_back(&place.environment)?;
    let digest = check_digest(digest).map_err(|why| FieldErrors::one("digest", why))?;
    let history = services
        .store
        .read()
        .await?
        .promotions_of(resource.id, LOOK_BACK)
        .await?;
    let earlier = sources::that_ran(&history).find(|image| image.digest == digest);
    let image = earlier.ok_or_else(|| {
        let why = format!(
            "{} never ran in {}/{}. Choose an image of its history, or pin it to this digest instead.",
            digest.short(),
            place.environment.name,
            resource.name
        );
        FieldErrors::one("digest", why)
    })?;
    check_pullable(services, &place, &image).await?;
    let preview = sources::change_of(services, &place, &resource, &image, create_file).await?;

    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    place.project.may_roll_back(&place.environment)?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    let open = tx.open_promotions(resource.id).await?;
    if open.is_empty() && resource.declares(&digest) {
        return Err(AppError::Conflict(format!(
            "{}/{} runs {} already; there is nothing to roll back.",
            place.environment.name,
            resource.name,
            image.short_label()
        )));
    }
    if resource.pin().is_some() {
        pin::move_pin(services, &mut *tx, &caller, &place.project, &mut resource, &digest).await?;
    } else {
        queue::put_on_hold(
            services,
            &mut *tx,
            &caller,
            &place.project,
            &mut resource,
            HoldCause::RolledBack,
        )
        .await?;
    }
    let request = Request {
        purpose: Purpose::Rollback,
        actor: caller.actor.clone(),
        origin: None,
        image,
        creates: false,
        preview,
    };
    let promotion = queue::request(services, &mut *tx, &place.project, &resource, request).await?;
    // It is committed at once; the tag that keeps it follows.
    if let Some(keeper) = sources::keeper(&promotion, &place.environment.tags) {
        tx.want_tag(&keeper, services.now()).await?;
    }
    if create_file {
        tx.may_create_file(promotion.id).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(promotion.id)
}
