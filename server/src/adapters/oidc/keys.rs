//! The keys that a provider signs with, and whether one of them signed a text.
//!
//! The algorithm comes from the token but is believed only when it fits the key, and only signatures are known: `none`, and secrets
//! shared with the client, are no way to prove anything here.

use aws_lc_rs::{
    rsa::{PublicKeyComponents, RsaParameters},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// A provider's keys as it publishes them. Those that can't be used here are left alone.
#[derive(Debug, Deserialize)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    #[serde(default)]
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Whether one of the keys signed `message`. A token that names its key is held to that one.
    pub(super) fn signed(&self, algorithm: &str, key: Option<&str>, message: &[u8], signature: &[u8]) -> bool {
        self.keys
            .iter()
            .filter(|known| key.is_none() || known.kid.as_deref() == key)
            .filter(|known| known.purpose.as_deref().is_none_or(|purpose| purpose == "sig"))
            .filter(|known| known.alg.as_deref().is_none_or(|alg| alg == algorithm))
            .any(|known| known.signed(algorithm, message, signature).unwrap_or(false))
    }
}

impl Key {
    /// `None` when the key isn't of the algorithm's kind.
    fn signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let kind = (self.kty.as_str(), self.crv.as_deref());
        let curve: (&'static dyn VerificationAlgorithm, Vec<u8>) = match (algorithm, kind) {
            ("ES256", ("EC", Some("P-256"))) => (&ECDSA_P256_SHA256_FIXED, self.point(32)?),
            ("ES384", ("EC", Some("P-384"))) => (&ECDSA_P384_SHA384_FIXED, self.point(48)?),
            ("EdDSA" | "Ed25519", ("OKP", Some("Ed25519"))) => (&ED25519, bytes(self.x.as_deref())?),
            (_, ("RSA", _)) => return self.signed_with_rsa(algorithm, message, signature),
            _ => return None,
        };
        let (algorithm, key) = curve;
        Some(
            UnparsedPublicKey::new(algorithm, key)
                .verify(message, signature)
                .is_ok(),
        )
    }

    fn signed_with_rsa(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let parameters: &'static RsaParameters = match algorithm {
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "PS384" => &RSA_PSS_2048_8192_SHA384,
            "PS512" => &RSA_PSS_2048_8192_SHA512,
            _ => return None,
        };
        let number = |text: Option<&str>| {
            let bytes = bytes(text)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        let key = PublicKeyComponents {
            n: number(self.n.as_deref())?,
            e: number(self.e.as_deref())?,
        };
        Some(key.verify(parameters, message, signature).is_ok())
    }

    /// A point of a curve, uncompressed.
    fn point(&self, length: usize) -> Option<Vec<u8>> {
        let (x, y) = (bytes(self.x.as_deref())?, bytes(self.y.as_deref())?);
        let whole = x.len() == length && y.len() == length;
        whole.then(|| [&[4][..], &x, &y].concat())
    }
}

fn bytes(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}
