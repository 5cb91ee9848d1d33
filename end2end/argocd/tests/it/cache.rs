//! The manifest cache: a commit that an Application is synced to without having been rendered.

use argocd_standin::AppSpec;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{APP, Shop, image, still, values};

const PATHS: &str = "argocd.argoproj.io/manifest-generate-paths";

async fn shop_that_watches(paths: &str) -> Shop {
    let shop = Shop::running(still(), false).await;
    let spec = AppSpec::new("web", "shop", &shop.repo.url(), "environments/staging/values.yaml");
    let annotations = [(PATHS.to_owned(), paths.to_owned())].into_iter().collect();
    shop.standin.upsert_app(AppSpec { annotations, ..spec });
    shop.refresh().await;
    shop
}

async fn target_image(shop: &Shop) -> Value {
    let managed = shop.get(&format!("{APP}/managed-resources")).await.1;
    let target: Value = serde_json::from_str(managed["items"][0]["targetState"].as_str().unwrap()).unwrap();
    target["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

#[tokio::test]
async fn a_change_outside_of_the_paths_is_synced_and_not_rendered() {
    let shop = shop_that_watches(".").await;
    let sha = shop.repo.release("v2");
    let app = shop.refresh().await;
    assert_eq!(
        app["status"]["sync"]["status"], "Synced",
        "at a commit that it never rendered"
    );
    assert_eq!(app["status"]["sync"]["revision"], json!(sha));
    assert_eq!(target_image(&shop).await, json!(image("v1")));

    assert_eq!(shop.sync(json!({"revision": sha})).await.0, 200);
    let app = shop.app_until("the sync", |app| app.get("operation").is_none()).await;
    let state = &app["status"]["operationState"];
    assert_eq!(
        (&state["phase"], &state["syncResult"]["revision"]),
        (&json!("Succeeded"), &json!(sha))
    );
    assert_eq!(
        state["syncResult"]["resources"][0]["message"],
        "deployment.apps/web unchanged"
    );
    assert_eq!(shop.standin.live_images("web"), [image("v1")]);

    let (status, app) = shop.get(&format!("{APP}?refresh=hard&project=shop")).await;
    assert_eq!(
        (status, &app["status"]["sync"]["status"]),
        (200, &json!("OutOfSync")),
        "hard renders"
    );
    assert_eq!(target_image(&shop).await, json!(image("v2")));
}

#[tokio::test]
async fn a_change_under_the_paths_is_rendered() {
    let shop = shop_that_watches(".;/environments").await;
    shop.repo.release("v2");
    assert_eq!(shop.refresh().await["status"]["sync"]["status"], "OutOfSync");
}

#[tokio::test]
async fn a_push_outside_of_the_paths_asks_for_nothing() {
    let shop = shop_that_watches("/environments").await;
    let sha = shop.repo.commit("environments/staging/values.yaml", &values("v2", 2));
    let push = async |file: &str| {
        let event = json!({
            "ref": "refs/heads/main", "repository": {"html_url": shop.repo.url(), "default_branch": "main"},
            "commits": [{"added": [], "modified": [file], "removed": []}],
        });
        let request = shop
            .request(Method::POST, "/api/webhook")
            .header("x-github-event", "push");
        assert_eq!(request.json(&event).send().await.unwrap().status(), 200);
    };
    push("docs/readme.md").await;
    let annotations = shop.app()["metadata"]["annotations"].clone();
    assert!(annotations.get("argocd.argoproj.io/refresh").is_none(), "{annotations}");
    push("environments/staging/values.yaml").await;
    shop.app_until("the refresh", |app| app["status"]["sync"]["revision"] == json!(sha))
        .await;
}
