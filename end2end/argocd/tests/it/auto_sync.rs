//! Applications that sync by themselves.

use crate::support::{APP, Shop, image, still, until};
use argocd_standin::{Fault, Timing};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_push_is_found_and_synced_without_anybody() {
    let shop = Shop::running(
        Timing {
            poll: Duration::from_millis(20),
            ..Timing::fast()
        },
        true,
    )
    .await;
    let sha = shop.repo.release("v2");
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
    let app = shop.app();
    let state = &app["status"]["operationState"];
    assert_eq!(state["operation"]["initiatedBy"], json!({"automated": true}));
    assert_eq!(state["operation"]["retry"], json!({"limit": 5}));
    assert_eq!(state["operation"]["sync"]["revision"], json!(sha));
    assert_eq!(app["status"]["sync"]["revision"], json!(sha));
}

#[tokio::test]
async fn a_commit_that_changes_nothing_here_starts_no_operation() {
    let shop = Shop::running(still(), true).await;
    let before = shop.app();
    let sha = shop
        .repo
        .commit("environments/production/values.yaml", "services: {}\n");
    let app = shop.refresh().await;
    assert_eq!(app["status"]["sync"]["status"], "Synced");
    assert_eq!(app["status"]["sync"]["revision"], json!(sha));
    assert_eq!(
        app["status"]["operationState"], before["status"]["operationState"],
        "and it stays so for ever"
    );
    assert_eq!(app["status"]["history"], before["status"]["history"]);
    assert!(app.get("operation").is_none());
}

#[tokio::test]
async fn other_revisions_and_rollbacks_are_refused() {
    let shop = Shop::running(still(), true).await;
    let sha = shop.repo.release("v2");
    let (status, error) = shop.sync(json!({"revision": sha})).await;
    assert_eq!(status, 400);
    assert_eq!(error["code"], 9);
    assert_eq!(
        error["message"],
        json!(format!("Cannot sync to {sha}: auto-sync currently set to main"))
    );
    let (_, error) = shop
        .send(Method::POST, &format!("{APP}/rollback"), json!({"id": 0}))
        .await;
    assert_eq!(
        error["message"],
        "rollback cannot be initiated when auto-sync is enabled"
    );
    assert_eq!(shop.sync(json!({"revision": "main"})).await.0, 200);
}

#[tokio::test]
async fn a_failed_attempt_is_not_repeated_for_the_same_commit() {
    let shop = Shop::running(still(), true).await;
    shop.fault(Fault::FailApply {
        message: "quota exceeded".to_owned(),
        times: None,
        retries: Some(0),
    });
    let sha = shop.repo.release("v2");
    shop.refresh().await;
    let failed =
        |app: &Value| app["status"]["operationState"]["phase"] == "Failed" && app["status"]["conditions"].is_array();
    let app = shop.app_until("the condition", failed).await;
    let condition = &app["status"]["conditions"][0];
    assert_eq!(condition["type"], "SyncError");
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .starts_with(&format!("Failed last sync attempt to [{sha}]: one or more objects"))
    );
    shop.fault(Fault::Clear);
    assert_eq!(shop.refresh().await["status"]["sync"]["status"], "OutOfSync");
    shop.repo.release("v3");
    shop.refresh().await;
    until("v3", async || shop.rests_at(&image("v3")).then_some(())).await;
    assert!(shop.app()["status"].get("conditions").is_none());
}

#[tokio::test]
async fn drift_stays_until_self_heal_is_on() {
    let mut shop = Shop::running(still(), true).await;
    let history = shop.app()["status"]["history"].clone();
    shop.fault(Fault::LiveImage {
        service: "web".to_owned(),
        image: "registry.test/web:hacked".to_owned(),
    });
    shop.app_until("drift", |app| app["status"]["sync"]["status"] == "OutOfSync")
        .await;
    assert!(
        shop.standin
            .live_images("web")
            .contains(&"registry.test/web:hacked".to_owned())
    );
    shop.app_until("the rollout", |app| app["status"]["health"]["status"] == "Healthy")
        .await;
    assert!(shop.app().get("operation").is_none());

    let patch = json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}}).to_string();
    shop.as_subject("admin").await;
    assert_eq!(
        shop.send(Method::PATCH, APP, json!({"patch": patch, "patchType": "merge"}))
            .await
            .0,
        200
    );
    until("v1 again", async || shop.rests_at(&image("v1")).then_some(())).await;
    let state = &shop.app()["status"]["operationState"];
    assert_eq!(state["operation"]["sync"]["resources"][0]["name"], "web");
    assert_eq!(
        shop.app()["status"]["history"],
        history,
        "a partial sync leaves no history"
    );
}
