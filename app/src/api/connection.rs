//! What Waybill is connected to: registries, clusters with their Argo CD, and projects with their GitOps repository.
//!
//! Secrets go one way. What is read says whether there is one; what is written keeps the stored one where nothing is typed.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};

pub use contract::connection::*;

use contract::error::AppError;
use leptos::prelude::*;

/// The registries of a workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadRegistries, prefix = "/api/ui", endpoint = "registries")]
pub async fn registries(workspace: String) -> Result<RegistriesView, AppError> {
    answer(backend()?.registries(&workspace).await)
}

/// Adds or changes a registry; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "save_registry")]
pub async fn save_registry(workspace: String, registry: RegistryDraft, secrets: Secrets) -> Result<String, AppError> {
    answer(backend()?.save_registry(&workspace, registry, secrets).await)
}

/// Tries a registry, as typed or as stored. Saves nothing, uploads nothing.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "test_registry")]
pub async fn test_registry(
    workspace: String,
    registry: RegistryDraft,
    secrets: Secrets,
) -> Result<ConnectionTest, AppError> {
    answer(backend()?.test_registry(&workspace, registry, secrets).await)
}

/// Adds or replaces a trusted root; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; what is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "save_trusted_root")]
pub async fn save_trusted_root(workspace: String, root: TrustedRootDraft) -> Result<String, AppError> {
    answer(backend()?.save_trusted_root(&workspace, root).await)
}

/// Removes a trusted root that no policy names.
///
/// # Errors
/// When the actor doesn't administer the workspace, there is no such root, or a policy names it.
#[server(prefix = "/api/ui", endpoint = "remove_trusted_root")]
pub async fn remove_trusted_root(workspace: String, name: String) -> Result<(), AppError> {
    answer(backend()?.remove_trusted_root(&workspace, &name).await)
}

/// The clusters of a workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadClusters, prefix = "/api/ui", endpoint = "clusters")]
pub async fn clusters(workspace: String) -> Result<ClustersView, AppError> {
    answer(backend()?.clusters(&workspace).await)
}

/// Adds or changes a cluster; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "save_cluster")]
pub async fn save_cluster(workspace: String, cluster: ClusterDraft, secrets: Secrets) -> Result<String, AppError> {
    answer(backend()?.save_cluster(&workspace, cluster, secrets).await)
}

/// Tries a cluster's Argo CD and registry, as typed or as stored. Saves nothing.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "test_cluster")]
pub async fn test_cluster(
    workspace: String,
    cluster: ClusterDraft,
    secrets: Secrets,
) -> Result<ConnectionTest, AppError> {
    answer(backend()?.test_cluster(&workspace, cluster, secrets).await)
}

/// The projects of a workspace with their repositories.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadRepositories, prefix = "/api/ui", endpoint = "repositories")]
pub async fn repositories(workspace: String) -> Result<RepositoriesView, AppError> {
    answer(backend()?.repositories(&workspace).await)
}

/// Adds a project, or changes the repository of one; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "save_repository")]
pub async fn save_repository(
    workspace: String,
    repository: RepositoryDraft,
    secrets: Secrets,
) -> Result<String, AppError> {
    answer(backend()?.save_repository(&workspace, repository, secrets).await)
}

/// Adds an environment to a project, behind the others; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "add_environment")]
pub async fn add_environment(workspace: String, environment: EnvironmentDraft) -> Result<String, AppError> {
    answer(backend()?.add_environment(&workspace, environment).await)
}

/// Tries a project's repository, as typed or as stored. Saves nothing, pushes nothing.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "test_repository")]
pub async fn test_repository(
    workspace: String,
    repository: RepositoryDraft,
    secrets: Secrets,
) -> Result<ConnectionTest, AppError> {
    answer(backend()?.test_repository(&workspace, repository, secrets).await)
}
