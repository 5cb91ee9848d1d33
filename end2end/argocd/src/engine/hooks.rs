//! Hooks of a sync: Jobs that run before or after the resources are applied, and can fail the whole operation.
//!
//! How a hook ends is what the faults say of its rollout ([`crate::Fault::RolloutOf`]). A failing one is named in
//! `syncResult.resources[]` only: the message of the operation does not say which it was.

use std::time::Duration;

use super::operate::{Failure, Run, Stop};
use crate::{app::ResourceResult, cluster::RolloutState, faults::RolloutOutcome, manifest::Manifest};

/// How often an operation looks whether what it waits for is there.
const LOOK: Duration = Duration::from_millis(5);
/// When Argo CD removes a hook; before its next run when it does not say.
const DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// What a Job says that is done.
const DONE: &str = "Reached expected number of succeeded pods";
const FAILED: &str = "one or more synchronization tasks completed unsuccessfully";

impl Run {
    /// Runs the hooks of a phase, all at once, and waits for them.
    pub(super) async fn run_hooks(&self, phase: &str, manifests: &[Manifest]) -> Result<Result<(), Failure>, Stop> {
        let hooks: Vec<&Manifest> = manifests
            .iter()
            .filter(|manifest| manifest.hooks().contains(&phase))
            .collect();
        let Some(first) = hooks.first() else {
            return Ok(Ok(()));
        };
        let mut refused = None;
        self.record(|record| {
            let now = record.clock.now();
            for hook in &hooks {
                record.cluster.remove(&hook.id());
                let mut result = hook_result(hook, phase);
                match record.cluster.apply(hook, &now) {
                    Ok(_) => result.message = format!("{} created", hook.kubectl_name()),
                    Err(message) => {
                        "Failed".clone_into(&mut result.hook_phase);
                        result.message.clone_from(&message);
                        refused = Some(message);
                    }
                }
                if let Some(state) = &mut record.app.status.operation_state {
                    let more = match hooks.len() {
                        1 => String::new(),
                        count => format!(" and {} more hooks", count - 1),
                    };
                    let name = format!("{}/{}/{}", first.group(), first.kind(), first.name());
                    state.message = format!("waiting for completion of hook {name}{more}");
                    state.sync_result.get_or_insert_default().resources.push(result);
                }
            }
        })?;
        if refused.is_some() {
            return Ok(Err(Failure("Failed", FAILED.to_owned())));
        }
        self.pause(self.shared.timing().rollout).await?;
        while !self.end_hooks(phase, &hooks)? {
            self.pause(LOOK).await?;
        }
        let failed = self.shared.read(&self.key, |record| {
            let result = record.app.status.operation_state.as_ref()?.sync_result.as_ref()?;
            let mut ours = result.resources.iter().filter(|result| result.hook_type == phase);
            ours.find(|result| result.hook_phase == "Failed").map(drop)
        });
        Ok(match failed.flatten() {
            Some(()) => Err(Failure("Failed", FAILED.to_owned())),
            None => Ok(()),
        })
    }

    /// Ends the hooks that shall end by now. True when none is left.
    fn end_hooks(&self, phase: &str, hooks: &[&Manifest]) -> Result<bool, Stop> {
        let mut left = false;
        self.record(|record| {
            let now = record.clock.now();
            for hook in hooks {
                let id = hook.id();
                let (state, word, message) = match record.faults.outcome_of(&id) {
                    RolloutOutcome::Healthy => (RolloutState::Done, "Succeeded", DONE.to_owned()),
                    RolloutOutcome::Degraded => (
                        RolloutState::Degraded,
                        "Failed",
                        crate::cluster::live::BACKOFF_LIMIT.to_owned(),
                    ),
                    RolloutOutcome::Never => {
                        left = true;
                        continue;
                    }
                };
                if let Some(rollout) = record.cluster.resources.get(&id).map(|live| live.rollout) {
                    record.cluster.end_rollout(&id, rollout, state, &now);
                }
                let policy = hook.0["metadata"]["annotations"][DELETE_POLICY]
                    .as_str()
                    .unwrap_or_default();
                if policy.contains(&format!("Hook{word}")) {
                    record.cluster.remove(&id);
                }
                let result = record.app.status.operation_state.as_mut();
                let resources = result.and_then(|state| state.sync_result.as_mut());
                for result in resources.into_iter().flat_map(|result| &mut result.resources) {
                    if result.hook_type == phase && result.kind == hook.kind() && result.name == hook.name() {
                        word.clone_into(&mut result.hook_phase);
                        result.message.clone_from(&message);
                    }
                }
            }
        })?;
        Ok(!left)
    }

    /// Before the hooks that come after a sync, its resources must be well. One that is ill fails the operation.
    pub(super) async fn wait_for_health(&self, manifests: &[Manifest]) -> Result<Result<(), Failure>, Stop> {
        if !manifests.iter().any(|manifest| manifest.hooks().contains(&"PostSync")) {
            return Ok(Ok(()));
        }
        loop {
            let healths = self.shared.read(&self.key, |record| {
                let managed = manifests.iter().filter(|manifest| manifest.hooks().is_empty());
                let lives = managed.filter_map(|manifest| record.cluster.resources.get(&manifest.id()));
                lives
                    .filter_map(|live| {
                        let manifest = &live.manifest;
                        let name = format!("{}/{}/{}", manifest.group(), manifest.kind(), manifest.name());
                        live.health().map(|health| (name, health.status))
                    })
                    .collect::<Vec<_>>()
            });
            let healths = healths.ok_or(Stop::Replaced)?;
            if healths.iter().any(|(_, health)| health == "Degraded") {
                return Ok(Err(Failure("Failed", FAILED.to_owned())));
            }
            let waiting: Vec<&String> = healths
                .iter()
                .filter(|(_, health)| health == "Progressing")
                .map(|(name, _)| name)
                .collect();
            let Some(first) = waiting.first() else {
                return Ok(Ok(()));
            };
            let message = match waiting.len() {
                1 => format!("waiting for healthy state of {first}"),
                count => format!("waiting for healthy state of {first} and {} more resources", count - 1),
            };
            self.state(|state| state.message = message)?;
            self.pause(LOOK).await?;
        }
    }
}

fn hook_result(hook: &Manifest, phase: &str) -> ResourceResult {
    ResourceResult {
        group: hook.group().to_owned(),
        version: hook.version().to_owned(),
        kind: hook.kind().to_owned(),
        namespace: hook.namespace().to_owned(),
        name: hook.name().to_owned(),
        hook_type: phase.to_owned(),
        hook_phase: "Running".to_owned(),
        sync_phase: phase.to_owned(),
        images: hook.images(),
        ..ResourceResult::default()
    }
}
