//! Signed statements that Waybill hangs on images.

use crate::promotion::UnknownWord;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

/// How a statement hangs on an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum StatementForm {
    /// In a Sigstore bundle, by a manifest that refers to the image: what cosign 3 writes and reads.
    Bundle,
    /// In a bare envelope under cosign's tag `sha256-….att`: what cosign 2 writes. As soon as a bundle hangs on an image, readers no longer look
    /// there.
    Attachment,
}

impl StatementForm {
    /// A few words for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Bundle => "As a Sigstore bundle",
            Self::Attachment => "As an attachment under the image's .att tag",
        }
    }
}
