//! Removing things: the row stays with who removed it and when, the name is free again, and secrets are erased.
//!
//! What the rest of a transaction reads leaves out what was removed. Whoever tells of the past reads it here, by the functions that say
//! `ever`: a removed thing has the name there that it had. And the blocks of removed resources that are to leave Git, each a row until
//! its commit is on the remote.

use super::{
    ProjectRecord, StoreError,
    dialect::{Dialect, Stored},
    projects::{EnvironmentRow, ProjectRow},
    resources::ResourceRow,
    rows::{from_json, parse, to_json},
    tx::{SqlTx, all, one, run},
    workspaces::WorkspaceRow,
};
use async_trait::async_trait;
use domain::{
    environment::{Environment, Workspace},
    id::{ClusterId, EnvironmentId, GitRemovalId, ProjectId, RegistryId, ResourceId, WorkspaceId},
    promotion::{Actor, Promotion},
    resource::Resource,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// Blocks of removed resources that are to be removed from a values file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRemoval {
    /// Its id: the commit's trailer finds it again.
    pub id: GitRemovalId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The project, in whose repository the file is.
    pub project: ProjectId,
    /// The environment whose file it is; it may be removed itself.
    pub environment: EnvironmentId,
    /// The environment's name.
    pub environment_name: String,
    /// Address of the repository in which the blocks were when it was asked for.
    pub repository_url: String,
    /// The branch there.
    pub branch: String,
    /// The values file.
    pub path: String,
    /// Dotted keys above `services` in it; empty for none.
    pub prefix: String,
    /// Keys of the blocks, below `services`.
    pub services: Vec<String>,
    /// Who asked.
    pub requested_by: Actor,
    /// Tries that failed in a passing way.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Removing, as a part of a transaction. Each of these removes the thing with all that is in it, and erases secrets; who may, and
/// whether it may be, was asked before.
#[async_trait]
pub trait Removals: Send {
    /// Removes a resource; what was healthy is so no longer.
    async fn remove_resource(&mut self, id: ResourceId, by: &Actor, at: Timestamp) -> Result<(), StoreError>;
    /// Removes an environment with its resources, what stops it, and the tokens for it. Those behind it move up.
    async fn remove_environment(&mut self, id: EnvironmentId, by: &Actor, at: Timestamp) -> Result<(), StoreError>;
    /// Removes a project with its environments, channels, stops, and the tokens for it.
    async fn remove_project(&mut self, id: ProjectId, by: &Actor, at: Timestamp) -> Result<(), StoreError>;
    /// Removes a cluster.
    async fn remove_cluster(&mut self, id: ClusterId, by: &Actor, at: Timestamp) -> Result<(), StoreError>;
    /// A registry. Its passwords and certificates are erased.
    async fn remove_registry(&mut self, id: RegistryId, by: &Actor, at: Timestamp) -> Result<(), StoreError>;
    /// Removes a workspace with all that is in it. Its tokens and invitations end, and nobody is its member any more.
    async fn remove_workspace(&mut self, id: WorkspaceId, by: &Actor, at: Timestamp) -> Result<(), StoreError>;

    /// All workspaces, also removed ones: by name, those first that are there.
    async fn workspaces_ever(&mut self) -> Result<Vec<Workspace>, StoreError>;
    /// Projects of a workspace, also removed ones; with them whether they are.
    async fn projects_ever(&mut self, workspace: WorkspaceId) -> Result<Vec<(ProjectRecord, bool)>, StoreError>;
    /// The project with this id, also when it was removed, and whether it was.
    async fn project_ever(&mut self, id: ProjectId) -> Result<Option<(ProjectRecord, bool)>, StoreError>;
    /// Environments of a project, also removed ones; with them whether they are. Those first that are there.
    async fn environments_ever(&mut self, project: ProjectId) -> Result<Vec<(Environment, bool)>, StoreError>;
    /// The resource with this id, also when it was removed, and whether it was.
    async fn resource_ever(&mut self, id: ResourceId) -> Result<Option<(Resource, bool)>, StoreError>;
    /// The resources that have, or had, this name in an environment.
    async fn resources_ever_named(
        &mut self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Vec<ResourceId>, StoreError>;

    /// Promotions of a project that haven't ended.
    async fn open_promotions_in(&mut self, project: ProjectId) -> Result<Vec<Promotion>, StoreError>;

    /// Asks for blocks to be removed from Git, at once.
    async fn insert_git_removal(&mut self, removal: &GitRemoval) -> Result<(), StoreError>;
    /// Those of a project that haven't ended, oldest first.
    async fn open_git_removals(&mut self, project: ProjectId) -> Result<Vec<GitRemoval>, StoreError>;
    /// Whether a worker is at one of a project's right now.
    async fn is_removing_from_git(&mut self, project: ProjectId, now: Timestamp) -> Result<bool, StoreError>;
    /// Brings back to `now` what a clock that ran ahead put off, or leased, beyond `latest`; whether there was anything.
    async fn mend_git_removals(&mut self, now: Timestamp, latest: Timestamp) -> Result<bool, StoreError>;
    /// Takes a lease until `until` on those that are due, oldest first.
    async fn claim_git_removals(
        &mut self,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<GitRemoval>, StoreError>;
    /// Writes when it is tried again; never, when it ended. The lease ends. `false` when it had ended already, or the lease is another's.
    async fn update_git_removal(
        &mut self,
        owner: &str,
        removal: &GitRemoval,
        next_at: Option<Timestamp>,
    ) -> Result<bool, StoreError>;
    /// Ends those of a project that haven't ended, and gives them: nobody can make their commits any more.
    async fn end_git_removals(&mut self, project: ProjectId) -> Result<Vec<GitRemoval>, StoreError>;
}

/// Marks rows of a table as removed: `$1` is what they are found by, `$2` when, `$3` who.
macro_rules! mark {
    ($table:literal, $also:literal, $which:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET removed_at = $2, removed_by = $3, name_was = name, name = name || '~' || id",
            $also,
            " WHERE removed_at IS NULL AND ",
            $which
        )
    };
}

const MARK_RESOURCE: &str = mark!("resources", ", live = NULL, hold = NULL", "id = $1");
const MARK_RESOURCES_OF_ENVIRONMENT: &str = mark!("resources", ", live = NULL, hold = NULL", "environment_id = $1");
const MARK_RESOURCES_OF_PROJECT: &str = mark!(
    "resources",
    ", live = NULL, hold = NULL",
    "environment_id IN (SELECT id FROM environments WHERE project_id = $1)"
);
const MARK_RESOURCES_OF_WORKSPACE: &str = mark!(
    "resources",
    ", live = NULL, hold = NULL",
    "environment_id IN (SELECT e.id FROM environments e JOIN projects p ON p.id = e.project_id WHERE p.workspace_id = $1)"
);
const MARK_ENVIRONMENT: &str = mark!("environments", "", "id = $1");
const MARK_ENVIRONMENTS_OF_PROJECT: &str = mark!("environments", "", "project_id = $1");
const MARK_ENVIRONMENTS_OF_WORKSPACE: &str = mark!(
    "environments",
    "",
    "project_id IN (SELECT id FROM projects WHERE workspace_id = $1)"
);
const MARK_PROJECT: &str = mark!("projects", ", credentials = NULL, problem = NULL", "id = $1");
const MARK_PROJECTS_OF_WORKSPACE: &str = mark!("projects", ", credentials = NULL, problem = NULL", "workspace_id = $1");
const MARK_CLUSTER: &str = mark!("clusters", ", argocd_token = NULL, argocd_ca = NULL", "id = $1");
const MARK_CLUSTERS_OF_WORKSPACE: &str = mark!(
    "clusters",
    ", argocd_token = NULL, argocd_ca = NULL",
    "workspace_id = $1"
);
const MARK_REGISTRY: &str = mark!(
    "registries",
    ", ca = NULL, pull_user = NULL, pull_password = NULL, push_user = NULL, push_password = NULL",
    "id = $1"
);
const MARK_REGISTRIES_OF_WORKSPACE: &str = mark!(
    "registries",
    ", ca = NULL, pull_user = NULL, pull_password = NULL, push_user = NULL, push_password = NULL",
    "workspace_id = $1"
);
const MARK_WORKSPACE: &str = mark!("workspaces", "", "id = $1");

/// What was healthy with a removed resource is known no longer.
const END_RUNS: &str = "UPDATE healthy_runs SET until = CASE WHEN since > $1 THEN since ELSE $1 END \
     WHERE until IS NULL AND resource_id IN (SELECT id FROM resources WHERE removed_at IS NOT NULL)";
const MOVE_UP: &str = "UPDATE environments SET position = position - 1 WHERE removed_at IS NULL \
     AND project_id = (SELECT project_id FROM environments WHERE id = $1) \
     AND position > (SELECT position FROM environments WHERE id = $1)";
const DELETE_STOP: &str = "DELETE FROM stops WHERE environment_id = $1";
const DELETE_STOPS_OF_PROJECT: &str = "DELETE FROM stops WHERE project_id = $1";
const DELETE_STOPS_OF_WORKSPACE: &str =
    "DELETE FROM stops WHERE project_id IN (SELECT id FROM projects WHERE workspace_id = $1)";
const DELETE_DELIVERIES_OF_PROJECT: &str =
    "DELETE FROM deliveries WHERE channel_id IN (SELECT id FROM channels WHERE project_id = $1)";
const DELETE_CHANNELS_OF_PROJECT: &str = "DELETE FROM channels WHERE project_id = $1";
const DELETE_DELIVERIES_OF_WORKSPACE: &str = "DELETE FROM deliveries WHERE workspace_id = $1";
const DELETE_CHANNELS_OF_WORKSPACE: &str = "DELETE FROM channels WHERE workspace_id = $1";
const DELETE_SOURCE_HOSTS_OF_WORKSPACE: &str = "DELETE FROM source_hosts WHERE workspace_id = $1";
const DELETE_WATCH: &str = "DELETE FROM cluster_watch WHERE cluster_id = $1";
const REVOKE_TOKENS_OF_ENVIRONMENT: &str =
    "UPDATE api_tokens SET revoked_at = $2 WHERE environment_id = $1 AND revoked_at IS NULL";
const REVOKE_TOKENS_OF_PROJECT: &str =
    "UPDATE api_tokens SET revoked_at = $2 WHERE project_id = $1 AND revoked_at IS NULL";
const REVOKE_TOKENS_OF_WORKSPACE: &str =
    "UPDATE api_tokens SET revoked_at = $2 WHERE workspace_id = $1 AND revoked_at IS NULL";
const END_INVITATIONS: &str = "UPDATE invitations SET ended_at = $2 WHERE workspace_id = $1 AND ended_at IS NULL";
const LEAVE_GROUPS: &str =
    "DELETE FROM group_members WHERE group_id IN (SELECT id FROM groups WHERE workspace_id = $1)";
const LEAVE_WORKSPACE: &str = "DELETE FROM memberships WHERE workspace_id = $1";
const WORKSPACES_EVER: &str = "SELECT id, COALESCE(name_was, name) AS name FROM workspaces \
     ORDER BY CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, name";
const PROJECTS_EVER: &str = "SELECT * FROM projects WHERE workspace_id = $1 ORDER BY name";
const PROJECT_EVER: &str = "SELECT * FROM projects WHERE id = $1";
const ENVIRONMENTS_EVER: &str = "SELECT * FROM environments WHERE project_id = $1 \
     ORDER BY CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, position, name";
const RESOURCE_EVER: &str = "SELECT * FROM resources WHERE id = $1";
const RESOURCES_EVER_NAMED: &str =
    "SELECT id FROM resources WHERE environment_id = $1 AND COALESCE(name_was, name) = $2 ORDER BY id";
const OPEN_PROMOTIONS_IN: &str =
    "SELECT * FROM promotions WHERE next_at IS NOT NULL AND project_id = $1 ORDER BY created_at";
const INSERT_GIT_REMOVAL: &str = "INSERT INTO git_removals (id, workspace_id, project_id, environment_id, environment, \
     repository_url, branch, path, prefix, services, requested_by, attempts, created_at, next_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $12)";
const OPEN_GIT_REMOVALS: &str =
    "SELECT * FROM git_removals WHERE project_id = $1 AND next_at IS NOT NULL ORDER BY created_at, id";
const GIT_REMOVALS_UNDER_WAY: &str =
    "SELECT id FROM git_removals WHERE project_id = $1 AND next_at IS NOT NULL AND lease_until > $2";
const MEND_GIT_REMOVALS: &str = "UPDATE git_removals SET next_at = CASE WHEN next_at > $2 THEN $1 ELSE next_at END, \
     lease_until = CASE WHEN lease_until > $2 THEN $1 ELSE lease_until END \
     WHERE next_at IS NOT NULL AND (next_at > $2 OR lease_until > $2)";
// Writers take turns: nobody claims the same at once.
const CLAIM_GIT_REMOVALS: &str = "UPDATE git_removals SET lease_owner = $1, lease_until = $2 WHERE id IN (\
     SELECT id FROM git_removals WHERE next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) \
     ORDER BY next_at, id LIMIT $4) RETURNING *";
const UPDATE_GIT_REMOVAL: &str = "UPDATE git_removals SET attempts = $3, next_at = $4, lease_owner = NULL, lease_until = NULL \
     WHERE id = $1 AND lease_owner = $2 AND next_at IS NOT NULL";
const END_GIT_REMOVALS: &str = "UPDATE git_removals SET next_at = NULL, lease_owner = NULL, lease_until = NULL \
     WHERE project_id = $1 AND next_at IS NOT NULL RETURNING *";

#[derive(FromRow)]
struct GitRemovalRow {
    id: String,
    workspace_id: String,
    project_id: String,
    environment_id: String,
    environment: String,
    repository_url: String,
    branch: String,
    path: String,
    prefix: String,
    services: String,
    requested_by: String,
    attempts: i64,
    created_at: i64,
}

impl TryFrom<GitRemovalRow> for GitRemoval {
    type Error = StoreError;

    fn try_from(row: GitRemovalRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("removal id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            project: parse("project id", &row.project_id)?,
            environment: parse("environment id", &row.environment_id)?,
            environment_name: row.environment,
            repository_url: row.repository_url,
            branch: row.branch,
            path: row.path,
            prefix: row.prefix,
            services: from_json("services", &row.services)?,
            requested_by: from_json("actor", &row.requested_by)?,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            created_at: Timestamp(row.created_at),
        })
    }
}

#[async_trait]
impl<D: Dialect> Removals for SqlTx<D>
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
    async fn remove_resource(&mut self, id: ResourceId, by: &Actor, at: Timestamp) -> Result<(), StoreError> {
        run!(self, MARK_RESOURCE, id.to_string(), at.0, to_json("actor", by)?)?;
        run!(self, END_RUNS, at.0)?;
        Ok(())
    }

    async fn remove_environment(&mut self, id: EnvironmentId, by: &Actor, at: Timestamp) -> Result<(), StoreError> {
        let (id, by) = (id.to_string(), to_json("actor", by)?);
        run!(self, MOVE_UP, &id)?;
        for statement in [MARK_RESOURCES_OF_ENVIRONMENT, MARK_ENVIRONMENT] {
            run!(self, statement, &id, at.0, &by)?;
        }
        run!(self, END_RUNS, at.0)?;
        run!(self, DELETE_STOP, &id)?;
        run!(self, REVOKE_TOKENS_OF_ENVIRONMENT, &id, at.0)?;
        Ok(())
    }

    async fn remove_project(&mut self, id: ProjectId, by: &Actor, at: Timestamp) -> Result<(), StoreError> {
        let (id, by) = (id.to_string(), to_json("actor", by)?);
        for statement in [MARK_RESOURCES_OF_PROJECT, MARK_ENVIRONMENTS_OF_PROJECT, MARK_PROJECT] {
            run!(self, statement, &id, at.0, &by)?;
        }
        run!(self, END_RUNS, at.0)?;
        for statement in [
            DELETE_STOPS_OF_PROJECT,
            DELETE_DELIVERIES_OF_PROJECT,
            DELETE_CHANNELS_OF_PROJECT,
        ] {
            run!(self, statement, &id)?;
        }
        run!(self, REVOKE_TOKENS_OF_PROJECT, &id, at.0)?;
        Ok(())
    }

    async fn remove_cluster(&mut self, id: ClusterId, by: &Actor, at: Timestamp) -> Result<(), StoreError> {
        run!(self, MARK_CLUSTER, id.to_string(), at.0, to_json("actor", by)?)?;
        run!(self, DELETE_WATCH, id.to_string())?;
        Ok(())
    }

    async fn remove_registry(&mut self, id: RegistryId, by: &Actor, at: Timestamp) -> Result<(), StoreError> {
        run!(self, MARK_REGISTRY, id.to_string(), at.0, to_json("actor", by)?)?;
        Ok(())
    }

    async fn remove_workspace(&mut self, id: WorkspaceId, by: &Actor, at: Timestamp) -> Result<(), StoreError> {
        let (id, by) = (id.to_string(), to_json("actor", by)?);
        for statement in [
            MARK_RESOURCES_OF_WORKSPACE,
            MARK_ENVIRONMENTS_OF_WORKSPACE,
            MARK_PROJECTS_OF_WORKSPACE,
            MARK_CLUSTERS_OF_WORKSPACE,
            MARK_REGISTRIES_OF_WORKSPACE,
            MARK_WORKSPACE,
        ] {
            run!(self, statement, &id, at.0, &by)?;
        }
        run!(self, END_RUNS, at.0)?;
        for statement in [
            DELETE_STOPS_OF_WORKSPACE,
            DELETE_DELIVERIES_OF_WORKSPACE,
            DELETE_CHANNELS_OF_WORKSPACE,
            DELETE_SOURCE_HOSTS_OF_WORKSPACE,
            LEAVE_GROUPS,
            LEAVE_WORKSPACE,
        ] {
            run!(self, statement, &id)?;
        }
        for statement in [REVOKE_TOKENS_OF_WORKSPACE, END_INVITATIONS] {
            run!(self, statement, &id, at.0)?;
        }
        Ok(())
    }

    async fn workspaces_ever(&mut self) -> Result<Vec<Workspace>, StoreError> {
        all!(self, WorkspaceRow, WORKSPACES_EVER)
    }

    async fn projects_ever(&mut self, workspace: WorkspaceId) -> Result<Vec<(ProjectRecord, bool)>, StoreError> {
        all!(self, ProjectRow, PROJECTS_EVER, workspace.to_string())
    }

    async fn project_ever(&mut self, id: ProjectId) -> Result<Option<(ProjectRecord, bool)>, StoreError> {
        one!(self, ProjectRow, PROJECT_EVER, id.to_string())
    }

    async fn environments_ever(&mut self, project: ProjectId) -> Result<Vec<(Environment, bool)>, StoreError> {
        all!(self, EnvironmentRow, ENVIRONMENTS_EVER, project.to_string())
    }

    async fn resource_ever(&mut self, id: ResourceId) -> Result<Option<(Resource, bool)>, StoreError> {
        one!(self, ResourceRow, RESOURCE_EVER, id.to_string())
    }

    async fn resources_ever_named(
        &mut self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Vec<ResourceId>, StoreError> {
        let ids = sqlx::query_scalar::<D, String>(RESOURCES_EVER_NAMED)
            .bind(environment.to_string())
            .bind(super::rows::text(name))
            .fetch_all(&mut self.tx)
            .await?;
        ids.iter().map(|id| parse("resource id", id)).collect()
    }

    async fn open_promotions_in(&mut self, project: ProjectId) -> Result<Vec<Promotion>, StoreError> {
        all!(
            self,
            super::promotions::PromotionRow,
            OPEN_PROMOTIONS_IN,
            project.to_string()
        )
    }

    async fn insert_git_removal(&mut self, removal: &GitRemoval) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_GIT_REMOVAL,
            removal.id.to_string(),
            removal.workspace.to_string(),
            removal.project.to_string(),
            removal.environment.to_string(),
            &removal.environment_name,
            &removal.repository_url,
            &removal.branch,
            &removal.path,
            &removal.prefix,
            to_json("services", &removal.services)?,
            to_json("actor", &removal.requested_by)?,
            removal.created_at.0,
        )?;
        Ok(())
    }

    async fn open_git_removals(&mut self, project: ProjectId) -> Result<Vec<GitRemoval>, StoreError> {
        all!(self, GitRemovalRow, OPEN_GIT_REMOVALS, project.to_string())
    }

    async fn is_removing_from_git(&mut self, project: ProjectId, now: Timestamp) -> Result<bool, StoreError> {
        let ids = sqlx::query_scalar::<D, String>(GIT_REMOVALS_UNDER_WAY)
            .bind(project.to_string())
            .bind(now.0)
            .fetch_all(&mut self.tx)
            .await?;
        Ok(!ids.is_empty())
    }

    async fn mend_git_removals(&mut self, now: Timestamp, latest: Timestamp) -> Result<bool, StoreError> {
        let changed = run!(self, MEND_GIT_REMOVALS, now.0, latest.0)?;
        Ok(changed > 0)
    }

    async fn claim_git_removals(
        &mut self,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<GitRemoval>, StoreError> {
        let claimed: Result<Vec<GitRemoval>, StoreError> =
            all!(self, GitRemovalRow, CLAIM_GIT_REMOVALS, owner, until.0, now.0, limit);
        let mut claimed = claimed?;
        claimed.sort_by_key(|removal| (removal.created_at, removal.id));
        Ok(claimed)
    }

    async fn update_git_removal(
        &mut self,
        owner: &str,
        removal: &GitRemoval,
        next_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let changed = run!(
            self,
            UPDATE_GIT_REMOVAL,
            removal.id.to_string(),
            owner,
            i64::from(removal.attempts),
            next_at.map(|at| at.0),
        )?;
        Ok(changed > 0)
    }

    async fn end_git_removals(&mut self, project: ProjectId) -> Result<Vec<GitRemoval>, StoreError> {
        all!(self, GitRemovalRow, END_GIT_REMOVALS, project.to_string())
    }
}
