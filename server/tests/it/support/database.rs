//! The database that a test stands on: SQLite in a file, or with `TEST_DATABASE=postgres` in the environment one of its own
//! on a real PostgreSQL. `scripts/test` runs all tests here on both.

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
}
