//! The page Activity: what happened is told in words, found by who, where, what and when, and read page by page.

use crate::support::{BEGIN, Bench, stranger, world::World};
use contract::{
    activity::{ActivityFilter, ActivityView},
    error::AppError,
};
use domain::{
    door::{Door, Entrance},
    event::{Happened, Subject},
    id::UserId,
    promotion::Actor,
    resource::HoldCause,
    rights::Role,
    time::Timestamp,
};
use serde_json::json;
use server::{
    service::{Caller, views},
    store::NewEvent,
};
use uuid::Uuid;

/// A workspace with `api` in two environments, and who administers it.
async fn ground(bench: &Bench) -> Caller {
    let (caller, _) = bench.program("demo", "boss", Role::Admin).await;
    let environment = |name: &str| {
        json!({ "name": name, "cluster": "local", "resources": [
            { "name": "api", "source": { "image": "127.0.0.1:5000/myapp/api" } },
        ] })
    };
    let document = json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000" } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "/srv/git/gitops.git" },
            "environments": [environment("development"), environment("production")],
        }],
    });
    bench.apply(&caller, &document).await;
    caller
}

fn ada() -> Actor {
    Actor::Person {
        id: UserId(Uuid::from_u128(5)),
        name: "Ada Byron".into(),
        email: "ada@example.com".into(),
    }
}

/// Ada holds and resumes `api` in production, `count` times, a minute apart from `begin` on; Waybill lets others happen between.
async fn busy(bench: &Bench, caller: &Caller, begin: Timestamp, count: i64) {
    let workspace = caller.access[0].0.id;
    let mut tx = bench.store.write().await.unwrap();
    let project = tx.projects(workspace).await.unwrap().remove(0).project.id;
    let mut subjects = Vec::new();
    for environment in tx.environments(project).await.unwrap() {
        let api = tx.resource_by_name(environment.id, "api").await.unwrap().unwrap();
        subjects.push(Subject::resource(project, &api));
    }
    tx.entered_by(&Entrance {
        door: Door::Browser,
        address: Some("192.0.2.7".into()),
    });
    for n in 0..count {
        let at = begin.plus_millis(n * 60_000);
        for (subject, actor, happened) in [
            (subjects[0], Actor::Waybill, Happened::LiveForgotten),
            (
                subjects[1],
                ada(),
                Happened::Held {
                    cause: HoldCause::Pinned,
                    outside: None,
                },
            ),
            (subjects[1], ada(), Happened::Resumed),
        ] {
            let event = NewEvent {
                workspace,
                subject,
                actor,
                happened,
            };
            tx.append_event(&event, at).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

async fn look(bench: &Bench, caller: &Caller, filter: &ActivityFilter) -> ActivityView {
    views::activity(&bench.services, caller, "demo", filter).await.unwrap()
}

/// All pages of a search, from the newest on: what was done and when.
async fn all(bench: &Bench, caller: &Caller, filter: &ActivityFilter) -> Vec<(Timestamp, String)> {
    let mut filter = filter.clone();
    let mut found = Vec::new();
    loop {
        let page = look(bench, caller, &filter).await;
        assert_eq!(page.problems, [] as [String; 0]);
        assert!(page.entries.len() <= 50);
        found.extend(page.entries.into_iter().map(|entry| (entry.at, entry.did)));
        match page.older {
            Some(older) => filter.before = older,
            None => return found,
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_and_show_only_what_is_looked_for() {
    let bench = Bench::new().await;
    let caller = ground(&bench).await;
    let begin = BEGIN.plus_millis(3_600_000);
    busy(&bench, &caller, begin, 120).await;
    let none = ActivityFilter::default();
    let everything = all(&bench, &caller, &none).await;
    assert!(everything.len() >= 360 + 3, "{}", everything.len());
    assert!(everything.is_sorted_by(|a, b| a.0 >= b.0), "newest first");
    let of = |text: &str| everything.iter().filter(|(_, did)| did == text).count();
    assert_eq!(
        (of("put a hold on it: pinned by hand"), of("created the resource")),
        (120, 2)
    );

    let filter = |change: &dyn Fn(&mut ActivityFilter)| {
        let mut filter = ActivityFilter::default();
        change(&mut filter);
        filter
    };
    for (filter, wanted) in [
        (filter(&|f| f.actor = "ADA@".into()), 240),
        (filter(&|f| f.actor = " ada byron ".into()), 240),
        (filter(&|f| f.actor = "token boss".into()), 3),
        (filter(&|f| f.env = "myapp/production".into()), 241),
        (filter(&|f| f.resource = "api".into()), 362),
        (filter(&|f| f.kind = "held".into()), 120),
        (filter(&|f| f.kind = "live_forgotten".into()), 120),
        (
            filter(&|f| (f.resource, f.env) = ("api".into(), "myapp/development".into())),
            121,
        ),
        (filter(&|f| (f.kind, f.actor) = ("held".into(), "waybill".into())), 0),
        (
            filter(&|f| (f.kind, f.env) = ("live_forgotten".into(), "myapp/production".into())),
            0,
        ),
        (
            filter(&|f| (f.kind, f.env) = ("resumed".into(), "myapp/production".into())),
            120,
        ),
        (
            filter(&|f| (f.kind, f.resource, f.actor) = ("resumed".into(), "api".into(), "ada".into())),
            120,
        ),
        // An hour after the beginning is 09:00.
        (
            filter(&|f| (f.from, f.to) = ("2027-01-15T09:10".into(), "2027-01-15T09:19".into())),
            30,
        ),
        (
            filter(&|f| (f.actor, f.from, f.to) = ("ada".into(), "2027-01-15".into(), "2027-01-15".into())),
            240,
        ),
        (filter(&|f| f.from = "2027-01-16".into()), 0),
    ] {
        assert_eq!(all(&bench, &caller, &filter).await.len(), wanted, "{filter:?}");
    }
    for (filter, problem) in [
        (
            filter(&|f| f.env = "myapp/none".into()),
            "There is no environment \"myapp/none\".",
        ),
        (
            filter(&|f| f.resource = "web".into()),
            "There is no resource \"web\" here.",
        ),
        (
            filter(&|f| f.kind = "danced".into()),
            "There is no kind of event \"danced\".",
        ),
        (
            filter(&|f| f.actor = "eve".into()),
            "Nobody like \"eve\" did anything here.",
        ),
        (
            filter(&|f| f.to = "soon".into()),
            "\"soon\" is no time. Write it like 2026-11-20 or 2026-11-20T10:04.",
        ),
    ] {
        let page = look(&bench, &caller, &filter).await;
        assert_eq!((page.problems, page.entries.len()), (vec![problem.to_owned()], 0));
    }
}

#[tokio::test]
async fn people_are_found_in_the_letters_of_their_language() {
    let bench = Bench::new().await;
    let caller = ground(&bench).await;
    let workspace = caller.access[0].0.id;
    let mut tx = bench.store.write().await.unwrap();
    let project = tx.projects(workspace).await.unwrap().remove(0).project.id;
    let development = tx.environments(project).await.unwrap()[0].id;
    let api = tx.resource_by_name(development, "api").await.unwrap().unwrap();
    for (n, name) in ["Émile Zola", "Ámile Zola", "Łukasz Ä%_", "ΣΟΦΟΣ", "İnci"]
        .iter()
        .enumerate()
    {
        let actor = Actor::Person {
            id: UserId(Uuid::from_u128(n as u128)),
            name: (*name).into(),
            email: format!("{n}@example.com"),
        };
        for happened in [Happened::LiveForgotten, Happened::Resumed] {
            let event = NewEvent {
                workspace,
                subject: Subject::resource(project, &api),
                actor: actor.clone(),
                happened,
            };
            tx.append_event(&event, BEGIN.plus_millis(60_000)).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    let offered = look(&bench, &caller, &ActivityFilter::default()).await.actors;
    let picked = |part: &str| offered.iter().find(|actor| actor.contains(part)).unwrap().clone();
    for typed in [
        "émile".to_owned(),
        "ÉMILE ZOLA".into(),
        "Émile".into(),
        picked("<0@"),
        "łukasz ä%_".into(),
        "ŁUKASZ Ä%".into(),
        picked("<2@"),
        "ΣΟΦΟΣ".into(),
        "Σοφ".into(),
        picked("<3@"),
        "i\u{307}nci".into(),
        picked("<4@"),
    ] {
        // Whatever leads the search: who it was, the environment, the resource, a kind.
        for (env, resource, kind, wanted) in [
            ("", "", "", 2),
            ("myapp/development", "", "", 2),
            ("", "api", "", 2),
            ("", "", "resumed", 1),
            ("", "", "live_forgotten", 1),
            ("myapp/production", "", "", 0),
        ] {
            let filter = ActivityFilter {
                actor: typed.clone(),
                env: env.into(),
                resource: resource.into(),
                kind: kind.into(),
                ..ActivityFilter::default()
            };
            assert_eq!(all(&bench, &caller, &filter).await.len(), wanted, "{filter:?}");
        }
    }
    let nobody = ActivityFilter {
        actor: "ä__".into(),
        ..ActivityFilter::default()
    };
    assert_eq!(look(&bench, &caller, &nobody).await.problems.len(), 1);
}

#[tokio::test]
async fn members_see_it_and_only_administrators_see_addresses() {
    let bench = Bench::new().await;
    let caller = ground(&bench).await;
    busy(&bench, &caller, BEGIN.plus_millis(60_000), 1).await;
    let page = look(&bench, &caller, &ActivityFilter::default()).await;
    let newest = &page.entries[0];
    assert_eq!(
        (newest.actor.as_str(), newest.actor_search.as_str()),
        ("Ada Byron", "ada@example.com")
    );
    assert_eq!(newest.did, "resumed it; it follows its source again");
    let names = [&newest.project, &newest.environment, &newest.resource].map(|n| n.as_ref().unwrap().as_str());
    assert_eq!(names, ["myapp", "production", "api"]);
    assert_eq!(
        (newest.door.as_deref(), newest.address.as_deref()),
        (Some("browser"), Some("192.0.2.7"))
    );
    assert!(page.may_export);
    assert_eq!(page.actors, ["ada byron <ada@example.com>", "token boss", "waybill"]);
    assert_eq!(page.environments, ["myapp/development", "myapp/production"]);

    let viewer = stranger(&caller.access[0].0, Role::Viewer);
    let page = look(&bench, &viewer, &ActivityFilter::default()).await;
    assert!(page.entries.iter().all(|entry| entry.address.is_none()) && !page.may_export);
    let refused = views::activity(&bench.services, &viewer, "other", &ActivityFilter::default()).await;
    assert!(matches!(refused, Err(AppError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_tells_it_and_filters_without_a_script() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let page = browser.get("/w/demo/-/activity").await;
    assert_eq!(page.status, 200);
    let words = page.words();
    for said in [
        "Activity",
        "signed in",
        "applied configuration, with",
        "created the token",
        "Export as JSON lines",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(
        page.text.contains("href=\"/w/demo/-/activity\" aria-current=\"page\""),
        "in the rail"
    );
    let page = browser
        .get("/w/demo/-/activity?kind=token_created&actor=&env=&resource=&from=&to=")
        .await;
    let list = page.text.split("<ol class=\"activity\">").nth(1).unwrap();
    assert!(
        list.contains("created the token") && !list.contains("signed in"),
        "{}",
        page.words()
    );
    assert!(
        page.text.contains("value=\"token_created\" selected"),
        "the form holds what was chosen"
    );
    let page = browser.get("/w/demo/-/activity?actor=eve%22%3E").await;
    assert!(page.words().contains("Nobody like"), "{}", page.words());
    assert_eq!(browser.get("/w/other/-/activity").await.status, 404);
    assert_eq!(world.stranger().get("/w/demo/-/activity").await.status, 303);
}
