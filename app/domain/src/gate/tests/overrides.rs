//! Who may override which gate, and for how long that holds.

use super::*;

#[test]
fn an_override_opens_one_gate_and_stays_visible() {
    let mut known = Known::nothing();
    known.stops = vec![stop()];
    known.overrides = vec![Override {
        gate: "stop".parse().unwrap(),
        by: Actor::Token { name: "ops".into() },
        reason: "Security fix".into(),
        at: NOW,
        until: None,
    }];
    let decision = known.decide(&two_approvals());
    assert_eq!(
        decision.waits_for().as_deref(),
        Some("0 of 2 approvals"),
        "the other gate stays"
    );
    let gate = &decision.gates[1];
    assert_eq!(gate.state, GateState::Overridden);
    assert!(
        gate.why
            .starts_with("Overridden by ops: Security fix. Before: Waybill paused it"),
        "{}",
        gate.why
    );
}

#[test]
fn an_override_is_of_what_shut_the_gate_then() {
    let mut known = Known::nothing();
    let one = |gate: &str, ago: i64, until: Option<Timestamp>| Override {
        gate: gate.parse().unwrap(),
        by: Actor::Waybill,
        reason: "Now".into(),
        at: NOW.plus_millis(-ago),
        until,
    };
    // A stop that began later is another; so is the project's beside the environment's.
    known.stops = vec![stop()];
    known.overrides = vec![one("stop", HOUR, None)];
    assert!(!known.decide(&Policy::default()).opens());
    known.overrides = vec![one("stop", 0, None)];
    assert!(known.decide(&Policy::default()).opens());
    known.stops.push(Stop {
        of_project: true,
        ..stop()
    });
    let decision = known.decide(&Policy::default());
    assert_eq!(decision.waits_for().as_deref(), Some("project paused"));
    // A newer failure is another, and so is next week's freeze.
    known.stops.clear();
    known.checks = vec![check(CheckStatus::Failed, 0)];
    known.overrides = vec![one("check:integration", HOUR, None)];
    let checks = policy(serde_json::json!({ "checks": [{ "name": "integration" }] }));
    assert!(!known.decide(&checks).opens());
    let freeze = policy(serde_json::json!({ "freezes": [{ "name": "weekend", "timeZone": "UTC",
        "when": { "weekly": { "from": "friday 17:00", "to": "monday 09:00" } } }] }));
    known.frozen = Ok(Frozen::Until(NOW.plus_millis(HOUR)));
    let until = known.decide(&freeze).gates[0].until;
    assert_eq!(until, Some(NOW.plus_millis(HOUR)));
    known.overrides = vec![one("freeze:weekend", 0, until)];
    assert!(known.decide(&freeze).opens());
    known.overrides = vec![one("freeze:weekend", 7 * 24 * HOUR, Some(NOW.plus_millis(-HOUR)))];
    assert!(!known.decide(&freeze).opens());
}

#[test]
fn an_override_ends_at_its_moment() {
    let mut known = Known::nothing();
    known.stops = vec![stop()];
    let until = |millis: i64| Override {
        gate: "stop".parse().unwrap(),
        by: Actor::Waybill,
        reason: "Now".into(),
        at: NOW.plus_millis(-1_000),
        until: Some(NOW.plus_millis(millis)),
    };
    for (millis, opens) in [(1, true), (0, false), (-1, false)] {
        known.overrides = vec![until(millis)];
        assert_eq!(known.decide(&Policy::default()).opens(), opens, "{millis}");
    }
}

#[test]
fn a_gate_says_who_may_override_it_only_while_it_is_shut() {
    let json = serde_json::json!({ "approvals": { "count": 1 },
        "overrides": [{ "gates": ["approvals", "stop"], "by": [{ "user": "root@example.com" }, { "role": "admin" }] },
            { "gates": ["approvals"], "by": [{ "role": "admin" }] }] });
    let policy = policy(json);
    assert_eq!(
        who_overrides(&policy, GateKind::Approvals).as_deref(),
        Some("Administrators and root@example.com can override it."),
        "each once"
    );
    assert_eq!(who_overrides(&policy, GateKind::Check), None);
    let mut known = Known::nothing();
    let gate = known.decide(&policy).gates.remove(0);
    assert!(gate.who.ends_with("can override it."), "{}", gate.who);
    known.approvals.push(yes(person(2, Role::Approver, &[])));
    let gate = known.decide(&policy).gates.remove(0);
    assert_eq!((gate.state, gate.who.as_str()), (GateState::Met, ""));
    // Overridden, nobody need do anything.
    known.stops = vec![stop()];
    known.overrides = vec![Override {
        gate: "stop".parse().unwrap(),
        by: Actor::Waybill,
        reason: "Now".into(),
        at: NOW,
        until: None,
    }];
    let gate = known.decide(&policy).gates.remove(1);
    assert_eq!((gate.short.as_str(), gate.who.as_str()), ("overridden", ""));
}

#[test]
fn only_those_named_may_override_and_only_the_gates_that_are_named() {
    let policy = policy(serde_json::json!({
        "overrides": [{ "gates": ["freeze"], "by": [{ "role": "approver" }, { "group": "on-call" }] }] }));
    for (who, gate, may) in [
        (person(1, Role::Admin, &[]), GateKind::Freeze, true),
        (person(1, Role::Approver, &[]), GateKind::Freeze, true),
        (person(1, Role::Developer, &[]), GateKind::Freeze, false),
        (person(1, Role::Viewer, &["on-call"]), GateKind::Freeze, true),
        (person(1, Role::Admin, &[]), GateKind::Approvals, false),
        (person(1, Role::Viewer, &["release"]), GateKind::Freeze, false),
    ] {
        assert_eq!(policy.may_override(gate, &who), may, "{who:?} {gate:?}");
    }
    assert!(!Policy::default().may_override(GateKind::Freeze, &person(1, Role::Admin, &[])));
}
