//! Notifications: the channels of projects, adding one, and what went through them.

use super::{
    Here, Sent, SettingsView, button, labelled_button,
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::notification::{
        ChannelDraft, ChannelView, DeliveryView, NotificationsView, add_channel, pause_channel, redeliver,
        remove_channel, test_channel,
    },
    components::{
        empty_state::EmptyState,
        field::{SelectField, TextField, below, field_id},
        state_badge::{Meaning, badge},
        time::Ago,
    },
    live,
};
use contract::error::AppError;
use domain::{
    name::Name,
    notification::{ChannelKind, DeliveryState, Occasion},
    time::Timestamp,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    AddChannel,
    PauseChannel,
    ResumeChannel,
    RemoveChannel,
    TestChannel,
    Redeliver,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    /// The id of a channel or delivery.
    #[serde(default)]
    pub(super) id: String,
    /// A new channel's name.
    #[serde(default)]
    pub(super) name: String,
    /// Its project.
    #[serde(default)]
    pub(super) project: String,
    /// Its kind.
    #[serde(default)]
    pub(super) kind: String,
    /// Where it leads.
    #[serde(default)]
    pub(super) address: String,
    /// What it tells: the boxes that are ticked.
    #[serde(default)]
    pub(super) occasions: BTreeMap<String, String>,
    /// Of which environments it tells.
    #[serde(default)]
    pub(super) environments: String,
}

impl Post {
    /// The form of a new channel before anything is typed.
    fn new_channel() -> Self {
        let usual = [Occasion::NeedsApproval, Occasion::Failed];
        Self {
            intent: Intent::AddChannel,
            id: String::new(),
            name: String::new(),
            project: String::new(),
            kind: String::new(),
            address: String::new(),
            occasions: usual
                .iter()
                .map(|one| (one.as_str().to_owned(), "on".to_owned()))
                .collect(),
            environments: String::new(),
        }
    }
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::AddChannel => {
                let occasions: Vec<String> = self.occasions.into_keys().collect();
                let draft = ChannelDraft {
                    name: self.name,
                    project: self.project,
                    kind: self.kind,
                    address: self.address,
                    occasions: occasions.join(","),
                    environments: self.environments,
                };
                add_channel(w, draft).await.map(SettingsOutcome::Added)
            }
            Intent::PauseChannel => {
                pause_channel(w, self.id, true).await?;
                Ok(SettingsOutcome::said(
                    "The channel is paused. What happens meanwhile is not told later.",
                ))
            }
            Intent::ResumeChannel => pause_channel(w, self.id, false)
                .await
                .map(|()| SettingsOutcome::said("The channel sends messages again.")),
            Intent::RemoveChannel => remove_channel(w, self.id)
                .await
                .map(|()| SettingsOutcome::said("The channel is removed.")),
            Intent::TestChannel => test_channel(w, self.id).await.map(SettingsOutcome::Tried),
            Intent::Redeliver => redeliver(w, self.id).await.map(SettingsOutcome::Tried),
        }
    }
}

pub(super) fn section(view: Signal<SettingsView>, here: Here) -> AnyView {
    let sent = here.sent;
    let now = live::now(Signal::derive(move || {
        view.with(|view| match view {
            SettingsView::Notifications(view) => view.now,
            _ => Timestamp(0),
        })
    }));
    let list = move || {
        view.with(|view| match view {
            SettingsView::Notifications(view) => channels(view, sent),
            _ => ().into_any(),
        })
    };
    let log = move || {
        view.with(|view| match view {
            SettingsView::Notifications(view) => deliveries(view, sent, now),
            _ => ().into_any(),
        })
    };
    let projects = Memo::new(move |_| {
        view.with(|view| match view {
            SettingsView::Notifications(view) => view.places.iter().map(|(project, _)| project.clone()).collect(),
            _ => Vec::new(),
        })
    });
    let mail = Memo::new(move |_| view.with(|view| matches!(view, SettingsView::Notifications(view) if view.mail)));
    view! {
        {list}
        {add_form(projects, mail, here)}
        {log}
    }
    .into_any()
}

fn channels(view: &NotificationsView, sent: Sent) -> AnyView {
    if view.channels.is_empty() {
        return view! {
            <EmptyState title="No channel yet">
                <p>"A channel tells people elsewhere when a promotion needs them: a webhook, Slack, or e-mail."</p>
            </EmptyState>
        }
        .into_any();
    }
    let rows: Vec<AnyView> = view.channels.iter().map(|channel| row(channel, sent)).collect();
    view! {
        <table class="table">
            <caption class="visually-hidden">{format!("Channels of {}", view.workspace)}</caption>
            <thead>
                <tr>
                    <th scope="col">"Channel"</th>
                    <th scope="col">"Project"</th>
                    <th scope="col">"Tells of"</th>
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

fn row(channel: &ChannelView, sent: Sent) -> AnyView {
    let id = channel.id.to_string();
    let occasions: Vec<&str> = channel.occasions.iter().map(|occasion| occasion.label()).collect();
    let environments: Vec<&str> = channel.environments.iter().map(Name::as_str).collect();
    let only = (!environments.is_empty())
        .then(|| view! { <span class="muted block">{format!("only in {}", environments.join(", "))}</span> });
    let pause = match channel.active {
        true => button(sent, Intent::PauseChannel, "Pause", "button small"),
        false => button(sent, Intent::ResumeChannel, "Resume", "button small"),
    };
    let test = channel.active.then(|| {
        view! {
            <form method="post">
                <input type="hidden" name="id" value=id.clone() />
                {button(sent, Intent::TestChannel, "Send a test", "button small")}
            </form>
        }
    });
    view! {
        <tr>
            <th scope="row">
                {channel.name.clone()}
                {(!channel.active).then(|| view! { <span class="label">"paused"</span> })}
                <span class="muted block break">{format!("{} to {}", channel.kind.label(), channel.shown)}</span>
            </th>
            <td data-label="Project">{channel.project.to_string()}</td>
            <td data-label="Tells of">{occasions.join(", ")} {only}</td>
            <td class="number">
                {test}
                <details class="more">
                    <summary>
                        "More" <span class="visually-hidden">{format!(" for {}", channel.name)}</span>
                    </summary>
                    <form method="post" class="row">
                        <input type="hidden" name="id" value=id />
                        {pause}
                        {button(sent, Intent::RemoveChannel, "Remove", "button danger small")}
                    </form>
                </details>
            </td>
        </tr>
    }
    .into_any()
}

fn deliveries(view: &NotificationsView, sent: Sent, now: Signal<Timestamp>) -> AnyView {
    if view.channels.is_empty() {
        return ().into_any();
    }
    let rows: Vec<AnyView> = view
        .deliveries
        .iter()
        .map(|one| delivery(one, &view.channels, sent, now))
        .collect();
    let list = if rows.is_empty() {
        view! { <p class="muted">"Nothing was sent yet."</p> }.into_any()
    } else {
        view! {
            <table class="table">
                <caption class="visually-hidden">"Last deliveries, newest first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Notification"</th>
                        <th scope="col">"Channel"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"When"</th>
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
    view! {
        <section class="stack tight" aria-labelledby="deliveries">
            <h2 id="deliveries">"Last deliveries"</h2>
            {list}
        </section>
    }
    .into_any()
}

fn delivery(one: &DeliveryView, channels: &[ChannelView], sent: Sent, now: Signal<Timestamp>) -> AnyView {
    let meaning = match one.state {
        DeliveryState::Delivered => Meaning::Good,
        DeliveryState::Waiting if one.attempts == 0 => Meaning::Moving,
        DeliveryState::Waiting => Meaning::Waiting,
        DeliveryState::GivenUp => Meaning::Bad,
    };
    let status = one.status.map(|status| format!(" · {status}"));
    let answer = one.answer.clone().map(|answer| {
        view! {
            <details class="more">
                <summary>
                    "Answer" <span class="visually-hidden">{format!(" to {}", one.title)}</span>
                </summary>
                <p class="muted break">{answer}</p>
            </details>
        }
    });
    let tries = match (one.attempts, one.next_at) {
        (0, _) => None,
        (tries, None) => Some(counted(tries)),
        (tries, Some(next)) => Some(format!("{}, the next at {}", counted(tries), next.exact())),
    };
    let is_active = channels
        .iter()
        .any(|channel| channel.name == one.channel && channel.project == one.project && channel.active);
    let again = is_active.then(|| {
        view! {
            <form method="post">
                <input type="hidden" name="id" value=one.id.to_string() />
                {labelled_button(sent, Intent::Redeliver, "Redeliver", "button small", Some(format!("Redeliver {}", one.title)))}
            </form>
        }
    });
    view! {
        <tr>
            <th scope="row" class="break">
                {one.title.clone()}
            </th>
            <td data-label="Channel">{one.channel.clone()} <span class="muted block">{one.project.to_string()}</span></td>
            <td data-label="State">
                {badge(meaning, one.state.label())} {status}
                {tries.map(|tries| view! { <span class="muted block">{tries}</span> })}
                {answer}
            </td>
            <td data-label="When">
                <Ago at=one.at now=now />
            </td>
            <td class="number">{again}</td>
        </tr>
    }
    .into_any()
}

fn counted(tries: u32) -> String {
    match tries {
        1 => "1 try".into(),
        tries => format!("{tries} tries"),
    }
}

fn add_form(projects: Memo<Vec<Name>>, mail: Memo<bool>, here: Here) -> AnyView {
    let sent = here.sent;
    let posted = match sent.posted_draft() {
        Some(SettingsPost::Notifications(post)) if post.intent == Intent::AddChannel && sent.error().is_some() => post,
        _ => Post::new_channel(),
    };
    let (project, kind) = (posted.project, posted.kind);
    let options = move || {
        let mut options: Vec<AnyView> = Vec::new();
        for name in projects.get() {
            let name = name.to_string();
            let chosen = name == project;
            options.push(
                view! {
                    <option value=name.clone() selected=chosen>
                        {name.clone()}
                    </option>
                }
                .into_any(),
            );
        }
        options
    };
    let kinds = move || {
        let offered = ChannelKind::ALL
            .iter()
            .filter(|kind| mail.get() || **kind != ChannelKind::Email);
        let option = |one: &ChannelKind| {
            view! {
                <option value=one.as_str() selected=one.as_str() == kind>
                    {one.label()}
                </option>
            }
            .into_any()
        };
        offered.map(option).collect::<Vec<_>>()
    };
    let boxes: Vec<AnyView> = Occasion::ALL
        .iter()
        .map(|occasion| {
            let ticked = posted.occasions.contains_key(occasion.as_str());
            view! {
                <label class="check">
                    <input
                        type="checkbox"
                        name=format!("occasions[{}]", occasion.as_str())
                        value="on"
                        checked=ticked
                        aria-describedby=format!("{}-error", field_id("occasions"))
                    />
                    {occasion.label()}
                </label>
            }
            .into_any()
        })
        .collect();
    let occasions_id = field_id("occasions");
    let error = move |field: &'static str| Signal::derive(move || sent.field_error(field));
    view! {
        <section class="stack tight" aria-labelledby="new-channel">
            <h2 id="new-channel">"New channel"</h2>
            <form method="post" class="fields" novalidate>
                <TextField
                    name="name"
                    label="Name"
                    value=posted.name
                    help="For example on-call or releases."
                    required=true
                    error=error("name")
                />
                <SelectField name="project" label="Project" error=error("project")>
                    {options}
                </SelectField>
                <SelectField
                    name="kind"
                    label="How"
                    help="Slack is whatever takes what Slack's incoming webhooks take. E-mail is offered when the server has a mail server."
                    error=error("kind")
                >
                    {kinds}
                </SelectField>
                <TextField
                    name="address"
                    label="Where to"
                    value=posted.address
                    help="The address to post to; for e-mail the addresses of people, with commas between. It is kept encrypted, and only its host is shown later."
                    required=true
                    mono=true
                    error=error("address")
                />
                <fieldset class="field" id=occasions_id.clone() tabindex="-1">
                    <legend>"Tells of"</legend>
                    <div class="row loose">{boxes}</div>
                    {below(&occasions_id, None, error("occasions"))}
                </fieldset>
                <TextField
                    name="environments"
                    label="Only in these environments"
                    value=posted.environments
                    help="Names with commas between: staging, production. Empty for all."
                    error=error("environments")
                />
                {button(sent, Intent::AddChannel, "Add channel", "button primary")}
            </form>
            {here.answer(|_| true)}
        </section>
    }
    .into_any()
}
