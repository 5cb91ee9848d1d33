//! The REST doors: applying configuration, and registries' notifications.

use crate::support::{Bench, digest};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use domain::rights::Role;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::web::rest::{apply, registry_hook};
use std::{path::Path, sync::Arc};

fn document() -> Value {
    json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000" } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "/srv/git/gitops.git" },
            "environments": [{ "name": "development", "cluster": "local", "resources": [
                { "name": "api", "source": { "image": "127.0.0.1:5000/myapp/api" } },
            ] }],
        }],
    })
}

#[tokio::test]
async fn documents_are_applied_and_problems_are_said_as_problem_details() {
    let bench = Bench::new().await;
    let (caller, _) = bench.program("demo", "boss", Role::Admin).await;
    let post = |path: &'static str, body: String| {
        Bench::post(apply::router(bench.services.clone()), Some(caller.clone()), path, body)
    };
    let (status, dry) = post("/api/v1/apply?dry_run=true", document().to_string()).await;
    assert_eq!((status, &dry["dryRun"]), (StatusCode::OK, &json!(true)));
    let (status, real) = post("/api/v1/apply", document().to_string()).await;
    assert_eq!((status, &real["changes"]), (StatusCode::OK, &dry["changes"]));
    assert_eq!(
        real["changes"][0],
        json!({ "sign": "create", "what": "registry local" })
    );

    let mut wrong = document();
    wrong["projects"][0]["pathTemplate"] = json!("values.yaml");
    let (status, problem) = post("/api/v1/apply", wrong.to_string()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!((&problem["code"], &problem["status"]), (&json!("invalid"), &json!(422)));
    assert_eq!(problem["fields"][0]["field"], json!("projects[0].pathTemplate"));

    let mut unknown = document();
    unknown["projcts"] = json!([]);
    let mut literal = document();
    literal["clusters"][0]["argocd"] = json!({ "url": "http://a", "token": ["hunter2"] });
    for (body, expected) in [
        (unknown.to_string(), "unknown field `projcts`"),
        (literal.to_string(), "not of the kind"),
        ("{".to_owned(), "not JSON"),
    ] {
        let (status, problem) = post("/api/v1/apply", body).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(detail.contains(expected) && !detail.contains("hunter2"), "{detail}");
    }
    assert_eq!(
        post("/api/v1/apply?dryrun=true", document().to_string()).await.0,
        StatusCode::BAD_REQUEST
    );
    let (status, problem) = post("/api/v1/apply", " ".repeat(300 * 1024)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large"))
    );

    let door = apply::router(bench.services.clone());
    let (status, problem) = Bench::post(door, None, "/api/v1/apply", document().to_string()).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::UNAUTHORIZED, &json!("signed_out"))
    );
}

fn pushed(tag: &str, digest: &str) -> String {
    json!({ "events": [{
        "action": "push",
        "target": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "myapp/api", "tag": tag, "digest": digest },
        "request": { "host": "127.0.0.1:5000" },
    }] })
    .to_string()
}

async fn notify(
    bench: &Bench,
    secret: Option<&str>,
    path: &str,
    header: Option<(&str, &str)>,
    body: String,
) -> StatusCode {
    let door = registry_hook::router(bench.services.clone(), secret.map(Into::into));
    let mut request = Request::post(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let status = Bench::send(door, request.body(Body::from(body)).unwrap()).await.0;
    bench.services.pushes.settled().await;
    status
}

#[tokio::test]
async fn a_push_becomes_the_newest_artifact_and_is_deployed() {
    let bench = Bench::new().await;
    let (caller, _) = bench.program("demo", "boss", Role::Admin).await;
    bench.apply(&caller, &document()).await;
    bench.registry.push("127.0.0.1:5000/myapp/api", "one", &digest("a"));
    let path = "/api/v1/hooks/registry/demo";
    let right = Some(("authorization", "Bearer s3cret"));
    let body = || pushed("one", &digest("a"));

    assert_eq!(notify(&bench, None, path, right, body()).await, StatusCode::NOT_FOUND);
    assert_eq!(
        notify(&bench, Some("s3cret"), path, None, body()).await,
        StatusCode::UNAUTHORIZED
    );
    let wrong = Some(("x-waybill-secret", "guess"));
    assert_eq!(
        notify(&bench, Some("s3cret"), path, wrong, body()).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        notify(&bench, Some("s3cret"), path, right, "{".into()).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        notify(&bench, Some("s3cret"), path, right, "{}".into()).await,
        StatusCode::BAD_REQUEST
    );
    let nowhere = "/api/v1/hooks/registry/nowhere";
    assert_eq!(
        notify(&bench, Some("s3cret"), nowhere, right, body()).await,
        StatusCode::ACCEPTED,
        "whoever knows the secret doesn't learn which workspaces there are"
    );
    let large = " ".repeat(1024 * 1024 + 1);
    assert_eq!(
        notify(&bench, Some("s3cret"), path, right, large).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );

    let in_address = format!("{path}?secret=s3cret");
    assert_eq!(
        notify(&bench, Some("s3cret"), &in_address, None, body()).await,
        StatusCode::ACCEPTED
    );
    let mut tx = bench.store.read().await.unwrap();
    let project = tx.projects(caller.access[0].0.id).await.unwrap().remove(0).project.id;
    let resource = tx.resources(project).await.unwrap().remove(0);
    let promotions = tx.promotions_of(resource.id, 10).await.unwrap();
    assert_eq!(promotions[0].image.digest.as_str(), digest("a"));
}

/// The whole of the routes, as the server has them.
pub(crate) fn everything(bench: &Bench) -> axum::Router {
    server::web::router::router(state(bench))
}

/// What they stand on.
pub(crate) fn state(bench: &Bench) -> server::web::WebState {
    server::web::WebState {
        services: bench.services.clone(),
        events: server::events::Events::default(),
        drawing: server::web::drawing::Drawing::default(),
        assets: Arc::new(server::web::assets::Assets::read(Path::new("/nonexistent"))),
        secure: false,
        public_metrics: true,
        trusted_proxies: Arc::default(),
        webhook_secret: Some("s3cret".into()),
        git_webhook_secret: Some("s3cret".into()),
        stop: tokio_util::sync::CancellationToken::new(),
    }
}

#[tokio::test]
async fn the_doors_are_where_they_should_be_and_ask_for_a_token() {
    let bench = Bench::new().await;
    let (_, token) = bench.program("demo", "boss", Role::Admin).await;
    let bearer = format!("Bearer {}", token.expose_secret());
    let query = json!({ "query": "{ projects { name } }" }).to_string();
    let post = |path: &'static str, headers: &[(&str, &str)], body: String| {
        let mut request = Request::post(path)
            .header("content-type", "application/json")
            .header("host", "w.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Bench::send(everything(&bench), request.body(Body::from(body)).unwrap())
    };
    let authorised = &[("authorization", bearer.as_str())][..];
    let (status, applied) = post("/api/v1/apply", authorised, document().to_string()).await;
    assert_eq!(status, StatusCode::OK, "{applied}");
    let (status, answer) = post("/api/graphql", authorised, query.clone()).await;
    assert_eq!(
        (status, &answer["data"]["projects"][0]["name"]),
        (StatusCode::OK, &json!("myapp"))
    );
    let hook = &[("authorization", "Bearer s3cret")];
    let (status, _) = post("/api/v1/hooks/registry/demo", hook, pushed("one", &digest("a"))).await;
    assert_eq!(status, StatusCode::ACCEPTED);

    let mut wrong = bearer.clone();
    wrong.replace_range(10..11, if &wrong[10..11] == "_" { "b" } else { "x" });
    let wrong = format!("{wrong}x");
    for headers in [
        &[][..],
        &[("authorization", wrong.as_str())],
        &[("authorization", "Basic eDp5")],
    ] {
        for (path, body) in [
            ("/api/v1/apply", document().to_string()),
            ("/api/graphql", query.clone()),
        ] {
            assert_eq!(
                post(path, headers, body).await.0,
                StatusCode::UNAUTHORIZED,
                "{path} {headers:?}"
            );
        }
    }
    // What another site makes a browser send.
    let forged = &[("origin", "https://evil.example"), ("cookie", "waybill_session=x")];
    assert_eq!(post("/api/graphql", forged, query).await.0, StatusCode::FORBIDDEN);
    let (status, problem) = post("/api/v1/apply", authorised, " ".repeat(300 * 1024)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large"))
    );
}
