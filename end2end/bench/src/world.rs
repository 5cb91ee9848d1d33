//! The parts that are the same for every figure, and servers set up by applying a document, like any installation.

use crate::{Outcome, clock::now, person::Person, seed::Database};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use testbed::{
    GitServer, ImageSpec, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions, WaybillOptions,
    WaybillProcess, free_port, waybill_binary,
};

pub(crate) const GIT_USER: &str = "waybill";

pub(crate) const GIT_TOKEN: &str = "git-token-of-the-bench";

/// The administrator.
pub(crate) const EMAIL: &str = "bench@example.com";

pub(crate) const PASSWORD: &str = "password-of-the-bench";

const HOOK_SECRET: &str = "hook-secret-of-the-bench";

/// How long a server may take to stop, or a request to be answered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What all figures stand on.
pub(crate) struct Ground {
    pub(crate) git: GitServer,
    pub(crate) registry: OciRegistry,
    pub(crate) client: Client,
    pub(crate) site: PathBuf,
    directory: TempDir,
}

impl Ground {
    pub(crate) async fn start(site: &Path, keep: bool) -> Outcome<Self> {
        let mut directory = TempDir::with_prefix("waybill-bench-")?;
        if keep {
            directory.disable_cleanup(true);
            eprintln!("What is made lies in {}.", directory.path().display());
        }
        let repositories = directory.path().join("git");
        std::fs::create_dir_all(&repositories)?;
        let registry = OciRegistry::start(RegistryOptions {
            auth: true,
            ..RegistryOptions::new(directory.path().join("registry"))
        })
        .await?;
        let git = GitServer::start(repositories, None, Some((GIT_USER, GIT_TOKEN))).await?;
        Ok(Self {
            git,
            registry,
            client: Client::new(),
            site: std::path::absolute(site)?,
            directory,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.root().join("git")
    }

    /// Pushes build `n` of an image; returns its digest.
    pub(crate) async fn build(&self, image: &str, n: usize) -> Outcome<String> {
        push_build(&self.registry, image, n).await
    }

    /// The cluster of a document: Git only, unless it is given an Argo CD.
    pub(crate) fn cluster(&self, name: &str, argocd: Option<Value>) -> Value {
        let mut cluster = json!({
            "name": name,
            "registry": {
                "host": self.registry.host(), "plainHttp": true, "user": REGISTRY_USER, "password": REGISTRY_PASSWORD,
            },
        });
        if let Some(argocd) = argocd {
            cluster["argocd"] = argocd;
        }
        cluster
    }

    /// The repository of a document.
    pub(crate) fn repository(&self, name: &str) -> Value {
        json!({
            "url": self.git.url(name), "branch": "main", "credentials": { "user": GIT_USER, "token": GIT_TOKEN },
        })
    }

    /// A server with a database of its own, in the workspace `bench`, and nothing in it.
    pub(crate) async fn server(&self, name: &str) -> Outcome<Server> {
        let directory = self.root().join(name);
        std::fs::create_dir_all(&directory)?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let data = directory.join("data");
        // Nothing is looked at by itself while something is measured: what is told is what counts.
        let never = "24h";
        let mut options =
            WaybillOptions::new(waybill_binary()?, &directory, format!("http://{listen}")).arguments(["serve"]);
        for (key, value) in [
            ("WAYBILL_LISTEN", listen.as_str()),
            ("WAYBILL_DATA_DIR", &data.display().to_string()),
            ("WAYBILL_SITE_DIR", &self.site.display().to_string()),
            ("WAYBILL_ADMIN_EMAIL", EMAIL),
            ("WAYBILL_ADMIN_PASSWORD", PASSWORD),
            ("WAYBILL_REGISTRY_WEBHOOK_SECRET", HOOK_SECRET),
            ("WAYBILL_REGISTRY_POLL_INTERVAL", never),
            ("WAYBILL_GIT_POLL_INTERVAL", never),
            ("WAYBILL_PROMOTION_STABLE_FOR", "100ms"),
            ("WAYBILL_LOG_LEVEL", "warn"),
        ] {
            options = options.environment(key, value);
        }
        // The first start lays out the database; the token is made beside it.
        let process = WaybillProcess::start(&options).await?;
        let token = token(&options)?;
        let database = Database::open(&data.join("waybill.db")).await?;
        Ok(Server {
            process: Some(process),
            options,
            token,
            database,
            client: self.client.clone(),
        })
    }
}

/// Pushes build `n` of an image to a registry; returns its digest. Builds are the same in every run.
pub(crate) async fn push_build(registry: &OciRegistry, image: &str, n: usize) -> Outcome<String> {
    let spec = ImageSpec::new(format!("{image} {n}"))
        .created(&format!(
            "2026-02-{:02}T{:02}:{:02}:00Z",
            1 + n / 1440,
            n / 60 % 24,
            n % 60
        ))
        .label("org.opencontainers.image.version", &tag(n));
    Ok(registry.push_image(image, &tag(n), &spec).await?)
}

/// The tag of a build.
pub(crate) fn tag(n: usize) -> String {
    format!("build-{n}")
}

/// A token of an administrator, made the way a person does it.
fn token(options: &WaybillOptions) -> Outcome<String> {
    let arguments = [
        "token",
        "create",
        "--name",
        "bench",
        "--role",
        "admin",
        "--workspace",
        "bench",
        "--create-workspace",
    ];
    let output = Command::new(&options.binary)
        .args(arguments)
        .current_dir(&options.directory)
        .envs(options.environment.iter().map(|(key, value)| (key, value)))
        .output()?;
    if !output.status.success() {
        return Err(format!("no token could be made: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The released server, as a process.
pub(crate) struct Server {
    process: Option<WaybillProcess>,
    options: WaybillOptions,
    pub(crate) token: String,
    pub(crate) database: Database,
    client: Client,
}

impl Server {
    pub(crate) fn url(&self) -> &str {
        &self.options.base_url
    }

    /// Stops it, so that its database can be filled.
    pub(crate) async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(PATIENCE).await;
        }
    }

    /// Starts it again.
    pub(crate) async fn start(&mut self) -> Outcome<()> {
        self.process = Some(WaybillProcess::start(&self.options).await?);
        Ok(())
    }

    /// Resident memory, in MB (of a million bytes).
    pub(crate) fn resident(&self) -> Outcome<f64> {
        let id = self.process.as_ref().ok_or("the server doesn't run")?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().nth(1))
            .ok_or("the system doesn't tell the server's memory")?
            .parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.authorized(self.client.get(format!("{}{path}", self.url())))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token).timeout(PATIENCE)
    }

    /// Applies a document.
    pub(crate) async fn apply(&self, document: &Value) -> Outcome<()> {
        let request = self.client.post(format!("{}/api/v1/apply", self.url())).json(document);
        let answer = self.authorized(request).send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("the document was refused: {}", answer.text().await?).into())
    }

    /// Posts JSON to the REST interface; the answer.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let request = self.client.post(format!("{}{path}", self.url())).json(body);
        let answer = self.authorized(request).send().await?;
        if answer.status().is_success() {
            return Ok(answer.json().await?);
        }
        Err(format!("{path} was refused: {}", answer.text().await?).into())
    }

    /// Asks a server function of a page, as the page's script does; the answer's length.
    pub(crate) async fn ask(&self, function: &str, arguments: &[(&str, &str)]) -> Outcome<usize> {
        let request = self
            .client
            .post(format!("{}/api/ui/{function}", self.url()))
            .form(arguments);
        let answer = self.authorized(request).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.len())
    }

    /// Signs the administrator in.
    pub(crate) async fn sign_in(&self) -> Outcome<Person> {
        Person::sign_in(&self.client, self.url()).await
    }

    /// Writes what an environment asks for, as on its page; an empty text asks for nothing.
    pub(crate) async fn set_policy(&self, project: &str, environment: &str, text: &str) -> Outcome<()> {
        let arguments = [
            ("workspace", "bench"),
            ("project", project),
            ("environment", environment),
            ("text", text),
        ];
        self.ask("set_policy", &arguments).await.map(drop)
    }

    /// Reports that a check passed on a digest, as CI does.
    pub(crate) async fn report_check(&self, digest: &str, name: &str) -> Outcome<()> {
        let body = json!({ "workspace": "bench", "digest": digest, "name": name, "status": "passed" });
        let request = self.client.post(format!("{}/api/v1/checks", self.url())).json(&body);
        self.authorized(request).send().await?.error_for_status()?;
        Ok(())
    }

    /// The mutation of the contract; the promotion's id.
    pub(crate) async fn promote(&self, project: &str, service: &str, from: &str, to: &str) -> Outcome<String> {
        let query = format!(
            "mutation {{ promote(input: {{ projectId: {} service: {} fromEnvironment: {} toEnvironment: {} }}) {{ id }} }}",
            json!(project),
            json!(service),
            json!(from),
            json!(to)
        );
        let request = self
            .client
            .post(format!("{}/api/graphql", self.url()))
            .json(&json!({ "query": query }));
        let answer: Value = self.authorized(request).send().await?.json().await?;
        answer["data"]["promote"]["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("no promotion: {answer}").into())
    }

    /// Tells of a push, as docker-registry does; returns when it was sent.
    pub(crate) async fn notify(&self, repository: &str, tag: &str, digest: &str) -> Outcome<f64> {
        let body = json!({ "events": [{
            "id": digest, "action": "push", "timestamp": "2026-02-01T00:00:00Z",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "repository": repository, "tag": tag,
            },
            "request": { "host": "registry.example.com" },
        }] });
        let request = self
            .client
            .post(format!("{}/api/v1/hooks/registry/bench", self.url()))
            .bearer_auth(HOOK_SECRET)
            .timeout(PATIENCE)
            .json(&body);
        let sent = now();
        request.send().await?.error_for_status()?;
        Ok(sent)
    }

    /// Waits until no promotion is under way.
    pub(crate) async fn idle(&self, patience: Duration) -> Outcome<()> {
        let deadline = now() + patience.as_secs_f64();
        loop {
            let open = self.database.open_promotions().await?;
            if open == 0 {
                return Ok(());
            }
            if now() > deadline {
                return Err(format!("{open} promotions were still under way after {} s", patience.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
