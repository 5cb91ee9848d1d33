//! The backend of the request being served, as the server put it into the context ([`Backend`]).

use contract::{backend::Backend, error::AppError};
use leptos::prelude::use_context;
use std::sync::Arc;

/// The use cases for the request being served.
///
/// # Errors
/// When the server forgot to provide them.
pub fn backend() -> Result<Arc<dyn Backend>, AppError> {
    use_context::<Arc<dyn Backend>>().ok_or_else(|| AppError::Internal("without context".into()))
}

/// Gives a server function's outcome to the caller, and its status to the response.
pub(crate) fn answer<T>(outcome: Result<T, AppError>) -> Result<T, AppError> {
    if let Err(error) = &outcome {
        crate::request::refuse(error);
    }
    outcome
}
