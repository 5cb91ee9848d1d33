//! Groups of members: environments can be for some of them only, and they approve together.

use crate::{
    service::{
        access::member,
        context::Services,
        reach::{self, Caller, not_found},
    },
    store::{StoreError, Tx},
};
use contract::{
    error::AppError,
    group::{GroupView, GroupsView, Person},
};
use domain::{
    environment::{Group, Workspace},
    event::Happened,
    field::FieldErrors,
    id::GroupId,
    name::{Name, NameError},
};

/// The groups of a workspace, and who could be in them.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn groups(services: &Services, caller: &Caller, workspace: &str) -> Result<GroupsView, AppError> {
    let workspace = caller.administered(workspace)?;
    let mut tx = services.store.read().await?;
    let people: Vec<Person> = tx
        .members(workspace.id)
        .await?
        .into_iter()
        .map(|member| Person {
            id: member.user.id,
            name: member.user.name,
            email: member.user.email,
        })
        .collect();
    let in_groups = tx.group_members(workspace.id).await?;
    let groups = tx.groups(workspace.id).await?;
    let view = |group: Group| GroupView {
        members: people
            .iter()
            .filter(|person| in_groups.contains(&(group.id, person.id)))
            .cloned()
            .collect(),
        name: group.name,
    };
    Ok(GroupsView {
        workspace: workspace.name.clone(),
        groups: groups.into_iter().map(view).collect(),
        people: people.clone(),
    })
}

/// Makes a group.
///
/// # Errors
/// When the caller isn't an administrator there, or the name is taken or malformed.
pub async fn create_group(services: &Services, caller: &Caller, workspace: &str, name: &str) -> Result<(), AppError> {
    caller.administered(workspace)?;
    let name: Name = name
        .trim()
        .parse()
        .map_err(|e: NameError| FieldErrors::one("name", e.to_string()))?;
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let group = Group {
        id: GroupId(services.ids.next()),
        workspace: workspace.id,
        name,
    };
    tx.insert_group(&group, services.now())
        .await
        .map_err(|error| match error {
            StoreError::Exists => {
                let why = format!("There is a group {} already. Choose another name.", group.name);
                FieldErrors::one("name", why).into()
            }
            other => AppError::from(other),
        })?;
    let happened = Happened::GroupCreated {
        name: group.name.to_string(),
    };
    member::record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Puts a member into a group.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such group or member.
pub async fn join_group(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    group: &str,
    user: &str,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let group = group_named(&mut *tx, &workspace, group).await?;
    if user.is_empty() {
        return Err(FieldErrors::one(format!("user-{}", group.name), "Choose a member.").into());
    }
    let member = member::find_member(&mut *tx, &workspace, user).await?;
    if tx.join_group(group.id, member.user.id).await? {
        let happened = Happened::GroupJoined {
            group: group.name.to_string(),
            email: member.user.email,
        };
        member::record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Takes a member out of a group.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such group or member.
pub async fn leave_group(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    group: &str,
    user: &str,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let group = group_named(&mut *tx, &workspace, group).await?;
    let member = member::find_member(&mut *tx, &workspace, user).await?;
    if tx.leave_group(group.id, member.user.id).await? {
        let happened = Happened::GroupLeft {
            group: group.name.to_string(),
            email: member.user.email,
        };
        member::record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

async fn group_named(tx: &mut dyn Tx, workspace: &Workspace, name: &str) -> Result<Group, AppError> {
    let groups = tx.groups(workspace.id).await?;
    let found = groups.into_iter().find(|group| group.name.as_str() == name);
    found.ok_or_else(|| not_found("group", name))
}
