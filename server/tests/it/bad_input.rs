//! Bad input: each gets a clear error that says what to do, in the field where there is one, with a fitting status, and
//! nothing half-done is left behind. No input yields a 500.

use crate::support::{
    dice::Dice,
    digest,
    world::{GIT_TOKEN, World, argocd_token, until, values_path},
};
use domain::promotion::State;
use reqwest::Method;
use serde_json::{Value, json};
use testbed::{REGISTRY_PASSWORD, REGISTRY_USER};

const NEW: &str = "/w/demo/myapp/production/-/new";

const VALUE: &str = "a \"quoted\" <value> & more";

/// A form that is right, with `changes` made to it.
fn draft<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let right = [
        ("intent", "create"),
        ("source", "promote"),
        ("image", ""),
        ("source_environment", "staging"),
        ("source_resource", "api"),
        ("binding", "track"),
        ("digest", ""),
        ("name", "api"),
        ("kind", "deployment"),
        ("replicas", "3"),
        ("ports[0]", "8080"),
        ("env[0][name]", "GREETING"),
        ("env[0][value]", VALUE),
        ("ingress_host", ""),
        ("size", ""),
        ("health_path", ""),
    ];
    let changed = |name: &str| changes.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    right
        .into_iter()
        .map(|(name, value)| (name, changed(name).unwrap_or(value)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_says_each_mistake_at_its_field() {
    let world = World::start().await;
    let mut document = world.document();
    document["projects"][0]["environments"][0]["resources"][1]["kind"] = "job".into();
    world.apply(&document).await;
    let mut browser = world.admin().await;
    let before = world.everything().await;
    let upper = world.first.to_uppercase().replace("SHA256", "sha256");
    let short = &world.first[..30];
    let absent = digest("e");
    let elsewhere = format!("{}/myapp/none", world.host);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (
            &[("source_environment", "mars")],
            "source_environment",
            "no environment \"mars\"",
        ),
        (
            &[("source_environment", "production")],
            "source_environment",
            "can't be promoted from itself",
        ),
        (
            &[("source_environment", "sandbox")],
            "source_environment",
            "no environment \"sandbox\"",
        ),
        (
            &[("source_environment", "")],
            "source_environment",
            "Choose the environment",
        ),
        (
            &[("source_environment", "development"), ("source_resource", "nightly")],
            "source_resource",
            "nightly is a job and can't be promoted: it runs once",
        ),
        (
            &[("source_resource", "ghost")],
            "source_resource",
            "no resource \"ghost\"",
        ),
        (&[("binding", "pin"), ("digest", &upper)], "digest", "lower case"),
        (&[("binding", "pin"), ("digest", short)], "digest", "64 hex characters"),
        (
            &[("binding", "pin"), ("digest", "latest")],
            "digest",
            "begins with sha256:",
        ),
        (&[("binding", "pin"), ("digest", "")], "digest", "Enter a digest"),
        (
            &[("binding", "pin"), ("digest", &absent)],
            "digest",
            "holds no image with this digest",
        ),
        (&[("binding", "later")], "binding", "Track latest, or Pin to digest"),
        (&[("source", "other")], "source", "Image, or Promote from environment"),
        (
            &[("source", "image"), ("image", "api")],
            "image",
            "registry.example.com",
        ),
        (
            &[("source", "image"), ("image", &elsewhere)],
            "image",
            "holds no image of",
        ),
        (
            &[("source", "image"), ("image", &elsewhere), ("kind", "pod")],
            "kind",
            "Choose one of deployment",
        ),
        (&[("name", "Not A Name")], "name", "lower-case"),
        (&[("name", "../../etc")], "name", "lower-case"),
        (&[("name", "")], "name", ""),
        (&[("replicas", "-1")], "replicas", "from 0 to 1000"),
        (&[("replicas", "99999999999999999999")], "replicas", "from 0 to 1000"),
        (&[("ports[0]", "70000")], "ports[0]", "65535"),
        (&[("env[0][name]", "1 BAD")], "env[0][name]", ""),
        (&[("ingress_host", "not a host")], "ingress_host", ""),
        (&[("size", "huge")], "size", "small, medium or large"),
        (&[("health_path", "healthz")], "health_path", "begins with a slash"),
    ];
    // Mistakes that only the server sees are said along with the others.
    let mut fields = draft(&[("source", "image"), ("name", "Not A Name")]);
    fields.extend([("tags", "semver"), ("tags_value", "1.x || 2"), ("leave_out", "pr/*")]);
    let both = browser.post(NEW, &fields).await;
    for field in ["name", "tags_value", "leave_out"] {
        assert!(both.field_error(field).is_some(), "{field}: {}", both.summary());
    }
    for (changes, field, said) in cases {
        let fields = draft(changes);
        let page = browser.post(NEW, &fields).await;
        assert_eq!(page.status, 422, "{changes:?}: {}", page.words());
        let error = page.field_error(field);
        let error = error.unwrap_or_else(|| panic!("{changes:?}: nothing at {field}: {}", page.summary()));
        assert!(error.contains(said), "{changes:?}: {error}");
        assert!(page.summary().contains(&error), "{changes:?}: {}", page.summary());
        // What was typed is still there.
        for name in [
            "name",
            "replicas",
            "ports[0]",
            "env[0][name]",
            "env[0][value]",
            "digest",
            "image",
            "health_path",
        ] {
            let typed = fields.iter().find(|(n, _)| *n == name).unwrap().1;
            assert_eq!(
                page.value(name).unwrap_or_default(),
                typed,
                "{changes:?}: {name} is lost"
            );
        }
    }
    assert_eq!(world.everything().await, before, "nothing half-done is left behind");
    // The same form, right.
    let page = browser.post(NEW, &draft(&[])).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world
        .ends(
            page.location().unwrap().trim_start_matches("/promotions/"),
            State::Succeeded,
        )
        .await;
    // A second one of the same name is refused.
    let page = browser.post(NEW, &draft(&[])).await;
    assert_eq!(page.status, 422);
    assert!(page.field_error("name").unwrap().contains("already has a resource api"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_get_a_code_and_the_field() {
    let world = World::start().await;
    let before = world.everything().await;
    for (service, from, to, field, said) in [
        ("api", "mars", "staging", "fromEnvironment", "no environment \"mars\""),
        ("api", "staging", "mars", "toEnvironment", "no environment \"mars\""),
        ("api", "staging", "staging", "toEnvironment", "from itself"),
        (
            "api",
            "sandbox",
            "staging",
            "fromEnvironment",
            "no environment \"sandbox\"",
        ),
        ("ghost", "development", "staging", "service", "no resource \"ghost\""),
        ("api", "staging", "production", "service", "Create it there once"),
        ("API\u{0}", "development", "staging", "service", "no resource"),
    ] {
        let error = world.promote(&world.token, service, from, to).await.unwrap_err();
        assert_eq!(error["extensions"]["code"], "invalid", "{error}");
        assert_eq!(error["extensions"]["fields"][0]["field"], field, "{error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    for (query, status) in [
        (json!({ "query": "mutation { promote }" }), 200),
        (json!({ "query": "{ projects {" }), 200),
        (json!({ "query": "{ promotion(id: \"nonsense\") { id } }" }), 200),
        (json!({ "query": "{ project(name: \"ghost\") { id } }" }), 200),
        (json!({ "query": 7 }), 400),
        (json!([]), 400),
    ] {
        let (got, answer) = world.post_json("/api/graphql", Some(&world.token), &query).await;
        assert_eq!(got, status, "{answer}");
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        assert!(code.is_some_and(|code| code != "internal"), "{answer}");
    }
    let query = json!({ "query": "{ projects { name } }" });
    for token in [None, Some("wb_wrong"), Some("")] {
        let (status, answer) = world.post_json("/api/graphql", token, &query).await;
        assert_eq!(
            (status, &answer["errors"][0]["extensions"]["code"]),
            (401, &json!("signed_out"))
        );
    }
    assert_eq!(world.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_without_a_digest_is_refused() {
    let world = World::start().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    let source = |name: &str, environment: &str| {
        let image = format!("{}/myapp/api", world.host);
        match environment {
            "qa" => json!({ "name": name, "source": { "image": image }, "binding": { "pin": world.first } }),
            _ => json!({
                "name": name, "binding": { "pin": world.first },
                "source": { "promote": { "environment": "qa", "resource": name } },
            }),
        }
    };
    let mut document = world.document();
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments[2]["resources"] = json!([source("newest", "production"), source("moved", "production")]);
    environments.push(json!({
        "name": "qa", "cluster": "local", "resources": [source("newest", "qa"), source("moved", "qa")],
    }));
    world.outsider_writes("qa", "services: {}\n").await;
    world.apply(&document).await;
    for environment in ["qa", "production"] {
        for name in ["newest", "moved"] {
            world.wait_for_live(environment, name, &world.first).await;
        }
    }
    world.idle().await;
    // Argo CD doesn't sync qa by itself: what runs there stays, while Git names only tags.
    let host = &world.host;
    let service = |name, tag| format!("  {name}:\n    image:\n      repository: {host}/myapp/api\n      tag: {tag}\n");
    let values = format!(
        "services:\n{}{}",
        service("newest", "latest"),
        service("moved", "1.0.0")
    );
    world.outsider_writes("qa", &values).await;
    until("Waybill to read it", async || {
        let resource = world.resource("qa", "newest").await?;
        resource.desired.is_none().then_some(())
    })
    .await;
    let registry = world.registry.as_ref().unwrap();
    registry.retag("myapp/api", "1.1.0", "1.0.0").await.unwrap();
    let before = world.everything().await;

    let mut browser = world.admin().await;
    for (name, said) in [
        ("newest", "runs the tag latest without a digest"),
        ("moved", "The tag 1.0.0 has moved"),
    ] {
        let fields = draft(&[("source_environment", "qa"), ("source_resource", name)]);
        let page = browser.post(NEW, &fields).await;
        assert_eq!(page.status, 422, "{}", page.words());
        let error = page.field_error("source_resource").unwrap();
        assert!(error.contains(said) && error.contains("by digest first"), "{error}");
        assert_eq!(page.value("env[0][value]").as_deref(), Some(VALUE));
        assert_eq!(page.chosen("source_environment").as_deref(), Some("qa"));
        assert_eq!(page.chosen("source_resource").as_deref(), Some(name));
        let error = world.promote(&world.token, name, "qa", "production").await.unwrap_err();
        assert_eq!(error["extensions"]["code"], "conflict", "{error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    assert_eq!(world.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_values_file_is_named_and_left_alone() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    for (what, content) in [
        ("a tab", "services:\n\tapi: {}\n"),
        ("two documents", "services: {}\n---\nservices: {}\n"),
        ("no mapping", "- a\n- b\n"),
        ("a service that is a list", "services:\n  api: [1]\n"),
    ] {
        world.outsider_writes("production", content).await;
        let before = world.everything().await;
        let page = browser.post(NEW, &draft(&[])).await;
        assert_eq!(page.status, 409, "{what}: {}", page.words());
        let path = values_path("production");
        assert!(page.summary().contains(&path), "{what}: {}", page.summary());
        assert_eq!(page.value("env[0][value]").as_deref(), Some(VALUE), "{what}");
        assert_eq!(world.everything().await, before, "{what}");
        assert_eq!(world.values("production").await, content);
    }
    // A source's file: the form can't know what it offers.
    world.outsider_writes("staging", "services:\n\tapi: {}\n").await;
    let before = world.everything().await;
    let page = browser.post(NEW, &draft(&[])).await;
    assert!(
        page.status == 409 || page.status == 502,
        "{}: {}",
        page.status,
        page.words()
    );
    assert!(page.words().contains(&values_path("staging")), "{}", page.words());
    let error = world.promote(&world.token, "api", "development", "staging").await;
    if let Ok(promotion) = error {
        let failed = world.ends(promotion["id"].as_str().unwrap(), State::Failed).await;
        assert!(failed.failure.unwrap().reason.contains(&values_path("staging")));
    }
    assert_eq!(world.everything().await.2, before.2, "no commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_and_registry_that_are_down_or_refuse() {
    let mut world = World::start().await;
    let mut browser = world.admin().await;
    let first = world.first.clone();
    let pin = [("binding", "pin"), ("digest", &*first)];
    let refused = async |browser: &mut crate::support::browser::Browser, changes: &[(&str, &str)], said: &str| {
        let page = browser.post(NEW, &draft(changes)).await;
        assert_eq!(page.status, 502, "{said}: {}", page.words());
        assert!(page.summary().contains(said), "{said}: {}", page.summary());
        assert_eq!(page.value("env[0][value]").as_deref(), Some(VALUE), "{said}");
        for secret in [GIT_TOKEN, REGISTRY_PASSWORD] {
            assert!(!page.text.contains(secret));
        }
    };
    let before = world.everything().await;

    let registry_port = world.registry.take().map(|registry| registry.port()).unwrap();
    refused(&mut browser, &pin, "could not be reached").await;
    world.registry_again(registry_port).await;

    let git_port = world.git.take().map(|git| git.address().port()).unwrap();
    refused(&mut browser, &[], "Git could not be reached").await;
    let error = world
        .promote(&world.token, "api", "development", "staging")
        .await
        .unwrap_err();
    assert_eq!(error["extensions"]["code"], "upstream", "{error}");
    assert!(error.to_string().contains("Nothing was recorded."), "{error}");
    world.git_again(git_port).await;
    for status in [429, 503] {
        let busy = testbed::Cut::Status(status);
        world.git.as_ref().unwrap().cut_reads(Some(busy));
        refused(&mut browser, &[], &format!("it answered with status {status}")).await;
        refused(&mut browser, &[], "Nothing was recorded.").await;
    }
    world.git.as_ref().unwrap().cut_reads(None);

    let mut wrong = world.document();
    wrong["projects"][0]["repository"]["credentials"]["token"] = json!("not-the-token");
    world.apply(&wrong).await;
    refused(&mut browser, &[], "Git refused the sign-in").await;
    let mut wrong = world.document();
    wrong["clusters"][0]["registry"] =
        json!({ "host": world.host, "plainHttp": true, "user": REGISTRY_USER, "password": "wrong" });
    world.apply(&wrong).await;
    refused(&mut browser, &pin, "registry").await;
    assert_eq!(world.everything().await, before, "nothing half-done is left behind");

    // With everything right again the same form is carried out.
    world.apply(&world.document()).await;
    let page = browser.post(NEW, &draft(&pin)).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world
        .ends(
            page.location().unwrap().trim_start_matches("/promotions/"),
            State::Succeeded,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_argo_cd_that_is_down_or_refuses() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let with = |key: &str, value: Value| {
        let mut document = world.document();
        document["clusters"][0]["argocd"][key] = value;
        document
    };
    let newest = async || world.promotions("development", "api").await.into_iter().next();

    // Down: it waits and says for what, and goes on by itself.
    world.apply(&with("url", json!("http://127.0.0.1:1"))).await;
    let second = world.push("1.1.0").await;
    let waiting = until("the promotion to wait for Argo CD", async || {
        newest().await.filter(|p| {
            p.waits_for
                .as_ref()
                .is_some_and(|why| why.contains("could not be reached"))
        })
    })
    .await;
    let page = browser.get(&format!("/promotions/{}", waiting.id)).await.words();
    assert!(page.contains("Argo CD could not be reached"), "{page}");
    world.apply(&world.document()).await;
    world.ends(&waiting.id.to_string(), State::Succeeded).await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;

    // A wrong token: it fails and says so, and is tried again.
    world.apply(&with("token", json!("not.the.token"))).await;
    world.push("1.2.0").await;
    let failed = until("the promotion to fail", async || {
        newest().await.filter(|p| p.state == State::Failed)
    })
    .await;
    assert!(failed.failure.unwrap().reason.contains("refused the token"));
    let path = format!("/promotions/{}", failed.id);
    let page = browser.get(&path).await;
    assert!(
        page.words().contains("Give the cluster a valid token"),
        "{}",
        page.words()
    );
    assert!(!page.text.contains("not.the.token") && !page.text.contains(&argocd_token()));
    world.apply(&world.document()).await;
    assert_eq!(browser.post(&path, &[("intent", "retry")]).await.status, 303);
    world.ends(&failed.id.to_string(), State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_form_is_refused() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let before = world.everything().await;
    for path in [
        NEW,
        "/sign-in",
        "/w/demo/myapp/staging/api",
        "/api/ui/create_resource",
        "/theme",
    ] {
        let big = format!("name={}", "x".repeat(10 * 1024 * 1024));
        let page = browser.post_body(path, big).await;
        assert_eq!(page.status, 413, "{path}: {}", page.words());
    }
    let page = browser.post_body(NEW, format!("name={}", "x".repeat(300 * 1024))).await;
    assert!(page.words().contains("at most 256 KiB"), "{}", page.words());
    let page = browser.post_body(NEW, b"name=\xff\xfe".to_vec()).await;
    assert_eq!(page.status, 400);
    assert!(page.words().contains("This form can't be read"), "{}", page.words());
    for body in [
        "ports=1",
        "ports[0][a]=1",
        "name[0]=a",
        "name=a&name=b",
        "env[0]=x",
        "%zz",
        "name=%ff",
        "&&&===&",
    ] {
        let page = browser.post_body(NEW, body).await;
        assert!(page.status == 400 || page.status == 422, "{body}: {}", page.status);
        assert!(!page.summary().is_empty(), "{body}: nothing is said: {}", page.words());
    }
    let door = async |path: &str, token: &str, body: Vec<u8>| {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", world.base_url))
            .timeout(crate::support::world::PATIENCE)
            .bearer_auth(token);
        let request = request.header("content-type", "application/json").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    let hook = "/api/v1/hooks/registry/demo";
    let secret = crate::support::world::HOOK_SECRET;
    for (path, token) in [
        ("/api/graphql", &*world.token),
        ("/api/v1/apply", &*world.token),
        (hook, secret),
    ] {
        assert_eq!(door(path, token, vec![b' '; 10 * 1024 * 1024]).await, 413, "{path}");
        assert_eq!(door(path, token, b"{\xff}".to_vec()).await, 400, "{path}");
        assert_eq!(door(path, "wrong", b"{}".to_vec()).await, 401, "{path}");
    }
    assert_eq!(
        door("/api/v1/hooks/registry/ghost", secret, events("myapp/api")).await,
        202
    );
    assert_eq!(door(hook, secret, events("somebody/elses")).await, 202);
    assert_eq!(world.everything().await, before);
}

/// A registry's notification.
fn events(repository: &str) -> Vec<u8> {
    let target = json!({ "repository": repository, "tag": "1.0.0", "digest": digest("a"),
        "mediaType": "application/vnd.oci.image.manifest.v1+json" });
    json!({ "events": [{ "id": "1", "action": "push", "target": target }] })
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_found() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let nobody = "01a1f8c6-dbfe-7740-a45d-3092255eb0a8";
    for path in [
        "/promotions/nonsense",
        &format!("/promotions/{nobody}"),
        "/w/demo/ghost",
        "/w/ghost/myapp",
        "/w/demo/myapp/ghost",
        "/w/demo/myapp/ghost/-/new",
        "/w/demo/myapp/staging/ghost",
        "/nowhere",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 404, "{path}: {}", page.words());
        assert!(page.words().contains("no "), "{path}: {}", page.words());
    }
    for (path, fields) in [
        (format!("/promotions/{nobody}"), [("intent", "retry"), ("x", "y")]),
        (
            "/w/demo/myapp/staging/ghost".into(),
            [("intent", "promote"), ("x", "y")],
        ),
        (
            "/w/demo/ghost/staging/-/new".into(),
            [("intent", "create"), ("name", "a")],
        ),
    ] {
        assert_eq!(browser.post(&path, &fields).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_breaks_the_server() {
    const STARTS: [&str; 12] = [
        "/",
        "/w/demo/myapp",
        "/w/demo/myapp/staging",
        "/w/demo/myapp/staging/api",
        "/w/demo/myapp/staging/-/new",
        "/promotions/",
        "/sign-in",
        "/api/ui/",
        "/api/graphql",
        "/api/v1/apply",
        "/pkg/",
        "/theme",
    ];
    const PARTS: [&str; 16] = [
        "%00",
        "%ff%fe",
        "..%2f..%2f",
        "%2e%2e",
        "'%22%3Cscript%3E",
        "-",
        "%F0%9F%9A%80",
        "%0d%0aSet-Cookie:%20a=b",
        "//",
        "create_resource",
        "promotion",
        "board",
        "edit_pin",
        "api",
        "%25",
        "{}",
    ];
    const QUERIES: [&str; 8] = [
        "",
        "?",
        "?q=%00",
        "?next=//evil.example",
        "?q=%ff",
        "?a[0][b]=1&a=2",
        "?dry_run=maybe",
        "?q=%3Cscript%3E&source=%F0%9F%9A%80",
    ];
    const BODIES: [&str; 12] = [
        "",
        "=",
        "&",
        "intent=create",
        "intent=use-",
        "intent=remove-port-99999999999999999999",
        "[",
        "{\"query\":\"\"}",
        "ports[9999999999]=1&env[4294967296][name]=a",
        "name=%00&source=image&image=%00",
        "email=%00&password=%00",
        "workspace=demo&project=myapp&environment=staging&resource=api&digest=%F0%9F%9A%80",
    ];
    const KINDS: [&str; 5] = [
        "application/x-www-form-urlencoded",
        "application/json",
        "multipart/form-data",
        "text/plain; charset=\u{1}",
        "",
    ];
    let world = World::start().await;
    let mut browser = world.admin().await;
    let before = world.everything().await;
    let mut numbers = Dice(2026);
    for round in 0..250 {
        let method = [
            Method::GET,
            Method::POST,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
        ][numbers.below(6)]
        .clone();
        let mut path = numbers.one(&STARTS).to_owned();
        for _ in 0..numbers.below(3) {
            path.push_str(numbers.one(&["", "/"]));
            path.push_str(numbers.one(&PARTS));
        }
        path.push_str(numbers.one(&QUERIES));
        let kind = numbers.one(&KINDS).replace('\u{1}', "?");
        let origin = world.base_url.clone();
        let headers = [
            ("content-type", &*kind),
            ("origin", &*origin),
            ("accept", numbers.one(&["*/*", "text/html"])),
        ];
        let body = numbers.one(&BODIES);
        let said = format!("round {round}: {method} {path} {kind} {body}");
        // A session that ended on the way (no: /sign-out isn't among them) would hide what lies behind.
        let page = browser.send(method, &path, &headers, body).await;
        assert!(page.status < 500, "{said}: {} {}", page.status, page.text);
        assert!(
            page.header("set-cookie").is_none_or(|cookie| !cookie.contains("a=b")),
            "{said}"
        );
        if let Some(at) = page.text.find("'\"<script>") {
            panic!("{said}: {}", &page.text[at.saturating_sub(300)..at + 20]);
        }
    }
    assert_eq!(browser.get("/w/demo/myapp").await.status, 200, "still signed in");
    assert_eq!(world.everything().await, before);
}
