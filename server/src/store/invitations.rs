//! Invitations into a workspace, by the hash of their link.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::parse,
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    environment::Workspace,
    id::{InvitationId, UserId, WorkspaceId},
    rights::Role,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// An invitation into a workspace; the key in its link isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The address that is invited, lower case.
    pub email: String,
    /// The role to have.
    pub role: Role,
    /// SHA-256 of the key, hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who invited them; `None` when nobody remembers.
    pub invited_by: Option<UserId>,
}

/// Invitations into a workspace, by the hash of their link.
#[async_trait]
pub trait Invitations: Send {
    /// Invitations into a workspace that can still be accepted, by address.
    async fn invitations(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;
    /// A new invitation.
    async fn insert_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError>;
    /// The invitation with this hash, if it can still be accepted, with its workspace.
    async fn invitation_by_hash(
        &mut self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<(Invitation, Workspace)>, StoreError>;
    /// Says that an invitation was accepted or withdrawn; `false` when it was already.
    async fn end_invitation(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError>;
}

const INVITATIONS: &str = "SELECT i.*, w.name AS workspace_name FROM invitations i \
     JOIN workspaces w ON w.id = i.workspace_id \
     WHERE i.workspace_id = $1 AND i.ended_at IS NULL AND i.expires_at > $2 ORDER BY i.email, i.id";
const INSERT_INVITATION: &str = "INSERT INTO invitations (id, workspace_id, email, role, hash, created_at, expires_at, \
     invited_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const INVITATION_BY_HASH: &str = "SELECT i.*, w.name AS workspace_name FROM invitations i \
     JOIN workspaces w ON w.id = i.workspace_id WHERE i.hash = $1 AND i.ended_at IS NULL AND i.expires_at > $2 AND w.removed_at IS NULL";
const END_INVITATION: &str = "UPDATE invitations SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";

#[async_trait]
impl<D: Dialect> Invitations for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn invitations(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        let found: Result<Vec<(Invitation, Workspace)>, StoreError> =
            all!(self, InvitationRow, INVITATIONS, workspace.to_string(), now.0);
        Ok(found?.into_iter().map(|(invitation, _)| invitation).collect())
    }

    async fn insert_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_INVITATION,
            invitation.id.to_string(),
            invitation.workspace.to_string(),
            &invitation.email,
            invitation.role.as_str(),
            &invitation.hash,
            invitation.created_at.0,
            invitation.expires_at.0,
            invitation.invited_by.map(|id| id.to_string()),
        )?;
        Ok(())
    }

    async fn invitation_by_hash(
        &mut self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<(Invitation, Workspace)>, StoreError> {
        one!(self, InvitationRow, INVITATION_BY_HASH, hash, now.0)
    }

    async fn end_invitation(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(run!(self, END_INVITATION, id.to_string(), at.0)? > 0)
    }
}

#[derive(FromRow)]
struct InvitationRow {
    id: String,
    workspace_id: String,
    workspace_name: String,
    email: String,
    role: String,
    hash: String,
    created_at: i64,
    expires_at: i64,
    invited_by: Option<String>,
}

impl TryFrom<InvitationRow> for (Invitation, Workspace) {
    type Error = StoreError;

    fn try_from(row: InvitationRow) -> Result<Self, StoreError> {
        let workspace = super::workspaces::named_workspace(&row.workspace_id, &row.workspace_name)?;
        let invitation = Invitation {
            id: parse("invitation id", &row.id)?,
            workspace: workspace.id,
            email: row.email,
            role: parse("role", &row.role)?,
            hash: row.hash,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
            invited_by: row.invited_by.map(|id| parse("user id", &id)).transpose()?,
        };
        Ok((invitation, workspace))
    }
}
