//! What Waybill signs, verified by cosign with the commands that its pages and its documentation show, and beside what others signed before.

use crate::{
    OLD_FORM, REGISTRIES,
    world::{Image, Place, World, access},
};
use domain::{
    artifact::ExactImage, id::PromotionId, name::Name, policy::Policy, statement::StatementForm, time::Timestamp,
};
use serde_json::{Value, json};
use server::{
    adapters::registry::Copier,
    ports::{
        image_copy::CopyEnd,
        image_statements::{ImageStatements as _, StatementHung},
    },
    service::statements::verify_command,
    signature::{Passed, SUMMARY, SigningKey, parts, sign},
};

/// What the documentation adds for a bundle and cosign 2.6.
const OF_BUNDLES: [&str; 2] = ["--new-bundle-format", "--trusted-root=empty-root.json"];
const INSTALLATION: &str = "https://waybill.example.com";
const THIRD: [&str; 2] = ["cosign-3.0.6", "cosign-3.1.3"];

/// Hangs a statement on an image as a promotion does, and writes the public key beside cosign's; how it hangs.
pub(crate) async fn hang(world: &World, image: &Image, environment: &str) -> StatementForm {
    let key = world.signing_key();
    let at = CopyEnd {
        access: access(),
        repository: image.repository.clone(),
    };
    let copier = Copier::new().unwrap();
    let subject = copier.look(&at, &image.digest).await.unwrap().unwrap();
    let name = |text: &str| -> Name { text.parse().unwrap() };
    let exact = ExactImage {
        repository: image.repository.clone(),
        tag: None,
        digest: image.digest.clone(),
    };
    let policy: Policy = serde_json::from_value(json!({ "checks": [{ "name": "load test" }] })).unwrap();
    let check = json!({ "id": "check:load test", "state": "met", "short": "", "why": "", "who": "" });
    let passed = Passed {
        installation: INSTALLATION,
        workspace: &name("demo"),
        project: &name("shop"),
        environment: &name(environment),
        from: None,
        promotion: PromotionId("01980000-0000-7000-8000-000000000001".parse().unwrap()),
        image: &exact,
        policy: &policy,
        gates: &[serde_json::from_value(check).unwrap()],
        at: Timestamp(1_795_169_043_123),
    };
    let envelope = sign(&passed.statement().unwrap(), &key).unwrap();
    let made = Timestamp(1_795_169_043_123);
    let parts = parts(
        subject.form,
        &envelope,
        &key.hint(),
        SUMMARY,
        &subject,
        &image.digest,
        made,
    );
    let hung = copier.hang(&at, &image.digest, &parts).await.unwrap();
    assert_eq!(hung, StatementHung::Hung);
    let again = copier.hang(&at, &image.digest, &parts).await.unwrap();
    assert_eq!(again, StatementHung::Was);
    parts.form
}

/// The environments whose statements cosign verifies; the error is what it wrote.
async fn verified(world: &World, program: &str, more: &[&str], image: &Image) -> Result<Vec<String>, String> {
    // As the page of a promotion shows it, word by word; `more` is what the documentation adds.
    let shown = verify_command(&image.repository, &image.digest, true);
    let shown = shown.replace("\\\n", " ");
    let mut words = shown.split_whitespace();
    assert_eq!(words.next(), Some("cosign"));
    let arguments: Vec<&str> = words.chain(more.iter().copied()).collect();
    let said = world.attempt(program, &arguments).await?;
    let mut found: Vec<String> = (said.lines().filter(|line| line.starts_with('{')))
        .map(|line| {
            let envelope: Value = serde_json::from_str(line).unwrap();
            let payload = World::decoded(envelope["payload"].as_str().unwrap());
            let said: Value = serde_json::from_slice(&payload).unwrap();
            let predicate = &said["predicate"];
            assert_eq!(predicate["verificationResult"], "PASSED");
            assert_eq!(predicate["verifiedLevels"][1], "WAYBILL_CHECK_load_u20_test");
            predicate["verifiedLevels"][0].as_str().unwrap().to_owned()
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Every version reads it, the oldest with what the documentation adds for bundles.
async fn all_verify(world: &World, form: StatementForm, image: &Image, environments: &[&str]) {
    let wanted: Vec<String> = environments
        .iter()
        .map(|e| format!("WAYBILL_ENVIRONMENT_{e}"))
        .collect();
    for program in THIRD {
        assert_eq!(
            verified(world, program, &[], image).await,
            Ok(wanted.clone()),
            "{program}"
        );
    }
    let more: &[&str] = match form {
        StatementForm::Bundle => &OF_BUNDLES,
        StatementForm::Attachment => &[],
    };
    assert_eq!(verified(world, "cosign-2.6.5", more, image).await, Ok(wanted));
}

/// Whether cosign verifies the signature of our key.
async fn is_signed(world: &World, program: &str, more: &[&str], image: &Image) -> Result<String, String> {
    let reference = image.reference();
    let common = [
        "verify",
        "--key=ours.pub",
        "--insecure-ignore-tlog=true",
        "--allow-http-registry",
    ];
    let arguments = [&common[..], more, &[&reference]].concat();
    world.attempt(program, &arguments).await
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn cosign_verifies_what_waybill_states() {
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        let image = world.push().await;
        assert!(
            verified(&world, "cosign-3.1.3", &[], &image).await.is_err(),
            "nothing hangs there"
        );
        let form = hang(&world, &image, "staging").await;
        assert_eq!(form, StatementForm::Bundle);
        all_verify(&world, form, &image, &["staging"]).await;
        // Another environment's is beside it.
        hang(&world, &image, "production").await;
        all_verify(&world, form, &image, &["production", "staging"]).await;
        // An index is no other than an image, and what crosses registries is verified there.
        let index = world.push_index().await;
        hang(&world, &index, "production").await;
        for to in REGISTRIES {
            let place = Place::new(to).await;
            let (there, _) = index.copy(&place).await;
            all_verify(&world, form, &there, &["production"]).await;
            hang(&world, &there, "elsewhere").await;
            all_verify(&world, form, &there, &["elsewhere", "production"]).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn a_statement_of_another_key_is_refused() {
    let world = World::new(REGISTRIES[0]).await;
    let image = world.push().await;
    hang(&world, &image, "production").await;
    world.set_public_key(&SigningKey::generate().unwrap().0);
    for program in THIRD {
        assert!(verified(&world, program, &[], &image).await.is_err(), "{program}");
    }
}

/// A bundle would hide them from cosign, and so from admission.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn signatures_in_the_older_form_stay_seen() {
    for kind in REGISTRIES {
        for (program, how) in [
            ("cosign-2.6.5", &["--tlog-upload=false"][..]),
            ("cosign-3.0.6", OLD_FORM),
            ("cosign-3.1.3", OLD_FORM),
        ] {
            let world = World::new(kind).await;
            let image = world.push().await;
            world.sign(program, "ours", how, &image).await;
            let form = hang(&world, &image, "production").await;
            assert_eq!(form, StatementForm::Attachment, "{kind:?} {program}");
            all_verify(&world, form, &image, &["production"]).await;
            for verifier in ["cosign-2.6.5", "cosign-3.0.6", "cosign-3.1.3"] {
                let signed = is_signed(&world, verifier, &[], &image).await;
                assert!(signed.is_ok(), "{kind:?} {program} {verifier}: {signed:?}");
            }
            // What was attested in the same place before, and is after, is still there.
            let provenance = ("slsaprovenance1", "provenance.json");
            world.attest(program, "ours", how, provenance, &image).await;
            hang(&world, &image, "staging").await;
            all_verify(&world, form, &image, &["production", "staging"]).await;
            let attested = ["verify-attestation", "--type=slsaprovenance1", "--key=ours.pub"];
            let more = [
                "--insecure-ignore-tlog=true",
                "--allow-http-registry",
                &image.reference(),
            ];
            let attested = world.attempt(program, &[&attested[..], &more].concat()).await;
            assert!(attested.is_ok(), "{kind:?} {program}: {attested:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn beside_a_bundle_it_is_one() {
    for kind in REGISTRIES {
        for program in THIRD {
            let world = World::new(kind).await;
            let image = world.push().await;
            world
                .sign(program, "ours", &["--signing-config=services.json"], &image)
                .await;
            let form = hang(&world, &image, "production").await;
            assert_eq!(form, StatementForm::Bundle, "{kind:?} {program}");
            all_verify(&world, form, &image, &["production"]).await;
            for verifier in THIRD {
                let signed = is_signed(&world, verifier, &[], &image).await;
                assert!(signed.is_ok(), "{kind:?} {program} {verifier}: {signed:?}");
            }
            // What cosign adds after it hides neither.
            world
                .sign("cosign-3.1.3", "theirs", &["--signing-config=services.json"], &image)
                .await;
            all_verify(&world, form, &image, &["production"]).await;
        }
    }
}
