//! What registries tell of. A notification is a hint: what its tag names now is asked of the registry, beside the answer.
//!
//! - A tag is asked about once for all who tell of it before the asking begins; who tells of it later has it asked once more.
//! - Few requests go to one registry at once ([`SIDE_BY_SIDE`]), and no registry waits for another.
//! - What is in hand is bounded ([`MOST_IN_HAND`]): whoever tells of more is asked to come again, and the repository is looked at as a
//!   whole, for those who don't.
//! - Where a look fails, the repository is looked at as a whole a moment later, again and again for a minute ([`PAUSES`]), and by the
//!   poller after that.
//! - What was found is written together ([`Services::see`]), and what was told together is decided on together
//!   ([`Services::decide_on`]): by the look at the last of its tags.

use super::{
    Services,
    artifact::Sighting,
    look::Rounds,
    shared::{Shared, SharedBy},
    signature::hangs_on,
    workspace::told_workspace,
};
use crate::{adapters::registry::notification::Pushed, gather::Gather};
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
    collections::{HashMap, HashSet, hash_map::Entry},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore};

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
    /// Looking at a repository as a whole.
    pub(super) looks: SharedBy<(WorkspaceId, Repository), ()>,
    /// How often each was looked at.
    pub(super) rounds: Rounds,
    /// Projects whose repository somebody told of, and is not read yet.
    projects: Mutex<HashSet<ProjectId>>,
    /// Whose turn it is to read a project's repository because of that.
    reading: Mutex<HashMap<ProjectId, Arc<AsyncMutex<()>>>>,
    /// Artifacts that wait to be written.
    pub(super) seen: Gather<Sighting, Result<(), AppError>>,
    idle: Notify,
}

type Repositories = Vec<(WorkspaceId, Repository)>;

/// What is in hand of one registry.
#[derive(Debug)]
struct Lane {
    in_hand: Mutex<HashMap<Key, InHand>>,
    places: Semaphore,
}

/// A tag of a repository, or the whole of it.
type Key = (WorkspaceId, Repository, Option<Tag>);

/// What is known of something in hand: what was told of it since the last look began.
#[derive(Debug, Default)]
struct InHand(Option<Told>);

/// The newest that was told of a tag.
#[derive(Clone, Debug)]
struct Told {
    digest: Option<Digest>,
    entrance: Entrance,
    /// Shared with what was told of the same repository at once: who has the last one decides.
    together: Option<Arc<Together>>,
}

/// Stands for what was told of a repository at once.
#[derive(Debug)]
struct Together;

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
        let is_full = in_hand.len() >= MOST_IN_HAND;
        match in_hand.entry(key.clone()) {
            Entry::Occupied(mut known) => {
                known.get_mut().0 = Some(told);
                Telling::Joins
            }
            // There are only so many repositories.
            Entry::Vacant(_) if is_full && key.2.is_some() => Telling::Refused,
            Entry::Vacant(new) => {
                new.insert(InHand(Some(told)));
                Telling::Begins
            }
        }
    }

    /// What was told and isn't looked at yet: now it is. Without any, the key is out of hand.
    fn take(&self, key: &Key) -> Option<Told> {
        let mut in_hand = locked(&self.in_hand);
        let told = in_hand.get_mut(key).and_then(|known| known.0.take());
        if told.is_none() {
            in_hand.remove(key);
        }
        told
    }
}

impl Pushes {
    fn lane(&self, repository: &Repository) -> Arc<Lane> {
        let mut lanes = locked(&self.lanes);
        Arc::clone(lanes.entry(repository.registry().to_owned()).or_default())
    }

    /// How many tags and repositories are in hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        let lanes = locked(&self.lanes);
        lanes.values().map(|lane| locked(&lane.in_hand).len()).sum()
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
        let (mut concerned, mut refused) = (0, 0);
        let mut together: HashMap<Repository, Arc<Together>> = HashMap::new();
        for push in pushes {
            let Some(tag) = push.tag else { continue };
            // The host that the registry calls itself may be another than the one people pull from; the path decides.
            let known = repositories
                .iter()
                .filter(|(w, r)| *w == workspace && r.path() == push.repository_path);
            for (_, repository) in known {
                concerned += 1;
                let key = (workspace, repository.clone(), Some(tag.clone()));
                let together = together.entry(repository.clone()).or_insert_with(|| Arc::new(Together));
                let told = Told {
                    digest: push.digest.clone(),
                    entrance: entrance.clone(),
                    together: Some(Arc::clone(together)),
                };
                if self.take_in_hand(key, told) == Telling::Refused {
                    refused += 1;
                    self.look_at_whole(workspace, repository, entrance);
                }
            }
        }
        for (repository, together) in together {
            // All that was told was looked at before the last of it was taken in hand.
            if Arc::into_inner(together).is_some() {
                self.look_at_whole(workspace, &repository, entrance);
            }
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
            let turn = Arc::clone(locked(&self.pushes.reading).entry(project).or_default());
            let (services, entrance) = (self.clone(), entrance.clone());
            tokio::spawn(async move {
                let _turn = turn.lock().await;
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
            digest: None,
            entrance: entrance.clone(),
            together: None,
        };
        self.take_in_hand((workspace, repository.clone(), None), told);
    }

    fn take_in_hand(&self, key: Key, told: Told) -> Telling {
        let lane = self.pushes.lane(&key.1);
        let telling = lane.tell(&key, told);
        if telling == Telling::Begins {
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
        telling
    }

    /// Looks at what is in hand, again and again, until nobody told of it since the last look began.
    async fn look_while_told(&self, lane: &Lane, key: &Key) {
        let (workspace, repository, tag) = key;
        let mut failures = 0;
        loop {
            if tag.is_none() {
                tokio::time::sleep(PAUSES[failures]).await;
            }
            let Ok(place) = lane.places.acquire().await else {
                return;
            };
            let Some(told) = lane.take(key) else { return };
            let Some(tag) = tag else {
                let found = self.find_in_repository(*workspace, repository).await;
                // What comes of it may take as long as a Git server takes: others are asked meanwhile.
                drop(place);
                let seen = match found {
                    Ok(found) => self.settle(*workspace, repository, found, &told.entrance).await,
                    Err(error) => Err(error),
                };
                match seen {
                    Ok(()) => failures = 0,
                    Err(error) if failures + 1 < PAUSES.len() => {
                        tracing::warn!(%repository, %error, "a repository of images could not be looked at yet");
                        failures += 1;
                        lane.tell(key, told);
                    }
                    Err(error) => {
                        tracing::warn!(%repository, %error, "a repository of images could not be looked at; the poller will");
                        failures = 0;
                    }
                }
                continue;
            };
            let looked = self.named(*workspace, repository, tag, &told, 0).await;
            drop(place);
            let Told {
                digest,
                entrance,
                together,
            } = told;
            let told = Told {
                digest,
                entrance: entrance.clone(),
                together: None,
            };
            let mut made = self.make_of(lane, key, told, looked).await;
            if together.and_then(Arc::into_inner).is_some()
                && let Err(error) = self.decide_on(*workspace, repository, Heard::Told, &entrance).await
            {
                made = made.and(Err(error));
            }
            if let Err(error) = made {
                tracing::warn!(%repository, %tag, %error, "a pushed image could not be looked up");
                self.look_at_whole(*workspace, repository, &entrance);
            }
        }
    }

    /// Makes of a tag what is to be made of it, once it names what was told. Registries may tell of a push before the tag names it
    /// (distribution 2.8 does: it stores the manifest, tells, and then moves the tag), so it may be looked at again for a moment.
    async fn make_of(
        &self,
        lane: &Lane,
        (workspace, repository, tag): &Key,
        told: Told,
        mut looked: Result<Named, AppError>,
    ) -> Result<(), AppError> {
        let Some(tag) = tag else { return Ok(()) };
        for (tries, pause) in (1..).zip(TAG_PAUSES) {
            if !matches!(looked, Ok(Named::Another)) {
                break;
            }
            tokio::time::sleep(pause).await;
            let _place = lane.places.acquire().await;
            looked = self.named(*workspace, repository, tag, &told, tries).await;
        }
        match looked? {
            Named::Image(image, details) => {
                let sighting = Sighting {
                    workspace: *workspace,
                    image,
                    details: *details,
                    entrance: told.entrance,
                };
                self.see(vec![sighting]).await
            }
            Named::Signature(digest) => self.signature_pushed(*workspace, &digest).await,
            Named::Another | Named::Nothing => Ok(()),
        }
    }

    /// What a tag names now, after so many `tries` before.
    async fn named(
        &self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
        told: &Told,
        tries: usize,
    ) -> Result<Named, AppError> {
        let mut tx = self.store.read().await?;
        let clusters = tx.clusters(workspace).await?;
        let known = match &told.digest {
            Some(digest) => tx.artifact(workspace, repository, digest).await?,
            None => None,
        };
        drop(tx);
        let access = self.registry_access(&clusters, repository)?;
        let is_last = tries == TAG_PAUSES.len();
        if hangs_on(tag).is_none() && is_of_a_tool(tag) {
            return Ok(Named::Nothing);
        }
        if let Some(signed) = hangs_on(tag) {
            let named = self.registry.resolve(&access, repository, tag).await?;
            let is_there = is_last || told.digest.is_none() || named == told.digest;
            return Ok(if is_there {
                Named::Signature(signed)
            } else {
                Named::Another
            });
        }
        let Some(wanted) = told.digest.as_ref().filter(|_| !is_last) else {
            let found = self.look_at(workspace, &access, repository, tag).await?;
            return Ok(found.map_or(Named::Nothing, |(image, details)| {
                Named::Image(image, Box::new(details))
            }));
        };
        let details = match known.and_then(|artifact| artifact.details) {
            Some(details) => {
                let named = self.registry.resolve(&access, repository, tag).await?;
                (named.as_ref() == Some(wanted)).then_some(Some(details))
            }
            None => {
                let found = self.registry.look(&access, repository, tag, wanted).await?;
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
