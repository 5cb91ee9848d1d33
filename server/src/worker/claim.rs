//! Who works on what: leases on promotions, short and renewed while their steps run.
//!
//! A worker that is killed renews nothing, and after [`LEASE_MILLIS`] its work is anybody's. What a worker holds it knows in
//! memory ([`HeldPromotions`]); only that is renewed, so that a lease which was forgotten runs out by itself.

use super::Worker;
use crate::store::{Lane, StoreError};
use domain::{
    id::PromotionId,
    promotion::{Phase, Promotion, State},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long a lease lasts that isn't renewed.
pub(super) const LEASE_MILLIS: i64 = 8_000;
/// How often leases are renewed.
const BEAT: Duration = Duration::from_secs(2);
/// Promotions taken at once.
const MOST_CLAIMED: usize = 256;
/// Promotions held at once, up to their commit: a burst is committed in few pushes.
const MOST_TO_COMMIT: usize = 1_024;
/// Promotions held at once whose images are copied: as many as are copied at once, so that others may take the rest.
const MOST_TO_COPY: usize = super::MIRRORING;
/// The same of those that have nothing to copy.
const MOST_TO_PREPARE: usize = super::PREPARING;
/// Promotions held at once, after it: more could not be looked at anyway.
const MOST_TO_ROLL_OUT: usize = 64;

/// What this worker works on.
#[derive(Debug, Default)]
pub(super) struct HeldPromotions {
    lanes: Mutex<HashMap<PromotionId, Lane>>,
}

/// A promotion that is held as long as this lives.
#[derive(Debug)]
pub(super) struct Hold {
    held: Arc<HeldPromotions>,
    id: PromotionId,
}

impl HeldPromotions {
    fn lanes(&self) -> MutexGuard<'_, HashMap<PromotionId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more of a lane may be taken.
    fn room(&self, lane: Lane) -> usize {
        let most = match lane {
            Lane::Commit => MOST_TO_COMMIT,
            Lane::Copy => MOST_TO_COPY,
            Lane::Prepare => MOST_TO_PREPARE,
            Lane::Rollout => MOST_TO_ROLL_OUT,
        };
        let taken = self.lanes().values().filter(|l| **l == lane).count();
        most.saturating_sub(taken).min(MOST_CLAIMED)
    }

    /// Whether registries are being made ready at as many places as there are.
    pub(super) fn is_mirroring_all_it_can(&self) -> bool {
        self.room(Lane::Copy) == 0 || self.room(Lane::Prepare) == 0
    }

    /// `None` when it is held already: its lease ran out because nobody could renew it, and it is still worked on.
    fn hold(self: &Arc<Self>, id: PromotionId, lane: Lane) -> Option<Hold> {
        let mut lanes = self.lanes();
        if lanes.contains_key(&id) {
            return None;
        }
        lanes.insert(id, lane);
        Some(Hold {
            held: Arc::clone(self),
            id,
        })
    }
}

impl Hold {
    /// The promotion moved on.
    pub(super) fn moves_with(&self, promotion: &Promotion) {
        self.held.lanes().insert(self.id, lane_of(promotion));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.lanes().remove(&self.id);
    }
}

fn lane_of(promotion: &Promotion) -> Lane {
    match promotion.state.phase() {
        _ if promotion.state == State::Mirroring && promotion.copied_to.is_some() => Lane::Copy,
        _ if promotion.state == State::Mirroring => Lane::Prepare,
        Phase::AfterCommit => Lane::Rollout,
        Phase::BeforeCommit | Phase::Committing | Phase::Ended => Lane::Commit,
    }
}

impl Worker {
    /// Takes what is due and fits.
    pub(super) async fn claim(&self) -> Result<Vec<(Promotion, Hold)>, StoreError> {
        let now = self.services.now();
        // Most looks find nothing: they should not take the writer's turn.
        let due = self.services.store.read().await?.next_due().await?;
        let lanes = [Lane::Commit, Lane::Copy, Lane::Prepare, Lane::Rollout].map(|lane| (lane, self.held.room(lane)));
        if due.is_none_or(|due| due > now) || lanes.iter().all(|(_, room)| *room == 0) {
            return Ok(Vec::new());
        }
        let mut tx = self.services.store.write().await?;
        let until = now.plus_millis(LEASE_MILLIS);
        let mut claimed = Vec::new();
        for (lane, room) in lanes.into_iter().filter(|(_, room)| *room > 0) {
            let limit = i64::try_from(room).unwrap_or(i64::MAX);
            claimed.extend(tx.claim_promotions(&self.owner, lane, now, until, limit).await?);
        }
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        tx.commit().await?;
        let hold = |promotion: Promotion| {
            let hold = self.held.hold(promotion.id, lane_of(&promotion))?;
            Some((promotion, hold))
        };
        Ok(claimed.into_iter().filter_map(hold).collect())
    }

    /// Renews what is held until told to stop.
    pub(super) async fn beat(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(BEAT) => {}
            }
            let held: Vec<_> = self.held.lanes().keys().copied().collect();
            if held.is_empty() {
                continue;
            }
            if let Err(error) = self.renew(&held).await
                && error.trouble().is_none()
            {
                tracing::error!(%error, "leases could not be renewed");
            }
        }
    }

    async fn renew(&self, held: &[PromotionId]) -> Result<(), StoreError> {
        let until = self.services.now().plus_millis(LEASE_MILLIS);
        let mut tx = self.services.store.write().await?;
        tx.renew_leases(&self.owner, held, until).await?;
        tx.commit().await
    }

    /// Gives back what this worker held.
    pub(super) async fn release(&self) {
        let released = async {
            let mut tx = self.services.store.write().await?;
            tx.release_leases(Some(&self.owner)).await?;
            tx.commit().await
        };
        if let Err(error) = released.await
            && error.trouble().is_none()
        {
            tracing::error!(%error, "leases could not be given back");
        }
    }
}
