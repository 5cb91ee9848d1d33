//! Names of workspaces are nobody else's business, and who may create one is the configuration's word.

use crate::support::{
    Bench, read, words,
    world::{HOOK_SECRET, Setup, World},
};
use contract::error::AppError;
use domain::rights::Role;
use serde_json::{Value, json};
use server::config::Creators;
use server::service::{access, configure};

#[tokio::test]
async fn who_administers_another_workspace_does_not_learn_which_there_are() {
    let mut bench = Bench::new().await;
    bench.services.creators = Creators::CommandLine;
    let (boss, _) = bench.program("demo", "boss", Role::Admin).await;
    let (elsewhere, _) = bench.program("other", "boss", Role::Admin).await;
    let (ada, _) = bench.member("ada@example.com", "other", Role::Admin).await;
    for caller in [&elsewhere, &ada] {
        for dry_run in [true, false] {
            let ask = async |name: &str| {
                let document = read(&json!({ "workspace": name }));
                configure::apply(&bench.services, caller, &document, dry_run)
                    .await
                    .unwrap_err()
            };
            let (there, nowhere) = (ask("demo").await, ask("emod").await);
            assert!(matches!(there, AppError::Forbidden(_)), "{there}");
            assert_eq!(there.to_string().replace("demo", "emod"), nowhere.to_string());
        }
    }
    assert_eq!(
        words(&bench.apply(&boss, &json!({ "workspace": "demo" })).await),
        [""; 0]
    );
    assert_eq!(bench.store.read().await.unwrap().workspaces().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_configuration_says_who_creates_workspaces() {
    let mut bench = Bench::new().await;
    let (boss, _) = bench.program("other", "boss", Role::Admin).await;
    let (ada, _) = bench.member("ada@example.com", "other", Role::Admin).await;
    let (vic, _) = bench.member("vic@example.com", "other", Role::Viewer).await;
    let new = bench.person("new@example.com").await;
    let new = access::caller_of_user(&bench.services, new).await.unwrap().unwrap();
    for (creators, may) in [
        (Creators::CommandLine, [false, false, false, false]),
        (Creators::Administrators, [true, true, false, false]),
        (Creators::Everyone, [true, true, true, true]),
    ] {
        bench.services.creators = creators;
        for (n, (caller, may)) in [&boss, &ada, &vic, &new].into_iter().zip(may).enumerate() {
            let name = format!("{creators:?}-{n}").to_lowercase();
            let created = configure::apply(&bench.services, caller, &read(&json!({ "workspace": name })), false).await;
            assert_eq!(created.is_ok(), may, "{name}: {created:?}");
        }
    }
    let mut tx = bench.store.read().await.unwrap();
    let made = tx.workspace_by_name("everyone-3").await.unwrap().unwrap();
    let members = tx.members(made.id).await.unwrap();
    assert_eq!(members[0].user.email, "new@example.com", "it is theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_answers_alike_of_a_workspace_and_of_none() {
    let world = World::with(Setup {
        variables: vec![("GIT_WEBHOOK_SECRET", HOOK_SECRET.into())],
        ..Setup::default()
    })
    .await;
    let stranger = world.token("other", "boss", Role::Admin).await;
    world.person("eve@example.com", "other", Role::Admin).await;
    let mut eve = world.signed_in("eve@example.com").await;
    let push = json!({ "ref": "refs/heads/main", "repository": { "clone_url": "https://git.example.com/x.git" } });
    let pushed = json!({ "events": [{ "id": "1", "action": "push", "target": {
        "repository": "nothing/known", "tag": "1", "digest": crate::support::digest("a"),
        "mediaType": "application/vnd.oci.image.manifest.v1+json" } }] });
    let as_hook = async |path: String, body: &Value| {
        let request = reqwest::Client::new().post(format!("{}{path}", world.base_url));
        let request = request.bearer_auth(HOOK_SECRET).header("x-gitlab-token", HOOK_SECRET);
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let mut answers = Vec::new();
    for name in ["demo", "emod"] {
        let mut of = Vec::new();
        for dry_run in ["", "?dry_run=true"] {
            let document = json!({ "workspace": name });
            let (status, answer) = world
                .post_json(&format!("/api/v1/apply{dry_run}"), Some(&stranger), &document)
                .await;
            of.push((status, answer.to_string()));
        }
        let report =
            json!({ "workspace": name, "digest": crate::support::digest("a"), "name": "scan", "status": "passed" });
        let (status, answer) = world.post_json("/api/v1/checks", Some(&stranger), &report).await;
        of.push((status, answer.to_string()));
        of.push(as_hook(format!("/api/v1/hooks/registry/{name}"), &pushed).await);
        of.push(as_hook(format!("/api/v1/hooks/git/{name}"), &push).await);
        for path in [
            "",
            "/-/settings",
            "/-/settings/git",
            "/-/activity",
            "/myapp",
            "/myapp/production",
        ] {
            let page = eve.get(&format!("/w/{name}{path}")).await;
            of.push((page.status, page.words()));
        }
        let ledger = eve.get(&format!("/api/v1/workspaces/{name}/ledger")).await;
        of.push((ledger.status, ledger.text.clone()));
        answers.push(of);
    }
    let nowhere = answers.pop().unwrap();
    for (there, nowhere) in answers.remove(0).into_iter().zip(nowhere) {
        assert_eq!((there.0, there.1.replace("demo", "emod")), nowhere);
    }
}
