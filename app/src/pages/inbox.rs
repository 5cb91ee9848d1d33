//! The inbox: what waits for me, with enough on the row to decide there.
//!
//! `j` and `k` move, `a` approves, `r` goes to the reason for a rejection, `?` says so. Without a script each row is a plain form.

use crate::{
    api::inbox::{InboxItem, approve, inbox, reject},
    components::{
        decide::{DecisionPost, decide},
        empty_state::EmptyState,
        flow_strip::{FlowEnd, FlowStrip},
        frame::{Crumb, Frame},
        gates::meaning,
        icon::icon,
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
        time::Ago,
    },
    error::AppError,
    form::{Form, form},
    live,
    pages::error::shown,
};
use domain::time::Timestamp;
use leptos::{ev, prelude::*};
use leptos_router::components::Redirect;
use wasm_bindgen::JsCast;

/// The page.
#[component]
pub fn Inbox() -> impl IntoView {
    let sent = form::<DecisionPost, (), _>(|post| async move {
        let (id, comment) = (post.id.clone(), post.comment.clone());
        let outcome = match post.intent.as_str() {
            "approve" => Some(approve(id, comment).await),
            "reject" => Some(reject(id, comment).await),
            _ => None,
        };
        (post, outcome)
    });
    let read = live::read(|| (), |()| inbox(), |(), change| change.promotion.is_some());
    Effect::new(move |before: Option<()>| {
        if sent.sent_and_done() && before.is_some() {
            read.refetch();
        }
    });
    let crumbs = Signal::stored(vec![Crumb::new("Inbox", "/inbox")]);
    view! {
        <Frame title=Signal::stored("Inbox".to_owned()) crumbs>
            {move || {
                // A plain post is led to the page itself, so that reading it again posts nothing.
                let is_done = sent.done().is_some() && cfg!(feature = "ssr");
                is_done.then(|| view! { <Redirect path="/inbox" /> })
            }}
            {shown(
                read,
                move |view| {
                    let now = live::now(Signal::derive(move || view.with(|view| view.now)));
                    let ids = Memo::new(move |_| {
                        view.with(|view| view.items.iter().map(|item| item.id).collect::<Vec<_>>())
                    });
                    let total = Memo::new(move |_| view.with(|view| view.total));
                    let error = Signal::derive(move || sent.error());
                    let list = move || {
                        if total.get() == 0 {
                            return view! {
                                <EmptyState title="Nothing waits for you">
                                    <p>"Promotions that need your approval are listed here as soon as they are asked for."</p>
                                </EmptyState>
                            }
                                .into_any();
                        }
                        view! {
                            <ul class="inbox">
                                <For
                                    each=move || ids.get()
                                    key=|id| *id
                                    children=move |id| {
                                        let item = Memo::new(move |last: Option<&Option<InboxItem>>| {
                                            let now = view.with(|view| view.items.iter().find(|item| item.id == id).cloned());
                                            now.or_else(|| last.cloned().flatten())
                                        });
                                        row(item, sent, now)
                                    }
                                />
                            </ul>
                        }
                            .into_any()
                    };
                    view! {
                        <div class="page-head">
                            <div class="title">
                                <h1>"Inbox"</h1>
                                <p role="status">{move || said(total.get())}</p>
                            </div>
                        </div>
                        <ErrorSummary error />
                        {move || done(sent)}
                        {list}
                        <details class="muted small needs-script" id="keys">
                            <summary>"Keys"</summary>
                            <p>"j and k move, a approves, r goes to the reason for a rejection, ? shows this."</p>
                        </details>
                    }
                        .into_any()
                },
            )}
            {keys()}
        </Frame>
    }
    .into_any()
}

fn said(total: usize) -> String {
    match total {
        0 => "Nothing waits for you.".into(),
        1 => "1 promotion waits for you.".into(),
        n => format!("{n} promotions wait for you, newest first."),
    }
}

fn done(sent: Form<DecisionPost, ()>) -> Option<AnyView> {
    let post = sent.latest().filter(|_| sent.sent_and_done())?.draft;
    let word = if post.intent == "reject" {
        "Rejected. "
    } else {
        "Approved. "
    };
    let href = format!("/promotions/{}", post.id);
    Some(
        view! {
            <Notice meaning=Meaning::Good>
                <p>{word} <a href=href>"See the promotion"</a></p>
            </Notice>
        }
        .into_any(),
    )
}

/// What is to be decided.
fn what(item: &InboxItem, now: Signal<Timestamp>) -> AnyView {
    let href = format!("/promotions/{}", item.id);
    let from = match &item.origin {
        Some((environment, resource)) => format!("{environment}/{resource}"),
        None => item.image.repository.to_string(),
    };
    let gates: Vec<_> = item
        .gates
        .iter()
        .map(|gate| {
            let (meaning, word) = meaning(gate.state);
            let words = format!("{}: {}", gate.id.title(), gate.short);
            view! {
                <li class=format!("says {}", meaning.class()) title=gate.why.clone()>
                    {icon(meaning.icon())}
                    <span>{words}</span>
                    <span class="visually-hidden">{format!(" ({word})")}</span>
                </li>
            }
        })
        .collect();
    view! {
                <p class="row">
                    <a class="title" href=href>
                        {format!("{} → {}", item.resource, item.environment)}
                    </a>
                    <span class="muted">{item.project.to_string()}</span>
                </p>
                <FlowStrip
                    from=FlowEnd {
                        place: from,
                        image: Some(item.image.clone()),
                    }
                    to=FlowEnd {
                        place: format!("{}/{}", item.environment, item.resource),
                        image: item.previous.clone(),
                    }
                />
                <ul class="row small">{gates}</ul>
                <p class="muted small">
                    "Asked for by " <strong>{item.requested_by.clone()}</strong> " " <Ago at=item.created_at now />
                </p>
    }
    .into_any()
}

/// A row: what it is about is told anew whenever that changes; what somebody types beside it stays.
fn row(item: Memo<Option<InboxItem>>, sent: Form<DecisionPost, ()>, now: Signal<Timestamp>) -> AnyView {
    let Some(first) = item.get_untracked() else {
        return ().into_any();
    };
    let id = first.id.to_string();
    let label = format!("{} to {}", first.resource, first.environment);
    let mine = {
        let id = id.clone();
        move || sent.latest().filter(|post| post.draft.id == id)
    };
    let typed = mine.clone();
    view! {
        <li class="panel padded waits" tabindex="-1" data-waits="">
            <div class="what">{move || item.get().map(|item| what(&item, now))}</div>
            <form class="decide" method="post" on:submit=sent.on_submit()>
                {move || {
                    let error = mine().and_then(|post| post.outcome?.err());
                    let error = error.as_ref().and_then(AppError::fields).and_then(|errors| errors.get("comment").map(str::to_owned));
                    let comment = typed().map(|post| post.draft.comment).unwrap_or_default();
                    decide(&id, &format!("-{id}"), &label, comment, error, sent.pending)
                }}
            </form>
        </li>
    }
    .into_any()
}

/// `j`, `k`, `a` and `r`, unless somebody types.
fn keys() -> AnyView {
    let handle = window_event_listener(ev::keydown, |event| {
        let is_typing = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|target| ["INPUT", "TEXTAREA", "SELECT"].contains(&target.tag_name().as_str()));
        if is_typing || event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let rows = rows();
        let here = document().active_element();
        let at = rows
            .iter()
            .position(|row| here.as_ref().is_some_and(|here| row.contains(Some(here))));
        let press = |selector: &str, click: bool| {
            let found = at.and_then(|at| rows.get(at)?.query_selector(selector).ok()?);
            if let Some(element) = found.and_then(|found| found.dyn_into::<web_sys::HtmlElement>().ok()) {
                event.prevent_default();
                if click {
                    element.click()
                } else {
                    let _ = element.focus();
                }
            }
        };
        let go = |to: Option<usize>| {
            if let Some(row) = to.and_then(|to| rows.get(to)) {
                event.prevent_default();
                let _ = row.focus();
            }
        };
        match event.key().as_str() {
            "j" => go(Some(at.map_or(0, |at| at + 1))),
            "k" => go(at.map_or(Some(0), |at| at.checked_sub(1))),
            "a" => press("button[value=approve]", true),
            "r" => press("input[name=comment]", false),
            "?" => {
                let keys = document().query_selector("#keys > summary").ok().flatten();
                if let Some(keys) = keys.and_then(|keys| keys.dyn_into::<web_sys::HtmlElement>().ok()) {
                    keys.click();
                }
            }
            _ => {}
        }
    });
    on_cleanup(move || handle.remove());
    ().into_any()
}

fn rows() -> Vec<web_sys::HtmlElement> {
    let Ok(found) = document().query_selector_all("[data-waits]") else {
        return Vec::new();
    };
    (0..found.length())
        .filter_map(|i| found.get(i)?.dyn_into().ok())
        .collect()
}
