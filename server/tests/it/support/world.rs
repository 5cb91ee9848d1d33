//! Everything real: [`World`] is a server with its Git over smart HTTP, its registry and the stand-in for Argo CD, set up by
//! applying a document, like any installation.
//!
//! Project `myapp` has `development` (`api` from its image repository, `nightly`, a cronjob), `staging` (`api`, tracking
//! development) and `production` (a `web` in Git that Waybill knows nothing of); project `other` has `sandbox`.

use super::{browser::Browser, database::Database, digest, fakes::MovedClock, program};
use argocd_standin::{AppSpec, Options as StandinOptions, Policy, Standin, Timing, TokenGrant, token_for};
use domain::{
    event::Happened,
    promotion::{Promotion, State},
    resource::Resource,
    rights::Role,
    time::Timestamp,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::{
    adapters::system::System,
    config::Config,
    ports::clock::{Clock as _, Ids as _},
    service::{
        access::{NewToken, create_token_here},
        context::Passwords,
        views,
    },
    store::{Store, User},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use testbed::{
    BareRepo, Gate, GitServer, ImageSpec, NotificationEndpoint, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER,
    RegistryOptions, WaybillOptions, WaybillProcess, free_port,
};
use tokio::{net::TcpListener, process::Command, sync::oneshot, task::JoinHandle};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const ADMIN: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "correct-horse-battery";
pub(crate) const GIT_TOKEN: &str = "git-token-of-the-bench";
pub(crate) const HOOK_SECRET: &str = "hook-secret-of-the-bench";
/// Whom Waybill is to the stand-in.
pub(crate) const ARGOCD_SUBJECT: &str = "proj:myapp:waybill";

/// What is different from the usual in a [`World`].
pub(crate) struct Setup {
    /// The real program instead of a server in this process: it can be killed, and has a log.
    pub(crate) process: bool,
    /// Whether the registry tells of pushes; otherwise it is polled.
    pub(crate) notifies: bool,
    /// Whether the cluster has an Argo CD.
    pub(crate) argocd: bool,
    /// Further services `s0`, `s1`, …: in development from images of their own, in staging tracking those.
    pub(crate) services: usize,
    /// Whether Waybill reaches Git and Argo CD through gates.
    pub(crate) gated: bool,
    /// Further variables of the server.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The database, instead of the one that this run is about.
    pub(crate) database: Option<Database>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            process: false,
            notifies: true,
            argocd: true,
            services: 0,
            gated: false,
            variables: Vec::new(),
            database: None,
        }
    }
}

pub(crate) struct World {
    pub(crate) repository: BareRepo,
    pub(crate) git: Option<GitServer>,
    pub(crate) registry: Option<OciRegistry>,
    pub(crate) standin: Standin,
    /// Before Git and before Argo CD, where they were asked for.
    pub(crate) gates: Option<(Gate, Gate)>,
    /// The clock of servers in this process.
    pub(crate) clock: Arc<MovedClock>,
    /// The server's own database, to look into.
    pub(crate) store: Arc<dyn Store>,
    /// An administrator's API token.
    pub(crate) token: String,
    pub(crate) base_url: String,
    /// `127.0.0.1:PORT` of the registry.
    pub(crate) host: String,
    /// Digest of the first build of `api`.
    pub(crate) first: String,
    document: Value,
    variables: Vec<(String, String)>,
    server: Server,
    pub(crate) database: Database,
    directory: TempDir,
}

/// One more server on the same database, with files of its own. It stops when this is dropped.
pub(crate) struct Another {
    pub(crate) base_url: String,
    _server: Server,
}

#[allow(clippy::large_enum_variant, reason = "there is one of it in a test")]
enum Server {
    Here {
        stop: Option<oneshot::Sender<()>>,
        task: Option<JoinHandle<()>>,
    },
    Process {
        options: WaybillOptions,
        running: Option<WaybillProcess>,
    },
}

/// Looks again and again until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// Starts everything, applies the document, and waits until `api` is live in development and staging.
    pub(crate) async fn with(mut setup: Setup) -> Self {
        let directory = TempDir::with_prefix("waybill-it-").unwrap();
        let root = directory.path();
        let (listener, port) = if setup.process {
            (None, free_port().unwrap())
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            (Some(listener), port)
        };
        let base_url = format!("http://127.0.0.1:{port}");
        let registry = OciRegistry::start(registry_options(root, None, setup.notifies.then_some(&base_url)))
            .await
            .unwrap();
        let (repository, first) = fill(root, &registry, setup.services).await;
        let git = GitServer::start(root.join("git"), None, Some(("waybill", GIT_TOKEN)))
            .await
            .unwrap();
        let standin = start_standin(repository.path()).await;
        let data = root.join("data");
        site(&data.join("site/pkg"));
        let database = setup.database.take().unwrap_or_else(|| Database::of_this_run(&data));
        let store = database.open().await;
        let token = make_token(&*store, "demo", "ci", Role::Admin).await;
        let variables = variables(&base_url, &data, &database, &setup);
        let clock = Arc::new(MovedClock::default());
        let server = serve(root, &base_url, listener, variables.clone(), &clock).await;
        let host = registry.host();
        let gates = if setup.gated {
            let git = Gate::start(&format!("http://{}", git.address())).await.unwrap();
            Some((git, Gate::start(standin.url()).await.unwrap()))
        } else {
            None
        };
        let (git_url, argocd) = match &gates {
            Some((git, argocd)) => (format!("{}/deploy.git", git.url()), argocd.url()),
            None => (git.url("deploy.git"), standin.url().to_owned()),
        };
        let mut document = document(&host, &git_url, setup.argocd.then_some(&*argocd));
        for n in 0..setup.services {
            let name = service(n);
            let resources = |document: &mut Value, environment: usize, resource: Value| {
                let all = &mut document["projects"][0]["environments"][environment]["resources"];
                all.as_array_mut().unwrap().push(resource);
            };
            let image = json!({ "image": format!("{host}/myapp/{name}") });
            resources(&mut document, 0, json!({ "name": name, "source": image }));
            let from = json!({ "promote": { "environment": "development", "resource": name } });
            resources(&mut document, 1, json!({ "name": name, "source": from }));
        }
        let world = Self {
            repository,
            git: Some(git),
            registry: Some(registry),
            standin,
            gates,
            clock,
            store,
            token,
            base_url,
            host,
            first,
            document,
            variables,
            server,
            database,
            directory,
        };
        world.apply(&world.document).await;
        let first = world.first.clone();
        for environment in ["development", "staging"] {
            world.wait_for_desired(environment, "api", &first).await;
            if setup.argocd {
                world.wait_for_live(environment, "api", &first).await;
            }
        }
        world.idle().await;
        world
    }

    /// A folder that ends with it.
    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Where its database is.
    pub(crate) fn database_url(&self) -> String {
        self.database.url()
    }

    /// The document as it was applied first, to be changed.
    pub(crate) fn document(&self) -> Value {
        self.document.clone()
    }

    /// Applies a document through the server's door.
    pub(crate) async fn apply(&self, document: &Value) -> Value {
        let (status, answer) = self.try_apply(document).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub(crate) async fn try_apply(&self, document: &Value) -> (u16, Value) {
        self.post_json("/api/v1/apply", Some(&self.token), document).await
    }

    /// Posts JSON as a program; returns status and body.
    pub(crate) async fn post_json(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = reqwest::Client::new()
            .post(format!("{}{path}", self.base_url))
            .timeout(PATIENCE)
            .json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// The mutation of product.md; returns `data.promote`, or the one error.
    pub(crate) async fn promote(&self, token: &str, service: &str, from: &str, to: &str) -> Result<Value, Value> {
        let query = format!(
            "mutation {{ promote(input: {{ projectId: \"myapp\" service: {} fromEnvironment: {} toEnvironment: {} }}) \
             {{ id state digest imageTag environment name }} }}",
            json!(service),
            json!(from),
            json!(to)
        );
        let (status, mut answer) = self
            .post_json("/api/graphql", Some(token), &json!({ "query": query }))
            .await;
        assert_eq!(status, 200, "{answer}");
        match answer["errors"].get_mut(0) {
            Some(error) => Err(error.take()),
            None => Ok(answer["data"]["promote"].take()),
        }
    }

    /// A browser that nobody is signed in with.
    pub(crate) fn stranger(&self) -> Browser {
        Browser::new(&self.base_url)
    }

    /// A browser with the administrator signed in.
    pub(crate) async fn admin(&self) -> Browser {
        self.signed_in(ADMIN).await
    }

    pub(crate) async fn signed_in(&self, email: &str) -> Browser {
        let mut browser = self.stranger();
        let answer = browser
            .post("/sign-in", &[("email", email), ("password", PASSWORD)])
            .await;
        assert_eq!((answer.status, answer.location()), (303, Some("/")), "{}", answer.text);
        browser
    }

    /// Another person, with a role in a workspace; the password is everybody's.
    pub(crate) async fn person(&self, email: &str, workspace: &str, role: Role) {
        let mut tx = self.store.write().await.unwrap();
        let user = User {
            id: domain::id::UserId(System.next()),
            email: email.into(),
            name: email.split('@').next().unwrap().into(),
            password_hash: Passwords::start().unwrap().hash(PASSWORD.into()).await.unwrap(),
            active: true,
            created_at: super::BEGIN,
        };
        tx.insert_user(&user).await.unwrap();
        let workspace = tx.workspace_by_name(workspace).await.unwrap().unwrap();
        tx.set_membership(workspace.id, user.id, role).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Another token.
    pub(crate) async fn token(&self, workspace: &str, name: &str, role: Role) -> String {
        make_token(&*self.store, workspace, name, role).await
    }

    /// Pushes a build of each further service; returns their digests.
    pub(crate) async fn push_all(&self, services: usize, tag: &str) -> Vec<String> {
        let registry = self.registry.as_ref().unwrap();
        let mut digests = Vec::new();
        for name in (0..services).map(service) {
            let pushed = registry
                .push_image(&format!("myapp/{name}"), tag, &build(&name, tag))
                .await;
            digests.push(pushed.unwrap());
        }
        digests
    }

    /// All promotions there are.
    pub(crate) async fn all_promotions(&self) -> Vec<Promotion> {
        let mut tx = self.store.read().await.unwrap();
        let mut all = Vec::new();
        for workspace in tx.workspaces().await.unwrap() {
            for project in tx.projects(workspace.id).await.unwrap() {
                for resource in tx.resources(project.project.id).await.unwrap() {
                    all.extend(tx.promotions_of(resource.id, 100_000).await.unwrap());
                }
            }
        }
        all
    }

    /// Every promotion has ended, each that was committed has one commit, no other has any, and the ledger tells it all once.
    pub(crate) async fn is_whole(&self) {
        let commits = self.repository.commits("main").await.unwrap();
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        for commit in &commits {
            assert!(commit.parents.len() < 2, "no merges");
            if let Some(id) = commit
                .body
                .lines()
                .last()
                .and_then(|l| l.strip_prefix("Waybill-Promotion: "))
            {
                found.entry(id.to_owned()).or_default().push(commit.sha.clone());
            }
        }
        for promotion in self.all_promotions().await {
            let id = promotion.id.to_string();
            assert!(promotion.state.is_ended(), "{promotion:?}");
            let ours = found.remove(&id).unwrap_or_default();
            assert!(ours.len() < 2, "committed twice: {id} {ours:?}");
            let mut tx = self.store.read().await.unwrap();
            let events = tx.events_of_promotion(promotion.id).await.unwrap();
            let count = |is: &dyn Fn(&Happened) -> bool| events.iter().filter(|e| is(&e.happened)).count();
            assert_eq!(count(&|h| matches!(h, Happened::PromotionRequested { .. })), 1, "{id}");
            // Another try finds the commit, and says so.
            let told = count(&|h| matches!(h, Happened::Committed { .. }));
            let tries = usize::try_from(promotion.tries).unwrap();
            let most = if promotion.commit.is_some() { tries } else { 0 };
            assert!(told <= most && (told > 0) == (most > 0), "{id}: {events:#?}");
            assert!(
                count(&|h| matches!(h, Happened::Committed { pushes: 1.., .. })) < 2,
                "{id}: {events:#?}"
            );
            // The moves make a way from the beginning to the end.
            let mut at = State::Queued;
            for event in &events {
                match &event.happened {
                    Happened::PromotionMoved { from, to, .. } => {
                        assert_eq!(*from, at, "{id}: {events:#?}");
                        at = *to;
                    }
                    Happened::PromotionLiveAfterAll { .. } => {
                        assert_eq!(at, State::Failed, "{id}: {events:#?}");
                        at = State::Succeeded;
                    }
                    _ => {}
                }
            }
            assert_eq!(at, promotion.state, "{id}");
            match promotion.state {
                State::Succeeded => assert_eq!(ours.first(), promotion.commit.as_ref(), "{promotion:?}"),
                State::Superseded => {}
                _ => panic!("{promotion:?}"),
            }
        }
        assert!(found.is_empty(), "commits of nobody: {found:?}");
        let workspaces = self.store.read().await.unwrap().workspaces().await.unwrap();
        for workspace in workspaces {
            let checked = views::check_ledger(&*self.store, workspace.id).await.unwrap();
            assert_eq!(checked.broken, None, "{}", workspace.name);
        }
    }

    /// Pushes a build of `api`; returns its digest.
    pub(crate) async fn push(&self, tag: &str) -> String {
        let registry = self.registry.as_ref().unwrap();
        registry.push_image("myapp/api", tag, &build("api", tag)).await.unwrap()
    }

    /// Gives the build of `api` that is called `of` another tag, too; returns its digest.
    pub(crate) async fn push_again(&self, of: &str, tag: &str) -> String {
        let registry = self.registry.as_ref().unwrap();
        registry.push_image("myapp/api", tag, &build("api", of)).await.unwrap()
    }

    pub(crate) async fn resource(&self, environment: &str, name: &str) -> Option<Resource> {
        let mut tx = self.store.read().await.unwrap();
        for workspace in tx.workspaces().await.unwrap() {
            for project in tx.projects(workspace.id).await.unwrap() {
                let environments = tx.environments(project.project.id).await.unwrap();
                if let Some(here) = environments.iter().find(|e| e.name.as_str() == environment) {
                    return tx.resource_by_name(here.id, name).await.unwrap();
                }
            }
        }
        None
    }

    /// Newest first; empty for a resource that doesn't exist.
    pub(crate) async fn promotions(&self, environment: &str, name: &str) -> Vec<Promotion> {
        let Some(resource) = self.resource(environment, name).await else {
            return Vec::new();
        };
        let mut tx = self.store.read().await.unwrap();
        tx.promotions_of(resource.id, 100).await.unwrap()
    }

    pub(crate) async fn promotion(&self, id: &str) -> Promotion {
        let mut tx = self.store.read().await.unwrap();
        tx.promotion(id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Waits for a promotion to end, in this way.
    pub(crate) async fn ends(&self, id: &str, state: State) -> Promotion {
        let ended = until(&format!("the promotion to be {state}"), async || {
            Some(self.promotion(id).await).filter(|p| p.state.is_ended())
        })
        .await;
        assert_eq!(ended.state, state, "{:?}", ended.failure);
        ended
    }

    /// Waits until a promotion is in a state.
    pub(crate) async fn reaches(&self, id: &str, state: State) -> Promotion {
        until(&format!("the promotion to be {state}"), async || {
            Some(self.promotion(id).await).filter(|p| p.state == state)
        })
        .await
    }

    pub(crate) async fn wait_for_desired(&self, environment: &str, name: &str, digest: &str) {
        let what = format!("{environment}/{name} to be declared");
        let declared = until(&what, async || {
            let desired = self.resource(environment, name).await?.desired?;
            (desired.digest.as_str() == digest).then_some(())
        });
        self.in_time(&what, environment, name, digest, declared).await;
    }

    /// Waits until Waybill has heard that this digest runs.
    pub(crate) async fn wait_for_live(&self, environment: &str, name: &str, digest: &str) {
        let what = format!("{environment}/{name} to be live");
        let live = until(&what, async || {
            let live = self.resource(environment, name).await?.live?;
            (live.digests.len() == 1 && live.digests[0].as_str() == digest).then_some(())
        });
        self.in_time(&what, environment, name, digest, live).await;
    }

    /// Waits; whoever waits in vain is told how things stand.
    async fn in_time(&self, what: &str, environment: &str, name: &str, digest: &str, wanted: impl Future<Output = ()>) {
        if tokio::time::timeout(PATIENCE - Duration::from_secs(1), wanted)
            .await
            .is_err()
        {
            let resource = self.resource(environment, name).await;
            let promotions = self.all_promotions().await;
            let promotions: Vec<_> = promotions
                .iter()
                .filter(|p| p.image.repository.path().ends_with(name))
                .map(|p| {
                    let tag = p.image.tag.as_ref().map(ToString::to_string);
                    let moments = (p.created_at.0, p.committed_at.map(|at| at.0), p.ended_at.map(|at| at.0));
                    format!(
                        "{} {tag:?} {:?} {:?} of {} in {}, {} attempts, {moments:?}",
                        p.number, p.state, p.waits_for, p.resource, p.environment, p.attempts
                    )
                })
                .collect();
            let images = self.live_images(environment);
            let log = match &self.server {
                Server::Process {
                    running: Some(running), ..
                } => running.log(),
                _ => String::new(),
            };
            let said: Vec<_> = log
                .lines()
                .filter(|line| ["WARN", "ERROR"].iter().any(|level| line.contains(level)))
                .collect();
            let said = said[said.len().saturating_sub(60)..].join("\n");
            panic!("waited in vain: {what} with {digest}: {resource:#?}\n{promotions:#?}\n{images:?}\n{said}");
        }
    }

    /// Waits until no promotion is under way.
    pub(crate) async fn idle(&self) {
        until("all promotions to end", async || {
            let due = self.store.read().await.unwrap().next_due().await.unwrap();
            due.is_none().then_some(())
        })
        .await;
    }

    /// The images that run according to the stand-in, of `api`.
    pub(crate) fn live_images(&self, environment: &str) -> Vec<String> {
        let images = self.standin.live_images(&format!("myapp-{environment}"));
        images
            .into_iter()
            .filter(|image| image.contains("/myapp/api"))
            .collect()
    }

    /// What a values file says at the tip.
    pub(crate) async fn values(&self, environment: &str) -> String {
        let file = self.repository.read_file("main", &values_path(environment)).await;
        String::from_utf8(file.unwrap().unwrap()).unwrap()
    }

    /// Somebody else commits a values file.
    pub(crate) async fn outsider_writes(&self, environment: &str, content: &str) -> String {
        let writer = self.repository.outsider("main").await.unwrap();
        let path = values_path(environment);
        writer.commit(&[(&path, content)], "By hand").await.unwrap()
    }

    /// Subjects of all commits, newest first.
    pub(crate) async fn subjects(&self) -> Vec<String> {
        let commits = self.repository.commits("main").await.unwrap();
        commits.into_iter().map(|commit| commit.subject).collect()
    }

    /// The message of the newest commit below its first line.
    pub(crate) async fn newest_message(&self) -> String {
        let commits = self.repository.commits("main").await.unwrap();
        commits.into_iter().next().unwrap().body
    }

    /// All that a failed request must not have changed: resources, promotions and commits.
    pub(crate) async fn everything(&self) -> (usize, usize, usize) {
        let mut tx = self.store.read().await.unwrap();
        let (mut resources, mut promotions) = (0, 0);
        for workspace in tx.workspaces().await.unwrap() {
            for project in tx.projects(workspace.id).await.unwrap() {
                for resource in tx.resources(project.project.id).await.unwrap() {
                    resources += 1;
                    promotions += tx.promotions_of(resource.id, 1000).await.unwrap().len();
                }
            }
        }
        (resources, promotions, self.subjects().await.len())
    }

    /// Moves the clock of a server in this process forward, as if it had followed every Argo CD meanwhile.
    pub(crate) async fn forward(&self, millis: i64) {
        let then = self.clock.now().plus_millis(millis);
        self.was_followed(then).await;
        self.clock.forward(millis);
        self.was_followed(then).await;
        // The worker sleeps by the clock as it was until it is woken: by something else that happens.
        let other = json!({ "digest": digest("f"), "name": format!("time-passes-{}", then.0), "status": "passed" });
        let (status, answer) = self.post_json("/api/v1/checks", Some(&self.token), &other).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn was_followed(&self, at: Timestamp) {
        let mut tx = self.store.write().await.unwrap();
        for workspace in tx.workspaces().await.unwrap() {
            for record in tx.clusters(workspace.id).await.unwrap() {
                tx.set_seen(record.cluster.id, at).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
    }

    /// Starts the Git server again where it was.
    pub(crate) async fn git_again(&mut self, port: u16) {
        let root = self.directory.path().join("git");
        let start = || async {
            GitServer::start(&root, Some(port), Some(("waybill", GIT_TOKEN)))
                .await
                .ok()
        };
        self.git = Some(until("the port of Git to be free", async || start().await).await);
    }

    /// Starts the registry again where it was.
    pub(crate) async fn registry_again(&mut self, port: u16) {
        let root = self.directory.path();
        let options = registry_options(root, Some(port), Some(&self.base_url));
        self.registry = Some(OciRegistry::start(options).await.unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Server::Process { running, .. } = &mut self.server {
            running.take().unwrap().kill();
        }
    }

    /// SIGTERM, or the same for a server in this process; waits for its end.
    pub(crate) async fn stop(&mut self) {
        match &mut self.server {
            Server::Process { running, .. } => {
                let status = running.take().unwrap().stop(PATIENCE).await;
                assert!(status.is_some_and(|status| status.success()), "{status:?}");
            }
            Server::Here { stop, task } => {
                stop.take().unwrap().send(()).unwrap();
                tokio::time::timeout(PATIENCE, task.take().unwrap())
                    .await
                    .unwrap()
                    .unwrap();
            }
        }
    }

    /// Starts the program again after [`World::kill`] or [`World::stop`].
    pub(crate) async fn restart(&mut self) {
        if let Server::Process { options, running } = &mut self.server {
            *running = Some(WaybillProcess::start(options).await.unwrap());
        }
    }

    /// Starts one more server on the same database, in this process.
    pub(crate) async fn another_server(&self) -> Another {
        self.another_server_by(&self.clock).await
    }

    /// The same by a clock of its own.
    pub(crate) async fn another_server_by(&self, clock: &Arc<MovedClock>) -> Another {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let name = format!("another-{}", listener.local_addr().unwrap().port());
        let root = self.directory.path().join(name);
        let mut variables = self.variables.clone();
        for (name, value) in [
            ("WAYBILL_LISTEN", base_url.trim_start_matches("http://").to_owned()),
            ("WAYBILL_DATA_DIR", root.display().to_string()),
        ] {
            variables.retain(|(known, _)| known != name);
            variables.push((name.to_owned(), value));
        }
        let _server = serve(&root, &base_url, Some(listener), variables, clock).await;
        let ready = format!("{base_url}/readyz");
        until("another server to be ready", async || reqwest::get(&ready).await.ok()).await;
        Another { base_url, _server }
    }

    /// The program with the server's variables, to be run beside it or in its place.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = program::waybill(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where the server keeps its files.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Gives the program another variable, from its next start on.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        if let Server::Process { options, .. } = &mut self.server {
            *options = options.clone().environment(name, value);
        }
    }

    /// The id of the program's process.
    pub(crate) fn process_id(&self) -> u32 {
        match &self.server {
            Server::Process { running, .. } => running.as_ref().unwrap().id(),
            Server::Here { .. } => panic!("only the program has a process of its own"),
        }
    }

    /// What the real program allocated and holds in memory, without its own pages, in MB (of a million bytes).
    pub(crate) fn allocated(&self) -> u64 {
        self.memory("RssAnon:").unwrap() * 1024 / 1_000_000
    }

    /// The most memory that the program took since it started, in MiB; `None` where the system doesn't tell.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.memory("VmHWM:").map(|kib| kib >> 10)
    }

    /// A line of the program's status, in KiB.
    fn memory(&self, line: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).ok()?;
        let value = status.lines().find_map(|found| found.strip_prefix(line))?;
        value.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Where the program logs, all starts together.
    pub(crate) fn log_file(&self) -> PathBuf {
        match &self.server {
            Server::Process { options, .. } => options.log.clone(),
            Server::Here { .. } => panic!("only the program has a log of its own"),
        }
    }
}

/// The name of a further service.
pub(crate) fn service(n: usize) -> String {
    format!("s{n}")
}

pub(crate) fn values_path(environment: &str) -> String {
    format!("environments/{environment}/values.yaml")
}

/// The token that the stand-in knows.
pub(crate) fn argocd_token() -> String {
    token_for(ARGOCD_SUBJECT)
}

/// A site as the build leaves it, small.
fn site(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, content) in SITE {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

/// Files of the site; the compressed ones are told apart by content, not really compressed.
pub(crate) const SITE: [(&str, &str); 5] = [
    ("waybill.css", "body{}"),
    ("waybill.css.br", "brotli"),
    ("waybill.css.gz", "gzip"),
    ("waybill.js", "export default 1"),
    ("waybill_bg.wasm", "wasm"),
];

fn build(service: &str, tag: &str) -> ImageSpec {
    ImageSpec::new(format!("{service} {tag}"))
        .created("2026-11-02T09:12:00Z")
        .label("org.opencontainers.image.version", tag)
        .label("org.opencontainers.image.source", "https://git.example.com/acme/api")
        .label("org.opencontainers.image.revision", "3f1c0d9e")
}

fn registry_options(root: &Path, port: Option<u16>, tells: Option<&String>) -> RegistryOptions {
    let endpoint = |base_url: &String| NotificationEndpoint {
        url: format!("{base_url}/api/v1/hooks/registry/demo"),
        headers: vec![("Authorization".into(), format!("Bearer {HOOK_SECRET}"))],
    };
    RegistryOptions {
        port,
        auth: true,
        notifications: tells.map(endpoint).into_iter().collect(),
        ..RegistryOptions::new(root.join("registry"))
    }
}

/// The first builds, and the repository that declares them.
async fn fill(root: &Path, registry: &OciRegistry, services: usize) -> (BareRepo, String) {
    let mut digests = Vec::new();
    for service in ["api", "nightly", "web"] {
        let path = format!("myapp/{service}");
        digests.push(
            registry
                .push_image(&path, "1.0.0", &build(service, "1.0.0"))
                .await
                .unwrap(),
        );
    }
    let host = registry.host();
    let image = |service: &str, digest: &str| {
        format!(
            "    image:\n      repository: {host}/myapp/{service}\n      tag: 1.0.0 # moved by Waybill\n      digest: {digest}\n"
        )
    };
    let mut further = String::new();
    for name in (0..services).map(service) {
        let pushed = registry
            .push_image(&format!("myapp/{name}"), "1.0.0", &build(&name, "1.0.0"))
            .await;
        let digest = pushed.unwrap();
        further.push_str(&format!("\n  {name}:\n{}    replicas: 1\n", image(&name, &digest)));
    }
    let development = format!(
        "# development\nservices:\n  api:\n{}    replicas: 1\n    port: 8080\n\n  # at night\n  nightly:\n{}    replicas: 0\n{further}",
        image("api", &digests[0]),
        image("nightly", &digests[1])
    );
    let staging = format!(
        "# staging\nservices:\n  api:\n{}    replicas: 2 # two\n{further}",
        image("api", &digests[0])
    );
    let production = format!(
        "# Handle with care.\nservices:\n  web:\n{}    replicas: 4 # two per zone\n",
        image("web", &digests[2])
    );
    let repository = BareRepo::init(root.join("git/deploy.git"), "main").await.unwrap();
    let writer = repository.outsider("main").await.unwrap();
    let files = [
        (values_path("development"), development),
        (values_path("staging"), staging),
        (values_path("production"), production),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    writer.commit(&files, "Declare what runs where").await.unwrap();
    (repository, digests.remove(0))
}

async fn start_standin(repository: &Path) -> Standin {
    let standin = Standin::start(StandinOptions {
        tokens: vec![TokenGrant::new(ARGOCD_SUBJECT, Policy::promoter("myapp"))],
        timing: Timing::fast(),
        app_namespaces: vec!["team-a".into()],
        ..StandinOptions::default()
    })
    .await
    .unwrap();
    let url = repository.display().to_string();
    for environment in ["development", "staging", "production", "qa"] {
        let mut app = AppSpec::new(
            &format!("myapp-{environment}"),
            "myapp",
            &url,
            &values_path(environment),
        );
        app.automated = matches!(environment, "development" | "staging");
        standin.upsert_app(app);
    }
    standin
}

async fn make_token(store: &dyn Store, workspace: &str, name: &str, role: Role) -> String {
    let new = NewToken {
        name,
        role,
        expires_in_millis: None,
    };
    let (_, token) = create_token_here(store, &System, &System, Some(workspace), true, &new)
        .await
        .unwrap();
    token.expose_secret().to_owned()
}

fn variables(base_url: &str, data: &Path, database: &Database, setup: &Setup) -> Vec<(String, String)> {
    let listen = base_url.trim_start_matches("http://").to_owned();
    let poll = if setup.notifies { "1h" } else { "100ms" };
    let usual = [
        ("LISTEN", listen),
        ("DATA_DIR", data.display().to_string()),
        ("DATABASE_URL", database.url()),
        ("SITE_DIR", data.join("site").display().to_string()),
        ("ADMIN_EMAIL", ADMIN.to_owned()),
        ("ADMIN_PASSWORD", PASSWORD.to_owned()),
        ("REGISTRY_WEBHOOK_SECRET", HOOK_SECRET.to_owned()),
        ("REGISTRY_POLL_INTERVAL", poll.to_owned()),
        ("GIT_POLL_INTERVAL", "300ms".to_owned()),
        ("PROMOTION_STABLE_FOR", "1ms".to_owned()),
        ("LOG_LEVEL", "debug".to_owned()),
    ];
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in usual.into_iter().chain(setup.variables.iter().cloned()) {
        let name = format!("WAYBILL_{name}");
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
    }
    all
}

async fn serve(
    root: &Path,
    base_url: &str,
    listener: Option<TcpListener>,
    variables: Vec<(String, String)>,
    clock: &Arc<MovedClock>,
) -> Server {
    let Some(listener) = listener else {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_waybill"));
        let mut options = WaybillOptions::new(binary, root, base_url).arguments(["serve"]);
        for (name, value) in &variables {
            options = options.environment(name, value);
        }
        let running = Some(WaybillProcess::start(&options).await.unwrap());
        return Server::Process { options, running };
    };
    let config = Config::load(None, variables.into_iter().map(|(k, v)| (k.into(), v.into()))).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let clock = Arc::clone(clock);
    let task = tokio::spawn(async move {
        let told = async {
            // A world that is dropped stops its server too.
            let _ = stopped.await;
        };
        server::run_by(clock.clone(), clock, config, listener, told)
            .await
            .unwrap();
    });
    Server::Here {
        stop: Some(stop),
        task: Some(task),
    }
}

fn document(host: &str, git: &str, argocd: Option<&str>) -> Value {
    let mut cluster = json!({
        "name": "local",
        "registry": { "host": host, "plainHttp": true, "user": REGISTRY_USER, "password": REGISTRY_PASSWORD },
    });
    if let Some(url) = argocd {
        cluster["argocd"] = json!({
            "url": url, "token": argocd_token(), "application": "{project}-{environment}", "project": "myapp",
        });
    }
    let repository = json!({ "url": git, "branch": "main", "credentials": { "user": "waybill", "token": GIT_TOKEN } });
    json!({
        "workspace": "demo",
        "clusters": [cluster],
        "projects": [{
            "name": "myapp",
            "repository": repository,
            "environments": [
                { "name": "development", "cluster": "local", "resources": [
                    { "name": "api", "source": { "image": format!("{host}/myapp/api") },
                      "runtime": { "replicas": 1, "ports": [8080] } },
                    { "name": "nightly", "kind": "cronjob", "source": { "image": format!("{host}/myapp/nightly") } },
                ] },
                { "name": "staging", "cluster": "local", "resources": [
                    { "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } },
                      "runtime": { "replicas": 2 } },
                ] },
                { "name": "production", "cluster": "local" },
            ],
        }, {
            "name": "other",
            "repository": repository,
            "pathTemplate": "other/{environment}/values.yaml",
            "environments": [{ "name": "sandbox", "cluster": "local" }],
        }],
    })
}
