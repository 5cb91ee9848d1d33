//! Who people are for a provider of single sign-on, and the groups they are in because it says so.

use super::{
    StoreError, User,
    accounts::UserRow,
    dialect::{Dialect, Stored, taken},
    rows::parse,
    tx::{SqlTx, one, run},
};
use async_trait::async_trait;
use domain::{
    id::{GroupId, UserId, WorkspaceId},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, IntoArguments, Type};

/// Identities of single sign-on, as a part of a transaction.
#[async_trait]
pub trait Identities: Send {
    /// The account of who is `subject` for `issuer`.
    async fn user_by_identity(&mut self, issuer: &str, subject: &str) -> Result<Option<User>, StoreError>;
    /// Whether a person is known to `issuer`.
    async fn has_identity(&mut self, user: UserId, issuer: &str) -> Result<bool, StoreError>;
    /// Says who somebody is. Fails with [`StoreError::Exists`] when `subject` is somebody else, or the person is another.
    async fn insert_identity(
        &mut self,
        user: UserId,
        issuer: &str,
        subject: &str,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Puts a person into a group because the provider says so; `false` when they were in it, whoever put them there.
    async fn join_group_through_sso(&mut self, group: GroupId, user: UserId) -> Result<bool, StoreError>;
    /// The groups of a workspace that a person is in because the provider said so.
    async fn groups_through_sso(&mut self, workspace: WorkspaceId, user: UserId) -> Result<Vec<GroupId>, StoreError>;
}

const USER_BY_IDENTITY: &str =
    "SELECT u.* FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2";
const HAS_IDENTITY: &str = "SELECT COUNT(*) FROM identities WHERE user_id = $1 AND issuer = $2";
const INSERT_IDENTITY: &str = "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)";
const JOIN_GROUP: &str = "INSERT INTO group_members (group_id, user_id, through_sso) VALUES ($1, $2, TRUE) \
     ON CONFLICT DO NOTHING";
const GROUPS_THROUGH_SSO: &str = "SELECT m.group_id FROM group_members m JOIN groups g ON g.id = m.group_id \
     WHERE g.workspace_id = $1 AND m.user_id = $2 AND m.through_sso ORDER BY g.name";

#[async_trait]
impl<D: Dialect> Identities for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
{
    async fn user_by_identity(&mut self, issuer: &str, subject: &str) -> Result<Option<User>, StoreError> {
        one!(self, UserRow, USER_BY_IDENTITY, issuer, subject)
    }

    async fn has_identity(&mut self, user: UserId, issuer: &str) -> Result<bool, StoreError> {
        let count = sqlx::query_scalar::<D, i64>(HAS_IDENTITY)
            .bind(user.to_string())
            .bind(issuer)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(count > 0)
    }

    async fn insert_identity(
        &mut self,
        user: UserId,
        issuer: &str,
        subject: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        run!(self, INSERT_IDENTITY, issuer, subject, user.to_string(), at.0).map_err(taken)?;
        Ok(())
    }

    async fn join_group_through_sso(&mut self, group: GroupId, user: UserId) -> Result<bool, StoreError> {
        Ok(run!(self, JOIN_GROUP, group.to_string(), user.to_string())? > 0)
    }

    async fn groups_through_sso(&mut self, workspace: WorkspaceId, user: UserId) -> Result<Vec<GroupId>, StoreError> {
        let ids = sqlx::query_scalar::<D, String>(GROUPS_THROUGH_SSO)
            .bind(workspace.to_string())
            .bind(user.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().map(|id| parse("group id", id)).collect()
    }
}
