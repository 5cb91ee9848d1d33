//! Giving an image that lies in a repository another tag there, and taking such a tag away.

use super::{image_copy::CopyEnd, registry::RegistryError};
use async_trait::async_trait;
use domain::artifact::{Digest, Tag};

/// What a tag may be taken away from. One that isn't there is set in any case; and the same holds after the write, where somebody else was
/// faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace<'a> {
    /// From nothing: only a tag that isn't there is set.
    Nothing,
    /// From this image only, which it named when it was set last.
    Only(&'a Digest),
    /// From whatever it names.
    Anything,
}

/// What came of the wish that a tag names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagSet {
    /// It names it already. Nothing was sent.
    Was,
    /// It names it now.
    Moved {
        /// What it named before.
        from: Option<Digest>,
    },
    /// It names another image: that may not be replaced, or another writer wrote the tag, too, and won.
    Names(Digest),
    /// The registry doesn't let it be moved; in its own words, without a full stop.
    Refused(String),
    /// The repository doesn't hold the image.
    NoImage,
}

/// What came of the wish that a tag is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagRemoved {
    /// It is gone, and the image is still there.
    Removed,
    /// There is no such tag.
    Absent,
    /// It names another image, and was left.
    Names(Digest),
    /// The registry doesn't take it away; in its own words, without a full stop. This includes registries that delete the image with its tag:
    /// the image was put back then.
    Refused(String),
}

/// Tags that name images.
#[async_trait]
pub trait ImageTags: Send + Sync {
    /// Has `tag` name `digest`, which lies in the repository: the same bytes are put under the tag, and no blob is sent. The tag is read
    /// before, and nothing is put where it names the image; and after, since registries know no compare-and-swap.
    ///
    /// # Errors
    /// When the registry fails. That it refuses to move the tag is no error.
    async fn set(
        &self,
        at: &CopyEnd,
        tag: &Tag,
        digest: &Digest,
        replace: Replace<'_>,
    ) -> Result<TagSet, RegistryError>;

    /// Takes `tag` away, if it names `digest`. Nothing is ever deleted by digest.
    ///
    /// # Errors
    /// When the registry fails. That it refuses is no error.
    async fn remove(&self, at: &CopyEnd, tag: &Tag, digest: &Digest) -> Result<TagRemoved, RegistryError>;
}
