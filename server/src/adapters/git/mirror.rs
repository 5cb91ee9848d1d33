//! One warm bare mirror per repository, and the optimistic way to commit to it.
//!
//! A commit is built on the tip the mirror knows and pushed at once: when nobody else pushed meanwhile, a promotion costs one
//! push. When somebody did, the server says so; then the mirror is brought up to date, the edit is made again on the
//! new tip, and pushed again. What the remote has is told by the branch's history alone: a promotion's commit carries
//! its id.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use git2::{ErrorCode, Oid, Repository};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::{
    Change, CommitId, CommitRequest, CommitView, Committed, DeclaredService, Git, GitError, RepositoryAccess,
    ValuesEdit,
    address::Address,
    commit::{self, LocalError, Prepared},
    history,
    transport::{Pushed, Transport},
    values,
};
use crate::telemetry;

/// Pushes in one call, before the caller is told to come back later.
const MOST_ATTEMPTS: u32 = 10;

/// Mirrors below one directory, each made at its first use.
#[derive(Debug)]
pub struct GitMirrors {
    directory: PathBuf,
    locks: Mutex<HashMap<PathBuf, Arc<AsyncMutex<()>>>>,
}

impl GitMirrors {
    /// Mirrors in `directory`, which is made when needed and belongs to Waybill alone.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            locks: Mutex::default(),
        }
    }

    /// Where a repository's mirror lies. Credentials are no part of the name: they change.
    fn path_of(&self, repository: &RepositoryAccess) -> PathBuf {
        let whose = format!("{} {}", repository.tenant, Address::parse(&repository.url).url);
        let hash = Sha256::digest(whose.as_bytes());
        let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("{name}.git"))
    }

    /// Waits for the turn to change this repository's mirror.
    async fn turn(&self, mirror: &Mirror) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(mirror.path.clone()).or_default())
        };
        lock.lock_owned().await
    }

    fn mirror(&self, repository: &RepositoryAccess) -> Mirror {
        Mirror {
            path: self.path_of(repository),
            access: repository.clone(),
            url: Address::parse(&repository.url).url,
        }
    }
}

/// A repository's mirror, whether it is there yet or not.
#[derive(Clone)]
struct Mirror {
    path: PathBuf,
    access: RepositoryAccess,
    url: String,
}

impl Mirror {
    fn transport(&self) -> Transport<'_> {
        Transport::new(&self.access, &self.path)
    }

    fn broken(&self, reason: impl ToString) -> GitError {
        GitError::Mirror {
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }

    /// Runs `work` on the mirror off the async threads.
    async fn local<T, W>(&self, work: W) -> Result<T, GitError>
    where
        T: Send + 'static,
        W: FnOnce(&Repository) -> Result<T, LocalError> + Send + 'static,
    {
        let path = self.path.clone();
        let running = tokio::task::spawn_blocking(move || {
            let repository = Repository::open_bare(&path)?;
            work(&repository)
        });
        let done = running.await.map_err(|error| self.broken(error))?;
        done.map_err(|error| error.at(&self.url))
    }

    /// Makes the mirror when it isn't there or isn't whole.
    async fn ensure(&self) -> Result<(), GitError> {
        let path = self.path.clone();
        let running = tokio::task::spawn_blocking(move || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| git2::Error::from_str(&error.to_string()))?;
            }
            commit::open(&path).map(drop)
        });
        let made = running.await.map_err(|error| self.broken(error))?;
        made.map_err(|error| self.broken(error.message()))
    }

    /// Puts a mirror that failed away; the next use makes it anew.
    async fn discard(&self) {
        let path = self.path.clone();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        tracing::warn!(url = %self.url, ?removed, "a Git mirror failed and is made anew");
    }

    async fn known_tip(&self) -> Result<Option<Oid>, GitError> {
        let name = self.transport().tracking_ref();
        self.local(move |repository| match repository.refname_to_id(&name) {
            // A reference to a commit that isn't there is a broken mirror.
            Ok(id) => Ok(Some(repository.find_commit(id)?.id())),
            Err(error) if error.code() == ErrorCode::NotFound || error.code() == ErrorCode::InvalidSpec => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn set_tip(&self, tip: Oid) -> Result<(), GitError> {
        let name = self.transport().tracking_ref();
        self.local(move |repository| {
            repository.reference(&name, tip, true, "pushed")?;
            Ok(())
        })
        .await
    }

    /// Fetches; the turn must be held.
    async fn fetch(&self) -> Result<Oid, GitError> {
        let first = self.known_tip().await?.is_none();
        self.transport().fetch(first).await?;
        let missing = || self.broken("the branch was fetched but isn't there");
        self.known_tip().await?.ok_or_else(missing)
    }

    /// Fetches; `None` when the remote is empty, so that a first commit may make the branch.
    async fn fetch_or_empty(&self) -> Result<Option<Oid>, GitError> {
        match self.fetch().await {
            Err(error @ GitError::NotFound { .. }) => match self.transport().is_empty().await {
                Ok(true) => Ok(None),
                _ => Err(error),
            },
            fetched => fetched.map(Some),
        }
    }

    /// One call's commit; the turn must be held.
    async fn commit(&self, request: &CommitRequest) -> Result<Committed, GitError> {
        self.ensure().await?;
        let mut tip = self.known_tip().await?;
        let mut fresh = false;
        if request.retry || tip.is_none() {
            tip = self.fetch_or_empty().await?;
            fresh = true;
        }
        let request = Arc::new(request.clone());
        let mut attempts = 0;
        loop {
            let wanted = Arc::clone(&request);
            let prepared = self
                .local(move |repository| commit::prepare(repository, tip, &wanted))
                .await;
            let commit = match (prepared, tip) {
                (Ok(Prepared::Commit(commit)), _) => commit,
                (Err(error @ GitError::Mirror { .. }), _) => return Err(error),
                // Only the remote's present state may say that there is nothing to do, or nothing to be done.
                _ if !fresh => {
                    tip = self.fetch_or_empty().await?;
                    fresh = true;
                    continue;
                }
                (Ok(Prepared::Found(commit)), _) => {
                    return Ok(Committed::Found {
                        commit: commit.to_string(),
                    });
                }
                (Ok(Prepared::Unchanged), Some(tip)) => return Ok(Committed::Unchanged { tip: tip.to_string() }),
                (Ok(Prepared::Unchanged), None) => return Err(self.broken("an edit of nothing changed nothing")),
                (Err(error), _) => return Err(error),
            };
            attempts += 1;
            let began = Instant::now();
            let pushed = self.transport().push(commit).await;
            telemetry::pushed(began, what_came(&pushed));
            match pushed? {
                Pushed::Done => {
                    if let Err(error) = self.set_tip(commit).await {
                        // The remote has it. The next push on the old tip is rejected, and that fetches.
                        tracing::warn!(url = %self.url, %error, "the mirror could not note a push");
                    }
                    return Ok(Committed::Pushed {
                        commit: commit.to_string(),
                        attempts,
                    });
                }
                Pushed::Overtaken if attempts >= MOST_ATTEMPTS => return Err(GitError::Contended { attempts }),
                Pushed::Overtaken => {
                    // The first time at once: usually it was one other push. Then apart from others in the same race.
                    if attempts > 1 {
                        tokio::time::sleep(pause(&request, attempts)).await;
                    }
                    tip = self.fetch_or_empty().await?;
                    fresh = true;
                }
            }
        }
    }
}

fn what_came(pushed: &Result<Pushed, GitError>) -> telemetry::Push {
    match pushed {
        Ok(Pushed::Done) => telemetry::Push::Accepted { commits: 1 },
        Ok(Pushed::Overtaken) => telemetry::Push::Overtaken,
        Err(GitError::Refused { .. }) => telemetry::Push::Refused,
        Err(_) => telemetry::Push::Failed,
    }
}

/// Up to 50 ms per attempt, spread by the promotion's id so that rivals don't keep step.
fn pause(request: &CommitRequest, attempts: u32) -> Duration {
    let bytes = request.promotion.0.as_bytes();
    let spread = u64::from(bytes[15 - (attempts as usize % 8)]);
    Duration::from_millis(u64::from(attempts) * (10 + spread % 40))
}

fn parse(mirror: &Mirror, commit: &str) -> Result<Oid, GitError> {
    Oid::from_str(commit).map_err(|_| GitError::NotFound {
        what: format!("Commit {commit:?}"),
        url: mirror.url.clone(),
    })
}

#[async_trait]
impl Git for GitMirrors {
    async fn fetch(&self, repository: &RepositoryAccess) -> Result<CommitId, GitError> {
        let mirror = self.mirror(repository);
        let _turn = self.turn(&mirror).await;
        mirror.ensure().await?;
        let fetched = match mirror.fetch().await {
            Err(GitError::Mirror { .. }) => {
                mirror.discard().await;
                mirror.ensure().await?;
                mirror.fetch().await
            }
            fetched => fetched,
        };
        fetched.map(|tip| tip.to_string())
    }

    async fn known_tip(&self, repository: &RepositoryAccess) -> Result<Option<CommitId>, GitError> {
        let mirror = self.mirror(repository);
        if !mirror.path.exists() {
            return Ok(None);
        }
        let tip = mirror.known_tip().await?;
        Ok(tip.map(|tip| tip.to_string()))
    }

    async fn services(
        &self,
        repository: &RepositoryAccess,
        commit: &str,
        path: &str,
        prefix: &str,
    ) -> Result<Option<Vec<DeclaredService>>, GitError> {
        let mirror = self.mirror(repository);
        let commit = parse(&mirror, commit)?;
        let (path, prefix) = (path.to_owned(), prefix.to_owned());
        let read = move |repository: &Repository| {
            let Some(bytes) = commit::read_file(repository, commit, &path)? else {
                return Ok(None);
            };
            let services = values::services(&bytes, &prefix).map_err(|error| LocalError::Values {
                path,
                reason: error.to_string(),
            })?;
            Ok(Some(services))
        };
        mirror.local(read).await
    }

    async fn commit_and_push(
        &self,
        repository: &RepositoryAccess,
        request: &CommitRequest,
    ) -> Result<Committed, GitError> {
        let mirror = self.mirror(repository);
        let _turn = self.turn(&mirror).await;
        match mirror.commit(request).await {
            Err(GitError::Mirror { .. }) => {
                mirror.discard().await;
                mirror.commit(request).await
            }
            done => done,
        }
    }

    async fn preview(&self, repository: &RepositoryAccess, edit: &ValuesEdit) -> Result<String, GitError> {
        let mirror = self.mirror(repository);
        if self.known_tip(repository).await?.is_none() {
            let _turn = self.turn(&mirror).await;
            mirror.ensure().await?;
            mirror.fetch_or_empty().await?;
        }
        let tip = mirror.known_tip().await?;
        let edit = edit.clone();
        mirror
            .local(move |repository| commit::preview(repository, tip, &edit))
            .await
    }

    async fn show(&self, repository: &RepositoryAccess, commit: &str) -> Result<Option<CommitView>, GitError> {
        let mirror = self.mirror(repository);
        let Ok(commit) = Oid::from_str(commit) else {
            return Ok(None);
        };
        if !mirror.path.exists() {
            return Ok(None);
        }
        mirror
            .local(move |repository| Ok(commit::show(repository, commit)?))
            .await
    }

    async fn last_change(
        &self,
        repository: &RepositoryAccess,
        since: &str,
        tip: &str,
        path: &str,
    ) -> Result<Option<Change>, GitError> {
        let mirror = self.mirror(repository);
        let (since, tip, path) = (parse(&mirror, since)?, parse(&mirror, tip)?, path.to_owned());
        mirror
            .local(move |repository| Ok(history::last_change(repository, since, tip, &path)?))
            .await
    }

    async fn contains(
        &self,
        repository: &RepositoryAccess,
        descendant: &str,
        ancestor: &str,
    ) -> Result<bool, GitError> {
        let mirror = self.mirror(repository);
        let (descendant, ancestor) = (parse(&mirror, descendant)?, parse(&mirror, ancestor)?);
        let look = move |repository: &Repository| Ok(commit::contains(repository, descendant, ancestor)?);
        if mirror.path.exists()
            && let Some(answer) = mirror.local(look).await?
        {
            return Ok(answer);
        }
        self.fetch(repository).await?;
        Ok(mirror.local(look).await?.unwrap_or(false))
    }
}
