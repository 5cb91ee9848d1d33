//! What runs and was never promoted: *Adopt* says that it is right as it is, and *Promote the declared one* takes what Git declares through
//! the gates, has it synced and proves it live, as any other promotion.

use super::pin;
use crate::{
    service::{
        context::Services,
        queue::{self, Request},
        reach::{self, Caller, EnvironmentPlace},
    },
    store::{Adoption, NewEvent, Tx},
};
use contract::{backend::At, error::AppError};
use domain::{
    artifact::ExactImage,
    draft::check_digest,
    event::{Happened, Subject},
    field::FieldErrors,
    id::PromotionId,
    promotion::Purpose,
    resource::Resource,
};

/// Characters of a reason, at most.
const LONGEST: usize = 1_000;

/// Says that a digest which a resource runs, and nobody promoted, is right: it is listed no more. Git must declare it: what runs past Git is
/// brought back by a promotion, or put into Git by a pin.
///
/// # Errors
/// In the fields `digest` and `reason`; when it doesn't run, was promoted or adopted, is recalled, or the caller may not.
pub async fn adopt(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
    digest: &str,
    reason: &str,
) -> Result<(), AppError> {
    let digest = check_digest(digest).map_err(|why| FieldErrors::one("digest", why))?;
    let reason = reason.trim();
    if reason.chars().count() > LONGEST {
        return Err(FieldErrors::one("reason", format!("Say why in at most {LONGEST} characters.")).into());
    }
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let resource = reach::reread(&mut *tx, &resource).await?;
    queue::check_recall(&mut *tx, place.project.workspace.id, &digest).await?;
    let found = tx.unpromoted(place.environment.id).await?;
    if !found
        .iter()
        .any(|one| one.resource.id == resource.id && one.digest == digest)
    {
        return Err(AppError::Conflict(format!(
            "{} isn't among the images that run in {}/{} without having been promoted. Reload to see how it stands.",
            digest.short(),
            place.environment.name,
            resource.name
        )));
    }
    let Some(image) = resource.desired.clone().filter(|image| image.digest == digest) else {
        return Err(AppError::Conflict(format!(
            "Git doesn't declare {}, so the next sync replaces it. Promote what Git declares, or pin the resource to this digest.",
            digest.short()
        )));
    };
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    record(services, &mut *tx, &caller, &place, &resource, image, reason).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Adopts all that runs in an environment, was never promoted, is declared in Git and isn't recalled: what a team has when it begins.
///
/// # Errors
/// When there is nothing to adopt, or the caller may not.
pub async fn adopt_all(services: &Services, caller: &Caller, at: &At) -> Result<(), AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::environment_place(&mut *tx, caller, at).await?;
    place.project.may_change(&place.environment)?;
    drop(tx);
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let found = tx.unpromoted(place.environment.id).await?;
    let mut any = false;
    for one in found.into_iter().filter(|one| !one.is_recalled) {
        if let Some(image) = one.resource.desired.clone().filter(|image| image.digest == one.digest) {
            record(services, &mut *tx, &caller, &place, &one.resource, image, None).await?;
            any = true;
        }
    }
    if !any {
        let why = "There is nothing to adopt any more. Reload to see how it stands.";
        return Err(AppError::Conflict(why.into()));
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Writes who adopted what.
async fn record(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &EnvironmentPlace,
    resource: &Resource,
    image: ExactImage,
    reason: Option<String>,
) -> Result<(), AppError> {
    let adoption = Adoption {
        resource: resource.id,
        digest: image.digest.clone(),
        by: caller.actor.clone(),
        at: services.now(),
        reason,
    };
    tx.adopt(&adoption).await?;
    let event = NewEvent {
        workspace: place.project.workspace.id,
        subject: Subject::resource(place.project.record.project.id, resource),
        actor: adoption.by,
        happened: Happened::ImageAdopted {
            image,
            reason: adoption.reason,
        },
    };
    tx.append_event(&event, adoption.at).await?;
    Ok(())
}

/// Promotes what Git declares for a resource that runs what nobody promoted. Where Git says it already, there is nothing to commit: its
/// gates are asked, it is synced, and proven live.
///
/// # Errors
/// When all that it runs was promoted or adopted, Git declares no exact image or a recalled one, or the caller may not.
pub async fn promote_declared(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
) -> Result<PromotionId, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    let name = format!("{}/{}", place.environment.name, resource.name);
    let found = tx.unpromoted(place.environment.id).await?;
    if !found.iter().any(|one| one.resource.id == resource.id) {
        let why = format!("All that {name} runs was promoted or adopted. Reload to see how it stands.");
        return Err(AppError::Conflict(why));
    }
    let Some(image) = resource.desired.clone() else {
        let why = format!("Git declares no exact image for {name}. Promote or pin one.");
        return Err(AppError::Conflict(why));
    };
    if resource.pin().is_some() {
        pin::move_pin(
            services,
            &mut *tx,
            &caller,
            &place.project,
            &mut resource,
            &image.digest,
        )
        .await?;
    }
    let request = Request {
        purpose: Purpose::Deploy,
        actor: caller.actor.clone(),
        origin: None,
        image,
        creates: false,
        preview: None,
    };
    let promotion = queue::request(services, &mut *tx, &place.project, &resource, request).await?;
    tx.commit().await?;
    services.wrote();
    Ok(promotion.id)
}
