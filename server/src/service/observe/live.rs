//! What is live, as Argo CD reports it.

use crate::{
    ports::argocd::AppRef,
    service::{
        context::{KEPT_MILLIS, Services},
        gates::{self, unseen_since},
        observe::what_runs::{Runs, what_runs},
        reach,
    },
    store::{ClusterRecord, NewEvent, StoreError, Tx, Waiting},
};
use contract::error::AppError;
use domain::{
    artifact::Digest,
    environment::{Environment, Project},
    event::{Happened, Subject},
    plan::{AppSnapshot, Health},
    promotion::Actor,
    resource::{Live, Resource, Source, Unknown},
    time::Timestamp,
};
use std::time::Duration;

/// How it was found that there is no Application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// Argo CD's stream told of its end, with this version.
    Deleted(Option<u64>),
    /// It was asked for and not found, when this was the newest version known. If another is by now, it has been made since.
    NotFound {
        /// As [`newest_version`] gave it before Argo CD was asked.
        newest: Option<u64>,
    },
}

/// What came of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reported {
    /// What runs is known now.
    Known,
    /// Of a resource, the look doesn't tell what runs: the Application's workloads must be read.
    InDoubt,
    /// What is stored is newer, or the environment has another Application by now.
    Late,
}

/// Stores what an environment's Application runs, as far as this look tells. `at` is what it was asked for by.
///
/// # Errors
/// When the database fails.
pub async fn report_live(
    services: &Services,
    project: &Project,
    environment: &Environment,
    at: &AppRef,
    app: &AppSnapshot,
) -> Result<Reported, AppError> {
    let now = services.now();
    let (mut changed, mut untold) = (false, false);
    let mut tx = services.store.write().await?;
    if !is_still_meant(&mut *tx, project, environment, at).await? {
        return Ok(Reported::Late);
    }
    // Writers stand in one line: nobody comes between this and the commit.
    if !services.kept_versions.advance(environment, app.version, now) {
        return Ok(Reported::Late);
    }
    let mut resources = tx.resources(project.id).await?;
    resources.retain(|resource| resource.environment == environment.id);
    let mut reported = Reported::Known;
    for resource in &resources {
        let (digests, health, soaks) = match what_runs(resource, &resources, app) {
            Runs::These(digests, health) => (digests, health, true),
            Runs::NoRepository => {
                // Git says nothing of it any more.
                let whose = (project.workspace, project.id);
                gates::note_soak(&mut *tx, whose, resource, app.health, &[], now).await?;
                // What it ran runs on until it is pruned; nothing new is its own, and nothing of it soaks.
                let Some(live) = &resource.live else { continue };
                if live.unknown.is_some() {
                    tx.set_live(resource.id, None).await?;
                    untold = true;
                    continue;
                }
                let shows = |digest: &&Digest| app.images.iter().any(|image| image.ends_with(digest.as_str()));
                (live.digests.iter().filter(shows).cloned().collect(), live.health, false)
            }
            Runs::InDoubt => {
                reported = Reported::InDoubt;
                // What is known stays until the workloads are read; where nothing is, that is said.
                if (resource.live.as_ref()).is_none_or(|live| live.unknown == Some(Unknown::NoApplication)) {
                    let checking = Live::unknown(Unknown::Checking, now);
                    tx.set_live(resource.id, Some(&checking)).await?;
                    untold = true;
                }
                continue;
            }
        };
        let same = resource
            .live
            .as_ref()
            .is_some_and(|l| l.unknown.is_none() && l.digests == digests && l.health == health);
        if same {
            continue;
        }
        let healthy = match health {
            Health::Healthy if soaks => digests.clone(),
            _ => Vec::new(),
        };
        let short = digests.iter().map(|d| d.short().to_owned()).collect();
        tx.set_live(
            resource.id,
            Some(&Live {
                digests,
                health,
                at: now,
                unknown: None,
            }),
        )
        .await?;
        let event = NewEvent {
            workspace: project.workspace,
            subject: Subject::resource(project.id, resource),
            actor: Actor::Waybill,
            happened: Happened::LiveChanged { digests: short, health },
        };
        tx.append_event(&event, now).await?;
        let whose = (project.workspace, project.id);
        gates::note_soak(&mut *tx, whose, resource, health, &healthy, now).await?;
        changed = true;
    }
    tx.commit().await?;
    // The ledger says what was seen, and not that something is being looked at.
    if untold {
        services.kept_cells.forget(project.id);
    }
    if changed {
        services.wrote();
    }
    Ok(reported)
}

/// Notes that an environment's Argo CD has no Application for it, or doesn't show it: what runs is not known. An Application can be deleted
/// without its pods, so that nothing is said of those.
///
/// # Errors
/// When the database fails.
pub async fn report_absent(
    services: &Services,
    project: &Project,
    environment: &Environment,
    at: &AppRef,
    seen: Absence,
) -> Result<(), AppError> {
    let now = services.now();
    let mut changed = false;
    let mut tx = services.store.write().await?;
    if !is_still_meant(&mut *tx, project, environment, at).await? {
        return Ok(());
    }
    let is_late = match seen {
        Absence::Deleted(version) => !services.kept_versions.advance(environment, version, now),
        Absence::NotFound { newest } => services.kept_versions.newest(environment.id) != newest,
    };
    if is_late {
        return Ok(());
    }
    // Where the stream has named it before, it would have told of its end.
    let is_doubtful = matches!(seen, Absence::NotFound { newest: Some(_) });
    for resource in tx.resources(project.id).await? {
        let stays = |live: &Live| match live.unknown {
            Some(Unknown::NoApplication) => true,
            Some(Unknown::Checking) => false,
            None => is_doubtful,
        };
        // Nobody knows yet what it is to run, with or without an Application.
        let is_new = resource.desired.is_none() && matches!(resource.source, Source::Promote { .. });
        if resource.environment != environment.id || is_new || resource.live.as_ref().is_some_and(stays) {
            continue;
        }
        let unknown = Live::unknown(Unknown::NoApplication, now);
        tx.set_live(resource.id, Some(&unknown)).await?;
        let whose = (project.workspace, project.id);
        gates::note_soak(&mut *tx, whose, &resource, unknown.health, &[], now).await?;
        gates::end_soak(&mut *tx, project.id, &resource, now).await?;
        let event = NewEvent {
            workspace: project.workspace,
            subject: Subject::resource(project.id, &resource),
            actor: Actor::Waybill,
            happened: Happened::ApplicationNotFound {
                application: at.name.clone(),
            },
        };
        tx.append_event(&event, now).await?;
        changed = true;
    }
    tx.commit().await?;
    if changed {
        services.wrote();
    }
    Ok(())
}

/// Whether an environment's Application is this one still: whoever asked for it did so before its name, its cluster or the environment itself
/// could be changed.
async fn is_still_meant(
    tx: &mut dyn Tx,
    project: &Project,
    environment: &Environment,
    at: &AppRef,
) -> Result<bool, StoreError> {
    let environments = tx.environments(project.id).await?;
    let Some(environment) = environments.iter().find(|now| now.id == environment.id) else {
        return Ok(false);
    };
    let clusters = tx.clusters(project.workspace).await?;
    let record = clusters.iter().find(|record| record.cluster.id == environment.cluster);
    let meant = record.and_then(|record| reach::application(record, &project.name, &environment.name));
    Ok(meant.as_ref() == Some(at))
}

/// The newest version of an environment's Application that is known, for [`Absence::NotFound`].
#[must_use]
pub fn newest_version(services: &Services, environment: &Environment) -> Option<u64> {
    services.kept_versions.newest(environment.id)
}

/// What a cluster's Argo CD says next is how things are, whatever the versions: it may count anew since it was restored.
pub fn forget_versions(services: &Services, record: &ClusterRecord) {
    (services.kept_versions.all()).retain(|_, kept| kept.cluster != record.cluster.id);
    services.deployed_sources.forget(record.cluster.id);
}

/// Has the promotions look that wait for an environment's Application: Argo CD said that something about it changed.
///
/// # Errors
/// When the database fails.
pub async fn wake_waiting_in(services: &Services, environment: &Environment) -> Result<(), AppError> {
    let mut tx = services.store.write().await?;
    tx.nudge_environment(environment.id, services.now()).await?;
    tx.commit().await?;
    services.wake.worker.notify_one();
    Ok(())
}

/// Notes that a cluster's Argo CD is being followed. After a time without, what was healthy before is so anew, since now: nobody
/// knows what was in between.
///
/// # Errors
/// When the database fails.
pub async fn note_followed(services: &Services, record: &ClusterRecord) -> Result<(), AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    let seen = tx.seen(record.cluster.id).await?;
    let forgot = match unseen_since(seen, Timestamp(0), now) {
        Some(since) => forget(&mut *tx, record, since, now).await?,
        None => false,
    };
    tx.set_seen(record.cluster.id, now).await?;
    let found = tx.set_lost(record.cluster.id, None).await?;
    if found {
        let cluster = record.cluster.name.to_string();
        tell(&mut *tx, record, &Happened::ArgoCdFound { cluster }, now).await?;
    }
    tx.commit().await?;
    if forgot || found {
        services.wrote();
    }
    Ok(())
}

/// Notes that a cluster's Argo CD can't be followed any more; `why` is a sentence. Said once, until it can be again.
///
/// # Errors
/// When the database fails.
pub async fn record_stream_lost(services: &Services, record: &ClusterRecord, why: &str) -> Result<(), AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    let Some(seen) = tx.seen(record.cluster.id).await? else {
        return Ok(());
    };
    if !tx.set_lost(record.cluster.id, Some(seen.min(now))).await? {
        return Ok(());
    }
    let lost = Happened::ArgoCdLost {
        cluster: record.cluster.name.to_string(),
        why: why.to_owned(),
    };
    tell(&mut *tx, record, &lost, now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// For how long what a cluster's Argo CD reported stays, if it isn't followed again before.
///
/// # Errors
/// When the database fails.
pub async fn kept_while_out_of_sight(services: &Services, record: &ClusterRecord) -> Result<Duration, AppError> {
    let seen = services.store.read().await?.seen(record.cluster.id).await?;
    let now = services.now();
    let left = match (seen, unseen_since(seen, Timestamp(0), now)) {
        (Some(seen), None) => seen.plus_millis(KEPT_MILLIS).millis_since(now) + 1,
        _ => 0,
    };
    Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

/// Forgets what a cluster's Argo CD reported: it can't be reached, or is named no more, and old news must not be shown as live.
///
/// # Errors
/// When the database fails.
pub async fn forget_live(services: &Services, record: &ClusterRecord) -> Result<(), AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    let seen = tx.seen(record.cluster.id).await?;
    let forgot = forget(&mut *tx, record, seen.unwrap_or(now), now).await?;
    tx.commit().await?;
    if forgot {
        services.wrote();
    }
    Ok(())
}

/// Tells every project that has an environment on a cluster.
async fn tell(tx: &mut dyn Tx, record: &ClusterRecord, happened: &Happened, now: Timestamp) -> Result<(), StoreError> {
    let workspace = record.cluster.workspace;
    for project in tx.projects(workspace).await? {
        let environments = tx.environments(project.project.id).await?;
        if !environments.iter().any(|e| e.cluster == record.cluster.id) {
            continue;
        }
        let event = NewEvent {
            workspace,
            subject: Subject {
                project: Some(project.project.id),
                ..Subject::default()
            },
            actor: Actor::Waybill,
            happened: happened.clone(),
        };
        tx.append_event(&event, now).await?;
    }
    Ok(())
}

/// Forgets what is live on a cluster, and ends what was healthy there: nobody knows more of it `since` then. Whether there was anything.
async fn forget(tx: &mut dyn Tx, record: &ClusterRecord, since: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
    let workspace = record.cluster.workspace;
    let mut forgot = false;
    for project in tx.projects(workspace).await? {
        let environments = tx.environments(project.project.id).await?;
        let here = |resource: &Resource| {
            let mut of_cluster = environments.iter().filter(|e| e.cluster == record.cluster.id);
            of_cluster.any(|e| e.id == resource.environment)
        };
        for resource in tx.resources(project.project.id).await? {
            if resource.live.is_none() || !here(&resource) {
                continue;
            }
            tx.set_live(resource.id, None).await?;
            for digest in tx.open_runs(resource.id).await? {
                tx.end_run(resource.id, &digest, since, false).await?;
                tx.wake_waiting(Waiting::Digest(workspace, &digest), now).await?;
            }
            gates::end_soak(tx, project.project.id, &resource, now).await?;
            let event = NewEvent {
                workspace,
                subject: Subject::resource(project.project.id, &resource),
                actor: Actor::Waybill,
                happened: Happened::LiveForgotten,
            };
            tx.append_event(&event, now).await?;
            forgot = true;
        }
    }
    Ok(forgot)
}
