//! The main job, from a pushed build to production, as people and programs meet it.

use crate::support::world::{ADMIN, Setup, World, until};
use domain::promotion::{Actor, Purpose, State};

const NEW: &str = "/w/demo/myapp/production/-/new";

/// The form as a browser without a script posts it.
fn pinned(digest: &str) -> Vec<(&str, &str)> {
    vec![
        ("intent", "create"),
        ("source", "promote"),
        ("image", ""),
        ("source_environment", "staging"),
        ("source_resource", "api"),
        ("binding", "pin"),
        ("digest", digest),
        ("name", "api"),
        ("kind", "deployment"),
        ("replicas", "3"),
        ("ports[0]", "8080"),
        ("env[0][name]", "LOG_LEVEL"),
        ("env[0][value]", "info"),
        ("ingress_host", "api.example.com"),
        ("size", ""),
        ("health_path", "/healthz"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_goes_from_the_registry_to_production() {
    let world = World::start().await;
    let mut browser = world.admin().await;

    // A push deploys to development and is followed in staging, by itself.
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    for (environment, purpose) in [("development", Purpose::Deploy), ("staging", Purpose::Promote)] {
        let promotions = world.promotions(environment, "api").await;
        assert_eq!(promotions.len(), 1, "{environment}: {promotions:?}");
        let promotion = &promotions[0];
        assert_eq!(
            (promotion.purpose, promotion.state, &promotion.requested_by),
            (purpose, State::Succeeded, &Actor::Waybill)
        );
        assert_eq!(promotion.image.digest.as_str(), second);
    }

    // A person creates it in production, pinned to that digest.
    let shown = browser.get(NEW).await;
    assert_eq!(shown.status, 200);
    for words in [
        "Promote from environment",
        "Source resource",
        "Pin to digest",
        "Create Resource",
        "1.1.0",
    ] {
        assert!(shown.words().contains(words), "{words} is not offered");
    }
    let answer = browser.post(NEW, &pinned(&second)).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let id = answer
        .location()
        .unwrap()
        .strip_prefix("/promotions/")
        .unwrap()
        .to_owned();
    let promotion = world.ends(&id, State::Succeeded).await;
    let page = browser.get(&format!("/promotions/{id}")).await;
    assert_eq!(page.status, 200);
    assert!(page.words().contains("Succeeded"), "{}", page.words());

    // Git has exactly these lines changed.
    let commits = world.repository.commits("main").await.unwrap();
    let commit = &commits[0];
    assert_eq!(Some(&commit.sha), promotion.commit.as_ref());
    assert_eq!(commit.subject, "promote(production): api 1.1.0 from staging");
    assert_eq!(commit.author, format!("ada <{ADMIN}>"));
    assert!(commit.committer.starts_with("Waybill <"), "{}", commit.committer);
    for trailer in [
        format!("Waybill-Promotion: {id}"),
        format!("Waybill-Digest: {second}"),
        "Waybill-Source: staging/api".to_owned(),
        "Source-Repository: https://git.example.com/acme/api".to_owned(),
        "Source-Revision: 3f1c0d9e".to_owned(),
        format!("Waybill-Link: {}/promotions/{id}", world.base_url),
    ] {
        assert!(
            commit.body.lines().any(|line| line == trailer),
            "{trailer}: {}",
            commit.body
        );
    }
    assert!(commit.changes.iter().all(|line| line.added), "{:?}", commit.changes);
    let added: String = commit.changes.iter().map(|line| format!("{}\n", line.text)).collect();
    assert_eq!(
        added,
        format!(
            "  api:\n    image:\n      repository: {}/myapp/api\n      tag: 1.1.0\n      digest: {second}\n    \
             replicas: 3\n    port: 8080\n    env:\n      LOG_LEVEL: info\n    domains:\n      - api.example.com\n    \
             healthPath: /healthz\n",
            world.host
        )
    );
    let staging = commits
        .iter()
        .find(|c| c.subject.starts_with("promote(staging)"))
        .unwrap();
    let lines: Vec<(bool, &str)> = staging.changes.iter().map(|line| (line.added, &*line.text)).collect();
    let old = format!("      digest: {}", world.first);
    let new = format!("      digest: {second}");
    assert_eq!(
        lines,
        [
            (false, "      tag: 1.0.0 # moved by Waybill"),
            (false, &*old),
            (true, "      tag: 1.1.0 # moved by Waybill"),
            (true, &*new),
        ]
    );
    assert_eq!(commits.len(), 4, "{:?}", world.subjects().await);

    // It is live, and the board shows it three times.
    for environment in ["development", "staging", "production"] {
        let images = world.live_images(environment);
        assert!(
            images.len() == 1 && images[0].ends_with(&second),
            "{environment}: {images:?}"
        );
    }
    let board = browser.get("/w/demo/myapp").await.words();
    let short = &second["sha256:".len()..][..7];
    assert_eq!(board.matches(short).count(), 3, "{board}");

    // A new build moves the two that follow, and not the pinned one.
    let third = world.push("1.2.0").await;
    world.wait_for_live("staging", "api", &third).await;
    world.idle().await;
    assert_eq!(world.promotions("production", "api").await.len(), 1);
    assert!(world.live_images("production")[0].ends_with(&second));
    let short = &third["sha256:".len()..][..7];
    let board = until("the board to show the new build", async || {
        let board = browser.get("/w/demo/myapp").await.words();
        (board.matches(short).count() >= 2).then_some(board)
    })
    .await;
    assert!(board.contains("behind"), "{board}");
    assert_eq!(world.subjects().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_says_nothing_is_polled() {
    let world = World::with(Setup {
        notifies: false,
        ..Setup::default()
    })
    .await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    assert_eq!(
        world.subjects().await[..2],
        [
            "promote(staging): api 1.1.0 from development",
            "deploy(development): api 1.1.0"
        ]
    );
}
