//! Whether images can still be pulled: what each consists of, what of it is gone, and who looks.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{from_json, parse, parse_if, text, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Repository},
    id::WorkspaceId,
    presence::ImagePart,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// An image in a repository.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageAt {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The repository.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
}

/// What is known of whether an image can be pulled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PresenceRecord {
    /// The image.
    pub image: ImageAt,
    /// What it consists of; empty while that was never read.
    pub parts: Vec<ImagePart>,
    /// What is gone, a few words each.
    pub missing: Vec<String>,
    /// When that was found.
    pub gone_since: Option<Timestamp>,
    /// When something seemed to be gone, until that is confirmed.
    pub suspected_at: Option<Timestamp>,
    /// The last look that was answered.
    pub looked_at: Option<Timestamp>,
    /// Why it couldn't be looked at, a sentence.
    pub trouble: Option<String>,
    /// The repository that missing parts are being copied from.
    pub heal_from: Option<Repository>,
    /// Why that failed, a sentence.
    pub heal_failure: Option<String>,
    /// Tries that failed in a row.
    pub tries: u32,
    /// When it is looked at next.
    pub next_at: Timestamp,
}

/// Which of those that are due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PresenceDue {
    /// Those that are looked at.
    Look,
    /// Those whose missing parts a person wants copied.
    Heal,
}

/// Whether images can be pulled.
#[async_trait]
pub trait Presences: Send {
    /// All images that are looked after, of every workspace.
    async fn images_looked_after(&mut self) -> Result<Vec<ImageAt>, StoreError>;
    /// Has an image looked after from now on, first at `next_at`.
    async fn look_after(&mut self, image: &ImageAt, next_at: Timestamp) -> Result<(), StoreError>;
    /// No longer looks after an image.
    async fn stop_looking_after(&mut self, image: &ImageAt) -> Result<(), StoreError>;
    /// What is known of an image.
    async fn presence(&mut self, image: &ImageAt) -> Result<Option<PresenceRecord>, StoreError>;
    /// Those of a workspace that lack something.
    async fn incomplete(&mut self, workspace: WorkspaceId) -> Result<Vec<PresenceRecord>, StoreError>;
    /// Whether one is due, leases aside.
    async fn is_presence_due(
        &mut self,
        due: PresenceDue,
        now: Timestamp,
        farthest: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Takes the one that is due longest, under a lease until `until`. So is one that is put off beyond `farthest`: a clock ran ahead then.
    async fn claim_presence(
        &mut self,
        due: PresenceDue,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        farthest: Timestamp,
    ) -> Result<Option<PresenceRecord>, StoreError>;
    /// Renews a lease; `false` when it is another's by now.
    async fn renew_presence(&mut self, image: &ImageAt, owner: &str, until: Timestamp) -> Result<bool, StoreError>;
    /// Writes what came of a look, and ends the lease; `false` when it is another's by now.
    async fn settle_presence(&mut self, settled: &PresenceRecord, owner: &str) -> Result<bool, StoreError>;
    /// Writes where the missing parts of an image are to be copied from, at once.
    async fn heal(&mut self, image: &ImageAt, from: &Repository, now: Timestamp) -> Result<(), StoreError>;
}

const IMAGES_LOOKED_AFTER: &str =
    "SELECT workspace_id, repository, digest FROM presence ORDER BY workspace_id, repository, digest";
const LOOK_AFTER: &str = "INSERT INTO presence (workspace_id, repository, digest, tries, next_at) VALUES ($1, $2, $3, 0, $4) \
     ON CONFLICT (workspace_id, repository, digest) DO NOTHING";
const STOP_LOOKING_AFTER: &str = "DELETE FROM presence WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
const PRESENCE: &str = "SELECT * FROM presence WHERE workspace_id = $1 AND repository = $2 AND digest = $3";
const INCOMPLETE: &str =
    "SELECT * FROM presence WHERE workspace_id = $1 AND missing IS NOT NULL ORDER BY repository, digest";
const IS_LOOK_DUE: &str = "SELECT COUNT(*) FROM presence WHERE heal_from IS NULL AND (next_at <= $1 OR next_at > $2)";
const IS_HEAL_DUE: &str =
    "SELECT COUNT(*) FROM presence WHERE heal_from IS NOT NULL AND (next_at <= $1 OR next_at > $2)";
const CLAIM_LOOK: &str = "UPDATE presence SET lease_owner = $1, lease_until = $3 WHERE (workspace_id, repository, digest) = \
     (SELECT workspace_id, repository, digest FROM presence WHERE heal_from IS NULL AND (next_at <= $2 OR next_at > $4) \
     AND (lease_until IS NULL OR lease_until <= $2 OR lease_until > $4) ORDER BY next_at, repository, digest LIMIT 1) RETURNING *";
const CLAIM_HEAL: &str = "UPDATE presence SET lease_owner = $1, lease_until = $3 WHERE (workspace_id, repository, digest) = \
     (SELECT workspace_id, repository, digest FROM presence WHERE heal_from IS NOT NULL AND (next_at <= $2 OR next_at > $4) \
     AND (lease_until IS NULL OR lease_until <= $2 OR lease_until > $4) ORDER BY next_at, repository, digest LIMIT 1) RETURNING *";
const RENEW_PRESENCE: &str = "UPDATE presence SET lease_until = $5 WHERE workspace_id = $1 AND repository = $2 AND digest = $3 \
     AND lease_owner = $4";
const SETTLE_PRESENCE: &str = "UPDATE presence SET parts = $5, missing = $6, gone_since = $7, suspected_at = $8, looked_at = $9, \
     trouble = $10, heal_from = $11, heal_failure = $12, tries = $13, next_at = $14, lease_owner = NULL, lease_until = NULL \
     WHERE workspace_id = $1 AND repository = $2 AND digest = $3 AND lease_owner = $4";
const HEAL: &str = "UPDATE presence SET heal_from = $4, heal_failure = NULL, tries = 0, next_at = $5, lease_owner = NULL, lease_until = NULL \
     WHERE workspace_id = $1 AND repository = $2 AND digest = $3";

#[derive(FromRow)]
struct PresenceRow {
    workspace_id: String,
    repository: String,
    digest: String,
    parts: Option<String>,
    missing: Option<String>,
    gone_since: Option<i64>,
    suspected_at: Option<i64>,
    looked_at: Option<i64>,
    trouble: Option<String>,
    heal_from: Option<String>,
    heal_failure: Option<String>,
    tries: i64,
    next_at: i64,
}

#[derive(FromRow)]
struct ImageRow {
    workspace_id: String,
    repository: String,
    digest: String,
}

impl TryFrom<ImageRow> for ImageAt {
    type Error = StoreError;

    fn try_from(row: ImageRow) -> Result<Self, StoreError> {
        Ok(Self {
            workspace: parse("workspace id", &row.workspace_id)?,
            repository: parse("repository", &row.repository)?,
            digest: parse("digest", &row.digest)?,
        })
    }
}

impl TryFrom<PresenceRow> for PresenceRecord {
    type Error = StoreError;

    fn try_from(row: PresenceRow) -> Result<Self, StoreError> {
        Ok(Self {
            image: ImageAt {
                workspace: parse("workspace id", &row.workspace_id)?,
                repository: parse("repository", &row.repository)?,
                digest: parse("digest", &row.digest)?,
            },
            parts: (row.parts.as_deref())
                .map(|json| from_json("parts of an image", json))
                .transpose()?
                .unwrap_or_default(),
            missing: (row.missing.as_deref())
                .map(|json| from_json("missing parts", json))
                .transpose()?
                .unwrap_or_default(),
            gone_since: row.gone_since.map(Timestamp),
            suspected_at: row.suspected_at.map(Timestamp),
            looked_at: row.looked_at.map(Timestamp),
            trouble: row.trouble,
            heal_from: parse_if("repository", row.heal_from.as_ref())?,
            heal_failure: row.heal_failure,
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            next_at: Timestamp(row.next_at),
        })
    }
}

#[async_trait]
impl<D: Dialect> Presences for SqlTx<D>
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
    async fn images_looked_after(&mut self) -> Result<Vec<ImageAt>, StoreError> {
        all!(self, ImageRow, IMAGES_LOOKED_AFTER)
    }

    async fn look_after(&mut self, image: &ImageAt, next_at: Timestamp) -> Result<(), StoreError> {
        run!(
            self,
            LOOK_AFTER,
            image.workspace.to_string(),
            image.repository.as_str(),
            image.digest.as_str(),
            next_at.0
        )?;
        Ok(())
    }

    async fn stop_looking_after(&mut self, image: &ImageAt) -> Result<(), StoreError> {
        run!(
            self,
            STOP_LOOKING_AFTER,
            image.workspace.to_string(),
            image.repository.as_str(),
            image.digest.as_str()
        )?;
        Ok(())
    }

    async fn presence(&mut self, image: &ImageAt) -> Result<Option<PresenceRecord>, StoreError> {
        one!(
            self,
            PresenceRow,
            PRESENCE,
            image.workspace.to_string(),
            image.repository.as_str(),
            image.digest.as_str()
        )
    }

    async fn incomplete(&mut self, workspace: WorkspaceId) -> Result<Vec<PresenceRecord>, StoreError> {
        all!(self, PresenceRow, INCOMPLETE, workspace.to_string())
    }

    async fn is_presence_due(
        &mut self,
        due: PresenceDue,
        now: Timestamp,
        farthest: Timestamp,
    ) -> Result<bool, StoreError> {
        let count = match due {
            PresenceDue::Look => IS_LOOK_DUE,
            PresenceDue::Heal => IS_HEAL_DUE,
        };
        let found = sqlx::query_scalar::<D, i64>(count)
            .bind(now.0)
            .bind(farthest.0)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(found > 0)
    }

    async fn claim_presence(
        &mut self,
        due: PresenceDue,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        farthest: Timestamp,
    ) -> Result<Option<PresenceRecord>, StoreError> {
        let claim = match due {
            PresenceDue::Look => CLAIM_LOOK,
            PresenceDue::Heal => CLAIM_HEAL,
        };
        one!(self, PresenceRow, claim, owner, now.0, until.0, farthest.0)
    }

    async fn renew_presence(&mut self, image: &ImageAt, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        let changed = run!(
            self,
            RENEW_PRESENCE,
            image.workspace.to_string(),
            image.repository.as_str(),
            image.digest.as_str(),
            owner,
            until.0,
        )?;
        Ok(changed == 1)
    }

    async fn settle_presence(&mut self, settled: &PresenceRecord, owner: &str) -> Result<bool, StoreError> {
        // Each part by name, so that a new one can't be left out.
        let PresenceRecord {
            image,
            parts,
            missing,
            gone_since,
            suspected_at,
            looked_at,
            trouble,
            heal_from,
            heal_failure,
            tries,
            next_at,
        } = settled;
        let parts = (!parts.is_empty())
            .then(|| to_json("parts of an image", parts))
            .transpose()?;
        let missing = (!missing.is_empty())
            .then(|| to_json("missing parts", missing))
            .transpose()?;
        let changed = run!(
            self,
            SETTLE_PRESENCE,
            image.workspace.to_string(),
            image.repository.as_str(),
            image.digest.as_str(),
            owner,
            parts,
            missing,
            gone_since.map(|at| at.0),
            suspected_at.map(|at| at.0),
            looked_at.map(|at| at.0),
            trouble.as_deref().map(text),
            heal_from.as_ref().map(Repository::as_str),
            heal_failure.as_deref().map(text),
            i64::from(*tries),
            next_at.0,
        )?;
        Ok(changed == 1)
    }

    async fn heal(&mut self, image: &ImageAt, from: &Repository, now: Timestamp) -> Result<(), StoreError> {
        run!(
            self,
            HEAL,
            image.workspace.to_string(),
            image.repository.as_str(),
            image.digest.as_str(),
            from.as_str(),
            now.0
        )?;
        Ok(())
    }
}
