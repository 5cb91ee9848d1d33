//! What somebody tries who means ill, at every door: other sites' posts, others' ids, ways around what a page hides, bodies that are too
//! large or too deep, replayed and forged webhooks, addresses that lead where they shouldn't, scripts in texts. What is tried with every
//! use case takes them from the table in `authorisation/table.rs`: a new one is tried by itself.

use crate::{
    authorisation::{Answer, Said, TABLE, Who, ask, document, session},
    rest::everything,
    support::{
        Bench, PASSWORD, digest,
        world::{Setup, World},
    },
    web::{SESSION, is_in, sign_in},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::connect_info::MockConnectInfo,
    http::{Request, StatusCode, header},
};
use contract::{backend::At, source::SourceHostDraft};
use domain::{event::Happened, rights::Role};
use elsewhere::{channel_with_a_delivery, placeholder};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use server::{
    service::{
        Caller,
        access::{self, NewToken},
        configure,
        gates::{self, ReportedCheck},
        promotion, views,
    },
    web::graphql,
};
use sha2::Sha256;
use std::{fmt::Write as _, net::SocketAddr, time::Duration};
use tower::ServiceExt as _;

mod bodies;
mod clients;
mod connected;
mod elsewhere;
mod texts;

const API: &str = "127.0.0.1:5000/myapp/api";

/// The routes, asked from this machine.
fn routes(bench: &Bench) -> Router {
    everything(bench).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
}

async fn send(bench: &Bench, request: Request<Body>) -> (StatusCode, String) {
    let response = routes(bench).oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

/// The newest entry of all ledgers: nothing was written while it stays the same.
async fn newest(bench: &Bench) -> i64 {
    bench.store.read().await.unwrap().newest_event().await.unwrap()
}

async fn set_up() -> (Bench, Caller, Who) {
    let bench = Bench::new().await;
    bench.registry.push(API, "one", &digest("a"));
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    bench.apply(&program, &document()).await;
    let (ada, id) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let browser = session(&bench, id).await;
    (bench, ada, browser)
}

fn at(project: &str, environment: &str) -> At {
    At {
        workspace: "demo".into(),
        project: project.into(),
        environment: environment.into(),
    }
}

#[tokio::test]
async fn another_workspaces_ids_are_answered_like_ids_that_never_were() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let (_, member) = bench.member("bob@example.com", "demo", Role::Viewer).await;
    bench.program("demo", "spare", Role::Viewer).await;
    let tokens = access::tokens(services, &ada, "demo").await.unwrap().tokens;
    access::invite(services, &ada, "demo", "off@example.com", "viewer")
        .await
        .unwrap();
    let invitation = access::members(services, &ada, "demo")
        .await
        .unwrap()
        .invitations
        .remove(0)
        .id;
    let mut tx = bench.store.read().await.unwrap();
    let projects = tx.projects(ada.access[0].0.id).await.unwrap();
    let myapp = projects
        .iter()
        .find(|p| p.project.name.as_str() == "myapp")
        .unwrap()
        .project
        .id;
    let promotion = tx.newest_promotions(myapp).await.unwrap().remove(0).id;
    drop(tx);
    let (channel, delivery) = channel_with_a_delivery(&bench, &ada).await;
    access::create_group(services, &ada, "demo", "only-theirs")
        .await
        .unwrap();
    let host = SourceHostDraft {
        host: "hers.example".into(),
        ..SourceHostDraft::default()
    };
    configure::save_source_host(services, &ada, "demo", &host, &SecretString::default())
        .await
        .unwrap();
    let real = [
        ("{myapp}", myapp.to_string()),
        ("{promotion}", promotion.to_string()),
        ("{member}", member.to_string()),
        ("{token}", tokens[0].id.to_string()),
        ("{invitation}", invitation.to_string()),
        ("{channel}", channel.id.to_string()),
        ("{delivery}", delivery.id.to_string()),
        ("{group}", "only-theirs".to_owned()),
        ("{listed}", host.host.clone()),
    ];

    // Who administers a workspace of their own, with a project in it, and gives the ids of the other one.
    let (program, _) = bench.program("other", "boss", Role::Admin).await;
    let mut own = document();
    own["workspace"] = json!("other");
    own["projects"].as_array_mut().unwrap().remove(0);
    bench.apply(&program, &own).await;
    let (_, eve) = bench.member("eve@example.com", "other", Role::Admin).await;
    let eve = session(&bench, eve).await;
    let before = newest(&bench).await;
    bench.clock.forward(1);
    let mut tried = 0;
    let routes = everything(&bench);
    for (_, name, door) in TABLE {
        // Who has an invitation's key may use it; a session is one's own.
        if matches!(
            *name,
            "invitation" | "accept_invitation" | "sign_in" | "sign_out" | "sign_out_everywhere"
        ) {
            continue;
        }
        let fill = |text: &str, made_up: bool| {
            let mut text = text
                .replace(
                    "{development}",
                    "workspace=demo&project={myapp}&environment=development",
                )
                .replace(
                    "{target development}",
                    "target[workspace]=other&target[project]={myapp}&target[environment]=development",
                )
                .replace(
                    "{target closed}",
                    "target[workspace]=other&target[project]={myapp}&target[environment]=production",
                )
                .replace("target[workspace]=demo", "target[workspace]=other")
                .replace("target[name]=myapp", "target[name]={myapp}")
                .replace("{production}", "workspace=demo&project={myapp}&environment=production")
                .replace("{closed}", "workspace=demo&project={myapp}&environment=production")
                .replace("{guarded}", "workspace=demo&project={myapp}&environment=development")
                .replace("{waiting}", "{promotion}")
                .replace("{unwanted}", "{promotion}")
                .replace("{only release}", "{promotion}")
                .replace("{workspace}", "demo")
                .replace("{new}", "new")
                .replace("project=myapp", "project={myapp}")
                .replace("\"myapp\"", "\"{myapp}\"")
                .replace("workspace=demo", "workspace=other")
                .replace("workspace: \"demo\"", "workspace: \"other\"")
                .replace("\"workspace\":\"demo\"", "\"workspace\":\"other\"")
                .replace("{digest}", &digest("a"))
                .replace("{recalled}", &digest("9"));
            for (n, (mark, id)) in real.iter().enumerate() {
                let none = format!("00000000-0000-7000-8000-00000000000{n}");
                text = text.replace(mark, if made_up { &none } else { id });
            }
            assert_eq!(placeholder(&text), None, "{name}: say here what stands for it");
            text
        };
        let masked = |mut text: String| {
            for (n, (mark, id)) in real.iter().enumerate() {
                text = text.replace(id, mark);
                text = text.replace(&format!("00000000-0000-7000-8000-00000000000{n}"), mark);
            }
            text
        };
        let Said { answer, text, .. } = ask(&routes, *door, &eve, &|text| fill(text, false)).await;
        let none = ask(&routes, *door, &eve, &|text| fill(text, true)).await;
        let (other, none) = (none.answer, none.text);
        assert_eq!(answer, other, "{name} {door:?}: {text} {none}");
        assert_ne!(answer, Answer::SignIn, "{name} {door:?}");
        if answer != Answer::May {
            assert_eq!(masked(text), masked(none), "{name} {door:?}");
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
    // What was written is her own workspace's.
    let demo = ada.access[0].0.id;
    let mut tx = bench.store.read().await.unwrap();
    let written = tx.events_after(before, 1000).await.unwrap();
    assert!(written.iter().all(|event| event.workspace != demo), "{written:#?}");
    let view = access::members(services, &ada, "demo").await.unwrap();
    assert_eq!((view.members.len(), view.invitations.len()), (2, 1));
    assert_eq!(
        access::tokens(services, &ada, "demo").await.unwrap().tokens.len(),
        tokens.len()
    );
    // The other workspace's channel is neither paused nor gone, and nothing is sent through it again.
    assert_eq!(tx.channel(channel.id).await.unwrap(), Some(channel));
    let all = tx.deliveries(demo, 100).await.unwrap();
    assert_eq!(all, [delivery]);
}

#[tokio::test]
async fn no_use_case_takes_a_post_of_another_site() {
    let (bench, _, browser) = set_up().await;
    let Who::Person(cookie) = browser else {
        panic!("a person");
    };
    let before = newest(&bench).await;
    let fill = |text: &str| {
        text.replace("{development}", "workspace=demo&project=myapp&environment=development")
            .replace("{production}", "workspace=demo&project=myapp&environment=production")
            .replace("{digest}", &digest("a"))
    };
    for (_, name, door) in TABLE.iter().filter(|(.., door)| !door.is_got()) {
        for from in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "http://w.example.evil.example")],
            &[("origin", "http://w.example:81")],
            &[("origin", "null")],
            &[("origin", "http://w.example"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[],
        ] {
            let (request, body) = door.request(&fill);
            let mut request = request.header(header::COOKIE, &cookie);
            for (header, value) in from {
                request = request.header(*header, *value);
            }
            let (status, text) = send(&bench, request.body(Body::from(body)).unwrap()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{name} {door:?} {from:?}: {text}");
        }
    }
    // GraphQL takes JSON only, which no other site's form can send, and no queries in addresses, which links could.
    let post = |kind: &'static str| {
        Request::post("/api/graphql")
            .header(header::CONTENT_TYPE, kind)
            .header(header::HOST, "w.example")
            .header(header::ORIGIN, "http://w.example")
            .header(header::COOKIE, &cookie)
            .body(Body::from(json!({ "query": "{ projects { name } }" }).to_string()))
            .unwrap()
    };
    assert_eq!(send(&bench, post("application/json")).await.0, StatusCode::OK);
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        assert_eq!(
            send(&bench, post(kind)).await.0,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{kind}"
        );
    }
    let link = Request::get("/api/graphql?query=%7Bprojects%7Bname%7D%7D").header(header::COOKIE, &cookie);
    let (status, _) = send(&bench, link.body(Body::empty()).unwrap()).await;
    assert!(
        status == StatusCode::METHOD_NOT_ALLOWED || status == StatusCode::NOT_FOUND,
        "{status}"
    );
    assert_eq!(newest(&bench).await, before, "nothing was written");
}

#[tokio::test]
async fn what_the_page_hides_graphql_refuses() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let values = "environments/development/values.yaml";
    bench.git.declare(values, "api", API, "one", &digest("a"));
    let (dev, _) = bench.member("dev@example.com", "demo", Role::Developer).await;
    let (approver, _) = bench.member("approver@example.com", "demo", Role::Approver).await;
    let (_, rita) = bench.member("rita@example.com", "demo", Role::Approver).await;
    let (_, hidden) = bench.member("hidden@example.com", "demo", Role::Admin).await;
    access::create_group(services, &ada, "demo", "release").await.unwrap();
    access::join_group(services, &ada, "demo", "release", &rita.to_string())
        .await
        .unwrap();
    let policy = "approvals: { count: 1, by: [{ group: release }] }";
    gates::set_policy(services, &ada, &at("myapp", "production"), policy, None)
        .await
        .unwrap();
    let id = promotion::promote(services, &dev, &at("myapp", "production"), "api", false)
        .await
        .unwrap()
        .to_string();
    let mut tx = bench.store.write().await.unwrap();
    let projects = tx.projects(ada.access[0].0.id).await.unwrap();
    let myapp = projects.iter().find(|p| p.project.name.as_str() == "myapp").unwrap();
    tx.set_project_role(myapp.project.id, hidden, None).await.unwrap();
    tx.commit().await.unwrap();
    let now = async |id| access::caller_of_user(services, id).await.unwrap().unwrap();
    let (rita, hidden) = (now(rita).await, now(hidden).await);
    let new = NewToken {
        name: "adas",
        role: Role::Admin,
        expires_in_millis: None,
    };
    let token = access::create_token(services, &ada, "demo", &new).await.unwrap();
    let program = access::caller_of_token(services, token.expose_secret())
        .await
        .unwrap()
        .unwrap();
    let say = async |caller: &Caller, query: &str| {
        let query = json!({ "query": query.replace("ID", &id) }).to_string();
        let door = graphql::router(services.clone());
        Bench::post(door, Some(caller.clone()), "/api/graphql", query).await.1
    };
    let before = newest(&bench).await;
    for query in [
        "mutation { approve(id: \"ID\") { id } }",
        "mutation { reject(id: \"ID\", comment: \"no\") { id } }",
        // Twice in one request counts no more than once.
        "mutation { a: approve(id: \"ID\") { id } b: approve(id: \"ID\") { id } }",
    ] {
        for (who, code) in [
            (&dev, "forbidden"),
            (&approver, "forbidden"),
            (&ada, "forbidden"),
            (&program, "forbidden"),
            (&hidden, "not_found"),
        ] {
            let shown = views::promotion(services, who, &id)
                .await
                .map(|view| view.may_say.is_some());
            assert!(!shown.unwrap_or_default(), "{who:?}");
            let answer = say(who, query).await;
            assert_eq!(
                answer["errors"][0]["extensions"]["code"], code,
                "{query} {who:?}: {answer}"
            );
        }
    }
    for gate in ["approvals", "stop", "freeze"] {
        for who in [&dev, &approver, &ada, &rita] {
            let refused = promotion::override_gate(services, who, &id, gate, "because").await;
            assert_eq!(refused.unwrap_err().status(), 403, "{gate} {who:?}");
        }
    }
    assert_eq!(newest(&bench).await, before, "nothing was written");
    let answer = say(&rita, "mutation { approve(id: \"ID\") { state } }").await;
    assert_eq!(answer["data"]["approve"]["state"], "queued", "{answer}");
}

/// What distribution tells of a push.
fn pushed(tag: &str, digest: &str) -> String {
    json!({ "events": [{
        "action": "push",
        "target": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "myapp/api", "tag": tag, "digest": digest },
        "request": { "host": "127.0.0.1:5000" },
    }] })
    .to_string()
}

#[tokio::test]
async fn webhooks_that_are_replayed_or_forged_do_no_harm() {
    let (bench, ada, _) = set_up().await;
    let notify = async |body: String, secret: &str| {
        let request = Request::post("/api/v1/hooks/registry/demo")
            .header(header::AUTHORIZATION, format!("Bearer {secret}"))
            .body(Body::from(body))
            .unwrap();
        let status = send(&bench, request).await.0;
        bench.services.pushes.settled().await;
        status
    };
    bench.registry.push(API, "two", &digest("b"));
    assert_eq!(
        notify(pushed("two", &digest("b")), "s3cret").await,
        StatusCode::ACCEPTED
    );
    let promotions = async || {
        let mut tx = bench.store.read().await.unwrap();
        let projects = tx.projects(ada.access[0].0.id).await.unwrap();
        let myapp = projects.iter().find(|p| p.project.name.as_str() == "myapp").unwrap();
        let resources = tx.resources(myapp.project.id).await.unwrap();
        let api = resources
            .iter()
            .find(|r| matches!(r.source, domain::resource::Source::Image { .. }));
        let all = tx.promotions_of(api.unwrap().id, 100).await.unwrap();
        (all.len(), all[0].image.digest.to_string())
    };
    let (count, newest_digest) = promotions().await;
    assert_eq!(newest_digest, digest("b"));
    let before = newest(&bench).await;
    // Sent again, also one that is older, one of a tag that never was, and one that lies about the digest.
    for body in [
        pushed("two", &digest("b")),
        pushed("one", &digest("a")),
        pushed("nine", &digest("9")),
        pushed("two", &digest("a")),
    ] {
        assert_eq!(notify(body.clone(), "s3cret").await, StatusCode::ACCEPTED, "{body}");
        assert_eq!(promotions().await, (count, digest("b")), "{body}");
    }
    for wrong in ["", "s3cre", "s3crets", "S3CRET"] {
        assert_eq!(
            notify(pushed("two", &digest("b")), wrong).await,
            StatusCode::UNAUTHORIZED,
            "{wrong}"
        );
    }
    let asked = Request::post("/api/v1/hooks/registry/demo?secret=wrong").body(Body::from(pushed("two", &digest("b"))));
    assert_eq!(send(&bench, asked.unwrap()).await.0, StatusCode::UNAUTHORIZED);

    let push = json!({ "ref": "refs/heads/main", "repository": { "clone_url": "/srv/git/myapp.git" } }).to_string();
    let signature = |secret: &str, body: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let bytes = mac.chain_update(body).finalize().into_bytes();
        bytes.iter().fold("sha256=".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    let tell = async |body: &str, signature: Option<&str>| {
        let mut request = Request::post("/api/v1/hooks/git/demo").header(header::CONTENT_TYPE, "application/json");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        send(&bench, request.body(Body::from(body.to_owned())).unwrap()).await.0
    };
    let right = signature("s3cret", &push);
    for (body, signature) in [
        (push.as_str(), None),
        (&push, Some(signature("other", &push))),
        (&push, Some(String::new())),
        (&push, Some("sha256=".into())),
        (&push, Some("sha1=00".into())),
        (&push.replace("main", "next"), Some(right.clone())),
    ] {
        assert_eq!(
            tell(body, signature.as_deref()).await,
            StatusCode::UNAUTHORIZED,
            "{body} {signature:?}"
        );
    }
    for _ in 0..3 {
        assert_eq!(tell(&push, Some(&right)).await, StatusCode::ACCEPTED);
    }
    // The repository is read beside the answer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut tx = bench.store.read().await.unwrap();
    let written = tx.events_after(before, 100).await.unwrap();
    let harmless = |happened: &Happened| matches!(happened, Happened::ArtifactSeen { .. });
    assert!(written.iter().all(|event| harmless(&event.happened)), "{written:#?}");
    drop(tx);
    assert_eq!(promotions().await, (count, digest("b")));
}

#[tokio::test]
async fn addresses_of_a_configuration_lead_to_no_machines_own_secrets() {
    let (bench, ada, _) = set_up().await;
    let before = newest(&bench).await;
    let refused = async |change: &dyn Fn(&mut Value), field: &str| {
        let mut changed = document();
        change(&mut changed);
        let error = configure::apply(&bench.services, &ada, &crate::support::read(&changed), false).await;
        let error = error.unwrap_err();
        let why = error.fields().and_then(|fields| fields.get(field)).map(str::to_owned);
        assert!(why.is_some(), "{field}: {error} {changed}");
    };
    for host in [
        "169.254.169.254",
        "[fe80::1]",
        "0xa9fea9fe",
        "metadata.google.internal",
        "[fd00:ec2::254]",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}/latest/meta-data");
            let argocd = json!({ "url": url, "token": "t" });
            refused(
                &|d| d["clusters"][0]["argocd"] = argocd.clone(),
                "clusters[0].argocd.url",
            )
            .await;
            refused(
                &|d| d["projects"][0]["repository"]["url"] = json!(url),
                "projects[0].repository.url",
            )
            .await;
        }
        refused(
            &|d| d["projects"][0]["repository"]["url"] = json!(format!("ssh://git@{host}/x")),
            "projects[0].repository.url",
        )
        .await;
    }
    for host in ["169.254.169.254", "169.254.169.254:80", "metadata.google.internal"] {
        refused(
            &|d| d["clusters"][0]["registry"]["host"] = json!(host),
            "clusters[0].registry.host",
        )
        .await;
    }
    // What would run a program, or read another's file.
    for url in [
        "ext::sh -c touch% /tmp/x",
        "ext::sh",
        "fd::17/foo",
        "-oProxyCommand=x:y",
        "git@-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "ssh://git@-oProxyCommand=x/y",
        "--upload-pack=x",
        "git@host:--upload-pack=x",
        "git@169.254.169.254:x",
        "ftp://host/x",
        "gopher://host/x",
        "javascript:alert(1)",
        "https://host/x\nhttps://other/y",
    ] {
        refused(
            &|d| d["projects"][0]["repository"]["url"] = json!(url),
            "projects[0].repository.url",
        )
        .await;
    }
    for url in [
        "file:///etc",
        "javascript:alert(1)",
        "//argocd",
        "https://a@b/",
        "https://a?b",
        "https://",
    ] {
        let argocd = json!({ "url": url, "token": "t" });
        refused(
            &|d| d["clusters"][0]["argocd"] = argocd.clone(),
            "clusters[0].argocd.url",
        )
        .await;
    }
    // Who may create a resource names a registry too; it is never asked.
    bench.registry.push("169.254.169.254/x/y", "one", &digest("e"));
    let draft = domain::draft::ResourceDraft {
        name: "new".into(),
        kind: "deployment".into(),
        source: "image".into(),
        image: "169.254.169.254/x/y".into(),
        binding: "track".into(),
        ..domain::draft::ResourceDraft::default()
    };
    let refused = configure::create_resource(&bench.services, &ada, &at("myapp", "development"), draft).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("link-local and metadata addresses")
    );
    // A check's address is shown, never asked; and only as a link of the web.
    for url in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//evil.example",
        "https://",
        "https://a b",
    ] {
        let reported = ReportedCheck {
            workspace: None,
            digest: digest("a"),
            name: "scan".into(),
            status: "passed".into(),
            summary: None,
            url: Some(url.into()),
            at: None,
        };
        let error = gates::report_check(&bench.services, &ada, &reported).await.unwrap_err();
        assert!(
            error.fields().is_some_and(|fields| fields.get("url").is_some()),
            "{url}: {error}"
        );
    }
    assert_eq!(newest(&bench).await, before, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_this_site_is_gone_to_after_signing_in() {
    let world = World::start().await;
    for next in [
        "//evil.example",
        "%2F%2Fevil.example",
        "https%3A%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%2F%09%2Fevil.example",
        "javascript:alert(1)",
    ] {
        let page = sign_in(&mut world.stranger(), &format!("/sign-in?next={next}"), PASSWORD).await;
        assert_eq!((page.status, page.location()), (303, Some("/")), "{next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_slowed_down_and_cookies_are_secure_over_tls() {
    let world = World::with(Setup {
        variables: vec![
            ("LIMITS_SIGN_IN_ATTEMPTS", "3".into()),
            ("PUBLIC_URL", "https://waybill.example.com".into()),
        ],
        ..Setup::default()
    })
    .await;
    let mut browser = world.stranger();
    let page = sign_in(&mut browser, "/sign-in", PASSWORD).await;
    assert!(page.set_cookie(SESSION).unwrap().contains("Secure"));
    for _ in 0..3 {
        assert_eq!(sign_in(&mut world.stranger(), "/sign-in", "wrong").await.status, 422);
    }
    let page = sign_in(&mut world.stranger(), "/sign-in", PASSWORD).await;
    assert_eq!(page.status, 429, "also with the right password");
    assert!(page.summary().contains("Too many tries"), "{}", page.words());
    let tried = async |name: String| {
        let other = [("email", &*name), ("password", "x")];
        world.stranger().post("/sign-in", &other).await.status
    };
    for n in 0..12 {
        assert_eq!(tried(format!("other{n}@example.com")).await, 422);
    }
    assert_eq!(
        tried("another@example.com".into()).await,
        429,
        "one address, many names"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_can_not_post() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let before = world.everything().await;
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let encrypted = world.base_url.replace("http://", "https://");
    for from in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", &encrypted)],
        &[("origin", "http://127.0.0.1")],
        &[("sec-fetch-site", "cross-site"), ("origin", &world.base_url)],
        &[("sec-fetch-site", "same-site")],
        &[],
    ] {
        for path in [
            "/w/demo/myapp/production/-/new",
            "/sign-out",
            "/theme",
            "/api/ui/promote",
            "/api/graphql",
        ] {
            let headers: Vec<(&str, &str)> = from.iter().copied().chain([kind]).collect();
            let page = browser.send(Method::POST, path, &headers, "source=image").await;
            assert_eq!(page.status, 403, "{path} {from:?}");
        }
    }
    assert!(is_in(&mut browser).await, "nobody was signed out");
    assert_eq!(world.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_planted_is_worth_nothing() {
    let world = World::start().await;
    // One that the server itself gave to somebody, before they signed in and while they were somebody else.
    world.person("eve@example.com", "demo", Role::Viewer).await;
    let eve = world.signed_in("eve@example.com").await;
    let planted = eve.cookies[SESSION].clone();
    let mut ada = world.stranger();
    ada.cookies.insert(SESSION.into(), planted.clone());
    sign_in(&mut ada, "/sign-in", PASSWORD).await;
    assert_ne!(ada.cookies[SESSION], planted);
    let mut thief = world.stranger();
    thief.cookies.insert(SESSION.into(), planted);
    assert!(!is_in(&mut thief).await, "neither hers any more nor Eve's");
    // Joining by an invitation begins a session as well.
    let page = ada
        .post(
            "/w/demo/-/settings",
            &[("intent", "invite"), ("email", "new@example.com"), ("role", "viewer")],
        )
        .await;
    let link = page.text.split("/invitation?key=").nth(1).unwrap();
    let key = link.split('<').next().unwrap();
    let mut joins = world.stranger();
    joins.cookies.insert(SESSION.into(), "AAAAAAAAAAAAAAAAAAAAAA".into());
    let path = format!("/invitation?key={key}");
    let joined = joins.post(&path, &[("name", "New"), ("password", PASSWORD)]).await;
    assert_eq!(joined.status, 303, "{}", joined.words());
    assert_ne!(joins.cookies[SESSION], "AAAAAAAAAAAAAAAAAAAAAA");
    assert!(is_in(&mut joins).await);
}
