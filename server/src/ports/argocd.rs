//! The Argo CDs: what an Application runs, asking for a refresh or a sync, and following changes. What is reported is
//! [`domain::plan::AppSnapshot`]; what to do about it is decided there, without I/O.

use async_trait::async_trait;
use domain::{
    plan::{AppSnapshot, LogLine, Patient, PodEvent, Workload, WorkloadName},
    time::Timestamp,
};
use futures::stream::BoxStream;
use secrecy::SecretString;

/// An Argo CD and how to reach it.
#[derive(Clone, Debug)]
pub struct ArgoCdAccess {
    /// Base address, with the path prefix if it is served under one: `https://argocd.example.com/argo-cd`.
    pub url: String,
    /// A token of an account or a project role.
    pub token: SecretString,
    /// Certificates to trust, PEM, beside the system's.
    pub ca: Option<String>,
}

/// Which Application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppRef {
    /// Its name.
    pub name: String,
    /// Its Argo CD project, where known; with it a missing app is told from a forbidden one.
    pub project: Option<String>,
    /// Its namespace, where it isn't Argo CD's own.
    pub namespace: Option<String>,
}

/// A sync to be started.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The commit to sync to; `None` for the target revision's head.
    pub revision: Option<String>,
    /// What alone is to be synced; empty for the whole Application.
    pub only: Vec<WorkloadName>,
    /// Identity of the operation: becomes the operation's info `waybill.dev/promotion`.
    pub promotion: String,
}

/// What may go wrong with Argo CD. Every text is safe to show and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ArgoCdError {
    /// It could not be reached, or a proxy before it failed.
    #[error(
        "Argo CD could not be reached at {url}: {reason}. Check the cluster's Argo CD address; Waybill tries again."
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// What was seen.
        reason: String,
    },
    /// It refused the token.
    #[error("Argo CD at {url} refused the token: {reason}. Give the cluster a valid token.")]
    Unauthorized {
        /// Its address.
        url: String,
        /// What it said.
        reason: String,
    },
    /// The token lacks a right, or (without the Argo CD project's name) the Application is missing.
    #[error(
        "Argo CD refused access to application {app}: {reason}. Check that it exists and that the token may get and sync it."
    )]
    Forbidden {
        /// The Application.
        app: String,
        /// What it said.
        reason: String,
    },
    /// There is no such Application.
    #[error("Argo CD has no application {app}. Create it, or correct the cluster's application name template.")]
    NotFound {
        /// The Application.
        app: String,
    },
    /// An operation is running already: wait for its end.
    #[error("Argo CD is busy with another operation on {app}.")]
    Busy {
        /// The Application.
        app: String,
    },
    /// A sync window forbids syncing now.
    #[error("A sync window of Argo CD blocks {app} now. It goes on when the window allows it.")]
    SyncWindow {
        /// The Application.
        app: String,
    },
    /// It has a trouble of its own that may pass: its repository server is down, two writers met.
    #[error("Argo CD could not answer for {app} now: {reason}. Waybill tries again.")]
    Unavailable {
        /// The Application.
        app: String,
        /// What it said.
        reason: String,
    },
    /// It refused the request for another reason.
    #[error("Argo CD refused the request for {app}: {reason}.")]
    Refused {
        /// The Application.
        app: String,
        /// What it said.
        reason: String,
    },
    /// It answered something unexpected.
    #[error("Argo CD at {url} gave an answer that Waybill does not understand: {reason}.")]
    Protocol {
        /// Its address.
        url: String,
        /// What was odd.
        reason: String,
    },
}

impl ArgoCdError {
    /// Whether the same request may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Busy { .. }
                | Self::SyncWindow { .. }
                | Self::Unavailable { .. }
                | Self::Protocol { .. }
        )
    }

    /// Whether an Application that was read isn't there, as far as Waybill may see.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Forbidden { .. })
    }
}

/// What Argo CD's stream reported.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// It was accepted, and is about to name the Applications that there are. It may be refused all the same.
    Begun,
    /// The Application as it is now (first seen, or changed).
    Changed(Box<AppSnapshot>),
    /// The Application is gone; as it was last, with the version of its end.
    Deleted(Box<AppSnapshot>),
}

/// What an Argo CD tells of itself. A managed one may keep either to itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Checked {
    /// Its version.
    pub version: Option<String>,
    /// Whether it said that the token is valid; where it said that it isn't, that is an error.
    pub says_valid: bool,
}

/// An Application as it is set up, for who wants to know whether promotions can go through it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Inspected {
    /// As it is now.
    pub app: AppSnapshot,
    /// Whether the token may sync it; `None` when Argo CD didn't say.
    pub may_sync: Option<bool>,
}

/// The workloads of an Application.
#[derive(Clone, Debug, PartialEq)]
pub enum Workloads {
    /// These, and whatever else of it is ill.
    Read(Vec<Workload>),
    /// They can't be read, and that won't pass by itself: why, safe to show.
    Withheld(String),
}

/// How an Application is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// As it is.
    No,
    /// After Argo CD has looked at Git again; may take seconds.
    Normal,
}

/// Argo CD.
#[async_trait]
pub trait ArgoCd: Send + Sync {
    /// The Application now.
    async fn app(&self, access: &ArgoCdAccess, app: &AppRef, refresh: Refresh) -> Result<AppSnapshot, ArgoCdError>;

    /// Its workloads with their manifests and pods: two reads, each of at most 32 MiB. Argo CD answers them from its cache, and takes longer where
    /// it has to fill that first.
    async fn workloads(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Workloads, ArgoCdError>;

    /// What the cluster said of a pod of it last, newest first; a few.
    async fn events(&self, access: &ArgoCdAccess, app: &AppRef, pod: &Patient) -> Result<Vec<PodEvent>, ArgoCdError>;

    /// The newest lines of a pod's log, oldest first: 50 lines and 16 KiB at most. `container` where it has several. It needs the right
    /// `logs, get`.
    async fn logs(
        &self,
        access: &ArgoCdAccess,
        app: &AppRef,
        pod: &str,
        container: Option<&str>,
    ) -> Result<Vec<LogLine>, ArgoCdError>;

    /// Starts a sync.
    async fn sync(&self, access: &ArgoCdAccess, app: &AppRef, request: &SyncRequest) -> Result<(), ArgoCdError>;

    /// Ends the operation that runs; nothing happens when none does.
    async fn end_operation(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<(), ArgoCdError>;

    /// Whether the Application's sync windows let a sync through now, and if not, from when on, as far as the token may know. `project` is the
    /// Application's Argo CD project.
    async fn window(
        &self,
        access: &ArgoCdAccess,
        app: &AppRef,
        project: &str,
        now: Timestamp,
    ) -> Result<Window, ArgoCdError>;

    /// Follows every Application the token may see: first each as it is, then each change. Ends with an error or `None` when the
    /// connection does, also when it has been silent for longer than a living server would be; the caller connects anew.
    fn watch(&self, access: &ArgoCdAccess) -> BoxStream<'static, Result<WatchEvent, ArgoCdError>>;

    /// Checks address and token.
    async fn check(&self, access: &ArgoCdAccess) -> Result<Checked, ArgoCdError>;

    /// How the Application is set up, and what the token may do with it.
    async fn inspect(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Inspected, ArgoCdError>;
}

/// Whether a sync is let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// It is.
    Open,
    /// It isn't.
    Closed {
        /// When it will be; `None` where that can't be told.
        opens_at: Option<Timestamp>,
    },
}
