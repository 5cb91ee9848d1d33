//! Keyless signatures of the older form: what a bundle holds stands beside the signature, in annotations of its layer (cosign 2 and before).
//!
//! It is put together to a bundle 0.1, whose log entry may have a promise of the log instead of its proof.

use super::super::{Attached, Envelope};
use crate::nesting;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_verify::types::Bundle;
use std::collections::BTreeMap;

const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const ENTRY: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// Bytes of one annotation that are read.
const LIMIT: usize = 64 * 1024;
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

/// What stands beside a signature of the older form.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Annotated {
    /// PEM.
    certificate: String,
    /// PEM, one or several.
    chain: Option<String>,
    /// The log's entry, with its promise.
    entry: Option<String>,
    /// An RFC 3161 timestamp.
    timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    signed_entry_timestamp: String,
    payload: EntryPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    kind: String,
    api_version: String,
}

#[derive(Deserialize)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

impl Annotated {
    /// What the annotations of a layer hold; `None` without a certificate, or when one is too long.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let text = |name: &str| annotations.get(name).filter(|text| !text.is_empty()).cloned();
        let is_short = |text: &String| text.len() <= LIMIT;
        let all = [CERTIFICATE, CHAIN, ENTRY, TIMESTAMP].map(text);
        if !all.iter().flatten().all(is_short) {
            return None;
        }
        let [certificate, chain, entry, timestamp] = all;
        Some(Self {
            certificate: certificate?,
            chain,
            entry,
            timestamp,
        })
    }

    /// The bundle that it makes with the signature; `None` when it isn't whole.
    pub(super) fn bundle(&self, one: &Attached) -> Option<Bundle> {
        let certificates: Vec<Value> = (pem(&self.certificate)?.into_iter().take(1))
            .chain(pem(self.chain.as_deref().unwrap_or_default())?)
            .map(|der| json!({ "rawBytes": der }))
            .collect();
        let entries: Vec<Value> = match &self.entry {
            Some(entry) => vec![log_entry(entry)?],
            None => Vec::new(),
        };
        let timestamps: Vec<Value> = match &self.timestamp {
            Some(text) => {
                let timestamp: Timestamp = nesting::json(text.as_bytes()).ok()?;
                vec![json!({ "signedTimestamp": timestamp.signed })]
            }
            None => Vec::new(),
        };
        let material = json!({
            "x509CertificateChain": { "certificates": certificates },
            "tlogEntries": entries,
            "timestampVerificationData": { "rfc3161Timestamps": timestamps },
        });
        let bundle = match one {
            Attached::Simple { payload, signature, .. } => json!({
                "mediaType": BUNDLE,
                "verificationMaterial": material,
                "messageSignature": {
                    "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(Sha256::digest(payload)) },
                    "signature": STANDARD.encode(signature),
                },
            }),
            Attached::Envelope(Envelope {
                payload_type,
                payload,
                signatures,
                ..
            }) => {
                let [signature] = signatures.as_slice() else {
                    return None;
                };
                json!({
                    "mediaType": BUNDLE,
                    "verificationMaterial": material,
                    "dsseEnvelope": {
                        "payload": STANDARD.encode(payload),
                        "payloadType": payload_type,
                        "signatures": [{ "sig": STANDARD.encode(signature) }],
                    },
                })
            }
        };
        Bundle::from_json(&bundle.to_string()).ok()
    }
}

fn log_entry(text: &str) -> Option<Value> {
    let Entry {
        signed_entry_timestamp,
        payload,
    } = nesting::json(text.as_bytes()).ok()?;
    let Body { kind, api_version } = nesting::json(&STANDARD.decode(&payload.body).ok()?).ok()?;
    let log = hex::decode(&payload.log_id).ok()?;
    Some(json!({
        "logIndex": payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(log) },
        "kindVersion": { "kind": kind, "version": api_version },
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": signed_entry_timestamp },
        "canonicalizedBody": payload.body,
    }))
}

/// The certificates of a text, in Base64 without lines; `None` when something in it is none.
fn pem(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let body = rest.strip_prefix("-----BEGIN CERTIFICATE-----")?;
        let (body, after) = body.split_once("-----END CERTIFICATE-----")?;
        all.push(body.chars().filter(|c| !c.is_whitespace()).collect());
        rest = after.trim();
    }
    Some(all)
}
