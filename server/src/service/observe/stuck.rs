//! The watchdog's eye: promotions that have been in one state for far longer than expected. The worker logs them; the board
//! shows those of its project (`Cells::longest_open`).

use crate::{service::context::Services, store::Lane};
use contract::error::AppError;
use domain::promotion::{Promotion, State};

/// More are not told: who has so many looks at the first.
const MOST: i64 = 100;

/// A promotion that doesn't get on; [`Promotion::waits_for`] says why, where that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    /// The promotion.
    pub promotion: Promotion,
    /// How long it has been in its state.
    pub millis: i64,
}

/// What is stuck, in all workspaces, longest first: for operators, who are told ids and states, not contents.
///
/// # Errors
/// When the database fails.
pub async fn stuck(services: &Services) -> Result<Vec<Stuck>, AppError> {
    let now = services.now();
    let mut tx = services.store.read().await?;
    let mut stuck = Vec::new();
    for (lane, state) in [(Lane::Commit, State::Committing), (Lane::Rollout, State::Verifying)] {
        if let Some(millis) = state.expected_millis() {
            stuck.extend(tx.open_since(lane, now.plus_millis(-millis), MOST).await?);
        }
    }
    // A closed window is nobody's fault, and says what it waits for.
    stuck.retain(|promotion| promotion.state.is_stuck(promotion.counts_since(), now));
    let told = |promotion: Promotion| Stuck {
        millis: now.millis_since(promotion.state_since),
        promotion,
    };
    Ok(stuck.into_iter().map(told).collect())
}
