//! The scripted cluster behind an Application: Deployments, their rollouts and their pods.
//!
//! A rollout that changes pods keeps the old ones until it ends, so both images are live meanwhile, as in a rolling
//! update. A rollout that fails or never ends keeps both for good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{app::ResourceHealth, manifest::Deployment};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) deployments: BTreeMap<String, Live>,
}

/// A Deployment as it stands in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) deployment: Deployment,
    /// Grows with each rollout; a timer of an older rollout finds that it is too late.
    pub(crate) rollout: u64,
    pub(crate) state: RolloutState,
    /// Image of the pods that the rollout replaces.
    pub(crate) old_image: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RolloutState {
    Done,
    Running,
    Degraded,
}

/// A pod, as the resource tree shows it.
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) replica_set: String,
    pub(crate) image: String,
    pub(crate) health: ResourceHealth,
}

impl Cluster {
    /// Puts a Deployment into the cluster. Returns kubectl's word for it, and the rollout that starts.
    pub(crate) fn apply(&mut self, wanted: &Deployment) -> (&'static str, Option<u64>) {
        let name = wanted.name().to_owned();
        let has_pods = wanted.replicas() > 0;
        let state = if has_pods {
            RolloutState::Running
        } else {
            RolloutState::Done
        };
        match self.deployments.get_mut(&name) {
            None => {
                self.deployments.insert(
                    name,
                    Live {
                        deployment: wanted.clone(),
                        rollout: 1,
                        state,
                        old_image: None,
                    },
                );
                ("created", has_pods.then_some(1))
            }
            Some(live) if live.deployment == *wanted => ("unchanged", None),
            Some(live) => {
                let had_pods = live.deployment.replicas() > 0;
                let rolls = has_pods && (!had_pods || live.deployment.template() != wanted.template());
                if rolls {
                    // After a rollout that never ended, the pods that serve are still the old ones.
                    if live.state == RolloutState::Done {
                        live.old_image = had_pods.then(|| live.deployment.image().to_owned());
                    }
                    live.rollout += 1;
                    live.state = state;
                } else if !has_pods {
                    live.rollout += 1;
                    live.state = RolloutState::Done;
                    live.old_image = None;
                }
                live.deployment = wanted.clone();
                ("configured", rolls.then_some(live.rollout))
            }
        }
    }

    /// Ends a rollout, unless a newer one has begun. True when something changed.
    pub(crate) fn end_rollout(&mut self, name: &str, rollout: u64, state: RolloutState) -> bool {
        let Some(live) = self.deployments.get_mut(name) else {
            return false;
        };
        if live.rollout != rollout || live.state == state || live.state == RolloutState::Done {
            return false;
        }
        live.state = state;
        if state == RolloutState::Done {
            live.old_image = None;
        }
        true
    }

    /// Images of all pods, sorted, each once.
    pub(crate) fn images(&self) -> Vec<String> {
        let mut images: Vec<String> = self
            .deployments
            .values()
            .flat_map(Live::pods)
            .map(|pod| pod.image)
            .collect();
        images.sort();
        images.dedup();
        images
    }

    /// The resource tree: Deployment, ReplicaSets, Pods.
    pub(crate) fn tree(&self) -> Vec<Value> {
        self.deployments.values().flat_map(Live::nodes).collect()
    }
}

impl Live {
    pub(crate) fn health(&self) -> ResourceHealth {
        let (status, message) = match self.state {
            RolloutState::Done => ("Healthy", String::new()),
            RolloutState::Running => (
                "Progressing",
                format!(
                    "Waiting for rollout to finish: 0 of {} updated replicas are available...",
                    self.deployment.replicas()
                ),
            ),
            RolloutState::Degraded => (
                "Degraded",
                format!(
                    "Deployment \"{}\" exceeded its progress deadline",
                    self.deployment.name()
                ),
            ),
        };
        ResourceHealth {
            status: status.to_owned(),
            message,
        }
    }

    pub(crate) fn pods(&self) -> Vec<Pod> {
        let replicas = self.deployment.replicas();
        let pod = |rollout: u64, index: u64, image: &str, status: &str, message: &str| {
            let replica_set = format!("{}-{rollout:05x}", self.deployment.name());
            Pod {
                name: format!("{replica_set}-{index}"),
                replica_set,
                image: image.to_owned(),
                health: ResourceHealth {
                    status: status.to_owned(),
                    message: message.to_owned(),
                },
            }
        };
        let new = |count: u64, status, message| {
            (0..count)
                .map(move |index| (index, status, message))
                .collect::<Vec<(u64, &str, &str)>>()
        };
        let (old, fresh) = match (self.state, &self.old_image) {
            (RolloutState::Done, _) => (None, new(replicas, "Healthy", "")),
            (RolloutState::Running, Some(old)) => (Some(old), new(1, "Progressing", "")),
            (RolloutState::Running, None) => (None, new(replicas, "Progressing", "")),
            (RolloutState::Degraded, old) => (
                old.as_ref(),
                new(1, "Degraded", "Back-off pulling image: container cannot start"),
            ),
        };
        let old = old.into_iter().flat_map(|image| {
            (0..replicas)
                .map(|index| pod(self.rollout.saturating_sub(1), index, image, "Healthy", ""))
                .collect::<Vec<_>>()
        });
        let fresh = fresh
            .into_iter()
            .map(|(index, status, message)| pod(self.rollout, index, self.deployment.image(), status, message));
        if replicas == 0 {
            Vec::new()
        } else {
            old.chain(fresh).collect()
        }
    }

    fn nodes(&self) -> Vec<Value> {
        let namespace = self.deployment.namespace();
        let uid = |kind: &str, name: &str| format!("{kind}-{namespace}-{name}").to_lowercase();
        let name = self.deployment.name();
        let mut nodes = vec![json!({
            "group": "apps", "version": "v1", "kind": "Deployment", "namespace": namespace, "name": name,
            "uid": uid("Deployment", name), "resourceVersion": self.rollout.to_string(),
            "info": [{"name": "Revision", "value": format!("Rev:{}", self.rollout)}], "health": self.health(),
        })];
        let pods = self.pods();
        let mut sets: Vec<&str> = pods.iter().map(|pod| pod.replica_set.as_str()).collect();
        sets.dedup();
        for set in sets {
            nodes.push(json!({
                "group": "apps", "version": "v1", "kind": "ReplicaSet", "namespace": namespace, "name": set,
                "uid": uid("ReplicaSet", set), "resourceVersion": "1",
                "parentRefs": [{"group": "apps", "kind": "Deployment", "namespace": namespace, "name": name, "uid": uid("Deployment", name)}],
                "health": {"status": "Healthy"},
            }));
        }
        for pod in &pods {
            let up = pod.health.status == "Healthy";
            nodes.push(json!({
                "version": "v1", "kind": "Pod", "namespace": namespace, "name": pod.name,
                "uid": uid("Pod", &pod.name), "resourceVersion": "1",
                "parentRefs": [{"group": "apps", "kind": "ReplicaSet", "namespace": namespace, "name": pod.replica_set, "uid": uid("ReplicaSet", &pod.replica_set)}],
                "info": [
                    {"name": "Status Reason", "value": if up { "Running" } else { "ContainerCreating" }},
                    {"name": "Containers", "value": if up { "1/1" } else { "0/1" }},
                ],
                "images": [pod.image], "health": pod.health,
            }));
        }
        nodes
    }
}
