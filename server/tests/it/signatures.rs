//! A promotion waits for a signature with the keys of its policy, and goes on by itself when somebody signs.

use crate::{
    gates::{API, promote, set_policy, started, waits_for, world},
    support::{
        Bench, digest,
        signer::{Signer, attest, sign, sign_as_bundle, signed_by},
        world::until,
    },
};
use domain::{
    environment::Workspace,
    gate::{Found, GateState},
    id::WorkspaceId,
    policy::Policy,
    promotion::State,
    time::Timestamp,
};
use serde_json::json;
use server::{adapters::system::System, ports::clock::Ids as _, service::gates, store::Asked};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_until_somebody_signs_and_goes_on_by_itself() {
    let release = Signer::new();
    let (world, second) = world(signed_by(&[("release", &release)])).await;
    let mut admin = world.admin().await;
    let before = world.subjects().await.len();
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "signature release").await;
    let page = format!("/promotions/{id}");
    until("the page to say that there is none", async || {
        let words = admin.get(&page).await.words();
        let says = words.contains("held no signature of it at")
            && words.contains("Opens once this digest is signed by release.");
        says.then_some(())
    })
    .await;
    assert_eq!(world.subjects().await.len(), before, "nothing is committed meanwhile");

    // Another image's signature, copied to this one's place, is none of it.
    sign(&world, &world.first, &[&release]).await;
    let registry = world.registry.as_ref().unwrap();
    let tag = |digest: &str| format!("{}.sig", digest.replace(':', "-"));
    registry
        .retag("myapp/api", &tag(&world.first), &tag(&second))
        .await
        .unwrap();
    waits_for(&world, &id, "not signed by release").await;

    let signed = Instant::now();
    sign(&world, &second, &[&release]).await;
    world.ends(&id, State::Succeeded).await;
    assert!(signed.elapsed() < Duration::from_secs(20), "the registry told of it");
    let mut tx = world.store.read().await.unwrap();
    let gates = tx.gates(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(gates.gates[0].state, GateState::Met);
    assert!(gates.gates[0].why.contains("held a valid signature at"), "{gates:?}");
    drop(tx);
    // Proven once is proven for good, wherever the same key is asked for, and also without the registry.
    registry.delete("myapp/api", &tag(&second)).await.unwrap();
    world.wait_for_live("production", "api", &second).await;
    set_policy(&world, json!({})).await;
    let back = admin
        .post(API, &[("intent", &format!("rollback-{}", world.first))])
        .await;
    world.ends(&started(&back), State::Succeeded).await;
    set_policy(&world, signed_by(&[("another-name", &release)])).await;
    let again = promote(&mut admin).await;
    world.ends(&again, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_keeps_it_shut_and_says_so() {
    let (release, security, other) = (Signer::new(), Signer::new(), Signer::new());
    let mut both = signed_by(&[("release", &release), ("security", &security)]);
    both["overrides"] = json!([{ "gates": ["signature"], "by": [{ "role": "admin" }] }]);
    let (world, second) = world(both).await;
    sign(&world, &second, &[&other]).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "not signed by release, not signed by security").await;
    let page = format!("/promotions/{id}");
    let words = admin.get(&page).await.words();
    let says = "There is a signature, but not with this key: 1 other signature.";
    assert!(words.contains(says), "{words}");
    // In the newer form, beside what others signed in the older one.
    sign_as_bundle(&world, &second, &release).await;
    waits_for(&world, &id, "not signed by security").await;
    let fields = [
        ("intent", "override"),
        ("gate", "signature:security"),
        ("reason", "Security fix"),
    ];
    assert_eq!(admin.post(&page, &fields).await.status, 303);
    world.ends(&id, State::Succeeded).await;
    let words = admin.get(&page).await.words();
    assert!(words.contains("Overridden by ada: Security fix."), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_must_come_from_the_build_that_the_policy_names() {
    let (ci, builder, from) = (
        Signer::new(),
        "https://ci.example.com/build",
        "https://git.example.com/acme/api",
    );
    let policy = json!({ "provenance": [{ "name": "ci", "key": ci.key, "builder": builder, "repository": from }] });
    let (world, second) = world(policy).await;
    // The image is signed with the key: that says nothing of where it comes from.
    sign(&world, &second, &[&ci]).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "provenance ci").await;
    attest(&world, &second, &ci, "https://laptop.example.com", from).await;
    waits_for(&world, &id, "not built by ci").await;
    let words = admin.get(&format!("/promotions/{id}")).await.words();
    let says = "It says that https://laptop.example.com built it from https://git.example.com/acme/api.";
    assert!(words.contains(says), "{words}");
    let tagged = format!("git+{from}.git@refs/tags/v1");
    attest(&world, &second, &ci, &format!("{builder}@v3"), &tagged).await;
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_keeps_it_shut_and_says_so() {
    let release = Signer::new();
    let (mut world, second) = world(signed_by(&[("release", &release)])).await;
    sign(&world, &second, &[&Signer::new()]).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "not signed by release").await;
    let port = world.registry.take().map(|registry| registry.port()).unwrap();
    waits_for(&world, &id, "signature release unknown").await;
    let words = admin.get(&format!("/promotions/{id}")).await.words();
    assert!(
        words.contains("It can't be said whether there is a signature: The registry"),
        "{words}"
    );
    assert!(words.contains("could not be reached"), "{words}");
    world.registry_again(port).await;
    sign(&world, &second, &[&release]).await;
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_waits_for_the_signature_unless_the_policy_lets_it_pass() {
    let release = Signer::new();
    let (world, second) = world(json!({})).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
    let mut policy = signed_by(&[("release", &release)]);
    policy["approvals"] = json!({ "count": 1 });
    set_policy(&world, policy.clone()).await;
    let rollback = format!("rollback-{}", world.first);
    let back = started(&admin.post(API, &[("intent", &rollback)]).await);
    // Approvals it needs none.
    waits_for(&world, &back, "signature release").await;
    policy["onRollback"] = json!([]);
    set_policy(&world, policy.clone()).await;
    world.ends(&back, State::Succeeded).await;
    world.wait_for_live("production", "api", &world.first).await;

    // The way back to what is signed is open by default.
    set_policy(&world, json!({})).await;
    let id = promote(&mut admin).await;
    world.ends(&id, State::Succeeded).await;
    policy.as_object_mut().unwrap().remove("onRollback");
    set_policy(&world, policy).await;
    sign(&world, &world.first, &[&release]).await;
    let back = started(&admin.post(API, &[("intent", &rollback)]).await);
    world.ends(&back, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_written_on_the_page_of_the_policy_and_a_wrong_one_is_refused() {
    let release = Signer::new();
    let (world, _) = world(json!({})).await;
    let mut admin = world.admin().await;
    let page = "/w/demo/myapp/production/-/policy";
    let text = |key: &str| {
        let key = key.trim().replace('\n', "\n      ");
        format!("signatures:\n  - name: release\n    key: |\n      {key}\n")
    };
    let private = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----";
    let refused = admin.post(page, &[("policy", &text(private)), ("before", "{}")]).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    let summary = refused.words();
    assert!(
        summary.contains("signatures[0].key: This is a private key"),
        "{summary}"
    );
    let saved = admin
        .post(page, &[("policy", &text(&release.key)), ("before", "{}")])
        .await;
    assert_eq!(saved.status, 200, "{}", saved.words());
    assert!(saved.words().contains("Saved."), "{}", saved.words());
    let words = admin.get(page).await.words();
    assert!(words.contains("Signed by release."), "{words}");
    // Through the other door, at its field.
    let mut document = world.document();
    document["projects"][0]["environments"][2]["policy"] =
        json!({ "signatures": [{ "name": "x", "key": "cosign.pub" }] });
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer["fields"].to_string().contains("policy.signatures[0].key"),
        "{answer}"
    );
}

#[test]
fn a_policy_with_keys_reads_as_it_is_shown() {
    let (release, security) = (Signer::new(), Signer::new());
    let written = signed_by(&[("release", &release), ("security", &security)]);
    let written: Policy = serde_json::from_value(written).unwrap();
    let text = serde_saphyr::to_string(&written).unwrap();
    let own = "production".parse().unwrap();
    assert_eq!(gates::read_policy(&text, &own, &[], &[]), Ok(written), "{text}");
}

#[tokio::test]
async fn what_is_proven_stays_so_and_what_is_not_is_asked_again() {
    let bench = Bench::new().await;
    let mut tx = bench.store.write().await.unwrap();
    let workspace = Workspace {
        id: WorkspaceId(System.next()),
        name: "demo".parse().unwrap(),
    };
    tx.insert_workspace(&workspace, Timestamp(0)).await.unwrap();
    let workspace = workspace.id;
    let digest = digest("a").parse().unwrap();
    let asked = |sought: &str, found: Found| Asked {
        sought: sought.into(),
        found,
        facts: Vec::new(),
        repository: "registry.example.com/myapp/api".parse().unwrap(),
        at: Timestamp(5),
        tries: 3,
        next_at: Timestamp(1_000),
    };
    assert!(tx.asked(workspace, &digest).await.unwrap().is_empty());
    assert!(!tx.ask_again(workspace, &digest, Timestamp(7)).await.unwrap());
    let mut elsewhere = asked("b", Found::OfAnotherDigest);
    elsewhere.repository = "mirror.example.com/myapp/api".parse().unwrap();
    for one in [
        elsewhere.clone(),
        asked("a", Found::OfOthers(2)),
        asked("a", Found::Valid),
        asked("a", Found::Nothing),
        asked("b", Found::Nothing),
    ] {
        tx.set_asked(workspace, &digest, &one).await.unwrap();
    }
    assert!(tx.ask_again(workspace, &digest, Timestamp(7)).await.unwrap());
    let mut known = tx.asked(workspace, &digest).await.unwrap();
    known.sort_by(|a, b| (&a.sought, &b.repository).cmp(&(&b.sought, &a.repository)));
    let mut again = asked("b", Found::Nothing);
    for one in [&mut again, &mut elsewhere] {
        (one.tries, one.next_at) = (0, Timestamp(7));
    }
    assert_eq!(known, [asked("a", Found::Valid), again, elsewhere]);
}
