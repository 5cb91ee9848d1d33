//! What an Application consists of: tree, managed resources, manifests, windows, revisions.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{
    Answer, Params, World,
    auth::{Caller, find_app},
    error::ApiError,
    ok,
};
use crate::{
    app::Application,
    clock, engine,
    manifest::Deployment,
    select::Fields,
    world::{AppKey, Shared},
};

fn readable(shared: &Shared, caller: &Caller, params: &Params, name: &str) -> Result<(AppKey, Application), ApiError> {
    find_app(
        shared,
        caller,
        "get",
        params.projects().first().copied(),
        params.text("appNamespace"),
        name,
    )
}

/// Tree and diffs are made by the controller; while it cannot, its condition is all there is.
fn refuse_broken(app: &Application) -> Result<(), ApiError> {
    let broken = app
        .status
        .conditions
        .iter()
        .find(|c| c.kind == "ComparisonError" || c.kind == "InvalidSpecError");
    broken.map_or(Ok(()), |condition| {
        Err(ApiError::unknown(format!("{}: {}", condition.kind, condition.message)))
    })
}

pub(super) async fn sync_windows(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
) -> Answer {
    let (key, _) = readable(&shared, &caller, &params, &name)?;
    if shared.read(&key, |record| record.faults.window_denies) != Some(true) {
        return ok(&json!({"canSync": true}));
    }
    let windows = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": false}]);
    ok(&json!({"activeWindows": windows, "assignedWindows": windows, "canSync": false}))
}

pub(super) async fn tree(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let (key, app) = readable(&shared, &caller, &params, &name)?;
    refuse_broken(&app)?;
    let nodes = shared.read(&key, |record| record.cluster.tree()).unwrap_or_default();
    ok(&json!({"nodes": nodes, "shardsCount": 1}))
}

pub(super) async fn managed(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    let (key, app) = readable(&shared, &caller, &params, &name)?;
    refuse_broken(&app)?;
    let items = shared.read(&key, |record| {
        let wanted: &[Deployment] = match &record.target {
            Some(target) => target.manifests.as_deref().unwrap_or_default(),
            None => &[],
        };
        let live = &record.cluster.deployments;
        let mut names: Vec<&str> = wanted
            .iter()
            .map(Deployment::name)
            .chain(live.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        let items = names.into_iter().map(|name| {
            let target = wanted.iter().find(|deployment| deployment.name() == name);
            diff(name, target, live.get(name))
        });
        items.collect::<Vec<Value>>()
    });
    let matches = |item: &Value| {
        ["namespace", "name", "group", "kind"].into_iter().all(|key| {
            params
                .get(key)
                .is_none_or(|asked| asked.is_empty() || item[key] == json!(asked))
        })
    };
    let items: Vec<Value> = items.unwrap_or_default().into_iter().filter(matches).collect();
    let answer = json!({"items": items});
    ok(&Fields::parse(params.text("fields")).map_or(answer.clone(), |fields| fields.filter(&answer)))
}

fn diff(name: &str, target: Option<&Deployment>, live: Option<&crate::cluster::Live>) -> Value {
    let text = |deployment: Option<&Deployment>| deployment.map_or_else(|| "null".to_owned(), |d| d.0.to_string());
    let now = live.map(|live| &live.deployment);
    let namespace = target.or(now).map(Deployment::namespace).unwrap_or_default();
    json!({
        "group": "apps", "kind": "Deployment", "namespace": namespace, "name": name,
        "targetState": text(target), "liveState": text(now),
        "normalizedLiveState": text(now), "predictedLiveState": text(target),
        "resourceVersion": live.map_or_else(String::new, |live| live.rollout.to_string()),
        "modified": target != now,
    })
}

pub(super) async fn manifests(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
) -> Answer {
    let (_, app) = readable(&shared, &caller, &params, &name)?;
    let mut sources = app.spec.effective_sources();
    if let (Some(revision), [source]) = (
        params.get("revision").filter(|revision| !revision.is_empty()),
        sources.as_mut_slice(),
    ) {
        revision.clone_into(&mut source.target_revision);
    }
    let manifests = engine::load_target(&shared, &app, &sources)
        .await
        .manifests
        .map_err(ApiError::unknown)?;
    let manifests: Vec<String> = manifests.iter().map(|deployment| deployment.0.to_string()).collect();
    ok(&json!({"manifests": manifests}))
}

pub(super) async fn events(State(shared): World, caller: Caller, params: Params, Path(name): Path<String>) -> Answer {
    readable(&shared, &caller, &params, &name)?;
    ok(&json!({"metadata": {}, "items": []}))
}

pub(super) async fn revision(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path((name, revision)): Path<(String, String)>,
) -> Answer {
    let (_, app) = readable(&shared, &caller, &params, &name)?;
    let sources = app.spec.effective_sources();
    let index = params
        .get("sourceIndex")
        .and_then(|index| index.parse::<usize>().ok())
        .unwrap_or(0);
    let source = sources
        .get(index)
        .ok_or_else(|| ApiError::invalid("source index is out of range"))?;
    let failed = |error: crate::git::GitError| ApiError::unknown(format!("error getting revision metadata: {error}"));
    let sha = shared
        .repos
        .resolve(&source.repo_url, &revision)
        .await
        .map_err(failed)?;
    let commit = shared.repos.describe(&source.repo_url, &sha).await.map_err(failed)?;
    let mut answer = json!({
        "author": commit.author, "date": clock::from_unix(commit.seconds), "message": commit.message.trim_end(),
    });
    if !commit.tags.is_empty() {
        answer["tags"] = json!(commit.tags);
    }
    ok(&answer)
}
