//! Part 2 of the form: how the resource follows its source.

use super::{outlook, parts::radios, state::FormState};
use crate::components::{digest_picker::DigestPicker, radio_card::RadioCard};
use domain::time::Timestamp;
use leptos::prelude::*;

pub(super) fn binding_fields(state: FormState, now: Timestamp) -> AnyView {
    let is_pin = state.initial(|draft| &draft.binding) == "pin";
    let recent = state.memo(|draft, options| outlook::recent(draft, options).to_vec());
    let typed = state.memo(|draft, _| draft.digest.clone());
    let none = state.memo(|draft, options| {
        if outlook::chosen(draft, options).is_some() {
            "No artifacts of this source are known yet. Paste a digest."
        } else if draft.source == "promote" {
            "Choose a source resource to see its recent artifacts here."
        } else {
            "Paste a digest of the image repository."
        }
    });
    let cards = view! {
        <RadioCard
            name="binding"
            value="track"
            title="Track latest"
            help="Follows its source by itself. For environments where new builds should just arrive."
            checked=!is_pin
        />
        <RadioCard
            name="binding"
            value="pin"
            title="Pin to digest"
            help="Stays on one image until a person moves it. For environments where each change is a decision."
            checked=is_pin
        />
    }
    .into_any();
    view! {
        <fieldset class="part">
            <legend>"Binding"</legend>
            {radios(state, "binding", "Binding", cards)}
            <div class="only-pin">
                <DigestPicker
                    value=state.initial(|draft| &draft.digest)
                    typed
                    error=state.error(|| "digest".into())
                    artifacts=recent
                    none
                    now=Signal::stored(now)
                    autofocus=state.is_focus("digest")
                    on_change=Callback::new(move |_| state.field_changed("digest"))
                />
            </div>
        </fieldset>
    }
    .into_any()
}
