//! The life of an image: where it comes from, what vouches for it, and where it ran. The page of an artifact shows it, and the export is the
//! same as JSON.
//!
//! Equal state gives equal bytes: there is no time of asking in it, lists have one order, and times are RFC 3339.

use domain::{
    artifact::{Digest, Repository, Tag},
    custody::{Fact, FactKind},
    gate::{CheckStatus, Gate},
    id::PromotionId,
    name::Name,
    promotion::{Purpose, State},
};
use serde::{Deserialize, Serialize};

/// What the export says that it is.
pub const SCHEMA: &str = "waybill.custody/v1";

/// The life of an image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Custody {
    /// [`SCHEMA`].
    pub schema: String,
    /// The workspace.
    pub workspace: Name,
    /// The image.
    pub digest: Digest,
    /// Where it was seen, by repository.
    pub held: Vec<Held>,
    /// Where it comes from.
    pub origin: Vec<Fact>,
    /// What of that is said in ways that differ.
    pub conflicts: Vec<FactKind>,
    /// What vouches for it, by what it is.
    pub evidence: Vec<Evidence>,
    /// Checks of it, as they were reported last, by name.
    pub checks: Vec<CheckShown>,
    /// Where it went, oldest first.
    pub journey: Vec<Stage>,
    /// Where it ran without a promotion and somebody said that it is right, oldest first.
    pub adoptions: Vec<AdoptionShown>,
    /// Tags that Waybill set on it, by repository and name.
    pub tags: Vec<TagShown>,
    /// Copies of it between registries, oldest first.
    pub copies: Vec<CopyShown>,
    /// How many stages there are in environments that the reader may not see.
    pub hidden: usize,
    /// Whether older stages are left out.
    pub is_cut: bool,
}

/// A repository that holds the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The repository.
    pub repository: Repository,
    /// A tag that it has there.
    pub tag: Option<Tag>,
    /// When it was first seen there.
    pub seen_at: String,
    /// Bytes of all platforms; `None` until the registry was asked.
    pub size_bytes: Option<u64>,
    /// Its platforms.
    pub platforms: Vec<String>,
}

/// Something that vouches for an image, as a policy of the workspace asks for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The gate that asks for it: `signature:release`.
    pub gate: String,
    /// Whether it was found, and valid.
    pub is_valid: bool,
    /// What was found, a sentence.
    pub why: String,
}

/// A check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckShown {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: CheckStatus,
    /// What it found.
    pub summary: Option<String>,
    /// The report's address.
    pub url: Option<String>,
    /// When.
    pub at: String,
    /// Who reported it.
    pub by: String,
}

/// A promotion of the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// The promotion.
    pub promotion: PromotionId,
    /// The project.
    pub project: Name,
    /// The environment.
    pub environment: Name,
    /// The resource.
    pub resource: Name,
    /// What it was for.
    pub purpose: Purpose,
    /// Who requested it.
    pub by: String,
    /// When.
    pub at: String,
    /// Where it stands.
    pub state: State,
    /// When it ended.
    pub ended_at: Option<String>,
    /// The commit in the GitOps repository.
    pub commit: Option<String>,
    /// The gates, as they stood when they were last looked at.
    pub gates: Vec<Gate>,
    /// Who approved or rejected it, and who overrode which gate, in order.
    pub decisions: Vec<String>,
    /// The signed statement that Waybill hung on the image: the digest of its layer.
    pub statement: Option<String>,
    /// When it was live and healthy in the environment, from and until; without an end it still is, as far as is known.
    pub ran: Vec<(String, Option<String>)>,
}

/// Somebody said that the image is right where it ran without a promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdoptionShown {
    /// The project.
    pub project: Name,
    /// The environment.
    pub environment: Name,
    /// The resource.
    pub resource: Name,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: String,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// A tag of an environment on the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagShown {
    /// The repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// The project.
    pub project: Name,
    /// The environment whose tag it is.
    pub environment: Name,
    /// `marker` or `keeper`.
    pub usage: String,
    /// When Waybill set it, or found it so.
    pub set_at: String,
    /// Whether somebody else moved it since.
    pub is_moved: bool,
}

/// A copy of the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyShown {
    /// From where.
    pub source: Repository,
    /// To where.
    pub target: Repository,
    /// How it stands.
    pub state: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
}
