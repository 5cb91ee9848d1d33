//! A registry over HTTP whose every answer a test may bend, and which writes down what it was asked.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::task::JoinHandle;

/// An answer: status, headers, body.
#[derive(Clone)]
struct Scripted(u16, Vec<(String, String)>, Vec<u8>);

#[derive(Default)]
struct Held {
    /// By path.
    answers: HashMap<String, Scripted>,
    tags: BTreeMap<String, Vec<String>>,
    /// Method and path, in this order.
    asked: Vec<String>,
    gate: Option<Gate>,
}

type Gate = Arc<dyn Fn(&str, &HeaderMap) -> Option<Response> + Send + Sync>;

/// It ends with this value.
pub(crate) struct ScriptedRegistry {
    pub(crate) address: SocketAddr,
    held: Arc<Mutex<Held>>,
    task: JoinHandle<()>,
}

impl Drop for ScriptedRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

impl ScriptedRegistry {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let held = Arc::new(Mutex::new(Held::default()));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&held));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, held, task }
    }

    /// The repository's whole name.
    pub(crate) fn repository(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    /// What is answered before anything else, by path and headers.
    pub(crate) fn gate(&self, gate: impl Fn(&str, &HeaderMap) -> Option<Response> + Send + Sync + 'static) {
        self.held.lock().unwrap().gate = Some(Arc::new(gate));
    }

    /// What it was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.held.lock().unwrap().asked)
    }

    /// Answers a path of a repository (`manifests/1.0.0`) like this from now on.
    pub(crate) fn answer(&self, path: &str, rest: &str, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let headers = headers
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let scripted = Scripted(status, headers, body.as_ref().to_vec());
        let mut held = self.held.lock().unwrap();
        held.answers.insert(format!("/v2/{path}/{rest}"), scripted);
    }

    /// Lists a tag.
    pub(crate) fn list(&self, path: &str, tag: &str) {
        let mut held = self.held.lock().unwrap();
        let tags = held.tags.entry(path.to_owned()).or_default();
        tags.retain(|known| known != tag);
        tags.push(tag.to_owned());
    }

    /// Lists a tag no more.
    pub(crate) fn unlist(&self, path: &str, tag: &str) {
        let mut held = self.held.lock().unwrap();
        held.tags
            .entry(path.to_owned())
            .or_default()
            .retain(|known| known != tag);
    }

    /// Puts bytes under a tag, as a manifest of this type; returns the digest.
    pub(crate) fn put(&self, path: &str, tag: &str, media_type: &str, body: &[u8]) -> String {
        let digest = sha256(body);
        let headers = [("content-type", media_type), ("docker-content-digest", digest.as_str())];
        for reference in [tag, &digest] {
            self.answer(path, &format!("manifests/{reference}"), 200, &headers, body);
        }
        self.list(path, tag);
        digest
    }

    pub(crate) fn blob(&self, path: &str, body: &[u8]) -> Value {
        let digest = sha256(body);
        self.answer(path, &format!("blobs/{digest}"), 200, &[], body);
        json!({ "mediaType": CONFIG, "digest": digest, "size": body.len() })
    }

    /// The manifest of an image that was built so many hours after the first, for `os/architecture`.
    fn manifest(&self, path: &str, hours: i64, platform: &str) -> Vec<u8> {
        let (os, architecture) = platform.split_once('/').unwrap();
        let created = domain::time::Timestamp(1_790_000_000_000 + hours * 3_600_000).rfc3339();
        let config = json!({ "created": created, "os": os, "architecture": architecture }).to_string();
        let config = self.blob(path, config.as_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
        manifest.to_string().into_bytes()
    }

    /// Pushes an image.
    pub(crate) fn push(&self, path: &str, tag: &str, hours: i64, platform: &str) -> String {
        let manifest = self.manifest(path, hours, platform);
        self.put(path, tag, MANIFEST, &manifest)
    }

    /// Pushes an image for two platforms, whose index begins with an attestation.
    pub(crate) fn push_index(&self, path: &str, tag: &str, hours: i64) -> String {
        let mut entries = Vec::new();
        for platform in ["unknown/unknown", "linux/amd64", "linux/arm64"] {
            let manifest = self.manifest(path, hours, platform);
            let digest = sha256(&manifest);
            self.answer(
                path,
                &format!("manifests/{digest}"),
                200,
                &[("content-type", MANIFEST)],
                &manifest,
            );
            let (os, architecture) = platform.split_once('/').unwrap();
            let platform = json!({ "os": os, "architecture": architecture });
            entries.push(json!({ "mediaType": MANIFEST, "digest": digest, "size": 1, "platform": platform }));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
        self.put(path, tag, INDEX, index.as_bytes())
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (gate, scripted, tags) = {
        let mut held = held.lock().unwrap();
        held.asked.push(format!("{} {path}", request.method()));
        let listed = path
            .strip_prefix("/v2/")
            .and_then(|rest| rest.strip_suffix("/tags/list"));
        let tags = listed.map(|name| held.tags.get(name).cloned());
        (held.gate.clone(), held.answers.get(&path).cloned(), tags)
    };
    if let Some(answer) = gate.and_then(|gate| gate(&request.uri().to_string(), request.headers())) {
        return answer;
    }
    if let Some(Scripted(status, headers, body)) = scripted {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(name, value);
        }
        let body = if request.method() == Method::HEAD {
            Vec::new()
        } else {
            body
        };
        return answer.body(Body::from(body)).unwrap();
    }
    match tags {
        Some(Some(tags)) => {
            let body = json!({ "name": path, "tags": tags }).to_string();
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        _ if path == "/v2/" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
