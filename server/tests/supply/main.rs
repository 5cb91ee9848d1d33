//! What cosign signs and attests, read back, and verified where Waybill copied it to ([`copies`]); and what Waybill signs, verified by cosign
//! ([`statements`]), and by what decides in a cluster who may run ([`admission`]). `make test-supply` builds three of its versions, and names
//! their folder in `TEST_SUPPLY`.
//!
//! The registries are Debian's `docker-registry`, which keeps no list of what refers to an image, so that the tools write one themselves,
//! each in its own way; and one that keeps it (`end2end/supply/registry`). No transparency log is asked or told. Bundles are verified with a
//! trusted root that is empty; where cosign takes none, it tries to fetch Sigstore's, and goes on without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod admission;
mod copies;
mod keyless;
mod statements;
mod world;

use domain::gate::Found;
use world::{RegistryKind, World};

/// The program, and how it is asked to sign.
const SIGNED: [(&str, &[&str]); 8] = [
    ("cosign-2.6.5", &["--tlog-upload=false"]),
    ("cosign-2.6.5", &["--tlog-upload=false", "--new-bundle-format"]),
    (
        "cosign-2.6.5",
        &["--tlog-upload=false", "--registry-referrers-mode=oci-1-1"],
    ),
    (
        "cosign-2.6.5",
        &["--new-bundle-format", "--signing-config=services.json"],
    ),
    ("cosign-3.0.6", &["--signing-config=services.json"]),
    ("cosign-3.1.3", &["--signing-config=services.json"]),
    ("cosign-3.0.6", OLD_FORM),
    ("cosign-3.1.3", OLD_FORM),
];
/// How the third generation is asked for the form of the first.
const OLD_FORM: &[&str] = &[
    "--new-bundle-format=false",
    "--use-signing-config=false",
    "--tlog-upload=false",
];
/// The same of attestations; cosign has none as a referrer of the older form.
const ATTESTED: [(&str, &[&str]); 5] = [
    ("cosign-2.6.5", &["--tlog-upload=false"]),
    ("cosign-2.6.5", &["--tlog-upload=false", "--new-bundle-format"]),
    (
        "cosign-2.6.5",
        &["--new-bundle-format", "--signing-config=services.json"],
    ),
    ("cosign-3.0.6", &["--signing-config=services.json"]),
    ("cosign-3.1.3", &["--signing-config=services.json"]),
];
const REGISTRIES: [RegistryKind; 2] = [RegistryKind::WithoutList, RegistryKind::WithList];

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn a_signature_of_each_form_opens_the_gate() {
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        for (program, how) in SIGNED {
            let image = world.push().await;
            assert_eq!(world.found(&image).await, [Found::Nothing, Found::Nothing]);
            world.sign(program, "ours", how, &image).await;
            let found = world.found(&image).await;
            assert_eq!(found, [Found::Valid, Found::Nothing], "{kind:?} {program} {how:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn provenance_of_each_form_opens_the_gate() {
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        for (program, how) in ATTESTED {
            let image = world.push().await;
            world
                .attest(program, "ours", how, ("slsaprovenance1", "provenance.json"), &image)
                .await;
            let found = world.found(&image).await;
            assert_eq!(found, [Found::Nothing, Found::Valid], "{kind:?} {program} {how:?}");
        }
    }
}

/// The document that the oldest form signs is the same for everybody: what stands beside it tells signatures apart.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn who_signs_after_us_in_the_same_form_hides_nothing() {
    for kind in REGISTRIES {
        for how in [
            &["--tlog-upload=false"][..],
            &["--tlog-upload=false", "--registry-referrers-mode=oci-1-1"],
        ] {
            let world = World::new(kind).await;
            let image = world.push().await;
            world.sign("cosign-2.6.5", "ours", how, &image).await;
            world.sign("cosign-2.6.5", "theirs", how, &image).await;
            assert_eq!(
                world.found(&image).await,
                [Found::Valid, Found::Nothing],
                "{kind:?} {how:?}"
            );
        }
    }
}

/// Some versions annotate every attestation as a signature.
#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn what_is_in_an_image_proves_neither() {
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        for (program, how) in ATTESTED {
            let image = world.push().await;
            world
                .attest(program, "ours", how, ("spdxjson", "sbom.json"), &image)
                .await;
            let found = world.found(&image).await;
            assert_eq!(found, [Found::Nothing, Found::Nothing], "{kind:?} {program} {how:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs TEST_SUPPLY: make test-supply"]
async fn what_others_signed_is_theirs_until_ours_is_there_too() {
    for kind in REGISTRIES {
        let world = World::new(kind).await;
        let image = world.push().await;
        for (program, how) in SIGNED {
            world.sign(program, "theirs", how, &image).await;
        }
        // Under the oldest tag cosign keeps one signature of a key: three of them are one. With those below, there are just as many as are read whose annotation names something else than what is sought.
        let provenance = ("slsaprovenance1", "provenance.json");
        for (program, how) in ATTESTED {
            world.attest(program, "theirs", how, provenance, &image).await;
        }
        assert_eq!(
            world.found(&image).await,
            [Found::OfOthers(6), Found::OfOthers(5)],
            "{kind:?}"
        );
        // Last, in the form that is easiest to overlook.
        world
            .sign("cosign-3.0.6", "ours", &["--signing-config=services.json"], &image)
            .await;
        world
            .attest(
                "cosign-3.0.6",
                "ours",
                &["--signing-config=services.json"],
                provenance,
                &image,
            )
            .await;
        assert_eq!(world.found(&image).await, [Found::Valid, Found::Valid], "{kind:?}");
    }
}
