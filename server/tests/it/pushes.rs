//! Registries that tell of many pushes at once: what the registry is asked, what is in hand, and that nothing is lost.

use crate::support::{Bench, world::until};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use domain::{door::Entrance, id::WorkspaceId, rights::Role};
use serde_json::{Value, json};
use server::service::observe;
use server::web::rest::registry_hook;
use std::{collections::BTreeSet, sync::Arc};
use tower::ServiceExt as _;

const HOST: &str = "127.0.0.1:5000";

/// A bench with image repositories `myapp/s0`, `myapp/s1`, …, each of a resource.
async fn set_up(repositories: usize) -> (Bench, WorkspaceId) {
    let bench = Bench::new().await;
    let (caller, _) = bench.program("demo", "boss", Role::Admin).await;
    let resources: Vec<Value> = (0..repositories)
        .map(|n| json!({ "name": format!("s{n}"), "source": { "image": repository(n) } }))
        .collect();
    let document = json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": HOST } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "/srv/git/gitops.git" },
            "environments": [{ "name": "development", "cluster": "local", "resources": resources }],
        }],
    });
    bench.apply(&caller, &document).await;
    // As the poller does when a server starts.
    observe::poll_registries(&bench.services).await;
    (bench, caller.access[0].0.id)
}

fn repository(n: usize) -> String {
    format!("{HOST}/myapp/s{n}")
}

fn digest(n: usize) -> String {
    format!("sha256:{n:064x}")
}

/// One notification of pushes, each a repository's number, a tag and a digest.
fn told(pushes: &[(usize, &str, String)]) -> String {
    let event = |(repository, tag, digest): &(usize, &str, String)| {
        json!({
            "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "repository": format!("myapp/s{repository}"), "tag": tag, "digest": digest,
            },
        })
    };
    json!({ "events": pushes.iter().map(event).collect::<Vec<_>>() }).to_string()
}

/// Tells; the status, and when to come again.
async fn tell(bench: &Bench, pushes: &[(usize, &str, String)]) -> (StatusCode, Option<String>) {
    let door: axum::Router = registry_hook::router(bench.services.clone(), Some("s3cret".into())).into();
    let request = Request::post("/api/v1/hooks/registry/demo")
        .header(header::AUTHORIZATION, "Bearer s3cret")
        .body(Body::from(told(pushes)))
        .unwrap();
    let answer = door.oneshot(request).await.unwrap();
    let again = answer.headers().get(header::RETRY_AFTER);
    (answer.status(), again.map(|value| value.to_str().unwrap().to_owned()))
}

/// The tags of a repository's artifacts.
async fn known(bench: &Bench, workspace: WorkspaceId, n: usize) -> BTreeSet<String> {
    let repository = repository(n).parse().unwrap();
    let mut tx = bench.store.read().await.unwrap();
    let artifacts = tx.recent_artifacts(workspace, &repository, 100_000).await.unwrap();
    artifacts
        .into_iter()
        .filter_map(|artifact| artifact.image.tag.map(|tag| tag.to_string()))
        .collect()
}

#[tokio::test]
async fn a_tag_is_asked_about_once_for_all_who_tell_of_it() {
    let (bench, workspace) = set_up(1).await;
    bench.registry.push(&repository(0), "one", &digest(1));
    bench.registry.hold();
    let push = [(0, "one", digest(1))];
    assert_eq!(tell(&bench, &push).await, (StatusCode::ACCEPTED, None));
    until("the registry to be asked", async || {
        (bench.registry.asked().len() == 1).then_some(())
    })
    .await;
    for _ in 0..100 {
        assert_eq!(tell(&bench, &push).await.0, StatusCode::ACCEPTED);
    }
    assert_eq!(
        bench.services.pushes.in_hand(),
        2,
        "what is looked at, and what is to be looked at again"
    );
    bench.registry.let_go();
    bench.services.pushes.settled().await;
    assert_eq!(
        bench.registry.asked().len(),
        2,
        "once, and once for all who told meanwhile"
    );
    assert_eq!(known(&bench, workspace, 0).await, BTreeSet::from(["one".to_owned()]));
}

#[tokio::test]
async fn other_tags_are_asked_about_side_by_side_and_found_together() {
    let (bench, workspace) = set_up(3).await;
    let pushes: Vec<(usize, String, String)> = (0..30).map(|n| (n % 3, format!("build-{n}"), digest(n))).collect();
    for (n, tag, digest) in &pushes {
        bench.registry.push(&repository(*n), tag, digest);
    }
    bench.registry.hold();
    let told: Vec<(usize, &str, String)> = pushes
        .iter()
        .map(|(n, tag, digest)| (*n, tag.as_str(), digest.clone()))
        .collect();
    assert_eq!(tell(&bench, &told).await.0, StatusCode::ACCEPTED);
    until("eight at once", async || {
        (bench.registry.asked().len() == 8).then_some(())
    })
    .await;
    bench.registry.let_go();
    bench.services.pushes.settled().await;
    assert_eq!(bench.registry.asked().len(), 30);
    for n in 0..3 {
        let wanted: BTreeSet<String> = pushes.iter().filter(|p| p.0 == n).map(|p| p.1.clone()).collect();
        assert_eq!(known(&bench, workspace, n).await, wanted);
    }
}

/// The tag of a repository's newest artifact. These builds don't say when they were made.
async fn newest(bench: &Bench, workspace: WorkspaceId, n: usize) -> String {
    let repository = repository(n).parse().unwrap();
    let mut tx = bench.store.read().await.unwrap();
    let newest = tx.recent_artifacts(workspace, &repository, 1).await.unwrap().remove(0);
    newest.image.tag.unwrap().to_string()
}

/// Tells of a push, of another repository afterwards, and waits until that is known.
async fn tell_and_see_what_comes_later(bench: &Bench, workspace: WorkspaceId, tag: &str, digest_of_it: String) {
    bench.registry.push(&repository(0), tag, &digest_of_it);
    tell(bench, &[(0, tag, digest_of_it)]).await;
    bench.registry.push(&repository(1), "later", &digest(9));
    tell(bench, &[(1, "later", digest(9))]).await;
    until("what came later", async || {
        known(bench, workspace, 1).await.contains("later").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_told_last_is_the_newest_however_long_a_look_takes() {
    let (bench, workspace) = set_up(2).await;
    bench.registry.push(&repository(0), "one", &digest(1));
    bench.registry.hold();
    tell(&bench, &[(0, "one", digest(1))]).await;
    until("the first look", async || {
        (bench.registry.asked().len() == 1).then_some(())
    })
    .await;
    let first = bench.registry.answer_others();
    tell_and_see_what_comes_later(&bench, workspace, "two", digest(2)).await;
    first.close();
    bench.services.pushes.settled().await;
    assert_eq!(known(&bench, workspace, 0).await.len(), 2);
    assert_eq!(newest(&bench, workspace, 0).await, "two");
}

#[tokio::test]
async fn what_is_told_while_the_whole_repository_is_looked_at_is_newer_than_what_is_found() {
    let (bench, workspace) = set_up(2).await;
    bench.registry.push(&repository(0), "one", &digest(1));
    bench.registry.hold();
    let services = bench.services.clone();
    let poll = tokio::spawn(async move { observe::poll_registries(&services).await });
    until("the poller's look", async || {
        (bench.registry.asked().len() == 1).then_some(())
    })
    .await;
    let first = bench.registry.answer_others();
    tell_and_see_what_comes_later(&bench, workspace, "two", digest(2)).await;
    first.close();
    poll.await.unwrap();
    bench.services.pushes.settled().await;
    assert_eq!(known(&bench, workspace, 0).await.len(), 2);
    assert_eq!(newest(&bench, workspace, 0).await, "two");
}

#[tokio::test]
async fn what_nobody_told_of_any_more_is_older_than_what_is_told_after_a_start() {
    let (mut bench, workspace) = set_up(1).await;
    // A server that is killed takes with it what it was told of.
    for (tag, n) in [("9.0", 1), ("10.0", 2), ("9.5", 4)] {
        bench.registry.push(&repository(0), tag, &digest(n));
    }
    bench.services.pushes = Arc::default();
    bench.registry.hold();
    tell(&bench, &[(0, "9.0", digest(1))]).await;
    until("the first look", async || {
        (!bench.registry.asked().is_empty()).then_some(())
    })
    .await;
    bench.registry.push(&repository(0), "8.1", &digest(3));
    tell(&bench, &[(0, "8.1", digest(3))]).await;
    bench.registry.let_go();
    bench.services.pushes.settled().await;
    let repository = repository(0).parse().unwrap();
    let mut tx = bench.store.read().await.unwrap();
    let known = tx.recent_artifacts(workspace, &repository, 10).await.unwrap();
    let tags: Vec<_> = known
        .into_iter()
        .map(|artifact| artifact.image.tag.unwrap().to_string())
        .collect();
    assert_eq!(
        tags,
        ["8.1", "9.0", "10.0", "9.5"],
        "what was told last, and the rest by name"
    );
}

#[tokio::test]
async fn a_flood_is_bounded_and_nothing_of_it_is_lost() {
    let (bench, workspace) = set_up(1).await;
    let tags: Vec<String> = (0..2_400).map(|n| format!("build-{n}")).collect();
    for (n, tag) in tags.iter().enumerate() {
        bench.registry.push(&repository(0), tag, &digest(n));
    }
    bench.registry.hold();
    let pushes: Vec<(usize, &str, String)> = tags
        .iter()
        .enumerate()
        .map(|(n, tag)| (0, tag.as_str(), digest(n)))
        .collect();
    let mut answers = Vec::new();
    for some in pushes.chunks(400) {
        answers.push(tell(&bench, some).await);
    }
    assert_eq!(answers[0], (StatusCode::ACCEPTED, None));
    assert_eq!(answers[5], (StatusCode::SERVICE_UNAVAILABLE, Some("5".into())));
    // The tags, and the repository as a whole.
    assert_eq!(bench.services.pushes.in_hand(), 2_048 + 1);
    assert!(bench.registry.asked().len() <= 8);
    bench.registry.let_go();
    bench.services.pushes.settled().await;
    assert_eq!(known(&bench, workspace, 0).await.len(), tags.len());
    assert_eq!(
        tell(&bench, &pushes[..1]).await.0,
        StatusCode::ACCEPTED,
        "there is room again"
    );
    bench.services.pushes.settled().await;
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_looked_at_again() {
    let (bench, workspace) = set_up(1).await;
    bench.registry.push(&repository(0), "one", &digest(1));
    bench.registry.go_down(true);
    assert_eq!(tell(&bench, &[(0, "one", digest(1))]).await.0, StatusCode::ACCEPTED);
    until("the registry to be asked", async || {
        (!bench.registry.asked().is_empty()).then_some(())
    })
    .await;
    assert!(known(&bench, workspace, 0).await.is_empty());
    bench.registry.go_down(false);
    bench.services.pushes.settled().await;
    assert_eq!(known(&bench, workspace, 0).await, BTreeSet::from(["one".to_owned()]));
}

#[tokio::test]
async fn a_git_repository_is_read_once_for_all_who_tell_of_it() {
    let (bench, workspace) = set_up(1).await;
    let project = bench.store.read().await.unwrap().projects(workspace).await.unwrap()[0]
        .project
        .id;
    let before = bench.git.fetched();
    bench.git.hold();
    let tell = || observe::repositories_pushed(&bench.services, vec![project], &Entrance::default());
    tell();
    until("Git to be looked at", async || {
        (bench.git.fetched() == before + 1).then_some(())
    })
    .await;
    for _ in 0..100 {
        tell();
    }
    bench.git.let_go();
    until("the next look", async || {
        (bench.git.fetched() == before + 2).then_some(())
    })
    .await;
    // Who tells now has it read once more, after all that was told before.
    tell();
    until("one more look", async || {
        (bench.git.fetched() == before + 3).then_some(())
    })
    .await;
}
