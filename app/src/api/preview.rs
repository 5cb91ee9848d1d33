//! What a decision would do, before anybody takes it.

#[cfg(feature = "ssr")]
use crate::backend::backend;
#[cfg(feature = "ssr")]
use contract::backend::At;
use contract::error::AppError;

pub use contract::preview::*;

use domain::draft::ResourceDraft;
use leptos::prelude::*;

/// What Create Resource would do with a draft.
///
/// # Errors
/// When the server can't be asked.
#[server(prefix = "/api/ui", endpoint = "preview_create")]
pub async fn preview_create(
    workspace: String,
    project: String,
    environment: String,
    draft: ResourceDraft,
) -> Result<Outlook, AppError> {
    let at = At::new(workspace, project, environment);
    Ok(backend()?.preview_create(&at, draft).await)
}

/// What *Promote*, or *Resume* of what is held, would do.
///
/// # Errors
/// When the server can't be asked.
#[server(prefix = "/api/ui", endpoint = "preview_promote")]
pub async fn preview_promote(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
) -> Result<Outlook, AppError> {
    let at = At::new(workspace, project, environment);
    Ok(backend()?.preview_promote(&at, &resource).await)
}

/// What pinning a resource to a digest would do.
///
/// # Errors
/// When the server can't be asked.
#[server(prefix = "/api/ui", endpoint = "preview_pin")]
pub async fn preview_pin(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    digest: String,
) -> Result<Outlook, AppError> {
    let at = At::new(workspace, project, environment);
    Ok(backend()?.preview_pin(&at, &resource, &digest).await)
}

/// What a rule for tags would pick for a resource, and what becomes of what runs, a sentence each: the fields of
/// [`change_tags`](super::resource::change_tags).
///
/// # Errors
/// When the server can't be asked.
#[server(prefix = "/api/ui", endpoint = "preview_tags")]
pub async fn preview_tags(
    workspace: String,
    project: String,
    environment: String,
    resource: String,
    tags: String,
    #[server(default)] tags_value: String,
    #[server(default)] leave_out: String,
) -> Result<Outlook<Vec<String>>, AppError> {
    let at = At::new(workspace, project, environment);
    let draft = ResourceDraft {
        tags,
        tags_value,
        leave_out,
        ..ResourceDraft::default()
    };
    Ok(backend()?.preview_tags(&at, &resource, &draft).await)
}
