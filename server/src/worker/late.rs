//! What failed and is live after all: a rollout that was given up may end well when Argo CD's window opens, when it can render again, or
//! when a person mends what was in the way. For a day such a promotion is put right as soon as what it promised is proven.

use super::{Worker, steps};
use crate::{
    back_off::{About, Ask},
    service::context::internal,
    store::{NewEvent, StoreError},
};
use contract::error::AppError;
use domain::{
    event::{Happened, Subject},
    plan::Health,
    promotion::{Actor, Promotion},
};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// For how long after its failure a promotion may turn out to be live.
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Promotions that are looked at each time, the newest.
const MOST: i64 = 100;

impl Worker {
    /// Puts promotions right until told to stop.
    pub(super) async fn put_right(&self, stop: &CancellationToken) {
        loop {
            match self.look_at_failed().await {
                Ok(()) | Err(AppError::Unavailable(_)) => {}
                Err(error) => tracing::error!(%error, "it could not be looked for what is live after all"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look_at_failed(&self) -> Result<(), AppError> {
        let services = &self.services;
        let now = services.now();
        let mut tx = services.store.read().await?;
        let mut candidates = Vec::new();
        for promotion in tx.failed_since(now.plus_millis(-DAY_MILLIS), MOST).await? {
            let Some(resource) = tx.resource(promotion.resource).await? else {
                continue;
            };
            // What Argo CD said last decides whether it is worth asking it.
            let seems_live = (resource.live.as_ref())
                .is_some_and(|live| live.health == Health::Healthy && live.digests.contains(&promotion.image.digest));
            if seems_live
                && resource.declares(&promotion.image.digest)
                && tx.committed_after(&promotion).await?.is_none()
            {
                candidates.push(promotion);
            }
        }
        drop(tx);
        for promotion in candidates {
            if !services
                .wake
                .patience
                .may(promotion.id, Ask::Look, &About::LiveAfterAll, now)
            {
                continue;
            }
            let since = Instant::now();
            let proof = steps::live_after_all(services, &self.settings, &self.known, &promotion, since).await?;
            if let Some(evidence) = proof {
                self.is_live_after_all(promotion, evidence).await?;
            }
        }
        Ok(())
    }

    async fn is_live_after_all(&self, promotion: Promotion, evidence: String) -> Result<(), AppError> {
        let services = &self.services;
        let (now, from) = (services.now(), promotion.state);
        let mut tx = services.store.write().await?;
        // Something newer may have come in between.
        if tx.committed_after(&promotion).await?.is_some() {
            return Ok(());
        }
        let (right, failure) = promotion.is_live_after_all(now).map_err(|e| internal(&e))?;
        match tx.update_promotion(&right, from, now).await {
            Ok(()) => {}
            // A person tried it again meanwhile.
            Err(StoreError::Stale) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // What ran while nobody vouched for it is no soak.
        if tx.open_runs(right.resource).await?.contains(&right.image.digest) {
            tx.end_run(right.resource, &right.image.digest, now, false).await?;
            tx.begin_run(right.resource, &right.image.digest, now).await?;
        }
        let event = NewEvent {
            workspace: right.workspace,
            subject: Subject::promotion(&right),
            actor: Actor::Waybill,
            happened: Happened::PromotionLiveAfterAll { failure, evidence },
        };
        tx.append_event(&event, now).await?;
        tx.commit().await?;
        services.wake.patience.worked(right.id, Ask::Look);
        services.wrote();
        tracing::info!(promotion = %right.id, "a failed promotion is live after all");
        Ok(())
    }
}
