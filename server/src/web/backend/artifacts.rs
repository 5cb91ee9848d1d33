//! The life of an image.

use super::{RequestBackend, forward};
use crate::service::views;
use contract::{backend::Artifacts, custody::Custody};

forward! {
    Artifacts;
    fn custody(workspace: &str, digest: &str) -> Custody = views::custody;
}
