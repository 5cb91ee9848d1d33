//! `state: absent` of `apply`: only what is said to be absent goes, a trial changes nothing, and said again it changes nothing.

use super::*;
use server::service::{access, configure, promotion};

/// The document with one more thing said of an environment's resources.
fn saying(environment: usize, resource: Value) -> Value {
    let mut document = document();
    document["projects"][0]["environments"][environment]["resources"] = json!([resource]);
    document
}

async fn refused(bench: &Bench, caller: &Caller, document: &Value) -> Vec<(String, String)> {
    let error = configure::apply(&bench.services, caller, &read(document), true)
        .await
        .unwrap_err();
    let really = configure::apply(&bench.services, caller, &read(document), false)
        .await
        .unwrap_err();
    assert_eq!(error, really, "a trial says the same");
    let fields = error.fields().unwrap_or_else(|| panic!("{error:?}")).0.clone();
    fields.into_iter().map(|error| (error.field, error.message)).collect()
}

#[tokio::test]
async fn what_is_said_to_be_absent_goes_and_nothing_else() {
    let (bench, admin) = set_up().await;
    let absent = saying(2, json!({ "name": "api", "state": "absent" }));
    let before = told(&bench, &admin).await;
    let trial = applied(&bench, &admin, &absent, true).await;
    assert_eq!(trial, ["remove resource myapp/production/api"]);
    assert_eq!(told(&bench, &admin).await, before, "a trial changes nothing");
    assert!(stored(&bench, "production", "api").await.is_some());
    assert_eq!(applied(&bench, &admin, &absent, false).await, trial);
    assert_eq!(stored(&bench, "production", "api").await, None);
    assert_eq!(
        applied(&bench, &admin, &absent, false).await,
        [""; 0],
        "again nothing changes"
    );

    // What the file doesn't name stays.
    let silent = json!({ "workspace": "demo" });
    assert_eq!(applied(&bench, &admin, &silent, false).await, [""; 0]);
    assert!(stored(&bench, "development", "web").await.is_some());
}

#[tokio::test]
async fn a_trial_says_what_comes_of_it_and_leaves_promotions_alone() {
    let (bench, admin) = set_up().await;
    let waits = promotion::edit_pin(&bench.services, &admin, &at("staging"), "api", &digest("b"), false)
        .await
        .unwrap();
    let mut absent = saying(
        1,
        json!({ "name": "api", "state": "absent", "pinFollowers": true, "removeFromGit": true }),
    );
    absent["projects"][0]["environments"][2]["resources"] = json!([]);
    let trial = applied(&bench, &admin, &absent, true).await;
    assert_eq!(
        trial,
        [
            "remove resource myapp/staging/api: production/api is pinned to aaaaaaa, 1 promotion that waited is cancelled, removed from Git, too"
        ]
    );
    assert_eq!(promotion(&bench, waits).await.state, State::Queued);
    assert_eq!(stored(&bench, "production", "api").await.unwrap().pin(), None);
    let (id, _) = project(&bench, "myapp").await;
    assert!(
        bench
            .store
            .read()
            .await
            .unwrap()
            .open_git_removals(id)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(applied(&bench, &admin, &absent, false).await, trial);
    assert_eq!(promotion(&bench, waits).await.state, State::Cancelled);
    assert_eq!(
        bench
            .store
            .read()
            .await
            .unwrap()
            .open_git_removals(id)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_in_the_way_is_said_at_its_place() {
    let (bench, admin) = set_up().await;
    let mut absent = saying(1, json!({ "name": "api", "state": "absent" }));
    absent["projects"][0]["environments"][2]["resources"] = json!([]);
    let wrong = refused(&bench, &admin, &absent).await;
    assert_eq!(wrong[0].0, "projects[0].environments[1].resources[0].state");
    assert!(wrong[0].1.starts_with("production/api follows"), "{wrong:?}");
    assert!(stored(&bench, "staging", "api").await.is_some(), "all of it or nothing");

    let cluster = json!({ "workspace": "demo", "clusters": [{ "name": "local", "state": "absent" }] });
    let wrong = refused(&bench, &admin, &cluster).await;
    assert!(
        wrong[0].0 == "clusters[0].state" && wrong[0].1.contains("run on it"),
        "{wrong:?}"
    );

    // What is deleted is only named; what stays is said whole.
    let says_more = json!({ "name": "local", "state": "absent", "platforms": ["linux/amd64"] });
    let wrong = refused(&bench, &admin, &json!({ "workspace": "demo", "clusters": [says_more] })).await;
    assert!(
        wrong[0].0 == "clusters[0].state" && wrong[0].1.contains("leave out everything"),
        "{wrong:?}"
    );
    let image = json!({ "image": API });
    for (resource, field, words) in [
        (
            json!({ "name": "api", "state": "absent", "source": image }),
            "state",
            "leave out everything",
        ),
        (
            json!({ "name": "api", "source": image, "removeFromGit": true }),
            "removeFromGit",
            "state: absent only",
        ),
        (
            json!({ "name": "api", "source": image, "pinFollowers": true }),
            "pinFollowers",
            "state: absent only",
        ),
    ] {
        let wrong = refused(&bench, &admin, &saying(0, resource)).await;
        assert_eq!(wrong[0].0, format!("projects[0].environments[0].resources[0].{field}"));
        assert!(wrong[0].1.contains(words), "{wrong:?}");
    }
    let wrong = refused(&bench, &admin, &saying(0, json!({ "name": "api" }))).await;
    assert!(wrong[0].1.contains("source is missing"), "{wrong:?}");
    let mut both = document();
    both["state"] = json!("absent");
    assert_eq!(refused(&bench, &admin, &both).await[0].0, "state");
}

#[tokio::test]
async fn many_go_at_once_whatever_their_order() {
    let (bench, admin) = set_up().await;
    let gone = json!({
        "workspace": "demo",
        "clusters": [{ "name": "spare", "state": "absent" }, { "name": "local", "state": "absent" }],
        "projects": [
            { "name": "blog", "state": "absent" },
            {
                "name": "myapp",
                "repository": { "url": "https://git.example.com/gitops.git", "credentials": { "user": "x", "token": "git-secret" } },
                "environments": [
                    { "name": "development", "state": "absent" },
                    { "name": "staging", "state": "absent" },
                    { "name": "production", "state": "absent" },
                ],
            },
        ],
    });
    let lines = applied(&bench, &admin, &gone, true).await;
    assert_eq!(
        lines,
        [
            "remove environment myapp/production: resource api",
            "remove environment myapp/staging: resource api",
            "remove environment myapp/development: resource api, resource web",
            "remove project blog",
            "remove cluster spare",
            "remove cluster local",
        ]
    );
    assert_eq!(applied(&bench, &admin, &gone, false).await, lines);
    let (_, environments) = project(&bench, "myapp").await;
    assert_eq!(environments, []);
    assert_eq!(applied(&bench, &admin, &gone, false).await, [""; 0]);
}

#[tokio::test]
async fn those_behind_an_environment_that_goes_keep_their_order() {
    let (bench, admin) = set_up().await;
    let mut gone = document();
    gone["projects"][0]["environments"] = json!([{ "name": "development", "state": "absent", "pinFollowers": true }]);
    applied(&bench, &admin, &gone, false).await;
    let order = async || {
        let (id, _) = project(&bench, "myapp").await;
        let all = bench.store.read().await.unwrap().environments(id).await.unwrap();
        all.into_iter()
            .map(|e| (e.name.to_string(), e.position))
            .collect::<Vec<_>>()
    };
    let expected = [("staging".to_owned(), 0), ("production".to_owned(), 1)];
    assert_eq!(order().await, expected);
    assert_eq!(applied(&bench, &admin, &gone, false).await, [""; 0]);
    assert_eq!(order().await, expected);
}

#[tokio::test]
async fn a_workspace_goes_by_its_name_alone() {
    let (bench, admin) = set_up().await;
    let gone = json!({ "workspace": "demo", "state": "absent" });
    let wrong = refused(&bench, &admin, &gone).await;
    assert!(wrong[0].1.contains("only workspace"), "{wrong:?}");
    let (_, ada) = bench.member("ada@example.com", "demo", Role::Admin).await;
    bench.program("other", "elsewhere", Role::Admin).await;
    let mut tx = bench.store.write().await.unwrap();
    let other = tx.workspace_by_name("other").await.unwrap().unwrap();
    tx.set_membership(other.id, ada, Role::Admin).await.unwrap();
    tx.commit().await.unwrap();
    let lines = applied(&bench, &admin, &gone, true).await;
    assert!(
        lines.len() == 1 && lines[0].starts_with("remove workspace demo: project blog, project myapp"),
        "{lines:?}"
    );
    assert_eq!(applied(&bench, &admin, &gone, false).await, lines);
    // Who administers another may say it again: there is none, and none is made.
    let ada = access::caller_of_user(&bench.services, ada).await.unwrap().unwrap();
    assert_eq!(applied(&bench, &ada, &gone, false).await, [""; 0]);
    assert!(
        bench
            .store
            .read()
            .await
            .unwrap()
            .workspace_by_name("demo")
            .await
            .unwrap()
            .is_none()
    );
}
