//! SQLite: one file, readers beside one writer.

use super::{
    OpenError, Store, StoreChange, StoreError, Tx,
    activity::{self, Statements},
    database_fault::{DatabaseFault, Health},
    dialect::{Dialect, of_one_writer},
    guarded_tx::is_clean,
    open,
    tx::SqlTx,
};
use async_trait::async_trait;
use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt as _},
};
use sqlx::{
    Sqlite, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteQueryResult, SqliteSynchronous},
};
use std::{path::Path, sync::Arc, time::Duration};

/// One writer at a time makes the claims safe.
macro_rules! claim {
    ($states:literal, $and:expr) => {
        concat!(
            "UPDATE promotions SET lease_owner = $1, lease_until = $2, \
             attempts = attempts + CASE WHEN lease_owner IS NULL THEN 0 ELSE 1 END WHERE id IN (\
             SELECT id FROM promotions WHERE next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) \
             AND state IN (",
            $states,
            ") ",
            $and,
            " ORDER BY next_at, number LIMIT $4) RETURNING *"
        )
    };
}

impl Dialect for Sqlite {
    // There is one writer, who has the whole file to itself.
    const LOCK_RESOURCE: &'static str = "SELECT COUNT(*) FROM resources WHERE id = $1";
    const CLAIM_COMMIT: &'static str = claim!("'waiting', 'queued', 'committing'", of_one_writer!());
    const CLAIM_COPY: &'static str = claim!("'mirroring'", "AND target_repository IS NOT NULL");
    const CLAIM_PREPARE: &'static str = claim!("'mirroring'", "AND target_repository IS NULL");
    const CLAIM_ROLLOUT: &'static str = claim!("'syncing', 'verifying'", "");
    const NEXT_DUE: &'static str = "SELECT MIN(MAX(next_at, COALESCE(lease_until, 0))) FROM promotions \
         WHERE next_at IS NOT NULL";

    const CLAIM_DELIVERIES: &'static str = "UPDATE deliveries SET lease_owner = $1, lease_until = $2 WHERE id IN (\
         SELECT id FROM deliveries WHERE next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) \
         AND channel_id = $4 ORDER BY ordinal LIMIT $5) RETURNING *";
    const NEXT_DELIVERY: &'static str = "SELECT MIN(MAX(d.next_at, COALESCE(d.lease_until, 0))) FROM deliveries d \
         JOIN channels c ON c.id = d.channel_id WHERE d.next_at IS NOT NULL AND c.active";

    const SEARCH: Statements = activity::SQLITE;

    fn changed(done: &SqliteQueryResult) -> u64 {
        done.rows_affected()
    }
}

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Whether migrations ever ran.
const HAS_TABLES: &str =
    "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations')";

/// The database in a file.
#[derive(Clone)]
pub struct SqliteStore {
    /// One connection, so that writers wait in line here and not in the file's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    health: Arc<Health>,
}

impl SqliteStore {
    /// Opens the file, makes it when it isn't there, and brings the tables up to date.
    ///
    /// # Errors
    /// When the file can't be opened, is damaged or no database, a newer release wrote it, or a migration fails.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(SqliteConnectOptions::new().filename(path)).await
    }

    /// The same with further settings of each connection: tests limit the size of the file.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_with(options: SqliteConnectOptions) -> Result<Self, OpenError> {
        let options = options
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode a commit survives the process at once, and a power cut up to the last checkpoint is consistent;
            // FULL makes a commit survive the power cut too: a promise to a person is worth the few hundred microseconds.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let path = options.get_filename().to_path_buf();
        let writer = pool_options()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| match open::is_no_database(&error) {
                true => OpenError::NotADatabase { path, source: error },
                false => error.into(),
            })?;
        let is_old: bool = sqlx::query_scalar(HAS_TABLES).fetch_one(&writer).await?;
        let ran: Vec<open::Ran> = match is_old {
            true => sqlx::query_as(open::RAN).fetch_all(&writer).await?,
            false => Vec::new(),
        };
        if !open::is_up_to_date(&ran, &MIGRATIONS)? {
            migrate(&writer).await?;
        }
        let readers = pool_options()
            .max_connections(8)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self {
            writer,
            readers,
            health: Arc::default(),
        })
    }
}

/// A connection is used again when nothing of its last transaction is left on it.
fn pool_options() -> SqlitePoolOptions {
    SqlitePoolOptions::new().after_release(|connection, _| Box::pin(is_clean(connection)))
}

/// In a box, because the compiler doesn't see by itself that this may be waited for on any thread.
fn migrate(writer: &SqlitePool) -> BoxFuture<'_, Result<(), MigrateError>> {
    Box::pin(async move { MIGRATIONS.run(writer).await })
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self) -> Result<Box<dyn Tx>, StoreError> {
        let begun = self.readers.begin().await;
        let tx = begun.inspect_err(|error| self.health.failed(error))?;
        Ok(Box::new(SqlTx::new(tx, &self.health)))
    }

    async fn write(&self) -> Result<Box<dyn Tx>, StoreError> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        let tx = begun.inspect_err(|error| self.health.failed(error))?;
        Ok(Box::new(SqlTx::new(tx, &self.health)))
    }

    fn changes(&self) -> BoxStream<'static, StoreChange> {
        // The file belongs to one server; what the command line writes beside it is found by looking.
        stream::pending().boxed()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    fn trouble(&self) -> Option<DatabaseFault> {
        self.health.trouble()
    }

    async fn check_writable(&self) -> Result<(), DatabaseFault> {
        self.health.check(self).await
    }
}
