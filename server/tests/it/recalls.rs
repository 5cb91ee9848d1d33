//! A recalled digest is promoted by nobody and by no automation, every place that has it is listed, and one act moves all of them back.

use crate::{
    following::chain,
    gates,
    support::{
        Bench, digest,
        world::{Setup, World, until},
    },
};
use argocd_standin::{Fault, RolloutOutcome};
use domain::{
    event::Happened,
    id::ProjectId,
    plan::Health,
    promotion::{Purpose, State},
    recall::Recall,
    resource::{HoldCause, Live, Resource},
    rights::Role,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::service::{
    Caller,
    access::{self, NewToken},
    promotion, views,
};

const REASON: &str = "it loses orders";
const STAGING: &str = "/w/demo/myapp/staging/api";

/// Asks the REST interface about the recall of a digest.
async fn ask(world: &World, method: reqwest::Method, digest: &str, end: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/api/v1/artifacts/{digest}/recall{end}", world.base_url);
    let request = reqwest::Client::new()
        .request(method, url)
        .bearer_auth(&world.token)
        .json(body);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn recall(world: &World, digest: &str) -> Value {
    let (status, answer) = ask(world, reqwest::Method::POST, digest, "", &json!({ "reason": REASON })).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn move_back(world: &World, digest: &str) -> Value {
    let (status, moved) = ask(world, reqwest::Method::POST, digest, "/move-back", &json!({})).await;
    assert_eq!(status, 200, "{moved}");
    moved
}

async fn declares(world: &World, environment: &str, digest: &str) -> bool {
    let resource = world.resource(environment, "api").await.unwrap();
    resource.declares(&digest.parse().unwrap())
}

/// The places that an answer lists: environment, whether Git says it, whether it runs, what is good there.
fn listed(answer: &Value) -> Vec<(String, bool, bool, String)> {
    let places = answer["places"].as_array().unwrap().iter();
    let place = |place: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            format!("{}/{}", text(&place["environment"]), text(&place["resource"])),
            place["desired"].as_bool().unwrap(),
            place["live"].as_bool().unwrap(),
            text(&place["good"]["digest"]),
        )
    };
    places.map(place).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_told_who_recalled_it_when_and_why_through_every_door() {
    let (world, second) = gates::world(json!({})).await;
    let answer = recall(&world, &second).await;
    assert_eq!(answer["recall"]["reason"], REASON);
    let mut browser = world.admin().await;
    let pin = [("intent", "pin"), ("digest", &*second)];
    for fields in [&[("intent", "promote")][..], &pin] {
        let refused = browser.post(gates::API, fields).await;
        assert_eq!(refused.status, 422, "{}", refused.words());
        let words = refused.words();
        assert!(
            words.contains("ci recalled") && words.contains(REASON) && words.contains("UTC") && words.contains("lift"),
            "{words}"
        );
    }
    let refused = world.promote(&world.token, "api", "staging", "production").await;
    let refused = refused.unwrap_err();
    assert_eq!(refused["extensions"]["code"], "invalid", "{refused}");

    // Where it runs, the page says so; what ran there before is no way back to it.
    let page = browser.get(STAGING).await.words();
    assert!(
        page.contains(REASON) && page.contains("runs or is to run here"),
        "{page}"
    );
    let back = format!("rollback-{}", world.first);
    let started = gates::started(&browser.post(STAGING, &[("intent", &back)]).await);
    world.ends(&started, State::Succeeded).await;
    let again = format!("rollback-{second}");
    let refused = browser.post(STAGING, &[("intent", &again)]).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(declares(&world, "production", &world.first).await);

    // Its source is to run it still: to follow again is nothing to catch up with.
    let resumed = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(resumed.location(), Some(STAGING), "{}", resumed.words());

    // Once more is no news.
    let (status, twice) = ask(
        &world,
        reqwest::Method::POST,
        &second,
        "",
        &json!({ "reason": "again" }),
    )
    .await;
    assert_eq!(status, 409, "{twice}");

    // Lifted, it is an image like any other.
    let (status, lifted) = ask(
        &world,
        reqwest::Method::DELETE,
        &second,
        "",
        &json!({ "reason": "a false alarm" }),
    )
    .await;
    assert_eq!(status, 200, "{lifted}");
    assert_eq!(lifted["recall"], Value::Null);
    assert_eq!(lifted["lifted"][0]["lifted"]["reason"], "a false alarm");
    let pinned = gates::started(&browser.post(gates::API, &pin).await);
    world.ends(&pinned, State::Succeeded).await;
    let (status, _) = ask(
        &world,
        reqwest::Method::DELETE,
        &second,
        "",
        &json!({ "reason": "twice" }),
    )
    .await;
    assert_eq!(status, 409);

    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_after(0, 10_000).await.unwrap();
    let told = |is: &dyn Fn(&Happened) -> bool| events.iter().filter(|event| is(&event.happened)).count();
    // In development and in staging, which ran it.
    assert_eq!(told(&|h| matches!(h, Happened::DigestRecalled { places: 1, .. })), 2);
    assert!(told(&|h| matches!(h, Happened::RecallLifted { .. })) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_places_are_moved_back_and_it_does_not_return() {
    let world = chain(Setup::default()).await;
    let second = world.push("1.1.0").await;
    for environment in ["development", "staging", "production"] {
        world.wait_for_live(environment, "api", &second).await;
    }
    world.idle().await;
    let place = |environment: &str| (format!("{environment}/api"), true, true, world.first.clone());
    let all = ["development", "staging", "production"].map(place);
    assert_eq!(listed(&recall(&world, &second).await), all);
    let moved = move_back(&world, &second).await;
    assert_eq!(moved["started"], 3, "{moved}");
    for environment in ["development", "staging", "production"] {
        world.wait_for_live(environment, "api", &world.first).await;
        let newest = world.promotions(environment, "api").await.remove(0);
        assert_eq!(newest.purpose, Purpose::Rollback);
        let hold = world.resource(environment, "api").await.unwrap().hold.unwrap();
        assert_eq!(hold.cause, HoldCause::RolledBack);
    }
    world.idle().await;
    let (_, nowhere) = ask(&world, reqwest::Method::GET, &second, "", &Value::Null).await;
    assert_eq!(listed(&nowhere), []);

    // Resumed, they catch up with nothing: what their sources have that is newer is recalled.
    let mut browser = world.admin().await;
    for environment in ["development", "staging", "production"] {
        let path = format!("/w/demo/myapp/{environment}/api");
        let answer = browser.post(&path, &[("intent", "resume")]).await;
        assert_eq!(answer.location(), Some(&*path), "{}", answer.words());
    }
    // Nor by another tag of the same image; and it is not what counts as the newest.
    assert_eq!(world.push_again("1.1.0", "1.1.1").await, second);
    let development = "/w/demo/myapp/development/api";
    let none = browser.post(development, &[("intent", "promote")]).await;
    assert_eq!(none.status, 409, "{}", none.words());
    // Nor by a revert in Git: that holds, and says why. Who follows stays.
    let writes = world.values("staging").await.replacen(&world.first, &second, 1);
    world.outsider_writes("staging", &writes).await;
    let held = until("staging to be held", async || {
        let staging = world.resource("staging", "api").await?;
        staging.hold.clone().map(|hold| hold.words(staging.desired.as_ref()))
    })
    .await;
    assert!(held.contains("which is recalled, by"), "{held}");
    let page = browser.get(STAGING).await.words();
    assert!(page.contains("which is recalled") && page.contains(REASON), "{page}");
    let follower = browser.get("/w/demo/myapp/production/api").await.words();
    assert!(
        follower.contains(REASON) && follower.contains("It doesn't arrive here."),
        "{follower}"
    );
    world.idle().await;
    for environment in ["development", "production"] {
        assert!(declares(&world, environment, &world.first).await, "{environment}");
        let newest = world.promotions(environment, "api").await.remove(0);
        assert_eq!(newest.purpose, Purpose::Rollback, "nothing was even tried");
    }

    // The next good image goes all the way.
    let third = world.push("1.2.0").await;
    world.wait_for_live("development", "api", &third).await;
    let answer = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_live("production", "api", &third).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_ends_and_is_not_approved() {
    let (world, second) = gates::world(json!({ "approvals": { "count": 1, "selfApproval": true } })).await;
    let mut browser = world.admin().await;
    let waiting = gates::promote(&mut browser).await;
    gates::waits_for(&world, &waiting, "0 of 1 approval").await;
    recall(&world, &second).await;
    let ended = world.promotion(&waiting).await;
    assert_eq!(ended.state, State::Cancelled);
    let why = ended.waits_for.unwrap();
    assert!(why.contains("ci recalled") && why.contains(REASON), "{why}");
    // It was pinned to it by asking for it, and runs what it ran.
    let production = world.resource("production", "api").await.unwrap();
    assert_eq!(production.pin().map(ToString::to_string).as_ref(), Some(&world.first));
    let path = format!("/promotions/{waiting}");
    let approve = [("intent", "approve"), ("id", &*waiting), ("comment", "")];
    let refused = browser.post(&path, &approve).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(refused.words().contains(REASON), "{}", refused.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_not_tried_again() {
    let (world, second) = gates::world(json!({})).await;
    let outcome = RolloutOutcome::Degraded;
    (world.standin)
        .inject(Some("myapp-production"), Fault::Rollout { outcome })
        .unwrap();
    let mut browser = world.admin().await;
    let failed = gates::promote(&mut browser).await;
    world.ends(&failed, State::Failed).await;
    recall(&world, &second).await;
    let refused = browser
        .post(&format!("/promotions/{failed}"), &[("intent", "retry")])
        .await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert_eq!(world.promotion(&failed).await.state, State::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_commit_is_made_of_what_was_recalled_meanwhile() {
    let world = World::start().await;
    let git = world.git.as_ref().unwrap();
    git.fail_next_pushes(1_000, 503);
    let second = world.push("1.1.0").await;
    let stuck = until("the promotion of development", async || {
        let newest = world.promotions("development", "api").await.into_iter().next()?;
        (newest.image.digest.as_str() == second && newest.waits_for.is_some()).then_some(newest)
    })
    .await;
    let before = world.subjects().await;
    // A push of it is on its way: the recall leaves that alone, and the commit asks once more.
    let recall = Recall {
        digest: second.parse().unwrap(),
        reason: REASON.into(),
        by: domain::promotion::Actor::Token { name: "scanner".into() },
        at: domain::time::Timestamp(0),
        lifted: None,
    };
    let mut tx = world.store.write().await.unwrap();
    assert!(tx.insert_recall(stuck.workspace, &recall).await.unwrap());
    tx.commit().await.unwrap();
    git.fail_next_pushes(0, 503);
    let ended = world.ends(&stuck.id.to_string(), State::Cancelled).await;
    assert!(ended.waits_for.unwrap().contains(REASON));
    assert_eq!(world.subjects().await, before);
    assert!(declares(&world, "development", &world.first).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_hold_the_way_back_until_the_glass_is_broken() {
    let policy = json!({
        "approvals": { "count": 1 },
        "onRollback": ["approvals"],
        "overrides": [{ "gates": ["approvals"], "by": [{ "role": "admin" }] }],
    });
    let (world, second) = gates::world(json!({})).await;
    let mut browser = world.admin().await;
    let promoted = gates::promote(&mut browser).await;
    world.ends(&promoted, State::Succeeded).await;
    gates::set_policy(&world, policy).await;
    recall(&world, &second).await;
    let moved = move_back(&world, &second).await;
    assert_eq!(
        (&moved["started"], &moved["waiting"]),
        (&json!(2), &json!(1)),
        "{moved}"
    );
    let waiting = world.promotions("production", "api").await.remove(0);
    assert_eq!((waiting.state, waiting.purpose), (State::Waiting, Purpose::Rollback));
    // Who asks again starts nothing twice.
    let again = move_back(&world, &second).await;
    assert_eq!(again["started"], 0, "{again}");
    assert_eq!(world.promotions("production", "api").await[0].id, waiting.id);

    // A person may break the glass, where the policy lets them: after the one that waits is gone.
    let cancel = format!("/promotions/{}", waiting.id);
    assert_eq!(browser.post(&cancel, &[("intent", "cancel")]).await.status, 303);
    let path = format!("/w/demo/-/artifacts/{second}/recall");
    let page = browser.get(&path).await.words();
    assert!(page.contains("Move 1 place back"), "{page}");
    let broken = browser
        .post(&path, &[("intent", "move"), ("break_glass", "true")])
        .await;
    assert_eq!(broken.status, 200, "{}", broken.words());
    assert!(
        broken.words().contains("1 place: started to move back."),
        "{}",
        broken.words()
    );
    world.wait_for_live("production", "api", &world.first).await;
    let back = world.promotions("production", "api").await.remove(0);
    let mut tx = world.store.read().await.unwrap();
    let overrides = tx.overrides(back.id).await.unwrap();
    assert_eq!(overrides[0].reason, format!("Recall: {REASON}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_ran_nothing_good_is_listed_as_such() {
    let (world, second) = gates::world(json!({})).await;
    let places = listed(&recall(&world, &world.first).await);
    assert_eq!(places, [("production/api".to_owned(), true, true, String::new())]);
    let moved = move_back(&world, &world.first).await;
    assert_eq!((&moved["started"], &moved["withoutGood"]), (&json!(0), &json!(1)));
    // What ran last is no way back while it is recalled, too.
    recall(&world, &second).await;
    let (_, answer) = ask(&world, reqwest::Method::GET, &second, "", &Value::Null).await;
    let without = |environment: &str| (format!("{environment}/api"), true, true, String::new());
    assert_eq!(listed(&answer), ["development", "staging"].map(without));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_recalls_and_lifts_without_a_script() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let path = format!("/w/demo/-/artifacts/{}/recall", world.first);
    let page = browser.get(&path).await.words();
    assert!(
        page.contains("2 places run it or are to run it") && page.contains("myapp/staging/api"),
        "{page}"
    );
    let refused = browser.post(&path, &[("intent", "recall"), ("reason", " ")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.field_error("reason").is_some(), "{}", refused.words());
    let done = browser.post(&path, &[("intent", "recall"), ("reason", REASON)]).await;
    assert_eq!((done.status, done.location()), (303, Some(&*path)), "{}", done.words());
    let page = browser.get(&path).await.words();
    assert!(page.contains(REASON) && page.contains("Lift the recall"), "{page}");
    // Who doesn't administer the workspace sees it, and may not.
    world.person("dev@example.com", "demo", Role::Approver).await;
    let mut other = world.signed_in("dev@example.com").await;
    let page = other.get(&path).await.words();
    assert!(page.contains(REASON) && !page.contains("Lift the recall"), "{page}");
    let lift = [("intent", "lift"), ("reason", "no")];
    assert_eq!(other.post(&path, &lift).await.status, 403);
    assert_eq!(browser.post(&path, &lift).await.status, 303);
    let page = browser.get(&path).await.words();
    assert!(page.contains("Lifted recalls") && page.contains("Recall "), "{page}");
    assert_eq!(browser.get("/w/demo/-/artifacts/sha256:12/recall").await.status, 422);
}

const IMAGE: &str = "127.0.0.1:5000/myapp/api";

/// Two projects on fakes, `myapp` with two environments and `blog` with one, each with `api`; and their administrator.
async fn projects() -> (Bench, Caller) {
    let bench = Bench::new().await;
    let (boss, _) = bench.program("demo", "boss", Role::Admin).await;
    let resources = json!([{ "name": "api", "source": { "image": IMAGE } }]);
    let environment = |name: &str| json!({ "name": name, "cluster": "local", "resources": resources });
    let project = |name: &str, environments: Value| json!({ "name": name, "repository": { "url": format!("/srv/git/{name}.git") }, "environments": environments });
    let document = json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [
            project("myapp", json!([environment("development"), environment("production"), environment("qa")])),
            project("blog", json!([environment("development")])),
        ],
    });
    bench.apply(&boss, &document).await;
    (bench, boss)
}

/// Writes what Git says of `api` in an environment, and what runs there.
async fn set(bench: &Bench, boss: &Caller, at: (&str, &str), desired: &str, live: &[&str]) -> (ProjectId, Resource) {
    let mut tx = bench.store.write().await.unwrap();
    let all = tx.projects(boss.access[0].0.id).await.unwrap();
    let project = all.into_iter().find(|p| p.project.name.as_str() == at.0).unwrap();
    let project = project.project.id;
    let environments = tx.environments(project).await.unwrap();
    let environment = environments.iter().find(|e| e.name.as_str() == at.1).unwrap();
    let resource = tx.resource_by_name(environment.id, "api").await.unwrap().unwrap();
    let image = domain::artifact::ExactImage {
        repository: IMAGE.parse().unwrap(),
        tag: None,
        digest: digest(desired).parse().unwrap(),
    };
    let now = bench.services.now();
    tx.set_desired(resource.id, Some(&image), now).await.unwrap();
    let live = Live {
        digests: live.iter().map(|letter| digest(letter).parse().unwrap()).collect(),
        health: Health::Healthy,
        at: now,
        unknown: None,
    };
    tx.set_live(resource.id, Some(&live)).await.unwrap();
    tx.commit().await.unwrap();
    (project, resource)
}

#[tokio::test]
async fn places_are_all_that_have_it_and_nobody_learns_of_hidden_ones() {
    let (bench, boss) = projects().await;
    // Two during a rollout; and what runs nowhere any more.
    set(&bench, &boss, ("myapp", "development"), "b", &["a", "b"]).await;
    set(&bench, &boss, ("myapp", "production"), "a", &[]).await;
    set(&bench, &boss, ("myapp", "qa"), "b", &["a"]).await;
    set(&bench, &boss, ("myapp", "qa"), "b", &["b"]).await;
    let (blog, _) = set(&bench, &boss, ("blog", "development"), "a", &["a"]).await;
    let bad = digest("a");
    let list = async |caller: &Caller| {
        let view = views::recall(&bench.services, caller, "demo", &bad).await.unwrap();
        let places = view.places.iter();
        let places = places.map(|p| (format!("{}/{}", p.project, p.environment), p.desired, p.live));
        (places.collect::<Vec<_>>(), view.hidden)
    };
    let place = |name: &str, desired, live| (name.to_owned(), desired, live);
    let mine = [
        place("myapp/development", false, true),
        place("myapp/production", true, false),
    ];
    let (places, hidden) = list(&boss).await;
    assert_eq!(hidden, 0);
    assert_eq!(places[0], place("blog/development", true, true));
    assert_eq!(places[1..], mine);

    let (_, id) = bench.member("dan@example.com", "demo", Role::Developer).await;
    let mut tx = bench.store.write().await.unwrap();
    tx.set_project_role(blog, id, None).await.unwrap();
    tx.commit().await.unwrap();
    let dan = access::caller_of_user(&bench.services, id).await.unwrap().unwrap();
    assert_eq!(list(&dan).await, (mine.to_vec(), 1));

    // So are the other environments to a token for one.
    let (ada, _) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let new = NewToken {
        name: "production",
        role: Role::Developer,
        expires_in_millis: None,
    };
    let text = access::create_token_for(&bench.services, &ada, "demo", &new, ("myapp", "production")).await;
    let token = access::caller_of_token(&bench.services, text.unwrap().expose_secret()).await;
    assert_eq!(list(&token.unwrap().unwrap()).await, (mine[1..].to_vec(), 2));

    // Once nothing of it runs and Git says something else, it is not listed.
    set(&bench, &boss, ("myapp", "development"), "b", &["b"]).await;
    set(&bench, &boss, ("myapp", "production"), "b", &[]).await;
    assert_eq!(list(&dan).await, (Vec::new(), 1));
}

#[tokio::test]
async fn only_what_git_says_is_moved_and_only_where_the_caller_may() {
    let (bench, boss) = projects().await;
    let bad = digest("a");
    for at in [
        ("myapp", "development"),
        ("myapp", "production"),
        ("blog", "development"),
    ] {
        let (_, resource) = set(&bench, &boss, at, "a", &["a"]).await;
        let mut tx = bench.store.write().await.unwrap();
        let good = digest("c").parse().unwrap();
        let then = bench.services.now().plus_millis(-60_000);
        tx.see_artifact(
            boss.access[0].0.id,
            &domain::artifact::ExactImage {
                repository: IMAGE.parse().unwrap(),
                tag: "three".parse().ok(),
                digest: digest("c").parse().unwrap(),
            },
            then,
        )
        .await
        .unwrap();
        tx.begin_run(resource.id, &good, then).await.unwrap();
        tx.commit().await.unwrap();
    }
    // It runs here, and Git says another image already.
    set(&bench, &boss, ("myapp", "qa"), "b", &["a"]).await;
    let (ada, id) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let (blog, _) = set(&bench, &boss, ("blog", "development"), "a", &["a"]).await;
    promotion::recall_digest(&bench.services, &ada, "demo", &bad, REASON)
        .await
        .unwrap();
    let mut tx = bench.store.write().await.unwrap();
    tx.set_project_role(blog, id, Some(Role::Viewer)).await.unwrap();
    tx.commit().await.unwrap();
    let moved = promotion::move_places_back(&bench.services, &ada, "demo", &bad, false)
        .await
        .unwrap();
    assert_eq!(
        (moved.started, moved.refused, moved.without_good),
        (2, 1, 0),
        "{moved:?}"
    );
    let mut tx = bench.store.read().await.unwrap();
    let projects = tx.projects(boss.access[0].0.id).await.unwrap();
    let mut back = Vec::new();
    for project in projects {
        for promotion in tx.newest_promotions(project.project.id).await.unwrap() {
            back.push((
                project.project.name.to_string(),
                promotion.image.short_label().to_string(),
            ));
        }
    }
    let to_three = |_| ("myapp".to_owned(), "three".to_owned());
    assert_eq!(back, [0, 1].map(to_three));
}
