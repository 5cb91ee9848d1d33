//! `POST /api/v1/apply?dry_run=true`: configuration as code, for the command `waybill apply`.

use super::{body, is_json};
use crate::{
    nesting::{self, JsonError},
    service::{
        Services,
        configure::{self, Applied, Document, SecretText},
    },
    web::{auth::Identity, error::Problem, routes::Routes},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
};
use contract::error::AppError;
use serde::Deserialize;

/// Most bytes of a document.
const LARGEST: usize = 256 * 1024;

/// The route.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new()
        .post("/api/v1/apply", apply)
        .with(|routes| routes.layer(DefaultBodyLimit::max(LARGEST)).with_state(services))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    dry_run: bool,
}

async fn apply(
    State(services): State<Services>,
    caller: Option<Extension<Identity>>,
    options: Result<Query<Options>, QueryRejection>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Applied>, Problem> {
    let Some(Extension(Identity(Some(caller)))) = caller else {
        let why = "Send an API token that is valid: Authorization: Bearer wb_…; waybill token create makes one.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, AppError::SignedOut.code(), why));
    };
    let bad = |why: String| Problem::from(AppError::BadRequest(why));
    let Query(options) = options.map_err(|_| bad("The only option is dry_run, true or false.".into()))?;
    if !is_json(&headers) {
        let why = "Send the document as JSON, with Content-Type: application/json.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request", why));
    }
    let bytes = body(bytes, LARGEST)?;
    let document: Document<SecretText> = nesting::json(&bytes).map_err(|e| bad(unreadable(&e)))?;
    Ok(Json(
        configure::apply(&services, &caller, &document, options.dry_run).await?,
    ))
}

/// What is wrong with a document, never repeating a value of it: a text that is no secret's place may be a secret.
fn unreadable(error: &JsonError) -> String {
    let error = match error {
        JsonError::TooDeep(error) => return format!("The document could not be read: {error}."),
        JsonError::Json(error) => error,
    };
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_data() && error.to_string().starts_with("unknown field") {
        return format!("The document could not be read: {error}.");
    }
    if error.is_data() && error.to_string().starts_with("missing field") {
        return format!("The document could not be read: {error}.");
    }
    let what = if error.is_data() {
        "a value is not of the kind that belongs there"
    } else {
        "this is not JSON"
    };
    format!("The document could not be read: {what}, at {place}.")
}
