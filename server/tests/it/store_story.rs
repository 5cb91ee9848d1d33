//! One story over [`Store`], on both databases: everything that a transaction offers, in the order in which a life with Waybill uses it.

use crate::support::{BEGIN, database::Database, digest};
use domain::{
    artifact::{ArtifactDetails, Digest, ExactImage, Repository},
    door::{Door, Entrance},
    environment::{ArgoCdSettings, Cluster, Environment, Group, Project, Workspace},
    event::{Event, Happened, Subject},
    id::{
        ClusterId, EnvironmentId, GroupId, InvitationId, ProjectId, PromotionId, ResourceId, TokenId, UserId,
        WorkspaceId,
    },
    plan::Health,
    policy::{Policy, RequiredCheck},
    promotion::{Actor, Origin, Promotion, Purpose, State},
    resource::{Binding, Kind, Live, Resource, Runtime, Size, Source},
    rights::Role,
    time::Timestamp,
    told::EventKind,
};
use server::store::{
    ApiToken, ClusterRecord, Lane, NewEvent, ProjectRecord, Store, StoreError, Tx, User,
    activity::{Along, Place, Search},
    chain::{BEGINNING, Head},
    people::{Invitation, SessionRecord},
};
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
    let (demo, acme) = people(store).await;
    let places = configuration(store, &demo, &acme).await;
    rights(store, &demo, &acme, &places).await;
    sessions_and_invitations(store, &demo).await;
    let resources = resources(store, &demo, &places).await;
    artifacts(store, &demo, &acme).await;
    promotions(store, &demo, &places, &resources).await;
    ledger(store, &demo, &places).await;
}

async fn people(store: &dyn Store) -> (Workspace, Workspace) {
    let workspace = |n, name: &str| Workspace {
        id: WorkspaceId(id(n)),
        name: name.parse().unwrap(),
    };
    let (demo, acme) = (workspace(1, "demo"), workspace(2, "acme"));
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.count_users().await.unwrap(), 0);
    assert_eq!(tx.first_user().await.unwrap(), None);
    tx.insert_workspace(&demo, at(0)).await.unwrap();
    drop(tx);
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.workspaces().await.unwrap(), [], "what isn't committed is taken back");
    for workspace in [&demo, &acme] {
        tx.insert_workspace(workspace, at(0)).await.unwrap();
    }
    let mut tx = committed(tx, store).await;
    assert_eq!(tx.workspaces().await.unwrap(), [acme.clone(), demo.clone()], "by name");
    assert_eq!(tx.workspace_by_name("demo").await.unwrap().as_ref(), Some(&demo));
    assert_eq!(tx.workspace_by_name("Demo").await.unwrap(), None);

    let user = |n, email: &str| User {
        id: UserId(id(n)),
        email: email.into(),
        name: email.into(),
        password_hash: "$argon2id$".into(),
        active: true,
        created_at: at(i64::try_from(n).unwrap()),
    };
    let (ada, bob) = (user(11, "ada@example.com"), user(12, "bob@example.com"));
    tx.insert_user(&bob).await.unwrap();
    tx.insert_user(&ada).await.unwrap();
    assert_eq!(tx.count_users().await.unwrap(), 2);
    assert_eq!(tx.first_user().await.unwrap().as_ref(), Some(&ada));
    assert_eq!(tx.user(bob.id).await.unwrap().as_ref(), Some(&bob));
    assert_eq!(tx.user_by_email("bob@example.com").await.unwrap(), Some(bob));
    tx.set_membership(demo.id, ada.id, Role::Viewer).await.unwrap();
    tx.set_membership(demo.id, ada.id, Role::Admin).await.unwrap();
    tx.set_membership(acme.id, ada.id, Role::Developer).await.unwrap();
    let mine = tx.memberships(ada.id).await.unwrap();
    assert_eq!(mine, [(acme.clone(), Role::Developer), (demo.clone(), Role::Admin)]);

    let token = |n, workspace: WorkspaceId, name: &str, hash: &str| ApiToken {
        id: TokenId(id(n)),
        workspace,
        name: name.into(),
        role: Role::Developer,
        hash: hash.into(),
        created_at: at(0),
        expires_at: Some(at(100)),
        last_used_at: None,
        revoked_at: None,
        project: None,
        environment: None,
        made_by: None,
    };
    let ci = token(21, demo.id, "ci", "aa");
    tx.insert_token(&ci).await.unwrap();
    tx.insert_token(&token(23, acme.id, "ci", "cc")).await.unwrap();
    assert_eq!(
        tx.token_by_hash("aa").await.unwrap(),
        Some((ci, demo.clone())),
        "also when it ended"
    );
    assert_eq!(tx.token_by_hash("bb").await.unwrap(), None);

    tx.commit().await.unwrap();

    let demo_again = workspace(3, "demo");
    let taken = fails(store, "names are unique", async |tx| {
        tx.insert_workspace(&demo_again, at(0)).await
    });
    assert!(matches!(taken.await, StoreError::Exists));
    let ada_again = user(13, "ada@example.com");
    let taken = fails(store, "addresses are unique", async |tx| {
        tx.insert_user(&ada_again).await
    });
    assert!(matches!(taken.await, StoreError::Exists));
    let ci_again = token(22, demo.id, "ci", "bb");
    let taken = fails(store, "names are unique", async |tx| tx.insert_token(&ci_again).await);
    assert!(matches!(taken.await, StoreError::Exists));
    fails(store, "a member is an account", async |tx| {
        tx.set_membership(demo.id, UserId(id(99)), Role::Admin).await
    })
    .await;
    // What nobody could mean, asked for all the same.
    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.user_by_email("ada@example.com\0").await.unwrap(), None);
    assert_eq!(tx.workspace_by_name("de\0mo").await.unwrap(), None);
    (demo, acme)
}

struct Places {
    project: ProjectId,
    development: EnvironmentId,
    staging: EnvironmentId,
}

async fn configuration(store: &dyn Store, demo: &Workspace, acme: &Workspace) -> Places {
    let mut tx = store.write().await.unwrap();
    let mut cluster = ClusterRecord {
        cluster: Cluster {
            id: ClusterId(id(31)),
            workspace: demo.id,
            name: "local".parse().unwrap(),
            argocd: Some(ArgoCdSettings {
                url: "https://argocd.example.com".into(),
                application_template: "{project}-{environment}".into(),
                project: Some("default".into()),
                namespace: None,
            }),
            registry: "r.example".into(),
            registry_plain_http: true,
        },
        argocd_token: Some("sealed".into()),
        argocd_ca: None,
        registry_user: Some("pull".into()),
        registry_password: Some("sealed too".into()),
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
        position,
        protected: false,
        policy: Policy::default(),
    };
    let mut staging = environment(52, "staging", 1);
    let development = environment(51, "development", 2);
    tx.put_environment(&staging).await.unwrap();
    tx.put_environment(&development).await.unwrap();
    staging.position = 3;
    staging.protected = true;
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
    let homeless = Environment {
        cluster: ClusterId(id(39)),
        ..environment(53, "qa", 4)
    };
    drop(tx);
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

async fn rights(store: &dyn Store, demo: &Workspace, acme: &Workspace, places: &Places) {
    let (ada, bob) = (UserId(id(11)), UserId(id(12)));
    let group = |n, workspace: &Workspace, name: &str| Group {
        id: GroupId(id(n)),
        workspace: workspace.id,
        name: name.parse().unwrap(),
    };
    let (release, ops) = (group(51, demo, "release"), group(52, demo, "ops"));
    let elsewhere = group(53, acme, "release");
    let mut tx = store.write().await.unwrap();
    tx.set_membership(demo.id, bob, Role::Viewer).await.unwrap();
    for group in [&release, &ops, &elsewhere] {
        tx.insert_group(group, at(1)).await.unwrap();
    }
    assert_eq!(
        tx.groups(demo.id).await.unwrap(),
        [ops.clone(), release.clone()],
        "by name"
    );
    for (group, user) in [(&release, ada), (&release, bob), (&ops, bob), (&elsewhere, bob)] {
        assert!(tx.join_group(group.id, user).await.unwrap());
    }
    assert!(!tx.join_group(ops.id, bob).await.unwrap(), "once is enough");
    let of_bob = [
        (demo.id, ops.name.clone()),
        (demo.id, release.name.clone()),
        (acme.id, elsewhere.name.clone()),
    ];
    assert_eq!(tx.groups_of(bob).await.unwrap(), of_bob);
    let in_demo = [(release.id, ada), (release.id, bob), (ops.id, bob)];
    assert_eq!(tx.group_members(demo.id).await.unwrap(), in_demo);
    assert!(tx.leave_group(release.id, ada).await.unwrap());
    assert!(!tx.leave_group(release.id, ada).await.unwrap());

    tx.set_project_role(places.project, bob, Some(Role::Admin))
        .await
        .unwrap();
    tx.set_project_role(places.project, bob, None).await.unwrap();
    tx.set_project_role(places.project, ada, Some(Role::Viewer))
        .await
        .unwrap();
    assert_eq!(tx.project_roles_of(bob).await.unwrap(), [(places.project, None)]);
    let roles = [(ada, Some(Role::Viewer)), (bob, None)];
    assert_eq!(tx.project_roles(places.project).await.unwrap(), roles);
    tx.clear_project_role(places.project, ada).await.unwrap();
    tx.restrict(places.staging, &[release.id]).await.unwrap();
    tx.restrict(places.staging, &[release.id, ops.id]).await.unwrap();
    let restricted = [
        (places.staging, ops.name.clone()),
        (places.staging, release.name.clone()),
    ];
    assert_eq!(tx.restrictions(places.project).await.unwrap(), restricted);
    tx.restrict(places.staging, &[]).await.unwrap();
    assert_eq!(tx.restrictions(places.project).await.unwrap(), []);

    let token = |n, workspace: &Workspace, made_by| ApiToken {
        id: TokenId(id(n)),
        workspace: workspace.id,
        name: format!("t{n}"),
        role: Role::Developer,
        hash: format!("h{n}"),
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        project: Some(places.project),
        environment: Some(places.staging),
        made_by,
    };
    let tokens = [
        token(61, demo, Some(bob)),
        token(62, acme, Some(bob)),
        token(63, demo, None),
    ];
    for token in &tokens {
        tx.insert_token(token).await.unwrap();
    }
    let stored = tx.token_by_hash("h61").await.unwrap();
    assert_eq!(stored, Some((tokens[0].clone(), demo.clone())));
    tx.token_used(tokens[0].id, at(7)).await.unwrap();
    let (used, _) = tx.token_by_hash("h61").await.unwrap().unwrap();
    assert_eq!(used.last_used_at, Some(at(7)));
    tx.revoke_tokens_of(bob, Some(demo.id), at(8)).await.unwrap();
    let names = async |tx: &mut dyn Tx, workspace: &Workspace| -> Vec<String> {
        let tokens = tx.tokens(workspace.id).await.unwrap();
        tokens.into_iter().map(|token| token.name).collect()
    };
    assert_eq!(names(&mut *tx, demo).await, ["ci", "t63"], "one of nobody's stays");
    assert_eq!(names(&mut *tx, acme).await, ["ci", "t62"]);
    tx.revoke_tokens_of(bob, None, at(9)).await.unwrap();
    assert_eq!(names(&mut *tx, acme).await, ["ci"]);
    assert!(tx.revoke_token(tokens[2].id, at(9)).await.unwrap());
    assert!(!tx.revoke_token(tokens[2].id, at(10)).await.unwrap(), "it was already");

    tx.set_active(bob, false).await.unwrap();
    tx.set_password(bob, "$argon2id$new").await.unwrap();
    let members = tx.members(demo.id).await.unwrap();
    let who: Vec<_> = members
        .iter()
        .map(|m| (&*m.user.email, m.role, m.user.active))
        .collect();
    let both = [
        ("ada@example.com", Role::Admin, true),
        ("bob@example.com", Role::Viewer, false),
    ];
    assert_eq!(who, both, "by address");
    assert_eq!(members[1].user.password_hash, "$argon2id$new");
    tx.remove_member(demo.id, bob).await.unwrap();
    assert_eq!(tx.members(demo.id).await.unwrap().len(), 1);
    assert_eq!(
        tx.groups_of(bob).await.unwrap(),
        [(acme.id, elsewhere.name)],
        "elsewhere they stay"
    );
    assert_eq!(tx.project_roles_of(bob).await.unwrap(), []);
    tx.set_active(bob, true).await.unwrap();
    tx.commit().await.unwrap();
    let again = group(54, demo, "ops");
    let taken = fails(store, "names are unique", async |tx| {
        tx.insert_group(&again, at(2)).await
    });
    assert!(matches!(taken.await, StoreError::Exists));
}

async fn sessions_and_invitations(store: &dyn Store, demo: &Workspace) {
    let (ada, bob) = (UserId(id(11)), UserId(id(12)));
    let session = |name: &str, user, seen, expires| SessionRecord {
        id: name.into(),
        user,
        user_agent: Some("Firefox\0".into()),
        address: Some("192.0.2.1".into()),
        created_at: Some(at(1)),
        seen_at: Some(at(seen)),
        expires_at: at(expires),
    };
    let mut tx = store.write().await.unwrap();
    for (name, user, seen) in [("s1", Some(ada), 2), ("s2", Some(ada), 3), ("s3", Some(bob), 2)] {
        tx.insert_session(&session(name, user, seen, 20), "{}").await.unwrap();
    }
    tx.insert_session(&session("s4", None, 1, 5), "{}").await.unwrap();
    tx.save_session("s1", "{\"a\":1}", at(30)).await.unwrap();
    let (found, data) = tx.session("s1", at(29)).await.unwrap().unwrap();
    assert_eq!((found.user, found.expires_at, &*data), (Some(ada), at(30), "{\"a\":1}"));
    assert_eq!(found.user_agent.as_deref(), Some("Firefox\u{fffd}"));
    assert_eq!(tx.session("s1", at(30)).await.unwrap(), None, "it expired");
    tx.session_seen("s1", None, at(9)).await.unwrap();
    tx.session_seen("s4", Some(bob), at(4)).await.unwrap();
    let ids = |sessions: Vec<SessionRecord>| -> Vec<String> { sessions.into_iter().map(|s| s.id).collect() };
    let of_ada = tx.sessions_of(ada, at(10)).await.unwrap();
    assert_eq!(ids(of_ada), ["s1", "s2"], "used last first, and still whose it was");
    assert_eq!(ids(tx.sessions_of(bob, at(4)).await.unwrap()), ["s4", "s3"]);
    assert_eq!(ids(tx.sessions_of(bob, at(5)).await.unwrap()), ["s3"], "one expired");
    tx.delete_expired_sessions(at(6)).await.unwrap();
    assert_eq!(tx.session("s4", at(0)).await.unwrap(), None);
    tx.delete_sessions_of(ada, Some("s2")).await.unwrap();
    assert_eq!(ids(tx.sessions_of(ada, at(10)).await.unwrap()), ["s2"]);
    tx.save_session("s1", "{}", at(40)).await.unwrap();
    assert_eq!(tx.session("s1", at(0)).await.unwrap(), None, "what ended stays ended");
    tx.delete_sessions_of(ada, None).await.unwrap();
    assert_eq!(tx.sessions_of(ada, at(10)).await.unwrap(), []);
    tx.delete_session("s3").await.unwrap();
    assert_eq!(tx.session("s3", at(0)).await.unwrap(), None);

    let invitation = Invitation {
        id: InvitationId(id(71)),
        workspace: demo.id,
        email: "eve@example.com".into(),
        role: Role::Approver,
        hash: "ii".into(),
        created_at: at(0),
        expires_at: at(10),
        invited_by: Some(ada),
    };
    tx.insert_invitation(&invitation).await.unwrap();
    assert_eq!(
        tx.invitations(demo.id, at(9)).await.unwrap(),
        std::slice::from_ref(&invitation)
    );
    assert_eq!(tx.invitations(demo.id, at(10)).await.unwrap(), [], "it ended");
    let found = tx.invitation_by_hash("ii", at(9)).await.unwrap();
    assert_eq!(found, Some((invitation.clone(), demo.clone())));
    assert_eq!(tx.invitation_by_hash("ii", at(10)).await.unwrap(), None);
    assert!(tx.end_invitation(invitation.id, at(5)).await.unwrap());
    assert!(!tx.end_invitation(invitation.id, at(6)).await.unwrap(), "once");
    assert_eq!(tx.invitation_by_hash("ii", at(9)).await.unwrap(), None);
    tx.commit().await.unwrap();
}

fn resource(n: u128, environment: EnvironmentId, source: Source) -> Resource {
    Resource {
        id: ResourceId(id(n)),
        environment,
        name: "api".parse().unwrap(),
        kind: Kind::Deployment,
        source,
        binding: Binding::TrackLatest,
        hold: None,
        runtime: Runtime::default(),
        desired: None,
        desired_at: None,
        outside: None,
        live: None,
        created_at: at(0),
    }
}

async fn resources(store: &dyn Store, demo: &Workspace, places: &Places) -> (Resource, Resource) {
    let mut tx = store.write().await.unwrap();
    let repository = repository();
    let source = Source::Image {
        repository: repository.clone(),
    };
    let mut api = resource(61, places.development, source.clone());
    let follower = resource(62, places.staging, Source::Promote { from: api.id });
    tx.insert_resource(&api).await.unwrap();
    tx.insert_resource(&follower).await.unwrap();
    tx.commit().await.unwrap();
    let twin = resource(63, places.development, source.clone());
    let twice = fails(store, "names are unique", async |tx| tx.insert_resource(&twin).await);
    assert!(matches!(twice.await, StoreError::Exists));
    let orphan = Source::Promote {
        from: ResourceId(id(69)),
    };
    let orphan = Resource {
        name: "orphan".parse().unwrap(),
        ..resource(64, places.staging, orphan)
    };
    fails(store, "a source is a resource", async |tx| {
        tx.insert_resource(&orphan).await
    })
    .await;

    let mut tx = store.write().await.unwrap();
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
    assert_eq!(
        tx.resources_of_image(demo.id, &repository).await.unwrap(),
        std::slice::from_ref(&api)
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
    let mut tags = tx.known_tags(demo.id, &repository).await.unwrap();
    tags.sort();
    assert_eq!(tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    tx.commit().await.unwrap();
}

fn promotion(n: u128, workspace: WorkspaceId, places: &Places, resource: &Resource, created: i64) -> Promotion {
    Promotion {
        id: PromotionId(id(n)),
        workspace,
        project: places.project,
        environment: resource.environment,
        resource: resource.id,
        purpose: Purpose::Promote,
        requested_by: Actor::Token { name: "ci".into() },
        origin: Some(Origin {
            environment: "development".parse().unwrap(),
            resource: "api".parse().unwrap(),
        }),
        image: image(Some("two"), "b"),
        previous: Some(image(None, "a")),
        creates: true,
        state: State::Queued,
        waits_for: None,
        failure: None,
        commit: None,
        committed_at: None,
        tries: 1,
        attempts: 0,
        created_at: at(created),
        state_since: at(created),
        ended_at: None,
    }
}

/// Takes one promotion, whatever its state.
async fn claim(tx: &mut dyn Tx, owner: &str, now: Timestamp, until: Timestamp) -> Option<Promotion> {
    for lane in [Lane::Commit, Lane::Rollout] {
        if let Some(claimed) = tx.claim_promotions(owner, lane, now, until, 1).await.unwrap().pop() {
            return Some(claimed);
        }
    }
    None
}

async fn promotions(store: &dyn Store, demo: &Workspace, places: &Places, resources: &(Resource, Resource)) {
    let (api, follower) = resources;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.next_due().await.unwrap(), None);
    assert_eq!(claim(&mut *tx, OWNER, at(0), at(100)).await, None);
    let older = promotion(71, demo.id, places, api, 0);
    let newer = promotion(72, demo.id, places, follower, 1);
    tx.insert_promotion(&newer).await.unwrap();
    tx.insert_promotion(&older).await.unwrap();
    let mut tx = committed(tx, store).await;
    assert_eq!(tx.promotion(older.id).await.unwrap().as_ref(), Some(&older));
    assert_eq!(
        tx.promotions_of(api.id, 10).await.unwrap(),
        std::slice::from_ref(&older)
    );
    assert_eq!(
        tx.open_promotions(follower.id).await.unwrap(),
        std::slice::from_ref(&newer)
    );
    assert_eq!(tx.newest_promotions(places.project).await.unwrap().len(), 2);

    // The one that is due longest is taken, by one worker only, until its lease ends; the commits of a project go to one.
    assert_eq!(tx.next_due().await.unwrap(), Some(at(0)));
    let claimed = claim(&mut *tx, OWNER, at(2), at(40)).await.unwrap();
    assert_eq!((claimed.id, claimed.attempts), (older.id, 0));
    assert_eq!(
        claim(&mut *tx, OTHER, at(2), at(50)).await,
        None,
        "another one's project"
    );
    let claimed = claim(&mut *tx, OWNER, at(2), at(50)).await.unwrap();
    assert_eq!(claimed.id, newer.id);
    assert_eq!(claim(&mut *tx, OWNER, at(2), at(50)).await, None);
    assert_eq!(tx.next_due().await.unwrap(), Some(at(40)), "when the first lease ends");

    // A lease that runs out, or is given back, is a further attempt.
    assert_eq!(
        claim(&mut *tx, OTHER, at(49), at(99)).await,
        None,
        "one of two leases runs"
    );
    let again = claim(&mut *tx, OTHER, at(50), at(60)).await.unwrap();
    assert_eq!(
        (again.id, again.attempts),
        (older.id, 1),
        "its step may have been cut off"
    );
    tx.release_leases(Some(OTHER)).await.unwrap();
    let again = claim(&mut *tx, OTHER, at(51), at(60)).await.unwrap();
    assert_eq!((again.id, again.attempts), (older.id, 2));
    let again = claim(&mut *tx, OTHER, at(51), at(90)).await.unwrap();
    assert_eq!((again.id, again.attempts), (newer.id, 1));

    // A lease that is renewed lasts longer; that of somebody else stays as it is.
    tx.renew_leases(OTHER, &[older.id], at(95)).await.unwrap();
    tx.renew_leases(OWNER, &[newer.id], at(99)).await.unwrap();
    assert_eq!(tx.next_due().await.unwrap(), Some(at(90)), "the newer's");
    assert_eq!(claim(&mut *tx, OTHER, at(89), at(99)).await, None);
    tx.renew_leases(OTHER, &[older.id], at(60)).await.unwrap();

    // What a step changed is written, given the state it began in.
    let mut moved = older.clone().become_(State::Committing, at(4)).unwrap();
    moved.waits_for = Some("the lock".into());
    tx.update_promotion(&moved, State::Queued, at(70)).await.unwrap();
    let stale = tx.update_promotion(&moved, State::Queued, at(70)).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    assert_eq!(tx.promotion(older.id).await.unwrap().as_ref(), Some(&moved));
    assert_eq!(
        claim(&mut *tx, OTHER, at(69), at(99)).await,
        None,
        "not before its time"
    );
    let next = claim(&mut *tx, OTHER, at(70), at(99)).await.unwrap();
    assert_eq!(
        (next.id, next.attempts),
        (older.id, 0),
        "the lease had ended with the step"
    );

    // The same worker may go on at once: its lease is kept.
    tx.update_promotion(&moved, State::Committing, at(70)).await.unwrap();
    tx.keep_lease(moved.id, OTHER, at(99)).await.unwrap();
    assert_eq!(
        claim(&mut *tx, OTHER, at(98), at(99)).await.map(|p| p.id),
        Some(newer.id)
    );

    // Argo CD's word wakes those that wait for it, and no others.
    let mut moved = moved.become_(State::Syncing, at(71)).unwrap();
    moved.commit = Some("c0ffee".into());
    moved.committed_at = Some(at(71));
    assert_eq!(tx.open_since(Lane::Commit, at(5), 10).await.unwrap().len(), 2);
    tx.update_promotion(&moved, State::Committing, at(1000)).await.unwrap();
    assert_eq!(tx.open_since(Lane::Commit, at(5), 10).await.unwrap()[0].id, newer.id);
    assert_eq!(tx.open_since(Lane::Rollout, at(71), 10).await.unwrap(), []);
    assert_eq!(tx.open_since(Lane::Rollout, at(72), 10).await.unwrap(), [moved.clone()]);
    // A younger one overtakes only what runs something else.
    let mut elder = moved.clone();
    elder.id = PromotionId(id(70));
    assert_eq!(tx.committed_after(&elder).await.unwrap(), None, "the same digest");
    elder.image = image(None, "e");
    assert_eq!(tx.committed_after(&elder).await.unwrap(), Some(moved.id));
    assert_eq!(tx.committed_after(&moved).await.unwrap(), None, "nobody is younger");
    tx.nudge_environment(places.staging, at(72)).await.unwrap();
    assert_eq!(claim(&mut *tx, OTHER, at(72), at(99)).await, None);
    tx.nudge_environment(places.development, at(72)).await.unwrap();
    let woken = claim(&mut *tx, OTHER, at(72), at(99)).await.unwrap();
    assert_eq!((woken.id, woken.commit.as_deref()), (older.id, Some("c0ffee")));

    let failed = moved.fail("It broke.", at(73)).unwrap();
    tx.update_promotion(&failed, State::Syncing, at(73)).await.unwrap();
    assert_eq!(tx.promotion(older.id).await.unwrap().as_ref(), Some(&failed));
    assert_eq!(tx.open_promotions(api.id).await.unwrap(), []);
    let retried = failed.become_(State::Queued, at(74)).unwrap();
    tx.update_promotion(&retried, State::Failed, at(74)).await.unwrap();
    let read = tx.promotion(older.id).await.unwrap().unwrap();
    assert_eq!((read.tries, read.failure, read.ended_at), (2, None, None));
    let superseded = retried.supersede(newer.id, at(75)).unwrap();
    tx.update_promotion(&superseded, State::Queued, at(75)).await.unwrap();
    assert_eq!(tx.promotion(older.id).await.unwrap(), Some(superseded));
    tx.release_leases(Some(OTHER)).await.unwrap();
    let done = newer.supersede(older.id, at(76)).unwrap();
    tx.update_promotion(&done, State::Queued, at(76)).await.unwrap();
    assert_eq!(tx.next_due().await.unwrap(), None, "what has ended is never due");
    let third = promotion(73, demo.id, places, api, 80);
    tx.insert_promotion(&third).await.unwrap();
    let ids = |promotions: Vec<Promotion>| promotions.into_iter().map(|p| p.id).collect::<Vec<_>>();
    assert_eq!(
        ids(tx.promotions_of(api.id, 10).await.unwrap()),
        [third.id, older.id],
        "newest first"
    );
    assert_eq!(ids(tx.promotions_of(api.id, 1).await.unwrap()), [third.id]);
    let mut newest = ids(tx.newest_promotions(places.project).await.unwrap());
    newest.sort();
    assert_eq!(newest, [done.id, third.id], "one of each resource");
    tx.commit().await.unwrap();
}

async fn ledger(store: &dyn Store, demo: &Workspace, places: &Places) {
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.newest_event().await.unwrap(), 0);
    let promotion = PromotionId(id(71));
    let event = |happened, promotion| NewEvent {
        workspace: demo.id,
        subject: Subject {
            project: Some(places.project),
            environment: None,
            resource: None,
            promotion,
        },
        actor: Actor::Waybill,
        happened,
    };
    let first = tx
        .append_event(&event(Happened::ResourceCreated, None), at(1))
        .await
        .unwrap();
    let committed = Happened::Committed {
        commit: "c0ffee".into(),
        pushes: 2,
    };
    let second = tx
        .append_event(&event(committed.clone(), Some(promotion)), at(0))
        .await
        .unwrap();
    assert!(first > 0 && second > first, "places rise, whatever the clock says");
    tx.commit().await.unwrap();

    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.newest_event().await.unwrap(), second);
    let all = tx.events_after(0, 10).await.unwrap();
    assert_eq!(all.iter().map(|e| e.sequence).collect::<Vec<_>>(), [first, second]);
    assert_eq!(tx.events_after(0, 1).await.unwrap().len(), 1);
    assert_eq!(tx.events_after(second, 10).await.unwrap(), []);
    let told = tx.events_of_promotion(promotion).await.unwrap();
    assert_eq!((told.len(), &told[0].happened, told[0].at), (1, &committed, at(0)));
    let refused = tx.append_event(&event(Happened::ResourceCreated, None), at(2)).await;
    assert!(refused.is_err(), "who only reads can't write");
    chain(store, demo, &all).await;
}

/// Entries hold the hash of the one before, of their own workspace; who came in how is told; what is taken back leaves no trace.
async fn chain(store: &dyn Store, demo: &Workspace, all: &[Event]) {
    let acme = store
        .read()
        .await
        .unwrap()
        .workspace_by_name("acme")
        .await
        .unwrap()
        .unwrap();
    let event = |workspace: &Workspace| NewEvent {
        workspace: workspace.id,
        subject: Subject::default(),
        actor: Actor::Token { name: "ci".into() },
        happened: Happened::SignedIn { through: None },
    };
    let mut taken_back = store.write().await.unwrap();
    taken_back.append_event(&event(demo), at(3)).await.unwrap();
    drop(taken_back);
    let mut tx = store.write().await.unwrap();
    let entrance = Entrance {
        door: Door::Rest,
        address: Some("192.0.2.7".into()),
    };
    tx.entered_by(&entrance);
    tx.append_event(&event(demo), at(3)).await.unwrap();
    tx.append_event(&event(&acme), at(3)).await.unwrap();
    tx.append_event(&event(demo), at(4)).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = store.read().await.unwrap();
    let entries = tx.ledger_entries(demo.id, 0, 10).await.unwrap();
    assert_eq!(entries.len(), 4);
    let mut newest = BEGINNING.to_owned();
    for entry in &entries {
        assert_eq!(entry.previous_hash.as_deref(), Some(&*newest));
        newest = entry.hash_after(&newest);
        assert_eq!(entry.hash.as_deref(), Some(&*newest));
    }
    let head = Head {
        hash: newest,
        entries: 4,
    };
    assert_eq!(tx.ledger_head(demo.id).await.unwrap(), head);
    assert_eq!(tx.ledger_head(acme.id).await.unwrap().entries, 1, "a chain of its own");
    assert_eq!(
        tx.ledger_entries(demo.id, entries[2].sequence, 10).await.unwrap(),
        entries[3..]
    );
    search(&mut *tx, demo).await;
    assert_eq!((all[0].door, &all[0].address), (Some(Door::Waybill), &None));
    let told = tx.events_after(entries[1].sequence, 1).await.unwrap().remove(0);
    assert_eq!((told.door, told.address), (Some(entrance.door), entrance.address));
}

/// Newest first by time and then by place, along each index, and only what is looked for.
async fn search(tx: &mut dyn Tx, demo: &Workspace) {
    let all = Search {
        workspace: demo.id,
        along: Along::Time,
        kind: None,
        environment: None,
        actors: None,
        from: Timestamp(i64::MIN),
        before: Place {
            at: Timestamp(i64::MAX),
            sequence: i64::MAX,
        },
        limit: 10,
    };
    let mut times = async |search: Search| -> Vec<i64> {
        let found = tx.search_events(&search).await.unwrap();
        found.iter().map(|event| event.at.millis_since(at(0))).collect()
    };
    assert_eq!(
        times(all.clone()).await,
        [4, 3, 1, 0],
        "as the clock said, and those of another workspace not"
    );
    let along = |along| Search { along, ..all.clone() };
    assert_eq!(times(along(Along::Kind(EventKind::SignedIn))).await, [4, 3]);
    assert_eq!(times(along(Along::Actor("token ci".into()))).await, [4, 3]);
    assert_eq!(times(along(Along::Actor("waybill".into()))).await, [1, 0]);
    let nowhere = EnvironmentId(id(999));
    assert_eq!(times(along(Along::Environment(nowhere))).await, [] as [i64; 0]);
    assert_eq!(times(along(Along::Resource(ResourceId(id(999))))).await, [] as [i64; 0]);
    for (search, wanted) in [
        (
            Search {
                kind: Some(EventKind::Committed),
                ..all.clone()
            },
            &[0][..],
        ),
        (
            Search {
                actors: Some(vec!["waybill,".into(), "token ci".into()]),
                ..all.clone()
            },
            &[4, 3],
        ),
        (
            Search {
                actors: Some(vec!["token c".into(), "%".into()]),
                ..all.clone()
            },
            &[],
        ),
        (
            Search {
                environment: Some(nowhere),
                ..all.clone()
            },
            &[],
        ),
        (
            Search {
                from: at(1),
                ..all.clone()
            },
            &[4, 3, 1],
        ),
        (
            Search {
                limit: 2,
                ..all.clone()
            },
            &[4, 3],
        ),
        (
            Search {
                before: Place { at: at(3), sequence: 0 },
                ..all.clone()
            },
            &[1, 0],
        ),
        (
            Search {
                before: Place {
                    at: at(3),
                    sequence: i64::MAX,
                },
                ..all.clone()
            },
            &[3, 1, 0],
        ),
    ] {
        assert_eq!(times(search.clone()).await, wanted, "{search:?}");
    }
    assert_eq!(tx.actors(demo.id).await.unwrap(), ["token ci", "waybill"]);
}

#[tokio::test]
async fn the_ledger_is_only_ever_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let file = Database::sqlite(directory.path());
    written_once(&*file.open().await).await;
    let server = Database::postgres();
    written_once(&*server.open().await).await;
    // Past Tx, which offers no such thing: the databases themselves refuse.
    let sqlite = sqlx::SqlitePool::connect(&file.url()).await.unwrap();
    let postgres = sqlx::PgPool::connect(&server.url()).await.unwrap();
    for statement in ["UPDATE events SET at = 1", "DELETE FROM events"] {
        let refused = sqlx::query(statement).execute(&sqlite).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
        let refused = sqlx::query(statement).execute(&postgres).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    let refused = sqlx::query("TRUNCATE events").execute(&postgres).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    for database in [file, server] {
        assert_eq!(
            database
                .open()
                .await
                .read()
                .await
                .unwrap()
                .newest_event()
                .await
                .unwrap(),
            1
        );
    }
}

async fn written_once(store: &dyn Store) {
    let (demo, _) = people(store).await;
    let mut tx = store.write().await.unwrap();
    let event = NewEvent {
        workspace: demo.id,
        subject: Subject::default(),
        actor: Actor::Waybill,
        happened: Happened::SignedIn { through: None },
    };
    tx.append_event(&event, at(0)).await.unwrap();
    tx.commit().await.unwrap();
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
