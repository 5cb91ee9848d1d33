//! A person's own account: the password, and where they are signed in.

use super::{Caller, Services, password::check_password};
use app::{
    api::account::{AccountView, SessionView, SsoView},
    error::AppError,
};
use domain::{event::Happened, field::FieldErrors, id::UserId, promotion::Actor};
use secrecy::SecretString;

impl Services {
    /// The caller's account with its sessions; `current` is the one of this request.
    ///
    /// # Errors
    /// When the caller is a program.
    pub async fn account(&self, caller: &Caller, current: Option<&str>) -> Result<AccountView, AppError> {
        let id = own_account(caller)?;
        let now = self.now();
        let mut tx = self.store.read().await?;
        let user = tx.user(id).await?.ok_or(AppError::SignedOut)?;
        let sessions = tx.sessions_of(id, now).await?;
        let sso = match &self.sso {
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
        &self,
        caller: &Caller,
        password: SecretString,
        new: SecretString,
        current: Option<&str>,
    ) -> Result<(), AppError> {
        let id = own_account(caller)?;
        check_password(&new).map_err(|why| FieldErrors::one("new", why))?;
        let user = self.store.read().await?.user(id).await?.ok_or(AppError::SignedOut)?;
        if !user.has_password() {
            let why = "Your account has no password here: you sign in through single sign-on. Change it there.";
            return Err(AppError::Conflict(why.into()));
        }
        let counts = self.sign_ins.of_signed_in(&user.email);
        self.sign_ins.begin(&counts, self.now())?;
        let stored = Some(user.password_hash);
        let fits = self.passwords.fits(password, stored).await.inspect_err(|_| {
            // Nothing was tried.
            self.sign_ins.succeeded(&counts);
        })?;
        if !fits {
            let why = "This isn't your password. Enter the one that you signed in with.";
            return Err(FieldErrors::one("current", why).into());
        }
        self.sign_ins.succeeded(&counts);
        let hash = self.passwords.hash(new).await?;
        let mut tx = self.write_as(caller).await?;
        tx.set_password(id, &hash).await?;
        tx.delete_sessions_of(id, current).await?;
        for (workspace, _) in &caller.access {
            self.tell(&mut *tx, caller, workspace.id, Happened::PasswordChanged)
                .await?;
        }
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// Ends all of the caller's sessions, this one too.
    ///
    /// # Errors
    /// When the caller is a program.
    pub async fn sign_out_everywhere(&self, caller: &Caller) -> Result<(), AppError> {
        let id = own_account(caller)?;
        let mut tx = self.write_as(caller).await?;
        tx.delete_sessions_of(id, None).await?;
        for (workspace, _) in &caller.access {
            self.tell(&mut *tx, caller, workspace.id, Happened::SignedOutEverywhere)
                .await?;
        }
        tx.commit().await?;
        self.wrote();
        Ok(())
    }
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
