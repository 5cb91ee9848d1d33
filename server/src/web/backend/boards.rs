//! What runs where, what happened, and what waits for the actor.

use super::{RequestBackend, forward};
use crate::service::views;
use contract::{
    activity::{ActivityFilter, ActivityView},
    backend::{At, Boards},
    board::BoardView,
    board_filter::BoardFilter,
    environment::EnvironmentView,
    error::AppError,
    inbox::InboxView,
    project::ProjectView,
};

forward! {
    Boards;
    fn projects() -> Vec<ProjectView> = views::projects;
    fn activity(workspace: &str, filter: &ActivityFilter) -> ActivityView = views::activity;
    fn board(workspace: &str, project: &str, filter: &BoardFilter) -> BoardView = views::board;
    fn environment(at: &At) -> EnvironmentView = views::environment;
    fn inbox(before: &str) -> InboxView = views::inbox;
    ;

    async fn inbox_count(&self) -> Result<usize, AppError> {
        match self.caller() {
            Ok(caller) => views::inbox_count(&self.services, caller).await,
            Err(_) => Ok(0),
        }
    }
}
