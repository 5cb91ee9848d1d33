//! The bytes that make a signed statement hang on an image: a layer that holds it, a configuration, and the manifest that names both.
//!
//! Bundles are laid out as cosign 3.1 writes them, attachments as cosign 2 does; both were read in its source. The same input gives the same
//! bytes, so the same digests.

use domain::{artifact::Digest, statement::StatementForm, time::Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An image, as a statement that hangs on it must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementSubject {
    /// The media type of its manifest or index.
    pub kind: String,
    /// Bytes of that.
    pub size: u64,
    /// The form in which statements should hang on it.
    pub form: StatementForm,
}

/// A signed statement as it is pushed. Signatures are random, so it is kept before it is pushed: a second try then pushes the same bytes, and
/// the registry has them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementParts {
    /// Its form.
    pub form: StatementForm,
    /// The bundle, or the bare envelope: JSON.
    pub layer: Vec<u8>,
    /// The configuration of the manifest.
    pub config: Vec<u8>,
    /// The manifest that has the layer: of a bundle with the image as its subject; of an attachment as it lies under the tag where nothing else
    /// does.
    pub manifest: Vec<u8>,
}

/// The parts of a statement.
///
/// - `envelope`: the DSSE envelope, JSON, with exactly one signature. It is used byte for byte. Its signature has no `keyid`: verifiers pass
///   over one that is spelled otherwise than they would.
/// - `key_hint`: the SHA-256 of the public key (`SubjectPublicKeyInfo`, DER) in Base64.
/// - `predicate_type`: what the statement says of itself, an address.
#[must_use]
pub fn parts(
    form: StatementForm,
    envelope: &[u8],
    key_hint: &str,
    predicate_type: &str,
    subject: &StatementSubject,
    digest: &Digest,
    created: Timestamp,
) -> StatementParts {
    match form {
        StatementForm::Bundle => {
            let layer = bundle(envelope, key_hint);
            let config = b"{}".to_vec();
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": BUNDLE,
                "config": descriptor(EMPTY, &config),
                "layers": [descriptor(BUNDLE, &layer)],
                "subject": { "mediaType": subject.kind, "size": subject.size, "digest": digest },
                "annotations": {
                    "org.opencontainers.image.created": created.rfc3339(),
                    "dev.sigstore.bundle.content": "dsse-envelope",
                    "dev.sigstore.bundle.predicateType": predicate_type,
                },
            });
            StatementParts {
                form,
                layer,
                config,
                manifest: manifest.to_string().into_bytes(),
            }
        }
        StatementForm::Attachment => {
            let layer = envelope.to_vec();
            let config = json!({
                "architecture": "",
                "os": "",
                "config": {},
                "rootfs": { "type": "layers", "diff_ids": [sum(&layer)] },
            });
            let config = config.to_string().into_bytes();
            let mut held = descriptor(ENVELOPE, &layer);
            // cosign reads nothing at all under the tag where one layer lacks the first, empty as it is.
            held["annotations"] = json!({ "dev.cosignproject.cosign/signature": "", "predicateType": predicate_type });
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(CONFIG, &config),
                "layers": [held],
            });
            StatementParts {
                form,
                layer,
                config,
                manifest: manifest.to_string().into_bytes(),
            }
        }
    }
}

/// A Sigstore bundle around an envelope, which stays as it is.
fn bundle(envelope: &[u8], key_hint: &str) -> Vec<u8> {
    let material = json!({ "publicKey": { "hint": key_hint } });
    let before = format!(r#"{{"mediaType":"{BUNDLE}","verificationMaterial":{material},"dsseEnvelope":"#);
    [before.as_bytes(), envelope, b"}"].concat()
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "size": bytes.len(), "digest": sum(bytes) })
}

/// The digest of some bytes, as registries write it.
#[must_use]
pub fn sum(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VSA: &str = "https://slsa.dev/verification_summary/v1";
    /// With a space that nobody who writes it anew would keep.
    const ENVELOPED: &[u8] =
        br#"{"payload": "eyJ9","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"c2ln"}]}"#;

    fn image() -> Digest {
        format!("sha256:{}", "d0".repeat(32)).parse().unwrap()
    }

    fn made(form: StatementForm) -> StatementParts {
        let subject = StatementSubject {
            kind: "application/vnd.oci.image.index.v1+json".into(),
            size: 1234,
            form,
        };
        let created = Timestamp(1_795_939_542_999);
        parts(form, ENVELOPED, "a/+\"=", VSA, &subject, &image(), created)
    }

    fn json_of(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_bundle_is_laid_out_as_cosign_writes_it() {
        let StatementParts {
            form,
            layer,
            config,
            manifest,
        } = made(StatementForm::Bundle);
        assert_eq!(form, StatementForm::Bundle);
        assert_eq!(
            json_of(&layer),
            json!({
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": { "publicKey": { "hint": "a/+\"=" } },
                "dsseEnvelope": json_of(ENVELOPED),
            })
        );
        let text = String::from_utf8(layer.clone()).unwrap();
        assert!(text.contains(std::str::from_utf8(ENVELOPED).unwrap()), "byte for byte");
        assert_eq!(config, b"{}");
        assert_eq!(
            json_of(&manifest),
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "config": {
                    "mediaType": "application/vnd.oci.empty.v1+json",
                    "size": 2,
                    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                },
                "layers": [{
                    "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                    "size": layer.len(),
                    "digest": sum(&layer),
                }],
                "subject": {
                    "mediaType": "application/vnd.oci.image.index.v1+json",
                    "size": 1234,
                    "digest": image(),
                },
                "annotations": {
                    "org.opencontainers.image.created": "2026-11-29T08:05:42Z",
                    "dev.sigstore.bundle.content": "dsse-envelope",
                    "dev.sigstore.bundle.predicateType": VSA,
                },
            })
        );
    }

    #[test]
    fn an_attachment_is_a_bare_envelope_with_the_annotation_that_cosign_asks_for() {
        let StatementParts {
            form,
            layer,
            config,
            manifest,
        } = made(StatementForm::Attachment);
        assert_eq!(form, StatementForm::Attachment);
        assert_eq!(layer, ENVELOPED);
        assert_eq!(
            json_of(&config),
            json!({
                "architecture": "",
                "os": "",
                "config": {},
                "rootfs": { "type": "layers", "diff_ids": [sum(ENVELOPED)] },
            })
        );
        assert_eq!(
            json_of(&manifest),
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "size": config.len(),
                    "digest": sum(&config),
                },
                "layers": [{
                    "mediaType": "application/vnd.dsse.envelope.v1+json",
                    "size": ENVELOPED.len(),
                    "digest": sum(ENVELOPED),
                    "annotations": { "dev.cosignproject.cosign/signature": "", "predicateType": VSA },
                }],
            })
        );
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_no_key_is_named_beside_a_signature() {
        for form in [StatementForm::Bundle, StatementForm::Attachment] {
            let parts = made(form);
            assert_eq!(parts, made(form));
            for bytes in [&parts.layer, &parts.config, &parts.manifest] {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains("keyid"), "{text}");
            }
        }
    }
}
