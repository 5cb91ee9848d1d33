//! Clocks that are wrong: what is asked for later is newer, whatever a clock said when it was asked for.

use crate::support::{
    BEGIN, Bench, api_alone,
    database::Database,
    digest,
    fakes::MovedClock,
    world::{Setup, World},
};
use domain::{
    artifact::{ArtifactDetails, ExactImage},
    promotion::State,
    rights::Role,
};
use serde_json::json;
use server::service::{observe, queue};
use server::store::Lane;
use std::sync::Arc;

const SECOND: i64 = 1_000;

const TWO_DAYS: i64 = 2 * 86_400_000;

/// Pins `api` in development through a server, and waits until that is so.
async fn pin(world: &World, base_url: &str, digest: &str) {
    let query = format!(
        "mutation {{ pin(input: {{ projectId: \"myapp\" environment: \"development\" service: \"api\" digest: \"{digest}\" }}) {{ id }} }}"
    );
    let answer = reqwest::Client::new()
        .post(format!("{base_url}/api/graphql"))
        .bearer_auth(&world.token)
        .json(&json!({ "query": query }))
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let id = answer["data"]["pin"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    world.ends(id, State::Succeeded).await;
    world.wait_for_desired("development", "api", digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_after_a_clock_ran_two_days_ahead_wins() {
    let world = World::start().await;
    world.clock.forward(TWO_DAYS);
    let ahead = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &ahead).await;
    world.idle().await;
    world.clock.forward(-TWO_DAYS);
    for build in ["1.2.0", "1.3.0"] {
        let digest = world.push(build).await;
        for environment in ["development", "staging"] {
            world.wait_for_live(environment, "api", &digest).await;
        }
        world.idle().await;
    }
    for environment in ["development", "staging"] {
        let promotions = world.promotions(environment, "api").await;
        let states: Vec<State> = promotions.iter().map(|promotion| promotion.state).collect();
        assert!(states.iter().all(|state| *state == State::Succeeded), "{promotions:#?}");
        let numbers: Vec<i64> = promotions.iter().map(|promotion| promotion.number).collect();
        let from_the_newest: Vec<i64> = (1..=numbers.len() as i64).rev().collect();
        assert_eq!(numbers, from_the_newest, "{environment}");
        // Its id is that of two days from now, and it is the oldest but for what was there.
        let greatest = promotions.iter().max_by_key(|promotion| promotion.id).unwrap();
        assert_eq!(greatest.image.digest.as_str(), ahead);
    }
    world.is_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_whose_clocks_differ_the_later_request_wins() {
    let world = World::with(Setup {
        database: Some(Database::postgres()),
        variables: vec![("ENCRYPTION_KEY", "A".repeat(43))],
        ..Setup::default()
    })
    .await;
    world.clock.forward(5 * SECOND);
    let right = world.another_server_by(&Arc::new(MovedClock::default())).await;
    let digests = [world.first.clone(), world.push("1.1.0").await];
    world.wait_for_live("staging", "api", &digests[1]).await;
    for _ in 0..3 {
        pin(&world, &world.base_url, &digests[0]).await;
        pin(&world, &right.base_url, &digests[1]).await;
    }
    world.idle().await;
    world.is_whole().await;
}

#[tokio::test]
async fn what_a_clock_that_ran_ahead_put_off_is_taken_up() {
    const API: &str = "127.0.0.1:5000/myapp/api";
    let bench = Bench::new().await;
    bench.registry.push(API, "one", &digest("a"));
    let path = "environments/development/values.yaml";
    bench.git.declare(path, "api", API, "one", &digest("a"));
    let (admin, _) = bench.program("demo", "admin", Role::Admin).await;
    bench.apply(&admin, &api_alone(API)).await;
    let services = &bench.services;
    bench.clock.forward(TWO_DAYS);
    bench.registry.push(API, "two", &digest("b"));
    let repository = API.parse().unwrap();
    let workspace = admin.access[0].0.id;
    observe::look_at_repository(services, workspace, &repository)
        .await
        .unwrap();
    let mut tx = bench.store.write().await.unwrap();
    let now = services.now();
    let claimed = tx
        .claim_promotions("gone", Lane::Commit, now, now.plus_millis(8 * SECOND), 9)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    tx.commit().await.unwrap();

    // Whoever held it is gone, and the clock is right again.
    bench.clock.forward(-TWO_DAYS);
    let due = async || bench.store.read().await.unwrap().next_due().await.unwrap().unwrap();
    let held = queue::bring_forward(services, &[]).await.unwrap();
    assert_eq!(held.len(), 1, "it may be renewed still");
    assert!(due().await > services.now().plus_millis(TWO_DAYS - SECOND));
    assert_eq!(queue::bring_forward(services, &held).await.unwrap(), []);
    assert!(due().await <= services.now());
}

#[tokio::test]
async fn what_arrives_after_a_clock_ran_ahead_is_newer_where_builders_say_nothing() {
    let bench = Bench::new().await;
    let (admin, _) = bench.program("demo", "admin", Role::Admin).await;
    let workspace = admin.access[0].0.id;
    let image = |letter: &str| ExactImage {
        repository: "r.example/myapp/api".parse().unwrap(),
        tag: None,
        digest: digest(letter).parse().unwrap(),
    };
    let mut tx = bench.store.write().await.unwrap();
    for (letter, millis) in [("a", TWO_DAYS), ("b", 0), ("c", SECOND)] {
        let at = BEGIN.plus_millis(millis);
        assert!(tx.see_artifact(workspace, &image(letter), at).await.unwrap());
        let image = image(letter);
        let known = tx.artifact(workspace, &image.repository, &image.digest).await.unwrap();
        let seen_at = known.unwrap().seen_at;
        assert_eq!(seen_at, BEGIN.plus_millis(TWO_DAYS), "{letter}");
        tx.set_details(workspace, &image, &ArtifactDetails::default(), seen_at)
            .await
            .unwrap();
        let newest = tx.recent_artifacts(workspace, &image.repository, 1).await.unwrap();
        assert_eq!(newest[0].image, image);
    }
}

#[tokio::test]
async fn a_look_at_a_registry_ranks_what_arrives_by_its_arrival() {
    const API: &str = "127.0.0.1:5000/myapp/api";
    let bench = Bench::new().await;
    let (admin, _) = bench.program("demo", "admin", Role::Admin).await;
    let (workspace, repository) = (admin.access[0].0.id, API.parse().unwrap());
    bench.clock.forward(TWO_DAYS);
    for (letter, tag, millis) in [("a", "one", 0), ("b", "two", -TWO_DAYS), ("c", "three", SECOND)] {
        bench.clock.forward(millis);
        bench.registry.push(API, tag, &digest(letter));
        observe::look_at_repository(&bench.services, workspace, &repository)
            .await
            .unwrap();
        let mut tx = bench.store.read().await.unwrap();
        let newest = tx.recent_artifacts(workspace, &repository, 1).await.unwrap();
        assert_eq!(newest[0].image.digest.to_string(), digest(letter));
    }
}
