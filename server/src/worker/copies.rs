//! Mirroring: the image is copied to where it will be pulled from, before anything is committed.
//!
//! Promotions that want the same image in the same repository share one copy: who comes first makes it under a lease, the others wait and are
//! woken when it ends. Only sums are stored; what is there already is found again by asking the target, so that a copy which was cut off
//! goes on where it was. It ends when nobody waits for it any more.

use super::{Outcome, Worker, claim::LEASE_MILLIS};
use crate::{
    ports::{
        image_copy::{CopyEnd, CopyError, CopyRequest, CopyWatch},
        registry::RegistryError,
    },
    service::{
        Services,
        reach::{self, ProjectPlace},
        sources,
    },
    store::{CopyEnded, CopyRecord, CopyWanted},
    telemetry,
};
use contract::error::AppError;
use domain::{
    artifact::Repository,
    copy::{CopyPlan, CopyProgress, CopyProof, CopyState},
    id::CopyId,
    promotion::{Promotion, State},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a proof is believed: then the target is asked again, which takes a few requests.
const BELIEVED_MILLIS: i64 = 10 * 60 * 1000;
/// How often it is written how far a copy is, and looked whether somebody waits for it still.
const BEAT: Duration = Duration::from_secs(1);
/// How often those who share a copy look, when nobody wakes them.
const LOOK_MILLIS: i64 = 5_000;
/// The longest that a registry which asks to slow down is left alone.
const LONGEST_PAUSE_MILLIS: i64 = 60_000;
/// Until a copy that failed in a passing way is tried again by anybody.
const PAUSE_MILLIS: i64 = 2_000;
/// The first image of a resource. It has no others yet.
const FIRST: i64 = 0;

/// What has to be done about a copy.
enum Turn {
    /// It is ours to make.
    Ours(CopyId),
    /// It was made, and proven.
    Proven(CopyProof),
    /// Somebody else is at it, or nobody may be before then; in how many milliseconds it is looked again, and why.
    Wait(i64, String),
    /// It failed while this promotion waited for it.
    Failed(String),
}

/// What a copier says, until somebody writes it down.
#[derive(Default)]
struct Told(Mutex<(Option<CopyPlan>, CopyProgress)>);

impl Told {
    fn get(&self) -> (Option<CopyPlan>, CopyProgress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl CopyWatch for Told {
    fn planned(&self, plan: &CopyPlan) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(plan.clone());
    }

    fn moved(&self, progress: CopyProgress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = progress;
    }
}

impl Worker {
    /// What came of the step of a promotion whose image is to be copied. The promotion was read before `since`.
    pub(super) async fn mirror(&self, promotion: &Promotion, since: Instant) -> Result<Outcome, AppError> {
        let services = &self.services;
        let Some(to) = &promotion.copied_to else {
            return Ok(Outcome::done(State::Committing, "It is pulled from where it is."));
        };
        let Some(place) = self.known.place(services, promotion.project, since).await? else {
            return Ok(super::steps::gone("project"));
        };
        let request = match request(services, &place, promotion, to)? {
            Ok(request) => request,
            Err(reason) => return Ok(Outcome::Fail { reason }),
        };
        let wanted = CopyWanted {
            workspace: promotion.workspace,
            source: request.from.repository.clone(),
            target: to.clone(),
            digest: request.digest.clone(),
            attachments: request.attachments,
        };
        // Each try has a name of its own: a lease that was forgotten runs out.
        let owner = format!("{}/{}", self.owner, services.ids.next());
        match turn(services, promotion, &wanted, &owner).await? {
            Turn::Proven(proof) => Ok(done(to, &proof)),
            Turn::Failed(reason) => Ok(Outcome::Fail { reason }),
            Turn::Wait(millis, why) => Ok(Outcome::Wait { millis, why }),
            Turn::Ours(id) => self.copy(id, &owner, &request).await,
        }
    }

    async fn copy(&self, id: CopyId, owner: &str, request: &CopyRequest) -> Result<Outcome, AppError> {
        let services = &self.services;
        let (told, stop) = (Told::default(), self.copying.child_token());
        let begun = Instant::now();
        let copied = {
            let copy = services.copier.copy(request, &told, &stop);
            let mut copy = std::pin::pin!(copy);
            loop {
                tokio::select! {
                    copied = &mut copy => break copied,
                    () = tokio::time::sleep(BEAT) => {}
                }
                // A fault of the database costs the lease at most: whoever takes the copy over finds what is there.
                if let Ok(false) = written(services, id, owner, &told).await {
                    stop.cancel();
                }
            }
        };
        let outcome = match &copied {
            Ok(_) => "done",
            Err(CopyError::Stopped) => "stopped",
            Err(error) if error.is_passing() => "retry",
            Err(_) => "fail",
        };
        let hosts = [&request.from, &request.to].map(|end| end.repository.registry());
        telemetry::copied(hosts[0], hosts[1], outcome, copied.as_ref().ok(), begun.elapsed());
        let now = services.now();
        let to = &request.to.repository;
        let ended = |state, proof, failure: Option<String>, millis| CopyEnded {
            state,
            proof,
            failure,
            next_at: now.plus_millis(millis),
        };
        let (ended, outcome) = match copied {
            Ok(proof) => (ended(CopyState::Proven, Some(proof.clone()), None, 0), done(to, &proof)),
            Err(CopyError::Stopped) => {
                let state = match self.copying.is_cancelled() {
                    true => CopyState::Running,
                    false => CopyState::Abandoned,
                };
                let why = "The copy was stopped; it goes on where it was.".to_owned();
                (ended(state, None, None, 0), Outcome::Wait { millis: 0, why })
            }
            Err(CopyError::Source(error) | CopyError::Target(error))
                if matches!(error, RegistryError::Throttled { .. }) =>
            {
                let millis = match &error {
                    RegistryError::Throttled {
                        retry_after_seconds, ..
                    } => i64::try_from(*retry_after_seconds)
                        .unwrap_or(i64::MAX)
                        .saturating_mul(1000),
                    _ => 0,
                };
                let (millis, why) = (millis.min(LONGEST_PAUSE_MILLIS), error.to_string());
                let ended = ended(CopyState::Running, None, Some(why.clone()), millis);
                (ended, Outcome::Wait { millis, why })
            }
            Err(error) if error.is_passing() => {
                let why = error.to_string();
                let ended = ended(CopyState::Running, None, Some(why.clone()), PAUSE_MILLIS);
                (ended, Outcome::Retry { why })
            }
            Err(error) => {
                let reason = error.to_string();
                let ended = ended(CopyState::Failed, None, Some(reason.clone()), 0);
                (ended, Outcome::Fail { reason })
            }
        };
        let (plan, progress) = told.get();
        let mut tx = services.store.write().await?;
        tx.copy_moved(id, owner, plan.as_ref(), progress, now).await?;
        if tx.end_copy(id, owner, &ended, now).await? {
            tx.wake_for_copy(id, now).await?;
        }
        tx.commit().await?;
        services.wake.worker.notify_one();
        Ok(outcome)
    }
}

/// Decides who makes a copy, and takes the lease where that is us.
async fn turn(services: &Services, promotion: &Promotion, wanted: &CopyWanted, owner: &str) -> Result<Turn, AppError> {
    let mut tx = services.store.write().await?;
    let now = services.now();
    let known = tx.copy_of(wanted).await?;
    let turn = match &known {
        Some(known) => whose(known, promotion, now.0),
        None => None,
    };
    let id = known.map_or_else(|| CopyId(services.ids.next()), |known| known.id);
    if turn.is_none() {
        tx.begin_copy(id, wanted, owner, now.plus_millis(LEASE_MILLIS), now)
            .await?;
    }
    tx.wait_for_copy(promotion.id, FIRST, id).await?;
    tx.commit().await?;
    Ok(turn.unwrap_or(Turn::Ours(id)))
}

/// What is known of a copy; `None` when it is to be made.
fn whose(known: &CopyRecord, promotion: &Promotion, now: i64) -> Option<Turn> {
    let until_then = |then: i64| (then - now).clamp(1, LOOK_MILLIS);
    if known.lease_until.is_some_and(|until| until.0 > now) {
        let why = format!(
            "Another promotion copies {} to {} already.",
            known.wanted.digest.short(),
            known.wanted.target
        );
        return Some(Turn::Wait(LOOK_MILLIS, why));
    }
    match (known.state, known.ended_at) {
        (CopyState::Proven, Some(ended)) if now - ended.0 <= BELIEVED_MILLIS => {
            Some(Turn::Proven(known.proof.clone().unwrap_or_default()))
        }
        (CopyState::Failed, Some(ended)) if ended >= promotion.state_since => {
            Some(Turn::Failed(known.failure.clone().unwrap_or_default()))
        }
        (CopyState::Running, _) if known.next_at.0 > now => Some(Turn::Wait(
            until_then(known.next_at.0),
            known.failure.clone().unwrap_or_default(),
        )),
        _ => None,
    }
}

/// Writes how far a copy is, for those who watch; `false` when it is no longer ours to make, or nobody wants it.
async fn written(services: &Services, id: CopyId, owner: &str, told: &Told) -> Result<bool, AppError> {
    let (plan, progress) = told.get();
    let mut tx = services.store.write().await?;
    let until = services.now().plus_millis(LEASE_MILLIS);
    let is_ours = tx.copy_moved(id, owner, plan.as_ref(), progress, until).await?;
    let is_wanted = tx.wait_for_it(id).await? > 0;
    tx.commit().await?;
    services.wrote();
    Ok(is_ours && is_wanted)
}

/// The copy that a promotion needs; within, why it can't be made, a sentence.
fn request(
    services: &Services,
    place: &ProjectPlace,
    promotion: &Promotion,
    to: &Repository,
) -> Result<Result<CopyRequest, String>, AppError> {
    let environment = place.environments.iter().find(|e| e.id == promotion.environment);
    let Some(environment) = environment else {
        return Ok(Err("The environment no longer exists.".into()));
    };
    let mirror = sources::mirror_of(environment, &place.clusters);
    let Some(access) = reach::push_access_to(services, place, environment, to)? else {
        return Ok(Err(sources::no_right_to_push(&promotion.image.repository, to)));
    };
    Ok(Ok(CopyRequest {
        from: CopyEnd {
            access: reach::registry_access(services, &place.registries, &promotion.image.repository)?,
            repository: promotion.image.repository.clone(),
        },
        to: CopyEnd {
            access,
            repository: to.clone(),
        },
        digest: promotion.image.digest.clone(),
        attachments: mirror.map(|mirror| mirror.attachments).unwrap_or_default(),
    }))
}

fn done(to: &Repository, proof: &CopyProof) -> Outcome {
    Outcome::done(State::Committing, format!("{to} holds it: {}.", proof.words()))
}
