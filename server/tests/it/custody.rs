//! The life of an image on one page, and as an export that is the same to the byte while nothing changes.

mod both;

use crate::{
    gates::{API, promote, set_policy, world},
    support::{
        signer::hang_bundle,
        world::{World, until},
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{promotion::State, rights::Role};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testbed::sigstore::{Moments, Sigstore, Workload};

/// What the export answers: its status, its header with the sum, and its text.
async fn export(world: &World, token: &str, digest: &str, more: &str) -> (u16, String, String) {
    let url = format!(
        "{}/api/v1/artifacts/{digest}/custody?workspace=demo{more}",
        world.base_url
    );
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    let status = answer.status().as_u16();
    let sum = answer
        .headers()
        .get("repr-digest")
        .map(|value| value.to_str().unwrap().to_owned());
    (status, sum.unwrap_or_default(), answer.text().await.unwrap())
}

async fn exported(world: &World, token: &str, digest: &str) -> Value {
    let (status, sum, text) = export(world, token, digest, "").await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        sum,
        format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(text.as_bytes())))
    );
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_life_is_told_from_the_commit_to_where_it_runs() {
    let sigstore = Sigstore::new().unwrap();
    let who = Workload::github("acme/api", "main");
    let (world, second) = world(json!({})).await;
    let mut admin = world.admin().await;
    let fields = [
        ("intent", "save-root"),
        ("root[name]", "own"),
        ("root[document]", &sigstore.trusted_root()),
    ];
    admin.post("/w/demo/-/settings/registries", &fields).await;
    let policy = json!({
        "approvals": { "count": 1, "selfApproval": true },
        "checks": [{ "name": "integration" }],
        "signatures": [{ "name": "ci", "keyless": {
            "issuer": who.issuer, "identity": who.identity, "trustedRoot": "own", "sct": false } }],
    });
    set_policy(&world, policy).await;
    let ci = world.token("demo", "reporter", Role::Developer).await;
    let report = json!({ "workspace": "demo", "digest": second, "name": "integration", "status": "passed",
        "summary": "412 tests", "url": "https://ci.example.com/412" });
    let (status, answer) = world.post_json("/api/v1/checks", Some(&ci), &report).await;
    assert!(status < 300, "{answer}");
    let id = promote(&mut admin).await;
    world.reaches(&id, State::Waiting).await;
    let page = format!("/promotions/{id}");
    let approved = admin
        .post(&page, &[("intent", "approve"), ("comment", "Looks good")])
        .await;
    assert_eq!(approved.status, 303);
    let bundle = sigstore.sign(&who, &second, Moments::default()).unwrap();
    hang_bundle(&world, &second, &bundle).await;
    let done = world.ends(&id, State::Succeeded).await;
    world.wait_for_live("production", "api", &second).await;
    world.idle().await;

    let viewer = world.token("demo", "auditor", Role::Viewer).await;
    let told = until("the run in production to be known", async || {
        let told = exported(&world, &viewer, &second).await;
        let ran = told["journey"].as_array().unwrap().last().unwrap()["ran"]
            .as_array()
            .unwrap();
        (ran.len() == 1).then_some(told.clone())
    })
    .await;
    assert_eq!(told["schema"], "waybill.custody/v1");
    assert_eq!(told["digest"], second);
    let fact = |kind: &str| -> Vec<(&str, &str)> {
        let all = told["origin"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|fact| fact["kind"] == kind);
        all.map(|fact| (fact["level"].as_str().unwrap(), fact["value"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(fact("revision")[0], ("proven", who.commit.as_str()));
    assert_eq!(fact("run"), [("proven", who.run.as_str())]);
    assert_eq!(fact("repository")[0], ("proven", "https://github.com/acme/api"));
    // What the image says of itself is another commit, in the test bed.
    assert_eq!(fact("revision").len(), 2, "{told}");
    assert_eq!(fact("revision")[1].0, "stated");
    assert_eq!(told["conflicts"], json!(["repository", "revision"]));
    assert_eq!(told["evidence"][0]["gate"], "signature:ci");
    assert_eq!(told["evidence"][0]["isValid"], true);
    assert_eq!(told["checks"][0]["summary"], "412 tests");
    let last = told["journey"].as_array().unwrap().last().unwrap();
    assert_eq!(last["promotion"], id);
    assert_eq!(last["environment"], "production");
    assert_eq!(last["commit"], done.commit.as_deref().unwrap());
    assert!(
        last["decisions"][0].as_str().unwrap().contains("ada approved at"),
        "{last}"
    );
    assert!(
        last["decisions"][0].as_str().unwrap().ends_with(": Looks good"),
        "{last}"
    );
    assert_eq!(last["gates"].as_array().unwrap().len(), 3);
    assert_eq!(told["hidden"], 0);

    // Equal state gives equal bytes, whoever asks.
    let developer = world.token("demo", "other", Role::Developer).await;
    assert_eq!(
        export(&world, &viewer, &second, "").await,
        export(&world, &developer, &second, "").await
    );

    let words = admin.get(&format!("/w/demo/-/artifacts/{second}")).await.words();
    for says in [
        "The sources differ about: Repository, Commit.",
        "proven, https://github.com/acme/api/.github/workflows/build.yml@refs/heads/main, known to",
        "myapp / production / api",
        "Looks good",
        "412 tests",
        "signature:ci",
    ] {
        assert!(words.contains(says), "{says} in {words}");
    }
    // It can be reached from where it runs.
    for from in [API, page.as_str()] {
        let html = admin.get(from).await.text;
        assert!(html.contains(&format!("/w/demo/-/artifacts/{second}")), "{from}");
    }
    // What no policy asks for any more proves nothing.
    set_policy(&world, json!({})).await;
    let told = exported(&world, &viewer, &second).await;
    assert_eq!(told["evidence"], json!([]));
    let origin = told["origin"].as_array().unwrap();
    assert!(origin.iter().all(|fact| fact["level"] == "stated"), "{told}");
    assert_eq!(told["conflicts"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_or_not_theirs_is_not_told() {
    let world = World::start().await;
    let viewer = world.token("demo", "reader", Role::Viewer).await;
    let first = world.first.clone();
    let (status, _, text) = export(&world, &viewer, "sha256:12", "").await;
    assert_eq!(status, 422, "{text}");
    let unknown = format!("sha256:{}", "7".repeat(64));
    let (status, _, text) = export(&world, &viewer, &unknown, "").await;
    assert_eq!(status, 404, "{text}");
    assert!(text.contains("No registry of demo was seen to hold"), "{text}");
    let (status, _, text) = export(&world, &viewer, &first, "&format=xml").await;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("Give json, bundle or envelopes"), "{text}");
    let (status, _, text) = export(&world, &viewer, &first, "&colour=red").await;
    assert_eq!(status, 400, "{text}");
    let (status, _, text) = export(&world, &viewer, &first, "&format=envelopes").await;
    assert_eq!((status, text.as_str()), (200, ""), "nothing is signed");
    let mut admin = world.admin().await;
    assert_eq!(admin.get(&format!("/w/demo/-/artifacts/{unknown}")).await.status, 404);
    assert_eq!(admin.get("/w/demo/-/artifacts/nonsense").await.status, 422);
    assert_eq!(admin.get(&format!("/w/nobody/-/artifacts/{first}")).await.status, 404);
}
