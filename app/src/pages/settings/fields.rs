//! Fields that forms of connections have: secrets, texts of several lines, boxes to tick.

use super::Here;
use crate::components::field::{Field, TextField, described_by, field_id, in_textarea};
use leptos::prelude::*;

/// What is wrong with a field of the form that is on screen.
pub(super) fn error_of(here: Here, name: &'static str) -> Signal<Option<String>> {
    Signal::derive(move || {
        if here.is_here() {
            here.sent.field_error(name)
        } else {
            None
        }
    })
}

/// A line of text.
pub(super) fn text(here: Here, name: &'static str, label: &'static str, value: &str, help: &'static str) -> AnyView {
    view! { <TextField name=name label=label value=value.to_owned() help=help mono=true error=error_of(here, name) /> }
        .into_any()
}

/// A secret: empty, whatever is stored, because it goes one way.
pub(super) fn secret(here: Here, name: &'static str, label: &'static str, is_stored: bool) -> AnyView {
    let help = secret_help(here, is_stored);
    view! {
        <TextField
            name=name
            label=label
            kind="password"
            autocomplete="new-password"
            help=help
            error=error_of(here, name)
        />
    }
    .into_any()
}

fn secret_help(here: Here, is_stored: bool) -> &'static str {
    match (is_stored, here.comes_back()) {
        (true, false) => "A secret is stored. Leave this empty to keep it.",
        (true, true) => "A secret is stored. Leave this empty to keep it. What was typed here must be typed again.",
        (false, false) => "It is stored sealed, and never shown again.",
        (false, true) => "What was typed here must be typed again: it is not sent back.",
    }
}

/// Several lines; `is_secret` leaves them empty.
pub(super) fn area(here: Here, name: &'static str, label: &'static str, value: &str, help: &'static str) -> AnyView {
    let error = error_of(here, name);
    let value = value.to_owned();
    view! {
        <Field name=name.to_owned() label=label help=help error>
            <textarea
                class="control mono"
                id=field_id(name)
                name=name
                rows="4"
                spellcheck="false"
                autocomplete="off"
                aria-describedby=described_by(name)
                aria-invalid=move || error.get().is_some().then_some("true")
            >
                {in_textarea(value)}
            </textarea>
        </Field>
    }
    .into_any()
}

/// A secret of several lines.
pub(super) fn secret_area(here: Here, name: &'static str, label: &'static str, is_stored: bool) -> AnyView {
    area(here, name, label, "", secret_help(here, is_stored))
}

/// Whether a secret is there, in a word.
pub(super) fn set(is_stored: bool) -> &'static str {
    if is_stored { "stored" } else { "not set" }
}
