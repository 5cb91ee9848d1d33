//! What goes wrong: each cause has its own error, nothing is committed twice, and no secret is told.

use super::*;
use testbed::Cut;

#[tokio::test]
async fn a_push_that_landed_unnoticed_is_found() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let mut request = promotion(3, "api");
    let hold = setting.server.hold_push_after();
    {
        let push = setting.commit(&request);
        tokio::select! {
            done = push => panic!("the push was not held: {done:?}"),
            () = within(hold.held()) => {}
        }
    }
    // The call is gone, as after a crash; the remote has the commit.
    hold.release();
    let landed = setting.tip().await;
    request.retry = true;
    let found = setting.commit(&request).await.unwrap();
    assert_eq!(
        found,
        Committed::Found {
            commit: landed.clone(),
            stands: true
        }
    );
    // A process that starts from nothing finds it too, also below others' commits.
    setting.outsider_writes("README", "x").await;
    let fresh = GitMirrors::new(setting.directory.path().join("fresh"));
    let found = fresh.commit_and_push(&setting.access, &request).await.unwrap();
    assert_eq!(
        found,
        Committed::Found {
            commit: landed,
            stands: true
        }
    );
    assert_eq!(setting.commits_of(&request).await, 1);
}

#[tokio::test]
async fn a_push_that_landed_unnoticed_is_found_even_when_the_caller_forgot() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let request = promotion(3, "api");
    let hold = setting.server.hold_push_after();
    tokio::select! {
        done = setting.commit(&request) => panic!("the push was not held: {done:?}"),
        () = within(hold.held()) => {}
    }
    hold.release();
    setting.outsider_writes("README", "x").await;
    let found = setting.commit(&request).await.unwrap();
    assert!(matches!(found, Committed::Found { .. }), "{found:?}");
    assert_eq!(setting.commits_of(&request).await, 1);
}

#[tokio::test]
async fn a_protected_branch_is_the_servers_word() {
    use std::os::unix::fs::PermissionsExt as _;
    let setting = Setting::new().await;
    let hook = setting.repo.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(
        &hook,
        "#!/bin/sh\necho 'main is protected: ask the release team' >&2\nexit 1\n",
    )
    .unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = setting.commit(&promotion(2, "api")).await.unwrap_err();
    assert!(matches!(&error, GitError::Refused { .. }), "{error}");
    assert!(
        error.to_string().contains("main is protected: ask the release team"),
        "{error}"
    );
    assert!(!error.is_passing());
    std::fs::remove_file(&hook).unwrap();
    pushed(setting.commit(&promotion(2, "api")).await);
}

#[tokio::test]
async fn a_wrong_token_is_named_and_not_shown() {
    let mut setting = Setting::new().await;
    setting.access.credentials = token("wr0ng-t0ken");
    let error = setting.commit(&promotion(2, "api")).await.unwrap_err();
    assert!(matches!(&error, GitError::Unauthorized { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
    setting.access.credentials = Credentials::None;
    let error = setting.mirrors.fetch(&setting.access).await.unwrap_err();
    assert!(matches!(&error, GitError::Unauthorized { .. }), "{error}");
    // In the address it works as well, and is shown nowhere.
    let host = setting.server.address();
    setting.access.url = format!("http://{USER}:{TOKEN}@{host}/demo.git");
    pushed(setting.commit(&promotion(2, "api")).await);
    setting.access.url = format!("http://{USER}:wr0ng-t0ken@{host}/demo.git");
    let error = setting.mirrors.fetch(&setting.access).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
    for file in setting.mirror_files() {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(TOKEN) && !text.contains("wr0ng"), "{}", file.display());
    }
}

#[tokio::test]
async fn a_refused_sign_in_is_told_in_words_for_people() {
    let mut setting = Setting::new().await;
    for (credentials, words) in [
        (
            Credentials::None,
            "it asks for a sign-in, and there are no user and token",
        ),
        (token("wr0ng-t0ken"), "it rejected user and token"),
    ] {
        setting.access.credentials = credentials;
        let unprobed = setting.mirrors.probe(&setting.access, &[], "").await.unwrap_err();
        for error in [
            setting.mirrors.fetch(&setting.access).await.unwrap_err(),
            setting.commit(&promotion(2, "api")).await.unwrap_err(),
            unprobed.error,
        ] {
            let said = error.to_string();
            assert!(matches!(error, GitError::Unauthorized { .. }), "{said}");
            assert!(
                said.contains(words) && said.contains("in the settings under Git"),
                "{said}"
            );
            assert!(!said.contains("terminal") && !said.contains("could not read"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_host_that_is_busy_is_asked_again_later() {
    let setting = Setting::new().await;
    for status in [429, 503] {
        setting.server.cut_reads(Some(Cut::Status(status)));
        let error = setting.mirrors.fetch(&setting.access).await.unwrap_err();
        assert!(error.is_passing(), "{error}");
        assert!(error.to_string().contains(&format!("status {status}")), "{error}");
        setting.server.cut_reads(None);
        setting.mirrors.fetch(&setting.access).await.unwrap();
        setting.server.fail_next_pushes(1, status);
        let error = setting.commit(&promotion(2, "api")).await.unwrap_err();
        assert!(error.is_passing(), "{error}");
    }
    pushed(setting.commit(&promotion(2, "api")).await);
    assert_eq!(setting.commits_of(&promotion(2, "api")).await, 1);
}

#[tokio::test]
async fn a_repository_that_moved_is_named_by_its_new_address() {
    let setting = Setting::new().await;
    let to = "https://git.example.com/new/demo.git";
    setting.server.cut_reads(Some(Cut::Moved(to.to_owned())));
    let unprobed = setting.mirrors.probe(&setting.access, &[], "").await.unwrap_err();
    for error in [
        setting.mirrors.fetch(&setting.access).await.unwrap_err(),
        setting.commit(&promotion(2, "api")).await.unwrap_err(),
        unprobed.error,
    ] {
        assert!(
            matches!(&error, GitError::Moved { to: named, .. } if named == to),
            "{error}"
        );
        assert!(!error.is_passing());
    }
}

#[tokio::test]
async fn names_of_another_kind_are_told() {
    let mut setting = Setting::new().await;
    let served = setting.directory.path().join("served");
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.current_dir(&served)
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"]);
        assert!(git.args(arguments).status().unwrap().success(), "{arguments:?}");
    };
    git(&["init", "-q", "--object-format=sha256", "-b", "main", "work"]);
    git(&[
        "init",
        "-q",
        "--object-format=sha256",
        "--bare",
        "-b",
        "main",
        "empty.git",
    ]);
    git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", "First"]);
    git(&["clone", "-q", "--bare", "work", "full.git"]);
    for name in ["full.git", "empty.git"] {
        setting.access.url = setting.server.url(name);
        let unprobed = setting.mirrors.probe(&setting.access, &[], "").await.unwrap_err();
        for error in [
            setting.mirrors.fetch(&setting.access).await.unwrap_err(),
            setting.commit(&promotion(2, "api")).await.unwrap_err(),
            unprobed.error,
        ] {
            assert!(matches!(&error, GitError::Sha256 { .. }), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn an_empty_repository_is_named_and_can_be_begun() {
    let setting = Setting::empty().await;
    let unprobed = setting.mirrors.probe(&setting.access, &[], "").await.unwrap_err();
    for error in [
        setting.mirrors.fetch(&setting.access).await.unwrap_err(),
        unprobed.error,
    ] {
        assert!(
            matches!(&error, GitError::Empty { branch, .. } if branch == "main"),
            "{error}"
        );
    }
    let mut request = promotion(2, "api");
    request.edits[0].may_create = false;
    let error = setting.commit(&request).await.unwrap_err();
    assert!(matches!(&error, GitError::NoFile { .. }), "{error}");
    request.edits[0].may_create = true;
    assert!(
        setting
            .mirrors
            .preview(&setting.access, &request.edits)
            .await
            .unwrap()
            .creates_file
    );
    pushed(setting.commit(&request).await);
    assert!(setting.file().await.contains("tag: v2"));
    // Where another branch is, the repository is not empty.
    let other = Setting::new().await;
    let mut access = other.access.clone();
    access.branch = "release".to_owned();
    let error = other.mirrors.fetch(&access).await.unwrap_err();
    assert!(matches!(&error, GitError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn unreachable_servers_are_tried_again_later() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    setting.server.fail_next_pushes(1, 503);
    let error = setting.commit(&promotion(3, "api")).await.unwrap_err();
    assert!(matches!(&error, GitError::Busy { .. }) && error.is_passing(), "{error}");
    pushed(setting.commit(&promotion(3, "api")).await);
    assert_eq!(setting.commits_of(&promotion(3, "api")).await, 1);

    let mut nowhere = setting.access.clone();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    nowhere.url = format!("http://{closed}/demo.git");
    let error = setting.mirrors.fetch(&nowhere).await.unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let setting = Setting::new().await;
    let mut access = setting.access.clone();
    access.branch = "release".to_owned();
    for error in [
        setting.mirrors.fetch(&access).await.unwrap_err(),
        setting
            .mirrors
            .commit_and_push(&access, &promotion(2, "api"))
            .await
            .unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("Branch release was not found"), "{error}");
    }
    access.branch = "a..b:c".to_owned();
    assert!(matches!(
        setting.mirrors.fetch(&access).await,
        Err(GitError::NotFound { .. })
    ));
    let mut access = setting.access.clone();
    access.url = setting.server.url("other.git");
    let error = setting.mirrors.fetch(&access).await.unwrap_err();
    assert!(error.to_string().starts_with("The repository was not found"), "{error}");
    access.url = setting
        .directory
        .path()
        .join("served/nothing")
        .to_str()
        .unwrap()
        .to_owned();
    let error = setting.with_local_paths().fetch(&access).await.unwrap_err();
    assert!(error.to_string().starts_with("The repository was not found"), "{error}");
}

#[tokio::test]
async fn nothing_is_fetched_from_the_machines_surroundings() {
    let setting = Setting::new().await;
    for url in [
        "http://169.254.169.254/latest/demo.git",
        "http://2852039166/demo.git",
        "ssh://git@169.254.169.254/demo.git",
        "git@169.254.169.254:demo.git",
    ] {
        let mut access = setting.access.clone();
        access.url = url.to_owned();
        let error = setting.mirrors.fetch(&access).await.unwrap_err().to_string();
        assert!(error.contains("the machine's surroundings"), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_take_the_token_elsewhere() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let setting = Setting::new().await;
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = elsewhere.local_addr().unwrap();
    let here = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut access = setting.access.clone();
    access.url = format!("http://{}/demo.git", here.local_addr().unwrap());
    let redirecting = tokio::spawn(async move {
        let (mut client, _) = here.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = client.read(&mut request).await.unwrap();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{there}/demo.git/info/refs?service=git-upload-pack\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        client.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let error = tokio::select! {
        fetched = setting.mirrors.fetch(&access) => fetched.unwrap_err(),
        _ = elsewhere.accept() => panic!("git followed the redirect"),
    };
    assert!(error.to_string().contains("redirects to another address"), "{error}");
    assert!(
        redirecting.await.unwrap().contains("Authorization: Basic"),
        "the token goes where it belongs"
    );
}

#[tokio::test]
async fn files_that_cannot_be_edited_are_refused_until_they_can() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    setting.outsider_writes(PATH, "a: 1\n---\nb: 2\n").await;
    let tip = setting.tip().await;
    setting.mirrors.fetch(&setting.access).await.unwrap();
    let error = setting.commit(&promotion(3, "api")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{PATH}: it holds several YAML documents")),
        "{error}"
    );
    assert_eq!(setting.tip().await, tip);
    // Mended by hand: the mirror does not know yet, and asks.
    setting.outsider_writes(PATH, VALUES).await;
    pushed(setting.commit(&promotion(3, "api")).await);

    let mut escaping = promotion(4, "api");
    for path in [
        "../values.yaml",
        "/etc/values.yaml",
        ".git/config",
        "environments",
        "environments/production/values.yaml/x",
    ] {
        escaping.edits[0].place.path = path.to_owned();
        let error = setting.commit(&escaping).await.unwrap_err();
        assert!(matches!(&error, GitError::Values { .. }), "{path}: {error}");
    }
}

#[tokio::test]
async fn links_are_not_written_through() {
    let setting = Setting::new().await;
    let work = setting.directory.path().join("work");
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
            .args(arguments);
        assert!(command.status().unwrap().success());
    };
    let at = work.to_str().unwrap();
    git(&["clone", "-q", setting.repo.path().to_str().unwrap(), at]);
    std::os::unix::fs::symlink("production", work.join("environments/link")).unwrap();
    std::os::unix::fs::symlink("values.yaml", work.join("environments/production/link.yaml")).unwrap();
    git(&["-C", at, "add", "."]);
    git(&["-C", at, "commit", "-q", "-m", "Links"]);
    git(&["-C", at, "push", "-q", "origin", "HEAD:refs/heads/main"]);
    for path in ["environments/link/values.yaml", "environments/production/link.yaml"] {
        let mut request = promotion(2, "api");
        request.edits[0].place.path = path.to_owned();
        let error = setting.commit(&request).await.unwrap_err();
        assert!(error.to_string().contains("is a symbolic link"), "{error}");
    }
}

#[tokio::test]
async fn a_broken_mirror_is_made_anew() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let heads: Vec<_> = setting
        .mirror_files()
        .into_iter()
        .filter(|f| f.ends_with("HEAD"))
        .collect();
    assert_eq!(heads.len(), 1);
    std::fs::remove_file(&heads[0]).unwrap();
    pushed(setting.commit(&promotion(3, "api")).await);
    // Every object gone.
    for file in setting.mirror_files() {
        if file.to_string_lossy().contains("/objects/") {
            std::fs::remove_file(file).unwrap();
        }
    }
    pushed(setting.commit(&promotion(4, "api")).await);
    assert_eq!(
        setting.mirrors.fetch(&setting.access).await.unwrap(),
        setting.tip().await
    );
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_mirror_that_lost_what_its_branch_holds_is_made_anew_for_who_reads() {
    let setting = Setting::new().await;
    for (n, part) in (2..).zip(["^{tree}", ":environments", ":environments/production/values.yaml"]) {
        let (tip, _) = pushed(setting.commit(&promotion(n, "api")).await);
        let object = setting.object(&format!("{tip}{part}"));
        let (folder, rest) = object.split_at(2);
        let file = format!("{folder}/{rest}");
        let lost: Vec<_> = setting
            .mirror_files()
            .into_iter()
            .filter(|found| found.ends_with(&file))
            .collect();
        assert_eq!(lost.len(), 1, "{part} lies by itself");
        std::fs::remove_file(&lost[0]).unwrap();
        let read = setting.mirrors.services(&setting.access, &tip, PATH, "").await;
        assert!(
            matches!(&read, Ok(Some(services)) if !services.is_empty()),
            "{part}: {read:?}"
        );
    }
}

#[tokio::test]
async fn a_mirror_is_not_made_anew_for_a_fault_of_the_machine() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let mirrors = setting.directory.path().join("mirrors");
    let mark = setting
        .mirror_files()
        .into_iter()
        .find(|file| file.ends_with("HEAD"))
        .unwrap()
        .with_file_name("mark");
    std::fs::write(&mark, "").unwrap();
    // What holds the mirrors can't be used, as when a volume isn't mounted.
    let away = setting.directory.path().join("away");
    std::fs::rename(&mirrors, &away).unwrap();
    std::fs::write(&mirrors, "").unwrap();
    for error in [
        setting.commit(&promotion(3, "api")).await.unwrap_err(),
        setting.mirrors.fetch(&setting.access).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, GitError::Machine { .. }) && error.is_passing(),
            "{error}"
        );
    }
    std::fs::remove_file(&mirrors).unwrap();
    std::fs::rename(&away, &mirrors).unwrap();
    pushed(setting.commit(&promotion(3, "api")).await);
    assert!(mark.exists(), "the mirror is the same");
    // Nor for what lies in it and can't be read by anybody.
    let head = mark.with_file_name("HEAD");
    std::fs::rename(&head, mark.with_file_name("HEAD.away")).unwrap();
    std::os::unix::fs::symlink("HEAD", &head).unwrap();
    let error = setting.commit(&promotion(4, "api")).await.unwrap_err();
    assert!(matches!(&error, GitError::Machine { .. }), "{error}");
    std::fs::rename(mark.with_file_name("HEAD.away"), &head).unwrap();
    pushed(setting.commit(&promotion(4, "api")).await);
    assert!(mark.exists(), "the mirror is the same");
}

#[tokio::test]
async fn what_a_killed_server_left_locked_does_not_stay_locked() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let references: Vec<_> = setting
        .mirror_files()
        .into_iter()
        .filter(|file| file.ends_with("refs/remotes/o/main"))
        .collect();
    std::fs::write(references[0].with_extension("lock"), "").unwrap();
    for n in 3..6 {
        setting.outsider_writes("README", &n.to_string()).await;
        pushed(setting.commit(&promotion(n, "api")).await);
        assert_eq!(
            setting.mirrors.fetch(&setting.access).await.unwrap(),
            setting.tip().await
        );
    }
}

#[tokio::test]
async fn what_a_killed_server_left_beside_its_mirrors_is_removed() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let mirrors = setting.directory.path().join("mirrors");
    let (left, in_use) = (mirrors.join(".mirror-left"), mirrors.join(".mirror-in-use"));
    for directory in [&left, &in_use] {
        std::fs::create_dir_all(directory.join("objects")).unwrap();
    }
    let long_ago = std::time::UNIX_EPOCH;
    std::fs::File::open(&left).unwrap().set_modified(long_ago).unwrap();
    let anew = GitMirrors::new(mirrors);
    assert!(!left.exists());
    assert!(in_use.exists());
    assert_eq!(anew.fetch(&setting.access).await.unwrap(), setting.tip().await);
}
