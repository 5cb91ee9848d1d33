//! Projects.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::project::*;

use leptos::prelude::*;

/// All projects of the actor's workspaces, by workspace and name.
///
/// # Errors
/// When nobody is signed in.
#[server(prefix = "/api/ui", endpoint = "projects")]
pub async fn projects() -> Result<Vec<ProjectView>, AppError> {
    answer(backend()?.projects().await)
}
