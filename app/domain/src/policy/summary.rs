//! What a policy asks of somebody else's verification of a digest.

use super::{Keyless, LONGEST_ADDRESS, LONGEST_NAME, keyless::check_signer};
use crate::field::FieldErrors;
use serde::{Deserialize, Serialize};

/// Levels that may be asked for of one verification, at most.
const MOST_LEVELS: usize = 10;

/// A verification elsewhere that vouches for the digest, as whoever has a key states it in a verification summary (SLSA's VSA).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequiredSummary {
    /// What the verifier is called: `release-team`. 1 to 100 characters, once among the summaries.
    pub name: String,
    /// Who must have verified the digest, exactly as it calls itself: a URI.
    pub verifier: String,
    /// The policy that it must have verified the digest by, exactly as it calls it; left out: any policy of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What it must have found, all of them: `SLSA_BUILD_LEVEL_2`, or words of its own. At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// The public key of who states it, PEM. Either this or [`Self::keyless`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The identity that states it without a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<Keyless>,
}

impl RequiredSummary {
    /// What it asks for, a sentence.
    pub(super) fn words(&self) -> String {
        let Self {
            name,
            verifier,
            policy,
            levels,
            key: _,
            keyless: _,
        } = self;
        let policy = match policy {
            Some(policy) => format!(" under {policy}"),
            None => String::new(),
        };
        let levels = match levels.is_empty() {
            true => String::new(),
            false => format!(" with {}", levels.join(", ")),
        };
        format!("Vouched for by {verifier}{policy}{levels}, as {name} attests.")
    }

    /// What is wrong with it, by field below `at`; but for its name, which is checked beside the others, and its key, which is read where signatures are.
    pub(super) fn check(&self, at: &str, errors: &mut FieldErrors) {
        let Self {
            name: _,
            verifier,
            policy,
            levels,
            key,
            keyless,
        } = self;
        check_signer(key.as_deref(), keyless.as_ref(), at, errors);
        if !is_address(verifier) || !has_scheme(verifier) {
            let why =
                "Give the URI that the verifier calls itself, for example https://waybill.example.com/verifier/v1.";
            errors.add(format!("{at}.verifier"), why);
        }
        // Some verifiers write a path of their own here, which is no URI.
        if policy.as_deref().is_some_and(|policy| !is_address(policy)) {
            let why = "Give the policy's address as the verifier writes it, or leave it out for any policy.";
            errors.add(format!("{at}.policy"), why);
        }
        if levels.len() > MOST_LEVELS {
            errors.add(format!("{at}.levels"), format!("Ask for at most {MOST_LEVELS}."));
        }
        for (i, level) in levels.iter().enumerate() {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if level.is_empty() || level.len() > LONGEST_NAME || !level.chars().all(fits) {
                let why = "Give a level of 1 to 100 letters, digits, underscores, dots and hyphens, for example SLSA_BUILD_LEVEL_2.";
                errors.add(format!("{at}.levels[{i}]"), why);
            }
        }
    }
}

fn is_address(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    !text.is_empty() && text.len() <= LONGEST_ADDRESS && !text.contains(is_odd)
}

/// Whether it begins as a URI does (RFC 3986, section 3.1), with something behind that.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits) && !rest.is_empty()
}
