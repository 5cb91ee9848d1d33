//! A promotion waits for a keyless signature by the identity that its policy names, of a Sigstore instance that an administrator trusts.

use crate::{
    gates::{API, promote, set_policy, started, waits_for, world},
    support::{
        signer::hang_bundle,
        world::{World, until},
    },
};
use domain::{gate::GateState, promotion::State, told::EventKind};
use serde_json::{Value, json};
use testbed::sigstore::{Moments, Sigstore, Workload};

const REGISTRIES: &str = "/w/demo/-/settings/registries";
const POLICY: &str = "/w/demo/myapp/production/-/policy";

fn asks_for(who: &Workload, more: Value) -> Value {
    let mut keyless = json!({ "issuer": who.issuer, "identity": who.identity });
    keyless
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "signatures": [{ "name": "ci", "keyless": keyless }] })
}

async fn trust(world: &World, name: &str, document: &str) -> String {
    let mut admin = world.admin().await;
    let fields = [
        ("intent", "save-root"),
        ("root[name]", name),
        ("root[document]", document),
    ];
    admin.post(REGISTRIES, &fields).await.words()
}

async fn remove(world: &World, name: &str) -> String {
    let mut admin = world.admin().await;
    let fields = [("intent", "remove-root"), ("root[name]", name)];
    admin.post(REGISTRIES, &fields).await.words()
}

async fn told(world: &World, kind: EventKind) -> usize {
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspaces().await.unwrap()[0].id;
    let events = tx.events_after(0, 1_000).await.unwrap();
    let events = events.iter().filter(|event| event.workspace == workspace);
    events.filter(|event| event.happened.kind() == kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_the_identity_and_says_who_signed_instead() {
    let sigstore = Sigstore::new().unwrap();
    let (main, dev) = (
        Workload::github("acme/api", "main"),
        Workload::github("acme/api", "dev"),
    );
    let (world, second) = world(json!({})).await;
    let words = trust(&world, "own", &sigstore.trusted_root()).await;
    assert!(
        words.contains("The trusted root own is added. Policies may name it."),
        "{words}"
    );
    assert!(
        words.contains("1 certificate authority, 1 transparency log, no certificate log, no timestamp authority"),
        "{words}"
    );
    assert_eq!(told(&world, EventKind::TrustedRootSet).await, 1);
    let asked = asks_for(&main, json!({ "trustedRoot": "own", "sct": false }));
    set_policy(&world, asked.clone()).await;
    let mut admin = world.admin().await;
    let words = admin.get(POLICY).await.words();
    let says = format!("Signed by ci: {}, known to {}.", main.identity, main.issuer);
    assert!(words.contains(&says), "{words}");

    let id = promote(&mut admin).await;
    waits_for(&world, &id, "signature ci").await;
    // Another branch's signature says whose it is, and what is asked for.
    let bundle = sigstore.sign(&dev, &second, Moments::default()).unwrap();
    hang_bundle(&world, &second, &bundle).await;
    waits_for(&world, &id, "not signed by ci").await;
    let words = admin.get(&format!("/promotions/{id}")).await.words();
    let says = format!(
        "There is a signature, but it doesn't count: it is signed by {}, and the policy asks for {}.",
        dev.identity, main.identity
    );
    assert!(words.contains(&says), "{words}");
    // The right name, by an authority that nobody trusts.
    let stranger = Sigstore::new().unwrap();
    let bundle = stranger.sign(&main, &second, Moments::default()).unwrap();
    hang_bundle(&world, &second, &bundle).await;
    let id_page = format!("/promotions/{id}");
    until("the stranger's signature to be looked at", async || {
        let words = admin.get(&id_page).await.words();
        words
            .contains(&format!("it names {}, but", main.identity))
            .then_some(())
    })
    .await;

    let bundle = sigstore.sign(&main, &second, Moments::default()).unwrap();
    hang_bundle(&world, &second, &bundle).await;
    world.ends(&id, State::Succeeded).await;
    let mut tx = world.store.read().await.unwrap();
    let gates = tx.gates(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(gates.gates[0].state, GateState::Met);
    drop(tx);

    // What was proven with a root that is replaced counts no more.
    world.wait_for_live("production", "api", &second).await;
    set_policy(&world, json!({})).await;
    let back = admin
        .post(API, &[("intent", &format!("rollback-{}", world.first))])
        .await;
    world.ends(&started(&back), State::Succeeded).await;
    set_policy(&world, asked.clone()).await;
    let words = remove(&world, "own").await;
    assert!(
        words.contains("The policy of myapp/production names the trusted root own. Change it first."),
        "{words}"
    );
    let words = trust(&world, "own", &Sigstore::new().unwrap().trusted_root()).await;
    assert!(words.contains("The trusted root own is replaced."), "{words}");
    let again = promote(&mut admin).await;
    waits_for(&world, &again, "not signed by ci").await;
    trust(&world, "own", &sigstore.trusted_root()).await;
    world.ends(&again, State::Succeeded).await;

    set_policy(&world, json!({})).await;
    let words = remove(&world, "own").await;
    assert!(words.contains("The trusted root is removed."), "{words}");
    assert_eq!(told(&world, EventKind::TrustedRootRemoved).await, 1);
    let words = remove(&world, "own").await;
    assert!(words.contains("There is no trusted root own."), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_roots_and_policies_are_said_where_they_are() {
    let world = World::start().await;
    for (name, document, says) in [
        ("", "{}", "This is no trusted root"),
        ("public", "{}", "public is built in. Choose another name."),
        ("own", "-----BEGIN CERTIFICATE-----", "This is no trusted root"),
    ] {
        let words = trust(&world, name, document).await;
        assert!(words.contains(says), "{name}: {words}");
    }
    assert_eq!(told(&world, EventKind::TrustedRootSet).await, 0);
    let who = Workload::github("acme/api", "main");
    let mut admin = world.admin().await;
    let mut post = async |policy: Value| {
        let text = policy.to_string();
        admin.post(POLICY, &[("policy", &text)]).await.words()
    };
    for (more, says) in [
        (
            json!({ "trustedRoot": "own" }),
            "signatures[0].keyless.trustedRoot: The workspace has no trusted root own.",
        ),
        (
            json!({ "identity": null }),
            "signatures[0].keyless.identity: Name who must have signed",
        ),
        (
            json!({ "identityPattern": "^a$" }),
            "signatures[0].keyless.identityPattern: Give either an identity or a pattern",
        ),
        (
            json!({ "identity": null, "identityPattern": "^.*$" }),
            "signatures[0].keyless.identityPattern: This pattern fits anybody.",
        ),
        (
            json!({ "issuer": "github" }),
            "signatures[0].keyless.issuer: Give the address of the identity provider",
        ),
        (
            json!({ "ref": "main" }),
            "signatures[0].keyless.ref: Give the whole name of the branch or tag",
        ),
        (
            json!({ "repository": "acme/api" }),
            "signatures[0].keyless.repository: Give the repository's address",
        ),
        (
            json!({ "transparencyLog": false }),
            "signatures[0].keyless.transparencyLog: The public Sigstore instance has a transparency log",
        ),
    ] {
        let words = post(asks_for(&who, more)).await;
        assert!(words.contains(says), "{says} in {words}");
    }
    let mut both = asks_for(&who, json!({}));
    both["signatures"][0]["key"] = json!("x");
    let words = post(both).await;
    assert!(
        words.contains("signatures[0].keyless: Give either a key or keyless, not both."),
        "{words}"
    );
    let words = post(json!({ "signatures": [{ "name": "ci" }] })).await;
    assert!(
        words.contains("signatures[0].key: Give a public key (PEM), or keyless with an identity."),
        "{words}"
    );
    // The same through a document.
    let mut document = world.document();
    document["projects"][0]["environments"][2]["policy"] = asks_for(&who, json!({ "trustedRoot": "own" }));
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer.to_string().contains("The workspace has no trusted root own."),
        "{answer}"
    );
    document["projects"][0]["environments"][2]["policy"] = asks_for(&who, json!({ "trustedRoot": "github" }));
    world.apply(&document).await;
}
