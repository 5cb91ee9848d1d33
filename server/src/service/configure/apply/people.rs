//! The part of a document that is about people: groups with their members, roles per project, and environments that only
//! some groups may change. Members are named by their address; nobody becomes one this way, that takes an invitation.

use crate::{
    ports::clock::Ids,
    service::configure::apply::{
        check::{Checked, CheckedProject},
        document::SecretText,
        plan::{Plan, PlannedChange, Sign},
    },
    store::{StoreError, Tx},
};
use domain::{
    environment::Group,
    field::FieldErrors,
    id::{EnvironmentId, GroupId, ProjectId, UserId, WorkspaceId},
    name::Name,
    rights::Role,
    time::Timestamp,
};

/// What is stored of a workspace's people.
#[derive(Default)]
pub(crate) struct StoredPeople {
    members: Vec<(UserId, String)>,
    groups: Vec<Group>,
    in_groups: Vec<(GroupId, UserId)>,
    roles: Vec<(ProjectId, UserId, Option<Role>)>,
    restricted: Vec<(EnvironmentId, Name)>,
}

/// What to write of them.
#[derive(Default)]
pub(crate) struct PlannedPeople {
    groups: Vec<Group>,
    joins: Vec<(GroupId, UserId)>,
    leaves: Vec<(GroupId, UserId)>,
    roles: Vec<(ProjectId, UserId, Option<Role>)>,
    cleared: Vec<(ProjectId, UserId)>,
    restrictions: Vec<(EnvironmentId, Vec<GroupId>)>,
}

impl StoredPeople {
    /// Reads them.
    pub(crate) async fn read(
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        projects: impl Iterator<Item = ProjectId>,
    ) -> Result<Self, StoreError> {
        let members = tx.members(workspace).await?;
        let mut stored = Self {
            members: members.into_iter().map(|m| (m.user.id, m.user.email)).collect(),
            groups: tx.groups(workspace).await?,
            in_groups: tx.group_members(workspace).await?,
            ..Self::default()
        };
        for project in projects {
            let roles = tx.project_roles(project).await?;
            let roles = roles.into_iter().map(|(user, role)| (project, user, role));
            stored.roles.extend(roles);
            stored.restricted.extend(tx.restrictions(project).await?);
        }
        Ok(stored)
    }

    fn user(&self, email: &str, at: &str, errors: &mut FieldErrors) -> Option<UserId> {
        let found = self.members.iter().find(|(_, known)| known == email);
        if found.is_none() {
            let why = format!("The workspace has no member {email}. Invite them first, or correct the address.");
            errors.add(at, why);
        }
        found.map(|(id, _)| *id)
    }

    fn email(&self, user: UserId) -> &str {
        let found = self.members.iter().find(|(id, _)| *id == user);
        found.map_or("somebody who left", |(_, email)| email)
    }
}

impl PlannedPeople {
    /// Writes what was planned.
    pub(crate) async fn write(&self, tx: &mut dyn Tx, now: Timestamp) -> Result<(), StoreError> {
        for group in &self.groups {
            tx.insert_group(group, now).await?;
        }
        for (group, user) in &self.joins {
            tx.join_group(*group, *user).await?;
        }
        for (group, user) in &self.leaves {
            tx.leave_group(*group, *user).await?;
        }
        for (project, user, role) in &self.roles {
            tx.set_project_role(*project, *user, *role).await?;
        }
        for (project, user) in &self.cleared {
            tx.clear_project_role(*project, *user).await?;
        }
        for (environment, groups) in &self.restrictions {
            tx.restrict(*environment, groups).await?;
        }
        Ok(())
    }
}

impl Plan {
    /// Plans what the document says of people, after everything else: it is about projects and environments that may be new.
    pub(crate) fn people(
        &mut self,
        document: &Checked<'_, SecretText>,
        stored: &StoredPeople,
        ids: &dyn Ids,
        errors: &mut FieldErrors,
    ) {
        let mut groups = stored.groups.clone();
        for spec in &document.groups {
            let known = groups
                .iter()
                .find(|group| group.name == spec.name)
                .map(|group| group.id);
            let id = known.unwrap_or_else(|| {
                let group = Group {
                    id: GroupId(ids.next()),
                    workspace: self.workspace.id,
                    name: spec.name.clone(),
                };
                groups.push(group.clone());
                let id = group.id;
                self.people.groups.push(group);
                self.note(Sign::Create, format!("group {}", spec.name));
                id
            });
            let mut wanted = Vec::new();
            for (i, email) in spec.members.iter().enumerate() {
                wanted.extend(stored.user(email, &format!("{}.members[{i}]", spec.at), errors));
            }
            let is_in = |user: &UserId| stored.in_groups.contains(&(id, *user));
            let joins: Vec<UserId> = wanted.iter().copied().filter(|user| !is_in(user)).collect();
            let mut leaves = Vec::new();
            for (group, user) in &stored.in_groups {
                if *group == id && !wanted.contains(user) {
                    leaves.push(*user);
                }
            }
            let words: Vec<String> = joins
                .iter()
                .map(|user| format!("with {}", stored.email(*user)))
                .chain(leaves.iter().map(|user| format!("without {}", stored.email(*user))))
                .collect();
            if !words.is_empty() {
                self.note(Sign::Change, format!("group {}: {}", spec.name, words.join(", ")));
            }
            self.people.joins.extend(joins.into_iter().map(|user| (id, user)));
            self.people.leaves.extend(leaves.into_iter().map(|user| (id, user)));
        }
        for project in &document.projects {
            let Some(id) = self.project_ids.get(&project.name).copied() else {
                continue;
            };
            self.roles(project, id, stored, errors);
            self.restrictions(project, id, &groups, stored, errors);
        }
    }

    fn roles(
        &mut self,
        project: &CheckedProject<'_, SecretText>,
        id: ProjectId,
        stored: &StoredPeople,
        errors: &mut FieldErrors,
    ) {
        let Some(roles) = &project.roles else { return };
        let before: Vec<(UserId, Option<Role>)> = stored
            .roles
            .iter()
            .filter(|(of, ..)| *of == id)
            .map(|(_, user, role)| (*user, *role))
            .collect();
        let mut words = Vec::new();
        let mut named = Vec::new();
        for (email, role) in roles {
            let Some(user) = stored.user(email, &format!("{}.roles.{email}", project.at), errors) else {
                continue;
            };
            named.push(user);
            if !before.contains(&(user, *role)) {
                words.push(format!("{email} is {}", role.map_or("none", Role::as_str)));
                self.people.roles.push((id, user, *role));
            }
        }
        for (user, _) in before {
            if !named.contains(&user) {
                words.push(format!("{} as in the workspace", stored.email(user)));
                self.people.cleared.push((id, user));
            }
        }
        if !words.is_empty() {
            self.note(Sign::Change, format!("roles in {}: {}", project.name, words.join(", ")));
        }
    }

    fn restrictions(
        &mut self,
        project: &CheckedProject<'_, SecretText>,
        id: ProjectId,
        groups: &[Group],
        stored: &StoredPeople,
        errors: &mut FieldErrors,
    ) {
        for environment in &project.environments {
            let there = self.environment_ids.get(&(id, environment.name.clone())).copied();
            let Some(there) = there else { continue };
            let mut wanted: Vec<&Group> = Vec::new();
            for (i, name) in environment.restricted_to.iter().enumerate() {
                match groups.iter().find(|group| group.name == *name) {
                    Some(group) => wanted.push(group),
                    None => {
                        let why =
                            format!("The workspace has no group {name}. Add it under groups, or correct the name.");
                        errors.add(format!("{}.restrictedTo[{i}]", environment.at), why);
                    }
                }
            }
            wanted.sort_by(|a, b| a.name.cmp(&b.name));
            wanted.dedup();
            let before = stored.restricted.iter().filter(|(of, _)| *of == there);
            let before: Vec<&Name> = before.map(|(_, name)| name).collect();
            let after: Vec<&Name> = wanted.iter().map(|group| &group.name).collect();
            if before == after {
                continue;
            }
            let list = |names: &[&Name]| match names {
                [] => "everybody".to_owned(),
                names => names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" and "),
            };
            let place = format!("{}/{}", project.name, environment.name);
            self.note(
                Sign::Change,
                format!(
                    "environment {place}: may be changed by {} → {}",
                    list(&before),
                    list(&after)
                ),
            );
            let ids = wanted.iter().map(|group| group.id).collect();
            self.people.restrictions.push((there, ids));
        }
    }

    fn note(&mut self, sign: Sign, what: String) {
        self.changes.push(PlannedChange { sign, what });
    }
}
