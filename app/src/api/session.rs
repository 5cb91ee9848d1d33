//! Who is signed in.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::session::*;

use leptos::prelude::*;

/// Who is signed in; `None` when nobody is.
///
/// # Errors
/// When the server can't tell.
#[server(name = ReadMe, prefix = "/api/ui", endpoint = "me")]
pub async fn me() -> Result<Option<Me>, AppError> {
    answer(backend()?.me().await)
}

/// Begins a session.
///
/// # Errors
/// When the address or password is wrong, or after too many tries.
#[server(prefix = "/api/ui", endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String) -> Result<(), AppError> {
    answer(backend()?.sign_in(&email, &password).await)
}

/// Ends the session.
///
/// # Errors
/// When the server can't.
#[server(prefix = "/api/ui", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    answer(backend()?.sign_out().await)
}
