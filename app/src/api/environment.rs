//! One environment, and the form that creates a resource in it.

#[cfg(feature = "ssr")]
#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
#[cfg(feature = "ssr")]
use contract::backend::At;

pub use contract::environment::*;

use contract::error::AppError;
use domain::{
    draft::{FormOptions, ResourceDraft},
    id::PromotionId,
};
use leptos::prelude::*;

/// Stops the line of an environment, or of its whole project.
///
/// # Errors
/// In the field `reason` without one; when the actor may not, or it is stopped already.
#[server(prefix = "/api/ui", endpoint = "stop_line")]
pub async fn stop_line(
    workspace: String,
    project: String,
    environment: String,
    of_project: bool,
    reason: String,
) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.stop_line(&at, of_project, &reason).await)
}

/// Lets the line go on.
///
/// # Errors
/// When the actor may not, or nobody stopped it.
#[server(prefix = "/api/ui", endpoint = "resume_line")]
pub async fn resume_line(
    workspace: String,
    project: String,
    environment: String,
    of_project: bool,
) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.resume_line(&at, of_project).await)
}

/// One environment with its resources.
///
/// # Errors
/// When there is no such environment for the actor.
#[server(prefix = "/api/ui", endpoint = "environment")]
pub async fn environment(workspace: String, project: String, environment: String) -> Result<EnvironmentView, AppError> {
    answer(backend()?.environment(&At::new(workspace, project, environment)).await)
}

/// What the form Create Resource offers in an environment.
///
/// # Errors
/// When there is no such environment for the actor, or the actor may not change it.
#[server(name = ReadFormOptions, prefix = "/api/ui", endpoint = "form_options")]
pub async fn form_options(workspace: String, project: String, environment: String) -> Result<FormOptions, AppError> {
    answer(backend()?.form_options(&At::new(workspace, project, environment)).await)
}

/// Creates a resource and starts its first promotion, whose id it returns.
///
/// # Errors
/// All that is wrong with the draft, by field; or why it can't be done now.
#[server(prefix = "/api/ui", endpoint = "create_resource")]
pub async fn create_resource(
    workspace: String,
    project: String,
    environment: String,
    draft: ResourceDraft,
) -> Result<PromotionId, AppError> {
    answer(
        backend()?
            .create_resource(&At::new(workspace, project, environment), draft)
            .await,
    )
}
