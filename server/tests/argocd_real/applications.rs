//! What becomes of Applications themselves: made anew, renamed, moved; and settings of theirs that change how Argo CD compares.

use crate::{
    stack::until,
    world::{ARGOCD, Setup, World},
};
use serde_json::{Value, json};

const STAGING: &str = "applications/staging.yaml";

/// Waits until Waybill says that it doesn't know what staging runs.
async fn is_not_known(world: &World) {
    until("it to be said that there is no Application", async || {
        let lives = [
            world.live_digests("staging").await,
            world.resource("staging", "health").await,
        ];
        lives.iter().all(Value::is_null).then_some(())
    })
    .await;
}

/// Deleted without its pods, as `argocd app delete --cascade=false` does; a promotion waits for it, and made anew it takes over what runs.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn one_is_deleted_and_made_anew() {
    let world = World::of("anew").await;
    world.live("staging", &world.first).await;
    let manifest = world.manifest("staging");
    world.stack.delete(&manifest).await;
    is_not_known(&world).await;
    let second = world.push("1.1.0").await;
    until("a promotion that waits for it", async || {
        let promotion = world.promotion("staging", &second).await?;
        assert_ne!(promotion["state"], "failed", "{promotion}");
        let why = promotion["waitsFor"].as_str()?;
        why.contains("application shop-anew").then_some(())
    })
    .await;
    world.stack.apply("staging", &manifest).await;
    world.succeeds("staging", &second).await;
    world.live("staging", &second).await;
    world.end().await;
}

/// Applications get other names over what runs already, and Waybill is told.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn they_are_renamed() {
    let world = World::of("renamed").await;
    world.live("staging", &world.first).await;
    let mut renamed = Vec::new();
    for environment in ["staging", "production"] {
        let manifest = world.manifest(environment);
        let name = world.application(environment);
        world.stack.delete(&manifest).await;
        let anew = manifest.replacen(&format!("name: {name}\n"), &format!("name: {name}-2\n"), 1);
        assert_ne!(anew, manifest);
        world.stack.apply(environment, &anew).await;
        renamed.push(anew);
    }
    is_not_known(&world).await;
    let told = world.file("waybill.yaml");
    let template = "\"{project}-{environment}\"";
    assert!(told.contains(template));
    world
        .tell(&told.replace(template, "\"{project}-{environment}-2\""))
        .await;
    world.live("staging", &world.first).await;
    let second = world.push("1.1.0").await;
    for environment in ["staging", "production"] {
        world.succeeds(environment, &second).await;
    }
    for manifest in renamed {
        world.stack.delete(&manifest).await;
    }
    world.end().await;
}

/// Its destination changes: Argo CD deploys it there, and what runs in the old place is left to whoever put it there.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn one_moves_to_another_namespace() {
    let world = World::of("moves").await;
    world.live("staging", &world.first).await;
    let name = world.application("staging");
    let manifest = world.manifest("staging");
    let moved = manifest.replace(&format!("namespace: {name}\n"), &format!("namespace: {name}-b\n"));
    assert_ne!(moved, manifest);
    world.stack.apply("staging", &moved).await;
    let second = world.push("1.1.0").await;
    // What ran before is pruned where Argo CD prunes; only the new place counts.
    world.is("staging", &second, &["succeeded"]).await;
    world.live("staging", &second).await;
    let pods = world.stack.pods(&format!("{name}-b")).await;
    assert!(
        !pods.is_empty()
            && pods
                .iter()
                .flat_map(|pod| &pod.images)
                .all(|image| image.ends_with(&second)),
        "{pods:?}"
    );
    world.end().await;
}

/// With server-side diff Argo CD lets Kubernetes say what would change.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn server_side_diff_and_apply_are_no_obstacle() {
    let changes = vec![
        (
            STAGING,
            "  annotations:\n",
            "  annotations:\n    argocd.argoproj.io/compare-options: ServerSideDiff=true,IncludeMutationWebhook=true\n",
        ),
        (
            STAGING,
            "      - CreateNamespace=true",
            "      - CreateNamespace=true\n      - ServerSideApply=true",
        ),
    ];
    let setup = Setup {
        changes,
        ..Setup::default()
    };
    let world = World::with("serverside", setup).await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.roll_back("staging", &world.first).await;
    until("the rollback", async || {
        (world.live_digests("staging").await == json!([world.first])).then_some(())
    })
    .await;
    world.runs("staging", &world.first).await;
    world.end().await;
}

/// A rule that ignores the image lets Argo CD call it Synced with the old one. That is no success, and it is said what to look for.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_ignored_image_is_no_success() {
    let setup = Setup {
        changes: vec![(
            STAGING,
            "  syncPolicy:\n",
            "  ignoreDifferences:\n    - group: apps\n      kind: Deployment\n      jqPathExpressions:\n        - .spec.template.spec.containers[].image\n  syncPolicy:\n",
        )],
        variables: vec![("PROMOTION_SYNC_TIMEOUT", "20s"), ("PROMOTION_VERIFY_TIMEOUT", "20s")],
        ..Setup::default()
    };
    let world = World::with("ignored", setup).await;
    let second = world.push("1.1.0").await;
    let reason = world.fails("staging", &second).await;
    println!("{reason}");
    assert!(reason.contains("ignoreDifferences"), "{reason}");
    world.runs("staging", &world.first).await;
    world.end().await;
}

/// All parts of Argo CD at once, as when it is upgraded, while a promotion is on its way.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn all_of_argo_cd_is_restarted_as_for_an_upgrade() {
    let world = World::of("upgrade").await;
    let second = world.push("1.1.0").await;
    until("its commit", async || {
        let promotion = world.promotion("staging", &second).await?;
        (!promotion["commit"].is_null()).then_some(())
    })
    .await;
    let parts = ["server", "controller", "repo-server", "redis"];
    for part in parts {
        world.stack.kill(part).await;
    }
    for part in parts.iter().rev() {
        world.stack.start(part).await;
    }
    for environment in ["staging", "production"] {
        world.succeeds(environment, &second).await;
    }
    world.live("staging", &second).await;
    assert!(
        world
            .stack
            .application(ARGOCD, &world.application("staging"))
            .await
            .is_some()
    );
    world.end().await;
}
