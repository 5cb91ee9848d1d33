//! What runs and was never promoted: listed, adopted, or replaced by what Git declares.

use crate::{
    following::chain,
    support::world::{Setup, World, until},
};
use argocd_standin::Fault;
use domain::{event::Happened, promotion::State};
use serde_json::{Value, json};

const DEVELOPMENT: &str = "/w/demo/myapp/development";

/// The list of an environment, as a program reads it.
async fn list(world: &World, environment: &str) -> Vec<Value> {
    let url = format!(
        "{}/api/v1/unpromoted?project=myapp&environment={environment}",
        world.base_url
    );
    let answer = reqwest::Client::new()
        .get(url)
        .bearer_auth(&world.token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn act(world: &World, act: &str, environment: &str, body: &Value) -> (u16, Value) {
    let path = format!("/api/v1/unpromoted/{act}?project=myapp&environment={environment}");
    world.post_json(&path, Some(&world.token), body).await
}

/// Waits until an environment lists one image, which is this one.
async fn lists(world: &World, environment: &str, digest: &str) -> Value {
    until("the list", async || {
        let list = list(world, environment).await;
        let [one] = &list[..] else { return None };
        (one["digest"] == digest).then(|| one.clone())
    })
    .await
}

async fn digest_listed(world: &World, environment: &str) -> Vec<String> {
    let list = list(world, environment).await;
    list.iter()
        .map(|one| one["digest"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_declared_before_waybill_is_listed_until_it_is_adopted() {
    let world = World::start().await;
    let listed = lists(&world, "development", &world.first).await;
    assert_eq!(listed["resource"], "api");
    assert_eq!(listed["tag"], "1.0.0");
    assert_eq!(listed["declared"]["digest"], world.first);
    assert_eq!(listed["isRecalled"], false);

    let mut browser = world.admin().await;
    let page = browser.get(DEVELOPMENT).await.words();
    assert!(page.contains("Runs, but was never promoted"), "{page}");
    let adopt = [
        ("intent", "adopt"),
        ("environment", "development"),
        ("resource", "api"),
        ("digest", &*world.first),
    ];
    let answer = browser.post(DEVELOPMENT, &adopt).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    assert_eq!(list(&world, "development").await, [Value::Null; 0]);
    let page = browser.get(DEVELOPMENT).await.words();
    assert!(!page.contains("never promoted"), "{page}");
    let history = browser.get(&format!("{DEVELOPMENT}/api")).await.words();
    assert!(
        history.contains(&*format!(
            "ada adopted {}, which was never promoted",
            &world.first[7..14]
        )),
        "{history}"
    );
    // All of an environment at once: what Git declares of it is adopted by now.
    let all = browser.post(DEVELOPMENT, &[("intent", "adopt-all")]).await;
    assert_eq!(all.status, 409, "{}", all.words());
    // It is no promotion, and a second click does nothing more.
    assert_eq!(world.promotions("development", "api").await, []);
    let again = browser.post(DEVELOPMENT, &adopt).await;
    assert_eq!(again.status, 409, "{}", again.words());

    // Of two at once one did it.
    let body = json!({ "resource": "api", "digest": world.first, "reason": "It was there before Waybill." });
    let both = tokio::join!(
        act(&world, "adopt", "staging", &body),
        act(&world, "adopt", "staging", &body)
    );
    let mut both = [both.0.0, both.1.0];
    both.sort_unstable();
    assert_eq!(both, [200, 409]);
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_after(0, 10_000).await.unwrap();
    let adopted: Vec<_> = (events.iter())
        .filter_map(|event| match &event.happened {
            Happened::ImageAdopted { image, reason } => Some((image.digest.to_string(), reason.clone())),
            _ => None,
        })
        .collect();
    let why = Some("It was there before Waybill.".to_owned());
    assert_eq!(adopted, [(world.first.clone(), None), (world.first.clone(), why)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_an_environment_is_adopted_at_once() {
    let world = World::with(Setup {
        services: 2,
        ..Setup::default()
    })
    .await;
    until("what runs", async || {
        (list(&world, "staging").await.len() == 3).then_some(())
    })
    .await;
    let mut browser = world.admin().await;
    let staging = "/w/demo/myapp/staging";
    let page = browser.get(staging).await.words();
    assert!(page.contains("Adopt all 3 that Git declares"), "{page}");
    let answer = browser.post(staging, &[("intent", "adopt-all")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    assert_eq!(list(&world, "staging").await, [Value::Null; 0]);
    assert!(
        !list(&world, "development").await.is_empty(),
        "the others are another's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_declares_is_promoted_without_a_commit() {
    let world = World::start().await;
    let before = world.subjects().await;
    let body = json!({ "resource": "api" });
    let (first, second) = tokio::join!(
        act(&world, "promote", "development", &body),
        act(&world, "promote", "development", &body)
    );
    assert_eq!(first, second, "one promotion for both");
    assert_eq!(first.0, 200, "{}", first.1);
    let id = first.1["promotion"].as_str().unwrap();
    let ended = world.ends(id, State::Succeeded).await;
    assert_eq!(ended.image.digest.as_str(), world.first);
    assert_eq!(world.subjects().await, before);
    assert_eq!(list(&world, "development").await, [Value::Null; 0]);
    let (status, said) = act(&world, "promote", "development", &body).await;
    assert_eq!(status, 409, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_the_cluster_is_not_adopted_and_goes_when_the_declared_one_is_promoted() {
    let world = chain(Setup::default()).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &second).await;
    world.idle().await;
    assert_eq!(digest_listed(&world, "production").await, [""; 0]);
    let third = &format!("sha256:{}", "e".repeat(64));
    let image = format!("{}/myapp/api@{third}", world.host);
    let fault = Fault::LiveImage {
        service: "api".into(),
        image,
    };
    world.standin.inject(Some("myapp-production"), fault).unwrap();
    world.wait_for_live("production", "api", third).await;
    let listed = lists(&world, "production", third).await;
    assert_eq!(listed["declared"]["digest"], second);

    let adopt = json!({ "resource": "api", "digest": third });
    let (status, said) = act(&world, "adopt", "production", &adopt).await;
    assert_eq!(status, 409, "{said}");
    assert!(said.to_string().contains("Git doesn't declare"), "{said}");
    let (status, started) = act(&world, "promote", "production", &json!({ "resource": "api" })).await;
    assert_eq!(status, 200, "{started}");
    world
        .ends(started["promotion"].as_str().unwrap(), State::Succeeded)
        .await;
    world.wait_for_live("production", "api", &second).await;
    assert_eq!(digest_listed(&world, "production").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changed_git_is_named_and_what_is_recalled_is_not_adopted() {
    let world = chain(Setup::default()).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let values = world.values("staging").await;
    let back = values
        .replacen("tag: 1.1.0", "tag: 1.0.0", 1)
        .replacen(&second, &world.first, 1);
    let commit = world.outsider_writes("staging", &back).await;
    world.wait_for_live("staging", "api", &world.first).await;
    world.wait_for_desired("staging", "api", &world.first).await;
    let listed = lists(&world, "staging", &world.first).await;
    assert_eq!(listed["declaredBy"]["commit"], commit);

    let path = format!("/api/v1/artifacts/{}/recall", world.first);
    let (status, said) = world
        .post_json(
            &path,
            Some(&world.token),
            &json!({ "reason": "It writes wrong totals." }),
        )
        .await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(lists(&world, "staging", &world.first).await["isRecalled"], true);
    let adopt = json!({ "resource": "api", "digest": world.first });
    for (what, body) in [("adopt", &adopt), ("promote", &json!({ "resource": "api" }))] {
        let (status, said) = act(&world, what, "staging", body).await;
        assert_eq!(status, 422, "{what}: {said}");
        assert!(said.to_string().contains("It writes wrong totals."), "{what}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_adopted_is_said_in_the_field() {
    let world = World::start().await;
    for (body, status) in [
        (json!({ "resource": "api", "digest": "sha256:1" }), 422),
        (json!({ "resource": "nothing", "digest": world.first }), 404),
        (
            json!({ "resource": "api", "digest": world.first, "reason": "x".repeat(1_001) }),
            422,
        ),
        (
            json!({ "resource": "api", "digest": format!("sha256:{}", "9".repeat(64)) }),
            409,
        ),
        (json!({ "resource": "api" }), 400),
    ] {
        let (answered, said) = act(&world, "adopt", "development", &body).await;
        assert_eq!(answered, status, "{body}: {said}");
    }
    assert_eq!(digest_listed(&world, "development").await, [&*world.first]);
}
