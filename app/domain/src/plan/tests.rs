//! One test for each way in which Argo CD's report can mislead.

mod operations;
mod sources;
mod workloads;

use super::*;
use crate::artifact::{Digest, Repository};

const OURS: &str = "3f1c0d9e4b7a2c5d8e6f9a0b1c2d3e4f5a6b7c8d";
const OLDER: &str = "1111111111111111111111111111111111111111";
const NEWER: &str = "2222222222222222222222222222222222222222";
const PROMISED: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OLD: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const SECOND: i64 = 1_000;

/// The tests' clock: seconds since the push.
fn at(seconds: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + seconds * SECOND)
}

/// What the promotion changes.
fn files() -> Vec<String> {
    vec!["environments/production/values.yaml".to_owned()]
}

fn committed(files: &[String]) -> Committed<'_> {
    Committed {
        repository: "https://git.example/deploy.git",
        branch: "main",
        files,
    }
}

/// How the tests ask: twenty seconds after the push, with a grace of sixty, where Git knows that `NEWER` contains `OURS`.
struct Asked {
    now: i64,
    expects_pods: bool,
    stable_millis: i64,
    only_own: bool,
}

const ASKED: Asked = Asked {
    now: 20,
    expects_pods: true,
    stable_millis: 0,
    only_own: false,
};

fn ask(app: &AppSnapshot, asked: &Asked) -> Next {
    let digest: Digest = PROMISED.parse().unwrap();
    let repository: Repository = "r.example/api".parse().unwrap();
    let files = files();
    let intent = Intent {
        commit: OURS,
        digest: &digest,
        repository: &repository,
        committed: committed(&files),
        promotion: "p1",
        pushed_at: at(0),
        now: at(asked.now),
        beside: &[],
        expects_pods: asked.expects_pods,
        only_own: asked.only_own,
        stable_millis: asked.stable_millis,
        grace_millis: 60 * SECOND,
    };
    let covering: Vec<String> = candidate_revisions(app, OURS)
        .into_iter()
        .filter(|r| r == NEWER)
        .collect();
    next(app, &intent, &covering)
}

fn decide(app: &AppSnapshot) -> Next {
    ask(app, &ASKED)
}

fn later(app: &AppSnapshot) -> Next {
    ask(app, &Asked { now: 61, ..ASKED })
}

/// Our own sync, ended well.
fn our_sync() -> OperationSnapshot {
    OperationSnapshot {
        phase: "Succeeded".into(),
        started_at: Some(at(2)),
        finished_at: Some(at(4)),
        revisions: vec![OURS.into()],
        promotion: Some("p1".into()),
        initiated_by: "proj:shop:promoter".into(),
        ..OperationSnapshot::default()
    }
}

/// An automatic sync, ended well.
fn auto_operation() -> OperationSnapshot {
    OperationSnapshot {
        promotion: None,
        initiated_by: String::new(),
        ..our_sync()
    }
}

/// An Application that syncs when asked, in which all is done.
fn manual() -> AppSnapshot {
    AppSnapshot {
        name: "shop-production".into(),
        project: "shop".into(),
        target_revision: "main".into(),
        sync_status: "Synced".into(),
        sync_revisions: vec![OURS.into()],
        compared_to_current_source: true,
        health: Health::Healthy,
        health_since: Some(at(6)),
        reconciled_at: Some(at(5)),
        operation: Some(our_sync()),
        images: vec![
            format!("r.example/api:v2@{PROMISED}"),
            "sidecar.example/proxy:1".to_owned(),
        ],
        workloads_withheld: Some("permission denied".into()),
        ..AppSnapshot::default()
    }
}

/// One that syncs by itself, in which all is done.
fn auto() -> AppSnapshot {
    AppSnapshot {
        auto_sync: true,
        operation: Some(auto_operation()),
        ..manual()
    }
}

/// Before our commit was noticed.
fn before(mut app: AppSnapshot) -> AppSnapshot {
    app.sync_revisions = vec![OLDER.into()];
    app.images = vec![format!("r.example/api@{OLD}")];
    if let Some(operation) = &mut app.operation {
        operation.revisions = vec![OLDER.into()];
        operation.promotion = None;
        operation.initiated_by = "admin".into();
        (operation.started_at, operation.finished_at) = (Some(at(-99)), Some(at(-98)));
    }
    (app.reconciled_at, app.health_since) = (Some(at(-90)), Some(at(-80)));
    app
}

#[track_caller]
fn text(next: Next, kind: &str) -> String {
    let (is, text) = match next {
        Next::Refresh { cause, why } => ("refresh", format!("{why} [{cause:?}]")),
        Next::Sync {
            revision,
            only,
            cause,
            why,
        } => {
            let only: String = only.iter().map(|one| format!(" {}/{}", one.kind, one.name)).collect();
            ("sync", format!("{revision:?} {why}{only} [{cause:?}]"))
        }
        Next::Wait { why } => ("wait", why),
        Next::SyncsItself { why } => ("syncs itself", why),
        Next::Paused { why } => ("paused", why),
        Next::Inspect => ("inspect", String::new()),
        Next::Live { evidence } => ("live", evidence),
        Next::NotRendered { reason, remedy } | Next::Failed { reason, remedy } => {
            ("failed", format!("{reason} {remedy}"))
        }
    };
    assert_eq!(is, kind, "{text}");
    text
}

#[track_caller]
fn expect(next: Next, kind: &str, part: &str) {
    let text = text(next, kind);
    assert!(text.contains(part), "{text:?} does not contain {part:?}");
}

#[test]
fn live_is_said_with_its_evidence() {
    for app in [manual(), auto()] {
        let evidence = text(decide(&app), "live");
        for part in ["3f1c0d9", "Healthy", PROMISED, "r.example/api"] {
            assert!(evidence.contains(part), "{evidence}");
        }
    }
}

#[test]
fn an_application_that_is_being_deleted_fails() {
    let app = AppSnapshot {
        deleting: true,
        ..manual()
    };
    expect(decide(&app), "failed", "being deleted");
}

#[test]
fn a_brand_new_application_is_refreshed() {
    let app = AppSnapshot {
        auto_sync: true,
        ..AppSnapshot::default()
    };
    expect(decide(&app), "refresh", "has not resolved the default branch");
}

#[test]
fn an_unreadable_source_fails_only_after_the_grace_and_a_newer_comparison() {
    let mut app = manual();
    app.conditions = vec![(
        "ComparisonError".into(),
        "failed to generate manifest: bad values".into(),
    )];
    (app.sync_status, app.sync_revisions) = ("Unknown".into(), vec!["main".into()]);
    expect(decide(&app), "refresh", "bad values");
    expect(later(&app), "failed", "bad values");
    app.reconciled_at = Some(at(-1));
    expect(later(&app), "refresh", "bad values");
    app.conditions[0].0 = "InvalidSpecError".into();
    expect(later(&app), "failed", "bad values"); // no comparison is made with an invalid specification
    app.conditions[0].0 = "OrphanedResourceWarning".into();
    app.reconciled_at = Some(at(5));
    expect(later(&app), "live", "");
}

#[test]
fn an_unreadable_source_does_not_interrupt_an_operation() {
    let mut app = manual();
    app.conditions = vec![("ComparisonError".into(), "connection refused".into())];
    app.operation_pending = true;
    expect(decide(&app), "wait", "the sync of this promotion");
}

#[test]
fn an_operation_that_was_asked_for_and_has_not_begun_is_waited_for() {
    let mut app = before(manual());
    (app.operation, app.operation_pending) = (None, true);
    expect(decide(&app), "wait", "about to start");
    app.operation = Some(OperationSnapshot {
        phase: String::new(),
        promotion: Some("p1".into()),
        ..OperationSnapshot::default()
    });
    expect(decide(&app), "wait", "the sync of this promotion");
}

#[test]
fn running_operations_are_waited_for_and_named() {
    for (promotion, by, name) in [
        (Some("p1"), "promoter", "the sync of this promotion"),
        (Some("p0"), "promoter", "the sync of another promotion"),
        (None, "alice", "a sync started by alice"),
        (None, "", "a sync by Argo CD itself"),
    ] {
        let mut app = manual();
        app.operation_pending = true;
        app.operation = Some(OperationSnapshot {
            phase: "Running".into(),
            message: "waiting for completion of hook batch/Job/migrate".into(),
            finished_at: None,
            promotion: promotion.map(Into::into),
            initiated_by: by.into(),
            ..our_sync()
        });
        let why = text(decide(&app), "wait");
        assert!(why.contains(name) && why.contains("batch/Job/migrate"), "{why}");
    }
}

#[test]
fn running_with_an_end_is_between_two_tries_and_not_done() {
    let mut app = manual();
    app.operation = Some(OperationSnapshot {
        phase: "Running".into(),
        message: "one or more objects failed to apply. Retrying attempt #1 at 3:04PM.".into(),
        ..our_sync()
    });
    expect(decide(&app), "wait", "Retrying attempt #1");
}

#[test]
fn a_terminating_operation_is_waited_for() {
    let mut app = manual();
    app.operation = Some(OperationSnapshot {
        phase: "Terminating".into(),
        ..our_sync()
    });
    expect(decide(&app), "wait", "stop an operation");
}

#[test]
fn an_operation_behind_a_sync_window_says_so() {
    let mut app = manual();
    app.operation = Some(OperationSnapshot {
        phase: "Running".into(),
        message: "Sync operation blocked by sync window".into(),
        ..our_sync()
    });
    expect(decide(&app), "wait", "A sync window of Argo CD blocks");
}

#[test]
fn manual_asks_for_a_sync_of_the_head_once_argo_cd_has_seen_the_commit() {
    for head in [OURS, NEWER] {
        let mut app = before(manual());
        (app.sync_status, app.sync_revisions) = ("OutOfSync".into(), vec![head.into()]);
        expect(decide(&app), "sync", "None");
        app.operation = None;
        expect(decide(&app), "sync", "None");
    }
}

#[test]
fn a_lost_refresh_is_asked_for_again_and_then_the_commit_by_name() {
    let app = before(manual());
    expect(decide(&app), "refresh", "compares with 1111111 of main");
    expect(later(&app), "sync", OURS);
    let several = AppSnapshot {
        sync_revisions: vec![OLDER.into(), OLDER.into()],
        ..before(manual())
    };
    expect(
        later(&several),
        "refresh",
        "Check that the application follows the branch",
    ); // a revision would be ignored
    expect(
        later(&before(auto())),
        "refresh",
        "Check that the application follows the branch",
    ); // and here refused
}

#[test]
fn manual_with_a_foreign_failure_or_an_older_success_syncs_itself() {
    for phase in ["Failed", "Error", "Succeeded"] {
        let mut app = before(manual());
        (app.sync_status, app.sync_revisions) = ("OutOfSync".into(), vec![OURS.into()]);
        let operation = app.operation.as_mut().unwrap();
        operation.phase = phase.into();
        operation.revisions = vec![if phase == "Succeeded" { OLDER } else { OURS }.into()];
        expect(decide(&app), "sync", "None");
    }
}

#[test]
fn our_own_failure_fails_with_argo_cds_words() {
    for (app, phase) in [(manual(), "Failed"), (manual(), "Error"), (auto(), "Failed")] {
        let app = AppSnapshot {
            operation: Some(OperationSnapshot {
                phase: phase.into(),
                message: "one or more objects failed to apply, reason: denied (retried 5 times).".into(),
                ..our_sync()
            }),
            ..app
        };
        // The cause first, without who passed it on.
        expect(
            decide(&app),
            "failed",
            "denied (retried 5 times). Argo CD could not apply the commit",
        );
        let reason = text(decide(&app), "failed");
        assert!(reason.starts_with("denied"), "{reason}");
    }
}

#[test]
fn a_success_of_ours_without_a_result_is_not_believed() {
    let mut app = manual();
    (app.sync_status, app.sync_revisions) = ("OutOfSync".into(), vec![OURS.into()]);
    app.operation.as_mut().unwrap().revisions.clear();
    app.operation.as_mut().unwrap().requested = vec![OURS.into()];
    expect(decide(&app), "sync", "None");
}

#[test]
fn somebody_elses_newer_sync_covers_ours() {
    let mut app = manual();
    app.sync_revisions = vec![NEWER.into()];
    app.operation = Some(OperationSnapshot {
        revisions: vec![NEWER.into()],
        promotion: None,
        initiated_by: "alice".into(),
        ..our_sync()
    });
    expect(
        decide(&app),
        "live",
        "a sync started by alice succeeded at 2222222, which contains 3f1c0d9",
    );
}

#[test]
fn manual_is_live_although_out_of_sync_with_a_newer_head() {
    let mut app = manual();
    (app.sync_status, app.sync_revisions) = ("OutOfSync".into(), vec![OLDER.replace('1', "4")]);
    expect(decide(&app), "live", "the sync of this promotion");
}

#[test]
fn a_rollback_in_argo_cd_after_our_sync_is_noticed() {
    let mut app = manual();
    app.sync_status = "OutOfSync".into();
    app.operation = Some(OperationSnapshot {
        revisions: vec![OLDER.into()],
        promotion: None,
        initiated_by: "alice".into(),
        ..our_sync()
    });
    expect(decide(&app), "sync", "None");
    // Synced is from before it.
    app.sync_status = "Synced".into();
    app.reconciled_at = Some(at(3));
    expect(decide(&app), "refresh", "look at the result");
}

#[test]
fn partial_operations_prove_nothing_and_fail_nothing() {
    for phase in ["Succeeded", "Failed"] {
        let mut app = auto();
        app.sync_status = "OutOfSync".into();
        let operation = app.operation.as_mut().unwrap();
        (operation.partial, operation.phase) = (true, phase.into());
        expect(decide(&app), "syncs itself", "about to sync");
        app.sync_status = "Synced".into();
        expect(decide(&app), "live", "Synced at 3f1c0d9");
    }
    let mut ours = manual();
    ours.sync_status = "OutOfSync".into();
    ours.operation.as_mut().unwrap().partial = true;
    expect(decide(&ours), "sync", "None");
}

#[test]
fn what_only_waits_to_be_pruned_is_no_difference() {
    let mut app = auto();
    app.sync_status = "OutOfSync".into();
    expect(decide(&app), "syncs itself", "sync by itself");
    app.awaits_pruning = true;
    expect(decide(&app), "live", "by Argo CD itself succeeded");
}

#[test]
fn where_the_service_alone_is_synced_a_sync_of_it_is_enough() {
    let alone = Asked {
        only_own: true,
        ..ASKED
    };
    let mut app = manual();
    app.sync_status = "OutOfSync".into();
    app.operation.as_mut().unwrap().partial = true;
    expect(ask(&app, &alone), "live", "the sync of this promotion succeeded");
    // What to sync must be known first; where that is withheld, the whole of it is synced.
    app.operation.as_mut().unwrap().promotion = None;
    (app.workloads, app.workloads_withheld) = (None, None);
    assert_eq!(ask(&app, &alone), Next::Inspect);
    app.workloads_withheld = Some("no right".into());
    expect(ask(&app, &alone), "sync", "None");

    let workload = |target: &str, live: &str| Workload {
        group: "apps".into(),
        kind: "Deployment".into(),
        name: "api".into(),
        target: vec![format!("r.example/api@{target}")],
        live: vec![format!("r.example/api@{live}")],
        ..Workload::default()
    };
    app.workloads_withheld = None;
    app.workloads = Some(vec![workload(PROMISED, OLD)]);
    expect(ask(&app, &alone), "sync", "Deployment/api");
    // Another service's sync may have taken the place of this one's: what the cluster was told counts.
    app.workloads = Some(vec![workload(PROMISED, PROMISED)]);
    expect(ask(&app, &alone), "live", "Synced at 3f1c0d9");
    // Nothing else is ever synced: not what was rendered before, and not where the chart leaves the digest out.
    app.workloads = Some(vec![workload(OLD, OLD)]);
    expect(ask(&app, &alone), "failed", "still names the old image");
    app.sync_revisions = vec![OLDER.into()];
    expect(ask(&app, &alone), "refresh", "has not seen the commit");
    let late = Asked { now: 100, ..alone };
    expect(ask(&app, &late), "refresh", "has not seen the commit");
}

#[test]
fn a_commit_without_changes_for_the_application_needs_no_operation() {
    for base in [auto(), manual()] {
        let mut app = before(base);
        (app.sync_revisions, app.reconciled_at) = (vec![OURS.into()], Some(at(3)));
        app.images = vec![format!("r.example/api@{PROMISED}")];
        expect(decide(&app), "live", "Synced at 3f1c0d9");
        app.operation = None;
        expect(decide(&app), "live", "Synced at 3f1c0d9");
    }
}

#[test]
fn auto_waits_for_argo_cds_own_sync_and_asks_after_the_grace() {
    let mut app = before(auto());
    (app.sync_status, app.sync_revisions) = ("OutOfSync".into(), vec![OURS.into()]);
    expect(decide(&app), "syncs itself", "sync by itself");
    expect(later(&app), "sync", "None");
    // Ours ended well and it is still OutOfSync: only pruning is left, which nobody asked for.
    app = AppSnapshot {
        sync_status: "OutOfSync".into(),
        operation: Some(our_sync()),
        ..auto()
    };
    expect(decide(&app), "live", "the sync of this promotion");
}

#[test]
fn auto_with_an_automatic_success_still_requires_synced() {
    let app = AppSnapshot {
        sync_status: "OutOfSync".into(),
        ..auto()
    };
    expect(decide(&app), "syncs itself", "sync by itself");
}

#[test]
fn auto_fails_when_the_automatic_sync_of_a_covering_revision_failed() {
    for (revisions, requested) in [
        (vec![OURS], vec![]),
        (vec![NEWER], vec![]),
        (vec![], vec![OURS]),
        (vec![OLDER], vec![OURS]),
    ] {
        let mut app = auto();
        app.sync_status = "OutOfSync".into();
        let operation = app.operation.as_mut().unwrap();
        (operation.phase, operation.message) = ("Failed".into(), "namespace auto creation failed: no".into());
        operation.revisions = revisions.iter().map(ToString::to_string).collect();
        operation.requested = requested.iter().map(ToString::to_string).collect();
        if revisions == [OLDER] {
            expect(decide(&app), "syncs itself", "sync by itself");
        } else {
            expect(decide(&app), "failed", "namespace auto creation failed");
        }
    }
}

#[test]
fn a_retry_on_auto_asks_for_the_sync_that_argo_cd_does_not_repeat() {
    let mut app = auto();
    app.sync_status = "OutOfSync".into();
    app.conditions = vec![(
        "SyncError".into(),
        format!("Failed last sync attempt to [{OURS}]: denied"),
    )];
    let operation = app.operation.as_mut().unwrap();
    operation.phase = "Failed".into();
    (operation.started_at, operation.finished_at) = (Some(at(-60)), Some(at(-50)));
    expect(decide(&app), "sync", "None");
    // Its own sync ended well: the condition is of before.
    app.operation = Some(our_sync());
    expect(decide(&app), "live", "the sync of this promotion");
}

#[test]
fn sync_error_fails_when_it_names_a_covering_revision() {
    let mut app = auto();
    (app.sync_status, app.operation) = ("OutOfSync".into(), None);
    app.sync_revisions = vec![NEWER.into()];
    for (revision, fails) in [(OURS, true), (NEWER, true), (OLDER, false)] {
        let message = format!("Failed last sync attempt to [{revision}]: one or more objects failed to apply");
        app.conditions = vec![("SyncError".into(), message)];
        if fails {
            expect(decide(&app), "failed", "objects failed to apply");
        } else {
            expect(decide(&app), "syncs itself", "sync by itself");
        }
    }
}

#[test]
fn the_old_health_right_after_a_sync_is_not_believed() {
    let mut app = manual();
    app.reconciled_at = Some(at(3));
    expect(decide(&app), "refresh", "look at the result");
    app.reconciled_at = None;
    expect(decide(&app), "refresh", "look at the result");
}

#[test]
fn the_same_second_is_no_proof() {
    let mut app = manual();
    app.reconciled_at = app.operation.as_ref().unwrap().finished_at;
    expect(decide(&app), "refresh", "look at the result");
}

#[test]
fn a_partial_operation_outdates_the_comparison_too() {
    let mut app = auto();
    app.operation.as_mut().unwrap().partial = true;
    app.operation.as_mut().unwrap().finished_at = Some(at(9));
    expect(decide(&app), "refresh", "look at the result");
}

#[test]
fn a_comparison_with_another_source_is_no_proof() {
    let app = AppSnapshot {
        compared_to_current_source: false,
        ..manual()
    };
    expect(decide(&app), "refresh", "source was changed");
}

#[test]
fn a_branch_in_place_of_a_commit_is_never_asked_about_nor_believed() {
    let mut app = auto();
    app.sync_revisions = vec!["main".into(), "HEAD".into(), String::new(), "3f1c0d9".into()];
    app.operation.as_mut().unwrap().requested = vec!["main".into(), OLDER.into(), OLDER.into(), OURS.into()];
    assert_eq!(candidate_revisions(&app, OURS), [OLDER]);
    app.operation = None;
    let digest: Digest = PROMISED.parse().unwrap();
    let repository: Repository = "r.example/api".parse().unwrap();
    let files = files();
    let intent = Intent {
        commit: OURS,
        digest: &digest,
        repository: &repository,
        committed: committed(&files),
        promotion: "p1",
        pushed_at: at(0),
        now: at(9),
        beside: &[],
        expects_pods: true,
        only_own: false,
        stable_millis: 0,
        grace_millis: 0,
    };
    text(next(&app, &intent, &["main".into(), "HEAD".into()]), "refresh");
}

#[test]
fn any_source_of_several_may_carry_the_commit() {
    let mut app = auto();
    app.sync_revisions = vec![OLDER.into(), OURS.into()];
    app.operation.as_mut().unwrap().revisions = vec!["1.4.2".into(), OURS.into()];
    expect(decide(&app), "live", "3f1c0d9");
}

#[test]
fn health_on_its_way_is_waited_for_by_name() {
    for (health, part) in [
        (Health::Progressing, "health of shop-production is Progressing"),
        (Health::Missing, "is Missing"),
        (Health::Unknown, "is Unknown"),
    ] {
        expect(decide(&AppSnapshot { health, ..manual() }), "wait", part);
    }
    let health = Health::Suspended;
    expect(
        decide(&AppSnapshot { health, ..manual() }),
        "paused",
        "Resume it in Argo CD",
    );
}

#[test]
fn degraded_by_our_rollout_fails_at_once() {
    let app = AppSnapshot {
        health: Health::Degraded,
        ..manual()
    };
    expect(decide(&app), "failed", "The rollout failed");
}

#[test]
fn degraded_before_our_rollout_may_recover_within_the_grace() {
    let mut app = manual();
    (app.health, app.health_since) = (Health::Degraded, Some(at(-500)));
    expect(decide(&app), "wait", "whether it recovers");
    expect(later(&app), "failed", "has not recovered");
    app.health_since = None; // Argo CD before 2.14
    expect(decide(&app), "wait", "whether it recovers");
    // No rollout of ours at all.
    app = before(auto());
    (app.sync_revisions, app.health, app.health_since) = (vec![OURS.into()], Health::Degraded, Some(at(-5)));
    expect(decide(&app), "wait", "whether it recovers");
}

#[test]
fn only_the_promised_digest_may_run() {
    for (images, part) in [
        (vec![], "no live pod of r.example/api"),
        (vec![format!("other.example/api@{OLD}")], "no live pod of r.example/api"),
        (
            vec![format!("r.example/api@{OLD}")],
            "none runs the promised digest yet",
        ),
        (
            vec![format!("r.example/api@{OLD}"), format!("r.example/api@{PROMISED}")],
            "last pod with r.example/api@sha256:bbb",
        ),
        (
            vec!["r.example/api:v1".to_owned(), format!("r.example/api:v2@{PROMISED}")],
            "last pod with r.example/api:v1",
        ),
    ] {
        expect(decide(&AppSnapshot { images, ..manual() }), "wait", part);
    }
}

#[test]
fn without_expected_pods_the_sync_is_the_proof() {
    let asked = Asked {
        expects_pods: false,
        ..ASKED
    };
    for images in [vec![], vec![format!("r.example/api@{OLD}")]] {
        expect(
            ask(&AppSnapshot { images, ..manual() }, &asked),
            "live",
            "No pods are expected",
        );
    }
}

#[test]
fn healthy_must_hold_for_a_moment_and_a_truncated_second() {
    let asked = |now| Asked {
        now,
        stable_millis: STABLE_MILLIS,
        ..ASKED
    };
    let app = manual(); // healthy since second 6
    expect(ask(&app, &asked(11)), "wait", "stays so");
    expect(ask(&app, &asked(12)), "live", "");
    // Unknown, or ahead of our clock: counted from the push.
    for health_since in [None, Some(at(3600))] {
        let app = AppSnapshot {
            health_since,
            ..manual()
        };
        expect(ask(&app, &asked(5)), "wait", "stays so");
        expect(ask(&app, &asked(6)), "live", "");
    }
}

#[test]
fn long_foreign_messages_are_shortened() {
    let mut app = manual();
    let operation = app.operation.as_mut().unwrap();
    (operation.phase, operation.message) = ("Failed".into(), "é".repeat(5_000));
    let reason = text(decide(&app), "failed");
    assert!(reason.contains('…') && reason.chars().count() < 2_000, "{reason}");
}
