//! Who counts as live: pods that run or start and are of the service's own workloads.

use crate::{
    stack::until,
    world::{Setup, World},
};

/// A node ran out of memory: the evicted pod of the old build stays, with phase Failed, for as long as nobody clears it away.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_evicted_pod_does_not_keep_the_old_build_live() {
    let world = World::of("evicted").await;
    let namespaces = ["staging", "production"].map(|environment| world.application(environment));
    for namespace in &namespaces {
        assert!(world.stack.evict(namespace, "shop/api").await > 0);
    }
    for (environment, namespace) in ["staging", "production"].iter().zip(&namespaces) {
        world.runs(environment, &world.first).await;
        let pods = world.stack.pods(namespace).await;
        assert!(pods.iter().any(|pod| pod.reason == "Evicted"), "{pods:?}");
    }
    let second = world.push("1.1.0").await;
    for environment in ["staging", "production"] {
        world.succeeds(environment, &second).await;
        world.live(environment, &second).await;
    }
    for namespace in &namespaces {
        let pods = world.stack.pods(namespace).await;
        assert!(
            pods.iter().any(|pod| pod.reason == "Evicted"),
            "it is there still: {pods:?}"
        );
    }
    world.end().await;
}

/// A CronJob that runs the service's image: the pods of its last three runs stay, completed, with the build that they ran.
const NIGHTLY: (&str, &str) = (
    "chart/templates/nightly.yaml",
    r#"apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  schedule: "0 3 * * *"
  successfulJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: nightly
              image: {{ include "image" .Values.services.api.image | quote }}
              args: [clear-up]
"#,
);

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn completed_runs_of_a_cronjob_do_not_keep_the_old_build_live() {
    let world = World::with(
        "cronjob",
        Setup {
            files: vec![NIGHTLY],
            ..Setup::default()
        },
    )
    .await;
    for run in ["nightly-1", "nightly-2"] {
        world.stack.run(&world.application("staging"), "nightly", run).await;
    }
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.live("staging", &second).await;
    world.end().await;
}

/// A run that failed makes the Application Degraded in some versions; it is none of the service's.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_failed_run_of_a_cronjob_does_not_fail_a_promotion() {
    let world = World::with(
        "failed-run",
        Setup {
            files: vec![(
                "chart/templates/nightly.yaml",
                r#"apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: nightly
              image: registry.example.com/shop/clear-up:1.0.0
"#,
            )],
            ..Setup::default()
        },
    )
    .await;
    let namespace = world.application("staging");
    world.stack.rule(&namespace, "shop/clear-up", "failed").await;
    world.stack.run(&namespace, "nightly", "nightly-1").await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.end().await;
}

/// A Deployment of somebody else that never becomes ready: named as a warning, and no failure of the service.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_ill_neighbour_does_not_fail_a_promotion() {
    let world = World::with(
        "neighbour",
        Setup {
            files: vec![(
                "chart/templates/neighbour.yaml",
                r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: neighbour
spec:
  progressDeadlineSeconds: 5
  selector:
    matchLabels: { app: neighbour }
  template:
    metadata:
      labels: { app: neighbour }
    spec:
      containers:
        - name: neighbour
          image: registry.example.com/shop/neighbour:1.0.0
          readinessProbe:
            exec: { command: ["true"] }
"#,
            )],
            ..Setup::default()
        },
    )
    .await;
    let namespace = world.application("staging");
    world.stack.rule(&namespace, "shop/neighbour", "unready").await;
    // A change of its own, after which it doesn't come up again.
    let outsider = world.outsider().await;
    let template = world
        .repository
        .read_file("main", "chart/templates/neighbour.yaml")
        .await;
    let template = String::from_utf8(template.unwrap().unwrap()).unwrap();
    let changed = template.replace("neighbour:1.0.0", "neighbour:2.0.0");
    outsider
        .commit(&[("chart/templates/neighbour.yaml", &changed)], "Break the neighbour")
        .await
        .unwrap();
    refresh_until_degraded(&world, "staging").await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.end().await;
}

async fn refresh_until_degraded(world: &World, environment: &str) {
    let name = world.application(environment);
    world.stack.refresh(&name).await;
    until("the neighbour's illness", async || {
        let found = world.stack.application(crate::world::ARGOCD, &name).await?;
        (found["status"]["health"]["status"] == "Degraded").then_some(())
    })
    .await;
}

/// The service itself doesn't come up: that is a failure, with the reason.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_image_that_cannot_be_pulled_fails_with_its_reason() {
    let world = World::with(
        "unpullable",
        Setup {
            changes: vec![(
                "deploy/chart/templates/workloads.yaml",
                "progressDeadlineSeconds: 120",
                "progressDeadlineSeconds: 8",
            )],
            ..Setup::default()
        },
    )
    .await;
    let second = world.push("1.1.0").await;
    // By its digest: the first build's pods go on.
    world
        .stack
        .rule(&world.application("staging"), &second, "unpullable")
        .await;
    let reason = world.fails("staging", &second).await;
    assert!(reason.contains("ImagePullBackOff"), "{reason}");
    world.end().await;
}

/// The chart, or an admission controller, has the cluster pull through a mirror: a digest is a proof in any registry.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_mirror_of_the_registry_is_no_obstacle() {
    let world = World::with(
        "mirror",
        Setup {
            changes: vec![(
                "deploy/chart/templates/_image.tpl",
                "{{ .repository }}",
                "mirror.example.com/{{ .repository }}",
            )],
            ..Setup::default()
        },
    )
    .await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.succeeds("production", &second).await;
    world.live("production", &second).await;
    world.end().await;
}
