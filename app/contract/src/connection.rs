//! What Waybill is connected to: registries, clusters with their Argo CD, and projects with their GitOps repository.
//!
//! Secrets go one way. What is read says whether there is one; what is written keeps the stored one where nothing is typed.

use domain::{copy::Attachments, name::Name, time::Timestamp};
use serde::{Deserialize, Serialize};

/// The clusters of a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClustersView {
    /// The workspace.
    pub workspace: Name,
    /// Its clusters, by name.
    pub clusters: Vec<ClusterView>,
    /// Its registries, by name.
    pub registries: Vec<Name>,
}

/// A cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    /// What the form holds of it.
    pub draft: ClusterDraft,
    /// Whether a token for Argo CD is stored.
    pub has_token: bool,
    /// The environments on it: `project/environment`.
    pub environments: Vec<String>,
}

/// The registries of a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegistriesView {
    /// The workspace.
    pub workspace: Name,
    /// Its registries, by name.
    pub registries: Vec<RegistryView>,
    /// The keys of this installation that sign statements, the one that signs now first.
    pub signing_keys: Vec<SigningKeyView>,
    /// Whose certificates count for keyless signatures: those that are built in first, then the workspace's own.
    pub trusted_roots: Vec<TrustedRootView>,
}

/// A trusted root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrustedRootView {
    /// What policies call it.
    pub name: String,
    /// What it trusts, in words.
    pub trusts: String,
    /// When it was given; `None` for one that is built in.
    pub given_at: Option<Timestamp>,
}

/// What the form of a trusted root posts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrustedRootDraft {
    /// What policies are to call it.
    pub name: String,
    /// The text of `trusted_root.json`.
    pub document: String,
}

/// A key that signs statements, or did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SigningKeyView {
    /// The beginning of its fingerprint.
    pub name: String,
    /// Its public half, PEM.
    pub public_key: String,
    /// Where everybody gets that.
    pub address: String,
    /// When another took its place.
    pub retired_at: Option<Timestamp>,
}

/// A registry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegistryView {
    /// What the form holds of it.
    pub draft: RegistryDraft,
    /// Whether a password for pulling is stored.
    pub has_pull_password: bool,
    /// Whether a password for pushing is stored.
    pub has_push_password: bool,
    /// The clusters that pull from it.
    pub clusters: Vec<Name>,
    /// What is copied to it: `production → registry.example.com/production/{name}`.
    pub mirrors: Vec<String>,
    /// Tags in it that are passed over.
    pub passed_over: Vec<PassedOver>,
}

/// What the form of a registry posts, without the secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RegistryDraft {
    /// The name of the registry that is changed; empty for a new one.
    pub was: String,
    /// The name of a new one.
    pub name: String,
    /// Its host, with the port if there is one.
    pub host: String,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// Certificates to trust, PEM.
    pub ca: String,
    /// Who pulls.
    pub pull_user: String,
    /// Whether it is read without signing in: user and password are forgotten.
    pub anonymous: bool,
    /// Who pushes.
    pub push_user: String,
    /// Whether nothing is copied to it: user and password are forgotten.
    pub no_push: bool,
    /// For a test: what is stored, whatever else is typed.
    pub stored: bool,
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
    /// The name of the registry that it pulls from; empty for none.
    pub registry: String,
    /// Where images are copied to; empty for nowhere.
    pub mirror: String,
    /// What goes along with them.
    pub attachments: Attachments,
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
    /// Where images are copied to before they run in it; empty for as its cluster says.
    pub mirror: String,
    /// What goes along with them.
    pub attachments: Attachments,
}

/// The secrets that a form posts; empty ones keep what is stored. They are never given back.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Argo CD's token.
    pub argocd_token: String,
    /// A registry's password for pulling.
    pub pull_password: String,
    /// A registry's password for pushing.
    pub push_password: String,
    /// The token that reads source repositories on a host.
    pub source_token: String,
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
