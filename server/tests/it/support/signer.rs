//! Somebody with a key who signs images as cosign does: in the older place, or in the newer one.

use super::world::World;
use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const REPOSITORY: &str = "myapp/api";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    /// The public key, PEM.
    pub(crate) key: String,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der = pair.public_key().as_der().unwrap();
        let key = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        Self { pair, key }
    }

    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(&SystemRandom::new(), message).unwrap())
    }
}

/// A policy that wants these keys.
pub(crate) fn signed_by(keys: &[(&str, &Signer)]) -> Value {
    let keys: Vec<Value> = (keys.iter())
        .map(|(name, signer)| json!({ "name": name, "key": signer.key }))
        .collect();
    json!({ "signatures": keys })
}

/// Some sign an image, each once, in the older place; what was there before is replaced.
pub(crate) async fn sign(world: &World, digest: &str, signers: &[&Signer]) {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": format!("{}/{REPOSITORY}", world.host) },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let config = b"{}".to_vec();
    let layers: Vec<Value> = (signers.iter())
        .map(|signer| {
            let mut layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", &payload);
            layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signer.sign(&payload) });
            layer
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers,
    });
    let tag = format!("{}.sig", digest.replace(':', "-"));
    push(world, &tag, &manifest, &[config, payload]).await;
}

/// Somebody attests in the older place that a builder made an image from a repository; what was attested before is replaced.
pub(crate) async fn attest(world: &World, digest: &str, signer: &Signer, builder: &str, from: &str) {
    let predicate = json!({ "builder": { "id": builder }, "invocation": { "configSource": { "uri": from } } });
    state(world, digest, signer, "https://slsa.dev/provenance/v0.2", &predicate).await;
}

/// Somebody vouches for an image in the older place, with this predicate; what was attested before is replaced.
pub(crate) async fn vouch(world: &World, digest: &str, signer: &Signer, predicate: &Value) {
    state(world, digest, signer, SUMMARY, predicate).await;
}

async fn state(world: &World, digest: &str, signer: &Signer, says: &str, predicate: &Value) {
    let envelope = envelope(digest, says, predicate, signer);
    let (config, envelope) = (b"{}".to_vec(), envelope.to_string().into_bytes());
    let mut layer = descriptor("application/vnd.dsse.envelope.v1+json", &envelope);
    layer["annotations"] = json!({ "predicateType": says });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [layer],
    });
    let tag = format!("{}.att", digest.replace(':', "-"));
    push(world, &tag, &manifest, &[config, envelope]).await;
}

/// A statement about an image, signed.
fn envelope(digest: &str, says: &str, predicate: &Value, signer: &Signer) -> Value {
    let hex = digest.strip_prefix("sha256:").unwrap();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": hex } }],
        "predicateType": says,
        "predicate": predicate,
    })
    .to_string();
    let kind = "application/vnd.in-toto+json";
    let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
    json!({ "payload": STANDARD.encode(statement), "payloadType": kind,
        "signatures": [{ "sig": signer.sign(message.as_bytes()) }] })
}

/// Somebody signs an image in the newer place, as a bundle that refers to it.
pub(crate) async fn sign_as_bundle(world: &World, digest: &str, signer: &Signer) {
    state_as_bundle(world, digest, signer, "https://sigstore.dev/cosign/sign/v1", &json!({})).await;
}

/// Somebody vouches for an image in the newer place, with this predicate.
pub(crate) async fn vouch_as_bundle(world: &World, digest: &str, signer: &Signer, predicate: &Value) {
    state_as_bundle(world, digest, signer, SUMMARY, predicate).await;
}

async fn state_as_bundle(world: &World, digest: &str, signer: &Signer, says: &str, predicate: &Value) {
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "release" } },
        "dsseEnvelope": envelope(digest, says, predicate, signer),
    });
    hang_bundle(world, digest, &bundle).await;
}

/// Hangs a bundle on an image, in place of what hung there before.
pub(crate) async fn hang_bundle(world: &World, digest: &str, bundle: &Value) {
    let (bundle, empty) = (bundle.to_string().into_bytes(), b"{}".to_vec());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": descriptor("application/vnd.oci.empty.v1+json", &empty),
        "layers": [descriptor(BUNDLE, &bundle)],
        "subject": { "mediaType": MANIFEST, "digest": digest, "size": 1 },
    });
    let bytes = manifest.to_string().into_bytes();
    let of = name(&bytes);
    push(world, &of, &manifest, &[empty, bundle]).await;
    // This registry keeps no list of what refers to an image: whoever pushes keeps it under a tag.
    let mut entry = descriptor(MANIFEST, &bytes);
    entry["artifactType"] = json!(BUNDLE);
    let list =
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry] });
    push(world, &digest.replace(':', "-"), &list, &[]).await;
}

async fn push(world: &World, reference: &str, manifest: &Value, blobs: &[Vec<u8>]) {
    let registry = world.registry.as_ref().unwrap();
    registry
        .push_artifact(REPOSITORY, reference, manifest, blobs)
        .await
        .unwrap();
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": name(bytes), "size": bytes.len() })
}

fn name(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
