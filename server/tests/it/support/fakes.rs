//! An outside world in memory that holds state: what is committed can be read, what is pushed can be resolved.

use super::BEGIN;
use async_trait::async_trait;
use domain::{
    artifact::{ArtifactDetails, DeclaredImage, Digest, Repository, Tag},
    id::PromotionId,
    plan::{AppSnapshot, LogLine, Patient, PodEvent},
    presence::{ImagePart, Presence},
    time::Timestamp,
};
use futures::stream::{self, BoxStream, StreamExt as _};
use server::{
    adapters::system::System,
    ports::{
        argocd::{
            AppRef, ArgoCd, ArgoCdAccess, ArgoCdError, Checked, Inspected, Refresh, SyncRequest, WatchEvent, Window,
            Workloads,
        },
        clock::{Clock, Ids},
        git::{
            BlockRemoval, CommitId, CommitRequest, CommitView, Committed, DeclaredService, Difference, Git, GitError,
            PlaceEdit, Probe, RepositoryAccess, ServiceChange, ServicePlace, Unprobed,
        },
        image_copy::{CopyEnd, CopyError},
        image_look::{ImageLook, LookPace},
        registry::{Hanging, Registry, RegistryAccess, RegistryError},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A clock that stands until it is moved.
pub(crate) struct SetClock(AtomicI64);

impl Default for SetClock {
    fn default() -> Self {
        Self(AtomicI64::new(BEGIN.0))
    }
}

impl SetClock {
    pub(crate) fn forward(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The system's clock, until it is moved forward; then it goes on from there.
#[derive(Default)]
pub(crate) struct MovedClock(AtomicI64);

impl MovedClock {
    pub(crate) fn forward(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

/// They begin with the moved time, as those of a server with such a clock do.
impl Ids for MovedClock {
    fn next(&self) -> Uuid {
        let mut bytes = System.next().into_bytes();
        bytes[..6].copy_from_slice(&self.now().0.to_be_bytes()[2..]);
        Uuid::from_bytes(bytes)
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        System.now().plus_millis(self.0.load(Ordering::SeqCst))
    }
}

/// One branch of one repository: the image of each service in each file, and the commits made.
#[derive(Default)]
pub(crate) struct FakeGit(Mutex<Branch>);

#[derive(Default)]
struct Branch {
    files: BTreeMap<String, BTreeMap<String, DeclaredImage>>,
    commits: Vec<String>,
    /// Of which promotions.
    committed: Vec<PromotionId>,
    /// Why it can't be reached.
    down: Option<String>,
    seen: Option<RepositoryAccess>,
    fetched: usize,
    /// Fetches that may go on, once they are held back.
    held: Option<Arc<Semaphore>>,
}

impl FakeGit {
    /// Somebody else's commit: a service runs this image from now on.
    pub(crate) fn declare(&self, path: &str, service: &str, repository: &str, tag: &str, digest: &str) {
        let image = DeclaredImage {
            repository: Some(repository.parse().unwrap()),
            tag: Some(tag.parse().unwrap()),
            digest: Some(digest.parse().unwrap()),
            unclear: None,
        };
        let mut branch = self.0.lock().unwrap();
        branch
            .files
            .entry(path.into())
            .or_default()
            .insert(service.into(), image);
        branch.commits.push(format!("declare {service}"));
    }

    /// The promotion of each of Waybill's commits.
    pub(crate) fn committed(&self) -> Vec<PromotionId> {
        self.0.lock().unwrap().committed.clone()
    }

    /// How it was last reached.
    pub(crate) fn seen(&self) -> Option<RepositoryAccess> {
        self.0.lock().unwrap().seen.clone()
    }

    /// How often somebody looked at it.
    pub(crate) fn fetched(&self) -> usize {
        self.0.lock().unwrap().fetched
    }

    /// Holds looks at it back, until it is let go.
    pub(crate) fn hold(&self) {
        self.0.lock().unwrap().held = Some(Arc::new(Semaphore::new(0)));
    }

    pub(crate) fn let_go(&self) {
        if let Some(held) = self.0.lock().unwrap().held.take() {
            held.close();
        }
    }

    pub(crate) fn go_down(&self, why: Option<&str>) {
        self.0.lock().unwrap().down = why.map(Into::into);
    }
}

impl Branch {
    fn tip(&self) -> CommitId {
        format!("{:040x}", self.commits.len())
    }

    fn commit(&mut self, request: &CommitRequest) -> Committed {
        let image = DeclaredImage {
            repository: Some(request.edits[0].image.repository.clone()),
            tag: request.edits[0].image.tag.clone(),
            digest: Some(request.edits[0].image.digest.clone()),
            unclear: None,
        };
        if self.committed.contains(&request.promotion) && !request.again {
            return Committed::Found {
                commit: self.tip(),
                stands: true,
            };
        }
        assert_eq!(request.edits.len(), 1, "the fake knows commits with one edit");
        let file = self.files.entry(request.edits[0].place.path.clone()).or_default();
        if file.get(&request.edits[0].place.service) == Some(&image) {
            return Committed::Unchanged { tip: self.tip() };
        }
        file.insert(request.edits[0].place.service.clone(), image);
        self.commits.push(request.subject.clone());
        self.committed.push(request.promotion);
        Committed::Pushed {
            commit: self.tip(),
            attempts: 1,
        }
    }
}

#[async_trait]
impl Git for FakeGit {
    async fn admit(&self, _: &str) -> Result<(), GitError> {
        Ok(())
    }

    async fn fetch(&self, repository: &RepositoryAccess) -> Result<CommitId, GitError> {
        let held = {
            let mut branch = self.0.lock().unwrap();
            branch.fetched += 1;
            branch.held.clone()
        };
        if let Some(held) = held {
            let _ = held.acquire().await;
        }
        let mut branch = self.0.lock().unwrap();
        branch.seen = Some(repository.clone());
        match &branch.down {
            Some(why) => Err(GitError::Unreachable {
                url: repository.url.clone(),
                reason: why.clone(),
            }),
            None => Ok(branch.tip()),
        }
    }

    async fn probe(&self, repository: &RepositoryAccess, paths: &[String], prefix: &str) -> Result<Probe, Unprobed> {
        let tip = self.fetch(repository).await?;
        let mut files = Vec::new();
        for path in paths {
            files.push(self.services(repository, &tip, path, prefix).await);
        }
        Ok(Probe {
            tip,
            files,
            refusals: Vec::new(),
            push: Ok(()),
        })
    }

    async fn known_tip(&self, _: &RepositoryAccess) -> Result<Option<CommitId>, GitError> {
        Ok(Some(self.0.lock().unwrap().tip()))
    }

    async fn services(
        &self,
        _: &RepositoryAccess,
        _: &str,
        path: &str,
        _: &str,
    ) -> Result<Option<Vec<DeclaredService>>, GitError> {
        let branch = self.0.lock().unwrap();
        let declared = |(name, image): (&String, &DeclaredImage)| DeclaredService {
            name: name.clone(),
            image: image.clone(),
            raw_tag: image.tag.as_ref().map(ToString::to_string),
            enabled: true,
        };
        // Every file is there, and some say nothing.
        let file = branch.files.get(path).map(|file| file.iter().map(declared).collect());
        Ok(Some(file.unwrap_or_default()))
    }

    async fn refusals(
        &self,
        _: &RepositoryAccess,
        _: &str,
        _: &str,
        _: &str,
        _: &[String],
    ) -> Result<Vec<String>, GitError> {
        Ok(Vec::new())
    }

    async fn commit_and_push_all(
        &self,
        _: &RepositoryAccess,
        requests: &[CommitRequest],
    ) -> Vec<Result<Committed, GitError>> {
        let mut branch = self.0.lock().unwrap();
        requests.iter().map(|request| Ok(branch.commit(request))).collect()
    }

    async fn remove_blocks(
        &self,
        repository: &RepositoryAccess,
        removal: &BlockRemoval,
    ) -> Result<Committed, GitError> {
        self.fetch(repository).await?;
        let mut branch = self.0.lock().unwrap();
        let file = branch.files.entry(removal.path.clone()).or_default();
        let before = file.len();
        file.retain(|service, _| !removal.services.contains(service));
        if file.len() == before {
            return Ok(Committed::Unchanged { tip: branch.tip() });
        }
        branch.commits.push(removal.subject.clone());
        Ok(Committed::Pushed {
            commit: branch.tip(),
            attempts: 1,
        })
    }

    async fn preview(&self, _: &RepositoryAccess, _: &[PlaceEdit]) -> Result<Difference, GitError> {
        Ok(Difference::default())
    }

    async fn show(&self, _: &RepositoryAccess, _: &str) -> Result<Option<CommitView>, GitError> {
        Ok(None)
    }

    async fn last_change(
        &self,
        _: &RepositoryAccess,
        _: &str,
        _: &str,
        _: &ServicePlace,
    ) -> Result<Option<ServiceChange>, GitError> {
        Ok(None)
    }

    async fn contains(&self, _: &RepositoryAccess, descendant: &str, ancestor: &str) -> Result<bool, GitError> {
        Ok(descendant >= ancestor)
    }
}

/// Applications as tests set them.
#[derive(Default)]
pub(crate) struct FakeArgoCd(Mutex<HashMap<String, AppSnapshot>>);

#[async_trait]
impl ArgoCd for FakeArgoCd {
    async fn app(&self, _: &ArgoCdAccess, app: &AppRef, _: Refresh) -> Result<AppSnapshot, ArgoCdError> {
        let found = self.0.lock().unwrap().get(&app.name).cloned();
        found.ok_or_else(|| ArgoCdError::NotFound { app: app.name.clone() })
    }

    async fn workloads(&self, _: &ArgoCdAccess, _: &AppRef) -> Result<Workloads, ArgoCdError> {
        Ok(Workloads::Withheld("permission denied".into()))
    }

    async fn events(&self, _: &ArgoCdAccess, _: &AppRef, _: &Patient) -> Result<Vec<PodEvent>, ArgoCdError> {
        Ok(Vec::new())
    }

    async fn logs(&self, _: &ArgoCdAccess, _: &AppRef, _: &str, _: Option<&str>) -> Result<Vec<LogLine>, ArgoCdError> {
        Ok(Vec::new())
    }

    async fn sync(&self, _: &ArgoCdAccess, _: &AppRef, _: &SyncRequest) -> Result<(), ArgoCdError> {
        Ok(())
    }

    async fn end_operation(&self, _: &ArgoCdAccess, _: &AppRef) -> Result<(), ArgoCdError> {
        Ok(())
    }

    async fn window(&self, _: &ArgoCdAccess, _: &AppRef, _: &str, _: Timestamp) -> Result<Window, ArgoCdError> {
        Ok(Window::Open)
    }

    fn watch(&self, _: &ArgoCdAccess) -> BoxStream<'static, Result<WatchEvent, ArgoCdError>> {
        stream::pending().boxed()
    }

    async fn check(&self, _: &ArgoCdAccess) -> Result<Checked, ArgoCdError> {
        Ok(Checked {
            version: Some("v3.0.0".into()),
            says_valid: true,
        })
    }

    async fn inspect(&self, access: &ArgoCdAccess, app: &AppRef) -> Result<Inspected, ArgoCdError> {
        Ok(Inspected {
            app: self.app(access, app, Refresh::No).await?,
            ..Inspected::default()
        })
    }
}

/// Repositories with their tags, in the order of pushing.
#[derive(Default)]
pub(crate) struct FakeRegistry {
    repositories: Mutex<HashMap<String, Vec<(Tag, Digest)>>>,
    /// The tags it was asked what they name, in this order, answered or not yet.
    asked: Mutex<Vec<String>>,
    /// Answers that may be given, once it holds them back.
    held: Mutex<Option<Arc<Semaphore>>>,
    is_down: AtomicBool,
}

impl FakeRegistry {
    /// The tags it was asked about, with their repositories.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Holds its answers back, until it is let go.
    pub(crate) fn hold(&self) {
        *self.held.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    }

    pub(crate) fn let_go(&self) {
        if let Some(held) = self.held.lock().unwrap().take() {
            held.close();
        }
    }

    /// Answers from now on; what it was asked before waits until what this returns is closed.
    pub(crate) fn answer_others(&self) -> Arc<Semaphore> {
        self.held.lock().unwrap().take().unwrap()
    }

    pub(crate) fn go_down(&self, down: bool) {
        self.is_down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn push(&self, repository: &str, tag: &str, digest: &str) {
        let mut repositories = self.repositories.lock().unwrap();
        let tags = repositories.entry(repository.into()).or_default();
        tags.retain(|(t, _)| t.as_str() != tag);
        tags.push((tag.parse().unwrap(), digest.parse().unwrap()));
    }

    fn tags_of(&self, repository: &Repository) -> Vec<(Tag, Digest)> {
        self.repositories
            .lock()
            .unwrap()
            .get(repository.as_str())
            .cloned()
            .unwrap_or_default()
    }
}

#[async_trait]
impl Registry for FakeRegistry {
    async fn resolve(
        &self,
        _: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, RegistryError> {
        self.asked.lock().unwrap().push(format!("{repository}:{tag}"));
        let held = self.held.lock().unwrap().clone();
        if let Some(held) = held {
            let _ = held.acquire().await;
        }
        if self.is_down.load(Ordering::SeqCst) {
            return Err(RegistryError::Unreachable {
                registry: repository.registry().to_owned(),
                reason: "it is down".into(),
            });
        }
        Ok(self
            .tags_of(repository)
            .into_iter()
            .find(|(t, _)| t == tag)
            .map(|(_, digest)| digest))
    }

    async fn exists(
        &self,
        _: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        Ok(self.tags_of(repository).iter().any(|(_, d)| d == digest))
    }

    async fn describe(
        &self,
        _: &RegistryAccess,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ArtifactDetails>, RegistryError> {
        let known = self.tags_of(repository).iter().any(|(_, d)| d == digest);
        let details = ArtifactDetails {
            platforms: vec!["linux/amd64".into()],
            ..ArtifactDetails::default()
        };
        Ok(known.then_some(details))
    }

    async fn attached(
        &self,
        _: &RegistryAccess,
        _: &Repository,
        _: &Digest,
        _: &[&str],
    ) -> Result<Hanging, RegistryError> {
        Ok(Hanging::default())
    }

    async fn tags(&self, _: &RegistryAccess, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        Ok(self.tags_of(repository).into_iter().map(|(tag, _)| tag).collect())
    }
    async fn check(&self, _: &RegistryAccess, _: &str) -> Result<(), RegistryError> {
        Ok(())
    }
}

/// A registry that lost nothing.
pub(crate) struct AllThere;

#[async_trait]
impl ImageLook for AllThere {
    async fn look(
        &self,
        _at: &CopyEnd,
        _digest: &Digest,
        known: &[ImagePart],
        _pace: LookPace,
    ) -> Result<Presence, CopyError> {
        Ok(Presence {
            parts: known.to_vec(),
            missing: Vec::new(),
        })
    }
}
