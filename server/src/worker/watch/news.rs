//! What Waybill hears of for the first time while an Argo CD is being followed: an environment, a resource that is adopted. Its
//! Application may be quiet for long, and then the stream says nothing about it; so it is read once.

use super::{ReadOnce, read};
use crate::{
    ports::argocd::AppRef,
    service::{Services, reach},
    store::{ClusterRecord, StoreError},
};
use domain::{
    id::{ClusterId, EnvironmentId, ResourceId},
    resource::Source,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::{sync::Semaphore, task::JoinSet};

/// Applications of which all are read at once; more wait.
const AT_ONCE: usize = 4;
/// A resource where it runs: moved to another cluster it is new there.
type ResourceOnCluster = (ClusterId, ResourceId);

/// What is known, and what is being read.
pub(super) struct News {
    known: Option<HashSet<ResourceOnCluster>>,
    reads: JoinSet<Vec<ResourceOnCluster>>,
    turns: Arc<Semaphore>,
}

impl Default for News {
    fn default() -> Self {
        Self {
            known: None,
            reads: JoinSet::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl News {
    /// Has read what is new on clusters that have been followed for a while. What could not be read is new again the next time.
    pub(super) async fn look(&mut self, services: &Services, followed: &[ClusterRecord], something_changed: bool) {
        let mut again = self.known.is_none() || something_changed;
        while let Some(read) = self.reads.try_join_next() {
            let failed = read.unwrap_or_default();
            again |= !failed.is_empty();
            if let Some(known) = &mut self.known {
                known.retain(|place| !failed.contains(place));
            }
        }
        if !again {
            return;
        }
        let found = match find(services).await {
            Ok(found) => found,
            Err(error) => {
                if error.trouble().is_none() {
                    tracing::error!(%error, "it could not be looked for new resources");
                }
                return;
            }
        };
        let all: HashSet<ResourceOnCluster> = found.values().flat_map(|app| app.places.iter().copied()).collect();
        let Some(known) = self.known.replace(all) else {
            return;
        };
        for app in found.into_values() {
            let Some(record) = followed.iter().find(|record| record.cluster.id == app.cluster) else {
                continue;
            };
            if app.places.iter().all(|place| known.contains(place)) {
                continue;
            }
            let (services, record, turns) = (services.clone(), record.clone(), Arc::clone(&self.turns));
            self.reads.spawn(async move {
                let _turn = turns.acquire().await;
                match read(&services, &record, &app.app).await {
                    ReadOnce::Done => Vec::new(),
                    ReadOnce::Again => app.places,
                }
            });
        }
    }
}

/// An Application, with the resources that it is to run.
struct Found {
    cluster: ClusterId,
    app: AppRef,
    places: Vec<ResourceOnCluster>,
}

async fn find(services: &Services) -> Result<HashMap<EnvironmentId, Found>, StoreError> {
    let mut tx = services.store.read().await?;
    let mut found = HashMap::new();
    for workspace in tx.workspaces().await? {
        let clusters = tx.clusters(workspace.id).await?;
        for project in tx.projects(workspace.id).await? {
            for environment in tx.environments(project.project.id).await? {
                let record = clusters.iter().find(|record| record.cluster.id == environment.cluster);
                let app = record.and_then(|r| reach::application(r, &project.project.name, &environment.name));
                if let Some(app) = app {
                    let (cluster, places) = (environment.cluster, Vec::new());
                    found.insert(environment.id, Found { cluster, app, places });
                }
            }
            for resource in tx.resources(project.project.id).await? {
                // Of which repository it is to run something isn't known before Git was read: nothing could be told of it until then.
                let is_known = resource.desired.is_some() || matches!(resource.source, Source::Image { .. });
                if !is_known {
                    continue;
                }
                if let Some(app) = found.get_mut(&resource.environment) {
                    app.places.push((app.cluster, resource.id));
                }
            }
        }
    }
    Ok(found)
}
