//! Recalling a digest, and moving back what runs it.

use super::{RequestBackend, forward};
use crate::service::{promotion, views};
use contract::{
    backend::Recalls,
    recall::{MovedBack, RecallView},
};

forward! {
    Recalls;
    fn recall(workspace: &str, digest: &str) -> RecallView = views::recall;
    fn recall_digest(workspace: &str, digest: &str, reason: &str) -> () = promotion::recall_digest;
    fn lift_recall(workspace: &str, digest: &str, reason: &str) -> () = promotion::lift_recall;
    fn move_places_back(workspace: &str, digest: &str, break_glass: bool) -> MovedBack = promotion::move_places_back;
}
