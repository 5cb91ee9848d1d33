//! One promotion, and what a person says about it.

use super::{RequestBackend, forward};
use crate::service::{promotion, views};
use contract::{backend::Promotions, promotion::PromotionView};
use domain::source::SourceChanges;

forward! {
    Promotions;
    fn promotion(id: &str) -> PromotionView = views::promotion;
    fn changes(id: &str) -> SourceChanges = views::changes;
    fn retry(id: &str) -> () = promotion::retry;
    fn approve(id: &str, comment: &str) -> () = promotion::approve;
    fn reject(id: &str, comment: &str) -> () = promotion::reject;
    fn override_gate(id: &str, gate: &str, reason: &str) -> () = promotion::override_gate;
    fn cancel(id: &str) -> () = promotion::cancel;
}
