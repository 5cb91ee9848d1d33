//! What is in a promotion: the commits between two images, read from a real Git server over HTTP, and only where a host is listed.

use crate::{
    authorisation::{Who, session},
    rest::everything,
    support::{Bench, api_alone},
};
use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::connect_info::MockConnectInfo,
    http::{Request, StatusCode, header},
};
use contract::{error::AppError, source::SourceHostDraft};
use domain::{
    artifact::{ArtifactDetails, ExactImage},
    event::Happened,
    id::PromotionId,
    promotion::Promotion,
    rights::Role,
    source::{Changes, Commits, Revision, Side, SourceChanges, Unknown},
    time::Timestamp,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use server::{
    adapters::git::SourceMirrors,
    ports::source_history::{SourceAccess, SourceHistory},
    service::{Caller, configure, views},
};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use testbed::{Cut, GitServer};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const IMAGE: &str = "127.0.0.1:5000/myapp/api";
const USER: &str = "reader";
const TOKEN: &str = "read-only-secret";

/// A bench with a promotion to make others of, and a Git server with a source repository.
struct Story {
    bench: Bench,
    boss: Caller,
    template: Promotion,
    git: GitServer,
    directory: TempDir,
    images: AtomicUsize,
}

/// Runs `git` with no settings but these.
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn labels(source: &str, revision: &str) -> BTreeMap<String, String> {
    let labels = [
        ("org.opencontainers.image.source", source),
        ("org.opencontainers.image.revision", revision),
    ];
    let labels = labels.into_iter().filter(|(_, text)| !text.is_empty());
    labels.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn revision(text: &str) -> Revision {
    Revision::parse(text).unwrap()
}

fn subjects(commits: &Commits) -> Vec<&str> {
    commits.commits.iter().map(|commit| commit.subject.as_str()).collect()
}

fn why(changes: &SourceChanges) -> &Unknown {
    match &changes.changes {
        Changes::Unknown { why } => why,
        other => panic!("it is known: {other:?}"),
    }
}

impl Story {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (root, work) = (directory.path().join("git"), directory.path().join("work"));
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(&root).unwrap();
        git(
            &root,
            &["init", "--quiet", "--bare", "--initial-branch=main", "api.git"],
        );
        git(&work, &["init", "--quiet", "--initial-branch=main", "."]);
        git(
            &work,
            &["remote", "add", "origin", root.join("api.git").to_str().unwrap()],
        );
        let server = GitServer::start(&root, None, Some((USER, TOKEN))).await.unwrap();
        let mut bench = Bench::new().await;
        bench.services.sources = Arc::new(SourceMirrors::new(directory.path().join("sources")));
        let (boss, _) = bench.program("demo", "boss", Role::Admin).await;
        bench.registry.push(IMAGE, "v1", &crate::support::digest("a"));
        bench.apply(&boss, &api_alone(IMAGE)).await;
        let mut tx = bench.store.read().await.unwrap();
        let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
        let project = tx.projects(workspace.id).await.unwrap().remove(0).project.id;
        let resource = tx.resources(project).await.unwrap().remove(0).id;
        let template = tx.promotions_of(resource, 1).await.unwrap().remove(0);
        drop(tx);
        Self {
            bench,
            boss,
            template,
            git: server,
            directory,
            images: AtomicUsize::new(1),
        }
    }

    fn host(&self) -> String {
        self.git.address().to_string()
    }

    fn source(&self) -> String {
        self.git.url("api.git")
    }

    /// A commit on what is checked out, pushed to a branch of its name.
    fn commit(&self, subject: &str) -> String {
        let work = self.directory.path().join("work");
        fs::write(work.join("file"), subject).unwrap();
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "-m", subject]);
        self.push();
        git(&work, &["rev-parse", "HEAD"])
    }

    fn push(&self) {
        let work = self.directory.path().join("work");
        let branch = git(&work, &["rev-parse", "--abbrev-ref", "HEAD"]);
        git(
            &work,
            &["push", "--quiet", "--force", "origin", &format!("HEAD:{branch}")],
        );
    }

    fn work(&self, arguments: &[&str]) -> String {
        git(&self.directory.path().join("work"), arguments)
    }

    /// An image with these labels.
    async fn image(&self, labels: BTreeMap<String, String>) -> ExactImage {
        let number = self.images.fetch_add(1, Ordering::SeqCst);
        let image = ExactImage {
            repository: IMAGE.parse().unwrap(),
            tag: None,
            digest: format!("sha256:{number:064x}").parse().unwrap(),
        };
        let details = ArtifactDetails {
            labels,
            ..ArtifactDetails::default()
        };
        let mut tx = self.bench.store.write().await.unwrap();
        let workspace = self.template.workspace;
        tx.see_artifact(workspace, &image, Timestamp(1)).await.unwrap();
        tx.set_details(workspace, &image, &details, Timestamp(1)).await.unwrap();
        tx.commit().await.unwrap();
        image
    }

    /// A promotion from one image to another.
    async fn promotion(&self, previous: Option<ExactImage>, image: ExactImage) -> String {
        let mut promotion = self.template.clone();
        promotion.id = PromotionId(self.bench.services.ids.next());
        promotion.number += i64::try_from(self.images.fetch_add(1, Ordering::SeqCst)).unwrap();
        promotion.previous = previous;
        promotion.image = image;
        let promotion = promotion.cancel("not wanted", self.bench.services.now()).unwrap();
        let mut tx = self.bench.store.write().await.unwrap();
        tx.insert_promotion(&promotion).await.unwrap();
        tx.commit().await.unwrap();
        promotion.id.to_string()
    }

    async fn read(&self, id: &str) -> SourceChanges {
        views::changes(&self.bench.services, &self.boss, id).await.unwrap()
    }

    /// What lies between two images with these labels.
    async fn between(&self, before: BTreeMap<String, String>, after: BTreeMap<String, String>) -> SourceChanges {
        let before = self.image(before).await;
        let after = self.image(after).await;
        let id = self.promotion(Some(before), after).await;
        self.read(&id).await
    }

    /// The same of one repository.
    async fn of(&self, before: &str, after: &str) -> SourceChanges {
        let source = self.source();
        self.between(labels(&source, before), labels(&source, after)).await
    }

    async fn save(&self, draft: &SourceHostDraft, token: &str) -> Result<String, AppError> {
        let token = SecretString::from(token);
        configure::save_source_host(&self.bench.services, &self.boss, "demo", draft, &token).await
    }

    async fn list(&self, token: &str) {
        let draft = SourceHostDraft {
            host: self.host(),
            plain_http: true,
            user: USER.into(),
            ..SourceHostDraft::default()
        };
        self.save(&draft, token).await.unwrap();
    }

    async fn edit(&self, change: impl FnOnce(&mut SourceHostDraft), token: &str) -> Result<String, AppError> {
        let view = configure::source_hosts(&self.bench.services, &self.boss, "demo")
            .await
            .unwrap();
        let mut draft = view.hosts[0].draft.clone();
        change(&mut draft);
        self.save(&draft, token).await
    }
}

/// Counts who asks, and knows nothing.
#[derive(Default)]
struct Counted(AtomicUsize);

#[async_trait]
impl SourceHistory for Counted {
    async fn between(&self, _: &SourceAccess, _: &Revision, _: &Revision) -> Result<Changes, Unknown> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(Unknown::TooLarge)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_listed_forward_and_back_and_only_commits_are_fetched() {
    let story = Story::new().await;
    let (one, two, three) = (story.commit("one"), story.commit("two"), story.commit("three"));
    story.list(TOKEN).await;
    let forward = story.of(&one, &three).await;
    let Changes::Known { commits, is_forward } = &forward.changes else {
        panic!("{forward:?}");
    };
    assert_eq!(
        (subjects(commits), *is_forward, commits.has_more),
        (vec!["three", "two"], true, false)
    );
    assert_eq!(
        (commits.commits[0].author.as_str(), commits.commits[0].id.as_str()),
        ("Ada", three.as_str())
    );
    assert_eq!(
        commits.commits[0].url, None,
        "nobody knows how this host writes its pages"
    );
    assert_eq!(
        forward.sentence(),
        format!("Brings 2 commits: from {} to {}.", &one[..7], &three[..7])
    );
    // What was fetched is there, also for those between, and for the way back.
    let reads = story.git.reads();
    let back = story.of(&three, &two).await;
    let Changes::Known { commits, is_forward } = &back.changes else {
        panic!("{back:?}");
    };
    assert_eq!((subjects(commits), *is_forward), (vec!["three"], false));
    assert!(
        back.sentence().starts_with("Takes back 1 commit"),
        "{}",
        back.sentence()
    );
    assert_eq!(story.of(&two, &two).await.changes, Changes::Same);
    assert_eq!(story.git.reads(), reads, "nothing was left to ask for");
    // Only what is new comes later.
    let four = story.commit("four");
    let Changes::Known { commits, .. } = story.of(&three, &four).await.changes else {
        panic!("it is known");
    };
    assert_eq!(subjects(&commits), ["four"]);

    let copy = fs::read_dir(story.directory.path().join("sources"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let all = git(&copy, &["cat-file", "--batch-all-objects", "--batch-check"]);
    assert_eq!(all.lines().count(), 4, "{all}");
    assert!(all.lines().all(|line| line.contains(" commit ")), "{all}");
    let config = fs::read_to_string(copy.join("config")).unwrap();
    assert!(!config.contains(TOKEN) && !config.contains(USER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewritten_history_is_told_both_ways() {
    let story = Story::new().await;
    let base = story.commit("base");
    let (first, old) = (story.commit("draft"), story.commit("fix of the draft"));
    // Squashed: what only the old history has is on no branch any more.
    story.work(&["reset", "--quiet", "--soft", &base]);
    let squashed = story.commit("the feature");
    story.list(TOKEN).await;
    let changes = story.of(&old, &squashed).await;
    let Changes::BothWays {
        base: parted,
        new,
        gone,
    } = &changes.changes
    else {
        panic!("{changes:?}");
    };
    assert_eq!(parted, &Some(revision(&base)));
    assert_eq!(subjects(new), ["the feature"]);
    assert_eq!(subjects(gone), ["fix of the draft", "draft"]);
    let sentence = changes.sentence();
    assert!(
        sentence.starts_with(&format!(
            "Commit {} isn't in the history of {}.",
            &old[..7],
            &squashed[..7]
        )),
        "{sentence}"
    );
    // Rebased onto something that came meanwhile.
    story.work(&["checkout", "--quiet", "-b", "main-2", &base]);
    story.commit("meanwhile");
    story.work(&["cherry-pick", "--strategy-option=theirs", &first]);
    story.push();
    let rebased = story.work(&["rev-parse", "HEAD"]);
    let Changes::BothWays { new, gone, .. } = story.of(&first, &rebased).await.changes else {
        panic!("it was rebased");
    };
    assert_eq!(
        (subjects(&new), subjects(&gone)),
        (vec!["draft", "meanwhile"], vec!["draft"])
    );
    // Of nothing in common.
    story.work(&["checkout", "--quiet", "--orphan", "other"]);
    let other = story.commit("another beginning");
    let Changes::BothWays { base, .. } = story.of(&base, &other).await.changes else {
        panic!("they have nothing in common");
    };
    assert_eq!(base, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_labels_leave_open_is_unknown_and_says_why() {
    let story = Story::new().await;
    let (one, two) = (story.commit("one"), story.commit("two"));
    story.list(TOKEN).await;
    let source = story.source();
    let (before, after) = (Side::Before, Side::After);
    let elsewhere = story.git.url("other.git");
    let name = |source: &str| source.trim_start_matches("http://").trim_end_matches(".git").to_owned();
    for (of, expected) in [
        (
            (labels("", &one), labels(&source, &two)),
            Unknown::NoSource { side: before },
        ),
        (
            (labels(&source, &one), labels(&source, "")),
            Unknown::NoRevision { side: after },
        ),
        (
            (labels(&source, "v1.0.0"), labels(&source, &two)),
            Unknown::OddRevision { side: before },
        ),
        (
            (labels(&source, &one), labels("/srv/api.git", &two)),
            Unknown::OddSource { side: after },
        ),
        (
            (labels(&elsewhere, &one), labels(&source, &two)),
            Unknown::OtherRepository {
                before: name(&elsewhere),
                after: name(&source),
            },
        ),
    ] {
        let changes = story.between(of.0, of.1).await;
        assert_eq!(why(&changes), &expected);
    }
    assert_eq!(story.git.reads(), 0, "nobody was asked for that");
    let image = story.image(labels(&source, &two)).await;
    let first = story.promotion(None, image.clone()).await;
    assert_eq!(why(&story.read(&first).await), &Unknown::NothingBefore);
    let unread = ExactImage {
        digest: crate::support::digest("e").parse().unwrap(),
        ..image.clone()
    };
    let unread = story.promotion(Some(unread), image).await;
    assert_eq!(why(&story.read(&unread).await), &Unknown::NotRead { side: before });

    // A commit that the repository doesn't have, and the beginnings of names.
    let gone = "0123456789abcdef0123456789abcdef01234567";
    let expected = Unknown::NoCommit {
        side: before,
        revision: revision(gone),
    };
    assert_eq!(why(&story.of(gone, &two).await), &expected);
    let Changes::Known { commits, .. } = story.of(&one[..8], &two[..8]).await.changes else {
        panic!("the beginnings of names will do");
    };
    assert_eq!(subjects(&commits), ["two"]);
    // A folder of a monorepo.
    let folder = |revision: &str| labels(&format!("{source}#main:services/api"), revision);
    let changes = story.between(folder(&one), folder(&two)).await;
    let sentence = changes.sentence();
    assert!(
        sentence.ends_with("Which of them changed services/api is unknown."),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_commits_the_newest_are_listed() {
    let story = Story::new().await;
    let first = story.commit("first");
    for number in 0..255 {
        story.work(&["commit", "--quiet", "--allow-empty", "-m", &format!("change {number}")]);
    }
    story.push();
    let last = story.work(&["rev-parse", "HEAD"]);
    story.list(TOKEN).await;
    let changes = story.of(&first, &last).await;
    let Changes::Known { commits, .. } = &changes.changes else {
        panic!("{changes:?}");
    };
    assert_eq!((commits.commits.len(), commits.has_more), (250, true));
    assert_eq!(
        (subjects(commits)[0], subjects(commits)[249]),
        ("change 254", "change 5")
    );
    assert!(
        changes.sentence().starts_with("Brings more than 250 commits"),
        "{}",
        changes.sentence()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_not_listed_gets_a_link_or_nothing_and_no_request() {
    let mut story = Story::new().await;
    let counted = Arc::new(Counted::default());
    let (one, two) = ("a".repeat(40), "b".repeat(40));
    story.bench.services.sources = counted.clone();
    let changes = story.of(&one, &two).await;
    assert_eq!(why(&changes), &Unknown::NotListed { host: story.host() });
    assert_eq!(changes.compare, None);
    let on_github = labels("https://github.com/acme/api", &one);
    let changes = story
        .between(on_github, labels("git@github.com:acme/api.git", &two))
        .await;
    assert_eq!(
        why(&changes),
        &Unknown::NotListed {
            host: "github.com".into()
        }
    );
    let link = format!("https://github.com/acme/api/compare/{one}...{two}");
    assert_eq!(changes.compare, Some(link));
    assert_eq!((counted.0.load(Ordering::SeqCst), story.git.reads()), (0, 0));
    // Another port of a listed host is another host.
    story.list(TOKEN).await;
    let other = labels("http://127.0.0.1:1/api.git", &one);
    let changes = story
        .between(other.clone(), labels("http://127.0.0.1:1/api.git", &two))
        .await;
    assert_eq!(
        why(&changes),
        &Unknown::NotListed {
            host: "127.0.0.1:1".into()
        }
    );
    assert_eq!(counted.0.load(Ordering::SeqCst), 0);
    story.of(&one, &two).await;
    assert_eq!(counted.0.load(Ordering::SeqCst), 1, "the listed one is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_refuses_is_a_sentence_without_secrets_and_mended_at_once() {
    let story = Story::new().await;
    let (one, two) = (story.commit("one"), story.commit("two"));
    story.list("wrong-secret").await;
    let changes = story.of(&one, &two).await;
    assert_eq!(why(&changes), &Unknown::Refused { host: story.host() });
    let told = format!("{changes:?} {}", changes.sentence());
    assert!(
        !told.contains("wrong-secret") && changes.sentence().contains("rejected the user and token"),
        "{told}"
    );
    // The same promotion, once somebody typed the right one.
    let source = story.source();
    let (before, after) = (
        story.image(labels(&source, &one)).await,
        story.image(labels(&source, &two)).await,
    );
    let id = story.promotion(Some(before), after).await;
    assert_eq!(why(&story.read(&id).await), &Unknown::Refused { host: story.host() });
    story.edit(|_| {}, TOKEN).await.unwrap();
    assert!(matches!(story.read(&id).await.changes, Changes::Known { .. }));

    // No such repository.
    let missing = story.git.url("none.git");
    let changes = story.between(labels(&missing, &one), labels(&missing, &two)).await;
    assert_eq!(why(&changes), &Unknown::NoRepository { host: story.host() });
    let three = story.commit("three");
    // A server without filters isn't asked for everything instead.
    let plain = "000eversion 2\n0012fetch=shallow\n0000";
    story
        .git
        .cut_reads(Some(Cut::Page("application/x-git-upload-pack-advertisement", plain)));
    let changes = story.of(&two, &three).await;
    assert_eq!(why(&changes), &Unknown::NoHistoryAlone { host: story.host() });
    // Neither is another server that this one leads to.
    let other = GitServer::start(story.directory.path().join("git"), None, None)
        .await
        .unwrap();
    story.git.cut_reads(Some(Cut::Moved(other.url("api.git"))));
    story.bench.clock.forward(60_000);
    let changes = story.of(&two, &three).await;
    assert_eq!(why(&changes), &Unknown::NoRepository { host: story.host() });
    assert_eq!(other.reads(), 0);
    // What is cut off isn't kept.
    story.bench.clock.forward(60_000);
    story.git.cut_reads(Some(Cut::After(60)));
    assert!(matches!(
        why(&story.of(&two, &three).await),
        Unknown::Unreachable { .. }
    ));
    story.bench.clock.forward(60_000);
    story.git.cut_reads(None);
    assert!(matches!(story.of(&two, &three).await.changes, Changes::Known { .. }));
}

/// All doors. Pages are drawn on threads of their own, which hold connections to the database: they must live as long as the test asks it.
fn doors(story: &Story) -> Router {
    everything(&story.bench).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
}

/// Asks for a page as somebody who is signed in.
async fn page(story: &Story, routes: &Router, path: &str) -> (StatusCode, String) {
    let (_, user) = story.bench.member("ada@example.com", "demo", Role::Viewer).await;
    let Who::Person(cookie) = session(&story.bench, user).await else {
        panic!("a person");
    };
    let request = Request::get(path)
        .header(header::HOST, "w.example")
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_hangs_holds_no_page() {
    let mut story = Story::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let hanging = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    let sources = SourceMirrors::new(story.directory.path().join("sources"));
    story.bench.services.sources = Arc::new(sources.with_patience(Duration::from_millis(300)));
    let draft = SourceHostDraft {
        host: host.clone(),
        plain_http: true,
        ..SourceHostDraft::default()
    };
    story.save(&draft, "").await.unwrap();
    let source = format!("http://{host}/api.git");
    let (one, two) = ("a".repeat(40), "b".repeat(40));
    let (before, after) = (
        story.image(labels(&source, &one)).await,
        story.image(labels(&source, &two)).await,
    );
    let id = story.promotion(Some(before), after).await;
    let routes = doors(&story);
    let (status, text) = page(&story, &routes, &format!("/promotions/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains(&format!("/promotions/{id}?commits")),
        "without a script there is a link"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the page asked nobody");
    assert_eq!(why(&story.read(&id).await), &Unknown::TimedOut { host });
    assert!(why(&story.read(&id).await).may_pass());
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "who reads it a moment later doesn't ask again"
    );
    hanging.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_and_the_api_show_the_same() {
    let story = Story::new().await;
    let (one, two) = (story.commit("one"), story.commit("Fix <the> thing"));
    story.list(TOKEN).await;
    let source = story.source();
    let (before, after) = (
        story.image(labels(&source, &one)).await,
        story.image(labels(&source, &two)).await,
    );
    let id = story.promotion(Some(before), after).await;
    let routes = doors(&story);
    let (status, text) = page(&story, &routes, &format!("/promotions/{id}?commits")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains("Source commits") && text.contains("Fix &lt;the&gt; thing"),
        "{text}"
    );
    assert!(text.contains("Brings 1 commit"), "{text}");

    let (_, token) = story.bench.program("demo", "reader", Role::Viewer).await;
    let request = Request::get(format!("/api/v1/promotions/{id}/changes"))
        .header(header::HOST, "w.example")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()))
        .body(Body::empty())
        .unwrap();
    let (status, answer) = Bench::send(routes, request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(
        (&answer["relation"], &answer["compareUrl"]),
        (&Value::from("forward"), &Value::Null)
    );
    assert_eq!(
        (&answer["before"], &answer["after"]),
        (&Value::from(one), &Value::from(two.clone()))
    );
    let commit = &answer["added"]["commits"][0];
    assert_eq!(
        (&commit["id"], &commit["subject"]),
        (&Value::from(two), &Value::from("Fix <the> thing"))
    );
    assert!(commit["at"].as_str().unwrap().ends_with('Z'), "{commit}");
    assert_eq!(answer["removed"]["commits"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn hosts_are_listed_changed_and_removed_and_the_ledger_tells() {
    let story = Story::new().await;
    let field = |error: AppError| match error {
        AppError::Invalid(errors) => errors.0.into_iter().map(|error| error.field).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let draft = |host: &str, user: &str| SourceHostDraft {
        host: host.into(),
        user: user.into(),
        ..SourceHostDraft::default()
    };
    for (host, user, token, fields) in [
        ("https://github.com", "", "", vec!["source[host]"]),
        ("169.254.169.254", "", "", vec!["source[host]"]),
        ("github.com", "", "t", vec!["source[user]"]),
        ("github.com", "a:b", "t", vec!["source[user]"]),
        ("github.com", "a", "", vec!["secrets[source_token]"]),
        ("a b", "a", "", vec!["source[host]", "secrets[source_token]"]),
    ] {
        let refused = story.save(&draft(host, user), token).await.unwrap_err();
        assert_eq!(field(refused), fields, "{host} {user}");
    }
    let (services, boss) = (&story.bench.services, &story.boss);
    story.save(&draft("GitHub.com:443", "bot"), "t0ken").await.unwrap();
    let twice = story.save(&draft("github.com", "bot"), "t0ken").await.unwrap_err();
    assert_eq!(field(twice), ["source[host]"]);
    let view = configure::source_hosts(services, boss, "demo").await.unwrap();
    assert_eq!((view.hosts.len(), view.hosts[0].draft.host.as_str()), (1, "github.com"));
    assert!(view.hosts[0].has_token && !format!("{view:?}").contains("t0ken"));
    // It is kept, but not for a connection that anybody can read.
    assert_eq!(story.edit(|_| {}, "").await.unwrap(), "No changes.");
    let refused = story.edit(|draft| draft.plain_http = true, "").await.unwrap_err();
    assert_eq!(field(refused), ["secrets[source_token]"]);
    let said = story.edit(|draft| draft.user = "other".into(), "").await.unwrap();
    assert_eq!(said, "github.com is changed: read as other.");
    let said = story.edit(|draft| draft.anonymous = true, "").await.unwrap();
    assert_eq!(said, "github.com is changed: read without signing in.");
    let mut tx = story.bench.store.read().await.unwrap();
    let stored = tx.source_hosts(story.template.workspace).await.unwrap().remove(0);
    assert_eq!((stored.user, stored.token), (None, None), "both are forgotten");
    drop(tx);
    configure::remove_source_host(services, boss, "demo", "github.com")
        .await
        .unwrap();
    let gone = configure::remove_source_host(services, boss, "demo", "github.com").await;
    assert!(matches!(gone, Err(AppError::NotFound(_))), "{gone:?}");

    let mut tx = story.bench.store.read().await.unwrap();
    let events = tx.events_after(0, 1000).await.unwrap();
    let told: Vec<String> = (events.iter())
        .filter(|event| {
            matches!(
                event.happened,
                Happened::SourceHostAdded { .. }
                    | Happened::SourceHostChanged { .. }
                    | Happened::SourceHostRemoved { .. }
            )
        })
        .map(|event| event.happened.told().0)
        .collect();
    assert_eq!(
        told,
        [
            "listed github.com as a host of source repositories, read as bot",
            "changed how source repositories on github.com are read",
            "changed how source repositories on github.com are read",
            "removed github.com from the hosts of source repositories",
        ]
    );
}
