//! Workspaces by name.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::{parse, text},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{environment::Workspace, time::Timestamp};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// Workspaces by name.
#[async_trait]
pub trait Workspaces: Send {
    /// All workspaces, by name.
    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError>;
    /// The workspace of this name.
    async fn workspace_by_name(&mut self, name: &str) -> Result<Option<Workspace>, StoreError>;
    /// A new workspace.
    async fn insert_workspace(&mut self, workspace: &Workspace, at: Timestamp) -> Result<(), StoreError>;
}

const WORKSPACES: &str = "SELECT id, name FROM workspaces WHERE removed_at IS NULL ORDER BY name";
const WORKSPACE_BY_NAME: &str = "SELECT id, name FROM workspaces WHERE name = $1 AND removed_at IS NULL";
const INSERT_WORKSPACE: &str = "INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)";

#[derive(FromRow)]
pub(crate) struct WorkspaceRow {
    id: String,
    name: String,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: WorkspaceRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("workspace id", &row.id)?,
            name: parse("workspace name", &row.name)?,
        })
    }
}

#[async_trait]
impl<D: Dialect> Workspaces for SqlTx<D>
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
    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError> {
        all!(self, WorkspaceRow, WORKSPACES)
    }

    async fn workspace_by_name(&mut self, name: &str) -> Result<Option<Workspace>, StoreError> {
        one!(self, WorkspaceRow, WORKSPACE_BY_NAME, text(name))
    }

    async fn insert_workspace(&mut self, workspace: &Workspace, at: Timestamp) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_WORKSPACE,
            workspace.id.to_string(),
            workspace.name.as_str(),
            at.0
        )
        .map_err(taken)?;
        Ok(())
    }
}

pub(super) fn named_workspace(id: &str, name: &str) -> Result<Workspace, StoreError> {
    Ok(Workspace {
        id: parse("workspace id", id)?,
        name: parse("workspace name", name)?,
    })
}
