//! Text to be pasted into a terminal, or read as it is: it scrolls where it is too wide, with the keyboard, too.

use leptos::prelude::*;

/// The text; `label` says what it is to those who come to it with the keyboard.
#[must_use]
pub fn command(label: &'static str, text: String) -> AnyView {
    view! {
        <pre class="command" tabindex="0" role="group" aria-label=label>
            {text}
        </pre>
    }
    .into_any()
}
