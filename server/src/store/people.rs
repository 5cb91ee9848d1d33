//! Members of workspaces, groups, roles per project, restricted environments: what the rights are made of.

use super::{
    StoreError, User,
    accounts::UserRow,
    dialect::{Dialect, Stored, taken},
    rows::parse,
    tx::{SqlTx, all, run},
};
use async_trait::async_trait;
use domain::{
    environment::Group,
    id::{EnvironmentId, GroupId, ProjectId, UserId, WorkspaceId},
    name::Name,
    rights::Role,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// People and rights, as a part of a transaction.
#[async_trait]
pub trait People: Send {
    /// Members of a workspace, by address.
    async fn members(&mut self, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError>;
    /// Takes a person out of a workspace, out of its groups, and out of the roles of its projects.
    async fn remove_member(&mut self, workspace: WorkspaceId, user: UserId) -> Result<(), StoreError>;
    /// Says whether an account may be used.
    async fn set_active(&mut self, user: UserId, active: bool) -> Result<(), StoreError>;
    /// Writes a new hash of the password.
    async fn set_password(&mut self, user: UserId, hash: &str) -> Result<(), StoreError>;
    /// Groups of a workspace, by name.
    async fn groups(&mut self, workspace: WorkspaceId) -> Result<Vec<Group>, StoreError>;
    /// Fails with [`StoreError::Exists`] when the workspace has a group of this name.
    async fn insert_group(&mut self, group: &Group, at: Timestamp) -> Result<(), StoreError>;
    /// Who is in which group of a workspace.
    async fn group_members(&mut self, workspace: WorkspaceId) -> Result<Vec<(GroupId, UserId)>, StoreError>;
    /// Puts a person into a group; `false` when they were in it. Who was in it through single sign-on now stays.
    async fn join_group(&mut self, group: GroupId, user: UserId) -> Result<bool, StoreError>;
    /// Takes a person out of a group; `false` when they weren't in it.
    async fn leave_group(&mut self, group: GroupId, user: UserId) -> Result<bool, StoreError>;
    /// The groups that a person is in, by workspace and name.
    async fn groups_of(&mut self, user: UserId) -> Result<Vec<(WorkspaceId, Name)>, StoreError>;
    /// What a person is in which project, whatever their workspace says; `None` hides the project.
    async fn project_roles_of(&mut self, user: UserId) -> Result<Vec<(ProjectId, Option<Role>)>, StoreError>;
    /// Who is something else in a project than in the workspace.
    async fn project_roles(&mut self, project: ProjectId) -> Result<Vec<(UserId, Option<Role>)>, StoreError>;
    /// Says what a person is in a project; `None` hides it.
    async fn set_project_role(
        &mut self,
        project: ProjectId,
        user: UserId,
        role: Option<Role>,
    ) -> Result<(), StoreError>;
    /// Lets the workspace say again what a person is in a project.
    async fn clear_project_role(&mut self, project: ProjectId, user: UserId) -> Result<(), StoreError>;
    /// The groups that may change the restricted environments of a project, by name.
    async fn restrictions(&mut self, project: ProjectId) -> Result<Vec<(EnvironmentId, Name)>, StoreError>;
    /// Says which groups may change an environment; none means everybody with the role.
    async fn restrict(&mut self, environment: EnvironmentId, groups: &[GroupId]) -> Result<(), StoreError>;
}

const MEMBERS: &str = "SELECT u.*, m.role FROM memberships m JOIN users u ON u.id = m.user_id \
     WHERE m.workspace_id = $1 ORDER BY u.email";
const LEAVE_GROUPS: &str = "DELETE FROM group_members WHERE user_id = $2 \
     AND group_id IN (SELECT id FROM groups WHERE workspace_id = $1)";
const LEAVE_PROJECTS: &str = "DELETE FROM project_roles WHERE user_id = $2 \
     AND project_id IN (SELECT id FROM projects WHERE workspace_id = $1)";
const REMOVE_MEMBER: &str = "DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2";
const SET_ACTIVE: &str = "UPDATE users SET active = $2 WHERE id = $1";
const SET_PASSWORD: &str = "UPDATE users SET password_hash = $2 WHERE id = $1";
const GROUPS: &str = "SELECT id, workspace_id, name FROM groups WHERE workspace_id = $1 ORDER BY name";
const INSERT_GROUP: &str = "INSERT INTO groups (id, workspace_id, name, created_at) VALUES ($1, $2, $3, $4)";
const GROUP_MEMBERS: &str = "SELECT m.group_id, m.user_id FROM group_members m JOIN groups g ON g.id = m.group_id \
     WHERE g.workspace_id = $1 ORDER BY m.group_id, m.user_id";
const JOIN_GROUP: &str = "INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) \
     ON CONFLICT (group_id, user_id) DO UPDATE SET through_sso = FALSE WHERE group_members.through_sso";
const LEAVE_GROUP: &str = "DELETE FROM group_members WHERE group_id = $1 AND user_id = $2";
const GROUPS_OF: &str = "SELECT g.workspace_id, g.name FROM group_members m JOIN groups g ON g.id = m.group_id \
     WHERE m.user_id = $1 ORDER BY g.workspace_id, g.name";
const PROJECT_ROLES_OF: &str = "SELECT project_id, role FROM project_roles WHERE user_id = $1 ORDER BY project_id";
const PROJECT_ROLES: &str = "SELECT user_id, role FROM project_roles WHERE project_id = $1 ORDER BY user_id";
const SET_PROJECT_ROLE: &str = "INSERT INTO project_roles (project_id, user_id, role) VALUES ($1, $2, $3) \
     ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role";
const CLEAR_PROJECT_ROLE: &str = "DELETE FROM project_roles WHERE project_id = $1 AND user_id = $2";
const RESTRICTIONS: &str = "SELECT r.environment_id, g.name FROM environment_groups r \
     JOIN environments e ON e.id = r.environment_id JOIN groups g ON g.id = r.group_id \
     WHERE e.project_id = $1 AND e.removed_at IS NULL ORDER BY r.environment_id, g.name";
const LIFT_RESTRICTION: &str = "DELETE FROM environment_groups WHERE environment_id = $1";
const RESTRICT: &str = "INSERT INTO environment_groups (environment_id, group_id) VALUES ($1, $2)";
/// The word for a project that is hidden from somebody.
const HIDDEN: &str = "none";

#[async_trait]
impl<D: Dialect> People for SqlTx<D>
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
    async fn members(&mut self, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
        all!(self, MemberRow, MEMBERS, workspace.to_string())
    }

    async fn remove_member(&mut self, workspace: WorkspaceId, user: UserId) -> Result<(), StoreError> {
        for statement in [LEAVE_GROUPS, LEAVE_PROJECTS, REMOVE_MEMBER] {
            run!(self, statement, workspace.to_string(), user.to_string())?;
        }
        Ok(())
    }

    async fn set_active(&mut self, user: UserId, active: bool) -> Result<(), StoreError> {
        run!(self, SET_ACTIVE, user.to_string(), active)?;
        Ok(())
    }

    async fn set_password(&mut self, user: UserId, hash: &str) -> Result<(), StoreError> {
        run!(self, SET_PASSWORD, user.to_string(), hash)?;
        Ok(())
    }

    async fn groups(&mut self, workspace: WorkspaceId) -> Result<Vec<Group>, StoreError> {
        all!(self, GroupRow, GROUPS, workspace.to_string())
    }

    async fn insert_group(&mut self, group: &Group, at: Timestamp) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_GROUP,
            group.id.to_string(),
            group.workspace.to_string(),
            group.name.as_str(),
            at.0
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn group_members(&mut self, workspace: WorkspaceId) -> Result<Vec<(GroupId, UserId)>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as::<D, _>(GROUP_MEMBERS)
            .bind(workspace.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let pair = |(group, user): &(String, String)| Ok((parse("group id", group)?, parse("user id", user)?));
        rows.iter().map(pair).collect()
    }

    async fn join_group(&mut self, group: GroupId, user: UserId) -> Result<bool, StoreError> {
        Ok(run!(self, JOIN_GROUP, group.to_string(), user.to_string())? > 0)
    }

    async fn leave_group(&mut self, group: GroupId, user: UserId) -> Result<bool, StoreError> {
        Ok(run!(self, LEAVE_GROUP, group.to_string(), user.to_string())? > 0)
    }

    async fn groups_of(&mut self, user: UserId) -> Result<Vec<(WorkspaceId, Name)>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as::<D, _>(GROUPS_OF)
            .bind(user.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let pair =
            |(workspace, name): &(String, String)| Ok((parse("workspace id", workspace)?, parse("group name", name)?));
        rows.iter().map(pair).collect()
    }

    async fn project_roles_of(&mut self, user: UserId) -> Result<Vec<(ProjectId, Option<Role>)>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as::<D, _>(PROJECT_ROLES_OF)
            .bind(user.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let pair = |(project, role): &(String, String)| Ok((parse("project id", project)?, project_role(role)?));
        rows.iter().map(pair).collect()
    }

    async fn project_roles(&mut self, project: ProjectId) -> Result<Vec<(UserId, Option<Role>)>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as::<D, _>(PROJECT_ROLES)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let pair = |(user, role): &(String, String)| Ok((parse("user id", user)?, project_role(role)?));
        rows.iter().map(pair).collect()
    }

    async fn set_project_role(
        &mut self,
        project: ProjectId,
        user: UserId,
        role: Option<Role>,
    ) -> Result<(), StoreError> {
        let role = role.map_or(HIDDEN, Role::as_str);
        run!(self, SET_PROJECT_ROLE, project.to_string(), user.to_string(), role)?;
        Ok(())
    }

    async fn clear_project_role(&mut self, project: ProjectId, user: UserId) -> Result<(), StoreError> {
        run!(self, CLEAR_PROJECT_ROLE, project.to_string(), user.to_string())?;
        Ok(())
    }

    async fn restrictions(&mut self, project: ProjectId) -> Result<Vec<(EnvironmentId, Name)>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as::<D, _>(RESTRICTIONS)
            .bind(project.to_string())
            .fetch_all(&mut self.tx)
            .await?;
        let pair = |(environment, name): &(String, String)| {
            Ok((parse("environment id", environment)?, parse("group name", name)?))
        };
        rows.iter().map(pair).collect()
    }

    async fn restrict(&mut self, environment: EnvironmentId, groups: &[GroupId]) -> Result<(), StoreError> {
        run!(self, LIFT_RESTRICTION, environment.to_string())?;
        for group in groups {
            run!(self, RESTRICT, environment.to_string(), group.to_string())?;
        }
        Ok(())
    }
}

/// A member of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub user: User,
    /// The role in the workspace.
    pub role: Role,
}

/// A stored role in a project; `None` hides it.
fn project_role(text: &str) -> Result<Option<Role>, StoreError> {
    match text {
        HIDDEN => Ok(None),
        role => parse("role", role).map(Some),
    }
}

#[derive(FromRow)]
struct MemberRow {
    #[sqlx(flatten)]
    user: UserRow,
    role: String,
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.user.try_into()?,
            role: parse("role", &row.role)?,
        })
    }
}

#[derive(FromRow)]
struct GroupRow {
    id: String,
    workspace_id: String,
    name: String,
}

impl TryFrom<GroupRow> for Group {
    type Error = StoreError;

    fn try_from(row: GroupRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: parse("group id", &row.id)?,
            workspace: parse("workspace id", &row.workspace_id)?,
            name: parse("group name", &row.name)?,
        })
    }
}
