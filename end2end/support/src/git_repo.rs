//! Bare Git repositories on disk: made, written from outside, and read back.
//!
//! Everything goes through the `git` program, on purpose: a test that checks what Waybill wrote with libgit2 should
//! not read it with libgit2 again. The user's and the machine's Git settings are kept out of it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::process::Command;

use crate::TestbedError;

/// `git` with only the settings given here: no user or system configuration, no prompt, no hooks' environment.
pub(crate) fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    for inherited in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_CEILING_DIRECTORIES",
    ] {
        command.env_remove(inherited);
    }
    command.kill_on_drop(true);
    command
}

/// Runs `git` in `directory` and returns its standard output; a failure carries what it printed.
async fn git<I, S>(directory: &Path, arguments: I) -> Result<Vec<u8>, TestbedError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = git_command(directory);
    for (key, value) in [("GIT_AUTHOR", OUTSIDER), ("GIT_COMMITTER", OUTSIDER)] {
        command
            .env(format!("{key}_NAME"), value.0)
            .env(format!("{key}_EMAIL"), value.1);
    }
    command.args(arguments);
    let output = command.output().await.map_err(|source| TestbedError::Spawn {
        program: "git".to_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let shown: Vec<_> = command
        .as_std()
        .get_args()
        .map(|argument| argument.to_string_lossy())
        .collect();
    Err(TestbedError::Program {
        command: format!("git {}", shown.join(" ")),
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Name and address of whoever writes from outside.
const OUTSIDER: (&str, &str) = ("Outsider", "outsider@example.com");

/// A bare repository in a directory.
#[derive(Debug, Clone)]
pub struct BareRepo {
    path: PathBuf,
}

/// A commit as a reader of the history sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Full object name, 40 hex characters.
    pub sha: String,
    /// Object names of the parents.
    pub parents: Vec<String>,
    /// First line of the message.
    pub subject: String,
    /// The rest of the message, trailers included, without the empty line after the subject.
    pub body: String,
    /// `Name <address>`.
    pub author: String,
    /// `Name <address>`.
    pub committer: String,
    /// Every line added or removed against the first parent, in the order of the diff.
    pub changes: Vec<ChangedLine>,
}

/// One line that a commit added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedLine {
    /// The file, by its path after the commit (before it, for a deleted file).
    pub path: String,
    /// True for an added line, false for a removed one.
    pub added: bool,
    /// The line without its line feed; a carriage return stays.
    pub text: String,
}

impl BareRepo {
    /// Makes an empty bare repository whose HEAD names `default_branch`. The branch exists after the first commit.
    pub async fn init(path: impl Into<PathBuf>, default_branch: &str) -> Result<Self, TestbedError> {
        let path = path.into();
        std::fs::create_dir_all(&path).map_err(TestbedError::file(&path))?;
        git(
            &path,
            [
                "init",
                "--quiet",
                "--bare",
                &format!("--initial-branch={default_branch}"),
                ".",
            ],
        )
        .await?;
        Ok(Self { path })
    }

    /// A bare repository that exists already.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it lies. Git accepts the path as an address too.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Someone else with write access: see [`OutsideWriter`].
    pub async fn outsider(&self, branch: &str) -> Result<OutsideWriter, TestbedError> {
        OutsideWriter::new(self.path(), branch).await
    }

    /// The commit at the tip of `branch`; none when the branch does not exist.
    pub async fn tip(&self, branch: &str) -> Result<Option<String>, TestbedError> {
        let format = "--format=%(objectname)";
        let found = git(&self.path, ["for-each-ref", format, &format!("refs/heads/{branch}")]).await?;
        Ok(text(found).lines().next().map(str::to_owned))
    }

    /// The bytes of `file` at the tip of `branch`; none when either does not exist.
    pub async fn read_file(&self, branch: &str, file: &str) -> Result<Option<Vec<u8>>, TestbedError> {
        let Some(tip) = self.tip(branch).await? else {
            return Ok(None);
        };
        self.read_file_at(&tip, file).await
    }

    /// The bytes of `file` in the commit `revision`; none when the commit does not have the file.
    pub async fn read_file_at(&self, revision: &str, file: &str) -> Result<Option<Vec<u8>>, TestbedError> {
        if git(&self.path, ["ls-tree", "-z", revision, "--", file])
            .await?
            .is_empty()
        {
            return Ok(None);
        }
        git(&self.path, ["cat-file", "blob", &format!("{revision}:{file}")])
            .await
            .map(Some)
    }

    /// The history of `branch`, newest first; empty when the branch does not exist.
    pub async fn commits(&self, branch: &str) -> Result<Vec<CommitInfo>, TestbedError> {
        let Some(tip) = self.tip(branch).await? else {
            return Ok(Vec::new());
        };
        let format = "--format=tformat:%H%x00%P%x00%an <%ae>%x00%cn <%ce>%x00%s%x00%b%x00%x1e";
        let log = text(git(&self.path, ["log", format, &tip]).await?);
        let mut commits = Vec::new();
        for record in log.split('\u{1e}') {
            let fields: Vec<&str> = record.trim_start_matches('\n').split('\0').collect();
            let [sha, parents, author, committer, subject, body, _] = fields.as_slice() else {
                continue;
            };
            commits.push(CommitInfo {
                sha: (*sha).to_owned(),
                parents: parents.split_whitespace().map(str::to_owned).collect(),
                subject: (*subject).to_owned(),
                body: body.trim_end().to_owned(),
                author: (*author).to_owned(),
                committer: (*committer).to_owned(),
                changes: self.changes(sha).await?,
            });
        }
        Ok(commits)
    }

    async fn changes(&self, sha: &str) -> Result<Vec<ChangedLine>, TestbedError> {
        let diff = git(
            &self.path,
            // `-m --first-parent` lets a merge show what it brought to the branch.
            [
                "-c",
                "core.quotePath=false",
                "diff-tree",
                "-p",
                "--root",
                "-m",
                "--first-parent",
                "--no-commit-id",
            ]
            .into_iter()
            .chain([
                "--unified=0",
                "--no-renames",
                "--no-color",
                "--src-prefix=a/",
                "--dst-prefix=b/",
                sha,
            ]),
        )
        .await?;
        Ok(parse_diff(&text(diff)))
    }
}

/// Reads a unified diff without context lines.
fn parse_diff(diff: &str) -> Vec<ChangedLine> {
    let mut changes = Vec::new();
    let mut path = String::new();
    // Between "diff --git" and the first "@@" the lines that start with + and - are file names.
    let mut in_header = true;
    for line in diff.split('\n') {
        if line.starts_with("diff --git ") {
            in_header = true;
        } else if line.starts_with("@@ ") {
            in_header = false;
        } else if in_header {
            // Git ends a name that contains a blank with a tab.
            if let Some(name) = line.strip_prefix("--- a/").or_else(|| line.strip_prefix("+++ b/")) {
                path = name.trim_end_matches('\t').to_owned();
            }
        } else if let Some(removed) = line.strip_prefix('-') {
            changes.push(ChangedLine {
                path: path.clone(),
                added: false,
                text: removed.to_owned(),
            });
        } else if let Some(added) = line.strip_prefix('+') {
            changes.push(ChangedLine {
                path: path.clone(),
                added: true,
                text: added.to_owned(),
            });
        }
    }
    changes
}

/// Someone else who works on the same repository, with a clone of their own.
///
/// Each write starts from the branch as it is now, so it succeeds whatever Waybill pushed before.
#[derive(Debug)]
pub struct OutsideWriter {
    clone: TempDir,
    branch: String,
}

impl OutsideWriter {
    /// Clones `remote`, a path or a URL, into a directory of its own, which goes away with the writer.
    pub async fn new(remote: impl AsRef<OsStr>, branch: &str) -> Result<Self, TestbedError> {
        let clone = TempDir::with_prefix("waybill-outsider-").map_err(TestbedError::file(std::env::temp_dir()))?;
        let here = clone.path();
        git(here, ["init", "--quiet", &format!("--initial-branch={branch}"), "."]).await?;
        git(here, ["config", "core.autocrlf", "false"]).await?;
        git(
            here,
            [
                OsStr::new("remote"),
                OsStr::new("add"),
                OsStr::new("origin"),
                remote.as_ref(),
            ],
        )
        .await?;
        Ok(Self {
            clone,
            branch: branch.to_owned(),
        })
    }

    /// Writes the files (path, content), commits with `message` on top of the branch, pushes, and returns the commit.
    pub async fn commit(&self, files: &[(&str, &str)], message: &str) -> Result<String, TestbedError> {
        self.catch_up().await?;
        for (file, content) in files {
            let path = self.clone.path().join(file);
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).map_err(TestbedError::file(directory))?;
            }
            std::fs::write(&path, content).map_err(TestbedError::file(&path))?;
        }
        self.publish(message).await
    }

    /// Deletes files, commits, pushes, and returns the commit.
    pub async fn remove(&self, files: &[&str], message: &str) -> Result<String, TestbedError> {
        self.catch_up().await?;
        for file in files {
            let path = self.clone.path().join(file);
            std::fs::remove_file(&path).map_err(TestbedError::file(&path))?;
        }
        self.publish(message).await
    }

    /// Takes the newest commit back, as `git revert` does, pushes, and returns the reverting commit.
    pub async fn revert_tip(&self) -> Result<String, TestbedError> {
        self.catch_up().await?;
        git(self.clone.path(), ["revert", "--no-edit", "HEAD"]).await?;
        self.push().await
    }

    async fn catch_up(&self) -> Result<(), TestbedError> {
        let here = self.clone.path();
        git(here, ["fetch", "--quiet", "--prune", "origin"]).await?;
        let remote_branch = format!("refs/remotes/origin/{}", self.branch);
        // An empty repository has nothing to catch up with.
        if !git(here, ["for-each-ref", &remote_branch]).await?.is_empty() {
            git(here, ["reset", "--quiet", "--hard", &remote_branch]).await?;
        }
        Ok(())
    }

    async fn publish(&self, message: &str) -> Result<String, TestbedError> {
        let here = self.clone.path();
        git(here, ["add", "--all", "."]).await?;
        git(
            here,
            [
                "commit",
                "--quiet",
                "--allow-empty",
                "--cleanup=verbatim",
                "-m",
                message,
            ],
        )
        .await?;
        self.push().await
    }

    async fn push(&self) -> Result<String, TestbedError> {
        let here = self.clone.path();
        git(
            here,
            ["push", "--quiet", "origin", &format!("HEAD:refs/heads/{}", self.branch)],
        )
        .await?;
        Ok(text(git(here, ["rev-parse", "HEAD"]).await?).trim().to_owned())
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
