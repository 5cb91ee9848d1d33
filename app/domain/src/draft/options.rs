//! What the form offers: environments and resources to promote from, names and keys that are taken.

use crate::{
    artifact::{Artifact, DeclaredImage, ExactImage, Repository, Tag},
    key::Key,
    name::Name,
    resource::Kind,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// What the form offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FormOptions {
    /// The target environment.
    pub environment: Name,
    /// Names that the target has already.
    pub taken: Vec<Name>,
    /// Keys in Git that the target's resources have, each with the resource's name.
    pub taken_keys: Vec<(Key, Name)>,
    /// The values file that will change.
    pub values_path: String,
    /// Whether that file isn't there, so that the first commit would make it.
    pub creates_file: bool,
    /// Dotted keys above `services` in it; empty for none.
    pub values_prefix: String,
    /// Environments that can be promoted from, in the project's order; never the target.
    pub environments: Vec<SourceEnvironment>,
    /// All other environments of the project, so that a refusal can say why.
    pub other_environments: Vec<Name>,
    /// Image repositories that are known already.
    pub repositories: Vec<Repository>,
    /// What the target asks for before a promotion goes on, a sentence each.
    pub gates: Vec<String>,
}

impl FormOptions {
    /// The source environment of this name.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&SourceEnvironment> {
        self.environments.iter().find(|e| e.name.as_str() == name)
    }

    /// The source resource of this name in the environment of that name.
    #[must_use]
    pub fn resource(&self, environment: &str, name: &str) -> Option<&SourceResource> {
        self.environment(environment)?
            .resources
            .iter()
            .find(|r| r.name.as_str() == name)
    }
}

/// An environment that can be promoted from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceEnvironment {
    /// Its name.
    pub name: Name,
    /// Its promotable resources; at least one.
    pub resources: Vec<SourceResource>,
    /// Names of resources there whose kind can't be promoted, with that kind.
    pub not_promotable: Vec<(Name, Kind)>,
}

/// A resource that can be promoted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceResource {
    /// Its name.
    pub name: Name,
    /// What it is; what is promoted from it is the same.
    pub kind: Kind,
    /// Its image as Git declares it.
    pub declared: DeclaredImage,
    /// Since when Git declares that.
    pub since: Option<Timestamp>,
    /// Artifacts of its repository, newest first.
    pub recent: Vec<Artifact>,
}

/// How a source's image can be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceImage {
    /// It is exact.
    Exact(ExactImage),
    /// It is a tag, to be resolved once.
    ByTag(Repository, Tag),
}

/// The image that a resource offers to others, from what Git declares for it; `who` names it (`staging/api`).
///
/// # Errors
/// Why it can't be a source, a sentence.
pub fn source_image(declared: &DeclaredImage, who: &str) -> Result<SourceImage, String> {
    if let Some(unclear) = &declared.unclear {
        return Err(format!("{who} can't be promoted. {}.", unclear.trim_end_matches('.')));
    }
    let Some(repository) = declared.repository.clone() else {
        return Err(format!("{who} has no image yet. Deploy it once, then promote it."));
    };
    match (&declared.digest, &declared.tag) {
        (Some(digest), tag) => Ok(SourceImage::Exact(ExactImage {
            repository,
            tag: tag.clone(),
            digest: digest.clone(),
        })),
        (None, Some(tag)) if tag.as_str() == "latest" => Err(format!(
            "{who} runs the tag latest without a digest, so nobody can say which image that is. \
             Deploy it by digest first, then promote it."
        )),
        (None, Some(tag)) => Ok(SourceImage::ByTag(repository, tag.clone())),
        (None, None) => Err(format!(
            "{who} declares neither tag nor digest. Deploy it by digest first, then promote it."
        )),
    }
}
