//! The bytes that make up a statement in a registry, as cosign writes them: a Sigstore bundle with a manifest that refers to the image, or a bare
//! envelope as a layer of cosign's attachments.
//!
//! Formats: Sigstore bundle 0.3 (`sigstore_bundle.proto`), OCI image manifest 1.1 with `subject`, and cosign's attestations as layers of an image.

use domain::{artifact::Digest, statement::StatementForm, time::Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An image that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementSubject {
    /// The media type of its manifest, or index.
    pub kind: String,
    /// That one's bytes.
    pub size: u64,
    /// The form that hides nothing of what hangs there.
    pub form: StatementForm,
}

/// The bytes that make up a statement in a registry. They are kept before they are pushed, and are the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementParts {
    /// How it hangs there.
    pub form: StatementForm,
    /// The bundle, or the envelope. JSON.
    pub layer: Vec<u8>,
    /// The configuration that the manifest names.
    pub config: Vec<u8>,
    /// The manifest that names both. That of an attachment is the one for an image that has no other.
    pub manifest: Vec<u8>,
}

/// The parts of a statement in an envelope (DSSE, JSON), signed with the key of this hint, about an image.
#[must_use]
pub fn parts(
    envelope: &[u8],
    hint: &str,
    predicate_type: &str,
    subject: &StatementSubject,
    digest: &Digest,
    created: Timestamp,
) -> StatementParts {
    match subject.form {
        StatementForm::Bundle => bundle(envelope, hint, predicate_type, subject, digest, created),
        StatementForm::Attachment => attachment(envelope, predicate_type),
    }
}

fn bundle(
    envelope: &[u8],
    hint: &str,
    predicate_type: &str,
    subject: &StatementSubject,
    digest: &Digest,
    created: Timestamp,
) -> StatementParts {
    let envelope: Value = serde_json::from_slice(envelope).unwrap_or_default();
    let layer = bytes(&json!({
        "dsseEnvelope": envelope,
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": hint } },
    }));
    let config = b"{}".to_vec();
    let manifest = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": descriptor(EMPTY, &config),
        "layers": [descriptor(BUNDLE, &layer)],
        "subject": { "mediaType": subject.kind, "digest": digest, "size": subject.size },
        "annotations": {
            "org.opencontainers.image.created": created.rfc3339(),
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
        },
    }));
    StatementParts {
        form: StatementForm::Bundle,
        layer,
        config,
        manifest,
    }
}

fn attachment(envelope: &[u8], predicate_type: &str) -> StatementParts {
    let layer = envelope.to_vec();
    let config = bytes(&json!({
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": { "diff_ids": [sum(&layer)], "type": "layers" },
    }));
    let mut of = descriptor(ENVELOPE, &layer);
    // cosign reads none of the layers where this is missing.
    of["annotations"] = json!({ "dev.cosignproject.cosign/signature": "", "predicateType": predicate_type });
    let manifest = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": [of],
    }));
    StatementParts {
        form: StatementForm::Attachment,
        layer,
        config,
        manifest,
    }
}

fn descriptor(kind: &str, of: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": sum(of), "size": of.len() })
}

fn sum(of: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(of)))
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS: &str = "https://slsa.dev/verification_summary/v1";

    fn made(form: StatementForm) -> StatementParts {
        let envelope =
            br#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA=="}]}"#;
        let subject = StatementSubject {
            kind: "application/vnd.oci.image.index.v1+json".into(),
            size: 1234,
            form,
        };
        let digest = format!("sha256:{}", "d".repeat(64)).parse().unwrap();
        parts(
            envelope,
            "aGludA==",
            SAYS,
            &subject,
            &digest,
            Timestamp(1_795_169_043_123),
        )
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_bundle_refers_to_the_image_and_names_no_key() {
        let made = made(StatementForm::Bundle);
        let bundle = read(&made.layer);
        assert_eq!(bundle["mediaType"], BUNDLE);
        assert_eq!(
            bundle["verificationMaterial"],
            json!({ "publicKey": { "hint": "aGludA==" } })
        );
        assert_eq!(bundle["dsseEnvelope"]["signatures"], json!([{ "sig": "AA==" }]));
        let manifest = read(&made.manifest);
        assert_eq!(manifest["artifactType"], BUNDLE);
        // The digest of `{}`, as the image specification gives it.
        assert_eq!(
            manifest["config"],
            json!({
                "mediaType": EMPTY, "size": 2,
                "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            })
        );
        assert_eq!(
            manifest["layers"],
            json!([{ "mediaType": BUNDLE, "size": made.layer.len(), "digest": sum(&made.layer) }])
        );
        assert_eq!(
            manifest["subject"],
            json!({
                "mediaType": "application/vnd.oci.image.index.v1+json", "size": 1234,
                "digest": format!("sha256:{}", "d".repeat(64)),
            })
        );
        assert_eq!(
            manifest["annotations"],
            json!({
                "org.opencontainers.image.created": "2026-11-20T10:04:03Z",
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": SAYS,
            })
        );
    }

    #[test]
    fn an_attachment_is_a_layer_with_an_empty_signature_beside_it() {
        let made = made(StatementForm::Attachment);
        assert!(read(&made.layer).get("payload").is_some());
        let manifest = read(&made.manifest);
        assert_eq!(
            manifest["layers"][0]["annotations"],
            json!({ "dev.cosignproject.cosign/signature": "", "predicateType": SAYS })
        );
        assert_eq!(manifest["layers"][0]["mediaType"], ENVELOPE);
        assert_eq!(manifest["config"]["mediaType"], CONFIG);
        assert_eq!(manifest["config"]["digest"], sum(&made.config));
        assert_eq!(read(&made.config)["rootfs"]["diff_ids"], json!([sum(&made.layer)]));
    }

    #[test]
    fn the_same_is_made_of_the_same() {
        for form in [StatementForm::Bundle, StatementForm::Attachment] {
            assert_eq!(made(form), made(form));
        }
    }
}
