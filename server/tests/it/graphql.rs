//! GraphQL as programs meet it.

use crate::support::{Bench, digest, stranger};
use axum::http::StatusCode;
use domain::rights::Role;
use serde_json::{Value, json};
use server::{service::Caller, web::graphql};

const API: &str = "127.0.0.1:5000/myapp/api";

/// As product.md writes it: nothing but white space between the fields of the input.
const PROMOTE: &str = r#"mutation {
  promote(input: { projectId: "myapp" service: "api" fromEnvironment: "staging" toEnvironment: "production" }) {
    name
    environment
    imageTag
  }
}"#;

/// `api` runs build `two` in staging and `one` in production, where it is pinned.
async fn bench() -> (Bench, Caller) {
    let bench = Bench::new().await;
    let (caller, _) = bench.program("demo", "ci", Role::Admin).await;
    for (tag, letter) in [("one", "a"), ("two", "b")] {
        bench.registry.push(API, tag, &digest(letter));
    }
    for (environment, tag, letter) in [("staging", "two", "b"), ("production", "one", "a")] {
        let path = format!("environments/{environment}/values.yaml");
        bench.git.declare(&path, "api", API, tag, &digest(letter));
    }
    let document = json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "/srv/git/gitops.git" },
            "environments": [
                { "name": "staging", "cluster": "local", "resources": [
                    { "name": "api", "source": { "image": API } },
                    { "name": "nightly", "kind": "job", "source": { "image": "127.0.0.1:5000/myapp/nightly" } },
                ] },
                { "name": "production", "cluster": "local", "protected": true, "resources": [
                    { "name": "api", "source": { "promote": { "environment": "staging", "resource": "api" } },
                      "binding": { "pin": digest("a") } },
                ] },
            ],
        }],
    });
    bench.apply(&caller, &document).await;
    (bench, caller)
}

async fn ask(bench: &Bench, caller: Option<&Caller>, query: &str) -> (StatusCode, Value) {
    let door = graphql::router(bench.services.clone());
    Bench::post(
        door,
        caller.cloned(),
        "/api/graphql",
        json!({ "query": query }).to_string(),
    )
    .await
}

async fn data(bench: &Bench, caller: &Caller, query: &str) -> Value {
    let (status, mut answer) = ask(bench, Some(caller), query).await;
    assert_eq!((status, &answer["errors"]), (StatusCode::OK, &Value::Null), "{query}");
    answer["data"].take()
}

async fn error(bench: &Bench, caller: &Caller, query: &str) -> Value {
    let (status, mut answer) = ask(bench, Some(caller), query).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["errors"][0].take()
}

#[tokio::test]
async fn promote_works_exactly_as_the_contract_writes_it() {
    let (bench, caller) = bench().await;
    let answer = data(&bench, &caller, PROMOTE).await;
    assert_eq!(
        answer,
        json!({ "promote": { "name": "api", "environment": "production", "imageTag": "two" } })
    );

    let more = PROMOTE.replace(
        "imageTag",
        "imageTag digest id state requestedBy fromEnvironment previousDigest",
    );
    let promotion = data(&bench, &caller, &more).await["promote"].take();
    assert_eq!(promotion["digest"], json!(digest("b")));
    assert_eq!(promotion["state"], json!("queued"));
    assert_eq!(promotion["requestedBy"], json!("ci"));
    assert_eq!(promotion["fromEnvironment"], json!("staging"));
    assert_eq!(promotion["previousDigest"], json!(digest("a")));

    let id = promotion["id"].as_str().unwrap();
    let read = data(
        &bench,
        &caller,
        &format!(r#"{{ promotion(id: "{id}") {{ name state digest project }} }}"#),
    )
    .await;
    assert_eq!(
        read["promotion"],
        json!({ "name": "api", "state": "queued", "digest": digest("b"), "project": "myapp" })
    );
}

#[tokio::test]
async fn the_project_may_be_named_by_its_id() {
    let (bench, caller) = bench().await;
    let projects = data(&bench, &caller, "{ projects { id name workspace } }").await;
    assert_eq!(projects["projects"][0]["workspace"], json!("demo"));
    let id = projects["projects"][0]["id"].as_str().unwrap();
    let answer = data(&bench, &caller, &PROMOTE.replace("myapp", id)).await;
    assert_eq!(answer["promote"]["imageTag"], json!("two"));
    let by_id = data(&bench, &caller, &format!(r#"{{ project(id: "{id}") {{ name }} }}"#)).await;
    assert_eq!(by_id["project"]["name"], json!("myapp"));
}

#[tokio::test]
async fn environments_resources_and_promotions_can_be_asked_for() {
    let (bench, caller) = bench().await;
    data(&bench, &caller, PROMOTE).await;
    let tree = data(
        &bench,
        &caller,
        r#"{ project(name: "myapp") { repositoryUrl branch environments { name cluster protected resources {
            name kind environment repository digest imageTag liveDigests health
            source { kind repository environment resource } binding { kind digest }
            promotions(limit: 1) { imageTag state }
        } } } }"#,
    )
    .await;
    let production = &tree["project"]["environments"][1];
    assert_eq!(production["protected"], json!(true));
    assert_eq!(
        production["resources"][0],
        json!({
            "name": "api", "kind": "deployment", "environment": "production", "repository": API,
            "digest": digest("a"), "imageTag": "one", "liveDigests": null, "health": null,
            "source": { "kind": "promote", "repository": null, "environment": "staging", "resource": "api" },
            "binding": { "kind": "pin", "digest": digest("b") },
            "promotions": [{ "imageTag": "two", "state": "queued" }],
        })
    );
    let flat = data(
        &bench,
        &caller,
        r#"{ environments(project: "myapp") { name }
             resources(project: "myapp", environment: "staging") { name }
             promotions(project: "myapp", environment: "production", resource: "api", limit: 5) { name } }"#,
    )
    .await;
    assert_eq!(
        flat,
        json!({
            "environments": [{ "name": "staging" }, { "name": "production" }],
            "resources": [{ "name": "api" }, { "name": "nightly" }],
            "promotions": [{ "name": "api" }],
        })
    );
}

#[tokio::test]
async fn promotions_of_a_whole_project_are_asked_for_page_by_page() {
    let (bench, caller) = bench().await;
    data(&bench, &caller, PROMOTE).await;
    bench.registry.push(API, "three", &digest("c"));
    let all = data(
        &bench,
        &caller,
        r#"{ promotions(project: "myapp") { id environment name state } }"#,
    )
    .await;
    let all = all["promotions"].as_array().unwrap().clone();
    assert!(
        !all.is_empty() && all.iter().any(|one| one["environment"] == "production"),
        "{all:?}"
    );
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!(
            "{{ promotionConnection(project: \"myapp\", first: 1{after}) {{ edges {{ cursor node {{ id environment name state }} }} \
             pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = data(&bench, &caller, &query).await["promotionConnection"].clone();
        let edges = page["edges"].as_array().unwrap();
        assert!(edges.len() <= 1);
        seen.extend(edges.iter().map(|edge| edge["node"].clone()));
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(seen, all);
    let filtered = async |filter: &str| {
        let query = format!(
            "{{ promotionConnection(project: \"myapp\", filter: {{ {filter} }}) {{ edges {{ node {{ environment }} }} }} }}"
        );
        let answer = data(&bench, &caller, &query).await;
        answer["promotionConnection"]["edges"].as_array().unwrap().len()
    };
    let of_production = all.iter().filter(|one| one["environment"] == "production").count();
    assert_eq!(filtered("environment: \"production\"").await, of_production);
    assert_eq!(
        filtered("environment: \"production\" resource: \"api\" state: \"queued\"").await,
        of_production
    );
    assert_eq!(filtered("state: \"succeeded\"").await, 0);
    for (query, field) in [
        (
            r#"{ promotionConnection(project: "myapp", after: "x") { edges { cursor } } }"#,
            "after",
        ),
        (
            r#"{ promotionConnection(project: "myapp", filter: { state: "x" }) { edges { cursor } } }"#,
            "filter.state",
        ),
        (
            r#"{ promotionConnection(project: "myapp", first: 0) { edges { cursor } } }"#,
            "limit",
        ),
    ] {
        let error = error(&bench, &caller, query).await;
        assert_eq!(error["extensions"]["fields"][0]["field"], json!(field), "{error}");
    }
    let nowhere = r#"{ promotions(project: "myapp", environment: "nowhere") { id } }"#;
    assert_eq!(
        error(&bench, &caller, nowhere).await["extensions"]["code"],
        json!("not_found")
    );
}

#[tokio::test]
async fn errors_carry_a_code_and_say_what_to_do() {
    let (bench, caller) = bench().await;
    for (from, to, code, field) in [
        ("staging\" toE", "nowhere\" toE", "invalid", Some("fromEnvironment")),
        ("\"production\"", "\"staging\"", "invalid", Some("toEnvironment")),
        ("service: \"api\"", "service: \"web\"", "invalid", Some("service")),
        ("\"myapp\"", "\"other\"", "invalid", Some("projectId")),
        ("service: \"api\"", "service: \"nightly\"", "invalid", Some("service")),
        ("service: \"api\"", "servce: \"api\"", "bad_request", None),
        ("imageTag", "imageTags", "bad_request", None),
        ("{ projectId", "projectId", "bad_request", None),
    ] {
        assert!(PROMOTE.contains(from), "{from}");
        let error = error(&bench, &caller, &PROMOTE.replacen(from, to, 1)).await;
        assert_eq!(error["extensions"]["code"], json!(code), "{to}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
        if let Some(field) = field {
            assert_eq!(error["extensions"]["fields"][0]["field"], json!(field), "{error}");
        }
    }
    for (query, code) in [
        (r#"{ promotion(id: "x") { id } }"#, "not_found"),
        (r#"{ project { id } }"#, "bad_request"),
        (r#"{ environments(project: "other") { name } }"#, "not_found"),
        (
            r#"{ promotions(project: "myapp", environment: "staging", resource: "api", limit: 0) { id } }"#,
            "invalid",
        ),
    ] {
        assert_eq!(
            error(&bench, &caller, query).await["extensions"]["code"],
            json!(code),
            "{query}"
        );
    }
}

#[tokio::test]
async fn rights_are_those_of_the_caller_and_nothing_crosses_a_workspace() {
    let (bench, caller) = bench().await;
    let workspace = &caller.access[0].0;
    // Production is protected: a developer may not.
    let developer = stranger(workspace, Role::Developer);
    assert_eq!(
        error(&bench, &developer, PROMOTE).await["extensions"]["code"],
        json!("forbidden")
    );
    let (approver, _) = bench.program("demo", "approver", Role::Approver).await;
    data(&bench, &approver, PROMOTE).await;
    let promotion = data(&bench, &caller, &PROMOTE.replace("imageTag", "id")).await["promote"]["id"].take();
    let (elsewhere, _) = bench.program("other", "boss", Role::Admin).await;
    let query = format!(r#"{{ promotion(id: {promotion}) {{ id }} }}"#);
    assert_eq!(
        error(&bench, &elsewhere, &query).await["extensions"]["code"],
        json!("not_found")
    );
    assert_eq!(
        error(&bench, &elsewhere, PROMOTE).await["extensions"]["code"],
        json!("invalid")
    );
    assert_eq!(
        data(&bench, &elsewhere, "{ projects { name } }").await,
        json!({ "projects": [] })
    );

    let (status, answer) = ask(&bench, None, PROMOTE).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer["errors"][0]["extensions"]["code"], json!("signed_out"));
}

#[tokio::test]
async fn the_door_is_narrow() {
    let (bench, caller) = bench().await;
    let door = || graphql::router(bench.services.clone());
    let post = |body: String| Bench::post(door(), Some(caller.clone()), "/api/graphql", body);
    let (status, answer) = post(" ".repeat(300 * 1024)).await;
    assert_eq!(
        (status, &answer["errors"][0]["extensions"]["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large"))
    );
    for odd in ["", "[]", "query", r#"{"query": 1}"#] {
        assert_eq!(post(odd.into()).await.0, StatusCode::BAD_REQUEST, "{odd}");
    }
    let get = axum::http::Request::get("/api/graphql?query={projects{name}}")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(Bench::send(door(), get).await.0, StatusCode::METHOD_NOT_ALLOWED);
    let form = axum::http::Request::post("/api/graphql")
        .extension(server::web::auth::Identity(Some(caller.clone())))
        .header("content-type", "text/plain")
        .body(json!({ "query": PROMOTE }).to_string().into())
        .unwrap();
    assert_eq!(Bench::send(door(), form).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    let many: String = (0..400).map(|i| format!("p{i}: projects {{ id name }} ")).collect();
    assert_eq!(
        error(&bench, &caller, &format!("{{ {many} }}")).await["extensions"]["code"],
        json!("bad_request")
    );
    // What tools ask to learn the schema.
    let schema = data(
        &bench,
        &caller,
        "{ __schema { types { name fields { name args { name type { name kind ofType { name kind ofType { name kind ofType { name ofType { name ofType { name ofType { name ofType { name } } } } } } } } } } } } }",
    )
    .await;
    assert!(schema.to_string().contains("PromoteInput"));
}
