//! The registry, asked over plain HTTP.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{ImageSpec, NotificationEndpoint, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};
use tokio::{net::TcpListener, sync::mpsc};

use crate::within;

async fn get(url: &str, accept: &str) -> Value {
    let answer = reqwest::Client::new()
        .get(url)
        .header("accept", accept)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn pushes_an_image_whose_labels_can_be_read_back() {
    let directory = TempDir::new().unwrap();
    let registry = OciRegistry::start(RegistryOptions::new(directory.path()))
        .await
        .unwrap();
    let spec = ImageSpec::new("api build 1")
        .label("org.opencontainers.image.revision", "0123abc")
        .created("2026-11-20T10:00:00Z");
    let digest = registry.push_image("myapp/api", "v1", &spec).await.unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert_eq!(registry.digest("myapp/api", "v1").await.unwrap(), Some(digest.clone()));

    let base = format!("{}/v2/myapp/api", registry.base_url());
    let manifest = get(&format!("{base}/manifests/{digest}"), testbed::image::MANIFEST).await;
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let config = get(
        &format!("{base}/blobs/{}", manifest["config"]["digest"].as_str().unwrap()),
        "*/*",
    )
    .await;
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.revision"],
        "0123abc"
    );
    assert_eq!(
        (&config["created"], &config["architecture"]),
        (&"2026-11-20T10:00:00Z".into(), &"amd64".into())
    );

    // The same description is the same image; another content is another one.
    assert_eq!(registry.push_image("myapp/api", "again", &spec).await.unwrap(), digest);
    assert_ne!(
        registry
            .push_image("myapp/api", "v2", &ImageSpec::new("api build 2"))
            .await
            .unwrap(),
        digest
    );
}

#[tokio::test]
async fn pushes_an_index_and_moves_and_deletes_tags() {
    let directory = TempDir::new().unwrap();
    let registry = OciRegistry::start(RegistryOptions::new(directory.path()))
        .await
        .unwrap();
    let spec = ImageSpec::new("web build 1").platforms(&["linux/amd64", "linux/arm64/v8"]);
    let digest = registry.push_image("myapp/web", "v1", &spec).await.unwrap();
    let url = format!("{}/v2/myapp/web/manifests/v1", registry.base_url());
    let index = get(&url, testbed::image::INDEX).await;
    assert_eq!(index["manifests"][1]["platform"]["variant"], "v8");

    assert_eq!(registry.retag("myapp/web", "v1", "staging").await.unwrap(), digest);
    assert_eq!(
        registry.digest("myapp/web", "staging").await.unwrap(),
        Some(digest.clone())
    );
    registry.delete("myapp/web", "staging").await.unwrap();
    assert_eq!(registry.digest("myapp/web", &digest).await.unwrap(), None);
}

#[tokio::test]
async fn asks_for_credentials_and_keeps_its_images_over_a_restart() {
    let directory = TempDir::new().unwrap();
    let options = RegistryOptions {
        auth: true,
        ..RegistryOptions::new(directory.path())
    };
    let registry = OciRegistry::start(options.clone()).await.unwrap();
    let digest = registry
        .push_image("myapp/api", "v1", &ImageSpec::default())
        .await
        .unwrap();
    let url = format!("{}/v2/myapp/api/manifests/v1", registry.base_url());
    let client = reqwest::Client::new();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
    let wrong = client
        .get(&url)
        .basic_auth(REGISTRY_USER, Some("wrong"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    let right = client.get(&url).header("accept", testbed::image::MANIFEST);
    let right = right
        .basic_auth(REGISTRY_USER, Some(REGISTRY_PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(right.status(), 200);

    let port = registry.port();
    drop(registry);
    assert!(client.get(&url).send().await.is_err(), "it ended with its value");
    let registry = OciRegistry::start(RegistryOptions {
        port: Some(port),
        ..options
    })
    .await
    .unwrap();
    assert_eq!(registry.port(), port);
    assert_eq!(registry.digest("myapp/api", "v1").await.unwrap(), Some(digest));
}

#[tokio::test]
async fn says_why_it_did_not_start() {
    let directory = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let options = RegistryOptions {
        port,
        ..RegistryOptions::new(directory.path())
    };
    let error = OciRegistry::start(options).await.unwrap_err().to_string();
    assert!(error.contains("address already in use"), "{error}");
}

#[tokio::test]
async fn notifies_of_a_push_with_the_headers_given() {
    type Heard = Arc<Mutex<mpsc::UnboundedSender<(HeaderMap, Value)>>>;
    async fn hear(State(heard): State<Heard>, headers: HeaderMap, Json(event): Json<Value>) {
        heard.lock().unwrap().send((headers, event)).unwrap();
    }
    let (sender, mut heard) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    // The registry's media type ends in `+json`, which the extractor takes.
    let router = Router::new()
        .route("/events", post(hear))
        .with_state(Arc::new(Mutex::new(sender)));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let directory = TempDir::new().unwrap();
    let headers = vec![("Authorization".to_owned(), "Bearer hook".to_owned())];
    let notifications = vec![NotificationEndpoint { url, headers }];
    let options = RegistryOptions {
        notifications,
        ..RegistryOptions::new(directory.path())
    };
    let registry = OciRegistry::start(options).await.unwrap();
    let digest = registry
        .push_image("myapp/api", "v1", &ImageSpec::default())
        .await
        .unwrap();
    let (headers, event) = loop {
        let (headers, envelope) = within("a notification", heard.recv()).await.unwrap();
        let event = envelope["events"]
            .as_array()
            .unwrap()
            .iter()
            .find(|event| event["target"]["tag"] == "v1");
        if let Some(event) = event {
            break (headers, event.clone());
        }
    };
    assert_eq!(headers["authorization"], "Bearer hook");
    assert_eq!(
        (event["action"].as_str(), event["target"]["digest"].as_str()),
        (Some("push"), Some(digest.as_str()))
    );
}
