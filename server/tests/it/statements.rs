//! Signed statements: what a promotion passed hangs on its image before the commit, once, and anybody can verify it with the key that is served.

use crate::{
    mirroring::{Two, held},
    support::world::{Setup, World, until},
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    promotion::{Purpose, State},
    told::EventKind,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::signature::SigningKey;
use testbed::{Moment, REGISTRY_PASSWORD, REGISTRY_USER};

const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

/// Runs `waybill keys …` beside the server; the exit code, and what it printed.
async fn keys(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let arguments = [&["keys"], arguments].concat();
    let output = world.program(&arguments).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Makes a key; its public half, PEM.
async fn generate(world: &World, more: &[&str]) -> String {
    let (code, out, err) = keys(world, &[&["generate"], more].concat()).await;
    assert_eq!(code, 0, "{err}");
    out
}

/// The document, with a policy of production.
fn document(two: &Two, may_push: bool, policy: &Value) -> Value {
    let mut document = two.document(may_push);
    document["projects"][0]["environments"][2]["policy"] = policy.clone();
    document
}

fn ran_in_staging(attestation: &str) -> Value {
    json!({ "ranIn": [{ "environment": "staging" }], "attestation": attestation })
}

/// What the second registry has under an address of its repository.
async fn read(two: &Two, path: &str) -> Option<Value> {
    let url = format!("{}/v2/live/api/{path}", two.live.base_url());
    let client = reqwest::Client::new();
    let request = client.get(url).basic_auth(REGISTRY_USER, Some(REGISTRY_PASSWORD));
    let kinds = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let answer = request.header("accept", kinds).send().await.unwrap();
    match answer.status().as_u16() {
        200 => Some(answer.json().await.unwrap()),
        404 => None,
        other => panic!("{path}: {other}"),
    }
}

/// The bundles that hang on an image in the second registry, which keeps no lists of its own.
async fn bundles(two: &Two, digest: &str) -> Vec<Value> {
    let list = read(two, &format!("manifests/{}", digest.replace(':', "-"))).await;
    let entries = list.map(|list| list["manifests"].as_array().unwrap().clone());
    let mut bundles = Vec::new();
    for entry in entries.unwrap_or_default() {
        assert_eq!(entry["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        assert_eq!(entry["annotations"]["dev.sigstore.bundle.predicateType"], SUMMARY);
        let manifest = read(two, &format!("manifests/{}", entry["digest"].as_str().unwrap()))
            .await
            .unwrap();
        assert_eq!(manifest["subject"]["digest"], digest);
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        bundles.push(read(two, &format!("blobs/{layer}")).await.unwrap());
    }
    bundles
}

/// The statement of a bundle, whose signature was checked as any reader does it.
fn verified(bundle: &Value, key: &str) -> Value {
    let body: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    let envelope = &bundle["dsseEnvelope"];
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let kind = "application/vnd.in-toto+json";
    assert_eq!(envelope["payloadType"], kind);
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend(&payload);
    let signatures = envelope["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0].get("keyid"), None);
    let signature = STANDARD.decode(signatures[0]["sig"].as_str().unwrap()).unwrap();
    // The 26 bytes before the point say that it is one of P-256.
    let point = &der[26..];
    (UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&message, &signature)).expect("a right signature");
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_passed_hangs_on_the_image_before_the_commit_and_the_served_key_verifies_it() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    let key = generate(world, &[]).await;
    let before = world.subjects().await;
    let list = format!("manifests/{}", first.replace(':', "-"));
    let hold = two.gate.hold(Moment::Before, "PUT", &list);
    world.apply(&document(&two, true, &ran_in_staging("required"))).await;
    let hold = held(hold, "the list").await;
    let promotion = two.promotion(&first).await;
    assert_eq!(promotion.state, State::Mirroring);
    assert!(two.is_there(&first).await, "it is copied first");
    assert_eq!(world.subjects().await, before, "nothing is committed before");
    drop(hold);
    world.wait_for_live("production", "api", &first).await;
    let promotion = world.ends(&promotion.id.to_string(), State::Succeeded).await;

    let bundles = bundles(&two, &first).await;
    assert_eq!(bundles.len(), 1);
    let said = verified(&bundles[0], &key);
    assert_eq!(said["predicateType"], SUMMARY);
    assert_eq!(said["subject"][0]["digest"]["sha256"], first["sha256:".len()..]);
    let predicate = &said["predicate"];
    assert_eq!(predicate["resourceUri"], format!("{}@{first}", two.target()));
    assert_eq!(
        predicate["verifiedLevels"],
        json!(["WAYBILL_ENVIRONMENT_production", "WAYBILL_RAN_IN_staging"])
    );
    let policy = predicate["policy"]["uri"].as_str().unwrap();
    assert!(policy.ends_with("/w/demo/myapp/production/-/policy"), "{policy}");
    assert!(!said.to_string().contains("admin"), "nobody is named: {said}");

    // Its page shows it, with commands that a stranger can run.
    let mut admin = world.admin().await;
    let page = admin.get(&format!("/promotions/{}", promotion.id)).await;
    let words = page.words();
    assert!(words.contains("A signed statement hangs on the image."), "{words}");
    assert!(words.contains("WAYBILL_RAN_IN_staging"), "{words}");
    let name = words.split("/.well-known/waybill/keys/").nth(1).unwrap()[..20].to_owned();
    assert!(words.contains(&format!("{}@{first}", two.target())), "{words}");
    assert!(words.contains("--allow-http-registry"), "{words}");
    for path in [&format!("keys/{name}"), "cosign.pub"] {
        let answer = reqwest::get(format!("{}/.well-known/waybill/{path}", world.base_url))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), key);
    }
    let settings = admin.get("/w/demo/-/settings/registries").await.words();
    assert!(settings.contains(&name[..16]), "{settings}");

    // The ledger tells of both.
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_of_promotion(promotion.id).await.unwrap();
    let written = events
        .iter()
        .filter(|event| event.happened.kind() == EventKind::StatementWritten);
    assert_eq!(written.count(), 1);
    drop(tx);
    let activity = admin.get("/w/demo/-/activity").await.words();
    assert!(activity.contains("set the key that signs statements to"), "{activity}");

    // Another key takes its place: what it signed is still verified by it.
    let (code, _, err) = keys(world, &["generate"]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--replace"), "{err}");
    let other = generate(world, &["--replace"]).await;
    assert_ne!(other, key);
    let served = async |path: &str| {
        let url = format!("{}/.well-known/waybill/{path}", world.base_url);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    };
    assert_eq!(served(&format!("keys/{name}")).await, key);
    assert_eq!(served("cosign.pub").await, other);
    assert_eq!(keys(world, &["public"]).await.1, other);
    assert_eq!(keys(world, &["public", "--all"]).await.1, format!("{other}{key}"));
    let second = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &second).await;
    verified(&self::bundles(&two, &second).await[0], &other);
    assert_eq!(
        reqwest::get(format!(
            "{}/.well-known/waybill/keys/{}.pub",
            world.base_url,
            "0".repeat(16)
        ))
        .await
        .unwrap()
        .status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_waits_for_what_is_required_and_says_what_is_missing() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    let before = world.subjects().await;
    world.apply(&document(&two, true, &ran_in_staging("required"))).await;
    let promotion = two.promotion(&first).await;
    let waits_for = async |what: &str| {
        until(&format!("the promotion to wait for {what}"), async || {
            let promotion = world.promotion(&promotion.id.to_string()).await;
            assert!(!promotion.state.is_ended(), "{promotion:?}");
            let why = promotion.waits_for.unwrap_or_default();
            why.contains(what).then_some(())
        })
        .await;
    };
    waits_for("waybill keys generate").await;
    let page = world.admin().await.get(&format!("/promotions/{}", promotion.id)).await;
    assert!(page.words().contains("waybill keys generate"), "{}", page.words());
    assert_eq!(world.subjects().await, before);
    generate(world, &[]).await;
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    assert_eq!(bundles(&two, &first).await.len(), 1);
}

/// The policy is changed while the image is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stated_of_what_passes_no_more() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    generate(world, &[]).await;
    let hold = two.gate.hold(Moment::Before, "PUT", "/blobs/uploads/");
    world.apply(&document(&two, true, &ran_in_staging("required"))).await;
    let hold = held(hold, "a blob").await;
    let mut policy = ran_in_staging("required");
    policy["approvals"] = json!({ "count": 1 });
    world.apply(&document(&two, true, &policy)).await;
    drop(hold);
    let promotion = two.promotion(&first).await;
    let id = promotion.id.to_string();
    until("the promotion to wait for an approval", async || {
        let promotion = world.promotion(&id).await;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        (promotion.waits_for.as_deref() == Some("0 of 1 approval")).then_some(())
    })
    .await;
    assert!(two.is_there(&first).await, "it was copied");
    let mut tx = world.store.read().await.unwrap();
    assert_eq!(tx.statement(promotion.id).await.unwrap(), None);
    assert_eq!(bundles(&two, &first).await, [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_required_keeps_nobody() {
    let world = World::start().await;
    generate(&world, &[]).await;
    // Nobody may push to the registry of production.
    let mut document = world.document();
    let production = &mut document["projects"][0]["environments"][2];
    production["policy"] = ran_in_staging("bestEffort");
    production["resources"] = json!([{
        "name": "api", "source": { "promote": { "environment": "staging", "resource": "api" } },
    }]);
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;
    let promotion = world.promotions("production", "api").await.remove(0);
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    let mut admin = world.admin().await;
    let words = admin.get(&format!("/promotions/{}", promotion.id)).await.words();
    assert!(words.contains("No signed statement was written."), "{words}");
    assert!(words.contains("no right to push"), "{words}");

    // A rollback is committed as it ran.
    let second = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &second).await;
    let back = format!("rollback-{}", world.first);
    let answer = admin.post("/w/demo/myapp/production/api", &[("intent", &back)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_live("production", "api", &world.first).await;
    let all = world.promotions("production", "api").await;
    let rollback = all.iter().find(|p| p.purpose == Purpose::Rollback).unwrap();
    let words = admin.get(&format!("/promotions/{}", rollback.id)).await.words();
    assert!(!words.contains("signed statement"), "{words}");

    // Where nothing is asked for nothing is said.
    let mut tx = world.store.read().await.unwrap();
    assert_eq!(tx.statement(rollback.id).await.unwrap(), None);
    for environment in ["development", "staging"] {
        for promotion in world.promotions(environment, "api").await {
            assert_eq!(tx.statement(promotion.id).await.unwrap(), None, "{environment}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_on_the_way_says_it_once() {
    let mut two = Two::start(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let key = generate(&two.world, &[]).await;
    two.world
        .apply(&document(&two, true, &ran_in_staging("required")))
        .await;
    let first = two.world.first.clone();
    two.world.wait_for_live("production", "api", &first).await;
    for (n, (moment, method, contains)) in [
        // A blob of the copy; then what lists the statement.
        (Moment::After, "PUT", "/blobs/uploads/"),
        (Moment::Before, "PUT", "/manifests/sha256-"),
        (Moment::After, "PUT", "/manifests/sha256-"),
    ]
    .into_iter()
    .enumerate()
    {
        println!("killed {moment:?} {method} {contains}");
        let hold = two.gate.hold(moment, method, contains);
        let digest = two.world.push(&format!("1.1.{n}")).await;
        let hold = held(hold, contains).await;
        two.world.kill();
        hold.cut();
        two.world.restart().await;
        two.world.wait_for_live("production", "api", &digest).await;
        two.world.idle().await;
        let promotion = two.promotion(&digest).await;
        assert_eq!(promotion.state, State::Succeeded);
        let bundles = bundles(&two, &digest).await;
        assert_eq!(bundles.len(), 1, "one statement");
        verified(&bundles[0], &key);
        let mut tx = two.world.store.read().await.unwrap();
        let kept = tx.statement(promotion.id).await.unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&kept.layer).unwrap(), bundles[0]);
    }

    // Another key took the place of the one that had signed it.
    let digest = killed_before_the_list(&mut two, "1.2.0").await;
    let key = generate(&two.world, &["--replace"]).await;
    two.world.restart().await;
    two.world.wait_for_live("production", "api", &digest).await;
    let listed = bundles(&two, &digest).await;
    assert_eq!(listed.len(), 1, "one statement");
    verified(&listed[0], &key);

    // Somebody signed the image in the older form, which a bundle would hide.
    let digest = killed_before_the_list(&mut two, "1.3.0").await;
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let signature = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" },
        "layers": [],
    });
    let config = [b"{}".to_vec()];
    let pushed = two.live.push_artifact("live/api", &tag, &signature, &config);
    pushed.await.unwrap();
    two.world.restart().await;
    two.world.wait_for_live("production", "api", &digest).await;
    assert_eq!(bundles(&two, &digest).await, [Value::Null; 0]);
    let attached = read(&two, &format!("manifests/{}.att", digest.replace(':', "-")))
        .await
        .unwrap();
    let layers = attached["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "{attached}");
    let envelope = read(&two, &format!("blobs/{}", layers[0]["digest"].as_str().unwrap()))
        .await
        .unwrap();
    verified(&json!({ "dsseEnvelope": envelope }), &key);
}

/// Pushes a build, and kills the server when its statement is in the second registry, and not listed yet.
async fn killed_before_the_list(two: &mut Two, tag: &str) -> String {
    let hold = two.gate.hold(Moment::Before, "PUT", "/manifests/sha256-");
    let digest = two.world.push(tag).await;
    let hold = held(hold, "the list").await;
    two.world.kill();
    hold.cut();
    digest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_fails_for_long_keeps_only_what_is_required() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    generate(world, &[]).await;
    two.gate.refuse("PUT", "manifests/sha256-", 500, "{}");
    world.apply(&document(&two, true, &ran_in_staging("bestEffort"))).await;
    world.wait_for_live("production", "api", &first).await;
    let promotion = two.promotion(&first).await;
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    let words = world
        .admin()
        .await
        .get(&format!("/promotions/{}", promotion.id))
        .await
        .words();
    assert!(words.contains("No signed statement was written."), "{words}");
    assert!(!words.contains("Is being written"), "{words}");

    world.apply(&document(&two, true, &ran_in_staging("required"))).await;
    let second = world.push("1.1.0").await;
    let promotion = two.promotion(&second).await;
    let id = promotion.id.to_string();
    until("the promotion to be tried more rarely", async || {
        let promotion = world.promotion(&id).await;
        assert!(!promotion.state.is_ended(), "{promotion:?}");
        let why = promotion.waits_for.unwrap_or_default();
        why.starts_with("The policy requires a signed statement.").then_some(())
    })
    .await;
    assert_eq!(world.promotion(&id).await.state, State::Mirroring);
    two.gate.allow_all();
    world.forward(60_000).await;
    world.ends(&id, State::Succeeded).await;
    assert_eq!(bundles(&two, &second).await.len(), 1);
}

/// Its private half opens no more after the encryption key was lost, and may be at hand elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_can_be_imported_again() {
    let world = World::start().await;
    let (key, private) = SigningKey::generate().unwrap();
    let file = world.folder().join("key.pem");
    std::fs::write(&file, private.expose_secret()).unwrap();
    let file = file.display().to_string();
    let (code, out, err) = keys(&world, &["import", &file]).await;
    assert_eq!((code, out), (0, key.public_pem()), "{err}");
    assert!(!err.contains("PRIVATE"), "{err}");
    let (code, _, err) = keys(&world, &["import", &file]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("This key signs already."), "{err}");
    let sealed = async || {
        let mut tx = world.store.read().await.unwrap();
        (
            tx.signing_key().await.unwrap().unwrap(),
            tx.newest_event().await.unwrap(),
        )
    };
    let (before, newest) = sealed().await;
    assert_eq!(keys(&world, &["import", &file, "--replace"]).await.0, 0);
    let (after, then) = sealed().await;
    assert_eq!((&after.fingerprint, then), (&before.fingerprint, newest));
    assert_ne!(after.private_key, before.private_key, "it is encrypted anew");
    let (code, _, err) = keys(&world, &["import", "-"]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("BEGIN PRIVATE KEY"), "{err}");
}
