//! What stands on every answer, and the cookie of a session over https.

use super::{Served, served};
use crate::support::{
    browser::{Browser, form},
    world::{ADMIN, PASSWORD},
};
use reqwest::Method;

const HTTPS: &str = "https://waybill.example.com";

async fn over_https() -> Served {
    served(|config| config.public_url = Some(HTTPS.into())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_headers_of_safety() {
    let (https, http) = (over_https().await, served(|_| {}).await);
    for (served, is_https) in [(https, true), (http, false)] {
        let mut browser = Browser::new(&format!("http://{}", served.address));
        let mut pages = 0;
        for (method, path, body, status) in [
            (Method::GET, "/", String::new(), 303),
            (Method::GET, "/sign-in", String::new(), 200),
            (Method::GET, "/w/demo/nothing", String::new(), 303),
            (Method::GET, "/no/such/page/at/all", String::new(), 404),
            (Method::GET, "/pkg/x/waybill.css", String::new(), 200),
            (Method::GET, "/pkg/x/none.css", String::new(), 404),
            (Method::GET, "/favicon.ico", String::new(), 200),
            (Method::GET, "/healthz", String::new(), 200),
            (Method::GET, "/readyz", String::new(), 200),
            (Method::GET, "/metrics", String::new(), 200),
            (Method::GET, "/api/events", String::new(), 401),
            (Method::POST, "/api/v1/apply", "{}".into(), 401),
            (Method::POST, "/api/graphql", "{".into(), 401),
            (Method::POST, "/api/v1/apply", " ".repeat(9_000_000), 401),
            (Method::DELETE, "/healthz", String::new(), 405),
        ] {
            let headers = [("content-type", "application/json"), ("accept", "application/json")];
            let answer = browser.send(method.clone(), path, &headers, body).await;
            assert_eq!(answer.status, status, "{method} {path} {}", answer.text);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{method} {path} {name}");
            }
            let policy = answer.header("content-security-policy").unwrap_or_default();
            assert!(policy.contains("default-src 'none'"), "{method} {path} {policy}");
            let permissions = answer.header("permissions-policy");
            let is_page = answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"));
            assert_eq!(permissions.is_some(), is_page, "{method} {path}");
            if let Some(permissions) = permissions {
                let is_said = permissions.contains("camera=()") && permissions.contains("clipboard-write=(self)");
                assert!(is_said, "{method} {path} {permissions}");
                pages += 1;
            }
            let only_https = answer.header("strict-transport-security");
            assert_eq!(only_https, is_https.then_some("max-age=31536000"), "{method} {path}");
        }
        assert!(pages >= 2, "{pages}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_https_no_neighbour_can_plant_a_session() {
    let served = over_https().await;
    let mut browser = Browser::new(&format!("http://{}", served.address));
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("host", "waybill.example.com"),
        ("origin", HTTPS),
        ("accept", "text/html"),
    ];
    let body = form(&[("email", ADMIN), ("password", PASSWORD)]);
    let page = browser.send(Method::POST, "/sign-in", &headers, body).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let cookie = page.set_cookie("waybill_session").unwrap();
    // What browsers ask of a name that begins so.
    assert!(cookie.starts_with("__Host-waybill_session="), "{cookie}");
    for part in ["Secure", "HttpOnly", "Path=/", "SameSite=Lax"] {
        assert!(cookie.split("; ").any(|it| it == part), "{part}: {cookie}");
    }
    assert!(!cookie.to_ascii_lowercase().contains("domain"), "{cookie}");
    assert_eq!(browser.get("/account").await.status, 200);
    // Under the name that anybody may set, the same session is none.
    let session = browser.cookies.remove("__Host-waybill_session").unwrap();
    browser.cookies.insert("waybill_session".into(), session);
    let page = browser.get("/account").await;
    assert!(
        page.location().is_some_and(|to| to.starts_with("/sign-in")),
        "{}",
        page.status
    );
}
