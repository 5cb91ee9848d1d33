//! API tokens of a workspace.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};
use contract::error::AppError;

pub use contract::token::*;

use leptos::prelude::*;

/// The tokens of a workspace.
///
/// # Errors
/// When the actor doesn't administer the workspace.
#[server(name = ReadTokens, prefix = "/api/ui", endpoint = "tokens")]
pub async fn tokens(workspace: String) -> Result<TokensView, AppError> {
    answer(backend()?.tokens(&workspace).await)
}

/// Makes a token.
///
/// # Errors
/// When the actor doesn't administer the workspace; all that is wrong with the draft, by field.
#[server(prefix = "/api/ui", endpoint = "create_token")]
pub async fn create_token(workspace: String, draft: TokenDraft) -> Result<TokenMade, AppError> {
    answer(backend()?.create_token(&workspace, draft).await)
}

/// Withdraws a token.
///
/// # Errors
/// When the actor doesn't administer the workspace, or there is no such token.
#[server(prefix = "/api/ui", endpoint = "revoke_token")]
pub async fn revoke_token(workspace: String, token: String) -> Result<(), AppError> {
    answer(backend()?.revoke_token(&workspace, &token).await)
}
