//! The database's own history.

use crate::support::database::Database;
use domain::rights::Role;
use server::{
    clock::System,
    service::token::{NewToken, create_token_here},
    store::sqlite::SqliteStore,
};
use std::{collections::BTreeSet, path::Path};

#[tokio::test]
async fn migrations_run_twice_and_keep_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    for database in [Database::sqlite(directory.path()), Database::empty_postgres()] {
        let first = database.open().await;
        let new = NewToken {
            name: "ci",
            role: Role::Viewer,
            expires_in_millis: None,
        };
        create_token_here(&*first, &System, &System, Some("demo"), true, &new)
            .await
            .unwrap();
        // Beside the first, as a second server would.
        let second = database.open().await;
        for store in [&first, &second] {
            store.ping().await.unwrap();
            let workspaces = store.read().await.unwrap().workspaces().await.unwrap();
            assert_eq!(workspaces[0].name.as_str(), "demo");
        }
        drop((first, second));
        let third = database.open().await;
        assert_eq!(third.read().await.unwrap().workspaces().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn servers_that_start_together_find_one_set_of_tables() {
    let database = Database::empty_postgres();
    let stores = futures::future::join_all((0..4).map(|_| database.open())).await;
    for store in stores {
        store.ping().await.unwrap();
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |database: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../migrations")
            .join(database);
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_compare_texts_alike() {
    let directory = tempfile::tempdir().unwrap();
    let (file, server) = (Database::sqlite(directory.path()), Database::empty_postgres());
    drop((file.open().await, server.open().await));
    let sqlite = sqlx::SqlitePool::connect(&file.url()).await.unwrap();
    let postgres = sqlx::PgPool::connect(&server.url()).await.unwrap();
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT t.name, c.name, c.\"notnull\" FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'",
    )
    .fetch_all(&sqlite)
    .await
    .unwrap();
    let same: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, is_nullable = 'NO' FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    )
    .fetch_all(&postgres)
    .await
    .unwrap();
    // SQLite doesn't call a primary key NOT NULL.
    let names = |columns: &[(String, String, bool)]| -> BTreeSet<(String, String, bool)> {
        let key = |column: &str| matches!(column, "id" | "ordinal" | "sequence");
        let each = columns
            .iter()
            .map(|(t, c, full)| (t.clone(), c.clone(), *full || key(c)));
        each.collect()
    };
    assert_eq!(names(&columns), names(&same));
    let foreign: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public' \
         AND table_name NOT LIKE '\\_sqlx%' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'",
    )
    .fetch_all(&postgres)
    .await
    .unwrap();
    assert_eq!(foreign, [], "these compare as a language does");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waybill.db");
    let text = "this is somebody's letter, and no database at all\n".repeat(100);
    std::fs::write(&file, &text).unwrap();
    assert!(SqliteStore::open(&file).await.is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}
