//! Source repositories: the hosts whose history Waybill may read, to list the commits between two images.

use super::{
    Here, SettingsView, button,
    fields::{error_of, secret, set, text},
    labelled_button,
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::{
        connection::Secrets,
        source::{SourceHostDraft, SourceHostView, SourceHostsView, remove_source_host, save_source_host},
    },
    components::{
        empty_state::EmptyState,
        field::{TextField, tick},
        time::Ago,
    },
    live,
};
use contract::error::AppError;
use domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    SaveSourceHost,
    RemoveSourceHost,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    #[serde(default)]
    pub(super) source: SourceHostDraft,
    /// What goes with it; never given back.
    #[serde(default, skip_serializing)]
    pub(super) secrets: Secrets,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        match self.intent {
            Intent::SaveSourceHost => save_source_host(workspace, self.source, self.secrets)
                .await
                .map(SettingsOutcome::Saved),
            Intent::RemoveSourceHost => {
                let host = self.source.was;
                remove_source_host(workspace, host.clone()).await?;
                Ok(SettingsOutcome::Said(format!("{host} and its token are removed.")))
            }
        }
    }
}

pub(super) fn section(view: Signal<SettingsView>, here: Here) -> AnyView {
    view! {
        {move || match here.asked.get() {
            Some(was) if !here.is_saved() => form(view, &was, here),
            _ => list(view, here),
        }}
    }
    .into_any()
}

fn list(view: Signal<SettingsView>, here: Here) -> AnyView {
    let now = live::now(Signal::derive(move || {
        view.with(|view| match view {
            SettingsView::Sources(view) => view.now,
            _ => Timestamp(0),
        })
    }));
    let hosts = move || {
        view.with(|view| match view {
            SettingsView::Sources(view) => all(view, now, here),
            _ => ().into_any(),
        })
    };
    view! {
        <p class="muted">
            "An image's labels name the repository and the commit that it was built from. Waybill reads the history of repositories on these hosts, without their files, and lists the commits of a promotion. Other hosts are never contacted."
        </p>
        {hosts}
        <p>
            <a class="button primary" href="?new">
                "Add a host"
            </a>
        </p>
    }
    .into_any()
}

fn all(view: &SourceHostsView, now: Signal<Timestamp>, here: Here) -> AnyView {
    if view.hosts.is_empty() {
        return view! {
            <EmptyState title="No host yet">
                <p>
                    "Add the host of your source repositories, with a user who can read them. Until then, promotions show a link to compare the commits where the host is known, such as github.com."
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let hosts: Vec<AnyView> = view.hosts.iter().map(|host| one(host, now, here)).collect();
    view! { <div class="stack">{hosts}</div> }.into_any()
}

fn one(host: &SourceHostView, now: Signal<Timestamp>, here: Here) -> AnyView {
    let draft = &host.draft;
    let name = draft.was.clone();
    let how = if draft.plain_http { "Plain HTTP" } else { "HTTPS" };
    let reads = match draft.user.as_str() {
        "" => "without signing in".to_owned(),
        user => format!("as {user}, token {}", set(host.has_token)),
    };
    view! {
        <section class="panel padded stack tight group" aria-label=format!("Host {name}")>
            <h2 class="mono">{name.clone()}</h2>
            <dl class="facts">
                <dt>"Connection"</dt>
                <dd>{how}</dd>
                <dt>"Reads"</dt>
                <dd>{reads}</dd>
                <dt>"Added"</dt>
                <dd>{format!("by {} ", host.added_by)} <Ago at=host.added_at now /></dd>
            </dl>
            <form method="post" class="row">
                <input type="hidden" name="source[was]" value=name.clone() />
                <a class="button small" href=format!("?edit={name}")>
                    "Edit"
                    <span class="visually-hidden">{format!(" {name}")}</span>
                </a>
                {labelled_button(
                    here.sent,
                    Intent::RemoveSourceHost,
                    "Remove",
                    "button plain danger small",
                    Some(format!("Remove {name}")),
                )}
            </form>
        </section>
    }
    .into_any()
}

/// The form of one host; `was` is empty for a new one.
fn form(view: Signal<SettingsView>, was: &str, here: Here) -> AnyView {
    let stored = view.with_untracked(|view| match view {
        SettingsView::Sources(view) => view.hosts.iter().find(|known| known.draft.was == was).cloned(),
        _ => None,
    });
    if stored.is_none() && !was.is_empty() {
        let missing = format!("{was} is not listed. ");
        return view! {
            <EmptyState title="No such host">
                <p>
                    {missing} <a href="?">"See those that there are"</a>
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let has_token = stored.as_ref().is_some_and(|stored| stored.has_token);
    let posted = here.posted().and_then(|post| match post {
        SettingsPost::Sources(post) => Some(post.source),
        _ => None,
    });
    let draft = posted.or(stored.map(|stored| stored.draft)).unwrap_or_default();
    let (title, host) = if was.is_empty() {
        let error = error_of(here, "source[host]");
        let field = view! {
            <TextField
                name="source[host]"
                label="Host"
                value=draft.host.clone()
                help="With the port if there is one: github.com, git.example.com:8443."
                required=true
                mono=true
                error=error
            />
        };
        ("New host".to_owned(), field.into_any())
    } else {
        let hidden = view! { <input type="hidden" name="source[was]" value=was.to_owned() /> };
        (format!("Host {was}"), hidden.into_any())
    };
    view! {
        <section class="stack" aria-labelledby="source-host">
            <h2 id="source-host">{title}</h2>
            <form method="post" class="fields" novalidate>
                {host}
                {tick("source[plain_http]", "Use plain HTTP (no TLS)", draft.plain_http)}
                {text(
                    here,
                    "source[user]",
                    "User",
                    &draft.user,
                    "Who may read the repositories, and nothing else. Members of this workspace see subjects and authors of commits there. Leave empty to read without signing in.",
                )}
                {secret(here, "secrets[source_token]", "Token", has_token)}
                {(has_token || draft.anonymous).then(|| tick(
                    "source[anonymous]",
                    "Read without signing in, and forget user and token",
                    draft.anonymous,
                ))}
                <div class="row">
                    {button(here.sent, Intent::SaveSourceHost, "Save host", "button primary")}
                    <a class="button plain" href="?">
                        "Cancel"
                    </a>
                </div>
            </form>
        </section>
    }
    .into_any()
}
