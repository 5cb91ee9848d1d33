//! The board: resources × environments of a project.

#[cfg(feature = "ssr")]
use crate::backend::{answer, backend};

pub use contract::board::*;

use contract::{board_filter::BoardFilter, error::AppError};
use leptos::prelude::*;

/// What runs where in a project.
///
/// # Errors
/// When there is no such project for the actor.
#[server(prefix = "/api/ui", endpoint = "board")]
pub async fn board(
    workspace: String,
    project: String,
    #[server(default)] filter: BoardFilter,
) -> Result<BoardView, AppError> {
    answer(backend()?.board(&workspace, &project, &filter).await)
}
