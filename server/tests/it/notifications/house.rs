//! What the tests of notifications stand on: a project, what happens in it, and who carries it out of the house.

use crate::support::{Bench, digest, receivers::Received};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::{
    error::AppError,
    notification::{ChannelDraft, ChannelMade, DeliveryView},
};
use domain::{
    artifact::ExactImage,
    event::{Happened, Subject},
    id::ProjectId,
    promotion::{Actor, Promotion, State},
    resource::Resource,
    rights::Role,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use server::{
    adapters::{
        mail::{Encryption, MailSettings},
        notifier::Notifier,
    },
    service::{Caller, notification},
    store::NewEvent,
    worker::notify::{dispatch::Dispatcher, send::Sender},
};
use sha2::Sha256;
use std::sync::Arc;

pub(super) const API: &str = "127.0.0.1:5000/myapp/api";
const ALL: &str = "needs_approval,approved,failed,succeeded,drift,hold,image_gone,recalled";

/// A project `myapp` with `api` in development, and in production, which asks for two approvals, once [`House::promote`] was called.
pub(super) struct House {
    pub(super) bench: Bench,
    pub(super) admin: Caller,
    pub(super) dispatcher: Dispatcher,
    pub(super) sender: Sender,
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with(Notifier::new(true, None).unwrap()).await
    }

    pub(super) async fn with(notifier: Notifier) -> Self {
        let mut bench = Bench::new().await;
        bench.services.notifier = Arc::new(notifier);
        bench.registry.push(API, "one", &digest("a"));
        let path = "environments/development/values.yaml";
        bench.git.declare(path, "api", API, "one", &digest("a"));
        let (admin, _) = bench.program("demo", "admin", Role::Admin).await;
        bench.apply(&admin, &document(false)).await;
        let (dispatcher, sender) = (
            Dispatcher::new(bench.services.clone()),
            Sender::new(bench.services.clone(), "sender"),
        );
        Self {
            bench,
            admin,
            dispatcher,
            sender,
        }
    }

    pub(super) async fn add(&self, name: &str, kind: &str, address: &str) -> ChannelMade {
        self.try_add(&draft(name, kind, address)).await.unwrap()
    }

    pub(super) async fn try_add(&self, draft: &ChannelDraft) -> Result<ChannelMade, AppError> {
        notification::add_channel(&self.bench.services, &self.admin, "demo", draft.clone()).await
    }

    pub(super) async fn channel(&self, name: &str) -> String {
        let view = notification::notifications(&self.bench.services, &self.admin, "demo")
            .await
            .unwrap();
        let found = view.channels.iter().find(|channel| channel.name == name);
        found.unwrap().id.to_string()
    }

    /// The log, newest first.
    pub(super) async fn log(&self) -> Vec<DeliveryView> {
        let view = notification::notifications(&self.bench.services, &self.admin, "demo")
            .await
            .unwrap();
        view.deliveries
    }

    /// Creates `api` in production: a promotion that waits for approvals.
    pub(super) async fn promote(&self) -> (Promotion, Resource) {
        self.bench.apply(&self.admin, &document(true)).await;
        let mut tx = self.bench.store.read().await.unwrap();
        let project = self.project().await;
        let production = tx.environments(project).await.unwrap()[1].id;
        let api = tx.resource_by_name(production, "api").await.unwrap().unwrap();
        let promotion = tx.promotions_of(api.id, 1).await.unwrap().remove(0);
        assert_eq!(promotion.state, State::Waiting, "{promotion:?}");
        (promotion, api)
    }

    pub(super) async fn project(&self) -> ProjectId {
        let workspace = self.admin.access[0].0.id;
        let mut tx = self.bench.store.read().await.unwrap();
        tx.projects(workspace).await.unwrap()[0].project.id
    }

    /// Writes an entry of the ledger, as whoever did it would.
    pub(super) async fn happens(&self, subject: Subject, happened: Happened) {
        let event = NewEvent {
            workspace: self.admin.access[0].0.id,
            subject,
            actor: Actor::Token {
                name: "Ada & <Bob>".into(),
            },
            happened,
        };
        let mut tx = self.bench.store.write().await.unwrap();
        tx.append_event(&event, self.bench.services.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Has what is in the ledger told, as far as it is due.
    pub(super) async fn tell(&mut self) {
        while self.dispatcher.look().await.unwrap() {}
        while self.sender.look().await.unwrap() > 0 {}
    }
}

fn document(with_production: bool) -> serde_json::Value {
    let api = json!({ "name": "api", "source": { "image": API } });
    let follower =
        json!({ "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } } });
    let production = if with_production { vec![follower] } else { Vec::new() };
    json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "/srv/git/myapp.git" },
            "environments": [
                { "name": "development", "cluster": "local", "resources": [api] },
                { "name": "production", "cluster": "local", "policy": { "approvals": { "count": 2 } }, "resources": production },
            ],
        }],
    })
}

pub(super) fn draft(name: &str, kind: &str, address: &str) -> ChannelDraft {
    ChannelDraft {
        name: name.into(),
        project: "myapp".into(),
        kind: kind.into(),
        address: address.into(),
        occasions: ALL.into(),
        environments: String::new(),
    }
}

pub(super) fn smtp(port: u16) -> MailSettings {
    MailSettings {
        host: "127.0.0.1".into(),
        port,
        encryption: Encryption::None,
        authority: None,
        credentials: None,
        from: "Waybill <waybill@example.com>".into(),
    }
}

pub(super) fn moved(to: State) -> Happened {
    Happened::PromotionMoved {
        from: State::Verifying,
        to,
        detail: Some("Said by <Argo> & co.".into()),
    }
}

pub(super) fn image(letter: &str) -> ExactImage {
    ExactImage {
        repository: API.parse().unwrap(),
        tag: Some("one".parse().unwrap()),
        digest: digest(letter).parse().unwrap(),
    }
}

/// What a receiver does who wants to be sure: over the bytes as they came.
pub(super) fn is_signed(received: &Received, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(received.header("webhook-id").as_bytes());
    mac.update(b".");
    mac.update(received.header("webhook-timestamp").as_bytes());
    mac.update(b".");
    mac.update(&received.body);
    let signature = received.header("webhook-signature").strip_prefix("v1,").unwrap();
    mac.verify_slice(&STANDARD.decode(signature).unwrap()).is_ok()
}

pub(super) fn types(received: &[Received]) -> Vec<String> {
    let kind = |one: &Received| one.json()["type"].as_str().unwrap().to_owned();
    received.iter().map(kind).collect()
}
