//! Trusted roots of workspaces: whose certificates, logs and timestamps count for keyless signatures.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::parse,
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{id::WorkspaceId, name::Name, time::Timestamp};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A trusted root, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRootRecord {
    /// What policies call it.
    pub name: Name,
    /// The text of `trusted_root.json`.
    pub document: String,
    /// When it was given.
    pub created_at: Timestamp,
}

/// Trusted roots.
#[async_trait]
pub trait StoredRoots: Send {
    /// Those of a workspace, by name.
    async fn trusted_roots(&mut self, workspace: WorkspaceId) -> Result<Vec<TrustedRootRecord>, StoreError>;
    /// Adds a root, or replaces the one of this name.
    async fn put_trusted_root(&mut self, workspace: WorkspaceId, root: &TrustedRootRecord) -> Result<(), StoreError>;
    /// Removes a root.
    async fn remove_trusted_root(&mut self, workspace: WorkspaceId, name: &Name) -> Result<(), StoreError>;
}

const TRUSTED_ROOTS: &str = "SELECT * FROM trusted_roots WHERE workspace_id = $1 ORDER BY name";
const PUT_TRUSTED_ROOT: &str = "INSERT INTO trusted_roots (workspace_id, name, document, created_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (workspace_id, name) DO UPDATE SET document = excluded.document, created_at = excluded.created_at";
const REMOVE_TRUSTED_ROOT: &str = "DELETE FROM trusted_roots WHERE workspace_id = $1 AND name = $2";

#[derive(FromRow)]
struct RootRow {
    name: String,
    document: String,
    created_at: i64,
}

impl TryFrom<RootRow> for TrustedRootRecord {
    type Error = StoreError;

    fn try_from(row: RootRow) -> Result<Self, StoreError> {
        Ok(Self {
            name: parse("trusted root name", &row.name)?,
            document: row.document,
            created_at: Timestamp(row.created_at),
        })
    }
}

#[async_trait]
impl<D: Dialect> StoredRoots for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    str: Type<D>,
    i64: Stored<D>,
    String: Stored<D>,
    for<'v> &'v str: Encode<'v, D>,
{
    async fn trusted_roots(&mut self, workspace: WorkspaceId) -> Result<Vec<TrustedRootRecord>, StoreError> {
        all!(self, RootRow, TRUSTED_ROOTS, workspace.to_string())
    }

    async fn put_trusted_root(&mut self, workspace: WorkspaceId, root: &TrustedRootRecord) -> Result<(), StoreError> {
        run!(
            self,
            PUT_TRUSTED_ROOT,
            workspace.to_string(),
            root.name.as_str(),
            root.document.as_str(),
            root.created_at.0,
        )?;
        Ok(())
    }

    async fn remove_trusted_root(&mut self, workspace: WorkspaceId, name: &Name) -> Result<(), StoreError> {
        run!(self, REMOVE_TRUSTED_ROOT, workspace.to_string(), name.as_str())?;
        Ok(())
    }
}
