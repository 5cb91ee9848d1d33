//! What is made of what registries hold: the cases 01, 05, 06, 09 and 10 of `fixtures/cases`, against a registry over HTTP.

use crate::support::{Bench, counted::Counted, scripted_registry::ScriptedRegistry, world::until};
use axum::{http::StatusCode, response::IntoResponse as _};
use contract::{
    backend::At,
    connection::{Finding, RegistryDraft, Secrets, TestStep},
};
use domain::{
    artifact::Repository,
    door::Entrance,
    event::Happened,
    id::WorkspaceId,
    promotion::{Promotion, State},
    resource::Resource,
    rights::Role,
};
use serde_json::{Value, json};
use server::{
    adapters::registry::{RegistryClient, notification::Pushed},
    service::{
        Caller,
        configure::{self, TypedSecrets},
        observe, views,
    },
    worker::{Settings, Worker},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

mod tag_rules;

const API: &str = "shop/api";
const CHAIN: [&str; 3] = ["development", "staging", "production"];

/// The use cases between a registry and Git, with a worker that carries out what is asked for.
struct Shop {
    bench: Bench,
    registry: ScriptedRegistry,
    admin: Caller,
    workspace: WorkspaceId,
    stop: CancellationToken,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shop {
    async fn open() -> Self {
        let mut bench = Bench::new().await;
        bench.services.registry = Arc::new(RegistryClient::new().unwrap());
        let registry = ScriptedRegistry::start().await;
        let (admin, _) = bench.program("demo", "admin", Role::Admin).await;
        let (workspace, stop) = (admin.access[0].0.id, CancellationToken::new());
        let settings = Settings {
            sync_timeout: Duration::from_secs(60),
            verify_timeout: Duration::from_secs(60),
            stable: Duration::from_millis(1),
        };
        tokio::spawn(Worker::new(bench.services.clone(), settings, "worker").run(stop.clone()));
        Self {
            bench,
            registry,
            admin,
            workspace,
            stop,
        }
    }

    async fn apply(&self, environments: Vec<Value>) -> Vec<String> {
        let registry = json!({ "host": self.registry.address, "plainHttp": true, "user": "ci", "password": "right" });
        let document = json!({
            "workspace": "demo",
            "clusters": [{ "name": "local", "registry": registry }],
            "projects": [{
                "name": "shop",
                "repository": { "url": "https://git.example.com/deploy.git", "branch": "main" },
                "environments": environments,
            }],
        });
        self.bench.apply(&self.admin, &document).await.warnings
    }

    /// Applies the chain of `api` from the repository to production.
    async fn apply_chain(&self) {
        let mut from: Option<&str> = None;
        let mut environments = Vec::new();
        for name in CHAIN {
            let source = match from {
                None => json!({ "image": self.registry.repository(API) }),
                Some(from) => json!({ "promote": { "environment": from, "resource": "api" } }),
            };
            let resources = json!([{ "name": "api", "source": source }]);
            environments.push(json!({ "name": name, "cluster": "local", "resources": resources }));
            from = Some(name);
        }
        let warnings = self.apply(environments).await;
        assert_eq!(warnings, Vec::<String>::new());
    }

    fn repository(&self) -> Repository {
        self.registry.repository(API).parse().unwrap()
    }

    /// The registry tells of tags, in one notification.
    async fn tell(&self, pushes: &[(&str, &str)]) {
        let pushed = |(tag, digest): &(&str, &str)| Pushed {
            repository_path: API.into(),
            host: None,
            tag: tag.parse().ok(),
            digest: digest.parse().ok(),
        };
        let pushes = pushes.iter().map(pushed).collect();
        let told = observe::pushed(&self.bench.services, "demo", pushes, &Entrance::default()).await;
        assert!(told.unwrap() > 0);
    }

    async fn look(&self) {
        observe::poll_registries(&self.bench.services).await;
    }

    async fn resource(&self, environment: &str, name: &str) -> Resource {
        let mut tx = self.bench.store.read().await.unwrap();
        let project = tx.projects(self.workspace).await.unwrap().remove(0).project.id;
        let environments = tx.environments(project).await.unwrap();
        let environment = environments.iter().find(|e| e.name.as_str() == environment).unwrap();
        tx.resource_by_name(environment.id, name).await.unwrap().unwrap()
    }

    /// The promotions of a resource, oldest first.
    async fn promotions(&self, environment: &str, name: &str) -> Vec<Promotion> {
        let resource = self.resource(environment, name).await;
        let mut tx = self.bench.store.read().await.unwrap();
        let mut promotions = tx.promotions_of(resource.id, 100).await.unwrap();
        promotions.reverse();
        promotions
    }

    /// The tags of the promotions of a resource, once what is open has ended.
    async fn went(&self, environment: &str, name: &str) -> Vec<String> {
        let ended = until("the promotions to end", async || {
            let promotions = self.promotions(environment, name).await;
            promotions.iter().all(|p| p.state.is_ended()).then_some(promotions)
        })
        .await;
        for promotion in &ended {
            assert_eq!(promotion.state, State::Succeeded, "{promotion:?}");
        }
        ended.iter().map(|p| p.image.label().to_owned()).collect()
    }

    /// Waits until production runs a digest.
    async fn arrives(&self, digest: &str) {
        until("the image to arrive in production", async || {
            let resource = self.resource("production", "api").await;
            let runs = resource.desired.is_some_and(|image| image.digest.as_str() == digest);
            runs.then_some(())
        })
        .await;
    }

    async fn all_went(&self, wanted: &[&str]) {
        for environment in CHAIN {
            assert_eq!(self.went(environment, "api").await, wanted, "{environment}");
        }
    }

    async fn newest_event(&self) -> i64 {
        self.bench.store.read().await.unwrap().newest_event().await.unwrap()
    }

    /// The artifacts that were told of since an entry, by what they are called.
    async fn seen_since(&self, sequence: i64) -> Vec<String> {
        let mut tx = self.bench.store.read().await.unwrap();
        let events = tx.events_after(sequence, 1_000).await.unwrap();
        let seen = events.into_iter().filter_map(|event| match event.happened {
            Happened::ArtifactSeen { image } => Some(image.label().to_owned()),
            _ => None,
        });
        seen.collect()
    }
}

#[tokio::test]
async fn one_image_with_many_tags_is_deployed_once_by_the_tag_that_says_most() {
    const TAGS: [&str; 4] = ["latest", "main", "1.3.0", "sha-77aa001"];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 1, 3]] {
        let shop = Shop::open().await;
        shop.apply_chain().await;
        let mut digest = String::new();
        for tag in TAGS {
            digest = shop.registry.push(API, tag, 0, "linux/amd64");
        }
        for n in order {
            shop.tell(&[(TAGS[n], &digest)]).await;
        }
        shop.bench.services.pushes.settled().await;
        shop.arrives(&digest).await;
        shop.all_went(&["1.3.0"]).await;
        assert_eq!(shop.bench.git.committed().len(), 3, "{order:?}");
    }
}

#[tokio::test]
async fn a_look_finds_all_tags_of_an_image_and_the_next_ones_write_nothing() {
    let mut shop = Shop::open().await;
    shop.apply_chain().await;
    let mut digest = String::new();
    for tag in ["latest", "main", "1.3.0", "sha-77aa001"] {
        digest = shop.registry.push(API, tag, 0, "linux/amd64");
    }
    shop.look().await;
    shop.arrives(&digest).await;
    shop.all_went(&["1.3.0"]).await;

    shop.stop.cancel();
    let (counted, before) = (Counted::new(shop.bench.store.clone()), shop.newest_event().await);
    shop.bench.services.store = counted.clone();
    for _ in 0..5 {
        shop.look().await;
    }
    assert_eq!((counted.writes(), shop.newest_event().await), (0, before));
    let tags = async |digest: &str| {
        let mut tx = shop.bench.store.read().await.unwrap();
        let digest = digest.parse().unwrap();
        let tags = tx
            .tags_of_image(shop.workspace, &shop.repository(), &digest)
            .await
            .unwrap();
        tags.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(tags(&digest).await, ["1.3.0", "latest", "main", "sha-77aa001"]);

    // A tag that moves is news once, and no longer belongs to the first.
    shop.registry.push(API, "1.4.0", 1, "linux/amd64");
    let moved = shop.registry.push(API, "latest", 1, "linux/amd64");
    shop.tell(&[("1.4.0", &moved), ("latest", &moved)]).await;
    shop.bench.services.pushes.settled().await;
    assert_eq!(tags(&digest).await, ["1.3.0", "main", "sha-77aa001"]);
    assert_eq!(tags(&moved).await, ["1.4.0", "latest"]);
    let seen = shop.seen_since(before).await;
    assert!(
        matches!(seen.len(), 1 | 2) && seen.contains(&"1.4.0".to_owned()),
        "{seen:?}"
    );
    let (_, after) = (counted.writes(), shop.newest_event().await);
    shop.tell(&[("latest", &moved)]).await;
    shop.bench.services.pushes.settled().await;
    assert_eq!((counted.writes(), shop.newest_event().await), (0, after));
}

#[tokio::test]
async fn an_idle_hour_writes_no_row() {
    let shop = Shop::open().await;
    for (n, tag) in ["1.0.0", "1.1.0", "latest", "main"].iter().enumerate() {
        let hours = i64::try_from(n.min(1)).unwrap();
        shop.registry.push(API, tag, hours, "linux/amd64");
    }
    shop.registry.answer(API, "manifests/refused", 403, &[], "");
    shop.registry.list(API, "refused");
    shop.apply_chain().await;
    shop.all_went(&["1.1.0"]).await;
    let project = {
        let mut tx = shop.bench.store.read().await.unwrap();
        tx.projects(shop.workspace).await.unwrap().remove(0).project.id
    };
    let round = async || {
        shop.bench.clock.forward(60_000);
        shop.look().await;
        observe::read_desired(&shop.bench.services, project).await.unwrap();
        shop.bench.services.connections_changed();
    };
    round().await;
    let before = shop.newest_event().await;
    for _ in 0..60 {
        round().await;
    }
    assert_eq!(shop.newest_event().await, before);
}

/// What is odd about a tag, for each repository of case 05.
fn odd(registry: &ScriptedRegistry, path: &str, n: usize) {
    const ODD: &str = "0.9.0";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let put = |body: Value| registry.put(path, ODD, MANIFEST, body.to_string().as_bytes());
    let refuse = |status: u16, body: &str| {
        registry.answer(
            path,
            &format!("manifests/{ODD}"),
            status,
            &[("content-type", "application/json")],
            body,
        );
        registry.list(path, ODD);
    };
    match n {
        1 => drop(put(
            json!({ "schemaVersion": 1, "name": path, "tag": ODD, "fsLayers": [] }),
        )),
        2 => {
            let config = registry.blob(path, b"no JSON");
            put(json!({ "schemaVersion": 2, "config": config, "layers": [] }));
        }
        3 => {
            let entry = |n: usize| {
                let platform = json!({ "os": "linux", "architecture": "amd64" });
                json!({ "mediaType": MANIFEST, "digest": format!("sha256:{n:064x}"), "size": 1, "platform": platform })
            };
            put(json!({ "schemaVersion": 2, "manifests": (0..120).map(entry).collect::<Vec<_>>() }));
        }
        4 => {
            let digest = format!("sha512:{}", "ab".repeat(64));
            let config =
                json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 1 });
            let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string();
            let headers = [("content-type", MANIFEST), ("docker-content-digest", digest.as_str())];
            registry.answer(path, &format!("manifests/{ODD}"), 200, &headers, manifest);
            registry.list(path, ODD);
        }
        5 => refuse(500, ""),
        6 => refuse(403, r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#),
        7 => refuse(
            412,
            r#"{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"current image with 3 vulnerabilities cannot be pulled"}]}"#,
        ),
        _ => registry.list(path, ODD),
    }
}

#[tokio::test]
async fn one_odd_tag_stops_no_repository_and_is_named_once() {
    let shop = Shop::open().await;
    let mut resources = Vec::new();
    for n in 1..=8 {
        let path = format!("shop/odd{n}");
        odd(&shop.registry, &path, n);
        shop.registry.push(&path, "1.0.0", 0, "linux/amd64");
        shop.registry.push(&path, "1.1.0", 1, "linux/amd64");
        let source = json!({ "image": shop.registry.repository(&path) });
        resources.push(json!({ "name": format!("odd{n}"), "source": source }));
    }
    let environment = json!({ "name": "development", "cluster": "local", "resources": resources });
    assert_eq!(shop.apply(vec![environment]).await, Vec::<String>::new());
    for n in 1..=8 {
        assert_eq!(shop.went("development", &format!("odd{n}")).await, ["1.1.0"], "{n}");
    }
    let named = async || {
        let view = configure::registries(&shop.bench.services, &shop.admin, "demo")
            .await
            .unwrap();
        view.registries[0].passed_over.clone()
    };
    let passed = named().await;
    let images: Vec<&str> = passed.iter().map(|tag| tag.image.as_str()).collect();
    let wanted: Vec<String> = (1..=8)
        .map(|n| format!("{}:0.9.0", shop.registry.repository(&format!("shop/odd{n}"))))
        .collect();
    assert_eq!(images, wanted);
    for (tag, word) in passed.iter().zip([
        "schema 1",
        "not one of an image",
        "more than 100 images",
        "",
        "500",
        "refuses this tag",
        "PROJECTPOLICYVIOLATION",
        "nothing under it",
    ]) {
        assert!(tag.why.contains(word) && !tag.why.contains("credentials"), "{tag:?}");
    }

    for n in 1..=8 {
        shop.registry.push(&format!("shop/odd{n}"), "1.2.0", 2, "linux/amd64");
    }
    shop.registry.asked();
    for _ in 0..3 {
        shop.look().await;
    }
    for n in 1..=8 {
        assert_eq!(
            shop.went("development", &format!("odd{n}")).await,
            ["1.1.0", "1.2.0"],
            "{n}"
        );
    }
    let asked = shop.registry.asked();
    for n in 1..=8 {
        let path = format!("/v2/shop/odd{n}/manifests/0.9.0");
        let times = asked.iter().filter(|asked| asked.ends_with(&path)).count();
        assert!(times <= 2, "{n}: asked about {times} times");
    }
    assert_eq!(named().await, passed, "no more than once");

    // What can be read from now on is passed over no more.
    shop.registry.push("shop/odd5", "0.9.0", -1, "linux/amd64");
    for _ in 0..3 {
        shop.look().await;
    }
    assert_eq!(named().await.len(), 7);
    assert_eq!(
        shop.went("development", "odd5").await,
        ["1.1.0", "1.2.0"],
        "it is older"
    );
}

#[tokio::test]
async fn a_repository_whose_tags_all_fail_fails_as_a_whole() {
    let shop = Shop::open().await;
    for tag in ["1.0.0", "1.1.0"] {
        shop.registry.answer(API, &format!("manifests/{tag}"), 403, &[], "");
        shop.registry.list(API, tag);
    }
    let source = json!({ "image": shop.registry.repository(API) });
    let resources = json!([{ "name": "api", "source": source }]);
    let environment = json!({ "name": "development", "cluster": "local", "resources": resources });
    let warnings = shop.apply(vec![environment]).await;
    assert!(warnings[0].contains("Check its user and password"), "{warnings:?}");
    let view = configure::registries(&shop.bench.services, &shop.admin, "demo")
        .await
        .unwrap();
    assert_eq!(view.registries[0].passed_over, []);
}

#[tokio::test]
async fn a_retry_after_of_a_year_silences_nobody() {
    let shop = Shop::open().await;
    shop.apply_chain().await;
    let digest = shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.registry.gate(|_, _| {
        let headers = [("retry-after", "31536000")];
        Some((StatusCode::TOO_MANY_REQUESTS, headers).into_response())
    });
    shop.look().await;
    shop.registry.gate(|_, _| None);
    shop.look().await;
    shop.arrives(&digest).await;
}

/// A history of images, each built an hour after the one before; the digest of each.
fn history(shop: &Shop, numbers: std::ops::Range<i64>) -> Vec<(String, String)> {
    numbers
        .map(|n| {
            let tag = format!("1.{n}.0");
            let digest = shop.registry.push(API, &tag, n, "linux/amd64");
            (tag, digest)
        })
        .collect()
}

#[tokio::test]
async fn the_first_look_at_a_history_deploys_the_newest_and_what_arrives_later_counts() {
    let shop = Shop::open().await;
    let old = history(&shop, 0..60);
    shop.apply_chain().await;
    shop.arrives(&old[59].1).await;
    shop.all_went(&["1.59.0"]).await;
    let asked = shop.registry.asked();
    for (tag, digest) in &old {
        let of = |rest: &str| asked.iter().filter(|asked| asked.ends_with(rest)).count();
        assert_eq!(of(&format!("/manifests/{tag}")), 1, "{tag}");
        // The newest is asked about once more by the promotion of each environment.
        assert!(of(&format!("GET /v2/{API}/manifests/{digest}")) <= 1, "{tag}");
    }
    let blobs: Vec<&String> = asked.iter().filter(|asked| asked.contains("/blobs/")).collect();
    assert_eq!(blobs.len(), 60);
    shop.look().await;
    let asked = shop.registry.asked();
    assert!(asked.len() <= 3, "a look that finds nothing new: {asked:?}");

    // While the server didn't look, 20 more were pushed.
    let new = history(&shop, 60..80);
    shop.look().await;
    shop.arrives(&new[19].1).await;
    shop.all_went(&["1.59.0", "1.79.0"]).await;

    // And 20 more, of which one notification tells, oldest first.
    let new = history(&shop, 80..100);
    let pushes: Vec<(&str, &str)> = new
        .iter()
        .map(|(tag, digest)| (tag.as_str(), digest.as_str()))
        .collect();
    shop.tell(&pushes).await;
    shop.bench.services.pushes.settled().await;
    shop.arrives(&new[19].1).await;
    shop.all_went(&["1.59.0", "1.79.0", "1.99.0"]).await;
    assert_eq!(shop.bench.git.committed().len(), 9);
}

#[tokio::test]
async fn what_git_declares_at_the_first_look_stays_until_something_arrives() {
    for declared in [59, 30] {
        let shop = Shop::open().await;
        let old = history(&shop, 0..60);
        let (tag, digest) = &old[declared];
        for environment in CHAIN {
            let path = format!("environments/{environment}/values.yaml");
            shop.bench
                .git
                .declare(&path, "api", &shop.registry.repository(API), tag, digest);
        }
        shop.apply_chain().await;
        for _ in 0..3 {
            shop.look().await;
        }
        shop.all_went(&[]).await;
        assert_eq!(shop.bench.git.committed(), []);
        let new = history(&shop, 60..61);
        shop.look().await;
        shop.arrives(&new[0].1).await;
        shop.all_went(&["1.60.0"]).await;
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_learns_nothing() {
    let shop = Shop::open().await;
    let old = history(&shop, 0..3);
    shop.registry.gate(|path, _| {
        path.contains("/tags/list")
            .then(|| StatusCode::BAD_GATEWAY.into_response())
    });
    let source = json!({ "image": shop.registry.repository(API) });
    let resources = json!([{ "name": "api", "source": source }]);
    let environment = json!({ "name": "development", "cluster": "local", "resources": resources });
    assert_eq!(shop.apply(vec![environment]).await.len(), 1);
    shop.look().await;
    assert_eq!(shop.went("development", "api").await, Vec::<String>::new());
    shop.registry.gate(|_, _| None);
    shop.look().await;
    assert_eq!(shop.went("development", "api").await, ["1.2.0"]);
    assert_eq!(
        shop.promotions("development", "api").await[0].image.digest.as_str(),
        old[2].1
    );
}

#[tokio::test]
async fn what_is_no_image_for_linux_is_never_deployed() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.apply_chain().await;
    let hex = "ab".repeat(32);
    let pushed = [
        ("1.0.0-att", shop.registry.push(API, "1.0.0-att", 1, "unknown/unknown")),
        (
            "1.2.0-windows",
            shop.registry.push(API, "1.2.0-windows", 2, "windows/amd64"),
        ),
        ("buildcache", shop.registry.push(API, "buildcache", 3, "linux/amd64")),
    ];
    for (tag, digest) in &pushed {
        shop.tell(&[(tag, digest)]).await;
    }
    shop.registry.push(API, &format!("sha256-{hex}.sbom"), 4, "linux/amd64");
    shop.bench.services.pushes.settled().await;
    shop.look().await;
    shop.all_went(&["1.0.0"]).await;

    // An index is deployed by its own digest, although an attestation stands first in it.
    let index = shop.registry.push_index(API, "1.3.0", 5);
    shop.tell(&[("1.3.0", &index)]).await;
    shop.bench.services.pushes.settled().await;
    shop.arrives(&index).await;
    shop.all_went(&["1.0.0", "1.3.0"]).await;
    let known: BTreeSet<String> = {
        let mut tx = shop.bench.store.read().await.unwrap();
        let known = tx.tags_of_repository(shop.workspace, &shop.repository()).await.unwrap();
        known.into_iter().filter_map(|known| known.why).collect()
    };
    assert!(
        known.contains("It does not run on Linux, only on windows/amd64."),
        "{known:?}"
    );
}

/// What *Test connection* finds, with what is stored of a registry or with another password.
async fn tried(shop: &Shop, registry: &str, password: Option<&str>) -> Vec<TestStep> {
    let was = if registry == "local" { registry } else { "" };
    let draft = RegistryDraft {
        was: was.into(),
        name: registry.into(),
        host: shop.registry.address.to_string(),
        plain_http: true,
        pull_user: "ci".into(),
        stored: password.is_none(),
        ..RegistryDraft::default()
    };
    let typed = Secrets {
        pull_password: password.unwrap_or_default().into(),
        ..Secrets::default()
    };
    let typed = TypedSecrets::from(typed);
    let test = configure::test_registry(&shop.bench.services, &shop.admin, "demo", &draft, &typed);
    test.await.unwrap().steps
}

/// What is wrong with the registry; empty when nothing is.
async fn tested(shop: &Shop, password: Option<&str>) -> Vec<String> {
    let failed = |step: TestStep| (step.finding == Finding::Failed).then_some(step.what);
    tried(shop, "local", password)
        .await
        .into_iter()
        .filter_map(failed)
        .collect()
}

#[tokio::test]
async fn a_test_says_whose_sign_in_is_used_where_two_registries_have_one_host() {
    let shop = Shop::open().await;
    shop.apply_chain().await;
    let whose = async |registry: &str| {
        let steps = tried(&shop, registry, Some("right")).await;
        let step = steps.into_iter().find(|step| step.what == "Whose sign-in");
        step.map(|step| step.detail)
    };
    assert_eq!(whose("local").await, None);
    assert_eq!(whose("another").await, None, "it would come first");
    assert!(
        whose("zone")
            .await
            .unwrap()
            .starts_with("Registry local has the same host")
    );
}

#[tokio::test]
async fn a_test_of_a_registry_goes_the_way_that_following_goes() {
    const RIGHT: &str = "Basic Y2k6cmlnaHQ=";
    let shop = Shop::open().await;
    let address = shop.registry.address;
    let refuse = |challenge: &str| {
        let headers = [("www-authenticate", challenge.to_owned())];
        Some((StatusCode::UNAUTHORIZED, headers).into_response())
    };
    shop.registry.gate(move |uri, headers| {
        let given = headers.get("authorization").map_or("", |given| given.to_str().unwrap());
        let bearer = format!(r#"Bearer realm="http://{address}/token",service="x""#);
        match uri {
            _ if uri.starts_with("/token") => {
                let scope = if uri.contains("scope=repository") {
                    "scoped"
                } else {
                    "bare"
                };
                Some(format!(r#"{{"token":"{scope}"}}"#).into_response())
            }
            "/v2/" if given.is_empty() => refuse(&bearer),
            "/v2/" if given != RIGHT => refuse(r#"Basic realm="x""#),
            _ if given == RIGHT || given == "Bearer scoped" => None,
            _ => refuse(&bearer),
        }
    });
    let digest = shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.apply_chain().await;
    assert_eq!(tested(&shop, None).await, Vec::<String>::new());
    shop.arrives(&digest).await;

    // Nothing may be asked of the registry itself, but the image can be read: that is what the work does.
    shop.registry
        .gate(|uri, _| (uri == "/v2/").then(|| StatusCode::UNAUTHORIZED.into_response()));
    assert_eq!(tested(&shop, None).await, Vec::<String>::new());
    // The manifest is there, but its repository can't be listed: nothing would ever be found in it.
    shop.registry.gate(|uri, _| {
        uri.contains("/tags/list")
            .then(|| StatusCode::FORBIDDEN.into_response())
    });
    assert_eq!(
        tested(&shop, None).await,
        [format!("Read {}", shop.registry.repository(API))]
    );
    // Wrong credentials are said to be wrong.
    shop.registry.gate(|_, headers| {
        let is_right = headers.get("authorization").is_some_and(|given| given == RIGHT);
        let challenge = [("www-authenticate", r#"Basic realm="x""#)];
        (!is_right).then(|| (StatusCode::UNAUTHORIZED, challenge).into_response())
    });
    assert_eq!(tested(&shop, None).await, Vec::<String>::new());
    assert_eq!(tested(&shop, Some("wrong")).await, ["Sign in to the registry"]);
}

#[tokio::test]
async fn a_build_that_is_older_than_what_runs_is_named_on_the_resource() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.4.0", 5, "linux/amd64");
    shop.registry.push(API, "1.3.0", 1, "linux/amd64");
    shop.apply_chain().await;
    shop.all_went(&["1.4.0"]).await;
    let view = async || {
        let at = At {
            workspace: "demo".into(),
            project: "shop".into(),
            environment: "development".into(),
        };
        views::resource(&shop.bench.services, &shop.admin, &at, "api")
            .await
            .unwrap()
    };
    assert_eq!(
        view().await.backdated,
        [],
        "what was there at the first look is history"
    );
    let late = shop.registry.push(API, "1.3.1", 2, "linux/amd64");
    shop.registry.push(API, "latest", 5, "linux/amd64");
    shop.registry.push(API, "1.2.0-windows", 2, "windows/amd64");
    shop.tell(&[("1.3.1", &late)]).await;
    shop.bench.services.pushes.settled().await;
    shop.look().await;
    shop.all_went(&["1.4.0"]).await;
    let view = view().await;
    let labels: Vec<&str> = view.backdated.iter().map(|artifact| artifact.image.label()).collect();
    assert_eq!(labels, ["1.3.1"]);
    let tags: Vec<&str> = view.tags.iter().map(|tag| tag.as_str()).collect();
    assert_eq!(tags, ["1.4.0", "latest"]);
    let passed: Vec<&str> = view.passed_over.iter().map(|tag| tag.image.as_str()).collect();
    assert_eq!(passed, ["1.2.0-windows"]);
}
