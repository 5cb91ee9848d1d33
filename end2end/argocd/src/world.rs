//! All state, behind one lock that is never held across a wait.
//!
//! Every change of an Application goes through [`Shared::write`], which gives it the next resource version and tells the
//! streams, or does neither when nothing changed (as Kubernetes does). The two queues of an Application hang off its
//! record: a refresh level, and a bell for operations.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Application, Operation},
    clock::Clock,
    cluster::Cluster,
    engine::{self, Target},
    faults::{AppFaults, ServerFaults},
    git::Repos,
    options::{Policy, Timing},
    windows::{SyncWindow, Windows},
};

/// The namespace of the server itself.
pub(crate) const SERVER_NAMESPACE: &str = "argocd";
/// Events that a slow stream may lag behind before it loses some (the number of Argo CD).
const STREAM_BUFFER: usize = 1000;
const REQUESTS_KEPT: usize = 2000;

/// What identifies an Application on one server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct AppKey {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl AppKey {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        let namespace = if namespace.is_empty() {
            SERVER_NAMESPACE
        } else {
            namespace
        };
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// Whether `name` or `namespace/name` means this one.
    pub(crate) fn is(&self, text: &str) -> bool {
        match text.split_once('/') {
            Some((namespace, name)) => namespace == self.namespace && name == self.name,
            None => text == self.name,
        }
    }
}

/// How much a refresh looks at. A request never lowers what is already asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Only which pods there are.
    Tree,
    /// Compare with the revision that is known.
    Recent,
    /// Resolve the target again.
    Latest,
    /// Resolve the target again, past every cache.
    Force,
}

/// Where the two loops of an Application get their work from.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    level: Mutex<Option<Level>>,
    refresh: Notify,
    /// Rings when `.operation` may have work.
    pub(crate) operate: Notify,
    /// Rings when a running operation shall look up: terminated, replaced, or its window has opened.
    pub(crate) interrupt: Notify,
    pub(crate) gone: CancellationToken,
}

impl Queues {
    pub(crate) fn request_refresh(&self, level: Level) {
        let mut pending = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        *pending = (*pending).max(Some(level));
        self.refresh.notify_one();
    }

    pub(crate) async fn next_refresh(&self) -> Level {
        loop {
            if let Some(level) = self.level.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return level;
            }
            self.refresh.notified().await;
        }
    }
}

/// An Application with all that belongs to it.
pub(crate) struct Record {
    pub(crate) app: Application,
    pub(crate) cluster: Cluster,
    /// The cluster as the last refresh saw it: what tree, managed resources and summary are made of.
    pub(crate) seen: Option<Cluster>,
    pub(crate) faults: AppFaults,
    /// What the last comparison found in Git.
    pub(crate) target: Option<Target>,
    /// Grows with each operation, so that a running one notices when it is replaced.
    pub(crate) operation_serial: u64,
    pub(crate) queues: Arc<Queues>,
    pub(crate) clock: Clock,
    /// The cluster that `cluster` is: address and name.
    pub(crate) cluster_at: (String, String),
}

impl Record {
    /// Another destination is another cluster, with nothing in it; what runs in the old one is nobody's any more.
    pub(crate) fn follow_destination(&mut self) {
        let destination = &self.app.spec.destination;
        let now = (destination.server.clone(), destination.name.clone());
        if now != self.cluster_at {
            self.cluster_at = now;
            self.cluster = self.cluster.empty();
        }
    }

    /// Takes note of the cluster as it is now.
    pub(crate) fn see_cluster(&mut self) {
        if self.seen.as_ref() != Some(&self.cluster) {
            self.seen = Some(self.cluster.clone());
        }
        self.app.status.summary.images = self.cluster.images();
    }

    /// Writes `.operation` as the API server does: with the old `operationState` cleared in the same write.
    pub(crate) fn start_operation(&mut self, operation: Operation) {
        self.app.operation = Some(operation);
        self.app.status.operation_state = None;
        self.operation_serial += 1;
        self.queues.operate.notify_one();
        self.queues.interrupt.notify_one();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One event of the watch.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) app: Arc<Application>,
}

pub(crate) struct World {
    pub(crate) apps: BTreeMap<AppKey, Record>,
    pub(crate) version: u64,
    pub(crate) projects: BTreeSet<String>,
    /// Sync windows, by project.
    pub(crate) windows: BTreeMap<String, Vec<SyncWindow>>,
    pub(crate) faults: ServerFaults,
    pub(crate) timing: Timing,
    pub(crate) requests: VecDeque<String>,
    pub(crate) grants: HashMap<String, Grant>,
}

/// Who a token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) subject: String,
    pub(crate) policies: Vec<Policy>,
    pub(crate) issued_at: Option<String>,
    /// Unix seconds; never when absent.
    pub(crate) expires_at: Option<i64>,
}

impl Grant {
    /// A grant of the options, from this moment on.
    pub(crate) fn from_options(grant: &crate::TokenGrant, clock: &Clock) -> Self {
        let lifetime = grant
            .lifetime
            .map(|lifetime| i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        Self {
            subject: grant.subject.clone(),
            policies: grant.policies.clone(),
            issued_at: crate::http::auth::issued_at(&grant.token),
            expires_at: lifetime.map(|lifetime| clock.unix().saturating_add(lifetime)),
        }
    }

    pub(crate) fn has_expired(&self, clock: &Clock) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= clock.unix())
    }
}

pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) repos: Repos,
    cuts: watch::Sender<Cut>,
    pub(crate) stream_wake: Notify,
    pub(crate) dirty: Notify,
    pub(crate) stop: CancellationToken,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) accounts: Vec<crate::options::Account>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) clock: Clock,
    sessions: AtomicU64,
}

/// The last time all streams were cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    pub(crate) serial: u64,
    pub(crate) abrupt: bool,
}

impl Shared {
    pub(crate) fn new(options: &crate::Options, repos: Repos, runtime: tokio::runtime::Handle) -> Self {
        let clock = Clock::default();
        let grant = |grant: &crate::TokenGrant| (grant.token.clone(), Grant::from_options(grant, &clock));
        let mut namespaces = vec![SERVER_NAMESPACE.to_owned()];
        namespaces.extend(options.app_namespaces.iter().cloned());
        Self {
            world: Mutex::new(World {
                apps: BTreeMap::new(),
                version: 1000,
                projects: BTreeSet::from(["default".to_owned()]),
                windows: BTreeMap::new(),
                faults: ServerFaults::default(),
                timing: options.timing.clone(),
                requests: VecDeque::new(),
                grants: options.tokens.iter().map(grant).collect(),
            }),
            events: broadcast::Sender::new(STREAM_BUFFER),
            repos,
            cuts: watch::Sender::new(Cut::default()),
            stream_wake: Notify::new(),
            dirty: Notify::new(),
            stop: CancellationToken::new(),
            runtime,
            accounts: options.accounts.clone(),
            namespaces,
            clock,
            sessions: AtomicU64::new(1),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn timing(&self) -> Timing {
        self.world().timing.clone()
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn cut_streams(&self, abrupt: bool) {
        self.cuts.send_modify(|cut| {
            *cut = Cut {
                serial: cut.serial + 1,
                abrupt,
            }
        });
    }

    pub(crate) fn watch_cuts(&self) -> watch::Receiver<Cut> {
        self.cuts.subscribe()
    }

    pub(crate) fn note_request(&self, line: String) {
        let mut world = self.world();
        if world.requests.len() == REQUESTS_KEPT {
            world.requests.pop_front();
        }
        world.requests.push_back(line);
    }

    /// Looks at an Application.
    pub(crate) fn read<R>(&self, key: &AppKey, look: impl FnOnce(&Record) -> R) -> Option<R> {
        self.world().apps.get(key).map(look)
    }

    /// Changes an Application in one write. `None` when it is gone.
    pub(crate) fn write<R>(&self, key: &AppKey, change: impl FnOnce(&mut Record) -> R) -> Option<R> {
        let mut world = self.world();
        let World { apps, version, .. } = &mut *world;
        let record = apps.get_mut(key)?;
        let before = record.app.clone();
        let out = change(record);
        if record.app != before {
            *version += 1;
            record.app.metadata.resource_version = version.to_string();
            record.app.metadata.generation += 1;
            // Sent under the lock, so that streams see versions in order. No receiver is no fault.
            let _ = self.events.send(Event {
                kind: EventKind::Modified,
                app: Arc::new(record.app.clone()),
            });
        }
        self.dirty.notify_one();
        Some(out)
    }

    /// Whether the sync windows let an operation through, of a person or by itself. `None` when the Application is gone.
    pub(crate) fn may_sync(&self, key: &AppKey, manual: bool) -> Option<bool> {
        let world = self.world();
        let record = world.apps.get(key)?;
        let windows = world.windows.get(record.app.project()).map_or(&[][..], Vec::as_slice);
        let through = Windows::of(windows, &record.app, self.clock.moment()).let_through(manual);
        Some(through && !record.faults.window_denies)
    }

    pub(crate) fn request_refresh(&self, key: &AppKey, level: Level) {
        self.read(key, |record| record.queues.request_refresh(level));
    }

    /// Adds an Application and starts its two loops. The object must not exist yet.
    pub(crate) fn create(self: &Arc<Self>, mut app: Application, cluster: Cluster) -> Application {
        let key = AppKey::new(&app.metadata.namespace, &app.metadata.name);
        let queues = Arc::new(Queues {
            gone: self.stop.child_token(),
            ..Queues::default()
        });
        {
            let mut world = self.world();
            world.version += 1;
            app.metadata.namespace.clone_from(&key.namespace);
            app.metadata.resource_version = world.version.to_string();
            app.metadata.generation += 1;
            if app.metadata.uid.is_empty() {
                app.metadata.uid = format!("00000000-0000-4000-8000-{:012x}", world.version);
                app.metadata.creation_timestamp = self.clock.now();
            }
            let record = Record {
                app: app.clone(),
                cluster,
                seen: None,
                faults: AppFaults::default(),
                target: None,
                operation_serial: 1,
                queues: Arc::clone(&queues),
                clock: self.clock.clone(),
                cluster_at: (app.spec.destination.server.clone(), app.spec.destination.name.clone()),
            };
            world.apps.insert(key.clone(), record);
            let _ = self.events.send(Event {
                kind: EventKind::Added,
                app: Arc::new(app.clone()),
            });
        }
        self.dirty.notify_one();
        engine::start(self, &key, &queues);
        app
    }

    /// Takes an Application out and stops its loops.
    pub(crate) fn remove(&self, key: &AppKey) {
        let mut world = self.world();
        if let Some(record) = world.apps.remove(key) {
            record.queues.gone.cancel();
            let _ = self.events.send(Event {
                kind: EventKind::Deleted,
                app: Arc::new(record.app),
            });
            self.dirty.notify_one();
        }
    }

    /// Runs until it is done or the stand-in stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("stopped", &self.stop.is_cancelled())
            .finish_non_exhaustive()
    }
}
