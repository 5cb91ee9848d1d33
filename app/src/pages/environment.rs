//! One environment: what runs in it, what of that was never promoted, and the way to the form Create Resource.

mod unpromoted;

use crate::{
    api::{
        board::Cell,
        environment::{
            EnvironmentView, adopt, adopt_all, environment, pause_promotions, promote_declared, resume_promotions,
        },
    },
    components::{
        cell::{
            CellContext, CellPost, button, changed_outside, follows, head_labels, how, kind, registry_trouble, seen,
            what,
        },
        empty_state::EmptyState,
        frame::{Crumb, Frame},
        icon::icon,
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
        time::Ago,
    },
    form::{form, redirect},
    live,
    pages::{
        error::shown,
        promoted::{ButtonOutcome, Promoted, carry_out},
    },
};
use domain::{name::Name, time::Timestamp};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

/// An environment with its resources.
#[component]
pub fn Environment() -> AnyView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|p| {
            let get = |key: &str| p.get(key).unwrap_or_default();
            (get("workspace"), get("project"), get("environment"))
        })
    });
    let read = live::read(
        move || place.get(),
        |(workspace, project, name)| environment(workspace, project, name),
        |(workspace, project, _), changed| changed.concerns(workspace, project),
    );
    let promotion = form(move |post: CellPost| {
        let (workspace, project, name) = place.get_untracked();
        async move {
            let of_project = post.intent.ends_with("-project");
            let outcome = match post.intent.as_str() {
                "pause-environment" | "pause-project" => {
                    pause_promotions(workspace, project, name, of_project, post.reason.clone()).await
                }
                "resume-environment" | "resume-project" => {
                    resume_promotions(workspace, project, name, of_project).await
                }
                "adopt" => {
                    let (resource, digest) = (post.resource.clone(), post.digest.clone());
                    adopt(workspace, project, name, resource, digest, String::new()).await
                }
                "adopt-all" => adopt_all(workspace, project, name).await,
                "promote-declared" => {
                    let started = promote_declared(workspace, project, name, post.resource.clone()).await;
                    return (post, Some(started.map(|id| ButtonOutcome::Started(Some(id)))));
                }
                _ => return carry_out(post, workspace, project).await,
            };
            (post, Some(outcome.map(|()| ButtonOutcome::Changed)))
        }
    });
    Effect::new(move |_| {
        if promotion.sent_and_done() {
            read.refetch();
        }
    });
    let read_at = Signal::derive(move || read.get().and_then(Result::ok).map(|view| view.now));
    let title = Signal::derive(move || {
        let (_, project, name) = place.get();
        format!("{name} · {project}")
    });
    let crumbs = Signal::derive(move || {
        let (workspace, project, name) = place.get();
        let board = format!("/w/{workspace}/{project}");
        vec![
            Crumb::new("Projects", "/"),
            Crumb::new(project, board.clone()),
            Crumb::new(name.clone(), format!("{board}/{name}")),
        ]
    });
    view! {
        <Frame title=title crumbs=crumbs>
            <ErrorSummary error=Signal::derive(move || promotion.error()) />
            <Promoted form=promotion read_at />
            {move || {
                let (workspace, project, name) = place.get_untracked();
                let changed = promotion.done().filter(|done| *done == ButtonOutcome::Changed);
                changed.and_then(|_| redirect(format!("/w/{workspace}/{project}/{name}")))
            }}
            <div class="stack environment" on:submit=promotion.on_submit()>
                {shown(read, whole)}
            </div>
        </Frame>
    }
    .into_any()
}

fn whole(view: Signal<EnvironmentView>) -> AnyView {
    let now = live::now(Signal::derive(move || view.with(|v| v.now)));
    view! { {move || page(view.get(), now)} }.into_any()
}

fn page(view: EnvironmentView, now: Signal<Timestamp>) -> AnyView {
    let new = format!("/w/{}/{}/{}/-/new", view.workspace, view.project, view.head.name);
    let create = view.head.may_change.then(|| {
        let href = new.clone();
        view! {
            <a class="button primary" href=href>
                {icon("plus")}
                "Create Resource"
            </a>
        }
    });
    let rows: Vec<AnyView> = view
        .resources
        .iter()
        .map(|(name, cell)| row(&view, name, cell, now))
        .collect();
    let list = if rows.is_empty() {
        empty(view.denied.clone())
    } else {
        view! {
            <table class="table">
                <caption class="visually-hidden">{format!("Resources in {}", view.head.name)}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Resource"</th>
                        <th scope="col">"Image"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Follows"</th>
                        <th scope="col">"Since"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Actions"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        }
        .into_any()
    };
    let application = view.application.clone().map(|name| {
        view! {
            <dt>"Application"</dt>
            <dd class="mono">{name}</dd>
        }
    });
    let delete = view.may_remove.then(|| {
        let href = format!(
            "/w/{}/-/delete/project/{}/{}",
            view.workspace, view.project, view.head.name
        );
        view! {
            <p>
                <a class="button plain danger small" href=href>
                    {format!("Delete {}…", view.head.name)}
                </a>
            </p>
        }
    });
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{view.head.name.to_string()}</h1>
                {head_labels(&view.head)}
            </div>
            {create}
        </div>
        {view.other_branch.clone().map(|why| view! { <Notice meaning=Meaning::Bad>{why}</Notice> })}
        {list}
        {unpromoted::unpromoted(&view, now)}
        {asks(&view)}
        {stops(&view, now)}
        <dl class="facts small">
            <dt>"Values file"</dt>
            <dd class="mono">{view.values_path.clone()}</dd>
            {application}
        </dl>
        {delete}
    }
    .into_any()
}

fn row(view: &EnvironmentView, name: &Name, cell: &Cell, now: Signal<Timestamp>) -> AnyView {
    let place = CellContext {
        workspace: view.workspace.clone(),
        project: view.project.clone(),
        environment: view.head.name.clone(),
        resource: name.clone(),
        may_change: view.head.may_change,
    };
    let age = cell.since.map(|since| view! { <Ago at=since now=now /> });
    view! {
        <tr class="cell-row">
            <th scope="row">
                <a href=place.href()>{name.to_string()}</a>
                {kind(&cell.kind).map(|kind| view! { <span class="label">{kind}</span> })}
            </th>
            <td class="cell">{what(cell, &place)}</td>
            <td class="row">{how(cell, now)} {seen(cell, now)} {changed_outside(cell)} {registry_trouble(cell)}</td>
            <td class="muted">{follows(&cell.follows, &place)}</td>
            <td class="muted">{age}</td>
            <td class="number">{button(cell, &place)}</td>
        </tr>
    }
    .into_any()
}

/// What it asks for before an image may run in it.
fn asks(view: &EnvironmentView) -> AnyView {
    let asks: Vec<_> = (view.policy.iter())
        .map(|words| view! { <li>{words.clone()}</li> })
        .collect();
    let asks = if asks.is_empty() {
        let nothing = match view.stops.is_empty() {
            true => "Nothing: promotions to it start at once.",
            false => "The policy asks for nothing.",
        };
        view! { <p class="muted">{nothing}</p> }.into_any()
    } else {
        view! { <ul class="plain">{asks}</ul> }.into_any()
    };
    let about = |what| format!("/w/{}/{}/{}/-/{what}", view.workspace, view.project, view.head.name);
    let (href, images) = (about("policy"), about("images"));
    view! {
        <section class="stack tight" aria-labelledby="asks">
            <h2 id="asks">"Gates"</h2>
            {asks}
            <p>
                <a href=href>"Policy"</a>
                " · "
                <a href=images>"Images"</a>
            </p>
        </section>
    }
    .into_any()
}

/// Who paused promotions, with the way to resume them; and the way to pause them.
fn stops(view: &EnvironmentView, now: Signal<Timestamp>) -> AnyView {
    let name = view.head.name.to_string();
    let may_stop = view.may_stop;
    let stopped: Vec<_> = (view.stops.iter())
        .map(|stop| {
            let what = if stop.of_project { view.project.to_string() } else { name.clone() };
            let intent = if stop.of_project { "resume-project" } else { "resume-environment" };
            let lift = stop.may_lift.then(|| {
                view! {
                    <form method="post">
                        <button class="button small" name="intent" value=intent>
                            {format!("Resume {what}")}
                        </button>
                    </form>
                }
            });
            view! {
                <section class="notice waiting" aria-label=format!("{what} is paused")>
                    {icon("waiting")}
                    <div class="body">
                        <p>
                            {format!("{} paused {what} ", stop.by)} <Ago at=stop.at now /> {format!(": {}", stop.reason)}
                        </p>
                        {lift}
                    </div>
                </section>
            }
        })
        .collect();
    let is_stopped = view.stops.iter().any(|stop| !stop.of_project);
    let stop = (may_stop && !is_stopped).then(|| {
        view! {
            <details class="stop">
                <summary>"Pause promotions"</summary>
                <form class="decide" method="post">
                    <p class="muted">{format!("No new promotion to {name} starts until someone resumes it. Commits already pushed will finish.")}</p>
                    <label for="reason">"Why?"</label>
                    <input class="control" type="text" id="reason" name="reason" maxlength="1000" autocomplete="off" />
                    <div class="row">
                        <button class="button small" name="intent" value="pause-environment">
                            {format!("Pause {name}")}
                        </button>
                        <button class="button small" name="intent" value="pause-project">
                            {format!("Pause all environments of {}", view.project)}
                        </button>
                    </div>
                </form>
            </details>
        }
    });
    view! {
        {stopped}
        {stop}
    }
    .into_any()
}

fn empty(denied: Option<String>) -> AnyView {
    let create = "Create one here: with the image that another environment runs, or with an image repository.";
    let step = denied.unwrap_or_else(|| create.to_owned());
    view! {
        <EmptyState title="No resource yet">
            <p>"A resource is something that runs in an environment. " {step}</p>
        </EmptyState>
    }
    .into_any()
}
