//! A registry that a test bends: a few lines of axum on two origins (the second plays the object store), which write down
//! every request. Not a model of a registry: each test scripts what it answers.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use server::{
    adapters::registry::{RegistryClient, Timeouts},
    ports::registry::RegistryAccess,
};
use sha2::{Digest as _, Sha256};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

type Script = Arc<dyn Fn(&Seen, &[Seen]) -> Response + Send + Sync>;

#[derive(Clone)]
struct Shared {
    script: Script,
    log: Arc<Mutex<Vec<Seen>>>,
}

/// A server on a free local port that ends with this value.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Origin {
    /// Answers every request with what `script` makes of it and of those before it.
    pub(crate) async fn start(script: impl Fn(&Seen, &[Seen]) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared {
            script: Arc::new(script),
            log: Arc::clone(&log),
        };
        let app = Router::new().fallback(handle).with_state(shared);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, log, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `127.0.0.1:PORT/myapp/api`.
    pub(crate) fn repository(&self) -> domain::artifact::Repository {
        format!("{}/myapp/api", self.address).parse().unwrap()
    }
}

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let seen = Seen {
        method: request.method().clone(),
        uri: request.uri().to_string(),
        headers: request.headers().clone(),
    };
    let mut log = shared.log.lock().unwrap();
    let response = (shared.script)(&seen, &log);
    log.push(seen);
    response
}

pub(crate) fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

pub(crate) fn response(code: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut builder = Response::builder().status(code);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(crate) fn client() -> RegistryClient {
    RegistryClient::new().unwrap()
}

pub(crate) fn hurried_client(total: Duration) -> RegistryClient {
    RegistryClient::with_timeouts(Timeouts {
        connect: Duration::from_secs(5),
        total,
    })
    .unwrap()
}

pub(crate) fn open() -> RegistryAccess {
    RegistryAccess {
        ca: None,
        plain_http: true,
        credentials: None,
    }
}

pub(crate) fn signed_in(user: &str, password: &str) -> RegistryAccess {
    RegistryAccess {
        ca: None,
        plain_http: true,
        credentials: Some((user.to_owned(), password.to_owned().into())),
    }
}
