//! Where images of an environment come from, and which tags they get in the registry.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
#[cfg(feature = "ssr")]
use contract::backend::At;
use contract::error::AppError;

pub use contract::environment_images::*;

use leptos::prelude::*;

/// The images of an environment.
///
/// # Errors
/// When there is no such environment for the actor.
#[server(name = ReadEnvironmentImages, prefix = "/api/ui", endpoint = "environment_images")]
pub async fn environment_images(
    workspace: String,
    project: String,
    environment: String,
) -> Result<EnvironmentImagesView, AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.environment_images(&at).await)
}

/// Writes where images are copied to, and which tags they get.
///
/// # Errors
/// All that is wrong, by field; when the actor may not.
#[server(prefix = "/api/ui", endpoint = "set_environment_images")]
pub async fn set_environment_images(
    workspace: String,
    project: String,
    environment: String,
    draft: ImagesDraft,
) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.set_environment_images(&at, &draft).await)
}

/// Has all tags of an environment set again, whatever they name now.
///
/// # Errors
/// When the actor may not.
#[server(prefix = "/api/ui", endpoint = "set_tags_again")]
pub async fn set_tags_again(workspace: String, project: String, environment: String) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.set_tags_again(&at).await)
}
