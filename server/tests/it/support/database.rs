//! The database that a test stands on: SQLite in a file, or with `TEST_DATABASE=postgres` in the environment one of its own
//! on a real PostgreSQL. `scripts/test` runs all tests here on SQLite, and on PostgreSQL those that between them execute every statement.

use secrecy::SecretString;
use server::{config, startup, store::Store};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
};
use testbed::{Postgres, PostgresDatabase};

pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(PostgresDatabase),
}

impl Database {
    /// The one that this run is about; a file would lie in `directory`.
    pub(crate) fn of_this_run(directory: &Path) -> Self {
        match std::env::var("TEST_DATABASE").as_deref() {
            Err(_) | Ok("sqlite") => Self::sqlite(directory),
            Ok("postgres") => Self::postgres(),
            Ok(other) => panic!("TEST_DATABASE is {other}; it can be sqlite or postgres"),
        }
    }

    pub(crate) fn sqlite(directory: &Path) -> Self {
        Self::Sqlite(directory.join("waybill.db"))
    }

    /// Without tables: whoever opens it makes them.
    pub(crate) fn empty_postgres() -> Self {
        Self::Postgres(Postgres::shared().unwrap().database().unwrap())
    }

    /// With the tables in it: copying them takes less time than making them.
    pub(crate) fn postgres() -> Self {
        static WITH_TABLES: LazyLock<PostgresDatabase> = LazyLock::new(|| {
            let database = Postgres::shared().unwrap().database().unwrap();
            let made = Command::new(env!("CARGO_BIN_EXE_waybill"))
                .arg("migrate")
                .env_clear()
                .env("WAYBILL_DATABASE_URL", database.url())
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            database
        });
        Self::Postgres(WITH_TABLES.copy().unwrap())
    }

    /// For `WAYBILL_DATABASE_URL`.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{}", file.display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Opens it as a server does.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let database = match self {
            Self::Sqlite(file) => config::Database::Sqlite(file.clone()),
            Self::Postgres(database) => config::Database::Postgres(SecretString::from(database.url())),
        };
        startup::open(&database).await.unwrap()
    }

    /// Runs a statement past the store.
    pub(crate) async fn execute(&self, statement: &'static str) {
        match self {
            Self::Sqlite(_) => {
                let pool = sqlx::SqlitePool::connect(&self.url()).await.unwrap();
                sqlx::query(statement).execute(&pool).await.unwrap();
                pool.close().await;
            }
            Self::Postgres(_) => {
                let pool = sqlx::PgPool::connect(&self.url()).await.unwrap();
                sqlx::query(statement).execute(&pool).await.unwrap();
                pool.close().await;
            }
        }
    }

    /// Which page of the file a table begins with, counted from 1, and how large pages are.
    pub(crate) async fn root_page_of(&self, table: &str) -> (usize, usize) {
        let pool = sqlx::SqlitePool::connect(&self.url()).await.unwrap();
        let root = sqlx::query_scalar::<_, i64>("SELECT rootpage FROM sqlite_schema WHERE name = $1");
        let root = root.bind(table).fetch_one(&pool).await.unwrap();
        let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&pool).await.unwrap();
        pool.close().await;
        (root.try_into().unwrap(), size.try_into().unwrap())
    }
}
