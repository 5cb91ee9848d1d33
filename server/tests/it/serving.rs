//! Connections by the socket: nobody takes the server away by holding them, and nobody who does no harm loses one.
//!
//! The limits of these servers are short; what a test waits for is what comes through the socket, or its end.

use crate::support::{
    database::Database,
    world::{ADMIN, PASSWORD, PATIENCE, SITE, until},
};
use domain::rights::Role;
use secrecy::ExposeSecret as _;
use server::{
    adapters::system::System,
    config::Config,
    service::access::{NewToken, create_token_here},
};
use std::{net::SocketAddr, path::Path, time::Duration};
use tempfile::TempDir;
use testbed::free_port;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

mod descriptors;
mod headers;
mod http2;

/// A limit that is waited for.
const SHORT: Duration = Duration::from_millis(300);
/// What a slow client waits between its bytes.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Larger than all buffers on the way.
const LARGE: usize = 24 * 1024 * 1024;

/// A server in this process, with nothing around it.
struct Served {
    address: SocketAddr,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
    _database: Database,
    _directory: TempDir,
}

async fn served(change: impl FnOnce(&mut Config)) -> Served {
    let directory = TempDir::with_prefix("waybill-serving-").unwrap();
    let data = directory.path().join("data");
    site(&data.join("site/pkg"));
    let database = Database::of_this_run(&data);
    let new = NewToken {
        name: "ci",
        role: Role::Admin,
        expires_in_millis: None,
    };
    let store = database.open().await;
    let token = create_token_here(&*store, &System, &System, Some("demo"), true, &new).await;
    let token = token.unwrap().1.expose_secret().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let variables = [
        ("DATA_DIR", data.display().to_string()),
        ("DATABASE_URL", database.url()),
        ("SITE_DIR", data.join("site").display().to_string()),
        ("ADMIN_EMAIL", ADMIN.to_owned()),
        ("ADMIN_PASSWORD", PASSWORD.to_owned()),
        ("REGISTRY_WEBHOOK_SECRET", "s3cret".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (format!("WAYBILL_{name}").into(), value.into()));
    let mut config = Config::load(None, variables).unwrap();
    change(&mut config);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let told = async {
            let _ = stopped.await;
        };
        server::run(config, listener, told).await.unwrap();
    });
    let served = Served {
        address,
        token,
        stop: Some(stop),
        task: Some(task),
        _database: database,
        _directory: directory,
    };
    until("the server to be ready", async || served.alive().await.then_some(())).await;
    served
}

fn site(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, content) in SITE {
        std::fs::write(folder.join(name), content).unwrap();
    }
    std::fs::write(folder.join("large.js"), vec![b' '; LARGE]).unwrap();
}

impl Served {
    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Whether `/healthz` answers at once.
    async fn alive(&self) -> bool {
        let asked = async {
            let mut client = self.connect().await;
            client.send(&get("/healthz")).await
                && client.answer().await.is_some_and(|it| it.starts_with("HTTP/1.1 200"))
        };
        timeout(PATIENCE, asked).await.unwrap_or(false)
    }

    /// A connection with a request that isn't answered as long as it is open.
    async fn in_use(&self) -> Client {
        let mut client = self.connect().await;
        let token = &self.token;
        let ask = format!("GET /api/events HTTP/1.1\r\nhost: w.example\r\nauthorization: Bearer {token}\r\n\r\n");
        assert!(client.send(&ask).await);
        client.hears("open").await;
        client
    }

    /// A connection with a request that waits for its body.
    async fn posting(&self, length: usize) -> Client {
        let mut client = self.connect().await;
        assert!(client.send(&post(length)).await);
        client.hears("100 Continue").await;
        client
    }

    async fn metric(&self, line: &str) -> f64 {
        let mut client = self.connect().await;
        assert!(client.send(&get("/metrics")).await);
        let text = client.answer().await.unwrap();
        let value = text.lines().find_map(|it| it.strip_prefix(line));
        value
            .unwrap_or_else(|| panic!("{line}\n{text}"))
            .trim()
            .parse()
            .unwrap()
    }

    async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn ended(&mut self) {
        timeout(PATIENCE, self.task.take().unwrap()).await.unwrap().unwrap();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: w.example\r\n\r\n")
}

/// The head of a request whose body is to come.
fn post(length: usize) -> String {
    // The server says "100 Continue" as soon as it waits for the body: the request is under way then.
    format!(
        "POST /api/v1/hooks/registry/demo HTTP/1.1\r\nhost: w.example\r\nauthorization: Bearer s3cret\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
}

struct Client(TcpStream);

impl Client {
    /// Whether it could be sent.
    async fn send(&mut self, text: &str) -> bool {
        self.0.write_all(text.as_bytes()).await.is_ok()
    }

    /// Some bytes; none when the connection has ended.
    async fn read(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        let read = timeout(PATIENCE, self.0.read(&mut bytes)).await.expect("nothing came");
        bytes.truncate(read.unwrap_or(0));
        bytes
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let more = self.read().await;
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// Waits for this text.
    async fn hears(&mut self, text: &str) {
        let mut heard = String::new();
        while !heard.contains(text) {
            let more = self.read().await;
            assert!(!more.is_empty(), "ended after {heard:?}");
            heard.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// One answer with a length, head and body; `None` when the connection ends instead.
    async fn answer(&mut self) -> Option<String> {
        let mut answer = String::new();
        loop {
            if let Some((head, body)) = answer.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.is_some_and(|length| body.len() >= length.parse().unwrap()) {
                    return Some(answer);
                }
            }
            let more = self.read().await;
            if more.is_empty() {
                return None;
            }
            answer.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Whether it is open as far as can be seen now.
    async fn is_open(&mut self) -> bool {
        let mut byte = [0];
        match timeout(A_MOMENT, self.0.read(&mut byte)).await {
            Ok(read) => read.is_ok_and(|read| read > 0),
            Err(_) => true,
        }
    }

    /// Sends `bytes` one by one, slowly, again and again, until the server says something; then its words to the end.
    async fn drip(&mut self, bytes: &str) -> String {
        let mut said = Vec::new();
        for byte in bytes.bytes().cycle() {
            if self.0.write_all(&[byte]).await.is_err() {
                break;
            }
            let mut more = [0; 1024];
            if let Ok(read) = timeout(A_MOMENT, self.0.read(&mut more)).await {
                said.extend_from_slice(&more[..read.unwrap_or(0)]);
                said.extend(self.rest().await);
                break;
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_silent_connections_take_nothing_away() {
    let served = served(|config| config.connections.head = Duration::from_secs(4)).await;
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(served.connect().await);
    }
    assert!(served.alive().await);
    // The youngest are still there; then time is up for all.
    let mut last = silent.pop().unwrap();
    assert!(last.is_open().await);
    assert!(last.rest().await.is_empty());
    for mut client in silent {
        assert!(client.rest().await.is_empty());
    }
    assert!(served.alive().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_come_byte_by_byte_are_not_waited_for() {
    let served = served(|config| config.connections.head = SHORT).await;
    let mut first = served.connect().await;
    assert!(first.send("GET /healthz HTTP/1.1\r\nx: ").await);
    assert_eq!(first.drip("y").await, "");
    // Nor is the second one of a connection.
    let mut second = served.connect().await;
    assert!(second.send(&get("/healthz")).await);
    assert!(second.answer().await.unwrap().ends_with("ok\n"));
    assert!(second.send("GET /healthz HTTP/1.1\r\nx: ").await);
    assert_eq!(second.drip("y").await, "");
    assert!(served.metric("waybill_connections_closed_total{reason=\"head\"}").await >= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_have_to_go_on_arriving() {
    let served = served(|config| {
        config.connections.body = SHORT;
        config.connections.whole_body = 5 * SHORT;
    })
    .await;
    for length in [100, 300 * 1024] {
        let mut stalled = served.posting(length).await;
        assert!(stalled.send("{").await);
        let said = String::from_utf8(stalled.rest().await).unwrap();
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert!(said.contains("x-content-type-options: nosniff"), "{said}");
    }
    let mut steady = served.posting(100_000).await;
    let said = steady.drip(" ").await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    // Who only pauses is waited for.
    let mut slow = served.posting(2).await;
    assert!(slow.send("{").await);
    assert!(slow.is_open().await);
    assert!(slow.send("}").await);
    let said = slow.answer().await.unwrap();
    assert!(!said.starts_with("HTTP/1.1 408"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_end_and_event_streams_stay() {
    let served = served(|config| {
        config.connections.idle = SHORT;
        config.connections.answer = SHORT;
    })
    .await;
    let mut stream = served.in_use().await;
    for _ in 0..2 {
        let mut idle = served.connect().await;
        assert!(idle.send(&get("/healthz")).await);
        assert!(idle.answer().await.is_some());
        assert!(idle.rest().await.is_empty());
    }
    let document = serde_json::json!({ "workspace": "demo", "clusters": [{ "name": "local" }] });
    let applied = reqwest::Client::new()
        .post(format!("http://{}/api/v1/apply", served.address))
        .bearer_auth(&served.token)
        .json(&document);
    assert_eq!(applied.send().await.unwrap().status().as_u16(), 200);
    stream.hears("data:").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_limit_whoever_is_idle_for_longest_goes_first() {
    let served = served(|config| config.connections.per_address = 3).await;
    let mut stream = served.in_use().await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut client = served.connect().await;
        assert!(client.send(&get("/healthz")).await);
        assert!(client.answer().await.is_some());
        idle.push(client);
    }
    let mut others = vec![served.in_use().await];
    assert!(idle.remove(0).rest().await.is_empty());
    assert!(idle[0].is_open().await);
    others.push(served.in_use().await);
    assert!(idle.remove(0).rest().await.is_empty());
    // All are in use now: the next one is turned away, and told so.
    let mut refused = served.connect().await;
    let said = String::from_utf8(refused.rest().await).unwrap();
    assert!(
        said.starts_with("HTTP/1.1 503") && said.contains("retry-after: 5") && said.ends_with("Try again in 5 s.\n"),
        "{said}"
    );
    for client in others.iter_mut().chain([&mut stream]) {
        assert!(client.is_open().await);
    }
    drop(others);
    until("a place to be free", async || served.alive().await.then_some(())).await;
    assert!(
        served
            .metric("waybill_connections_refused_total{reason=\"address\"}")
            .await
            >= 1.0
    );
    assert!(served.metric("waybill_connections_closed_total{reason=\"room\"}").await >= 2.0);
    assert!(served.metric("waybill_connections_open").await >= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_has_no_limit_of_its_own() {
    let served = served(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.connections.per_address = 1;
        config.connections.total = 4;
    })
    .await;
    let mut through = Vec::new();
    for _ in 0..4 {
        through.push(served.in_use().await);
    }
    let mut refused = served.connect().await;
    assert!(refused.rest().await.starts_with(b"HTTP/1.1 503"));
    for client in &mut through {
        assert!(client.is_open().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_cut() {
    let served = served(|config| config.connections.answer = SHORT).await;
    let cut = "waybill_connections_closed_total{reason=\"answer\"}";
    let before = served.metric(cut).await;
    let mut lazy = served.connect().await;
    assert!(lazy.send(&get("/pkg/x/large.js")).await);
    until("the answer to be cut", async || {
        (served.metric(cut).await > before).then_some(())
    })
    .await;
    assert!(lazy.rest().await.len() < LARGE);
    // Who reads gets all of it.
    let mut busy = served.connect().await;
    assert!(busy.send(&get("/pkg/x/large.js")).await);
    assert!(busy.answer().await.unwrap().len() > LARGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_let_end_at_a_stop_but_not_for_ever() {
    let mut served = served(|config| config.connections.farewell = 4 * SHORT).await;
    let (mut ends, mut never) = (served.posting(2).await, served.posting(2).await);
    served.stop().await;
    let address = served.address;
    until("nobody to be let in", async || TcpStream::connect(address).await.err()).await;
    assert!(ends.send("{}").await);
    let said = String::from_utf8(ends.rest().await).unwrap();
    assert!(said.starts_with("HTTP/1.1 "), "{said:?}");
    assert!(never.rest().await.is_empty());
    served.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_are_answered_where_nobody_else_comes() {
    let port = free_port().unwrap();
    let operations: SocketAddr = ([127, 0, 0, 1], port).into();
    let served = served(|config| {
        config.ops_listen = Some(operations);
        config.public_metrics = false;
        config.connections.per_address = 2;
        config.connections.total = 2;
    })
    .await;
    let mut browser = crate::support::browser::Browser::new(&format!("http://{}", served.address));
    assert_eq!(browser.get("/metrics").await.status, 404);
    drop(browser);
    let (_one, _other) = (served.in_use().await, served.in_use().await);
    let mut refused = served.connect().await;
    assert!(refused.rest().await.starts_with(b"HTTP/1.1 503"));
    let mut browser = crate::support::browser::Browser::new(&format!("http://{operations}"));
    for (path, status, text) in [
        ("/healthz", 200, "ok\n"),
        ("/readyz", 200, "ready\n"),
        ("/metrics", 200, "waybill_connections_refused_total{reason=\"total\"}"),
        ("/", 404, ""),
        ("/sign-in", 404, ""),
        ("/api/events", 404, ""),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text.contains(text), "{path} {}", page.text);
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}
