//! API tokens of a workspace.

use domain::{id::TokenId, name::Name, rights::Role, time::Timestamp};
use serde::{Deserialize, Serialize};

/// The tokens of a workspace, and the places that a new one could be for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokensView {
    /// The workspace.
    pub workspace: Name,
    /// Its tokens that aren't withdrawn, by name.
    pub tokens: Vec<TokenView>,
    /// Its projects with their environments.
    pub places: Vec<(Name, Vec<Name>)>,
    /// When it was read.
    pub now: Timestamp,
}

/// A token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// The most it may do.
    pub role: Role,
    /// Project, or project and environment, that it is for; `None` for the whole workspace.
    pub scope: Option<String>,
    /// Address of who made it; `None` when it was made on the server, or they left.
    pub made_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Whether it has ended.
    pub ended: bool,
}

/// What the form for a new token posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenDraft {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// The project that it is for; empty for all.
    pub project: String,
    /// The environment that it is for; empty for all.
    pub environment: String,
    /// When it ends, counted from now: `90d`; `never`.
    pub expires: String,
}

/// A new token's text; shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// Its name.
    pub name: String,
    /// The text.
    pub secret: String,
}

impl std::fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenMade")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
