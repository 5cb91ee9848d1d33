//! Follows every cluster's Argo CD, so that what is live is on screen within a second.
//!
//! A stream begins with every Application as it is, so connecting again is reading again. While none can be had, what was
//! reported before is forgotten: old news is not shown as live.

use crate::{
    adapters::argocd::WatchEvent,
    service::{Services, connection},
    store::ClusterRecord,
    telemetry::streams::Followed,
};
use domain::plan::AppSnapshot;
use futures::StreamExt;
use std::{collections::HashMap, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often the list of clusters is looked at without being told of a change.
const LOOK: Duration = Duration::from_secs(30);
/// Pause before connecting again.
const AGAIN: Duration = Duration::from_secs(1);
/// Failed connections in a row after which what was reported is forgotten.
const FORGET_AFTER: u32 = 5;

/// Follows all clusters until told to stop.
pub async fn all(services: Services, stop: CancellationToken) {
    let mut connections = services.wake.connections.subscribe();
    let mut followed: HashMap<String, (ClusterRecord, JoinHandle<()>)> = HashMap::new();
    loop {
        match clusters(&services).await {
            Ok(current) => {
                followed.retain(|id, (record, task)| {
                    let same =
                        !task.is_finished() && current.iter().any(|c| c.cluster.id.to_string() == *id && c == record);
                    if !same {
                        task.abort();
                    }
                    same
                });
                for record in current {
                    followed.entry(record.cluster.id.to_string()).or_insert_with(|| {
                        let task = tokio::spawn(follow(services.clone(), record.clone()));
                        (record, task)
                    });
                }
            }
            Err(error) => tracing::error!(%error, "the clusters could not be read"),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = connections.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    for (_, task) in followed.into_values() {
        task.abort();
    }
}

async fn clusters(services: &Services) -> Result<Vec<ClusterRecord>, crate::store::StoreError> {
    let mut tx = services.store.read().await?;
    let mut clusters = Vec::new();
    for workspace in tx.workspaces().await? {
        clusters.extend(
            tx.clusters(workspace.id)
                .await?
                .into_iter()
                .filter(|c| c.cluster.argocd.is_some()),
        );
    }
    Ok(clusters)
}

async fn follow(services: Services, record: ClusterRecord) {
    let name = &record.cluster.name;
    let _followed = record
        .cluster
        .argocd
        .as_ref()
        .map(|argocd| Followed::begin(&argocd.url));
    let mut failures = 0;
    loop {
        match services.argocd_access(&record) {
            Ok(Some(access)) => {
                let mut stream = services.argocd.watch(&access);
                while let Some(event) = stream.next().await {
                    match event {
                        Ok(WatchEvent::Changed(app)) => {
                            failures = 0;
                            report(&services, &record, &app).await;
                        }
                        Ok(WatchEvent::Deleted { name }) => {
                            let gone = AppSnapshot {
                                name,
                                ..AppSnapshot::default()
                            };
                            report(&services, &record, &gone).await;
                        }
                        Err(error) => {
                            tracing::warn!(cluster = %name, %error, "Argo CD's stream ended");
                            failures += 1;
                            break;
                        }
                    }
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(cluster = %name, %error, "the cluster's token could not be read");
                failures += 1;
            }
        }
        if failures >= FORGET_AFTER
            && let Err(error) = services.forget_live(&record).await
        {
            tracing::error!(cluster = %name, %error, "what was live could not be forgotten");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Stores what an Application runs, for every environment that it belongs to.
async fn report(services: &Services, record: &ClusterRecord, app: &AppSnapshot) {
    if let Err(error) = try_report(services, record, app).await {
        tracing::error!(application = %app.name, %error, "what is live could not be stored");
    }
}

async fn try_report(
    services: &Services,
    record: &ClusterRecord,
    app: &AppSnapshot,
) -> Result<(), app::error::AppError> {
    let mut tx = services.store.read().await?;
    let mut places = Vec::new();
    for project in tx.projects(record.cluster.workspace).await? {
        for environment in tx.environments(project.project.id).await? {
            let wanted = connection::application(record, &project.project.name, &environment.name);
            let same = wanted.is_some_and(|wanted| {
                wanted.name == app.name
                    && (wanted.namespace.is_none() || app.namespace.is_none() || wanted.namespace == app.namespace)
            });
            if same && environment.cluster == record.cluster.id {
                places.push((project.project.clone(), environment));
            }
        }
    }
    drop(tx);
    for (project, environment) in places {
        services.report_live(&project, &environment, app).await?;
        services.nudge(&environment).await?;
    }
    Ok(())
}
