//! Whether it lives, whether it can serve, and its numbers. Open to everybody who reaches it: nothing here is secret.

use super::WebState;
use crate::telemetry;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The database answers too.
pub(super) async fn ready(State(state): State<WebState>) -> (StatusCode, &'static str) {
    match state.services.store.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}

/// The numbers, as Prometheus reads them.
pub(super) async fn metrics(State(state): State<WebState>) -> impl IntoResponse {
    let due = match state.services.store.read().await {
        Ok(mut tx) => tx.next_due().await,
        Err(error) => Err(error),
    };
    // A database that doesn't answer is seen at /readyz; the other numbers still count.
    let due = due.unwrap_or_default();
    let text = telemetry::render(state.services.now(), due);
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}
