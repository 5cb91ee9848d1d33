//! *Recall*: where a digest runs and is to run, the button that marks it bad, and the way back for all of its places.

use crate::{
    api::recall::{MovedBack, RecallView, RecalledPlaceView, lift_recall, move_places_back, recall, recall_digest},
    components::{
        digest_chip::{BareDigest, DigestChip},
        field::{TextField, field_id},
        frame::{Crumb, Frame},
        icon::icon,
        notice::{ErrorSummary, Notice},
        state_badge::{Meaning, badge, meaning, word},
    },
    form::{Form, form, redirect},
    live,
    pages::error::shown,
};
use domain::recall::Recall;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde::{Deserialize, Serialize};

/// What the page posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct RecallPost {
    /// The button's word: a post without it does nothing.
    intent: String,
    /// Why it is recalled, or the recall lifted.
    reason: String,
    /// Whether shut gates are overridden: the box is ticked.
    break_glass: Option<String>,
}

/// What came of a post.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum RecallOutcome {
    /// It is recalled, or the recall is lifted: the page shows it.
    Said,
    /// Places are moved back.
    Moved(MovedBack),
}

type Sent = Form<RecallPost, RecallOutcome>;

/// The names of the address.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RecallAddress {
    workspace: String,
    digest: String,
}

/// This page's address for a digest.
#[must_use]
pub fn address(workspace: &str, digest: &str) -> String {
    format!("/w/{workspace}/-/artifacts/{digest}/recall")
}

/// The page.
#[component]
pub fn RecallPage() -> impl IntoView {
    let params = use_params_map();
    let at = Memo::new(move |_| {
        params.with(|params| {
            let name = |key: &str| params.get(key).unwrap_or_default();
            RecallAddress {
                workspace: name("workspace"),
                digest: name("digest"),
            }
        })
    });
    let sent: Sent = form(move |post: RecallPost| {
        let RecallAddress { workspace, digest } = at.get_untracked();
        async move {
            let reason = post.reason.clone();
            let outcome = match post.intent.as_str() {
                "recall" => Some(
                    recall_digest(workspace, digest, reason)
                        .await
                        .map(|()| RecallOutcome::Said),
                ),
                "lift" => Some(
                    lift_recall(workspace, digest, reason)
                        .await
                        .map(|()| RecallOutcome::Said),
                ),
                "move" => {
                    let break_glass = post.break_glass.is_some();
                    let moved = move_places_back(workspace, digest, break_glass).await;
                    Some(moved.map(RecallOutcome::Moved))
                }
                _ => None,
            };
            (post, outcome)
        }
    });
    let read = live::read(
        move || at.get(),
        move |at| async move {
            // What a plain post did is shown with it.
            sent.settled().await;
            recall(at.workspace, at.digest).await
        },
        |at, change| change.workspace == at.workspace,
    );
    // Shows at once, also while the event stream is cut off.
    Effect::new(move |before: Option<()>| {
        if sent.sent_and_done() && before.is_some() {
            read.refetch();
        }
    });
    let title = Signal::derive(move || at.with(|at| format!("Recall {}", short(&at.digest))));
    let crumbs = Signal::derive(move || {
        let at = at.get();
        vec![
            Crumb::new("Projects", "/"),
            Crumb::new("Recall", address(&at.workspace, &at.digest)),
        ]
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
                Some(RecallOutcome::Moved(moved)) => came_of(moved),
                Some(RecallOutcome::Said) => {
                    let path = at.with_untracked(|at| address(&at.workspace, &at.digest));
                    redirect(path).unwrap_or_else(|| ().into_any())
                }
                None => ().into_any(),
            }}
            {shown(read, move |view| content(view, sent))}
        </Frame>
    }
    .into_any()
}

/// A digest as titles have it.
fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..7).unwrap_or(hex).to_owned()
}

/// What came of moving places back.
fn came_of(moved: MovedBack) -> AnyView {
    let lines: Vec<AnyView> = (moved.words().into_iter())
        .map(|line| view! { <p>{line}</p> }.into_any())
        .collect();
    view! { <Notice meaning=Meaning::Quiet>{lines}</Notice> }.into_any()
}

fn content(view: Signal<RecallView>, sent: Sent) -> AnyView {
    view! {
        <div class="stack recall">
            {move || view.with(state)}
            {move || view.with(places)}
            {move || view.with(|view| actions(view, sent))}
            {move || view.with(lifted)}
        </div>
    }
    .into_any()
}

/// Whether it is recalled, by whom, when and why.
fn state(view: &RecallView) -> AnyView {
    let chip = view! {
        <p class="row">
            <BareDigest digest=view.digest.clone() />
            {view.tag.clone()}
        </p>
        <p class="mono break">{view.digest.to_string()}</p>
    };
    match &view.recall {
        Some(recall) => {
            let words = recall.words();
            view! {
                {chip}
                <section class="notice bad" aria-labelledby="recalled">
                    {icon("bad")}
                    <div class="body">
                        <p id="recalled">"This digest is recalled. It is not promoted by anyone, and not by automation."</p>
                        <p>{words}</p>
                    </div>
                </section>
            }
            .into_any()
        }
        None => view! {
            {chip}
            <p>
                "A recall marks this digest bad in all projects of the workspace. Promotions to it that have no commit yet end, and nothing promotes it again until someone lifts the recall."
            </p>
        }
        .into_any(),
    }
}

/// Where it runs and is to run.
fn places(view: &RecallView) -> AnyView {
    let total = view.places.len() + view.hidden;
    let heading = match total {
        0 => "It runs nowhere".to_owned(),
        1 => "1 place runs it or is to run it".to_owned(),
        many => format!("{many} places run it or are to run it"),
    };
    let rows: Vec<AnyView> = view.places.iter().map(|place| row(view, place)).collect();
    let table = (!rows.is_empty()).then(|| {
        view! {
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">"Place"</th>
                            <th scope="col">"Git"</th>
                            <th scope="col">"Live"</th>
                            <th scope="col">"Last good image"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
        }
    });
    let hidden = match view.hidden {
        0 => None,
        1 => Some("1 more is in an environment that you may not see.".to_owned()),
        many => Some(format!("{many} more are in environments that you may not see.")),
    };
    view! {
        <section class="stack tight" aria-labelledby="places">
            <h2 id="places">{heading}</h2>
            {table}
            {hidden.map(|hidden| view! { <p class="muted">{hidden}</p> })}
        </section>
    }
    .into_any()
}

fn row(view: &RecallView, place: &RecalledPlaceView) -> AnyView {
    let name = format!("{}/{}/{}", place.project, place.environment, place.resource);
    let href = format!("/w/{}/{name}", view.workspace);
    let good = match (&place.good, place.desired) {
        (_, false) => view! { <span class="muted">"Git says another image already"</span> }.into_any(),
        (Some(image), true) => view! { <DigestChip image=image.clone() tag=true /> }.into_any(),
        (None, true) => view! { <span>"None. Promote another image there."</span> }.into_any(),
    };
    let moving = place.moving.as_ref().map(|moving| {
        view! {
            {badge(meaning(moving.state), word(moving.state))}
            <a href=format!("/promotions/{}", moving.promotion)>{if moving.back { "Rollback" } else { "Promotion" }}</a>
        }
    });
    let denied = place.denied.clone().filter(|_| place.desired && view.denied.is_none());
    let yes = |is: bool| if is { "Yes" } else { "No" };
    view! {
        <tr>
            <th scope="row">
                <a href=href>{name}</a>
            </th>
            <td>{yes(place.desired)}</td>
            <td>{yes(place.live)}</td>
            <td>
                <div class="row">{good} {moving}</div>
                {denied.map(|why| view! { <p class="muted">{why}</p> })}
            </td>
        </tr>
    }
    .into_any()
}

/// What the actor may do about it now.
fn actions(view: &RecallView, sent: Sent) -> AnyView {
    if let Some(why) = &view.denied {
        return view! { <p class="muted">{why.clone()}</p> }.into_any();
    }
    let posted = untrack(move || sent.posted_draft().unwrap_or_default());
    let pending = move || sent.pending.get().then_some("true");
    let reason = |label: &'static str, help: &'static str| {
        view! {
            <TextField
                name="reason"
                label=label
                help=help.to_owned()
                value=posted.reason.clone()
                error=Signal::derive(move || sent.field_error("reason"))
            />
        }
    };
    if view.recall.is_none() {
        return view! {
            <form class="fields" method="post" on:submit=sent.on_submit() novalidate>
                {reason("Reason", "Everyone who is refused this image reads it.")}
                <div class="row">
                    <button class="button danger" name="intent" value="recall" aria-disabled=pending>
                        {format!("Recall {}", view.digest.short())}
                    </button>
                </div>
            </form>
        }
        .into_any();
    }
    let movable = view.movable();
    let back = (movable > 0).then(|| {
        let label = match movable {
            1 => "Move 1 place back".to_owned(),
            many => format!("Move {many} places back"),
        };
        view! {
            <form class="fields" method="post" on:submit=sent.on_submit() novalidate>
                <p>
                    "Each place goes back to its last good image, and stays there until someone resumes it. Gates hold a rollback where the policy of the environment says so."
                </p>
                <label class="check">
                    <input
                        type="checkbox"
                        id=field_id("break_glass")
                        name="break_glass"
                        value="true"
                        checked=posted.break_glass.is_some()
                    />
                    "Override shut gates where their policy lets me"
                </label>
                <div class="row">
                    <button class="button primary" name="intent" value="move" aria-disabled=pending>
                        {label}
                    </button>
                </div>
            </form>
        }
    });
    view! {
        {back}
        <details>
            <summary>"Lift the recall"</summary>
            <form class="fields" method="post" on:submit=sent.on_submit() novalidate>
                {reason("Reason", "Why the digest may be promoted again. It is recorded.")}
                <div class="row">
                    <button class="button" name="intent" value="lift" aria-disabled=pending>
                        "Lift the recall"
                    </button>
                </div>
            </form>
        </details>
    }
    .into_any()
}

/// Recalls of it that are over.
fn lifted(view: &RecallView) -> AnyView {
    let lines: Vec<AnyView> = view.lifted.iter().map(over).collect();
    if lines.is_empty() {
        return ().into_any();
    }
    view! {
        <section class="stack tight" aria-labelledby="lifted">
            <h2 id="lifted">"Lifted recalls"</h2>
            <ul class="plain">{lines}</ul>
        </section>
    }
    .into_any()
}

fn over(recall: &Recall) -> AnyView {
    let lifted = recall.lifted.as_ref().map(|lifted| {
        let reason = domain::recall::sentence_end(&lifted.reason);
        format!(" {} lifted it on {}: {reason}", lifted.by.name(), lifted.at.exact())
    });
    view! { <li>{recall.words()} {lifted}</li> }.into_any()
}
