//! Which rows and columns of the board are shown: kept in the address, so that a view can be sent to somebody.
//!
//! Without a script it is a form that gets the page again; with one it acts while typing and the address follows.

use crate::{
    api::board::{BoardRow, Cell, EnvironmentHead, Truth},
    components::{cell::is_unhealthy, icon::icon},
    form::{read, typed_in},
};
use leptos::{ev, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
    location::Url,
    params::ParamsMap,
};
use serde::{Deserialize, Serialize};
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

/// The board's view, as the address holds it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BoardFilter {
    /// Part of a resource's name, a tag, or the start of a digest.
    pub q: String,
    /// Only resources that are so somewhere: `moving`, `failed`, `drift`, `behind`, `unhealthy`; empty or `all` for all.
    pub state: String,
    /// Only this environment; empty for all.
    pub env: String,
    /// `1`: only resources that differ between the environments.
    pub diff: String,
}

impl BoardFilter {
    /// Reads the address.
    #[must_use]
    pub fn from_query(query: &ParamsMap) -> Self {
        let get = |key: &str| query.get(key).unwrap_or_default();
        Self {
            q: get("q"),
            state: get("state"),
            env: get("env"),
            diff: get("diff"),
        }
    }

    /// The address's query, `?` included; empty when everything is shown.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut query = String::new();
        for (key, value) in [
            ("q", &self.q),
            ("state", &self.state),
            ("env", &self.env),
            ("diff", &self.diff),
        ] {
            if !value.is_empty() {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(key);
                query.push('=');
                query.push_str(&Url::escape(value));
            }
        }
        query
    }

    /// Whether everything is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The columns to show, with their places. An environment that there isn't hides none.
    #[must_use]
    pub fn columns(&self, environments: &[EnvironmentHead]) -> Vec<(usize, EnvironmentHead)> {
        let known = environments.iter().any(|head| head.name.as_str() == self.env);
        environments
            .iter()
            .cloned()
            .enumerate()
            .filter(|(_, head)| !known || head.name.as_str() == self.env)
            .collect()
    }

    /// Whether a row is shown, given the columns that are.
    #[must_use]
    pub fn shows(&self, row: &BoardRow, columns: &[(usize, EnvironmentHead)]) -> bool {
        let cells = || {
            columns
                .iter()
                .filter_map(|(i, _)| row.cells.get(*i).and_then(Option::as_ref))
        };
        let text = self.q.trim().to_lowercase();
        let by_text = text.is_empty()
            || row.resource.as_str().contains(&text)
            || cells().any(|cell| {
                cell.image.as_ref().is_some_and(|image| {
                    image
                        .tag
                        .as_ref()
                        .is_some_and(|tag| tag.as_str().to_lowercase().contains(&text))
                        || image.digest.hex().starts_with(text.trim_start_matches("sha256:"))
                })
            });
        let by_state = match self.state.as_str() {
            "moving" => cells().any(|cell| cell.moving.is_some()),
            "failed" => cells().any(|cell| cell.failed.is_some()),
            "drift" => cells().any(|cell| matches!(cell.truth, Truth::Drift(_)) || cell.outside.is_some()),
            "held" => cells().any(|cell| cell.follows.hold.is_some()),
            "behind" => cells().any(|cell| cell.behind.is_some()),
            "unhealthy" => cells().any(|cell| is_unhealthy(&cell.truth)),
            _ => true,
        };
        by_text && by_state && (self.diff != "1" || differs(&row.cells))
    }
}

/// Whether the environments don't all run the same digest; a place where the resource isn't counts as different.
fn differs(cells: &[Option<Cell>]) -> bool {
    let digest = |cell: &Option<Cell>| {
        cell.as_ref()
            .and_then(|cell| cell.image.as_ref())
            .map(|image| image.digest.clone())
    };
    cells.windows(2).any(|pair| digest(&pair[0]) != digest(&pair[1]))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::board::{Behind, Follows};
    use domain::{
        plan::Health,
        resource::{Binding, Kind},
    };

    fn cell(start: &str, tag: &str) -> Cell {
        Cell {
            kind: Kind::Deployment,
            image: Some(domain::artifact::ExactImage {
                repository: "r.example/api".parse().unwrap(),
                tag: tag.parse().ok(),
                digest: format!("sha256:{start}{}", "0".repeat(64 - start.len()))
                    .parse()
                    .unwrap(),
            }),
            since: None,
            outside: None,
            truth: Truth::Live(Health::Healthy),
            follows: Follows {
                source: None,
                binding: Binding::TrackLatest,
                hold: None,
            },
            behind: None,
            moving: None,
            failed: None,
        }
    }

    fn head(name: &str) -> EnvironmentHead {
        EnvironmentHead {
            name: name.parse().unwrap(),
            cluster: "one".parse().unwrap(),
            protected: false,
            git_only: false,
            may_change: true,
        }
    }

    fn filter(q: &str, state: &str, env: &str, diff: &str) -> BoardFilter {
        BoardFilter {
            q: q.into(),
            state: state.into(),
            env: env.into(),
            diff: diff.into(),
        }
    }

    #[test]
    fn rows_are_found_by_name_tag_digest_state_and_difference() {
        let heads = [head("dev"), head("prod")];
        let mut behind = cell("bbb", "v1");
        behind.behind = Some(Behind {
            count: Some(1),
            of: None,
        });
        let row = BoardRow {
            resource: "api".parse().unwrap(),
            cells: vec![Some(cell("aaa", "V2")), Some(behind)],
        };
        for (wanted, filter) in [
            (true, filter("", "", "", "")),
            (true, filter(" AP", "", "", "")),
            (true, filter("v2", "all", "", "1")),
            (false, filter("v2", "", "prod", "")),
            (true, filter("sha256:bb", "behind", "", "")),
            (false, filter("web", "", "", "")),
            (false, filter("", "drift", "", "")),
            (false, filter("", "behind", "dev", "")),
            (true, filter("", "behind", "nowhere", "")),
        ] {
            assert_eq!(filter.shows(&row, &filter.columns(&heads)), wanted, "{filter:?}");
        }
        let same = BoardRow {
            cells: vec![Some(cell("aaa", "v2")), Some(cell("aaa", "other"))],
            ..row
        };
        assert!(!filter("", "", "", "1").shows(&same, &filter("", "", "", "").columns(&heads)));
    }

    #[test]
    fn the_address_holds_only_what_was_chosen() {
        assert_eq!(filter("", "", "", "").to_query(), "");
        assert_eq!(
            filter("a b&c", "", "dev", "1").to_query(),
            "?q=a%20b%26c&env=dev&diff=1"
        );
    }
}
