//! What a test makes happen in the cluster, beside what Argo CD does there.
//!
//! The same [`ClusterChange`] is given to [`crate::Standin::in_cluster`] and, as JSON, to `POST /standin/cluster`:
//!
//! ```json
//! {"app": "shop-staging", "change": "evict", "workload": "web"}
//! ```
//!
//! Objects are named by their name (`web`) or, where two kinds share one, by kind and name (`CronJob/web`). What changes
//! is seen by Argo CD as such things are: with a refresh of the live state.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Cluster,
    events::{KubeEvent, Object},
    live::{JobOutcome, Live},
    pod::Waiting,
};
use crate::{app::ResourceHealth, manifest::Manifest};

/// One thing that happens in the cluster of an Application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ClusterChange {
    /// A pod is evicted. Under a Deployment or Rollout it stays with phase Failed, beside its successor.
    Evict {
        /// The workload.
        workload: String,
        /// Name of the pod; the first that runs when absent.
        #[serde(default)]
        pod: Option<String>,
    },
    /// A container of the newest pods waits: `ImagePullBackOff`, `CrashLoopBackOff`, `CreateContainerConfigError`, … The
    /// end of a rollout puts an end to it; to keep it, let rollouts never end ([`crate::Fault::Rollout`]) or change the
    /// pods after theirs.
    Waits {
        /// The workload.
        workload: String,
        /// Name of the container (an init container counts); the first when absent.
        #[serde(default)]
        container: Option<String>,
        /// The reason, as Kubernetes writes it.
        reason: String,
        /// The message; one that goes with the reason when absent.
        #[serde(default)]
        message: Option<String>,
    },
    /// The readiness probe of the newest pods fails: they run, and are not ready.
    ProbeFails {
        /// The workload.
        workload: String,
    },
    /// The pods of a workload are well again.
    Recovers {
        /// The workload.
        workload: String,
    },
    /// A CronJob runs once, with the image that it has now. It keeps the last three runs that succeeded, and their pods.
    RunCronJob {
        /// The CronJob.
        workload: String,
        /// How the run ends.
        #[serde(default)]
        outcome: JobOutcome,
        /// Another image than that of its template: a run of before.
        #[serde(default)]
        image: Option<String>,
    },
    /// The pod of a Job ends, or the runs of a CronJob that go on.
    EndJob {
        /// The Job or CronJob.
        workload: String,
        /// How.
        outcome: JobOutcome,
    },
    /// An object appears that bears the tracking mark of the Application, and runs at once. What Git does not have needs
    /// pruning from now on.
    Add {
        /// The object, with `apiVersion`, `kind` and `metadata.name`; in the namespace of the Application unless it says.
        manifest: Value,
    },
    /// An object appears in the namespace that belongs to no Application: an orphan of the tree.
    AddOrphan {
        /// The object, as with `Add`.
        manifest: Value,
    },
    /// The pods of a workload that are there now have said this.
    Log {
        /// The workload.
        workload: String,
        /// The lines, oldest first.
        lines: Vec<String>,
    },
    /// Argo CD is told not to look at these kinds (`resource.exclusions`): they are in no tree and in no comparison, and
    /// are not applied. Without `Pod` the summary has no images.
    Exclude {
        /// Kinds: `Pod`, `CronJob`. None: all are looked at.
        kinds: Vec<String>,
    },
    /// Somebody deletes an object.
    Remove {
        /// The object.
        object: String,
    },
    /// A webhook adds a container to every pod of a workload that is there now, and restarts nothing.
    InjectSidecar {
        /// The workload.
        workload: String,
        /// Name of the container.
        name: String,
        /// Its image.
        image: String,
    },
    /// An Argo Rollout pauses: its health is Suspended and it has a pause condition. Its timer waits with it.
    PauseRollout {
        /// The Rollout.
        workload: String,
        /// `CanaryPauseStep` when absent; `BlueGreenPause`, `InconclusiveAnalysisRun`.
        #[serde(default)]
        reason: Option<String>,
    },
    /// An Argo Rollout goes on and finishes.
    ResumeRollout {
        /// The Rollout.
        workload: String,
    },
    /// Argo CD has this health for an object, whatever its pods do: an ill neighbour of any kind. Absent: it looks again.
    Health {
        /// The object.
        object: String,
        /// `Healthy`, `Degraded`, `Progressing`, `Suspended`, `Missing`, `Unknown`.
        #[serde(default)]
        status: Option<String>,
        /// Its message.
        #[serde(default)]
        message: String,
    },
    /// Kubernetes notes an event about an object or, with `pod`, about each pod of it that is not well (all, when all are).
    Event {
        /// The object.
        object: String,
        /// Whether it is about the pods of the object.
        #[serde(default)]
        pods: bool,
        /// `Failed`, `BackOff`, `Unhealthy`, `FailedScheduling`, …
        reason: String,
        /// What it says.
        message: String,
        /// `Normal` instead of `Warning`.
        #[serde(default)]
        normal: bool,
    },
}

/// The cluster has nothing of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown(pub(crate) String);

impl Cluster {
    /// Makes it happen.
    pub(crate) fn change(&mut self, change: &ClusterChange, namespace: &str, now: &str) -> Result<(), Unknown> {
        match change {
            ClusterChange::Evict { workload, pod } => {
                let live = self.named(workload)?;
                let namespace = live.manifest.namespace().to_owned();
                let gone = live
                    .evict(pod.as_deref(), now)
                    .ok_or_else(|| Unknown(workload.clone()))?;
                let gone = live.pods.iter().find(|pod| pod.name == gone).cloned();
                if let Some(gone) = gone {
                    let message = gone.message.clone();
                    self.note_pod(&gone, &namespace, "Evicted", &message, now);
                }
            }
            ClusterChange::Waits {
                workload,
                container,
                reason,
                message,
            } => {
                let live = self.named(workload)?;
                let (namespace, newest) = (live.manifest.namespace().to_owned(), live.rollout);
                let mut stuck = Vec::new();
                for pod in live
                    .pods
                    .iter_mut()
                    .filter(|pod| pod.is_active() && pod.revision == newest)
                {
                    let message = message
                        .clone()
                        .unwrap_or_else(|| usual_message(reason, &pod.spec, &pod.name));
                    let reason = reason.clone();
                    pod.wait(container.as_deref(), Waiting { reason, message });
                    stuck.push(pod.clone());
                }
                for pod in &stuck {
                    self.events_of_waiting(pod, &namespace, now);
                }
            }
            ClusterChange::ProbeFails { workload } => {
                let live = self.named(workload)?;
                let (namespace, newest) = (live.manifest.namespace().to_owned(), live.rollout);
                let mut failing = Vec::new();
                for pod in live
                    .pods
                    .iter_mut()
                    .filter(|pod| pod.is_active() && pod.revision == newest)
                {
                    pod.run();
                    pod.unready = true;
                    failing.push(pod.clone());
                }
                for pod in &failing {
                    let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
                    self.note_pod(pod, &namespace, "Unhealthy", message, now);
                }
            }
            ClusterChange::Recovers { workload } => {
                let live = self.named(workload)?;
                for pod in live.pods.iter_mut().filter(|pod| pod.is_active()) {
                    pod.run();
                    pod.restarts = 0;
                }
            }
            ClusterChange::RunCronJob {
                workload,
                outcome,
                image,
            } => {
                let live = self.named(workload)?;
                if live.manifest.kind() != "CronJob" {
                    return Err(Unknown(format!("CronJob/{workload}")));
                }
                let kept = image.as_ref().map(|image| live.set_template_image(image));
                live.run_job(*outcome, now);
                if let Some(kept) = kept {
                    live.manifest = Manifest(kept);
                }
            }
            ClusterChange::EndJob { workload, outcome } => self.named(workload)?.end_jobs(*outcome),
            ClusterChange::Add { manifest } => {
                self.add(manifest, namespace, now)?;
            }
            ClusterChange::AddOrphan { manifest } => {
                let id = self.add(manifest, namespace, now)?;
                if let Some(live) = self.resources.remove(&id) {
                    self.orphans.insert(id, live);
                }
            }
            ClusterChange::Log { workload, lines } => {
                let pods: Vec<String> = self.named(workload)?.pods.iter().map(|pod| pod.name.clone()).collect();
                for pod in pods {
                    self.logs.entry(pod).or_default().extend(lines.iter().cloned());
                }
            }
            ClusterChange::Exclude { kinds } => self.excluded.clone_from(kinds),
            ClusterChange::Remove { object } => {
                let id = self.find(object).ok_or_else(|| Unknown(object.clone()))?;
                self.remove(&id);
            }
            ClusterChange::InjectSidecar { workload, name, image } => {
                for pod in &mut self.named(workload)?.pods {
                    if let Some(containers) = pod.spec["containers"].as_array_mut() {
                        containers.push(json!({"name": name, "image": image}));
                    }
                }
            }
            ClusterChange::PauseRollout { workload, reason } => {
                let live = self.rollout(workload)?;
                live.paused = Some(reason.clone().unwrap_or_else(|| "CanaryPauseStep".to_owned()));
            }
            ClusterChange::ResumeRollout { workload } => {
                let live = self.rollout(workload)?;
                live.paused = None;
                live.state = super::RolloutState::Done;
                live.settle(now);
            }
            ClusterChange::Health {
                object,
                status,
                message,
            } => {
                let message = message.clone();
                self.named(object)?.said = status.clone().map(|status| ResourceHealth { status, message });
            }
            ClusterChange::Event {
                object,
                pods,
                reason,
                message,
                normal,
            } => {
                let live = self.named(object)?;
                for object in objects(live, *pods) {
                    self.note(KubeEvent {
                        object,
                        warning: !normal,
                        reason: reason.clone(),
                        message: message.clone(),
                        at: now.to_owned(),
                        component: "standin".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds an object that runs at once; returns its id.
    fn add(&mut self, manifest: &Value, namespace: &str, now: &str) -> Result<String, Unknown> {
        let mut manifest = Manifest(manifest.clone());
        if manifest.kind().is_empty() || manifest.name().is_empty() {
            return Err(Unknown(manifest.id()));
        }
        if manifest.namespace().is_empty() {
            manifest.0["metadata"]["namespace"] = json!(namespace);
        }
        let id = manifest.id();
        let applied = self.apply(&manifest, now).map_err(Unknown)?;
        if let Some(rollout) = applied.rollout.filter(|_| manifest.kind() != "Job") {
            self.end_rollout(&id, rollout, super::RolloutState::Done, now);
        }
        Ok(id)
    }

    fn named(&mut self, text: &str) -> Result<&mut Live, Unknown> {
        let unknown = || Unknown(text.to_owned());
        let id = self.find(text).ok_or_else(unknown)?;
        self.resources.get_mut(&id).ok_or_else(unknown)
    }

    fn rollout(&mut self, text: &str) -> Result<&mut Live, Unknown> {
        let live = self.named(text)?;
        if live.manifest.kind() == "Rollout" {
            Ok(live)
        } else {
            Err(Unknown(format!("Rollout/{text}")))
        }
    }
}

/// What an event about an object, or about its pods, is about.
fn objects(live: &Live, pods: bool) -> Vec<Object> {
    let namespace = live.manifest.namespace().to_owned();
    if !pods {
        return vec![Object {
            api_version: live.manifest.api_version().to_owned(),
            kind: live.manifest.kind().to_owned(),
            namespace,
            name: live.manifest.name().to_owned(),
            uid: live.uid.clone(),
        }];
    }
    let ill: Vec<_> = live.active().filter(|pod| !pod.is_ready()).collect();
    let about = if ill.is_empty() {
        live.pods.iter().collect()
    } else {
        ill
    };
    let object = |pod: &super::pod::Pod| Object {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    };
    about.into_iter().map(object).collect()
}

/// What the kubelet says with a reason.
fn usual_message(reason: &str, spec: &Value, pod: &str) -> String {
    let container = &spec["containers"][0];
    let text = |key: &str| container[key].as_str().unwrap_or_default().to_owned();
    match reason {
        "ImagePullBackOff" => format!("Back-off pulling image \"{}\": ErrImagePull: not found", text("image")),
        "CrashLoopBackOff" => {
            format!("back-off 40s restarting failed container={} pod={pod}", text("name"))
        }
        _ => String::new(),
    }
}
