//! Hosts of source repositories that administrators listed, each with the user that reads there.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::parse,
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{
    id::{SourceHostId, WorkspaceId},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A listed host with its sealed token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceHostRecord {
    /// Its id.
    pub id: SourceHostId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The host, with its port where it has one of its own.
    pub host: String,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// Who reads; `None`: nobody signs in.
    pub user: Option<String>,
    /// That user's token, sealed.
    pub token: Option<String>,
    /// The name of whoever listed it.
    pub added_by: String,
    /// When.
    pub added_at: Timestamp,
}

/// Hosts of source repositories.
/// `put_…` inserts, or replaces what may change of the row with this id.
#[async_trait]
pub trait SourceHosts: Send {
    /// The hosts of a workspace, by name.
    async fn source_hosts(&mut self, workspace: WorkspaceId) -> Result<Vec<SourceHostRecord>, StoreError>;
    /// Inserts or changes a host. Fails with [`StoreError::Exists`] when the workspace lists it already.
    async fn put_source_host(&mut self, host: &SourceHostRecord) -> Result<(), StoreError>;
    /// Removes a host with its token.
    async fn remove_source_host(&mut self, id: SourceHostId) -> Result<(), StoreError>;
}

const SOURCE_HOSTS: &str = "SELECT * FROM source_hosts WHERE workspace_id = $1 ORDER BY host";
const PUT_SOURCE_HOST: &str = "INSERT INTO source_hosts (id, workspace_id, host, plain_http, read_user, token, added_by, added_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (id) DO UPDATE SET plain_http = excluded.plain_http, read_user = excluded.read_user, token = excluded.token";
const REMOVE_SOURCE_HOST: &str = "DELETE FROM source_hosts WHERE id = $1";

#[derive(FromRow)]
struct SourceHostRow {
    id: String,
    workspace_id: String,
    host: String,
    plain_http: bool,
    read_user: Option<String>,
    token: Option<String>,
    added_by: String,
    added_at: i64,
}

impl TryFrom<SourceHostRow> for SourceHostRecord {
    type Error = StoreError;

    fn try_from(row: SourceHostRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("source host id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            host: row.host,
            plain_http: row.plain_http,
            user: row.read_user,
            token: row.token,
            added_by: row.added_by,
            added_at: Timestamp(row.added_at),
        })
    }
}

#[async_trait]
impl<D: Dialect> SourceHosts for SqlTx<D>
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
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn source_hosts(&mut self, workspace: WorkspaceId) -> Result<Vec<SourceHostRecord>, StoreError> {
        all!(self, SourceHostRow, SOURCE_HOSTS, workspace.to_string())
    }

    async fn put_source_host(&mut self, host: &SourceHostRecord) -> Result<(), StoreError> {
        run!(
            self,
            PUT_SOURCE_HOST,
            host.id.to_string(),
            host.workspace.to_string(),
            host.host.as_str(),
            host.plain_http,
            host.user.as_deref(),
            host.token.as_deref(),
            host.added_by.as_str(),
            host.added_at.0,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn remove_source_host(&mut self, id: SourceHostId) -> Result<(), StoreError> {
        run!(self, REMOVE_SOURCE_HOST, id.to_string())?;
        Ok(())
    }
}
