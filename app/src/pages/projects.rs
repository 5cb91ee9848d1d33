//! All projects.

use crate::{
    api::project::{ProjectView, projects},
    components::{
        empty_state::EmptyState,
        frame::{Crumb, Frame},
        state_badge::{Meaning, says},
    },
    live,
    pages::error::shown,
};
use leptos::prelude::*;

/// The list of projects.
#[component]
pub fn Projects() -> AnyView {
    let read = live::read(|| (), |()| projects(), |(), _| true);
    view! {
        <Frame
            title=Signal::stored("Projects".to_owned())
            crumbs=Signal::stored(vec![Crumb::new("Projects", "/")])
        >
            {shown(read, list)}
        </Frame>
    }
    .into_any()
}

fn list(view: Signal<Vec<ProjectView>>) -> AnyView {
    view! {
        <div class="page-head">
            <h1>"Projects"</h1>
        </div>
        {move || match view.get() {
            none if none.is_empty() => empty(),
            projects => table(projects),
        }}
    }
    .into_any()
}

fn empty() -> AnyView {
    view! {
        <EmptyState title="No project yet">
            <p>
                "A project is a set of environments that share one GitOps repository. Describe it in a file, with its clusters and environments, then hand it over:"
            </p>
            <pre>"waybill apply -f waybill.yaml"</pre>
            <p>"Its board appears here by itself."</p>
        </EmptyState>
    }
    .into_any()
}

fn table(projects: Vec<ProjectView>) -> AnyView {
    let first = projects.first().map(|project| project.workspace.clone());
    let several = projects
        .iter()
        .any(|project| Some(&project.workspace) != first.as_ref());
    let rows: Vec<AnyView> = projects.into_iter().map(|project| row(project, several)).collect();
    view! {
        <table class="table projects">
            <thead>
                <tr>
                    <th scope="col">"Project"</th>
                    <th scope="col">"Environments"</th>
                    <th scope="col" class="number">
                        "Resources"
                    </th>
                    <th scope="col">"Now"</th>
                    <th scope="col">"Repository"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(project: ProjectView, with_workspace: bool) -> AnyView {
    let board = format!("/w/{}/{}", project.workspace, project.name);
    let count = project.environments.len();
    let environments: Vec<AnyView> = project
        .environments
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let href = format!("{board}/{name}");
            let gap = if i + 1 < count { ", " } else { "" };
            view! {
                <a href=href>{name.to_string()}</a>
                {gap}
            }
            .into_any()
        })
        .collect();
    view! {
        <tr>
            <th scope="row">
                {with_workspace.then(|| view! { <span class="muted">{format!("{} / ", project.workspace)}</span> })}
                <a href=board.clone()>{project.name.to_string()}</a>
            </th>
            <td>{environments}</td>
            <td class="number" data-label="Resources">
                {project.resources}
            </td>
            <td>{now(&board, project.moving, project.failed)}</td>
            <td>
                <span class="mono break">{project.repository_url}</span>
                <span class="muted">{format!(" on {}", project.branch)}</span>
            </td>
        </tr>
    }
    .into_any()
}

/// What happens or failed, with the board that shows it.
fn now(board: &str, moving: u32, failed: u32) -> AnyView {
    let line = |count: u32, meaning: Meaning, word: &'static str| {
        (count > 0).then(|| {
            let href = format!("{board}?state={word}");
            says(
                meaning,
                meaning.icon(),
                view! { <a href=href>{format!("{count} {word}")}</a> },
            )
        })
    };
    if moving + failed == 0 {
        return view! { <span class="muted">"All quiet"</span> }.into_any();
    }
    view! { <span class="row">{line(failed, Meaning::Bad, "failed")} {line(moving, Meaning::Moving, "moving")}</span> }
        .into_any()
}
