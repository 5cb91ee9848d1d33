//! How a tag is taken away from an image, what registries do with the image then, and what is never deleted.

use crate::{
    fake::{Act, Fake, HERE, MANIFEST},
    odd::{Seen, digest, response, status},
    retag::{
        HARBOR, PATH, TAG, check_requests, error, is_of_tag, logged, name, named, registry, remove, repository, served,
    },
};
use axum::http::Method;
use domain::artifact::Digest;
use serde_json::Value;
use server::ports::image_tags::TagRemoved;
use testbed::ImageSpec;

#[tokio::test]
async fn debians_registry_deletes_no_tags_and_loses_none() {
    let (_a, registry) = registry().await;
    let api = repository(&registry);
    let pushed: Digest = (registry.push_image(HERE, TAG, &ImageSpec::new("api")).await.unwrap())
        .parse()
        .unwrap();
    let other: Digest = digest(b"another").parse().unwrap();
    assert_eq!(remove(&api, &other).await.unwrap(), TagRemoved::Names(pushed.clone()));
    let words = "it deletes by digest only (DIGEST_INVALID provided digest did not match uploaded content)";
    assert_eq!(remove(&api, &pushed).await.unwrap(), TagRemoved::Refused(words.into()));
    let there = served(&registry, pushed.as_str()).await;
    assert!(there.is_some() && there == served(&registry, TAG).await);
    assert_eq!(logged(&registry, 0, "DELETE "), 1);
    assert_eq!(logged(&registry, 0, "DELETE /v2/myapp/api/manifests/production "), 1);
    let nowhere = format!("{}/nothing", registry.host()).parse().unwrap();
    assert_eq!(remove(&nowhere, &pushed).await.unwrap(), TagRemoved::Absent);
}

/// A registry that answers each DELETE so, and forgets a tag, or an image with its tag, all the same.
async fn deleting(answer: impl Fn() -> (u16, String) + Send + Sync + 'static, forgets: Forgets) -> (Fake, Digest) {
    let registry = Fake::scripted(move |seen, held| {
        let is_deleted = held.count(&Method::DELETE, "/") > 0;
        let is_put_back = held.count(&Method::PUT, "/manifests/sha256:") > 0;
        let is_gone = match seen.uri.ends_with(PATH) {
            true => forgets != Forgets::Nothing,
            false => forgets == Forgets::Image && !is_put_back,
        };
        match seen.method {
            Method::DELETE => {
                let (code, body) = answer();
                Act::Answer(response(code, &[], body))
            }
            Method::GET | Method::HEAD if is_deleted && is_gone => Act::Answer(status(404)),
            _ => Act::Usual,
        }
    })
    .await;
    let image = name(&registry.held, "it");
    (registry, image)
}

#[derive(Clone, Copy, PartialEq)]
enum Forgets {
    Nothing,
    Tag,
    Image,
}

#[tokio::test]
async fn a_registry_that_deletes_no_tags_says_so() {
    for (code, body, words) in [
        (
            405,
            error("UNSUPPORTED", "The operation is unsupported."),
            "UNSUPPORTED The operation is unsupported",
        ),
        (
            400,
            error("DIGEST_INVALID", "no digest"),
            "it deletes by digest only (DIGEST_INVALID no digest)",
        ),
        (
            412,
            error("PRECONDITION", HARBOR),
            &format!("PRECONDITION {}", HARBOR.trim_end_matches('.')),
        ),
        (401, String::new(), "it answered 401 Unauthorized"),
        (403, String::new(), "it answered 403 Forbidden"),
        (
            404,
            error("MANIFEST_UNKNOWN", "manifest unknown"),
            "MANIFEST_UNKNOWN manifest unknown",
        ),
        (
            202,
            String::new(),
            "it answered that the tag is gone, and it is still there",
        ),
    ] {
        let (registry, image) = deleting(move || (code, body.clone()), Forgets::Nothing).await;
        let refused = remove(&registry.repository(), &image).await.unwrap();
        assert_eq!(refused, TagRemoved::Refused(words.into()), "{code}");
        assert_eq!(registry.count(&Method::DELETE, "/"), 1, "{code}");
        assert_eq!(registry.count(&Method::PUT, "/"), 0);
        check_requests(&registry.seen());
    }
    let (registry, image) = deleting(|| (502, String::new()), Forgets::Nothing).await;
    let error = remove(&registry.repository(), &image).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
}

#[tokio::test]
async fn a_tag_that_went_with_the_first_of_several_tries_is_gone() {
    let (registry, image) = deleting(|| (202, String::new()), Forgets::Tag).await;
    assert_eq!(
        remove(&registry.repository(), &image).await.unwrap(),
        TagRemoved::Removed
    );
    let (registry, image) = deleting(|| (404, String::new()), Forgets::Tag).await;
    assert_eq!(
        remove(&registry.repository(), &image).await.unwrap(),
        TagRemoved::Absent
    );
    check_requests(&registry.seen());
}

#[tokio::test]
async fn an_image_that_a_registry_deletes_with_its_tag_is_put_back() {
    // Whatever it answers: it may have done so in a try whose answer got lost.
    for code in [200, 202, 404, 502] {
        let (registry, image) = deleting(move || (code, String::new()), Forgets::Image).await;
        let TagRemoved::Refused(words) = remove(&registry.repository(), &image).await.unwrap() else {
            panic!("{code}: it took more than the tag");
        };
        assert!(words.contains("put the image back"), "{words}");
        let path = format!("/manifests/{image}");
        let puts: Vec<Seen> = (registry.seen().into_iter())
            .filter(|seen| seen.method == Method::PUT)
            .collect();
        // Without a tag it would be the next that a clean-up takes.
        let to: Vec<bool> = puts.iter().map(|put| put.uri.ends_with(&path)).collect();
        assert_eq!(to, [true, false], "{code}: the image, then its tag");
        assert!(puts[1].uri.ends_with(&format!("/manifests/{TAG}")), "{}", puts[1].uri);
        assert!(puts.iter().all(|put| put.header("content-type") == Some(MANIFEST)));
        let back: Value = registry.held.manifest(HERE, image.as_str()).unwrap();
        assert_eq!(digest(back.to_string().as_bytes()), image.as_str());
        let all = registry.seen();
        let read_again = &all[all.len() - 2];
        assert!(
            read_again.method == Method::GET && read_again.uri.ends_with(&path),
            "it was read again before its tag was set"
        );
        check_requests(&registry.seen());
    }
}

#[tokio::test]
async fn an_image_that_could_not_be_put_back_is_an_error_that_says_so() {
    let registry = Fake::scripted(|seen, held| match seen.method {
        Method::DELETE => Act::Answer(status(202)),
        Method::PUT => Act::Answer(response(400, &[], error("BLOB_UNKNOWN", "a layer is gone"))),
        _ if held.count(&Method::DELETE, "/") > 0 => Act::Answer(status(404)),
        _ => Act::Usual,
    })
    .await;
    let image = name(&registry.held, "it");
    let error = remove(&registry.repository(), &image).await.unwrap_err();
    assert!(!error.is_passing(), "trying again finds no tag, and no fault");
    let text = error.to_string();
    for part in [
        image.as_str(),
        TAG,
        "BLOB_UNKNOWN a layer is gone",
        "Push the image again.",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_tag_of_another_image_or_of_one_that_cannot_be_read_is_left() {
    let registry = Fake::usual().await;
    let there = name(&registry.held, "there");
    let other: Digest = digest(b"other").parse().unwrap();
    let at = registry.repository();
    assert_eq!(remove(&at, &other).await.unwrap(), TagRemoved::Names(there));
    assert_eq!(registry.count(&Method::DELETE, "/"), 0);

    let registry = Fake::scripted(|seen, _| match seen.uri.contains("/manifests/sha256:") {
        true => Act::Answer(status(404)),
        false => Act::Usual,
    })
    .await;
    let image = name(&registry.held, "it");
    let left = remove(&registry.repository(), &image).await.unwrap();
    assert!(matches!(left, TagRemoved::Refused(_)), "{left:?}");
    assert_eq!(registry.count(&Method::DELETE, "/"), 0);

    // Somebody else gives the tag to another image while it is taken away.
    let registry = Fake::scripted(|seen, held| match seen.method {
        Method::DELETE => {
            name(held, "theirs");
            Act::Answer(status(202))
        }
        _ => Act::Usual,
    })
    .await;
    let image = name(&registry.held, "it");
    let left = remove(&registry.repository(), &image).await.unwrap();
    let theirs = named(&registry.held).unwrap().parse().unwrap();
    assert_eq!(left, TagRemoved::Names(theirs));
}

#[tokio::test]
async fn a_token_server_that_gives_nothing_for_the_right_to_delete_is_asked_for_less() {
    for refusal in [400, 401, 403, 200] {
        let registry = Fake::scripted(move |seen, held| {
            let host = seen.header("host").unwrap();
            if seen.uri.starts_with("/token") {
                return Act::Answer(match seen.uri.contains("delete") {
                    true => response(refusal, &[], "{}"),
                    false => response(200, &[], r#"{"token": "pull-and-push"}"#),
                });
            }
            if seen.header("authorization") != Some("Bearer pull-and-push") {
                let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                return Act::Answer(response(401, &[("www-authenticate", &challenge)], ""));
            }
            match seen.method {
                Method::DELETE => Act::Answer(status(202)),
                _ if is_of_tag(seen, &seen.method) && held.count(&Method::DELETE, "/") > 1 => Act::Answer(status(404)),
                _ => Act::Usual,
            }
        })
        .await;
        let image = name(&registry.held, "it");
        let removed = remove(&registry.repository(), &image).await.unwrap();
        assert_eq!(removed, TagRemoved::Removed, "{refusal}");
        let scopes: Vec<String> = (registry.seen().iter())
            .filter(|seen| seen.uri.starts_with("/token"))
            .map(|seen| seen.uri.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
            .collect();
        let ends = [
            "repository:myapp/api:pull,push",
            "repository:myapp/api:pull,push,delete",
        ];
        assert_eq!(scopes.len(), 2, "{scopes:?}");
        for (scope, end) in scopes.iter().zip(ends) {
            assert!(scope.ends_with(end), "{scopes:?}");
        }
        check_requests(&registry.seen());
    }
}
