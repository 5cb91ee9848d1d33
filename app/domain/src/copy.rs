//! Copying an image between repositories: what goes along, what it will take, how far it is, and what proves it.
//!
//! The digest never changes on the way; whatever hangs on the image by digest (signatures, attestations, SBOMs) stays valid in the new place.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// What goes along with an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Attachments {
    /// Everything that hangs on it: signatures, attestations, SBOMs and what else refers to it.
    #[default]
    All,
    /// Signatures and attestations only.
    Signatures,
    /// Nothing but the image itself.
    None,
}

/// What hangs on an image, counted by kind. What is one thing in two places (a referrer and a tag of cosign) counts twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attached {
    /// Signatures: cosign's and Notary's.
    pub signatures: u32,
    /// Attestations, those of BuildKit in the index included.
    pub attestations: u32,
    /// Lists of contents: SPDX, CycloneDX, Syft.
    pub sboms: u32,
    /// Anything else that refers to it.
    pub others: u32,
}

/// What a copy has to do, found by reading the source and asking the target what it has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyPlan {
    /// Manifests and indexes, each once.
    pub manifests: u32,
    /// Blobs, each once.
    pub blobs: u32,
    /// Bytes of all blobs.
    pub bytes: u64,
    /// Of the blobs, those that the target has already.
    pub present: u32,
    /// Bytes of those.
    pub present_bytes: u64,
    /// What hangs on the image.
    pub attached: Attached,
    /// What is known to stay behind, a sentence each: a layer that may not be passed on, more referrers than are followed.
    pub left_out: Vec<String>,
}

impl CopyPlan {
    /// Whether the target has every blob already.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.present == self.blobs
    }
}

/// How far a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyProgress {
    /// Blobs that the target has by now.
    pub blobs: u32,
    /// Bytes that the target has by now, those on their way included.
    pub bytes: u64,
}

/// What was read from the target after the last push, and what the copy took.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyProof {
    /// Manifests and indexes that were read again, byte for byte.
    pub manifests: u32,
    /// Blobs whose size was asked for again.
    pub blobs: u32,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes that the registry linked from another of its repositories.
    pub mounted: u64,
    /// Bytes that were there before.
    pub present: u64,
    /// What hangs on the image at the target.
    pub attached: Attached,
    /// What stayed behind, a sentence each.
    pub left_out: Vec<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}
