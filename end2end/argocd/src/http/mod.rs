//! The API server: routes, and what happens to every request before it reaches one.

mod account;
mod applications;
pub(crate) mod auth;
mod control;
pub(crate) mod error;
mod live;
mod logs;
mod operations;
mod resources;
mod secrets;
mod stream;
mod webhook;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRequestParts, Query, Request, State},
    http::{Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::control::state_of;
use self::{
    auth::{Caller, authenticate},
    error::{ApiError, Code, json_bytes, plain},
};
use crate::{
    faults::{FailRequests, use_once},
    world::Shared,
};

/// What every handler gets.
pub(crate) type World = State<Arc<Shared>>;

/// A JSON answer, or an error of Argo CD.
pub(crate) type Answer = Result<Response, ApiError>;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(account::healthz))
        .route("/api/version", get(account::version))
        .route("/api/webhook", post(webhook::receive))
        .route("/api/v1/session", post(account::login).delete(account::logout))
        .route("/api/v1/session/userinfo", get(account::userinfo))
        .route(
            "/api/v1/account/can-i/{resource}/{action}/{*subresource}",
            get(account::can_i),
        )
        .route("/api/v1/settings", get(account::settings))
        .route("/api/v1/projects", get(account::projects).post(account::create_project))
        .route("/api/v1/projects/{project}", get(account::project))
        .route(
            "/api/v1/applications",
            get(applications::list).post(applications::create),
        )
        .route(
            "/api/v1/applications/{name}",
            get(applications::get)
                .put(applications::update)
                .patch(applications::patch)
                .delete(applications::delete),
        )
        .route(
            "/api/v1/applications/{name}/spec",
            axum::routing::put(applications::update_spec),
        )
        .route("/api/v1/applications/{name}/sync", post(operations::sync))
        .route("/api/v1/applications/{name}/rollback", post(operations::rollback))
        .route("/api/v1/applications/{name}/operation", delete(operations::terminate))
        .route("/api/v1/applications/{name}/syncwindows", get(resources::sync_windows))
        .route("/api/v1/applications/{name}/resource-tree", get(live::tree))
        .route("/api/v1/applications/{name}/managed-resources", get(live::managed))
        .route("/api/v1/applications/{name}/manifests", get(resources::manifests))
        .route("/api/v1/applications/{name}/events", get(live::events))
        .route("/api/v1/applications/{name}/logs", get(logs::of_app))
        .route("/api/v1/applications/{name}/pods/{pod}/logs", get(logs::of_pod))
        .route(
            "/api/v1/applications/{name}/revisions/{revision}/metadata",
            get(resources::revision),
        )
        .route("/api/v1/stream/applications", get(stream::applications))
        .route(
            "/standin/faults",
            post(control::set_fault).delete(control::clear_faults),
        )
        .route("/standin/cluster", post(control::change_cluster))
        .route("/standin/clock", post(control::advance_clock))
        .route("/standin/state", get(control::state))
        .route("/api/{*rest}", any(not_found))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), gate))
        .with_state(shared)
}

async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "Not Found\n")
}

async fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}

/// Notes the request, lets faults strike, and enforces the content type.
async fn gate(State(shared): World, request: Request<Body>, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/standin/") {
        return next.run(request).await;
    }
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    shared.note_request(format!("{} {path}{query}", request.method()));
    if let Some(response) = injected_failure(&shared, &path) {
        return response;
    }
    let enforced = path.starts_with("/api/") && path != "/api/webhook" && request.method() != Method::GET;
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if enforced && !content_type.eq_ignore_ascii_case("application/json") {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Invalid content type\n");
    }
    next.run(request).await
}

fn injected_failure(shared: &Shared, path: &str) -> Option<Response> {
    let mut world = shared.world();
    if let Some(limit) = world.faults.rate_limit.as_mut()
        && use_once(&mut limit.times)
    {
        // Kubernetes holds Argo CD back, and it passes that on.
        let message = "the server has received too many requests and has asked us to try again later";
        let mut response = ApiError::new(Code::ResourceExhausted, message).into_response();
        if let Some(seconds) = limit.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        return Some(response);
    }
    let is_meant = |fail: &FailRequests| fail.path.as_ref().is_none_or(|part| path.contains(part));
    let mut meant = world.faults.fail_requests.iter_mut().filter(|fail| is_meant(fail));
    let fail = meant.find_map(|fail| use_once(&mut fail.times).then_some(fail))?;
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(match fail.status {
        500 => ApiError::unknown("error getting application: etcdserver: request timed out").into_response(),
        403 => ApiError::new(Code::PermissionDenied, "permission denied").into_response(),
        503 => {
            let message = "connection error: desc = \"transport: Error while dialing: connect: connection refused\"";
            ApiError::new(Code::Unavailable, message).into_response()
        }
        502 => {
            let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
            (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        _ => (
            status,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            status.canonical_reason().unwrap_or(""),
        )
            .into_response(),
    })
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        authenticate(shared, &parts.headers)
    }
}

/// The query string, with repeated names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// With one more, before the others.
    pub(crate) fn with(mut self, name: &str, value: String) -> Self {
        self.0.insert(0, (name.to_owned(), value));
        self
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.parse().ok()
    }

    /// `project` or its synonym `projects`; the first wins.
    pub(crate) fn projects(&self) -> Vec<&str> {
        let all = |name: &str| -> Vec<&str> {
            self.0
                .iter()
                .filter(|(key, value)| key == name && !value.is_empty())
                .map(|(_, value)| value.as_str())
                .collect()
        };
        let legacy = all("project");
        if legacy.is_empty() { all("projects") } else { legacy }
    }
}

impl FromRequestParts<Arc<Shared>> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, ApiError> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(ApiError::invalid(error.to_string())),
        }
    }
}

/// Reads a body as Go does: nothing is an empty object, null is absent, unknown fields are ignored.
pub(crate) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    let mut value: Value = if bytes.iter().all(u8::is_ascii_whitespace) {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(bytes).map_err(|error| ApiError::invalid(error.to_string()))?
    };
    drop_nulls(&mut value);
    serde_json::from_value(value).map_err(|error| ApiError::invalid(error.to_string()))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, child| !child.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A 200 with JSON.
pub(crate) fn ok(value: &impl serde::Serialize) -> Answer {
    let value = serde_json::to_value(value).map_err(|error| ApiError::unknown(error.to_string()))?;
    Ok(json_bytes(&value).into_response())
}
