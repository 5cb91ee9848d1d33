//! Groups of members.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::group::*;

use leptos::prelude::*;

/// The groups of a workspace, and who could be in them.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadGroups, prefix = "/api/ui", endpoint = "groups")]
pub async fn groups(workspace: String) -> Result<GroupsView, AppError> {
    answer(backend()?.groups(&workspace).await)
}

/// Makes a group.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the name is taken or malformed.
#[server(prefix = "/api/ui", endpoint = "create_group")]
pub async fn create_group(workspace: String, name: String) -> Result<(), AppError> {
    answer(backend()?.create_group(&workspace, &name).await)
}

/// Puts a member into a group.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such group or member.
#[server(prefix = "/api/ui", endpoint = "join_group")]
pub async fn join_group(workspace: String, group: String, user: String) -> Result<(), AppError> {
    answer(backend()?.join_group(&workspace, &group, &user).await)
}

/// Takes a member out of a group.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such group or member.
#[server(prefix = "/api/ui", endpoint = "leave_group")]
pub async fn leave_group(workspace: String, group: String, user: String) -> Result<(), AppError> {
    answer(backend()?.leave_group(&workspace, &group, &user).await)
}
