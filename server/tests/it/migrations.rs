//! The database's own history.

use domain::rights::Role;
use server::{
    clock::System,
    service::token::{NewToken, create_token_here},
    store::{Store as _, sqlite::SqliteStore},
};

#[tokio::test]
async fn migrations_run_twice_and_keep_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waybill.db");
    let first = SqliteStore::open(&file).await.unwrap();
    let new = NewToken {
        name: "ci",
        role: Role::Viewer,
        expires_in_millis: None,
    };
    create_token_here(&first, &System, &System, Some("demo"), true, &new)
        .await
        .unwrap();
    // Beside the first, as a second server would.
    let second = SqliteStore::open(&file).await.unwrap();
    for store in [&first, &second] {
        store.ping().await.unwrap();
        let workspaces = store.read().await.unwrap().workspaces().await.unwrap();
        assert_eq!(workspaces[0].name.as_str(), "demo");
    }
    drop((first, second));
    let third = SqliteStore::open(&file).await.unwrap();
    assert_eq!(third.read().await.unwrap().workspaces().await.unwrap().len(), 1);
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
