//! What ran, as a history of promotions tells it.

use domain::{
    artifact::ExactImage,
    promotion::{Promotion, State},
};

/// The images that ran according to a history, newest first, some more than once: those that promotions brought, and those
/// that they replaced.
pub(crate) fn that_ran(history: &[Promotion]) -> impl Iterator<Item = ExactImage> {
    history.iter().flat_map(|promotion| {
        let brought = (promotion.state == State::Succeeded).then(|| promotion.placed());
        brought.into_iter().chain(promotion.previous.clone())
    })
}
