//! Applications that a stream doesn't name when it begins with all that are: deleted while nobody listened, named otherwise by now, or never
//! made. The stream will not say so; each is asked for once.

use super::{Look, is_it, read};
use crate::{
    adapters::argocd::AppRef,
    service::{Services, connection},
    store::{ClusterRecord, StoreError},
};
use domain::plan::AppSnapshot;
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// So soon a stream has named all that are; naming a thousand takes less than a second.
const NAMED_WITHIN: Duration = Duration::from_secs(3);
/// Pause before what could not be read is read again.
const AGAIN: Duration = Duration::from_secs(5);

/// What a stream has named since it began. Looking for the others ends when this is dropped.
pub(super) struct Unnamed {
    looks_at: Option<Instant>,
    named: Vec<(String, Option<String>)>,
    task: JoinSet<()>,
}

impl Unnamed {
    /// Of a stream that begins now.
    pub(super) fn begin() -> Self {
        Self {
            looks_at: Some(Instant::now() + NAMED_WITHIN),
            named: Vec::new(),
            task: JoinSet::new(),
        }
    }

    /// Notes that the stream has named it.
    pub(super) fn names(&mut self, app: &AppSnapshot) {
        if self.looks_at.is_some() {
            self.named.push((app.name.clone(), app.namespace.clone()));
        }
    }

    /// When it is time to look for the others; never, once they were looked for.
    pub(super) async fn is_due(&self) {
        match self.looks_at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Asks for the others, beside the stream.
    pub(super) fn look(&mut self, services: &Services, record: &ClusterRecord, own_namespace: Option<&str>) {
        self.looks_at = None;
        let named = std::mem::take(&mut self.named);
        let (services, record, own) = (services.clone(), record.clone(), own_namespace.map(str::to_owned));
        self.task.spawn(async move {
            let mut wanted = loop {
                match wanted(&services, &record).await {
                    Ok(wanted) => break wanted,
                    Err(_) => sleep(AGAIN).await,
                }
            };
            let is_named = |wanted: &AppRef| {
                (named.iter()).any(|(name, namespace)| is_it(wanted, name, namespace.as_deref(), own.as_deref()))
            };
            wanted.retain(|app| !is_named(app));
            for app in wanted {
                while read(&services, &record, &app).await == Look::Again {
                    sleep(AGAIN).await;
                }
            }
        });
    }
}

/// The Applications of a cluster's environments that run something, or are to.
async fn wanted(services: &Services, record: &ClusterRecord) -> Result<Vec<AppRef>, StoreError> {
    let mut tx = services.store.read().await?;
    let mut wanted = Vec::new();
    for project in tx.projects(record.cluster.workspace).await? {
        let resources = tx.resources(project.project.id).await?;
        for environment in tx.environments(project.project.id).await? {
            let is_used = resources.iter().any(|resource| resource.environment == environment.id);
            let app = connection::application(record, &project.project.name, &environment.name);
            if let Some(app) = app
                && is_used
                && environment.cluster == record.cluster.id
                && !wanted.contains(&app)
            {
                wanted.push(app);
            }
        }
    }
    Ok(wanted)
}
