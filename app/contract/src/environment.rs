//! One environment, and the form that creates a resource in it.

use crate::board::{Cell, EnvironmentHead};
use domain::{
    artifact::{Digest, ExactImage, Tag},
    name::Name,
    resource::Outside,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// An environment with its resources.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnvironmentView {
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The environment.
    pub head: EnvironmentHead,
    /// Why the actor may not change what runs, and who may; `None` when they may.
    pub denied: Option<String>,
    /// Its values file in the repository.
    pub values_path: String,
    /// Its Argo CD Application, if it has one.
    pub application: Option<String>,
    /// That the Application follows another branch than Waybill commits to, with what to do; `None` while nothing says so.
    pub other_branch: Option<String>,
    /// What it asks for before an image may run in it, a sentence each.
    pub policy: Vec<String>,
    /// Who paused promotions here.
    pub stops: Vec<StopView>,
    /// Whether the actor may pause promotions.
    pub may_stop: bool,
    /// Whether the actor may delete it.
    pub may_remove: bool,
    /// Its resources, by name.
    pub resources: Vec<(Name, Cell)>,
    /// What runs in it and was never promoted, by resource.
    pub unpromoted: Vec<Unpromoted>,
    /// When this was read.
    pub now: Timestamp,
}

/// A digest that runs, that no promotion brought there, and that nobody adopted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unpromoted {
    /// What runs it.
    pub resource: Name,
    /// The digest.
    pub digest: Digest,
    /// What the registry was seen to call it.
    pub tag: Option<Tag>,
    /// What Git declares for the resource.
    pub declared: Option<ExactImage>,
    /// Who declared that, and in which commit, where it wasn't Waybill and Git says so.
    pub declared_by: Option<Outside>,
    /// Since when Git declares it, where it declares just this digest; else when it was reported last.
    pub since: Timestamp,
    /// Whether it is recalled.
    pub is_recalled: bool,
}

impl Unpromoted {
    /// Whether Git declares just this digest.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared.as_ref().is_some_and(|image| image.digest == self.digest)
    }

    /// Whether it may be adopted.
    #[must_use]
    pub fn is_adoptable(&self) -> bool {
        self.is_declared() && !self.is_recalled
    }
}

/// Somebody paused promotions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StopView {
    /// Of the whole project, not only of this environment.
    pub of_project: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Whether the actor may resume them.
    pub may_lift: bool,
}
