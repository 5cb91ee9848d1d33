//! One story over [`Store`], on both databases: everything that a transaction offers, in the order in which a life with Waybill uses it.

mod ledger;
mod people;
mod promotions;

use crate::support::{BEGIN, database::Database, digest};
use domain::{
    artifact::{ArtifactDetails, Digest, ExactImage, Repository},
    copy::{Attachments, Mirror},
    environment::{ArgoCdSettings, Cluster, Environment, Project, Registry, Workspace},
    follow::Age,
    id::{ClusterId, EnvironmentId, ProjectId, RegistryId, ResourceId, WorkspaceId},
    plan::Health,
    policy::{Policy, RequiredCheck},
    resource::{Binding, Kind, Live, Resource, Runtime, Size, Source},
    tag_rule::{TagOrder, TagRule},
    time::Timestamp,
};
use server::store::{ClusterRecord, Found, KnownTag, ProjectRecord, RegistryRecord, Store, StoreError, Tx};
use std::time::Duration;
use uuid::Uuid;

const OWNER: &str = "one";
const OTHER: &str = "two";

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(millis: i64) -> Timestamp {
    BEGIN.plus_millis(millis)
}

fn repository() -> Repository {
    "r.example/myapp/api".parse().unwrap()
}

fn image(tag: Option<&str>, letter: &str) -> ExactImage {
    ExactImage {
        repository: repository(),
        tag: tag.map(|tag| tag.parse().unwrap()),
        digest: digest(letter).parse().unwrap(),
    }
}

/// What was written is only there once it is committed.
async fn committed(mut tx: Box<dyn Tx>, store: &dyn Store) -> Box<dyn Tx> {
    tx.newest_event().await.unwrap();
    tx.commit().await.unwrap();
    store.write().await.unwrap()
}

/// After an error of the database a transaction is good for nothing: what must fail gets one of its own.
async fn fails<T: std::fmt::Debug>(
    store: &dyn Store,
    why: &str,
    change: impl AsyncFnOnce(&mut dyn Tx) -> Result<T, StoreError>,
) -> StoreError {
    let mut tx = store.write().await.unwrap();
    let outcome = change(&mut *tx).await;
    outcome.expect_err(why)
}

#[tokio::test]
async fn a_life_with_waybill_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    story(&*Database::sqlite(directory.path()).open().await).await;
}

#[tokio::test]
async fn a_life_with_waybill_on_postgresql() {
    let database = Database::postgres();
    story(&*database.open().await).await;
}

async fn story(store: &dyn Store) {
    store.ping().await.unwrap();
    let (demo, acme) = people::people(store).await;
    let places = configuration(store, &demo, &acme).await;
    people::rights(store, &demo, &acme, &places).await;
    people::sessions_and_invitations(store, &demo).await;
    let resources = resources(store, &demo, &places).await;
    artifacts(store, &demo, &acme).await;
    promotions::promotions(store, &demo, &places, &resources).await;
    ledger::ledger(store, &demo, &places).await;
}

struct Places {
    project: ProjectId,
    development: EnvironmentId,
    staging: EnvironmentId,
}

async fn configuration(store: &dyn Store, demo: &Workspace, acme: &Workspace) -> Places {
    let mut tx = store.write().await.unwrap();
    let mut registry = RegistryRecord {
        registry: Registry {
            id: RegistryId(id(32)),
            workspace: demo.id,
            name: "local".parse().unwrap(),
            host: "r.example".into(),
            plain_http: true,
        },
        ca: Some("pem".into()),
        pull_user: Some("pull".into()),
        pull_password: Some("sealed too".into()),
        push_user: None,
        push_password: None,
    };
    tx.put_registry(&registry).await.unwrap();
    registry.registry.plain_http = false;
    registry.ca = None;
    registry.push_user = Some("push".into());
    registry.push_password = Some("sealed as well".into());
    tx.put_registry(&registry).await.unwrap();
    assert_eq!(tx.registries(demo.id).await.unwrap(), std::slice::from_ref(&registry));
    assert_eq!(tx.registries(acme.id).await.unwrap(), []);
    let mut cluster = ClusterRecord {
        cluster: Cluster {
            id: ClusterId(id(31)),
            workspace: demo.id,
            name: "local".parse().unwrap(),
            argocd: Some(ArgoCdSettings {
                may_end_sync: true,
                url: "https://argocd.example.com".into(),
                application_template: "{project}-{environment}".into(),
                project: Some("default".into()),
                namespace: None,
            }),
            registry: Some(registry.registry.id),
            mirror: Some(Mirror {
                repository: "r.example/live/{name}".into(),
                attachments: Attachments::Signatures,
            }),
            platforms: vec!["linux/amd64".into()],
        },
        argocd_token: Some("sealed".into()),
        argocd_ca: None,
    };
    tx.put_cluster(&cluster).await.unwrap();
    cluster.cluster.argocd = None;
    cluster.argocd_token = None;
    tx.put_cluster(&cluster).await.unwrap();
    assert_eq!(tx.clusters(demo.id).await.unwrap(), std::slice::from_ref(&cluster));
    assert_eq!(tx.clusters(acme.id).await.unwrap(), []);

    let mut project = ProjectRecord {
        project: Project {
            id: ProjectId(id(41)),
            workspace: demo.id,
            name: "myapp".parse().unwrap(),
            repository_url: "https://git.example.com/deploy.git".into(),
            branch: "main".into(),
            path_template: "environments/{environment}/values.yaml".into(),
            values_prefix: String::new(),
            commit_subject: None,
            author_address: None,
        },
        credentials: Some("sealed".into()),
        tip: None,
        problem: None,
    };
    let project_id = project.project.id;
    tx.put_project(&project).await.unwrap();
    tx.set_tip(project_id, Some("abc"), None).await.unwrap();
    tx.set_tip(project_id, None, Some("It is down.")).await.unwrap();
    let read = tx.project(project_id).await.unwrap().unwrap();
    assert_eq!(
        (read.tip.as_deref(), read.problem.as_deref()),
        (Some("abc"), Some("It is down."))
    );
    project.project.branch = "release".into();
    tx.put_project(&project).await.unwrap();
    let read = tx.project(project_id).await.unwrap().unwrap();
    assert_eq!(
        (read.tip, read.problem.as_deref()),
        (None, Some("It is down.")),
        "it is read again"
    );
    assert_eq!(read.project, project.project);
    assert_eq!(tx.projects(demo.id).await.unwrap().len(), 1);
    assert_eq!(tx.projects(acme.id).await.unwrap(), []);
    assert_eq!(tx.project(ProjectId(id(49))).await.unwrap(), None);

    let environment = |n, name: &str, position| Environment {
        id: EnvironmentId(id(n)),
        project: project_id,
        cluster: cluster.cluster.id,
        name: name.parse().unwrap(),
        key: format!("{name}.Key").parse().unwrap(),
        position,
        protected: false,
        policy: Policy::default(),
        mirror: None,
        tags: Default::default(),
    };
    let mut staging = environment(52, "staging", 1);
    let development = environment(51, "development", 2);
    tx.put_environment(&staging).await.unwrap();
    tx.put_environment(&development).await.unwrap();
    staging.position = 3;
    staging.protected = true;
    staging.key = "shop.test".parse().unwrap();
    staging.policy.checks = vec![RequiredCheck {
        name: "integration".into(),
        max_age_hours: None,
    }];
    tx.put_environment(&staging).await.unwrap();
    let mut tx = committed(tx, store).await;
    assert_eq!(
        tx.environments(project_id).await.unwrap(),
        [development.clone(), staging.clone()]
    );
    let twin = Environment {
        key: staging.key.clone(),
        ..environment(53, "qa", 4)
    };
    drop(tx);
    let twice = fails(store, "keys are unique", async |tx| tx.put_environment(&twin).await);
    assert!(matches!(twice.await, StoreError::Exists));
    let homeless = Environment {
        cluster: ClusterId(id(39)),
        ..environment(53, "qa", 4)
    };
    fails(store, "an environment runs on a cluster", async |tx| {
        tx.put_environment(&homeless).await
    })
    .await;
    Places {
        project: project_id,
        development: development.id,
        staging: staging.id,
    }
}

fn resource(n: u128, environment: EnvironmentId, source: Source) -> Resource {
    Resource {
        id: ResourceId(id(n)),
        environment,
        name: "api".parse().unwrap(),
        key: "apiGateway".parse().unwrap(),
        kind: Kind::Deployment,
        source,
        binding: Binding::TrackLatest,
        hold: None,
        runtime: Runtime::default(),
        desired: None,
        desired_at: None,
        outside: None,
        unclear: None,
        live: None,
        created_at: at(0),
    }
}

async fn resources(store: &dyn Store, demo: &Workspace, places: &Places) -> (Resource, Resource) {
    let mut tx = store.write().await.unwrap();
    let repository = repository();
    let source = Source::Image {
        repository: repository.clone(),
        tags: TagRule {
            order: TagOrder::SemVer { range: None },
            leave_out: vec!["*-rc".into()],
        },
    };
    let mut api = resource(61, places.development, source.clone());
    let follower = resource(62, places.staging, Source::Promote { from: api.id });
    tx.insert_resource(&api).await.unwrap();
    tx.insert_resource(&follower).await.unwrap();
    tx.commit().await.unwrap();
    let twin = resource(63, places.development, source.clone());
    let twice = fails(store, "names are unique", async |tx| tx.insert_resource(&twin).await);
    assert!(matches!(twice.await, StoreError::Exists));
    let twin = Resource {
        name: "web".parse().unwrap(),
        ..resource(63, places.development, source.clone())
    };
    let twice = fails(store, "keys are unique", async |tx| tx.insert_resource(&twin).await);
    assert!(matches!(twice.await, StoreError::Exists));
    let orphan = Source::Promote {
        from: ResourceId(id(69)),
    };
    let orphan = Resource {
        name: "orphan".parse().unwrap(),
        key: "orphan".parse().unwrap(),
        ..resource(64, places.staging, orphan)
    };
    fails(store, "a source is a resource", async |tx| {
        tx.insert_resource(&orphan).await
    })
    .await;

    let mut tx = store.write().await.unwrap();
    api.key = "billing.v2".parse().unwrap();
    api.binding = Binding::Pin(digest("a").parse().unwrap());
    api.runtime = Runtime {
        replicas: Some(0),
        ports: vec![80, 443],
        env: vec![("B".into(), "=\n\"".into()), ("A".into(), String::new())],
        ingress_host: Some("api.example.com".into()),
        size: Some(Size::Large),
        health_path: Some("/healthz".into()),
    };
    tx.update_resource(&api).await.unwrap();
    api.desired = Some(image(Some("one"), "a"));
    api.desired_at = Some(at(5));
    tx.set_desired(api.id, api.desired.as_ref(), at(5)).await.unwrap();
    api.live = Some(Live {
        digests: vec![digest("a").parse().unwrap()],
        health: Health::Degraded,
        at: at(6),
        unknown: None,
    });
    tx.set_live(api.id, api.live.as_ref()).await.unwrap();
    let mut tx = committed(tx, store).await;
    assert_eq!(tx.resource(api.id).await.unwrap().as_ref(), Some(&api));
    assert_eq!(
        tx.resource_by_name(places.staging, "api").await.unwrap().as_ref(),
        Some(&follower)
    );
    assert_eq!(tx.resource_by_name(places.staging, "web").await.unwrap(), None);
    assert_eq!(tx.resources(places.project).await.unwrap().len(), 2);
    assert_eq!(tx.followers(api.id).await.unwrap(), std::slice::from_ref(&follower));
    assert_eq!(tx.followers(follower.id).await.unwrap(), []);
    let rule = api.source.tags().unwrap();
    assert_eq!(
        tx.followers_in_order(api.id).await.unwrap(),
        [(follower.clone(), rule.clone())]
    );
    assert_eq!(tx.order_of(follower.id).await.unwrap(), *rule);
    assert_eq!(
        tx.resources_of_image(demo.id, &repository).await.unwrap(),
        [(api.clone(), vec!["linux/amd64".to_owned()])]
    );
    assert_eq!(tx.image_repositories().await.unwrap(), [(demo.id, repository)]);
    tx.set_live(api.id, None).await.unwrap();
    tx.set_desired(api.id, None, at(7)).await.unwrap();
    let read = tx.resource(api.id).await.unwrap().unwrap();
    assert_eq!((read.live, read.desired), (None, None));
    drop(tx);
    (api, follower)
}

async fn artifacts(store: &dyn Store, demo: &Workspace, acme: &Workspace) {
    let mut tx = store.write().await.unwrap();
    let repository = repository();
    for (tag, letter, new) in [
        (Some("one"), "a", true),
        (Some("two"), "b", true),
        (Some("one"), "a", false),
        (Some("latest"), "b", false),
        (None, "c", true),
    ] {
        let seen = tx.see_artifact(demo.id, &image(tag, letter), at(1)).await.unwrap();
        assert_eq!(seen, new, "{tag:?} {letter}");
    }
    assert!(
        tx.see_artifact(acme.id, &image(None, "a"), at(1)).await.unwrap(),
        "each workspace sees for itself"
    );
    let recent = tx.recent_artifacts(demo.id, &repository, 2).await.unwrap();
    let images: Vec<&ExactImage> = recent.iter().map(|artifact| &artifact.image).collect();
    assert_eq!(
        images,
        [&image(None, "c"), &image(Some("two"), "b")],
        "latest names nothing, and what came later is newer while nothing is known"
    );
    let [a, b, c] = ["a", "b", "c"].map(|letter| digest(letter).parse::<Digest>().unwrap());
    assert_eq!(tx.count_newer(demo.id, &repository, &b, &c).await.unwrap(), 1);
    assert_eq!(tx.count_newer(demo.id, &repository, &a, &c).await.unwrap(), 2);
    assert_eq!(
        tx.count_newer(demo.id, &repository, &c, &a).await.unwrap(),
        0,
        "an older one is not ahead"
    );
    let details = ArtifactDetails {
        created_at: Some(at(-5)),
        size_bytes: 123,
        platforms: vec!["linux/amd64".into()],
        labels: [("git.commit".into(), "abc".into())].into(),
    };
    tx.set_details(demo.id, &image(Some("one"), "a"), &details, at(50))
        .await
        .unwrap();
    let read = tx.artifact(demo.id, &repository, &a).await.unwrap().unwrap();
    assert_eq!(read.details.as_ref(), Some(&details));
    let newest = tx.recent_artifacts(demo.id, &repository, 1).await.unwrap();
    assert_eq!(
        newest[0].image.digest, a,
        "what was built later is newer, whenever it was heard of"
    );
    assert_eq!(tx.count_newer(demo.id, &repository, &c, &a).await.unwrap(), 1);
    let foreign = tx.artifact(acme.id, &repository, &a).await.unwrap().unwrap();
    assert_eq!(foreign.details, None);
    known_tags(&mut *tx, demo, acme).await;
    tx.commit().await.unwrap();
}

async fn known_tags(tx: &mut dyn Tx, demo: &Workspace, acme: &Workspace) {
    let repository = repository();
    let [a, b] = ["a", "b"].map(|letter| digest(letter).parse::<Digest>().unwrap());
    let tag = |name: &str, digest: Option<&Digest>, found, why: Option<&str>| KnownTag {
        tag: name.parse().unwrap(),
        digest: digest.cloned(),
        found,
        why: why.map(Into::into),
    };
    let all = [
        tag("1.0", Some(&a), Found::Image, None),
        tag("latest", Some(&a), Found::Image, None),
        tag("odd", None, Found::Odd, Some("It can't be read.")),
    ];
    for known in &all {
        tx.put_tag(demo.id, &repository, known).await.unwrap();
    }
    assert_eq!(tx.tags_of_repository(demo.id, &repository).await.unwrap(), all);
    assert_eq!(tx.tags_of_repository(acme.id, &repository).await.unwrap(), []);
    let names = async |tx: &mut dyn Tx, digest: &Digest| {
        let tags = tx.tags_of_image(demo.id, &repository, digest).await.unwrap();
        tags.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut *tx, &a).await, ["1.0", "latest"]);
    let moved = tag("latest", Some(&b), Found::Image, None);
    tx.put_tag(demo.id, &repository, &moved).await.unwrap();
    let known = tx.known_tag(demo.id, &repository, &moved.tag).await.unwrap();
    assert_eq!(known, Some(moved));
    assert_eq!(names(&mut *tx, &a).await, ["1.0"]);
    let unread = tx.unread_tags(demo.id).await.unwrap();
    assert_eq!(unread, [(repository.clone(), all[2].clone())]);
    tx.forget_tag(demo.id, &repository, &all[2].tag).await.unwrap();
    assert_eq!(tx.unread_tags(demo.id).await.unwrap(), []);
    tx.show_tag(demo.id, &repository, &a, Some(&all[0].tag)).await.unwrap();
    let shown = tx.artifact(demo.id, &repository, &a).await.unwrap().unwrap();
    assert_eq!(shown.image.tag, Some(all[0].tag.clone()));
    let age = tx.artifact_age(demo.id, &repository, &a).await.unwrap().unwrap();
    assert_eq!(age.rank, Some(at(50)));
    let older = Age {
        rank: Some(at(1_000)),
        arrived: 0,
    };
    let backdated = tx.backdated(demo.id, &repository, older, 0, 9).await.unwrap();
    assert_eq!(backdated.len(), 1, "nothing is known of the others");
    let none = tx.backdated(demo.id, &repository, older, age.arrived, 9).await.unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn writers_take_turns_and_readers_do_not_wait() {
    let directory = tempfile::tempdir().unwrap();
    for database in [Database::sqlite(directory.path()), Database::postgres()] {
        let store = database.open().await;
        let mut tx = store.write().await.unwrap();
        let demo = Workspace {
            id: WorkspaceId(id(1)),
            name: "demo".parse().unwrap(),
        };
        tx.insert_workspace(&demo, at(0)).await.unwrap();
        assert_eq!(store.read().await.unwrap().workspaces().await.unwrap(), []);
        // One of the same server, and on PostgreSQL one of another.
        let other = match &database {
            Database::Sqlite(_) => store.clone(),
            Database::Postgres(_) => database.open().await,
        };
        let second = tokio::spawn(async move { other.write().await.unwrap().workspaces().await.unwrap() });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        tx.commit().await.unwrap();
        assert_eq!(second.await.unwrap(), [demo]);
    }
}
