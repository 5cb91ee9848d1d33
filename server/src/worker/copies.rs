//! Copies: the image is copied to where it will be pulled from, before anything is committed.
//!
//! Promotions of one image to one repository share a copy. The first of them makes it under a lease; the others wait, and are woken when it
//! ends. Only sums are stored: a copy that was interrupted asks the target what is there, and continues. It ends when no promotion waits for
//! it any more.

use super::{Outcome, Worker, claim::LEASE_MILLIS};
use crate::{
    back_off,
    ports::{
        image_copy::{CopyError, CopyRequest, CopyWatch},
        registry::RegistryError,
    },
    service::{
        Services,
        gates::{self, ProofsThere},
        reach::ProjectPlace,
        sources,
    },
    store::{CopyEnded, CopyRecord, CopyWanted},
    telemetry,
};
use contract::error::AppError;
use domain::{
    artifact::Repository,
    copy::{CopyPlan, CopyProgress, CopyProof, CopyState},
    environment::Environment,
    id::CopyId,
    policy::Policy,
    promotion::Promotion,
    time::Timestamp,
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a proof is believed: then the target is asked again, which takes a few requests.
const BELIEVED_MILLIS: i64 = 10 * 60 * 1000;
/// How often the progress of a copy is written, and it is checked that a promotion still waits for it.
const BEAT: Duration = Duration::from_secs(1);
/// How often those who share a copy look, when nobody wakes them.
const LOOK_MILLIS: i64 = 5_000;
/// The longest pause of a copy, also where a registry asks for a longer one.
const LONGEST_PAUSE_MILLIS: i64 = 60_000;
/// Tries in a row that fail without a blob more, before the copy fails.
const MOST_TRIES: u32 = 10;
/// The first image of a resource. It has no others yet.
const FIRST: i64 = 0;

/// What has to be done about a copy.
#[derive(Debug, PartialEq)]
enum Turn {
    /// It is ours to make: its id, how often it failed in a row, and how far it was.
    Ours(CopyId, u32, CopyProgress),
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
    /// Copies a promotion's image to a repository, or waits for whoever does. Within, what proves that it is there, a sentence, or what keeps
    /// the promotion.
    pub(super) async fn copy_image(
        &self,
        promotion: &Promotion,
        place: &ProjectPlace,
        environment: &Environment,
        to: &Repository,
    ) -> Result<Result<String, Outcome>, AppError> {
        let services = &self.services;
        let request = match sources::copy_request(services, place, environment, &promotion.image, to)? {
            Ok(request) => request,
            Err(reason) => return Ok(Err(Outcome::Fail { reason })),
        };
        let wanted = CopyWanted {
            workspace: promotion.workspace,
            source: request.from.repository.clone(),
            target: to.clone(),
            digest: request.digest.clone(),
            attachments: request.attachments,
        };
        // A name of its own for each try, so that two tries of one server can't take each other's lease.
        let owner = format!("{}/{}", self.owner, services.ids.next());
        let mut turn = take_turn(services, promotion, &wanted, &owner, true).await?;
        if matches!(turn, Turn::Proven(_)) {
            // Somebody may have deleted it since. Where the registry doesn't answer, the proof stands.
            let (access, digest) = (&request.to.access, &request.digest);
            if let Ok(false) = services.registry.exists(access, to, digest).await {
                turn = take_turn(services, promotion, &wanted, &owner, false).await?;
            }
        }
        match turn {
            Turn::Proven(proof) => self.arrived(promotion, &environment.policy, &request, &proof).await,
            Turn::Failed(reason) => Ok(Err(Outcome::Fail { reason })),
            Turn::Wait(millis, why) => Ok(Err(Outcome::Wait { millis, why })),
            Turn::Ours(id, tries, was) => {
                let copied = self.copy(id, &owner, &request).await;
                match end(services, id, &owner, copied, (tries, was)).await? {
                    Ok(proof) => self.arrived(promotion, &environment.policy, &request, &proof).await,
                    Err(outcome) => Ok(Err(outcome)),
                }
            }
        }
    }

    /// Copies, and writes down how far it is.
    async fn copy(&self, id: CopyId, owner: &str, request: &CopyRequest) -> Copied {
        let services = &self.services;
        let (told, stop) = (Told::default(), self.copying.child_token());
        let begun = Instant::now();
        let beat = async {
            loop {
                tokio::time::sleep(BEAT).await;
                // A fault of the database costs the lease at most: whoever takes the copy over finds what is there.
                if let Ok(false) = write_progress(services, id, owner, &told).await {
                    stop.cancel();
                }
            }
        };
        let outcome = tokio::select! {
            outcome = services.copier.copy(request, &told, &stop) => outcome,
            () = beat => Err(CopyError::Stopped),
        };
        let word = match &outcome {
            Ok(_) => "done",
            Err(CopyError::Stopped) => "stopped",
            Err(error) if error.is_passing() => "retry",
            Err(_) => "fail",
        };
        let hosts = [&request.from, &request.to].map(|end| end.repository.registry());
        telemetry::copied(hosts[0], hosts[1], word, outcome.as_ref().ok(), begun.elapsed());
        Copied {
            outcome,
            told,
            is_stopping: self.copying.is_cancelled(),
        }
    }

    /// The target holds the image. Whether the signatures arrived, too, that opened the gates.
    async fn arrived(
        &self,
        promotion: &Promotion,
        policy: &Policy,
        request: &CopyRequest,
        proof: &CopyProof,
    ) -> Result<Result<String, Outcome>, AppError> {
        let to = &request.to.repository;
        Ok(
            match gates::missing_proofs(&self.services, promotion, policy, &request.to).await? {
                ProofsThere::All => Ok(format!("{to} holds it: {}.", proof.words())),
                ProofsThere::Lacks(gate) => Err(Outcome::Fail {
                    reason: format!(
                        "{to} holds the image, but not what opened the gate {gate}. Copy signatures and attestations with it, and check that the registry takes them."
                    ),
                }),
                ProofsThere::Unknown(why) => Err(Outcome::Retry { why }),
            },
        )
    }
}

/// What came of copying.
struct Copied {
    outcome: Result<CopyProof, CopyError>,
    told: Told,
    /// Whether the server stops.
    is_stopping: bool,
}

/// Writes how a copy ended, and wakes the promotions that wait for it; within, what that means for this one. `before` is how often it had
/// failed in a row, and how far it was.
async fn end(
    services: &Services,
    id: CopyId,
    owner: &str,
    copied: Copied,
    before: (u32, CopyProgress),
) -> Result<Result<CopyProof, Outcome>, AppError> {
    let (plan, progress) = copied.told.get();
    let (tries, was) = before;
    let now = services.now();
    let mut ended = CopyEnded {
        state: CopyState::Running,
        proof: None,
        failure: None,
        tries: 0,
        next_at: now,
    };
    let outcome = match copied.outcome {
        Ok(proof) => {
            ended.state = CopyState::Proven;
            ended.proof = Some(proof.clone());
            Ok(proof)
        }
        Err(CopyError::Stopped) => {
            if !copied.is_stopping {
                ended.state = CopyState::Abandoned;
            }
            let why = "The copy was stopped. It continues where it stopped.".to_owned();
            Err(Outcome::Wait { millis: 0, why })
        }
        Err(
            CopyError::Source(
                error @ RegistryError::Throttled {
                    retry_after_seconds, ..
                },
            )
            | CopyError::Target(
                error @ RegistryError::Throttled {
                    retry_after_seconds, ..
                },
            ),
        ) => {
            let asked = i64::try_from(retry_after_seconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1000);
            Err(pause(
                &mut ended,
                now,
                asked.min(LONGEST_PAUSE_MILLIS),
                error.to_string(),
            ))
        }
        Err(error) => {
            ended.tries = tries_after(tries, was, progress);
            if error.is_passing() && ended.tries < MOST_TRIES {
                let millis = back_off::pause(ended.tries, id.0.as_u128());
                let millis = i64::try_from(millis.as_millis()).unwrap_or(LONGEST_PAUSE_MILLIS);
                Err(pause(&mut ended, now, millis, error.to_string()))
            } else {
                let reason = match error.is_passing() {
                    true => format!("{error} {MOST_TRIES} tries failed in a row. Try again when that is mended."),
                    false => error.to_string(),
                };
                ended.state = CopyState::Failed;
                ended.failure = Some(reason.clone());
                Err(Outcome::Fail { reason })
            }
        }
    };
    let mut tx = services.store.write().await?;
    // A try that didn't get that far takes nothing away from what the target has.
    let furthest = if progress.blobs < was.blobs { was } else { progress };
    tx.copy_moved(id, owner, plan.as_ref(), furthest, now).await?;
    let is_ours = tx.end_copy(id, owner, &ended, now).await?;
    if is_ours {
        tx.wake_for_copy(id, now).await?;
    }
    tx.commit().await?;
    services.wake.worker.notify_one();
    tracing::debug!(copy = %id, state = %ended.state, is_ours, "a copy ended");
    Ok(outcome)
}

/// How often a copy has failed in a row, one try more counted. A blob more at the target than ever before begins a new row; bytes of a blob
/// that didn't arrive are sent again, and count for nothing.
fn tries_after(tries: u32, was: CopyProgress, progress: CopyProgress) -> u32 {
    match progress.blobs > was.blobs {
        true => 1,
        false => tries.saturating_add(1),
    }
}

/// It is tried again after a pause.
fn pause(ended: &mut CopyEnded, now: Timestamp, millis: i64, why: String) -> Outcome {
    ended.next_at = now.plus_millis(millis);
    ended.failure = Some(why.clone());
    Outcome::Wait { millis, why }
}

/// Decides who makes a copy, and takes the lease where that is us. `may_believe`: what was proven lately need not be made again.
async fn take_turn(
    services: &Services,
    promotion: &Promotion,
    wanted: &CopyWanted,
    owner: &str,
    may_believe: bool,
) -> Result<Turn, AppError> {
    let mut tx = services.store.write().await?;
    let now = services.now();
    let known = tx.copy_of(wanted).await?;
    let turn = match &known {
        Some(known) => known_turn(known, wanted, promotion.state_since, now.0)
            .filter(|turn| may_believe || !matches!(turn, Turn::Proven(_))),
        None => None,
    };
    let (tries, was) = known.as_ref().map(failed_before).unwrap_or_default();
    let id = known.map_or_else(|| CopyId(services.ids.next()), |known| known.id);
    if turn.is_none() {
        tx.begin_copy(id, wanted, owner, now.plus_millis(LEASE_MILLIS), now)
            .await?;
    }
    tx.wait_for_copy(promotion.id, FIRST, id).await?;
    tx.commit().await?;
    Ok(turn.unwrap_or(Turn::Ours(id, tries, was)))
}

/// What is known of a copy; `None` when it is to be made. Times that a wrong clock wrote, further ahead than any can be, count for nothing.
fn known_turn(known: &CopyRecord, wanted: &CopyWanted, waits_since: Timestamp, now: i64) -> Option<Turn> {
    let ahead = |at: Timestamp, most: i64| (at.0 > now && at.0 <= now.saturating_add(2 * most)).then_some(at.0 - now);
    if known
        .lease_until
        .is_some_and(|until| ahead(until, LEASE_MILLIS).is_some())
    {
        let why = format!(
            "{} is being copied to {} for another promotion.",
            wanted.digest.short(),
            wanted.target
        );
        return Some(Turn::Wait(LOOK_MILLIS, why));
    }
    let is_same = known.wanted.source == wanted.source;
    let ended = known.ended_at.filter(|ended| is_same && ended.0 <= now);
    match (known.state, ended) {
        (CopyState::Proven, Some(ended)) if now - ended.0 <= BELIEVED_MILLIS => {
            Some(Turn::Proven(known.proof.clone().unwrap_or_default()))
        }
        (CopyState::Failed, Some(ended)) if ended >= waits_since => {
            Some(Turn::Failed(known.failure.clone().unwrap_or_default()))
        }
        (CopyState::Running, _) => {
            let millis = ahead(known.next_at, LONGEST_PAUSE_MILLIS)?;
            Some(Turn::Wait(
                millis.min(LOOK_MILLIS),
                known.failure.clone().unwrap_or_default(),
            ))
        }
        _ => None,
    }
}

/// How often a copy failed in a row, and how far it was. One that ended begins anew: whoever tries it again has all tries.
fn failed_before(known: &CopyRecord) -> (u32, CopyProgress) {
    match known.state {
        CopyState::Running => (known.tries, known.progress),
        CopyState::Proven | CopyState::Failed | CopyState::Abandoned => Default::default(),
    }
}

/// Writes the progress of a copy for those who watch; `false` when it is no longer ours to make, or nobody waits for it.
async fn write_progress(services: &Services, id: CopyId, owner: &str, told: &Told) -> Result<bool, AppError> {
    let (plan, progress) = told.get();
    let mut tx = services.store.write().await?;
    let until = services.now().plus_millis(LEASE_MILLIS);
    let is_ours = tx.copy_moved(id, owner, plan.as_ref(), progress, until).await?;
    let is_wanted = tx.count_waiting(id).await? > 0;
    tx.commit().await?;
    Ok(is_ours && is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{copy::Attachments, id::WorkspaceId};
    use uuid::Uuid;

    const NOW: i64 = 1_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn wanted(source: &str) -> CopyWanted {
        CopyWanted {
            workspace: WorkspaceId(Uuid::nil()),
            source: source.parse().unwrap(),
            target: "live.example/api".parse().unwrap(),
            digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
            attachments: Attachments::All,
        }
    }

    fn known(state: CopyState) -> CopyRecord {
        CopyRecord {
            id: CopyId(Uuid::nil()),
            wanted: wanted("builds.example/api"),
            state,
            plan: None,
            progress: CopyProgress::default(),
            proof: None,
            failure: Some("It is down.".into()),
            tries: 1,
            next_at: Timestamp(NOW - 1),
            ended_at: None,
            lease_until: None,
        }
    }

    fn turn(known: &CopyRecord) -> Option<Turn> {
        known_turn(known, &wanted("builds.example/api"), Timestamp(NOW - 60_000), NOW)
    }

    #[test]
    fn whoever_holds_the_lease_makes_it_unless_a_wrong_clock_wrote_that() {
        let until = |millis| CopyRecord {
            lease_until: Some(Timestamp(NOW + millis)),
            ..known(CopyState::Running)
        };
        assert!(matches!(turn(&until(LEASE_MILLIS)), Some(Turn::Wait(LOOK_MILLIS, _))));
        assert_eq!(turn(&until(-1)), None);
        assert_eq!(turn(&until(HOUR)), None);
    }

    #[test]
    fn tries_are_counted_until_a_blob_more_arrived_or_somebody_tries_again() {
        let far = |blobs, bytes| CopyProgress { blobs, bytes };
        assert_eq!(tries_after(3, far(2, 100), far(3, 100)), 1);
        assert_eq!(tries_after(3, far(2, 100), far(2, 900)), 4, "a blob that breaks off");
        assert_eq!(tries_after(3, far(2, 100), far(0, 0)), 4, "a registry that is down");
        let known = |state| CopyRecord {
            tries: MOST_TRIES,
            progress: far(2, 100),
            ..known(state)
        };
        assert_eq!(failed_before(&known(CopyState::Running)), (MOST_TRIES, far(2, 100)));
        for ended in [CopyState::Failed, CopyState::Abandoned, CopyState::Proven] {
            assert_eq!(failed_before(&known(ended)), (0, far(0, 0)), "{ended}");
        }
    }

    #[test]
    fn a_pause_is_kept_unless_a_wrong_clock_wrote_it() {
        let next = |millis| CopyRecord {
            next_at: Timestamp(NOW + millis),
            ..known(CopyState::Running)
        };
        assert_eq!(turn(&next(700)), Some(Turn::Wait(700, "It is down.".into())));
        assert_eq!(turn(&next(40_000)), Some(Turn::Wait(LOOK_MILLIS, "It is down.".into())));
        assert_eq!(turn(&next(HOUR)), None);
    }

    #[test]
    fn an_end_counts_for_copies_of_the_same_source_and_for_a_while() {
        let ended = |state, millis| CopyRecord {
            ended_at: Some(Timestamp(NOW + millis)),
            ..known(state)
        };
        let proven = |millis| ended(CopyState::Proven, millis);
        assert!(matches!(turn(&proven(-HOUR / 10)), Some(Turn::Proven(_))));
        assert_eq!(turn(&proven(-HOUR)), None, "it may be gone by now");
        assert_eq!(turn(&proven(HOUR)), None, "a wrong clock");
        let failed = |millis| ended(CopyState::Failed, millis);
        assert_eq!(turn(&failed(-1_000)), Some(Turn::Failed("It is down.".into())));
        assert_eq!(turn(&failed(-61_000)), None, "somebody tries again");
        for record in [proven(-1_000), failed(-1_000)] {
            let other = wanted("elsewhere.example/api");
            assert_eq!(known_turn(&record, &other, Timestamp(0), NOW), None);
        }
        assert_eq!(turn(&ended(CopyState::Abandoned, -1_000)), None);
    }
}
