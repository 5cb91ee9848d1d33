//! The registries: which digest a tag names, what an image is, and what hangs on it.

use crate::signature::Attached;
use async_trait::async_trait;
use domain::artifact::{ArtifactDetails, Digest, Repository, Tag};
use secrecy::SecretString;

/// How to reach a registry.
#[derive(Clone, Debug, Default)]
pub struct RegistryAccess {
    /// Whether to speak plain HTTP (a registry on this machine, or inside a closed network).
    pub plain_http: bool,
    /// Certificates to trust besides the system's, PEM.
    pub ca: Option<String>,
    /// User and password or token: those for pulling, or those for pushing.
    pub credentials: Option<(String, SecretString)>,
}

/// What may go wrong with a registry. Every text is safe to show and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It could not be reached, or did not answer in time.
    #[error(
        "The registry {registry} could not be reached: {reason}. Check the address and the network, then try again."
    )]
    Unreachable {
        /// Its host.
        registry: String,
        /// What the transport said.
        reason: String,
    },
    /// It refused the credentials, or the right to pull.
    #[error(
        "The registry {registry} refused access to {repository}. Check its user and password under Settings, Registries."
    )]
    Unauthorized {
        /// Its host.
        registry: String,
        /// The repository asked for.
        repository: String,
    },
    /// Too many requests.
    #[error(
        "The registry {registry} asks Waybill to slow down, for {retry_after_seconds} s. Waybill retries automatically."
    )]
    Throttled {
        /// Its host.
        registry: String,
        /// Seconds that it asks for. Nothing waits longer for it than between two looks: a wrong number must not silence a service.
        retry_after_seconds: u64,
    },
    /// It answered something that no registry should.
    #[error("The registry {registry} gave an answer that Waybill does not understand: {}.", .reason.trim_end_matches('.'))]
    Protocol {
        /// Its host.
        registry: String,
        /// What was odd.
        reason: String,
    },
}

impl RegistryError {
    /// Whether the same request may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. })
    }
}

/// What hangs on an image, signed by whomever.
#[derive(Debug, Default)]
pub struct Hanging {
    /// What was found.
    pub attached: Vec<Attached>,
    /// Why there may be more: not all places could be looked at.
    pub unseen: Option<RegistryError>,
}

impl Hanging {
    /// Nothing, because it couldn't be looked at.
    #[must_use]
    pub fn unseen(error: RegistryError) -> Self {
        Self {
            attached: Vec::new(),
            unseen: Some(error),
        }
    }

    /// What another look found besides.
    pub fn add(&mut self, other: Self) {
        let Self { attached, unseen } = other;
        self.attached.extend(attached);
        self.unseen = unseen.or(self.unseen.take());
    }
}

/// An OCI registry.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The digest that `tag` names now; `None` when there is no such tag or repository.
    async fn resolve(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, RegistryError>;

    /// The digest that `tag` names now, and what [`Registry::describe`] says of it where it is the one that is `wanted`; `None` when there
    /// is no such tag or repository. For tags that are new: with fewer requests than one after the other.
    async fn look(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
        wanted: &Digest,
    ) -> Result<Option<(Digest, Option<ArtifactDetails>)>, RegistryError> {
        let Some(digest) = self.resolve(access, repository, tag).await? else {
            return Ok(None);
        };
        let details = match digest == *wanted {
            true => self.describe(access, repository, &digest).await?,
            false => None,
        };
        Ok(Some((digest, details)))
    }

    /// Whether the repository holds a manifest with this digest.
    async fn exists(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError>;

    /// Labels, size, platforms and build time; `None` when there is no such manifest.
    async fn describe(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ArtifactDetails>, RegistryError>;

    /// What hangs on an image and may say one of these things of it, and perhaps other things; empty when there is nothing, or no such image.
    async fn attached(
        &self,
        access: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
        says: &[&str],
    ) -> Result<Hanging, RegistryError>;

    /// All tags of the repository, in the registry's order; empty when there is no such repository.
    async fn tags(&self, access: &RegistryAccess, repository: &Repository) -> Result<Vec<Tag>, RegistryError>;

    /// Checks that there is a registry at this host (with its port), and that it takes the credentials.
    async fn check(&self, access: &RegistryAccess, registry: &str) -> Result<(), RegistryError>;
}
