//! What a read of Git must know of a project's resources at once: which it has switched off, and which are being written to.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::parse,
    tx::{SqlTx, run},
};
use async_trait::async_trait;
use domain::id::{ProjectId, ResourceId};
use sqlx::{ColumnIndex, Encode, Executor, IntoArguments, Type};
use std::collections::HashSet;

/// What a read of Git needs to know of many resources.
#[async_trait]
pub trait GitReads: Send {
    /// Resources of a project that Git has switched off (`enabled: false`), as it was read last.
    async fn switched_off(&mut self, project: ProjectId) -> Result<HashSet<ResourceId>, StoreError>;
    /// Writes whether Git has a resource switched off.
    async fn set_switched_off(&mut self, resource: ResourceId, off: bool) -> Result<(), StoreError>;
    /// Resources of a project for which a commit is on its way, or is in Git and not recorded yet.
    async fn committing(&mut self, project: ProjectId) -> Result<HashSet<ResourceId>, StoreError>;
}

const SWITCHED_OFF: &str = "SELECT r.id FROM resources r JOIN environments e ON e.id = r.environment_id \
     WHERE e.project_id = $1 AND r.switched_off AND r.removed_at IS NULL";
const SET_SWITCHED_OFF: &str = "UPDATE resources SET switched_off = $2 WHERE id = $1";
const COMMITTING: &str = "SELECT DISTINCT resource_id FROM promotions WHERE project_id = $1 AND state = 'committing'";

#[async_trait]
impl<D: Dialect> GitReads for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    usize: ColumnIndex<D::Row>,
    bool: Stored<D>,
    String: Stored<D>,
    for<'v> &'v str: Encode<'v, D>,
    str: Type<D>,
{
    async fn switched_off(&mut self, project: ProjectId) -> Result<HashSet<ResourceId>, StoreError> {
        ids(sqlx::query_scalar::<D, String>(SWITCHED_OFF)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?)
    }

    async fn set_switched_off(&mut self, resource: ResourceId, off: bool) -> Result<(), StoreError> {
        run!(self, SET_SWITCHED_OFF, resource.to_string(), off)?;
        Ok(())
    }

    async fn committing(&mut self, project: ProjectId) -> Result<HashSet<ResourceId>, StoreError> {
        ids(sqlx::query_scalar::<D, String>(COMMITTING)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?)
    }
}

fn ids(rows: Vec<String>) -> Result<HashSet<ResourceId>, StoreError> {
    rows.iter().map(|id| parse("resource id", id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    /// A read of Git goes through no promotion but those that are being committed.
    #[tokio::test]
    async fn what_is_being_committed_is_found_along_its_index() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waybill.db");
        drop(SqliteStore::open(&file).await.unwrap());
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
            .await
            .unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {COMMITTING}");
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
            .bind("a project")
            .fetch_all(&pool)
            .await
            .unwrap();
        let is_search = |(_, _, _, step): &(i64, i64, i64, String)| {
            step == "SEARCH promotions USING INDEX promotions_committing (project_id=?)"
        };
        assert!(plan.iter().any(is_search), "{plan:?}");
    }
}
