//! The program is killed in the middle of a promotion. However it ended, the next start ends with one commit and one success.

use crate::support::world::{Setup, World, until};
use argocd_standin::{AppSpec, Fault, RolloutOutcome};
use domain::{
    event::Happened,
    promotion::{Promotion, State},
    resource::HoldCause,
};
use server::ports::clock::Clock as _;
use std::time::Duration;
use testbed::{Moment, PushHold};

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
async fn a_commit_that_was_not_recorded_is_found_when_a_newer_one_came_first() {
    let mut world = world().await;
    let hold = world.git.as_ref().unwrap().hold_push_after();
    let digest = world.push("1.1.0").await;
    held(&hold).await;
    world.kill();
    hold.release();
    let left = promotion(&world, &digest).await;
    assert_eq!((left.state, &left.commit), (State::Committing, &None));
    let pushed = world.repository.commits("main").await.unwrap().remove(0);
    assert!(pushed.body.contains(&format!("Waybill-Promotion: {}", left.id)));
    // It is taken up again when the next one is done.
    let put_off = async |world: &World, millis| {
        let mut tx = world.store.write().await.unwrap();
        tx.update_promotion(&left, left.state, world.clock.now().plus_millis(millis))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    put_off(&world, 1_800_000).await;
    world.restart().await;
    let newer = world.push("1.2.0").await;
    world.wait_for_desired("development", "api", &newer).await;
    put_off(&world, 0).await;
    let ended = world.ends(&left.id.to_string(), State::Superseded).await;
    assert_eq!(ended.commit, Some(pushed.sha), "it is in Git, and its page says so");
    world.wait_for_live("development", "api", &newer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_took_back_before_it_was_recorded_stays_taken_back() {
    let mut world = world().await;
    let before = world.values("development").await;
    let hold = world.git.as_ref().unwrap().hold_push_after();
    let digest = world.push("1.1.0").await;
    held(&hold).await;
    world.kill();
    hold.release();
    let taken_back = world.outsider_writes("development", &before).await;
    world.restart().await;
    let resource = until("development to be held", async || {
        let resource = world.resource("development", "api").await?;
        resource.hold.is_some().then_some(resource)
    })
    .await;
    let hold = resource.hold.unwrap();
    assert_eq!(hold.cause, HoldCause::MovedInGit);
    assert_eq!(hold.outside.unwrap().commit, taken_back);
    assert_eq!(resource.desired.unwrap().digest.as_str(), world.first);
    let left = promotion(&world, &digest).await;
    assert!(left.commit.is_some(), "it is in Git, and its page says so: {left:?}");
    assert_eq!(left.state, State::Cancelled, "{left:?}");
    assert_eq!(world.values("development").await, before);
    assert!(
        world.promotions("staging", "api").await.is_empty(),
        "nobody follows what was taken back"
    );
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

/// Every point of every step that touches the outside world: just before, and just after it was done but not yet noted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_point_of_every_step() {
    let mut world = World::with(Setup {
        process: true,
        gated: true,
        ..Setup::default()
    })
    .await;
    // In development nobody but Waybill syncs.
    let url = world.repository.path().display().to_string();
    let path = crate::support::world::values_path("development");
    world
        .standin
        .upsert_app(AppSpec::new("myapp-development", "myapp", &url, &path));
    let (git, argocd) = (false, true);
    let points = [
        ("the fetch", git, Moment::Before, "POST", "git-upload-pack"),
        ("the push", git, Moment::Before, "POST", "git-receive-pack"),
        ("the push", git, Moment::After, "POST", "git-receive-pack"),
        ("the refresh", argocd, Moment::Before, "GET", "refresh="),
        ("the refresh", argocd, Moment::After, "GET", "refresh="),
        ("the sync", argocd, Moment::Before, "POST", "myapp-development/sync"),
        ("the sync", argocd, Moment::After, "POST", "myapp-development/sync"),
        (
            "the look at what is live",
            argocd,
            Moment::Before,
            "GET",
            "applications/myapp-staging",
        ),
        (
            "the look at what is live",
            argocd,
            Moment::After,
            "GET",
            "applications/myapp-staging",
        ),
    ];
    for (n, (what, gate, moment, method, contains)) in points.into_iter().enumerate() {
        println!("killed {moment:?} {what}");
        let tag = format!("1.1.{n}");
        let (git, argocd) = world.gates.as_ref().unwrap();
        let gate = if gate { argocd } else { git };
        let mut hold = gate.hold(moment, method, contains);
        let digest = world.push(&tag).await;
        tokio::time::timeout(Duration::from_secs(30), hold.held())
            .await
            .unwrap_or_else(|_| panic!("nothing came to be held {moment:?} {what}"));
        world.kill();
        hold.cut();
        world.restart().await;
        world.wait_for_live("staging", "api", &digest).await;
        world.idle().await;
        for environment in ["development", "staging"] {
            let newest = world.promotions(environment, "api").await.remove(0);
            assert_eq!(
                (newest.image.digest.as_str(), newest.state),
                (&*digest, State::Succeeded),
                "{what}"
            );
        }
        world.is_whole().await;
    }
    assert_eq!(world.subjects().await.len(), 1 + 2 * 9);
}
