//! Argo CD's traps, through the whole engine: whatever it does, *succeeded* is shown only while the promised digest runs.

use crate::{
    authorisation::document,
    support::{
        Bench,
        browser::Browser,
        digest,
        world::{World, until},
    },
};
use argocd_standin::{Fault, RolloutOutcome};
use domain::{
    environment::Environment,
    plan::{AppSnapshot, Health},
    promotion::{Promotion, State},
    rights::Role,
};
use serde_json::json;
use server::{
    adapters::system::System,
    ports::clock::Clock as _,
    service::{observe, reach},
};
use std::time::Duration;

const APP: &str = "myapp-staging";

/// What comes of a promotion into a trap.
enum Then {
    /// It succeeds by itself.
    Passes,
    /// It waits, and says this, until the trap is opened; then it succeeds.
    Waits(&'static str),
    /// It waits for an answer, and has nothing to say meanwhile.
    WaitsSilently,
    /// It fails, and says this; when the trap is open, *Retry* succeeds.
    Fails(&'static str),
}

/// The promotion of staging to `digest`.
async fn promotion_to(world: &World, digest: &str) -> Promotion {
    until("the promotion of staging", async || {
        let all = world.promotions("staging", "api").await;
        all.into_iter().find(|p| p.image.digest.as_str() == digest)
    })
    .await
}

/// Waits for its end; success is believed only when what is live says so at that moment.
async fn ends(world: &World, id: &str, state: State, digest: &str, trap: &str) -> Promotion {
    let ended = world.ends(id, state).await;
    let live = world.live_images("staging");
    let runs = live.iter().all(|image| image.ends_with(digest)) && !live.is_empty();
    assert!(
        state != State::Succeeded || runs,
        "{trap}: it succeeded, and {live:?} runs"
    );
    ended
}

/// Has it tried again; unless it turned out to be live after all, which may be seen first.
async fn retry(world: &World, browser: &mut Browser, id: &str, trap: &str) {
    let answer = browser.post(&format!("/promotions/{id}"), &[("intent", "retry")]).await;
    if answer.status == 409 {
        assert_eq!(
            world.promotion(id).await.state,
            State::Succeeded,
            "{trap}: {}",
            answer.words()
        );
    } else {
        assert_eq!(answer.status, 303, "{trap}: {}", answer.words());
    }
}

async fn walk_into(world: &World, traps: Vec<(&str, Option<&str>, Fault, Then)>) {
    let mut browser = world.admin().await;
    for (n, (trap, app, fault, then)) in traps.into_iter().enumerate() {
        println!("{trap}");
        world.standin.inject(app, fault).unwrap();
        let digest = world.push(&format!("2.{n}.0")).await;
        let id = promotion_to(world, &digest).await.id.to_string();
        let open = || {
            world.standin.inject(app, Fault::Clear).unwrap();
        };
        match then {
            Then::Passes => {
                ends(world, &id, State::Succeeded, &digest, trap).await;
                open();
            }
            Then::Waits(why) => {
                let last = std::sync::Mutex::new(None);
                let waits = until(trap, async || {
                    let promotion = world.promotion(&id).await;
                    assert!(!promotion.state.is_ended(), "{trap}: {promotion:?}");
                    let waits_for = promotion.waits_for?;
                    let is_it = waits_for.contains(why);
                    *last.lock().unwrap() = Some(waits_for);
                    is_it.then_some(())
                });
                if tokio::time::timeout(Duration::from_secs(20), waits).await.is_err() {
                    panic!("{trap}: it says {:?}", last.lock().unwrap());
                }
                open();
                ends(world, &id, State::Succeeded, &digest, trap).await;
            }
            Then::WaitsSilently => {
                world.reaches(&id, State::Syncing).await;
                open();
                ends(world, &id, State::Succeeded, &digest, trap).await;
            }
            Then::Fails(why) => {
                let failed = ends(world, &id, State::Failed, &digest, trap).await;
                let reason = failed.failure.unwrap().reason;
                assert!(reason.contains(why), "{trap}: {reason}");
                open();
                // Argo CD tells whole seconds: a failure of this second would still count as one of the next try.
                let ended = failed.ended_at.unwrap();
                until("the second to be over", async || {
                    (System.now().millis_since(ended) > 1_000).then_some(())
                })
                .await;
                retry(world, &mut browser, &id, trap).await;
                let ended = ends(world, &id, State::Succeeded, &digest, trap).await;
                assert_eq!(ended.commit, failed.commit, "{trap}: no second commit");
                // What is wrong with the whole server stopped its source, too.
                let source = world.promotions("development", "api").await.remove(0);
                if source.state == State::Failed {
                    retry(world, &mut browser, &source.id.to_string(), trap).await;
                    world.ends(&source.id.to_string(), State::Succeeded).await;
                }
            }
        }
        world.idle().await;
    }
    world.is_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_application() {
    let world = World::start().await;
    let app = Some(APP);
    let traps = vec![
        ("lost refreshes", app, Fault::DropRefreshes { count: 3 }, Then::Passes),
        (
            "a slow refresh",
            app,
            Fault::SlowRefresh { millis: 1_500 },
            Then::Passes,
        ),
        (
            "an operation that is picked up late",
            app,
            Fault::OperationPickup { millis: 1_500 },
            Then::Passes,
        ),
        (
            "a hook that takes its time",
            app,
            Fault::Hook { millis: 1_500 },
            Then::Passes,
        ),
        (
            "a retry, Running with finishedAt",
            app,
            Fault::FailApply {
                message: "conflict".into(),
                times: Some(1),
                retries: Some(2),
            },
            Then::Passes,
        ),
        (
            "somebody else's operation",
            app,
            Fault::ForeignOperation {
                username: None,
                revision: None,
            },
            Then::Passes,
        ),
        ("an operation of self-heal", app, Fault::SelfHeal, Then::Passes),
        (
            "a status that nobody refreshes",
            app,
            Fault::FreezeRefresh { on: true },
            Then::WaitsSilently,
        ),
        (
            "a sync window",
            app,
            Fault::SyncWindow { deny: true },
            Then::Waits("sync"),
        ),
        (
            "an apply that is refused",
            app,
            Fault::FailApply {
                message: "denied by policy".into(),
                times: None,
                retries: None,
            },
            Then::Fails("denied by policy"),
        ),
        (
            "manifests that can't be made",
            app,
            Fault::ComparisonError {
                message: Some("helm template failed".into()),
            },
            Then::Waits("helm template failed"),
        ),
        (
            "an application that is being deleted",
            app,
            Fault::Deleting { on: true },
            Then::Fails("is being deleted"),
        ),
        (
            "pods that don't come up",
            app,
            Fault::Rollout {
                outcome: RolloutOutcome::Degraded,
            },
            Then::Fails("Degraded"),
        ),
    ];
    walk_into(&world, traps).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_server() {
    let world = World::start().await;
    let traps = vec![
        (
            "streams that are cut in the middle",
            None,
            Fault::CutStreams { abrupt: true },
            Then::Passes,
        ),
        (
            "streams that say nothing",
            None,
            Fault::SilentStreams { on: true },
            Then::Passes,
        ),
        (
            "a proxy's page instead of an answer",
            None,
            Fault::FailRequests {
                status: 502,
                path: Some(APP.into()),
                times: Some(4),
            },
            Then::Passes,
        ),
        (
            "an error of its own",
            None,
            Fault::FailRequests {
                status: 500,
                path: Some(APP.into()),
                times: Some(2),
            },
            Then::Passes,
        ),
        (
            "an Argo CD that is restarting",
            None,
            Fault::FailRequests {
                status: 503,
                path: Some(APP.into()),
                times: Some(4),
            },
            Then::Passes,
        ),
        (
            "a token that expires on the way",
            None,
            Fault::Unauthorized { on: true },
            Then::Fails("token"),
        ),
    ];
    walk_into(&world, traps).await;
}

#[tokio::test]
async fn what_comes_late_is_not_taken_for_live() {
    let api = "127.0.0.1:5000/myapp/api";
    let bench = Bench::new().await;
    bench.registry.push(api, "one", &digest("a"));
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    let mut document = document();
    document["clusters"][0]["argocd"] = json!({ "url": "http://127.0.0.1:8080", "token": "argo-secret" });
    bench.apply(&program, &document).await;
    let mut tx = bench.store.read().await.unwrap();
    let workspace = program.access[0].0.id;
    let projects = tx.projects(workspace).await.unwrap();
    let project = projects.into_iter().find(|one| one.project.name.as_str() == "myapp");
    let project = project.unwrap().project;
    let environment = tx.environments(project.id).await.unwrap().remove(0);
    let cluster = tx.clusters(workspace).await.unwrap().remove(0);
    drop(tx);
    let at = reach::application(&cluster, &project.name, &environment.name).unwrap();
    let live = async |environment: &Environment, version: Option<u64>, letter: &str| {
        let app = AppSnapshot {
            version,
            health: Health::Healthy,
            images: vec![format!("{api}@{}", digest(letter))],
            workloads_withheld: Some("permission denied".into()),
            ..AppSnapshot::default()
        };
        observe::report_live(&bench.services, &project, environment, &at, &app)
            .await
            .unwrap();
        let mut tx = bench.store.read().await.unwrap();
        let resource = tx.resource_by_name(environment.id, "api").await.unwrap().unwrap();
        resource.live.unwrap().digests[0].to_string()
    };
    assert_eq!(live(&environment, Some(7), "a").await, digest("a"));
    assert_eq!(live(&environment, Some(5), "b").await, digest("a"), "it was so before");
    assert_eq!(live(&environment, Some(8), "b").await, digest("b"));
    assert_eq!(
        live(&environment, None, "c").await,
        digest("c"),
        "nobody says that it is older"
    );
    assert_eq!(live(&environment, Some(8), "a").await, digest("a"));
    // A cluster that was restored from a backup counts on from there: known at once when the stream begins anew, else after a minute.
    observe::forget_versions(&bench.services, &cluster);
    assert_eq!(live(&environment, Some(3), "b").await, digest("b"));
    bench.clock.forward(59_999);
    assert_eq!(live(&environment, Some(1), "a").await, digest("b"));
    bench.clock.forward(1);
    assert_eq!(live(&environment, Some(1), "a").await, digest("a"));
    // Another cluster counts by itself.
    let mut other = document["clusters"][0].clone();
    other["name"] = json!("other");
    document["clusters"].as_array_mut().unwrap().push(other);
    document["projects"][0]["environments"][0]["cluster"] = json!("other");
    bench.apply(&program, &document).await;
    let mut tx = bench.store.read().await.unwrap();
    let moved = tx.environments(project.id).await.unwrap().remove(0);
    drop(tx);
    assert_ne!(moved.cluster, cluster.cluster.id);
    assert_eq!(live(&moved, Some(0), "b").await, digest("b"));
    // An Application that is not the environment's any more says nothing of it, however new it is.
    document["clusters"][1]["argocd"]["application"] = json!("renamed-{environment}");
    bench.apply(&program, &document).await;
    assert_eq!(live(&moved, Some(9), "a").await, digest("b"));
}
