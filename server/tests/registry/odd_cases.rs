//! What registries, proxies and token servers do on bad days.

use crate::odd::{Origin, Seen, client, digest, hurried_client, open, response, signed_in, status};
use axum::http::Method;
use domain::artifact::{Digest, Tag};
use server::ports::registry::{Registry, RegistryError};
use std::time::Duration;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn some_digest() -> Digest {
    digest(MANIFEST.as_bytes()).parse().unwrap()
}

fn is_token_request(seen: &Seen) -> bool {
    seen.uri.starts_with("/token")
}

#[tokio::test]
async fn a_missing_digest_header_is_made_up_for_by_hashing_the_exact_bytes() {
    let registry = Origin::start(|_, _| response(200, &[("content-type", MANIFEST_TYPE)], MANIFEST)).await;
    let found = client()
        .resolve(&open(), &registry.repository(), &tag("v1"))
        .await
        .unwrap();
    assert_eq!(found, Some(some_digest()));
    let seen = registry.seen();
    assert_eq!(
        seen.iter().map(|s| s.method.clone()).collect::<Vec<_>>(),
        [Method::HEAD, Method::GET]
    );
    for request in seen {
        let accept = request.header("accept").unwrap();
        for kind in [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.docker.distribution.manifest.v2+json",
        ] {
            assert!(accept.contains(kind), "{accept}");
        }
    }
}

#[tokio::test]
async fn a_registry_without_head_is_asked_by_get() {
    let registry = Origin::start(|seen, _| match seen.method {
        Method::HEAD => status(405),
        _ => response(200, &[("content-type", "application/json")], MANIFEST),
    })
    .await;
    let repository = registry.repository();
    assert_eq!(
        client().resolve(&open(), &repository, &tag("v1")).await.unwrap(),
        Some(some_digest())
    );
    assert!(client().exists(&open(), &repository, &some_digest()).await.unwrap());
}

#[tokio::test]
async fn a_web_page_is_no_manifest_whatever_its_status() {
    for code in [200, 400, 404, 502] {
        let registry = Origin::start(move |_, _| {
            response(
                code,
                &[("content-type", "text/html; charset=utf-8")],
                "<html>Sign in to the proxy</html>",
            )
        })
        .await;
        let repository = registry.repository();
        let found = client().resolve(&open(), &repository, &tag("v1")).await;
        let tags = client().tags(&open(), &repository).await;
        match code {
            404 => {
                assert_eq!(found.unwrap(), None);
                assert!(tags.unwrap().is_empty());
            }
            502 => {
                assert!(
                    matches!(&found, Err(e) if e.is_passing() && e.to_string().contains("502")),
                    "{found:?}"
                );
                assert!(matches!(tags, Err(RegistryError::Unreachable { .. })));
            }
            _ => {
                assert!(
                    matches!(found, Err(RegistryError::Protocol { .. })),
                    "{code}: {found:?}"
                );
                assert!(matches!(tags, Err(RegistryError::Protocol { .. })), "{code}");
            }
        }
    }
}

#[tokio::test]
async fn content_that_contradicts_its_digest_is_refused() {
    let registry = Origin::start(|seen, _| match seen.method {
        // As a registry that substitutes one platform for the list that was asked for.
        Method::HEAD => response(200, &[("docker-content-digest", &digest(b"other"))], ""),
        _ => response(200, &[("content-type", MANIFEST_TYPE)], format!("{MANIFEST} ")),
    })
    .await;
    let repository = registry.repository();
    for result in [
        client().exists(&open(), &repository, &some_digest()).await.map(|_| ()),
        client()
            .describe(&open(), &repository, &some_digest())
            .await
            .map(|_| ()),
    ] {
        assert!(matches!(result, Err(RegistryError::Protocol { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn throttling_says_how_long_to_wait() {
    let registry = Origin::start(|_, _| response(429, &[("retry-after", "17")], "slow down")).await;
    let error = client().tags(&open(), &registry.repository()).await.unwrap_err();
    assert!(
        matches!(
            error,
            RegistryError::Throttled {
                retry_after_seconds: 17,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(registry.seen().len(), 1, "it must not be asked again at once");
}

#[tokio::test]
async fn pages_of_tags_are_followed_by_relative_and_absolute_links() {
    let registry = Origin::start(|seen, _| {
        let host = seen.header("host").unwrap();
        if seen.uri.contains("last=c") {
            response(200, &[], r#"{"name":"myapp/api","tags":["d"]}"#)
        } else if seen.uri.contains("last=b") {
            let link = format!(r#"<http://{host}/v2/myapp/api/tags/list?n=2&last=c>; rel="next""#);
            response(200, &[("link", &link)], r#"{"tags":["c",".no-valid-tag"]}"#)
        } else {
            let link = r#"</v2/myapp/api/tags/list?n=2&last=b>; rel="next""#;
            response(200, &[("link", link)], r#"{"name":"myapp/api","tags":["a","b"]}"#)
        }
    })
    .await;
    let tags = client().tags(&open(), &registry.repository()).await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn pages_without_end_and_pages_on_other_hosts_are_refused() {
    let circle = Origin::start(|_, _| {
        let link = r#"</v2/myapp/api/tags/list?last=a>; rel="next""#;
        response(200, &[("link", link)], r#"{"tags":["a"]}"#)
    })
    .await;
    let error = client().tags(&open(), &circle.repository()).await.unwrap_err();
    assert!(error.to_string().contains("without end"), "{error}");

    let elsewhere = Origin::start(|_, _| response(200, &[], r#"{"tags":["x"]}"#)).await;
    let link = format!(r#"<{}>; rel="next""#, elsewhere.url("/v2/x"));
    let registry = Origin::start(move |_, _| response(200, &[("link", &link)], r#"{"tags":null}"#)).await;
    let error = client().tags(&open(), &registry.repository()).await.unwrap_err();
    assert!(error.to_string().contains("another host"), "{error}");
    assert!(elsewhere.seen().is_empty());
}

/// A registry that wants a token from `/token` on the same origin, and accepts the newest one only.
async fn token_registry(expires_in: u64) -> Origin {
    Origin::start(move |seen, before| {
        let issued = before.iter().filter(|s| is_token_request(s)).count();
        if is_token_request(seen) {
            let token = format!("token-{}", issued + 1);
            return response(200, &[], format!(r#"{{"access_token":"{token}","expires_in":{expires_in}}}"#));
        }
        if seen.header("authorization") == Some(&format!("Bearer token-{issued}")) {
            return response(200, &[("docker-content-digest", &digest(MANIFEST.as_bytes()))], "");
        }
        let realm = format!("http://{}/token?fixed=1", seen.header("host").unwrap());
        let challenge = format!(
            r#"Bearer realm="{realm}",service="registry, main",scope="repository:myapp/api:pull repository:other:pull",error="invalid_token""#
        );
        response(401, &[("www-authenticate", &challenge)], r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#)
    })
    .await
}

#[tokio::test]
async fn a_token_is_asked_for_once_with_each_scope_and_the_credentials_and_then_reused() {
    let registry = token_registry(300).await;
    let (client, access, repository) = (client(), signed_in("robot$ci+pull", "pa:ss"), registry.repository());
    for _ in 0..3 {
        assert_eq!(
            client.resolve(&access, &repository, &tag("v1")).await.unwrap(),
            Some(some_digest())
        );
    }
    let seen = registry.seen();
    let tokens: Vec<_> = seen.iter().filter(|s| is_token_request(s)).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        tokens[0].uri,
        "/token?fixed=1&service=registry%2C+main&scope=repository%3Amyapp%2Fapi%3Apull&scope=repository%3Aother%3Apull"
    );
    // printf 'robot$ci+pull:pa:ss' | base64
    assert_eq!(
        tokens[0].header("authorization"),
        Some("Basic cm9ib3QkY2krcHVsbDpwYTpzcw==")
    );
    assert_eq!(seen.len(), 1 + 1 + 3, "one refusal, one token, three answers");
    for request in seen.iter().filter(|s| !is_token_request(s)) {
        assert!(!request.header("authorization").is_some_and(|v| v.starts_with("Basic")));
    }

    // Other credentials are other people: nothing of the first is reused.
    client
        .resolve(&signed_in("somebody", "else"), &repository, &tag("v1"))
        .await
        .unwrap();
    assert_eq!(registry.seen().iter().filter(|s| is_token_request(s)).count(), 2);
}

#[tokio::test]
async fn a_token_that_the_registry_no_longer_takes_is_replaced() {
    let registry = token_registry(300).await;
    let (client, repository) = (client(), registry.repository());
    client.resolve(&open(), &repository, &tag("v1")).await.unwrap();
    // Somebody else's sign-in makes the first token stale here.
    client
        .resolve(&signed_in("a", "b"), &repository, &tag("v1"))
        .await
        .unwrap();
    assert_eq!(
        client.resolve(&open(), &repository, &tag("v1")).await.unwrap(),
        Some(some_digest())
    );
    assert_eq!(registry.seen().iter().filter(|s| is_token_request(s)).count(), 3);
}

#[tokio::test]
async fn an_expired_token_is_replaced_before_it_is_refused() {
    let registry = token_registry(1).await;
    let (client, repository) = (client(), registry.repository());
    client.resolve(&open(), &repository, &tag("v1")).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while registry.seen().iter().filter(|s| is_token_request(s)).count() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "the token never expired");
        client.resolve(&open(), &repository, &tag("v1")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refusals = registry
        .seen()
        .iter()
        .filter(|s| !is_token_request(s) && s.header("authorization").is_none())
        .count();
    assert_eq!(refusals, 1, "only the very first request goes without a token");
}

#[tokio::test]
async fn a_token_server_that_has_moved_is_found_again() {
    let registry = Origin::start(|seen, before| {
        let moved = before.iter().filter(|s| is_token_request(s)).count() >= 2;
        if seen.uri.starts_with("/token-new") {
            return response(200, &[], r#"{"token":"second","expires_in":300}"#);
        }
        if is_token_request(seen) {
            return match before.iter().any(is_token_request) {
                false => response(200, &[], r#"{"token":"first","expires_in":1}"#),
                true => status(404),
            };
        }
        if seen.header("authorization").is_some() {
            return response(200, &[("docker-content-digest", &digest(MANIFEST.as_bytes()))], "");
        }
        let path = if moved { "/token-new" } else { "/token" };
        let challenge = format!(r#"Bearer realm="http://{}{path}""#, seen.header("host").unwrap());
        response(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let (client, repository) = (client(), registry.repository());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !registry.seen().iter().any(|seen| seen.uri.starts_with("/token-new")) {
        assert!(tokio::time::Instant::now() < deadline, "the first token never expired");
        let found = client.resolve(&open(), &repository, &tag("v1")).await;
        assert_eq!(found.unwrap(), Some(some_digest()), "nobody notices");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_registry_that_refuses_every_token_is_asked_twice_and_no_more() {
    let registry = Origin::start(|seen, _| {
        if is_token_request(seen) {
            return response(200, &[], r#"{"token":"useless"}"#);
        }
        let challenge = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
        response(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let error = client()
        .resolve(&open(), &registry.repository(), &tag("v1"))
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    assert_eq!(registry.seen().len(), 3);
}

#[tokio::test]
async fn a_wrong_password_is_said_plainly_and_never_shown() {
    let registry = Origin::start(|seen, _| {
        if is_token_request(seen) {
            return response(401, &[], r#"{"details":"incorrect username or password"}"#);
        }
        let challenge = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
        response(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let access = signed_in("ci", "very-secret-password");
    let error = client()
        .resolve(&access, &registry.repository(), &tag("v1"))
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    assert!(error.to_string().contains("/myapp/api"), "{error}");
    for text in [format!("{error:?}"), error.to_string(), format!("{access:?}")] {
        assert!(!text.contains("very-secret-password"), "{text}");
    }
}

#[tokio::test]
async fn basic_sign_in_is_answered_with_the_password_once() {
    let registry = Origin::start(|seen, _| match seen.header("authorization") {
        Some("Basic Y2k6cmlnaHQ=") => response(200, &[("docker-content-digest", &digest(MANIFEST.as_bytes()))], ""),
        _ => response(401, &[("www-authenticate", "Basic realm=\"Registry, private\"")], ""),
    })
    .await;
    let (client, repository) = (client(), registry.repository());
    for _ in 0..2 {
        let found = client
            .resolve(&signed_in("ci", "right"), &repository, &tag("v1"))
            .await
            .unwrap();
        assert_eq!(found, Some(some_digest()));
    }
    assert_eq!(registry.seen().len(), 3, "the second request signs in at once");
    let wrong = client
        .resolve(&signed_in("ci", "wrong"), &repository, &tag("v1"))
        .await
        .unwrap_err();
    assert!(matches!(wrong, RegistryError::Unauthorized { .. }), "{wrong:?}");
    let none = client.resolve(&open(), &repository, &tag("v1")).await.unwrap_err();
    assert!(matches!(none, RegistryError::Unauthorized { .. }), "{none:?}");
}

#[tokio::test]
async fn blobs_on_another_host_are_fetched_without_credentials() {
    let config =
        r#"{"os":"linux","architecture":"amd64","created":"2026-01-02T03:04:05Z","config":{"Labels":{"ci.run":"77"}}}"#;
    let config_digest = digest(config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{}}},"layers":[]}}"#,
        config.len()
    );
    let asked: Digest = digest(manifest.as_bytes()).parse().unwrap();
    let store = Origin::start(move |seen, _| {
        // Object stores refuse a request that carries both a signed address and a header.
        if seen.header("authorization").is_some() || !seen.uri.contains("signature=abc") {
            return status(400);
        }
        response(200, &[], config)
    })
    .await;
    let location = store.url("/bucket/blob?signature=abc");
    let registry = Origin::start(move |seen, _| {
        if seen.header("authorization") != Some("Basic Y2k6cmlnaHQ=") {
            return response(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        }
        if seen.uri.contains("/blobs/") {
            return response(307, &[("location", &location)], "");
        }
        response(200, &[("content-type", MANIFEST_TYPE)], manifest.clone())
    })
    .await;
    let access = signed_in("ci", "right");
    let details = client()
        .describe(&access, &registry.repository(), &asked)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (details.run(), details.platforms.as_slice()),
        (Some("77"), &["linux/amd64".to_owned()][..])
    );
    let seen = store.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn a_challenge_from_a_redirects_target_gets_no_credentials() {
    let thief = Origin::start(|seen, _| {
        let challenge = format!(r#"Basic realm="{}""#, seen.header("host").unwrap());
        response(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let location = thief.url("/collect");
    let registry = Origin::start(move |seen, _| match seen.header("authorization") {
        None => response(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) => response(302, &[("location", &location)], ""),
    })
    .await;
    let client = client();
    for _ in 0..2 {
        let error = client
            .tags(&signed_in("ci", "right"), &registry.repository())
            .await
            .unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    }
    assert!(!thief.seen().is_empty());
    assert!(thief.seen().iter().all(|s| s.header("authorization").is_none()));
}

#[tokio::test]
async fn a_registry_leads_nobody_to_the_machines_surroundings() {
    let redirects = Origin::start(|_, _| response(307, &[("location", "http://169.254.169.254/latest/")], "")).await;
    let signs_in = Origin::start(|_, _| {
        let challenge = r#"Bearer realm="http://[::ffff:169.254.169.254]/token""#;
        response(401, &[("www-authenticate", challenge)], "")
    })
    .await;
    for registry in [redirects, signs_in] {
        let asked = client().resolve(&open(), &registry.repository(), &tag("v1")).await;
        let error = asked.unwrap_err().to_string();
        assert!(error.contains("the machine's surroundings"), "{error}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let registry = Origin::start(|seen, _| response(307, &[("location", &seen.uri)], "")).await;
    let error = client()
        .resolve(&open(), &registry.repository(), &tag("v1"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("redirects more than"), "{error}");
}

#[tokio::test]
async fn answers_without_end_are_cut_off() {
    let registry = Origin::start(|seen, _| match seen.method {
        Method::HEAD => status(200),
        _ => response(200, &[("content-type", MANIFEST_TYPE)], vec![b' '; 4 * 1024 * 1024 + 1]),
    })
    .await;
    let error = client()
        .resolve(&open(), &registry.repository(), &tag("v1"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("larger than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn silence_and_closed_doors_are_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent: domain::artifact::Repository = format!("{}/api", listener.local_addr().unwrap()).parse().unwrap();
    let client = hurried_client(Duration::from_millis(300));
    let error = client.resolve(&open(), &silent, &tag("v1")).await.unwrap_err();
    assert!(
        error.is_passing() && error.to_string().contains("no answer within 0.3 s"),
        "{error}"
    );
    drop(listener);
    let error = client.resolve(&open(), &silent, &tag("v1")).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_broken_token_server_is_named() {
    let registry = Origin::start(|seen, _| {
        if is_token_request(seen) {
            return response(503, &[("content-type", "text/html")], "<html>");
        }
        let challenge = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
        response(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let error = client()
        .resolve(&open(), &registry.repository(), &tag("v1"))
        .await
        .unwrap_err();
    assert!(
        error.is_passing() && error.to_string().contains("token server"),
        "{error}"
    );
}

/// Case 06: the registry itself takes a password, and what is in it a token; a token without a scope is refused with another challenge.
async fn harbor() -> Origin {
    const RIGHT: &str = "Basic Y2k6cmlnaHQ=";
    Origin::start(|seen, _| {
        let host = seen.header("host").unwrap();
        let given = seen.header("authorization").unwrap_or_default();
        let bearer = format!(r#"Bearer realm="http://{host}/token",service="x""#);
        let refuse = |challenge: &str| response(401, &[("www-authenticate", challenge)], "");
        if is_token_request(seen) {
            let scope = if seen.uri.contains("scope=repository") {
                "scoped"
            } else {
                "bare"
            };
            return response(200, &[], format!(r#"{{"token":"{scope}"}}"#));
        }
        if seen.uri == "/v2/" {
            return match given {
                RIGHT => status(200),
                "" => refuse(&bearer),
                _ => refuse(r#"Basic realm="x""#),
            };
        }
        match given {
            RIGHT | "Bearer scoped" => response(200, &[("content-type", MANIFEST_TYPE)], MANIFEST),
            _ => refuse(&bearer),
        }
    })
    .await
}

#[tokio::test]
async fn a_second_challenge_is_answered_and_no_third() {
    let registry = harbor().await;
    let (client, host) = (client(), registry.address.to_string());
    let right = signed_in("ci", "right");
    client.check(&right, &host).await.unwrap();
    let uris: Vec<String> = registry.seen().into_iter().map(|seen| seen.uri).collect();
    assert_eq!(uris, ["/v2/", "/token?service=x", "/v2/", "/v2/"]);
    client.check(&right, &host).await.unwrap();
    assert_eq!(registry.seen().len(), 5, "what worked is begun with the next time");
    let found = client.resolve(&right, &registry.repository(), &tag("v1")).await;
    assert_eq!(found.unwrap(), Some(some_digest()));

    let before = registry.seen().len();
    let error = client.check(&signed_in("ci", "wrong"), &host).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    assert!(registry.seen().len() - before <= 5, "{:?}", registry.seen());
}

#[tokio::test]
async fn a_wrong_token_server_is_not_remembered_once_the_registry_names_another() {
    let registry = Origin::start(|seen, before| {
        if seen.uri.starts_with("/wrong") {
            return status(404);
        }
        if is_token_request(seen) {
            return response(200, &[], r#"{"token":"good"}"#);
        }
        if seen.header("authorization") == Some("Bearer good") {
            return response(200, &[("content-type", MANIFEST_TYPE)], MANIFEST);
        }
        let host = seen.header("host").unwrap();
        let is_first = !before.iter().any(|seen| seen.uri.starts_with("/wrong"));
        let realm = if is_first { "wrong" } else { "token" };
        let challenge = format!(r#"Bearer realm="http://{host}/{realm}""#);
        response(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let client = client();
    let error = client
        .resolve(&open(), &registry.repository(), &tag("v1"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("token server"), "{error}");
    let found = client.resolve(&open(), &registry.repository(), &tag("v1")).await;
    assert_eq!(found.unwrap(), Some(some_digest()), "the very next request");
}
