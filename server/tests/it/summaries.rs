//! A promotion waits until a verifier elsewhere vouches for the image as its policy asks for, and says what is stated instead.

use crate::{
    gates::{promote, set_policy, waits_for, world},
    support::{
        browser::Browser,
        signer::{Signer, attest, sign, vouch, vouch_as_bundle},
        world::{World, until},
    },
};
use domain::promotion::State;
use serde_json::{Value, json};

const VERIFIER: &str = "https://waybill.example.com/verifier/v1";
const POLICY: &str = "https://waybill.example.com/platform/base/production/policy";

/// A policy that asks for a summary with this key.
fn vouched_for(by: &Signer) -> Value {
    json!({ "summaries": [{ "name": "platform", "verifier": VERIFIER, "policy": POLICY,
        "levels": ["SLSA_BUILD_LEVEL_2", "scanned"], "key": by.key }] })
}

/// What such a summary says of a digest.
fn passed(digest: &str) -> Value {
    json!({
        "verifier": { "id": VERIFIER },
        "timeVerified": "2026-11-29T08:05:42Z",
        "resourceUri": format!("elsewhere.example.com/platform/api@{digest}"),
        "policy": { "uri": POLICY },
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_3", "scanned"],
    })
}

/// The same with another value in a field.
fn with(digest: &str, field: &str, value: Value) -> Value {
    let mut predicate = passed(digest);
    predicate[field] = value;
    predicate
}

/// Waits until the gate is shut since the summary says this, or is another's.
async fn is_told(world: &World, admin: &mut Browser, id: &str, says: &str) {
    waits_for(world, id, "not vouched for by platform").await;
    let page = format!("/promotions/{id}");
    until(&format!("the page to say {says:?}"), async || {
        admin.get(&page).await.words().contains(says).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_until_the_verifier_vouches_and_says_what_differs() {
    let (platform, other) = (Signer::new(), Signer::new());
    let (world, second) = world(vouched_for(&platform)).await;
    let before = world.subjects().await.len();
    // The key signed the image, and attests where it comes from: that doesn't vouch for it.
    sign(&world, &second, &[&platform]).await;
    attest(&world, &second, &platform, VERIFIER, POLICY).await;
    let mut admin = world.admin().await;
    let words = admin.get("/w/demo/myapp/production/-/policy").await.words();
    let asks =
        format!("Vouched for by {VERIFIER} under {POLICY} with SLSA_BUILD_LEVEL_2, scanned, as platform attests.");
    assert!(words.contains(&asks), "{words}");
    let id = promote(&mut admin).await;
    waits_for(&world, &id, "summary platform").await;
    let page = format!("/promotions/{id}");
    until("the page to say that there is none", async || {
        let words = admin.get(&page).await.words();
        let says = words.contains("Vouched for by platform")
            && words.contains("held no verification summary of it at")
            && words.contains("Opens once platform vouches for this digest.");
        says.then_some(())
    })
    .await;

    vouch(&world, &second, &other, &passed(&second)).await;
    let says = "There is a verification summary, but not with this key: 1 other attestation.";
    is_told(&world, &mut admin, &id, says).await;
    // That of another image, copied to this one's place.
    vouch(&world, &world.first, &platform, &passed(&world.first)).await;
    let tag = |digest: &str| format!("{}.att", digest.replace(':', "-"));
    let registry = world.registry.as_ref().unwrap();
    registry
        .retag("myapp/api", &tag(&world.first), &tag(&second))
        .await
        .unwrap();
    let says = "There is a verification summary by platform, but of another image.";
    is_told(&world, &mut admin, &id, says).await;
    let development = "https://waybill.example.com/platform/base/development/policy";
    let another = format!("elsewhere.example.com/platform/api@{}", world.first);
    for (field, value, says) in [
        (
            "verifier",
            json!({ "id": "https://eve.example.com" }),
            "It says that https://eve.example.com vouches for it.",
        ),
        (
            "verificationResult",
            json!("FAILED"),
            "It says that the result of the verification is FAILED.",
        ),
        (
            "policy",
            json!({ "uri": development }),
            &format!("It says that it was verified by {development}."),
        ),
        (
            "resourceUri",
            json!(another),
            &format!("It says that {another} was verified."),
        ),
        (
            "verifiedLevels",
            json!(["SLSA_BUILD_LEVEL_1", "scanned"]),
            "It says that it was verified for SLSA_BUILD_LEVEL_1, scanned, not for SLSA_BUILD_LEVEL_2.",
        ),
    ] {
        vouch(&world, &second, &platform, &with(&second, field, value)).await;
        is_told(&world, &mut admin, &id, says).await;
    }
    assert_eq!(world.subjects().await.len(), before, "nothing is committed meanwhile");

    // In the newer form, beside what is stated in the older one.
    vouch_as_bundle(&world, &second, &platform, &passed(&second)).await;
    world.ends(&id, State::Succeeded).await;
    let words = admin.get(&page).await.words();
    assert!(words.contains("held a valid verification summary at"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_hung_before_opens_it_in_the_older_form_too_and_who_may_overrides_it() {
    let platform = Signer::new();
    let (world, second) = world(vouched_for(&platform)).await;
    vouch(&world, &second, &platform, &passed(&second)).await;
    let mut admin = world.admin().await;
    let id = promote(&mut admin).await;
    world.ends(&id, State::Succeeded).await;

    world.wait_for_live("production", "api", &second).await;
    let mut stricter = vouched_for(&platform);
    stricter["summaries"][0]["levels"] = json!(["SLSA_BUILD_LEVEL_4"]);
    stricter["overrides"] = json!([{ "gates": ["summary"], "by": [{ "role": "admin" }] }]);
    set_policy(&world, stricter).await;
    let third = world.push("1.2.0").await;
    world.wait_for_live("staging", "api", &third).await;
    vouch(&world, &third, &platform, &passed(&third)).await;
    let id = promote(&mut admin).await;
    let says = "It says that it was verified for SLSA_BUILD_LEVEL_3, scanned, not for SLSA_BUILD_LEVEL_4.";
    is_told(&world, &mut admin, &id, says).await;
    let fields = [
        ("intent", "override"),
        ("gate", "summary:platform"),
        ("reason", "Security fix"),
    ];
    let page = format!("/promotions/{id}");
    assert_eq!(admin.post(&page, &fields).await.status, 303);
    world.ends(&id, State::Succeeded).await;
    let words = admin.get(&page).await.words();
    assert!(words.contains("Overridden by ada: Security fix."), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_it_is_said_where_it_is_written() {
    let (world, _) = world(json!({})).await;
    let mut admin = world.admin().await;
    let page = "/w/demo/myapp/production/-/policy";
    let text = "summaries: [{ name: platform, verifier: waybill, levels: [a b], key: cosign.pub }]\n";
    let refused = admin.post(page, &[("policy", text), ("before", "{}")]).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    for says in [
        "summaries[0].verifier: Give the URI",
        "summaries[0].levels[0]: Give a level",
        "summaries[0].key: Give a public key",
    ] {
        assert!(refused.words().contains(says), "{says}: {}", refused.words());
    }
    // Whether a statement is written is no gate, and saved as it was written.
    let text = "attestation: required\n";
    let saved = admin.post(page, &[("policy", text), ("before", "{}")]).await;
    assert_eq!(saved.status, 200, "{}", saved.words());
    let shown = admin.get(page).await;
    let says = "A signed statement must be in the registry before the commit.";
    assert!(shown.words().contains(says), "{}", shown.words());
    assert!(shown.text.contains("attestation: required"), "{}", shown.text);
}
