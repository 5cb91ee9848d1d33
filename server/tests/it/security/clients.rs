//! From where somebody comes, behind proxies and without: what the sign-in limit, sessions and the ledger go by.

use crate::support::{
    browser::form,
    world::{ADMIN, PASSWORD, Setup, World},
};
use domain::{time::Timestamp, told::EventKind};
use reqwest::Method;
use server::store::activity::{Along, Position, Search};

/// The addresses that the newest sign-ins of a workspace's ledger came from.
async fn signed_in_from(world: &World) -> Vec<String> {
    let mut tx = world.store.read().await.unwrap();
    let demo = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let search = Search {
        workspace: demo.id,
        along: Along::Kind(EventKind::SignedIn),
        kind: Some(EventKind::SignedIn),
        environment: None,
        actors: None,
        from: Timestamp(i64::MIN),
        before: Position {
            at: Timestamp(i64::MAX),
            sequence: i64::MAX,
        },
        limit: 100,
    };
    let found = tx.search_events(&search).await.unwrap();
    found.into_iter().filter_map(|event| event.address).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_each_client_counts_for_itself() {
    let world = World::with(Setup {
        variables: vec![
            ("LIMITS_SIGN_IN_ATTEMPTS", "3".into()),
            ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8".into()),
        ],
        ..Setup::default()
    })
    .await;
    let origin = world.base_url.clone();
    let sign_in = async |from: &str, email: &str, password: &str| {
        let mut browser = world.stranger();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin.as_str()),
            ("accept", "text/html"),
            ("x-forwarded-for", from),
        ];
        let body = form(&[("email", email), ("password", password)]);
        let page = browser.send(Method::POST, "/sign-in", &headers, body).await;
        (page.status, browser)
    };
    for _ in 0..3 {
        assert_eq!(sign_in("203.0.113.7", ADMIN, "wrong").await.0, 422);
    }
    for same in [
        "203.0.113.7",
        "198.51.100.1, 203.0.113.7",
        "203.0.113.7, 10.1.2.3",
        "203.0.113.7:4711",
    ] {
        assert_eq!(sign_in(same, ADMIN, PASSWORD).await.0, 429, "{same}");
    }
    let (status, mut browser) = sign_in("203.0.113.7, 203.0.113.8", ADMIN, PASSWORD).await;
    assert_eq!(status, 303, "another client");
    let account = browser.get("/account").await.words();
    assert!(
        account.contains("203.0.113.8") && !account.contains("203.0.113.7"),
        "{account}"
    );
    // The newest first.
    assert_eq!(
        signed_in_from(&world).await.first().map(String::as_str),
        Some("203.0.113.8")
    );
    // Whoever has one address of an IPv6 network has them all.
    for n in 0..3 {
        assert_eq!(sign_in(&format!("2001:db8:1:2::{n}"), ADMIN, "wrong").await.0, 422);
    }
    assert_eq!(sign_in("2001:db8:1:2:ffff::9", ADMIN, PASSWORD).await.0, 429);
    assert_eq!(sign_in("2001:db8:1:3::9", ADMIN, PASSWORD).await.0, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_says_from_where_they_come() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let headers = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
    browser.send(Method::GET, "/account", &headers, "").await;
    let account = browser.get("/account").await.words();
    assert!(
        account.contains("127.0.0.1") && !account.contains("203.0.113.7"),
        "{account}"
    );
    assert!(
        signed_in_from(&world)
            .await
            .iter()
            .all(|address| address == "127.0.0.1")
    );
}
