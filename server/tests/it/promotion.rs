//! What becomes of promotions when people, others and Argo CD do what they do.

use crate::support::{
    Bench, digest,
    world::{Setup, World, until},
};
use argocd_standin::{Fault, RolloutOutcome};
use contract::backend::At;
use domain::{
    event::Happened,
    promotion::{Actor, Promotion, Purpose, State},
    resource::Binding,
    rights::Role,
};
use serde_json::{Value, json};
use server::service::promotion;

const PRODUCTION: usize = 2;
const PAGE: &str = "/w/demo/myapp/production/api";

/// `api` in production, pinned to the first build.
fn with_production(world: &World) -> Value {
    let mut document = world.document();
    document["projects"][0]["environments"][PRODUCTION]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": { "pin": world.first },
    }]);
    document
}

async fn world_with_production() -> World {
    let world = World::start().await;
    world.apply(&with_production(&world)).await;
    world.wait_for_live("production", "api", &world.first).await;
    world.idle().await;
    world
}

fn id_in(location: Option<&str>) -> String {
    location.unwrap().strip_prefix("/promotions/").unwrap().to_owned()
}

async fn events(world: &World, promotion: &Promotion) -> Vec<Happened> {
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_of_promotion(promotion.id).await.unwrap();
    events.into_iter().map(|event| event.happened).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_already_is_adopted_and_left_as_it_is() {
    let world = World::start().await;
    assert_eq!(world.subjects().await, ["Declare what runs where"]);
    for (environment, name) in [("development", "api"), ("development", "nightly"), ("staging", "api")] {
        assert_eq!(world.promotions(environment, name).await, [], "{environment}/{name}");
        assert!(world.resource(environment, name).await.unwrap().desired.is_some());
    }
    let again = world.apply(&world.document()).await;
    assert_eq!(again["changes"], json!([]), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_moves_the_pin() {
    let world = world_with_production().await;
    let mut browser = world.admin().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    assert!(
        world.live_images("production")[0].ends_with(&world.first),
        "a pin stays"
    );
    let before = world.everything().await;

    let page = browser.get(PAGE).await;
    assert!(
        page.status == 200 && page.words().contains("Edit pin"),
        "{}",
        page.words()
    );
    let refused = browser.post(PAGE, &[("intent", "pin"), ("digest", "sha256:12")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.field_error("digest").unwrap().contains("64 hex characters"));
    assert_eq!(refused.value("digest").as_deref(), Some("sha256:12"));
    let absent = digest("e");
    let refused = browser.post(PAGE, &[("intent", "pin"), ("digest", &absent)]).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .field_error("digest")
            .unwrap()
            .contains("holds no image with this digest")
    );
    assert_eq!(world.everything().await, before);

    let answer = browser.post(PAGE, &[("intent", "pin"), ("digest", &second)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let ended = world.ends(&id_in(answer.location()), State::Succeeded).await;
    assert_eq!(ended.purpose, Purpose::Pin);
    assert_eq!(world.subjects().await[0], "pin(production): api 1.1.0 from staging");
    assert!(world.live_images("production")[0].ends_with(&second));
    let resource = world.resource("production", "api").await.unwrap();
    assert_eq!(resource.binding, Binding::Pin(second.parse().unwrap()));
    let history = browser.get(PAGE).await.words();
    assert!(history.contains("1.0.0") && history.contains("1.1.0"), "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_promotes_and_moves_the_pin() {
    let world = world_with_production().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let asked = world
        .promote(&world.token, "api", "staging", "production")
        .await
        .unwrap();
    assert_eq!(
        (&asked["name"], &asked["environment"]),
        (&json!("api"), &json!("production"))
    );
    assert_eq!(
        (&asked["imageTag"], &asked["digest"]),
        (&json!("1.1.0"), &json!(second))
    );
    let ended = world.ends(asked["id"].as_str().unwrap(), State::Succeeded).await;
    assert_eq!(ended.requested_by, Actor::Token { name: "ci".into() });
    let resource = world.resource("production", "api").await.unwrap();
    assert_eq!(resource.binding, Binding::Pin(second.parse().unwrap()));
    let again = world
        .promote(&world.token, "api", "staging", "production")
        .await
        .unwrap_err();
    assert_eq!(again["extensions"]["code"], "conflict", "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_says_why_and_is_tried_again() {
    let world = world_with_production().await;
    let mut browser = world.admin().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let why = "admission webhook denied the request";
    let fault = Fault::FailApply {
        message: why.into(),
        times: None,
        retries: None,
    };
    world.standin.inject(Some("myapp-production"), fault).unwrap();
    let asked = world
        .promote(&world.token, "api", "staging", "production")
        .await
        .unwrap();
    let id = asked["id"].as_str().unwrap();
    let failed = world.ends(id, State::Failed).await;
    assert!(
        failed.failure.as_ref().unwrap().reason.contains(why),
        "{:?}",
        failed.failure
    );
    let path = format!("/promotions/{id}");
    let page = browser.get(&path).await.words();
    assert!(page.contains(why) && page.contains("Retry"), "{page}");

    world.standin.inject(Some("myapp-production"), Fault::Clear).unwrap();
    let answer = browser.post(&path, &[("intent", "retry")]).await;
    assert_eq!(
        (answer.status, answer.location()),
        (303, Some(&*path)),
        "{}",
        answer.words()
    );
    let ended = world.ends(id, State::Succeeded).await;
    assert_eq!((ended.tries, &ended.commit), (2, &failed.commit));
    let subjects = world.subjects().await;
    let commits = subjects
        .iter()
        .filter(|s| s.starts_with("promote(production): api 1.1.0"));
    assert_eq!(commits.count(), 1, "{subjects:?}");
    let answer = browser.post(&path, &[("intent", "retry")]).await;
    assert_eq!(answer.status, 409, "what succeeded isn't tried again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_comes_up_is_superseded_by_the_next() {
    let world = World::start().await;
    let rollout = |outcome| Fault::Rollout { outcome };
    world
        .standin
        .inject(Some("myapp-development"), rollout(RolloutOutcome::Never))
        .unwrap();
    let second = world.push("1.1.0").await;
    let older = until("the first promotion", async || {
        world.promotions("development", "api").await.pop()
    })
    .await;
    let older = older.id.to_string();
    world.reaches(&older, State::Verifying).await;
    let third = world.push("1.2.0").await;
    let older = world.ends(&older, State::Superseded).await;
    assert_eq!(older.image.digest.as_str(), second);
    world
        .standin
        .inject(Some("myapp-development"), rollout(RolloutOutcome::Healthy))
        .unwrap();
    world.wait_for_live("staging", "api", &third).await;
    world.idle().await;
    let newest = world.promotions("development", "api").await.remove(0);
    assert_eq!(
        (newest.image.digest.as_str(), newest.state),
        (&*third, State::Succeeded)
    );
    let why = older.waits_for.unwrap();
    assert!(
        why.starts_with("Overtaken: its commit ") && why.contains("1.2.0"),
        "{why}"
    );
}

#[tokio::test]
async fn one_that_waits_is_superseded_at_once() {
    const IMAGE: &str = "127.0.0.1:5000/myapp/api";
    let bench = Bench::new().await;
    let (caller, _) = bench.program("demo", "ci", Role::Admin).await;
    for letter in ["a", "b", "c"] {
        bench.registry.push(IMAGE, letter, &digest(letter));
    }
    bench
        .git
        .declare("environments/development/values.yaml", "api", IMAGE, "a", &digest("a"));
    let document = json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "/srv/git/gitops.git" },
            "environments": [{ "name": "development", "cluster": "local", "resources": [
                { "name": "api", "source": { "image": IMAGE }, "binding": { "pin": digest("a") } },
            ] }],
        }],
    });
    bench.apply(&caller, &document).await;
    let at = At {
        workspace: "demo".into(),
        project: "myapp".into(),
        environment: "development".into(),
    };
    let pin = async |letter: &str| {
        promotion::edit_pin(&bench.services, &caller, &at, "api", &digest(letter), false)
            .await
            .unwrap()
    };
    let older = pin("b").await;
    let newer = pin("c").await;
    assert_eq!(pin("c").await, newer, "the same again is the same promotion");
    let mut tx = bench.store.read().await.unwrap();
    assert_eq!(tx.promotion(older).await.unwrap().unwrap().state, State::Superseded);
    assert_eq!(tx.promotion(newer).await.unwrap().unwrap().state, State::Queued);
    let told = tx.events_of_promotion(older).await.unwrap();
    assert!(matches!(
        told.last().unwrap().happened,
        Happened::PromotionMoved {
            to: State::Superseded,
            ..
        }
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_argo_cd_a_promotion_ends_at_the_push() {
    let world = World::with(Setup {
        argocd: false,
        ..Setup::default()
    })
    .await;
    let second = world.push("1.1.0").await;
    world.wait_for_desired("staging", "api", &second).await;
    world.idle().await;
    for environment in ["development", "staging"] {
        let promotion = world.promotions(environment, "api").await.remove(0);
        assert_eq!(promotion.state, State::Succeeded);
        let events = events(&world, &promotion).await;
        let moves = events.iter().filter_map(|h| match h {
            Happened::PromotionMoved { to, .. } => Some(*to),
            _ => None,
        });
        assert_eq!(moves.collect::<Vec<_>>(), [State::Committing, State::Succeeded]);
    }
    let mut browser = world.admin().await;
    let board = browser.get("/w/demo/myapp").await.words();
    assert!(board.contains("Git only"), "{board}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_push_is_built_upon() {
    let world = World::start().await;
    let repository = world.repository.clone();
    world.git.as_ref().unwrap().before_push(move || async move {
        let writer = repository.outsider("main").await.unwrap();
        writer.commit(&[("README.md", "# deploy\n")], "Explain").await.unwrap();
    });
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    assert_eq!(
        world.subjects().await,
        [
            "promote(staging): api 1.1.0 from development",
            "deploy(development): api 1.1.0",
            "Explain",
            "Declare what runs where",
        ]
    );
    let commits = world.repository.commits("main").await.unwrap();
    assert!(commits.iter().all(|commit| commit.parents.len() < 2), "no merges");
    let promotion = world.promotions("development", "api").await.remove(0);
    assert_eq!(promotion.state, State::Succeeded);
    let pushes = events(&world, &promotion)
        .await
        .into_iter()
        .find_map(|happened| match happened {
            Happened::Committed { pushes, .. } => Some(pushes),
            _ => None,
        });
    assert_eq!(pushes, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_commits_becomes_desired_and_is_followed() {
    // Nobody tells of the push, so only Git can.
    let world = World::with(Setup {
        notifies: false,
        variables: vec![("REGISTRY_POLL_INTERVAL", "1h".into())],
        ..Setup::default()
    })
    .await;
    let second = world.push("1.1.0").await;
    let values = world.values("development").await;
    let values = values
        .replacen("tag: 1.0.0", "tag: 1.1.0", 1)
        .replacen(&world.first, &second, 1);
    world.outsider_writes("development", &values).await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    assert_eq!(
        world.subjects().await,
        [
            "promote(staging): api 1.1.0 from development",
            "By hand",
            "Declare what runs where"
        ]
    );
    assert_eq!(world.promotions("development", "api").await, []);
    let followed = world.promotions("staging", "api").await;
    assert_eq!((followed.len(), followed[0].state), (1, State::Succeeded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn circles_are_refused_by_name() {
    let world = World::start().await;
    let before = world.everything().await;
    let mut document = world.document();
    document["projects"][0]["environments"][0]["resources"][0]["source"] =
        json!({ "promote": { "environment": "staging", "resource": "api" } });
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!((status, &answer["code"]), (422, &json!("invalid")), "{answer}");
    let circle = "development/api → staging/api → development/api";
    assert!(answer["fields"].to_string().contains(circle), "{answer}");
    assert_eq!(world.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_environment_needs_an_approver() {
    let world = World::start().await;
    let mut document = with_production(&world);
    document["projects"][0]["environments"][PRODUCTION]["protected"] = json!(true);
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    world.person("dev@example.com", "demo", Role::Developer).await;
    world.person("carol@example.com", "demo", Role::Approver).await;
    let before = world.everything().await;

    let mut developer = world.signed_in("dev@example.com").await;
    let page = developer.get(PAGE).await;
    assert_eq!(page.status, 200, "looking is allowed");
    assert!(!page.words().contains("Edit pin"), "{}", page.words());
    let new = "/w/demo/myapp/production/-/new";
    assert_eq!(developer.get(new).await.status, 403);
    let create = [
        ("source", "promote"),
        ("source_environment", "staging"),
        ("source_resource", "api"),
        ("binding", "track"),
        ("name", "api2"),
    ];
    for (path, fields) in [
        (new, &create[..]),
        (PAGE, &[("intent", "pin"), ("digest", &second)]),
        (PAGE, &[("intent", "promote")]),
    ] {
        let answer = developer.post(path, fields).await;
        assert_eq!(answer.status, 403, "{path} {fields:?}");
        assert!(answer.words().contains("Ask an administrator"), "{}", answer.words());
    }
    let token = world.token("demo", "dev", Role::Developer).await;
    let refused = world.promote(&token, "api", "staging", "production").await.unwrap_err();
    assert_eq!(refused["extensions"]["code"], "forbidden", "{refused}");
    assert_eq!(world.everything().await, before);

    let mut approver = world.signed_in("carol@example.com").await;
    let answer = approver.post(PAGE, &[("intent", "promote")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.ends(&id_in(answer.location()), State::Succeeded).await;
}
