//! A database that takes no writes for a while: nothing half-done stays, everything goes on by itself, and both are said.
//!
//! SQLite's file is limited (`PRAGMA max_page_count`), so that a full disk is met at one page after another. On PostgreSQL, triggers of
//! the test let the n-th statement fail as a full disk does (53100), or a server that is shut down (57P01).

use crate::support::{
    Bench, api_alone,
    database::Database,
    world::{Setup, World, until},
};
use axum::http::{Request, StatusCode};
use domain::{
    id::WorkspaceId,
    promotion::{Promotion, State},
    rights::Role,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::{
    service::{access, observe, views},
    store::{DatabaseFault, Store, StoreError, sqlite::SqliteStore},
    web::router::router,
    worker::{Settings, Worker},
};
use sqlx::{
    AssertSqlSafe, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const API: &str = "127.0.0.1:5000/myapp/api";

const VALUES: &str = "environments/development/values.yaml";

fn digest(n: i64) -> String {
    format!("sha256:{n:064x}")
}

/// A bench on SQLite whose services work on a file that can't grow.
struct Limited {
    bench: Bench,
    /// Nobody limits it.
    outside: SqlitePool,
    token: String,
    workspace: WorkspaceId,
    _directory: TempDir,
}

impl Limited {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::sqlite(directory.path());
        let file = directory.path().join("waybill.db");
        // With small pages a promotion needs many, and each is a moment at which the disk may be full.
        let made = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .page_size(512);
        let mut made = SqliteConnection::connect_with(&made).await.unwrap();
        sqlx::raw_sql("VACUUM").execute(&mut made).await.unwrap();
        made.close().await.unwrap();
        let mut bench = Bench::on(database).await;
        let (admin, token) = bench.program("demo", "admin", Role::Admin).await;
        bench.registry.push(API, "0", &digest(0));
        bench.git.declare(VALUES, "api", API, "0", &digest(0));
        bench.apply(&admin, &api_alone(API)).await;
        let workspace = admin.access[0].0.id;
        let projects = bench.store.read().await.unwrap().projects(workspace).await.unwrap();
        observe::read_desired(&bench.services, projects[0].project.id)
            .await
            .unwrap();
        let repository = API.parse().unwrap();
        observe::look_at_repository(&bench.services, workspace, &repository)
            .await
            .unwrap();
        let outside = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(
                SqliteConnectOptions::new()
                    .filename(&file)
                    .busy_timeout(Duration::from_secs(20)),
            )
            .await
            .unwrap();
        sqlx::raw_sql(
            "CREATE TABLE filling (x BLOB); WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 3000) \
             INSERT INTO filling SELECT zeroblob(300) FROM s; DELETE FROM filling",
        )
        .execute(&outside)
        .await
        .unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&outside)
            .await
            .unwrap();
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .pragma("max_page_count", pages.to_string());
        bench.services.store = Arc::new(SqliteStore::open_with(options).await.unwrap());
        Self {
            bench,
            outside,
            token: token.expose_secret().to_owned(),
            workspace,
            _directory: directory,
        }
    }

    async fn free(&self) -> i64 {
        sqlx::query_scalar("PRAGMA freelist_count")
            .fetch_one(&self.outside)
            .await
            .unwrap()
    }

    /// Leaves so many pages free.
    async fn fill(&self, left: i64) {
        while self.free().await > left {
            sqlx::query("INSERT INTO filling VALUES (zeroblob(300))")
                .execute(&self.outside)
                .await
                .unwrap();
        }
    }

    async fn make_room(&self) {
        sqlx::query("DELETE FROM filling").execute(&self.outside).await.unwrap();
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.bench.services.store
    }

    /// Time goes on, and the worker looks; what of the promotion to an image is to be seen.
    async fn look(&self, digest: &str) -> Option<Promotion> {
        self.bench.clock.forward(1_000);
        self.bench.services.wake.worker.notify_one();
        let newest = self.promotions().await.into_iter().next();
        newest.filter(|promotion| promotion.image.digest.as_str() == digest)
    }

    /// All of `api`, newest first.
    async fn promotions(&self) -> Vec<Promotion> {
        let mut tx = self.bench.store.read().await.unwrap();
        let project = tx.projects(self.workspace).await.unwrap().remove(0).project.id;
        let resource = tx.resources(project).await.unwrap().remove(0).id;
        tx.promotions_of(resource, 1_000).await.unwrap()
    }

    async fn ready(&self) -> (StatusCode, String) {
        let request = Request::get("/readyz").body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router(crate::rest::state(&self.bench)), request)
            .await
            .unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Reports a check, as a program that is signed in with the token.
    async fn report(&self, name: &str) -> (StatusCode, Value) {
        let body = json!({ "digest": digest(0), "name": name, "status": "passed" });
        let request = Request::post("/api/v1/checks")
            .header("content-type", "application/json")
            .header("host", "w.example")
            .header("authorization", format!("Bearer {}", self.token))
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        Bench::send(router(crate::rest::state(&self.bench)), request).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_that_meets_a_full_disk_at_any_page_goes_through_once_there_is_room() {
    let limited = Limited::new().await;
    let services = limited.bench.services.clone();
    let settings = Settings {
        sync_timeout: Duration::from_secs(60),
        verify_timeout: Duration::from_secs(60),
        stable: Duration::from_millis(1),
    };
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(services.clone(), settings, "worker").run(stop.clone()));
    let repository = API.parse().unwrap();
    let mut pages = 0;
    loop {
        let wanted = digest(1 + pages);
        limited.bench.registry.push(API, &format!("{}", 1 + pages), &wanted);
        limited.fill(pages).await;
        let seen = observe::look_at_repository(&services, limited.workspace, &repository).await;
        let failed = until("the disk to be full, or the promotion to end", async || {
            let ended = limited.look(&wanted).await.is_some_and(|p| p.state.is_ended());
            (services.store.trouble().is_some() || ended).then_some(!ended)
        })
        .await;
        if failed {
            assert_eq!(services.store.trouble(), Some(DatabaseFault::Full));
        } else {
            seen.unwrap();
        }
        limited.make_room().await;
        until("the repository to be looked at", async || {
            observe::look_at_repository(&services, limited.workspace, &repository)
                .await
                .ok()
        })
        .await;
        let ended = until("the promotion to end", async || {
            limited.look(&wanted).await.filter(|p| p.state.is_ended())
        })
        .await;
        assert_eq!(ended.state, State::Succeeded, "{pages} pages: {ended:?}");
        until("the store to be well", async || {
            services.store.check_writable().await.ok()
        })
        .await;
        if !failed {
            break;
        }
        pages += 1;
    }
    println!("a promotion needs {pages} pages");
    assert!(pages > 2, "the disk was hardly ever full: {pages}");
    stop.cancel();
    worker.await.unwrap();

    // Each has one commit, and the ledger tells of each once.
    let mut committed = limited.bench.git.committed();
    committed.sort();
    let promotions = limited.promotions().await;
    let mut tx = limited.bench.store.read().await.unwrap();
    let mut ids: Vec<_> = promotions.iter().map(|promotion| promotion.id).collect();
    ids.sort();
    assert_eq!(committed, ids);
    assert_eq!(promotions.len() as i64, pages + 1);
    for promotion in &promotions {
        let events = tx.events_of_promotion(promotion.id).await.unwrap();
        let kinds: Vec<String> = events.iter().map(|event| format!("{:?}", event.happened)).collect();
        for what in ["PromotionRequested", "Committed", "to: Committing", "to: Succeeded"] {
            let told = kinds.iter().filter(|kind| kind.contains(what)).count();
            assert_eq!(told, 1, "{what}: {kinds:#?}");
        }
    }
    drop(tx);
    let checked = views::check_ledger(&*limited.bench.store, limited.workspace)
        .await
        .unwrap();
    assert_eq!(checked.broken, None);
}

#[tokio::test]
async fn who_meets_a_full_disk_is_told_and_so_is_whoever_asks_whether_it_is_ready() {
    let limited = Limited::new().await;
    let ready = (StatusCode::OK, "ready\n".to_owned());
    assert_eq!(limited.ready().await, ready);
    limited.fill(0).await;
    // Enough of them, so that at least one needs a new page.
    let mut refused = None;
    for n in 0..200 {
        let (status, answer) = limited.report(&format!("check-{n}")).await;
        if status != StatusCode::OK {
            refused = Some((status, answer));
            break;
        }
    }
    let (status, answer) = refused.unwrap();
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    let said = answer["detail"].as_str().unwrap();
    assert!(said.contains("no room left") && said.contains("free space"), "{said}");
    let (status, said) = limited.ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said.contains("no room left"), "{said}");
    // Who only reads is served, although that they were here can't be noted.
    limited.bench.clock.forward(120_000);
    let token = &limited.token;
    assert!(
        access::caller_of_token(&limited.bench.services, token)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(limited.store().trouble(), Some(DatabaseFault::Full));

    limited.make_room().await;
    until("it to be ready again, by itself", async || {
        Some(limited.ready().await).filter(|is| *is == ready)
    })
    .await;
    let (status, answer) = limited.report("afterwards").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn a_transaction_that_the_database_took_back_leaves_nothing_and_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(directory.path());
    let store = database.open().await;
    let outside = SqlitePool::connect(&database.url()).await.unwrap();
    // SQLite ends the whole transaction, as it does when the disk is full.
    sqlx::query(
        "CREATE TRIGGER no_more BEFORE INSERT ON workspaces WHEN NEW.name = 'acme' BEGIN SELECT RAISE(ROLLBACK, 'no more'); END",
    )
    .execute(&outside)
    .await
    .unwrap();
    for _ in 0..3 {
        let mut tx = store.write().await.unwrap();
        tx.insert_workspace(&workspace(1, "demo"), crate::support::BEGIN)
            .await
            .unwrap();
        tx.insert_workspace(&workspace(2, "acme"), crate::support::BEGIN)
            .await
            .unwrap_err();
        // Outside of any transaction this would stay.
        tx.insert_workspace(&workspace(3, "half"), crate::support::BEGIN)
            .await
            .unwrap_err();
        tx.commit().await.unwrap_err();
    }
    assert_eq!(store.read().await.unwrap().workspaces().await.unwrap(), []);
    let mut tx = store.write().await.unwrap();
    tx.insert_workspace(&workspace(1, "demo"), crate::support::BEGIN)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.trouble(), None);
}

fn workspace(n: u128, name: &str) -> domain::environment::Workspace {
    domain::environment::Workspace {
        id: WorkspaceId(uuid::Uuid::from_u128(n)),
        name: name.parse().unwrap(),
    }
}

#[tokio::test]
async fn a_connection_that_postgresql_ends_is_replaced() {
    let database = Database::postgres();
    let store = database.open().await;
    let outside = sqlx::PgPool::connect(&database.url()).await.unwrap();
    for _ in 0..3 {
        let mut tx = store.write().await.unwrap();
        tx.insert_workspace(&workspace(1, "demo"), crate::support::BEGIN)
            .await
            .unwrap();
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'waybill'",
        )
        .execute(&outside)
        .await
        .unwrap();
        let gone = tx.workspaces().await.unwrap_err();
        assert_eq!(gone.trouble(), Some(DatabaseFault::Gone), "{gone:?}");
        drop(tx);
        // The turn that it held is free, and nothing of it stayed.
        assert_eq!(store.write().await.unwrap().workspaces().await.unwrap(), []);
    }
    assert_eq!(store.trouble(), Some(DatabaseFault::Gone), "nobody has looked since");
    assert_eq!(store.check_writable().await, Ok(()));
    assert_eq!(store.trouble(), None);
}

/// The statement that changes the n-th row fails, and all that follow, until it is switched off.
const COUNTDOWN: &str = "
    CREATE TABLE countdown (n BIGINT, code TEXT);

    INSERT INTO countdown VALUES (NULL, NULL);
    CREATE SEQUENCE hits;
    CREATE FUNCTION count_down() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        left_over BIGINT;
        wanted TEXT;
    BEGIN
        UPDATE countdown SET n = GREATEST(n - 1, 0) WHERE n IS NOT NULL RETURNING n, code INTO left_over, wanted;
        IF left_over = 0 THEN
            PERFORM nextval('hits');
            RAISE EXCEPTION 'the test says so' USING ERRCODE = wanted;
        END IF;
        RETURN NULL;
    END $$;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_whose_nth_statement_finds_the_disk_full_goes_through_afterwards() {
    each_statement_fails("53100").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_whose_nth_statement_finds_the_server_gone_goes_through_afterwards() {
    each_statement_fails("57P01").await;
}

async fn each_statement_fails(code: &str) {
    let world = World::with(Setup {
        database: Some(Database::postgres()),
        argocd: false,
        notifies: false,
        ..Setup::default()
    })
    .await;
    let outside = sqlx::PgPool::connect(&world.database_url()).await.unwrap();
    sqlx::raw_sql(COUNTDOWN).execute(&outside).await.unwrap();
    // Rows that are really changed: looks that find nothing new go on meanwhile, and are not what is counted.
    for (what, table) in [
        ("INSERT OR UPDATE OR DELETE", "promotions"),
        ("INSERT", "events"),
        ("INSERT OR UPDATE", "ledger_heads"),
        ("INSERT OR UPDATE", "resources"),
        ("INSERT", "artifacts"),
    ] {
        let trigger =
            format!("CREATE TRIGGER count_down AFTER {what} ON {table} FOR EACH ROW EXECUTE FUNCTION count_down()");
        sqlx::query(AssertSqlSafe(trigger)).execute(&outside).await.unwrap();
    }
    let switch = async |n: Option<i64>| {
        sqlx::query("UPDATE countdown SET n = $1, code = $2")
            .bind(n)
            .bind(code)
            .execute(&outside)
            .await
            .unwrap();
    };
    let hits = async || -> bool {
        let hit = sqlx::query_scalar("SELECT is_called FROM hits")
            .fetch_one(&outside)
            .await;
        hit.unwrap()
    };
    let mut n = 1;
    loop {
        sqlx::query("ALTER SEQUENCE hits RESTART")
            .execute(&outside)
            .await
            .unwrap();
        switch(Some(n)).await;
        let digest = world.push(&format!("1.0.{n}")).await;
        let ended = async |world: &World| {
            // Leases run out meanwhile.
            world.clock.forward(500);
            let promotions = world.promotions("staging", "api").await;
            let newest = promotions.into_iter().next();
            newest.filter(|p| p.image.digest.as_str() == digest && p.state.is_ended())
        };
        let failed = until("a statement to fail, or the promotion to end", async || {
            let is_hit = hits().await;
            (is_hit || ended(&world).await.is_some()).then_some(is_hit)
        })
        .await;
        switch(None).await;
        let ended = until("the promotion to end", async || ended(&world).await).await;
        assert_eq!(ended.state, State::Succeeded, "statement {n}: {ended:?}");
        if !failed {
            break;
        }
        n += 1;
    }
    println!("a build that goes to two environments needs {n} statements");
    assert!(n > 20, "hardly anything failed: {n}");
    world.idle().await;
    world.is_whole().await;
    let ready = reqwest::get(format!("{}/readyz", world.base_url)).await.unwrap();
    assert_eq!(ready.status(), 200);
}

#[test]
fn what_the_store_says_about_itself_is_told_apart() {
    let lost = StoreError::Database(sqlx::Error::Io(std::io::Error::other("lost")));
    assert_eq!(lost.trouble(), Some(DatabaseFault::Gone));
    assert_eq!(StoreError::Stale.trouble(), None);
}
