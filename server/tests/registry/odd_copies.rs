//! Copies on bad days: what registries, proxies and other writers do to them, and what is never done whatever they do.

use crate::{
    copies::{Ear, copier, copy, settings},
    fake::{Act, Fake, HERE, Held, MANIFEST, carry, digest_of, request},
    odd::{Origin, Seen, digest, response, signed_in, status},
};
use axum::{body::Body, http::Method};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use server::{
    adapters::registry::{Copier, CopySettings},
    ports::{
        image_copy::{CopyError, CopyRequest, ImageCopier},
        registry::RegistryError,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

fn is_upload(seen: &Seen) -> bool {
    seen.method == Method::PUT && seen.uri.contains("/uploads/")
}

fn is_begin(seen: &Seen) -> bool {
    seen.method == Method::POST
}

/// Bytes in parts, without saying how many.
fn parts(parts: Vec<Vec<u8>>) -> Body {
    Body::from_stream(stream::iter(parts).map(Ok::<_, std::io::Error>))
}

/// A registry whose blob `bytes` is served by the script.
async fn source_of(
    bytes: &'static [u8],
    serve: impl Fn(usize) -> Option<Body> + Send + Sync + 'static,
) -> (Fake, Value) {
    let path = format!("/blobs/{}", digest(bytes));
    let source = Fake::scripted(move |seen, held| {
        if seen.method != Method::GET || !seen.uri.ends_with(&path) {
            return Act::Usual;
        }
        match serve(held.count(&Method::GET, &path)) {
            Some(body) => Act::Answer(response(200, &[], body)),
            None => Act::Usual,
        }
    })
    .await;
    let root = source.image(&[bytes]);
    (source, root)
}

#[tokio::test]
async fn an_upload_may_be_elsewhere_with_a_query_that_is_kept_and_gets_no_credentials_there() {
    let source = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    let store = Fake::usual().await;
    let elsewhere = format!("http://{}/v2/myapp/api/uploads/7?sig=a%2Fb%20c&x", store.address);
    let target = Fake::scripted(move |seen, _| match is_begin(seen) {
        true if seen.header("authorization").is_none() => {
            Act::Answer(response(401, &[("www-authenticate", "Basic realm=\"r\"")], ""))
        }
        true => Act::Answer(response(202, &[("location", &elsewhere)], "")),
        false => Act::Usual,
    })
    .await;
    let mut request = request(&source.repository(), &target.repository(), &digest_of(&root));
    request.to.access = signed_in("robot", "secret");
    // The store's blobs are not the registry's here.
    let error = copy(&request).await.unwrap_err();
    assert!(matches!(error, CopyError::Unproven { .. }), "{error:?}");
    let puts: Vec<Seen> = store.seen();
    assert_eq!(puts.len(), 2);
    for put in &puts {
        assert_eq!(put.header("authorization"), None);
        assert!(
            put.uri
                .starts_with("/v2/myapp/api/uploads/7?sig=a%2Fb%20c&x&digest=sha256%3A"),
            "{}",
            put.uri
        );
    }
    assert!(target.seen().iter().any(|seen| seen.header("authorization").is_some()));
}

#[tokio::test]
async fn an_upload_never_goes_to_the_machines_surroundings_or_without_an_address() {
    let source = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    for (location, want) in [
        (Some("http://169.254.169.254/latest?secret=1"), "surroundings"),
        (Some("http://metadata.google.internal/u?secret=1"), "surroundings"),
        (Some("ftp://127.0.0.1/u?secret=1"), "not encrypted"),
        (None, "didn't say where"),
    ] {
        let target = Fake::scripted(move |seen, _| match is_begin(seen) {
            true => Act::Answer(match location {
                Some(location) => response(202, &[("location", location)], ""),
                None => status(202),
            }),
            false => Act::Usual,
        })
        .await;
        let error = carry(&source, &target, &root).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, CopyError::Target(RegistryError::Protocol { .. })),
            "{text}"
        );
        assert!(text.contains(want) && !text.contains("secret"), "{text}");
        assert_eq!(target.count(&Method::PUT, "/"), 0);
    }
}

#[tokio::test]
async fn an_upload_that_redirects_is_not_followed() {
    let source = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    let other = Fake::usual().await;
    let elsewhere = format!("http://{}/v2/myapp/api/uploads/7", other.address);
    let target = Fake::scripted(move |seen, _| match is_upload(seen) {
        true => Act::Answer(response(307, &[("location", &elsewhere)], "")),
        false => Act::Usual,
    })
    .await;
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(matches!(error, CopyError::Refused { .. }), "{error:?}");
    assert!(other.seen().is_empty());
}

/// One registry with two repositories, in which a mount is answered by the script.
async fn mounts(answer: impl Fn() -> Act + Send + Sync + 'static) -> (Fake, CopyRequest) {
    let registry = Fake::scripted(move |seen, _| match seen.uri.contains("mount=") {
        true => answer(),
        false => Act::Usual,
    })
    .await;
    let root = registry.image(&[b"layer", b"another", b"1", b"2", b"3", b"4"]);
    let to = format!("{}/prod/api", registry.address).parse().unwrap();
    let request = request(&registry.repository(), &to, &digest_of(&root));
    (registry, request)
}

#[tokio::test]
async fn a_mount_that_becomes_an_upload_is_used_as_one() {
    let location = "/v2/prod/api/uploads/9?_state=mounted";
    let (registry, request) = mounts(move || Act::Answer(response(202, &[("location", location)], ""))).await;
    let proof = copy(&request).await.unwrap();
    assert_eq!((proof.sent, proof.mounted), (18, 0));
    assert_eq!(registry.count(&Method::POST, "/"), 7, "one for each blob");
    assert_eq!(registry.count(&Method::PUT, "_state=mounted&digest="), 7);
    assert_eq!(registry.count(&Method::DELETE, "/"), 0);
    for seen in registry.seen().iter().filter(|seen| is_begin(seen)) {
        assert!(seen.uri.contains("&from=myapp%2Fapi"), "{}", seen.uri);
    }
}

#[tokio::test]
async fn a_mount_that_is_refused_is_no_failure() {
    for code in [401, 403, 404, 405, 500] {
        let (registry, request) = mounts(move || Act::Answer(status(code))).await;
        let few = CopySettings {
            small_streams: 3,
            ..settings()
        };
        let copier = Copier::with_settings(few).unwrap();
        let proof = copier.copy(&request, &Ear::default(), &CancellationToken::new()).await;
        let proof = proof.unwrap();
        assert_eq!((proof.sent, proof.mounted), (18, 0), "{code}");
        assert!(
            registry.count(&Method::POST, "mount=") <= 3,
            "it isn't asked again for each blob"
        );
    }
}

/// A registry with tokens: each is the scopes that it was asked for, and is good for what they say.
async fn with_tokens(more: impl Fn(&Seen, &Held) -> Option<Act> + Send + Sync + 'static) -> Fake {
    Fake::scripted(move |seen, held| {
        if seen.uri.starts_with("/token") {
            let url = reqwest::Url::parse(&format!("http://x{}", seen.uri)).unwrap();
            let scopes: Vec<String> = (url.query_pairs())
                .filter(|(key, _)| key == "scope")
                .map(|(_, scope)| scope.into_owned())
                .collect();
            return Act::Answer(response(200, &[], json!({"token": scopes.join(" ")}).to_string()));
        }
        if let Some(act) = more(seen, held) {
            return act;
        }
        let repository = if seen.uri.contains("/prod/api/") {
            "prod/api"
        } else {
            "myapp/api"
        };
        let right = if matches!(seen.method, Method::GET | Method::HEAD) {
            "pull"
        } else {
            "pull,push"
        };
        let token = seen.header("authorization").unwrap_or_default();
        let is_granted = (token.trim_start_matches("Bearer ").split(' '))
            .any(|scope| scope.starts_with(&format!("repository:{repository}:{right}")));
        match is_granted {
            true => Act::Usual,
            false => {
                let host = seen.header("host").unwrap();
                let challenge = format!(
                    "Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:{repository}:{right}\""
                );
                Act::Answer(response(401, &[("www-authenticate", &challenge)], ""))
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_token_without_the_right_to_mount_makes_it_a_stream() {
    // What is asked for both repositories is refused.
    let registry = with_tokens(|seen, _| {
        let is_mount = seen.uri.contains("mount=");
        let token = seen.header("authorization").unwrap_or_default();
        match is_mount && token.contains("repository:myapp/api:pull") {
            true => Some(Act::Answer(status(401))),
            false => None,
        }
    })
    .await;
    let root = registry.image(&[b"layer"]);
    let to = format!("{}/prod/api", registry.address).parse().unwrap();
    let proof = copy(&request(&registry.repository(), &to, &digest_of(&root)))
        .await
        .unwrap();
    assert_eq!((proof.sent, proof.mounted), (7, 0));
    let tokens: Vec<String> = (registry.seen().iter())
        .filter(|seen| seen.uri.starts_with("/token"))
        .map(|seen| seen.uri.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
        .collect();
    let both = "scope=repository:prod/api:pull,push&scope=repository:myapp/api:pull";
    assert!(
        tokens.iter().any(|uri| uri.ends_with(both)),
        "the right to push stands first: {tokens:?}"
    );
    assert!(
        tokens
            .iter()
            .any(|uri| uri.ends_with("s&scope=repository:prod/api:pull,push")),
        "{tokens:?}"
    );
}

#[tokio::test]
async fn a_token_that_runs_out_in_an_upload_is_renewed_once() {
    for refusals in [1, usize::MAX] {
        let target = with_tokens(move |seen, held| {
            (is_upload(seen) && held.count(&Method::PUT, "/uploads/") < refusals).then(|| {
                let host = seen.header("host").unwrap();
                let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                Act::Answer(response(401, &[("www-authenticate", &challenge)], ""))
            })
        })
        .await;
        let source = Fake::usual().await;
        let root = source.image(&[b"layer"]);
        let config = source.held.blob(HERE, &digest(b"{}")).unwrap();
        target.held.put_blob(HERE, &config);
        let copied = carry(&source, &target, &root).await;
        match refusals {
            1 => assert_eq!(copied.unwrap().sent, 5),
            _ => {
                let error = copied.unwrap_err();
                assert!(
                    matches!(error, CopyError::Target(RegistryError::Unauthorized { .. })),
                    "{error:?}"
                );
            }
        }
        assert_eq!(target.count(&Method::PUT, "/uploads/"), 2);
        assert!(target.seen().iter().all(|seen| seen.method != Method::DELETE));
    }
}

#[tokio::test]
async fn a_registry_that_asks_to_slow_down_is_waited_for_and_not_forever() {
    let source = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    let busy = || Act::Answer(response(429, &[("retry-after", "1")], ""));
    let target = Fake::scripted(move |seen, held| match seen.method {
        Method::POST if held.count(&Method::POST, "/") == 0 => busy(),
        Method::PUT if held.count(&Method::PUT, "/uploads/") == 0 => busy(),
        _ => Act::Usual,
    })
    .await;
    let began = std::time::Instant::now();
    assert_eq!(carry(&source, &target, &root).await.unwrap().sent, 7);
    assert!(began.elapsed() >= Duration::from_secs(1));

    let target = Fake::scripted(|seen, _| match seen.method {
        Method::POST => Act::Answer(status(503)),
        _ => Act::Usual,
    })
    .await;
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(matches!(error, CopyError::Target(_)) && error.is_passing(), "{error:?}");
    assert!(target.count(&Method::POST, "/") <= 2 * 5, "five times a request");
}

#[tokio::test]
async fn a_source_that_ends_early_is_read_again_and_never_believed() {
    let bytes = b"twelve bytes";
    let (source, root) = source_of(bytes, |before| (before == 0).then(|| parts(vec![b"twelve".to_vec()]))).await;
    let target = Fake::usual().await;
    assert_eq!(carry(&source, &target, &root).await.unwrap().sent, 14);
    assert_eq!(target.held.blob(HERE, &digest(bytes)).unwrap(), bytes);

    let (source, root) = source_of(bytes, |_| Some(parts(vec![b"twelve".to_vec()]))).await;
    let target = Fake::usual().await;
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(matches!(error, CopyError::Source(_)) && error.is_passing(), "{error:?}");
    assert!(error.to_string().contains("6 of 12 bytes"), "{error}");
    assert_eq!(source.count(&Method::GET, &digest(bytes)), 3);
    assert_eq!(target.count(&Method::PUT, "/manifests/"), 0);
}

#[tokio::test]
async fn other_content_than_the_digest_says_never_arrives() {
    let bytes = b"what it should be";
    for wrong in [&b"what it wasn't be"[..], b"what it should be, and more"] {
        for says_length in [false, true] {
            let path = format!("/blobs/{}", digest(bytes));
            let source = Fake::scripted(
                move |seen, _| match seen.method == Method::GET && seen.uri.ends_with(&path) {
                    true if says_length => Act::Answer(response(200, &[], wrong)),
                    true => Act::Answer(response(200, &[], parts(wrong.chunks(4).map(<[u8]>::to_vec).collect()))),
                    false => Act::Usual,
                },
            )
            .await;
            let root = source.image(&[bytes]);
            let target = Fake::usual().await;
            let error = carry(&source, &target, &root).await.unwrap_err();
            assert!(matches!(&error, CopyError::Changed { registry, .. } if *registry == source.address.to_string()));
            assert!(
                !error.is_passing() && error.to_string().contains(&digest(bytes)),
                "{error}"
            );
            assert_eq!(target.held.blob(HERE, &digest(wrong)), None);
            assert_eq!(target.count(&Method::PUT, "/manifests/"), 0);
        }
    }
    // The manifest itself.
    let source = Fake::usual().await;
    let root = source.image(&[b"a"]);
    source.held.put_manifest(
        HERE,
        root["digest"].as_str().unwrap(),
        MANIFEST,
        b"{\"layers\":[]}".to_vec(),
    );
    let error = carry(&source, &Fake::usual().await, &root).await.unwrap_err();
    assert!(matches!(error, CopyError::Changed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_blob_that_vanished_under_its_manifest_is_sent_again() {
    let (source, target) = (Fake::usual().await, Fake::usual().await);
    let root = source.image(&[b"layer"]);
    carry(&source, &target, &root).await.unwrap();
    target.lose(b"layer");
    let proof = carry(&source, &target, &root).await.unwrap();
    assert_eq!((proof.sent, proof.present), (5, 2));
    assert_eq!(target.held.blob(HERE, &digest(b"layer")).unwrap(), b"layer");
}

#[tokio::test]
async fn what_is_not_there_after_the_last_push_is_no_success() {
    let source = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    // It says yes and keeps nothing.
    let target = Fake::scripted(|seen, _| match is_upload(seen) {
        true => Act::Answer(status(201)),
        false => Act::Usual,
    })
    .await;
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    let target = Fake::scripted(
        |seen, _| match seen.method == Method::PUT && seen.uri.contains("/manifests/") {
            true => Act::Answer(status(201)),
            false => Act::Usual,
        },
    )
    .await;
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(
        matches!(error, CopyError::Unproven { .. }) && error.is_passing(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_copy_stops_within_a_blob() {
    let source = Fake::usual().await;
    let root = source.image(&[&vec![7; 9_000_000]]);
    let told: [Arc<Notify>; 3] = std::array::from_fn(|_| Arc::default());
    let [begun, go_on, ended_early] = told.clone();
    let target = Fake::scripted(move |seen, _| {
        let is_large = seen.header("content-length") == Some("9000000");
        match is_upload(seen) && is_large {
            true => Act::Hang(told.clone()),
            false => Act::Usual,
        }
    })
    .await;
    let stop = CancellationToken::new();
    let request = request(&source.repository(), &target.repository(), &digest_of(&root));
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { copier().copy(&request, &Ear::default(), &stop).await }
    });
    begun.notified().await;
    stop.cancel();
    assert!(matches!(task.await.unwrap(), Err(CopyError::Stopped)));
    go_on.notify_one();
    ended_early.notified().await;
    assert_eq!(target.count(&Method::PUT, "/manifests/"), 0);
    assert_eq!(target.count(&Method::DELETE, "/"), 0);
}

#[tokio::test]
async fn a_blob_that_stands_still_or_crawls_is_given_up() {
    let bytes = b"twelve bytes";
    let hurried = |stall: u64, window: u64| CopySettings {
        stall: Duration::from_millis(stall),
        answer: Duration::from_millis(stall),
        floor_window: Duration::from_millis(window),
        ..settings()
    };
    let nothing = || stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let still = move || Body::from_stream(stream::iter([Ok(b"twelve".to_vec())]).chain(nothing()));
    let crawling = move || {
        Body::from_stream(
            stream::unfold(0, async |n| {
                tokio::time::sleep(Duration::from_millis(10)).await;
                (n < 11).then(|| (Ok::<_, std::io::Error>(vec![b"twelve bytes"[n]]), n + 1))
            })
            .chain(nothing()),
        )
    };
    for (limits, is_still, want) in [
        (hurried(100, 60_000), true, "no byte came for 0.1 s"),
        (hurried(60_000, 100), false, "KiB/s"),
    ] {
        let body = move |_| Some(if is_still { still() } else { crawling() });
        let (source, root) = source_of(bytes, body).await;
        let target = Fake::usual().await;
        let request = request(&source.repository(), &target.repository(), &digest_of(&root));
        let copier = Copier::with_settings(limits).unwrap();
        let error = copier
            .copy(&request, &Ear::default(), &CancellationToken::new())
            .await
            .unwrap_err();
        assert!(
            matches!(error, CopyError::Stalled { .. }) && error.is_passing(),
            "{error:?}"
        );
        assert!(error.to_string().contains(want), "{error}");
        let tries = source.count(&Method::GET, &digest(bytes));
        assert_eq!(tries, 1, "who waits is told; the worker tries it again after a pause");
    }

    let source = Fake::usual().await;
    let large = vec![7; 9_000_000];
    let root = source.image(&[&large]);
    let target = Fake::scripted(
        |seen, _| match is_upload(seen) && seen.header("content-length") == Some("9000000") {
            true => Act::Hang(Default::default()),
            false => Act::Usual,
        },
    )
    .await;
    let request = request(&source.repository(), &target.repository(), &digest_of(&root));
    let copier = Copier::with_settings(hurried(300, 60_000)).unwrap();
    let error = copier
        .copy(&request, &Ear::default(), &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no byte was taken for 0.3 s"), "{error}");
}

#[tokio::test]
async fn a_source_blob_elsewhere_is_followed_to_without_credentials() {
    let store = Origin::start(|_, _| response(200, &[], "layer")).await;
    let elsewhere = store.url("/store?sig=a");
    let source = Fake::scripted(move |seen, _| {
        if seen.header("authorization").is_none() {
            return Act::Answer(response(401, &[("www-authenticate", "Basic realm=\"r\"")], ""));
        }
        match seen.method == Method::GET && seen.uri.contains("/blobs/") && !seen.uri.ends_with(&digest(b"{}")) {
            true => Act::Answer(response(307, &[("location", &elsewhere)], "")),
            false => Act::Usual,
        }
    })
    .await;
    let target = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    let mut request = request(&source.repository(), &target.repository(), &digest_of(&root));
    request.from.access = signed_in("robot", "secret");
    assert_eq!(copy(&request).await.unwrap().sent, 7);
    let seen = store.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn one_host_has_only_so_many_streams() {
    const MOST: usize = 5;
    let (now, (reached, seen_open)) = (Arc::new(AtomicUsize::new(0)), watch::channel(0));
    // The source counts the blobs that are being read, and keeps them open until so many are.
    let (told, waiting) = (Arc::clone(&now), seen_open.clone());
    let source = Fake::scripted(move |seen, held| {
        if seen.method != Method::GET || !seen.uri.contains("/blobs/") {
            return Act::Usual;
        }
        let bytes = held.blob(HERE, seen.uri.rsplit('/').next().unwrap()).unwrap();
        let open = told.fetch_add(1, Ordering::SeqCst) + 1;
        reached.send_modify(|most| *most = open.max(*most));
        let (now, mut waiting) = (Arc::clone(&told), waiting.clone());
        let body = stream::once(async move {
            waiting.wait_for(|most| *most >= MOST).await.unwrap();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(bytes)
        });
        Act::Answer(response(200, &[], Body::from_stream(body)))
    })
    .await;
    let layers: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 100 + usize::from(n)]).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let target = Fake::usual().await;
    let copier = Copier::with_settings(CopySettings {
        streams: 4,
        streams_per_host: MOST,
        stall: Duration::from_secs(10),
        ..settings()
    })
    .unwrap();
    let (first, second) = layers.split_at(20);
    let roots = [source.image(first), source.image(second)];
    let requests = roots
        .each_ref()
        .map(|root| request(&source.repository(), &target.repository(), &digest_of(root)));
    let (ear, stop) = (Ear::default(), CancellationToken::new());
    let copies = requests.iter().map(|request| copier.copy(request, &ear, &stop));
    futures::future::try_join_all(copies).await.unwrap();
    assert_eq!(*seen_open.borrow(), MOST);
    let sizes: Vec<u64> = (target.seen().iter())
        .filter(|seen| is_upload(seen))
        .filter_map(|seen| seen.header("content-length")?.parse().ok())
        .collect();
    assert_eq!(sizes.len(), 41);
    assert!(
        sizes[..4].iter().all(|size| *size > 110),
        "the largest first: {sizes:?}"
    );
}

#[tokio::test]
async fn a_refusal_that_comes_before_all_bytes_were_sent_is_heard() {
    let source = Fake::usual().await;
    let root = source.image(&[&vec![7; 9_000_000]]);
    let target = Fake::scripted(|seen, _| match is_upload(seen) {
        true => Act::Answer(response(
            413,
            &[],
            r#"{"errors":[{"code":"SIZE_INVALID","message":"too large"}]}"#,
        )),
        false => Act::Usual,
    })
    .await;
    let error = carry(&source, &target, &root).await.unwrap_err();
    assert!(matches!(error, CopyError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("SIZE_INVALID too large"), "{error}");
}
