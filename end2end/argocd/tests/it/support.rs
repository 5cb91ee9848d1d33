//! A shop with one Application, a repository to push to, and a client that reads answers as they are.

use argocd_standin::{Account, AppSpec, Fault, Options, Policy, Standin, Timing, TokenGrant, token_for};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

pub(crate) const APP: &str = "/api/v1/applications/web";

const DEADLINE: Duration = Duration::from_secs(20);

/// A pace at which nothing happens by itself except what was asked for.
pub(crate) fn still() -> Timing {
    Timing {
        poll: Duration::from_secs(3600),
        ..Timing::fast()
    }
}

/// A bare repository that commits straight into itself.
pub(crate) struct Repo {
    dir: tempfile::TempDir,
}

impl Repo {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        git2::Repository::init_opts(dir.path(), options.bare(true).initial_head("main")).unwrap();
        Self { dir }
    }

    pub(crate) fn url(&self) -> String {
        self.dir.path().to_str().unwrap().to_owned()
    }

    /// Commits one file to main and returns the commit.
    pub(crate) fn commit(&self, path: &str, content: &str) -> String {
        let repo = git2::Repository::open_bare(self.dir.path()).unwrap();
        let parent = repo
            .find_reference("refs/heads/main")
            .ok()
            .map(|head| head.peel_to_commit().unwrap());
        let blob = repo.blob(content.as_bytes()).unwrap();
        let mut update = git2::build::TreeUpdateBuilder::new();
        update.upsert(path, blob, git2::FileMode::Blob);
        let base = match &parent {
            Some(parent) => parent.tree().unwrap(),
            None => repo
                .find_tree(repo.treebuilder(None).unwrap().write().unwrap())
                .unwrap(),
        };
        let tree = repo.find_tree(update.create_updated(&repo, &base).unwrap()).unwrap();
        let who = git2::Signature::now("Ada", "ada@example.com").unwrap();
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        repo.commit(
            Some("refs/heads/main"),
            &who,
            &who,
            &format!("change {path}\n"),
            &tree,
            &parents,
        )
        .unwrap()
        .to_string()
    }

    /// Commits an image tag for the one service of staging.
    pub(crate) fn release(&self, tag: &str) -> String {
        self.commit("environments/staging/values.yaml", &values(tag, 2))
    }
}

pub(crate) fn values(tag: &str, replicas: u32) -> String {
    format!(
        "services:\n  web:\n    replicas: {replicas}\n    image:\n      repository: registry.test/web\n      tag: {tag}\n      digest: {}\n",
        digest(tag)
    )
}

pub(crate) fn digest(tag: &str) -> String {
    format!("sha256:{:0>64}", tag.trim_start_matches('v'))
}

pub(crate) fn image(tag: &str) -> String {
    format!("registry.test/web:{tag}@{}", digest(tag))
}

pub(crate) struct Shop {
    pub(crate) standin: Standin,
    pub(crate) repo: Repo,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

pub(crate) fn options(timing: Timing) -> Options {
    let ci = vec![
        Policy::allow("applications", "get", "shop/*"),
        Policy::allow("applications", "get", "other/*"),
    ];
    Options {
        tokens: vec![
            TokenGrant::new("admin", Policy::admin()),
            TokenGrant::new("proj:shop:promoter", Policy::promoter("shop")),
            TokenGrant::new("ci", ci),
            TokenGrant::new("nobody", Vec::new()),
        ],
        accounts: vec![Account {
            username: "ada".to_owned(),
            password: "lovelace".to_owned(),
            policies: Policy::promoter("shop"),
        }],
        timing,
        ..Options::default()
    }
}

impl Shop {
    /// A shop whose Application `web` has not been synced yet.
    pub(crate) async fn open(timing: Timing, automated: bool) -> Self {
        let repo = Repo::new();
        repo.release("v1");
        let standin = Standin::start(options(timing)).await.unwrap();
        let spec = AppSpec::new("web", "shop", &repo.url(), "environments/staging/values.yaml");
        standin.upsert_app(AppSpec { automated, ..spec });
        Self {
            standin,
            repo,
            http: reqwest::Client::new(),
            token: token_for("proj:shop:promoter"),
        }
    }

    /// A shop that runs v1, with nothing left to happen.
    pub(crate) async fn running(timing: Timing, automated: bool) -> Self {
        let shop = Self::open(
            Timing {
                refresh_after_sync: Duration::ZERO,
                ..timing.clone()
            },
            automated,
        )
        .await;
        if !automated {
            until("the first look", async || {
                shop.app()["status"]["reconciledAt"].as_str().map(drop)
            })
            .await;
            assert_eq!(shop.sync(json!({})).await.0, 200);
        }
        until("v1 to run", async || shop.rests_at(&image("v1")).then_some(())).await;
        shop.standin.set_timing(timing);
        // The refresh after the sync may still be waiting its turn; this one comes after it.
        shop.refresh().await;
        shop
    }

    pub(crate) fn app(&self) -> Value {
        self.standin.app("web").unwrap()
    }

    /// Synced, healthy, nothing running, only this image.
    pub(crate) fn rests_at(&self, image: &str) -> bool {
        let app = self.app();
        let status = &app["status"];
        app.get("operation").is_none()
            && status["operationState"]["phase"] == "Succeeded"
            && status["sync"]["status"] == "Synced"
            && status["health"]["status"] == "Healthy"
            && status["summary"]["images"] == json!([image])
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.standin.inject(Some("web"), fault).unwrap();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.standin.url()))
            .bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(method, path).json(&body)).await
    }

    pub(crate) async fn sync(&self, body: Value) -> (u16, Value) {
        self.send(Method::POST, &format!("{APP}/sync"), body).await
    }

    pub(crate) async fn refresh(&self) -> Value {
        let (status, app) = self.get(&format!("{APP}?refresh=normal&project=shop")).await;
        assert_eq!(status, 200, "{app}");
        app
    }

    pub(crate) async fn as_subject(&mut self, subject: &str) -> &Self {
        self.token = token_for(subject);
        self
    }

    /// Waits until the Application fits.
    pub(crate) async fn app_until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, async || Some(self.app()).filter(&fits)).await
    }

    pub(crate) async fn watch(&self, query: &str, accept: &str) -> Watch {
        let request = self
            .request(Method::GET, &format!("/api/v1/stream/applications{query}"))
            .header("accept", accept);
        let response = tokio::time::timeout(DEADLINE, request.send())
            .await
            .expect("the stream never began")
            .unwrap();
        Watch::of(response)
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// An open stream, read piece by piece.
pub(crate) struct Watch {
    pub(crate) content_type: String,
    body: futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: String,
}

impl Watch {
    fn of(response: reqwest::Response) -> Self {
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = response
            .bytes_stream()
            .map(|chunk| chunk.map(|bytes| bytes.to_vec()))
            .boxed();
        Self {
            content_type,
            body,
            buffer: String::new(),
        }
    }

    /// The text up to and with the next `end`; `Ok(None)` when the body ends, an error when it breaks.
    pub(crate) async fn piece(&mut self, end: &str) -> Result<Option<String>, reqwest::Error> {
        loop {
            if let Some(at) = self.buffer.find(end) {
                let rest = self.buffer.split_off(at + end.len());
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            match tokio::time::timeout(DEADLINE, self.body.next())
                .await
                .expect("the stream is silent")
            {
                None => return Ok(None),
                Some(chunk) => self.buffer.push_str(&String::from_utf8(chunk?).unwrap()),
            }
        }
    }

    /// The next message of an ndjson stream.
    pub(crate) async fn next(&mut self) -> Value {
        let line = self.piece("\n").await.unwrap().expect("the stream has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Messages up to the first Application that fits, this one included.
    pub(crate) async fn apps_until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let app = self.next().await["result"]["application"].take();
            let done = fits(&app);
            seen.push(app);
            if done {
                return seen;
            }
            assert!(seen.len() < 1000, "it never came: {:#}", seen[seen.len() - 1]);
        }
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn state_file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("standin.json")
}
