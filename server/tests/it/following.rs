//! Followers go along by themselves to what is newer, and nowhere else: `fixtures/cases/08-rollback-upstream`.

use crate::support::{
    browser::Browser,
    world::{Setup, World},
};
use domain::promotion::{Actor, State};
use serde_json::json;

const BOARD: &str = "/w/demo/myapp";
const STAGING: &str = "/w/demo/myapp/staging/api";
pub(crate) const PRODUCTION: &str = "/w/demo/myapp/production/api";

/// A world in which `api` in production tracks the one in staging.
pub(crate) async fn chain(setup: Setup) -> World {
    let world = World::with(setup).await;
    let mut document = world.document();
    document["projects"][0]["environments"][2]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
    }]);
    world.apply(&document).await;
    world.wait_for_desired("production", "api", &world.first).await;
    world.idle().await;
    world
}

async fn everywhere(world: &World, tag: &str) -> String {
    let digest = world.push(tag).await;
    world.wait_for_desired("production", "api", &digest).await;
    world.idle().await;
    digest
}

fn started(location: Option<&str>) -> String {
    location.unwrap().strip_prefix("/promotions/").unwrap().to_owned()
}

async fn runs(world: &World, environment: &str) -> String {
    let resource = world.resource(environment, "api").await.unwrap();
    resource.desired.unwrap().digest.to_string()
}

/// Staging went back to the first image and stays there; production is ahead of it.
async fn stays_ahead(world: &World, browser: &mut Browser, newest: &str) {
    world.wait_for_desired("staging", "api", &world.first).await;
    world.idle().await;
    assert_eq!(runs(world, "production").await, newest);
    let board = browser.get(BOARD).await.words();
    assert!(board.contains("Ahead of its source"), "{board}");
    let page = browser.get(PRODUCTION).await.words();
    assert!(
        page.contains("Ahead of its source: staging went back to 1.0.0") && page.contains("Go back to 1.0.0 too"),
        "{page}"
    );
    // Applying the configuration again says nothing else.
    let mut document = world.document();
    document["projects"][0]["environments"][2]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "runtime": { "replicas": 3 },
    }]);
    world.apply(&document).await;
    world.idle().await;
    assert_eq!(runs(world, "production").await, newest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_upstream_leaves_followers_where_they_are() {
    let world = chain(Setup::default()).await;
    let newest = everywhere(&world, "1.4.0").await;
    let mut browser = world.admin().await;

    // Before it is confirmed, the page says what becomes of those who follow.
    let fate = "production/api stays on 1.4.0, which is newer. It will be ahead of its source.";
    let page = browser.get(STAGING).await.words();
    assert!(page.contains(fate), "{page}");
    let back = format!("rollback-{}", world.first);
    let answer = browser.post(STAGING, &[("intent", &back)]).await;
    let id = started(answer.location());
    world.ends(&id, State::Succeeded).await;
    let page = browser.get(&format!("/promotions/{id}")).await.words();
    assert!(page.contains(fate), "{page}");
    stays_ahead(&world, &mut browser, &newest).await;

    // What is newer doesn't pass the hold, and goes on once it is lifted.
    let fifth = world.push("1.5.0").await;
    world.wait_for_desired("development", "api", &fifth).await;
    world.idle().await;
    assert_eq!(
        (runs(&world, "staging").await, runs(&world, "production").await),
        (world.first.clone(), newest)
    );
    let answer = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_desired("production", "api", &fifth).await;
    assert_eq!(runs(&world, "staging").await, fifth);
    world.idle().await;
    let promotions = world.promotions("production", "api").await;
    assert!(
        promotions.iter().skip(1).all(|p| p.image.digest.as_str() != fifth),
        "once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_upstream_leaves_followers_and_one_click_takes_them_along() {
    let world = chain(Setup::default()).await;
    let newest = everywhere(&world, "1.4.0").await;
    let mut browser = world.admin().await;
    let pin = [("intent", "preview-pin"), ("digest", world.first.as_str())];
    let page = browser.post(STAGING, &pin).await.words();
    assert!(
        page.contains("production/api stays on 1.4.0, which is newer."),
        "{page}"
    );
    let pin = [("intent", "pin"), ("digest", world.first.as_str())];
    let answer = browser.post(STAGING, &pin).await;
    world.ends(&started(answer.location()), State::Succeeded).await;
    stays_ahead(&world, &mut browser, &newest).await;

    let answer = browser.post(PRODUCTION, &[("intent", "promote")]).await;
    let along = world.ends(&started(answer.location()), State::Succeeded).await;
    assert!(matches!(along.requested_by, Actor::Person { .. }), "{along:?}");
    assert_eq!(runs(&world, "production").await, world.first);
    let production = world.resource("production", "api").await.unwrap();
    assert_eq!(production.hold, None, "it follows on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_does_not_go_back_either() {
    let world = chain(Setup::default()).await;
    let newest = everywhere(&world, "1.4.0").await;
    let mut browser = world.admin().await;
    let pin = [("intent", "pin"), ("digest", newest.as_str())];
    browser.post(PRODUCTION, &pin).await;
    world.idle().await;
    let back = format!("rollback-{}", world.first);
    browser.post(STAGING, &[("intent", &back)]).await;
    world.wait_for_desired("staging", "api", &world.first).await;
    world.idle().await;
    let answer = browser.post(PRODUCTION, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.idle().await;
    assert_eq!(runs(&world, "production").await, newest);
    let fifth = everywhere_else(&world).await;
    // Resuming staging brings it and production to what is newest.
    browser.post(STAGING, &[("intent", "resume")]).await;
    world.wait_for_desired("production", "api", &fifth).await;
}

async fn everywhere_else(world: &World) -> String {
    let fifth = world.push("1.5.0").await;
    world.wait_for_desired("development", "api", &fifth).await;
    world.idle().await;
    fifth
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_image_that_nobody_saw_before_is_not_followed() {
    // Nobody tells of pushes, and nobody looks: what Git declares is the first that is heard of an image.
    let world = chain(Setup {
        notifies: false,
        variables: vec![("REGISTRY_POLL_INTERVAL", "1h".into())],
        ..Setup::default()
    })
    .await;
    let registry = world.registry.as_ref().unwrap();
    let built = |day: &str| testbed::ImageSpec::new(format!("api {day}")).created(&format!("2026-{day}T09:12:00Z"));
    for (day, tag, goes_along) in [("10-01", "0.9.0", false), ("11-20", "1.9.0", true)] {
        let digest = registry.push_image("myapp/api", tag, &built(day)).await.unwrap();
        let values = world.values("staging").await;
        let was = runs(&world, "staging").await;
        world
            .outsider_writes("staging", &values.replacen(&was, &digest, 1))
            .await;
        world.wait_for_desired("staging", "api", &digest).await;
        if goes_along {
            world.wait_for_desired("production", "api", &digest).await;
        }
        world.idle().await;
        let now = runs(&world, "production").await;
        assert_eq!(now == digest, goes_along, "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_gate_is_withdrawn_when_its_source_goes_back() {
    let world = chain(Setup::default()).await;
    let mut document = world.document();
    document["projects"][0]["environments"][2]["policy"] = json!({ "approvals": { "count": 1 } });
    world.apply(&document).await;
    let newest = world.push("1.4.0").await;
    world.wait_for_desired("staging", "api", &newest).await;
    let waiting = super::support::world::until("production to wait", async || {
        let newest = world.promotions("production", "api").await.into_iter().next()?;
        (newest.state == State::Waiting).then_some(newest)
    })
    .await;
    let mut browser = world.admin().await;
    let back = format!("rollback-{}", world.first);
    browser.post(STAGING, &[("intent", &back)]).await;
    let withdrawn = world.ends(&waiting.id.to_string(), State::Cancelled).await;
    assert_eq!(withdrawn.waits_for.as_deref(), Some("Its source went back to 1.0.0."));
    world.idle().await;
    assert_eq!(runs(&world, "production").await, world.first);
}
