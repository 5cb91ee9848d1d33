//! Git over smart HTTP: `git http-backend` behind a small server, as a Git host would serve it.
//!
//! The server speaks CGI with the program (git-http-backend(1)) and adds what tests need: a push can be held before
//! the repository sees it or after it has landed, refused with a status, or preceded by somebody else's push.

use crate::{TestbedError, git_repo::git_command};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::TryStreamExt as _;
use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::ChildStdout,
    sync::watch,
};
use tokio_util::{
    io::{ReaderStream, StreamReader},
    sync::CancellationToken,
};

/// A running Git server. It ends with this value; pushes held at that moment are answered with 503.
#[derive(Debug)]
pub struct GitServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

type BeforePush = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

struct Shared {
    root: PathBuf,
    authorization: Option<String>,
    knobs: Mutex<Knobs>,
    reads: AtomicUsize,
    pushes: AtomicUsize,
    down: CancellationToken,
}

#[derive(Default)]
struct Knobs {
    hold_before: Option<Arc<Hold>>,
    hold_after: Option<Arc<Hold>>,
    failures: Option<(usize, StatusCode)>,
    before_push: Option<BeforePush>,
    cut: Option<Cut>,
}

/// What becomes of the answers to requests that read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// They end after so many bytes, as if that were all.
    After(usize),
    /// Something in between answers with a page of its own: its content type, and its text.
    Page(&'static str, &'static str),
    /// The server answers with this status alone.
    Status(u16),
    /// The server redirects to the repository at this address.
    Moved(String),
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn knobs(&self) -> MutexGuard<'_, Knobs> {
        self.knobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GitServer {
    /// Serves the bare repositories in `root` (`root/demo.git` is `/demo.git`) on 127.0.0.1, on a free port unless
    /// one is named. With `auth`, a user and a token, every request needs them as HTTP Basic credentials.
    pub async fn start(
        root: impl Into<PathBuf>,
        port: Option<u16>,
        auth: Option<(&str, &str)>,
    ) -> Result<Self, TestbedError> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listen = |source| TestbedError::Listen {
            address: wanted.to_string(),
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let root = root.into();
        let root = root.canonicalize().map_err(TestbedError::file(&root))?;
        let shared = Arc::new(Shared {
            root,
            authorization: auth.map(|(user, token)| format!("Basic {}", BASE64.encode(format!("{user}:{token}")))),
            knobs: Mutex::default(),
            reads: AtomicUsize::new(0),
            pushes: AtomicUsize::new(0),
            down: CancellationToken::new(),
        });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let down = shared.down.clone().cancelled_owned();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(down).await {
                tracing::error!(%error, "the Git server ended");
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the repository in the directory `name`, for example `http://127.0.0.1:4711/demo.git`.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// From now on every push waits before the repository sees it, until the hold is released or dropped.
    pub fn hold_push_before(&self) -> PushHold {
        let hold = Hold::new();
        self.shared.knobs().hold_before = Some(Arc::clone(&hold));
        PushHold(hold)
    }

    /// From now on every push lands, but its answer waits until the hold is released or dropped. Who dies meanwhile
    /// cannot know that the push went through.
    pub fn hold_push_after(&self) -> PushHold {
        let hold = Hold::new();
        self.shared.knobs().hold_after = Some(Arc::clone(&hold));
        PushHold(hold)
    }

    /// The next `count` pushes are answered with `status`, and the repository does not see them.
    pub fn fail_next_pushes(&self, count: usize, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.shared.knobs().failures = Some((count, status));
    }

    /// Runs `action` once, before the next push reaches the repository. The pusher has read the branch by then, so
    /// a commit made by `action` makes its push lose.
    pub fn before_push<F, Fut>(&self, action: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.shared.knobs().before_push = Some(Box::new(move || Box::pin(action())));
    }

    /// From now on the answers to requests that read are not what the repository said, until this is called with `None`.
    pub fn cut_reads(&self, cut: Option<Cut>) {
        self.shared.knobs().cut = cut;
    }

    /// How many requests came in order to read: with protocol version 2 a `clone` or a `fetch` that finds something makes three, one that
    /// finds nothing two, and a question where a branch is one.
    pub fn reads(&self) -> usize {
        self.shared.reads.load(Ordering::SeqCst)
    }

    /// How many pushes reached a repository, whether it took them or not.
    pub fn pushes(&self) -> usize {
        self.shared.pushes.load(Ordering::SeqCst)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.down.cancel();
    }
}

/// Pushes are held while this lives; see [`GitServer::hold_push_before`].
#[derive(Debug)]
#[must_use = "dropping the hold lets the pushes go on"]
pub struct PushHold(Arc<Hold>);

#[derive(Debug)]
struct Hold {
    held: watch::Sender<usize>,
    released: CancellationToken,
}

impl Hold {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            held: watch::Sender::new(0),
            released: CancellationToken::new(),
        })
    }

    /// Waits for the release; false when the server went down first.
    async fn wait(&self, down: &CancellationToken) -> bool {
        if self.released.is_cancelled() {
            return true;
        }
        self.held.send_modify(|count| *count += 1);
        tokio::select! {
            () = self.released.cancelled() => true,
            () = down.cancelled() => false,
        }
    }
}

impl PushHold {
    /// Waits until a push is being held. Bound it with a timeout: it waits as long as no push comes.
    pub async fn held(&self) {
        // The sender lives in the same value, so the channel cannot be closed.
        let _ = self.0.held.subscribe().wait_for(|count| *count > 0).await;
    }

    /// How many pushes were held so far.
    pub fn count(&self) -> usize {
        *self.0.held.borrow()
    }

    /// Lets the held pushes go on, and those to come.
    pub fn release(self) {}
}

impl Drop for PushHold {
    fn drop(&mut self) {
        self.0.released.cancel();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if let Some(wanted) = &shared.authorization {
        let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        if given != Some(wanted.as_bytes()) {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
            return (StatusCode::UNAUTHORIZED, challenge, "credentials needed\n").into_response();
        }
    }
    let is_post = request.method() == Method::POST;
    if is_post && request.uri().path().ends_with("/git-receive-pack") && !is_probe(request.headers()) {
        return serve_push(&shared, request).await;
    }
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if path.ends_with("/git-upload-pack") || (path.ends_with("/info/refs") && query.contains("service=git-upload-pack"))
    {
        shared.reads.fetch_add(1, Ordering::SeqCst);
        let cut = shared.knobs().cut.clone();
        return match cut {
            None => backend(&shared, request).await.unwrap_or_else(into_bad_gateway),
            Some(Cut::Page(kind, text)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
            Some(Cut::Status(status)) => {
                StatusCode::from_u16(status).map_or_else(into_bad_gateway, IntoResponse::into_response)
            }
            Some(Cut::Moved(to)) => {
                let service = path.rsplit_once("/git-").map_or("/info/refs", |(_, name)| match name {
                    "upload-pack" => "/git-upload-pack",
                    _ => "/info/refs",
                });
                let location = format!("{to}{service}?{query}");
                (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
            }
            Some(Cut::After(length)) => cut_after(length, backend(&shared, request).await).await,
        };
    }
    backend(&shared, request).await.unwrap_or_else(into_bad_gateway)
}

async fn cut_after(length: usize, answer: Result<Response, std::io::Error>) -> Response {
    let (parts, body) = match answer {
        Ok(response) => response.into_parts(),
        Err(error) => return into_bad_gateway(error),
    };
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => Response::from_parts(parts, Body::from(bytes.slice(..length.min(bytes.len())))),
        Err(error) => into_bad_gateway(error),
    }
}

/// Before a large push, git sends a lone flush packet ("0000") to find out about credentials.
fn is_probe(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_LENGTH).is_some_and(|length| length == "4")
}

async fn serve_push(shared: &Shared, request: Request) -> Response {
    let (failure, hold, action) = {
        let mut knobs = shared.knobs();
        let failure = match knobs.failures {
            Some((count, status)) if count > 0 => {
                knobs.failures = Some((count - 1, status));
                Some(status)
            }
            _ => None,
        };
        // A push that fails here does not use up the action that waits for one that gets through.
        let action = if failure.is_none() {
            knobs.before_push.take()
        } else {
            None
        };
        (failure, knobs.hold_before.clone(), action)
    };
    if let Some(status) = failure {
        return (status, "refused by the test bed\n").into_response();
    }
    if let Some(hold) = hold
        && !hold.wait(&shared.down).await
    {
        return went_down();
    }
    if let Some(action) = action {
        action().await;
    }
    shared.pushes.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = match backend(shared, request).await {
        Ok(response) => response.into_parts(),
        Err(error) => return into_bad_gateway(error),
    };
    // The answer to a push is short. Having all of it means that the repository is done.
    let body = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return into_bad_gateway(error),
    };
    let hold = shared.knobs().hold_after.clone();
    if let Some(hold) = hold
        && !hold.wait(&shared.down).await
    {
        return went_down();
    }
    Response::from_parts(parts, Body::from(body))
}

fn went_down() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the Git server was stopped\n").into_response()
}

fn into_bad_gateway(error: impl std::fmt::Display) -> Response {
    tracing::warn!(%error, "git http-backend");
    (StatusCode::BAD_GATEWAY, format!("git http-backend: {error}\n")).into_response()
}

/// One request as CGI: headers become variables, the body goes to standard input as it arrives, and what follows the
/// header block on standard output streams back.
async fn backend(shared: &Shared, request: Request) -> Result<Response, std::io::Error> {
    let (parts, body) = request.into_parts();
    let mut command = git_command(&shared.root);
    command
        .arg("http-backend")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("SERVER_PROTOCOL", "HTTP/1.1")
        .env("GATEWAY_INTERFACE", "CGI/1.1");
    let settings = [
        ("http.receivepack", "true"),
        ("safe.directory", "*"),
        ("uploadpack.allowFilter", "true"),
        ("gc.auto", "0"),
    ];
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (index, (key, value)) in settings.into_iter().enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{index}"), key)
            .env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    if shared.authorization.is_some() {
        command.env("REMOTE_USER", "git");
    }
    // A chunked body has no length; without the variable the program reads to the end of its input.
    for (name, variable) in [
        (header::CONTENT_LENGTH, "CONTENT_LENGTH"),
        (header::CONTENT_TYPE, "CONTENT_TYPE"),
        (header::CONTENT_ENCODING, "HTTP_CONTENT_ENCODING"),
        (HeaderName::from_static("git-protocol"), "GIT_PROTOCOL"),
    ] {
        if let Some(value) = parts.headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn()?;
    let (Some(mut stdin), Some(stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("no pipes"));
    };

    // Input and output at the same time: the program answers before it has read everything.
    tokio::spawn(async move {
        let mut input = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        // A program that has heard enough closes its input; that is its right.
        let _ = tokio::io::copy(&mut input, &mut stdin).await;
        let _ = stdin.shutdown().await;
    });
    tokio::spawn(async move {
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said).await;
        let status = child.wait().await;
        if !said.trim().is_empty() {
            tracing::debug!(said = said.trim(), ?status, "git http-backend");
        }
    });
    respond(BufReader::new(stdout)).await
}

/// Reads the CGI header block (RFC 3875 §6.3) and leaves the rest as the body.
async fn respond(mut output: BufReader<ChildStdout>) -> Result<Response, std::io::Error> {
    let mut response = Response::new(Body::empty());
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "no header block",
            ));
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_whitespace().next().and_then(|code| code.parse().ok());
            *response.status_mut() = code
                .and_then(|code: u16| StatusCode::from_u16(code).ok())
                .unwrap_or(StatusCode::BAD_GATEWAY);
        } else if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    // The buffer may hold the start of the body already: the reader goes on with it.
    let stream = ReaderStream::new(output);
    *response.body_mut() = Body::from_stream(stream.map_ok(Bytes::from));
    Ok(response)
}
