//! A lost or wrong encryption key is found before anything is served, whichever database holds what was sealed.

use crate::support::{
    database::Database,
    program::{Ended, run, waybill},
    world::{Setup, World, until},
};
use server::store::SealedColumn;
use std::{collections::BTreeSet, path::PathBuf};
use testbed::free_port;

async fn world(database: Option<Database>) -> World {
    World::with(Setup {
        process: true,
        variables: vec![("NOTIFICATIONS_ALLOW_PRIVATE_TARGETS", "true".into())],
        database,
        ..Setup::default()
    })
    .await
}

fn key_file(world: &World) -> PathBuf {
    world.data_dir().join("encryption.key")
}

async fn serve(world: &World) -> Ended {
    run(&mut world.program(&["serve"])).await
}

/// As a release left it that wrote no proof of its key.
async fn forget_proof(world: &World) {
    let database = &world.database;
    database.execute("DELETE FROM sealed_check").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_without_the_key_that_sealed_its_secrets() {
    let mut world = world(None).await;
    world.stop().await;
    let (file, away) = (key_file(&world), world.data_dir().join("away"));
    let own = std::fs::read_to_string(&file).unwrap();
    for is_old in [false, true] {
        if is_old {
            forget_proof(&world).await;
        }
        std::fs::rename(&file, &away).unwrap();
        let Ended { code, said } = serve(&world).await;
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("encryption.key is missing") && said.contains("waybill key replace"),
            "{said}"
        );
        assert!(!file.exists(), "none is made in its place");
        std::fs::write(&file, "A".repeat(43)).unwrap();
        let Ended { code, said } = serve(&world).await;
        assert!(
            code == 1 && said.contains("is not the one that the database's secrets"),
            "{said}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "A".repeat(43));
        let mut given = world.program(&["serve"]);
        let Ended { code, said } = run(given.env("WAYBILL_ENCRYPTION_KEY", "A".repeat(43))).await;
        assert!(code == 1 && said.contains("that encryption_key gives"), "{said}");
        std::fs::rename(&away, &file).unwrap();
        world.restart().await;
        world.stop().await;
    }
    // Given as the configuration's word it is the same key.
    std::fs::rename(&file, &away).unwrap();
    world.set_variable("WAYBILL_ENCRYPTION_KEY", own.trim());
    world.restart().await;
    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_loss_the_server_goes_on_with_a_new_key_and_says_what_to_enter_again() {
    let mut world = world(None).await;
    world.stop().await;
    std::fs::remove_file(key_file(&world)).unwrap();
    let Ended { code, said } = run(&mut world.program(&["key", "replace"])).await;
    assert_eq!(code, 0, "{said}");
    for lost in [
        "projects.credentials of myapp in workspace demo",
        "clusters.argocd_token of local in workspace demo",
        "registries.pull_password of local in workspace demo",
    ] {
        assert!(said.contains(lost), "{said}");
    }
    world.restart().await;
    world.apply(&world.document()).await;
    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
    world.stop().await;
    let Ended { code, said } = run(&mut world.program(&["key", "replace"])).await;
    assert!(code == 0 && !said.contains("entered again"), "{said}");
    world.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_of_another_key_is_sent_away() {
    let world = World::with(Setup {
        database: Some(Database::postgres()),
        variables: vec![("ENCRYPTION_KEY", "A".repeat(43))],
        ..Setup::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut other = waybill(&["serve"]);
    let other = other
        .env("WAYBILL_DATA_DIR", folder.path())
        .env("WAYBILL_DATABASE_URL", world.database.url())
        .env("WAYBILL_LISTEN", format!("127.0.0.1:{}", free_port().unwrap()));
    let Ended { code, said } = run(other).await;
    assert!(code == 1 && said.contains("encryption.key is missing"), "{said}");
    let Ended { code, said } = run(other.env("WAYBILL_ENCRYPTION_KEY", "B".repeat(42) + "A")).await;
    assert!(code == 1 && said.contains("is not the one"), "{said}");
}

#[tokio::test]
async fn a_new_database_takes_the_first_key_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::of_this_run(folder.path());
    drop(database.open().await);
    let config = |key: &str| {
        let variables = [
            ("WAYBILL_DATA_DIR", folder.path().display().to_string()),
            ("WAYBILL_DATABASE_URL", database.url()),
            ("WAYBILL_ENCRYPTION_KEY", key.to_owned()),
        ];
        server::config::Config::load(None, variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
    };
    let store = database.open().await;
    let (first, second) = (config(&"A".repeat(43)), config(&("B".repeat(42) + "A")));
    for _ in 0..2 {
        assert!(server::startup::key::sealer(&first, &*store).await.is_ok());
    }
    let refused = server::startup::key::sealer(&second, &*store).await.err().unwrap();
    assert!(refused.to_string().contains("is not the one"), "{refused}");
}

/// Everything that is sealed lies in a column that the list knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_values_lie_where_the_list_says() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(Some(Database::sqlite(directory.path()))).await;
    let mut admin = world.admin().await;
    let added = admin
        .post(
            "/w/demo/-/settings/notifications",
            &[
                ("intent", "add-channel"),
                ("name", "ops"),
                ("project", "myapp"),
                ("kind", "slack"),
                ("address", "http://127.0.0.1:1/hook"),
                ("occasions[failed]", "on"),
            ],
        )
        .await;
    assert!(added.status < 400, "{}", added.words());
    let listed = admin
        .post(
            "/w/demo/-/settings/sources",
            &[
                ("intent", "save-source-host"),
                ("source[host]", "git.example.com"),
                ("source[user]", "reader"),
                ("secrets[source_token]", "read-token"),
            ],
        )
        .await;
    assert!(listed.status < 400, "{}", listed.words());
    let page = admin.get("/w/demo/-/settings/sources").await;
    assert!(
        page.words().contains("git.example.com") && !page.text.contains("read-token"),
        "{}",
        page.words()
    );
    let refused = admin
        .post(
            "/w/demo/-/settings/sources",
            &[
                ("intent", "save-source-host"),
                ("source[host]", "https://git.example.com/a"),
            ],
        )
        .await;
    assert!(
        refused.status == 422 && refused.words().contains("Enter a host without scheme and path"),
        "{}",
        refused.words()
    );
    let mut document = world.document();
    document["registries"] = serde_json::json!([
        { "name": "live", "host": "live.example.com", "push": { "user": "pusher", "password": "push-password" } },
    ]);
    world.apply(&document).await;
    let Ended { code, said } = run(&mut world.program(&["keys", "generate"])).await;
    assert_eq!(code, 0, "{said}");
    let pool = sqlx::SqlitePool::connect(&world.database.url()).await.unwrap();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut found = BTreeSet::new();
    for (table, column) in columns {
        let statement = format!("SELECT COUNT(*) FROM {table} WHERE {column} LIKE 'v1:%'");
        let query = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(statement));
        if query.fetch_one(&pool).await.unwrap() > 0 {
            found.insert(format!("{table}.{column}"));
        }
    }
    let mut listed: BTreeSet<String> = SealedColumn::ALL
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    let values = world.store.read().await.unwrap().sealed_values().await.unwrap();
    let read: BTreeSet<String> = values.iter().map(|value| value.column.name().to_owned()).collect();
    assert_eq!(read, listed);
    listed.insert("sealed_check.proof".to_owned());
    assert_eq!(found, listed);
    until("the server to be there still", async || {
        reqwest::get(&world.base_url).await.ok()
    })
    .await;
}
