//! Removes the blocks of deleted resources from Git, where a person chose so: a commit each, tried again while Git can't be reached.
//!
//! It looks at the table, under a lease: after a kill the same commit is found again by its trailer, or made then. What came of it stands in
//! the ledger.

use crate::{
    ports::git::{BlockRemoval, Committed, GitError},
    service::{
        Services, reach,
        removal::{find_same_block, git_removal_event},
    },
    store::GitRemoval,
    telemetry,
    worker::steps::{author, waybill},
};
use contract::error::AppError;
use domain::{
    commit_template::{self, About},
    environment::Project,
    event::Happened,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked without being told.
const LOOK: Duration = Duration::from_secs(5);
/// A try that takes longer hangs, and is made again.
const LONGEST: Duration = Duration::from_secs(50);
/// How long a lease lasts: longer than a try.
const LEASE_MILLIS: i64 = 60_000;
/// Nothing is put off or leased for longer: what is was so by a clock that ran ahead.
const FARTHEST_MILLIS: i64 = 120_000;
/// Passing failures before it is given up: with the pauses below about ten minutes.
const MOST_ATTEMPTS: u32 = 24;
/// Longest pause between tries.
const LONGEST_PAUSE_MILLIS: i64 = 30_000;

/// Looks until told to stop. `owner` names this life of the server.
pub async fn run(services: Services, owner: String, stop: CancellationToken) {
    loop {
        loop {
            match look(&services, &owner, &stop).await {
                Ok(true) if !stop.is_cancelled() => {}
                // The database is told of elsewhere while it is away.
                Ok(_) | Err(AppError::Unavailable(_)) => break,
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
    look(services, owner, &CancellationToken::new()).await
}

/// The same, until told to stop: what was begun then is due at once, for whoever looks next.
async fn look(services: &Services, owner: &str, stop: &CancellationToken) -> Result<bool, AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    let is_mended = tx.mend_git_removals(now, now.plus_millis(FARTHEST_MILLIS)).await?;
    let claimed = tx
        .claim_git_removals(owner, now, now.plus_millis(LEASE_MILLIS), 1)
        .await?;
    let Some(removal) = claimed.into_iter().next() else {
        if is_mended {
            tx.commit().await?;
        }
        return Ok(false);
    };
    tx.commit().await?;
    let done = tokio::select! {
        done = tokio::time::timeout(LONGEST, carry_out(services, &removal)) => done,
        // A commit that arrived all the same is found again by its trailer.
        () = stop.cancelled() => {
            let mut tx = services.store.write().await?;
            tx.update_git_removal(owner, &removal, Some(services.now())).await?;
            tx.commit().await?;
            return Ok(false);
        }
    };
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

/// The first line of its commit's message.
fn subject(project: &Project, removal: &GitRemoval) -> String {
    let resource = removal.services.join(", ");
    let template = project.commit_subject.as_deref();
    let about = About {
        verb: "remove",
        environment: &removal.environment_name,
        resource: &resource,
        tag: "",
        digest: None,
        source: "",
    };
    commit_template::subject(template.unwrap_or("{verb}({environment}): {resource}"), &about)
}

async fn carry_out(services: &Services, removal: &GitRemoval) -> Result<Outcome, AppError> {
    let mut tx = services.store.read().await?;
    let Some(record) = tx.project(removal.project).await? else {
        return Ok(Outcome::Failed("The project was deleted. Remove them in Git.".into()));
    };
    let project = &record.project;
    let environments = tx.environments_ever(project.id).await?;
    let environment = environments
        .iter()
        .find(|(environment, _)| environment.id == removal.environment);
    let is_there = project.repository_url == removal.repository_url
        && project.branch == removal.branch
        && project.values_prefix == removal.prefix
        && environment.is_some_and(|(environment, _)| project.values_path(&environment.key) == removal.path);
    if !is_there {
        let why = "The project's repository settings were changed since. Remove the block in Git.";
        return Ok(Outcome::Failed(why.into()));
    }
    if let Some(shared) = find_same_block(&mut *tx, removal).await? {
        // Who reads this need not see the other project.
        let who = match shared.project.id == removal.project {
            true => shared.path.as_str(),
            false => "Another project",
        };
        return Ok(Outcome::Failed(format!("{who} is written to the same block by now.")));
    }
    drop(tx);
    let access = reach::repository_access(services, &record)?;
    let blocks = BlockRemoval {
        id: removal.id,
        path: removal.path.clone(),
        prefix: removal.prefix.clone(),
        services: removal.services.clone(),
        subject: subject(project, removal),
        author: author(project, &removal.requested_by),
        committer: waybill(),
        at: removal.created_at.0.div_euclid(1000),
    };
    Ok(match services.git.remove_blocks(&access, &blocks).await {
        Ok(Committed::Pushed { commit, .. } | Committed::Found { commit, .. }) => Outcome::Done(Some(commit)),
        Ok(Committed::Unchanged { .. } | Committed::Absent | Committed::Moved) => Outcome::Done(None),
        Err(error @ GitError::Values { .. }) => Outcome::Failed(format!("{error} Remove them in Git.")),
        Err(error) if error.is_passing() => Outcome::Again(format!("{error} Waybill tries again.")),
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
            git_removal_event(&removal, |path, services| Happened::RemovedFromGit {
                path,
                services,
                commit,
            })
        }
        Outcome::Failed(reason) => {
            telemetry::removed_from_git("fail");
            tracing::warn!(removal = %removal.id, %reason, "blocks stay in Git");
            git_removal_event(&removal, |path, services| Happened::NotRemovedFromGit {
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
