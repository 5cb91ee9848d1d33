//! The identity provider people may sign in through, and how they are let in.

use crate::{
    adapters::oidc::{OidcClient, Settings},
    config::{Link, SsoConfig},
    ports::identity_provider::IdentityProvider,
};
use domain::{name::Name, rights::Role};
use std::{fmt, sync::Arc, time::Duration};

/// Whom people may sign in through, and how they are let in.
pub struct Sso {
    /// Who says who people are.
    pub issuer: String,
    /// What people call it.
    pub name: String,
    pub(crate) workspace: Name,
    pub(crate) role: Role,
    pub(crate) email_domains: Vec<String>,
    pub(crate) link: Link,
    /// How long a session lasts that begins here.
    pub session: Duration,
    pub(crate) provider: Arc<dyn IdentityProvider>,
}

impl fmt::Debug for Sso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sso")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Sso {
    /// As configured; nothing is asked yet.
    ///
    /// # Errors
    /// When the HTTP client can't be set up.
    pub fn new(config: &SsoConfig) -> Result<Self, reqwest::Error> {
        let settings = Settings {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            scopes: config.scopes.clone(),
            group_claim: config.group_claim.clone(),
        };
        Ok(Self {
            issuer: config.issuer.clone(),
            name: config.name.clone(),
            workspace: config.workspace.clone(),
            role: config.role,
            email_domains: config.email_domains.clone(),
            link: config.link,
            session: config.session,
            provider: Arc::new(OidcClient::new(settings)?),
        })
    }

    pub(crate) fn lets_in(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain);
        self.email_domains.is_empty() || self.email_domains.iter().any(|one| Some(one.as_str()) == domain)
    }
}
