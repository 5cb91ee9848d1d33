//! The resource tree: the nodes of an Application's objects and of all that hangs below them.

use serde_json::{Value, json};

use super::{
    Cluster,
    health::job,
    live::{Job, Live, Set},
};
use crate::app::ResourceHealth;

impl Cluster {
    /// All nodes, in the order of Argo CD: by group, kind, namespace and name.
    pub(crate) fn tree(&self) -> Vec<Value> {
        let mut nodes: Vec<Value> = self.resources.values().flat_map(Live::nodes).collect();
        nodes.retain(|node| !self.excludes(node["kind"].as_str().unwrap_or_default()));
        let key = |node: &Value| {
            ["group", "kind", "namespace", "name"].map(|part| node[part].as_str().unwrap_or_default().to_owned())
        };
        nodes.sort_by_cached_key(key);
        nodes
    }
}

impl Cluster {
    /// What belongs to nobody, with all that hangs below it.
    pub(crate) fn orphaned_nodes(&self) -> Vec<Value> {
        self.orphans.values().flat_map(Live::nodes).collect()
    }
}

impl Live {
    fn nodes(&self) -> Vec<Value> {
        let mut nodes = Vec::new();
        // A Pod of the manifests is its own only pod.
        if self.manifest.kind() != "Pod" {
            nodes.push(self.root());
        }
        nodes.extend(self.sets.iter().map(|set| self.set_node(set)));
        nodes.extend(self.jobs.iter().map(|job| self.job_node(job)));
        let namespace = self.manifest.namespace();
        nodes.extend(self.pods.iter().map(|pod| pod.node(namespace)));
        nodes
    }

    fn root(&self) -> Value {
        let manifest = &self.manifest;
        let mut node = json!({
            "version": manifest.version(), "kind": manifest.kind(), "name": manifest.name(), "uid": self.uid,
            "resourceVersion": self.version(), "createdAt": self.created_at,
        });
        if !manifest.group().is_empty() {
            node["group"] = json!(manifest.group());
        }
        if !manifest.namespace().is_empty() {
            node["namespace"] = json!(manifest.namespace());
        }
        if self.has_sets() {
            node["info"] = revision(self.rollout);
        }
        if let selector @ Value::Object(_) = &manifest.0["spec"]["selector"]
            && manifest.kind() == "Service"
        {
            node["networkingInfo"] = json!({"targetLabels": selector});
        }
        with_health(node, self.health())
    }

    fn parent(&self) -> Value {
        let owner = self.as_owner();
        let namespace = self.manifest.namespace();
        json!([{"group": owner.group, "kind": owner.kind, "namespace": namespace, "name": owner.name, "uid": owner.uid}])
    }

    fn set_node(&self, set: &Set) -> Value {
        let kind = if self.has_sets() {
            "ReplicaSet"
        } else {
            "ControllerRevision"
        };
        let node = json!({
            "group": "apps", "version": "v1", "kind": kind, "namespace": self.manifest.namespace(), "name": set.name,
            "uid": set.uid, "parentRefs": self.parent(), "info": revision(set.revision),
            "resourceVersion": self.version(), "createdAt": set.created_at,
        });
        with_health(node, self.set_health(set))
    }

    fn job_node(&self, run: &Job) -> Value {
        let node = json!({
            "group": "batch", "version": "v1", "kind": "Job", "namespace": self.manifest.namespace(), "name": run.name,
            "uid": run.uid, "parentRefs": self.parent(), "resourceVersion": self.version(), "createdAt": run.created_at,
        });
        with_health(node, job(run.outcome))
    }
}

fn revision(number: u64) -> Value {
    json!([{"name": "Revision", "value": format!("Rev:{number}")}])
}

fn with_health(mut node: Value, health: Option<ResourceHealth>) -> Value {
    if let Some(health) = health {
        node["health"] = json!(health);
    }
    node
}
