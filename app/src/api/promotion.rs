//! One promotion: its steps, the commit it made, and all that happened.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::promotion::*;

use leptos::prelude::*;

/// One promotion.
///
/// # Errors
/// When there is no such promotion for the actor.
#[server(prefix = "/api/ui", endpoint = "promotion")]
pub async fn promotion(id: String) -> Result<PromotionView, AppError> {
    answer(backend()?.promotion(&id).await)
}

/// Tries a failed promotion again.
///
/// # Errors
/// When it hasn't failed, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "retry")]
pub async fn retry(id: String) -> Result<(), AppError> {
    answer(backend()?.retry(&id).await)
}

/// Withdraws a promotion whose commit isn't on its way yet.
///
/// # Errors
/// When it is too late, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "cancel")]
pub async fn cancel(id: String) -> Result<(), AppError> {
    answer(backend()?.cancel(&id).await)
}
