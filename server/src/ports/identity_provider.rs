//! Who says who people are, beside a password.

use async_trait::async_trait;
use domain::time::Timestamp;
use reqwest::Url;
use secrecy::SecretString;
use std::fmt;

/// Who says who people are.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The address that somebody is sent to; they come back to `back`.
    async fn ask(&self, authorization: &AuthorizationRequest, back: &str, now: Timestamp) -> Result<Url, OidcError>;
    /// What the provider says of somebody who came back to `back` with a code.
    async fn redeem(
        &self,
        code: &SecretString,
        authorization: &AuthorizationRequest,
        back: &str,
        now: Timestamp,
    ) -> Result<Identity, OidcError>;
}

/// What ties an answer to the browser that asked; each is random and used once.
#[derive(Clone)]
pub struct AuthorizationRequest {
    /// Comes back beside the code.
    pub state: String,
    /// Comes back within the signed token.
    pub nonce: String,
    /// Proves that who redeems the code is who asked for it; only its hash travels through the browser.
    pub verifier: String,
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationRequest")
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
