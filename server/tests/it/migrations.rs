//! The database's own history.

use crate::support::database::Database;
use domain::rights::Role;
use server::{
    adapters::system::System,
    service::access::{NewToken, create_token_here},
    store::sqlite::SqliteStore,
};
use sqlx::migrate::Migrator;
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

/// A project as the release before 0012 wrote it: two resources, and promotions whose ids are not in the order of the rows.
const BEFORE_NUMBERS: &str = "
    INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'demo', 0);

    INSERT INTO clusters (id, workspace_id, name, registry, registry_plain_http) VALUES ('c', 'w', 'local', 'r.example', FALSE);
    INSERT INTO projects (id, workspace_id, name, repository_url, branch, path_template, values_prefix)
        VALUES ('p', 'w', 'myapp', 'https://git.example.com/deploy.git', 'main', 'values.yaml', '');
    INSERT INTO environments (id, project_id, cluster_id, name, position, protected) VALUES ('e', 'p', 'c', 'development', 0, FALSE);
    INSERT INTO resources (id, environment_id, name, kind, image_repository, runtime, created_at)
        VALUES ('r1', 'e', 'api', 'deployment', 'r.example/api', '{}', 0), ('r2', 'e', 'web', 'deployment', 'r.example/web', '{}', 0);
    INSERT INTO promotions (id, workspace_id, project_id, environment_id, resource_id, purpose, requested_by, repository, digest,
            creates, state, tries, attempts, created_at, state_since)
        SELECT n.id, 'w', 'p', 'e', n.resource, 'deploy', '{\"kind\":\"waybill\"}', 'r.example/api', 'sha256:00', FALSE, 'succeeded',
            1, 0, 0, 0
        FROM (SELECT 'b' AS id, 'r1' AS resource UNION ALL SELECT 'd', 'r1' UNION ALL SELECT 'a', 'r1'
            UNION ALL SELECT 'c', 'r2') n;
    INSERT INTO channels (id, workspace_id, project_id, name, kind, shown, target, occasions, environments, active, since, created_at)
        VALUES ('h', 'w', 'p', 'chat', 'webhook', '', '', '[]', '[]', TRUE, 0, 0);
    INSERT INTO deliveries (id, workspace_id, channel_id, message, state, attempts, created_at)
        VALUES ('y', 'w', 'h', '{}', 'delivered', 1, 0), ('x', 'w', 'h', '{}', 'delivered', 1, 0);
";
const NUMBERS: &str = "SELECT id, resource_id, number FROM promotions ORDER BY resource_id, number";
const ORDINALS: &str = "SELECT id, ordinal FROM deliveries ORDER BY ordinal";

/// The migrations of a database up to, and without, one of them.
async fn migrations_before(database: &str, first: &str) -> Migrator {
    let all = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrations")
        .join(database);
    let some = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(all).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_str().is_some_and(|name| name < first) {
            std::fs::copy(file.path(), some.path().join(file.file_name())).unwrap();
        }
    }
    Migrator::new(some.path()).await.unwrap()
}

#[tokio::test]
async fn what_was_there_is_numbered_by_its_id() {
    let directory = tempfile::tempdir().unwrap();
    let (file, server) = (Database::sqlite(directory.path()), Database::empty_postgres());
    let sqlite = sqlx::SqlitePool::connect(&format!("{}?mode=rwc", file.url()))
        .await
        .unwrap();
    let postgres = sqlx::PgPool::connect(&server.url()).await.unwrap();
    migrations_before("sqlite", "0012").await.run(&sqlite).await.unwrap();
    migrations_before("postgres", "0012")
        .await
        .run(&postgres)
        .await
        .unwrap();
    sqlx::raw_sql(BEFORE_NUMBERS).execute(&sqlite).await.unwrap();
    sqlx::raw_sql(BEFORE_NUMBERS).execute(&postgres).await.unwrap();
    drop((file.open().await, server.open().await));
    let promotions: Vec<(String, String, i64)> = sqlx::query_as(NUMBERS).fetch_all(&sqlite).await.unwrap();
    let told: Vec<(&str, i64)> = promotions.iter().map(|(id, _, number)| (&**id, *number)).collect();
    assert_eq!(told, [("a", 1), ("b", 2), ("d", 3), ("c", 1)]);
    let same: Vec<(String, String, i64)> = sqlx::query_as(NUMBERS).fetch_all(&postgres).await.unwrap();
    assert_eq!(promotions, same);
    let deliveries: Vec<(String, i64)> = sqlx::query_as(ORDINALS).fetch_all(&sqlite).await.unwrap();
    assert_eq!(deliveries, [("x".to_owned(), 1), ("y".to_owned(), 2)]);
    let same: Vec<(String, i64)> = sqlx::query_as(ORDINALS).fetch_all(&postgres).await.unwrap();
    assert_eq!(deliveries, same);

    // On PostgreSQL the release before this one may run on for a while: what it adds is numbered too.
    for statement in [
        "INSERT INTO promotions SELECT '0', workspace_id, project_id, environment_id, resource_id, purpose, requested_by, \
         origin_environment, origin_resource, repository, tag, digest, previous, creates, state, waits_for, failure_step, \
         failure_reason, commit_id, committed_at, tries, attempts, created_at, state_since FROM promotions WHERE id = 'b'",
        "INSERT INTO deliveries SELECT '0', workspace_id, channel_id, event, promotion_id, occasion, message, state, attempts, \
         status, answer, created_at FROM deliveries WHERE id = 'x'",
    ] {
        sqlx::query(statement).execute(&postgres).await.unwrap();
    }
    let number: i64 = sqlx::query_scalar("SELECT number FROM promotions WHERE id = '0'")
        .fetch_one(&postgres)
        .await
        .unwrap();
    let ordinal: i64 = sqlx::query_scalar("SELECT ordinal FROM deliveries WHERE id = '0'")
        .fetch_one(&postgres)
        .await
        .unwrap();
    assert_eq!((number, ordinal), (4, 3));
}

/// A project as the release before 0019 wrote it: with a resource, and one that was removed.
const BEFORE_KEYS: &str = "
    INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'demo', 0);

    INSERT INTO clusters (id, workspace_id, name, registry, registry_plain_http) VALUES ('c', 'w', 'local', 'r.example', FALSE);
    INSERT INTO projects (id, workspace_id, name, repository_url, branch, path_template, values_prefix)
        VALUES ('p', 'w', 'myapp', 'https://git.example.com/deploy.git', 'main', '{environment}.yaml', '');
    INSERT INTO environments (id, project_id, cluster_id, name, position, protected) VALUES ('e', 'p', 'c', 'development', 0, FALSE);
    INSERT INTO resources (id, environment_id, name, name_was, removed_at, kind, image_repository, runtime, created_at)
        VALUES ('r1', 'e', 'api', NULL, NULL, 'deployment', 'r.example/api', '{}', 0),
            ('r2', 'e', 'api~r2', 'api', 1, 'deployment', 'r.example/api', '{}', 0);
";
const KEYS: &str = "SELECT id, key FROM environments UNION ALL SELECT id, key FROM resources ORDER BY id";

#[tokio::test]
async fn what_was_there_keeps_its_name_as_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let (file, server) = (Database::sqlite(directory.path()), Database::empty_postgres());
    let sqlite = sqlx::SqlitePool::connect(&format!("{}?mode=rwc", file.url()))
        .await
        .unwrap();
    let postgres = sqlx::PgPool::connect(&server.url()).await.unwrap();
    migrations_before("sqlite", "0019").await.run(&sqlite).await.unwrap();
    migrations_before("postgres", "0019")
        .await
        .run(&postgres)
        .await
        .unwrap();
    sqlx::raw_sql(BEFORE_KEYS).execute(&sqlite).await.unwrap();
    sqlx::raw_sql(BEFORE_KEYS).execute(&postgres).await.unwrap();
    drop((file.open().await, server.open().await));
    let keys: Vec<(String, String)> = sqlx::query_as(KEYS).fetch_all(&sqlite).await.unwrap();
    let expected = [("e", "development"), ("r1", "api"), ("r2", "api")];
    assert_eq!(keys, expected.map(|(id, key)| (id.to_owned(), key.to_owned())));
    let same: Vec<(String, String)> = sqlx::query_as(KEYS).fetch_all(&postgres).await.unwrap();
    assert_eq!(keys, same);

    // On PostgreSQL the release before this one may run on for a while, and knows no keys.
    sqlx::raw_sql(
        "INSERT INTO resources (id, environment_id, name, kind, image_repository, runtime, created_at)
            VALUES ('r3', 'e', 'web', 'deployment', 'r.example/web', '{}', 0), ('r4', 'e', 'job', 'job', 'r.example/job', '{}', 0)",
    )
    .execute(&postgres)
    .await
    .unwrap();
    let keys: Vec<(String, String)> = sqlx::query_as(KEYS).fetch_all(&postgres).await.unwrap();
    assert_eq!(
        keys[3..],
        [("r3", "web"), ("r4", "job")].map(|(id, key)| (id.to_owned(), key.to_owned()))
    );
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
