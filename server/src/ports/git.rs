//! The GitOps repositories: what is declared at a commit, and one small commit on the tip of a branch.

use async_trait::async_trait;
use domain::{
    artifact::{DeclaredImage, ExactImage},
    id::{GitRemovalId, PromotionId},
    resource::Runtime,
};
use secrecy::{ExposeSecret as _, SecretString};

/// A repository and how to reach it.
#[derive(Clone, Debug)]
pub struct RepositoryAccess {
    /// Whose mirror it is: tenants that name the same address don't share one, since not both may be allowed to read it.
    pub tenant: String,
    /// `https://…`, `http://…`, `ssh://…`, `user@host:path`; `file://…` or an absolute path where `git.local_paths` lists it.
    pub url: String,
    /// The branch that environments are read from and commits go to.
    pub branch: String,
    /// How to sign in.
    pub credentials: Credentials,
}

/// How to sign in to a Git server.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing: public, or local.
    None,
    /// HTTP Basic, for example `x-access-token` and a token.
    UserToken {
        /// The user name.
        user: String,
        /// The token or password.
        token: SecretString,
    },
    /// An SSH private key.
    SshKey {
        /// The key in OpenSSH format, without a passphrase.
        private_key: SecretString,
        /// Lines for `known_hosts`; without them the host's key is accepted at first sight and kept.
        known_hosts: Option<String>,
    },
}

impl Credentials {
    /// Whether they are the same.
    pub(crate) fn are(&self, others: &Self) -> bool {
        let same = |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
        match (self, others) {
            (Self::None, Self::None) => true,
            (Self::UserToken { user, token }, Self::UserToken { user: u, token: t }) => user == u && same(token, t),
            (
                Self::SshKey {
                    private_key,
                    known_hosts,
                },
                Self::SshKey {
                    private_key: k,
                    known_hosts: h,
                },
            ) => known_hosts == h && same(private_key, k),
            _ => false,
        }
    }
}

/// A commit's object name: 40 (or 64) lower-case hexadecimal characters.
pub type CommitId = String;

/// What one service's part of a values file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredService {
    /// Its key below `services`.
    pub name: String,
    /// Its image.
    pub image: DeclaredImage,
    /// The tag's text as written, also when it is no valid tag.
    pub raw_tag: Option<String>,
    /// Whether nothing on the way to it says `enabled: false`.
    pub enabled: bool,
}

/// Where a service is declared.
#[derive(Clone, Debug)]
pub struct ServicePlace {
    /// Path of the file in the repository.
    pub path: String,
    /// Dotted keys above `services`; empty for none.
    pub prefix: String,
    /// Key below `services`.
    pub service: String,
}

/// One change of one service in one values file. It is data, so that it can be made again on another commit.
#[derive(Clone, Debug)]
pub struct PlaceEdit {
    /// What changes.
    pub place: ServicePlace,
    /// What the image becomes: `repository`, `tag` (untouched when the image has none but the file has one that would then
    /// contradict the digest: the key's value becomes the digest's first 7 characters) and `digest`.
    pub image: ExactImage,
    /// When a resource is created: its configuration (`port`, `replicas`, `env`, `domains`, …), written beside `image`.
    pub runtime: Option<Runtime>,
    /// Whether the file may be made where there is none: somebody said so.
    pub may_create: bool,
}

/// What an edit would change, as people see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Unified diff; empty when nothing would change.
    pub text: String,
    /// Whether a file would be made that isn't there.
    pub creates_file: bool,
}

/// Who a commit is by.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Name, any text without newlines or angle brackets.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// A commit to be made.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The promotion this is for: its trailer `Waybill-Promotion: <id>` finds the commit again.
    pub promotion: PromotionId,
    /// What changes: each edit sees what those before it made.
    pub edits: Vec<PlaceEdit>,
    /// First line of the message.
    pub subject: String,
    /// Lines `Key: value`, the promotion's own trailer not among them.
    pub trailers: Vec<(String, String)>,
    /// The person who asked.
    pub author: Signature,
    /// Waybill.
    pub committer: Signature,
    /// Seconds since the epoch for both signatures.
    pub at: i64,
    /// Whether this was tried before (also by an earlier life of this process): the branch is then fetched first, so that
    /// a commit whose push went through unnoticed is found. Without it, the first try builds on the tip the mirror knows.
    pub retry: bool,
    /// Whether a person asked again: when the branch holds a commit of this promotion but no longer says so, a new one is made.
    pub again: bool,
    /// Whether a gate shut since an earlier try, which may have pushed all the same: that commit is looked for, and none is made.
    pub held: bool,
    /// What the service may say before, where nobody asked for the commit: if it says something else, somebody changed it, and it is left
    /// alone. `None` where a person asked.
    pub expects: Option<Expected>,
}

/// What Waybill knows of a service that it is about to change.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The images that it may have.
    pub images: Vec<ExactImage>,
    /// Whether it may be switched off (`enabled: false`): it was when Git was read.
    pub switched_off: bool,
}

/// A commit that removes services from a values file: that of removed resources.
#[derive(Clone, Debug)]
pub struct BlockRemoval {
    /// Its trailer `Waybill-Removal: <id>` finds the commit again.
    pub id: GitRemovalId,
    /// Path of the file in the repository.
    pub path: String,
    /// Dotted keys above `services`; empty for none.
    pub prefix: String,
    /// Keys below `services`.
    pub services: Vec<String>,
    /// First line of the message.
    pub subject: String,
    /// The person who asked.
    pub author: Signature,
    /// Waybill.
    pub committer: Signature,
    /// Seconds since the epoch for both signatures.
    pub at: i64,
}

/// What came of a [`CommitRequest`] or a [`BlockRemoval`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// A commit was made and the remote has it.
    Pushed {
        /// The commit.
        commit: CommitId,
        /// Pushes it took: 1 when nobody got there first.
        attempts: u32,
    },
    /// The remote's branch holds a commit of this promotion already (an earlier try that was cut off).
    Found {
        /// That commit.
        commit: CommitId,
        /// Whether the file still has the image that it wrote; somebody may have changed it since. Always, for what was removed.
        stands: bool,
    },
    /// The file says so already; no commit was made.
    Unchanged {
        /// The commit that says it: the tip, or an earlier one of the same batch.
        tip: CommitId,
    },
    /// The remote's branch holds no commit of this promotion, and none was to be made ([`CommitRequest::held`]).
    Absent,
    /// Somebody changed or removed the service meanwhile; no commit was made ([`CommitRequest::expects`]).
    Moved,
}

/// A commit as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitView {
    /// The commit.
    pub commit: CommitId,
    /// The promotion that its trailer names.
    pub promotion: Option<PromotionId>,
    /// First line of its message.
    pub subject: String,
    /// Author's name.
    pub author: String,
    /// Seconds since the epoch.
    pub at: i64,
    /// Unified diff against its first parent.
    pub diff: String,
}

/// A commit that changed something, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChange {
    /// The commit.
    pub commit: CommitId,
    /// Author's name.
    pub author: String,
    /// First line of its message.
    pub subject: String,
}

/// What looking at a repository without the mirror found.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The branch's newest commit.
    pub tip: CommitId,
    /// What each values file that was asked for declares; `None` where there is none.
    pub files: Vec<Result<Option<Vec<DeclaredService>>, GitError>>,
    /// For each of these files in turn: why a promotion into it would be refused; not all of it when there is much.
    pub refusals: Vec<Vec<String>>,
    /// Whether the server lets these credentials push to the repository. What its rules say of the branch is told only to a push.
    pub push: Result<(), GitError>,
}

/// Why a repository can't be looked at.
#[derive(Clone, Debug)]
pub struct Unprobed {
    /// Why.
    pub error: GitError,
    /// Branches that there are, when it is the branch that is missing.
    pub branches: Vec<String>,
}

/// What may go wrong with Git. Every text is safe to show and says what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GitError {
    /// The server could not be reached, or did not answer in time: try again later.
    #[error("Git could not be reached at {url}: {reason}. Check the address and the network.")]
    Unreachable {
        /// The repository's address without credentials.
        url: String,
        /// What the transport said.
        reason: String,
    },
    /// The server has too much to do, or is being worked on: try again later.
    #[error("Git at {url} {reason}. If it stays so, ask whoever runs that server.")]
    Busy {
        /// The repository's address without credentials.
        url: String,
        /// What it answered.
        reason: String,
    },
    /// The server refused the credentials, or there are none.
    #[error("Git refused the sign-in at {url}: {reason}. Enter user and token, or a key, in the settings under Git.")]
    Unauthorized {
        /// The repository's address without credentials.
        url: String,
        /// What the server said.
        reason: String,
    },
    /// The repository or branch isn't there.
    #[error("{what} was not found at {url}. Check the project's repository and branch.")]
    NotFound {
        /// `The repository` or `Branch main`.
        what: String,
        /// The repository's address without credentials.
        url: String,
    },
    /// The server redirects to another address, where credentials don't go by themselves.
    #[error("The repository at {url} moved to {to}. Change the project's repository in the settings under Git.")]
    Moved {
        /// The repository's address without credentials.
        url: String,
        /// Its new address, without credentials.
        to: String,
    },
    /// The repository has neither branch nor tag.
    #[error(
        "The repository at {url} is empty. Create a resource: its first commit makes the branch {branch}. Or push a first commit yourself."
    )]
    Empty {
        /// The repository's address without credentials.
        url: String,
        /// The project's branch.
        branch: String,
    },
    /// The repository names its objects by SHA-256.
    #[error(
        "The repository at {url} uses SHA-256 for the names of its objects, which Waybill can't read. Use a repository with SHA-1, Git's \
         default (git init --object-format=sha1)."
    )]
    Sha256 {
        /// The repository's address without credentials.
        url: String,
    },
    /// The address is a path on the machine that Waybill runs on, which may not be used.
    #[error(
        "{url} is a path on the machine that Waybill runs on, and {reason}. Write an address that begins with https:// or ssh://, or \
         have whoever runs Waybill list the repository's folder in git.local_paths."
    )]
    LocalPath {
        /// The address.
        url: String,
        /// Why it may not be used.
        reason: &'static str,
    },
    /// The server's policy refused the push (protected branch, hook): trying again won't help.
    #[error(
        "Git refused the push: {reason}. Give the token permission to push to the branch, or change the branch's rules."
    )]
    Refused {
        /// What the server said.
        reason: String,
    },
    /// Others pushed first, again and again: try later.
    #[error("Others pushed to the branch first, {attempts} times in a row.")]
    Contended {
        /// Pushes tried.
        attempts: u32,
    },
    /// The values file can't be edited safely.
    #[error("{path}: {}.", .reason.trim_end_matches('.'))]
    Values {
        /// The file.
        path: String,
        /// Why, and what to do, without the full stop.
        reason: String,
    },
    /// There is no values file, and nobody said that it may be made.
    #[error(
        "{path}: there is no such file on the branch, and Waybill makes none unless a person says so. Say so in the form, or with \
         createFile in waybill apply and GraphQL; or add the file in Git, or correct the path template."
    )]
    NoFile {
        /// The file.
        path: String,
    },
    /// The machine that Waybill runs on lacks something, or something doesn't work there: try again later.
    #[error("Waybill's machine could not work on the mirror of {url}: {reason}.")]
    Machine {
        /// The repository's address without credentials.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The repository holds what is too large to be read.
    #[error("Waybill can't work with the repository at {url}: {}.", .reason.trim_end_matches('.'))]
    TooLarge {
        /// The repository's address without credentials.
        url: String,
        /// What is too large, and what to do.
        reason: String,
    },
    /// The mirror on disk is broken.
    #[error("The local mirror of {url} failed: {reason}. The next try makes it anew.")]
    Mirror {
        /// The repository's address without credentials.
        url: String,
        /// What failed.
        reason: String,
    },
}

impl GitError {
    /// Whether it is about the values file: somebody must change something in Git, or say what is meant.
    #[must_use]
    pub fn is_of_the_file(&self) -> bool {
        matches!(self, Self::Values { .. } | Self::NoFile { .. })
    }

    /// Whether the same request may succeed later without anyone changing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Busy { .. }
                | Self::Contended { .. }
                | Self::Machine { .. }
                | Self::Mirror { .. }
        )
    }
}

/// The GitOps repository.
#[async_trait]
pub trait Git: Send + Sync {
    /// Whether an address may be used at all: a path on this machine only where the configuration lists it. Asks nobody else.
    ///
    /// # Errors
    /// [`GitError::LocalPath`] when it may not.
    async fn admit(&self, url: &str) -> Result<(), GitError>;

    /// Brings the mirror up to date and returns the branch's tip.
    async fn fetch(&self, repository: &RepositoryAccess) -> Result<CommitId, GitError>;

    /// Looks at the remote with nothing but these credentials: signs in, reads the branch's newest commit and the values files at
    /// `paths` in it, and asks whether a push would be let in. Writes nothing anywhere, leaves the mirror alone, and ends within
    /// ten seconds.
    async fn probe(&self, repository: &RepositoryAccess, paths: &[String], prefix: &str) -> Result<Probe, Unprobed>;

    /// The tip the mirror knows, without asking the remote; `None` when it has never been fetched.
    async fn known_tip(&self, repository: &RepositoryAccess) -> Result<Option<CommitId>, GitError>;

    /// The services that the values file at `path` declares at `commit`; `None` when there is no such file.
    async fn services(
        &self,
        repository: &RepositoryAccess,
        commit: &str,
        path: &str,
        prefix: &str,
    ) -> Result<Option<Vec<DeclaredService>>, GitError>;

    /// Why promotions of these services in the values file at `path` would be refused at `commit`, as far as they are in it; not all of it when
    /// there is much.
    async fn refusals(
        &self,
        repository: &RepositoryAccess,
        commit: &str,
        path: &str,
        prefix: &str,
        services: &[String],
    ) -> Result<Vec<String>, GitError>;

    /// Makes a commit for each request, in their order, each on top of the one before, and pushes them at once. A push that others
    /// overtook is made again on the new tip; a commit of the same promotion that the branch already holds is found, not
    /// made twice; a request that fails by itself (its file can't be edited, the server's policy refuses it) does not stop the
    /// others. One repository's batches are made one after another. The answers are in the order of the requests.
    async fn commit_and_push_all(
        &self,
        repository: &RepositoryAccess,
        requests: &[CommitRequest],
    ) -> Vec<Result<Committed, GitError>>;

    /// A batch of one.
    async fn commit_and_push(
        &self,
        repository: &RepositoryAccess,
        request: &CommitRequest,
    ) -> Result<Committed, GitError> {
        let mut done = self
            .commit_and_push_all(repository, std::slice::from_ref(request))
            .await;
        done.pop().unwrap_or_else(|| {
            Err(GitError::Mirror {
                url: repository.branch.clone(),
                reason: "no answer was given".to_owned(),
            })
        })
    }

    /// Removes services from a values file, with one commit on the tip of the branch as the remote has it now. What is not in the file is
    /// passed over; where nothing is left to remove, no commit is made.
    async fn remove_blocks(&self, repository: &RepositoryAccess, removal: &BlockRemoval)
    -> Result<Committed, GitError>;

    /// What `edits` would change on the mirror's tip, all of them together.
    async fn preview(&self, repository: &RepositoryAccess, edits: &[PlaceEdit]) -> Result<Difference, GitError>;

    /// A commit with its diff; `None` when the mirror lacks it.
    async fn show(&self, repository: &RepositoryAccess, commit: &str) -> Result<Option<CommitView>, GitError>;

    /// The newest commit after `since`, up to `tip`, with which somebody else than Waybill changed a service: its image, its block or its
    /// switch `enabled`.
    async fn last_change(
        &self,
        repository: &RepositoryAccess,
        since: &str,
        tip: &str,
        place: &ServicePlace,
    ) -> Result<Option<ServiceChange>, GitError>;

    /// Whether `descendant` is `ancestor` or comes after it; fetches when the mirror lacks one of them.
    async fn contains(&self, repository: &RepositoryAccess, descendant: &str, ancestor: &str)
    -> Result<bool, GitError>;
}
