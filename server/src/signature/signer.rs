//! Who must have signed, and what of all that hangs on an image is theirs.

use super::{
    Attached, PublicKey,
    keyless::{self, Identity},
    roots::TrustedRoots,
};
use domain::{artifact::Digest, custody::FactKind, gate::Found, policy::Keyless};

/// Who must have signed.
#[derive(Clone, Debug)]
pub(super) enum Signer {
    /// Whoever has this key.
    Key(PublicKey),
    /// Whoever had this identity then.
    Keyless(Box<Identity>),
}

/// Whether something was signed by whoever is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Signed {
    /// It was.
    Ours,
    /// By somebody else.
    Others,
    /// It can't count, and why is known.
    Refused(Refusal),
}

/// Why something doesn't count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    /// How near it is to what is asked for.
    pub(super) nearness: Nearness,
    /// Why, a part of a sentence.
    pub(super) why: String,
}

/// How near something signed is to what is asked for: of several, the nearest is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Nearness {
    /// It is signed with a key, or it can't be read.
    OfAnotherKind,
    /// Somebody else is named, and that is not proven either.
    Unproven,
    /// Another provider vouches for who signed.
    Issuer,
    /// Somebody else signed.
    Identity,
    /// Who signed is asked for, but ran for another repository.
    Repository,
    /// Of that repository, but of another branch or tag.
    Ref,
    /// All that is named is asked for, and not proven.
    Claimed,
}

impl Signer {
    /// Who a part of a policy asks for; `None` when it can't be read, or its root isn't there.
    pub(super) fn of(key: Option<&str>, keyless: Option<&Keyless>, roots: &TrustedRoots) -> Option<Self> {
        match (key, keyless) {
            (Some(key), None) => PublicKey::read(key).ok().map(Self::Key),
            (None, Some(keyless)) => Identity::of(keyless, roots).map(|identity| Self::Keyless(Box::new(identity))),
            // Was refused when the policy was written.
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// What tells it from all others.
    pub(super) fn fingerprint(&self) -> String {
        match self {
            Self::Key(key) => key.fingerprint(),
            Self::Keyless(identity) => identity.fingerprint(),
        }
    }

    /// What it is called where it says something.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Key(key) => format!("key {}", key.fingerprint().get(..16).unwrap_or_default()),
            Self::Keyless(identity) => identity.name(),
        }
    }

    /// What the certificate says of the build that signed this.
    pub(super) fn claims(&self, one: &Attached) -> Vec<(FactKind, String)> {
        match self {
            Self::Key(_) => Vec::new(),
            Self::Keyless(_) => keyless::claims(one),
        }
    }

    fn signed(&self, one: &Attached, of: &[String]) -> Signed {
        match self {
            Self::Key(key) if one.signed_by(key) => Signed::Ours,
            Self::Key(_) => Signed::Others,
            Self::Keyless(identity) => identity.signed(one, of),
        }
    }
}

/// What was found of what is looked for, so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    others: u32,
    elsewhere: bool,
    refused: Option<Refusal>,
}

impl Tally {
    /// Counts something that is about these digests; whether it is the signer's, and about this digest.
    pub(super) fn is_it(&mut self, signer: &Signer, digest: &Digest, one: &Attached, of: &[String]) -> bool {
        let is_here = of.iter().any(|of| of == digest.as_str());
        match signer.signed(one, of) {
            Signed::Ours if is_here => return true,
            Signed::Ours => self.elsewhere = true,
            Signed::Others | Signed::Refused(_) if !is_here => {}
            Signed::Others => self.others += 1,
            Signed::Refused(refusal) => {
                if (self.refused.as_ref()).is_none_or(|before| refusal.nearness > before.nearness) {
                    self.refused = Some(refusal);
                }
            }
        }
        false
    }

    /// What was found, where nothing was that is asked for; `otherwise` is what the signer said that differs.
    pub(super) fn found(self, otherwise: Option<String>) -> Found {
        let Self {
            others,
            elsewhere,
            refused,
        } = self;
        match (otherwise, refused) {
            (Some(says), _) => Found::Otherwise(says),
            _ if elsewhere => Found::OfAnotherDigest,
            (None, Some(refusal)) => Found::Refused(refusal.why),
            (None, None) if others == 0 => Found::Nothing,
            (None, None) => Found::OfOthers(others),
        }
    }
}
