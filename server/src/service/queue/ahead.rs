//! What a clock that ran ahead leaves behind: moments so far away that nothing is ever put off for so long.
//!
//! Nothing is newer or older by a clock. But when a promotion is looked at again, and until when somebody works on it, are moments. A
//! server whose clock ran two days ahead would leave its promotions alone for two days after it was set right, or was killed.

use crate::{service::context::Services, store::StoreError};
use domain::{id::PromotionId, time::Timestamp};

/// No promotion is put off for longer: gates are looked at every ten minutes, everything else sooner.
const LONGEST_MILLIS: i64 = 3_600_000;

/// No lease lasts for longer: they are short, and renewed.
const LONGEST_LEASE_MILLIS: i64 = 60_000;

/// Makes promotions due that a clock which ran ahead put off. A lease that ends so late is ended when it was there at the look
/// before (`seen`) and was not renewed since: whoever held it is gone. Returns the leases for the next look, which comes after all
/// that live were renewed.
///
/// # Errors
/// When the database fails.
pub async fn bring_forward(
    services: &Services,
    seen: &[(PromotionId, Timestamp)],
) -> Result<Vec<(PromotionId, Timestamp)>, StoreError> {
    let now = services.now();
    let beyond = now.plus_millis(LONGEST_MILLIS);
    let mut tx = services.store.read().await?;
    let is_put_off = tx.is_put_off(beyond).await?;
    let leases = tx.leases_beyond(now.plus_millis(LONGEST_LEASE_MILLIS)).await?;
    drop(tx);
    let (left, held): (Vec<_>, Vec<_>) = leases.into_iter().partition(|lease| seen.contains(lease));
    if !is_put_off && left.is_empty() {
        return Ok(held);
    }
    let mut tx = services.store.write().await?;
    tx.recall_promotions(beyond, now).await?;
    for (promotion, until) in left {
        tx.end_lease(promotion, until).await?;
    }
    tx.commit().await?;
    tracing::warn!("promotions were put off or held by a clock that ran ahead; they are taken up now");
    services.wake.worker.notify_one();
    Ok(held)
}
