//! People go before automation: rollback, hold, resume, cancel; and changes that were made without Waybill.

use crate::support::{
    digest,
    world::{ADMIN, HOOK_SECRET, Setup, World, until},
};
use argocd_standin::{Fault, RolloutOutcome};
use domain::{
    promotion::{Actor, Purpose, State},
    resource::{Binding, HoldCause},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use std::fmt::Write as _;

const STAGING: &str = "/w/demo/myapp/staging/api";

const BOARD: &str = "/w/demo/myapp";

fn id_in(location: Option<&str>) -> String {
    location.unwrap().strip_prefix("/promotions/").unwrap().to_owned()
}

/// `api` runs its second build in development and staging; returns that build's digest.
async fn second_build(world: &World) -> String {
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    second
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_holds_until_somebody_resumes() {
    let world = World::start().await;
    let second = second_build(&world).await;
    let mut browser = world.admin().await;

    let page = browser.get(STAGING).await.words();
    assert!(page.contains("Roll back"), "{page}");
    // What will change is there before anyone asks.
    assert!(
        page.contains(&format!("- digest: {second}")) && page.contains(&format!("+ digest: {}", world.first)),
        "{page}"
    );
    let back = format!("rollback-{}", world.first);
    let answer = browser.post(STAGING, &[("intent", &back)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let ended = world.ends(&id_in(answer.location()), State::Succeeded).await;
    assert_eq!(ended.purpose, Purpose::Rollback);
    assert_eq!(world.subjects().await[0], "rollback(staging): api 1.0.0");
    assert!(world.live_images("staging")[0].ends_with(&world.first));
    let held = world.resource("staging", "api").await.unwrap();
    let hold = held.hold.unwrap();
    assert_eq!(
        (hold.cause, &held.binding),
        (HoldCause::RolledBack, &Binding::TrackLatest)
    );
    assert!(matches!(hold.by, Actor::Person { ref email, .. } if email == ADMIN));

    // Automation never undoes a person.
    let third = world.push("1.2.0").await;
    world.wait_for_live("development", "api", &third).await;
    world.idle().await;
    assert!(world.live_images("staging")[0].ends_with(&world.first));
    let again = world.apply(&world.document()).await;
    assert_eq!(again["changes"], json!([]), "{again}");
    world.idle().await;
    assert!(
        world.live_images("staging")[0].ends_with(&world.first),
        "applying neither"
    );
    for path in [BOARD, STAGING] {
        let page = browser.get(path).await.words();
        assert!(
            page.contains("Held: rolled back by") && page.contains("Resume"),
            "{path}: {page}"
        );
    }

    // From the board, it catches up.
    let resume = [("intent", "resume"), ("environment", "staging"), ("resource", "api")];
    let answer = browser.post(BOARD, &resume).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.ends(&id_in(answer.location()), State::Succeeded).await;
    assert!(world.live_images("staging")[0].ends_with(&third));
    assert_eq!(world.resource("staging", "api").await.unwrap().hold, None);
    let twice = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(twice.status, 409, "{}", twice.words());
    let fourth = world.push("1.3.0").await;
    world.wait_for_live("staging", "api", &fourth).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_ran_there_is_no_way_back() {
    let world = World::start().await;
    let second = second_build(&world).await;
    let mut browser = world.admin().await;
    let before = world.everything().await;
    let absent = digest("e");
    for (target, status, words) in [
        (&*absent, 422, "never ran in staging/api"),
        ("sha256:12", 422, "64 hex characters"),
        (&second, 409, "already"),
    ] {
        let intent = format!("rollback-{target}");
        let refused = browser.post(STAGING, &[("intent", &intent)]).await;
        assert_eq!(refused.status, status, "{target}");
        assert!(refused.words().contains(words), "{target}: {}", refused.words());
    }
    assert_eq!(world.everything().await, before);
    assert_eq!(world.resource("staging", "api").await.unwrap().hold, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_on_what_tracks_is_a_hold() {
    let world = World::start().await;
    let second = second_build(&world).await;
    let input = |digest: &str| {
        format!(
            r#"{{ projectId: "myapp" environment: "staging" service: "api"{} }}"#,
            if digest.is_empty() {
                String::new()
            } else {
                format!(r#" digest: "{digest}""#)
            }
        )
    };
    let ask = async |field: String| {
        let query = json!({ "query": format!("mutation {{ {field} {{ id }} }}") });
        let (_, answer) = world.post_json("/api/graphql", Some(&world.token), &query).await;
        answer
    };
    let pinned = ask(format!("pin(input: {})", input(&world.first))).await;
    let id = pinned["data"]["pin"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{pinned}"));
    world.ends(id, State::Succeeded).await;
    let held = world.resource("staging", "api").await.unwrap();
    assert_eq!(held.hold.unwrap().cause, HoldCause::Pinned);
    assert_eq!(held.binding, Binding::Pin(world.first.parse().unwrap()));
    let query =
        json!({ "query": r#"{ resources(project: "myapp", environment: "staging") { name hold { cause by } } }"# });
    let (_, told) = world.post_json("/api/graphql", Some(&world.token), &query).await;
    assert_eq!(
        told["data"]["resources"][0]["hold"],
        json!({ "cause": "pinned", "by": "ci" }),
        "{told}"
    );

    // Rolling back what is pinned moves the pin.
    let back = ask(format!("rollback(input: {})", input(&second))).await;
    let id = back["data"]["rollback"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{back}"));
    world.ends(id, State::Succeeded).await;
    let moved = world.resource("staging", "api").await.unwrap();
    assert_eq!(moved.binding, Binding::Pin(second.parse().unwrap()));

    let resumed = ask(format!("resume(input: {})", input(""))).await;
    assert_eq!(
        resumed["data"]["resume"],
        json!(null),
        "it runs the latest already: {resumed}"
    );
    let free = world.resource("staging", "api").await.unwrap();
    assert_eq!((free.hold, free.binding), (None, Binding::TrackLatest));
    let twice = ask(format!("resume(input: {})", input(""))).await;
    assert_eq!(twice["errors"][0]["extensions"]["code"], "conflict", "{twice}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_not_kept_waiting_by_what_hangs() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let rollout = |outcome| Fault::Rollout { outcome };
    let staging = Some("myapp-staging");
    world.standin.inject(staging, rollout(RolloutOutcome::Never)).unwrap();
    world.push("1.1.0").await;
    let hanging = until("the promotion of staging", async || {
        world.promotions("staging", "api").await.pop()
    })
    .await;
    let hanging = hanging.id.to_string();
    world.reaches(&hanging, State::Verifying).await;

    let back = format!("rollback-{}", world.first);
    let answer = browser.post(STAGING, &[("intent", &back)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    assert_eq!(world.promotion(&hanging).await.state, State::Superseded, "at once");
    world.standin.inject(staging, rollout(RolloutOutcome::Healthy)).unwrap();
    let ended = world.ends(&id_in(answer.location()), State::Succeeded).await;
    assert_eq!(ended.image.digest.as_str(), world.first);
    assert!(world.live_images("staging")[0].ends_with(&world.first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_git_can_be_cancelled() {
    let world = World::start().await;
    second_build(&world).await;
    let mut browser = world.admin().await;
    world.git.as_ref().unwrap().fail_next_pushes(1_000, 503);
    let third = world.push("1.2.0").await;
    let stuck = until("the promotion of development", async || {
        let newest = world.promotions("development", "api").await.into_iter().next()?;
        (newest.image.digest.as_str() == third && newest.waits_for.is_some()).then_some(newest)
    })
    .await;
    let path = format!("/promotions/{}", stuck.id);
    let page = browser.get(&path).await.words();
    assert!(page.contains("Cancel promotion"), "{page}");
    // While a push is under way it can't be withdrawn; between two tries it can.
    until("the promotion to be cancelled", async || {
        let answer = browser.post(&path, &[("intent", "cancel")]).await;
        assert!(matches!(answer.status, 303 | 409), "{}", answer.words());
        (answer.status == 303).then_some(())
    })
    .await;
    let cancelled = world.promotion(&stuck.id.to_string()).await;
    assert_eq!((cancelled.state, cancelled.commit), (State::Cancelled, None));
    let page = browser.get(&path).await.words();
    assert!(
        page.contains("cancelled it") && !page.contains("Cancel promotion"),
        "{page}"
    );
    let again = browser.post(&path, &[("intent", "cancel")]).await;
    assert_eq!(again.status, 409, "{}", again.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commit_is_the_one_that_was_shown_or_the_page_says_what_differs() {
    let world = World::start().await;
    let second = second_build(&world).await;
    let mut browser = world.admin().await;
    let back = |digest: &str| format!("rollback-{digest}");
    let answer = browser.post(STAGING, &[("intent", &back(&world.first))]).await;
    let id = id_in(answer.location());
    world.ends(&id, State::Succeeded).await;
    let page = browser.get(&format!("/promotions/{id}")).await.words();
    assert!(!page.contains("differs from what was expected"), "{page}");

    let (repository, values) = (world.repository.clone(), world.values("staging").await);
    let path = super::support::world::values_path("staging");
    world.git.as_ref().unwrap().before_push(move || async move {
        let changed = values.replacen("tag: 1.0.0", "tag: by-hand", 1);
        let writer = repository.outsider("main").await.unwrap();
        writer.commit(&[(&path, &changed)], "By hand").await.unwrap();
    });
    let answer = browser.post(STAGING, &[("intent", &back(&second))]).await;
    let id = id_in(answer.location());
    world.ends(&id, State::Succeeded).await;
    let page = browser.get(&format!("/promotions/{id}")).await.words();
    assert!(page.contains("differs from what was expected"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_webhook_tells_who_changed_what_runs() {
    let world = World::with(Setup {
        variables: vec![
            ("GIT_POLL_INTERVAL", "1h".into()),
            ("GIT_WEBHOOK_SECRET", HOOK_SECRET.into()),
        ],
        ..Setup::default()
    })
    .await;
    let second = second_build(&world).await;
    let values = world.values("staging").await;
    let by_hand = values
        .replacen("tag: 1.1.0", "tag: 1.0.0", 1)
        .replacen(&second, &world.first, 1);
    let commit = world.outsider_writes("staging", &by_hand).await;

    let address = world.git.as_ref().unwrap().url("deploy.git");
    let body = json!({ "ref": "refs/heads/main", "repository": { "clone_url": address } }).to_string();
    let send = async |signature: String| {
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/hooks/git/demo", world.base_url))
            .timeout(super::support::world::PATIENCE)
            .header("content-type", "application/json")
            .header("x-hub-signature-256", format!("sha256={signature}"));
        request.body(body.clone()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("00".repeat(32)).await, 401);
    let mac = Hmac::<Sha256>::new_from_slice(HOOK_SECRET.as_bytes()).unwrap();
    let signature = mac.chain_update(&body).finalize().into_bytes();
    let signature = signature.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    assert_eq!(send(signature).await, 202);
    world.wait_for_desired("staging", "api", &world.first).await;

    let outside = world.resource("staging", "api").await.unwrap().outside.unwrap();
    assert_eq!((&outside.commit, &*outside.subject), (&commit, "By hand"));
    let mut browser = world.admin().await;
    for path in [BOARD, STAGING] {
        let page = browser.get(path).await.words();
        assert!(page.contains("Changed in Git"), "{path}: {page}");
    }
    // What a person did stays until a person resumes it; then it is Waybill's again.
    let third = world.push("1.2.0").await;
    world.wait_for_live("development", "api", &third).await;
    world.idle().await;
    let held = world.resource("staging", "api").await.unwrap();
    assert!(held.declares(&world.first.parse().unwrap()), "{held:?}");
    assert_eq!(held.hold.unwrap().cause, HoldCause::MovedInGit);
    let answer = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_live("staging", "api", &third).await;
    assert_eq!(world.resource("staging", "api").await.unwrap().outside, None);
}
