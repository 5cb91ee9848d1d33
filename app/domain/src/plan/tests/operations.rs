//! What Argo CD's operations and its comparison say of a commit.

use super::*;

/// Whether the commit is said to be applied, with `NEWER` known to contain it.
fn applied(app: &AppSnapshot) -> bool {
    let (digest, repository): (Digest, Repository) = (PROMISED.parse().unwrap(), "r.example/api".parse().unwrap());
    let files = files();
    let intent = Intent {
        commit: OURS,
        digest: &digest,
        repository: &repository,
        committed: committed(&files),
        promotion: "p1",
        pushed_at: at(0),
        now: at(20),
        beside: &[],
        expects_pods: true,
        only_own: false,
        stable_millis: 0,
        grace_millis: 60 * SECOND,
    };
    is_applied(app, &intent, &[NEWER.to_owned()])
}

#[test]
fn applied_is_what_an_operation_or_the_comparison_says_of_our_commit() {
    let nothing = before(manual());
    assert!(!applied(&nothing));
    for revision in [OURS, NEWER] {
        let mut by_comparison = nothing.clone();
        by_comparison.sync_revisions = vec![revision.into()];
        assert!(applied(&by_comparison), "{revision}");
        by_comparison.sync_status = "OutOfSync".into();
        assert!(!applied(&by_comparison), "seen, and not applied");

        let mut by_operation = nothing.clone();
        by_operation.operation.as_mut().unwrap().revisions = vec![revision.into()];
        assert!(applied(&by_operation), "{revision}");
        let running = |phase: &str| {
            let mut app = by_operation.clone();
            app.operation.as_mut().unwrap().phase = phase.into();
            app
        };
        for phase in ["Running", "Failed", "Terminating"] {
            assert!(!applied(&running(phase)), "{phase}");
        }
        // Another operation is asked for: it may apply something else.
        by_operation.operation_pending = true;
        assert!(!applied(&by_operation));
    }
}

#[test]
fn a_hook_that_runs_is_told_from_one_that_has_ended() {
    let operation = |hook: &str, phase: &str| OperationSnapshot {
        resources: vec![ResourceOutcome {
            hook: hook.into(),
            phase: phase.into(),
            ..ResourceOutcome::default()
        }],
        ..OperationSnapshot::default()
    };
    assert!(operation("PreSync", "Running").hook_runs());
    assert!(!operation("PreSync", "Succeeded").hook_runs());
    assert!(!operation("", "Running").hook_runs(), "no hook");
    assert!(!OperationSnapshot::default().hook_runs());
}

#[test]
fn an_operation_waits_at_a_window_only_while_it_runs() {
    let operation = |phase: &str, message: &str| OperationSnapshot {
        phase: phase.into(),
        message: message.into(),
        ..OperationSnapshot::default()
    };
    assert!(operation("Running", "Sync operation Blocked by sync window").is_at_window());
    assert!(!operation("Running", "waiting for healthy state").is_at_window());
    assert!(!operation("Failed", "Sync operation blocked by sync window").is_at_window());
}

#[test]
fn a_sync_that_somebody_ended_is_asked_for_again_and_ours_fails() {
    let ended = |operation: OperationSnapshot| AppSnapshot {
        sync_status: "OutOfSync".into(),
        operation: Some(OperationSnapshot {
            phase: "Failed".into(),
            message: "Operation terminated".into(),
            ..operation
        }),
        ..auto()
    };
    expect(decide(&ended(auto_operation())), "sync", "ended before it was done");
    expect(decide(&ended(our_sync())), "failed", "Operation terminated");
}

#[test]
fn a_part_that_is_down_is_waited_for_in_our_sync_and_in_argo_cds() {
    let failed = |operation: OperationSnapshot, app: AppSnapshot| AppSnapshot {
        sync_status: "OutOfSync".into(),
        operation: Some(OperationSnapshot {
            phase: "Error".into(),
            message: "ComparisonError: rpc error: code = Unavailable desc = error reading from server: EOF".into(),
            ..operation
        }),
        ..app
    };
    for app in [
        failed(our_sync(), manual()),
        failed(our_sync(), auto()),
        failed(auto_operation(), auto()),
    ] {
        expect(decide(&app), "sync", "repository server doesn't answer");
    }
    // Another's sync, of another commit, says nothing about ours.
    let mut others = failed(auto_operation(), auto());
    others.operation.as_mut().unwrap().revisions = vec![OLDER.into()];
    expect(decide(&others), "syncs itself", "about to sync");
}

#[test]
fn what_argo_cd_has_seen_and_not_compared_is_looked_at_again() {
    let mut app = before(manual());
    (app.sync_status, app.sync_revisions) = ("Unknown".into(), vec![OURS.into()]);
    expect(decide(&app), "refresh", "has not compared it with the cluster");
    app.sync_status = "OutOfSync".into();
    expect(later(&app), "sync", "waits to be asked");
    app.auto_sync = true;
    expect(later(&app), "sync", "has not synced by itself");
}

#[test]
fn only_where_the_policy_says_so_is_less_than_the_application_synced() {
    let mut app = with_workload();
    app.sync_status = "OutOfSync".into();
    app.operation = None;
    let next = |only_own: bool, app: &AppSnapshot| match ask(app, &Asked { only_own, ..ASKED }) {
        Next::Sync { only, .. } => only.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(next(true, &app), 1);
    assert_eq!(next(false, &app), 0, "all of it");
}

fn with_workload() -> AppSnapshot {
    AppSnapshot {
        workloads: Some(vec![Workload {
            group: "apps".into(),
            kind: "Deployment".into(),
            name: "api".into(),
            target: vec![format!("r.example/api@{PROMISED}")],
            live: vec![format!("r.example/api@{OLD}")],
            ..Workload::default()
        }]),
        workloads_withheld: None,
        ..manual()
    }
}

#[test]
fn a_sync_that_says_nothing_is_named_and_no_more() {
    let mut app = manual();
    app.operation = Some(OperationSnapshot {
        phase: "Running".into(),
        message: String::new(),
        ..our_sync()
    });
    assert_eq!(
        text(decide(&app), "wait"),
        "Argo CD is syncing: the sync of this promotion."
    );
    app.operation.as_mut().unwrap().message = "waiting for the hook".into();
    assert_eq!(
        text(decide(&app), "wait"),
        "Argo CD is syncing: the sync of this promotion, waiting for the hook"
    );
}

#[test]
fn a_success_of_an_older_commit_excuses_no_failure_of_ours() {
    let mut app = before(auto());
    app.sync_status = "OutOfSync".into();
    app.sync_revisions = vec![OURS.into()];
    app.conditions = vec![(
        "SyncError".into(),
        format!("Failed last sync attempt to [{OURS}]: denied"),
    )];
    assert_eq!(app.operation.as_ref().unwrap().phase, "Succeeded");
    expect(decide(&app), "failed", "denied");
}

/// Asked about something else, Argo CD is asked at once: so what it is asked about must be told apart.
#[test]
fn each_cause_is_told_apart() {
    let unseen = before(manual());
    expect(decide(&unseen), "refresh", "[NotSeen]");
    expect(later(&unseen), "sync", "[NotOnItsBranch]");
    let seen = AppSnapshot {
        sync_status: "Unknown".into(),
        sync_revisions: vec![OURS.into()],
        ..before(manual())
    };
    expect(decide(&seen), "refresh", "[NotCompared]");
    let waits = AppSnapshot {
        sync_status: "OutOfSync".into(),
        ..seen
    };
    expect(decide(&waits), "sync", "[NotSynced]");
    let mut changed = manual();
    changed.compared_to_current_source = false;
    expect(decide(&changed), "refresh", "[SourceChanged]");
    let mut synced = manual();
    synced.reconciled_at = Some(at(4));
    expect(decide(&synced), "refresh", "[NotComparedSinceSync]");
    let broken = |message: &str| AppSnapshot {
        conditions: vec![("ComparisonError".into(), message.into())],
        ..manual()
    };
    expect(decide(&broken("bad values")), "refresh", "[Unreadable]");
    expect(
        decide(&broken("rpc error: code = Unavailable desc = EOF")),
        "refresh",
        "[PartDown(RepoServer)]",
    );
    let failed = |message: &str, ended: i64| AppSnapshot {
        sync_status: "OutOfSync".into(),
        operation: Some(OperationSnapshot {
            phase: "Failed".into(),
            message: message.into(),
            finished_at: Some(at(ended)),
            ..auto_operation()
        }),
        ..auto()
    };
    expect(decide(&failed("Operation terminated", 4)), "sync", "[Ended]");
    expect(decide(&failed("denied", -50)), "sync", "[FailedEarlier]");
}
