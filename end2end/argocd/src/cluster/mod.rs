//! The scripted cluster behind an Application: its objects, their rollouts and their pods.
//!
//! [`live`] is one object with its pods, `rollout` what controllers do with them, `jobs` the runs of Jobs and CronJobs,
//! `pod` and `health` what Argo CD thinks of it, `tree` the resource tree, `events` what Kubernetes remembers, and
//! [`change`] what a test makes happen.

pub(crate) mod change;
pub(crate) mod events;
mod health;
mod jobs;
pub(crate) mod live;
mod naming;
mod pod;
mod rollout;
mod tree;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::live::RolloutState;
use self::{events::KubeEvent, live::Live};
use crate::manifest::Manifest;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    /// By [`Manifest::id`].
    pub(crate) resources: BTreeMap<String, Live>,
    /// Oldest first.
    pub(crate) events: Vec<KubeEvent>,
    /// What lives in the namespace and belongs to no Application.
    pub(crate) orphans: BTreeMap<String, Live>,
    /// Log lines, by the name of the pod.
    pub(crate) logs: BTreeMap<String, Vec<String>>,
    /// Kinds that Argo CD is told not to look at (`resource.exclusions`).
    pub(crate) excluded: Vec<String>,
    /// Counts objects, so that one that is made anew has another uid.
    incarnations: u64,
    /// What a state file holds that was written before there were other kinds than Deployments.
    #[serde(skip_serializing)]
    deployments: BTreeMap<String, Older>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Older {
    deployment: Manifest,
}

/// What became of an object that was applied.
pub(crate) struct Applied {
    /// kubectl's word: `created`, `configured`, `unchanged`.
    pub(crate) word: &'static str,
    /// The rollout that starts.
    pub(crate) rollout: Option<u64>,
}

impl Cluster {
    /// Another cluster, with nothing in it and the same settings of Argo CD. What is made there has other uids.
    pub(crate) fn empty(&self) -> Self {
        Self {
            incarnations: self.incarnations,
            excluded: self.excluded.clone(),
            ..Self::default()
        }
    }

    /// With the Deployments of an older state file, all of them running.
    pub(crate) fn with_older(mut self, now: &str) -> Self {
        for (_, older) in std::mem::take(&mut self.deployments) {
            let id = older.deployment.id();
            // A cluster that has nothing of this name refuses no Deployment.
            if let Ok(Applied {
                rollout: Some(rollout), ..
            }) = self.apply(&older.deployment, now)
            {
                self.end_rollout(&id, rollout, RolloutState::Done, now);
            }
        }
        self
    }

    /// Puts an object into the cluster. The error is the API server's.
    pub(crate) fn apply(&mut self, wanted: &Manifest, now: &str) -> Result<Applied, String> {
        let id = wanted.id();
        let Some(live) = self.resources.get_mut(&id) else {
            self.incarnations += 1;
            let mut live = Live::new(wanted.clone(), self.incarnations, now);
            let rolls = live.desired() > 0;
            live.start_rollout(now);
            if !rolls {
                live.state = RolloutState::Done;
            }
            let rollout = rolls.then_some(live.rollout);
            self.resources.insert(id, live);
            return Ok(Applied {
                word: "created",
                rollout,
            });
        };
        if live.manifest == *wanted {
            return Ok(Applied {
                word: "unchanged",
                rollout: None,
            });
        }
        let other_template = live.manifest.template() != wanted.template();
        if wanted.kind() == "Job" && other_template {
            return Err(format!(
                "Job.batch \"{}\" is invalid: spec.template: Invalid value: field is immutable",
                wanted.name()
            ));
        }
        let had_pods = live.active().next().is_some();
        live.manifest = wanted.clone();
        let desired = live.desired();
        let rolls = desired > 0 && (!had_pods || other_template) && wanted.kind() != "Job";
        if rolls {
            live.start_rollout(now);
        } else if desired == 0 {
            live.rollout += 1;
            live.state = RolloutState::Done;
            if live.has_sets() {
                live.owner_of_pods(now);
            }
            live.pods.retain(|pod| !pod.is_active() || pod.owner.kind == "Job");
        } else if wanted.kind() != "Job" {
            live.scale(now);
        }
        Ok(Applied {
            word: "configured",
            rollout: rolls.then_some(live.rollout),
        })
    }

    /// Takes an object out, with all that it owns.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        self.resources.remove(id).is_some()
    }

    /// Ends a rollout, unless a newer one has begun. True when something changed.
    pub(crate) fn end_rollout(&mut self, id: &str, rollout: u64, state: RolloutState, now: &str) -> bool {
        let Some(live) = self.resources.get_mut(id) else {
            return false;
        };
        let ended = live.end_rollout(rollout, state, now);
        if ended && state == RolloutState::Degraded && live.manifest.kind() != "Job" {
            let stuck: Vec<pod::Pod> = live.updated().filter(|pod| !pod.waiting.is_empty()).cloned().collect();
            let namespace = live.manifest.namespace().to_owned();
            for pod in &stuck {
                self.events_of_waiting(pod, &namespace, now);
            }
        }
        ended
    }

    /// Rollouts in a state, by the id of their object.
    pub(crate) fn hanging(&self, state: RolloutState) -> Vec<(String, u64)> {
        let hanging = self.resources.iter().filter(|(_, live)| live.state == state);
        hanging.map(|(id, live)| (id.clone(), live.rollout)).collect()
    }

    /// Images of all pods of any phase, sorted, each once: what Argo CD sums up.
    pub(crate) fn images(&self) -> Vec<String> {
        if self.excludes("Pod") {
            return Vec::new();
        }
        let mut images: Vec<String> = self.resources.values().flat_map(Live::images).collect();
        images.sort();
        images.dedup();
        images
    }

    /// Whether Argo CD does not look at a kind.
    pub(crate) fn excludes(&self, kind: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded == kind)
    }

    /// The id of an object by its name (`web`) or its kind and name (`CronJob/web`); workloads first.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        let named = |live: &&Live| match text.split_once('/') {
            Some((kind, name)) => live.manifest.kind() == kind && live.manifest.name() == name,
            None => live.manifest.name() == text,
        };
        let found: Vec<&Live> = self.resources.values().filter(named).collect();
        let workload = found.iter().find(|live| !live.manifest.images().is_empty());
        workload.or(found.first()).map(|live| live.manifest.id())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-09-01T12:00:00Z";

    fn workload(kind: &str, image: &str, replicas: u64) -> Manifest {
        let group = if kind == "Rollout" {
            "argoproj.io/v1alpha1"
        } else {
            "apps/v1"
        };
        Manifest(json!({
            "apiVersion": group, "kind": kind, "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        }))
    }

    fn health(cluster: &Cluster) -> String {
        let live = cluster.resources.values().next().unwrap();
        live.health().unwrap().status
    }

    #[test]
    fn every_kind_rolls_from_old_to_new() {
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "Rollout"] {
            let mut cluster = Cluster::default();
            let one = workload(kind, "r:1", 3);
            let rollout = cluster.apply(&one, NOW).unwrap().rollout.unwrap();
            assert_eq!(health(&cluster), "Progressing", "{kind}");
            assert!(cluster.end_rollout(&one.id(), rollout, RolloutState::Done, NOW));
            assert_eq!(
                (health(&cluster).as_str(), cluster.images()),
                ("Healthy", vec!["r:1".to_owned()]),
                "{kind}"
            );

            let two = workload(kind, "r:2", 3);
            let rollout = cluster.apply(&two, NOW).unwrap().rollout.unwrap();
            assert_eq!(health(&cluster), "Progressing", "{kind}");
            assert_eq!(cluster.images(), ["r:1", "r:2"], "{kind}");
            assert!(cluster.end_rollout(&two.id(), rollout, RolloutState::Done, NOW));
            assert_eq!(
                (health(&cluster).as_str(), cluster.images()),
                ("Healthy", vec!["r:2".to_owned()]),
                "{kind}"
            );
            let live = &cluster.resources[&two.id()];
            assert_eq!(live.pods.len() as u64, live.desired(), "{kind}");

            let none = cluster.apply(&workload(kind, "r:2", 0), NOW).unwrap();
            assert!(none.rollout.is_none());
            if kind != "DaemonSet" {
                assert_eq!(
                    (health(&cluster).as_str(), cluster.images()),
                    ("Healthy", Vec::new()),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn a_failed_rollout_keeps_both() {
        let mut cluster = Cluster::default();
        let one = workload("Deployment", "r:1", 2);
        let rollout = cluster.apply(&one, NOW).unwrap().rollout.unwrap();
        cluster.end_rollout(&one.id(), rollout, RolloutState::Done, NOW);
        let two = workload("Deployment", "r:2", 2);
        let rollout = cluster.apply(&two, NOW).unwrap().rollout.unwrap();
        cluster.end_rollout(&two.id(), rollout, RolloutState::Degraded, NOW);
        assert_eq!(
            (health(&cluster).as_str(), cluster.images()),
            ("Degraded", vec!["r:1".to_owned(), "r:2".to_owned()])
        );
        // Back to what was: the old ReplicaSet has its pods still.
        let rollout = cluster.apply(&one, NOW).unwrap().rollout.unwrap();
        assert_eq!(cluster.images(), ["r:1"]);
        assert!(cluster.end_rollout(&one.id(), rollout, RolloutState::Done, NOW));
        assert_eq!(cluster.resources[&one.id()].sets.len(), 2);
    }

    #[test]
    fn a_state_file_of_before_is_read() {
        let deployment = workload("Deployment", "r:1", 2);
        let older = json!({"deployments": {"web": {"deployment": deployment, "rollout": 3, "state": "Done", "old_image": null}}});
        let cluster: Cluster = serde_json::from_value(older).unwrap();
        let cluster = cluster.with_older(NOW);
        assert_eq!(
            (health(&cluster).as_str(), cluster.images()),
            ("Healthy", vec!["r:1".to_owned()])
        );
        let again: Cluster = serde_json::from_value(json!(cluster)).unwrap();
        assert_eq!(again, cluster);
    }

    #[test]
    fn the_template_of_a_job_cannot_change() {
        let job = |image: &str| {
            Manifest(json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "shop"},
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": image}]}}},
            }))
        };
        let mut cluster = Cluster::default();
        let rollout = cluster.apply(&job("r:1"), NOW).unwrap().rollout.unwrap();
        assert_eq!(health(&cluster), "Progressing");
        cluster.end_rollout(&job("r:1").id(), rollout, RolloutState::Done, NOW);
        assert_eq!(
            (health(&cluster).as_str(), cluster.images()),
            ("Healthy", vec!["r:1".to_owned()])
        );
        assert!(
            cluster
                .apply(&job("r:2"), NOW)
                .err()
                .unwrap()
                .contains("field is immutable")
        );
    }
}
