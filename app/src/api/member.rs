//! Members of a workspace, and invitations into it.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::member::*;

use leptos::prelude::*;

/// The members of a workspace, and who is invited.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadMembers, prefix = "/api/ui", endpoint = "members")]
pub async fn members(workspace: String) -> Result<MembersView, AppError> {
    answer(backend()?.members(&workspace).await)
}

/// Gives a member another role.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the member is its last administrator.
#[server(prefix = "/api/ui", endpoint = "set_role")]
pub async fn set_role(workspace: String, user: String, role: String) -> Result<(), AppError> {
    answer(backend()?.set_role(&workspace, &user, &role).await)
}

/// Takes a member out of the workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the member is its last administrator.
#[server(prefix = "/api/ui", endpoint = "remove_member")]
pub async fn remove_member(workspace: String, user: String) -> Result<(), AppError> {
    answer(backend()?.remove_member(&workspace, &user).await)
}

/// Closes a member's account.
///
/// # Errors
/// When the actor doesn't administer all of its workspaces, or it is the last administrator of one.
#[server(prefix = "/api/ui", endpoint = "deactivate")]
pub async fn deactivate(workspace: String, user: String) -> Result<(), AppError> {
    answer(backend()?.deactivate(&workspace, &user).await)
}

/// Opens a closed account again.
///
/// # Errors
/// When the actor doesn't administer all of its workspaces.
#[server(prefix = "/api/ui", endpoint = "activate")]
pub async fn activate(workspace: String, user: String) -> Result<(), AppError> {
    answer(backend()?.activate(&workspace, &user).await)
}

/// Invites an address into a workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace, or it is no address, or one of a member.
#[server(prefix = "/api/ui", endpoint = "invite")]
pub async fn invite(workspace: String, email: String, role: String) -> Result<InvitationLink, AppError> {
    answer(backend()?.invite(&workspace, &email, &role).await)
}

/// Takes an invitation back.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such invitation.
#[server(prefix = "/api/ui", endpoint = "withdraw_invitation")]
pub async fn withdraw_invitation(workspace: String, invitation: String) -> Result<(), AppError> {
    answer(backend()?.withdraw_invitation(&workspace, &invitation).await)
}

/// What an invitation is for.
///
/// # Errors
/// When it ended, was accepted, or never was.
#[server(name = ReadInvitation, prefix = "/api/ui", endpoint = "invitation")]
pub async fn invitation(key: String) -> Result<InvitationView, AppError> {
    answer(backend()?.invitation(&key).await)
}

/// Accepts an invitation and begins a session.
///
/// # Errors
/// When it can't be accepted any more, or name or password are refused.
#[server(prefix = "/api/ui", endpoint = "accept_invitation")]
pub async fn accept_invitation(key: String, name: String, password: String) -> Result<(), AppError> {
    answer(backend()?.accept_invitation(&key, &name, &password).await)
}
