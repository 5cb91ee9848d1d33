//! Configuration as code.

use crate::support::{Bench, digest, read, stranger, words};
use contract::error::AppError;
use domain::{
    event::Happened,
    resource::{Binding, Source},
    rights::Role,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::{
    ports::git::Credentials,
    service::{
        Caller,
        access::{self, NewToken},
        configure::{self, Sign},
    },
};

const IMAGE: &str = "127.0.0.1:5000/myapp/api";

fn whole() -> Value {
    json!({
        "workspace": "demo",
        "clusters": [{
            "name": "local",
            "argocd": { "url": "http://127.0.0.1:8080", "token": "argo-secret", "project": "default" },
            "registry": { "host": "127.0.0.1:5000", "plainHttp": true, "user": "waybill", "password": "pull-secret" },
        }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "https://git.example.com/gitops.git", "credentials": { "user": "x", "token": "git-secret" } },
            "environments": [
                { "name": "development", "cluster": "local", "resources": [
                    { "name": "api", "source": { "image": IMAGE }, "runtime": { "replicas": 2, "env": { "B": "1", "A": "2" } } },
                    { "name": "nightly", "kind": "job", "source": { "image": "127.0.0.1:5000/myapp/nightly" } },
                ] },
                { "name": "staging", "cluster": "local", "resources": [
                    { "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } } },
                ] },
                { "name": "production", "cluster": "local", "protected": true },
            ],
        }],
    })
}

async fn admin(bench: &Bench) -> Caller {
    bench.program("demo", "boss", Role::Admin).await.0
}

/// What is wrong with a document, field and message.
async fn refused(bench: &Bench, caller: &Caller, document: &Value) -> (String, String) {
    let error = configure::apply(&bench.services, caller, &read(document), false)
        .await
        .unwrap_err();
    let fields = error.fields().unwrap().0.clone();
    assert_eq!(fields.len(), 1, "{fields:?}");
    (fields[0].field.clone(), fields[0].message.clone())
}

#[tokio::test]
async fn applying_creates_everything_and_applying_again_changes_nothing() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    let first = bench.apply(&caller, &whole()).await;
    assert_eq!(
        words(&first),
        [
            "create registry local",
            "create cluster local",
            "create project myapp",
            "create environment myapp/development",
            "create environment myapp/staging",
            "create environment myapp/production",
            "create resource myapp/development/api",
            "create resource myapp/development/nightly",
            "create resource myapp/staging/api",
        ]
    );
    assert_eq!(first.warnings, [""; 0]);
    let events = bench.store.read().await.unwrap().newest_event().await.unwrap();
    let again = bench.apply(&caller, &whole()).await;
    assert_eq!((words(&again), again.warnings), (vec![], vec![]));
    let after = bench.store.read().await.unwrap().newest_event().await.unwrap();
    assert_eq!(events, after, "nothing is written when nothing changes");

    let seen = bench.git.seen().unwrap();
    assert_eq!(
        (seen.url.as_str(), seen.branch.as_str()),
        ("https://git.example.com/gitops.git", "main")
    );
    let Credentials::UserToken { user, token } = seen.credentials else {
        panic!("no credentials")
    };
    assert_eq!((user.as_str(), token.expose_secret()), ("x", "git-secret"));

    let mut tx = bench.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let stored = format!(
        "{:?}{:?}",
        tx.clusters(workspace.id).await.unwrap(),
        tx.projects(workspace.id).await.unwrap()
    );
    let events = tx.events_after(0, 1000).await.unwrap();
    assert!(
        events
            .iter()
            .any(|e| matches!(&e.happened, Happened::Applied { changes } if changes.len() == 9))
    );
    let told = format!("{stored}{events:?}{first:?}");
    for secret in ["argo-secret", "pull-secret", "git-secret"] {
        assert!(!told.contains(secret), "{secret} is readable");
    }
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_writes_nothing() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    let before = bench.store.read().await.unwrap().newest_event().await.unwrap();
    let dry = configure::apply(&bench.services, &caller, &read(&whole()), true)
        .await
        .unwrap();
    assert!(dry.dry_run);
    let mut tx = bench.store.read().await.unwrap();
    assert_eq!(tx.newest_event().await.unwrap(), before);
    assert_eq!(tx.projects(caller.access[0].0.id).await.unwrap(), []);
    drop(tx);
    let real = bench.apply(&caller, &whole()).await;
    assert_eq!(words(&real), words(&dry));
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_adopted_and_what_would_start() {
    let image = "127.0.0.1:5000/myapp/api";
    let bench = Bench::new().await;
    let (caller, _) = bench.program("demo", "admin", Role::Admin).await;
    bench.git.declare(
        "environments/development/values.yaml",
        "api",
        image,
        "1.5.0",
        &digest("a"),
    );
    bench.git.declare(
        "environments/staging/values.yaml",
        "other",
        image,
        "1.5.0",
        &digest("a"),
    );
    let mut document = crate::support::api_alone(image);
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    let follows =
        json!({ "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } } });
    for name in ["staging", "production"] {
        environments.push(json!({ "name": name, "cluster": "local", "resources": [follows] }));
    }
    environments[0]["resources"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "worker", "source": { "image": image } }));
    let dry = configure::apply(&bench.services, &caller, &read(&document), true)
        .await
        .unwrap();
    assert_eq!(
        dry.outlook,
        [
            "myapp/development/api: would be adopted as it is: environments/development/values.yaml says 1.5.0 (aaaaaaa)",
            "myapp/development/worker: would start a promotion of the newest image of 127.0.0.1:5000/myapp/api: \
             environments/development/values.yaml doesn't declare it yet",
            "myapp/staging/api: would start a promotion of what development/api runs: environments/staging/values.yaml doesn't declare it yet",
            "myapp/production/api: would start a promotion of what development/api runs: environments/production/values.yaml doesn't declare it yet",
        ]
    );
    bench.git.go_down(Some("connection refused"));
    let dry = configure::apply(&bench.services, &caller, &read(&document), true)
        .await
        .unwrap();
    assert!(
        dry.outlook.len() == 1 && dry.outlook[0].contains("can't be said"),
        "{:?}",
        dry.outlook
    );
    bench.git.go_down(None);
    let applied = bench.apply(&caller, &document).await;
    assert_eq!(applied.outlook, [""; 0]);
    // Nothing differs now.
    let again = configure::apply(&bench.services, &caller, &read(&document), true)
        .await
        .unwrap();
    assert_eq!(again.outlook, [""; 0]);
}

#[tokio::test]
async fn changes_are_said_one_by_one_and_secrets_never() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    bench.apply(&caller, &whole()).await;
    let mut other = whole();
    other["clusters"][0]["argocd"]["url"] = json!("https://argocd.example.com/");
    other["clusters"][0]["argocd"]["token"] = json!("new-argo-secret");
    other["clusters"][0]["registry"]["password"] = json!("new-pull-secret");
    other["projects"][0]["repository"]["branch"] = json!("release");
    other["projects"][0]["repository"]["credentials"]["token"] = json!("new-git-secret");
    other["projects"][0]["environments"][2]["protected"] = json!(false);
    other["projects"][0]["environments"][0]["resources"][0]["runtime"] = json!({ "replicas": 3 });
    let changes = bench.apply(&caller, &other).await;
    assert_eq!(
        words(&changes),
        [
            "change registry local: pull password",
            "change cluster local: argocd url http://127.0.0.1:8080 → https://argocd.example.com, argocd token",
            "change project myapp: branch main → release, credentials",
            "change environment myapp/production: protected yes → no",
            "change resource myapp/development/api: replicas, environment variables",
        ]
    );
    assert!(changes.changes.iter().all(|change| change.sign == Sign::Change));
    assert_eq!(words(&bench.apply(&caller, &other).await), [""; 0]);
    other["clusters"][0].as_object_mut().unwrap().remove("argocd");
    let changes = bench.apply(&caller, &other).await;
    assert_eq!(
        words(&changes),
        ["change cluster local: argocd https://argocd.example.com → none"]
    );
}

#[tokio::test]
async fn what_the_document_leaves_out_is_left_alone() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    let mut pinned = whole();
    pinned["projects"][0]["environments"][1]["resources"][0]["binding"] = json!({ "pin": digest("a") });
    bench.apply(&caller, &pinned).await;
    // Neither the other environments nor the binding are named, and qa comes between two that are there.
    let mut part = whole();
    part["projects"][0]["environments"] = json!([
        { "name": "development", "cluster": "local" },
        { "name": "qa", "cluster": "local" },
        { "name": "staging", "cluster": "local", "resources": [
            { "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } } },
        ] },
    ]);
    let changes = words(&bench.apply(&caller, &part).await);
    assert_eq!(
        changes,
        [
            "create environment myapp/qa",
            "change environment myapp/staging: place 2 → 3"
        ]
    );
    let mut tx = bench.store.read().await.unwrap();
    let project = tx.projects(caller.access[0].0.id).await.unwrap().remove(0).project.id;
    let environments = tx.environments(project).await.unwrap();
    let order: Vec<(&str, i64)> = environments.iter().map(|e| (e.name.as_str(), e.position)).collect();
    assert_eq!(
        order,
        [("development", 0), ("qa", 1), ("staging", 2), ("production", 3)]
    );
    let resources = tx.resources(project).await.unwrap();
    let staging = resources.iter().find(|r| r.environment == environments[2].id).unwrap();
    assert_eq!(staging.binding, Binding::Pin(digest("a").parse().unwrap()));
    assert_eq!(resources.len(), 3);
    drop(tx);
    // Said outright it is done.
    part["projects"][0]["environments"][2]["resources"][0]["binding"] = json!("latest");
    let changes = words(&bench.apply(&caller, &part).await);
    assert_eq!(
        changes,
        ["change resource myapp/staging/api: binding pin aaaaaaa → latest"]
    );
}

#[tokio::test]
async fn another_pin_is_an_edited_pin_and_is_promoted() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    bench.registry.push(IMAGE, "one", &digest("a"));
    bench.registry.push(IMAGE, "two", &digest("b"));
    bench.git.declare(
        "environments/development/values.yaml",
        "api",
        IMAGE,
        "one",
        &digest("a"),
    );
    let mut document = whole();
    document["projects"][0]["environments"][1]["resources"][0]["binding"] = json!({ "pin": digest("a") });
    bench.apply(&caller, &document).await;
    document["projects"][0]["environments"][1]["resources"][0]["binding"] = json!({ "pin": digest("b") });
    let changes = words(&bench.apply(&caller, &document).await);
    assert_eq!(
        changes,
        ["change resource myapp/staging/api: binding pin aaaaaaa → pin bbbbbbb"]
    );
    let mut tx = bench.store.read().await.unwrap();
    let events = tx.events_after(0, 1000).await.unwrap();
    let mut moved = events
        .iter()
        .filter(|e| matches!(&e.happened, Happened::PinChanged { to } if to.short() == "bbbbbbb"));
    let resource = moved.next_back().unwrap().subject.resource.unwrap();
    let newest = tx.promotions_of(resource, 1).await.unwrap().remove(0);
    assert_eq!(newest.image.digest.as_str(), digest("b"));
}

#[tokio::test]
async fn what_git_declares_is_adopted_also_for_a_resource_that_is_added_later() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    for environment in ["development", "staging"] {
        let path = format!("environments/{environment}/values.yaml");
        bench.git.declare(&path, "api", IMAGE, "one", &digest("a"));
    }
    bench.registry.push(IMAGE, "one", &digest("a"));
    let mut document = whole();
    let staging = document["projects"][0]["environments"][1].clone();
    document["projects"][0]["environments"][1]["resources"] = json!([]);
    bench.apply(&caller, &document).await;
    document["projects"][0]["environments"][1] = staging;
    assert_eq!(
        words(&bench.apply(&caller, &document).await),
        ["create resource myapp/staging/api"]
    );
    let mut tx = bench.store.read().await.unwrap();
    let project = tx.projects(caller.access[0].0.id).await.unwrap().remove(0).project.id;
    for resource in tx
        .resources(project)
        .await
        .unwrap()
        .iter()
        .filter(|r| r.name.as_str() == "api")
    {
        assert_eq!(resource.desired.as_ref().unwrap().digest.as_str(), digest("a"));
        assert_eq!(
            tx.promotions_of(resource.id, 10).await.unwrap(),
            [],
            "a running system is left as it is"
        );
    }
}

#[tokio::test]
async fn a_repository_that_is_down_is_caught_up_by_applying_again() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    bench.registry.push(IMAGE, "one", &digest("a"));
    bench.git.declare(
        "environments/development/values.yaml",
        "api",
        IMAGE,
        "one",
        &digest("a"),
    );
    bench.git.go_down(Some("connection refused"));
    bench.apply(&caller, &whole()).await;
    bench.git.go_down(None);
    assert_eq!(words(&bench.apply(&caller, &whole()).await), [""; 0]);
    let mut tx = bench.store.read().await.unwrap();
    let project = tx.projects(caller.access[0].0.id).await.unwrap().remove(0).project.id;
    let resources = tx.resources(project).await.unwrap();
    let development = resources
        .iter()
        .find(|r| matches!(&r.source, Source::Image { repository, .. } if repository.as_str() == IMAGE));
    let promotions = tx.promotions_of(development.unwrap().id, 10).await.unwrap();
    assert!(development.unwrap().desired.is_some() || !promotions.is_empty());
}

#[tokio::test]
async fn circles_and_wrong_sources_are_refused_with_their_place() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    bench.apply(&caller, &whole()).await;
    let source =
        |environment: &str, resource: &str| json!({ "promote": { "environment": environment, "resource": resource } });
    let mut circle = whole();
    circle["projects"][0]["environments"][0]["resources"][0]["source"] = source("staging", "api");
    let error = configure::apply(&bench.services, &caller, &read(&circle), false)
        .await
        .unwrap_err();
    let message = error
        .fields()
        .unwrap()
        .get("projects[0].environments[0].resources[0].source")
        .unwrap();
    assert!(
        message.contains("development/api → staging/api → development/api"),
        "{message}"
    );

    for (from, place, expected) in [
        (
            source("development", "nightly"),
            "source.promote.resource",
            "development/nightly is a job",
        ),
        (
            source("development", "web"),
            "source.promote.resource",
            "development has no resource web",
        ),
        (source("qa", "api"), "source.promote.environment", "no environment qa"),
        (
            source("staging", "api"),
            "source.promote.environment",
            "can't be promoted from itself",
        ),
    ] {
        let mut document = whole();
        document["projects"][0]["environments"][1]["resources"][0]["source"] = from;
        let (field, message) = refused(&bench, &caller, &document).await;
        assert_eq!(field, format!("projects[0].environments[1].resources[0].{place}"));
        assert!(message.contains(expected), "{message}");
    }
    let mut followed = whole();
    followed["projects"][0]["environments"][0]["resources"][0]["kind"] = json!("job");
    let error = configure::apply(&bench.services, &caller, &read(&followed), false)
        .await
        .unwrap_err();
    let message = error
        .fields()
        .unwrap()
        .get("projects[0].environments[0].resources[0].kind")
        .unwrap();
    assert!(message.contains("staging/api follows it"), "{message}");
}

#[tokio::test]
async fn every_rule_of_the_document_names_its_place() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    for (pointer, value, field, expected) in [
        ("/workspace", json!("De mo"), "workspace", "lower-case"),
        ("/clusters/0/name", json!("Local"), "clusters[0].name", "lower-case"),
        (
            "/clusters/0/argocd/url",
            json!("argocd.example.com"),
            "clusters[0].argocd.url",
            "https://",
        ),
        (
            "/clusters/0/argocd/url",
            json!("https://u:p@argocd.example.com"),
            "clusters[0].argocd.url",
            "out of the address",
        ),
        (
            "/clusters/0/argocd/application",
            json!("{app}"),
            "clusters[0].argocd.application",
            "{project}",
        ),
        (
            "/clusters/0/registry/host",
            json!("https://r.example"),
            "clusters[0].registry.host",
            "without scheme",
        ),
        (
            "/clusters/0/registry/user",
            Value::Null,
            "clusters[0].registry.password",
            "Name the user",
        ),
        (
            "/projects/0/repository/url",
            json!("gitops.git"),
            "projects[0].repository.url",
            "absolute path",
        ),
        (
            "/projects/0/repository/url",
            json!("ext::sh -c x"),
            "projects[0].repository.url",
            "absolute path",
        ),
        (
            "/projects/0/repository/url",
            json!("fd::17"),
            "projects[0].repository.url",
            "absolute path",
        ),
        (
            "/projects/0/repository/url",
            json!("ssh://-oProxyCommand=x/y"),
            "projects[0].repository.url",
            "absolute path",
        ),
        (
            "/projects/0/repository/url",
            json!("https://u:t@h.example/x"),
            "projects[0].repository.url",
            "out of the address",
        ),
        (
            "/projects/0/repository/branch",
            json!("a..b"),
            "projects[0].repository.branch",
            "name of a branch",
        ),
        (
            "/projects/0/repository/credentials/user",
            Value::Null,
            "projects[0].repository.credentials",
            "either user and token",
        ),
        (
            "/projects/0/pathTemplate",
            json!("values.yaml"),
            "projects[0].pathTemplate",
            "{environment}",
        ),
        (
            "/projects/0/pathTemplate",
            json!("../{environment}.yaml"),
            "projects[0].pathTemplate",
            "inside the repository",
        ),
        (
            "/projects/0/pathTemplate",
            json!("/etc/{environment}"),
            "projects[0].pathTemplate",
            "inside the repository",
        ),
        (
            "/projects/0/pathTemplate",
            json!("{project}/{environment}"),
            "projects[0].pathTemplate",
            "only placeholder",
        ),
        (
            "/projects/0/valuesPrefix",
            json!("a..b"),
            "projects[0].valuesPrefix",
            "joined by dots",
        ),
        (
            "/projects/0/environments/1/cluster",
            json!("other"),
            "projects[0].environments[1].cluster",
            "no cluster other",
        ),
        (
            "/projects/0/environments/1/name",
            json!("development"),
            "projects[0].environments[1].name",
            "two entries",
        ),
        (
            "/projects/0/environments/0/resources/0/source",
            json!({ "image": "api:1.0" }),
            "projects[0].environments[0].resources[0].source.image",
            "registry's host",
        ),
        (
            "/projects/0/environments/0/resources/0/binding",
            json!({ "pin": "sha256:ABC" }),
            "projects[0].environments[0].resources[0].binding.pin",
            "lower case",
        ),
        (
            "/projects/0/environments/0/resources/0/runtime/env",
            json!({ "A": "1", "2B": "x" }),
            "projects[0].environments[0].resources[0].runtime.env.2B",
            "not beginning with a digit",
        ),
        (
            "/projects/0/environments/0/resources/0/runtime/healthPath",
            json!("healthz"),
            "projects[0].environments[0].resources[0].runtime.healthPath",
            "slash",
        ),
    ] {
        let mut document = whole();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value;
        // "development" twice also makes staging's source itself.
        if field.ends_with("environments[1].name") {
            document["projects"][0]["environments"][1]["resources"] = json!([]);
        }
        let error = configure::apply(&bench.services, &caller, &read(&document), false)
            .await
            .unwrap_err();
        let message = error
            .fields()
            .and_then(|fields| fields.get(field))
            .unwrap_or_else(|| panic!("{field}: {error}"));
        assert!(message.contains(expected), "{field}: {message}");
    }
    let projects = bench
        .store
        .read()
        .await
        .unwrap()
        .projects(caller.access[0].0.id)
        .await
        .unwrap();
    assert_eq!(projects, [], "nothing half-done is left behind");
}

#[tokio::test]
async fn addresses_of_every_kind_are_taken() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    for url in [
        "https://git.example.com/a.git",
        "http://127.0.0.1:3000/a.git",
        "ssh://git@git.example.com:22/a.git",
        "git@github.com:acme/a.git",
        "file:///srv/git/a.git",
        "/srv/git/a.git",
    ] {
        let mut document = whole();
        document["projects"][0]["repository"]["url"] = json!(url);
        assert!(
            configure::apply(&bench.services, &caller, &read(&document), true)
                .await
                .is_ok(),
            "{url}"
        );
    }
}

#[tokio::test]
async fn only_administrators_of_the_workspace_apply() {
    let bench = Bench::new().await;
    let caller = admin(&bench).await;
    let (elsewhere, _) = bench.program("other", "boss", Role::Admin).await;
    let workspace = &caller.access[0].0;
    let apply = |caller: Caller| {
        let bench = &bench;
        async move {
            configure::apply(&bench.services, &caller, &read(&whole()), true)
                .await
                .unwrap_err()
        }
    };
    let approver = apply(stranger(workspace, Role::Approver)).await;
    assert!(
        matches!(&approver, AppError::Forbidden(why) if why.contains("admin")),
        "{approver}"
    );
    assert!(matches!(apply(elsewhere).await, AppError::Forbidden(_)));
}

#[tokio::test]
async fn who_administers_nothing_does_not_learn_which_workspaces_there_are() {
    let bench = Bench::new().await;
    admin(&bench).await;
    bench.program("other", "boss", Role::Admin).await;
    let (eve, _) = bench.member("eve@example.com", "other", Role::Approver).await;
    let mut absent = whole();
    absent["workspace"] = json!("emod");
    for dry_run in [true, false] {
        let ask = async |document: &Value| {
            configure::apply(&bench.services, &eve, &read(document), dry_run)
                .await
                .unwrap_err()
        };
        let (there, nowhere) = (ask(&whole()).await, ask(&absent).await);
        assert!(matches!(there, AppError::Forbidden(_)), "{there}");
        assert_eq!(there.to_string().replace("demo", "emod"), nowhere.to_string());
    }
}

#[tokio::test]
async fn a_new_workspace_is_of_who_applies_and_never_of_who_was_sent_away() {
    let bench = Bench::new().await;
    let (program, _) = bench.program("other", "boss", Role::Admin).await;
    let (_, old_id) = bench.member("old@example.com", "other", Role::Admin).await;
    bench.clock.forward(1);
    let (ada, ada_id) = bench.member("ada@example.com", "other", Role::Admin).await;
    bench.clock.forward(1);
    let (bob, bob_id) = bench.member("bob@example.com", "other", Role::Admin).await;
    let new = NewToken {
        name: "bobs",
        role: Role::Admin,
        expires_in_millis: None,
    };
    let token = access::create_token(&bench.services, &bob, "other", &new)
        .await
        .unwrap();
    let of_bob = access::caller_of_token(&bench.services, token.expose_secret())
        .await
        .unwrap()
        .unwrap();
    let apply = async |by: &Caller, name: &str| {
        let mut document = whole();
        document["workspace"] = json!(name);
        document["projects"] = json!([]);
        bench.apply(by, &document).await;
        let mut tx = bench.store.read().await.unwrap();
        let made = tx.workspace_by_name(name).await.unwrap().unwrap();
        let members = tx.members(made.id).await.unwrap();
        members.into_iter().map(|member| member.user.id).collect::<Vec<_>>()
    };
    assert_eq!(apply(&ada, "by-a-person").await, [ada_id]);
    assert_eq!(apply(&of_bob, "by-a-token").await, [bob_id]);
    assert_eq!(apply(&program, "by-nobody").await, [old_id], "the oldest");
    let services = &bench.services;
    access::remove_member(services, &ada, "other", &old_id.to_string())
        .await
        .unwrap();
    let mut tx = bench.store.write().await.unwrap();
    let by_nobody = tx.workspace_by_name("by-nobody").await.unwrap().unwrap();
    tx.remove_member(by_nobody.id, old_id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        apply(&program, "after-old").await,
        [ada_id],
        "who was expelled is not it"
    );
    let mut tx = bench.store.write().await.unwrap();
    tx.set_active(ada_id, false).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        apply(&program, "after-ada").await,
        [bob_id],
        "nor whose account is closed"
    );
}

#[tokio::test]
async fn an_administrator_of_any_workspace_may_create_one_and_people_see_it() {
    let bench = Bench::new().await;
    let first = bench.person("ada@example.com").await;
    let (program, _) = bench.program("other", "boss", Role::Admin).await;
    let developer = stranger(&program.access[0].0, Role::Developer);
    assert!(matches!(
        configure::apply(&bench.services, &developer, &read(&whole()), false).await,
        Err(AppError::Forbidden(_))
    ));
    let applied = bench.apply(&program, &whole()).await;
    assert_eq!(words(&applied)[0], "create workspace demo");
    let ada = access::caller_of_user(&bench.services, first).await.unwrap().unwrap();
    assert!(
        ada.access
            .iter()
            .any(|(w, role)| w.name.as_str() == "demo" && *role == Role::Admin)
    );
    assert_eq!(words(&bench.apply(&ada, &whole()).await), [""; 0]);
}
