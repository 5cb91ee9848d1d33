//! *Also remove NAME from Git*: one commit, told in the ledger, made also when the program is killed meanwhile; and the name waits for it.

use super::*;
use crate::support::world::{Setup, World, values_path};
use server::service::configure;
use server::worker::git_removals;
use testbed::Moment;

const FROM_GIT: RemovalChoices = RemovalChoices {
    from_git: true,
    pin_followers: false,
};

async fn carry_out(bench: &Bench) -> bool {
    git_removals::next(&bench.services, "worker").await.unwrap()
}

#[tokio::test]
async fn its_block_goes_with_one_commit_and_the_name_waits_for_it() {
    let (bench, admin) = set_up().await;
    let removed = remove(&bench, &admin, &resource("production", "api"), FROM_GIT).await;
    assert!(removed.from_git);

    // Until it is done, nobody takes the name: the commit would remove theirs.
    let error = configure::apply(&bench.services, &admin, &read(&document()), false)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, AppError::Conflict(why) if why.contains("production/api was deleted, and is still being removed from Git")),
        "{error:?}"
    );
    bench.git.go_down(Some("it is away"));
    assert!(carry_out(&bench).await);
    assert!(!carry_out(&bench).await, "it waits before it is tried again");
    bench.git.go_down(None);
    bench.clock.forward(60_000);
    assert!(carry_out(&bench).await);
    assert_eq!(
        told(&bench, &admin).await[0],
        "removed api from environments/production/values.yaml with commit 0000000"
    );
    assert!(!carry_out(&bench).await, "once");
    bench.apply(&admin, &document()).await;
    assert!(stored(&bench, "production", "api").await.is_some());
}

#[tokio::test]
async fn an_environments_blocks_go_together_and_its_project_ends_what_waits() {
    let (bench, admin) = set_up().await;
    remove(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    let both = RemovalChoices {
        from_git: true,
        pin_followers: true,
    };
    remove(&bench, &admin, &environment("development"), both).await;
    let (id, _) = project(&bench, "myapp").await;
    let open = bench.store.read().await.unwrap().open_git_removals(id).await.unwrap();
    assert_eq!(
        (open.len(), open[0].services.as_slice()),
        (1, &["api".to_owned(), "web".to_owned()][..])
    );
    let error = configure::apply(&bench.services, &admin, &read(&document()), true)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("The environment development was deleted"), "{error}");
    remove(&bench, &admin, &other("project", "myapp"), RemovalChoices::default()).await;
    let entries = told(&bench, &admin).await;
    assert_eq!(
        entries[0],
        "could not remove api, web from environments/development/values.yaml"
    );
    assert!(!carry_out(&bench).await);
}

/// Another project whose production is written to the same file, its repository named in another way.
fn with_another_at_the_same_block() -> Value {
    let mut document = document();
    let blog = &mut document["projects"][1];
    blog["repository"]["url"] = json!("https://git.example.com/gitops");
    blog["environments"] = json!([
        { "name": "production", "cluster": "local", "resources": [{ "name": "api", "source": { "image": API } }] },
    ]);
    document
}

#[tokio::test]
async fn a_block_that_another_project_is_written_to_stays() {
    let (bench, admin) = set_up().await;
    bench.apply(&admin, &with_another_at_the_same_block()).await;
    let why = stays(&bench, &admin, &resource("production", "api"), FROM_GIT).await;
    assert_eq!(
        why,
        "blog/production/api is written to the same block. Delete without removing it from Git."
    );

    // It is asked again before the commit.
    let (bench, admin) = set_up().await;
    remove(&bench, &admin, &resource("production", "api"), FROM_GIT).await;
    let mut later = with_another_at_the_same_block();
    later["projects"].as_array_mut().unwrap().remove(0);
    bench.apply(&admin, &later).await;
    assert!(carry_out(&bench).await);
    assert_eq!(
        told(&bench, &admin).await[0],
        "could not remove api from environments/production/values.yaml"
    );
}

#[tokio::test]
async fn it_does_not_follow_its_project_to_another_branch() {
    let (bench, admin) = set_up().await;
    remove(&bench, &admin, &resource("production", "api"), FROM_GIT).await;
    let mut moved = document();
    moved["projects"][0]["repository"]["branch"] = json!("next");
    moved["projects"][0]["environments"] = json!([]);
    bench.apply(&admin, &moved).await;
    assert!(carry_out(&bench).await);
    assert_eq!(
        told(&bench, &admin).await[0],
        "could not remove api from environments/production/values.yaml"
    );
}

#[tokio::test]
async fn its_project_stays_while_a_worker_is_at_it() {
    let (bench, admin) = set_up().await;
    remove(&bench, &admin, &resource("production", "api"), FROM_GIT).await;
    let now = bench.services.now();
    let mut tx = bench.store.write().await.unwrap();
    let claimed = tx
        .claim_git_removals("worker", now, now.plus_millis(60_000), 1)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    tx.commit().await.unwrap();
    let why = stays(&bench, &admin, &other("project", "myapp"), RemovalChoices::default()).await;
    assert!(
        why.starts_with("Blocks of myapp are being removed from Git right now."),
        "{why}"
    );
}

#[tokio::test]
async fn nothing_is_asked_of_git_when_nobody_chose_it() {
    let (bench, admin) = set_up().await;
    remove(
        &bench,
        &admin,
        &resource("production", "api"),
        RemovalChoices::default(),
    )
    .await;
    assert!(!carry_out(&bench).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_neither_loses_nor_doubles_the_commit() {
    let mut world = World::with(Setup {
        process: true,
        gated: true,
        ..Setup::default()
    })
    .await;
    let before = world.values("staging").await;
    assert!(before.contains("api:"), "{before}");
    let (git, _) = world.gates.as_ref().unwrap();
    // The push arrives, and its answer doesn't.
    let mut hold = git.hold(Moment::After, "POST", "git-receive-pack");
    let mut document = world.document();
    document["projects"][0]["environments"][1]["resources"] =
        json!([{ "name": "api", "state": "absent", "removeFromGit": true }]);
    let applied = world.apply(&document).await;
    assert_eq!(
        applied["changes"][0]["what"], "resource myapp/staging/api: removed from Git, too",
        "{applied}"
    );
    tokio::time::timeout(crate::support::world::PATIENCE, hold.held())
        .await
        .unwrap();
    world.kill();
    drop(hold);
    world.restart().await;
    // Where servers share a database, the killed one's lease runs out first: it lasts a minute.
    let told = async {
        loop {
            let mut tx = world.store.read().await.unwrap();
            let events = tx.events_after(0, 10_000).await.unwrap();
            drop(tx);
            let is_told =
                |event: &domain::event::Event| event.happened.kind() == domain::told::EventKind::RemovedFromGit;
            if events.iter().any(is_told) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let lease_and_more = 3 * crate::support::world::PATIENCE;
    tokio::time::timeout(lease_and_more, told).await.unwrap();
    let commits = world.repository.commits("main").await.unwrap();
    let ours: Vec<_> = commits
        .iter()
        .filter(|c| c.body.contains("Waybill-Removal: "))
        .collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(ours[0].subject, "remove(staging): api");
    let after = world
        .repository
        .read_file("main", &values_path("staging"))
        .await
        .unwrap()
        .unwrap();
    assert!(!String::from_utf8(after).unwrap().contains("api:"));
    world.idle().await;
}
