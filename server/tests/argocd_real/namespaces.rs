//! Applications of one name in two namespaces.

use crate::{
    stack::until,
    world::{ARGOCD, Setup, World},
};
use std::time::{Duration, Instant};

/// Another team has an Application of the same name, in its own namespace and in the same Argo CD project. Waybill names no namespace,
/// so that Argo CD's own one is meant.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_application_of_the_same_name_elsewhere_is_not_taken_for_ours() {
    let world = World::with(
        "namesake",
        Setup {
            changes: vec![(
                "install/project.yaml",
                "  destinations:\n",
                "  sourceNamespaces: [team-b]\n  destinations:\n",
            )],
            // What the other one runs: another digest of the same repository.
            files: vec![(
                "team-b/pod.yaml",
                "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\nspec:\n  selector:\n    matchLabels: { app: api }\n  \
                 template:\n    metadata:\n      labels: { app: api }\n    spec:\n      containers:\n        - name: api\n          \
                 image: registry.example.com/shop/api@sha256:1111111111111111111111111111111111111111111111111111111111111111\n",
            )],
            ..Setup::default()
        },
    )
    .await;
    let name = world.application("staging");
    let ours = world.manifest("staging");
    let (head, _) = ours.split_once("    helm:\n").unwrap();
    let theirs = format!(
        "{}  destination:\n    server: https://kubernetes.default.svc\n    namespace: {name}-b\n  syncPolicy:\n    automated: {{}}\n    \
         syncOptions: [CreateNamespace=true]\n",
        head.replace("namespace: argocd", "namespace: team-b")
            .replace("path: chart", "path: team-b")
    );
    world.stack.apply("team-b", &theirs).await;
    until("the other Application to run", async || {
        let found = world.stack.application("team-b", &name).await?;
        let healthy = found["status"]["health"]["status"] == "Healthy";
        (healthy && !found["status"]["summary"]["images"].is_null()).then_some(())
    })
    .await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    // From here on the last thing that the stream told is of theirs.
    let looked = async || world.stack.application("team-b", &name).await.unwrap()["status"]["reconciledAt"].take();
    let before = looked().await;
    world
        .stack
        .get_argocd(&format!("/applications/{name}?refresh=normal&appNamespace=team-b"))
        .await;
    assert_ne!(looked().await, before);
    let began = Instant::now();
    until("five seconds with theirs told last", async || {
        assert_eq!(world.live_digests("staging").await, serde_json::json!([second]));
        (began.elapsed() > Duration::from_secs(5)).then_some(())
    })
    .await;
    let third = world.push("1.2.0").await;
    world.succeeds("staging", &third).await;
    world.live("staging", &third).await;
    assert!(world.stack.application(ARGOCD, &name).await.is_some());
    world.stack.delete(&theirs).await;
    world.end().await;
}
