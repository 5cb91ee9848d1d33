//! Several servers on one PostgreSQL: what one writes the others know at once, and nothing is done twice.

use crate::support::{
    BEGIN,
    browser::Browser,
    database::Database,
    world::{ADMIN, PASSWORD, Setup, World},
};
use domain::{
    environment::{Cluster, Environment, Project, Workspace},
    event::{Happened, Subject},
    id::{ClusterId, EnvironmentId, ProjectId, PromotionId, ResourceId, WorkspaceId},
    promotion::{Actor, Promotion, Purpose, State},
    resource::{Binding, Kind, Resource, Source},
    time::Timestamp,
};
use futures::StreamExt as _;
use server::{
    adapters::system::System,
    ports::clock::Clock as _,
    store::{ClusterRecord, Lane, NewEvent, ProjectRecord, Store, StoreChange},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

async fn two_servers() -> (World, crate::support::world::Another) {
    let world = World::with(Setup {
        database: Some(Database::postgres()),
        variables: vec![("ENCRYPTION_KEY", "A".repeat(43))],
        ..Setup::default()
    })
    .await;
    let another = world.another_server().await;
    (world, another)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_writes_reaches_a_page_of_another_within_a_second() {
    let (world, another) = two_servers().await;
    let mut browser = Browser::new(&another.base_url);
    let answer = browser
        .post("/sign-in", &[("email", ADMIN), ("password", PASSWORD)])
        .await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    // Sessions are everybody's: a load balancer may send people anywhere.
    assert_eq!(browser.get("/").await.status, 200);
    let mut stream = browser.open("/api/events").await;
    assert!(stream.chunk().await.unwrap().unwrap().starts_with(b":"));
    // The sign-in itself may still be told.
    while tokio::time::timeout(SECOND / 2, stream.chunk()).await.is_ok() {}
    for round in 0..3 {
        let mut document = world.document();
        document["projects"][0]["environments"][2]["protected"] = (round % 2 == 0).into();
        world.apply(&document).await;
        let written = Instant::now();
        tokio::time::timeout(SECOND, stream.chunk())
            .await
            .expect("nothing within a second")
            .unwrap();
        println!("told after {:?}", written.elapsed());
        while tokio::time::timeout(SECOND / 4, stream.chunk()).await.is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_carry_each_promotion_out_once() {
    let (world, _another) = two_servers().await;
    let mut last = String::new();
    for build in 1..=4 {
        last = world.push(&format!("1.{build}.0")).await;
        world.wait_for_desired("staging", "api", &last).await;
    }
    world.wait_for_live("staging", "api", &last).await;
    world.idle().await;
    let commits = world.repository.commits("main").await.unwrap();
    let mut succeeded = 0;
    for environment in ["development", "staging"] {
        for promotion in world.promotions(environment, "api").await {
            assert!(
                matches!(promotion.state, State::Succeeded | State::Superseded),
                "{promotion:?}"
            );
            succeeded += usize::from(promotion.state == State::Succeeded);
            let trailer = format!("Waybill-Promotion: {}", promotion.id);
            let ours = commits.iter().filter(|c| c.body.contains(&trailer)).count();
            assert_eq!(ours, usize::from(promotion.commit.is_some()), "{promotion:?}");
            let mut tx = world.store.read().await.unwrap();
            let events = tx.events_of_promotion(promotion.id).await.unwrap();
            let mut moves = BTreeSet::new();
            for event in events {
                if let Happened::PromotionMoved { to, .. } = event.happened {
                    assert!(moves.insert(to.to_string()), "{to} twice: {promotion:?}");
                }
            }
        }
    }
    assert!(succeeded >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_was_doing_is_taken_over() {
    let mut world = World::with(Setup {
        process: true,
        database: Some(Database::postgres()),
        variables: vec![("ENCRYPTION_KEY", "A".repeat(43))],
        ..Setup::default()
    })
    .await;
    let hold = world.git.as_ref().unwrap().hold_push_before();
    let digest = world.push("1.1.0").await;
    hold.held().await;
    // What is held now is the first server's: the other one comes later.
    let _another = world.another_server().await;
    world.kill();
    let (killed, now) = (Instant::now(), System.now());
    let due = world.store.read().await.unwrap().next_due().await.unwrap().unwrap();
    assert!(
        due.millis_since(now) <= 8_000,
        "its lease lasts for {} ms more",
        due.millis_since(now)
    );
    hold.release();
    world.wait_for_desired("development", "api", &digest).await;
    println!("taken over and pushed after {:?}", killed.elapsed());
    world.wait_for_live("staging", "api", &digest).await;
    world.idle().await;
    world.is_whole().await;
}

#[tokio::test]
async fn changes_are_told_when_they_are_committed() {
    let database = Database::postgres();
    let (here, there) = (database.open().await, database.open().await);
    let mut changes = there.changes();
    // It says at first that anything may have happened.
    for _ in 0..3 {
        changes.next().await.unwrap();
    }
    let workspace = one_place(&*here).await;
    let mut told = Vec::new();
    while let Ok(Some(change)) = tokio::time::timeout(SECOND / 4, changes.next()).await {
        told.push(change);
    }
    assert!(told.contains(&StoreChange::Connections), "{told:?}");
    let event = NewEvent {
        workspace,
        subject: Subject::default(),
        actor: Actor::Waybill,
        happened: Happened::SignedIn { through: None },
    };
    let mut tx = here.write().await.unwrap();
    tx.append_event(&event, BEGIN).await.unwrap();
    let early = tokio::time::timeout(SECOND / 4, changes.next()).await;
    assert!(early.is_err(), "{early:?}");
    tx.commit().await.unwrap();
    let told = tokio::time::timeout(SECOND, changes.next()).await.unwrap();
    assert_eq!(told, Some(StoreChange::Ledger));

    let mut tx = here.write().await.unwrap();
    tx.insert_promotion(&promotion(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(changes.next().await, Some(StoreChange::Work));
    // A claim makes no work for others.
    let mut tx = here.write().await.unwrap();
    let claimed = tx
        .claim_promotions("one", Lane::Commit, BEGIN, BEGIN.plus_millis(9), 1)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    tx.commit().await.unwrap();
    let told = tokio::time::timeout(SECOND / 4, changes.next()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_repository_has_one_writer_until_its_leases_run_out() {
    const LEASE: i64 = 8_000;
    let database = Database::postgres();
    let stores = [database.open().await, database.open().await];
    one_place(&*stores[0]).await;
    let mut tx = stores[0].write().await.unwrap();
    for n in 1..=100 {
        tx.insert_promotion(&promotion(n)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let claim = |worker: usize, now: Timestamp| {
        let store: Arc<dyn Store> = stores[worker % 2].clone();
        async move {
            let mut mine = Vec::new();
            loop {
                let mut tx = store.write().await.unwrap();
                let until = now.plus_millis(LEASE);
                let claimed = tx
                    .claim_promotions(&worker.to_string(), Lane::Commit, now, until, 10)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|promotion| promotion.id));
            }
        }
    };
    let workers = (0..6).map(|worker| tokio::spawn(claim(worker, BEGIN)));
    let taken: Vec<_> = futures::future::join_all(workers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .filter(|mine| !mine.is_empty())
        .collect();
    assert_eq!(taken.len(), 1, "one of them has it all: {taken:?}");
    let distinct: BTreeSet<_> = taken[0].iter().copied().collect();
    assert_eq!((taken[0].len(), distinct.len()), (100, 100));
    // It was killed: renewed by nobody, its work is another one's.
    assert_eq!(claim(7, BEGIN.plus_millis(LEASE - 1)).await, []);
    assert_eq!(claim(7, BEGIN.plus_millis(LEASE)).await.len(), 100);
}

#[tokio::test]
async fn the_ledger_becomes_visible_in_its_order() {
    let database = Database::postgres();
    let stores = [database.open().await, database.open().await];
    let workspace = one_place(&*stores[0]).await;
    let writers = (0..8).map(|writer| {
        let store = stores[writer % 2].clone();
        async move {
            for _ in 0..20 {
                let event = NewEvent {
                    workspace,
                    subject: Subject::default(),
                    actor: Actor::Waybill,
                    happened: Happened::SignedIn { through: None },
                };
                let mut tx = store.write().await.unwrap();
                tx.append_event(&event, BEGIN).await.unwrap();
                tokio::task::yield_now().await;
                tx.commit().await.unwrap();
            }
        }
    });
    let reader = async {
        let (mut at, mut seen) = (0, 0);
        while seen < 160 {
            let events = stores[1].read().await.unwrap().events_after(at, 500).await.unwrap();
            seen += events.len();
            at = events.last().map_or(at, |event| event.sequence);
        }
    };
    let all = async { tokio::join!(futures::future::join_all(writers), reader) };
    tokio::time::timeout(SECOND * 30, all)
        .await
        .expect("the tail missed events");
}

#[tokio::test]
async fn a_newer_release_may_change_the_tables_beside_an_older_one() {
    let database = Database::postgres();
    let older = database.open().await;
    let mut changes = older.changes();
    for _ in 0..3 {
        changes.next().await.unwrap();
    }
    one_place(&*older).await;
    let read = async || older.read().await.unwrap().project(ProjectId(id(3))).await;
    assert!(read().await.unwrap().is_some());
    let pool = sqlx::PgPool::connect(&database.url()).await.unwrap();
    sqlx::query("ALTER TABLE projects ADD COLUMN added TEXT")
        .execute(&pool)
        .await
        .unwrap();
    let _newer = database.open().await;
    // Whoever heeds what is told hears that too.
    while tokio::time::timeout(SECOND / 4, changes.next()).await.is_ok() {}
    for _ in 0..20 {
        assert!(read().await.unwrap().is_some());
    }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A workspace with one resource.
async fn one_place(store: &dyn Store) -> WorkspaceId {
    let workspace = WorkspaceId(id(1));
    let mut tx = store.write().await.unwrap();
    let demo = Workspace {
        id: workspace,
        name: "demo".parse().unwrap(),
    };
    tx.insert_workspace(&demo, BEGIN).await.unwrap();
    let cluster = ClusterRecord {
        cluster: Cluster {
            id: ClusterId(id(2)),
            workspace,
            name: "local".parse().unwrap(),
            argocd: None,
            registry: None,
            mirror: None,
            platforms: Vec::new(),
        },
        argocd_token: None,
        argocd_ca: None,
    };
    tx.put_cluster(&cluster).await.unwrap();
    let project = ProjectRecord {
        project: Project {
            id: ProjectId(id(3)),
            workspace,
            name: "myapp".parse().unwrap(),
            repository_url: "https://git.example.com/deploy.git".into(),
            branch: "main".into(),
            path_template: "environments/{environment}/values.yaml".into(),
            values_prefix: String::new(),
            commit_subject: None,
            author_address: None,
        },
        credentials: None,
        tip: None,
        problem: None,
    };
    tx.put_project(&project).await.unwrap();
    let environment = Environment {
        id: EnvironmentId(id(4)),
        project: project.project.id,
        cluster: cluster.cluster.id,
        name: "development".parse().unwrap(),
        key: "development".parse().unwrap(),
        position: 1,
        protected: false,
        policy: domain::policy::Policy::default(),
        mirror: None,
        tags: Default::default(),
    };
    tx.put_environment(&environment).await.unwrap();
    let resource = Resource {
        id: ResourceId(id(5)),
        environment: environment.id,
        name: "api".parse().unwrap(),
        key: "api".parse().unwrap(),
        kind: Kind::Deployment,
        source: Source::Image {
            repository: "r.example/myapp/api".parse().unwrap(),
            tags: Default::default(),
        },
        binding: Binding::TrackLatest,
        hold: None,
        runtime: Default::default(),
        desired: None,
        desired_at: None,
        outside: None,
        unclear: None,
        live: None,
        created_at: BEGIN,
    };
    tx.insert_resource(&resource).await.unwrap();
    tx.commit().await.unwrap();
    workspace
}

/// A promotion of the one resource, due since the beginning.
fn promotion(n: u128) -> Promotion {
    Promotion {
        copied_to: None,
        id: PromotionId(id(100 + n)),
        workspace: WorkspaceId(id(1)),
        project: ProjectId(id(3)),
        environment: EnvironmentId(id(4)),
        resource: ResourceId(id(5)),
        number: i64::try_from(n).unwrap(),
        purpose: Purpose::Promote,
        requested_by: Actor::Token { name: "ci".into() },
        origin: None,
        image: domain::artifact::ExactImage {
            repository: "r.example/myapp/api".parse().unwrap(),
            tag: None,
            digest: crate::support::digest("a").parse().unwrap(),
        },
        previous: None,
        creates: false,
        creates_file: false,
        state: State::Queued,
        waits_for: None,
        failure: None,
        commit: None,
        committed_at: None,
        tries: 1,
        attempts: 0,
        created_at: BEGIN,
        state_since: BEGIN,
        ended_at: None,
        counts_from: None,
    }
}
