//! Who works on which promotion until when, and what is due.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    promotions::PromotionRow,
    rows::parse,
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{
    id::{EnvironmentId, PromotionId},
    promotion::Promotion,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, IntoArguments, Type};

/// Which promotions a claim is for: those that wait for Argo CD never take the place of those that don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Up to the commit, copies apart: `waiting`, `queued`, `committing`.
    Commit,
    /// While the image is copied: `mirroring`. That may take hours, and keeps no other commit waiting.
    Copy,
    /// The same where nothing is copied: a tag or a statement takes a few requests, and waits behind no copy.
    Prepare,
    /// After it: `syncing`, `verifying`.
    Rollout,
}

/// Who works on which promotion until when, and what is due.
#[async_trait]
pub trait Leases: Send {
    /// Takes leases until `until` on at most `limit` promotions of `lane`, those that are due longest first, and returns them
    /// with those of one resource in their order. Due is what has `next_at <= now` and no lease that still runs (`lease_until` is null or `<= now`). One whose lease was
    /// given back or ran out (it has a `lease_owner`) counts a further attempt: its step may have been cut off half-way.
    ///
    /// Each repository has one writer: in [`Lane::Commit`] a promotion is left alone while another owner's lease runs on one of
    /// the same project and lane. That holds for two claims at once too: whoever writes has the turn to the end of the
    /// transaction.
    async fn claim_promotions(
        &mut self,
        owner: &str,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Promotion>, StoreError>;
    /// Whether a worker is at this promotion: holds a lease on it that has not run out.
    async fn is_leased(&mut self, id: PromotionId, now: Timestamp) -> Result<bool, StoreError>;
    /// Keeps the lease on a promotion whose step was recorded in this transaction ([`super::Promotions::update_promotion`] ended it): the same
    /// worker goes on with the next step.
    async fn keep_lease(&mut self, id: PromotionId, owner: &str, until: Timestamp) -> Result<(), StoreError>;
    /// Makes an owner's leases on these promotions last until `until`. Those that it no longer holds are passed over.
    async fn renew_leases(&mut self, owner: &str, ids: &[PromotionId], until: Timestamp) -> Result<(), StoreError>;
    /// Gives back the leases of an owner, who stops; without an owner those of everybody: the process is the only one and begins
    /// anew.
    async fn release_leases(&mut self, owner: Option<&str>) -> Result<(), StoreError>;
    /// Whether an open promotion is put off beyond this moment.
    async fn is_put_off(&mut self, beyond: Timestamp) -> Result<bool, StoreError>;
    /// Makes those due now that are put off beyond this moment.
    async fn recall_promotions(&mut self, beyond: Timestamp, now: Timestamp) -> Result<(), StoreError>;
    /// Leases on open promotions that last beyond this moment, with when they end.
    async fn leases_beyond(&mut self, beyond: Timestamp) -> Result<Vec<(PromotionId, Timestamp)>, StoreError>;
    /// Ends a lease that still lasts until this very moment: nobody has renewed it.
    async fn end_lease(&mut self, id: PromotionId, until: Timestamp) -> Result<(), StoreError>;
    /// Open promotions of a lane that have been in their state since before `since`, longest first; those that wait for gates are
    /// not among them: people take the time they take.
    async fn open_since(&mut self, lane: Lane, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError>;
    /// Makes the open promotions due at once that wait for Argo CD in these environments.
    async fn nudge_environment(&mut self, environment: EnvironmentId, now: Timestamp) -> Result<(), StoreError>;
    /// When the next promotion becomes due; `None` when none will.
    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError>;
}

const IS_LEASED: &str = "SELECT COUNT(*) FROM promotions WHERE id = $1 AND lease_until > $2";
const KEEP_LEASE: &str = "UPDATE promotions SET lease_owner = $2, lease_until = $3 WHERE id = $1";
const RENEW_LEASE: &str = "UPDATE promotions SET lease_until = $3 WHERE id = $1 AND lease_owner = $2";
const RELEASE_LEASES: &str = "UPDATE promotions SET lease_until = 0 \
     WHERE lease_owner = COALESCE($1, lease_owner) AND next_at IS NOT NULL";
const RELEASE_GIT_REMOVALS: &str = "UPDATE git_removals SET lease_until = 0 \
     WHERE lease_owner = COALESCE($1, lease_owner) AND next_at IS NOT NULL";
const RELEASE_TAGS: &str = "UPDATE tag_moves SET lease_until = 0 \
     WHERE lease_owner = COALESCE($1, lease_owner)";
const RELEASE_PRESENCE: &str = "UPDATE presence SET lease_until = 0 \
     WHERE lease_owner = COALESCE($1, lease_owner)";
const IS_PUT_OFF: &str = "SELECT EXISTS (SELECT 1 FROM promotions WHERE next_at > $1)";
const RECALL_PROMOTIONS: &str = "UPDATE promotions SET next_at = $2 WHERE next_at > $1";
const LEASES_BEYOND: &str = "SELECT id, lease_until FROM promotions WHERE next_at IS NOT NULL AND lease_until > $1";
const END_LEASE: &str = "UPDATE promotions SET lease_until = 0 WHERE id = $1 AND lease_until = $2";
const OPEN_SINCE_COMMIT: &str = "SELECT * FROM promotions WHERE next_at IS NOT NULL \
     AND state IN ('queued', 'committing') AND state_since < $1 ORDER BY state_since, resource_id, number LIMIT $2";
const OPEN_SINCE_ROLLOUT: &str = "SELECT * FROM promotions WHERE next_at IS NOT NULL \
     AND state IN ('syncing', 'verifying') AND state_since < $1 ORDER BY state_since, resource_id, number LIMIT $2";
const NUDGE_ENVIRONMENT: &str = "UPDATE promotions SET next_at = $2 \
     WHERE environment_id = $1 AND ended_at IS NULL AND state IN ('syncing', 'verifying') AND next_at > $2";

#[async_trait]
impl<D: Dialect> Leases for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn claim_promotions(
        &mut self,
        owner: &str,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Promotion>, StoreError> {
        let statement = match lane {
            Lane::Commit => D::CLAIM_COMMIT,
            Lane::Copy => D::CLAIM_COPY,
            Lane::Prepare => D::CLAIM_PREPARE,
            Lane::Rollout => D::CLAIM_ROLLOUT,
        };
        let claimed: Result<Vec<Promotion>, StoreError> =
            all!(self, PromotionRow, statement, owner, until.0, now.0, limit);
        let mut claimed = claimed?;
        claimed.sort_by_key(|promotion| promotion.number);
        Ok(claimed)
    }

    async fn is_leased(&mut self, id: PromotionId, now: Timestamp) -> Result<bool, StoreError> {
        let held: i64 = sqlx::query_scalar::<D, _>(IS_LEASED)
            .bind(id.to_string())
            .bind(now.0)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(held > 0)
    }

    async fn keep_lease(&mut self, id: PromotionId, owner: &str, until: Timestamp) -> Result<(), StoreError> {
        run!(self, KEEP_LEASE, id.to_string(), owner, until.0)?;
        Ok(())
    }

    async fn renew_leases(&mut self, owner: &str, ids: &[PromotionId], until: Timestamp) -> Result<(), StoreError> {
        for id in ids {
            run!(self, RENEW_LEASE, id.to_string(), owner, until.0)?;
        }
        Ok(())
    }

    async fn release_leases(&mut self, owner: Option<&str>) -> Result<(), StoreError> {
        run!(self, RELEASE_LEASES, owner)?;
        run!(self, RELEASE_GIT_REMOVALS, owner)?;
        run!(self, RELEASE_TAGS, owner)?;
        run!(self, RELEASE_PRESENCE, owner)?;
        Ok(())
    }

    async fn is_put_off(&mut self, beyond: Timestamp) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar::<D, bool>(IS_PUT_OFF)
            .bind(beyond.0)
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn recall_promotions(&mut self, beyond: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        run!(self, RECALL_PROMOTIONS, beyond.0, now.0)?;
        Ok(())
    }

    async fn leases_beyond(&mut self, beyond: Timestamp) -> Result<Vec<(PromotionId, Timestamp)>, StoreError> {
        let leases = sqlx::query_as::<D, (String, i64)>(LEASES_BEYOND)
            .bind(beyond.0)
            .fetch_all(&mut self.tx)
            .await?;
        leases
            .iter()
            .map(|(id, until)| Ok((parse("promotion id", id)?, Timestamp(*until))))
            .collect()
    }

    async fn end_lease(&mut self, id: PromotionId, until: Timestamp) -> Result<(), StoreError> {
        run!(self, END_LEASE, id.to_string(), until.0)?;
        Ok(())
    }

    async fn open_since(&mut self, lane: Lane, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError> {
        let statement = match lane {
            Lane::Commit => OPEN_SINCE_COMMIT,
            // A copy takes the time that its bytes take, and says itself when it stalls; what is required beside it is waited for.
            Lane::Copy | Lane::Prepare => return Ok(Vec::new()),
            Lane::Rollout => OPEN_SINCE_ROLLOUT,
        };
        all!(self, PromotionRow, statement, since.0, limit)
    }

    async fn nudge_environment(&mut self, environment: EnvironmentId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, NUDGE_ENVIRONMENT, environment.to_string(), now.0)?;
        Ok(())
    }

    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar::<D, _>(D::NEXT_DUE).fetch_one(&mut self.tx).await?;
        Ok(due.map(Timestamp))
    }
}
