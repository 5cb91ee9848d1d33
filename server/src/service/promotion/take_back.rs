//! *Take back*: where an environment's policy asks for it, a promotion that failed after its commit is undone once, by the way of a rollback.
//!
//! Only what this promotion wrote is taken back: who did something in between, here or in Git, has the last word. What was taken back to isn't
//! taken back again.

use super::pin;
use crate::{
    service::{
        context::Services,
        promotion::rollback::LOOK_BACK,
        queue::{self, Request},
        reach::{Caller, ProjectPlace},
        sources,
    },
    store::{NewEvent, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::ExactImage,
    event::{Happened, Subject},
    policy::OnFailure,
    promotion::{Actor, Promotion, Purpose},
    resource::{Hold, HoldCause, Resource},
    rights::Role,
};

/// Asks for the way back from a promotion that has just failed after its commit, in the transaction that records it. Nothing where the
/// environment doesn't ask for it, somebody acted since, or nothing was healthy here before.
///
/// # Errors
/// When the database fails.
pub(crate) async fn take_back(
    services: &Services,
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    failed: &Promotion,
) -> Result<(), AppError> {
    let environment = place.environments.iter().find(|e| e.id == failed.environment);
    let asks = environment.is_some_and(|e| match e.policy.on_failure {
        OnFailure::TakeBack => true,
        OnFailure::Stop => false,
    });
    if !asks || failed.purpose == Purpose::Rollback {
        return Ok(());
    }
    let Some(mut resource) = tx.resource(failed.resource).await? else {
        return Ok(());
    };
    if acted_since(tx, &resource, failed).await? {
        return Ok(());
    }
    let Some(image) = healthy_before(tx, &resource, failed).await? else {
        return Ok(());
    };
    if resource.pin().is_some() {
        let caller = Caller::new(Actor::Waybill, vec![(place.workspace.clone(), Role::Admin)]);
        pin::move_pin(services, tx, &caller, place, &mut resource, &image.digest).await?;
    }
    let hold = Hold {
        cause: HoldCause::RolledBack,
        by: Actor::Waybill,
        at: services.now(),
        outside: None,
        renamed: None,
    };
    tx.set_hold(resource.id, Some(&hold)).await?;
    resource.hold = Some(hold);
    let request = Request {
        purpose: Purpose::Rollback,
        actor: Actor::Waybill,
        origin: None,
        image: image.clone(),
        creates: false,
        preview: None,
    };
    let back = queue::request(services, tx, place, &resource, request).await?;
    tx.set_taken_back(failed.id, back.id).await?;
    // The hold is told with it.
    let event = NewEvent {
        workspace: failed.workspace,
        subject: Subject::promotion(failed),
        actor: Actor::Waybill,
        happened: Happened::TakenBack { by: back.id, to: image },
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}

/// Whether a person, or Git past Waybill, said something about the resource after this promotion, or a newer one is on its way.
async fn acted_since(tx: &mut dyn Tx, resource: &Resource, failed: &Promotion) -> Result<bool, AppError> {
    let is_moved = resource.desired != Some(failed.placed()) || resource.unclear.is_some();
    let is_held = resource
        .hold
        .as_ref()
        .is_some_and(|hold| hold.at > failed.created_at || hold.cause.is_in_git());
    if is_moved || is_held {
        return Ok(true);
    }
    let open = tx.open_promotions(resource.id).await?;
    Ok(open
        .iter()
        .any(|other| other.number > failed.number && (other.requested_by != Actor::Waybill || other.commit.is_some())))
}

/// The image that was healthy last before a promotion.
async fn healthy_before(
    tx: &mut dyn Tx,
    resource: &Resource,
    failed: &Promotion,
) -> Result<Option<ExactImage>, AppError> {
    let Some(digest) = tx.healthy_last(resource.id, &failed.image.digest).await? else {
        return Ok(None);
    };
    let history = tx.promotions_of(resource.id, LOOK_BACK).await?;
    let ran = sources::that_ran(&history).find(|image| image.digest == digest);
    Ok(ran)
}
