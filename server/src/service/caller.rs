//! Who calls, and where they may do what.
//!
//! A person has a role in each of their workspaces; a project may say otherwise of a person, and then that counts. A token
//! may do what its own role, its scope and whoever made it may: the least of them.

use super::place::not_found;
use crate::store::{StoreError, Tx, User};
use app::error::AppError;
use domain::{
    door::Entrance,
    environment::Workspace,
    id::{EnvironmentId, ProjectId, UserId, WorkspaceId},
    name::Name,
    promotion::Actor,
    rights::{self, Denied, Right, Role},
};

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
