//! Who may, what is hidden, and what is refused before anybody asks.

use argocd_standin::{AppSpec, token_for};
use reqwest::Method;
use serde_json::json;

use crate::support::{APP, Shop, answer, still};

#[tokio::test]
async fn tokens_and_sessions() {
    let mut shop = Shop::open(still(), false).await;
    let good = shop.token.clone();
    assert_eq!(
        shop.get("/api/v1/session/userinfo").await.1,
        json!({"loggedIn": true, "username": "proj:shop:promoter", "iss": "argocd"})
    );
    assert!(shop.get("/api/version").await.1["GoVersion"].is_string());
    shop.token = token_for("stranger");
    assert!(
        shop.get(APP).await.1["message"]
            .as_str()
            .unwrap()
            .starts_with("invalid session: ")
    );
    assert_eq!(shop.get("/api/v1/session/userinfo").await, (200, json!({})));
    assert_eq!(shop.get("/api/version").await.1.as_object().unwrap().len(), 1);
    assert_eq!(shop.get("/healthz").await, (200, json!("ok\n")));

    for (body, message) in [
        (
            json!({"username": "ada", "password": "wrong"}),
            "Invalid username or password",
        ),
        (
            json!({"username": "ada", "password": null}),
            "Blank passwords are not allowed",
        ),
        (json!({}), "no credentials supplied"),
    ] {
        let (status, error) = shop.send(Method::POST, "/api/v1/session", body).await;
        assert_eq!((status, &error["message"]), (401, &json!(message)));
    }
    let (status, session) = shop
        .send(
            Method::POST,
            "/api/v1/session",
            json!({"username": "ada", "password": "lovelace"}),
        )
        .await;
    assert_eq!(status, 200);
    shop.token = session["token"].as_str().unwrap().to_owned();
    assert_eq!(shop.token.matches('.').count(), 2);
    assert_eq!(shop.get(APP).await.0, 200);
    shop.standin.revoke(&good);
    shop.token = good;
    assert_eq!(shop.get(APP).await.0, 401);
}

#[tokio::test]
async fn a_missing_app_is_hidden_unless_its_project_is_known() {
    let mut shop = Shop::open(still(), false).await;
    let none = "/api/v1/applications/none";
    let missing = json!({"error": "applications.argoproj.io \"none\" not found", "code": 5, "message": "applications.argoproj.io \"none\" not found"});
    let denied = json!({"error": "permission denied", "code": 7, "message": "permission denied"});
    assert_eq!(shop.get(none).await, (403, denied.clone()));
    assert_eq!(shop.get(&format!("{none}?project=shop")).await, (404, missing.clone()));
    assert_eq!(shop.get(&format!("{none}?projects=shop")).await, (404, missing));
    assert_eq!(shop.get(&format!("{none}?project=other")).await, (403, denied.clone()));
    assert_eq!(shop.get(&format!("{APP}?project=a&project=b")).await.1["code"], 3);
    assert_eq!(
        shop.get(&format!("{APP}?appNamespace=elsewhere")).await,
        (403, denied.clone())
    );

    shop.as_subject("ci").await;
    assert_eq!(
        shop.get(&format!("{APP}?project=other")).await.0,
        404,
        "it lives in another project"
    );
    let (status, error) = shop.sync(json!({})).await;
    assert_eq!(status, 403);
    assert_eq!(
        error["message"],
        "permission denied: applications, sync, shop/web, sub: ci, iat: 2026-08-01T10:00:00Z"
    );
    shop.as_subject("nobody").await;
    assert_eq!(shop.get(&format!("{APP}?project=shop")).await, (403, denied));
    assert_eq!(
        shop.get("/api/v1/applications").await.1["items"],
        json!(null),
        "lists are filtered silently"
    );
}

#[tokio::test]
async fn a_project_token_ends_at_its_project() {
    let mut shop = Shop::open(still(), false).await;
    shop.standin.upsert_app(AppSpec::new(
        "theirs",
        "other",
        &shop.repo.url(),
        "environments/staging/values.yaml",
    ));
    assert_eq!(shop.get("/api/v1/applications/theirs").await.0, 403);
    assert_eq!(shop.get("/api/v1/projects/shop").await.1["metadata"]["name"], "shop");
    assert_eq!(shop.get("/api/v1/projects/other").await.0, 403);
    assert_eq!(
        shop.get("/api/v1/account/can-i/applications/sync/shop/web").await.1,
        json!({"value": "yes"})
    );
    assert_eq!(
        shop.get("/api/v1/account/can-i/applications/delete/shop/web").await.1,
        json!({"value": "no"})
    );
    shop.as_subject("admin").await;
    assert_eq!(shop.get("/api/v1/projects/none").await.0, 404);
    assert_eq!(
        shop.get("/api/v1/projects").await.1["items"].as_array().unwrap().len(),
        3
    );
}

#[tokio::test]
async fn content_type_method_and_route_are_checked_first() {
    let shop = Shop::open(still(), false).await;
    let send = async |method: Method, path: &str, content_type: &str| {
        answer(
            shop.request(method, path)
                .header("content-type", content_type)
                .body("{}"),
        )
        .await
    };
    let refused = (415, json!("Invalid content type\n"));
    assert_eq!(
        send(Method::POST, &format!("{APP}/sync"), "application/json; charset=utf-8").await,
        refused
    );
    assert_eq!(
        answer(shop.request(Method::DELETE, &format!("{APP}/operation"))).await,
        refused,
        "also without a body"
    );
    assert_eq!(
        send(Method::POST, &format!("{APP}/sync"), "Application/JSON").await.0,
        200
    );
    assert_eq!(shop.get("/api/v1/nothing").await, (404, json!("Not Found\n")));
    assert_eq!(
        shop.get(&format!("{APP}/sync")).await,
        (405, json!("Method Not Allowed\n"))
    );
    let (status, error) = answer(
        shop.request(Method::POST, &format!("{APP}/sync"))
            .header("content-type", "application/json")
            .body("{"),
    )
    .await;
    assert_eq!((status, &error["code"]), (400, &json!(3)));
}
