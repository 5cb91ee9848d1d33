//! Who made a token stands behind what it asks for: they can't approve that, at no door, also when the token is worth nothing any more.

use super::{person, say, waits_for, world};
use crate::support::{
    browser::{Browser, Page, form},
    world::World,
};
use domain::{promotion::State, rights::Role};
use reqwest::Method;
use serde_json::{Value, json};

/// Calls a server function as a page's script does.
async fn call(by: &mut Browser, function: &str, fields: &[(&str, &str)]) -> Page {
    let origin = by.origin();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", &*origin),
        ("accept", "application/json"),
    ];
    by.send(Method::POST, &format!("/api/ui/{function}"), &headers, form(fields))
        .await
}

/// What GraphQL answers a person who is signed in.
async fn graphql(by: &mut Browser, query: &str) -> Value {
    let origin = by.origin();
    let headers = [("content-type", "application/json"), ("origin", &*origin)];
    let body = json!({ "query": query }).to_string();
    let answer = by.send(Method::POST, "/api/graphql", &headers, body).await;
    serde_json::from_str(&answer.text).unwrap()
}

/// A person makes a token; its text.
async fn token(by: &mut Browser, name: &str) -> Result<String, u16> {
    let fields = [
        ("workspace", "demo"),
        ("draft[name]", name),
        ("draft[role]", "admin"),
        ("draft[expires]", "1d"),
    ];
    let answer = call(by, "create_token", &fields).await;
    let made: Value = serde_json::from_str(&answer.text).unwrap();
    made["secret"].as_str().map(str::to_owned).ok_or(answer.status)
}

async fn revoke(world: &World, by: &mut Browser, name: &str) {
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let tokens = tx.tokens(workspace.id).await.unwrap();
    drop(tx);
    let id = tokens.iter().find(|token| token.name == name).unwrap().id.to_string();
    let answer = call(by, "revoke_token", &[("workspace", "demo"), ("token", &id)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// A person may not decide about a promotion, at no door, and isn't asked to.
async fn may_not_decide(by: &mut Browser, id: &str) {
    for intent in ["approve", "reject"] {
        let refused = say(by, id, intent, "mine").await;
        assert_eq!(refused.status, 403, "{intent}: {}", refused.words());
        assert!(
            refused.words().contains("somebody else must decide"),
            "{}",
            refused.words()
        );
        let answer = call(by, intent, &[("id", id), ("comment", "mine")]).await;
        assert_eq!(answer.status, 403, "{intent}: {}", answer.text);
    }
    for mutation in ["approve(id: \"ID\")", "reject(id: \"ID\", comment: \"mine\")"] {
        let query = format!("mutation {{ {} {{ id }} }}", mutation.replace("ID", id));
        let answer = graphql(by, &query).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "forbidden",
            "{mutation}: {answer}"
        );
    }
    let inbox = by.get("/inbox").await;
    assert!(inbox.words().contains("Nothing waits for you"), "{}", inbox.words());
    assert!(!inbox.text.contains(id), "{}", inbox.words());
    let page = by.get(&format!("/promotions/{id}")).await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("value=\"approve\""), "{}", page.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_the_token_that_asked_cannot_approve_also_after_it_is_withdrawn() {
    let (world, second) = world(json!({ "approvals": { "count": 1 } })).await;
    let mut carol = person(&world, "carol", Role::Admin).await;
    let mut bob = person(&world, "bob", Role::Approver).await;
    let mut ada = world.admin().await;
    let secret = token(&mut carol, "carols").await.unwrap();
    let asked = world.promote(&secret, "api", "staging", "production").await.unwrap();
    let id = asked["id"].as_str().unwrap().to_owned();
    waits_for(&world, &id, "0 of 1 approval").await;
    may_not_decide(&mut carol, &id).await;
    // Nor does the token decide itself.
    let query = json!({ "query": format!("mutation {{ approve(id: \"{id}\") {{ id }} }}") });
    let (_, answer) = world.post_json("/api/graphql", Some(&secret), &query).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "forbidden", "{answer}");

    revoke(&world, &mut carol, "carols").await;
    let (status, _) = world.post_json("/api/graphql", Some(&secret), &query).await;
    assert_eq!(status, 401, "it is worth nothing any more");
    may_not_decide(&mut carol, &id).await;
    // Nobody takes her place by making another of the same name.
    assert_eq!(token(&mut ada, "carols").await, Err(422));
    may_not_decide(&mut carol, &id).await;
    assert_eq!(world.promotion(&id).await.state, State::Waiting);

    let inbox = bob.get("/inbox").await;
    assert!(inbox.text.contains(&format!("/promotions/{id}")), "{}", inbox.words());
    assert_eq!(say(&mut bob, &id, "approve", "").await.status, 303);
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
}
