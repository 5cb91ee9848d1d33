//! The Application object as it goes over the wire.
//!
//! The shapes follow Go's `encoding/json`: empty strings and lists vanish, but nested structs stay as `{}` or
//! `{"repoURL":""}`. Responses carry no `apiVersion` and no `kind`, as typed Kubernetes clients drop them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The annotation that asks the refresh loop to look again.
pub(crate) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// Set together with [`REFRESH`] by the API server, removed together by the controller.
pub(crate) const HYDRATE: &str = "argocd.argoproj.io/hydrate";

/// Where the stand-in keeps the key of the values file under which `services` is found.
pub(crate) const VALUES_PREFIX: &str = "standin.argocd/values-prefix";

/// The finalizer that makes a deletion wait for the resources.
pub(crate) const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

fn empty_object() -> Value {
    json!({})
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Application {
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<Operation>,
}

impl Application {
    pub(crate) fn project(&self) -> &str {
        if self.spec.project.is_empty() {
            "default"
        } else {
            &self.spec.project
        }
    }

    /// `<project>/<app>`, or `<project>/<namespace>/<app>` outside the namespace of the server.
    pub(crate) fn rbac_name(&self, server_namespace: &str) -> String {
        rbac_name(
            server_namespace,
            self.project(),
            &self.metadata.namespace,
            &self.metadata.name,
        )
    }

    pub(crate) fn values_prefix(&self) -> Option<String> {
        self.metadata
            .annotations
            .get(VALUES_PREFIX)
            .filter(|prefix| !prefix.is_empty())
            .cloned()
    }

    /// The name in tracking marks: `<name>`, or `<namespace>_<name>` outside the namespace of the server.
    pub(crate) fn instance_name(&self) -> String {
        let Metadata { name, namespace, .. } = &self.metadata;
        if namespace.is_empty() || namespace == crate::world::SERVER_NAMESPACE {
            name.clone()
        } else {
            format!("{namespace}_{name}")
        }
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// The object of an RBAC rule about an application.
pub(crate) fn rbac_name(server_namespace: &str, project: &str, namespace: &str, name: &str) -> String {
    if namespace.is_empty() || namespace == server_namespace {
        format!("{project}/{name}")
    } else {
        format!("{project}/{namespace}/{name}")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) resource_version: String,
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) creation_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_timestamp: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) finalizers: Vec<String>,
}

impl Metadata {
    /// The version as the number that the server itself parses it to.
    pub(crate) fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or(0)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    pub(crate) destination: Destination,
    pub(crate) project: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_policy: Option<SyncPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision_history_limit: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<Source>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Spec {
    pub(crate) fn is_multi_source(&self) -> bool {
        !self.sources.is_empty()
    }

    /// What is rendered: `sources` when there are any, `source` otherwise.
    pub(crate) fn effective_sources(&self) -> Vec<Source> {
        if self.is_multi_source() {
            self.sources.clone()
        } else {
            vec![self.source.clone().unwrap_or_default()]
        }
    }

    /// Auto-sync is on when `automated` is there and not switched off by `enabled: false`.
    pub(crate) fn automated(&self) -> Option<&Automated> {
        self.sync_policy
            .as_ref()?
            .automated
            .as_ref()
            .filter(|automated| automated.enabled != Some(false))
    }

    pub(crate) fn sync_options(&self) -> Vec<String> {
        self.sync_policy
            .as_ref()
            .map(|policy| policy.sync_options.clone())
            .unwrap_or_default()
    }

    pub(crate) fn retry(&self) -> Option<Value> {
        self.sync_policy.as_ref()?.retry.clone()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Source {
    #[serde(rename = "repoURL")]
    pub(crate) repo_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) target_revision: String,
    #[serde(rename = "ref", skip_serializing_if = "String::is_empty")]
    pub(crate) reference: String,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Source {
    /// The target as people read it in error texts: empty means `HEAD`.
    pub(crate) fn target(&self) -> &str {
        if self.target_revision.is_empty() {
            "HEAD"
        } else {
            &self.target_revision
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Destination {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) server: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SyncPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) automated: Option<Automated>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sync_options: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Value>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Automated {
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) prune: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) self_heal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<ResourceStatus>,
    pub(crate) sync: SyncStatus,
    pub(crate) health: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<History>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reconciled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation_state: Option<OperationState>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) source_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) source_types: Vec<String>,
    pub(crate) summary: Summary,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) resource_health_source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) controller_namespace: String,
    pub(crate) source_hydrator: Hydrator,
}

/// Always `{}`: the stand-in has no source hydrator, but Go writes the empty struct.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hydrator {}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceStatus {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Empty for a hook.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<ResourceHealth>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) hook: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) requires_pruning: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceHealth {
    pub(crate) status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SyncStatus {
    pub(crate) status: String,
    pub(crate) compared_to: ComparedTo,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) revision: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revisions: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ComparedTo {
    pub(crate) source: Source,
    pub(crate) destination: Destination,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<Source>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Health {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_transition_time: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct History {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) revision: String,
    pub(crate) deployed_at: String,
    pub(crate) id: u64,
    pub(crate) source: Source,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) deploy_started_at: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<Source>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revisions: Vec<String>,
    pub(crate) initiated_by: InitiatedBy,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_transition_time: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Summary {
    #[serde(rename = "externalURLs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) external_urls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) images: Vec<String>,
}

/// What somebody asked for: `.operation`, and later `status.operationState.operation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Operation {
    pub(crate) sync: OperationSync,
    pub(crate) initiated_by: InitiatedBy,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) info: Vec<Info>,
    #[serde(default = "empty_object")]
    pub(crate) retry: Value,
}

impl Default for Operation {
    fn default() -> Self {
        Self {
            sync: OperationSync::default(),
            initiated_by: InitiatedBy::default(),
            info: Vec::new(),
            retry: json!({}),
        }
    }
}

impl Operation {
    /// How many further attempts the operation allows; negative (without limit) counts as very many.
    pub(crate) fn retry_limit(&self) -> u32 {
        match self.retry.get("limit").and_then(Value::as_i64).unwrap_or(0) {
            limit if limit < 0 => u32::MAX,
            limit => u32::try_from(limit).unwrap_or(u32::MAX),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InitiatedBy {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) username: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) automated: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Info {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OperationSync {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) revision: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) prune: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_strategy: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<ResourceRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sync_options: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<Source>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revisions: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) auto_heal_attempts_count: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OperationState {
    pub(crate) operation: Operation,
    pub(crate) phase: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_result: Option<SyncResult>,
    pub(crate) started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) retry_count: u32,
}

impl OperationState {
    pub(crate) fn is_completed(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed" | "Error")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SyncResult {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<ResourceResult>,
    pub(crate) revision: String,
    pub(crate) source: Source,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<Source>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revisions: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceResult {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) hook_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) hook_phase: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) sync_phase: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) images: Vec<String>,
}
