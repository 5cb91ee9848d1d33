//! Whether an image can still be pulled: the manifests and blobs that it consists of, and which of them are gone.

use crate::artifact::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a part of an image is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// A manifest or an index.
    Manifest,
    /// A layer or a configuration.
    Blob,
}

/// A part of an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ImagePart {
    /// What it is.
    pub kind: PartKind,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl fmt::Display for ImagePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PartKind::Manifest => "the manifest",
            PartKind::Blob => "the blob",
        };
        write!(f, "{kind} {}", self.digest)
    }
}

/// What a look at an image's registry found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Presence {
    /// All that the image consists of, as far as it could be read: what lies below a manifest that is gone is known from an earlier look only.
    pub parts: Vec<ImagePart>,
    /// Of those, what is gone, or there with another content.
    pub missing: Vec<ImagePart>,
}
