//! Git over smart HTTP, asked by the `git` program itself.

use std::path::Path;

use tempfile::TempDir;
use testbed::{BareRepo, ChangedLine, GitServer};
use tokio::process::Command;

use crate::within;

struct Setting {
    directory: TempDir,
    repo: BareRepo,
    server: GitServer,
}

async fn setting(auth: Option<(&str, &str)>) -> Setting {
    let directory = TempDir::new().unwrap();
    let repo = BareRepo::init(directory.path().join("served/demo.git"), "main")
        .await
        .unwrap();
    let writer = repo.outsider("main").await.unwrap();
    writer
        .commit(&[("environments/staging/values.yaml", "image:\n  tag: v1\n")], "Start")
        .await
        .unwrap();
    let server = GitServer::start(directory.path().join("served"), None, auth)
        .await
        .unwrap();
    Setting {
        directory,
        repo,
        server,
    }
}

/// Runs git as a client would; success and everything it printed.
async fn git(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let identity = [
        "-c",
        "user.name=Client",
        "-c",
        "user.email=client@example.com",
        "-c",
        "credential.helper=",
    ];
    let output = Command::new("git")
        .current_dir(directory)
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(identity)
        .args(arguments)
        .output()
        .await
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

async fn clone(setting: &Setting, url: &str) -> std::path::PathBuf {
    let (cloned, said) = git(setting.directory.path(), &["clone", "--quiet", url, "clone"]).await;
    assert!(cloned, "{said}");
    setting.directory.path().join("clone")
}

async fn commit(clone: &Path, content: &str) {
    std::fs::write(clone.join("environments/staging/values.yaml"), content).unwrap();
    let (committed, said) = git(clone, &["commit", "--quiet", "--all", "-m", "Promote\n\nWaybill-Id: 7"]).await;
    assert!(committed, "{said}");
}

#[tokio::test]
async fn clones_and_pushes_and_tells_the_history() {
    let setting = setting(None).await;
    let clone = clone(&setting, &setting.server.url("demo.git")).await;
    commit(&clone, "image:\n  tag: v2\n").await;
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(pushed, "{said}");

    assert_eq!(setting.server.reads(), 3);
    assert_eq!(setting.server.pushes(), 1);
    let file = setting
        .repo
        .read_file("main", "environments/staging/values.yaml")
        .await
        .unwrap();
    assert_eq!(file.as_deref(), Some(b"image:\n  tag: v2\n".as_slice()));
    assert_eq!(setting.repo.read_file("main", "none.yaml").await.unwrap(), None);
    assert_eq!(setting.repo.read_file("none", "none.yaml").await.unwrap(), None);

    let commits = setting.repo.commits("main").await.unwrap();
    let [newest, first] = commits.as_slice() else {
        panic!("{commits:#?}")
    };
    assert_eq!(
        (newest.subject.as_str(), newest.body.as_str()),
        ("Promote", "Waybill-Id: 7")
    );
    assert_eq!(newest.author, "Client <client@example.com>");
    assert_eq!(newest.parents.as_slice(), std::slice::from_ref(&first.sha));
    let path = "environments/staging/values.yaml".to_owned();
    let removed = ChangedLine {
        path: path.clone(),
        added: false,
        text: "  tag: v1".to_owned(),
    };
    let added = ChangedLine {
        path,
        added: true,
        text: "  tag: v2".to_owned(),
    };
    assert_eq!(newest.changes, [removed, added]);
    assert_eq!(first.changes.len(), 2);
}

#[tokio::test]
async fn takes_a_push_too_large_for_one_buffer() {
    let setting = setting(None).await;
    let clone = clone(&setting, &setting.server.url("demo.git")).await;
    // Lines that do not compress: beyond http.postBuffer git sends the pack in chunks, after a probe.
    let mut seed = 7_u64;
    let noise: String = (0..120_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{seed:x}\n")
        })
        .collect();
    commit(&clone, &noise).await;
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(pushed, "{said}");
    assert_eq!(setting.server.pushes(), 1, "the probe is no push");
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 2);
}

#[tokio::test]
async fn asks_for_credentials() {
    let setting = setting(Some(("waybill", "s3cret"))).await;
    let url = setting.server.url("demo.git");
    let (cloned, said) = git(setting.directory.path(), &["clone", &url, "refused"]).await;
    assert!(!cloned, "{said}");
    let wrong = url.replace("http://", "http://waybill:wrong@");
    let (cloned, said) = git(setting.directory.path(), &["clone", &wrong, "refused"]).await;
    assert!(!cloned && said.contains("Authentication failed"), "{said}");
    assert_eq!(setting.server.reads(), 0);

    let clone = clone(&setting, &url.replace("http://", "http://waybill:s3cret@")).await;
    commit(&clone, "image:\n  tag: v2\n").await;
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(pushed, "{said}");
}

#[tokio::test]
async fn holds_a_push_before_it_lands() {
    let setting = setting(None).await;
    let clone = clone(&setting, &setting.server.url("demo.git")).await;
    commit(&clone, "image:\n  tag: v2\n").await;
    let hold = setting.server.hold_push_before();
    let push = tokio::spawn(async move { git(&clone, &["push", "origin", "main"]).await });
    within("the push to be held", hold.held()).await;
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 1);
    hold.release();
    let (pushed, said) = within("the push", push).await.unwrap();
    assert!(pushed, "{said}");
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 2);
}

#[tokio::test]
async fn holds_the_answer_of_a_push_that_landed_and_fails_it_when_stopped() {
    let setting = setting(None).await;
    let clone = clone(&setting, &setting.server.url("demo.git")).await;
    commit(&clone, "image:\n  tag: v2\n").await;
    let hold = setting.server.hold_push_after();
    let push = tokio::spawn(async move { git(&clone, &["push", "origin", "main"]).await });
    within("the push to be held", hold.held()).await;
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 2);
    drop(setting.server);
    let (pushed, said) = within("the push to end", push).await.unwrap();
    assert!(!pushed, "{said}");
}

#[tokio::test]
async fn fails_as_many_pushes_as_asked() {
    let setting = setting(None).await;
    let clone = clone(&setting, &setting.server.url("demo.git")).await;
    commit(&clone, "image:\n  tag: v2\n").await;
    setting.server.fail_next_pushes(1, 503);
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(!pushed && said.contains("503"), "{said}");
    assert_eq!(setting.server.pushes(), 0);
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(pushed, "{said}");
}

#[tokio::test]
async fn lets_an_outsider_push_first() {
    let setting = setting(None).await;
    let clone = clone(&setting, &setting.server.url("demo.git")).await;
    commit(&clone, "image:\n  tag: v2\n").await;
    let writer = setting.repo.outsider("main").await.unwrap();
    setting.server.before_push(move || async move {
        writer.commit(&[("README.md", "hello\n")], "Say hello").await.unwrap();
    });
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(!pushed && said.contains("rejected"), "{said}");
    let commits = setting.repo.commits("main").await.unwrap();
    assert_eq!(commits[0].subject, "Say hello");
    assert_eq!(setting.server.pushes(), 1);
    // The action ran once: after catching up the push goes through.
    let (rebased, said) = git(&clone, &["pull", "--quiet", "--rebase", "origin", "main"]).await;
    assert!(rebased, "{said}");
    let (pushed, said) = git(&clone, &["push", "origin", "main"]).await;
    assert!(pushed, "{said}");
}

#[tokio::test]
async fn outsiders_remove_and_revert() {
    let setting = setting(None).await;
    let writer = setting.repo.outsider("main").await.unwrap();
    writer
        .remove(&["environments/staging/values.yaml"], "Remove staging")
        .await
        .unwrap();
    assert_eq!(
        setting
            .repo
            .read_file("main", "environments/staging/values.yaml")
            .await
            .unwrap(),
        None
    );
    let reverted = writer.revert_tip().await.unwrap();
    assert_eq!(setting.repo.tip("main").await.unwrap(), Some(reverted));
    assert!(
        setting
            .repo
            .read_file("main", "environments/staging/values.yaml")
            .await
            .unwrap()
            .is_some()
    );
}
