//! Whose turn it is with a repository's mirror, and what goes from one turn to the next.
//!
//! Everybody who promotes looks at the remote first. Whoever waited for the turn while others looked need not look once more:
//! a look that began after they asked says what theirs would say. So a hundred who ask at once cost the remote two looks.

use super::{CommitId, GitError, RepositoryAccess, commit::Memory};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The turns of all mirrors, by where the mirror lies.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<PathBuf, Arc<AsyncMutex<Turn>>>>);

impl Turns {
    /// Waits for the turn to change a mirror.
    pub(super) async fn wait(&self, path: &Path) -> OwnedMutexGuard<Turn> {
        let lock = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(path.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}

/// What goes from one turn to the next.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What the commits remember.
    pub(super) memory: Memory,
    /// The newest look at the remote.
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    began: Instant,
    access: RepositoryAccess,
    found: Result<CommitId, GitError>,
}

impl Turn {
    /// What a look at the remote found that began at `since` or later, at the same branch and with the same credentials.
    pub(super) fn looked(&self, access: &RepositoryAccess, since: Instant) -> Option<Result<CommitId, GitError>> {
        let look = self.look.as_ref()?;
        let serves = look.began >= since
            && look.access.branch == access.branch
            && look.access.credentials.are(&access.credentials);
        serves.then(|| look.found.clone())
    }

    /// Keeps what a look at the remote found that began at `began`.
    pub(super) fn keep(&mut self, access: &RepositoryAccess, began: Instant, found: Result<CommitId, GitError>) {
        self.look = Some(Look {
            began,
            access: access.clone(),
            found,
        });
    }
}
