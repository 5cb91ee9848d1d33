//! Keyless signatures: who signed is said by a certificate that an authority gave for some minutes, and when by a log or a timestamp.
//!
//! The cryptography is sigstore-verify's: times, the certificate's chain and its publication, the log's proof, the signature, and that
//! the log's entry is about this very signature. Who may have signed is decided here, since that crate knows exact identities
//! only. All of it fails closed, and what failed is told with what was found.

mod older;

pub use older::Annotated;

use super::{
    Attached, Envelope, provenance,
    roots::{TrustedRoot, TrustedRoots},
    shown,
    signer::{Nearness, Refusal, Signed},
};
use domain::{custody::FactKind, policy::Keyless};
use regex::{Regex, RegexBuilder};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sigstore_verify::{
    CertificateError, Error, TimestampError, TransparencyLogError, VerificationPolicy,
    crypto::{CertificateInfo, parse_certificate_info},
    types::{Artifact, Bundle, Sha256Hash, SignatureContent},
};

/// Bytes that a pattern may take as a program.
const PATTERN_LIMIT: usize = 1 << 20;
/// Identities of strangers: what fits them fits everybody.
const STRANGERS: [&str; 3] = ["", "https://example.invalid/stranger", "stranger@example.invalid"];
/// Those of strangers at hosts where everybody may have a repository.
const NEIGHBOURS: [&str; 2] = [
    "https://github.com/stranger-at-large/stranger/.github/workflows/stranger.yml@refs/heads/main",
    "https://gitlab.com/stranger-at-large/stranger//.gitlab-ci.yml@refs/heads/main",
];

/// What proves who signed, beside a signature.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Material {
    /// The bundle that the signature is in, as it was read.
    Bundle(Vec<u8>),
    /// What stands beside a signature of the older form.
    Annotated(Annotated),
}

/// An identity that must have signed.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    issuer: String,
    who: Who,
    repository: Option<String>,
    git_ref: Option<String>,
    sct: bool,
    transparency_log: bool,
    root_name: String,
    root: TrustedRoot,
}

/// Who it must be.
#[derive(Clone, Debug)]
enum Who {
    Exactly(String),
    Fits { pattern: String, whole: Regex },
}

impl Who {
    fn is(&self, identity: &str) -> bool {
        match self {
            Self::Exactly(who) => who == identity,
            Self::Fits { pattern: _, whole } => whole.is_match(identity),
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Exactly(who) => who,
            Self::Fits { pattern, whole: _ } => pattern,
        }
    }
}

/// Reads the pattern of an identity.
///
/// # Errors
/// A sentence that says what to do.
pub(super) fn pattern(keyless: &Keyless) -> Result<Option<Regex>, &'static str> {
    let Some(pattern) = &keyless.identity_pattern else {
        return Ok(None);
    };
    if !pattern.starts_with('^') || !pattern.ends_with('$') || pattern.ends_with(r"\$") {
        return Err("Begin the pattern with ^ and end it with $: it must fit the whole identity.");
    }
    let broken = "This is no regular expression that Waybill can use. Write a dot that is meant as one as \\.";
    let read = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_LIMIT).build();
    // By itself first: what only closes the bracket around it would be read as two halves, neither of them whole.
    read(pattern).map_err(|_| broken)?;
    let whole = read(&format!(r"\A(?:{pattern})\z")).map_err(|_| broken)?;
    if STRANGERS.iter().any(|stranger| whole.is_match(stranger)) {
        return Err("This pattern fits anybody. Name whose identities may sign.");
    }
    if keyless.repository.is_none() && NEIGHBOURS.iter().any(|neighbour| whole.is_match(neighbour)) {
        return Err("This pattern fits everybody's repositories. Name yours in it, or beside it as repository.");
    }
    Ok(Some(whole))
}

impl Identity {
    /// Who a policy asks for; `None` when it can't be read, or its root isn't there.
    pub(super) fn of(keyless: &Keyless, roots: &TrustedRoots) -> Option<Self> {
        let whole = pattern(keyless).ok()?;
        let Keyless {
            issuer,
            identity,
            identity_pattern,
            repository,
            git_ref,
            trusted_root: _,
            sct,
            transparency_log,
        } = keyless;
        let who = match (identity, identity_pattern, whole) {
            (Some(identity), None, None) => Who::Exactly(identity.clone()),
            (None, Some(pattern), Some(whole)) => Who::Fits {
                pattern: pattern.clone(),
                whole,
            },
            _ => return None,
        };
        Some(Self {
            issuer: issuer.clone(),
            who,
            repository: repository.as_deref().map(provenance::spelled),
            git_ref: git_ref.clone(),
            sct: *sct,
            transparency_log: *transparency_log,
            root_name: keyless.root().to_owned(),
            root: roots.get(keyless.root())?.clone(),
        })
    }

    /// What tells it from all others. A root that is replaced makes another one of it: what was proven with the former counts no more.
    pub(super) fn fingerprint(&self) -> String {
        let Self {
            issuer,
            who,
            repository,
            git_ref,
            sct,
            transparency_log,
            root_name: _,
            root,
        } = self;
        let is_exact = matches!(who, Who::Exactly(_));
        let text = json!([
            "keyless",
            issuer,
            is_exact,
            who.words(),
            repository,
            git_ref,
            sct,
            transparency_log,
            root.fingerprint()
        ]);
        hex::encode(Sha256::digest(text.to_string().as_bytes()))
    }

    /// Whether something that is about these digests was signed by this identity.
    pub(super) fn signed(&self, one: &Attached, of: &[String]) -> Signed {
        let other = |why: String| {
            Signed::Refused(Refusal {
                nearness: Nearness::OfAnotherKind,
                why,
            })
        };
        if one.material().is_none() {
            return other(self.by_key());
        }
        let Some(bundle) = bundle(one) else {
            return other("its bundle can't be read".into());
        };
        let Some(certificate) = bundle.signing_certificate() else {
            return other(self.by_key());
        };
        let Ok(claims) = parse_certificate_info(certificate) else {
            return other("its certificate can't be read".into());
        };
        let differs = self.differs(&claims);
        match (self.prove(&bundle, one, of), differs) {
            (Ok(()), None) => Signed::Ours,
            (Ok(()), Some(refusal)) => Signed::Refused(refusal),
            (Err(why), None) => Signed::Refused(Refusal {
                nearness: Nearness::Claimed,
                why: format!("it names {}, but {why}", who(&claims)),
            }),
            (Err(why), Some(_)) => Signed::Refused(Refusal {
                nearness: Nearness::Unproven,
                why: format!("it names {}, and {why}", who(&claims)),
            }),
        }
    }

    /// What it is called where it says something.
    pub(super) fn name(&self) -> String {
        format!("{}, known to {}", self.who.words(), self.issuer)
    }

    fn by_key(&self) -> String {
        format!("it is signed with a key, and the policy asks for {}", self.who.words())
    }

    /// In what a certificate names somebody else than is asked for.
    fn differs(&self, claims: &CertificateInfo) -> Option<Refusal> {
        let refusal = |nearness, found: Option<&str>, what: &str, asked: &str| {
            let found = found.and_then(shown).unwrap_or_else(|| "nothing".into());
            let why = format!("{what} {found}, and the policy asks for {asked}");
            Some(Refusal { nearness, why })
        };
        let identity = claims.identity.as_ref().map(|identity| identity.as_str());
        let issuer = claims.issuer.as_deref();
        let of_ci = &claims.ci_claims;
        if !identity.is_some_and(|identity| self.who.is(identity)) {
            return refusal(Nearness::Identity, identity, "it is signed by", self.who.words());
        }
        if issuer != Some(self.issuer.as_str()) {
            return refusal(Nearness::Issuer, issuer, "who signed is vouched for by", &self.issuer);
        }
        if let Some(asked) = &self.repository {
            let found = of_ci.source_repository_uri.as_deref();
            if found.map(provenance::spelled).as_ref() != Some(asked) {
                return refusal(Nearness::Repository, found, "it is signed for the repository", asked);
            }
        }
        if let Some(asked) = &self.git_ref {
            let found = of_ci.source_repository_ref.as_deref();
            if found != Some(asked) {
                return refusal(Nearness::Ref, found, "it is signed for", asked);
            }
        }
        None
    }

    /// Proves that whoever the certificate names signed this, then.
    ///
    /// # Errors
    /// Which condition failed, a part of a sentence.
    fn prove(&self, bundle: &Bundle, one: &Attached, of: &[String]) -> Result<(), String> {
        let root = &self.root_name;
        let verifier = (self.root.verifier()).ok_or_else(|| format!("the trusted root {root} can't be used"))?;
        let mut policy = VerificationPolicy::any_identity();
        if !self.sct {
            policy = policy.skip_sct();
        }
        if !self.transparency_log {
            policy = policy.skip_tlog_unsafe();
        }
        let unread = || "what it is about can't be read".to_owned();
        let result = match (one, &bundle.content) {
            (Attached::Simple { payload, .. }, SignatureContent::MessageSignature(_)) => {
                verifier.verify(Artifact::from(payload.as_slice()), bundle, &policy)
            }
            // The text that was read is the text that is verified, however oddly the bundle is written.
            (Attached::Envelope(Envelope { payload, .. }), SignatureContent::DsseEnvelope(envelope))
                if envelope.payload.as_bytes() == payload.as_slice() =>
            {
                let subject = of
                    .first()
                    .and_then(|of| of.strip_prefix("sha256:"))
                    .ok_or_else(unread)?;
                let subject = Sha256Hash::from_hex(subject).map_err(|_| unread())?;
                verifier.verify(subject, bundle, &policy)
            }
            _ => return Err(unread()),
        };
        let result = result.map_err(|error| self.words(&error))?;
        let is_whole = result.certificate_verified()
            && (result.sct_verified() || !self.sct)
            && (result.tlog_verified() || !self.transparency_log)
            && !result.verified_timestamps().is_empty();
        is_whole.then_some(()).ok_or_else(|| "not all of it is proven".into())
    }

    /// Which condition failed.
    fn words(&self, error: &Error) -> String {
        let root = &self.root_name;
        let what = match error {
            Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => {
                return "nothing proves when it was signed: neither an entry of a log nor a timestamp".to_owned();
            }
            Error::Timestamp(_) => format!("its timestamp isn't by an authority of the trusted root {root}"),
            Error::Certificate(CertificateError::Sct(_)) => {
                format!("no certificate log of the trusted root {root} has its certificate")
            }
            // The chain is tried at the time of signing: of a certificate that had ended it says no more than this.
            Error::Certificate(_) => {
                format!(
                    "its certificate isn't by an authority of the trusted root {root}, or wasn't valid when it was signed"
                )
            }
            Error::TransparencyLog(
                TransparencyLogError::EntryMismatch(_) | TransparencyLogError::MalformedEntry(_),
            ) => "its entry in the transparency log is about something else".to_owned(),
            Error::TransparencyLog(TransparencyLogError::IntegratedTime(_)) => {
                "it entered the transparency log outside of its certificate's time".to_owned()
            }
            Error::TransparencyLog(_) => format!("no transparency log of the trusted root {root} has it"),
            Error::SignatureInvalid(_) | Error::ArtifactMismatch(_) | Error::Crypto(_) => {
                "its signature isn't over what it is beside".to_owned()
            }
            Error::Bundle(_) => "it lacks what the policy asks for".to_owned(),
            _ => "it can't be verified".to_owned(),
        };
        match shown(&error.to_string()) {
            Some(detail) => format!("{what} ({detail})"),
            None => what,
        }
    }
}

/// The bundle that something signed is in, or makes with what stands beside it.
fn bundle(one: &Attached) -> Option<Bundle> {
    match one.material()? {
        Material::Bundle(bytes) => Bundle::from_json(std::str::from_utf8(bytes).ok()?).ok(),
        Material::Annotated(annotated) => annotated.bundle(one),
    }
}

/// What the certificate beside something signed says of the build: to be believed once the signature is proven.
pub(super) fn claims(one: &Attached) -> Vec<(FactKind, String)> {
    let claims = bundle(one).and_then(|bundle| parse_certificate_info(bundle.signing_certificate()?).ok());
    let Some(claims) = claims.map(|claims| claims.ci_claims) else {
        return Vec::new();
    };
    let said = [
        (FactKind::Repository, claims.source_repository_uri),
        (FactKind::Revision, claims.source_repository_digest),
        (FactKind::Ref, claims.source_repository_ref),
        (FactKind::Run, claims.run_invocation_uri),
        (FactKind::Builder, claims.build_signer_uri),
    ];
    let shown = |(kind, value): (FactKind, Option<String>)| Some((kind, shown(&value?)?));
    said.into_iter().filter_map(shown).collect()
}

/// Who a certificate names.
fn who(claims: &CertificateInfo) -> String {
    let identity = claims.identity.as_ref().and_then(|identity| shown(identity.as_str()));
    identity.unwrap_or_else(|| "nobody".into())
}
