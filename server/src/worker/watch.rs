//! Follows every cluster's Argo CD, so that what is live is on screen within a second.
//!
//! A stream begins with every Application as it is, so connecting again is reading again. While none can be had, what was
//! reported before is forgotten: old news is not shown as live.

use super::closer::Closer;
use crate::{
    adapters::argocd::WatchEvent,
    service::{Services, connection, live::Reported},
    store::ClusterRecord,
    telemetry::streams::Followed,
};
use app::error::AppError;
use domain::{id::ClusterId, plan::AppSnapshot};
use futures::StreamExt;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, Interval, interval_at},
};
use tokio_util::sync::CancellationToken;

/// How often the list of clusters is looked at without being told of a change.
const LOOK: Duration = Duration::from_secs(30);
/// Pause before connecting again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is noted that an Argo CD is being followed.
const BEAT: Duration = Duration::from_secs(15);
/// Failed connections in a row after which what was reported is forgotten.
const FORGET_AFTER: u32 = 5;

/// Follows all clusters until told to stop.
pub async fn all(services: Services, stop: CancellationToken) {
    let mut connections = services.wake.connections.subscribe();
    let mut followed: HashMap<String, (ClusterRecord, JoinHandle<()>)> = HashMap::new();
    // Clusters without an Argo CD, of which nothing is remembered that one reported.
    let mut silent: HashSet<ClusterId> = HashSet::new();
    loop {
        match clusters(&services).await {
            Ok(current) => {
                let (current, without): (Vec<_>, Vec<_>) =
                    (current.into_iter()).partition(|record| record.cluster.argocd.is_some());
                silent.retain(|id| without.iter().any(|record| record.cluster.id == *id));
                for record in &without {
                    if !silent.contains(&record.cluster.id) && forget(&services, record).await {
                        silent.insert(record.cluster.id);
                    }
                }
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
            Err(error) if error.trouble().is_some() => {}
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
        clusters.extend(tx.clusters(workspace.id).await?);
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
    let mut closer = Closer::default();
    loop {
        match services.argocd_access(&record) {
            Ok(Some(access)) => {
                services.begins_to_follow(&record);
                let mut stream = services.argocd.watch(&access);
                // What the stream says first is how things are now: that it is followed is noted before.
                let mut beat: Option<Interval> = None;
                loop {
                    let event = tokio::select! {
                        event = stream.next() => event,
                        () = next(&mut beat) => {
                            note(&services, &record).await;
                            continue;
                        }
                    };
                    let Some(event) = event else { break };
                    if event.is_ok() && beat.is_none() {
                        note(&services, &record).await;
                        beat = Some(interval_at(Instant::now() + BEAT, BEAT));
                    }
                    match event {
                        Ok(WatchEvent::Changed(app)) => {
                            failures = 0;
                            if !report(&services, &record, &app, &mut closer).await {
                                break;
                            }
                        }
                        Ok(WatchEvent::Deleted { name, version }) => {
                            let gone = AppSnapshot {
                                name,
                                version,
                                workloads: Some(Vec::new()),
                                ..AppSnapshot::default()
                            };
                            if !report(&services, &record, &gone, &mut closer).await {
                                break;
                            }
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
        if failures >= FORGET_AFTER {
            forget(&services, &record).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The next beat; never, before the first.
async fn next(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}

/// Forgets what was live on a cluster; whether that worked.
async fn forget(services: &Services, record: &ClusterRecord) -> bool {
    let forgot = services.forget_live(record).await;
    if let Err(error) = &forgot
        && !matches!(error, AppError::Unavailable(_))
    {
        tracing::error!(cluster = %record.cluster.name, %error, "what was live could not be forgotten");
    }
    forgot.is_ok()
}

/// Notes that the cluster's Argo CD is being followed.
async fn note(services: &Services, record: &ClusterRecord) {
    if let Err(error) = services.follows(record).await
        && !matches!(error, AppError::Unavailable(_))
    {
        tracing::error!(cluster = %record.cluster.name, %error, "that it is followed could not be noted");
    }
}

/// Stores what an Application runs, for every environment that it belongs to. `false` when the database could not be written, once it can
/// be again: what the stream said is lost then, and it must say anew how things are.
async fn report(services: &Services, record: &ClusterRecord, app: &AppSnapshot, closer: &mut Closer) -> bool {
    match try_report(services, record, app, closer).await {
        Ok(()) => true,
        Err(AppError::Unavailable(_)) => {
            while services.store.check_writable().await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
            false
        }
        Err(error) => {
            tracing::error!(application = %app.name, %error, "what is live could not be stored");
            true
        }
    }
}

async fn try_report(
    services: &Services,
    record: &ClusterRecord,
    app: &AppSnapshot,
    closer: &mut Closer,
) -> Result<(), AppError> {
    services.deployed_sources.note(record.cluster.id, app);
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
        if services.report_live(&project, &environment, app).await? == Reported::InDoubt {
            closer.look(services, record, &project, &environment, app);
        }
        services.nudge(&environment).await?;
    }
    Ok(())
}
