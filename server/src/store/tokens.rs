//! API tokens, by the hash of their text.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::parse,
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    environment::Workspace,
    id::{EnvironmentId, ProjectId, TokenId, UserId, WorkspaceId},
    rights::Role,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// An API token; the token itself isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// The one project that it is for; `None` for the whole workspace.
    pub project: Option<ProjectId>,
    /// The one environment of that project that it is for.
    pub environment: Option<EnvironmentId>,
    /// Who made it: it can do no more than they may, and ends with them. `None` when it was made on the database itself.
    pub made_by: Option<UserId>,
}

/// API tokens, by the hash of their text.
#[async_trait]
pub trait Tokens: Send {
    /// Fails with [`StoreError::Exists`] when the workspace has a token of this name.
    async fn insert_token(&mut self, token: &ApiToken) -> Result<(), StoreError>;
    /// The token with this hash and its workspace; also when it has ended.
    async fn token_by_hash(&mut self, hash: &str) -> Result<Option<(ApiToken, Workspace)>, StoreError>;
    /// Tokens of a workspace that aren't withdrawn, by name.
    async fn tokens(&mut self, workspace: WorkspaceId) -> Result<Vec<ApiToken>, StoreError>;
    /// Remembers that a token was used.
    async fn token_used(&mut self, id: TokenId, at: Timestamp) -> Result<(), StoreError>;
    /// Withdraws a token; `false` when it was withdrawn before.
    async fn revoke_token(&mut self, id: TokenId, at: Timestamp) -> Result<bool, StoreError>;
    /// Withdraws the tokens that a person made, in one workspace or in all.
    async fn revoke_tokens_of(
        &mut self,
        user: UserId,
        workspace: Option<WorkspaceId>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

const INSERT_TOKEN: &str = "INSERT INTO api_tokens (id, workspace_id, name, role, hash, created_at, expires_at, \
     revoked_at, project_id, environment_id, made_by, last_used_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const TOKEN_BY_HASH: &str = "SELECT t.*, w.name AS workspace_name FROM api_tokens t \
     JOIN workspaces w ON w.id = t.workspace_id AND w.removed_at IS NULL WHERE t.hash = $1";
const TOKENS: &str = "SELECT t.*, w.name AS workspace_name FROM api_tokens t \
     JOIN workspaces w ON w.id = t.workspace_id WHERE t.workspace_id = $1 AND t.revoked_at IS NULL ORDER BY t.name";
const TOKEN_USED: &str = "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1";
const REVOKE_TOKEN: &str = "UPDATE api_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const REVOKE_TOKENS_OF: &str = "UPDATE api_tokens SET revoked_at = $3 WHERE made_by = $1 AND revoked_at IS NULL \
     AND workspace_id = COALESCE($2, workspace_id)";

#[async_trait]
impl<D: Dialect> Tokens for SqlTx<D>
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
    async fn insert_token(&mut self, token: &ApiToken) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_TOKEN,
            token.id.to_string(),
            token.workspace.to_string(),
            &token.name,
            token.role.as_str(),
            &token.hash,
            token.created_at.0,
            token.expires_at.map(|t| t.0),
            token.revoked_at.map(|t| t.0),
            token.project.map(|id| id.to_string()),
            token.environment.map(|id| id.to_string()),
            token.made_by.map(|id| id.to_string()),
            token.last_used_at.map(|t| t.0),
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn token_by_hash(&mut self, hash: &str) -> Result<Option<(ApiToken, Workspace)>, StoreError> {
        one!(self, TokenRow, TOKEN_BY_HASH, hash)
    }

    async fn tokens(&mut self, workspace: WorkspaceId) -> Result<Vec<ApiToken>, StoreError> {
        let found: Result<Vec<(ApiToken, Workspace)>, StoreError> = all!(self, TokenRow, TOKENS, workspace.to_string());
        Ok(found?.into_iter().map(|(token, _)| token).collect())
    }

    async fn token_used(&mut self, id: TokenId, at: Timestamp) -> Result<(), StoreError> {
        run!(self, TOKEN_USED, id.to_string(), at.0)?;
        Ok(())
    }

    async fn revoke_token(&mut self, id: TokenId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(run!(self, REVOKE_TOKEN, id.to_string(), at.0)? > 0)
    }

    async fn revoke_tokens_of(
        &mut self,
        user: UserId,
        workspace: Option<WorkspaceId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let workspace = workspace.map(|id| id.to_string());
        run!(self, REVOKE_TOKENS_OF, user.to_string(), workspace, at.0)?;
        Ok(())
    }
}

#[derive(FromRow)]
struct TokenRow {
    id: String,
    workspace_id: String,
    workspace_name: String,
    name: String,
    role: String,
    hash: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
    project_id: Option<String>,
    environment_id: Option<String>,
    made_by: Option<String>,
}

impl TryFrom<TokenRow> for (ApiToken, Workspace) {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let workspace = super::workspaces::named_workspace(&row.workspace_id, &row.workspace_name)?;
        let token = ApiToken {
            id: parse("token id", &row.id)?,
            workspace: workspace.id,
            name: row.name,
            role: parse("role", &row.role)?,
            hash: row.hash,
            created_at: Timestamp(row.created_at),
            expires_at: row.expires_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
            revoked_at: row.revoked_at.map(Timestamp),
            project: row.project_id.map(|id| parse("project id", &id)).transpose()?,
            environment: row.environment_id.map(|id| parse("environment id", &id)).transpose()?,
            made_by: row.made_by.map(|id| parse("user id", &id)).transpose()?,
        };
        Ok((token, workspace))
    }
}
