//! The REST interface, below `/api/v1`: [`apply`], [`checks`], [`custody`], [`ledger`], [`recalls`] and the webhooks of registries ([`registry_hook`]) and Git hosts
//! ([`git_hook`]).
//!
//! Errors are problem details ([`super::error`]). Who calls is said by the extension [`super::auth::Identity`], which the layer that
//! reads sessions and tokens sets.

pub mod apply;
pub mod checks;
pub mod custody;
pub mod git_hook;
pub mod ledger;
pub mod recalls;
pub mod registry_hook;

use super::error::Problem;
use axum::{
    Extension,
    body::Bytes,
    extract::{ConnectInfo, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use domain::door::{Door, Entrance};
use std::net::SocketAddr;

/// How a webhook came in.
fn webhook(from: Option<Extension<ConnectInfo<SocketAddr>>>) -> Entrance {
    Entrance {
        door: Door::Webhook,
        address: from.map(|Extension(ConnectInfo(address))| address.ip().to_string()),
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

/// Browsers send other kinds of bodies to other sites without asking; JSON they don't.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
