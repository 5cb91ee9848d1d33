//! What becomes of Applications while Waybill is about: one is deleted and made anew, renamed, moved to another cluster, or is of an Argo CD that
//! lets little be seen.

use crate::support::world::{World, until, values_path};
use argocd_standin::{AppSpec, Fault};
use domain::{promotion::State, resource::Unknown};
use serde_json::{Value, json};

const BOARD: &str = "/w/demo/myapp";
const STAGING: &str = "myapp-staging";

/// The Application of staging under any name.
fn staging(world: &World, name: &str) -> AppSpec {
    let url = world.repository.path().display().to_string();
    let mut app = AppSpec::new(name, "myapp", &url, &values_path("staging"));
    app.automated = true;
    app
}

async fn is_not_found(world: &World) {
    until("it to be said that there is no Application", async || {
        let live = world.resource("staging", "api").await?.live?;
        (live.unknown == Some(Unknown::NoApplication)).then_some(())
    })
    .await;
}

/// How often a request was made whose line has this in it.
fn asked(world: &World, what: &str) -> usize {
    (world.standin.requests().iter())
        .filter(|line| line.contains(what))
        .count()
}

/// Ends all streams and lets none begin until it is cleared; the server has noticed.
async fn cut(world: &World) {
    let refused = Fault::FailRequests {
        status: 502,
        path: Some("/stream/applications".into()),
        times: None,
    };
    let before = asked(world, "/stream/applications");
    world.standin.inject(None, refused).unwrap();
    world.standin.inject(None, Fault::CutStreams { abrupt: false }).unwrap();
    until("the server to ask in vain", async || {
        (asked(world, "/stream/applications") > before).then_some(())
    })
    .await;
}

async fn promotion_of(world: &World, digest: &str) -> String {
    until("a promotion of staging", async || {
        let all = world.promotions("staging", "api").await;
        let found = all.into_iter().find(|p| p.image.digest.as_str() == digest)?;
        Some(found.id.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_deleted_is_said_to_be_gone_and_waited_for() {
    let world = World::start().await;
    assert!(world.standin.remove_app(STAGING));
    is_not_found(&world).await;
    let mut browser = world.admin().await;
    let board = browser.get(BOARD).await;
    assert!(board.words().contains("Application not found"), "{}", board.words());
    let page = browser.get(&format!("{BOARD}/staging/api")).await.words();
    assert!(
        page.contains("What runs there is not known until it can be read."),
        "{page}"
    );
    let query = "{ resources(project: \"myapp\", environment: \"staging\") { name liveDigests health } }";
    let (_, answer) = world
        .post_json("/api/graphql", Some(&world.token), &json!({ "query": query }))
        .await;
    let api = &answer["data"]["resources"][0];
    assert_eq!((&api["liveDigests"], &api["health"]), (&Value::Null, &Value::Null));
    let activity = browser.get("/w/demo/-/activity").await.words();
    assert!(
        activity.contains("Argo CD has no application myapp-staging, or doesn't show it"),
        "{activity}"
    );

    // Nothing soaks where nobody knows what runs.
    let api = world.resource("staging", "api").await.unwrap();
    let runs = world.store.read().await.unwrap().open_runs(api.id).await.unwrap();
    assert!(runs.is_empty(), "{runs:?}");

    // What is promised meanwhile is committed, and waits.
    let second = world.push("1.1.0").await;
    let id = promotion_of(&world, &second).await;
    until("it to say what it waits for", async || {
        let all = world.promotions("staging", "api").await;
        let promotion = all.into_iter().find(|p| p.id.to_string() == id)?;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        let why = promotion.waits_for.unwrap_or_default();
        why.contains("Argo CD has no application myapp-staging").then_some(())
    })
    .await;
    world.standin.upsert_app(staging(&world, STAGING));
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("staging", "api", &second).await;
}

/// A stream begins with the Applications that are, and says nothing of those that were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_deleted_while_nobody_listens_is_said_to_be_gone() {
    let world = World::start().await;
    let reads = |name: &str| asked(&world, &format!("/applications/myapp-{name}?"));
    let before = (reads("staging"), reads("development"));
    cut(&world).await;
    assert!(world.standin.remove_app(STAGING));
    world.standin.inject(None, Fault::Clear).unwrap();
    is_not_found(&world).await;
    let development = world.resource("development", "api").await.unwrap().live.unwrap();
    assert_eq!(development.digests[0].as_str(), world.first);
    // It is asked for once, and those that the stream has named never.
    assert_eq!((reads("staging"), reads("development")), (before.0 + 1, before.1));
    // Made anew while nobody listens, it is found as well.
    cut(&world).await;
    world.standin.upsert_app(staging(&world, STAGING));
    world.standin.inject(None, Fault::Clear).unwrap();
    world.wait_for_live("staging", "api", &world.first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_renamed_is_followed_under_its_new_name() {
    let world = World::start().await;
    for environment in ["development", "staging", "production"] {
        let url = world.repository.path().display().to_string();
        let mut app = AppSpec::new(&format!("shop-{environment}"), "myapp", &url, &values_path(environment));
        app.automated = true;
        world.standin.upsert_app(app);
        assert!(world.standin.remove_app(&format!("myapp-{environment}")));
    }
    is_not_found(&world).await;
    let mut document = world.document();
    document["clusters"][0]["argocd"]["application"] = json!("shop-{environment}");
    world.apply(&document).await;
    world.wait_for_live("staging", "api", &world.first).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;

    // A name that none has.
    document["clusters"][0]["argocd"]["application"] = json!("nobody-{environment}");
    world.apply(&document).await;
    is_not_found(&world).await;
}

/// A promotion asked the old one, which answers when the environment has had another for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_says_that_is_meant_no_more_is_not_shown() {
    let world = World::start().await;
    world
        .standin
        .inject(Some(STAGING), Fault::FreezeRefresh { on: true })
        .unwrap();
    let refreshes = || asked(&world, "refresh=normal");
    let before = refreshes();
    let second = world.push("1.1.0").await;
    let id = promotion_of(&world, &second).await;
    until("the promotion to ask for a refresh", async || {
        (refreshes() > before).then_some(())
    })
    .await;
    let mut document = world.document();
    document["clusters"][0]["argocd"]["application"] = json!("nobody-{environment}");
    world.apply(&document).await;
    is_not_found(&world).await;
    world
        .standin
        .inject(Some(STAGING), Fault::FreezeRefresh { on: false })
        .unwrap();
    until("the promotion to ask for the new one", async || {
        let why = world.promotion(&id).await.waits_for.unwrap_or_default();
        why.contains("Argo CD has no application nobody-staging").then_some(())
    })
    .await;
    is_not_found(&world).await;
}

/// Argo CD deploys it anew; what ran in the old cluster is nothing to it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_moves_to_another_cluster_is_proven_there() {
    let world = World::start().await;
    let mut app = staging(&world, STAGING);
    // As AWS' managed Argo CD names clusters.
    app.destination_server = "arn:aws:eks:eu-central-1:111122223333:cluster/shop".into();
    world.standin.upsert_app(app);
    // Argo CD syncs no commit a second time by itself: whether the first one runs there depends on whether its sync had ended.
    let second = world.push("1.1.0").await;
    let id = promotion_of(&world, &second).await;
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("staging", "api", &second).await;
}

/// An environment is moved to another cluster in Waybill, where its Application is still missing: what ran in the old one is not shown as live.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_moves_before_its_application_says_so() {
    let world = World::start().await;
    let mut document = world.document();
    let mut other = document["clusters"][0].clone();
    other["name"] = json!("other");
    other["argocd"]["application"] = json!("moved-{environment}");
    document["clusters"].as_array_mut().unwrap().push(other);
    document["projects"][0]["environments"][1]["cluster"] = json!("other");
    world.apply(&document).await;
    is_not_found(&world).await;
    world.standin.upsert_app(staging(&world, "moved-staging"));
    world.wait_for_live("staging", "api", &world.first).await;
}

/// A managed Argo CD may refuse everything but what its policy grants: settings, accounts, clusters, the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_an_argo_cd_that_lets_little_be_seen_is_promoted() {
    let world = World::start().await;
    for path in [
        "/settings",
        "/session",
        "/account",
        "/clusters",
        "/projects",
        "/version",
    ] {
        let refused = Fault::FailRequests {
            status: 403,
            path: Some(path.into()),
            times: None,
        };
        world.standin.inject(None, refused).unwrap();
    }
    let second = world.push("1.1.0").await;
    let id = promotion_of(&world, &second).await;
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("staging", "api", &second).await;
    let mut browser = world.admin().await;
    let test = [
        ("intent", "test-cluster"),
        ("cluster[was]", "local"),
        ("cluster[stored]", "true"),
    ];
    let tested = browser.post("/w/demo/-/settings/clusters", &test).await.words();
    for words in [
        "and does not tell its version",
        "Argo CD doesn't say whether it is valid",
        "Application myapp-staging",
    ] {
        assert!(tested.contains(words), "{tested}");
    }
}
