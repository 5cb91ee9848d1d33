//! Clusters with their Argo CD.

use super::{
    StoreError,
    dialect::{Dialect, Stored, taken},
    rows::{from_json, parse, to_json},
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{copy::Mirror, environment::Cluster, id::WorkspaceId};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A cluster with its sealed secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// The cluster.
    pub cluster: Cluster,
    /// Argo CD's token, sealed.
    pub argocd_token: Option<String>,
    /// Certificates to trust, PEM.
    pub argocd_ca: Option<String>,
}

/// Clusters with their Argo CD.
/// `put_…` inserts, or replaces what may change of the row with this id.
#[async_trait]
pub trait Clusters: Send {
    /// Clusters of a workspace, by name.
    async fn clusters(&mut self, workspace: WorkspaceId) -> Result<Vec<ClusterRecord>, StoreError>;
    /// Inserts or changes a cluster.
    async fn put_cluster(&mut self, cluster: &ClusterRecord) -> Result<(), StoreError>;
}

const CLUSTERS: &str = "SELECT * FROM clusters WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name";
const PUT_CLUSTER: &str = "INSERT INTO clusters (id, workspace_id, name, argocd, argocd_token, argocd_ca, \
     registry_id, mirror, platforms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (id) DO UPDATE SET argocd = excluded.argocd, argocd_token = excluded.argocd_token, \
     argocd_ca = excluded.argocd_ca, registry_id = excluded.registry_id, mirror = excluded.mirror, platforms = excluded.platforms";

/// Reads where images are copied to.
pub(super) fn mirror(stored: Option<&String>) -> Result<Option<Mirror>, StoreError> {
    stored.map(|json| from_json("mirror", json)).transpose()
}

/// Reads a stored list of platforms.
pub(super) fn platforms(stored: Option<&String>) -> Result<Vec<String>, StoreError> {
    Ok(stored
        .map(|json| from_json("platforms", json))
        .transpose()?
        .unwrap_or_default())
}

#[derive(FromRow)]
pub(crate) struct ClusterRow {
    id: String,
    workspace_id: String,
    name: String,
    argocd: Option<String>,
    argocd_token: Option<String>,
    argocd_ca: Option<String>,
    registry_id: Option<String>,
    mirror: Option<String>,
    platforms: Option<String>,
}

impl TryFrom<ClusterRow> for ClusterRecord {
    type Error = StoreError;

    fn try_from(row: ClusterRow) -> Result<Self, StoreError> {
        Ok(Self {
            cluster: Cluster {
                id: parse("cluster id", &row.id)?,
                workspace: parse("workspace id", &row.workspace_id)?,
                name: parse("cluster name", &row.name)?,
                argocd: row
                    .argocd
                    .as_deref()
                    .map(|json| from_json("Argo CD settings", json))
                    .transpose()?,
                registry: row
                    .registry_id
                    .as_deref()
                    .map(|id| parse("registry id", id))
                    .transpose()?,
                mirror: mirror(row.mirror.as_ref())?,
                platforms: platforms(row.platforms.as_ref())?,
            },
            argocd_token: row.argocd_token,
            argocd_ca: row.argocd_ca,
        })
    }
}

#[async_trait]
impl<D: Dialect> Clusters for SqlTx<D>
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
    async fn clusters(&mut self, workspace: WorkspaceId) -> Result<Vec<ClusterRecord>, StoreError> {
        all!(self, ClusterRow, CLUSTERS, workspace.to_string())
    }

    async fn put_cluster(&mut self, record: &ClusterRecord) -> Result<(), StoreError> {
        let cluster = &record.cluster;
        let argocd = cluster
            .argocd
            .as_ref()
            .map(|settings| to_json("Argo CD settings", settings))
            .transpose()?;
        let platforms = match cluster.platforms.is_empty() {
            true => None,
            false => Some(to_json("platforms", &cluster.platforms)?),
        };
        run!(
            self,
            PUT_CLUSTER,
            cluster.id.to_string(),
            cluster.workspace.to_string(),
            cluster.name.as_str(),
            argocd,
            &record.argocd_token,
            &record.argocd_ca,
            cluster.registry.map(|id| id.to_string()),
            (cluster.mirror.as_ref())
                .map(|mirror| to_json("mirror", mirror))
                .transpose()?,
            platforms,
        )
        .map_err(taken)?;
        Ok(())
    }
}
