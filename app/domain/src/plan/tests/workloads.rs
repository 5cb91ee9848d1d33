//! What is proven by workloads, where Argo CD lets them be read.

use super::*;

const HOUR: i64 = 3_600;

fn image(digest: &str) -> String {
    format!("r.example/api:v2@{digest}")
}

fn pod(name: &str, status: &str, digest: &str) -> Pod {
    Pod {
        name: name.into(),
        images: vec!["sidecar.example/proxy:1".into(), image(digest)],
        status: status.into(),
        created_at: Some(at(2)),
        ..Pod::default()
    }
}

/// A workload whose manifests name these digests, without pods.
fn workload(kind: &str, name: &str, target: &str, live: &str) -> Workload {
    Workload {
        kind: kind.into(),
        namespace: "shop".into(),
        name: name.into(),
        health: Some(Health::Healthy),
        target: vec![image(target)],
        live: vec![image(live)],
        expects_pods: !matches!(kind, "CronJob" | "Job"),
        ..Workload::default()
    }
}

/// The service's own, in which all is done.
fn deployment() -> Workload {
    Workload {
        pods: vec![pod("api-new", "Running", PROMISED)],
        ..workload("Deployment", "api", PROMISED, PROMISED)
    }
}

/// An Application with these workloads; its summary shows the old image as well, as it does while any pod of any phase has it.
fn with(workloads: Vec<Workload>) -> AppSnapshot {
    AppSnapshot {
        images: vec![image(OLD), image(PROMISED)],
        workloads: Some(workloads),
        workloads_withheld: None,
        ..manual()
    }
}

#[test]
fn workloads_are_read_when_they_matter_and_not_before() {
    let unread = AppSnapshot {
        workloads_withheld: None,
        ..manual()
    };
    text(decide(&unread), "inspect");
    text(decide(&before(unread)), "refresh");
}

#[test]
fn dead_pods_do_not_count() {
    for status in ["Evicted", "Error", "Completed", "Failed", "Terminating"] {
        let mut own = deployment();
        own.pods.push(pod("api-old", status, OLD));
        expect(decide(&with(vec![own])), "live", "Deployment api runs it in its pod");
    }
}

#[test]
fn a_living_pod_of_the_own_workload_with_another_image_is_waited_for() {
    let mut own = deployment();
    own.pods.push(pod("api-old", "Running", OLD));
    expect(
        decide(&with(vec![own.clone()])),
        "wait",
        "the last pod with another image to end: api-old",
    );
    own.pods.remove(0);
    expect(decide(&with(vec![own.clone()])), "wait", "none does yet");
    own.pods.clear();
    expect(decide(&with(vec![own.clone()])), "wait", "no pod of it lives yet");
    own.pods_hidden = true;
    expect(decide(&with(vec![own.clone()])), "wait", "no pod of it lives yet");
    let late = Asked { now: 100, ..ASKED };
    expect(ask(&with(vec![own]), &late), "live", "Argo CD shows no pods");
}

#[test]
fn a_workload_that_git_gives_another_digest_is_somebody_elses() {
    let mut worker = workload("Deployment", "worker", OLD, OLD);
    worker.pods = vec![pod("worker-1", "Running", OLD)];
    // A cronjob with completed pods of the old image, and one that Git no longer has and nobody pruned.
    let mut nightly = workload("CronJob", "nightly", OLD, OLD);
    nightly.pods = vec![pod("nightly-1", "Completed", OLD)];
    let mut gone = workload("Deployment", "gone", OLD, OLD);
    gone.target.clear();
    gone.pods = vec![pod("gone-1", "Running", OLD)];
    expect(decide(&with(vec![worker, deployment(), nightly, gone])), "live", "");
}

#[test]
fn all_workloads_with_the_digest_must_run_it() {
    let mut worker = workload("StatefulSet", "worker", PROMISED, PROMISED);
    worker.pods = vec![pod("worker-0", "Running", OLD)];
    expect(decide(&with(vec![deployment(), worker.clone()])), "wait", "worker-0");
    worker.pods = vec![
        pod("worker-0", "Running", PROMISED),
        pod("worker-1", "Running", PROMISED),
    ];
    expect(
        decide(&with(vec![deployment(), worker])),
        "live",
        "StatefulSet worker runs it in all of its 2 pods",
    );
    let init = Workload {
        target: vec!["busybox:1".into(), image(PROMISED)],
        ..workload("Job", "migrate", PROMISED, OLD)
    };
    expect(decide(&with(vec![deployment(), init])), "wait", "Job migrate");
}

#[test]
fn what_somebody_changed_in_the_cluster_since_is_synced_again() {
    let changed = |ended: i64| AppSnapshot {
        sync_status: "OutOfSync".into(),
        operation: Some(OperationSnapshot {
            promotion: Some("p0".into()),
            finished_at: Some(at(ended)),
            ..our_sync()
        }),
        ..with(vec![workload("Deployment", "api", PROMISED, OLD)])
    };
    expect(decide(&changed(-60)), "sync", "waits to be asked");
    // While the sync of another that began later may still be on its way to the cluster, it is waited for.
    expect(decide(&changed(2)), "wait", "names another image");
    let ours = AppSnapshot {
        operation: Some(our_sync()),
        ..changed(-60)
    };
    expect(decide(&ours), "wait", "ignoreDifferences");
}

#[test]
fn where_no_pod_is_expected_both_manifests_are_the_proof() {
    let mut idle = workload("Deployment", "api", PROMISED, PROMISED);
    idle.expects_pods = false;
    for own in [idle.clone(), workload("CronJob", "api", PROMISED, PROMISED)] {
        expect(
            decide(&with(vec![own])),
            "live",
            "expects no pod now, and names it in Git and in the cluster",
        );
    }
    idle.live = vec![image(OLD)];
    for own in [idle, workload("CronJob", "api", PROMISED, OLD)] {
        expect(decide(&with(vec![own])), "wait", "names another image");
    }
    let absent = Workload {
        live: Vec::new(),
        ..workload("CronJob", "api", PROMISED, OLD)
    };
    expect(decide(&with(vec![absent])), "wait", "not in the cluster yet");
}

#[test]
fn what_was_rendered_without_the_digest_is_said_with_its_causes() {
    for stale in [
        workload("Deployment", "api", OLD, OLD),
        workload("CronJob", "api", OLD, OLD),
        Workload {
            expects_pods: false,
            ..workload("Deployment", "api", OLD, OLD)
        },
    ] {
        let reason = text(decide(&with(vec![stale])), "failed");
        for part in [
            "Argo CD is at the commit, but what it rendered still names the old image",
            OLD,
            "manifest-generate-paths",
            "the chart does not use the value",
        ] {
            assert!(reason.contains(part), "{reason}");
        }
    }
    let tagged = Workload {
        target: vec!["r.example/api:v2".into()],
        ..workload("Deployment", "api", OLD, OLD)
    };
    expect(
        decide(&with(vec![tagged])),
        "failed",
        "names a tag, which proves nothing",
    );
    expect(
        decide(&with(vec![])),
        "failed",
        "nothing that it rendered names r.example/api",
    );
    // The manifests may be of the look before, for a moment.
    let asked = Asked {
        now: 7,
        stable_millis: STABLE_MILLIS,
        ..ASKED
    };
    let stale = with(vec![workload("Deployment", "api", OLD, OLD)]);
    expect(ask(&stale, &asked), "wait", "still names the old image");
}

#[test]
fn where_the_head_went_further_the_cluster_says_what_the_commit_rendered() {
    let mut app = with(vec![Workload {
        target: vec![image(OLD)],
        ..deployment()
    }]);
    app.sync_status = "OutOfSync".into();
    app.sync_revisions = vec![NEWER.into()];
    expect(decide(&app), "live", "Deployment api runs it");
}

#[test]
fn a_digest_is_proof_in_any_registry() {
    let mirror = format!("mirror.example/hub/api@{PROMISED}");
    let mut own = deployment();
    own.pods[0].images = vec![mirror.clone()];
    expect(decide(&with(vec![own.clone()])), "live", "");
    own.target = vec![mirror.clone()];
    own.live = vec![mirror.clone()];
    expect(decide(&with(vec![own])), "live", "");
    let by_summary = AppSnapshot {
        images: vec![mirror],
        ..manual()
    };
    expect(decide(&by_summary), "live", "");
}

#[test]
fn the_health_of_the_own_workload_decides() {
    let mut backup = workload("CronJob", "backup", OLD, OLD);
    backup.health = Some(Health::Degraded);
    let mut app = with(vec![deployment(), backup]);
    (app.health, app.health_since) = (Health::Degraded, Some(at(3)));
    let evidence = text(decide(&app), "live");
    assert!(
        evidence.contains("Warning: something else of the application is ill: CronJob backup is Degraded"),
        "{evidence}"
    );
    app.workloads.as_mut().unwrap()[0].health = Some(Health::Degraded);
    expect(
        decide(&app),
        "failed",
        "The rollout failed: Argo CD reports Deployment api as Degraded",
    );
    app.workloads.as_mut().unwrap()[0].health = Some(Health::Progressing);
    expect(decide(&app), "wait", "health of Deployment api is Progressing");
    // The last run of the own cronjob is of the image before.
    let mut own = workload("CronJob", "api", PROMISED, PROMISED);
    own.health = Some(Health::Degraded);
    expect(decide(&with(vec![own])), "live", "CronJob api");
}

#[test]
fn beside_an_ill_neighbour_the_own_pods_must_have_lived_for_a_moment() {
    let mut backup = workload("CronJob", "backup", OLD, OLD);
    backup.health = Some(Health::Degraded);
    let mut app = with(vec![deployment(), backup]);
    (app.health, app.health_since) = (Health::Degraded, Some(at(-HOUR)));
    app.workloads.as_mut().unwrap()[0].pods[0].created_at = Some(at(10));
    let asked = |now| Asked {
        now,
        stable_millis: STABLE_MILLIS,
        ..ASKED
    };
    expect(ask(&app, &asked(15)), "wait", "stays so");
    expect(ask(&app, &asked(16)), "live", "");
}

#[test]
fn a_paused_rollout_is_waited_for_as_long_as_it_takes() {
    let mut own = workload("Rollout", "api", PROMISED, PROMISED);
    own.health = Some(Health::Suspended);
    own.pods = vec![pod("api-old", "Running", OLD), pod("api-new", "Running", PROMISED)];
    let mut app = with(vec![own]);
    app.health = Health::Suspended;
    for next in [decide(&app), later(&app)] {
        expect(next, "paused", "Rollout api as Suspended");
    }
    // A cronjob that is suspended is as it should be.
    let mut own = workload("CronJob", "api", PROMISED, PROMISED);
    own.health = Some(Health::Suspended);
    expect(decide(&with(vec![own])), "live", "");
}

#[test]
fn a_failing_pod_is_named_with_its_reason() {
    let mut own = deployment();
    own.health = Some(Health::Degraded);
    own.pods[0].status = "ImagePullBackOff".into();
    own.pods[0].message = "Back-off pulling image".into();
    let mut app = with(vec![own]);
    app.health = Health::Degraded;
    expect(
        decide(&app),
        "failed",
        "The pod api-new: ImagePullBackOff: Back-off pulling image.",
    );
}

#[test]
fn without_the_right_to_read_them_the_summary_must_do_and_the_evidence_says_so() {
    let evidence = text(decide(&manual()), "live");
    for part in [
        "summary only",
        "permission denied",
        "`p, SUBJECT, applications, get, shop/shop-production, allow`",
    ] {
        assert!(evidence.contains(part), "{evidence}");
    }
}

#[test]
fn a_look_that_was_stored_before_is_read() {
    let mut old = serde_json::to_value(manual()).unwrap();
    for key in ["sources", "workloads", "workloads_withheld"] {
        old.as_object_mut().unwrap().remove(key);
    }
    let read: AppSnapshot = serde_json::from_value(old).unwrap();
    assert_eq!((read.workloads, read.sources), (None, Vec::new()));
}

/// What the cluster was told counts only where the head is further than what was applied.
#[test]
fn what_was_told_before_is_no_proof_of_what_git_renders_now() {
    let mut told = workload("Deployment", "api", OLD, PROMISED);
    told.pods = vec![pod("api-1", "Running", PROMISED)];
    let synced = with(vec![told.clone()]);
    let late = Asked { now: 100, ..ASKED };
    expect(ask(&synced, &late), "failed", "still names the old image");
    let further = AppSnapshot {
        sync_status: "OutOfSync".into(),
        ..synced
    };
    expect(ask(&further, &late), "live", "Deployment api runs it");
    // And not where Git renders it for others, which are not told yet.
    told.name = "left-behind".into();
    let mut untold = workload("Deployment", "api", PROMISED, OLD);
    untold.pods = vec![pod("api-1", "Running", OLD)];
    let further = AppSnapshot {
        workloads: Some(vec![untold, told]),
        ..further
    };
    text(ask(&further, &late), "wait");
}

/// A healthy Application's own time counts: a young pod may be one that a node's end made anew.
#[test]
fn a_young_pod_of_a_healthy_application_is_not_waited_for() {
    let mut own = deployment();
    own.pods[0].created_at = Some(at(99));
    let stable = Asked {
        now: 100,
        stable_millis: 5 * SECOND,
        ..ASKED
    };
    expect(ask(&with(vec![own.clone()]), &stable), "live", "");
    let mut ill = workload("Deployment", "worker", OLD, OLD);
    ill.health = Some(Health::Degraded);
    let degraded = AppSnapshot {
        health: Health::Degraded,
        ..with(vec![own, ill])
    };
    expect(ask(&degraded, &stable), "wait", "making sure that it stays so");
}
