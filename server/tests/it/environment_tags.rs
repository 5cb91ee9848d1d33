//! Tags of environments: keepers are set before the commit, the marker follows what is verified live, and nobody but Waybill is surprised by them.

use crate::{
    mirroring::{Two, held},
    support::{
        Bench, api_alone, digest,
        world::{Setup, until},
    },
};
use async_trait::async_trait;
use domain::{
    artifact::{Digest, ExactImage, Tag},
    environment_tags::TagUse,
    id::{PromotionId, WorkspaceId},
    promotion::State,
    resource::Resource,
    rights::Role,
};
use serde_json::{Value, json};
use server::{
    ports::{
        image_copy::CopyEnd,
        image_tags::{ImageTags, Replace, TagRemoved, TagSet},
        registry::RegistryError,
    },
    store::{TagLease, TagMove, TagWanted, Tx},
    worker::tags,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use testbed::Moment;

const PATH: &str = "live/api";

/// The document, with tags of production.
fn tagged(two: &Two, tags: &Value) -> Value {
    let mut document = two.document(true);
    document["projects"][0]["environments"][2]["tags"] = tags.clone();
    document
}

fn both() -> Value {
    json!({ "marker": "production", "keep": { "prefix": "prod-", "last": 2 } })
}

fn keeper(digest: &str) -> String {
    format!("prod-{}", &digest["sha256:".len()..][..12])
}

/// What a tag names in the second registry.
async fn names(two: &Two, tag: &str) -> Option<String> {
    two.live.digest(PATH, tag).await.unwrap()
}

async fn until_named(two: &Two, tag: &str, digest: &str) {
    until(&format!("{tag} to name {digest}"), async || {
        // docker-registry answers 500 while it writes what a tag names.
        let named = two.live.digest(PATH, tag).await.ok().flatten();
        (named.as_deref() == Some(digest)).then_some(())
    })
    .await;
}

/// The page *Images* of production, in words, once it says this.
async fn until_said(two: &Two, said: &str) -> String {
    let mut admin = two.world.admin().await;
    until(&format!("the page to say {said:?}"), async || {
        let words = admin.get("/w/demo/myapp/production/-/images").await.words();
        words.contains(said).then_some(words)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_comes_before_the_commit_and_the_marker_after_the_proof() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    let before = world.subjects().await;
    let hold = two
        .gate
        .hold(Moment::Before, "PUT", &format!("manifests/{}", keeper(&first)));
    world.apply(&tagged(&two, &both())).await;
    let hold = held(hold, "the keeper").await;
    let promotion = two.promotion(&first).await;
    assert_eq!(promotion.state, State::Mirroring);
    assert_eq!(
        world.subjects().await,
        before,
        "nothing is committed before the image is kept"
    );
    assert_eq!(names(&two, "production").await, None);
    drop(hold);
    world.wait_for_live("production", "api", &first).await;
    let promotion = world.ends(&promotion.id.to_string(), State::Succeeded).await;
    until_named(&two, "production", &first).await;
    assert_eq!(names(&two, &keeper(&first)).await.as_deref(), Some(&*first));
    let mut admin = world.admin().await;
    let kept = format!("The tag {} keeps it in {}.", keeper(&first), two.target());
    until("the page to tell of both tags", async || {
        let words = admin.get(&format!("/promotions/{}", promotion.id)).await.words();
        (words.contains(&kept) && words.contains("Set the tag production of")).then_some(())
    })
    .await;

    // A newer one takes the marker, and going back gives it back.
    let next = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &next).await;
    until_named(&two, "production", &next).await;
    world.idle().await;
    world.is_whole().await;
    let back = format!("rollback-{first}");
    let page = admin.post("/w/demo/myapp/production/api", &[("intent", &*back)]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world.wait_for_live("production", "api", &first).await;
    until_named(&two, "production", &first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_refuses_tags_keeps_nobody_from_promoting() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    let said = "The image tag 'production' already exists in the 'live/api' repository and cannot be overwritten because the repository is immutable.";
    let refusal = json!({ "errors": [{ "code": "TAG_INVALID", "message": said }] }).to_string();
    two.gate.refuse("PUT", "manifests/production", 400, &refusal);
    two.gate.refuse("PUT", "manifests/prod-", 412, &refusal);
    world.apply(&tagged(&two, &both())).await;
    world.wait_for_live("production", "api", &first).await;
    let promotion = two.promotion(&first).await;
    let promotion = world.ends(&promotion.id.to_string(), State::Succeeded).await;
    let words = until_said(&two, "doesn't let the tag production name").await;
    assert!(
        words.contains("cannot be overwritten because the repository is immutable"),
        "{words}"
    );
    let mut admin = world.admin().await;
    let page = admin.get(&format!("/promotions/{}", promotion.id)).await.words();
    assert!(
        page.contains("cannot be overwritten because the repository is immutable"),
        "{page}"
    );
    assert_eq!(names(&two, &keeper(&first)).await, None);

    // When it allows them, a person has them set.
    two.gate.allow_all();
    let page = admin
        .post("/w/demo/myapp/production/-/images", &[("intent", "set-again")])
        .await;
    assert_eq!(page.status, 200, "{}", page.words());
    until_named(&two, "production", &first).await;
    until_named(&two, &keeper(&first), &first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_that_somebody_moves_is_told_and_set_again_by_the_next_promotion() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    world.apply(&tagged(&two, &json!({ "marker": "production" }))).await;
    world.wait_for_live("production", "api", &first).await;
    until_named(&two, "production", &first).await;
    let other = two
        .live
        .push_image(PATH, "other", &testbed::ImageSpec::new("somebody"))
        .await
        .unwrap();
    two.live.retag(PATH, "other", "production").await.unwrap();
    // Time passes, and it is looked at again.
    until_said(&two, "Set").await;
    world.forward(16 * 60 * 1000).await;
    let words = until_said(&two, "Somebody else moved it to").await;
    assert!(words.contains("The next promotion sets it again."), "{words}");
    assert_eq!(
        names(&two, "production").await.as_deref(),
        Some(&*other),
        "it is only told"
    );
    let mut admin = world.admin().await;
    let board = admin.get("/w/demo/myapp").await.words();
    assert!(board.contains("Tag production was moved"), "{board}");
    let next = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &next).await;
    until_named(&two, "production", &next).await;
    until("the board to be calm again", async || {
        let board = admin.get("/w/demo/myapp").await.words();
        (!board.contains("Tag production was moved")).then_some(())
    })
    .await;

    // With `report` it stays where somebody put it, until a person has it set.
    world
        .apply(&tagged(&two, &json!({ "marker": "production", "onDrift": "report" })))
        .await;
    two.live.retag(PATH, "other", "production").await.unwrap();
    let last = world.push("1.2.0").await;
    world.wait_for_live("production", "api", &last).await;
    let words = until_said(&two, "Waybill leaves it there.").await;
    assert_eq!(names(&two, "production").await.as_deref(), Some(&*other), "{words}");
    let page = admin
        .post("/w/demo/myapp/production/-/images", &[("intent", "set-again")])
        .await;
    assert_eq!(page.status, 200, "{}", page.words());
    until_named(&two, "production", &last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_that_begin_later_follow_what_runs_already() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    world.apply(&two.document(true)).await;
    world.wait_for_live("production", "api", &first).await;
    world.idle().await;
    // Said on the page, with all that is wrong at once first.
    let mut admin = world.admin().await;
    let mirror = format!("{}/live/{{name}}", two.host());
    let form = |marker: &'static str, prefix: &'static str, last: &'static str| {
        [
            ("intent", "save".to_owned()),
            ("images[mirror]", mirror.clone()),
            ("images[attachments]", "all".to_owned()),
            ("images[marker]", marker.to_owned()),
            ("images[prefix]", prefix.to_owned()),
            ("images[last]", last.to_owned()),
        ]
    };
    let path = "/w/demo/myapp/production/-/images";
    let wrong = form("latest", "sha256-", "many");
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = admin.post(path, &wrong).await;
    for said in [
        "Choose a tag that says where the image runs: production.",
        "Tools keep signatures and caches under such tags.",
        "Write a whole number, for example 10.",
    ] {
        assert!(page.words().contains(said), "{said:?} is missing in: {}", page.words());
    }
    let right = form("production", "prod-", "");
    let right: Vec<(&str, &str)> = right.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = admin.post(path, &right).await;
    assert!(page.words().contains("Saved."), "{}", page.words());
    until_named(&two, "production", &first).await;
    until_named(&two, &keeper(&first), &first).await;
    // What the page saved is what the document says.
    let mut document = tagged(&two, &json!({ "marker": "production", "keep": { "prefix": "prod-" } }));
    document["projects"][0]["environments"][2]["tags"]["keep"]["last"] = json!(10);
    let applied = world.apply(&document).await;
    let changes = applied["changes"].to_string();
    assert!(!changes.contains("environment myapp/production"), "{changes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_that_would_be_followed_or_shared_are_refused() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    // Development follows the repository by itself; staging has its images there, too.
    let mut document = tagged(&two, &json!({}));
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments[1]["tags"] = json!({ "marker": "live" });
    environments[0]["tags"] = json!({ "marker": "live" });
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    let told = answer.to_string();
    assert!(told.contains("would set the same tags there"), "{told}");
    assert!(told.contains("tags.marker"), "{told}");

    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments[1]["tags"] = json!({});
    environments[0]["tags"] = json!({ "keep": { "prefix": "v" } });
    environments[0]["resources"] = json!([{
        "name": "api",
        "source": { "image": format!("{}/myapp/api", world.host), "tags": { "pattern": "v(.+)" } },
    }]);
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    let told = answer.to_string();
    assert!(told.contains("it would promote its own tag"), "{told}");
    assert!(told.contains("tags.keep.prefix"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waybills_own_tags_are_no_new_images() {
    // Here the image is pulled from where it is, and the registry tells of every tag.
    let two = Two::start(Setup {
        notifies: true,
        ..Setup::default()
    })
    .await;
    let world = &two.world;
    let first = world.first.clone();
    let mut document = world.document();
    let user = json!({ "user": testbed::REGISTRY_USER, "password": testbed::REGISTRY_PASSWORD });
    document["registries"] =
        json!([{ "name": "builds", "host": world.host, "plainHttp": true, "push": user, "pull": user }]);
    document["projects"][0]["environments"][0]["tags"] =
        json!({ "marker": "in-development", "keep": { "prefix": "dev-", "last": 1 } });
    world.apply(&document).await;
    let registry = world.registry.as_ref().unwrap();
    let named = async |tag: &str, digest: &str| {
        until(&format!("{tag} to name {digest}"), async || {
            let named = registry.digest("myapp/api", tag).await.ok().flatten();
            (named.as_deref() == Some(digest)).then_some(())
        })
        .await;
    };
    named("in-development", &first).await;
    let next = world.push("1.1.0").await;
    world.wait_for_live("development", "api", &next).await;
    named("in-development", &next).await;
    named(&format!("dev-{}", &next["sha256:".len()..][..12]), &next).await;
    world.idle().await;
    // The registry told of them, and nothing came of it.
    let asked: Vec<_> = (world.promotions("development", "api").await.into_iter())
        .map(|promotion| promotion.image.tag.map(|tag| tag.to_string()))
        .collect();
    assert!(
        asked
            .iter()
            .flatten()
            .all(|tag| !tag.starts_with("dev-") && tag != "in-development"),
        "{asked:?}"
    );
    let mut admin = world.admin().await;
    let words = admin.get("/w/demo/myapp/development/api").await.words();
    assert!(!words.contains("in-development"), "{words}");
    tokio::time::timeout(Duration::from_secs(1), world.idle())
        .await
        .unwrap();
}

/// A registry's tags, by name, and what was asked of it.
#[derive(Default)]
struct Tags {
    names: Mutex<BTreeMap<String, String>>,
    asked: Mutex<Vec<String>>,
    /// Whether tags can't be taken away.
    keeps: AtomicBool,
}

impl Tags {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl ImageTags for Tags {
    async fn set(
        &self,
        _at: &CopyEnd,
        tag: &Tag,
        digest: &Digest,
        replace: Replace<'_>,
    ) -> Result<TagSet, RegistryError> {
        self.asked.lock().unwrap().push(format!("set {tag} {replace:?}"));
        let mut names = self.names.lock().unwrap();
        let from = names.get(tag.as_str()).map(|digest| digest.parse().unwrap());
        if from.as_ref() == Some(digest) {
            return Ok(TagSet::Was);
        }
        names.insert(tag.to_string(), digest.to_string());
        Ok(TagSet::Moved { from })
    }

    async fn remove(&self, _at: &CopyEnd, tag: &Tag, _digest: &Digest) -> Result<TagRemoved, RegistryError> {
        self.asked.lock().unwrap().push(format!("remove {tag}"));
        if self.keeps.load(Ordering::Relaxed) {
            return Ok(TagRemoved::Refused("it deletes by digest only".into()));
        }
        self.names.lock().unwrap().remove(tag.as_str());
        Ok(TagRemoved::Removed)
    }
}

/// A bench whose one environment keeps one image, and the tags of its registry.
async fn keeping() -> (Bench, Arc<Tags>, Resource, WorkspaceId) {
    let mut bench = Bench::new().await;
    let tags = Arc::new(Tags::default());
    bench.services.tags = tags.clone();
    bench.registry.push(IMAGE, "one", &digest("a"));
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    let mut document = api_alone(IMAGE);
    let user = json!({ "user": "ci", "password": "secret" });
    document["registries"] = json!([{ "name": "builds", "host": "127.0.0.1:5000", "plainHttp": true, "push": user }]);
    document["clusters"] = json!([{ "name": "local", "registry": "builds" }]);
    document["projects"][0]["environments"][0]["tags"] = json!({ "keep": { "prefix": "dev-", "last": 1 } });
    bench.apply(&program, &document).await;
    let workspace = program.access[0].0.id;
    let mut tx = bench.store.read().await.unwrap();
    let project = tx.projects(workspace).await.unwrap()[0].project.id;
    let resource = tx.resources(project).await.unwrap().remove(0);
    drop(tx);
    (bench, tags, resource, workspace)
}

const IMAGE: &str = "127.0.0.1:5000/myapp/api";

fn wanted(resource: &Resource, workspace: WorkspaceId, letter: &str) -> TagWanted {
    TagWanted {
        workspace,
        repository: IMAGE.parse().unwrap(),
        tag: format!("dev-{}", letter.repeat(12)).parse().unwrap(),
        usage: TagUse::Keeper,
        environment: resource.environment,
        resource: resource.id,
        promotion: None,
        digest: digest(letter).parse().unwrap(),
    }
}

async fn want(bench: &Bench, wanted: &TagWanted) {
    let mut tx = bench.store.write().await.unwrap();
    tx.want_tag(wanted, bench.services.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn known(bench: &Bench, wanted: &TagWanted) -> Option<TagMove> {
    let mut tx = bench.store.read().await.unwrap();
    tx.tag_move(wanted.workspace, &wanted.repository, &wanted.tag)
        .await
        .unwrap()
}

async fn settle_all(bench: &Bench) {
    while tags::next(&bench.services, "me").await.unwrap() {}
}

#[tokio::test]
async fn a_keeper_goes_when_its_image_left_the_last_few_and_runs_nowhere() {
    let (bench, tags, resource, workspace) = keeping().await;
    // It runs, whatever the history says.
    let (runs, left) = (wanted(&resource, workspace, "b"), wanted(&resource, workspace, "c"));
    let image = ExactImage {
        repository: IMAGE.parse().unwrap(),
        tag: None,
        digest: runs.digest.clone(),
    };
    let mut tx = bench.store.write().await.unwrap();
    tx.set_desired(resource.id, Some(&image), bench.services.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for one in [&runs, &left] {
        want(&bench, one).await;
        tags.names
            .lock()
            .unwrap()
            .insert(one.tag.to_string(), one.digest.to_string());
    }
    settle_all(&bench).await;
    assert!(known(&bench, &runs).await.unwrap().is_set());
    assert_eq!(known(&bench, &left).await, None);
    assert_eq!(
        tags.names.lock().unwrap().keys().collect::<Vec<_>>(),
        [runs.tag.as_str()]
    );
    let mut asked = tags.asked();
    asked.sort();
    assert_eq!(
        asked,
        [format!("remove {}", left.tag), format!("set {} Nothing", runs.tag)]
    );
}

#[tokio::test]
async fn a_registry_that_takes_no_tags_away_is_not_asked_again_and_again() {
    let (bench, tags, resource, workspace) = keeping().await;
    tags.keeps.store(true, Ordering::Relaxed);
    let left = wanted(&resource, workspace, "c");
    want(&bench, &left).await;
    settle_all(&bench).await;
    assert_eq!(tags.asked(), [format!("remove {}", left.tag)]);
    let note = known(&bench, &left).await.unwrap().note.unwrap();
    assert!(note.contains("it deletes by digest only. It stays."), "{note}");
    bench.clock.forward(25 * 60 * 60 * 1000);
    settle_all(&bench).await;
    assert_eq!(tags.asked(), Vec::<String>::new(), "it said why");
}

#[tokio::test]
async fn two_servers_never_write_one_tag_at_a_time_and_a_newer_wish_is_not_lost() {
    let (bench, _tags, resource, workspace) = keeping().await;
    let first = wanted(&resource, workspace, "d");
    want(&bench, &first).await;
    let now = bench.services.now();
    let lease = TagLease {
        now,
        until: now.plus_millis(60_000),
    };
    let mut tx = bench.store.write().await.unwrap();
    assert!(tx.hold_tag(&first, "one", lease).await.unwrap());
    assert!(!tx.hold_tag(&first, "other", lease).await.unwrap(), "it is held");
    assert_eq!(tx.claim_tag("other", lease, now.plus_millis(1)).await.unwrap(), None);
    let held = async |tx: &mut Box<dyn Tx>| {
        let held = tx.tag_move(workspace, &first.repository, &first.tag).await.unwrap();
        held.unwrap()
    };
    let mut done = held(&mut tx).await;
    // Meanwhile something else is wanted.
    let mut newer = first.clone();
    newer.digest = digest("e").parse().unwrap();
    tx.want_tag(&newer, now).await.unwrap();
    (done.last_set, done.set_at) = (Some(first.digest.clone()), Some(now));
    done.note = Some("The image is gone.".into());
    done.next_at = now.plus_millis(1_000_000);
    assert!(!tx.settle_tag(&done, "other", now).await.unwrap(), "it is another's");
    assert!(!tx.forget_tag_move(&done, "one").await.unwrap(), "it is wanted");
    assert!(tx.settle_tag(&done, "one", now).await.unwrap());
    let after = held(&mut tx).await;
    assert_eq!(after.next_at, now, "the newer one is due");
    assert_eq!(after.wanted.digest, newer.digest);
    assert_eq!(
        (after.note.clone(), after.set_at),
        (None, None),
        "what was said of the other says nothing of it"
    );
    assert_eq!(after.last_set.as_ref(), Some(&first.digest));
    assert!(!after.is_set());
    // A lease that a wrong clock wrote holds nobody up.
    let far = TagLease {
        now,
        until: now.plus_millis(1_000_000_000),
    };
    assert!(tx.hold_tag(&first, "one", far).await.unwrap());
    assert!(tx.hold_tag(&first, "other", lease).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_fails_at_a_tag_fails_no_promotion() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    // Its disk is full, or its database is away: reading works.
    two.gate.refuse("PUT", "manifests/prod", 500, "{}");
    world.apply(&tagged(&two, &both())).await;
    let promotion = two.promotion(&first).await;
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    let mut admin = world.admin().await;
    let words = admin.get(&format!("/promotions/{}", promotion.id)).await.words();
    assert!(
        words.contains(&format!("The tag {} isn't set yet.", keeper(&first))),
        "{words}"
    );
    // When it can, it is set without anybody's doing.
    two.gate.allow_all();
    world.forward(60 * 60 * 1000).await;
    until_named(&two, &keeper(&first), &first).await;
    until_named(&two, "production", &first).await;
}

#[tokio::test]
async fn what_ran_before_waybill_and_what_promotions_are_on_their_way_to_is_kept() {
    let (bench, tags, resource, workspace) = keeping().await;
    let image = |letter: &str| ExactImage {
        repository: IMAGE.parse().unwrap(),
        tag: None,
        digest: digest(letter).parse().unwrap(),
    };
    // The promotion that is open brings `a`; `b` ran before, and no promotion brought it.
    let mut tx = bench.store.write().await.unwrap();
    let mut promotion = tx.promotions_of(resource.id, 1).await.unwrap().remove(0);
    assert_eq!(promotion.image.digest, image("a").digest);
    // And one that is over, which replaced it.
    promotion.id = PromotionId(bench.services.ids.next());
    promotion.number += 1;
    promotion.previous = Some(image("b"));
    let promotion = promotion.cancel("not wanted", bench.services.now()).unwrap();
    tx.insert_promotion(&promotion).await.unwrap();
    tx.commit().await.unwrap();
    let all: Vec<TagWanted> = ["a", "b", "c"]
        .map(|letter| wanted(&resource, workspace, letter))
        .into();
    for one in &all {
        want(&bench, one).await;
    }
    settle_all(&bench).await;
    let mut asked = tags.asked();
    asked.sort();
    let set = |wanted: &TagWanted| format!("set {} Nothing", wanted.tag);
    assert_eq!(asked, [format!("remove {}", all[2].tag), set(&all[0]), set(&all[1])]);
}
