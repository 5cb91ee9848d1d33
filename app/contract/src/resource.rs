//! One resource: what it runs, what it follows, what ran before.

use crate::{
    board::{Cell, EnvironmentHead},
    connection::PassedOver,
    preview::Preview,
};
use domain::{
    artifact::{Artifact, Digest, ExactImage, Repository, Tag},
    id::PromotionId,
    key::Key,
    name::Name,
    promotion::{Purpose, State},
    recall::Recall,
    resource::Runtime,
    tag_rule::TagRule,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A resource with its history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceView {
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The environment.
    pub head: EnvironmentHead,
    /// Its name.
    pub name: Name,
    /// Its key in Git.
    pub key: Key,
    /// Why the actor may not change what runs, and who may; `None` when they may.
    pub denied: Option<String>,
    /// The key that it seems to have in Git now, where Git no longer declares it under its own.
    pub new_key: Option<Key>,
    /// Whether the actor may delete it.
    pub may_remove: bool,
    /// What runs, as on the board.
    pub cell: Cell,
    /// What its registry lost of the image that runs.
    #[serde(default)]
    pub incomplete: Option<IncompleteView>,
    /// Why it isn't known whether its image can still be pulled, a sentence.
    #[serde(default)]
    pub unseen: Option<String>,
    /// Recalls of what it is to run, of what it runs, and of what its source offers.
    #[serde(default)]
    pub recalls: Vec<RecallNotice>,
    /// Its image's repository, once known.
    pub repository: Option<Repository>,
    /// What its source offers now, when that is exact: what *Promote* would run.
    pub latest: Option<ExactImage>,
    /// What *Promote* would do; `None` when there is nothing to promote, or Git can't say.
    pub preview: Option<Preview>,
    /// Artifacts of its repository, newest first: what a pin may be set to.
    pub recent: Vec<Artifact>,
    /// All tags of the image that runs, as far as the registry was asked.
    pub tags: Vec<Tag>,
    /// Artifacts of the repository that it follows that arrived after what runs, but were built before it; the last first.
    pub backdated: Vec<Artifact>,
    /// Which tags of that repository count; `None` for what another resource runs.
    #[serde(default)]
    pub counts: Option<TagRule>,
    /// Tags of that repository that name no image to deploy, or don't count.
    pub passed_over: Vec<PassedOver>,
    /// How it runs.
    pub runtime: Runtime,
    /// Who follows it: environment and resource.
    pub followers: Vec<(Name, Name)>,
    /// Its promotions, newest first, at most 50.
    pub history: Vec<PromotionRow>,
    /// What ran here without a promotion and was adopted, newest first.
    pub adopted: Vec<AdoptedImage>,
    /// Whether it runs something now that was neither promoted nor adopted.
    pub is_unpromoted: bool,
    /// What it can be rolled back to, by the actor, newest first, at most 10.
    pub earlier: Vec<EarlierImage>,
    /// When this was read.
    pub now: Timestamp,
}

/// An image that ran here before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EarlierImage {
    /// The image.
    pub image: ExactImage,
    /// What its registry is known to have lost of it, a few words each.
    #[serde(default)]
    pub missing: Vec<String>,
    /// What rolling back to it would do; `None` when Git can't say.
    pub preview: Option<Preview>,
}

/// A digest that ran without a promotion, and that somebody said is right.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AdoptedImage {
    /// The digest.
    pub digest: Digest,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// A recall that concerns a resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecallNotice {
    /// The recall.
    pub recall: Recall,
    /// Whether the resource runs the digest, or is to; else its source offers it.
    pub here: bool,
}

/// An image that runs and can't be pulled any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncompleteView {
    /// The repository that lost parts of it.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
    /// What is gone, a few words each.
    pub missing: Vec<String>,
    /// When that was found.
    pub since: Timestamp,
    /// The repositories that it may be copied from.
    pub from: Vec<Repository>,
    /// The one that it is being copied from.
    pub healing_from: Option<Repository>,
    /// Why the last copy failed.
    pub failure: Option<String>,
}

/// A promotion in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromotionRow {
    /// The promotion.
    pub id: PromotionId,
    /// What it was for.
    pub purpose: Purpose,
    /// What it runs.
    pub image: ExactImage,
    /// Where it stands.
    pub state: State,
    /// Whether it was superseded though its commit is in Git.
    #[serde(default)]
    pub overtaken: bool,
    /// Why it failed, or was overtaken, if it did.
    pub reason: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What the form *Edit pin* posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PinDraft {
    /// The digest to pin to.
    pub digest: String,
}
