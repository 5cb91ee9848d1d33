//! Databases that earlier releases wrote (`server/tests/fixtures/databases`) are brought up to date with nothing lost: every promotion
//! in its order, ledgers whose chains verify, and a server that goes on from there.

use crate::support::{browser::Browser, database::Database};
use domain::id::PromotionId;
use flate2::read::GzDecoder;
use server::{service::views, store::Store};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};
use testbed::{WaybillOptions, WaybillProcess, free_port};

/// A database as a release left it, and the key that its secrets are sealed with.
struct Released {
    database: Database,
    key: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/databases")
}

fn unpacked(name: &str) -> Vec<u8> {
    let packed = std::fs::read(folder().join(name)).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The newest migration of each pair that is there.
fn releases() -> Vec<String> {
    let names = std::fs::read_dir(folder()).unwrap();
    let mut found: Vec<String> = names
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".sqlite.gz").map(str::to_owned)
        })
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "no database of an earlier release in {}",
        folder().display()
    );
    found
}

fn sqlite(release: &str, directory: &Path) -> Released {
    std::fs::write(directory.join("waybill.db"), unpacked(&format!("{release}.sqlite.gz"))).unwrap();
    Released {
        database: Database::sqlite(directory),
        key: std::fs::read_to_string(folder().join(format!("{release}.sqlite.key"))).unwrap(),
    }
}

async fn postgres(release: &str) -> Released {
    let database = Database::empty_postgres();
    let dump = String::from_utf8(unpacked(&format!("{release}.postgres.sql.gz"))).unwrap();
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(dump))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    Released {
        database,
        key: std::fs::read_to_string(folder().join(format!("{release}.postgres.key"))).unwrap(),
    }
}

/// Of each resource its promotions as the release ordered them, oldest first; and of each workspace how many entries its ledger holds.
type Held = (BTreeMap<String, Vec<String>>, BTreeMap<String, i64>);

const PROMOTIONS: &str = "SELECT resource_id, id FROM promotions ORDER BY id";

const LEDGERS: &str = "SELECT workspace_id, entries FROM ledger_heads";

async fn held(database: &Database) -> Held {
    let promotions: Vec<(String, String)>;
    let ledgers: Vec<(String, i64)>;
    match database {
        Database::Sqlite(_) => {
            let mut connection = SqliteConnection::connect(&database.url()).await.unwrap();
            promotions = sqlx::query_as(PROMOTIONS).fetch_all(&mut connection).await.unwrap();
            ledgers = sqlx::query_as(LEDGERS).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Database::Postgres(_) => {
            let mut connection = PgConnection::connect(&database.url()).await.unwrap();
            promotions = sqlx::query_as(PROMOTIONS).fetch_all(&mut connection).await.unwrap();
            ledgers = sqlx::query_as(LEDGERS).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
    let mut of_resources: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (resource, promotion) in promotions {
        of_resources.entry(resource).or_default().push(promotion);
    }
    (of_resources, ledgers.into_iter().collect())
}

/// Reads everything back through the store, and holds it against what was there.
async fn has_kept(store: &dyn Store, (promotions, ledgers): &Held) {
    let mut tx = store.read().await.unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for workspace in tx.workspaces().await.unwrap() {
        for project in tx.projects(workspace.id).await.unwrap() {
            for resource in tx.resources(project.project.id).await.unwrap() {
                let newest_first = tx.promotions_of(resource.id, i64::MAX).await.unwrap();
                let ids: Vec<PromotionId> = newest_first.iter().rev().map(|p| p.id).collect();
                for id in &ids {
                    let events = tx.events_of_promotion(*id).await.unwrap();
                    assert!(!events.is_empty(), "{id} has no history any more");
                }
                found.insert(resource.id.to_string(), ids.iter().map(ToString::to_string).collect());
            }
        }
        let checked = views::check_ledger(store, workspace.id).await.unwrap();
        assert_eq!(checked.broken, None, "{}", workspace.name);
        entries.insert(workspace.id.to_string(), checked.chained);
    }
    found.retain(|_, promotions| !promotions.is_empty());
    assert_eq!(found, *promotions);
    assert_eq!(entries, *ledgers);
}

#[tokio::test]
async fn a_database_of_an_earlier_release_is_brought_up_to_date_whole() {
    for release in releases() {
        let directory = tempfile::tempdir().unwrap();
        for released in [sqlite(&release, directory.path()), postgres(&release).await] {
            let before = held(&released.database).await;
            let all: usize = before.0.values().map(Vec::len).sum();
            assert!(all > 1_000, "{release}: {all} promotions");
            let store = released.database.open().await;
            has_kept(&*store, &before).await;
            drop(store);
            // Once more, as at the next start.
            has_kept(&*released.database.open().await, &before).await;
        }
    }
}

#[tokio::test]
async fn a_server_goes_on_with_a_database_of_an_earlier_release() {
    for release in releases() {
        let directory = tempfile::tempdir().unwrap();
        for released in [sqlite(&release, directory.path()), postgres(&release).await] {
            let base_url = format!("http://127.0.0.1:{}", free_port().unwrap());
            let options = WaybillOptions::new(env!("CARGO_BIN_EXE_waybill"), directory.path(), &base_url)
                .arguments(["serve"])
                .environment("WAYBILL_LISTEN", base_url.trim_start_matches("http://"))
                .environment("WAYBILL_DATA_DIR", &directory.path().display().to_string())
                .environment("WAYBILL_DATABASE_URL", &released.database.url())
                .environment("WAYBILL_ENCRYPTION_KEY", released.key.trim());
            let server = WaybillProcess::start(&options).await.unwrap();
            let mut browser = Browser::new(&base_url);
            let answer = browser
                .post(
                    "/sign-in",
                    &[("email", "admin@example.com"), ("password", "waybill-demo")],
                )
                .await;
            assert_eq!(answer.status, 303, "{}", answer.text);
            let board = browser.get("/w/demo/shop").await;
            assert_eq!(board.status, 200, "{}", board.text);
            for service in 0..20 {
                assert!(board.text.contains(&format!(">s{service}<")), "s{service} is missing");
            }
            let inbox = browser.get("/inbox").await;
            for service in ["s5", "s7"] {
                assert!(
                    inbox.text.contains(service),
                    "{service} waits for approval: {}",
                    inbox.text
                );
            }
            assert!(server.stop(Duration::from_secs(30)).await.is_some());
            let store = released.database.open().await;
            let workspaces = store.read().await.unwrap().workspaces().await.unwrap();
            for workspace in workspaces {
                let checked = views::check_ledger(&*store, workspace.id).await.unwrap();
                assert_eq!(checked.broken, None, "{release}: {}", workspace.name);
            }
        }
    }
}
