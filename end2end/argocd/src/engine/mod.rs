//! The controller: two loops per Application that know nothing of each other.
//!
//! [`refresh`] compares Git with the cluster and writes the status; [`operate`] carries out `.operation` and writes
//! `operationState` and the history. What they share is only the record. Rollouts run beside both.

pub(crate) mod cache;
mod hooks;
pub(crate) mod ignore;
pub(crate) mod operate;
pub(crate) mod refresh;
mod target;

use std::sync::Arc;

pub(crate) use target::{REPO_SERVER_DOWN, Target};

use crate::{
    app::{InitiatedBy, Operation, OperationSync},
    cluster::RolloutState,
    faults::{RolloutOutcome, resource_refs},
    world::{AppKey, Level, Queues, Record, Shared},
};

/// Starts the loops of an Application that has just been added.
pub(crate) fn start(shared: &Arc<Shared>, key: &AppKey, queues: &Arc<Queues>) {
    let running = shared.read(key, |record| record.cluster.hanging(RolloutState::Running));
    for (id, rollout) in running.unwrap_or_default() {
        follow_rollout(shared, key, id, rollout);
    }
    queues.request_refresh(Level::Latest);
    queues.operate.notify_one();
    shared
        .runtime
        .spawn(refresh::run(Arc::clone(shared), key.clone(), Arc::clone(queues)));
    shared
        .runtime
        .spawn(operate::run(Arc::clone(shared), key.clone(), Arc::clone(queues)));
}

/// Lets a rollout take its time, end as the faults say, and be seen by the refresh loop.
pub(crate) fn follow_rollout(shared: &Arc<Shared>, key: &AppKey, id: String, rollout: u64) {
    shared.request_refresh(key, Level::Tree);
    let (shared, key, after) = (Arc::clone(shared), key.clone(), shared.timing().rollout);
    Arc::clone(&shared).spawn(async move {
        tokio::time::sleep(after).await;
        let ended = shared.write(&key, |record| {
            let state = match record.faults.outcome_of(&id) {
                RolloutOutcome::Healthy => RolloutState::Done,
                RolloutOutcome::Degraded => RolloutState::Degraded,
                RolloutOutcome::Never => return false,
            };
            let now = record.clock.now();
            record.cluster.end_rollout(&id, rollout, state, &now)
        });
        if ended == Some(true) {
            shared.request_refresh(&key, Level::Recent);
        }
    });
}

/// The operation of a self-heal: automated, about single resources only.
pub(crate) fn partial_operation(record: &Record) -> Operation {
    let mut operation = automated_operation(record);
    operation.sync.resources = resource_refs(record);
    operation.sync.auto_heal_attempts_count = 1;
    operation
}

/// The operation of an auto-sync, to the revision that the last comparison found.
pub(crate) fn automated_operation(record: &Record) -> Operation {
    let status = &record.app.status.sync;
    let spec = &record.app.spec;
    let automated = spec.automated();
    let sync = OperationSync {
        revision: status.revision.clone(),
        revisions: status.revisions.clone(),
        prune: automated.is_some_and(|automated| automated.prune),
        sync_options: spec.sync_options(),
        source: if spec.is_multi_source() {
            None
        } else {
            spec.source.clone()
        },
        sources: spec.sources.clone(),
        ..OperationSync::default()
    };
    Operation {
        sync,
        initiated_by: InitiatedBy {
            username: String::new(),
            automated: true,
        },
        info: Vec::new(),
        retry: spec.retry().unwrap_or_else(|| serde_json::json!({"limit": 5})),
    }
}

/// What Git wants of these sources right now. The fault that breaks comparisons breaks this too.
pub(crate) async fn load_target(
    shared: &Shared,
    app: &crate::app::Application,
    sources: &[crate::app::Source],
) -> Target {
    let key = AppKey::new(&app.metadata.namespace, &app.metadata.name);
    match shared
        .read(&key, |record| record.faults.comparison_error.clone())
        .flatten()
    {
        Some(message) => target::broken(sources, &message),
        None => target::load(shared, app, sources, &[], None).await,
    }
}
