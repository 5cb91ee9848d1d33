//! GraphQL at `/api/graphql`, over the same use cases as everything else.
//!
//! [`mod@schema`] has the queries, [`mutations`] what may be changed, [`objects`] what they return, [`limits`] what a query may be. Here the schema meets HTTP: POST with
//! JSON, for callers with an API token or a session. An error carries `extensions.code`, the same words as REST, and
//! `extensions.fields` where fields are wrong.

use super::{auth::Identity, rest::is_json, routes::Routes};
use crate::{
    nesting::{self, JsonError},
    service::Services,
};
use async_graphql::{ErrorExtensionValues, Request, Response as Answer, ServerError, Value};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use contract::error::AppError;

pub use schema::{Schema, schema};

pub mod limits;
pub mod mutations;
pub mod objects;
pub mod schema;

/// Most bytes of a request.
const LARGEST: usize = 256 * 1024;

/// The route.
pub fn router<S: Clone + Send + Sync + 'static>(services: Services) -> Routes<S> {
    Routes::new().post("/api/graphql", answer).with(|routes| {
        routes
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(schema(services))
    })
}

async fn answer(
    State(schema): State<Schema>,
    caller: Option<Extension<Identity>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(Extension(Identity(Some(caller)))) = caller else {
        let why = "Send an API token that is valid: Authorization: Bearer wb_…; waybill token create makes one.";
        return refuse(StatusCode::UNAUTHORIZED, AppError::SignedOut.code(), why);
    };
    if !is_json(&headers) {
        let why = "Send the request as JSON, with Content-Type: application/json.";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request", why);
    }
    let body = match body {
        Ok(body) => body,
        Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The request is too large. Send at most 256 KiB.",
            );
        }
        Err(_) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request ended before it was complete.",
            );
        }
    };
    // A list would be read as a request's fields in order.
    let object = body.trim_ascii_start().first() == Some(&b'{');
    let mut request = match nesting::json::<Request>(&body) {
        Ok(request) if object => request,
        Err(JsonError::TooDeep(error)) => {
            return refuse(StatusCode::BAD_REQUEST, "bad_request", &limits::words(error));
        }
        _ => {
            let why = "Send a JSON object with the field query and, where needed, variables and operationName.";
            return refuse(StatusCode::BAD_REQUEST, "bad_request", why);
        }
    };
    let mut answer = match limits::read(&request.query) {
        Ok(query) => {
            request.set_parsed_query(query);
            schema.execute(request.data(caller)).await
        }
        Err(error) => Answer::from_errors(vec![error]),
    };
    for error in &mut answer.errors {
        // What the language itself refuses: syntax, unknown fields, limits.
        let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
        if extensions.get("code").is_none() {
            extensions.set("code", "bad_request");
        }
    }
    Json(answer).into_response()
}

fn refuse(status: StatusCode, code: &'static str, message: &str) -> Response {
    let mut error = ServerError::new(message, None);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
    (status, Json(Answer::from_errors(vec![error]))).into_response()
}

/// An error of a use case, as GraphQL says it.
pub(crate) fn error(error: AppError) -> async_graphql::Error {
    let mut said = async_graphql::Error::new(error.to_string());
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", error.code());
    if let Some(fields) = error.fields() {
        // One wrong field needs no name before its sentence: `extensions.fields` has it.
        said.message = fields
            .0
            .iter()
            .map(|field| field.message.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let fields = fields.0.iter().map(|field| {
            let mut one = async_graphql::indexmap::IndexMap::new();
            one.insert(async_graphql::Name::new("field"), Value::from(field.field.clone()));
            one.insert(async_graphql::Name::new("message"), Value::from(field.message.clone()));
            Value::Object(one)
        });
        extensions.set("fields", Value::List(fields.collect()));
    }
    said.extensions = Some(extensions);
    said
}
