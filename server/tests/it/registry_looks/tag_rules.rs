//! Which tags count: case 10, with rules and without, and what becomes of it when a rule changes.

use super::{API, CHAIN, Shop};
use crate::support::{Bench, read, world::until};
use contract::{backend::At, error::AppError, resource::ResourceView};
use domain::{
    draft::ResourceDraft,
    field::FieldErrors,
    promotion::State,
    resource::HoldCause,
    tag_rule::{TagOrder, TagRule},
};
use serde_json::{Value, json};
use server::service::{configure, promotion, views};
use server::web::graphql;

fn at(environment: &str) -> At {
    At {
        workspace: "demo".into(),
        project: "shop".into(),
        environment: environment.into(),
    }
}

impl Shop {
    /// The chain of `api`, with a rule for the tags of its repository; production runs on a cluster of these platforms.
    fn chain_by(&self, tags: Option<Value>, platforms: &[&str]) -> Value {
        let registry = json!({ "host": self.registry.address, "plainHttp": true, "user": "ci", "password": "right" });
        let mut source = json!({ "image": self.registry.repository(API) });
        if let Some(tags) = tags {
            source["tags"] = tags;
        }
        let mut environments = Vec::new();
        for name in CHAIN {
            let cluster = if name == "production" { "special" } else { "local" };
            let resources = json!([{ "name": "api", "source": source }]);
            environments.push(json!({ "name": name, "cluster": cluster, "resources": resources }));
            source = json!({ "promote": { "environment": name, "resource": "api" } });
        }
        json!({
            "workspace": "demo",
            "clusters": [
                { "name": "local", "registry": registry },
                { "name": "special", "registry": registry, "platforms": platforms },
            ],
            "projects": [{
                "name": "shop",
                "repository": { "url": "https://git.example.com/deploy.git", "branch": "main" },
                "environments": environments,
            }],
        })
    }

    /// Applies it; returns what changed.
    async fn apply_by(&self, tags: Value) -> Vec<String> {
        let applied = self.bench.apply(&self.admin, &self.chain_by(Some(tags), &[])).await;
        assert_eq!(applied.warnings, Vec::<String>::new());
        applied.changes.iter().map(ToString::to_string).collect()
    }

    /// Pushes an image built at this hour, under a tag that its registry tells of.
    async fn push(&self, tag: &str, hours: i64, platform: &str) -> String {
        let digest = self.registry.push(API, tag, hours, platform);
        self.tell(&[(tag, &digest)]).await;
        self.bench.services.pushes.settled().await;
        digest
    }

    async fn view(&self, environment: &str) -> ResourceView {
        let services = &self.bench.services;
        views::resource(services, &self.admin, &at(environment), "api")
            .await
            .unwrap()
    }
}

/// What case 10 pushes after `1.0.0`, up to `1.3.0`.
async fn push_case_10(shop: &Shop) -> String {
    for (tag, hours, platform) in [
        ("1.0.0-att", 1, "unknown/unknown"),
        ("1.2.0-windows", 2, "windows/amd64"),
        ("pr-417", 3, "linux/amd64"),
        ("feature-login-3f2a1b", 4, "linux/amd64"),
    ] {
        shop.push(tag, hours, platform).await;
    }
    shop.look().await;
    shop.registry.push_index(API, "1.3.0", 5)
}

#[tokio::test]
async fn what_a_rule_leaves_out_is_never_deployed_and_seen_with_why() {
    for tags in [
        json!({ "semver": "*" }),
        json!({ "pattern": r"(\d+\.\d+\.\d+)" }),
        json!({ "leaveOut": ["pr-*", "feature-*"] }),
    ] {
        let shop = Shop::open().await;
        shop.registry.push(API, "1.0.0", 0, "linux/amd64");
        shop.apply_by(tags.clone()).await;
        let index = push_case_10(&shop).await;
        shop.all_went(&["1.0.0"]).await;
        let view = shop.view("development").await;
        for passed in ["1.2.0-windows", "pr-417", "feature-login-3f2a1b"] {
            let found = view.passed_over.iter().find(|tag| tag.image == passed);
            assert!(
                found.is_some_and(|tag| tag.why.ends_with('.')),
                "{tags} {passed}: {found:?}"
            );
        }
        shop.tell(&[("1.3.0", &index)]).await;
        shop.bench.services.pushes.settled().await;
        shop.arrives(&index).await;
        shop.all_went(&["1.0.0", "1.3.0"]).await;
    }
}

#[tokio::test]
async fn without_a_rule_every_tag_of_an_image_for_linux_counts() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.apply_chain().await;
    push_case_10(&shop).await;
    until("the last build to run", async || {
        let runs = shop.resource("development", "api").await.desired;
        runs.filter(|image| image.label() == "feature-login-3f2a1b")
    })
    .await;
    let promotions = shop.promotions("development", "api").await;
    let went: Vec<String> = promotions.iter().map(|p| p.image.label().to_owned()).collect();
    for never in ["1.0.0-att", "1.2.0-windows"] {
        assert!(!went.contains(&never.to_owned()), "{went:?}");
    }
}

#[tokio::test]
async fn the_higher_version_is_newer_all_the_way_down_a_chain() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.10.0", 5, "linux/amd64");
    shop.apply_by(json!({ "semver": "^1" })).await;
    shop.all_went(&["1.10.0"]).await;
    // A fix of an older line that was built last, and a version beyond the range.
    shop.push("1.9.1", 6, "linux/amd64").await;
    shop.push("2.0.0", 7, "linux/amd64").await;
    shop.look().await;
    shop.all_went(&["1.10.0"]).await;
    // The higher version was built before what runs; it is called by the tag that counts.
    let digest = shop.registry.push(API, "stable", 1, "linux/amd64");
    shop.registry.push(API, "1.11.0", 1, "linux/amd64");
    shop.tell(&[("stable", &digest), ("1.11.0", &digest)]).await;
    shop.bench.services.pushes.settled().await;
    shop.arrives(&digest).await;
    shop.all_went(&["1.10.0", "1.11.0"]).await;
}

#[tokio::test]
async fn a_recalled_version_is_passed_over_for_the_next_one() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 5, "linux/amd64");
    shop.apply_by(json!({ "semver": "^1" })).await;
    shop.all_went(&["1.0.0"]).await;
    let bad = shop.registry.push(API, "1.2.0", 7, "linux/amd64");
    promotion::recall_digest(&shop.bench.services, &shop.admin, "demo", &bad, "it loses orders")
        .await
        .unwrap();
    shop.registry.push(API, "1.1.0", 6, "linux/amd64");
    shop.look().await;
    shop.all_went(&["1.0.0", "1.1.0"]).await;
}

#[tokio::test]
async fn an_image_arrives_when_it_is_first_called_a_version() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.registry.push(API, "sha-77aa001", 1, "linux/amd64");
    shop.apply_by(json!({ "semver": "*" })).await;
    shop.look().await;
    shop.all_went(&["1.0.0"]).await;
    let digest = shop.push("1.1.0", 1, "linux/amd64").await;
    shop.arrives(&digest).await;
    shop.all_went(&["1.0.0", "1.1.0"]).await;
}

#[tokio::test]
async fn one_tag_is_followed_wherever_it_moves_but_back() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.registry.push(API, "1.1.0", 1, "linux/amd64");
    shop.registry.push(API, "stable", 0, "linux/amd64");
    shop.apply_by(json!({ "only": "stable" })).await;
    shop.look().await;
    shop.all_went(&["stable"]).await;
    shop.push("1.2.0", 2, "linux/amd64").await;
    shop.look().await;
    shop.all_went(&["stable"]).await;
    // To an image that is there for long, without a word from the registry.
    let moved = shop.registry.push(API, "stable", 1, "linux/amd64");
    shop.look().await;
    shop.arrives(&moved).await;
    shop.all_went(&["stable", "stable"]).await;
    shop.push("stable", 0, "linux/amd64").await;
    shop.look().await;
    shop.all_went(&["stable", "stable"]).await;
}

#[tokio::test]
async fn a_rule_that_changes_starts_nothing_that_was_there() {
    let shop = Shop::open().await;
    for (tag, hours) in [("1.9.0", 0), ("2.0.0", 1), ("pr-1", 2)] {
        shop.registry.push(API, tag, hours, "linux/amd64");
    }
    shop.apply_by(json!({ "semver": "^1" })).await;
    shop.look().await;
    shop.all_went(&["1.9.0"]).await;

    let changes = shop.apply_by(json!({ "semver": "^2" })).await;
    assert_eq!(
        changes,
        ["change resource shop/development/api: tags that count SemVer ^1 → SemVer ^2"]
    );
    shop.look().await;
    shop.push("1.9.1", 3, "linux/amd64").await;
    shop.all_went(&["1.9.0"]).await;
    let view = shop.view("development").await;
    assert_eq!(
        view.latest.map(|image| image.label().to_owned()).as_deref(),
        Some("2.0.0")
    );
    assert_eq!(view.counts.map(|rule| rule.words()).as_deref(), Some("SemVer ^2"));

    let newer = shop.push("2.1.0", 4, "linux/amd64").await;
    shop.arrives(&newer).await;
    shop.all_went(&["1.9.0", "2.1.0"]).await;

    // Back to a rule by which an older image is the newest, on the resource's page.
    let services = &shop.bench.services;
    let draft = |range: &str| ResourceDraft {
        tags: "semver".into(),
        tags_value: range.into(),
        ..ResourceDraft::default()
    };
    let picks = async |environment, range: &str| {
        let of = at(environment);
        configure::preview_tags(services, &shop.admin, &of, "api", &draft(range)).await
    };
    let change = async |environment, range: &str| {
        let of = at(environment);
        configure::change_tags(services, &shop.admin, &of, "api", &draft(range)).await
    };
    let Err(AppError::Invalid(errors)) = change("development", "?").await else {
        panic!("a range that can't be read is refused");
    };
    assert!(errors.get("tags_value").is_some(), "{errors}");
    assert!(matches!(change("production", "^1").await, Err(AppError::Conflict(_))));
    // What it picks is said before it is saved, and nothing is written by asking.
    let before = shop.newest_event().await;
    assert_eq!(
        picks("development", "^1").await.unwrap(),
        [
            "1.9.1 counts as newest; 2 of 5 tags count.",
            "2.1.0 stays until a newer image that counts arrives, or somebody promotes one."
        ]
    );
    assert_eq!(
        picks("development", "^2").await.unwrap(),
        ["2.1.0 counts as newest; 2 of 5 tags count.", "That one runs already."]
    );
    assert_eq!(picks("development", "^3").await.unwrap()[0], "0 of 5 tags count.");
    assert!(matches!(picks("development", "?").await, Err(AppError::Invalid(_))));
    assert!(matches!(picks("production", "^1").await, Err(AppError::Conflict(_))));
    assert_eq!(shop.newest_event().await, before);
    change("development", "^1").await.unwrap();
    let before = shop.newest_event().await;
    change("development", "^1").await.unwrap();
    assert_eq!(shop.newest_event().await, before, "nothing changed");
    shop.look().await;
    shop.push("1.9.2", 5, "linux/amd64").await;
    shop.all_went(&["1.9.0", "2.1.0"]).await;
    // Back to what counts now, by hand: nothing would undo that, so nothing is held, and what comes next arrives.
    promotion::promote(services, &shop.admin, &at("development"), "api", false)
        .await
        .unwrap();
    assert_eq!(shop.went("development", "api").await, ["1.9.0", "2.1.0", "1.9.2"]);
    assert_eq!(shop.resource("development", "api").await.hold, None);
    shop.push("1.9.3", 6, "linux/amd64").await;
    assert_eq!(
        shop.went("development", "api").await,
        ["1.9.0", "2.1.0", "1.9.2", "1.9.3"]
    );
}

#[tokio::test]
async fn tags_that_are_deleted_take_no_arrival_with_them() {
    let shop = Shop::open().await;
    for (tag, hours) in [("1.0.0", 0), ("pr-1", 1), ("pr-2", 2)] {
        shop.registry.push(API, tag, hours, "linux/amd64");
    }
    shop.apply_by(json!({ "leaveOut": ["pr-*"] })).await;
    shop.look().await;
    shop.all_went(&["1.0.0"]).await;
    for tag in ["pr-1", "pr-2"] {
        shop.registry.unlist(API, tag);
    }
    shop.look().await;
    let newer = shop.push("1.1.0", 3, "linux/amd64").await;
    shop.arrives(&newer).await;
    shop.all_went(&["1.0.0", "1.1.0"]).await;
}

#[tokio::test]
async fn what_waits_and_no_longer_counts_is_withdrawn() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    let mut document = shop.chain_by(None, &[]);
    shop.bench.apply(&shop.admin, &document).await;
    shop.all_went(&["1.0.0"]).await;
    document["projects"][0]["environments"][0]["policy"] = json!({ "approvals": { "count": 1 } });
    shop.bench.apply(&shop.admin, &document).await;
    shop.push("pr-417", 1, "linux/amd64").await;
    let newest = async || shop.promotions("development", "api").await.pop();
    let waiting = newest().await.unwrap();
    assert_eq!((waiting.image.label(), waiting.state), ("pr-417", State::Waiting));
    let draft = ResourceDraft {
        tags: "newest".into(),
        leave_out: "pr-*".into(),
        ..ResourceDraft::default()
    };
    let services = &shop.bench.services;
    configure::change_tags(services, &shop.admin, &at("development"), "api", &draft)
        .await
        .unwrap();
    let after = newest().await.unwrap();
    assert_eq!((after.id, after.state), (waiting.id, State::Cancelled));
    assert_eq!(after.waits_for.as_deref(), Some("pr-417 no longer counts."));
}

#[tokio::test]
async fn an_older_image_that_a_person_chose_stays() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/arm64");
    let document = shop.chain_by(None, &["linux/arm64"]);
    shop.bench.apply(&shop.admin, &document).await;
    shop.all_went(&["1.0.0"]).await;
    shop.push("1.1.0", 1, "linux/amd64").await;
    assert_eq!(shop.went("development", "api").await, ["1.0.0", "1.1.0"]);
    let services = &shop.bench.services;
    promotion::promote_between(
        services,
        &shop.admin,
        ["shop", "api", "production", "development"],
        false,
    )
    .await
    .unwrap();
    shop.look().await;
    shop.push("1.2.0", 2, "linux/amd64").await;
    shop.look().await;
    assert_eq!(shop.went("development", "api").await, ["1.0.0", "1.1.0", "1.0.0"]);
    let held = shop.resource("development", "api").await.hold;
    assert_eq!(held.map(|hold| hold.cause), Some(HoldCause::RolledBack));
}

#[tokio::test]
async fn what_comes_after_a_resource_was_created_arrives_though_nobody_tells_of_it() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    let mut document = shop.chain_by(None, &[]);
    for environment in document["projects"][0]["environments"].as_array_mut().unwrap() {
        environment["resources"] = json!([]);
    }
    shop.bench.apply(&shop.admin, &document).await;
    let draft = ResourceDraft {
        name: "api".into(),
        kind: "deployment".into(),
        source: "image".into(),
        image: shop.registry.repository(API),
        binding: "track".into(),
        create_file: "true".into(),
        ..ResourceDraft::default()
    };
    let services = &shop.bench.services;
    configure::create_resource(services, &shop.admin, &at("development"), draft)
        .await
        .unwrap();
    shop.registry.push(API, "1.1.0", 1, "linux/amd64");
    shop.look().await;
    assert_eq!(shop.went("development", "api").await, ["1.0.0", "1.1.0"]);
}

#[tokio::test]
async fn what_can_run_is_found_behind_many_that_cannot() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    let mut document = shop.chain_by(None, &["linux/arm64"]);
    let source = json!({ "image": shop.registry.repository(API) });
    document["projects"][0]["environments"][2]["resources"] = json!([{ "name": "api", "source": source }]);
    shop.registry.push(API, "1.0.1-arm64", 1, "linux/arm64");
    for build in 0..25 {
        shop.registry
            .push(API, &format!("1.1.{build}"), 2 + build, "linux/amd64");
    }
    shop.bench.apply(&shop.admin, &document).await;
    shop.look().await;
    assert_eq!(shop.went("production", "api").await, ["1.0.1-arm64"]);
}

#[tokio::test]
async fn a_cluster_runs_images_of_its_platforms_only() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.0.0", 0, "linux/arm64");
    let document = shop.chain_by(None, &["linux/arm64"]);
    shop.bench.apply(&shop.admin, &document).await;
    shop.all_went(&["1.0.0"]).await;
    shop.push("1.1.0", 1, "linux/amd64").await;
    shop.look().await;
    for (environment, wanted) in [
        ("development", &["1.0.0", "1.1.0"][..]),
        ("staging", &["1.0.0", "1.1.0"]),
        ("production", &["1.0.0"]),
    ] {
        assert_eq!(shop.went(environment, "api").await, wanted, "{environment}");
    }
    let index = shop.registry.push_index(API, "1.2.0", 2);
    shop.tell(&[("1.2.0", &index)]).await;
    shop.bench.services.pushes.settled().await;
    shop.arrives(&index).await;
    assert_eq!(shop.went("production", "api").await, ["1.0.0", "1.2.0"]);

    // What follows a repository itself: nothing of other platforms counts.
    let mut document = document;
    let resources = &mut document["projects"][0]["environments"][2]["resources"];
    let source = json!({ "image": shop.registry.repository(API) });
    *resources = json!([{ "name": "api", "source": source }]);
    shop.bench.apply(&shop.admin, &document).await;
    shop.look().await;
    shop.push("1.3.0", 3, "linux/amd64").await;
    shop.look().await;
    assert_eq!(shop.went("production", "api").await, ["1.0.0", "1.2.0"]);

    // A cluster that takes others, too, starts none that was there.
    document["clusters"][1]["platforms"] = json!(["linux/arm64", "linux/amd64"]);
    let applied = shop.bench.apply(&shop.admin, &document).await;
    let changes: Vec<String> = applied.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        ["change cluster special: platforms linux/arm64 → linux/arm64 linux/amd64"]
    );
    shop.look().await;
    assert_eq!(shop.went("production", "api").await, ["1.0.0", "1.2.0"]);
}

#[tokio::test]
async fn a_document_says_which_tags_count_and_leaves_them_where_it_says_nothing() {
    let shop = Shop::open().await;
    shop.registry.push(API, "1.4.2", 0, "linux/amd64");
    let tags = json!({ "semver": "^1.4", "leaveOut": ["*-rc"] });
    shop.apply_by(tags.clone()).await;
    let rule = TagRule {
        order: TagOrder::SemVer {
            range: Some("^1.4".into()),
        },
        leave_out: vec!["*-rc".into()],
    };
    let stored = async || shop.resource("development", "api").await.source.tags().cloned();
    assert_eq!(stored().await, Some(rule.clone()));
    assert_eq!(shop.apply_by(tags).await, Vec::<String>::new());
    let silent = shop.bench.apply(&shop.admin, &shop.chain_by(None, &[])).await;
    assert_eq!((silent.changes.len(), stored().await), (0, Some(rule)));

    const QUERY: &str = r#"{ project(name: "shop") { environments { resources {
        source { tags { order range leaveOut } } } } } }"#;
    let (_, answer) = Bench::post(
        graphql::router(shop.bench.services.clone()),
        Some(shop.admin.clone()),
        "/api/graphql",
        json!({ "query": QUERY }).to_string(),
    )
    .await;
    let source = |n: usize| &answer["data"]["project"]["environments"][n]["resources"][0]["source"]["tags"];
    let wanted = json!({ "order": "semver", "range": "^1.4", "leaveOut": ["*-rc"] });
    assert_eq!((source(0), source(1)), (&wanted, &Value::Null), "{answer}");

    shop.apply_by(json!({})).await;
    assert_eq!(stored().await, Some(TagRule::default()));

    let at = "projects[0].environments[0].resources[0].source.tags";
    for (tags, field, says) in [
        (json!({ "semver": "1.x || 2.x" }), ".semver", "Write ^1.4"),
        (json!({ "pattern": "build-.*" }), ".pattern", "in parentheses"),
        (json!({ "only": "a b" }), ".only", "A tag has"),
        (json!({ "leaveOut": ["pr/*"] }), ".leaveOut", "fits no tag"),
        (json!({ "semver": "*", "only": "stable" }), "", "at most one"),
    ] {
        let document = read(&shop.chain_by(Some(tags.clone()), &[]));
        let refused = configure::apply(&shop.bench.services, &shop.admin, &document, true).await;
        let Err(AppError::Invalid(errors)) = refused else {
            panic!("{tags}: {refused:?}");
        };
        let message = errors
            .get(&format!("{at}{field}"))
            .unwrap_or_else(|| panic!("{errors}"));
        assert!(message.contains(says), "{message}");
    }
    let document = read(&shop.chain_by(None, &["windows/amd64"]));
    let refused = configure::apply(&shop.bench.services, &shop.admin, &document, true).await;
    assert!(refused.unwrap_err().to_string().contains("a platform of Linux"));
}

#[tokio::test]
async fn the_form_says_what_a_rule_picks_before_it_is_saved() {
    let shop = Shop::open().await;
    for (tag, hours) in [("1.4.1", 0), ("1.4.2", 1), ("pr-417", 2), ("feature-x", 3)] {
        shop.registry.push(API, tag, hours, "linux/amd64");
    }
    shop.apply_by(json!({ "semver": "*" })).await;
    shop.look().await;
    let draft = |tags: &str, value: &str, leave_out: &str| ResourceDraft {
        source: "image".into(),
        image: shop.registry.repository(API),
        tags: tags.into(),
        tags_value: value.into(),
        leave_out: leave_out.into(),
        name: "worker".into(),
        create_file: "true".into(),
        ..ResourceDraft::fresh()
    };
    let services = &shop.bench.services;
    let foreseen = async |draft| views::preview_create(services, &shop.admin, &at("development"), draft).await;
    let preview = foreseen(draft("semver", "^1.4", "")).await.unwrap();
    assert_eq!(preview.tags, ["1.4.2 counts as newest; 2 of 4 tags count."]);
    assert_eq!(preview.image.label(), "1.4.2");
    let preview = foreseen(draft("newest", "", "")).await.unwrap();
    assert_eq!(
        preview.tags,
        [
            "feature-x counts as newest; 4 of 4 tags count.",
            "feature-x and 1 other look like branches, and would be deployed when built last. Leave such tags out, or choose which count."
        ]
    );
    let preview = foreseen(draft("newest", "", "pr-*, feature-*")).await.unwrap();
    assert_eq!(preview.tags, ["1.4.2 counts as newest; 2 of 4 tags count."]);

    let field = |refused: AppError| match refused {
        AppError::Invalid(FieldErrors(mut errors)) => errors.remove(0),
        other => panic!("{other}"),
    };
    for (tags, value) in [("semver", "newest"), ("newest", "1.4.2"), ("only", "")] {
        let error = field(foreseen(draft(tags, value, "")).await.unwrap_err());
        assert_eq!(error.field, "tags_value", "{tags} {value}");
    }
    let error = field(foreseen(draft("semver", "^3", "")).await.unwrap_err());
    assert_eq!((&*error.field, error.message.contains("SemVer ^3")), ("tags", true));
    let created =
        configure::create_resource(services, &shop.admin, &at("development"), draft("pattern", "1", "")).await;
    assert_eq!(field(created.unwrap_err()).field, "tags_value");

    let draft = draft("pattern", r"(\d+\.\d+\.\d+)", "");
    configure::create_resource(services, &shop.admin, &at("development"), draft)
        .await
        .unwrap();
    assert_eq!(shop.went("development", "worker").await, ["1.4.2"]);
    let stored = shop.resource("development", "worker").await.source.tags().cloned();
    assert_eq!(stored.unwrap().words(), r"pattern (\d+\.\d+\.\d+)");
}

#[tokio::test]
async fn the_form_says_what_a_rule_picks_of_a_repository_nobody_has_looked_at() {
    let shop = Shop::open().await;
    for (tag, hours) in [("1.4.1", 0), ("1.4.2", 1), ("pr-417", 2), ("buildcache", 3)] {
        shop.registry.push("shop/new", tag, hours, "linux/amd64");
    }
    shop.registry.push(API, "1.0.0", 0, "linux/amd64");
    shop.apply_by(json!({})).await;
    shop.look().await;
    let said = async |tags: &str, value: &str| {
        let draft = ResourceDraft {
            source: "image".into(),
            image: shop.registry.repository("shop/new"),
            tags: tags.into(),
            tags_value: value.into(),
            name: "new".into(),
            create_file: "true".into(),
            ..ResourceDraft::fresh()
        };
        let services = &shop.bench.services;
        let foreseen = views::preview_create(services, &shop.admin, &at("development"), draft).await;
        foreseen.unwrap_err().to_string()
    };
    let unknown = format!(
        "Waybill has seen no image of {} yet. It looks for one when the resource is created.",
        shop.registry.repository("shop/new")
    );
    assert_eq!(
        said("semver", "^1.4").await,
        format!("{unknown} 1.4.2 counts as newest; 2 of 4 tags count.")
    );
    // By the time of a build nobody can say it before the images are read.
    assert_eq!(
        said("newest", "").await,
        format!(
            "{unknown} Which is newest is found then; 3 of 4 tags count. pr-417 looks like a branch, and would be deployed when built last. Leave such tags out, or choose which count."
        )
    );
    assert_eq!(said("semver", "^3").await, format!("{unknown} 0 of 4 tags count."));
    shop.registry.answer("shop/new", "tags/list", 503, &[], "");
    assert_eq!(said("semver", "^1.4").await, unknown);
}
