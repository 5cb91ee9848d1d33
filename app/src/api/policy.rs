//! What an environment asks for, as people read and write it.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
#[cfg(feature = "ssr")]
use contract::backend::At;
use contract::error::AppError;

pub use contract::policy::*;

use leptos::prelude::*;

/// What an environment asks for.
///
/// # Errors
/// When there is no such environment for the actor.
#[server(name = ReadPolicy, prefix = "/api/ui", endpoint = "policy")]
pub async fn policy(workspace: String, project: String, environment: String) -> Result<PolicyView, AppError> {
    let at = At::new(workspace, project, environment);
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
    let at = At::new(workspace, project, environment);
    answer(backend()?.set_policy(&at, &text, before.as_deref()).await)
}
