//! One environment, and the form that creates a resource in it.

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

/// Pauses promotions to an environment, or to all of its project.
///
/// # Errors
/// In the field `reason` without one; when the actor may not, or it is paused already.
#[server(prefix = "/api/ui", endpoint = "pause_promotions")]
pub async fn pause_promotions(
    workspace: String,
    project: String,
    environment: String,
    of_project: bool,
    reason: String,
) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.pause_promotions(&at, of_project, &reason).await)
}

/// Resumes promotions.
///
/// # Errors
/// When the actor may not, or nobody paused it.
#[server(prefix = "/api/ui", endpoint = "resume_promotions")]
pub async fn resume_promotions(
    workspace: String,
    project: String,
    environment: String,
    of_project: bool,
) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.resume_promotions(&at, of_project).await)
}

/// Says that a digest which a resource runs, and nobody promoted, is right.
///
/// # Errors
/// In the fields `digest` and `reason`; when it doesn't run, Git declares another, it is recalled, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "adopt")]
pub async fn adopt(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    digest: String,
    reason: String,
) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.adopt(&at, &resource, &digest, &reason).await)
}

/// Says so of all such digests of an environment that Git declares.
///
/// # Errors
/// When there is none, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "adopt_all")]
pub async fn adopt_all(workspace: String, project: String, environment: String) -> Result<(), AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.adopt_all(&at).await)
}

/// Promotes what Git declares for a resource that runs what nobody promoted; the promotion's id.
///
/// # Errors
/// When all that it runs was promoted, Git declares no exact image or a recalled one, or the actor may not.
#[server(prefix = "/api/ui", endpoint = "promote_declared")]
pub async fn promote_declared(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
) -> Result<PromotionId, AppError> {
    let at = At::new(workspace, project, environment);
    answer(backend()?.promote_declared(&at, &resource).await)
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
