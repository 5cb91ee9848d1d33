//! Moments: how long ago, with the exact time on hover.

use domain::time::Timestamp;
use leptos::prelude::*;

/// A moment, as `4 min ago`; moves on with `now`, which [`crate::live::now`] gives.
#[component]
pub fn Ago(
    /// The moment.
    at: Timestamp,
    /// The server's clock.
    now: Signal<Timestamp>,
) -> AnyView {
    view! {
        <time datetime=at.rfc3339() title=at.exact()>
            {move || at.ago(now.get())}
        </time>
    }
    .into_any()
}
