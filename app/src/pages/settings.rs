//! Settings of a workspace, for its administrators: members, groups, tokens, notifications. One page with a section each.
//!
//! Every button posts the page ([`post`]); what comes of it is said above the section, and a secret is shown there once.

mod groups;
mod members;
mod notifications;
mod post;
mod tokens;

use crate::{
    api::{
        group::{self, GroupsView},
        member::{self, MembersView},
        notification::{self, NotificationsView},
        token::{self, TokensView},
    },
    components::{
        digest_chip::copy_button,
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
    },
    error::AppError,
    form::{Form, form},
    live,
    pages::error::shown,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use post::{Done, SettingsPost, carry_out};
use serde::{Deserialize, Serialize};

/// What a section shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum SettingsView {
    Members(MembersView),
    Groups(GroupsView),
    Tokens(TokensView),
    Notifications(NotificationsView),
}

/// The form of all sections.
type Sent = Form<SettingsPost, Done>;

/// The sections: last part of the address, name.
const SECTIONS: [(&str, &str); 4] = [
    ("members", "Members"),
    ("groups", "Groups"),
    ("tokens", "Tokens"),
    ("notifications", "Notifications"),
];

/// The settings of a workspace.
#[component]
pub fn Settings() -> AnyView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        params.with(|p| {
            let section = p.get("section").unwrap_or_else(|| SECTIONS[0].0.to_owned());
            (p.get("workspace").unwrap_or_default(), section)
        })
    });
    let sent: Sent = form(move |post: SettingsPost| carry_out(post, place.get_untracked().0));
    let read = live::read(
        move || place.get(),
        move |(workspace, section)| async move {
            // What a plain post changed is to be seen below it.
            sent.settled().await;
            section_of(workspace, &section).await
        },
        |(workspace, _), changed| changed.workspace == *workspace && changed.project.is_none(),
    );
    Effect::new(move |_| {
        if sent.sent_and_done() {
            read.refetch();
        }
    });
    let name = Memo::new(move |_| {
        let (_, section) = place.get();
        let known = SECTIONS.iter().find(|(path, _)| *path == section);
        known.map_or("Settings", |(_, name)| name)
    });
    let title = Signal::derive(move || format!("{} · {}", name.get(), place.get().0));
    let crumbs = Signal::derive(move || {
        let (workspace, section) = place.get();
        let settings = format!("/w/{workspace}/-/settings");
        vec![
            Crumb::new("Projects", "/"),
            Crumb::new(format!("{workspace} settings"), settings.clone()),
            Crumb::new(name.get(), format!("{settings}/{section}")),
        ]
    });
    view! {
        <Frame title=title crumbs=crumbs>
            <div class="page-head">
                <div class="title">
                    <h1>{move || name.get()}</h1>
                </div>
            </div>
            {move || {
                let (workspace, section) = place.get();
                tabs(&workspace, &section)
            }}
            <ErrorSummary error=Signal::derive(move || sent.error()) />
            {move || sent.done().map(said)}
            <div class="stack settings" on:submit=sent.on_submit()>
                {shown(read, move |view| section_view(view, sent))}
            </div>
        </Frame>
    }
    .into_any()
}

async fn section_of(workspace: String, section: &str) -> Result<SettingsView, AppError> {
    match section {
        "members" => member::members(workspace).await.map(SettingsView::Members),
        "groups" => group::groups(workspace).await.map(SettingsView::Groups),
        "tokens" => token::tokens(workspace).await.map(SettingsView::Tokens),
        "notifications" => notification::notifications(workspace)
            .await
            .map(SettingsView::Notifications),
        _ => Err(AppError::NotFound(
            "There is no such page of settings. Choose one of those above.".into(),
        )),
    }
}

fn section_view(view: Signal<SettingsView>, sent: Sent) -> AnyView {
    let section = Memo::new(move |_| view.with(std::mem::discriminant));
    view! {
        {move || {
            section.track();
            match view.get_untracked() {
                SettingsView::Members(_) => members::section(view, sent),
                SettingsView::Groups(_) => groups::section(view, sent),
                SettingsView::Tokens(_) => tokens::section(view, sent),
                SettingsView::Notifications(_) => notifications::section(view, sent),
            }
        }}
    }
    .into_any()
}

fn tabs(workspace: &str, section: &str) -> AnyView {
    let links: Vec<AnyView> = SECTIONS
        .iter()
        .map(|(path, name)| {
            let here = (section == *path).then_some("page");
            view! {
                <li>
                    <a href=format!("/w/{workspace}/-/settings/{path}") aria-current=here>
                        {*name}
                    </a>
                </li>
            }
            .into_any()
        })
        .collect();
    view! {
        <nav class="tabs" aria-label="Settings">
            <ul>{links}</ul>
        </nav>
    }
    .into_any()
}

/// What came of a post.
fn said(done: Done) -> AnyView {
    let (words, secret) = match done {
        Done::Said(words) => (words, None),
        Done::Invited(made) => (
            format!(
                "{} is invited. Send them this link: it is shown only now, works once, and ends in 7 days.",
                made.email
            ),
            Some(made.link),
        ),
        Done::Made(made) => (
            format!("Token {} is made. Copy it: it is shown only now.", made.name),
            Some(made.secret),
        ),
        Done::Added(made) if made.secret.is_some() => (
            format!(
                "Channel {} is added. Its requests are signed with this key: it is shown only now.",
                made.name
            ),
            made.secret,
        ),
        Done::Added(made) => (
            format!("Channel {} is added. Send a test to try it out.", made.name),
            None,
        ),
    };
    let secret = secret.map(|secret| {
        view! {
            <p class="secret">
                <code class="mono break" id="secret">
                    {secret.clone()}
                </code>
                {copy_button(secret, "Copy")}
            </p>
        }
    });
    view! {
        <Notice meaning=Meaning::Good>
            <p>{words}</p>
            {secret}
        </Notice>
    }
    .into_any()
}

/// A button that posts the form around it.
fn button(sent: Sent, intent: &'static str, word: &'static str, class: &'static str) -> AnyView {
    view! {
        <button
            type="submit"
            class=class
            name="intent"
            value=intent
            aria-disabled=move || sent.pending.get().then_some("true")
        >
            {word}
        </button>
    }
    .into_any()
}
