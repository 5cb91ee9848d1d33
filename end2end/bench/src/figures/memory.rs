//! Resident memory: of a server with nothing in it, and of one that knows much and has shown all of it.

use super::estate::{Estate, Size, project};
use crate::{Outcome, report::Report, scale::Scale, world::Ground};
use std::time::Duration;

/// Resources of a project; there are 5 environments.
const SERVICES: usize = 200;

/// Measures `rss_idle` and `rss_10k`.
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let settle = Duration::from_secs(3);
    let mut idle = ground.server("idle").await?;
    // Started again: the first start also hashes a password.
    idle.stop().await;
    idle.start().await?;
    tokio::time::sleep(settle).await;
    report.value("rss_idle", idle.resident()?);
    idle.stop().await;

    let (resources, promotions) = scale.memory;
    let size = Size {
        projects: resources / SERVICES / 5,
        services: SERVICES,
        promotions,
        argocd: false,
    };
    let estate = Estate::start(ground, "memory", size).await?;
    let paths = (0..size.projects).map(|p| format!("/w/bench/{}", project(p)));
    for path in std::iter::once("/".to_owned()).chain(paths) {
        let request = estate.server.get(&path).header("accept-encoding", "gzip, br");
        request.send().await?.error_for_status()?.bytes().await?;
    }
    tokio::time::sleep(settle).await;
    report.value("rss_10k", estate.server.resident()?);
    Ok(())
}
