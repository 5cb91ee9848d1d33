//! Applications of one name in two namespaces.

use argocd_standin::{AppSpec, Options, Standin};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Repo, answer, options, still, until, values};

#[tokio::test]
async fn one_name_in_two_namespaces_is_two_applications() {
    let repo = Repo::new();
    repo.release("v1");
    repo.commit("other.yaml", &values("v2", 1));
    let options = Options {
        app_namespaces: vec!["team".to_owned()],
        ..options(still())
    };
    let standin = Standin::start(options).await.unwrap();
    standin.upsert_app(AppSpec::new(
        "web",
        "shop",
        &repo.url(),
        "environments/staging/values.yaml",
    ));
    standin.upsert_app(AppSpec {
        namespace: "team".to_owned(),
        ..AppSpec::new("web", "shop", &repo.url(), "other.yaml")
    });
    let http = reqwest::Client::new();
    let get = async |path: &str| {
        let url = format!("{}{path}", standin.url());
        answer(http.get(url).bearer_auth(argocd_standin::token_for("admin"))).await
    };
    until("both to be looked at", async || {
        let seen = |name: &str| standin.app(name).unwrap()["status"]["reconciledAt"].is_string();
        (seen("argocd/web") && seen("team/web")).then_some(())
    })
    .await;
    let list = get("/api/v1/applications?name=web").await.1;
    let told: Vec<Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| json!([app["metadata"]["namespace"], app["status"]["controllerNamespace"]]))
        .collect();
    assert_eq!(
        told,
        [json!(["argocd", "argocd"]), json!(["team", "argocd"])],
        "whose they are is told by the controller"
    );
    let one = get("/api/v1/applications?name=web&appNamespace=team").await.1;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);

    // The one without a namespace is Argo CD's own, and an operation of one is none of the other.
    let url = format!("{}/api/v1/applications/web/sync", standin.url());
    let sync = http
        .request(Method::POST, url)
        .bearer_auth(argocd_standin::token_for("admin"));
    assert_eq!(answer(sync.json(&json!({"appNamespace": "team"}))).await.0, 200);
    until("the sync", async || {
        (standin.app("team/web").unwrap()["status"]["operationState"]["phase"] == "Succeeded").then_some(())
    })
    .await;
    assert!(standin.live_images("argocd/web").is_empty());
    assert_eq!(standin.live_images("team/web"), [crate::support::image("v2")]);
    let managed = get("/api/v1/applications/web/managed-resources?appNamespace=team")
        .await
        .1;
    let target: Value = serde_json::from_str(managed["items"][0]["targetState"].as_str().unwrap()).unwrap();
    assert_eq!(
        target["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"],
        "team_web:apps/Deployment:web/web"
    );
}
