//! Holding a resource, and lifting its hold.

use crate::{
    service::{
        context::Services,
        queue::follow::{self, is_withdrawn},
        reach::{Caller, ProjectPlace},
    },
    store::{NewEvent, Tx},
};
use contract::error::AppError;
use domain::{
    event::{Happened, Subject},
    key::Key,
    promotion::Actor,
    resource::{Hold, HoldCause, Outside, Resource},
};

/// Writes a hold, with its event.
async fn put(tx: &mut dyn Tx, place: &ProjectPlace, resource: &mut Resource, hold: Hold) -> Result<(), AppError> {
    tx.set_hold(resource.id, Some(&hold)).await?;
    let event = NewEvent {
        workspace: place.workspace.id,
        subject: Subject::resource(place.record.project.id, resource),
        actor: hold.by.clone(),
        happened: Happened::Held {
            cause: hold.cause,
            outside: hold.outside.clone(),
        },
    };
    tx.append_event(&event, hold.at).await?;
    resource.hold = Some(hold);
    Ok(())
}

/// Puts a hold on a resource that tracks its source; one that is there already stays as it is, unless it is about a recalled image that
/// Git was to run until now.
pub(crate) async fn put_on_hold(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &ProjectPlace,
    resource: &mut Resource,
    cause: HoldCause,
) -> Result<(), AppError> {
    let stays = |hold: &Hold| hold.cause != HoldCause::RecalledInGit;
    if resource.hold.as_ref().is_some_and(stays) {
        return Ok(());
    }
    let hold = Hold {
        cause,
        by: caller.actor.clone(),
        at: services.now(),
        outside: None,
        renamed: None,
    };
    put(tx, place, resource, hold).await
}

/// Somebody changed a resource in Git, past Waybill: what they did stays, and what automation was about to do is withdrawn.
pub(crate) async fn hold_for_git(
    services: &Services,
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    resource: &mut Resource,
    cause: HoldCause,
    outside: Option<Outside>,
    renamed: Option<String>,
) -> Result<(), AppError> {
    let hold = Hold {
        cause,
        by: Actor::Waybill,
        at: services.now(),
        outside,
        renamed,
    };
    let why = format!("It was {}.", hold.words(resource.desired.as_ref()));
    put(tx, place, resource, hold).await?;
    for open in tx.open_promotions(resource.id).await? {
        if is_withdrawn(&open) {
            follow::withdraw(services, tx, open, &why).await?;
        }
    }
    Ok(())
}

/// Lifts the hold of a resource.
pub(crate) async fn lift_hold(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &ProjectPlace,
    resource: &mut Resource,
) -> Result<(), AppError> {
    tx.set_hold(resource.id, None).await?;
    resource.hold = None;
    let event = NewEvent {
        workspace: place.workspace.id,
        subject: Subject::resource(place.record.project.id, resource),
        actor: caller.actor.clone(),
        happened: Happened::Resumed,
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}

/// The key that a resource seems to have in Git now.
pub(crate) fn renamed_key(resource: &Resource) -> Result<Key, AppError> {
    let hold = resource.hold.as_ref();
    let renamed = hold.filter(|hold| hold.cause == HoldCause::RemovedFromGit);
    let key = renamed.and_then(|hold| hold.renamed.as_deref()).ok_or_else(|| {
        AppError::Conflict(format!(
            "Nothing in Git looks like a new key of {}. Reload to see how it stands.",
            resource.name
        ))
    })?;
    key.parse()
        .map_err(|error| AppError::Conflict(format!("{key} can't be the key of a resource: {error}")))
}
