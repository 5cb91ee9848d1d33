//! Invitations by link: an administrator names an address and a role, and passes the link on; whoever opens it within a
//! week sets name and password, once. The key in the link is stored as a hash, like a token.

use crate::{
    service::{
        access::{
            member::{self, parse_role},
            session::{self, normalised_email},
            token::{hash_token, random_key},
        },
        context::{Services, check_password},
        reach::{self, Caller, not_found},
    },
    store::{Invitation, NewEvent, StoreError, Tx, User, people::Member},
};
use contract::{
    error::AppError,
    member::{InvitationLink, InvitationView},
};
use domain::{
    environment::Workspace,
    event::{Happened, Subject},
    field::FieldErrors,
    id::{InvitationId, UserId},
    promotion::Actor,
    rights::Role,
};
use secrecy::SecretString;

/// How long an invitation can be accepted.
const VALID_MILLIS: i64 = 7 * 86_400_000;

/// Invites an address into a workspace, and returns the link: the only time it can be seen. An invitation that the
/// address had before ends.
///
/// # Errors
/// When the caller isn't an administrator there, or it is no address, or one of a member.
pub async fn invite(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    email: &str,
    role: &str,
) -> Result<InvitationLink, AppError> {
    caller.administered(workspace)?;
    caller.check_person()?;
    let email = normalised_email(email);
    check_email(&email)?;
    let role = parse_role(role)?;
    let now = services.now();
    let key = random_key()?;
    let (mut tx, caller, workspace) = reach::administer_in_person(services, caller, workspace).await?;
    if tx.members(workspace.id).await?.iter().any(|m| m.user.email == email) {
        let why = format!("{email} is a member already. Change the role in the list.");
        return Err(FieldErrors::one("email", why).into());
    }
    for before in tx.invitations(workspace.id, now).await? {
        if before.email == email {
            tx.end_invitation(before.id, now).await?;
        }
    }
    let invitation = Invitation {
        id: InvitationId(services.ids.next()),
        workspace: workspace.id,
        email: email.clone(),
        role,
        hash: hash_token(&key),
        created_at: now,
        expires_at: now.plus_millis(VALID_MILLIS),
        invited_by: caller.person,
    };
    tx.insert_invitation(&invitation).await?;
    let happened = Happened::MemberInvited {
        email: email.clone(),
        role: role.to_string(),
    };
    member::record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(InvitationLink {
        email,
        link: format!("{}/invitation?key={key}", services.public_url),
        expires_at: invitation.expires_at,
    })
}

/// Takes an invitation back: its link is worth nothing from now on.
///
/// # Errors
/// When the caller isn't an administrator there, or there is no such invitation.
pub async fn withdraw_invitation(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    id: &str,
) -> Result<(), AppError> {
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let now = services.now();
    let open = tx.invitations(workspace.id, now).await?;
    let invitation = open
        .into_iter()
        .find(|invitation| invitation.id.to_string() == id)
        .ok_or_else(|| not_found("invitation", id))?;
    tx.end_invitation(invitation.id, now).await?;
    let happened = Happened::InvitationWithdrawn {
        email: invitation.email,
    };
    member::record_member_event(services, &mut *tx, &caller, workspace.id, happened).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// What an invitation is for. Who has the key may know.
///
/// # Errors
/// When it ended, was accepted, or never was.
pub async fn invitation(services: &Services, key: &str) -> Result<InvitationView, AppError> {
    let mut tx = services.store.read().await?;
    let found = tx.invitation_by_hash(&hash_token(key), services.now()).await?;
    let (invitation, workspace) = found.ok_or_else(ended)?;
    still_stands(&mut *tx, &invitation, &workspace).await?;
    let known = tx.user_by_email(&invitation.email).await?;
    Ok(InvitationView {
        workspace: workspace.name,
        known: known.is_some(),
        needs_sso: known.is_some_and(|user| !user.has_password()),
        yours: false,
        sso: services.sso.as_ref().map(|sso| sso.name.clone()),
        email: invitation.email,
        role: invitation.role,
    })
}

/// Accepts an invitation, once: makes the account with this name and password, or, where the address has an account,
/// checks its password like signing in does (`sign_in`, also for `from` and `browser`). Returns who it is.
///
/// # Errors
/// When it can't be accepted any more, name or password break a rule, or an account's password is wrong.
pub async fn accept_invitation(
    services: &Services,
    key: &str,
    name: &str,
    password: SecretString,
    from: &str,
    browser: &str,
) -> Result<UserId, AppError> {
    let mut tx = services.store.read().await?;
    let found = tx.invitation_by_hash(&hash_token(key), services.now()).await?;
    let (invitation, workspace) = found.ok_or_else(ended)?;
    still_stands(&mut *tx, &invitation, &workspace).await?;
    let known = tx.user_by_email(&invitation.email).await?;
    drop(tx);
    let user = if let Some(user) = &known {
        session::sign_in(services, &invitation.email, password, from, browser).await?;
        user.clone()
    } else {
        let mut errors = FieldErrors::default();
        let name = name.trim();
        if let Err(why) = check_name(name) {
            errors.add("name", why);
        }
        if let Err(why) = check_password(&password) {
            errors.add("password", why);
        }
        errors.into_result()?;
        let password_hash = services.passwords.hash(password).await?;
        User {
            id: UserId(services.ids.next()),
            email: invitation.email.clone(),
            name: name.to_owned(),
            password_hash,
            active: true,
            created_at: services.now(),
        }
    };
    join(services, invitation, &workspace, user, known.is_none()).await
}

/// Accepts an invitation as who is signed in: they have shown already who they are.
///
/// # Errors
/// When it can't be accepted any more, or is for somebody else.
pub async fn accept_invitation_as(services: &Services, caller: &Caller, key: &str) -> Result<UserId, AppError> {
    let mut tx = services.store.read().await?;
    let found = tx.invitation_by_hash(&hash_token(key), services.now()).await?;
    let (invitation, workspace) = found.ok_or_else(ended)?;
    let user = match caller.actor {
        Actor::Person { id, .. } => tx.user(id).await?.filter(|user| user.email == invitation.email),
        _ => None,
    };
    drop(tx);
    let user = user.ok_or_else(|| {
        let why = "This invitation is for somebody else. Sign in as who is invited, or sign out first.";
        AppError::Forbidden(why.into())
    })?;
    join(services, invitation, &workspace, user, false).await
}

async fn join(
    services: &Services,
    invitation: Invitation,
    workspace: &Workspace,
    user: User,
    is_new: bool,
) -> Result<UserId, AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    if !tx.end_invitation(invitation.id, now).await? {
        return Err(ended());
    }
    still_stands(&mut *tx, &invitation, workspace).await?;
    if is_new {
        tx.insert_user(&user).await.map_err(|error| match error {
            // Two invitations of one address, accepted at once.
            StoreError::Exists => ended(),
            other => other.into(),
        })?;
    }
    // Who became a member by single sign-on meanwhile gets what they were invited to, and loses nothing.
    let mine = tx.memberships(user.id).await?;
    let before = mine
        .iter()
        .find(|(own, _)| own.id == workspace.id)
        .map(|(_, role)| *role);
    let role = before.map_or(invitation.role, |before| before.max(invitation.role));
    if before != Some(role) {
        tx.set_membership(workspace.id, user.id, role).await?;
    }
    let event = NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: Actor::Person {
            id: user.id,
            name: user.name,
            email: user.email.clone(),
        },
        happened: Happened::MemberJoined {
            email: user.email,
            role: role.to_string(),
        },
    };
    tx.append_event(&event, now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(user.id)
}

/// An invitation is worth as much as the word of who wrote it: nothing, once they couldn't write it any more.
async fn still_stands(tx: &mut dyn Tx, invitation: &Invitation, workspace: &Workspace) -> Result<(), AppError> {
    if let Some(by) = invitation.invited_by {
        let members = tx.members(workspace.id).await?;
        let may = |member: &Member| member.user.id == by && member.user.active && member.role == Role::Admin;
        if members.iter().any(may) {
            return Ok(());
        }
    }
    Err(AppError::NotFound(format!(
        "Who wrote this invitation doesn't administer {} any more, so it has ended. Ask an administrator for another one.",
        workspace.name
    )))
}

fn ended() -> AppError {
    let why = "This invitation has ended, or was accepted already. Ask an administrator for another one.";
    AppError::NotFound(why.into())
}

/// Enough to see that it is an address; whether it reaches anybody only the link shows.
pub(crate) fn check_email(email: &str) -> Result<(), FieldErrors> {
    let why = match email.split_once('@') {
        _ if email.is_empty() => "Enter an e-mail address.",
        Some((local, host))
            if !local.is_empty()
                && !host.is_empty()
                && email.len() <= 254
                && !host.contains('@')
                && !email
                    .chars()
                    .any(|c| c.is_whitespace() || c.is_control() || "<>\"".contains(c)) =>
        {
            return Ok(());
        }
        _ => "Write an e-mail address, for example ada@example.com.",
    };
    Err(FieldErrors::one("email", why))
}

/// A person's name stands in commits as their author.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("Enter your name.");
    }
    if name.chars().count() > 100 {
        return Err("Use at most 100 characters.");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '<' | '>')) {
        return Err("Leave out < and >: the name stands in commits.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_fit_into_a_commit() {
        for good in ["ada@example.com", "a+b@x", "ä@ö.example"] {
            assert_eq!(check_email(good), Ok(()), "{good}");
        }
        for bad in ["", "ada", "@x", "a@", "a b@x", "a@b@c", "a<b>@x", "a\n@x"] {
            assert!(check_email(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name("Ada Lovelace"), Ok(()));
        for bad in ["", "Ada <ada>", "A\nB", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
