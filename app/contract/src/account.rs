//! A person's own account.

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The account of who looks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountView {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// Whether the account has a password here.
    pub has_password: bool,
    /// Single sign-on, where there is any.
    pub sso: Option<SsoView>,
    /// Where they are signed in, what was used last first.
    pub sessions: Vec<SessionView>,
    /// When it was read.
    pub now: Timestamp,
}

/// Whether one may sign in elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SsoView {
    /// What people call it.
    pub name: String,
    /// Whether this account is known there.
    pub connected: bool,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionView {
    /// Whether it is the one that looks.
    pub current: bool,
    /// The browser, as people call it: `Firefox on Linux`; empty when it didn't say.
    pub browser: String,
    /// The network address that it began at.
    pub address: Option<String>,
    /// When it began.
    pub since: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub seen: Option<Timestamp>,
}
