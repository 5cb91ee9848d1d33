//! Promotions: asked for, read, and written step by step.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{from_json, parse, parse_if, text, to_json},
    tx::{SqlTx, all, one, run},
};
use crate::telemetry;
use async_trait::async_trait;
use domain::{
    artifact::{ExactImage, Repository, Tag},
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId},
    promotion::{Failed, Failure, Origin, Promotion, State},
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// Which promotions of a project are asked about.
#[derive(Clone, Copy, Debug)]
pub struct AskedFor<'a> {
    /// The project.
    pub project: ProjectId,
    /// Only those that were asked for before this place in the ledger.
    pub before: i64,
    /// Only those of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only those of resources of this name.
    pub resource: Option<&'a str>,
    /// Only those in this state.
    pub state: Option<State>,
    /// At most so many.
    pub limit: i64,
}

/// Promotions: asked for, read, and written step by step.
/// Of one resource the newer has the higher number; ids and clocks tell nothing about that.
#[async_trait]
pub trait Promotions: Send {
    /// The number of the resource's next promotion. The resource stays locked until the end of the transaction, so that nobody else
    /// gets the same one.
    async fn next_number(&mut self, resource: ResourceId) -> Result<i64, StoreError>;
    /// A new promotion, due at once; its number is from [`Self::next_number`], in the same transaction.
    async fn insert_promotion(&mut self, promotion: &Promotion) -> Result<(), StoreError>;
    /// Promotions of a project, those asked for last first, each with its place in the ledger where it was asked for.
    async fn promotions_asked(&mut self, which: &AskedFor<'_>) -> Result<Vec<(i64, Promotion)>, StoreError>;
    /// Promotions that failed after this moment though their commit is on the remote, newest first, at most `limit`.
    async fn failed_since(&mut self, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError>;
    /// Writes that a person said that a promotion may make its values file.
    async fn may_create_file(&mut self, id: PromotionId) -> Result<(), StoreError>;
    /// The promotion with this id.
    async fn promotion(&mut self, id: PromotionId) -> Result<Option<Promotion>, StoreError>;
    /// Newest first.
    async fn promotions_of(&mut self, resource: ResourceId, limit: i64) -> Result<Vec<Promotion>, StoreError>;
    /// The newest of each resource of the project.
    async fn newest_promotions(&mut self, project: ProjectId) -> Result<Vec<Promotion>, StoreError>;
    /// Those of the resource that haven't ended, newest first.
    async fn open_promotions(&mut self, resource: ResourceId) -> Result<Vec<Promotion>, StoreError>;
    /// Writes what a step changed, given the state it was read in; a worker looks again at `next_at` (never, when it ended).
    /// The lease ends. Fails with [`StoreError::Stale`] when the state isn't `from` any more.
    async fn update_promotion(
        &mut self,
        promotion: &Promotion,
        from: State,
        next_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// The newest promotion of the same resource that was asked for after `promotion`, has a commit, and runs another digest.
    async fn committed_after(&mut self, promotion: &Promotion) -> Result<Option<PromotionId>, StoreError>;
}

const INSERT_PROMOTION: &str = "INSERT INTO promotions (id, workspace_id, project_id, environment_id, \
     resource_id, purpose, requested_by, origin_environment, origin_resource, repository, tag, digest, previous, \
     creates, state, tries, attempts, created_at, state_since, next_at, number, creates_file) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, 0, $16, $16, $16, $17, $18)";
const MAY_CREATE_FILE: &str = "UPDATE promotions SET creates_file = TRUE WHERE id = $1";
const PROMOTION: &str = "SELECT * FROM promotions WHERE id = $1";
const NEXT_NUMBER: &str = "SELECT COALESCE(MAX(number), 0) + 1 FROM promotions WHERE resource_id = $1";
const PROMOTIONS_OF: &str = "SELECT * FROM promotions WHERE resource_id = $1 ORDER BY number DESC LIMIT $2";
const NEWEST_PROMOTIONS: &str = "SELECT p.* FROM environments e \
     JOIN resources r ON r.environment_id = e.id AND r.removed_at IS NULL \
     JOIN promotions p ON p.resource_id = r.id \
     AND p.number = (SELECT MAX(q.number) FROM promotions q WHERE q.resource_id = r.id) \
     WHERE e.project_id = $1";
const OPEN_PROMOTIONS: &str =
    "SELECT * FROM promotions WHERE resource_id = $1 AND ended_at IS NULL ORDER BY number DESC";
const UPDATE_PROMOTION: &str = "UPDATE promotions SET tag = $3, state = $4, waits_for = $5, \
     failure_step = $6, failure_reason = $7, commit_id = $8, attempts = $9, state_since = $10, ended_at = $11, \
     next_at = $12, committed_at = $13, tries = $14, counts_from = $15, failure_more = $16, target_repository = $17, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND state = $2";
const PROMOTIONS_ASKED: &str = "SELECT p.*, a.sequence AS asked_at FROM events a \
     JOIN promotions p ON p.id = a.promotion_id \
     JOIN resources r ON r.id = p.resource_id AND r.removed_at IS NULL \
     JOIN environments e ON e.id = p.environment_id AND e.removed_at IS NULL \
     WHERE a.project_id = $1 AND a.kind = 'promotion_requested' AND a.sequence < $2 \
     AND ($3 = '' OR p.environment_id = $3) AND ($4 = '' OR r.name = $4) AND ($5 = '' OR p.state = $5) \
     ORDER BY a.sequence DESC LIMIT $6";
const FAILED_SINCE: &str = "SELECT * FROM promotions \
     WHERE state = 'failed' AND commit_id IS NOT NULL AND ended_at > $1 ORDER BY ended_at DESC LIMIT $2";
const COMMITTED_AFTER: &str = "SELECT id FROM promotions WHERE resource_id = $1 AND number > $2 \
     AND commit_id IS NOT NULL AND digest <> $3 ORDER BY number DESC LIMIT 1";

#[derive(FromRow)]
pub(crate) struct PromotionRow {
    id: String,
    workspace_id: String,
    project_id: String,
    environment_id: String,
    resource_id: String,
    number: i64,
    purpose: String,
    requested_by: String,
    origin_environment: Option<String>,
    origin_resource: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: String,
    target_repository: Option<String>,
    previous: Option<String>,
    creates: bool,
    creates_file: bool,
    state: String,
    waits_for: Option<String>,
    failure_step: Option<String>,
    failure_reason: Option<String>,
    failure_more: Option<String>,
    counts_from: Option<i64>,
    commit_id: Option<String>,
    committed_at: Option<i64>,
    tries: i64,
    attempts: i64,
    created_at: i64,
    state_since: i64,
    ended_at: Option<i64>,
}

#[derive(FromRow)]
pub(crate) struct AskedPromotionRow {
    #[sqlx(flatten)]
    promotion: PromotionRow,
    asked_at: i64,
}

impl TryFrom<AskedPromotionRow> for (i64, Promotion) {
    type Error = StoreError;

    fn try_from(row: AskedPromotionRow) -> Result<Self, StoreError> {
        Ok((row.asked_at, row.promotion.try_into()?))
    }
}

impl TryFrom<PromotionRow> for Promotion {
    type Error = StoreError;

    fn try_from(row: PromotionRow) -> Result<Self, StoreError> {
        let origin = match (&row.origin_environment, &row.origin_resource) {
            (Some(environment), Some(resource)) => Some(Origin {
                environment: parse("environment name", environment)?,
                resource: parse("resource name", resource)?,
            }),
            _ => None,
        };
        let more: Option<Failed> = row
            .failure_more
            .as_deref()
            .map(|json| from_json("failure", json))
            .transpose()?;
        let more = more.unwrap_or_default();
        let failure = match (&row.failure_step, row.failure_reason) {
            (Some(step), Some(reason)) => Some(Failure {
                step: parse("step", step)?,
                reason,
                remedy: more.remedy,
                said: more.said,
            }),
            _ => None,
        };
        Ok(Self {
            id: parse("promotion id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            project: parse("project id", &row.project_id)?,
            environment: parse("environment id", &row.environment_id)?,
            resource: parse("resource id", &row.resource_id)?,
            number: row.number,
            purpose: parse("purpose", &row.purpose)?,
            requested_by: from_json("actor", &row.requested_by)?,
            origin,
            image: ExactImage {
                repository: parse("image repository", &row.repository)?,
                tag: parse_if("tag", row.tag.as_ref())?,
                digest: parse("digest", &row.digest)?,
            },
            copied_to: parse_if("target repository", row.target_repository.as_ref())?,
            previous: row
                .previous
                .as_deref()
                .map(|json| from_json("previous image", json))
                .transpose()?,
            creates: row.creates,
            creates_file: row.creates_file,
            state: parse("state", &row.state)?,
            waits_for: row.waits_for,
            failure,
            commit: row.commit_id,
            committed_at: row.committed_at.map(Timestamp),
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            created_at: Timestamp(row.created_at),
            state_since: Timestamp(row.state_since),
            ended_at: row.ended_at.map(Timestamp),
            counts_from: row.counts_from.map(Timestamp),
        })
    }
}

#[async_trait]
impl<D: Dialect> Promotions for SqlTx<D>
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
    async fn next_number(&mut self, resource: ResourceId) -> Result<i64, StoreError> {
        // Two statements: the second sees what was committed while the first waited.
        run!(self, D::LOCK_RESOURCE, resource.to_string())?;
        Ok(sqlx::query_scalar::<D, _>(NEXT_NUMBER)
            .bind(resource.to_string())
            .fetch_one(&mut self.tx)
            .await?)
    }

    async fn insert_promotion(&mut self, promotion: &Promotion) -> Result<(), StoreError> {
        let previous = promotion
            .previous
            .as_ref()
            .map(|image| to_json("previous image", image))
            .transpose()?;
        run!(
            self,
            INSERT_PROMOTION,
            promotion.id.to_string(),
            promotion.workspace.to_string(),
            promotion.project.to_string(),
            promotion.environment.to_string(),
            promotion.resource.to_string(),
            promotion.purpose.as_str(),
            to_json("actor", &promotion.requested_by)?,
            promotion.origin.as_ref().map(|o| o.environment.as_str()),
            promotion.origin.as_ref().map(|o| o.resource.as_str()),
            promotion.image.repository.as_str(),
            promotion.image.tag.as_ref().map(Tag::as_str),
            promotion.image.digest.as_str(),
            previous,
            promotion.creates,
            promotion.state.as_str(),
            promotion.created_at.0,
            promotion.number,
            promotion.creates_file,
        )?;
        telemetry::promotion_is(promotion);
        Ok(())
    }

    async fn promotions_asked(&mut self, which: &AskedFor<'_>) -> Result<Vec<(i64, Promotion)>, StoreError> {
        let environment = which.environment.map(|id| id.to_string()).unwrap_or_default();
        all!(
            self,
            AskedPromotionRow,
            PROMOTIONS_ASKED,
            which.project.to_string(),
            which.before,
            environment,
            which.resource.unwrap_or_default(),
            which.state.map(State::as_str).unwrap_or_default(),
            which.limit
        )
    }

    async fn failed_since(&mut self, since: Timestamp, limit: i64) -> Result<Vec<Promotion>, StoreError> {
        all!(self, PromotionRow, FAILED_SINCE, since.0, limit)
    }

    async fn may_create_file(&mut self, id: PromotionId) -> Result<(), StoreError> {
        run!(self, MAY_CREATE_FILE, id.to_string())?;
        Ok(())
    }

    async fn promotion(&mut self, id: PromotionId) -> Result<Option<Promotion>, StoreError> {
        one!(self, PromotionRow, PROMOTION, id.to_string())
    }

    async fn promotions_of(&mut self, resource: ResourceId, limit: i64) -> Result<Vec<Promotion>, StoreError> {
        all!(self, PromotionRow, PROMOTIONS_OF, resource.to_string(), limit)
    }

    async fn newest_promotions(&mut self, project: ProjectId) -> Result<Vec<Promotion>, StoreError> {
        all!(self, PromotionRow, NEWEST_PROMOTIONS, project.to_string())
    }

    async fn open_promotions(&mut self, resource: ResourceId) -> Result<Vec<Promotion>, StoreError> {
        all!(self, PromotionRow, OPEN_PROMOTIONS, resource.to_string())
    }

    async fn update_promotion(
        &mut self,
        promotion: &Promotion,
        from: State,
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        let more = match &promotion.failure {
            Some(failure) if failure.remedy.is_some() || !failure.said.is_empty() => {
                let more = Failed {
                    reason: String::new(),
                    remedy: failure.remedy.clone(),
                    said: failure.said.clone(),
                };
                Some(to_json("failure", &more)?)
            }
            _ => None,
        };
        let changed = run!(
            self,
            UPDATE_PROMOTION,
            promotion.id.to_string(),
            from.as_str(),
            promotion.image.tag.as_ref().map(Tag::as_str),
            promotion.state.as_str(),
            promotion.waits_for.as_deref().map(text),
            promotion.failure.as_ref().map(|f| f.step.as_str()),
            promotion.failure.as_ref().map(|f| text(&f.reason)),
            &promotion.commit,
            i64::from(promotion.attempts),
            promotion.state_since.0,
            promotion.ended_at.map(|t| t.0),
            promotion.ended_at.is_none().then_some(next_at.0),
            promotion.committed_at.map(|t| t.0),
            i64::from(promotion.tries),
            promotion.counts_from.map(|t| t.0),
            more,
            promotion.copied_to.as_ref().map(Repository::as_str),
        )?;
        if changed != 1 {
            return Err(StoreError::Stale);
        }
        if promotion.state != from {
            telemetry::promotion_is(promotion);
        }
        Ok(())
    }

    async fn committed_after(&mut self, promotion: &Promotion) -> Result<Option<PromotionId>, StoreError> {
        let newest: Option<String> = sqlx::query_scalar::<D, _>(COMMITTED_AFTER)
            .bind(promotion.resource.to_string())
            .bind(promotion.number)
            .bind(promotion.image.digest.as_str())
            .fetch_optional(&mut self.tx)
            .await?;
        newest.map(|id| parse("promotion id", &id)).transpose()
    }
}
