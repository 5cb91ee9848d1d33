//! What waits for a person, and what they say about it.

use crate::error::AppError;
use domain::{artifact::ExactImage, gate::Gate, id::PromotionId, name::Name, promotion::Purpose, time::Timestamp};
use leptos::prelude::*;
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

/// What waits for the actor.
///
/// # Errors
/// When nobody is signed in, or the server can't tell.
#[server(prefix = "/api/ui", endpoint = "inbox")]
pub async fn inbox(#[server(default)] before: String) -> Result<InboxView, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.inbox(&before).await)
}

/// How many promotions wait for the actor; none when nobody is signed in.
///
/// # Errors
/// When the server can't tell.
#[server(name = CountInbox, prefix = "/api/ui", endpoint = "inbox_count")]
pub async fn inbox_count() -> Result<usize, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.inbox_count().await)
}

/// Approves a promotion.
///
/// # Errors
/// When the actor may not, or it has ended otherwise.
#[server(prefix = "/api/ui", endpoint = "approve")]
pub async fn approve(id: String, comment: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.approve(&id, &comment).await)
}

/// Rejects a promotion, with a reason.
///
/// # Errors
/// In the field `comment` without a reason; when the actor may not, or it waits no more.
#[server(prefix = "/api/ui", endpoint = "reject")]
pub async fn reject(id: String, comment: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.reject(&id, &comment).await)
}

/// Lets a promotion through a gate that is shut.
///
/// # Errors
/// In the field `reason` without one; when the actor may not, or the gate isn't shut.
#[server(prefix = "/api/ui", endpoint = "override_gate")]
pub async fn override_gate(id: String, gate: String, reason: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.override_gate(&id, &gate, &reason).await)
}
