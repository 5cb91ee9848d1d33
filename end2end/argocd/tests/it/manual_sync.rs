//! The story of a manual sync, write by write.

use crate::support::{APP, Shop, image, still, until};
use argocd_standin::{Fault, RolloutOutcome, Timing};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

fn images(app: &Value) -> Vec<&str> {
    app["status"]["summary"]["images"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn a_sync_is_seen_step_by_step() {
    let shop = Shop::running(still(), false).await;
    let before = shop.app();
    let history = before["status"]["history"].as_array().unwrap().len();
    let sha = shop.repo.release("v2");

    // Nobody has looked at Git since the push.
    assert_eq!(shop.get(APP).await.1["status"]["sync"], before["status"]["sync"]);
    let app = shop.refresh().await;
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    assert_eq!(app["status"]["sync"]["revision"], json!(sha));
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    assert!(
        app["metadata"]["annotations"]
            .get("argocd.argoproj.io/refresh")
            .is_none()
    );
    assert!(app.get("kind").is_none() && app.get("apiVersion").is_none());

    shop.fault(Fault::Rollout {
        outcome: RolloutOutcome::Never,
    });
    let mut watch = shop.watch("?name=web", "application/json").await;
    assert_eq!(watch.next().await["result"]["type"], "ADDED");
    let infos = json!([{"name": "promotion.example.io/id", "value": "p-1"}]);
    let (status, started) = shop
        .sync(json!({"project": "shop", "revision": sha, "infos": infos}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        started["operation"]["initiatedBy"],
        json!({"username": "proj:shop:promoter"})
    );
    assert_eq!(started["operation"]["info"], infos);
    assert_eq!(started["operation"]["retry"], json!({}));
    assert!(
        started["status"].get("operationState").is_none(),
        "the write of an operation clears the old state"
    );

    let states = watch
        .apps_until(|app| app["status"]["operationState"]["phase"] == "Succeeded")
        .await;
    let phase = |app: &Value| app["status"]["operationState"]["phase"].clone();
    assert!(states[0].get("operation").is_some() && phase(&states[0]).is_null());
    let running: Vec<&Value> = states.iter().filter(|app| phase(app) == "Running").collect();
    assert!(running[0]["status"]["operationState"].get("syncResult").is_none());
    assert!(
        running
            .iter()
            .any(|app| app["status"]["operationState"]["syncResult"]["revision"] == json!(sha))
    );
    let last = running[running.len() - 1];
    assert_eq!(
        last["status"]["history"].as_array().unwrap().len(),
        history + 1,
        "history comes before the phase flips"
    );

    // The classic false positive: succeeded, and still the health of the old revision.
    let done = &states[states.len() - 1];
    assert!(done.get("operation").is_none());
    assert_eq!(done["status"]["operationState"]["operation"]["info"], infos);
    assert_eq!(done["status"]["health"]["status"], "Healthy");
    assert_eq!(done["status"]["sync"]["status"], "OutOfSync");
    let result = &done["status"]["operationState"]["syncResult"]["resources"][0];
    assert_eq!(result["images"], json!([image("v2")]));
    assert_eq!(result["message"], "deployment.apps/web configured");

    let states = watch
        .apps_until(|app| app["status"]["health"]["status"] == "Progressing")
        .await;
    let rolling = &states[states.len() - 1];
    assert_eq!(rolling["status"]["sync"]["status"], "Synced");
    assert_eq!(images(rolling), [image("v1"), image("v2")], "old and new pods are live");
    let tree = shop.get(&format!("{APP}/resource-tree")).await.1;
    let pods = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["kind"] == "Pod");
    assert_eq!(
        pods.map(|pod| pod["images"][0].as_str().unwrap())
            .filter(|pod| *pod == image("v2"))
            .count(),
        1
    );

    shop.fault(Fault::Rollout {
        outcome: RolloutOutcome::Healthy,
    });
    let states = watch
        .apps_until(|app| app["status"]["health"]["status"] == "Healthy")
        .await;
    let end = &states[states.len() - 1];
    assert_eq!(images(end), [image("v2")]);
    assert_eq!(shop.standin.live_images("web"), [image("v2")]);
    for time in [
        "/status/reconciledAt",
        "/status/operationState/finishedAt",
        "/status/health/lastTransitionTime",
    ] {
        let time = end.pointer(time).and_then(Value::as_str).unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "whole seconds: {time}");
    }
    let managed = shop.get(&format!("{APP}/managed-resources")).await.1;
    assert!(
        managed["items"][0]["liveState"]
            .as_str()
            .unwrap()
            .contains(&image("v2"))
    );
}

#[tokio::test]
async fn health_stays_stale_for_as_long_as_the_refresh_takes_to_come() {
    let shop = Shop::running(
        Timing {
            refresh_after_sync: Duration::from_secs(3600),
            ..still()
        },
        false,
    )
    .await;
    shop.fault(Fault::Rollout {
        outcome: RolloutOutcome::Never,
    });
    shop.repo.release("v2");
    shop.sync(json!({})).await;
    let app = shop
        .app_until("the sync", |app| {
            app["status"]["operationState"]["phase"] == "Succeeded"
        })
        .await;
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    let app = shop.refresh().await;
    assert_eq!(
        app["status"]["health"]["status"], "Progressing",
        "a refresh tells the truth"
    );
}

#[tokio::test]
async fn an_explicit_commit_leaves_the_app_out_of_sync_with_the_branch() {
    let shop = Shop::running(still(), false).await;
    let two = shop.repo.release("v2");
    shop.repo.release("v3");
    assert_eq!(shop.sync(json!({"revision": two})).await.0, 200);
    let fits = |app: &Value| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["summary"]["images"] == json!([image("v2")])
    };
    let app = shop.app_until("v2 to be live", fits).await;
    assert_eq!(app["status"]["operationState"]["syncResult"]["revision"], json!(two));
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_an_error_of_the_operation() {
    let shop = Shop::running(still(), false).await;
    assert_eq!(
        shop.sync(json!({"revision": "0123456789012345678901234567890123456789"}))
            .await
            .0,
        200
    );
    let app = shop
        .app_until("the end", |app| {
            app["status"]["operationState"]["finishedAt"].is_string()
        })
        .await;
    assert_eq!(app["status"]["operationState"]["phase"], "Error");
    let message = app["status"]["operationState"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("ComparisonError: Failed to load target state"),
        "{message}"
    );
    let (status, error) = shop.sync(json!({"revision": "no-such-branch"})).await;
    assert_eq!((status, &error["code"]), (400, &json!(9)));
}

#[tokio::test]
async fn a_rollback_goes_to_a_line_of_the_history() {
    let shop = Shop::running(still(), false).await;
    shop.repo.release("v2");
    shop.sync(json!({})).await;
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
    let path = format!("{APP}/rollback");
    let (status, error) = shop.send(Method::POST, &path, json!({"id": 7})).await;
    assert_eq!(
        (status, error["message"].as_str().unwrap()),
        (400, "application argocd/web does not have deployment with id 7")
    );
    assert_eq!(
        shop.send(Method::POST, &path, json!({"id": "0"})).await.1["code"],
        3,
        "a quoted number is refused"
    );
    assert_eq!(shop.send(Method::POST, &path, json!({"id": 0})).await.0, 200);
    let fits = |app: &Value| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["summary"]["images"] == json!([image("v1")])
    };
    shop.app_until("v1 to be back", fits).await;
}

#[tokio::test]
async fn a_second_operation_is_refused_and_the_first_can_be_terminated() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::Hook { millis: 3_600_000 });
    let path = format!("{APP}/operation");
    let (status, error) = shop.send(Method::DELETE, &path, json!({})).await;
    assert_eq!((status, error["code"].as_u64()), (400, Some(3)));
    assert_eq!(shop.sync(json!({})).await.0, 200);
    let (status, error) = shop.sync(json!({})).await;
    assert_eq!(
        (status, error),
        (
            400,
            json!({"error": "another operation is already in progress", "code": 9, "message": "another operation is already in progress"})
        )
    );
    let fits =
        |app: &Value| app["status"]["operationState"]["message"] == "waiting for completion of hook batch/Job/migrate";
    shop.app_until("the hook", fits).await;
    assert_eq!(shop.send(Method::DELETE, &path, json!({})).await, (200, json!({})));
    let app = shop.app_until("the end", |app| app.get("operation").is_none()).await;
    assert_eq!(app["status"]["operationState"]["phase"], "Failed");
    assert_eq!(app["status"]["operationState"]["message"], "Operation terminated");
}

#[tokio::test]
async fn scaled_to_zero_there_are_no_pods_and_a_removed_service_is_pruned_only_when_asked() {
    let shop = Shop::running(still(), false).await;
    shop.repo
        .commit("environments/staging/values.yaml", &crate::support::values("v2", 0));
    shop.sync(json!({})).await;
    let fits = |app: &Value| app["status"]["sync"]["status"] == "Synced" && app["status"]["summary"] == json!({});
    let app = shop
        .app_until("no pods", |app| {
            app["status"]["operationState"]["phase"] == "Succeeded" && fits(app)
        })
        .await;
    assert_eq!(app["status"]["health"]["status"], "Healthy");

    shop.repo.commit("environments/staging/values.yaml", "services: {}\n");
    shop.sync(json!({})).await;
    let app = shop
        .app_until("the sync", |app| {
            app["status"]["operationState"]["syncResult"]["resources"][0]["status"] == "PruneSkipped"
        })
        .await;
    assert!(
        app["status"]["operationState"]["syncResult"]["resources"][0]
            .get("images")
            .is_none()
    );
    shop.app_until("the end", |app| app.get("operation").is_none()).await;
    assert_eq!(shop.refresh().await["status"]["resources"][0]["requiresPruning"], true);
    shop.sync(json!({"prune": true})).await;
    shop.app_until("nothing left", |app| {
        app["status"]["sync"]["status"] == "Synced" && app["status"].get("resources").is_none()
    })
    .await;
}
