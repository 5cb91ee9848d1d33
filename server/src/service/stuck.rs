//! The watchdog's eye: promotions that have been in one state for far longer than expected.

use super::Services;
use crate::store::Lane;
use app::error::AppError;
use domain::promotion::Promotion;

/// Resolving and committing take seconds.
const COMMIT_MILLIS: i64 = 60_000;
/// Rollouts take minutes.
const ROLLOUT_MILLIS: i64 = 15 * 60_000;
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

impl Services {
    /// What is stuck, in all workspaces, longest first: for operators, who are told ids and states, not contents.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stuck(&self) -> Result<Vec<Stuck>, AppError> {
        let now = self.now();
        let mut tx = self.store.read().await?;
        let mut stuck = Vec::new();
        for (lane, millis) in [(Lane::Commit, COMMIT_MILLIS), (Lane::Rollout, ROLLOUT_MILLIS)] {
            stuck.extend(tx.open_since(lane, now.plus_millis(-millis), MOST).await?);
        }
        let told = |promotion: Promotion| Stuck {
            millis: now.millis_since(promotion.state_since),
            promotion,
        };
        Ok(stuck.into_iter().map(told).collect())
    }
}
