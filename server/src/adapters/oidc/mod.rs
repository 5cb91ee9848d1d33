//! Single sign-on with OpenID Connect: somebody is sent to the provider, comes back with a code, and the code is redeemed for
//! what the provider says of them.
//!
//! `client` speaks the protocol, `http` carries it, `id_token` decides whether a token is believed, `keys` whether it was signed by
//! the provider. Signatures are checked by aws-lc-rs, which TLS brings along: an OpenID Connect library would bring a second set
//! of cryptography, and dates, with it.

mod client;
mod http;
mod id_token;
mod keys;

pub use client::{OidcClient, Settings};

use async_trait::async_trait;
use domain::time::Timestamp;
use reqwest::Url;
use secrecy::SecretString;
use std::fmt;

/// Who says who people are.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The address that somebody is sent to; they come back to `back`.
    async fn ask(&self, errand: &Errand, back: &str, now: Timestamp) -> Result<Url, OidcError>;
    /// What the provider says of somebody who came back to `back` with a code.
    async fn redeem(
        &self,
        code: &SecretString,
        errand: &Errand,
        back: &str,
        now: Timestamp,
    ) -> Result<Identity, OidcError>;
}

/// What ties an answer to the browser that asked; each is random and used once.
#[derive(Clone)]
pub struct Errand {
    /// Comes back beside the code.
    pub state: String,
    /// Comes back within the signed token.
    pub nonce: String,
    /// Proves that who redeems the code is who asked for it; only its hash travels through the browser.
    pub verifier: String,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand")
    }
}

/// What a provider says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is, for good: no other person of the provider has it, now or later.
    pub subject: String,
    /// The address, if it was told.
    pub email: Option<String>,
    /// Whether the provider has made sure that the address is theirs.
    pub email_verified: bool,
    /// The name, if it was told.
    pub name: Option<String>,
    /// The groups that the claim names.
    pub groups: Vec<String>,
}

/// Why a provider's answer is of no use. For the log: none of them holds a code, a token or a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OidcError {
    /// It can't be reached, or has a fault of its own.
    #[error("{address} can't be reached: {reason}")]
    Unreachable {
        /// What was asked.
        address: String,
        /// Why.
        reason: String,
    },
    /// It no longer takes the code: too old, used before, or somebody else's.
    #[error("the provider refuses the code")]
    Code,
    /// What it says can't be believed, or isn't what the protocol asks for.
    #[error("{0}")]
    Untrusted(String),
    /// Its clock and ours are too far apart.
    #[error("{0}")]
    Clock(String),
}

/// Whether what is sent to this address is read by nobody on the way: it is encrypted, or stays on this machine.
#[must_use]
pub fn is_private(url: &Url) -> bool {
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn only_what_nobody_reads_on_the_way_is_private() {
        for (address, private) in [
            ("https://login.example.com/x", true),
            ("http://127.0.0.1:4000", true),
            ("http://localhost", true),
            ("http://[::1]:80", true),
            ("http://login.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(is_private(&address.parse().unwrap()), private, "{address}");
        }
    }
}
