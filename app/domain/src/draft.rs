//! The form "Create Resource": what a person typed, what it may refer to, and every rule that it must meet.
//!
//! [`ResourceDraft`] is the form as posted, all text. [`FormOptions`] is what the form offers. [`ResourceDraft::check`]
//! holds one against the other, in the browser before submit and on the server again; only what needs the outside
//! world (does the registry hold this digest?) is left to the server.

mod check;
mod options;
#[cfg(test)]
mod tests;

pub use check::check_digest;
pub use options::{FormOptions, SourceEnvironment, SourceImage, SourceResource, source_image};

use crate::{
    artifact::Repository,
    key::Key,
    name::Name,
    resource::{Binding, Kind, Runtime},
    tag_rule::TagRule,
};
use serde::{Deserialize, Serialize};

/// Most rows of ports and of environment variables.
pub const MAX_ROWS: usize = 50;
/// Most bytes of an environment variable's value.
pub const MAX_VALUE: usize = 4096;

/// The form as typed. Field names are the form's; lists are posted as `ports[0]`, `env[0][name]`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceDraft {
    /// `promote` or `image`.
    pub source: String,
    /// Source *Image*: the repository.
    pub image: String,
    /// Source *Image*: which tags count, a word of [`TagOrder`](crate::tag_rule::TagOrder); empty: as `newest`.
    pub tags: String,
    /// Source *Image*: the range, the pattern or the tag that goes with it.
    pub tags_value: String,
    /// Source *Image*: tags that never count, with spaces or commas between.
    pub leave_out: String,
    /// Source *Promote from environment*: the environment's name.
    pub source_environment: String,
    /// Source *Promote from environment*: the resource's name there.
    pub source_resource: String,
    /// `track` or `pin`.
    pub binding: String,
    /// The digest to pin to, `sha256:…`; read only with `pin`.
    pub digest: String,
    /// The new resource's name.
    pub name: String,
    /// Its key in Git; empty for its name.
    pub key: String,
    /// Source *Image*: a word of [`Kind`].
    pub kind: String,
    /// Copies: a whole number from 0 to 1000, or empty to leave it to the chart.
    pub replicas: String,
    /// Ports from 1 to 65535, at most [`MAX_ROWS`]; empty rows are left out.
    pub ports: Vec<String>,
    /// Environment variables; rows with neither name nor value are left out.
    pub env: Vec<VariableDraft>,
    /// Host to be reached under, without scheme, port or path; empty for none.
    pub ingress_host: String,
    /// `small`, `medium`, `large` or empty.
    pub size: String,
    /// Path that answers when it is well, beginning with a slash; empty for none.
    pub health_path: String,
    /// Anything when the values file may be made, where there is none.
    pub create_file: String,
}

/// A row of the form's environment variables.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VariableDraft {
    /// Letters, digits and underscores, not beginning with a digit.
    pub name: String,
    /// At most [`MAX_VALUE`] bytes; line breaks and tabs are fine.
    pub value: String,
}

impl ResourceDraft {
    /// An empty form as it is first shown: promote, track latest, one row for a port and one for a variable.
    #[must_use]
    pub fn fresh() -> Self {
        Self {
            source: "promote".into(),
            binding: "track".into(),
            kind: Kind::Deployment.as_str().into(),
            replicas: "1".into(),
            ports: vec![String::new()],
            env: vec![VariableDraft::default()],
            ..Self::default()
        }
    }
}

/// A draft that met every rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewResource {
    /// Its name, which no other resource of the environment has.
    pub name: Name,
    /// Its key in Git, which no other resource of the environment has.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// Where its image comes from.
    pub source: NewSource,
    /// How it follows that.
    pub binding: Binding,
    /// How it runs.
    pub runtime: Runtime,
    /// Whether the values file may be made, where there is none.
    pub creates_file: bool,
}

/// Where a new resource's image comes from, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewSource {
    /// A repository.
    Image {
        /// The repository.
        repository: Repository,
        /// Which of its tags count; the range and the pattern in it are still to be read.
        tags: TagRule,
    },
    /// A resource of another environment of the project.
    Promote {
        /// That environment.
        environment: Name,
        /// The resource there.
        resource: Name,
        /// Its image.
        image: SourceImage,
    },
}

/// Why a resource of `environment` can't have a key: this other one has it.
#[must_use]
pub fn taken_key(environment: &Name, resource: &Name, key: &Key) -> String {
    format!("{environment}/{resource} has the key {key} in Git already. Enter another key.")
}
