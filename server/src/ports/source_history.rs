//! What is asked of the repositories that images are built from: their history, and nothing else of them.

use async_trait::async_trait;
use domain::source::{Changes, Revision, Unknown};
use secrecy::SecretString;

/// How a source repository is reached.
#[derive(Clone, Debug)]
pub struct SourceAccess {
    /// Whose copy of the history it is: nothing is shared between workspaces.
    pub tenant: String,
    /// The listed host, with its port where it has one of its own. Nothing else is connected to.
    pub host: String,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// The repository's path there, without a slash at its ends and without `.git`.
    pub path: String,
    /// User and token, for this host alone.
    pub credentials: Option<(String, SecretString)>,
}

/// Reads the history of source repositories.
#[async_trait]
pub trait SourceHistory: Send + Sync {
    /// The commits between two commits, without links.
    ///
    /// # Errors
    /// Why they can't be known.
    async fn between(&self, access: &SourceAccess, before: &Revision, after: &Revision) -> Result<Changes, Unknown>;
}
