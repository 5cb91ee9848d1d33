//! Members: their roles, and inviting others.

use super::{
    Sent, SettingsView, button,
    post::{SectionPost, SettingsOutcome, SettingsPost},
};
use crate::{
    api::member::{
        InvitationRow, MemberView, MembersView, activate, deactivate, invite, remove_member, set_role,
        withdraw_invitation,
    },
    components::field::{SelectField, TextField},
};
use contract::error::AppError;
use domain::rights::Role;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The buttons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Intent {
    SetRole,
    Remove,
    Deactivate,
    Activate,
    Invite,
    Withdraw,
}

/// What a button posts, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) intent: Intent,
    /// A member's id.
    #[serde(default)]
    pub(super) user: String,
    /// A role.
    #[serde(default)]
    pub(super) role: String,
    /// An address to invite.
    #[serde(default)]
    pub(super) email: String,
    /// An invitation's id.
    #[serde(default)]
    pub(super) id: String,
}

impl SectionPost for Post {
    type Intent = Intent;

    async fn carry_out(self, workspace: String) -> Result<SettingsOutcome, AppError> {
        let w = workspace;
        match self.intent {
            Intent::SetRole => set_role(w, self.user, self.role)
                .await
                .map(|()| SettingsOutcome::said("The role is changed.")),
            Intent::Remove => remove_member(w, self.user)
                .await
                .map(|()| SettingsOutcome::said("The member is removed, with their tokens.")),
            Intent::Deactivate => deactivate(w, self.user)
                .await
                .map(|()| SettingsOutcome::said("The account is closed. Its sessions and tokens have ended.")),
            Intent::Activate => activate(w, self.user)
                .await
                .map(|()| SettingsOutcome::said("The account is open again. Its tokens stay withdrawn.")),
            Intent::Invite => invite(w, self.email, self.role).await.map(SettingsOutcome::Invited),
            Intent::Withdraw => withdraw_invitation(w, self.id)
                .await
                .map(|()| SettingsOutcome::said("The invitation is withdrawn.")),
        }
    }
}

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
            button(sent, Intent::Deactivate, "Deactivate account", "button danger small")
        } else {
            button(sent, Intent::Activate, "Activate account", "button small")
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
                    {button(sent, Intent::SetRole, "Change role", "button small")}
                </form>
            </td>
            <td class="number">
                <details class="more">
                    <summary>
                        "More" <span class="visually-hidden">{format!(" for {}", member.email)}</span>
                    </summary>
                    <form method="post" class="row">
                        <input type="hidden" name="user" value=id />
                        {button(sent, Intent::Remove, "Remove from workspace", "button danger small")}
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
                    {button(sent, Intent::Withdraw, "Withdraw", "button small")}
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

/// The form as a plain post left it, if it was this one.
fn posted(sent: Sent, intent: Intent) -> Option<Post> {
    match sent.posted_draft()? {
        SettingsPost::Members(post) => Some(post).filter(|post| post.intent == intent),
        _ => None,
    }
}

fn invite_form(sent: Sent) -> AnyView {
    let posted = posted(sent, Intent::Invite);
    let role = posted
        .as_ref()
        .and_then(|post| post.role.parse().ok())
        .unwrap_or(Role::Developer);
    let email = posted
        .filter(|_| sent.error().is_some())
        .map(|post| post.email)
        .unwrap_or_default();
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
                {button(sent, Intent::Invite, "Create invitation", "button primary")}
            </form>
        </section>
    }
    .into_any()
}
