//! Everything that can be made to go wrong, by name.
//!
//! The same [`Fault`] is given to [`crate::Standin::inject`] and, as JSON, to `POST /standin/faults`:
//!
//! ```json
//! {"app": "shop-staging", "fault": "fail_apply", "message": "admission webhook denied the request", "times": 1}
//! ```
//!
//! Faults about an Application hit the named one, or all that exist when none is named. What is sticky stays until it is
//! set again or `{"fault": "clear"}`.

use crate::{
    app::{Automated, InitiatedBy, Operation, OperationSync, ResourceRef, Source, Status, SyncPolicy},
    cluster::{RolloutState, change::ClusterChange},
    engine,
    world::{AppKey, Level, Record, Shared},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// One thing that goes wrong (or right again).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Sticky: an operation waits this long before it is picked up. 0: the usual pace.
    OperationPickup {
        /// Milliseconds.
        millis: u64,
    },
    /// Applies fail with `one or more objects failed to apply, reason: <message>`.
    FailApply {
        /// The text of kubectl.
        message: String,
        /// How many attempts fail; all of them when absent.
        #[serde(default)]
        times: Option<u32>,
        /// How many further attempts the operation gets, as if it had asked for them. Between attempts the phase is
        /// `Running` with `finishedAt` set.
        #[serde(default)]
        retries: Option<u32>,
    },
    /// Sticky: an operation waits for a PreSync hook. 0: no hook.
    Hook {
        /// Milliseconds.
        millis: u64,
    },
    /// The next refreshes answer with what was known before (the race of Argo CD up to 3.5).
    DropRefreshes {
        /// How many.
        count: u32,
    },
    /// Sticky: a refresh takes this long. 0: the usual pace.
    SlowRefresh {
        /// Milliseconds.
        millis: u64,
    },
    /// Sticky: the refresh loop stands still, so that every status stays what it is. `?refresh` waits until it goes on.
    FreezeRefresh {
        /// Whether it stands still.
        on: bool,
    },
    /// Somebody else starts a sync, in place of whatever operation there is.
    ForeignOperation {
        /// Who; `admin` when absent.
        #[serde(default)]
        username: Option<String>,
        /// Revision to sync to; the target revision when absent.
        #[serde(default)]
        revision: Option<String>,
    },
    /// Argo CD heals itself: an automated operation about single resources, which leaves no history.
    SelfHeal,
    /// Sticky: manifests cannot be made. Sync becomes Unknown and the revision stays unresolved. No message: works again.
    ComparisonError {
        /// What the repo-server says.
        message: Option<String>,
    },
    /// Sticky: a sync window denies syncs.
    SyncWindow {
        /// Whether it denies.
        deny: bool,
    },
    /// The Application is being deleted (and stays so while on).
    Deleting {
        /// Whether it is.
        on: bool,
    },
    /// The Application gets `spec.sources`: the chart, and the values as a second source named `values`.
    MultiSource,
    /// The status becomes that of an Application that nobody has looked at yet. The refresh loop stands still.
    BrandNew,
    /// Sticky: how rollouts end. `healthy` also ends those that hang.
    Rollout {
        /// How.
        outcome: RolloutOutcome,
    },
    /// Sticky: how the rollouts of one workload end, and its Jobs; the others end as `Rollout` says.
    RolloutOf {
        /// Its name, or its kind and name: `Job/migrate`.
        workload: String,
        /// How.
        outcome: RolloutOutcome,
    },
    /// Somebody edits the image of a workload in the cluster.
    LiveImage {
        /// Name of the workload.
        service: String,
        /// Its new image.
        image: String,
    },
    /// All open event streams end. New ones may be opened.
    CutStreams {
        /// Break the connection in the middle of a chunk instead of ending the body.
        #[serde(default)]
        abrupt: bool,
    },
    /// Sticky: event streams say nothing, not even response headers.
    SilentStreams {
        /// Whether they are silent.
        on: bool,
    },
    /// Requests are refused with 429 and code 8, as when Kubernetes holds Argo CD back.
    RateLimited {
        /// Seconds for `Retry-After`; no such header when absent, which is Argo CD's way.
        #[serde(default)]
        retry_after: Option<u32>,
        /// How many requests; until cleared when absent.
        #[serde(default)]
        times: Option<u32>,
    },
    /// Sticky: the repo-server is down. Comparisons fail with `code = Unavailable`, operations with them, and what the API
    /// server asks it for is 503 with code 14.
    RepoServerDown {
        /// Whether it is.
        on: bool,
    },
    /// Sticky: every token has expired.
    Unauthorized {
        /// Whether they have.
        on: bool,
    },
    /// Requests fail before Argo CD sees them: 500 as its own JSON with code 2, 403 with code 7, 503 with code 14, 502 as the
    /// HTML page of a proxy; any other status as plain text. One for each path may hold at a time.
    FailRequests {
        /// The status.
        status: u16,
        /// Only requests whose path contains this.
        #[serde(default)]
        path: Option<String>,
        /// How many requests; until cleared when absent.
        #[serde(default)]
        times: Option<u32>,
    },
    /// Everything works again: for one Application when named, otherwise for all of them and for the server.
    Clear,
}

/// How a rollout ends; the run of a Job completes, fails, or goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutOutcome {
    /// New pods replace the old ones.
    #[default]
    Healthy,
    /// New pods do not start; the old ones stay.
    Degraded,
    /// It never ends.
    Never,
}

/// A fault could not be set.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// No Application has this name.
    #[error("no application is called {0:?}: add it first, or check the name")]
    NoApp(String),
    /// No workload has this name.
    #[error("application {app:?} has no live deployment {service:?}: sync it first, or check the name")]
    NoDeployment {
        /// The Application.
        app: String,
        /// The workload that was asked for.
        service: String,
    },
    /// The cluster has no such object, or it is of another kind.
    #[error("application {app:?} has no {object:?} in its cluster: sync it first, or check the name and kind")]
    NoObject {
        /// The Application.
        app: String,
        /// The object that was asked for.
        object: String,
    },
}

/// A fault with the Application it is about, as the control endpoint takes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FaultRequest {
    #[serde(default)]
    pub(crate) app: Option<String>,
    #[serde(flatten)]
    pub(crate) fault: Fault,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct AppFaults {
    pub(crate) operation_pickup: Option<Duration>,
    pub(crate) fail_apply: Option<FailApply>,
    pub(crate) hook: Option<Duration>,
    pub(crate) drop_refreshes: u32,
    pub(crate) slow_refresh: Option<Duration>,
    pub(crate) frozen: bool,
    pub(crate) comparison_error: Option<String>,
    pub(crate) window_denies: bool,
    pub(crate) rollout: RolloutOutcome,
    /// By `Kind/name`, or by name alone.
    pub(crate) rollout_of: Vec<(String, RolloutOutcome)>,
}

impl AppFaults {
    /// How the rollout of an object ends, by its id.
    pub(crate) fn outcome_of(&self, id: &str) -> RolloutOutcome {
        let mut parts = id.split('/').skip(1);
        let (kind, name) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
        let means = |text: &str| text == name || text.split_once('/') == Some((kind, name));
        let own = self.rollout_of.iter().rev().find(|(text, _)| means(text));
        own.map_or(self.rollout, |(_, outcome)| *outcome)
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct FailApply {
    pub(crate) message: String,
    pub(crate) times: Option<u32>,
    pub(crate) retries: Option<u32>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ServerFaults {
    pub(crate) silent_streams: bool,
    pub(crate) unauthorized: bool,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) repo_server_down: bool,
    pub(crate) fail_requests: Vec<FailRequests>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct RateLimit {
    pub(crate) retry_after: Option<u32>,
    pub(crate) times: Option<u32>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct FailRequests {
    pub(crate) status: u16,
    pub(crate) path: Option<String>,
    pub(crate) times: Option<u32>,
}

/// Counts one use of a fault down. False when it is used up.
pub(crate) fn use_once(times: &mut Option<u32>) -> bool {
    match times {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}

/// Sets a fault.
pub(crate) fn inject(shared: &Arc<Shared>, request: FaultRequest) -> Result<(), FaultError> {
    let FaultRequest { app, fault } = request;
    match &fault {
        Fault::CutStreams { abrupt } => shared.cut_streams(*abrupt),
        Fault::SilentStreams { on } => {
            shared.world().faults.silent_streams = *on;
            shared.stream_wake.notify_waiters();
        }
        Fault::Unauthorized { on } => shared.world().faults.unauthorized = *on,
        Fault::RateLimited { retry_after, times } => {
            shared.world().faults.rate_limit = Some(RateLimit {
                retry_after: *retry_after,
                times: *times,
            });
        }
        Fault::RepoServerDown { on } => {
            shared.world().faults.repo_server_down = *on;
            for key in keys(shared, None)? {
                shared.request_refresh(&key, Level::Latest);
            }
        }
        Fault::FailRequests { status, path, times } => {
            let mut world = shared.world();
            let all = &mut world.faults.fail_requests;
            // The newest for a path is the one that holds.
            all.retain(|fail| fail.path != *path);
            all.push(FailRequests {
                status: *status,
                path: path.clone(),
                times: *times,
            });
        }
        _ => {
            if fault == Fault::Clear && app.is_none() {
                shared.world().faults = ServerFaults::default();
                shared.stream_wake.notify_waiters();
            }
            for key in keys(shared, app.as_deref())? {
                inject_app(shared, &key, &fault)?;
            }
        }
    }
    Ok(())
}

fn keys(shared: &Shared, app: Option<&str>) -> Result<Vec<AppKey>, FaultError> {
    let world = shared.world();
    let keys: Vec<AppKey> = world
        .apps
        .keys()
        .filter(|key| app.is_none_or(|app| key.is(app)))
        .cloned()
        .collect();
    match app {
        Some(app) if keys.is_empty() => Err(FaultError::NoApp(app.to_owned())),
        _ => Ok(keys),
    }
}

fn inject_app(shared: &Arc<Shared>, key: &AppKey, fault: &Fault) -> Result<(), FaultError> {
    let millis = |millis: u64| (millis > 0).then(|| Duration::from_millis(millis));
    let mut rollouts: Vec<(String, u64)> = Vec::new();
    let mut refresh = None;
    let mut missing = None;
    shared.write(key, |record| {
        let Record {
            app,
            faults,
            cluster,
            clock,
            ..
        } = record;
        match fault.clone() {
            Fault::OperationPickup { millis: value } => faults.operation_pickup = millis(value),
            Fault::FailApply {
                message,
                times,
                retries,
            } => {
                faults.fail_apply = Some(FailApply {
                    message,
                    times,
                    retries,
                })
            }
            Fault::Hook { millis: value } => faults.hook = millis(value),
            Fault::DropRefreshes { count } => faults.drop_refreshes = count,
            Fault::SlowRefresh { millis: value } => faults.slow_refresh = millis(value),
            Fault::FreezeRefresh { on } => {
                faults.frozen = on;
                refresh = Some(Level::Latest);
            }
            Fault::ComparisonError { message } => {
                faults.comparison_error = message;
                refresh = Some(Level::Latest);
            }
            Fault::SyncWindow { deny } => faults.window_denies = deny,
            Fault::Deleting { on } => app.metadata.deletion_timestamp = on.then(|| clock.now()),
            Fault::MultiSource => {
                make_multi_source(app);
                refresh = Some(Level::Force);
            }
            Fault::BrandNew => {
                app.status = Status::default();
                record.target = None;
                faults.frozen = true;
            }
            Fault::Rollout { outcome } => {
                faults.rollout = outcome;
                rollouts = restart_hanging(cluster, outcome);
            }
            Fault::RolloutOf { workload, outcome } => {
                faults.rollout_of.retain(|(text, _)| *text != workload);
                faults.rollout_of.push((workload.clone(), outcome));
                let id = cluster.find(&workload);
                rollouts = restart_hanging(cluster, outcome);
                rollouts.retain(|(hanging, _)| Some(hanging) == id.as_ref());
            }
            Fault::LiveImage { service, image } => {
                let found = cluster.find(&service);
                let Some((id, live)) = found.and_then(|id| cluster.resources.get_key_value(&id)) else {
                    missing = Some(service);
                    return;
                };
                let (id, mut edited) = (id.clone(), live.manifest.clone());
                edited.set_image(&image);
                let applied = cluster.apply(&edited, &clock.now());
                if let Ok(Some(rollout)) = applied.map(|applied| applied.rollout) {
                    rollouts.push((id, rollout));
                }
                refresh = Some(Level::Recent);
            }
            Fault::ForeignOperation { username, revision } => {
                let username = username.unwrap_or_else(|| "admin".to_owned());
                let source = app.spec.source.clone();
                let sync = OperationSync {
                    revision: revision.unwrap_or_default(),
                    source,
                    ..OperationSync::default()
                };
                let initiated_by = InitiatedBy {
                    username,
                    automated: false,
                };
                record.start_operation(Operation {
                    sync,
                    initiated_by,
                    ..Operation::default()
                });
            }
            Fault::SelfHeal => {
                let operation = engine::partial_operation(record);
                record.start_operation(operation);
            }
            Fault::Clear => {
                *faults = AppFaults::default();
                app.metadata.deletion_timestamp = None;
                rollouts = restart_hanging(cluster, RolloutOutcome::Healthy);
                refresh = Some(Level::Latest);
            }
            Fault::CutStreams { .. }
            | Fault::SilentStreams { .. }
            | Fault::Unauthorized { .. }
            | Fault::RateLimited { .. }
            | Fault::RepoServerDown { .. }
            | Fault::FailRequests { .. } => {}
        }
    });
    if let Some(service) = missing {
        return Err(FaultError::NoDeployment {
            app: key.name.clone(),
            service,
        });
    }
    for (id, rollout) in rollouts {
        engine::follow_rollout(shared, key, id, rollout);
    }
    if let Some(level) = refresh {
        shared.request_refresh(key, level);
    }
    Ok(())
}

/// Makes something happen in the cluster of an Application.
pub(crate) fn change_cluster(shared: &Arc<Shared>, app: &str, change: &ClusterChange) -> Result<(), FaultError> {
    for key in keys(shared, Some(app))? {
        let changed = shared.write(&key, |record| {
            let (namespace, now) = (record.app.spec.destination.namespace.clone(), record.clock.now());
            record.cluster.change(change, &namespace, &now)
        });
        if let Some(Err(unknown)) = changed {
            return Err(FaultError::NoObject {
                app: key.name.clone(),
                object: unknown.0,
            });
        }
        shared.request_refresh(&key, Level::Recent);
    }
    Ok(())
}

/// Rollouts that hang and shall now go on to another end.
fn restart_hanging(cluster: &crate::cluster::Cluster, outcome: RolloutOutcome) -> Vec<(String, u64)> {
    if outcome == RolloutOutcome::Never {
        return Vec::new();
    }
    let mut hanging = cluster.hanging(RolloutState::Running);
    hanging.extend(cluster.hanging(RolloutState::Degraded));
    hanging
}

fn make_multi_source(app: &mut crate::app::Application) {
    if app.spec.is_multi_source() {
        return;
    }
    let mut chart = app.spec.source.take().unwrap_or_default();
    let values = Source {
        repo_url: chart.repo_url.clone(),
        target_revision: chart.target_revision.clone(),
        reference: "values".to_owned(),
        ..Source::default()
    };
    let files = chart
        .rest
        .get_mut("helm")
        .and_then(|helm| helm.get_mut("valueFiles"))
        .and_then(|files| files.as_array_mut());
    for file in files.into_iter().flatten() {
        if let Some(absolute) = file.as_str().and_then(|text| text.strip_prefix('/')) {
            *file = serde_json::json!(format!("$values/{absolute}"));
        }
    }
    app.spec.sources = vec![chart, values];
}

/// Switches auto-sync on or off in a spec.
pub(crate) fn set_automated(policy: &mut Option<SyncPolicy>, on: bool) {
    let policy = policy.get_or_insert_default();
    let kept = policy.automated.take().unwrap_or(Automated {
        prune: true,
        ..Automated::default()
    });
    policy.automated = on.then_some(Automated { enabled: None, ..kept });
}

/// The resources of an Application, as a partial sync names them.
pub(crate) fn resource_refs(record: &Record) -> Vec<ResourceRef> {
    let reference = |resource: &crate::app::ResourceStatus| ResourceRef {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        name: resource.name.clone(),
        namespace: resource.namespace.clone(),
    };
    let resources = record.app.status.resources.iter().filter(|resource| !resource.hook);
    resources.map(reference).collect()
}
