//! What Applications deploy, as streams told it, whether that is the branch that is committed to, and what a sync would bring besides. Asking it
//! costs nothing, so whoever sets something up is told before the first promotion fails.

use super::{Services, connection};
use crate::store::ClusterRecord;
use domain::{
    environment::{Environment, Project},
    id::ClusterId,
    plan::{
        AppSnapshot, AppSource, Committed,
        source::{other_branch, other_branch_remedy, other_branch_words},
    },
    policy::SyncScope,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// So many of what a sync brings besides are named.
const MOST_NAMED: usize = 5;

/// Applications that are remembered. More than one server follows.
const MOST: usize = 50_000;

/// What each Application deploys that a stream showed, by cluster and name.
#[derive(Debug, Default)]
pub struct DeployedSources(Mutex<HashMap<(ClusterId, String), Deployed>>);

#[derive(Clone, Debug)]
struct Deployed {
    sources: Vec<AppSource>,
    auto_sync: bool,
    unsynced: Vec<String>,
}

impl DeployedSources {
    fn all(&self) -> MutexGuard<'_, HashMap<(ClusterId, String), Deployed>> {
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

impl Services {
    fn deployed(&self, cluster: &ClusterRecord, app: &str) -> Option<Deployed> {
        let key = (cluster.cluster.id, app.to_owned());
        self.deployed_sources.all().get(&key).cloned()
    }

    /// What else a sync would bring where the Application waits to be asked for one, a sentence; `None` where it brings nothing else, or nobody
    /// knows of it.
    pub(crate) fn brought_besides(
        &self,
        cluster: &ClusterRecord,
        project: &Project,
        environment: &Environment,
        creates: bool,
    ) -> Option<String> {
        let app = connection::application(cluster, &project.name, &environment.name)?;
        let deployed = self.deployed(cluster, &app.name)?;
        if deployed.auto_sync {
            return None;
        }
        if environment.policy.sync == SyncScope::Service && !creates {
            return Some("Only the service's own workloads are synced, as the policy says.".to_owned());
        }
        if deployed.unsynced.is_empty() {
            return None;
        }
        let named: Vec<&str> = deployed.unsynced.iter().map(String::as_str).take(MOST_NAMED).collect();
        let more = match deployed.unsynced.len() - named.len() {
            0 => "",
            _ => " and more",
        };
        Some(format!(
            "{} doesn't sync by itself. A sync applies everything that differs from Git now: {}{more}.",
            app.name,
            named.join(", ")
        ))
    }

    /// That an environment's Application follows another branch than Waybill commits to, and what to do; `None` while nobody knows of that.
    pub(crate) fn other_branch(
        &self,
        cluster: &ClusterRecord,
        project: &Project,
        environment: &Environment,
    ) -> Option<String> {
        let app = connection::application(cluster, &project.name, &environment.name)?;
        let sources = self.deployed(cluster, &app.name)?.sources;
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
