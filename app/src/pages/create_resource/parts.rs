//! What the parts of the form are made of.

use super::state::FormState;
use crate::components::field::{Field, described_by, field_id};
use leptos::prelude::*;

/// One of several cards, with its error.
pub(super) fn radios(state: FormState, name: &'static str, label: &'static str, cards: AnyView) -> AnyView {
    let error = state.error(move || name.to_owned());
    let id = field_id(name);
    let error_id = format!("{id}-error");
    view! {
        <div class="field">
            <div
                class="cards"
                id=id
                role="radiogroup"
                aria-label=label
                aria-describedby=error_id.clone()
                tabindex="-1"
            >
                {cards}
            </div>
            <p class="error" id=error_id hidden=move || error.with(Option::is_none)>
                {move || error.get()}
            </p>
        </div>
    }
    .into_any()
}

/// A choice from a list.
pub(super) fn select(
    state: FormState,
    name: &'static str,
    label: &'static str,
    help: Option<&'static str>,
    options: AnyView,
) -> AnyView {
    let error = state.error(move || name.to_owned());
    let is_focus = state.is_focus(name);
    let control = view! {
        <select
            class="control"
            id=field_id(name)
            name=name
            aria-describedby=described_by(name)
            aria-invalid=move || error.with(|e| e.is_some().then_some("true"))
            autofocus=is_focus
        >
            {options}
        </select>
    }
    .into_any();
    labelled(name, label, help, error, control)
}

/// A field of one line that may get the focus when the page is shown again.
pub(super) fn text(
    state: FormState,
    name: Signal<String>,
    label: Signal<String>,
    value: String,
    is_number: bool,
) -> AnyView {
    let error = state.error(move || name.get());
    let is_focus = state.is_focus(&name.get_untracked());
    let id = Memo::new(move |_| name.with(|name| field_id(name)));
    // Rows change their names when one before them goes: ids follow, so that labels keep pointing at them.
    view! {
        <div class="field">
            <label for=move || id.get()>{move || label.get()}</label>
            <input
                class="control mono"
                id=move || id.get()
                name=move || name.get()
                value=value
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                inputmode=is_number.then_some("numeric")
                aria-describedby=move || format!("{}-error", id.get())
                aria-invalid=move || error.with(|e| e.is_some().then_some("true"))
                autofocus=is_focus
            />
            <p class="error" id=move || format!("{}-error", id.get()) hidden=move || error.with(Option::is_none)>
                {move || error.get()}
            </p>
        </div>
    }
    .into_any()
}

/// The question whether the values file may be made, where there is none.
pub(super) fn file_to_make(state: FormState) -> Option<AnyView> {
    let path = state
        .options
        .with_value(|options| options.creates_file.then(|| options.values_path.clone()))?;
    let error = state.error(|| "create_file".to_owned());
    let is_ticked = state.initial.with_value(|draft| !draft.create_file.is_empty());
    Some(
        view! {
            <fieldset class="part">
                <legend>"Values file"</legend>
                <div class="field">
                    <label class="check">
                        <input
                            type="checkbox"
                            id=field_id("create_file")
                            name="create_file"
                            value="true"
                            checked=is_ticked
                            aria-describedby=described_by("create_file")
                            aria-invalid=move || error.with(|e| e.is_some().then_some("true"))
                        />
                        {format!("This creates {path}")}
                    </label>
                    <p class="muted" id=format!("{}-help", field_id("create_file"))>"The file is not on the branch. If it should be, correct the project's path template first."</p>
                    <p
                        class="error"
                        id=format!("{}-error", field_id("create_file"))
                        hidden=move || error.with(Option::is_none)
                    >
                        {move || error.get()}
                    </p>
                </div>
            </fieldset>
        }
        .into_any(),
    )
}

fn labelled(
    name: &'static str,
    label: &'static str,
    help: Option<&'static str>,
    error: Signal<Option<String>>,
    control: AnyView,
) -> AnyView {
    match help {
        Some(help) => view! {
            <Field name=name.to_owned() label help error>
                {control}
            </Field>
        }
        .into_any(),
        None => view! {
            <Field name=name.to_owned() label error>
                {control}
            </Field>
        }
        .into_any(),
    }
}
