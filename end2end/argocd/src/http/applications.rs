//! Listing, reading and changing Applications.

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{
    Answer, Params, World,
    auth::{Caller, find_app, project_refusal},
    body,
    error::ApiError,
    ok,
    resources::repo_server,
};
use crate::{
    app::{Application, FINALIZER, HYDRATE, Metadata, REFRESH, Spec, Status},
    engine,
    patch::{json_patch, merge},
    select::{Fields, Selector},
    world::{AppKey, EventKind, Level, SERVER_NAMESPACE, Shared},
};

/// Which Applications a list or a stream is about.
pub(super) struct Filter {
    name: String,
    namespace: String,
    projects: Vec<String>,
    selector: Selector,
    repo: String,
}

impl Filter {
    pub(super) fn new(params: &Params) -> Result<Self, ApiError> {
        Ok(Self {
            name: params.text("name").to_owned(),
            namespace: params.text("appNamespace").to_owned(),
            projects: params.projects().into_iter().map(str::to_owned).collect(),
            selector: Selector::parse(params.text("selector"))
                .map_err(|error| ApiError::unknown(format!("error parsing the selector: {error}")))?,
            repo: params.text("repo").to_owned(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// For lists: everything filters, and a name without a namespace means all that bear it.
    fn lists(&self, shared: &Shared, caller: &Caller, app: &Application) -> bool {
        let sources = app.spec.effective_sources();
        (self.name.is_empty() || self.name == app.metadata.name)
            && (self.namespace.is_empty() || self.namespace == app.metadata.namespace)
            && (self.repo.is_empty() || sources.iter().any(|source| source.repo_url == self.repo))
            && self.shows(shared, caller, app)
    }

    /// For streams: the namespace counts only together with a name, and is that of the server when none is given.
    pub(super) fn watches(&self, shared: &Shared, caller: &Caller, app: &Application) -> bool {
        let namespace = if self.namespace.is_empty() {
            SERVER_NAMESPACE
        } else {
            &self.namespace
        };
        let named = self.name.is_empty() || (self.name == app.metadata.name && namespace == app.metadata.namespace);
        named && self.shows(shared, caller, app)
    }

    fn shows(&self, shared: &Shared, caller: &Caller, app: &Application) -> bool {
        (self.projects.is_empty() || self.projects.iter().any(|project| project == app.project()))
            && self.selector.matches(&app.metadata.labels)
            && shared.namespaces.contains(&app.metadata.namespace)
            && caller.can("applications", "get", &app.rbac_name(SERVER_NAMESPACE))
    }
}

pub(super) async fn list(State(shared): World, caller: Caller, params: Params) -> Answer {
    let filter = Filter::new(&params)?;
    let fields = Fields::parse(params.text("fields"));
    let (version, apps) = {
        let world = shared.world();
        let apps: Vec<Application> = world.apps.values().map(|record| record.app.clone()).collect();
        (world.version.to_string(), apps)
    };
    let visible = apps.iter().filter(|app| filter.lists(&shared, &caller, app));
    let items: Vec<Value> = visible
        .map(|app| fields.as_ref().map_or_else(|| json!(app), |f| f.list_item(app)))
        .collect();
    let items = if items.is_empty() {
        Value::Null
    } else {
        Value::Array(items)
    };
    ok(&json!({"metadata": {"resourceVersion": version}, "items": items}))
}

pub(super) async fn get(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let projects = params.projects();
    if projects.len() > 1 {
        return Err(ApiError::invalid(
            "multiple projects specified - the get endpoint accepts either zero or one project",
        ));
    }
    let project = projects.first().copied();
    let (key, app) = find_app(&shared, &caller, "get", project, params.text("appNamespace"), &name)?;
    match params.get("refresh") {
        None => ok(&app),
        Some(kind) => ok(&refresh(&shared, &key, kind).await?),
    }
}

/// Asks for a refresh and waits until one has removed the annotation again. There is no time limit.
pub(super) async fn refresh(shared: &Shared, key: &AppKey, kind: &str) -> Result<Application, ApiError> {
    let mut events = shared.events.subscribe();
    let kind = if kind == "hard" { "hard" } else { "normal" };
    let asked = shared.write(key, |record| {
        let annotations = &mut record.app.metadata.annotations;
        annotations.insert(REFRESH.to_owned(), kind.to_owned());
        annotations.insert(HYDRATE.to_owned(), "normal".to_owned());
    });
    asked.ok_or_else(|| ApiError::app_not_found(&key.name))?;
    shared.request_refresh(key, Level::Force);
    loop {
        let event = tokio::select! {
            () = shared.stop.cancelled() => return Err(ApiError::unknown("application refresh deadline exceeded")),
            event = events.recv() => event,
        };
        let now = match event {
            Ok(event) if AppKey::new(&event.app.metadata.namespace, &event.app.metadata.name) != *key => continue,
            Ok(event) if event.kind == EventKind::Deleted => return Err(ApiError::app_not_found(&key.name)),
            Ok(event) => (*event.app).clone(),
            Err(RecvError::Lagged(_)) => shared
                .read(key, |record| record.app.clone())
                .ok_or_else(|| ApiError::app_not_found(&key.name))?,
            Err(RecvError::Closed) => return Err(ApiError::unknown("application refresh deadline exceeded")),
        };
        if !now.metadata.annotations.contains_key(REFRESH) {
            return Ok(now);
        }
    }
}

pub(super) async fn create(State(shared): World, caller: Caller, params: Params, bytes: Bytes) -> Answer {
    let asked: Application = body(&bytes)?;
    let name = asked.metadata.name.clone();
    if name.is_empty() {
        return Err(ApiError::invalid("application name is required"));
    }
    caller.enforce("applications", "create", &asked.rbac_name(SERVER_NAMESPACE))?;
    let key = AppKey::new(&asked.metadata.namespace, &name);
    if !shared.namespaces.contains(&key.namespace) {
        return Err(ApiError::unknown(format!(
            "namespace '{}' is not permitted",
            key.namespace
        )));
    }
    validate(&shared, &asked, params.flag("validate") != Some(false)).await?;
    let asked = Application {
        metadata: Metadata {
            name,
            namespace: key.namespace.clone(),
            labels: asked.metadata.labels,
            annotations: asked.metadata.annotations,
            finalizers: asked.metadata.finalizers,
            ..Metadata::default()
        },
        spec: asked.spec,
        status: Status::default(),
        operation: None,
    };
    let Some(existing) = shared.read(&key, |record| record.app.clone()) else {
        return ok(&shared.create(asked, crate::cluster::Cluster::default()));
    };
    let same = existing.spec == asked.spec
        && existing.metadata.labels == asked.metadata.labels
        && existing.metadata.annotations == asked.metadata.annotations
        && existing.metadata.finalizers == asked.metadata.finalizers;
    if same {
        return ok(&existing);
    }
    if params.flag("upsert") != Some(true) {
        return Err(ApiError::invalid(
            "existing application spec is different, use upsert flag to force update",
        ));
    }
    caller.enforce("applications", "update", &existing.rbac_name(SERVER_NAMESPACE))?;
    ok(&replace(&shared, &key, asked)?)
}

pub(super) async fn update(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Answer {
    let mut asked: Application = body(&bytes)?;
    asked.metadata.name.clone_from(&name);
    let project = params.projects().first().copied();
    let (key, existing) = find_app(&shared, &caller, "update", project, &asked.metadata.namespace, &name)?;
    enforce_move(&caller, &existing, &asked)?;
    validate(&shared, &asked, params.flag("validate") != Some(false)).await?;
    ok(&replace(&shared, &key, asked)?)
}

pub(super) async fn update_spec(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Answer {
    let spec: Spec = body(&bytes)?;
    let project = params.projects().first().copied();
    let (key, existing) = find_app(&shared, &caller, "update", project, params.text("appNamespace"), &name)?;
    let asked = Application {
        spec,
        ..existing.clone()
    };
    enforce_move(&caller, &existing, &asked)?;
    validate(&shared, &asked, params.flag("validate") != Some(false)).await?;
    ok(&replace(&shared, &key, asked)?.spec)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PatchRequest {
    patch: String,
    patch_type: String,
    app_namespace: String,
    project: String,
}

pub(super) async fn patch(State(shared): World, caller: Caller, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let request: PatchRequest = body(&bytes)?;
    let (key, existing) = find_app(
        &shared,
        &caller,
        "get",
        Some(&request.project),
        &request.app_namespace,
        &name,
    )?;
    caller.enforce("applications", "update", &existing.rbac_name(SERVER_NAMESPACE))?;
    let patch: Value = serde_json::from_str(&request.patch)
        .map_err(|error| ApiError::invalid(format!("error decoding the patch: {error}")))?;
    let mut object = json!(existing);
    match request.patch_type.as_str() {
        "merge" => merge(&mut object, &patch),
        "json" | "" => {
            json_patch(&mut object, &patch)
                .map_err(|error| ApiError::unknown(format!("error applying patch: {error}")))?;
        }
        other => return Err(ApiError::invalid(format!("Patch type '{other}' is not supported"))),
    }
    super::drop_nulls(&mut object);
    let asked: Application = serde_json::from_value(object).map_err(|error| ApiError::invalid(error.to_string()))?;
    enforce_move(&caller, &existing, &asked)?;
    validate(&shared, &asked, true).await?;
    ok(&replace(&shared, &key, asked)?)
}

/// Moving an Application to another project needs rights in both.
fn enforce_move(caller: &Caller, from: &Application, to: &Application) -> Result<(), ApiError> {
    if from.project() == to.project() {
        return Ok(());
    }
    let moved = crate::app::rbac_name(
        SERVER_NAMESPACE,
        to.project(),
        &from.metadata.namespace,
        &from.metadata.name,
    );
    caller.enforce("applications", "create", &moved)?;
    caller.enforce("applications", "update", &moved)
}

/// What the server checks before it stores a spec; `manifests` also asks Git.
async fn validate(shared: &Shared, app: &Application, manifests: bool) -> Result<(), ApiError> {
    let name = &app.metadata.name;
    if !shared.world().projects.contains(app.project()) {
        return Err(project_refusal(app.project()));
    }
    let destination = &app.spec.destination;
    if destination.server.is_empty() && destination.name.is_empty() {
        return Err(ApiError::invalid(format!(
            "application destination spec for {name} is invalid: Destination server missing from app spec"
        )));
    }
    let sources = app.spec.effective_sources();
    let invalid = |detail: &str| {
        ApiError::invalid(format!(
            "application spec for {name} is invalid: InvalidSpecError: {detail}"
        ))
    };
    if sources.iter().any(|source| source.repo_url.is_empty()) {
        return Err(invalid("spec.source.repoURL is required"));
    }
    if manifests {
        repo_server(shared)?;
    }
    if manifests && let Err(error) = engine::load_target(shared, app, &sources).await.manifests {
        return Err(invalid(&format!(
            "Unable to generate manifests in {}: {error}",
            sources.first().map_or("", |s| &s.path)
        )));
    }
    Ok(())
}

/// Stores the parts that clients own, and asks for the refresh that the change calls for.
fn replace(shared: &Shared, key: &AppKey, asked: Application) -> Result<Application, ApiError> {
    let changed = shared.write(key, |record| {
        let app = &mut record.app;
        let refresh = asked.metadata.annotations.contains_key(REFRESH)
            || app.spec.effective_sources() != asked.spec.effective_sources();
        app.spec = asked.spec;
        app.metadata.labels = asked.metadata.labels;
        app.metadata.annotations = asked.metadata.annotations;
        app.metadata.finalizers = asked.metadata.finalizers;
        record
            .queues
            .request_refresh(if refresh { Level::Force } else { Level::Recent });
    });
    changed.ok_or_else(|| ApiError::app_not_found(&key.name))?;
    shared
        .read(key, |record| record.app.clone())
        .ok_or_else(|| ApiError::app_not_found(&key.name))
}

pub(super) async fn delete(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let project = params.projects().first().copied();
    let (key, app) = find_app(&shared, &caller, "get", project, params.text("appNamespace"), &name)?;
    caller.enforce("applications", "delete", &app.rbac_name(SERVER_NAMESPACE))?;
    let cascade = params.flag("cascade") != Some(false);
    if !cascade && params.get("propagationPolicy").is_some() {
        return Err(ApiError::invalid(
            "cannot set propagation policy when cascading is disabled",
        ));
    }
    shared.write(&key, |record| {
        record.app.metadata.deletion_timestamp = Some(record.clock.now());
        if cascade
            && !record
                .app
                .metadata
                .finalizers
                .iter()
                .any(|finalizer| finalizer == FINALIZER)
        {
            record.app.metadata.finalizers.push(FINALIZER.to_owned());
        }
    });
    let (after, held) = (shared.timing().operation_duration, std::sync::Arc::clone(&shared));
    shared.spawn(async move {
        tokio::time::sleep(after).await;
        held.remove(&key);
    });
    ok(&json!({}))
}
