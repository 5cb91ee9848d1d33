//! What waits for a person, and what they say about it.

use domain::{artifact::ExactImage, gate::Gate, id::PromotionId, name::Name, promotion::Purpose, time::Timestamp};
use serde::{Deserialize, Serialize};

/// What waits for the actor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InboxView {
    /// The newest, with enough to decide.
    pub items: Vec<InboxItem>,
    /// How many there are.
    pub total: usize,
    /// Where the next page begins, when there is one: with what was asked for before this promotion.
    pub older: Option<PromotionId>,
    /// When this was read.
    pub now: Timestamp,
}

/// A promotion that waits for the actor's approval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InboxItem {
    /// Its id.
    pub id: PromotionId,
    /// The place in the ledger where it was asked for: of two the later one has the higher.
    pub asked_at: i64,
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The target environment.
    pub environment: Name,
    /// The target resource.
    pub resource: Name,
    /// What it is for.
    pub purpose: Purpose,
    /// Where the image comes from: environment and resource; `None` for an image repository.
    pub origin: Option<(Name, Name)>,
    /// What is to run.
    pub image: ExactImage,
    /// What runs now.
    pub previous: Option<ExactImage>,
    /// How its gates stand.
    pub gates: Vec<Gate>,
    /// Who asked.
    pub requested_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}
