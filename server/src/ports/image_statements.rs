//! Hanging signed statements on images in their registry.

use super::{image_copy::CopyEnd, registry::RegistryError};
use crate::signature::{StatementParts, StatementSubject};
use async_trait::async_trait;
use domain::artifact::Digest;

/// What came of hanging a statement on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementHung {
    /// It hung there already. Nothing was sent.
    Was,
    /// It hangs there now.
    Hung,
    /// The registry doesn't take it, or doesn't list it; in its own words, without a full stop.
    Refused(String),
    /// The repository doesn't hold the image.
    NoImage,
}

/// Statements that hang on images.
#[async_trait]
pub trait ImageStatements: Send + Sync {
    /// Looks at an image and at what hangs on it; `None` when the repository doesn't hold it.
    ///
    /// # Errors
    /// When the registry fails, or doesn't let be seen what hangs there.
    async fn look(&self, at: &CopyEnd, digest: &Digest) -> Result<Option<StatementSubject>, RegistryError>;

    /// Hangs a statement on an image, beside all that hangs there, and reads it there.
    ///
    /// # Errors
    /// When the registry fails. That it refuses is no error.
    async fn hang(&self, at: &CopyEnd, digest: &Digest, parts: &StatementParts)
    -> Result<StatementHung, RegistryError>;
}
