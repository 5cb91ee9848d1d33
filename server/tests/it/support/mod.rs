//! What tests stand on: [`Bench`] has the use cases on a database of its own ([`database`]), with the fakes of [`fakes`] around
//! them, [`channels`] and [`receivers`] for what leaves them; [`world`] has the whole server among real parts, [`browser`] looks at its pages,
//! [`program`] runs the program to its end, [`signer`] signs images, and [`dice`] is for what is to look random.

use axum::{
    Extension, Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use database::Database;
use domain::{environment::Workspace, id::UserId, promotion::Actor, rights::Role, time::Timestamp};
use fakes::{AllThere, FakeArgoCd, FakeGit, FakeRegistry, SetClock};
use secrecy::SecretString;
use server::{
    adapters::{git::SourceMirrors, notifier::Notifier, registry::Copier, system::System},
    config::Creators,
    ports::clock::Ids as _,
    secrets::{EncryptionKey, Sealer},
    service::{
        Caller, Services, Wake,
        access::{self, NewToken, create_token_here},
        configure::{self, Applied, Document, SecretText},
        context::{Passwords, SignInLimit},
    },
    store::{Store, User},
    web::auth::Identity,
};
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) mod browser;
pub(crate) mod channels;
pub(crate) mod counted;
pub(crate) mod database;
pub(crate) mod dice;
pub(crate) mod fakes;
pub(crate) mod program;
pub(crate) mod receivers;
pub(crate) mod scripted_registry;
pub(crate) mod signer;
pub(crate) mod world;

/// The use cases, and all that they work with.
pub(crate) struct Bench {
    pub(crate) services: Services,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) git: Arc<FakeGit>,
    pub(crate) registry: Arc<FakeRegistry>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) database: Database,
    _directory: Option<TempDir>,
}

/// The first 7 characters repeated give a digest that tests can name: `digest("a")`.
pub(crate) fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

/// A document with one environment, in which `api` tracks an image repository.
pub(crate) fn api_alone(image: &str) -> serde_json::Value {
    serde_json::json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "https://git.example.com/deploy.git", "branch": "main" },
            "environments": [{ "name": "development", "cluster": "local", "resources": [
                { "name": "api", "source": { "image": image } },
            ] }],
        }],
    })
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bench = Self::on(Database::of_this_run(directory.path())).await;
        Self {
            _directory: Some(directory),
            ..bench
        }
    }

    pub(crate) async fn on(database: Database) -> Self {
        let store = database.open().await;
        let git = Arc::new(FakeGit::default());
        let (registry, clock) = (Arc::new(FakeRegistry::default()), Arc::new(SetClock::default()));
        let key = EncryptionKey::parse(&SecretString::from("A".repeat(43))).unwrap();
        let copier = Copier::new().unwrap();
        let services = Services {
            store: store.clone(),
            git: git.clone(),
            // Made at its first use, which most tests never come to.
            sources: Arc::new(SourceMirrors::new(
                std::env::temp_dir().join(format!("sources-{}", System.next())),
            )),
            argocd: Arc::new(FakeArgoCd::default()),
            registry: registry.clone(),
            copier: Arc::new(copier.clone()),
            tags: Arc::new(copier.clone()),
            statements: Arc::new(copier),
            looks: Arc::new(AllThere),
            // Receivers of tests stand on this machine.
            notifier: Arc::new(Notifier::new(true, None).unwrap()),
            clock: clock.clone(),
            ids: Arc::new(System),
            sealer: Arc::new(Sealer::new(&key)),
            wake: Arc::new(Wake::default()),
            sso: None,
            sign_ins: Arc::new(SignInLimit::new(10)),
            passwords: Arc::new(Passwords::start().unwrap()),
            pushes: Arc::default(),
            kept_cells: Arc::default(),
            kept_versions: Arc::default(),
            workload_reads: Arc::default(),
            deployed_sources: Arc::default(),
            kept_inbox: Arc::default(),
            kept_changes: Arc::default(),
            // Who administers a workspace may create others.
            creators: Creators::Administrators,
            public_url: "http://waybill.example".into(),
        };
        Self {
            services,
            store,
            git,
            registry,
            clock,
            database,
            _directory: None,
        }
    }

    /// A workspace, and a program that has a role in it.
    pub(crate) async fn program(&self, workspace: &str, name: &str, role: Role) -> (Caller, SecretString) {
        let new = NewToken {
            name,
            role,
            expires_in_millis: None,
        };
        let (_, token) = create_token_here(&*self.store, &*self.clock, &System, Some(workspace), true, &new)
            .await
            .unwrap();
        let caller = access::caller_of_token(&self.services, secrecy::ExposeSecret::expose_secret(&token))
            .await
            .unwrap()
            .unwrap();
        (caller, token)
    }

    /// A person's account, without workspaces.
    pub(crate) async fn person(&self, email: &str) -> UserId {
        let user = User {
            id: UserId(System.next()),
            email: email.into(),
            name: email.split('@').next().unwrap().into(),
            password_hash: String::new(),
            active: true,
            created_at: self.services.now(),
        };
        let mut tx = self.store.write().await.unwrap();
        tx.insert_user(&user).await.unwrap();
        tx.commit().await.unwrap();
        user.id
    }

    /// A member of a workspace, who signs in with [`PASSWORD`].
    pub(crate) async fn member(&self, email: &str, workspace: &str, role: Role) -> (Caller, UserId) {
        let id = self.person(email).await;
        let hash = self.services.passwords.hash(PASSWORD.into()).await.unwrap();
        let mut tx = self.store.write().await.unwrap();
        let workspace = tx.workspace_by_name(workspace).await.unwrap().unwrap();
        tx.set_membership(workspace.id, id, role).await.unwrap();
        tx.set_password(id, &hash).await.unwrap();
        tx.commit().await.unwrap();
        (access::caller_of_user(&self.services, id).await.unwrap().unwrap(), id)
    }

    /// Applies a document written as JSON.
    pub(crate) async fn apply(&self, caller: &Caller, document: &serde_json::Value) -> Applied {
        configure::apply(&self.services, caller, &read(document), false)
            .await
            .unwrap()
    }

    /// Posts JSON to a door as `caller`; returns status and body.
    pub(crate) async fn post(
        door: impl Into<Router>,
        caller: Option<Caller>,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, serde_json::Value) {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        Self::send(door.into().layer(Extension(Identity(caller))), request).await
    }

    /// Sends a request; returns status and body, null when it isn't JSON.
    pub(crate) async fn send(door: impl Into<Router>, request: Request<Body>) -> (StatusCode, serde_json::Value) {
        let response = door.into().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// A document as the command line sends it.
pub(crate) fn read(document: &serde_json::Value) -> Document<SecretText> {
    serde_json::from_value(document.clone()).unwrap()
}

/// A caller who never was stored.
pub(crate) fn stranger(workspace: &Workspace, role: Role) -> Caller {
    let actor = Actor::Token {
        name: "somebody".into(),
    };
    Caller::new(actor, vec![(workspace.clone(), role)])
}

/// What the changes are in words.
pub(crate) fn words(applied: &Applied) -> Vec<String> {
    applied.changes.iter().map(ToString::to_string).collect()
}

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// A moment to begin at.
pub(crate) const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
