//! What a test or the demo chooses when it starts the stand-in: port, people, pace, and the Applications to serve.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// How to start a stand-in. `Options::default()` is a free port, no tokens, the fast pace and no memory.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Who may call, and what they may do.
    pub tokens: Vec<TokenGrant>,
    /// Local accounts for `POST /api/v1/session`.
    pub accounts: Vec<Account>,
    /// The pace of the two loops and of the cluster.
    pub timing: Timing,
    /// Where Applications and the cluster are kept, so that the next start goes on where this one ended.
    pub state_file: Option<PathBuf>,
    /// Namespaces besides `argocd` in which Applications are allowed.
    pub app_namespaces: Vec<String>,
}

/// How long things take. Every field can be changed on a running stand-in with [`crate::Standin::set_timing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often the refresh loop looks at Git by itself (Argo CD: 120 s and jitter).
    pub poll: Duration,
    /// From `.operation` being written to `operationState` Running.
    pub operation_pickup: Duration,
    /// From Running to the apply, and so to the end of a sync without hooks.
    pub operation_duration: Duration,
    /// Between the first attempts of a failing operation; further ones take longer by the factor that it asks for (2 when
    /// it does not), up to its `maxDuration`.
    pub retry_backoff: Duration,
    /// From the end of an operation to the refresh that follows it: the window in which health is stale.
    pub refresh_after_sync: Duration,
    /// From an apply that changes pods to the end of the rollout.
    pub rollout: Duration,
    /// Between keepalive comments of an event stream (Argo CD: 15 s).
    pub keepalive: Duration,
}

impl Timing {
    /// A few milliseconds each: for tests that wait for conditions.
    pub fn fast() -> Self {
        Self {
            poll: Duration::from_millis(100),
            operation_pickup: Duration::from_millis(3),
            operation_duration: Duration::from_millis(5),
            retry_backoff: Duration::from_millis(5),
            refresh_after_sync: Duration::from_millis(5),
            rollout: Duration::from_millis(15),
            keepalive: Duration::from_secs(15),
        }
    }

    /// A second or two each: a person can follow, and nobody gets bored.
    pub fn demo() -> Self {
        Self {
            poll: Duration::from_secs(3),
            operation_pickup: Duration::from_millis(700),
            operation_duration: Duration::from_millis(1500),
            retry_backoff: Duration::from_secs(2),
            refresh_after_sync: Duration::from_millis(800),
            rollout: Duration::from_millis(2500),
            keepalive: Duration::from_secs(15),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::fast()
    }
}

/// A token that is good from the start, and the rights behind it.
#[derive(Clone)]
pub struct TokenGrant {
    /// The bearer token. Needs two dots, or Argo CD takes it for no token at all; see [`token_for`].
    pub token: String,
    /// `ci`, `proj:shop:promoter`, `admin`. A project subject has rights inside its project only.
    pub subject: String,
    /// What the subject may do.
    pub policies: Vec<Policy>,
    /// How long it is good by the clock of the stand-in, from when it is granted; for good when absent.
    pub lifetime: Option<Duration>,
}

impl TokenGrant {
    /// A grant whose token is made from the subject.
    pub fn new(subject: &str, policies: Vec<Policy>) -> Self {
        Self {
            token: token_for(subject),
            subject: subject.to_owned(),
            policies,
            lifetime: None,
        }
    }

    /// The same, but it expires.
    #[must_use]
    pub fn lasting(self, lifetime: Duration) -> Self {
        Self {
            lifetime: Some(lifetime),
            ..self
        }
    }
}

impl std::fmt::Debug for TokenGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenGrant")
            .field("subject", &self.subject)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// A local account that logs in with a password.
#[derive(Clone)]
pub struct Account {
    /// The name of the account, and the subject of its session.
    pub username: String,
    /// Its password. Only for tests: it is kept as it is.
    pub password: String,
    /// What its session may do.
    pub policies: Vec<Policy>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// One RBAC line. Globs treat `/` like any other character; a deny wins over every allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `applications`, `projects`, …
    pub resource: String,
    /// `get`, `sync`, `update`, `create`, `delete`, `override`, …
    pub action: String,
    /// `<project>/<app>`, or `<project>/<namespace>/<app>` outside the namespace of Argo CD.
    pub object: String,
    /// False for a deny.
    pub allow: bool,
}

impl Policy {
    /// An allow line.
    pub fn allow(resource: &str, action: &str, object: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            allow: true,
        }
    }

    /// A deny line.
    pub fn deny(resource: &str, action: &str, object: &str) -> Self {
        Self {
            allow: false,
            ..Self::allow(resource, action, object)
        }
    }

    /// Everything.
    pub fn admin() -> Vec<Self> {
        vec![Self::allow("*", "*", "*")]
    }

    /// What a promotion server asks for in one project: `get` and `sync` of its Applications.
    pub fn promoter(project: &str) -> Vec<Self> {
        let object = format!("{project}/*");
        vec![
            Self::allow("applications", "get", &object),
            Self::allow("applications", "sync", &object),
        ]
    }

    pub(crate) fn matches(&self, resource: &str, action: &str, object: &str) -> bool {
        glob(&self.resource, resource) && glob(&self.action, action) && glob(&self.object, object)
    }
}

/// `*` matches any text, `?` one character.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, seen)) = retry {
            retry = Some((star, seen + 1));
            p = star + 1;
            t = seen + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// A bearer token for a subject, shaped like the ones Argo CD issues (three parts, `iss` and `sub` readable). The same
/// subject always gives the same token, so that it stays good after a restart.
pub fn token_for(subject: &str) -> String {
    // 2026-08-01T10:00:00Z: any moment in the past will do, but it must not move.
    token_with(subject, 1_785_578_400, "standin")
}

pub(crate) fn token_with(subject: &str, issued_at: i64, id: &str) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(json!({"iss": "argocd", "sub": subject, "iat": issued_at, "nbf": issued_at, "jti": id}));
    let signature = URL_SAFE_NO_PAD.encode(format!("signed by the stand-in for {subject}, {id}"));
    format!("{head}.{claims}.{signature}")
}

/// An Application, in the words of the tests. It is rendered from `values_file` of the Git repository: each entry of
/// `<values_prefix>.services` becomes one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSpec {
    /// Name of the Application.
    pub name: String,
    /// Argo CD project; created when it does not exist yet.
    pub project: String,
    /// Namespace of the Application object, normally `argocd`.
    pub namespace: String,
    /// A path to a bare repository, a `file://` or an `http(s)://` address.
    pub repo_url: String,
    /// Path of the chart: what lies under its `templates` is rendered as far as it is plain. Without a values file the
    /// path of a directory of manifests.
    pub path: String,
    /// Branch, tag, commit, or empty for HEAD.
    pub target_revision: String,
    /// The values file, from the root of the repository: `environments/staging/values.yaml`. Empty: no chart but a
    /// directory of manifests.
    pub values_file: String,
    /// The key under which `services` is found; dots go deeper. None: at the top. An Application that is created over
    /// the API says it in the annotation `standin.argocd/values-prefix`, and its values file in `helm.valueFiles`.
    pub values_prefix: Option<String>,
    /// Whether Argo CD syncs by itself.
    pub automated: bool,
    /// Whether it removes then what Git has no more.
    pub prune: bool,
    /// The cluster, by its address. Another one is empty: what ran in the old one is no longer seen.
    pub destination_server: String,
    /// The Kubernetes namespace that the Deployments run in.
    pub destination_namespace: String,
    /// Annotations of the Application: `argocd.argoproj.io/manifest-generate-paths` and the like.
    pub annotations: BTreeMap<String, String>,
}

impl AppSpec {
    /// An Application in namespace `argocd` that follows `main` and is synced by hand.
    pub fn new(name: &str, project: &str, repo_url: &str, values_file: &str) -> Self {
        Self {
            name: name.to_owned(),
            project: project.to_owned(),
            namespace: "argocd".to_owned(),
            repo_url: repo_url.to_owned(),
            path: "chart".to_owned(),
            target_revision: "main".to_owned(),
            values_file: values_file.to_owned(),
            values_prefix: None,
            automated: false,
            prune: true,
            destination_server: "https://kubernetes.default.svc".to_owned(),
            destination_namespace: name.to_owned(),
            annotations: BTreeMap::new(),
        }
    }
}
