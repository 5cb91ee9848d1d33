//! What Applications deploy, as streams told it, and whether that is the branch that is committed to. Asking it costs nothing, so whoever sets
//! something up is told before the first promotion fails.

use super::{Services, connection};
use crate::store::ClusterRecord;
use domain::{
    environment::{Environment, Project},
    id::ClusterId,
    plan::{
        AppSnapshot, AppSource, Committed,
        source::{other_branch, other_branch_remedy, other_branch_words},
    },
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Applications that are remembered. More than one server follows.
const MOST: usize = 50_000;

/// The sources of each Application that a stream showed, by cluster and name.
#[derive(Debug, Default)]
pub struct DeployedSources(Mutex<HashMap<(ClusterId, String), Vec<AppSource>>>);

impl DeployedSources {
    fn all(&self) -> MutexGuard<'_, HashMap<(ClusterId, String), Vec<AppSource>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what an Application deploys now.
    pub fn note(&self, cluster: ClusterId, app: &AppSnapshot) {
        let mut all = self.all();
        let key = (cluster, app.name.clone());
        if app.sources.is_empty() {
            all.remove(&key);
        } else if all.len() < MOST || all.contains_key(&key) {
            all.insert(key, app.sources.clone());
        }
    }

    /// Forgets a cluster's: its stream begins anew, or nobody follows it.
    pub fn forget(&self, cluster: ClusterId) {
        self.all().retain(|(of, _), _| *of != cluster);
    }
}

impl Services {
    /// That an environment's Application follows another branch than Waybill commits to, and what to do; `None` while nobody knows of that.
    pub(crate) fn other_branch(
        &self,
        cluster: &ClusterRecord,
        project: &Project,
        environment: &Environment,
    ) -> Option<String> {
        let app = connection::application(cluster, &project.name, &environment.name)?;
        let sources = self
            .deployed_sources
            .all()
            .get(&(cluster.cluster.id, app.name.clone()))?
            .clone();
        let files = [project.values_path(&environment.key)];
        let committed = Committed {
            repository: &project.repository_url,
            branch: &project.branch,
            files: &files,
        };
        let revision = other_branch(&sources, committed)?;
        let what = other_branch_words(&app.name, revision, &project.branch);
        Some(format!(
            "{what} What is promoted would never run, so promotions to {} fail. {}",
            environment.name,
            other_branch_remedy(&project.branch)
        ))
    }
}
