//! What runs must be what was meant: values files are read as their consumers read them, and nothing is written that isn't understood.

use crate::support::{
    browser::Page,
    world::{Setup, World, until, values_path},
};
use domain::{
    promotion::{Actor, State},
    resource::HoldCause,
};
use serde_json::{Value, json};

const NEW: &str = "/w/demo/myapp/production/-/new";

const BOARD: &str = "/w/demo/myapp";

/// The form Create Resource for `api` of staging.
fn creates(more: &'static [(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields = vec![
        ("intent", "create"),
        ("source", "promote"),
        ("source_environment", "staging"),
        ("source_resource", "api"),
        ("binding", "track"),
        ("name", "api"),
    ];
    fields.extend(more);
    fields
}

/// Somebody else commits a file.
async fn commits(world: &World, path: &str, content: &str) {
    let writer = world.repository.outsider("main").await.unwrap();
    writer.commit(&[(path, content)], "By hand").await.unwrap();
}

fn api(world: &World, keys: &str) -> String {
    format!(
        "services:\n  api:\n    image:\n      repository: {}/myapp/api\n{keys}    replicas: 2\n",
        world.host
    )
}

/// Waits until Waybill has looked at a commit.
async fn is_read(world: &World, commit: &str) {
    until("the commit to be read", async || {
        let mut tx = world.store.read().await.unwrap();
        let mut looked = false;
        for workspace in tx.workspaces().await.unwrap() {
            for record in tx.projects(workspace.id).await.unwrap() {
                let is_read = record.tip.as_deref() == Some(commit) || record.problem.is_some();
                looked |= record.project.name.as_str() == "myapp" && is_read;
            }
        }
        looked.then_some(())
    })
    .await;
}

fn id(page: &Page) -> String {
    assert_eq!(page.status, 303, "{}", page.words());
    page.location()
        .unwrap()
        .strip_prefix("/promotions/")
        .unwrap()
        .to_owned()
}

/// The document, with an environment `qa` that has no values file.
fn with_qa(world: &World, resources: Value) -> Value {
    let mut document = world.document();
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments.push(json!({ "name": "qa", "cluster": "local", "resources": resources }));
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_yaml_reads_as_a_number_is_no_source() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    for (tag, word) in [
        ("1.10", "the number 1.1"),
        ("1e3", "the number 1000"),
        ("0123", "the number 83"),
        ("2026-11-01", "a date"),
    ] {
        world
            .outsider_writes("staging", &api(&world, &format!("      tag: {tag}\n")))
            .await;
        let said = format!("environments/staging/values.yaml, line 5: YAML reads {tag} as {word}; write it in quotes");
        until("the tag to be read", async || {
            let resource = world.resource("staging", "api").await?;
            (resource.desired.is_none() && resource.unclear.is_some_and(|why| why.starts_with(&said))).then_some(())
        })
        .await;
        let board = browser.get(BOARD).await;
        assert!(board.words().contains(&said), "{}", board.words());
        let before = world.everything().await;
        let refused = browser.post(NEW, &creates(&[])).await;
        assert_eq!(refused.status, 422, "{}", refused.words());
        let why = refused.field_error("source_resource").unwrap();
        assert!(why.contains(&said) && why.contains("or add the digest"), "{why}");
        assert_eq!(world.everything().await, before);
    }
    // In quotes the tag is asked of the registry again.
    world
        .outsider_writes("staging", &api(&world, "      tag: \"1.10\"\n"))
        .await;
    until("the tag to be asked for", async || {
        let why = world.resource("staging", "api").await?.unclear?;
        why.starts_with("Its registry doesn't say which image the tag 1.10 names")
            .then_some(())
    })
    .await;
    let refused = browser.post(NEW, &creates(&[])).await;
    assert!(refused.words().contains("has no tag 1.10"), "{}", refused.words());
    // A digest beside such a tag counts, and the tag is unknown.
    let keys = format!("      tag: 1.10\n      digest: {}\n", world.first);
    world.outsider_writes("staging", &api(&world, &keys)).await;
    world.wait_for_desired("staging", "api", &world.first).await;
    assert_eq!(
        world.resource("staging", "api").await.unwrap().desired.unwrap().tag,
        None
    );
    let promotion = world
        .ends(&id(&browser.post(NEW, &creates(&[])).await), State::Succeeded)
        .await;
    assert_eq!(promotion.image.digest.as_str(), world.first);
    let production = world.values("production").await;
    assert!(!production.contains("1.10"), "{production}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_apart_is_kept_and_what_nobody_knows_is_refused_before_anything_is_written() {
    let world = World::with(Setup {
        argocd: false,
        ..Setup::default()
    })
    .await;
    let mut browser = world.admin().await;
    let apart = format!(
        "services:\n  api:\n    image:\n      registry: {}\n      repository: myapp/api\n      tag: \"1.0.0\"\n",
        world.host
    );
    world.outsider_writes("production", &apart).await;
    let started = id(&browser.post(NEW, &creates(&[])).await);
    world.ends(&started, State::Succeeded).await;
    world.wait_for_desired("production", "api", &world.first).await;
    let written = world.values("production").await;
    assert!(written.contains("      repository: myapp/api\n"), "{written}");
    assert_eq!(written.matches(&world.host).count(), 1, "{written}");
    let desired = world.resource("production", "api").await.unwrap().desired.unwrap();
    assert_eq!(desired.repository.as_str(), format!("{}/myapp/api", world.host));

    for (file, words) in [
        (
            apart.replace("registry: ", "registry: other.example/"),
            "change the registry in Git first",
        ),
        (api(&world, "      sha: \"\"\n"), "`sha` stands in place of `digest`"),
        (api(&world, "      name: api\n"), "`name` stands beside `repository`"),
        (
            format!("# Generated by render.sh, DO NOT EDIT\n{}", api(&world, "")),
            "a program makes this file",
        ),
        (
            format!("{}sops:\n  mac: ENC[AES256_GCM,data:bWFj]\n", api(&world, "")),
            "sealed by SOPS",
        ),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n".to_owned(),
            "pointer of Git LFS",
        ),
    ] {
        let commit = world.outsider_writes("production", &file).await;
        is_read(&world, &commit).await;
        let before = world.everything().await;
        let pin = [("intent", "pin"), ("digest", world.first.as_str())];
        let refused = browser.post("/w/demo/myapp/production/api", &pin).await;
        assert_eq!(refused.status, 409, "{words}: {}", refused.words());
        assert!(refused.words().contains(words), "{words}: {}", refused.words());
        assert_eq!(world.everything().await, before, "{words}");
        assert_eq!(world.values("production").await, file);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_made_when_a_person_says_so() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    world.apply(&with_qa(&world, json!([]))).await;
    let form = "/w/demo/myapp/qa/-/new";
    let shown = browser.get(form).await;
    assert!(
        shown.words().contains("This creates environments/qa/values.yaml"),
        "{}",
        shown.words()
    );
    assert!(!browser.get(NEW).await.words().contains("This creates"));
    let before = world.everything().await;
    let refused = browser.post(form, &creates(&[])).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(refused.field_error("create_file").is_some());
    assert_eq!(world.everything().await, before);
    let made = id(&browser.post(form, &creates(&[("create_file", "true")])).await);
    world.ends(&made, State::Succeeded).await;
    assert!(world.values("qa").await.contains(&world.first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn automation_makes_no_file_and_holds() {
    let world = World::start().await;
    let follows = json!([{ "name": "api", "source": { "promote": { "environment": "staging", "resource": "api" } } }]);
    let applied = world.apply(&with_qa(&world, follows)).await;
    assert!(
        applied
            .to_string()
            .contains("environments/qa/values.yaml: there is no such file"),
        "{applied}"
    );
    assert!(world.promotions("qa", "api").await.is_empty());

    let second = world.push("1.1.0").await;
    world.wait_for_desired("staging", "api", &second).await;
    let held = until("qa/api to be held", async || world.resource("qa", "api").await?.hold).await;
    assert_eq!((held.cause, held.by), (HoldCause::NoFile, Actor::Waybill));
    let failed = world.promotions("qa", "api").await.remove(0);
    assert_eq!(failed.state, State::Failed);
    assert!(
        failed
            .failure
            .unwrap()
            .reason
            .contains("Waybill makes none unless a person says so")
    );
    let missing = world.repository.read_file("main", &values_path("qa")).await;
    assert!(missing.unwrap().is_none(), "nothing was made");

    // A person says so.
    let mut browser = world.admin().await;
    let page = "/w/demo/myapp/qa/api";
    assert!(
        browser
            .get(page)
            .await
            .words()
            .contains("This creates environments/qa/values.yaml")
    );
    // Without the tick it is refused, and stays held.
    let refused = browser.post(page, &[("intent", "resume")]).await;
    assert_eq!(refused.status, 409, "{}", refused.words());
    assert!(
        refused.words().contains("environments/qa/values.yaml"),
        "{}",
        refused.words()
    );
    let hold = world.resource("qa", "api").await.unwrap().hold;
    assert_eq!(hold.map(|hold| hold.cause), Some(HoldCause::NoFile));
    assert_eq!(world.promotions("qa", "api").await.len(), 1);
    let resumed = browser
        .post(page, &[("intent", "resume"), ("create_file", "true")])
        .await;
    world.ends(&id(&resumed), State::Succeeded).await;
    assert!(world.values("qa").await.contains(&second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_a_rollback_and_a_document_may_make_the_file() {
    let world = World::start().await;
    let second = world.push("1.1.0").await;
    world.wait_for_desired("staging", "api", &second).await;
    let mut document = with_qa(
        &world,
        json!([{ "name": "api", "source": { "promote": { "environment": "staging", "resource": "api" } } }]),
    );
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments.iter_mut().find(|e| e["name"] == "qa").unwrap()["createFile"] = json!(true);
    let applied = world.apply(&document).await;
    assert!(!applied.to_string().contains("there is no such file"), "{applied}");
    world.wait_for_desired("qa", "api", &second).await;
    let started = world.promotions("qa", "api").await.remove(0);
    world.ends(&started.id.to_string(), State::Succeeded).await;

    let removed = async || {
        let writer = world.repository.outsider("main").await.unwrap();
        writer.remove(&[&values_path("qa")], "By hand").await.unwrap();
        until("the removal to be read", async || {
            world.resource("qa", "api").await?.desired.is_none().then_some(())
        })
        .await;
    };
    let pin = async |more: &str| {
        let query = format!(
            r#"mutation {{ pin(input: {{ projectId: "myapp" environment: "qa" service: "api" digest: "{}" {more} }}) {{ id }} }}"#,
            world.first
        );
        let (_, answer) = world
            .post_json("/api/graphql", Some(&world.token), &json!({ "query": query }))
            .await;
        answer
    };
    removed().await;
    let refused = pin("").await;
    assert!(
        refused["errors"][0]["message"].to_string().contains("createFile"),
        "{refused}"
    );
    let pinned = pin("createFile: true").await;
    let made = pinned["data"]["pin"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{pinned}"));
    world.ends(made, State::Succeeded).await;
    assert!(world.values("qa").await.contains(&world.first));

    removed().await;
    let mut browser = world.admin().await;
    let page = "/w/demo/myapp/qa/api";
    let shown = browser.get(page).await;
    assert!(
        shown.words().contains("This creates environments/qa/values.yaml"),
        "{}",
        shown.words()
    );
    let intent = format!("rollback-{second}");
    let refused = browser.post(page, &[("intent", &intent)]).await;
    assert_eq!(refused.status, 409, "{}", refused.words());
    let back = browser
        .post(page, &[("intent", &intent), ("create_file", "true")])
        .await;
    world.ends(&id(&back), State::Succeeded).await;
    assert!(world.values("qa").await.contains(&second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_other_letter_case_is_named() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    commits(&world, "environments/QA/values.yaml", "services: {}\n").await;
    world.apply(&with_qa(&world, json!([]))).await;
    let refused = browser
        .post("/w/demo/myapp/qa/-/new", &creates(&[("create_file", "true")]))
        .await;
    assert_eq!(refused.status, 409, "{}", refused.words());
    assert!(
        refused
            .words()
            .contains("there is no qa, but environments/QA, which differs in the case of letters only"),
        "{}",
        refused.words()
    );
}
