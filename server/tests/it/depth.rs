//! Texts from outside that are nested 100,000 levels, at each door, and files that unpack to hundreds of megabytes: they are refused in words,
//! and everything else goes on.

use crate::support::world::{GIT_TOKEN, HOOK_SECRET, Setup, World, until, values_path};
use domain::{name::Name, promotion::State};
use serde_json::{Value, json};
use server::{nesting::MOST, service::gates};
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

const MANY: usize = 100_000;

/// The secret of the Git host.
const PUSH_SECRET: &str = "push-secret-of-the-bench";

fn lists(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

fn objects(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

/// Why a project's repository can't be read.
async fn problem(world: &World, project: &str) -> Option<String> {
    let mut tx = world.store.read().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap();
    let projects = tx.projects(workspace.id).await.unwrap();
    let found = projects.into_iter().find(|p| p.project.name.as_str() == project);
    found.unwrap().problem
}

/// The program, killed by nothing that a repository holds: one project is marked, the others run, and so does this one when its file
/// is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_values_file_nested_too_deeply_marks_its_project_and_no_other() {
    let mut world = World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let whole = world.values("staging").await;
    for nested in ["- ".repeat(300), "{a: ".repeat(400), "- ".repeat(MANY), lists(MANY)] {
        world.outsider_writes("staging", &nested).await;
        let said = until("the problem", async || problem(&world, "myapp").await).await;
        let path = values_path("staging");
        assert!(
            said.contains(&path) && said.contains("line 1 is nested too deeply"),
            "{said}"
        );
        assert_eq!(problem(&world, "other").await, None);
        assert_eq!(ready(&world).await, 200);
        world.outsider_writes("staging", &whole).await;
        until("the end of the problem", async || {
            problem(&world, "myapp").await.is_none().then_some(())
        })
        .await;
    }
    // The other environments of the project go on meanwhile, also after a restart.
    world.outsider_writes("staging", &"- ".repeat(MANY)).await;
    until("the problem", async || problem(&world, "myapp").await).await;
    world.kill();
    world.restart().await;
    let digest = world.push("1.1.0").await;
    world.wait_for_live("development", "api", &digest).await;
    let error = until("the promotion to staging", async || {
        let newest = world.promotions("staging", "api").await.into_iter().next()?;
        (newest.state == State::Failed).then_some(newest.failure?.reason)
    })
    .await;
    assert!(error.contains("nested too deeply"), "{error}");
    assert_eq!(ready(&world).await, 200);
}

/// Runs git in the repository that the server polls; returns what it prints.
fn git(world: &World, arguments: &[&str], input: &str) -> String {
    let mut git = Command::new("git")
        .arg("--git-dir")
        .arg(world.repository.path())
        .args([
            "-c",
            "user.name=Eve",
            "-c",
            "user.email=eve@example.com",
            "-c",
            "core.bigFileThreshold=1m",
        ])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = git.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_unpacks_to_hundreds_of_megabytes_takes_no_memory() {
    let world = World::with(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    let before = world.peak_memory();
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(700 << 20).unwrap();
    let path = large.path().to_str().unwrap();
    let blob = git(&world, &["hash-object", "-w", "--no-filters", "--", path], "");
    // In the place of staging's file, beside the others.
    let good = git(&world, &["rev-parse", "refs/heads/main"], "");
    let staging = git(&world, &["mktree"], &format!("100644 blob {blob}\tvalues.yaml\n"));
    let replaced = |listed: String, name: &str, id: &str| {
        let others = listed.lines().filter(|line| !line.ends_with(&format!("\t{name}")));
        let others: String = others.map(|line| format!("{line}\n")).collect();
        format!("{others}040000 tree {id}\t{name}\n")
    };
    let environments = git(&world, &["ls-tree", "refs/heads/main:environments"], "");
    let environments = git(&world, &["mktree"], &replaced(environments, "staging", &staging));
    let root = git(&world, &["ls-tree", "refs/heads/main"], "");
    let root = git(&world, &["mktree"], &replaced(root, "environments", &environments));
    let commit = git(&world, &["commit-tree", &root, "-p", &good], "Large");
    git(&world, &["update-ref", "refs/heads/main", &commit], "");
    let said = until("the problem", async || problem(&world, "myapp").await).await;
    assert!(
        said.contains(&values_path("staging")) && said.contains("larger than 4 MiB"),
        "{said}"
    );
    assert_eq!(problem(&world, "other").await, None);
    // The others of the project go on, also with a commit on top of it.
    let digest = world.push("1.1.0").await;
    world.wait_for_desired("development", "api", &digest).await;
    until("the promotion to staging", async || {
        let newest = world.promotions("staging", "api").await.into_iter().next()?;
        (newest.state == State::Failed).then_some(())
    })
    .await;
    let taken = world.peak_memory().zip(before).map(|(after, before)| after - before);
    assert!(taken.is_none_or(|taken| taken < 150), "{taken:?} MiB more");
}

async fn ready(world: &World) -> u16 {
    let ready = reqwest::get(format!("{}/readyz", world.base_url)).await.unwrap();
    ready.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_door_refuses_what_is_nested_too_deeply() {
    let world = World::with(Setup {
        variables: vec![("GIT_WEBHOOK_SECRET", PUSH_SECRET.into())],
        ..Setup::default()
    })
    .await;
    let client = reqwest::Client::new();
    let post = async |path: &str, token: &str, body: String| {
        let request = client
            .post(format!("{}{path}", world.base_url))
            .bearer_auth(token)
            .header("x-gitlab-token", token)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (path, token, around) in [
        (
            "/api/v1/apply",
            &*world.token,
            ["{\"workspace\":\"demo\",\"clusters\":", "}"],
        ),
        ("/api/v1/checks", &*world.token, ["{\"digest\":", "}"]),
        ("/api/v1/hooks/registry/demo", HOOK_SECRET, ["{\"events\":", "}"]),
        ("/api/v1/hooks/git/demo", PUSH_SECRET, ["{\"ref\":", "}"]),
        (
            "/api/graphql",
            &*world.token,
            ["{\"query\":\"{ projects { name } }\",\"variables\":", "}"],
        ),
    ] {
        // 256 KiB are the most that some doors read.
        for levels in [MOST, 127, 128, 10_000, 50_000] {
            for nested in [lists(levels), objects(levels)]
                .iter()
                .filter(|nested| nested.len() < 250_000)
            {
                let (status, said) = post(path, token, format!("{}{nested}{}", around[0], around[1])).await;
                assert_eq!(
                    status,
                    match path {
                        "/api/v1/checks" if levels > 4_000 => 413,
                        _ => 400,
                    },
                    "{path} {said}"
                );
                let is_said = said.contains("line 1 is nested too deeply") || status == 413;
                assert!(is_said, "{path} {levels}: {said}");
            }
        }
    }
    for query in [
        "{ a ".repeat(10_000) + &"}".repeat(10_000),
        format!("{{ project(name: {}) {{ name }} }}", lists(MANY)),
        format!(
            "query($a: {}Int{}) {{ projects {{ name }} }}",
            "[".repeat(MANY),
            "]".repeat(MANY)
        ),
    ] {
        let (status, said) = post("/api/graphql", &world.token, json!({ "query": query }).to_string()).await;
        assert_eq!(status, 200, "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let error = &said["errors"][0];
        assert_eq!(error["extensions"]["code"], "bad_request", "{said}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("line 1 is nested too deeply"),
            "{said}"
        );
    }
    // Forms nest by the names of their fields.
    let mut browser = world.admin().await;
    for body in [
        format!("draft{}=1", "[a]".repeat(80_000)),
        format!("draft{}=1", "[0]".repeat(80_000)),
        format!("draft{}=1", "[".repeat(200_000)),
    ] {
        for path in ["/api/ui/create_resource", "/w/demo/myapp/production/-/new"] {
            let page = browser.post_body(path, body.clone()).await;
            // A page that posted to the function itself is led back to where it came from, with what is wrong.
            let is_led_back = page.status == 302 && page.text.contains("\"kind\":\"bad_request\"");
            assert!(
                (400..500).contains(&page.status) || is_led_back,
                "{path}: {} {}",
                page.status,
                page.text
            );
        }
    }
    let policy = format!("approvals: {}", "[".repeat(20_000));
    let fields = [
        ("workspace", "demo"),
        ("project", "myapp"),
        ("environment", "staging"),
        ("text", &*policy),
    ];
    let page = browser.post("/api/ui/set_policy", &fields).await;
    assert!(
        page.text.contains("line 1 is nested too deeply"),
        "{} {}",
        page.status,
        page.text
    );
    assert_eq!(ready(&world).await, 200);
    assert!(
        world.push("1.1.0").await.starts_with("sha256:"),
        "with {GIT_TOKEN}, all goes on"
    );
}

#[test]
fn a_policy_nested_too_deeply_is_refused_with_its_line() {
    let own: Name = "staging".parse().unwrap();
    for nested in [
        "- ".repeat(10_000),
        lists(10_000),
        "{a: ".repeat(5_000),
        "? ".repeat(10_000),
    ] {
        let errors = gates::read_policy(&format!("# one\napprovals:\n  {nested}"), &own, &[], &[]).unwrap_err();
        let said = &errors.0[0].message;
        assert!(
            said.contains("line 3 is nested too deeply (Waybill reads 64 levels)"),
            "{said}"
        );
    }
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let alias = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    assert!(gates::read_policy(&laughs, &own, &[], &[]).is_err());
}

/// Another way to read JSON would have no limit that says what is wrong.
#[test]
fn json_from_outside_is_read_through_one_door() {
    /// Those that read what Waybill itself wrote: its database, its session, its own answer.
    const OWN: &[&str] = &[
        "nesting.rs",
        "service/configure/apply/pages.rs",
        "service/configure/connections.rs",
        "service/notification/channels.rs",
        "service/reach/connection.rs",
        "service/views/ledger.rs",
        "store/rows.rs",
        "web/leptos.rs",
        "web/session_store.rs",
        "worker/notify/send.rs",
    ];
    fn look(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, root, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let reads = [
                "serde_json::from_slice",
                "serde_json::from_str",
                "serde_json::from_reader",
                ".json::<",
            ];
            if reads.iter().any(|reads| code.contains(reads)) && !name.ends_with("tests.rs") {
                found.push(name);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    look(&root, &root, &mut found);
    found.retain(|name| !OWN.contains(&name.as_str()));
    assert_eq!(found, [""; 0], "take nesting::json");
}
