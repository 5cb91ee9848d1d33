//! Promotions: their order, their leases, and what is due.

use super::{OTHER, OWNER, Places, at, committed, fails, id, image};
use domain::{
    environment::Workspace,
    id::{PromotionId, WorkspaceId},
    promotion::{Actor, Origin, Promotion, Purpose, State},
    resource::Resource,
    time::Timestamp,
};
use server::store::{Lane, Store, StoreError, Tx};

/// Asked for at `created`, by the clock of whoever did.
fn promotion(
    n: u128,
    workspace: WorkspaceId,
    places: &Places,
    (resource, number): (&Resource, i64),
    created: i64,
) -> Promotion {
    Promotion {
        copied_to: None,
        id: PromotionId(id(n)),
        workspace,
        project: places.project,
        environment: resource.environment,
        resource: resource.id,
        number,
        purpose: Purpose::Promote,
        requested_by: Actor::Token { name: "ci".into() },
        origin: Some(Origin {
            environment: "development".parse().unwrap(),
            resource: "api".parse().unwrap(),
        }),
        image: image(Some("two"), "b"),
        previous: Some(image(None, "a")),
        creates: true,
        creates_file: false,
        state: State::Queued,
        waits_for: None,
        failure: None,
        commit: None,
        committed_at: None,
        tries: 1,
        attempts: 0,
        created_at: at(created),
        state_since: at(created),
        ended_at: None,
        counts_from: None,
    }
}

/// Takes one promotion, whatever its state.
async fn claim(tx: &mut dyn Tx, owner: &str, now: Timestamp, until: Timestamp) -> Option<Promotion> {
    for lane in [Lane::Commit, Lane::Rollout] {
        if let Some(claimed) = tx.claim_promotions(owner, lane, now, until, 1).await.unwrap().pop() {
            return Some(claimed);
        }
    }
    None
}

pub(super) async fn promotions(store: &dyn Store, demo: &Workspace, places: &Places, resources: &(Resource, Resource)) {
    let (api, follower) = resources;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.next_due().await.unwrap(), None);
    assert_eq!(claim(&mut *tx, OWNER, at(0), at(100)).await, None);
    let older = promotion(71, demo.id, places, (api, 1), 0);
    let newer = promotion(72, demo.id, places, (follower, 1), 1);
    assert_eq!(tx.next_number(api.id).await.unwrap(), 1);
    tx.insert_promotion(&newer).await.unwrap();
    tx.insert_promotion(&older).await.unwrap();
    let mut tx = committed(tx, store).await;
    assert_eq!(tx.promotion(older.id).await.unwrap().as_ref(), Some(&older));
    assert_eq!(
        tx.promotions_of(api.id, 10).await.unwrap(),
        std::slice::from_ref(&older)
    );
    assert_eq!(
        tx.open_promotions(follower.id).await.unwrap(),
        std::slice::from_ref(&newer)
    );
    assert_eq!(tx.newest_promotions(places.project).await.unwrap().len(), 2);

    // The one that is due longest is taken, by one worker only, until its lease ends; the commits of a project go to one.
    assert_eq!(tx.next_due().await.unwrap(), Some(at(0)));
    let claimed = claim(&mut *tx, OWNER, at(2), at(40)).await.unwrap();
    assert_eq!((claimed.id, claimed.attempts), (older.id, 0));
    assert_eq!(
        claim(&mut *tx, OTHER, at(2), at(50)).await,
        None,
        "another one's project"
    );
    let claimed = claim(&mut *tx, OWNER, at(2), at(50)).await.unwrap();
    assert_eq!(claimed.id, newer.id);
    assert_eq!(claim(&mut *tx, OWNER, at(2), at(50)).await, None);
    assert_eq!(tx.next_due().await.unwrap(), Some(at(40)), "when the first lease ends");

    // A lease that runs out, or is given back, is a further attempt.
    assert_eq!(
        claim(&mut *tx, OTHER, at(49), at(99)).await,
        None,
        "one of two leases runs"
    );
    let again = claim(&mut *tx, OTHER, at(50), at(60)).await.unwrap();
    assert_eq!(
        (again.id, again.attempts),
        (older.id, 1),
        "its step may have been cut off"
    );
    tx.release_leases(Some(OTHER)).await.unwrap();
    let again = claim(&mut *tx, OTHER, at(51), at(60)).await.unwrap();
    assert_eq!((again.id, again.attempts), (older.id, 2));
    let again = claim(&mut *tx, OTHER, at(51), at(90)).await.unwrap();
    assert_eq!((again.id, again.attempts), (newer.id, 1));

    // A lease that is renewed lasts longer; that of somebody else stays as it is.
    tx.renew_leases(OTHER, &[older.id], at(95)).await.unwrap();
    tx.renew_leases(OWNER, &[newer.id], at(99)).await.unwrap();
    assert_eq!(tx.next_due().await.unwrap(), Some(at(90)), "the newer's");
    assert_eq!(claim(&mut *tx, OTHER, at(89), at(99)).await, None);
    tx.renew_leases(OTHER, &[older.id], at(60)).await.unwrap();

    // What a step changed is written, given the state it began in.
    let mut moved = older.clone().become_(State::Committing, at(4)).unwrap();
    moved.waits_for = Some("the lock".into());
    tx.update_promotion(&moved, State::Queued, at(70)).await.unwrap();
    let stale = tx.update_promotion(&moved, State::Queued, at(70)).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    assert_eq!(tx.promotion(older.id).await.unwrap().as_ref(), Some(&moved));
    assert_eq!(
        claim(&mut *tx, OTHER, at(69), at(99)).await,
        None,
        "not before its time"
    );
    let next = claim(&mut *tx, OTHER, at(70), at(99)).await.unwrap();
    assert_eq!(
        (next.id, next.attempts),
        (older.id, 0),
        "the lease had ended with the step"
    );

    // The same worker may go on at once: its lease is kept.
    tx.update_promotion(&moved, State::Committing, at(70)).await.unwrap();
    tx.keep_lease(moved.id, OTHER, at(99)).await.unwrap();
    assert_eq!(
        claim(&mut *tx, OTHER, at(98), at(99)).await.map(|p| p.id),
        Some(newer.id)
    );

    // Argo CD's word wakes those that wait for it, and no others.
    let mut moved = moved.become_(State::Syncing, at(71)).unwrap();
    moved.commit = Some("c0ffee".into());
    moved.committed_at = Some(at(71));
    assert_eq!(tx.open_since(Lane::Commit, at(5), 10).await.unwrap().len(), 2);
    tx.update_promotion(&moved, State::Committing, at(1000)).await.unwrap();
    assert_eq!(tx.open_since(Lane::Commit, at(5), 10).await.unwrap()[0].id, newer.id);
    assert_eq!(tx.open_since(Lane::Rollout, at(71), 10).await.unwrap(), []);
    assert_eq!(tx.open_since(Lane::Rollout, at(72), 10).await.unwrap(), [moved.clone()]);
    // A younger one overtakes only what runs something else.
    let mut elder = moved.clone();
    elder.id = PromotionId(id(79));
    elder.number = 0;
    assert_eq!(tx.committed_after(&elder).await.unwrap(), None, "the same digest");
    elder.image = image(None, "e");
    assert_eq!(tx.committed_after(&elder).await.unwrap(), Some(moved.id));
    assert_eq!(tx.committed_after(&moved).await.unwrap(), None, "nobody is younger");
    tx.nudge_environment(places.staging, at(72)).await.unwrap();
    assert_eq!(claim(&mut *tx, OTHER, at(72), at(99)).await, None);
    tx.nudge_environment(places.development, at(72)).await.unwrap();
    let woken = claim(&mut *tx, OTHER, at(72), at(99)).await.unwrap();
    assert_eq!((woken.id, woken.commit.as_deref()), (older.id, Some("c0ffee")));

    let failed = moved.fail("It broke.", at(73)).unwrap();
    tx.update_promotion(&failed, State::Syncing, at(73)).await.unwrap();
    assert_eq!(tx.promotion(older.id).await.unwrap().as_ref(), Some(&failed));
    assert_eq!(tx.open_promotions(api.id).await.unwrap(), []);
    let retried = failed.become_(State::Queued, at(74)).unwrap();
    tx.update_promotion(&retried, State::Failed, at(74)).await.unwrap();
    let read = tx.promotion(older.id).await.unwrap().unwrap();
    assert_eq!((read.tries, read.failure, read.ended_at), (2, None, None));
    let superseded = retried.supersede(newer.id, at(75)).unwrap();
    tx.update_promotion(&superseded, State::Queued, at(75)).await.unwrap();
    assert_eq!(tx.promotion(older.id).await.unwrap(), Some(superseded));
    tx.release_leases(Some(OTHER)).await.unwrap();
    let done = newer.supersede(older.id, at(76)).unwrap();
    tx.update_promotion(&done, State::Queued, at(76)).await.unwrap();
    assert_eq!(tx.next_due().await.unwrap(), None, "what has ended is never due");
    // What was asked for later has the higher number; ids and clocks order nothing.
    assert_eq!(tx.next_number(api.id).await.unwrap(), 2);
    assert_eq!(tx.next_number(follower.id).await.unwrap(), 2);
    let third = promotion(70, demo.id, places, (api, 2), -80);
    tx.insert_promotion(&third).await.unwrap();
    let ids = |promotions: Vec<Promotion>| promotions.into_iter().map(|p| p.id).collect::<Vec<_>>();
    assert_eq!(
        ids(tx.promotions_of(api.id, 10).await.unwrap()),
        [third.id, older.id],
        "newest first"
    );
    assert_eq!(ids(tx.promotions_of(api.id, 1).await.unwrap()), [third.id]);
    let mut newest = ids(tx.newest_promotions(places.project).await.unwrap());
    newest.sort();
    assert_eq!(newest, [third.id, done.id], "one of each resource");
    let fourth = promotion(69, demo.id, places, (api, 3), -90);
    tx.insert_promotion(&fourth).await.unwrap();
    assert_eq!(ids(tx.open_promotions(api.id).await.unwrap()), [fourth.id, third.id]);
    let claimed = tx.claim_promotions(OWNER, Lane::Commit, at(0), at(9), 9).await.unwrap();
    assert_eq!(ids(claimed), [third.id, fourth.id], "the elder first");
    tx.commit().await.unwrap();
    let again = promotion(74, demo.id, places, (api, 3), 0);
    fails(store, "a number is given once", async |tx| {
        tx.insert_promotion(&again).await
    })
    .await;
    put_off(store, &third, &fourth).await;
}

/// What a clock that ran ahead put off or leased is found, and taken back.
async fn put_off(store: &dyn Store, third: &Promotion, fourth: &Promotion) {
    const FAR: i64 = 172_800_000;
    let mut tx = store.write().await.unwrap();
    assert!(!tx.is_put_off(at(1000)).await.unwrap());
    tx.update_promotion(third, State::Queued, at(FAR)).await.unwrap();
    tx.renew_leases(OWNER, &[fourth.id], at(FAR)).await.unwrap();
    assert!(tx.is_put_off(at(1000)).await.unwrap());
    assert_eq!(tx.leases_beyond(at(1000)).await.unwrap(), [(fourth.id, at(FAR))]);
    tx.end_lease(fourth.id, at(FAR - 1)).await.unwrap();
    assert_eq!(
        claim(&mut *tx, OTHER, at(9), at(10)).await,
        None,
        "it was renewed, and is held"
    );
    tx.end_lease(fourth.id, at(FAR)).await.unwrap();
    tx.recall_promotions(at(1000), at(9)).await.unwrap();
    let claimed = tx
        .claim_promotions(OTHER, Lane::Commit, at(9), at(10), 9)
        .await
        .unwrap();
    assert_eq!(claimed.iter().map(|p| p.id).collect::<Vec<_>>(), [third.id, fourth.id]);
    for promotion in claimed {
        let (from, now) = (promotion.state, at(10));
        let ended = promotion.cancel("Enough.", now).unwrap();
        tx.update_promotion(&ended, from, now).await.unwrap();
    }
    tx.commit().await.unwrap();
}
