//! The demo: every real part on this machine, with a small story in it. Browser tests use the same, thrown away afterwards.
//!
//! A workspace `demo`, a project `myapp` with `development`, `staging` and `production`, images of `api`, `web` and
//! `nightly` with three builds each. Production pulls from a registry of its own. What Waybill knows of it, it was told by `waybill apply`, like any installation.

use crate::{
    BareRepo, GitServer, ImageSpec, NotificationEndpoint, OIDC_CLIENT, OIDC_SECRET, OciRegistry, REGISTRY_PASSWORD,
    REGISTRY_USER, RegistryOptions, TestbedError, WaybillOptions, WaybillProcess, free_port,
};
use argocd_standin::{AppSpec, Options as StandinOptions, Policy, Standin, Timing, TokenGrant, token_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What the demo's services are called, with the build of each that Git declares at first.
const SERVICES: [&str; 3] = ["api", "web", "nightly"];

/// Builds of each: tag, commit and day.
const BUILDS: [(&str, &str); 3] = [
    ("1.4.0", "2026-11-02T09:12:00Z"),
    ("1.4.1", "2026-11-09T14:40:00Z"),
    ("1.5.0", "2026-11-18T08:05:00Z"),
];

/// Who the stand-in's token belongs to.
const ARGOCD_SUBJECT: &str = "proj:myapp:waybill";

/// User of the GitOps repository.
const GIT_USER: &str = "waybill";

/// How the demo is started.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Where its state lies; starting again in the same place continues.
    pub directory: PathBuf,
    /// The `waybill` binary.
    pub binary: PathBuf,
    /// Where the site was built: holds `pkg`.
    pub site: PathBuf,
    /// Ports that are wanted at the first start, beginning with Waybill's; `None` takes free ones.
    pub first_port: Option<u16>,
    /// Whether Argo CD takes milliseconds instead of seconds.
    pub fast: bool,
    /// A provider of OpenID Connect ([`crate::OidcProvider`]) that people may sign in through.
    pub sso: Option<String>,
}

/// What stays the same when the demo is started again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    ports: [u16; 4],
    /// Of the registry that production pulls from.
    live_port: u16,
    admin_password: String,
    git_token: String,
    webhook_secret: String,
    applied: bool,
}

/// A running demo; it ends with this value.
pub struct Demo {
    kept: Kept,
    directory: PathBuf,
    repository: BareRepo,
    git: GitServer,
    registry: OciRegistry,
    live: OciRegistry,
    standin: Standin,
    waybill: WaybillProcess,
}

impl Demo {
    /// Starts every part, and at the first start fills them.
    ///
    /// # Errors
    /// When a part can't be started; the text says which.
    pub async fn start(options: &DemoOptions) -> Result<Self, TestbedError> {
        let directory = &options.directory;
        fs::create_dir_all(directory).map_err(TestbedError::file(directory))?;
        let mut kept = keep(options)?;
        let [web_port, git_port, registry_port, argocd_port] = kept.ports;
        let base_url = format!("http://127.0.0.1:{web_port}");

        let git_root = directory.join("git");
        fs::create_dir_all(&git_root).map_err(TestbedError::file(&git_root))?;
        let registry = OciRegistry::start(RegistryOptions {
            port: Some(registry_port),
            notifications: vec![NotificationEndpoint {
                url: format!("{base_url}/api/v1/hooks/registry/demo"),
                headers: vec![("Authorization".into(), format!("Bearer {}", kept.webhook_secret))],
            }],
            ..RegistryOptions::new(directory.join("registry"))
        })
        .await?;
        let live = OciRegistry::start(RegistryOptions {
            port: Some(kept.live_port),
            auth: true,
            ..RegistryOptions::new(directory.join("live-registry"))
        })
        .await?;
        let repository = match git_root.join("deploy.git") {
            path if path.exists() => BareRepo::open(path),
            path => fill(&registry, path).await?,
        };
        let git = GitServer::start(git_root, Some(git_port), Some((GIT_USER, &kept.git_token))).await?;
        let standin = start_standin(options, argocd_port, repository.path()).await?;
        let local_paths = directory.join("git").display().to_string();

        let mut waybill = WaybillOptions::new(&options.binary, directory, &base_url)
            .arguments(["serve"])
            .environment("WAYBILL_LISTEN", &format!("127.0.0.1:{web_port}"))
            .environment("WAYBILL_DATA_DIR", &directory.join("data").display().to_string())
            .environment("WAYBILL_SITE_DIR", &options.site.display().to_string())
            .environment("WAYBILL_ADMIN_EMAIL", ADMIN_EMAIL)
            .environment("WAYBILL_ADMIN_PASSWORD", &kept.admin_password)
            .environment("WAYBILL_REGISTRY_WEBHOOK_SECRET", &kept.webhook_secret)
            .environment(
                "WAYBILL_PROMOTION_STABLE_FOR",
                if options.fast { "100ms" } else { "2s" },
            )
            .environment("WAYBILL_GIT_LOCAL_PATHS", &local_paths)
            .environment("WAYBILL_GIT_POLL_INTERVAL", "5s")
            .environment("WAYBILL_LIMITS_SIGN_IN_ATTEMPTS", "50");
        if let Some(issuer) = &options.sso {
            waybill = waybill
                .environment("WAYBILL_SSO_ISSUER", issuer)
                .environment("WAYBILL_SSO_CLIENT_ID", OIDC_CLIENT)
                .environment("WAYBILL_SSO_CLIENT_SECRET", OIDC_SECRET)
                .environment("WAYBILL_SSO_NAME", "Example")
                .environment("WAYBILL_SSO_WORKSPACE", "demo")
                .environment("WAYBILL_SSO_SCOPES", "openid email profile groups");
        }
        let server = WaybillProcess::start(&waybill).await?;
        if !kept.applied {
            sync(&standin).await?;
            apply(&waybill, [&registry, &live], &git, &standin, &kept).await?;
            kept.applied = true;
            write(&directory.join("demo.json"), &json!(kept).to_string())?;
        }
        let directory = directory.clone();
        Ok(Self {
            kept,
            directory,
            repository,
            git,
            registry,
            live,
            standin,
            waybill: server,
        })
    }

    /// Where everything is, for programs: one JSON object.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "base_url": self.waybill.base_url(),
            "admin": { "email": ADMIN_EMAIL, "password": self.kept.admin_password },
            "git": {
                "url": self.git.url("deploy.git"),
                "path": self.repository.path(),
                "user": GIT_USER,
                "token": self.kept.git_token,
            },
            "registry": { "host": self.registry.host(), "url": self.registry.base_url() },
            "live": { "host": self.live.host(), "user": REGISTRY_USER, "password": REGISTRY_PASSWORD },
            "argocd": { "url": self.standin.url() },
        })
    }

    /// The same for people.
    #[must_use]
    pub fn welcome(&self) -> String {
        format!(
            "\n  Waybill is ready:  {}\n  sign in as         {ADMIN_EMAIL}\n  with password      {}\n\n  \
             GitOps repository  {}  (user {GIT_USER}, token {})\n  \
             image registry     {}\n  production pulls   {}  (Waybill copies images there, and signs what they passed)\n  Argo CD stand-in   {}\n  \
             state and log      {}\n\n  Try it: open myapp, then production, then Create Resource. The page of the promotion shows\n  the command with which anybody verifies with cosign what was signed about the image.\n  Ctrl-C stops; `make clean-demo` forgets.\n",
            self.waybill.base_url(),
            self.kept.admin_password,
            self.git.url("deploy.git"),
            self.kept.git_token,
            self.registry.host(),
            self.live.host(),
            self.standin.url(),
            self.directory.display(),
        )
    }

    /// Stops the server, then the rest.
    pub async fn stop(self) {
        self.waybill.stop(Duration::from_secs(30)).await;
        self.standin.shutdown().await;
    }
}

/// The administrator of the demo.
pub const ADMIN_EMAIL: &str = "admin@example.com";

/// What the first start decided, or decides it now.
fn keep(options: &DemoOptions) -> Result<Kept, TestbedError> {
    let path = options.directory.join("demo.json");
    match fs::read_to_string(&path) {
        Ok(text) => {
            return serde_json::from_str(&text)
                .map_err(|e| TestbedError::file(&path)(io::Error::new(io::ErrorKind::InvalidData, e)));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(TestbedError::file(&path)(e)),
    }
    let (mut ports, mut live_port) = ([0; 4], 0);
    for (i, port) in (0_u16..).zip(ports.iter_mut().chain([&mut live_port])) {
        let wanted = options.first_port.map(|first| first + i).filter(|port| is_free(*port));
        *port = match wanted {
            Some(wanted) => wanted,
            None => free_port().map_err(TestbedError::file(&path))?,
        };
    }
    let kept = Kept {
        ports,
        live_port,
        admin_password: "waybill-demo".into(),
        git_token: "demo-git-token".into(),
        webhook_secret: "demo-webhook-secret".into(),
        applied: false,
    };
    write(&path, &json!(kept).to_string())?;
    Ok(kept)
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn write(path: &Path, text: &str) -> Result<(), TestbedError> {
    fs::write(path, text).map_err(TestbedError::file(path))
}

/// A build of a demo service.
#[must_use]
pub fn build(service: &str, version: &str, created: &str) -> ImageSpec {
    let revision: String = format!("{service}{version}")
        .bytes()
        .cycle()
        .take(20)
        .map(|b| format!("{b:02x}"))
        .collect();
    ImageSpec::new(format!("{service} {version}"))
        .created(created)
        .label("org.opencontainers.image.revision", &revision)
        .label(
            "org.opencontainers.image.source",
            &format!("https://github.com/example/{service}"),
        )
        .label("org.opencontainers.image.version", version)
        .label(
            "ci.run",
            &format!("https://ci.example.com/{service}/runs/{}", version.replace('.', "")),
        )
}

/// Pushes three builds of each image, and makes the repository, which declares the first of each.
async fn fill(registry: &OciRegistry, path: PathBuf) -> Result<BareRepo, TestbedError> {
    let mut first = Vec::new();
    for service in SERVICES {
        for (version, created) in BUILDS {
            let digest = registry
                .push_image(&format!("myapp/{service}"), version, &build(service, version, created))
                .await?;
            if version == BUILDS[0].0 {
                first.push(digest);
            }
        }
    }
    let host = registry.host();
    let image = |i: usize| {
        let (service, digest, tag) = (SERVICES[i], &first[i], BUILDS[0].0);
        format!(
            "    image:\n      repository: {host}/myapp/{service}\n      tag: {tag} # moved by Waybill\n      digest: {digest}\n"
        )
    };
    let development = format!(
        "# What runs in development. Waybill moves tags and digests; everything else is ours.\n\
         services:\n  api:\n{}    replicas: 1\n    port: 8080\n\n  web:\n{}    replicas: 1\n    port: 3000\n\n  \
         # every night at two\n  nightly:\n{}    schedule: \"0 2 * * *\"\n    replicas: 0\n",
        image(0),
        image(1),
        image(2)
    );
    let staging = format!(
        "# What runs in staging.\nservices:\n  api:\n{}    replicas: 2\n    port: 8080\n    env:\n      LOG_LEVEL: info\n  web:\n{}    replicas: 2\n    port: 3000\n",
        image(0),
        image(1)
    );
    let production = format!(
        "# What runs in production. Handle with care.\nservices:\n  web:\n{}    replicas: 4 # two per zone\n    port: 3000\n",
        image(1)
    );
    let repository = BareRepo::init(path, "main").await?;
    let writer = repository.outsider("main").await?;
    let files = [
        ("environments/development/values.yaml", development.as_str()),
        ("environments/staging/values.yaml", staging.as_str()),
        ("environments/production/values.yaml", production.as_str()),
        (
            "README.md",
            "# deploy\n\nWhat runs where. One values file per environment.\n",
        ),
    ];
    writer.commit(&files, "Declare what runs where").await?;
    Ok(repository)
}

async fn start_standin(options: &DemoOptions, port: u16, repository: &Path) -> Result<Standin, TestbedError> {
    let timing = if options.fast { Timing::fast() } else { Timing::demo() };
    let failed = |e: argocd_standin::StartError| TestbedError::file("the stand-in for Argo CD")(io::Error::other(e));
    let standin = Standin::start(StandinOptions {
        port,
        tokens: vec![TokenGrant::new(ARGOCD_SUBJECT, Policy::promoter("myapp"))],
        timing,
        state_file: Some(options.directory.join("argocd.json")),
        ..StandinOptions::default()
    })
    .await
    .map_err(failed)?;
    for environment in ["development", "staging", "production"] {
        let values = format!("environments/{environment}/values.yaml");
        let repository = repository.display().to_string();
        let mut app = AppSpec::new(&format!("myapp-{environment}"), "myapp", &repository, &values);
        // As many teams have it: production waits to be synced, the others sync by themselves.
        app.automated = environment != "production";
        standin.upsert_app(app);
    }
    Ok(standin)
}

/// Brings production to what Git says before Waybill comes: it runs already, as it would where Waybill is new.
async fn sync(standin: &Standin) -> Result<(), TestbedError> {
    let url = format!("{}/api/v1/applications/myapp-production/sync", standin.url());
    let request = reqwest::Client::new().post(&url).bearer_auth(token_for(ARGOCD_SUBJECT));
    let failed = |source| TestbedError::Request {
        url: url.clone(),
        source,
    };
    let answer = request
        .json(&json!({ "project": "myapp" }))
        .send()
        .await
        .map_err(failed)?;
    // A set-up that was interrupted is gone on with: it asked already then, and this is Argo CD's word for that.
    if answer.status() == reqwest::StatusCode::BAD_REQUEST {
        let said: Value = answer.json().await.map_err(failed)?;
        let again = said["message"]
            .as_str()
            .is_some_and(|words| words.contains("another operation is already in progress"));
        return if again {
            Ok(())
        } else {
            Err(TestbedError::file("myapp-production")(io::Error::other(
                said.to_string(),
            )))
        };
    }
    answer.error_for_status().map_err(failed)?;
    Ok(())
}

/// Tells Waybill what there is, the way an installation does: a token, then `waybill apply`.
async fn apply(
    server: &WaybillOptions,
    [registry, live]: [&OciRegistry; 2],
    git: &GitServer,
    standin: &Standin,
    kept: &Kept,
) -> Result<(), TestbedError> {
    let pinned = registry.digest("myapp/web", BUILDS[0].0).await?.unwrap_or_default();
    let host = registry.host();
    let text = format!(
        r#"# The demo, as configuration. Apply it again and nothing changes.
workspace: demo
registries:
  - name: builds
    host: "{host}"
    plainHttp: true
    push: {{ user: {REGISTRY_USER}, password: {{ env: DEMO_REGISTRY_PASSWORD }} }}
  - name: live
    host: "{live}"
    plainHttp: true
    pull: {{ user: {REGISTRY_USER}, password: {{ env: DEMO_REGISTRY_PASSWORD }} }}
    push: {{ user: {REGISTRY_USER}, password: {{ env: DEMO_REGISTRY_PASSWORD }} }}
clusters:
  - name: local
    argocd:
      url: {argocd}
      token: {{ env: DEMO_ARGOCD_TOKEN }}
      application: "{{project}}-{{environment}}"
      project: myapp
    registry: builds
projects:
  - name: myapp
    repository:
      url: {git}
      branch: main
      credentials: {{ user: {GIT_USER}, token: {{ env: DEMO_GIT_TOKEN }} }}
    environments:
      - name: development
        cluster: local
        resources:
          - {{ name: api, kind: deployment, source: {{ image: "{host}/myapp/api" }}, runtime: {{ replicas: 1, ports: [8080] }} }}
          - {{ name: web, kind: deployment, source: {{ image: "{host}/myapp/web" }}, runtime: {{ replicas: 1, ports: [3000] }} }}
          - {{ name: nightly, kind: cronjob, source: {{ image: "{host}/myapp/nightly" }} }}
      - name: staging
        cluster: local
        resources:
          - {{ name: api, kind: deployment, source: {{ promote: {{ environment: development, resource: api }} }}, runtime: {{ replicas: 2, ports: [8080], env: {{ LOG_LEVEL: info }} }} }}
          - {{ name: web, kind: deployment, source: {{ promote: {{ environment: development, resource: web }} }}, runtime: {{ replicas: 2, ports: [3000] }} }}
      - name: production
        cluster: local
        protected: true
        mirror:
          repository: "{live}/production/{{name}}"
        tags:
          marker: production
          keep: {{ prefix: prod-, last: 5 }}
        policy:
          attestation: bestEffort
        resources:
          - name: web
            kind: deployment
            source: {{ promote: {{ environment: staging, resource: web }} }}
            binding: {{ pin: "{pinned}" }}
            runtime: {{ replicas: 4, ports: [3000] }}
"#,
        live = live.host(),
        argocd = standin.url(),
        git = git.url("deploy.git"),
    );
    let file = server.directory.join("demo.yaml");
    write(&file, &text)?;
    // What is promoted to production gets a signed statement.
    run(server, &["keys", "generate"], &[])?;
    let token = run(
        server,
        &[
            "token",
            "create",
            "--name",
            "demo",
            "--role",
            "admin",
            "--workspace",
            "demo",
            "--create-workspace",
        ],
        &[],
    )?;
    let argocd_token = token_for(ARGOCD_SUBJECT);
    run(
        server,
        &["apply", "-f", "demo.yaml", "--server", &server.base_url],
        &[
            ("WAYBILL_TOKEN", token.trim()),
            ("DEMO_ARGOCD_TOKEN", &argocd_token),
            ("DEMO_GIT_TOKEN", &kept.git_token),
            ("DEMO_REGISTRY_PASSWORD", REGISTRY_PASSWORD),
        ],
    )?;
    Ok(())
}

/// Runs the `waybill` binary beside the server, with the server's configuration and `more`; gives what it prints.
fn run(server: &WaybillOptions, arguments: &[&str], more: &[(&str, &str)]) -> Result<String, TestbedError> {
    let output = Command::new(&server.binary)
        .args(arguments)
        .current_dir(&server.directory)
        .envs(server.environment.iter().map(|(k, v)| (k, v)))
        .envs(more.iter().copied())
        .output()
        .map_err(TestbedError::file(&server.binary))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let what = format!("`waybill {}` failed: {}", arguments.join(" "), text(&output.stderr));
        Err(TestbedError::file(&server.directory)(io::Error::other(what)))
    }
}
