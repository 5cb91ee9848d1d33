//! The cookie of browsers from which somebody signed in before; what it means is said in `service/access/known_browser.rs`.

use crate::service::access::{COOKIE, DAYS};
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use std::sync::{Arc, Mutex, PoisonError};

const SECONDS_A_DAY: i64 = 86_400;

/// Over TLS browsers take it from this host alone, and from nowhere below or beside it.
fn name(secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}{COOKIE}")
}

/// What a browser sent of it; empty when it sent none.
pub(super) fn read(headers: &HeaderMap, secure: bool) -> String {
    let name = name(secure);
    let lines = headers.get_all(header::COOKIE).iter();
    let mut values = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(&name)?.strip_prefix('='));
    values.next().unwrap_or_default().to_owned()
}

/// What the cookie becomes, found out while a response is made.
#[derive(Clone, Debug, Default)]
pub(super) struct NewCookie(Arc<Mutex<Option<HeaderValue>>>);

impl NewCookie {
    /// Gives it this value.
    pub(super) fn set(&self, value: &str, secure: bool) {
        let over_tls = if secure { "; Secure" } else { "" };
        let age = DAYS * SECONDS_A_DAY;
        let cookie = format!(
            "{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{over_tls}",
            name(secure)
        );
        // Sealed values have no letter that a header could not hold.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = HeaderValue::from_str(&cookie).ok();
    }

    /// Adds it to a response, when there is something to add.
    pub(super) fn give(&self, response: &mut Response) {
        let cookie = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(cookie) = cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
