//! The field *Digest*, with recent artifacts offered below it.
//!
//! An offer is a button: with a script it fills the field, without one it posts the form (`intent=use-sha256:…`) and the
//! page comes back with it filled in.

use crate::components::{
    digest_chip::DigestChip,
    field::{Field, described_by, field_id},
    time::Ago,
};
use domain::{artifact::Artifact, time::Timestamp};
use leptos::{html, prelude::*};

const NAME: &str = "digest";

/// The field and its offers.
#[component]
pub fn DigestPicker(
    /// What the field holds at first; the browser keeps what is typed.
    value: String,
    /// What it holds now.
    #[prop(into)]
    typed: Signal<String>,
    /// What is wrong with it.
    error: Signal<Option<String>>,
    /// Artifacts to choose from, newest first.
    #[prop(into)]
    artifacts: Signal<Vec<Artifact>>,
    /// What to say when there are none.
    #[prop(into)]
    none: Signal<&'static str>,
    /// The server's clock.
    now: Signal<Timestamp>,
    /// Whether it gets the focus when the page is shown.
    #[prop(optional)]
    autofocus: bool,
    /// Called with what the field holds: when it is typed in, when an artifact is chosen, and when the script arrives.
    on_change: Callback<String>,
) -> AnyView {
    let input = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        if let Some(input) = input.get() {
            on_change.run(input.value());
        }
    });
    let on_use = Callback::new(move |digest: String| {
        if let Some(input) = input.get_untracked() {
            input.set_value(&digest);
            on_change.run(digest);
        }
    });
    let control = view! {
        <input
            class="control mono"
            id=field_id(NAME)
            name=NAME
            value=value
            node_ref=input
            on:input=move |event| on_change.run(event_target_value(&event))
            placeholder="sha256:…"
            autocomplete="off"
            autocapitalize="none"
            spellcheck="false"
            aria-describedby=described_by(NAME)
            aria-invalid=move || error.with(|e| e.is_some().then_some("true"))
            autofocus=autofocus
        />
    }
    .into_any();
    let offers = move || {
        let artifacts = artifacts.get();
        if artifacts.is_empty() {
            return view! { <p class="none">{move || none.get()}</p> }.into_any();
        }
        let rows: Vec<_> = artifacts
            .into_iter()
            .map(|artifact| offer(&artifact, typed, now, on_use))
            .collect();
        view! { <ul>{rows}</ul> }.into_any()
    };
    view! {
        <div class="digest-picker">
            <Field
                name=NAME.to_owned()
                label="Digest"
                help="sha256: and 64 lower-case hex characters. Choose a recent artifact or paste a digest."
                error
            >
                {control}
            </Field>
            <div class="offers" role="group" aria-label="Recent artifacts" tabindex="0">
                {offers}
            </div>
        </div>
    }
    .into_any()
}

fn offer(artifact: &Artifact, typed: Signal<String>, now: Signal<Timestamp>, on_use: Callback<String>) -> AnyView {
    let image = artifact.image.clone();
    let digest = image.digest.to_string();
    let name = format!("Use {} ({})", image.short_label(), image.digest.short());
    let is_chosen = {
        let digest = digest.clone();
        Memo::new(move |_| typed.with(|typed| typed.trim() == digest))
    };
    view! {
        <li class:chosen=move || is_chosen.get()>
            <DigestChip image=image tag=true />
            <span class="muted small">
                <Ago at=built_at(artifact) now />
            </span>
            <button
                type="submit"
                class="button small"
                name="intent"
                value=format!("use-{digest}")
                aria-label=name
                aria-pressed=move || is_chosen.get().to_string()
                on:click=move |event| {
                    event.prevent_default();
                    on_use.run(digest.clone());
                }
            >
                {move || if is_chosen.get() { "Chosen" } else { "Use" }}
            </button>
        </li>
    }
    .into_any()
}

/// When it was built, or first seen where the builder doesn't say (or says 1970, so that builds can be repeated).
fn built_at(artifact: &Artifact) -> Timestamp {
    let built = artifact.details.as_ref().and_then(|details| details.created_at);
    built.filter(|at| at.0 > 0).unwrap_or(artifact.seen_at)
}
