//! `GET /api/v1/artifacts/{digest}/custody`: the life of an image, as JSON; with `format=bundle` or `format=envelopes` the signed
//! statements that hang on it, one a line. Equal state gives equal bytes, and the header `Repr-Digest` has their SHA-256 (RFC 9530).

use super::{asker, workspace_of};
use crate::{
    service::{
        Services,
        views::{self, ExportForm},
    },
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::error::AppError;
use domain::field::FieldErrors;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The route.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .get("/api/v1/artifacts/{digest}/custody", export)
        .with(|routes| routes.with_state(services))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The workspace's name; needed by those who are in several.
    #[serde(default)]
    workspace: Option<String>,
    #[serde(default)]
    format: Option<String>,
}

async fn export(
    State(services): State<Services>,
    Path(digest): Path<String>,
    options: Result<Query<Options>, QueryRejection>,
    caller: Option<Extension<Identity>>,
) -> Result<Response, Problem> {
    let caller = asker(caller)?;
    let Query(options) =
        options.map_err(|_| AppError::BadRequest("The options are workspace (a name) and format.".into()))?;
    let workspace = workspace_of(&caller, options.workspace)?;
    let (form, kind, end) = match options.format.as_deref() {
        None | Some("json") => (ExportForm::Whole, "application/json", "json"),
        Some("bundle") => (ExportForm::Bundles, "application/jsonl", "jsonl"),
        Some("envelopes") => (ExportForm::Envelopes, "application/jsonl", "jsonl"),
        Some(_) => {
            let why = "Give json, bundle or envelopes, or leave it out for json.";
            return Err(AppError::from(FieldErrors::one("format", why)).into());
        }
    };
    let body = views::export_custody(&services, &caller, &workspace, &digest, form).await?;
    let sum = STANDARD.encode(Sha256::digest(body.as_bytes()));
    let short: String = digest.chars().filter(char::is_ascii_alphanumeric).take(18).collect();
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (HeaderName::from_static("repr-digest"), format!("sha-256=:{sum}:")),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"custody-{short}.{end}\""),
        ),
    ];
    Ok((headers, body).into_response())
}
