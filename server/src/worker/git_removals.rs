//! Removes the blocks of deleted resources from Git, where a person chose so: a commit each, tried again while Git can't be reached.
//!
//! It looks at the table, under a lease: after a kill the same commit is found again by its trailer, or made then. What came of it stands in
//! the ledger.

use crate::{
    adapters::git::{BlockRemoval, Committed, GitError},
    service::{
        Services,
        git_removal::{path_of, told},
    },
    store::GitRemoval,
    telemetry,
    worker::steps::{author, waybill},
};
use app::error::AppError;
use domain::event::Happened;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked without being told.
const LOOK: Duration = Duration::from_secs(5);
/// A try that takes longer hangs, and is made again.
const LONGEST: Duration = Duration::from_secs(50);
/// How long a lease lasts: longer than a try.
const LEASE_MILLIS: i64 = 60_000;
/// Passing failures before it is given up: with the pauses below about ten minutes.
const MOST_ATTEMPTS: u32 = 24;
/// Longest pause between tries.
const LONGEST_PAUSE_MILLIS: i64 = 30_000;

/// Looks until told to stop. `owner` names this life of the server.
pub async fn run(services: Services, owner: String, stop: CancellationToken) {
    loop {
        loop {
            match next(&services, &owner).await {
                Ok(true) if !stop.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "removals from Git could not be looked at");
                    break;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = services.wake.removals.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Carries out what is due longest; `false` when nothing is.
///
/// # Errors
/// When the database fails.
pub async fn next(services: &Services, owner: &str) -> Result<bool, AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    let claimed = tx
        .claim_git_removals(owner, now, now.plus_millis(LEASE_MILLIS), 1)
        .await?;
    let Some(removal) = claimed.into_iter().next() else {
        return Ok(false);
    };
    tx.commit().await?;
    let done = tokio::time::timeout(LONGEST, carry_out(services, &removal)).await;
    let done = done.unwrap_or_else(|_| Ok(Outcome::Again(format!("Git hung for {} seconds.", LONGEST.as_secs()))));
    let outcome = done.unwrap_or_else(|error| Outcome::Again(error.to_string()));
    record(services, owner, removal, outcome).await?;
    Ok(true)
}

/// What came of a try.
enum Outcome {
    /// The file declares them no more; the commit that did it.
    Done(Option<String>),
    /// It may work later.
    Again(String),
    /// It won't.
    Failed(String),
}

async fn carry_out(services: &Services, removal: &GitRemoval) -> Result<Outcome, AppError> {
    let record = services.store.read().await?.project(removal.project).await?;
    let Some(record) = record else {
        return Ok(Outcome::Failed("The project was deleted. Remove them in Git.".into()));
    };
    let access = services.repository_access(&record)?;
    let blocks = BlockRemoval {
        id: removal.id,
        path: path_of(removal, &record.project.path_template),
        prefix: record.project.values_prefix.clone(),
        services: removal.services.clone(),
        subject: format!("remove({}): {}", removal.environment_name, removal.services.join(", ")),
        author: author(&removal.requested_by),
        committer: waybill(),
        at: removal.created_at.0.div_euclid(1000),
    };
    Ok(match services.git.remove_blocks(&access, &blocks).await {
        Ok(Committed::Pushed { commit, .. } | Committed::Found { commit }) => Outcome::Done(Some(commit)),
        Ok(Committed::Unchanged { .. } | Committed::Absent) => Outcome::Done(None),
        Err(error @ GitError::Values { .. }) => Outcome::Failed(format!("{error} Remove them in Git.")),
        Err(error) if error.is_passing() => Outcome::Again(error.to_string()),
        Err(error) => Outcome::Failed(format!("{error} Or remove them in Git.")),
    })
}

async fn record(services: &Services, owner: &str, mut removal: GitRemoval, outcome: Outcome) -> Result<(), AppError> {
    let now = services.now();
    let outcome = match outcome {
        Outcome::Again(why) if removal.attempts + 1 >= MOST_ATTEMPTS => {
            Outcome::Failed(format!("{why} Remove them in Git."))
        }
        other => other,
    };
    let mut tx = services.store.write().await?;
    let template = match tx.project_ever(removal.project).await? {
        Some((record, _)) => record.project.path_template,
        None => String::new(),
    };
    let event = match outcome {
        Outcome::Again(why) => {
            telemetry::removed_from_git("retry");
            tracing::info!(removal = %removal.id, %why, "blocks could not be removed from Git yet");
            removal.attempts += 1;
            let pause = (500_i64 << removal.attempts.min(10)).min(LONGEST_PAUSE_MILLIS);
            tx.update_git_removal(owner, &removal, Some(now.plus_millis(pause)))
                .await?;
            tx.commit().await?;
            return Ok(());
        }
        Outcome::Done(commit) => {
            telemetry::removed_from_git("done");
            told(&removal, &template, |path, services| Happened::RemovedFromGit {
                path,
                services,
                commit,
            })
        }
        Outcome::Failed(reason) => {
            telemetry::removed_from_git("fail");
            tracing::warn!(removal = %removal.id, %reason, "blocks stay in Git");
            told(&removal, &template, |path, services| Happened::NotRemovedFromGit {
                path,
                services,
                reason,
            })
        }
    };
    // Somebody else ended it, or took it when the lease ran out: they tell of it.
    if tx.update_git_removal(owner, &removal, None).await? {
        tx.append_event(&event, now).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}
