//! Copies of images: one for all promotions that want the same image in the same repository, and who makes it.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{from_json, parse, text, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Repository},
    copy::{Attachments, CopyPlan, CopyProgress, CopyProof, CopyState},
    id::{CopyId, PromotionId, WorkspaceId},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// What is wanted where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyWanted {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The repository it is copied from.
    pub source: Repository,
    /// The repository it is copied to.
    pub target: Repository,
    /// The image.
    pub digest: Digest,
    /// What goes along.
    pub attachments: Attachments,
}

/// A copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyRecord {
    /// Its id.
    pub id: CopyId,
    /// What is wanted where.
    pub wanted: CopyWanted,
    /// Where it stands.
    pub state: CopyState,
    /// What it has to do, once that is known.
    pub plan: Option<CopyPlan>,
    /// How far it is.
    pub progress: CopyProgress,
    /// What was read again at the target.
    pub proof: Option<CopyProof>,
    /// Why it failed, or what keeps it, a sentence.
    pub failure: Option<String>,
    /// Tries that failed in a row, without a byte more.
    pub tries: u32,
    /// Before then nobody tries it again.
    pub next_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Until when somebody is at it.
    pub lease_until: Option<Timestamp>,
}

/// How a copy ended, for now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyEnded {
    /// Where it stands.
    pub state: CopyState,
    /// What was read again at the target.
    pub proof: Option<CopyProof>,
    /// Why it failed, or what keeps it.
    pub failure: Option<String>,
    /// Tries that failed in a row.
    pub tries: u32,
    /// When it may be tried again.
    pub next_at: Timestamp,
}

/// Copies of images.
#[async_trait]
pub trait Copies: Send {
    /// The copy that makes this so.
    async fn copy_of(&mut self, wanted: &CopyWanted) -> Result<Option<CopyRecord>, StoreError>;
    /// The copies that a promotion waits for, or waited for, by the places of its images.
    async fn copies_for(&mut self, promotion: PromotionId) -> Result<Vec<CopyRecord>, StoreError>;
    /// Begins a copy, or begins it again, under a lease until `until`. `id` is used only if there is none yet. Call it in the transaction in
    /// which [`Self::copy_of`] was read.
    async fn begin_copy(
        &mut self,
        id: CopyId,
        wanted: &CopyWanted,
        owner: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Writes that a promotion waits for a copy, with the image at this place among those of its resource.
    async fn wait_for_copy(&mut self, promotion: PromotionId, slot: i64, copy: CopyId) -> Result<(), StoreError>;
    /// Writes how far a copy is, and renews its lease; `false` when that is another's by now.
    async fn copy_moved(
        &mut self,
        id: CopyId,
        owner: &str,
        plan: Option<&CopyPlan>,
        progress: CopyProgress,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// How many promotions wait for a copy.
    async fn count_waiting(&mut self, copy: CopyId) -> Result<i64, StoreError>;
    /// Writes how a copy ended; the lease ends with it. `false` when that is another's by now.
    async fn end_copy(
        &mut self,
        id: CopyId,
        owner: &str,
        ended: &CopyEnded,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Makes the promotions due that wait for a copy.
    async fn wake_for_copy(&mut self, copy: CopyId, now: Timestamp) -> Result<(), StoreError>;
}

const COPY_OF: &str =
    "SELECT * FROM copies WHERE workspace_id = $1 AND target = $2 AND digest = $3 AND attachments = $4";
const COPIES_FOR: &str = "SELECT c.* FROM copies c JOIN promotion_copies p ON p.copy_id = c.id \
     WHERE p.promotion_id = $1 ORDER BY p.slot";
const BEGIN_COPY: &str = "INSERT INTO copies (id, workspace_id, source, target, digest, attachments, state, blobs_done, \
     bytes_done, tries, next_at, created_at, lease_owner, lease_until) VALUES ($1, $2, $3, $4, $5, $6, 'running', 0, 0, 0, $7, $7, $8, $9) \
     ON CONFLICT (workspace_id, target, digest, attachments) DO UPDATE SET source = excluded.source, \
     tries = CASE WHEN copies.state = 'running' THEN copies.tries ELSE 0 END, state = excluded.state, \
     blobs_done = excluded.blobs_done, bytes_done = excluded.bytes_done, next_at = excluded.next_at, lease_owner = excluded.lease_owner, \
     lease_until = excluded.lease_until, ended_at = NULL, failure = NULL, proof = NULL";
const WAIT_FOR_COPY: &str = "INSERT INTO promotion_copies (promotion_id, slot, copy_id) VALUES ($1, $2, $3) \
     ON CONFLICT (promotion_id, slot) DO UPDATE SET copy_id = excluded.copy_id";
const COPY_MOVED: &str = "UPDATE copies SET plan = COALESCE($3, plan), blobs_done = $4, bytes_done = $5, lease_until = $6 \
     WHERE id = $1 AND lease_owner = $2";
const COUNT_WAITING: &str = "SELECT COUNT(*) FROM promotion_copies c JOIN promotions p ON p.id = c.promotion_id \
     WHERE c.copy_id = $1 AND p.state = 'mirroring'";
const END_COPY: &str = "UPDATE copies SET state = $3, proof = $4, failure = $5, next_at = $6, ended_at = $7, tries = $8, \
     lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2";
const WAKE_FOR_COPY: &str = "UPDATE promotions SET next_at = $2 WHERE next_at > $2 AND state = 'mirroring' \
     AND id IN (SELECT promotion_id FROM promotion_copies WHERE copy_id = $1)";

#[derive(FromRow)]
pub(crate) struct CopyRow {
    id: String,
    workspace_id: String,
    source: String,
    target: String,
    digest: String,
    attachments: String,
    state: String,
    plan: Option<String>,
    blobs_done: i64,
    bytes_done: i64,
    proof: Option<String>,
    failure: Option<String>,
    tries: i64,
    next_at: i64,
    ended_at: Option<i64>,
    lease_until: Option<i64>,
}

impl TryFrom<CopyRow> for CopyRecord {
    type Error = StoreError;

    fn try_from(row: CopyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("copy id", &row.id)?,
            wanted: CopyWanted {
                workspace: parse("workspace id", &row.workspace_id)?,
                source: parse("source repository", &row.source)?,
                target: parse("target repository", &row.target)?,
                digest: parse("digest", &row.digest)?,
                attachments: parse("attachments", &row.attachments)?,
            },
            state: parse("copy state", &row.state)?,
            plan: row
                .plan
                .as_deref()
                .map(|json| from_json("copy plan", json))
                .transpose()?,
            progress: CopyProgress {
                blobs: u32::try_from(row.blobs_done).unwrap_or(u32::MAX),
                bytes: u64::try_from(row.bytes_done).unwrap_or_default(),
            },
            proof: row
                .proof
                .as_deref()
                .map(|json| from_json("copy proof", json))
                .transpose()?,
            failure: row.failure,
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            next_at: Timestamp(row.next_at),
            ended_at: row.ended_at.map(Timestamp),
            lease_until: row.lease_until.map(Timestamp),
        })
    }
}

#[async_trait]
impl<D: Dialect> Copies for SqlTx<D>
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
    async fn copy_of(&mut self, wanted: &CopyWanted) -> Result<Option<CopyRecord>, StoreError> {
        one!(
            self,
            CopyRow,
            COPY_OF,
            wanted.workspace.to_string(),
            wanted.target.as_str(),
            wanted.digest.as_str(),
            wanted.attachments.to_string()
        )
    }

    async fn copies_for(&mut self, promotion: PromotionId) -> Result<Vec<CopyRecord>, StoreError> {
        all!(self, CopyRow, COPIES_FOR, promotion.to_string())
    }

    async fn begin_copy(
        &mut self,
        id: CopyId,
        wanted: &CopyWanted,
        owner: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run!(
            self,
            BEGIN_COPY,
            id.to_string(),
            wanted.workspace.to_string(),
            wanted.source.as_str(),
            wanted.target.as_str(),
            wanted.digest.as_str(),
            wanted.attachments.to_string(),
            now.0,
            owner,
            until.0,
        )?;
        Ok(())
    }

    async fn wait_for_copy(&mut self, promotion: PromotionId, slot: i64, copy: CopyId) -> Result<(), StoreError> {
        run!(self, WAIT_FOR_COPY, promotion.to_string(), slot, copy.to_string())?;
        Ok(())
    }

    async fn copy_moved(
        &mut self,
        id: CopyId,
        owner: &str,
        plan: Option<&CopyPlan>,
        progress: CopyProgress,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = run!(
            self,
            COPY_MOVED,
            id.to_string(),
            owner,
            plan.map(|plan| to_json("copy plan", plan)).transpose()?,
            i64::from(progress.blobs),
            i64::try_from(progress.bytes).unwrap_or(i64::MAX),
            until.0,
        )?;
        Ok(changed == 1)
    }

    async fn count_waiting(&mut self, copy: CopyId) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar::<D, _>(COUNT_WAITING)
            .bind(copy.to_string())
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn end_copy(
        &mut self,
        id: CopyId,
        owner: &str,
        ended: &CopyEnded,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_over = ended.state != CopyState::Running;
        let proof = ended.proof.as_ref();
        let changed = run!(
            self,
            END_COPY,
            id.to_string(),
            owner,
            ended.state.to_string(),
            proof.map(|proof| to_json("copy proof", proof)).transpose()?,
            ended.failure.as_deref().map(text),
            ended.next_at.0,
            is_over.then_some(now.0),
            i64::from(ended.tries),
        )?;
        Ok(changed == 1)
    }

    async fn wake_for_copy(&mut self, copy: CopyId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, WAKE_FOR_COPY, copy.to_string(), now.0)?;
        Ok(())
    }
}
