//! The door: signing in and out, whose posts count, what pages may hold, what strangers see, and the live stream.

use crate::{
    rest::everything,
    support::{
        Bench,
        browser::{Browser, Page},
        world::{ADMIN, GIT_TOKEN, HOOK_SECRET, PASSWORD, SITE, Setup, World, argocd_token, until},
    },
};
use domain::{promotion::State, rights::Role};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use testbed::REGISTRY_PASSWORD;
use tokio_util::sync::CancellationToken;

pub(crate) const SESSION: &str = "waybill_session";

pub(crate) async fn sign_in(browser: &mut Browser, path: &str, password: &str) -> Page {
    browser.post(path, &[("email", ADMIN), ("password", password)]).await
}

/// Whether pages are shown to whom the browser is signed in as.
pub(crate) async fn is_in(browser: &mut Browser) -> bool {
    let page = browser.get("/").await;
    match (page.status, page.location()) {
        (200, _) => true,
        (303, Some("/sign-in")) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_and_out() {
    let world = World::start().await;
    let mut browser = world.stranger();
    let page = browser.get("/w/demo/myapp?q=api").await;
    assert_eq!(
        (page.status, page.location()),
        (303, Some("/sign-in?next=%2Fw%2Fdemo%2Fmyapp%3Fq%3Dapi"))
    );
    for (email, password) in [(ADMIN, "hunter2-hunter2"), ("nobody@example.com", PASSWORD)] {
        let page = browser
            .post("/sign-in", &[("email", email), ("password", password)])
            .await;
        assert_eq!(page.status, 422);
        let said = "The e-mail address or the password is wrong.";
        assert_eq!(page.field_error("password").as_deref(), Some(said), "{}", page.words());
        assert_eq!(page.value("email").as_deref(), Some(email));
        assert!(!page.text.contains(password), "a password is sent back");
    }
    let page = browser.post("/sign-in", &[]).await;
    assert_eq!(page.status, 422);
    assert!(page.field_error("email").is_some() && page.field_error("password").is_some());
    assert!(!is_in(&mut browser).await);

    let page = sign_in(&mut browser, "/sign-in?next=%2Fw%2Fdemo%2Fmyapp%3Fq%3Dapi", PASSWORD).await;
    assert_eq!((page.status, page.location()), (303, Some("/w/demo/myapp?q=api")));
    let cookie = page.set_cookie(SESSION).unwrap();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "not over plain HTTP: {cookie}");
    // Used once a day it never ends: the first request of a day writes it anew, later ones don't.
    let renewed = browser.get("/").await;
    assert!(
        renewed
            .header("set-cookie")
            .is_some_and(|cookie| cookie.contains("Max-Age="))
    );
    assert_eq!(browser.get("/").await.header("set-cookie"), None);
    assert!(is_in(&mut browser).await);

    // Signing in again gives another session, and the one before is worth nothing: nobody can plant one.
    let mut planted = browser.clone();
    sign_in(&mut browser, "/sign-in", PASSWORD).await;
    assert_ne!(planted.cookies[SESSION], browser.cookies[SESSION]);
    assert!(!is_in(&mut planted).await);
    let mut made_up = world.stranger();
    made_up.cookies.insert(SESSION.into(), "AAAAAAAAAAAAAAAAAAAAAA".into());
    sign_in(&mut made_up, "/sign-in", PASSWORD).await;
    assert_ne!(made_up.cookies[SESSION], "AAAAAAAAAAAAAAAAAAAAAA");

    let mut kept = browser.clone();
    let page = browser.post("/sign-out", &[]).await;
    assert_eq!((page.status, page.location()), (303, Some("/sign-in")));
    assert!(!is_in(&mut kept).await, "the session ended, not only the cookie");
    assert!(is_in(&mut made_up).await, "and no other one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_run_only_their_own_scripts() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let mut nonces = Vec::new();
    for path in [
        "/",
        "/sign-in",
        "/w/demo/myapp",
        "/w/demo/myapp/production/-/new",
        "/w/demo/ghost",
        "/w/demo/myapp",
    ] {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy").unwrap().to_owned();
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        let script = policy
            .split(';')
            .find(|part| part.trim().starts_with("script-src"))
            .unwrap();
        assert!(
            !script.contains("'unsafe-inline'") && !script.contains("'unsafe-eval'"),
            "{policy}"
        );
        let mut scripts = 0;
        for tag in page.text.split("<script").skip(1) {
            scripts += 1;
            let tag = tag.split('>').next().unwrap();
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{path}: <script{tag}>");
        }
        assert!(scripts > 0, "{path}");
        for inline in [" onclick=", " style=\"", "<style"] {
            assert!(
                !page.text.contains(inline),
                "{path} has {inline}, which the policy forbids"
            );
        }
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        nonces.push(nonce.to_owned());
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 6, "each answer has a nonce of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_pages_answers_or_the_log() {
    let mut world = World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let mut browser = world.admin().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let promotion = world.promotions("staging", "api").await.remove(0);
    let mut seen = String::new();
    for path in [
        "/",
        "/sign-in",
        "/w/demo/myapp",
        "/w/demo/myapp/staging",
        "/w/demo/myapp/staging/api",
        "/w/demo/myapp/production/-/new",
        &format!("/promotions/{}", promotion.id),
    ] {
        seen.push_str(&browser.get(path).await.text);
    }
    let answer = world.apply(&world.document()).await;
    seen.push_str(&answer.to_string());
    let mut wrong = world.document();
    wrong["clusters"][0]["argocd"]["url"] = json!("nonsense");
    wrong["projects"][0]["repository"]["url"] = json!(format!("http://waybill:{GIT_TOKEN}@127.0.0.1/x.git"));
    let (status, answer) = world.try_apply(&wrong).await;
    assert_eq!(status, 422, "{answer}");
    seen.push_str(&answer.to_string());
    // Errors of everything outside.
    drop(world.git.take());
    drop(world.registry.take());
    let mut away = world.document();
    away["clusters"][0]["argocd"]["url"] = json!("http://127.0.0.1:1");
    seen.push_str(&world.apply(&away).await.to_string());
    let query =
        json!({ "query": "{ projects { name repositoryUrl environments { name cluster resources { name } } } }" });
    let (_, answer) = world.post_json("/api/graphql", Some(&world.token), &query).await;
    seen.push_str(&answer.to_string());
    let error = world
        .promote(&world.token, "api", "development", "staging")
        .await
        .unwrap_err();
    seen.push_str(&error.to_string());
    seen.push_str(
        &sign_in(&mut world.stranger(), "/sign-in", "wrong-password-typed")
            .await
            .text,
    );
    let pin = [
        ("source", "promote"),
        ("binding", "pin"),
        ("name", "a"),
        ("digest", &*second),
    ];
    let pin = [
        &pin[..],
        &[("source_environment", "staging"), ("source_resource", "api")],
    ]
    .concat();
    seen.push_str(&browser.post("/w/demo/myapp/production/-/new", &pin).await.text);
    until("the log to tell of it", async || {
        let log = std::fs::read_to_string(world.log_file()).unwrap();
        log.contains("could not be reached").then_some(())
    })
    .await;
    world.stop().await;
    seen.push_str(&std::fs::read_to_string(world.log_file()).unwrap());
    for secret in [
        PASSWORD,
        GIT_TOKEN,
        HOOK_SECRET,
        REGISTRY_PASSWORD,
        &argocd_token(),
        &world.token,
        &browser.cookies[SESSION],
        "wrong-password-typed",
    ] {
        if let Some(at) = seen.find(secret) {
            let around = seen.get(at.saturating_sub(300)..at).unwrap_or_default();
            panic!("{secret} is readable after {around}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_workspace_sees_nothing() {
    let world = World::start().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let promotion = world.promotions("staging", "api").await.remove(0);
    let acme = world.token("acme", "acme", Role::Admin).await;
    world.person("eve@example.com", "acme", Role::Admin).await;
    let mut eve = world.signed_in("eve@example.com").await;
    let before = world.everything().await;
    let page = format!("/promotions/{}", promotion.id);
    let home = eve.get("/").await;
    assert!(home.status == 200 && !home.text.contains("myapp"), "{}", home.words());
    for path in [
        "/w/demo/myapp",
        "/w/acme/myapp",
        "/w/demo/myapp/staging",
        "/w/demo/myapp/staging/api",
        "/w/demo/myapp/production/-/new",
        &page,
    ] {
        let got = eve.get(path).await;
        assert_eq!(got.status, 404, "{path}");
        assert!(!got.text.contains(&second["sha256:".len()..][..7]), "{path}");
        let posted = eve
            .post(path, &[("intent", "retry"), ("source", "image"), ("name", "a")])
            .await;
        assert!(posted.status == 404, "{path}: {}", posted.status);
    }
    // The functions behind the pages answer the same.
    let at = "workspace=demo&project=myapp&environment=staging&resource=api&digest=";
    for (function, body) in [
        ("board", "workspace=demo&project=myapp".to_owned()),
        ("resource", at.to_owned()),
        ("promote", at.to_owned()),
        ("edit_pin", format!("{at}{second}")),
        ("rollback", format!("{at}{second}")),
        ("resume", at.to_owned()),
        ("cancel", format!("id={}", promotion.id)),
        ("promotion", format!("id={}", promotion.id)),
        ("retry", format!("id={}", promotion.id)),
    ] {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", &*world.base_url),
        ];
        let answer = eve
            .send(Method::POST, &format!("/api/ui/{function}"), &headers, body)
            .await;
        assert_eq!(answer.status, 404, "{function}: {}", answer.text);
    }
    let error = world.promote(&acme, "api", "development", "staging").await.unwrap_err();
    assert_eq!(error["extensions"]["fields"][0]["field"], "projectId", "{error}");
    for query in [
        "{ project(name: \"myapp\") { id } }".to_owned(),
        "{ environments(project: \"myapp\") { name } }".to_owned(),
        "{ resources(project: \"myapp\") { name } }".to_owned(),
        format!("{{ project(id: \"{}\") {{ name }} }}", promotion.project),
        format!("{{ promotion(id: \"{}\") {{ state }} }}", promotion.id),
    ] {
        let (_, answer) = world
            .post_json("/api/graphql", Some(&acme), &json!({ "query": query }))
            .await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "not_found",
            "{query}: {answer}"
        );
    }
    let projects = json!({ "query": "{ projects { name } }" });
    let (_, answer) = world.post_json("/api/graphql", Some(&acme), &projects).await;
    assert_eq!(answer["data"]["projects"], json!([]));
    let (status, answer) = world.post_json("/api/v1/apply", Some(&acme), &world.document()).await;
    assert!(status == 403 || status == 404, "{status} {answer}");
    assert_eq!(world.everything().await, before);
}

/// The next message of a stream, comments left out; none when none comes in time.
async fn message(stream: &mut reqwest::Response, patience: Duration) -> Option<String> {
    let begin = Instant::now();
    while begin.elapsed() < patience {
        let left = patience.saturating_sub(begin.elapsed());
        let chunk = tokio::time::timeout(left, stream.chunk()).await.ok()?.unwrap()?;
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data:")) {
            return Some(data.trim().to_owned());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_told_at_once_and_only_to_those_they_concern() {
    let mut world = World::start().await;
    world.token("acme", "acme", Role::Admin).await;
    world.person("eve@example.com", "acme", Role::Admin).await;
    let (admin, eve) = (world.admin().await, world.signed_in("eve@example.com").await);
    assert_eq!(world.stranger().get("/api/events").await.status, 401);
    let (mut mine, mut hers) = (admin.open("/api/events").await, eve.open("/api/events").await);
    assert_eq!(mine.headers()["content-type"], "text/event-stream");
    // The comment that opens a stream: what happens from here on is heard.
    for stream in [&mut mine, &mut hers] {
        assert!(stream.chunk().await.unwrap().unwrap().starts_with(b":"));
    }
    let begin = Instant::now();
    let mut document = world.document();
    document["projects"][0]["environments"][2]["protected"] = json!(true);
    world.apply(&document).await;
    // She is an administrator of acme too: its news (Eve signed in) may come first.
    loop {
        let left = Duration::from_secs(1).saturating_sub(begin.elapsed());
        let told = message(&mut mine, left).await;
        let told = told.unwrap_or_else(|| panic!("nothing within a second"));
        if told.contains("\"workspace\":\"demo\"") {
            break;
        }
    }

    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let promotion = world.promotions("staging", "api").await.remove(0);
    assert_eq!(promotion.state, State::Succeeded);
    let id = promotion.id.to_string();
    while let Some(told) = message(&mut mine, Duration::from_secs(5)).await {
        if told.contains(&id) {
            assert!(told.contains("\"project\":\"myapp\""), "{told}");
            break;
        }
    }
    // The server ends open streams when it stops, and doesn't wait for them.
    world.stop().await;
    while let Some(told) = message(&mut hers, Duration::from_secs(5)).await {
        assert!(
            told.contains("\"workspace\":\"acme\""),
            "another workspace's news: {told}"
        );
    }
}

/// The end of a stream, or none in time; what is told until then.
async fn told_until_end(stream: &mut reqwest::Response, patience: Duration) -> (bool, String) {
    let begin = Instant::now();
    let mut told = String::new();
    while begin.elapsed() < patience {
        let left = patience.saturating_sub(begin.elapsed());
        match tokio::time::timeout(left, stream.chunk()).await {
            Ok(Ok(Some(chunk))) => told.push_str(&String::from_utf8_lossy(&chunk)),
            Ok(_) => return (true, told),
            Err(_) => break,
        }
    }
    (false, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_no_more_than_pages_show() {
    let world = World::start().await;
    world.person("eve@example.com", "demo", Role::Developer).await;
    let (mut ada, eve) = (world.admin().await, world.signed_in("eve@example.com").await);
    let new = [
        ("intent", "create-token"),
        ("name", "production-only"),
        ("role", "viewer"),
        ("place", "myapp/production"),
        ("expires", "7d"),
    ];
    let page = ada.post("/w/demo/-/settings/tokens", &new).await;
    let token = page
        .text
        .split("id=\"secret\"")
        .nth(1)
        .unwrap()
        .split_once('>')
        .unwrap()
        .1;
    let token = token.split('<').next().unwrap();
    let asked = reqwest::Client::new().get(format!("{}/api/events", world.base_url));
    let mut only = asked.bearer_auth(token).send().await.unwrap();
    let (mut hers, mut all) = (eve.open("/api/events").await, ada.open("/api/events").await);
    for stream in [&mut only, &mut hers, &mut all] {
        assert!(stream.chunk().await.unwrap().unwrap().starts_with(b":"));
    }
    // What happens in other environments a token of one is not told.
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let (_, told) = told_until_end(&mut only, Duration::from_millis(500)).await;
    assert!(!told.contains("\"promotion\":\""), "{told}");
    let (ended, told) = told_until_end(&mut hers, Duration::from_millis(500)).await;
    assert!(!ended && told.contains("\"promotion\":\""), "{told}");

    // From whom a configuration hides a project is told of it no more; the others' streams go on.
    let mut document = world.document();
    document["projects"][0]["roles"] = json!({ "eve@example.com": "none" });
    world.apply(&document).await;
    let (ended, told) = told_until_end(&mut hers, Duration::from_secs(10)).await;
    assert!(ended, "{told}");
    let (ended, _) = told_until_end(&mut all, Duration::from_millis(500)).await;
    assert!(!ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_theme_and_files() {
    let world = World::start().await;
    let mut browser = world.stranger();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }

    assert!(!browser.get("/sign-in").await.text.contains("data-theme=\"dark\""));
    let referer = format!("{}/sign-in?next=%2Fw", world.base_url);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", &*world.base_url),
        ("referer", &*referer),
    ];
    let page = browser.send(Method::POST, "/theme", &headers, "theme=dark").await;
    assert_eq!((page.status, page.location()), (303, Some("/sign-in?next=%2Fw")));
    assert!(browser.get("/sign-in").await.text.contains("data-theme=\"dark\""));
    browser.cookies.insert("theme".into(), "\"><script>".into());
    assert!(!browser.get("/sign-in").await.text.contains("\"><script>"));

    let page = browser.get("/sign-in").await;
    let css = page
        .text
        .split('"')
        .find(|part| part.ends_with("waybill.css"))
        .unwrap()
        .to_owned();
    for (accept, coding, content) in [
        ("gzip, br", Some("br"), SITE[1].1),
        ("gzip", Some("gzip"), SITE[2].1),
        ("identity", None, SITE[0].1),
    ] {
        let file = browser
            .send(Method::GET, &css, &[("accept-encoding", accept)], "")
            .await;
        assert_eq!(
            (file.status, file.header("content-encoding")),
            (200, coding),
            "{accept}"
        );
        assert_eq!(file.text, content);
        assert_eq!(file.header("content-type"), Some("text/css; charset=utf-8"));
        assert!(file.header("cache-control").unwrap().contains("immutable"));
        assert!(
            file.header("vary")
                .unwrap()
                .to_ascii_lowercase()
                .contains("accept-encoding")
        );
    }
    let folder = css.trim_end_matches("waybill.css");
    for name in ["waybill.map", "..%2f..%2fwaybill.db", "%2e%2e", "waybill.css.br"] {
        assert_eq!(browser.get(&format!("{folder}{name}")).await.status, 404, "{name}");
    }
    let compressed = browser
        .send(Method::GET, "/sign-in", &[("accept-encoding", "gzip")], "")
        .await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_whole_however_many_are_asked_for_at_once() {
    let world = World::start().await;
    let admin = world.admin().await;
    let short = world.first["sha256:".len()..][..7].to_owned();
    let readers = (0..8).map(|_| {
        let (mut browser, short) = (admin.clone(), short.clone());
        tokio::spawn(async move {
            for _ in 0..15 {
                for path in ["/w/demo/myapp", "/w/demo/myapp/staging", "/w/demo/myapp/staging/api"] {
                    // One that is never drawn comes as 504 in the end; without any answer it was the connection.
                    let page = browser.get(path).await;
                    assert_eq!(page.status, 200, "{path}: {}", page.words());
                    assert!(page.words().contains(&short), "{path} is not whole: {}", page.words());
                }
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_comes_while_another_server_starts_in_the_same_process() {
    let (world, bench) = (World::start().await, Bench::new().await);
    let mut admin = world.admin().await;
    let read = CancellationToken::new();
    let starting = tokio::task::spawn_blocking({
        let read = read.clone();
        move || {
            while !read.is_cancelled() {
                drop(everything(&bench));
                std::thread::yield_now();
            }
        }
    });
    // Also when this test fails: a server that starts for ever would keep it from ending.
    let ends = read.drop_guard();
    let mut pages = Vec::new();
    for path in ["/w/demo/myapp", "/w/demo/myapp/staging", "/w/demo/myapp/staging/api"] {
        pages.push(admin.get(path).await);
    }
    drop(ends);
    starting.await.unwrap();
    for page in pages {
        assert_eq!(page.status, 200, "{}", page.words());
    }
}
