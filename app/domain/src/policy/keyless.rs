//! Who must have signed: whoever has a key, or whoever an identity provider knew at that moment, without a key that anybody keeps
//! (Sigstore's keyless signing).

use super::LONGEST_ADDRESS;
use crate::{field::FieldErrors, name::Name};
use serde::{Deserialize, Serialize};

/// Characters of a pattern, at most.
const LONGEST_PATTERN: usize = 500;

/// An identity that a certificate authority vouched for when it signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Keyless {
    /// The identity provider, exactly as the certificate names it: `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// Who signed, exactly: a workflow's address with its branch, or an e-mail address. Either this or a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Who may have signed: a regular expression that the whole identity must fit, from `^` to `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_pattern: Option<String>,
    /// The repository that the signing build ran for, an address; left out: any that the identity may be of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The branch or tag that the signing build ran for: `refs/heads/main`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// Whose certificates count, one of the workspace's trusted roots; left out: those of the public Sigstore instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<Name>,
    /// Whether the certificate must prove that it was published. Only for instances without a certificate log: `false`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub sct: bool,
    /// Whether the signature must be in a transparency log. Only for instances without one: `false`; a timestamp must be there then.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub transparency_log: bool,
}

fn yes() -> bool {
    true
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_yes(yes: &bool) -> bool {
    *yes
}

impl Keyless {
    /// The root that counts where a policy names none: that of the public Sigstore instance.
    pub const PUBLIC: &str = "public";
    /// The root of GitHub's own instance, which signs attestations of private repositories.
    pub const GITHUB: &str = "github";

    /// The name of the root whose certificates count.
    #[must_use]
    pub fn root(&self) -> &str {
        self.trusted_root.as_ref().map_or(Self::PUBLIC, Name::as_str)
    }

    /// Who must have signed, for a sentence.
    #[must_use]
    pub fn who(&self) -> &str {
        (self.identity.as_deref())
            .or(self.identity_pattern.as_deref())
            .unwrap_or("nobody")
    }

    /// What is wrong with it, by field below `at`; but for its pattern, which is read where patterns are, and its root.
    fn check(&self, at: &str, errors: &mut FieldErrors) {
        let Self {
            issuer,
            identity,
            identity_pattern,
            repository,
            git_ref,
            // Looked for among those there are.
            trusted_root: _,
            sct: _,
            transparency_log,
        } = self;
        let is_plain = |text: &str| !text.is_empty() && text.len() <= LONGEST_ADDRESS && !is_odd(text);
        if !is_plain(issuer) || !issuer.contains("://") {
            let why =
                "Give the address of the identity provider, for example https://token.actions.githubusercontent.com.";
            errors.add(format!("{at}.issuer"), why);
        }
        match (identity, identity_pattern) {
            (Some(identity), None) if !is_plain(identity) => {
                let why = "Give the identity exactly as the certificate names it: an address or an e-mail address.";
                errors.add(format!("{at}.identity"), why);
            }
            (None, Some(pattern)) if pattern.len() > LONGEST_PATTERN => {
                let why = format!("Give a pattern of at most {LONGEST_PATTERN} characters.");
                errors.add(format!("{at}.identityPattern"), why);
            }
            (Some(_), None) | (None, Some(_)) => {}
            (Some(_), Some(_)) => {
                let why = "Give either an identity or a pattern, not both.";
                errors.add(format!("{at}.identityPattern"), why);
            }
            (None, None) => {
                let why = "Name who must have signed: without an identity, anybody could.";
                errors.add(format!("{at}.identity"), why);
            }
        }
        if repository
            .as_deref()
            .is_some_and(|text| !is_plain(text) || !text.contains("://"))
        {
            let why = "Give the repository's address, from https:// on.";
            errors.add(format!("{at}.repository"), why);
        }
        if git_ref
            .as_deref()
            .is_some_and(|text| !is_plain(text) || !text.starts_with("refs/"))
        {
            let why = "Give the whole name of the branch or tag, for example refs/heads/main.";
            errors.add(format!("{at}.ref"), why);
        }
        if !transparency_log && self.root() == Self::PUBLIC {
            let why =
                "The public Sigstore instance has a transparency log: leave this out, or name another trusted root.";
            errors.add(format!("{at}.transparencyLog"), why);
        }
    }
}

/// What is wrong with the words of who must have signed, by field below `at`; a key is checked where signatures are.
pub(super) fn check_signer(key: Option<&str>, keyless: Option<&Keyless>, at: &str, errors: &mut FieldErrors) {
    match (key, keyless) {
        (Some(_), None) => {}
        (None, Some(keyless)) => keyless.check(&format!("{at}.keyless"), errors),
        (Some(_), Some(_)) => errors.add(
            format!("{at}.keyless"),
            "Give either a key or keyless, not both. For both signatures, ask for each under a name of its own.",
        ),
        (None, None) => errors.add(
            format!("{at}.key"),
            "Give a public key (PEM), or keyless with an identity.",
        ),
    }
}

fn is_odd(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control())
}
