//! How new what Argo CD reported of an environment is.

use domain::{
    environment::Environment,
    id::{ClusterId, EnvironmentId},
    time::Timestamp,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// For so long what an Argo CD reported stays while it can't be followed: on the board, with its age, and for soaks, which go on as if
/// nothing had been. After that nobody knows what was meanwhile.
pub const KEPT_MILLIS: i64 = 60_000;

/// What comes late is so by less than this. Where versions have gone back for longer, the cluster was restored.
const LATE_MILLIS: i64 = 60_000;

/// The newest version of each environment's Application that was stored, and when. A cluster's stream and a promotion's own look come by
/// different ways: what one brings late is not to be taken for what is live now.
#[derive(Debug, Default)]
pub struct KeptVersions(Mutex<HashMap<EnvironmentId, KeptVersion>>);

#[derive(Debug)]
pub(crate) struct KeptVersion {
    pub(crate) cluster: ClusterId,
    version: u64,
    pub(crate) at: Timestamp,
}

impl KeptVersions {
    pub(crate) fn all(&self) -> MutexGuard<'_, HashMap<EnvironmentId, KeptVersion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn newest(&self, environment: EnvironmentId) -> Option<u64> {
        self.all().get(&environment).map(|kept| kept.version)
    }

    /// Whether an older one was stored, or none, or it can't be said; this one is the newest then.
    pub(crate) fn advance(&self, environment: &Environment, version: Option<u64>, now: Timestamp) -> bool {
        let mut all = self.all();
        let Some(version) = version else {
            all.remove(&environment.id);
            return true;
        };
        let cluster = environment.cluster;
        let is_late = |known: &KeptVersion| {
            known.cluster == cluster && version < known.version && now.millis_since(known.at) < LATE_MILLIS
        };
        if all.get(&environment.id).is_some_and(is_late) {
            return false;
        }
        let at = now;
        all.insert(environment.id, KeptVersion { cluster, version, at });
        true
    }
}
