//! A person's own account: the password, and where they are signed in.

use crate::service::{
    access::member,
    context::{Services, check_password},
    reach::Caller,
};
use contract::{
    account::{AccountView, SessionView, SsoView},
    error::AppError,
};
use domain::{event::Happened, field::FieldErrors, id::UserId, promotion::Actor};
use secrecy::SecretString;

/// The caller's account with its sessions; `current` is the one of this request.
///
/// # Errors
/// When the caller is a program.
pub async fn account(services: &Services, caller: &Caller, current: Option<&str>) -> Result<AccountView, AppError> {
    let id = own_account(caller)?;
    let now = services.now();
    let mut tx = services.store.read().await?;
    let user = tx.user(id).await?.ok_or(AppError::SignedOut)?;
    let sessions = tx.sessions_of(id, now).await?;
    let sso = match &services.sso {
        Some(sso) => Some(SsoView {
            name: sso.name.clone(),
            connected: tx.has_identity(id, &sso.issuer).await?,
        }),
        None => None,
    };
    Ok(AccountView {
        has_password: user.has_password(),
        sso,
        name: user.name,
        email: user.email,
        sessions: sessions
            .into_iter()
            .map(|session| SessionView {
                current: current == Some(session.id.as_str()),
                browser: session.user_agent.as_deref().map_or_else(String::new, browser_name),
                address: session.address,
                since: session.created_at,
                seen: session.seen_at,
            })
            .collect(),
        now,
    })
}

/// Changes the caller's password, and ends all sessions but the `current` one.
///
/// # Errors
/// When the caller is a program, the current password is wrong, the new one breaks a rule, or after too many tries.
pub async fn change_password(
    services: &Services,
    caller: &Caller,
    password: SecretString,
    new: SecretString,
    current: Option<&str>,
) -> Result<(), AppError> {
    let id = own_account(caller)?;
    check_password(&new).map_err(|why| FieldErrors::one("new", why))?;
    let user = services
        .store
        .read()
        .await?
        .user(id)
        .await?
        .ok_or(AppError::SignedOut)?;
    if !user.has_password() {
        let why = "Your account has no password here: you sign in through single sign-on. Change it there.";
        return Err(AppError::Conflict(why.into()));
    }
    let counts = services.sign_ins.of_signed_in(&user.email);
    services.sign_ins.begin(&counts, services.now())?;
    let stored = Some(user.password_hash);
    let fits = services.passwords.fits(password, stored).await.inspect_err(|_| {
        // Nothing was tried.
        services.sign_ins.succeeded(&counts);
    })?;
    if !fits {
        let why = "This isn't your password. Enter the one that you signed in with.";
        return Err(FieldErrors::one("current", why).into());
    }
    services.sign_ins.succeeded(&counts);
    let hash = services.passwords.hash(new).await?;
    let mut tx = services.write_through(&caller.entrance).await?;
    tx.set_password(id, &hash).await?;
    tx.delete_sessions_of(id, current).await?;
    for (workspace, _) in &caller.access {
        member::record_member_event(services, &mut *tx, caller, workspace.id, Happened::PasswordChanged).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Ends all of the caller's sessions, this one too.
///
/// # Errors
/// When the caller is a program.
pub async fn sign_out_everywhere(services: &Services, caller: &Caller) -> Result<(), AppError> {
    let id = own_account(caller)?;
    let mut tx = services.write_through(&caller.entrance).await?;
    tx.delete_sessions_of(id, None).await?;
    for (workspace, _) in &caller.access {
        member::record_member_event(services, &mut *tx, caller, workspace.id, Happened::SignedOutEverywhere).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

fn own_account(caller: &Caller) -> Result<UserId, AppError> {
    match caller.actor {
        Actor::Person { id, .. } => Ok(id),
        _ => Err(AppError::Forbidden(
            "A token has no account. Sign in as a person to see and change your own.".into(),
        )),
    }
}

/// What a browser says of itself, as a person would: `Firefox on Linux`.
fn browser_name(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(mark, _)| agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    // Each names itself after those that it is like: what is special comes first.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chromium/", "Chromium"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => agent.chars().filter(|c| !c.is_control()).take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser_name;

    #[test]
    fn browsers_are_named_as_people_do() {
        for (agent, want) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl"),
            ("my-script\u{7}/1", "my-script/1"),
            ("", ""),
        ] {
            assert_eq!(browser_name(agent), want);
        }
    }
}
