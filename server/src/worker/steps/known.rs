//! What promotions that are worked on at the same time need not each ask for.
//!
//! An answer is shared only by those who began to want it before it was asked for: whatever was changed before somebody
//! asked for a promotion (a token, a registry), that promotion's steps see it.

use crate::service::{
    Services, observe,
    reach::{self, ProjectPlace},
};
use contract::error::AppError;
use domain::{
    artifact::{Digest, ExactImage, Repository},
    id::{ProjectId, WorkspaceId},
};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OnceCell, Semaphore};

/// For how long an answer holds for others: a batch, not more.
const HOLDS: Duration = Duration::from_millis(500);
/// Images that are asked about at once.
const LEARNING: usize = 2;

/// What the registry said about an image.
#[derive(Clone, Debug)]
pub(super) enum ImagePresence {
    Holds,
    Lacks,
    /// It failed, in words; whether that may pass.
    Failed(String, bool),
}

type Key = (WorkspaceId, Repository, Digest);
/// Answers, and when they were first asked for.
type Shared<K, T> = Mutex<HashMap<K, (Instant, Arc<OnceCell<T>>)>>;

/// Answers that several share.
#[derive(Debug)]
pub(in crate::worker) struct SharedAnswers {
    said: Shared<Key, ImagePresence>,
    places: Shared<ProjectId, Option<Arc<ProjectPlace>>>,
    learned: Mutex<HashMap<Key, Arc<OnceCell<()>>>>,
    learning: Semaphore,
}

impl Default for SharedAnswers {
    fn default() -> Self {
        Self {
            said: Mutex::default(),
            places: Mutex::default(),
            learned: Mutex::default(),
            learning: Semaphore::new(LEARNING),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cell in which those who want the same at about the same time find the one answer, asked for at `since` or later.
fn shared<K: Eq + Hash, T>(all: &Shared<K, T>, key: K, since: Instant) -> Arc<OnceCell<T>> {
    let mut all = locked(all);
    all.retain(|_, (asked, _)| asked.elapsed() < HOLDS);
    let fresh = || (Instant::now(), Arc::default());
    let (asked, cell) = all.entry(key).or_insert_with(fresh);
    if *asked < since {
        (*asked, *cell) = fresh();
    }
    Arc::clone(cell)
}

fn key(workspace: WorkspaceId, image: &ExactImage) -> Key {
    (workspace, image.repository.clone(), image.digest.clone())
}

impl SharedAnswers {
    /// What the registry says, asked once for all who want to know at about the same time.
    pub(super) async fn said(
        &self,
        workspace: WorkspaceId,
        image: &ExactImage,
        since: Instant,
        ask: impl AsyncFnOnce() -> ImagePresence,
    ) -> ImagePresence {
        shared(&self.said, key(workspace, image), since)
            .get_or_init(|| ask())
            .await
            .clone()
    }

    /// The project with all that its environments need; `None` when it is no longer there.
    pub(in crate::worker) async fn place(
        &self,
        services: &Services,
        project: ProjectId,
        since: Instant,
    ) -> Result<Option<Arc<ProjectPlace>>, AppError> {
        let read = async || {
            let mut tx = services.store.read().await?;
            let Some(record) = tx.project(project).await? else {
                return Ok(None);
            };
            let place = reach::place_for_waybill(&mut *tx, record).await?;
            Ok::<_, AppError>(Some(Arc::new(place)))
        };
        shared(&self.places, project, since)
            .get_or_try_init(read)
            .await
            .cloned()
    }

    /// Learns what an image was built from, once for all who want it, a few at a time.
    pub(in crate::worker) async fn learn(&self, services: &Services, workspace: WorkspaceId, image: &ExactImage) {
        let key = key(workspace, image);
        let cell = Arc::clone(locked(&self.learned).entry(key.clone()).or_default());
        cell.get_or_init(|| async {
            let Ok(_place) = self.learning.acquire().await else {
                return;
            };
            if let Err(error) = observe::learn_details(services, workspace, image).await {
                tracing::warn!(digest = %image.digest, %error, "the registry said nothing about an image");
            }
        })
        .await;
        locked(&self.learned).remove(&key);
    }
}
