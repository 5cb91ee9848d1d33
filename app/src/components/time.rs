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
    moment(at, now, Timestamp::ago)
}

/// What began at a moment and still lasts, as `for 4 min`.
#[component]
pub fn Lasting(
    /// The moment.
    at: Timestamp,
    /// The server's clock.
    now: Signal<Timestamp>,
) -> AnyView {
    moment(at, now, Timestamp::lasting)
}

fn moment(at: Timestamp, now: Signal<Timestamp>, words: fn(Timestamp, Timestamp) -> String) -> AnyView {
    view! {
        <time datetime=at.rfc3339() title=at.exact()>
            {move || words(at, now.get())}
        </time>
    }
    .into_any()
}
