//! The form that says which rows and columns of the board are shown.
//!
//! Without a script it is a form that gets the page again; with one it acts while typing and the address follows.

use crate::{
    components::icon::icon,
    form::{read, typed_in},
};
use contract::board_filter::BoardFilter;
use leptos::{ev, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};
use wasm_bindgen::JsCast;

/// States to choose from: value in the address, and words.
const STATES: [(&str, &str); 7] = [
    ("", "All states"),
    ("moving", "Moving"),
    ("failed", "Failed"),
    ("drift", "Drift"),
    ("held", "Held"),
    ("behind", "Behind"),
    ("unhealthy", "Unhealthy"),
];

/// The form.
#[component]
pub fn BoardFilters(
    /// What the address says now.
    filter: Memo<BoardFilter>,
    /// Environments to choose from.
    environments: Vec<String>,
) -> AnyView {
    let first = filter.get_untracked();
    let path = use_location().pathname;
    let navigate = use_navigate();
    let apply = move |filter: &BoardFilter| {
        let to = format!("{}{}", path.get_untracked(), filter.to_query());
        navigate(
            &to,
            NavigateOptions {
                resolve: false,
                replace: true,
                scroll: false,
                ..Default::default()
            },
        );
    };
    let on_input = {
        let apply = apply.clone();
        move |event: ev::Event| {
            let form = event
                .target()
                .and_then(|t| t.dyn_into::<web_sys::Element>().ok())
                .and_then(|e| e.closest("form").ok().flatten())
                .and_then(|e| e.dyn_into::<web_sys::HtmlFormElement>().ok());
            if let Some(filter) = form
                .and_then(|form| typed_in(&form))
                .and_then(|body| read::<BoardFilter>(&body).ok())
            {
                apply(&filter);
            }
        }
    };
    let on_submit = |event: ev::SubmitEvent| event.prevent_default();
    let states = STATES
        .into_iter()
        .map(|(value, words)| option(value.to_owned(), words.to_owned(), &first.state))
        .collect::<Vec<_>>();
    let environments: Vec<AnyView> = std::iter::once((String::new(), "All environments".to_owned()))
        .chain(environments.into_iter().map(|name| (name.clone(), name)))
        .map(|(value, words)| option(value, words, &first.env))
        .collect();
    view! {
        <form class="filters" method="get" role="search" aria-label="Filter the board" on:input=on_input on:submit=on_submit>
            <span class="search">
                {icon("search")}
                <input
                    class="control"
                    type="search"
                    name="q"
                    value=first.q
                    prop:value=move || filter.get().q
                    placeholder="Resource, tag or digest"
                    aria-label="Search resources, tags and digests"
                    autocomplete="off"
                    spellcheck="false"
                />
            </span>
            <select class="control" name="state" aria-label="State" prop:value=move || filter.get().state>
                {states}
            </select>
            <select class="control" name="env" aria-label="Environment" prop:value=move || filter.get().env>
                {environments}
            </select>
            <label class="check">
                <input
                    type="checkbox"
                    name="diff"
                    value="1"
                    checked=first.diff == "1"
                    prop:checked=move || filter.get().diff == "1"
                />
                "Only differences"
            </label>
            <button class="button needs-no-script">"Filter"</button>
        </form>
    }
    .into_any()
}

fn option(value: String, words: String, chosen: &str) -> AnyView {
    let selected = value == chosen;
    view! {
        <option value=value selected=selected>
            {words}
        </option>
    }
    .into_any()
}
