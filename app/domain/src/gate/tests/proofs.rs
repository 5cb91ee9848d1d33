//! What registries hold about a digest: signatures, provenance, and verification summaries.

use super::*;

#[test]
fn a_digest_must_come_from_the_build_that_is_asked_for() {
    let mut known = Known::nothing();
    let from_ci = policy(serde_json::json!({ "provenance": [{ "name": "ci", "key": "PEM",
        "builder": "https://ci.example.com/builder", "repository": "https://git.example.com/acme/api" }] }));
    assert_eq!(known.decide(&from_ci).waits_for().as_deref(), Some("provenance ci"));
    let of = |found: Found| Proof {
        gate: GateId::of(GateKind::Provenance, "ci"),
        ..proof("", found, Some(1))
    };
    // The key's signature of the image is no provenance.
    known.proofs = vec![proof("ci", Found::Valid, None)];
    assert!(!known.decide(&from_ci).opens());
    known.proofs = vec![of(Found::Otherwise("https://laptop.example.com built it".into()))];
    let decision = known.decide(&from_ci);
    let gate = &decision.gates[0];
    assert_eq!(
        (gate.state, gate.short.as_str()),
        (GateState::Failed, "not built by ci")
    );
    assert_eq!(gate.why, "It says that https://laptop.example.com built it.");
    known.proofs = vec![of(Found::Valid)];
    assert!(known.decide(&from_ci).opens());
    known.purpose = Purpose::Rollback;
    known.proofs.clear();
    assert_eq!(known.decide(&from_ci).waits_for().as_deref(), Some("provenance ci"));
}

#[test]
fn a_digest_must_be_vouched_for_by_the_verifier_that_is_asked_for() {
    let mut known = Known::nothing();
    let vouched = policy(serde_json::json!({ "summaries": [{ "name": "other", "key": "PEM",
        "verifier": "https://waybill.example.com/verifier/v1" }] }));
    let decision = known.decide(&vouched);
    assert_eq!(decision.waits_for().as_deref(), Some("summary other"));
    assert!(decision.look_again.is_some(), "nobody asked yet");
    assert_eq!(decision.by_time, None);
    let of = |found: Found| Proof {
        gate: GateId::of(GateKind::Summary, "other"),
        ..proof("", found, Some(1))
    };
    // Neither the key's signature of the image nor what it attests otherwise vouches for it.
    let mut built = of(Found::Valid);
    built.gate.kind = GateKind::Provenance;
    known.proofs = vec![proof("other", Found::Valid, None), built];
    assert!(!known.decide(&vouched).opens());
    let mut told = |found: Found| {
        known.proofs = vec![of(found)];
        let gate = known.decide(&vouched).gates.remove(0);
        (gate.state, gate.short, gate.why, gate.who)
    };
    let not_by = "not vouched for by other".to_owned();
    let opens = "Opens once other vouches for this digest.".to_owned();
    let registry = "registry.example.com/myapp/api";
    for (found, state, short, why, who) in [
        (
            Found::Nothing,
            GateState::Waiting,
            "summary other".to_owned(),
            format!("{registry} held no verification summary of it at 1970-01-12 13:46:39 UTC."),
            opens.clone(),
        ),
        (
            Found::OfOthers(2),
            GateState::Failed,
            not_by.clone(),
            "There is a verification summary, but not with this key: 2 other attestations.".into(),
            opens.clone(),
        ),
        (
            Found::OfAnotherDigest,
            GateState::Failed,
            not_by.clone(),
            "There is a verification summary by other, but of another image.".into(),
            opens.clone(),
        ),
        (
            Found::Otherwise("the result of the verification is FAILED".into()),
            GateState::Failed,
            not_by,
            "It says that the result of the verification is FAILED.".into(),
            opens,
        ),
        (
            Found::Unknown {
                why: "It is down".into(),
                passes: true,
            },
            GateState::Waiting,
            "summary other unknown".into(),
            "It can't be said whether there is a verification summary: It is down.".into(),
            "The registry is asked again by itself.".into(),
        ),
        (
            Found::Valid,
            GateState::Met,
            "vouched for by other".into(),
            format!("{registry} held a valid verification summary at 1970-01-12 13:46:39 UTC."),
            String::new(),
        ),
    ] {
        assert_eq!(told(found.clone()), (state, short, why, who), "{found:?}");
    }
    known.purpose = Purpose::Rollback;
    known.proofs.clear();
    assert_eq!(known.decide(&vouched).waits_for().as_deref(), Some("summary other"));
}

#[test]
fn a_digest_must_be_signed_with_each_key_and_silence_is_no_signature() {
    let mut known = Known::nothing();
    let one = signed_by(&["release"]);
    let decision = known.decide(&one);
    assert_eq!(decision.waits_for().as_deref(), Some("signature release"));
    let soon = decision.look_again.unwrap();
    assert!(soon > NOW && soon <= NOW.plus_millis(60_000), "nobody asked yet");

    known.proofs = vec![proof("release", Found::Nothing, Some(2_000))];
    let decision = known.decide(&one);
    assert_eq!(decision.gates[0].state, GateState::Waiting);
    assert_eq!(decision.look_again, Some(NOW.plus_millis(2_000)));
    assert_eq!(
        decision.gates[0].why,
        "registry.example.com/myapp/api held no signature of it at 1970-01-12 13:46:39 UTC."
    );

    known.proofs = vec![proof("release", Found::Valid, None)];
    let decision = known.decide(&one);
    assert!(decision.opens() && decision.look_again.is_none(), "for good");
    let both = signed_by(&["release", "security"]);
    assert_eq!(known.decide(&both).waits_for().as_deref(), Some("signature security"));
    known.proofs.push(proof("security", Found::Valid, None));
    assert!(known.decide(&both).opens());
}

#[test]
fn a_signature_of_others_or_of_something_else_and_a_silent_registry_keep_it_shut() {
    let mut known = Known::nothing();
    let one = signed_by(&["release"]);
    let mut told = |found: Found| {
        known.proofs = vec![proof("release", found, Some(1))];
        let decision = known.decide(&one);
        let gate = decision.gates[0].clone();
        (gate.state, gate.short, gate.why)
    };
    let not_by = "not signed by release".to_owned();
    assert_eq!(
        told(Found::OfOthers(2)),
        (
            GateState::Failed,
            not_by.clone(),
            "There is a signature, but not with this key: 2 other signatures.".into()
        )
    );
    assert_eq!(told(Found::OfAnotherDigest).0, GateState::Failed);
    for (passes, state) in [(true, GateState::Waiting), (false, GateState::Failed)] {
        let why = "The registry is down".to_owned();
        assert_eq!(
            told(Found::Unknown { why, passes }),
            (
                state,
                "signature release unknown".into(),
                "It can't be said whether there is a signature: The registry is down.".into()
            )
        );
    }
}

#[test]
fn a_rollback_must_be_signed_unless_the_policy_names_other_gates_for_it() {
    let mut known = Known::nothing();
    known.purpose = Purpose::Rollback;
    let with = |on_rollback: Option<&[&str]>| {
        let mut json = serde_json::to_value(signed_by(&["release"])).unwrap();
        json["approvals"] = serde_json::json!({ "count": 1 });
        if let Some(kinds) = on_rollback {
            json["onRollback"] = serde_json::json!(kinds);
        }
        policy(json)
    };
    let waits = |known: &Known, policy: &Policy| known.decide(policy).waits_for();
    assert_eq!(waits(&known, &with(None)).as_deref(), Some("signature release"));
    assert_eq!(waits(&known, &with(Some(&[]))), None);
    assert_eq!(
        waits(&known, &with(Some(&["approvals"]))).as_deref(),
        Some("0 of 1 approval")
    );
    known.proofs = vec![proof("release", Found::Valid, None)];
    assert_eq!(waits(&known, &with(None)), None);
}
