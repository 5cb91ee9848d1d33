//! The one port to everything that isn't a page: the use cases, for the actor of the request being served.
//!
//! The server implements it, a trait for each noun, and puts it into the context of the request; a server function is a line that calls it.
//! Names are texts as they came from an address or a form: the service checks them. Every method authorises the actor, and answers with an
//! error that is safe to show.

use crate::{
    account::AccountView,
    activity::{ActivityFilter, ActivityView},
    board::BoardView,
    board_filter::BoardFilter,
    connection::{
        ClusterDraft, ClustersView, ConnectionTest, EnvironmentDraft, RegistriesView, RegistryDraft, RepositoriesView,
        RepositoryDraft, Secrets, TrustedRootDraft,
    },
    custody::Custody,
    environment::EnvironmentView,
    environment_images::{EnvironmentImagesView, ImagesDraft},
    error::AppError,
    group::GroupsView,
    inbox::InboxView,
    member::{InvitationLink, InvitationView, MembersView},
    notification::{ChannelDraft, ChannelMade, NotificationsView, Tried},
    policy::PolicyView,
    preview::Preview,
    project::ProjectView,
    promotion::PromotionView,
    recall::{MovedBack, RecallView},
    removal::{RemovalView, Removed, Removing},
    resource::ResourceView,
    session::Me,
    source::{SourceHostDraft, SourceHostsView},
    token::{TokenDraft, TokenMade, TokensView},
};
use async_trait::async_trait;
use domain::{
    draft::{FormOptions, ResourceDraft},
    id::PromotionId,
    removal::RemovalChoices,
    source::SourceChanges,
};

/// Signing in and out, and one's own account.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Who is signed in.
    async fn me(&self) -> Result<Option<Me>, AppError>;
    /// What people call whom they may sign in through, beside a password; `None` when there is nobody.
    async fn sso(&self) -> Result<Option<String>, AppError>;
    /// Begins a session.
    async fn sign_in(&self, email: &str, password: &str) -> Result<(), AppError>;
    /// Ends the session.
    async fn sign_out(&self) -> Result<(), AppError>;
    /// The account of the actor, with its sessions.
    async fn account(&self) -> Result<AccountView, AppError>;
    /// Changes the actor's password, and ends their other sessions.
    async fn change_password(&self, current: &str, new: &str) -> Result<(), AppError>;
    /// Ends all sessions of the actor.
    async fn sign_out_everywhere(&self) -> Result<(), AppError>;
}

/// What runs where, what happened, and what waits for the actor.
#[async_trait]
pub trait Boards: Send + Sync {
    /// All projects of the actor's workspaces.
    async fn projects(&self) -> Result<Vec<ProjectView>, AppError>;
    /// What happened in a workspace.
    async fn activity(&self, workspace: &str, filter: &ActivityFilter) -> Result<ActivityView, AppError>;
    /// What runs where in a project.
    async fn board(&self, workspace: &str, project: &str, filter: &BoardFilter) -> Result<BoardView, AppError>;
    /// One environment with its resources.
    async fn environment(&self, at: &At) -> Result<EnvironmentView, AppError>;
    /// What waits for the actor.
    async fn inbox(&self, before: &str) -> Result<InboxView, AppError>;
    /// How many promotions wait for the actor; none when nobody is signed in.
    async fn inbox_count(&self) -> Result<usize, AppError>;
}

/// One resource: creating it, and what a person decides about it.
#[async_trait]
pub trait Resources: Send + Sync {
    /// What the form Create Resource offers in an environment.
    async fn form_options(&self, at: &At) -> Result<FormOptions, AppError>;
    /// What creating a resource would do.
    async fn preview_create(&self, at: &At, draft: ResourceDraft) -> Result<Preview, AppError>;
    /// Creates a resource and starts its first promotion.
    async fn create_resource(&self, at: &At, draft: ResourceDraft) -> Result<PromotionId, AppError>;
    /// One resource with its history.
    async fn resource(&self, at: &At, resource: &str) -> Result<ResourceView, AppError>;
    /// What pinning a resource to a digest would do.
    async fn preview_pin(&self, at: &At, resource: &str, digest: &str) -> Result<Preview, AppError>;
    /// Pins a resource to a digest and starts the promotion to it.
    async fn edit_pin(&self, at: &At, resource: &str, digest: &str, create_file: bool)
    -> Result<PromotionId, AppError>;
    /// What a rule for tags would pick for a resource, a sentence each; of the draft only that is read.
    async fn preview_tags(&self, at: &At, resource: &str, draft: &ResourceDraft) -> Result<Vec<String>, AppError>;
    /// Says which tags of its repository count for a resource; of the draft only that is read.
    async fn change_tags(&self, at: &At, resource: &str, draft: &ResourceDraft) -> Result<(), AppError>;
    /// What promoting a resource, or resuming a held one, would do.
    async fn preview_promote(&self, at: &At, resource: &str) -> Result<Preview, AppError>;
    /// Promotes a resource to its source's latest artifact; moves the pin of a pinned one.
    async fn promote(&self, at: &At, resource: &str, create_file: bool) -> Result<PromotionId, AppError>;
    /// Brings a resource back to an image that ran there before, and holds it there.
    async fn rollback(&self, at: &At, resource: &str, digest: &str, create_file: bool)
    -> Result<PromotionId, AppError>;
    /// Gives a resource the key that it has in Git now, and lifts its hold.
    async fn take_new_key(&self, at: &At, resource: &str) -> Result<(), AppError>;
    /// Has what its registry lost of a resource's image copied from another repository.
    async fn heal(&self, at: &At, resource: &str, from: &str) -> Result<(), AppError>;
    /// Lifts the hold of a resource; the promotion that catches up, if there is anything to catch up with.
    async fn resume(&self, at: &At, resource: &str, create_file: bool) -> Result<Option<PromotionId>, AppError>;
}

/// The life of an image.
#[async_trait]
pub trait Artifacts: Send + Sync {
    /// Where an image comes from, what vouches for it, and where it went.
    async fn custody(&self, workspace: &str, digest: &str) -> Result<Custody, AppError>;
}

/// One promotion, and what a person says about it.
#[async_trait]
pub trait Promotions: Send + Sync {
    /// One promotion with its steps, diff and timeline.
    async fn promotion(&self, id: &str) -> Result<PromotionView, AppError>;
    /// The commits between the image before and the new one; may take as long as its source's host does.
    async fn changes(&self, id: &str) -> Result<SourceChanges, AppError>;
    /// Tries a failed promotion again.
    async fn retry(&self, id: &str) -> Result<(), AppError>;
    /// Approves a promotion.
    async fn approve(&self, id: &str, comment: &str) -> Result<(), AppError>;
    /// Rejects a promotion, with a reason.
    async fn reject(&self, id: &str, comment: &str) -> Result<(), AppError>;
    /// Lets a promotion through a gate that is shut, with a reason.
    async fn override_gate(&self, id: &str, gate: &str, reason: &str) -> Result<(), AppError>;
    /// Withdraws a promotion whose commit isn't on its way yet.
    async fn cancel(&self, id: &str) -> Result<(), AppError>;
}

/// Recalling a digest, and moving back what runs it.
#[async_trait]
pub trait Recalls: Send + Sync {
    /// What is known of a digest that is recalled, was, or may be.
    async fn recall(&self, workspace: &str, digest: &str) -> Result<RecallView, AppError>;
    /// Marks a digest bad, with a reason.
    async fn recall_digest(&self, workspace: &str, digest: &str, reason: &str) -> Result<(), AppError>;
    /// Lifts the recall of a digest, with a reason.
    async fn lift_recall(&self, workspace: &str, digest: &str, reason: &str) -> Result<(), AppError>;
    /// Moves every place back that is to run a recalled digest; overrides shut gates where their policy lets the actor, if asked to.
    async fn move_places_back(&self, workspace: &str, digest: &str, break_glass: bool) -> Result<MovedBack, AppError>;
}

/// What an environment asks for, and pausing it.
#[async_trait]
pub trait Environments: Send + Sync {
    /// Pauses promotions to an environment, or to all of its project, with a reason.
    async fn pause_promotions(&self, at: &At, of_project: bool, reason: &str) -> Result<(), AppError>;
    /// Resumes promotions.
    async fn resume_promotions(&self, at: &At, of_project: bool) -> Result<(), AppError>;
    /// Says that a digest which a resource runs, and nobody promoted, is right; with a reason, or an empty text.
    async fn adopt(&self, at: &At, resource: &str, digest: &str, reason: &str) -> Result<(), AppError>;
    /// The same of all such digests of an environment that Git declares.
    async fn adopt_all(&self, at: &At) -> Result<(), AppError>;
    /// Promotes what Git declares for a resource that runs what nobody promoted.
    async fn promote_declared(&self, at: &At, resource: &str) -> Result<PromotionId, AppError>;
    /// What an environment asks for, as people read and write it.
    async fn policy(&self, at: &At) -> Result<PolicyView, AppError>;
    /// Writes what an environment asks for, unless it isn't any more what it was `before`.
    async fn set_policy(&self, at: &At, text: &str, before: Option<&str>) -> Result<(), AppError>;
    /// Where images of an environment come from, and which tags they get.
    async fn environment_images(&self, at: &At) -> Result<EnvironmentImagesView, AppError>;
    /// Writes that.
    async fn set_environment_images(&self, at: &At, draft: &ImagesDraft) -> Result<(), AppError>;
    /// Has all tags of an environment set again.
    async fn set_tags_again(&self, at: &At) -> Result<(), AppError>;
}

/// Members, groups, invitations and tokens of a workspace.
#[async_trait]
pub trait People: Send + Sync {
    /// The members of a workspace, and who is invited.
    async fn members(&self, workspace: &str) -> Result<MembersView, AppError>;
    /// Gives a member another role.
    async fn set_role(&self, workspace: &str, user: &str, role: &str) -> Result<(), AppError>;
    /// Takes a member out of a workspace.
    async fn remove_member(&self, workspace: &str, user: &str) -> Result<(), AppError>;
    /// Closes a member's account; its sessions and tokens end.
    async fn deactivate(&self, workspace: &str, user: &str) -> Result<(), AppError>;
    /// Opens a closed account again.
    async fn activate(&self, workspace: &str, user: &str) -> Result<(), AppError>;
    /// Invites an address into a workspace; the link can be seen only now.
    async fn invite(&self, workspace: &str, email: &str, role: &str) -> Result<InvitationLink, AppError>;
    /// Takes an invitation back.
    async fn withdraw_invitation(&self, workspace: &str, invitation: &str) -> Result<(), AppError>;
    /// What an invitation is for.
    async fn invitation(&self, key: &str) -> Result<InvitationView, AppError>;
    /// Accepts an invitation, and begins a session.
    async fn accept_invitation(&self, key: &str, name: &str, password: &str) -> Result<(), AppError>;
    /// The groups of a workspace.
    async fn groups(&self, workspace: &str) -> Result<GroupsView, AppError>;
    /// Makes a group.
    async fn create_group(&self, workspace: &str, name: &str) -> Result<(), AppError>;
    /// Puts a member into a group.
    async fn join_group(&self, workspace: &str, group: &str, user: &str) -> Result<(), AppError>;
    /// Takes a member out of a group.
    async fn leave_group(&self, workspace: &str, group: &str, user: &str) -> Result<(), AppError>;
    /// The API tokens of a workspace.
    async fn tokens(&self, workspace: &str) -> Result<TokensView, AppError>;
    /// Makes an API token; its text can be seen only now.
    async fn create_token(&self, workspace: &str, draft: TokenDraft) -> Result<TokenMade, AppError>;
    /// Withdraws an API token.
    async fn revoke_token(&self, workspace: &str, token: &str) -> Result<(), AppError>;
}

/// What a workspace is connected to, testing it, and deleting things.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The registries of a workspace.
    async fn registries(&self, workspace: &str) -> Result<RegistriesView, AppError>;
    /// Adds or changes a registry; says what is so now.
    async fn save_registry(&self, workspace: &str, draft: RegistryDraft, secrets: Secrets) -> Result<String, AppError>;
    /// Tries a registry, as typed or as stored: reading, and beginning an upload where images are copied to.
    async fn test_registry(
        &self,
        workspace: &str,
        draft: RegistryDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError>;
    /// Adds or replaces a trusted root; says what is so now.
    async fn save_trusted_root(&self, workspace: &str, draft: TrustedRootDraft) -> Result<String, AppError>;
    /// Removes a trusted root that no policy names.
    async fn remove_trusted_root(&self, workspace: &str, name: &str) -> Result<(), AppError>;
    /// The clusters of a workspace.
    async fn clusters(&self, workspace: &str) -> Result<ClustersView, AppError>;
    /// Adds or changes a cluster; says what is so now.
    async fn save_cluster(&self, workspace: &str, draft: ClusterDraft, secrets: Secrets) -> Result<String, AppError>;
    /// Tries a cluster's Argo CD and registry, as typed or as stored.
    async fn test_cluster(
        &self,
        workspace: &str,
        draft: ClusterDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError>;
    /// The projects of a workspace with their repositories.
    async fn repositories(&self, workspace: &str) -> Result<RepositoriesView, AppError>;
    /// Adds a project, or changes the repository of one; says what is so now.
    async fn save_repository(
        &self,
        workspace: &str,
        draft: RepositoryDraft,
        secrets: Secrets,
    ) -> Result<String, AppError>;
    /// Tries a project's repository, as typed or as stored.
    async fn test_repository(
        &self,
        workspace: &str,
        draft: RepositoryDraft,
        secrets: Secrets,
    ) -> Result<ConnectionTest, AppError>;
    /// Adds an environment to a project; says what is so now.
    async fn add_environment(&self, workspace: &str, draft: EnvironmentDraft) -> Result<String, AppError>;
    /// The hosts of source repositories that a workspace lists.
    async fn source_hosts(&self, workspace: &str) -> Result<SourceHostsView, AppError>;
    /// Lists a host, or changes how it is read; says what is so now.
    async fn save_source_host(
        &self,
        workspace: &str,
        draft: SourceHostDraft,
        secrets: Secrets,
    ) -> Result<String, AppError>;
    /// Removes a host from the list, with its token.
    async fn remove_source_host(&self, workspace: &str, host: &str) -> Result<(), AppError>;
    /// What deleting something means.
    async fn removal(&self, target: &Removing) -> Result<RemovalView, AppError>;
    /// Deletes something; its history stays.
    async fn remove(&self, target: &Removing, choices: RemovalChoices, typed: &str) -> Result<Removed, AppError>;
}

/// Notifications out.
#[async_trait]
pub trait Notifications: Send + Sync {
    /// The channels for notifications of a workspace, and what went through them.
    async fn notifications(&self, workspace: &str) -> Result<NotificationsView, AppError>;
    /// Adds a channel; a webhook's key can be seen only now.
    async fn add_channel(&self, workspace: &str, draft: ChannelDraft) -> Result<ChannelMade, AppError>;
    /// Pauses or resumes a channel.
    async fn pause_channel(&self, workspace: &str, channel: &str, paused: bool) -> Result<(), AppError>;
    /// Removes a channel, with what went through it.
    async fn remove_channel(&self, workspace: &str, channel: &str) -> Result<(), AppError>;
    /// Sends a test through a channel; what came of it, in words.
    async fn test_channel(&self, workspace: &str, channel: &str) -> Result<Tried, AppError>;
    /// Sends a notification again; what came of it, in words.
    async fn redeliver(&self, workspace: &str, delivery: &str) -> Result<Tried, AppError>;
}

/// All of it.
pub trait Backend:
    Sessions + Boards + Resources + Artifacts + Promotions + Recalls + Environments + People + Connections + Notifications
{
}

/// Which environment, by names as they came from an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct At {
    /// The workspace.
    pub workspace: String,
    /// The project.
    pub project: String,
    /// The environment.
    pub environment: String,
}

impl At {
    /// The environment of these names.
    #[must_use]
    pub fn new(workspace: String, project: String, environment: String) -> Self {
        Self {
            workspace,
            project,
            environment,
        }
    }
}
