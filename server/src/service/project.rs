//! The list of projects.

use super::{Caller, Services};
use app::{api::project::ProjectView, error::AppError};
use domain::promotion::State;

impl Services {
    /// All projects of the caller's workspaces, by workspace and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(&self, caller: &Caller) -> Result<Vec<ProjectView>, AppError> {
        let mut tx = self.store.read().await?;
        let mut views = Vec::new();
        for (workspace, _) in &caller.access {
            for record in tx.projects(workspace.id).await? {
                let id = record.project.id;
                let newest = tx.newest_promotions(id).await?;
                let count = |test: fn(State) -> bool| {
                    u32::try_from(newest.iter().filter(|p| test(p.state)).count()).unwrap_or(u32::MAX)
                };
                views.push(ProjectView {
                    workspace: workspace.name.clone(),
                    environments: tx.environments(id).await?.into_iter().map(|e| e.name).collect(),
                    resources: u32::try_from(tx.resources(id).await?.len()).unwrap_or(u32::MAX),
                    moving: count(|state| !state.is_ended()),
                    failed: count(|state| state == State::Failed),
                    name: record.project.name,
                    repository_url: record.project.repository_url,
                    branch: record.project.branch,
                });
            }
        }
        Ok(views)
    }
}
