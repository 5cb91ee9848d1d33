//! Health of objects in the words of Argo CD 3.5 (`gitops-engine/pkg/health`, `resource_customizations`).
//!
//! StatefulSets and DaemonSets are never Degraded there, however long they wait; a CronJob is Degraded when its last run
//! failed; what Argo CD has no opinion of (a ConfigMap, a Service inside of the cluster) has no health at all.

use super::live::{BACKOFF_LIMIT, JobOutcome, Live, RolloutState, Set};
use crate::app::ResourceHealth;

fn health(status: &str, message: impl Into<String>) -> Option<ResourceHealth> {
    Some(ResourceHealth {
        status: status.to_owned(),
        message: message.into(),
    })
}

impl Live {
    /// `None` where Argo CD has no check.
    pub(crate) fn health(&self) -> Option<ResourceHealth> {
        if let Some(said) = &self.said {
            return Some(said.clone());
        }
        match self.manifest.kind() {
            "Deployment" => self.deployment(),
            "StatefulSet" => self.stateful_set(),
            "DaemonSet" => self.daemon_set(),
            "Rollout" => self.argo_rollout(),
            "CronJob" => self.cron_job(),
            "Job" => job(self.job_outcome()),
            "Pod" => self.pods.first().map(super::pod::Pod::health),
            _ => None,
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let count = |pods: usize| pods as u64;
        let updated = count(self.updated().count());
        let available = count(self.updated().filter(|pod| pod.is_ready()).count());
        (count(self.active().count()), updated, available)
    }

    fn deployment(&self) -> Option<ResourceHealth> {
        if self.manifest.0["spec"]["paused"] == true {
            return health("Suspended", "Deployment is paused");
        }
        let name = self.manifest.name();
        if self.state == RolloutState::Degraded {
            return health(
                "Degraded",
                format!("Deployment \"{name}\" exceeded its progress deadline"),
            );
        }
        let (total, updated, available) = self.counts();
        let waiting = |what: String| health("Progressing", format!("Waiting for rollout to finish: {what}..."));
        let desired = self.desired();
        if updated < desired {
            return waiting(format!("{updated} out of {desired} new replicas have been updated"));
        }
        if total > updated {
            return waiting(format!("{} old replicas are pending termination", total - updated));
        }
        if available < updated {
            return waiting(format!("{available} of {updated} updated replicas are available"));
        }
        health("Healthy", "")
    }

    fn stateful_set(&self) -> Option<ResourceHealth> {
        let (total, updated, available) = self.counts();
        let ready = self.active().filter(|pod| pod.is_ready()).count() as u64;
        let desired = self.desired();
        let revision = self.sets.last().map(|set| set.name.as_str()).unwrap_or_default();
        if ready < desired {
            return health(
                "Progressing",
                format!("Waiting for {} pods to be ready...", desired - ready),
            );
        }
        if updated < total {
            return health(
                "Progressing",
                format!("waiting for statefulset rolling update to complete {updated} pods at revision {revision}..."),
            );
        }
        health(
            "Healthy",
            format!("statefulset rolling update complete {available} pods at revision {revision}..."),
        )
    }

    fn daemon_set(&self) -> Option<ResourceHealth> {
        let (_, updated, available) = self.counts();
        let (name, desired) = (self.manifest.name(), self.desired());
        let waiting = |what: String| {
            health(
                "Progressing",
                format!("Waiting for daemon set \"{name}\" rollout to finish: {what}..."),
            )
        };
        if updated < desired {
            return waiting(format!("{updated} out of {desired} new pods have been updated"));
        }
        if available < desired {
            return waiting(format!("{available} of {desired} updated pods are available"));
        }
        health("Healthy", "")
    }

    fn argo_rollout(&self) -> Option<ResourceHealth> {
        if let Some(reason) = &self.paused {
            return health("Suspended", reason.clone());
        }
        if self.state == RolloutState::Degraded {
            let set = self.sets.last().map(|set| set.name.as_str()).unwrap_or_default();
            let message = format!("ProgressDeadlineExceeded: ReplicaSet \"{set}\" has timed out progressing.");
            return health("Degraded", message);
        }
        let (total, updated, available) = self.counts();
        if updated < self.desired() {
            return health("Progressing", "more replicas need to be updated");
        }
        if total > updated {
            return health("Progressing", "old replicas are pending termination");
        }
        if available < updated {
            return health("Progressing", "updated replicas are still becoming available");
        }
        health("Healthy", "")
    }

    fn cron_job(&self) -> Option<ResourceHealth> {
        if self.manifest.0["spec"]["suspend"] == true {
            return health("Suspended", "CronJob is Suspended");
        }
        let Some(last) = self.jobs.last() else {
            return health("Healthy", "CronJob has not been scheduled yet");
        };
        if !self.jobs.iter().any(|job| job.outcome == JobOutcome::Succeeded) {
            // The missing "s" is Argo CD's.
            let message = "The Cronjob never completed succesfully. It may not be healthy";
            return health("Healthy", message);
        }
        match last.outcome {
            JobOutcome::Running => health(
                "Healthy",
                "The job is running. Its last execution may not have been successful",
            ),
            JobOutcome::Failed => health("Degraded", "CronJob has not completed its last execution successfully"),
            JobOutcome::Succeeded => health("Healthy", "CronJob has completed its last execution successfully"),
        }
    }

    /// Health of a ReplicaSet; a ControllerRevision has none.
    pub(crate) fn set_health(&self, set: &Set) -> Option<ResourceHealth> {
        if !self.has_sets() {
            return None;
        }
        let pods = || self.active().filter(|pod| pod.owner.uid == set.uid);
        let (wanted, ready) = (pods().count(), pods().filter(|pod| pod.is_ready()).count());
        if ready < wanted {
            let message =
                format!("Waiting for rollout to finish: {ready} out of {wanted} new replicas are available...");
            return health("Progressing", message);
        }
        health("Healthy", "")
    }
}

/// Health of a Job.
pub(crate) fn job(outcome: JobOutcome) -> Option<ResourceHealth> {
    match outcome {
        JobOutcome::Running => health("Progressing", ""),
        JobOutcome::Succeeded => health("Healthy", ""),
        JobOutcome::Failed => health("Degraded", BACKOFF_LIMIT),
    }
}
