//! What a verifier elsewhere states of an image, rightly and otherwise.

use super::*;
use std::collections::BTreeSet;

const VERIFIER: &str = "https://waybill.example.com/verifier/v1";
const POLICY: &str = "https://waybill.example.com/w/demo/api/staging/-/policy";

/// A policy that asks for one summary with this key.
fn asks(key: &str, change: &Value) -> Policy {
    let mut one = json!({ "name": "other", "key": key, "verifier": VERIFIER, "policy": POLICY,
        "levels": ["SLSA_BUILD_LEVEL_2", "WAYBILL_ENVIRONMENT_staging"] });
    for (field, value) in change.as_object().unwrap() {
        one[field] = value.clone();
    }
    serde_json::from_value(json!({ "summaries": [one] })).unwrap()
}

fn sought_by(policy: &Policy) -> Sought {
    let (gate, sought) = sought(policy, &TrustedRoots::built_in()).remove(0);
    assert_eq!(gate.to_string(), "summary:other");
    sought
}

/// What is asked for above, stated of a digest.
fn verified(of: &Digest) -> Value {
    let mut statement = statement(of, SUMMARY);
    statement["predicate"] = json!({
        "verifier": { "id": VERIFIER, "version": { "waybill": "1.4.0" } },
        "timeVerified": "2026-11-29T08:05:42Z",
        "resourceUri": format!("registry.example.com/acme/web@{of}"),
        "policy": { "uri": POLICY, "digest": { "sha256": "ab" } },
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_3", "WAYBILL_ENVIRONMENT_staging", "WAYBILL_APPROVALS_2"],
        "slsaVersion": "1.2",
        "https://waybill.example.com/attestation/gates/v1": { "environment": "staging" },
    });
    statement
}

/// The same with another value at a place in the predicate; without one where the value is `null`.
fn with(path: &str, value: Value) -> Value {
    let mut statement = verified(&digest(1));
    let (parent, field) = path.rsplit_once('/').unwrap();
    let parent = statement["predicate"].pointer_mut(parent).unwrap();
    match value {
        Value::Null => drop(parent.as_object_mut().unwrap().remove(field).unwrap()),
        value => parent[field] = value,
    }
    statement
}

fn signed(statement: &Value, sign: &Sign) -> Attached {
    let text = statement.to_string();
    Attached::bundle(bundle(text.as_bytes(), STATEMENT, sign).to_string().as_bytes()).unwrap()
}

fn otherwise(says: &str) -> Found {
    Found::Otherwise(says.to_owned())
}

#[test]
fn a_verifier_vouches_for_a_digest_with_what_is_asked_for() {
    let (ours, theirs) = (p256(), p256());
    let policy = asks(&ours.0, &json!({}));
    assert_eq!(check(&policy), []);
    let sought = sought_by(&policy);
    assert_eq!(sought.says(), [SUMMARY]);
    let fits = verified(&digest(1));
    let told = |statement: &Value| sought.find(&digest(1), &[signed(statement, &ours.1)]);
    assert_eq!(told(&fits), Found::Valid);
    assert_eq!(
        sought.find(&digest(1), &[signed(&fits, &theirs.1)]),
        Found::OfOthers(1),
        "whoever calls itself the verifier must have the key"
    );
    assert_eq!(
        sought.find(&digest(2), &[signed(&fits, &ours.1)]),
        Found::OfAnotherDigest
    );
    assert_eq!(sought.find(&digest(1), &[]), Found::Nothing);
    // The same in a bare envelope, and with the subject among others.
    let mut of_both = fits.clone();
    let subject = of_both["subject"][0].clone();
    of_both["subject"] = json!([{ "name": "amd64", "digest": { "sha256": digest(2).hex() } }, subject]);
    let bare = bundle(of_both.to_string().as_bytes(), STATEMENT, &ours.1)["dsseEnvelope"].to_string();
    let bare = Attached::envelope(bare.as_bytes(), None).unwrap();
    assert_eq!(sought.find(&digest(1), &[bare]), Found::Valid);
}

#[test]
fn what_differs_is_said() {
    let (pem, sign) = p256();
    let sought = sought_by(&asks(&pem, &json!({})));
    let told = |statement: &Value| sought.find(&digest(1), &[signed(statement, &sign)]);
    let other = format!("registry.example.com/acme/web@{}", digest(2));
    let levels = |levels: &[&str]| json!(levels);
    for (path, value, says) in [
        (
            "/verifier/id",
            json!("https://eve.example.com"),
            "https://eve.example.com vouches for it",
        ),
        (
            "/verifier/id",
            json!(format!("{VERIFIER}/")),
            &*format!("{VERIFIER}/ vouches for it"),
        ),
        ("/verifier/id", Value::Null, "somebody unnamed vouches for it"),
        ("/verifier", json!(VERIFIER), "somebody unnamed vouches for it"),
        (
            "/verificationResult",
            json!("FAILED"),
            "the result of the verification is FAILED",
        ),
        (
            "/verificationResult",
            json!("passed"),
            "the result of the verification is passed",
        ),
        ("/verificationResult", json!(true), "the verification has no result"),
        ("/verificationResult", Value::Null, "the verification has no result"),
        (
            "/policy/uri",
            json!("https://waybill.example.com/demo/api/development/policy"),
            "it was verified by https://waybill.example.com/demo/api/development/policy",
        ),
        ("/policy", json!({}), "it was verified by no policy that it names"),
        ("/resourceUri", json!(other), &*format!("{other} was verified")),
        (
            "/verifiedLevels",
            levels(&["SLSA_BUILD_LEVEL_1", "WAYBILL_ENVIRONMENT_staging"]),
            "it was verified for SLSA_BUILD_LEVEL_1, WAYBILL_ENVIRONMENT_staging, not for SLSA_BUILD_LEVEL_2",
        ),
        (
            "/verifiedLevels",
            levels(&["SLSA_SOURCE_LEVEL_3"]),
            "it was verified for SLSA_SOURCE_LEVEL_3, not for SLSA_BUILD_LEVEL_2, WAYBILL_ENVIRONMENT_staging",
        ),
        (
            "/verifiedLevels",
            levels(&[]),
            "it was verified for no level, not for SLSA_BUILD_LEVEL_2, WAYBILL_ENVIRONMENT_staging",
        ),
        (
            "/verifiedLevels",
            Value::Null,
            "it was verified for no level, not for SLSA_BUILD_LEVEL_2, WAYBILL_ENVIRONMENT_staging",
        ),
    ] {
        assert_eq!(told(&with(path, value.clone())), otherwise(says), "{path} {value}");
    }
    for (path, value) in [
        ("/resourceUri", json!("registry.example.com/acme/web:1.5.0")),
        ("/resourceUri", Value::Null),
        ("/timeVerified", Value::Null),
        ("/policy/digest", Value::Null),
        (
            "/verifiedLevels",
            levels(&["SLSA_BUILD_LEVEL_2", "WAYBILL_ENVIRONMENT_staging"]),
        ),
    ] {
        assert_eq!(told(&with(path, value.clone())), Found::Valid, "{path} {value}");
    }
    // What is shown is short, and moves no line.
    let long = format!("https://eve.example.com/\n{}", "x".repeat(1000));
    let Found::Otherwise(says) = told(&with("/verifier/id", json!(long))) else {
        panic!("it fits")
    };
    assert!(says.len() < 250 && !says.contains('\n'), "{says}");
}

#[test]
fn what_is_not_asked_for_may_be_anything() {
    let (pem, sign) = p256();
    let sought = sought_by(&asks(&pem, &json!({ "policy": null, "levels": [] })));
    for (path, value) in [
        (
            "/policy/uri",
            json!("https://waybill.example.com/demo/api/development/policy"),
        ),
        ("/policy", Value::Null),
        ("/verifiedLevels", json!([])),
    ] {
        let found = sought.find(&digest(1), &[signed(&with(path, value.clone()), &sign)]);
        assert_eq!(found, Found::Valid, "{path} {value}");
    }
    let failed = with("/verificationResult", json!("FAILED"));
    assert_eq!(
        sought.find(&digest(1), &[signed(&failed, &sign)]),
        otherwise("the result of the verification is FAILED")
    );
}

#[test]
fn of_several_the_one_that_fits_opens_and_the_nearest_is_told() {
    let (ours, theirs) = (p256(), p256());
    let sought = sought_by(&asks(&ours.0, &json!({})));
    let of = |statement: &Value| signed(statement, &ours.1);
    let stranger = of(&with("/verifier/id", json!("https://eve.example.com")));
    let failed = of(&with("/verificationResult", json!("FAILED")));
    let development = of(&with("/policy/uri", json!("https://waybill.example.com/development")));
    let elsewhere = of(&verified(&digest(2)));
    let of_others = signed(&verified(&digest(1)), &theirs.1);
    let fits = of(&verified(&digest(1)));
    let near = otherwise("it was verified by https://waybill.example.com/development");
    let mut all = vec![
        stranger.clone(),
        development,
        failed,
        of_others.clone(),
        elsewhere.clone(),
    ];
    assert_eq!(sought.find(&digest(1), &all), near);
    all.reverse();
    assert_eq!(sought.find(&digest(1), &all), near, "in whichever order they come");
    assert_eq!(sought.find(&digest(1), &[of_others, elsewhere]), Found::OfAnotherDigest);
    all.push(fits);
    assert_eq!(sought.find(&digest(1), &all), Found::Valid);
    assert_eq!(
        sought.find(&digest(1), &[stranger]),
        otherwise("https://eve.example.com vouches for it")
    );
}

#[test]
fn only_a_summary_vouches_and_it_proves_nothing_else() {
    let (pem, sign) = p256();
    let sought = sought_by(&asks(&pem, &json!({})));
    let mut older = verified(&digest(1));
    older["predicateType"] = json!("https://slsa.dev/verification_summary/v0.2");
    let mut provenance = verified(&digest(1));
    provenance["predicateType"] = json!(PROVENANCE[1]);
    for other in [
        simple(&digest(1), &sign),
        enveloped(&digest(1), SIGNED, &sign),
        signed(&older, &sign),
        signed(&provenance, &sign),
    ] {
        assert_eq!(sought.find(&digest(1), &[other]), Found::Nothing);
    }
    let fits = signed(&verified(&digest(1)), &sign);
    assert_eq!(
        find(&sought.signer, &digest(1), std::slice::from_ref(&fits)),
        Found::Nothing
    );
    let build = json!({ "provenance": [{ "name": "ci", "key": pem, "builder": VERIFIER, "repository": POLICY }] });
    let build: Policy = serde_json::from_value(build).unwrap();
    let (_, build) = crate::signature::sought(&build, &TrustedRoots::built_in()).remove(0);
    assert_eq!(build.find(&digest(1), &[fits]), Found::Nothing);
}

#[test]
fn each_demand_is_remembered_by_itself() {
    let (ours, theirs) = (p256(), p256());
    let of = |key: &str, change: Value| sought_by(&asks(key, &change)).fingerprint();
    let usual = of(&ours.0, json!({}));
    let build = json!({ "provenance": [{ "name": "ci", "key": ours.0, "builder": VERIFIER, "repository": POLICY }] });
    let build: Policy = serde_json::from_value(build).unwrap();
    let all = BTreeSet::from([
        usual.clone(),
        of(&theirs.0, json!({})),
        of(&ours.0, json!({ "verifier": "https://eve.example.com" })),
        of(&ours.0, json!({ "policy": "https://waybill.example.com/other" })),
        of(&ours.0, json!({ "policy": null })),
        of(&ours.0, json!({ "levels": [] })),
        of(&ours.0, json!({ "levels": ["SLSA_BUILD_LEVEL_2"] })),
        of(&ours.0, json!({ "policy": null, "levels": [] })),
        crate::signature::sought(&build, &TrustedRoots::built_in())
            .remove(0)
            .1
            .fingerprint(),
        PublicKey::read(&ours.0).unwrap().fingerprint(),
    ]);
    assert_eq!(all.len(), 10);
    // Neither its name nor the order of its levels makes another demand.
    let turned = json!({ "levels": ["WAYBILL_ENVIRONMENT_staging", "SLSA_BUILD_LEVEL_2", "SLSA_BUILD_LEVEL_2"] });
    assert_eq!(of(&ours.0, turned), usual);
    let mut renamed = asks(&ours.0, &json!({}));
    renamed.summaries[0].name = "sister".into();
    assert_eq!(
        crate::signature::sought(&renamed, &TrustedRoots::built_in())
            .remove(0)
            .1
            .fingerprint(),
        usual
    );
}

#[test]
fn a_key_that_cannot_be_read_is_refused_and_never_found() {
    let policy = asks("cosign.pub", &json!({}));
    let wrong = check(&policy);
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].0, "summaries[0].key");
    assert!(crate::signature::sought(&policy, &TrustedRoots::built_in()).is_empty());
}
