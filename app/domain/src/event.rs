//! What happened: one event per transition. The same row is the ledger's entry and what wakes open pages.

mod shuts_out;

use crate::{
    artifact::{Digest, ExactImage, Repository, Tag},
    door::Door,
    gate::{CheckStatus, GateId},
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId, WorkspaceId},
    key::Key,
    plan::Health,
    policy::Policy,
    promotion::{Actor, Failure, Promotion, Purpose, State},
    removal::Removable,
    resource::{HoldCause, Outside, Resource},
    statement::StatementForm,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// An entry of the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the ledger, counted over the whole installation.
    pub sequence: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// What it is about.
    pub subject: Subject,
    /// Who caused it.
    pub actor: Actor,
    /// Through which door; unknown of entries that are older than the question.
    pub door: Option<Door>,
    /// From which network address, where there was one.
    pub address: Option<String>,
    /// What happened.
    pub happened: Happened,
}

/// What an event is about; as much as applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The project.
    pub project: Option<ProjectId>,
    /// The environment.
    pub environment: Option<EnvironmentId>,
    /// The resource.
    pub resource: Option<ResourceId>,
    /// The promotion.
    pub promotion: Option<PromotionId>,
}

impl Subject {
    /// A promotion, with its project, environment and resource.
    #[must_use]
    pub fn promotion(promotion: &Promotion) -> Self {
        Self {
            project: Some(promotion.project),
            environment: Some(promotion.environment),
            resource: Some(promotion.resource),
            promotion: Some(promotion.id),
        }
    }

    /// A resource, with its environment.
    #[must_use]
    pub fn resource(project: ProjectId, resource: &Resource) -> Self {
        Self {
            project: Some(project),
            environment: Some(resource.environment),
            resource: Some(resource.id),
            promotion: None,
        }
    }
}

/// What happened, with its evidence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Happened {
    /// Somebody signed in.
    SignedIn {
        /// Through whom, when it wasn't with a password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<String>,
    },
    /// Somebody tried to sign in and failed.
    SignInFailed {
        /// The address that was tried.
        email: String,
    },
    /// An API token was made.
    TokenCreated {
        /// Its name.
        name: String,
        /// Its role. What it is for, when it isn't the whole workspace, the event's subject says.
        role: String,
    },
    /// An API token was withdrawn.
    TokenRevoked {
        /// Its name.
        name: String,
    },
    /// Somebody was invited.
    MemberInvited {
        /// Their address.
        email: String,
        /// The role they are to have, a word of [`Role`](crate::rights::Role).
        role: String,
    },
    /// An invitation was taken back.
    InvitationWithdrawn {
        /// The address that was invited.
        email: String,
    },
    /// Somebody accepted an invitation.
    MemberJoined {
        /// Their address.
        email: String,
        /// A word of [`Role`](crate::rights::Role).
        role: String,
    },
    /// A member's role changed.
    RoleChanged {
        /// Their address.
        email: String,
        /// The role now, a word of [`Role`](crate::rights::Role).
        role: String,
    },
    /// A member left the workspace, and their tokens with them.
    MemberRemoved {
        /// Their address.
        email: String,
    },
    /// An account may no longer be used; its sessions and tokens ended.
    AccountDeactivated {
        /// Its address.
        email: String,
    },
    /// An account may be used again.
    AccountActivated {
        /// Its address.
        email: String,
    },
    /// A group was made.
    GroupCreated {
        /// Its name.
        name: String,
    },
    /// A member joined a group.
    GroupJoined {
        /// The group.
        group: String,
        /// The member's address.
        email: String,
    },
    /// A member left a group.
    GroupLeft {
        /// The group.
        group: String,
        /// The member's address.
        email: String,
    },
    /// A channel for notifications was added.
    ChannelAdded {
        /// Its name.
        name: String,
        /// A word of [`ChannelKind`](crate::notification::ChannelKind).
        channel: String,
    },
    /// Notifications through a channel were paused or resumed.
    ChannelPaused {
        /// Its name.
        name: String,
        /// Whether they are paused now.
        paused: bool,
    },
    /// A channel was removed, with its deliveries.
    ChannelRemoved {
        /// Its name.
        name: String,
    },
    /// A person had a notification sent again.
    NotificationRedelivered {
        /// The channel's name.
        name: String,
        /// What it tells, a line.
        title: String,
    },
    /// Somebody changed their password; their other sessions ended.
    PasswordChanged,
    /// The provider of single sign-on gave an account to who has its address; its password and its sessions ended.
    PasswordRemoved,
    /// Somebody ended all of their sessions.
    SignedOutEverywhere,
    /// Configuration was applied.
    Applied {
        /// One line per change.
        changes: Vec<String>,
    },
    /// A resource was created.
    ResourceCreated,
    /// Something was removed; its history stays.
    Removed {
        /// What it was.
        what: Removable,
        /// Its name, with the names of what it was in: `myapp/staging/api`.
        name: String,
        /// What was removed with it, `resource api`, and what else came of it, a line each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        with: Vec<String>,
        /// Whether it is removed from Git, too; else Git was left alone.
        #[serde(default)]
        from_git: bool,
    },
    /// The blocks of removed resources were removed from a values file.
    RemovedFromGit {
        /// The file, from the root of the repository.
        path: String,
        /// Keys of the blocks.
        services: Vec<String>,
        /// The commit; `None` when the file held none of them any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
    },
    /// The blocks of removed resources stay in a values file.
    NotRemovedFromGit {
        /// The file, from the root of the repository.
        path: String,
        /// Keys of the blocks.
        services: Vec<String>,
        /// Why, and what to do.
        reason: String,
    },
    /// A resource's pin was moved.
    PinChanged {
        /// The digest it is pinned to now.
        to: Digest,
    },
    /// A resource no longer follows its source by itself.
    Held {
        /// What was done that holds it.
        cause: HoldCause,
        /// The commit, where it was done in Git.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outside: Option<Outside>,
    },
    /// A resource follows its source again.
    Resumed,
    /// A resource took the key that it has in Git now.
    KeyTaken {
        /// Its key before.
        from: Key,
        /// Its key since.
        to: Key,
    },
    /// The registry was seen to hold a new artifact.
    ArtifactSeen {
        /// The artifact.
        image: ExactImage,
    },
    /// A promotion was asked for.
    PromotionRequested {
        /// What for.
        purpose: Purpose,
        /// What is to run.
        image: ExactImage,
        /// The change that the person was shown before they asked, as a unified diff.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<String>,
    },
    /// A person approved a promotion.
    Approved {
        /// The digest that they saw.
        digest: Digest,
        /// `None` when they said nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// A person rejected a promotion.
    Rejected {
        /// Why.
        comment: String,
    },
    /// A person let a promotion through a gate that was shut.
    GateOverridden {
        /// Which gate.
        gate: GateId,
        /// Why.
        reason: String,
    },
    /// Somebody paused promotions: nothing new may run.
    LineStopped {
        /// Why.
        reason: String,
    },
    /// Somebody resumed them.
    LineResumed,
    /// What an environment asks for was changed.
    PolicyChanged {
        /// The policy now.
        policy: Box<Policy>,
    },
    /// The result of a check was reported.
    CheckReported {
        /// The digest that it is about.
        digest: Digest,
        /// The check's name.
        name: String,
        /// How it stands.
        status: CheckStatus,
    },
    /// A promotion moved on.
    PromotionMoved {
        /// The state it was in.
        from: State,
        /// The state it is in.
        to: State,
        /// Evidence or reason, a sentence.
        detail: Option<String>,
    },
    /// A promotion failed after its commit, and what was healthy before is committed again.
    TakenBack {
        /// The promotion that does it.
        by: PromotionId,
        /// What it goes back to.
        to: ExactImage,
    },
    /// What a promotion waits for changed.
    PromotionWaits {
        /// What it waits for, a sentence.
        detail: String,
    },
    /// A commit of a promotion is on the remote.
    Committed {
        /// The commit, in full.
        commit: String,
        /// Pushes it took; 0 when the commit was found again or nothing had to change.
        pushes: u32,
    },
    /// Git declares another image than before.
    DesiredChanged {
        /// The image now; `None` when Git no longer declares an exact one.
        image: Option<ExactImage>,
        /// The commit that says so, in full.
        commit: String,
        /// Its author, when it wasn't Waybill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Git switches a service off (`enabled: false`), or on again, which holds nothing.
    SwitchedInGit {
        /// Whether it is off now.
        off: bool,
        /// The commit that says so, in full.
        commit: String,
        /// Its author, when it wasn't Waybill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Argo CD reports other digests or another health than before.
    LiveChanged {
        /// The first 7 hexadecimal characters of each digest that runs now; none when nothing runs.
        digests: Vec<String>,
        /// Health now.
        health: Health,
    },
    /// Argo CD can't be reached, and what it reported is no longer believed.
    LiveForgotten,
    /// Argo CD has no such Application, or doesn't let Waybill see it: what runs is not known.
    ApplicationNotFound {
        /// The name of the Application in Argo CD.
        application: String,
    },
    /// Waybill ended a sync that ran in Argo CD: it applied what a promotion leaves.
    SyncEnded {
        /// Whose sync it was, a few words.
        sync: String,
        /// The commit that it applied, in full.
        revision: String,
    },
    /// What a failed promotion promised is live after all.
    PromotionLiveAfterAll {
        /// Why it had failed.
        failure: Option<Failure>,
        /// What proves that it is live, a sentence.
        evidence: String,
    },
    /// An Argo CD can't be followed any more. What it reported stays for a minute.
    ArgoCdLost {
        /// The cluster's name.
        cluster: String,
        /// What was seen, a sentence.
        why: String,
    },
    /// It can be followed again.
    ArgoCdFound {
        /// The cluster's name.
        cluster: String,
    },
    /// A tag of an environment names an image in the registry now.
    TagMoved {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// What it named before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Digest>,
        /// What it names.
        to: Digest,
    },
    /// A tag of an environment can't be set, or not be taken away. Nothing else depends on it.
    TagRefused {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// Why, and what to do, with the registry's own words.
        reason: String,
    },
    /// Somebody else moved a tag of an environment.
    TagDrifted {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// What it names now; `None` when it is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Digest>,
    },
    /// A tag that kept an image was taken away: the image left the last few, and runs nowhere.
    TagRemoved {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
    },
    /// Somebody had all tags of an environment set again, whatever they named.
    TagsSetAgain,
    /// What runs can't be pulled any more: its registry lost parts of it.
    ImageIncomplete {
        /// The repository.
        repository: Repository,
        /// The image.
        digest: Digest,
        /// What is gone, a few words each.
        missing: Vec<String>,
    },
    /// Somebody asked for the missing parts to be copied from another repository.
    HealAsked {
        /// The repository that lost them.
        repository: Repository,
        /// The image.
        digest: Digest,
        /// Where they are copied from.
        from: Repository,
    },
    /// They could not be copied.
    HealFailed {
        /// The repository that lost them.
        repository: Repository,
        /// The image.
        digest: Digest,
        /// Why, and what to do.
        reason: String,
    },
    /// It can be pulled again.
    ImageWhole {
        /// The repository.
        repository: Repository,
        /// The image.
        digest: Digest,
    },
    /// A signed statement of what a promotion passed hangs on its image.
    StatementWritten {
        /// The repository.
        repository: Repository,
        /// How it hangs there.
        form: StatementForm,
        /// What was hung there: the digest of the bundle, or of the envelope.
        layer: Digest,
    },
    /// A signed statement could not be written.
    StatementRefused {
        /// The repository.
        repository: Repository,
        /// Why, and what to do, with the registry's own words.
        reason: String,
    },
    /// Another key signs statements from now on.
    SigningKeySet {
        /// The beginning of its fingerprint.
        key: String,
        /// That of the key before, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// A trusted root was given: whose certificates count for keyless signatures.
    TrustedRootSet {
        /// What policies call it.
        name: String,
        /// The SHA-256 of its text, hexadecimal.
        fingerprint: String,
    },
    /// A trusted root was removed.
    TrustedRootRemoved {
        /// What policies called it.
        name: String,
    },
    /// Somebody marked a digest bad: nothing is promoted to it until the recall is lifted.
    DigestRecalled {
        /// The digest.
        digest: Digest,
        /// Why.
        reason: String,
        /// How many resources ran it or were to run it: in the environment that the event is about, where it is about one.
        #[serde(default)]
        places: u32,
    },
    /// Somebody lifted a recall: the digest may be promoted again.
    RecallLifted {
        /// The digest.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// Somebody said that an image is right which others declared in Git and nobody promoted.
    ImageAdopted {
        /// The image.
        image: ExactImage,
        /// Why, if they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A host of source repositories was listed.
    SourceHostAdded {
        /// The host, with its port where it has one of its own.
        host: String,
        /// As whom its repositories are read; `None`: without signing in.
        user: Option<String>,
    },
    /// A listed host is read another way.
    SourceHostChanged {
        /// The host.
        host: String,
        /// What is different, in words.
        how: String,
    },
    /// A host is listed no longer.
    SourceHostRemoved {
        /// The host.
        host: String,
    },
}
