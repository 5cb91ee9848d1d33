//! Signing in with a local account, and the first account.

use crate::{
    service::{
        access::{known_browser, member::join_as_administrator},
        context::Services,
        reach::{Caller, person},
    },
    store::{NewEvent, User},
};
use contract::{error::AppError, session::Me};
use domain::{
    door::{Door, Entrance},
    event::{Happened, Subject},
    field::FieldErrors,
    id::UserId,
    promotion::Actor,
};
use secrecy::{ExposeSecret as _, SecretString};

/// An e-mail address as it is stored and compared.
#[must_use]
pub fn normalised_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Bytes of an e-mail address, at most: RFC 5321 allows no more.
const LONGEST_EMAIL: usize = 254;

/// Checks address and password; `from` is the network address, `browser` the cookie of browsers that are known (see
/// [`super::known_browser`]) or empty. Returns who it is.
///
/// # Errors
/// When they are wrong (which of them isn't said), or after too many tries.
pub async fn sign_in(
    services: &Services,
    email: &str,
    password: SecretString,
    from: &str,
    browser: &str,
) -> Result<UserId, AppError> {
    let email = normalised_email(email);
    let mut missing = FieldErrors::default();
    if email.is_empty() {
        missing.add("email", "Enter your e-mail address.");
    } else if email.len() > LONGEST_EMAIL {
        missing.add("email", "This is no e-mail address: it is too long.");
    }
    if password.expose_secret().is_empty() {
        missing.add("password", "Enter your password.");
    }
    missing.into_result()?;

    let now = services.now();
    let browser = known_browser::known_browser(services, browser, &email);
    let counts = services.sign_ins.of_password(&email, from, browser.as_deref());
    services.sign_ins.begin(&counts, now)?;
    let user = async { services.store.read().await?.user_by_email(&email).await };
    let user = user.await.inspect_err(|_| {
        // Nothing was tried.
        services.sign_ins.succeeded(&counts);
    })?;
    // An unknown address, or an account that has no password, costs as long as a wrong one, so that the answer's time says nothing.
    let known = user.as_ref().filter(|user| user.has_password());
    let hash = known.map(|user| user.password_hash.clone());
    let fits = services.passwords.fits(password, hash).await.inspect_err(|_| {
        // Nothing was tried.
        services.sign_ins.succeeded(&counts);
    })?;
    let entrance = Entrance {
        door: Door::Browser,
        address: Some(from.to_owned()),
    };
    let known = user.as_ref().map(|user| user.id);
    let Some(user) = user.filter(|user| fits && user.active) else {
        tracing::warn!(address = %from, "a sign-in failed");
        if let Some(id) = known {
            // Beside the answer, whose time says nothing of whether there is such an account.
            let services = services.clone();
            tokio::spawn(async move {
                if let Err(error) = tell_of_failure(&services, id, email, &entrance).await {
                    tracing::error!(%error, "a failed sign-in could not be recorded");
                }
            });
        }
        return Err(FieldErrors::one("password", "The e-mail address or the password is wrong.").into());
    };
    services.sign_ins.succeeded(&counts);
    let actor = person(&user);
    let mut tx = services.write_through(&entrance).await?;
    // While it was checked, the password may have been changed, or the account closed.
    let is_same = |now: &User| now.active && now.password_hash == user.password_hash;
    if !tx.user(user.id).await?.as_ref().is_some_and(is_same) {
        return Err(FieldErrors::one("password", "The e-mail address or the password is wrong.").into());
    }
    for (workspace, _) in tx.memberships(user.id).await? {
        let happened = Happened::SignedIn { through: None };
        let event = NewEvent {
            workspace: workspace.id,
            subject: Subject::default(),
            actor: actor.clone(),
            happened,
        };
        tx.append_event(&event, now).await?;
    }
    tx.delete_expired_sessions(now).await?;
    tx.commit().await?;
    Ok(user.id)
}

/// Writes into the ledgers of a person's workspaces that somebody tried to sign in as them.
pub(crate) async fn tell_of_failure(
    services: &Services,
    id: UserId,
    email: String,
    entrance: &Entrance,
) -> Result<(), AppError> {
    let now = services.now();
    let mut tx = services.write_through(entrance).await?;
    for (workspace, _) in tx.memberships(id).await? {
        let event = NewEvent {
            workspace: workspace.id,
            subject: Subject::default(),
            actor: Actor::Waybill,
            happened: Happened::SignInFailed { email: email.clone() },
        };
        tx.append_event(&event, now).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// The caller behind a signed-in session; `None` when the account is gone or may no longer sign in.
///
/// # Errors
/// When the database fails.
pub async fn caller_of_user(services: &Services, id: UserId) -> Result<Option<Caller>, AppError> {
    let mut tx = services.store.read().await?;
    let Some(user) = tx.user(id).await?.filter(|user| user.active) else {
        return Ok(None);
    };
    Ok(Some(Caller::of(&mut *tx, &user).await?))
}

/// Makes the first account when there is none: an administrator of every workspace there is and of those made
/// later by applying configuration as this person. Without a password one is made up and returned, to be shown once.
///
/// # Errors
/// When the database fails.
pub async fn first_administrator(
    services: &Services,
    email: Option<&str>,
    password: Option<&SecretString>,
) -> Result<Option<(String, SecretString)>, AppError> {
    if services.store.read().await?.count_users().await? > 0 {
        return Ok(None);
    }
    let email = normalised_email(email.unwrap_or("admin@waybill.local"));
    let made_up = password.is_none().then(|| SecretString::from(random_text(24)));
    let password = password.or(made_up.as_ref()).cloned().unwrap_or_default();
    let hash = services.passwords.hash(password).await?;
    let name = email.split('@').next().unwrap_or("admin").to_owned();
    let user = User {
        id: UserId(services.ids.next()),
        email: email.clone(),
        name,
        password_hash: hash,
        active: true,
        created_at: services.now(),
    };
    let mut tx = services.store.write().await?;
    // Another server may start for the first time too.
    if tx.count_users().await? > 0 {
        return Ok(None);
    }
    tx.insert_user(&user).await?;
    for workspace in tx.workspaces().await? {
        join_as_administrator(&mut *tx, &workspace, &user, services.now()).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(made_up.map(|password| (email, password)))
}

/// What pages show of a caller.
#[must_use]
pub fn me(caller: &Caller) -> Me {
    let email = match &caller.actor {
        Actor::Person { email, .. } => email.clone(),
        _ => String::new(),
    };
    let workspaces = caller
        .access
        .iter()
        .map(|(workspace, role)| (workspace.name.clone(), *role))
        .collect();
    Me {
        name: caller.actor.name().to_owned(),
        email,
        workspaces,
    }
}

/// Letters and digits from the operating system's random numbers, without those that look alike.
fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0_u8; length];
    // Without random numbers from the system nothing here is safe; it fails only where the system lacks them altogether.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gave no random numbers");
        std::process::abort();
    }
    bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()]))
        .collect()
}
