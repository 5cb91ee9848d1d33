//! The program under load, killed at random moments again and again. Short here; `make soak` takes its time.

use crate::support::{
    database::Database,
    dice::Dice,
    world::{GIT_TOKEN, Setup, World, until},
};
use domain::promotion::State;
use std::time::Duration;
use testbed::OutsideWriter;

const SERVICES: usize = 8;

/// A number from the environment.
pub(crate) fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Waits longer than [`World::idle`]: under this load things take their time.
async fn all_end(world: &World) {
    let deadline = Duration::from_secs(180);
    let ended = tokio::time::timeout(deadline, async {
        while world.store.read().await.unwrap().next_due().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    if ended.await.is_err() {
        let mut open = world.all_promotions().await;
        open.retain(|p| !p.state.is_ended());
        panic!("promotions did not end: {open:#?}");
    }
}

/// Kills the server `kills` times; with `replicas`, another one works on the same PostgreSQL meanwhile, and is not killed.
async fn soak(kills: usize, seed: u64, replicas: bool) {
    println!("{kills} kills, seed {seed}");
    let mut dice = Dice(seed);
    let mut world = World::with(Setup {
        process: true,
        services: SERVICES,
        database: replicas.then(Database::postgres),
        variables: vec![("ENCRYPTION_KEY", "A".repeat(43))],
        ..Setup::default()
    })
    .await;
    let _another = match replicas {
        true => Some(world.another_server().await),
        false => None,
    };
    for kill in 0..kills {
        // Everybody gets something new, and their followers too.
        if kill % 2 == 0 {
            world.push_all(SERVICES, &format!("2.0.{kill}")).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(900) as u64)).await;
        world.kill();
        world.restart().await;
    }
    // Builds whose notification died with the server are told again by the registry, or not at all: the last word is ours.
    let last = world.push_all(SERVICES, "3.0.0").await;
    for (n, digest) in last.iter().enumerate() {
        let name = crate::support::world::service(n);
        world.wait_for_desired("staging", &name, digest).await;
    }
    all_end(&world).await;
    world.is_whole().await;
    let all = world.all_promotions().await;
    let succeeded = all.iter().filter(|p| p.state == State::Succeeded).count();
    println!(
        "{} promotions, {succeeded} of them succeeded, one commit each",
        all.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_ten_times_under_load() {
    soak(10, 20_261_121, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_servers_killed_under_load() {
    soak(4, 20_261_122, true).await;
}

/// `make soak`: 200 kills on each database, or as many as `SOAK_KILLS` says, from the seed `SOAK_SEED`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a quarter of an hour: make soak"]
async fn killed_two_hundred_times_under_load() {
    let kills = usize::try_from(setting("SOAK_KILLS", 200)).unwrap();
    soak(kills, setting("SOAK_SEED", 1), false).await;
}

/// Three others push to the same branch without pause while sixty promotions go out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_others_push_all_the_time() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    const SERVICES: usize = 30;
    let world = World::with(Setup {
        argocd: false,
        services: SERVICES,
        ..Setup::default()
    })
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    // By the same door as Waybill: a path would be a short cut through the server's programs.
    let door = world.git.as_ref().unwrap().url("deploy.git");
    let remote = door.replace("://", &format!("://waybill:{GIT_TOKEN}@"));
    let others: Vec<_> = (0..3)
        .map(|name| {
            let (remote, stop) = (remote.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let writer = OutsideWriter::new(remote, "main").await.unwrap();
                let (path, mut through) = (format!("others/{name}"), 0_usize);
                // Each leaves something to be checked, if only after the race.
                while through == 0 || !stop.load(Ordering::SeqCst) {
                    let text = format!("{}\n", through + 1);
                    // Overtaken, it tries again like everybody.
                    let done = writer
                        .commit(&[(&path, &text)], &format!("Other {name}: {}", through + 1))
                        .await;
                    through += usize::from(done.is_ok());
                }
                through
            })
        })
        .collect();
    world.push_all(SERVICES, "1.1.0").await;
    // Those of staging come with the commits of development.
    until("the promotions", async || {
        (world.all_promotions().await.len() >= SERVICES).then_some(())
    })
    .await;
    all_end(&world).await;
    stop.store(true, Ordering::SeqCst);
    let mut through = Vec::new();
    for other in others {
        through.push(other.await.unwrap());
    }
    world.is_whole().await;
    let commits = world.repository.commits("main").await.unwrap();
    let (mut ours, mut theirs) = (0, [0; 3]);
    for commit in commits.iter().rev() {
        if let Some(rest) = commit.subject.strip_prefix("Other ") {
            // Each in its own order, none of them undone.
            let (name, number) = rest.split_once(": ").unwrap();
            let name: usize = name.parse().unwrap();
            theirs[name] += 1;
            assert_eq!(number, theirs[name].to_string());
            assert!(
                commit
                    .changes
                    .iter()
                    .all(|change| change.path == format!("others/{name}"))
            );
        } else if commit.body.contains("Waybill-Promotion: ") {
            ours += 1;
            assert_eq!(commit.changes.len(), 4, "tag and digest, nothing else: {commit:?}");
        }
    }
    assert_eq!((ours, theirs.to_vec()), (2 * SERVICES, through));
    for (name, count) in theirs.iter().enumerate() {
        let last = world
            .repository
            .read_file("main", &format!("others/{name}"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(String::from_utf8(last).unwrap(), format!("{count}\n"));
    }
    println!(
        "{ours} commits of ours among {theirs:?} of others, {} pushes",
        world.git.as_ref().unwrap().pushes()
    );
}
