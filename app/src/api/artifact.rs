//! The life of an image.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::custody::*;

use leptos::prelude::*;

/// The life of an image, as far as the actor may see it.
///
/// # Errors
/// When the workspace knows no such image, or the actor no such workspace.
#[server(name = ReadCustody, prefix = "/api/ui", endpoint = "custody")]
pub async fn custody(workspace: String, digest: String) -> Result<Custody, AppError> {
    answer(backend()?.custody(&workspace, &digest).await)
}
