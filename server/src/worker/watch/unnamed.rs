//! Applications that a stream doesn't name when it begins with all that there are: deleted while nobody listened, renamed since, or never
//! made. The stream will not say so; each is read once.

use super::{ReadOnce, is_it, read};
use crate::{
    back_off,
    ports::argocd::AppRef,
    service::{Services, reach},
    store::{ClusterRecord, StoreError},
};
use domain::plan::AppSnapshot;
use std::{collections::VecDeque, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// By then a stream has named every Application there is: a thousand take less than a second.
const NAMED_WITHIN: Duration = Duration::from_secs(3);

/// What a stream has named since it began. Reading the others ends when this is dropped.
#[derive(Default)]
pub(super) struct Unnamed {
    looks_at: Option<Instant>,
    named: Vec<(String, Option<String>)>,
    task: JoinSet<()>,
}

impl Unnamed {
    /// The stream begins now.
    pub(super) fn begin(&mut self) {
        self.looks_at = Some(Instant::now() + NAMED_WITHIN);
    }

    /// Notes that the stream has named it.
    pub(super) fn note_named(&mut self, app: &AppSnapshot) {
        if self.looks_at.is_some() {
            self.named.push((app.name.clone(), app.namespace.clone()));
        }
    }

    /// When it is time to read the others; never before the stream has begun, nor a second time.
    pub(super) async fn is_due(&self) {
        match self.looks_at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Reads the others, beside the stream. `dice` spreads the tries of several servers.
    pub(super) fn look(
        &mut self,
        services: &Services,
        record: &ClusterRecord,
        own_namespace: Option<&str>,
        dice: u128,
    ) {
        self.looks_at = None;
        let named = std::mem::take(&mut self.named);
        let (services, record, own) = (services.clone(), record.clone(), own_namespace.map(str::to_owned));
        self.task.spawn(async move {
            let mut failures = 0;
            let wanted = loop {
                match wanted(&services, &record).await {
                    Ok(wanted) => break wanted,
                    Err(_) => failures += 1,
                }
                sleep(back_off::pause(failures, dice)).await;
            };
            let is_named = |wanted: &AppRef| {
                (named.iter()).any(|(name, namespace)| is_it(wanted, name, namespace.as_deref(), own.as_deref()))
            };
            let mut left: VecDeque<AppRef> = wanted.into_iter().filter(|app| !is_named(app)).collect();
            failures = 0;
            // One that can't be read keeps no other from being read.
            while let Some(app) = left.pop_front() {
                if read(&services, &record, &app).await == ReadOnce::Done {
                    failures = 0;
                    continue;
                }
                left.push_back(app);
                failures += 1;
                sleep(back_off::pause(failures, dice)).await;
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
            let app = reach::application(record, &project.project.name, &environment.name);
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
