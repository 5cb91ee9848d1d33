//! What a decision would do, before anybody takes it.

use crate::error::AppError;
use domain::artifact::{ArtifactDetails, ExactImage};
use serde::{Deserialize, Serialize};

/// What a promotion would do, as things are now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Preview {
    /// What would run.
    pub image: ExactImage,
    /// What its builder says about it, once known.
    pub details: Option<ArtifactDetails>,
    /// What runs now, if anything does.
    pub previous: Option<ExactImage>,
    /// What that one's builder says about it, once known.
    pub previous_details: Option<ArtifactDetails>,
    /// The file of the repository that changes.
    pub path: String,
    /// Whether that file isn't there, so that the commit would make it.
    pub creates_file: bool,
    /// Its change, as a unified diff; empty when the file says so already.
    pub diff: String,
    /// Revisions of the source code now and then, shortened, as the images' builders labelled them; `None` when it goes back.
    pub revisions: Option<(String, String)>,
    /// The Application that Argo CD syncs; `None` without an Argo CD.
    pub application: Option<String>,
    /// That Git declares it already, and what becomes of that, a sentence; `None` where it doesn't.
    #[serde(default)]
    pub adopts: Option<String>,
    /// What else the sync brings into the cluster, a sentence; `None` when nothing.
    #[serde(default)]
    pub besides: Option<String>,
    /// That the image is copied to another repository first, and what that takes, a sentence; `None` when it is pulled from where it is.
    #[serde(default)]
    pub copy: Option<String>,
    /// What becomes of those who follow the resource, a sentence each.
    #[serde(default)]
    pub followers: Vec<String>,
    /// What the rule for tags picks now, a sentence each.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What a decision would do; or why it would be refused, or can't be foreseen, in fields and words as of the decision. That is an
/// answer too: whoever only asks has done nothing wrong.
pub type Outlook<T = Preview> = Result<T, AppError>;
