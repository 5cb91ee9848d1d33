//! What Argo CD sends, and the way from there to the domain's words.
//!
//! Go's encoder leaves out some empty fields, writes `null` for others and `{}` for a third kind; enumerations may be
//! empty or unknown. So nothing is required here, and words stay words.

use domain::{
    plan::{AppSnapshot, AppSource, Health, MOST_UNSYNCED, OperationSnapshot, ResourceOutcome},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Name of the info in which an operation carries the identity of the promotion that started it.
pub(super) const PROMOTION_INFO: &str = "waybill.dev/promotion";

/// Resources of an operation that are kept: in a large Application each one can fail.
const MOST_OUTCOMES: usize = 100;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Application {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[serde(deserialize_with = "or_default")]
    status: Status,
    operation: Option<Operation>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    #[serde(deserialize_with = "or_default")]
    name: String,
    namespace: Option<String>,
    deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    resource_version: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    project: String,
    #[serde(flatten)]
    sources: Sources,
    source_hydrator: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    sync_policy: SyncPolicy,
}

/// One source, or several; several win.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Sources {
    source: Value,
    #[serde(deserialize_with = "list")]
    sources: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SyncPolicy {
    automated: Option<Automated>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Automated {
    enabled: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(deserialize_with = "or_default")]
    sync: SyncStatus,
    #[serde(deserialize_with = "or_default")]
    health: HealthStatus,
    #[serde(deserialize_with = "or_default")]
    summary: Summary,
    #[serde(deserialize_with = "list")]
    resources: Vec<ResourceStatus>,
    #[serde(deserialize_with = "list")]
    conditions: Vec<Condition>,
    #[serde(deserialize_with = "time")]
    reconciled_at: Option<Timestamp>,
    operation_state: Option<OperationState>,
    #[serde(deserialize_with = "or_default")]
    controller_namespace: String,
    #[serde(deserialize_with = "or_default")]
    source_hydrator: HydratorStatus,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SyncStatus {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(flatten)]
    revisions: Revisions,
    #[serde(deserialize_with = "or_default")]
    compared_to: Sources,
}

/// A revision, or one for each of several sources.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Revisions {
    #[serde(deserialize_with = "or_default")]
    revision: String,
    #[serde(deserialize_with = "list")]
    revisions: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct HealthStatus {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "time")]
    last_transition_time: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Summary {
    #[serde(deserialize_with = "list")]
    images: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceStatus {
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    requires_pruning: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct OperationState {
    #[serde(deserialize_with = "or_default")]
    operation: Operation,
    #[serde(deserialize_with = "or_default")]
    phase: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    sync_result: SyncResult,
    retry_count: u32,
    #[serde(deserialize_with = "time")]
    started_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    finished_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SyncResult {
    #[serde(flatten)]
    revisions: Revisions,
    #[serde(deserialize_with = "list")]
    resources: Vec<ResourceResult>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceResult {
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    hook_type: String,
    #[serde(deserialize_with = "or_default")]
    hook_phase: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Operation {
    #[serde(deserialize_with = "or_default")]
    sync: SyncOperation,
    #[serde(deserialize_with = "or_default")]
    initiated_by: InitiatedBy,
    #[serde(deserialize_with = "list")]
    info: Vec<Info>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SyncOperation {
    #[serde(flatten)]
    revisions: Revisions,
    #[serde(deserialize_with = "list")]
    resources: Vec<Value>,
    #[serde(deserialize_with = "or_default")]
    dry_run: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InitiatedBy {
    #[serde(deserialize_with = "or_default")]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct HydratorStatus {
    #[serde(deserialize_with = "or_default")]
    last_successful_operation: Hydrated,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Hydrated {
    #[serde(rename = "drySHA", deserialize_with = "or_default")]
    dry: String,
    #[serde(rename = "hydratedSHA", deserialize_with = "or_default")]
    hydrated: String,
}

/// One message of the stream, or the error that ends it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct StreamMessage {
    pub(super) result: Option<StreamResult>,
    pub(super) error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct StreamResult {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) application: Application,
}

/// An answer of `/api/version`: the keys are capitalised.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Version {
    #[serde(rename = "Version", alias = "version", deserialize_with = "or_default")]
    pub(super) version: String,
}

/// An answer of `/api/v1/session/userinfo`: empty when logged out.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UserInfo {
    #[serde(deserialize_with = "or_default")]
    pub(super) logged_in: bool,
}

/// An answer of `/api/v1/account/can-i/…`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CanI {
    #[serde(deserialize_with = "or_default")]
    pub(super) value: String,
}

/// What an error body says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ErrorBody {
    /// gRPC status code; zero when it names none.
    pub(super) code: i64,
    /// The message; may be empty.
    pub(super) message: String,
}

impl ErrorBody {
    /// Reads either shape: `{"error":"…","code":7,"message":"…"}` of calls, `{"error":{"grpc_code":16,"message":"…"}}` of
    /// streams. `None` when it is neither.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let error = body.get("error");
        let inner = match error {
            Some(Value::Object(_)) => error?,
            _ => body,
        };
        let message = ["message", "error"]
            .iter()
            .find_map(|key| inner.get(key).and_then(Value::as_str))
            .map(str::to_owned);
        let code = ["code", "grpc_code"]
            .iter()
            .find_map(|key| inner.get(key).and_then(Value::as_i64));
        (message.is_some() || code.is_some()).then(|| Self {
            code: code.unwrap_or(0),
            message: message.unwrap_or_default(),
        })
    }
}

impl Application {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// What it deploys. Of a hydrator that is what people write, not what it makes of it.
    fn sources(&self) -> Vec<AppSource> {
        let dry = self
            .spec
            .source_hydrator
            .as_ref()
            .and_then(|spec| spec.get("drySource"));
        let several = self.spec.sources.sources.iter();
        let single = self
            .spec
            .sources
            .sources
            .is_empty()
            .then_some(&self.spec.sources.source);
        let written: Vec<&Value> = match dry.filter(|dry| !is_empty(dry)) {
            Some(dry) => vec![dry],
            None => several.chain(single).collect(),
        };
        let text = |source: &Value, key: &str| source.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let source = |source: &&Value| AppSource {
            repository: text(source, "repoURL"),
            revision: text(source, "targetRevision"),
            path: text(source, "path"),
            chart: !text(source, "chart").is_empty(),
            reference: text(source, "ref"),
            value_files: (source
                .pointer("/helm/valueFiles")
                .and_then(Value::as_array)
                .into_iter()
                .flatten())
            .filter_map(|file| Some(file.as_str()?.to_owned()))
            .collect(),
        };
        let sources: Vec<AppSource> = written.iter().map(source).collect();
        // One without an address is Go's way to write that there is none; among several, their positions count.
        match sources.as_slice() {
            [one] if one.repository.is_empty() => Vec::new(),
            _ => sources,
        }
    }

    /// In the domain's words.
    pub(super) fn into_snapshot(self) -> AppSnapshot {
        let sources = self.sources();
        let hydrated = self.spec.source_hydrator.as_ref().is_some_and(|spec| !is_empty(spec));
        let dry = |revisions: Revisions| {
            let mut revisions = revisions.into_list();
            // A hydrator renders our commit into one of its own. Ours is the dry one; the rendered one is in no history
            // that Waybill knows.
            let last = &self.status.source_hydrator.last_successful_operation;
            if hydrated && !last.dry.is_empty() {
                for revision in revisions.iter_mut().filter(|revision| **revision == last.hydrated) {
                    revision.clone_from(&last.dry);
                }
            }
            revisions
        };
        let operation = self.status.operation_state.map(|state| OperationSnapshot {
            phase: state.phase,
            message: state.message,
            started_at: state.started_at,
            finished_at: state.finished_at,
            resources: state.sync_result.outcomes(),
            revisions: dry(state.sync_result.revisions),
            retries: state.retry_count,
            ..state.operation.into_snapshot()
        });
        let pending = self.operation.is_some();
        let all = self.status.resources.into_iter();
        let left: Vec<ResourceStatus> = all.filter(|resource| resource.status == "OutOfSync").collect();
        AppSnapshot {
            deleting: self.metadata.deletion_timestamp.is_some_and(|time| !time.is_empty()),
            auto_sync: self
                .spec
                .sync_policy
                .automated
                .is_some_and(|automated| automated.enabled != Some(false)),
            target_revision: self.spec.sources.target_revision(),
            compared_to_current_source: hydrated || self.spec.sources.same_as(&self.status.sync.compared_to),
            sync_status: self.status.sync.status,
            sync_revisions: dry(self.status.sync.revisions),
            health: word_of_health(&self.status.health.status),
            health_since: self.status.health.last_transition_time,
            reconciled_at: self.status.reconciled_at,
            operation_pending: pending,
            operation: operation.or_else(|| self.operation.map(Operation::into_snapshot)),
            conditions: self
                .status
                .conditions
                .into_iter()
                .map(|condition| (condition.kind, condition.message))
                .collect(),
            images: self.status.summary.images,
            awaits_pruning: !left.is_empty() && left.iter().all(|resource| resource.requires_pruning),
            // What Git has no more is not removed by a sync that doesn't say so.
            unsynced: left
                .iter()
                .filter(|resource| !resource.requires_pruning)
                .map(|resource| super::workloads::clip(&format!("{} {}", resource.kind, resource.name)))
                .take(MOST_UNSYNCED)
                .collect(),
            sources,
            hydrated,
            workloads: None,
            workloads_withheld: None,
            name: self.metadata.name,
            version: self.metadata.resource_version.parse().ok(),
            namespace: self.metadata.namespace.filter(|namespace| !namespace.is_empty()),
            controller_namespace: Some(self.status.controller_namespace).filter(|namespace| !namespace.is_empty()),
            project: self.spec.project,
        }
    }
}

impl Operation {
    /// What was asked for; how far it came is the state's to say.
    fn into_snapshot(self) -> OperationSnapshot {
        OperationSnapshot {
            requested: self.sync.revisions.into_list(),
            partial: !self.sync.resources.is_empty() || self.sync.dry_run,
            promotion: self
                .info
                .into_iter()
                .find(|info| info.name == PROMOTION_INFO)
                .map(|info| info.value),
            initiated_by: self.initiated_by.username,
            ..OperationSnapshot::default()
        }
    }
}

impl SyncResult {
    /// What matters of a list that may hold thousands: what failed, and hooks that run.
    fn outcomes(&self) -> Vec<ResourceOutcome> {
        let outcome = |resource: &ResourceResult| ResourceOutcome {
            kind: resource.kind.clone(),
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
            status: resource.status.clone(),
            hook: resource.hook_type.clone(),
            phase: resource.hook_phase.clone(),
            message: resource.message.clone(),
        };
        let matters = |one: &ResourceOutcome| one.has_failed() || (!one.hook.is_empty() && one.phase == "Running");
        let outcomes = self.resources.iter().map(outcome).filter(matters);
        outcomes.take(MOST_OUTCOMES).collect()
    }
}

impl Revisions {
    fn into_list(self) -> Vec<String> {
        match (self.revisions.is_empty(), self.revision.is_empty()) {
            (false, _) => self.revisions,
            (true, false) => vec![self.revision],
            (true, true) => Vec::new(),
        }
    }
}

impl Sources {
    /// The revision the first source that names one follows; empty for the default branch.
    fn target_revision(&self) -> String {
        let several = self.sources.iter();
        let single = self.sources.is_empty().then_some(&self.source);
        several
            .chain(single)
            .filter_map(|source| source.get("targetRevision")?.as_str())
            .find(|revision| !revision.is_empty())
            .unwrap_or_default()
            .to_owned()
    }

    fn same_as(&self, other: &Self) -> bool {
        if self.sources.is_empty() {
            !is_empty(&self.source) && other.sources.is_empty() && same(&self.source, &other.source)
        } else {
            self.sources.len() == other.sources.len()
                && self.sources.iter().zip(&other.sources).all(|(a, b)| same(a, b))
        }
    }
}

/// Deep equality in which a field that is absent, null or empty is the same: Go writes either.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => a
            .keys()
            .chain(b.keys())
            .all(|key| same(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null))),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b || (is_empty(a) && is_empty(b)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.values().all(is_empty),
        Value::Number(_) => false,
    }
}

/// Health by Argo CD's word for it.
pub(super) fn word_of_health(word: &str) -> Health {
    match word {
        "Healthy" => Health::Healthy,
        "Progressing" => Health::Progressing,
        "Degraded" => Health::Degraded,
        "Suspended" => Health::Suspended,
        "Missing" => Health::Missing,
        _ => Health::Unknown,
    }
}

/// `null` is the same as absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list that may be `null`, of items that may be `null`.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(items.into_iter().flatten().flatten().collect())
}

/// RFC 3339, or nothing: also for what can't be read, so that one odd time doesn't hide a whole Application.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| {
        let time = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339).ok()?;
        // Go's zero time is of the year 1.
        (time.year() > 1).then(|| Timestamp(time.unix_timestamp() * 1000 + i64::from(time.millisecond())))
    }))
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
