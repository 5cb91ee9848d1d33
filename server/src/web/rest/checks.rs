//! `POST /api/v1/checks`: CI reports the result of a check on a digest.

use super::{body, is_json};
use crate::{
    nesting,
    service::{
        Services,
        gates::{self, ReportedCheck},
    },
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use contract::error::AppError;
use domain::{field::FieldErrors, gate::Check, time::Timestamp};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Most bytes of a report.
const LARGEST: usize = 16 * 1024;

/// The route.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .post("/api/v1/checks", report)
        .with(|routes| routes.layer(DefaultBodyLimit::max(LARGEST)).with_state(services))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    #[serde(default)]
    workspace: Option<String>,
    digest: String,
    name: String,
    status: String,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    url: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    at: Option<String>,
}

async fn report(
    State(services): State<Services>,
    caller: Option<Extension<Identity>>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Check>, Problem> {
    let Some(Extension(Identity(Some(caller)))) = caller else {
        let why = "Send an API token that is valid: Authorization: Bearer wb_…; waybill token create makes one.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, AppError::SignedOut.code(), why));
    };
    if !is_json(&headers) {
        let why = "Send the result as JSON, with Content-Type: application/json.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request", why));
    }
    let bytes = body(bytes, LARGEST)?;
    let report: Report =
        nesting::json(&bytes).map_err(|e| AppError::BadRequest(format!("The result could not be read: {e}.")))?;
    let at = report.at.as_deref().map(moment).transpose().map_err(AppError::from)?;
    let reported = ReportedCheck {
        workspace: report.workspace,
        digest: report.digest,
        name: report.name,
        status: report.status,
        summary: report.summary,
        url: report.url,
        at,
    };
    Ok(Json(gates::report_check(&services, &caller, &reported).await?))
}

/// Reads a time as RFC 3339 writes it.
pub(crate) fn moment(text: &str) -> Result<Timestamp, FieldErrors> {
    let why = || FieldErrors::one("at", "Write the time like 2026-11-20T10:04:03Z, or leave it out.");
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| why())?;
    let millis = at.unix_timestamp_nanos() / 1_000_000;
    i64::try_from(millis).map(Timestamp).map_err(|_| why())
}
