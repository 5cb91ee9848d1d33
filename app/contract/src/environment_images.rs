//! Where images of an environment come from and which tags they get: what the page *Images* shows and posts.

use domain::{
    artifact::{Digest, Repository, Tag},
    copy::Attachments,
    environment_tags::TagUse,
    id::PromotionId,
    name::Name,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The images of an environment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnvironmentImagesView {
    /// What the form holds.
    pub draft: ImagesDraft,
    /// Where its cluster has images copied to, if it does: that holds where the environment says nothing.
    pub of_cluster: Option<String>,
    /// Whether the actor may change it.
    pub may_edit: bool,
    /// Whether the actor may have tags set again.
    pub may_change: bool,
    /// The tags that Waybill set, or should, by repository and name.
    pub tags: Vec<TagView>,
    /// When this was read.
    pub now: Timestamp,
}

/// A tag that Waybill sets in the registry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TagView {
    /// The repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// What it is for.
    pub usage: TagUse,
    /// The resource whose image it names; `None` where that was deleted.
    pub resource: Option<Name>,
    /// What it should name.
    pub digest: Digest,
    /// The promotion that brought that, if one did.
    pub promotion: Option<PromotionId>,
    /// How it stands.
    pub state: TagState,
}

/// How a tag stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum TagState {
    /// It names what it should, since then as far as Waybill knows.
    Set {
        /// Since when.
        at: Timestamp,
    },
    /// It is about to be set.
    Due,
    /// Somebody else moved it, and the next promotion sets it again, unless it is to be left.
    Drifted {
        /// What it names; `None`: it is gone.
        to: Option<Digest>,
        /// When that was found.
        at: Timestamp,
        /// Whether it is left as it is.
        is_left: bool,
    },
    /// It isn't needed any more, and the registry doesn't let it be removed.
    Stays {
        /// Why, in the registry's words.
        why: String,
    },
    /// It can't be set; nothing depends on it.
    Refused {
        /// Why, and what to do.
        why: String,
    },
}

/// What the form posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImagesDraft {
    /// Where images are copied to; empty: as the cluster says.
    pub mirror: String,
    /// What goes along with them.
    pub attachments: Attachments,
    /// The tag that moves with what runs; empty for none.
    pub marker: String,
    /// Whether a marker stays where somebody else moved it.
    pub leave: bool,
    /// How tags begin that keep images; empty for none.
    pub prefix: String,
    /// How many images keep theirs; empty for the usual number.
    pub last: String,
}
