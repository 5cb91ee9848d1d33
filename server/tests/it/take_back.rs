//! An environment whose policy says `onFailure: takeBack`: a promotion that fails after its commit is undone once, unless somebody acted.

use crate::{
    following::PRODUCTION,
    gates::set_policy,
    support::world::{Setup, World, until},
};
use argocd_standin::{Fault, RolloutOutcome};
use domain::{
    event::Happened,
    promotion::{Actor, Promotion, Purpose, State},
    resource::HoldCause,
};
use serde_json::json;

/// A world in which production takes back what fails there, and whose rollouts there end so.
async fn world(outcome: RolloutOutcome) -> World {
    let world = crate::following::chain(Setup::default()).await;
    set_policy(&world, json!({ "onFailure": "takeBack" })).await;
    world.wait_for_live("production", "api", &world.first).await;
    end_so(&world, outcome);
    world
}

fn end_so(world: &World, outcome: RolloutOutcome) {
    let fault = Fault::Rollout { outcome };
    world.standin.inject(Some("myapp-production"), fault).unwrap();
}

/// Production's promotion to what was pushed, once it has failed.
async fn failed(world: &World, digest: &str) -> Promotion {
    let promotion = until("production's promotion", async || {
        let all = world.promotions("production", "api").await;
        all.into_iter().find(|p| p.image.digest.as_str() == digest)
    })
    .await;
    world.ends(&promotion.id.to_string(), State::Failed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_taken_back_to_what_was_healthy_and_held() {
    let world = world(RolloutOutcome::Degraded).await;
    let before = world.values("production").await;
    let pushed = world.push("1.1.0").await;
    let failed = failed(&world, &pushed).await;
    end_so(&world, RolloutOutcome::Healthy);
    let back = world.promotions("production", "api").await.remove(0);
    assert_eq!(
        (back.purpose, &back.requested_by, back.image.digest.as_str()),
        (Purpose::Rollback, &Actor::Waybill, &*world.first)
    );
    world.ends(&back.id.to_string(), State::Succeeded).await;
    world.wait_for_live("production", "api", &world.first).await;
    assert_eq!(world.values("production").await, before);
    let production = world.resource("production", "api").await.unwrap();
    let hold = production.hold.unwrap();
    assert_eq!((hold.cause, &hold.by), (HoldCause::RolledBack, &Actor::Waybill));

    // Both pages lead to each other, and the ledger tells of it.
    let mut browser = world.admin().await;
    for (page, other) in [(failed.id, back.id), (back.id, failed.id)] {
        let html = browser.get(&format!("/promotions/{page}")).await.text;
        assert!(html.contains(&format!("/promotions/{other}")), "{page}: {html}");
    }
    let mut tx = world.store.read().await.unwrap();
    let told = tx.events_of_promotion(failed.id).await.unwrap();
    let taken_back =
        |event: &domain::event::Event| matches!(event.happened, Happened::TakenBack { by, .. } if by == back.id);
    assert_eq!(told.iter().filter(|event| taken_back(event)).count(), 1);
    drop(tx);

    // Held: what comes next waits for a person.
    let next = world.push("1.2.0").await;
    world.wait_for_desired("staging", "api", &next).await;
    world.idle().await;
    assert!(
        world
            .resource("production", "api")
            .await
            .unwrap()
            .declares(&world.first.parse().unwrap())
    );
    assert!(browser.get(PRODUCTION).await.words().contains("rolled back by Waybill"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_back_is_not_taken_back_again() {
    let world = world(RolloutOutcome::Degraded).await;
    let pushed = world.push("1.1.0").await;
    failed(&world, &pushed).await;
    let back = world.promotions("production", "api").await.remove(0);
    assert_eq!(back.purpose, Purpose::Rollback);
    world.ends(&back.id.to_string(), State::Failed).await;
    world.idle().await;
    assert_eq!(world.promotions("production", "api").await[0].id, back.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_what_a_person_did_nothing_is_taken_back() {
    let world = world(RolloutOutcome::Never).await;
    let pushed = world.push("1.1.0").await;
    let moving = until("production's promotion", async || {
        let newest = world.promotions("production", "api").await.remove(0);
        (newest.image.digest.as_str() == pushed && newest.state == State::Verifying).then_some(newest)
    })
    .await;
    let by_hand = world
        .values("production")
        .await
        .replacen("tag: 1.1.0", "tag: 1.0.0", 1)
        .replacen(&pushed, &world.first, 1);
    world.outsider_writes("production", &by_hand).await;
    world.wait_for_desired("production", "api", &world.first).await;
    world.forward(60 * 60_000).await;
    world.ends(&moving.id.to_string(), State::Failed).await;
    world.idle().await;
    assert_eq!(world.promotions("production", "api").await[0].id, moving.id);
}
