//! What stands between a commit and its rollout: windows, hooks, retries, other branches, manifests that weren't made anew.

use crate::{
    stack::{until, within},
    world::{ARGOCD, Setup, World},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// A window that forbids every sync of production, also those by hand, around the clock.
const CLOSED: (&str, &str, &str) = (
    "install/project.yaml",
    "  destinations:\n",
    "  syncWindows:\n    - kind: deny\n      schedule: \"* * * * *\"\n      duration: 1h\n      applications: [\"*\"]\n      manualSync: false\n  destinations:\n",
);

/// A closed window is waited for, longer than the time that a sync may take; when it opens, the promotion goes on.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_closed_sync_window_is_waited_for() {
    let world = World::with(
        "window",
        Setup {
            variables: vec![("PROMOTION_SYNC_TIMEOUT", "8s")],
            ..Setup::default()
        },
    )
    .await;
    let open = world.file("install/project.yaml");
    let (_, from, to) = CLOSED;
    world.stack.apply("install/project.yaml", &open.replace(from, to)).await;
    // Its own word for it: until then a sync would go through.
    let name = world.application("staging");
    until("the window to close", async || {
        let windows = world
            .stack
            .get_argocd(&format!("/applications/{name}/syncwindows"))
            .await;
        windows["activeWindows"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
            .then_some(())
    })
    .await;
    let second = world.push("1.1.0").await;
    let began = Instant::now();
    until(
        "a promotion that waits for the window, past the time for a sync",
        async || {
            let promotion = world.promotion("staging", &second).await?;
            assert_ne!(promotion["state"], "failed", "{promotion}");
            let waits = promotion["waitsFor"].as_str().unwrap_or_default().contains("window");
            (waits && began.elapsed() > Duration::from_secs(15)).then_some(())
        },
    )
    .await;
    world.stack.apply("install/project.yaml", &open).await;
    world.succeeds("staging", &second).await;
    world.end().await;
}

/// A hook before the sync, whose image is its own.
const HOOK: (&str, &str) = (
    "chart/templates/hook.yaml",
    r#"apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations:
    argocd.argoproj.io/hook: PreSync
    argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: registry.example.com/shop/migrate:{{ .Values.services.api.image.tag }}
"#,
);

/// Without retries of Argo CD, a hook that fails fails the promotion, and is named.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_failed_hook_is_named() {
    let world = World::with(
        "hook",
        Setup {
            files: vec![HOOK],
            changes: vec![("applications/staging.yaml", "limit: 2", "limit: 0")],
            ..Setup::default()
        },
    )
    .await;
    world
        .stack
        .rule(&world.application("staging"), "shop/migrate:1.1.0", "failed")
        .await;
    let second = world.push("1.1.0").await;
    let reason = world.fails("staging", &second).await;
    assert!(reason.contains("migrate") && reason.contains("Job"), "{reason}");
    world.runs("staging", &world.first).await;
    world.end().await;
}

/// Argo CD tries a revision whose hook fails again and again, minutes apart; a rollback doesn't wait for that.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_rollback_does_not_wait_behind_retries() {
    let world = World::with(
        "retries",
        Setup {
            files: vec![HOOK],
            changes: vec![
                ("applications/staging.yaml", "limit: 2", "limit: 5"),
                ("applications/staging.yaml", "duration: 5s", "duration: 2m"),
                ("applications/staging.yaml", "maxDuration: 1m", "maxDuration: 10m"),
            ],
            ..Setup::default()
        },
    )
    .await;
    world
        .stack
        .rule(&world.application("staging"), "shop/migrate:1.1.0", "failed")
        .await;
    let second = world.push("1.1.0").await;
    let name = world.application("staging");
    until("Argo CD to try again", async || {
        let state = world.stack.application(ARGOCD, &name).await?["status"]["operationState"].take();
        let retries = state["message"]
            .as_str()
            .is_some_and(|message| message.contains("Retrying"));
        (state["phase"] == "Running" && retries).then_some(())
    })
    .await;
    let commit = world.promotion("staging", &second).await.unwrap()["commit"].take();
    assert!(commit.is_string(), "{commit}");
    let began = Instant::now();
    world.roll_back("staging", &world.first).await;
    // Committed and syncing in five seconds is the promise; the rest is the sync itself with its hook.
    within(
        Duration::from_secs(30),
        "the end of the bad revision's sync",
        async || {
            let found = world.stack.application(ARGOCD, &name).await?;
            let state = &found["status"]["operationState"];
            // What is in the cluster may be what the rollback wants already: then there is nothing to sync once the other has ended.
            let is_bad = commit == state["operation"]["sync"]["revision"];
            let is_over = !is_bad || !matches!(state["phase"].as_str(), Some("Running" | "Terminating"));
            (found["status"]["sync"]["status"] == "Synced" && is_over).then_some(())
        },
    )
    .await;
    eprintln!("the rollback had its way after {:.1?}", began.elapsed());
    let promotion = world.promotion("staging", &world.first).await.unwrap();
    assert_eq!(promotion["purpose"], "rollback", "{promotion}");
    world.succeeds("staging", &world.first).await;
    world.end().await;
}

/// Production is synced by nobody but Waybill, and something else lies in Git that nobody asked for yet.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn the_service_alone_is_synced_where_a_policy_says_so() {
    let world = World::with(
        "alone",
        Setup {
            changes: vec![(
                "waybill.yaml",
                "      - name: production\n        cluster: main\n",
                "      - name: production\n        cluster: main\n        policy: { sync: service }\n",
            )],
            ..Setup::default()
        },
    )
    .await;
    let extra = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n";
    let outsider = world.outsider().await;
    outsider
        .commit(&[("chart/templates/extra.yaml", extra)], "Add a map")
        .await
        .unwrap();
    let second = world.push("1.1.0").await;
    world.succeeds("production", &second).await;
    world.runs("production", &second).await;
    let name = world.application("production");
    let map = async |namespace: &str| world.stack.object("v1", "ConfigMap", namespace, "extra").await;
    assert!(map(&name).await.is_none(), "nobody asked for it");
    assert!(
        map(&world.application("staging")).await.is_some(),
        "Argo CD syncs it whole by itself"
    );
    let found = world.stack.application(ARGOCD, &name).await.unwrap();
    assert_eq!(found["status"]["sync"]["status"], "OutOfSync", "{found}");
    world.end().await;
}

/// An Application that follows another branch than Waybill commits to: refused at once, and nothing is synced by name.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_application_of_another_branch_is_never_synced_to_ours() {
    let world = World::of("branch").await;
    let outsider = world.repository.outsider("release").await.unwrap();
    // The branch is the same as `main` is now, one commit on.
    let mut files = Vec::new();
    for path in [
        "chart/Chart.yaml",
        "chart/templates/_image.tpl",
        "chart/templates/workloads.yaml",
        "environments/staging/values.yaml",
        "environments/production/values.yaml",
    ] {
        let text = world.repository.read_file("main", path).await.unwrap().unwrap();
        files.push((path, String::from_utf8(text).unwrap()));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    let release = outsider.commit(&files, "Cut a release").await.unwrap();
    let other = world
        .manifest("production")
        .replace("targetRevision: main", "targetRevision: release");
    world.stack.apply("production", &other).await;
    let name = world.application("production");
    until("Argo CD to follow the other branch", async || {
        let found = world.stack.application(ARGOCD, &name).await?;
        (found["status"]["sync"]["revision"] == json!(release)).then_some(())
    })
    .await;
    let second = world.push("1.1.0").await;
    let reason = world.fails("production", &second).await;
    assert!(reason.contains("release") && reason.contains("main"), "{reason}");
    world.runs("production", &world.first).await;
    world.end().await;
}

/// The values file isn't among the paths for which Argo CD makes manifests anew: it says Synced at our commit, and applied the old ones.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn manifests_that_were_not_made_anew_are_no_success() {
    let world = World::with(
        "paths",
        Setup {
            changes: vec![(
                "applications/staging.yaml",
                "manifest-generate-paths: .;../environments/staging",
                "manifest-generate-paths: .",
            )],
            ..Setup::default()
        },
    )
    .await;
    let second = world.push("1.1.0").await;
    let reason = world.fails("staging", &second).await;
    assert!(
        reason.contains("what it rendered still names the old image"),
        "{reason}"
    );
    world.end().await;
}

/// The same where no pod is to be seen, so that nothing but the manifests can prove it.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn nothing_to_run_is_no_proof_of_manifests_that_were_not_made_anew() {
    let world = World::with(
        "no-pods",
        Setup {
            changes: vec![(
                "applications/staging.yaml",
                "manifest-generate-paths: .;../environments/staging",
                "manifest-generate-paths: .",
            )],
            ..Setup::default()
        },
    )
    .await;
    let outsider = world.outsider().await;
    let path = "environments/staging/values.yaml";
    let values = world.repository.read_file("main", path).await.unwrap().unwrap();
    let values = String::from_utf8(values).unwrap().replace("replicas: 2", "replicas: 0");
    let chart = world
        .repository
        .read_file("main", "chart/Chart.yaml")
        .await
        .unwrap()
        .unwrap();
    let chart = String::from_utf8(chart).unwrap().replace("1.0.0", "1.0.1");
    outsider
        .commit(&[(path, &values), ("chart/Chart.yaml", &chart)], "Switch it off")
        .await
        .unwrap();
    world.stack.refresh(&world.application("staging")).await;
    until("no pods", async || {
        world
            .stack
            .pods(&world.application("staging"))
            .await
            .is_empty()
            .then_some(())
    })
    .await;
    let second = world.push("1.1.0").await;
    let reason = world.fails("staging", &second).await;
    assert!(
        reason.contains("what it rendered still names the old image"),
        "{reason}"
    );
    world.end().await;
}

/// The chart and the values are two sources: the one with the values has to be at the commit.
#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn several_sources_are_followed() {
    let world = World::with(
        "sources",
        Setup {
            staging: "applications/staging-several-sources.yaml",
            ..Setup::default()
        },
    )
    .await;
    let second = world.push("1.1.0").await;
    world.succeeds("staging", &second).await;
    world.end().await;
}
