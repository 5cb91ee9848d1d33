//! The inbox: what waits for me, with enough on the row to decide there.
//!
//! `j` and `k` move, `a` approves, `r` goes to the reason for a rejection, `?` says so. Without a script each row is a plain form.

use crate::{
    api::{
        inbox::{InboxItem, approve, inbox, reject},
        promotion::MaySay,
    },
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
    form::{Form, form_in_turn, redirect},
    live,
    pages::error::shown,
};
use contract::error::AppError;
use domain::{id::PromotionId, time::Timestamp};
use leptos::{ev, prelude::*};
use leptos_router::hooks::use_query_map;
use wasm_bindgen::JsCast;

/// The page.
#[component]
pub fn Inbox() -> impl IntoView {
    let sent = form_in_turn::<DecisionPost, (), _>(|post| async move {
        let (id, comment) = (post.id.clone(), post.comment.clone());
        let outcome = match post.intent.as_str() {
            "approve" => Some(approve(id, comment).await),
            "reject" => Some(reject(id, comment).await),
            _ => None,
        };
        (post, outcome)
    });
    let query = use_query_map();
    let before = Memo::new(move |_| query.with(|query| query.get("before").unwrap_or_default()));
    let read = live::read(move || before.get(), inbox, |_, change| change.promotion.is_some());
    Effect::new(move |before: Option<()>| {
        let is_over = !sent.pending.get();
        if (is_over || sent.sent_and_done()) && before.is_some() {
            read.refetch();
        }
    });
    let crumbs = Signal::stored(vec![Crumb::new("Inbox", "/inbox")]);
    view! {
        <Frame title=Signal::stored("Inbox".to_owned()) crumbs>
            {move || {
                sent.done().and_then(|_| redirect("/inbox".into()))
            }}
            {shown(
                read,
                move |view| {
                    let now = live::now(Signal::derive(move || view.with(|view| view.now)));
                    let ids = Memo::new(move |_| {
                        view.with(|view| view.items.iter().map(|item| (item.asked_at, item.id)).collect::<Vec<_>>())
                    });
                    let total = Memo::new(move |_| view.with(|view| view.total));
                    let older = Memo::new(move |_| view.with(|view| view.older));
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
                            {move || ids.with(Vec::is_empty).then(|| view! { <p>"Nothing older waits for you."</p> })}
                            <ul class="inbox">
                                <For
                                    each=move || ids.get()
                                    key=|(_, id)| *id
                                    children=move |(_, id)| {
                                        let item = Memo::new(move |last: Option<&Option<InboxItem>>| {
                                            let now = view.with(|view| view.items.iter().find(|item| item.id == id).cloned());
                                            now.or_else(|| last.cloned().flatten())
                                        });
                                        row(item, sent, now)
                                    }
                                />
                            </ul>
                            {move || pages(!before.with(String::is_empty), older.get())}
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
                        {keys(ids)}
                        <details class="muted small needs-script" id="keys">
                            <summary>"Keys"</summary>
                            <p>"j and k move, a approves, r goes to the reason for a rejection, ? shows this."</p>
                        </details>
                    }
                        .into_any()
                },
            )}
        </Frame>
    }
    .into_any()
}

/// The way to newer and older ones, where there are any.
fn pages(is_older: bool, older: Option<PromotionId>) -> Option<AnyView> {
    let newest = is_older.then(|| view! { <a href="/inbox">"Newest"</a> });
    let older = older.map(|id| view! { <a href=format!("/inbox?before={id}")>"Older"</a> });
    (newest.is_some() || older.is_some()).then(|| {
        view! {
            <nav class="row" aria-label="Pages">
                {newest}
                {older}
            </nav>
        }
        .into_any()
    })
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
    // Somebody else may have been faster: what is said of an approval is true then, too.
    let word = if post.intent == "reject" {
        "Rejected. "
    } else {
        "Done: it waits for you no more. "
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
            view! {
                <li class=format!("says {}", meaning.class()) title=gate.why.clone()>
                    {icon(meaning.icon())}
                    <span>{gate.short.clone()}</span>
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
                    decide(&id, &format!("-{id}"), &label, MaySay::ApproveOrReject, comment, error, sent.pending)
                }}
            </form>
        </li>
    }
    .into_any()
}

/// `j`, `k`, `a` and `r`, unless somebody types.
fn keys(ids: Memo<Vec<(i64, PromotionId)>>) -> AnyView {
    // Where the keys were last: when that row goes, `j` goes on to the one that takes its place. It isn't chosen by itself, so that a key
    // pressed twice decides about nothing unseen.
    let last = StoredValue::new(None::<(i64, PromotionId)>);
    let handle = window_event_listener(ev::keydown, move |event| {
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
        if let Some(at) = at {
            last.set_value(ids.with_untracked(|ids| ids.get(at).copied()));
        }
        // Newest first: of a row that is gone, the first that is older.
        let next = || {
            let last = last.get_value()?;
            ids.with_untracked(|ids| ids.iter().position(|id| *id < last).or(Some(ids.len())))
        };
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
            "j" => go(at.map(|at| at + 1).or_else(next).or(Some(0))),
            "k" => go(at.or_else(next).map_or(Some(0), |at| at.checked_sub(1))),
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
