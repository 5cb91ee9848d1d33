//! Who gets notifications: an HTTP receiver and a mail server, both real, small, with memory and faults.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Takes what is posted, on any path.
pub(crate) struct Receiver {
    state: Arc<Http>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Http {
    received: Mutex<Vec<Received>>,
    /// What is answered next; 200 when there is nothing.
    answers: Mutex<VecDeque<(u16, String)>>,
    /// Whether answers are held back.
    hangs: watch::Sender<bool>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Http {
            received: Mutex::default(),
            answers: Mutex::default(),
            hangs: watch::channel(false).0,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, address, task }
    }

    /// The address of a path, with the leading slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What came in so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// What came in on a path.
    pub(crate) fn on(&self, path: &str) -> Vec<Received> {
        let all = self.received();
        all.into_iter().filter(|one| one.path == path).collect()
    }

    /// Answers the next one so.
    pub(crate) fn answers(&self, status: u16, text: &str) {
        self.state.answers.lock().unwrap().push_back((status, text.into()));
    }

    /// Holds answers back, or lets them go.
    pub(crate) fn hang(&self, hangs: bool) {
        self.state.hangs.send_replace(hangs);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(state): State<Arc<Http>>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let path = uri.path().to_owned();
    state.received.lock().unwrap().push(Received { path, headers, body });
    let _ = state.hangs.subscribe().wait_for(|hangs| !hangs).await;
    let (status, text) = state.answers.lock().unwrap().pop_front().unwrap_or((200, "ok".into()));
    (StatusCode::from_u16(status).unwrap(), text)
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

/// Takes mail, without encryption.
pub(crate) struct MailServer {
    state: Arc<Smtp>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Smtp {
    mails: Mutex<Vec<Mail>>,
    /// How the next recipients are refused.
    refusals: Mutex<VecDeque<String>>,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Smtp::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { state.talk(stream).await });
            }
        });
        Self { state, address, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.state.mails.lock().unwrap().clone()
    }

    /// Refuses the next recipient so: `550 no such user`.
    pub(crate) fn refuses(&self, line: &str) {
        self.state.refusals.lock().unwrap().push_back(line.into());
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Smtp {
    /// One conversation; whoever hangs up ends it.
    async fn talk(&self, stream: TcpStream) -> Option<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 sink\r\n").await.ok()?;
        let mut mail = Mail {
            from: String::new(),
            to: Vec::new(),
            text: String::new(),
        };
        while let Some(line) = lines.next_line().await.ok()? {
            let verb = line.to_ascii_uppercase();
            let answer = if verb.starts_with("EHLO") || verb.starts_with("HELO") {
                "250 sink".to_owned()
            } else if let Some(from) = verb.strip_prefix("MAIL FROM:") {
                mail.from = from.to_ascii_lowercase();
                "250 fine".to_owned()
            } else if let Some(to) = verb.strip_prefix("RCPT TO:") {
                let refusal = self.refusals.lock().unwrap().pop_front();
                if refusal.is_none() {
                    mail.to.push(to.to_ascii_lowercase());
                }
                refusal.unwrap_or_else(|| "250 fine".to_owned())
            } else if verb == "DATA" {
                write.write_all(b"354 go on\r\n").await.ok()?;
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    mail.text.push_str(&line);
                    mail.text.push('\n');
                }
                let taken = std::mem::replace(
                    &mut mail,
                    Mail {
                        from: String::new(),
                        to: Vec::new(),
                        text: String::new(),
                    },
                );
                self.mails.lock().unwrap().push(taken);
                "250 taken".to_owned()
            } else if verb == "QUIT" {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            } else {
                "250 fine".to_owned()
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
        Some(())
    }
}
