//! Notifications out: the channels of a workspace's projects, and what went through them.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::notification::*;

use leptos::prelude::*;

/// The channels of a workspace, and what went through them last.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadNotifications, prefix = "/api/ui", endpoint = "notifications")]
pub async fn notifications(workspace: String) -> Result<NotificationsView, AppError> {
    answer(backend()?.notifications(&workspace).await)
}

/// Adds a channel.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "add_channel")]
pub async fn add_channel(workspace: String, draft: ChannelDraft) -> Result<ChannelMade, AppError> {
    answer(backend()?.add_channel(&workspace, draft).await)
}

/// Pauses or resumes a channel.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such channel.
#[server(prefix = "/api/ui", endpoint = "pause_channel")]
pub async fn pause_channel(workspace: String, channel: String, paused: bool) -> Result<(), AppError> {
    answer(backend()?.pause_channel(&workspace, &channel, paused).await)
}

/// Removes a channel, with what went through it.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such channel.
#[server(prefix = "/api/ui", endpoint = "remove_channel")]
pub async fn remove_channel(workspace: String, channel: String) -> Result<(), AppError> {
    answer(backend()?.remove_channel(&workspace, &channel).await)
}

/// Sends a test through a channel; what came of it, a sentence.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such channel, or it is paused.
#[server(prefix = "/api/ui", endpoint = "test_channel")]
pub async fn test_channel(workspace: String, channel: String) -> Result<Tried, AppError> {
    answer(backend()?.test_channel(&workspace, &channel).await)
}

/// Sends a notification again; what came of it, a sentence.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such delivery, or its channel is paused.
#[server(prefix = "/api/ui", endpoint = "redeliver")]
pub async fn redeliver(workspace: String, delivery: String) -> Result<Tried, AppError> {
    answer(backend()?.redeliver(&workspace, &delivery).await)
}
