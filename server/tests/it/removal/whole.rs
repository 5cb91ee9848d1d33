//! Environments, projects, clusters and workspaces: all that is in them goes, secrets are erased, and those who were let in are out.

use super::*;
use crate::support::database::Database;
use contract::notification::ChannelDraft;
use secrecy::ExposeSecret as _;
use server::{
    service::{
        access::{self, NewToken},
        configure, notification, promotion, views,
    },
    store::sessions::SessionRecord,
};

/// A column of a table, whatever the store says of its rows.
async fn column(bench: &Bench, what: &'static str) -> Vec<Option<String>> {
    match &bench.database {
        Database::Sqlite(_) => {
            let pool = sqlx::SqlitePool::connect(&bench.database.url()).await.unwrap();
            sqlx::query_scalar(what).fetch_all(&pool).await.unwrap()
        }
        Database::Postgres(_) => {
            let pool = sqlx::PgPool::connect(&bench.database.url()).await.unwrap();
            sqlx::query_scalar(what).fetch_all(&pool).await.unwrap()
        }
    }
}

async fn channel(bench: &Bench, ada: &Caller, name: &str, environments: &str) {
    let draft = ChannelDraft {
        name: name.into(),
        project: "myapp".into(),
        kind: "slack".into(),
        address: "http://127.0.0.1:9/".into(),
        occasions: "failed".into(),
        environments: environments.into(),
    };
    notification::add_channel(&bench.services, ada, "demo", draft)
        .await
        .unwrap();
}

async fn token(bench: &Bench, ada: &Caller, name: &str, part: (&str, &str)) -> String {
    let new = NewToken {
        name,
        role: Role::Developer,
        expires_in_millis: None,
    };
    let token = access::create_token_for(&bench.services, ada, "demo", &new, part)
        .await
        .unwrap();
    token.expose_secret().to_owned()
}

#[tokio::test]
async fn a_removed_environment_takes_its_resources_tokens_and_stops_with_it() {
    let (bench, admin) = set_up().await;
    let services = &bench.services;
    let (ada, _) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let its = token(&bench, &ada, "for-staging", ("myapp", "staging")).await;
    let others = token(&bench, &ada, "for-myapp", ("myapp", "")).await;
    channel(&bench, &ada, "only-staging", "staging").await;
    channel(&bench, &ada, "all", "").await;
    promotion::pause_promotions(services, &admin, "demo", "myapp", Some("staging"), "Broken")
        .await
        .unwrap();

    // A policy that names it could never be met again.
    let mut asking = document();
    asking["projects"][0]["environments"][2]["policy"] = json!({ "ranIn": [{ "environment": "staging" }] });
    bench.apply(&admin, &asking).await;
    let why = stays(&bench, &admin, &environment("staging"), PIN).await;
    assert_eq!(
        why,
        "The policy of production asks that an image ran in staging. Change that policy first."
    );
    asking["projects"][0]["environments"][2]["policy"] = json!({});
    bench.apply(&admin, &asking).await;

    let why = stays(&bench, &admin, &environment("staging"), RemovalChoices::default()).await;
    assert!(why.starts_with("production/api follows"), "{why}");
    let (id, before) = project(&bench, "myapp").await;
    let removed = remove(&bench, &admin, &environment("staging"), PIN).await;
    assert_eq!(
        removed.with,
        [
            "resource api",
            "channel only-staging, which told of staging only",
            "token for-staging",
            "production/api is pinned to aaaaaaa",
        ]
    );
    let (_, after) = project(&bench, "myapp").await;
    let names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["development", "production"]);
    assert_eq!(
        applied(&bench, &admin, &without_staging(), false).await,
        [""; 0],
        "no gap is left in the order"
    );
    let here = notification::notifications(services, &ada, "demo").await.unwrap();
    assert_eq!(
        here.channels.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["all"]
    );
    assert_eq!(access::caller_of_token(services, &its).await.unwrap(), None);
    assert!(access::caller_of_token(services, &others).await.unwrap().is_some());
    assert_eq!(bench.store.read().await.unwrap().stops(id).await.unwrap(), []);
    let gone = views::environment(services, &admin, &at("staging")).await;
    assert!(matches!(gone, Err(AppError::NotFound(_))));

    // Its history can still be looked for, and is no longer offered.
    let filter = ActivityFilter {
        env: "myapp/staging".into(),
        ..ActivityFilter::default()
    };
    let view = activity(&bench, &admin, filter).await;
    assert_eq!(view.entries[0].did, "deleted the environment myapp/staging");
    assert_eq!(
        view.entries[0].environment.as_ref().map(|e| e.as_str()),
        Some("staging")
    );
    assert!(
        !view.environments.contains(&"myapp/staging".to_owned()),
        "{:?}",
        view.environments
    );

    // Its name is free; what takes it begins anew.
    bench.apply(&admin, &document()).await;
    let (_, again) = project(&bench, "myapp").await;
    let id_of = |all: &[(String, EnvironmentId)]| all.iter().find(|(name, _)| name == "staging").unwrap().1;
    assert_ne!(id_of(&again), id_of(&before));
    assert_eq!(bench.store.read().await.unwrap().stops(id).await.unwrap(), []);
}

fn without_staging() -> Value {
    let mut document = document();
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments.remove(1);
    environments[1]["resources"] = json!([]);
    document
}

#[tokio::test]
async fn a_removed_project_loses_its_secrets_at_once_and_stays_hidden_from_whom_it_was() {
    let (bench, admin) = set_up().await;
    let services = &bench.services;
    let (ada, _) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let (_, eve) = bench.member("eve@example.com", "demo", Role::Admin).await;
    let (id, _) = project(&bench, "myapp").await;
    let mut tx = bench.store.write().await.unwrap();
    tx.set_project_role(id, eve, None).await.unwrap();
    tx.commit().await.unwrap();
    channel(&bench, &ada, "all", "").await;
    let its = token(&bench, &ada, "for-myapp", ("myapp", "")).await;
    let asked = promotion::edit_pin(services, &admin, &at("production"), "api", &digest("b"), false)
        .await
        .unwrap();

    let removed = remove(&bench, &admin, &other("project", "myapp"), RemovalChoices::default()).await;
    assert_eq!(
        removed.with,
        [
            "environment development with api, web",
            "environment staging with api",
            "environment production with api",
            "channel all",
            "token for-myapp",
            "1 promotion that waited is cancelled",
        ]
    );
    let sealed = column(&bench, "SELECT credentials FROM projects ORDER BY name").await;
    assert_eq!(sealed, [None, None], "erased");
    assert_eq!(column(&bench, "SELECT target FROM channels").await, []);
    assert_eq!(access::caller_of_token(services, &its).await.unwrap(), None);
    let names: Vec<_> = (views::projects(services, &admin).await.unwrap().into_iter())
        .map(|p| p.name.to_string())
        .collect();
    assert_eq!(names, ["blog"]);
    let mut tx = bench.store.read().await.unwrap();
    assert_eq!(tx.image_repositories().await.unwrap(), [], "nobody polls for it");
    assert_eq!(tx.open_promotions_in(id).await.unwrap(), []);
    drop(tx);

    // Its history is for those who could see it.
    let page = views::promotion(services, &admin, &asked.to_string()).await.unwrap();
    assert_eq!((page.project.as_str(), page.state), ("myapp", State::Cancelled));
    let eve = access::caller_of_user(services, eve).await.unwrap().unwrap();
    let hidden = views::promotion(services, &eve, &asked.to_string()).await;
    assert!(matches!(hidden, Err(AppError::NotFound(_))), "{hidden:?}");
    let ledger = views::export_ledger(services, &eve, "demo").await.map(drop);
    assert!(matches!(ledger, Err(AppError::Forbidden(_))), "{ledger:?}");
    let seen = told(&bench, &eve).await;
    assert!(seen.iter().all(|did| !did.contains("myapp")), "{seen:?}");
    // Whoever takes the name has nothing of it.
    bench.apply(&admin, &document()).await;
    let (new, _) = project(&bench, "myapp").await;
    assert_ne!(new, id);
    assert!(
        bench
            .store
            .read()
            .await
            .unwrap()
            .project_roles(new)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_cluster_that_runs_something_stays_and_another_loses_its_secrets() {
    let (bench, admin) = set_up().await;
    let why = stays(&bench, &admin, &other("cluster", "local"), RemovalChoices::default()).await;
    assert!(
        why.contains("myapp/development, myapp/staging, myapp/production run on it"),
        "{why}"
    );
    remove(&bench, &admin, &other("cluster", "spare"), RemovalChoices::default()).await;
    let names: Vec<_> = (configure::clusters(&bench.services, &admin, "demo")
        .await
        .unwrap()
        .clusters
        .into_iter())
    .map(|cluster| cluster.draft.name)
    .collect();
    assert_eq!(names, ["local"]);
    for secret in ["argocd_token", "argocd_ca"] {
        let what = match secret {
            "argocd_token" => "SELECT argocd_token FROM clusters WHERE removed_at IS NOT NULL",
            _ => "SELECT argocd_ca FROM clusters WHERE removed_at IS NOT NULL",
        };
        assert_eq!(column(&bench, what).await, [None], "{secret}");
    }
    // The one that is in use can go when what runs there is gone.
    remove(&bench, &admin, &other("project", "myapp"), RemovalChoices::default()).await;
    remove(&bench, &admin, &other("cluster", "local"), RemovalChoices::default()).await;
    let passwords = column(&bench, "SELECT pull_password FROM registries").await;
    assert!(passwords.iter().all(Option::is_some), "a registry goes by itself");
    remove(&bench, &admin, &other("registry", "local"), RemovalChoices::default()).await;
    let passwords = column(&bench, "SELECT pull_password FROM registries").await;
    assert_eq!(passwords, [None]);
    bench.apply(&admin, &document()).await;
}

#[tokio::test]
async fn a_removed_workspace_lets_nobody_in_and_frees_its_name() {
    let (bench, admin) = set_up().await;
    let services = &bench.services;
    let (ada, ada_id) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let (_, both) = bench.member("both@example.com", "demo", Role::Viewer).await;
    let (_, only) = bench.member("only@example.com", "demo", Role::Viewer).await;
    let target = other("workspace", "demo");
    let typed = async |caller: &Caller, typed: &str| {
        removal::remove(services, caller, &target, RemovalChoices::default(), typed).await
    };

    let error = typed(&ada, "dem").await.unwrap_err();
    assert!(
        error.fields().is_some_and(|fields| fields.get("typed").is_some()),
        "{error:?}"
    );
    let error = typed(&ada, "demo").await.unwrap_err().to_string();
    assert!(error.contains("only workspace that anybody administers"), "{error}");

    bench.program("other", "elsewhere", Role::Admin).await;
    let mut tx = bench.store.write().await.unwrap();
    let elsewhere = tx.workspace_by_name("other").await.unwrap().unwrap();
    tx.set_membership(elsewhere.id, both, Role::Admin).await.unwrap();
    let demo = tx.workspace_by_name("demo").await.unwrap().unwrap();
    for (id, user) in [("only", only), ("both", both)] {
        let session = SessionRecord {
            id: id.into(),
            user: Some(user),
            user_agent: None,
            address: None,
            created_at: None,
            seen_at: None,
            expires_at: services.now().plus_millis(60_000),
        };
        tx.insert_session(&session, "{}").await.unwrap();
    }
    tx.commit().await.unwrap();
    let link = access::invite(services, &ada, "demo", "new@example.com", "viewer")
        .await
        .unwrap()
        .link;
    let secret = token(&bench, &ada, "ci", ("", "")).await;

    let removed = typed(&ada, " demo ").await.unwrap();
    assert!(removed.with.contains(&"project myapp".to_owned()), "{removed:?}");
    assert!(removed.with.contains(&"token ci".to_owned()), "{removed:?}");
    assert_eq!(access::caller_of_token(services, &secret).await.unwrap(), None);
    let key = link.split_once("key=").unwrap().1;
    assert!(access::invitation(services, key).await.is_err());
    let mut tx = bench.store.read().await.unwrap();
    let now = services.now();
    assert!(
        tx.session("only", now).await.unwrap().is_none(),
        "they belong nowhere else"
    );
    assert!(tx.session("both", now).await.unwrap().is_some());
    assert_eq!(tx.memberships(only).await.unwrap(), []);
    assert_eq!(tx.memberships(both).await.unwrap().len(), 1);
    assert!(tx.workspaces().await.unwrap().iter().all(|w| w.name.as_str() != "demo"));
    assert_eq!(tx.clusters(demo.id).await.unwrap(), []);
    assert_eq!(tx.projects(demo.id).await.unwrap(), []);
    assert_eq!(tx.image_repositories().await.unwrap(), []);
    drop(tx);
    for sealed in [
        "SELECT credentials FROM projects",
        "SELECT argocd_token FROM clusters",
        "SELECT pull_password FROM registries",
    ] {
        assert!(column(&bench, sealed).await.iter().all(Option::is_none), "{sealed}");
    }
    // Who was in is out, whatever they held in their hands.
    let late = views::projects(
        services,
        &access::caller_of_user(services, ada_id).await.unwrap().unwrap(),
    )
    .await;
    assert_eq!(late.unwrap(), []);
    assert!(
        removal::remove(services, &admin, &target, RemovalChoices::default(), "demo")
            .await
            .is_err()
    );

    // Its ledger stays, whole, by its id; and a new workspace of the name has one of its own.
    let ever = views::ledger_workspaces(&*bench.store, Some(&demo.id.to_string()))
        .await
        .unwrap();
    assert_eq!(ever[0].name.as_str(), "demo");
    let checked = views::check_ledger(&*bench.store, demo.id).await.unwrap();
    assert!(checked.broken.is_none() && checked.chained > 10, "{checked:?}");
    let (again, _) = bench.program("demo", "anew", Role::Admin).await;
    bench.apply(&again, &document()).await;
    let new = bench
        .store
        .read()
        .await
        .unwrap()
        .workspace_by_name("demo")
        .await
        .unwrap()
        .unwrap();
    assert_ne!(new.id, demo.id);
    let named = views::ledger_workspaces(&*bench.store, Some("demo")).await.unwrap();
    assert_eq!(named, [new]);
}
