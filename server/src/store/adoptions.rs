//! What runs and was never promoted, and what of it somebody said is right.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    resources::ResourceRow,
    rows::{from_json, parse, text, to_json},
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Tag},
    id::{EnvironmentId, ResourceId, WorkspaceId},
    promotion::Actor,
    resource::Resource,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A digest that runs and that no promotion brought there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpromotedImage {
    /// What runs it.
    pub resource: Resource,
    /// The digest.
    pub digest: Digest,
    /// What the registry was seen to call it.
    pub tag: Option<Tag>,
    /// Whether it is recalled.
    pub is_recalled: bool,
}

/// Somebody said that it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// What runs it.
    pub resource: ResourceId,
    /// The digest.
    pub digest: Digest,
    /// Who said so.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// What runs and was never promoted.
#[async_trait]
pub trait Adoptions: Send {
    /// The digests that run in an environment, that no promotion of their resource brought there, and that nobody adopted; by resource.
    async fn unpromoted(&mut self, environment: EnvironmentId) -> Result<Vec<UnpromotedImage>, StoreError>;
    /// What was adopted of a resource, the newest first.
    async fn adoptions_of(&mut self, resource: ResourceId) -> Result<Vec<Adoption>, StoreError>;
    /// Who adopted a digest where, oldest first.
    async fn adoptions_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
    ) -> Result<Vec<Adoption>, StoreError>;
    /// Adopts a digest; `false` when somebody did before.
    async fn adopt(&mut self, adoption: &Adoption) -> Result<bool, StoreError>;
}

/// A promotion brought what it committed, and what was there already when it was asked for. One that failed, was rolled back or overtaken
/// after its commit did so, too.
const UNPROMOTED: &str = "SELECT r.*, l.digest AS runs, a.tag AS runs_tag, \
     EXISTS (SELECT 1 FROM recalls c WHERE c.workspace_id = p.workspace_id AND c.digest = l.digest AND c.lifted_at IS NULL) AS is_recalled \
     FROM resources r JOIN live_digests l ON l.resource_id = r.id \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     LEFT JOIN artifacts a ON a.workspace_id = p.workspace_id AND a.repository = r.desired_repository AND a.digest = l.digest \
     WHERE r.environment_id = $1 AND r.removed_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM promotions m WHERE m.resource_id = r.id AND m.digest = l.digest \
     AND (m.commit_id IS NOT NULL OR m.state = 'succeeded')) \
     AND NOT EXISTS (SELECT 1 FROM adoptions d WHERE d.resource_id = r.id AND d.digest = l.digest) \
     ORDER BY r.name, l.digest";
const ADOPTIONS_OF: &str = "SELECT * FROM adoptions WHERE resource_id = $1 ORDER BY adopted_at DESC, digest";
const ADOPTIONS_OF_DIGEST: &str = "SELECT d.* FROM adoptions d JOIN resources r ON r.id = d.resource_id \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     WHERE p.workspace_id = $1 AND d.digest = $2 ORDER BY d.adopted_at, d.resource_id";
const ADOPT: &str = "INSERT INTO adoptions (resource_id, digest, adopted_by, adopted_at, reason) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT DO NOTHING";

#[derive(FromRow)]
struct UnpromotedRow {
    #[sqlx(flatten)]
    resource: ResourceRow,
    runs: String,
    runs_tag: Option<String>,
    is_recalled: bool,
}

impl TryFrom<UnpromotedRow> for UnpromotedImage {
    type Error = StoreError;

    fn try_from(row: UnpromotedRow) -> Result<Self, StoreError> {
        let tag = row.runs_tag.as_deref().map(|tag| parse("tag", tag)).transpose()?;
        Ok(Self {
            resource: row.resource.try_into()?,
            digest: parse("digest", &row.runs)?,
            tag,
            is_recalled: row.is_recalled,
        })
    }
}

#[derive(FromRow)]
struct AdoptionRow {
    resource_id: String,
    digest: String,
    adopted_by: String,
    adopted_at: i64,
    reason: Option<String>,
}

impl TryFrom<AdoptionRow> for Adoption {
    type Error = StoreError;

    fn try_from(row: AdoptionRow) -> Result<Self, StoreError> {
        Ok(Self {
            resource: parse("resource id", &row.resource_id)?,
            digest: parse("digest", &row.digest)?,
            by: from_json("actor", &row.adopted_by)?,
            at: Timestamp(row.adopted_at),
            reason: row.reason,
        })
    }
}

#[async_trait]
impl<D: Dialect> Adoptions for SqlTx<D>
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
    async fn unpromoted(&mut self, environment: EnvironmentId) -> Result<Vec<UnpromotedImage>, StoreError> {
        all!(self, UnpromotedRow, UNPROMOTED, environment.to_string())
    }

    async fn adoptions_of(&mut self, resource: ResourceId) -> Result<Vec<Adoption>, StoreError> {
        all!(self, AdoptionRow, ADOPTIONS_OF, resource.to_string())
    }

    async fn adoptions_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
    ) -> Result<Vec<Adoption>, StoreError> {
        all!(
            self,
            AdoptionRow,
            ADOPTIONS_OF_DIGEST,
            workspace.to_string(),
            digest.as_str()
        )
    }

    async fn adopt(&mut self, adoption: &Adoption) -> Result<bool, StoreError> {
        let added = run!(
            self,
            ADOPT,
            adoption.resource.to_string(),
            adoption.digest.as_str(),
            to_json("actor", &adoption.by)?,
            adoption.at.0,
            adoption.reason.as_deref().map(text),
        )?;
        Ok(added > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    /// A resource's page takes as long after a million promotions as after one.
    #[tokio::test]
    async fn whether_an_image_was_promoted_is_found_along_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waybill.db");
        drop(SqliteStore::open(&file).await.unwrap());
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
            .await
            .unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {UNPROMOTED}");
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
            .bind("an environment")
            .fetch_all(&pool)
            .await
            .unwrap();
        let by_index = "SEARCH m USING INDEX promotions_by_image (resource_id=? AND digest=?)";
        assert!(plan.iter().any(|(_, _, _, step)| step == by_index), "{plan:?}");
        assert!(plan.iter().all(|(_, _, _, step)| !step.starts_with("SCAN")), "{plan:?}");
    }
}
