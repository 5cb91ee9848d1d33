//! What Argo CD reports about an Application, and what a promotion does about it.
//!
//! [`AppSnapshot`] is one look at an Application. [`next()`] compares it with what a promotion wants ([`Intent`]) and says
//! what to do: ask Argo CD to look at Git again, start a sync, wait, or stop because the commit is live, or can't become
//! live. It remembers nothing: called again with a newer look, after a restart or a lost answer, it says what is right
//! then. The proof is made of four parts, each useless without the others:
//!
//! 1. an operation, or a comparison, applied a revision that contains our commit ([`candidate_revisions`]: ancestry is
//!    Git's to say, equality would fail as soon as somebody else pushes);
//! 2. sync status and health were looked at after that operation ended: for a while after a sync Argo CD still shows the
//!    health of what ran before;
//! 3. what was rendered from the commit names the promised digest, in the service's own workloads ([`Workload`]), and those are healthy, and have
//!    been for a moment. An ill neighbour is none of the promotion's business, and is named in the evidence;
//! 4. the cluster was told to run the digest in all of them, and their living pods run it. Where Argo CD lets nobody read the workloads, its summary
//!    of images must do, and the evidence says so.
//!
//! Argo CD writes whole seconds, by its own clock. Its times are compared with each other; where one must be compared with
//! ours, a wrong clock delays the answer and never turns it around.

mod decision;
pub mod illness;
mod images;
mod next;
pub mod said;
pub mod source;
#[cfg(test)]
mod tests;
pub mod workload;

pub use decision::{GRACE_MILLIS, Intent, STABLE_MILLIS, candidate_revisions, is_applied, next};
pub use illness::{Illness, LogLine, Patient, PodEvent};
pub use images::live_digests;
pub use next::{Cause, Next};
pub use source::{AppSource, Committed};
pub use workload::{Pod, Workload, WorkloadName};

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// An Application as Argo CD reports it, reduced to what decisions need.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AppSnapshot {
    /// Its name.
    pub name: String,
    /// Its namespace, when reported.
    pub namespace: Option<String>,
    /// The namespace of the Argo CD that looks after it, when reported.
    #[serde(default)]
    pub controller_namespace: Option<String>,
    /// Where it stands in the order of all changes of its cluster (`metadata.resourceVersion`, a revision of etcd): of two looks, the one
    /// with the larger number is newer. `None` where that isn't a number.
    pub version: Option<u64>,
    /// Its Argo CD project.
    pub project: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it syncs by itself.
    pub auto_sync: bool,
    /// Branch, tag or commit it follows; empty means the default branch.
    pub target_revision: String,
    /// `Synced`, `OutOfSync`, `Unknown` or empty.
    pub sync_status: String,
    /// Commits it compared with; more than one for several sources. Not always commits: see argocd facts §3.4.
    pub sync_revisions: Vec<String>,
    /// Whether the comparison was made with the source as it is specified now.
    pub compared_to_current_source: bool,
    /// Health.
    pub health: Health,
    /// When health last changed.
    pub health_since: Option<Timestamp>,
    /// When Git and cluster were last compared, in whole seconds.
    pub reconciled_at: Option<Timestamp>,
    /// Whether an operation is asked for or running (`.operation` is set).
    pub operation_pending: bool,
    /// The newest operation.
    pub operation: Option<OperationSnapshot>,
    /// Conditions: type and message.
    pub conditions: Vec<(String, String)>,
    /// Image references of all its pods, verbatim: also of pods that have ended.
    pub images: Vec<String>,
    /// Whether nothing differs from Git but what Git has no more, which a sync leaves unless it is told to prune.
    #[serde(default)]
    pub awaits_pruning: bool,
    /// What differs from Git by the newest comparison: `ConfigMap settings`. The first [`MOST_UNSYNCED`].
    #[serde(default)]
    pub unsynced: Vec<String>,
    /// What it deploys, each of several sources; of a hydrator what people write. Positions are those of the revisions.
    #[serde(default)]
    pub sources: Vec<AppSource>,
    /// Whether a hydrator renders what is written into commits of its own, so that a commit of ours can't be synced to.
    #[serde(default)]
    pub hydrated: bool,
    /// Its workloads, and whatever else of it is ill; `None` while they were not read.
    #[serde(default)]
    pub workloads: Option<Vec<Workload>>,
    /// Why Argo CD doesn't let its workloads be read, where it doesn't.
    #[serde(default)]
    pub workloads_withheld: Option<String>,
}

/// So many unsynced resources of an Application are remembered.
pub const MOST_UNSYNCED: usize = 20;

/// The newest operation of an Application.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OperationSnapshot {
    /// `Running`, `Terminating`, `Succeeded`, `Failed`, `Error`, or what else Argo CD says; empty while it is asked for
    /// and has not begun.
    pub phase: String,
    /// Its message.
    pub message: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended (also set between retries, see facts §4.4).
    pub finished_at: Option<Timestamp>,
    /// Commits it synced to; empty until Argo CD has resolved them.
    pub revisions: Vec<String>,
    /// What it was asked to sync to: commits, branches, tags or nothing.
    #[serde(default)]
    pub requested: Vec<String>,
    /// Whether only some resources were synced (healing by Argo CD itself, a person's choice), or none: a dry run.
    pub partial: bool,
    /// Value of the info `waybill.dev/promotion`, if it carries one.
    pub promotion: Option<String>,
    /// Who started it; empty for Argo CD itself.
    pub initiated_by: String,
    /// How often Argo CD has tried it again by itself.
    #[serde(default)]
    pub retries: u32,
    /// What became of resources, as far as it matters: those that failed, and hooks that run.
    #[serde(default)]
    pub resources: Vec<ResourceOutcome>,
}

impl OperationSnapshot {
    /// Whether a hook runs now: what it does, nobody should cut off.
    #[must_use]
    pub fn hook_runs(&self) -> bool {
        (self.resources.iter()).any(|resource| !resource.hook.is_empty() && resource.phase == "Running")
    }

    /// Whether it waits for a sync window to open.
    #[must_use]
    pub fn is_at_window(&self) -> bool {
        self.phase == "Running" && self.message.to_ascii_lowercase().contains("blocked by sync window")
    }
}

/// What became of one resource in an operation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ResourceOutcome {
    /// Its kind: `Deployment`, `Job`.
    pub kind: String,
    /// Its namespace; empty for what has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned`, `PruneSkipped`, or empty for hooks.
    pub status: String,
    /// `PreSync`, `Sync`, `PostSync`, `SyncFail`; empty for what is no hook.
    pub hook: String,
    /// `Running`, `Succeeded`, `Failed`, `Error`.
    pub phase: String,
    /// What was said of it.
    pub message: String,
}

impl ResourceOutcome {
    /// Whether it failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.status == "SyncFailed" || matches!(self.phase.as_str(), "Failed" | "Error")
    }
}

/// Health of an Application, or of one object of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, IntoStaticStr)]
pub enum Health {
    /// All is as it should be.
    Healthy,
    /// On its way.
    Progressing,
    /// Broken.
    Degraded,
    /// Paused.
    Suspended,
    /// Not there.
    Missing,
    /// Argo CD can't tell, or hasn't said.
    #[default]
    Unknown,
}

impl Health {
    /// Argo CD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
