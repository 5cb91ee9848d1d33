//! What the tags of image repositories name, and how far each resource learned its repository: what a look at a registry needs to know
//! so that it asks little, and writes only what is new.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{self, parse, parse_if, text},
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Artifact, Digest, Repository, Tag},
    follow::Age,
    id::{ResourceId, WorkspaceId},
    tag_rule::{TagOrder, TagRule},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};
use std::collections::HashMap;

/// What a tag was found to name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// An image.
    Image,
    /// Something that is there rightly, and no image to run: a chart, an attestation, an image for Windows.
    Other,
    /// Something that can't be read, as long as it is what it is.
    Odd,
    /// The registry didn't say; it may later.
    Failing,
}

impl Found {
    fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Other => "other",
            Self::Odd => "odd",
            Self::Failing => "failing",
        }
    }
}

impl std::str::FromStr for Found {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Image, Self::Other, Self::Odd, Self::Failing]
            .into_iter()
            .find(|found| found.as_str() == text)
            .ok_or_else(|| format!("unknown: {text}"))
    }
}

/// A tag of a repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownTag {
    /// The tag.
    pub tag: Tag,
    /// What it names; `None` where the registry doesn't say.
    pub digest: Option<Digest>,
    /// What that is.
    pub found: Found,
    /// Why it is passed over, a sentence; `None` for images.
    pub why: Option<String>,
}

/// A tag that names an image, with the image's place among those of its repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedTag {
    /// The tag.
    pub tag: Tag,
    /// The image.
    pub digest: Digest,
    /// Its place in the order in which tags of the repository came to name what they name; 0 for those from before that was kept.
    pub arrived: i64,
    /// The image's place.
    pub age: Age,
}

/// How far a resource has learned a repository: what arrived by then starts nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learned {
    /// The last image.
    pub upto: i64,
    /// The last time that a tag came to name something.
    pub upto_tag: i64,
}

/// What can be read and written of tags in a transaction.
#[async_trait]
pub trait Tags: Send {
    /// All tags of a repository that were looked at, by name.
    async fn tags_of_repository(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<KnownTag>, StoreError>;
    /// The tag of this name.
    async fn known_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<KnownTag>, StoreError>;
    /// The tags that name an image, by name.
    async fn tags_of_image(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Tag>, StoreError>;
    /// The tags of a workspace that are passed over because they can't be read, by repository and name.
    async fn unread_tags(&mut self, workspace: WorkspaceId) -> Result<Vec<(Repository, KnownTag)>, StoreError>;
    /// Writes what a tag names.
    async fn put_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        known: &KnownTag,
    ) -> Result<(), StoreError>;
    /// Forgets a tag that is there no more.
    async fn forget_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<(), StoreError>;
    /// Writes which tag of an artifact is shown.
    async fn show_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<(), StoreError>;
    /// All tags of a repository that name an image, by name.
    async fn named_tags(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<NamedTag>, StoreError>;
    /// The tags of a repository that resources run by name, according to Git, or follow by name.
    async fn running_tags(&mut self, workspace: WorkspaceId, repository: &Repository) -> Result<Vec<Tag>, StoreError>;
    /// The names of the workspace's environments.
    async fn environment_names(&mut self, workspace: WorkspaceId) -> Result<Vec<String>, StoreError>;
    /// The place of an artifact among those of its repository; `None` for one that is not known.
    async fn artifact_age(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Age>, StoreError>;
    /// Artifacts that arrived after this one, and after `learned`, but are older: built before it. The last that arrived first.
    async fn backdated(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        than: Age,
        learned: i64,
        limit: i64,
    ) -> Result<Vec<Artifact>, StoreError>;
    /// What was there at the first full list, or when other tags came to count, of each resource that has had a list of this repository.
    async fn learned(&mut self, repository: &Repository) -> Result<HashMap<ResourceId, Learned>, StoreError>;
    /// Writes that a resource has had a full list of its repository, or that other tags count for it: what has arrived until now is learned.
    async fn learn(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        resource: ResourceId,
    ) -> Result<(), StoreError>;
}

#[derive(FromRow)]
struct Row {
    repository: String,
    tag: String,
    digest: Option<String>,
    found: String,
    why: Option<String>,
}

impl TryFrom<Row> for (Repository, KnownTag) {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let repository = parse("image repository", &row.repository)?;
        Ok((repository, row.try_into()?))
    }
}

impl TryFrom<Row> for KnownTag {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            tag: parse("tag", &row.tag)?,
            digest: parse_if("digest", row.digest.as_ref())?,
            found: parse("finding", &row.found)?,
            why: row.why,
        })
    }
}

const TAGS_OF_REPOSITORY: &str = "SELECT repository, tag, digest, found, why FROM artifact_tags \
     WHERE workspace_id = $1 AND repository = $2 ORDER BY tag";
const KNOWN_TAG: &str = "SELECT repository, tag, digest, found, why FROM artifact_tags \
     WHERE workspace_id = $1 AND repository = $2 AND tag = $3";
const TAGS_OF_IMAGE: &str = "SELECT tag FROM artifact_tags \
     WHERE workspace_id = $1 AND repository = $2 AND digest = $3 AND found = 'image' ORDER BY tag";
const UNREAD_TAGS: &str = "SELECT repository, tag, digest, found, why FROM artifact_tags \
     WHERE workspace_id = $1 AND found IN ('odd', 'failing') ORDER BY repository, tag";

/// A tag that names the same as before did not arrive. The place of an arrival is after all that were learned, whether or not those tags
/// are still there.
const PUT_TAG: &str = "INSERT INTO artifact_tags (workspace_id, repository, tag, digest, found, why, arrived) \
     SELECT $1, $2, $3, $4, $5, $6, COALESCE(MAX(n), 0) + 1 FROM (\
     SELECT arrived AS n FROM artifact_tags WHERE workspace_id = $1 AND repository = $2 \
     UNION ALL SELECT upto_tag FROM learned_repositories WHERE repository = $2) AS places WHERE TRUE \
     ON CONFLICT (workspace_id, repository, tag) DO UPDATE SET digest = excluded.digest, found = excluded.found, why = excluded.why, \
     arrived = CASE WHEN artifact_tags.digest = excluded.digest THEN artifact_tags.arrived ELSE excluded.arrived END";
const NAMED_TAGS: &str = "SELECT t.tag, t.digest, t.arrived, CASE WHEN a.details IS NULL THEN NULL ELSE a.rank END AS rank, a.ordinal \
     FROM artifact_tags t JOIN artifacts a ON a.workspace_id = t.workspace_id AND a.repository = t.repository AND a.digest = t.digest \
     WHERE t.workspace_id = $1 AND t.repository = $2 AND t.found = 'image' ORDER BY t.tag";
const FORGET_TAG: &str = "DELETE FROM artifact_tags WHERE workspace_id = $1 AND repository = $2 AND tag = $3";
const SHOW_TAG: &str = "UPDATE artifacts SET tag = $4 WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
const RUNNING_TAGS: &str = "SELECT r.desired_tag, NULL FROM resources r \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     WHERE p.workspace_id = $1 AND r.desired_repository = $2 AND r.desired_tag IS NOT NULL AND r.removed_at IS NULL \
     UNION SELECT NULL, r.tag_rule FROM resources r \
     JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = e.project_id \
     WHERE p.workspace_id = $1 AND r.image_repository = $2 AND r.tag_rule IS NOT NULL AND r.removed_at IS NULL";
const ENVIRONMENT_NAMES: &str = "SELECT DISTINCT e.name FROM environments e JOIN projects p ON p.id = e.project_id \
     WHERE p.workspace_id = $1 AND e.removed_at IS NULL";

/// The rank of what its registry has said nothing about is none.
const ARTIFACT_AGE: &str = "SELECT CASE WHEN details IS NULL THEN NULL ELSE rank END, ordinal FROM artifacts \
     WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
const BACKDATED: &str = "SELECT * FROM artifacts WHERE workspace_id = $1 AND repository = $2 AND details IS NOT NULL \
     AND ordinal > $3 AND ordinal > $4 AND rank < $5 ORDER BY ordinal DESC LIMIT $6";
const LEARNED: &str = "SELECT resource_id, upto, upto_tag FROM learned_repositories WHERE repository = $1";
const LEARN: &str = "INSERT INTO learned_repositories (resource_id, repository, upto, upto_tag) \
     SELECT $3, $2, COALESCE(MAX(ordinal), 0), \
     (SELECT COALESCE(MAX(arrived), 0) FROM artifact_tags WHERE workspace_id = $1 AND repository = $2) \
     FROM artifacts WHERE workspace_id = $1 AND repository = $2 \
     ON CONFLICT (resource_id) DO UPDATE SET repository = excluded.repository, upto = excluded.upto, upto_tag = excluded.upto_tag";

#[async_trait]
impl<D: Dialect> Tags for SqlTx<D>
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
    async fn tags_of_repository(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<KnownTag>, StoreError> {
        all!(
            self,
            Row,
            TAGS_OF_REPOSITORY,
            workspace.to_string(),
            repository.as_str()
        )
    }

    async fn known_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<KnownTag>, StoreError> {
        let row: Option<Row> = sqlx::query_as::<D, _>(KNOWN_TAG)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .bind(tag.as_str())
            .fetch_optional(&mut self.tx)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn tags_of_image(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Tag>, StoreError> {
        let tags: Vec<String> = sqlx::query_scalar::<D, _>(TAGS_OF_IMAGE)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .bind(digest.as_str())
            .fetch_all(&mut self.tx)
            .await?;
        tags.iter().map(|tag| parse("tag", tag)).collect()
    }

    async fn unread_tags(&mut self, workspace: WorkspaceId) -> Result<Vec<(Repository, KnownTag)>, StoreError> {
        all!(self, Row, UNREAD_TAGS, workspace.to_string())
    }

    async fn put_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        known: &KnownTag,
    ) -> Result<(), StoreError> {
        run!(
            self,
            PUT_TAG,
            workspace.to_string(),
            repository.as_str(),
            known.tag.as_str(),
            known.digest.as_ref().map(Digest::as_str),
            known.found.as_str(),
            known.why.as_deref().map(text)
        )?;
        Ok(())
    }

    async fn forget_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<(), StoreError> {
        run!(
            self,
            FORGET_TAG,
            workspace.to_string(),
            repository.as_str(),
            tag.as_str()
        )?;
        Ok(())
    }

    async fn show_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<(), StoreError> {
        let tag = tag.map(Tag::as_str);
        run!(
            self,
            SHOW_TAG,
            workspace.to_string(),
            repository.as_str(),
            digest.as_str(),
            tag
        )?;
        Ok(())
    }

    async fn named_tags(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
    ) -> Result<Vec<NamedTag>, StoreError> {
        let rows: Vec<(String, String, i64, Option<i64>, i64)> = sqlx::query_as::<D, _>(NAMED_TAGS)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .fetch_all(&mut self.tx)
            .await?;
        rows.into_iter()
            .map(|(tag, digest, arrived, rank, ordinal)| {
                Ok(NamedTag {
                    tag: parse("tag", &tag)?,
                    digest: parse("digest", &digest)?,
                    arrived,
                    age: Age {
                        rank: rank.map(Timestamp),
                        arrived: ordinal,
                    },
                })
            })
            .collect()
    }

    async fn running_tags(&mut self, workspace: WorkspaceId, repository: &Repository) -> Result<Vec<Tag>, StoreError> {
        let rows: Vec<(Option<String>, Option<String>)> = sqlx::query_as::<D, _>(RUNNING_TAGS)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .fetch_all(&mut self.tx)
            .await?;
        let mut tags = Vec::new();
        for (runs, rule) in rows {
            tags.extend(parse_if("tag", runs.as_ref())?);
            let TagRule { order, leave_out: _ } = rows::tag_rule(rule.as_ref())?;
            if let TagOrder::Only { tag } = order {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    async fn environment_names(&mut self, workspace: WorkspaceId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(ENVIRONMENT_NAMES)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?)
    }

    async fn artifact_age(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Age>, StoreError> {
        let found: Option<(Option<i64>, i64)> = sqlx::query_as::<D, _>(ARTIFACT_AGE)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .bind(digest.as_str())
            .fetch_optional(&mut self.tx)
            .await?;
        Ok(found.map(|(rank, arrived)| Age {
            rank: rank.map(Timestamp),
            arrived,
        }))
    }

    async fn backdated(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        than: Age,
        learned: i64,
        limit: i64,
    ) -> Result<Vec<Artifact>, StoreError> {
        let Some(built) = than.rank else { return Ok(Vec::new()) };
        all!(
            self,
            super::artifacts::ArtifactRow,
            BACKDATED,
            workspace.to_string(),
            repository.as_str(),
            than.arrived,
            learned,
            built.0,
            limit
        )
    }

    async fn learned(&mut self, repository: &Repository) -> Result<HashMap<ResourceId, Learned>, StoreError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as::<D, _>(LEARNED)
            .bind(repository.as_str())
            .fetch_all(&mut self.tx)
            .await?;
        rows.into_iter()
            .map(|(resource, upto, upto_tag)| Ok((parse("resource id", &resource)?, Learned { upto, upto_tag })))
            .collect()
    }

    async fn learn(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        resource: ResourceId,
    ) -> Result<(), StoreError> {
        run!(
            self,
            LEARN,
            workspace.to_string(),
            repository.as_str(),
            resource.to_string()
        )?;
        Ok(())
    }
}
