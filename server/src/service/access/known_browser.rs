//! Browsers from which an account was signed in before. Each has a cookie that says so, so that its tries are counted apart from those
//! of everybody else who guesses at the account (`sign_in_limit.rs`); it is worth nothing else, and lets nobody in.
//!
//! The cookie holds an entry for each of the last few accounts: a number and a time, sealed with the server's key for the account's
//! e-mail address. So only the server makes entries, they name nobody, and which account one is of is seen when somebody signs in to it.

use crate::service::context::{Services, internal};
use contract::error::AppError;
use domain::id::UserId;
use secrecy::{ExposeSecret as _, SecretString};

/// The cookie's name; over TLS `__Host-` stands before it.
pub const COOKIE: &str = "waybill_browser";
/// Days that a browser is known after the last sign-in.
pub const DAYS: i64 = 365;
/// Accounts that a browser is known by.
const MOST_ACCOUNTS: usize = 4;
/// Stands between entries: no letter of one.
const BETWEEN: char = '.';
const MILLIS_A_DAY: i64 = 86_400_000;

/// The number of a browser from which this account was signed in before, as its cookie shows; `None` of any other. It doesn't
/// matter whether there is such an account.
pub(crate) fn known_browser(services: &Services, cookie: &str, email: &str) -> Option<String> {
    let now = services.now();
    entries(cookie).find_map(|entry| {
        let opened = services.sealer.open(&context(email), entry).ok()?;
        let (number, at) = opened.expose_secret().split_once(' ')?;
        let at = domain::time::Timestamp(at.parse().ok()?);
        (now.millis_since(at) < DAYS * MILLIS_A_DAY).then(|| number.to_owned())
    })
}

/// The cookie of a browser that somebody was just signed in from: what it held of other accounts, and this one.
///
/// # Errors
/// When the database fails, or the system gives no random numbers.
pub async fn remember_browser(services: &Services, cookie: &str, user: UserId) -> Result<String, AppError> {
    let user = services
        .store
        .read()
        .await?
        .user(user)
        .await?
        .ok_or(AppError::SignedOut)?;
    let context = context(&user.email);
    let number =
        known_browser(services, cookie, &user.email).unwrap_or_else(|| services.ids.next().simple().to_string());
    let text = SecretString::from(format!("{number} {}", services.now().0));
    let mut kept = vec![services.sealer.seal(&context, &text).map_err(|e| internal(&e))?];
    let others = entries(cookie).filter(|entry| services.sealer.open(&context, entry).is_err());
    kept.extend(others.take(MOST_ACCOUNTS - 1).map(str::to_owned));
    Ok(kept.join(&BETWEEN.to_string()))
}

/// The entries of a cookie, which may be anything; few are looked at.
fn entries(cookie: &str) -> impl Iterator<Item = &str> {
    cookie
        .split(BETWEEN)
        .filter(|entry| !entry.is_empty() && entry.len() < 500)
        .take(MOST_ACCOUNTS)
}

/// What an entry is sealed for.
fn context(email: &str) -> String {
    format!("browser/{email}")
}
