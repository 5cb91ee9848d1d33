//! What all gates come to together: when they open, and since when each stands so.

use super::*;

/// When time alone opens it: at the end of the last soak or freeze, and never where something else is missing.
#[test]
fn time_opens_soaks_and_freezes_and_nothing_else() {
    let freeze = serde_json::json!({ "name": "weekend", "timeZone": "UTC",
        "when": { "weekly": { "from": "friday 17:00", "to": "monday 09:00" } } });
    let soak = serde_json::json!({ "environment": "staging", "soakMinutes": 30 });
    let frozen = policy(serde_json::json!({ "freezes": [freeze] }));
    let both = policy(serde_json::json!({ "freezes": [freeze], "ranIn": [soak] }));
    let with_check =
        policy(serde_json::json!({ "freezes": [freeze], "checks": [{ "name": "integration", "maxAgeHours": 2 }] }));
    let mut known = Known::nothing();
    assert_eq!(known.decide(&frozen).when(), Opens::Now);
    let end = NOW.plus_millis(HOUR);
    known.frozen = Ok(Frozen::Until(end));
    assert_eq!(known.decide(&frozen).when(), Opens::At(end));
    assert_eq!(known.decide(&both).when(), Opens::Unknown, "it never ran in staging");
    known.checks = vec![check(CheckStatus::Passed, 0)];
    assert_eq!(
        known.decide(&with_check).when(),
        Opens::At(end),
        "a check that passed is open already"
    );
    known.checks.clear();
    assert_eq!(known.decide(&with_check).when(), Opens::Unknown);
    known.frozen = Err("no such zone".into());
    assert_eq!(known.decide(&frozen).when(), Opens::Unknown, "a person must correct it");
    known.frozen = Ok(Frozen::Until(end));
    known.stops = vec![stop()];
    assert_eq!(known.decide(&frozen).when(), Opens::Unknown, "until somebody resumes");
}

#[test]
fn a_decision_says_since_when_each_gate_stands_so() {
    let later = NOW.plus_millis(HOUR);
    let mut known = Known::nothing();
    let json = serde_json::json!({ "approvals": { "count": 1 }, "checks": [{ "name": "integration" }] });
    let policy = policy(json);
    let (approvals, integration): (GateId, GateId) =
        ("approvals".parse().unwrap(), "check:integration".parse().unwrap());
    let first = known.decide(&policy).dated(None, NOW);
    assert_eq!(
        (first.since(&approvals), first.since(&integration)),
        (Some(NOW), Some(NOW))
    );
    assert_eq!(first.since(&"stop".parse().unwrap()), None);
    assert!(first.awaits_approval());
    // Only what stands otherwise now is dated anew.
    known.approvals.push(yes(person(2, Role::Approver, &[])));
    let second = known.decide(&policy).dated(Some(&first), later);
    assert_eq!(
        (second.since(&approvals), second.since(&integration)),
        (Some(later), Some(NOW))
    );
    assert!(
        !second.opens() && !second.awaits_approval(),
        "the check is missing, and no approval"
    );
}

#[test]
fn a_gate_that_stands_as_before_keeps_its_date() {
    let check = policy(serde_json::json!({ "checks": [{ "name": "integration" }] }));
    let known = Known::nothing();
    let first = known.decide(&check).dated(None, NOW);
    let second = known.decide(&check).dated(Some(&first), NOW.plus_millis(HOUR));
    assert_eq!(second.since(&"check:integration".parse().unwrap()), Some(NOW));
}

#[test]
fn that_a_registry_is_asked_again_opens_nothing_by_time() {
    let mut known = Known::nothing();
    known.proofs = vec![proof("release", Found::Nothing, Some(HOUR))];
    let decision = known.decide(&signed_by(&["release"]));
    assert_eq!(
        (decision.look_again, decision.when()),
        (Some(NOW.plus_millis(HOUR)), Opens::Unknown)
    );
}
