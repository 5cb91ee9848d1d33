//! Git paths on the server's disk, and odd paths in repositories: refused where they are saved, and where they are used.

use crate::support::world::{Setup, World, until};
use domain::id::ProjectId;
use serde_json::json;
use server::{adapters::system::System, ports::clock::Ids as _, store::ProjectRecord};

const GIT: &str = "/w/demo/-/settings/git";

fn fields<'a>(url: &'a str, template: &'a str) -> [(&'a str, &'a str); 7] {
    [
        ("intent", "save-repository"),
        ("repository[was]", ""),
        ("repository[name]", "local"),
        ("repository[url]", url),
        ("repository[branch]", "main"),
        ("repository[path_template]", template),
        ("repository[sign_in]", "none"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_of_the_server_are_refused_in_their_field_and_never_read() {
    let world = World::start().await;
    let path = world.repository.path().display().to_string();
    let with_scheme = format!("file://{path}");
    let mut admin = world.admin().await;
    let before = world.everything().await;
    for url in [&*path, &*with_scheme, "/etc", "file:///nowhere/at/all"] {
        let mut document = world.document();
        document["projects"][1]["repository"] = json!({ "url": url });
        for dry_run in ["", "?dry_run=true"] {
            let (status, answer) = world
                .post_json(&format!("/api/v1/apply{dry_run}"), Some(&world.token), &document)
                .await;
            assert_eq!(status, 422, "{answer}");
            let said = answer["fields"].to_string();
            assert!(
                said.contains("projects[1].repository.url") && said.contains("git.local_paths"),
                "{said}"
            );
        }
        let page = admin.post(&format!("{GIT}?new"), &fields(url, "")).await;
        assert_eq!(page.status, 422, "{}", page.words());
        assert!(page.words().contains("git.local_paths"), "{}", page.words());
    }
    assert_eq!(world.everything().await, before);

    // One that is there already, from a release that took it.
    let mut tx = world.store.write().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let mut record = tx.projects(workspace.id).await.unwrap().remove(0);
    let id = ProjectId(System.next());
    record.project.id = id;
    record.project.name = "older".parse().unwrap();
    record.project.repository_url = path;
    tx.put_project(&ProjectRecord {
        credentials: None,
        tip: None,
        problem: None,
        ..record
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let record = until("the problem to be told", async || {
        let record = world.store.read().await.unwrap().project(id).await.unwrap().unwrap();
        record.problem.is_some().then_some(record)
    })
    .await;
    assert!(record.problem.unwrap().contains("git.local_paths"));
    assert_eq!(record.tip, None);
    let board = admin.get("/w/demo/older").await;
    assert!(board.words().contains("git.local_paths"), "{}", board.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_folder_serves() {
    let listed = std::env::temp_dir().display().to_string();
    let world = World::with(Setup {
        variables: vec![("GIT_LOCAL_PATHS", listed)],
        ..Setup::default()
    })
    .await;
    let mut document = world.document();
    document["projects"][0]["repository"] = json!({ "url": world.repository.path() });
    world.apply(&document).await;
    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
    let mut elsewhere = world.document();
    elsewhere["projects"][0]["repository"] = json!({ "url": "/etc" });
    assert_eq!(world.try_apply(&elsewhere).await.0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_are_not_what_they_look_like_are_refused_in_their_field() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let url = world.git.as_ref().unwrap().url("deploy.git");
    for (template, expected) in [
        (".GIT/{environment}", ".gitmodules or .gitattributes"),
        ("git~1/{environment}", ".gitmodules or .gitattributes"),
        (".git::$INDEX_ALLOCATION/{environment}", ".gitmodules or .gitattributes"),
        (".g\u{200c}it/{environment}", "U+200C"),
        ("{environment}/\u{202e}lmay", "U+202E"),
        ("{environment}/values.yaml\u{a0}", "ends with a blank"),
        ("{environment} /values.yaml", "ends with a blank"),
        ("{environment}/values.yaml.", "ends with a blank"),
    ] {
        let mut document = world.document();
        document["projects"][0]["pathTemplate"] = json!(template);
        let (status, answer) = world.try_apply(&document).await;
        let said = answer["fields"].to_string();
        assert_eq!(status, 422, "{answer}");
        assert!(
            said.contains("projects[0].pathTemplate") && said.contains(expected),
            "{template:?}: {said}"
        );
        // A form takes blanks at the ends of what is typed away.
        if template.trim() == template {
            let page = admin.post(&format!("{GIT}?new"), &fields(&url, template)).await;
            assert_eq!(page.status, 422, "{}", page.words());
            assert!(page.words().contains(expected), "{template:?}: {}", page.words());
        }
    }
    // The template is fine, and what an environment's name makes of it isn't.
    let mut document = world.document();
    document["projects"][0]["pathTemplate"] = json!("git~{environment}/values.yaml");
    document["projects"][0]["environments"][2]["name"] = json!("1");
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer["fields"]
            .to_string()
            .contains("projects[0].environments[2].name"),
        "{answer}"
    );
}
