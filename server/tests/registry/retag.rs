//! Other tags for an image in its repository: how they are set, what registries say to it, and what is never sent.

use crate::{
    copies::copier,
    fake::{Act, Fake, HERE, Held, INDEX, MANIFEST, digest_of},
    odd::{Seen, digest, open, response, signed_in, status},
    token_registry::{PASSWORD, TokenRegistry, USER},
};
use axum::http::Method;
use domain::artifact::{Digest, Repository, Tag};
use serde_json::json;
use server::ports::{
    image_copy::CopyEnd,
    image_tags::{ImageTags, Replace, TagRemoved, TagSet},
    registry::{RegistryAccess, RegistryError},
};
use testbed::{ImageSpec, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const TAG: &str = "production";
pub(crate) const PATH: &str = "/manifests/production";
/// What ECR says of a tag that may not be moved (aws/containers-roadmap#862).
const ECR: &str = "The image tag 'production' already exists in the 'myapp/api' repository and cannot be overwritten \
    because the repository is immutable.";
/// What Harbor says, of a tag that names the very same image, too.
pub(crate) const HARBOR: &str = "Failed to process request due to 'myapp/api:production' configured as immutable.";

pub(crate) fn tag() -> Tag {
    TAG.parse().unwrap()
}

pub(crate) fn end(access: RegistryAccess, repository: &Repository) -> CopyEnd {
    CopyEnd {
        access,
        repository: repository.clone(),
    }
}

async fn set(at: &Repository, digest: &Digest, replace: Replace<'_>) -> Result<TagSet, RegistryError> {
    copier().set(&end(open(), at), &tag(), digest, replace).await
}

pub(crate) async fn remove(at: &Repository, digest: &Digest) -> Result<TagRemoved, RegistryError> {
    copier().remove(&end(open(), at), &tag(), digest).await
}

fn moved(from: Option<&Digest>) -> TagSet {
    TagSet::Moved { from: from.cloned() }
}

pub(crate) fn error(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

pub(crate) fn is_of_tag(seen: &Seen, method: &Method) -> bool {
    seen.method == *method && seen.uri.ends_with(PATH)
}

/// What a tag names at a [`Fake`].
pub(crate) fn named(held: &Held) -> Option<String> {
    held.manifest(HERE, TAG)
        .map(|value| digest(value.to_string().as_bytes()))
}

/// Has the tag name an image of one layer, and gives the image.
pub(crate) fn name(held: &Held, layer: &str) -> Digest {
    let value = json!({"schemaVersion": 2, "layers": [layer]}).to_string();
    held.put_manifest(HERE, TAG, MANIFEST, value.clone().into_bytes());
    digest(value.as_bytes()).parse().unwrap()
}

/// Nothing but tags is ever deleted, and blobs are none of this.
pub(crate) fn check_requests(seen: &[Seen]) {
    for seen in seen {
        assert!(
            seen.method != Method::DELETE || !seen.uri.contains("sha256"),
            "{}",
            seen.uri
        );
        assert!(!seen.uri.contains("/blobs/"), "{}", seen.uri);
    }
}

pub(crate) async fn registry() -> (tempfile::TempDir, OciRegistry) {
    let directory = tempfile::tempdir().unwrap();
    let registry = OciRegistry::start(RegistryOptions::new(directory.path()))
        .await
        .unwrap();
    (directory, registry)
}

pub(crate) fn repository(registry: &OciRegistry) -> Repository {
    format!("{}/{HERE}", registry.host()).parse().unwrap()
}

/// Media type and bytes of what a tag or digest names.
pub(crate) async fn served(registry: &OciRegistry, reference: &str) -> Option<(String, Vec<u8>)> {
    let url = format!("{}/v2/{HERE}/manifests/{reference}", registry.base_url());
    let request = reqwest::Client::new()
        .get(url)
        .header("accept", format!("{INDEX}, {MANIFEST}, {DOCKER}"));
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let is_there = answer.status().is_success();
    let bytes = answer.bytes().await.unwrap().to_vec();
    is_there.then_some((kind, bytes))
}

/// Requests of a registry's log that begin so, from a place on.
pub(crate) fn logged(registry: &OciRegistry, from: usize, beginning: &str) -> usize {
    let log = registry.log();
    let beginning = format!("\"{beginning}");
    log[from..]
        .lines()
        .filter(|line| line.contains("HTTP/1.1\" ") && line.contains(&beginning))
        .count()
}

#[tokio::test]
async fn an_image_gets_a_tag_with_its_bytes_and_its_type_and_no_blob_is_sent() {
    let (_a, registry) = registry().await;
    let api = repository(&registry);
    let spec = ImageSpec::new("api").platforms(&["linux/amd64", "linux/arm64"]);
    let index: Digest = (registry.push_image(HERE, "v1", &spec).await.unwrap()).parse().unwrap();
    // Of Docker's type, with spaces that nobody who writes it anew would keep.
    let config = b"{}";
    let docker = json!({"schemaVersion": 2, "mediaType": DOCKER, "layers": [],
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest(config), "size": 2}});
    (registry.push_artifact(HERE, "v2", &docker, &[config.to_vec()]))
        .await
        .unwrap();
    let docker: Digest = digest(docker.to_string().as_bytes()).parse().unwrap();

    let begin = registry.log().len();
    assert_eq!(set(&api, &index, Replace::Nothing).await.unwrap(), moved(None));
    assert_eq!(set(&api, &index, Replace::Nothing).await.unwrap(), TagSet::Was);
    let (kind, bytes) = served(&registry, TAG).await.unwrap();
    assert_eq!(served(&registry, index.as_str()).await, Some((kind.clone(), bytes)));
    assert_eq!(kind, INDEX);

    let only = |digest| Replace::Only(digest);
    assert_eq!(
        set(&api, &docker, Replace::Nothing).await.unwrap(),
        TagSet::Names(index.clone())
    );
    assert_eq!(
        set(&api, &docker, only(&docker)).await.unwrap(),
        TagSet::Names(index.clone())
    );
    assert_eq!(set(&api, &docker, only(&index)).await.unwrap(), moved(Some(&index)));
    let (kind, bytes) = served(&registry, TAG).await.unwrap();
    assert_eq!(
        (kind.as_str(), digest(&bytes)),
        (DOCKER, docker.as_str().to_owned()),
        "its own type"
    );
    assert_eq!(
        set(&api, &index, Replace::Anything).await.unwrap(),
        moved(Some(&docker))
    );

    // A tag that isn't there is taken from nobody.
    let other = end(open(), &api);
    let keeper: Tag = "prod-1".parse().unwrap();
    let kept = copier().set(&other, &keeper, &docker, only(&index)).await.unwrap();
    assert_eq!(kept, moved(None));

    let absent: Digest = digest(b"nobody pushed this").parse().unwrap();
    assert_eq!(set(&api, &absent, Replace::Anything).await.unwrap(), TagSet::NoImage);
    let nowhere: Repository = format!("{}/nothing", registry.host()).parse().unwrap();
    assert_eq!(set(&nowhere, &index, Replace::Anything).await.unwrap(), TagSet::NoImage);
    assert_eq!(logged(&registry, begin, "PUT /v2/myapp/api/manifests/"), 4);
    assert_eq!(logged(&registry, begin, "PUT "), 4, "no blob");
    assert_eq!(logged(&registry, begin, "POST "), 0);
}

#[tokio::test]
async fn it_signs_in_with_a_password_and_with_tokens() {
    let (a, first) = registry().await;
    let (b, second) = registry().await;
    let spec = ImageSpec::new("api");
    let pushed: Digest = (first.push_image(HERE, "v1", &spec).await.unwrap()).parse().unwrap();
    second.push_image(HERE, "v1", &spec).await.unwrap();
    drop((first, second));
    let tokens = TokenRegistry::start(a.path()).await;
    let mut options = RegistryOptions::new(b.path());
    options.auth = true;
    let basic = OciRegistry::start(options).await.unwrap();
    let of_tokens: Repository = format!("{}/{HERE}", tokens.host()).parse().unwrap();
    for (at, user, password) in [
        (of_tokens, USER, PASSWORD),
        (repository(&basic), REGISTRY_USER, REGISTRY_PASSWORD),
    ] {
        let (copier, place) = (copier(), end(signed_in(user, password), &at));
        let set = copier.set(&place, &tag(), &pushed, Replace::Nothing).await;
        assert_eq!(set.unwrap(), moved(None));
        let TagRemoved::Refused(words) = copier.remove(&place, &tag(), &pushed).await.unwrap() else {
            panic!("Debian's registry deletes by digest only");
        };
        assert!(!words.contains("UNAUTHORIZED"), "it had the right to delete: {words}");
        let wrong = end(signed_in(user, "wrong"), &at);
        let error = copier.set(&wrong, &tag(), &pushed, Replace::Nothing).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
        let error = copier.remove(&wrong, &tag(), &pushed).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_a_tag_names_already_is_never_put_and_another_image_is_refused_in_the_registrys_words() {
    for (code, body, words) in [
        (400, error("TAG_INVALID", ECR), format!("TAG_INVALID {ECR}")),
        (412, error("PRECONDITION", HARBOR), format!("PRECONDITION {HARBOR}")),
        (401, String::new(), "it answered 401 Unauthorized".into()),
        (403, error("DENIED", "protected tag"), "DENIED protected tag".into()),
        (404, String::new(), "it answered 404 Not Found".into()),
        (405, error("UNSUPPORTED", ""), "UNSUPPORTED".into()),
        (409, "<html>locked</html>".into(), "it answered 409 Conflict".into()),
    ] {
        let registry = Fake::scripted(move |seen, _| match seen.method {
            Method::PUT => Act::Answer(response(code, &[], body.clone())),
            _ => Act::Usual,
        })
        .await;
        let image = digest_of(&registry.image(&[b"new"]));
        let there = name(&registry.held, "there");
        let at = registry.repository();
        let equal = set(&at, &there, Replace::Nothing).await.unwrap();
        assert_eq!(equal, TagSet::Was, "{code}");
        assert_eq!(registry.count(&Method::PUT, "/"), 0);
        let refused = set(&at, &image, Replace::Anything).await.unwrap();
        let words = words.trim_end_matches('.').to_owned();
        assert_eq!(refused, TagSet::Refused(words), "{code}");
        assert_eq!(registry.count(&Method::PUT, "/"), 1, "{code}: it isn't asked again");
        check_requests(&registry.seen());
    }
}

#[tokio::test]
async fn a_registry_that_does_not_say_the_digest_is_read() {
    let registry = Fake::scripted(|seen, _| match is_of_tag(seen, &Method::HEAD) {
        true => Act::Answer(response(200, &[("content-type", MANIFEST)], "")),
        false => Act::Usual,
    })
    .await;
    let there = name(&registry.held, "there");
    let image = digest_of(&registry.image(&[b"new"]));
    let at = registry.repository();
    assert_eq!(set(&at, &there, Replace::Nothing).await.unwrap(), TagSet::Was);
    assert_eq!(set(&at, &image, Replace::Anything).await.unwrap(), moved(Some(&there)));
    assert_eq!(registry.count(&Method::PUT, PATH), 1);
}

#[tokio::test]
async fn whoever_writes_the_tag_between_the_look_and_the_put_is_overwritten() {
    // No registry can be asked to put a tag only if it still names something.
    let registry = Fake::scripted(|seen, held| {
        if is_of_tag(seen, &Method::PUT) {
            name(held, "theirs");
        }
        Act::Usual
    })
    .await;
    let image = digest_of(&registry.image(&[b"new"]));
    let there = name(&registry.held, "there");
    let set = set(&registry.repository(), &image, Replace::Only(&there)).await;
    assert_eq!(set.unwrap(), moved(Some(&there)));
    assert_eq!(named(&registry.held).as_deref(), Some(image.as_str()));
    assert_eq!(registry.count(&Method::PUT, PATH), 1);
}

/// A registry in which somebody writes the tag after each of our first `times` writes.
async fn contested(times: usize) -> Fake {
    Fake::scripted(move |seen, held| {
        let written = held.count(&Method::PUT, PATH);
        // The looks after a write are as many as the writes; one was before.
        let is_next_look = is_of_tag(seen, &Method::HEAD) && held.count(&Method::HEAD, PATH) == written;
        if is_next_look && (1..=times).contains(&written) {
            name(held, "theirs");
        }
        Act::Usual
    })
    .await
}

#[tokio::test]
async fn whoever_writes_the_tag_after_the_put_wins_the_second_time() {
    for (times, wins) in [(1, true), (2, false)] {
        let registry = contested(times).await;
        let image = digest_of(&registry.image(&[b"new"]));
        let there = name(&registry.held, "there");
        let set = set(&registry.repository(), &image, Replace::Anything).await.unwrap();
        let theirs: Digest = digest(br#"{"layers":["theirs"],"schemaVersion":2}"#).parse().unwrap();
        match wins {
            true => assert_eq!(set, moved(Some(&there))),
            false => assert_eq!(set, TagSet::Names(theirs.clone())),
        }
        let last = if wins { image } else { theirs };
        assert_eq!(named(&registry.held).as_deref(), Some(last.as_str()));
        assert_eq!(registry.count(&Method::PUT, PATH), 2);
        check_requests(&registry.seen());
    }
}

#[tokio::test]
async fn what_may_not_be_replaced_is_not_replaced_after_the_put_either() {
    let there: Digest = digest(br#"{"layers":["there"],"schemaVersion":2}"#).parse().unwrap();
    for (is_there, replace) in [(false, Replace::Nothing), (true, Replace::Only(&there))] {
        let registry = contested(1).await;
        let image = digest_of(&registry.image(&[b"new"]));
        if is_there {
            assert_eq!(name(&registry.held, "there"), there);
        }
        let set = set(&registry.repository(), &image, replace).await.unwrap();
        let theirs = named(&registry.held).unwrap().parse().unwrap();
        assert_ne!(theirs, image);
        assert_eq!(set, TagSet::Names(theirs));
        assert_eq!(registry.count(&Method::PUT, PATH), 1);
    }
}

#[tokio::test]
async fn a_registry_that_shows_the_old_tag_for_a_moment_is_written_again() {
    let registry = Fake::scripted(|seen, held| {
        let is_first = held.count(&Method::PUT, PATH) == 1 && held.count(&Method::HEAD, PATH) == 1;
        match is_first && is_of_tag(seen, &Method::HEAD) {
            true => Act::Answer(status(404)),
            false => Act::Usual,
        }
    })
    .await;
    let image = digest_of(&registry.image(&[b"new"]));
    let set = set(&registry.repository(), &image, Replace::Nothing).await.unwrap();
    assert_eq!(set, moved(None));
    assert_eq!(registry.count(&Method::PUT, PATH), 2);
}

#[tokio::test]
async fn a_registry_that_stores_something_else_or_nothing_is_no_success() {
    let other = digest(b"other");
    let says = other.clone();
    let registry = Fake::scripted(move |seen, _| match is_of_tag(seen, &Method::PUT) {
        true => Act::Answer(response(201, &[("docker-content-digest", &says)], "")),
        false => Act::Usual,
    })
    .await;
    let image = digest_of(&registry.image(&[b"new"]));
    let TagSet::Refused(words) = set(&registry.repository(), &image, Replace::Anything).await.unwrap() else {
        panic!("it isn't what was put");
    };
    assert!(words.contains(&other), "{words}");

    let registry = Fake::scripted(|seen, _| match is_of_tag(seen, &Method::PUT) {
        true => Act::Answer(status(201)),
        false => Act::Usual,
    })
    .await;
    let image = digest_of(&registry.image(&[b"new"]));
    let nothing = set(&registry.repository(), &image, Replace::Anything).await.unwrap();
    assert!(matches!(nothing, TagSet::Refused(_)), "{nothing:?}");
    assert_eq!(registry.count(&Method::PUT, PATH), 2);
}

#[tokio::test]
async fn a_registry_that_is_busy_or_broken_is_an_error_that_passes() {
    for (code, puts) in [(429, 5), (503, 5), (500, 3), (408, 1)] {
        let registry = Fake::scripted(move |seen, _| match seen.method {
            Method::PUT => Act::Answer(status(code)),
            _ => Act::Usual,
        })
        .await;
        let image = digest_of(&registry.image(&[b"new"]));
        let error = set(&registry.repository(), &image, Replace::Anything)
            .await
            .unwrap_err();
        assert!(error.is_passing(), "{code}: {error:?}");
        assert_eq!(registry.count(&Method::PUT, "/"), puts, "{code}");
    }
    // It may be over soon, and half of what somebody else is just writing has another digest.
    let registry = Fake::scripted(|seen, held| match (&seen.method, held.count(&Method::PUT, "/")) {
        (&Method::PUT, 0) => Act::Answer(status(429)),
        (&Method::PUT, 1) => Act::Answer(response(400, &[], error("DIGEST_INVALID", "no match"))),
        _ => Act::Usual,
    })
    .await;
    let image = digest_of(&registry.image(&[b"new"]));
    let set = set(&registry.repository(), &image, Replace::Anything).await.unwrap();
    assert_eq!(set, moved(None));
}

#[tokio::test]
async fn a_manifest_above_the_usual_limit_gets_a_tag() {
    let registry = Fake::usual().await;
    let large = json!({"schemaVersion": 2, "layers": [], "annotations": {"padding": "x".repeat(5 * 1024 * 1024)}});
    let root = registry.put(MANIFEST, &large);
    let set = set(&registry.repository(), &digest_of(&root), Replace::Nothing).await;
    assert_eq!(set.unwrap(), moved(None));
    assert_eq!(registry.held.manifest(HERE, TAG), Some(large));
}

#[tokio::test]
async fn two_of_one_process_who_set_a_tag_wait_for_each_other() {
    let registry = Fake::usual().await;
    let images = [registry.image(&[b"1"]), registry.image(&[b"2"])].map(|image| digest_of(&image));
    let (copier, at, tag) = (copier(), end(open(), &registry.repository()), tag());
    let setting = (images.iter()).map(|image| copier.set(&at, &tag, image, Replace::Nothing));
    let set = futures::future::try_join_all(setting).await.unwrap();
    let winner = named(&registry.held).unwrap().parse().unwrap();
    assert!(
        set.contains(&moved(None)) && set.contains(&TagSet::Names(winner)),
        "{set:?}"
    );
    assert_eq!(registry.count(&Method::PUT, PATH), 1);
}
