//! Whether what is on screen is live.

use crate::{components::icon::icon, live::Live};
use leptos::prelude::*;

/// A quiet line while the event stream is lost; nothing otherwise.
#[component]
pub fn LiveStatus() -> AnyView {
    let live = use_context::<Live>();
    view! {
        <span role="status">
            {move || {
                live.is_some_and(|live| !live.connected.get())
                    .then(|| view! { <span class="live">{icon("waiting")} "Live updates paused, reconnecting"</span> })
            }}
        </span>
    }
    .into_any()
}
