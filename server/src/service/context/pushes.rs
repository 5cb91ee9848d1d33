//! What registries told of and is in hand: by registry, repository and tag, so that one look answers many notifications.

use crate::{
    gather::Gather,
    service::context::shared::{Shared, SharedBy},
};
use contract::error::AppError;
use domain::{
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    id::{ProjectId, WorkspaceId},
};
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, Semaphore};

/// An artifact that was seen in a registry.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// Whose.
    pub(crate) workspace: WorkspaceId,
    /// The image, with the tag that names it.
    pub(crate) image: ExactImage,
    /// What the registry says about it.
    pub(crate) details: ArtifactDetails,
    /// How it came to be looked at.
    pub(crate) entrance: Entrance,
}

/// Looks at one registry that run at once.
const SIDE_BY_SIDE: usize = 8;
/// Tags of one registry that are in hand at once.
const MOST_IN_HAND: usize = 2_048;

/// What registries told of and is in hand.
#[derive(Debug, Default)]
pub struct Pushes {
    /// By registry.
    lanes: Mutex<HashMap<String, Arc<RegistryLane>>>,
    /// The image repositories that resources name.
    pub(crate) repositories: Shared<Arc<Repositories>>,
    /// Reading Git for projects whose resources may run something already.
    pub(crate) adopting: SharedBy<ProjectId, bool>,
    /// How often each was looked at.
    pub(crate) rounds: Rounds,
    /// Projects whose repository somebody told of, and is not read yet.
    pub(crate) projects: Mutex<HashSet<ProjectId>>,
    /// Whose turn it is to read a project's repository because of that.
    pub(crate) reading: Turns<ProjectId>,
    /// Whose turn it is to look at an image repository, and to write what was found.
    pub(crate) looking: Turns<(WorkspaceId, Repository)>,
    /// Image repositories of which all tags were looked at since the server started.
    looked_at: Mutex<HashSet<(WorkspaceId, Repository)>>,
    /// Artifacts that wait to be written.
    pub(crate) seen: Gather<Sighting, Result<(), AppError>>,
    pub(crate) idle: Notify,
}

type Repositories = Vec<(WorkspaceId, Repository)>;
/// Turns, first come first served, at each of many things.
type Turns<K> = Mutex<HashMap<K, Arc<AsyncMutex<()>>>>;

pub(crate) async fn turn<K: Eq + Hash>(turns: &Turns<K>, at: K) -> OwnedMutexGuard<()> {
    let turn = Arc::clone(locked(turns).entry(at).or_default());
    turn.lock_owned().await
}

/// What is in hand of one registry.
#[derive(Debug)]
pub(crate) struct RegistryLane {
    pub(crate) in_hand: Mutex<HashMap<PushKey, InHand>>,
    pub(crate) places: Semaphore,
}

/// Tags of a repository, or the whole of it.
pub(crate) type PushKey = (WorkspaceId, Repository, PushScope);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum PushScope {
    Tags,
    Whole,
}

/// What was told of something in hand.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    /// Since the last look began, in the order in which it was told.
    waiting: Vec<PushReport>,
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
pub(crate) struct PushReport {
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
    pub(crate) entrance: Entrance,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for RegistryLane {
    fn default() -> Self {
        Self {
            in_hand: Mutex::default(),
            places: Semaphore::new(SIDE_BY_SIDE),
        }
    }
}

/// What came of telling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It is looked at from now on.
    Begins,
    /// It is in hand already, and is looked at once more.
    Joins,
    /// Too much is in hand.
    Refused,
}

impl RegistryLane {
    pub(crate) fn tell(&self, key: &PushKey, told: PushReport) -> Admission {
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
                Admission::Joins
            }
            // There are only so many repositories.
            _ if is_full && told.tag.is_some() => Admission::Refused,
            (Some(known), None) => {
                known.waiting.push(told);
                Admission::Joins
            }
            (None, _) => {
                let new = InHand {
                    waiting: vec![told],
                    looked_at: 0,
                };
                in_hand.insert(key.clone(), new);
                Admission::Begins
            }
        }
    }

    /// What was told and isn't looked at yet, in order: now it is. Without any, the key is out of hand.
    pub(crate) fn take(&self, key: &PushKey) -> Option<Vec<PushReport>> {
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
    pub(crate) fn lane(&self, repository: &Repository) -> Arc<RegistryLane> {
        let mut lanes = locked(&self.lanes);
        Arc::clone(lanes.entry(repository.registry().to_owned()).or_default())
    }

    /// Whether a repository was looked at in full since the server started.
    pub(crate) fn was_looked_at(&self, workspace: WorkspaceId, repository: &Repository) -> bool {
        locked(&self.looked_at).contains(&(workspace, repository.clone()))
    }

    /// Remembers that a repository was looked at in full.
    pub(crate) fn note_looked_at(&self, workspace: WorkspaceId, repository: &Repository) {
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

/// How often each repository was looked at, so that its tags take turns.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Mutex<HashMap<(WorkspaceId, Repository), usize>>);

impl Rounds {
    pub(crate) fn next(&self, workspace: WorkspaceId, repository: &Repository) -> usize {
        let mut rounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let round = rounds.entry((workspace, repository.clone())).or_default();
        let this = *round;
        *round = round.wrapping_add(1);
        this
    }
}
