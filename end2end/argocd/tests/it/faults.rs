//! Every knob, seen from outside.

use crate::support::{APP, Shop, image, still, until};
use argocd_standin::{Fault, RolloutOutcome};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn state(app: &Value) -> &Value {
    &app["status"]["operationState"]
}

#[tokio::test]
async fn an_operation_that_is_picked_up_late_shows_neither_state() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::OperationPickup { millis: 3_600_000 });
    shop.sync(json!({})).await;
    let app = shop.refresh().await;
    assert!(app.get("operation").is_some() && state(&app).is_null());
    let (status, error) = shop.send(Method::DELETE, &format!("{APP}/operation"), json!({})).await;
    assert_eq!(
        (status, &error["message"]),
        (
            400,
            &json!("Unable to terminate operation. No operation is in progress")
        )
    );
}

#[tokio::test]
async fn a_failed_apply_fails_the_operation() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::FailApply {
        message: "denied by webhook".to_owned(),
        times: Some(1),
        retries: None,
    });
    shop.repo.release("v2");
    shop.sync(json!({})).await;
    let app = shop.app_until("the end", |app| app.get("operation").is_none()).await;
    assert_eq!(state(&app)["phase"], "Failed");
    assert_eq!(
        state(&app)["message"],
        "one or more objects failed to apply, reason: denied by webhook"
    );
    assert_eq!(state(&app)["syncResult"]["resources"][0]["status"], "SyncFailed");
    assert_eq!(shop.standin.live_images("web"), [image("v1")]);
    shop.sync(json!({})).await;
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
}

#[tokio::test]
async fn a_retry_is_running_with_a_finish_time() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::FailApply {
        message: "timeout".to_owned(),
        times: Some(2),
        retries: None,
    });
    shop.repo.release("v2");
    let mut watch = shop.watch("?name=web", "application/json").await;
    watch.next().await;
    shop.sync(json!({"retryStrategy": {"limit": 3}})).await;
    let seen = watch.apps_until(|app| state(app)["phase"] == "Succeeded").await;
    let waiting = seen
        .iter()
        .find(|app| state(app)["phase"] == "Running" && state(app)["finishedAt"].is_string());
    let waiting = state(waiting.expect("a retry was announced"));
    assert_eq!(waiting["retryCount"], 1);
    let message = waiting["message"].as_str().unwrap();
    assert!(
        message.contains(". Retrying attempt #1 at ") && message.ends_with("M."),
        "{message}"
    );
    let again = seen
        .iter()
        .find(|app| state(app)["message"] == "Retrying operation. Attempt #2")
        .expect("a second retry");
    assert!(state(again).get("finishedAt").is_none() && state(again).get("syncResult").is_none());

    shop.fault(Fault::FailApply {
        message: "timeout".to_owned(),
        times: None,
        retries: Some(2),
    });
    shop.sync(json!({})).await;
    let app = shop.app_until("the end", |app| app.get("operation").is_none()).await;
    assert!(
        state(&app)["message"]
            .as_str()
            .unwrap()
            .ends_with("timeout (retried 2 times).")
    );
}

#[tokio::test]
async fn a_dropped_refresh_answers_with_the_past() {
    let shop = Shop::running(still(), false).await;
    let old = shop.app()["status"]["sync"]["revision"].clone();
    let new = shop.repo.release("v2");
    shop.fault(Fault::DropRefreshes { count: 1 });
    assert_eq!(shop.refresh().await["status"]["sync"]["revision"], old);
    assert_eq!(shop.refresh().await["status"]["sync"]["revision"], json!(new));
}

#[tokio::test]
async fn a_foreign_operation_takes_the_place_of_ours() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::Hook { millis: 3_600_000 });
    shop.sync(json!({"infos": [{"name": "id", "value": "ours"}]})).await;
    shop.app_until("our sync", |app| state(app)["phase"] == "Running").await;
    shop.fault(Fault::Hook { millis: 0 });
    shop.fault(Fault::ForeignOperation {
        username: Some("eve".to_owned()),
        revision: None,
    });
    let app = shop
        .app_until("the end", |app| state(app)["phase"] == "Succeeded")
        .await;
    assert_eq!(state(&app)["operation"]["initiatedBy"]["username"], "eve");
    assert!(state(&app)["operation"].get("info").is_none());
}

#[tokio::test]
async fn a_self_heal_replaces_the_state_and_leaves_no_history() {
    let shop = Shop::running(still(), false).await;
    let history = shop.app()["status"]["history"].clone();
    shop.fault(Fault::SelfHeal);
    let fits = |app: &Value| {
        state(app)["operation"]["sync"]["autoHealAttemptsCount"] == 1 && state(app)["phase"] == "Succeeded"
    };
    let app = shop.app_until("the end", fits).await;
    assert_eq!(state(&app)["operation"]["initiatedBy"], json!({"automated": true}));
    assert_eq!(app["status"]["history"], history);
}

#[tokio::test]
async fn a_comparison_error_hides_the_commit() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::ComparisonError {
        message: Some("helm is not feeling well".to_owned()),
    });
    let app = shop.refresh().await;
    assert_eq!(app["status"]["sync"]["status"], "Unknown");
    assert_eq!(app["status"]["sync"]["revision"], "main");
    assert_eq!(app["status"]["conditions"][0]["type"], "ComparisonError");
    let (status, error) = shop.get(&format!("{APP}/managed-resources")).await;
    assert_eq!((status, &error["code"]), (500, &json!(2)));
    shop.sync(json!({})).await;
    let app = shop.app_until("the end", |app| app.get("operation").is_none()).await;
    assert_eq!(state(&app)["phase"], "Error");
    shop.fault(Fault::ComparisonError { message: None });
    assert_eq!(shop.refresh().await["status"]["sync"]["status"], "Synced");
}

#[tokio::test]
async fn a_sync_window_denies_and_blocks() {
    let shop = Shop::running(still(), false).await;
    assert_eq!(
        shop.get(&format!("{APP}/syncwindows")).await.1,
        json!({"canSync": true})
    );
    shop.fault(Fault::SyncWindow { deny: true });
    let (status, error) = shop.sync(json!({})).await;
    assert_eq!(
        (status, error),
        (
            403,
            json!({"error": "cannot sync: blocked by sync window", "code": 7, "message": "cannot sync: blocked by sync window"})
        )
    );
    assert_eq!(shop.get(&format!("{APP}/syncwindows")).await.1["canSync"], false);
    shop.fault(Fault::ForeignOperation {
        username: None,
        revision: None,
    });
    let app = shop
        .app_until("the block", |app| {
            state(app)["message"] == "Sync operation blocked by sync window"
        })
        .await;
    assert_eq!(state(&app)["phase"], "Running");
    shop.fault(Fault::SyncWindow { deny: false });
    shop.app_until("the end", |app| state(app)["phase"] == "Succeeded")
        .await;
}

#[tokio::test]
async fn a_deleting_app_takes_no_operation() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::Deleting { on: true });
    assert!(shop.get(APP).await.1["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(shop.sync(json!({})).await.1["message"], "application is deleting");
}

#[tokio::test]
async fn a_multi_source_app_has_revisions() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::MultiSource);
    let sha = shop.repo.release("v2");
    let app = shop.refresh().await;
    assert_eq!(app["status"]["sync"]["revisions"], json!([sha, sha]));
    assert!(app["status"]["sync"].get("revision").is_none());
    assert_eq!(app["status"]["sync"]["comparedTo"]["source"], json!({"repoURL": ""}));
    let (status, error) = shop.sync(json!({"sourcePositions": [3], "revisions": [sha]})).await;
    assert_eq!(
        (status, &error["message"]),
        (500, &json!("source position is out of range"))
    );
    assert_eq!(
        shop.sync(json!({"sourcePositions": [1, 2], "revisions": [sha, sha]}))
            .await
            .0,
        200
    );
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
    let app = shop.app();
    assert_eq!(state(&app)["syncResult"]["revisions"], json!([sha, sha]));
    assert_eq!(state(&app)["syncResult"]["revision"], "");
    assert_eq!(app["status"]["history"][1]["revisions"], json!([sha, sha]));
}

#[tokio::test]
async fn a_brand_new_app_has_empty_enums() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::BrandNew);
    let app = shop.get(APP).await.1;
    let empty = json!({"sync": {"status": "", "comparedTo": {"source": {"repoURL": ""}, "destination": {}}}, "health": {}, "summary": {}, "sourceHydrator": {}});
    assert_eq!(app["status"], empty);
    shop.fault(Fault::FreezeRefresh { on: false });
    shop.app_until("the first look", |app| app["status"]["sync"]["status"] == "Synced")
        .await;
}

#[tokio::test]
async fn rollouts_can_degrade_and_hang() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::Rollout {
        outcome: RolloutOutcome::Degraded,
    });
    shop.repo.release("v2");
    shop.sync(json!({})).await;
    let app = shop
        .app_until("the bad news", |app| app["status"]["health"]["status"] == "Degraded")
        .await;
    assert_eq!(state(&app)["phase"], "Succeeded", "an apply does not wait for pods");
    assert_eq!(app["status"]["summary"]["images"], json!([image("v1"), image("v2")]));
    shop.fault(Fault::Rollout {
        outcome: RolloutOutcome::Healthy,
    });
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
}

#[tokio::test]
async fn a_slow_refresh_holds_the_answer() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::SlowRefresh { millis: 200 });
    let started = Instant::now();
    shop.refresh().await;
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn tokens_expire_and_requests_fail_in_every_way() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::Unauthorized { on: true });
    let (status, error) = shop.get(APP).await;
    assert_eq!(
        (status, &error["message"]),
        (
            401,
            &json!("invalid session: token has invalid claims: token is expired")
        )
    );
    shop.fault(Fault::Unauthorized { on: false });

    for (code, times) in [(500, None), (503, Some(1)), (502, Some(1)), (429, Some(1))] {
        shop.fault(Fault::FailRequests {
            status: code,
            path: Some("/applications/web".to_owned()),
            times,
        });
        let (status, body) = shop.get(APP).await;
        assert_eq!(status, code);
        match code {
            500 => assert_eq!(body["code"], 2),
            503 => assert_eq!(body["code"], 14),
            502 => assert!(body.as_str().unwrap().starts_with("<html>")),
            _ => assert_eq!(body, "Too Many Requests"),
        }
        assert_eq!(shop.get("/api/version").await.0, 200, "only that path");
    }
    assert_eq!(shop.get(APP).await.0, 200, "the times are over");
}

#[tokio::test]
async fn the_control_endpoint_does_what_the_library_does() {
    let shop = Shop::running(still(), false).await;
    let url = format!("{}/standin/faults", shop.standin.url());
    let post = async |body: Value| crate::support::answer(shop.http.post(&url).json(&body)).await;
    assert_eq!(
        post(json!([{"app": "web", "fault": "sync_window", "deny": true}, {"fault": "unauthorized", "on": true}]))
            .await
            .0,
        200
    );
    assert_eq!(shop.sync(json!({})).await.0, 401);
    assert_eq!(post(json!({"fault": "unauthorized", "on": false})).await.0, 200);
    assert_eq!(shop.sync(json!({})).await.0, 403);
    assert_eq!(post(json!({"app": "argocd/web", "fault": "clear"})).await.0, 200);
    assert_eq!(shop.sync(json!({})).await.0, 200);
    assert_eq!(post(json!({"app": "nope", "fault": "self_heal"})).await.0, 400);
    assert_eq!(post(json!({"fault": "no_such_fault"})).await.0, 400);
    let lost = post(json!({"app": "web", "fault": "live_image", "service": "x", "image": "y"})).await;
    assert!(lost.1["error"].as_str().unwrap().contains("no live deployment"));

    let state = crate::support::answer(shop.http.get(format!("{}/standin/state", shop.standin.url())))
        .await
        .1;
    assert_eq!(state["apps"][0]["deployments"][0]["image"], json!(image("v1")));
    let syncs = state["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| *line == "POST /api/v1/applications/web/sync");
    assert_eq!(syncs.count(), 4);
    assert!(!state.to_string().contains(&shop.token), "no tokens in the state");
}
