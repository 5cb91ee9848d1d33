//! The watch.

use std::time::Duration;

use argocd_standin::{AppSpec, Fault, Timing};
use reqwest::Method;
use serde_json::json;

use crate::support::{APP, Shop, still, until};

#[tokio::test]
async fn ndjson_replays_and_goes_on() {
    let shop = Shop::running(still(), false).await;
    shop.standin.upsert_app(AppSpec::new(
        "api",
        "shop",
        &shop.repo.url(),
        "environments/staging/values.yaml",
    ));
    shop.standin.upsert_app(AppSpec::new(
        "foreign",
        "other",
        &shop.repo.url(),
        "environments/staging/values.yaml",
    ));
    let settled = async |name: &str| shop.standin.app(name).unwrap()["status"]["reconciledAt"].is_string();
    until("the first looks", async || {
        (settled("api").await && settled("foreign").await).then_some(())
    })
    .await;

    let mut watch = shop.watch("?projects=shop&projects=other", "application/json").await;
    assert_eq!(watch.content_type, "application/json");
    for name in ["api", "web"] {
        let message = watch.next().await;
        assert_eq!(
            (
                &message["result"]["type"],
                &message["result"]["application"]["metadata"]["name"]
            ),
            (&json!("ADDED"), &json!(name))
        );
    }
    shop.standin.remove_app("foreign");
    shop.standin.remove_app("api");
    let message = watch.next().await;
    assert_eq!(message["result"]["type"], "DELETED");
    assert_eq!(
        message["result"]["application"]["metadata"]["name"], "api",
        "what one may not see is skipped silently"
    );
}

#[tokio::test]
async fn events_have_their_own_framing_and_keepalive() {
    let timing = Timing {
        keepalive: Duration::from_millis(50),
        ..still()
    };
    let shop = Shop::running(timing, false).await;
    let mut watch = shop.watch("?name=web", "text/event-stream").await;
    assert_eq!(watch.content_type, "text/event-stream");
    let first = watch.piece("\n\n\n").await.unwrap().unwrap();
    assert!(
        first.starts_with("data: {\"result\":{") && first.ends_with("} \n\n\n"),
        "{first}"
    );
    assert_eq!(watch.piece("\n").await.unwrap().unwrap(), ":\n");

    // Nothing matches: the headers come with the first keepalive.
    let mut watch = shop.watch("?name=none", "text/event-stream").await;
    assert_eq!(watch.piece("\n").await.unwrap().unwrap(), ":\n");
}

#[tokio::test]
async fn without_a_message_there_are_no_headers() {
    let shop = Shop::running(still(), false).await;
    let pending = shop
        .request(Method::GET, "/api/v1/stream/applications?name=none")
        .send();
    assert!(tokio::time::timeout(Duration::from_millis(150), pending).await.is_err());

    shop.fault(Fault::SilentStreams { on: true });
    let mut opening = Box::pin(shop.watch("?name=web", "application/json"));
    assert!(
        tokio::time::timeout(Duration::from_millis(150), &mut opening)
            .await
            .is_err()
    );
    shop.fault(Fault::SilentStreams { on: false });
    assert_eq!(opening.await.next().await["result"]["type"], "ADDED");
}

#[tokio::test]
async fn streams_are_cut_and_can_be_opened_again() {
    let shop = Shop::running(still(), false).await;
    for abrupt in [false, true] {
        let mut watch = shop.watch("?name=web", "application/json").await;
        watch.next().await;
        shop.fault(Fault::CutStreams { abrupt });
        let end = watch.piece("\n").await;
        assert_eq!(end.is_err(), abrupt, "{end:?}");
    }
}

#[tokio::test]
async fn fields_and_versions_choose() {
    let shop = Shop::running(still(), false).await;
    let fields = "result.type,result.application.metadata.name,result.application.metadata.resourceVersion,result.application.status.sync.status";
    let mut watch = shop
        .watch(&format!("?name=web&fields={fields}"), "application/json")
        .await;
    let message = watch.next().await;
    let version = message["result"]["application"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let expected = json!({"type": "ADDED", "application": {"metadata": {"name": "web", "resourceVersion": version}, "status": {"sync": {"status": "Synced"}}}});
    assert_eq!(message, json!({"result": expected}));

    let mut named = shop
        .watch(&format!("?name=web&resourceVersion={version}"), "application/json")
        .await;
    assert_eq!(
        named.next().await["result"]["type"],
        "ADDED",
        "a named app is always replayed"
    );
    let query = format!("?resourceVersion={version}");
    let mut all = Box::pin(shop.watch(&query, "application/json"));
    assert!(
        tokio::time::timeout(Duration::from_millis(150), &mut all)
            .await
            .is_err(),
        "a version asks for news only"
    );
    shop.refresh().await;
    assert_eq!(all.await.next().await["result"]["type"], "MODIFIED");
}

#[tokio::test]
async fn equal_messages_in_a_row_are_suppressed() {
    let shop = Shop::running(still(), false).await;
    let mut watch = shop
        .watch("?name=web&fields=result.application.status.sync", "application/json")
        .await;
    watch.next().await;
    shop.refresh().await;
    shop.refresh().await;
    shop.repo.release("v2");
    shop.refresh().await;
    assert_eq!(
        watch.next().await["result"]["application"]["status"]["sync"]["status"],
        "OutOfSync"
    );
}

#[tokio::test]
async fn errors_have_the_shape_of_a_chunk() {
    let mut shop = Shop::running(still(), false).await;
    shop.token = "no-token".to_owned();
    let (status, error) = shop.get("/api/v1/stream/applications").await;
    assert_eq!(status, 401);
    assert_eq!(
        error,
        json!({"error": {"grpc_code": 16, "http_code": 401, "message": "no session information", "http_status": "Unauthorized"}})
    );
    assert_eq!(
        shop.get(APP).await.1,
        json!({"error": "no session information", "code": 16, "message": "no session information"})
    );
}
