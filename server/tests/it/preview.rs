//! What a decision would do is shown before anybody takes it, and is what then happens.

use crate::support::{
    browser::Page,
    world::{World, until},
};
use domain::{promotion::State, rights::Role};

const NEW: &str = "/w/demo/myapp/production/-/new";

const STAGING: &str = "/w/demo/myapp/staging/api";

/// The form Create Resource as its button posts it, without a script.
fn form<'a>(button: &'a str, binding: &'a str, digest: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("intent", button),
        ("source", "promote"),
        ("source_environment", "staging"),
        ("source_resource", "api"),
        ("binding", binding),
        ("digest", digest),
        ("name", "api"),
        ("replicas", "3"),
        ("ports[0]", "8080"),
        ("env[0][name]", "LOG_LEVEL"),
        ("env[0][value]", "info"),
    ]
}

/// The lines that a page shows as added and removed, with their signs.
fn changed(page: &Page) -> Vec<String> {
    page.text
        .split("<span class=\"line ")
        .skip(1)
        .filter(|line| line.starts_with("added") || line.starts_with("removed"))
        .map(|line| {
            let (_, after) = line.split_once("class=\"sign\">").unwrap();
            let (sign, after) = after.split_once("</span>").unwrap();
            let text = after.split_once("\n").unwrap().0.replace("<!>", "");
            format!("{}{text}", sign.replace("<!>", ""))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creating_does_what_its_preview_said() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let before = world.everything().await;

    let shown = browser.post(NEW, &form("preview", "track", "")).await;
    assert_eq!(shown.status, 200, "{}", shown.words());
    let foreseen = changed(&shown);
    assert!(
        foreseen.contains(&format!("+      digest: {}", world.first)) && foreseen.contains(&"+    replicas: 3".into()),
        "{foreseen:?}"
    );
    assert!(
        shown
            .words()
            .contains("Argo CD then brings myapp-production to this commit"),
        "{}",
        shown.words()
    );
    assert_eq!(
        shown.value("env[0][value]").as_deref(),
        Some("info"),
        "nothing typed is lost"
    );
    assert_eq!(world.everything().await, before, "looking changes nothing");

    let answer = browser.post(NEW, &form("create", "track", "")).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let promotion = answer.location().unwrap().to_owned();
    world
        .ends(promotion.strip_prefix("/promotions/").unwrap(), State::Succeeded)
        .await;
    let page = browser.get(&promotion).await;
    assert_eq!(changed(&page), foreseen);
    assert!(!page.words().contains("differs from what was expected"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_declares_already_is_said_to_be_taken_over() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let short = |digest: &str| digest["sha256:".len()..][..7].to_owned();
    let production = world.values("production").await;
    let web = production.split("digest: ").nth(1).unwrap().lines().next().unwrap();
    let mut fields = form("preview", "track", "");
    for (name, value) in &mut fields {
        if *name == "name" {
            *value = "web";
        }
    }
    let shown = browser.post(NEW, &fields).await.words();
    let said = format!(
        "Git declares web in production already, with 1.0.0 ({}). Creating it here takes it over and starts a promotion to another image, 1.0.0 ({}) of {}/myapp/api.",
        short(web),
        short(&world.first),
        world.host
    );
    assert!(shown.contains(&said), "{shown}");
    // What ran before it is known, so that it can be gone back to.
    for (name, value) in &mut fields {
        if *name == "intent" {
            *value = "create";
        }
    }
    let answer = browser.post(NEW, &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let promotion = answer
        .location()
        .unwrap()
        .strip_prefix("/promotions/")
        .unwrap()
        .to_owned();
    let ended = world.ends(&promotion, State::Succeeded).await;
    assert_eq!(ended.previous.unwrap().digest.as_str(), web);
    let page = browser.get("/w/demo/myapp/production/web").await.words();
    assert!(page.contains("Roll back"), "{page}");
    let production = world.values("production").await;
    // By hand it says the image already.
    let block = world
        .values("staging")
        .await
        .split_once("services:\n")
        .unwrap()
        .1
        .to_owned();
    world.outsider_writes("production", &(production + "\n" + &block)).await;
    let said = "takes it over and leaves its image as it is.";
    until("the block to be seen", async || {
        let shown = browser.post(NEW, &form("preview", "track", "")).await.words();
        shown.contains(said).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_writes_nothing() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    world.idle().await;
    let newest = async || world.store.read().await.unwrap().newest_event().await.unwrap();
    let before = newest().await;
    let image = |repository: String| {
        [
            ("intent", "preview".to_owned()),
            ("source", "image".to_owned()),
            ("image", repository),
            ("binding", "track".to_owned()),
            ("kind", "deployment".to_owned()),
            ("name", "other".to_owned()),
        ]
    };
    for (repository, status, said) in [
        (
            format!("{}/myapp/api", world.host),
            200,
            format!("digest: {}", world.first),
        ),
        (
            format!("{}/myapp/never-seen", world.host),
            409,
            "Waybill has seen no image of".to_owned(),
        ),
    ] {
        let fields = image(repository);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = browser.post(NEW, &fields).await;
        assert_eq!(page.status, status, "{}", page.words());
        assert!(page.words().contains(&said), "{}", page.words());
    }
    assert_eq!(newest().await, before, "the ledger says nothing of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pinning_does_what_its_preview_said() {
    let world = World::start().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let mut browser = world.admin().await;
    let before = world.everything().await;

    let pin = |button: &'static str| [("intent", button), ("digest", world.first.as_str())];
    let shown = browser.post(STAGING, &pin("preview-pin")).await;
    assert_eq!(shown.status, 200, "{}", shown.words());
    assert_eq!(shown.value("digest").as_deref(), Some(world.first.as_str()));
    let wanted = [
        format!("-      digest: {second}"),
        format!("+      digest: {}", world.first),
    ];
    let foreseen = changed(&shown);
    assert!(wanted.iter().all(|line| foreseen.contains(line)), "{foreseen:?}");
    assert_eq!(world.everything().await, before, "looking changes nothing");

    let answer = browser.post(STAGING, &pin("pin")).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let promotion = answer.location().unwrap().to_owned();
    world
        .ends(promotion.strip_prefix("/promotions/").unwrap(), State::Succeeded)
        .await;
    let made = changed(&browser.get(&promotion).await);
    assert!(wanted.iter().all(|line| made.contains(line)), "{made:?}");
    assert!(made.iter().all(|line| foreseen.contains(line)), "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_is_refused_like_the_decision() {
    let world = World::start().await;
    let mut browser = world.admin().await;
    let unknown = format!("sha256:{}", "0f".repeat(32));

    let refused = browser.post(NEW, &form("preview", "pin", &unknown)).await;
    let why = "The registry holds no image with this digest";
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(
        refused.field_error("digest").is_some_and(|e| e.contains(why)),
        "{}",
        refused.words()
    );
    let refused = browser
        .post(STAGING, &[("intent", "preview-pin"), ("digest", &unknown)])
        .await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(
        refused.field_error("digest").is_some_and(|e| e.contains(why)),
        "{}",
        refused.words()
    );

    world.person("vic@example.com", "demo", Role::Viewer).await;
    let mut viewer = world.signed_in("vic@example.com").await;
    let looked = viewer
        .post(
            "/api/ui/preview_pin",
            &[
                ("workspace", "demo"),
                ("project", "myapp"),
                ("environment", "staging"),
                ("resource", "api"),
                ("digest", &world.first),
            ],
        )
        .await;
    assert!(looked.text.contains("\"kind\":\"forbidden\""), "{}", looked.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_for_tags_picks_is_shown_before_it_is_saved() {
    let world = World::start().await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("development", "api", &second).await;
    world.idle().await;
    let before = world.everything().await;
    let mut browser = world.admin().await;
    let of = "/w/demo/myapp/development/api";
    let rule = |button: &'static str, range: &'static str| {
        [
            ("intent", button),
            ("tags", "semver"),
            ("tags_value", range),
            ("leave_out", "pr-*"),
        ]
    };

    let shown = browser.post(of, &rule("preview-tags", "<1.1")).await;
    assert_eq!(shown.status, 200, "{}", shown.words());
    assert_eq!(shown.value("tags_value").as_deref(), Some("<1.1"));
    assert_eq!(shown.value("leave_out").as_deref(), Some("pr-*"));
    let words = shown.words();
    assert!(
        words
            .contains("1.0.0 counts as newest; 1 of 2 tags count. 1.1.0 stays until a newer image that counts arrives"),
        "{words}"
    );
    let refused = browser.post(of, &rule("preview-tags", "1.x || 2")).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert!(refused.words().contains("Write ^1.4"), "{}", refused.words());
    assert_eq!(world.everything().await, before, "looking changes nothing");

    let saved = browser.post(of, &rule("tags", "<1.1")).await;
    assert_eq!(saved.status, 303, "{}", saved.words());
    let page = browser.get(of).await.words();
    assert!(
        page.contains("Ahead of its image repository, where 1.0.0 is the newest that counts")
            && page.contains("Go back to 1.0.0")
            && !page.contains("went back to"),
        "{page}"
    );
}
