//! What an environment asks for, as people read and write it.

use crate::error::AppError;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What an environment asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyView {
    /// A sentence each.
    pub words: Vec<String>,
    /// As YAML; empty when it asks for nothing.
    pub text: String,
    /// Whether the actor may change it.
    pub may_edit: bool,
}

/// What an environment asks for.
///
/// # Errors
/// When there is no such environment for the actor.
#[server(name = ReadPolicy, prefix = "/api/ui", endpoint = "policy")]
pub async fn policy(workspace: String, project: String, environment: String) -> Result<PolicyView, AppError> {
    use crate::backend::{At, answer, backend};
    let at = At {
        workspace,
        project,
        environment,
    };
    answer(backend()?.policy(&at).await)
}

/// Writes what an environment asks for; `before` is the text that was read and edited, when that matters (`{}` where it asked for
/// nothing).
///
/// # Errors
/// In the field `policy` where the text is wrong; when the actor may not; when somebody else saved another one since.
#[server(prefix = "/api/ui", endpoint = "set_policy")]
pub async fn set_policy(
    workspace: String,
    project: String,
    environment: String,
    text: String,
    before: Option<String>,
) -> Result<(), AppError> {
    use crate::backend::{At, answer, backend};
    let at = At {
        workspace,
        project,
        environment,
    };
    answer(backend()?.set_policy(&at, &text, before.as_deref()).await)
}
