//! Names are for people, keys are what Git has: `apiGateway`, `billing.v2`, an environment in the folder `shop.test`.

use crate::support::{
    Bench, digest, read, words,
    world::{World, values_path},
};
use argocd_standin::AppSpec;
use domain::{
    promotion::{Purpose, State},
    rights::Role,
};
use serde_json::{Value, json};
use server::{
    service::{
        Caller,
        configure::{self, Document, SecretText},
    },
    worker::git_removals,
};
use testbed::ImageSpec;

const FOLDER: &str = "shop.test";

/// A project whose environment `shop` lies in the folder `shop.test`.
struct Shop {
    world: World,
    /// The first builds of `billing` and `gateway`.
    first: [String; 2],
}

impl Shop {
    async fn start() -> Self {
        let world = World::start().await;
        let first = [
            push(&world, "billing", "1.0.0").await,
            push(&world, "gateway", "1.0.0").await,
        ];
        let file = format!(
            "# The shop.\nservices:\n  billing.v2: # invoices\n{}  'apiGateway':\n{}",
            block(&world, "billing", &first[0]),
            block(&world, "gateway", &first[1]),
        );
        world.outsider_writes(FOLDER, &file).await;
        let url = world.repository.path().display().to_string();
        let mut app = AppSpec::new("myapp-shop", "myapp", &url, &values_path(FOLDER));
        app.automated = true;
        world.standin.upsert_app(app);
        Self { world, first }
    }

    fn document(&self) -> Value {
        let mut document = self.world.document();
        let image = |of: &str| json!({ "image": format!("{}/myapp/{of}", self.world.host) });
        let shop = json!({ "name": "shop", "key": FOLDER, "cluster": "local", "resources": [
            { "name": "billing", "key": "billing.v2", "source": image("billing") },
            { "name": "api-gateway", "key": "apiGateway", "source": image("gateway") },
        ] });
        let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
        environments.push(shop);
        document
    }
}

async fn push(world: &World, service: &str, tag: &str) -> String {
    let image = ImageSpec::new(format!("{service} {tag}"))
        .created("2026-11-02T09:12:00Z")
        .label("org.opencontainers.image.version", tag);
    let registry = world.registry.as_ref().unwrap();
    registry
        .push_image(&format!("myapp/{service}"), tag, &image)
        .await
        .unwrap()
}

fn block(world: &World, service: &str, digest: &str) -> String {
    format!(
        "    image:\n      repository: {}/myapp/{service}\n      tag: 1.0.0 # shown\n      digest: {digest}\n    replicas: 1\n",
        world.host
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_calls_otherwise_is_adopted_promoted_rolled_back_and_removed() {
    let shop = Shop::start().await;
    let world = &shop.world;
    let [billing, gateway] = &shop.first;
    let mut admin = world.admin().await;
    let before = world.values(FOLDER).await;

    let applied = world.apply(&shop.document()).await;
    let changes = applied["changes"].to_string();
    assert!(changes.contains("resource myapp/shop/api-gateway"), "{changes}");
    assert_eq!(
        applied.get("warnings").cloned().unwrap_or(json!([])),
        json!([]),
        "{applied}"
    );
    world.wait_for_live("shop", "billing", billing).await;
    world.wait_for_live("shop", "api-gateway", gateway).await;
    world.idle().await;
    assert_eq!(world.values(FOLDER).await, before, "adopting changes nothing");
    assert_eq!(
        world.apply(&shop.document()).await["changes"],
        json!([]),
        "nor does applying again"
    );

    let tested = [
        ("intent", "test-repository"),
        ("repository[was]", "myapp"),
        ("repository[stored]", "true"),
    ];
    let page = admin.post("/w/demo/-/settings/git", &tested).await.words();
    let said = "It declares billing.v2 (name it billing-v2, with the key billing.v2), apiGateway (name it api-gateway, with the key apiGateway).";
    assert!(page.contains(said), "{page}");

    // A new build arrives, and nothing but its tag and digest changes.
    let second = push(world, "billing", "1.1.0").await;
    world.wait_for_live("shop", "billing", &second).await;
    world.idle().await;
    let after = before
        .replacen("tag: 1.0.0 # shown", "tag: 1.1.0 # shown", 1)
        .replacen(billing, &second, 1);
    assert_eq!(world.values(FOLDER).await, after);
    let subjects = world.subjects().await;
    assert_eq!(subjects[0], "deploy(shop): billing 1.1.0");

    let back = format!("rollback-{billing}");
    let answer = admin.post("/w/demo/myapp/shop/billing", &[("intent", &back)]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let id = answer.location().unwrap().trim_start_matches("/promotions/").to_owned();
    assert_eq!(world.ends(&id, State::Succeeded).await.purpose, Purpose::Rollback);
    assert_eq!(world.values(FOLDER).await, before);

    // The form: a key that another resource has is refused in its field, and nothing typed is lost.
    let new = |name: &'static str, key: &'static str| {
        [
            ("intent", "create"),
            ("source", "promote"),
            ("source_environment", "shop"),
            ("source_resource", "api-gateway"),
            ("binding", "track"),
            ("name", name),
            ("key", key),
        ]
    };
    let form = "/w/demo/myapp/production/-/new";
    let answer = admin.post(form, &new("api-gateway", "apiGateway")).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    let id = answer.location().unwrap().trim_start_matches("/promotions/").to_owned();
    world.ends(&id, State::Succeeded).await;
    let production = world.values("production").await;
    assert!(production.contains("  apiGateway:\n    image:\n"), "{production}");
    assert_eq!(
        world.subjects().await[0],
        "promote(production): api-gateway 1.0.0 from shop"
    );
    for (name, key, why) in [
        (
            "twin",
            "apiGateway",
            "production/api-gateway has the key apiGateway in Git already. Enter another key.",
        ),
        ("twin", "a\u{200b}b", "Leave out control characters"),
    ] {
        let page = admin.post(form, &new(name, key)).await;
        assert_eq!(page.status, 422, "{}", page.words());
        let said = page.field_error("key").unwrap_or_default();
        assert!(said.contains(why), "{said}");
        assert_eq!(page.value("key").as_deref(), Some(key));
    }

    let page = admin.get("/w/demo/-/delete/project/myapp/shop/billing").await.words();
    assert!(page.contains("Also remove billing (key billing.v2) from Git"), "{page}");

    // Removed from Git, too: the block with that key goes, and its neighbour stays.
    let mut document = shop.document();
    document["projects"][0]["environments"][3]["resources"][0] =
        json!({ "name": "billing", "state": "absent", "removeFromGit": true });
    world.apply(&document).await;
    crate::support::world::until("the block to be removed", async || {
        (!world.values(FOLDER).await.contains("billing")).then_some(())
    })
    .await;
    assert_eq!(
        world.values(FOLDER).await,
        format!(
            "# The shop.\nservices:\n  'apiGateway':\n{}",
            block(world, "gateway", gateway)
        )
    );
    let said = admin.get("/w/demo/myapp/shop/api-gateway").await.words();
    assert!(said.contains("Key in Git apiGateway"), "{said}");
    let said = admin.get("/w/demo/myapp/shop").await.words();
    assert!(said.contains("environments/shop.test/values.yaml"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_does_in_git_is_seen_by_its_key() {
    let shop = Shop::start().await;
    let world = &shop.world;
    world.apply(&shop.document()).await;
    world.wait_for_live("shop", "billing", &shop.first[0]).await;
    world.idle().await;
    let renamed = world.values(FOLDER).await.replacen("billing.v2:", "billing.v3:", 1);
    world.outsider_writes(FOLDER, &renamed).await;
    let held = crate::support::world::until("a hold", async || world.resource("shop", "billing").await?.hold).await;
    assert_eq!(held.renamed.as_deref(), Some("billing.v3"));

    // The key follows, and with it everything else.
    let mut document = shop.document();
    document["projects"][0]["environments"][3]["resources"][0]["key"] = json!("billing.v3");
    let applied = world.apply(&document).await;
    assert_eq!(
        applied["changes"][0]["what"], "resource myapp/shop/billing: key billing.v2 → billing.v3",
        "{applied}"
    );
    world.wait_for_desired("shop", "billing", &shop.first[0]).await;
    assert_eq!(world.values(FOLDER).await, renamed);
}

const IMAGE: &str = "127.0.0.1:5000/myapp/api";

fn document(environments: Value) -> Value {
    json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [{
            "name": "myapp",
            "repository": { "url": "https://git.example.com/gitops.git" },
            "environments": environments,
        }],
    })
}

fn environment(name: &str, key: Option<&str>, resources: Value) -> Value {
    let mut environment = json!({ "name": name, "cluster": "local", "resources": resources });
    if let Some(key) = key {
        environment["key"] = json!(key);
    }
    environment
}

fn resource(name: &str, key: Option<&str>) -> Value {
    let mut resource = json!({ "name": name, "source": { "image": IMAGE } });
    if let Some(key) = key {
        resource["key"] = json!(key);
    }
    resource
}

async fn refused(bench: &Bench, caller: &Caller, environments: Value) -> (String, String) {
    let document = document(environments);
    let error = configure::apply(&bench.services, caller, &read(&document), true)
        .await
        .unwrap_err();
    let fields = error.fields().unwrap().0.clone();
    assert_eq!(fields.len(), 1, "{fields:?}");
    (fields[0].field.clone(), fields[0].message.clone())
}

#[tokio::test]
async fn keys_are_applied_kept_and_changed() {
    let bench = Bench::new().await;
    let (admin, _) = bench.program("demo", "boss", Role::Admin).await;
    let whole = document(json!([environment(
        "shop",
        Some(FOLDER),
        json!([resource("api-gateway", Some("apiGateway")), resource("web", None)])
    )]));
    // What the command line sends is what was written.
    let sent = serde_json::to_value(read(&whole)).unwrap();
    assert_eq!(sent["projects"][0]["environments"][0]["key"], FOLDER);
    serde_json::from_value::<Document<SecretText>>(sent.clone()).unwrap();
    bench.apply(&admin, &sent).await;
    let mut tx = bench.store.read().await.unwrap();
    let project = tx.projects(admin.access[0].0.id).await.unwrap().remove(0).project;
    let keys: Vec<(String, String)> = (tx.resources(project.id).await.unwrap().into_iter())
        .map(|r| (r.name.to_string(), r.key.to_string()))
        .collect();
    assert_eq!(
        keys,
        [("api-gateway", "apiGateway"), ("web", "web")].map(|(n, k)| (n.to_owned(), k.to_owned()))
    );
    let shop = tx.environments(project.id).await.unwrap().remove(0);
    assert_eq!(project.values_path(&shop.key), "environments/shop.test/values.yaml");
    drop(tx);

    // What is left out stays.
    let silent = document(json!([environment(
        "shop",
        None,
        json!([resource("api-gateway", None), resource("web", None)])
    )]));
    assert_eq!(words(&bench.apply(&admin, &silent).await), [""; 0]);
    let other = document(json!([environment(
        "shop",
        Some("Shop"),
        json!([resource("api-gateway", Some("gateway_v2"))])
    )]));
    assert_eq!(
        words(&bench.apply(&admin, &other).await),
        [
            "change environment myapp/shop: key shop.test → Shop",
            "change resource myapp/shop/api-gateway: key apiGateway → gateway_v2"
        ]
    );

    let query = json!({ "query": "{ projects { environments { key resources { name key } } } }" }).to_string();
    let door = server::web::graphql::router(bench.services.clone());
    let (_, answer) = Bench::post(door, Some(admin.clone()), "/api/graphql", query).await;
    assert_eq!(
        answer["data"]["projects"][0]["environments"][0],
        json!({ "key": "Shop", "resources": [
            { "name": "api-gateway", "key": "gateway_v2" }, { "name": "web", "key": "web" }
        ] }),
        "{answer}"
    );
}

#[tokio::test]
async fn a_key_twice_or_one_that_leads_elsewhere_is_refused_in_its_field() {
    let bench = Bench::new().await;
    let (admin, _) = bench.program("demo", "boss", Role::Admin).await;
    let here = "projects[0].environments[0]";
    for (environments, field, why) in [
        (
            json!([environment(
                "a",
                None,
                json!([resource("x", Some("k")), resource("y", Some("k"))])
            )]),
            format!("{here}.resources[1].key"),
            "a/x has the key k in Git already. Enter another key.",
        ),
        // A key that is left out is the name.
        (
            json!([environment(
                "a",
                None,
                json!([resource("x", Some("y")), resource("y", None)])
            )]),
            format!("{here}.resources[1].key"),
            "a/x has the key y in Git already. Enter another key.",
        ),
        (
            json!([
                environment("a", Some("b"), json!([])),
                environment("b", None, json!([]))
            ]),
            "projects[0].environments[1].key".into(),
            "Environment a has the key b in Git already. Choose another key.",
        ),
        (
            json!([environment("a", Some("../b"), json!([]))]),
            format!("{here}.key"),
            "Use a key without slashes",
        ),
        (
            json!([environment("a", Some(".."), json!([]))]),
            format!("{here}.key"),
            "Use a key without slashes",
        ),
        (
            json!([environment("a", Some(".git"), json!([]))]),
            format!("{here}.key"),
            "The path of its values file, environments/.git/values.yaml, can't be used",
        ),
        (
            json!([environment("a", None, json!([resource("x", Some(""))]))]),
            format!("{here}.resources[0].key"),
            "Enter a key.",
        ),
    ] {
        let (found, said) = refused(&bench, &admin, environments).await;
        assert_eq!(found, field, "{said}");
        assert!(said.starts_with(why), "{said}");
    }
    // In use until now by another one counts as well: things are written one after another.
    let two = |x: &str, y: &str| {
        json!([environment(
            "a",
            None,
            json!([resource("x", Some(x)), resource("y", Some(y))])
        )])
    };
    bench.apply(&admin, &document(two("k", "l"))).await;
    let swapped = read(&document(two("l", "k")));
    let error = configure::apply(&bench.services, &admin, &swapped, true)
        .await
        .unwrap_err();
    let fields = &error.fields().unwrap().0;
    assert_eq!(fields.len(), 2, "{fields:?}");
    assert_eq!(
        fields[0].message,
        "a/y has the key l in Git already. Enter another key."
    );
}

/// What was removed is in nobody's way, once its block is out of Git.
#[tokio::test]
async fn a_key_is_free_again_when_its_resource_is_removed() {
    let bench = Bench::new().await;
    let (admin, _) = bench.program("demo", "boss", Role::Admin).await;
    bench.registry.push(IMAGE, "one", &digest("a"));
    let path = "environments/shop.test/values.yaml";
    bench.git.declare(path, "billing.v2", IMAGE, "one", &digest("a"));
    let with = |resources: Value| document(json!([environment("shop", Some(FOLDER), resources)]));
    bench
        .apply(&admin, &with(json!([resource("billing", Some("billing.v2"))])))
        .await;
    let gone = json!([{ "name": "billing", "state": "absent", "removeFromGit": true }]);
    bench.apply(&admin, &with(gone)).await;

    let other = with(json!([resource("invoices", Some("billing.v2"))]));
    let why = configure::apply(&bench.services, &admin, &read(&other), false)
        .await
        .unwrap_err();
    assert!(
        why.to_string()
            .contains("The resource with the key billing.v2 in shop was deleted, and is still being removed from Git"),
        "{why}"
    );
    assert!(git_removals::next(&bench.services, "worker").await.unwrap());
    bench.apply(&admin, &other).await;
}
