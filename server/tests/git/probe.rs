//! Looking at a repository without its mirror: what is found, and that nothing of it stays.

use super::{PATH, Setting, TOKEN, token, within};
use server::ports::git::{Credentials, Git as _, GitError, RepositoryAccess};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test]
async fn what_is_there_is_told_and_nothing_stays() {
    let setting = Setting::new().await;
    let paths = [PATH, "nowhere.yaml", "environments"].map(str::to_owned);
    let probe = setting.mirrors.probe(&setting.access, &paths, "").await.unwrap();
    assert_eq!(probe.tip, setting.tip().await);
    let names = |n: usize| {
        let services = probe.files[n].as_ref().unwrap().as_ref()?;
        Some(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>())
    };
    assert_eq!(names(0), Some(vec!["api", "web"]));
    assert_eq!(names(1), None);
    assert!(matches!(&probe.files[2], Err(GitError::Values { .. })));
    assert!(probe.push.is_ok(), "{:?}", probe.push);
    assert_eq!(probe.refusals, vec![Vec::<String>::new(); 3]);

    // By path too, as the program sees it.
    let by_path = RepositoryAccess {
        url: setting.repo.path().display().to_string(),
        credentials: Credentials::None,
        ..setting.access.clone()
    };
    let probe = setting.with_local_paths().probe(&by_path, &paths, "").await.unwrap();
    assert!(probe.push.is_ok() && probe.files[0].is_ok());

    // Its room is gone with the answer.
    assert_eq!(setting.mirror_files(), Vec::<std::path::PathBuf>::new());
    assert_eq!(setting.mirrors.known_tip(&setting.access).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let setting = Setting::new().await;
    let with = |change: &dyn Fn(&mut RepositoryAccess)| {
        let mut access = setting.access.clone();
        change(&mut access);
        access
    };
    let missing = with(&|access| access.branch = "release".into());
    let why = setting.mirrors.probe(&missing, &[], "").await.unwrap_err();
    assert!(
        matches!(&why.error, GitError::NotFound { what, .. } if what == "Branch release"),
        "{why:?}"
    );
    assert_eq!(why.branches, ["main"]);
    let wrong = with(&|access| access.credentials = token("wr0ng-t0ken"));
    let why = setting.mirrors.probe(&wrong, &[], "").await.unwrap_err();
    assert!(matches!(&why.error, GitError::Unauthorized { .. }), "{why:?}");
    assert!(!format!("{why:?}").contains("wr0ng-t0ken"));
    let nowhere = with(&|access| access.url = setting.server.url("nowhere.git"));
    let why = setting.mirrors.probe(&nowhere, &[], "").await.unwrap_err();
    assert!(matches!(&why.error, GitError::NotFound { .. }), "{why:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_soon() {
    let setting = Setting::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let access = RepositoryAccess {
        url: format!("http://{}/demo.git", silent.local_addr().unwrap()),
        credentials: token(TOKEN),
        ..setting.access.clone()
    };
    let began = Instant::now();
    let why = within(setting.mirrors.probe(&access, &[], "")).await.unwrap_err();
    assert!(matches!(&why.error, GitError::Unreachable { .. }), "{why:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// What would be refused at the commit is told by the look already.
#[tokio::test]
async fn a_look_is_as_strict_as_a_commit() {
    let setting = Setting::new().await;
    let writer = setting.repo.outsider("main").await.unwrap();
    let files = [
        ("alias.yaml", "x: &x {tag: v1}\nservices:\n  api:\n    image: *x\n"),
        ("twice.yaml", "services:\n  api: {}\na: 1\na: 2\n"),
        ("empty.yaml", "services: text\n"),
        (
            "number.yaml",
            "services:\n  api: {image: {repository: r.example/api, tag: 1.10}}\n",
        ),
        ("Production/values.yaml", "services: {}\n"),
    ];
    writer.commit(&files, "Odd files").await.unwrap();
    let paths = [
        "alias.yaml",
        "twice.yaml",
        "empty.yaml",
        "number.yaml",
        "production/values.yaml",
    ]
    .map(str::to_owned);
    let probe = setting.mirrors.probe(&setting.access, &paths, "").await.unwrap();
    for (refused, words) in probe.refusals.iter().zip([
        "services.api.image is an alias",
        "appears twice",
        "services is no mapping",
    ]) {
        assert!(refused.iter().any(|why| why.contains(words)), "{words}: {refused:?}");
    }
    // No source as it stands, but a commit writes it in quotes.
    assert_eq!(probe.refusals[3], Vec::<String>::new());
    let other = probe.files[4].as_ref().unwrap_err().to_string();
    assert!(other.contains("there is no production, but Production"), "{other}");
}
