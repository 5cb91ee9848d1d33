//! Deleting: what is gone, what stays for the history, who is in the way, and that a name which is taken again inherits nothing.

use crate::support::{Bench, digest, read};
use contract::{
    activity::{ActivityFilter, ActivityView},
    backend::At,
    error::AppError,
    removal::{Removed, Removing},
};
use domain::{
    id::{EnvironmentId, ProjectId, PromotionId},
    promotion::{Promotion, State},
    removal::RemovalChoices,
    resource::{Binding, Resource, Source},
    rights::Role,
};
use serde_json::{Value, json};
use server::service::{Caller, configure, promotion, removal, views};

mod applied;
mod from_git;
mod whole;

const API: &str = "127.0.0.1:5000/myapp/api";
const PIN: RemovalChoices = RemovalChoices {
    from_git: false,
    pin_followers: true,
};

/// A project in which `api` is followed from development over staging to production, and another project.
fn document() -> Value {
    let follows = |environment: &str| json!([{ "name": "api", "source": { "promote": { "environment": environment, "resource": "api" } } }]);
    json!({
        "workspace": "demo",
        "clusters": [
            { "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true, "user": "waybill", "password": "pull-secret" } },
            { "name": "spare", "argocd": { "url": "http://127.0.0.1:9", "token": "argo-secret", "ca": "-----BEGIN CERTIFICATE-----" } },
        ],
        "projects": [
            {
                "name": "myapp",
                "repository": { "url": "https://git.example.com/gitops.git", "credentials": { "user": "x", "token": "git-secret" } },
                "environments": [
                    { "name": "development", "cluster": "local", "resources": [
                        { "name": "api", "source": { "image": API } },
                        { "name": "web", "source": { "image": "127.0.0.1:5000/myapp/web" } },
                    ] },
                    { "name": "staging", "cluster": "local", "resources": follows("development") },
                    { "name": "production", "cluster": "local", "resources": follows("staging") },
                ],
            },
            { "name": "blog", "repository": { "url": "https://git.example.com/blog.git" } },
        ],
    })
}

/// All of it, with the first image everywhere; and a second one that nobody runs.
async fn set_up() -> (Bench, Caller) {
    let bench = Bench::new().await;
    let (admin, _) = bench.program("demo", "boss", Role::Admin).await;
    bench.registry.push(API, "one", &digest("a"));
    for environment in ["development", "staging", "production"] {
        declare(&bench, environment, "a");
    }
    bench.apply(&admin, &document()).await;
    bench.registry.push(API, "two", &digest("b"));
    (bench, admin)
}

fn declare(bench: &Bench, environment: &str, letter: &str) {
    let path = format!("environments/{environment}/values.yaml");
    bench.git.declare(&path, "api", API, "one", &digest(letter));
}

fn at(environment: &str) -> At {
    At {
        workspace: "demo".into(),
        project: "myapp".into(),
        environment: environment.into(),
    }
}

fn resource(environment: &str, name: &str) -> Removing {
    Removing {
        what: "resource".into(),
        workspace: "demo".into(),
        project: "myapp".into(),
        environment: environment.into(),
        name: name.into(),
    }
}

fn environment(name: &str) -> Removing {
    Removing {
        what: "environment".into(),
        workspace: "demo".into(),
        project: "myapp".into(),
        name: name.into(),
        ..Removing::default()
    }
}

fn other(what: &str, name: &str) -> Removing {
    Removing {
        what: what.into(),
        workspace: "demo".into(),
        name: name.into(),
        ..Removing::default()
    }
}

async fn remove(bench: &Bench, caller: &Caller, target: &Removing, choices: RemovalChoices) -> Removed {
    (removal::remove(&bench.services, caller, target, choices, "").await)
        .unwrap_or_else(|error| panic!("{target:?} stays: {error}"))
}

/// Why something stays.
async fn stays(bench: &Bench, caller: &Caller, target: &Removing, choices: RemovalChoices) -> String {
    match removal::remove(&bench.services, caller, target, choices, "").await {
        Err(AppError::Conflict(why)) => why,
        done => panic!("{target:?}: {done:?}"),
    }
}

/// The project of this name and its environments.
async fn project(bench: &Bench, name: &str) -> (ProjectId, Vec<(String, EnvironmentId)>) {
    let mut tx = bench.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let all = tx.projects(workspace.id).await.unwrap();
    let id = all.iter().find(|r| r.project.name.as_str() == name).unwrap().project.id;
    let environments = tx.environments(id).await.unwrap();
    (
        id,
        environments.into_iter().map(|e| (e.name.to_string(), e.id)).collect(),
    )
}

/// The resource of this name in `myapp`.
async fn stored(bench: &Bench, environment: &str, name: &str) -> Option<Resource> {
    let (_, environments) = project(bench, "myapp").await;
    let (_, id) = environments.iter().find(|(known, _)| known == environment)?;
    bench
        .store
        .read()
        .await
        .unwrap()
        .resource_by_name(*id, name)
        .await
        .unwrap()
}

async fn promotion(bench: &Bench, id: PromotionId) -> Promotion {
    bench.store.read().await.unwrap().promotion(id).await.unwrap().unwrap()
}

/// Moves a promotion on as a worker would.
async fn bring(bench: &Bench, id: PromotionId, states: &[State]) {
    let mut tx = bench.store.write().await.unwrap();
    let mut promotion = tx.promotion(id).await.unwrap().unwrap();
    for state in states {
        let from = promotion.state;
        promotion = promotion.become_(*state, bench.services.now()).unwrap();
        tx.update_promotion(&promotion, from, bench.services.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn activity(bench: &Bench, caller: &Caller, filter: ActivityFilter) -> ActivityView {
    views::activity(&bench.services, caller, "demo", &filter).await.unwrap()
}

/// What happened, newest first, in words.
async fn told(bench: &Bench, caller: &Caller) -> Vec<String> {
    let view = activity(bench, caller, ActivityFilter::default()).await;
    view.entries.into_iter().map(|entry| entry.did).collect()
}

#[tokio::test]
async fn a_removed_resource_is_gone_and_its_history_stays() {
    let (bench, admin) = set_up().await;
    let services = &bench.services;
    let id = promotion::edit_pin(services, &admin, &at("production"), "api", &digest("b"), false)
        .await
        .unwrap();
    bring(&bench, id, &[State::Failed]).await;
    let before = stored(&bench, "production", "api").await.unwrap();
    assert!(before.hold.is_some() && before.pin().is_some());

    let view = removal::removal(services, &admin, &resource("production", "api"))
        .await
        .unwrap();
    assert_eq!((view.refusals.len(), view.followers.len(), view.cancels), (0, 0, 0));
    assert_eq!(view.path.as_deref(), Some("environments/production/values.yaml"));
    let removed = remove(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    assert!(!removed.from_git && removed.with.is_empty(), "{removed:?}");

    // It is nowhere.
    assert_eq!(stored(&bench, "production", "api").await, None);
    let gone = views::resource(services, &admin, &at("production"), "api").await;
    assert!(matches!(gone, Err(AppError::NotFound(_))), "{gone:?}");
    let here = views::environment(services, &admin, &at("production")).await.unwrap();
    assert_eq!(here.resources, []);
    let counts = views::projects(services, &admin).await.unwrap();
    let myapp = counts.iter().find(|p| p.name.as_str() == "myapp").unwrap();
    assert_eq!(
        (myapp.resources, myapp.failed),
        (3, 0),
        "its failed promotion counts no more"
    );
    let again = removal::removal(services, &admin, &resource("production", "api")).await;
    assert!(matches!(again, Err(AppError::NotFound(_))), "{again:?}");

    // What was, is told under its name.
    let page = views::promotion(services, &admin, &id.to_string()).await.unwrap();
    assert!(page.is_removed && !page.may_retry && !page.may_cancel);
    assert_eq!(
        (page.environment.as_str(), page.resource.as_str()),
        ("production", "api")
    );
    let named = views::promotion_named(services, &admin, &id.to_string()).await.unwrap();
    assert_eq!(named.resource.as_str(), "api");
    let filter = ActivityFilter {
        env: "myapp/production".into(),
        resource: "api".into(),
        ..ActivityFilter::default()
    };
    let of_it = activity(&bench, &admin, filter).await;
    assert_eq!(of_it.problems, [""; 0]);
    assert_eq!(of_it.entries[0].did, "deleted the resource myapp/production/api");
    assert_eq!(of_it.entries[0].more, ["Git was left alone."]);
    assert!(
        of_it
            .entries
            .iter()
            .all(|entry| entry.resource.as_ref().is_some_and(|n| n.as_str() == "api"))
    );
    for refused in [
        promotion::retry(services, &admin, &id.to_string()).await,
        promotion::cancel(services, &admin, &id.to_string()).await,
    ] {
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("production/api was deleted"), "{why}");
    }

    // Its name is free, and whatever takes it begins anew.
    declare(&bench, "production", "a");
    bench.apply(&admin, &document()).await;
    let new = stored(&bench, "production", "api").await.unwrap();
    assert_ne!(new.id, before.id);
    assert_eq!((new.hold, new.binding, new.live), (None, Binding::TrackLatest, None));
    let history = bench
        .store
        .read()
        .await
        .unwrap()
        .promotions_of(new.id, 10)
        .await
        .unwrap();
    assert!(history.iter().all(|p| p.id != id), "{history:?}");
    let (old, is_removed) = (bench.store.read().await.unwrap().resource_ever(before.id).await)
        .unwrap()
        .unwrap();
    assert!(is_removed && old.name.as_str() == "api");
}

#[tokio::test]
async fn healthy_time_of_a_removed_resource_counts_for_no_other() {
    let (bench, admin) = set_up().await;
    let (project, _) = project(&bench, "myapp").await;
    let digest = digest("a").parse().unwrap();
    let staging = stored(&bench, "production", "api").await.unwrap();
    let mut tx = bench.store.write().await.unwrap();
    tx.begin_run(staging.id, &digest, bench.services.now()).await.unwrap();
    tx.commit().await.unwrap();
    let runs = async || bench.store.read().await.unwrap().runs(project, &digest).await.unwrap();
    assert_eq!(runs().await.len(), 1);
    remove(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    bench.apply(&admin, &document()).await;
    assert_eq!(runs().await, []);
}

#[tokio::test]
async fn a_follower_is_in_the_way_or_becomes_pinned() {
    let (bench, admin) = set_up().await;
    let why = stays(&bench, &admin, &resource("staging", "api"), RemovalChoices::default()).await;
    assert!(why.starts_with("production/api follows myapp/staging/api."), "{why}");
    let view = removal::removal(&bench.services, &admin, &resource("staging", "api"))
        .await
        .unwrap();
    let followers: Vec<_> = view
        .followers
        .iter()
        .map(|f| (f.name.as_str(), f.pin.as_deref()))
        .collect();
    assert_eq!(followers, [("production/api", Some("aaaaaaa"))]);

    let removed = remove(&bench, &admin, &resource("staging", "api"), PIN).await;
    assert_eq!(removed.with, ["production/api is pinned to aaaaaaa"]);
    let follower = stored(&bench, "production", "api").await.unwrap();
    assert_eq!(follower.pin().map(ToString::to_string), Some(digest("a")));
    assert_eq!(
        follower.source,
        Source::Image {
            repository: API.parse().unwrap(),
            tags: Default::default(),
        }
    );
    // It can be moved like any other pin, and its page is whole.
    let services = &bench.services;
    views::resource(services, &admin, &at("production"), "api")
        .await
        .unwrap();
    promotion::edit_pin(services, &admin, &at("production"), "api", &digest("b"), false)
        .await
        .unwrap();
    let entries = told(&bench, &admin).await;
    assert!(entries.contains(&"moved the pin to aaaaaaa".to_owned()), "{entries:?}");

    // One that runs nothing yet can't be pinned.
    let mut more = document();
    more["projects"][0]["environments"][1]["resources"] = json!([]);
    more["projects"][0]["environments"][2]["resources"] =
        json!([{ "name": "web", "source": { "promote": { "environment": "development", "resource": "web" } } }]);
    bench.apply(&admin, &more).await;
    let why = stays(&bench, &admin, &resource("development", "web"), PIN).await;
    assert!(
        why.contains("production/web follows myapp/development/web, and runs nothing yet"),
        "{why}"
    );
}

#[tokio::test]
async fn what_waits_is_cancelled_and_what_is_committed_is_in_the_way() {
    let (bench, admin) = set_up().await;
    let services = &bench.services;
    let id = promotion::edit_pin(services, &admin, &at("production"), "api", &digest("b"), false)
        .await
        .unwrap();
    bring(&bench, id, &[State::Mirroring, State::Committing, State::Syncing]).await;
    let before = told(&bench, &admin).await;
    for target in [
        resource("production", "api"),
        environment("production"),
        other("project", "myapp"),
    ] {
        let why = stays(&bench, &admin, &target, PIN).await;
        let wanted = format!(
            "A promotion of production/api to bbbbbbb is syncing: its commit is on its way or on the branch. Wait until it has ended: http://waybill.example/promotions/{id}"
        );
        assert!(why.contains(&wanted), "{why}");
    }
    assert_eq!(told(&bench, &admin).await, before, "nothing is written");
    bring(&bench, id, &[State::Verifying, State::Succeeded]).await;

    let waits = promotion::edit_pin(services, &admin, &at("production"), "api", &digest("a"), false)
        .await
        .unwrap();
    let view = removal::removal(services, &admin, &resource("production", "api"))
        .await
        .unwrap();
    assert_eq!((view.cancels, view.refusals.as_slice()), (1, &[][..]));
    let removed = remove(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    assert_eq!(removed.with, ["1 promotion that waited is cancelled"]);
    let ended = promotion(&bench, waits).await;
    assert_eq!(ended.state, State::Cancelled);
    assert_eq!(ended.waits_for.as_deref(), Some("boss deleted myapp/production/api."));
    assert_eq!(
        promotion(&bench, id).await.state,
        State::Succeeded,
        "what had ended stays"
    );
}

#[tokio::test]
async fn a_promotion_that_commits_is_in_the_way_whoever_is_at_it() {
    let (bench, admin) = set_up().await;
    let id = promotion::edit_pin(&bench.services, &admin, &at("production"), "api", &digest("b"), false)
        .await
        .unwrap();
    bring(&bench, id, &[State::Mirroring, State::Committing]).await;
    let now = bench.services.now();
    let mut tx = bench.store.write().await.unwrap();
    let taken = tx
        .claim_promotions("worker", server::store::Lane::Commit, now, now.plus_millis(8_000), 10)
        .await
        .unwrap();
    assert!(taken.iter().any(|p| p.id == id));
    tx.commit().await.unwrap();
    let why = stays(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    assert!(why.contains("is committing"), "{why}");
    let mut tx = bench.store.write().await.unwrap();
    tx.release_leases(None).await.unwrap();
    tx.commit().await.unwrap();
    // Its commit may be on the branch all the same.
    let why = stays(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    assert!(why.contains("is committing"), "{why}");
    assert_eq!(promotion(&bench, id).await.state, State::Committing);
}

#[tokio::test]
async fn an_unknown_word_is_refused() {
    let (bench, admin) = set_up().await;
    let target = other("galaxy", "milky-way");
    let error = removal::removal(&bench.services, &admin, &target).await.unwrap_err();
    assert!(matches!(error, AppError::BadRequest(_)), "{error:?}");
}

/// What applying says, words only; panics when it is refused.
async fn applied(bench: &Bench, caller: &Caller, document: &Value, dry_run: bool) -> Vec<String> {
    let applied = configure::apply(&bench.services, caller, &read(document), dry_run)
        .await
        .unwrap();
    crate::support::words(&applied)
}
