//! What each Application deploys, as its stream told last.

use domain::{
    id::ClusterId,
    plan::{AppSnapshot, AppSource},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Applications that are remembered. More than one server follows.
const MOST: usize = 50_000;

/// What each Application deploys that a stream showed, by cluster and name.
#[derive(Debug, Default)]
pub struct DeployedSources(Mutex<HashMap<(ClusterId, String), Deployed>>);

#[derive(Clone, Debug)]
pub(crate) struct Deployed {
    pub(crate) sources: Vec<AppSource>,
    pub(crate) auto_sync: bool,
    pub(crate) unsynced: Vec<String>,
}

impl DeployedSources {
    pub(crate) fn all(&self) -> MutexGuard<'_, HashMap<(ClusterId, String), Deployed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what an Application deploys now.
    pub fn note(&self, cluster: ClusterId, app: &AppSnapshot) {
        let mut all = self.all();
        let key = (cluster, app.name.clone());
        if app.sources.is_empty() {
            all.remove(&key);
        } else if all.len() < MOST || all.contains_key(&key) {
            let deployed = Deployed {
                sources: app.sources.clone(),
                auto_sync: app.auto_sync,
                unsynced: app.unsynced.clone(),
            };
            all.insert(key, deployed);
        }
    }

    /// Forgets an Application that there is no longer.
    pub fn forget_one(&self, cluster: ClusterId, app: &str) {
        self.all().remove(&(cluster, app.to_owned()));
    }

    /// Forgets a cluster's: its stream begins anew, or nobody follows it.
    pub fn forget(&self, cluster: ClusterId) {
        self.all().retain(|(of, _), _| *of != cluster);
    }
}
