//! An image crosses registries: it is copied by digest to where it is pulled from, proven there, and only then committed.

use crate::support::{
    signer::{Signer, sign, signed_by},
    world::{Setup, World, until},
};
use domain::{
    copy::CopyState,
    promotion::{Promotion, State, Step},
};
use serde_json::{Value, json};
use server::store::{CopyRecord, CopyWanted};
use std::{collections::BTreeSet, time::Duration};
use testbed::{Gate, Held, ImageSpec, Moment, OciRegistry, REGISTRY_PASSWORD, REGISTRY_USER, RegistryOptions};

/// A world whose production pulls from a second registry, which stands behind a gate.
pub(crate) struct Two {
    pub(crate) world: World,
    pub(crate) live: OciRegistry,
    pub(crate) gate: Gate,
}

/// How the second registry is started.
fn options(world: &World, port: Option<u16>) -> RegistryOptions {
    RegistryOptions {
        auth: true,
        port,
        ..RegistryOptions::new(world.folder().join("live-registry"))
    }
}

impl Two {
    pub(crate) async fn start(setup: Setup) -> Self {
        let world = World::with(setup).await;
        let live = OciRegistry::start(options(&world, None)).await.unwrap();
        let gate = Gate::start(&live.base_url()).await.unwrap();
        Self { world, live, gate }
    }

    /// Stops the second registry: what is started in its place lies elsewhere.
    async fn stop_live(&mut self) -> u16 {
        let port = self.live.port();
        let elsewhere = RegistryOptions::new(self.world.folder().join("elsewhere"));
        self.live = OciRegistry::start(elsewhere).await.unwrap();
        port
    }

    /// The host of the second registry, as Waybill knows it.
    pub(crate) fn host(&self) -> String {
        self.gate.url().trim_start_matches("http://").to_owned()
    }

    /// Where the image of `api` goes.
    pub(crate) fn target(&self) -> String {
        format!("{}/live/api", self.host())
    }

    /// The document, with the second registry and an environment that is copied to it.
    pub(crate) fn document(&self, may_push: bool) -> Value {
        let mut document = self.world.document();
        let user = json!({ "user": REGISTRY_USER, "password": REGISTRY_PASSWORD });
        let mut registry = json!({ "name": "live", "host": self.host(), "plainHttp": true, "pull": user });
        if may_push {
            registry["push"] = user;
        }
        document["registries"] = json!([registry]);
        let production = &mut document["projects"][0]["environments"][2];
        assert_eq!(production["name"], "production");
        production["mirror"] = json!({ "repository": format!("{}/live/{{name}}", self.host()) });
        production["resources"] = json!([{
            "name": "api",
            "source": { "promote": { "environment": "staging", "resource": "api" } },
        }]);
        document
    }

    /// The newest promotion of `api` in production, once there is one to this digest.
    pub(crate) async fn promotion(&self, digest: &str) -> Promotion {
        until("the promotion to production", async || {
            let all = self.world.promotions("production", "api").await;
            all.into_iter().find(|p| p.image.digest.as_str() == digest)
        })
        .await
    }

    /// The one copy of this digest there is.
    async fn copy(&self, promotion: &Promotion) -> Option<CopyRecord> {
        let mut tx = self.world.store.read().await.unwrap();
        let wanted = CopyWanted {
            workspace: promotion.workspace,
            source: promotion.image.repository.clone(),
            target: self.target().parse().unwrap(),
            digest: promotion.image.digest.clone(),
            attachments: domain::copy::Attachments::All,
        };
        tx.copy_of(&wanted).await.unwrap()
    }

    pub(crate) async fn is_there(&self, digest: &str) -> bool {
        self.live.digest("live/api", digest).await.unwrap().as_deref() == Some(digest)
    }

    fn values(&self) -> impl Future<Output = String> {
        self.world.values("production")
    }
}

pub(crate) async fn held(mut hold: Held, what: &str) -> Held {
    tokio::time::timeout(Duration::from_secs(30), hold.held())
        .await
        .unwrap_or_else(|_| panic!("nothing came to be held: {what}"));
    hold
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_copied_proven_and_then_committed() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let first = world.first.clone();
    assert!(!two.is_there(&first).await);
    world.apply(&two.document(true)).await;
    world.wait_for_live("production", "api", &first).await;
    let promotion = two.promotion(&first).await;
    let promotion = world.ends(&promotion.id.to_string(), State::Succeeded).await;
    assert_eq!(promotion.placed().repository.as_str(), two.target());
    assert_eq!(
        promotion.image.repository.as_str(),
        format!("{}/myapp/api", world.host),
        "where it came from stays known"
    );
    assert!(two.is_there(&first).await);
    let values = two.values().await;
    assert!(values.contains(&format!("repository: {}", two.target())), "{values}");
    assert!(values.contains(&first), "{values}");
    let copy = two.copy(&promotion).await.unwrap();
    assert_eq!(copy.state, CopyState::Proven);
    let proof = copy.proof.unwrap();
    assert!(proof.sent > 0 && proof.manifests > 0, "{proof:?}");

    // The page tells it.
    let mut admin = world.admin().await;
    let page = admin.get(&format!("/promotions/{}", promotion.id)).await;
    let words = page.words();
    for said in [
        format!("Next, Waybill copies it to {}.", two.target()),
        format!("{} holds it: ", two.target()),
    ] {
        assert!(words.contains(&said), "{said:?} is missing in: {words}");
    }

    // A newer build goes all the way by itself: a copy is the image that it is a copy of.
    let next = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &next).await;
    assert!(two.is_there(&next).await);
    world.idle().await;
    world.is_whole().await;
    // Going back commits it as it ran: in the registry that production pulls from.
    let back = format!("rollback-{first}");
    let page = admin.post("/w/demo/myapp/production/api", &[("intent", &*back)]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world.wait_for_live("production", "api", &first).await;
    let values = two.values().await;
    assert!(values.contains(&format!("repository: {}", two.target())), "{values}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_push_nothing_is_written() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let before = world.subjects().await;
    world.apply(&two.document(false)).await;
    let promotion = two.promotion(&world.first).await;
    let failed = world.ends(&promotion.id.to_string(), State::Failed).await;
    let failure = failed.failure.unwrap();
    assert_eq!(failure.step, Step::Resolve);
    for said in [two.target(), "no right to push".into(), "Settings, Registries".into()] {
        assert!(failure.reason.contains(&said), "{}", failure.reason);
    }
    assert_eq!(world.subjects().await, before);
    assert!(two.copy(&promotion).await.is_none());
    // What it would do is told as it would do it.
    let mut admin = world.admin().await;
    let words = admin.get(&format!("/promotions/{}", promotion.id)).await.words();
    for said in [
        format!("Copies the image to {}.", two.target()),
        format!("repository: {}", two.target()),
    ] {
        assert!(words.contains(&said), "{said:?} is missing in: {words}");
    }
    // With the right, trying again does it.
    world.apply(&two.document(true)).await;
    let page = admin
        .post(&format!("/promotions/{}", promotion.id), &[("intent", "retry")])
        .await;
    assert_eq!(page.status, 303, "{}", page.words());
    world.ends(&promotion.id.to_string(), State::Succeeded).await;
    assert!(two.is_there(&world.first).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_holds_no_other_commit_up_and_ends_when_nobody_waits() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let hold = two.gate.hold(Moment::Before, "PUT", "/blobs/uploads/");
    world.apply(&two.document(true)).await;
    let hold = held(hold, "a blob").await;
    let promotion = two.promotion(&world.first).await;
    let id = promotion.id.to_string();
    world.reaches(&id, State::Mirroring).await;
    // Others of the project go on meanwhile.
    let next = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &next).await;
    // The newer one takes its place; nobody waits for the older one's copy any more.
    let superseded = world.ends(&id, State::Superseded).await;
    assert_eq!(superseded.commit, None);
    until("the copy to be given up", async || {
        let copy = two.copy(&promotion).await?;
        (copy.state == CopyState::Abandoned).then_some(())
    })
    .await;
    drop(hold);
    world.wait_for_live("production", "api", &next).await;
    assert!(two.is_there(&next).await);
    assert!(!two.is_there(&world.first).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_can_cancel_while_it_is_copied() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let hold = two.gate.hold(Moment::Before, "PUT", "/blobs/uploads/");
    world.apply(&two.document(true)).await;
    let hold = held(hold, "a blob").await;
    let promotion = two.promotion(&world.first).await;
    let id = promotion.id.to_string();
    world.reaches(&id, State::Mirroring).await;
    let mut admin = world.admin().await;
    let page = until("the plan to be shown", async || {
        let page = admin.get(&format!("/promotions/{id}")).await;
        page.words().contains(" blobs, ").then_some(page)
    })
    .await;
    assert!(
        page.words().contains(&format!("→ {}", two.target())),
        "{}",
        page.words()
    );
    let answer = admin.post(&format!("/promotions/{id}"), &[("intent", "cancel")]).await;
    assert_eq!(answer.status, 303, "{}", answer.words());
    world.ends(&id, State::Cancelled).await;
    until("the copy to be given up", async || {
        let copy = two.copy(&promotion).await?;
        (copy.state == CopyState::Abandoned).then_some(())
    })
    .await;
    drop(hold);
    assert!(!two.values().await.contains(&two.target()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotions_of_one_image_to_one_repository_share_a_copy() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let hold = two.gate.hold(Moment::Before, "PUT", "/manifests/");
    let mut document = two.document(true);
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    let mut second = environments[2].clone();
    second["name"] = json!("production-eu");
    environments.push(second);
    document["projects"][0]["environments"][3]["createFile"] = json!(true);
    world.apply(&document).await;
    let hold = held(hold, "a manifest").await;
    let mut ids = Vec::new();
    for environment in ["production", "production-eu"] {
        let promotion = until("a promotion that is copied", async || {
            let newest = world.promotions(environment, "api").await.into_iter().next()?;
            (newest.state == State::Mirroring).then_some(newest)
        })
        .await;
        ids.push(promotion.id);
    }
    // Both wait for the one.
    let shared = until("both to wait for a copy", async || {
        let mut tx = world.store.read().await.unwrap();
        let mut copies = BTreeSet::new();
        for id in &ids {
            let copy = tx.copies_for(*id).await.unwrap().into_iter().next()?;
            copies.insert(copy.id);
        }
        Some(copies)
    })
    .await;
    assert_eq!(shared.len(), 1);
    drop(hold);
    for environment in ["production", "production-eu"] {
        world.wait_for_desired(environment, "api", &world.first).await;
    }
    let log = two.live.log();
    let uploads = log
        .lines()
        .filter(|line| line.contains("\"POST ") && line.contains("/live/api/blobs/uploads/"))
        .count();
    let blobs = two
        .copy(&two.promotion(&world.first).await)
        .await
        .unwrap()
        .plan
        .unwrap()
        .blobs;
    assert_eq!(uploads, usize::try_from(blobs).unwrap(), "each blob once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_wins_where_it_names_another_registry() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let mut document = two.document(true);
    let elsewhere = format!("{}/by-hand/api", two.host());
    let old = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let content = format!(
        "services:\n  api:\n    image:\n      repository: {elsewhere}\n      tag: \"0.9.0\"\n      digest: {old}\n"
    );
    world.outsider_writes("production", &content).await;
    // No mirror is set: what the file says is enough.
    document["projects"][0]["environments"][2]
        .as_object_mut()
        .unwrap()
        .remove("mirror");
    world.apply(&document).await;
    let mut admin = world.admin().await;
    // What is adopted stays; promoting is asked for.
    world.wait_for_desired("production", "api", old).await;
    let answer = world
        .promote(&world.token, "api", "staging", "production")
        .await
        .unwrap();
    let id = answer["id"].as_str().unwrap().to_owned();
    world.ends(&id, State::Succeeded).await;
    let values = two.values().await;
    assert!(values.contains(&format!("repository: {elsewhere}")), "{values}");
    assert!(values.contains(&world.first), "{values}");
    let there = two.live.digest("by-hand/api", &world.first).await.unwrap();
    assert_eq!(there.as_deref(), Some(&*world.first));
    let page = admin.get(&format!("/promotions/{id}")).await;
    assert!(
        page.words()
            .contains(&format!("Next, Waybill copies it to {elsewhere}."))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sources_that_would_land_in_one_repository_are_refused_by_name() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let registry = world.registry.as_ref().unwrap();
    registry
        .push_image("other/api", "1.0.0", &ImageSpec::new("another api"))
        .await
        .unwrap();
    let mut document = two.document(true);
    let production = &mut document["projects"][0]["environments"][2];
    production["resources"].as_array_mut().unwrap().push(json!({
        "name": "other", "source": { "image": format!("{}/other/api", world.host) },
    }));
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    let said = answer.to_string();
    for name in ["/myapp/api", "/other/api", "/live/api", "{path}"] {
        assert!(said.contains(name), "{said}");
    }
    assert!(said.contains("projects[0].environments[2].mirror"), "{said}");
    let repository = format!("{}/live/{{path}}", two.host());
    document["projects"][0]["environments"][2]["mirror"] = json!({ "repository": repository });
    world.apply(&document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_of_the_registry_begins_an_upload_where_images_are_copied_to() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    world.apply(&two.document(true)).await;
    world.wait_for_live("production", "api", &world.first).await;
    let mut admin = world.admin().await;
    let stored = [
        ("intent", "test-registry"),
        ("registry[was]", "live"),
        ("registry[stored]", "true"),
    ];
    let registries = "/w/demo/-/settings/registries";
    let page = admin.post(registries, &stored).await;
    let words = page.words();
    let said = format!(
        "Works Push to {} {REGISTRY_USER} may push. Nothing was uploaded.",
        two.target()
    );
    assert!(words.contains(&said), "{words}");
    let wrong = [
        ("intent", "test-registry"),
        ("registry[was]", "live"),
        ("registry[host]", &*two.host()),
        ("registry[plain_http]", "true"),
        ("registry[push_user]", REGISTRY_USER),
        ("secrets[push_password]", "wrong-password"),
    ];
    let page = admin.post(&format!("{registries}?edit=live"), &wrong).await;
    let words = page.words();
    assert!(
        words.contains(&format!("Fails Push to {} It refused {REGISTRY_USER}", two.target())),
        "{words}"
    );
}

/// Every request of a copy: just before, and just after it was carried out but not yet noted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_request_of_a_copy() {
    let mut two = Two::start(Setup {
        process: true,
        ..Setup::default()
    })
    .await;
    two.world.apply(&two.document(true)).await;
    two.world.wait_for_live("production", "api", &two.world.first).await;
    for (n, (moment, method, contains)) in [
        (Moment::Before, "HEAD", "/live/api/blobs/"),
        (Moment::Before, "POST", "/live/api/blobs/uploads/"),
        (Moment::After, "POST", "/live/api/blobs/uploads/"),
        (Moment::Before, "PUT", "/blobs/uploads/"),
        (Moment::After, "PUT", "/blobs/uploads/"),
        (Moment::Before, "PUT", "/live/api/manifests/"),
        (Moment::After, "PUT", "/live/api/manifests/"),
        (Moment::Before, "GET", "/live/api/manifests/"),
        (Moment::After, "GET", "/live/api/manifests/"),
    ]
    .into_iter()
    .enumerate()
    {
        println!("killed {moment:?} {method} {contains}");
        let hold = two.gate.hold(moment, method, contains);
        let digest = two.world.push(&format!("1.1.{n}")).await;
        let hold = held(hold, contains).await;
        two.world.kill();
        hold.cut();
        two.world.restart().await;
        two.world.wait_for_live("production", "api", &digest).await;
        two.world.idle().await;
        assert!(two.is_there(&digest).await);
        let promotion = two.promotion(&digest).await;
        assert_eq!(promotion.state, State::Succeeded);
        assert_eq!(two.copy(&promotion).await.unwrap().state, CopyState::Proven);
        let ours = two.world.repository.commits("main").await.unwrap();
        let ours = ours
            .iter()
            .filter(|commit| commit.body.contains(&format!("Waybill-Promotion: {}", promotion.id)));
        assert_eq!(ours.count(), 1, "one commit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_is_waited_for_with_longer_pauses() {
    let mut two = Two::start(Setup::default()).await;
    let port = two.stop_live().await;
    let world = &two.world;
    world.apply(&two.document(true)).await;
    let promotion = two.promotion(&world.first).await;
    let id = promotion.id.to_string();
    let waits = until("a second try", async || {
        let copy = two.copy(&promotion).await?;
        (copy.tries >= 2).then_some(copy)
    })
    .await;
    assert_eq!((waits.state, waits.ended_at), (CopyState::Running, None));
    assert!(waits.failure.unwrap().contains("answered 502"), "the gate says so");
    let now = world.promotion(&id).await;
    assert_eq!(now.state, State::Mirroring);
    assert!(now.waits_for.unwrap().contains(&two.host()));
    two.live = OciRegistry::start(options(&two.world, Some(port))).await.unwrap();
    let world = &two.world;
    world.ends(&id, State::Succeeded).await;
    assert!(two.is_there(&world.first).await);
    assert_eq!(two.copy(&promotion).await.unwrap().tries, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opened_a_gate_must_arrive_with_the_image() {
    let release = Signer::new();
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    sign(world, &world.first, &[&release]).await;
    let mut document = two.document(true);
    let production = |document: &mut Value, attachments: &str| {
        let production = &mut document["projects"][0]["environments"][2];
        production["policy"] = signed_by(&[("release", &release)]);
        production["mirror"]["attachments"] = json!(attachments);
    };
    production(&mut document, "none");
    world.apply(&document).await;
    let promotion = two.promotion(&world.first).await;
    let id = promotion.id.to_string();
    let failed = world.ends(&id, State::Failed).await.failure.unwrap();
    assert_eq!(failed.step, Step::Mirror);
    assert!(
        failed.reason.contains("not what opened the gate signature release"),
        "{}",
        failed.reason
    );
    assert!(!two.values().await.contains(&two.target()));
    production(&mut document, "all");
    world.apply(&document).await;
    let mut admin = world.admin().await;
    let page = admin.post(&format!("/promotions/{id}"), &[("intent", "retry")]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world.ends(&id, State::Succeeded).await;
    let signature = format!("{}.sig", world.first.replace(':', "-"));
    assert!(two.live.digest("live/api", &signature).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_from_before_the_mirror_commits_it_as_it_ran() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let mut document = two.document(true);
    let mirror = document["projects"][0]["environments"][2]
        .as_object_mut()
        .unwrap()
        .remove("mirror")
        .unwrap();
    world.apply(&document).await;
    world.wait_for_live("production", "api", &world.first).await;
    document["projects"][0]["environments"][2]["mirror"] = mirror;
    world.apply(&document).await;
    let next = world.push("1.1.0").await;
    world.wait_for_live("production", "api", &next).await;
    assert!(two.is_there(&next).await);
    world.idle().await;
    let mut admin = world.admin().await;
    let page = admin.get("/w/demo/myapp/production/api").await;
    assert!(!page.words().contains("Waybill copies the image"), "{}", page.words());
    let back = format!("rollback-{}", world.first);
    let page = admin.post("/w/demo/myapp/production/api", &[("intent", &*back)]).await;
    assert_eq!(page.status, 303, "{}", page.words());
    world.wait_for_live("production", "api", &world.first).await;
    let values = two.values().await;
    assert!(
        values.contains(&format!("repository: {}/myapp/api", world.host)),
        "{values}"
    );
    assert!(!two.is_there(&world.first).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_password_stays_with_its_host() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let mut document = two.document(true);
    document["registries"][0]["name"] = json!("local");
    document["clusters"][0]["registry"] = json!("local");
    world.apply(&document).await;
    // Written with its cluster, the document says nothing of who pushes.
    document["registries"] = json!([]);
    document["clusters"][0]["registry"] = json!({ "host": "other.example.com" });
    let (status, answer) = world.try_apply(&document).await;
    assert_eq!(status, 422, "{answer}");
    let said = answer.to_string();
    assert!(
        said.contains("clusters[0].registry.host") && said.contains("nowhere else"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_from_the_second_registry_already_is_adopted_as_it_is() {
    let two = Two::start(Setup::default()).await;
    let world = &two.world;
    let content = format!(
        "services:\n  api:\n    image:\n      repository: {}\n      tag: \"1.0.0\"\n      digest: {}\n",
        two.target(),
        world.first
    );
    world.outsider_writes("production", &content).await;
    let next = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &next).await;
    world.apply(&two.document(true)).await;
    world.wait_for_desired("production", "api", &world.first).await;
    world.idle().await;
    assert!(world.promotions("production", "api").await.is_empty());
    // What is published after that arrives.
    let newest = world.push("1.2.0").await;
    world.wait_for_live("production", "api", &newest).await;
    assert!(two.is_there(&newest).await);
}
