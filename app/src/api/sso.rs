//! Single sign-on: whether it is offered, and what people are told when it came to nothing.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::sso::*;

use leptos::prelude::*;

/// What people call whom they may sign in through; `None` when there is nobody.
///
/// # Errors
/// When the server can't tell.
#[server(name = ReadSso, prefix = "/api/ui", endpoint = "sso")]
pub async fn sso() -> Result<Option<String>, AppError> {
    answer(backend()?.sso().await)
}
