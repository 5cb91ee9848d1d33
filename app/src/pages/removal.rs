//! *Delete*: what deleting something means, and the button that does it. One page for a resource, an environment, a project, a cluster
//! and a workspace: the address says which.

use crate::{
    api::removal::{RemovalView, Removed, Removing, removal, remove},
    components::{
        field::{TextField, field_id},
        frame::{Crumb, Frame, refresh_rail_when},
        icon::icon,
        notice::ErrorSummary,
    },
    form::{Form, form},
    live,
    pages::error::shown,
};
use domain::removal::{Removable, RemovalChoices};
use leptos::prelude::*;
use leptos_router::{components::Redirect, hooks::use_params_map};
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct RemovalPost {
    /// The button's word: a post without it deletes nothing.
    intent: String,
    /// Whether its blocks are removed from Git, too: the box is ticked.
    from_git: Option<String>,
    /// Whether who follows it becomes pinned.
    pin_followers: Option<String>,
    /// A workspace's name once more.
    typed: String,
}

type Sent = Form<RemovalPost, Removed>;

/// Where people came from, and are led to afterwards.
fn around(target: &Removing) -> String {
    let workspace = &target.workspace;
    match target.what.as_str() {
        "resource" => format!("/w/{workspace}/{}/{}", target.project, target.environment),
        "environment" => format!("/w/{workspace}/{}", target.project),
        "cluster" => format!("/w/{workspace}/-/settings/clusters"),
        "registry" => format!("/w/{workspace}/-/settings/registries"),
        _ => "/".to_owned(),
    }
}

/// The thing's own page.
fn page_of(target: &Removing) -> String {
    let (workspace, name) = (&target.workspace, &target.name);
    match target.what.as_str() {
        "resource" => format!("{}/{name}", around(target)),
        "environment" => format!("/w/{workspace}/{}/{name}", target.project),
        "project" => format!("/w/{workspace}/-/settings/git"),
        "cluster" | "registry" => around(target),
        _ => format!("/w/{workspace}/-/settings"),
    }
}

/// This page's address for it.
fn address(target: &Removing) -> String {
    let delete = format!("/w/{}/-/delete", target.workspace);
    let (project, name) = (&target.project, &target.name);
    match target.what.as_str() {
        "resource" => format!("{delete}/project/{project}/{}/{name}", target.environment),
        "environment" => format!("{delete}/project/{project}/{name}"),
        "project" => format!("{delete}/project/{name}"),
        "cluster" | "registry" => format!("{delete}/{}/{name}", target.what),
        _ => delete,
    }
}

/// What it is called, so that nobody takes one environment's resource for another's.
fn full_name(target: &Removing) -> String {
    let (project, name) = (&target.project, &target.name);
    match target.what.as_str() {
        "resource" => format!("{}/{name}", target.environment),
        "environment" => format!("{project}/{name}"),
        _ => name.clone(),
    }
}

/// The page.
#[component]
pub fn RemovalPage() -> impl IntoView {
    let params = use_params_map();
    let target = Memo::new(move |_| {
        params.with(|params| {
            let get = |key: &str| params.get(key).unwrap_or_default();
            let (workspace, cluster, registry) = (get("workspace"), get("cluster"), get("registry"));
            let (project, environment, resource) = (get("project"), get("environment"), get("resource"));
            let (what, name) = match () {
                () if !cluster.is_empty() => ("cluster", cluster),
                () if !registry.is_empty() => ("registry", registry),
                () if !resource.is_empty() => ("resource", resource),
                () if !environment.is_empty() => ("environment", environment.clone()),
                () if !project.is_empty() => ("project", project.clone()),
                () => ("workspace", workspace.clone()),
            };
            Removing {
                what: what.into(),
                workspace,
                project,
                environment,
                name,
            }
        })
    });
    // It doesn't move by itself: what is deleted would be asked for again in the moment in which it is gone, and the button asks anyway.
    let read = live::read_once(move || target.get(), removal);
    let sent: Sent = form(move |post: RemovalPost| {
        let target = target.get_untracked();
        async move {
            let choices = RemovalChoices {
                from_git: post.from_git.is_some(),
                pin_followers: post.pin_followers.is_some(),
            };
            if post.intent != "delete" {
                return (post, None);
            }
            let outcome = remove(target, choices, post.typed.clone()).await;
            (post, Some(outcome))
        }
    });
    refresh_rail_when(move || sent.done().is_some());
    let title = Signal::derive(move || target.with(|target| format!("Delete {}", full_name(target))));
    let crumbs = Signal::derive(move || {
        let target = target.get();
        let mut crumbs = vec![Crumb::new("Projects", "/")];
        let is_within = matches!(target.what.as_str(), "resource" | "environment");
        if is_within {
            let board = format!("/w/{}/{}", target.workspace, target.project);
            crumbs.push(Crumb::new(target.project.clone(), board));
        }
        if target.what == "resource" {
            crumbs.push(Crumb::new(target.environment.clone(), around(&target)));
        }
        crumbs.push(Crumb::new(target.name.clone(), page_of(&target)));
        crumbs.push(Crumb::new("Delete", address(&target)));
        crumbs
    });
    view! {
        <Frame title crumbs>
            <div class="page-head">
                <div class="title">
                    <h1>{title}</h1>
                </div>
            </div>
            <ErrorSummary error=Signal::derive(move || sent.error()) />
            {move || match sent.done() {
                Some(_) => view! { <Redirect path=target.with_untracked(around) /> }.into_any(),
                None => shown(read, move |view| content(view, target, sent)),
            }}
        </Frame>
    }
    .into_any()
}

fn content(view: Signal<RemovalView>, target: Memo<Removing>, sent: Sent) -> AnyView {
    let back = move || target.with(page_of);
    view! {
        <div class="stack removal">
            {move || meaning(&view.get())}
            {move || {
                let view = view.get();
                let is_stuck = !view.refusals.is_empty() || view.followers.iter().any(|follower| follower.pin.is_none());
                if is_stuck {
                    return stuck(&view, back());
                }
                the_form(&view, target.with(full_name), back(), sent)
            }}
        </div>
    }
    .into_any()
}

/// What it means, in sentences.
fn meaning(view: &RemovalView) -> AnyView {
    let mut lines = Vec::new();
    lines.push(match view.what {
        Removable::Resource => "What runs goes on running: Waybill deletes nothing in the cluster.",
        Removable::Environment | Removable::Project | Removable::Workspace => {
            "What runs goes on running: Waybill deletes nothing in a cluster, and follows nothing there any more."
        }
        Removable::Cluster => "Its token and certificates are erased immediately.",
        Removable::Registry => "Its certificates and passwords are erased immediately.",
    });
    match view.what {
        Removable::Project => lines.push("Its Git credentials and channels are erased immediately. Git is left alone."),
        Removable::Workspace => {
            lines.push(
                "All credentials, tokens, channels and invitations of it are erased or end immediately. Git is left alone.",
            );
            lines.push("Members who belong to no other workspace are signed out.");
        }
        _ => {}
    }
    lines.push(match view.what {
        Removable::Workspace => {
            "Its history stays in the database. No page shows it any more: whoever runs Waybill can export its ledger with the command waybill ledger export."
        }
        _ => "Its history stays: promotions and activity are kept under its name.",
    });
    lines.push("The name is free again. Whatever takes it begins anew.");
    let cancels = match view.cancels {
        0 => None,
        1 => Some("1 promotion that waits is cancelled.".to_owned()),
        some => Some(format!("{some} promotions that wait are cancelled.")),
    };
    let lines: Vec<AnyView> = lines
        .into_iter()
        .map(str::to_owned)
        .chain(cancels)
        .map(|line| view! { <li>{line}</li> }.into_any())
        .collect();
    let with: Vec<AnyView> = (view.with.iter())
        .map(|line| view! { <li>{line.clone()}</li> }.into_any())
        .collect();
    let with = (!with.is_empty()).then(|| {
        view! {
            <section class="stack tight" aria-labelledby="with">
                <h2 id="with">"Deleted with it"</h2>
                <ul class="plain">{with}</ul>
            </section>
        }
    });
    view! {
        <section class="stack tight" aria-labelledby="means">
            <h2 id="means">"What this means"</h2>
            <ul class="plain">{lines}</ul>
        </section>
        {with}
    }
    .into_any()
}

/// Why it can't be deleted now.
fn stuck(view: &RemovalView, back: String) -> AnyView {
    let unpinnable = view.followers.iter().filter(|follower| follower.pin.is_none());
    let unpinnable = unpinnable.map(|follower| {
        format!(
            "{} follows it, and runs nothing yet that it could be pinned to. Delete that first.",
            follower.name
        )
    });
    let why: Vec<AnyView> = (view.refusals.iter().cloned())
        .chain(unpinnable)
        .map(|why| view! { <li>{why}</li> }.into_any())
        .collect();
    view! {
        <section class="notice bad" aria-labelledby="stuck">
            {icon("bad")}
            <div class="body">
                <p id="stuck">{format!("{} can't be deleted now.", view.name)}</p>
                <ul>{why}</ul>
            </div>
        </section>
        <p>
            <a class="button" href=back>
                "Back"
            </a>
        </p>
    }
    .into_any()
}

fn the_form(view: &RemovalView, full_name: String, back: String, sent: Sent) -> AnyView {
    let posted = untrack(move || sent.posted_draft().unwrap_or_default());
    let followers = (!view.followers.is_empty()).then(|| {
        let each: Vec<AnyView> = (view.followers.iter())
            .map(|follower| {
                let pin = follower.pin.clone().unwrap_or_default();
                view! {
                    <li>
                        {follower.name.clone()} ", which would be pinned to " <span class="mono">{pin}</span>
                    </li>
                }
                .into_any()
            })
            .collect();
        view! {
            <fieldset class="within">
                <legend>"Followers"</legend>
                <p>{format!("Resources that follow {}", view.name)}</p>
                <ul class="plain">{each}</ul>
                <label class="check">
                    <input
                        type="checkbox"
                        id=field_id("pin_followers")
                        name="pin_followers"
                        value="true"
                        checked=posted.pin_followers.is_some()
                    />
                    "Pin them to what they run"
                </label>
                <p class="muted">{format!("If you don't pin them, {} can't be deleted.", view.name)}</p>
            </fieldset>
        }
    });
    let git = view.path.clone().map(|path| {
        let tick = if let Some(why) = &view.not_from_git {
            view! { <p class="muted">{format!("Git is left alone. {why}")}</p> }.into_any()
        } else {
            view! {
                <label class="check">
                    <input
                        type="checkbox"
                        id=field_id("from_git")
                        name="from_git"
                        value="true"
                        checked=posted.from_git.is_some()
                    />
                    {match &view.key {
                        Some(key) => format!("Also remove {} (key {key}) from Git", view.name),
                        None => format!("Also remove {} from Git", view.name),
                    }}
                </label>
                <p class="muted">
                    "One commit removes it from " <span class="mono">{path}</span>
                    {format!(". Argo CD may then stop {}. Leave this unticked to keep Git unchanged.", view.name)}
                </p>
            }
            .into_any()
        };
        view! {
            <fieldset class="within">
                <legend>"Git"</legend>
                {tick}
            </fieldset>
        }
    });
    let typed = (view.what == Removable::Workspace).then(|| {
        view! {
            <TextField
                name="typed"
                label=format!("Type {} to delete it", view.name)
                value=posted.typed.clone()
                error=Signal::derive(move || sent.field_error("typed"))
            />
        }
    });
    view! {
        <form class="fields" method="post" on:submit=sent.on_submit() novalidate>
            {followers}
            {git}
            {typed}
            <div class="row">
                <button class="button danger" name="intent" value="delete" aria-disabled=move || sent.pending.get().then_some("true")>
                    {format!("Delete {full_name}")}
                </button>
                <a class="button plain" href=back>
                    "Cancel"
                </a>
            </div>
        </form>
    }
    .into_any()
}
