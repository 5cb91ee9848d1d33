//! PostgreSQL: a server whose role doesn't own the tables works, and can't touch what stands in the ledger.

use crate::support::{
    database::Database,
    world::{Setup, World},
};
use domain::promotion::State;
use sqlx::PgPool;
use std::{path::Path, process::Command};
use testbed::Postgres;

/// Runs a command on the database at `url`; its exit code, and what it said.
fn waybill(directory: &Path, url: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_waybill"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("WAYBILL_DATA_DIR", directory)
        .env("WAYBILL_DATABASE_URL", url)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_own_the_tables_works_and_cannot_touch_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let database = Postgres::shared().unwrap().database().unwrap();
    let (role, url) = database.another_role().unwrap();
    let owner = database.url();
    let run = |url: &str, arguments: &[&str]| waybill(directory.path(), url, arguments);

    // It can't make the tables, and says who has to.
    let (code, said) = run(&url, &["ledger", "verify"]);
    assert!(code == 1 && said.contains("run waybill migrate"), "{said}");
    for (wrong, why) in [("nobody", "there is no role nobody"), ("waybill", "owns the tables")] {
        let (code, said) = run(&owner, &["migrate", "--grant-to", wrong]);
        assert!(code == 1 && said.contains(why), "{said}");
    }
    let (code, said) = run(&url, &["ledger", "verify"]);
    assert!(
        code == 1 && said.contains("permission denied"),
        "nothing is granted yet: {said}"
    );
    for _ in 0..2 {
        let (code, said) = run(&owner, &["migrate", "--grant-to", &role]);
        assert_eq!(code, 0, "{said}");
    }

    // A whole server, from signing in to what runs.
    let world = World::with(Setup {
        database: Some(Database::Postgres(database)),
        variables: vec![("DATABASE_URL", url.clone())],
        ..Setup::default()
    })
    .await;
    let mut admin = world.admin().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    let back = format!("rollback-{}", world.first);
    let answer = admin.post("/w/demo/myapp/staging/api", &[("intent", &back)]).await;
    let id = answer.location().unwrap_or_else(|| panic!("{}", answer.words()));
    world
        .ends(id.trim_start_matches("/promotions/"), State::Succeeded)
        .await;
    for intent in ["create-group", "everywhere"] {
        let path = if intent == "everywhere" {
            "/account"
        } else {
            "/w/demo/-/settings/groups"
        };
        let page = admin.post(path, &[("intent", intent), ("name", "release")]).await;
        assert!(page.status < 400, "{}", page.words());
    }
    let pool = PgPool::connect(&url).await.unwrap();
    for statement in [
        "UPDATE events SET at = 0",
        "DELETE FROM events",
        "TRUNCATE events",
        "ALTER TABLE events DISABLE TRIGGER USER",
        "ALTER TABLE events DISABLE TRIGGER events_stay",
        "DROP TRIGGER events_stay ON events",
        "ALTER TABLE events OWNER TO CURRENT_USER",
        "DROP TABLE events CASCADE",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "SET session_replication_role = replica",
        "SET ROLE waybill",
        "DELETE FROM ledger_heads",
        "DELETE FROM _sqlx_migrations",
        "ALTER TABLE promotions ADD COLUMN more TEXT",
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
    }
    pool.close().await;
    let (code, said) = run(&url, &["ledger", "verify"]);
    assert!(code == 0 && said.contains("unbroken"), "{said}");
}

#[test]
fn a_database_in_a_file_is_brought_up_to_date_and_has_no_roles() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("waybill.db").display());
    let (code, said) = waybill(directory.path(), &file, &["migrate"]);
    assert_eq!((code, said.as_str()), (0, "The database is up to date.\n"));
    let (code, said) = waybill(directory.path(), &file, &["migrate", "--grant-to", "somebody"]);
    assert!(code == 2 && said.contains("for PostgreSQL"), "{said}");
}
