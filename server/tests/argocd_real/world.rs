//! A whole Waybill beside the real Argo CD: the program, a Git server, a registry, and what `examples/argocd` says of all of them.

use crate::stack::{PATIENCE, Stack, until};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use testbed::{
    BareRepo, GitServer, ImageSpec, OciRegistry, OutsideWriter, RegistryOptions, WaybillOptions, WaybillProcess,
    free_port,
};
use tokio::process::Command;

/// Where Argo CD is.
pub(crate) const ARGOCD: &str = "argocd";

const GIT_USER: &str = "waybill";

const GIT_TOKEN: &str = "git-token-of-the-story";

/// What a story has otherwise than the examples.
pub(crate) struct Setup {
    /// The file that staging's Application is made of.
    pub(crate) staging: &'static str,
    /// How the name of what makes the pods of `api` begins, with its kind; `None` where there are none to be seen.
    pub(crate) pods_of: Option<&'static str>,
    /// Replacements in a file of `examples/argocd`, named from there: what is replaced must be in it.
    pub(crate) changes: Vec<(&'static str, &'static str, &'static str)>,
    /// Further files of the repository, with the same addresses put in.
    pub(crate) files: Vec<(&'static str, &'static str)>,
    /// Further variables of the server, without `WAYBILL_`.
    pub(crate) variables: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            staging: "applications/staging.yaml",
            pods_of: Some("ReplicaSet/api-"),
            changes: Vec::new(),
            files: Vec::new(),
            variables: Vec::new(),
        }
    }
}

pub(crate) struct World {
    pub(crate) stack: Stack,
    /// The project in Waybill, and the stem of the names of Applications and namespaces.
    pub(crate) name: String,
    pub(crate) repository: BareRepo,
    registry: OciRegistry,
    git: GitServer,
    waybill: WaybillProcess,
    token: String,
    /// Digest of the build that runs at first.
    pub(crate) first: String,
    setup: Setup,
    options: WaybillOptions,
    directory: TempDir,
}

/// A file of the examples.
fn example(path: &str) -> String {
    let file = examples().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/argocd")
}

/// Every file below a folder, named from there.
fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found
}

impl World {
    /// As the examples say, under a name of its own.
    pub(crate) async fn of(story: &str) -> Self {
        Self::with(story, Setup::default()).await
    }

    /// Starts everything, and waits until the first build runs in staging and production, and Waybill knows that Git says so.
    pub(crate) async fn with(story: &str, setup: Setup) -> Self {
        let stack = Stack::running().await;
        // A story that failed may have left one of them dead.
        for part in ["redis", "repo-server", "controller", "server"] {
            stack.start(part).await;
        }
        let directory = TempDir::with_prefix("waybill-argocd-").unwrap();
        let root = directory.path();
        let base_url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let registry = OciRegistry::start(RegistryOptions::new(root.join("registry")))
            .await
            .unwrap();
        let first = push(&registry, "1.0.0").await;
        let repository = BareRepo::init(root.join("git/deploy.git"), "main").await.unwrap();
        let git = GitServer::start(root.join("git"), None, Some((GIT_USER, GIT_TOKEN)))
            .await
            .unwrap();
        let options = options(root, &base_url, &setup);
        let token = make_token(&options).await;
        let waybill = WaybillProcess::start(&options).await.unwrap();
        // An Argo CD that runs on from an earlier try knows Applications of that one.
        let name = match story {
            "" => "shop".to_owned(),
            story => format!("shop-{story}-{}", std::process::id()),
        };
        let world = Self {
            stack,
            name,
            repository,
            registry,
            git,
            waybill,
            token,
            first,
            setup,
            options,
            directory,
        };
        world.fill().await;
        world.deploy().await;
        world.introduce().await;
        world
    }

    /// A text of the examples with this world's addresses and names.
    pub(crate) fn placed(&self, text: &str) -> String {
        text.replace("https://git.example.com/shop/deploy.git", &self.git.url("deploy.git"))
            .replace("https://git.example.com/shop/charts.git", &self.git.url("charts.git"))
            .replace("https://argocd.example.com", &self.stack.argocd)
            // Registries that aren't reached over HTTPS have to be said to be so.
            .replace(
                "      host: registry.example.com\n",
                &format!("      host: {}\n      plainHttp: true\n", self.registry.host()),
            )
            .replace("registry.example.com", &self.registry.host())
            .replace(&format!("sha256:{}", "0".repeat(64)), &self.first)
            .replace("shop-staging", &self.application("staging"))
            .replace("shop-production", &self.application("production"))
            .replace("repository-shop", &format!("repository-{}", self.name))
            .replace(
                "projects:\n  - name: shop\n",
                &format!("projects:\n  - name: {}\n", self.name),
            )
            .replace("username: argocd", &format!("username: {GIT_USER}"))
            .replace("password: change-me", &format!("password: {GIT_TOKEN}"))
    }

    /// A file of the examples as this story has it.
    pub(crate) fn file(&self, path: &str) -> String {
        let mut text = example(path);
        for (file, from, to) in &self.setup.changes {
            if *file == path {
                assert!(text.contains(from), "{path} has no {from:?}");
                text = text.replace(from, to);
            }
        }
        self.placed(&text)
    }

    /// An environment's Application, as Argo CD is told.
    pub(crate) fn manifest(&self, environment: &str) -> String {
        match environment {
            "staging" => self.file(self.setup.staging),
            other => self.file(&format!("applications/{other}.yaml")),
        }
    }

    /// Name of an environment's Application, and of the namespace that it deploys into.
    pub(crate) fn application(&self, environment: &str) -> String {
        format!("{}-{environment}", self.name)
    }

    async fn fill(&self) {
        let mut files: Vec<(String, String)> = files_below(&examples().join("deploy"))
            .into_iter()
            .map(|path| {
                let text = self.file(&format!("deploy/{path}"));
                (path, text)
            })
            .collect();
        for (path, text) in &self.setup.files {
            files.push(((*path).to_owned(), self.placed(text)));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        // The chart once more, in a repository of its own: an Application with several sources takes it from there.
        let chart = files.iter().filter(|(path, _)| path.starts_with("chart/"));
        let chart: Vec<(&str, &str)> = chart.copied().collect();
        let charts = self.directory.path().join("git/charts.git");
        let charts = BareRepo::init(charts, "main").await.unwrap();
        let keeper = charts.outsider("main").await.unwrap();
        keeper.commit(&chart, "Keep the chart").await.unwrap();
        self.outsider()
            .await
            .commit(&files, "Declare what runs where")
            .await
            .unwrap();
    }

    /// Somebody else who works on the repository.
    pub(crate) async fn outsider(&self) -> OutsideWriter {
        self.repository.outsider("main").await.unwrap()
    }

    /// Applies what Argo CD is told, and has both environments run the first build.
    async fn deploy(&self) {
        for file in ["install/project.yaml", "install/repository.yaml"] {
            self.stack.apply(file, &self.file(file)).await;
        }
        for environment in ["staging", "production"] {
            let application = self.manifest(environment);
            // One that a story left behind is of a repository that is gone, and Argo CD would look for its commits in this one.
            self.stack.delete(&application).await;
            self.stack.apply(environment, &application).await;
        }
        // Nobody else does it for the one that doesn't follow by itself.
        self.sync("production").await;
        for environment in ["staging", "production"] {
            self.runs(environment, &self.first).await;
        }
    }

    /// Syncs as a person would, once Argo CD has looked at the Application.
    pub(crate) async fn sync(&self, environment: &str) {
        let name = self.application(environment);
        until("Argo CD's first look at the Application", async || {
            let found = self.stack.application(ARGOCD, &name).await?;
            found["status"]["sync"]["revision"].as_str().map(drop)
        })
        .await;
        self.stack
            .post_argocd(&format!("/applications/{name}/sync"), &json!({}))
            .await;
    }

    /// Waits until the pods of `api` in the cluster itself run this digest and no other, and are ready; where there are none to be seen,
    /// until Argo CD calls it synced.
    pub(crate) async fn runs(&self, environment: &str, digest: &str) {
        if self.setup.pods_of.is_none() {
            let name = self.application(environment);
            until(&format!("{name} synced"), async || {
                let found = self.stack.application(ARGOCD, &name).await?;
                (found["status"]["sync"]["status"] == "Synced").then_some(())
            })
            .await;
            return;
        }
        until(&format!("{digest} in the pods of {environment}"), async || {
            self.running(environment)
                .await
                .iter()
                .all(|running| running == digest)
                .then_some(())
        })
        .await;
    }

    /// The digests that the service's pods run, which have to be ready; something else as long as they aren't, or there are none.
    async fn running(&self, environment: &str) -> Vec<String> {
        let Some(pods_of) = self.setup.pods_of else {
            return Vec::new();
        };
        let pods = self.stack.pods(&self.application(environment)).await;
        let mut digests = Vec::new();
        for pod in &pods {
            let counts = pod.owner.starts_with(pods_of) && pod.phase != "Failed" && !pod.going;
            if !counts {
                continue;
            }
            if !pod.ready {
                return vec!["not ready".into()];
            }
            for image in &pod.images {
                digests.push(image.split_once('@').map_or(&**image, |(_, digest)| digest).to_owned());
            }
        }
        if digests.is_empty() {
            digests.push("no pods".into());
        }
        digests
    }

    /// `waybill apply`, and what it reads in Git.
    async fn introduce(&self) {
        self.tell(&self.file("waybill.yaml")).await;
        for environment in ["staging", "production"] {
            until(&format!("what Git declares in {environment}"), async || {
                let found = self.resource(environment, "digest").await;
                (found == json!(self.first)).then_some(())
            })
            .await;
        }
    }

    /// `waybill apply` with a text.
    pub(crate) async fn tell(&self, text: &str) {
        let file = self.directory.path().join("waybill.yaml");
        fs::write(&file, text).unwrap();
        let said = waybill(&self.options, ["apply".as_ref(), "--file".as_ref(), file.as_os_str()])
            .env("WAYBILL_SERVER", self.waybill.base_url())
            .env("WAYBILL_TOKEN", &self.token)
            .env("ARGOCD_TOKEN", &self.stack.token)
            .env("GIT_TOKEN", GIT_TOKEN)
            .env("REGISTRY_PASSWORD", "not asked for")
            .output()
            .await
            .unwrap();
        assert!(
            said.status.success(),
            "{}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        );
    }

    /// Waits until Waybill says that this digest, and no other, is live.
    pub(crate) async fn live(&self, environment: &str, digest: &str) {
        until(
            &format!("{digest} live in {environment}, by Waybill's word"),
            async || (self.live_digests(environment).await == json!([digest])).then_some(()),
        )
        .await;
    }

    /// What Waybill says is live.
    pub(crate) async fn live_digests(&self, environment: &str) -> Value {
        self.resource(environment, "liveDigests").await
    }

    /// A field of `api`.
    pub(crate) async fn resource(&self, environment: &str, field: &str) -> Value {
        let query = format!(
            "{{ resources(project: {}, environment: {}) {{ name {field} }} }}",
            json!(self.name),
            json!(environment)
        );
        let answer = self.graphql(&query).await;
        let resources = answer["resources"].as_array().unwrap();
        let api = resources.iter().find(|resource| resource["name"] == "api").unwrap();
        api[field].clone()
    }

    pub(crate) async fn graphql(&self, query: &str) -> Value {
        let answer = reqwest::Client::new()
            .post(format!("{}/api/graphql", self.waybill.base_url()))
            .timeout(PATIENCE)
            .bearer_auth(&self.token)
            .json(&json!({ "query": query }))
            .send()
            .await
            .unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(answer["errors"].is_null(), "{query}: {answer}");
        answer["data"].take()
    }

    /// Pushes a build of `api`, which staging follows, and production after it.
    pub(crate) async fn push(&self, tag: &str) -> String {
        push(&self.registry, tag).await
    }

    /// The newest promotion of `api` to this digest, where there is one.
    pub(crate) async fn promotion(&self, environment: &str, digest: &str) -> Option<Value> {
        let query = format!(
            "{{ promotions(project: {}, environment: {}, resource: \"api\") \
             {{ id state digest purpose commit waitsFor createdAt endedAt failure {{ step reason }} }} }}",
            json!(self.name),
            json!(environment)
        );
        let mut answer = self.graphql(&query).await;
        let promotions = answer["promotions"].as_array_mut().unwrap();
        promotions
            .iter_mut()
            .find(|promotion| promotion["digest"] == digest)
            .map(Value::take)
    }

    /// Waits until the promotion to this digest is in one of these states.
    pub(crate) async fn is(&self, environment: &str, digest: &str, states: &[&str]) -> Value {
        let mut last = Value::Null;
        until(
            &format!("a promotion of {environment} that is {states:?}"),
            async || {
                let promotion = self.promotion(environment, digest).await?;
                let state = promotion["state"].as_str().unwrap().to_owned();
                if promotion != last {
                    println!("{environment}: {state} {}", promotion["waitsFor"]);
                    last = promotion.clone();
                }
                let ended = matches!(
                    &*state,
                    "succeeded" | "failed" | "rejected" | "cancelled" | "superseded"
                );
                assert!(
                    states.contains(&&*state) || !ended,
                    "{environment} should be {states:?}: {promotion}"
                );
                states.contains(&&*state).then_some(promotion)
            },
        )
        .await
    }

    /// The promotion succeeds, and then the cluster runs the digest and nothing else.
    pub(crate) async fn succeeds(&self, environment: &str, digest: &str) -> Value {
        let promotion = self.is(environment, digest, &["succeeded"]).await;
        let running = self.running(environment).await;
        assert!(
            running.iter().all(|running| running == digest),
            "said to have succeeded while the cluster runs {running:?}"
        );
        promotion
    }

    /// The promotion fails; why, by Waybill's word.
    pub(crate) async fn fails(&self, environment: &str, digest: &str) -> String {
        let promotion = self.is(environment, digest, &["failed"]).await;
        promotion["failure"]["reason"].as_str().unwrap().to_owned()
    }

    /// Goes back to a digest that ran before.
    pub(crate) async fn roll_back(&self, environment: &str, digest: &str) {
        self.graphql(&format!(
            "mutation {{ rollback(input: {{ projectId: {} environment: {} service: \"api\" digest: {} }}) {{ id }} }}",
            json!(self.name),
            json!(environment),
            json!(digest)
        ))
        .await;
    }

    /// How long the server waits until it asks for the stream again, by its own measure, and how often its log said that it can't be followed.
    pub(crate) async fn back_off(&self) -> (f64, usize) {
        let url = format!("{}/metrics", self.waybill.base_url());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let measured = text
            .lines()
            .filter(|line| line.starts_with("waybill_argocd_back_off_seconds{"));
        let seconds = measured.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        let said = self.waybill.log().matches("Argo CD can't be followed").count();
        (seconds.fold(0.0, f64::max), said)
    }

    /// Takes the Applications away, so that Argo CD doesn't go on looking for a Git server that is gone.
    pub(crate) async fn end(self) {
        for environment in ["staging", "production"] {
            self.stack.delete(&self.manifest(environment)).await;
        }
        self.stack.delete(&self.file("install/repository.yaml")).await;
    }
}

/// What the server printed at last is worth reading when a story fails.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.waybill.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

async fn push(registry: &OciRegistry, tag: &str) -> String {
    let build = ImageSpec::new(format!("api {tag}"))
        .created("2026-11-02T09:12:00Z")
        .label("org.opencontainers.image.version", tag);
    registry.push_image("shop/api", tag, &build).await.unwrap()
}

fn options(root: &Path, base_url: &str, setup: &Setup) -> WaybillOptions {
    let data = root.join("data");
    // Pages need their style; nobody looks at one here.
    let site = root.join("site");
    fs::create_dir_all(site.join("pkg")).unwrap();
    for (name, text) in [
        ("waybill.css", "body{}"),
        ("waybill.js", "export default 1"),
        ("waybill_bg.wasm", "wasm"),
    ] {
        fs::write(site.join("pkg").join(name), text).unwrap();
    }
    let mut options = WaybillOptions::new(env!("CARGO_BIN_EXE_waybill"), root, base_url).arguments(["serve"]);
    let usual = [
        ("LISTEN", base_url.trim_start_matches("http://").to_owned()),
        ("DATA_DIR", data.display().to_string()),
        ("SITE_DIR", site.display().to_string()),
        ("REGISTRY_POLL_INTERVAL", "200ms".into()),
        ("GIT_POLL_INTERVAL", "1s".into()),
        ("PROMOTION_STABLE_FOR", "1s".into()),
    ];
    for (name, value) in usual {
        options = options.environment(&format!("WAYBILL_{name}"), &value);
    }
    for (name, value) in &setup.variables {
        options = options.environment(&format!("WAYBILL_{name}"), value);
    }
    options
}

/// The program beside the server, with the server's variables.
fn waybill<'a>(options: &WaybillOptions, arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new(&options.binary);
    command
        .args(arguments)
        .env_clear()
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true);
    command
}

async fn make_token(options: &WaybillOptions) -> String {
    let arguments = [
        "token",
        "create",
        "--name=story",
        "--role=admin",
        "--workspace=shop",
        "--create-workspace",
    ];
    let made = waybill(options, arguments.map(OsStr::new)).output().await.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}
