//! Parts of Argo CD that restart while a promotion is on its way.

use crate::{stack::until, world::World};

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

/// While the API server of Argo CD is gone, the board says what it knew.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_board_keeps_what_it_knew_while_the_server_restarts() {
    let world = World::of("board").await;
    world.stack.refresh(&world.application("staging")).await;
    world.live("staging", &world.first).await;
    world.stack.kill("server").await;
    let began = std::time::Instant::now();
    // Longer than an upgrade of one Deployment takes, shorter than the minute that is promised.
    until("sixteen seconds without Argo CD", async || {
        let live = world.live_digests("staging").await;
        assert_eq!(live, serde_json::json!([world.first]), "after {:?}", began.elapsed());
        (began.elapsed().as_secs() >= 16).then_some(())
    })
    .await;
    world.stack.start("server").await;
    world.live("staging", &world.first).await;
    world.end().await;
}
