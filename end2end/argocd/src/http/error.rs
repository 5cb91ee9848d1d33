//! Errors as the gateway writes them: JSON with the gRPC code, or a stream chunk with both codes.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// The gRPC codes that the stand-in answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// The HTTP status that grpc-gateway maps the code to.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

/// An error of Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(Code::Unknown, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    pub(crate) fn denied() -> Self {
        Self::new(Code::PermissionDenied, "permission denied")
    }

    pub(crate) fn app_not_found(name: &str) -> Self {
        Self::new(Code::NotFound, format!("applications.argoproj.io \"{name}\" not found"))
    }

    /// The chunk that a stream endpoint reports it with.
    pub(crate) fn chunk(&self) -> Value {
        let status = self.code.status();
        json!({"error": {
            "grpc_code": self.code as u8,
            "http_code": status.as_u16(),
            "message": self.message,
            "http_status": status.canonical_reason().unwrap_or_default(),
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.message, "code": self.code as u8, "message": self.message});
        (self.code.status(), json_bytes(&body)).into_response()
    }
}

/// A JSON body with the exact content type of the gateway.
pub(crate) fn json_bytes(body: &Value) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string())
}

/// A plain-text answer from before or beside the gateway.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
