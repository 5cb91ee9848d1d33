//! Promotions from the push to their end.

use crate::harness::{APP, Bench, Setup, digest};
use argocd_standin::{Fault, RolloutOutcome, Timing};
use domain::plan::Next;
use std::time::Duration;

fn automated() -> Setup {
    Setup {
        automated: true,
        ..Setup::default()
    }
}

#[tokio::test]
async fn manual_is_synced_once_and_proven() {
    let bench = Bench::start(Setup::default()).await;
    let before = bench.syncs();
    let commit = bench.push(&digest('b'));
    let evidence = bench.promotion(&commit, digest('b')).live().await;
    assert!(evidence.contains("the sync of this promotion succeeded"), "{evidence}");
    assert!(evidence.contains(digest('b').as_str()), "{evidence}");
    assert_eq!(bench.syncs() - before, 1);
    let app = bench.read().await.unwrap();
    let operation = app.operation.unwrap();
    assert_eq!(operation.promotion.as_deref(), Some("p1"));
    assert_eq!(operation.initiated_by, crate::harness::SUBJECT);
}

#[tokio::test]
async fn auto_syncs_by_itself_and_is_proven() {
    let bench = Bench::start(automated()).await;
    let commit = bench.push(&digest('b'));
    let evidence = bench.promotion(&commit, digest('b')).live().await;
    assert!(evidence.contains("by Argo CD itself"), "{evidence}");
    assert_eq!(bench.syncs(), 0);
}

#[tokio::test]
async fn health_of_what_ran_before_is_never_believed() {
    for automated in [false, true] {
        let bench = Bench::start(Setup {
            automated,
            timing: Timing {
                refresh_after_sync: Duration::from_millis(700),
                rollout: Duration::from_millis(900),
                poll: Duration::from_secs(60),
                ..Timing::fast()
            },
            ..Setup::default()
        })
        .await;
        let commit = bench.push(&digest('b'));
        bench.promotion(&commit, digest('b')).live().await; // looks at the cluster itself
    }
}

#[tokio::test]
async fn a_commit_that_changes_nothing_here_needs_no_sync() {
    for automated in [false, true] {
        let bench = Bench::start(Setup {
            automated,
            ..Setup::default()
        })
        .await;
        let before = bench.syncs();
        let commit = bench.commit("environments/staging/values.yaml", "services: {}\n");
        let mut promotion = bench.promotion(&commit, digest('a'));
        promotion.id = "p2".into();
        let evidence = promotion.live().await;
        assert!(evidence.contains("Synced at"), "{evidence}");
        assert_eq!(bench.syncs(), before);
    }
}

#[tokio::test]
async fn two_promotions_of_one_application_share_what_is_synced() {
    let bench = Bench::start(Setup::default()).await;
    let first = bench.push(&digest('b'));
    let second = bench.commit("environments/staging/values.yaml", "services: {}\n");
    let (first, mut second) = (
        bench.promotion(&first, digest('b')),
        bench.promotion(&second, digest('b')),
    );
    second.id = "p2".into();
    let before = bench.syncs();
    tokio::join!(first.live(), second.live());
    // The second may have asked in the same moment, and was told that Argo CD is busy.
    assert!(bench.syncs() - before <= 2);
}

#[tokio::test]
async fn somebody_elses_operation_is_waited_for_and_ours_follows() {
    let bench = Bench::start(Setup::default()).await;
    let old = bench.read().await.unwrap().sync_revisions[0].clone();
    bench.standin.inject(Some(APP), Fault::Hook { millis: 400 }).unwrap();
    let commit = bench.push(&digest('b'));
    let foreign = Fault::ForeignOperation {
        username: Some("alice".into()),
        revision: Some(old),
    };
    bench.standin.inject(Some(APP), foreign).unwrap();
    let promotion = bench.promotion(&commit, digest('b'));
    promotion.waits("a sync started by alice").await;
    let evidence = promotion.live().await;
    assert!(evidence.contains("the sync of this promotion"), "{evidence}");
}

#[tokio::test]
async fn an_operation_that_is_picked_up_late_is_not_started_twice() {
    let bench = Bench::start(Setup::default()).await;
    let before = bench.syncs();
    bench
        .standin
        .inject(Some(APP), Fault::OperationPickup { millis: 400 })
        .unwrap();
    let commit = bench.push(&digest('b'));
    let promotion = bench.promotion(&commit, digest('b'));
    promotion.waits("the sync of this promotion").await;
    promotion.live().await;
    assert_eq!(bench.syncs() - before, 1);
}

#[tokio::test]
async fn lost_refreshes_are_asked_for_again() {
    for automated in [false, true] {
        let bench = Bench::start(Setup {
            automated,
            ..Setup::default()
        })
        .await;
        bench
            .standin
            .inject(Some(APP), Fault::DropRefreshes { count: 3 })
            .unwrap();
        let commit = bench.push(&digest('b'));
        bench.promotion(&commit, digest('b')).live().await;
    }
}

#[tokio::test]
async fn a_failed_apply_fails_with_its_message_and_a_retry_goes_on() {
    for automated in [false, true] {
        let bench = Bench::start(Setup {
            automated,
            ..Setup::default()
        })
        .await;
        let fault = Fault::FailApply {
            message: "admission webhook denied the request".into(),
            times: None,
            retries: Some(0),
        };
        bench.standin.inject(Some(APP), fault).unwrap();
        let commit = bench.push(&digest('b'));
        bench
            .promotion(&commit, digest('b'))
            .fails("admission webhook denied")
            .await;
        bench.standin.inject(None, Fault::Clear).unwrap();
        // The retry begins in a later second than that in which the first try ended.
        let ended = bench.read().await.unwrap().operation.unwrap().finished_at.unwrap();
        crate::harness::until("a later second", async || {
            (crate::harness::now() > ended.plus_millis(1_000)).then_some(())
        })
        .await;
        let mut retry = bench.promotion(&commit, digest('b'));
        retry.id = "p1/2".into();
        retry.live().await;
    }
}

#[tokio::test]
async fn tries_of_argo_cd_itself_are_waited_for() {
    let bench = Bench::start(Setup {
        timing: Timing {
            retry_backoff: Duration::from_millis(300),
            ..Timing::fast()
        },
        ..Setup::default()
    })
    .await;
    let fault = Fault::FailApply {
        message: "connection refused".into(),
        times: Some(2),
        retries: Some(3),
    };
    bench.standin.inject(Some(APP), fault).unwrap();
    let commit = bench.push(&digest('b'));
    let promotion = bench.promotion(&commit, digest('b'));
    promotion.waits("Retrying attempt").await;
    promotion.live().await;
}

#[tokio::test]
async fn a_rollout_that_breaks_fails() {
    for automated in [false, true] {
        let bench = Bench::start(Setup {
            automated,
            ..Setup::default()
        })
        .await;
        let outcome = RolloutOutcome::Degraded;
        bench.standin.inject(Some(APP), Fault::Rollout { outcome }).unwrap();
        let commit = bench.push(&digest('b'));
        bench.promotion(&commit, digest('b')).fails("The rollout failed").await;
    }
}

#[tokio::test]
async fn a_promotion_can_mend_what_was_broken() {
    let bench = Bench::start(Setup::default()).await;
    let outcome = RolloutOutcome::Degraded;
    bench.standin.inject(Some(APP), Fault::Rollout { outcome }).unwrap();
    let broken = bench.push(&digest('b'));
    bench.promotion(&broken, digest('b')).fails("Degraded").await;
    let outcome = RolloutOutcome::Healthy;
    let app = bench.read().await.unwrap();
    let mended = bench.push(&digest('c'));
    let mut promotion = bench.promotion(&mended, digest('c'));
    promotion.id = "p2".into();
    // What is seen before anything happened must not fail the new promotion.
    assert!(!matches!(promotion.decide(&app), Next::Failed { .. }));
    bench.standin.inject(Some(APP), Fault::Rollout { outcome }).unwrap();
    promotion.live().await;
}

#[tokio::test]
async fn manifests_that_cannot_be_made_fail_after_the_grace() {
    let bench = Bench::start(Setup::default()).await;
    let message = Some("failed to generate manifest for source 1 of 1".into());
    bench
        .standin
        .inject(Some(APP), Fault::ComparisonError { message })
        .unwrap();
    let commit = bench.push(&digest('b'));
    let mut promotion = bench.promotion(&commit, digest('b'));
    let first = promotion.run(|_| true).await;
    assert!(matches!(first, Next::Refresh { .. }), "{first:?}");
    promotion.grace_millis = 500;
    promotion.fails("failed to generate manifest").await;
}

#[tokio::test]
async fn an_application_that_is_being_deleted_fails() {
    let bench = Bench::start(Setup::default()).await;
    bench.standin.inject(Some(APP), Fault::Deleting { on: true }).unwrap();
    let commit = bench.push(&digest('b'));
    bench.promotion(&commit, digest('b')).fails("being deleted").await;
}

#[tokio::test]
async fn several_sources_are_synced_to_their_heads() {
    for automated in [false, true] {
        let bench = Bench::start(Setup {
            automated,
            ..Setup::default()
        })
        .await;
        bench.standin.inject(Some(APP), Fault::MultiSource).unwrap();
        bench
            .wait_for("two revisions", |app| app.sync_revisions.len() == 2)
            .await;
        let commit = bench.push(&digest('b'));
        bench.promotion(&commit, digest('b')).live().await;
    }
}

#[tokio::test]
async fn healing_by_argo_cd_itself_does_not_confuse() {
    let bench = Bench::start(automated()).await;
    let commit = bench.push(&digest('b'));
    let promotion = bench.promotion(&commit, digest('b'));
    promotion.live().await;
    bench.standin.inject(Some(APP), Fault::SelfHeal).unwrap();
    bench
        .wait_for("a partial operation", |app| {
            app.operation.as_ref().is_some_and(|operation| operation.partial)
        })
        .await;
    promotion.live().await;
}

#[tokio::test]
async fn an_edit_in_the_cluster_is_not_called_live() {
    let bench = Bench::start(Setup::default()).await;
    let commit = bench.push(&digest('b'));
    let promotion = bench.promotion(&commit, digest('b'));
    promotion.live().await;
    let fault = Fault::LiveImage {
        service: "api".into(),
        image: format!("r.example/api:hotfix@{}", digest('e')),
    };
    bench.standin.inject(Some(APP), fault).unwrap();
    let app = bench
        .wait_for("the edit", |app| {
            app.images.iter().all(|image| image.contains("hotfix"))
        })
        .await;
    let next = promotion.decide(&app);
    assert!(!matches!(next, Next::Live { .. }), "{next:?}");
}

#[tokio::test]
async fn where_nothing_is_to_run_the_manifests_are_the_proof() {
    let bench = Bench::start(Setup::default()).await;
    let commit = bench.commit(
        "environments/production/values.yaml",
        &format!(
            "services:\n  api:\n    replicas: 0\n    image:\n      repository: r.example/api\n      digest: {}\n",
            digest('b')
        ),
    );
    let evidence = bench.promotion(&commit, digest('b')).live().await;
    assert!(
        evidence.contains("Deployment api expects no pod now, and names it in Git and in the cluster"),
        "{evidence}"
    );
}
