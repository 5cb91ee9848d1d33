//! The commits between two images, and the hosts where their history may be read.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::{connection::Secrets, error::AppError};
use domain::source::SourceChanges;

pub use contract::source::*;

use leptos::prelude::*;

/// The commits between the image that ran before a promotion and the new one.
///
/// # Errors
/// When there is no such promotion for the actor.
#[server(prefix = "/api/ui", endpoint = "changes")]
pub async fn changes(id: String) -> Result<SourceChanges, AppError> {
    answer(backend()?.changes(&id).await)
}

/// The hosts of source repositories that a workspace lists.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadSourceHosts, prefix = "/api/ui", endpoint = "source_hosts")]
pub async fn source_hosts(workspace: String) -> Result<SourceHostsView, AppError> {
    answer(backend()?.source_hosts(&workspace).await)
}

/// Lists a host, or changes how it is read; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "save_source_host")]
pub async fn save_source_host(
    workspace: String,
    source: SourceHostDraft,
    secrets: Secrets,
) -> Result<String, AppError> {
    answer(backend()?.save_source_host(&workspace, source, secrets).await)
}

/// Removes a host from the list, with its token.
///
/// # Errors
/// When the actor doesn't administer the workspace, or the host isn't listed.
#[server(prefix = "/api/ui", endpoint = "remove_source_host")]
pub async fn remove_source_host(workspace: String, host: String) -> Result<(), AppError> {
    answer(backend()?.remove_source_host(&workspace, &host).await)
}
