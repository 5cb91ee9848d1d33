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

use crate::ports::identity_provider::{AuthorizationRequest, Identity, IdentityProvider, OidcError};
use reqwest::Url;

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
