//! Trusted roots: whose certificates, logs and timestamps count for keyless signatures (Sigstore's `trusted_root.json`).
//!
//! Two are built in: that of the public Sigstore instance, and that of GitHub's own, which signs for private repositories. They
//! change about once a year; one that is out of date only refuses newer signatures. Others are the workspace's own.

use crate::nesting;
use domain::policy::Keyless;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot as Document};
use sigstore_verify::Verifier;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

/// Bytes of a root, at most: that of the public instance has about 7 KB.
const LARGEST: usize = 256 * 1024;
/// What a root says that it is (Sigstore's protobuf-specs).
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// A trusted root.
#[derive(Clone)]
pub struct TrustedRoot(Arc<Inner>);

struct Inner {
    document: String,
    fingerprint: String,
    verifier: OnceLock<Option<Verifier>>,
}

/// How much a root trusts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootContents {
    /// Authorities that certify who signs.
    pub authorities: usize,
    /// Logs that signatures are in.
    pub logs: usize,
    /// Logs that certificates are in.
    pub certificate_logs: usize,
    /// Authorities that say when something was signed.
    pub timestamp_authorities: usize,
}

impl fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedRoot({})", self.0.fingerprint)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: String,
}

impl TrustedRoot {
    /// Reads a root as `cosign trusted-root create` writes it.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn read(document: &str) -> Result<Self, String> {
        let document = document.trim();
        if document.len() > LARGEST {
            return Err(format!("Give at most {} KiB.", LARGEST / 1024));
        }
        let none = "This is no trusted root: give the file trusted_root.json, for example as cosign trusted-root create writes it.";
        let kind: Kind = nesting::json(document.as_bytes()).map_err(|_| none.to_owned())?;
        if kind.media_type != MEDIA_TYPE {
            return Err(format!("{none} Its mediaType must be {MEDIA_TYPE}."));
        }
        let root = Self::of(document);
        let parsed = Document::from_json(document).map_err(|error| format!("{none} It can't be read: {error}."))?;
        if parsed.certificate_authorities.is_empty() {
            return Err("This trusted root names no certificate authority, so no keyless signature could count. Add one (--fulcio).".into());
        }
        if parsed.tlogs.is_empty() && parsed.timestamp_authorities.is_empty() {
            return Err("This trusted root names neither a transparency log nor a timestamp authority, so nothing proves when something was signed. Add one (--rekor, --tsa).".into());
        }
        Verifier::new(&parsed).map_err(|error| format!("This trusted root can't be used: {error}."))?;
        Ok(root)
    }

    fn of(document: &str) -> Self {
        Self(Arc::new(Inner {
            document: document.to_owned(),
            fingerprint: hex::encode(Sha256::digest(document.as_bytes())),
            verifier: OnceLock::new(),
        }))
    }

    /// A root that was read before, as it was stored.
    #[must_use]
    pub fn stored(document: &str) -> Self {
        Self::of(document)
    }

    /// Its text.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.0.document
    }

    /// What tells it from others: the SHA-256 of its text, hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// How much it trusts.
    #[must_use]
    pub fn contents(&self) -> Option<RootContents> {
        let root = Document::from_json(&self.0.document).ok()?;
        Some(RootContents {
            authorities: root.certificate_authorities.len(),
            logs: root.tlogs.len(),
            certificate_logs: root.ctlogs.len(),
            timestamp_authorities: root.timestamp_authorities.len(),
        })
    }

    /// What verifies with it; `None` when it can't be used after all.
    pub(super) fn verifier(&self) -> Option<&Verifier> {
        let read = || Verifier::new(&Document::from_json(&self.0.document).ok()?).ok();
        self.0.verifier.get_or_init(read).as_ref()
    }
}

/// The roots that a workspace's policies may name.
#[derive(Clone, Debug)]
pub struct TrustedRoots(BTreeMap<String, TrustedRoot>);

impl TrustedRoots {
    /// Those that are built in.
    #[must_use]
    pub fn built_in() -> Self {
        static BUILT_IN: LazyLock<TrustedRoots> = LazyLock::new(|| {
            let roots = [
                (Keyless::PUBLIC, SIGSTORE_PRODUCTION_TRUSTED_ROOT),
                (Keyless::GITHUB, SIGSTORE_GITHUB_TRUSTED_ROOT),
            ];
            TrustedRoots(
                roots
                    .map(|(name, text)| (name.to_owned(), TrustedRoot::of(text)))
                    .into(),
            )
        });
        BUILT_IN.clone()
    }

    /// Whether a root of this name is built in.
    #[must_use]
    pub fn is_built_in(name: &str) -> bool {
        [Keyless::PUBLIC, Keyless::GITHUB].contains(&name)
    }

    /// Adds one of the workspace's own.
    #[must_use]
    pub fn with(mut self, name: &str, root: TrustedRoot) -> Self {
        self.0.insert(name.to_owned(), root);
        self
    }

    /// The root of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TrustedRoot> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &TrustedRoot)> {
        self.0.iter().map(|(name, root)| (name.as_str(), root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_that_are_built_in_can_be_used() {
        for (name, root) in TrustedRoots::built_in().all() {
            assert!(root.verifier().is_some(), "{name}");
            let again = TrustedRoot::read(root.document()).unwrap();
            assert_eq!(
                again.fingerprint(),
                TrustedRoot::of(root.document().trim()).fingerprint()
            );
            assert!(root.contents().unwrap().authorities > 0, "{name}");
        }
    }

    #[test]
    fn what_is_no_root_is_refused_with_what_to_do() {
        let refused = |text: &str, says: &str| {
            let why = TrustedRoot::read(text).unwrap_err();
            assert!(why.contains(says), "{text:.80}: {why}");
        };
        refused("", "no trusted root");
        refused("-----BEGIN PUBLIC KEY-----", "no trusted root");
        refused("{}", "no trusted root");
        refused(r#"{"mediaType":"application/json"}"#, "mediaType must be");
        refused(&format!(r#"{{"mediaType":"{MEDIA_TYPE}"}}"#), "certificate authority");
        refused(&"x".repeat(LARGEST + 1), "at most 256 KiB");
        refused(
            &format!(r#"{{"mediaType":{}{}}}"#, "[".repeat(90), "]".repeat(90)),
            "no trusted root",
        );
        let public = SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        let mut root: serde_json::Value = serde_json::from_str(public).unwrap();
        root["tlogs"] = serde_json::json!([]);
        root["timestampAuthorities"] = serde_json::json!([]);
        refused(&root.to_string(), "when something was signed");
        let mut root: serde_json::Value = serde_json::from_str(public).unwrap();
        root["tlogs"][0]["publicKey"]["rawBytes"] = serde_json::json!("AAAA");
        refused(&root.to_string(), "can't be used");
    }
}
