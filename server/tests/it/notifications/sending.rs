//! At least once, later when it fails, and nothing waits for it.

use super::house::{House, moved, smtp};
use crate::support::{
    receivers::{Certified, MailServer, Receiver},
    world::until,
};
use domain::{
    event::{Happened, Subject},
    notification::DeliveryState,
    promotion::State,
};
use reqwest::StatusCode;
use server::service::notification;
use server::{
    adapters::{
        mail::{Encryption, Mail, MailSettings, Mailer},
        notifier::Notifier,
    },
    worker::notify::{dispatch::Dispatcher, send::Sender},
};
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

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
    let said = notification::redeliver(&services, &house.admin, "demo", &id)
        .await
        .unwrap();
    assert_eq!(said.words, "It is delivered. The answer was 200: ok.");
    let said = notification::redeliver(&services, &house.admin, "demo", &id)
        .await
        .unwrap();
    assert_eq!(
        said.state,
        DeliveryState::Delivered,
        "also what was delivered: {said:?}"
    );
    receiver.answers(500, "");
    let said = notification::test_channel(&services, &house.admin, "demo", &house.channel("hook").await)
        .await
        .unwrap();
    assert_eq!(said.state, DeliveryState::Waiting);
    assert_eq!(
        said.words,
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

/// Takes what is posted, and answers each when and as the test says.
async fn asks_what_to_answer() -> (String, mpsc::UnboundedReceiver<oneshot::Sender<u16>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (asks, asked) = mpsc::unbounded_channel();
    let take = move || {
        let (answer, answered) = oneshot::channel();
        asks.send(answer).unwrap();
        async move { StatusCode::from_u16(answered.await.unwrap()).unwrap() }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
    (url, asked)
}

#[tokio::test]
async fn sent_again_while_the_first_sending_hangs_the_second_one_counts() {
    let (url, mut asked) = asks_what_to_answer().await;
    let mut house = House::new().await;
    house.add("hook", "webhook", &url).await;
    house.promote().await;
    while house.dispatcher.look().await.unwrap() {}
    let services = house.bench.services.clone();
    // Two looks of one server, of which each ends when what it sent is written down.
    let look = || {
        let sender = Sender::new(services.clone(), "one life");
        tokio::spawn(async move { sender.look().await.unwrap() })
    };
    let first = look();
    let first_answer = asked.recv().await.unwrap();
    let id = house.log().await[0].id.to_string();
    let (again, admin) = (services.clone(), house.admin.clone());
    let again = tokio::spawn(async move { notification::redeliver(&again, &admin, "demo", &id).await.unwrap() });
    until("it to be due again", async || {
        let mut tx = house.bench.store.read().await.unwrap();
        let due = tx.due_channels(services.now(), 1).await.unwrap();
        (!due.is_empty()).then_some(())
    })
    .await;
    let second = look();
    let second_answer = asked.recv().await.unwrap();
    first_answer.send(500).unwrap();
    assert_eq!(first.await.unwrap(), 1);
    let log = house.log().await;
    assert_eq!((log[0].state, log[0].attempts), (DeliveryState::Waiting, 0), "{log:?}");
    second_answer.send(204).unwrap();
    assert_eq!(second.await.unwrap(), 1);
    let log = house.log().await;
    assert_eq!(
        (log[0].state, log[0].attempts, log[0].status, log[0].next_at),
        (DeliveryState::Delivered, 1, Some(204), None),
        "{log:?}"
    );
    let said = again.await.unwrap();
    assert_eq!(said.words.trim(), "It is delivered. The answer was 204.");
    house.tell().await;
    assert!(asked.try_recv().is_err(), "nothing is sent a third time");
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
async fn mail_goes_encrypted_to_whom_the_authority_signed_and_to_nobody_else() {
    for (from_the_beginning, encryption) in [(true, Encryption::Tls), (false, Encryption::StartTls)] {
        let (certified, other) = (Certified::new(), Certified::new());
        let server = MailServer::encrypted(&certified, from_the_beginning).await;
        let with = |authority: Option<PathBuf>| MailSettings {
            encryption,
            authority,
            credentials: Some(("waybill".into(), "hidden".to_owned().into())),
            ..smtp(server.port())
        };
        let to = ["ada@example.com".to_owned()];
        let mail = || Mail {
            id: "1".into(),
            to: &to,
            subject: "api in production succeeded",
            text: "It runs.".into(),
            at: 0,
        };
        for unknown in [None, Some(other.authority())] {
            let refused = Mailer::new(&with(unknown)).unwrap().send(mail()).await.unwrap_err();
            assert!(
                refused.reason.contains("certificate"),
                "{encryption:?}: {}",
                refused.reason
            );
        }
        assert!(server.sign_ins().is_empty() && server.mails().is_empty());
        let mailer = Mailer::new(&with(Some(certified.authority()))).unwrap();
        mailer.send(mail()).await.unwrap();
        assert_eq!(server.mails().len(), 1);
        assert_eq!(server.sign_ins().len(), 1, "only what is encrypted holds the password");
    }
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
