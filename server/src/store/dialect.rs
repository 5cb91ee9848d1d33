//! Where the two databases differ within a transaction: a few statements, and how the driver says what came of one.

use super::{StoreError, activity::Statements};
use sqlx::{Database, Decode, Encode, Type};

/// Leaves out the commits of projects on which another owner's lease runs, so that each repository has one writer among all
/// servers; `$1` is the owner, `$3` is now. Asked once for all, not for each promotion.
macro_rules! of_one_writer {
    () => {
        "AND project_id NOT IN (SELECT project_id FROM promotions WHERE next_at IS NOT NULL AND lease_owner <> $1 \
         AND lease_until > $3 AND state IN ('waiting', 'queued', 'committing'))"
    };
}
pub(super) use of_one_writer;

/// What a database writes differently from the other.
pub(crate) trait Dialect: Database {
    /// Keeps others from changing a resource until the end of the transaction; what they wrote is seen by the statements after it.
    const LOCK_RESOURCE: &'static str;
    /// Takes leases on what is due longest in the lane up to the push: owner, until, now, how many at most.
    const CLAIM_COMMIT: &'static str;
    /// The same where images are copied.
    const CLAIM_COPY: &'static str;
    /// The same where only something is to be written beside an image.
    const CLAIM_PREPARE: &'static str;
    /// The same in the lane after the push.
    const CLAIM_ROLLOUT: &'static str;
    /// When the next promotion becomes due.
    const NEXT_DUE: &'static str;
    /// Takes leases on the deliveries of a channel that are due: owner, until, now, channel, how many at most.
    const CLAIM_DELIVERIES: &'static str;
    /// When the next delivery becomes due, through a channel that tells.
    const NEXT_DELIVERY: &'static str;
    /// What finds entries of the ledger.
    const SEARCH: Statements;

    /// How many rows a statement changed.
    fn changed(done: &Self::QueryResult) -> u64;
}

/// A value that a database takes and gives.
pub(crate) trait Stored<D: Database>: Type<D> + for<'v> Encode<'v, D> + for<'v> Decode<'v, D> {}

impl<D: Database, T: Type<D> + for<'v> Encode<'v, D> + for<'v> Decode<'v, D>> Stored<D> for T {}

/// A unique key that is taken is an answer, not a fault.
pub(crate) fn taken(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(e) if e.is_unique_violation() => StoreError::Exists,
        _ => StoreError::Database(error),
    }
}
