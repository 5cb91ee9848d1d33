//! Artifacts that were seen in registries, in the order of their rank.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{from_json, parse, parse_if, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Artifact, ArtifactDetails, Digest, ExactImage, Repository, Tag},
    id::WorkspaceId,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// Artifacts that were seen in registries, in the order of their rank.
#[async_trait]
pub trait Artifacts: Send {
    /// The artifact with this digest.
    async fn artifact(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Artifact>, StoreError>;
    /// Remembers an artifact, seen at this time, or with the one of its repository that arrived before it if that is later; `false` when it was known already (then the tag is
    /// taken only where it had none: which one is shown is chosen by who looks at the registry). Until its details are
    /// known it ranks below all others.
    async fn see_artifact(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Writes what the registry says about an artifact, and its rank: of two artifacts the one with the higher is newer.
    async fn set_details(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        details: &ArtifactDetails,
        rank: Timestamp,
    ) -> Result<(), StoreError>;
    /// Newest first, but for those that are recalled.
    async fn recent_artifacts(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        limit: i64,
    ) -> Result<Vec<Artifact>, StoreError>;
    /// Artifacts of the repository that are newer than `old`, up to and including `new`; 0 when `new` is older.
    async fn count_newer(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        old: &Digest,
        new: &Digest,
    ) -> Result<i64, StoreError>;
}

const ARTIFACT: &str = "SELECT * FROM artifacts WHERE workspace_id = $1 AND repository = $2 AND digest = $3";

/// Never seen before one that arrived earlier, whatever the clock says now: where builders say nothing, the newest is told by it.
const INSERT_ARTIFACT: &str = "INSERT INTO artifacts (workspace_id, repository, digest, tag, seen_at, rank) \
     SELECT $1, $2, $3, $4, MAX(m.seen_at), 0 FROM (SELECT $5 AS seen_at UNION ALL SELECT * FROM (\
     SELECT seen_at FROM artifacts WHERE workspace_id = $1 AND repository = $2 ORDER BY ordinal DESC LIMIT 1) l) m WHERE TRUE \
     ON CONFLICT (workspace_id, repository, digest) DO NOTHING";
const NAME_ARTIFACT: &str =
    "UPDATE artifacts SET tag = $4 WHERE workspace_id = $1 AND repository = $2 AND digest = $3 AND tag IS NULL";
const SET_DETAILS: &str =
    "UPDATE artifacts SET details = $4, rank = $5 WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
const RECENT_ARTIFACTS: &str = "SELECT * FROM artifacts a WHERE workspace_id = $1 AND repository = $2 \
     AND NOT EXISTS (SELECT 1 FROM recalls r WHERE r.workspace_id = $1 AND r.digest = a.digest AND r.lifted_at IS NULL) \
     ORDER BY rank DESC, ordinal DESC LIMIT $3";
const COUNT_NEWER: &str = "SELECT COUNT(*) FROM artifacts a \
     JOIN artifacts o ON o.workspace_id = $1 AND o.repository = $2 AND o.digest = $3 \
     JOIN artifacts n ON n.workspace_id = $1 AND n.repository = $2 AND n.digest = $4 \
     WHERE a.workspace_id = $1 AND a.repository = $2 \
     AND (a.rank, a.ordinal) > (o.rank, o.ordinal) AND (a.rank, a.ordinal) <= (n.rank, n.ordinal)";

#[derive(FromRow)]
pub(crate) struct ArtifactRow {
    repository: String,
    digest: String,
    tag: Option<String>,
    seen_at: i64,
    details: Option<String>,
}

impl TryFrom<ArtifactRow> for Artifact {
    type Error = StoreError;

    fn try_from(row: ArtifactRow) -> Result<Self, StoreError> {
        Ok(Self {
            image: ExactImage {
                repository: parse("image repository", &row.repository)?,
                tag: parse_if("tag", row.tag.as_ref())?,
                digest: parse("digest", &row.digest)?,
            },
            seen_at: Timestamp(row.seen_at),
            details: row
                .details
                .as_deref()
                .map(|json| from_json("artifact", json))
                .transpose()?,
        })
    }
}

#[async_trait]
impl<D: Dialect> Artifacts for SqlTx<D>
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
    async fn artifact(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Artifact>, StoreError> {
        one!(
            self,
            ArtifactRow,
            ARTIFACT,
            workspace.to_string(),
            repository.as_str(),
            digest.as_str()
        )
    }

    async fn see_artifact(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, repository, digest) = (workspace.to_string(), image.repository.as_str(), image.digest.as_str());
        let tag = image.tag.as_ref().map(Tag::as_str);
        let added = run!(self, INSERT_ARTIFACT, &id, repository, digest, tag, at.0)?;
        if added == 0 && tag.is_some() {
            run!(self, NAME_ARTIFACT, &id, repository, digest, tag)?;
        }
        Ok(added > 0)
    }

    async fn set_details(
        &mut self,
        workspace: WorkspaceId,
        image: &ExactImage,
        details: &ArtifactDetails,
        rank: Timestamp,
    ) -> Result<(), StoreError> {
        let details = to_json("artifact", details)?;
        let (repository, digest) = (image.repository.as_str(), image.digest.as_str());
        run!(
            self,
            SET_DETAILS,
            workspace.to_string(),
            repository,
            digest,
            details,
            rank.0
        )?;
        Ok(())
    }

    async fn recent_artifacts(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        limit: i64,
    ) -> Result<Vec<Artifact>, StoreError> {
        all!(
            self,
            ArtifactRow,
            RECENT_ARTIFACTS,
            workspace.to_string(),
            repository.as_str(),
            limit
        )
    }

    async fn count_newer(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        old: &Digest,
        new: &Digest,
    ) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(COUNT_NEWER)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .bind(old.as_str())
            .bind(new.as_str())
            .fetch_one(&mut self.tx)
            .await?)
    }
}
