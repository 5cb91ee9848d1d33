//! A pod: its phase, its containers, and what Argo CD makes of them for the resource tree.
//!
//! The words of `info` and the health are those of Argo CD 3.5 (`controller/cache/info.go`, `health_pod.go`): the status
//! reason is what `kubectl get pods` shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    app::ResourceHealth,
    manifest::{containers, images_of},
};

/// One pod of a workload or of a Job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) created_at: String,
    /// Who made it: a ReplicaSet, a Job, or the workload itself.
    pub(crate) owner: Owner,
    /// `spec` of the pod, with what a webhook has added.
    pub(crate) spec: Value,
    pub(crate) labels: Value,
    /// The rollout that it belongs to.
    pub(crate) revision: u64,
    pub(crate) node: String,
    pub(crate) phase: Phase,
    /// `status.reason`: `Evicted`.
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Containers that wait, and why.
    pub(crate) waiting: BTreeMap<String, Waiting>,
    /// How its containers ended, when they have.
    pub(crate) exit_code: Option<i32>,
    pub(crate) restarts: u32,
    /// Whether its readiness probe fails.
    pub(crate) unready: bool,
}

/// The owner of a pod, as a reference of the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// Why a container waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Pod {
    /// Whether it runs or is about to: controllers do not count the others.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Running)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.phase == Phase::Running && self.waiting.is_empty() && !self.unready
    }

    /// Everything is well with it from now on.
    pub(crate) fn run(&mut self) {
        self.phase = Phase::Running;
        self.waiting.clear();
        self.unready = false;
    }

    /// Its containers have ended with this exit code.
    pub(crate) fn end(&mut self, exit_code: i32) {
        self.phase = if exit_code == 0 {
            Phase::Succeeded
        } else {
            Phase::Failed
        };
        self.exit_code = Some(exit_code);
        self.waiting.clear();
    }

    /// A container waits. Without a name it is the first.
    pub(crate) fn wait(&mut self, container: Option<&str>, waiting: Waiting) {
        let first = containers(&self.spec, "containers")
            .next()
            .and_then(|first| first["name"].as_str());
        let Some(name) = container.or(first).map(str::to_owned) else {
            return;
        };
        if waiting.reason.starts_with("Crash") {
            // Such a container has run before, so the pod is past its start.
            self.phase = Phase::Running;
            self.restarts = self.restarts.max(3);
        } else {
            self.phase = Phase::Pending;
        }
        self.waiting.insert(name, waiting);
    }

    /// Sorted, each once; init containers too.
    pub(crate) fn images(&self) -> Vec<String> {
        images_of(&self.spec)
    }

    fn names(&self, list: &str) -> Vec<&str> {
        containers(&self.spec, list)
            .filter_map(|container| container["name"].as_str())
            .collect()
    }

    /// Init containers that go on beside the others (`restartPolicy: Always`): sidecars as Kubernetes knows them.
    fn sidecars(&self) -> usize {
        containers(&self.spec, "initContainers")
            .filter(|container| container["restartPolicy"] == "Always")
            .count()
    }

    fn restarts_always(&self) -> bool {
        !matches!(self.spec["restartPolicy"].as_str(), Some("Never" | "OnFailure"))
    }

    /// `Status Reason`.
    pub(crate) fn status_reason(&self) -> String {
        if !self.reason.is_empty() {
            return self.reason.clone();
        }
        let init = self.names("initContainers");
        let blocked = init.iter().find_map(|name| self.waiting.get(*name));
        if let Some(waiting) = blocked {
            return format!("Init:{}", waiting.reason);
        }
        // The first container in the list is looked at last, so it has the last word.
        let named = self.names("containers");
        if let Some(waiting) = named.iter().find_map(|name| self.waiting.get(*name)) {
            return waiting.reason.clone();
        }
        match (self.phase, self.exit_code) {
            (Phase::Succeeded, _) | (_, Some(0)) => "Completed".to_owned(),
            (Phase::Failed, Some(_)) => "Error".to_owned(),
            (Phase::Pending, _) if init.len() > self.sidecars() => format!("Init:0/{}", init.len()),
            (Phase::Pending, _) => "ContainerCreating".to_owned(),
            (phase, _) => phase.word().to_owned(),
        }
    }

    fn info(&self) -> Value {
        let total = self.names("containers").len() + self.sidecars();
        let ready = match self.phase {
            Phase::Running if self.unready => 0,
            Phase::Running => total.saturating_sub(self.waiting.len()),
            _ => 0,
        };
        let mut info = vec![
            json!({"name": "Status Reason", "value": self.status_reason()}),
            json!({"name": "Node", "value": self.node}),
            json!({"name": "Containers", "value": format!("{ready}/{total}")}),
        ];
        if self.restarts > 0 {
            info.push(json!({"name": "Restart Count", "value": self.restarts.to_string()}));
        }
        Value::Array(info)
    }

    pub(crate) fn health(&self) -> ResourceHealth {
        let health = |status: &str, message: &str| ResourceHealth {
            status: status.to_owned(),
            message: message.to_owned(),
        };
        let bad = |waiting: &&Waiting| {
            let reason = &waiting.reason;
            reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
        };
        let named = self.names("containers");
        // Init containers do not count here, and pods that end by themselves are left to their Job.
        let stuck: Vec<&str> = named
            .iter()
            .filter_map(|name| self.waiting.get(*name))
            .filter(bad)
            .map(|waiting| waiting.message.as_str())
            .collect();
        if self.restarts_always() && !stuck.is_empty() {
            return health("Degraded", &stuck.join(", "));
        }
        match (self.phase, self.exit_code) {
            (Phase::Pending, _) => health("Progressing", &self.message),
            (Phase::Succeeded, _) => health("Healthy", &self.message),
            (Phase::Failed, Some(code)) if self.message.is_empty() && code != 0 => {
                let name = named.first().copied().unwrap_or_default();
                health("Degraded", &format!("container {name:?} failed with exit code {code}"))
            }
            (Phase::Failed, _) => health("Degraded", &self.message),
            (Phase::Running, _) if !self.restarts_always() => health("Progressing", &self.message),
            (Phase::Running, _) if self.is_ready() => health("Healthy", &self.message),
            (Phase::Running, _) if self.restarts > 0 => health("Degraded", &self.message),
            (Phase::Running, _) => health("Progressing", &self.message),
        }
    }

    /// The node of the tree.
    pub(crate) fn node(&self, namespace: &str) -> Value {
        let mut owner =
            json!({"kind": self.owner.kind, "namespace": namespace, "name": self.owner.name, "uid": self.owner.uid});
        if !self.owner.group.is_empty() {
            owner["group"] = json!(self.owner.group);
        }
        let mut node = json!({
            "version": "v1", "kind": "Pod", "namespace": namespace, "name": self.name, "uid": self.uid,
            "info": self.info(), "networkingInfo": {"labels": self.labels},
            "resourceVersion": self.version(), "images": self.images(), "health": self.health(),
            "createdAt": self.created_at,
        });
        if !self.owner.kind.is_empty() {
            node["parentRefs"] = json!([owner]);
        }
        node
    }

    /// Another one for each state that it can be in.
    fn version(&self) -> String {
        let state = self.phase as u64 * 4 + u64::from(!self.waiting.is_empty()) * 2 + u64::from(self.unready);
        (1000 + self.revision * 16 + state).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: Value) -> Pod {
        Pod {
            name: "web-1".into(),
            uid: "u".into(),
            created_at: String::new(),
            owner: Owner {
                group: "apps".into(),
                kind: "ReplicaSet".into(),
                name: "web".into(),
                uid: "r".into(),
            },
            spec,
            labels: json!({}),
            revision: 1,
            node: "node-1".into(),
            phase: Phase::Pending,
            reason: String::new(),
            message: String::new(),
            waiting: BTreeMap::new(),
            exit_code: None,
            restarts: 0,
            unready: false,
        }
    }

    fn seen(pod: &Pod) -> (String, String, String) {
        let containers = pod.info()[2]["value"].as_str().unwrap().to_owned();
        (pod.status_reason(), containers, pod.health().status)
    }

    #[test]
    fn a_pod_is_what_its_containers_are() {
        let mut web = pod(json!({
            "initContainers": [{"name": "wait"}, {"name": "mesh", "restartPolicy": "Always"}],
            "containers": [{"name": "web"}, {"name": "log"}],
        }));
        let is = |reason: &str, containers: &str, health: &str| {
            (reason.to_owned(), containers.to_owned(), health.to_owned())
        };
        assert_eq!(seen(&web), is("Init:0/2", "0/3", "Progressing"));
        web.run();
        assert_eq!(seen(&web), is("Running", "3/3", "Healthy"));
        let waiting = |reason: &str| Waiting {
            reason: reason.into(),
            message: format!("{reason} of a container"),
        };
        web.wait(Some("log"), waiting("CrashLoopBackOff"));
        assert_eq!(seen(&web), is("CrashLoopBackOff", "2/3", "Degraded"));
        assert_eq!(web.health().message, "CrashLoopBackOff of a container");
        web.run();
        web.unready = true;
        web.restarts = 0;
        assert_eq!(seen(&web), is("Running", "0/3", "Progressing"));
        web.wait(Some("wait"), waiting("ImagePullBackOff"));
        assert_eq!(seen(&web), is("Init:ImagePullBackOff", "0/3", "Progressing"));
    }

    #[test]
    fn a_pod_that_ends_is_healthy_only_when_it_ended_well() {
        let mut job = pod(json!({"restartPolicy": "Never", "containers": [{"name": "run"}]}));
        job.run();
        assert_eq!(job.health().status, "Progressing");
        job.end(0);
        assert_eq!(seen(&job).0, "Completed");
        assert_eq!(job.health().status, "Healthy");
        job.end(1);
        assert_eq!(
            (seen(&job).0.as_str(), job.health().status.as_str()),
            ("Error", "Degraded")
        );
        assert_eq!(job.health().message, "container \"run\" failed with exit code 1");
    }
}
