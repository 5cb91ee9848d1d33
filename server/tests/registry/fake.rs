//! A registry in memory that a test bends: it keeps what is pushed, writes down every request, and asks the test first what to do. Real
//! ones don't do on command what these tests are about.

use crate::{
    copies::copy,
    odd::{Seen, digest, response, status},
};
use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    response::Response,
};
use domain::{
    artifact::{Digest, Repository},
    copy::CopyProof,
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use server::ports::{
    image_copy::{CopyEnd, CopyError, CopyRequest},
    registry::RegistryAccess,
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::{sync::Notify, task::JoinHandle};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a registry does with a request.
pub(crate) enum Act {
    /// What registries do.
    Usual,
    /// It answers this, without looking at the body.
    Answer(Response),
    /// What registries do; its answer is lost on the way.
    Lost,
    /// It takes the first bytes and tells the first; it takes the others when told by the second, and tells the third if they end early.
    Hang([Arc<Notify>; 3]),
}

type Script = Arc<dyn Fn(&Seen, &Held) -> Act + Send + Sync>;

/// A repository, and a tag or digest in it.
type Name = (String, String);
/// Media type and bytes.
type Document = (String, Vec<u8>);

/// What a registry holds and has seen.
#[derive(Default)]
pub(crate) struct Held {
    manifests: Mutex<BTreeMap<Name, Document>>,
    blobs: Mutex<BTreeMap<Name, Vec<u8>>>,
    log: Mutex<Vec<Seen>>,
    lists_referrers: bool,
}

impl Held {
    /// How many requests like this came before.
    pub(crate) fn count(&self, method: &Method, part: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter(|seen| seen.method == *method && seen.uri.contains(part))
            .count()
    }

    pub(crate) fn put_manifest(&self, repository: &str, reference: &str, kind: &str, bytes: Vec<u8>) {
        let mut manifests = self.manifests.lock().unwrap();
        manifests.insert((repository.into(), digest(&bytes)), (kind.into(), bytes.clone()));
        manifests.insert((repository.into(), reference.into()), (kind.into(), bytes));
    }

    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let key = (repository.to_owned(), digest(bytes));
        self.blobs.lock().unwrap().insert(key, bytes.to_vec());
    }

    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<Value> {
        let manifests = self.manifests.lock().unwrap();
        let (_, bytes) = manifests.get(&(repository.into(), reference.into()))?;
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let blobs = self.blobs.lock().unwrap();
        blobs.get(&(repository.into(), digest.into())).cloned()
    }

    fn remove_blob(&self, repository: &str, digest: &str) {
        self.blobs.lock().unwrap().remove(&(repository.into(), digest.into()));
    }

    /// Entries of the list of what refers to a manifest.
    pub(crate) fn referring(&self, repository: &str, subject: &str) -> Vec<Value> {
        let manifests = self.manifests.lock().unwrap();
        let entries = manifests.iter().filter_map(|((of, name), (kind, bytes))| {
            let value: Value = serde_json::from_slice(bytes).ok()?;
            let refers = of == repository && name.starts_with("sha256:") && value["subject"]["digest"] == subject;
            refers.then(|| {
                json!({"mediaType": kind, "digest": name, "size": bytes.len(),
                "artifactType": value["artifactType"]})
            })
        });
        entries.collect()
    }
}

/// A registry that ends with this value.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) held: Arc<Held>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The repository of all images here.
pub(crate) const HERE: &str = "myapp/api";

impl Fake {
    /// A registry that does what registries do, and keeps no list of referrers.
    pub(crate) async fn usual() -> Self {
        Self::start(false, |_, _| Act::Usual).await
    }

    pub(crate) async fn scripted(script: impl Fn(&Seen, &Held) -> Act + Send + Sync + 'static) -> Self {
        Self::start(false, script).await
    }

    pub(crate) async fn start(
        lists_referrers: bool,
        script: impl Fn(&Seen, &Held) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let held = Arc::new(Held {
            lists_referrers,
            ..Held::default()
        });
        let state: (Script, Arc<Held>) = (Arc::new(script), Arc::clone(&held));
        let app = Router::new().fallback(handle).with_state(state);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, held, task }
    }

    pub(crate) fn repository(&self) -> Repository {
        format!("{}/{HERE}", self.address).parse().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.held.log.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &Method, part: &str) -> usize {
        self.held.count(method, part)
    }

    /// Adds a document and gives its descriptor.
    pub(crate) fn put(&self, kind: &str, value: &Value) -> Value {
        let bytes = value.to_string().into_bytes();
        let descriptor = json!({"mediaType": kind, "digest": digest(&bytes), "size": bytes.len()});
        self.held.put_manifest(HERE, &digest(&bytes), kind, bytes);
        descriptor
    }

    pub(crate) fn tag(&self, tag: &str, kind: &str, value: &Value) {
        self.held.put_manifest(HERE, tag, kind, value.to_string().into_bytes());
    }

    pub(crate) fn layer(&self, kind: &str, bytes: &[u8]) -> Value {
        self.held.put_blob(HERE, bytes);
        json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
    }

    /// An image with these layers.
    pub(crate) fn image(&self, layers: &[&[u8]]) -> Value {
        let config = self.layer("application/vnd.oci.image.config.v1+json", b"{}");
        let layers: Vec<Value> = layers.iter().map(|bytes| self.layer(LAYER, bytes)).collect();
        let value = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.put(MANIFEST, &value)
    }

    pub(crate) fn index(&self, entries: &[&Value]) -> Value {
        self.put(
            INDEX,
            &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}),
        )
    }

    /// Something that refers to a manifest.
    pub(crate) fn referrer(&self, kind: &str, subject: &Value, bytes: &[u8]) -> Value {
        let (config, layer) = (
            self.layer("application/vnd.oci.empty.v1+json", b"{}"),
            self.layer(kind, bytes),
        );
        let value = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config,
            "layers": [layer], "subject": subject});
        self.put(MANIFEST, &value)
    }

    /// Lists manifests as referring to another, under its tag.
    pub(crate) fn list(&self, subject: &Value, entries: &[&Value]) {
        let value = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        self.tag(&list_tag(subject), INDEX, &value);
    }

    /// Deletes a blob of [`HERE`].
    pub(crate) fn lose(&self, bytes: &[u8]) {
        self.held.remove_blob(HERE, &digest(bytes));
    }
}

/// The tag of the list of what refers to a manifest.
pub(crate) fn list_tag(subject: &Value) -> String {
    subject["digest"].as_str().unwrap().replace(':', "-")
}

pub(crate) fn digest_of(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

/// A copy of everything, over plain HTTP.
pub(crate) fn request(from: &Repository, to: &Repository, digest: &Digest) -> CopyRequest {
    let end = |repository: &Repository| CopyEnd {
        access: RegistryAccess {
            plain_http: true,
            ..RegistryAccess::default()
        },
        repository: repository.clone(),
    };
    CopyRequest {
        from: end(from),
        to: end(to),
        digest: digest.clone(),
        attachments: domain::copy::Attachments::All,
    }
}

/// Copies an image with all that hangs on it.
pub(crate) async fn carry(from: &Fake, to: &Fake, root: &Value) -> Result<CopyProof, CopyError> {
    copy(&request(&from.repository(), &to.repository(), &digest_of(root))).await
}

async fn handle(State((script, held)): State<(Script, Arc<Held>)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method,
        uri: parts.uri.to_string(),
        headers: parts.headers,
    };
    let act = script(&seen, &held);
    held.log.lock().unwrap().push(seen.clone());
    match act {
        Act::Answer(response) => response,
        Act::Usual | Act::Lost => {
            let is_lost = matches!(act, Act::Lost);
            // A body that is cut short is nothing that was pushed.
            let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
                return status(400);
            };
            let answer = usual(&seen, &held, body.to_vec());
            if is_lost { status(502) } else { answer }
        }
        Act::Hang([begun, go_on, ended_early]) => {
            let mut chunks = body.into_data_stream();
            chunks.next().await;
            begun.notify_one();
            go_on.notified().await;
            while let Some(chunk) = chunks.next().await {
                if chunk.is_err() {
                    ended_early.notify_one();
                }
            }
            status(201)
        }
    }
}

fn usual(seen: &Seen, held: &Held, body: Vec<u8>) -> Response {
    let (path, query) = seen.uri.split_once('?').unwrap_or((&seen.uri, ""));
    let Some((before, last)) = path.trim_start_matches("/v2/").rsplit_once('/') else {
        return status(404);
    };
    let Some((repository, what)) = before.rsplit_once('/') else {
        return status(404);
    };
    let parameter = |name: &str| {
        let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    match (seen.method.clone(), what, last) {
        (Method::GET | Method::HEAD, "manifests", reference) => {
            let manifests = held.manifests.lock().unwrap();
            match manifests.get(&(repository.into(), reference.into())) {
                Some((kind, bytes)) => served(&seen.method, kind, bytes),
                None => status(404),
            }
        }
        (Method::PUT, "manifests", reference) => {
            let kind = seen.header("content-type").unwrap_or_default();
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            let of = digest(&body);
            held.put_manifest(repository, reference, kind, body);
            match value["subject"]["digest"].as_str().filter(|_| held.lists_referrers) {
                Some(subject) => response(201, &[("docker-content-digest", &of), ("oci-subject", subject)], ""),
                None => response(201, &[("docker-content-digest", &of)], ""),
            }
        }
        (Method::GET | Method::HEAD, "blobs", of) => match held.blob(repository, of) {
            Some(bytes) => served(&seen.method, "application/octet-stream", &bytes),
            None => status(404),
        },
        (Method::POST, _, "") => {
            let from = parameter("from").zip(parameter("mount"));
            let found = from.and_then(|(from, of)| held.blob(&from, &of));
            let repository = repository.trim_end_matches("/blobs");
            match found {
                Some(bytes) => {
                    held.put_blob(repository, &bytes);
                    status(201)
                }
                None => {
                    let location = format!("/v2/{repository}/uploads/1?_state=a%2Fb%3D");
                    response(202, &[("location", &location)], "")
                }
            }
        }
        (Method::PUT, "uploads", _) => {
            let promised = parameter("digest").unwrap_or_default();
            if promised != digest(&body) {
                return response(400, &[], r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
            }
            held.put_blob(repository, &body);
            status(201)
        }
        (Method::GET, "referrers", of) if held.lists_referrers => {
            let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": held.referring(repository, of)});
            response(200, &[("content-type", INDEX)], list.to_string())
        }
        _ => response(404, &[("content-type", "text/plain")], "404 page not found"),
    }
}

fn served(method: &Method, kind: &str, bytes: &[u8]) -> Response {
    let headers = [
        ("content-type", kind),
        ("docker-content-digest", &digest(bytes)),
        ("content-length", &bytes.len().to_string()),
    ];
    match *method {
        Method::HEAD => response(200, &headers, ""),
        _ => response(200, &headers, bytes.to_vec()),
    }
}
