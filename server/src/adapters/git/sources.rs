//! Source repositories: copies of their history without files, to tell what lies between two commits.
//!
//! Only commits are fetched (`filter tree:0`), with the connection and the guard that GitOps repositories have. Where a server doesn't offer
//! that, nothing is fetched. Anybody who builds an image names a repository, so a copy is bounded in size and time, few are fetched at
//! once, and no two workspaces share one.

mod walk;
mod wire;

use super::{directory, pack, packs, smart::Wire, turns::Turns};
use crate::ports::source_history::{SourceAccess, SourceHistory};
use async_trait::async_trait;
use domain::source::{Changes, Revision, Side, Unknown};
use git2::{Oid, Repository};
use sha2::{Digest as _, Sha256};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::Semaphore;
use walk::Resolved;
use wire::{Remote, WireError};

/// How long one question may take, waiting for others included.
const PATIENCE: Duration = Duration::from_secs(25);
/// Histories that are fetched at once.
const AT_ONCE: usize = 2;
/// Packs in a copy before it is fetched anew as one.
const MOST_PACKS: usize = 50;
/// Commits that the server is told about, so that it sends only what is new.
const MOST_HAVES: usize = 200;
/// References that keep what was fetched from being forgotten.
const KEPT: &str = "refs/kept/";

/// Copies of histories below one directory, each made at its first use.
#[derive(Debug)]
pub struct SourceMirrors {
    directory: PathBuf,
    turns: Turns,
    wire: Option<Wire>,
    lanes: Semaphore,
    patience: Duration,
}

impl SourceMirrors {
    /// Copies in `directory`, which is made when needed and belongs to Waybill alone.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        directory::sweep(&directory);
        Self {
            directory,
            turns: Turns::default(),
            wire: Wire::new(),
            lanes: Semaphore::new(AT_ONCE),
            patience: PATIENCE,
        }
    }

    /// The same, giving up after another time.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where a copy lies. Credentials are no part of the name: they change.
    fn path_of(&self, access: &SourceAccess) -> PathBuf {
        let whose = format!("{} {} {}", access.tenant, access.host, access.path);
        let name = hex::encode(&Sha256::digest(whose.as_bytes())[..16]);
        self.directory.join(format!("{name}.git"))
    }

    async fn changes(&self, access: &SourceAccess, before: &Revision, after: &Revision) -> Result<Changes, Unknown> {
        let path = self.path_of(access);
        if let Some(known) = of_copy(&path, before, after).await? {
            return Ok(known);
        }
        let _turn = self.turns.wait(&path).await;
        // Whoever had the turn before may have fetched it.
        if let Some(known) = of_copy(&path, before, after).await? {
            return Ok(known);
        }
        let _lane = self.lanes.acquire().await.map_err(machine)?;
        self.fetch(access, &path, before, after).await?;
        let (side, revision) = match of_copy_or_missing(&path, before, after).await? {
            Ok(known) => return Ok(known),
            Err(Side::Before) => (Side::Before, before.clone()),
            Err(Side::After) => (Side::After, after.clone()),
        };
        Err(Unknown::NoCommit { side, revision })
    }

    /// Fetches the commits, or else all branches and tags.
    async fn fetch(
        &self,
        access: &SourceAccess,
        path: &Path,
        before: &Revision,
        after: &Revision,
    ) -> Result<(), Unknown> {
        let wire = self.wire.as_ref().ok_or(Unknown::Machine)?;
        let host = || access.host.clone();
        let scheme = if access.plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{}/{}", access.host, access.path);
        if !wire.serves(&base) {
            let why = "the server's own certificates (GIT_SSL_CAINFO) aren't used for source repositories".into();
            return Err(Unknown::Unreachable { host: host(), why });
        }
        let login = access.credentials.as_ref().map(|(user, token)| (user.as_str(), token));
        let told = |error| told(error, access);
        // Some hosts know a repository by one of the two names only.
        let dotted = format!("{base}.git");
        let mut remote = Remote {
            wire,
            url: &dotted,
            login,
        };
        match remote.check().await {
            Err(WireError::Missing) => {
                remote.url = &base;
                remote.check().await.map_err(told)?;
            }
            checked => checked.map_err(told)?,
        }
        let haves = renewed(path).await?;
        let whole =
            [before, after].map(|revision| Oid::from_str(revision.as_str()).ok().filter(|_| revision.is_whole()));
        if let [Some(before), Some(after)] = whole {
            match remote.history(&[before, after], &haves).await {
                Ok(pack) => return keep(path, pack, vec![before, after]).await,
                // It is no more, or this server gives only what a branch or tag leads to.
                Err(WireError::NotOurs(_)) => {}
                Err(error) => return Err(told(error)),
            }
        }
        let tips = remote.tips().await.map_err(told)?;
        if tips.is_empty() {
            return Ok(());
        }
        let pack = remote.history(&tips, &haves).await.map_err(told)?;
        keep(path, pack, tips).await
    }
}

#[async_trait]
impl SourceHistory for SourceMirrors {
    async fn between(&self, access: &SourceAccess, before: &Revision, after: &Revision) -> Result<Changes, Unknown> {
        match tokio::time::timeout(self.patience, self.changes(access, before, after)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Unknown::TimedOut {
                host: access.host.clone(),
            }),
        }
    }
}

/// What the copy knows already; `None` when it lacks something.
async fn of_copy(path: &Path, before: &Revision, after: &Revision) -> Result<Option<Changes>, Unknown> {
    Ok(of_copy_or_missing(path, before, after).await?.ok())
}

async fn of_copy_or_missing(
    path: &Path,
    before: &Revision,
    after: &Revision,
) -> Result<Result<Changes, Side>, Unknown> {
    let (path, before, after) = (path.to_owned(), before.clone(), after.clone());
    blocking(move || {
        if !path.try_exists().map_err(machine)? {
            return Ok(Err(Side::After));
        }
        let repository = Repository::open_bare(&path).map_err(machine)?;
        let mut found = [Oid::ZERO_SHA1; 2];
        for (place, side, revision) in [(0, Side::Before, &before), (1, Side::After, &after)] {
            match walk::resolve(&repository, revision).map_err(machine)? {
                Resolved::Commit(id) => found[place] = id,
                Resolved::Missing => return Ok(Err(side)),
                Resolved::Ambiguous => {
                    let revision = revision.clone();
                    return Err(Unknown::Ambiguous { revision });
                }
            }
        }
        walk::between(&repository, found[0], found[1]).map(Ok).map_err(machine)
    })
    .await
}

/// Makes the copy where there is none, and one that has become many packs anew. What it has, for the server.
async fn renewed(path: &Path) -> Result<Vec<Oid>, Unknown> {
    let path = path.to_owned();
    blocking(move || {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(machine)?;
        }
        let packs = path.join("objects/pack");
        if packs.try_exists().map_err(machine)? {
            packs::sweep(&packs).map_err(machine)?;
            if std::fs::read_dir(&packs).map_err(machine)?.count() / 2 > MOST_PACKS {
                directory::put_away(&path).map_err(machine)?;
            }
        }
        let repository = directory::open(&path).map_err(machine)?;
        let kept = repository
            .references_glob(&format!("{KEPT}*"))
            .map_err(machine)?
            .flatten()
            .filter_map(|reference| reference.target())
            .take(MOST_HAVES);
        Ok(kept.collect())
    })
    .await
}

/// Puts a pack into the copy, and remembers what it is the history of.
async fn keep(path: &Path, received: Vec<u8>, tips: Vec<Oid>) -> Result<(), Unknown> {
    let path = path.to_owned();
    blocking(move || {
        let count = received.get(8..12).unwrap_or_default();
        if count != [0; 4] {
            if !packs::is_of_commits(&received) {
                return Err(Unknown::TooLarge);
            }
            let repository = Repository::open_bare(&path).map_err(machine)?;
            pack::keep(&repository, &received).map_err(machine)?;
        }
        // The database of objects is opened anew: it has the pack now.
        let repository = Repository::open_bare(&path).map_err(machine)?;
        for tip in tips {
            if repository.odb().is_ok_and(|odb| odb.exists(tip)) {
                let name = format!("{KEPT}{tip}");
                repository.reference(&name, tip, true, "fetched").map_err(machine)?;
            }
        }
        Ok(())
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Unknown> + Send + 'static) -> Result<T, Unknown> {
    tokio::task::spawn_blocking(work).await.map_err(machine)?
}

fn machine(error: impl std::fmt::Display) -> Unknown {
    tracing::warn!(%error, "the history of a source repository can't be kept or read");
    Unknown::Machine
}

/// What a server said, for people.
fn told(error: WireError, access: &SourceAccess) -> Unknown {
    let host = access.host.clone();
    match error {
        WireError::Refused => Unknown::Refused { host },
        WireError::Missing => Unknown::NoRepository { host },
        WireError::NoHistoryAlone => Unknown::NoHistoryAlone { host },
        WireError::TooLarge => Unknown::TooLarge,
        WireError::NotOurs(why) | WireError::Broken(why) => Unknown::Unreachable { host, why },
    }
}
