//! What a policy says as text, and what is refused.

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn a_policy_reads_as_people_write_it_and_back() {
    let json = serde_json::json!({
        "approvals": { "count": 2, "by": [{ "group": "release" }, { "user": "ada@example.com" }, { "role": "approver" }],
            "requiredGroup": "release", "selfApproval": false },
        "checks": [{ "name": "integration", "maxAgeHours": 24 }],
        "ranIn": [{ "environment": "staging", "soakMinutes": 30 }],
        "freezes": [
            { "name": "weekend", "timeZone": "Europe/Berlin",
              "when": { "weekly": { "from": "friday 17:00", "to": "monday 09:00" } } },
            { "name": "holidays", "timeZone": "UTC",
              "when": { "dates": { "from": "2026-12-24 18:00", "to": "2027-01-02 09:00" } } },
        ],
        "signatures": [{ "name": "release", "key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" }],
        "provenance": [{ "name": "ci", "key": "PEM", "builder": "https://ci.example.com/builder",
            "repository": "https://git.example.com/acme/api" }],
        "summaries": [
            { "name": "other", "verifier": "https://waybill.example.com/verifier/v1",
              "policy": "https://waybill.example.com/demo/api/staging/policy",
              "levels": ["SLSA_BUILD_LEVEL_2", "WAYBILL_ENVIRONMENT_staging"], "key": "PEM" },
            { "name": "any of its policies", "verifier": "urn:example:verifier", "key": "PEM" },
        ],
        "overrides": [{ "gates": ["freeze", "stop"], "by": [{ "role": "admin" }] }],
        "onRollback": ["check"],
    });
    let policy: Policy = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&policy).unwrap(), json);
    let mut errors = FieldErrors::default();
    let environments = [name("staging"), name("production")];
    policy.check("policy", &name("production"), &environments, &mut errors);
    assert_eq!(errors, FieldErrors::default());
    assert!(!policy.is_empty() && Policy::default().is_empty());
    let unknown = serde_json::json!({ "approvers": 2 });
    assert!(
        serde_json::from_value::<Policy>(unknown).is_err(),
        "unknown keys are refused"
    );
}

#[test]
fn what_a_rollback_passes_has_a_default_which_a_list_replaces_also_an_empty_one() {
    let read = |json: &str| serde_json::from_str::<Policy>(json).unwrap();
    // Stored before there was such a word, and written without it.
    let unsaid = read("{}");
    assert_eq!(unsaid, Policy::default());
    let held: Vec<GateKind> = GateKind::ALL
        .iter()
        .copied()
        .filter(|kind| unsaid.holds_rollbacks(*kind))
        .collect();
    assert_eq!(held, [GateKind::Signature, GateKind::Provenance, GateKind::Summary]);
    for (json, signature, check) in [
        (r#"{"onRollback":[]}"#, false, false),
        (r#"{"onRollback":["check"]}"#, false, true),
        (r#"{"onRollback":["check","signature"]}"#, true, true),
    ] {
        let policy = read(json);
        assert_eq!(
            serde_json::to_string(&policy).unwrap(),
            json,
            "it stays as it was written"
        );
        assert_eq!(policy.holds_rollbacks(GateKind::Signature), signature, "{json}");
        assert_eq!(policy.holds_rollbacks(GateKind::Check), check, "{json}");
    }
}

#[test]
fn what_is_wrong_is_said_at_its_field() {
    let policy: Policy = serde_json::from_value(serde_json::json!({
        "approvals": { "count": 0, "by": [{ "user": "ada" }] },
        "checks": [{ "name": "a", "maxAgeHours": 0 }, { "name": "a" }, { "name": " b" }],
        "ranIn": [{ "environment": "production" }, { "environment": "ghost" },
            { "environment": "staging" }, { "environment": "staging" }],
        "signatures": [{ "name": "release", "key": "" }, { "name": "release", "key": "" }],
        "provenance": [{ "name": "ci", "key": "", "builder": "ci", "repository": "https://a b" }],
        "summaries": [{ "name": "other", "key": "", "verifier": "waybill" }],
        "freezes": [{ "name": "x", "timeZone": "UTC", "when": { "weekly": { "from": "friday 17:00", "to": "friday 17:00" } } }],
        "overrides": [{ "gates": [], "by": [] }],
    }))
    .unwrap();
    let mut errors = FieldErrors::default();
    policy.check(
        "p",
        &name("production"),
        &[name("staging"), name("production")],
        &mut errors,
    );
    let fields: Vec<&str> = errors.0.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "p.approvals.count",
            "p.approvals.by[0].user",
            "p.checks[1].name",
            "p.checks[2].name",
            "p.checks[0].maxAgeHours",
            "p.ranIn[0].environment",
            "p.ranIn[1].environment",
            "p.ranIn[3].environment",
            "p.signatures[1].name",
            "p.provenance[0].builder",
            "p.provenance[0].repository",
            "p.summaries[0].verifier",
            "p.freezes[0].when",
            "p.overrides[0].gates",
            "p.overrides[0].by",
        ]
    );
}

#[test]
fn times_are_read_strictly() {
    for (text, minute) in [
        ("monday 00:00", 0),
        ("Friday 17:00", 4 * 1440 + 17 * 60),
        ("sunday 23:59", 10_079),
    ] {
        let time: WeekTime = text.parse().unwrap();
        assert_eq!((time.minute, time.to_string()), (minute, text.to_ascii_lowercase()));
    }
    for wrong in [
        "",
        "friday",
        "friday 24:00",
        "friday 7:00",
        "fri 17:00",
        "friday 17:60",
        "friday +7:00",
    ] {
        assert!(wrong.parse::<WeekTime>().is_err(), "{wrong}");
    }
    let time: DateTime = "2026-12-24T18:00".parse().unwrap();
    assert_eq!(time.to_string(), "2026-12-24 18:00");
    for wrong in [
        "2026-12-24",
        "2026-13-01 00:00",
        "2026-1-01 00:00",
        "2026-12-24-1 00:00",
        "1969-01-01 00:00",
    ] {
        assert!(wrong.parse::<DateTime>().is_err(), "{wrong}");
    }
    let time = |text: &str| text.parse::<WeekTime>().unwrap();
    assert_eq!(
        time("friday 17:00").minutes_to(time("monday 09:00")),
        (7 + 24 + 24 + 9) * 60
    );
}

#[test]
fn each_part_makes_a_policy_say_something() {
    assert!(Policy::default().is_empty() && Policy::default().words().is_empty());
    for (json, words) in [
        (
            serde_json::json!({ "approvals": { "count": 1, "by": [{ "group": "release" }] } }),
            "1 approval by members of group release.",
        ),
        (
            serde_json::json!({ "approvals": { "count": 2, "requiredGroup": "security" } }),
            "one of them of group security",
        ),
        (
            serde_json::json!({ "checks": [{ "name": "integration", "maxAgeHours": 24 }] }),
            "Check integration passed, at most 24 h ago.",
        ),
        (
            serde_json::json!({ "checks": [{ "name": "integration" }] }),
            "Check integration passed.",
        ),
        (
            serde_json::json!({ "ranIn": [{ "environment": "staging", "soakMinutes": 30 }] }),
            "Healthy in staging for 30 min.",
        ),
        (
            serde_json::json!({ "ranIn": [{ "environment": "staging" }] }),
            "Healthy in staging before.",
        ),
        (
            serde_json::json!({ "signatures": [{ "name": "release", "key": "k" }] }),
            "Signed by release.",
        ),
        (
            serde_json::json!({ "provenance": [{ "name": "ci", "key": "k", "builder": "https://b.example", "repository": "https://r.example" }] }),
            "Built by https://b.example from https://r.example, as ci attests.",
        ),
        (
            serde_json::json!({ "summaries": [{ "name": "other", "key": "k", "verifier": "https://v.example" }] }),
            "Vouched for by https://v.example, as other attests.",
        ),
        (
            serde_json::json!({ "summaries": [{ "name": "other", "key": "k", "verifier": "https://v.example",
                "policy": "https://v.example/p", "levels": ["SLSA_BUILD_LEVEL_2", "scanned"] }] }),
            "Vouched for by https://v.example under https://v.example/p with SLSA_BUILD_LEVEL_2, scanned, as other attests.",
        ),
        (
            serde_json::json!({ "freezes": [{ "name": "weekend", "timeZone": "UTC",
                "when": { "weekly": { "from": "friday 17:00", "to": "monday 09:00" } } }] }),
            "weekend",
        ),
    ] {
        let policy: Policy = serde_json::from_value(json.clone()).unwrap();
        assert!(!policy.is_empty(), "{json}");
        assert!(
            policy.words().concat().contains(words),
            "{:?} lacks {words:?}",
            policy.words()
        );
    }
}

#[test]
fn what_had_to_be_passed_is_attested_unless_it_says_otherwise() {
    let read = |json: serde_json::Value| -> Policy { serde_json::from_value(json).unwrap() };
    assert_eq!(read(serde_json::json!({})).attests(), Attestation::Off);
    let with_gates = serde_json::json!({ "approvals": { "count": 1 } });
    assert_eq!(read(with_gates.clone()).attests(), Attestation::BestEffort);
    for (word, is) in [
        ("off", Attestation::Off),
        ("bestEffort", Attestation::BestEffort),
        ("required", Attestation::Required),
    ] {
        assert_eq!(read(serde_json::json!({ "attestation": word })).attests(), is);
        let mut with_gates = with_gates.clone();
        with_gates["attestation"] = word.into();
        assert_eq!(read(with_gates).attests(), is);
    }
}

#[test]
fn only_what_is_unusual_is_written() {
    for (json, unusual) in [
        (serde_json::json!({ "sync": "service" }), true),
        (serde_json::json!({ "sync": "application" }), false),
        (serde_json::json!({ "onFailure": "takeBack" }), true),
        (serde_json::json!({ "onFailure": "stop" }), false),
        (serde_json::json!({ "attestation": "off" }), true),
        (serde_json::json!({ "attestation": "bestEffort" }), true),
        (serde_json::json!({ "attestation": "required" }), true),
    ] {
        let policy: Policy = serde_json::from_value(json.clone()).unwrap();
        let written = serde_json::to_value(&policy).unwrap();
        assert_eq!(written == json, unusual, "{json} became {written}");
        assert_eq!(written == serde_json::json!({}), !unusual, "{json} became {written}");
        assert!(policy.is_empty(), "it shuts nothing");
    }
}

#[test]
fn so_many_keys_and_builds_are_asked_for_and_no_more() {
    let wrong = |count: usize| {
        let named = |more: serde_json::Value| -> Vec<serde_json::Value> {
            (0..count)
                .map(|n| {
                    let mut one = more.clone();
                    one["name"] = format!("n{n}").into();
                    one
                })
                .collect()
        };
        let policy: Policy = serde_json::from_value(serde_json::json!({
            "signatures": named(serde_json::json!({ "key": "k" })),
            "provenance": named(serde_json::json!({ "key": "k", "builder": "https://b.example", "repository": "https://r.example" })),
            "summaries": named(serde_json::json!({ "key": "k", "verifier": "https://v.example" })),
        }))
        .unwrap();
        let mut errors = FieldErrors::default();
        policy.check("p", &name("production"), &[], &mut errors);
        errors.0.into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    assert_eq!(wrong(MOST_KEYS), Vec::<String>::new());
    assert_eq!(wrong(MOST_KEYS + 1), ["p.signatures", "p.provenance", "p.summaries"]);
}

#[test]
fn a_verifier_is_a_uri_and_a_level_has_few_characters() {
    let wrong = |change: serde_json::Value| {
        let mut one = serde_json::json!({ "name": "other", "key": "k", "verifier": "https://v.example" });
        for (key, value) in change.as_object().unwrap() {
            one[key] = value.clone();
        }
        let policy: Policy = serde_json::from_value(serde_json::json!({ "summaries": [one] })).unwrap();
        let mut errors = FieldErrors::default();
        policy.check("p", &name("production"), &[], &mut errors);
        errors.0.into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    let long = |count: usize| "x".repeat(count);
    let most = vec!["a"; 10];
    for right in [
        serde_json::json!({ "verifier": "urn:example:verifier" }),
        serde_json::json!({ "verifier": "git+ssh://v.example" }),
        serde_json::json!({ "policy": "/policies/build-gate" }),
        serde_json::json!({ "levels": ["SLSA_BUILD_LEVEL_3", "a.b-c", long(100)] }),
        serde_json::json!({ "levels": most }),
    ] {
        assert_eq!(wrong(right.clone()), Vec::<String>::new(), "{right}");
    }
    for verifier in [
        "",
        "waybill",
        "v.example/verifier",
        "https:",
        "://v.example",
        "1https://v.example",
        "a b:c",
        "https://v .example",
        "https://v\n.example",
        &format!("https://{}", long(500)),
    ] {
        let change = serde_json::json!({ "verifier": verifier });
        assert_eq!(wrong(change), ["p.summaries[0].verifier"], "{verifier:?}");
    }
    for policy in ["", "a b", &long(501)] {
        let change = serde_json::json!({ "policy": policy });
        assert_eq!(wrong(change), ["p.summaries[0].policy"], "{policy:?}");
    }
    for level in ["", "a b", "a:b", "ä", &long(101)] {
        let change = serde_json::json!({ "levels": ["fine", level] });
        assert_eq!(wrong(change), ["p.summaries[0].levels[1]"], "{level:?}");
    }
    let many = vec!["a"; 11];
    assert_eq!(wrong(serde_json::json!({ "levels": many })), ["p.summaries[0].levels"]);
}

#[test]
fn names_have_one_to_a_hundred_characters_without_spaces_around_them() {
    for name in ["a", "integration tests", &"x".repeat(100), &"ü".repeat(100)] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", " a", "a ", "a\nb", &"x".repeat(101)] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
}
