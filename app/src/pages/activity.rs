//! Activity: what happened in a workspace, newest first. What is looked for stands in the address; the form gets the page again, with
//! and without a script.

use crate::{
    api::activity::{ActivityEntry, ActivityFilter, ActivityView, activity},
    components::{
        empty_state::EmptyState,
        frame::{Crumb, Frame},
        icon::icon,
        time::Ago,
    },
    live,
    pages::error::shown,
};
use domain::{name::Name, time::Timestamp, told::EventKind};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// What happened in a workspace.
#[component]
pub fn Activity() -> AnyView {
    let params = use_params_map();
    let workspace = Memo::new(move |_| params.with(|p| p.get("workspace").unwrap_or_default()));
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(|query| ActivityFilter::from_query(|key| query.get(key))));
    let read = live::read(
        move || (workspace.get(), filter.get()),
        |(workspace, filter)| activity(workspace, filter),
        // Who reads older pages is not moved on by what is new.
        |(workspace, filter), changed| changed.workspace == *workspace && filter.before.is_empty(),
    );
    let title = Signal::derive(move || format!("Activity · {}", workspace.get()));
    let crumbs = Signal::derive(move || {
        let workspace = workspace.get();
        let here = path(&workspace);
        vec![Crumb::new(workspace, "/"), Crumb::new("Activity", here)]
    });
    view! {
        <Frame title=title crumbs=crumbs>
            <div class="stack">{shown(read, move |view| whole(view, filter))}</div>
        </Frame>
    }
    .into_any()
}

fn path(workspace: &str) -> String {
    format!("/w/{workspace}/-/activity")
}

fn whole(view: Signal<ActivityView>, filter: Memo<ActivityFilter>) -> AnyView {
    let now = live::now(Signal::derive(move || view.with(|v| v.now)));
    // As they were at first: while somebody types, the form stays as it is.
    let first = view.get_untracked();
    let (here, choices) = (path(first.workspace.as_str()), (first.environments, first.actors));
    let export = first.may_export.then(|| {
        let href = format!("/api/v1/workspaces/{}/ledger", first.workspace);
        view! {
            <a class="button" href=href rel="external" download="">
                "Export as JSON lines"
            </a>
        }
        .into_any()
    });
    view! {
        <div class="page-head">
            <div class="title">
                <h1>"Activity"</h1>
                <p>"Everything that happened here, newest first."</p>
            </div>
            {export}
        </div>
        {move || filters(filter.get(), &here, choices.clone())}
        {move || list(view.get(), &filter.get(), now)}
    }
    .into_any()
}

fn filters(filter: ActivityFilter, here: &str, (environments, actors): (Vec<String>, Vec<String>)) -> AnyView {
    let kinds = EventKind::ALL
        .iter()
        .map(|kind| (kind.as_str().to_owned(), kind.label().to_owned()));
    let kinds = options("All kinds", kinds, &filter.kind);
    let environments = environments
        .into_iter()
        .map(|path| (path.clone(), path.replace('/', " / ")));
    let environments = options("All environments", environments, &filter.env);
    let actors: Vec<AnyView> = actors
        .into_iter()
        .map(|actor| view! { <option value=actor></option> }.into_any())
        .collect();
    let everything = (!filter.is_empty()).then(|| {
        view! {
            <a class="button plain" href=here.to_owned()>
                "Show everything"
            </a>
        }
        .into_any()
    });
    view! {
        <form class="filters activity-filters" method="get" role="search" aria-label="Filter the activity">
            {text("actor", "Who", filter.actor, "Name or e-mail", Some("actors"))}
            <datalist id="actors">{actors}</datalist>
            <label class="field">
                <span>"Environment"</span>
                <select class="control" name="env">
                    {environments}
                </select>
            </label>
            {text("resource", "Resource", filter.resource, "api", None)}
            <label class="field">
                <span>"What"</span>
                <select class="control" name="kind">
                    {kinds}
                </select>
            </label>
            {time("from", "From (UTC)", filter.from)}
            {time("to", "To (UTC)", filter.to)}
            <div class="row">
                <button class="button">{icon("search")} "Filter"</button>
                {everything}
            </div>
        </form>
    }
    .into_any()
}

fn text(
    name: &'static str,
    label: &'static str,
    value: String,
    placeholder: &'static str,
    list: Option<&'static str>,
) -> AnyView {
    view! {
        <label class="field">
            <span>{label}</span>
            <input
                class="control"
                type="search"
                name=name
                value=value
                placeholder=placeholder
                list=list
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
            />
        </label>
    }
    .into_any()
}

/// A day alone, as an address may say it, is no value for the browser's control: it gets its midnight.
fn time(name: &'static str, label: &'static str, value: String) -> AnyView {
    let value = match value.len() {
        10 if name == "to" => format!("{value}T23:59"),
        10 => format!("{value}T00:00"),
        _ => value,
    };
    view! {
        <label class="field">
            <span>{label}</span>
            <input class="control" type="datetime-local" name=name value=value />
        </label>
    }
    .into_any()
}

fn options(all: &str, choices: impl Iterator<Item = (String, String)>, chosen: &str) -> Vec<AnyView> {
    std::iter::once((String::new(), all.to_owned()))
        .chain(choices)
        .map(|(value, words)| {
            let selected = value == chosen;
            view! {
                <option value=value selected=selected>
                    {words}
                </option>
            }
            .into_any()
        })
        .collect()
}

fn list(view: ActivityView, filter: &ActivityFilter, now: Signal<Timestamp>) -> AnyView {
    let here = path(view.workspace.as_str());
    let to = |filter: &ActivityFilter| format!("{here}{}", filter.to_query());
    let problems: Vec<AnyView> = view
        .problems
        .iter()
        .map(|problem| view! { <p>{problem.clone()}</p> }.into_any())
        .collect();
    if view.entries.is_empty() {
        let title = if filter.is_empty() && filter.before.is_empty() {
            "Nothing happened here yet"
        } else {
            "Nothing like this happened here"
        };
        return view! { <EmptyState title=title>{problems} <p>"Entries appear here by themselves."</p></EmptyState> }
            .into_any();
    }
    let newest = (!filter.before.is_empty()).then(|| {
        let href = to(&filter.page(""));
        view! {
            <a class="button" href=href>
                "Newest"
            </a>
        }
        .into_any()
    });
    let older = view.older.as_ref().map(|place| {
        let href = to(&filter.page(place));
        view! {
            <a class="button" href=href rel="next">
                "Older"
            </a>
        }
        .into_any()
    });
    let rows: Vec<AnyView> = view
        .entries
        .into_iter()
        .map(|entry| row(entry, &view.workspace, now))
        .collect();
    view! {
        <ol class="activity">{rows}</ol>
        <nav class="row" aria-label="Pages">
            {newest}
            {older}
        </nav>
    }
    .into_any()
}

fn row(entry: ActivityEntry, workspace: &Name, now: Signal<Timestamp>) -> AnyView {
    let theirs = ActivityFilter {
        actor: entry.actor_search.clone(),
        ..ActivityFilter::default()
    };
    let who = format!("{}{}", path(workspace.as_str()), theirs.to_query());
    let more: Vec<AnyView> = entry
        .more
        .iter()
        .map(|line| view! { <p class="more">{line.clone()}</p> }.into_any())
        .collect();
    let by = match (&entry.door, &entry.address) {
        (Some(door), Some(address)) => format!("{door}, {address}"),
        (Some(door), None) => door.clone(),
        _ => String::new(),
    };
    view! {
        <li>
            <div class="what">
                <p>
                    <a class="who" href=who>
                        {entry.actor.clone()}
                    </a>
                    " "
                    {entry.did.clone()}
                </p>
                {more}
            </div>
            <div class="where">{place(&entry, workspace)}</div>
            <div class="when">
                <Ago at=entry.at now />
                <span class="door">{by}</span>
            </div>
        </li>
    }
    .into_any()
}

/// Where it happened, each part a link.
fn place(entry: &ActivityEntry, workspace: &Name) -> Vec<AnyView> {
    let mut href = format!("/w/{workspace}");
    let mut parts = Vec::new();
    for name in [&entry.project, &entry.environment, &entry.resource]
        .into_iter()
        .map_while(Option::as_ref)
    {
        href = format!("{href}/{name}");
        let gap = (!parts.is_empty()).then_some(" / ");
        parts.push(
            view! {
                {gap}
                <a href=href.clone()>{name.to_string()}</a>
            }
            .into_any(),
        );
    }
    if let Some(id) = entry.promotion {
        let href = format!("/promotions/{id}");
        let gap = (!parts.is_empty()).then_some(" · ");
        parts.push(
            view! {
                {gap}
                <a href=href>"promotion"</a>
            }
            .into_any(),
        );
    }
    parts
}
