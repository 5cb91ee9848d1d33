//! Hanging Waybill's signed statements on images in their registries.

use super::{image_copy::CopyEnd, registry::RegistryError};
use async_trait::async_trait;
use domain::artifact::Digest;

pub use crate::signature::{StatementParts, StatementSubject};

/// What came of the wish that a statement hangs on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementHung {
    /// It hung there already. Nothing was sent.
    Was,
    /// It hangs there now.
    Hung,
    /// The registry doesn't take it, in its own words; or what lies where it would hang can't be added to. Without a full stop.
    Refused(String),
    /// The repository doesn't hold the image.
    NoImage,
}

/// Hangs statements on images.
#[async_trait]
pub trait ImageStatements: Send + Sync {
    /// What a statement must know of the image that it hangs on, with the form in which it should: that of what hangs there already, and a
    /// bundle where nothing does. `None` when the repository doesn't hold the image.
    ///
    /// # Errors
    /// When the registry fails, or refuses to say what hangs on the image.
    async fn look(&self, at: &CopyEnd, digest: &Digest) -> Result<Option<StatementSubject>, RegistryError>;

    /// Hangs a statement on an image. What others hung there stays. Done twice with the same parts it does nothing the second time; stopped
    /// anywhere, it goes on where it was.
    ///
    /// # Errors
    /// When the registry fails. That it refuses is no error.
    async fn hang(&self, at: &CopyEnd, digest: &Digest, parts: &StatementParts)
    -> Result<StatementHung, RegistryError>;
}
