//! In which form a statement should hang on an image: that of what hangs there already, wherever it lies and whatever its list calls it.

use crate::{
    copies::copier,
    fake::{Act, Fake, HERE, INDEX, MANIFEST, digest_of, list_tag},
    odd::{digest, open, response},
    retag::end,
};
use domain::{artifact::Digest, statement::StatementForm};
use serde_json::{Value, json};
use server::ports::{
    image_statements::{ImageStatements, StatementSubject},
    registry::RegistryError,
};
use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const OLDER: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const STATEMENTS: &str = "application/vnd.in-toto+json";
/// What cosign up to 3.0.6 calls a bundle in a list that it writes itself (sigstore/cosign#5098), and what else says nothing.
const WRONG: [&str; 3] = [
    "",
    "application/vnd.oci.empty.v1+json",
    "application/vnd.oci.image.config.v1+json",
];

async fn look(registry: &Fake, image: &Value) -> Result<Option<StatementSubject>, RegistryError> {
    let at = end(open(), &registry.repository());
    copier().look(&at, &digest_of(image)).await
}

async fn form(registry: &Fake, image: &Value) -> StatementForm {
    look(registry, image).await.unwrap().unwrap().form
}

/// A manifest that refers to an image; its entry says this type, or none.
fn refer(registry: &Fake, image: &Value, says: Option<&str>, artifact: Option<&str>, layer: &str) -> Value {
    let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "subject": image,
        "config": registry.layer("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [registry.layer(layer, format!("{says:?}{artifact:?}{layer}").as_bytes())]});
    if let Some(artifact) = artifact {
        manifest["artifactType"] = artifact.into();
    }
    let mut entry = registry.put(MANIFEST, &manifest);
    if let Some(says) = says {
        entry["artifactType"] = says.into();
    }
    entry
}

/// Has something lie under a tag of cosign.
fn tag(registry: &Fake, image: &Value, suffix: &str, layer: &str) {
    let value = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [registry.layer(layer, b"signed")]});
    registry.tag(&format!("{}.{suffix}", list_tag(image)), MANIFEST, &value);
}

#[tokio::test]
async fn nothing_signed_asks_for_a_bundle_and_the_image_is_told_as_it_is_served() {
    let registry = Fake::usual().await;
    let image = registry.image(&[b"a"]);
    let index = registry.index(&[&image]);
    let sbom = refer(&registry, &image, None, Some("application/spdx+json"), "text/spdx+json");
    // Statements that nobody signed are no form of signing.
    let unsigned = refer(&registry, &image, Some(STATEMENTS), Some(STATEMENTS), STATEMENTS);
    let gone = json!({"mediaType": MANIFEST, "digest": digest(b"gone"), "size": 4});
    registry.list(&image, &[&sbom, &unsigned, &gone]);
    for (image, kind) in [(&image, MANIFEST), (&index, INDEX)] {
        let subject = StatementSubject {
            kind: kind.to_owned(),
            size: image["size"].as_u64().unwrap(),
            form: StatementForm::Bundle,
        };
        assert_eq!(look(&registry, image).await.unwrap(), Some(subject));
    }
    let absent = json!({"digest": digest(b"nobody pushed this")});
    assert_eq!(look(&registry, &absent).await.unwrap(), None);
    assert!(
        registry.seen().iter().all(|seen| seen.method.is_safe()),
        "it only looks"
    );
}

#[tokio::test]
async fn a_bundle_asks_for_bundles_whatever_lies_beside_it() {
    for lists_referrers in [true, false] {
        let registry = Fake::start(lists_referrers, |_, _| Act::Usual).await;
        let image = registry.image(&[b"a"]);
        tag(&registry, &image, "att", ENVELOPE);
        assert_eq!(form(&registry, &image).await, StatementForm::Attachment);
        let bundle = refer(&registry, &image, Some(BUNDLE), Some(BUNDLE), BUNDLE);
        let older = refer(&registry, &image, Some(OLDER), Some(OLDER), SIMPLE);
        registry.list(&image, &[&older, &bundle]);
        assert_eq!(
            form(&registry, &image).await,
            StatementForm::Bundle,
            "{lists_referrers}"
        );
    }
}

#[tokio::test]
async fn a_bundle_is_seen_under_each_wrong_name() {
    let says = WRONG.into_iter().map(Some).chain([None]);
    for says in says {
        for artifact in [Some(BUNDLE), None] {
            let registry = Fake::usual().await;
            let image = registry.image(&[b"a"]);
            tag(&registry, &image, "sig", SIMPLE);
            let sbom = refer(&registry, &image, says, None, "text/spdx+json");
            registry.list(&image, &[&sbom]);
            assert_eq!(
                form(&registry, &image).await,
                StatementForm::Attachment,
                "no type is no bundle"
            );
            let bundle = refer(&registry, &image, says, artifact, BUNDLE);
            registry.list(&image, &[&bundle, &sbom]);
            assert_eq!(form(&registry, &image).await, StatementForm::Bundle, "{says:?}");
        }
    }
}

#[tokio::test]
async fn the_older_form_asks_for_itself_in_each_of_its_places() {
    for lists_referrers in [true, false] {
        for (suffix, layer) in [("sig", SIMPLE), ("att", ENVELOPE)] {
            let registry = Fake::start(lists_referrers, |_, _| Act::Usual).await;
            let image = registry.image(&[b"a"]);
            tag(&registry, &image, suffix, layer);
            assert_eq!(form(&registry, &image).await, StatementForm::Attachment, "{suffix}");
        }
        for (says, artifact, layer) in [
            (Some(OLDER), Some(OLDER), SIMPLE),
            (Some(STATEMENTS), Some(STATEMENTS), ENVELOPE),
            (None, Some(OLDER), SIMPLE),
            (Some(WRONG[1]), None, ENVELOPE),
        ] {
            let registry = Fake::start(lists_referrers, |_, _| Act::Usual).await;
            let image = registry.image(&[b"a"]);
            let older = refer(&registry, &image, says, artifact, layer);
            registry.list(&image, &[&older]);
            assert_eq!(
                form(&registry, &image).await,
                StatementForm::Attachment,
                "{says:?} {layer}"
            );
        }
    }
}

#[tokio::test]
async fn what_cannot_be_seen_is_looked_for_under_the_tag_and_never_guessed() {
    for code in [401, 403] {
        let registry = Fake::start(true, move |seen, _| match seen.uri.contains("/referrers/") {
            true => Act::Answer(response(code, &[], "")),
            false => Act::Usual,
        })
        .await;
        let image = registry.image(&[b"a"]);
        tag(&registry, &image, "sig", SIMPLE);
        assert_eq!(form(&registry, &image).await, StatementForm::Attachment);
        let bundle = refer(&registry, &image, None, Some(BUNDLE), BUNDLE);
        registry.list(&image, &[&bundle]);
        assert_eq!(form(&registry, &image).await, StatementForm::Bundle);
    }
}

#[tokio::test]
async fn where_a_place_fails_there_is_no_form() {
    let place = Arc::new(AtomicU16::new(0));
    let asked = Arc::clone(&place);
    let image: Arc<str> = Arc::from(digest(b"an image"));
    let places: [String; 4] = [
        "/referrers/".into(),
        format!("/manifests/{}", image.replace(':', "-")),
        format!("/manifests/{}.sig", image.replace(':', "-")),
        format!("/manifests/{}.att", image.replace(':', "-")),
    ];
    let count = places.len();
    for (code, is_passing) in [(403, false), (500, true)] {
        let (places, asked) = (places.clone(), Arc::clone(&asked));
        let registry = Fake::scripted(move |seen, _| {
            let at = usize::from(asked.load(Ordering::SeqCst));
            let is_it = match at {
                // All that says what refers to the image.
                0 => seen.uri.contains(&places[0]) || seen.uri.ends_with(&places[1]),
                _ => seen.uri.ends_with(&places[at]),
            };
            match is_it {
                true => Act::Answer(response(code, &[], "")),
                false => Act::Usual,
            }
        })
        .await;
        registry.held.put_manifest(HERE, &image, MANIFEST, b"an image".to_vec());
        let image = json!({"digest": digest(b"an image")});
        for at in 0..count {
            place.store(at.try_into().unwrap(), Ordering::SeqCst);
            let error = look(&registry, &image).await.unwrap_err();
            assert_eq!(error.is_passing(), is_passing, "{code} at {at}: {error:?}");
        }
    }
    let wrong: Digest = digest(b"another").parse().unwrap();
    let registry = Fake::usual().await;
    registry
        .held
        .put_manifest(HERE, wrong.as_str(), MANIFEST, b"{}".to_vec());
    let error = look(&registry, &json!({"digest": wrong})).await.unwrap_err();
    assert!(error.to_string().contains("than its digest says"), "{error}");
}
