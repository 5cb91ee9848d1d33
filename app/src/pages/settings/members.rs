//! Members: their roles, and inviting others.

use super::{Sent, SettingsView, button};
use crate::{
    api::member::{InvitationRow, MemberView, MembersView},
    components::field::{SelectField, TextField},
};
use domain::rights::Role;
use leptos::prelude::*;

pub(super) fn section(view: Signal<SettingsView>, sent: Sent) -> AnyView {
    let list = move || {
        view.with(|view| match view {
            SettingsView::Members(view) => lists(view, sent),
            _ => ().into_any(),
        })
    };
    view! {
        {list}
        {invite_form(sent)}
    }
    .into_any()
}

fn lists(view: &MembersView, sent: Sent) -> AnyView {
    let rows: Vec<AnyView> = view.members.iter().map(|member| row(member, sent)).collect();
    let invited: Vec<AnyView> = view.invitations.iter().map(|row| invitation(row, sent)).collect();
    let invited = (!invited.is_empty()).then(|| {
        view! {
            <section class="stack tight" aria-labelledby="invited">
                <h2 id="invited">"Invited"</h2>
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">"Address"</th>
                            <th scope="col">"Role"</th>
                            <th scope="col">"Ends"</th>
                            <th scope="col">
                                <span class="visually-hidden">"Actions"</span>
                            </th>
                        </tr>
                    </thead>
                    <tbody>{invited}</tbody>
                </table>
            </section>
        }
    });
    view! {
        <table class="table">
            <caption class="visually-hidden">{format!("Members of {}", view.workspace)}</caption>
            <thead>
                <tr>
                    <th scope="col">"Member"</th>
                    <th scope="col">"Groups"</th>
                    <th scope="col">"Role"</th>
                    <th scope="col">
                        <span class="visually-hidden">"Actions"</span>
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
        {invited}
    }
    .into_any()
}

fn row(member: &MemberView, sent: Sent) -> AnyView {
    let id = member.id.to_string();
    let groups = member
        .groups
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let options = roles(Some(member.role));
    let close = member.may_deactivate.then(|| {
        if member.active {
            button(sent, "deactivate", "Deactivate account", "button danger small")
        } else {
            button(sent, "activate", "Activate account", "button small")
        }
    });
    view! {
        <tr>
            <th scope="row">
                {member.name.clone()} {member.you.then(|| view! { <span class="label">"you"</span> })}
                {(!member.active).then(|| view! { <span class="label">"deactivated"</span> })}
                <span class="muted block">{member.email.clone()}</span>
            </th>
            <td data-label="Groups">{groups}</td>
            <td>
                <form method="post" class="row">
                    <input type="hidden" name="user" value=id.clone() />
                    <select class="control" name="role" aria-label=format!("Role of {}", member.email)>
                        {options}
                    </select>
                    {button(sent, "set-role", "Change role", "button small")}
                </form>
            </td>
            <td class="number">
                <details class="more">
                    <summary>
                        "More" <span class="visually-hidden">{format!(" for {}", member.email)}</span>
                    </summary>
                    <form method="post" class="row">
                        <input type="hidden" name="user" value=id />
                        {button(sent, "remove", "Remove from workspace", "button danger small")}
                        {close}
                    </form>
                </details>
            </td>
        </tr>
    }
    .into_any()
}

fn invitation(row: &InvitationRow, sent: Sent) -> AnyView {
    let ends = row.expires_at;
    view! {
        <tr>
            <th scope="row">{row.email.clone()}</th>
            <td>{row.role.as_str()}</td>
            <td>
                <time datetime=ends.rfc3339()>{ends.exact()}</time>
            </td>
            <td class="number">
                <form method="post">
                    <input type="hidden" name="id" value=row.id.to_string() />
                    {button(sent, "withdraw", "Withdraw", "button small")}
                </form>
            </td>
        </tr>
    }
    .into_any()
}

/// The roles as options of a list.
pub(super) fn roles(chosen: Option<Role>) -> Vec<AnyView> {
    Role::ALL
        .into_iter()
        .map(|role| {
            view! {
                <option value=role.as_str() selected=chosen == Some(role)>
                    {role.as_str()}
                </option>
            }
            .into_any()
        })
        .collect()
}

/// The role that a form posted, if it was this one.
pub(super) fn posted_role(sent: Sent, intent: &str) -> Option<Role> {
    let draft = sent.posted_draft().filter(|post| post.intent == intent)?;
    draft.role.parse().ok()
}

fn invite_form(sent: Sent) -> AnyView {
    let draft = sent
        .posted_draft()
        .filter(|post| post.intent == "invite" && sent.error().is_some());
    let email = draft.map(|draft| draft.email).unwrap_or_default();
    let role = posted_role(sent, "invite").unwrap_or(Role::Developer);
    view! {
        <section class="stack tight" aria-labelledby="invite">
            <h2 id="invite">"Invite somebody"</h2>
            <p class="muted">"You get a link to send them. They set a name and a password of their own with it."</p>
            <form method="post" class="fields" novalidate>
                <TextField
                    name="email"
                    label="E-mail address"
                    kind="email"
                    value=email
                    required=true
                    error=Signal::derive(move || sent.field_error("email"))
                />
                <SelectField name="role" label="Role" error=Signal::derive(move || sent.field_error("role"))>
                    {roles(Some(role))}
                </SelectField>
                {button(sent, "invite", "Create invitation", "button primary")}
            </form>
        </section>
    }
    .into_any()
}
