//! The public halves of the keys that sign statements, for whoever wants to verify one. Open to everybody: that is what they are for, and an
//! address names nothing but a key.

use super::{WebState, error};
use crate::service::statements;
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use contract::error::AppError;

/// The key that signs now.
pub(super) async fn active(State(state): State<WebState>) -> Response {
    let keys = statements::public_keys(&state.services).await;
    answer(keys.and_then(|keys| {
        let active = keys.into_iter().find(|key| key.retired_at.is_none());
        let none = || AppError::NotFound("This Waybill signs nothing: it has no signing key.".into());
        active.map(|key| key.public_key).ok_or_else(none)
    }))
}

/// A key by the beginning of its fingerprint: `<16 hexadecimal characters>.pub`, whether it signs still or not.
pub(super) async fn named(State(state): State<WebState>, Path(file): Path<String>) -> Response {
    let name = file.strip_suffix(".pub").unwrap_or_default();
    answer(statements::public_key_called(&state.services, name).await)
}

fn answer(key: Result<String, AppError>) -> Response {
    match key {
        Ok(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        Err(error) => error::problem(&error),
    }
}
