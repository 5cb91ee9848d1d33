//! Signatures of images, and attestations of where they come from and who vouches for them, as cosign makes them: what a key is, what was
//! signed, and whether that proves what a policy asks for. Who signs without a key of its own is [`keyless`]'s.
//!
//! Pure: what a registry holds is fetched elsewhere ([`crate::adapters::registry`]). A signature counts when it is the signer's *and* what
//! was signed names this very digest; one of an image's platforms, or of the index above it, is another image.
//!
//! Two forms are read. The older one signs a small document, `Payload`; the newer one signs a statement in an envelope, which may
//! also say other things than that the image is signed (what is in it, how it was built): those are no signature of the image.
//! Formats: "simple signing" as in cosign's signature specification, DSSE 1.0, in-toto Statement 0.1 and 1, Sigstore bundle 0.3.

use crate::nesting;
use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::PublicEncryptingKey,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use domain::{
    artifact::Digest,
    custody::{Fact, Level, in_order},
    gate::{Found, GateId, GateKind},
    policy::{Keyless, Policy},
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Bytes of a key's text, at most: one of RSA with 8,192 bits has about 1,400.
const LARGEST_KEY: usize = 4 * 1024;
/// Signatures of one envelope that are looked at.
const MOST_SIGNATURES: usize = 8;
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// What the older form says of itself.
const SIMPLE: &str = "cosign container image signature";
/// What the newer form says of itself.
pub const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
const STATEMENT: &str = "application/vnd.in-toto+json";
/// Base64 as envelopes may have it (DSSE 1.0: in either alphabet), with or without padding.
const ALPHABETS: [GeneralPurpose; 2] = [lenient(&alphabet::STANDARD), lenient(&alphabet::URL_SAFE)];

const fn lenient(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, padding)
}

/// The ways in which a kind of key signs.
type Ways = &'static [&'static dyn VerificationAlgorithm];

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    ways: Ways,
    /// `SubjectPublicKeyInfo`, DER.
    der: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl PublicKey {
    /// Reads a key as `cosign generate-key-pair` writes it, or `openssl pkey -pubout`.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn read(pem: &str) -> Result<Self, &'static str> {
        let text = pem.trim();
        if text.contains("PRIVATE KEY") {
            return Err(
                "This is a private key: keep it secret, and make another if others have seen it. Give the public one (cosign.pub).",
            );
        }
        let body = text
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .filter(|_| text.len() <= LARGEST_KEY)
            .ok_or("Give a public key as PEM: from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----.")?;
        let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        let der = STANDARD
            .decode(body)
            .map_err(|_| "This key is damaged: between its first and last line stands no Base64. Copy it again.")?;
        // Bare points and numbers can be parsed, too: what is accepted says what it is, in the one form that has one fingerprint.
        let is_of = |way: &'static dyn VerificationAlgorithm| {
            let key = ParsedPublicKey::new(way, &der).ok();
            key.and_then(|key| key.as_der().ok())
                .is_some_and(|canonical| canonical.as_ref() == der)
        };
        let ways: Ways = match () {
            () if is_of(&ECDSA_P256_SHA256_ASN1) => &[&ECDSA_P256_SHA256_ASN1],
            // Tools differ in the hash for this curve.
            () if is_of(&ECDSA_P384_SHA384_ASN1) => &[&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA256_ASN1],
            () if is_of(&ED25519) => &[&ED25519],
            () if is_of(&RSA_PKCS1_2048_8192_SHA256) => {
                PublicEncryptingKey::from_der(&der)
                    .map_err(|_| "This RSA key is of a size that is not safe. Give one of 2048 to 8192 bits.")?;
                &[&RSA_PKCS1_2048_8192_SHA256]
            }
            () => {
                return Err(
                    "This is no key that Waybill can check. Give one of ECDSA (P-256 or P-384), RSA (2048 bits or more) or Ed25519.",
                );
            }
        };
        Ok(Self { ways, der })
    }

    /// What tells it from others: the SHA-256 of its bytes, hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.ways.iter().any(|way| {
            UnparsedPublicKey::new(*way, &self.der)
                .verify(message, signature)
                .is_ok()
        })
    }
}

/// What is wrong with the keys and patterns of a policy: the field below it, and a sentence.
#[must_use]
pub fn check(policy: &Policy) -> Vec<(String, &'static str)> {
    let mut wrong = Vec::new();
    for (at, key, keyless) in signers(policy) {
        if let Some(why) = key.and_then(|key| PublicKey::read(key).err()) {
            wrong.push((format!("{at}.key"), why));
        }
        if let Some(why) = keyless.and_then(|keyless| keyless::pattern(keyless).err()) {
            wrong.push((format!("{at}.keyless.identityPattern"), why));
        }
    }
    wrong
}

/// The trusted roots that a policy names, each with the field that names it.
#[must_use]
pub fn named_roots(policy: &Policy) -> Vec<(String, String)> {
    signers(policy)
        .filter_map(|(at, _, keyless)| Some((format!("{at}.keyless.trustedRoot"), keyless?.root().to_owned())))
        .collect()
}

/// Who must have signed, in all parts of a policy, with the field below it.
fn signers(policy: &Policy) -> impl Iterator<Item = (String, Option<&str>, Option<&Keyless>)> {
    let signatures = (policy.signatures.iter().enumerate())
        .map(|(i, one)| (format!("signatures[{i}]"), one.key.as_deref(), one.keyless.as_ref()));
    let provenance = (policy.provenance.iter().enumerate())
        .map(|(i, one)| (format!("provenance[{i}]"), one.key.as_deref(), one.keyless.as_ref()));
    let summaries = (policy.summaries.iter().enumerate())
        .map(|(i, one)| (format!("summaries[{i}]"), one.key.as_deref(), one.keyless.as_ref()));
    signatures.chain(provenance).chain(summaries)
}

/// What a policy asks for.
#[derive(Clone, Debug)]
pub struct Sought {
    signer: Signer,
    what: What,
}

/// What the signer must have said of the image.
#[derive(Clone, Debug)]
enum What {
    /// That it is signed.
    Signed,
    /// That it comes from this build.
    Built(Build),
    /// That this verification vouches for it.
    Verified(Verification),
}

/// What a policy asks for, with the gate that does. Keys were checked when it was written; one that can't be read now, or whose root is
/// gone, is never found.
#[must_use]
pub fn sought(policy: &Policy, roots: &TrustedRoots) -> Vec<(GateId, Sought)> {
    let signatures = policy.signatures.iter().filter_map(|one| {
        let signer = Signer::of(one.key.as_deref(), one.keyless.as_ref(), roots)?;
        let what = What::Signed;
        Some((GateId::of(GateKind::Signature, &one.name), Sought { signer, what }))
    });
    let provenance = policy.provenance.iter().filter_map(|one| {
        let signer = Signer::of(one.key.as_deref(), one.keyless.as_ref(), roots)?;
        let what = What::Built(Build::new(&one.builder, &one.repository));
        Some((GateId::of(GateKind::Provenance, &one.name), Sought { signer, what }))
    });
    let summaries = policy.summaries.iter().filter_map(|one| {
        let signer = Signer::of(one.key.as_deref(), one.keyless.as_ref(), roots)?;
        let what = What::Verified(Verification::of(one));
        Some((GateId::of(GateKind::Summary, &one.name), Sought { signer, what }))
    });
    signatures.chain(provenance).chain(summaries).collect()
}

impl Sought {
    /// What tells it from all else that is asked for.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let key = self.signer.fingerprint();
        let text = match &self.what {
            What::Signed => return key,
            What::Built(build) => format!("{key}\n{}\n{}", build.builder, build.repository),
            What::Verified(verification) => verification.distinct(&key),
        };
        hex::encode(Sha256::digest(text.as_bytes()))
    }

    /// What attests it must say that it is.
    #[must_use]
    pub fn says(&self) -> &'static [&'static str] {
        match self.what {
            What::Signed => &[SIGNED],
            What::Built(_) => &PROVENANCE,
            What::Verified(_) => &SUMMARIES,
        }
    }

    /// What those say of where this digest comes from that prove what is sought.
    #[must_use]
    pub fn facts(&self, digest: &Digest, attached: &[Attached]) -> Vec<Fact> {
        let proves = |one: &&Attached| self.find(digest, std::slice::from_ref(*one)) == Found::Valid;
        let facts = attached.iter().filter(proves).flat_map(|one| {
            let by = self.signer.name();
            let built = match (&self.what, one) {
                (What::Built(_), Attached::Envelope(envelope)) => provenance::facts(envelope),
                _ => Vec::new(),
            };
            let said = self.signer.claims(one).into_iter().chain(built);
            said.map(move |(kind, value)| Fact {
                kind,
                level: Level::Proven,
                value,
                by: by.clone(),
            })
            .collect::<Vec<_>>()
        });
        in_order(facts.collect())
    }

    /// Whether one of these proves it of this digest.
    #[must_use]
    pub fn find(&self, digest: &Digest, attached: &[Attached]) -> Found {
        match &self.what {
            What::Signed => find(&self.signer, digest, attached),
            What::Built(build) => build.find(&self.signer, digest, attached),
            What::Verified(verification) => verification.find(&self.signer, digest, attached),
        }
    }
}

/// Something signed that hangs on an image at a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attached {
    /// The older form.
    Simple {
        /// What was signed: bytes of a `Payload`.
        payload: Vec<u8>,
        /// By who signed.
        signature: Vec<u8>,
        /// What proves who that was, where it wasn't a key that is known.
        material: Option<Box<Material>>,
    },
    /// The newer form, and all that is attested.
    Envelope(Envelope),
}

/// A text with signatures over it and its type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    material: Option<Box<Material>>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: SignedImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SignedImage {
    docker_manifest_digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
    #[serde(default)]
    predicate: Value,
}

impl Statement {
    fn of(&self) -> Vec<String> {
        let of = |subject: &Subject| Some(format!("sha256:{}", subject.digest.sha256.as_ref()?));
        self.subject.iter().filter_map(of).collect()
    }
}

#[derive(Deserialize)]
struct Subject {
    digest: Sums,
}

#[derive(Deserialize)]
struct Sums {
    sha256: Option<String>,
}

impl Attached {
    /// A signature of the older form, which stands beside its document as Base64, with who signed where that stands there, too; `None`
    /// when it is none.
    #[must_use]
    pub fn simple(payload: Vec<u8>, signature: &str, annotated: Option<Annotated>) -> Option<Self> {
        Some(Self::Simple {
            payload,
            signature: STANDARD.decode(signature.trim()).ok()?,
            material: annotated.map(|annotated| Box::new(Material::Annotated(annotated))),
        })
    }

    /// The envelope of a bundle; `None` when it is no bundle, or holds something else, or an envelope with more or less than the one
    /// signature that it has in a bundle (`sigstore_bundle.proto`: clients must reject others).
    #[must_use]
    pub fn bundle(bytes: &[u8]) -> Option<Self> {
        let bundle: Value = nesting::json(bytes).ok()?;
        let envelope = bundle.get("dsseEnvelope")?;
        let is_one = envelope.get("signatures")?.as_array()?.len() == 1;
        let material = || Material::Bundle(bytes.to_vec());
        is_one.then(|| Self::enveloped(envelope, Some(material()))).flatten()
    }

    /// A bare envelope, with who signed where that stands beside it; `None` when it is none.
    #[must_use]
    pub fn envelope(bytes: &[u8], annotated: Option<Annotated>) -> Option<Self> {
        Self::enveloped(&nesting::json(bytes).ok()?, annotated.map(Material::Annotated))
    }

    /// What proves who signed; `None` where it can only have been a key that is known.
    fn material(&self) -> Option<&Material> {
        match self {
            Self::Simple { material, .. } | Self::Envelope(Envelope { material, .. }) => material.as_deref(),
        }
    }

    fn enveloped(envelope: &Value, material: Option<Material>) -> Option<Self> {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let decoded = |text: &str| ALPHABETS.iter().find_map(|alphabet| alphabet.decode(text).ok());
        let signatures = envelope.get("signatures")?.as_array()?;
        let signatures = signatures.iter().take(MOST_SIGNATURES);
        Some(Self::Envelope(Envelope {
            payload_type: text(envelope, "payloadType")?,
            payload: decoded(&text(envelope, "payload")?)?,
            signatures: signatures.filter_map(|one| decoded(&text(one, "sig")?)).collect(),
            material: material.map(Box::new),
        }))
    }

    /// Whether it says of an image that it is signed, whoever says so; and of which.
    fn signs(&self) -> Option<Vec<String>> {
        match self {
            Self::Simple { payload, .. } => {
                let payload: Payload = nesting::json(payload).ok()?;
                let of = payload.critical.image.docker_manifest_digest;
                (payload.critical.kind == SIMPLE).then(|| vec![of])
            }
            Self::Envelope(envelope) => {
                let statement = envelope.statement()?;
                (statement.predicate_type == SIGNED).then(|| statement.of())
            }
        }
    }

    fn signed_by(&self, key: &PublicKey) -> bool {
        match self {
            Self::Simple { payload, signature, .. } => key.signed(payload, signature),
            Self::Envelope(envelope) => {
                let message = message(&envelope.payload_type, &envelope.payload);
                envelope
                    .signatures
                    .iter()
                    .any(|signature| key.signed(&message, signature))
            }
        }
    }
}

impl Envelope {
    fn statement(&self) -> Option<Statement> {
        // in-toto's envelope specification also has a type for each predicate.
        let own = self.payload_type.strip_prefix("application/vnd.in-toto.");
        let is_statement = self.payload_type == STATEMENT || own.is_some_and(|own| own.ends_with("+json"));
        let statement: Statement = nesting::json(&self.payload).ok().filter(|_| is_statement)?;
        Some(statement).filter(|statement| statement.kind.starts_with("https://in-toto.io/Statement/"))
    }
}

/// What the signatures of an envelope are over: type and text with their lengths, so that neither can be taken for the other.
fn message(kind: &str, text: &[u8]) -> Vec<u8> {
    let lengths = (format!("DSSEv1 {} ", kind.len()), format!(" {} ", text.len()));
    [lengths.0.as_bytes(), kind.as_bytes(), lengths.1.as_bytes(), text].concat()
}

/// Whether one of these proves that the signer signed this digest.
fn find(signer: &Signer, digest: &Digest, attached: &[Attached]) -> Found {
    let mut tally = Tally::default();
    for one in attached {
        let Some(of) = one.signs() else { continue };
        if tally.is_it(signer, digest, one, &of) {
            return Found::Valid;
        }
    }
    tally.found(None)
}

/// Characters of what a statement says that are shown.
const SHOWN: usize = 200;

/// What a statement says, as it is shown: short, and without what moves a line; `None` when nothing is left.
pub(crate) fn shown(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    (!clean.is_empty()).then_some(clean)
}

mod keyless;
mod parts;
mod provenance;
mod roots;
mod signer;
mod signing_key;
mod statement;
mod summary;
#[cfg(test)]
mod tests;

pub use keyless::{Annotated, Material};
pub use parts::{StatementParts, StatementSubject, parts, sum};
use provenance::Build;
pub use provenance::PROVENANCE;
pub use roots::{RootContents, TrustedRoot, TrustedRoots};
use signer::{Signer, Tally};
pub use signing_key::{SigningError, SigningKey};
pub use statement::{Passed, SUMMARY, payload, policy_digest, sign, stated_policy};
use summary::{SUMMARIES, Verification};
