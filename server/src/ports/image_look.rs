//! Looking whether all that an image consists of is still in its registry.

use super::image_copy::{CopyEnd, CopyError};
use async_trait::async_trait;
use domain::{
    artifact::Digest,
    presence::{ImagePart, Presence},
};

/// How fast a registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookPace {
    /// At most one request a second for each host, and half that for a while after it asked to slow down: nobody waits.
    Gentle,
    /// Side by side: a person waits.
    Now,
}

/// Looks whether images can still be pulled.
#[async_trait]
pub trait ImageLook: Send + Sync {
    /// Asks for every part of an image. Where `known` has the parts, which an earlier look found, only `HEAD` is used, because pulls may be
    /// counted; else manifests are read.
    ///
    /// # Errors
    /// When the registry fails or refuses, or the image is of a form that can't be read. That parts are gone is no error.
    async fn look(
        &self,
        at: &CopyEnd,
        digest: &Digest,
        known: &[ImagePart],
        pace: LookPace,
    ) -> Result<Presence, CopyError>;
}
