//! Carries promotions out. It looks, it is not told: a wake-up only makes it look sooner, what to do it reads from the store.
//!
//! [`Worker::run`] takes what is due under a lease ([`claim`]), runs the step of its state ([`steps`]), and records the
//! [`Outcome`] in one transaction with the next step and the events ([`record`]). Where the next step follows at once the
//! lease is kept. Where an image is pulled from another registry it is copied there
//! first ([`copies`], [`ready`]). Commits gather per repository and go out together ([`batch`]). Any step may run twice: after a crash the
//! lease ends and the step is taken again. What a promotion waits for is asked for beside that ([`signatures`]). [`poll`] and [`watch`] keep what Git, registries and Argo CD say up to date,
//! [`tags`] sets the tags of environments, [`presence`] looks whether what runs can still be pulled, [`late`] puts right what failed and is live after all, [`notify`] tells people elsewhere, [`git_removals`] removes from Git what was deleted here.

use crate::{
    service::{Services, gates, observe, queue},
    telemetry,
};
use batch::Commits;
use claim::{HeldPromotions, Hold};
use contract::error::AppError;
use domain::{
    id::ProjectId,
    promotion::{Phase, Promotion, State},
};

pub use outcome::Outcome;

use record::{MOST_ATTEMPTS, Recorder};
use signatures::Asking;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use steps::SharedAnswers;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod batch;
mod claim;
mod closer;
mod copies;
pub mod git_removals;
mod late;
pub mod notify;
pub mod outcome;
pub mod poll;
pub mod presence;
mod ready;
mod record;
mod signatures;
mod statements;
pub mod steps;
pub mod tags;
pub mod watch;

/// Steps up to the commit that run at once; commits are not among them.
const RESOLVING: usize = 32;
/// Copies of images that are made at once; how many streams they have, the copier limits by host.
const MIRRORING: usize = 8;
/// Promotions for which only something is written beside their image, at once: a registry that hangs holds the others up for less.
const PREPARING: usize = 64;
/// Looks at Argo CD that run at once. They have their own places: an Argo CD that hangs holds no commit up.
const ROLLING_OUT: usize = 32;
/// A step that takes longer hangs: the time-outs of what it calls are shorter. Commits have longer, for a first fetch.
const LONGEST_STEP: Duration = Duration::from_secs(150);
/// How long a promotion waits for what its image was built from.
const LONGEST_LEARNING: Duration = Duration::from_secs(10);
/// How long a stop waits for steps that are under way.
const GRACE: Duration = Duration::from_secs(20);
/// Longest sleep without looking.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after the database failed.
const AGAIN: Duration = Duration::from_secs(1);
/// Shortest sleep after a look that found something due which isn't to be had: another replica's, or of a full lane.
const LEAST: Duration = Duration::from_millis(25);
/// The same while no more copies can be begun. Whoever asks for a promotion wakes the worker nevertheless.
const LEAST_WHEN_FULL: Duration = Duration::from_millis(250);
/// How often it is looked whether something is stuck.
const WATCHDOG: Duration = Duration::from_secs(30);

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
    held: Arc<HeldPromotions>,
    recorder: Arc<Recorder>,
    commits: Arc<Commits>,
    known: Arc<SharedAnswers>,
    asking: Arc<Asking>,
    resolving: Arc<Semaphore>,
    mirroring: Arc<Semaphore>,
    preparing: Arc<Semaphore>,
    rolling_out: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Copies that are under way: they end when the worker stops, and go on elsewhere.
    copying: CancellationToken,
    /// What is cut off when the grace of a stop is over.
    cut_off: CancellationToken,
}

impl Worker {
    /// A worker; `owner` names this life of it among all that work on the same database.
    #[must_use]
    pub fn new(services: Services, settings: Settings, owner: &str) -> Self {
        Self {
            services,
            settings,
            owner: owner.into(),
            held: Arc::default(),
            recorder: Arc::default(),
            commits: Arc::default(),
            known: Arc::default(),
            asking: Arc::default(),
            resolving: Arc::new(Semaphore::new(RESOLVING)),
            mirroring: Arc::new(Semaphore::new(MIRRORING)),
            preparing: Arc::new(Semaphore::new(PREPARING)),
            rolling_out: Arc::new(Semaphore::new(ROLLING_OUT)),
            tasks: TaskTracker::new(),
            copying: CancellationToken::new(),
            cut_off: CancellationToken::new(),
        }
    }

    /// Works until told to stop; then finishes what is under way, or hands it over.
    pub async fn run(self, stop: CancellationToken) {
        let beats = CancellationToken::new();
        let beating = tokio::spawn({
            let (worker, beats) = (self.clone(), beats.clone());
            async move { worker.beat(beats).await }
        });
        let watching = tokio::spawn({
            let (worker, stop) = (self.clone(), stop.clone());
            async move { worker.watch_over(stop).await }
        });
        let looking_back = tokio::spawn({
            let (worker, stop) = (self.clone(), stop.clone());
            async move { worker.put_right(&stop).await }
        });
        while !stop.is_cancelled() {
            // What was done could not be written down, and would be done once more: nothing is begun meanwhile.
            let store = &self.services.store;
            if store.trouble().is_some() && store.check_writable().await.is_err() {
                pause(&stop).await;
                continue;
            }
            match self.claim().await {
                Ok(claimed) if claimed.is_empty() => {
                    // A copy that has to wait for its turn is due all the time.
                    let least = if self.held.is_mirroring_all_it_can() {
                        LEAST_WHEN_FULL
                    } else {
                        LEAST
                    };
                    self.sleep(&stop, least).await;
                }
                Ok(claimed) => self.take_up(claimed),
                Err(error) => {
                    if error.trouble().is_none() {
                        tracing::error!(%error, "no promotion could be claimed");
                    }
                    pause(&stop).await;
                }
            }
        }
        self.copying.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("steps under way were cut off; they are taken up again at the next start");
            self.cut_off.cancel();
            self.tasks.wait().await;
        }
        beats.cancel();
        // They end with their tokens; a fault in them was logged where it happened.
        let _ = tokio::join!(beating, watching, looking_back);
        self.release().await;
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

    fn take_up(&self, claimed: Vec<(Promotion, Hold)>) {
        let since = Instant::now();
        let mut commits: HashMap<ProjectId, Vec<_>> = HashMap::new();
        for (promotion, hold) in claimed {
            if promotion.state == State::Committing && promotion.attempts < MOST_ATTEMPTS {
                commits.entry(promotion.project).or_default().push((promotion, hold));
            } else {
                self.go_on(promotion, hold, since);
            }
        }
        for (project, promotions) in commits {
            self.commit(project, promotions);
        }
    }

    /// Takes a promotion's next step, and those that follow at once. It was read before `since`: what the step needs to know
    /// besides is read after that.
    fn go_on(&self, promotion: Promotion, hold: Hold, since: Instant) {
        let worker = self.clone();
        self.tasks.spawn(async move {
            let cut_off = worker.cut_off.clone();
            tokio::select! {
                () = worker.steps(promotion, hold, since) => {}
                () = cut_off.cancelled() => {}
            }
        });
    }

    async fn steps(&self, mut promotion: Promotion, hold: Hold, mut since: Instant) {
        loop {
            hold.moves_with(&promotion);
            let is_bound_over = promotion.attempts >= MOST_ATTEMPTS;
            if promotion.state == State::Committing && !is_bound_over {
                self.commit(promotion.project, vec![(promotion, hold)]);
                return;
            }
            if promotion.state == State::Waiting && !is_bound_over {
                // It is read and written in one transaction: what people say meanwhile is not missed.
                match gates::pass_gates(&self.services, promotion.id).await {
                    Ok(false) => {}
                    Ok(true) => {
                        // The answer may come at once, and then it must be free to be taken up.
                        drop(hold);
                        self.ask_for_signatures(promotion);
                    }
                    // It is taken up again when its lease has run out.
                    Err(AppError::Unavailable(_)) => {}
                    Err(error) => {
                        tracing::error!(promotion = %promotion.id, %error, "gates could not be looked at");
                        let why = error.to_string();
                        self.record(promotion, Outcome::Retry { why }).await;
                    }
                }
                return;
            }
            let outcome = if is_bound_over {
                let reason = "This step was cut off again and again; the server's log says more. Try again.".to_owned();
                Outcome::Fail { reason }
            } else {
                self.step(&promotion, since).await
            };
            told(&promotion, &outcome);
            match self.record(promotion, outcome).await {
                Some(next) => promotion = next,
                None => return,
            }
            since = Instant::now();
        }
    }

    /// What came of the step of the promotion's state.
    async fn step(&self, promotion: &Promotion, since: Instant) -> Outcome {
        let places = match promotion.state.phase() {
            _ if promotion.state == State::Mirroring && promotion.copied_to.is_some() => &self.mirroring,
            _ if promotion.state == State::Mirroring => &self.preparing,
            Phase::AfterCommit => &self.rolling_out,
            Phase::BeforeCommit | Phase::Committing | Phase::Ended => &self.resolving,
        };
        let Ok(_place) = places.acquire().await else {
            return Outcome::Retry {
                why: "The server is stopping.".into(),
            };
        };
        let hung = || Outcome::Retry {
            why: format!("This step hung for {} seconds.", LONGEST_STEP.as_secs()),
        };
        let step = async {
            // A copy takes the time that its bytes take; the copier says itself when it stalls.
            if promotion.state == State::Mirroring {
                return self.make_ready(promotion, since).await;
            }
            let step = steps::run(&self.services, &self.settings, &self.known, promotion, since);
            tokio::time::timeout(LONGEST_STEP, step)
                .await
                .unwrap_or_else(|_| Ok(hung()))
        };
        // A fault of our own (the database) is the same as an outside one that may pass.
        let word = |outcome: &Result<Outcome, AppError>| outcome.as_ref().map_or("error", Outcome::word);
        let outcome = telemetry::step(promotion, step, word)
            .await
            .unwrap_or_else(|error| Outcome::Retry { why: error.to_string() });
        if let (State::Queued, Outcome::Done { .. }) = (promotion.state, &outcome) {
            self.learn(promotion).await;
        }
        steps::in_time(promotion, outcome, &self.settings, self.services.now())
    }

    /// Asks the registry what an image was built from: beside everything else, because it is for people to see, unless others follow the
    /// resource, who go along only where the image is known to be newer.
    async fn learn(&self, promotion: &Promotion) {
        let followers = async { self.services.store.read().await?.followers(promotion.resource).await };
        // Who is cut off here takes the step again.
        if followers.await.is_ok_and(|followers| !followers.is_empty()) {
            let learn = self.known.learn(&self.services, promotion.workspace, &promotion.image);
            // A registry that hangs doesn't keep it: they stay where they are then.
            let _ = tokio::time::timeout(LONGEST_LEARNING, learn).await;
            return;
        }
        let (worker, workspace, image) = (self.clone(), promotion.workspace, promotion.image.clone());
        self.tasks.spawn(async move {
            let learn = worker.known.learn(&worker.services, workspace, &image);
            tokio::select! {
                () = learn => {}
                () = worker.cut_off.cancelled() => {}
            }
        });
    }

    /// Logs what has been in one state for far longer than expected, once per state, and takes up what a wrong clock put off.
    async fn watch_over(&self, stop: CancellationToken) {
        let (mut known, mut leases) = (Vec::new(), Vec::new());
        loop {
            match queue::bring_forward(&self.services, &leases).await {
                Ok(held) => leases = held,
                Err(error) if error.trouble().is_some() => {}
                Err(error) => tracing::error!(%error, "it could not be looked for what a clock put off"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WATCHDOG) => {}
            }
            match observe::stuck(&self.services).await {
                Ok(stuck) => {
                    for one in &stuck {
                        let promotion = &one.promotion;
                        if !known.contains(&(promotion.id, promotion.state)) {
                            tracing::warn!(
                                promotion = %promotion.id, state = %promotion.state, seconds = one.millis / 1000,
                                attempts = promotion.attempts, waits_for = promotion.waits_for, "a promotion is stuck"
                            );
                        }
                    }
                    known = stuck
                        .into_iter()
                        .map(|one| (one.promotion.id, one.promotion.state))
                        .collect();
                }
                Err(AppError::Unavailable(_)) => {}
                Err(error) => tracing::error!(%error, "it could not be looked for stuck promotions"),
            }
        }
    }
}

/// Between two tries of what the database kept from being done.
async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(AGAIN) => {}
    }
}

fn told(promotion: &Promotion, outcome: &Outcome) {
    let (id, state) = (promotion.id, promotion.state);
    match outcome {
        Outcome::Wait { .. } | Outcome::Paused { .. } | Outcome::Closed { .. } => {
            tracing::debug!(promotion = %id, %state, ?outcome, "step");
        }
        _ => tracing::info!(promotion = %id, %state, ?outcome, "step"),
    }
}
