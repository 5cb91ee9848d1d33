//! What registries tell of. A notification is a hint: what its tag names now is asked of the registry, beside the answer.
//!
//! - A tag is asked about once for all who tell of it before the asking begins; who tells of it later has it asked once more.
//! - What is told of a repository is looked at side by side and written in the order in which it was told, one batch after another, and
//!   never in the middle of a look at the whole of it ([`Services::turn_at`]): what arrived last is written last, and where
//!   builds don't say when they were made that is what makes it the newest.
//! - The first look since the server started is at all other tags of a repository that aren't known: what a server that was killed had
//!   been told of, and had not looked at yet, came before whatever is told now.
//! - Few requests go to one registry at once ([`SIDE_BY_SIDE`]), and no registry waits for another.
//! - What is in hand is bounded ([`MOST_IN_HAND`]): whoever tells of more is asked to come again, and the repository is looked at as a
//!   whole, for those who don't.
//! - Where a look fails, the repository is looked at as a whole a moment later, again and again for a minute ([`PAUSES`]), and by the
//!   poller after that.
//! - What was found together is written together ([`Services::see`]), and decided on together ([`Services::decide_on`]).

use super::{
    Services,
    artifact::Sighting,
    look::{Extent, Rounds},
    shared::{Shared, SharedBy},
    signature::hangs_on,
    workspace::told_workspace,
};
use crate::{
    adapters::registry::{RegistryAccess, notification::Pushed},
    gather::Gather,
};
use app::error::AppError;
use domain::{
    arrival::Heard,
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    id::{ProjectId, WorkspaceId},
    tags::is_of_a_tool,
};
use futures::FutureExt as _;
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, Semaphore};

/// Looks at one registry that run at once.
const SIDE_BY_SIDE: usize = 8;
/// Tags of one registry that are in hand at once.
const MOST_IN_HAND: usize = 2_048;
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

/// What registries told of and is in hand.
#[derive(Debug, Default)]
pub struct Pushes {
    /// By registry.
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    /// The image repositories that resources name.
    repositories: Shared<Arc<Repositories>>,
    /// Reading Git for projects whose resources may run something already.
    pub(super) adopting: SharedBy<ProjectId, bool>,
    /// How often each was looked at.
    pub(super) rounds: Rounds,
    /// Projects whose repository somebody told of, and is not read yet.
    projects: Mutex<HashSet<ProjectId>>,
    /// Whose turn it is to read a project's repository because of that.
    reading: Turns<ProjectId>,
    /// Whose turn it is to look at an image repository, and to write what was found.
    looking: Turns<(WorkspaceId, Repository)>,
    /// Image repositories of which all tags were looked at since the server started.
    looked_at: Mutex<HashSet<(WorkspaceId, Repository)>>,
    /// Artifacts that wait to be written.
    pub(super) seen: Gather<Sighting, Result<(), AppError>>,
    idle: Notify,
}

type Repositories = Vec<(WorkspaceId, Repository)>;

/// Turns, first come first served, at each of many things.
type Turns<K> = Mutex<HashMap<K, Arc<AsyncMutex<()>>>>;

async fn turn<K: Eq + Hash>(turns: &Turns<K>, at: K) -> OwnedMutexGuard<()> {
    let turn = Arc::clone(locked(turns).entry(at).or_default());
    turn.lock_owned().await
}

/// What is in hand of one registry.
#[derive(Debug)]
struct Lane {
    in_hand: Mutex<HashMap<Key, InHand>>,
    places: Semaphore,
}

/// Tags of a repository, or the whole of it.
type Key = (WorkspaceId, Repository, What);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum What {
    Tags,
    Whole,
}

/// What was told of something in hand.
#[derive(Debug, Default)]
struct InHand {
    /// Since the last look began, in the order in which it was told.
    waiting: Vec<Told>,
    /// How much is being looked at.
    looked_at: usize,
}

impl InHand {
    fn len(&self) -> usize {
        self.waiting.len() + self.looked_at
    }
}

/// The newest that was told of a tag; without one, of a repository.
#[derive(Clone, Debug)]
struct Told {
    tag: Option<Tag>,
    digest: Option<Digest>,
    entrance: Entrance,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            in_hand: Mutex::default(),
            places: Semaphore::new(SIDE_BY_SIDE),
        }
    }
}

/// What came of telling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Telling {
    /// It is looked at from now on.
    Begins,
    /// It is in hand already, and is looked at once more.
    Joins,
    /// Too much is in hand.
    Refused,
}

impl Lane {
    fn tell(&self, key: &Key, told: Told) -> Telling {
        let mut in_hand = locked(&self.in_hand);
        let is_full = in_hand.values().map(InHand::len).sum::<usize>() >= MOST_IN_HAND;
        let known = in_hand.get_mut(key);
        let before = known
            .as_ref()
            .and_then(|known| known.waiting.iter().position(|other| other.tag == told.tag));
        match (known, before) {
            (Some(known), Some(before)) => {
                known.waiting.remove(before);
                known.waiting.push(told);
                Telling::Joins
            }
            // There are only so many repositories.
            _ if is_full && told.tag.is_some() => Telling::Refused,
            (Some(known), None) => {
                known.waiting.push(told);
                Telling::Joins
            }
            (None, _) => {
                let new = InHand {
                    waiting: vec![told],
                    looked_at: 0,
                };
                in_hand.insert(key.clone(), new);
                Telling::Begins
            }
        }
    }

    /// What was told and isn't looked at yet, in order: now it is. Without any, the key is out of hand.
    fn take(&self, key: &Key) -> Option<Vec<Told>> {
        let mut in_hand = locked(&self.in_hand);
        let known = in_hand.get_mut(key)?;
        let told = std::mem::take(&mut known.waiting);
        known.looked_at = told.len();
        if told.is_empty() {
            in_hand.remove(key);
            return None;
        }
        Some(told)
    }
}

impl Pushes {
    fn lane(&self, repository: &Repository) -> Arc<Lane> {
        let mut lanes = locked(&self.lanes);
        Arc::clone(lanes.entry(repository.registry().to_owned()).or_default())
    }

    /// Whether a repository was looked at in full since the server started.
    fn was_looked_at(&self, workspace: WorkspaceId, repository: &Repository) -> bool {
        locked(&self.looked_at).contains(&(workspace, repository.clone()))
    }

    /// Remembers that a repository was looked at in full.
    pub(super) fn is_looked_at(&self, workspace: WorkspaceId, repository: &Repository) {
        locked(&self.looked_at).insert((workspace, repository.clone()));
    }

    /// How many tags and repositories are in hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        let lanes = locked(&self.lanes);
        lanes
            .values()
            .map(|lane| locked(&lane.in_hand).values().map(InHand::len).sum::<usize>())
            .sum()
    }

    /// Waits until nothing is in hand.
    pub async fn settled(&self) {
        loop {
            // Before the look, so that nothing comes between.
            let idle = self.idle.notified();
            if self.in_hand() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Services {
    /// A registry told of pushes to a workspace's repositories. What the tags name is asked of the registry from now on. Returns how many
    /// of them concern a resource: none where there is no such workspace.
    ///
    /// # Errors
    /// When too much is in hand already; then whoever told should tell again later.
    pub async fn pushed(&self, workspace: &str, pushes: Vec<Pushed>, entrance: &Entrance) -> Result<usize, AppError> {
        let mut tx = self.store.read().await?;
        let Some(workspace) = told_workspace(&mut *tx, workspace).await?.map(|found| found.id) else {
            return Ok(0);
        };
        drop(tx);
        let read = async || Ok::<_, AppError>(Arc::new(self.store.read().await?.image_repositories().await?));
        let repositories = self.pushes.repositories.get(read).await?;
        let (mut concerned, mut refused, mut begun) = (0, 0, Vec::new());
        for push in pushes {
            if push.tag.is_none() {
                continue;
            }
            let told = Told {
                tag: push.tag,
                digest: push.digest,
                entrance: entrance.clone(),
            };
            // The host that the registry calls itself may be another than the one people pull from; the path decides.
            let known = repositories
                .iter()
                .filter(|(w, r)| *w == workspace && r.path() == push.repository_path);
            for (_, repository) in known {
                concerned += 1;
                let key = (workspace, repository.clone(), What::Tags);
                let lane = self.pushes.lane(repository);
                match lane.tell(&key, told.clone()) {
                    Telling::Begins => begun.push((lane, key)),
                    Telling::Joins => {}
                    Telling::Refused => {
                        refused += 1;
                        self.look_at_whole(workspace, repository, entrance);
                    }
                }
            }
        }
        // Not before all that was told at once is in hand: it is looked at, and decided on, together.
        for (lane, key) in begun {
            self.begin(lane, key);
        }
        if refused > 0 {
            tracing::warn!(refused, "registries tell of more pushes than can be looked at");
            return Err(AppError::Busy { seconds: BUSY_SECONDS });
        }
        Ok(concerned)
    }

    /// A Git host told of pushes to the repositories of projects. They are read beside the answer: one after another for a project, and
    /// once for all who tell of it before the reading begins.
    pub fn repositories_pushed(&self, projects: Vec<ProjectId>, entrance: &Entrance) {
        for project in projects {
            if !locked(&self.pushes.projects).insert(project) {
                // Somebody reads it who hasn't begun.
                continue;
            }
            let (services, entrance) = (self.clone(), entrance.clone());
            tokio::spawn(async move {
                let _turn = turn(&services.pushes.reading, project).await;
                locked(&services.pushes.projects).remove(&project);
                if let Err(error) = services.read_desired_through(project, &entrance).await {
                    tracing::warn!(%project, %error, "a pushed repository could not be read");
                }
            });
        }
    }

    /// Has a repository looked at as a whole, soon.
    pub(super) fn look_at_whole(&self, workspace: WorkspaceId, repository: &Repository, entrance: &Entrance) {
        let told = Told {
            tag: None,
            digest: None,
            entrance: entrance.clone(),
        };
        let (lane, key) = (
            self.pushes.lane(repository),
            (workspace, repository.clone(), What::Whole),
        );
        if lane.tell(&key, told) == Telling::Begins {
            self.begin(lane, key);
        }
    }

    /// Waits for the turn to look at an image repository and to write what was found.
    pub(super) async fn turn_at(&self, workspace: WorkspaceId, repository: &Repository) -> OwnedMutexGuard<()> {
        turn(&self.pushes.looking, (workspace, repository.clone())).await
    }

    /// Begins to look at what is in hand.
    fn begin(&self, lane: Arc<Lane>, key: Key) {
        let services = self.clone();
        tokio::spawn(async move {
            let looking = AssertUnwindSafe(services.look_while_told(&lane, &key));
            if looking.catch_unwind().await.is_err() {
                // Else nobody would ever look at it again.
                tracing::error!(repository = %key.1, "a look at a registry panicked");
                locked(&lane.in_hand).remove(&key);
            }
            services.pushes.idle.notify_waiters();
        });
    }

    /// Looks at what is in hand, again and again, until nobody told of it since the last look began.
    async fn look_while_told(&self, lane: &Lane, key: &Key) {
        let (workspace, repository, what) = key;
        let mut failures = 0;
        loop {
            if *what == What::Whole {
                tokio::time::sleep(PAUSES[failures]).await;
            }
            let turn = self.turn_at(*workspace, repository).await;
            let Some(told) = lane.take(key) else { return };
            let looked = match what {
                What::Tags => self.look_at_tags(lane, *workspace, repository, &told).await,
                What::Whole => {
                    self.look_at_all_tags(lane, *workspace, repository, Extent::Whole, &told)
                        .await
                }
            };
            drop(turn);
            let (Err(error), Some(last)) = (looked, told.into_iter().next_back()) else {
                failures = 0;
                continue;
            };
            match what {
                What::Tags => {
                    tracing::warn!(%repository, %error, "what was pushed could not be looked up");
                    self.look_at_whole(*workspace, repository, &last.entrance);
                }
                What::Whole if failures + 1 < PAUSES.len() => {
                    tracing::warn!(%repository, %error, "a repository of images could not be looked at yet");
                    failures += 1;
                    lane.tell(key, last);
                }
                What::Whole => {
                    tracing::warn!(%repository, %error, "a repository of images could not be looked at; the poller will");
                    failures = 0;
                }
            }
        }
    }

    async fn look_at_all_tags(
        &self,
        lane: &Lane,
        workspace: WorkspaceId,
        repository: &Repository,
        extent: Extent<'_>,
        told: &[Told],
    ) -> Result<(), AppError> {
        let entrance = told.last().map(|told| told.entrance.clone()).unwrap_or_default();
        let place = lane.places.acquire().await;
        let found = self.find_in_repository(workspace, repository, extent).await?;
        // What comes of it may take as long as a Git server takes: others are asked meanwhile.
        drop(place);
        self.settle(workspace, repository, found, &entrance).await
    }

    /// Looks at tags side by side, and writes what they name in the order in which they were told. One that can't be looked at
    /// doesn't hold the others up; its error is returned when they are written.
    async fn look_at_tags(
        &self,
        lane: &Lane,
        workspace: WorkspaceId,
        repository: &Repository,
        told: &[Told],
    ) -> Result<(), AppError> {
        if !self.pushes.was_looked_at(workspace, repository) {
            let now: Vec<Tag> = told.iter().filter_map(|told| told.tag.clone()).collect();
            let extent = Extent::New { but: &now };
            if let Err(error) = self.look_at_all_tags(lane, workspace, repository, extent, told).await {
                // What was told of can be looked at all the same: some registries list no tags.
                tracing::warn!(%repository, %error, "a repository of images could not be looked at before what was pushed to it");
            }
        }
        let mut tx = self.store.read().await?;
        let clusters = tx.clusters(workspace).await?;
        drop(tx);
        let access = self.registry_access(&clusters, repository)?;
        let looks = told
            .iter()
            .map(|told| self.named_at_last(lane, workspace, &access, repository, told));
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
                    if let Err(error) = self.signature_pushed(workspace, &digest).await {
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
        self.see(sightings).await?;
        if let Some(last) = told.last() {
            self.decide_on(workspace, repository, Heard::Told, &last.entrance)
                .await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// What a tag names, once it names what was told. Registries may tell of a push before the tag names it (distribution 2.8 does: it
    /// stores the manifest, tells, and then moves the tag), so it may be looked at again for a moment.
    async fn named_at_last(
        &self,
        lane: &Lane,
        workspace: WorkspaceId,
        access: &RegistryAccess,
        repository: &Repository,
        told: &Told,
    ) -> Result<Named, AppError> {
        let Some(tag) = &told.tag else {
            return Ok(Named::Nothing);
        };
        let look = async |tries| {
            let _place = lane.places.acquire().await;
            self.named(workspace, access, repository, tag, told, tries).await
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
        &self,
        workspace: WorkspaceId,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
        told: &Told,
        tries: usize,
    ) -> Result<Named, AppError> {
        let known = match &told.digest {
            Some(digest) => self.store.read().await?.artifact(workspace, repository, digest).await?,
            None => None,
        };
        let is_last = tries == TAG_PAUSES.len();
        if hangs_on(tag).is_none() && is_of_a_tool(tag) {
            return Ok(Named::Nothing);
        }
        if let Some(signed) = hangs_on(tag) {
            let named = self.registry.resolve(access, repository, tag).await?;
            let is_there = is_last || told.digest.is_none() || named == told.digest;
            return Ok(if is_there {
                Named::Signature(signed)
            } else {
                Named::Another
            });
        }
        let Some(wanted) = told.digest.as_ref().filter(|_| !is_last) else {
            let found = self.look_at(workspace, access, repository, tag).await?;
            return Ok(found.map_or(Named::Nothing, |(image, details)| {
                Named::Image(image, Box::new(details))
            }));
        };
        let details = match known.and_then(|artifact| artifact.details) {
            Some(details) => {
                let named = self.registry.resolve(access, repository, tag).await?;
                (named.as_ref() == Some(wanted)).then_some(Some(details))
            }
            None => {
                let found = self.registry.look(access, repository, tag, wanted).await?;
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
