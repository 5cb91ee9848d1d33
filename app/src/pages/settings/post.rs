//! What the settings post, and carrying it out.

use crate::api::{
    connection::{
        ClusterDraft, ConnectionTest, EnvironmentDraft, RepositoryDraft, Secrets, add_environment, save_cluster,
        save_repository, test_cluster, test_repository,
    },
    group::{create_group, join_group, leave_group},
    member::{InvitationLink, activate, deactivate, invite, remove_member, set_role, withdraw_invitation},
    notification::{
        ChannelDraft, ChannelMade, Tried, add_channel, pause_channel, redeliver, remove_channel, test_channel,
    },
    token::{TokenDraft, TokenMade, create_token, revoke_token},
};
use contract::error::AppError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a button of the settings posts: which it was, and the fields around it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SettingsPost {
    /// Value of the button.
    pub(super) intent: String,
    /// A member's id.
    pub(super) user: String,
    /// An address to invite.
    pub(super) email: String,
    /// A role.
    pub(super) role: String,
    /// A group's name.
    pub(super) group: String,
    /// The name of something new.
    pub(super) name: String,
    /// What a token is for: empty for the workspace, `project`, or `project/environment`.
    pub(super) place: String,
    /// When a token ends: `90d`, `never`.
    pub(super) expires: String,
    /// The id of an invitation, token, channel or delivery.
    pub(super) id: String,
    /// A cluster.
    pub(super) cluster: ClusterDraft,
    /// A project's repository.
    pub(super) repository: RepositoryDraft,
    /// A new environment.
    pub(super) environment: EnvironmentDraft,
    /// What goes with a cluster or repository; never given back.
    #[serde(skip_serializing)]
    pub(super) secrets: Secrets,
    /// A channel's project.
    pub(super) project: String,
    /// A channel's kind.
    pub(super) kind: String,
    /// Where a channel leads.
    pub(super) address: String,
    /// What a channel tells: the boxes that are ticked.
    pub(super) occasions: BTreeMap<String, String>,
    /// Of which environments it tells.
    pub(super) environments: String,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Done {
    /// It is done; in words.
    Said(String),
    /// What a form holds is saved; in words.
    Saved(String),
    /// A connection was tried.
    Tested(ConnectionTest),
    /// Somebody is invited; the link.
    Invited(InvitationLink),
    /// A token is made; its text.
    Made(TokenMade),
    /// A channel is added; its key.
    Added(ChannelMade),
    /// Something was sent by hand; what came of it.
    Tried(Tried),
}

/// Carries a post out.
pub(super) async fn carry_out(post: SettingsPost, workspace: String) -> (SettingsPost, Option<Result<Done, AppError>>) {
    let outcome = outcome(post.clone(), workspace).await;
    (post, Some(outcome))
}

async fn outcome(post: SettingsPost, workspace: String) -> Result<Done, AppError> {
    let (w, user) = (workspace, post.user);
    let words = match post.intent.as_str() {
        "set-role" => {
            set_role(w, user, post.role).await?;
            "The role is changed."
        }
        "remove" => {
            remove_member(w, user).await?;
            "The member is removed, with their tokens."
        }
        "deactivate" => {
            deactivate(w, user).await?;
            "The account is closed. Its sessions and tokens have ended."
        }
        "activate" => {
            activate(w, user).await?;
            "The account is open again. Its tokens stay withdrawn."
        }
        "invite" => return invite(w, post.email, post.role).await.map(Done::Invited),
        "withdraw" => {
            withdraw_invitation(w, post.id).await?;
            "The invitation is withdrawn."
        }
        "create-group" => {
            create_group(w, post.name).await?;
            "The group is made."
        }
        "join" => {
            join_group(w, post.group, user).await?;
            "The member is in the group now."
        }
        "leave" => {
            leave_group(w, post.group, user).await?;
            "The member is no longer in the group."
        }
        "create-token" => {
            let (project, environment) = post.place.split_once('/').unwrap_or((&post.place, ""));
            let draft = TokenDraft {
                project: project.to_owned(),
                environment: environment.to_owned(),
                name: post.name,
                role: post.role,
                expires: post.expires,
            };
            return create_token(w, draft).await.map(Done::Made);
        }
        "save-cluster" => return save_cluster(w, post.cluster, post.secrets).await.map(Done::Saved),
        "test-cluster" => return test_cluster(w, post.cluster, post.secrets).await.map(Done::Tested),
        "save-repository" => {
            return save_repository(w, post.repository, post.secrets).await.map(Done::Saved);
        }
        "test-repository" => {
            return test_repository(w, post.repository, post.secrets)
                .await
                .map(Done::Tested);
        }
        "add-environment" => return add_environment(w, post.environment).await.map(Done::Saved),
        "revoke" => {
            revoke_token(w, post.id).await?;
            "The token is withdrawn."
        }
        "add-channel" => {
            let occasions: Vec<String> = post.occasions.into_keys().collect();
            let draft = ChannelDraft {
                name: post.name,
                project: post.project,
                kind: post.kind,
                address: post.address,
                occasions: occasions.join(","),
                environments: post.environments,
            };
            return add_channel(w, draft).await.map(Done::Added);
        }
        "pause-channel" => {
            pause_channel(w, post.id, true).await?;
            "The channel is paused. What happens meanwhile is not told later."
        }
        "resume-channel" => {
            pause_channel(w, post.id, false).await?;
            "The channel sends messages again."
        }
        "remove-channel" => {
            remove_channel(w, post.id).await?;
            "The channel is removed."
        }
        "test-channel" => return test_channel(w, post.id).await.map(Done::Tried),
        "redeliver" => return redeliver(w, post.id).await.map(Done::Tried),
        _ => {
            let why = "This form doesn't say what to do. Use the buttons of the page.";
            return Err(AppError::BadRequest(why.into()));
        }
    };
    Ok(Done::Said(words.into()))
}
