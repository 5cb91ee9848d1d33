//! Choices as cards: a title and one line of help each. Put them into `<div class="cards">` within a `fieldset`.

use crate::components::field::field_id;
use leptos::prelude::*;

/// One choice.
#[component]
pub fn RadioCard(
    /// The field's name in the form.
    name: &'static str,
    /// What is posted.
    value: &'static str,
    /// What it is called.
    title: &'static str,
    /// One line: when to choose it.
    help: &'static str,
    /// Whether it is chosen at first.
    checked: bool,
    /// Whether it can't be chosen.
    #[prop(optional)]
    disabled: bool,
    /// Called with the value when it is chosen.
    #[prop(optional)]
    on_choose: Option<Callback<&'static str>>,
) -> AnyView {
    let id = format!("{}-{value}", field_id(name));
    let (title_id, help_id) = (format!("{id}-title"), format!("{id}-help"));
    view! {
        <label class="card">
            <input
                type="radio"
                id=id
                name=name
                value=value
                checked=checked
                disabled=disabled
                aria-labelledby=title_id.clone()
                aria-describedby=help_id.clone()
                on:change=move |_| {
                    if let Some(on_choose) = on_choose {
                        on_choose.run(value);
                    }
                }
            />
            <span class="title" id=title_id>
                {title}
            </span>
            <span class="help" id=help_id>
                {help}
            </span>
        </label>
    }
    .into_any()
}
