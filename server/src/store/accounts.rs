//! People's accounts, and the workspaces that they are members of.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::{parse, text},
    tx::{SqlTx, all, one, run},
    workspaces::WorkspaceRow,
};
use async_trait::async_trait;
use domain::{
    environment::Workspace,
    id::{UserId, WorkspaceId},
    rights::Role,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// E-mail address, lower case.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// Argon2id hash of the password, as a PHC string; empty when there is none: the person comes through single sign-on.
    pub password_hash: String,
    /// Whether it may sign in.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl User {
    /// Whether the account has a password of its own.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.password_hash.is_empty()
    }
}

/// People's accounts, and the workspaces that they are members of.
#[async_trait]
pub trait Accounts: Send {
    /// How many accounts there are.
    async fn count_users(&mut self) -> Result<i64, StoreError>;
    /// The account with this id.
    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The account with this address, in lower case.
    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError>;
    /// Of the accounts that may be used and administer something (or else of all that may be used) the one that was made first; `None`
    /// when there is none.
    async fn first_user(&mut self) -> Result<Option<User>, StoreError>;
    /// A new account.
    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError>;
    /// Workspaces of a person with the role in each, by name.
    async fn memberships(&mut self, user: UserId) -> Result<Vec<(Workspace, Role)>, StoreError>;
    /// Makes a person a member with a role, or changes the role.
    async fn set_membership(&mut self, workspace: WorkspaceId, user: UserId, role: Role) -> Result<(), StoreError>;
}

const COUNT_USERS: &str = "SELECT COUNT(*) FROM users";
const USER: &str = "SELECT * FROM users WHERE id = $1";
const USER_BY_EMAIL: &str = "SELECT * FROM users WHERE email = $1";

/// Who administers something comes first: the others may have been shown the door.
const FIRST_USER: &str = "SELECT u.* FROM users u WHERE u.active ORDER BY CASE WHEN EXISTS \
     (SELECT 1 FROM memberships m WHERE m.user_id = u.id AND m.role = 'admin') THEN 0 ELSE 1 END, u.created_at, u.id LIMIT 1";
const INSERT_USER: &str =
    "INSERT INTO users (id, email, name, password_hash, active, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
const MEMBERSHIPS: &str = "SELECT w.id, w.name, m.role FROM memberships m \
     JOIN workspaces w ON w.id = m.workspace_id AND w.removed_at IS NULL WHERE m.user_id = $1 ORDER BY w.name";
const SET_MEMBERSHIP: &str = "INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, $3) \
     ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role";

#[derive(FromRow)]
pub(crate) struct MembershipRow {
    #[sqlx(flatten)]
    workspace: WorkspaceRow,
    role: String,
}

impl TryFrom<MembershipRow> for (Workspace, Role) {
    type Error = StoreError;

    fn try_from(row: MembershipRow) -> Result<Self, StoreError> {
        Ok((row.workspace.try_into()?, parse("role", &row.role)?))
    }
}

#[derive(FromRow)]
pub(crate) struct UserRow {
    id: String,
    email: String,
    name: String,
    password_hash: String,
    active: bool,
    created_at: i64,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("user id", &row.id)?,
            email: row.email,
            name: row.name,
            password_hash: row.password_hash,
            active: row.active,
            created_at: Timestamp(row.created_at),
        })
    }
}

#[async_trait]
impl<D: Dialect> Accounts for SqlTx<D>
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
    async fn count_users(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(COUNT_USERS).fetch_one(&mut self.tx).await?)
    }

    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        one!(self, UserRow, USER, id.to_string())
    }

    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        one!(self, UserRow, USER_BY_EMAIL, text(email))
    }

    async fn first_user(&mut self) -> Result<Option<User>, StoreError> {
        one!(self, UserRow, FIRST_USER)
    }

    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_USER,
            user.id.to_string(),
            &user.email,
            &user.name,
            &user.password_hash,
            user.active,
            user.created_at.0,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn memberships(&mut self, user: UserId) -> Result<Vec<(Workspace, Role)>, StoreError> {
        all!(self, MembershipRow, MEMBERSHIPS, user.to_string())
    }

    async fn set_membership(&mut self, workspace: WorkspaceId, user: UserId, role: Role) -> Result<(), StoreError> {
        run!(
            self,
            SET_MEMBERSHIP,
            workspace.to_string(),
            user.to_string(),
            role.as_str()
        )?;
        Ok(())
    }
}
