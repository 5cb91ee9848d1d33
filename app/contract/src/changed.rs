//! What the event stream tells pages.

use serde::{Deserialize, Serialize};

/// What the event stream says: something about this changed. The stream carries only what the reader may see.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// The workspace.
    pub workspace: String,
    /// The project, if it is about one.
    pub project: Option<String>,
    /// The promotion, if it is about one.
    pub promotion: Option<String>,
}

impl Changed {
    /// Whether it is about this project, or about all of its workspace.
    #[must_use]
    pub fn concerns(&self, workspace: &str, project: &str) -> bool {
        self.workspace == workspace && self.project.as_deref().is_none_or(|p| p == project)
    }
}
