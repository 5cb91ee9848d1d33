//! Reading the Git repository that an Application names.
//!
//! A repository on disk is read in place with libgit2. For `http(s)` the `git` program keeps a bare mirror in a temporary
//! directory, brought up to date before each look; looks that arrive while a fetch runs share the next one.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use git2::{ErrorCode, Repository};

const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Why Git could not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    #[error("unable to resolve '{0}' to a commit SHA")]
    Unresolved(String),
    #[error("repository not accessible: {0}")]
    Unreachable(String),
    #[error("failed to read the repository: {0}")]
    Broken(#[from] git2::Error),
}

/// What the revision page shows about a commit.
pub(crate) struct CommitInfo {
    pub(crate) author: String,
    pub(crate) seconds: i64,
    pub(crate) message: String,
    pub(crate) tags: Vec<String>,
}

/// All repositories that Applications have named so far.
pub(crate) struct Repos {
    home: tempfile::TempDir,
    mirrors: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Mirror>>>>,
}

struct Mirror {
    path: PathBuf,
    fetch_started: Option<Instant>,
}

impl Repos {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            home: tempfile::tempdir()?,
            mirrors: Mutex::default(),
        })
    }

    /// The commit that a branch, tag, commit or `HEAD` stands for right now. Forty hex characters are believed without a
    /// look, as Argo CD does.
    pub(crate) async fn resolve(&self, url: &str, revision: &str) -> Result<String, GitError> {
        if is_full_sha(revision) {
            return Ok(revision.to_owned());
        }
        let (path, mirrored) = self.open(url).await?;
        let revision = revision.to_owned();
        blocking(move || {
            let repo = Repository::open_bare(&path)?;
            let names: Vec<String> = if revision == "HEAD" || revision.is_empty() {
                vec![if mirrored { "refs/standin/HEAD" } else { "HEAD" }.to_owned()]
            } else {
                let plain = revision.clone();
                let mut names = vec![format!("refs/heads/{plain}"), format!("refs/tags/{plain}")];
                names.extend(plain.starts_with("refs/").then(|| plain.clone()));
                names.extend((plain.len() >= 7 && plain.bytes().all(|b| b.is_ascii_hexdigit())).then(|| plain.clone()));
                names
            };
            for name in names {
                match repo.revparse_single(&name).and_then(|object| object.peel_to_commit()) {
                    Ok(commit) => return Ok(commit.id().to_string()),
                    Err(error) if error.code() == ErrorCode::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(GitError::Unresolved(revision))
        })
        .await
    }

    /// A file at a commit; `None` when the commit does not have it. A commit that is not there is an error.
    pub(crate) async fn read(&self, url: &str, sha: &str, file: &str) -> Result<Option<String>, GitError> {
        let file = file.trim_start_matches('/').to_owned();
        self.with_commit(url, sha, move |repo, commit| {
            match commit.tree()?.get_path(Path::new(&file)) {
                Ok(entry) => {
                    let object = entry.to_object(repo)?;
                    Ok(object
                        .as_blob()
                        .map(|blob| String::from_utf8_lossy(blob.content()).into_owned()))
                }
                Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The YAML and JSON files of a folder at a commit with their paths, sorted; those of its folders too when `deep`.
    /// None when the commit does not have the folder.
    pub(crate) async fn folder(
        &self,
        url: &str,
        sha: &str,
        folder: &str,
        deep: bool,
    ) -> Result<Vec<(String, String)>, GitError> {
        let folder = folder.to_owned();
        self.with_commit(url, sha, move |repo, commit| {
            let root = commit.tree()?;
            let tree = if folder.is_empty() {
                root
            } else {
                match root.get_path(Path::new(&folder)) {
                    Ok(entry) => match entry.to_object(repo)?.into_tree() {
                        Ok(tree) => tree,
                        Err(_) => return Ok(Vec::new()),
                    },
                    Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
                    Err(error) => return Err(error.into()),
                }
            };
            let mut files = Vec::new();
            tree.walk(git2::TreeWalkMode::PreOrder, |at, entry| {
                let name = entry.name().unwrap_or_default();
                if entry.kind() == Some(git2::ObjectType::Tree) {
                    return if deep { 0 } else { 1 };
                }
                let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
                if is_manifest && let Ok(blob) = repo.find_blob(entry.id()) {
                    let text = String::from_utf8_lossy(blob.content()).into_owned();
                    files.push((format!("{at}{name}"), text));
                }
                0
            })?;
            files.sort();
            Ok(files)
        })
        .await
    }

    /// The files that differ between two commits, those that went included.
    pub(crate) async fn changed(&self, url: &str, old: &str, new: &str) -> Result<Vec<String>, GitError> {
        let from = old.to_owned();
        self.with_commit(url, new, move |repo, commit| {
            let old = git2::Oid::from_str(&from).and_then(|id| repo.find_commit(id));
            let old = old.map_err(|_| GitError::Unresolved(from.clone()))?;
            let diff = repo.diff_tree_to_tree(Some(&old.tree()?), Some(&commit.tree()?), None)?;
            let path = |file: git2::DiffFile<'_>| file.path().and_then(Path::to_str).map(str::to_owned);
            let both = diff
                .deltas()
                .flat_map(|delta| [path(delta.old_file()), path(delta.new_file())]);
            Ok(both.flatten().collect())
        })
        .await
    }

    /// Author, date, message and tags of a commit.
    pub(crate) async fn describe(&self, url: &str, sha: &str) -> Result<CommitInfo, GitError> {
        self.with_commit(url, sha, |repo, commit| {
            let mut tags = Vec::new();
            for name in repo.tag_names(None)?.iter().filter_map(|name| name.ok().flatten()) {
                let target = repo
                    .revparse_single(&format!("refs/tags/{name}"))
                    .and_then(|object| object.peel_to_commit());
                if target.is_ok_and(|target| target.id() == commit.id()) {
                    tags.push(name.to_owned());
                }
            }
            Ok(CommitInfo {
                author: commit.author().to_string(),
                seconds: commit.time().seconds(),
                message: commit.message().unwrap_or_default().to_owned(),
                tags,
            })
        })
        .await
    }

    async fn with_commit<T: Send + 'static>(
        &self,
        url: &str,
        sha: &str,
        look: impl FnOnce(&Repository, &git2::Commit<'_>) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let path = match self.mirrored(url, sha) {
            Some(path) => path,
            None => self.open(url).await?.0,
        };
        let sha = sha.to_owned();
        blocking(move || {
            let repo = Repository::open_bare(&path)?;
            let oid = git2::Oid::from_str(&sha).map_err(|_| GitError::Unresolved(sha.clone()))?;
            match repo.find_commit(oid) {
                Ok(commit) => look(&repo, &commit),
                Err(error) if error.code() == ErrorCode::NotFound => Err(GitError::Unresolved(sha)),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The mirror of a remote repository when it already holds the commit, so that no fetch is needed.
    fn mirrored(&self, url: &str, sha: &str) -> Option<PathBuf> {
        if local_path(url).is_some() {
            return None;
        }
        let mirror = self
            .mirrors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(url)
            .cloned()?;
        let path = mirror.try_lock().ok()?.path.clone();
        let held =
            Repository::open_bare(&path).and_then(|repo| repo.find_commit(git2::Oid::from_str(sha)?).map(|_| ()));
        held.is_ok().then_some(path)
    }

    async fn open(&self, url: &str) -> Result<(PathBuf, bool), GitError> {
        if let Some(path) = local_path(url) {
            let bare = path.join("HEAD").is_file();
            return Ok((if bare { path } else { path.join(".git") }, false));
        }
        let asked = Instant::now();
        let mirror = {
            let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            let next = self.home.path().join(format!("{}.git", mirrors.len()));
            Arc::clone(mirrors.entry(url.to_owned()).or_insert_with(|| {
                Arc::new(tokio::sync::Mutex::new(Mirror {
                    path: next,
                    fetch_started: None,
                }))
            }))
        };
        let mut mirror = mirror.lock().await;
        if mirror.fetch_started.is_none_or(|started| started < asked) {
            let started = Instant::now();
            fetch(&mirror.path, url).await?;
            mirror.fetch_started = Some(started);
        }
        Ok((mirror.path.clone(), true))
    }
}

async fn fetch(mirror: &Path, url: &str) -> Result<(), GitError> {
    if !mirror.exists() {
        let path = mirror.to_owned();
        blocking(move || Ok(Repository::init_bare(&path).map(|_| ())?)).await?;
    }
    let run = tokio::process::Command::new("git")
        .arg("--git-dir")
        .arg(mirror)
        .args([
            "fetch",
            "--quiet",
            "--prune",
            "--no-write-fetch-head",
            "--end-of-options",
            url,
        ])
        .args([
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
            "+HEAD:refs/standin/HEAD",
        ])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(FETCH_TIMEOUT, run)
        .await
        .map_err(|_| GitError::Unreachable("git fetch took too long".to_owned()))?
        .map_err(|error| GitError::Unreachable(format!("cannot run git: {error}")))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(GitError::Unreachable(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, GitError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(GitError::Unreachable(error.to_string())),
    }
}

fn local_path(url: &str) -> Option<PathBuf> {
    if let Some(path) = url.strip_prefix("file://") {
        return Some(PathBuf::from(path));
    }
    (!url.contains("://")).then(|| PathBuf::from(url))
}

/// Whether a text is a whole commit id, which Argo CD takes as it is.
pub(crate) fn is_full_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
