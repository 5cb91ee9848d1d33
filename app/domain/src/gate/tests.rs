//! Each rule of gates, by name.

mod decisions;
mod overrides;
mod proofs;

use super::*;
use crate::{
    artifact::Digest,
    id::UserId,
    name::Name,
    policy::{Freeze, Policy},
    promotion::{Actor, Purpose},
    rights::Role,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_000_000_000);
const HOUR: i64 = 3_600_000;

fn digest(n: u8) -> Digest {
    format!("sha256:{}", format!("{n:02x}").repeat(32)).parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn person(n: u128, role: Role, groups: &[&str]) -> Approver {
    Approver {
        id: UserId(Uuid::from_u128(n)),
        name: format!("P{n}"),
        email: format!("p{n}@example.com"),
        role,
        groups: groups.iter().map(|group| name(group)).collect(),
    }
}

fn yes(by: Approver) -> Approval {
    Approval {
        by,
        digest: digest(1),
        approves: true,
        comment: None,
        at: NOW,
    }
}

fn check(status: CheckStatus, ago: i64) -> Check {
    Check {
        digest: digest(1),
        name: "integration".into(),
        status,
        summary: Some("12 tests".into()),
        url: Some("https://ci.example.com/1".into()),
        at: NOW.plus_millis(-ago),
        reported_by: Actor::Waybill,
    }
}

/// What is known, to be changed by a test.
struct Known {
    purpose: Purpose,
    requester: Option<UserId>,
    approvals: Vec<Approval>,
    checks: Vec<Check>,
    runs: Vec<HealthyRun>,
    proofs: Vec<Proof>,
    stops: Vec<Stop>,
    overrides: Vec<Override>,
    frozen: Result<Frozen, String>,
}

impl Known {
    fn nothing() -> Self {
        Self {
            purpose: Purpose::Promote,
            requester: Some(UserId(Uuid::from_u128(1))),
            approvals: Vec::new(),
            checks: Vec::new(),
            runs: Vec::new(),
            proofs: Vec::new(),
            stops: Vec::new(),
            overrides: Vec::new(),
            frozen: Ok(Frozen::From(None)),
        }
    }

    fn decide(&self, policy: &Policy) -> Decision {
        let frozen = |_: &Freeze| self.frozen.clone();
        evaluate(
            policy,
            &Evidence {
                now: NOW,
                digest: &digest(1),
                purpose: self.purpose,
                requester: self.requester,
                approvals: &self.approvals,
                checks: &self.checks,
                runs: &self.runs,
                proofs: &self.proofs,
                stops: &self.stops,
                overrides: &self.overrides,
                frozen: &frozen,
            },
        )
    }
}

fn policy(json: serde_json::Value) -> Policy {
    serde_json::from_value(json).unwrap()
}

fn two_approvals() -> Policy {
    policy(serde_json::json!({ "approvals": { "count": 2 } }))
}

fn stop() -> Stop {
    Stop {
        of_project: false,
        by: Actor::Waybill,
        reason: "The database is being moved".into(),
        at: NOW.plus_millis(-5 * 60_000),
    }
}

#[test]
fn an_empty_policy_opens_at_once() {
    let decision = Known::nothing().decide(&Policy::default());
    assert!(decision.opens() && decision.gates.is_empty() && decision.waits_for().is_none());
}

#[test]
fn two_approvals_are_counted_and_named() {
    let mut known = Known::nothing();
    let waits = |known: &Known| known.decide(&two_approvals()).waits_for();
    assert_eq!(waits(&known).as_deref(), Some("0 of 2 approvals"));
    known.approvals.push(yes(person(2, Role::Approver, &[])));
    assert_eq!(waits(&known).as_deref(), Some("1 of 2 approvals"));
    assert!(known.decide(&two_approvals()).awaits_approval());
    known.approvals.push(yes(person(3, Role::Admin, &[])));
    let decision = known.decide(&two_approvals());
    assert!(decision.opens());
    assert_eq!(decision.gates[0].why, "Approved by P2 and P3.");
}

#[test]
fn who_asked_cannot_approve_unless_that_is_allowed() {
    let mut known = Known::nothing();
    known.approvals = vec![yes(person(1, Role::Admin, &[]))];
    let one = |allowed: bool| policy(serde_json::json!({ "approvals": { "count": 1, "selfApproval": allowed } }));
    assert!(!known.decide(&one(false)).opens());
    assert!(known.decide(&one(true)).opens());
}

#[test]
fn only_those_named_count() {
    let mut known = Known::nothing();
    let by_group = policy(
        serde_json::json!({ "approvals": { "count": 1, "by": [{ "group": "release" }, { "user": "P9@example.com" }] } }),
    );
    known.approvals = vec![yes(person(2, Role::Admin, &[]))];
    let decision = known.decide(&by_group);
    assert!(!decision.opens(), "an administrator who isn't named doesn't count");
    assert_eq!(
        decision.gates[0].who,
        "Members of group release or P9@example.com can approve. Who asked can't."
    );
    for approver in [person(3, Role::Viewer, &["release"]), person(9, Role::Viewer, &[])] {
        known.approvals = vec![yes(approver)];
        assert!(known.decide(&by_group).opens());
    }
    known.approvals = vec![yes(person(4, Role::Developer, &[]))];
    let by_role = policy(serde_json::json!({ "approvals": { "count": 1 } }));
    assert!(!known.decide(&by_role).opens(), "without names it takes an approver");
}

#[test]
fn one_of_them_must_be_of_the_required_group() {
    let both = policy(serde_json::json!({ "approvals": { "count": 2, "requiredGroup": "security" } }));
    let mut known = Known::nothing();
    known.approvals = vec![yes(person(2, Role::Approver, &[])), yes(person(3, Role::Approver, &[]))];
    let decision = known.decide(&both);
    assert_eq!(decision.waits_for().as_deref(), Some("approval of group security"));
    known.approvals.push(yes(person(4, Role::Viewer, &["security"])));
    assert!(known.decide(&both).opens());
}

#[test]
fn an_approval_of_another_digest_is_void_and_a_no_is_no_yes() {
    let mut known = Known::nothing();
    let one = policy(serde_json::json!({ "approvals": { "count": 1 } }));
    let mut other = yes(person(2, Role::Approver, &[]));
    other.digest = digest(2);
    let mut no = yes(person(3, Role::Approver, &[]));
    no.approves = false;
    known.approvals = vec![other, no];
    assert!(!known.decide(&one).opens());
}

#[test]
fn a_check_must_have_passed_on_this_digest_and_not_be_too_old() {
    let fresh = policy(serde_json::json!({ "checks": [{ "name": "integration", "maxAgeHours": 2 }] }));
    let mut known = Known::nothing();
    let state = |known: &Known| {
        let decision = known.decide(&fresh);
        (decision.gates[0].state, decision.look_again)
    };
    assert_eq!(state(&known), (GateState::Waiting, None));
    known.checks = vec![check(CheckStatus::Pending, 0)];
    assert_eq!(state(&known), (GateState::Waiting, None));
    known.checks = vec![check(CheckStatus::Passed, HOUR)];
    assert_eq!(
        state(&known),
        (GateState::Met, Some(NOW.plus_millis(HOUR))),
        "looked at again when it gets too old"
    );
    known.checks = vec![check(CheckStatus::Passed, 2 * HOUR)];
    assert_eq!(state(&known).0, GateState::Waiting);
    known.checks = vec![check(CheckStatus::Passed, 60_000), check(CheckStatus::Failed, 0)];
    assert_eq!(state(&known).0, GateState::Failed, "the newest counts");
    let mut other = check(CheckStatus::Passed, 0);
    other.digest = digest(2);
    known.checks = vec![other];
    assert_eq!(
        state(&known).0,
        GateState::Waiting,
        "another digest's result says nothing"
    );
}

#[test]
fn a_digest_must_have_been_healthy_elsewhere_for_long_enough() {
    let soak = policy(serde_json::json!({ "ranIn": [{ "environment": "staging", "soakMinutes": 30 }] }));
    let mut known = Known::nothing();
    let run = |ago: i64, until: Option<i64>| HealthyRun {
        environment: name("staging"),
        since: NOW.plus_millis(-ago * 60_000),
        until: until.map(|ago| NOW.plus_millis(-ago * 60_000)),
        replaced: false,
    };
    assert_eq!(known.decide(&soak).waits_for().as_deref(), Some("run in staging"));
    known.runs = vec![run(10, None)];
    let decision = known.decide(&soak);
    assert_eq!(decision.waits_for().as_deref(), Some("soak in staging"));
    assert_eq!(
        decision.look_again,
        Some(NOW.plus_millis(20 * 60_000)),
        "the exact moment"
    );
    known.runs = vec![run(30, None)];
    assert!(known.decide(&soak).opens());
    known.runs = vec![run(90, Some(50))];
    assert!(known.decide(&soak).opens(), "it was so, before something else ran");
    known.runs = vec![run(60, Some(40)), run(20, None)];
    assert!(!known.decide(&soak).opens(), "two short runs are not one long one");
    known.runs[0].environment = name("qa");
    assert!(!known.decide(&soak).opens(), "another environment doesn't count");
}

#[test]
fn a_soak_goes_on_past_a_newer_image_only_where_the_policy_says_so() {
    let soaks = |continues: bool| {
        policy(serde_json::json!({
            "ranIn": [{ "environment": "staging", "soakMinutes": 30, "continuesWhenReplaced": continues }],
        }))
    };
    let mut known = Known::nothing();
    let run = |since: i64, until: i64, replaced| HealthyRun {
        environment: name("staging"),
        since: NOW.plus_millis(-since * 60_000),
        until: Some(NOW.plus_millis(-until * 60_000)),
        replaced,
    };
    known.runs = vec![run(25, 5, true)];
    assert_eq!(
        known.decide(&soaks(false)).waits_for().as_deref(),
        Some("run in staging")
    );
    let decision = known.decide(&soaks(true));
    assert_eq!(decision.waits_for().as_deref(), Some("soak in staging"));
    assert_eq!(decision.look_again, Some(NOW.plus_millis(5 * 60_000)));
    known.runs = vec![run(31, 11, true)];
    assert!(known.decide(&soaks(true)).opens());
    assert!(!known.decide(&soaks(false)).opens());
    known.runs = vec![run(31, 11, false)];
    assert!(
        !known.decide(&soaks(true)).opens(),
        "it was not healthy any more, or taken back"
    );
    known.runs = vec![HealthyRun {
        until: Some(NOW.plus_millis(-40 * 60_000 + 3_000)),
        ..run(40, 40, true)
    }];
    assert!(
        !known.decide(&soaks(true)).opens(),
        "a moment of health before a rollout proves nothing"
    );
}

#[test]
fn a_moment_of_health_before_a_rollout_is_not_taken_for_it() {
    let ran = policy(serde_json::json!({ "ranIn": [{ "environment": "staging" }] }));
    let mut known = Known::nothing();
    let run = |since: i64, until: Option<i64>| HealthyRun {
        environment: name("staging"),
        since: NOW.plus_millis(-since),
        until: until.map(|until| NOW.plus_millis(-until)),
        replaced: false,
    };
    known.runs = vec![run(60_000, Some(56_000))];
    assert_eq!(known.decide(&ran).waits_for().as_deref(), Some("run in staging"));
    known.runs = vec![run(4_000, None)];
    let decision = known.decide(&ran);
    assert_eq!(decision.waits_for().as_deref(), Some("soak in staging"));
    assert_eq!(decision.look_again, Some(NOW.plus_millis(1_000)));
    known.runs = vec![run(5_000, None)];
    assert!(known.decide(&ran).opens());
}

#[test]
fn a_freeze_blocks_until_its_end_and_what_cannot_be_evaluated_blocks() {
    let freeze = policy(serde_json::json!({ "freezes": [{ "name": "weekend", "timeZone": "UTC",
        "when": { "weekly": { "from": "friday 17:00", "to": "monday 09:00" } } }] }));
    let mut known = Known::nothing();
    known.frozen = Ok(Frozen::Until(NOW.plus_millis(HOUR)));
    let decision = known.decide(&freeze);
    assert_eq!(
        (decision.opens(), decision.look_again),
        (false, Some(NOW.plus_millis(HOUR)))
    );
    known.frozen = Ok(Frozen::From(Some(NOW.plus_millis(HOUR))));
    assert!(known.decide(&freeze).opens());
    known.frozen = Err("there is no time zone Mars/Olympus.".into());
    let decision = known.decide(&freeze);
    assert_eq!(decision.gates[0].state, GateState::Failed);
    assert!(decision.gates[0].why.contains("Mars/Olympus"));
}

#[test]
fn a_stopped_line_blocks_and_says_who_and_why() {
    let mut known = Known::nothing();
    known.stops = vec![stop()];
    let decision = known.decide(&Policy::default());
    assert!(!decision.opens());
    assert_eq!(
        decision.gates[0].why,
        "Waybill paused it at 1970-01-12 13:41:40 UTC: The database is being moved."
    );
}

fn proof(name: &str, found: Found, again: Option<i64>) -> Proof {
    Proof {
        gate: GateId::of(GateKind::Signature, name),
        found,
        repository: "registry.example.com/myapp/api".parse().unwrap(),
        at: NOW.plus_millis(-1_000),
        again: again.map(|millis| NOW.plus_millis(millis)),
    }
}

fn signed_by(names: &[&str]) -> Policy {
    let keys: Vec<_> = (names.iter())
        .map(|name| serde_json::json!({ "name": name, "key": "PEM" }))
        .collect();
    policy(serde_json::json!({ "signatures": keys }))
}

#[test]
fn a_rollback_passes_only_the_gates_that_are_named_for_it() {
    let mut known = Known::nothing();
    (known.purpose, known.stops) = (Purpose::Rollback, vec![stop()]);
    let strict = |on_rollback: &[&str]| {
        policy(
            serde_json::json!({ "approvals": { "count": 1 }, "checks": [{ "name": "a" }],
            "onRollback": on_rollback }),
        )
    };
    assert!(known.decide(&strict(&[])).opens());
    let titles = |on_rollback: &[&str]| -> Vec<String> {
        let decision = known.decide(&strict(on_rollback));
        decision.gates.iter().map(|gate| gate.id.title()).collect()
    };
    assert_eq!(titles(&["check"]), ["Check a"]);
    assert_eq!(titles(&["approvals", "stop"]), ["Approvals", "Pause"]);
}

#[test]
fn gates_are_named_as_they_are_read() {
    for text in [
        "approvals",
        "check:integration tests",
        "ranIn:staging",
        "signature:release",
        "provenance:ci",
        "summary:other",
        "freeze:a:b",
        "stop",
    ] {
        assert_eq!(text.parse::<GateId>().unwrap().to_string(), text);
    }
    assert!("ghost:x".parse::<GateId>().is_err());
}

#[test]
fn who_may_approve_is_said_once() {
    let words = |json: serde_json::Value| policy(json).approvals.unwrap().words();
    let release =
        serde_json::json!({ "approvals": { "count": 1, "by": [{ "group": "release" }], "requiredGroup": "release" } });
    assert_eq!(words(release), "members of group release");
    let both = serde_json::json!({ "approvals": { "count": 1, "by": [{ "user": "ada@example.com" }], "requiredGroup": "release" } });
    assert_eq!(words(both), "ada@example.com or members of group release");
    // A sentence begins with a capital, an address doesn't.
    let mut known = Known::nothing();
    known.requester = None;
    let ada = policy(serde_json::json!({ "approvals": { "count": 1, "by": [{ "user": "ada@example.com" }] } }));
    assert_eq!(
        known.decide(&ada).gates[0].who,
        "ada@example.com can approve. Who asked can't."
    );
    // Too few, and none of the group: the number is told first.
    let two = policy(serde_json::json!({ "approvals": { "count": 2, "requiredGroup": "security" } }));
    assert_eq!(known.decide(&two).waits_for().as_deref(), Some("0 of 2 approvals"));
}

#[test]
fn a_check_leads_to_its_evidence() {
    let mut known = Known::nothing();
    known.checks = vec![check(CheckStatus::Failed, 0)];
    let checks = policy(serde_json::json!({ "checks": [{ "name": "integration" }] }));
    let gate = known.decide(&checks).gates.remove(0);
    assert_eq!(gate.url.as_deref(), Some("https://ci.example.com/1"));
    assert_eq!(gate.since, Some(NOW));
}

#[test]
fn kinds_of_gates_say_what_they_are_like() {
    for kind in GateKind::ALL {
        let is_proof = matches!(kind, GateKind::Signature | GateKind::Provenance | GateKind::Summary);
        assert_eq!(
            (kind.is_asked_for(), kind.holds_rollbacks()),
            (is_proof, is_proof),
            "{kind:?}"
        );
    }
    let title = |kind, name: &str| GateId::of(kind, name).title();
    assert_eq!(title(GateKind::Stop, ""), "Pause");
    assert_eq!(title(GateKind::Stop, "project"), "Pause of the project");
    assert_eq!(title(GateKind::Freeze, "weekend"), "Freeze weekend");
    assert_eq!(title(GateKind::Summary, "other"), "Vouched for by other");
}
