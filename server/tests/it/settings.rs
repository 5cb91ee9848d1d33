//! Settings, account and invitations as people without a script use them.

use crate::support::{
    browser::{Browser, Page},
    world::{ADMIN, PASSWORD, World},
};
use domain::rights::Role;
use reqwest::Method;
use serde_json::json;

const SETTINGS: &str = "/w/demo/-/settings";

/// Whether a session still counts, asked at a door for programs.
async fn is_in(browser: &mut Browser) -> bool {
    let query = json!({ "query": "{ projects { name } }" }).to_string();
    let origin = browser.origin();
    let headers = [("content-type", "application/json"), ("origin", origin.as_str())];
    let answer = browser.send(Method::POST, "/api/graphql", &headers, query).await;
    let refused = answer.status == 401 || answer.text.contains("signed_out");
    assert!(refused || answer.status == 200, "{}", answer.text);
    !refused
}

/// The secret that a page shows.
fn secret(page: &Page) -> Option<String> {
    let after = page.text.split("id=\"secret\"").nth(1)?;
    let inside = after.split_once('>')?.1;
    Some(inside.split('<').next()?.to_owned())
}

/// The value of the hidden field `name` in the row that mentions `who`.
fn hidden(page: &Page, who: &str, name: &str) -> String {
    let row = page.text.split("<tr").skip(1).find(|row| row.contains(who)).unwrap();
    let field = row.split(&format!("name=\"{name}\"")).nth(1).unwrap();
    let value = field.split("value=\"").nth(1).unwrap();
    value.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_sees_to_members_groups_and_tokens() {
    let world = World::start().await;
    world.person("bob@example.com", "demo", Role::Developer).await;
    let mut admin = world.admin().await;
    let mut bob = world.signed_in("bob@example.com").await;
    assert!(admin.get("/").await.text.contains("href=\"/w/demo/-/settings\""));
    assert!(!bob.get("/").await.text.contains("/-/settings"));
    let refused = bob.get(SETTINGS).await;
    assert_eq!(refused.status, 403, "{}", refused.words());
    let stranger = world.stranger().get(SETTINGS).await;
    assert_eq!(stranger.location(), Some("/sign-in?next=%2Fw%2Fdemo%2F%2D%2Fsettings"));
    for path in ["/w/nowhere/-/settings", "/w/demo/-/settings/nonsense"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }

    let groups = format!("{SETTINGS}/groups");
    let page = admin
        .post(&groups, &[("intent", "create-group"), ("name", "Re lease")])
        .await;
    assert_eq!(page.status, 422);
    assert!(page.field_error("name").is_some());
    assert_eq!(page.value("name").as_deref(), Some("Re lease"));
    let page = admin
        .post(&groups, &[("intent", "create-group"), ("name", "release")])
        .await;
    assert!(
        page.words().contains("The group is made.") && page.words().contains("Nobody is in it yet."),
        "{}",
        page.words()
    );

    let members = admin.get(SETTINGS).await;
    assert_eq!(members.status, 200);
    let bobs = hidden(&members, "bob@example.com", "user");
    let page = admin
        .post(&groups, &[("intent", "join"), ("group", "release"), ("user", &bobs)])
        .await;
    assert!(page.words().contains("bob bob@example.com Remove"), "{}", page.words());
    let page = admin
        .post(
            SETTINGS,
            &[("intent", "set-role"), ("user", &bobs), ("role", "approver")],
        )
        .await;
    assert!(page.words().contains("The role is changed."), "{}", page.words());
    let own = hidden(&page, ADMIN, "user");
    let page = admin.post(SETTINGS, &[("intent", "deactivate"), ("user", &own)]).await;
    assert_eq!(page.status, 409);
    assert!(
        page.words().contains("is the last administrator of demo"),
        "{}",
        page.words()
    );

    let tokens = format!("{SETTINGS}/tokens");
    let new = [
        ("intent", "create-token"),
        ("name", "deploy"),
        ("role", "viewer"),
        ("place", "myapp/staging"),
        ("expires", "30d"),
    ];
    let page = admin.post(&tokens, &new).await;
    let token = secret(&page).unwrap_or_else(|| panic!("{}", page.words()));
    assert!(token.starts_with("wb_"));
    assert!(
        page.words().contains("myapp / staging"),
        "listed at once: {}",
        page.words()
    );
    let later = admin.get(&tokens).await;
    assert!(!later.text.contains(&token) && secret(&later).is_none(), "shown once");
    let query = json!({ "query": "{ projects { name } }" });
    let (_, answer) = world.post_json("/api/graphql", Some(&token), &query).await;
    assert_eq!(answer["data"]["projects"], json!([{ "name": "myapp" }]), "{answer}");
    let id = hidden(&later, "deploy", "id");
    let page = admin.post(&tokens, &[("intent", "revoke"), ("id", &id)]).await;
    assert!(page.words().contains("The token is withdrawn."), "{}", page.words());
    let (status, answer) = world.post_json("/api/v1/apply", Some(&token), &world.document()).await;
    assert_eq!(status, 401, "{answer}");

    // Closing an account ends what is open at once.
    assert!(is_in(&mut bob).await);
    let page = admin.post(SETTINGS, &[("intent", "deactivate"), ("user", &bobs)]).await;
    assert!(page.words().contains("The account is closed."), "{}", page.words());
    assert!(!is_in(&mut bob).await);
    assert_eq!(bob.get("/api/events").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_edits_a_policy_is_told_what_others_saved_meanwhile() {
    let world = World::start().await;
    world.person("bob@example.com", "demo", Role::Admin).await;
    let (mut ada, mut bob) = (world.admin().await, world.signed_in("bob@example.com").await);
    let path = "/w/demo/myapp/production/-/policy";
    // What the page was made with is posted along.
    let before = |page: &Page| {
        let field = page.text.split("name=\"before\"").nth(1).unwrap();
        let value = field.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        value
            .replace("&#x27;", "'")
            .replace("&quot;", "\"")
            .replace("&amp;", "&")
    };
    let (hers, his) = (before(&ada.get(path).await), before(&bob.get(path).await));
    let page = bob
        .post(path, &[("policy", "checks: [{ name: scan }]"), ("before", &his)])
        .await;
    assert!(page.words().contains("Saved."), "{}", page.words());
    let mine = "approvals: { count: 2 } # mine";
    let page = ada.post(path, &[("policy", mine), ("before", &hers)]).await;
    assert_eq!(page.status, 409, "{}", page.words());
    assert!(
        page.summary().contains("bob saved another policy at"),
        "{}",
        page.words()
    );
    assert!(
        page.summary().contains("scan") && page.text.contains(mine),
        "{}",
        page.words()
    );
    // Nothing was written; who saves again knows what they do.
    let stands = bob.get(path).await;
    assert!(
        stands.words().contains("scan") && !stands.words().contains("2 approvals"),
        "{}",
        stands.words()
    );
    let again = before(&page);
    assert_ne!(again, hers);
    let page = ada.post(path, &[("policy", mine), ("before", &again)]).await;
    assert!(page.words().contains("Saved."), "{}", page.words());
    // And goes on editing what they saved.
    let then = before(&page);
    let page = ada.post(path, &[("policy", ""), ("before", &then)]).await;
    assert!(page.words().contains("Saved."), "{}", page.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_invited_joins_by_the_link_once() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let invite = [
        ("intent", "invite"),
        ("email", "eve@example.com"),
        ("role", "developer"),
    ];
    let page = admin.post(SETTINGS, &invite).await;
    let link = secret(&page).unwrap_or_else(|| panic!("{}", page.words()));
    let path = &link[link.find("/invitation").unwrap()..];
    let mut eve = world.stranger();
    let page = eve.get(path).await;
    assert_eq!(page.status, 200);
    let words = page.words();
    assert!(
        words.contains("Join demo") && words.contains("eve@example.com is invited as developer."),
        "{words}"
    );
    let page = eve.post(path, &[("name", "Eve"), ("password", "short")]).await;
    assert_eq!(page.status, 422, "{}", page.words());
    assert!(page.field_error("password").is_some() && !page.text.contains("value=\"short\""));
    assert_eq!(page.value("name").as_deref(), Some("Eve"));
    let page = eve.post(path, &[("name", "Eve"), ("password", PASSWORD)]).await;
    assert_eq!((page.status, page.location()), (303, Some("/")), "{}", page.words());
    assert!(is_in(&mut eve).await);
    assert!(eve.get("/").await.words().contains("eve@example.com"));
    assert_eq!(world.stranger().get(path).await.status, 404);
    assert_eq!(world.stranger().get("/invitation?key=guess").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_and_end_their_sessions_and_change_their_password() {
    let world = World::start().await;
    let (mut here, mut there) = (world.admin().await, world.admin().await);
    let page = here.get("/account").await;
    assert_eq!(page.status, 200);
    let words = page.words();
    assert_eq!(words.matches("127.0.0.1").count(), 2, "{words}");
    assert_eq!(words.matches("this one").count(), 1, "{words}");
    let change =
        |current: &'static str, new: &'static str| [("intent", "password"), ("current", current), ("new", new)];
    let page = here
        .post("/account", &change("wrong-wrong-wrong", "another-good-one"))
        .await;
    assert_eq!(page.status, 422);
    assert!(page.field_error("current").is_some(), "{}", page.words());
    assert!(!page.text.contains("wrong-wrong") && !page.text.contains("another-good"));
    assert!(is_in(&mut there).await);
    let page = here.post("/account", &change(PASSWORD, "another-good-one")).await;
    assert!(page.words().contains("Your password is changed."), "{}", page.words());
    assert!(is_in(&mut here).await && !is_in(&mut there).await);
    let page = here.post("/account", &[("intent", "everywhere")]).await;
    assert_eq!((page.status, page.location()), (303, Some("/sign-in")));
    assert!(!is_in(&mut here).await);
    assert_eq!(here.get("/account").await.location(), Some("/sign-in?next=%2Faccount"));
}
