//! What a client is not shown, and what it needs a right for.

use crate::support::{APP, Shop, image, still, until};
use argocd_standin::{AppSpec, ClusterChange, Policy, RolloutOutcome, TokenGrant, token_for};
use reqwest::Method;
use serde_json::{Value, json};

fn change(shop: &Shop, change: ClusterChange) {
    shop.standin.in_cluster("web", change).unwrap();
}

async fn tree(shop: &Shop) -> Value {
    shop.get(&format!("{APP}/resource-tree")).await.1
}

#[tokio::test]
async fn secrets_are_masked() {
    let shop = Shop::running(still(), false).await;
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\ndata: {{a: {value}, b: c2FtZQ==}}\n")
    };
    shop.repo.commit("chart/templates/secret.yaml", &secret("Zmlyc3Q="));
    shop.sync(json!({})).await;
    shop.app_until("the sync", |app| app.get("operation").is_none()).await;
    shop.repo.commit("chart/templates/secret.yaml", &secret("c2Vjb25k"));
    shop.refresh().await;
    let managed = shop.get(&format!("{APP}/managed-resources?kind=Secret")).await.1;
    let text = managed.to_string();
    for value in ["Zmlyc3Q=", "c2Vjb25k", "c2FtZQ=="] {
        assert!(!text.contains(value), "{text}");
    }
    let data = |key: &str| -> Value {
        let state: Value = serde_json::from_str(managed["items"][0][key].as_str().unwrap()).unwrap();
        state["data"].clone()
    };
    let (target, live) = (data("targetState"), data("liveState"));
    assert_ne!(target["a"], live["a"], "that they differ can be seen");
    assert_eq!(target["b"], live["b"]);
    assert_eq!(managed["items"][0]["modified"], true);
}

#[tokio::test]
async fn logs_need_a_right_of_their_own() {
    let mut shop = Shop::running(still(), false).await;
    let lines: Vec<String> = (1..=5).map(|n| format!("line {n}")).collect();
    change(
        &shop,
        ClusterChange::Log {
            workload: "web".to_owned(),
            lines,
        },
    );
    let tree = until("the refresh", async || {
        let tree = tree(&shop).await;
        tree["nodes"].is_array().then_some(tree)
    })
    .await;
    let pod = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["kind"] == "Pod")
        .unwrap()["name"]
        .clone();
    let path = format!("{APP}/pods/{}/logs?tailLines=2", pod.as_str().unwrap());
    let (status, error) = shop.get(&path).await;
    assert_eq!(status, 403);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("permission denied: logs, get, shop/web"),
        "{error}"
    );

    let mut policies = Policy::promoter("shop");
    policies.push(Policy::allow("logs", "get", "shop/*"));
    shop.standin.grant(TokenGrant::new("reader", policies));
    shop.token = token_for("reader");
    let said = async |path: &str| -> Vec<Value> {
        let text = shop
            .request(Method::GET, path)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["result"].take())
            .collect()
    };
    let entries = until("the lines", async || {
        Some(said(&path).await).filter(|entries| entries.len() > 1)
    })
    .await;
    let contents: Vec<&Value> = entries.iter().map(|entry| &entry["content"]).collect();
    assert_eq!(contents, [&json!("line 4"), &json!("line 5"), &json!("")]);
    assert_eq!((&entries[0]["podName"], &entries[2]["last"]), (&pod, &json!(true)));
    let all = said(&format!(
        "{APP}/logs?kind=Deployment&group=apps&resourceName=web&tailLines=1"
    ))
    .await;
    assert_eq!(all.len(), 3, "one of each pod, and the end");
    let none = said(&format!("{APP}/pods/nope/logs")).await;
    assert_eq!(none.len(), 1, "of a pod that is not there only the end");
}

#[tokio::test]
async fn a_token_without_get_sees_neither_tree_nor_manifests() {
    let mut shop = Shop::running(still(), false).await;
    shop.as_subject("nobody").await;
    for what in ["resource-tree", "managed-resources", "events", "logs", "syncwindows"] {
        let (status, error) = shop.get(&format!("{APP}/{what}")).await;
        assert_eq!(
            (status, &error["message"]),
            (403, &json!("permission denied")),
            "{what}"
        );
    }
    assert_eq!(
        shop.get("/api/v1/account/can-i/applications/get/shop/web").await.1,
        json!({"value": "no"})
    );
}

#[tokio::test]
async fn excluded_kinds_and_orphans() {
    let shop = Shop::running(still(), false).await;
    let orphan = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stray"}});
    change(&shop, ClusterChange::AddOrphan { manifest: orphan });
    let seen = until("the orphan", async || {
        Some(tree(&shop).await).filter(|tree| tree["orphanedNodes"].is_array())
    })
    .await;
    assert_eq!(seen["orphanedNodes"][0]["name"], "stray");
    assert_eq!(shop.app()["status"]["sync"]["status"], "Synced");

    change(
        &shop,
        ClusterChange::Exclude {
            kinds: vec!["Pod".to_owned()],
        },
    );
    let seen = until("the pods to go", async || {
        let tree = tree(&shop).await;
        let pods = tree["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["kind"] == "Pod");
        (!pods).then_some(tree)
    })
    .await;
    assert!(
        seen["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["kind"] == "Deployment")
    );
    let app = shop
        .app_until("the summary", |app| app["status"]["summary"].get("images").is_none())
        .await;
    assert_eq!(app["status"]["health"]["status"], "Healthy");

    change(
        &shop,
        ClusterChange::Exclude {
            kinds: vec!["Deployment".to_owned()],
        },
    );
    let app = shop
        .app_until("the warning", |app| {
            app["status"]["conditions"][0]["type"] == "ExcludedResourceWarning"
        })
        .await;
    assert_eq!(
        app["status"]["conditions"][0]["message"],
        "Resource apps/Deployment web is excluded in the settings"
    );
    assert_eq!(
        shop.get(&format!("{APP}/managed-resources")).await.1,
        json!({"items": []})
    );
}

#[tokio::test]
async fn a_rollout_that_pauses_is_suspended() {
    let shop = Shop::running(still(), false).await;
    let values = |tag: &str| format!("services:\n  web:\n    kind: Rollout\n    replicas: 2\n    image: r/web:{tag}\n");
    shop.repo.commit("rollout.yaml", &values("1"));
    shop.standin
        .upsert_app(AppSpec::new("canary", "shop", &shop.repo.url(), "rollout.yaml"));
    let (app, sync) = ("/api/v1/applications/canary", "/api/v1/applications/canary/sync");
    let canary = async |what: &str, fits: &dyn Fn(&Value) -> bool| {
        until(what, async || {
            Some(shop.standin.app("canary").unwrap()).filter(|app| fits(app))
        })
        .await
    };
    canary("the first look", &|app| app["status"]["reconciledAt"].is_string()).await;
    shop.send(Method::POST, sync, json!({})).await;
    canary("version 1", &|app| app["status"]["health"]["status"] == "Healthy").await;
    shop.standin
        .inject(
            Some("canary"),
            argocd_standin::Fault::Rollout {
                outcome: RolloutOutcome::Never,
            },
        )
        .unwrap();
    shop.repo.commit("rollout.yaml", &values("2"));
    shop.send(Method::POST, sync, json!({})).await;
    canary("version 2", &|app| {
        app["status"]["summary"]["images"] == json!(["r/web:1", "r/web:2"])
    })
    .await;
    let pause = ClusterChange::PauseRollout {
        workload: "web".to_owned(),
        reason: None,
    };
    shop.standin.in_cluster("canary", pause).unwrap();
    canary("the pause", &|app| app["status"]["health"]["status"] == "Suspended").await;
    let managed = shop.get(&format!("{app}/managed-resources")).await.1;
    let live: Value = serde_json::from_str(managed["items"][0]["liveState"].as_str().unwrap()).unwrap();
    assert_eq!(live["status"]["pauseConditions"][0]["reason"], "CanaryPauseStep");
    assert_eq!(live["status"]["phase"], "Paused");
    let resume = ClusterChange::ResumeRollout {
        workload: "web".to_owned(),
    };
    shop.standin.in_cluster("canary", resume).unwrap();
    let app = canary("the end", &|app| app["status"]["health"]["status"] == "Healthy").await;
    assert_eq!(app["status"]["summary"]["images"], json!(["r/web:2"]));
}

#[tokio::test]
async fn an_ignored_image_is_no_drift() {
    let mut shop = Shop::running(still(), false).await;
    shop.as_subject("admin").await;
    let patch = json!({"spec": {
        "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jqPathExpressions": [".spec.template.spec.containers[].image"]}],
        "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
    }});
    let body = json!({"patchType": "merge", "patch": patch.to_string()});
    assert_eq!(shop.send(Method::PATCH, APP, body).await.0, 200);
    let sha = shop.repo.release("v2");
    let app = shop.refresh().await;
    assert_eq!(
        (&app["status"]["sync"]["status"], &app["status"]["sync"]["revision"]),
        (&json!("Synced"), &json!(sha))
    );
    assert_eq!(shop.sync(json!({})).await.0, 200);
    shop.app_until("the sync", |app| app.get("operation").is_none()).await;
    assert_eq!(
        shop.standin.live_images("web"),
        [image("v1")],
        "the live image is respected"
    );
}

#[tokio::test]
async fn an_application_made_anew_is_another_one() {
    let shop = Shop::running(still(), false).await;
    let before = shop.app();
    assert!(shop.standin.remove_app("web"));
    let spec = AppSpec::new("web", "shop", &shop.repo.url(), "environments/staging/values.yaml");
    shop.standin.upsert_app(spec.clone());
    let app = shop
        .app_until("the first look", |app| app["status"]["reconciledAt"].is_string())
        .await;
    assert_ne!(app["metadata"]["uid"], before["metadata"]["uid"]);
    assert!(app["status"].get("history").is_none() && app["status"].get("operationState").is_none());

    assert_eq!(shop.sync(json!({})).await.0, 200);
    until("v1", async || shop.rests_at(&image("v1")).then_some(())).await;
    let uid = |tree: &Value| {
        tree["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|n| n["kind"] == "Deployment")
            .unwrap()["uid"]
            .clone()
    };
    let here = uid(&tree(&shop).await);
    shop.standin.upsert_app(AppSpec {
        destination_server: "https://other.example.com".to_owned(),
        ..spec
    });
    let app = shop
        .app_until("nothing to be there", |app| {
            app["status"]["health"]["status"] == "Missing"
        })
        .await;
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    assert_eq!(
        app["status"]["sync"]["comparedTo"]["destination"]["server"],
        "https://other.example.com"
    );
    assert_eq!(shop.sync(json!({})).await.0, 200);
    until("v1 there", async || shop.rests_at(&image("v1")).then_some(())).await;
    assert_ne!(uid(&tree(&shop).await), here, "in another cluster it is another object");
}
