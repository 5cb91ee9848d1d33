//! Members of a workspace, and invitations into it.

use domain::{
    id::{InvitationId, UserId},
    name::Name,
    rights::Role,
    time::Timestamp,
};
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
