//! Several people click at once, or one person twice: one thing happens, once, and the ledger tells what counted.

use super::{person, promote, say, started, waits_for, world};
use crate::support::{
    browser::{Browser, Page},
    world::World,
};
use domain::{
    event::Happened,
    promotion::{Promotion, State},
    rights::Role,
};
use serde_json::json;
use server::service::views;

fn name(name: &str) -> String {
    name.to_owned()
}

/// How often each is tried: who comes first is different each time.
const ROUNDS: usize = 3;

/// Who approved, rejected and overrode according to the ledger, in its order.
async fn told(world: &World, id: &str) -> Vec<(String, &'static str)> {
    let mut tx = world.store.read().await.unwrap();
    let events = tx.events_of_promotion(id.parse().unwrap()).await.unwrap();
    let said = events.iter().filter_map(|event| {
        let what = match &event.happened {
            Happened::Approved { .. } => "approved",
            Happened::Rejected { .. } => "rejected",
            Happened::GateOverridden { .. } => "overrode",
            Happened::PromotionMoved {
                from: State::Waiting,
                to: State::Queued,
                ..
            } => "let it go on",
            _ => return None,
        };
        Some((event.actor.name().to_owned(), what))
    });
    said.collect()
}

/// Commits of a promotion on the branch.
async fn commits(world: &World, id: &str) -> usize {
    let trailer = format!("Waybill-Promotion: {id}");
    let all = world.repository.commits("main").await.unwrap();
    all.iter()
        .filter(|commit| commit.body.lines().any(|line| line == trailer))
        .count()
}

/// Waits for its end, and holds it against what both were answered: nobody saw a fault.
async fn ends(world: &World, id: &str, pages: [&Page; 2]) -> Promotion {
    for page in pages {
        assert!([303, 409].contains(&page.status), "{}: {}", page.status, page.words());
    }
    world.idle().await;
    let promotion = world.promotion(id).await;
    let expected = usize::from(promotion.state == State::Succeeded);
    assert!(promotion.state.is_ended(), "{promotion:?}");
    assert_eq!(commits(world, id).await, expected, "{promotion:?}");
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap().id;
    drop(tx);
    let checked = views::check_ledger(&*world.store, workspace).await.unwrap();
    assert_eq!(checked.broken, None);
    promotion
}

async fn override_approvals(by: &mut Browser, id: &str) -> Page {
    let fields = [("intent", "override"), ("gate", "approvals"), ("reason", "Urgent")];
    by.post(&format!("/promotions/{id}"), &fields).await
}

/// Goes back to what ran before, so that the newer build can be asked for again.
async fn go_back(world: &World, by: &mut Browser) {
    let back = format!("rollback-{}", world.first);
    let id = started(&by.post(super::API, &[("intent", &back)]).await);
    world.ends(&id, State::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_decide_at_once_decide_once() {
    let policy = json!({
        "approvals": { "count": 1 },
        "overrides": [{ "gates": ["approvals"], "by": [{ "role": "approver" }] }],
    });
    let (world, _) = world(policy).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let mut bob = person(&world, "bob", Role::Approver).await;
    for _ in 0..ROUNDS {
        // Both approve, and one approval is needed: the later one is told that it went on, and nothing is written for them.
        let id = promote(&mut dev).await;
        waits_for(&world, &id, "0 of 1 approval").await;
        let (first, second) = tokio::join!(
            say(&mut carol, &id, "approve", "mine"),
            say(&mut bob, &id, "approve", "his")
        );
        assert_eq!((first.status, second.status), (303, 303), "{}", second.words());
        let ended = ends(&world, &id, [&first, &second]).await;
        assert_eq!(ended.state, State::Succeeded);
        let counted = told(&world, &id).await;
        let who = counted[0].0.clone();
        let wanted = [(who.clone(), "approved"), (who.clone(), "let it go on")];
        assert_eq!(counted, wanted);
        let mut tx = world.store.read().await.unwrap();
        let kept = tx.approvals(ended.id).await.unwrap();
        assert!(kept.len() == 1 && kept[0].by.name == who, "{kept:?}");
        drop(tx);
        go_back(&world, &mut dev).await;

        // One approves, the other rejects.
        let id = promote(&mut dev).await;
        waits_for(&world, &id, "0 of 1 approval").await;
        let (yes, no) = tokio::join!(
            say(&mut carol, &id, "approve", ""),
            say(&mut bob, &id, "reject", "Not this one")
        );
        let ended = ends(&world, &id, [&yes, &no]).await;
        let counted = told(&world, &id).await;
        if yes.status == 303 {
            assert_eq!((no.status, ended.state), (409, State::Succeeded), "{}", no.words());
            assert_eq!(counted, [(name("carol"), "approved"), (name("carol"), "let it go on")]);
            go_back(&world, &mut dev).await;
        } else {
            assert_eq!((no.status, ended.state), (303, State::Rejected), "{}", yes.words());
            assert_eq!(counted, [(name("bob"), "rejected")]);
        }

        // Both let it through the gate that is shut.
        let id = promote(&mut dev).await;
        waits_for(&world, &id, "0 of 1 approval").await;
        let (first, second) = tokio::join!(override_approvals(&mut carol, &id), override_approvals(&mut bob, &id));
        let ended = ends(&world, &id, [&first, &second]).await;
        assert_eq!(ended.state, State::Succeeded);
        let (who, late) = match first.status {
            303 => ("carol", &second),
            _ => ("bob", &first),
        };
        assert_eq!((first.status + second.status, late.status), (303 + 409, 409));
        assert!(late.words().contains("nothing to override"), "{}", late.words());
        let who = name(who);
        let wanted = [(who.clone(), "overrode"), (who, "let it go on")];
        assert_eq!(told(&world, &id).await, wanted);
        go_back(&world, &mut dev).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_approves_twice_at_once_counts_once() {
    let (world, second) = world(json!({ "approvals": { "count": 2 } })).await;
    let mut dev = person(&world, "dev", Role::Developer).await;
    let mut carol = person(&world, "carol", Role::Approver).await;
    let mut bob = person(&world, "bob", Role::Approver).await;
    let id = promote(&mut dev).await;
    waits_for(&world, &id, "0 of 2 approvals").await;
    // Two tabs of one browser, and another browser.
    let mut other_tab = carol.clone();
    let mut elsewhere = world.signed_in("carol@example.com").await;
    let pages = tokio::join!(
        say(&mut carol, &id, "approve", "one"),
        say(&mut other_tab, &id, "approve", "two"),
        say(&mut elsewhere, &id, "approve", "three"),
    );
    assert_eq!((pages.0.status, pages.1.status, pages.2.status), (303, 303, 303));
    waits_for(&world, &id, "1 of 2 approvals").await;
    assert_eq!(told(&world, &id).await, [("carol".to_owned(), "approved")]);
    let last = say(&mut bob, &id, "approve", "").await;
    let ended = ends(&world, &id, [&pages.0, &last]).await;
    assert_eq!(ended.state, State::Succeeded);
    world.wait_for_live("production", "api", &second).await;
    let message = world.newest_message().await;
    assert_eq!(message.matches("Approved-by: carol").count(), 1, "{message}");
}
