//! What else than Deployments a service may be.

use crate::world::{Setup, World};

/// A change of an example: file, what is replaced, and by what.
type Change = (&'static str, &'static str, &'static str);

const CHART: &str = "deploy/chart/templates/workloads.yaml";

/// The example with `api` as something else in both environments, from the registry to production.
async fn is_promoted(kind: &str, pods_of: Option<&'static str>, mut changes: Vec<Change>, said: [Change; 2]) {
    changes.extend(said);
    let setup = Setup {
        pods_of,
        changes,
        ..Setup::default()
    };
    let world = World::with(kind, setup).await;
    let second = world.push("1.1.0").await;
    for environment in ["staging", "production"] {
        world.succeeds(environment, &second).await;
    }
    world.end().await;
}

/// What Waybill is told of the kind, in both environments.
macro_rules! said {
    ($kind:literal) => {
        [
            (
                "waybill.yaml",
                "            source: { image:",
                concat!("            kind: ", $kind, "\n            source: { image:"),
            ),
            (
                "waybill.yaml",
                "            source: { promote:",
                concat!("            kind: ", $kind, "\n            source: { promote:"),
            ),
        ]
    };
}

/// No pod is to be seen until its hour comes: what Argo CD rendered and applied is the proof.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_cronjob_is_promoted() {
    let schedule = "schedule: \"0 3 * * *\"";
    let changes = vec![
        ("deploy/environments/staging/values.yaml", "replicas: 2", schedule),
        ("deploy/environments/production/values.yaml", "replicas: 2", schedule),
    ];
    is_promoted("cronjob", None, changes, said!("cronjob")).await;
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_statefulset_is_promoted() {
    let changes = vec![
        (CHART, "kind: Deployment", "kind: StatefulSet"),
        (CHART, "progressDeadlineSeconds: 120", "serviceName: {{ $name }}"),
    ];
    is_promoted("statefulset", Some("StatefulSet/api"), changes, said!("statefulset")).await;
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_daemonset_is_promoted() {
    let changes = vec![
        (CHART, "kind: Deployment", "kind: DaemonSet"),
        (
            CHART,
            "  replicas: {{ hasKey $service \"replicas\" | ternary $service.replicas 1 }}\n",
            "",
        ),
        (CHART, "  progressDeadlineSeconds: 120\n", ""),
    ];
    is_promoted("daemonset", Some("DaemonSet/api"), changes, said!("daemonset")).await;
}
