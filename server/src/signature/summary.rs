//! Verification summaries: that somebody else verified an image and vouches for it, as a statement with SLSA's predicate says (VSA 1,
//! `https://slsa.dev/spec/v1.1/verification_summary`).
//!
//! The checks are those of that specification ("How to verify"): the signature is of the key that is trusted for this verifier, the subject is
//! this digest, the predicate is of this type; then the verifier, the result, the policy, the resource and the levels. The resource
//! is held against the digest alone: who verified an image may have seen it in another registry than it runs from.

use super::{Attached, SUMMARY, Signer, Statement, Tally, shown};
use domain::{artifact::Digest, gate::Found, policy::RequiredSummary};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How the statement says what it is.
pub(super) const SUMMARIES: [&str; 1] = [SUMMARY];
const PASSED: &str = "PASSED";

/// A verification that must vouch for an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Verification {
    /// Who verified, a URI.
    verifier: String,
    /// By which policy; `None`: by any.
    policy: Option<String>,
    /// What must have been found.
    levels: BTreeSet<String>,
}

/// In what a statement first differs from what is asked for, in the order of the checks: the later, the nearer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Differs {
    Verifier,
    Result,
    Policy,
    Resource,
    Levels,
}

impl Verification {
    pub(super) fn of(asked: &RequiredSummary) -> Self {
        let RequiredSummary {
            // The gate is named by it.
            name: _,
            verifier,
            policy,
            levels,
            // Beside this, in what is sought.
            key: _,
            keyless: _,
        } = asked;
        Self {
            verifier: verifier.clone(),
            policy: policy.clone(),
            levels: levels.iter().cloned().collect(),
        }
    }

    /// A text that no other demand has, with this key or another.
    pub(super) fn distinct(&self, key: &str) -> String {
        let Self {
            verifier,
            policy,
            levels,
        } = self;
        json!([SUMMARIES, key, verifier, policy, levels]).to_string()
    }

    /// Whether one of these proves that this verification vouches for the digest.
    pub(super) fn find(&self, signer: &Signer, digest: &Digest, attached: &[Attached]) -> Found {
        let mut tally = Tally::default();
        let mut nearest: Option<(Differs, String)> = None;
        for one in attached {
            let Attached::Envelope(envelope) = one else { continue };
            let Some(statement) = envelope.statement() else {
                continue;
            };
            if statement.predicate_type != SUMMARY || !tally.is_it(signer, digest, one, &statement.of()) {
                continue;
            }
            match self.differs(&statement, digest) {
                None => return Found::Valid,
                // A verifier states one for each of its policies, for example: those of others don't hide the one that nearly fits.
                Some(differs) => {
                    if nearest.as_ref().is_none_or(|(by, _)| differs.0 > *by) {
                        nearest = Some(differs);
                    }
                }
            }
        }
        tally.found(nearest.map(|(_, says)| says))
    }

    /// What a statement says otherwise than it should, to follow "It says that"; `None` when it says what is asked for.
    fn differs(&self, statement: &Statement, digest: &Digest) -> Option<(Differs, String)> {
        let text = |path: &str| statement.predicate.pointer(path).and_then(Value::as_str);
        let verifier = text("/verifier/id").unwrap_or_default();
        if verifier != self.verifier {
            let who = shown(verifier).unwrap_or_else(|| "somebody unnamed".into());
            return Some((Differs::Verifier, format!("{who} vouches for it")));
        }
        let result = text("/verificationResult").unwrap_or_default();
        if result != PASSED {
            let says = match shown(result) {
                Some(result) => format!("the result of the verification is {result}"),
                None => "the verification has no result".to_owned(),
            };
            return Some((Differs::Result, says));
        }
        let policy = text("/policy/uri").unwrap_or_default();
        if self.policy.as_deref().is_some_and(|asked| asked != policy) {
            let by = shown(policy).unwrap_or_else(|| "no policy that it names".into());
            return Some((Differs::Policy, format!("it was verified by {by}")));
        }
        let resource = text("/resourceUri").unwrap_or_default();
        if names_another(resource, digest) {
            let what = shown(resource).unwrap_or_default();
            return Some((Differs::Resource, format!("{what} was verified")));
        }
        let verified = statement.predicate.pointer("/verifiedLevels").and_then(Value::as_array);
        let verified: Vec<&str> = verified.into_iter().flatten().filter_map(Value::as_str).collect();
        let lacks = |asked: &&String| !verified.iter().any(|level| satisfies(level, asked));
        let missing: Vec<&str> = self.levels.iter().filter(lacks).map(String::as_str).collect();
        if missing.is_empty() {
            return None;
        }
        let has = shown(&verified.join(", ")).unwrap_or_else(|| "no level".into());
        let says = format!("it was verified for {has}, not for {}", missing.join(", "));
        Some((Differs::Levels, says))
    }
}

/// Whether a resource's address names a digest that isn't this one. Package URLs may write the colon as `%3A`.
fn names_another(resource: &str, digest: &Digest) -> bool {
    let resource = resource.to_ascii_lowercase().replace("%3a", ":");
    resource.split("@sha256:").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        rest[..end] != *digest.hex()
    })
}

/// Whether a level that was verified is the one that is asked for, or a higher one of the same track of SLSA. Words of a verifier's own
/// have no order.
fn satisfies(verified: &str, asked: &str) -> bool {
    let is_higher = || {
        let ((track, level), (asked_track, least)) = (of_track(verified)?, of_track(asked)?);
        Some(track == asked_track && level >= least)
    };
    verified == asked || is_higher() == Some(true)
}

/// `SLSA_BUILD_LEVEL_3`: the track, and the level.
fn of_track(level: &str) -> Option<(&str, u32)> {
    let (track, number) = level.strip_prefix("SLSA_")?.rsplit_once("_LEVEL_")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number)?;
    (!track.is_empty()).then_some((track, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_satisfies_those_below_it_in_its_own_track() {
        for (verified, asked) in [
            ("SLSA_BUILD_LEVEL_2", "SLSA_BUILD_LEVEL_2"),
            ("SLSA_BUILD_LEVEL_3", "SLSA_BUILD_LEVEL_2"),
            ("SLSA_BUILD_LEVEL_10", "SLSA_BUILD_LEVEL_9"),
            ("SLSA_SOURCE_LEVEL_1", "SLSA_SOURCE_LEVEL_0"),
            ("SLSA_BUILD_LEVEL_UNEVALUATED", "SLSA_BUILD_LEVEL_UNEVALUATED"),
            ("SLSA_BUILD_REPRODUCED", "SLSA_BUILD_REPRODUCED"),
            ("WAYBILL_APPROVALS_2", "WAYBILL_APPROVALS_2"),
        ] {
            assert!(satisfies(verified, asked), "{verified} for {asked}");
        }
        for (verified, asked) in [
            ("SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_2"),
            ("SLSA_SOURCE_LEVEL_3", "SLSA_BUILD_LEVEL_2"),
            ("SLSA_BUILD_LEVEL_UNEVALUATED", "SLSA_BUILD_LEVEL_0"),
            ("SLSA_BUILD_LEVEL_+3", "SLSA_BUILD_LEVEL_2"),
            ("SLSA_BUILD_LEVEL_", "SLSA_BUILD_LEVEL_0"),
            ("SLSA__LEVEL_3", "SLSA__LEVEL_2"),
            ("SLSA_BUILD_LEVEL_99999999999", "SLSA_BUILD_LEVEL_2"),
            ("slsa_build_level_3", "SLSA_BUILD_LEVEL_3"),
            // Words that only look like levels: who made them up says what they mean.
            ("ACME_BUILD_LEVEL_3", "ACME_BUILD_LEVEL_2"),
            ("WAYBILL_APPROVALS_3", "WAYBILL_APPROVALS_2"),
            ("", "SLSA_BUILD_LEVEL_0"),
        ] {
            assert!(!satisfies(verified, asked), "{verified} for {asked}");
        }
    }

    #[test]
    fn a_resource_names_this_digest_another_or_none() {
        let hex = "0a".repeat(32);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        for this_or_none in [
            String::new(),
            "registry.example.com/acme/web".to_owned(),
            "registry.example.com/acme/web:1.5.0".to_owned(),
            format!("registry.example.com/acme/web@sha256:{hex}"),
            format!("registry.example.com/acme/web:1.5.0@sha256:{}", hex.to_uppercase()),
            format!("oci://registry.example.com/acme/web@sha256:{hex}?platform=linux"),
            format!("pkg:oci/web@sha256%3A{hex}?repository_url=registry.example.com/acme/web"),
        ] {
            assert!(!names_another(&this_or_none, &digest), "{this_or_none}");
        }
        let other = "0b".repeat(32);
        for another in [
            format!("registry.example.com/acme/web@sha256:{other}"),
            format!("pkg:oci/web@sha256%3a{other}?repository_url=registry.example.com/acme/web"),
            format!("registry.example.com/acme/web@sha256:{hex}00"),
            format!("registry.example.com/acme/web@sha256:{hex}gg"),
            format!("registry.example.com/acme/web@sha256:{}", &hex[..62]),
            "registry.example.com/acme/web@sha256:".to_owned(),
            format!("registry.example.com/acme/web@sha256:{hex}#@sha256:{other}"),
        ] {
            assert!(names_another(&another, &digest), "{another}");
        }
    }
}
