//! *Retry*: a failed promotion is tried again, the same decision.

use crate::{
    service::{
        context::Services,
        gates, queue,
        reach::{self, Caller},
    },
    store::NewEvent,
};
use contract::error::AppError;
use domain::{
    event::{Happened, Subject},
    promotion::{Purpose, State},
};

/// Tries a failed promotion again.
///
/// # Errors
/// When it hasn't failed, a newer one took its place, its digest is recalled, or the caller may not.
pub async fn retry(services: &Services, caller: &Caller, id: &str) -> Result<(), AppError> {
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let (promotion, place) = reach::promotion_place(&mut *tx, &caller, id).await?;
    match promotion.purpose {
        Purpose::Rollback => place.project.may_roll_back(&place.environment)?,
        _ => place.project.may_change(&place.environment)?,
    }
    queue::check_recall(&mut *tx, promotion.workspace, &promotion.image.digest).await?;
    let newest = tx.promotions_of(promotion.resource, 1).await?;
    if newest.first().is_some_and(|newest| newest.id != promotion.id) {
        return Err(AppError::Conflict(
            "A newer promotion of this resource took its place. Look at that one instead.".into(),
        ));
    }
    let (from, now) = (promotion.state, services.now());
    // It passes the gates as they are now.
    let environments = &place.project.environments;
    let decision = gates::decide_gates(services, &mut *tx, &place.environment, environments, &promotion).await?;
    let next = if decision.opens() {
        State::Queued
    } else {
        State::Waiting
    };
    let again = promotion.become_(next, now).map_err(|refused| {
        AppError::Conflict(format!(
            "Only a failed promotion can be tried again; this one is {}.",
            refused.from
        ))
    })?;
    tx.set_gates(again.id, &decision).await?;
    tx.update_promotion(&again, from, now).await?;
    let event = NewEvent {
        workspace: again.workspace,
        subject: Subject::promotion(&again),
        actor: caller.actor.clone(),
        happened: Happened::PromotionMoved {
            from,
            to: next,
            detail: Some("Tried again.".into()),
        },
    };
    tx.append_event(&event, now).await?;
    tx.commit().await?;
    services.try_again();
    services.wrote();
    Ok(())
}
