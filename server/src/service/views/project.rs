//! The list of projects.

use crate::service::{
    context::Services,
    reach::{self, Caller},
    views::cells,
};
use contract::{error::AppError, project::ProjectView};

/// All projects that the caller may see, by workspace and name.
///
/// # Errors
/// When the database fails.
pub async fn projects(services: &Services, caller: &Caller) -> Result<Vec<ProjectView>, AppError> {
    let mut tx = services.store.read().await?;
    let mut views = Vec::new();
    for (workspace, _) in &caller.access {
        for record in tx.projects(workspace.id).await? {
            let Some(place) = reach::complete_place(&mut *tx, caller, workspace, record).await? else {
                continue;
            };
            // Every page's rail has these numbers: they are not counted anew for each.
            let counts = cells::cells(services, &mut *tx, &place).await?.counts();
            let shown = place.environments.iter().filter(|e| place.shows(e));
            let environments = shown.map(|e| e.name.clone()).collect();
            let project = place.record.project;
            views.push(ProjectView {
                workspace: place.workspace.name,
                environments,
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
