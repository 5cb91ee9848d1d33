//! Groups of members.

use crate::error::AppError;
use domain::{id::UserId, name::Name};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The groups of a workspace, and who could be in them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupsView {
    /// The workspace.
    pub workspace: Name,
    /// Its groups, by name.
    pub groups: Vec<GroupView>,
    /// Its members, by address.
    pub people: Vec<Person>,
}

/// A group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: Name,
    /// Who is in it, by address.
    pub members: Vec<Person>,
}

/// A member, as far as a group shows them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The account's id.
    pub id: UserId,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// The groups of a workspace, and who could be in them.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadGroups, prefix = "/api/ui", endpoint = "groups")]
pub async fn groups(workspace: String) -> Result<GroupsView, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.groups(&workspace).await)
}

/// Makes a group.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the name is taken or malformed.
#[server(prefix = "/api/ui", endpoint = "create_group")]
pub async fn create_group(workspace: String, name: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.create_group(&workspace, &name).await)
}

/// Puts a member into a group.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such group or member.
#[server(prefix = "/api/ui", endpoint = "join_group")]
pub async fn join_group(workspace: String, group: String, user: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.join_group(&workspace, &group, &user).await)
}

/// Takes a member out of a group.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such group or member.
#[server(prefix = "/api/ui", endpoint = "leave_group")]
pub async fn leave_group(workspace: String, group: String, user: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.leave_group(&workspace, &group, &user).await)
}
