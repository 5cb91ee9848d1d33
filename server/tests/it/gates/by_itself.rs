//! What waits goes on by itself: when something becomes healthy elsewhere, when a soak ends, when a freeze ends. The worker runs, and
//! nobody says anything.

use super::{promote, set_policy, waits_for, world};
use crate::support::world::{World, until};
use argocd_standin::{Fault, RolloutOutcome};
use domain::{event::Happened, promotion::State, time::Timestamp};
use serde_json::{Value, json};
use server::ports::clock::Clock as _;

/// How much later than at its moment a gate may open here: the machine may have a lot to do. A worker that isn't woken looks every five
/// seconds, one that nothing was told after ten minutes.
const LATE_MILLIS: i64 = 4_000;

/// When a promotion went on that had waited.
async fn went_on(world: &World, id: &str) -> Timestamp {
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_of_promotion(id.parse().unwrap()).await.unwrap();
    let moved = events.iter().find(|event| {
        matches!(
            event.happened,
            Happened::PromotionMoved {
                from: State::Waiting,
                to: State::Queued,
                ..
            }
        )
    });
    moved.unwrap().at
}

/// Lets time pass until just before the clock opens a gate, again whenever that moment moves; returns it when the promotion has gone on.
async fn time_opens(world: &World, id: &str) -> Timestamp {
    let mut opens = None;
    until("the clock to open the gate", async || {
        if world.promotion(id).await.state != State::Waiting {
            return Some(());
        }
        let mut tx = world.store.read().await.unwrap();
        let decision = tx.gates(id.parse().unwrap()).await.unwrap();
        drop(tx);
        opens = decision.and_then(|decision| decision.look_again).or(opens);
        let left = opens.map_or(0, |at| at.millis_since(world.clock.now()));
        if left > 2_000 {
            world.forward(left - 1_000).await;
        }
        None
    })
    .await;
    opens.unwrap()
}

/// It went on at that moment: not before, and not only when somebody looked.
async fn at_that_moment(world: &World, id: &str, opens: Timestamp) {
    let late = went_on(world, id).await.millis_since(opens);
    assert!((0..LATE_MILLIS).contains(&late), "{late} ms");
}

/// A world in which the third build runs in development, and its rollout in staging never ends; with a promotion of it to production.
async fn unhealthy_in_staging(policy: Value) -> (World, String, String) {
    let (world, _) = world(policy).await;
    let mut admin = world.admin().await;
    let rollout = |outcome| Fault::Rollout { outcome };
    let staging = Some("myapp-staging");
    world.standin.inject(staging, rollout(RolloutOutcome::Never)).unwrap();
    let third = world.push("1.2.0").await;
    world.wait_for_desired("staging", "api", &third).await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "run in staging").await;
    (world, third, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn becoming_healthy_elsewhere_opens_the_gate() {
    let (world, third, id) = unhealthy_in_staging(json!({ "ranIn": [{ "environment": "staging" }] })).await;
    let before = world.subjects().await.len();
    let outcome = RolloutOutcome::Healthy;
    world
        .standin
        .inject(Some("myapp-staging"), Fault::Rollout { outcome })
        .unwrap();
    // It must stay so for some seconds: a moment of health proves nothing.
    waits_for(&world, &id, "soak in staging").await;
    assert_eq!(world.subjects().await.len(), before, "nothing is committed meanwhile");
    let opens = time_opens(&world, &id).await;
    world.ends(&id, State::Succeeded).await;
    at_that_moment(&world, &id, opens).await;
    world.wait_for_live("production", "api", &third).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_soak_opens_the_gate_at_that_moment() {
    let policy = json!({ "ranIn": [{ "environment": "staging", "soakMinutes": 30 }] });
    let (world, third, id) = unhealthy_in_staging(policy).await;
    let outcome = RolloutOutcome::Healthy;
    world
        .standin
        .inject(Some("myapp-staging"), Fault::Rollout { outcome })
        .unwrap();
    waits_for(&world, &id, "soak in staging").await;
    let opens = time_opens(&world, &id).await;
    world.ends(&id, State::Succeeded).await;
    at_that_moment(&world, &id, opens).await;
    // Thirty minutes since it was healthy there. With the clock put forward, what Argo CD said before may be taken for news, and a further run
    // begin: that one is not meant.
    let healthy = healthy_since(&world, &third).await;
    let opened: Vec<_> = healthy.iter().map(|since| since.plus_millis(30 * 60_000)).collect();
    assert!(opened.contains(&opens), "{opens:?} {opened:?}");
    world.wait_for_live("production", "api", &third).await;
}

/// When a digest began to be healthy in staging, each time.
async fn healthy_since(world: &World, digest: &str) -> Vec<Timestamp> {
    let staging = world.resource("staging", "api").await.unwrap();
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspaces().await.unwrap().remove(0);
    let project = tx.projects(workspace.id).await.unwrap().remove(0).project.id;
    let runs = tx.runs(project, &digest.parse().unwrap()).await.unwrap();
    (runs.iter())
        .filter(|run| run.environment == staging.environment)
        .map(|run| run.since)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_freeze_opens_the_gate_at_that_moment() {
    let (world, second) = world(json!({})).await;
    // Until a full minute, more than an hour from now.
    let ends = Timestamp((world.clock.now().0 / 60_000 + 90) * 60_000);
    let to = ends.rfc3339().replace('T', " ");
    let to = to.strip_suffix(":00Z").unwrap();
    let when = json!({ "dates": { "from": "2020-01-01 00:00", "to": to } });
    set_policy(
        &world,
        json!({ "freezes": [{ "name": "move", "timeZone": "Etc/UTC", "when": when }] }),
    )
    .await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "freeze move").await;
    let before = world.subjects().await.len();
    // An hour later it still waits.
    world.forward(60 * 60_000).await;
    waits_for(&world, &id, "freeze move").await;
    assert_eq!(world.subjects().await.len(), before, "nothing is committed meanwhile");
    let opens = time_opens(&world, &id).await;
    assert_eq!(opens, ends);
    world.ends(&id, State::Succeeded).await;
    at_that_moment(&world, &id, opens).await;
    world.wait_for_live("production", "api", &second).await;
}
