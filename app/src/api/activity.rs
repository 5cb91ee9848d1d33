//! What happened in a workspace: the ledger, page by page, and which part of it is shown.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};

pub use contract::activity::*;

use contract::error::AppError;
use leptos::prelude::*;

/// What happened in a workspace, newest first.
///
/// # Errors
/// When there is no such workspace for the actor.
#[server(prefix = "/api/ui", endpoint = "activity")]
pub async fn activity(workspace: String, #[server(default)] filter: ActivityFilter) -> Result<ActivityView, AppError> {
    answer(backend()?.activity(&workspace, &filter).await)
}
