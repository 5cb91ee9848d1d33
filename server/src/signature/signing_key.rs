//! The key that Waybill signs its own statements with: ECDSA on P-256 with SHA-256, which every verifier of images knows.
//!
//! It is kept and given as PKCS#8 in PEM, the form that `openssl genpkey` writes. Its public half is told from others by the SHA-256 of its bytes
//! (`SubjectPublicKeyInfo`, DER), as cosign does it.

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Bytes of a key's text, at most: one of P-256 has about 240.
const LARGEST: usize = 4 * 1024;
/// Characters of a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// Why no key could be made, or nothing signed with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The system gave no random numbers, so nothing could be signed.")]
pub struct SigningError;

/// A key that signs.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: Vec<u8>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// Makes a key; with it, the private key as [`SigningKey::read`] takes it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<(Self, SecretString), SigningError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| SigningError)?;
        let document = pair.to_pkcs8v1().map_err(|_| SigningError)?;
        let text = pem("PRIVATE KEY", document.as_ref());
        let key = Self::of(pair).ok_or(SigningError)?;
        Ok((key, SecretString::from(text)))
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn read(text: &SecretString) -> Result<Self, &'static str> {
        const OTHER: &str =
            "This is no key on P-256. Make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
        let text = text.expose_secret().trim();
        if text.contains("BEGIN ENCRYPTED SIGSTORE") || text.contains("BEGIN ENCRYPTED COSIGN") {
            return Err(
                "This key is encrypted as cosign does it, which only cosign opens. Make one for Waybill with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            );
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err("This key is encrypted. Decrypt it first with: openssl pkcs8 -in FILE");
        }
        if text.contains("BEGIN EC PRIVATE KEY") {
            return Err(
                "This key is in the older form (SEC1). Convert it with: openssl pkcs8 -topk8 -nocrypt -in FILE",
            );
        }
        if text.contains("BEGIN PUBLIC KEY") {
            return Err("This is a public key. Give the private one.");
        }
        let body = text
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
            .filter(|_| text.len() <= LARGEST)
            .ok_or("Give a private key as PEM: from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----.")?;
        let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
        let der = (STANDARD.decode(body.as_bytes()).map(Zeroizing::new))
            .map_err(|_| "This key is damaged: between its first and last line stands no Base64. Copy it again.")?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).map_err(|_| OTHER)?;
        Self::of(pair).ok_or(OTHER)
    }

    fn of(pair: EcdsaKeyPair) -> Option<Self> {
        let public = pair.public_key().as_der().ok()?.as_ref().to_vec();
        Some(Self { pair, public })
    }

    /// The signature of a message, ASN.1 DER.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signed = self.pair.sign(&SystemRandom::new(), message);
        Ok(signed.map_err(|_| SigningError)?.as_ref().to_vec())
    }

    /// The public half, PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public)
    }

    /// What tells it from others: the SHA-256 of its public half, hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.public))
    }

    /// How a Sigstore bundle names the key: the same sum as Base64.
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.public))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::PublicKey;

    #[test]
    fn a_key_reads_its_own_text_and_its_public_half_verifies() {
        let (key, text) = SigningKey::generate().unwrap();
        let again = SigningKey::read(&text).unwrap();
        assert_eq!(key.public_pem(), again.public_pem());
        let public = PublicKey::read(&key.public_pem()).unwrap();
        assert_eq!(public.fingerprint(), key.fingerprint());
        let signature = again.sign(b"message").unwrap();
        assert!(public.signed(b"message", &signature));
        assert!(!public.signed(b"another", &signature));
        assert_eq!(
            STANDARD.decode(key.hint()).unwrap(),
            hex::decode(key.fingerprint()).unwrap()
        );
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_key_for_it_says_what_to_do() {
        let read = |text: &str| SigningKey::read(&SecretString::from(text)).unwrap_err();
        for (text, says) in [
            ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx", "only cosign opens"),
            ("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\nx", "only cosign opens"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx", "openssl pkcs8 -in"),
            ("-----BEGIN EC PRIVATE KEY-----\nx", "-topk8 -nocrypt"),
            ("-----BEGIN PUBLIC KEY-----\nx", "the private one"),
            ("", "as PEM"),
            ("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----", "damaged"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "P-256"),
        ] {
            assert!(read(text).contains(says), "{text}");
        }
    }
}
