//! Who calls, and where they may do what.
//!
//! A person has a role in each of their workspaces; a project may say otherwise of a person, and then that counts. A token
//! may do what its own role, its scope and whoever made it may: the least of them.

use crate::{
    service::{context::Services, reach::place::not_found},
    store::{ApiToken, StoreError, Tx, User},
};
use contract::error::AppError;
use domain::{
    door::Entrance,
    environment::{Project, Workspace},
    id::{EnvironmentId, ProjectId, UserId, WorkspaceId},
    name::Name,
    promotion::Actor,
    rights::{self, Denied, Right, Role},
    time::Timestamp,
};

/// The caller behind the token of this name; `None` when it may no longer act.
async fn caller_named(
    tx: &mut dyn Tx,
    workspace: &Workspace,
    name: &str,
    now: Timestamp,
) -> Result<Option<Caller>, AppError> {
    let all = tx.tokens(workspace.id).await?;
    let token = all
        .into_iter()
        .find(|token| token.name == name && token_is_valid(token, now));
    match token {
        Some(token) => caller_behind(tx, &token, workspace.clone()).await,
        None => Ok(None),
    }
}

/// What a token may do: what its role and scope say, and no more than its maker may do now.
pub(crate) async fn caller_behind(
    tx: &mut dyn Tx,
    token: &ApiToken,
    workspace: Workspace,
) -> Result<Option<Caller>, AppError> {
    let actor = Actor::Token {
        name: token.name.clone(),
    };
    let mut caller = match token.made_by {
        None => Caller::new(actor, vec![(workspace, token.role)]),
        Some(maker) => {
            let Some(maker) = tx.user(maker).await?.filter(|user| user.active) else {
                return Ok(None);
            };
            let mut caller = Caller::of(tx, &maker).await?;
            caller.actor = actor;
            caller.access.retain(|(own, _)| own.id == workspace.id);
            for (_, role) in &mut caller.access {
                *role = token.role.min(*role);
            }
            caller
        }
    };
    caller.scope = Some(Scope {
        role: token.role,
        project: token.project,
        environment: token.environment,
    });
    Ok(Some(caller).filter(|caller| !caller.access.is_empty()))
}

/// Whether a token works now.
pub(crate) fn token_is_valid(token: &ApiToken, now: Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|end| now < end)
}

/// Who calls, and where they may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// Their workspaces with the role in each.
    pub access: Vec<(Workspace, Role)>,
    /// The person behind it: who is signed in, or who made the token.
    pub person: Option<UserId>,
    /// Names of their groups, by workspace.
    pub groups: Vec<(WorkspaceId, Vec<Name>)>,
    /// What they are in projects that say it themselves; `None` hides the project.
    pub project_roles: Vec<(ProjectId, Option<Role>)>,
    /// What a token is for.
    pub scope: Option<Scope>,
    /// How they came in: the ledger tells.
    pub entrance: Entrance,
}

/// The part of its workspace that a token is for, and the most it may do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The token's role.
    pub role: Role,
    /// The one project; `None` for all.
    pub project: Option<ProjectId>,
    /// The one environment of that project; `None` for all.
    pub environment: Option<EnvironmentId>,
}

impl Caller {
    /// Somebody with roles in workspaces, and nothing else.
    #[must_use]
    pub fn new(actor: Actor, access: Vec<(Workspace, Role)>) -> Self {
        Self {
            actor,
            access,
            person: None,
            groups: Vec::new(),
            project_roles: Vec::new(),
            scope: None,
            entrance: Entrance::default(),
        }
    }

    /// A person, with all that they may.
    pub(crate) async fn of(tx: &mut dyn Tx, user: &User) -> Result<Self, StoreError> {
        let mut caller = Self::new(person(user), tx.memberships(user.id).await?);
        caller.person = Some(user.id);
        caller.project_roles = tx.project_roles_of(user.id).await?;
        for (workspace, group) in tx.groups_of(user.id).await? {
            match caller.groups.last_mut() {
                Some((last, names)) if *last == workspace => names.push(group),
                _ => caller.groups.push((workspace, vec![group])),
            }
        }
        Ok(caller)
    }

    /// The caller's role in a workspace; `None` for strangers.
    #[must_use]
    pub fn role_in(&self, workspace: WorkspaceId) -> Option<Role> {
        self.access
            .iter()
            .find(|(w, _)| w.id == workspace)
            .map(|(_, role)| *role)
    }

    /// The caller's role in a project of a workspace; `None` when they may not know of it.
    #[must_use]
    pub fn role_in_project(&self, workspace: WorkspaceId, project: ProjectId) -> Option<Role> {
        let role = self.role_in(workspace)?;
        let own = self.project_roles.iter().find(|(id, _)| *id == project);
        let role = own.map_or(Some(role), |(_, role)| *role)?;
        match self.scope {
            Some(scope) if scope.project.is_some_and(|only| only != project) => None,
            Some(scope) => Some(role.min(scope.role)),
            None => Some(role),
        }
    }

    /// Names of the caller's groups in a workspace.
    #[must_use]
    pub fn groups_in(&self, workspace: WorkspaceId) -> &[Name] {
        self.groups
            .iter()
            .find(|(id, _)| *id == workspace)
            .map_or(&[], |(_, names)| names)
    }

    /// Refuses tokens that are for a part of their workspace only.
    ///
    /// # Errors
    /// For such a token.
    pub fn check_whole(&self) -> Result<(), Denied> {
        let part = match self.scope {
            Some(Scope {
                environment: Some(_), ..
            }) => "one environment",
            Some(Scope { project: Some(_), .. }) => "one project",
            _ => return Ok(()),
        };
        Err(Denied::Scope { part })
    }

    /// The workspace of this name, for those who administer all of it.
    ///
    /// # Errors
    /// When there is none for the caller, or the caller isn't its administrator.
    pub fn administered(&self, workspace: &str) -> Result<&Workspace, AppError> {
        let (workspace, role) = self
            .access
            .iter()
            .find(|(w, _)| w.name.as_str() == workspace)
            .ok_or_else(|| not_found("workspace", workspace))?;
        rights::check(*role, Right::Administer)?;
        self.check_whole()?;
        Ok(workspace)
    }

    /// Refuses who doesn't administer a project, although they may administer its workspace; where it is hidden from them, it isn't there.
    ///
    /// # Errors
    /// For those.
    pub(crate) fn check_administers(&self, project: &Project) -> Result<(), AppError> {
        let role = self.role_in_project(project.workspace, project.id);
        let role = role.ok_or_else(|| not_found("project", project.name.as_str()))?;
        Ok(rights::check(role, Right::Administer)?)
    }

    /// Refuses programs: who may come in, and what they may do there, is for people to say. A token that leaked could else make
    /// itself friends that outlive it.
    ///
    /// # Errors
    /// For a token.
    pub fn check_person(&self) -> Result<(), AppError> {
        match self.actor {
            Actor::Person { .. } => Ok(()),
            _ => Err(AppError::Forbidden(
                "A token can't invite people, change members or make tokens. Sign in as a person to do it.".into(),
            )),
        }
    }

    /// Whether the caller may know of each project of a workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn sees_all(&self, tx: &mut dyn Tx, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let projects = tx.projects(workspace).await?;
        let sees = |id| self.role_in_project(workspace, id).is_some();
        Ok(projects.iter().all(|record| sees(record.project.id)))
    }

    /// Refuses those who may not see all projects of a workspace, deleted ones included: for what tells of all of them.
    ///
    /// # Errors
    /// When one is hidden from them; `what` begins the sentence that says so.
    pub(crate) async fn check_sees_all(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        what: &str,
    ) -> Result<(), AppError> {
        let projects = tx.projects_ever(workspace).await?;
        let sees = |id| self.role_in_project(workspace, id).is_some();
        if projects.iter().all(|(record, _)| sees(record.project.id)) {
            return Ok(());
        }
        Err(AppError::Forbidden(format!(
            "{what} is that of all projects, and you may not see all of them. Ask an administrator."
        )))
    }
}

/// The same caller with what they may do now, as a transaction sees it: rights may have been taken away since the request began.
///
/// # Errors
/// When they may not act at all any more.
pub(crate) async fn as_of(services: &Services, tx: &mut dyn Tx, caller: &Caller) -> Result<Caller, AppError> {
    let found = match &caller.actor {
        Actor::Person { id, .. } => match tx.user(*id).await?.filter(|user| user.active) {
            Some(user) => Some(Caller::of(tx, &user).await?),
            None => None,
        },
        Actor::Token { name } => match caller.access.first() {
            Some((workspace, _)) => caller_named(tx, workspace, name, services.now()).await?,
            None => None,
        },
        Actor::Waybill => Some(caller.clone()),
    };
    let mut now = found.ok_or(AppError::SignedOut)?;
    now.entrance = caller.entrance.clone();
    Ok(now)
}

/// Begins a transaction in which a caller writes, with what they may do in it.
///
/// # Errors
/// When they may not act any more, or the database fails.
pub(crate) async fn write_as_of_now(services: &Services, caller: &Caller) -> Result<(Box<dyn Tx>, Caller), AppError> {
    let mut tx = services.write_through(&caller.entrance).await?;
    let now = as_of(services, &mut *tx, caller).await?;
    Ok((tx, now))
}

/// Begins a transaction for who administers a workspace: asked before, so that others don't make writers wait, and once more in it.
///
/// # Errors
/// When there is no such workspace for the caller, or they aren't its administrator.
pub(crate) async fn administer(
    services: &Services,
    caller: &Caller,
    workspace: &str,
) -> Result<(Box<dyn Tx>, Caller, Workspace), AppError> {
    caller.administered(workspace)?;
    let (tx, now) = write_as_of_now(services, caller).await?;
    let workspace = now.administered(workspace)?.clone();
    Ok((tx, now, workspace))
}

/// The same for a person: see [`Caller::check_person`].
///
/// # Errors
/// For a token, too.
pub(crate) async fn administer_in_person(
    services: &Services,
    caller: &Caller,
    workspace: &str,
) -> Result<(Box<dyn Tx>, Caller, Workspace), AppError> {
    caller.administered(workspace)?;
    caller.check_person()?;
    administer(services, caller, workspace).await
}

/// A person, as an actor.
pub(crate) fn person(user: &User) -> Actor {
    Actor::Person {
        id: user.id,
        name: user.name.clone(),
        email: user.email.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn caller() -> (Caller, WorkspaceId, [ProjectId; 2]) {
        let workspace = Workspace {
            id: WorkspaceId(Uuid::from_u128(1)),
            name: "demo".parse().unwrap(),
        };
        let id = workspace.id;
        let projects = [2, 3].map(|n| ProjectId(Uuid::from_u128(n)));
        let actor = Actor::Token { name: "ci".into() };
        (Caller::new(actor, vec![(workspace, Role::Approver)]), id, projects)
    }

    #[test]
    fn a_project_may_say_otherwise_than_the_workspace() {
        let (mut caller, workspace, [shop, blog]) = caller();
        caller.project_roles = vec![(shop, Some(Role::Viewer)), (blog, None)];
        assert_eq!(caller.role_in_project(workspace, shop), Some(Role::Viewer));
        assert_eq!(caller.role_in_project(workspace, blog), None);
        let other = ProjectId(Uuid::from_u128(4));
        assert_eq!(caller.role_in_project(workspace, other), Some(Role::Approver));
        let elsewhere = WorkspaceId(Uuid::from_u128(9));
        assert_eq!(caller.role_in_project(elsewhere, shop), None, "not a member");
    }

    #[test]
    fn a_token_may_what_it_and_its_maker_may() {
        let (mut caller, workspace, [shop, blog]) = caller();
        caller.scope = Some(Scope {
            role: Role::Developer,
            project: Some(shop),
            environment: None,
        });
        assert_eq!(caller.role_in_project(workspace, shop), Some(Role::Developer));
        assert_eq!(caller.role_in_project(workspace, blog), None);
        caller.project_roles = vec![(shop, Some(Role::Viewer))];
        assert_eq!(caller.role_in_project(workspace, shop), Some(Role::Viewer));
        assert!(caller.check_whole().is_err());
    }

    #[test]
    fn groups_are_those_of_the_workspace() {
        let (mut caller, workspace, _) = caller();
        let release: Name = "release".parse().unwrap();
        caller.groups = vec![(workspace, vec![release.clone()])];
        assert_eq!(caller.groups_in(workspace), [release]);
        assert_eq!(caller.groups_in(WorkspaceId(Uuid::from_u128(9))), []);
    }
}
