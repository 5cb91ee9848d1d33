//! Part 3 of the form: how the resource runs. Nothing of this is taken from the source.

use super::{
    parts::{select, text},
    state::FormState,
};
use crate::components::{
    field::TextField,
    rows::{RowChange, RowKeys, Rows},
};
use domain::{
    draft::{MAX_ROWS, ResourceDraft, VariableDraft},
    resource::Size,
};
use leptos::prelude::*;

pub(super) fn runtime_fields(state: FormState) -> AnyView {
    view! {
        <fieldset class="part">
            <legend>"Runtime"</legend>
            <p class="muted">"Its own configuration: nothing of this is taken from the source."</p>
            <TextField
                name="name"
                label="Name"
                help="Lower-case letters, digits and hyphens."
                value=state.initial(|draft| &draft.name)
                error=state.error(|| "name".into())
            />
            <TextField
                name="key"
                label="Key in Git"
                help="Its key in the values file, for example apiGateway. Empty: the name."
                value=state.initial(|draft| &draft.key)
                error=state.error(|| "key".into())
                placeholder=Signal::derive(move || state.draft.with(|draft| draft.name.trim().to_owned()))
                mono=true
            />
            <TextField
                name="replicas"
                label="Replicas"
                help="Leave it empty to keep the chart's default."
                value=state.initial(|draft| &draft.replicas)
                error=state.error(|| "replicas".into())
                inputmode="numeric"
            />
            {ports(state)}
            {variables(state)}
            <TextField
                name="ingress_host"
                label="Ingress host"
                help="Where it is reached from outside, for example api.example.com. Optional."
                value=state.initial(|draft| &draft.ingress_host)
                error=state.error(|| "ingress_host".into())
            />
            {size(state)}
            <TextField
                name="health_path"
                label="Health path"
                help="Answers when it is well, for example /healthz. Optional."
                value=state.initial(|draft| &draft.health_path)
                error=state.error(|| "health_path".into())
            />
        </fieldset>
    }
    .into_any()
}

/// Initial text of a row; rows that were added later begin empty.
fn initial_row(state: FormState, part: impl Fn(&ResourceDraft) -> Option<&String>) -> String {
    let text = state.initial.with_value(|draft| part(draft).cloned());
    text.unwrap_or_default()
}

/// The field to go on with after rows changed: the new one, or the one that took the place of the old.
fn next_place(rows: RowKeys, change: RowChange) -> usize {
    let last = rows.len().saturating_sub(1);
    match change {
        RowChange::Added => last,
        RowChange::Removed(place) => place.min(last),
    }
}

fn ports(state: FormState) -> AnyView {
    let rows = RowKeys::new(state.initial.with_value(|draft| draft.ports.len()));
    let row = move |(key, place): (usize, Signal<usize>)| {
        let name = Signal::derive(move || format!("ports[{}]", place.get()));
        let label = Signal::derive(move || match place.get() {
            0 => "Port".to_owned(),
            n => format!("Port {}", n + 1),
        });
        let value = initial_row(state, move |draft| draft.ports.get(key));
        text(state, name, label, value, true)
    };
    let on_change = move |change| {
        state.rows_changed();
        state.focus_on(format!("ports[{}]", next_place(rows, change)));
    };
    view! { <Rows rows what="port" row=Callback::new(row) on_change=Callback::new(on_change) most=MAX_ROWS /> }
        .into_any()
}

fn variables(state: FormState) -> AnyView {
    let rows = RowKeys::new(state.initial.with_value(|draft| draft.env.len()));
    let part = move |key: usize, place: Signal<usize>, part: &'static str, of: fn(&VariableDraft) -> &String| {
        let name = Signal::derive(move || format!("env[{}][{part}]", place.get()));
        let label = Signal::derive(move || format!("Variable {} {part}", place.get() + 1));
        let value = initial_row(state, move |draft| draft.env.get(key).map(of));
        text(state, name, label, value, false)
    };
    let row = move |(key, place): (usize, Signal<usize>)| {
        view! {
            <div class="pair">
                {part(key, place, "name", |variable| &variable.name)}
                {part(key, place, "value", |variable| &variable.value)}
            </div>
        }
        .into_any()
    };
    let on_change = move |change| {
        state.rows_changed();
        state.focus_on(format!("env[{}][name]", next_place(rows, change)));
    };
    view! {
        <div class="field" role="group" aria-labelledby="variables">
            <span class="label-text" id="variables">
                "Environment variables"
            </span>
            <Rows rows what="variable" row=Callback::new(row) on_change=Callback::new(on_change) most=MAX_ROWS />
        </div>
    }
    .into_any()
}

fn size(state: FormState) -> AnyView {
    let size = state.initial(|draft| &draft.size);
    let offered = Size::ALL.iter().map(|size| (size.as_str(), size.as_str()));
    let options: Vec<_> = std::iter::once(("", "The chart's default"))
        .chain(offered)
        .map(|(value, text)| {
            let is_chosen = value == size;
            view! {
                <option value=value selected=is_chosen>
                    {text}
                </option>
            }
        })
        .collect();
    let help = "How much processor time and memory it may use. Optional.";
    select(state, "size", "Resource size", Some(help), options.into_any())
}
