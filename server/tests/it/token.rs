//! API tokens.

use crate::support::{Bench, stranger};
use contract::error::AppError;
use domain::{promotion::Actor, rights::Role};
use secrecy::ExposeSecret;
use server::{
    adapters::system::System,
    service::access::{self, NewToken, create_token_here, hash_token},
};

fn new(name: &str) -> NewToken<'_> {
    NewToken {
        name,
        role: Role::Developer,
        expires_in_millis: None,
    }
}

#[tokio::test]
async fn a_token_is_its_callers_proof_and_only_its_hash_is_kept() {
    let bench = Bench::new().await;
    let (caller, token) = bench.program("demo", "ci", Role::Developer).await;
    assert_eq!(caller.actor, Actor::Token { name: "ci".into() });
    assert_eq!(
        (caller.access[0].0.name.as_str(), caller.access[0].1),
        ("demo", Role::Developer)
    );
    let mut tx = bench.store.read().await.unwrap();
    let (stored, _) = tx
        .token_by_hash(&hash_token(token.expose_secret()))
        .await
        .unwrap()
        .unwrap();
    assert!(!format!("{stored:?}").contains(token.expose_secret()));
    let mut wrong = token.expose_secret().to_owned();
    wrong.pop();
    wrong.push(if token.expose_secret().ends_with('A') { 'E' } else { 'A' });
    for nobody in ["", "wb_", "hunter2", wrong.as_str(), &hash_token(token.expose_secret())] {
        assert_eq!(
            access::caller_of_token(&bench.services, nobody).await.unwrap(),
            None,
            "{nobody}"
        );
    }
}

#[tokio::test]
async fn a_token_ends_when_it_said_it_would() {
    let bench = Bench::new().await;
    bench.program("demo", "other", Role::Admin).await;
    let expiring = NewToken {
        expires_in_millis: Some(1000),
        ..new("ci")
    };
    let (_, token) = create_token_here(&*bench.store, &*bench.clock, &System, None, false, &expiring)
        .await
        .unwrap();
    let who = || access::caller_of_token(&bench.services, token.expose_secret());
    bench.clock.forward(999);
    assert!(who().await.unwrap().is_some());
    bench.clock.forward(1);
    assert_eq!(who().await.unwrap(), None);
}

#[tokio::test]
async fn names_are_unique_in_a_workspace_and_only_administrators_make_tokens() {
    let bench = Bench::new().await;
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    let (admin, _) = bench.member("ada@example.com", "demo", Role::Admin).await;
    // One that a token made could outlive it, and whoever withdraws it.
    let refused = access::create_token(&bench.services, &program, "demo", &new("ci")).await;
    assert!(
        matches!(&refused, Err(AppError::Forbidden(why)) if why.contains("Sign in as a person")),
        "{refused:?}"
    );
    access::create_token(&bench.services, &admin, "demo", &new("ci"))
        .await
        .unwrap();
    let taken = access::create_token(&bench.services, &admin, "demo", &new("ci"))
        .await
        .unwrap_err();
    assert!(
        taken.fields().unwrap().get("name").unwrap().contains("already"),
        "{taken}"
    );
    let malformed = access::create_token(&bench.services, &admin, "demo", &new("C I"))
        .await
        .unwrap_err();
    assert_eq!(malformed.status(), 422);
    let developer = stranger(&admin.access[0].0, Role::Developer);
    assert!(matches!(
        access::create_token(&bench.services, &developer, "demo", &new("x")).await,
        Err(AppError::Forbidden(_))
    ));
    assert!(matches!(
        access::create_token(&bench.services, &admin, "other", &new("x")).await,
        Err(AppError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_workspace_made_along_belongs_to_the_first_account() {
    let bench = Bench::new().await;
    let first = bench.person("ada@example.com").await;
    bench.clock.forward(1);
    let second = bench.person("bob@example.com").await;
    let make = |workspace, create| {
        let bench = &bench;
        async move { create_token_here(&*bench.store, &*bench.clock, &System, workspace, create, &new("ci")).await }
    };
    assert!(
        make(None, false)
            .await
            .unwrap_err()
            .to_string()
            .contains("no workspace yet")
    );
    assert!(
        make(Some("demo"), false)
            .await
            .unwrap_err()
            .to_string()
            .contains("There is no workspace")
    );
    assert!(make(Some("De mo"), true).await.unwrap_err().fields().is_some());
    make(Some("demo"), true).await.unwrap();
    make(Some("two"), true).await.unwrap();
    assert!(
        make(None, false)
            .await
            .unwrap_err()
            .to_string()
            .contains("several workspaces")
    );
    let mut tx = bench.store.read().await.unwrap();
    let roles: Vec<Role> = tx
        .memberships(first)
        .await
        .unwrap()
        .into_iter()
        .map(|(_, role)| role)
        .collect();
    assert_eq!(roles, [Role::Admin, Role::Admin]);
    assert_eq!(tx.memberships(second).await.unwrap(), []);
}
