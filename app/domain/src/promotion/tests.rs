//! Which states follow which, and what a transition keeps.

use super::*;
use uuid::Uuid;

pub(crate) fn promotion(state: State) -> Promotion {
    let digest = format!("sha256:{}", "a1b2c3d4".repeat(8));
    Promotion {
        copied_to: None,
        id: PromotionId(Uuid::from_u128(1)),
        workspace: WorkspaceId(Uuid::from_u128(2)),
        project: ProjectId(Uuid::from_u128(3)),
        environment: EnvironmentId(Uuid::from_u128(4)),
        resource: ResourceId(Uuid::from_u128(5)),
        number: 1,
        purpose: Purpose::Promote,
        requested_by: Actor::Waybill,
        origin: Some(Origin {
            environment: "staging".parse().unwrap(),
            resource: "api".parse().unwrap(),
        }),
        image: ExactImage {
            repository: "r.example/api".parse().unwrap(),
            tag: None,
            digest: digest.parse().unwrap(),
        },
        previous: None,
        creates: false,
        creates_file: false,
        state,
        waits_for: Some("something".into()),
        failure: None,
        commit: None,
        committed_at: None,
        tries: 1,
        attempts: 3,
        created_at: Timestamp(0),
        state_since: Timestamp(0),
        ended_at: None,
        counts_from: None,
    }
}

#[test]
fn the_phase_of_a_state_is_that_of_its_commit() {
    use Phase::{AfterCommit, BeforeCommit, Committing, Ended};
    let phases = [
        (State::Waiting, BeforeCommit),
        (State::Queued, BeforeCommit),
        (State::Mirroring, BeforeCommit),
        (State::Committing, Committing),
        (State::Syncing, AfterCommit),
        (State::Verifying, AfterCommit),
        (State::Succeeded, Ended),
        (State::Rejected, Ended),
        (State::Cancelled, Ended),
        (State::Superseded, Ended),
        (State::Failed, Ended),
    ];
    assert_eq!(phases.map(|(state, _)| state), State::ALL);
    for (state, phase) in phases {
        assert_eq!(state.phase(), phase, "{state}");
        assert_eq!(state.is_ended(), phase == Ended, "{state}");
        assert_eq!(state.step().is_none(), phase == Ended, "{state}");
        let is_after_push = matches!(state.step(), Some(Step::Sync | Step::Verify));
        assert_eq!(is_after_push, phase == AfterCommit, "{state}");
        let before_push = matches!(state.step(), Some(Step::Gates | Step::Resolve | Step::Mirror));
        assert_eq!(before_push, phase == BeforeCommit, "{state}");
    }
}

#[test]
fn what_waits_for_people_or_has_ended_is_never_stuck() {
    let (begin, minute) = (Timestamp(1_000_000), 60_000);
    for state in State::ALL {
        let after = |minutes: i64| state.is_stuck(begin, begin.plus_millis(minutes * minute));
        let expected = match state {
            // A copy takes the time that its bytes take.
            State::Queued | State::Committing => [false, true, true],
            State::Syncing | State::Verifying => [false, false, true],
            _ => [false, false, false],
        };
        assert_eq!([after(1), after(2), after(16)], expected, "{state}");
    }
}

#[test]
fn nothing_follows_an_ended_state_but_a_retry_and_everything_else_can_end() {
    for from in State::ALL {
        for to in State::ALL {
            let allowed = from.may_become(to);
            if from.is_ended() {
                let again = [State::Queued, State::Waiting].contains(&to);
                assert_eq!(allowed, from == State::Failed && again, "{from} → {to}");
            }
            assert!(!(allowed && from == to), "{from} may not follow itself");
            let result = promotion(from).become_(to, Timestamp(9));
            assert_eq!(result.is_ok(), allowed, "{from} → {to}");
            if let Ok(moved) = result {
                assert_eq!((moved.state, moved.state_since, moved.attempts), (to, Timestamp(9), 0));
                assert_eq!(moved.ended_at.is_some(), to.is_ended());
            }
        }
        if !from.is_ended() {
            assert!(
                from.may_become(State::Failed) && from.may_become(State::Superseded),
                "{from} has a way out"
            );
            assert!(from.step().is_some(), "{from} is at a step");
        }
    }
}

#[test]
fn success_comes_only_after_proof_or_the_push_itself() {
    let before: Vec<State> = State::ALL
        .into_iter()
        .filter(|s| s.may_become(State::Succeeded))
        .collect();
    assert_eq!(before, [State::Committing, State::Verifying]);
}

#[test]
fn what_failed_may_turn_out_live_and_nothing_else() {
    for state in State::ALL {
        for commit in [None, Some("3f1c0d9e".to_owned())] {
            let is_possible = state == State::Failed && commit.is_some();
            let before = Promotion {
                commit,
                failure: Some(Failure {
                    step: Step::Sync,
                    reason: "Argo CD said no.".into(),
                    remedy: None,
                    said: Vec::new(),
                }),
                ..promotion(state)
            };
            match before.is_live_after_all(Timestamp(9)) {
                Ok((live, failure)) => {
                    assert!(is_possible, "{state}");
                    assert_eq!(
                        (live.state, live.ended_at, live.failure),
                        (State::Succeeded, Some(Timestamp(9)), None)
                    );
                    assert!(failure.is_some(), "what it failed for is kept by the ledger");
                }
                Err(refused) => assert!(!is_possible, "{refused}"),
            }
        }
    }
}

#[test]
fn a_closed_window_stops_the_clock() {
    let mut waits = promotion(State::Syncing);
    assert_eq!(waits.counts_since(), waits.state_since);
    waits.counts_from = Some(Timestamp(600_000));
    assert_eq!(waits.counts_since(), Timestamp(600_000));
    assert!(waits.is_at_window(Timestamp(625_000)) && !waits.is_at_window(Timestamp(640_000)));
    let on = waits.become_(State::Verifying, Timestamp(700_000)).unwrap();
    assert_eq!(
        (on.counts_since(), on.is_at_window(Timestamp(700_001))),
        (Timestamp(700_000), false)
    );
}

#[test]
fn a_failure_names_its_step_and_a_retry_forgets_it() {
    let failed = promotion(State::Syncing)
        .fail("Argo CD said no.", Timestamp(5))
        .unwrap();
    assert_eq!(
        failed.failure,
        Some(Failure {
            step: Step::Sync,
            reason: "Argo CD said no.".into(),
            remedy: None,
            said: Vec::new(),
        })
    );
    let again = failed.become_(State::Queued, Timestamp(6)).unwrap();
    assert_eq!((again.failure, again.ended_at, again.tries), (None, None, 2));
}

#[test]
fn the_subject_says_what_where_and_from_where() {
    let name = |s: &str| s.parse::<Name>().unwrap();
    let mut p = promotion(State::Queued);
    assert_eq!(
        p.subject(None, &name("production"), &name("api")),
        "promote(production): api a1b2c3d from staging"
    );
    (p.purpose, p.origin, p.image.tag) = (Purpose::Deploy, None, "v1.4".parse().ok());
    assert_eq!(
        p.subject(None, &name("development"), &name("api")),
        "deploy(development): api v1.4"
    );
    // By a template there is always a source.
    let template = Some("JIRA-1: {verb} {environment}/{resource} {tag} ({source})");
    assert_eq!(
        p.subject(template, &name("development"), &name("api")),
        "JIRA-1: deploy development/api v1.4 (r.example/api)"
    );
}
