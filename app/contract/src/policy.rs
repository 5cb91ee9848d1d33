//! What an environment asks for, as people read and write it.

use serde::{Deserialize, Serialize};

/// What an environment asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyView {
    /// A sentence each.
    pub words: Vec<String>,
    /// As YAML; empty when it asks for nothing.
    pub text: String,
    /// Whether the actor may change it.
    pub may_edit: bool,
}
