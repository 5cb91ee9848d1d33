//! Hosts of source repositories, whose history may be read.

use domain::{name::Name, time::Timestamp};
use serde::{Deserialize, Serialize};

/// The hosts that a workspace lists.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceHostsView {
    /// The workspace.
    pub workspace: Name,
    /// The hosts, by name.
    pub hosts: Vec<SourceHostView>,
    /// When this was read.
    pub now: Timestamp,
}

/// A listed host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceHostView {
    /// What the form holds of it.
    pub draft: SourceHostDraft,
    /// Whether a token is stored.
    pub has_token: bool,
    /// The name of whoever listed it.
    pub added_by: String,
    /// When.
    pub added_at: Timestamp,
}

/// A host as the form holds it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceHostDraft {
    /// The listed host that is edited; empty for a new one.
    pub was: String,
    /// The host, with its port where it has one of its own.
    pub host: String,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// Who reads; empty: nobody signs in.
    pub user: String,
    /// Forgets user and token.
    pub anonymous: bool,
}
