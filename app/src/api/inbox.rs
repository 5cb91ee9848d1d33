//! What waits for a person, and what they say about it.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::inbox::*;

use leptos::prelude::*;

/// What waits for the actor.
///
/// # Errors
/// When nobody is signed in, or the server can't tell.
#[server(prefix = "/api/ui", endpoint = "inbox")]
pub async fn inbox(#[server(default)] before: String) -> Result<InboxView, AppError> {
    answer(backend()?.inbox(&before).await)
}

/// How many promotions wait for the actor; none when nobody is signed in.
///
/// # Errors
/// When the server can't tell.
#[server(name = CountInbox, prefix = "/api/ui", endpoint = "inbox_count")]
pub async fn inbox_count() -> Result<usize, AppError> {
    answer(backend()?.inbox_count().await)
}

/// Approves a promotion.
///
/// # Errors
/// When the actor may not, or it has ended otherwise.
#[server(prefix = "/api/ui", endpoint = "approve")]
pub async fn approve(id: String, comment: String) -> Result<(), AppError> {
    answer(backend()?.approve(&id, &comment).await)
}

/// Rejects a promotion, with a reason.
///
/// # Errors
/// In the field `comment` without a reason; when the actor may not, or it waits no more.
#[server(prefix = "/api/ui", endpoint = "reject")]
pub async fn reject(id: String, comment: String) -> Result<(), AppError> {
    answer(backend()?.reject(&id, &comment).await)
}

/// Lets a promotion through a gate that is shut.
///
/// # Errors
/// In the field `reason` without one; when the actor may not, or the gate isn't shut.
#[server(prefix = "/api/ui", endpoint = "override_gate")]
pub async fn override_gate(id: String, gate: String, reason: String) -> Result<(), AppError> {
    answer(backend()?.override_gate(&id, &gate, &reason).await)
}
