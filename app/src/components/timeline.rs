//! All that happened, oldest first: what, who, when.

use crate::{api::promotion::TimelineEntry, components::time::Ago};
use domain::time::Timestamp;
use leptos::prelude::*;

/// What happened.
#[component]
pub fn Timeline(
    /// Oldest first.
    entries: Vec<TimelineEntry>,
    /// The server's clock.
    now: Signal<Timestamp>,
) -> AnyView {
    let rows: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            view! {
                <li>
                    <span class="what">{entry.text}</span>
                    <span class="who">{entry.actor}</span>
                    <span class="when">
                        <Ago at=entry.at now />
                    </span>
                </li>
            }
        })
        .collect();
    view! { <ol class="timeline">{rows}</ol> }.into_any()
}
