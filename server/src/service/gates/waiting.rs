//! Promotions that wait for gates, as those that come after them see them.

use crate::store::{StoreError, Tx};
use domain::{
    promotion::{Phase, Promotion, State},
    succession::{Opens, Waiter},
};

/// Why a promotion is superseded that was not committed.
pub(crate) const SUPERSEDED: &str = "A newer promotion took its place.";

/// The open promotions of a resource that aren't committed yet, with when each may go on.
pub(crate) async fn waiting_promotions(tx: &mut dyn Tx, open: &[Promotion]) -> Result<Vec<Waiter>, StoreError> {
    let mut waiters = Vec::new();
    for promotion in open
        .iter()
        .filter(|promotion| promotion.state.phase() == Phase::BeforeCommit)
    {
        let opens = match promotion.state {
            State::Waiting => (tx.gates(promotion.id).await?).map_or(Opens::Unknown, |decision| decision.when()),
            _ => Opens::Now,
        };
        waiters.push(Waiter {
            id: promotion.id,
            number: promotion.number,
            opens,
        });
    }
    Ok(waiters)
}
