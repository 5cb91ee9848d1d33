//! A Sigstore instance that fits into a test: an authority that certifies who signs, and a transparency log with one entry at a time.
//!
//! It makes what cosign makes without a key, so that Waybill's reading, and cosign's own, can be tried without network. Formats: Sigstore's
//! bundle 0.3, Rekor 1 (`dsse` and `hashedrekord` 0.0.1), checkpoints as signed notes, Fulcio's extensions (`oid-info.md`), cosign's
//! annotations. It has no certificate log and no timestamp authority.

use crate::error::TestbedError;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _,
    string::Ia5String,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// Of Fulcio's extensions.
const ARC: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 0];
/// The log's host, and the line that its checkpoints begin with: of Rekor 1 the host, and the number of the tree.
const HOST: &str = "log.example.com";
const ORIGIN: &str = "log.example.com - 2026";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The instance.
pub struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    log: KeyPair,
}

/// Who signs, as an identity provider tells the authority.
#[derive(Clone, Debug)]
pub struct Workload {
    /// An address.
    pub identity: String,
    /// The identity provider.
    pub issuer: String,
    /// The repository that the build runs for.
    pub repository: String,
    /// The branch or tag.
    pub git_ref: String,
    /// The commit, hexadecimal.
    pub commit: String,
    /// The run of the build.
    pub run: String,
}

impl Workload {
    /// A workflow of a repository at GitHub, on a branch.
    #[must_use]
    pub fn github(repository: &str, branch: &str) -> Self {
        let address = format!("https://github.com/{repository}");
        Self {
            identity: format!("{address}/.github/workflows/build.yml@refs/heads/{branch}"),
            issuer: "https://token.actions.githubusercontent.com".into(),
            git_ref: format!("refs/heads/{branch}"),
            commit: "3f".repeat(20),
            run: format!("{address}/actions/runs/1/attempts/1"),
            repository: address,
        }
    }
}

/// When something is signed, and what the log says of that.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// How long after its certificate began the log says that it has it, in seconds.
    pub after: i64,
}

/// What a certificate vouches for.
struct Leaf {
    key: KeyPair,
    der: Vec<u8>,
    begins: OffsetDateTime,
}

fn wrong(error: &impl std::fmt::Display) -> TestbedError {
    TestbedError::Odd(error.to_string())
}

fn sum(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len().div_ceil(64))
        .map(|i| &text[i * 64..text.len().min(i * 64 + 64)])
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// A text in DER, of at most 65,535 bytes.
fn utf8(text: &str) -> Vec<u8> {
    let length = text.len();
    let head = match u8::try_from(length) {
        Ok(short @ ..128) => vec![0x0c, short],
        Ok(long) => vec![0x0c, 0x81, long],
        Err(_) => {
            let [.., high, low] = length.to_be_bytes();
            vec![0x0c, 0x82, high, low]
        }
    };
    [head, text.as_bytes().to_vec()].concat()
}

impl Sigstore {
    /// A new instance with keys of its own.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self, TestbedError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("sigstore");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(365);
        let key = KeyPair::generate().map_err(|e| wrong(&e))?;
        Ok(Self {
            authority: CertifiedIssuer::self_signed(params, key).map_err(|e| wrong(&e))?,
            log: KeyPair::generate().map_err(|e| wrong(&e))?,
        })
    }

    /// What whoever verifies must trust: `trusted_root.json`.
    #[must_use]
    pub fn trusted_root(&self) -> String {
        let valid = json!({ "start": "2020-01-01T00:00:00Z" });
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": format!("https://{HOST}"),
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(self.log.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": { "keyId": STANDARD.encode(self.log_id()) },
            }],
            "certificateAuthorities": [{
                "subject": { "organization": "example.com", "commonName": "sigstore" },
                "uri": "https://ca.example.com",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(self.authority.der()) }] },
                "validFor": valid,
            }],
            "ctlogs": [],
            "timestampAuthorities": [],
        });
        root.to_string()
    }

    fn log_id(&self) -> Vec<u8> {
        sum(&self.log.subject_public_key_info())
    }

    fn certify(&self, who: &Workload, moments: Moments) -> Result<Leaf, TestbedError> {
        // The log never says that something will be.
        let begins = OffsetDateTime::now_utc() - Duration::seconds(30 + moments.after);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.not_before = begins;
        params.not_after = begins + Duration::minutes(10);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        let identity = Ia5String::try_from(who.identity.as_str()).map_err(|e| wrong(&e))?;
        params.subject_alt_names = vec![match who.identity.contains("://") {
            true => SanType::URI(identity),
            false => SanType::Rfc822Name(identity),
        }];
        let said = [
            (8, &who.issuer),
            (9, &who.identity),
            (12, &who.repository),
            (13, &who.commit),
            (14, &who.git_ref),
            (21, &who.run),
        ];
        for (number, text) in said {
            let mut oid = ARC;
            oid[8] = number;
            (params.custom_extensions).push(CustomExtension::from_oid_content(&oid, utf8(text)));
        }
        // The first of them is the issuer without a type, which older tools read.
        let bare = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 1], who.issuer.clone().into_bytes());
        params.custom_extensions.push(bare);
        let key = KeyPair::generate().map_err(|e| wrong(&e))?;
        let certificate = params.signed_by(&key, &self.authority).map_err(|e| wrong(&e))?;
        Ok(Leaf {
            der: certificate.der().to_vec(),
            key,
            begins,
        })
    }

    /// Signs a statement about an image, as `cosign attest` does without a key: a bundle.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn attest(
        &self,
        who: &Workload,
        digest: &str,
        says: (&str, &Value),
        moments: Moments,
    ) -> Result<Value, TestbedError> {
        let leaf = self.certify(who, moments)?;
        let hex_digest = digest.trim_start_matches("sha256:");
        let (kind, predicate) = says;
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "image", "digest": { "sha256": hex_digest } }],
            "predicateType": kind,
            "predicate": predicate,
        });
        let payload = statement.to_string().into_bytes();
        let message = [
            format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len()).into_bytes(),
            payload.clone(),
        ]
        .concat();
        let signature = STANDARD.encode(leaf.key.sign(&message).map_err(|e| wrong(&e))?);
        let envelope = json!({
            "payload": STANDARD.encode(&payload),
            "payloadType": IN_TOTO,
            "signatures": [{ "sig": signature }],
        });
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": { "algorithm": "sha256", "value": hex(&sum(envelope.to_string().as_bytes())) },
                "payloadHash": { "algorithm": "sha256", "value": hex(&sum(&payload)) },
                "signatures": [{ "signature": signature, "verifier": STANDARD.encode(pem(&leaf.der)) }],
            },
        });
        let entry = self.enter(&body, leaf.begins + Duration::seconds(moments.after))?;
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&leaf.der) },
                "tlogEntries": [entry],
                "timestampVerificationData": { "rfc3161Timestamps": [] },
            },
            "dsseEnvelope": envelope,
        }))
    }

    /// Signs an image, as `cosign sign` 3 does without a key: a bundle.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn sign(&self, who: &Workload, digest: &str, moments: Moments) -> Result<Value, TestbedError> {
        self.attest(
            who,
            digest,
            ("https://sigstore.dev/cosign/sign/v1", &json!({})),
            moments,
        )
    }

    /// Signs a document in the older form, as `cosign sign` 2 does without a key: the signature in Base64, and the annotations of its
    /// layer.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn sign_older(
        &self,
        who: &Workload,
        document: &[u8],
    ) -> Result<(String, BTreeMap<String, String>), TestbedError> {
        let leaf = self.certify(who, Moments::default())?;
        let signature = STANDARD.encode(leaf.key.sign(document).map_err(|e| wrong(&e))?);
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(&sum(document)) } },
                "signature": { "content": signature, "publicKey": { "content": STANDARD.encode(pem(&leaf.der)) } },
            },
        });
        let entry = self.enter(&body, leaf.begins)?;
        let whole = |name: &str| {
            entry[name]
                .as_str()
                .unwrap_or_default()
                .parse::<i64>()
                .unwrap_or_default()
        };
        let bundle = json!({
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"],
                "integratedTime": whole("integratedTime"),
                "logIndex": whole("logIndex"),
                "logID": hex(&self.log_id()),
            },
        });
        let annotations = [
            ("dev.sigstore.cosign/certificate", pem(&leaf.der)),
            ("dev.sigstore.cosign/chain", pem(self.authority.der())),
            ("dev.sigstore.cosign/bundle", bundle.to_string()),
        ];
        let annotations = annotations.map(|(name, text)| (name.to_owned(), text));
        Ok((signature, annotations.into()))
    }

    /// Enters something into the log, as its first and only entry: with the log's promise, and the proof.
    fn enter(&self, body: &Value, at: OffsetDateTime) -> Result<Value, TestbedError> {
        // Names of JSON are sorted here, which is the canonical form of these.
        let body = body.to_string();
        let encoded = STANDARD.encode(&body);
        let time = at.unix_timestamp();
        let promised = json!({ "body": encoded, "integratedTime": time, "logID": hex(&self.log_id()), "logIndex": 0 });
        let promise = (self.log.sign(promised.to_string().as_bytes())).map_err(|e| wrong(&e))?;
        let root = sum(&[&[0], body.as_bytes()].concat());
        let note = format!("{ORIGIN}\n1\n{}\n", STANDARD.encode(&root));
        let signed = self.log.sign(note.as_bytes()).map_err(|e| wrong(&e))?;
        let hinted = [&self.log_id()[..4], &signed].concat();
        let checkpoint = format!("{note}\n\u{2014} {HOST} {}\n", STANDARD.encode(hinted));
        let kind: Value = serde_json::from_str(&body).map_err(|e| wrong(&e))?;
        Ok(json!({
            "logIndex": "0",
            "logId": { "keyId": STANDARD.encode(self.log_id()) },
            "kindVersion": { "kind": kind["kind"], "version": kind["apiVersion"] },
            "integratedTime": time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": STANDARD.encode(promise) },
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": STANDARD.encode(&root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": { "envelope": checkpoint },
            },
            "canonicalizedBody": encoded,
        }))
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::OrganizationName, "example.com");
    named.push(DnType::CommonName, name);
    named
}
