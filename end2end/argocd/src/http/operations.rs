//! Starting and ending operations: sync, rollback, terminate.

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Params, World,
    auth::{Caller, find_app},
    body,
    error::{ApiError, Code},
    ok,
    resources::repo_server,
};
use crate::{
    app::{Application, Info, InitiatedBy, Operation, OperationSync, ResourceRef, Source},
    git::is_full_sha,
    world::{AppKey, SERVER_NAMESPACE, Shared},
};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SyncRequest {
    app_namespace: String,
    project: String,
    revision: String,
    revisions: Vec<String>,
    source_positions: Vec<i64>,
    dry_run: bool,
    prune: bool,
    strategy: Option<Value>,
    resources: Vec<ResourceRef>,
    sync_options: Option<SyncOptions>,
    retry_strategy: Option<Value>,
    infos: Vec<Info>,
    manifests: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SyncOptions {
    items: Vec<String>,
}

/// The order of the checks is Argo CD's, so that a client meets the same text in the same situation.
pub(super) async fn sync(State(shared): World, caller: Caller, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let request: SyncRequest = body(&bytes)?;
    let (key, app) = find_app(
        &shared,
        &caller,
        "get",
        Some(&request.project),
        &request.app_namespace,
        &name,
    )?;
    if shared.may_sync(&key, true) == Some(false) {
        return Err(ApiError::new(
            Code::PermissionDenied,
            "cannot sync: blocked by sync window",
        ));
    }
    caller.enforce("applications", "sync", &app.rbac_name(SERVER_NAMESPACE))?;
    let automated = app.spec.automated().is_some();
    if !request.manifests.is_empty() {
        caller.enforce("applications", "override", &app.rbac_name(SERVER_NAMESPACE))?;
        if automated && !request.dry_run {
            let message = "cannot use local sync when Automatic Sync Policy is enabled unless for dry run";
            return Err(ApiError::precondition(message));
        }
    }
    if app.is_deleting() {
        return Err(ApiError::precondition("application is deleting"));
    }
    let guard = automated && !request.dry_run;
    let mut sync = OperationSync {
        prune: request.prune,
        dry_run: request.dry_run,
        sync_strategy: request.strategy.clone(),
        resources: request.resources.clone(),
        sync_options: request
            .sync_options
            .as_ref()
            .map_or_else(|| app.spec.sync_options(), |options| options.items.clone()),
        ..OperationSync::default()
    };
    if app.spec.is_multi_source() {
        sync.revisions = resolve_many(&shared, &app, &request, guard).await?;
        sync.sources.clone_from(&app.spec.sources);
    } else {
        let source = app.spec.source.clone().unwrap_or_default();
        let wanted = if request.revision.is_empty() {
            source.target()
        } else {
            &request.revision
        };
        if guard && wanted != source.target() {
            let message = format!(
                "Cannot sync to {wanted}: auto-sync currently set to {}",
                source.target()
            );
            return Err(ApiError::precondition(message));
        }
        sync.revision = resolve(&shared, &source, wanted).await?;
        sync.source = Some(source);
    }
    let operation = Operation {
        sync,
        initiated_by: InitiatedBy {
            username: caller.subject().to_owned(),
            automated: false,
        },
        info: request.infos,
        retry: request
            .retry_strategy
            .or_else(|| app.spec.retry())
            .unwrap_or_else(|| json!({})),
    };
    ok(&start(&shared, &key, operation)?)
}

async fn resolve_many(
    shared: &Shared,
    app: &Application,
    request: &SyncRequest,
    guard: bool,
) -> Result<Vec<String>, ApiError> {
    let sources = &app.spec.sources;
    if request.source_positions.len() != request.revisions.len() {
        return Err(ApiError::invalid(
            "source positions and revisions must have the same length",
        ));
    }
    let mut wanted: Vec<String> = sources.iter().map(|source| source.target().to_owned()).collect();
    for (position, revision) in request.source_positions.iter().zip(&request.revisions) {
        let index = usize::try_from(*position)
            .ok()
            .and_then(|position| position.checked_sub(1));
        let Some((source, slot)) = index.and_then(|index| Some((sources.get(index)?, wanted.get_mut(index)?))) else {
            return Err(ApiError::unknown("source position is out of range"));
        };
        if guard && revision != source.target() {
            let message = format!(
                "Cannot sync source {} to {revision}: auto-sync currently set to {}",
                source.repo_url,
                source.target()
            );
            return Err(ApiError::precondition(message));
        }
        revision.clone_into(slot);
    }
    let mut revisions = Vec::new();
    for (source, wanted) in sources.iter().zip(&wanted) {
        revisions.push(resolve(shared, source, wanted).await?);
    }
    Ok(revisions)
}

async fn resolve(shared: &Shared, source: &Source, revision: &str) -> Result<String, ApiError> {
    if is_full_sha(revision) {
        return Ok(revision.to_owned());
    }
    repo_server(shared).map_err(|error| {
        let message = format!(
            "error resolving repo revision: rpc error: code = Unavailable desc = {}",
            error.message
        );
        ApiError::precondition(message)
    })?;
    let resolved = shared.repos.resolve(&source.repo_url, revision).await;
    resolved.map_err(|error| ApiError::precondition(format!("error resolving repo revision: {error}")))
}

fn start(shared: &Shared, key: &AppKey, operation: Operation) -> Result<Application, ApiError> {
    let started = shared.write(key, |record| {
        if record.app.operation.is_some() {
            return Err(ApiError::precondition("another operation is already in progress"));
        }
        record.start_operation(operation.clone());
        Ok(())
    });
    started.ok_or_else(|| ApiError::app_not_found(&key.name))??;
    // The operation loop may have moved on, but this answer is the object of the write itself.
    let mut app = shared
        .read(key, |record| record.app.clone())
        .ok_or_else(|| ApiError::app_not_found(&key.name))?;
    app.operation = Some(operation);
    app.status.operation_state = None;
    Ok(app)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RollbackRequest {
    id: u64,
    prune: bool,
    dry_run: bool,
    app_namespace: String,
    project: String,
}

pub(super) async fn rollback(State(shared): World, caller: Caller, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let request: RollbackRequest = body(&bytes)?;
    let (key, app) = find_app(
        &shared,
        &caller,
        "sync",
        Some(&request.project),
        &request.app_namespace,
        &name,
    )?;
    if app.is_deleting() {
        return Err(ApiError::precondition("application is deleting"));
    }
    if app.spec.automated().is_some() {
        return Err(ApiError::precondition(
            "rollback cannot be initiated when auto-sync is enabled",
        ));
    }
    let Some(entry) = app.status.history.iter().find(|entry| entry.id == request.id) else {
        let message = format!(
            "application {}/{name} does not have deployment with id {}",
            key.namespace, request.id
        );
        return Err(ApiError::invalid(message));
    };
    let multi = !entry.sources.is_empty();
    let operation = Operation {
        sync: OperationSync {
            revision: entry.revision.clone(),
            revisions: entry.revisions.clone(),
            prune: request.prune,
            dry_run: request.dry_run,
            sync_strategy: Some(json!({"apply": {}})),
            source: if multi { None } else { Some(entry.source.clone()) },
            sources: entry.sources.clone(),
            sync_options: app.spec.sync_options(),
            ..OperationSync::default()
        },
        initiated_by: InitiatedBy {
            username: caller.subject().to_owned(),
            automated: false,
        },
        ..Operation::default()
    };
    ok(&start(&shared, &key, operation)?)
}

pub(super) async fn terminate(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
) -> Answer {
    let project = params.projects().first().copied();
    let (key, _) = find_app(&shared, &caller, "sync", project, params.text("appNamespace"), &name)?;
    let terminated = shared.write(&key, |record| {
        match (&record.app.operation, &mut record.app.status.operation_state) {
            (Some(_), Some(state)) => {
                "Terminating".clone_into(&mut state.phase);
                record.queues.interrupt.notify_one();
                true
            }
            _ => false,
        }
    });
    if terminated == Some(true) {
        ok(&json!({}))
    } else {
        Err(ApiError::invalid(
            "Unable to terminate operation. No operation is in progress",
        ))
    }
}
