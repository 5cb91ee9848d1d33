//! PostgreSQL: one database for several servers.

mod role;

use super::{
    OpenError, Store, StoreChange, StoreError, Tx,
    activity::{self, Statements},
    database_fault::{DatabaseFault, Health},
    dialect::{Dialect, of_one_writer},
    guarded_tx::is_clean,
    tx::SqlTx,
};
use async_trait::async_trait;
use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt as _},
};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    PgPool, Postgres,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgQueryResult},
};
use std::{
    collections::VecDeque,
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use role::GrantError;

/// Claims pass each other, and what a writer is changing, instead of waiting.
macro_rules! claim {
    ($states:literal, $and:expr) => {
        concat!(
            "WITH due AS MATERIALIZED (\
             SELECT id FROM promotions WHERE next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) \
             AND state IN (",
            $states,
            ") ",
            $and,
            " ORDER BY next_at, number LIMIT $4 FOR UPDATE SKIP LOCKED) \
             UPDATE promotions p SET lease_owner = $1, lease_until = $2, \
             attempts = p.attempts + CASE WHEN p.lease_owner IS NULL THEN 0 ELSE 1 END FROM due WHERE p.id = due.id \
             RETURNING p.*"
        )
    };
}

impl Dialect for Postgres {
    const LOCK_RESOURCE: &'static str = "SELECT id FROM resources WHERE id = $1 FOR UPDATE";
    // Made in turn, like all that is written: two at once would not see each other's leases.
    const CLAIM_COMMIT: &'static str = claim!("'waiting', 'queued', 'committing'", of_one_writer!());
    const CLAIM_COPY: &'static str = claim!("'mirroring'", "AND target_repository IS NOT NULL");
    const CLAIM_PREPARE: &'static str = claim!("'mirroring'", "AND target_repository IS NULL");
    const CLAIM_ROLLOUT: &'static str = claim!("'syncing', 'verifying'", "");
    const NEXT_DUE: &'static str = "SELECT MIN(GREATEST(next_at, COALESCE(lease_until, 0))) FROM promotions \
         WHERE next_at IS NOT NULL";

    const CLAIM_DELIVERIES: &'static str = "WITH due AS MATERIALIZED (\
         SELECT id FROM deliveries WHERE next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) \
         AND channel_id = $4 ORDER BY ordinal LIMIT $5 FOR UPDATE SKIP LOCKED) \
         UPDATE deliveries d SET lease_owner = $1, lease_until = $2 FROM due WHERE d.id = due.id RETURNING d.*";
    const NEXT_DELIVERY: &'static str = "SELECT MIN(GREATEST(d.next_at, COALESCE(d.lease_until, 0))) FROM deliveries d \
         JOIN channels c ON c.id = d.channel_id WHERE d.next_at IS NOT NULL AND c.active";

    const SEARCH: Statements = activity::POSTGRES;

    fn changed(done: &PgQueryResult) -> u64 {
        done.rows_affected()
    }
}

/// Who may write: taken by each writing transaction, across all servers, until its end.
///
/// Use cases read, decide and write in one transaction, as SQLite's one writer lets them: two requests for one resource, a name
/// that is free, a cycle of followers. And the ledger's tail reads on from the newest place it saw, so that places must become
/// visible in their order. One lock for all of it is the choice that needs no proof per use case; what it costs is that
/// decisions, a millisecond or two each, stand in one line, and they stand in one line with SQLite too. Nobody waits for
/// anything else while holding it, so no deadlock and no serialization failure is possible, and nothing needs to be
/// tried again. Claims of rollouts don't take it: they pass over what is locked and wait for nothing. Reads don't: they see one snapshot.
///
/// The number is `waybill` in ASCII.
const TURN: &str = "SELECT pg_advisory_xact_lock(x'77617962696c6c'::bigint)";
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// Where the tables' triggers tell what was written (`migrations/postgres`).
const CHANNEL: &str = "waybill";

/// Told by a server that has brought the tables up to date.
const MIGRATED: &str = "tables";

/// What is told when the connection was lost and comes back: anything may have happened.
const EVERYTHING: [StoreChange; 3] = [StoreChange::Work, StoreChange::Ledger, StoreChange::Connections];

/// Pause before listening again after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// The database, and the connections of this server to it: at most 10.
#[derive(Clone)]
pub struct PostgresStore {
    options: PgConnectOptions,
    /// One connection, so that this server's writers wait in line here, and don't use up connections waiting for [`TURN`].
    writer: PgPool,
    /// For reads and claims.
    others: PgPool,
    migrated: Migrated,
    health: Arc<Health>,
}

/// When a server last brought the tables up to date. A connection remembers the columns of each statement that it ran, and fails
/// from then on when a newer release, started beside this one, adds one; so older connections aren't used any more.
#[derive(Clone)]
struct Migrated(Arc<Mutex<Instant>>);

impl Migrated {
    fn just_now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether something of this age began after it.
    fn before(&self, age: Duration) -> bool {
        age < self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl PostgresStore {
    /// Connects, and brings the tables up to date; of several servers that start together one does, and the others wait. Where nothing
    /// is to be done, the role need not be one that may.
    ///
    /// # Errors
    /// When the address can't be used, the database can't be reached, is damaged, a newer release wrote it, or a migration fails.
    pub async fn open(address: &SecretString) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(address.expose_secret())?.application_name("waybill");
        let once = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        if !role::is_up_to_date(&once).await? {
            migrate(&once).await.map_err(|error| match role::may_not(&error) {
                true => OpenError::MayNot(error),
                false => error.into(),
            })?;
        }
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(MIGRATED)
            .execute(&once)
            .await?;
        once.close().await;
        let migrated = Migrated::just_now();
        // A server that freezes, or whose network does, in the middle of a transaction must not hold up the others.
        let options = options.options([("idle_in_transaction_session_timeout", "10s"), ("lock_timeout", "30s")]);
        let pool = |connections| {
            let migrated = migrated.clone();
            PgPoolOptions::new()
                .max_connections(connections)
                .before_acquire(move |_, connection| {
                    let fresh = migrated.before(connection.age);
                    Box::pin(async move { Ok(fresh) })
                })
                .after_release(|connection, _| Box::pin(is_clean(connection)))
                .connect_with(options.clone())
        };
        let (writer, others) = (pool(1).await?, pool(8).await?);
        Ok(Self {
            options,
            writer,
            others,
            migrated,
            health: Arc::default(),
        })
    }

    /// Gives a role that doesn't own the tables what a server needs: all but changing what stands in the ledger.
    ///
    /// # Errors
    /// When there is no such role, when it is the owner, or the database fails.
    pub async fn grant(address: &SecretString, role: &str) -> Result<(), GrantError> {
        let options = PgConnectOptions::from_str(address.expose_secret())?.application_name("waybill");
        let once = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        role::grant(&once, role).await?;
        once.close().await;
        Ok(())
    }
}

/// In a box, because the compiler doesn't see by itself that this may be waited for on any thread.
fn migrate(pool: &PgPool) -> BoxFuture<'_, Result<(), MigrateError>> {
    Box::pin(async move { MIGRATIONS.run(pool).await })
}

#[async_trait]
impl Store for PostgresStore {
    async fn read(&self) -> Result<Box<dyn Tx>, StoreError> {
        let begun = self.others.begin_with(BEGIN_READ).await;
        let tx = begun.inspect_err(|error| self.health.failed(error))?;
        Ok(Box::new(SqlTx::new(tx, &self.health)))
    }

    async fn write(&self) -> Result<Box<dyn Tx>, StoreError> {
        let begun = async {
            let mut tx = self.writer.begin_with(BEGIN_WRITE).await?;
            // Each statement after this sees all that those before committed: that is what READ COMMITTED means.
            sqlx::query(TURN).execute(&mut *tx).await?;
            Ok(tx)
        };
        let tx = begun.await.inspect_err(|error| self.health.failed(error))?;
        Ok(Box::new(SqlTx::new(tx, &self.health)))
    }

    fn changes(&self) -> BoxStream<'static, StoreChange> {
        let ear = Ear {
            options: self.options.clone(),
            migrated: self.migrated.clone(),
            listener: None,
            heard: VecDeque::new(),
        };
        stream::unfold(ear, |mut ear| async move { Some((ear.next().await, ear)) }).boxed()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.others).await?;
        Ok(())
    }

    fn trouble(&self) -> Option<DatabaseFault> {
        self.health.trouble()
    }

    async fn check_writable(&self) -> Result<(), DatabaseFault> {
        self.health.check(self).await
    }
}

/// Hears what the tables tell, over a connection of its own.
struct Ear {
    options: PgConnectOptions,
    migrated: Migrated,
    listener: Option<PgListener>,
    heard: VecDeque<StoreChange>,
}

impl Ear {
    async fn next(&mut self) -> StoreChange {
        loop {
            if let Some(change) = self.heard.pop_front() {
                return change;
            }
            if let Err(error) = self.listen().await {
                tracing::warn!(%error, "the database doesn't tell of changes; they are found by looking, which is slower");
                self.listener = None;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    async fn listen(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.listener {
            None => {
                let pool = PgPoolOptions::new()
                    .max_connections(1)
                    .max_lifetime(None)
                    .idle_timeout(None)
                    .connect_lazy_with(self.options.clone());
                let mut listener = PgListener::connect_with(&pool).await?;
                listener.listen(CHANNEL).await?;
                self.listener = Some(listener);
                self.anything();
            }
            Some(listener) => match listener.try_recv().await? {
                Some(told) if told.payload() == MIGRATED => self.migrated.again(),
                Some(told) => self.heard.extend(change(told.payload())),
                // The connection was lost, and is back.
                None => self.anything(),
            },
        }
        Ok(())
    }

    /// Nothing was heard for a while, whatever was told.
    fn anything(&mut self) {
        self.migrated.again();
        self.heard.extend(EVERYTHING);
    }
}

/// What is told by a newer release and not known here is no concern of this one.
fn change(word: &str) -> Option<StoreChange> {
    match word {
        "work" => Some(StoreChange::Work),
        "ledger" => Some(StoreChange::Ledger),
        "connections" => Some(StoreChange::Connections),
        _ => None,
    }
}
