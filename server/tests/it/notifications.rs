//! People are told elsewhere: by webhook, Slack and e-mail, at least once, and nothing waits for them.

use crate::support::{
    Bench,
    browser::Page,
    digest,
    receivers::{MailServer, Received, Receiver},
    world::{Setup, World, until},
};
use app::{
    api::notification::{ChannelDraft, ChannelMade, DeliveryView},
    error::AppError,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    artifact::ExactImage,
    event::{Happened, Subject},
    id::ProjectId,
    notification::{DeliveryState, Occasion},
    plan::Health,
    promotion::{Actor, Promotion, State},
    resource::{HoldCause, Live, Resource},
    rights::Role,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use server::{
    adapters::{
        mail::{Encryption, MailSettings},
        notifier::Notifier,
    },
    service::{Caller, ledger},
    store::NewEvent,
    worker::notify::{dispatch::Dispatcher, send::Sender},
};
use sha2::Sha256;
use std::sync::Arc;

const API: &str = "127.0.0.1:5000/myapp/api";
const ALL: &str = "needs_approval,approved,failed,succeeded,drift,hold";
const SETTINGS: &str = "/w/demo/-/settings/notifications";

/// A project `myapp` with `api` in development, and in production, which asks for two approvals, once [`House::promote`] was called.
struct House {
    bench: Bench,
    admin: Caller,
    dispatcher: Dispatcher,
    sender: Sender,
}

impl House {
    async fn new() -> Self {
        Self::with(Notifier::new(true, None).unwrap()).await
    }

    async fn with(notifier: Notifier) -> Self {
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

    async fn add(&self, name: &str, kind: &str, address: &str) -> ChannelMade {
        self.try_add(&draft(name, kind, address)).await.unwrap()
    }

    async fn try_add(&self, draft: &ChannelDraft) -> Result<ChannelMade, AppError> {
        self.bench
            .services
            .add_channel(&self.admin, "demo", draft.clone())
            .await
    }

    async fn channel(&self, name: &str) -> String {
        let view = self.bench.services.notifications(&self.admin, "demo").await.unwrap();
        let found = view.channels.iter().find(|channel| channel.name == name);
        found.unwrap().id.to_string()
    }

    /// The log, newest first.
    async fn log(&self) -> Vec<DeliveryView> {
        let view = self.bench.services.notifications(&self.admin, "demo").await.unwrap();
        view.deliveries
    }

    /// Creates `api` in production: a promotion that waits for approvals.
    async fn promote(&self) -> (Promotion, Resource) {
        self.bench.apply(&self.admin, &document(true)).await;
        let mut tx = self.bench.store.read().await.unwrap();
        let project = self.project().await;
        let production = tx.environments(project).await.unwrap()[1].id;
        let api = tx.resource_by_name(production, "api").await.unwrap().unwrap();
        let promotion = tx.promotions_of(api.id, 1).await.unwrap().remove(0);
        assert_eq!(promotion.state, State::Waiting, "{promotion:?}");
        (promotion, api)
    }

    async fn project(&self) -> ProjectId {
        let workspace = self.admin.access[0].0.id;
        let mut tx = self.bench.store.read().await.unwrap();
        tx.projects(workspace).await.unwrap()[0].project.id
    }

    /// Writes an entry of the ledger, as whoever did it would.
    async fn happens(&self, subject: Subject, happened: Happened) {
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
    async fn tell(&mut self) {
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

fn draft(name: &str, kind: &str, address: &str) -> ChannelDraft {
    ChannelDraft {
        name: name.into(),
        project: "myapp".into(),
        kind: kind.into(),
        address: address.into(),
        occasions: ALL.into(),
        environments: String::new(),
    }
}

fn smtp(port: u16) -> MailSettings {
    MailSettings {
        host: "127.0.0.1".into(),
        port,
        encryption: Encryption::None,
        credentials: None,
        from: "Waybill <waybill@example.com>".into(),
    }
}

fn moved(to: State) -> Happened {
    Happened::PromotionMoved {
        from: State::Verifying,
        to,
        detail: Some("Said by <Argo> & co.".into()),
    }
}

fn image(letter: &str) -> ExactImage {
    ExactImage {
        repository: API.parse().unwrap(),
        tag: Some("one".parse().unwrap()),
        digest: digest(letter).parse().unwrap(),
    }
}

/// What a receiver does who wants to be sure: over the bytes as they came.
fn is_signed(received: &Received, secret: &str) -> bool {
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

fn types(received: &[Received]) -> Vec<String> {
    let kind = |one: &Received| one.json()["type"].as_str().unwrap().to_owned();
    received.iter().map(kind).collect()
}

#[tokio::test]
async fn each_kind_of_channel_tells_of_each_occasion() {
    let (receiver, mail) = (Receiver::start().await, MailServer::start().await);
    let mut house = House::with(Notifier::new(true, Some(&smtp(mail.port()))).unwrap()).await;
    let made = house.add("hook", "webhook", &receiver.url("/hook")).await;
    house.add("chat", "slack", &receiver.url("/slack")).await;
    house.add("people", "email", "ada@example.com, bob@example.com").await;

    let (promotion, api) = house.promote().await;
    let about = Subject::promotion(&promotion);
    let approved = Happened::Approved {
        digest: digest("a").parse().unwrap(),
        comment: Some("Looks <right>".into()),
    };
    house.tell().await;
    house.happens(about, approved).await;
    for state in [State::Failed, State::Succeeded, State::Syncing, State::Rejected] {
        house.happens(about, moved(state)).await;
    }
    let resource = Subject {
        promotion: None,
        ..about
    };
    let outside = Happened::DesiredChanged {
        image: Some(image("b")),
        commit: "c0ffee1234".into(),
        by: Some("Eve\r\nBcc: eve@example.com".into()),
    };
    house.happens(resource, outside).await;
    house
        .happens(
            resource,
            Happened::Held {
                cause: HoldCause::RolledBack,
            },
        )
        .await;
    house.happens(resource, Happened::Resumed).await;
    house.tell().await;

    let wanted = ["needs_approval", "approved", "failed", "succeeded", "drift", "hold"];
    let hooks = receiver.on("/hook");
    assert_eq!(types(&hooks), wanted);
    let secret = made.secret.unwrap();
    assert!(secret.starts_with("whsec_") && hooks.iter().all(|one| is_signed(one, &secret)));
    let mut forged = hooks[0].clone();
    forged.body = forged.body.iter().chain(b" ").copied().collect();
    assert!(!is_signed(&forged, &secret));
    let first = hooks[0].json();
    let link = format!("http://waybill.example/promotions/{}", promotion.id);
    assert_eq!(first["data"]["url"], link.as_str());
    assert_eq!(first["data"]["title"], "api → production needs approval");
    let text = first["data"]["text"].as_str().unwrap();
    assert!(
        text.contains("nothing → one (aaaaaaa), from development.") && text.contains("Waits for 0 of 2 approvals."),
        "{text}"
    );
    assert_eq!(first["data"]["to"]["digest"], digest("a").as_str());
    assert_eq!(
        hooks[4].json()["data"]["url"],
        "http://waybill.example/w/demo/myapp/production/api"
    );

    let chat = receiver.on("/slack");
    let texts: Vec<String> = chat
        .iter()
        .map(|one| one.json()["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts.len(), 6);
    assert!(
        texts[0].starts_with(&format!("*<{link}|api → production needs approval>*\n")),
        "{}",
        texts[0]
    );
    assert!(
        texts[1].contains("Ada &amp; &lt;Bob&gt; approved") && texts[1].contains("Looks &lt;right&gt;"),
        "{}",
        texts[1]
    );
    assert!(texts[2].contains("Said by &lt;Argo&gt; &amp; co."), "{}", texts[2]);

    let mails = mail.mails();
    assert_eq!(mails.len(), 6);
    for mail in &mails {
        assert_eq!(mail.to, ["<ada@example.com>", "<bob@example.com>"]);
        assert!(mail.from.starts_with("<waybill@example.com>"), "{}", mail.from);
        let headers = mail.text.split("\n\n").next().unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    }
    let log = house.log().await;
    assert_eq!(log.len(), 18);
    assert!(
        log.iter()
            .all(|one| one.state == DeliveryState::Delivered && one.attempts == 1)
    );
    assert_eq!(log[0].status, Some(250), "{:?}", log[0]);

    // Live differs from Git, the rollout is over, and no promotion explains it.
    let mut tx = house.bench.store.write().await.unwrap();
    let now = house.bench.services.now();
    tx.set_desired(api.id, Some(&image("a")), now).await.unwrap();
    let live = Live {
        digests: vec![digest("c").parse().unwrap()],
        health: Health::Healthy,
        at: now,
    };
    tx.set_live(api.id, Some(&live)).await.unwrap();
    tx.commit().await.unwrap();
    let reported = |health| Happened::LiveChanged {
        digests: vec!["ccccccc".into()],
        health,
    };
    house.happens(resource, reported(Health::Healthy)).await;
    house.tell().await;
    assert_eq!(
        receiver.on("/hook").len(),
        6,
        "a promotion is open: it may be the reason"
    );
    let mut tx = house.bench.store.write().await.unwrap();
    let cancelled = promotion.clone().cancel("Not needed.", now).unwrap();
    tx.update_promotion(&cancelled, State::Waiting, now).await.unwrap();
    tx.commit().await.unwrap();
    house.happens(resource, reported(Health::Progressing)).await;
    house.happens(resource, reported(Health::Healthy)).await;
    house.tell().await;
    let hooks = receiver.on("/hook");
    assert_eq!(types(&hooks)[6..], ["drift"]);
    let text = hooks[6].json()["data"]["text"].as_str().unwrap().to_owned();
    assert_eq!(text, "ccccccc is live, and Git declares one (aaaaaaa).");
}

#[tokio::test]
async fn that_approval_is_needed_is_told_once_while_it_waits() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    house.add("hook", "webhook", &receiver.url("/hook")).await;
    let (promotion, _) = house.promote().await;
    let waits = Happened::PromotionWaits {
        detail: "1 of 2 approvals".into(),
    };
    house.happens(Subject::promotion(&promotion), waits.clone()).await;
    house.tell().await;
    house.happens(Subject::promotion(&promotion), waits).await;
    house.tell().await;
    assert_eq!(types(&receiver.received()), ["needs_approval"]);
    // It waits anew: somebody must look again.
    house
        .happens(Subject::promotion(&promotion), moved(State::Waiting))
        .await;
    house.tell().await;
    assert_eq!(receiver.received().len(), 2);
    // Nobody is called who isn't needed any more.
    let mut tx = house.bench.store.write().await.unwrap();
    let now = house.bench.services.now();
    let queued = promotion.clone().become_(State::Queued, now).unwrap();
    tx.update_promotion(&queued, State::Waiting, now).await.unwrap();
    tx.commit().await.unwrap();
    house
        .happens(Subject::promotion(&promotion), moved(State::Waiting))
        .await;
    house.tell().await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn only_what_was_chosen_is_told_and_only_from_then_on() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    let (promotion, _) = house.promote().await;
    let about = Subject::promotion(&promotion);
    house.happens(about, moved(State::Failed)).await;
    for (name, occasions, environments) in [
        ("failures", "failed", ""),
        ("development", "failed,succeeded", "development"),
        ("production", "succeeded", "production, development"),
    ] {
        let draft = ChannelDraft {
            occasions: occasions.into(),
            environments: environments.into(),
            ..draft(name, "webhook", &receiver.url(&format!("/{name}")))
        };
        house.try_add(&draft).await.unwrap();
    }
    house.tell().await;
    assert_eq!(receiver.received().len(), 0, "what was before is not told");
    house.happens(about, moved(State::Failed)).await;
    house.happens(about, moved(State::Succeeded)).await;
    house.tell().await;
    assert_eq!(types(&receiver.on("/failures")), ["failed"]);
    assert_eq!(types(&receiver.on("/production")), ["succeeded"]);
    assert_eq!(receiver.on("/development").len(), 0);

    let services = house.bench.services.clone();
    let id = house.channel("failures").await;
    services.pause_channel(&house.admin, "demo", &id, true).await.unwrap();
    house.happens(about, moved(State::Failed)).await;
    house.tell().await;
    let refused = services.test_channel(&house.admin, "demo", &id).await;
    assert!(matches!(refused, Err(AppError::Conflict(_))), "{refused:?}");
    services.pause_channel(&house.admin, "demo", &id, false).await.unwrap();
    house.tell().await;
    assert_eq!(
        receiver.on("/failures").len(),
        1,
        "what happened meanwhile is not told later"
    );
    house.happens(about, moved(State::Failed)).await;
    house.tell().await;
    assert_eq!(receiver.on("/failures").len(), 2);
    services.remove_channel(&house.admin, "demo", &id).await.unwrap();
    house.happens(about, moved(State::Failed)).await;
    house.tell().await;
    assert_eq!(receiver.on("/failures").len(), 2);
    assert!(house.log().await.iter().all(|one| one.channel != "failures"));
    let workspace = house.admin.access[0].0.id;
    let checked = ledger::check(&*house.bench.store, workspace).await.unwrap();
    assert_eq!(checked.broken, None);
}

#[tokio::test]
async fn what_fails_is_tried_again_later_each_time_and_given_up_after_a_day() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    house.add("hook", "webhook", &receiver.url("/hook")).await;
    let (promotion, _) = house.promote().await;
    receiver.answers(500, "no");
    receiver.answers(503, "not  yet\n\u{7}");
    house.tell().await;
    let clock = house.bench.clock.clone();
    let first = house.log().await.remove(0);
    assert_eq!(
        (first.state, first.attempts, first.status),
        (DeliveryState::Waiting, 1, Some(500))
    );
    let wait = first.next_at.unwrap().0 - house.bench.services.now().0;
    assert!((5_000..=5_500).contains(&wait), "{wait}");
    clock.forward(wait - 1);
    house.tell().await;
    assert_eq!(receiver.received().len(), 1, "not before its time");
    clock.forward(1);
    house.tell().await;
    let second = house.log().await.remove(0);
    assert_eq!((second.attempts, second.status), (2, Some(503)));
    assert_eq!(second.answer.as_deref(), Some("not yet"));
    let wait = second.next_at.unwrap().0 - house.bench.services.now().0;
    assert!((20_000..=22_000).contains(&wait), "{wait}");
    clock.forward(wait);
    house.tell().await;
    let third = house.log().await.remove(0);
    assert_eq!(
        (third.state, third.attempts, third.next_at),
        (DeliveryState::Delivered, 3, None)
    );
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|one| one.body == received[0].body));
    assert!(
        received
            .iter()
            .all(|one| one.header("webhook-id") == third.id.to_string())
    );
    assert_ne!(
        received[0].header("webhook-timestamp"),
        received[2].header("webhook-timestamp")
    );

    // Another is refused for good.
    house
        .happens(Subject::promotion(&promotion), moved(State::Failed))
        .await;
    for _ in 0..12 {
        receiver.answers(404, "gone");
    }
    let began = house.bench.services.now();
    house.tell().await;
    let mut tries = 1;
    while let Some(next) = house.log().await[0].next_at {
        clock.forward(next.0 - house.bench.services.now().0);
        house.tell().await;
        tries += 1;
        assert_eq!(house.log().await[0].attempts, tries);
    }
    let given_up = house.log().await.remove(0);
    assert_eq!((given_up.state, tries), (DeliveryState::GivenUp, 12));
    let hours = house.bench.services.now().millis_since(began) / 3_600_000;
    assert!((24..28).contains(&hours), "{hours}");

    // A person has it sent again, while the sender runs as it does in a server.
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(Sender::new(house.bench.services.clone(), "running").run(stop.clone()));
    let services = house.bench.services.clone();
    let id = given_up.id.to_string();
    let said = services.redeliver(&house.admin, "demo", &id).await.unwrap();
    assert_eq!(said, "It is delivered. The answer was 200: ok.");
    let said = services.redeliver(&house.admin, "demo", &id).await.unwrap();
    assert!(said.starts_with("It is delivered."), "also what was delivered: {said}");
    receiver.answers(500, "");
    let said = services
        .test_channel(&house.admin, "demo", &house.channel("hook").await)
        .await
        .unwrap();
    assert_eq!(
        said,
        "It was not delivered yet, and is tried again by itself. The answer was 500."
    );
    stop.cancel();
    running.await.unwrap();
    let mut tx = house.bench.store.read().await.unwrap();
    let events = tx.events_after(0, 10_000).await.unwrap();
    let redelivered = events
        .iter()
        .filter(|event| matches!(event.happened, Happened::NotificationRedelivered { .. }));
    assert_eq!(redelivered.count(), 2);
}

#[tokio::test]
async fn killed_between_sending_and_writing_it_down_it_is_sent_again() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    house.add("hook", "webhook", &receiver.url("/hook")).await;
    house.promote().await;
    while house.dispatcher.look().await.unwrap() {}
    // Somebody took it, sent it perhaps, and is no more.
    let store = house.bench.store.clone();
    let now = house.bench.services.now();
    let mut tx = store.write().await.unwrap();
    let channel = tx.due_channels(now, 10).await.unwrap().remove(0);
    let taken = tx
        .claim_deliveries("killed", channel, now, now.plus_millis(60_000), 10)
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    tx.commit().await.unwrap();
    house.tell().await;
    assert_eq!(receiver.received().len(), 0, "the lease holds");
    house.bench.clock.forward(60_001);
    house.tell().await;
    assert_eq!(receiver.received().len(), 1);
    // Who comes back late writes nothing over it.
    let mut late = taken[0].clone();
    late.state = DeliveryState::GivenUp;
    late.next_at = None;
    let mut tx = store.write().await.unwrap();
    tx.record_delivery("killed", &late).await.unwrap();
    tx.release_delivery("killed", late.id).await.unwrap();
    tx.commit().await.unwrap();
    let log = house.log().await;
    assert_eq!((log[0].state, log[0].attempts), (DeliveryState::Delivered, 1));
}

#[tokio::test]
async fn several_servers_tell_each_thing_once() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    house.add("hook", "webhook", &receiver.url("/hook")).await;
    let (promotion, _) = house.promote().await;
    let services = house.bench.services.clone();
    let mut others: Vec<Dispatcher> = (0..3).map(|_| Dispatcher::new(services.clone())).collect();
    for round in 0..5 {
        for _ in 0..100 {
            house
                .happens(Subject::promotion(&promotion), moved(State::Succeeded))
                .await;
        }
        let all = others.iter_mut().map(async |dispatcher| {
            for _ in 0..20 {
                dispatcher.look().await.unwrap();
            }
        });
        futures::future::join_all(all).await;
        let senders: Vec<Sender> = (0..3)
            .map(|n| Sender::new(services.clone(), &format!("{round}-{n}")))
            .collect();
        let sending = senders.iter().map(async |sender| {
            for _ in 0..20 {
                sender.look().await.unwrap();
            }
        });
        futures::future::join_all(sending).await;
        house.tell().await;
    }
    let received = receiver.received();
    let mut ids: Vec<&str> = received.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids.len(), 501);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 501);
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_itself_alone() {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let mut house = House::new().await;
    house.add("slow", "webhook", &slow.url("/")).await;
    house.add("quick", "slack", &quick.url("/")).await;
    let (promotion, _) = house.promote().await;
    slow.hang(true);
    while house.dispatcher.look().await.unwrap() {}
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(Sender::new(house.bench.services.clone(), "running").run(stop.clone()));
    until("both to be asked", async || {
        (slow.received().len() == 1 && quick.received().len() == 1).then_some(())
    })
    .await;
    for _ in 0..3 {
        house
            .happens(Subject::promotion(&promotion), moved(State::Failed))
            .await;
    }
    while house.dispatcher.look().await.unwrap() {}
    until("the quick one to be told of all", async || {
        (quick.received().len() == 4).then_some(())
    })
    .await;
    assert_eq!(slow.received().len(), 1);
    slow.hang(false);
    until("the slow one to be told of all", async || {
        (slow.received().len() == 4).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn mail_that_is_refused_is_tried_again_or_given_up_as_the_server_says() {
    let mail = MailServer::start().await;
    let mut house = House::with(Notifier::new(true, Some(&smtp(mail.port()))).unwrap()).await;
    house.add("people", "email", "ada@example.com").await;
    let (promotion, _) = house.promote().await;
    mail.refuses("451 later");
    house.tell().await;
    let first = house.log().await.remove(0);
    assert_eq!(
        (first.state, first.status),
        (DeliveryState::Waiting, Some(451)),
        "{first:?}"
    );
    house.bench.clock.forward(6_000);
    house.tell().await;
    assert_eq!(mail.mails().len(), 1);
    mail.refuses("550 nobody of this name");
    house
        .happens(Subject::promotion(&promotion), moved(State::Failed))
        .await;
    house.tell().await;
    let second = house.log().await.remove(0);
    assert_eq!(
        (second.state, second.status),
        (DeliveryState::GivenUp, Some(550)),
        "{second:?}"
    );
    assert!(second.answer.unwrap().contains("nobody of this name"));
}

#[tokio::test]
async fn addresses_that_could_do_harm_are_refused_in_the_field_and_when_they_are_connected_to() {
    let receiver = Receiver::start().await;
    let mut house = House::with(Notifier::new(false, None).unwrap()).await;
    let refused = async |address: &str, kind: &str| match house.try_add(&draft("x", kind, address)).await {
        Err(AppError::Invalid(errors)) => errors.get("address").unwrap_or_else(|| panic!("{errors}")).to_owned(),
        other => panic!("{address}: {other:?}"),
    };
    for kind in ["webhook", "slack"] {
        for (address, words) in [
            ("http://169.254.169.254/latest", "never sent to"),
            ("http://[::ffff:a9fe:a9fe]/", "never sent to"),
            ("http://0xa9fea9fe/", "never sent to"),
            ("http://[fd00:ec2::254]/", "never sent to"),
            ("http://0/", "never sent to"),
            (&receiver.url("/"), "private network"),
            ("http://2130706433/", "private network"),
            ("http://[::1]/", "private network"),
            ("https://10.0.0.1/", "private network"),
            ("file:///etc/passwd", "https://hooks.example.com"),
            ("https://user:secret@example.com/", "user or a password"),
            ("", "Write the address"),
        ] {
            let said = refused(address, kind).await;
            assert!(said.contains(words), "{address}: {said}");
        }
    }
    assert!(refused("ada@example.com", "email").await.contains("smtp.host"));
    // A name is as good as where it leads when it is connected to.
    let name = receiver.url("/hidden").replace("127.0.0.1", "localhost");
    house.add("named", "webhook", &name).await;
    house.promote().await;
    house.tell().await;
    let log = house.log().await;
    assert_eq!((log[0].state, log[0].status), (DeliveryState::GivenUp, None), "{log:?}");
    assert!(log[0].answer.as_ref().unwrap().contains("private network"), "{log:?}");
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn drafts_are_checked_by_field() {
    let mail = MailServer::start().await;
    let house = House::with(Notifier::new(true, Some(&smtp(mail.port()))).unwrap()).await;
    let wrong = ChannelDraft {
        name: "Not a name".into(),
        project: "nowhere".into(),
        kind: "pigeon".into(),
        address: String::new(),
        occasions: String::new(),
        environments: String::new(),
    };
    let Err(AppError::Invalid(errors)) = house.try_add(&wrong).await else {
        panic!("taken");
    };
    for field in ["name", "project", "kind", "occasions"] {
        assert!(errors.get(field).is_some(), "{field}: {errors}");
    }
    for (address, words) in [
        ("", "at least one e-mail address"),
        ("ada", "is no e-mail address"),
        ("ada@example.com, b@c\r\nBcc: d@example.com", "is no e-mail address"),
        (&vec!["ada@example.com"; 21].join(","), "at most 20"),
    ] {
        let Err(AppError::Invalid(errors)) = house.try_add(&draft("x", "email", address)).await else {
            panic!("{address}");
        };
        assert!(errors.get("address").unwrap().contains(words), "{address}: {errors}");
    }
    let elsewhere = ChannelDraft {
        environments: "production, moon".into(),
        occasions: "failed, nonsense".into(),
        ..draft("x", "email", "ada@example.com")
    };
    let Err(AppError::Invalid(errors)) = house.try_add(&elsewhere).await else {
        panic!("taken");
    };
    assert_eq!(
        errors.get("environments"),
        Some("There is no environment \"moon\" in this project. It has development, production.")
    );
    assert!(errors.get("occasions").is_some());
    house.add("ops", "email", "ada@example.com").await;
    let Err(AppError::Invalid(errors)) = house.try_add(&draft("ops", "email", "a@example.com")).await else {
        panic!("taken twice");
    };
    assert!(errors.get("name").unwrap().contains("has a channel ops already"));
    // Somebody else's workspace has no such channel.
    let (stranger, _) = house.bench.program("other", "admin", Role::Admin).await;
    let id = house.channel("ops").await;
    let services = &house.bench.services;
    for answer in [
        services.remove_channel(&stranger, "other", &id).await,
        services.pause_channel(&stranger, "other", &id, true).await,
        services.test_channel(&stranger, "other", &id).await.map(|_| ()),
        services.remove_channel(&stranger, "demo", &id).await,
    ] {
        assert!(matches!(answer, Err(AppError::NotFound(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn where_a_channel_leads_is_kept_sealed() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    let made = house
        .add(
            "hook",
            "webhook",
            &receiver.url("/services/hidden-path?token=hidden-query"),
        )
        .await;
    let key = made.secret.clone().unwrap().replace("whsec_", "");
    receiver.answers(404, "no /services/hidden-path here");
    house.promote().await;
    house.tell().await;
    let view = house.bench.services.notifications(&house.admin, "demo").await.unwrap();
    assert_eq!(view.channels[0].shown, receiver.host());
    let mut tx = house.bench.store.read().await.unwrap();
    let workspace = house.admin.access[0].0.id;
    let all = [
        format!("{view:?}"),
        format!("{:?}", tx.channels(workspace).await.unwrap()),
        format!("{:?}", tx.deliveries(workspace, 100).await.unwrap()),
        format!("{:?}", tx.ledger_entries(workspace, 0, 1000).await.unwrap()),
        format!("{made:?}"),
    ];
    for text in all {
        for hidden in ["hidden-path", "hidden-query", key.as_str()] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_told_of_a_burst_is_read_in_pages_and_costs_nothing_without_channels() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    let (promotion, _) = house.promote().await;
    let store = house.bench.store.clone();
    let burst = async |count: usize| {
        let mut tx = store.write().await.unwrap();
        for n in 0..count {
            let event = NewEvent {
                workspace: promotion.workspace,
                subject: Subject::promotion(&promotion),
                actor: Actor::Waybill,
                happened: match n % 10 {
                    0 => moved(State::Succeeded),
                    _ => moved(State::Syncing),
                },
            };
            tx.append_event(&event, house.bench.services.now()).await.unwrap();
        }
        tx.commit().await.unwrap();
    };
    burst(1000).await;
    let before = store.read().await.unwrap().notification_cursor().await.unwrap();
    assert!(!house.dispatcher.look().await.unwrap());
    let after = store.read().await.unwrap().notification_cursor().await.unwrap();
    assert_eq!(before, after, "nobody is told, nothing is written");
    house.add("hook", "webhook", &receiver.url("/")).await;
    burst(1000).await;
    house.tell().await;
    assert_eq!(receiver.received().len(), 100);
    // A server that begins anew tells nothing twice.
    let mut again = Dispatcher::new(house.bench.services.clone());
    while again.look().await.unwrap() {}
    house.tell().await;
    assert_eq!(receiver.received().len(), 100);
}

/// What stands behind `id="secret"`.
fn secret(page: &Page) -> Option<String> {
    let after = page.text.split("id=\"secret\"").nth(1)?;
    let inside = after.split_once('>')?.1;
    Some(inside.split('<').next()?.to_owned())
}

/// The value of the hidden id in the row that mentions `what` and has the button `intent`.
fn id_of(page: &Page, what: &str, intent: &str) -> String {
    let row = page
        .text
        .split("<tr")
        .skip(1)
        .find(|row| row.contains(what) && row.contains(&format!("value=\"{intent}\"")));
    let row = row.unwrap_or_else(|| panic!("{}", page.words()));
    let field = row.split("name=\"id\"").nth(1).unwrap();
    field
        .split("value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_sets_a_channel_up_and_a_promotion_is_told_of_and_waits_for_nobody() {
    let receiver = Receiver::start().await;
    let world = World::with(Setup {
        process: true,
        variables: vec![("NOTIFICATIONS_ALLOW_PRIVATE_TARGETS", "true".into())],
        ..Setup::default()
    })
    .await;
    world.person("vera@example.com", "demo", Role::Viewer).await;
    let mut vera = world.signed_in("vera@example.com").await;
    assert_eq!(vera.get(SETTINGS).await.status, 403);
    let mut admin = world.admin().await;
    let page = admin.get(SETTINGS).await;
    assert!(page.words().contains("No channel yet"), "{}", page.words());

    let address = receiver.url("/hidden-path");
    let mut form = vec![
        ("intent", "add-channel"),
        ("name", "releases"),
        ("project", "myapp"),
        ("kind", "webhook"),
        ("address", "http://169.254.169.254/"),
        ("environments", "staging"),
    ];
    let page = admin.post(SETTINGS, &form).await;
    assert_eq!(page.status, 422, "{}", page.words());
    assert!(page.field_error("address").unwrap().contains("never sent to"));
    assert!(
        page.summary().contains("Choose at least one event"),
        "{}",
        page.summary()
    );
    assert_eq!(page.value("name").as_deref(), Some("releases"));
    assert_eq!(page.value("environments").as_deref(), Some("staging"));
    form[4].1 = &address;
    form.push(("occasions[succeeded]", "on"));
    form.push(("occasions[failed]", "on"));
    let page = admin.post(SETTINGS, &form).await;
    let key = secret(&page).unwrap_or_else(|| panic!("{}", page.words()));
    assert!(key.starts_with("whsec_"), "{key}");
    let page = admin.get(SETTINGS).await;
    let words = page.words();
    assert!(
        words.contains(&format!("Webhook to {}", receiver.host()))
            && words.contains("Failed, Succeeded")
            && words.contains("only in staging")
            && words.contains("Nothing was sent yet."),
        "{words}"
    );
    assert!(!page.text.contains(&key) && !page.text.contains("hidden-path") && secret(&page).is_none());

    let channel = id_of(&page, "releases", "test-channel");
    let page = admin
        .post(SETTINGS, &[("intent", "test-channel"), ("id", &channel)])
        .await;
    assert!(
        page.words().contains("It is delivered. The answer was 200: ok."),
        "{}",
        page.words()
    );
    let test = receiver.received().remove(0);
    assert!(is_signed(&test, &key));
    assert_eq!(test.json()["type"], "test");

    // A receiver that hangs holds up no promotion.
    receiver.hang(true);
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let told = until("the receiver to be asked", async || {
        receiver.received().into_iter().nth(1)
    })
    .await;
    let third = world.push("1.2.0").await;
    world.wait_for_live("staging", "api", &third).await;
    world.idle().await;
    receiver.hang(false);
    let body = told.json();
    assert_eq!(body["type"], Occasion::Succeeded.as_str());
    assert_eq!(body["data"]["title"], "api → staging succeeded");
    let id = body["data"]["promotion"].as_str().unwrap().to_owned();
    assert_eq!(body["data"]["url"], format!("{}/promotions/{id}", world.base_url));
    let page = until("both to be delivered", async || {
        let page = admin.get(SETTINGS).await;
        (page.words().matches("Delivered · 200").count() == 3).then_some(page)
    })
    .await;
    assert!(
        page.words().contains("api → staging succeeded releases myapp"),
        "{}",
        page.words()
    );
    let delivery = id_of(&page, "api → staging succeeded", "redeliver");
    let before = receiver.received().len();
    let page = admin
        .post(SETTINGS, &[("intent", "redeliver"), ("id", &delivery)])
        .await;
    assert!(page.words().contains("It is delivered."), "{}", page.words());
    let all = receiver.received();
    assert_eq!(all.len(), before + 1);
    assert_eq!(all[before].header("webhook-id"), delivery);

    for (intent, words) in [
        ("pause-channel", "The channel is paused."),
        ("resume-channel", "The channel tells again, from now on."),
        ("remove-channel", "The channel is removed."),
    ] {
        let page = admin.post(SETTINGS, &[("intent", intent), ("id", &channel)]).await;
        assert!(page.words().contains(words), "{}", page.words());
    }
    let mut texts = vec![std::fs::read_to_string(world.log_file()).unwrap()];
    for (kind, words) in [
        ("channel_added", "added the channel releases: notifications by webhook"),
        (
            "notification_redelivered",
            "sent a notification again through the channel releases",
        ),
        ("channel_removed", "removed the channel releases"),
    ] {
        let activity = admin.get(&format!("/w/demo/-/activity?kind={kind}")).await;
        assert!(activity.words().contains(words), "{words}: {}", activity.words());
        texts.push(activity.text);
    }
    for text in texts {
        assert!(!text.contains("hidden-path") && !text.contains(&key["whsec_".len()..]));
    }
}
