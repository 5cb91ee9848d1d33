//! Recalling a digest: where it runs, marking it bad, moving back what runs it, lifting the recall.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::recall::*;

use leptos::prelude::*;

/// What is known of a digest that is recalled, was, or may be.
///
/// # Errors
/// When there is no such workspace for the actor, or it is no digest.
#[server(name = ReadRecall, prefix = "/api/ui", endpoint = "recall")]
pub async fn recall(workspace: String, digest: String) -> Result<RecallView, AppError> {
    answer(backend()?.recall(&workspace, &digest).await)
}

/// Marks a digest bad.
///
/// # Errors
/// In the field `reason`; when it is recalled already, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "recall_digest")]
pub async fn recall_digest(
    workspace: String,
    digest: String,
    #[server(default)] reason: String,
) -> Result<(), AppError> {
    answer(backend()?.recall_digest(&workspace, &digest, &reason).await)
}

/// Lifts the recall of a digest.
///
/// # Errors
/// In the field `reason`; when it isn't recalled, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "lift_recall")]
pub async fn lift_recall(workspace: String, digest: String, #[server(default)] reason: String) -> Result<(), AppError> {
    answer(backend()?.lift_recall(&workspace, &digest, &reason).await)
}

/// Moves every place back that is to run a recalled digest.
///
/// # Errors
/// When it isn't recalled, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "move_places_back")]
pub async fn move_places_back(
    workspace: String,
    digest: String,
    #[server(default)] break_glass: bool,
) -> Result<MovedBack, AppError> {
    answer(backend()?.move_places_back(&workspace, &digest, break_glass).await)
}
