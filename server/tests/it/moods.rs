//! How Waybill lives with an Argo CD's moods: it is restarted, refuses the token, has Applications of one name twice, says nothing for long.

use crate::support::world::{Setup, World, until, values_path};
use argocd_standin::{AppSpec, Fault, Timing};
use domain::{event::Happened, resource::Resource};
use serde_json::json;
use std::time::{Duration, Instant};

const BOARD: &str = "/w/demo/myapp";

/// No stream can be had, until it is cleared.
fn cut(world: &World, fault: Fault) {
    world.standin.inject(None, fault).unwrap();
    world.standin.inject(None, Fault::CutStreams { abrupt: false }).unwrap();
}

fn no_streams() -> Fault {
    Fault::FailRequests {
        status: 502,
        path: Some("/stream/applications".into()),
        times: None,
    }
}

/// Since when, and until when, `api` of an environment was healthy with its first image.
async fn run_of(world: &World, resource: &Resource) -> Option<(i64, Option<i64>)> {
    let mut tx = world.store.read().await.unwrap();
    let environment = resource.environment;
    for workspace in tx.workspaces().await.unwrap() {
        for project in tx.projects(workspace.id).await.unwrap() {
            let digest = world.first.parse().unwrap();
            let runs = tx.runs(project.project.id, &digest).await.unwrap();
            if let Some(run) = runs.iter().rfind(|run| run.environment == environment) {
                return Some((run.since.0, run.until.map(|at| at.0)));
            }
        }
    }
    None
}

async fn happened(world: &World) -> Vec<Happened> {
    let mut tx = world.store.read().await.unwrap();
    let workspaces = tx.workspaces().await.unwrap();
    let mut all = Vec::new();
    for workspace in workspaces {
        let events = tx.events_after(0, 100_000).await.unwrap();
        all.extend(
            events
                .into_iter()
                .filter(|e| e.workspace == workspace.id)
                .map(|e| e.happened),
        );
    }
    all
}

async fn board_says(world: &World, words: &str) {
    let mut browser = world.admin().await;
    until(&format!("the board to say {words}"), async || {
        let page = browser.get(BOARD).await;
        page.words().contains(words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_argo_cd_that_is_restarted_leaves_board_and_soaks_alone_for_a_minute_and_no_longer() {
    let world = World::start().await;
    let staging = world.resource("staging", "api").await.unwrap();
    let before = until("a soak to begin", async || run_of(&world, &staging).await).await;
    assert_eq!(before.1, None);

    cut(&world, no_streams());
    board_says(&world, "As of").await;
    // More tries than the five after which everything was forgotten once.
    let asked = |world: &World| {
        let requests = world.standin.requests();
        requests
            .iter()
            .filter(|line| line.contains("/stream/applications"))
            .count()
    };
    let first = asked(&world);
    until("another try", async || (asked(&world) > first).then_some(())).await;
    let kept = world.resource("staging", "api").await.unwrap();
    assert_eq!(
        kept.live.map(|live| live.digests),
        staging.live.as_ref().map(|live| live.digests.clone())
    );
    assert_eq!(run_of(&world, &staging).await, Some(before));

    world.standin.inject(None, Fault::Clear).unwrap();
    until("it to be found again", async || {
        let all = happened(&world).await;
        let lost = all.iter().filter(|h| matches!(h, Happened::ArgoCdLost { .. })).count();
        let found = all.iter().filter(|h| matches!(h, Happened::ArgoCdFound { .. })).count();
        assert!(lost <= 2, "said once for each project: {lost}");
        (lost > 0 && found == lost).then_some(())
    })
    .await;
    assert_eq!(run_of(&world, &staging).await, Some(before), "a soak goes on");
    let forgot = happened(&world).await;
    assert!(!forgot.contains(&Happened::LiveForgotten));

    cut(&world, no_streams());
    board_says(&world, "As of").await;
    world.clock.forward(61_000);
    board_says(&world, "Not known since").await;
    assert_eq!(world.resource("staging", "api").await.unwrap().live, None);
    let (_, until_when) = run_of(&world, &staging).await.unwrap();
    assert!(until_when.is_some(), "nobody knows what was meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_refused_is_asked_for_later_each_time_and_that_is_said_once() {
    let world = World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let begun = Instant::now();
    cut(&world, Fault::Unauthorized { on: true });
    let asked = || {
        let requests = world.standin.requests();
        requests
            .iter()
            .filter(|line| line.contains("/stream/applications"))
            .count()
    };
    let before = asked();
    until("three more tries", async || (asked() >= before + 3).then_some(())).await;
    // After 1 and 2 and 4 seconds, each at most a fifth shorter.
    assert!(begun.elapsed() > Duration::from_millis(5_600), "{:?}", begun.elapsed());
    let log = std::fs::read_to_string(world.log_file()).unwrap();
    let said: Vec<_> = log.lines().filter(|line| line.contains("can't be followed")).collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0].contains("refused the token") && !said[0].contains("proxy"),
        "{said:?}"
    );

    // A person who tries the connection is not kept waiting.
    world.standin.inject(None, Fault::Clear).unwrap();
    let (at, tries) = (Instant::now(), asked());
    let mut browser = world.admin().await;
    let test = [
        ("intent", "test-cluster"),
        ("cluster[was]", "local"),
        ("cluster[stored]", "true"),
    ];
    let tested = browser.post("/w/demo/-/settings/clusters", &test).await;
    assert!(tested.words().contains("It is valid"), "{}", tested.words());
    until("a try at once", async || (asked() > tries).then_some(())).await;
    assert!(at.elapsed() < Duration::from_secs(4), "{:?}", at.elapsed());
    let metrics = reqwest::get(format!("{}/metrics", world.base_url))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("waybill_argocd_back_off_seconds"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_in_a_quiet_application_is_read_at_once() {
    let world = World::start().await;
    world.standin.set_timing(Timing {
        poll: Duration::from_secs(3_600),
        ..Timing::fast()
    });
    let mut document = world.document();
    let image = format!("{}/myapp/web", world.host);
    document["projects"][0]["environments"][2]["resources"] = json!([{ "name": "web", "source": { "image": image } }]);
    world.apply(&document).await;
    let begun = Instant::now();
    until("it to be read", async || {
        world.resource("production", "web").await?.live
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_of_the_same_name_in_another_namespace_is_somebody_elses() {
    let world = World::start().await;
    let url = world.repository.path().display().to_string();
    let before = world.store.read().await.unwrap().newest_event().await.unwrap();
    world.standin.upsert_app(AppSpec {
        namespace: "team-a".into(),
        automated: true,
        ..AppSpec::new("myapp-staging", "myapp", &url, &values_path("production"))
    });
    until("the other one to be there", async || {
        let app = world.standin.app("team-a/myapp-staging")?;
        (app["status"]["health"]["status"] == "Healthy" && app["status"]["sync"]["status"] == "Synced").then_some(())
    })
    .await;
    world.standin.remove_app("team-a/myapp-staging");
    // What the stream says after that is heard after that.
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    let staging = world.resource("staging", "api").await.unwrap().id;
    let events = world
        .store
        .read()
        .await
        .unwrap()
        .events_after(before, 100_000)
        .await
        .unwrap();
    let mut lives = events.iter().filter(|event| event.subject.resource == Some(staging));
    assert!(
        lives.all(|event| !matches!(&event.happened, Happened::LiveChanged { digests, .. } if digests.is_empty())),
        "{events:#?}"
    );
}
