//! An object as it stands in the cluster, with everything that its controllers have made for it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    naming::{suffix, uid},
    pod::{Owner, Phase, Pod},
};
use crate::{app::ResourceHealth, manifest::Manifest};

/// Nodes of the cluster, so pods of a DaemonSet.
pub(crate) const NODES: u64 = 2;

/// An object of the cluster. What has no pods of its own (a Service, a ConfigMap) is only its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) manifest: Manifest,
    pub(crate) uid: String,
    pub(crate) created_at: String,
    /// Grows with each rollout; a timer of an older rollout finds that it is too late.
    pub(crate) rollout: u64,
    pub(crate) state: RolloutState,
    /// ReplicaSets of a Deployment or Rollout, ControllerRevisions of a StatefulSet or DaemonSet; the newest is last.
    pub(crate) sets: Vec<Set>,
    /// Jobs of a CronJob, oldest first.
    pub(crate) jobs: Vec<Job>,
    pub(crate) pods: Vec<Pod>,
    /// An Argo Rollout that waits for somebody: the reason of its pause condition.
    pub(crate) paused: Option<String>,
    /// A health that a test has said; it stays whatever the pods do.
    pub(crate) said: Option<ResourceHealth>,
    /// Counts what has been made for it, so that nothing gets the name of something before it.
    pub(crate) made: u64,
}

/// What keeps pods of one revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) created_at: String,
    pub(crate) revision: u64,
}

/// A run of a CronJob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) created_at: String,
    pub(crate) outcome: JobOutcome,
}

/// How a Job ended, if it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// Its pod completed.
    #[default]
    Succeeded,
    /// Its pod failed, and there is no further try.
    Failed,
    /// It has not ended.
    Running,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RolloutState {
    #[default]
    Done,
    Running,
    Degraded,
}

impl Live {
    /// An object that has just been made, before its controllers have seen it.
    pub(crate) fn new(manifest: Manifest, incarnation: u64, now: &str) -> Self {
        Self {
            uid: uid(&format!("{}#{incarnation}", manifest.id())),
            manifest,
            created_at: now.to_owned(),
            rollout: 0,
            state: RolloutState::Done,
            sets: Vec::new(),
            jobs: Vec::new(),
            pods: Vec::new(),
            paused: None,
            said: None,
            made: 0,
        }
    }

    /// How many pods there shall be at all times. None for a CronJob, whose runs come and go.
    pub(crate) fn desired(&self) -> u64 {
        match self.manifest.kind() {
            "DaemonSet" => NODES,
            "CronJob" => 0,
            _ if !self.manifest.template()["spec"]["containers"].is_array() => 0,
            "Job" | "Pod" => 1,
            _ => self.manifest.replicas(),
        }
    }

    /// Whether its pods belong to a ReplicaSet in between.
    pub(crate) fn has_sets(&self) -> bool {
        matches!(self.manifest.kind(), "Deployment" | "Rollout")
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(crate) fn active(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.is_active())
    }

    /// Active pods of the newest revision.
    pub(crate) fn updated(&self) -> impl Iterator<Item = &Pod> {
        self.active().filter(|pod| pod.revision == self.rollout)
    }

    /// Images of all its pods, whatever their phase.
    pub(crate) fn images(&self) -> impl Iterator<Item = String> {
        self.pods.iter().flat_map(Pod::images)
    }

    /// A pod of the newest revision, as its controller would make it.
    pub(crate) fn new_pod(&mut self, owner: Owner, name: Option<String>, now: &str) -> Pod {
        self.made += 1;
        let seed = format!("{}/{}/{}", self.uid, owner.name, self.made);
        let template = self.manifest.template();
        let name = name.unwrap_or_else(|| format!("{}-{}", owner.name, suffix(&seed, 5)));
        let labels = &template["metadata"]["labels"];
        Pod {
            name,
            uid: uid(&format!("pod/{seed}")),
            created_at: now.to_owned(),
            owner,
            spec: template["spec"].clone(),
            labels: if labels.is_null() { json!({}) } else { labels.clone() },
            revision: self.rollout,
            node: format!("node-{}", self.made % NODES + 1),
            phase: Phase::Pending,
            reason: String::new(),
            message: String::new(),
            waiting: Default::default(),
            exit_code: None,
            restarts: 0,
            unready: false,
        }
    }

    /// Itself as the owner of what it makes.
    pub(crate) fn as_owner(&self) -> Owner {
        Owner {
            group: self.manifest.group().to_owned(),
            kind: self.manifest.kind().to_owned(),
            name: self.manifest.name().to_owned(),
            uid: self.uid.clone(),
        }
    }

    /// The object as `kubectl get -o json` shows it: what was applied, what the API server adds, and its status.
    pub(crate) fn object(&self) -> Value {
        let mut object = self.manifest.0.clone();
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(self.uid);
        metadata["creationTimestamp"] = json!(self.created_at);
        metadata["resourceVersion"] = json!(self.version());
        metadata["generation"] = json!(self.rollout.max(1));
        if self.has_sets() {
            let annotation = match self.manifest.kind() {
                "Rollout" => "rollout.argoproj.io/revision",
                _ => "deployment.kubernetes.io/revision",
            };
            metadata["annotations"][annotation] = json!(self.rollout.to_string());
        }
        let status = self.status();
        if !status.is_null() {
            object["status"] = status;
        }
        object
    }

    pub(crate) fn version(&self) -> String {
        (2000 + self.rollout * 100 + self.made * 4 + self.state as u64).to_string()
    }

    fn status(&self) -> Value {
        let count = |pods: usize| json!(pods);
        let ready = self.updated().filter(|pod| pod.is_ready()).count();
        let active = self.active().count();
        let all_ready = self.active().filter(|pod| pod.is_ready()).count();
        match self.manifest.kind() {
            "Deployment" => json!({
                "observedGeneration": self.rollout.max(1), "replicas": count(active),
                "updatedReplicas": count(self.updated().count()), "readyReplicas": count(all_ready),
                "availableReplicas": count(all_ready),
            }),
            "StatefulSet" => json!({
                "observedGeneration": self.rollout.max(1), "replicas": count(active), "readyReplicas": count(all_ready),
                "updatedReplicas": count(self.updated().count()), "currentReplicas": count(ready),
            }),
            "DaemonSet" => json!({
                "observedGeneration": self.rollout.max(1), "desiredNumberScheduled": NODES,
                "updatedNumberScheduled": count(self.updated().count()), "numberAvailable": count(all_ready),
                "numberReady": count(all_ready),
            }),
            "Rollout" => {
                let mut status = json!({
                    "phase": match self.health().map(|health| health.status).as_deref() {
                        Some("Suspended") => "Paused",
                        Some("Healthy") => "Healthy",
                        Some("Degraded") => "Degraded",
                        _ => "Progressing",
                    },
                    "replicas": count(active), "updatedReplicas": count(self.updated().count()),
                    "readyReplicas": count(all_ready), "availableReplicas": count(all_ready),
                });
                if let Some(reason) = &self.paused {
                    status["pauseConditions"] = json!([{"reason": reason, "startTime": self.created_at}]);
                    status["controllerPause"] = json!(true);
                    status["message"] = json!(reason);
                }
                status
            }
            "CronJob" => {
                let running = self.jobs.iter().filter(|job| job.outcome == JobOutcome::Running);
                let active: Vec<Value> = running
                    .map(|job| json!({"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.uid}))
                    .collect();
                let mut status = json!({});
                if !active.is_empty() {
                    status["active"] = json!(active);
                }
                if let Some(last) = self.jobs.last() {
                    status["lastScheduleTime"] = json!(last.created_at);
                }
                let last = self.jobs.iter().rev().find(|job| job.outcome == JobOutcome::Succeeded);
                if let Some(last) = last {
                    status["lastSuccessfulTime"] = json!(last.created_at);
                }
                status
            }
            "Job" => match self.job_outcome() {
                JobOutcome::Succeeded => {
                    json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]})
                }
                JobOutcome::Failed => json!({"failed": 1, "conditions": [{
                    "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": BACKOFF_LIMIT,
                }]}),
                JobOutcome::Running => json!({"active": 1}),
            },
            _ => Value::Null,
        }
    }

    /// How a Job of the manifests stands, told by its newest pod.
    pub(crate) fn job_outcome(&self) -> JobOutcome {
        match self.pods.last().map(|pod| pod.phase) {
            Some(Phase::Succeeded) => JobOutcome::Succeeded,
            Some(Phase::Failed) => JobOutcome::Failed,
            _ => JobOutcome::Running,
        }
    }
}

/// What a Job says that has failed for good.
pub(crate) const BACKOFF_LIMIT: &str = "Job has reached the specified backoff limit";
