//! What a test of a connection found, step by step.

use crate::{
    api::connection::{ConnectionTest, Finding, TestStep},
    components::{
        notice::Notice,
        state_badge::{Meaning, badge},
    },
};
use leptos::prelude::*;

pub(super) fn tested(test: &ConnectionTest) -> AnyView {
    let count = |finding| test.steps.iter().filter(|step| step.finding == finding).count();
    let (meaning, words) = match (count(Finding::Failed), count(Finding::Unsure)) {
        (0, 0) => (Meaning::Good, "everything works.".to_owned()),
        (0, 1) => (
            Meaning::Waiting,
            "it works as far as it was tested; one thing needs a look.".to_owned(),
        ),
        (0, unsure) => (
            Meaning::Waiting,
            format!("it works as far as it was tested; {unsure} things need a look."),
        ),
        (1, _) => (Meaning::Bad, "one thing doesn't work.".to_owned()),
        (failed, _) => (Meaning::Bad, format!("{failed} things don't work.")),
    };
    let steps: Vec<AnyView> = test.steps.iter().map(step).collect();
    let words = format!("{}: {words} Nothing was saved.", test.what);
    view! {
        <Notice meaning=meaning>
            <p>{words}</p>
            <ul class="found">{steps}</ul>
        </Notice>
    }
    .into_any()
}

fn step(step: &TestStep) -> AnyView {
    let (meaning, word) = match step.finding {
        Finding::Fine => (Meaning::Good, "Works"),
        Finding::Unsure => (Meaning::Waiting, "Look"),
        Finding::Failed => (Meaning::Bad, "Fails"),
    };
    view! {
        <li>
            {badge(meaning, word)}
            " "
            <span>
                <strong class="break">{step.what.clone()}</strong>
                " "
                {step.detail.clone()}
            </span>
        </li>
    }
    .into_any()
}
