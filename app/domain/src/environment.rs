//! Where things run: workspace, project, cluster, environment.

use crate::{
    copy::Mirror,
    environment_tags::EnvironmentTags,
    id::{ClusterId, EnvironmentId, GroupId, ProjectId, RegistryId, WorkspaceId},
    key::Key,
    name::Name,
    policy::Policy,
};
use serde::{Deserialize, Serialize};

/// A tenant: people, projects, connections. Nothing crosses it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name, unique in the installation.
    pub name: Name,
}

/// Members of a workspace who may do something together: change a restricted environment, approve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: Name,
}

/// Environments that share one GitOps repository.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: Name,
    /// Address of the repository, without credentials.
    pub repository_url: String,
    /// Branch that is read and written.
    pub branch: String,
    /// Path of an environment's values file; `{environment}` stands for its key.
    pub path_template: String,
    /// Dotted keys above `services`; empty for none.
    pub values_prefix: String,
    /// The template of commits' subjects ([`crate::commit_template`]); `None` for Waybill's own.
    #[serde(default)]
    pub commit_subject: Option<String>,
    /// The template of their authors' addresses; `None` for those of the people.
    #[serde(default)]
    pub author_address: Option<String>,
}

impl Project {
    /// The values file of the environment with this key.
    #[must_use]
    pub fn values_path(&self, environment: &Key) -> String {
        self.path_template.replace("{environment}", environment.as_str())
    }
}

/// A Kubernetes cluster: which Argo CD manages it, which registry it pulls from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: Name,
    /// Its Argo CD; `None` means Git only: a promotion ends at the push.
    pub argocd: Option<ArgoCdSettings>,
    /// The registry it pulls from.
    pub registry: Option<RegistryId>,
    /// Where images are copied to before they run on it; `None`: it pulls them from where they are.
    #[serde(default)]
    pub mirror: Option<Mirror>,
    /// Platforms of which an image needs one to run on it; none: some platform of Linux.
    pub platforms: Vec<String>,
}

/// A registry: where images are, and how it is reached. Users and passwords are kept apart, encrypted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Registry {
    /// Its id.
    pub id: RegistryId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: Name,
    /// Its host, with the port if there is one: `registry.example.com`, `127.0.0.1:5000`.
    pub host: String,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
}

/// How Applications of a cluster are found; the token is kept apart, encrypted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ArgoCdSettings {
    /// Base address of Argo CD.
    pub url: String,
    /// Name of an environment's Application; `{project}` and `{environment}` stand for their names.
    pub application_template: String,
    /// The Argo CD project of the Applications, where known; may hold `{project}` and `{environment}`.
    pub project: Option<String>,
    /// The Applications' namespace, where it isn't Argo CD's own.
    pub namespace: Option<String>,
    /// Whether a rollback, or a promotion that takes another's place, may end a sync that applies what it leaves.
    #[serde(default = "yes")]
    pub may_end_sync: bool,
}

fn yes() -> bool {
    true
}

impl ArgoCdSettings {
    /// Name of the Application of an environment.
    #[must_use]
    pub fn application(&self, project: &Name, environment: &Name) -> String {
        fill(&self.application_template, project, environment)
    }

    /// The Argo CD project of the Application of an environment.
    #[must_use]
    pub fn application_project(&self, project: &Name, environment: &Name) -> Option<String> {
        self.project
            .as_ref()
            .map(|template| fill(template, project, environment))
    }
}

fn fill(template: &str, project: &Name, environment: &Name) -> String {
    template
        .replace("{project}", project.as_str())
        .replace("{environment}", environment.as_str())
}

/// A stage of a project, `staging`, on one cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Its project.
    pub project: ProjectId,
    /// The cluster it runs on.
    pub cluster: ClusterId,
    /// Its name, unique in the project.
    pub name: Name,
    /// What it is called in the path of its values file, unique in the project.
    pub key: Key,
    /// Its place among the project's environments, from 0.
    pub position: i64,
    /// Whether only approvers may act in it.
    pub protected: bool,
    /// What it asks for before an image may run in it.
    pub policy: Policy,
    /// Where images are copied to before they run in it; `None`: as its cluster says.
    #[serde(default)]
    pub mirror: Option<Mirror>,
    /// The tags that it has in the registry.
    #[serde(default)]
    pub tags: EnvironmentTags,
}
