//! Parts of Argo CD that restart while a promotion is on its way.

use crate::{
    stack::until,
    world::{Setup, World},
};
use std::time::{Duration, Instant};

/// Kills a part, promotes, starts the part again: what was under way goes on, in both kinds of Application.
async fn survives(part: &str) {
    let world = World::of(part).await;
    world.stack.kill(part).await;
    let second = world.push("1.1.0").await;
    until("the commit", async || {
        let promotion = world.promotion("staging", &second).await?;
        assert_ne!(promotion["state"], "failed", "{promotion}");
        promotion["commit"].as_str().map(drop)
    })
    .await;
    world.stack.start(part).await;
    world.succeeds("staging", &second).await;
    world.succeeds("production", &second).await;
    for environment in ["staging", "production"] {
        world.live(environment, &second).await;
    }
    world.end().await;
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_server_may_restart() {
    survives("server").await;
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_controller_may_restart() {
    survives("controller").await;
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_repository_server_may_restart() {
    survives("repo-server").await;
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn redis_may_restart() {
    survives("redis").await;
}

/// The repository server is gone for longer than any grace; that is not the fault of anybody's chart.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_repository_server_may_be_gone_for_more_than_a_minute() {
    let world = World::of("gone").await;
    world.stack.kill("repo-server").await;
    let second = world.push("1.1.0").await;
    let began = Instant::now();
    until("75 seconds without a repository server", async || {
        if let Some(promotion) = world.promotion("staging", &second).await {
            assert_ne!(promotion["state"], "failed", "{promotion}");
        }
        (began.elapsed() > Duration::from_secs(75)).then_some(())
    })
    .await;
    world.stack.start("repo-server").await;
    world.succeeds("staging", &second).await;
    world.end().await;
}

/// Argo CD came back too late for the promotion, and rolled it out all the same: then it has succeeded.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_failed_promotion_that_becomes_live_is_put_right() {
    let world = World::with(
        "late",
        Setup {
            variables: vec![("PROMOTION_SYNC_TIMEOUT", "5s")],
            ..Setup::default()
        },
    )
    .await;
    world.stack.kill("repo-server").await;
    let second = world.push("1.1.0").await;
    world.fails("staging", &second).await;
    world.stack.start("repo-server").await;
    world.stack.refresh(&world.application("staging")).await;
    world.runs("staging", &second).await;
    until("the promotion to be put right", async || {
        let promotion = world.promotion("staging", &second).await?;
        (promotion["state"] == "succeeded").then_some(())
    })
    .await;
    world.end().await;
}

/// While the API server of Argo CD is gone, the board says what it knew.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_board_keeps_what_it_knew_while_the_server_restarts() {
    let world = World::of("board").await;
    world.stack.refresh(&world.application("staging")).await;
    world.live("staging", &world.first).await;
    world.stack.kill("server").await;
    let began = Instant::now();
    // Longer than an upgrade of one Deployment takes, shorter than the minute that is promised.
    until("sixteen seconds without Argo CD", async || {
        let live = world.live_digests("staging").await;
        assert_eq!(live, serde_json::json!([world.first]), "after {:?}", began.elapsed());
        (began.elapsed().as_secs() >= 16).then_some(())
    })
    .await;
    // Tries grow apart, and the log says it once.
    let (pause, said) = world.back_off().await;
    eprintln!(
        "after {:.0?} without Argo CD the next try waits {pause:.1} s; the log said so {said} times",
        began.elapsed()
    );
    assert!(pause >= 6.0 && said == 1, "{pause} s, said {said} times");
    world.stack.start("server").await;
    world.live("staging", &world.first).await;
    world.end().await;
}
