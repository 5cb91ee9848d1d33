//! When parts of Argo CD are away, and tokens run out.

use std::time::Duration;

use argocd_standin::{Fault, Policy, Timing, TokenGrant, token_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{APP, Shop, image, still, until};

const STREAM: &str = "/api/v1/stream/applications";

#[tokio::test]
async fn a_refusal_on_the_stream_is_framed_as_a_message() {
    let mut shop = Shop::running(still(), false).await;
    shop.token = token_for("stranger");
    let open = async |query: &str, accept: &str| {
        let request = shop
            .request(Method::GET, &format!("{STREAM}{query}"))
            .header("accept", accept);
        let response = request.send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.text().await.unwrap())
    };
    let (status, kind, body) = open("", "text/event-stream").await;
    assert_eq!((status, kind.as_str()), (401, "text/event-stream"));
    let chunk: Value = serde_json::from_str(body.strip_prefix("data: ").unwrap().trim()).unwrap();
    let error = &chunk["error"];
    assert_eq!((&error["grpc_code"], &error["http_code"]), (&json!(16), &json!(401)));
    assert!(error["message"].as_str().unwrap().starts_with("invalid session: "));
    assert_eq!(open("", "application/json").await.1, "application/json");
    let (status, _, body) = open("?fields=result.type", "text/event-stream").await;
    assert_eq!(
        (status, body.as_str()),
        (401, "data: {} \n\n"),
        "an error has none of the fields"
    );
}

#[tokio::test]
async fn a_token_runs_out_while_its_stream_is_open() {
    let timing = Timing {
        keepalive: Duration::from_millis(20),
        ..still()
    };
    let mut shop = Shop::running(timing, false).await;
    let lifetime = Duration::from_secs(2 * 3600);
    let grant = TokenGrant::new("short", Policy::promoter("shop")).lasting(lifetime);
    shop.token.clone_from(&grant.token);
    shop.standin.grant(grant);
    let mut watch = shop.watch("?name=web", "text/event-stream").await;
    assert!(watch.piece("\n\n\n").await.unwrap().unwrap().starts_with("data: "));
    assert_eq!(watch.piece(":\n").await.unwrap().as_deref(), Some(":\n"));
    assert_eq!(shop.get(APP).await.0, 200);

    shop.standin.advance_clock(lifetime);
    let (status, error) = shop.get(APP).await;
    assert_eq!(
        (status, &error["message"]),
        (
            401,
            &json!("invalid session: token has invalid claims: token is expired")
        )
    );
    shop.repo.release("v2");
    shop.as_subject("admin").await;
    shop.refresh().await;
    // What was under way still arrives; then nothing does, though the connection is open.
    let silence = async || {
        loop {
            let piece = tokio::time::timeout(Duration::from_millis(500), watch.piece("\n")).await;
            match piece {
                Err(_) => return,
                Ok(piece) => assert!(piece.unwrap().is_some(), "the stream has ended"),
            }
        }
    };
    let mut silence = silence;
    silence().await;
}

#[tokio::test]
async fn without_the_repo_server_nothing_is_compared_or_synced() {
    let shop = Shop::running(still(), false).await;
    shop.repo.release("v2");
    shop.fault(Fault::RepoServerDown { on: true });
    let app = shop.refresh().await;
    assert_eq!(app["status"]["sync"]["status"], "Unknown");
    let condition = &app["status"]["conditions"][0];
    assert_eq!(condition["type"], "ComparisonError");
    assert!(
        condition["message"].as_str().unwrap().contains("code = Unavailable"),
        "{condition}"
    );
    let (status, error) = shop.sync(json!({})).await;
    assert_eq!((status, &error["code"]), (400, &json!(9)));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("error resolving repo revision: rpc error: code = Unavailable")
    );
    let (status, error) = shop.get(&format!("{APP}/manifests")).await;
    assert_eq!((status, &error["code"]), (503, &json!(14)));
    assert_eq!(shop.get(&format!("{APP}/resource-tree")).await.0, 500);

    // A commit is believed without a look, so the operation starts, and fails.
    let sha = "a".repeat(40);
    assert_eq!(shop.sync(json!({"revision": sha})).await.0, 200);
    let app = shop.app_until("the end", |app| app.get("operation").is_none()).await;
    let state = &app["status"]["operationState"];
    assert_eq!(state["phase"], "Error");
    assert!(
        state["message"].as_str().unwrap().contains("code = Unavailable"),
        "{state}"
    );

    shop.fault(Fault::RepoServerDown { on: false });
    assert_eq!(shop.refresh().await["status"]["sync"]["status"], "OutOfSync");
    assert_eq!(shop.sync(json!({})).await.0, 200);
    until("v2", async || shop.rests_at(&image("v2")).then_some(())).await;
}

#[tokio::test]
async fn too_many_requests_are_said_to_be() {
    let shop = Shop::running(still(), false).await;
    shop.fault(Fault::RateLimited {
        retry_after: Some(7),
        times: Some(1),
    });
    let response = shop.request(Method::GET, APP).send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert_eq!(response.json::<Value>().await.unwrap()["code"], 8);
    assert_eq!(shop.get(APP).await.0, 200);
}
