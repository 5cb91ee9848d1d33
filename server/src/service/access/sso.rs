//! Signing in through a provider of OpenID Connect.
//!
//! A person is who the provider's issuer and their subject there say, never an e-mail address alone. Who comes for the first time gets an
//! account of their own. An account that is there already becomes theirs only when they are signed in with it, or when the
//! configuration leaves it to the provider; and the provider must have verified the address in every case, since policies and people
//! know others by it.

use crate::{
    config::Link,
    ports::identity_provider::{AuthorizationRequest, Identity, OidcError},
    service::{
        access::{
            invitation::{check_email, check_name},
            session::{self, normalised_email},
            token::random_key,
        },
        context::{Services, Sso, internal},
        reach::person,
    },
    store::{NewEvent, StoreError, Tx, User},
};
use contract::{
    error::AppError,
    sso::{BEGIN, SsoFault},
};
use domain::{
    door::{Door, Entrance},
    environment::Workspace,
    event::{Happened, Subject},
    id::{UserId, WorkspaceId},
    promotion::Actor,
};
use secrecy::SecretString;

/// How long somebody may take at the provider.
pub const PATIENCE_MILLIS: i64 = 10 * 60 * 1000;

/// Somebody who came back from the provider.
pub struct ProviderCallback<'a> {
    /// What they brought.
    pub code: &'a SecretString,
    /// What they were sent with.
    pub authorization: &'a AuthorizationRequest,
    /// Who is signed in with the browser already.
    pub signed_in: Option<UserId>,
    /// Whether they came to connect that account.
    pub connects: bool,
    /// The network address.
    pub from: &'a str,
}

/// Where to send somebody, and what must come back with them.
///
/// # Errors
/// When single sign-on isn't set up, or the provider can't be reached.
pub async fn begin_sso(services: &Services) -> Result<(String, AuthorizationRequest), SsoFault> {
    let sso = services.sso.as_ref().ok_or(SsoFault::Off)?;
    let key = || random_key().map_err(|_| SsoFault::Internal);
    let authorization = AuthorizationRequest {
        state: key()?,
        nonce: key()?,
        verifier: key()?,
    };
    let address = sso
        .provider
        .ask(&authorization, &sso_back(services), services.now())
        .await;
    Ok((address.map_err(refused)?.into(), authorization))
}

/// Lets somebody in who came back from the provider. Returns who it is.
///
/// # Errors
/// Why they are not signed in.
pub async fn finish_sso(services: &Services, arrival: &ProviderCallback<'_>) -> Result<UserId, SsoFault> {
    let sso = services.sso.as_ref().ok_or(SsoFault::Off)?;
    // Each try asks the provider, so that there mustn't be too many.
    let counts = services.sign_ins.of_sso(arrival.from);
    services
        .sign_ins
        .begin(&counts, services.now())
        .map_err(|_| SsoFault::TooMany)?;
    let (back, now) = (sso_back(services), services.now());
    let identity = sso
        .provider
        .redeem(arrival.code, arrival.authorization, &back, now)
        .await;
    let identity = identity.map_err(refused).inspect_err(|fault| {
        // Nobody failed but the provider: people behind one address must not be shut out for it.
        if matches!(fault, SsoFault::Unreachable) {
            services.sign_ins.succeeded(&counts);
        }
    })?;
    let entrance = Entrance {
        door: Door::Browser,
        address: Some(arrival.from.to_owned()),
    };
    let mut tx = services.write_through(&entrance).await.map_err(stored)?;
    let user = match admit(services, &mut *tx, sso, &identity, arrival).await? {
        Admitted::In(user) => user,
        Admitted::Closed(user) => {
            drop(tx);
            if let Err(error) = session::tell_of_failure(services, user.id, user.email, &entrance).await {
                tracing::error!(%error, "a refused sign-in could not be recorded");
            }
            return Err(SsoFault::Closed);
        }
    };
    tx.delete_expired_sessions(services.now()).await.map_err(stored)?;
    tx.commit().await.map_err(stored)?;
    services.wrote();
    services.sign_ins.succeeded(&counts);
    Ok(user)
}

/// Where people come back to; the provider must know it.
fn sso_back(services: &Services) -> String {
    format!("{}{BEGIN}/callback", services.public_url)
}

/// Finds or makes the account, joins and leaves groups, and tells the ledger.
async fn admit(
    services: &Services,
    tx: &mut dyn Tx,
    sso: &Sso,
    identity: &Identity,
    arrival: &ProviderCallback<'_>,
) -> Result<Admitted, SsoFault> {
    let known = tx
        .user_by_identity(&sso.issuer, &identity.subject)
        .await
        .map_err(stored)?;
    if let Some(user) = known.as_ref().filter(|user| !user.active) {
        return Ok(Admitted::Closed(user.clone()));
    }
    let elsewhere = |user: &User| arrival.connects && arrival.signed_in.is_some_and(|id| id != user.id);
    if known.as_ref().is_some_and(elsewhere) {
        return Err(SsoFault::Other);
    }
    // Where addresses decide who is let in, they do so each time.
    let email = match (&known, sso.email_domains.is_empty()) {
        (Some(_), true) => None,
        _ => Some(verified_email(sso, identity)?),
    };
    let workspace = tx.workspace_by_name(sso.workspace.as_str()).await.map_err(stored)?;
    let user = match (known, email) {
        (Some(user), _) => user,
        // An unknown person without an address was refused above.
        (None, None) => return Err(SsoFault::NoEmail),
        (None, Some(email)) => {
            let workspace = workspace.as_ref().ok_or(SsoFault::Workspace)?;
            let user = match tx.user_by_email(&email).await.map_err(stored)? {
                Some(user) if !user.active => return Ok(Admitted::Closed(user)),
                Some(user) => {
                    let user = connected(sso, user, arrival)?;
                    if arrival.signed_in != Some(user.id) {
                        take_over(services, tx, &user).await?;
                    }
                    user
                }
                None if arrival.connects && arrival.signed_in.is_some() => return Err(SsoFault::Other),
                None => new_account(services, tx, identity, email).await?,
            };
            tx.insert_identity(user.id, &sso.issuer, &identity.subject, services.now())
                .await
                .map_err(|error| match error {
                    // The account is already somebody else's at the same provider.
                    StoreError::Exists => SsoFault::Taken,
                    other => stored(other),
                })?;
            let_in(services, tx, sso, &user, workspace).await?;
            user
        }
    };
    let memberships = tx.memberships(user.id).await.map_err(stored)?;
    if let Some(workspace) = workspace.filter(|ours| memberships.iter().any(|(its, _)| its.id == ours.id)) {
        follow_groups(services, tx, &user, workspace.id, &identity.groups).await?;
    }
    for (workspace, _) in memberships {
        let through = Some(sso.name.clone());
        say(
            services,
            tx,
            workspace.id,
            person(&user),
            Happened::SignedIn { through },
        )
        .await?;
    }
    Ok(Admitted::In(user.id))
}

/// Closes the ways into an account that the provider alone gave to somebody: whoever made it first may not have been its owner.
async fn take_over(services: &Services, tx: &mut dyn Tx, user: &User) -> Result<(), SsoFault> {
    tx.delete_sessions_of(user.id, None).await.map_err(stored)?;
    if !user.has_password() {
        return Ok(());
    }
    tx.set_password(user.id, "").await.map_err(stored)?;
    for (workspace, _) in tx.memberships(user.id).await.map_err(stored)? {
        say(services, tx, workspace.id, person(user), Happened::PasswordRemoved).await?;
    }
    Ok(())
}

async fn new_account(
    services: &Services,
    tx: &mut dyn Tx,
    identity: &Identity,
    email: String,
) -> Result<User, SsoFault> {
    let name = identity.name.as_deref().map(str::trim);
    // What doesn't fit into a commit is no name here.
    let name = name.filter(|name| check_name(name).is_ok());
    let name = name.or_else(|| email.split('@').next()).unwrap_or(&email);
    let user = User {
        id: UserId(services.ids.next()),
        name: name.to_owned(),
        email,
        password_hash: String::new(),
        active: true,
        created_at: services.now(),
    };
    tx.insert_user(&user).await.map_err(stored)?;
    Ok(user)
}

/// Makes somebody who came for the first time a member, unless they are.
async fn let_in(
    services: &Services,
    tx: &mut dyn Tx,
    sso: &Sso,
    user: &User,
    workspace: &Workspace,
) -> Result<(), SsoFault> {
    let theirs = tx.memberships(user.id).await.map_err(stored)?;
    if theirs.iter().any(|(its, _)| its.id == workspace.id) {
        return Ok(());
    }
    tx.set_membership(workspace.id, user.id, sso.role)
        .await
        .map_err(stored)?;
    let joined = Happened::MemberJoined {
        email: user.email.clone(),
        role: sso.role.to_string(),
    };
    say(services, tx, workspace.id, person(user), joined).await
}

/// Joins the groups that the provider names, and leaves those that it named before and doesn't any more. What a person gave stays.
async fn follow_groups(
    services: &Services,
    tx: &mut dyn Tx,
    user: &User,
    workspace: WorkspaceId,
    named: &[String],
) -> Result<(), SsoFault> {
    let before = tx.groups_through_sso(workspace, user.id).await.map_err(stored)?;
    for group in tx.groups(workspace).await.map_err(stored)? {
        let is_named = named.iter().any(|name| name == group.name.as_str());
        let (email, name) = (user.email.clone(), group.name.to_string());
        if is_named {
            if tx.join_group_through_sso(group.id, user.id).await.map_err(stored)? {
                let joined = Happened::GroupJoined { group: name, email };
                say(services, tx, workspace, Actor::Waybill, joined).await?;
            }
        } else if before.contains(&group.id) {
            tx.leave_group(group.id, user.id).await.map_err(stored)?;
            let left = Happened::GroupLeft { group: name, email };
            say(services, tx, workspace, Actor::Waybill, left).await?;
        }
    }
    Ok(())
}

async fn say(
    services: &Services,
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    actor: Actor,
    happened: Happened,
) -> Result<(), SsoFault> {
    let event = NewEvent {
        workspace,
        subject: Subject::default(),
        actor,
        happened,
    };
    tx.append_event(&event, services.now()).await.map_err(stored)?;
    Ok(())
}

/// What came of it, as far as the database goes.
enum Admitted {
    In(UserId),
    Closed(User),
}

/// The account that has the verified address, when it may become that of who came.
fn connected(sso: &Sso, user: User, arrival: &ProviderCallback<'_>) -> Result<User, SsoFault> {
    if arrival.signed_in == Some(user.id) || sso.link == Link::ByVerifiedEmail {
        return Ok(user);
    }
    Err(match arrival.connects && arrival.signed_in.is_some() {
        true => SsoFault::Other,
        false if user.has_password() => SsoFault::Known,
        false => SsoFault::Taken,
    })
}

/// The address, when the provider has verified it and it is let in.
fn verified_email(sso: &Sso, identity: &Identity) -> Result<String, SsoFault> {
    let email = normalised_email(identity.email.as_deref().ok_or(SsoFault::NoEmail)?);
    check_email(&email).map_err(|_| SsoFault::NoEmail)?;
    if !identity.email_verified {
        return Err(SsoFault::Unverified);
    }
    if !sso.lets_in(&email) {
        return Err(SsoFault::Domain);
    }
    Ok(email)
}

/// What a person is told of what the log tells.
fn refused(error: OidcError) -> SsoFault {
    tracing::warn!(%error, "a sign-in through single sign-on came to nothing");
    match error {
        OidcError::Unreachable { .. } => SsoFault::Unreachable,
        OidcError::Code => SsoFault::Stale,
        OidcError::Untrusted(_) => SsoFault::Untrusted,
        OidcError::Clock(_) => SsoFault::Clock,
    }
}

fn stored(error: StoreError) -> SsoFault {
    let _: AppError = internal(&error);
    SsoFault::Internal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::identity_provider::IdentityProvider;
    use domain::rights::Role;
    use std::{sync::Arc, time::Duration};

    struct Nobody;

    #[async_trait::async_trait]
    impl IdentityProvider for Nobody {
        async fn ask(
            &self,
            _: &AuthorizationRequest,
            _: &str,
            _: domain::time::Timestamp,
        ) -> Result<reqwest::Url, OidcError> {
            Err(OidcError::Code)
        }

        async fn redeem(
            &self,
            _: &SecretString,
            _: &AuthorizationRequest,
            _: &str,
            _: domain::time::Timestamp,
        ) -> Result<Identity, OidcError> {
            Err(OidcError::Code)
        }
    }

    fn sso(domains: &[&str]) -> Sso {
        Sso {
            issuer: "https://login.example.com".into(),
            name: "Example".into(),
            workspace: "demo".parse().unwrap(),
            role: Role::Viewer,
            email_domains: domains.iter().map(|one| (*one).to_owned()).collect(),
            link: Link::WhenSignedIn,
            session: Duration::from_secs(1),
            provider: Arc::new(Nobody),
        }
    }

    fn of(email: Option<&str>, email_verified: bool) -> Identity {
        Identity {
            subject: "7".into(),
            email: email.map(str::to_owned),
            email_verified,
            name: None,
            groups: Vec::new(),
        }
    }

    #[test]
    fn an_address_counts_when_it_is_verified_and_let_in() {
        let (all, some) = (sso(&[]), sso(&["example.com", "example.org"]));
        let ada = of(Some("Ada@Example.com"), true);
        assert_eq!(verified_email(&all, &ada).as_deref(), Ok("ada@example.com"));
        assert_eq!(verified_email(&some, &ada).as_deref(), Ok("ada@example.com"));
        for (identity, fault) in [
            (of(None, true), SsoFault::NoEmail),
            (of(Some("ada"), true), SsoFault::NoEmail),
            (of(Some("ada@example.com"), false), SsoFault::Unverified),
            (of(Some("ada@example.net"), true), SsoFault::Domain),
            (of(Some("ada@sub.example.com"), true), SsoFault::Domain),
            (of(Some("ada@example.com.evil.example"), true), SsoFault::Domain),
        ] {
            assert_eq!(verified_email(&some, &identity), Err(fault), "{identity:?}");
        }
    }
}
