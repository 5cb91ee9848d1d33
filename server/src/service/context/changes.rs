//! The commits between images, as they were read last: for good where they are known, for a moment where that may pass.

use domain::{
    id::WorkspaceId,
    source::{Changes, Revision},
    time::Timestamp,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Answers that are kept. Each has at most 500 commits.
const MOST: usize = 300;
/// How long it is kept that nothing came, in milliseconds: a host that doesn't answer is not asked by each reader.
const PASSING: i64 = 30_000;

/// Which commits of which repository.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ChangesKey {
    pub(crate) workspace: WorkspaceId,
    /// Listed host and path.
    pub(crate) repository: String,
    pub(crate) before: Revision,
    pub(crate) after: Revision,
}

/// What was read of source repositories.
#[derive(Debug, Default)]
pub struct KeptChanges(Mutex<HashMap<ChangesKey, Kept>>);

#[derive(Debug)]
struct Kept {
    changes: Changes,
    read_at: Timestamp,
}

impl KeptChanges {
    fn all(&self) -> MutexGuard<'_, HashMap<ChangesKey, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, if it still counts.
    pub(crate) fn get(&self, key: &ChangesKey, now: Timestamp) -> Option<Changes> {
        let all = self.all();
        let kept = all.get(key)?;
        let counts = match &kept.changes {
            Changes::Unknown { .. } => now.0 - kept.read_at.0 < PASSING,
            _ => true,
        };
        counts.then(|| kept.changes.clone())
    }

    /// Keeps what was read, in place of the oldest where there are too many.
    pub(crate) fn keep(&self, key: ChangesKey, changes: Changes, now: Timestamp) {
        let mut all = self.all();
        if all.len() >= MOST && !all.contains_key(&key) {
            let oldest = all
                .iter()
                .min_by_key(|(_, kept)| kept.read_at)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                all.remove(&oldest);
            }
        }
        all.insert(key, Kept { changes, read_at: now });
    }

    /// Forgets a workspace's: its hosts are listed otherwise.
    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        self.all().retain(|key, _| key.workspace != workspace);
    }
}
