//! The ledger: its order, its chain, what is found in it, and that nothing in it is ever changed.

use super::{Places, at, id, people};
use crate::support::database::Database;
use domain::{
    door::{Door, Entrance},
    environment::Workspace,
    event::{Event, Happened, Subject},
    id::{EnvironmentId, PromotionId, ResourceId},
    promotion::Actor,
    time::Timestamp,
    told::EventKind,
};
use server::store::{
    NewEvent, Store, Tx,
    activity::{Along, Position, Search},
    chain::{BEGINNING, Head},
};

pub(super) async fn ledger(store: &dyn Store, demo: &Workspace, places: &Places) {
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.newest_event().await.unwrap(), 0);
    let promotion = PromotionId(id(71));
    let event = |happened, promotion| NewEvent {
        workspace: demo.id,
        subject: Subject {
            project: Some(places.project),
            environment: None,
            resource: None,
            promotion,
        },
        actor: Actor::Waybill,
        happened,
    };
    let first = tx
        .append_event(&event(Happened::ResourceCreated, None), at(1))
        .await
        .unwrap();
    let committed = Happened::Committed {
        commit: "c0ffee".into(),
        pushes: 2,
    };
    let second = tx
        .append_event(&event(committed.clone(), Some(promotion)), at(0))
        .await
        .unwrap();
    assert!(first > 0 && second > first, "places rise, whatever the clock says");
    tx.commit().await.unwrap();

    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.newest_event().await.unwrap(), second);
    let all = tx.events_after(0, 10).await.unwrap();
    assert_eq!(all.iter().map(|e| e.sequence).collect::<Vec<_>>(), [first, second]);
    assert_eq!(tx.events_after(0, 1).await.unwrap().len(), 1);
    assert_eq!(tx.events_after(second, 10).await.unwrap(), []);
    let told = tx.events_of_promotion(promotion).await.unwrap();
    assert_eq!((told.len(), &told[0].happened, told[0].at), (1, &committed, at(0)));
    let refused = tx.append_event(&event(Happened::ResourceCreated, None), at(2)).await;
    assert!(refused.is_err(), "who only reads can't write");
    chain(store, demo, &all).await;
}

/// Entries hold the hash of the one before, of their own workspace; who came in how is told; what is taken back leaves no trace.
async fn chain(store: &dyn Store, demo: &Workspace, all: &[Event]) {
    let acme = store
        .read()
        .await
        .unwrap()
        .workspace_by_name("acme")
        .await
        .unwrap()
        .unwrap();
    let event = |workspace: &Workspace| NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: Actor::Token { name: "ci".into() },
        happened: Happened::SignedIn { through: None },
    };
    let mut taken_back = store.write().await.unwrap();
    taken_back.append_event(&event(demo), at(3)).await.unwrap();
    drop(taken_back);
    let mut tx = store.write().await.unwrap();
    let entrance = Entrance {
        door: Door::Rest,
        address: Some("192.0.2.7".into()),
    };
    tx.entered_by(&entrance);
    tx.append_event(&event(demo), at(3)).await.unwrap();
    tx.append_event(&event(&acme), at(3)).await.unwrap();
    tx.append_event(&event(demo), at(4)).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = store.read().await.unwrap();
    let entries = tx.ledger_entries(demo.id, 0, 10).await.unwrap();
    assert_eq!(entries.len(), 4);
    let mut newest = BEGINNING.to_owned();
    for entry in &entries {
        assert_eq!(entry.previous_hash.as_deref(), Some(&*newest));
        newest = entry.hash_after(&newest);
        assert_eq!(entry.hash.as_deref(), Some(&*newest));
    }
    let head = Head {
        hash: newest,
        entries: 4,
    };
    assert_eq!(tx.ledger_head(demo.id).await.unwrap(), head);
    assert_eq!(tx.ledger_head(acme.id).await.unwrap().entries, 1, "a chain of its own");
    assert_eq!(
        tx.ledger_entries(demo.id, entries[2].sequence, 10).await.unwrap(),
        entries[3..]
    );
    search(&mut *tx, demo).await;
    assert_eq!((all[0].door, &all[0].address), (Some(Door::Waybill), &None));
    let told = tx.events_after(entries[1].sequence, 1).await.unwrap().remove(0);
    assert_eq!((told.door, told.address), (Some(entrance.door), entrance.address));
}

/// Newest first by time and then by place, along each index, and only what is looked for.
async fn search(tx: &mut dyn Tx, demo: &Workspace) {
    let all = Search {
        workspace: demo.id,
        along: Along::Time,
        kind: None,
        environment: None,
        actors: None,
        from: Timestamp(i64::MIN),
        before: Position {
            at: Timestamp(i64::MAX),
            sequence: i64::MAX,
        },
        limit: 10,
    };
    let mut times = async |search: Search| -> Vec<i64> {
        let found = tx.search_events(&search).await.unwrap();
        found.iter().map(|event| event.at.millis_since(at(0))).collect()
    };
    assert_eq!(
        times(all.clone()).await,
        [4, 3, 1, 0],
        "as the clock said, and those of another workspace not"
    );
    let along = |along| Search { along, ..all.clone() };
    assert_eq!(times(along(Along::Kind(EventKind::SignedIn))).await, [4, 3]);
    assert_eq!(times(along(Along::Actor("token ci".into()))).await, [4, 3]);
    assert_eq!(times(along(Along::Actor("waybill".into()))).await, [1, 0]);
    let nowhere = EnvironmentId(id(999));
    assert_eq!(times(along(Along::Environment(nowhere))).await, [] as [i64; 0]);
    assert_eq!(times(along(Along::Resource(ResourceId(id(999))))).await, [] as [i64; 0]);
    for (search, wanted) in [
        (
            Search {
                kind: Some(EventKind::Committed),
                ..all.clone()
            },
            &[0][..],
        ),
        (
            Search {
                actors: Some(vec!["waybill,".into(), "token ci".into()]),
                ..all.clone()
            },
            &[4, 3],
        ),
        (
            Search {
                actors: Some(vec!["token c".into(), "%".into()]),
                ..all.clone()
            },
            &[],
        ),
        (
            Search {
                environment: Some(nowhere),
                ..all.clone()
            },
            &[],
        ),
        (
            Search {
                from: at(1),
                ..all.clone()
            },
            &[4, 3, 1],
        ),
        (
            Search {
                limit: 2,
                ..all.clone()
            },
            &[4, 3],
        ),
        (
            Search {
                before: Position { at: at(3), sequence: 0 },
                ..all.clone()
            },
            &[1, 0],
        ),
        (
            Search {
                before: Position {
                    at: at(3),
                    sequence: i64::MAX,
                },
                ..all.clone()
            },
            &[3, 1, 0],
        ),
    ] {
        assert_eq!(times(search.clone()).await, wanted, "{search:?}");
    }
    assert_eq!(tx.actors(demo.id).await.unwrap(), ["token ci", "waybill"]);
}

#[tokio::test]
async fn the_ledger_is_only_ever_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let file = Database::sqlite(directory.path());
    written_once(&*file.open().await).await;
    let server = Database::postgres();
    written_once(&*server.open().await).await;
    // Past Tx, which offers no such thing: the databases themselves refuse.
    let sqlite = sqlx::SqlitePool::connect(&file.url()).await.unwrap();
    let postgres = sqlx::PgPool::connect(&server.url()).await.unwrap();
    for statement in ["UPDATE events SET at = 1", "DELETE FROM events"] {
        let refused = sqlx::query(statement).execute(&sqlite).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
        let refused = sqlx::query(statement).execute(&postgres).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    let refused = sqlx::query("TRUNCATE events").execute(&postgres).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    for database in [file, server] {
        assert_eq!(
            database
                .open()
                .await
                .read()
                .await
                .unwrap()
                .newest_event()
                .await
                .unwrap(),
            1
        );
    }
}

async fn written_once(store: &dyn Store) {
    let (demo, _) = people::people(store).await;
    let mut tx = store.write().await.unwrap();
    let event = NewEvent {
        workspace: demo.id,
        subject: Subject::default(),
        actor: Actor::Waybill,
        happened: Happened::SignedIn { through: None },
    };
    tx.append_event(&event, at(0)).await.unwrap();
    tx.commit().await.unwrap();
}
