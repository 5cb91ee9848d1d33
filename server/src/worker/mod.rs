//! Carries promotions out. It looks, it is not told: a wake-up only makes it look sooner, what to do it reads from the store.
//!
//! [`Worker::run`] claims what is due, runs the step of its state ([`steps`]), and records the [`Outcome`] in one
//! transaction with the next step and the event. Any step may run twice: after a crash the lease ends and the step is taken
//! again. [`poll`] and [`watch`] keep what Git, registries and Argo CD say up to date.

pub mod outcome;
pub mod poll;
pub mod steps;
pub mod watch;

pub use outcome::Outcome;

use crate::{
    service::{Services, internal},
    store::{NewEvent, StoreError},
    telemetry,
};
use app::error::AppError;
use domain::{
    event::{Happened, Subject},
    id::PromotionId,
    promotion::{Actor, Promotion, State},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Promotions that are worked on at once.
const CONCURRENT: usize = 16;
/// How long a step may take before another worker may take it over.
const LEASE_MILLIS: i64 = 5 * 60 * 1000;
/// Passing failures of one step before it ends in failure: with the back-off below about five minutes.
const MOST_ATTEMPTS: u32 = 14;
/// First back-off; it doubles each time.
const BACK_OFF_MILLIS: i64 = 500;
/// Longest back-off.
const LONGEST_BACK_OFF_MILLIS: i64 = 30_000;
/// How long a stop waits for steps that are under way.
const GRACE: Duration = Duration::from_secs(20);
/// Longest sleep without looking.
const LOOK: Duration = Duration::from_secs(5);

/// What the worker may be told by configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long bringing Argo CD to the commit may take.
    pub sync_timeout: Duration,
    /// How long the rollout may take.
    pub verify_timeout: Duration,
    /// How long health must hold before it is believed.
    pub stable: Duration,
}

/// Carries promotions out.
#[derive(Clone)]
pub struct Worker {
    services: Services,
    settings: Settings,
    owner: Arc<str>,
}

impl Worker {
    /// A worker; `owner` names it among all that work on the same database, and stays the same after a restart.
    #[must_use]
    pub fn new(services: Services, settings: Settings, owner: &str) -> Self {
        Self {
            services,
            settings,
            owner: owner.into(),
        }
    }

    /// Works until told to stop; then finishes what is under way, or hands it over.
    pub async fn run(self, stop: CancellationToken) {
        // What this worker held when it was killed is taken up at once.
        self.release().await;
        let places = Arc::new(Semaphore::new(CONCURRENT));
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            while running.try_join_next().is_some() {}
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = stop.cancelled() => break,
            };
            let Ok(place) = place else { break };
            match self.claim().await {
                Ok(Some(promotion)) => {
                    let worker = self.clone();
                    running.spawn(async move {
                        worker.work_on(promotion).await;
                        drop(place);
                    });
                }
                Ok(None) => {
                    drop(place);
                    self.sleep(&stop, Duration::ZERO).await;
                }
                Err(error) => {
                    drop(place);
                    tracing::error!(%error, "no promotion could be claimed");
                    self.sleep(&stop, Duration::from_secs(1)).await;
                }
            }
        }
        if tokio::time::timeout(GRACE, async { while running.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            tracing::warn!("steps under way were cut off; they are taken up again at the next start");
            running.shutdown().await;
        }
        self.release().await;
    }

    /// Works on what is due until nothing is; for tests.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_until_idle(&self) -> Result<usize, AppError> {
        let mut steps = 0;
        while let Some(promotion) = self.claim().await? {
            self.work_on(promotion).await;
            steps += 1;
        }
        Ok(steps)
    }

    async fn claim(&self) -> Result<Option<Promotion>, StoreError> {
        let now = self.services.now();
        // Most looks find nothing: they should not take the writer's turn.
        let due = self.services.store.read().await?.next_due().await?;
        if due.is_none_or(|due| due > now) {
            return Ok(None);
        }
        let mut tx = self.services.store.claim().await?;
        let claimed = tx
            .claim_promotion(&self.owner, now, now.plus_millis(LEASE_MILLIS))
            .await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn release(&self) {
        let released = async {
            let mut tx = self.services.store.write().await?;
            tx.release_leases(&self.owner).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            tracing::error!(%error, "leases could not be given back");
        }
    }

    /// Sleeps until woken, or until something becomes due, but not for less than `least`.
    async fn sleep(&self, stop: &CancellationToken, least: Duration) {
        let due = match self.services.store.read().await {
            Ok(mut tx) => tx.next_due().await.ok().flatten(),
            Err(_) => None,
        };
        let now = self.services.now();
        let until_due = due.map_or(LOOK, |due| {
            Duration::from_millis(u64::try_from(due.millis_since(now)).unwrap_or_default())
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.services.wake.worker.notified() => {}
            () = tokio::time::sleep(until_due.clamp(least, LOOK)) => {}
        }
    }

    async fn work_on(&self, promotion: Promotion) {
        let id = promotion.id;
        if promotion.attempts >= MOST_ATTEMPTS {
            let reason = "This step was cut off again and again; the server's log says more. Try again.".to_owned();
            if let Err(error) = self.record(&promotion, Outcome::Fail { reason }).await {
                tracing::error!(promotion = %id, %error, "a step's outcome could not be recorded");
            }
            return;
        }
        let outcome = match telemetry::step(&promotion, steps::run(&self.services, &self.settings, &promotion)).await {
            Ok(outcome) => outcome,
            // A fault of our own (the database): the same as an outside one that may pass.
            Err(error) => Outcome::Retry { why: error.to_string() },
        };
        match &outcome {
            Outcome::Wait { .. } => tracing::debug!(promotion = %id, state = %promotion.state, ?outcome, "step"),
            _ => tracing::info!(promotion = %id, state = %promotion.state, ?outcome, "step"),
        }
        match self.record(&promotion, outcome).await {
            Ok(()) | Err(AppError::Conflict(_)) => {}
            Err(error) => tracing::error!(promotion = %id, %error, "a step's outcome could not be recorded"),
        }
    }

    /// Writes the outcome, the next step and the event in one transaction.
    async fn record(&self, promotion: &Promotion, outcome: Outcome) -> Result<(), AppError> {
        let services = &self.services;
        let now = services.now();
        let from = promotion.state;
        let p = promotion.clone();
        let mut events = Vec::new();
        let moved = |to: State, detail: Option<String>| Happened::PromotionMoved { from, to, detail };
        let mut commit = None;
        let (changed, next_at) = match outcome {
            Outcome::Done {
                next,
                detail,
                commit: made,
            } => {
                let mut p = p.become_(next, now).map_err(|e| internal(&e))?;
                if let Some((id, pushes)) = made {
                    events.push(Happened::Committed {
                        commit: id.clone(),
                        pushes,
                    });
                    p.commit = Some(id.clone());
                    p.committed_at = Some(now);
                    commit = Some(id);
                }
                events.push(moved(next, detail));
                (p, now)
            }
            Outcome::Wait { millis, why } => {
                let mut p = p;
                if p.waits_for.as_deref() != Some(&why) {
                    events.push(Happened::PromotionWaits { detail: why.clone() });
                    p.waits_for = Some(why);
                }
                p.attempts = 0;
                (p, now.plus_millis(millis))
            }
            Outcome::Retry { why } if p.attempts + 1 < MOST_ATTEMPTS => {
                let mut p = p;
                if p.waits_for.as_deref() != Some(&why) {
                    events.push(Happened::PromotionWaits { detail: why.clone() });
                    p.waits_for = Some(why);
                }
                p.attempts += 1;
                let at = now.plus_millis(back_off(p.attempts, p.id));
                (p, at)
            }
            Outcome::Retry { why: reason } | Outcome::Fail { reason } => {
                events.push(moved(State::Failed, Some(reason.clone())));
                (p.fail(reason, now).map_err(|e| internal(&e))?, now)
            }
            Outcome::Overtaken { by } => {
                events.push(moved(
                    State::Superseded,
                    Some("A newer promotion was committed before this one was live.".into()),
                ));
                (p.supersede(by, now).map_err(|e| internal(&e))?, now)
            }
        };
        let mut tx = services.store.write().await?;
        tx.update_promotion(&changed, from, next_at).await?;
        let told = !events.is_empty();
        for happened in events {
            let event = NewEvent {
                workspace: changed.workspace,
                subject: subject(&changed),
                actor: Actor::Waybill,
                happened,
            };
            tx.append_event(&event, now).await?;
        }
        if commit.is_some() {
            self.publish(&mut *tx, &changed).await?;
        }
        tx.commit().await?;
        if told {
            services.wrote();
        } else {
            services.wake.worker.notify_one();
        }
        Ok(())
    }

    /// The remote has the commit: what the resource should run is what the promotion says, and its followers follow.
    async fn publish(&self, tx: &mut dyn crate::store::Tx, promotion: &Promotion) -> Result<(), AppError> {
        let services = &self.services;
        let now = services.now();
        let (Some(resource), Some(project)) = (
            tx.resource(promotion.resource).await?,
            tx.project(promotion.project).await?,
        ) else {
            return Ok(());
        };
        tx.see_artifact(promotion.workspace, &promotion.image, now).await?;
        if resource.desired.as_ref() != Some(&promotion.image) {
            tx.set_desired(resource.id, Some(&promotion.image), now).await?;
        }
        let place = services.place_for_waybill(tx, project).await?;
        services.follow(tx, &place, &resource, &promotion.image).await
    }
}

fn subject(promotion: &Promotion) -> Subject {
    Subject {
        project: Some(promotion.project),
        environment: Some(promotion.environment),
        resource: Some(promotion.resource),
        promotion: Some(promotion.id),
    }
}

/// Doubles each time up to a bound, and spreads promotions that failed together, by their ids.
fn back_off(attempts: u32, id: PromotionId) -> i64 {
    let base = BACK_OFF_MILLIS
        .saturating_mul(1_i64 << attempts.saturating_sub(1).min(16))
        .min(LONGEST_BACK_OFF_MILLIS);
    let spread = i64::try_from(id.0.as_u128() % 251).unwrap_or(0);
    base + base * spread / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_bound_and_spreads() {
        let id = |n| PromotionId(uuid::Uuid::from_u128(n));
        assert_eq!([1, 2, 3, 4].map(|n| back_off(n, id(0))), [500, 1000, 2000, 4000]);
        assert_eq!(back_off(40, id(0)), LONGEST_BACK_OFF_MILLIS);
        assert!(back_off(3, id(250)) > back_off(3, id(0)));
        assert!(back_off(40, id(250)) <= LONGEST_BACK_OFF_MILLIS * 5 / 4);
    }
}
