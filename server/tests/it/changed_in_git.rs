//! What a person does in Git counts like what a person does in Waybill: `fixtures/cases/07-changed-in-git`.

use crate::{
    following::chain,
    support::world::{Setup, World, until, values_path},
};
use domain::{
    event::Happened,
    promotion::{Actor, State},
    resource::{HoldCause, Resource},
};

const BOARD: &str = "/w/demo/myapp";

const STAGING: &str = "/w/demo/myapp/staging/api";

/// Staging once a person's act in Git holds it.
async fn held(world: &World, cause: HoldCause) -> Resource {
    until("staging to be held", async || {
        let staging = world.resource("staging", "api").await?;
        let is_held = staging.hold.as_ref().is_some_and(|hold| hold.cause == cause);
        is_held.then_some(staging)
    })
    .await
}

/// What is pushed reaches development, and staging stays as it is, also when the configuration is applied again.
async fn stays(world: &World, tag: &str) -> String {
    let before = world.values("staging").await;
    let digest = world.push(tag).await;
    world.wait_for_desired("development", "api", &digest).await;
    world.idle().await;
    world.apply(&world.document()).await;
    world.idle().await;
    assert_eq!(world.values("staging").await, before, "{tag}");
    digest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_by_hand_is_a_hold_until_it_is_resumed() {
    let mut world = chain(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let second = world.push("1.3.0").await;
    world.wait_for_desired("production", "api", &second).await;
    world.idle().await;
    let values = world.values("staging").await;

    // What says nothing about the image holds nothing.
    let other = values.replacen("replicas: 2 # two", "replicas: 3 # three", 1);
    world.outsider_writes("staging", &other).await;
    let back = other
        .replacen("tag: 1.3.0", "tag: 1.0.0", 1)
        .replacen(&second, &world.first, 1);
    let commit = world.outsider_writes("staging", &back).await;
    let staging = held(&world, HoldCause::MovedInGit).await;
    let hold = staging.hold.clone().unwrap();
    let outside = hold.outside.clone().unwrap();
    assert_eq!((&outside.commit, &*outside.subject), (&commit, "By hand"));
    assert_eq!(hold.by, Actor::Waybill);
    let mut browser = world.admin().await;
    let words = format!("Held: moved in Git to 1.0.0 by {} in {}", outside.author, &commit[..7]);
    for path in [BOARD, STAGING] {
        let page = browser.get(path).await.words();
        assert!(page.contains(&words), "{path}: {page}");
    }
    let mut tx = world.store.read().await.unwrap();
    let told = tx.events_after(0, 10_000).await.unwrap();
    assert!(told.iter().any(|event| {
        let wanted = Happened::Held {
            cause: HoldCause::MovedInGit,
            outside: Some(outside.clone()),
        };
        event.happened == wanted && event.subject.resource == Some(staging.id)
    }));
    drop(tx);

    let third = stays(&world, "1.4.0").await;
    world.stop().await;
    world.restart().await;
    let fourth = stays(&world, "1.5.0").await;
    assert_ne!(third, fourth);
    let production = world.resource("production", "api").await.unwrap();
    assert!(production.declares(&second.parse().unwrap()), "it goes back neither");

    let answer = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_desired("production", "api", &fourth).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_of_a_source_and_of_who_follows_it_holds_both() {
    let world = chain(Setup::default()).await;
    let second = world.push("1.3.0").await;
    world.wait_for_desired("production", "api", &second).await;
    world.idle().await;
    let mut files = Vec::new();
    for environment in ["staging", "production"] {
        let values = world.values(environment).await;
        let back = values
            .replacen("tag: 1.3.0", "tag: 1.0.0", 1)
            .replacen(&second, &world.first, 1);
        files.push((values_path(environment), back));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, back)| (&**path, &**back)).collect();
    let writer = world.repository.outsider("main").await.unwrap();
    writer.commit(&files, "Back to 1.0.0").await.unwrap();
    held(&world, HoldCause::MovedInGit).await;
    let production = world.resource("production", "api").await.unwrap();
    assert_eq!(production.hold.map(|hold| hold.cause), Some(HoldCause::MovedInGit));

    let mut browser = world.admin().await;
    let answer = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_desired("staging", "api", &second).await;
    world.idle().await;
    let production = world.resource("production", "api").await.unwrap();
    assert!(production.declares(&world.first.parse().unwrap()), "nobody resumed it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_took_out_just_before_a_document_is_applied_is_a_hold() {
    // Nobody reads Git between the two.
    let world = World::with(Setup {
        process: true,
        variables: vec![("GIT_POLL_INTERVAL", "1h".into())],
        ..Setup::default()
    })
    .await;
    let second = world.push("1.3.0").await;
    world.wait_for_desired("staging", "api", &second).await;
    world.idle().await;
    world.outsider_writes("staging", "services: {}\n").await;
    let mut document = world.document();
    document["projects"][0]["commitSubject"] = "JIRA-1: {verb} {resource}".into();
    world.apply(&document).await;
    held(&world, HoldCause::RemovedFromGit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_somebody_took_out_is_not_written_back() {
    let world = World::start().await;
    let second = world.push("1.3.0").await;
    world.wait_for_desired("staging", "api", &second).await;
    world.idle().await;
    let values = world.values("staging").await;
    let commented: String = values.lines().map(|line| format!("# {line}\n")).collect();
    world.outsider_writes("staging", &commented).await;
    held(&world, HoldCause::RemovedFromGit).await;
    let third = stays(&world, "1.4.0").await;
    let mut browser = world.admin().await;
    let page = browser.get(STAGING).await.words();
    for words in ["Held: removed from Git by", "Create again", "Forget"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let answer = browser.post(STAGING, &[("intent", "resume")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.wait_for_desired("staging", "api", &third).await;
    let again = world.values("staging").await;
    assert!(
        again.contains(&format!("digest: {third}")) && again.starts_with("# "),
        "{again}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_file_a_renamed_key_and_a_switch_are_holds() {
    let world = World::start().await;
    let values = world.values("staging").await;
    let renamed = values.replacen("  api:\n", "  api-v2:\n", 1);
    world.outsider_writes("staging", &renamed).await;
    let staging = held(&world, HoldCause::RemovedFromGit).await;
    assert_eq!(staging.hold.unwrap().renamed.as_deref(), Some("api-v2"));
    stays(&world, "1.1.0").await;

    // Put back by hand, and resumed: then it goes on.
    world.outsider_writes("staging", &values).await;
    world.wait_for_desired("staging", "api", &world.first).await;
    let mut browser = world.admin().await;
    browser.post(STAGING, &[("intent", "resume")]).await;
    world.idle().await;

    // A file that can't be read has the others read again and again; what somebody did to them was done once.
    let production = world.values("production").await;
    world.outsider_writes("production", "services: [").await;
    let values = world.values("staging").await;
    let off = values.replacen("  api:\n", "  api:\n    enabled: false\n", 1);
    let commit = world.outsider_writes("staging", &off).await;
    let staging = held(&world, HoldCause::DisabledInGit).await;
    assert_eq!(staging.hold.unwrap().outside.unwrap().commit, commit);
    let page = browser.get(STAGING).await.words();
    assert!(page.contains("Git has it switched off"), "{page}");
    let next = world.push("1.2.0").await;
    world.wait_for_desired("development", "api", &next).await;
    world.idle().await;
    assert_eq!(world.values("staging").await, off);
    browser.post(STAGING, &[("intent", "resume")]).await;
    world.idle().await;
    assert_eq!(world.resource("staging", "api").await.unwrap().hold, None);
    let pushed = world.push("1.2.1").await;
    world.wait_for_desired("staging", "api", &pushed).await;
    assert_eq!(world.resource("staging", "api").await.unwrap().hold, None);
    world.outsider_writes("production", &production).await;
    world.idle().await;

    let writer = world.repository.outsider("main").await.unwrap();
    writer.remove(&[&values_path("staging")], "Out").await.unwrap();
    held(&world, HoldCause::RemovedFromGit).await;
    let third = world.push("1.3.0").await;
    world.wait_for_desired("development", "api", &third).await;
    world.idle().await;
    let file = world
        .repository
        .read_file("main", &values_path("staging"))
        .await
        .unwrap();
    assert_eq!(file, None, "nobody writes it back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_takes_its_new_key_and_keeps_name_and_history() {
    let world = World::start().await;
    let second = world.push("1.1.0").await;
    world.wait_for_desired("staging", "api", &second).await;
    let history = world.promotions("staging", "api").await;
    let was = world.resource("staging", "api").await.unwrap();
    let renamed = world.values("staging").await.replacen("  api:\n", "  api-v2:\n", 1);
    world.outsider_writes("staging", &renamed).await;
    held(&world, HoldCause::RemovedFromGit).await;

    let mut browser = world.admin().await;
    let page = browser.get(STAGING).await;
    assert!(page.words().contains("Take the key api-v2"), "{}", page.words());
    let answer = browser.post(STAGING, &[("intent", "take-new-key")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let now = until("Git to be read", async || {
        world
            .resource("staging", "api")
            .await
            .filter(|resource| resource.desired.is_some())
    })
    .await;
    assert_eq!((now.id, now.hold, now.desired), (was.id, None, was.desired));
    assert_eq!(now.key.as_str(), "api-v2");
    let ids = |promotions: Vec<domain::promotion::Promotion>| promotions.into_iter().map(|p| p.id).collect::<Vec<_>>();
    assert_eq!(ids(world.promotions("staging", "api").await), ids(history));

    // It follows again, under its new key.
    let third = world.push("1.2.0").await;
    world.wait_for_desired("staging", "api", &third).await;
    let values = world.values("staging").await;
    assert!(
        values.contains("  api-v2:") && values.contains(&third) && !values.contains("  api:"),
        "{values}"
    );
    // Once is enough.
    let again = browser.post(STAGING, &[("intent", "take-new-key")]).await;
    assert_eq!(again.status, 409, "{}", again.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_in_the_moment_of_a_commit_is_left_alone() {
    let world = World::start().await;
    let (repository, values) = (world.repository.clone(), world.values("staging").await);
    let path = values_path("staging");
    // Between the read and the push to staging somebody moves it: the push is rejected, and made again on top.
    let by_hand =
        values
            .replacen("tag: 1.0.0", "tag: by-hand", 1)
            .replacen(&world.first, &crate::support::digest("d"), 1);
    world.git.as_ref().unwrap().before_push(move || async move {
        let writer = repository.outsider("main").await.unwrap();
        writer.commit(&[(&path, &by_hand)], "By hand").await.unwrap();
    });
    let second = world.push("1.1.0").await;
    world.wait_for_desired("development", "api", &second).await;
    held(&world, HoldCause::MovedInGit).await;
    world.idle().await;
    assert!(world.values("staging").await.contains("tag: by-hand"));
    let promotions = world.promotions("staging", "api").await;
    assert!(
        promotions
            .iter()
            .all(|p| p.image.digest.as_str() != second || p.state == State::Cancelled),
        "{promotions:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_off_in_the_moment_of_a_commit_stays_off() {
    let world = World::start().await;
    let (repository, values) = (world.repository.clone(), world.values("staging").await);
    let path = values_path("staging");
    let off = values.replacen("  api:\n", "  api:\n    enabled: false\n", 1);
    let by_hand = off.clone();
    world.git.as_ref().unwrap().before_push(move || async move {
        let writer = repository.outsider("main").await.unwrap();
        writer.commit(&[(&path, &by_hand)], "Off").await.unwrap();
    });
    let second = world.push("1.1.0").await;
    world.wait_for_desired("development", "api", &second).await;
    held(&world, HoldCause::DisabledInGit).await;
    world.idle().await;
    assert_eq!(world.values("staging").await, off);
    let promotions = world.promotions("staging", "api").await;
    let to_it = |p: &&domain::promotion::Promotion| p.image.digest.as_str() == second;
    assert!(
        promotions.iter().filter(to_it).all(|p| p.state == State::Cancelled),
        "{promotions:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_file_that_cant_be_read_is_named() {
    let world = World::start().await;
    let mut before = Vec::new();
    for environment in ["staging", "production"] {
        before.push((environment, world.values(environment).await));
        world.outsider_writes(environment, "services: [").await;
    }
    let mut browser = world.admin().await;
    until("both files to be named", async || {
        let page = browser.get(BOARD).await.words();
        let is_named = |(environment, _): &(&str, String)| page.contains(&values_path(environment));
        before.iter().all(is_named).then_some(())
    })
    .await;
    // One that is mended is named no more, and the other still is.
    let (mended, still) = (&before[0], values_path(before[1].0));
    world.outsider_writes(mended.0, &mended.1).await;
    until("only one to be named", async || {
        let page = browser.get(BOARD).await.words();
        (page.contains(&still) && !page.contains(&values_path(mended.0))).then_some(())
    })
    .await;
}
