//! What an image consists of and what hangs on it, when either is odd: what is copied all the same, what is named, and what is refused.

use crate::{
    copies::{copy, settings},
    fake::{Act, Fake, HERE, INDEX, MANIFEST, carry, digest_of, list_tag, request},
    odd::{Origin, digest, response},
};
use axum::http::Method;
use domain::copy::{Attached, Attachments};
use serde_json::{Value, json};
use server::{
    adapters::registry::{Copier, CopySettings},
    ports::image_copy::{CopyError, ImageCopier},
};

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const SBOM: &str = "application/spdx+json";

#[tokio::test]
async fn an_index_with_a_missing_child_is_refused_before_anything_is_sent() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let (image, mut gone) = (
        source.image(&[b"a"]),
        json!({"mediaType": MANIFEST, "digest": digest(b"gone"), "size": 9}),
    );
    gone["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let root = source.index(&[&image, &gone]);
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(matches!(error, CopyError::Missing { .. }) && !error.is_passing());
    assert!(
        error
            .to_string()
            .contains(&format!("linux/s390x ({})", digest(b"gone"))),
        "{error}"
    );
    assert!(target.seen().is_empty());
    let nothing = json!({"digest": digest(b"nothing")});
    let error = carry(&source, &target, &nothing).await.unwrap_err();
    assert!(matches!(error, CopyError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_layer_that_may_not_be_passed_on_stays_behind_and_its_addresses_are_never_asked() {
    let elsewhere = Origin::start(|_, _| response(200, &[], "layer")).await;
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let config = source.layer("c", b"{}");
    let mut foreign = json!({"mediaType": FOREIGN, "digest": digest(b"layer"), "size": 5});
    foreign["urls"] = json!([elsewhere.url("/layer")]);
    let held = source.layer(FOREIGN, b"held");
    let image = json!({"schemaVersion": 2, "config": config, "layers": [foreign, held]});
    let root = source.put(MANIFEST, &image);
    let proof = carry(&source, &target, &root).await.unwrap();
    assert_eq!((proof.blobs, proof.sent), (2, 6));
    assert_eq!(proof.left_out.len(), 1);
    assert!(proof.left_out[0].contains(&digest(b"layer")), "{:?}", proof.left_out);
    assert!(elsewhere.seen().is_empty());
    assert_eq!(
        target.held.manifest(HERE, root["digest"].as_str().unwrap()),
        Some(image)
    );
}

#[tokio::test]
async fn an_empty_layer_is_a_layer() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let root = source.image(&[b""]);
    let proof = carry(&source, &target, &root).await.unwrap();
    assert_eq!((proof.blobs, proof.sent), (2, 2));
    assert_eq!(target.held.blob(HERE, &digest(b"")), Some(Vec::new()));
}

#[tokio::test]
async fn layers_are_carried_as_they_are_however_they_are_packed() {
    for kind in [
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.example.layer.v9",
    ] {
        let (source, target) = (Fake::usual().await, Fake::usual().await);
        let bytes = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff];
        let config = source.layer("application/vnd.oci.image.config.v1+json", b"{}");
        let layer = source.layer(kind, &bytes);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let root = source.put(MANIFEST, &manifest);
        let proof = carry(&source, &target, &root).await.unwrap();
        assert_eq!((proof.blobs, proof.sent), (2, 8), "{kind}");
        assert_eq!(target.held.blob(HERE, &digest(&bytes)), Some(bytes.to_vec()), "{kind}");
        assert_eq!(
            target.held.manifest(HERE, &digest_of(&root).to_string()),
            Some(manifest),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_manifest_of_the_first_schema_is_refused_in_a_list_too() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let old = json!({"schemaVersion": 1, "name": "x", "fsLayers": []});
    let old = source.put("application/vnd.docker.distribution.manifest.v1+prettyjws", &old);
    let list = json!({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [old.clone()]});
    let list = source.put("application/vnd.docker.distribution.manifest.list.v2+json", &list);
    for root in [old, list] {
        let error = carry(&source, &target, &root).await.unwrap_err();
        assert!(
            matches!(error, CopyError::Unfit(_)) && error.to_string().contains("schema 1"),
            "{error:?}"
        );
    }
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn an_image_that_is_too_large_is_refused_with_a_sentence() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let root = source.image(&[b"1234", b"5678", b"90"]);
    let small = CopySettings {
        most_bytes: 9,
        ..settings()
    };
    let request = request(&source.repository(), &target.repository(), &digest_of(&root));
    let error = Copier::with_settings(small).unwrap().plan(&request).await.unwrap_err();
    assert!(matches!(error, CopyError::Unfit(_)), "{error:?}");
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn lists_that_name_each_other_end() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let root = source.image(&[b"a"]);
    let one = source.referrer("application/x", &root, b"one");
    let two = source.referrer("application/x", &one, b"two");
    let three = source.referrer("application/x", &two, b"three");
    let four = source.referrer("application/x", &three, b"four");
    source.list(&root, &[&root, &one]);
    source.list(&one, &[&two, &root]);
    source.list(&two, &[&one, &three]);
    source.list(&three, &[&four, &three]);
    let proof = carry(&source, &target, &root).await.unwrap();
    assert_eq!((proof.manifests, proof.attached.others), (4, 3));
    assert_eq!(proof.left_out.len(), 1, "{:?}", proof.left_out);
    assert!(proof.left_out[0].contains("3 levels deep"));
    for (subject, entries) in [(&root, vec![&root, &one]), (&two, vec![&one, &three])] {
        let list = target.held.manifest(HERE, &list_tag(subject)).unwrap();
        assert_eq!(list["manifests"], json!(entries));
    }
    assert_eq!(target.held.manifest(HERE, four["digest"].as_str().unwrap()), None);
}

#[tokio::test]
async fn a_list_that_another_writer_changes_meanwhile_is_added_to_again() {
    let source = Fake::usual().await;
    let root = source.image(&[b"a"]);
    let ours = source.referrer(SBOM, &root, b"ours");
    source.list(&root, &[&ours]);
    let theirs = json!({"mediaType": MANIFEST, "digest": digest(b"theirs"), "size": 1});
    let (tag, other) = (list_tag(&root), theirs.clone());
    // Right after Waybill's first write somebody writes who had read before it.
    let target = Fake::scripted(move |seen, held| {
        let is_read = seen.method == Method::GET && seen.uri.ends_with(&tag);
        if is_read && held.count(&Method::PUT, &tag) == 1 {
            let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other]});
            if held.count(&Method::GET, &tag) == 1 {
                held.put_manifest(HERE, &tag, INDEX, list.to_string().into_bytes());
            }
        }
        Act::Usual
    })
    .await;
    carry(&source, &target, &root).await.unwrap();
    let list = target.held.manifest(HERE, &list_tag(&root)).unwrap();
    assert_eq!(list["manifests"], json!([theirs, ours]));
    assert_eq!(target.count(&Method::PUT, &list_tag(&root)), 2);
}

#[tokio::test]
async fn layers_that_a_copy_adds_are_counted_by_the_configuration() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let (root, same) = (source.image(&[b"a"]), target.image(&[b"a"]));
    assert_eq!(root, same);
    let att = format!("{}.att", list_tag(&root));
    for (registry, by) in [(&source, b"ours".as_slice()), (&target, b"theirs")] {
        let layer = registry.layer("application/vnd.dsse.envelope.v1+json", by);
        let config = json!({"rootfs": {"diff_ids": [layer["digest"]]}}).to_string();
        let config = registry.layer("application/vnd.oci.image.config.v1+json", config.as_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        registry.tag(&att, MANIFEST, &manifest);
    }
    carry(&source, &target, &root).await.unwrap();
    let merged = target.held.manifest(HERE, &att).unwrap();
    let config = target.held.blob(HERE, merged["config"]["digest"].as_str().unwrap());
    let config: Value = serde_json::from_slice(&config.unwrap()).unwrap();
    let both = [b"theirs".as_slice(), b"ours"].map(digest);
    assert_eq!(config["rootfs"]["diff_ids"], json!(both));
    assert_eq!(merged["layers"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn registries_that_list_referrers_and_those_that_do_not_are_copied_between() {
    for (source_lists, target_lists) in [(true, true), (true, false), (false, true)] {
        let source = Fake::start(source_lists, |_, _| Act::Usual).await;
        let target = Fake::start(target_lists, |_, _| Act::Usual).await;
        let root = source.image(&[b"a"]);
        let sbom = source.referrer(SBOM, &root, b"packages");
        let signature = source.referrer("application/vnd.cncf.notary.signature", &sbom, b"signed");
        source.list(&root, &[&sbom]);
        source.list(&sbom, &[&signature]);
        let proof = carry(&source, &target, &root).await.unwrap();
        let Attached { signatures, sboms, .. } = proof.attached;
        assert_eq!((proof.manifests, signatures, sboms), (3, 1, 1));
        assert!(proof.left_out.is_empty(), "{:?}", proof.left_out);
        for (subject, of) in [(&root, &sbom), (&sbom, &signature)] {
            let list = target.held.manifest(HERE, &list_tag(subject));
            let listed = list.map(|list| list["manifests"][0]["digest"].clone());
            assert_eq!(listed, (!target_lists).then(|| of["digest"].clone()));
            assert!(target.held.manifest(HERE, of["digest"].as_str().unwrap()).is_some());
        }
        let again = carry(&source, &target, &root).await.unwrap();
        assert_eq!((again.sent, again.manifests), (0, 3));
        let pushed = target.count(&Method::PUT, "/manifests/");
        assert_eq!(pushed, if target_lists { 3 } else { 5 }, "nothing was pushed again");
    }
}

#[tokio::test]
async fn a_list_with_wrong_types_is_written_with_those_of_the_manifests() {
    let source = Fake::start(true, |seen, held| {
        if !seen.uri.contains("/referrers/") {
            return Act::Usual;
        }
        let entries = held.referring(HERE, seen.uri.rsplit('/').next().unwrap());
        let entries = entries.into_iter().map(|mut entry| {
            entry["artifactType"] = "application/vnd.oci.empty.v1+json".into();
            entry
        });
        let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries.collect::<Vec<_>>()});
        Act::Answer(response(200, &[("content-type", INDEX)], list.to_string()))
    })
    .await;
    let target = Fake::usual().await;
    let root = source.image(&[b"a"]);
    let layer = source.layer(SBOM, b"packages");
    let mut sbom = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SBOM, "config": source.layer("x/y", b"{}"),
        "layers": [layer], "subject": root, "annotations": {"by": "ci"}});
    let mut with_type = source.put(MANIFEST, &sbom);
    with_type["artifactType"] = SBOM.into();
    // A manifest without a type has that of its configuration.
    sbom.as_object_mut().unwrap().remove("artifactType");
    let mut without = source.put(MANIFEST, &sbom);
    without["artifactType"] = "x/y".into();
    let mut wanted = [with_type, without];
    wanted
        .iter_mut()
        .for_each(|entry| entry["annotations"] = json!({"by": "ci"}));
    wanted.sort_by_key(|entry| entry["digest"].to_string());
    carry(&source, &target, &root).await.unwrap();
    let list = target.held.manifest(HERE, &list_tag(&root)).unwrap();
    assert_eq!(list["manifests"], json!(wanted));
}

#[tokio::test]
async fn what_hangs_on_an_image_may_be_left_behind_by_choice() {
    let source = Fake::usual().await;
    let root = source.image(&[b"a"]);
    let sbom = source.referrer(SBOM, &root, b"packages");
    let signature = source.referrer("application/vnd.cncf.notary.signature", &root, b"signed");
    source.list(&root, &[&sbom, &signature]);
    for (attachments, manifests, listed) in [
        (Attachments::All, 3, json!([sbom, signature])),
        (Attachments::Signatures, 2, json!([signature])),
        (Attachments::None, 1, Value::Null),
    ] {
        let target = Fake::usual().await;
        let mut request = request(&source.repository(), &target.repository(), &digest_of(&root));
        request.attachments = attachments;
        let proof = copy(&request).await.unwrap();
        assert_eq!(proof.manifests, manifests, "{attachments}");
        let list = target.held.manifest(HERE, &list_tag(&root)).unwrap_or_default();
        assert_eq!(list["manifests"], listed, "{attachments}");
    }
}

#[tokio::test]
async fn a_referrer_that_is_refused_or_broken_is_named_and_the_image_arrives() {
    let source = Fake::usual().await;
    let root = source.image(&[b"a"]);
    let (refused, broken) = (
        source.referrer(SBOM, &root, b"refused"),
        source.referrer(SBOM, &root, b"broken"),
    );
    let (fine, gone) = (
        source.referrer(SBOM, &root, b"fine"),
        json!({"digest": digest(b"gone"), "size": 4}),
    );
    source.lose(b"broken");
    source.list(&root, &[&refused, &broken, &fine, &gone]);
    let path = format!("/manifests/{}", refused["digest"].as_str().unwrap());
    let target = Fake::scripted(
        move |seen, _| match seen.method == Method::PUT && seen.uri.ends_with(&path) {
            true => Act::Answer(response(
                405,
                &[],
                r#"{"errors":[{"code":"UNSUPPORTED","message":"Invalid JSON syntax"}]}"#,
            )),
            false => Act::Usual,
        },
    )
    .await;
    let proof = carry(&source, &target, &root).await.unwrap();
    assert_eq!((proof.manifests, proof.attached.sboms), (2, 1));
    let notes = proof.left_out.join("\n");
    assert_eq!(proof.left_out.len(), 3, "{notes}");
    for part in [&refused["digest"], &broken["digest"], &gone["digest"]] {
        assert!(notes.contains(part.as_str().unwrap()), "{notes}");
    }
    assert!(notes.contains("UNSUPPORTED Invalid JSON syntax"), "{notes}");
    let list = target.held.manifest(HERE, &list_tag(&root)).unwrap();
    assert_eq!(list["manifests"], json!([fine]));
}

#[tokio::test]
async fn a_manifest_that_is_refused_ends_the_copy_with_the_registrys_words() {
    let source = Fake::usual().await;
    let image = source.image(&[b"a"]);
    let root = source.index(&[&image]);
    for code in [400, 403, 405, 413] {
        let target =
            Fake::scripted(
                move |seen, _| match seen.uri.contains("/manifests/") && seen.method == Method::PUT {
                    true => Act::Answer(response(
                        code,
                        &[],
                        r#"{"errors":[{"code":"DENIED","message":"quota\nused up"}]}"#,
                    )),
                    false => Act::Usual,
                },
            )
            .await;
        let error = carry(&source, &target, &root).await.unwrap_err();
        assert!(
            matches!(error, CopyError::Refused { .. }) && !error.is_passing(),
            "{error:?}"
        );
        assert!(error.to_string().contains("DENIED quotaused up"), "{error}");
        assert_eq!(
            target.held.manifest(HERE, root["digest"].as_str().unwrap()),
            None,
            "its parent isn't tried"
        );
    }
}

#[tokio::test]
async fn what_hangs_on_an_image_never_makes_it_too_large() {
    let source = Fake::usual().await;
    let root = source.image(&[b"12"]);
    let (small, large) = (
        source.referrer(SBOM, &root, b"34"),
        source.referrer(SBOM, &root, b"0123456789"),
    );
    source.list(&root, &[&small, &large]);
    let target = Fake::usual().await;
    let copier = Copier::with_settings(CopySettings {
        most_bytes: 8,
        ..settings()
    });
    let request = request(&source.repository(), &target.repository(), &digest_of(&root));
    let plan = copier.unwrap().plan(&request).await.unwrap();
    assert_eq!((plan.manifests, plan.attached.sboms), (2, 1));
    assert_eq!(plan.left_out.len(), 1);
    assert!(
        plan.left_out[0].contains(large["digest"].as_str().unwrap()),
        "{:?}",
        plan.left_out
    );
}

#[tokio::test]
async fn a_source_that_does_not_list_referrers_to_us_is_said_to_and_its_tags_are_read() {
    for code in [401, 403] {
        let source = Fake::scripted(move |seen, _| match seen.uri.contains("/referrers/") {
            true => Act::Answer(response(code, &[], "")),
            false => Act::Usual,
        })
        .await;
        let (image, other) = (source.image(&[b"a"]), source.image(&[b"b"]));
        let root = source.index(&[&image, &other]);
        let sbom = source.referrer(SBOM, &image, b"packages");
        source.list(&image, &[&sbom]);
        let proof = carry(&source, &Fake::usual().await, &root).await.unwrap();
        assert_eq!(proof.attached.sboms, 1);
        assert_eq!(proof.left_out.len(), 1, "{:?}", proof.left_out);
        assert!(proof.left_out[0].contains("refuses to list"), "{:?}", proof.left_out);
    }
}

#[tokio::test]
async fn a_manifest_that_a_registry_does_not_list_is_pushed_to_it_again() {
    let source = Fake::start(true, |_, _| Act::Usual).await;
    let root = source.image(&[b"a"]);
    let sbom = source.referrer(SBOM, &root, b"packages");
    // It lists what was pushed after its subject: this one was there before.
    let of = sbom["digest"].as_str().unwrap().to_owned();
    let path = format!("/manifests/{of}");
    let target = Fake::start(true, move |seen, held| {
        match seen.uri.contains("/referrers/") && held.count(&Method::PUT, &path) < 1 {
            true => Act::Answer(response(200, &[("content-type", INDEX)], r#"{"manifests":[]}"#)),
            false => Act::Usual,
        }
    })
    .await;
    let bytes = source.held.manifest(HERE, &of).unwrap().to_string().into_bytes();
    target.held.put_manifest(HERE, &of, MANIFEST, bytes);
    let proof = carry(&source, &target, &root).await.unwrap();
    assert_eq!(
        (proof.attached.sboms, proof.left_out.len()),
        (1, 0),
        "{:?}",
        proof.left_out
    );
    assert_eq!(target.count(&Method::PUT, &of), 1);
}

#[tokio::test]
async fn a_registry_that_somebody_else_writes_the_same_manifest_to_is_asked_again() {
    let source = Fake::usual().await;
    let root = source.image(&[b"a"]);
    for refusals in [2, usize::MAX] {
        let target = Fake::scripted(move |seen, held| {
            let is_put = seen.method == Method::PUT && seen.uri.contains("/manifests/");
            match is_put && held.count(&Method::PUT, "/manifests/") < refusals {
                true => Act::Answer(response(
                    400,
                    &[],
                    r#"{"errors":[{"code":"DIGEST_INVALID","message":"no match"}]}"#,
                )),
                false => Act::Usual,
            }
        })
        .await;
        let copied = carry(&source, &target, &root).await;
        match refusals {
            2 => assert_eq!(copied.unwrap().manifests, 1),
            _ => assert!(matches!(copied, Err(CopyError::Refused { .. })), "{copied:?}"),
        }
        assert_eq!(target.count(&Method::PUT, "/manifests/"), 3);
    }
    // What is read while it is written is half of it.
    let of = root["digest"].as_str().unwrap().to_owned();
    let target = Fake::scripted(move |seen, held| {
        let is_read = seen.method == Method::GET && seen.uri.ends_with(&of);
        match is_read && held.count(&Method::GET, &of) == 0 {
            true => Act::Answer(response(200, &[("content-type", MANIFEST)], r#"{"schemaVersion":2,"#)),
            false => Act::Usual,
        }
    })
    .await;
    assert_eq!(carry(&source, &target, &root).await.unwrap().manifests, 1);
}
