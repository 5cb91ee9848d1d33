//! The tags that Waybill sets for environments: what each should name, what it named last, and who is at it.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{parse, parse_if, text},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Repository, Tag},
    environment_tags::TagUse,
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId, WorkspaceId},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A tag, and what it is to name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagWanted {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The repository that holds the image.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// What it is for.
    pub usage: TagUse,
    /// The environment whose tag it is.
    pub environment: EnvironmentId,
    /// The resource that runs the image.
    pub resource: ResourceId,
    /// The promotion that brought it there, if one did.
    pub promotion: Option<PromotionId>,
    /// The image.
    pub digest: Digest,
}

/// A tag that Waybill sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagMove {
    /// The tag, and what it is to name.
    pub wanted: TagWanted,
    /// The image that it named when Waybill last set it or found it so.
    pub last_set: Option<Digest>,
    /// When that was; `None`: it is to be set.
    pub set_at: Option<Timestamp>,
    /// That somebody else moved it, and when that was found.
    pub drift: Option<(TagDrift, Timestamp)>,
    /// Why it isn't set, a sentence.
    pub note: Option<String>,
    /// Tries that failed in a row.
    pub tries: u32,
    /// Counts what was wanted of it.
    pub wish: i64,
    /// When it is looked at next.
    pub next_at: Timestamp,
}

/// A lease: from now until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TagLease {
    /// Now.
    pub now: Timestamp,
    /// Its end, unless it is ended before.
    pub until: Timestamp,
}

impl TagLease {
    /// What lasts longer was written by a clock that ran ahead.
    fn longest(self) -> i64 {
        self.until.0.saturating_add(self.until.millis_since(self.now))
    }
}

/// What somebody else made of a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagDrift {
    /// It names this image.
    Names(Digest),
    /// It is gone.
    Gone,
}

impl TagMove {
    /// Whether the tag names what it should, as far as Waybill knows.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.drift.is_none() && self.was_set()
    }

    /// Whether it was set to what it should name, whatever became of it.
    #[must_use]
    pub fn was_set(&self) -> bool {
        self.set_at.is_some() && self.last_set.as_ref() == Some(&self.wanted.digest)
    }
}

/// Tags that Waybill sets.
#[async_trait]
pub trait TagMoves: Send {
    /// Writes what a tag is to name; it is due at once.
    async fn want_tag(&mut self, wanted: &TagWanted, now: Timestamp) -> Result<(), StoreError>;
    /// A tag.
    async fn tag_move(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<TagMove>, StoreError>;
    /// The names of those in a repository.
    async fn own_tags(&mut self, workspace: WorkspaceId, repository: &Repository) -> Result<Vec<Tag>, StoreError>;
    /// The markers of a project's environments that somebody else moved, each with the resource whose image it should name.
    async fn drifted_markers(&mut self, project: ProjectId) -> Result<Vec<TagMove>, StoreError>;
    /// Those of a project's environments, by repository and name.
    async fn tags_of_project(&mut self, project: ProjectId) -> Result<Vec<TagMove>, StoreError>;
    /// Those that name an image, as far as is known.
    async fn tags_on(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<TagMove>, StoreError>;
    /// Those that a promotion set, or that it is to set.
    async fn tags_of_promotion(&mut self, promotion: PromotionId) -> Result<Vec<TagMove>, StoreError>;
    /// Those that keep images for a resource.
    async fn keepers_of(&mut self, resource: ResourceId) -> Result<Vec<TagMove>, StoreError>;
    /// The repositories that have one of this name.
    async fn own_tags_called(&mut self, workspace: WorkspaceId, tag: &Tag) -> Result<Vec<Repository>, StoreError>;
    /// Makes this one due: somebody may have moved it.
    async fn look_at_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Has all of an environment set again, whatever they name.
    async fn set_tags_again(&mut self, environment: EnvironmentId, now: Timestamp) -> Result<(), StoreError>;
    /// Has those of a workspace set again that couldn't be.
    async fn retry_refused_tags(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<(), StoreError>;
    /// When the next is due.
    async fn next_tag_due(&mut self) -> Result<Option<Timestamp>, StoreError>;
    /// Takes the one that is due longest, under a lease. So is one that is put off beyond `farthest`: a clock ran ahead then.
    async fn claim_tag(
        &mut self,
        owner: &str,
        lease: TagLease,
        farthest: Timestamp,
    ) -> Result<Option<TagMove>, StoreError>;
    /// Takes this one; `false` when somebody else is at it.
    async fn hold_tag(&mut self, wanted: &TagWanted, owner: &str, lease: TagLease) -> Result<bool, StoreError>;
    /// Writes what came of a look, and ends the lease; `false` when that is another's by now. If something else is wanted meanwhile, it stays due.
    async fn settle_tag(&mut self, settled: &TagMove, owner: &str, now: Timestamp) -> Result<bool, StoreError>;
    /// Lets a tag go: Waybill no longer looks after it. `false` when it is another's to say by now.
    async fn forget_tag_move(&mut self, held: &TagMove, owner: &str) -> Result<bool, StoreError>;
}

const WANT_TAG: &str = "INSERT INTO tag_moves (workspace_id, repository, tag, tag_use, environment_id, resource_id, promotion_id, wanted, \
     tries, wish, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, $9) \
     ON CONFLICT (workspace_id, repository, tag) DO UPDATE SET tag_use = excluded.tag_use, environment_id = excluded.environment_id, \
     resource_id = excluded.resource_id, promotion_id = excluded.promotion_id, wanted = excluded.wanted, tries = 0, \
     next_at = excluded.next_at, note = NULL, set_at = NULL, \
     wish = tag_moves.wish + 1";
const TAG_MOVE: &str = "SELECT * FROM tag_moves WHERE workspace_id = $1 AND repository = $2 AND tag = $3";
const OWN_TAGS: &str = "SELECT tag FROM tag_moves WHERE workspace_id = $1 AND repository = $2 ORDER BY tag";
const TAGS_OF_PROJECT: &str = "SELECT t.* FROM tag_moves t JOIN environments e ON e.id = t.environment_id \
     WHERE e.project_id = $1 ORDER BY t.repository, t.tag";
const DRIFTED_MARKERS: &str = "SELECT t.* FROM tag_moves t JOIN environments e ON e.id = t.environment_id \
     WHERE e.project_id = $1 AND t.drifted_at IS NOT NULL AND t.tag_use = 'marker' ORDER BY t.repository, t.tag";
const TAGS_ON: &str =
    "SELECT * FROM tag_moves WHERE workspace_id = $1 AND last_set = $2 AND set_at IS NOT NULL ORDER BY repository, tag";
const TAGS_OF_PROMOTION: &str = "SELECT * FROM tag_moves WHERE promotion_id = $1 ORDER BY repository, tag";
const KEEPERS_OF: &str =
    "SELECT * FROM tag_moves WHERE resource_id = $1 AND tag_use = 'keeper' ORDER BY repository, tag";
const OWN_TAGS_CALLED: &str =
    "SELECT repository FROM tag_moves WHERE tag = $2 AND workspace_id = $1 ORDER BY repository";
const LOOK_AT_TAG: &str = "UPDATE tag_moves SET next_at = $4, wish = wish + 1 WHERE workspace_id = $1 AND tag = $3 \
     AND repository = $2";
const SET_TAGS_AGAIN: &str = "UPDATE tag_moves SET next_at = $2, last_set = NULL, set_at = NULL, note = NULL, tries = 0, \
     wish = wish + 1 WHERE environment_id = $1";
const RETRY_REFUSED_TAGS: &str = "UPDATE tag_moves SET next_at = $2, note = NULL, tries = 0, wish = wish + 1 WHERE workspace_id = $1 AND note IS NOT NULL AND set_at IS NULL";
const NEXT_TAG_DUE: &str = "SELECT next_at FROM tag_moves ORDER BY next_at LIMIT 1";
const CLAIM_TAG: &str = "UPDATE tag_moves SET lease_owner = $1, lease_until = $3 WHERE (workspace_id, repository, tag) = \
     (SELECT workspace_id, repository, tag FROM tag_moves WHERE (next_at <= $2 OR next_at > $4) \
     AND (lease_until IS NULL OR lease_until <= $2 OR lease_until > $5) ORDER BY next_at, repository, tag LIMIT 1) RETURNING *";
const HOLD_TAG: &str = "UPDATE tag_moves SET lease_owner = $4, lease_until = $6 WHERE workspace_id = $1 AND repository = $2 AND tag = $3 \
     AND (lease_until IS NULL OR lease_until <= $5 OR lease_until > $7)";
const SETTLE_TAG: &str = "UPDATE tag_moves SET last_set = $5, set_at = CASE WHEN wish = $11 THEN $6 ELSE set_at END, \
     seen = CASE WHEN wish = $11 THEN $7 ELSE seen END, drifted_at = CASE WHEN wish = $11 THEN $8 ELSE drifted_at END, \
     note = CASE WHEN wish = $11 THEN $9 ELSE note END, tries = CASE WHEN wish = $11 THEN $10 ELSE tries END, \
     next_at = CASE WHEN wish = $11 THEN $12 ELSE $13 END, lease_owner = NULL, lease_until = NULL \
     WHERE workspace_id = $1 AND repository = $2 AND tag = $3 AND lease_owner = $4";
const FORGET_TAG_MOVE: &str =
    "DELETE FROM tag_moves WHERE workspace_id = $1 AND repository = $2 AND tag = $3 AND wish = $4 AND lease_owner = $5";

#[derive(FromRow)]
struct TagMoveRow {
    workspace_id: String,
    repository: String,
    tag: String,
    tag_use: String,
    environment_id: String,
    resource_id: String,
    promotion_id: Option<String>,
    wanted: String,
    last_set: Option<String>,
    set_at: Option<i64>,
    seen: Option<String>,
    drifted_at: Option<i64>,
    note: Option<String>,
    tries: i64,
    wish: i64,
    next_at: i64,
}

impl TryFrom<TagMoveRow> for TagMove {
    type Error = StoreError;

    fn try_from(row: TagMoveRow) -> Result<Self, StoreError> {
        let seen = parse_if("digest", row.seen.as_ref())?;
        Ok(Self {
            wanted: TagWanted {
                workspace: parse("workspace id", &row.workspace_id)?,
                repository: parse("repository", &row.repository)?,
                tag: parse("tag", &row.tag)?,
                usage: parse("use of a tag", &row.tag_use)?,
                environment: parse("environment id", &row.environment_id)?,
                resource: parse("resource id", &row.resource_id)?,
                promotion: parse_if("promotion id", row.promotion_id.as_ref())?,
                digest: parse("digest", &row.wanted)?,
            },
            last_set: parse_if("digest", row.last_set.as_ref())?,
            set_at: row.set_at.map(Timestamp),
            drift: row
                .drifted_at
                .map(|at| (seen.map_or(TagDrift::Gone, TagDrift::Names), Timestamp(at))),
            note: row.note,
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            wish: row.wish,
            next_at: Timestamp(row.next_at),
        })
    }
}

#[async_trait]
impl<D: Dialect> TagMoves for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn want_tag(&mut self, wanted: &TagWanted, now: Timestamp) -> Result<(), StoreError> {
        run!(
            self,
            WANT_TAG,
            wanted.workspace.to_string(),
            wanted.repository.as_str(),
            wanted.tag.as_str(),
            wanted.usage.to_string(),
            wanted.environment.to_string(),
            wanted.resource.to_string(),
            wanted.promotion.map(|id| id.to_string()),
            wanted.digest.as_str(),
            now.0,
        )?;
        Ok(())
    }

    async fn tag_move(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<TagMove>, StoreError> {
        one!(
            self,
            TagMoveRow,
            TAG_MOVE,
            workspace.to_string(),
            repository.as_str(),
            tag.as_str()
        )
    }

    async fn own_tags(&mut self, workspace: WorkspaceId, repository: &Repository) -> Result<Vec<Tag>, StoreError> {
        let names = sqlx::query_scalar::<D, String>(OWN_TAGS)
            .bind(workspace.to_string())
            .bind(repository.as_str())
            .fetch_all(&mut self.tx)
            .await?;
        names.iter().map(|name| parse("tag", name)).collect()
    }

    async fn drifted_markers(&mut self, project: ProjectId) -> Result<Vec<TagMove>, StoreError> {
        all!(self, TagMoveRow, DRIFTED_MARKERS, project.to_string())
    }

    async fn tags_of_project(&mut self, project: ProjectId) -> Result<Vec<TagMove>, StoreError> {
        all!(self, TagMoveRow, TAGS_OF_PROJECT, project.to_string())
    }

    async fn tags_on(&mut self, workspace: WorkspaceId, digest: &Digest) -> Result<Vec<TagMove>, StoreError> {
        all!(self, TagMoveRow, TAGS_ON, workspace.to_string(), digest.as_str())
    }

    async fn tags_of_promotion(&mut self, promotion: PromotionId) -> Result<Vec<TagMove>, StoreError> {
        all!(self, TagMoveRow, TAGS_OF_PROMOTION, promotion.to_string())
    }

    async fn keepers_of(&mut self, resource: ResourceId) -> Result<Vec<TagMove>, StoreError> {
        all!(self, TagMoveRow, KEEPERS_OF, resource.to_string())
    }

    async fn own_tags_called(&mut self, workspace: WorkspaceId, tag: &Tag) -> Result<Vec<Repository>, StoreError> {
        let found = sqlx::query_scalar::<D, String>(OWN_TAGS_CALLED)
            .bind(workspace.to_string())
            .bind(tag.as_str())
            .fetch_all(&mut self.tx)
            .await?;
        found.iter().map(|found| parse("repository", found)).collect()
    }

    async fn look_at_tag(
        &mut self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run!(
            self,
            LOOK_AT_TAG,
            workspace.to_string(),
            repository.as_str(),
            tag.as_str(),
            now.0
        )?;
        Ok(())
    }

    async fn set_tags_again(&mut self, environment: EnvironmentId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, SET_TAGS_AGAIN, environment.to_string(), now.0)?;
        Ok(())
    }

    async fn retry_refused_tags(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, RETRY_REFUSED_TAGS, workspace.to_string(), now.0)?;
        Ok(())
    }

    async fn next_tag_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let due = sqlx::query_scalar::<D, i64>(NEXT_TAG_DUE)
            .fetch_optional(&mut self.tx)
            .await?;
        Ok(due.map(Timestamp))
    }

    async fn claim_tag(
        &mut self,
        owner: &str,
        lease: TagLease,
        farthest: Timestamp,
    ) -> Result<Option<TagMove>, StoreError> {
        let TagLease { now, until } = lease;
        one!(
            self,
            TagMoveRow,
            CLAIM_TAG,
            owner,
            now.0,
            until.0,
            farthest.0,
            lease.longest()
        )
    }

    async fn hold_tag(&mut self, wanted: &TagWanted, owner: &str, lease: TagLease) -> Result<bool, StoreError> {
        let changed = run!(
            self,
            HOLD_TAG,
            wanted.workspace.to_string(),
            wanted.repository.as_str(),
            wanted.tag.as_str(),
            owner,
            lease.now.0,
            lease.until.0,
            lease.longest(),
        )?;
        Ok(changed == 1)
    }

    async fn settle_tag(&mut self, settled: &TagMove, owner: &str, now: Timestamp) -> Result<bool, StoreError> {
        // Each part by name, so that a new one can't be left out.
        let TagMove {
            wanted,
            last_set,
            set_at,
            drift,
            note,
            tries,
            wish,
            next_at,
        } = settled;
        let seen = match drift {
            Some((TagDrift::Names(digest), _)) => Some(digest.as_str()),
            Some((TagDrift::Gone, _)) | None => None,
        };
        let changed = run!(
            self,
            SETTLE_TAG,
            wanted.workspace.to_string(),
            wanted.repository.as_str(),
            wanted.tag.as_str(),
            owner,
            last_set.as_ref().map(Digest::as_str),
            set_at.map(|at| at.0),
            seen,
            drift.as_ref().map(|(_, at)| at.0),
            note.as_deref().map(text),
            i64::from(*tries),
            *wish,
            next_at.0,
            now.0,
        )?;
        Ok(changed == 1)
    }

    async fn forget_tag_move(&mut self, held: &TagMove, owner: &str) -> Result<bool, StoreError> {
        let wanted = &held.wanted;
        let changed = run!(
            self,
            FORGET_TAG_MOVE,
            wanted.workspace.to_string(),
            wanted.repository.as_str(),
            wanted.tag.as_str(),
            held.wish,
            owner,
        )?;
        Ok(changed == 1)
    }
}
