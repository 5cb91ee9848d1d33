//! Projects.

use domain::name::Name;
use serde::{Deserialize, Serialize};

/// A project in the list of projects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProjectView {
    /// Its workspace.
    pub workspace: Name,
    /// Its name.
    pub name: Name,
    /// Its environments, in order.
    pub environments: Vec<Name>,
    /// Resources in all of them.
    pub resources: u32,
    /// Promotions under way.
    pub moving: u32,
    /// Resources whose newest promotion failed.
    pub failed: u32,
    /// Address of its GitOps repository, without credentials.
    pub repository_url: String,
    /// The branch.
    pub branch: String,
}
