//! Keyless signatures, by a Sigstore instance of the test bed.

use super::*;
use domain::policy::Keyless;
use std::collections::BTreeMap;
use testbed::sigstore::{Moments, Sigstore, Workload};

/// What a policy asks for, with the roots there are.
struct Asked {
    sigstore: Sigstore,
    roots: TrustedRoots,
    keyless: Value,
}

impl Asked {
    fn new() -> Self {
        let sigstore = Sigstore::new().unwrap();
        let root = TrustedRoot::read(&sigstore.trusted_root()).unwrap();
        let who = Workload::github("acme/api", "main");
        Self {
            roots: TrustedRoots::built_in().with("own", root),
            keyless: json!({ "issuer": who.issuer, "identity": who.identity, "trustedRoot": "own", "sct": false }),
            sigstore,
        }
    }

    /// The same, with this instead.
    fn with(&self, field: &str, value: Value) -> Value {
        let mut keyless = self.keyless.clone();
        keyless[field] = value;
        keyless
    }

    fn find(&self, keyless: &Value, attached: &[Attached]) -> Found {
        sought_by(keyless, &self.roots)
            .expect("it can be sought")
            .find(&digest(1), attached)
    }
}

fn policy_of(keyless: &Value) -> Policy {
    serde_json::from_value(json!({ "signatures": [{ "name": "ci", "keyless": keyless }] })).unwrap()
}

fn sought_by(keyless: &Value, roots: &TrustedRoots) -> Option<Sought> {
    sought(&policy_of(keyless), roots).pop().map(|(_, sought)| sought)
}

fn attached(bundle: &Value) -> Attached {
    Attached::bundle(bundle.to_string().as_bytes()).unwrap()
}

fn refused(found: Found) -> String {
    match found {
        Found::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

fn signed(sigstore: &Sigstore, who: &Workload) -> Value {
    sigstore.sign(who, digest(1).as_str(), Moments::default()).unwrap()
}

#[test]
fn who_is_asked_for_signed_it() {
    let asked = Asked::new();
    let who = Workload::github("acme/api", "main");
    let bundle = signed(&asked.sigstore, &who);
    assert_eq!(asked.find(&asked.keyless, &[attached(&bundle)]), Found::Valid);
    for (field, value) in [
        ("repository", json!("https://github.com/acme/api")),
        ("repository", json!("git+https://github.com/acme/api.git")),
        ("ref", json!("refs/heads/main")),
    ] {
        assert_eq!(
            asked.find(&asked.with(field, value), &[attached(&bundle)]),
            Found::Valid
        );
    }
    let mut pattern = asked.with(
        "identityPattern",
        json!(r"^https://github\.com/acme/api/\.github/workflows/[a-z]+\.yml@refs/heads/main$"),
    );
    pattern.as_object_mut().unwrap().remove("identity");
    assert_eq!(asked.find(&pattern, &[attached(&bundle)]), Found::Valid);
    // A person, with an e-mail address.
    let person = Workload {
        identity: "ada@example.com".into(),
        issuer: "https://accounts.example.com".into(),
        ..who
    };
    let bundle = signed(&asked.sigstore, &person);
    let mut keyless = asked.with("identity", json!("ada@example.com"));
    keyless["issuer"] = json!("https://accounts.example.com");
    assert_eq!(asked.find(&keyless, &[attached(&bundle)]), Found::Valid);
}

#[test]
fn who_else_signed_is_told_with_what_is_asked_for() {
    let asked = Asked::new();
    let by = |who: &Workload| attached(&signed(&asked.sigstore, who));
    let main = Workload::github("acme/api", "main");
    let dev = Workload::github("acme/api", "dev");
    let why = refused(asked.find(&asked.keyless, &[by(&dev)]));
    assert_eq!(
        why,
        "it is signed by https://github.com/acme/api/.github/workflows/build.yml@refs/heads/dev, and the policy asks for \
         https://github.com/acme/api/.github/workflows/build.yml@refs/heads/main"
    );
    // What merely begins or ends so.
    for identity in [
        format!("{}-evil", main.identity),
        format!("https://evil.example/{}", main.identity),
    ] {
        let evil = Workload {
            identity,
            ..main.clone()
        };
        assert!(refused(asked.find(&asked.keyless, &[by(&evil)])).contains("it is signed by"));
        let mut pattern = asked.with("identityPattern", json!(format!("^{}$", regex::escape(&main.identity))));
        pattern.as_object_mut().unwrap().remove("identity");
        assert!(refused(asked.find(&pattern, &[by(&evil)])).contains("it is signed by"));
    }
    let other_issuer = Workload {
        issuer: "https://token.example.com".into(),
        ..main.clone()
    };
    let why = refused(asked.find(&asked.keyless, &[by(&other_issuer)]));
    assert!(why.contains("vouched for by https://token.example.com"), "{why}");
    let keyless = asked.with("repository", json!("https://github.com/acme/web"));
    let why = refused(asked.find(&keyless, &[by(&main)]));
    assert!(
        why.contains(
            "for the repository https://github.com/acme/api, and the policy asks for https://github.com/acme/web"
        ),
        "{why}"
    );
    let why = refused(asked.find(&asked.with("ref", json!("refs/tags/v1")), &[by(&main)]));
    assert!(
        why.contains("signed for refs/heads/main, and the policy asks for refs/tags/v1"),
        "{why}"
    );
    // The nearest of several is told, and a valid one among them is enough.
    let keyless = asked.with("ref", json!("refs/tags/v1"));
    let why = refused(asked.find(&keyless, &[by(&dev), by(&main), by(&other_issuer)]));
    assert!(why.contains("refs/heads/main, and"), "{why}");
    assert_eq!(asked.find(&asked.keyless, &[by(&dev), by(&main)]), Found::Valid);
}

#[test]
fn what_is_signed_with_a_key_is_not_keyless_and_the_other_way_round() {
    let asked = Asked::new();
    let (pem, sign) = p256();
    let with_key = enveloped(&digest(1), SIGNED, &sign);
    let why = refused(asked.find(&asked.keyless, std::slice::from_ref(&with_key)));
    assert!(
        why.starts_with("it is signed with a key, and the policy asks for https://"),
        "{why}"
    );
    let why = refused(asked.find(&asked.keyless, &[simple(&digest(1), &sign)]));
    assert!(why.contains("signed with a key"), "{why}");
    let keyless = attached(&signed(&asked.sigstore, &Workload::github("acme/api", "main")));
    let key = PublicKey::read(&pem).unwrap();
    assert_eq!(found_by(&key, &digest(1), &[keyless]), Found::OfOthers(1));
    assert_eq!(found_by(&key, &digest(1), &[with_key]), Found::Valid);
    assert_eq!(asked.find(&asked.keyless, &[]), Found::Nothing);
}

#[test]
fn one_of_another_digest_or_that_says_something_else_is_none_of_this() {
    let asked = Asked::new();
    let who = Workload::github("acme/api", "main");
    let of_another = (asked.sigstore)
        .sign(&who, digest(2).as_str(), Moments::default())
        .unwrap();
    assert_eq!(
        asked.find(&asked.keyless, &[attached(&of_another)]),
        Found::OfAnotherDigest
    );
    let says = ("https://spdx.dev/Document", &json!({}));
    let scanned = (asked.sigstore)
        .attest(&who, digest(1).as_str(), says, Moments::default())
        .unwrap();
    assert_eq!(asked.find(&asked.keyless, &[attached(&scanned)]), Found::Nothing);
}

/// Each part that is replaced by that of another signature, or damaged, makes it count no more, and the sentence names the part.
#[test]
fn each_condition_that_fails_is_named() {
    let asked = Asked::new();
    let who = Workload::github("acme/api", "main");
    let whole = signed(&asked.sigstore, &who);
    let other = asked
        .sigstore
        .sign(&who, digest(2).as_str(), Moments::default())
        .unwrap();
    let entry = "/verificationMaterial/tlogEntries/0";
    let taken = |path: &str| {
        let mut bundle = whole.clone();
        *bundle.pointer_mut(path).unwrap() = other.pointer(path).unwrap().clone();
        bundle
    };
    let removed = |path: &str, name: &str| {
        let mut bundle = whole.clone();
        bundle.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
        bundle
    };
    let mut stranger = whole.clone();
    stranger["verificationMaterial"] = signed(&Sigstore::new().unwrap(), &who)["verificationMaterial"].clone();
    let mut no_entry = whole.clone();
    no_entry["verificationMaterial"]["tlogEntries"] = json!([]);
    let late = (asked.sigstore)
        .sign(&who, digest(1).as_str(), Moments { after: 700 })
        .unwrap();
    for (what, bundle, says) in [
        (
            "another certificate",
            taken("/verificationMaterial/certificate"),
            "signature isn't over",
        ),
        ("another entry", taken(entry), "about something else"),
        (
            "another body",
            taken(&format!("{entry}/canonicalizedBody")),
            "no transparency log of the trusted root own",
        ),
        (
            "another promise",
            taken(&format!("{entry}/inclusionPromise")),
            "no transparency log of the trusted root own",
        ),
        (
            "another proof",
            taken(&format!("{entry}/inclusionProof")),
            "no transparency log of the trusted root own",
        ),
        (
            "another signature",
            taken("/dsseEnvelope/signatures"),
            "signature isn't over",
        ),
        ("an instance of strangers", stranger, "trusted root own"),
        (
            "no promise, so no time",
            removed(entry, "inclusionPromise"),
            "nothing proves when it was signed",
        ),
        (
            "no proof",
            removed(entry, "inclusionProof"),
            "lacks what the policy asks for",
        ),
        ("no entry", no_entry, "lacks what the policy asks for"),
        ("after its certificate ended", late, "wasn't valid when it was signed"),
    ] {
        let why = refused(asked.find(&asked.keyless, &[attached(&bundle)]));
        assert!(
            why.starts_with(&format!("it names {}, but ", who.identity)) && why.contains(says),
            "{what}: {why}"
        );
    }
    // Without a certificate log the policy must say so.
    let why = refused(asked.find(&asked.with("sct", json!(true)), &[attached(&whole)]));
    assert!(
        why.contains("no certificate log of the trusted root own has its certificate"),
        "{why}"
    );
    // Nor does it count with the public instance's root.
    let why = refused(asked.find(&asked.with("trustedRoot", json!("public")), &[attached(&whole)]));
    assert!(why.contains("trusted root public"), "{why}");
    // The payload of another, under a name that is there twice.
    let text = whole.to_string();
    let twice = text.replacen(
        "\"payload\":",
        &format!("\"payload\":{},\"payload\":", other["dsseEnvelope"]["payload"]),
        1,
    );
    assert_ne!(text, twice);
    if let Some(odd) = Attached::bundle(twice.as_bytes()) {
        refused(asked.find(&asked.keyless, &[odd]));
    }
}

#[test]
fn the_older_form_counts_with_what_stands_beside_it() {
    let asked = Asked::new();
    let who = Workload::github("acme/api", "main");
    let document = payload(&digest(1));
    let (signature, annotations) = asked.sigstore.sign_older(&who, &document).unwrap();
    let read = |document: &[u8], annotations: &BTreeMap<String, String>| {
        Attached::simple(document.to_vec(), &signature, Annotated::of(annotations)).unwrap()
    };
    assert_eq!(
        asked.find(&asked.keyless, &[read(&document, &annotations)]),
        Found::Valid
    );
    let why = refused(asked.find(
        &asked.with("identity", json!("https://github.com/acme/web")),
        &[read(&document, &annotations)],
    ));
    assert!(why.contains("it is signed by https://github.com/acme/api/"), "{why}");
    // Another document beside the signature.
    let of_another = payload(&digest(2));
    assert_eq!(
        asked.find(&asked.keyless, &[read(&of_another, &annotations)]),
        Found::Nothing
    );
    let mut renamed: Value = nesting::json(&document).unwrap();
    renamed["optional"] = json!({ "creator": "eve" });
    let why = refused(asked.find(&asked.keyless, &[read(renamed.to_string().as_bytes(), &annotations)]));
    assert!(why.contains("isn't over") || why.contains("something else"), "{why}");
    // Without its parts, or with those of another.
    let (_, others) = asked.sigstore.sign_older(&who, b"something else").unwrap();
    for name in ["dev.sigstore.cosign/bundle", "dev.sigstore.cosign/certificate"] {
        let mut without = annotations.clone();
        without.remove(name);
        refused(asked.find(&asked.keyless, &[read(&document, &without)]));
        let mut other = annotations.clone();
        other.insert(name.into(), others[name].clone());
        refused(asked.find(&asked.keyless, &[read(&document, &other)]));
        for odd in ["", "{", "-----BEGIN CERTIFICATE-----", &"x".repeat(70_000)] {
            let mut broken = annotations.clone();
            broken.insert(name.into(), odd.into());
            refused(asked.find(&asked.keyless, &[read(&document, &broken)]));
        }
    }
}

#[test]
fn provenance_may_be_keyless_too() {
    let asked = Asked::new();
    let who = Workload::github("acme/api", "main");
    let policy = json!({ "provenance": [{ "name": "ci", "keyless": asked.keyless,
        "builder": "https://ci.example.com/build", "repository": "https://github.com/acme/api" }] });
    let policy: Policy = serde_json::from_value(policy).unwrap();
    assert_eq!(check(&policy), []);
    let sought = sought(&policy, &asked.roots).pop().unwrap().1;
    let told = |from: &str, who: &Workload| {
        let statement = built(1, "https://ci.example.com/build", from);
        let says = (PROVENANCE[1], &statement["predicate"]);
        let bundle = (asked.sigstore)
            .attest(who, digest(1).as_str(), says, Moments::default())
            .unwrap();
        sought.find(&digest(1), &[attached(&bundle)])
    };
    assert_eq!(told("https://github.com/acme/api", &who), Found::Valid);
    let says = "https://ci.example.com/build built it from https://github.com/eve/api";
    assert_eq!(told("https://github.com/eve/api", &who), Found::Otherwise(says.into()));
    assert!(
        refused(told(
            "https://github.com/acme/api",
            &Workload::github("acme/api", "dev")
        ))
        .contains("heads/dev")
    );
}

#[test]
fn a_root_that_is_replaced_or_gone_makes_another_demand_of_it() {
    let asked = Asked::new();
    let of = |keyless: &Value, roots: &TrustedRoots| sought_by(keyless, roots).map(|sought| sought.fingerprint());
    let before = of(&asked.keyless, &asked.roots);
    assert!(before.is_some());
    assert_eq!(
        of(&asked.keyless, &TrustedRoots::built_in()),
        None,
        "a root that isn't there"
    );
    let another = TrustedRoot::read(&Sigstore::new().unwrap().trusted_root()).unwrap();
    assert_ne!(of(&asked.keyless, &asked.roots.clone().with("own", another)), before);
    let mut all = vec![before];
    for (field, value) in [
        ("issuer", json!("https://token.example.com")),
        ("identity", json!("ada@example.com")),
        ("repository", json!("https://github.com/acme/api")),
        ("ref", json!("refs/heads/main")),
        ("trustedRoot", json!("public")),
        ("sct", json!(true)),
        ("transparencyLog", json!(false)),
    ] {
        let other = of(&asked.with(field, value), &asked.roots);
        assert!(!all.contains(&other), "{field}");
        all.push(other);
    }
}

#[test]
fn patterns_that_fit_anybody_are_refused() {
    let why = |pattern: &str, repository: Option<&str>| {
        let mut keyless =
            json!({ "issuer": "https://token.actions.githubusercontent.com", "identityPattern": pattern });
        if let Some(repository) = repository {
            keyless["repository"] = json!(repository);
        }
        check(&policy_of(&keyless)).pop().map(|(field, why)| {
            assert_eq!(field, "signatures[0].keyless.identityPattern");
            why
        })
    };
    for (pattern, says) in [
        ("https://github.com/acme/.*", "Begin the pattern"),
        ("^https://github.com/acme/.*", "Begin the pattern"),
        (r"^https://github\.com/acme/a\$", "Begin the pattern"),
        ("^(https://$", "no regular expression"),
        ("^a$)|(?:^.*$", "no regular expression"),
        ("^(?x)a # $", "no regular expression"),
        ("^(a{1000}){1000}$", "no regular expression"),
        ("^.*$", "anybody"),
        ("^$", "anybody"),
        ("^https://.*$", "anybody"),
        ("^.+@example.+$", "anybody"),
        ("^acme$|^.*$", "anybody"),
        (r"^https://github\.com/.*$", "everybody's repositories"),
        (r"^https://gitlab\.com/.+$", "everybody's repositories"),
    ] {
        let told = why(pattern, None).unwrap_or_else(|| panic!("{pattern} is accepted"));
        assert!(told.contains(says), "{pattern}: {told}");
    }
    assert_eq!(why(r"^https://github\.com/acme/.+$", None), None);
    assert_eq!(
        why(r"^https://github\.com/.*$", Some("https://github.com/acme/api")),
        None
    );
    let keyless: Keyless = serde_json::from_value(json!({ "issuer": "i", "identity": "i" })).unwrap();
    assert_eq!(keyless.root(), "public");
}
