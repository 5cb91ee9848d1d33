//! Groups, and who is in them.

use super::{
    Sent, SettingsView, button,
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::group::{GroupView, GroupsView, Person, create_group, join_group, leave_group},
    components::{
        empty_state::EmptyState,
        field::{TextField, field_id},
    },
};
use contract::error::AppError;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    CreateGroup,
    Join,
    Leave,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    /// The name of a new group.
    #[serde(default)]
    pub(super) name: String,
    /// A group's name.
    #[serde(default)]
    pub(super) group: String,
    /// A member's id.
    #[serde(default)]
    pub(super) user: String,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::CreateGroup => create_group(w, self.name)
                .await
                .map(|()| SettingsOutcome::said("The group is made.")),
            Intent::Join => join_group(w, self.group, self.user)
                .await
                .map(|()| SettingsOutcome::said("The member is in the group now.")),
            Intent::Leave => leave_group(w, self.group, self.user)
                .await
                .map(|()| SettingsOutcome::said("The member is no longer in the group.")),
        }
    }
}

pub(super) fn section(view: Signal<SettingsView>, sent: Sent) -> AnyView {
    let list = move || {
        view.with(|view| match view {
            SettingsView::Groups(view) => groups(view, sent),
            _ => ().into_any(),
        })
    };
    view! {
        {list}
        {create_form(sent)}
    }
    .into_any()
}

fn groups(view: &GroupsView, sent: Sent) -> AnyView {
    if view.groups.is_empty() {
        return view! {
            <EmptyState title="No group yet">
                <p>
                    "An environment can be for the members of some groups only, for example production for a group named release."
                </p>
            </EmptyState>
        }
        .into_any();
    }
    let all: Vec<AnyView> = view.groups.iter().map(|group| one(group, &view.people, sent)).collect();
    view! { <div class="stack">{all}</div> }.into_any()
}

fn one(group: &GroupView, people: &[Person], sent: Sent) -> AnyView {
    let name = group.name.to_string();
    let members: Vec<AnyView> = group.members.iter().map(|person| member(&name, person, sent)).collect();
    let nobody = members.is_empty();
    let others: Vec<AnyView> = people
        .iter()
        .filter(|person| !group.members.contains(person))
        .map(|person| view! { <option value=person.id.to_string()>{person.email.clone()}</option> }.into_any())
        .collect();
    let id = field_id(&format!("user-{name}"));
    let add = (!others.is_empty()).then(|| {
        view! {
            <form method="post" class="row">
                <input type="hidden" name="group" value=name.clone() />
                <select class="control" name="user" id=id aria-label=format!("Member to add to {name}")>
                    <option value="">"Choose a member"</option>
                    {others}
                </select>
                {button(sent, Intent::Join, "Add", "button small")}
            </form>
        }
    });
    view! {
        <section class="panel padded stack tight group" aria-label=format!("Group {name}")>
            <h2>{name.clone()}</h2>
            {nobody.then(|| view! { <p class="muted">"Nobody is in it yet."</p> })}
            <ul class="plain-list">{members}</ul>
            {add}
        </section>
    }
    .into_any()
}

fn member(group: &str, person: &Person, sent: Sent) -> AnyView {
    view! {
        <li>
            <form method="post" class="row">
                <span>{person.name.clone()} " " <span class="muted">{person.email.clone()}</span></span>
                <input type="hidden" name="group" value=group.to_owned() />
                <input type="hidden" name="user" value=person.id.to_string() />
                {button(sent, Intent::Leave, "Remove", "button plain small")}
            </form>
        </li>
    }
    .into_any()
}

fn create_form(sent: Sent) -> AnyView {
    let name = match sent.posted_draft() {
        Some(SettingsPost::Groups(post)) if post.intent == Intent::CreateGroup && sent.error().is_some() => post.name,
        _ => String::new(),
    };
    view! {
        <section class="stack tight" aria-labelledby="new-group">
            <h2 id="new-group">"New group"</h2>
            <form method="post" class="fields" novalidate>
                <TextField
                    name="name"
                    label="Name"
                    value=name
                    help="For example release or on-call."
                    required=true
                    error=Signal::derive(move || sent.field_error("name"))
                />
                {button(sent, Intent::CreateGroup, "Create group", "button primary")}
            </form>
        </section>
    }
    .into_any()
}
