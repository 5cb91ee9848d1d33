//! Statements that are hung on images: where they lie then, what of others stays, what registries say to it, and that a second try does no
//! more than the first left over.

use crate::{
    copies::copier,
    fake::{Act, Fake, HERE, Held, INDEX, MANIFEST, digest_of, list_tag},
    odd::{Seen, client, digest, open, response, signed_in, status},
    retag::{end, error, logged, registry, repository, served},
    token_registry::{PASSWORD, TokenRegistry, USER},
};
use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    artifact::{Digest, Repository},
    statement::StatementForm,
    time::Timestamp,
};
use serde_json::{Value, json};
use server::{
    adapters::registry::Copier,
    ports::{
        image_statements::{ImageStatements, StatementHung, StatementParts, StatementSubject},
        registry::{Registry, RegistryAccess, RegistryError},
    },
    signature::{Attached, parts},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use testbed::{ImageSpec, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};

const VSA: &str = "https://slsa.dev/verification_summary/v1";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const FORMS: [StatementForm; 2] = [StatementForm::Bundle, StatementForm::Attachment];

fn envelope(says: &str) -> Vec<u8> {
    json!({"payload": STANDARD.encode(says), "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": STANDARD.encode("signed")}]})
    .to_string()
    .into_bytes()
}

/// A statement about an image, as it is kept before it is pushed.
fn statement(form: StatementForm, image: &Digest, says: &str) -> StatementParts {
    let subject = StatementSubject {
        kind: MANIFEST.into(),
        size: 7,
        form,
    };
    let made = Timestamp(1_764_403_542_000);
    parts(form, &envelope(says), "aGludA==", VSA, &subject, image, made)
}

async fn hang(registry: &Fake, image: &Value, parts: &StatementParts) -> Result<StatementHung, RegistryError> {
    hang_with(&copier(), registry, image, parts).await
}

async fn hang_with(
    copier: &Copier,
    registry: &Fake,
    image: &Value,
    parts: &StatementParts,
) -> Result<StatementHung, RegistryError> {
    let at = end(open(), &registry.repository());
    copier.hang(&at, &digest_of(image), parts).await
}

/// What Waybill finds on an image.
async fn found(access: &RegistryAccess, at: &Repository, image: &Digest) -> Vec<Attached> {
    let found = client().attached(access, at, image, &[VSA]).await.unwrap();
    assert!(found.unseen.is_none(), "{:?}", found.unseen);
    found.attached
}

/// What is read of a statement, where it was hung in that form.
fn read_as(form: StatementForm, image: &Digest, says: &str) -> Attached {
    let layer = statement(form, image, says).layer;
    let read = match form {
        StatementForm::Bundle => Attached::bundle(&layer),
        StatementForm::Attachment => Attached::envelope(&layer, None),
    };
    read.unwrap()
}

fn att_tag(image: &Value) -> String {
    format!("{}.att", list_tag(image))
}

/// The tag at which statements of a form meet others', at a registry that keeps no lists.
fn shared_tag(form: StatementForm, image: &Value) -> String {
    match form {
        StatementForm::Bundle => list_tag(image),
        StatementForm::Attachment => att_tag(image),
    }
}

/// Digests that a tag lists.
fn listed(held: &Held, form: StatementForm, image: &Value) -> Vec<String> {
    let document = held.manifest(HERE, &shared_tag(form, image)).unwrap_or_default();
    let list = match form {
        StatementForm::Bundle => &document["manifests"],
        StatementForm::Attachment => &document["layers"],
    };
    let digests = list.as_array().into_iter().flatten();
    digests
        .map(|entry| entry["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// What the list at that tag names a statement by.
fn named_by(parts: &StatementParts) -> String {
    match parts.form {
        StatementForm::Bundle => digest(&parts.manifest),
        StatementForm::Attachment => digest(&parts.layer),
    }
}

fn writes(registry: &Fake) -> usize {
    registry.count(&Method::PUT, "/") + registry.count(&Method::POST, "/")
}

#[tokio::test]
async fn a_bundle_is_listed_by_the_registry_or_under_the_tag_and_found() {
    for lists_referrers in [true, false] {
        let registry = Fake::start(lists_referrers, |_, _| Act::Usual).await;
        let image = registry.image(&[b"a"]);
        let of = digest_of(&image);
        let ours = statement(StatementForm::Bundle, &of, "ours");
        assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Hung);

        let by = digest(&ours.manifest);
        let manifest: Value = serde_json::from_slice(&ours.manifest).unwrap();
        assert_eq!(registry.held.manifest(HERE, &by), Some(manifest.clone()));
        assert_eq!(registry.held.blob(HERE, &digest(&ours.layer)), Some(ours.layer.clone()));
        let list = registry.held.manifest(HERE, &list_tag(&image));
        let entry = json!({"mediaType": MANIFEST, "digest": by, "size": ours.manifest.len(),
            "artifactType": BUNDLE, "annotations": manifest["annotations"]});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        assert_eq!(list, (!lists_referrers).then_some(index));
        for put in registry.seen().iter().filter(|seen| seen.uri.contains("/manifests/")) {
            let is_ours = put.uri.ends_with(&by) || put.uri.ends_with(&list_tag(&image));
            assert!(put.method != Method::PUT || is_ours, "no other tag: {}", put.uri);
        }
        assert_eq!(
            found(&open(), &registry.repository(), &of).await,
            [read_as(StatementForm::Bundle, &of, "ours")]
        );

        let before = writes(&registry);
        assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Was);
        assert_eq!(writes(&registry), before, "nothing was sent");
    }
}

#[tokio::test]
async fn an_attachment_lies_alone_under_the_tag_as_it_was_made() {
    let registry = Fake::start(true, |_, _| Act::Usual).await;
    let image = registry.image(&[b"a"]);
    let of = digest_of(&image);
    let ours = statement(StatementForm::Attachment, &of, "ours");
    assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Hung);
    let (there, made) = (
        registry.held.manifest(HERE, &att_tag(&image)),
        serde_json::from_slice(&ours.manifest).unwrap(),
    );
    assert_eq!(there, Some(made));
    for blob in [&ours.config, &ours.layer] {
        assert_eq!(registry.held.blob(HERE, &digest(blob)).as_ref(), Some(blob));
    }
    let read = read_as(StatementForm::Attachment, &of, "ours");
    assert_eq!(found(&open(), &registry.repository(), &of).await, [read]);
    let before = writes(&registry);
    assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Was);
    assert_eq!(writes(&registry), before, "nothing was sent");
}

#[tokio::test]
async fn others_entries_of_a_list_stay_as_they_are() {
    let registry = Fake::usual().await;
    let image = registry.image(&[b"a"]);
    let mut theirs = registry.referrer("application/spdx+json", &image, b"packages");
    theirs["artifactType"] = "application/vnd.oci.empty.v1+json".into();
    theirs["x-their-own"] = json!({"deep": [1, 2.5]});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [theirs], "annotations": {"by": "them"}});
    registry.tag(&list_tag(&image), INDEX, &index);
    let ours = statement(StatementForm::Bundle, &digest_of(&image), "ours");
    assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Hung);
    let list = registry.held.manifest(HERE, &list_tag(&image)).unwrap();
    assert_eq!(list["manifests"][0], theirs);
    assert_eq!(list["manifests"][1]["digest"], named_by(&ours));
    assert_eq!(list["annotations"], index["annotations"]);
    let before = writes(&registry);
    assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Was);
    assert_eq!(writes(&registry), before);
}

#[tokio::test]
async fn others_layers_stay_before_ours_and_the_configuration_counts_all() {
    let registry = Fake::usual().await;
    let image = registry.image(&[b"a"]);
    let of = digest_of(&image);
    let mut theirs = registry.layer(ENVELOPE, &envelope("theirs"));
    theirs["annotations"] = json!({"dev.cosignproject.cosign/signature": "", "predicateType": VSA, "bundle": "{}"});
    let config = json!({"author": "them", "rootfs": {"type": "layers", "diff_ids": [theirs["digest"]]}});
    let config = registry.layer(CONFIG, config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [theirs],
        "annotations": {"by": "them"}});
    registry.tag(&att_tag(&image), MANIFEST, &manifest);

    let statements = ["one", "two"].map(|says| statement(StatementForm::Attachment, &of, says));
    for ours in &statements {
        assert_eq!(hang(&registry, &image, ours).await.unwrap(), StatementHung::Hung);
    }
    let merged = registry.held.manifest(HERE, &att_tag(&image)).unwrap();
    assert_eq!(merged["layers"][0], theirs);
    assert_eq!(merged["annotations"], manifest["annotations"]);
    let mut all = vec![theirs["digest"].clone()];
    for (ours, layer) in statements
        .iter()
        .zip(merged["layers"].as_array().unwrap().iter().skip(1))
    {
        let made: Value = serde_json::from_slice(&ours.manifest).unwrap();
        assert_eq!(*layer, made["layers"][0], "with its annotations");
        all.push(layer["digest"].clone());
    }
    // go-containerregistry, with which cosign adds, refuses a manifest with another number of layers.
    let config = registry.held.blob(HERE, merged["config"]["digest"].as_str().unwrap());
    let config = config.unwrap();
    assert_eq!(merged["config"]["size"], config.len());
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        config,
        json!({"author": "them", "rootfs": {"type": "layers", "diff_ids": all}})
    );

    let before = writes(&registry);
    for ours in &statements {
        assert_eq!(hang(&registry, &image, ours).await.unwrap(), StatementHung::Was);
    }
    assert_eq!(writes(&registry), before);
    let found = found(&open(), &registry.repository(), &of).await;
    assert_eq!(
        found,
        ["two", "one", "theirs"].map(|says| read_as(StatementForm::Attachment, &of, says))
    );
}

#[tokio::test]
async fn two_who_write_at_once_in_one_process_wait_for_each_other() {
    for form in FORMS {
        let registry = Fake::usual().await;
        let image = registry.image(&[b"a"]);
        let statements = ["one", "two", "three", "two"].map(|says| statement(form, &digest_of(&image), says));
        let copier = copier();
        let hanging = (statements.iter()).map(|ours| hang_with(&copier, &registry, &image, ours));
        for hung in futures::future::join_all(hanging).await {
            assert!(matches!(hung.unwrap(), StatementHung::Hung | StatementHung::Was));
        }
        let mut there = listed(&registry.held, form, &image);
        let mut wanted: Vec<String> = statements[..3].iter().map(named_by).collect();
        there.sort();
        wanted.sort();
        assert_eq!(there, wanted, "{form}");
        assert_eq!(
            registry.count(&Method::PUT, &shared_tag(form, &image)),
            3,
            "{form}: none overwrote another"
        );
    }
}

/// A registry in which somebody who read a tag before writes it, with theirs alone, each time that Waybill has found its own there; so often.
async fn contested(form: StatementForm, times: usize) -> (Fake, Value, String) {
    let theirs = digest(b"theirs");
    let (done, entry) = (
        AtomicUsize::new(0),
        json!({"mediaType": MANIFEST, "digest": theirs, "size": 6}),
    );
    let registry = Fake::scripted(move |seen, held| {
        let image = held.manifest(HERE, "image").unwrap_or_default();
        let image = json!({"digest": digest(image.to_string().as_bytes())});
        let tag = shared_tag(form, &image);
        let is_read = seen.method == Method::GET && seen.uri.ends_with(&tag);
        // It is read once before each write, and twice after: the second time, others had time to write.
        let written = held.count(&Method::PUT, &tag);
        let read = held.count(&Method::GET, &tag);
        let first = match form {
            StatementForm::Bundle => 1,
            StatementForm::Attachment => 2,
        };
        let is_after =
            is_read && written > 0 && written == done.load(Ordering::SeqCst) + 1 && read == first + 2 * written - 1;
        if is_after && written <= times {
            done.fetch_add(1, Ordering::SeqCst);
            let value = match form {
                StatementForm::Bundle => json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}),
                StatementForm::Attachment => json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [entry]}),
            };
            let kind = value["mediaType"].as_str().unwrap();
            held.put_manifest(HERE, &tag, kind, value.to_string().into_bytes());
        }
        Act::Usual
    })
    .await;
    let image = registry.image(&[b"a"]);
    let value = registry.held.manifest(HERE, image["digest"].as_str().unwrap()).unwrap();
    registry.tag("image", MANIFEST, &value);
    (registry, image, theirs)
}

#[tokio::test]
async fn what_another_process_overwrites_is_added_again_and_not_forever() {
    for form in FORMS {
        let (registry, image, theirs) = contested(form, 2).await;
        let ours = statement(form, &digest_of(&image), "ours");
        assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Hung);
        assert_eq!(
            listed(&registry.held, form, &image),
            [theirs, named_by(&ours)],
            "{form}"
        );
        assert_eq!(registry.count(&Method::PUT, &shared_tag(form, &image)), 3, "{form}");

        let (registry, image, _) = contested(form, usize::MAX).await;
        let error = hang(&registry, &image, &ours).await.unwrap_err();
        assert!(error.is_passing(), "{error:?}");
        assert!(error.to_string().contains(&shared_tag(form, &image)), "{error}");
        assert!(registry.count(&Method::PUT, &shared_tag(form, &image)) < 10);
    }
}

#[tokio::test]
async fn what_lies_under_a_tag_and_cannot_be_added_to_is_left() {
    let odd = [
        (
            StatementForm::Bundle,
            MANIFEST,
            json!({"schemaVersion": 2, "layers": [{"digest": "x"}]}),
        ),
        (
            StatementForm::Attachment,
            INDEX,
            json!({"schemaVersion": 2, "manifests": []}),
        ),
    ];
    for (form, kind, theirs) in odd {
        let registry = Fake::usual().await;
        let image = registry.image(&[b"a"]);
        let tag = shared_tag(form, &image);
        registry.tag(&tag, kind, &theirs);
        let ours = statement(form, &digest_of(&image), "ours");
        let StatementHung::Refused(words) = hang(&registry, &image, &ours).await.unwrap() else {
            panic!("{form}: it was overwritten");
        };
        assert!(
            words.contains(&tag) && words.contains("doesn't overwrite it"),
            "{words}"
        );
        assert!(!words.ends_with('.'), "{words}");
        assert_eq!(registry.held.manifest(HERE, &tag), Some(theirs));
        assert_eq!(registry.count(&Method::PUT, &tag), 0);
    }
}

#[tokio::test]
async fn a_repository_without_the_image_gets_nothing() {
    let registry = Fake::usual().await;
    let absent = json!({"digest": digest(b"nobody pushed this")});
    for form in FORMS {
        let ours = statement(form, &digest_of(&absent), "ours");
        assert_eq!(hang(&registry, &absent, &ours).await.unwrap(), StatementHung::NoImage);
    }
    assert_eq!(writes(&registry), 0);
}

/// The requests with which each part is written, in turn.
fn is_write(seen: &Seen, step: usize) -> bool {
    match step {
        0 => seen.method == Method::POST,
        1 => seen.method == Method::PUT && seen.uri.contains("/uploads/"),
        2 => seen.method == Method::PUT && seen.uri.contains("/manifests/sha256:"),
        _ => seen.method == Method::PUT && seen.uri.contains("/manifests/sha256-"),
    }
}

#[tokio::test]
async fn a_registry_that_refuses_is_heard_and_one_that_fails_is_asked_later() {
    for form in FORMS {
        for step in (0..4).filter(|step| form == StatementForm::Bundle || *step != 2) {
            for (code, body, words) in [
                (
                    400,
                    error("MANIFEST_INVALID", "not like this."),
                    "MANIFEST_INVALID not like this",
                ),
                (
                    401,
                    error("UNAUTHORIZED", "no right to push"),
                    "UNAUTHORIZED no right to push",
                ),
                (403, error("DENIED", "quota used up"), "DENIED quota used up"),
                (405, error("UNSUPPORTED", ""), "UNSUPPORTED"),
                (409, "<html>locked</html>".into(), "it answered 409 Conflict"),
                (412, error("PRECONDITION", "immutable"), "PRECONDITION immutable"),
                (413, String::new(), "it answered 413 Payload Too Large"),
            ] {
                let registry = Fake::scripted(move |seen, _| match is_write(seen, step) {
                    true => Act::Answer(response(code, &[], body.clone())),
                    false => Act::Usual,
                })
                .await;
                let image = registry.image(&[b"a"]);
                let ours = statement(form, &digest_of(&image), "ours");
                let hung = hang(&registry, &image, &ours).await.unwrap();
                assert_eq!(hung, StatementHung::Refused(words.into()), "{form} {step} {code}");
                assert_eq!(listed(&registry.held, form, &image), [""; 0], "{form} {step} {code}");
            }
            for code in [408, 429, 500, 503] {
                let registry = Fake::scripted(move |seen, _| match is_write(seen, step) {
                    true => Act::Answer(status(code)),
                    false => Act::Usual,
                })
                .await;
                let image = registry.image(&[b"a"]);
                let ours = statement(form, &digest_of(&image), "ours");
                let error = hang(&registry, &image, &ours).await.unwrap_err();
                assert!(error.is_passing(), "{form} {step} {code}: {error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_try_that_was_cut_short_anywhere_is_finished_by_the_next() {
    for (form, lists_referrers) in [(FORMS[0], true), (FORMS[0], false), (FORMS[1], false)] {
        // Whether what was sent last arrived can't be told.
        for arrives in [true, false] {
            let mut was_whole = false;
            for cut in 0.. {
                let left = Arc::new(AtomicUsize::new(cut));
                let counted = Arc::clone(&left);
                let registry = Fake::start(lists_referrers, move |seen, _| {
                    if seen.method.is_safe() {
                        return Act::Usual;
                    }
                    let left = counted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                    match (left, arrives) {
                        (Ok(_), _) => Act::Usual,
                        (Err(_), true) => Act::Lost,
                        (Err(_), false) => Act::Answer(status(502)),
                    }
                })
                .await;
                let image = registry.image(&[b"a"]);
                let ours = statement(form, &digest_of(&image), "ours");
                match hang(&registry, &image, &ours).await {
                    Ok(hung) => {
                        assert_eq!(hung, StatementHung::Hung);
                        assert!(cut >= 3, "{form}: it has that much to write");
                        was_whole = true;
                    }
                    Err(error) => assert!(error.is_passing(), "{error:?}"),
                }
                left.store(usize::MAX, Ordering::SeqCst);
                let hung = hang(&registry, &image, &ours).await.unwrap();
                assert!(matches!(hung, StatementHung::Hung | StatementHung::Was), "{hung:?}");
                let there = match lists_referrers {
                    true => {
                        let entries = registry.held.referring(HERE, image["digest"].as_str().unwrap());
                        let digests = entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned());
                        digests.collect()
                    }
                    false => listed(&registry.held, form, &image),
                };
                assert_eq!(there, [named_by(&ours)], "{form}, cut after {cut}");
                assert_eq!(
                    found(&open(), &registry.repository(), &digest_of(&image)).await,
                    [read_as(form, &digest_of(&image), "ours")]
                );
                let before = writes(&registry);
                assert_eq!(hang(&registry, &image, &ours).await.unwrap(), StatementHung::Was);
                assert_eq!(writes(&registry), before);
                if was_whole {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_takes_its_time_is_waited_for_and_one_without_ours_is_no_success() {
    for (late, is_listed) in [(2, true), (usize::MAX, false)] {
        let registry = Fake::start(true, move |seen, held| {
            let is_list = seen.uri.contains("/referrers/");
            match is_list && held.count(&Method::GET, "/referrers/") < late {
                true => Act::Answer(response(200, &[("content-type", INDEX)], r#"{"manifests":[]}"#)),
                false => Act::Usual,
            }
        })
        .await;
        let image = registry.image(&[b"a"]);
        let ours = statement(StatementForm::Bundle, &digest_of(&image), "ours");
        let hung = hang(&registry, &image, &ours).await;
        match is_listed {
            true => assert_eq!(hung.unwrap(), StatementHung::Hung),
            false => {
                let error = hung.unwrap_err();
                assert!(
                    error.is_passing() && error.to_string().contains(&named_by(&ours)),
                    "{error:?}"
                );
            }
        }
        assert_eq!(
            registry.held.manifest(HERE, &list_tag(&image)),
            None,
            "the list is the registry's"
        );
        assert_eq!(registry.count(&Method::PUT, "/manifests/"), 1);
    }
}

#[tokio::test]
async fn a_registry_that_says_yes_and_keeps_nothing_is_no_success() {
    for (form, part) in [
        (FORMS[0], "/uploads/"),
        (FORMS[0], "/manifests/sha256:"),
        (FORMS[0], "/manifests/sha256-"),
        (FORMS[1], "/uploads/"),
        (FORMS[1], "/manifests/sha256-"),
    ] {
        let registry = Fake::scripted(
            move |seen, _| match seen.method == Method::PUT && seen.uri.contains(part) {
                true => Act::Answer(status(201)),
                false => Act::Usual,
            },
        )
        .await;
        let image = registry.image(&[b"a"]);
        let ours = statement(form, &digest_of(&image), "ours");
        let error = hang(&registry, &image, &ours).await.unwrap_err();
        assert!(error.is_passing(), "{form} {part}: {error:?}");
    }
}

#[tokio::test]
async fn a_real_registry_takes_both_forms_beside_what_others_hung_there() {
    let (directory, registry) = registry().await;
    let api = repository(&registry);
    let image = registry.push_image(HERE, "v1", &ImageSpec::new("api")).await.unwrap();
    let image: Digest = image.parse().unwrap();
    let at = end(open(), &api);
    let subject = copier().look(&at, &image).await.unwrap().unwrap();
    assert_eq!(subject.form, StatementForm::Bundle);
    let (kind, bytes) = served(&registry, image.as_str()).await.unwrap();
    assert_eq!((subject.kind, subject.size), (kind, bytes.len() as u64));
    // First the attachments: where a bundle hangs, nobody should add one.
    let [bundle, attachment] = FORMS;
    for (form, says) in [
        (attachment, "one"),
        (attachment, "two"),
        (bundle, "three"),
        (bundle, "four"),
    ] {
        let ours = statement(form, &image, says);
        assert_eq!(copier().hang(&at, &image, &ours).await.unwrap(), StatementHung::Hung);
        assert_eq!(copier().look(&at, &image).await.unwrap().unwrap().form, form);
        let from = registry.log().len();
        assert_eq!(copier().hang(&at, &image, &ours).await.unwrap(), StatementHung::Was);
        for method in ["PUT ", "POST ", "DELETE ", "PATCH "] {
            assert_eq!(logged(&registry, from, method), 0, "{says}");
        }
    }
    let all = [
        (attachment, "two"),
        (attachment, "one"),
        (bundle, "four"),
        (bundle, "three"),
    ];
    let all = all.map(|(form, says)| read_as(form, &image, says));
    assert_eq!(found(&open(), &api, &image).await, all);

    // And with credentials, by tokens and by password.
    drop(registry);
    let tokens = TokenRegistry::start(directory.path()).await;
    let api: Repository = format!("{}/{HERE}", tokens.host()).parse().unwrap();
    let five = statement(StatementForm::Bundle, &image, "five");
    let wrong = end(signed_in(USER, "wrong"), &api);
    let error = copier().hang(&wrong, &image, &five).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    let at = end(signed_in(USER, PASSWORD), &api);
    assert_eq!(copier().hang(&at, &image, &five).await.unwrap(), StatementHung::Hung);
    drop(tokens);
    let mut options = RegistryOptions::new(directory.path());
    options.auth = true;
    let registry = testbed::OciRegistry::start(options).await.unwrap();
    let at = end(signed_in(REGISTRY_USER, REGISTRY_PASSWORD), &repository(&registry));
    assert_eq!(copier().hang(&at, &image, &five).await.unwrap(), StatementHung::Was);
    let six = statement(StatementForm::Attachment, &image, "six");
    assert_eq!(copier().hang(&at, &image, &six).await.unwrap(), StatementHung::Hung);
    assert_eq!(found(&at.access, &at.repository, &image).await.len(), 6);
}
