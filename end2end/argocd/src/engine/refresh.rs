//! The refresh loop: Git against the cluster, written to the status in one patch.
//!
//! It takes the highest level that has been asked for since it last looked, and looks by itself every `poll`. After the
//! comparison it decides about auto-sync. It never waits for an operation, and no operation waits for it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Target, automated_operation, ignore, partial_operation, target};
use crate::{
    app::{ComparedTo, Condition, HYDRATE, Health, REFRESH, ResourceHealth, ResourceStatus, Source, SyncStatus},
    manifest::Manifest,
    world::{AppKey, Level, Queues, Record, Shared},
};

/// Looks until the Application is gone.
pub(crate) async fn run(shared: Arc<Shared>, key: AppKey, queues: Arc<Queues>) {
    let mut last_look = Instant::now();
    loop {
        let next_look = last_look + shared.timing().poll;
        let level = tokio::select! {
            () = queues.gone.cancelled() => return,
            level = queues.next_refresh() => level,
            () = tokio::time::sleep_until(next_look) => Level::Latest,
        };
        if level >= Level::Latest {
            last_look = Instant::now();
        }
        tokio::select! {
            () = queues.gone.cancelled() => return,
            () = refresh(&shared, &key, level) => {}
        }
    }
}

/// The condition of a resource that Argo CD is told not to look at.
const EXCLUDED: &str = "ExcludedResourceWarning";

/// What a comparison starts from.
struct Start {
    sources: Vec<Source>,
    app: crate::app::Application,
    annotated: bool,
    hard: bool,
    dropped: bool,
    known: Option<Target>,
    comparison_error: Option<String>,
}

async fn refresh(shared: &Arc<Shared>, key: &AppKey, level: Level) {
    if level == Level::Tree {
        shared.write(key, |record| {
            if !record.faults.frozen {
                record.see_cluster();
            }
        });
        return;
    }
    if let Some(Some(slow)) = shared.read(key, |record| record.faults.slow_refresh) {
        tokio::time::sleep(slow).await;
    }
    let start = shared.write(key, |record| {
        if record.faults.frozen {
            return None;
        }
        let annotated = record.app.metadata.annotations.contains_key(REFRESH);
        // Only a refresh that was asked for is counted; until then the loop's own looks find nothing new either.
        let dropped = record.faults.drop_refreshes > 0;
        if dropped && (annotated || level == Level::Force) {
            record.faults.drop_refreshes -= 1;
        }
        record.follow_destination();
        Some(Start {
            sources: record.app.spec.effective_sources(),
            app: record.app.clone(),
            annotated,
            hard: record
                .app
                .metadata
                .annotations
                .get(REFRESH)
                .is_some_and(|kind| kind == "hard"),
            dropped,
            known: record.target.clone(),
            comparison_error: record.faults.comparison_error.clone(),
        })
    });
    let Some(Some(start)) = start else { return };
    let target = match (&start.comparison_error, start.known) {
        (Some(message), _) => target::broken(&start.sources, message),
        (None, Some(known)) if level == Level::Recent || start.dropped => known,
        (None, known) => {
            let cached = known.filter(|_| !start.hard);
            target::load(shared, &start.app, &start.sources, &[], cached.as_ref()).await
        }
    };
    shared.write(key, |record| {
        // Git was asked for another spec than the one there is now: the change of spec has asked for its own refresh.
        if record.app.spec.effective_sources() != start.sources {
            return;
        }
        if start.annotated {
            record.app.metadata.annotations.remove(REFRESH);
            record.app.metadata.annotations.remove(HYDRATE);
        }
        record.see_cluster();
        write_status(record, &start.sources, &target, level);
        record.target = start.comparison_error.is_none().then_some(target);
    });
    let through = shared.may_sync(key, false) == Some(true);
    shared.write(key, |record| auto_sync(record, through));
}

fn write_status(record: &mut Record, sources: &[Source], target: &Target, level: Level) {
    let Record {
        app, cluster, clock, ..
    } = record;
    let multi = app.spec.is_multi_source();
    let status = &mut app.status;
    let mut health = status.health.status.clone();
    let error = target.manifests.as_ref().err();
    status
        .conditions
        .retain(|condition| condition.kind != "ComparisonError" || Some(&condition.message) == error);
    let sync = match &target.manifests {
        Err(message) => {
            if !status
                .conditions
                .iter()
                .any(|condition| condition.kind == "ComparisonError")
            {
                status.conditions.push(Condition {
                    kind: "ComparisonError".to_owned(),
                    message: message.clone(),
                    last_transition_time: Some(clock.now()),
                });
            }
            if health.is_empty() {
                "Unknown".clone_into(&mut health);
            }
            "Unknown"
        }
        Ok(manifests) => {
            let excluded = manifests.iter().filter(|manifest| cluster.excludes(manifest.kind()));
            status.conditions.retain(|condition| condition.kind != EXCLUDED);
            status.conditions.extend(excluded.map(|manifest| Condition {
                kind: EXCLUDED.to_owned(),
                message: format!(
                    "Resource {}/{} {} is excluded in the settings",
                    manifest.group(),
                    manifest.kind(),
                    manifest.name()
                ),
                last_transition_time: status.reconciled_at.clone(),
            }));
            status.resources = compare(&app.spec, manifests, cluster);
            health = overall(&status.resources);
            let mut counted = status.resources.iter().filter(|resource| !resource.hook);
            if counted.all(|resource| resource.status == "Synced") {
                "Synced"
            } else {
                "OutOfSync"
            }
        }
    };
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    status.sync = SyncStatus {
        status: sync.to_owned(),
        compared_to: ComparedTo {
            source: if multi {
                Source::default()
            } else {
                sources.first().cloned().unwrap_or_default()
            },
            destination: app.spec.destination.clone(),
            sources: if multi { sources.to_vec() } else { Vec::new() },
        },
        revision: if multi { String::new() } else { first(&target.revisions) },
        revisions: if multi { target.revisions.clone() } else { Vec::new() },
    };
    if status.health.status != health {
        status.health = Health {
            status: health,
            last_transition_time: Some(clock.now()),
        };
    }
    if level >= Level::Latest || status.reconciled_at.is_none() {
        status.reconciled_at = Some(clock.now());
    }
    if multi {
        status.source_types = sources.iter().map(source_type).collect();
        status.source_type.clear();
    } else {
        status.source_types.clear();
        status.source_type = sources.first().map(source_type).unwrap_or_default();
    }
    "appTree".clone_into(&mut status.resource_health_source);
    crate::world::SERVER_NAMESPACE.clone_into(&mut status.controller_namespace);
}

/// What the repo-server takes a source for. The stand-in asks the spec where the real one asks the folder.
fn source_type(source: &Source) -> String {
    let helm = source.rest.contains_key("helm") || !source.reference.is_empty();
    if helm { "Helm" } else { "Directory" }.to_owned()
}

fn compare(spec: &crate::app::Spec, manifests: &[Manifest], cluster: &crate::cluster::Cluster) -> Vec<ResourceStatus> {
    let resource = |manifest: &Manifest| ResourceStatus {
        group: manifest.group().to_owned(),
        version: manifest.version().to_owned(),
        kind: manifest.kind().to_owned(),
        namespace: manifest.namespace().to_owned(),
        name: manifest.name().to_owned(),
        ..ResourceStatus::default()
    };
    let looked_at = |manifest: &Manifest| !cluster.excludes(manifest.kind());
    let managed = || {
        let managed = manifests.iter().filter(|manifest| manifest.hooks().is_empty());
        managed.filter(|manifest| looked_at(manifest))
    };
    let mut resources = Vec::new();
    for wanted in managed() {
        let live = cluster.resources.get(&wanted.id());
        let same = live.is_some_and(|live| ignore::same(wanted, &live.manifest, &ignore::ignored(spec, wanted)));
        let missing = || ResourceHealth {
            status: "Missing".to_owned(),
            message: String::new(),
        };
        resources.push(ResourceStatus {
            status: if same { "Synced" } else { "OutOfSync" }.to_owned(),
            health: live.map_or_else(|| Some(missing()), crate::cluster::live::Live::health),
            ..resource(wanted)
        });
    }
    for (id, live) in cluster.resources.iter().filter(|(_, live)| looked_at(&live.manifest)) {
        if !live.manifest.hooks().is_empty() {
            // A hook that is there is listed, and counts for nothing.
            resources.push(ResourceStatus {
                hook: true,
                requires_pruning: true,
                ..resource(&live.manifest)
            });
        } else if !managed().any(|wanted| wanted.id() == *id) {
            resources.push(ResourceStatus {
                status: "OutOfSync".to_owned(),
                health: live.health(),
                requires_pruning: true,
                ..resource(&live.manifest)
            });
        }
    }
    resources
}

/// The worst health wins, whosever it is; a missing resource counts only when all are missing (since Argo CD 3.4), and
/// one that Argo CD has no check for does not count.
fn overall(resources: &[ResourceStatus]) -> String {
    let healths: Vec<&str> = resources
        .iter()
        .filter_map(|resource| resource.health.as_ref())
        .map(|health| health.status.as_str())
        .collect();
    if !healths.is_empty() && healths.iter().all(|health| *health == "Missing") {
        return "Missing".to_owned();
    }
    let worst = ["Unknown", "Degraded", "Progressing", "Suspended"]
        .into_iter()
        .find(|status| healths.contains(status));
    worst.unwrap_or("Healthy").to_owned()
}

/// Starts an automated operation when there is a reason to and nothing against it. A closed window leaves no word.
fn auto_sync(record: &mut Record, through: bool) {
    let app = &record.app;
    let Some(automated) = app.spec.automated() else {
        record
            .app
            .status
            .conditions
            .retain(|condition| condition.kind != "SyncError");
        return;
    };
    if app.status.sync.status != "OutOfSync" {
        if app.status.sync.status == "Synced" {
            record
                .app
                .status
                .conditions
                .retain(|condition| condition.kind != "SyncError");
        }
        return;
    }
    let only_pruning = app
        .status
        .resources
        .iter()
        .all(|r| r.status != "OutOfSync" || r.requires_pruning);
    if !through
        || record.faults.frozen
        || app.operation.is_some()
        || app.is_deleting()
        || (only_pruning && !automated.prune)
    {
        return;
    }
    let self_heal = automated.self_heal;
    match attempted(record) {
        None => {
            let operation = automated_operation(record);
            record.start_operation(operation);
        }
        Some(Ok(())) if self_heal => {
            let operation = partial_operation(record);
            record.start_operation(operation);
        }
        Some(Ok(())) => {}
        Some(Err(message)) => {
            let conditions = &mut record.app.status.conditions;
            if !conditions
                .iter()
                .any(|condition| condition.kind == "SyncError" && condition.message == message)
            {
                conditions.retain(|condition| condition.kind != "SyncError");
                let last_transition_time = Some(record.clock.now());
                conditions.push(Condition {
                    kind: "SyncError".to_owned(),
                    message,
                    last_transition_time,
                });
            }
        }
    }
}

/// Whether the last operation was about this very revision and source, and how it ended. Argo CD does not try such a
/// pair again by itself.
fn attempted(record: &Record) -> Option<Result<(), String>> {
    let app = &record.app;
    let state = app.status.operation_state.as_ref()?;
    let sync = &state.operation.sync;
    let (wanted, tried): (Vec<&String>, Vec<&String>) = if app.spec.is_multi_source() {
        let result = state.sync_result.as_ref();
        (
            app.status.sync.revisions.iter().collect(),
            result.map_or(&sync.revisions, |r| &r.revisions).iter().collect(),
        )
    } else {
        let result = state.sync_result.as_ref();
        (
            vec![&app.status.sync.revision],
            vec![result.map_or(&sync.revision, |r| &r.revision)],
        )
    };
    let source_same = match &state.sync_result {
        Some(result) if app.spec.is_multi_source() => result.sources == app.spec.sources,
        Some(result) => Some(&result.source) == app.spec.source.as_ref(),
        None => true,
    };
    if wanted != tried || !source_same {
        return None;
    }
    if !state.is_completed() || state.phase == "Succeeded" {
        return Some(Ok(()));
    }
    let revision = wanted.first().map(|revision| revision.as_str()).unwrap_or_default();
    Some(Err(format!(
        "Failed last sync attempt to [{revision}]: {}",
        state.message
    )))
}
