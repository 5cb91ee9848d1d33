//! What Waybill says of a promotion: a verification summary (SLSA VSA 1.2, predicate `https://slsa.dev/verification_summary/v1`) in an in-toto
//! statement, signed in a DSSE envelope.
//!
//! It says which gates of an environment an image passed, and is what the admission of a cluster can ask for. It names no people: a registry may
//! be public, and what is signed can't be taken back. Its bytes follow from what it says alone, so that the same promotion says the same.

use super::{
    STATEMENT, message,
    signing_key::{SigningError, SigningKey},
};
use crate::nesting;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    artifact::ExactImage,
    gate::{Gate, GateKind, GateState},
    id::PromotionId,
    name::Name,
    policy::Policy,
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the statement is, to those who read it.
pub const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";
/// Stands before what a verification summary says in Waybill's own words; SLSA keeps `SLSA_` for itself.
const LEVEL: &str = "WAYBILL_";
const SLSA_VERSION: &str = "1.2";

/// What a promotion passed.
#[derive(Clone, Debug)]
pub struct Passed<'a> {
    /// The address of this installation, without a slash at its end.
    pub installation: &'a str,
    /// The workspace.
    pub workspace: &'a Name,
    /// The project.
    pub project: &'a Name,
    /// The environment that the image may run in.
    pub environment: &'a Name,
    /// The environment that it comes from, if it comes from one.
    pub from: Option<&'a Name>,
    /// The promotion.
    pub promotion: PromotionId,
    /// The image, in the repository that it is pulled from.
    pub image: &'a ExactImage,
    /// What the environment asks for.
    pub policy: &'a Policy,
    /// How each gate stood; all are open.
    pub gates: &'a [Gate],
    /// When they were held against the policy.
    pub at: Timestamp,
}

/// Waybill's part of the statement, under a name that is the same in every installation.
#[derive(Serialize)]
struct Record<'a> {
    workspace: &'a Name,
    project: &'a Name,
    environment: &'a Name,
    promotion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a Name>,
    gates: Vec<GateRecord>,
    record: String,
}

#[derive(Serialize)]
struct GateRecord {
    gate: String,
    state: &'static str,
    /// Approvals that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    need: Option<u32>,
}

#[derive(Serialize)]
struct Predicate<'a> {
    verifier: Value,
    #[serde(rename = "timeVerified")]
    time_verified: String,
    #[serde(rename = "resourceUri")]
    resource_uri: String,
    policy: Value,
    #[serde(rename = "verificationResult")]
    verification_result: &'static str,
    #[serde(rename = "verifiedLevels")]
    verified_levels: Vec<String>,
    #[serde(rename = "slsaVersion")]
    slsa_version: &'static str,
    #[serde(rename = "https://waybill.example.com/attestation/gates/v1")]
    record: Record<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Value,
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

impl Passed<'_> {
    /// Who vouches, to those who read it: the same for all statements of an installation.
    #[must_use]
    pub fn verifier(installation: &str) -> String {
        format!("{installation}/verifier/v1")
    }

    /// Where the environment's policy is shown. It tells the environment to readers that know nothing of Waybill.
    fn policy_uri(&self) -> String {
        let Self {
            installation,
            workspace,
            project,
            environment,
            ..
        } = self;
        format!("{installation}/w/{workspace}/{project}/{environment}/-/policy")
    }

    /// What was verified, a word each: the environment, and each gate that was passed or overridden.
    #[must_use]
    pub fn levels(&self) -> Vec<String> {
        let mut levels = vec![format!("{LEVEL}ENVIRONMENT_{}", self.environment)];
        for gate in self.gates {
            let name = word(&gate.id.name);
            let level = match (gate.state, gate.id.kind) {
                (GateState::Overridden, kind) => format!("{LEVEL}OVERRIDDEN_{}", constant(kind.as_str())),
                (GateState::Met, GateKind::Approvals) => {
                    let count = self.policy.approvals.as_ref().map_or(0, |approvals| approvals.count);
                    format!("{LEVEL}APPROVALS_{count}")
                }
                // That nothing was in the way is no property of the image.
                (GateState::Met, GateKind::Freeze | GateKind::Stop) => continue,
                (GateState::Met, kind) => format!("{LEVEL}{}_{name}", constant(kind.as_str())),
                (GateState::Waiting | GateState::Failed, _) => continue,
            };
            if !levels.contains(&level) {
                levels.push(level);
            }
        }
        levels
    }

    /// The statement, compact JSON.
    ///
    /// # Errors
    /// When the policy can't be written as JSON.
    pub fn statement(&self) -> serde_json::Result<Vec<u8>> {
        let Self {
            installation, image, ..
        } = self;
        let digest = image.digest.hex();
        let resource_uri = format!("{}@{}", image.repository, image.digest);
        let gates = self.gates.iter().map(|gate| GateRecord {
            gate: gate.id.to_string(),
            need: (self.policy.approvals.as_ref())
                .filter(|_| gate.id.kind == GateKind::Approvals)
                .map(|approvals| approvals.count),
            state: match gate.state {
                GateState::Met => "passed",
                GateState::Overridden => "overridden",
                GateState::Waiting | GateState::Failed => "shut",
            },
        });
        let summary = Summary {
            kind: "https://in-toto.io/Statement/v1",
            subject: json!([{ "digest": { "sha256": digest }, "name": image.repository.as_str() }]),
            predicate_type: SUMMARY,
            predicate: Predicate {
                verifier: json!({
                    "id": Self::verifier(installation),
                    "version": { "waybill": env!("CARGO_PKG_VERSION") },
                }),
                time_verified: self.at.rfc3339(),
                resource_uri,
                policy: json!({ "digest": { "sha256": policy_digest(self.policy)? }, "uri": self.policy_uri() }),
                verification_result: "PASSED",
                verified_levels: self.levels(),
                slsa_version: SLSA_VERSION,
                record: Record {
                    workspace: self.workspace,
                    project: self.project,
                    environment: self.environment,
                    promotion: self.promotion.to_string(),
                    from: self.from,
                    gates: gates.collect(),
                    record: format!("{installation}/promotions/{}", self.promotion),
                },
            },
        };
        serde_json::to_vec(&summary)
    }

    /// Whether what was signed before says the same, whichever release of Waybill signed it.
    ///
    /// # Errors
    /// As [`Self::statement`].
    pub fn is_said_by(&self, layer: &[u8]) -> serde_json::Result<bool> {
        let without_release = |statement: &[u8]| -> Option<Value> {
            let mut statement: Value = nesting::json(statement).ok()?;
            statement
                .pointer_mut("/predicate/verifier")?
                .as_object_mut()?
                .remove("version");
            Some(statement)
        };
        let now = without_release(&self.statement()?);
        let before = payload(layer).and_then(|said| without_release(&said));
        Ok(now.is_some() && now == before)
    }
}

/// A policy as it is summed up: JSON with sorted keys and no spaces.
fn canonical(policy: &Policy) -> serde_json::Result<String> {
    Ok(serde_json::to_value(policy)?.to_string())
}

/// The SHA-256 of a policy as JSON with sorted keys and no spaces, hexadecimal.
///
/// # Errors
/// When it can't be written as JSON.
pub fn policy_digest(policy: &Policy) -> serde_json::Result<String> {
    Ok(hex::encode(Sha256::digest(canonical(policy)?.as_bytes())))
}

/// The digest of the policy that a signed statement sums up.
#[must_use]
pub fn stated_policy(layer: &[u8]) -> Option<String> {
    let statement: Value = nesting::json(&payload(layer)?).ok()?;
    let digest = statement.pointer("/predicate/policy/digest/sha256")?;
    digest.as_str().map(str::to_owned)
}

/// A statement in its envelope, JSON. It names no key: readers take a name in any other spelling than their own for another key's.
///
/// # Errors
/// When the system gives no randomness.
pub fn sign(statement: &[u8], key: &SigningKey) -> Result<Vec<u8>, SigningError> {
    let signature = key.sign(&message(STATEMENT, statement))?;
    let envelope = json!({
        "payload": STANDARD.encode(statement),
        "payloadType": STATEMENT,
        "signatures": [{ "sig": STANDARD.encode(signature) }],
    });
    Ok(envelope.to_string().into_bytes())
}

/// The statement of an envelope that [`sign`] wrote, or of a bundle with one.
#[must_use]
pub fn payload(layer: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(envelope(layer)?.get("payload")?.as_str()?).ok()
}

/// The envelope of a bundle, or the envelope that it is itself.
fn envelope(layer: &[u8]) -> Option<Value> {
    let mut layer: Value = nesting::json(layer).ok()?;
    Some(match layer.get_mut("dsseEnvelope") {
        Some(envelope) => envelope.take(),
        None => layer,
    })
}

/// A name in the characters that all readers of levels take. Two names never become one: another character stands there as its number, `_u20_`, and
/// so does a `_` that could be taken for the beginning of such a number.
fn word(name: &str) -> String {
    let mut word = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '_' if rest.peek() == Some(&'u') => word.push_str("_u5F_"),
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => word.push(c),
            c => word.push_str(&format!("_u{:X}_", u32::from(c))),
        }
    }
    word
}

/// `ranIn` as `RAN_IN`.
fn constant(word: &str) -> String {
    let mut constant = String::new();
    for c in word.chars() {
        if c.is_ascii_uppercase() {
            constant.push('_');
        }
        constant.push(c.to_ascii_uppercase());
    }
    constant
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::PublicKey;
    use domain::{
        gate::GateId,
        policy::{Approvals, RequiredCheck},
    };

    fn gate(kind: GateKind, name: &str, state: GateState) -> Gate {
        serde_json::from_value(json!({
            "id": GateId::of(kind, name), "state": state, "short": "", "why": "Approved by ada@example.com.", "who": "",
        }))
        .unwrap()
    }

    fn say(gates: &[Gate], policy: &Policy) -> Vec<u8> {
        with_passed(gates, policy, |passed| passed.statement().unwrap())
    }

    fn with_passed<T>(gates: &[Gate], policy: &Policy, ask: impl FnOnce(&Passed<'_>) -> T) -> T {
        let name = |text: &str| -> Name { text.parse().unwrap() };
        let image: ExactImage = ExactImage {
            repository: "registry.example.com/acme/web".parse().unwrap(),
            tag: "1.4.0".parse().ok(),
            digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        };
        let (demo, shop, production, staging) = (name("demo"), name("shop"), name("production"), name("staging"));
        ask(&Passed {
            installation: "https://waybill.example.com",
            workspace: &demo,
            project: &shop,
            environment: &production,
            from: Some(&staging),
            promotion: PromotionId("01980000-0000-7000-8000-000000000001".parse().unwrap()),
            image: &image,
            policy,
            gates,
            at: Timestamp(1_795_169_043_123),
        })
    }

    fn policy() -> Policy {
        Policy {
            approvals: Some(Approvals {
                count: 2,
                by: Vec::new(),
                required_group: None,
                self_approval: false,
            }),
            checks: vec![RequiredCheck {
                name: "load test".into(),
                max_age_hours: None,
            }],
            ..Policy::default()
        }
    }

    #[test]
    fn it_says_what_was_passed_and_no_names_of_people() {
        let gates = [
            gate(GateKind::Approvals, "", GateState::Met),
            gate(GateKind::Check, "load test", GateState::Met),
            gate(GateKind::RanIn, "staging", GateState::Overridden),
            gate(GateKind::Signature, "release", GateState::Met),
            gate(GateKind::Freeze, "weekend", GateState::Met),
        ];
        let bytes = say(&gates, &policy());
        assert_eq!(bytes, say(&gates, &policy()), "the same promotion says the same");
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("ada"), "{text}");
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(said["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(said["predicateType"], SUMMARY);
        assert_eq!(
            said["subject"],
            json!([{ "name": "registry.example.com/acme/web", "digest": { "sha256": "a".repeat(64) } }])
        );
        let predicate = &said["predicate"];
        assert_eq!(predicate["verifier"]["id"], "https://waybill.example.com/verifier/v1");
        assert_eq!(predicate["timeVerified"], "2026-11-20T10:04:03Z");
        assert_eq!(predicate["verificationResult"], "PASSED");
        assert_eq!(
            predicate["resourceUri"],
            format!("registry.example.com/acme/web@sha256:{}", "a".repeat(64))
        );
        assert_eq!(
            predicate["policy"]["uri"],
            "https://waybill.example.com/w/demo/shop/production/-/policy"
        );
        assert_eq!(
            predicate["policy"]["digest"]["sha256"],
            policy_digest(&policy()).unwrap()
        );
        assert_eq!(
            predicate["verifiedLevels"],
            json!([
                "WAYBILL_ENVIRONMENT_production",
                "WAYBILL_APPROVALS_2",
                "WAYBILL_CHECK_load_u20_test",
                "WAYBILL_OVERRIDDEN_RAN_IN",
                "WAYBILL_SIGNATURE_release",
            ])
        );
        let record = &predicate["https://waybill.example.com/attestation/gates/v1"];
        assert_eq!(record["environment"], "production");
        assert_eq!(record["from"], "staging");
        assert_eq!(
            record["gates"][0],
            json!({ "gate": "approvals", "state": "passed", "need": 2 })
        );
        assert_eq!(
            record["gates"][2],
            json!({ "gate": "ranIn:staging", "state": "overridden" })
        );
        assert!(
            record["record"]
                .as_str()
                .unwrap()
                .starts_with("https://waybill.example.com/promotions/")
        );
        // slsa-verifier refuses a summary with a value of this kind that it doesn't know.
        assert!(!text.contains("SLSA_"), "{text}");
    }

    #[test]
    fn a_policy_has_one_digest_however_it_was_written() {
        let read = |text: &str| policy_digest(&serde_json::from_str(text).unwrap()).unwrap();
        let one = read(r#"{"approvals":{"count":2,"selfApproval":false},"checks":[{"name":"load test"}]}"#);
        let other =
            read(r#"{ "checks": [{ "name": "load test" }], "approvals": { "selfApproval": false, "count": 2 } }"#);
        assert_eq!(one, other);
        assert_eq!(one, policy_digest(&policy()).unwrap());
        assert_ne!(one, read("{}"));
        // As the documentation says how to make it: sorted keys, no spaces.
        let text = r#"{"approvals":{"count":2,"selfApproval":false},"checks":[{"name":"load test"}]}"#;
        assert_eq!(one, hex::encode(Sha256::digest(text)));
    }

    #[test]
    fn two_names_are_two_words() {
        let names = [
            "load test",
            "load_test",
            "load_u20_test",
            "load-test",
            "load.test",
            "\u{e9}t\u{e9}",
            "_",
            "__u",
            "\u{5f}u",
        ];
        let words: std::collections::BTreeSet<String> = names.iter().map(|name| word(name)).collect();
        assert_eq!(words.len(), names.len(), "{words:?}");
        for word in &words {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            assert!(word.chars().all(is_plain), "{word}");
        }
    }

    #[test]
    fn what_another_release_signed_says_the_same_and_what_changed_does_not() {
        let (key, _) = SigningKey::generate().unwrap();
        let said = say(&[], &policy());
        let mut older: Value = serde_json::from_slice(&said).unwrap();
        older["predicate"]["verifier"]["version"]["waybill"] = "0.0.1".into();
        let older = sign(older.to_string().as_bytes(), &key).unwrap();
        let mut other: Value = serde_json::from_slice(&said).unwrap();
        other["predicate"]["policy"]["digest"]["sha256"] = "0".repeat(64).into();
        let other = sign(other.to_string().as_bytes(), &key).unwrap();
        let holds = |layer: &[u8]| with_passed(&[], &policy(), |passed| passed.is_said_by(layer).unwrap());
        assert!(holds(&sign(&said, &key).unwrap()));
        assert!(holds(&older));
        assert!(!holds(&other));
        assert!(!holds(b"{}"));
        assert_eq!(stated_policy(&older), policy_digest(&policy()).ok());
        assert_eq!(stated_policy(&other), Some("0".repeat(64)));
    }

    #[test]
    fn its_envelope_names_no_key_and_is_read_by_what_reads_others() {
        let (key, _) = SigningKey::generate().unwrap();
        let said = say(&[], &Policy::default());
        let bytes = sign(&said, &key).unwrap();
        let shown: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(shown["payloadType"], "application/vnd.in-toto+json");
        assert_eq!(shown["signatures"].as_array().unwrap().len(), 1);
        assert_eq!(shown["signatures"][0].get("keyid"), None);
        assert_eq!(payload(&bytes), Some(said.clone()));
        let bundle = json!({ "dsseEnvelope": shown }).to_string();
        assert_eq!(payload(bundle.as_bytes()), Some(said));
        let public = PublicKey::read(&key.public_pem()).unwrap();
        let read = super::super::Attached::envelope(&bytes, None).unwrap();
        assert!(read.signed_by(&public));
        let (other, _) = SigningKey::generate().unwrap();
        assert!(!read.signed_by(&PublicKey::read(&other.public_pem()).unwrap()));
    }
}
