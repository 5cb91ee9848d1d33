//! A rollback doesn't wait behind Argo CD's tries of what it leaves, and no more does a promotion that takes another's place: the sync
//! that runs is ended.
//!
//! That is a strong act, so it is done only where nothing else can be meant: the sync applies a commit that contains what is left and
//! not what is to come, and it was started by Waybill for this resource, or Argo CD tries it again by itself. A hook that runs is never cut
//! off. A cluster can say no to all of it ([`domain::environment::ArgoCdSettings::may_end_sync`]). It is told in the ledger.

use super::{
    Outcome,
    rollout::{Rollout, RolloutError},
};
use crate::{
    back_off::{About, Ask},
    ports::{argocd::ArgoCdError, git::GitError},
    service::reach,
    store::NewEvent,
};
use contract::error::AppError;
use domain::{
    event::{Happened, Subject},
    plan::{AppSnapshot, OperationSnapshot},
    promotion::{Actor, Promotion, Purpose, State},
};

/// How soon it is looked whether it has ended.
const LOOK_MILLIS: i64 = 250;
/// Earlier promotions of the resource among which the one is looked for that is left.
const MOST_LOOKED_AT: i64 = 20;

/// Ends the sync that runs, if it stands in the way and may be ended; then that is what comes of this look.
pub(super) async fn make(rollout: &Rollout<'_>, app: &AppSnapshot) -> Result<Option<Outcome>, RolloutError> {
    let work = rollout.work;
    let may = work.cluster().and_then(|record| record.cluster.argocd.as_ref());
    let Some(operation) = app.operation.as_ref().filter(|_| app.operation_pending) else {
        return Ok(None);
    };
    let is_ours = operation.promotion.as_deref() == Some(&*work.promotion.operation_identity());
    if !may.is_some_and(|argocd| argocd.may_end_sync)
        || is_ours
        || operation.phase != "Running"
        || operation.hook_runs()
    {
        return Ok(None);
    }
    let earlier = earlier(rollout).await.map_err(RolloutError::Own)?;
    let Some(left) = left(work.promotion, &earlier) else {
        return Ok(None);
    };
    let is_one_of_these = |identity: &str| {
        let id = identity.split_once('.').map_or(identity, |(id, _)| id);
        earlier.iter().any(|promotion| promotion.id.to_string() == id)
    };
    let by_waybill = operation.promotion.as_deref().is_some_and(is_one_of_these);
    let tried_again = operation.promotion.is_none() && operation.initiated_by.is_empty() && operation.retries > 0;
    if !by_waybill && !tried_again {
        return Ok(None);
    }
    let Some(revision) = applies(rollout, operation, left).await? else {
        return Ok(None);
    };
    if !rollout.may(Ask::End, &About::Revision(revision.clone())) {
        return Ok(None);
    }
    let whose = match by_waybill {
        true => "the sync of an earlier promotion",
        false => "Argo CD's own tries",
    };
    match work.services.argocd.end_operation(&rollout.access, &rollout.app).await {
        Ok(()) => {
            tell(rollout, whose, &revision).await.map_err(RolloutError::Own)?;
            Ok(Some(Outcome::Wait {
                millis: LOOK_MILLIS,
                why: format!("Waybill ended {whose} of {}, which this replaces.", short(&revision)),
            }))
        }
        Err(ArgoCdError::Forbidden { reason, .. }) => Ok(Some(Outcome::Wait {
            millis: 4 * LOOK_MILLIS,
            why: format!(
                "Argo CD still tries {}, which this replaces, and Waybill's token may not end that: {reason}. Give it the right \
                 `applications, sync` on {}/{}, or end the sync in Argo CD.",
                short(&revision),
                app.project,
                app.name
            ),
        })),
        Err(error) => Err(error.into()),
    }
}

/// Promotions of the resource that were asked for before, newest first.
async fn earlier(rollout: &Rollout<'_>) -> Result<Vec<Promotion>, AppError> {
    let this = rollout.work.promotion;
    let mut tx = rollout.work.services.store.read().await?;
    let all = tx.promotions_of(this.resource, MOST_LOOKED_AT).await?;
    Ok(all
        .into_iter()
        .filter(|promotion| promotion.number < this.number)
        .collect())
}

/// The commit that a promotion leaves: that of the newest one before it. One that succeeded is left only by a rollback.
fn left<'a>(this: &Promotion, earlier: &'a [Promotion]) -> Option<&'a str> {
    let before = earlier.iter().find(|promotion| promotion.commit.is_some())?;
    let leaves = this.purpose == Purpose::Rollback || before.state != State::Succeeded;
    before.commit.as_deref().filter(|_| leaves)
}

/// The revision that an operation applies, if it contains what is left and not what is to come.
async fn applies(
    rollout: &Rollout<'_>,
    operation: &OperationSnapshot,
    left: &str,
) -> Result<Option<String>, RolloutError> {
    let work = rollout.work;
    let repository = reach::repository_access(work.services, &work.place.record).map_err(RolloutError::Own)?;
    let contains =
        async |revision: &str, commit: &str| match work.services.git.contains(&repository, revision, commit).await {
            Ok(contains) => Ok(contains),
            Err(GitError::NotFound { .. } | GitError::Empty { .. }) => Ok(false),
            Err(error) => Err(RolloutError::Git(error)),
        };
    for revision in operation.revisions.iter().chain(&operation.requested) {
        // Argo CD may name a branch where a commit should stand.
        let is_commit = matches!(revision.len(), 40 | 64) && revision.bytes().all(|b| b.is_ascii_hexdigit());
        if is_commit && contains(revision, left).await? && !contains(revision, &rollout.commit).await? {
            return Ok(Some(revision.clone()));
        }
    }
    Ok(None)
}

async fn tell(rollout: &Rollout<'_>, sync: &str, revision: &str) -> Result<(), AppError> {
    let work = rollout.work;
    let mut tx = work.services.store.write().await?;
    let event = NewEvent {
        workspace: work.promotion.workspace,
        subject: Subject::promotion(work.promotion),
        actor: Actor::Waybill,
        happened: Happened::SyncEnded {
            sync: sync.to_owned(),
            revision: revision.to_owned(),
        },
    };
    tx.append_event(&event, work.services.now()).await?;
    tx.commit().await?;
    work.services.wrote();
    Ok(())
}

fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}
