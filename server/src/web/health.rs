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

/// The database answers too, and takes what is written.
pub(super) async fn ready(State(state): State<WebState>) -> (StatusCode, String) {
    let store = &state.services.store;
    if let Err(error) = store.ping().await {
        tracing::error!(%error, "not ready");
        let text = "the database does not answer\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
    }
    match store.check_writable().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(trouble) => {
            let text = format!("the database can't be written: {}\n", trouble.cause());
            (StatusCode::SERVICE_UNAVAILABLE, text)
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
