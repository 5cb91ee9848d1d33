//! The Git adapter against real repositories: over smart HTTP as a Git host serves it, over SSH, and by path.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by unwrapping"
)]

mod batches;
mod commits;
mod cut;
mod faults;
mod local;
mod probe;
mod removals;
mod sizes;
mod ssh;

use std::{path::PathBuf, time::Duration};

use domain::id::PromotionId;
use secrecy::SecretString;
use server::{
    adapters::git::{GitMirrors, LocalPaths},
    ports::git::{
        CommitRequest, Committed, Credentials, Difference, Git as _, GitError, PlaceEdit, RepositoryAccess,
        ServicePlace, Signature,
    },
};
use tempfile::TempDir;
use testbed::{BareRepo, GitServer};
use uuid::Uuid;

const USER: &str = "x-access-token";
const TOKEN: &str = "s3cret-t0ken";
const PATH: &str = "environments/production/values.yaml";
const VALUES: &str = "# production\nservices:\n  api:\n    image:\n      repository: r.example/api # where\n      tag: v1\n      digest: sha256:1111111111111111111111111111111111111111111111111111111111111111\n  web:\n    image: {repository: r.example/web, tag: v1}\n";
/// Any moment; commits of outsiders are made now, after it.
const AT: i64 = 1_700_000_000;

struct Setting {
    directory: TempDir,
    repo: BareRepo,
    server: GitServer,
    mirrors: GitMirrors,
    access: RepositoryAccess,
}

impl Setting {
    /// A repository with one commit, served to those who know the token.
    async fn new() -> Self {
        let setting = Self::empty().await;
        setting.outsider_writes(PATH, VALUES).await;
        setting
    }

    async fn empty() -> Self {
        let directory = TempDir::new().unwrap();
        let repo = BareRepo::init(directory.path().join("served/demo.git"), "main")
            .await
            .unwrap();
        let served = directory.path().join("served");
        let server = GitServer::start(served, None, Some((USER, TOKEN))).await.unwrap();
        let access = RepositoryAccess {
            tenant: String::new(),
            url: server.url("demo.git"),
            branch: "main".to_owned(),
            credentials: token(TOKEN),
        };
        let mirrors = GitMirrors::new(directory.path().join("mirrors"));
        Self {
            directory,
            repo,
            server,
            mirrors,
            access,
        }
    }

    /// Mirrors that take the served repository by its path, too.
    fn with_local_paths(&self) -> GitMirrors {
        let served = self.directory.path().join("served");
        GitMirrors::new(self.directory.path().join("mirrors")).with_local_paths(LocalPaths::new(vec![served]))
    }

    async fn outsider_writes(&self, path: &str, content: &str) -> String {
        let writer = self.repo.outsider("main").await.unwrap();
        writer.commit(&[(path, content)], "By hand").await.unwrap()
    }

    async fn commit(&self, request: &CommitRequest) -> Result<Committed, GitError> {
        self.mirrors.commit_and_push(&self.access, request).await
    }

    async fn file(&self) -> String {
        String::from_utf8(self.repo.read_file("main", PATH).await.unwrap().unwrap()).unwrap()
    }

    async fn tip(&self) -> String {
        self.repo.tip("main").await.unwrap().unwrap()
    }

    /// Commits on the branch that carry this promotion's trailer.
    async fn commits_of(&self, request: &CommitRequest) -> usize {
        let trailer = format!("Waybill-Promotion: {}", request.promotion);
        let commits = self.repo.commits("main").await.unwrap();
        commits.iter().filter(|c| c.body.contains(&trailer)).count()
    }

    /// The id of an object of the remote: `COMMIT:PATH` and the like.
    fn object(&self, name: &str) -> String {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(self.repo.path()).args(["rev-parse", name]);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn mirror_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.directory.path().join("mirrors")];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => open.push(path),
                    false => found.push(path),
                }
            }
        }
        found
    }
}

fn token(token: &str) -> Credentials {
    Credentials::UserToken {
        user: USER.to_owned(),
        token: SecretString::from(token.to_owned()),
    }
}

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

/// A service in the values file of the tests.
fn place(service: &str) -> ServicePlace {
    ServicePlace {
        path: PATH.to_owned(),
        prefix: String::new(),
        service: service.to_owned(),
    }
}

/// The promotion number `n` of a service to the tag `v<n>`.
fn promotion(n: u8, service: &str) -> CommitRequest {
    CommitRequest {
        promotion: PromotionId(Uuid::from_u128(
            0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n),
        )),
        edits: vec![PlaceEdit {
            place: ServicePlace {
                path: PATH.to_owned(),
                prefix: String::new(),
                service: service.to_owned(),
            },
            image: domain::artifact::ExactImage {
                repository: format!("r.example/{service}").parse().unwrap(),
                tag: Some(format!("v{n}").parse().unwrap()),
                digest: digest(n).parse().unwrap(),
            },
            runtime: None,
            may_create: true,
        }],
        subject: format!("promote(production): {service} v{n} from staging"),
        trailers: vec![
            ("Waybill-Digest".to_owned(), digest(n)),
            ("Waybill-Source".to_owned(), "staging\nX: y".to_owned()),
        ],
        author: Signature {
            name: "Ada <Lovelace>\n".to_owned(),
            email: "ada@example.com".to_owned(),
        },
        committer: Signature {
            name: "Waybill".to_owned(),
            email: "waybill@waybill.invalid".to_owned(),
        },
        at: AT,
        retry: false,
        again: false,
        held: false,
        expects: None,
    }
}

fn pushed(done: Result<Committed, GitError>) -> (String, u32) {
    match done {
        Ok(Committed::Pushed { commit, attempts }) => (commit, attempts),
        other => panic!("not pushed: {other:?}"),
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("took over a minute")
}
