//! What runs must stay pullable: once a day it is looked whether the registry still holds every part of it, and of what can be gone back to.
//!
//! [`follow`] keeps the list of images that are looked after, and spreads their looks over the day. [`look_next`] takes the one that is due
//! longest and asks for each part; what is gone is asked for again after a minute before it is announced. [`heal_next`] copies what is gone from another
//! repository, when a person asks for it: the same copy, the other way.

use crate::{
    back_off,
    ports::{
        image_copy::{CopyEnd, CopyError, CopyRequest, CopyWatch},
        image_look::LookPace,
    },
    service::{
        Services,
        gates::{self, ProofsThere},
        reach::{self, ProjectPlace},
        sources,
    },
    store::{ImageAt, NewEvent, PresenceDue, PresenceRecord, StoreError, Tx},
    telemetry,
};
use contract::error::AppError;
use domain::{
    copy::{Attachments, CopyPlan, CopyProgress},
    environment::Environment,
    event::{Happened, Subject},
    presence::{ImagePart, Presence},
    promotion::Actor,
    resource::Resource,
};
use std::{collections::BTreeSet, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(5);
/// How often the list of images is made anew, if something happened.
const FOLLOW: Duration = Duration::from_secs(15);
/// How often each image is looked at.
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Within which time an image that is new here is looked at first: it was proven to be there when it was promoted.
const FIRST_MILLIS: i64 = 60 * 60 * 1000;
/// When it is looked again at what seems to be gone, before it is announced.
const CONFIRM_MILLIS: i64 = 60 * 1000;
/// How often it is looked at what is gone, until it is there again.
const INCOMPLETE_MILLIS: i64 = 15 * 60 * 1000;
/// New images at once that are looked at within the hour; more of them are spread over the day.
const FEW: usize = 100;
/// Missing parts that are named.
const MOST_NAMED: usize = 10;
/// Longest pause after a registry failed.
const LONGEST_PAUSE_MILLIS: i64 = 60 * 60 * 1000;
/// Images that are looked at side by side.
const SIDE_BY_SIDE: usize = 4;
/// How long a lease lasts that isn't renewed, and how often it is.
const LEASE_MILLIS: i64 = 60_000;
const BEAT: Duration = Duration::from_secs(20);
/// Promotions of a resource that are looked through for the one that brought an image.
const LOOK_BACK: i64 = 30;

/// What is done again and again.
#[derive(Clone, Copy)]
enum Task {
    Follow,
    Look,
    Heal,
}

/// Looks after images until told to stop. `owner` names this life of the server.
pub async fn run(services: Services, owner: String, stop: CancellationToken) {
    let tasks = [Task::Follow, Task::Heal].into_iter().chain([Task::Look; SIDE_BY_SIDE]);
    let tasks = tasks.enumerate().map(|(n, task)| {
        // Each under a name of its own: leases tell them apart.
        every(task, services.clone(), format!("{owner}/{n}"), stop.clone())
    });
    futures::future::join_all(tasks).await;
}

/// Does something until told to stop: at once again as long as there is more to do, else after a pause.
async fn every(task: Task, services: Services, owner: String, stop: CancellationToken) {
    let pause = match task {
        Task::Follow => FOLLOW,
        Task::Look | Task::Heal => LOOK,
    };
    let mut seen = None;
    loop {
        let work = async {
            match task {
                Task::Follow => follow(&services, seen).await.map(|newest| {
                    seen = newest;
                    false
                }),
                Task::Look => look_next(&services, &owner).await,
                Task::Heal => heal_next(&services, &owner, &stop).await,
            }
        };
        let done = tokio::select! {
            done = work => done,
            // What was begun is begun again by whoever takes it up: nothing of it is lost.
            () = stop.cancelled() => return,
        };
        match done {
            Ok(true) => continue,
            // The database is told of elsewhere while it is away.
            Ok(false) | Err(AppError::Unavailable(_)) => {}
            Err(error) => tracing::error!(%error, "images could not be looked after"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = services.wake.presence.notified(), if matches!(task, Task::Heal) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Makes the list of images that are looked after what it should be: what is to run, and what ran before. Returns the newest event of the
/// ledger that it heeds; where nothing happened since the one `seen` before, nothing is read.
///
/// # Errors
/// When the database fails.
pub async fn follow(services: &Services, seen: Option<i64>) -> Result<Option<i64>, AppError> {
    let mut tx = services.store.read().await?;
    let newest = Some(tx.newest_event().await?);
    if newest == seen {
        return Ok(newest);
    }
    let mut wanted = BTreeSet::new();
    for workspace in tx.workspaces().await? {
        for record in tx.projects(workspace.id).await? {
            let project = record.project.id;
            let declared = tx
                .resources(project)
                .await?
                .into_iter()
                .filter_map(|resource| resource.desired);
            let before = tx
                .newest_promotions(project)
                .await?
                .into_iter()
                .filter_map(|newest| newest.previous);
            wanted.extend(declared.chain(before).map(|image| ImageAt {
                workspace: workspace.id,
                repository: image.repository,
                digest: image.digest,
            }));
        }
    }
    let known: BTreeSet<ImageAt> = tx.images_looked_after().await?.into_iter().collect();
    drop(tx);
    if known == wanted {
        return Ok(newest);
    }
    let mut tx = services.store.write().await?;
    let now = services.now();
    let new: Vec<&ImageAt> = wanted.difference(&known).collect();
    let within = if new.len() > FEW { DAY_MILLIS } else { FIRST_MILLIS };
    for image in new {
        tx.look_after(image, now.plus_millis(spread(image, within))).await?;
    }
    for image in known.difference(&wanted) {
        tx.stop_looking_after(image).await?;
    }
    tx.commit().await?;
    Ok(newest)
}

/// A place within a span of time that is the same for an image each time, and another for each.
fn spread(image: &ImageAt, millis: i64) -> i64 {
    let hex = image.digest.hex();
    let number = hex.get(..12).and_then(|start| i64::from_str_radix(start, 16).ok());
    number.unwrap_or_default() % millis
}

/// Looks at the image that is due longest; `false` when none is.
///
/// # Errors
/// When the database fails.
pub async fn look_next(services: &Services, owner: &str) -> Result<bool, AppError> {
    let Some(record) = claim(services, PresenceDue::Look, owner).await? else {
        return Ok(false);
    };
    let image = record.image.clone();
    let found = held(services, &image, owner, look(services, &record, LookPace::Gentle)).await;
    let Some(found) = found.transpose()? else {
        return Ok(true);
    };
    settle(services, owner, record, found, None).await?;
    Ok(true)
}

async fn claim(services: &Services, due: PresenceDue, owner: &str) -> Result<Option<PresenceRecord>, AppError> {
    let now = services.now();
    let farthest = now.plus_millis(2 * DAY_MILLIS);
    // Most looks find nothing: they should not take the writer's turn.
    if !services.store.read().await?.is_presence_due(due, now, farthest).await? {
        return Ok(None);
    }
    let mut tx = services.store.write().await?;
    let until = now.plus_millis(LEASE_MILLIS);
    let claimed = tx.claim_presence(due, owner, now, until, farthest).await?;
    if claimed.is_some() {
        tx.commit().await?;
    }
    Ok(claimed)
}

/// Does something while the lease on an image is renewed; `None` when the lease was lost.
async fn held<T>(services: &Services, image: &ImageAt, owner: &str, work: impl Future<Output = T>) -> Option<T> {
    let beat = async {
        loop {
            tokio::time::sleep(BEAT).await;
            let renewed = async {
                let mut tx = services.store.write().await?;
                let until = services.now().plus_millis(LEASE_MILLIS);
                let is_ours = tx.renew_presence(image, owner, until).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(is_ours)
            };
            // A fault of the database costs the lease at most.
            if let Ok(false) = renewed.await {
                return;
            }
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = beat => None,
    }
}

/// What a look found.
enum Found {
    /// The parts of the image, and what is gone, a few words each.
    Seen(Vec<ImagePart>, Vec<String>),
    /// The registry didn't say; why, and whether it may later.
    Unseen(String, bool),
}

/// Looks whether an image can be pulled.
async fn look(services: &Services, record: &PresenceRecord, pace: LookPace) -> Result<Found, AppError> {
    let image = &record.image;
    let mut tx = services.store.read().await?;
    let registries = tx.registries(image.workspace).await?;
    drop(tx);
    let access = match reach::registry_access(services, &registries, &image.repository) {
        Ok(access) => access,
        Err(AppError::Conflict(why)) => return Ok(Found::Unseen(why, false)),
        Err(error) => return Err(error),
    };
    let at = CopyEnd {
        access,
        repository: image.repository.clone(),
    };
    let seen = services.looks.look(&at, &image.digest, &record.parts, pace).await;
    let Presence { parts, missing } = match seen {
        Ok(seen) => seen,
        Err(error) => return Ok(Found::Unseen(error.to_string(), error.is_passing())),
    };
    let mut words: Vec<String> = missing.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if missing.len() > MOST_NAMED {
        words.push(format!("{} more parts", missing.len() - MOST_NAMED));
    }
    if words.is_empty() {
        words.extend(missing_proof(services, image, &at).await?);
    }
    // What lies below a manifest that is gone can't be read: only a whole image says what it consists of.
    let parts = match missing.is_empty() {
        true => parts,
        false => record.parts.clone(),
    };
    Ok(Found::Seen(parts, words))
}

/// The gate whose signature or attestation is gone that opened it where the image runs.
async fn missing_proof(services: &Services, image: &ImageAt, at: &CopyEnd) -> Result<Option<String>, AppError> {
    let mut tx = services.store.read().await?;
    let mut brought = Vec::new();
    for (_, environment, resource) in runs_at(&mut *tx, image).await? {
        let history = tx.promotions_of(resource.id, LOOK_BACK).await?;
        let promotion = history
            .into_iter()
            .find(|promotion| promotion.commit.is_some() && promotion.image.digest == image.digest);
        brought.extend(promotion.map(|promotion| (environment, promotion)));
    }
    drop(tx);
    // What one environment asks for is asked once, however many resources run the image there.
    brought.sort_by_key(|(environment, _)| environment.id);
    brought.dedup_by_key(|(environment, _)| environment.id);
    for (environment, promotion) in brought {
        let policy = &environment.policy;
        if let ProofsThere::Lacks(gate) = gates::missing_proofs(services, &promotion, policy, at).await? {
            return Ok(Some(format!("what opened the gate {gate}")));
        }
    }
    Ok(None)
}

/// Where an image runs, or is to run.
async fn runs_at(tx: &mut dyn Tx, image: &ImageAt) -> Result<Vec<(ProjectPlace, Environment, Resource)>, AppError> {
    let mut found = Vec::new();
    for record in tx.projects(image.workspace).await? {
        let resources = tx.resources(record.project.id).await?;
        let here = resources.into_iter().filter(|resource| {
            (resource.desired.as_ref())
                .is_some_and(|runs| runs.digest == image.digest && runs.repository == image.repository)
        });
        let here: Vec<Resource> = here.collect();
        if here.is_empty() {
            continue;
        }
        let place = reach::place_for_waybill(tx, record).await?;
        for resource in here {
            let environment = place
                .environments
                .iter()
                .find(|e| e.id == resource.environment)
                .cloned();
            found.extend(environment.map(|environment| (place.clone(), environment, resource)));
        }
    }
    Ok(found)
}

/// Writes what a look found; `healed` is what came of a copy before it.
async fn settle(
    services: &Services,
    owner: &str,
    before: PresenceRecord,
    found: Found,
    healed: Option<Result<(), String>>,
) -> Result<(), AppError> {
    let outcome = match &found {
        Found::Seen(_, missing) if missing.is_empty() => "whole",
        Found::Seen(..) => "incomplete",
        Found::Unseen(..) => "unanswered",
    };
    telemetry::looked_at_image(before.image.repository.registry(), outcome);
    let now = services.now();
    let mut after = before.clone();
    after.heal_from = None;
    if let Some(healed) = healed {
        after.heal_failure = healed.err();
    }
    if let (Found::Seen(_, missing), None, Some(from)) = (&found, &after.heal_failure, &before.heal_from)
        && !missing.is_empty()
    {
        after.heal_failure = Some(format!(
            "All that {from} holds was copied, and parts are still missing."
        ));
    }
    let failure = after.heal_failure.clone().filter(|_| before.heal_from.is_some());
    let day = now.plus_millis(DAY_MILLIS + spread(&before.image, FIRST_MILLIS));
    match found {
        // A registry may err for a while: what seems to be gone is looked at again before anybody is told.
        Found::Seen(_, missing)
            if !missing.is_empty() && before.missing.is_empty() && before.suspected_at.is_none() =>
        {
            (after.suspected_at, after.looked_at, after.trouble, after.tries) = (Some(now), Some(now), None, 0);
            after.next_at = now.plus_millis(CONFIRM_MILLIS);
        }
        Found::Seen(parts, missing) => {
            after.suspected_at = None;
            after.gone_since = match missing.is_empty() {
                true => None,
                false => before.gone_since.or(Some(now)),
            };
            if missing.is_empty() {
                after.heal_failure = None;
            }
            (after.parts, after.missing) = (parts, missing);
            (after.looked_at, after.trouble, after.tries) = (Some(now), None, 0);
            after.next_at = match after.missing.is_empty() {
                true => day,
                // Somebody may be mending it.
                false => now.plus_millis(INCOMPLETE_MILLIS),
            };
        }
        Found::Unseen(why, is_passing) => {
            after.tries = before.tries.saturating_add(1);
            let pause = back_off::pause(after.tries, 0).as_millis();
            // A look is no hurry: the pauses begin with a minute.
            let millis = i64::try_from(pause).unwrap_or(LONGEST_PAUSE_MILLIS).saturating_mul(60);
            after.next_at = match is_passing {
                true => now.plus_millis(millis.min(LONGEST_PAUSE_MILLIS)),
                false => day,
            };
            after.trouble = Some(why);
        }
    }
    let happened = match (before.missing.is_empty(), after.missing.is_empty()) {
        (true, false) => Some(Happened::ImageIncomplete {
            repository: before.image.repository.clone(),
            digest: before.image.digest.clone(),
            missing: after.missing.clone(),
        }),
        (false, true) => Some(Happened::ImageWhole {
            repository: before.image.repository.clone(),
            digest: before.image.digest.clone(),
        }),
        (true, true) | (false, false) => failure.map(|reason| Happened::HealFailed {
            repository: before.image.repository.clone(),
            digest: before.image.digest.clone(),
            reason,
        }),
    };
    let mut tx = services.store.write().await?;
    let is_ours = tx.settle_presence(&after, owner).await?;
    let mut told = false;
    if let Some(happened) = happened.filter(|_| is_ours) {
        // What nothing runs is shown where it is offered to go back to.
        for (place, _, resource) in runs_at(&mut *tx, &before.image).await? {
            let event = NewEvent {
                workspace: before.image.workspace,
                subject: Subject::resource(place.record.project.id, &resource),
                actor: Actor::Waybill,
                happened: happened.clone(),
            };
            tx.append_event(&event, now).await?;
            told = true;
        }
        let (repository, digest) = (&before.image.repository, &before.image.digest);
        tracing::warn!(%repository, %digest, missing = ?after.missing, "what can be pulled of an image changed");
    }
    tx.commit().await?;
    if told {
        services.wrote();
    }
    Ok(())
}

/// Copies what is gone of an image, where a person asked for it; `false` when nobody did.
///
/// # Errors
/// When the database fails.
pub async fn heal_next(services: &Services, owner: &str, stop: &CancellationToken) -> Result<bool, AppError> {
    let Some(record) = claim(services, PresenceDue::Heal, owner).await? else {
        return Ok(false);
    };
    let image = record.image.clone();
    let work = async {
        let healed = heal(services, &record, stop).await?;
        let found = look(services, &record, LookPace::Now).await?;
        Ok::<_, AppError>((healed, found))
    };
    let done = held(services, &image, owner, work).await;
    let Some((healed, found)) = done.transpose()? else {
        return Ok(true);
    };
    settle(services, owner, record, found, Some(healed)).await?;
    Ok(true)
}

/// Nobody watches.
struct Unwatched;

impl CopyWatch for Unwatched {
    fn planned(&self, _plan: &CopyPlan) {}

    fn moved(&self, _progress: CopyProgress) {}
}

async fn heal(
    services: &Services,
    record: &PresenceRecord,
    stop: &CancellationToken,
) -> Result<Result<(), String>, AppError> {
    let image = &record.image;
    let Some(from) = &record.heal_from else {
        return Ok(Ok(()));
    };
    let mut tx = services.store.read().await?;
    let places = runs_at(&mut *tx, image).await?;
    let Some((place, environment, _)) = places.into_iter().next() else {
        return Ok(Err("Nothing runs this image any more.".into()));
    };
    drop(tx);
    let to = match sources::push_end(services, &place, &environment, &image.repository)? {
        Ok(to) => to,
        Err(why) => return Ok(Err(why)),
    };
    let access = match reach::registry_access(services, &place.registries, from) {
        Ok(access) => access,
        Err(AppError::Conflict(why)) => return Ok(Err(why)),
        Err(error) => return Err(error),
    };
    let request = CopyRequest {
        from: CopyEnd {
            access,
            repository: from.clone(),
        },
        to,
        digest: image.digest.clone(),
        attachments: Attachments::All,
    };
    Ok(match services.copier.copy(&request, &Unwatched, stop).await {
        Ok(_) => Ok(()),
        Err(CopyError::Stopped) => Err("The server stopped. Heal it again.".into()),
        Err(error) => Err(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::WorkspaceId;
    use uuid::Uuid;

    #[test]
    fn looks_are_spread_and_each_image_has_its_place() {
        let image = |start: &str| ImageAt {
            workspace: WorkspaceId(Uuid::nil()),
            repository: "r.example/api".parse().unwrap(),
            digest: format!("sha256:{start}{}", "0".repeat(64 - start.len()))
                .parse()
                .unwrap(),
        };
        let places: BTreeSet<i64> = (0..50_u64)
            .map(|n| spread(&image(&format!("{:012x}", n * 1_234_567_891)), FIRST_MILLIS))
            .collect();
        assert!(places.len() > 45, "{places:?}");
        assert!(places.iter().all(|place| (0..FIRST_MILLIS).contains(place)));
        assert_eq!(spread(&image("abc"), FIRST_MILLIS), spread(&image("abc"), FIRST_MILLIS));
    }
}
