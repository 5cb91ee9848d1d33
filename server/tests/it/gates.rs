//! A promotion waits for people and evidence, says for what, and goes on by itself when all of it is there.

mod at_once;
mod by_itself;
mod succession;
mod through_token;

use crate::support::{
    browser::{Browser, Page},
    world::{Setup, World, until},
};
use argocd_standin::Fault;
use domain::{
    gate::GateState,
    promotion::{Promotion, State},
    rights::Role,
};
use serde_json::{Value, json};

const PRODUCTION: usize = 2;
pub(crate) const API: &str = "/w/demo/myapp/production/api";
const PLACE: &str = "/w/demo/myapp/production";

/// A world in which `api` in production is pinned to the first build, staging runs the second, and production has a policy.
pub(crate) async fn world(policy: Value) -> (World, String) {
    world_with(Setup::default(), policy).await
}

async fn world_with(setup: Setup, policy: Value) -> (World, String) {
    let world = World::with(setup).await;
    let mut document = world.document();
    document["projects"][0]["environments"][PRODUCTION]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": { "pin": world.first },
    }]);
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    set_policy(&world, policy).await;
    (world, second)
}

pub(crate) async fn set_policy(world: &World, policy: Value) {
    let mut document = world.document();
    document["projects"][0]["environments"][PRODUCTION]["policy"] = policy;
    world.apply(&document).await;
}

async fn person(world: &World, name: &str, role: Role) -> Browser {
    let email = format!("{name}@example.com");
    world.person(&email, "demo", role).await;
    world.signed_in(&email).await
}

pub(crate) fn started(answer: &Page) -> String {
    assert_eq!(answer.status, 303, "{}", answer.words());
    answer
        .location()
        .unwrap()
        .strip_prefix("/promotions/")
        .unwrap()
        .to_owned()
}

pub(crate) async fn promote(by: &mut Browser) -> String {
    started(&by.post(API, &[("intent", "promote")]).await)
}

async fn say(by: &mut Browser, promotion: &str, intent: &str, comment: &str) -> Page {
    let fields = [("intent", intent), ("id", promotion), ("comment", comment)];
    by.post(&format!("/promotions/{promotion}"), &fields).await
}

/// Waits until a promotion says that it waits for this.
pub(crate) async fn waits_for(world: &World, id: &str, what: &str) -> Promotion {
    until(&format!("the promotion to wait for {what:?}"), async || {
        let promotion = world.promotion(id).await;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        Some(promotion).filter(|p| p.state == State::Waiting && p.waits_for.as_deref() == Some(what))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_approve_and_it_is_deployed_with_their_names() {
    let (world, second) = world(json!({ "approvals": { "count": 2 } })).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let mut bob = person(&world, "bob", Role::Approver).await;
    let before = world.subjects().await.len();
    let id = promote(&mut dev).await;
    waits_for(&world, &id, "0 of 2 approvals").await;

    // Each of those who may decide has it in the inbox; who asked, and who only looks, has not.
    for browser in [&mut carol, &mut bob] {
        let inbox = browser.get("/inbox").await;
        assert!(inbox.words().contains("1 promotion waits for you"), "{}", inbox.words());
        assert!(inbox.text.contains(&format!("/promotions/{id}")));
    }
    let words = dev.get("/inbox").await.words();
    assert!(words.contains("Nothing waits for you"), "{words}");
    let refused = say(&mut dev, &id, "approve", "").await;
    assert_eq!(refused.status, 403, "{}", refused.words());

    assert_eq!(say(&mut carol, &id, "approve", "Looks right").await.status, 303);
    waits_for(&world, &id, "1 of 2 approvals").await;
    assert_eq!(
        say(&mut carol, &id, "approve", "").await.status,
        303,
        "twice is harmless"
    );
    waits_for(&world, &id, "1 of 2 approvals").await;
    assert!(carol.get("/inbox").await.words().contains("Nothing waits for you"));
    assert_eq!(world.subjects().await.len(), before, "nothing is committed meanwhile");

    let page = bob.get(&format!("/promotions/{id}")).await;
    assert!(page.words().contains("Approved by carol"), "{}", page.words());
    assert_eq!(say(&mut bob, &id, "approve", "").await.status, 303);
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
    let page = bob.get(&format!("/promotions/{id}")).await;
    for words in ["Approved by carol and bob.", "Approved: Looks right", "Ended"] {
        assert!(page.words().contains(words), "{words}: {}", page.words());
    }
    let message = world.newest_message().await;
    for trailer in [
        "Approved-by: carol <carol@example.com>",
        "Approved-by: bob <bob@example.com>",
    ] {
        assert!(message.contains(trailer), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_cannot_approve_and_programs_never_do() {
    let (world, _) = world(json!({ "approvals": { "count": 1 } })).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "0 of 1 approval").await;
    let refused = say(&mut admin, &id, "approve", "").await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.words().contains("somebody else must decide"),
        "{}",
        refused.words()
    );
    // Through another door, too.
    let token = world.token("demo", "robot", Role::Admin).await;
    let query = json!({ "query": format!("mutation {{ approve(id: \"{id}\") {{ id }} }}") });
    let (_, answer) = world.post_json("/api/graphql", Some(&token), &query).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "forbidden", "{answer}");
    assert_eq!(world.promotion(&id).await.state, State::Waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_needs_a_reason_and_ends_it() {
    let (world, _) = world(json!({ "approvals": { "count": 2 } })).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let (mut carol, mut bob) = (
        person(&world, "carol", Role::Approver).await,
        person(&world, "bob", Role::Approver).await,
    );
    let id = promote(&mut dev).await;
    waits_for(&world, &id, "0 of 2 approvals").await;
    let refused = say(&mut carol, &id, "reject", "  ").await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(refused.summary().contains("Say why"), "{}", refused.summary());
    // Who approved may think again.
    assert_eq!(say(&mut carol, &id, "approve", "").await.status, 303);
    waits_for(&world, &id, "1 of 2 approvals").await;
    assert_eq!(say(&mut carol, &id, "reject", "Wrong build").await.status, 303);
    let ended = world.ends(&id, State::Rejected).await;
    assert_eq!(ended.waits_for.as_deref(), Some("Rejected by carol: Wrong build"));
    let late = say(&mut bob, &id, "approve", "").await;
    assert_eq!(late.status, 409, "{}", late.words());
    assert!(bob.get("/inbox").await.words().contains("Nothing waits for you"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_was_refused_or_withdrawn_is_one_to_what_runs() {
    let (world, second) = world(json!({})).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
    set_policy(&world, json!({ "approvals": { "count": 1 } })).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    for (intent, state) in [("reject", State::Rejected), ("cancel", State::Cancelled)] {
        let pin = admin.post(API, &[("intent", "pin"), ("digest", &world.first)]).await;
        let id = started(&pin);
        waits_for(&world, &id, "0 of 1 approval").await;
        let pinned = world.resource("production", "api").await.unwrap();
        assert_eq!(pinned.pin().unwrap().as_str(), world.first);
        assert_eq!(say(&mut carol, &id, intent, "Not today").await.status, 303);
        world.ends(&id, state).await;
        let pinned = world.resource("production", "api").await.unwrap();
        assert_eq!(pinned.pin().unwrap().as_str(), second, "{intent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_approves_with_other_rights_counts_with_those() {
    let (world, _) = world(json!({ "approvals": { "count": 2, "requiredGroup": "release" } })).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let id = promote(&mut dev).await;
    assert_eq!(say(&mut carol, &id, "approve", "").await.status, 303);
    waits_for(&world, &id, "1 of 2 approvals").await;
    let mut document = world.document();
    document["groups"] = json!([{ "name": "release", "members": ["carol@example.com"] }]);
    document["projects"][0]["environments"][PRODUCTION]["policy"] =
        json!({ "approvals": { "count": 1, "requiredGroup": "release" } });
    world.apply(&document).await;
    waits_for(&world, &id, "approval of group release").await;
    assert_eq!(say(&mut carol, &id, "approve", "").await.status, 303);
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_digest_makes_approvals_void() {
    let (world, second) = world(json!({ "approvals": { "count": 2 } })).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let id = promote(&mut dev).await;
    say(&mut carol, &id, "approve", "").await;
    waits_for(&world, &id, "1 of 2 approvals").await;
    let third = world.push("1.2.0").await;
    world.wait_for_live("staging", "api", &third).await;
    let newer = promote(&mut dev).await;
    assert_ne!(newer, id);
    world.ends(&id, State::Superseded).await;
    waits_for(&world, &newer, "0 of 2 approvals").await;
    assert_ne!(second, third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_arrives_and_the_gate_opens_by_itself() {
    let (world, second) = world(json!({ "checks": [{ "name": "integration" }] })).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "check integration").await;
    let token = world.token("demo", "reporter", Role::Developer).await;
    let report = |status: &str| {
        json!({ "digest": second, "name": "integration", "status": status, "url": "https://ci.example.com/7",
            "summary": "412 tests" })
    };
    let (status, _) = world.post_json("/api/v1/checks", None, &report("passed")).await;
    assert_eq!(status, 401);
    let viewer = world.token("demo", "looks", Role::Viewer).await;
    let (status, _) = world
        .post_json("/api/v1/checks", Some(&viewer), &report("passed"))
        .await;
    assert_eq!(status, 403);
    let (status, answer) = world.post_json("/api/v1/checks", Some(&token), &report("maybe")).await;
    assert_eq!(
        (status, answer["fields"][0]["field"].as_str()),
        (422, Some("status")),
        "{answer}"
    );
    let (status, _) = world.post_json("/api/v1/checks", Some(&token), &report("failed")).await;
    assert_eq!(status, 200);
    waits_for(&world, &id, "check integration failed").await;
    for _ in 0..2 {
        // Again is harmless.
        let (status, answer) = world.post_json("/api/v1/checks", Some(&token), &report("passed")).await;
        assert_eq!(status, 200, "{answer}");
    }
    world.ends(&id, State::Succeeded).await;
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let kept = tx.checks(workspace.id, &second.parse().unwrap()).await.unwrap();
    assert_eq!(kept.len(), 2, "the history is kept, the same is written once");
    let gates = tx.gates(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(
        gates.gates[0].url.as_deref(),
        Some("https://ci.example.com/7"),
        "the evidence is kept with it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_reported_through_graphql_too() {
    let (world, second) = world(json!({ "checks": [{ "name": "scan" }] })).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "check scan").await;
    let token = world.token("demo", "reporter", Role::Developer).await;
    let query = json!({
        "query": "mutation($input: ReportCheckInput!) { reportCheck(input: $input) { name status digest } }",
        "variables": { "input": { "digest": second, "name": "scan", "status": "passed" } },
    });
    let (_, answer) = world.post_json("/api/graphql", Some(&token), &query).await;
    assert_eq!(
        answer["data"]["reportCheck"],
        json!({ "name": "scan", "status": "passed", "digest": second }),
        "{answer}"
    );
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_overridden_with_a_reason_or_lifted() {
    let (world, _) =
        world(json!({ "overrides": [{ "gates": ["stop"], "by": [{ "user": "carol@example.com" }] }] })).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let refused = dev
        .post(PLACE, &[("intent", "pause-environment"), ("reason", "no")])
        .await;
    assert_eq!(refused.status, 403, "{}", refused.words());
    let refused = carol
        .post(PLACE, &[("intent", "pause-environment"), ("reason", " ")])
        .await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    let stop = [("intent", "pause-project"), ("reason", "The database is being moved")];
    let answer = carol.post(PLACE, &stop).await;
    assert_eq!(
        (answer.status, answer.location()),
        (303, Some(PLACE)),
        "{}",
        answer.words()
    );
    assert!(dev.get(PLACE).await.words().contains("The database is being moved"));

    let id = promote(&mut dev).await;
    waits_for(&world, &id, "project paused").await;
    let page = format!("/promotions/{id}");
    let fields = |reason: &'static str| [("intent", "override"), ("gate", "stop:project"), ("reason", reason)];
    let refused = dev.post(&page, &fields("I want to")).await;
    assert_eq!(refused.status, 403, "{}", refused.words());
    let refused = carol.post(&page, &fields("")).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert_eq!(carol.post(&page, &fields("Security fix")).await.status, 303);
    world.ends(&id, State::Succeeded).await;
    let words = dev.get(&page).await.words();
    assert!(words.contains("Overridden by carol: Security fix."), "{words}");

    // The way back is open while promotions are paused.
    let back = dev.post(API, &[("intent", &format!("rollback-{}", world.first))]).await;
    world.ends(&started(&back), State::Succeeded).await;
    // And what is asked for meanwhile goes on when it is lifted.
    let again = promote(&mut dev).await;
    waits_for(&world, &again, "project paused").await;
    assert_eq!(carol.post(PLACE, &[("intent", "resume-project")]).await.status, 303);
    world.ends(&again, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_shuts_while_a_commit_is_tried_again_holds_it() {
    let (mut world, second) = world(json!({ "approvals": { "count": 1 } })).await;
    let mut dev = person(&world, "dana", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let id = promote(&mut dev).await;
    waits_for(&world, &id, "0 of 1 approval").await;
    let before = world.subjects().await.len();
    let port = world.git.take().map(|git| git.address().port()).unwrap();
    assert_eq!(say(&mut carol, &id, "approve", "").await.status, 303);
    until("a commit to have been tried", async || {
        let promotion = world.promotion(&id).await;
        (promotion.state == State::Committing && promotion.attempts > 0).then_some(())
    })
    .await;
    let stop = [("intent", "pause-project"), ("reason", "Git is down")];
    assert_eq!(carol.post(PLACE, &stop).await.status, 303);
    world.git_again(port).await;
    waits_for(&world, &id, "project paused").await;
    assert_eq!(world.subjects().await.len(), before, "nothing was committed");
    assert_eq!(carol.post(PLACE, &[("intent", "resume-project")]).await.status, 303);
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
}

/// The policy is changed while the promotion is at its commit: what it requires comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_required_meanwhile_holds_the_commit() {
    let (mut world, _) = world(json!({ "approvals": { "count": 1 }, "attestation": "off" })).await;
    let mut dev = person(&world, "dana", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let id = promote(&mut dev).await;
    waits_for(&world, &id, "0 of 1 approval").await;
    let before = world.subjects().await.len();
    let port = world.git.take().map(|git| git.address().port()).unwrap();
    assert_eq!(say(&mut carol, &id, "approve", "").await.status, 303);
    until("a commit to have been tried", async || {
        let promotion = world.promotion(&id).await;
        (promotion.state == State::Committing && promotion.attempts > 0).then_some(())
    })
    .await;
    let policy = [("policy", "{ approvals: { count: 1 }, attestation: required }")];
    let saved = world
        .admin()
        .await
        .post("/w/demo/myapp/production/-/policy", &policy)
        .await;
    assert_eq!(saved.status, 200, "{}", saved.words());
    world.git_again(port).await;
    until("it to wait for a key to sign with", async || {
        let promotion = world.promotion(&id).await;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        let why = promotion.waits_for.unwrap_or_default();
        (promotion.state == State::Mirroring && why.contains("waybill keys generate")).then_some(())
    })
    .await;
    assert_eq!(world.subjects().await.len(), before, "nothing was committed");
}

/// Backdates what is known of the second build in staging: healthy for two hours, and followed last so many minutes ago.
async fn was_followed(world: &mut World, digest: &str, minutes: i64) {
    world.stop().await;
    let staging = world.resource("staging", "api").await.unwrap();
    let mut tx = world.store.write().await.unwrap();
    let now = staging.live.as_ref().unwrap().at;
    let ago = |minutes: i64| now.plus_millis(-minutes * 60_000);
    tx.begin_run(staging.id, &digest.parse().unwrap(), ago(120))
        .await
        .unwrap();
    let workspace = tx.workspaces().await.unwrap().remove(0);
    for record in tx.clusters(workspace.id).await.unwrap() {
        tx.set_seen(record.cluster.id, ago(minutes)).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_looked_at_is_not_soaked() {
    let policy = json!({ "ranIn": [{ "environment": "staging", "soakMinutes": 60 }] });
    let setup = Setup {
        process: true,
        ..Setup::default()
    };
    let (mut world, second) = world_with(setup, policy).await;
    // Healthy for two hours, it seems; but for the last ninety minutes Waybill was down: it saw thirty.
    was_followed(&mut world, &second, 90).await;
    world.wait_for_live("staging", "api", &second).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "soak in staging").await;
    // Had it looked for longer, that would do.
    was_followed(&mut world, &second, 30).await;
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_must_have_been_healthy_elsewhere() {
    let (world, second) = world(json!({ "ranIn": [{ "environment": "staging" }] })).await;
    let mut admin = world.admin().await;
    // Staging runs the second: it passes at once, with the evidence.
    let id = promote(&mut admin).await;
    world.ends(&id, State::Succeeded).await;
    let mut tx = world.store.read().await.unwrap();
    let gates = tx.gates(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(gates.gates[0].state, GateState::Met);
    drop(tx);
    world.wait_for_live("production", "api", &second).await;
    // With a long soak a new build waits, and says until when.
    set_policy(
        &world,
        json!({ "ranIn": [{ "environment": "staging", "soakMinutes": 600 }] }),
    )
    .await;
    let third = world.push("1.2.0").await;
    world.wait_for_live("staging", "api", &third).await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "soak in staging").await;
    // While the rollout ends, Argo CD may say once more that it is progressing: the soak begins anew then.
    until("the page to say when it opens", async || {
        let words = admin.get(&format!("/promotions/{id}")).await.words();
        words.contains("Opens automatically at").then_some(())
    })
    .await;
    // The policy changes, and it is looked at again.
    set_policy(&world, json!({})).await;
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_that_is_on_holds_it_and_a_wrong_policy_is_refused() {
    let on = json!({ "name": "always", "timeZone": "Europe/Berlin",
        "when": { "dates": { "from": "2020-01-01 00:00", "to": "2999-01-01 00:00" } } });
    let (world, _) = world(json!({ "freezes": [on] })).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "freeze always").await;
    let mut document = world.document();
    document["projects"][0]["environments"][PRODUCTION]["policy"] = json!({
        "freezes": [{ "name": "x", "timeZone": "Mars/Olympus",
            "when": { "weekly": { "from": "friday 17:00", "to": "monday 09:00" } } }],
        "ranIn": [{ "environment": "ghost" }],
    });
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    for field in ["policy.freezes[0].timeZone", "policy.ranIn[0].environment"] {
        assert!(answer["fields"].to_string().contains(field), "{field}: {answer}");
    }
    assert_eq!(world.promotion(&id).await.state, State::Waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_neither_see_nor_decide() {
    let (world, _) = world(json!({ "approvals": { "count": 1 } })).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let id = promote(&mut dev).await;
    waits_for(&world, &id, "0 of 1 approval").await;
    world.token("acme", "boss", Role::Admin).await;
    world.person("eve@example.com", "acme", Role::Admin).await;
    let mut eve = world.signed_in("eve@example.com").await;
    for intent in ["approve", "reject", "override", "cancel"] {
        assert_eq!(say(&mut eve, &id, intent, "x").await.status, 404, "{intent}");
    }
    assert!(eve.get("/inbox").await.words().contains("Nothing waits for you"));
    assert_eq!(world.promotion(&id).await.state, State::Waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_does_not_wait_where_another_waits_and_a_retry_passes_the_gates() {
    let (world, second) = world(json!({})).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
    set_policy(&world, json!({ "checks": [{ "name": "never" }] })).await;
    let pin = admin.post(API, &[("intent", "pin"), ("digest", &world.first)]).await;
    let pinned = started(&pin);
    waits_for(&world, &pinned, "check never").await;
    let back = admin
        .post(API, &[("intent", &format!("rollback-{}", world.first))])
        .await;
    let back = started(&back);
    assert_ne!(back, pinned);
    world.ends(&pinned, State::Cancelled).await;
    world.ends(&back, State::Succeeded).await;
    world.wait_for_live("production", "api", &world.first).await;

    // What failed is tried again under the gates as they are then.
    set_policy(&world, json!({})).await;
    let fault = Fault::FailApply {
        message: "admission webhook denied the request".into(),
        times: None,
        retries: None,
    };
    world.standin.inject(Some("myapp-production"), fault).unwrap();
    let id = promote(&mut admin).await;
    world.ends(&id, State::Failed).await;
    set_policy(&world, json!({ "checks": [{ "name": "never" }] })).await;
    let again = admin.post(&format!("/promotions/{id}"), &[("intent", "retry")]).await;
    assert_eq!(again.status, 303, "{}", again.words());
    waits_for(&world, &id, "check never").await;
    // What it passes at once is written down, too.
    let mut tx = world.store.read().await.unwrap();
    let gates = tx.gates(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(gates.gates[0].id.to_string(), "check:never");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_what_waits_by_itself_cannot_approve_it() {
    let (world, _) = world(json!({ "approvals": { "count": 1 } })).await;
    // Production follows staging by itself from now on.
    let mut document = world.document();
    document["projects"][0]["environments"][PRODUCTION]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": "latest",
    }]);
    world.apply(&document).await;
    let third = world.push("1.2.0").await;
    world.wait_for_live("staging", "api", &third).await;
    let waits = until("production to wait for the third", async || {
        let promotions = world.promotions("production", "api").await;
        let found = promotions.into_iter().find(|p| p.state == State::Waiting);
        found.filter(|p| p.image.digest.to_string() == third)
    })
    .await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let own = promote(&mut carol).await;
    assert_ne!(own, waits.id.to_string(), "it is hers now");
    assert_eq!(say(&mut carol, &own, "approve", "").await.status, 403);
    assert_eq!(world.promotion(&own).await.state, State::Waiting);
}
