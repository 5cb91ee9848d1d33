//! Recalled digests, where they run and are wanted, and what ran well there before.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    promotions::PromotionRow,
    resources::ResourceRow,
    rows::{from_json, image, parse, text, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, ExactImage, Repository},
    id::{ProjectId, ResourceId, WorkspaceId},
    promotion::Promotion,
    recall::{Lifted, Recall},
    resource::Resource,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A resource that is to run a digest, or does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecalledPlace {
    /// Its project.
    pub project: ProjectId,
    /// The resource.
    pub resource: Resource,
    /// Whether Git says the digest.
    pub is_desired: bool,
    /// Whether it runs.
    pub is_live: bool,
}

/// What a resource ran well last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RanWell {
    /// The resource.
    pub resource: ResourceId,
    /// The digest.
    pub digest: Digest,
    /// The whole image; `None` where only its history may say.
    pub image: Option<ExactImage>,
}

/// Recalled digests.
#[async_trait]
pub trait Recalls: Send {
    /// The recall of a digest that is in force.
    async fn recall_of(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Option<Recall>, StoreError>;
    /// All recalls there ever were of a digest, the newest first.
    async fn recalls_ever(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Recall>, StoreError>;
    /// The digests of a workspace that are recalled.
    async fn recalled_digests(&mut self, workspace: WorkspaceId) -> Result<Vec<Digest>, StoreError>;
    /// The recalls in force of digests that were seen in a repository, the newest first.
    async fn recalls_in(&mut self, workspace: WorkspaceId, repository: &Repository) -> Result<Vec<Recall>, StoreError>;
    /// Marks a digest bad; `false` when it is already.
    async fn insert_recall(&mut self, workspace: WorkspaceId, recall: &Recall) -> Result<bool, StoreError>;
    /// Lifts the recall of a digest; `false` when none is in force.
    async fn lift_recall(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
        lifted: &Lifted,
    ) -> Result<bool, StoreError>;
    /// The resources of a workspace that are to run a digest, or do.
    async fn places_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
    ) -> Result<Vec<RecalledPlace>, StoreError>;
    /// Of each of these resources, the digest that was live and healthy there last and isn't recalled, nor this one.
    async fn ran_well_before(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<RanWell>, StoreError>;
    /// Open promotions of these resources to other digests, the newest of each resource first.
    async fn open_away_from(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Promotion>, StoreError>;
    /// Open promotions to a digest in a workspace.
    async fn open_to_digest(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Promotion>, StoreError>;
}

const RECALL_OF: &str = "SELECT * FROM recalls WHERE workspace_id = $1 AND digest = $2 AND lifted_at IS NULL";
const RECALLS_EVER: &str = "SELECT * FROM recalls WHERE workspace_id = $1 AND digest = $2 ORDER BY number DESC";
const RECALLED_DIGESTS: &str = "SELECT digest FROM recalls WHERE workspace_id = $1 AND lifted_at IS NULL";
const RECALLS_IN: &str = "SELECT r.* FROM recalls r \
     JOIN artifacts a ON a.workspace_id = r.workspace_id AND a.repository = $2 AND a.digest = r.digest \
     WHERE r.workspace_id = $1 AND r.lifted_at IS NULL ORDER BY r.recalled_at DESC, r.digest";
const INSERT_RECALL: &str = "INSERT INTO recalls (workspace_id, digest, number, reason, recalled_by, recalled_at) \
     SELECT $1, $2, (SELECT COALESCE(MAX(n.number), 0) + 1 FROM recalls n WHERE n.workspace_id = $1 AND n.digest = $2), $3, $4, $5 \
     WHERE NOT EXISTS (SELECT 1 FROM recalls o WHERE o.workspace_id = $1 AND o.digest = $2 AND o.lifted_at IS NULL)";
const LIFT_RECALL: &str = "UPDATE recalls SET lifted_by = $3, lifted_at = $4, lifted_reason = $5 \
     WHERE workspace_id = $1 AND digest = $2 AND lifted_at IS NULL";

/// The ids of the resources that are to run `$2`, or do, each found by an index.
macro_rules! found {
    () => {
        "(SELECT d.id FROM resources d WHERE d.desired_digest = $2 \
         UNION SELECT l.resource_id FROM live_digests l WHERE l.digest = $2)"
    };
}

const PLACES_OF_DIGEST: &str = concat!(
    "SELECT r.*, p.id AS project_id, COALESCE(r.desired_digest, '') = $2 AS is_desired, \
     EXISTS (SELECT 1 FROM live_digests n WHERE n.digest = $2 AND n.resource_id = r.id) AS is_live \
     FROM ",
    found!(),
    " f JOIN resources r ON r.id = f.id JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     WHERE p.workspace_id = $1 AND r.removed_at IS NULL ORDER BY p.name, e.position, r.name"
);

/// Healthy runs say it where an Argo CD tells of them; where none does, a promotion that succeeded is all that is known. The tag is that of the
/// newest promotion to it, or what the registry was seen to call it.
const RAN_WELL_BEFORE: &str = concat!(
    "WITH ran (resource_id, digest, at) AS (\
     SELECT h.resource_id, h.digest, h.since FROM ",
    found!(),
    " f JOIN healthy_runs h ON h.resource_id = f.id \
     UNION ALL SELECT m.resource_id, m.digest, m.ended_at FROM ",
    found!(),
    " g JOIN promotions m ON m.resource_id = g.id WHERE m.workspace_id = $1 AND m.state = 'succeeded'), \
     well AS (SELECT resource_id, digest, ROW_NUMBER() OVER (PARTITION BY resource_id ORDER BY at DESC) AS place FROM ran \
     WHERE digest <> $2 AND digest NOT IN (SELECT digest FROM recalls WHERE workspace_id = $1 AND lifted_at IS NULL)) \
     SELECT w.resource_id, w.digest, COALESCE(b.target_repository, b.repository, a.repository) AS repository, \
     CASE WHEN b.id IS NULL THEN a.tag ELSE b.tag END AS tag \
     FROM well w JOIN resources r ON r.id = w.resource_id \
     LEFT JOIN promotions b ON b.resource_id = w.resource_id AND b.digest = w.digest AND b.number = (\
     SELECT MAX(q.number) FROM promotions q WHERE q.resource_id = w.resource_id AND q.digest = w.digest) \
     LEFT JOIN artifacts a ON a.workspace_id = $1 AND a.repository = r.desired_repository AND a.digest = w.digest \
     WHERE w.place = 1"
);

const OPEN_AWAY_FROM: &str = concat!(
    "SELECT m.* FROM ",
    found!(),
    " f JOIN promotions m ON m.resource_id = f.id \
     WHERE m.workspace_id = $1 AND m.ended_at IS NULL AND m.digest <> $2 ORDER BY m.number DESC"
);
const OPEN_TO_DIGEST: &str = "SELECT * FROM promotions WHERE workspace_id = $1 AND digest = $2 AND ended_at IS NULL \
     ORDER BY resource_id, number DESC";

#[derive(FromRow)]
struct RecallRow {
    digest: String,
    reason: String,
    recalled_by: String,
    recalled_at: i64,
    lifted_by: Option<String>,
    lifted_at: Option<i64>,
    lifted_reason: Option<String>,
}

impl TryFrom<RecallRow> for Recall {
    type Error = StoreError;

    fn try_from(row: RecallRow) -> Result<Self, StoreError> {
        let lifted = match (row.lifted_by, row.lifted_at) {
            (Some(by), Some(at)) => Some(Lifted {
                reason: row.lifted_reason.unwrap_or_default(),
                by: from_json("actor", &by)?,
                at: Timestamp(at),
            }),
            _ => None,
        };
        Ok(Self {
            digest: parse("digest", &row.digest)?,
            reason: row.reason,
            by: from_json("actor", &row.recalled_by)?,
            at: Timestamp(row.recalled_at),
            lifted,
        })
    }
}

#[derive(FromRow)]
struct PlaceRow {
    #[sqlx(flatten)]
    resource: ResourceRow,
    project_id: String,
    is_desired: bool,
    is_live: bool,
}

impl TryFrom<PlaceRow> for RecalledPlace {
    type Error = StoreError;

    fn try_from(row: PlaceRow) -> Result<Self, StoreError> {
        Ok(Self {
            project: parse("project id", &row.project_id)?,
            resource: row.resource.try_into()?,
            is_desired: row.is_desired,
            is_live: row.is_live,
        })
    }
}

#[derive(FromRow)]
struct RanWellRow {
    resource_id: String,
    digest: String,
    repository: Option<String>,
    tag: Option<String>,
}

impl TryFrom<RanWellRow> for RanWell {
    type Error = StoreError;

    fn try_from(row: RanWellRow) -> Result<Self, StoreError> {
        Ok(Self {
            resource: parse("resource id", &row.resource_id)?,
            digest: parse("digest", &row.digest)?,
            image: image(row.repository.as_ref(), row.tag.as_ref(), Some(&row.digest))?,
        })
    }
}

#[async_trait]
impl<D: Dialect> Recalls for SqlTx<D>
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
    async fn recall_of(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Option<Recall>, StoreError> {
        one!(self, RecallRow, RECALL_OF, workspace.to_string(), digest.as_str())
    }

    async fn recalls_ever(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Recall>, StoreError> {
        all!(self, RecallRow, RECALLS_EVER, workspace.to_string(), digest.as_str())
    }

    async fn recalled_digests(&mut self, workspace: WorkspaceId) -> Result<Vec<Digest>, StoreError> {
        let digests = sqlx::query_scalar::<D, String>(RECALLED_DIGESTS)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        digests.iter().map(|digest| parse("digest", digest)).collect()
    }

    async fn recalls_in(&mut self, workspace: WorkspaceId, repository: &Repository) -> Result<Vec<Recall>, StoreError> {
        all!(self, RecallRow, RECALLS_IN, workspace.to_string(), repository.as_str())
    }

    async fn insert_recall(&mut self, workspace: WorkspaceId, recall: &Recall) -> Result<bool, StoreError> {
        let added = run!(
            self,
            INSERT_RECALL,
            workspace.to_string(),
            recall.digest.as_str(),
            text(&recall.reason),
            to_json("actor", &recall.by)?,
            recall.at.0,
        )?;
        Ok(added > 0)
    }

    async fn lift_recall(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
        lifted: &Lifted,
    ) -> Result<bool, StoreError> {
        let changed = run!(
            self,
            LIFT_RECALL,
            workspace.to_string(),
            digest.as_str(),
            to_json("actor", &lifted.by)?,
            lifted.at.0,
            text(&lifted.reason),
        )?;
        Ok(changed > 0)
    }

    async fn places_of_digest(
        &mut self,
        workspace: WorkspaceId,
        digest: &Digest,
    ) -> Result<Vec<RecalledPlace>, StoreError> {
        all!(self, PlaceRow, PLACES_OF_DIGEST, workspace.to_string(), digest.as_str())
    }

    async fn ran_well_before(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<RanWell>, StoreError> {
        all!(
            self,
            RanWellRow,
            RAN_WELL_BEFORE,
            workspace.to_string(),
            digest.as_str()
        )
    }

    async fn open_away_from(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Promotion>, StoreError> {
        all!(
            self,
            PromotionRow,
            OPEN_AWAY_FROM,
            workspace.to_string(),
            digest.as_str()
        )
    }

    async fn open_to_digest(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<Promotion>, StoreError> {
        all!(
            self,
            PromotionRow,
            OPEN_TO_DIGEST,
            workspace.to_string(),
            digest.as_str()
        )
    }
}
