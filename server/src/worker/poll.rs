//! Looks at Git and registries now and then, for what nobody told.

use crate::service::{Services, observe};
use contract::error::AppError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keeps what Git says up to date: looks at every project's repository, and sooner when connections change.
pub async fn git(services: Services, interval: Duration, stop: CancellationToken) {
    let mut connections = services.wake.connections.subscribe();
    loop {
        // Nobody waits for the end of a round: transactions are rolled back, and Git is ended.
        tokio::select! {
            () = stop.cancelled() => return,
            () = look_at_git(&services) => {}
        }
        if rest(&mut connections, interval, &stop).await {
            return;
        }
    }
}

/// Looks at every image repository's tags, and sooner when connections change.
pub async fn registries(services: Services, interval: Duration, stop: CancellationToken) {
    let mut connections = services.wake.connections.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = observe::poll_registries(&services) => {}
        }
        if rest(&mut connections, interval, &stop).await {
            return;
        }
    }
}

/// One round.
async fn look_at_git(services: &Services) {
    match projects(services).await {
        Ok(projects) => {
            for project in projects {
                if let Err(error) = observe::read_desired(services, project).await
                    && !matches!(error, AppError::Unavailable(_))
                {
                    tracing::warn!(%project, %error, "a repository could not be read");
                }
            }
        }
        Err(error) if error.trouble().is_some() => {}
        Err(error) => tracing::error!(%error, "the projects could not be read"),
    }
}

/// Waits; true when it is time to stop.
async fn rest(
    connections: &mut tokio::sync::watch::Receiver<u64>,
    interval: Duration,
    stop: &CancellationToken,
) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        changed = connections.changed() => changed.is_err(),
        () = tokio::time::sleep(interval) => false,
    }
}

async fn projects(services: &Services) -> Result<Vec<domain::id::ProjectId>, crate::store::StoreError> {
    let mut tx = services.store.read().await?;
    let mut projects = Vec::new();
    for workspace in tx.workspaces().await? {
        projects.extend(
            tx.projects(workspace.id)
                .await?
                .into_iter()
                .map(|record| record.project.id),
        );
    }
    Ok(projects)
}
