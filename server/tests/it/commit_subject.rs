//! How a project words its commits.

use crate::support::world::{World, until};
use domain::promotion::State;
use serde_json::json;

const SUBJECT: &str = "JIRA-1: {verb} {environment}/{resource} {tag} ({source})";
const ADDRESS: &str = "{user}@users.noreply.example.com";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_words_its_commits() {
    let world = World::start().await;
    let mut document = world.document();
    for (field, wrong, words) in [
        ("commitSubject", "{ticket}: {verb}", "There is no field {ticket}"),
        ("commitSubject", "one\ntwo", "one line"),
        ("authorAddress", "{user}", "one e-mail address"),
    ] {
        let mut refused = document.clone();
        refused["projects"][0][field] = json!(wrong);
        let (status, answer) = world.try_apply(&refused).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(words), "{answer}");
    }
    document["projects"][0]["commitSubject"] = json!(SUBJECT);
    document["projects"][0]["authorAddress"] = json!(ADDRESS);
    let changes = world.apply(&document).await.to_string();
    assert!(
        changes.contains("commit subject") && changes.contains("author address"),
        "{changes}"
    );
    let again = world.apply(&document).await.to_string();
    assert!(!again.contains("commit subject"), "{again}");

    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    let subjects = world.subjects().await;
    assert_eq!(subjects[0], "JIRA-1: promote staging/api 1.1.0 (development)");
    assert_eq!(
        subjects[1],
        format!("JIRA-1: deploy development/api 1.1.0 ({}/myapp/api)", world.host)
    );

    // What a person asks for is theirs by the address that the Git host knows.
    let mut admin = world.admin().await;
    let intent = format!("rollback-{}", world.first);
    let answer = admin.post("/w/demo/myapp/staging/api", &[("intent", &intent)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_live("staging", "api", &world.first).await;
    let newest = until("the commit", async || world.repository.commits("main").await.ok())
        .await
        .remove(0);
    assert!(
        newest.subject.starts_with("JIRA-1: rollback staging/api 1.0.0 ("),
        "{}",
        newest.subject
    );
    assert!(
        newest.author.ends_with("<ada@users.noreply.example.com>"),
        "{}",
        newest.author
    );
    assert!(newest.body.contains("Waybill-Promotion: "), "{}", newest.body);

    // With other words from now on, what was committed is still known for what it is.
    let promotion = world.promotions("staging", "api").await.remove(0);
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    let mut plain = document.clone();
    plain["projects"][0]["commitSubject"] = json!("{resource}");
    world.apply(&plain).await;
    let page = admin.get(&format!("/promotions/{}", promotion.id)).await;
    assert!(page.words().contains(&newest.subject), "{}", page.words());

    // The form has what the document said, and GraphQL too.
    let page = admin.get("/w/demo/-/settings/git?edit=myapp").await;
    assert_eq!(page.value("repository[commit_subject]").as_deref(), Some("{resource}"));
    assert_eq!(page.value("repository[author_address]").as_deref(), Some(ADDRESS));
    let query = json!({ "query": r#"{ project(name: "myapp") { commitSubject authorAddress } }"# });
    let (_, told) = world.post_json("/api/graphql", Some(&world.token), &query).await;
    let wanted = json!({ "commitSubject": "{resource}", "authorAddress": ADDRESS });
    assert_eq!(told["data"]["project"], wanted, "{told}");
}
