//! *Cancel*: a person withdraws a promotion whose commit isn't on its way yet.

use super::pin;
use crate::{
    service::{
        context::{self, Services},
        reach::{self, Caller},
    },
    store::NewEvent,
};
use contract::error::AppError;
use domain::{
    event::{Happened, Subject},
    promotion::State,
};

/// Withdraws a promotion.
///
/// # Errors
/// When it has ended, its commit is made or being made, or the caller may not.
pub async fn cancel(services: &Services, caller: &Caller, id: &str) -> Result<(), AppError> {
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let (promotion, place) = reach::promotion_place(&mut *tx, &caller, id).await?;
    place.project.may_change(&place.environment)?;
    let (from, now) = (promotion.state, services.now());
    let refuse = |why: String| Err(AppError::Conflict(why));
    match from {
        State::Waiting | State::Queued | State::Mirroring => {}
        State::Committing if !tx.is_leased(promotion.id, now).await? => {}
        State::Committing => {
            return refuse(
                "Its commit is on its way right now. Wait a moment; then roll back if you don't want it.".into(),
            );
        }
        // Argo CD applies it when the window opens, whoever waits for it: that is said.
        State::Syncing if promotion.is_at_window(now) => {}
        State::Syncing | State::Verifying => {
            return refuse("Its commit is on the branch already. Roll back instead.".into());
        }
        ended => return refuse(format!("It has ended already: it is {ended}.")),
    }
    let mut why = format!("{} cancelled it.", caller.actor.name());
    if from == State::Syncing {
        why.push_str(
            " Its commit stays in Git: Argo CD applies it when the sync window opens, unless it is rolled back before.",
        );
    }
    let cancelled = promotion.cancel(why.as_str(), now).map_err(|e| context::internal(&e))?;
    tx.update_promotion(&cancelled, from, now).await?;
    let event = NewEvent {
        workspace: cancelled.workspace,
        subject: Subject::promotion(&cancelled),
        actor: caller.actor.clone(),
        happened: Happened::PromotionMoved {
            from,
            to: State::Cancelled,
            detail: Some(why),
        },
    };
    tx.append_event(&event, now).await?;
    pin::pin_to_what_runs(services, &mut *tx, &caller, &place.project, &cancelled).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}
