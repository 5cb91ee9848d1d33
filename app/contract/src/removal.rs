//! Deleting a resource, an environment, a project, a cluster, a workspace: what it means, and doing it.

use domain::{name::Name, removal::Removable};
use serde::{Deserialize, Serialize};

/// What is to be deleted, by names as they came from an address or a form. What doesn't apply is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Removing {
    /// `resource`, `environment`, `project`, `cluster` or `workspace`.
    pub what: String,
    /// The workspace.
    pub workspace: String,
    /// The project, of environments and resources.
    pub project: String,
    /// The environment, of resources.
    pub environment: String,
    /// The thing's own name; a workspace's stands here, too.
    pub name: String,
}

/// What deleting something means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemovalView {
    /// What it is.
    pub what: Removable,
    /// Its name.
    pub name: Name,
    /// What is deleted with it, `resource api`, one each.
    pub with: Vec<String>,
    /// Why it can't be deleted now, sentences.
    pub refusals: Vec<String>,
    /// Who follows it from elsewhere.
    pub followers: Vec<FollowerView>,
    /// Promotions that wait, and would be cancelled.
    pub cancels: usize,
    /// A resource's key in Git, where that isn't its name.
    pub key: Option<String>,
    /// Its values file, where its blocks can be removed with it.
    pub path: Option<String>,
    /// Why the actor may not have them removed, and who may: it changes what runs.
    pub not_from_git: Option<String>,
}

/// A resource that follows what is to be deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FollowerView {
    /// `production/api`.
    pub name: String,
    /// The short digest that it would be pinned to.
    pub pin: Option<String>,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Removed {
    /// What it was.
    pub what: Removable,
    /// Its name.
    pub name: Name,
    /// What was deleted with it, and what else came of it, a line each.
    pub with: Vec<String>,
    /// Whether its blocks are removed from Git, too.
    pub from_git: bool,
}
