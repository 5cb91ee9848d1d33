//! People are told elsewhere: by webhook, Slack and e-mail, of what they chose, once. [`house`] is where it happens; [`sending`] is about what may
//! go wrong on the way, [`channels`] about setting it up.

use crate::support::{
    digest,
    receivers::{MailServer, Receiver},
};
use contract::{error::AppError, notification::ChannelDraft};
use domain::{
    event::{Happened, Subject},
    notification::DeliveryState,
    plan::Health,
    promotion::{Actor, State},
    resource::{HoldCause, Live},
};
use house::{House, draft, image, is_signed, moved, smtp, types};
use server::{
    adapters::notifier::Notifier,
    service::{notification, views},
    store::NewEvent,
    worker::notify::dispatch::Dispatcher,
};

mod channels;
mod house;
mod sending;

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
                outside: None,
            },
        )
        .await;
    house.happens(resource, Happened::Resumed).await;
    let gone = Happened::ImageIncomplete {
        repository: image("a").repository,
        digest: image("a").digest,
        missing: vec!["the blob sha256:1234".into()],
    };
    house.happens(resource, gone).await;
    let recalled = Happened::DigestRecalled {
        digest: image("a").digest,
        reason: "it loses orders".into(),
        places: 1,
    };
    house.happens(resource, recalled).await;
    house.tell().await;

    let wanted = [
        "needs_approval",
        "approved",
        "failed",
        "succeeded",
        "drift",
        "hold",
        "image_gone",
        "recalled",
    ];
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
    let recall = hooks[7].json()["data"].clone();
    let page = format!("http://waybill.example/w/demo/-/artifacts/{}/recall", digest("a"));
    assert_eq!(
        (recall["url"].as_str(), recall["environment"].as_str()),
        (Some(&*page), Some("production"))
    );
    let text = recall["text"].as_str().unwrap();
    assert_eq!(text, "it loses orders. 1 resource ran it or was to run it.");

    let chat = receiver.on("/slack");
    let texts: Vec<String> = chat
        .iter()
        .map(|one| one.json()["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts.len(), 8);
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
    assert_eq!(mails.len(), 8);
    for mail in &mails {
        assert_eq!(mail.to, ["<ada@example.com>", "<bob@example.com>"]);
        assert!(mail.from.starts_with("<waybill@example.com>"), "{}", mail.from);
        let headers = mail.text.split("\n\n").next().unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    }
    let log = house.log().await;
    assert_eq!(log.len(), 24);
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
        unknown: None,
    };
    tx.set_live(api.id, Some(&live)).await.unwrap();
    let queued = promotion.clone().become_(State::Queued, now).unwrap();
    tx.update_promotion(&queued, State::Waiting, now).await.unwrap();
    let committing = queued.become_(State::Committing, now).unwrap();
    tx.update_promotion(&committing, State::Queued, now).await.unwrap();
    tx.commit().await.unwrap();
    let reported = |health| Happened::LiveChanged {
        digests: vec!["ccccccc".into()],
        health,
    };
    house.happens(resource, reported(Health::Healthy)).await;
    house.tell().await;
    assert_eq!(
        receiver.on("/hook").len(),
        8,
        "a promotion is being rolled out: it may be the reason"
    );
    let mut tx = house.bench.store.write().await.unwrap();
    let waiting = committing.become_(State::Waiting, now).unwrap();
    tx.update_promotion(&waiting, State::Committing, now).await.unwrap();
    tx.commit().await.unwrap();
    house.happens(resource, reported(Health::Progressing)).await;
    house.happens(resource, reported(Health::Healthy)).await;
    house.tell().await;
    let hooks = receiver.on("/hook");
    assert_eq!(types(&hooks)[8..], ["drift"]);
    let text = hooks[8].json()["data"]["text"].as_str().unwrap().to_owned();
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
async fn what_is_taken_back_and_what_is_live_after_all_is_told_once() {
    let receiver = Receiver::start().await;
    let mut house = House::new().await;
    house.add("hook", "webhook", &receiver.url("/hook")).await;
    let (promotion, _) = house.promote().await;
    house.tell().await;
    let about = Subject::promotion(&promotion);
    let back = Happened::TakenBack {
        by: promotion.id,
        to: image("b"),
    };
    let live = Happened::PromotionLiveAfterAll {
        failure: None,
        evidence: "Argo CD: Synced.".into(),
    };
    for happened in [moved(State::Failed), back, live] {
        house.happens(about, happened).await;
    }
    house.tell().await;
    house.tell().await;
    let told = receiver.received();
    assert_eq!(types(&told), ["needs_approval", "failed", "hold", "succeeded"]);
    let text = |n: usize, key: &str| told[n].json()["data"][key].as_str().unwrap().to_owned();
    assert!(text(2, "title").contains("was taken back to"), "{}", text(2, "title"));
    let other = format!("http://waybill.example/promotions/{}", promotion.id);
    assert!(text(2, "text").contains(&other), "{}", text(2, "text"));
    assert!(text(3, "title").contains("is live after all"), "{}", text(3, "title"));
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
    notification::pause_channel(&services, &house.admin, "demo", &id, true)
        .await
        .unwrap();
    house.happens(about, moved(State::Failed)).await;
    house.tell().await;
    let refused = notification::test_channel(&services, &house.admin, "demo", &id).await;
    assert!(matches!(refused, Err(AppError::Conflict(_))), "{refused:?}");
    notification::pause_channel(&services, &house.admin, "demo", &id, false)
        .await
        .unwrap();
    house.tell().await;
    assert_eq!(
        receiver.on("/failures").len(),
        1,
        "what happened meanwhile is not told later"
    );
    house.happens(about, moved(State::Failed)).await;
    house.tell().await;
    assert_eq!(receiver.on("/failures").len(), 2);
    notification::remove_channel(&services, &house.admin, "demo", &id)
        .await
        .unwrap();
    house.happens(about, moved(State::Failed)).await;
    house.tell().await;
    assert_eq!(receiver.on("/failures").len(), 2);
    assert!(house.log().await.iter().all(|one| one.channel != "failures"));
    let workspace = house.admin.access[0].0.id;
    let checked = views::check_ledger(&*house.bench.store, workspace).await.unwrap();
    assert_eq!(checked.broken, None);
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
