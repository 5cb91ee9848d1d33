//! The board: what runs where, resources × environments.
//!
//! Each row remembers what it showed and is drawn again only when that changed, so that a board of a thousand rows stays
//! quick while promotions move, and keeps its place and focus.

use crate::{
    api::board::{BoardRow, BoardView, EnvironmentHead, Open, board},
    components::{
        board_filter::BoardFilters,
        cell::{CellContext, CellPost, cell_view, head_labels},
        empty_state::EmptyState,
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        once::once,
        state_badge::Meaning,
    },
    form::form,
    live,
    pages::{
        error::shown,
        promoted::{Promoted, carry_out},
    },
};
use contract::board_filter::BoardFilter;
use domain::{name::Name, time::Timestamp};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// The board of a project.
#[component]
pub fn Board() -> AnyView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|p| {
            (
                p.get("workspace").unwrap_or_default(),
                p.get("project").unwrap_or_default(),
            )
        })
    });
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(|query| BoardFilter::from_query(|key| query.get(key))));
    let read = live::read(
        move || (place.get(), filter.get()),
        |((workspace, project), filter)| board(workspace, project, filter),
        |((workspace, project), _), changed| changed.concerns(workspace, project),
    );
    let promotion = form(move |post: CellPost| {
        let (workspace, project) = place.get_untracked();
        carry_out(post, workspace, project)
    });
    Effect::new(move |_| {
        if promotion.sent_and_done() {
            read.refetch();
        }
    });
    let read_at = Signal::derive(move || read.get().and_then(Result::ok).map(|view| view.now));
    let title = Signal::derive(move || format!("{} board", place.get().1));
    let crumbs = Signal::derive(move || {
        let (workspace, project) = place.get();
        vec![
            Crumb::new("Projects", "/"),
            Crumb::new(project.clone(), format!("/w/{workspace}/{project}")),
        ]
    });
    view! {
        <Frame title=title crumbs=crumbs wide=true>
            <ErrorSummary error=Signal::derive(move || promotion.error()) />
            <Promoted form=promotion read_at />
            <div class="stack" on:submit=promotion.on_submit()>
                {shown(read, move |view| {
                    // What is shown follows from these: nothing in it is waited for.
                    let first = view.get_untracked();
                    // The time first: it is what differs.
                    once((first.now, first, filter.get_untracked()), move || whole(view, filter))
                })}
            </div>
        </Frame>
    }
    .into_any()
}

fn whole(view: Signal<BoardView>, filter: Memo<BoardFilter>) -> AnyView {
    let now = live::now(Signal::derive(move || view.with(|v| v.now)));
    let environments: Vec<String> =
        view.with_untracked(|v| v.environments.iter().map(|e| e.name.to_string()).collect());
    let columns = Memo::new(move |_| view.with(|v| filter.with(|f| f.columns(&v.environments))));
    let names = Memo::new(move |_| view.with(|v| v.rows.iter().map(|row| row.resource.clone()).collect::<Vec<_>>()));
    let counts = Memo::new(move |_| view.with(|v| (v.matching, v.total, v.rows.len())));
    let said = move || {
        let (matching, all, _) = counts.get();
        let noun = if all == 1 { "resource" } else { "resources" };
        if filter.with(BoardFilter::is_empty) {
            format!("{all} {noun}")
        } else {
            format!("{matching} of {all} {noun}")
        }
    };
    let name = move || view.with(|v| v.project.to_string());
    let problem = Memo::new(move |_| view.with(|v| v.problem.clone()));
    let open = Memo::new(move |_| view.with(|v| v.open.clone()));
    let stuck = Memo::new(move |_| open.with(|open| stuck_lines(open, now.get())));
    let table = move || {
        view! {
            <div class="board-scroll" role="region" aria-label="Board" tabindex="0">
                <table class="board">
                    <caption class="visually-hidden">{move || format!("What runs where in {}", name())}</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Resource"</th>
                            {move || heads(&view.get(), &columns.get())}
                        </tr>
                    </thead>
                    <tbody>
                        <For
                            each=move || names.get()
                            key=|name| name.clone()
                            children=move |name| row(name, view, columns, filter, now)
                        />
                    </tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{name}</h1>
                <p role="status">{said}</p>
            </div>
            <BoardFilters filter=filter environments=environments />
        </div>
        {move || {
            problem
                .get()
                .map(|why| {
                    view! {
                        <Notice meaning=Meaning::Bad>
                            {format!("What Git says may be out of date. {why}")}
                        </Notice>
                    }
                })
        }}
        {move || stuck.with(|lines| (!lines.is_empty()).then(|| stuck_notice(lines)))}
        <Show when=move || { counts.get().1 > 0 } fallback=move || nothing(&view.get_untracked())>
            <Show when=move || { counts.get().0 > 0 } fallback=move || no_match(&view.get_untracked())>
                {table()}
            </Show>
        </Show>
        {move || {
            let (matching, _, here) = counts.get();
            (matching > here).then(|| more(&view.get_untracked(), &filter.get(), matching, here))
        }}
    }
    .into_any()
}

/// The promotions that don't get on: where each leads, and in words where it stands.
fn stuck_lines(open: &[Open], now: Timestamp) -> Vec<(String, String)> {
    let is_stuck = |open: &&Open| open.state.is_stuck(open.since, now);
    let line = |open: &Open| {
        // Whole minutes: the line is read, not watched.
        let minutes = now.millis_since(open.since) / 60_000;
        let words = format!(
            "{}/{} has been {} for {minutes} min.{}",
            open.environment,
            open.resource,
            open.state,
            open.waits_for.as_ref().map(|why| format!(" {why}")).unwrap_or_default()
        );
        (format!("/promotions/{}", open.id), words)
    };
    open.iter().filter(is_stuck).map(line).collect()
}

fn stuck_notice(lines: &[(String, String)]) -> AnyView {
    let head = match lines.len() {
        1 => "One promotion takes longer than it should:".to_owned(),
        many => format!("{many} promotions take longer than they should:"),
    };
    let lines: Vec<AnyView> = lines
        .iter()
        .cloned()
        .map(|(href, words)| {
            view! {
                <li>
                    <a href=href>{words}</a>
                </li>
            }
            .into_any()
        })
        .collect();
    view! {
        <Notice meaning=Meaning::Waiting>
            <p>{head}</p>
            <ul>{lines}</ul>
        </Notice>
    }
    .into_any()
}

/// The way to the rows that aren't here.
fn more(view: &BoardView, filter: &BoardFilter, matching: usize, here: usize) -> AnyView {
    let href = format!("/w/{}/{}{}", view.workspace, view.project, filter.more().to_query());
    view! {
        <p class="row">
            <span class="muted">{format!("The first {here} of {matching} are shown.")}</span>
            <a class="button" href=href>
                "Show more"
            </a>
        </p>
    }
    .into_any()
}

fn heads(view: &BoardView, columns: &[(usize, EnvironmentHead)]) -> Vec<AnyView> {
    columns
        .iter()
        .map(|(_, head)| {
            let href = format!("/w/{}/{}/{}", view.workspace, view.project, head.name);
            view! {
                <th scope="col">
                    <a href=href>{head.name.to_string()}</a>
                    {head_labels(head)}
                </th>
            }
            .into_any()
        })
        .collect()
}

fn row(
    name: Name,
    view: Signal<BoardView>,
    columns: Memo<Vec<(usize, EnvironmentHead)>>,
    filter: Memo<BoardFilter>,
    now: Signal<Timestamp>,
) -> AnyView {
    let title = name.to_string();
    let this = Memo::new(move |_| {
        view.with(|v| {
            let at = v.rows.binary_search_by(|row| row.resource.cmp(&name)).ok();
            at.and_then(|at| v.rows.get(at)).cloned()
        })
    });
    let hidden = Memo::new(move |_| {
        this.with(|row| {
            row.as_ref()
                .is_none_or(|row| !filter.with(|f| columns.with(|c| f.shows(row, c))))
        })
    });
    let cells = move || {
        let (workspace, project) = view.with_untracked(|v| (v.workspace.clone(), v.project.clone()));
        this.with(|row| {
            row.as_ref()
                .map(|row| columns.with(|columns| cells(row, columns, &workspace, &project, now)))
        })
    };
    view! {
        <tr hidden=move || hidden.get()>
            <th scope="row">{title}</th>
            {cells}
        </tr>
    }
    .into_any()
}

fn cells(
    row: &BoardRow,
    columns: &[(usize, EnvironmentHead)],
    workspace: &Name,
    project: &Name,
    now: Signal<Timestamp>,
) -> Vec<AnyView> {
    columns
        .iter()
        .map(|(i, head)| match row.cells.get(*i).and_then(Option::as_ref) {
            Some(cell) => {
                let place = CellContext {
                    workspace: workspace.clone(),
                    project: project.clone(),
                    environment: head.name.clone(),
                    resource: row.resource.clone(),
                    may_change: head.may_change,
                };
                view! { <td>{cell_view(cell, &place, now)}</td> }.into_any()
            }
            None => view! { <td><span class="visually-hidden">"Not here"</span></td> }.into_any(),
        })
        .collect()
}

fn no_match(view: &BoardView) -> AnyView {
    let all = format!("/w/{}/{}", view.workspace, view.project);
    view! {
        <EmptyState title="No resource matches">
            <p>"Search for part of a name, a tag, or the first characters of a digest."</p>
            <p>
                <a class="button" href=all>
                    "Show all resources"
                </a>
            </p>
        </EmptyState>
    }
    .into_any()
}

fn nothing(view: &BoardView) -> AnyView {
    if view.environments.is_empty() {
        return view! {
            <EmptyState title="No environment yet">
                <p>"Add the project's environments to its file, then hand it over again:"</p>
                <pre>"waybill apply -f waybill.yaml"</pre>
            </EmptyState>
        }
        .into_any();
    }
    let links: Vec<AnyView> = view
        .environments
        .iter()
        .filter(|head| head.may_change)
        .map(|head| {
            let href = format!("/w/{}/{}/{}/-/new", view.workspace, view.project, head.name);
            view! {
                <a class="button" href=href>
                    {format!("Create a resource in {}", head.name)}
                </a>
            }
            .into_any()
        })
        .collect();
    view! {
        <EmptyState title="No resource yet">
            <p>"A resource is something that runs in an environment. Begin with one that takes its image from a repository, then promote it to the other environments."</p>
            <div class="row">{links}</div>
        </EmptyState>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::promotion::State;

    #[test]
    fn what_is_stuck_is_told_with_the_reason_and_what_moves_is_not() {
        let open = |resource: &str, state, minutes: i64, why: Option<&str>| Open {
            id: "01900000-0000-7000-8000-000000000001".parse().unwrap(),
            environment: "production".parse().unwrap(),
            resource: resource.parse().unwrap(),
            state,
            since: Timestamp(0).plus_millis(-minutes * 60_000),
            waits_for: why.map(str::to_owned),
        };
        let all = [
            open("api", State::Committing, 3, Some("Git can't be reached.")),
            open("web", State::Verifying, 3, None),
            open("jobs", State::Verifying, 16, None),
        ];
        let words: Vec<String> = stuck_lines(&all, Timestamp(0))
            .into_iter()
            .map(|(_, words)| words)
            .collect();
        assert_eq!(
            words,
            [
                "production/api has been committing for 3 min. Git can't be reached.",
                "production/jobs has been verifying for 16 min."
            ]
        );
    }
}
