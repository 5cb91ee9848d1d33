//! The operation loop: what `.operation` asks for, step by step, with a write for each step that a client can see.
//!
//! Running, then `syncResult` with the resolved revision, then the resources, then the history (before the phase flips),
//! then the phase, `finishedAt` and the end of `.operation` in one write. Only then, and later, is a refresh asked for.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{follow_rollout, ignore, target};
use crate::{
    app::{History, Operation, OperationState, ResourceRef, ResourceResult, Source, SyncResult},
    duration,
    faults::use_once,
    manifest::Manifest,
    world::{AppKey, Level, Queues, Shared},
};

const DEFAULT_HISTORY: usize = 10;
/// The longest pause between attempts when the operation does not say (`common.DefaultSyncRetryMaxDuration`).
const LONGEST_BACKOFF: Duration = Duration::from_secs(180);
/// How often a blocked operation looks whether its window has opened.
const WINDOW_LOOK: Duration = Duration::from_millis(20);

/// Carries out operations until the Application is gone.
pub(crate) async fn run(shared: Arc<Shared>, key: AppKey, queues: Arc<Queues>) {
    loop {
        tokio::select! {
            () = queues.gone.cancelled() => return,
            () = queues.operate.notified() => {}
        }
        loop {
            let pending = shared.read(&key, |record| {
                record.app.operation.clone().map(|operation| Run {
                    shared: Arc::clone(&shared),
                    key: key.clone(),
                    queues: Arc::clone(&queues),
                    serial: record.operation_serial,
                    operation,
                })
            });
            let Some(Some(run)) = pending else { break };
            tokio::select! {
                () = queues.gone.cancelled() => return,
                () = run.carry_out() => {}
            }
        }
    }
}

/// Why a running operation does not go on.
pub(super) enum Stop {
    Terminated,
    /// Another operation has taken its place, or the Application is gone.
    Replaced,
}

/// How an attempt went wrong: phase and message.
pub(super) struct Failure(pub(super) &'static str, pub(super) String);

/// One operation, from pick-up to end.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) key: AppKey,
    queues: Arc<Queues>,
    serial: u64,
    operation: Operation,
}

/// What an attempt has worked out.
struct Plan {
    sources: Vec<Source>,
    multi: bool,
    revisions: Vec<String>,
}

impl Run {
    async fn carry_out(self) {
        match self.attempts().await {
            Ok(Ok(message)) => self.complete("Succeeded", message),
            Ok(Err(Failure(phase, message))) => self.complete(phase, message),
            Err(Stop::Terminated) => self.complete("Failed", "Operation terminated".to_owned()),
            Err(Stop::Replaced) => {}
        }
    }

    async fn attempts(&self) -> Result<Result<String, Failure>, Stop> {
        let pickup = self
            .shared
            .read(&self.key, |record| record.faults.operation_pickup)
            .flatten();
        self.pause(pickup.unwrap_or_else(|| self.shared.timing().operation_pickup))
            .await?;
        self.record(|record| {
            record.app.status.operation_state = Some(OperationState {
                operation: self.operation.clone(),
                phase: "Running".to_owned(),
                started_at: record.clock.now(),
                ..OperationState::default()
            });
        })?;
        let mut retried = 0;
        loop {
            let Failure(phase, error) = match self.attempt().await? {
                Ok(message) => return Ok(Ok(message)),
                Err(failure) => failure,
            };
            if retried >= self.retry_limit() {
                let suffix = if retried > 0 {
                    format!(" (retried {retried} times).")
                } else {
                    String::new()
                };
                return Ok(Err(Failure(phase, format!("{error}{suffix}"))));
            }
            retried += 1;
            let (clock, backoff) = (&self.shared.clock, self.backoff(retried));
            self.state(|state| {
                state.finished_at = Some(clock.now());
                state.retry_count = retried;
                state.message = format!("{error}. Retrying attempt #{retried} at {}.", clock.kitchen(backoff));
            })?;
            self.pause(backoff).await?;
            self.state(|state| {
                state.finished_at = None;
                state.sync_result = None;
                state.message = format!("Retrying operation. Attempt #{retried}");
            })?;
        }
    }

    /// The pause before an attempt: the pace of the stand-in, growing as the operation asks.
    fn backoff(&self, retried: u32) -> Duration {
        let first = self.shared.timing().retry_backoff;
        let asked = &self.operation.retry["backoff"];
        let factor = asked["factor"]
            .as_i64()
            .and_then(|factor| u32::try_from(factor).ok())
            .unwrap_or(2);
        let most = asked["maxDuration"]
            .as_str()
            .and_then(duration::parse)
            .unwrap_or(LONGEST_BACKOFF);
        let grown = first.saturating_mul(factor.max(1).saturating_pow(retried.saturating_sub(1)));
        grown.min(most.max(first))
    }

    fn retry_limit(&self) -> u32 {
        let forced = self.shared.read(&self.key, |record| {
            record.faults.fail_apply.as_ref().and_then(|fail| fail.retries)
        });
        forced.flatten().unwrap_or_else(|| self.operation.retry_limit())
    }

    async fn attempt(&self) -> Result<Result<String, Failure>, Stop> {
        self.wait_for_window().await?;
        let Some((app, known, broken, hook)) = self.shared.read(&self.key, |record| {
            (
                record.app.clone(),
                record.target.clone(),
                record.faults.comparison_error.clone(),
                record.faults.hook,
            )
        }) else {
            return Err(Stop::Replaced);
        };
        let sync = &self.operation.sync;
        let multi = if sync.source.is_some() {
            false
        } else {
            !sync.sources.is_empty() || app.spec.is_multi_source()
        };
        let sources = match (&sync.source, sync.sources.is_empty()) {
            (Some(source), _) => vec![source.clone()],
            (None, false) => sync.sources.clone(),
            (None, true) => app.spec.effective_sources(),
        };
        let wanted = if multi {
            sync.revisions.clone()
        } else {
            vec![sync.revision.clone()]
        };
        let target = match broken {
            Some(message) => target::broken(&sources, &message),
            None => target::load(&self.shared, &app, &sources, &wanted, known.as_ref()).await,
        };
        let plan = Plan {
            sources,
            multi,
            revisions: target.revisions,
        };
        self.state(|state| {
            state.sync_result = Some(plan.result());
            "one or more tasks are running".clone_into(&mut state.message);
        })?;
        let manifests = match target.manifests {
            Ok(manifests) => manifests,
            Err(message) => return Ok(Err(Failure("Error", format!("ComparisonError: {message}")))),
        };
        if let Some(hook) = hook.filter(|_| sync.resources.is_empty()) {
            self.wait_for_hook(hook, &app.spec.destination.namespace).await?;
        }
        // Hooks run with whole syncs only, and not with the strategy that says it is without them.
        let applies = sync
            .sync_strategy
            .as_ref()
            .is_some_and(|strategy| strategy["apply"].is_object());
        let hooked = sync.resources.is_empty() && !sync.dry_run && !applies;
        if hooked && let Err(failure) = self.run_hooks("PreSync", &manifests).await? {
            return Ok(Err(failure));
        }
        self.pause(self.shared.timing().operation_duration).await?;
        if let Some(message) = self.apply_fails() {
            return self.fail_apply(&manifests, &message).map(Err);
        }
        if let Err(failure) = self.apply(&manifests)? {
            return Ok(Err(failure));
        }
        if hooked && let Err(failure) = self.hooks_after(&manifests).await? {
            return Ok(Err(failure));
        }
        if sync.resources.is_empty() && !sync.dry_run {
            self.record_history(&plan)?;
        }
        let message = if sync.dry_run {
            "successfully synced (no more tasks)"
        } else {
            "successfully synced (all tasks run)"
        };
        Ok(Ok(message.to_owned()))
    }

    async fn hooks_after(&self, manifests: &[Manifest]) -> Result<Result<(), Failure>, Stop> {
        // Hooks of the phase itself are applied with the resources; the stand-in runs them right after.
        if let Err(failure) = self.run_hooks("Sync", manifests).await? {
            return Ok(Err(failure));
        }
        if let Err(failure) = self.wait_for_health(manifests).await? {
            return Ok(Err(failure));
        }
        self.run_hooks("PostSync", manifests).await
    }

    async fn wait_for_window(&self) -> Result<(), Stop> {
        let manual = !self.operation.initiated_by.automated;
        let denied = || self.shared.may_sync(&self.key, manual) == Some(false);
        if denied() {
            self.state(|state| "Sync operation blocked by sync window".clone_into(&mut state.message))?;
        }
        while denied() {
            self.pause(WINDOW_LOOK).await?;
        }
        Ok(())
    }

    async fn wait_for_hook(&self, hook: Duration, namespace: &str) -> Result<(), Stop> {
        let job = ResourceResult {
            group: "batch".to_owned(),
            version: "v1".to_owned(),
            kind: "Job".to_owned(),
            namespace: namespace.to_owned(),
            name: "migrate".to_owned(),
            message: "job.batch/migrate created".to_owned(),
            hook_type: "PreSync".to_owned(),
            hook_phase: "Running".to_owned(),
            sync_phase: "PreSync".to_owned(),
            ..ResourceResult::default()
        };
        self.state(|state| {
            "waiting for completion of hook batch/Job/migrate".clone_into(&mut state.message);
            state.sync_result.get_or_insert_default().resources.push(job);
        })?;
        self.pause(hook).await?;
        self.state(|state| {
            for job in &mut state.sync_result.get_or_insert_default().resources {
                "Succeeded".clone_into(&mut job.hook_phase);
            }
        })
    }

    fn apply_fails(&self) -> Option<String> {
        let fails = self.shared.write(&self.key, |record| {
            let fail = record.faults.fail_apply.as_mut()?;
            use_once(&mut fail.times).then(|| fail.message.clone())
        });
        fails.flatten()
    }

    fn fail_apply(&self, manifests: &[Manifest], message: &str) -> Result<Failure, Stop> {
        self.state(|state| {
            let resources = &mut state.sync_result.get_or_insert_default().resources;
            for manifest in self.selected(manifests) {
                let mut result = resource_result(manifest, "SyncFailed", message);
                "Failed".clone_into(&mut result.hook_phase);
                resources.push(result);
            }
        })?;
        Ok(Failure(
            "Failed",
            format!("one or more objects failed to apply, reason: {message}"),
        ))
    }

    /// Changes the cluster and lists what happened to each resource. What the API server refuses fails the operation.
    fn apply(&self, manifests: &[Manifest]) -> Result<Result<(), Failure>, Stop> {
        let sync = &self.operation.sync;
        let mut rollouts = Vec::new();
        let mut refused = Vec::new();
        self.record(|record| {
            record.follow_destination();
            let now = record.clock.now();
            let respects = sync
                .sync_options
                .iter()
                .any(|option| option == "RespectIgnoreDifferences=true");
            let mut results = Vec::new();
            for manifest in self.selected(manifests) {
                if record.cluster.excludes(manifest.kind()) {
                    continue;
                }
                let applied = if sync.dry_run {
                    Ok(("configured (dry run)", None))
                } else {
                    let live = record.cluster.resources.get(&manifest.id()).map(|live| &live.manifest);
                    let kept = live.filter(|_| respects).map(|live| {
                        let ignored = ignore::ignored(&record.app.spec, manifest);
                        ignore::respect(manifest, live, &ignored)
                    });
                    let applied = record.cluster.apply(kept.as_ref().unwrap_or(manifest), &now);
                    applied.map(|applied| (applied.word, applied.rollout))
                };
                match applied {
                    Ok((word, rollout)) => {
                        rollouts.extend(rollout.map(|rollout| (manifest.id(), rollout)));
                        let message = format!("{} {word}", manifest.kubectl_name());
                        results.push(resource_result(manifest, "Synced", &message));
                    }
                    Err(message) => {
                        let mut result = resource_result(manifest, "SyncFailed", &message);
                        "Failed".clone_into(&mut result.hook_phase);
                        results.push(result);
                        refused.push(message);
                    }
                }
            }
            results.extend(self.prune(record, manifests));
            if let Some(state) = &mut record.app.status.operation_state {
                state.sync_result.get_or_insert_default().resources.extend(results);
            }
        })?;
        for (id, rollout) in rollouts {
            follow_rollout(&self.shared, &self.key, id, rollout);
        }
        if refused.is_empty() {
            return Ok(Ok(()));
        }
        let reason = refused.join("; ");
        let message = format!("one or more objects failed to apply, reason: {reason}");
        Ok(Err(Failure("Failed", message)))
    }

    /// What Git no longer has goes, or stays with a word about it.
    fn prune(&self, record: &mut crate::world::Record, manifests: &[Manifest]) -> Vec<ResourceResult> {
        let sync = &self.operation.sync;
        let extra: Vec<Manifest> = record
            .cluster
            .resources
            .iter()
            .filter(|(id, live)| live.manifest.hooks().is_empty() && !manifests.iter().any(|m| m.id() == **id))
            .map(|(_, live)| live.manifest.clone())
            .filter(|manifest| is_selected(&sync.resources, manifest))
            .collect();
        let mut results = Vec::new();
        for manifest in extra {
            let (status, message) = if sync.prune {
                ("Pruned", "pruned")
            } else {
                ("PruneSkipped", "ignored (requires pruning)")
            };
            let mut result = resource_result(&manifest, status, message);
            result.images.clear();
            results.push(result);
            if sync.prune && !sync.dry_run {
                record.cluster.remove(&manifest.id());
            }
        }
        results
    }

    fn selected<'a>(&'a self, manifests: &'a [Manifest]) -> impl Iterator<Item = &'a Manifest> {
        manifests
            .iter()
            .filter(|manifest| manifest.hooks().is_empty() && is_selected(&self.operation.sync.resources, manifest))
    }

    fn record_history(&self, plan: &Plan) -> Result<(), Stop> {
        self.record(|record| {
            let limit = record.app.spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY);
            let status = &mut record.app.status;
            let started = status.operation_state.as_ref().map(|state| state.started_at.clone());
            let result = plan.result();
            status.history.push(History {
                revision: result.revision,
                deployed_at: record.clock.now(),
                id: status.history.last().map_or(0, |last| last.id + 1),
                source: result.source,
                deploy_started_at: started.unwrap_or_default(),
                sources: result.sources,
                revisions: result.revisions,
                initiated_by: self.operation.initiated_by.clone(),
            });
            let surplus = status.history.len().saturating_sub(limit);
            status.history.drain(..surplus);
        })
    }

    fn complete(&self, phase: &str, message: String) {
        let done = self.record(|record| {
            let started = record.clock.now();
            let state = record.app.status.operation_state.get_or_insert_with(|| OperationState {
                operation: self.operation.clone(),
                started_at: started,
                ..OperationState::default()
            });
            phase.clone_into(&mut state.phase);
            state.message = message;
            state.finished_at = Some(record.clock.now());
            record.app.operation = None;
        });
        if done.is_err() {
            return;
        }
        let level = if self.operation.initiated_by.automated {
            Level::Latest
        } else {
            Level::Force
        };
        let (queues, after) = (Arc::clone(&self.queues), self.shared.timing().refresh_after_sync);
        if after.is_zero() {
            return queues.request_refresh(level);
        }
        self.shared.spawn(async move {
            tokio::time::sleep(after).await;
            queues.request_refresh(level);
        });
    }

    /// Waits, but not when the operation is terminated or replaced.
    pub(super) async fn pause(&self, length: Duration) -> Result<(), Stop> {
        let until = Instant::now() + length;
        loop {
            self.check()?;
            tokio::select! {
                () = tokio::time::sleep_until(until) => return self.check(),
                () = self.queues.interrupt.notified() => {}
            }
        }
    }

    fn check(&self) -> Result<(), Stop> {
        let seen = self.shared.read(&self.key, |record| {
            let phase = record
                .app
                .status
                .operation_state
                .as_ref()
                .map(|state| state.phase == "Terminating");
            (
                record.operation_serial == self.serial && record.app.operation.is_some(),
                phase.unwrap_or(false),
            )
        });
        match seen {
            Some((true, false)) => Ok(()),
            Some((true, true)) => Err(Stop::Terminated),
            Some((false, _)) | None => Err(Stop::Replaced),
        }
    }

    /// One write, if the operation is still this one.
    pub(super) fn record(&self, change: impl FnOnce(&mut crate::world::Record)) -> Result<(), Stop> {
        let written = self.shared.write(&self.key, |record| {
            let ours = record.operation_serial == self.serial && record.app.operation.is_some();
            ours.then(|| change(record))
        });
        written.flatten().ok_or(Stop::Replaced)
    }

    pub(super) fn state(&self, change: impl FnOnce(&mut OperationState)) -> Result<(), Stop> {
        self.check()?;
        self.record(|record| {
            if let Some(state) = &mut record.app.status.operation_state {
                change(state);
            }
        })
    }
}

impl Plan {
    fn result(&self) -> SyncResult {
        let first = |list: &[String]| list.first().cloned().unwrap_or_default();
        SyncResult {
            resources: Vec::new(),
            revision: if self.multi {
                String::new()
            } else {
                first(&self.revisions)
            },
            source: if self.multi {
                Source::default()
            } else {
                self.sources.first().cloned().unwrap_or_default()
            },
            sources: if self.multi { self.sources.clone() } else { Vec::new() },
            revisions: if self.multi { self.revisions.clone() } else { Vec::new() },
        }
    }
}

fn is_selected(resources: &[ResourceRef], manifest: &Manifest) -> bool {
    let means = |resource: &ResourceRef| {
        resource.group == manifest.group()
            && resource.kind == manifest.kind()
            && resource.name == manifest.name()
            && (resource.namespace.is_empty() || resource.namespace == manifest.namespace())
    };
    resources.is_empty() || resources.iter().any(means)
}

fn resource_result(manifest: &Manifest, status: &str, message: &str) -> ResourceResult {
    ResourceResult {
        group: manifest.group().to_owned(),
        version: manifest.version().to_owned(),
        kind: manifest.kind().to_owned(),
        namespace: manifest.namespace().to_owned(),
        name: manifest.name().to_owned(),
        status: status.to_owned(),
        message: message.to_owned(),
        hook_phase: "Running".to_owned(),
        sync_phase: "Sync".to_owned(),
        images: manifest.images(),
        ..ResourceResult::default()
    }
}
