//! Looks whether images can still be pulled: what is gone is named, and nothing else is taken for gone.

use crate::{
    copies::{copier, settings},
    fake::{Act, Fake, HERE, LAYER, MANIFEST, digest_of},
    odd::{Seen, digest, open, response, signed_in, status},
};
use axum::{body::Body, http::Method};
use domain::{
    artifact::{Digest, Repository},
    presence::{ImagePart, PartKind, Presence},
};
use futures::stream;
use serde_json::{Value, json};
use server::{
    adapters::registry::{Copier, CopySettings},
    ports::{
        image_copy::{CopyEnd, CopyError},
        image_look::{ImageLook, LookPace},
        registry::{RegistryAccess, RegistryError},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use testbed::{ImageSpec, OciRegistry, RegistryOptions};
use tokio::sync::watch;

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const HOUR: Duration = Duration::from_secs(3600);
/// Longer than any of this takes, and shorter than what would be wrong.
const PATIENCE: Duration = Duration::from_secs(60);

fn end(access: RegistryAccess, repository: &Repository) -> CopyEnd {
    CopyEnd {
        access,
        repository: repository.clone(),
    }
}

async fn look(at: &Repository, digest: &Digest, known: &[ImagePart]) -> Result<Presence, CopyError> {
    copier().look(&end(open(), at), digest, known, LookPace::Now).await
}

/// A copier whose looks that have time wait so long between two requests.
fn unhurried(look_interval: Duration) -> Copier {
    Copier::with_settings(CopySettings {
        look_interval,
        ..settings()
    })
    .unwrap()
}

fn manifest(descriptor: &Value) -> ImagePart {
    part(PartKind::Manifest, descriptor)
}

fn part(kind: PartKind, descriptor: &Value) -> ImagePart {
    ImagePart {
        kind,
        digest: digest_of(descriptor),
        size: descriptor["size"].as_u64(),
    }
}

fn blob(bytes: &[u8]) -> ImagePart {
    part(PartKind::Blob, &json!({"digest": digest(bytes), "size": bytes.len()}))
}

fn sorted(mut parts: Vec<ImagePart>) -> Vec<ImagePart> {
    parts.sort();
    parts
}

/// Methods and the last parts of the paths of what a registry was asked, from a request on.
fn asked(seen: &[Seen]) -> Vec<(Method, String)> {
    let what = |seen: &Seen| (seen.method.clone(), seen.uri.rsplit('/').next().unwrap().to_owned());
    seen.iter().map(what).collect()
}

/// Where a registry keeps the bytes of a blob or manifest.
fn stored(directory: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    directory.join(format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
}

/// A registry that was just started knows only what its files say.
async fn serve(directory: &Path) -> (OciRegistry, Repository) {
    let registry = OciRegistry::start(RegistryOptions::new(directory)).await.unwrap();
    let repository = format!("{}/{HERE}", registry.host()).parse().unwrap();
    (registry, repository)
}

#[tokio::test]
async fn a_real_registry_that_lost_files_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, at) = serve(directory.path()).await;
    let spec = ImageSpec::new("api").platforms(&["linux/amd64", "linux/arm64"]);
    let root: Digest = (registry.push_image(HERE, "v1", &spec).await.unwrap()).parse().unwrap();
    let all = look(&at, &root, &[]).await.unwrap();
    assert_eq!(all.missing, []);
    let kinds = |kind| all.parts.iter().filter(|part| part.kind == kind).count();
    assert_eq!((kinds(PartKind::Manifest), kinds(PartKind::Blob)), (3, 4));
    assert_eq!(all.parts[0].digest, root);
    for part in &all.parts {
        let bytes = std::fs::read(stored(directory.path(), &part.digest)).unwrap();
        assert_eq!(part.size, Some(bytes.len() as u64), "{part}");
    }

    let begin = registry.log().len();
    assert_eq!(look(&at, &root, &all.parts).await.unwrap(), all);
    let log = registry.log();
    let requests = log[begin..].lines().filter(|line| line.contains("HTTP/1.1\" "));
    let (heads, others): (Vec<&str>, Vec<&str>) = requests.partition(|line| line.contains("\"HEAD /v2/"));
    assert_eq!((heads.len(), others.len()), (7, 0), "{others:?}");

    // One of each: a file that is gone, one that was cut short, and a platform's manifest.
    let blobs: Vec<&ImagePart> = all.parts.iter().filter(|part| part.kind == PartKind::Blob).collect();
    let (gone, cut, child) = (blobs[0], blobs[1], &all.parts[1]);
    for part in [gone, cut, child] {
        let file = stored(directory.path(), &part.digest);
        let mut bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        if part == cut {
            bytes.pop();
            std::fs::write(&file, bytes).unwrap();
        }
    }
    drop(registry);
    let (_registry, at) = serve(directory.path()).await;
    let found = look(&at, &root, &all.parts).await.unwrap();
    assert_eq!(found.parts, all.parts);
    assert_eq!(
        sorted(found.missing),
        sorted(vec![gone.clone(), cut.clone(), child.clone()])
    );
    let walked = look(&at, &root, &[]).await.unwrap();
    assert!(walked.missing.contains(child), "{walked:?}");
    assert!(
        walked.parts.len() < all.parts.len(),
        "what the child names isn't known any more"
    );

    std::fs::remove_file(stored(directory.path(), &root)).unwrap();
    let (_registry, at) = serve(directory.path()).await;
    let nothing = look(&at, &root, &[]).await.unwrap();
    let alone = ImagePart {
        kind: PartKind::Manifest,
        digest: root.clone(),
        size: None,
    };
    assert_eq!((nothing.parts, nothing.missing), (vec![alone.clone()], vec![alone]));
}

#[tokio::test]
async fn what_is_gone_is_gathered_and_the_look_goes_on() {
    let registry = Fake::usual().await;
    let (one, two) = (registry.image(&[b"one", b"lost"]), registry.image(&[b"two", b"shared"]));
    let inner = registry.index(&[&two]);
    let gone = json!({"mediaType": MANIFEST, "digest": digest(b"gone"), "size": 4});
    let layer = registry.layer(LAYER, b"layer in an index");
    let lost_layer = json!({"mediaType": LAYER, "digest": digest(b"gone too"), "size": 8});
    let mut odd = registry.image(&[b"shared"]);
    odd["mediaType"] = "application/x".into();
    let root = registry.index(&[&one, &gone, &inner, &layer, &lost_layer, &odd, &one]);
    registry.lose(b"lost");
    let at = registry.repository();
    let found = look(&at, &digest_of(&root), &[]).await.unwrap();
    let lost = [manifest(&gone), part(PartKind::Blob, &lost_layer), blob(b"lost")];
    let there = [
        manifest(&root),
        manifest(&one),
        manifest(&inner),
        manifest(&two),
        manifest(&odd),
        part(PartKind::Blob, &layer),
        blob(b"{}"),
        blob(b"one"),
        blob(b"two"),
        blob(b"shared"),
    ];
    assert_eq!(sorted(found.missing.clone()), sorted(lost.to_vec()));
    assert_eq!(sorted(found.parts.clone()), sorted([&lost[..], &there[..]].concat()));
    assert_eq!(found.parts[0], manifest(&root));

    let before = registry.seen().len();
    assert_eq!(look(&at, &digest_of(&root), &found.parts).await.unwrap(), found);
    let seen = registry.seen().split_off(before);
    assert!(
        seen.iter().all(|seen| seen.method == Method::HEAD),
        "{:?}",
        asked(&seen)
    );
    assert_eq!(seen.len(), found.parts.len(), "each once");

    // Whatever is there again is found again.
    registry.layer(LAYER, b"lost");
    let healed = look(&at, &digest_of(&root), &found.parts).await.unwrap();
    assert!(!healed.missing.contains(&blob(b"lost")) && healed.missing.len() == 2);
    assert_eq!(
        registry.count(&Method::PUT, "/") + registry.count(&Method::POST, "/"),
        0
    );
    assert_eq!(registry.count(&Method::DELETE, "/"), 0);
}

#[tokio::test]
async fn only_the_parts_that_are_known_are_asked_for() {
    let registry = Fake::usual().await;
    let root = registry.image(&[b"one", b"two"]);
    let known = [blob(b"two"), manifest(&root), blob(b"never heard of")];
    let found = look(&registry.repository(), &digest_of(&root), &known).await.unwrap();
    assert_eq!(found.parts, known);
    assert_eq!(found.missing, [blob(b"never heard of")]);
    assert_eq!(registry.seen().len(), 3);
    assert_eq!(registry.count(&Method::HEAD, "/"), 3);
    // Nobody knows how large it should be.
    let unsized_ = [ImagePart {
        size: None,
        ..blob(b"two")
    }];
    let found = look(&registry.repository(), &digest_of(&root), &unsized_)
        .await
        .unwrap();
    assert_eq!(found.missing, []);
}

#[tokio::test]
async fn something_else_in_the_place_of_a_part_is_not_the_part() {
    let path = format!("/blobs/{}", digest(b"twelve bytes"));
    let registry = Fake::scripted(move |seen, _| match seen.uri.ends_with(&path) {
        true => Act::Answer(response(200, &[("content-length", "11")], "")),
        false => Act::Usual,
    })
    .await;
    let (cut, other) = (registry.image(&[b"twelve bytes"]), registry.image(&[b"other"]));
    let root = registry.index(&[&cut, &other]);
    let of = digest_of(&other);
    registry
        .held
        .put_manifest(HERE, of.as_str(), MANIFEST, br#"{"layers":[]}"#.to_vec());
    let at = registry.repository();
    let found = look(&at, &digest_of(&root), &[]).await.unwrap();
    assert_eq!(
        sorted(found.missing),
        sorted(vec![manifest(&other), blob(b"twelve bytes")])
    );
    let path = format!("/manifests/{of}");
    assert_eq!(registry.count(&Method::GET, &path), 2, "it may just have been written");

    // By HEAD, the digest is all that is seen of it.
    let known = [manifest(&root), manifest(&other), blob(b"twelve bytes")];
    let found = look(&at, &digest_of(&root), &known).await.unwrap();
    assert_eq!(found.missing, known[1..]);
}

#[tokio::test]
async fn a_layer_that_may_not_be_passed_on_is_a_part_only_where_it_is_held() {
    let registry = Fake::usual().await;
    let config = registry.layer("c", b"{}");
    let elsewhere = json!({"mediaType": FOREIGN, "digest": digest(b"elsewhere"), "size": 9});
    let held = registry.layer(FOREIGN, b"held");
    let both = json!({"mediaType": FOREIGN, "digest": digest(b"both"), "size": 4});
    let mut own = both.clone();
    own["mediaType"] = LAYER.into();
    let image = json!({"schemaVersion": 2, "config": config, "layers": [elsewhere, held, both, own]});
    let root = registry.put(MANIFEST, &image);
    let found = look(&registry.repository(), &digest_of(&root), &[]).await.unwrap();
    assert_eq!(
        found.missing,
        [blob(b"both")],
        "where it is a layer like others, too, it must be there"
    );
    assert_eq!(
        sorted(found.parts),
        sorted(vec![manifest(&root), blob(b"{}"), blob(b"held"), blob(b"both")])
    );
}

#[tokio::test]
async fn only_what_a_registry_says_to_be_gone_is_gone() {
    type Want = fn(&CopyError) -> bool;
    let is_passing: Want = |error| matches!(error, CopyError::Target(_)) && error.is_passing();
    let is_refused: Want = |error| matches!(error, CopyError::Target(RegistryError::Unauthorized { .. }));
    let is_odd: Want = |error| matches!(error, CopyError::Target(RegistryError::Protocol { .. }));
    for (code, kind, want) in [
        (500, "text/plain", is_passing),
        (503, "text/plain", is_passing),
        (429, "text/plain", is_passing),
        (401, "text/plain", is_refused),
        (403, "text/plain", is_refused),
        (400, "text/plain", is_odd),
        (405, "text/plain", is_odd),
        (301, "text/plain", is_odd),
        (200, "text/html", is_odd),
    ] {
        for part in ["/blobs/", "/manifests/"] {
            for gentle in [false, true] {
                let registry = Fake::scripted(move |seen, _| match seen.uri.contains(part) {
                    true => Act::Answer(response(code, &[("content-type", kind)], "<html>")),
                    false => Act::Usual,
                })
                .await;
                let root = registry.image(&[b"one"]);
                let (at, copier) = (end(open(), &registry.repository()), unhurried(Duration::ZERO));
                let pace = if gentle { LookPace::Gentle } else { LookPace::Now };
                for known in [&[][..], &[manifest(&root), blob(b"one")]] {
                    let error = copier.look(&at, &digest_of(&root), known, pace).await.unwrap_err();
                    assert!(want(&error), "{code} for {part}: {error:?}");
                }
            }
        }
    }
    // Harbor had a time when it said so.
    for (code, words) in [
        ("UNKNOWN", "artifact not found"),
        ("NAME_UNKNOWN", ""),
        ("MANIFEST_UNKNOWN", ""),
    ] {
        let registry = Fake::scripted(move |seen, _| {
            let body = json!({"errors": [{"code": code, "message": words}]}).to_string();
            let is_head = seen.method == Method::HEAD;
            Act::Answer(response(400, &[], if is_head { String::new() } else { body }))
        })
        .await;
        let root = json!({"digest": digest(b"root"), "size": 4});
        for known in [&[][..], &[manifest(&root)]] {
            let found = look(&registry.repository(), &digest_of(&root), known).await.unwrap();
            assert_eq!(found.missing.len(), 1, "{code}");
        }
    }
    // And some registries know no HEAD.
    let registry = Fake::scripted(
        |seen, _| match seen.method == Method::HEAD && seen.uri.contains("/manifests/") {
            true => Act::Answer(status(405)),
            false => Act::Usual,
        },
    )
    .await;
    let root = registry.image(&[b"one"]);
    let known = [manifest(&root), blob(b"one")];
    let found = look(&registry.repository(), &digest_of(&root), &known).await.unwrap();
    assert_eq!(found.missing, []);
}

#[tokio::test]
async fn what_is_too_much_or_cannot_be_read_is_an_error_with_a_sentence() {
    let registry = Fake::usual().await;
    let many: Vec<Value> = (0..1_000)
        .map(|n| json!({"mediaType": MANIFEST, "digest": digest(&[u8::try_from(n % 251).unwrap(), u8::try_from(n / 251).unwrap()]), "size": 2}))
        .collect();
    let many = registry.index(&many.iter().collect::<Vec<_>>());
    let blobs: Vec<Value> = (0..10_001)
        .map(|n: u32| json!({"mediaType": LAYER, "digest": digest(&n.to_be_bytes()), "size": 4}))
        .collect();
    let blobs = registry.put(
        MANIFEST,
        &json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": blobs}),
    );
    let mut deep = registry.image(&[b"a"]);
    for _ in 0..8 {
        deep = registry.index(&[&deep]);
    }
    let old = json!({"schemaVersion": 1, "name": "x", "fsLayers": []});
    let old = registry.put("application/vnd.docker.distribution.manifest.v1+prettyjws", &old);
    let odd = registry.put(MANIFEST, &json!({"schemaVersion": 2, "layers": [{"digest": "md5:0"}]}));
    let text = registry.put(MANIFEST, &json!("text"));
    for (root, want) in [
        (many, "names more than 1000 manifests"),
        (blobs, "names more than 10000 blobs"),
        (deep, "more than 8 levels"),
        (old, "schema 1. Push the image again"),
        (odd, "no SHA-256 digest"),
        (text, "wrong field"),
    ] {
        let error = look(&registry.repository(), &digest_of(&root), &[]).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CopyError::Unfit(_)), "{want}: {error:?}");
        assert!(text.starts_with("Waybill can't look at sha256:"), "{text}");
        assert!(text.contains(want) && text.ends_with('.'), "{text}");
    }
    assert_eq!(
        registry.count(&Method::HEAD, "/"),
        0,
        "it is refused before it is a burden"
    );
}

#[tokio::test]
async fn a_look_that_has_time_asks_one_after_the_other_and_each_in_its_turn() {
    const APART: Duration = Duration::from_millis(10);
    let registry = Fake::usual().await;
    let (one, two) = (registry.image(&[b"one"]), registry.image(&[b"two"]));
    let root = registry.index(&[&one, &two]);
    let (at, copier) = (end(open(), &registry.repository()), unhurried(APART));
    let began = Instant::now();
    let found = copier
        .look(&at, &digest_of(&root), &[], LookPace::Gentle)
        .await
        .unwrap();
    assert!(began.elapsed() >= APART * 5, "six requests");
    let mut want: Vec<(Method, String)> = [&root, &one, &two]
        .iter()
        .map(|of| (Method::GET, digest_of(of).to_string()))
        .collect();
    let blobs = found.parts.iter().filter(|part| part.kind == PartKind::Blob);
    want.extend(blobs.map(|blob| (Method::HEAD, blob.digest.to_string())));
    assert_eq!(asked(&registry.seen()), want);
    assert_eq!(want.len(), 6);

    // All looks of a process share the turns, those of a copier's clones, too.
    let clone = copier.clone();
    let (root, before) = (digest_of(&root), registry.seen().len());
    let began = Instant::now();
    let looks = futures::try_join!(
        copier.look(&at, &root, &found.parts, LookPace::Gentle),
        clone.look(&at, &root, &found.parts, LookPace::Gentle),
    );
    assert_eq!(looks.unwrap(), (found.clone(), found));
    assert_eq!(registry.seen().len() - before, 12);
    assert!(began.elapsed() >= APART * 11);
}

#[tokio::test]
async fn a_look_that_somebody_waits_for_takes_no_turns_and_each_host_has_its_own() {
    let registries = [Fake::usual().await, Fake::usual().await];
    let copier = unhurried(HOUR);
    let nothing: Digest = digest(b"nothing").parse().unwrap();
    let looking = async {
        for registry in &registries {
            let at = end(open(), &registry.repository());
            // This takes the only turn of this hour.
            let found = copier.look(&at, &nothing, &[], LookPace::Gentle).await.unwrap();
            assert_eq!(found.missing.len(), 1);
            let layers: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n]).collect();
            let root = registry.image(&layers.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let found = copier.look(&at, &digest_of(&root), &[], LookPace::Now).await.unwrap();
            assert_eq!((found.parts.len(), found.missing.len()), (42, 0));
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .expect("it waits for turns");
    let mut looking = Box::pin(async {
        let at = end(open(), &registries[0].repository());
        copier.look(&at, &nothing, &[], LookPace::Gentle).await
    });
    assert!(futures::poll!(&mut looking).is_pending());
    assert_eq!(
        registries[0].count(&Method::GET, nothing.as_str()),
        1,
        "the hour isn't over"
    );
}

#[tokio::test]
async fn a_look_that_has_time_waits_for_each_answer_and_another_does_not() {
    for pace in [LookPace::Gentle, LookPace::Now] {
        let (open_now, (most, seen_most)) = (Arc::new(AtomicUsize::new(0)), watch::channel(0));
        let registry = Fake::scripted(move |seen, held| {
            let of = seen.uri.rsplit('/').next().unwrap();
            let image = held.manifest(HERE, of).filter(|value| value["layers"].is_array());
            let Some(image) = image.filter(|_| seen.method == Method::GET) else {
                return Act::Usual;
            };
            let now = open_now.fetch_add(1, Ordering::SeqCst) + 1;
            most.send_modify(|most| *most = now.max(*most));
            let (open_now, mut seen_most) = (Arc::clone(&open_now), most.subscribe());
            let body = stream::once(async move {
                match pace {
                    // If others were asked for meanwhile, they would come.
                    LookPace::Gentle => {
                        for _ in 0..1000 {
                            tokio::task::yield_now().await;
                        }
                    }
                    LookPace::Now => drop(seen_most.wait_for(|most| *most > 1).await),
                }
                open_now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(image.to_string())
            });
            Act::Answer(response(200, &[("content-type", MANIFEST)], Body::from_stream(body)))
        })
        .await;
        let images: Vec<Value> = (0..8_u8).map(|n| registry.image(&[&[n]])).collect();
        let root = digest_of(&registry.index(&images.iter().collect::<Vec<_>>()));
        let (at, copier) = (end(open(), &registry.repository()), unhurried(Duration::ZERO));
        let looking = copier.look(&at, &root, &[], pace);
        let found = tokio::time::timeout(PATIENCE, looking)
            .await
            .expect("it waits for each");
        assert_eq!(found.unwrap().missing, []);
        let most = *seen_most.borrow();
        assert!((most == 1) == (pace == LookPace::Gentle), "{pace:?}: {most}");
        assert!(most <= 16);
    }
}

#[tokio::test]
async fn a_host_that_asks_to_slow_down_is_asked_half_as_often() {
    const APART: Duration = Duration::from_millis(10);
    let registry = Fake::scripted(|seen, held| match (&seen.method, held.count(&Method::HEAD, "/")) {
        (&Method::HEAD, 1) => Act::Answer(status(429)),
        (&Method::HEAD, 4) => Act::Answer(status(502)),
        _ => Act::Usual,
    })
    .await;
    let root = registry.image(&[b"one", b"two"]);
    let known = [manifest(&root), blob(b"{}"), blob(b"one"), blob(b"two")];
    let (at, copier) = (end(open(), &registry.repository()), unhurried(APART));
    let began = Instant::now();
    let found = copier
        .look(&at, &digest_of(&root), &known, LookPace::Gentle)
        .await
        .unwrap();
    assert_eq!(found.missing, []);
    let mut want: Vec<(Method, String)> = known
        .iter()
        .map(|part| (Method::HEAD, part.digest.to_string()))
        .collect();
    want.insert(1, want[1].clone());
    want.insert(4, want[4].clone());
    assert_eq!(asked(&registry.seen()), want, "what was refused is asked for again");
    assert!(began.elapsed() >= APART + 4 * 2 * APART);

    // It gives up in the end, as nobody waits.
    let registry = Fake::scripted(|_, _| Act::Answer(status(429))).await;
    let at = end(open(), &registry.repository());
    let error = copier
        .look(&at, &digest_of(&root), &known, LookPace::Gentle)
        .await
        .unwrap_err();
    assert!(
        matches!(error, CopyError::Target(RegistryError::Throttled { .. })),
        "{error:?}"
    );
    assert_eq!(registry.seen().len(), 3);
}

#[tokio::test]
async fn what_follows_a_challenge_has_a_turn_of_its_own() {
    const APART: Duration = Duration::from_millis(10);
    let registry = Fake::scripted(|seen, _| {
        let host = seen.header("host").unwrap();
        match (seen.uri.starts_with("/token"), seen.header("authorization")) {
            (true, _) => Act::Answer(response(200, &[], r#"{"token": "t"}"#)),
            (_, Some("Bearer t")) => Act::Usual,
            _ => {
                let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                Act::Answer(response(401, &[("www-authenticate", &challenge)], ""))
            }
        }
    })
    .await;
    let root = registry.image(&[b"one"]);
    let at = end(signed_in("robot", "secret"), &registry.repository());
    let began = Instant::now();
    let found = unhurried(APART)
        .look(&at, &digest_of(&root), &[], LookPace::Gentle)
        .await
        .unwrap();
    assert_eq!((found.parts.len(), found.missing.len()), (3, 0));
    let seen = registry.seen();
    assert_eq!(seen.iter().filter(|seen| seen.uri.starts_with("/token")).count(), 1);
    assert_eq!(
        seen.len() - 1,
        4,
        "the refusal, and one for each part: {:?}",
        asked(&seen)
    );
    assert!(began.elapsed() >= APART * 3);
}

#[tokio::test]
async fn a_look_can_be_begun_from_any_task() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let registry = Fake::usual().await;
    let root = digest_of(&registry.image(&[b"one"]));
    let (copier, at) = (copier(), end(open(), &registry.repository()));
    let look = is_send(async move { copier.look(&at, &root, &[], LookPace::Now).await });
    assert_eq!(tokio::spawn(look).await.unwrap().unwrap().missing, []);
}
