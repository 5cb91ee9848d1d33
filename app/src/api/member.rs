//! Members of a workspace, and invitations into it.

use crate::error::AppError;
use domain::{
    id::{InvitationId, UserId},
    name::Name,
    rights::Role,
    time::Timestamp,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The members of a workspace, and who is invited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembersView {
    /// The workspace.
    pub workspace: Name,
    /// Its members, by address.
    pub members: Vec<MemberView>,
    /// Invitations that can still be accepted, by address.
    pub invitations: Vec<InvitationRow>,
}

/// A member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberView {
    /// The account's id.
    pub id: UserId,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The role in the workspace.
    pub role: Role,
    /// Whether the account may be used.
    pub active: bool,
    /// Whether it is who looks.
    pub you: bool,
    /// Whether who looks may close the account: they administer all of its workspaces.
    pub may_deactivate: bool,
    /// The member's groups.
    pub groups: Vec<Name>,
}

/// An invitation in the list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InvitationRow {
    /// Its id.
    pub id: InvitationId,
    /// Who is invited.
    pub email: String,
    /// The role to have.
    pub role: Role,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A new invitation's link; shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationLink {
    /// Who is invited.
    pub email: String,
    /// The link, with its key.
    pub link: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for InvitationLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitationLink")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// What an invitation is for, for who has its key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InvitationView {
    /// The workspace.
    pub workspace: Name,
    /// Who is invited.
    pub email: String,
    /// The role to have.
    pub role: Role,
    /// Whether the address has an account already.
    pub known: bool,
    /// Whether that account has no password: its owner signs in elsewhere first.
    pub needs_sso: bool,
    /// Whether who looks is signed in with that account.
    pub yours: bool,
    /// Whom people may sign in through, by the name that they call it.
    pub sso: Option<String>,
}

/// The members of a workspace, and who is invited.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadMembers, prefix = "/api/ui", endpoint = "members")]
pub async fn members(workspace: String) -> Result<MembersView, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.members(&workspace).await)
}

/// Gives a member another role.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the member is its last administrator.
#[server(prefix = "/api/ui", endpoint = "set_role")]
pub async fn set_role(workspace: String, user: String, role: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.set_role(&workspace, &user, &role).await)
}

/// Takes a member out of the workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the member is its last administrator.
#[server(prefix = "/api/ui", endpoint = "remove_member")]
pub async fn remove_member(workspace: String, user: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.remove_member(&workspace, &user).await)
}

/// Closes a member's account.
///
/// # Errors
/// When the actor doesn't administer all of its workspaces, or it is the last administrator of one.
#[server(prefix = "/api/ui", endpoint = "deactivate")]
pub async fn deactivate(workspace: String, user: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.deactivate(&workspace, &user).await)
}

/// Opens a closed account again.
///
/// # Errors
/// When the actor doesn't administer all of its workspaces.
#[server(prefix = "/api/ui", endpoint = "activate")]
pub async fn activate(workspace: String, user: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.activate(&workspace, &user).await)
}

/// Invites an address into a workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace, or it is no address, or one of a member.
#[server(prefix = "/api/ui", endpoint = "invite")]
pub async fn invite(workspace: String, email: String, role: String) -> Result<InvitationLink, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.invite(&workspace, &email, &role).await)
}

/// Takes an invitation back.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such invitation.
#[server(prefix = "/api/ui", endpoint = "withdraw_invitation")]
pub async fn withdraw_invitation(workspace: String, invitation: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.withdraw_invitation(&workspace, &invitation).await)
}

/// What an invitation is for.
///
/// # Errors
/// When it ended, was accepted, or never was.
#[server(name = ReadInvitation, prefix = "/api/ui", endpoint = "invitation")]
pub async fn invitation(key: String) -> Result<InvitationView, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.invitation(&key).await)
}

/// Accepts an invitation and begins a session.
///
/// # Errors
/// When it can't be accepted any more, or name or password are refused.
#[server(prefix = "/api/ui", endpoint = "accept_invitation")]
pub async fn accept_invitation(key: String, name: String, password: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.accept_invitation(&key, &name, &password).await)
}
