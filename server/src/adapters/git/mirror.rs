//! One warm bare mirror per repository, and the optimistic way to commit to it.
//!
//! Commits are built on the tip the mirror knows and pushed at once: when nobody else pushed meanwhile, a batch costs one
//! push. When somebody did, the server says so; then the mirror is brought up to date, the edits are made again on the
//! new tip, and pushed again. What the remote has is told by the branch's history alone: a promotion's commit carries
//! its id.

use std::{
    collections::VecDeque,
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use git2::{ErrorCode, Oid, Repository};
use sha2::{Digest as _, Sha256};

use super::{
    BlockRemoval, CommitId, CommitRequest, CommitView, Committed, DeclaredService, Difference, Git, GitError,
    PlaceEdit, Probe, RepositoryAccess, ServiceChange, ServicePlace, Unprobed,
    address::Address,
    commit::{self, Batch, Memory, Prepared},
    directory,
    fault::LocalError,
    last_change,
    local::{LocalPaths, Remote},
    pack::{self, Objects},
    packs, probe,
    reader::Reader,
    smart::{Fetched, Wire},
    transport::{Pushed, Transport},
    turns::Turns,
    values, view,
};
use crate::telemetry;

/// Pushes of one batch, before the caller is told to come back later. Others who push without pause win most races, but not
/// all: each try is a chance, and what waits meanwhile goes out with the next batch.
const MOST_ATTEMPTS: u32 = 200;
/// No batch is tried for longer than this, once others got there first.
const LONGEST_RACE: Duration = Duration::from_secs(30);
/// The start that the server's programs get in a race.
const HEAD_START: Duration = Duration::from_millis(25);
/// In a race the server's part grows with the batch, and with it the chance that somebody comes between: a batch larger than
/// this one that has lost [`MOST_LOST_BY_MANY`] times is halved.
const FEW: usize = 16;
/// Races that a large batch may lose before it is halved.
const MOST_LOST_BY_MANY: u32 = 2;
/// Rejections in a row while nobody else moved the branch: then it is the server that doesn't take pushes.
const MOST_UNEXPLAINED: u32 = 5;
/// Pushes spent, at most, on finding out which commits of a batch the server's policy refuses.
const MOST_SPLITS: u32 = 24;

/// Mirrors below one directory, each made at its first use.
#[derive(Debug)]
pub struct GitMirrors {
    directory: PathBuf,
    pub(super) turns: Turns,
    wire: Option<Wire>,
    local_paths: LocalPaths,
}

impl GitMirrors {
    /// Mirrors in `directory`, which is made when needed and belongs to Waybill alone. Repositories by path are off.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        directory::sweep(&directory);
        Self {
            directory,
            turns: Turns::default(),
            wire: Wire::new(),
            local_paths: LocalPaths::default(),
        }
    }

    /// The same, with repositories by path where `local_paths` lists them.
    #[must_use]
    pub fn with_local_paths(self, local_paths: LocalPaths) -> Self {
        Self { local_paths, ..self }
    }

    /// Where a repository's mirror lies. Credentials are no part of the name: they change.
    fn path_of(&self, repository: &RepositoryAccess) -> PathBuf {
        let whose = format!("{} {}", repository.tenant, Address::parse(&repository.url).url);
        let name = hex::encode(&Sha256::digest(whose.as_bytes())[..16]);
        self.directory.join(format!("{name}.git"))
    }

    /// The mirror of a repository that may be used: of another not even what was fetched before is read.
    async fn mirror(&self, repository: &RepositoryAccess) -> Result<Mirror, GitError> {
        let address = Address::parse(&repository.url);
        let remote = self.local_paths.admit(&address).await?;
        Ok(Mirror {
            path: self.path_of(repository),
            access: repository.clone(),
            url: address.url,
            remote,
            wire: self.wire.clone(),
        })
    }
}

/// A repository's mirror, whether it is there yet or not.
#[derive(Clone)]
pub(super) struct Mirror {
    pub(super) path: PathBuf,
    access: RepositoryAccess,
    pub(super) url: String,
    remote: Remote,
    wire: Option<Wire>,
}

impl Mirror {
    fn transport(&self) -> Transport<'_> {
        Transport::new(&self.access, &self.path, &self.remote, self.wire.as_ref())
    }

    fn broken(&self, reason: impl ToString) -> GitError {
        GitError::Mirror {
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }

    /// A fault of the machine: the mirror is not to suffer for it.
    pub(super) fn machine(&self, reason: impl ToString) -> GitError {
        GitError::Machine {
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }

    /// Runs `work` on the mirror off the async threads.
    pub(super) async fn local<T, W>(&self, work: W) -> Result<T, GitError>
    where
        T: Send + 'static,
        W: FnOnce(&Reader<'_>) -> Result<T, LocalError> + Send + 'static,
    {
        let path = self.path.clone();
        let running = tokio::task::spawn_blocking(move || {
            let repository = Repository::open_bare(&path)?;
            work(&Reader::new(&repository)?)
        });
        let done = running.await.map_err(|error| self.machine(error))?;
        done.map_err(|error| error.at(&self.url))
    }

    /// Makes the mirror when it isn't there.
    async fn ensure(&self) -> Result<(), GitError> {
        let path = self.path.clone();
        let running = tokio::task::spawn_blocking(move || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| git2::Error::from_str(&error.to_string()))?;
            }
            directory::open(&path).map(drop)
        });
        let made = running.await.map_err(|error| self.machine(error))?;
        made.map_err(|error| LocalError::Mirror(error).at(&self.url))
    }

    /// Where the branch was when it was last fetched or pushed; `None` when it never was.
    async fn known_tip(&self) -> Result<Option<Oid>, GitError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let name = self.transport().tracking_ref();
        self.local(move |reader| match reader.repository().refname_to_id(&name) {
            // An object may be there and hold nothing: after a crash, say.
            Ok(id) => match reader.find_commit(id) {
                Ok(None) => {
                    Err(git2::Error::from_str(&format!("commit {id}, where the branch is, isn't there")).into())
                }
                // Whoever reads it is told so. The branch may be repaired meanwhile: it must be possible to fetch it.
                Ok(Some(_)) | Err(LocalError::TooLarge(_)) => Ok(Some(id)),
                Err(error) => Err(error),
            },
            Err(error) if error.code() == ErrorCode::NotFound || error.code() == ErrorCode::InvalidSpec => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Puts what is new into the mirror.
    async fn keep(&self, objects: Objects) -> Result<(), GitError> {
        self.local(move |reader| Ok(objects.write(reader.repository())?)).await
    }

    /// Notes that the remote's branch is at `tip`, a commit that the mirror has.
    async fn set_tip(&self, tip: Oid) -> Result<(), GitError> {
        let name = self.transport().tracking_ref();
        self.local(move |reader| {
            reader.repository().reference(&name, tip, true, "pushed")?;
            Ok(())
        })
        .await
    }

    /// Pushes a batch that was made on `tip`.
    async fn push(&self, tip: Option<Oid>, head: Oid, objects: Objects) -> Result<Pushed, GitError> {
        match self.transport().push_directly(tip, head, || objects.pack()).await? {
            Some(Pushed::Overtaken) => return Ok(Pushed::Overtaken),
            Some(Pushed::Done) => self.note(objects, head).await,
            None => {
                self.keep(objects).await?;
                match self.transport().push(head).await? {
                    Pushed::Overtaken => return Ok(Pushed::Overtaken),
                    Pushed::Done => self.note(Objects::new(false), head).await,
                }
            }
        }
        Ok(Pushed::Done)
    }

    /// Fetches in the middle of a race, without starting a program where that can be; the turn must be held.
    async fn fetch_at_once(&self, known: Option<Oid>) -> Result<Option<Oid>, GitError> {
        if let Some(known) = known
            && let Some(Fetched { tip, pack }) = self.transport().fetch_directly(known).await?
            && pack.as_deref().is_none_or(packs::is_light)
        {
            let name = self.transport().tracking_ref();
            let kept = self.local(move |reader| {
                let repository = reader.repository();
                if let Some(pack) = pack {
                    pack::keep(repository, &pack)?;
                }
                // A pack that isn't whole is found out here, or at the latest when a commit is built on it.
                reader.tree_of(tip)?;
                repository.reference(&name, tip, true, "fetched")?;
                Ok(())
            });
            if kept.await.is_ok() {
                return Ok(Some(tip));
            }
        }
        self.fetch_or_empty().await
    }

    /// Fetches; the turn must be held. Most looks find nothing new, and cost no more than the question.
    async fn fetch(&self) -> Result<Oid, GitError> {
        let known = self.known_tip().await?;
        if let Some(known) = known
            && self.transport().is_at(known).await
        {
            return Ok(known);
        }
        self.transport().fetch(known.is_none()).await?;
        let missing = || self.broken("the branch was fetched but isn't there");
        self.known_tip().await?.ok_or_else(missing)
    }

    /// Fetches into the mirror, which need not be there yet; the turn must be held.
    pub(super) async fn fetch_into_it(&self) -> Result<Oid, GitError> {
        self.ensure().await?;
        self.fetch().await
    }

    /// Fetches; `None` when the remote is empty, so that a first commit may make the branch.
    async fn fetch_or_empty(&self) -> Result<Option<Oid>, GitError> {
        match self.fetch().await {
            Err(GitError::Empty { .. }) => Ok(None),
            fetched => fetched.map(Some),
        }
    }

    /// Makes the batch's commits on `tip`.
    async fn prepare(
        &self,
        memory: &mut Memory,
        tip: Option<Oid>,
        requests: &Arc<[CommitRequest]>,
    ) -> Result<Batch, GitError> {
        let requests = Arc::clone(requests);
        let mut remembered = std::mem::take(memory);
        let (batch, remembered) = self
            .local(move |reader| {
                let batch = commit::prepare(reader, &mut remembered, tip, &requests)?;
                Ok((batch, remembered))
            })
            .await?;
        *memory = remembered;
        Ok(batch)
    }

    /// One batch, whatever comes of it; the turn must be held.
    async fn commit_all(&self, memory: &mut Memory, requests: &[CommitRequest]) -> Vec<Result<Committed, GitError>> {
        let mut results: Vec<Option<Result<Committed, GitError>>> = requests.iter().map(|_| None).collect();
        let (began, mut splits) = (Instant::now(), 0);
        let mut open = VecDeque::new();
        open.push_back(0..requests.len());
        while let Some(range) = open.pop_front() {
            let part: Arc<[CommitRequest]> = requests[range.clone()].into();
            let mut failures = 0;
            let done = loop {
                let done = self.commit_part(memory, &part, began).await;
                if let Some(done) = self.settled(done, &mut failures).await {
                    break done;
                }
                *memory = Memory::default();
            };
            match done {
                Ok(done) => {
                    for (place, result) in range.zip(done) {
                        results[place] = Some(result);
                    }
                }
                // The server's policy may mind one of them: the others are not to suffer for it.
                Err(GitError::Refused { .. }) if range.len() > 1 && splits < MOST_SPLITS => {
                    splits += 1;
                    halve(&mut open, range);
                }
                Err(GitError::Contended { .. }) if range.len() > FEW && began.elapsed() < LONGEST_RACE => {
                    halve(&mut open, range);
                }
                Err(error) => {
                    for place in range {
                        results[place] = Some(Err(error.clone()));
                    }
                }
            }
        }
        let unanswered = || Err(self.broken("a commit was left out"));
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(unanswered))
            .collect()
    }

    /// Commits that go out with one push.
    async fn commit_part(
        &self,
        memory: &mut Memory,
        requests: &Arc<[CommitRequest]>,
        began: Instant,
    ) -> Result<Vec<Result<Committed, GitError>>, GitError> {
        self.ensure().await?;
        let mut tip = self.known_tip().await?;
        let mut fresh = false;
        if requests.iter().any(|request| request.retry) || tip.is_none() {
            tip = self.fetch_or_empty().await?;
            fresh = true;
        }
        let most_attempts = if requests.len() > FEW {
            MOST_LOST_BY_MANY
        } else {
            MOST_ATTEMPTS
        };
        let (mut attempts, mut unexplained) = (0, 0);
        loop {
            // Overtaken twice, this is a race.
            if attempts >= 2
                && let Some(known) = tip
                && let Some(race) = self.race(memory, known, requests).await?
            {
                attempts += 1;
                match race.pushed {
                    Pushed::Done => return Ok(self.answers(race.prepared, attempts)),
                    Pushed::Overtaken if attempts >= most_attempts || began.elapsed() > LONGEST_RACE => {
                        return Err(GitError::Contended { attempts });
                    }
                    Pushed::Overtaken => {
                        tip = Some(race.tip);
                        fresh = true;
                        self.explain(&mut unexplained, race.tip == known).await?;
                        continue;
                    }
                }
            }
            let batch = self.prepare(memory, tip, requests).await?;
            let sure = batch.prepared.iter().all(|p| matches!(p, Ok(Prepared::Commit(_))));
            if !fresh && !sure {
                // Only the remote's present state may say that there is nothing to do, or nothing to be done.
                tip = self.fetch_or_empty().await?;
                fresh = true;
                continue;
            }
            let Batch {
                prepared,
                head,
                objects,
            } = batch;
            let Some(head) = head else {
                return Ok(self.answers(prepared, attempts));
            };
            attempts += 1;
            let pushing = Instant::now();
            let pushed = self.push(tip, head, objects).await;
            count(pushing, pushed.as_ref().map(|pushed| Some(*pushed)), &prepared);
            match pushed? {
                Pushed::Done => {
                    tracing::debug!(url = %self.url, commits = requests.len(), attempts, "pushed");
                    return Ok(self.answers(prepared, attempts));
                }
                Pushed::Overtaken if attempts >= most_attempts || began.elapsed() > LONGEST_RACE => {
                    return Err(GitError::Contended { attempts });
                }
                Pushed::Overtaken => {
                    // No pause: the sooner the next push follows on this fetch, the likelier nobody comes between.
                    let before = tip;
                    tip = self.fetch_at_once(before).await?;
                    fresh = true;
                    self.explain(&mut unexplained, tip == before).await?;
                }
            }
        }
    }

    /// Removes blocks with one commit; the turn must be held.
    async fn remove_blocks(&self, removal: &BlockRemoval) -> Result<Committed, GitError> {
        self.ensure().await?;
        let began = Instant::now();
        let (mut attempts, mut unexplained) = (0, 0);
        let mut before: Option<Oid> = None;
        loop {
            let Some(tip) = self.fetch_or_empty().await? else {
                // Nothing is declared in an empty repository.
                return Ok(Committed::Absent);
            };
            if attempts > 0 {
                self.explain(&mut unexplained, before == Some(tip)).await?;
            }
            before = Some(tip);
            let wanted = removal.clone();
            let Batch {
                prepared,
                head,
                objects,
            } = self
                .local(move |reader| super::removal::prepare(reader, tip, &wanted))
                .await?;
            let answer = |attempts| {
                let answers = self.answers(prepared, attempts);
                answers.into_iter().next().unwrap_or(Ok(Committed::Absent))
            };
            let Some(head) = head else {
                return answer(attempts);
            };
            attempts += 1;
            match self.push(Some(tip), head, objects).await? {
                Pushed::Done => return answer(attempts),
                Pushed::Overtaken if attempts >= MOST_ATTEMPTS || began.elapsed() > LONGEST_RACE => {
                    return Err(GitError::Contended { attempts });
                }
                Pushed::Overtaken => {}
            }
        }
    }

    /// A rejection while nobody else moved the branch is not a lost race. Some may happen; then it is the server.
    async fn explain(&self, unexplained: &mut u32, stood_still: bool) -> Result<(), GitError> {
        *unexplained = if stood_still { *unexplained + 1 } else { 0 };
        if *unexplained >= MOST_UNEXPLAINED {
            return Err(GitError::Unreachable {
                url: self.url.clone(),
                reason: format!("it rejected {unexplained} pushes in a row although nobody else pushed"),
            });
        }
        if *unexplained > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(*unexplained) * 50)).await;
        }
        Ok(())
    }

    /// One try with requests that are begun before the branch is read, so that the least time passes between the read and the push.
    /// `None` when the server isn't one for that. Returns the tip it was built on, what was prepared, and what came of the push.
    async fn race(
        &self,
        memory: &mut Memory,
        known: Oid,
        requests: &Arc<[CommitRequest]>,
    ) -> Result<Option<Race>, GitError> {
        let transport = self.transport();
        let Some(mut begun) = transport.begin() else {
            return Ok(None);
        };
        // The server's programs start meanwhile.
        tokio::time::sleep(HEAD_START).await;
        let Some(Fetched { tip, pack }) = transport.fetch_begun(&mut begun, known).await? else {
            return Ok(None);
        };
        // What is in it goes through memory here; the program need not hold it.
        if !pack.as_deref().is_none_or(packs::is_light) {
            return Ok(None);
        }
        if let Some(pack) = pack
            && let Err(error) = self
                .local(move |reader| Ok(pack::keep(reader.repository(), &pack)?))
                .await
        {
            // The answer was cut: that is no fault of the mirror. The program asks again.
            tracing::debug!(url = %self.url, %error, "a pack that a race brought is not whole");
            return Ok(None);
        }
        let (wanted, mut remembered) = (Arc::clone(requests), std::mem::take(memory));
        let prepared = self.local(move |reader| {
            let batch = commit::prepare(reader, &mut remembered, Some(tip), &wanted)?;
            let bytes = batch.objects.pack()?;
            Ok((batch, bytes, remembered))
        });
        let (batch, bytes, remembered) = prepared.await?;
        *memory = remembered;
        let Batch {
            prepared,
            head,
            objects,
        } = batch;
        let pushed = match head {
            None => Some(Pushed::Done),
            Some(head) => {
                let pushing = Instant::now();
                let pushed = transport.push_begun(begun, tip, head, &bytes).await;
                count(pushing, pushed.as_ref().copied(), &prepared);
                pushed?
            }
        };
        let pushed = match (pushed, head) {
            (Some(Pushed::Done), Some(head)) => {
                self.note(objects, head).await;
                Pushed::Done
            }
            (Some(pushed), _) => {
                self.set_tip(tip).await?;
                pushed
            }
            (None, Some(head)) => {
                let pushing = Instant::now();
                let pushed = self.push(Some(tip), head, objects).await;
                count(pushing, pushed.as_ref().map(|pushed| Some(*pushed)), &prepared);
                pushed?
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Race { tip, prepared, pushed }))
    }

    /// Puts what the remote took into the mirror.
    async fn note(&self, objects: Objects, head: Oid) {
        let noted = match self.keep(objects).await {
            Ok(()) => self.set_tip(head).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            // The remote has it. The next push on the old tip is rejected, and that fetches.
            tracing::warn!(url = %self.url, %error, "the mirror could not note a push");
        }
    }

    /// What came of a batch that is on the remote.
    fn answers(&self, prepared: Vec<Result<Prepared, LocalError>>, attempts: u32) -> Vec<Result<Committed, GitError>> {
        let answer = |prepared| match prepared {
            Ok(Prepared::Commit(commit)) => Ok(Committed::Pushed {
                commit: Oid::to_string(&commit),
                attempts,
            }),
            Ok(Prepared::Found { commit, stands }) => Ok(Committed::Found {
                commit: commit.to_string(),
                stands,
            }),
            Ok(Prepared::Absent) => Ok(Committed::Absent),
            Ok(Prepared::Moved) => Ok(Committed::Moved),
            Ok(Prepared::Unchanged(Some(tip))) => Ok(Committed::Unchanged { tip: tip.to_string() }),
            Ok(Prepared::Unchanged(None)) => Err(self.broken("an edit of nothing changed nothing")),
            Err(error) => Err(LocalError::at(error, &self.url)),
        };
        prepared.into_iter().map(answer).collect()
    }
}

/// The halves of a part come next, the elder one first.
fn halve(open: &mut VecDeque<Range<usize>>, part: Range<usize>) {
    let middle = part.start + part.len() / 2;
    open.push_front(middle..part.end);
    open.push_front(part.start..middle);
}

/// Counts a push that began at `began`; `None` when the server wasn't one for that kind, and it is made in another.
fn count(began: Instant, pushed: Result<Option<Pushed>, &GitError>, prepared: &[Result<Prepared, LocalError>]) {
    let made = |p: &&Result<Prepared, LocalError>| matches!(p, Ok(Prepared::Commit(_)));
    let what = match pushed {
        Ok(Some(Pushed::Done)) => telemetry::Push::Accepted {
            commits: prepared.iter().filter(made).count(),
        },
        Ok(Some(Pushed::Overtaken)) => telemetry::Push::Overtaken,
        Ok(None) => return,
        Err(GitError::Refused { .. }) => telemetry::Push::Refused,
        Err(_) => telemetry::Push::Failed,
    };
    telemetry::pushed(began, what);
}

/// A try in the middle of a race.
struct Race {
    tip: Oid,
    prepared: Vec<Result<Prepared, LocalError>>,
    pushed: Pushed,
}

fn parse(mirror: &Mirror, commit: &str) -> Result<Oid, GitError> {
    Oid::from_str(commit).map_err(|_| GitError::NotFound {
        what: format!("Commit {commit:?}"),
        url: mirror.url.clone(),
    })
}

#[async_trait]
impl Git for GitMirrors {
    async fn admit(&self, url: &str) -> Result<(), GitError> {
        match self.local_paths.admit(&Address::parse(url)).await {
            Err(error @ GitError::LocalPath { .. }) => Err(error),
            // What isn't there may come to be.
            _ => Ok(()),
        }
    }

    async fn fetch(&self, repository: &RepositoryAccess) -> Result<CommitId, GitError> {
        let mirror = self.mirror(repository).await?;
        let asked = Instant::now();
        let mut turn = self.turns.wait(&mirror.path).await;
        if let Some(found) = turn.looked(repository, asked) {
            return found;
        }
        let began = Instant::now();
        let mut failures = 0;
        let fetched = loop {
            if let Some(fetched) = mirror.settled(mirror.fetch_into_it().await, &mut failures).await {
                break fetched;
            }
        };
        let found = fetched.map(|tip| tip.to_string());
        turn.keep(repository, began, found.clone());
        found
    }

    async fn probe(&self, repository: &RepositoryAccess, paths: &[String], prefix: &str) -> Result<Probe, Unprobed> {
        let remote = self.local_paths.admit(&Address::parse(&repository.url)).await?;
        let wire = self.wire.as_ref();
        probe::look(&self.path_of(repository), repository, &remote, wire, paths, prefix).await
    }

    async fn known_tip(&self, repository: &RepositoryAccess) -> Result<Option<CommitId>, GitError> {
        let tip = self.mirror(repository).await?.known_tip().await?;
        Ok(tip.map(|tip| tip.to_string()))
    }

    async fn services(
        &self,
        repository: &RepositoryAccess,
        commit: &str,
        path: &str,
        prefix: &str,
    ) -> Result<Option<Vec<DeclaredService>>, GitError> {
        let mirror = self.mirror(repository).await?;
        let commit = parse(&mirror, commit)?;
        let (path, prefix) = (path.to_owned(), prefix.to_owned());
        let read = move |reader: &Reader<'_>| view::services(reader, commit, &path, &prefix);
        self.read_branch(&mirror, read).await
    }

    async fn refusals(
        &self,
        repository: &RepositoryAccess,
        commit: &str,
        path: &str,
        prefix: &str,
        services: &[String],
    ) -> Result<Vec<String>, GitError> {
        let mirror = self.mirror(repository).await?;
        let commit = parse(&mirror, commit)?;
        let (path, prefix, services) = (path.to_owned(), prefix.to_owned(), services.to_owned());
        let look = move |reader: &Reader<'_>| {
            let text = view::read_file(reader, commit, &path)?;
            Ok(text.map_or_else(Vec::new, |text| values::refusals(&text, &prefix, &services)))
        };
        self.read_branch(&mirror, look).await
    }

    async fn commit_and_push_all(
        &self,
        repository: &RepositoryAccess,
        requests: &[CommitRequest],
    ) -> Vec<Result<Committed, GitError>> {
        let mirror = match self.mirror(repository).await {
            Ok(mirror) => mirror,
            Err(error) => return requests.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut turn = self.turns.wait(&mirror.path).await;
        turn.forget_look();
        mirror.commit_all(&mut turn.memory, requests).await
    }

    async fn remove_blocks(
        &self,
        repository: &RepositoryAccess,
        removal: &BlockRemoval,
    ) -> Result<Committed, GitError> {
        let mirror = self.mirror(repository).await?;
        let mut turn = self.turns.wait(&mirror.path).await;
        turn.forget_look();
        let mut failures = 0;
        loop {
            let done = mirror.remove_blocks(removal).await;
            if let Some(done) = mirror.settled(done, &mut failures).await {
                return done;
            }
            turn.memory = Memory::default();
        }
    }

    async fn preview(&self, repository: &RepositoryAccess, edits: &[PlaceEdit]) -> Result<Difference, GitError> {
        let mirror = self.mirror(repository).await?;
        if self.known_tip(repository).await?.is_none() {
            let _turn = self.turns.wait(&mirror.path).await;
            mirror.ensure().await?;
            mirror.fetch_or_empty().await?;
        }
        let tip = mirror.known_tip().await?;
        let edits = edits.to_vec();
        self.read_branch(&mirror, move |reader| view::preview(reader, tip, &edits))
            .await
    }

    async fn show(&self, repository: &RepositoryAccess, commit: &str) -> Result<Option<CommitView>, GitError> {
        let mirror = self.mirror(repository).await?;
        let Ok(commit) = Oid::from_str(commit) else {
            return Ok(None);
        };
        if !mirror.path.exists() {
            return Ok(None);
        }
        mirror.local(move |reader| view::show(reader, commit)).await
    }

    async fn last_change(
        &self,
        repository: &RepositoryAccess,
        since: &str,
        tip: &str,
        place: &ServicePlace,
    ) -> Result<Option<ServiceChange>, GitError> {
        let mirror = self.mirror(repository).await?;
        let (since, tip, place) = (parse(&mirror, since)?, parse(&mirror, tip)?, place.clone());
        mirror
            .local(move |reader| last_change::last_change(reader, since, tip, &place))
            .await
    }

    async fn contains(
        &self,
        repository: &RepositoryAccess,
        descendant: &str,
        ancestor: &str,
    ) -> Result<bool, GitError> {
        let mirror = self.mirror(repository).await?;
        let (descendant, ancestor) = (parse(&mirror, descendant)?, parse(&mirror, ancestor)?);
        let look = move |reader: &Reader<'_>| view::contains(reader, descendant, ancestor);
        if mirror.path.exists()
            && let Some(answer) = mirror.local(look).await?
        {
            return Ok(answer);
        }
        self.fetch(repository).await?;
        Ok(mirror.local(look).await?.unwrap_or(false))
    }
}
