//! A gate in front of any HTTP server: requests of a kind can be held before they are passed on, or after they were carried out.
//!
//! Who dies while a request is held before, and is [cut off](Held::cut), has done nothing; who dies while it is held after has done it and can't
//! know.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::TestbedError;

/// When a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the server behind the gate sees it.
    Before,
    /// After the server behind the gate has answered.
    After,
}

/// A running gate; it ends with this value.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    client: reqwest::Client,
    rule: Mutex<Option<Rule>>,
    refusals: Mutex<Vec<Refusal>>,
    down: CancellationToken,
}

#[derive(Clone, Debug)]
struct Rule {
    moment: Moment,
    method: Method,
    contains: String,
    held: watch::Sender<usize>,
    released: CancellationToken,
    cut: CancellationToken,
}

/// What is answered in the server's place.
#[derive(Clone, Debug)]
struct Refusal {
    method: Method,
    contains: String,
    status: StatusCode,
    body: String,
}

/// Requests are held while this lives.
#[derive(Debug)]
#[must_use = "dropping the hold lets the requests go on"]
pub struct Held {
    held: watch::Receiver<usize>,
    released: CancellationToken,
    cut: CancellationToken,
}

impl Held {
    /// The requests that are held end here. For whoever was killed meanwhile: the gate may hear of that only after it has passed them on.
    pub fn cut(self) {
        self.cut.cancel();
    }

    /// Waits until a request is being held. Bound it with a timeout.
    pub async fn held(&mut self) {
        // The sender lives in the gate's rule; without the gate nothing is held any more.
        let _ = self.held.wait_for(|count| *count > 0).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.released.cancel();
    }
}

impl Gate {
    /// A gate before `upstream`, for example `http://127.0.0.1:4711`, on a free port.
    pub async fn start(upstream: &str) -> Result<Self, TestbedError> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = |source| TestbedError::Listen {
            address: wanted.to_string(),
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            client: reqwest::Client::new(),
            rule: Mutex::default(),
            refusals: Mutex::default(),
            down: CancellationToken::new(),
        });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let down = shared.down.clone();
        tokio::spawn(async move {
            // Streams that are open must not keep it up.
            tokio::select! {
                ended = axum::serve(listener, router) => tracing::error!(?ended, "the gate ended"),
                () = down.cancelled() => {}
            }
        });
        Ok(Self { address, shared })
    }

    /// Its own address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests with this method, whose path and query contain this, are held until the hold is dropped.
    pub fn hold(&self, moment: Moment, method: &str, contains: &str) -> Held {
        let (sender, held) = watch::channel(0);
        let (released, cut) = (CancellationToken::new(), CancellationToken::new());
        let rule = Rule {
            moment,
            method: method.parse().unwrap_or_default(),
            contains: contains.to_owned(),
            held: sender,
            released: released.clone(),
            cut: cut.clone(),
        };
        *self.shared.rule.lock().unwrap_or_else(PoisonError::into_inner) = Some(rule);
        Held { held, released, cut }
    }

    /// From now on requests with this method, whose path and query contain this, are answered with this JSON and don't reach the server.
    pub fn refuse(&self, method: &str, contains: &str, status: u16, body: &str) {
        let refusal = Refusal {
            method: method.parse().unwrap_or_default(),
            contains: contains.to_owned(),
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            body: body.to_owned(),
        };
        self.refusals().push(refusal);
    }

    /// From now on nothing is refused.
    pub fn allow_all(&self) {
        self.refusals().clear();
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.down.cancel();
    }
}

impl Rule {
    /// Whether the request goes on.
    async fn wait(&self) -> bool {
        if !self.released.is_cancelled() {
            self.held.send_modify(|count| *count += 1);
            self.released.cancelled().await;
            // Cut off is before released.
            return !self.cut.is_cancelled();
        }
        true
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let refusals = shared.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let refusal = (refusals.into_iter()).find(|it| it.method == parts.method && path.contains(&it.contains));
    if let Some(Refusal { status, body, .. }) = refusal {
        return (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    let rule = shared.rule.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let rule = rule.filter(|rule| rule.method == parts.method && path.contains(&rule.contains));
    if let Some(rule) = rule.as_ref().filter(|rule| rule.moment == Moment::Before)
        && !rule.wait().await
    {
        return (StatusCode::BAD_GATEWAY, "the gate: cut off\n").into_response();
    }
    let mut headers = parts.headers;
    let has_body = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    headers.remove(header::HOST);
    headers.remove(header::TRANSFER_ENCODING);
    let mut request = shared
        .client
        .request(parts.method, format!("{}{path}", shared.upstream))
        .headers(headers);
    if has_body {
        request = request.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, format!("the gate: {error}\n")).into_response(),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response.headers_mut().remove(header::CONNECTION);
    if let Some(rule) = rule.filter(|rule| rule.moment == Moment::After) {
        // Having all of the answer means that it was carried out.
        let bytes = answer.bytes().await.unwrap_or_default();
        rule.wait().await;
        *response.body_mut() = Body::from(bytes);
        return response;
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}
