//! Projects with their GitOps repository, and their environments in order.

use super::{
    StoreError,
    clusters::mirror,
    dialect::{Dialect, Stored, taken},
    rows::{from_json, parse, text, to_json},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    environment::{Environment, Project},
    id::{EnvironmentId, ProjectId, WorkspaceId},
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// A project with what belongs to its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRecord {
    /// The project.
    pub project: Project,
    /// Sealed credentials.
    pub credentials: Option<String>,
    /// The newest commit whose declarations are stored in the resources.
    pub tip: Option<String>,
    /// Why the repository can't be read, a sentence.
    pub problem: Option<String>,
}

/// Projects with their GitOps repository, and their environments in order.
/// `put_…` inserts, or replaces what may change of the row with this id.
#[async_trait]
pub trait Projects: Send {
    /// Projects of a workspace, by name.
    async fn projects(&mut self, workspace: WorkspaceId) -> Result<Vec<ProjectRecord>, StoreError>;
    /// The project with this id.
    async fn project(&mut self, id: ProjectId) -> Result<Option<ProjectRecord>, StoreError>;
    /// Inserts or changes a project. Forgets `tip`, so that the repository is read again, and leaves `problem` alone; see
    /// [`Self::set_tip`].
    async fn put_project(&mut self, project: &ProjectRecord) -> Result<(), StoreError>;
    /// Writes which commit was read last (`None` keeps what is there), and why reading fails if it does.
    async fn set_tip(&mut self, id: ProjectId, tip: Option<&str>, problem: Option<&str>) -> Result<(), StoreError>;
    /// In the project's order.
    async fn environments(&mut self, project: ProjectId) -> Result<Vec<Environment>, StoreError>;
    /// All environments that have tags in the registry, of every workspace.
    async fn tagged_environments(&mut self) -> Result<Vec<Environment>, StoreError>;
    /// This environment, if it has tags in the registry.
    async fn tagged_environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError>;
    /// Inserts or changes an environment. Fails with [`StoreError::Exists`] when the project has another one of this name, or with this key.
    async fn put_environment(&mut self, environment: &Environment) -> Result<(), StoreError>;
}

const PROJECTS: &str = "SELECT * FROM projects WHERE workspace_id = $1 AND removed_at IS NULL ORDER BY name";
const PROJECT: &str = "SELECT * FROM projects WHERE id = $1 AND removed_at IS NULL";
const PUT_PROJECT: &str = "INSERT INTO projects (id, workspace_id, name, repository_url, branch, \
     path_template, values_prefix, credentials, commit_subject, author_address) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (id) DO UPDATE SET repository_url = excluded.repository_url, branch = excluded.branch, \
     path_template = excluded.path_template, values_prefix = excluded.values_prefix, \
     credentials = excluded.credentials, commit_subject = excluded.commit_subject, \
     author_address = excluded.author_address, tip = NULL";
const SET_TIP: &str = "UPDATE projects SET tip = COALESCE($2, tip), problem = $3 WHERE id = $1";
const ENVIRONMENTS: &str =
    "SELECT * FROM environments WHERE project_id = $1 AND removed_at IS NULL ORDER BY position, name";
const TAGGED_ENVIRONMENTS: &str =
    "SELECT * FROM environments WHERE tags IS NOT NULL AND removed_at IS NULL ORDER BY project_id, position, name";
const TAGGED_ENVIRONMENT: &str = "SELECT * FROM environments WHERE id = $1 AND tags IS NOT NULL AND removed_at IS NULL";
const PUT_ENVIRONMENT: &str = "INSERT INTO environments (id, project_id, cluster_id, name, key, position, protected, policy, mirror, tags) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (id) DO UPDATE SET cluster_id = excluded.cluster_id, key = excluded.key, position = excluded.position, \
     protected = excluded.protected, policy = excluded.policy, mirror = excluded.mirror, tags = excluded.tags";

#[derive(FromRow)]
pub(crate) struct ProjectRow {
    id: String,
    workspace_id: String,
    name: String,
    repository_url: String,
    branch: String,
    path_template: String,
    values_prefix: String,
    credentials: Option<String>,
    commit_subject: Option<String>,
    author_address: Option<String>,
    tip: Option<String>,
    problem: Option<String>,
    name_was: Option<String>,
}

/// Also of what was removed, and whether it was.
impl TryFrom<ProjectRow> for (ProjectRecord, bool) {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        let is_removed = row.name_was.is_some();
        Ok((row.try_into()?, is_removed))
    }
}

impl TryFrom<ProjectRow> for ProjectRecord {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        Ok(Self {
            project: Project {
                id: parse("project id", &row.id)?,
                workspace: parse("workspace id", &row.workspace_id)?,
                name: parse("project name", row.name_was.as_ref().unwrap_or(&row.name))?,
                repository_url: row.repository_url,
                branch: row.branch,
                path_template: row.path_template,
                values_prefix: row.values_prefix,
                commit_subject: row.commit_subject,
                author_address: row.author_address,
            },
            credentials: row.credentials,
            tip: row.tip,
            problem: row.problem,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct EnvironmentRow {
    id: String,
    project_id: String,
    cluster_id: String,
    name: String,
    key: String,
    position: i64,
    protected: bool,
    policy: String,
    mirror: Option<String>,
    tags: Option<String>,
    name_was: Option<String>,
}

/// Also of what was removed, and whether it was.
impl TryFrom<EnvironmentRow> for (Environment, bool) {
    type Error = StoreError;

    fn try_from(row: EnvironmentRow) -> Result<Self, StoreError> {
        let is_removed = row.name_was.is_some();
        Ok((row.try_into()?, is_removed))
    }
}

impl TryFrom<EnvironmentRow> for Environment {
    type Error = StoreError;

    fn try_from(row: EnvironmentRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("environment id", &row.id)?,
            project: parse("project id", &row.project_id)?,
            cluster: parse("cluster id", &row.cluster_id)?,
            name: parse("environment name", row.name_was.as_ref().unwrap_or(&row.name))?,
            key: parse("environment key", &row.key)?,
            position: row.position,
            protected: row.protected,
            policy: from_json("policy", &row.policy)?,
            mirror: mirror(row.mirror.as_ref())?,
            tags: (row.tags.as_deref())
                .map(|json| from_json("tags of an environment", json))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

#[async_trait]
impl<D: Dialect> Projects for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    for<'n> &'n str: ColumnIndex<D::Row>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    bool: Stored<D>,
    i64: Stored<D>,
    String: Stored<D>,
    Option<i64>: for<'v> Encode<'v, D>,
    Option<String>: for<'v> Encode<'v, D>,
    for<'v> &'v str: Encode<'v, D>,
    for<'v> Option<&'v str>: Encode<'v, D>,
{
    async fn projects(&mut self, workspace: WorkspaceId) -> Result<Vec<ProjectRecord>, StoreError> {
        all!(self, ProjectRow, PROJECTS, workspace.to_string())
    }

    async fn project(&mut self, id: ProjectId) -> Result<Option<ProjectRecord>, StoreError> {
        one!(self, ProjectRow, PROJECT, id.to_string())
    }

    async fn put_project(&mut self, record: &ProjectRecord) -> Result<(), StoreError> {
        let project = &record.project;
        run!(
            self,
            PUT_PROJECT,
            project.id.to_string(),
            project.workspace.to_string(),
            project.name.as_str(),
            &project.repository_url,
            &project.branch,
            &project.path_template,
            &project.values_prefix,
            &record.credentials,
            &project.commit_subject,
            &project.author_address,
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn set_tip(&mut self, id: ProjectId, tip: Option<&str>, problem: Option<&str>) -> Result<(), StoreError> {
        run!(self, SET_TIP, id.to_string(), tip, problem.map(text))?;
        Ok(())
    }

    async fn environments(&mut self, project: ProjectId) -> Result<Vec<Environment>, StoreError> {
        all!(self, EnvironmentRow, ENVIRONMENTS, project.to_string())
    }

    async fn tagged_environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError> {
        one!(self, EnvironmentRow, TAGGED_ENVIRONMENT, id.to_string())
    }

    async fn tagged_environments(&mut self) -> Result<Vec<Environment>, StoreError> {
        all!(self, EnvironmentRow, TAGGED_ENVIRONMENTS)
    }

    async fn put_environment(&mut self, environment: &Environment) -> Result<(), StoreError> {
        // Each part by name, so that a new one can't be left out.
        let Environment {
            id,
            project,
            cluster,
            name,
            key,
            position,
            protected,
            policy,
            mirror,
            tags,
        } = environment;
        run!(
            self,
            PUT_ENVIRONMENT,
            id.to_string(),
            project.to_string(),
            cluster.to_string(),
            name.as_str(),
            key.as_str(),
            *position,
            *protected,
            to_json("policy", policy)?,
            mirror.as_ref().map(|mirror| to_json("mirror", mirror)).transpose()?,
            (!tags.is_none())
                .then(|| to_json("tags of an environment", tags))
                .transpose()?,
        )
        .map_err(taken)?;
        Ok(())
    }
}
