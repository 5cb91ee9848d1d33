//! What Waybill says of promotions, signed, and whether the registry has it.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{parse, text},
    tx::{SqlTx, one, run},
};
use crate::signature::StatementParts;
use async_trait::async_trait;
use domain::{
    artifact::{Digest, Repository},
    id::PromotionId,
    statement::StatementForm,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A signed statement about a promotion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementRecord {
    /// The promotion.
    pub promotion: PromotionId,
    /// How it hangs on the image.
    pub form: StatementForm,
    /// The repository where it does.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
    /// The fingerprint of the key that signed it.
    pub fingerprint: String,
    /// The bytes of its layer: a bundle, or an envelope. JSON.
    pub layer: String,
    /// The bytes of its configuration.
    pub config: String,
    /// The bytes of the manifest that names both.
    pub manifest: String,
    /// When it was signed.
    pub made_at: Timestamp,
    /// When the registry was found to have it.
    pub written_at: Option<Timestamp>,
    /// Why it hasn't, a sentence.
    pub refusal: Option<String>,
}

impl From<&StatementRecord> for StatementParts {
    fn from(record: &StatementRecord) -> Self {
        Self {
            form: record.form,
            layer: record.layer.clone().into_bytes(),
            config: record.config.clone().into_bytes(),
            manifest: record.manifest.clone().into_bytes(),
        }
    }
}

/// Statements.
#[async_trait]
pub trait Statements: Send {
    /// The statement about a promotion, if there is one.
    async fn statement(&mut self, promotion: PromotionId) -> Result<Option<StatementRecord>, StoreError>;
    /// Writes it, in place of one that is there.
    async fn set_statement(&mut self, statement: &StatementRecord) -> Result<(), StoreError>;
    /// Writes whether the registry has it; `false` when another statement has taken its place.
    async fn settle_statement(&mut self, settled: &StatementRecord) -> Result<bool, StoreError>;
}

const STATEMENT: &str = "SELECT * FROM statements WHERE promotion_id = $1";
const SET_STATEMENT: &str = "INSERT INTO statements (promotion_id, form, repository, digest, fingerprint, layer, config, manifest, \
     made_at, written_at, refusal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (promotion_id) DO UPDATE SET form = excluded.form, repository = excluded.repository, digest = excluded.digest, \
     fingerprint = excluded.fingerprint, layer = excluded.layer, config = excluded.config, manifest = excluded.manifest, \
     made_at = excluded.made_at, written_at = excluded.written_at, refusal = excluded.refusal";
const SETTLE_STATEMENT: &str =
    "UPDATE statements SET written_at = $3, refusal = $4 WHERE promotion_id = $1 AND layer = $2";

#[derive(FromRow)]
struct StatementRow {
    promotion_id: String,
    form: String,
    repository: String,
    digest: String,
    fingerprint: String,
    layer: String,
    config: String,
    manifest: String,
    made_at: i64,
    written_at: Option<i64>,
    refusal: Option<String>,
}

impl TryFrom<StatementRow> for StatementRecord {
    type Error = StoreError;

    fn try_from(row: StatementRow) -> Result<Self, StoreError> {
        Ok(Self {
            promotion: parse("promotion id", &row.promotion_id)?,
            form: parse("form of a statement", &row.form)?,
            repository: parse("repository", &row.repository)?,
            digest: parse("digest", &row.digest)?,
            fingerprint: row.fingerprint,
            layer: row.layer,
            config: row.config,
            manifest: row.manifest,
            made_at: Timestamp(row.made_at),
            written_at: row.written_at.map(Timestamp),
            refusal: row.refusal,
        })
    }
}

#[async_trait]
impl<D: Dialect> Statements for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    str: Type<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn statement(&mut self, promotion: PromotionId) -> Result<Option<StatementRecord>, StoreError> {
        one!(self, StatementRow, STATEMENT, promotion.to_string())
    }

    async fn set_statement(&mut self, statement: &StatementRecord) -> Result<(), StoreError> {
        // Each part by name, so that a new one can't be left out.
        let StatementRecord {
            promotion,
            form,
            repository,
            digest,
            fingerprint,
            layer,
            config,
            manifest,
            made_at,
            written_at,
            refusal,
        } = statement;
        run!(
            self,
            SET_STATEMENT,
            promotion.to_string(),
            form.to_string(),
            repository.as_str(),
            digest.as_str(),
            fingerprint.as_str(),
            layer.as_str(),
            config.as_str(),
            manifest.as_str(),
            made_at.0,
            written_at.map(|at| at.0),
            refusal.as_deref().map(text),
        )?;
        Ok(())
    }

    async fn settle_statement(&mut self, settled: &StatementRecord) -> Result<bool, StoreError> {
        let changed = run!(
            self,
            SETTLE_STATEMENT,
            settled.promotion.to_string(),
            settled.layer.as_str(),
            settled.written_at.map(|at| at.0),
            settled.refusal.as_deref().map(text),
        )?;
        Ok(changed == 1)
    }
}
