//! API tokens: what each is for, when it was last used, and making one.

use super::{
    Here, Sent, SettingsView, button, labelled_button,
    members::roles,
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::token::{TokenDraft, TokenView, TokensView, create_token, revoke_token},
    components::{
        empty_state::EmptyState,
        field::{SelectField, TextField},
        time::Ago,
    },
    live,
};
use contract::error::AppError;
use domain::{name::Name, rights::Role, time::Timestamp};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// When a token may end: what is posted, and the words.
const SPANS: [(&str, &str); 5] = [
    ("7d", "in 7 days"),
    ("30d", "in 30 days"),
    ("90d", "in 90 days"),
    ("365d", "in a year"),
    ("never", "never"),
];

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    CreateToken,
    Revoke,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    /// What uses it.
    #[serde(default)]
    pub(super) name: String,
    /// A role.
    #[serde(default)]
    pub(super) role: String,
    /// What it is for: empty for the workspace, `project`, or `project/environment`.
    #[serde(default)]
    pub(super) place: String,
    /// When it ends: `90d`, `never`.
    #[serde(default)]
    pub(super) expires: String,
    /// A token's id.
    #[serde(default)]
    pub(super) id: String,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::CreateToken => {
                let (project, environment) = self.place.split_once('/').unwrap_or((&self.place, ""));
                let draft = TokenDraft {
                    project: project.to_owned(),
                    environment: environment.to_owned(),
                    name: self.name,
                    role: self.role,
                    expires: self.expires,
                };
                create_token(w, draft).await.map(SettingsOutcome::Made)
            }
            Intent::Revoke => revoke_token(w, self.id)
                .await
                .map(|()| SettingsOutcome::said("The token is withdrawn.")),
        }
    }
}

pub(super) fn section(view: Signal<SettingsView>, here: Here) -> AnyView {
    let sent = here.sent;
    let now = live::now(Signal::derive(move || {
        view.with(|view| match view {
            SettingsView::Tokens(view) => view.now,
            _ => Timestamp(0),
        })
    }));
    let list = move || {
        view.with(|view| match view {
            SettingsView::Tokens(view) => table(view, sent, now),
            _ => ().into_any(),
        })
    };
    let places = Memo::new(move |_| {
        view.with(|view| match view {
            SettingsView::Tokens(view) => view.places.clone(),
            _ => Vec::new(),
        })
    });
    view! {
        {list}
        {create_form(places, here)}
    }
    .into_any()
}

fn table(view: &TokensView, sent: Sent, now: Signal<Timestamp>) -> AnyView {
    if view.tokens.is_empty() {
        return view! {
            <EmptyState title="No token yet">
                <p>"Programs call Waybill with a token: CI, scripts, the command line."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows: Vec<AnyView> = view.tokens.iter().map(|token| row(token, sent, now)).collect();
    view! {
        <table class="table">
            <caption class="visually-hidden">{format!("Tokens of {}", view.workspace)}</caption>
            <thead>
                <tr>
                    <th scope="col">"Token"</th>
                    <th scope="col">"Role"</th>
                    <th scope="col">"For"</th>
                    <th scope="col">"Last used"</th>
                    <th scope="col">"Ends"</th>
                    <th scope="col">
                        <span class="visually-hidden">"Actions"</span>
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(token: &TokenView, sent: Sent, now: Signal<Timestamp>) -> AnyView {
    let used = match token.last_used_at {
        Some(at) => view! { <Ago at=at now=now /> }.into_any(),
        None => view! { <span class="muted">"never"</span> }.into_any(),
    };
    let ends = match token.expires_at {
        _ if token.ended => view! { <span class="label">"ended"</span> }.into_any(),
        Some(at) => view! { <time datetime=at.rfc3339()>{at.exact()}</time> }.into_any(),
        None => view! { <span class="muted">"never"</span> }.into_any(),
    };
    let made_by = token
        .made_by
        .clone()
        .map(|who| view! { <span class="muted block">{format!("by {who}")}</span> });
    view! {
        <tr>
            <th scope="row">{token.name.clone()} {made_by}</th>
            <td data-label="Role">{token.role.as_str()}</td>
            <td data-label="For">{token.scope.clone().unwrap_or_else(|| "the workspace".into())}</td>
            <td data-label="Last used">{used}</td>
            <td data-label="Ends">{ends}</td>
            <td class="number">
                <form method="post">
                    <input type="hidden" name="id" value=token.id.to_string() />
                    {labelled_button(sent, Intent::Revoke, "Revoke", "button danger small", Some(format!("Revoke {}", token.name)))}
                </form>
            </td>
        </tr>
    }
    .into_any()
}

fn create_form(places: Memo<Vec<(Name, Vec<Name>)>>, here: Here) -> AnyView {
    let sent = here.sent;
    let posted = match sent.posted_draft() {
        Some(SettingsPost::Tokens(post)) if post.intent == Intent::CreateToken => Some(post),
        _ => None,
    };
    let role = posted
        .as_ref()
        .and_then(|post| post.role.parse().ok())
        .unwrap_or(Role::Developer);
    let (name, place, span) = match posted.filter(|_| sent.error().is_some()) {
        Some(post) => (post.name, post.place, post.expires),
        None => (String::new(), String::new(), "90d".to_owned()),
    };
    let spans: Vec<AnyView> = SPANS
        .iter()
        .map(|(value, words)| {
            view! {
                <option value=*value selected=*value == span>
                    {*words}
                </option>
            }
            .into_any()
        })
        .collect();
    let option = move |value: String| {
        let chosen = value == place;
        let words = if value.is_empty() {
            "The whole workspace".to_owned()
        } else {
            value.replace('/', " / ")
        };
        view! {
            <option value=value selected=chosen>
                {words}
            </option>
        }
        .into_any()
    };
    let all = move || {
        places.with(|places| {
            let mut values = vec![String::new()];
            for (project, environments) in places {
                values.push(project.to_string());
                values.extend(environments.iter().map(|e| format!("{project}/{e}")));
            }
            values.into_iter().map(&option).collect::<Vec<_>>()
        })
    };
    let place_error = move || sent.field_error("project").or_else(|| sent.field_error("environment"));
    view! {
        <section class="stack tight" aria-labelledby="new-token">
            <h2 id="new-token">"New token"</h2>
            <p class="muted">
                "A token can do no more than you can, now and later, and ends when your account does."
            </p>
            <form method="post" class="fields" novalidate>
                <TextField
                    name="name"
                    label="Name"
                    value=name
                    help="What uses it: ci, deploy-bot."
                    required=true
                    error=Signal::derive(move || sent.field_error("name"))
                />
                <SelectField name="role" label="Role" error=Signal::derive(move || sent.field_error("role"))>
                    {roles(Some(role))}
                </SelectField>
                <SelectField name="place" label="For" error=Signal::derive(place_error)>
                    {all}
                </SelectField>
                <SelectField name="expires" label="Ends" error=Signal::derive(move || sent.field_error("expires"))>
                    {spans}
                </SelectField>
                {button(sent, Intent::CreateToken, "Create token", "button primary")}
            </form>
            {here.answer(|_| true)}
        </section>
    }
    .into_any()
}
