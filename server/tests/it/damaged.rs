//! A database that can't be used says why and what to do, to the server and to every command that opens it.

use crate::support::{
    database::Database,
    program::{Ended, run, waybill},
};
use server::service::access::{self, NewToken};
use std::path::Path;
use testbed::free_port;

/// Each command that opens the database, and how it ends there.
async fn all_end(directory: &Path, database: &str, expected: &str) {
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    for arguments in [
        &["serve"][..],
        &["migrate"],
        &[
            "token",
            "create",
            "--name",
            "ci",
            "--role",
            "viewer",
            "--workspace",
            "demo",
        ],
        &["ledger", "verify"],
        &["ledger", "export"],
        &["key", "replace"],
    ] {
        let mut command = waybill(arguments);
        command
            .current_dir(directory)
            .env("WAYBILL_DATA_DIR", directory)
            .env("WAYBILL_DATABASE_URL", database)
            .env("WAYBILL_LISTEN", &listen);
        let Ended { code, said } = run(&mut command).await;
        assert_eq!(code, 1, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waybill.db");
    let text = "this is somebody's letter, and no database at all\n".repeat(100);
    std::fs::write(&file, &text).unwrap();
    let expected = format!("{} is not a SQLite database", file.display());
    all_end(directory.path(), &Database::sqlite(directory.path()).url(), &expected).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(directory.path());
    drop(database.open().await);
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let file = directory.path().join("waybill.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // The first 100 bytes say that it is a database; the rest was overwritten.
    bytes[100..].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    all_end(
        directory.path(),
        &database.url(),
        "the database is damaged: stop all servers",
    )
    .await;
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[tokio::test]
async fn damage_that_is_met_later_is_named_too() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(directory.path());
    let store = database.open().await;
    let new = NewToken {
        name: "ci",
        role: domain::rights::Role::Viewer,
        expires_in_millis: None,
    };
    let system = server::adapters::system::System;
    access::create_token_here(&*store, &system, &system, Some("demo"), true, &new)
        .await
        .unwrap();
    drop(store);
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let (page, size) = database.root_page_of("workspaces").await;
    let file = directory.path().join("waybill.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[(page - 1) * size..page * size].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let mut command = waybill(&["ledger", "verify"]);
    let Ended { code, said } = run(command.env("WAYBILL_DATA_DIR", directory.path())).await;
    assert!(
        code == 1 && said.contains("the database is damaged: stop all servers"),
        "{said}"
    );
}

#[tokio::test]
async fn a_database_of_a_newer_release_or_another_build_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    for database in [Database::sqlite(directory.path()), Database::postgres()] {
        drop(database.open().await);
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, 'from the future', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1";
        database.execute(newer).await;
        let expected = "the database was changed by a newer release of Waybill: it is at migration 9999";
        all_end(directory.path(), &database.url(), expected).await;
        database
            .execute("DELETE FROM _sqlx_migrations WHERE version = 9999")
            .await;
        let other = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 2) \
                     WHERE version = 1";
        database.execute(other).await;
        let expected = "migration 1 ran on the database in another form";
        all_end(directory.path(), &database.url(), expected).await;
    }
}

/// A role that owns nothing is told of the newer release, too, and not to run a migration that can't help.
#[tokio::test]
async fn a_role_that_may_not_migrate_is_told_of_the_newer_release() {
    let directory = tempfile::tempdir().unwrap();
    let owned = testbed::Postgres::shared().unwrap().database().unwrap();
    let (role, url) = owned.another_role().unwrap();
    let owner = owned.url();
    let database = Database::Postgres(owned);
    drop(database.open().await);
    let mut grant = waybill(&["migrate", "--grant-to", &role]);
    grant
        .env("WAYBILL_DATA_DIR", directory.path())
        .env("WAYBILL_DATABASE_URL", owner);
    let Ended { code, said } = run(&mut grant).await;
    assert_eq!(code, 0, "{said}");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'from the future', true, 'x', 1)";
    database.execute(newer).await;
    all_end(directory.path(), &url, "by a newer release of Waybill").await;
}
