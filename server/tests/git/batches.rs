//! Many commits with one push: all land, one each, and what fails fails alone.

use super::*;
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

fn values_path(environment: usize) -> String {
    format!("environments/env{environment}/values.yaml")
}

/// Environments with services of the usual shape.
async fn fill(setting: &Setting, environments: usize, services: usize) {
    let file = || {
        let mut text = "# values\nservices:\n".to_owned();
        for n in 0..services {
            let repository = format!("r.example/service{n}");
            let old = "1".repeat(64);
            let _ = writeln!(
                text,
                "  service{n}:\n    image:\n      repository: {repository}\n      tag: v1 # moved\n      digest: sha256:{old}\n    replicas: 2"
            );
        }
        text
    };
    let files: Vec<_> = (0..environments).map(|n| (values_path(n), file())).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let writer = setting.repo.outsider("main").await.unwrap();
    writer.commit(&files, "Declare what runs where").await.unwrap();
}

/// The promotion number `n`, somewhere among so many environments and services.
fn request(n: usize, environments: usize, services: usize) -> CommitRequest {
    let mut request = promotion(0, &format!("service{}", n / environments % services));
    request.promotion = PromotionId(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + n as u128));
    request.edits[0].place.path = values_path(n % environments);
    request.edits[0].image.tag = Some(format!("v{n}x").parse().unwrap());
    request.edits[0].image.digest = format!("sha256:{n:064x}").parse().unwrap();
    request.subject = format!("promote(env{}): service v{n}x", n % environments);
    request
}

/// Promotions by the newest first, as the branch holds them.
async fn trailers(setting: &Setting) -> Vec<String> {
    let commits = setting.repo.commits("main").await.unwrap();
    let named = commits.iter().filter_map(|c| {
        c.body
            .lines()
            .last()?
            .strip_prefix("Waybill-Promotion: ")
            .map(str::to_owned)
    });
    named.collect()
}

#[tokio::test]
async fn many_go_out_with_one_push_as_one_commit_each() {
    let setting = Setting::new().await;
    fill(&setting, 3, 6).await;
    for size in [5, 60] {
        let pushes = setting.server.pushes();
        let before = setting.repo.commits("main").await.unwrap().len();
        let requests: Vec<_> = (0..size).map(|n| request(size * 100 + n, 3, 6)).collect();
        for done in setting.mirrors.commit_and_push_all(&setting.access, &requests).await {
            assert_eq!(pushed(done).1, 1);
        }
        assert_eq!(setting.server.pushes(), pushes + 1);
        let commits = setting.repo.commits("main").await.unwrap();
        assert_eq!(commits.len(), before + size);
        for (commit, request) in commits.iter().zip(requests.iter().rev()) {
            assert_eq!(commit.subject, request.subject);
            assert!(
                commit
                    .body
                    .contains(&format!("Waybill-Promotion: {}", request.promotion))
            );
            assert_eq!(
                commit.changes.len(),
                4,
                "tag and digest, nothing else: {:?}",
                commit.changes
            );
            assert!(
                commit
                    .changes
                    .iter()
                    .all(|change| change.path == request.edits[0].place.path)
            );
        }
    }
    // The whole repository is as Git wants it.
    let checked = std::process::Command::new("git")
        .arg("--git-dir")
        .arg(setting.repo.path())
        .args(["fsck", "--strict", "--no-dangling"])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // All of them again are found, by this process and by one that starts from nothing.
    let requests: Vec<_> = (0..60).map(|n| request(6_000 + n, 3, 6)).collect();
    let fresh = GitMirrors::new(setting.directory.path().join("fresh"));
    for mirrors in [&setting.mirrors, &fresh] {
        for done in mirrors.commit_and_push_all(&setting.access, &requests).await {
            assert!(matches!(done, Ok(Committed::Found { .. })), "{done:?}");
        }
    }
}

#[tokio::test]
async fn new_files_and_directories_come_with_a_batch() {
    let setting = Setting::empty().await;
    let requests: Vec<_> = (0..12).map(|n| request(n, 4, 6)).collect();
    for done in setting.mirrors.commit_and_push_all(&setting.access, &requests).await {
        pushed(done);
    }
    for environment in 0..4 {
        let file = setting.repo.read_file("main", &values_path(environment)).await.unwrap();
        assert!(String::from_utf8(file.unwrap()).unwrap().contains("service2:"));
    }
    assert_eq!(setting.repo.commits("main").await.unwrap().len(), 12);
}

#[tokio::test]
async fn what_fails_by_itself_stops_nobody() {
    let setting = Setting::new().await;
    fill(&setting, 2, 6).await;
    setting
        .outsider_writes("environments/broken/values.yaml", "a: 1\n---\nb: 2\n")
        .await;
    let mut requests: Vec<_> = (0..10).map(|n| request(n, 2, 6)).collect();
    requests[3].edits[0].place.path = "environments/broken/values.yaml".to_owned();
    // The same image again: nothing to do.
    requests[7].edits = requests[5].edits.clone();
    let done = setting.mirrors.commit_and_push_all(&setting.access, &requests).await;
    for (n, done) in done.into_iter().enumerate() {
        match n {
            3 => assert!(matches!(&done, Err(GitError::Values { .. })), "{done:?}"),
            7 => assert!(matches!(&done, Ok(Committed::Unchanged { .. })), "{done:?}"),
            _ => drop(pushed(done)),
        }
    }
    assert_eq!(trailers(&setting).await.len(), 8);
}

#[tokio::test]
async fn what_the_server_refuses_stops_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let setting = Setting::new().await;
    fill(&setting, 2, 6).await;
    let hook = setting.repo.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\nread old new ref\nif git log --format=%s $old..$new | grep -q 'v13x$'; then echo 'not that one' >&2; exit 1; fi\n";
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let requests: Vec<_> = (0..20).map(|n| request(n, 2, 6)).collect();
    let done = setting.mirrors.commit_and_push_all(&setting.access, &requests).await;
    for (n, done) in done.into_iter().enumerate() {
        if n == 13 {
            assert!(
                matches!(&done, Err(GitError::Refused { reason }) if reason.contains("not that one")),
                "{done:?}"
            );
        } else {
            pushed(done);
        }
    }
    assert_eq!(trailers(&setting).await.len(), 19);
    // A server that refuses everything is not asked for ever.
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    let (pushes, requests) = (
        setting.server.pushes(),
        (100..164).map(|n| request(n, 2, 6)).collect::<Vec<_>>(),
    );
    let done = setting.mirrors.commit_and_push_all(&setting.access, &requests).await;
    assert!(done.iter().all(|done| matches!(done, Err(GitError::Refused { .. }))));
    assert!(setting.server.pushes() - pushes < 60);
}

/// Pushes to a file of its own, again and again, until told to stop; counts how often it got through.
async fn writes_without_pause(repo: BareRepo, name: usize, stop: Arc<AtomicBool>, through: Arc<AtomicUsize>) {
    let writer = repo.outsider("main").await.unwrap();
    let path = format!("outsiders/{name}");
    while !stop.load(Ordering::SeqCst) {
        let next = through.load(Ordering::SeqCst) + 1;
        let done = writer
            .commit(&[(&path, &format!("{next}\n"))], &format!("Outsider {name}: {next}"))
            .await;
        // Overtaken, it tries again like everybody.
        if done.is_ok() {
            through.store(next, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_who_push_without_pause_do_not_starve_us() {
    let setting = Setting::new().await;
    fill(&setting, 2, 6).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for name in 1..=3 {
        let through = Arc::new(AtomicUsize::new(0));
        let writer = writes_without_pause(setting.repo.clone(), name, Arc::clone(&stop), Arc::clone(&through));
        writers.push((through, tokio::spawn(writer)));
    }
    within(async {
        while writers.iter().any(|(through, _)| through.load(Ordering::SeqCst) < 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut sent = Vec::new();
    for n in 0..4 {
        let requests: Vec<_> = (0..5).map(|m| request(n * 5 + m, 2, 6)).collect();
        for done in setting.mirrors.commit_and_push_all(&setting.access, &requests).await {
            pushed(done);
        }
        sent.extend(requests);
    }
    stop.store(true, Ordering::SeqCst);
    let mut through = 0;
    for (count, writer) in writers {
        writer.await.unwrap();
        through += count.load(Ordering::SeqCst);
    }
    // Commit by commit: each has one parent; ours change their own file in tag and digest and nothing else, one commit each; and every
    // one of the others is there.
    let commits = setting.repo.commits("main").await.unwrap();
    assert!(commits.iter().all(|commit| commit.parents.len() < 2), "no merges");
    let others = commits.iter().filter(|c| c.subject.starts_with("Outsider")).count();
    assert_eq!(others, through);
    assert_eq!(trailers(&setting).await.len(), 20, "none lost, none doubled");
    for request in &sent {
        let trailer = format!("Waybill-Promotion: {}", request.promotion);
        let mut ours = commits.iter().filter(|commit| commit.body.contains(&trailer));
        let (commit, again) = (ours.next().unwrap(), ours.next());
        assert!(again.is_none(), "{again:?}");
        assert_eq!(commit.subject, request.subject);
        assert_eq!(commit.changes.len(), 4, "{:?}", commit.changes);
        assert!(
            commit
                .changes
                .iter()
                .all(|change| change.path == request.edits[0].place.path)
        );
    }
}

/// Not a test of speed, which machines differ in: it prints what a burst costs.
#[tokio::test]
#[ignore = "prints a measurement"]
async fn how_long_a_burst_takes() {
    let setting = Setting::new().await;
    fill(&setting, 20, 200).await;
    setting.mirrors.fetch(&setting.access).await.unwrap();
    for (from, size) in [
        (0, 1),
        (10, 1),
        (20, 1),
        (100, 10),
        (1_000, 100),
        (2_000, 1_000),
        (4_000, 1_000),
    ] {
        let requests: Vec<_> = (0..size).map(|n| request(from + n, 20, 200)).collect();
        let began = Instant::now();
        for done in setting.mirrors.commit_and_push_all(&setting.access, &requests).await {
            pushed(done);
        }
        println!("{size} commits: {:?}", began.elapsed());
    }
}
