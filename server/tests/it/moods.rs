//! How Waybill lives with an Argo CD's moods: it is restarted, refuses the token, has Applications of one name twice, says nothing for long.

use crate::support::world::{ARGOCD_SUBJECT, Setup, World, until, values_path};
use argocd_standin::{AppSpec, Fault, Policy, Timing, TokenGrant};
use domain::{
    event::Happened,
    promotion::{Promotion, Purpose, State},
    resource::Resource,
};
use serde_json::{Value, json};
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

/// Of what follows another resource nobody knows the repository until Git was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_adopted_in_a_quiet_application_is_read_once_git_was() {
    let world = World::start().await;
    let block = world
        .values("staging")
        .await
        .split_once("services:\n")
        .unwrap()
        .1
        .to_owned();
    let with_it = world.values("production").await + "\n" + &block;
    world.outsider_writes("production", &with_it).await;
    let url = world.repository.path().display().to_string();
    let mut app = AppSpec::new("myapp-production", "myapp", &url, &values_path("production"));
    app.automated = true;
    world.standin.upsert_app(app);
    until("it to run", async || {
        let app = world.standin.app("myapp-production")?;
        let images = app["status"]["summary"]["images"].to_string();
        (app["status"]["health"]["status"] == "Healthy" && images.contains("/myapp/api:")).then_some(())
    })
    .await;
    world.standin.set_timing(Timing {
        poll: Duration::from_secs(3_600),
        ..Timing::fast()
    });
    let mut document = world.document();
    let source = json!({ "promote": { "environment": "staging", "resource": "api" } });
    document["projects"][0]["environments"][2]["resources"] = json!([{ "name": "api", "source": source }]);
    world.apply(&document).await;
    let begun = Instant::now();
    until("it to be read", async || {
        let live = world.resource("production", "api").await?.live?;
        (live.unknown.is_none() && !live.digests.is_empty()).then_some(())
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

const PRODUCTION_APP: &str = "myapp-production";

const REPO_SERVER_DOWN: &str = "connection error: desc = \"transport: Error while dialing: dial tcp 10.96.11.3:8081: connect: connection refused\"";

/// `api` in production, pinned to the first build, and a second one in staging; the application there is synced by nobody but Waybill.
async fn with_production(setup: Setup) -> (World, String) {
    let world = World::with(setup).await;
    let mut document = world.document();
    document["projects"][0]["environments"][2]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": { "pin": world.first },
    }]);
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    (world, second)
}

async fn promote(world: &World) -> String {
    let asked = world
        .promote(&world.token, "api", "staging", "production")
        .await
        .unwrap();
    asked["id"].as_str().unwrap().to_owned()
}

async fn events_of(world: &World, promotion: &Promotion) -> Vec<Happened> {
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_of_promotion(promotion.id).await.unwrap();
    events.into_iter().map(|event| event.happened).collect()
}

/// Requests to the stand-in whose line contains this.
fn asked(world: &World, what: &str) -> usize {
    world
        .standin
        .requests()
        .iter()
        .filter(|line| line.contains(what))
        .count()
}

fn syncs(world: &World) -> usize {
    asked(world, "POST /api/v1/applications/myapp-production/sync")
}

fn sync_timeout(time: &str) -> Setup {
    Setup {
        variables: vec![("PROMOTION_SYNC_TIMEOUT", time.into())],
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_window_is_waited_for_without_limit_and_not_knocked_at() {
    let (world, second) = with_production(sync_timeout("3s")).await;
    world
        .standin
        .inject(Some(PRODUCTION_APP), Fault::SyncWindow { deny: true })
        .unwrap();
    let before = syncs(&world);
    let id = promote(&world).await;
    until("it to be told", async || {
        let waits = world.promotion(&id).await.waits_for?;
        waits.contains("Argo CD lets nothing through").then_some(())
    })
    .await;
    // Long after the time that a sync may take.
    world.clock.forward(60_000);
    let looks = asked(&world, "/syncwindows");
    until("more looks at the window", async || {
        (asked(&world, "/syncwindows") >= looks + 2).then_some(())
    })
    .await;
    world.clock.forward(60_000);
    until("another look", async || {
        (asked(&world, "/syncwindows") >= looks + 3).then_some(())
    })
    .await;
    assert_eq!(world.promotion(&id).await.state, State::Syncing);
    assert_eq!(syncs(&world) - before, 1, "it is asked for once");
    let mut admin = world.admin().await;
    let page = admin.get(&format!("/promotions/{id}")).await.words();
    assert!(
        page.contains("Cancel promotion") && page.contains("The commit is in Git"),
        "{page}"
    );

    world.standin.inject(None, Fault::Clear).unwrap();
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
}

/// Argo CD says nothing of a window where it should have begun to sync by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_window_is_seen_where_argo_cd_syncs_by_itself() {
    let world = World::with(sync_timeout("8s")).await;
    world
        .standin
        .inject(Some("myapp-staging"), Fault::SyncWindow { deny: true })
        .unwrap();
    let second = world.push("1.1.0").await;
    let promotion = until("it to wait for the window", async || {
        let promotions = world.promotions("staging", "api").await;
        let promotion = promotions.into_iter().find(|p| p.image.digest.as_str() == second)?;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        let waits = promotion.waits_for.as_deref()?;
        let is_told = waits.contains("Argo CD lets nothing through");
        is_told.then_some(promotion)
    })
    .await;
    // Waiting takes nothing of the time that a sync may take.
    world.clock.forward(20_000);
    let looks = asked(&world, "/syncwindows");
    until("another look at the window", async || {
        (asked(&world, "/syncwindows") > looks).then_some(())
    })
    .await;
    world.standin.inject(None, Fault::Clear).unwrap();
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    world.wait_for_live("staging", "api", &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_window_can_be_cancelled() {
    let (world, _) = with_production(Setup::default()).await;
    world
        .standin
        .inject(Some(PRODUCTION_APP), Fault::SyncWindow { deny: true })
        .unwrap();
    let id = promote(&world).await;
    until("it to wait", async || {
        let waits = world.promotion(&id).await.waits_for?;
        waits.contains("Argo CD lets nothing through").then_some(())
    })
    .await;
    let mut admin = world.admin().await;
    let answer = admin.post(&format!("/promotions/{id}"), &[("intent", "cancel")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let ended = world.ends(&id, State::Cancelled).await;
    assert!(
        ended
            .waits_for
            .as_deref()
            .is_some_and(|why| why.contains("stays in Git")),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_may_not_sync_is_told_and_a_retry_goes_on_once_it_may() {
    let (world, second) = with_production(Setup::default()).await;
    let may_get = vec![Policy::allow("applications", "get", "myapp/*")];
    world.standin.grant(TokenGrant::new(ARGOCD_SUBJECT, may_get));
    let id = promote(&world).await;
    let failed = world.ends(&id, State::Failed).await;
    let failure = failed.failure.clone().unwrap().words();
    assert!(
        failure.contains("permission denied") && failure.contains("may get and sync it"),
        "{failure}"
    );
    world
        .standin
        .grant(TokenGrant::new(ARGOCD_SUBJECT, Policy::promoter("myapp")));
    let mut admin = world.admin().await;
    let answer = admin.post(&format!("/promotions/{id}"), &[("intent", "retry")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_argo_cd_that_is_down_is_named_and_waited_for() {
    let (world, second) = with_production(Setup::default()).await;
    let message = Some(REPO_SERVER_DOWN.into());
    world
        .standin
        .inject(Some(PRODUCTION_APP), Fault::ComparisonError { message })
        .unwrap();
    let id = promote(&world).await;
    let named = async || {
        let promotion = world.promotion(&id).await;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        let waits = promotion.waits_for?;
        waits.contains("repository server doesn't answer").then_some(())
    };
    until("it to be named", named).await;
    // After the grace in which others than Argo CD are not blamed either.
    world.forward(70_000).await;
    let looks = asked(&world, "GET /api/v1/applications/myapp-production?");
    until("more looks", async || {
        (asked(&world, "GET /api/v1/applications/myapp-production?") >= looks + 3).then_some(())
    })
    .await;
    until("it to be named still", named).await;
    world.standin.inject(None, Fault::Clear).unwrap();
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_cd_is_asked_to_look_at_git_later_each_time() {
    let (world, _) = with_production(Setup::default()).await;
    world.standin.set_timing(Timing {
        poll: Duration::from_secs(3_600),
        ..Timing::fast()
    });
    world
        .standin
        .inject(Some(PRODUCTION_APP), Fault::DropRefreshes { count: 5 })
        .unwrap();
    let refreshes = || asked(&world, "myapp-production?project=myapp&refresh");
    let before = refreshes();
    let id = promote(&world).await;
    until("a first refresh", async || (refreshes() > before).then_some(())).await;
    let begun = Instant::now();
    until("four more", async || (refreshes() >= before + 5).then_some(())).await;
    // The second at once, then after 1, 2 and 4 seconds.
    assert!(begun.elapsed() > Duration::from_millis(5_400), "{:?}", begun.elapsed());
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_names_its_cause_first_and_what_is_live_after_all_is_put_right() {
    let (world, second) = with_production(Setup::default()).await;
    let fault = Fault::FailApply {
        message: "admission webhook denied the request".into(),
        times: None,
        retries: Some(0),
    };
    world.standin.inject(Some(PRODUCTION_APP), fault).unwrap();
    let id = promote(&world).await;
    let failed = world.ends(&id, State::Failed).await;
    let failure = failed.failure.clone().unwrap();
    assert!(
        failure
            .reason
            .starts_with("Deployment myapp-production/api: admission webhook denied the request"),
        "{failure:?}"
    );
    assert!(
        failure.remedy.as_deref().is_some_and(|remedy| remedy.contains("retry")),
        "{failure:?}"
    );
    assert!(
        failure.said.iter().any(|said| said.starts_with("one or more objects")),
        "{failure:?}"
    );
    let mut admin = world.admin().await;
    let path = format!("/promotions/{id}");
    let page = admin.get(&path).await;
    assert!(
        page.words().contains("Open myapp-production in Argo CD"),
        "{}",
        page.words()
    );
    assert!(
        page.text
            .contains(&format!("{}/applications/myapp-production", world.standin.url()))
    );
    assert!(page.words().contains("All that Argo CD said"), "{}", page.words());

    // Somebody mends it in Argo CD, and syncs.
    let commit = failed.commit.clone();
    world.standin.inject(None, Fault::Clear).unwrap();
    let foreign = Fault::ForeignOperation {
        username: Some("alice".into()),
        revision: commit,
    };
    world.standin.inject(Some(PRODUCTION_APP), foreign).unwrap();
    world.wait_for_live("production", "api", &second).await;
    let right = until("it to be put right", async || {
        Some(world.promotion(&id).await).filter(|promotion| promotion.state == State::Succeeded)
    })
    .await;
    assert_eq!(right.failure, None);
    let events = events_of(&world, &right).await;
    let put_right: Vec<_> = events
        .iter()
        .filter_map(|happened| match happened {
            Happened::PromotionLiveAfterAll { failure, .. } => Some(failure.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(put_right, [Some(failure)], "once, with why it had failed");
    let page = admin.get(&path).await.words();
    assert!(page.contains("Live after all"), "{page}");
    // What ran before that is no soak.
    let production = world.resource("production", "api").await.unwrap();
    let mut tx = world.store.read().await.unwrap();
    let runs = tx.runs(right.project, &right.image.digest).await.unwrap();
    let open = runs
        .iter()
        .find(|run| run.environment == production.environment && run.until.is_none());
    assert_eq!(open.map(|run| run.since), right.ended_at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_does_not_wait_behind_tries_of_what_it_leaves() {
    for may in [true, false] {
        let world = World::start().await;
        let mut document = world.document();
        document["clusters"][0]["argocd"]["mayEndSync"] = Value::Bool(may);
        world.apply(&document).await;
        world.standin.set_timing(Timing {
            retry_backoff: Duration::from_secs(600),
            ..Timing::fast()
        });
        let fault = Fault::FailApply {
            message: "admission webhook denied the request".into(),
            times: None,
            retries: Some(100),
        };
        world.standin.inject(Some("myapp-staging"), fault).unwrap();
        let second = world.push("1.1.0").await;
        world.wait_for_desired("staging", "api", &second).await;
        until("Argo CD to try again and again", async || {
            let app = world.standin.app("myapp-staging")?;
            app["status"]["operationState"]["message"]
                .as_str()?
                .contains("Retrying attempt")
                .then_some(())
        })
        .await;
        world.standin.inject(None, Fault::Clear).unwrap();
        let mut admin = world.admin().await;
        let begun = Instant::now();
        let intent = format!("rollback-{}", world.first);
        let answer = admin.post("/w/demo/myapp/staging/api", &[("intent", &intent)]).await;
        assert_eq!(answer.status, 303, "{}", answer.words());
        let back = until("the rollback", async || {
            let newest = world.promotions("staging", "api").await.into_iter().next()?;
            (newest.purpose == Purpose::Rollback).then_some(newest)
        })
        .await;
        let id = back.id.to_string();
        if !may {
            until("it to wait", async || {
                let waits = world.promotion(&id).await.waits_for?;
                waits.contains("Argo CD is syncing").then_some(())
            })
            .await;
            assert_eq!(asked(&world, "DELETE /api/v1/applications/myapp-staging/operation"), 0);
            continue;
        }
        world.ends(&id, State::Succeeded).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let ended = events_of(&world, &back).await;
        let ended = ended
            .iter()
            .filter(|happened| matches!(happened, Happened::SyncEnded { .. }));
        assert_eq!(ended.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_names_only_a_tag_can_be_pinned_to_the_digest_that_it_runs() {
    let world = World::start().await;
    let mut document = world.document();
    document["projects"][0]["environments"][2]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": { "pin": world.first },
    }]);
    let by_tag = format!(
        "services:\n  api:\n    image:\n      repository: {}/myapp/api\n      tag: 1.0.0\n",
        world.host
    );
    world.outsider_writes("production", &by_tag).await;
    world.apply(&document).await;
    world.wait_for_desired("production", "api", &world.first).await;
    world.idle().await;
    let before = world.values("production").await;
    if !before.contains("digest:") {
        let id = promote(&world).await;
        world.ends(&id, State::Succeeded).await;
    }
    assert!(world.values("production").await.contains(&world.first));
    let again = world
        .promote(&world.token, "api", "staging", "production")
        .await
        .unwrap_err();
    assert_eq!(again["extensions"]["code"], "conflict", "{again}");
}
