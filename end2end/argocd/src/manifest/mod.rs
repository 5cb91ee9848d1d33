//! What Git wants, as Kubernetes objects, and how the stand-in comes to them.
//!
//! Two ways lead to a [`Manifest`]: `values` makes a workload of each service of a values file, as a chart would, and
//! `plain` takes YAML files of the repository as they stand.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) mod plain;

pub(crate) mod values;

/// The annotation that makes a resource a hook of the sync, with the phase as its value.
const HOOK: &str = "argocd.argoproj.io/hook";

/// Helm's own, which Argo CD understands too.
const HELM_HOOK: &str = "helm.sh/hook";

/// One Kubernetes object, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Manifest(pub(crate) Value);

impl Manifest {
    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.0["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// `apps` of `apps/v1`; empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version().rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// `v1` of `apps/v1`.
    pub(crate) fn version(&self) -> &str {
        let whole = self.api_version();
        whole.rsplit_once('/').map_or(whole, |(_, version)| version)
    }

    pub(crate) fn api_version(&self) -> &str {
        self.0["apiVersion"].as_str().unwrap_or_default()
    }

    /// What no other object of the cluster has: `apps/Deployment/shop/web`. The version is not part of it, as in Argo CD.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}/{}/{}", self.group(), self.kind(), self.namespace(), self.name())
    }

    /// The object as kubectl names it: `deployment.apps/web`, `service/web`.
    pub(crate) fn kubectl_name(&self) -> String {
        let kind = self.kind().to_lowercase();
        match self.group() {
            "" => format!("{kind}/{}", self.name()),
            group => format!("{kind}.{group}/{}", self.name()),
        }
    }

    /// How many pods it wants; 1 where it does not say.
    pub(crate) fn replicas(&self) -> u64 {
        self.0["spec"]["replicas"].as_u64().unwrap_or(1)
    }

    /// The template of its pods: what makes them restart when it changes. `Null` for what has no pods.
    pub(crate) fn template(&self) -> &Value {
        match self.kind() {
            "CronJob" => &self.0["spec"]["jobTemplate"]["spec"]["template"],
            "Pod" => &self.0,
            _ => &self.0["spec"]["template"],
        }
    }

    fn template_mut(&mut self) -> &mut Value {
        match self.kind() {
            "CronJob" => &mut self.0["spec"]["jobTemplate"]["spec"]["template"],
            "Pod" => &mut self.0,
            _ => &mut self.0["spec"]["template"],
        }
    }

    /// Images of its pods, of init containers too, sorted, each once.
    pub(crate) fn images(&self) -> Vec<String> {
        images_of(&self.template()["spec"])
    }

    /// The image of the first container.
    pub(crate) fn image(&self) -> &str {
        self.template()["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn set_image(&mut self, image: &str) {
        self.template_mut()["spec"]["containers"][0]["image"] = json!(image);
    }

    /// The phases of a hook, `PreSync` and the like; empty for what is no hook.
    pub(crate) fn hooks(&self) -> Vec<&str> {
        let annotations = &self.0["metadata"]["annotations"];
        let own = annotations[HOOK].as_str();
        let helm = annotations[HELM_HOOK].as_str();
        let list = own.or(helm).unwrap_or_default();
        list.split(',')
            .map(str::trim)
            .filter_map(|hook| match hook {
                "pre-install" | "pre-upgrade" => Some("PreSync"),
                "post-install" | "post-upgrade" => Some("PostSync"),
                "" => None,
                // What Helm calls otherwise (test, rollback) is nothing that Argo CD runs.
                _ if own.is_none() => None,
                hook => Some(hook),
            })
            .collect()
    }
}

/// Images of a pod's spec, of init containers too, sorted, each once.
pub(crate) fn images_of(spec: &Value) -> Vec<String> {
    let mut images: Vec<String> = containers(spec, "initContainers")
        .chain(containers(spec, "containers"))
        .filter_map(|container| container["image"].as_str().map(str::to_owned))
        .collect();
    images.sort();
    images.dedup();
    images
}

/// The containers of a pod's spec: `containers` or `initContainers`.
pub(crate) fn containers<'a>(spec: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    spec[list].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_knows_what_it_is() {
        let cron = Manifest(json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "namespace": "shop"},
            "spec": {"jobTemplate": {"spec": {"template": {"spec": {
                "initContainers": [{"name": "wait", "image": "r/wait:1"}], "containers": [{"name": "run", "image": "r/run:2"}],
            }}}}},
        }));
        assert_eq!(cron.id(), "batch/CronJob/shop/nightly");
        assert_eq!(cron.kubectl_name(), "cronjob.batch/nightly");
        assert_eq!(cron.images(), ["r/run:2", "r/wait:1"]);
        let service = Manifest(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}));
        assert_eq!((service.id().as_str(), service.version()), ("/Service//web", "v1"));
        assert_eq!(service.images(), Vec::<String>::new());
    }

    #[test]
    fn hooks_are_told_by_their_annotation() {
        let with = |annotations: Value| Manifest(json!({"kind": "Job", "metadata": {"annotations": annotations}}));
        assert_eq!(
            with(json!({HOOK: "PreSync, PostSync"})).hooks(),
            ["PreSync", "PostSync"]
        );
        assert_eq!(with(json!({HELM_HOOK: "pre-upgrade,test"})).hooks(), ["PreSync"]);
        assert_eq!(with(json!({})).hooks(), Vec::<&str>::new());
    }
}
