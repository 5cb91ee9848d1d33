//! The ledger proves itself: whatever is changed in the database past Waybill is named; and it tells who came in how.

use crate::support::{
    BEGIN, Bench, PASSWORD,
    database::Database,
    world::{ADMIN, World, until},
};
use domain::{
    artifact::Digest,
    door::Door,
    environment::Workspace,
    event::{Event, Happened, Subject},
    id::WorkspaceId,
    promotion::Actor,
    rights::Role,
};
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use server::{
    service::{
        access,
        views::{Checked, Fault, check_ledger, ledger_lines},
    },
    store::{NewEvent, Store},
};
use std::{path::Path, process::Command};
use tempfile::TempDir;
use uuid::Uuid;

fn workspace(n: u128, name: &str) -> Workspace {
    Workspace {
        id: WorkspaceId(Uuid::from_u128(n)),
        name: name.parse().unwrap(),
    }
}

fn demo() -> Workspace {
    workspace(1, "demo")
}

/// Adds entries of a workspace, each in a transaction of its own.
async fn add(store: &dyn Store, workspace: &Workspace, count: i64) {
    for n in 0..count {
        let event = NewEvent {
            workspace: workspace.id,
            subject: Subject::default(),
            actor: Actor::Token { name: "ci".into() },
            happened: Happened::SignInFailed {
                email: format!("añada{n}@example.com"),
            },
        };
        let mut tx = store.write().await.unwrap();
        tx.append_event(&event, BEGIN.plus_millis(n)).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Two workspaces; entry 1 is the other's, 2 to 6 are the demo's.
async fn written(store: &dyn Store) {
    let other = workspace(2, "other");
    let mut tx = store.write().await.unwrap();
    for workspace in [&demo(), &other] {
        tx.insert_workspace(workspace, BEGIN).await.unwrap();
    }
    tx.commit().await.unwrap();
    add(store, &other, 1).await;
    add(store, &demo(), 5).await;
}

/// Who has the database in hand: takes the triggers away first.
async fn tamper(database: &Database, statement: &'static str) {
    match database {
        Database::Sqlite(_) => {
            let pool = sqlx::SqlitePool::connect(&database.url()).await.unwrap();
            for trigger in [
                "DROP TRIGGER IF EXISTS events_stay",
                "DROP TRIGGER IF EXISTS events_are_kept",
                "DROP TRIGGER IF EXISTS events_come_last",
                "DROP TRIGGER IF EXISTS events_are_not_replaced",
            ] {
                sqlx::query(trigger).execute(&pool).await.unwrap();
            }
            sqlx::query(statement).execute(&pool).await.unwrap();
            pool.close().await;
        }
        Database::Postgres(_) => {
            let pool = sqlx::PgPool::connect(&database.url()).await.unwrap();
            sqlx::query("ALTER TABLE events DISABLE TRIGGER USER")
                .execute(&pool)
                .await
                .unwrap();
            sqlx::query(statement).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }
}

async fn checked(store: &dyn Store) -> Checked {
    check_ledger(store, demo().id).await.unwrap()
}

#[tokio::test]
async fn what_was_changed_past_waybill_is_named() {
    for (statement, sequence, fault) in [
        (
            r#"UPDATE events SET happened = '{"kind":"signed_in"}' WHERE sequence = 4"#,
            4,
            Fault::Changed,
        ),
        ("UPDATE events SET at = at + 1 WHERE sequence = 2", 2, Fault::Changed),
        (
            "UPDATE events SET address = '192.0.2.1' WHERE sequence = 6",
            6,
            Fault::Changed,
        ),
        (
            "UPDATE events SET workspace_id = '00000000-0000-0000-0000-000000000001' WHERE sequence = 1",
            1,
            Fault::Changed,
        ),
        ("DELETE FROM events WHERE sequence = 3", 4, Fault::NotNext),
        ("DELETE FROM events WHERE sequence = 2", 3, Fault::NotNext),
        ("DELETE FROM events WHERE sequence > 4", 4, Fault::EndMissing(2)),
        ("DELETE FROM events WHERE sequence > 1", 0, Fault::EndMissing(5)),
        (
            "UPDATE events SET previous_hash = NULL, hash = NULL WHERE sequence = 5",
            5,
            Fault::Unchained,
        ),
        // As old as the chain itself it can't pretend to be.
        (
            "UPDATE events SET previous_hash = NULL, hash = NULL WHERE sequence = 2",
            3,
            Fault::NotNext,
        ),
        (
            "INSERT INTO events (at, workspace_id, actor, door, happened, previous_hash, hash) \
             SELECT at, workspace_id, actor, door, happened, previous_hash, hash FROM events WHERE sequence = 4",
            7,
            Fault::NotNext,
        ),
        (
            "UPDATE ledger_heads SET hash = 'another' WHERE entries = 5",
            6,
            Fault::EndMissing(0),
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        for database in [Database::sqlite(directory.path()), Database::postgres()] {
            let store = database.open().await;
            written(&*store).await;
            let whole = checked(&*store).await;
            assert_eq!((whole.chained, whole.unchained, whole.broken), (5, 0, None));
            tamper(&database, statement).await;
            let broken = checked(&*store).await.broken.expect(statement);
            assert_eq!((broken.sequence, broken.fault), (sequence, fault), "{statement}");
            assert!(broken.to_string().contains(&format!("entry {sequence} (")), "{broken}");
        }
    }
}

/// Adds entries of the demo in one transaction, numbered on from `first`.
async fn add_at_once(store: &dyn Store, first: i64, count: i64) {
    let mut tx = store.write().await.unwrap();
    for n in first..first + count {
        let event = NewEvent {
            workspace: demo().id,
            subject: Subject::default(),
            actor: Actor::Token { name: "ci".into() },
            happened: Happened::SignInFailed { email: n.to_string() },
        };
        tx.append_event(&event, BEGIN.plus_millis(n)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_ledger_of_many_pages_is_read_whole_each_entry_once() {
    let directory = tempfile::tempdir().unwrap();
    for database in [Database::sqlite(directory.path()), Database::postgres()] {
        let store = database.open().await;
        let other = workspace(2, "other");
        let mut tx = store.write().await.unwrap();
        for workspace in [&demo(), &other] {
            tx.insert_workspace(workspace, BEGIN).await.unwrap();
        }
        tx.commit().await.unwrap();
        // Another's entry before and after: the demo's nth has the place n + 1.
        add(&*store, &other, 1).await;
        let mut length = 0;
        // Pages have 1000 entries: two that are full, and one more entry.
        for more in [2_000, 1] {
            add_at_once(&*store, length, more).await;
            length += more;
            let whole = checked(&*store).await;
            assert_eq!((whole.chained, whole.unchained, whole.broken), (length, 0, None));
            let some: Vec<String> = ledger_lines(store.clone(), demo().id).try_collect().await.unwrap();
            let text = some.concat();
            let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let told = |field: &str| {
                entries
                    .iter()
                    .map(|entry| entry[field].as_i64().unwrap())
                    .collect::<Vec<_>>()
            };
            assert_eq!(told("sequence"), (2..length + 2).collect::<Vec<_>>());
            assert_eq!(told("at"), (0..length).map(|n| BEGIN.0 + n).collect::<Vec<_>>());
            assert!(
                entries
                    .windows(2)
                    .all(|pair| pair[0]["hash"] == pair[1]["previousHash"])
            );
            assert_eq!(entries.last().unwrap()["hash"], whole.newest_hash);
        }
        add(&*store, &other, 1).await;
        assert_eq!(checked(&*store).await.broken, None);

        for (statement, sequence, fault, fit) in [
            (
                r#"UPDATE events SET happened = '{"kind":"signed_in"}' WHERE sequence = 1502"#,
                1502,
                Fault::Changed,
                1500,
            ),
            // The second page's first, and the first page's last.
            ("DELETE FROM events WHERE sequence = 1002", 1003, Fault::NotNext, 1000),
            ("DELETE FROM events WHERE sequence = 1001", 1003, Fault::NotNext, 999),
        ] {
            tamper(&database, statement).await;
            let found = checked(&*store).await;
            let broken = found.broken.expect(statement);
            assert_eq!(
                (broken.sequence, broken.fault, found.chained),
                (sequence, fault, fit),
                "{statement}"
            );
        }
    }
}

#[tokio::test]
async fn entries_from_before_the_chain_are_counted_and_what_an_older_release_adds_is_chained() {
    const OLD: &str = r#"INSERT INTO events (at, workspace_id, actor, happened) VALUES (1800000000000,
        '00000000-0000-0000-0000-000000000001', '{"kind":"token","name":"ci"}', '{"kind":"sign_in_failed","email":"ñ"}')"#;
    let directory = tempfile::tempdir().unwrap();
    let file = Database::sqlite(directory.path());
    let store = file.open().await;
    let mut tx = store.write().await.unwrap();
    tx.insert_workspace(&demo(), BEGIN).await.unwrap();
    tx.commit().await.unwrap();
    tamper(&file, OLD).await;
    add(&*store, &demo(), 2).await;
    let found = checked(&*store).await;
    assert_eq!((found.chained, found.unchained, found.broken), (2, 1, None));

    // On PostgreSQL it runs on while this one starts.
    let server = Database::postgres();
    let store = server.open().await;
    written(&*store).await;
    let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
    sqlx::query(OLD).execute(&pool).await.unwrap();
    add(&*store, &demo(), 1).await;
    let found = checked(&*store).await;
    assert_eq!((found.chained, found.unchained, found.broken), (7, 0, None));
}

#[tokio::test]
async fn nothing_is_put_in_the_place_or_before_the_end_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = Database::sqlite(directory.path());
    written(&*file.open().await).await;
    let pool = sqlx::SqlitePool::connect(&file.url()).await.unwrap();
    for statement in [
        "INSERT OR REPLACE INTO events (sequence, at, workspace_id, actor, happened) \
         SELECT sequence, 0, workspace_id, actor, happened FROM events WHERE sequence = 6",
        "INSERT INTO events (sequence, at, workspace_id, actor, happened) \
         SELECT -5, 0, workspace_id, actor, happened FROM events WHERE sequence = 6",
    ] {
        let refused = sqlx::query(statement).execute(&pool).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

fn waybill(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_waybill"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("WAYBILL_DATA_DIR", directory)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_checks_and_exports() {
    let directory: TempDir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| waybill(directory.path(), &[&["ledger"], arguments].concat());
    let (code, _, err) = run(&["verify"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("There is no database"), "{err}");

    let database = Database::sqlite(directory.path());
    let store = database.open().await;
    written(&*store).await;
    let head = store.read().await.unwrap().ledger_head(demo().id).await.unwrap();
    let (code, out, err) = run(&["verify"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 2, "a line for each workspace: {out}");
    let said = format!("demo: 5 entries, unbroken; the newest hash is {}.\n", head.hash);
    assert!(out.starts_with(&said), "{out}");

    let (code, out, _) = run(&["export", "--workspace", "demo"]);
    assert_eq!(code, 0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["happened"]["email"], "añada0@example.com");
    assert_eq!(lines[4]["hash"], head.hash);
    assert_eq!(lines[4]["previousHash"], lines[3]["hash"]);
    assert_eq!(run(&["export"]).1.lines().count(), 6, "all workspaces");
    let (code, _, err) = run(&["export", "--workspace", "none"]);
    assert_eq!(code, 1);
    assert!(err.contains("There is no workspace \"none\""), "{err}");

    tamper(&database, "DELETE FROM events WHERE sequence = 3").await;
    let (code, out, err) = run(&["verify"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("other: 1 entries, unbroken"), "{out}");
    assert!(
        err.starts_with("waybill: demo: entry 4 (2027-01-15 08:00:00 UTC) does not follow the one before it"),
        "{err}"
    );
}

#[tokio::test]
async fn who_administers_a_workspace_from_its_beginning_is_told() {
    let bench = Bench::new().await;
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    let password = PASSWORD.to_owned().into();
    let services = &bench.services;
    access::first_administrator(services, Some("ada@example.com"), Some(&password))
        .await
        .unwrap();
    let (bob, _) = bench.member("bob@example.com", "demo", Role::Admin).await;
    // By a person it is theirs; where nobody stands behind who makes it, the first account's.
    bench.apply(&bob, &json!({ "workspace": "by-bob" })).await;
    bench.apply(&program, &json!({ "workspace": "by-a-program" })).await;
    bench.program("on-the-database", "boss", Role::Admin).await;
    let mut tx = bench.store.read().await.unwrap();
    for (workspace, email) in [
        ("demo", "ada@example.com"),
        ("by-bob", "bob@example.com"),
        ("by-a-program", "ada@example.com"),
        ("on-the-database", "ada@example.com"),
    ] {
        let workspace = tx.workspace_by_name(workspace).await.unwrap().unwrap();
        let events = tx.events_after(0, 1000).await.unwrap();
        let own = events.iter().filter(|event| event.workspace == workspace.id);
        let joined: Vec<_> = own
            .filter(|event| matches!(event.happened, Happened::MemberJoined { .. }))
            .collect();
        let [joined] = joined[..] else {
            panic!("{}: {joined:?}", workspace.name);
        };
        let told = Happened::MemberJoined {
            email: email.into(),
            role: "admin".into(),
        };
        assert_eq!(joined.happened, told);
        assert_eq!(Some(joined.actor.name()), email.split('@').next());
        let mut members = tx.members(workspace.id).await.unwrap();
        members.retain(|member| member.user.email == email);
        assert_eq!(members[0].role, Role::Admin);
    }
}

/// The newest event that is so.
async fn newest(world: &World, is: impl Fn(&Event) -> bool) -> Event {
    let events = world.store.read().await.unwrap().events_after(0, 10_000).await.unwrap();
    events.into_iter().rfind(|event| is(event)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_tell_the_door_and_the_address_and_administrators_export_them() {
    let world = World::start().await;
    let came = |event: Event| (event.door, event.address);
    let address = Some("127.0.0.1".to_owned());
    let mut browser = world.admin().await;
    let signed_in = newest(&world, |e| e.happened == Happened::SignedIn { through: None }).await;
    assert_eq!(came(signed_in), (Some(Door::Browser), address.clone()));

    let wrong = [("email", ADMIN), ("password", "wrong")];
    assert_eq!(world.stranger().post("/sign-in", &wrong).await.status, 422);
    let refused = until("the failed sign-in is told", async || {
        let events = world.store.read().await.unwrap().events_after(0, 10_000).await.unwrap();
        let is = |e: &Event| matches!(&e.happened, Happened::SignInFailed { email } if email == ADMIN);
        events.into_iter().find(is)
    });
    assert_eq!(came(refused.await), (Some(Door::Browser), address.clone()));

    let applied = newest(&world, |e| matches!(e.happened, Happened::Applied { .. })).await;
    assert_eq!(came(applied), (Some(Door::Rest), address.clone()));
    let token = newest(&world, |e| matches!(e.happened, Happened::TokenCreated { .. })).await;
    assert_eq!(came(token), (Some(Door::CommandLine), None));

    let pushed: Digest = world.push("v2").await.parse().unwrap();
    world.wait_for_desired("development", "api", pushed.as_str()).await;
    let seen = newest(
        &world,
        |e| matches!(&e.happened, Happened::ArtifactSeen { image } if image.digest == pushed),
    );
    assert!(matches!(seen.await.door, Some(Door::Webhook | Door::Waybill)));
    world.idle().await;
    assert_eq!(
        check_ledger(&*world.store, world_workspace(&world).await)
            .await
            .unwrap()
            .broken,
        None
    );

    let page = browser.get("/api/v1/workspaces/demo/ledger").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("application/jsonl"))
    );
    let lines: Vec<Value> = page
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["actor"]["email"] == ADMIN && line["happened"]["kind"] == "signed_in")
    );
    let viewer = world.token("demo", "reader", Role::Viewer).await;
    for (token, path, status) in [
        (Some(&viewer), "/api/v1/workspaces/demo/ledger", 403),
        (Some(&viewer), "/api/v1/workspaces/other/ledger", 404),
        (None, "/api/v1/workspaces/demo/ledger", 401),
    ] {
        let mut request = reqwest::Client::new().get(format!("{}{path}", world.base_url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{path}");
    }
}

async fn world_workspace(world: &World) -> WorkspaceId {
    let found = world
        .store
        .read()
        .await
        .unwrap()
        .workspace_by_name("demo")
        .await
        .unwrap();
    found.unwrap().id
}
