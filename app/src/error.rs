//! What can go wrong with a use case, as people see it: safe to show, the same in the browser and on the server.

use domain::{field::FieldErrors, rights::Denied};
use leptos::{
    prelude::{FromServerFnError, ServerFnErrorErr},
    server_fn::codec::JsonEncoding,
};
use serde::{Deserialize, Serialize};

/// Why a use case was not carried out. Every text says what happened and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "detail")]
pub enum AppError {
    /// Nobody is signed in.
    #[error("Sign in to go on.")]
    SignedOut,
    /// The actor's role lacks the right.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or the actor may not know of it.
    #[error("{0}")]
    NotFound(String),
    /// The input breaks a rule.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// The input is fine, the world isn't as it assumes.
    #[error("{0}")]
    Conflict(String),
    /// Too many tries.
    #[error("Too many tries. Wait {seconds} s, then try again.")]
    TooMany {
        /// Seconds to wait.
        seconds: u64,
    },
    /// Git, a registry or Argo CD could not be reached or refused.
    #[error("{0}")]
    Upstream(String),
    /// Waybill can't do it for now: what it needs of its own, the database, is in trouble.
    #[error("{0}")]
    Unavailable(String),
    /// The request could not be read.
    #[error("{0}")]
    BadRequest(String),
    /// The server could not be reached (said by the browser).
    #[error("Waybill could not be reached. Check the network, then try again; what you typed is still here.")]
    Unreachable,
    /// A fault of Waybill's own; the log holds it under this number.
    #[error("Waybill could not do this because of a fault of its own. Its log says more under fault {0}.")]
    Internal(String),
}

impl AppError {
    /// The HTTP status that fits.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::SignedOut => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Invalid(_) => 422,
            Self::TooMany { .. } => 429,
            Self::Upstream(_) => 502,
            Self::BadRequest(_) => 400,
            Self::Unreachable | Self::Unavailable(_) => 503,
            Self::Internal(_) => 500,
        }
    }

    /// A short word for programs: the `code` of a GraphQL or REST error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Invalid(_) => "invalid",
            Self::TooMany { .. } => "too_many",
            Self::Upstream(_) => "upstream",
            Self::BadRequest(_) => "bad_request",
            Self::Unavailable(_) => "unavailable",
            Self::Unreachable => "unreachable",
            Self::Internal(_) => "internal",
        }
    }

    /// The errors by field, when that is what it is.
    #[must_use]
    pub fn fields(&self) -> Option<&FieldErrors> {
        match self {
            Self::Invalid(errors) => Some(errors),
            _ => None,
        }
    }
}

impl From<FieldErrors> for AppError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<Denied> for AppError {
    fn from(denied: Denied) -> Self {
        Self::Forbidden(denied.to_string())
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Request(_) => Self::Unreachable,
            // What a proxy or an older server said instead of an answer of ours.
            ServerFnErrorErr::Deserialization(_) | ServerFnErrorErr::Response(_) => Self::Unreachable,
            ServerFnErrorErr::Args(why) | ServerFnErrorErr::MissingArg(why) => {
                Self::BadRequest(format!("The request could not be read: {why}."))
            }
            other => Self::BadRequest(other.to_string()),
        }
    }
}
