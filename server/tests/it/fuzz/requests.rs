//! Everything that the server answers, asked in every wrong way, by everybody.

use super::{
    Until,
    mutate::{mutate, mutate_text, token},
    seed,
};
use crate::{
    authorisation::{Door, TABLE},
    rest::state,
    support::{
        Bench,
        dice::Dice,
        world::{HOOK_SECRET, Setup, World, until},
    },
};
use domain::rights::Role;
use reqwest::{Client, Method, redirect};
use serde_json::json;
use server::web::router;
use std::time::Duration;

/// The secret of the Git host.
const PUSH_SECRET: &str = "push-secret-of-the-bench";

/// An answer that takes longer is none, on a machine that is busy with other tests.
const LONGEST: Duration = Duration::from_secs(60);

/// After so many requests it is seen whether the server is well, and everybody signs in anew: some requests take rights and sessions away.
const ROUND: usize = 150;

const NAMES: &[&str] = &[
    "demo",
    "myapp",
    "other",
    "development",
    "staging",
    "production",
    "sandbox",
    "api",
    "web",
    "nightly",
    "local",
    "scan",
    "new",
    "-",
    "ghost",
    "01a1f8c6-dbfe-7740-a45d-3092255eb0a8",
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const FORMS: &[&str] = &[
    "intent=create&source=promote&source_environment=staging&source_resource=api&binding=track&name=new&kind=deployment&replicas=3&ports[0]=8080&env[0][name]=A&env[0][value]=b",
    "intent=promote",
    "intent=retry",
    "intent=cancel",
    "intent=approve&comment=x",
    "intent=reject&comment=x",
    "intent=pin&digest=sha256:aa",
    "intent=stop&reason=x",
    "email=ada@example.com&password=x",
    "text=approvals:%0A  count: 1",
    "theme=dark&next=/",
    "q=a&kind=promoted",
];

const NOTIFICATIONS: &[&str] = &[
    r#"{"events":[{"id":"1","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"myapp/api","tag":"1.0.0","digest":"sha256:aa"},"request":{"host":"r.example"}}]}"#,
    r#"{"ref":"refs/heads/main","repository":{"clone_url":"http://127.0.0.1/deploy.git","ssh_url":"git@h:deploy.git"},"commits":[]}"#,
];

/// A request.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// Who throws, with what they show.
struct People {
    admin: String,
    viewer: String,
    cookie: String,
}

impl People {
    /// New ones, whatever became of those before.
    async fn new(world: &World, number: usize) -> Self {
        let email = format!("fuzz-{number}@example.com");
        world.person(&email, "demo", Role::Admin).await;
        let browser = world.signed_in(&email).await;
        let pairs: Vec<String> = browser.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Self {
            admin: world.token("demo", &format!("admin-{number}"), Role::Admin).await,
            viewer: world.token("demo", &format!("viewer-{number}"), Role::Viewer).await,
            cookie: pairs.join("; "),
        }
    }

    /// Puts somebody's name to a request.
    fn sign(&self, dice: &mut Dice, world: &World, request: &mut Request) {
        match dice.below(8) {
            0..=3 => {
                request.headers.push(("cookie", self.cookie.clone()));
                if !dice.once_in(20) {
                    request.headers.push(("origin", world.base_url.clone()));
                }
            }
            4 | 5 => request
                .headers
                .push(("authorization", format!("Bearer {}", self.admin))),
            6 => request
                .headers
                .push(("authorization", format!("Bearer {}", self.viewer))),
            _ => {}
        }
    }
}

/// All that can be asked rightly.
struct Doors {
    routes: Vec<(Method, String)>,
    functions: Vec<String>,
    /// For the marks of the table.
    promotions: Vec<String>,
    digest: String,
    documents: Vec<Vec<u8>>,
}

impl Doors {
    async fn of(world: &World) -> Self {
        let bench = Bench::new().await;
        let routes = router::routes(state(&bench));
        let functions = leptos::server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned());
        Self {
            routes: routes
                .list()
                .iter()
                .map(|route| (route.method.clone(), route.path.clone()))
                .collect(),
            functions: functions.collect(),
            promotions: world.all_promotions().await.iter().map(|p| p.id.to_string()).collect(),
            digest: world.first.clone(),
            documents: vec![
                world.document().to_string().into_bytes(),
                b"{\"workspace\":\"demo\"}".to_vec(),
            ],
        }
    }

    /// A text of the table with something for each of its marks.
    fn fill(&self, dice: &mut Dice, text: &str) -> String {
        let at = |environment: &str| format!("workspace=demo&project=myapp&environment={environment}");
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, (mark, after))) = rest.split_once('{').and_then(|(b, a)| Some((b, a.split_once('}')?)))
        {
            filled.push_str(before);
            let value = match mark {
                "workspace" => "demo".to_owned(),
                "development" | "production" => at(mark),
                "closed" | "guarded" => at("staging"),
                "digest" => self.digest.clone(),
                "promotion" | "waiting" | "unwanted" | "only release" => {
                    self.promotions[dice.below(self.promotions.len())].clone()
                }
                "member" | "token" | "invitation" | "key" | "channel" | "delivery" => {
                    NAMES[dice.below(NAMES.len())].to_owned()
                }
                "group" | "new" => format!("n{}", dice.below(1_000)),
                // A brace of GraphQL's or JSON's.
                other => {
                    filled.push('{');
                    rest = &rest[before.len() + 1..];
                    debug_assert!(rest.starts_with(other));
                    continue;
                }
            };
            filled.push_str(&value);
            rest = after;
        }
        filled + rest
    }

    /// Something that could be asked by one who means it.
    fn right(&self, dice: &mut Dice) -> Request {
        let form = "application/x-www-form-urlencoded";
        let of = |method: Method, path: String, kind: &str, body: String| Request {
            method,
            path,
            headers: vec![
                ("content-type", kind.to_owned()),
                ("accept", "application/json".to_owned()),
            ],
            body: body.into_bytes(),
        };
        match dice.below(10) {
            0..=5 => {
                let (.., door) = TABLE[dice.below(TABLE.len())];
                match door {
                    // Nobody is to be signed out by accident more often than at the end of a round.
                    Door::Ui("sign_out" | "sign_out_everywhere", _) => self.right(dice),
                    Door::Ui(name, text) => of(Method::POST, format!("/api/ui/{name}"), form, self.fill(dice, text)),
                    Door::Graphql(query) => {
                        let body = json!({ "query": self.fill(dice, query) }).to_string();
                        of(Method::POST, "/api/graphql".into(), "application/json", body)
                    }
                    Door::Rest(route, body) => {
                        let (method, path) = route.split_once(' ').unwrap();
                        let (path, body) = (self.fill(dice, path), self.fill(dice, body));
                        of(method.parse().unwrap(), path, "application/json", body)
                    }
                }
            }
            6 => {
                let function = self.functions[dice.below(self.functions.len())].clone();
                of(Method::POST, function, form, dice.one(FORMS).to_owned())
            }
            7 => {
                let (path, header, secret) = match dice.below(2) {
                    0 => (
                        "/api/v1/hooks/registry/demo",
                        "authorization",
                        format!("Bearer {HOOK_SECRET}"),
                    ),
                    _ => ("/api/v1/hooks/git/demo", "x-gitlab-token", PUSH_SECRET.to_owned()),
                };
                let mut request = of(
                    Method::POST,
                    path.into(),
                    "application/json",
                    dice.one(NOTIFICATIONS).to_owned(),
                );
                request.headers.push((header, secret));
                request
            }
            8 => {
                let document = self.documents[dice.below(self.documents.len())].clone();
                let path = ["/api/v1/apply", "/api/v1/apply?dry_run=true"][dice.below(2)];
                of(
                    Method::POST,
                    path.into(),
                    "application/json",
                    String::from_utf8(document).unwrap(),
                )
            }
            _ => {
                let (method, pattern) = self.routes[dice.below(self.routes.len())].clone();
                let parts = pattern.split('/').map(|part| match part.starts_with('{') {
                    true => dice.one(NAMES).to_owned(),
                    false => part.to_owned(),
                });
                let path = parts.collect::<Vec<_>>().join("/");
                of(method, path, form, dice.one(FORMS).to_owned())
            }
        }
    }

    /// The same, made wrong here and there.
    fn wrong(&self, dice: &mut Dice) -> Request {
        let mut request = self.right(dice);
        if dice.once_in(3) {
            let mut parts: Vec<String> = request.path.split('/').map(str::to_owned).collect();
            let at = 1 + dice.below(parts.len() - 1);
            parts[at] = match dice.below(3) {
                0 => dice.one(NAMES).to_owned(),
                1 => encoded(token(dice)),
                _ => encoded(&mutate_text(dice, &parts[at], &[])),
            };
            request.path = parts.join("/");
            request.path.truncate(8_000);
        }
        if dice.once_in(6) {
            let mark = if request.path.contains('?') { '&' } else { '?' };
            let value = mutate_text(dice, "q=a&page[0][a]=1&after=2&kind=promoted", &[]);
            request.path = format!(
                "{}{mark}{}",
                request.path,
                encoded(&value).replace("%3D", "=").replace("%26", "&")
            );
            request.path.truncate(8_000);
        }
        if !dice.once_in(3) {
            let others = [&self.documents[0], &request.body.clone()].map(Vec::clone);
            request.body = mutate(dice, &request.body, &others);
        }
        if dice.once_in(8) {
            request.method = [
                Method::GET,
                Method::POST,
                Method::HEAD,
                Method::PUT,
                Method::DELETE,
                Method::OPTIONS,
            ][dice.below(6)]
            .clone();
        }
        for (_, value) in &mut request.headers {
            if dice.once_in(12) {
                let odd = mutate_text(dice, value, &[]);
                // What no client can send isn't sent.
                *value = odd.chars().filter(|c| !c.is_control()).take(4_000).collect();
            }
        }
        if dice.once_in(6) {
            let names = [
                "if-none-match",
                "x-forwarded-for",
                "range",
                "accept-language",
                "last-event-id",
                "referer",
                "content-encoding",
            ];
            request
                .headers
                .push((names[dice.below(names.len())], encoded(token(dice))));
        }
        request
    }
}

/// As it may stand in an address.
fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:@".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The status, and what was said; streams are left as soon as they begin.
async fn send(client: &Client, world: &World, request: &Request) -> Result<(u16, String), reqwest::Error> {
    let mut sent = client.request(request.method.clone(), format!("{}{}", world.base_url, request.path));
    for (name, value) in &request.headers {
        sent = sent.header(*name, value.as_bytes());
    }
    let answer = sent.body(request.body.clone()).send().await?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type");
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return Ok((status, String::new()));
    }
    Ok((status, answer.text().await?))
}

async fn throw(until_then: Until) {
    let seed = seed();
    let mut dice = Dice(seed);
    let world = World::with(Setup {
        process: true,
        variables: vec![("GIT_WEBHOOK_SECRET", PUSH_SECRET.into())],
        ..Setup::default()
    })
    .await;
    // Something to be approved, retried and cancelled.
    let digest = world.push("1.1.0").await;
    world.wait_for_desired("staging", "api", &digest).await;
    let doors = Doors::of(&world).await;
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(LONGEST)
        .build()
        .unwrap();
    let mut people = People::new(&world, 0).await;
    let (mut round, mut outside) = (0, 0);
    while !until_then.is_over(round) {
        let mut request = doors.wrong(&mut dice);
        people.sign(&mut dice, &world, &mut request);
        let said = || {
            let body: String = String::from_utf8_lossy(&request.body).chars().take(2_000).collect();
            format!(
                "seed {seed}, round {round}: {} {} {:?} {body:?}",
                request.method, request.path, request.headers
            )
        };
        match send(&client, &world, &request).await {
            // It asked outside for this, and what it was told to ask is one of the things that are thrown.
            Ok((502 | 504, _)) => outside += 1,
            Ok((status, text)) => assert!(status < 500, "{} answered {status} {text}", said()),
            Err(error) if error.is_builder() => {}
            Err(error) => panic!("{} has no answer: {error:?}", said()),
        }
        round += 1;
        if round % ROUND == 0 {
            is_well(&client, &world).await;
            people = People::new(&world, round).await;
        }
    }
    is_well(&client, &world).await;
    println!("{round} requests, {outside} of them failed outside");
    let log = std::fs::read_to_string(world.log_file()).unwrap();
    let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked at")).collect();
    assert!(panics.is_empty(), "seed {seed}: {panics:#?}");
    works(&world).await;
}

async fn is_well(client: &Client, world: &World) {
    for path in ["/healthz", "/readyz"] {
        let answer = client.get(format!("{}{path}", world.base_url)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

/// Whatever was thrown: who sets up a project has it.
async fn works(world: &World) {
    let mut document = world.document();
    document["projects"] = json!([{
        "name": "afterwards",
        "repository": document["projects"][0]["repository"],
        "pathTemplate": "afterwards/{environment}/values.yaml",
        "environments": [{ "name": "development", "cluster": "local", "resources": [
            { "name": "api", "source": { "image": format!("{}/myapp/api", world.host) } },
        ] }],
    }]);
    document["clusters"][0].as_object_mut().unwrap().remove("argocd");
    // Automation makes no file.
    let writer = world.repository.outsider("main").await.unwrap();
    let empty = ("afterwards/development/values.yaml", "services: {}\n");
    writer.commit(&[empty], "Begin a project").await.unwrap();
    let token = world.token("demo", "afterwards", Role::Admin).await;
    let (status, answer) = world.post_json("/api/v1/apply", Some(&token), &document).await;
    assert_eq!(status, 200, "{answer}");
    let digest = world.push("9.9.9").await;
    until("a promotion afterwards", async || {
        let path = "afterwards/development/values.yaml";
        let file = world.repository.read_file("main", path).await.unwrap()?;
        String::from_utf8(file).unwrap().contains(&digest).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_thrown_at_a_server() {
    throw(Until::Rounds(600)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: make fuzz"]
async fn requests_thrown_for_long() {
    throw(Until::told()).await;
}
