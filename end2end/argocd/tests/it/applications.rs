//! Lists, writes, webhooks, remote repositories, and memory.

use crate::support::{APP, Shop, answer, image, options, state_file, still, until};
use argocd_standin::{AppSpec, Standin, token_for};
use reqwest::Method;
use serde_json::{Value, json};

const LIST: &str = "/api/v1/applications";

#[tokio::test]
async fn lists_filter_and_select() {
    let mut shop = Shop::running(still(), false).await;
    shop.as_subject("admin").await;
    let patch = json!({"metadata": {"labels": {"env": "staging"}}}).to_string();
    assert_eq!(
        shop.send(Method::PATCH, APP, json!({"patch": patch, "patchType": "merge"}))
            .await
            .0,
        200
    );
    shop.standin.upsert_app(AppSpec::new(
        "api",
        "other",
        &shop.repo.url(),
        "environments/staging/values.yaml",
    ));
    let names = async |query: &str| -> Vec<String> {
        let (_, list) = shop.get(&format!("{LIST}?{query}")).await;
        list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|app| app["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("").await, ["api", "web"]);
    assert_eq!(names("selector=env%3Dstaging").await, ["web"]);
    assert_eq!(names("selector=!env").await, ["api"]);
    assert_eq!(names("projects=other").await, ["api"]);
    assert_eq!(names("name=web&appNamespace=argocd").await, ["web"]);
    assert_eq!(names("repo=https://nowhere.example").await, [] as [&str; 0]);
    assert_eq!(shop.get(&format!("{LIST}?selector=a%20b")).await.0, 500);

    let fields =
        "items.metadata.name,items.status.sync.status,items.status.history,items.status.operationState.operation.sync";
    let (_, list) = shop.get(&format!("{LIST}?projects=shop&fields={fields}")).await;
    let item = &list["items"][0];
    assert_eq!(item["metadata"], json!({"name": "web"}));
    assert_eq!(item["status"]["sync"], json!({"status": "Synced"}));
    assert!(item["status"].get("history").is_none(), "not selectable");
    assert!(
        item["status"]["operationState"]["operation"]["sync"]["resources"].is_array(),
        "the quirk of list"
    );
    assert!(list["metadata"]["resourceVersion"].is_string());
}

fn application(name: &str, url: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "project": "shop",
            "source": {"repoURL": url, "path": "chart", "targetRevision": "main", "helm": {"valueFiles": ["../environments/staging/values.yaml"]}},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        },
    })
}

#[tokio::test]
async fn apps_are_created_changed_and_deleted_over_the_api() {
    let mut shop = Shop::running(still(), false).await;
    let mut app = application("api", &shop.repo.url());
    assert_eq!(shop.send(Method::POST, LIST, app.clone()).await.0, 403);
    shop.as_subject("admin").await;
    let (status, created) = shop.send(Method::POST, LIST, app.clone()).await;
    assert_eq!((status, &created["metadata"]["namespace"]), (200, &json!("argocd")));
    assert_eq!(
        shop.send(Method::POST, LIST, app.clone()).await.0,
        200,
        "the same again is fine"
    );
    app["spec"]["syncPolicy"] = json!({"automated": {}});
    let (status, error) = shop.send(Method::POST, LIST, app.clone()).await;
    assert_eq!(
        (status, &error["message"]),
        (
            400,
            &json!("existing application spec is different, use upsert flag to force update")
        )
    );
    assert_eq!(
        shop.send(Method::POST, &format!("{LIST}?upsert=true"), app.clone())
            .await
            .0,
        200
    );
    until("auto-sync", async || {
        (shop.standin.live_images("api") == [image("v1")]).then_some(())
    })
    .await;

    app["spec"]["project"] = json!("unknown");
    let (status, error) = shop.send(Method::PUT, &format!("{LIST}/api"), app.clone()).await;
    assert_eq!((status, &error["code"]), (400, &json!(3)), "{error}");
    app["spec"]["project"] = json!("shop");
    app["metadata"]["namespace"] = json!("elsewhere");
    assert_eq!(
        shop.send(Method::POST, LIST, app.clone()).await.1["message"],
        "namespace 'elsewhere' is not permitted"
    );

    let patch = json!([{"op": "test", "path": "/spec/source/targetRevision", "value": "main"}, {"op": "replace", "path": "/spec/source/targetRevision", "value": "nope"}]);
    let (_, error) = shop
        .send(
            Method::PATCH,
            &format!("{LIST}/api"),
            json!({"patch": patch.to_string()}),
        )
        .await;
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("application spec for api is invalid: InvalidSpecError: "),
        "{error}"
    );
    let (_, error) = shop
        .send(
            Method::PATCH,
            &format!("{LIST}/api"),
            json!({"patch": "{}", "patchType": "x"}),
        )
        .await;
    assert_eq!(error["message"], "Patch type 'x' is not supported");
    let parameters =
        json!([{"name": "services.web.image.tag", "value": "9"}, {"name": "services.web.image.digest", "value": ""}]);
    let patch = json!({"spec": {"source": {"helm": {"parameters": parameters}}}}).to_string();
    let (status, patched) = shop
        .send(
            Method::PATCH,
            &format!("{LIST}/api"),
            json!({"patch": patch, "patchType": "merge"}),
        )
        .await;
    assert_eq!(
        (status, &patched["spec"]["source"]["helm"]["parameters"]),
        (200, &parameters)
    );
    until("the parameter", async || {
        (shop.standin.live_images("api") == ["registry.test/web:9"]).then_some(())
    })
    .await;

    assert_eq!(
        shop.send(
            Method::DELETE,
            &format!("{LIST}/api?cascade=false&propagationPolicy=foreground"),
            json!({})
        )
        .await
        .0,
        400
    );
    assert_eq!(
        shop.send(Method::DELETE, &format!("{LIST}/api"), json!({})).await,
        (200, json!({}))
    );
    until("it to be gone", async || {
        shop.standin.app("api").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refresh_can_be_asked_for_by_annotation_and_by_webhook() {
    let mut shop = Shop::running(still(), false).await;
    let sha = shop.repo.release("v2");
    shop.as_subject("admin").await;
    let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}).to_string();
    assert_eq!(
        shop.send(Method::PATCH, APP, json!({"patch": patch, "patchType": "merge"}))
            .await
            .0,
        200
    );
    shop.app_until("the new commit", |app| app["status"]["sync"]["revision"] == json!(sha))
        .await;

    let sha = shop.repo.release("v3");
    let hook = async |event: &str, name: &str, body: &Value| {
        let url = format!("{}/api/webhook", shop.standin.url());
        answer(shop.http.post(url).header(event, name).body(body.to_string())).await
    };
    let repository = json!({"html_url": format!("file://{}", shop.repo.url()), "default_branch": "main"});
    let push = json!({"ref": "refs/heads/main", "repository": repository});
    assert_eq!(hook("x-github-event", "push", &push).await, (200, json!("")));
    shop.app_until("the new commit", |app| app["status"]["sync"]["revision"] == json!(sha))
        .await;

    let sha = shop.repo.release("v4");
    let project = json!({"web_url": shop.repo.url(), "default_branch": "main"});
    assert_eq!(
        hook(
            "x-gitlab-event",
            "Push Hook",
            &json!({"ref": "refs/heads/main", "project": project})
        )
        .await
        .0,
        200
    );
    shop.app_until("the new commit", |app| app["status"]["sync"]["revision"] == json!(sha))
        .await;
    assert_eq!(
        hook("x-other", "push", &push).await,
        (400, json!("Unknown webhook event"))
    );
    assert_eq!(
        hook("x-gogs-event", "push", &json!({})).await,
        (400, json!("Webhook processing failed"))
    );
}

#[tokio::test]
async fn the_metadata_of_a_commit_can_be_read() {
    let shop = Shop::running(still(), false).await;
    let sha = shop.repo.release("v2");
    let (status, commit) = shop.get(&format!("{APP}/revisions/{sha}/metadata?project=shop")).await;
    assert_eq!((status, &commit["author"]), (200, &json!("Ada <ada@example.com>")));
    assert_eq!(commit["message"], "change environments/staging/values.yaml");
    assert_eq!(
        shop.get(&format!(
            "{APP}/revisions/0123456789012345678901234567890123456789/metadata"
        ))
        .await
        .0,
        500
    );
    assert!(
        shop.get(&format!("{APP}/manifests?revision={sha}")).await.1["manifests"][0]
            .as_str()
            .unwrap()
            .contains(&image("v2"))
    );
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::running(still(), false).await;
    let begin = async || {
        Standin::start(argocd_standin::Options {
            state_file: Some(state_file(&dir)),
            ..options(still())
        })
        .await
        .unwrap()
    };
    let spec = AppSpec {
        values_prefix: Some("lucity-app".to_owned()),
        automated: true,
        ..AppSpec::new("kept", "shop", &shop.repo.url(), "values.yaml")
    };
    let nested = "lucity-app:\n  services:\n    web: {image: {repository: r, tag: \"1\"}}\n";
    shop.repo.commit("values.yaml", nested);
    let first = begin().await;
    first.upsert_app(spec.clone());
    until("it to run", async || {
        (first.app("kept").unwrap()["status"]["health"]["status"] == "Healthy").then_some(())
    })
    .await;
    let before = first.app("kept").unwrap();
    first.shutdown().await;

    let second = begin().await;
    second.upsert_app(spec);
    assert_eq!(second.live_images("kept"), ["r:1"]);
    let after = second.app("kept").unwrap();
    assert_eq!(after["status"]["history"], before["status"]["history"]);
    let client = reqwest::Client::new();
    let get = client
        .get(format!("{}{LIST}/kept", second.url()))
        .bearer_auth(token_for("proj:shop:promoter"));
    assert_eq!(answer(get).await.0, 200);

    std::fs::write(state_file(&dir), "{").unwrap();
    let broken = Standin::start(argocd_standin::Options {
        state_file: Some(state_file(&dir)),
        ..options(still())
    })
    .await;
    assert!(broken.unwrap_err().to_string().contains("repair or remove it"));
}

/// Serves a bare repository as plain files, which is enough for `git fetch`.
async fn serve(dir: std::path::PathBuf) -> String {
    let files = move |uri: axum::http::Uri| {
        let path = dir.join(uri.path().trim_start_matches("/deploy.git/"));
        async move {
            tokio::fs::read(path)
                .await
                .map_err(|_| axum::http::StatusCode::NOT_FOUND)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/deploy.git", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, axum::Router::new().fallback(files)).await });
    url
}

#[tokio::test]
async fn a_remote_repository_is_mirrored_and_fetched_again_after_a_push() {
    let shop = Shop::running(still(), false).await;
    let publish = || {
        let told = std::process::Command::new("git")
            .args(["-C", &shop.repo.url(), "update-server-info"])
            .status();
        assert!(told.unwrap().success());
    };
    publish();
    let url = serve(shop.repo.url().into()).await;
    let spec = AppSpec::new("remote", "shop", &url, "environments/staging/values.yaml");
    shop.standin.upsert_app(AppSpec {
        target_revision: String::new(),
        ..spec
    });
    let first = until("the first look", async || {
        let app = shop.standin.app("remote").unwrap();
        app["status"]["sync"]["revision"].as_str().map(str::to_owned)
    })
    .await;
    let sha = shop.repo.release("v2");
    publish();
    let path = format!("{LIST}/remote");
    let (_, app) = shop.get(&format!("{path}?refresh=hard")).await;
    assert_eq!(app["status"]["sync"]["revision"], json!(sha));
    assert_eq!(
        shop.send(Method::POST, &format!("{path}/sync"), json!({"revision": first}))
            .await
            .0,
        200
    );
    until("v1", async || {
        (shop.standin.live_images("remote") == [image("v1")]).then_some(())
    })
    .await;
    assert_eq!(shop.get(&format!("{path}/revisions/{sha}/metadata")).await.0, 200);
    shop.standin
        .upsert_app(AppSpec::new("lost", "shop", &format!("{url}/none"), "values.yaml"));
    let unknown = async || (shop.standin.app("lost").unwrap()["status"]["sync"]["status"] == "Unknown").then_some(());
    until("the error", unknown).await;
}
