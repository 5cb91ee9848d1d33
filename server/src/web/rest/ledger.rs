//! `GET /api/v1/workspaces/{workspace}/ledger`: the ledger as JSON lines, for administrators. It is sent while it is read.

use super::asker;
use crate::{
    service::{Services, views},
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures::TryStreamExt as _;

/// The route.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .get("/api/v1/workspaces/{workspace}/ledger", export)
        .with(|routes| routes.with_state(services))
}

async fn export(
    State(services): State<Services>,
    Path(workspace): Path<String>,
    caller: Option<Extension<Identity>>,
) -> Result<Response, Problem> {
    let caller = asker(caller)?;
    let lines = views::export_ledger(&services, &caller, &workspace).await?;
    // Cut off rather than ended: who reads must not take a part for the whole.
    let body = Body::from_stream(lines.inspect_err(|error| tracing::error!(%error, "the ledger could not be read")));
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"ledger-{workspace}.jsonl\""),
        ),
    ];
    Ok((headers, body).into_response())
}
