//! `docker-registry` with token sign-in, and a token server for it.
//!
//! The registry trusts one certificate and checks real RS256 signatures; `openssl` makes both. Format: Docker's "Token
//! Authentication Implementation" (<https://distribution.github.io/distribution/spec/auth/jwt/>).

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

pub(crate) const USER: &str = "robot$ci";

pub(crate) const PASSWORD: &str = "token-registry-password";

const SERVICE: &str = "registry, for tests";

struct Signer {
    directory: PathBuf,
    certificate: String,
    issued: AtomicUsize,
}

/// The registry and its token server; both end with this value.
pub(crate) struct TokenRegistry {
    registry: Child,
    port: u16,
    signer: Arc<Signer>,
    task: tokio::task::JoinHandle<()>,
}

impl TokenRegistry {
    /// Serves what lies in `directory`, put there by a registry without sign-in.
    pub(crate) async fn start(directory: &Path) -> Self {
        openssl(
            directory,
            "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 3650 -subj /CN=tokens",
        );
        let pem = std::fs::read_to_string(directory.join("cert.pem")).unwrap();
        let signer = Arc::new(Signer {
            directory: directory.to_owned(),
            certificate: pem.lines().filter(|line| !line.starts_with("---")).collect(),
            issued: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let realm = format!("http://{}/token", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/token", get(token))
            .with_state(Arc::clone(&signer));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

        let config = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": directory.join("data") } },
            "http": { "addr": "127.0.0.1:0", "secret": "tests" },
            "auth": { "token": {
                "realm": realm, "service": SERVICE, "issuer": "tests", "rootcertbundle": directory.join("cert.pem"),
            } },
        });
        let config_file = directory.join("token.yml");
        std::fs::write(&config_file, config.to_string()).unwrap();
        let log = directory.join("token.log");
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut started = Self {
            registry,
            port: 0,
            signer,
            task,
        };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while started.port == 0 {
            let text = std::fs::read_to_string(&log).unwrap();
            assert!(tokio::time::Instant::now() < deadline, "it doesn't start: {text}");
            if let Some((_, rest)) = text.split_once("listening on 127.0.0.1:")
                && let Some(end) = rest.find(|c: char| !c.is_ascii_digit())
            {
                started.port = rest[..end].parse().unwrap();
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        started
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many tokens have been given out.
    pub(crate) fn issued(&self) -> usize {
        self.signer.issued.load(Ordering::SeqCst)
    }
}

impl Drop for TokenRegistry {
    fn drop(&mut self) {
        self.task.abort();
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}

/// Grants what is asked for to [`USER`], nothing to those who don't sign in, and refuses the rest.
async fn token(
    State(signer): State<Arc<Signer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let signed_in = match headers.get("authorization") {
        None => false,
        Some(value) if value.as_bytes() == expected.as_bytes() => true,
        Some(_) => return Err(StatusCode::UNAUTHORIZED),
    };
    let url = reqwest::Url::parse(&format!("http://x/?{}", query.unwrap_or_default())).unwrap();
    let mut access = Vec::new();
    for (key, value) in url.query_pairs() {
        match (&*key, value.split(':').collect::<Vec<_>>().as_slice()) {
            ("service", _) => assert_eq!(value, SERVICE),
            ("scope", [kind, name, actions]) if signed_in => access.push(json!({
                "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>(),
            })),
            _ => {}
        }
    }
    signer.issued.fetch_add(1, Ordering::SeqCst);
    let claims = json!({
        "iss": "tests", "sub": USER, "aud": SERVICE, "nbf": 0, "iat": 0, "exp": 4_102_444_800_i64,
        "jti": "1", "access": access,
    });
    Ok(Json(json!({ "token": signer.sign(&claims), "expires_in": 300 })))
}

impl Signer {
    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [self.certificate] });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let input = tempfile::NamedTempFile::new_in(&self.directory).unwrap();
        std::fs::write(input.path(), &signed).unwrap();
        let name = input.path().file_name().unwrap().to_str().unwrap();
        let signature = openssl(&self.directory, &format!("dgst -sha256 -sign key.pem {name}"));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn openssl(directory: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
