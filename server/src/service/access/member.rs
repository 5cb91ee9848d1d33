//! Members of a workspace: their roles, taking them out, and closing an account.
//!
//! A workspace keeps at least one active administrator: nobody could let anybody in any more.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller, not_found, person},
    },
    store::{NewEvent, StoreError, Tx, User, people::Member},
};
use contract::{
    error::AppError,
    member::{InvitationRow, MemberView, MembersView},
};
use domain::{
    environment::Workspace,
    event::{Happened, Subject},
    field::FieldErrors,
    id::{UserId, WorkspaceId},
    rights::{Role, UnknownRole},
    time::Timestamp,
};

/// The members of a workspace, and who is invited.
///
/// # Errors
/// When the caller isn't an administrator there.
pub async fn members(services: &Services, caller: &Caller, workspace: &str) -> Result<MembersView, AppError> {
    let workspace = caller.administered(workspace)?;
    let now = services.now();
    let mut tx = services.store.read().await?;
    let groups = tx.groups(workspace.id).await?;
    let in_groups = tx.group_members(workspace.id).await?;
    let mut members = Vec::new();
    for Member { user, role } in tx.members(workspace.id).await? {
        let is_in = |group| in_groups.iter().any(|(g, u)| *g == group && *u == user.id);
        members.push(MemberView {
            groups: groups.iter().filter(|g| is_in(g.id)).map(|g| g.name.clone()).collect(),
            you: caller.person == Some(user.id),
            may_deactivate: may_deactivate(&mut *tx, caller, user.id).await?.is_ok(),
            id: user.id,
            name: user.name,
            email: user.email,
            role,
            active: user.active,
        });
    }
    let invitations = tx.invitations(workspace.id, now).await?;
    Ok(MembersView {
        workspace: workspace.name.clone(),
        members,
        invitations: invitations
            .into_iter()
            .map(|invitation| InvitationRow {
                id: invitation.id,
                email: invitation.email,
                role: invitation.role,
                expires_at: invitation.expires_at,
            })
            .collect(),
    })
}

/// Gives a member another role.
///
/// # Errors
/// When the caller isn't an administrator there, or the member is its last one.
pub async fn set_role(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    user: &str,
    role: &str,
) -> Result<(), AppError> {
    let role: Role = parse_role(role)?;
    let (mut tx, caller, workspace) = reach::administer_in_person(services, caller, workspace).await?;
    let member = find_member(&mut *tx, &workspace, user).await?;
    if member.role == role {
        return Ok(());
    }
    if role < Role::Admin {
        keep_an_administrator(&mut *tx, &workspace, &member).await?;
    }
    tx.set_membership(workspace.id, member.user.id, role).await?;
    let happened = Happened::RoleChanged {
        email: member.user.email,
        role: role.to_string(),
    };
    record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Takes a member out of a workspace, with the groups and tokens that they have there.
///
/// # Errors
/// When the caller isn't an administrator there, or the member is its last one.
pub async fn remove_member(services: &Services, caller: &Caller, workspace: &str, user: &str) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer_in_person(services, caller, workspace).await?;
    let member = find_member(&mut *tx, &workspace, user).await?;
    keep_an_administrator(&mut *tx, &workspace, &member).await?;
    tx.remove_member(workspace.id, member.user.id).await?;
    tx.revoke_tokens_of(member.user.id, Some(workspace.id), services.now())
        .await?;
    let happened = Happened::MemberRemoved {
        email: member.user.email,
    };
    record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Closes a member's account: nobody signs in with it any more, and its sessions and tokens end at once.
///
/// # Errors
/// When the caller doesn't administer every workspace of the member, or the member is the last administrator of one.
pub async fn deactivate(services: &Services, caller: &Caller, workspace: &str, user: &str) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer_in_person(services, caller, workspace).await?;
    let member = find_member(&mut *tx, &workspace, user).await?;
    may_deactivate(&mut *tx, &caller, member.user.id).await??;
    if !member.user.active {
        return Ok(());
    }
    let now = services.now();
    for (workspace, role) in tx.memberships(member.user.id).await? {
        let there = Member {
            user: member.user.clone(),
            role,
        };
        keep_an_administrator(&mut *tx, &workspace, &there).await?;
        let email = member.user.email.clone();
        record_member_event(
            services,
            &mut *tx,
            &caller,
            workspace.id,
            Happened::AccountDeactivated { email },
        )
        .await?;
    }
    tx.set_active(member.user.id, false).await?;
    tx.delete_sessions_of(member.user.id, None).await?;
    tx.revoke_tokens_of(member.user.id, None, now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Opens a closed account again. Its tokens stay withdrawn.
///
/// # Errors
/// When the caller doesn't administer every workspace of the member.
pub async fn activate(services: &Services, caller: &Caller, workspace: &str, user: &str) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer_in_person(services, caller, workspace).await?;
    let member = find_member(&mut *tx, &workspace, user).await?;
    may_deactivate(&mut *tx, &caller, member.user.id).await??;
    if member.user.active {
        return Ok(());
    }
    tx.set_active(member.user.id, true).await?;
    // One that began while it was being closed doesn't come back to life.
    tx.delete_sessions_of(member.user.id, None).await?;
    for (workspace, _) in tx.memberships(member.user.id).await? {
        let email = member.user.email.clone();
        record_member_event(
            services,
            &mut *tx,
            &caller,
            workspace.id,
            Happened::AccountActivated { email },
        )
        .await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// The member with this id, as it came from a form.
pub(crate) async fn find_member(tx: &mut dyn Tx, workspace: &Workspace, user: &str) -> Result<Member, AppError> {
    tx.members(workspace.id)
        .await?
        .into_iter()
        .find(|member| member.user.id.to_string() == user)
        .ok_or_else(|| not_found("member", user))
}

/// Writes an event about a workspace itself.
pub(crate) async fn record_member_event(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: WorkspaceId,
    happened: Happened,
) -> Result<(), AppError> {
    let event = NewEvent {
        workspace,
        subject: Subject::default(),
        actor: caller.actor.clone(),
        happened,
    };
    tx.append_event(&event, services.now()).await?;
    Ok(())
}

/// Makes a workspace. Who asked for it administers it: the person who applies, or who made the token. Where nobody stands behind it, the
/// installation's oldest administrator does: else nobody could see it.
pub(crate) async fn create_workspace(
    tx: &mut dyn Tx,
    workspace: &Workspace,
    person: Option<UserId>,
    at: Timestamp,
) -> Result<(), AppError> {
    tx.insert_workspace(workspace, at).await?;
    let administrator = match person {
        Some(id) => tx.user(id).await?,
        None => tx.first_user().await?,
    };
    if let Some(administrator) = administrator {
        join_as_administrator(tx, workspace, &administrator, at).await?;
    }
    Ok(())
}

/// Makes somebody an administrator of a workspace whom nobody invited: the first account, or whose the new workspace is.
pub(crate) async fn join_as_administrator(
    tx: &mut dyn Tx,
    workspace: &Workspace,
    user: &User,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.set_membership(workspace.id, user.id, Role::Admin).await?;
    let event = NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: person(user),
        happened: Happened::MemberJoined {
            email: user.email.clone(),
            role: Role::Admin.to_string(),
        },
    };
    tx.append_event(&event, now).await?;
    Ok(())
}

/// A role as a form posts it.
pub(crate) fn parse_role(text: &str) -> Result<Role, FieldErrors> {
    text.parse()
        .map_err(|e: UnknownRole| FieldErrors::one("role", e.to_string()))
}

/// An account belongs to all of its workspaces: only who administers each of them may close it.
async fn may_deactivate(tx: &mut dyn Tx, caller: &Caller, user: UserId) -> Result<Result<(), AppError>, AppError> {
    let theirs = tx.memberships(user).await?;
    let elsewhere = |(workspace, _): &(Workspace, Role)| caller.role_in(workspace.id) != Some(Role::Admin);
    Ok(if theirs.iter().any(elsewhere) {
        let why = "This account also belongs to workspaces that you don't administer. Remove it from this one instead.";
        Err(AppError::Forbidden(why.into()))
    } else {
        Ok(())
    })
}

/// Refuses what would leave a workspace without an active administrator.
async fn keep_an_administrator(tx: &mut dyn Tx, workspace: &Workspace, leaving: &Member) -> Result<(), AppError> {
    if leaving.role != Role::Admin || !leaving.user.active {
        return Ok(());
    }
    let members = tx.members(workspace.id).await?;
    let stays = |m: &Member| m.role == Role::Admin && m.user.active && m.user.id != leaving.user.id;
    if members.iter().any(stays) {
        return Ok(());
    }
    Err(AppError::Conflict(format!(
        "{} is the last administrator of {}. Give somebody else the role admin first.",
        leaving.user.email, workspace.name
    )))
}
