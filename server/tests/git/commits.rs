//! Commits that go well, alone and among others.

use super::*;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[tokio::test]
async fn one_small_commit_with_its_people_and_trailers() {
    let setting = Setting::new().await;
    let before = setting.tip().await;
    let request = promotion(2, "api");
    let (commit, attempts) = pushed(setting.commit(&request).await);
    assert_eq!((attempts, setting.tip().await), (1, commit.clone()));
    assert_eq!(
        setting.mirrors.known_tip(&setting.access).await.unwrap(),
        Some(commit.clone())
    );

    let made = setting.repo.commits("main").await.unwrap().remove(0);
    assert_eq!(made.parents.join(" "), before);
    assert_eq!(made.subject, "promote(production): api v2 from staging");
    assert_eq!(made.author, "Ada Lovelace <ada@example.com>");
    assert_eq!(made.committer, "Waybill <waybill@waybill.invalid>");
    assert_eq!(
        made.body.lines().collect::<Vec<_>>(),
        [
            format!("Waybill-Digest: {}", digest(2)),
            "Waybill-Source: staging X: y".to_owned(),
            format!("Waybill-Promotion: {}", request.promotion),
        ]
    );
    let changes: Vec<_> = made.changes.iter().map(|c| (c.added, c.text.trim_start())).collect();
    let (old, new) = (
        format!("digest: sha256:{}", "1".repeat(64)),
        format!("digest: {}", digest(2)),
    );
    assert_eq!(
        changes,
        [(false, "tag: v1"), (false, &*old), (true, "tag: v2"), (true, &*new)]
    );

    let view = setting.mirrors.show(&setting.access, &commit).await.unwrap().unwrap();
    assert_eq!(
        (view.subject.as_str(), view.author.as_str(), view.at),
        (&*made.subject, "Ada Lovelace", AT)
    );
    assert!(view.diff.contains("\n-      tag: v1\n"), "{}", view.diff);
    assert!(view.diff.contains("\n+      tag: v2\n"), "{}", view.diff);
    assert_eq!(
        setting.mirrors.show(&setting.access, &"0".repeat(40)).await.unwrap(),
        None
    );

    let (a, b) = (commit.clone(), before);
    assert!(setting.mirrors.contains(&setting.access, &a, &b).await.unwrap());
    assert!(setting.mirrors.contains(&setting.access, &a, &a).await.unwrap());
    assert!(!setting.mirrors.contains(&setting.access, &b, &a).await.unwrap());
    // One that only the remote has yet.
    let newer = setting.outsider_writes("README", "x").await;
    assert!(
        setting
            .mirrors
            .contains(&setting.access, &newer, &commit)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn reading_and_previewing_change_nothing() {
    let setting = Setting::new().await;
    assert_eq!(setting.mirrors.known_tip(&setting.access).await.unwrap(), None);
    let tip = setting.mirrors.fetch(&setting.access).await.unwrap();
    assert_eq!(tip, setting.tip().await);
    let services = setting
        .mirrors
        .services(&setting.access, &tip, PATH, "")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["api", "web"]
    );
    let nowhere = setting
        .mirrors
        .services(&setting.access, &tip, "no/such.yaml", "")
        .await
        .unwrap();
    assert_eq!(nowhere, None);

    let Difference {
        text: diff,
        creates_file,
    } = setting
        .mirrors
        .preview(&setting.access, &promotion(2, "web").edits)
        .await
        .unwrap();
    assert!(!creates_file);
    assert!(
        diff.contains("-    image: {repository: r.example/web, tag: v1}"),
        "{diff}"
    );
    assert!(
        diff.contains("+    image: {repository: r.example/web, tag: v2, digest: sha256:0202"),
        "{diff}"
    );
    assert_eq!(setting.tip().await, tip);

    setting.commit(&promotion(2, "web")).await.unwrap();
    assert_eq!(
        setting
            .mirrors
            .preview(&setting.access, &promotion(2, "web").edits)
            .await
            .unwrap(),
        Difference::default()
    );
}

#[tokio::test]
async fn a_commit_makes_all_its_edits_or_none() {
    let setting = Setting::new().await;
    let tip = setting.tip().await;
    let mut both = promotion(2, "api");
    both.edits.extend(promotion(2, "web").edits);
    let mut elsewhere = promotion(2, "api").edits.remove(0);
    elsewhere.place.path = "environments/new/values.yaml".to_owned();
    both.edits.push(elsewhere.clone());

    let shown = setting.mirrors.preview(&setting.access, &both.edits).await.unwrap();
    assert!(shown.creates_file, "{}", shown.text);
    for line in ["tag: v2", "r.example/web, tag: v2", "environments/new/values.yaml"] {
        assert!(shown.text.contains(line), "{line}: {}", shown.text);
    }

    // One that can't be made stops the others, too.
    both.edits[2].may_create = false;
    let refused = setting.commit(&both).await.unwrap_err();
    assert!(
        matches!(&refused, GitError::NoFile { path } if *path == elsewhere.place.path),
        "{refused}"
    );
    assert_eq!(setting.tip().await, tip);

    both.edits[2] = elsewhere;
    let (commit, _) = pushed(setting.commit(&both).await);
    let made = setting.mirrors.show(&setting.access, &commit).await.unwrap().unwrap();
    assert_eq!(made.diff, shown.text, "the preview shows what the commit makes");
    assert_eq!(
        setting.repo.commits("main").await.unwrap().len(),
        2,
        "one commit for all"
    );

    // Found again while all of them stand.
    let again = CommitRequest { retry: true, ..both };
    let found = setting.commit(&again).await.unwrap();
    assert_eq!(
        found,
        Committed::Found {
            commit: commit.clone(),
            stands: true
        }
    );
    setting.commit(&promotion(3, "web")).await.unwrap();
    let found = setting.commit(&again).await.unwrap();
    assert_eq!(found, Committed::Found { commit, stands: false });
}

#[tokio::test]
async fn the_first_commit_of_an_empty_repository_makes_the_branch() {
    let setting = Setting::empty().await;
    assert!(matches!(
        setting.mirrors.fetch(&setting.access).await,
        Err(GitError::Empty { .. })
    ));
    let request = promotion(2, "api");
    pushed(setting.commit(&request).await);
    assert!(setting.file().await.starts_with("services:\n  api:\n    image:\n"));
    pushed(setting.commit(&promotion(3, "api")).await);
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 2);
}

#[tokio::test]
async fn line_endings_and_modes_stay() {
    let setting = Setting::new().await;
    let crlf = VALUES.replace('\n', "\r\n");
    setting.outsider_writes(PATH, &crlf).await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let after = setting.file().await;
    assert_eq!(after.matches("\r\n").count(), crlf.matches("\r\n").count());
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    let changes = setting.repo.commits("main").await.unwrap().remove(0).changes;
    assert_eq!(changes.len(), 4, "{changes:?}");
}

#[tokio::test]
async fn what_the_file_says_already_makes_no_commit() {
    let setting = Setting::new().await;
    let (tip, _) = pushed(setting.commit(&promotion(2, "api")).await);
    let mut again = promotion(3, "api");
    again.edits = promotion(2, "api").edits;
    let reads = setting.server.reads();
    assert_eq!(setting.commit(&again).await.unwrap(), Committed::Unchanged { tip });
    assert!(setting.server.reads() > reads, "the remote's state must be asked for");

    // The mirror believes that nothing would change, but an outsider took it back.
    setting.outsider_writes(PATH, VALUES).await;
    let (_, attempts) = pushed(setting.commit(&again).await);
    assert_eq!(attempts, 1);
    assert!(setting.file().await.contains("tag: v2"));
}

#[tokio::test]
async fn an_outsider_who_pushes_first_is_built_upon() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(2, "api")).await);
    let repo = setting.repo.clone();
    setting.server.before_push(move || async move {
        let writer = repo.outsider("main").await.unwrap();
        let values = VALUES.replace("# production", "# production, by hand");
        writer.commit(&[(PATH, &values)], "By hand").await.unwrap();
    });
    let request = promotion(3, "web");
    let (_, attempts) = pushed(setting.commit(&request).await);
    assert_eq!(attempts, 2);
    let file = setting.file().await;
    assert!(
        file.starts_with("# production, by hand\n") && file.contains("r.example/web, tag: v3"),
        "{file}"
    );
    assert_eq!(setting.commits_of(&request).await, 1);
    let commits = setting.repo.commits("main").await.unwrap();
    let subjects: Vec<_> = commits.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects[..2], ["promote(production): web v3 from staging", "By hand"]);
}

#[tokio::test]
async fn thirty_at_once_all_land_as_one_commit_each() {
    let setting = Arc::new(Setting::new().await);
    let running: Vec<_> = (0..30)
        .map(|n| {
            let setting = Arc::clone(&setting);
            tokio::spawn(async move { setting.commit(&promotion(n, &format!("service{n}"))).await })
        })
        .collect();
    for task in running {
        pushed(within(task).await.unwrap());
    }
    for n in 0..30 {
        assert_eq!(setting.commits_of(&promotion(n, "x")).await, 1);
    }
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 31);
}

#[tokio::test]
async fn two_processes_at_once_both_land() {
    let setting = Arc::new(Setting::new().await);
    let other = Arc::new(GitMirrors::new(setting.directory.path().join("others")));
    let mut running = Vec::new();
    for n in 0..8 {
        let (setting, other) = (Arc::clone(&setting), Arc::clone(&other));
        running.push(tokio::spawn(async move {
            let mirrors = if n % 2 == 0 { &setting.mirrors } else { &*other };
            mirrors
                .commit_and_push(&setting.access, &promotion(n, &format!("service{n}")))
                .await
        }));
    }
    for task in running {
        pushed(within(task).await.unwrap());
    }
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 9);
}

#[tokio::test]
async fn a_local_path_serves_as_well() {
    let setting = Setting::new().await;
    let access = RepositoryAccess {
        tenant: String::new(),
        url: setting.repo.path().to_str().unwrap().to_owned(),
        branch: "main".to_owned(),
        credentials: Credentials::None,
    };
    let mirrors = setting.with_local_paths();
    let (commit, _) = pushed(mirrors.commit_and_push(&access, &promotion(2, "api")).await);
    assert_eq!(setting.tip().await, commit);
    setting.outsider_writes("README", "x").await;
    let (_, attempts) = pushed(mirrors.commit_and_push(&access, &promotion(3, "api")).await);
    assert_eq!(attempts, 2);
}

/// Not a test of speed, which machines differ in: it prints what a warm commit costs beside a bare push.
#[tokio::test]
#[ignore = "prints a measurement"]
async fn how_long_a_warm_commit_takes() {
    let setting = Setting::new().await;
    pushed(setting.commit(&promotion(0, "api")).await);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let clone = setting.directory.path().join("clone");
    let git = async |arguments: &[&str]| {
        let header = format!("http.extraHeader=Authorization: Basic {}", {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{TOKEN}"))
        });
        let mut command = tokio::process::Command::new("git");
        let identity = ["-c", &header, "-c", "user.name=x", "-c", "user.email=x@example.com"];
        let status = command.args(identity).args(arguments).status().await.unwrap();
        assert!(status.success());
    };
    let at = clone.to_str().unwrap();
    for n in 1..=15 {
        let start = std::time::Instant::now();
        pushed(setting.commit(&promotion(n, "api")).await);
        ours.push(start.elapsed());
        let _ = std::fs::remove_dir_all(&clone);
        git(&["clone", "-q", &setting.access.url, at]).await;
        git(&["-C", at, "commit", "-q", "--allow-empty", "-m", "x"]).await;
        let start = std::time::Instant::now();
        git(&["-C", at, "push", "-q", "origin", "HEAD:refs/heads/main"]).await;
        theirs.push(start.elapsed());
        setting.mirrors.fetch(&setting.access).await.unwrap();
    }
    ours.sort();
    theirs.sort();
    println!(
        "commit_and_push, warm: median {:?}; git push of a ready commit: median {:?}",
        ours[7], theirs[7]
    );
}

#[tokio::test]
async fn who_changed_a_service_is_told_past_our_own_commits() {
    let setting = Setting::new().await;
    let since = setting.tip().await;
    let path = promotion(2, "api").edits.remove(0).place.path;
    let who = async |since: &str, tip: &str| {
        let (mirrors, access) = (&setting.mirrors, &setting.access);
        mirrors.fetch(access).await.unwrap();
        mirrors.last_change(access, since, tip, &place("api")).await.unwrap()
    };
    let (ours, _) = pushed(setting.commit(&promotion(2, "api")).await);
    assert_eq!(who(&since, &ours).await, None, "ours alone is nobody else's");

    let file = setting.repo.read_file("main", &path).await.unwrap().unwrap();
    let file = String::from_utf8(file).unwrap();
    let switched_off = file.replacen("  api:\n", "  api:\n    enabled: false\n", 1);
    let theirs = setting.outsider_writes(&path, &switched_off).await;
    setting.outsider_writes("README", "about something else").await;
    setting
        .outsider_writes(&path, &format!("# By hand.\n{switched_off}"))
        .await;
    let (tip, _) = pushed(setting.commit(&promotion(3, "api")).await);
    assert_eq!(
        who(&since, &tip).await.map(|change| change.commit),
        Some(theirs.clone())
    );
    assert_eq!(who(&theirs, &tip).await, None, "it was read before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_while_a_mirror_is_made_finds_none_or_all_of_it() {
    let mut setting = Setting::new().await;
    for n in 0..20 {
        setting.mirrors = GitMirrors::new(setting.directory.path().join(format!("mirrors-{n}")));
        let made = AtomicBool::new(false);
        let make = async {
            setting.mirrors.fetch(&setting.access).await.unwrap();
            made.store(true, Ordering::SeqCst);
        };
        let read = async {
            while !made.load(Ordering::SeqCst) {
                setting.mirrors.known_tip(&setting.access).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(make, read);
        let left = std::fs::read_dir(setting.directory.path().join(format!("mirrors-{n}"))).unwrap();
        let left = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        assert_eq!(left.count(), 0);
    }
}

#[tokio::test]
async fn a_look_that_finds_nothing_new_is_one_request() {
    let setting = Setting::new().await;
    let first = setting.mirrors.fetch(&setting.access).await.unwrap();
    let before = setting.server.reads();
    assert_eq!(setting.mirrors.fetch(&setting.access).await.unwrap(), first);
    assert_eq!(setting.server.reads() - before, 1);

    // What is new is fetched, also when it doesn't build on what was there.
    let second = setting.outsider_writes(PATH, VALUES).await;
    assert_eq!(setting.mirrors.fetch(&setting.access).await.unwrap(), second);
    let (repository, back) = (
        git2::Repository::open_bare(setting.repo.path()),
        git2::Oid::from_str(&first),
    );
    (repository.unwrap())
        .reference("refs/heads/main", back.unwrap(), true, "back")
        .unwrap();
    assert_eq!(setting.mirrors.fetch(&setting.access).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_share_a_look_at_the_remote() {
    let setting = Setting::new().await;
    setting.mirrors.fetch(&setting.access).await.unwrap();
    let before = setting.server.reads();
    let tip = setting.outsider_writes(PATH, VALUES).await;
    let found = futures::future::join_all((0..20).map(|_| setting.mirrors.fetch(&setting.access))).await;
    for found in found {
        assert_eq!(found.unwrap(), tip, "what was pushed before they asked is there");
    }
    // Each looks where the branch is, and one of them fetches.
    let reads = setting.server.reads() - before;
    assert!(reads <= 2 + 3, "{reads} requests for 20 who asked at once");

    // Each is answered for their own credentials.
    let mut stranger = setting.access.clone();
    stranger.credentials = Credentials::UserToken {
        user: "waybill".into(),
        token: "wrong".into(),
    };
    let both = (0..10).map(|n| {
        setting
            .mirrors
            .fetch(if n % 2 == 0 { &setting.access } else { &stranger })
    });
    for (n, found) in futures::future::join_all(both).await.into_iter().enumerate() {
        match found {
            Ok(found) => assert!(n % 2 == 0 && found == tip, "{n}"),
            Err(error) => assert!(n % 2 == 1 && matches!(error, GitError::Unauthorized { .. }), "{error}"),
        }
    }
}
