//! The program is killed in the middle of a promotion. However it ended, the next start ends with one commit and one success.

use crate::support::world::{Setup, World, until};
use argocd_standin::{Fault, RolloutOutcome};
use domain::{
    event::Happened,
    promotion::{Promotion, State},
};
use std::time::Duration;
use testbed::PushHold;

async fn world() -> World {
    World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await
}

async fn held(hold: &PushHold) {
    tokio::time::timeout(Duration::from_secs(30), hold.held())
        .await
        .unwrap_or_else(|_| panic!("no push came"));
}

/// The one promotion to a digest in development, once there is one.
async fn promotion(world: &World, digest: &str) -> Promotion {
    until("the promotion", async || {
        let mut all = world.promotions("development", "api").await;
        all.retain(|p| p.image.digest.as_str() == digest);
        assert!(all.len() < 2, "{all:?}");
        all.pop()
    })
    .await
}

/// The end of every story here.
async fn one_commit_one_success(world: &World, digest: &str) {
    let id = promotion(world, digest).await.id.to_string();
    let ended = world.ends(&id, State::Succeeded).await;
    world.idle().await;
    let commits = world.repository.commits("main").await.unwrap();
    let ours: Vec<_> = commits
        .iter()
        .filter(|c| c.body.contains(&format!("Waybill-Promotion: {id}")))
        .collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(Some(&ours[0].sha), ended.commit.as_ref());
    let subjects = world.subjects().await;
    let deploys = subjects
        .iter()
        .filter(|s| *s == "deploy(development): api 1.1.0")
        .count();
    assert_eq!(deploys, 1, "{subjects:?}");
    let events = world
        .store
        .read()
        .await
        .unwrap()
        .events_of_promotion(ended.id)
        .await
        .unwrap();
    let count = |wanted: fn(&Happened) -> bool| events.iter().filter(|e| wanted(&e.happened)).count();
    assert_eq!(
        count(|h| matches!(
            h,
            Happened::PromotionMoved {
                to: State::Succeeded,
                ..
            }
        )),
        1
    );
    assert_eq!(count(|h| matches!(h, Happened::Committed { .. })), 1);
    assert_eq!(count(|h| matches!(h, Happened::PromotionRequested { .. })), 1);
    // The follower came along, once.
    world.wait_for_live("staging", "api", digest).await;
    world.idle().await;
    assert_eq!(world.promotions("staging", "api").await.len(), 1);
    assert_eq!(world.subjects().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_push_arrived() {
    let mut world = world().await;
    let hold = world.git.as_ref().unwrap().hold_push_before();
    let digest = world.push("1.1.0").await;
    held(&hold).await;
    assert_eq!(promotion(&world, &digest).await.state, State::Committing);
    world.kill();
    hold.release();
    world.restart().await;
    one_commit_one_success(&world, &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_push_was_taken() {
    let mut world = world().await;
    let hold = world.git.as_ref().unwrap().hold_push_after();
    let digest = world.push("1.1.0").await;
    held(&hold).await;
    assert_eq!(promotion(&world, &digest).await.state, State::Committing);
    assert_eq!(world.subjects().await[0], "deploy(development): api 1.1.0");
    world.kill();
    hold.release();
    world.restart().await;
    one_commit_one_success(&world, &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_in_the_middle_of_a_push() {
    let mut world = world().await;
    let hold = world.git.as_ref().unwrap().hold_push_before();
    let digest = world.push("1.1.0").await;
    held(&hold).await;
    let log = world.log_file();
    let release = async {
        until("the server to begin to stop", async || {
            std::fs::read_to_string(&log)
                .unwrap()
                .contains("stopping")
                .then_some(())
        })
        .await;
        hold.release();
    };
    tokio::join!(world.stop(), release);
    // It finished what it did, or handed it over: nothing waits for a lease to run out.
    world.restart().await;
    one_commit_one_success(&world, &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_waits_for_the_rollout() {
    let mut world = world().await;
    let rollout = |outcome| Fault::Rollout { outcome };
    world.standin.inject(None, rollout(RolloutOutcome::Never)).unwrap();
    let digest = world.push("1.1.0").await;
    let id = promotion(&world, &digest).await.id.to_string();
    world.reaches(&id, State::Verifying).await;
    world.kill();
    world.standin.inject(None, rollout(RolloutOutcome::Healthy)).unwrap();
    world.restart().await;
    one_commit_one_success(&world, &digest).await;
}
