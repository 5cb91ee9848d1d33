//! Script where Waybill is connected to others: in every field of the forms for clusters, repositories, environments and channels, and in
//! what a registry, a Git server, Argo CD and a receiver of notifications say.

use super::texts::{SCRIPT, runs_nothing};
use crate::support::{
    browser::{Browser, Page},
    world::{GIT_TOKEN, Setup, World},
};
use argocd_standin::Fault;
use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
};
use domain::promotion::State;
use serde_json::json;
use std::process::Command;

const REGISTRIES: &str = "/w/demo/-/settings/registries";
const CLUSTERS: &str = "/w/demo/-/settings/clusters";

const GIT: &str = "/w/demo/-/settings/git";

const NOTIFICATIONS: &str = "/w/demo/-/settings/notifications";

/// Posts, and holds the page against what it must not do.
async fn post(admin: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let page = admin.post(path, fields).await;
    let what = format!("{path} {fields:?}");
    assert!(page.status < 500, "{what}: {}", page.words());
    runs_nothing(&page.text, &what);
    page
}

/// Posts the fields with the script in one of them after the other, and in all at once. `name` is of something new each time; the names
/// of what was taken.
async fn try_each(admin: &mut Browser, path: &str, intent: &str, name: &str, fields: &[(&str, &str)]) -> Vec<String> {
    let mut taken = Vec::new();
    for (n, (field, _)) in fields.iter().enumerate() {
        let own = format!("{intent}-{n}");
        let mut typed = vec![("intent", intent), (name, &own)];
        typed.extend(fields.iter().filter(|(known, _)| known != field));
        typed.push((field, SCRIPT));
        if post(admin, path, &typed).await.status < 400 {
            taken.push(own);
        }
    }
    let mut typed: Vec<_> = fields.iter().map(|(field, _)| (*field, SCRIPT)).collect();
    typed.extend([("intent", intent), (name, SCRIPT)]);
    post(admin, path, &typed).await;
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_in_any_field_of_a_connection_is_a_text() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let git = world.git.as_ref().unwrap().url("deploy.git");
    let cluster = [
        // Nobody listens there.
        ("cluster[argocd_url]", "http://127.0.0.1:9"),
        ("cluster[argocd_ca]", ""),
        ("cluster[application]", ""),
        ("cluster[argocd_project]", "myapp"),
        ("cluster[namespace]", ""),
        ("cluster[registry]", "local"),
        ("cluster[mirror]", ""),
        ("secrets[argocd_token]", "token"),
    ];
    let registry = [
        // Nobody listens there.
        ("registry[host]", "127.0.0.1:9"),
        ("registry[plain_http]", "true"),
        ("registry[ca]", ""),
        ("registry[pull_user]", "bob"),
        ("registry[push_user]", "bob"),
        ("secrets[pull_password]", "password"),
        ("secrets[push_password]", "password"),
    ];
    let repository = [
        ("repository[url]", &*git),
        ("repository[branch]", "main"),
        ("repository[path_template]", "more/{environment}.yaml"),
        ("repository[values_prefix]", ""),
        ("repository[sign_in]", "token"),
        ("repository[user]", "waybill"),
        ("repository[known_hosts]", ""),
        ("secrets[git_token]", GIT_TOKEN),
        ("secrets[ssh_key]", ""),
    ];
    let environment = [
        ("environment[project]", "myapp"),
        ("environment[cluster]", "local"),
        ("environment[protected]", "true"),
    ];
    let channel = [
        ("project", "myapp"),
        ("kind", "slack"),
        ("address", "https://hooks.example.com/x"),
        ("occasions[failed]", "on"),
        ("environments", "staging"),
    ];
    let new = |path: &str| format!("{path}?new");
    let mut shown = vec![
        REGISTRIES.to_owned(),
        CLUSTERS.to_owned(),
        GIT.to_owned(),
        NOTIFICATIONS.to_owned(),
    ];
    for intent in ["save-registry", "test-registry"] {
        let taken = try_each(&mut admin, &new(REGISTRIES), intent, "registry[name]", &registry).await;
        shown.extend(taken.iter().map(|name| format!("{REGISTRIES}?edit={name}")));
        let changed = [&registry[..], &[("registry[was]", "local")]].concat();
        let edit = format!("{REGISTRIES}?edit=local");
        try_each(&mut admin, &edit, intent, "registry[name]", &changed).await;
    }
    for intent in ["save-cluster", "test-cluster"] {
        let taken = try_each(&mut admin, &new(CLUSTERS), intent, "cluster[name]", &cluster).await;
        shown.extend(taken.iter().map(|name| format!("{CLUSTERS}?edit={name}")));
        let changed = [&cluster[..], &[("cluster[was]", "local")]].concat();
        try_each(
            &mut admin,
            &format!("{CLUSTERS}?edit=local"),
            intent,
            "cluster[name]",
            &changed,
        )
        .await;
    }
    assert!(shown.len() > 4, "some fields take any text");
    for intent in ["save-repository", "test-repository"] {
        let taken = try_each(&mut admin, &new(GIT), intent, "repository[name]", &repository).await;
        shown.extend(taken.iter().map(|name| format!("{GIT}?edit={name}")));
        let changed = [&repository[..], &[("repository[was]", "myapp")]].concat();
        try_each(
            &mut admin,
            &format!("{GIT}?edit=myapp"),
            intent,
            "repository[name]",
            &changed,
        )
        .await;
    }
    try_each(&mut admin, GIT, "add-environment", "environment[name]", &environment).await;
    try_each(&mut admin, NOTIFICATIONS, "add-channel", "name", &channel).await;
    for (path, name, intents) in [
        (CLUSTERS, "cluster[was]", &["test-cluster", SCRIPT][..]),
        (REGISTRIES, "registry[was]", &["test-registry", SCRIPT]),
        (GIT, "repository[was]", &["test-repository", SCRIPT]),
        (
            NOTIFICATIONS,
            "id",
            &[
                "test-channel",
                "pause-channel",
                "resume-channel",
                "remove-channel",
                "redeliver",
            ],
        ),
    ] {
        for intent in intents {
            post(&mut admin, path, &[("intent", intent), (name, SCRIPT)]).await;
        }
    }
    shown.extend(["/w/demo/-/activity".into(), "/w/demo/myapp".into(), "/".into()]);
    let mut said = 0;
    for path in &shown {
        let page = admin.get(path).await;
        assert!(page.status < 500, "{path}");
        runs_nothing(&page.text, path);
        said += usize::from(page.text.contains("alert(1)"));
    }
    assert!(said > 0, "what was taken is shown");
}

/// Says nothing but scripts: as Argo CD, as a registry, as a Git server, and as who gets notifications.
async fn hostile() -> String {
    let line = |text: String| format!("{:04x}{text}", text.len() + 4);
    let answer = async move |request: Request| {
        let json =
            json!({ "error": SCRIPT, "message": SCRIPT, "code": 7, "errors": [{ "code": SCRIPT, "message": SCRIPT }] });
        let (status, kind, body) = match request.uri().path() {
            "/api/version" => (200, "application/json", json!({ "Version": SCRIPT }).to_string()),
            "/hook" => (500, "text/html", SCRIPT.to_owned()),
            path if path.ends_with("/info/refs") => (
                200,
                "application/x-git-upload-pack-advertisement",
                [
                    line("# service=git-upload-pack\n".into()),
                    "0000".into(),
                    line(format!("ERR {SCRIPT}\n")),
                ]
                .concat(),
            ),
            // Of a refusal a registry's words aren't shown.
            "/v2/" => (400, "application/json", json.to_string()),
            _ => (403, "application/json", json.to_string()),
        };
        (
            StatusCode::from_u16(status).unwrap(),
            [(header::CONTENT_TYPE, kind)],
            body,
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address.to_string()
}

/// Fails unless a page shows the script as what somebody said.
#[track_caller]
fn shows(page: &Page, what: &str) {
    runs_nothing(&page.text, what);
    assert!(page.words().contains("alert(1)"), "{what}: {}", page.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_another_server_answers_with_is_a_text() {
    let world = World::with(Setup {
        variables: vec![("NOTIFICATIONS_ALLOW_PRIVATE_TARGETS", "true".into())],
        ..Setup::default()
    })
    .await;
    let mut admin = world.admin().await;
    let hostile = hostile().await;
    let (argocd, hook, git) = (
        format!("http://{hostile}"),
        format!("http://{hostile}/hook"),
        format!("http://{hostile}/deploy.git"),
    );

    // What a test of a connection is told.
    let typed = vec![
        ("intent", "test-cluster"),
        ("cluster[was]", "local"),
        ("cluster[argocd_url]", &*argocd),
        ("secrets[argocd_token]", "token"),
    ];
    let edit = format!("{CLUSTERS}?edit=local");
    shows(&post(&mut admin, &edit, &typed).await, "a test of Argo CD");
    let typed = [
        ("intent", "test-registry"),
        ("registry[was]", "local"),
        ("registry[host]", &*hostile),
        ("registry[plain_http]", "true"),
        ("registry[anonymous]", "true"),
    ];
    let edit = format!("{REGISTRIES}?edit=local");
    shows(&post(&mut admin, &edit, &typed).await, "a test of a registry");
    let real = world.git.as_ref().unwrap().url("deploy.git");
    let branch = "refs/heads/<script>alert(1)</script>";
    let made = Command::new("git")
        .arg("-C")
        .arg(world.repository.path())
        .args(["update-ref", branch, "refs/heads/main"])
        .status();
    assert!(made.unwrap().success());
    for (url, branch) in [(&git, "main"), (&real, "release")] {
        let typed = [
            ("intent", "test-repository"),
            ("repository[was]", "myapp"),
            ("repository[url]", url.as_str()),
            ("repository[branch]", branch),
            ("repository[sign_in]", "token"),
            ("repository[user]", "waybill"),
            ("secrets[git_token]", GIT_TOKEN),
        ];
        let page = post(&mut admin, &format!("{GIT}?edit=myapp"), &typed).await;
        shows(&page, &format!("a test of {url}"));
    }

    // What a receiver of notifications answers.
    let typed = [
        ("intent", "add-channel"),
        ("name", "ops"),
        ("project", "myapp"),
        ("kind", "slack"),
        ("address", &*hook),
        ("occasions[failed]", "on"),
    ];
    post(&mut admin, NOTIFICATIONS, &typed).await;
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let channel = tx.channels(workspace.id).await.unwrap().remove(0).id.to_string();
    drop(tx);
    let tried = [("intent", "test-channel"), ("id", channel.as_str())];
    shows(&post(&mut admin, NOTIFICATIONS, &tried).await, "what came of a test");
    shows(&admin.get(NOTIFICATIONS).await, "the log of deliveries");

    // Why a rollout failed.
    let mut document = world.document();
    document["projects"][0]["environments"][2]["resources"] = json!([{
        "name": "api",
        "source": { "promote": { "environment": "staging", "resource": "api" } },
        "binding": { "pin": world.first },
    }]);
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;
    let second = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &second).await;
    let fault = Fault::FailApply {
        message: SCRIPT.into(),
        times: None,
        retries: None,
    };
    world.standin.inject(Some("myapp-production"), fault).unwrap();
    let place = "/w/demo/myapp/production";
    let promoted = admin.post(&format!("{place}/api"), &[("intent", "promote")]).await;
    let promotion = promoted
        .location()
        .unwrap_or_else(|| panic!("{}", promoted.words()))
        .to_owned();
    world
        .ends(promotion.trim_start_matches("/promotions/"), State::Failed)
        .await;
    shows(&admin.get(&promotion).await, "a promotion that Argo CD failed");
    for path in [
        place,
        "/w/demo/myapp/production/api",
        "/w/demo/myapp",
        "/w/demo/-/activity",
    ] {
        runs_nothing(&admin.get(path).await.text, path);
    }
}
