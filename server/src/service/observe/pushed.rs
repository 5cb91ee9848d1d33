//! What registries tell of. A notification is a hint: what its tag names now is asked of the registry, beside the answer.
//!
//! - A tag is asked about once for all who tell of it before the asking begins; who tells of it later has it asked once more.
//! - What is told of a repository is looked at side by side and written in the order in which it was told, one batch after another, and
//!   never in the middle of a look at the whole of it ([`turn_at`]): what arrived last is written last, and where
//!   builds don't say when they were made that is what makes it the newest.
//! - The first look since the server started is at all other tags of a repository that aren't known: what a server that was killed had
//!   been told of, and had not looked at yet, came before whatever is told now.
//! - Few requests go to one registry at once (`SIDE_BY_SIDE`), and no registry waits for another.
//! - What is in hand is bounded (`MOST_IN_HAND`): whoever tells of more is asked to come again, and the repository is looked at as a
//!   whole, for those who don't.
//! - Where a look fails, the repository is looked at as a whole a moment later, again and again for a minute ([`PAUSES`]), and by the
//!   poller after that.
//! - What was found together is written together (`record_seen`), and decided on together (`deploy_newest`).

use crate::{
    adapters::registry::notification::Pushed,
    ports::registry::RegistryAccess,
    service::{
        context::{Admission, PushKey, PushReport, PushScope, RegistryLane, Services, Sighting, locked, turn},
        gates::{self, digest_it_hangs_on},
        observe::{
            arrivals, desired,
            look::{self, Extent},
            seen,
        },
        reach::{self, find_told_workspace},
    },
};
use contract::error::AppError;
use domain::{
    arrival::Heard,
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    id::{ProjectId, WorkspaceId},
    tags::is_of_a_tool,
};
use futures::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::OwnedMutexGuard;

/// When to come again, where so many are.
const BUSY_SECONDS: u64 = 5;
/// Pauses before a tag is looked at again that doesn't name yet what its registry told of.
const TAG_PAUSES: [Duration; 5] = [
    Duration::from_millis(30),
    Duration::from_millis(70),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(700),
];
/// Pauses before a repository is looked at as a whole, because a look at a tag failed or there were too many; each further one after
/// such a look failed too.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];

/// A registry told of pushes to a workspace's repositories. What the tags name is asked of the registry from now on. Returns how many
/// of them concern a resource: none where there is no such workspace.
///
/// # Errors
/// When too much is in hand already; then whoever told should tell again later.
pub async fn pushed(
    services: &Services,
    workspace: &str,
    pushes: Vec<Pushed>,
    entrance: &Entrance,
) -> Result<usize, AppError> {
    let mut tx = services.store.read().await?;
    let Some(workspace) = find_told_workspace(&mut *tx, workspace).await?.map(|found| found.id) else {
        return Ok(0);
    };
    let mut own = Vec::new();
    for push in &pushes {
        if let Some(tag) = &push.tag {
            let named = tx.own_tags_called(workspace, tag).await?.into_iter();
            // The host that the registry calls itself may be another.
            own.extend(
                named
                    .filter(|repository| repository.path() == push.repository_path)
                    .map(|it| (it, tag.clone())),
            );
        }
    }
    drop(tx);
    look_at_own_tags(services, workspace, &own).await?;
    let read = async || Ok::<_, AppError>(Arc::new(services.store.read().await?.image_repositories().await?));
    let repositories = services.pushes.repositories.get(read).await?;
    let (mut concerned, mut refused, mut begun) = (0, 0, Vec::new());
    for push in pushes {
        let Some(tag) = push.tag.clone() else { continue };
        let told = PushReport {
            tag: Some(tag.clone()),
            digest: push.digest,
            entrance: entrance.clone(),
        };
        // The host that the registry calls itself may be another than the one people pull from; the path decides.
        let known = repositories
            .iter()
            .filter(|(w, r)| *w == workspace && r.path() == push.repository_path);
        for (_, repository) in known {
            // Waybill set it, or somebody moved it: no new image either way.
            if own.iter().any(|(of, named)| of == repository && *named == tag) {
                continue;
            }
            concerned += 1;
            let key = (workspace, repository.clone(), PushScope::Tags);
            let lane = services.pushes.lane(repository);
            match lane.tell(&key, told.clone()) {
                Admission::Begins => begun.push((lane, key)),
                Admission::Joins => {}
                Admission::Refused => {
                    refused += 1;
                    look_at_whole(services, workspace, repository, entrance);
                }
            }
        }
    }
    // Not before all that was told at once is in hand: it is looked at, and decided on, together.
    for (lane, key) in begun {
        begin(services, lane, key);
    }
    if refused > 0 {
        tracing::warn!(refused, "registries tell of more pushes than can be looked at");
        return Err(AppError::Busy { seconds: BUSY_SECONDS });
    }
    Ok(concerned)
}

/// Has tags of environments looked at that were moved: by Waybill, or by somebody else.
async fn look_at_own_tags(
    services: &Services,
    workspace: WorkspaceId,
    own: &[(Repository, Tag)],
) -> Result<(), AppError> {
    if own.is_empty() {
        return Ok(());
    }
    let mut tx = services.store.write().await?;
    let now = services.now();
    for (repository, tag) in own {
        tx.look_at_tag(workspace, repository, tag, now).await?;
    }
    tx.commit().await?;
    services.wake.tags.notify_one();
    Ok(())
}

/// A Git host told of pushes to the repositories of projects. They are read beside the answer: one after another for a project, and
/// once for all who tell of it before the reading begins.
pub fn repositories_pushed(services: &Services, projects: Vec<ProjectId>, entrance: &Entrance) {
    for project in projects {
        if !locked(&services.pushes.projects).insert(project) {
            // Somebody reads it who hasn't begun.
            continue;
        }
        let (services, entrance) = (services.clone(), entrance.clone());
        tokio::spawn(async move {
            let _turn = turn(&services.pushes.reading, project).await;
            locked(&services.pushes.projects).remove(&project);
            if let Err(error) = desired::read_desired_through(&services, project, &entrance).await {
                tracing::warn!(%project, %error, "a pushed repository could not be read");
            }
        });
    }
}

/// Has a repository looked at as a whole, soon.
pub(crate) fn look_at_whole(services: &Services, workspace: WorkspaceId, repository: &Repository, entrance: &Entrance) {
    let told = PushReport {
        tag: None,
        digest: None,
        entrance: entrance.clone(),
    };
    let (lane, key) = (
        services.pushes.lane(repository),
        (workspace, repository.clone(), PushScope::Whole),
    );
    if lane.tell(&key, told) == Admission::Begins {
        begin(services, lane, key);
    }
}

/// Waits for the turn to look at an image repository and to write what was found.
pub(crate) async fn turn_at(
    services: &Services,
    workspace: WorkspaceId,
    repository: &Repository,
) -> OwnedMutexGuard<()> {
    turn(&services.pushes.looking, (workspace, repository.clone())).await
}

/// Begins to look at what is in hand.
fn begin(services: &Services, lane: Arc<RegistryLane>, key: PushKey) {
    let services = services.clone();
    tokio::spawn(async move {
        let looking = AssertUnwindSafe(look_while_told(&services, &lane, &key));
        if looking.catch_unwind().await.is_err() {
            // Else nobody would ever look at it again.
            tracing::error!(repository = %key.1, "a look at a registry panicked");
            locked(&lane.in_hand).remove(&key);
        }
        services.pushes.idle.notify_waiters();
    });
}

/// Looks at what is in hand, again and again, until nobody told of it since the last look began.
async fn look_while_told(services: &Services, lane: &RegistryLane, key: &PushKey) {
    let (workspace, repository, what) = key;
    let mut failures = 0;
    loop {
        if *what == PushScope::Whole {
            tokio::time::sleep(PAUSES[failures]).await;
        }
        let turn = turn_at(services, *workspace, repository).await;
        let Some(told) = lane.take(key) else { return };
        let looked = match what {
            PushScope::Tags => look_at_tags(services, lane, *workspace, repository, &told).await,
            PushScope::Whole => look_at_all_tags(services, lane, *workspace, repository, Extent::Whole, &told).await,
        };
        drop(turn);
        let (Err(error), Some(last)) = (looked, told.into_iter().next_back()) else {
            failures = 0;
            continue;
        };
        match what {
            PushScope::Tags => {
                tracing::warn!(%repository, %error, "what was pushed could not be looked up");
                look_at_whole(services, *workspace, repository, &last.entrance);
            }
            PushScope::Whole if failures + 1 < PAUSES.len() => {
                tracing::warn!(%repository, %error, "a repository of images could not be looked at yet");
                failures += 1;
                lane.tell(key, last);
            }
            PushScope::Whole => {
                tracing::warn!(%repository, %error, "a repository of images could not be looked at; the poller will");
                failures = 0;
            }
        }
    }
}

async fn look_at_all_tags(
    services: &Services,
    lane: &RegistryLane,
    workspace: WorkspaceId,
    repository: &Repository,
    extent: Extent<'_>,
    told: &[PushReport],
) -> Result<(), AppError> {
    let entrance = told.last().map(|told| told.entrance.clone()).unwrap_or_default();
    let place = lane.places.acquire().await;
    let found = look::find_in_repository(services, workspace, repository, extent).await?;
    // What comes of it may take as long as a Git server takes: others are asked meanwhile.
    drop(place);
    look::settle_tags(services, workspace, repository, found, &entrance).await
}

/// Looks at tags side by side, and writes what they name in the order in which they were told. One that can't be looked at
/// doesn't hold the others up; its error is returned when they are written.
async fn look_at_tags(
    services: &Services,
    lane: &RegistryLane,
    workspace: WorkspaceId,
    repository: &Repository,
    told: &[PushReport],
) -> Result<(), AppError> {
    if !services.pushes.was_looked_at(workspace, repository) {
        let now: Vec<Tag> = told.iter().filter_map(|told| told.tag.clone()).collect();
        let extent = Extent::New { but: &now };
        if let Err(error) = look_at_all_tags(services, lane, workspace, repository, extent, told).await {
            // What was told of can be looked at all the same: some registries list no tags.
            tracing::warn!(%repository, %error, "a repository of images could not be looked at before what was pushed to it");
        }
    }
    let mut tx = services.store.read().await?;
    let registries = tx.registries(workspace).await?;
    drop(tx);
    let access = reach::registry_access(services, &registries, repository)?;
    let looks = told
        .iter()
        .map(|told| named_at_last(services, lane, workspace, &access, repository, told));
    let looked = futures::future::join_all(looks).await;
    let (mut sightings, mut failed) = (Vec::new(), None);
    for (told, looked) in told.iter().zip(looked) {
        match looked {
            Ok(Named::Image(image, details)) => sightings.push(Sighting {
                workspace,
                image,
                details: *details,
                entrance: told.entrance.clone(),
            }),
            Ok(Named::Signature(digest)) => {
                if let Err(error) = gates::signature_pushed(services, workspace, &digest).await {
                    failed = Some(error);
                }
            }
            Ok(Named::Another | Named::Nothing) => {}
            Err(error) => {
                tracing::warn!(%repository, tag = ?told.tag, %error, "a pushed image could not be looked up");
                failed = Some(error);
            }
        }
    }
    seen::record_seen(services, sightings).await?;
    if let Some(last) = told.last() {
        arrivals::deploy_newest(services, workspace, repository, Heard::Told, &last.entrance).await?;
    }
    failed.map_or(Ok(()), Err)
}

/// What a tag names, once it names what was told. Registries may tell of a push before the tag names it (distribution 2.8 does: it
/// stores the manifest, tells, and then moves the tag), so it may be looked at again for a moment.
async fn named_at_last(
    services: &Services,
    lane: &RegistryLane,
    workspace: WorkspaceId,
    access: &RegistryAccess,
    repository: &Repository,
    told: &PushReport,
) -> Result<Named, AppError> {
    let Some(tag) = &told.tag else {
        return Ok(Named::Nothing);
    };
    let look = async |tries| {
        let _place = lane.places.acquire().await;
        named(services, workspace, access, repository, tag, told, tries).await
    };
    let mut looked = look(0).await;
    for (tries, pause) in (1..).zip(TAG_PAUSES) {
        if !matches!(looked, Ok(Named::Another)) {
            break;
        }
        tokio::time::sleep(pause).await;
        looked = look(tries).await;
    }
    looked
}

/// What a tag names now, after so many `tries` before.
async fn named(
    services: &Services,
    workspace: WorkspaceId,
    access: &RegistryAccess,
    repository: &Repository,
    tag: &Tag,
    told: &PushReport,
    tries: usize,
) -> Result<Named, AppError> {
    let known = match &told.digest {
        Some(digest) => {
            services
                .store
                .read()
                .await?
                .artifact(workspace, repository, digest)
                .await?
        }
        None => None,
    };
    let is_last = tries == TAG_PAUSES.len();
    if digest_it_hangs_on(tag).is_none() && is_of_a_tool(tag) {
        return Ok(Named::Nothing);
    }
    if let Some(signed) = digest_it_hangs_on(tag) {
        let named = services.registry.resolve(access, repository, tag).await?;
        let is_there = is_last || told.digest.is_none() || named == told.digest;
        return Ok(if is_there {
            Named::Signature(signed)
        } else {
            Named::Another
        });
    }
    let Some(wanted) = told.digest.as_ref().filter(|_| !is_last) else {
        let found = look::look_at(services, workspace, access, repository, tag).await?;
        return Ok(found.map_or(Named::Nothing, |(image, details)| {
            Named::Image(image, Box::new(details))
        }));
    };
    let details = match known.and_then(|artifact| artifact.details) {
        Some(details) => {
            let named = services.registry.resolve(access, repository, tag).await?;
            (named.as_ref() == Some(wanted)).then_some(Some(details))
        }
        None => {
            let found = services.registry.look(access, repository, tag, wanted).await?;
            found.and_then(|(named, details)| (named == *wanted).then_some(details))
        }
    };
    Ok(match details {
        None => Named::Another,
        // Charts and the like have no platforms: they are no images.
        Some(details) => match details.filter(ArtifactDetails::runs_on_linux) {
            None => Named::Nothing,
            Some(details) => {
                let image = ExactImage {
                    repository: repository.clone(),
                    tag: Some(tag.clone()),
                    digest: wanted.clone(),
                };
                Named::Image(image, Box::new(details))
            }
        },
    })
}

/// What a tag names.
#[derive(Debug)]
enum Named {
    /// Not, or not yet, what was told.
    Another,
    /// What was told, or else whatever it names by now.
    Image(ExactImage, Box<ArtifactDetails>),
    /// What is signed by what the tag names.
    Signature(Digest),
    /// No image.
    Nothing,
}
