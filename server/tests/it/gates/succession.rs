//! Several promotions of one resource wait: who goes first, who makes room, and what is said about it.

use super::set_policy;
use crate::{
    following::{PRODUCTION, chain},
    support::{
        browser::Browser,
        world::{Setup, World, until},
    },
};
use argocd_standin::{Fault, RolloutOutcome};
use domain::promotion::{Promotion, State};
use serde_json::json;

const BOARD: &str = "/w/demo/myapp";

/// The newest promotion of production once it is to this digest.
async fn newest_to(world: &World, digest: &str) -> Promotion {
    until("production's promotion", async || {
        let newest = world.promotions("production", "api").await.into_iter().next()?;
        (newest.image.digest.as_str() == digest).then_some(newest)
    })
    .await
}

async fn pin(browser: &mut Browser, world: &World, environment: &str, digest: &str) {
    let place = format!("/w/demo/myapp/{environment}/api");
    let answer = browser.post(&place, &[("intent", "pin"), ("digest", digest)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_desired(environment, "api", digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_time_alone_lets_go_is_not_superseded_and_at_most_two_wait() {
    let world = chain(Setup::default()).await;
    let mut document = world.document();
    document["projects"][0]["environments"][2] = json!({
        "name": "production", "cluster": "local",
        "policy": { "ranIn": [{ "environment": "development", "soakMinutes": 30 }] },
        "resources": [{ "name": "api", "source": { "promote": { "environment": "staging", "resource": "api" } } }],
    });
    world.apply(&document).await;
    let mut browser = world.admin().await;
    let soaks = world.push("1.1.0").await;
    world.wait_for_live("development", "api", &soaks).await;
    // It stays in development, and staging goes on.
    pin(&mut browser, &world, "development", &soaks).await;
    let next = newest_to(&world, &soaks).await;
    super::waits_for(&world, &next.id.to_string(), "soak in development").await;

    let mut between = None;
    for tag in ["1.2.0", "1.3.0", "1.4.0"] {
        let digest = world.push(tag).await;
        pin(&mut browser, &world, "staging", &digest).await;
        let newest = newest_to(&world, &digest).await;
        assert_eq!(newest.state, State::Waiting);
        if let Some(before) = between.replace(newest.id) {
            assert_eq!(world.promotion(&before.to_string()).await.state, State::Superseded);
        }
        assert_eq!(
            world.promotion(&next.id.to_string()).await.state,
            State::Waiting,
            "{tag}"
        );
    }
    let open = world.promotions("production", "api").await;
    let waiting = open.iter().filter(|p| p.state == State::Waiting).count();
    assert_eq!(waiting, 2);
    for path in [BOARD, PRODUCTION] {
        let page = browser.get(path).await.words();
        assert!(page.contains("2 promotions were superseded"), "{path}: {page}");
    }

    world.forward(31 * 60_000).await;
    world.ends(&next.id.to_string(), State::Succeeded).await;
    world.wait_for_desired("production", "api", &soaks).await;
    let newest = world.promotions("production", "api").await.remove(0);
    assert_eq!(
        (Some(newest.id), newest.state),
        (between, State::Waiting),
        "it is next now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_faster_than_the_soak_starve_nobody_where_the_time_goes_on() {
    let world = chain(Setup::default()).await;
    set_policy(
        &world,
        json!({ "ranIn": [{ "environment": "staging", "soakMinutes": 30, "continuesWhenReplaced": true }] }),
    )
    .await;
    let mut pushed = Vec::new();
    for tag in ["1.1.0", "1.2.0", "1.3.0"] {
        let digest = world.push(tag).await;
        world.wait_for_live("staging", "api", &digest).await;
        let newest = newest_to(&world, &digest).await;
        super::waits_for(&world, &newest.id.to_string(), "soak in staging").await;
        for environment in ["development", "staging"] {
            let moved = world.promotions(environment, "api").await.remove(0);
            world.ends(&moved.id.to_string(), State::Succeeded).await;
        }
        pushed.push(digest);
        world.forward(20 * 60_000).await;
    }
    // None ran there for 30 minutes, and each goes 30 minutes after it began.
    world.wait_for_desired("production", "api", &pushed[1]).await;
    world.forward(11 * 60_000).await;
    world.wait_for_desired("production", "api", &pushed[2]).await;

    // Behind what it went back from, nothing soaks on.
    let fourth = world.push("1.4.0").await;
    world.wait_for_live("staging", "api", &fourth).await;
    let waits = newest_to(&world, &fourth).await;
    let fifth = world.push("1.5.0").await;
    world.wait_for_live("staging", "api", &fifth).await;
    newest_to(&world, &fifth).await;
    let mut browser = world.admin().await;
    pin(&mut browser, &world, "staging", &pushed[1]).await;
    world.wait_for_live("staging", "api", &pushed[1]).await;
    world.forward(40 * 60_000).await;
    world.idle().await;
    assert_ne!(world.promotion(&waits.id.to_string()).await.state, State::Succeeded);
    let runs = world.resource("production", "api").await.unwrap().desired.unwrap();
    assert_eq!(runs.digest.as_str(), pushed[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_people_makes_room_for_the_newest() {
    let world = chain(Setup::default()).await;
    set_policy(&world, json!({ "approvals": { "count": 1 } })).await;
    let first = world.push("1.1.0").await;
    let first = newest_to(&world, &first).await;
    let second = world.push("1.2.0").await;
    let second = newest_to(&world, &second).await;
    world.ends(&first.id.to_string(), State::Superseded).await;
    assert_eq!(world.promotion(&second.id.to_string()).await.state, State::Waiting);
    assert!(!world.promotion(&first.id.to_string()).await.is_overtaken());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_git_and_never_live_is_overtaken_in_every_layer() {
    let world = chain(Setup::default()).await;
    let outcome = RolloutOutcome::Never;
    world
        .standin
        .inject(Some("myapp-production"), Fault::Rollout { outcome })
        .unwrap();
    let first = world.push("1.1.0").await;
    let first = newest_to(&world, &first).await;
    world.reaches(&first.id.to_string(), State::Verifying).await;
    let second = world.push("1.2.0").await;
    let overtaken = world.ends(&first.id.to_string(), State::Superseded).await;
    let commit = overtaken.commit.clone().unwrap();
    assert!(overtaken.is_overtaken());
    let said = format!("Overtaken: its commit {} is in Git, 1.2.0", &commit[..7]);
    assert!(
        overtaken.waits_for.as_deref().is_some_and(|why| why.starts_with(&said)),
        "{overtaken:?}"
    );
    let mut browser = world.admin().await;
    for path in [PRODUCTION.to_owned(), format!("/promotions/{}", first.id)] {
        let page = browser.get(&path).await;
        assert!(page.words().contains(&said), "{path}: {}", page.words());
    }
    let query = json!({ "query": format!(r#"{{ promotion(id: "{}") {{ state reason }} }}"#, first.id) });
    let (_, told) = world.post_json("/api/graphql", Some(&world.token), &query).await;
    assert_eq!(
        told["data"]["promotion"],
        json!({ "state": "superseded", "reason": "overtaken" }),
        "{told}"
    );
    let outcome = RolloutOutcome::Healthy;
    world
        .standin
        .inject(Some("myapp-production"), Fault::Rollout { outcome })
        .unwrap();
    world.wait_for_live("production", "api", &second).await;
}
