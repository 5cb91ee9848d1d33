//! Groups, and who is in them.

use super::{Sent, SettingsView, button};
use crate::{
    api::group::{GroupView, GroupsView, Person},
    components::{
        empty_state::EmptyState,
        field::{TextField, field_id},
    },
};
use leptos::prelude::*;

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
                {button(sent, "join", "Add", "button small")}
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
                {button(sent, "leave", "Remove", "button plain small")}
            </form>
        </li>
    }
    .into_any()
}

fn create_form(sent: Sent) -> AnyView {
    let draft = sent
        .posted_draft()
        .filter(|post| post.intent == "create-group" && sent.error().is_some());
    let name = draft.map(|draft| draft.name).unwrap_or_default();
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
                {button(sent, "create-group", "Create group", "button primary")}
            </form>
        </section>
    }
    .into_any()
}
