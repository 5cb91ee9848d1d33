//! Members, groups, tokens of a part, invitations, accounts: who may do what, and that it ends when it should.

use crate::support::{Bench, PASSWORD, digest};
use contract::{backend::At, board_filter::BoardFilter, error::AppError, member::MembersView, token::TokenDraft};
use domain::{event::Happened, id::UserId, promotion::Actor, rights::Role};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::{
    service::{
        Caller,
        access::{self, NewToken, TOKEN_PREFIX},
        configure, promotion, views,
    },
    store::sessions::SessionRecord,
};

/// `demo` with projects `myapp` (development, production) and `blog` (development).
fn document() -> Value {
    let environment = |name: &str| {
        json!({ "name": name, "cluster": "local", "resources": [
            { "name": "api", "source": { "image": "127.0.0.1:5000/myapp/api" } },
        ] })
    };
    let project = |name: &str, environments: Value| {
        json!({
            "name": name,
            "repository": { "url": format!("https://git.example.com/{name}.git") },
            "environments": environments,
        })
    };
    json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [
            project("myapp", json!([environment("development"), environment("production")])),
            project("blog", json!([environment("development")])),
        ],
    })
}

/// A member with a role, signed in.
async fn member(bench: &Bench, email: &str, role: Role) -> (Caller, UserId) {
    bench.member(email, "demo", role).await
}

/// A person as they are now; `None` when they may not act any more.
async fn again(bench: &Bench, id: UserId) -> Option<Caller> {
    access::caller_of_user(&bench.services, id).await.unwrap()
}

/// What happened last.
async fn last(bench: &Bench) -> (Actor, Happened) {
    let mut tx = bench.store.read().await.unwrap();
    let newest = tx.newest_event().await.unwrap();
    let event = tx.events_after(newest - 1, 1).await.unwrap().remove(0);
    (event.actor, event.happened)
}

fn at(project: &str, environment: &str) -> At {
    At {
        workspace: "demo".into(),
        project: project.into(),
        environment: environment.into(),
    }
}

async fn set_up() -> (Bench, Caller, UserId) {
    let bench = Bench::new().await;
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    bench.apply(&program, &document()).await;
    let (ada, id) = member(&bench, "ada@example.com", Role::Admin).await;
    (bench, ada, id)
}

fn role_of(view: &MembersView, email: &str) -> Option<Role> {
    let member = view.members.iter().find(|member| member.email == email)?;
    Some(member.role)
}

#[tokio::test]
async fn groups_are_made_and_filled_and_their_members_carry_them() {
    let (bench, ada, _) = set_up().await;
    let (_, bob) = member(&bench, "bob@example.com", Role::Developer).await;
    let services = &bench.services;
    access::create_group(services, &ada, "demo", "release").await.unwrap();
    let created = Happened::GroupCreated { name: "release".into() };
    assert_eq!(last(&bench).await, (ada.actor.clone(), created));
    access::join_group(services, &ada, "demo", "release", &bob.to_string())
        .await
        .unwrap();
    let joined = Happened::GroupJoined {
        group: "release".into(),
        email: "bob@example.com".into(),
    };
    assert_eq!(last(&bench).await.1, joined);
    let caller = again(&bench, bob).await.unwrap();
    let workspace = caller.access[0].0.id;
    assert_eq!(caller.groups_in(workspace), ["release".parse().unwrap()]);
    assert_eq!(ada.groups_in(workspace), []);
    let view = access::groups(services, &ada, "demo").await.unwrap();
    assert_eq!(view.groups[0].members[0].email, "bob@example.com");
    assert_eq!(view.people.len(), 2);

    let taken = access::create_group(services, &ada, "demo", "release")
        .await
        .unwrap_err();
    assert!(
        taken.fields().unwrap().get("name").unwrap().contains("already"),
        "{taken}"
    );
    assert_eq!(
        access::create_group(services, &ada, "demo", "Re lease")
            .await
            .unwrap_err()
            .status(),
        422
    );
    let stranger = UserId(domain::id::WorkspaceId(workspace.0).0).to_string();
    for (group, user) in [("none", bob.to_string()), ("release", stranger)] {
        let refused = access::join_group(services, &ada, "demo", group, &user).await;
        assert!(matches!(refused, Err(AppError::NotFound(_))), "{group} {user}");
    }
    access::leave_group(services, &ada, "demo", "release", &bob.to_string())
        .await
        .unwrap();
    assert_eq!(again(&bench, bob).await.unwrap().groups_in(workspace), []);
}

#[tokio::test]
async fn a_token_acts_only_inside_its_scope() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let make = async |project: &str, environment: &str, role: &str| {
        let draft = TokenDraft {
            name: format!("t-{role}-{project}-{environment}").trim_end_matches('-').into(),
            role: role.into(),
            project: project.into(),
            environment: environment.into(),
            expires: "30d".into(),
        };
        access::create_token_drafted(services, &ada, "demo", draft).await
    };
    let caller = async |token: &str| access::caller_of_token(services, token).await.unwrap();
    let filter = BoardFilter::default();
    let of_project = caller(&make("myapp", "", "admin").await.unwrap().secret).await.unwrap();
    let of_environment = make("myapp", "production", "developer").await.unwrap();
    assert!(of_environment.secret.starts_with(TOKEN_PREFIX) && !format!("{of_environment:?}").contains(TOKEN_PREFIX));
    let of_environment = caller(&of_environment.secret).await.unwrap();

    // The project beside is not there, in the words for what isn't there.
    let hidden = views::board(services, &of_project, "demo", "blog", &filter)
        .await
        .unwrap_err();
    let nothing = views::board(services, &of_project, "demo", "glob", &filter)
        .await
        .unwrap_err();
    assert_eq!(hidden.to_string().replace("blog", "glob"), nothing.to_string());
    let names: Vec<String> = views::projects(services, &of_project)
        .await
        .unwrap()
        .into_iter()
        .map(|p| p.name.to_string())
        .collect();
    assert_eq!(names, ["myapp"]);
    assert_eq!(views::project_list(services, &of_project).await.unwrap().len(), 1);
    assert_eq!(
        views::board(services, &of_project, "demo", "myapp", &filter)
            .await
            .unwrap()
            .environments
            .len(),
        2
    );
    // What is about the whole workspace is refused, whatever the role.
    let whole = access::members(services, &of_project, "demo").await.unwrap_err();
    assert!(whole.to_string().contains("one project"), "{whole}");
    let refused = configure::apply(services, &of_project, &crate::support::read(&document()), false).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));

    let board = views::board(services, &of_environment, "demo", "myapp", &filter)
        .await
        .unwrap();
    assert_eq!(board.environments.len(), 1);
    assert!(board.rows.iter().all(|row| row.cells.len() == 1));
    assert!(
        views::environment(services, &of_environment, &at("myapp", "production"))
            .await
            .is_ok()
    );
    let pin = async |environment: &str| {
        promotion::edit_pin(
            services,
            &of_environment,
            &at("myapp", environment),
            "api",
            &digest("a"),
            false,
        )
        .await
        .unwrap_err()
        .status()
    };
    assert_eq!(pin("development").await, 404);
    assert_eq!(
        pin("production").await,
        422,
        "this one it may change; the registry lacks the digest"
    );
    let to = promotion::promote_between(
        services,
        &of_environment,
        ["myapp", "api", "production", "development"],
        false,
    )
    .await;
    assert!(matches!(to, Err(AppError::NotFound(_))), "{to:?}");

    for (project, environment, field) in [
        ("shop", "", "project"),
        ("", "production", "project"),
        ("blog", "production", "environment"),
    ] {
        let refused = make(project, environment, "viewer").await.unwrap_err();
        assert!(refused.fields().unwrap().get(field).is_some(), "{refused}");
    }
}

#[tokio::test]
async fn a_tokens_use_is_remembered_and_it_ends_when_it_is_withdrawn_or_expires() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let new = NewToken {
        name: "ci",
        role: Role::Viewer,
        expires_in_millis: Some(3_600_000),
    };
    let token = access::create_token(services, &ada, "demo", &new).await.unwrap();
    let row = async || {
        let view = access::tokens(services, &ada, "demo").await.unwrap();
        view.tokens.into_iter().find(|token| token.name == "ci")
    };
    assert_eq!(row().await.unwrap().last_used_at, None);
    let mut used = Vec::new();
    for millis in [0, 30_000, 30_000] {
        bench.clock.forward(millis);
        assert!(
            access::caller_of_token(services, token.expose_secret())
                .await
                .unwrap()
                .is_some()
        );
        used.push(row().await.unwrap().last_used_at.unwrap());
    }
    assert_eq!(used[0], used[1], "at most once a minute");
    assert_eq!(used[2], services.now());
    assert_eq!(row().await.unwrap().made_by.as_deref(), Some("ada@example.com"));

    let id = row().await.unwrap().id.to_string();
    access::revoke_token(services, &ada, "demo", &id).await.unwrap();
    assert_eq!(last(&bench).await.1, Happened::TokenRevoked { name: "ci".into() });
    assert_eq!(
        access::caller_of_token(services, token.expose_secret()).await.unwrap(),
        None
    );
    assert!(row().await.is_none());
    let twice = access::revoke_token(services, &ada, "demo", &id).await;
    assert!(matches!(twice, Err(AppError::NotFound(_))));

    let short = NewToken { name: "short", ..new };
    let short = access::create_token(services, &ada, "demo", &short).await.unwrap();
    bench.clock.forward(3_600_000);
    assert_eq!(
        access::caller_of_token(services, short.expose_secret()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_token_can_do_no_more_than_who_made_it() {
    let (bench, ada, _) = set_up().await;
    let (bob, id) = member(&bench, "bob@example.com", Role::Admin).await;
    let services = &bench.services;
    let new = NewToken {
        name: "bobs",
        role: Role::Admin,
        expires_in_millis: None,
    };
    let token = access::create_token(services, &bob, "demo", &new).await.unwrap();
    let role = async || {
        let caller = access::caller_of_token(services, token.expose_secret()).await.unwrap();
        caller.map(|caller| caller.access[0].1)
    };
    assert_eq!(role().await, Some(Role::Admin));
    access::set_role(services, &ada, "demo", &id.to_string(), "viewer")
        .await
        .unwrap();
    assert_eq!(role().await, Some(Role::Viewer));
    access::remove_member(services, &ada, "demo", &id.to_string())
        .await
        .unwrap();
    assert_eq!(role().await, None);
}

#[tokio::test]
async fn a_workspace_keeps_an_administrator() {
    let (bench, ada, ada_id) = set_up().await;
    let (_, bob) = member(&bench, "bob@example.com", Role::Developer).await;
    let services = &bench.services;
    let id = ada_id.to_string();
    let said = "ada@example.com is the last administrator of demo. Give somebody else the role admin first.";
    for refused in [
        access::set_role(services, &ada, "demo", &id, "viewer").await,
        access::remove_member(services, &ada, "demo", &id).await,
        access::deactivate(services, &ada, "demo", &id).await,
    ] {
        assert_eq!(refused, Err(AppError::Conflict(said.into())));
    }
    access::set_role(services, &ada, "demo", &bob.to_string(), "admin")
        .await
        .unwrap();
    let changed = Happened::RoleChanged {
        email: "bob@example.com".into(),
        role: "admin".into(),
    };
    assert_eq!(last(&bench).await.1, changed);
    access::deactivate(services, &ada, "demo", &bob.to_string())
        .await
        .unwrap();
    // One who may not sign in administers nothing.
    assert!(access::set_role(services, &ada, "demo", &id, "viewer").await.is_err());
    access::activate(services, &ada, "demo", &bob.to_string())
        .await
        .unwrap();
    access::set_role(services, &ada, "demo", &id, "viewer").await.unwrap();
    let bob = again(&bench, bob).await.unwrap();
    let view = access::members(services, &bob, "demo").await.unwrap();
    assert_eq!(role_of(&view, "ada@example.com"), Some(Role::Viewer));
    let viewer = again(&bench, ada_id).await.unwrap();
    assert!(matches!(
        access::members(services, &viewer, "demo").await,
        Err(AppError::Forbidden(_))
    ));
}

#[tokio::test]
async fn closing_an_account_ends_its_sessions_and_tokens_at_once() {
    let (bench, ada, _) = set_up().await;
    let (bob, id) = member(&bench, "bob@example.com", Role::Admin).await;
    let services = &bench.services;
    let new = NewToken {
        name: "bobs",
        role: Role::Viewer,
        expires_in_millis: None,
    };
    let token = access::create_token(services, &bob, "demo", &new).await.unwrap();
    let session = SessionRecord {
        id: "s".into(),
        user: Some(id),
        user_agent: None,
        address: None,
        created_at: None,
        seen_at: None,
        expires_at: services.now().plus_millis(1000),
    };
    let mut tx = bench.store.write().await.unwrap();
    tx.insert_session(&session, "{}").await.unwrap();
    // An account that belongs elsewhere too isn't this workspace's to close.
    let other = domain::environment::Workspace {
        id: domain::id::WorkspaceId(id.0),
        name: "other".parse().unwrap(),
    };
    tx.insert_workspace(&other, services.now()).await.unwrap();
    tx.set_membership(other.id, id, Role::Viewer).await.unwrap();
    tx.commit().await.unwrap();
    let refused = access::deactivate(services, &ada, "demo", &id.to_string()).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    let mut tx = bench.store.write().await.unwrap();
    tx.remove_member(other.id, id).await.unwrap();
    tx.commit().await.unwrap();

    access::deactivate(services, &ada, "demo", &id.to_string())
        .await
        .unwrap();
    let closed = Happened::AccountDeactivated {
        email: "bob@example.com".into(),
    };
    assert_eq!(last(&bench).await, (ada.actor.clone(), closed));
    assert_eq!(again(&bench, id).await, None);
    assert_eq!(
        access::caller_of_token(services, token.expose_secret()).await.unwrap(),
        None
    );
    let mut tx = bench.store.read().await.unwrap();
    assert_eq!(tx.session("s", services.now()).await.unwrap(), None);
    drop(tx);
    let refused = access::sign_in(services, "bob@example.com", PASSWORD.into(), "1", "")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("password is wrong"), "{refused}");

    access::activate(services, &ada, "demo", &id.to_string()).await.unwrap();
    assert!(again(&bench, id).await.is_some());
    assert_eq!(
        access::caller_of_token(services, token.expose_secret()).await.unwrap(),
        None,
        "it stays withdrawn"
    );
}

#[tokio::test]
async fn an_invitation_is_accepted_once_and_within_a_week() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let invite = async |email: &str| {
        let made = access::invite(services, &ada, "demo", email, "approver").await.unwrap();
        let key = made.link.split_once("/invitation?key=").unwrap().1.to_owned();
        assert!(!format!("{made:?}").contains(&key));
        key
    };
    let accept = async |key: &str, name: &str, password: &str| {
        access::accept_invitation(services, key, name, password.into(), "192.0.2.1", "").await
    };
    let first = invite(" Eve@Example.com ").await;
    let key = invite("eve@example.com").await;
    assert!(
        access::invitation(services, &first).await.is_err(),
        "a newer one ends it"
    );
    let view = access::invitation(services, &key).await.unwrap();
    assert_eq!(
        (&*view.email, view.role, view.known),
        ("eve@example.com", Role::Approver, false)
    );
    let mut tx = bench.store.read().await.unwrap();
    let stored = format!(
        "{:?}",
        tx.invitations(ada.access[0].0.id, services.now()).await.unwrap()
    );
    assert!(!stored.contains(&key));
    drop(tx);

    for (name, password, field) in [
        ("", PASSWORD, "name"),
        ("A <b>", PASSWORD, "name"),
        ("Eve", "short", "password"),
    ] {
        let refused = accept(&key, name, password).await.unwrap_err();
        assert!(refused.fields().unwrap().get(field).is_some(), "{refused}");
    }
    let eve = accept(&key, " Eve ", PASSWORD).await.unwrap();
    let caller = again(&bench, eve).await.unwrap();
    assert_eq!((caller.actor.name(), caller.access[0].1), ("Eve", Role::Approver));
    let joined = Happened::MemberJoined {
        email: "eve@example.com".into(),
        role: "approver".into(),
    };
    assert_eq!(last(&bench).await, (caller.actor, joined));
    assert!(matches!(
        accept(&key, "Eve", PASSWORD).await,
        Err(AppError::NotFound(_))
    ));
    let member = access::invite(services, &ada, "demo", "eve@example.com", "viewer")
        .await
        .unwrap_err();
    assert!(member.fields().unwrap().get("email").is_some());

    // Who has an account joins with its password.
    let known = bench.person("kim@example.com").await;
    let mut tx = bench.store.write().await.unwrap();
    let hash = services.passwords.hash(PASSWORD.into()).await.unwrap();
    tx.set_password(known, &hash).await.unwrap();
    tx.commit().await.unwrap();
    let key = invite("kim@example.com").await;
    assert!(access::invitation(services, &key).await.unwrap().known);
    assert!(accept(&key, "", "wrong-wrong-wrong").await.is_err());
    assert_eq!(accept(&key, "", PASSWORD).await, Ok(known));

    let late = invite("late@example.com").await;
    let withdrawn = invite("off@example.com").await;
    let open = access::members(services, &ada, "demo").await.unwrap().invitations;
    let id = open.iter().find(|row| row.email == "off@example.com").unwrap().id;
    access::withdraw_invitation(services, &ada, "demo", &id.to_string())
        .await
        .unwrap();
    assert!(accept(&withdrawn, "Off", PASSWORD).await.is_err());
    bench.clock.forward(7 * 86_400_000);
    assert!(matches!(
        accept(&late, "Late", PASSWORD).await,
        Err(AppError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_other_sessions_end() {
    let (bench, ada, id) = set_up().await;
    let services = &bench.services;
    let mut tx = bench.store.write().await.unwrap();
    for name in ["here", "there"] {
        let session = SessionRecord {
            id: name.into(),
            user: Some(id),
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0".into()),
            address: Some("192.0.2.1".into()),
            created_at: Some(services.now()),
            seen_at: Some(services.now()),
            expires_at: services.now().plus_millis(1000),
        };
        tx.insert_session(&session, "{}").await.unwrap();
    }
    tx.commit().await.unwrap();
    let sessions = async || {
        let view = access::account(services, &ada, Some("here")).await.unwrap();
        let short = view.sessions.into_iter().map(|s| (s.current, s.browser));
        short.collect::<Vec<_>>()
    };
    let linux = || "Firefox on Linux".to_owned();
    assert_eq!(sessions().await, [(true, linux()), (false, linux())]);
    let change = async |current: &str, new: &str| {
        access::change_password(services, &ada, current.into(), new.into(), Some("here")).await
    };
    for (current, new, field) in [
        ("wrong-wrong", "another-good-one", "current"),
        (PASSWORD, "short", "new"),
    ] {
        let refused = change(current, new).await.unwrap_err();
        assert!(refused.fields().unwrap().get(field).is_some(), "{refused}");
    }
    change(PASSWORD, "another-good-one").await.unwrap();
    assert_eq!(last(&bench).await.1, Happened::PasswordChanged);
    assert_eq!(sessions().await, [(true, linux())]);
    let sign_in = async |password: &str| access::sign_in(services, "ada@example.com", password.into(), "1", "").await;
    assert!(sign_in(PASSWORD).await.is_err());
    assert_eq!(sign_in("another-good-one").await, Ok(id));

    access::sign_out_everywhere(services, &ada).await.unwrap();
    assert_eq!(sessions().await, []);
    let (program, _) = bench.program("demo", "robot", Role::Admin).await;
    assert!(matches!(
        access::account(services, &program, None).await,
        Err(AppError::Forbidden(_))
    ));
    for _ in 0..10 {
        let _ = change("wrong-wrong", "another-good-two").await;
    }
    assert!(matches!(
        change("another-good-one", "another-good-two").await,
        Err(AppError::TooMany { .. })
    ));
}

#[tokio::test]
async fn a_document_says_who_is_in_groups_and_who_may_change_what() {
    let (bench, ada, _) = set_up().await;
    let (_, bob) = member(&bench, "bob@example.com", Role::Developer).await;
    let (_, kim) = member(&bench, "kim@example.com", Role::Developer).await;
    let services = &bench.services;
    let mut wanted = document();
    wanted["groups"] = json!([{ "name": "release", "members": ["Bob@example.com"] }]);
    wanted["projects"][0]["environments"][1]["restrictedTo"] = json!(["release"]);
    wanted["projects"][0]["roles"] = json!({ "kim@example.com": "viewer" });
    wanted["projects"][1]["roles"] = json!({ "kim@example.com": "none", "bob@example.com": "approver" });
    let applied = bench.apply(&ada, &wanted).await;
    assert_eq!(
        crate::support::words(&applied),
        [
            "create group release",
            "change group release: with bob@example.com",
            "change roles in myapp: kim@example.com is viewer",
            "change environment myapp/production: may be changed by everybody → release",
            "change roles in blog: bob@example.com is approver, kim@example.com is none",
        ]
    );
    assert_eq!(crate::support::words(&bench.apply(&ada, &wanted).await), [""; 0]);

    let pin = async |id: UserId, environment: &str| {
        let caller = again(&bench, id).await.unwrap();
        let place = at("myapp", environment);
        promotion::edit_pin(services, &caller, &place, "api", &digest("a"), false)
            .await
            .unwrap_err()
    };
    // The registry lacks the digest: whoever gets that far may.
    assert_eq!(pin(bob, "production").await.status(), 422);
    let Actor::Person { id: ada_id, .. } = ada.actor else {
        panic!("a person")
    };
    let refused = pin(ada_id, "production").await;
    assert_eq!(
        refused.to_string(),
        "Only members of the group release may change what runs in production. Ask one of them, or an administrator \
         to add you."
    );
    assert_eq!(refused.status(), 403, "also for administrators");
    assert_eq!(pin(ada_id, "development").await.status(), 422);
    let environment = views::environment(services, &ada, &at("myapp", "production"))
        .await
        .unwrap();
    assert!(!environment.head.may_change);

    assert!(
        pin(kim, "development")
            .await
            .to_string()
            .contains("As viewer you may not")
    );
    let kims = again(&bench, kim).await.unwrap();
    let shown = views::projects(services, &kims).await.unwrap();
    assert_eq!(shown.len(), 1, "what is hidden isn't listed: {shown:?}");
    let hidden = views::board(services, &kims, "demo", "blog", &BoardFilter::default()).await;
    assert!(matches!(hidden, Err(AppError::NotFound(_))));

    // A token does what its maker may, in the same groups.
    let (cid, id) = member(&bench, "cid@example.com", Role::Admin).await;
    let new = NewToken {
        name: "cids",
        role: Role::Developer,
        expires_in_millis: None,
    };
    let token = access::create_token(services, &cid, "demo", &new).await.unwrap();
    let may = async || {
        let caller = access::caller_of_token(services, token.expose_secret())
            .await
            .unwrap()
            .unwrap();
        let place = at("myapp", "production");
        let refused = promotion::edit_pin(services, &caller, &place, "api", &digest("a"), false)
            .await
            .unwrap_err();
        refused.status() != 403
    };
    assert!(!may().await);
    access::join_group(services, &ada, "demo", "release", &id.to_string())
        .await
        .unwrap();
    assert!(may().await);

    wanted["groups"][0]["members"] = json!([]);
    wanted["projects"][0]["environments"][1]
        .as_object_mut()
        .unwrap()
        .remove("restrictedTo");
    wanted["projects"][0].as_object_mut().unwrap().remove("roles");
    wanted["projects"][1]["roles"] = json!({ "bob@example.com": "approver" });
    let applied = bench.apply(&ada, &wanted).await;
    assert_eq!(
        crate::support::words(&applied),
        [
            "change group release: without bob@example.com, without cid@example.com",
            "change environment myapp/production: may be changed by release → everybody",
            "change roles in blog: kim@example.com as in the workspace",
        ],
        "roles that are left out stay"
    );

    for (path, value, at) in [
        (
            "/groups",
            json!([{ "name": "ops", "members": ["x@example.com"] }]),
            "groups[0].members[0]",
        ),
        (
            "/projects/0/roles",
            json!({ "x@example.com": "viewer" }),
            "projects[0].roles.x@example.com",
        ),
        (
            "/projects/0/roles",
            json!({ "bob@example.com": "boss" }),
            "projects[0].roles.bob@example.com",
        ),
        (
            "/projects/0/environments/0/restrictedTo",
            json!(["nobody"]),
            "projects[0].environments[0].restrictedTo[0]",
        ),
    ] {
        let mut bad = document();
        let (parent, key) = path.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = value;
        let refused = configure::apply(services, &ada, &crate::support::read(&bad), false)
            .await
            .unwrap_err();
        let fields = refused.fields().unwrap();
        assert!(fields.get(at).is_some(), "{fields}");
    }
}
