//! Sessions, rights, projects, and what the server says about itself.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, World,
    auth::{Caller, authenticate},
    body,
    error::{ApiError, Code, json_bytes},
    ok,
};
use crate::{
    clock,
    options::token_with,
    windows::SyncWindow,
    world::{Grant, Shared},
};

/// How long a session is good, in seconds (`users.session.duration`).
const SESSION: i64 = 24 * 3600;

/// The version that the stand-in claims to be.
const VERSION: &str = "v3.5.1+standin";

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn version(State(shared): World, headers: HeaderMap) -> Answer {
    if authenticate(&shared, &headers).is_err() {
        return ok(&json!({"Version": VERSION}));
    }
    ok(&json!({
        "Version": VERSION, "BuildDate": "2026-07-20T09:00:00Z", "GitCommit": "standin", "GitTreeState": "clean",
        "GoVersion": "go1.25.5", "Compiler": "gc", "Platform": "linux/amd64",
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    username: String,
    password: String,
}

pub(super) async fn login(State(shared): World, bytes: Bytes) -> Answer {
    let refuse = |message: &str| Err(ApiError::new(Code::Unauthenticated, message));
    let Login { username, password } = body(&bytes)?;
    if username.is_empty() && password.is_empty() {
        return refuse("no credentials supplied");
    }
    if password.is_empty() {
        return refuse("Blank passwords are not allowed");
    }
    if username.len() > 32 {
        return Err(ApiError::invalid("Username is limited to 32 bytes"));
    }
    let Some(account) = shared
        .accounts
        .iter()
        .find(|account| account.username == username && account.password == password)
    else {
        return refuse("Invalid username or password");
    };
    let (subject, issued) = (account.username.clone(), shared.clock.unix());
    let token = token_with(
        &format!("{subject}:login"),
        issued,
        &format!("session-{}", shared.next_session()),
    );
    let grant = Grant {
        subject,
        policies: account.policies.clone(),
        issued_at: clock::from_unix(issued),
        expires_at: Some(issued.saturating_add(SESSION)),
    };
    shared.world().grants.insert(token.clone(), grant);
    let cookie = format!("argocd.token={token}; path=/; SameSite=lax; httpOnly");
    Ok(([(header::SET_COOKIE, cookie)], json_bytes(&json!({"token": token}))).into_response())
}

pub(super) async fn logout() -> Answer {
    ok(&json!({}))
}

pub(super) async fn userinfo(State(shared): World, headers: HeaderMap) -> Answer {
    match authenticate(&shared, &headers) {
        Ok(caller) => ok(&json!({"loggedIn": true, "username": caller.subject(), "iss": "argocd"})),
        Err(_) => ok(&json!({})),
    }
}

pub(super) async fn can_i(caller: Caller, Path((resource, action, object)): Path<(String, String, String)>) -> Answer {
    ok(&json!({"value": if caller.can(&resource, &action, &object) { "yes" } else { "no" }}))
}

pub(super) async fn settings() -> Answer {
    ok(&json!({"url": "", "controllerNamespace": "argocd"}))
}

fn project_object(name: &str, windows: Option<&Vec<SyncWindow>>) -> Value {
    let mut object = json!({
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
        "status": {},
    });
    if let Some(windows) = windows.filter(|windows| !windows.is_empty()) {
        object["spec"]["syncWindows"] = json!(windows);
    }
    object
}

pub(super) async fn projects(State(shared): World, caller: Caller) -> Answer {
    let world = shared.world();
    let items: Vec<Value> = world
        .projects
        .iter()
        .filter(|name| caller.can("projects", "get", name))
        .map(|name| project_object(name, world.windows.get(name)))
        .collect();
    ok(&json!({"metadata": {}, "items": items}))
}

pub(super) async fn project(State(shared): World, caller: Caller, Path(name): Path<String>) -> Answer {
    caller.enforce("projects", "get", &name)?;
    if knows(&shared, &name) {
        ok(&project_object(&name, shared.world().windows.get(&name)))
    } else {
        Err(ApiError::new(
            Code::NotFound,
            format!("appprojects.argoproj.io \"{name}\" not found"),
        ))
    }
}

pub(super) async fn create_project(State(shared): World, caller: Caller, bytes: Bytes) -> Answer {
    let request: Value = body(&bytes)?;
    let name = request["project"]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if name.is_empty() {
        return Err(ApiError::invalid("project name is required"));
    }
    caller.enforce("projects", "create", &name)?;
    if knows(&shared, &name) && request["upsert"] != json!(true) {
        return Err(ApiError::invalid(
            "existing project spec is different, use upsert flag to force update",
        ));
    }
    let windows: Vec<SyncWindow> = match &request["project"]["spec"]["syncWindows"] {
        Value::Null => Vec::new(),
        windows => serde_json::from_value(windows.clone()).map_err(|error| ApiError::invalid(error.to_string()))?,
    };
    let mut world = shared.world();
    world.projects.insert(name.clone());
    world.windows.insert(name.clone(), windows);
    shared.dirty.notify_one();
    ok(&project_object(&name, world.windows.get(&name)))
}

fn knows(shared: &Shared, project: &str) -> bool {
    shared.world().projects.contains(project)
}
