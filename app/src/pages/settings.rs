//! Settings of a workspace, for its administrators: members, groups, tokens, registries, clusters, Git, source repositories, notifications. One page with a section each.
//!
//! Every button posts the page ([`post`]); what comes of it is said above the section, or beside the button where that is far below
//! ([`BESIDE`]), and a secret is shown there once.
//! Registries, clusters and repositories are a list, or the form of one (`?edit=NAME`, `?new`).

use crate::{
    api::{
        connection::{self, ClustersView, RegistriesView, RepositoriesView},
        group::{self, GroupsView},
        member::{self, MembersView},
        notification::{self, NotificationsView},
        source::{self, SourceHostsView},
        token::{self, TokensView},
    },
    components::{
        digest_chip::copy_button,
        frame::{Crumb, Frame},
        notice::{ErrorSummary, Notice},
        state_badge::Meaning,
    },
    form::{self, Form, form_read_by},
    live,
    pages::error::shown,
};
use contract::error::AppError;

mod clusters;
mod fields;
mod groups;
mod members;
mod notifications;
mod post;
mod registries;
mod repositories;
mod sources;
mod tested;
mod tokens;
mod trusted_roots;

use domain::notification::DeliveryState;
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_params_map, use_query_map},
};
use post::{SettingsOutcome, SettingsPost, carry_out};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;

/// What a section shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum SettingsView {
    Members(MembersView),
    Groups(GroupsView),
    Tokens(TokensView),
    Registries(RegistriesView),
    Clusters(ClustersView),
    Repositories(RepositoriesView),
    Sources(SourceHostsView),
    Notifications(NotificationsView),
}

/// The form of whichever section it is.
type Sent = Form<SettingsPost, SettingsOutcome>;
/// The sections: last part of the address, name.
const SECTIONS: [(&str, &str); 8] = [
    ("members", "Members"),
    ("groups", "Groups"),
    ("tokens", "Tokens"),
    ("registries", "Registries"),
    ("clusters", "Clusters"),
    ("git", "Git"),
    ("sources", "Source repositories"),
    ("notifications", "Notifications"),
];
/// Buttons that may stand far below the top of the page: what comes of them is said beside them.
const BESIDE: [&str; 5] = [
    "test-registry",
    "test-cluster",
    "test-repository",
    "add-channel",
    "create-token",
];
/// Id of what is said beside a button. A plain post leads to it, and with a script it takes the focus.
const ANSWER: &str = "answer";
/// A section of the page, and which of its forms: `None` for the list, empty for something new.
type SettingsAddress = ((String, String), Option<String>);

/// Where people are, and whether the newest post was of there: what came of another place's is not said here.
#[derive(Clone, Copy)]
struct Here {
    sent: Sent,
    /// The form that is asked for.
    asked: Memo<Option<String>>,
    place: Memo<SettingsAddress>,
    /// Where the newest post came from.
    from: RwSignal<SettingsAddress>,
}

impl Here {
    fn is_here(self) -> bool {
        self.from.with(|from| self.place.with(|place| from == place))
    }

    /// Whether the page is the answer to a plain post that saved something: its form has done its work.
    fn is_saved(self) -> bool {
        untrack(move || {
            self.is_here()
                && self.sent.posted_draft().is_some()
                && matches!(self.sent.done(), Some(SettingsOutcome::Saved(_)))
        })
    }

    /// The form as it was posted in vain, to be filled in again.
    fn posted(self) -> Option<SettingsPost> {
        untrack(move || self.sent.posted_draft().filter(|_| self.is_here() && !self.is_saved()))
    }

    /// What came of the newest post, where it is to be said: beside its button, or above the section.
    fn done(self, is_beside: bool) -> Option<(SettingsPost, SettingsOutcome)> {
        let post = self.sent.latest().filter(|_| self.is_here())?;
        let is_said_here = BESIDE.contains(&post.draft.intent()) == is_beside;
        Some((post.draft, post.outcome?.ok()?)).filter(|_| is_said_here)
    }

    /// What came of the button beside which this stands, by its post.
    fn answer(self, is_of: impl Fn(&SettingsPost) -> bool + Send + 'static) -> AnyView {
        let answer = move || {
            let (_, done) = self.done(true).filter(|(post, _)| is_of(post))?;
            Some(view! { <div id=ANSWER tabindex="-1">{said(done)}</div> })
        };
        view! { {answer} }.into_any()
    }

    /// The workspace.
    fn workspace(self) -> String {
        self.place.with_untracked(|((workspace, _), _)| workspace.clone())
    }

    /// Whether the form comes back from a plain post.
    fn comes_back(self) -> bool {
        self.posted().is_some()
    }
}

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
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(|query| query.get("edit").or(query.get("new").map(|_| String::new()))));
    let whole_place = Memo::new(move |_| (place.get(), asked.get()));
    let from = RwSignal::new(whole_place.get_untracked());
    let sent: Sent = form_read_by(post::read, move |post: SettingsPost| {
        from.set(whole_place.get_untracked());
        carry_out(post, place.get_untracked().0)
    });
    let here = Here {
        sent,
        asked,
        place: whole_place,
        from,
    };
    let read = live::read(
        move || place.get(),
        move |(workspace, section)| async move {
            // What a plain post changed is to be seen below it.
            sent.settled().await;
            section_of(workspace, &section).await
        },
        |(workspace, _), changed| changed.workspace == *workspace && changed.project.is_none(),
    );
    let navigate = use_navigate();
    Effect::new(move |_| {
        if sent.sent_and_done() {
            if untrack(move || here.done(true)).is_some() {
                form::focus_soon(ANSWER);
            }
            // A test changes nothing. Drawn anew, the page would lose what is said in it, and the focus.
            if matches!(sent.done(), Some(SettingsOutcome::Tested(_))) {
                return;
            }
            read.refetch();
            if matches!(sent.done(), Some(SettingsOutcome::Added(_))) {
                begin_anew("new-channel");
            }
            if matches!(sent.done(), Some(SettingsOutcome::Saved(_))) && asked.get_untracked().is_some() {
                let (workspace, section) = place.get_untracked();
                let to = format!("/w/{workspace}/-/settings/{section}");
                from.set(((workspace, section), None));
                navigate(&to, NavigateOptions::default());
            }
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
            <ErrorSummary error=Signal::derive(move || sent.error().filter(|_| here.is_here())) />
            {move || here.done(false).map(|(_, done)| said(done))}
            <div class="stack settings" on:submit=sent.on_submit()>
                {shown(read, move |view| section_view(view, here))}
            </div>
            <p>
                <a class="button plain danger small" href=move || format!("/w/{}/-/delete", place.get().0)>
                    {move || format!("Delete workspace {}…", place.get().0)}
                </a>
            </p>
        </Frame>
    }
    .into_any()
}

async fn section_of(workspace: String, section: &str) -> Result<SettingsView, AppError> {
    match section {
        "members" => member::members(workspace).await.map(SettingsView::Members),
        "groups" => group::groups(workspace).await.map(SettingsView::Groups),
        "tokens" => token::tokens(workspace).await.map(SettingsView::Tokens),
        "registries" => connection::registries(workspace).await.map(SettingsView::Registries),
        "clusters" => connection::clusters(workspace).await.map(SettingsView::Clusters),
        "git" => connection::repositories(workspace)
            .await
            .map(SettingsView::Repositories),
        "sources" => source::source_hosts(workspace).await.map(SettingsView::Sources),
        "notifications" => notification::notifications(workspace)
            .await
            .map(SettingsView::Notifications),
        _ => Err(AppError::NotFound(
            "There is no such page of settings. Choose one of those above.".into(),
        )),
    }
}

fn section_view(view: Signal<SettingsView>, here: Here) -> AnyView {
    let sent = here.sent;
    let section = Memo::new(move |_| view.with(std::mem::discriminant));
    view! {
        {move || {
            section.track();
            match view.get_untracked() {
                SettingsView::Members(_) => members::section(view, sent),
                SettingsView::Groups(_) => groups::section(view, sent),
                SettingsView::Tokens(_) => tokens::section(view, here),
                SettingsView::Registries(_) => registries::section(view, here),
                SettingsView::Clusters(_) => clusters::section(view, here),
                SettingsView::Repositories(_) => repositories::section(view, here),
                SettingsView::Sources(_) => sources::section(view, here),
                SettingsView::Notifications(_) => notifications::section(view, here),
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

/// Empties the form of a section, by its heading's id: what it was filled in for is there now.
fn begin_anew(heading: &str) {
    let form = document()
        .query_selector(&format!("[aria-labelledby=\"{heading}\"] form"))
        .ok()
        .flatten()
        .and_then(|form| form.dyn_into::<web_sys::HtmlFormElement>().ok());
    if let Some(form) = form {
        form.reset();
    }
}

/// What came of a post.
fn said(done: SettingsOutcome) -> AnyView {
    let mut meaning = Meaning::Good;
    let (words, secret) = match done {
        SettingsOutcome::Tried(tried) => {
            meaning = match tried.state {
                DeliveryState::Delivered => Meaning::Good,
                DeliveryState::Waiting => Meaning::Waiting,
                DeliveryState::GivenUp => Meaning::Bad,
            };
            (tried.words, None)
        }
        SettingsOutcome::Said(words) | SettingsOutcome::Saved(words) => (words, None),
        SettingsOutcome::Tested(test) => return tested::tested(&test),
        SettingsOutcome::Invited(made) => (
            format!(
                "{} is invited. Send them this link: it is shown only now, works once, and ends in 7 days.",
                made.email
            ),
            Some(made.link),
        ),
        SettingsOutcome::Made(made) => (
            format!("Token {} is made. Copy it: it is shown only now.", made.name),
            Some(made.secret),
        ),
        SettingsOutcome::Added(made) if made.secret.is_some() => (
            format!(
                "Channel {} is added. Its requests are signed with this key: it is shown only now.",
                made.name
            ),
            made.secret,
        ),
        SettingsOutcome::Added(made) => (
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
        <Notice meaning=meaning>
            <p>{words}</p>
            {secret}
        </Notice>
    }
    .into_any()
}

/// A button that posts the form around it.
fn button(sent: Sent, intent: impl Into<&'static str>, word: &'static str, class: &'static str) -> AnyView {
    labelled_button(sent, intent, word, class, None)
}

/// The same with a name of its own for those who hear it, where many buttons have the same word.
fn labelled_button(
    sent: Sent,
    intent: impl Into<&'static str>,
    word: &'static str,
    class: &'static str,
    label: Option<String>,
) -> AnyView {
    let intent = intent.into();
    view! {
        <button
            type="submit"
            class=class
            name="intent"
            value=intent
            aria-label=label
            formaction=BESIDE.contains(&intent).then(|| format!("#{ANSWER}"))
            aria-disabled=move || sent.pending.get().then_some("true")
        >
            {word}
        </button>
    }
    .into_any()
}
