//! What Waybill is connected to: clusters with their Argo CD and registry, and projects with their GitOps repository.
//!
//! Secrets go one way. What is read says whether there is one; what is written keeps the stored one where nothing is typed.

use crate::error::AppError;
use domain::name::Name;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The clusters of a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClustersView {
    /// The workspace.
    pub workspace: Name,
    /// Its clusters, by name.
    pub clusters: Vec<ClusterView>,
}

/// A cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    /// What the form holds of it.
    pub draft: ClusterDraft,
    /// Whether a token for Argo CD is stored.
    pub has_token: bool,
    /// Whether a password for the registry is stored.
    pub has_password: bool,
    /// The environments on it: `project/environment`.
    pub environments: Vec<String>,
    /// Tags of its registry that are passed over.
    pub passed_over: Vec<PassedOver>,
}

/// A tag that can't be read, and is passed over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PassedOver {
    /// `repository:tag`.
    pub image: String,
    /// Why, a sentence.
    pub why: String,
}

/// What the form of a cluster posts, without the secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterDraft {
    /// The name of the cluster that is changed; empty for a new one.
    pub was: String,
    /// The name of a new one.
    pub name: String,
    /// Argo CD's address; empty for none.
    pub argocd_url: String,
    /// Certificates to trust, PEM.
    pub argocd_ca: String,
    /// Name of an environment's Application.
    pub application: String,
    /// Argo CD's project.
    pub argocd_project: String,
    /// The Applications' namespace.
    pub namespace: String,
    /// Whether a sync that runs is never ended, not even for a rollback.
    pub keep_syncs: bool,
    /// The registry's host; empty for none.
    pub registry: String,
    /// Whether the registry speaks plain HTTP.
    pub plain_http: bool,
    /// The registry's user.
    pub registry_user: String,
    /// Whether the registry is read without signing in: user and password are forgotten.
    pub anonymous: bool,
    /// Platforms of which an image needs one, with spaces or commas between.
    pub platforms: String,
    /// For a test: what is stored, whatever else is typed.
    pub stored: bool,
}

/// The projects of a workspace with their repositories.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RepositoriesView {
    /// The workspace.
    pub workspace: Name,
    /// Its projects, by name.
    pub projects: Vec<RepositoryView>,
    /// Its clusters, by name: an environment runs on one.
    pub clusters: Vec<Name>,
}

/// A project with its repository.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RepositoryView {
    /// What the form holds of it.
    pub draft: RepositoryDraft,
    /// Whether a token or key is stored.
    pub has_secret: bool,
    /// Its environments in order, with the cluster of each.
    pub environments: Vec<(Name, Name)>,
    /// Why it can't be read at present.
    pub problem: Option<String>,
}

/// What the form of a project's repository posts, without the secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RepositoryDraft {
    /// The name of the project that is changed; empty for a new one.
    pub was: String,
    /// The name of a new one.
    pub name: String,
    /// The repository's address.
    pub url: String,
    /// The branch; empty for `main`.
    pub branch: String,
    /// Path of an environment's values file.
    pub path_template: String,
    /// Keys above `services`.
    pub values_prefix: String,
    /// The template of commits' subjects; empty for Waybill's own.
    pub commit_subject: String,
    /// The template of authors' addresses; empty for their own.
    pub author_address: String,
    /// How to sign in: `none`, `token` or `key`.
    pub sign_in: String,
    /// The user, for `token`.
    pub user: String,
    /// Lines for `known_hosts`, for `key`.
    pub known_hosts: String,
    /// For a test: what is stored, whatever else is typed.
    pub stored: bool,
}

/// What the form for a new environment posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentDraft {
    /// The project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Its key in Git; empty for its name.
    pub key: String,
    /// The cluster that it runs on.
    pub cluster: String,
    /// Whether only approvers may change it.
    pub protected: bool,
}

/// The secrets that a form posts; empty ones keep what is stored. They are never given back.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Argo CD's token.
    pub argocd_token: String,
    /// The registry's password.
    pub registry_password: String,
    /// Git's token or password.
    pub git_token: String,
    /// An SSH key.
    pub ssh_key: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// What a test of a connection found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConnectionTest {
    /// What was tested: `Cluster local`.
    pub what: String,
    /// What was looked at, in its order. After one that failed nothing follows that depends on it.
    pub steps: Vec<TestStep>,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TestStep {
    /// What: `Sign in`.
    pub what: String,
    /// How it is.
    pub finding: Finding,
    /// What exactly was seen, and what to do about it.
    pub detail: String,
}

/// How something is that was tested.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Finding {
    /// As it should be.
    Fine,
    /// It may be fine: a person must say so, or the future will.
    Unsure,
    /// It doesn't work.
    Failed,
}

/// The clusters of a workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadClusters, prefix = "/api/ui", endpoint = "clusters")]
pub async fn clusters(workspace: String) -> Result<ClustersView, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.clusters(&workspace).await)
}

/// Adds or changes a cluster; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "save_cluster")]
pub async fn save_cluster(workspace: String, cluster: ClusterDraft, secrets: Secrets) -> Result<String, AppError> {
    use crate::backend::{answer, backend};
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
    use crate::backend::{answer, backend};
    answer(backend()?.test_cluster(&workspace, cluster, secrets).await)
}

/// The projects of a workspace with their repositories.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadRepositories, prefix = "/api/ui", endpoint = "repositories")]
pub async fn repositories(workspace: String) -> Result<RepositoriesView, AppError> {
    use crate::backend::{answer, backend};
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
    use crate::backend::{answer, backend};
    answer(backend()?.save_repository(&workspace, repository, secrets).await)
}

/// Adds an environment to a project, behind the others; says what is so now.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "add_environment")]
pub async fn add_environment(workspace: String, environment: EnvironmentDraft) -> Result<String, AppError> {
    use crate::backend::{answer, backend};
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
    use crate::backend::{answer, backend};
    answer(backend()?.test_repository(&workspace, repository, secrets).await)
}
