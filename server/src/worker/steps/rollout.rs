//! Sync and Verify: Argo CD is brought to the commit, then the promised digest is awaited.
//!
//! Both look at the same Application and ask the same planner ([`domain::plan::next()`]); they differ in what is still missing: in
//! *Syncing* a sync that contains the commit, in *Verifying* only health and the live digest.

use super::{Outcome, Work, way_free};
use crate::{
    back_off::{About, Ask},
    ports::{
        argocd::{AppRef, ArgoCdAccess, ArgoCdError, Refresh, SyncRequest, Window},
        git::GitError,
    },
    service::{
        context::ReadPurpose,
        observe::{self, Reported},
        reach, sources,
    },
};
use contract::error::AppError;
use domain::{
    artifact::Digest,
    plan::{self, AppSnapshot, Committed, Health, Intent, Next, WorkloadName, illness::illness, said},
    policy::SyncScope,
    promotion::{Failed, State},
    time::Timestamp,
};

/// How often Argo CD is asked when its stream says nothing.
const LOOK_MILLIS: i64 = 1_000;
/// So soon after it has seen a commit Argo CD begins to sync by itself, where nothing keeps it.
const SYNCS_WITHIN_MILLIS: i64 = 3_000;
/// A closed sync window is looked at again at the latest after this time: somebody may change it.
const WINDOW_MILLIS: i64 = 60_000;

pub(super) async fn run(work: &Work<'_>) -> Result<Outcome, AppError> {
    let Some(cluster) = work.cluster() else {
        return Ok(Outcome::Fail {
            reason: "The environment's cluster no longer exists.".into(),
        });
    };
    let (Some(access), Some(app)) = (
        reach::argocd_access(work.services, cluster)?,
        reach::application(cluster, &work.place.record.project.name, &work.environment.name),
    ) else {
        return Ok(Outcome::done(
            State::Succeeded,
            "This cluster has no Argo CD: the promotion ends at the push.",
        ));
    };
    if let Some(by) = work.overtaken_by().await? {
        return Ok(Outcome::Overtaken { by, commit: None });
    }
    let Some(commit) = work.promotion.commit.clone() else {
        return Ok(Outcome::Fail {
            reason: "The promotion has no commit. Try again.".into(),
        });
    };
    let rollout = Rollout {
        work,
        access,
        app,
        commit,
    };
    let (patience, id) = (&work.services.wake.patience, work.promotion.id);
    match rollout.look().await {
        Ok(outcome) => {
            patience.worked(id, Ask::Look);
            Ok(outcome)
        }
        Err(RolloutError::ArgoCd(error)) if error.is_passing() => Ok(Outcome::Wait {
            millis: patience.wait(id, Ask::Look, &About::Answer, work.services.now()),
            why: error.to_string(),
        }),
        Err(RolloutError::NoApplication(error)) => Ok(Outcome::Wait {
            millis: patience.wait(id, Ask::Look, &About::Application, work.services.now()),
            why: error.to_string(),
        }),
        Err(RolloutError::ArgoCd(error)) => Ok(Outcome::Fail {
            reason: error.to_string(),
        }),
        Err(RolloutError::Git(error)) if error.is_passing() => Ok(Outcome::Retry {
            why: format!("{error} Waybill tries again."),
        }),
        Err(RolloutError::Git(error)) => Ok(Outcome::Fail {
            reason: error.to_string(),
        }),
        Err(RolloutError::Own(error)) => Err(error),
    }
}

/// What proves that what the promotion promised is live, if it is. Argo CD may be asked to look again, and never to sync.
pub(super) async fn is_live(work: &Work<'_>) -> Result<Option<String>, AppError> {
    let (Some(cluster), Some(commit)) = (work.cluster(), work.promotion.commit.clone()) else {
        return Ok(None);
    };
    let app = reach::application(cluster, &work.place.record.project.name, &work.environment.name);
    let (Some(access), Some(app)) = (reach::argocd_access(work.services, cluster)?, app) else {
        return Ok(None);
    };
    let rollout = Rollout {
        work,
        access,
        app,
        commit,
    };
    let look = async {
        let mut snapshot = work
            .services
            .argocd
            .app(&rollout.access, &rollout.app, Refresh::No)
            .await?;
        let next = rollout.next(&mut snapshot).await?;
        // By itself it compares again in minutes.
        let Next::Refresh { cause, .. } = &next else {
            return Ok(next);
        };
        if !rollout.may(Ask::Refresh, &About::Cause(*cause)) {
            return Ok(next);
        }
        let argocd = &work.services.argocd;
        snapshot = argocd.app(&rollout.access, &rollout.app, Refresh::Normal).await?;
        rollout.next(&mut snapshot).await
    };
    match look.await {
        Ok(Next::Live { evidence }) => Ok(Some(evidence)),
        Err(RolloutError::Own(error)) => Err(error),
        // Whoever can't be asked now is asked another time.
        Ok(_) | Err(RolloutError::ArgoCd(_) | RolloutError::NoApplication(_) | RolloutError::Git(_)) => Ok(None),
    }
}

pub(super) enum RolloutError {
    ArgoCd(ArgoCdError),
    /// The commit may be what makes it, or somebody makes it anew: an ApplicationSet, an application of applications, a person.
    NoApplication(ArgoCdError),
    Git(GitError),
    Own(AppError),
}

impl From<ArgoCdError> for RolloutError {
    fn from(error: ArgoCdError) -> Self {
        match error {
            ArgoCdError::NotFound { .. } => Self::NoApplication(error),
            error => Self::ArgoCd(error),
        }
    }
}

pub(super) struct Rollout<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) access: ArgoCdAccess,
    pub(super) app: AppRef,
    pub(super) commit: String,
}

impl Rollout<'_> {
    async fn look(&self) -> Result<Outcome, RolloutError> {
        let work = self.work;
        // The first look is at a refreshed Application: Argo CD may not know of the commit yet.
        let patience = &work.services.wake.patience;
        let first = work.promotion.state == State::Syncing
            && patience.begins(work.promotion.id, work.promotion.tries, work.services.now());
        let refresh = if first { Refresh::Normal } else { Refresh::No };
        let mut app = self.read(refresh).await?;
        let mut next = self.next(&mut app).await?;
        if let Next::Refresh { cause, .. } = &next
            && !first
            && self.may(Ask::Refresh, &About::Cause(*cause))
        {
            app = self.read(Refresh::Normal).await?;
            next = self.next(&mut app).await?;
        }
        if !matches!(next, Next::Live { .. }) {
            self.note_illness(&app).await.map_err(RolloutError::Own)?;
        }
        if self.report(&app).await.map_err(RolloutError::Own)? == Reported::Late {
            return Ok(Outcome::Wait {
                millis: LOOK_MILLIS,
                why: "Argo CD has said something newer meanwhile; it is asked again.".to_owned(),
            });
        }
        match next {
            Next::Live { evidence } if work.promotion.state == State::Syncing => Ok(Outcome::done(
                State::Verifying,
                format!("Argo CD is at the commit. {evidence}"),
            )),
            Next::Live { evidence } => Ok(Outcome::done(State::Succeeded, evidence)),
            // A newer commit may be in Git that nobody has recorded yet, or somebody's: then that is what was rendered, and rightly.
            Next::NotRendered { .. } if !self.is_declared().await.map_err(RolloutError::Own)? => Ok(Outcome::Wait {
                millis: LOOK_MILLIS,
                why: "Git declares another image for it by now, and Argo CD has rendered that.".to_owned(),
            }),
            Next::NotRendered { reason, remedy } | Next::Failed { reason, remedy } => Ok(Outcome::Failed(Failed {
                reason,
                remedy: Some(remedy),
                said: said::whole(&app),
            })),
            Next::Sync {
                revision,
                only,
                cause,
                why,
            } => self.sync(&app, revision, only, About::Cause(cause), why).await,
            Next::Paused { why } => Ok(Outcome::Paused {
                millis: LOOK_MILLIS,
                why,
            }),
            Next::Inspect => Ok(Outcome::Wait {
                millis: LOOK_MILLIS,
                why: "Argo CD is asked for the workloads.".to_owned(),
            }),
            Next::SyncsItself { why } => self.syncs_itself(&app, why).await,
            Next::Refresh { why, .. } | Next::Wait { why } => {
                if app
                    .operation
                    .as_ref()
                    .is_some_and(plan::OperationSnapshot::is_at_window)
                {
                    return self.at_window(&app).await;
                }
                if let Some(outcome) = way_free::make(self, &app).await? {
                    return Ok(outcome);
                }
                if work.promotion.state == State::Syncing && self.is_synced(&app).await? {
                    return Ok(Outcome::done(State::Verifying, "Argo CD has synced the commit."));
                }
                Ok(Outcome::Wait {
                    millis: LOOK_MILLIS,
                    why,
                })
            }
        }
    }

    /// Reads the Application. Reading it, a missing right can't be told from a missing Application.
    async fn read(&self, refresh: Refresh) -> Result<AppSnapshot, RolloutError> {
        match self.work.services.argocd.app(&self.access, &self.app, refresh).await {
            Err(error) if error.is_absence() => Err(RolloutError::NoApplication(error)),
            read => Ok(read?),
        }
    }

    /// What the planner says, given which of the revisions it asks about contain the commit, and the workloads where it asks for them.
    async fn next(&self, app: &mut AppSnapshot) -> Result<Next, RolloutError> {
        let covering = self.covering(app).await?;
        let next = self.decide(app, &covering).await?;
        // A sync with waves waits for health before it ends: why that doesn't come is to be said, too.
        let is_held_up = matches!(next, Next::Wait { .. }) && app.health == Health::Degraded;
        if next != Next::Inspect && !is_held_up {
            return Ok(next);
        }
        let services = self.work.services;
        observe::read_workloads(services, &self.access, &self.app, app, ReadPurpose::Promotion).await?;
        self.decide(app, &covering).await
    }

    async fn decide(&self, app: &AppSnapshot, covering: &[String]) -> Result<Next, RolloutError> {
        self.with_intent(|intent| plan::next(app, intent, covering)).await
    }

    /// Whether a finished operation, or the comparison itself, says that the commit is applied.
    async fn is_synced(&self, app: &AppSnapshot) -> Result<bool, RolloutError> {
        let covering = self.covering(app).await?;
        self.with_intent(|intent| plan::is_applied(app, intent, &covering))
            .await
    }

    /// Asks the planner, with what the promotion wants.
    async fn with_intent<R>(&self, ask: impl FnOnce(&Intent<'_>) -> R) -> Result<R, RolloutError> {
        let work = self.work;
        let beside = self.beside().await.map_err(RolloutError::Own)?;
        let promotion = work.promotion;
        let placed = promotion.placed();
        let identity = promotion.operation_identity();
        let project = &work.place.record.project;
        let files = [project.values_path(&work.environment.key)];
        let intent = Intent {
            commit: &self.commit,
            digest: &promotion.image.digest,
            repository: &placed.repository,
            committed: Committed {
                repository: &project.repository_url,
                branch: &project.branch,
                files: &files,
            },
            promotion: &identity,
            pushed_at: promotion.committed_at.unwrap_or(promotion.state_since),
            now: work.services.now(),
            beside: &beside,
            expects_pods: work.resource.expects_pods(),
            // What is new has more than workloads: a Service, settings.
            only_own: match work.environment.policy.sync {
                SyncScope::Service => !promotion.creates,
                SyncScope::Application => false,
            },
            stable_millis: i64::try_from(work.settings.stable.as_millis()).unwrap_or(i64::MAX),
            grace_millis: plan::GRACE_MILLIS,
        };
        Ok(ask(&intent))
    }

    /// What other resources of the environment run from the same repository.
    async fn beside(&self) -> Result<Vec<Digest>, AppError> {
        let (here, this) = (&self.work.resource, self.work.promotion);
        let resources = self.work.services.store.read().await?.resources(this.project).await?;
        let others = resources
            .into_iter()
            .filter(|r| r.environment == here.environment && r.id != here.id);
        let images = others.filter_map(|r| r.desired);
        let placed = this.placed();
        Ok(images
            .filter(|i| i.repository == placed.repository)
            .map(|i| i.digest)
            .collect())
    }

    /// Whether Git still declares the promised image.
    async fn is_declared(&self) -> Result<bool, AppError> {
        let work = self.work;
        let declared = sources::declared(work.services, &work.place, &work.resource, true).await?;
        let image = &work.promotion.image;
        Ok(match declared.digest {
            Some(digest) => digest == image.digest,
            None => declared.tag.is_some() && declared.tag == image.tag,
        })
    }

    async fn covering(&self, app: &AppSnapshot) -> Result<Vec<String>, RolloutError> {
        let work = self.work;
        let repository = reach::repository_access(work.services, &work.place.record).map_err(RolloutError::Own)?;
        let mut covering = Vec::new();
        for revision in plan::candidate_revisions(app, &self.commit) {
            match work.services.git.contains(&repository, &revision, &self.commit).await {
                Ok(true) => covering.push(revision),
                // A revision that isn't in this repository (another source of the Application) contains nothing of ours.
                Ok(false) | Err(GitError::NotFound { .. } | GitError::Empty { .. }) => {}
                Err(error) => return Err(RolloutError::Git(error)),
            }
        }
        Ok(covering)
    }

    async fn sync(
        &self,
        app: &AppSnapshot,
        revision: Option<String>,
        only: Vec<WorkloadName>,
        about: About,
        why: String,
    ) -> Result<Outcome, RolloutError> {
        let work = self.work;
        // Once it was seen closed, the window is looked at instead of being knocked at.
        if work.promotion.counts_from.is_some()
            && let Ok(Window::Closed { opens_at }) = self.window(app).await
        {
            return Ok(self.closed(opens_at));
        }
        if !self.may(Ask::Sync, &about) {
            return Ok(Outcome::Wait {
                millis: LOOK_MILLIS,
                why,
            });
        }
        let what = match only.is_empty() {
            true => "to sync",
            false => "to sync the service alone",
        };
        let request = SyncRequest {
            revision,
            only,
            promotion: work.promotion.operation_identity(),
        };
        match work.services.argocd.sync(&self.access, &self.app, &request).await {
            Ok(()) => Ok(Outcome::Wait {
                millis: LOOK_MILLIS,
                why: format!("Argo CD was asked {what}. {why}"),
            }),
            Err(ArgoCdError::SyncWindow { .. }) => self.at_window(app).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Whether Argo CD may be asked for something now, about the same as the last time or not.
    pub(super) fn may(&self, ask: Ask, about: &About) -> bool {
        let work = self.work;
        let patience = &work.services.wake.patience;
        patience.may(work.promotion.id, ask, about, work.services.now())
    }

    async fn window(&self, app: &AppSnapshot) -> Result<Window, ArgoCdError> {
        let services = self.work.services;
        let now = services.now();
        services.argocd.window(&self.access, &self.app, &app.project, now).await
    }

    /// Argo CD should begin to sync by itself. That a sync window keeps it is not in the Application, and once it has opened Argo CD takes its
    /// time: then it is asked.
    async fn syncs_itself(&self, app: &AppSnapshot, why: String) -> Result<Outcome, RolloutError> {
        let promotion = self.work.promotion;
        // It may have synced already, and leave out what it was not asked to prune.
        if promotion.state == State::Syncing && self.is_synced(app).await? {
            return Ok(Outcome::done(State::Verifying, "Argo CD has synced the commit."));
        }
        if promotion.counts_from.is_some() {
            let why = "The sync window has opened.".to_owned();
            return self.sync(app, None, Vec::new(), About::WindowOpened, why).await;
        }
        let since = promotion.committed_at.unwrap_or(promotion.state_since);
        let is_late = self.work.services.now().millis_since(since) > SYNCS_WITHIN_MILLIS;
        // If Waybill may not read the windows, a refused sync reports them.
        if is_late
            && self.may(Ask::Window, &About::Windows)
            && let Ok(Window::Closed { opens_at }) = self.window(app).await
        {
            return Ok(self.closed(opens_at));
        }
        Ok(Outcome::Wait {
            millis: LOOK_MILLIS,
            why,
        })
    }

    /// A sync window keeps the sync from beginning, or from going on.
    async fn at_window(&self, app: &AppSnapshot) -> Result<Outcome, RolloutError> {
        let opens_at = match self.window(app).await {
            Ok(Window::Closed { opens_at }) => opens_at,
            // It opened in this moment, or nobody may say until when it is closed.
            Ok(Window::Open) | Err(_) => None,
        };
        Ok(self.closed(opens_at))
    }

    fn closed(&self, opens_at: Option<Timestamp>) -> Outcome {
        let now = self.work.services.now();
        let until_then = opens_at.map_or(WINDOW_MILLIS, |at| at.millis_since(now).max(LOOK_MILLIS));
        let soon = self
            .work
            .services
            .wake
            .patience
            .wait(self.work.promotion.id, Ask::Window, &About::Windows, now);
        Outcome::Closed {
            millis: until_then.min(soon).min(WINDOW_MILLIS),
            why: closed_words(opens_at, now),
        }
    }

    /// Keeps what is wrong with the promotion's own workload, with what the cluster said of its pod. The same is not asked for again.
    async fn note_illness(&self, app: &AppSnapshot) -> Result<(), AppError> {
        let (services, promotion) = (self.work.services, self.work.promotion);
        let Some((mut found, patient)) = illness(app, &promotion.image.digest, services.now(), promotion.tries) else {
            return Ok(());
        };
        let known = services.store.read().await?.illness(promotion.id).await?;
        if known.is_some_and(|known| known.is_same(&found)) {
            return Ok(());
        }
        if let Some(patient) = patient {
            // Without its events, the reason is still worth keeping.
            found.events = services
                .argocd
                .events(&self.access, &self.app, &patient)
                .await
                .unwrap_or_default();
        }
        let mut tx = services.store.write().await?;
        tx.set_illness(promotion.id, &found).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn report(&self, app: &AppSnapshot) -> Result<Reported, AppError> {
        observe::report_live(
            self.work.services,
            &self.work.place.record.project,
            &self.work.environment,
            &self.app,
            app,
        )
        .await
    }
}

/// `Argo CD lets nothing through until 18:00 UTC (a sync window is closed).`
fn closed_words(opens_at: Option<Timestamp>, now: Timestamp) -> String {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let until = match opens_at {
        Some(at) if at.millis_since(now) < DAY => format!(" until {}", at.clock()),
        Some(at) => format!(" until {}", at.exact()),
        None => " now".to_owned(),
    };
    format!(
        "Argo CD lets nothing through{until}: a sync window is closed. The commit is in Git; the sync begins when the window opens."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_window_says_until_when_where_that_is_known() {
        let now = Timestamp(1_800_000_000_000);
        assert!(closed_words(None, now).starts_with("Argo CD lets nothing through now:"));
        let soon = closed_words(Some(now.plus_millis(3_600_000)), now);
        assert!(
            soon.starts_with("Argo CD lets nothing through until 09:00 UTC:"),
            "{soon}"
        );
        let later = closed_words(Some(now.plus_millis(3 * 86_400_000)), now);
        assert!(later.contains("until 2027-01-18 08:00:00 UTC"), "{later}");
    }
}
