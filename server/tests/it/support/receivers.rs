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
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
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

/// An authority, and a certificate of it for 127.0.0.1.
pub(crate) struct Certified {
    directory: tempfile::TempDir,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365";
        for arguments in [
            format!("{new} -keyout ca-key.pem -out ca.pem -subj /CN=authority"),
            format!(
                "{new} -keyout key.pem -out cert.pem -subj /CN=mail -CA ca.pem -CAkey ca-key.pem \
                 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE"
            ),
        ] {
            let made = std::process::Command::new("openssl")
                .current_dir(directory.path())
                .args(arguments.split_whitespace())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Self { directory }
    }

    /// Who signed it.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::from_pem_file(self.directory.path().join("key.pem")).unwrap();
        let certificate = CertificateDer::from_pem_file(self.directory.path().join("cert.pem")).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }
}

/// When what is said to a mail server is encrypted.
#[derive(Clone)]
enum Encrypts {
    Never,
    WhenAsked(TlsAcceptor),
    Always(TlsAcceptor),
}

/// Takes mail.
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
    /// How clients signed in.
    sign_ins: Mutex<Vec<String>>,
}

impl MailServer {
    /// Without encryption.
    pub(crate) async fn start() -> Self {
        Self::with(Encrypts::Never).await
    }

    /// Encrypted from the beginning, or when it is asked to be.
    pub(crate) async fn encrypted(certified: &Certified, from_the_beginning: bool) -> Self {
        let acceptor = certified.acceptor();
        Self::with(match from_the_beginning {
            true => Encrypts::Always(acceptor),
            false => Encrypts::WhenAsked(acceptor),
        })
        .await
    }

    async fn with(encrypts: Encrypts) -> Self {
        let state = Arc::new(Smtp::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, encrypts) = (shared.clone(), encrypts.clone());
                tokio::spawn(async move { state.serve(stream, encrypts).await });
            }
        });
        Self { state, address, task }
    }

    /// How clients signed in.
    pub(crate) fn sign_ins(&self) -> Vec<String> {
        self.state.sign_ins.lock().unwrap().clone()
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
    async fn serve(&self, stream: TcpStream, encrypts: Encrypts) -> Option<()> {
        match encrypts {
            Encrypts::Never => self.talk(stream, true).await,
            Encrypts::Always(acceptor) => self.talk(acceptor.accept(stream).await.ok()?, true).await,
            Encrypts::WhenAsked(acceptor) => {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 sink\r\n").await.ok()?;
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).await.ok()? == 0 {
                        return None;
                    }
                    if line.starts_with("EHLO") {
                        stream.write_all(b"250-sink\r\n250 STARTTLS\r\n").await.ok()?;
                    } else if line.starts_with("STARTTLS") {
                        stream.write_all(b"220 go on\r\n").await.ok()?;
                        break;
                    } else {
                        stream.write_all(b"530 say STARTTLS first\r\n").await.ok()?;
                    }
                }
                self.talk(acceptor.accept(stream.into_inner()).await.ok()?, false).await
            }
        }
    }

    /// One conversation; whoever hangs up ends it.
    async fn talk(&self, stream: impl AsyncRead + AsyncWrite, greets: bool) -> Option<()> {
        let (read, mut write) = tokio::io::split(stream);
        let mut lines = BufReader::new(read).lines();
        if greets {
            write.write_all(b"220 sink\r\n").await.ok()?;
        }
        let mut mail = Mail {
            from: String::new(),
            to: Vec::new(),
            text: String::new(),
        };
        while let Some(line) = lines.next_line().await.ok()? {
            let verb = line.to_ascii_uppercase();
            let answer = if verb.starts_with("EHLO") || verb.starts_with("HELO") {
                "250-sink\r\n250 AUTH PLAIN".to_owned()
            } else if verb.starts_with("AUTH ") {
                self.sign_ins.lock().unwrap().push(line);
                "235 fine".to_owned()
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
