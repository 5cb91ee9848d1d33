//! What can go wrong with a use case, as people see it: safe to show, the same in the browser and on the server.

use domain::{field::FieldErrors, rights::Denied};
use serde::{Deserialize, Serialize};
use server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};

/// When to ask again while Waybill's database is in trouble.
const UNAVAILABLE_SECONDS: u64 = 5;

/// Why a use case was not carried out. Every text says what happened and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(from = "Sent", into = "Sent")]
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
    #[error("Too many tries. Try again in {}.", in_words(*seconds))]
    TooMany {
        /// Seconds to wait.
        seconds: u64,
    },
    /// More is asked of Waybill than it can do at once.
    #[error("Waybill has more to do than it can take on right now. Try again in {}.", in_words(*seconds))]
    Busy {
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
            Self::Busy { .. } => 503,
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
            Self::Busy { .. } => "busy",
            Self::Upstream(_) => "upstream",
            Self::BadRequest(_) => "bad_request",
            Self::Unavailable(_) => "unavailable",
            Self::Unreachable => "unreachable",
            Self::Internal(_) => "internal",
        }
    }

    /// After how many seconds the same may be asked again, where that is known: the header `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany { seconds } | Self::Busy { seconds } => Some(*seconds),
            // How long nobody can tell; a proxy or a script that asks each few seconds does no harm.
            Self::Unavailable(_) => Some(UNAVAILABLE_SECONDS),
            _ => None,
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

/// An error on its way to the browser. All errors share one plain shape, because the code that reads an enum is several times as large, and
/// the browser downloads it more than once.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Sent {
    /// [`AppError::code`].
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    #[serde(skip_serializing_if = "FieldErrors::is_empty")]
    fields: FieldErrors,
}

impl From<AppError> for Sent {
    fn from(error: AppError) -> Self {
        let (kind, seconds) = (error.code().to_owned(), error.retry_after());
        let (mut text, mut fields) = Default::default();
        match error {
            AppError::SignedOut | AppError::Unreachable | AppError::TooMany { .. } | AppError::Busy { .. } => {}
            AppError::Forbidden(why)
            | AppError::NotFound(why)
            | AppError::Conflict(why)
            | AppError::Upstream(why)
            | AppError::Unavailable(why)
            | AppError::BadRequest(why)
            | AppError::Internal(why) => text = why,
            AppError::Invalid(errors) => fields = errors,
        }
        Self {
            kind,
            text,
            seconds,
            fields,
        }
    }
}

impl From<Sent> for AppError {
    fn from(sent: Sent) -> Self {
        let Sent {
            kind,
            text,
            seconds,
            fields,
        } = sent;
        let seconds = seconds.unwrap_or_default();
        match kind.as_str() {
            "signed_out" => Self::SignedOut,
            "forbidden" => Self::Forbidden(text),
            "not_found" => Self::NotFound(text),
            "conflict" => Self::Conflict(text),
            "invalid" => Self::Invalid(fields),
            "too_many" => Self::TooMany { seconds },
            "busy" => Self::Busy { seconds },
            "upstream" => Self::Upstream(text),
            "unavailable" => Self::Unavailable(text),
            "bad_request" => Self::BadRequest(text),
            "internal" => Self::Internal(text),
            // What a proxy said, or a server that knows more kinds than this page.
            _ => Self::Unreachable,
        }
    }
}

/// A time to wait as people say it; never shorter than it is.
fn in_words(seconds: u64) -> String {
    match seconds {
        1 => "1 second".into(),
        0..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_in_the_browser() {
        let mut fields = FieldErrors::default();
        fields.add("name", "Type a name.");
        let text = || "why".to_owned();
        for error in [
            AppError::SignedOut,
            AppError::Forbidden(text()),
            AppError::NotFound(text()),
            AppError::Invalid(fields),
            AppError::Conflict(text()),
            AppError::TooMany { seconds: 3 },
            AppError::Busy { seconds: 4 },
            AppError::Upstream(text()),
            AppError::Unavailable(text()),
            AppError::BadRequest(text()),
            AppError::Unreachable,
            AppError::Internal(text()),
        ] {
            let sent = serde_json::to_string(&error).unwrap();
            assert_eq!(serde_json::from_str::<AppError>(&sent).unwrap(), error);
        }
    }

    #[test]
    fn a_refusal_says_when_to_try_again() {
        for (seconds, words) in [
            (1, "1 second"),
            (45, "45 seconds"),
            (120, "2 minutes"),
            (241, "5 minutes"),
        ] {
            let refused = AppError::TooMany { seconds };
            assert_eq!(refused.to_string(), format!("Too many tries. Try again in {words}."));
            assert_eq!(refused.retry_after(), Some(seconds));
        }
        assert_eq!(AppError::SignedOut.retry_after(), None);
        assert_eq!(AppError::Unavailable(String::new()).retry_after(), Some(5));
    }
}
