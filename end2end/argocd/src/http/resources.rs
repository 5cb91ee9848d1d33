//! What an Application is made of, by its source: manifests, revisions, and the windows that it syncs in.

use axum::extract::{Path, State};
use serde_json::json;

use super::{
    Answer, Params, World,
    auth::{Caller, find_app},
    error::{ApiError, Code},
    ok,
};
use crate::{
    app::Application,
    clock, engine,
    windows::Windows,
    world::{AppKey, Shared},
};

/// The Application, for whoever may get it.
pub(super) fn readable(
    shared: &Shared,
    caller: &Caller,
    params: &Params,
    name: &str,
) -> Result<(AppKey, Application), ApiError> {
    find_app(
        shared,
        caller,
        "get",
        params.projects().first().copied(),
        params.text("appNamespace"),
        name,
    )
}

/// Whether the API server reaches the repo-server.
pub(super) fn repo_server(shared: &Shared) -> Result<(), ApiError> {
    if shared.world().faults.repo_server_down {
        return Err(ApiError::new(Code::Unavailable, engine::REPO_SERVER_DOWN));
    }
    Ok(())
}

pub(super) async fn sync_windows(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
) -> Answer {
    let (key, app) = readable(&shared, &caller, &params, &name)?;
    if shared.read(&key, |record| record.faults.window_denies) != Some(true) {
        let world = shared.world();
        let windows = world.windows.get(app.project()).map_or(&[][..], Vec::as_slice);
        return ok(&Windows::of(windows, &app, shared.clock.moment()).shown());
    }
    let windows = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": false}]);
    ok(&json!({"activeWindows": windows, "assignedWindows": windows, "canSync": false}))
}

pub(super) async fn manifests(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path(name): Path<String>,
) -> Answer {
    let (_, app) = readable(&shared, &caller, &params, &name)?;
    repo_server(&shared)?;
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
    let manifests: Vec<String> = manifests.iter().map(|manifest| manifest.0.to_string()).collect();
    ok(&json!({"manifests": manifests}))
}

pub(super) async fn revision(
    State(shared): World,
    caller: Caller,
    params: Params,
    Path((name, revision)): Path<(String, String)>,
) -> Answer {
    let (_, app) = readable(&shared, &caller, &params, &name)?;
    repo_server(&shared)?;
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
