//! `examples/argocd` as it stands, but for addresses: what `docs/connect-argocd.md` promises.

use crate::world::World;

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
