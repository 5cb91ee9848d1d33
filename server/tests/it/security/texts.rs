//! Script in every text that somebody else can write: it is shown as it was written, and never run.

use crate::support::{
    browser::form,
    world::{PASSWORD, World},
};
use reqwest::Method;
use serde_json::json;

/// What breaks out of texts, attributes and scripts where nothing holds it back.
pub(super) const SCRIPT: &str = "'\"></title></textarea></script><script>alert(1)</script><img src=x onerror=alert(2)>";

/// The opening tags of a page, as a browser reads them.
fn tags(html: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            rest = rest.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            rest = &rest[1..];
            continue;
        }
        let mut quote = None;
        let end = rest.char_indices().find_map(|(i, c)| {
            match (quote, c) {
                (None, '>') => return Some(i),
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            None
        });
        let Some(end) = end else { break };
        let tag = &rest[..=end];
        found.push(tag);
        rest = &rest[end + 1..];
        for raw in ["script", "style", "textarea", "title"] {
            if tag[1..].to_ascii_lowercase().starts_with(raw) {
                let close = format!("</{raw}");
                rest = rest.find(&close).map_or("", |at| &rest[at..]);
            }
        }
    }
    found
}

/// Attributes of a tag, with their values.
fn attributes(tag: &str) -> Vec<(String, String)> {
    let inside = tag.trim_end_matches('>').trim_end_matches('/');
    let mut rest = inside.find(char::is_whitespace).map_or("", |at| &inside[at..]);
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return found;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (begin, stop) = match quote {
                Some(quote) => (1, after[1..].find(quote).map_or(after.len(), |at| at + 1)),
                None => (0, after.find(char::is_whitespace).unwrap_or(after.len())),
            };
            value = &after[begin..stop];
            rest = after.get(stop + usize::from(quote.is_some())..).unwrap_or_default();
        }
        found.push((name, value.replace("&amp;", "&")));
    }
}

/// Fails when a page would run what somebody wrote into it.
pub(super) fn runs_nothing(html: &str, what: &str) {
    for tag in tags(html) {
        let all = attributes(tag);
        let has = |name: &str| all.iter().any(|(own, _)| own == name);
        if tag[1..].to_ascii_lowercase().starts_with("script") {
            assert!(has("nonce"), "{what}: a script of nobody: {tag}");
        }
        assert!(!tag.starts_with("<img") && !tag.starts_with("<iframe"), "{what}: {tag}");
        for (name, value) in &all {
            assert!(!name.starts_with("on") || name == "on", "{what}: {tag}");
            let is_address = matches!(name.as_str(), "href" | "src" | "action" | "formaction" | "xlink:href");
            let fine = ["/", "#", "?", "http://", "https://", "data:image/"];
            if is_address && !value.is_empty() {
                assert!(fine.iter().any(|begin| value.starts_with(begin)), "{what}: {tag}");
                assert!(!value.starts_with("//"), "{what}: {tag}");
            }
        }
    }
}

#[test]
fn the_test_itself_sees_what_would_run() {
    for bad in [
        SCRIPT,
        "<a href=\"javascript:alert(1)\">",
        "<p title=\"\" onclick=x>",
        "<a href='//evil.example'>",
        "<textarea></textarea><script>1</script>",
    ] {
        assert!(std::panic::catch_unwind(|| runs_nothing(bad, "x")).is_err(), "{bad}");
    }
    let escaped =
        "<p title=\"'&quot;&gt;&lt;script&gt;\">&lt;script&gt;</p><textarea><script></textarea><a href=\"/x\">";
    runs_nothing(escaped, "what is escaped");
}

/// Leptos writes what stands in these as it is; each has to be seen to.
#[test]
fn what_leptos_does_not_escape_is_escaped_by_hand() {
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../app/src"
    ))];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for element in text.split("<textarea").skip(1) {
                let inside = element.split("</textarea>").next().unwrap();
                assert!(inside.contains("in_textarea("), "{}: <textarea{inside}", path.display());
                seen += 1;
            }
            for element in ["<noscript", "<style"] {
                assert!(!text.contains(element), "{}: {element}", path.display());
            }
        }
    }
    assert!(seen > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_in_any_text_is_a_text() {
    let world = World::start().await;
    let registry = world.registry.as_ref().unwrap();
    let image = testbed::ImageSpec::new("evil")
        .created("2026-11-02T09:12:00Z")
        .label("org.opencontainers.image.version", SCRIPT)
        .label("org.opencontainers.image.revision", SCRIPT)
        .label("org.opencontainers.image.source", "javascript:alert(1)")
        .label("git.commit", SCRIPT)
        .label("ci.run", "javascript:alert(2)//https://x");
    let second = registry.push_image("myapp/api", "1.1.0", &image).await.unwrap();
    world.wait_for_live("staging", "api", &second).await;
    world.idle().await;
    let mut document = world.document();
    document["projects"][0]["environments"][2]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": { "pin": world.first },
    }]);
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;

    // Somebody whose browser, name and address say more than they should.
    let mut ada = world.admin().await;
    let settings = "/w/demo/-/settings";
    let origin = world.base_url.clone();
    let invited = [
        ("intent", "invite"),
        ("email", "o'\"onload=x&amp;@x"),
        ("role", "approver"),
    ];
    let page = ada.post(settings, &invited).await;
    runs_nothing(&page.text, "an invitation");
    let invited = [("intent", "invite"), ("email", "o'onload=x@x"), ("role", "approver")];
    let page = ada.post(settings, &invited).await;
    let key = page
        .text
        .split("/invitation?key=")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let path = format!("/invitation?key={key}");
    let mut eve = world.stranger();
    runs_nothing(&eve.get(&path).await.text, &path);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", origin.as_str()),
        ("accept", "text/html"),
        ("user-agent", "<script>alert(1)</script><img src=x>"),
    ];
    let name = "Eve\" onfocus=\"alert(1)' onload='x";
    let join = |name: &str| form(&[("name", name), ("password", PASSWORD)]);
    let page = eve.send(Method::POST, &path, &headers, join(SCRIPT)).await;
    assert_eq!(page.status, 422, "{}", page.words());
    runs_nothing(&page.text, "a name that is refused");
    let page = eve.send(Method::POST, &path, &headers, join(name)).await;
    assert_eq!(page.status, 303, "{}", page.words());
    runs_nothing(&eve.get("/account").await.text, "/account");

    // What is written into reasons, comments, checks, freezes, files.
    let production = "/w/demo/myapp/production";
    let freeze = format!(
        "approvals: {{ count: 2 }}\nchecks: [{{ name: scan }}]\nfreezes:\n  - name: {}\n    timeZone: Europe/Berlin\n    when: {{ weekly: {{ from: monday 00:00, to: sunday 23:59 }} }}\n",
        json!(SCRIPT)
    );
    let page = ada
        .post(
            &format!("{production}/-/policy"),
            &[("policy", &freeze), ("before", "{}")],
        )
        .await;
    runs_nothing(&page.text, "a policy");
    let checks = "approvals: { count: 2 }\nchecks: [{ name: scan }]\n";
    let page = ada.post(&format!("{production}/-/policy"), &[("policy", checks)]).await;
    runs_nothing(&page.text, "a policy");
    let stop = [("intent", "pause-environment"), ("reason", SCRIPT)];
    let page = ada.post(production, &stop).await;
    assert!(page.status < 400, "{}", page.words());
    let report = json!({ "workspace": "demo", "digest": second, "name": "scan", "status": "failed", "summary": SCRIPT,
        "url": "https://ci.example.com/'\"><script>alert(1)</script>" });
    let (status, answer) = world.post_json("/api/v1/checks", Some(&world.token), &report).await;
    assert_eq!(status, 200, "{answer}");
    let page = ada
        .post(&format!("{production}/api"), &[("intent", "pin"), ("digest", &second)])
        .await;
    let promotion = page.location().unwrap_or_else(|| panic!("{}", page.words())).to_owned();
    let id = promotion.trim_start_matches("/promotions/").to_owned();
    let mut pages = vec![promotion.clone()];
    for (path, by) in [(&promotion, &mut eve)] {
        runs_nothing(&by.get(path).await.text, path);
        runs_nothing(&by.get("/inbox").await.text, "/inbox");
    }
    let reject = [("intent", "reject"), ("id", id.as_str()), ("comment", SCRIPT)];
    let page = eve.post(&promotion, &reject).await;
    assert_eq!(page.status, 303, "{}", page.words());
    let values = world.values("production").await;
    let written = values.replace("tag:", &format!("# {SCRIPT}\n      tag:"));
    world.outsider_writes("production", &written).await;

    // Every page that tells of it, and what is typed into addresses.
    let typed: String = reqwest::Url::parse_with_params("http://x/", [("q", SCRIPT)])
        .unwrap()
        .query()
        .unwrap()[2..]
        .to_owned();
    for path in [
        "/",
        "/inbox",
        "/account",
        "/w/demo/myapp",
        "/w/demo/myapp/development/api",
        "/w/demo/myapp/staging",
        "/w/demo/myapp/staging/api",
        production,
        "/w/demo/myapp/production/api",
        "/w/demo/myapp/production/-/policy",
        "/w/demo/myapp/production/-/new",
        "/w/demo/-/settings",
        "/w/demo/-/settings/groups",
        "/w/demo/-/settings/tokens",
        "/w/demo/-/settings/clusters",
        "/w/demo/-/settings/git",
        "/w/demo/-/settings/notifications",
        "/w/demo/-/activity",
    ] {
        pages.push(path.to_owned());
        pages.push(format!(
            "{path}?q={typed}&state={typed}&env={typed}&actor={typed}&resource={typed}&kind={typed}&from={typed}&before={typed}"
        ));
    }
    for section in ["clusters", "git"] {
        for wanted in ["new", "edit=local", "edit=myapp", &format!("edit={typed}")] {
            pages.push(format!("/w/demo/-/settings/{section}?{wanted}"));
        }
    }
    pages.push(format!("/w/{typed}/{typed}/{typed}/{typed}"));
    pages.push(format!("/promotions/{typed}"));
    pages.push(format!("/sign-in?next={typed}&next=javascript:alert(1)"));
    pages.push(format!("/invitation?key={typed}"));
    pages.push(format!("/nowhere/{typed}"));
    let mut said = 0;
    for path in &pages {
        for browser in [&mut ada, &mut eve] {
            let page = browser.get(path).await;
            runs_nothing(&page.text, path);
            said += usize::from(page.words().contains("alert(1)"));
        }
    }
    assert!(said > 10, "the texts are shown: {said}");

    // What a form gives back as it was typed.
    let fields = [
        "name",
        "email",
        "password",
        "role",
        "group",
        "place",
        "expires",
        "id",
        "user",
        "digest",
        "comment",
        "reason",
        "gate",
        "policy",
        "before",
        "source",
        "image",
        "source_environment",
        "source_resource",
        "binding",
        "kind",
        "replicas",
        "ports[0]",
        "env[0][name]",
        "env[0][value]",
        "ingress_host",
        "health_path",
        "current",
        "new",
    ];
    for (path, intents) in [
        ("/sign-in", &[""][..]),
        ("/account", &["password", "sign-out-everywhere-not"]),
        (
            settings,
            &[
                "invite",
                "set-role",
                "create-group",
                "create-token",
                "revoke",
                "withdraw",
                "join",
                "nonsense",
                SCRIPT,
            ],
        ),
        ("/w/demo/-/settings/tokens", &["create-token"]),
        ("/w/demo/-/settings/groups", &["create-group", "join"]),
        ("/w/demo/myapp/production/-/new", &["create", "use-", SCRIPT]),
        ("/w/demo/myapp/production/-/policy", &[""]),
        ("/w/demo/myapp/production/api", &["pin", "rollback", SCRIPT]),
        (production, &["resume-not"]),
        (&promotion, &["approve", "reject", "override", SCRIPT]),
    ] {
        for intent in intents {
            let mut typed: Vec<(&str, &str)> = fields.iter().map(|field| (*field, SCRIPT)).collect();
            typed.push(("intent", intent));
            let page = ada.post(path, &typed).await;
            assert!(page.status < 500, "{path} {intent}: {}", page.status);
            runs_nothing(&page.text, &format!("{path} {intent}"));
        }
    }
}
