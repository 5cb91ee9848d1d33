//! What the adapter makes of a real Argo CD's answers.

use crate::{
    stack::{PATIENCE, Stack},
    world::World,
};
use futures::StreamExt as _;
use secrecy::SecretString;
use server::{
    adapters::argocd::ArgoCdClient,
    ports::argocd::{AppRef, ArgoCd as _, ArgoCdAccess, ArgoCdError, Refresh, WatchEvent},
};

fn access(stack: &Stack, token: &str) -> ArgoCdAccess {
    ArgoCdAccess {
        url: stack.argocd.clone(),
        token: SecretString::from(token.to_owned()),
        ca: None,
    }
}

fn app(name: &str, project: Option<&str>) -> AppRef {
    AppRef {
        name: name.to_owned(),
        project: project.map(str::to_owned),
        namespace: None,
    }
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_bad_token_is_told_by_calls_and_by_the_stream() {
    let stack = Stack::running().await;
    let client = ArgoCdClient::new();
    let version = client
        .check(&access(&stack, &stack.token))
        .await
        .unwrap()
        .version
        .unwrap();
    assert!(version.starts_with("v3."), "{version}");
    // The account's own token, with another signature.
    let (kept, signature) = stack.token.rsplit_once('.').unwrap();
    let forged = format!("{kept}.{}", signature.chars().rev().collect::<String>());
    for token in ["no-token-at-all", &forged] {
        let access = access(&stack, token);
        let error = client.check(&access).await.unwrap_err();
        assert!(matches!(error, ArgoCdError::Unauthorized { .. }), "{error}");
        let first = tokio::time::timeout(PATIENCE, client.watch(&access).next())
            .await
            .unwrap();
        let error = first.unwrap().unwrap_err();
        assert!(matches!(error, ArgoCdError::Unauthorized { .. }), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn a_missing_application_is_told_from_a_forbidden_one_by_its_project() {
    let stack = Stack::running().await;
    let (client, access) = (ArgoCdClient::new(), access(&stack, &stack.token));
    let read = async |project| {
        client
            .app(&access, &app("nobody", project), Refresh::No)
            .await
            .unwrap_err()
    };
    let missing = read(Some("shop")).await;
    assert!(matches!(missing, ArgoCdError::NotFound { .. }), "{missing}");
    for project in [None, Some("default")] {
        let forbidden = read(project).await;
        assert!(matches!(forbidden, ArgoCdError::Forbidden { .. }), "{forbidden}");
    }
}

#[tokio::test]
#[ignore = "needs a real Argo CD: make test-argocd"]
async fn an_application_is_read_and_followed() {
    let world = World::of("client").await;
    let (client, access) = (ArgoCdClient::new(), access(&world.stack, &world.stack.token));
    let reference = app(&world.application("production"), Some("shop"));
    let found = client.app(&access, &reference, Refresh::Normal).await.unwrap();
    assert_eq!(found.sync_status, "Synced");
    let tip = world.repository.tip("main").await.unwrap();
    assert_eq!(found.sync_revisions.first().cloned(), tip);
    assert!(
        found.images.iter().all(|image| image.ends_with(&world.first)),
        "{:?}",
        found.images
    );
    let inspected = client.inspect(&access, &reference).await.unwrap();
    assert_eq!(inspected.may_sync, Some(true));
    assert_eq!(
        inspected.app.sources.first().map(|source| &*source.revision),
        Some("main")
    );

    // The stream begins with what is there, and goes on with what changes.
    let mut events = client.watch(&access);
    let second = world.push("1.1.0").await;
    tokio::time::timeout(PATIENCE, async {
        loop {
            let WatchEvent::Changed(app) = events.next().await.unwrap().unwrap() else {
                continue;
            };
            let runs = !app.images.is_empty() && app.images.iter().all(|image| image.ends_with(&second));
            if app.name == reference.name && runs {
                break;
            }
        }
    })
    .await
    .expect("the stream tells of the new build");
    world.end().await;
}
