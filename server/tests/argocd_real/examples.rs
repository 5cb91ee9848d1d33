//! `examples/argocd` as it stands, but for addresses: what `docs/connect-argocd.md` promises.

use crate::{stack::within, world::World};
use serde_json::json;
use std::time::{Duration, Instant};

/// Staging is synced by Argo CD itself, production by hand, that is by Waybill; and both go back.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_examples_take_a_build_from_the_registry_to_production() {
    let world = World::of("").await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.succeeds("production", &second).await;
    for environment in ["staging", "production"] {
        world.live(environment, &second).await;
    }
    world.roll_back("production", &world.first).await;
    world.succeeds("production", &world.first).await;
    world.end().await;
}

/// Nothing happens in either Application: what runs there is known all the same, at once.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_new_environment_of_a_quiet_application_is_read_at_once() {
    let world = World::of("quiet").await;
    let began = Instant::now();
    for environment in ["staging", "production"] {
        within(Duration::from_secs(5), "what is live", async || {
            (world.live_digests(environment).await == json!([world.first])).then_some(())
        })
        .await;
        eprintln!("{environment}: read {:.1?} after it was set up", began.elapsed());
    }
    world.end().await;
}
