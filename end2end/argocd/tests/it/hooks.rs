//! Hooks, failing syncs, and the tries after them.

use std::time::Duration;

use argocd_standin::{Fault, RolloutOutcome, Timing};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{APP, Shop, image, still, until};

fn state(app: &Value) -> &Value {
    &app["status"]["operationState"]
}

fn hook(name: &str, phase: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{argocd.argoproj.io/hook: {phase}}}\nspec:\n  template: {{spec: {{restartPolicy: Never, containers: [{{name: run, image: 'r/{name}:1'}}]}}}}\n"
    )
}

async fn shop_with_hooks() -> Shop {
    let shop = Shop::running(still(), false).await;
    shop.repo
        .commit("chart/templates/migrate.yaml", &hook("migrate", "PreSync"));
    shop.repo
        .commit("chart/templates/smoke.yaml", &hook("smoke", "PostSync"));
    shop
}

async fn ended(shop: &Shop) -> Value {
    shop.app_until("the end", |app| app.get("operation").is_none()).await
}

#[tokio::test]
async fn hooks_run_before_and_after() {
    let shop = shop_with_hooks().await;
    shop.repo.release("v2");
    let mut watch = shop.watch("?name=web", "application/json").await;
    watch.next().await;
    assert_eq!(shop.sync(json!({})).await.0, 200);
    let seen = watch.apps_until(|app| state(app)["phase"] == "Succeeded").await;
    let messages: Vec<&str> = seen.iter().filter_map(|app| state(app)["message"].as_str()).collect();
    for wanted in [
        "waiting for completion of hook batch/Job/migrate",
        "waiting for healthy state of apps/Deployment/web",
        "waiting for completion of hook batch/Job/smoke",
    ] {
        assert!(messages.contains(&wanted), "{wanted:?} is not in {messages:?}");
    }
    let results = state(seen.last().unwrap())["syncResult"]["resources"].clone();
    let told: Vec<Value> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|result| json!([result["name"], result.get("hookType"), result["hookPhase"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["migrate", "PreSync", "Succeeded"]),
            json!(["web", null, "Running"]),
            json!(["smoke", "PostSync", "Succeeded"]),
        ]
    );
    let app = shop.refresh().await;
    assert_eq!(app["status"]["sync"]["status"], "Synced", "hooks are no drift");
    let hooks = app["status"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["hook"] == true);
    assert_eq!(hooks.count(), 2);
    let managed = shop.get(&format!("{APP}/managed-resources?kind=Job")).await.1;
    assert_eq!(
        (&managed["items"][0]["hook"], &managed["items"][0]["targetState"]),
        (&json!(true), &json!("null"))
    );
    let images = app["status"]["summary"]["images"].clone();
    assert_eq!(
        images,
        json!(["r/migrate:1", "r/smoke:1", image("v2")]),
        "their pods count among the images"
    );
}

#[tokio::test]
async fn a_failing_hook_is_named_in_the_result_only() {
    let shop = shop_with_hooks().await;
    shop.repo.release("v2");
    shop.fault(Fault::RolloutOf {
        workload: "Job/migrate".to_owned(),
        outcome: RolloutOutcome::Degraded,
    });
    shop.sync(json!({})).await;
    let app = ended(&shop).await;
    assert_eq!(
        (&state(&app)["phase"], &state(&app)["message"]),
        (
            &json!("Failed"),
            &json!("one or more synchronization tasks completed unsuccessfully")
        )
    );
    let results = state(&app)["syncResult"]["resources"].as_array().unwrap();
    assert_eq!(results.len(), 1, "nothing was applied");
    let result = &results[0];
    assert_eq!(
        (
            &result["kind"],
            &result["name"],
            &result["hookPhase"],
            &result["hookType"],
            &result["message"]
        ),
        (
            &json!("Job"),
            &json!("migrate"),
            &json!("Failed"),
            &json!("PreSync"),
            &json!("Job has reached the specified backoff limit")
        )
    );
    assert!(!shop.standin.live_images("web").contains(&image("v2")));
}

#[tokio::test]
async fn a_failing_hook_after_the_sync_fails_what_is_live() {
    let shop = shop_with_hooks().await;
    shop.repo.release("v2");
    shop.fault(Fault::RolloutOf {
        workload: "smoke".to_owned(),
        outcome: RolloutOutcome::Degraded,
    });
    shop.sync(json!({})).await;
    let app = ended(&shop).await;
    assert_eq!(state(&app)["phase"], "Failed");
    assert!(shop.standin.live_images("web").contains(&image("v2")));
    assert_eq!(
        app["status"]["history"].as_array().unwrap().len(),
        1,
        "it is no line of the history"
    );
    assert_eq!(shop.sync(json!({"strategy": {"apply": {}}})).await.0, 200);
    assert_eq!(state(&ended(&shop).await)["phase"], "Succeeded", "without hooks");
}

#[tokio::test]
async fn a_hook_that_hangs_can_be_ended() {
    let shop = shop_with_hooks().await;
    shop.fault(Fault::RolloutOf {
        workload: "migrate".to_owned(),
        outcome: RolloutOutcome::Never,
    });
    shop.sync(json!({})).await;
    shop.app_until("the hook", |app| {
        state(app)["message"] == "waiting for completion of hook batch/Job/migrate"
    })
    .await;
    let (status, _) = shop.send(Method::DELETE, &format!("{APP}/operation"), json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(state(&ended(&shop).await)["message"], "Operation terminated");
}

#[tokio::test]
async fn a_retry_that_waits_can_be_ended() {
    let timing = Timing {
        retry_backoff: Duration::from_secs(3600),
        ..still()
    };
    let shop = Shop::running(timing, false).await;
    shop.fault(Fault::FailApply {
        message: "denied".to_owned(),
        times: None,
        retries: None,
    });
    let bad = shop.repo.release("v2");
    shop.sync(json!({"retryStrategy": {"limit": 5}})).await;
    let app = shop
        .app_until("the first failure", |app| state(app)["retryCount"] == 1)
        .await;
    assert_eq!(state(&app)["phase"], "Running");
    assert!(app.get("operation").is_some() && state(&app)["finishedAt"].is_string());
    assert_eq!(state(&app)["syncResult"]["revision"], json!(bad));
    let message = state(&app)["message"].as_str().unwrap();
    assert!(message.contains("denied. Retrying attempt #1 at "), "{message}");
    let (status, error) = shop.sync(json!({})).await;
    assert_eq!(
        (status, &error["message"]),
        (400, &json!("another operation is already in progress"))
    );
    let (status, _) = shop.send(Method::DELETE, &format!("{APP}/operation"), json!({})).await;
    assert_eq!(status, 200);
    let app = ended(&shop).await;
    assert_eq!(
        (&state(&app)["phase"], &state(&app)["message"]),
        (&json!("Failed"), &json!("Operation terminated"))
    );
    shop.fault(Fault::Clear);
    assert_eq!(shop.sync(json!({})).await.0, 200);
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
}

#[tokio::test]
async fn each_try_waits_longer() {
    let timing = Timing {
        retry_backoff: Duration::from_millis(20),
        ..still()
    };
    let shop = Shop::running(timing, false).await;
    shop.fault(Fault::FailApply {
        message: "denied".to_owned(),
        times: None,
        retries: None,
    });
    let started = std::time::Instant::now();
    shop.sync(json!({"retryStrategy": {"limit": 3, "backoff": {"duration": "5s", "factor": 3, "maxDuration": "3m"}}}))
        .await;
    let app = ended(&shop).await;
    assert!(state(&app)["message"].as_str().unwrap().ends_with("(retried 3 times)."));
    // 20, 60 and 180 ms.
    assert!(
        started.elapsed() >= Duration::from_millis(260),
        "{:?}",
        started.elapsed()
    );
}
