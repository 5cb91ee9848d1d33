//! Registries, each with the users that images are pulled and pushed as.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::parse,
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{environment::Registry, id::WorkspaceId};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A registry with its sealed secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRecord {
    /// The registry.
    pub registry: Registry,
    /// Certificates to trust, PEM.
    pub ca: Option<String>,
    /// Who pulls.
    pub pull_user: Option<String>,
    /// That user's password, sealed.
    pub pull_password: Option<String>,
    /// Who pushes; `None`: nothing is copied to it.
    pub push_user: Option<String>,
    /// That user's password, sealed.
    pub push_password: Option<String>,
}

/// Registries.
/// `put_…` inserts, or replaces what may change of the row with this id.
#[async_trait]
pub trait Registries: Send {
    /// Registries of a workspace, by name.
    async fn registries(&mut self, workspace: WorkspaceId) -> Result<Vec<RegistryRecord>, StoreError>;
    /// Inserts or changes a registry. Fails with [`StoreError::Exists`] when another of the workspace has this name.
    async fn put_registry(&mut self, registry: &RegistryRecord) -> Result<(), StoreError>;
}

const REGISTRIES: &str = "SELECT * FROM registries WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name";
const PUT_REGISTRY: &str = "INSERT INTO registries (id, workspace_id, name, host, plain_http, ca, \
     pull_user, pull_password, push_user, push_password) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (id) DO UPDATE SET host = excluded.host, plain_http = excluded.plain_http, ca = excluded.ca, \
     pull_user = excluded.pull_user, pull_password = excluded.pull_password, push_user = excluded.push_user, \
     push_password = excluded.push_password";

#[derive(FromRow)]
pub(crate) struct RegistryRow {
    id: String,
    workspace_id: String,
    name: String,
    host: String,
    plain_http: bool,
    ca: Option<String>,
    pull_user: Option<String>,
    pull_password: Option<String>,
    push_user: Option<String>,
    push_password: Option<String>,
}

impl TryFrom<RegistryRow> for RegistryRecord {
    type Error = StoreError;

    fn try_from(row: RegistryRow) -> Result<Self, StoreError> {
        Ok(Self {
            registry: Registry {
                id: parse("registry id", &row.id)?,
                workspace: parse("workspace id", &row.workspace_id)?,
                name: parse("registry name", &row.name)?,
                host: row.host,
                plain_http: row.plain_http,
            },
            ca: row.ca,
            pull_user: row.pull_user,
            pull_password: row.pull_password,
            push_user: row.push_user,
            push_password: row.push_password,
        })
    }
}

#[async_trait]
impl<D: Dialect> Registries for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    String: Stored<D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn registries(&mut self, workspace: WorkspaceId) -> Result<Vec<RegistryRecord>, StoreError> {
        all!(self, RegistryRow, REGISTRIES, workspace.to_string())
    }

    async fn put_registry(&mut self, record: &RegistryRecord) -> Result<(), StoreError> {
        let registry = &record.registry;
        run!(
            self,
            PUT_REGISTRY,
            registry.id.to_string(),
            registry.workspace.to_string(),
            registry.name.as_str(),
            &registry.host,
            registry.plain_http,
            &record.ca,
            &record.pull_user,
            &record.pull_password,
            &record.push_user,
            &record.push_password,
        )
        .map_err(taken)?;
        Ok(())
    }
}
