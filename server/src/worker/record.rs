//! What came of steps is written: the outcome, the next step and the events in one transaction, for many promotions at once.
//!
//! What gathers while one transaction is written goes into the next ([`Gather`]). One promotion's fault is not the others': when the
//! whole can't be written, each is written by itself.

use super::{Outcome, Worker, claim::LEASE_MILLIS};
use crate::{
    gather::{Gather, Waiting},
    service::{
        Services,
        context::internal,
        gates, observe, promotion, queue,
        reach::{self, ProjectPlace},
    },
    store::{NewEvent, Tx},
};
use contract::error::AppError;
use domain::{
    event::{Happened, Subject},
    id::{ProjectId, PromotionId},
    promotion::{Actor, Failure, Phase, Promotion, State},
    resource::{Hold, HoldCause, Resource},
    time::Timestamp,
};
use std::collections::{HashMap, hash_map::Entry};

/// Passing failures of one step before it ends in failure: with the back-off below about five minutes.
pub(super) const MOST_ATTEMPTS: u32 = 14;
/// First back-off; it doubles each time.
const BACK_OFF_MILLIS: i64 = 500;
/// Longest back-off.
const LONGEST_BACK_OFF_MILLIS: i64 = 30_000;
/// Promotions written in one transaction: others who write wait meanwhile.
const MOST_AT_ONCE: usize = 256;
/// Outcomes that wait to be written; the promotion as it is then, when the next step follows at once.
pub(super) type Recorder = Gather<(Promotion, Outcome), Option<Promotion>>;
type Recorded = Waiting<(Promotion, Outcome), Option<Promotion>>;

impl Worker {
    /// Writes what came of a step. Returns the promotion as it is now when the next step follows at once: its lease is kept then.
    pub(super) async fn record(&self, promotion: Promotion, outcome: Outcome) -> Option<Promotion> {
        self.record_all(vec![(promotion, outcome)]).await.pop().flatten()
    }

    /// As [`Worker::record`], for several.
    pub(super) async fn record_all(&self, outcomes: Vec<(Promotion, Outcome)>) -> Vec<Option<Promotion>> {
        let answers = self.recorder.add(outcomes);
        {
            let mut turn = self.recorder.turn().await;
            while let Some(gathered) = turn.next(MOST_AT_ONCE) {
                self.write(gathered).await;
            }
        }
        let mut recorded = Vec::with_capacity(answers.len());
        for answer in answers {
            // Who held the turn was cut off: the lease runs out, and the step is taken again.
            recorded.push(answer.await.unwrap_or_default());
        }
        recorded
    }

    async fn write(&self, gathered: Vec<Recorded>) {
        let outcomes: Vec<_> = gathered.iter().map(|w| (&w.item.0, &w.item.1)).collect();
        let written = match self.try_write(&outcomes).await {
            Ok(written) => written,
            // Nor could one by itself: what was done is found again, and recorded, when it is taken up once more.
            Err(AppError::Unavailable(_)) => vec![None; outcomes.len()],
            Err(error) if outcomes.len() > 1 => {
                tracing::warn!(%error, "outcomes could not be recorded together; each is recorded by itself");
                let mut written = Vec::with_capacity(outcomes.len());
                for outcome in &outcomes {
                    match self.try_write(std::slice::from_ref(outcome)).await {
                        Ok(one) => written.extend(one),
                        Err(error) => {
                            unrecorded(outcome.0.id, &error);
                            written.push(None);
                        }
                    }
                }
                written
            }
            Err(error) => {
                outcomes
                    .iter()
                    .for_each(|(promotion, _)| unrecorded(promotion.id, &error));
                vec![None; outcomes.len()]
            }
        };
        for (waiting, written) in gathered.into_iter().zip(written) {
            // Who waited may be gone.
            let _ = waiting.written.send(written);
        }
    }

    async fn try_write(&self, outcomes: &[(&Promotion, &Outcome)]) -> Result<Vec<Option<Promotion>>, AppError> {
        let services = &self.services;
        let now = services.now();
        let mut places = Places::default();
        let (mut written, mut told, mut marked) = (Vec::with_capacity(outcomes.len()), false, false);
        let mut tx = services.store.write().await?;
        for (promotion, outcome) in outcomes {
            let newer = match outcome {
                Outcome::Overtaken { by, .. } => tx.promotion(*by).await?,
                _ => None,
            };
            let change = Transition::of(promotion, outcome, newer.as_ref(), now)?;
            match tx
                .update_promotion(&change.promotion, promotion.state, change.next_at)
                .await
            {
                Ok(()) => {}
                // A person or a newer promotion was faster; what they wrote holds.
                Err(crate::store::StoreError::Stale) => {
                    written.push(None);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if change.goes_on {
                let until = now.plus_millis(LEASE_MILLIS);
                tx.keep_lease(promotion.id, &self.owner, until).await?;
            }
            told |= !change.events.is_empty();
            for happened in change.events {
                let event = NewEvent {
                    workspace: promotion.workspace,
                    subject: subject(promotion),
                    actor: Actor::Waybill,
                    happened,
                };
                tx.append_event(&event, now).await?;
            }
            if matches!(outcome, Outcome::NoFile { .. }) {
                hold_without_file(&mut *tx, promotion, now).await?;
            }
            if let Some(stands) = change.published {
                publish(services, &mut *tx, &mut places, &change.promotion, stands).await?;
            }
            let was_committed = promotion.state.phase() == Phase::AfterCommit;
            if was_committed
                && change.promotion.state == State::Failed
                && let Some(place) = places.of(&mut *tx, promotion.project).await?
            {
                promotion::take_back(services, &mut *tx, place, &change.promotion).await?;
            }
            if change.promotion.state == State::Succeeded
                && let Some(place) = places.of(&mut *tx, promotion.project).await?
            {
                marked |= promotion::mark(&mut *tx, place, &change.promotion, now).await?;
            }
            written.push(change.goes_on.then_some(change.promotion));
        }
        tx.commit().await?;
        if marked {
            services.wake.tags.notify_one();
        }
        if told {
            services.wrote();
        } else {
            services.wake.worker.notify_one();
        }
        Ok(written)
    }
}

fn unrecorded(promotion: PromotionId, error: &AppError) {
    tracing::error!(%promotion, %error, "a step's outcome could not be recorded");
}

/// What an outcome makes of a promotion.
struct Transition {
    promotion: Promotion,
    next_at: Timestamp,
    events: Vec<Happened>,
    /// Whether the next step follows at once.
    goes_on: bool,
    /// That the remote has its commit, and whether the file still says what it wrote.
    published: Option<bool>,
}

impl Transition {
    /// `newer` is the promotion that overtook it, if one did.
    fn of(
        promotion: &Promotion,
        outcome: &Outcome,
        newer: Option<&Promotion>,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let from = promotion.state;
        let moved = |to: State, detail: Option<String>| Happened::PromotionMoved { from, to, detail };
        let mut p = promotion.clone();
        let mut events = Vec::new();
        let (mut goes_on, mut published, mut next_at) = (false, None, now);
        match outcome {
            Outcome::Prepare { copy_to, detail } => {
                p = p.become_(State::Mirroring, now).map_err(|e| internal(&e))?;
                p.copied_to.clone_from(copy_to);
                events.push(moved(State::Mirroring, Some(detail.clone())));
            }
            Outcome::Done { next, detail, commit } => {
                if p.state == State::Queued {
                    p.copied_to = None;
                }
                p = p.become_(*next, now).map_err(|e| internal(&e))?;
                if let Some((commit, pushes)) = commit {
                    events.push(Happened::Committed {
                        commit: commit.clone(),
                        pushes: *pushes,
                    });
                    p.commit = Some(commit.clone());
                    p.committed_at = Some(now);
                    published = Some(true);
                }
                events.push(moved(*next, detail.clone()));
                // What was copied takes its turn among the commits like everything else.
                goes_on = !next.is_ended() && from != State::Mirroring;
            }
            Outcome::Wait { millis, why } => {
                wait_for(&mut p, why, &mut events);
                p.attempts = 0;
                next_at = now.plus_millis(*millis);
            }
            Outcome::Closed { millis, why } => {
                wait_for(&mut p, why, &mut events);
                p.attempts = 0;
                next_at = now.plus_millis(*millis);
                // It may open at any moment until then.
                p.counts_from = Some(next_at);
            }
            Outcome::Failed(failed) => {
                p = p.fail(failed.clone(), now).map_err(|e| internal(&e))?;
                let words = p.failure.as_ref().map(Failure::words);
                events.push(moved(State::Failed, words));
            }
            Outcome::Paused { millis, why } => {
                wait_for(&mut p, why, &mut events);
                (p.attempts, p.state_since) = (0, now);
                next_at = now.plus_millis(*millis);
            }
            Outcome::Retry { why } if p.attempts + 1 < MOST_ATTEMPTS => {
                wait_for(&mut p, why, &mut events);
                p.attempts += 1;
                next_at = now.plus_millis(back_off(p.attempts, p.id));
            }
            Outcome::Retry { why: reason } | Outcome::Fail { reason } | Outcome::NoFile { reason } => {
                events.push(moved(State::Failed, Some(reason.clone())));
                p = p.fail(reason.clone(), now).map_err(|e| internal(&e))?;
            }
            Outcome::Withdrawn { why, commit } => {
                if let Some(commit) = commit {
                    events.push(Happened::Committed {
                        commit: commit.clone(),
                        pushes: 0,
                    });
                    p.commit = Some(commit.clone());
                    p.committed_at = Some(now);
                    published = Some(false);
                }
                events.push(moved(State::Cancelled, Some(why.clone())));
                p = p.cancel(why.as_str(), now).map_err(|e| internal(&e))?;
            }
            Outcome::Overtaken { by, commit } => {
                // What the resource should run is what the newer one says.
                if let Some(commit) = commit {
                    events.push(Happened::Committed {
                        commit: commit.clone(),
                        pushes: 0,
                    });
                    p.commit = Some(commit.clone());
                    p.committed_at = Some(now);
                }
                let why = overtaken(&p, newer);
                events.push(moved(State::Superseded, Some(why.clone())));
                p = p.supersede(*by, now).map_err(|e| internal(&e))?;
                p.waits_for = Some(why);
            }
        }
        Ok(Self {
            promotion: p,
            next_at,
            events,
            goes_on,
            published,
        })
    }
}

/// Why a promotion ends because a newer one of its resource was committed.
fn overtaken(promotion: &Promotion, newer: Option<&Promotion>) -> String {
    let label = newer.map_or("a newer image", |newer| newer.image.short_label());
    let went = match newer.map(|newer| newer.state) {
        Some(State::Succeeded) => "went live",
        _ => "was committed after it",
    };
    match &promotion.commit {
        Some(commit) => {
            let commit = commit.get(..7).unwrap_or(commit);
            format!("Overtaken: its commit {commit} is in Git, {label} {went}.")
        }
        None => format!("A newer promotion took its place: {label} {went} before this one was committed."),
    }
}

fn wait_for(promotion: &mut Promotion, why: &str, events: &mut Vec<Happened>) {
    if promotion.waits_for.as_deref() != Some(why) {
        events.push(Happened::PromotionWaits { detail: why.to_owned() });
        promotion.waits_for = Some(why.to_owned());
    }
}

/// Projects that were read in this transaction.
#[derive(Default)]
struct Places(HashMap<ProjectId, Option<ProjectPlace>>);

impl Places {
    async fn of(&mut self, tx: &mut dyn Tx, project: ProjectId) -> Result<Option<&ProjectPlace>, AppError> {
        let place = match self.0.entry(project) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(match tx.project(project).await? {
                Some(record) => Some(reach::place_for_waybill(tx, record).await?),
                None => None,
            }),
        };
        Ok(place.as_ref())
    }
}

/// The remote has the commit: what the resource should run is what the promotion says, and its followers follow. Where somebody changed
/// the file since, the next read of Git finds that it says something else than was recorded, and who did it.
async fn publish(
    services: &Services,
    tx: &mut dyn Tx,
    places: &mut Places,
    promotion: &Promotion,
    stands: bool,
) -> Result<(), AppError> {
    let now = services.now();
    let Some(mut resource) = tx.resource(promotion.resource).await? else {
        return Ok(());
    };
    let placed = promotion.placed();
    observe::see_placed(tx, promotion, &placed, now).await?;
    if resource.desired.as_ref() != Some(&placed) {
        tx.set_desired(resource.id, Some(&placed), now).await?;
        resource.desired = Some(placed.clone());
        gates::soak_went_on(tx, (promotion.workspace, promotion.project), &resource, now).await?;
    }
    match places.of(tx, promotion.project).await? {
        Some(place) if stands => queue::follow(services, tx, place, &resource, &placed).await,
        _ => Ok(()),
    }
}

/// Automation would ask for the file again with each newer image: the resource is held until a person says what is meant.
async fn hold_without_file(tx: &mut dyn Tx, promotion: &Promotion, now: Timestamp) -> Result<(), AppError> {
    let resource = tx.resource(promotion.resource).await?;
    let Some(resource) = resource.filter(Resource::follows_by_itself) else {
        return Ok(());
    };
    let cause = HoldCause::NoFile;
    let hold = Hold {
        cause,
        by: Actor::Waybill,
        at: now,
        outside: None,
        renamed: None,
    };
    tx.set_hold(resource.id, Some(&hold)).await?;
    let event = NewEvent {
        workspace: promotion.workspace,
        subject: Subject {
            promotion: None,
            ..subject(promotion)
        },
        actor: Actor::Waybill,
        happened: Happened::Held { cause, outside: None },
    };
    tx.append_event(&event, now).await?;
    Ok(())
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
