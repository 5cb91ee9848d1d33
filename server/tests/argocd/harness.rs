//! A bare repository, a stand-in that reads it, and a promotion that is driven as the worker drives it.

use argocd_standin::{AppSpec, Options, Policy, Standin, Timing, TokenGrant, token_for};
use domain::{
    artifact::{Digest, Repository},
    plan::{AppSnapshot, Committed, Health, Intent, Next, candidate_revisions, next},
    time::Timestamp,
};
use secrecy::SecretString;
use server::{
    adapters::argocd::{ArgoCdClient, Timeouts},
    ports::argocd::{AppRef, ArgoCd, ArgoCdAccess, ArgoCdError, Refresh, SyncRequest, Workloads},
};
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long a condition may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(15);
/// The file that the Application is made from.
const FILE: &str = "environments/production/values.yaml";
/// The account that the tests speak as.
pub(crate) const SUBJECT: &str = "proj:shop:promoter";
/// The Application.
pub(crate) const APP: &str = "shop-production";

pub(crate) struct Bench {
    pub(crate) standin: Standin,
    pub(crate) client: ArgoCdClient,
    pub(crate) access: ArgoCdAccess,
    pub(crate) app: AppRef,
    repository: tempfile::TempDir,
}

/// What is unusual about a bench.
pub(crate) struct Setup {
    pub(crate) automated: bool,
    pub(crate) timing: Timing,
    pub(crate) timeouts: Timeouts,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            automated: false,
            timing: Timing::fast(),
            timeouts: Timeouts::default(),
        }
    }
}

/// A digest of one repeated character.
pub(crate) fn digest(character: char) -> Digest {
    format!("sha256:{}", String::from(character).repeat(64))
        .parse()
        .unwrap()
}

pub(crate) fn image_repository() -> Repository {
    "r.example/api".parse().unwrap()
}

pub(crate) fn now() -> Timestamp {
    Timestamp((time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64)
}

/// Polls until `probe` gives something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(POLL).await;
    }
}

impl Bench {
    /// An Application whose digest `a` is live.
    pub(crate) async fn start(setup: Setup) -> Self {
        let repository = tempfile::tempdir().unwrap();
        let git = git2::Repository::init_bare(repository.path()).unwrap();
        git.set_head("refs/heads/main").unwrap();
        let standin = Standin::start(Options {
            tokens: vec![TokenGrant::new(SUBJECT, Policy::promoter("shop"))],
            timing: setup.timing.clone(),
            ..Options::default()
        })
        .await
        .unwrap();
        let bench = Self {
            client: ArgoCdClient::with_timeouts(setup.timeouts),
            access: ArgoCdAccess {
                url: standin.url().to_owned(),
                token: SecretString::from(token_for(SUBJECT)),
                ca: None,
            },
            app: AppRef {
                name: APP.into(),
                project: Some("shop".into()),
                namespace: None,
            },
            standin,
            repository,
        };
        bench.push(&digest('a'));
        bench.standin.upsert_app(AppSpec {
            automated: setup.automated,
            ..AppSpec::new(APP, "shop", bench.repository.path().to_str().unwrap(), FILE)
        });
        bench.standin.set_timing(Timing::fast());
        if !setup.automated {
            bench.sync(None).await.unwrap();
        }
        bench
            .wait_for("the first digest", |app| {
                let settled = app.sync_status == "Synced" && app.health == Health::Healthy && !app.operation_pending;
                settled && app.images.iter().any(|image| image.ends_with(digest('a').as_str()))
            })
            .await;
        bench.standin.set_timing(setup.timing);
        bench
    }

    /// Commits and pushes the digest.
    pub(crate) fn push(&self, digest: &Digest) -> String {
        self.commit(
            FILE,
            &format!(
                "services:\n  api:\n    image:\n      repository: {}\n      tag: v1\n      digest: {digest}\n",
                image_repository()
            ),
        )
    }

    /// Commits one file on `main`.
    pub(crate) fn commit(&self, path: &str, content: &str) -> String {
        let git = self.git();
        let parent = git
            .find_reference("refs/heads/main")
            .ok()
            .map(|head| head.peel_to_commit().unwrap());
        let blob = git.blob(content.as_bytes()).unwrap();
        let empty = git.find_tree(git.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let base = parent.as_ref().map_or(empty, |parent| parent.tree().unwrap());
        let mut update = git2::build::TreeUpdateBuilder::new();
        update.upsert(path, blob, git2::FileMode::Blob);
        let tree = git.find_tree(update.create_updated(&git, &base).unwrap()).unwrap();
        let who = git2::Signature::now("Test", "test@example.com").unwrap();
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        git.commit(Some("refs/heads/main"), &who, &who, "change", &tree, &parents)
            .unwrap()
            .to_string()
    }

    fn git(&self) -> git2::Repository {
        git2::Repository::open_bare(self.repository.path()).unwrap()
    }

    pub(crate) async fn read(&self) -> Result<AppSnapshot, ArgoCdError> {
        self.client.app(&self.access, &self.app, Refresh::No).await
    }

    pub(crate) async fn sync(&self, revision: Option<&str>) -> Result<(), ArgoCdError> {
        let request = SyncRequest {
            revision: revision.map(str::to_owned),
            only: Vec::new(),
            promotion: "p-other".into(),
        };
        self.client.sync(&self.access, &self.app, &request).await
    }

    /// How many syncs were asked for.
    pub(crate) fn syncs(&self) -> usize {
        let requests = self.standin.requests();
        requests
            .iter()
            .filter(|request| request.starts_with("POST") && request.contains("/sync"))
            .count()
    }

    /// Waits until nothing is running and the refresh loop has looked.
    pub(crate) async fn wait_for(&self, what: &str, fits: impl Fn(&AppSnapshot) -> bool) -> AppSnapshot {
        until(what, async || self.read().await.ok().filter(|app| fits(app))).await
    }

    pub(crate) fn promotion(&self, commit: &str, digest: Digest) -> Promotion<'_> {
        Promotion {
            bench: self,
            commit: commit.to_owned(),
            digest,
            id: "p1".into(),
            pushed_at: now(),
            grace_millis: 60_000,
        }
    }
}

/// A promotion after its push.
pub(crate) struct Promotion<'a> {
    bench: &'a Bench,
    commit: String,
    digest: Digest,
    pub(crate) id: String,
    pushed_at: Timestamp,
    pub(crate) grace_millis: i64,
}

impl Promotion<'_> {
    /// What comes next for this look.
    pub(crate) fn decide(&self, app: &AppSnapshot) -> Next {
        let git = self.bench.git();
        let commit = git2::Oid::from_str(&self.commit).unwrap();
        let covering: Vec<String> = candidate_revisions(app, &self.commit)
            .into_iter()
            .filter(|revision| {
                let revision = git2::Oid::from_str(revision).unwrap();
                git.graph_descendant_of(revision, commit).unwrap_or(false)
            })
            .collect();
        let intent = Intent {
            commit: &self.commit,
            digest: &self.digest,
            repository: &image_repository(),
            committed: Committed {
                repository: self.bench.repository.path().to_str().unwrap(),
                branch: "main",
                files: &[FILE.to_owned()],
            },
            promotion: &self.id,
            pushed_at: self.pushed_at,
            now: now(),
            beside: &[],
            expects_pods: true,
            only_own: false,
            stable_millis: 0,
            grace_millis: self.grace_millis,
        };
        next(app, &intent, &covering)
    }

    /// Does what comes next until the end, or until `stop` says so.
    pub(crate) async fn run(&self, stop: impl Fn(&Next) -> bool) -> Next {
        let Bench {
            client, access, app, ..
        } = self.bench;
        let begun = Instant::now();
        let mut refresh = Refresh::Normal;
        loop {
            let mut snapshot = client
                .app(access, app, std::mem::replace(&mut refresh, Refresh::No))
                .await
                .unwrap();
            let mut next = self.decide(&snapshot);
            if next == Next::Inspect {
                match client.workloads(access, app).await.unwrap() {
                    Workloads::Read(workloads) => snapshot.workloads = Some(workloads),
                    Workloads::Withheld(why) => snapshot.workloads_withheld = Some(why),
                }
                next = self.decide(&snapshot);
            }
            if stop(&next) {
                return next;
            }
            match &next {
                Next::Live { .. } | Next::NotRendered { .. } | Next::Failed { .. } => return next,
                Next::Wait { .. } | Next::SyncsItself { .. } | Next::Paused { .. } | Next::Inspect => {}
                Next::Refresh { .. } => refresh = Refresh::Normal,
                Next::Sync { revision, .. } => {
                    let request = SyncRequest {
                        revision: revision.clone(),
                        only: Vec::new(),
                        promotion: self.id.clone(),
                    };
                    match client.sync(access, app, &request).await {
                        Ok(()) => {}
                        Err(error) if error.is_passing() => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert!(begun.elapsed() < PATIENCE, "still at {next:?} of {snapshot:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Until it is live: then the cluster runs the digest and nothing else.
    pub(crate) async fn live(&self) -> String {
        match self.run(|_| false).await {
            Next::Live { evidence } => {
                let images = self.bench.standin.live_images(APP);
                assert!(
                    images.iter().all(|image| image.ends_with(self.digest.as_str())),
                    "said to be live too early: {images:?}"
                );
                evidence
            }
            other => panic!("{other:?}"),
        }
    }

    /// Until it has failed, for a reason with these words.
    pub(crate) async fn fails(&self, words: &str) {
        match self.run(|_| false).await {
            Next::NotRendered { reason, .. } | Next::Failed { reason, .. } => {
                assert!(reason.contains(words), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }

    /// Until it says that it waits, with these words.
    pub(crate) async fn waits(&self, words: &str) {
        self.run(|next| matches!(next, Next::Wait { why } if why.contains(words)))
            .await;
    }
}
