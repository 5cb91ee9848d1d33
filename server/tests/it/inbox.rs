//! The inbox: a page of what waits, newest first, and always as of now, although what waits is kept from one look to the next.

use crate::{
    gates::world,
    support::{
        browser::{Browser, Page},
        world::{World, until},
    },
};
use domain::rights::Role;
use serde_json::{Value, json};

const PRODUCTION: usize = 2;

/// More than a page by this many.
const SECOND_PAGE: usize = 2;

const WAITING: usize = 50 + SECOND_PAGE;

async fn approver(world: &World, name: &str) -> Browser {
    let email = format!("{name}@example.com");
    world.person(&email, "demo", Role::Approver).await;
    world.signed_in(&email).await
}

/// The promotions of a page, in its order, by their ids.
fn listed(page: &Page) -> Vec<String> {
    let links = page.text.split("href=\"/promotions/").skip(1);
    links
        .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        .collect()
}

/// A world in which services of production wait for one approval, more than a page of them.
async fn many_wait() -> (World, Value) {
    let policy = json!({ "approvals": { "count": 1 } });
    let (world, _) = world(policy.clone()).await;
    let mut document = world.document();
    let services = (0..WAITING).map(|n| {
        let source = json!({ "promote": { "environment": "staging", "resource": "api" } });
        json!({ "name": format!("worker-{n}"), "source": source })
    });
    document["projects"][0]["environments"][PRODUCTION]["resources"] = services.collect();
    document["projects"][0]["environments"][PRODUCTION]["policy"] = policy;
    world.apply(&document).await;
    (world, document)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_read_page_by_page_and_is_as_of_now() {
    let (world, mut document) = many_wait().await;
    let (mut carol, mut bob) = (approver(&world, "carol").await, approver(&world, "bob").await);
    let all = format!("{WAITING} promotions wait for you");
    let first = until("all of them to wait", async || {
        let page = carol.get("/inbox").await;
        Some(page).filter(|page| page.words().contains(&all))
    })
    .await;
    let newest = listed(&first);
    assert_eq!(newest.len(), WAITING - SECOND_PAGE);
    let last = newest.last().unwrap();
    assert!(
        first.text.contains(&format!("/inbox?before={last}")),
        "{}",
        first.words()
    );
    let second = carol.get(&format!("/inbox?before={last}")).await;
    assert!(!second.words().contains("Older"), "{}", second.words());
    let mut whole = newest.clone();
    whole.extend(listed(&second));
    assert_eq!(whole.len(), WAITING);
    assert!(whole.is_sorted_by(|a, b| a > b), "newest first, each once: {whole:?}");

    // One is decided: it is gone for everybody, and the first page gets another one.
    let fields = [("intent", "reject"), ("id", &*newest[0]), ("comment", "Not today")];
    assert_eq!(bob.post("/inbox", &fields).await.status, 303);
    let page = carol.get("/inbox").await;
    let one_less = format!("{} promotions wait for you", WAITING - 1);
    assert!(page.words().contains(&one_less), "{}", page.words());
    assert_eq!(listed(&page), whole[1..=50]);

    // Who may decide is asked of the policy as it is now.
    document["projects"][0]["environments"][PRODUCTION]["policy"] =
        json!({ "approvals": { "count": 1, "by": [{ "user": "bob@example.com" }] } });
    world.apply(&document).await;
    assert!(carol.get("/inbox").await.words().contains("Nothing waits for you"));
    assert!(bob.get("/inbox").await.words().contains(&one_less));
}
