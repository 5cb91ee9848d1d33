//! A stand-in for Argo CD: its REST API over real Git repositories and a scripted cluster.
//!
//! A test or the demo starts a [`Standin`], adds Applications, and talks to its [`url`](Standin::url) as to Argo CD. Each
//! Application has the two loops of the real controller, which know nothing of each other: one compares Git with the
//! cluster and writes `status.sync` and `status.health` (`engine::refresh`), one carries out operations
//! (`engine::operate`). So everything that makes a real Argo CD hard to read can be seen here: health that is still that
//! of the old revision after a sync has succeeded, a refresh that looked before the push, an operation that somebody else
//! replaced, timestamps of whole seconds. What else can go wrong is a [`Fault`].
//!
//! Rooms: `app` has the wire shapes, `world` the state and its one lock, `engine` the loops, `git` and
//! `manifest` turn a commit into Kubernetes objects, `cluster` runs them, `http` is the API server, `faults` the knobs,
//! `state` the memory over restarts.
//!
//! # What an Application renders
//!
//! * Each service of its values file becomes a workload ([`AppSpec::values_file`]): a Deployment, or what its `kind` says
//!   (`StatefulSet`, `DaemonSet`, `Rollout`, `CronJob`, `Job`). A service that names its kind may have `sidecars` and
//!   `initContainers`.
//! * YAML files under `<path>/templates` are objects as they stand; they may name values
//!   (`image: "{{ .Values.services.web.image.repository }}:{{ .Values.services.web.image.tag }}"`). A file with any other
//!   expression is left out.
//! * An [`AppSpec`] without a values file is a plain directory: all YAML files of its path.
//!
//! What happens in the cluster beside that is a [`ClusterChange`]: evicted pods, runs of CronJobs, containers that do not
//! start, neighbours that Git does not know.
//!
//! Not here: hydrators, ApplicationSets, Helm or Kustomize themselves (a values file stands for the chart), TLS, gzip, and
//! the stream of resource trees.

use crate::{
    app::{Application, Destination, Metadata, Source, Spec, VALUES_PREFIX},
    faults::FaultRequest,
    world::{AppKey, Level, Shared},
};
pub use crate::{
    cluster::{change::ClusterChange, live::JobOutcome},
    faults::{Fault, FaultError, RolloutOutcome},
    options::{Account, AppSpec, Options, Policy, Timing, TokenGrant, token_for},
    windows::{SyncWindow, WindowKind},
};
use serde_json::{Value, json};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};

mod app;

mod clock;

mod cluster;

mod duration;

mod engine;

mod faults;

mod git;

mod http;

mod manifest;

mod options;

mod patch;

mod select;

mod state;

mod windows;

mod world;

/// How long a shutdown waits for requests that are still being answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// The stand-in could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken or not allowed.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// No directory for the mirrors of remote repositories.
    #[error("cannot make a temporary directory for Git mirrors: {0}")]
    Mirrors(#[source] std::io::Error),
    /// The state file is there and cannot be used.
    #[error("cannot read the state file {file}: {source}; repair or remove it")]
    State {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
}

/// A running stand-in. Stops when it is dropped.
#[derive(Debug)]
pub struct Standin {
    shared: Arc<Shared>,
    url: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Standin {
    /// Binds 127.0.0.1 and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When the port cannot be bound or the state file is broken.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen {
            port: options.port,
            source,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .await
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let repos = git::Repos::new().map_err(StartError::Mirrors)?;
        let shared = Arc::new(Shared::new(&options, repos, tokio::runtime::Handle::current()));
        let mut tasks = Vec::new();
        if let Some(file) = options.state_file {
            state::load(&shared, &file).map_err(|source| StartError::State {
                file: file.clone(),
                source,
            })?;
            tasks.push(tokio::spawn(state::keep(Arc::clone(&shared), file)));
        }
        let router = http::router(Arc::clone(&shared));
        let stop = shared.stop.clone();
        tasks.push(tokio::spawn(async move {
            let served = axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::warn!(%error, "the Argo CD stand-in stopped serving");
            }
        }));
        Ok(Self {
            shared,
            url: format!("http://{address}"),
            tasks,
        })
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the loops, ends the streams, saves the state, and waits for it.
    pub async fn shutdown(mut self) {
        self.shared.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            let abort = task.abort_handle();
            if tokio::time::timeout(PATIENCE, task).await.is_err() {
                abort.abort();
            }
        }
    }

    /// Adds an Application, or gives an existing one this spec and keeps its status. Its project is created if need be.
    pub fn upsert_app(&self, spec: AppSpec) {
        let key = AppKey::new(&spec.namespace, &spec.name);
        let prune = spec.prune;
        let wanted = application(spec);
        self.add_project(wanted.project());
        let exists = self.shared.write(&key, |record| {
            let policy = record.app.spec.sync_policy.take();
            record.app.spec = Spec {
                sync_policy: policy,
                ..wanted.spec.clone()
            };
            let automated = wanted.spec.automated().is_some();
            faults::set_automated(&mut record.app.spec.sync_policy, automated);
            set_prune(&mut record.app.spec.sync_policy, prune);
            let annotations = &mut record.app.metadata.annotations;
            annotations.remove(VALUES_PREFIX);
            annotations.extend(wanted.metadata.annotations.clone());
            record.queues.request_refresh(Level::Force);
        });
        if exists.is_none() {
            self.shared.create(wanted, cluster::Cluster::default());
        }
    }

    /// Takes an Application out at once. False when there is none of this name.
    pub fn remove_app(&self, name: &str) -> bool {
        let key = self.key(name);
        key.is_some_and(|key| {
            self.shared.remove(&key);
            true
        })
    }

    /// Adds an Argo CD project.
    pub fn add_project(&self, name: &str) {
        self.shared.world().projects.insert(name.to_owned());
        self.shared.dirty.notify_one();
    }

    /// Gives an Argo CD project these sync windows, in place of those it had. They open and close by the clock of the
    /// stand-in ([`Self::advance_clock`]).
    pub fn set_windows(&self, project: &str, windows: Vec<SyncWindow>) {
        let mut world = self.shared.world();
        world.projects.insert(project.to_owned());
        world.windows.insert(project.to_owned(), windows);
    }

    /// Adds a token, or changes what an existing one may do.
    pub fn grant(&self, grant: TokenGrant) {
        let known = world::Grant::from_options(&grant, &self.shared.clock);
        self.shared.world().grants.insert(grant.token, known);
    }

    /// Revokes a token: calls with it are 401 from now on.
    pub fn revoke(&self, token: &str) {
        self.shared.world().grants.remove(token);
    }

    /// Makes something go wrong, for one Application (`name` or `namespace/name`) or, with `None`, for all that exist.
    /// Faults of the server itself take no notice of `app`.
    ///
    /// # Errors
    /// When no Application has that name, or it has no such Deployment.
    pub fn inject(&self, app: Option<&str>, fault: Fault) -> Result<(), FaultError> {
        faults::inject(
            &self.shared,
            FaultRequest {
                app: app.map(str::to_owned),
                fault,
            },
        )
    }

    /// Makes something happen in the cluster of an Application (`name` or `namespace/name`): an evicted pod, a run of a
    /// CronJob, a container that does not start. The same as `POST /standin/cluster`.
    ///
    /// # Errors
    /// When no Application has that name, or its cluster has no such object.
    pub fn in_cluster(&self, app: &str, change: ClusterChange) -> Result<(), FaultError> {
        faults::change_cluster(&self.shared, app, &change)
    }

    /// Changes the pace from now on. What waits already, waits as long as it meant to.
    pub fn set_timing(&self, timing: Timing) {
        self.shared.world().timing = timing;
    }

    /// Moves the clock of the stand-in forward, by whole seconds: timestamps, sync windows and the expiry of tokens follow.
    /// The pace stays what it is ([`Timing`] is real time).
    pub fn advance_clock(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// The Application object (`name` or `namespace/name`), as `GET` would answer it.
    pub fn app(&self, name: &str) -> Option<Value> {
        let key = self.key(name)?;
        self.shared.read(&key, |record| json!(record.app))
    }

    /// Images of all pods of an Application, whatever their phase, sorted. Unlike `status.summary.images` this is never stale.
    pub fn live_images(&self, name: &str) -> Vec<String> {
        let images = self
            .key(name)
            .and_then(|key| self.shared.read(&key, |record| record.cluster.images()));
        images.unwrap_or_default()
    }

    /// The requests so far, oldest first, as `GET /api/version`; with their query, without the calls to `/standin`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.world().requests.iter().cloned().collect()
    }

    /// The same as `GET /standin/state`.
    pub fn state(&self) -> Value {
        http::state_of(&self.shared)
    }

    fn key(&self, name: &str) -> Option<AppKey> {
        self.shared.world().apps.keys().find(|key| key.is(name)).cloned()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// Whether an automatic sync removes what Git has no more.
fn set_prune(policy: &mut Option<app::SyncPolicy>, prune: bool) {
    if let Some(automated) = policy.as_mut().and_then(|policy| policy.automated.as_mut()) {
        automated.prune = prune;
    }
}

fn application(spec: AppSpec) -> Application {
    let mut rest = serde_json::Map::new();
    if !spec.values_file.is_empty() {
        let file = format!("/{}", spec.values_file.trim_start_matches('/'));
        rest.insert("helm".to_owned(), json!({"valueFiles": [file]}));
    }
    let mut annotations = spec.annotations;
    annotations.extend(spec.values_prefix.map(|prefix| (VALUES_PREFIX.to_owned(), prefix)));
    let mut policy = None;
    if spec.automated {
        faults::set_automated(&mut policy, true);
        set_prune(&mut policy, spec.prune);
    }
    Application {
        metadata: Metadata {
            name: spec.name,
            namespace: spec.namespace,
            annotations,
            ..Metadata::default()
        },
        spec: Spec {
            source: Some(Source {
                repo_url: spec.repo_url,
                path: spec.path,
                target_revision: spec.target_revision,
                rest,
                ..Source::default()
            }),
            destination: Destination {
                server: spec.destination_server,
                namespace: spec.destination_namespace,
                ..Destination::default()
            },
            project: spec.project,
            sync_policy: policy,
            ..Spec::default()
        },
        ..Application::default()
    }
}
