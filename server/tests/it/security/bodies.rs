//! Bodies that are too deep, too large, or no such thing, at each door.

use super::{newest, send, set_up};
use crate::support::browser::form;
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use domain::rights::Role;
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

#[tokio::test]
async fn bodies_that_are_too_deep_break_nothing() {
    let (bench, ..) = set_up().await;
    let token = bench.program("demo", "deep", Role::Admin).await.1;
    let bearer = format!("Bearer {}", token.expose_secret());
    let before = newest(&bench).await;
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let json = "application/json";
    let plain = "application/x-www-form-urlencoded";
    let query = |text: String| json!({ "query": text }).to_string();
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let _ = writeln!(laughs, "{name}: &{name} [{}]", format!("*{before}, ").repeat(9));
    }
    let policy = |text: String| {
        form(&[
            ("workspace", "demo"),
            ("project", "myapp"),
            ("environment", "production"),
            ("text", &text),
        ])
    };
    let place = "workspace=demo&project=myapp&environment=development";
    for (path, kind, body) in [
        ("/api/graphql", json, deep("[", "]", 100_000)),
        ("/api/graphql", json, deep("{\"a\":", "}", 40_000)),
        ("/api/graphql", json, query(deep("{ a ", "}", 40_000))),
        (
            "/api/graphql",
            json,
            query(format!("{{ project(name: {}) {{ name }} }}", deep("[", "]", 60_000))),
        ),
        (
            "/api/graphql",
            json,
            query(format!("{{ project(name: {}) {{ name }} }}", deep("{a:", "}", 40_000))),
        ),
        (
            "/api/graphql",
            json,
            query(format!(
                "query($a: {}) {{ projects {{ name }} }}",
                deep("[", "]", 60_000)
            )),
        ),
        (
            "/api/graphql",
            json,
            query(format!("{{ projects {} }}", "@a".repeat(60_000))),
        ),
        (
            "/api/graphql",
            json,
            query(format!("{{ {} }}", "a: projects { name } ".repeat(10_000))),
        ),
        (
            "/api/graphql",
            json,
            query("fragment F on Query { ...F } { ...F }".into()),
        ),
        ("/api/v1/apply", json, deep("[", "]", 100_000)),
        ("/api/v1/apply", json, deep("{\"projects\":[", "]}", 15_000)),
        ("/api/v1/checks", json, deep("[", "]", 4_000)),
        (
            "/api/ui/preview_create",
            plain,
            format!("{place}&draft{}=1", "[a]".repeat(50_000)),
        ),
        (
            "/api/ui/preview_create",
            plain,
            format!("{place}&draft[ports][99999999]=1&draft[env][4294967295][name]=x"),
        ),
        (
            "/api/ui/preview_create",
            plain,
            format!("{place}&{}", "draft[ports][]=1&".repeat(10_000)),
        ),
        ("/api/ui/set_policy", plain, policy(deep("[", "]", 16_000))),
        ("/api/ui/set_policy", plain, policy(deep("{a: ", "}", 6_000))),
        ("/api/ui/set_policy", plain, policy("- ".repeat(16_000))),
        ("/api/ui/set_policy", plain, policy(laughs)),
        ("/api/ui/set_policy", plain, policy("checks: &a [*a]".into())),
        ("/api/v1/hooks/registry/demo", json, deep("[", "]", 500_000)),
        ("/api/v1/hooks/registry/demo", json, deep("{\"events\":[", "]}", 50_000)),
    ] {
        let begin = Instant::now();
        let bearer = if path.contains("hooks") {
            "Bearer s3cret"
        } else {
            &bearer
        };
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, kind)
            .header(header::AUTHORIZATION, bearer)
            .body(Body::from(body.clone()))
            .unwrap();
        let (status, text) = send(&bench, request).await;
        let said = &body[..body.len().min(80)];
        assert!(!status.is_server_error(), "{path} {said}: {status} {text}");
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "{path} {said}: {:?}",
            begin.elapsed()
        );
        assert!(text.len() < 300_000, "{path} {said}: {} bytes", text.len());
    }
    assert_eq!(newest(&bench).await, before, "nothing was written");
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_at_the_doors_for_machines() {
    let (bench, ..) = set_up().await;
    let token = bench.program("demo", "large", Role::Admin).await.1;
    let bearer = format!("Bearer {}", token.expose_secret());
    let before = newest(&bench).await;
    for (path, mib) in [
        ("/api/v1/checks", 1),
        ("/api/v1/hooks/git/demo", 5),
        ("/api/v1/hooks/registry/demo", 2),
        ("/api/ui/approve", 1),
        ("/api/ui/set_policy", 1),
    ] {
        let body = vec![b' '; mib * 1024 * 1024];
        let bearer = if path.contains("hooks") {
            "Bearer s3cret"
        } else {
            &bearer
        };
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, bearer)
            .body(Body::from(body))
            .unwrap();
        let (status, text) = send(&bench, request).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}: {text}");
    }
    for (path, body) in [
        ("/api/v1/checks", &b"{\xff}"[..]),
        ("/api/v1/checks", b""),
        ("/api/v1/checks", b"{\"digest\": {}}"),
        ("/api/v1/hooks/registry/demo", b"\x00\x01"),
        ("/api/v1/hooks/registry/demo", b"[]"),
        ("/api/v1/hooks/git/demo", b"{\xff}"),
    ] {
        let bearer = if path.contains("hooks") {
            "Bearer s3cret"
        } else {
            &bearer
        };
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, bearer)
            .header("x-gitlab-token", "s3cret")
            .body(Body::from(body))
            .unwrap();
        let (status, text) = send(&bench, request).await;
        let refused = status == StatusCode::BAD_REQUEST || status == StatusCode::UNPROCESSABLE_ENTITY;
        assert!(
            refused || status == StatusCode::ACCEPTED,
            "{path} {body:?}: {status} {text}"
        );
    }
    assert_eq!(newest(&bench).await, before, "nothing was written");
}
