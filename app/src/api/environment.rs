//! One environment, and the form that creates a resource in it.

use crate::{
    api::board::{Cell, EnvironmentHead},
    error::AppError,
};
use domain::{
    draft::{FormOptions, ResourceDraft},
    id::PromotionId,
    name::Name,
    time::Timestamp,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// An environment with its resources.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnvironmentView {
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The environment.
    pub head: EnvironmentHead,
    /// Why the actor may not change what runs, and who may; `None` when they may.
    pub denied: Option<String>,
    /// Its values file in the repository.
    pub values_path: String,
    /// Its Argo CD Application, if it has one.
    pub application: Option<String>,
    /// That the Application follows another branch than Waybill commits to, with what to do; `None` while nothing says so.
    pub other_branch: Option<String>,
    /// What it asks for before an image may run in it, a sentence each.
    pub policy: Vec<String>,
    /// Who stopped the line here.
    pub stops: Vec<StopView>,
    /// Whether the actor may stop the line.
    pub may_stop: bool,
    /// Whether the actor may delete it.
    pub may_remove: bool,
    /// Its resources, by name.
    pub resources: Vec<(Name, Cell)>,
    /// When this was read.
    pub now: Timestamp,
}

/// Somebody stopped the line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StopView {
    /// Of the whole project, not only of this environment.
    pub of_project: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Whether the actor may let it go on.
    pub may_lift: bool,
}

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
    use crate::backend::{At, answer, backend};
    let at = At {
        workspace,
        project,
        environment,
    };
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
    use crate::backend::{At, answer, backend};
    let at = At {
        workspace,
        project,
        environment,
    };
    answer(backend()?.resume_line(&at, of_project).await)
}

/// One environment with its resources.
///
/// # Errors
/// When there is no such environment for the actor.
#[server(prefix = "/api/ui", endpoint = "environment")]
pub async fn environment(workspace: String, project: String, environment: String) -> Result<EnvironmentView, AppError> {
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .environment(&At {
                workspace,
                project,
                environment,
            })
            .await,
    )
}

/// What the form Create Resource offers in an environment.
///
/// # Errors
/// When there is no such environment for the actor, or the actor may not change it.
#[server(name = ReadFormOptions, prefix = "/api/ui", endpoint = "form_options")]
pub async fn form_options(workspace: String, project: String, environment: String) -> Result<FormOptions, AppError> {
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .form_options(&At {
                workspace,
                project,
                environment,
            })
            .await,
    )
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
    use crate::backend::{At, answer, backend};
    answer(
        backend()?
            .create_resource(
                &At {
                    workspace,
                    project,
                    environment,
                },
                draft,
            )
            .await,
    )
}
