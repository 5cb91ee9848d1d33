//! A person's own account.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};

pub use contract::account::*;

use contract::error::AppError;
use leptos::prelude::*;

/// The account of who looks.
///
/// # Errors
/// When nobody is signed in.
#[server(name = ReadAccount, prefix = "/api/ui", endpoint = "account")]
pub async fn account() -> Result<AccountView, AppError> {
    answer(backend()?.account().await)
}

/// Changes the password, and ends the other sessions.
///
/// # Errors
/// When the current password is wrong, or the new one breaks a rule.
#[server(prefix = "/api/ui", endpoint = "change_password")]
pub async fn change_password(current: String, new: String) -> Result<(), AppError> {
    answer(backend()?.change_password(&current, &new).await)
}

/// Ends all sessions, this one too.
///
/// # Errors
/// When nobody is signed in.
#[server(prefix = "/api/ui", endpoint = "sign_out_everywhere")]
pub async fn sign_out_everywhere() -> Result<(), AppError> {
    answer(backend()?.sign_out_everywhere().await)
}
