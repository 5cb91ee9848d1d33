//! What belongs to another workspace, asked for by who administers one of their own: through the doors for programs, by name and by id;
//! and what the test of all use cases needs for that.

use super::{newest, send, set_up};
use crate::{
    authorisation::{Who, document, session},
    support::{Bench, digest},
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use domain::{notification::DeliveryState, rights::Role};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;
use server::{
    service::Caller,
    store::{Channel, Delivery},
};

/// A channel, and what was delivered through it.
pub(super) async fn channel_with_a_delivery(bench: &Bench, ada: &Caller) -> (Channel, Delivery) {
    let (channel, mut delivery) = bench.channel(ada, "ops").await;
    let now = bench.services.now();
    let mut tx = bench.store.write().await.unwrap();
    tx.redeliver(delivery.id, now).await.unwrap();
    tx.claim_deliveries("sender", channel.id, now, now.plus_millis(1), 1)
        .await
        .unwrap();
    (delivery.state, delivery.attempts, delivery.next_at) = (DeliveryState::Delivered, 1, None);
    (delivery.status, delivery.tried_at) = (Some(200), Some(now));
    tx.record_delivery("sender", &delivery).await.unwrap();
    tx.commit().await.unwrap();
    (channel, delivery)
}

/// What still stands for something in a text, like `{channel}`.
pub(super) fn placeholder(text: &str) -> Option<&str> {
    text.split('{').skip(1).find_map(|rest| {
        let (inside, _) = rest.split_once('}')?;
        let is_word = inside.starts_with(|c: char| c.is_ascii_lowercase());
        (is_word && inside.chars().all(|c| c.is_ascii_lowercase() || c == ' ')).then_some(inside)
    })
}

#[test]
fn a_placeholder_that_nobody_filled_is_seen() {
    assert_eq!(placeholder("workspace=other&channel={channel}&x=1"), Some("channel"));
    assert_eq!(placeholder("{ projects { name } } {\"a\":{}}"), None);
}

#[tokio::test]
async fn doors_for_programs_know_no_other_workspace() {
    let (bench, ada, _) = set_up().await;
    let (program, token) = bench.program("other", "boss", Role::Admin).await;
    let mut own = document();
    own["workspace"] = json!("other");
    bench.apply(&program, &own).await;
    let (_, eve) = bench.member("eve@example.com", "other", Role::Admin).await;
    let Who::Person(cookie) = session(&bench, eve).await else {
        panic!("a person");
    };
    let demo = ada.access[0].0.id;
    let before = newest(&bench).await;
    let bearer = format!("Bearer {}", token.expose_secret());
    for (name, value) in [(header::AUTHORIZATION, &bearer), (header::COOKIE, &cookie)] {
        let ask = async |method: Method, path: &str, body: &str| {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::HOST, "w.example")
                .header(header::ORIGIN, "http://w.example")
                .header(&name, value)
                .body(Body::from(body.to_owned()));
            send(&bench, request.unwrap()).await
        };
        let check = |workspace: &str| {
            json!({ "workspace": workspace, "digest": digest("a"), "name": "scan", "status": "passed" }).to_string()
        };
        // Its name, its id, and names that nobody has, are one.
        let mut answers = Vec::new();
        for theirs in [
            "demo",
            "nowhere",
            &demo.to_string(),
            "00000000-0000-7000-8000-000000000000",
        ] {
            let path = format!("/api/v1/workspaces/{theirs}/ledger");
            for (status, text) in [
                ask(Method::GET, &path, "").await,
                ask(Method::POST, "/api/v1/checks", &check(theirs)).await,
            ] {
                assert_eq!(status, StatusCode::NOT_FOUND, "{name} {theirs}: {text}");
                answers.push(text.replace(theirs, "theirs"));
            }
        }
        assert!(answers.chunks(2).all(|pair| pair == &answers[..2]), "{answers:#?}");
        // A result for her own workspace says nothing about the same image in the other.
        let (status, text) = ask(Method::POST, "/api/v1/checks", &check("other")).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        // Names of workspaces are unique, so who makes one learns that this is taken, and no more.
        for path in ["/api/v1/apply", "/api/v1/apply?dry_run=true"] {
            let mut theirs = document();
            theirs["projects"].as_array_mut().unwrap().remove(0);
            theirs["clusters"][0]["registry"]["host"] = json!("registry.example.com");
            let (status, text) = ask(Method::POST, path, &theirs.to_string()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{name} {path}: {text}");
            for what in ["myapp", "blog", "api", "local", "127.0.0.1"] {
                assert!(!text.contains(what), "{name} {path}: {text}");
            }
        }
    }
    let mut tx = bench.store.read().await.unwrap();
    let written = tx.events_after(before, 1000).await.unwrap();
    assert!(
        !written.is_empty() && written.iter().all(|event| event.workspace != demo),
        "{written:#?}"
    );
    let found = tx.checks(demo, &digest("a").parse().unwrap()).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(tx.projects(demo).await.unwrap().len(), 2);
}
