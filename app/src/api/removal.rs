//! Deleting a resource, an environment, a project, a cluster, a workspace: what it means, and doing it.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::removal::*;

use domain::removal::RemovalChoices;
use leptos::prelude::*;

/// What deleting something means.
///
/// # Errors
/// When there is no such thing for the actor, or they may not delete it.
#[server(name = ReadRemoval, prefix = "/api/ui", endpoint = "removal")]
pub async fn removal(target: Removing) -> Result<RemovalView, AppError> {
    answer(backend()?.removal(&target).await)
}

/// Deletes something; its history stays. `typed` is a workspace's name once more, typed by who means it.
///
/// # Errors
/// As [`removal`]; when something is in the way; in the field `typed`.
#[server(prefix = "/api/ui", endpoint = "remove")]
pub async fn remove(
    target: Removing,
    #[server(default)] choices: RemovalChoices,
    #[server(default)] typed: String,
) -> Result<Removed, AppError> {
    answer(backend()?.remove(&target, choices, &typed).await)
}
