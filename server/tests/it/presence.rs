//! What runs stays pullable: a part that its registry lost is announced before a node needs it, and copied again when somebody asks.

use crate::{
    mirroring::Two,
    support::world::{Setup, until},
};
use domain::told::EventKind;
use server::store::{ImageAt, PresenceRecord};

const HOUR: i64 = 60 * 60 * 1000;
const PATH: &str = "live/api";
const PAGE: &str = "/w/demo/myapp/production/api";

impl Two {
    /// Waits until the images that run are looked after, and lets so much time pass that they are looked at.
    async fn is_looked_at(&self, images: usize, hours: i64) {
        until("what runs to be looked after", async || {
            let mut tx = self.world.store.read().await.unwrap();
            let known = tx.images_looked_after().await.unwrap();
            (known.len() >= images).then_some(())
        })
        .await;
        self.world.forward(hours * HOUR).await;
    }

    async fn until_page(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut admin = self.world.admin().await;
        until(what, async || {
            let words = admin.get(PAGE).await.words();
            is_it(&words).then_some(words)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_lost_is_announced_and_healed() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    world.apply(&two.document(true)).await;
    world.wait_for_live("production", "api", &first).await;
    world.idle().await;
    // Three environments run it, from two repositories.
    two.is_looked_at(2, 2).await;
    let workspace = world.promotions("production", "api").await[0].workspace;
    let source = format!("{}/myapp/api", world.host);
    let known = async |repository: &str| {
        let mut tx = world.store.read().await.unwrap();
        let image = ImageAt {
            workspace,
            repository: repository.parse().unwrap(),
            digest: first.parse().unwrap(),
        };
        tx.presence(&image).await.unwrap().unwrap()
    };
    until("both to be found whole", async || {
        let both = [known(&source).await, known(&two.target()).await];
        let is_whole = |record: &PresenceRecord| record.looked_at.is_some() && record.missing.is_empty();
        both.iter().all(is_whole).then_some(())
    })
    .await;
    assert!(known(&two.target()).await.parts.len() >= 3, "a manifest and its blobs");

    two.live.delete(PATH, &first).await.unwrap();
    assert!(!two.is_there(&first).await);
    two.is_looked_at(2, 26).await;
    // It is told when it was looked at once more.
    until("it to seem to be gone", async || {
        known(&two.target()).await.suspected_at
    })
    .await;
    let mut admin = world.admin().await;
    assert!(!admin.get(PAGE).await.words().contains("can't be pulled any more"));
    world.forward(2 * 60 * 1000).await;
    let words = two
        .until_page("the page to tell it", |words| {
            words.contains("This image can't be pulled any more")
        })
        .await;
    for said in [
        format!("the manifest {first}"),
        format!("Heal from {source}"),
        format!("{} lost parts of it", two.target()),
    ] {
        assert!(words.contains(&said), "{said:?} is missing in: {words}");
    }
    let board = admin.get("/w/demo/myapp").await.words();
    assert!(board.contains("Can't be pulled any more"), "{board}");
    // Not from where it never lay.
    let page = admin.post(PAGE, &[("intent", "heal-elsewhere.example/api")]).await;
    assert!(
        page.words()
            .contains("This project never had the image in elsewhere.example/api"),
        "{}",
        page.words()
    );
    let page = admin.post(PAGE, &[("intent", &*format!("heal-{source}"))]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    two.until_page("the page to be calm again", |words| {
        !words.contains("can't be pulled any more")
    })
    .await;
    assert!(two.is_there(&first).await);
    let told: Vec<EventKind> = {
        let mut tx = world.store.read().await.unwrap();
        let events = tx.events_after(0, 10_000).await.unwrap();
        events.iter().map(|event| event.happened.kind()).collect()
    };
    for kind in [EventKind::ImageIncomplete, EventKind::HealAsked, EventKind::ImageWhole] {
        assert_eq!(told.iter().filter(|told| **told == kind).count(), 1, "{kind}");
    }
    world.is_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_back_to_what_cannot_be_pulled() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    world.apply(&two.document(true)).await;
    world.wait_for_live("production", "api", &first).await;
    let next = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &next).await;
    world.idle().await;
    let before = world.subjects().await;
    two.live.delete(PATH, &first).await.unwrap();
    let mut admin = world.admin().await;
    let back = format!("rollback-{first}");
    let page = admin.post(PAGE, &[("intent", &*back)]).await;
    let words = page.words();
    assert!(words.contains("can't be pulled any more"), "{words}");
    assert!(words.contains(&format!("the manifest {first}")), "{words}");
    assert_eq!(world.subjects().await, before, "nothing was committed");
    // A registry that says nothing keeps nobody from going back: the nodes may have the image.
    two.gate.refuse("HEAD", "/v2/live/api/", 500, "{}");
    two.gate.refuse("GET", "/v2/live/api/", 500, "{}");
    let page = admin.post(PAGE, &[("intent", &*back)]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world.wait_for_desired("production", "api", &first).await;
}
