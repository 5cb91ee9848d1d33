//! The steps, a file each. A step looks at the world, acts at most once, and says what came of it.

use super::{Outcome, Settings};
use crate::{
    service::{Services, reach::ProjectPlace},
    store::ClusterRecord,
};

pub(super) use commit_and_push::{author, waybill};

use contract::error::AppError;
use domain::{
    environment::Environment,
    id::PromotionId,
    promotion::{Failed, Promotion, State},
    resource::Resource,
    time::Timestamp,
};

pub(super) use known::SharedAnswers;

use rollout::is_live;
use std::{sync::Arc, time::Instant};

mod commit_and_push;
mod known;
mod resolve;
mod rollout;
mod way_free;

/// How long a promotion may be about its image or its commit: far longer than all that passes by itself.
const COMMIT_LIMIT_MILLIS: i64 = 20 * 60 * 1000;

/// What the steps that ask Argo CD work with.
struct Work<'a> {
    services: &'a Services,
    settings: &'a Settings,
    promotion: &'a Promotion,
    place: Arc<ProjectPlace>,
    environment: Environment,
    resource: Resource,
}

impl Work<'_> {
    fn cluster(&self) -> Option<&ClusterRecord> {
        self.place.cluster(&self.environment)
    }

    /// The newer promotion of the resource whose commit is on the remote, if there is one: what this one promises will not be live.
    async fn overtaken_by(&self) -> Result<Option<PromotionId>, AppError> {
        let mut tx = self.services.store.read().await?;
        Ok(tx.committed_after(self.promotion).await?)
    }
}

pub(super) fn gone(what: &str) -> Outcome {
    Outcome::Fail {
        reason: format!("The {what} no longer exists."),
    }
}

/// Runs the step of the promotion's state; commits go through [`commit`], copies through `worker/copies.rs`. The promotion was read before `since`.
pub(super) async fn run(
    services: &Services,
    settings: &Settings,
    known: &SharedAnswers,
    promotion: &Promotion,
    since: Instant,
) -> Result<Outcome, AppError> {
    let Some(place) = known.place(services, promotion.project, since).await? else {
        return Ok(gone("project"));
    };
    if promotion.state == State::Queued {
        return resolve::run(services, known, promotion, &place, since).await;
    }
    let work = match work(services, settings, promotion, place).await? {
        Ok(work) => work,
        Err(outcome) => return Ok(outcome),
    };
    match promotion.state {
        State::Syncing | State::Verifying => rollout::run(&work).await,
        state => Ok(Outcome::Fail {
            reason: format!("A promotion that is {state} has no step of its own."),
        }),
    }
}

/// What a step that asks Argo CD works with, or what comes of it that something of that is gone.
async fn work<'a>(
    services: &'a Services,
    settings: &'a Settings,
    promotion: &'a Promotion,
    place: Arc<ProjectPlace>,
) -> Result<Result<Work<'a>, Outcome>, AppError> {
    let resource = services.store.read().await?.resource(promotion.resource).await?;
    let Some(resource) = resource else {
        return Ok(Err(gone("resource")));
    };
    let environment = place.environments.iter().find(|e| e.id == promotion.environment);
    let Some(environment) = environment.cloned() else {
        return Ok(Err(gone("environment")));
    };
    Ok(Ok(Work {
        services,
        settings,
        promotion,
        place,
        environment,
        resource,
    }))
}

/// What proves that what a failed promotion promised is live, if it is. The promotion was read before `since`.
pub(super) async fn live_after_all(
    services: &Services,
    settings: &Settings,
    known: &SharedAnswers,
    promotion: &Promotion,
    since: Instant,
) -> Result<Option<String>, AppError> {
    let Some(place) = known.place(services, promotion.project, since).await? else {
        return Ok(None);
    };
    match work(services, settings, promotion, place).await? {
        Ok(work) => is_live(&work).await,
        Err(_) => Ok(None),
    }
}

/// Commits promotions of one project; an outcome for each.
pub(super) async fn commit(services: &Services, promotions: &[Promotion]) -> Vec<Outcome> {
    commit_and_push::run(services, promotions).await
}

/// A rollout's time-out with room for Argo CD's word: who gives Waybill the time that a Deployment has (`progressDeadlineSeconds`) wants to read
/// why it failed, not that somebody stopped waiting a moment before.
fn with_verdict(millis: i64) -> i64 {
    millis.saturating_add((millis / 10).min(60_000))
}

/// Nothing waits for ever: past the time-out of its state a wait becomes a failure that says what was last seen.
pub(super) fn in_time(promotion: &Promotion, outcome: Outcome, settings: &Settings, now: Timestamp) -> Outcome {
    let (Outcome::Wait { why, .. } | Outcome::Retry { why }) = &outcome else {
        return outcome;
    };
    let millis = |limit: std::time::Duration| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    let (limit, remedy) = match promotion.state {
        // People take the time they take, and a copy the time that its bytes take.
        State::Waiting | State::Mirroring => return outcome,
        State::Syncing => (
            millis(settings.sync_timeout),
            "Look at the application in Argo CD, then try again.",
        ),
        State::Verifying => (
            with_verdict(millis(settings.verify_timeout)),
            "Look at the application in Argo CD, then try again.",
        ),
        _ => (COMMIT_LIMIT_MILLIS, "Try again when that is mended."),
    };
    let waited = now.millis_since(promotion.counts_since());
    if waited <= limit {
        return outcome;
    }
    Outcome::Failed(Failed {
        reason: format!("Timed out after {}. Last state: {why}", domain::time::duration(waited)),
        remedy: Some(remedy.to_owned()),
        said: Vec::new(),
    })
}
