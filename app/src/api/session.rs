//! Who is signed in.

use crate::error::AppError;
use domain::{name::Name, rights::Role};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The person who is signed in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Me {
    /// Name to show.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Workspaces, with the role in each.
    pub workspaces: Vec<(Name, Role)>,
}

/// What the sign-in form posts.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignInDraft {
    /// E-mail address.
    pub email: String,
    /// Password; never given back.
    #[serde(skip_serializing)]
    pub password: String,
}

impl std::fmt::Debug for SignInDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInDraft")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// Who is signed in; `None` when nobody is.
///
/// # Errors
/// When the server can't tell.
#[server(name = ReadMe, prefix = "/api/ui", endpoint = "me")]
pub async fn me() -> Result<Option<Me>, AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.me().await)
}

/// Begins a session.
///
/// # Errors
/// When the address or password is wrong, or after too many tries.
#[server(prefix = "/api/ui", endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String) -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.sign_in(&email, &password).await)
}

/// Ends the session.
///
/// # Errors
/// When the server can't.
#[server(prefix = "/api/ui", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    use crate::backend::{answer, backend};
    answer(backend()?.sign_out().await)
}
