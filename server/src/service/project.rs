//! The list of projects.

use super::{Caller, Services};
use app::{api::project::ProjectView, error::AppError};

impl Services {
    /// All projects of the caller's workspaces, by workspace and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(&self, caller: &Caller) -> Result<Vec<ProjectView>, AppError> {
        let mut tx = self.store.read().await?;
        let mut views = Vec::new();
        for (workspace, role) in &caller.access {
            for record in tx.projects(workspace.id).await? {
                let place = self.complete(&mut *tx, workspace.clone(), *role, record).await?;
                // Every page's rail has these numbers: they are not counted anew for each.
                let counts = self.cells(&mut *tx, &place).await?.counts();
                let project = place.record.project;
                views.push(ProjectView {
                    workspace: place.workspace.name,
                    environments: place.environments.into_iter().map(|e| e.name).collect(),
                    resources: counts.resources,
                    moving: counts.moving,
                    failed: counts.failed,
                    name: project.name,
                    repository_url: project.repository_url,
                    branch: project.branch,
                });
            }
        }
        Ok(views)
    }
}
