//! Errors as responses: once, here.

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use contract::error::AppError;
use domain::field::FieldErrors;
use serde::Serialize;
use std::any::Any;

/// An error as problem JSON (RFC 9457), with a code for programs.
pub(crate) fn problem(error: &AppError) -> axum::response::Response {
    Problem::from(error.clone()).into_response()
}

/// The body of an error's response; `application/problem+json`.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// What kind of problem: `about:blank`, the status says it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The status.
    pub status: u16,
    /// What happened and what to do, a sentence.
    pub detail: String,
    /// A short word for programs, see [`AppError::code`].
    pub code: &'static str,
    /// After how many seconds to try again; goes into `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u64>,
    /// The errors by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<FieldErrors>,
}

impl Problem {
    /// A problem with this status.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            retry_after: None,
            fields: None,
        }
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            retry_after: error.retry_after(),
            fields: error.fields().cloned(),
            ..Self::new(status, error.code(), error.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

/// A page without the app, for what ends before the app begins.
pub(crate) fn plain_page(status: StatusCode, title: &str, text: &str, css: &str) -> axum::response::Response {
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} · Waybill</title>\
         <link rel=\"stylesheet\" href=\"{css}\"></head><body><main class=\"plain-page\"><h1>{title}</h1><p>{text}</p>\
         <p><a href=\"/\">Go to the projects</a></p></main></body></html>"
    );
    let csp = "default-src 'none'; style-src 'self'; frame-ancestors 'none'";
    (
        status,
        [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, csp),
        ],
        body,
    )
        .into_response()
}

/// A handler panicked: that is a fault of ours, and the log says where.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a request handler panicked");
    problem(&AppError::Internal("panic".into()))
}
