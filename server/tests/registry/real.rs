//! Debian's `docker-registry`, open, with Basic sign-in, with tokens, and its notifications.

use crate::{
    odd::{Origin, client, digest, open, signed_in, status},
    token_registry::TokenRegistry,
};
use domain::artifact::{Digest, Repository, Tag};
use server::{
    adapters::registry::notification,
    ports::registry::{Registry, RegistryAccess, RegistryError},
};
use std::time::Duration;
use testbed::{ImageSpec, NotificationEndpoint, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};

fn repository(registry: &OciRegistry, path: &str) -> Repository {
    format!("{}/{path}", registry.host()).parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

#[tokio::test]
async fn an_image_of_two_platforms_is_found_and_described() {
    let directory = tempfile::tempdir().unwrap();
    let registry = OciRegistry::start(RegistryOptions::new(directory.path()))
        .await
        .unwrap();
    let spec = ImageSpec::new("api build 1")
        .label("org.opencontainers.image.revision", "4f2a9c1")
        .created("2026-03-04T05:06:07.89Z")
        .platforms(&["linux/amd64", "linux/arm64/v8"]);
    let pushed: Digest = registry
        .push_image("myapp/api", "v1", &spec)
        .await
        .unwrap()
        .parse()
        .unwrap();
    let (client, api) = (client(), repository(&registry, "myapp/api"));

    assert_eq!(
        client.resolve(&open(), &api, &tag("v1")).await.unwrap().as_ref(),
        Some(&pushed)
    );
    assert_eq!(client.resolve(&open(), &api, &tag("v2")).await.unwrap(), None);
    assert!(client.exists(&open(), &api, &pushed).await.unwrap());
    let details = client.describe(&open(), &api, &pushed).await.unwrap().unwrap();
    assert_eq!(details.platforms, ["linux/amd64", "linux/arm64/v8"]);
    assert_eq!(details.revision(), Some("4f2a9c1"));
    assert_eq!(details.created_at.map(|t| t.0), Some(1_772_600_767_890));
    assert_eq!(details.size_bytes, stored_bytes(directory.path(), &pushed));

    let single = registry
        .push_image("myapp/api", "v2", &ImageSpec::new("api build 2"))
        .await
        .unwrap();
    let details = client
        .describe(&open(), &api, &single.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(details.platforms, ["linux/amd64"]);
    assert!(details.size_bytes > 0);
    assert_eq!(client.tags(&open(), &api).await.unwrap(), [tag("v1"), tag("v2")]);

    let absent: Digest = digest(b"nobody pushed this").parse().unwrap();
    assert!(!client.exists(&open(), &api, &absent).await.unwrap());
    assert_eq!(client.describe(&open(), &api, &absent).await.unwrap(), None);
    let nowhere = repository(&registry, "myapp/nothing");
    assert_eq!(client.resolve(&open(), &nowhere, &tag("v1")).await.unwrap(), None);
    assert!(client.tags(&open(), &nowhere).await.unwrap().is_empty());

    registry.delete("myapp/api", "v1").await.unwrap();
    registry.delete("myapp/api", "v2").await.unwrap();
    assert!(
        client.tags(&open(), &api).await.unwrap().is_empty(),
        "the registry answers null here"
    );
}

/// Bytes of the blobs that the two platforms' manifests name, read from the registry's own files.
fn stored_bytes(directory: &std::path::Path, index: &Digest) -> u64 {
    let blob = |digest: &str| {
        let hex = digest.trim_start_matches("sha256:");
        let path = format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        std::fs::read(directory.join(path)).unwrap()
    };
    let json = |digest: &str| serde_json::from_slice::<serde_json::Value>(&blob(digest)).unwrap();
    let digest_of = |value: &serde_json::Value| value["digest"].as_str().unwrap().to_owned();
    let mut blobs = std::collections::BTreeSet::new();
    for entry in json(index.as_str())["manifests"].as_array().unwrap() {
        let manifest = json(&digest_of(entry));
        blobs.insert(digest_of(&manifest["config"]));
        blobs.extend(manifest["layers"].as_array().unwrap().iter().map(digest_of));
    }
    assert_eq!(blobs.len(), 4);
    blobs.iter().map(|digest| blob(digest).len() as u64).sum()
}

#[tokio::test]
async fn basic_sign_in_works_and_a_wrong_password_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = RegistryOptions::new(directory.path());
    options.auth = true;
    let registry = OciRegistry::start(options).await.unwrap();
    let pushed = registry
        .push_image("myapp/api", "v1", &ImageSpec::new("api"))
        .await
        .unwrap();
    check_sign_in(
        &repository(&registry, "myapp/api"),
        &pushed,
        REGISTRY_USER,
        REGISTRY_PASSWORD,
    )
    .await;
}

#[tokio::test]
async fn token_sign_in_works_and_a_wrong_password_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open_registry = OciRegistry::start(RegistryOptions::new(directory.path()))
        .await
        .unwrap();
    let pushed = open_registry
        .push_image("myapp/api", "v1", &ImageSpec::new("api"))
        .await
        .unwrap();
    drop(open_registry);
    let tokens = TokenRegistry::start(directory.path()).await;
    let api: Repository = format!("{}/myapp/api", tokens.host()).parse().unwrap();
    check_sign_in(
        &api,
        &pushed,
        crate::token_registry::USER,
        crate::token_registry::PASSWORD,
    )
    .await;
    assert!(tokens.issued() > 0, "no token was ever asked for");
}

async fn check_sign_in(api: &Repository, pushed: &str, user: &str, password: &str) {
    let client = client();
    let right = signed_in(user, password);
    let pushed: Digest = pushed.parse().unwrap();
    assert_eq!(
        client.resolve(&right, api, &tag("v1")).await.unwrap().as_ref(),
        Some(&pushed)
    );
    assert!(client.exists(&right, api, &pushed).await.unwrap());
    assert!(client.describe(&right, api, &pushed).await.unwrap().is_some());
    assert_eq!(client.tags(&right, api).await.unwrap(), [tag("v1")]);
    assert_eq!(client.resolve(&right, api, &tag("v2")).await.unwrap(), None);
    for wrong in [signed_in(user, "wrong"), signed_in("nobody", password), open()] {
        let error = client.resolve(&wrong, api, &tag("v1")).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    }
    let encrypted = RegistryAccess {
        ca: None,
        plain_http: false,
        ..right
    };
    let error = client.resolve(&encrypted, api, &tag("v1")).await.unwrap_err();
    assert!(error.is_passing(), "an address that doesn't speak TLS: {error:?}");
}

#[tokio::test]
async fn its_notifications_are_read() {
    let receiver = Inbox::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = RegistryOptions::new(directory.path());
    options.notifications = vec![NotificationEndpoint {
        url: receiver.url(),
        headers: Vec::new(),
    }];
    let registry = OciRegistry::start(options).await.unwrap();
    let spec = ImageSpec::new("api").platforms(&["linux/amd64", "linux/arm64"]);
    let pushed = registry.push_image("myapp/api", "v1", &spec).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let pushes = loop {
        let pushes = receiver.pushes();
        if !pushes.is_empty() {
            break pushes;
        }
        assert!(tokio::time::Instant::now() < deadline, "no push was reported");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        pushes,
        [notification::Pushed {
            repository_path: "myapp/api".into(),
            host: Some(registry.host()),
            tag: Some(tag("v1")),
            digest: pushed.parse().ok(),
        }]
    );
}

/// Takes notifications and keeps what was read from them.
struct Inbox {
    address: std::net::SocketAddr,
    pushes: std::sync::Arc<std::sync::Mutex<Vec<notification::Pushed>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Inbox {
    async fn start() -> Self {
        let pushes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = std::sync::Arc::clone(&pushes);
        let handler = move |headers: axum::http::HeaderMap, body: String| async move {
            let read = notification::read(&headers, body.as_bytes()).unwrap();
            kept.lock().unwrap().extend(read);
        };
        let app = axum::Router::new().fallback(handler);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, pushes, task }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn pushes(&self) -> Vec<notification::Pushed> {
        self.pushes.lock().unwrap().clone()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_server_that_is_no_registry_has_nothing() {
    let web = Origin::start(|_, _| status(404)).await;
    assert_eq!(
        client().resolve(&open(), &web.repository(), &tag("v1")).await.unwrap(),
        None
    );
}
