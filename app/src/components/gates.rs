//! Gates, each with how it stands, why, and who or what can change it.

use crate::components::{
    icon::icon,
    state_badge::Meaning,
    time::{Ago, Lasting},
};
use domain::{
    gate::{Gate, GateState},
    time::Timestamp,
};
use leptos::prelude::*;

/// What a gate's state means.
#[must_use]
pub fn meaning(state: GateState) -> (Meaning, &'static str) {
    match state {
        GateState::Met => (Meaning::Good, "Met"),
        GateState::Waiting => (Meaning::Waiting, "Waiting"),
        GateState::Failed => (Meaning::Bad, "Failed"),
        GateState::Overridden => (Meaning::Held, "Overridden"),
    }
}

/// One gate, in a list, and `since` when it stands so, by the server's clock `now`; `more` stands below its words.
#[must_use]
pub fn gate(gate: &Gate, since: Option<Timestamp>, now: Signal<Timestamp>, more: Option<AnyView>) -> AnyView {
    let since = since.map(|at| match gate.state {
        GateState::Waiting => view! { <Lasting at now /> },
        _ => view! { <Ago at now /> },
    });
    let (meaning, word) = meaning(gate.state);
    let evidence = gate.url.clone().map(|url| {
        view! {
            " "
            <a href=url rel="external noopener noreferrer">
                "See it"
            </a>
        }
    });
    let who = (!gate.who.is_empty()).then(|| view! { <p class="muted">{gate.who.clone()}</p> });
    view! {
        <li class=format!("gate {}", meaning.class())>
            {icon(meaning.icon())}
            <div class="body">
                <p class="head">
                    <span class="title">{gate.id.title()}</span>
                    <span class="status">{word} " " {since}</span>
                </p>
                <p class="break">{gate.why.clone()} {evidence}</p>
                {who}
                {more}
            </div>
        </li>
    }
    .into_any()
}
