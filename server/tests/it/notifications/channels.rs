//! Channels as administrators set them up: what is refused, what is kept sealed, and the page, without a script.

use super::house::{House, draft, is_signed, smtp};
use crate::support::{
    browser::Page,
    receivers::{MailServer, Receiver},
    world::{Setup, World, until},
};
use contract::{error::AppError, notification::ChannelDraft};
use domain::{
    notification::{DeliveryState, Occasion},
    rights::Role,
};
use server::adapters::notifier::Notifier;
use server::service::notification;

const SETTINGS: &str = "/w/demo/-/settings/notifications";

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
        notification::remove_channel(services, &stranger, "other", &id).await,
        notification::pause_channel(services, &stranger, "other", &id, true).await,
        notification::test_channel(services, &stranger, "other", &id)
            .await
            .map(|_| ()),
        notification::remove_channel(services, &stranger, "demo", &id).await,
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
    let view = notification::notifications(&house.bench.services, &house.admin, "demo")
        .await
        .unwrap();
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
        ("resume-channel", "The channel sends messages again."),
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
