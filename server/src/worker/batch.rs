//! One writer per repository: promotions that are ready for their commit gather here, and go out with one push.
//!
//! Nobody waits for company: the first one is committed at once, and what comes while its push is under way makes the next
//! batch. So one alone is fast, and a thousand are a few pushes.

use super::{Outcome, Worker, claim::Hold, steps};
use crate::{service::observe, telemetry};
use domain::{
    id::{ProjectId, ResourceId},
    promotion::Promotion,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Commits that go out with one push, at most.
const LARGEST: usize = 1_000;

/// What is ready for its commit, by project.
#[derive(Debug, Default)]
pub(super) struct Commits(Mutex<HashMap<ProjectId, Vec<(Promotion, Hold)>>>);

impl Commits {
    fn ready(&self) -> MutexGuard<'_, HashMap<ProjectId, Vec<(Promotion, Hold)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds promotions of one project; true when nobody commits for the project yet.
    fn add(&self, project: ProjectId, promotions: Vec<(Promotion, Hold)>) -> bool {
        let mut ready = self.ready();
        match ready.get_mut(&project) {
            Some(waiting) => {
                waiting.extend(promotions);
                false
            }
            None => {
                ready.insert(project, promotions);
                true
            }
        }
    }

    /// The next batch, in the order in which they became ready; of one resource the elder is committed first. `None` when nothing is
    /// left, and nobody commits for the project any more.
    fn next(&self, project: ProjectId) -> Option<Vec<(Promotion, Hold)>> {
        let mut ready = self.ready();
        let waiting = ready.get_mut(&project)?;
        if waiting.is_empty() {
            ready.remove(&project);
            return None;
        }
        in_turn(waiting, |(promotion, _)| (promotion.resource, promotion.number));
        let many = waiting.len().min(LARGEST);
        Some(waiting.drain(..many).collect())
    }
}

/// The first ready first, with all that are ready of the same resource by their numbers: a number says nothing about another resource's.
fn in_turn<T>(waiting: &mut [T], place: impl Fn(&T) -> (ResourceId, i64)) {
    let mut ready_at: HashMap<ResourceId, usize> = HashMap::with_capacity(waiting.len());
    for (at, one) in waiting.iter().enumerate() {
        ready_at.entry(place(one).0).or_insert(at);
    }
    waiting.sort_by_cached_key(|one| {
        let (resource, number) = place(one);
        (ready_at.get(&resource).copied(), number)
    });
}

/// Who commits for a project. One that is cut off makes room for the next; what it left is taken again when its leases end.
struct Writer {
    commits: Arc<Commits>,
    project: Option<ProjectId>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(project) = self.project {
            self.commits.ready().remove(&project);
        }
    }
}

impl Worker {
    /// Hands promotions that are to be committed to their project's writer.
    pub(super) fn commit(&self, project: ProjectId, promotions: Vec<(Promotion, Hold)>) {
        if self.commits.add(project, promotions) {
            let worker = self.clone();
            self.tasks.spawn(async move {
                let mut writer = Writer {
                    commits: Arc::clone(&worker.commits),
                    project: Some(project),
                };
                let cut_off = worker.cut_off.clone();
                let writing = async {
                    while let Some(batch) = worker.commits.next(project) {
                        worker.commit_batch(batch).await;
                    }
                    writer.project = None;
                };
                tokio::select! {
                    () = writing => {}
                    () = cut_off.cancelled() => {}
                }
            });
        }
    }

    async fn commit_batch(&self, batch: Vec<(Promotion, Hold)>) {
        let (promotions, holds): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let outcomes = telemetry::batch(&promotions, steps::commit(&self.services, &promotions), Outcome::word).await;
        let now = self.services.now();
        let outcomes: Vec<_> = promotions
            .into_iter()
            .zip(outcomes)
            .map(|(promotion, outcome)| {
                let outcome = steps::in_time(&promotion, outcome, &self.settings, now);
                super::told(&promotion, &outcome);
                (promotion, outcome)
            })
            .collect();
        let moved = outcomes
            .iter()
            .find(|(_, outcome)| matches!(outcome, Outcome::Withdrawn { .. }));
        let moved = moved.map(|(promotion, _)| promotion.project);
        let recorded = self.record_all(outcomes).await;
        // What they did is a hold, from now on.
        if let Some(project) = moved
            && let Err(error) = observe::read_desired(&self.services, project).await
        {
            tracing::warn!(%project, %error, "a repository that somebody changed could not be read");
        }
        let since = Instant::now();
        for (recorded, hold) in recorded.into_iter().zip(holds) {
            if let Some(promotion) = recorded {
                self.go_on(promotion, hold, since);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_resource_the_elder_goes_first_and_none_waits_for_having_a_higher_number() {
        let resource = |n| ResourceId(uuid::Uuid::from_u128(n));
        let mut waiting = [
            (resource(9), 700),
            (resource(1), 2),
            (resource(9), 699),
            (resource(1), 1),
        ];
        in_turn(&mut waiting, |one| *one);
        assert_eq!(
            waiting,
            [
                (resource(9), 699),
                (resource(9), 700),
                (resource(1), 1),
                (resource(1), 2)
            ]
        );
    }
}
