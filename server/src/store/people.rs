//! Members, groups, roles per project, restricted environments, tokens, sessions, invitations: what the rights are made of.
//!
//! Like the rest of a transaction ([`Tx`](super::Tx) includes all of it): statements that both databases accept, once.

use super::{
    StoreError, User,
    accounts::UserRow,
    dialect::{Dialect, Stored, taken},
    rows::{parse, text},
    tx::{SqlTx, all, one, run},
};
use async_trait::async_trait;
use domain::{
    environment::{Group, Workspace},
    id::{EnvironmentId, GroupId, InvitationId, ProjectId, TokenId, UserId, WorkspaceId},
    name::Name,
    rights::Role,
    time::Timestamp,
};
use sqlx::{ColumnIndex, Encode, Executor, FromRow, IntoArguments, Type};

/// An API token; the token itself isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// The one project that it is for; `None` for the whole workspace.
    pub project: Option<ProjectId>,
    /// The one environment of that project that it is for.
    pub environment: Option<EnvironmentId>,
    /// Who made it: it can do no more than they may, and ends with them. `None` when it was made on the database itself.
    pub made_by: Option<UserId>,
}

/// A member of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub user: User,
    /// The role in the workspace.
    pub role: Role,
}

/// A person's session; what else it holds is the web's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// SHA-256 of its id, hexadecimal.
    pub id: String,
    /// Whose it is; `None` before somebody signed in.
    pub user: Option<UserId>,
    /// What the browser said of itself.
    pub user_agent: Option<String>,
    /// The network address that it began at.
    pub address: Option<String>,
    /// When it began; `None` when nobody remembers.
    pub created_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub seen_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An invitation into a workspace; the key in its link isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The address that is invited, lower case.
    pub email: String,
    /// The role to have.
    pub role: Role,
    /// SHA-256 of the key, hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who invited them; `None` when nobody remembers.
    pub invited_by: Option<UserId>,
}

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

    /// Fails with [`StoreError::Exists`] when the workspace has a token of this name.
    async fn insert_token(&mut self, token: &ApiToken) -> Result<(), StoreError>;
    /// The token with this hash and its workspace; also when it has ended.
    async fn token_by_hash(&mut self, hash: &str) -> Result<Option<(ApiToken, Workspace)>, StoreError>;
    /// Tokens of a workspace that aren't withdrawn, by name.
    async fn tokens(&mut self, workspace: WorkspaceId) -> Result<Vec<ApiToken>, StoreError>;
    /// Remembers that a token was used.
    async fn token_used(&mut self, id: TokenId, at: Timestamp) -> Result<(), StoreError>;
    /// Withdraws a token; `false` when it was withdrawn before.
    async fn revoke_token(&mut self, id: TokenId, at: Timestamp) -> Result<bool, StoreError>;
    /// Withdraws the tokens that a person made, in one workspace or in all.
    async fn revoke_tokens_of(
        &mut self,
        user: UserId,
        workspace: Option<WorkspaceId>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// A session that has not expired, with its data.
    async fn session(&mut self, id: &str, now: Timestamp) -> Result<Option<(SessionRecord, String)>, StoreError>;
    /// A new session.
    async fn insert_session(&mut self, session: &SessionRecord, data: &str) -> Result<(), StoreError>;
    /// Writes a session's data and end. One that ended meanwhile stays ended.
    async fn save_session(&mut self, id: &str, data: &str, expires_at: Timestamp) -> Result<(), StoreError>;
    /// Remembers that a session was used, and by whom.
    async fn session_seen(&mut self, id: &str, user: Option<UserId>, at: Timestamp) -> Result<(), StoreError>;
    /// A person's sessions, those used last first.
    async fn sessions_of(&mut self, user: UserId, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError>;
    /// Ends a session.
    async fn delete_session(&mut self, id: &str) -> Result<(), StoreError>;
    /// Ends a person's sessions, but for one.
    async fn delete_sessions_of(&mut self, user: UserId, but: Option<&str>) -> Result<(), StoreError>;
    /// Forgets sessions that expired.
    async fn delete_expired_sessions(&mut self, now: Timestamp) -> Result<(), StoreError>;

    /// Invitations into a workspace that can still be accepted, by address.
    async fn invitations(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;
    /// A new invitation.
    async fn insert_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError>;
    /// The invitation with this hash, if it can still be accepted, with its workspace.
    async fn invitation_by_hash(
        &mut self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<(Invitation, Workspace)>, StoreError>;
    /// Says that an invitation was accepted or withdrawn; `false` when it was already.
    async fn end_invitation(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError>;
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
const INSERT_TOKEN: &str = "INSERT INTO api_tokens (id, workspace_id, name, role, hash, created_at, expires_at, \
     revoked_at, project_id, environment_id, made_by, last_used_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const TOKEN_BY_HASH: &str = "SELECT t.*, w.name AS workspace_name FROM api_tokens t \
     JOIN workspaces w ON w.id = t.workspace_id AND w.removed_at IS NULL WHERE t.hash = $1";
const TOKENS: &str = "SELECT t.*, w.name AS workspace_name FROM api_tokens t \
     JOIN workspaces w ON w.id = t.workspace_id WHERE t.workspace_id = $1 AND t.revoked_at IS NULL ORDER BY t.name";
const TOKEN_USED: &str = "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1";
const REVOKE_TOKEN: &str = "UPDATE api_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const REVOKE_TOKENS_OF: &str = "UPDATE api_tokens SET revoked_at = $3 WHERE made_by = $1 AND revoked_at IS NULL \
     AND workspace_id = COALESCE($2, workspace_id)";
const SESSION: &str = "SELECT * FROM sessions WHERE id = $1 AND expires_at > $2";
const INSERT_SESSION: &str = "INSERT INTO sessions (id, data, expires_at, user_id, user_agent, address, created_at, \
     seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const SAVE_SESSION: &str = "UPDATE sessions SET data = $2, expires_at = $3 WHERE id = $1";
const SESSION_SEEN: &str = "UPDATE sessions SET seen_at = $2, user_id = COALESCE($3, user_id) WHERE id = $1";
const SESSIONS_OF: &str = "SELECT * FROM sessions WHERE user_id = $1 AND expires_at > $2 \
     ORDER BY COALESCE(seen_at, 0) DESC, id";
const DELETE_SESSION: &str = "DELETE FROM sessions WHERE id = $1";
const DELETE_SESSIONS_OF: &str = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2";
const DELETE_EXPIRED_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at <= $1";
const INVITATIONS: &str = "SELECT i.*, w.name AS workspace_name FROM invitations i \
     JOIN workspaces w ON w.id = i.workspace_id \
     WHERE i.workspace_id = $1 AND i.ended_at IS NULL AND i.expires_at > $2 ORDER BY i.email, i.id";
const INSERT_INVITATION: &str = "INSERT INTO invitations (id, workspace_id, email, role, hash, created_at, expires_at, \
     invited_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const INVITATION_BY_HASH: &str = "SELECT i.*, w.name AS workspace_name FROM invitations i \
     JOIN workspaces w ON w.id = i.workspace_id WHERE i.hash = $1 AND i.ended_at IS NULL AND i.expires_at > $2 AND w.removed_at IS NULL";
const END_INVITATION: &str = "UPDATE invitations SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";

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

    async fn insert_token(&mut self, token: &ApiToken) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_TOKEN,
            token.id.to_string(),
            token.workspace.to_string(),
            &token.name,
            token.role.as_str(),
            &token.hash,
            token.created_at.0,
            token.expires_at.map(|t| t.0),
            token.revoked_at.map(|t| t.0),
            token.project.map(|id| id.to_string()),
            token.environment.map(|id| id.to_string()),
            token.made_by.map(|id| id.to_string()),
            token.last_used_at.map(|t| t.0),
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn token_by_hash(&mut self, hash: &str) -> Result<Option<(ApiToken, Workspace)>, StoreError> {
        one!(self, TokenRow, TOKEN_BY_HASH, hash)
    }

    async fn tokens(&mut self, workspace: WorkspaceId) -> Result<Vec<ApiToken>, StoreError> {
        let found: Result<Vec<(ApiToken, Workspace)>, StoreError> = all!(self, TokenRow, TOKENS, workspace.to_string());
        Ok(found?.into_iter().map(|(token, _)| token).collect())
    }

    async fn token_used(&mut self, id: TokenId, at: Timestamp) -> Result<(), StoreError> {
        run!(self, TOKEN_USED, id.to_string(), at.0)?;
        Ok(())
    }

    async fn revoke_token(&mut self, id: TokenId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(run!(self, REVOKE_TOKEN, id.to_string(), at.0)? > 0)
    }

    async fn revoke_tokens_of(
        &mut self,
        user: UserId,
        workspace: Option<WorkspaceId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let workspace = workspace.map(|id| id.to_string());
        run!(self, REVOKE_TOKENS_OF, user.to_string(), workspace, at.0)?;
        Ok(())
    }

    async fn session(&mut self, id: &str, now: Timestamp) -> Result<Option<(SessionRecord, String)>, StoreError> {
        one!(self, SessionRow, SESSION, id, now.0)
    }

    async fn insert_session(&mut self, session: &SessionRecord, data: &str) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_SESSION,
            &session.id,
            data,
            session.expires_at.0,
            session.user.map(|id| id.to_string()),
            session.user_agent.as_deref().map(text),
            &session.address,
            session.created_at.map(|t| t.0),
            session.seen_at.map(|t| t.0),
        )
        .map_err(taken)?;
        Ok(())
    }

    async fn save_session(&mut self, id: &str, data: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        run!(self, SAVE_SESSION, id, data, expires_at.0)?;
        Ok(())
    }

    async fn session_seen(&mut self, id: &str, user: Option<UserId>, at: Timestamp) -> Result<(), StoreError> {
        run!(self, SESSION_SEEN, id, at.0, user.map(|id| id.to_string()))?;
        Ok(())
    }

    async fn sessions_of(&mut self, user: UserId, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let found: Result<Vec<(SessionRecord, String)>, StoreError> =
            all!(self, SessionRow, SESSIONS_OF, user.to_string(), now.0);
        Ok(found?.into_iter().map(|(session, _)| session).collect())
    }

    async fn delete_session(&mut self, id: &str) -> Result<(), StoreError> {
        run!(self, DELETE_SESSION, id)?;
        Ok(())
    }

    async fn delete_sessions_of(&mut self, user: UserId, but: Option<&str>) -> Result<(), StoreError> {
        run!(self, DELETE_SESSIONS_OF, user.to_string(), but.unwrap_or_default())?;
        Ok(())
    }

    async fn delete_expired_sessions(&mut self, now: Timestamp) -> Result<(), StoreError> {
        run!(self, DELETE_EXPIRED_SESSIONS, now.0)?;
        Ok(())
    }

    async fn invitations(&mut self, workspace: WorkspaceId, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        let found: Result<Vec<(Invitation, Workspace)>, StoreError> =
            all!(self, InvitationRow, INVITATIONS, workspace.to_string(), now.0);
        Ok(found?.into_iter().map(|(invitation, _)| invitation).collect())
    }

    async fn insert_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        run!(
            self,
            INSERT_INVITATION,
            invitation.id.to_string(),
            invitation.workspace.to_string(),
            &invitation.email,
            invitation.role.as_str(),
            &invitation.hash,
            invitation.created_at.0,
            invitation.expires_at.0,
            invitation.invited_by.map(|id| id.to_string()),
        )?;
        Ok(())
    }

    async fn invitation_by_hash(
        &mut self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<(Invitation, Workspace)>, StoreError> {
        one!(self, InvitationRow, INVITATION_BY_HASH, hash, now.0)
    }

    async fn end_invitation(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(run!(self, END_INVITATION, id.to_string(), at.0)? > 0)
    }
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

#[derive(FromRow)]
struct TokenRow {
    id: String,
    workspace_id: String,
    workspace_name: String,
    name: String,
    role: String,
    hash: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
    project_id: Option<String>,
    environment_id: Option<String>,
    made_by: Option<String>,
}

impl TryFrom<TokenRow> for (ApiToken, Workspace) {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let workspace = workspace(&row.workspace_id, &row.workspace_name)?;
        let token = ApiToken {
            id: parse("token id", &row.id)?,
            workspace: workspace.id,
            name: row.name,
            role: parse("role", &row.role)?,
            hash: row.hash,
            created_at: Timestamp(row.created_at),
            expires_at: row.expires_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
            revoked_at: row.revoked_at.map(Timestamp),
            project: row.project_id.map(|id| parse("project id", &id)).transpose()?,
            environment: row.environment_id.map(|id| parse("environment id", &id)).transpose()?,
            made_by: row.made_by.map(|id| parse("user id", &id)).transpose()?,
        };
        Ok((token, workspace))
    }
}

#[derive(FromRow)]
struct SessionRow {
    id: String,
    data: String,
    expires_at: i64,
    user_id: Option<String>,
    user_agent: Option<String>,
    address: Option<String>,
    created_at: Option<i64>,
    seen_at: Option<i64>,
}

impl TryFrom<SessionRow> for (SessionRecord, String) {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let session = SessionRecord {
            id: row.id,
            user: row.user_id.map(|id| parse("user id", &id)).transpose()?,
            user_agent: row.user_agent,
            address: row.address,
            created_at: row.created_at.map(Timestamp),
            seen_at: row.seen_at.map(Timestamp),
            expires_at: Timestamp(row.expires_at),
        };
        Ok((session, row.data))
    }
}

#[derive(FromRow)]
struct InvitationRow {
    id: String,
    workspace_id: String,
    workspace_name: String,
    email: String,
    role: String,
    hash: String,
    created_at: i64,
    expires_at: i64,
    invited_by: Option<String>,
}

impl TryFrom<InvitationRow> for (Invitation, Workspace) {
    type Error = StoreError;

    fn try_from(row: InvitationRow) -> Result<Self, StoreError> {
        let workspace = workspace(&row.workspace_id, &row.workspace_name)?;
        let invitation = Invitation {
            id: parse("invitation id", &row.id)?,
            workspace: workspace.id,
            email: row.email,
            role: parse("role", &row.role)?,
            hash: row.hash,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
            invited_by: row.invited_by.map(|id| parse("user id", &id)).transpose()?,
        };
        Ok((invitation, workspace))
    }
}

fn workspace(id: &str, name: &str) -> Result<Workspace, StoreError> {
    Ok(Workspace {
        id: parse("workspace id", id)?,
        name: parse("workspace name", name)?,
    })
}
