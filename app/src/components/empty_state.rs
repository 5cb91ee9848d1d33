//! Nothing here yet: what would be, and the next step.

use leptos::prelude::*;

/// What is missing and what to do about it.
#[component]
pub fn EmptyState(
    /// In a few words.
    #[prop(into)]
    title: String,
    /// The next step: a sentence, a command, a button.
    children: Children,
) -> AnyView {
    view! {
        <section class="empty">
            <h2>{title}</h2>
            <div class="text stack">{children()}</div>
        </section>
    }
    .into_any()
}
