//! The keys that Waybill's own statements are signed with.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::time::Timestamp;
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A key, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// The SHA-256 of its public half, hexadecimal.
    pub fingerprint: String,
    /// Its public half, PEM.
    pub public_key: String,
    /// Its private half, sealed; `None` once another key took its place.
    pub private_key: Option<String>,
    /// When it was made, or given.
    pub created_at: Timestamp,
    /// When another took its place.
    pub retired_at: Option<Timestamp>,
}

/// Keys that sign.
#[async_trait]
pub trait SigningKeys: Send {
    /// The key that signs now.
    async fn signing_key(&mut self) -> Result<Option<SigningKeyRecord>, StoreError>;
    /// All keys there ever were, the newest first.
    async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRecord>, StoreError>;
    /// Has a key sign from now on. Of those before it only the public half stays.
    async fn set_signing_key(&mut self, key: &SigningKeyRecord, now: Timestamp) -> Result<(), StoreError>;
}

const SIGNING_KEY: &str = "SELECT * FROM signing_keys WHERE retired_at IS NULL ORDER BY created_at DESC LIMIT 1";
const SIGNING_KEYS: &str = "SELECT * FROM signing_keys ORDER BY retired_at IS NOT NULL, created_at DESC, fingerprint";
const RETIRE: &str = "UPDATE signing_keys SET retired_at = $1, private_key = NULL WHERE retired_at IS NULL";
const SET_SIGNING_KEY: &str = "INSERT INTO signing_keys (fingerprint, public_key, private_key, created_at, retired_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (fingerprint) DO UPDATE SET public_key = excluded.public_key, \
     private_key = excluded.private_key, created_at = excluded.created_at, retired_at = excluded.retired_at";

#[derive(FromRow)]
struct KeyRow {
    fingerprint: String,
    public_key: String,
    private_key: Option<String>,
    created_at: i64,
    retired_at: Option<i64>,
}

impl TryFrom<KeyRow> for SigningKeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            fingerprint: row.fingerprint,
            public_key: row.public_key,
            private_key: row.private_key,
            created_at: Timestamp(row.created_at),
            retired_at: row.retired_at.map(Timestamp),
        })
    }
}

#[async_trait]
impl<D: Dialect> SigningKeys for SqlTx<D>
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
    async fn signing_key(&mut self) -> Result<Option<SigningKeyRecord>, StoreError> {
        one!(self, KeyRow, SIGNING_KEY)
    }

    async fn signing_keys(&mut self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        all!(self, KeyRow, SIGNING_KEYS)
    }

    async fn set_signing_key(&mut self, key: &SigningKeyRecord, now: Timestamp) -> Result<(), StoreError> {
        run!(self, RETIRE, now.0)?;
        run!(
            self,
            SET_SIGNING_KEY,
            key.fingerprint.as_str(),
            key.public_key.as_str(),
            key.private_key.as_deref(),
            key.created_at.0,
            key.retired_at.map(|at| at.0),
        )?;
        Ok(())
    }
}
