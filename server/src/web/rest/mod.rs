//! The REST interface, below `/api/v1`: [`apply`], [`changes`], [`checks`], [`custody`], [`ledger`], [`recalls`], [`unpromoted`] and the webhooks of
//! registries ([`registry_hook`]) and Git hosts ([`git_hook`]).
//!
//! Errors are problem details ([`super::error`]). Who calls is said by the extension [`super::auth::Identity`], which the layer that
//! reads sessions and tokens sets.

pub mod apply;
pub mod changes;
pub mod checks;
pub mod custody;
pub mod git_hook;
pub mod ledger;
pub mod recalls;
pub mod registry_hook;
pub mod unpromoted;

use super::{auth::Identity, error::Problem};
use crate::{nesting, service::Caller};
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use contract::error::AppError;
use domain::{
    door::{Door, Entrance},
    field::FieldErrors,
};
use serde::de::DeserializeOwned;
use std::net::SocketAddr;

/// How a webhook came in.
fn webhook(from: Option<Extension<ConnectInfo<SocketAddr>>>) -> Entrance {
    Entrance {
        door: Door::Webhook,
        address: from.map(|Extension(ConnectInfo(address))| address.ip().to_string()),
    }
}

/// Who asks.
fn asker(caller: Option<Extension<Identity>>) -> Result<Caller, Problem> {
    match caller {
        Some(Extension(Identity(Some(caller)))) => Ok(caller),
        _ => {
            let why = "Send an API token that is valid: Authorization: Bearer wb_…; waybill token create makes one.";
            Err(Problem::new(StatusCode::UNAUTHORIZED, AppError::SignedOut.code(), why))
        }
    }
}

/// The workspace that is meant: the one that is named, or the only one of who asks.
fn workspace_of(caller: &Caller, named: Option<String>) -> Result<String, Problem> {
    match (named, caller.access.as_slice()) {
        (Some(name), _) => Ok(name),
        (None, [(workspace, _)]) => Ok(workspace.name.to_string()),
        (None, []) => {
            let why = "You are in no workspace. Ask an administrator.";
            Err(AppError::Forbidden(why.into()).into())
        }
        (None, _) => {
            let why = "You are in several workspaces. Name the one that is meant: ?workspace=NAME.";
            Err(AppError::from(FieldErrors::one("workspace", why)).into())
        }
    }
}

/// The body of a request, or what is wrong with it.
fn body(body: Result<Bytes, BytesRejection>, most: usize) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("The request is too large. Send at most {} KiB.", most / 1024),
        ),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "The request ended before it was complete. Send it again.",
        ),
    })
}

/// What was sent, as JSON.
fn sent<T: DeserializeOwned>(
    headers: &HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
    most: usize,
) -> Result<T, Problem> {
    if !is_json(headers) {
        let why = "Send the request as JSON, with Content-Type: application/json.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request", why));
    }
    let bytes = body(bytes, most)?;
    Ok(nesting::json(&bytes).map_err(|e| AppError::BadRequest(format!("The request could not be read: {e}.")))?)
}

/// Browsers send other kinds of bodies to other sites without asking; JSON they don't.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
