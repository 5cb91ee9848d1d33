//! Clusters and repositories as administrators without a script see to them, and *Test connection* against real parts and their faults.

use crate::support::{
    browser::{Browser, Page},
    world::{GIT_TOKEN, World, argocd_token, until},
};
use argocd_standin::{Fault, Policy, TokenGrant, token_for};
use axum::{Router, body::Body, extract::Request, response::Response};
use domain::rights::Role;
use reqwest::StatusCode;
use serde_json::json;
use testbed::{REGISTRY_PASSWORD, REGISTRY_USER, free_port};

const REGISTRIES: &str = "/w/demo/-/settings/registries";
const CLUSTERS: &str = "/w/demo/-/settings/clusters";

const GIT: &str = "/w/demo/-/settings/git";

/// Posts a form, and holds the page against what no page may show.
async fn post(admin: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let page = admin.post(path, fields).await;
    keeps_secrets(&page.text);
    let typed = fields
        .iter()
        .filter(|(name, value)| name.starts_with("secrets[") && value.len() > 3);
    for (name, value) in typed {
        assert!(!page.text.contains(value), "{name} came back");
    }
    page
}

fn keeps_secrets(text: &str) {
    for secret in [&*argocd_token(), GIT_TOKEN, REGISTRY_PASSWORD] {
        assert!(!text.contains(secret), "a secret is shown");
    }
}

/// What a test says of the thing whose name it begins with.
#[track_caller]
fn says(page: &Page, expected: &str) {
    assert_eq!(page.status, 200, "{}", page.words());
    assert!(
        page.words().contains(expected),
        "{expected:?} is missing in: {}",
        page.words()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_adds_tests_changes_and_removes_a_cluster() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let page = admin.get(CLUSTERS).await;
    keeps_secrets(&page.text);
    says(&page, "local");
    says(
        &page,
        "myapp/development, myapp/staging, myapp/production, other/sandbox",
    );

    // All mistakes at once, each in its field; what was typed is there again, but for the secrets.
    let token = argocd_token();
    let wrong = [
        ("intent", "save-cluster"),
        ("cluster[name]", "Second"),
        ("cluster[argocd_url]", "http://169.254.169.254/latest"),
        ("cluster[application]", "{cluster}"),
        ("cluster[registry]", "nowhere"),
        ("cluster[mirror]", "registry.example.com/live"),
        ("cluster[argocd_ca]", "no certificate"),
    ];
    let page = post(&mut admin, &format!("{CLUSTERS}?new"), &wrong).await;
    assert_eq!(page.status, 422, "{}", page.words());
    for (field, why) in [
        ("cluster[name]", "lower-case"),
        ("cluster[argocd_url]", "link-local"),
        ("cluster[application]", "placeholders"),
        ("cluster[mirror]", "Include {name} or {path}"),
        ("cluster[argocd_ca]", "PEM"),
        ("secrets[argocd_token]", "Give a token"),
    ] {
        let said = page.field_error(field).unwrap_or_default();
        assert!(said.contains(why), "{field}: {said:?} in {}", page.words());
    }
    assert_eq!(page.value("cluster[name]").as_deref(), Some("Second"));
    assert_eq!(
        page.value("cluster[mirror]").as_deref(),
        Some("registry.example.com/live")
    );
    let nowhere = [
        ("intent", "save-cluster"),
        ("cluster[name]", "second"),
        ("cluster[registry]", "nowhere"),
    ];
    let page = post(&mut admin, &format!("{CLUSTERS}?new"), &nowhere).await;
    assert!(
        page.words().contains("There is no registry nowhere."),
        "{}",
        page.words()
    );
    let taken = [("intent", "save-cluster"), ("cluster[name]", "local")];
    let page = post(&mut admin, &format!("{CLUSTERS}?new"), &taken).await;
    assert!(page.field_error("cluster[name]").unwrap().contains("already"));

    let right = [
        ("intent", "save-cluster"),
        ("cluster[name]", "second"),
        ("cluster[argocd_url]", world.standin.url()),
        ("cluster[argocd_project]", "myapp"),
        ("cluster[registry]", "local"),
        ("cluster[mirror]", "registry.example.com/live/{name}"),
        ("secrets[argocd_token]", &token),
    ];
    let page = post(&mut admin, &format!("{CLUSTERS}?new"), &right).await;
    says(&page, "Cluster second is added.");
    says(&page, "{project}-{environment} in project myapp");
    says(&page, "Copies images to registry.example.com/live/{name}");

    // Page and document say the same: what the page made is what the document asks for.
    let mut document = world.document();
    let cluster = json!({
        "name": "second",
        "argocd": { "url": world.standin.url(), "token": token, "project": "myapp" },
        "registry": "local",
        "mirror": { "repository": "registry.example.com/live/{name}" },
    });
    document["clusters"].as_array_mut().unwrap().push(cluster);
    assert_eq!(world.apply(&document).await["changes"], json!([]));

    // Nothing typed keeps the secrets, and changes nothing else.
    let edit = format!("{CLUSTERS}?edit=second");
    let page = admin.get(&edit).await;
    assert_eq!(page.value("cluster[argocd_url]").as_deref(), Some(world.standin.url()));
    says(&page, "A secret is stored. Leave this empty to keep it.");
    let renamed = [
        ("intent", "save-cluster"),
        ("cluster[was]", "second"),
        ("cluster[argocd_url]", world.standin.url()),
        ("cluster[argocd_project]", "myapp"),
        ("cluster[application]", "{environment}-of-{project}"),
        ("cluster[registry]", "local"),
        ("cluster[mirror]", "registry.example.com/live/{name}"),
    ];
    let page = post(&mut admin, &edit, &renamed).await;
    says(
        &page,
        "Cluster second is changed: application name {project}-{environment} → {environment}-of-{project}.",
    );
    let stored = [
        ("intent", "test-cluster"),
        ("cluster[was]", "second"),
        ("cluster[stored]", "true"),
    ];
    let page = post(&mut admin, CLUSTERS, &stored).await;
    says(&page, "Works Argo CD's token It is valid.");
    says(&page, &format!("Works Sign in to the registry As {REGISTRY_USER}."));
    says(&page, "No environment runs on this cluster yet");

    // A stored secret goes nowhere else.
    let elsewhere = format!("http://127.0.0.1:{}", free_port().unwrap());
    let moved = |intent: &'static str| {
        vec![
            ("intent", intent),
            ("cluster[was]", "second"),
            ("cluster[argocd_url]", elsewhere.as_str()),
            ("cluster[registry]", "local"),
        ]
    };
    for intent in ["save-cluster", "test-cluster"] {
        let page = post(&mut admin, &edit, &moved(intent)).await;
        assert_eq!(page.status, 422);
        assert!(page.field_error("secrets[argocd_token]").unwrap().contains("goes to"));
    }
    let mut typed = moved("test-cluster");
    typed.push(("secrets[argocd_token]", &*token));
    let page = post(&mut admin, &edit, &typed).await;
    says(&page, "one thing doesn't work. Nothing was saved.");
    says(&page, &format!("Fails Reach Argo CD {elsewhere} could not be reached"));

    // What has environments stays.
    let delete = |name: &str| format!("/w/demo/-/delete/cluster/{name}");
    let sure = [("intent", "delete")];
    let page = post(&mut admin, &delete("local"), &sure).await;
    assert_eq!(page.status, 409);
    assert!(
        page.words().contains("Cluster local stays: myapp/development,"),
        "{}",
        page.words()
    );
    says(
        &admin.get(&delete("second")).await,
        "Its token and certificates are erased immediately.",
    );
    let page = admin.post(&delete("second"), &sure).await;
    assert_eq!((page.status, page.location()), (303, Some(CLUSTERS)));
    let page = admin.get(CLUSTERS).await;
    assert!(!page.words().contains("Cluster second"), "{}", page.words());
    assert_eq!(post(&mut admin, &delete("second"), &sure).await.status, 404);

    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let ledger = format!("{:?}", tx.ledger_entries(workspace.id, 0, 1000).await.unwrap());
    drop(tx);
    for told in [
        "create cluster second",
        "change cluster second: application name",
        "removed",
    ] {
        assert!(ledger.contains(told), "{told}");
    }
    keeps_secrets(&ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_adds_tests_changes_and_removes_a_registry() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let page = admin.get(REGISTRIES).await;
    keeps_secrets(&page.text);
    says(&page, &format!("Pull as {REGISTRY_USER}, password stored"));
    says(&page, "Push no user, so nothing is copied to it Clusters local");

    // All mistakes at once, each in its field; what was typed is there again, but for the secrets.
    let wrong = [
        ("intent", "save-registry"),
        ("registry[name]", "Second"),
        ("registry[host]", "https://registry.example.com/x"),
        ("registry[ca]", "no certificate"),
        ("registry[pull_user]", "a:b"),
        ("registry[push_user]", "bob"),
        ("secrets[pull_password]", "x"),
    ];
    let page = post(&mut admin, &format!("{REGISTRIES}?new"), &wrong).await;
    assert_eq!(page.status, 422, "{}", page.words());
    for (field, why) in [
        ("registry[name]", "lower-case"),
        ("registry[host]", "without scheme"),
        ("registry[ca]", "PEM"),
        ("registry[pull_user]", "without a colon"),
        ("secrets[push_password]", "password too"),
    ] {
        let said = page.field_error(field).unwrap_or_default();
        assert!(said.contains(why), "{field}: {said:?} in {}", page.words());
    }
    assert_eq!(page.value("registry[push_user]").as_deref(), Some("bob"));
    for (field, typed) in [
        ("registry[push_user]", ("secrets[push_password]", "alone")),
        ("secrets[push_password]", ("registry[push_user]", "alone")),
    ] {
        let half = [
            ("intent", "save-registry"),
            ("registry[name]", "second"),
            ("registry[host]", "r.example"),
            typed,
        ];
        let page = post(&mut admin, &format!("{REGISTRIES}?new"), &half).await;
        assert!(page.field_error(field).is_some(), "{field}: {}", page.words());
    }
    let taken = [("intent", "save-registry"), ("registry[name]", "local")];
    let page = post(&mut admin, &format!("{REGISTRIES}?new"), &taken).await;
    assert!(page.field_error("registry[name]").unwrap().contains("already"));

    let right = [
        ("intent", "save-registry"),
        ("registry[name]", "second"),
        ("registry[host]", &*world.host),
        ("registry[plain_http]", "true"),
        ("registry[pull_user]", REGISTRY_USER),
        ("registry[push_user]", "pusher"),
        ("secrets[pull_password]", REGISTRY_PASSWORD),
        ("secrets[push_password]", "push-password"),
    ];
    let page = post(&mut admin, &format!("{REGISTRIES}?new"), &right).await;
    says(&page, "Registry second is added.");
    says(&page, "Push as pusher, password stored Clusters no cluster");
    // Page and document say the same: what the page made is what the document asks for.
    let mut document = world.document();
    document["registries"] = json!([{
        "name": "second", "host": world.host, "plainHttp": true,
        "pull": { "user": REGISTRY_USER, "password": REGISTRY_PASSWORD },
        "push": { "user": "pusher", "password": "push-password" },
    }]);
    assert_eq!(world.apply(&document).await["changes"], json!([]));

    // Nothing typed keeps the secrets; what is forgotten is forgotten.
    let edit = format!("{REGISTRIES}?edit=second");
    let fields = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![
            ("intent", "save-registry"),
            ("registry[was]", "second"),
            ("registry[host]", &*world.host),
            ("registry[plain_http]", "true"),
            ("registry[pull_user]", REGISTRY_USER),
            ("registry[push_user]", "pusher"),
        ];
        fields.extend(more);
        fields
    };
    let page = post(&mut admin, &edit, &fields(&[])).await;
    says(&page, "It was stored like this already");
    let page = post(&mut admin, &edit, &fields(&[("registry[no_push]", "true")])).await;
    says(
        &page,
        "Registry second is changed: push user pusher → none, push password. Waybill connects anew.",
    );

    // A stored secret goes nowhere else.
    let moved = |intent: &'static str| {
        let mut moved = fields(&[("registry[no_push]", "true")]);
        moved[0].1 = intent;
        moved[2].1 = "127.0.0.1:1";
        moved
    };
    for intent in ["save-registry", "test-registry"] {
        let page = post(&mut admin, &edit, &moved(intent)).await;
        assert_eq!(page.status, 422);
        let said = page.field_error("secrets[pull_password]").unwrap();
        assert!(said.contains("goes to"), "{said}");
    }
    let mut typed = moved("test-registry");
    typed.push(("secrets[pull_password]", "wrong-password"));
    let page = post(&mut admin, &edit, &typed).await;
    says(&page, "one thing doesn't work. Nothing was saved.");
    says(&page, "Fails Reach the registry 127.0.0.1:1 could not be reached");
    let test = |more: &[(&'static str, &'static str)]| {
        let mut fields = fields(more);
        fields[0].1 = "test-registry";
        fields.push(("registry[no_push]", "true"));
        fields
    };
    let page = post(&mut admin, &edit, &test(&[])).await;
    says(&page, &format!("Works Sign in to the registry As {REGISTRY_USER}."));
    says(&page, &format!("Works Read {}/myapp/api It holds", world.host));
    let page = post(
        &mut admin,
        &edit,
        &test(&[("secrets[pull_password]", "wrong-password")]),
    )
    .await;
    says(
        &page,
        &format!("Fails Sign in to the registry It refused {REGISTRY_USER}"),
    );
    let page = post(&mut admin, &edit, &test(&[("registry[anonymous]", "true")])).await;
    says(&page, "It asks for a sign-in: give a user and password.");
    let encrypted: Vec<_> = test(&[("secrets[pull_password]", REGISTRY_PASSWORD)])
        .into_iter()
        .filter(|(name, _)| *name != "registry[plain_http]")
        .collect();
    let page = post(&mut admin, &edit, &encrypted).await;
    says(&page, "It seems to speak plain HTTP: choose that");

    // What a cluster pulls from stays.
    let delete = |name: &str| format!("/w/demo/-/delete/registry/{name}");
    let sure = [("intent", "delete")];
    let page = post(&mut admin, &delete("local"), &sure).await;
    assert_eq!(page.status, 409);
    assert!(
        page.words()
            .contains("Registry local stays: cluster local pulls from it."),
        "{}",
        page.words()
    );
    says(
        &admin.get(&delete("second")).await,
        "Its certificates and passwords are erased immediately.",
    );
    let page = admin.post(&delete("second"), &sure).await;
    assert_eq!((page.status, page.location()), (303, Some(REGISTRIES)));
    assert!(!admin.get(REGISTRIES).await.words().contains("Registry second"));
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let ledger = format!("{:?}", tx.ledger_entries(workspace.id, 0, 1000).await.unwrap());
    drop(tx);
    for told in ["create registry second", "change registry second: push user", "removed"] {
        assert!(ledger.contains(told), "{told}");
    }
    keeps_secrets(&ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_says_what_is_wrong_with_argo_cd() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let stored = [
        ("intent", "test-cluster"),
        ("cluster[was]", "local"),
        ("cluster[stored]", "true"),
    ];
    let page = post(&mut admin, CLUSTERS, &stored).await;
    says(&page, "Works Reach Argo CD It is v3.5.1+standin at http");
    // The stand-in reads the repository by its path.
    says(&page, "Look Application myapp-production It deploys /");
    says(&page, "make sure that both are the same repository");
    says(
        &page,
        "Fails Application other-sandbox Argo CD has no application of this name",
    );
    says(&page, &format!("Works Read {}/myapp/api It holds", world.host));

    let edit = format!("{CLUSTERS}?edit=local");
    let right = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![
            ("intent", "test-cluster"),
            ("cluster[was]", "local"),
            ("cluster[argocd_url]", world.standin.url()),
            ("cluster[argocd_project]", "myapp"),
            ("cluster[registry]", "local"),
        ];
        fields.extend(more);
        fields
    };
    let page = post(&mut admin, &edit, &right(&[("secrets[argocd_token]", "a.wrong.token")])).await;
    says(
        &page,
        "Works Reach Argo CD It answers. Fails Argo CD's token It was refused",
    );
    says(&page, "Nothing was saved.");
    assert_eq!(
        page.value("cluster[argocd_project]").as_deref(),
        Some("myapp"),
        "typed and kept"
    );
    says(&page, "What was typed here must be typed again");
    // A token that may see but not sync, and one that may see nothing of it.
    let [reader, stranger] = ["proj:myapp:reader", "proj:elsewhere:waybill"].map(token_for);
    let may_read = vec![Policy::allow("applications", "get", "myapp/*")];
    world.standin.grant(TokenGrant::new("proj:myapp:reader", may_read));
    world
        .standin
        .grant(TokenGrant::new("proj:elsewhere:waybill", Policy::promoter("elsewhere")));
    let mut fields = right(&[]);
    fields.push(("secrets[argocd_token]", &reader));
    let page = post(&mut admin, &edit, &fields).await;
    says(
        &page,
        "Fails Application myapp-production The token may see it, but not sync it.",
    );
    says(
        &page,
        "Look Application myapp-staging The token may not sync it; Argo CD syncs it by itself.",
    );
    fields.pop();
    fields.push(("secrets[argocd_token]", &stranger));
    let page = post(&mut admin, &edit, &fields).await;
    says(&page, "Fails Application myapp-production The token may not see it");

    // Another branch, another repository, an application that is gone.
    let url = world.repository.path().display().to_string();
    let mut app =
        argocd_standin::AppSpec::new("myapp-production", "myapp", &url, "environments/production/values.yaml");
    app.target_revision = "release".into();
    world.standin.upsert_app(app);
    let app = argocd_standin::AppSpec::new("myapp-staging", "myapp", "https://git.example.com/charts.git", "x.yaml");
    world.standin.upsert_app(app);
    world.standin.remove_app("myapp-development");
    let page = post(&mut admin, CLUSTERS, &stored).await;
    says(&page, "It follows release, but Waybill commits to branch main");
    says(
        &page,
        "It deploys https://git.example.com/charts.git, but Waybill commits to",
    );
    says(
        &page,
        "Fails Application myapp-development Argo CD has no application of this name",
    );

    let fail = |status| Fault::FailRequests {
        status,
        path: None,
        times: None,
    };
    for (fault, expected) in [
        (fail(502), "502 Bad Gateway without Argo CD's words"),
        (Fault::Unauthorized { on: true }, "Fails Argo CD's token It was refused"),
    ] {
        world.standin.inject(None, fault).unwrap();
        let page = post(&mut admin, CLUSTERS, &stored).await;
        says(&page, expected);
        world.standin.inject(None, Fault::Clear).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_follows_with_a_new_token() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let subject = "proj:myapp:another";
    let (old, new) = (argocd_token(), token_for(subject));
    world.standin.grant(TokenGrant::new(subject, Policy::promoter("myapp")));
    let streams = || {
        let requests = world.standin.requests();
        requests
            .iter()
            .filter(|request| request.contains("/stream/applications"))
            .count()
    };
    let before = streams();
    let fields = [
        ("intent", "save-cluster"),
        ("cluster[was]", "local"),
        ("cluster[argocd_url]", world.standin.url()),
        ("cluster[argocd_project]", "myapp"),
        ("cluster[registry]", "local"),
        ("secrets[argocd_token]", &*new),
    ];
    let page = post(&mut admin, &format!("{CLUSTERS}?edit=local"), &fields).await;
    says(&page, "Cluster local is changed: argocd token. Waybill connects anew.");
    until("a stream with the new token", async || {
        (streams() > before).then_some(())
    })
    .await;
    world.standin.revoke(&old);
    let next = world.push("1.1.0").await;
    for environment in ["development", "staging"] {
        world.wait_for_live(environment, "api", &next).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_are_tested_and_changed_at_once() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let page = admin.get(GIT).await;
    keeps_secrets(&page.text);
    says(&page, "as waybill, token stored");
    says(&page, "development on local, staging on local, production on local");

    let stored = [
        ("intent", "test-repository"),
        ("repository[was]", "myapp"),
        ("repository[stored]", "true"),
    ];
    let page = post(&mut admin, GIT, &stored).await;
    for expected in [
        "Works Sign in As waybill.",
        "Works Branch main It is at",
        "Works environments/development/values.yaml It declares api, nightly.",
        "Works environments/production/values.yaml It declares web.",
        "Works What would start Connecting starts nothing. `waybill apply` adopts what these files declare as it stands",
        "Works Push The server lets these credentials push.",
        "Repository of myapp: everything works. Nothing was saved.",
    ] {
        says(&page, expected);
    }
    let commits = world.subjects().await.len();

    let edit = format!("{GIT}?edit=myapp");
    let page = admin.get(&edit).await;
    assert_eq!(page.chosen("repository[sign_in]").as_deref(), Some("token"));
    assert_eq!(page.value("repository[user]").as_deref(), Some("waybill"));
    let url = world.git.as_ref().unwrap().url("deploy.git");
    let with = |intent: &'static str, changed: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let mut fields: Vec<(&'static str, String)> = [
            ("intent", intent),
            ("repository[was]", "myapp"),
            ("repository[url]", &url),
            ("repository[branch]", "main"),
            ("repository[sign_in]", "token"),
            ("repository[user]", "waybill"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
        for (name, value) in changed {
            fields.retain(|(known, _)| known != name);
            fields.push((*name, (*value).to_owned()));
        }
        fields
    };
    let test = async |admin: &mut Browser, changed: &[(&'static str, &str)]| {
        let fields = with("test-repository", changed);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        post(admin, &edit, &fields).await
    };
    let read_only = refusing_pushes(url.trim_end_matches("/deploy.git")).await;
    let gone = format!("http://127.0.0.1:{}/deploy.git", free_port().unwrap());
    let nowhere = url.replace("deploy.git", "nowhere.git");
    let refused = format!("{read_only}/deploy.git");
    let token = ("secrets[git_token]", GIT_TOKEN);
    for (changed, expected) in [
        (
            &[("secrets[git_token]", "wrong-token")][..],
            "Fails Sign in It was refused",
        ),
        (&[("repository[sign_in]", "none")], "Enter a user and token, or a key."),
        (
            &[("repository[branch]", "release")],
            "Fails Branch release There is no such branch. There are: main.",
        ),
        (
            &[("repository[path_template]", "{environment}.yaml")],
            "Look staging.yaml There is no such file on the branch.",
        ),
        (
            &[("repository[values_prefix]", "lucity-app")],
            "declares nothing below lucity-app.services",
        ),
        (
            &[("repository[url]", &nowhere)],
            "Fails Repository The repository was not found at",
        ),
        (&[("repository[url]", &gone), token], "Fails Reach the server"),
        (
            &[("repository[url]", &refused), token],
            "Fails Push Reading works, pushing is refused",
        ),
    ] {
        let page = test(&mut admin, changed).await;
        says(&page, expected);
    }
    for (changed, field) in [
        (&[("repository[url]", &*gone)][..], "secrets[git_token]"),
        (&[("repository[sign_in]", "key")], "secrets[ssh_key]"),
        (&[("repository[user]", "")], "repository[user]"),
        (&[("repository[branch]", "a..b")], "repository[branch]"),
        (
            &[("repository[url]", "http://[::ffff:169.254.169.254]/x.git"), token],
            "repository[url]",
        ),
        (
            &[("repository[path_template]", "values.yaml")],
            "repository[path_template]",
        ),
    ] {
        let page = test(&mut admin, changed).await;
        assert_eq!(page.status, 422, "{}", page.words());
        assert!(page.field_error(field).is_some(), "{field}: {}", page.words());
    }
    assert_eq!(world.subjects().await.len(), commits, "a test pushes nothing");

    // What is saved counts at once, for the worse and for the better.
    let save = async |admin: &mut Browser, token: &str| {
        let fields = with("save-repository", &[("secrets[git_token]", token)]);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = post(admin, &edit, &fields).await;
        says(&page, "Project myapp is changed: credentials. Waybill connects anew.");
    };
    save(&mut admin, "wrong-token").await;
    until("the wrong token to be found out", async || {
        let page = world.admin().await.get(GIT).await;
        page.words().contains("Git refused the sign-in").then_some(())
    })
    .await;
    save(&mut admin, GIT_TOKEN).await;
    let next = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &next).await;
    assert!(!admin.get(GIT).await.words().contains("Git refused the sign-in"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_and_environments_can_be_added_by_administrators_only() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let url = world.git.as_ref().unwrap().url("deploy.git");
    let project = [
        ("intent", "save-repository"),
        ("repository[name]", "shop"),
        ("repository[url]", &*url),
        ("repository[path_template]", "shop/{environment}.yaml"),
        ("repository[sign_in]", "token"),
        ("repository[user]", "waybill"),
        ("secrets[git_token]", GIT_TOKEN),
    ];
    let page = post(&mut admin, &format!("{GIT}?new"), &project).await;
    says(&page, "Project shop is added.");
    let page = post(&mut admin, &format!("{GIT}?new"), &project).await;
    assert!(page.field_error("repository[name]").unwrap().contains("already"));
    let add = |name: &'static str, cluster: &'static str| {
        [
            ("intent", "add-environment"),
            ("environment[project]", "myapp"),
            ("environment[name]", name),
            ("environment[cluster]", cluster),
            ("environment[protected]", "true"),
        ]
    };
    for (fields, field) in [
        (add("Q A", "local"), "environment[name]"),
        (add("staging", "local"), "environment[name]"),
        (add("qa", "nowhere"), "environment[cluster]"),
    ] {
        let page = post(&mut admin, GIT, &fields).await;
        assert_eq!(page.status, 422, "{}", page.words());
        assert!(page.field_error(field).is_some(), "{field}: {}", page.words());
    }
    let page = post(&mut admin, GIT, &add("qa", "local")).await;
    says(&page, "Environment myapp/qa is added.");
    says(&page, "staging on local, production on local, qa on local");
    says(&admin.get("/w/demo/myapp/qa").await, "qa");
    // It changed nothing else.
    assert_eq!(world.apply(&world.document()).await["changes"], json!([]));

    world.person("dev@example.com", "demo", Role::Developer).await;
    let mut developer = world.signed_in("dev@example.com").await;
    for path in [CLUSTERS, GIT] {
        assert_eq!(developer.get(path).await.status, 403);
        assert_eq!(developer.post(path, &add("more", "local")).await.status, 403);
    }
    world.token("elsewhere", "theirs", Role::Admin).await;
    world.person("eve@example.com", "elsewhere", Role::Admin).await;
    let mut eve = world.signed_in("eve@example.com").await;
    for path in [CLUSTERS, GIT] {
        assert_eq!(eve.get(path).await.status, 404);
        assert_eq!(eve.post(path, &project).await.status, 404);
    }
}

/// A door to a Git server that lets nobody push.
async fn refusing_pushes(upstream: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = upstream.to_owned();
    let pass = move |request: Request| {
        let upstream = upstream.clone();
        async move {
            let path = request.uri().to_string();
            if path.contains("git-receive-pack") {
                return Response::builder()
                    .status(StatusCode::FORBIDDEN)
                    .body(Body::empty())
                    .unwrap();
            }
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let mut headers = parts.headers;
            headers.remove("host");
            let asked = reqwest::Client::new()
                .request(parts.method, format!("{upstream}{path}"))
                .headers(headers)
                .body(body);
            let said = asked.send().await.unwrap();
            let mut answer = Response::builder().status(said.status());
            if let Some(kind) = said.headers().get("content-type") {
                answer = answer.header("content-type", kind);
            }
            answer.body(Body::from(said.bytes().await.unwrap())).unwrap()
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_repository_is_begun_from_the_form() {
    let world = World::start().await;
    let empty = world.repository.path().with_file_name("empty.git");
    let empty = testbed::BareRepo::init(empty, "main").await.unwrap();
    let mut document = world.document();
    let mut project = document["projects"][1].clone();
    project["name"] = serde_json::json!("fresh");
    project["repository"]["url"] = serde_json::json!(world.git.as_ref().unwrap().url("empty.git"));
    project["environments"][0]["name"] = serde_json::json!("sandbox");
    document["projects"].as_array_mut().unwrap().push(project);
    world.apply(&document).await;

    let mut admin = world.admin().await;
    let stored = [
        ("intent", "test-repository"),
        ("repository[was]", "fresh"),
        ("repository[stored]", "true"),
    ];
    let page = post(&mut admin, GIT, &stored).await;
    says(&page, "The repository is empty.");

    let new = "/w/demo/fresh/sandbox/-/new";
    let page = admin.get(new).await;
    says(&page, "This creates other/sandbox/values.yaml");
    let image = format!("{}/myapp/api", world.host);
    let mut fields = vec![
        ("intent", "create"),
        ("source", "image"),
        ("image", &*image),
        ("binding", "track"),
        ("kind", "deployment"),
        ("name", "api"),
    ];
    let refused = admin.post(new, &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.words());
    assert_eq!(empty.tip("main").await.unwrap(), None);
    fields.push(("create_file", "true"));
    let answer = admin.post(new, &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    until("the first commit", async || {
        let file = empty
            .read_file("main", "other/sandbox/values.yaml")
            .await
            .ok()
            .flatten()?;
        String::from_utf8_lossy(&file).contains(&world.first).then_some(())
    })
    .await;
    assert_eq!(empty.commits("main").await.unwrap().len(), 1);
}
