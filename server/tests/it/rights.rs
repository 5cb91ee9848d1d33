//! Rights that are taken away while they are used, and what those may not know from whom a part is hidden.

use crate::{
    authorisation::document,
    support::{Bench, digest, read},
};
use contract::{
    activity::ActivityFilter, backend::At, board_filter::BoardFilter, connection::EnvironmentDraft, error::AppError,
    notification::ChannelDraft, removal::Removing,
};
use domain::{
    draft::ResourceDraft,
    id::{ProjectId, UserId},
    removal::RemovalChoices,
    rights::Role,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use server::service::{
    Caller,
    access::{self, NewToken},
    configure,
    gates::{self, ReportedCheck},
    notification, observe, promotion, removal, views,
};

const API: &str = "127.0.0.1:5000/myapp/api";

fn at(project: &str, environment: &str) -> At {
    At {
        workspace: "demo".into(),
        project: project.into(),
        environment: environment.into(),
    }
}

/// The workspace with an administrator.
async fn set_up() -> (Bench, Caller, UserId) {
    let bench = Bench::new().await;
    bench.registry.push(API, "one", &digest("a"));
    let (program, _) = bench.program("demo", "boss", Role::Admin).await;
    bench.apply(&program, &document()).await;
    let (ada, id) = bench.member("ada@example.com", "demo", Role::Admin).await;
    (bench, ada, id)
}

async fn project(bench: &Bench, caller: &Caller, name: &str) -> ProjectId {
    let mut tx = bench.store.read().await.unwrap();
    let all = tx.projects(caller.access[0].0.id).await.unwrap();
    let found = all.into_iter().find(|p| p.project.name.as_str() == name);
    found.unwrap().project.id
}

/// A person from whom `project` is hidden.
async fn without(bench: &Bench, email: &str, role: Role, hidden: &str) -> Caller {
    let (caller, id) = bench.member(email, "demo", role).await;
    let project = project(bench, &caller, hidden).await;
    let mut tx = bench.store.write().await.unwrap();
    tx.set_project_role(project, id, None).await.unwrap();
    tx.commit().await.unwrap();
    access::caller_of_user(&bench.services, id).await.unwrap().unwrap()
}

/// A token for a part.
async fn token(bench: &Bench, by: &Caller, name: &str, role: Role, part: (&str, &str)) -> Caller {
    let new = NewToken {
        name,
        role,
        expires_in_millis: None,
    };
    let text = access::create_token_for(&bench.services, by, "demo", &new, part)
        .await
        .unwrap();
    let caller = access::caller_of_token(&bench.services, text.expose_secret())
        .await
        .unwrap();
    caller.unwrap()
}

fn is_refused<T: std::fmt::Debug>(outcome: Result<T, AppError>, what: &str) {
    assert!(
        matches!(&outcome, Err(AppError::Forbidden(_) | AppError::SignedOut)),
        "{what}: {outcome:?}"
    );
}

#[tokio::test]
async fn who_was_demoted_meanwhile_cannot_undo_it() {
    let (bench, ada, _) = set_up().await;
    let (bob, id) = bench.member("bob@example.com", "demo", Role::Admin).await;
    let services = &bench.services;
    let bobs = token(&bench, &bob, "bobs", Role::Admin, ("", "")).await;
    let (me, cid) = (
        id.to_string(),
        bench
            .member("cid@example.com", "demo", Role::Viewer)
            .await
            .1
            .to_string(),
    );
    access::create_group(services, &ada, "demo", "release").await.unwrap();
    let before = access::invite(services, &bob, "demo", "eve@example.com", "admin")
        .await
        .unwrap();
    let open = access::members(services, &ada, "demo")
        .await
        .unwrap()
        .invitations
        .remove(0)
        .id
        .to_string();
    // The requests of `bob` and `bobs` began before this, and write after it.
    access::set_role(services, &ada, "demo", &me, "viewer").await.unwrap();
    is_refused(access::set_role(services, &bob, "demo", &me, "admin").await, "set_role");
    is_refused(
        access::remove_member(services, &bob, "demo", &cid).await,
        "remove_member",
    );
    is_refused(access::deactivate(services, &bob, "demo", &cid).await, "deactivate");
    is_refused(access::activate(services, &bob, "demo", &cid).await, "activate");
    is_refused(
        access::invite(services, &bob, "demo", "x@example.com", "admin").await,
        "invite",
    );
    is_refused(
        access::withdraw_invitation(services, &bob, "demo", &open).await,
        "withdraw",
    );
    let new = NewToken {
        name: "late",
        role: Role::Admin,
        expires_in_millis: None,
    };
    is_refused(access::create_token(services, &bob, "demo", &new).await, "create_token");
    for caller in [&bob, &bobs] {
        is_refused(
            access::create_group(services, caller, "demo", "late").await,
            "create_group",
        );
        is_refused(
            access::join_group(services, caller, "demo", "release", &me).await,
            "join_group",
        );
        is_refused(
            access::leave_group(services, caller, "demo", "release", &me).await,
            "leave_group",
        );
        let first = access::tokens(services, &ada, "demo")
            .await
            .unwrap()
            .tokens
            .remove(0)
            .id
            .to_string();
        is_refused(
            access::revoke_token(services, caller, "demo", &first).await,
            "revoke_token",
        );
        let place = at("myapp", "production");
        let policy = gates::set_policy(services, caller, &place, "checks: [{ name: x }]", None);
        is_refused(policy.await, "set_policy");
        is_refused(
            configure::apply(services, caller, &read(&document()), false).await,
            "apply",
        );
        let stop = promotion::pause_promotions(services, caller, "demo", "myapp", None, "late");
        is_refused(stop.await, "pause_promotions");
    }
    // What they wrote before is worth nothing either, and says why.
    let key = before.link.split_once("key=").unwrap().1;
    for refused in [
        access::invitation(services, key).await.map(drop),
        access::accept_invitation(
            services,
            key,
            "Eve",
            "correct-horse-battery".to_owned().into(),
            "192.0.2.1",
            "",
        )
        .await
        .map(drop),
    ] {
        let why = refused.unwrap_err();
        assert!(matches!(why, AppError::NotFound(_)), "{why}");
        assert!(why.to_string().contains("doesn't administer demo any more"), "{why}");
    }
    let role = access::members(services, &ada, "demo").await.unwrap();
    let bob = role.members.iter().find(|member| member.id == id).unwrap();
    assert_eq!(bob.role, Role::Viewer);
    // Who is an administrator again is believed again.
    access::set_role(services, &ada, "demo", &me, "admin").await.unwrap();
    assert!(access::invitation(services, key).await.is_ok());
}

#[tokio::test]
async fn who_was_demoted_meanwhile_changes_nothing_that_runs() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let (bob, id) = bench.member("bob@example.com", "demo", Role::Admin).await;
    let (development, production) = (at("myapp", "development"), at("myapp", "production"));
    let id_of = promotion::promote(services, &ada, &development, "api", false)
        .await
        .unwrap()
        .to_string();
    bench.registry.push(API, "two", &digest("b"));
    promotion::edit_pin(services, &ada, &production, "api", &digest("b"), false)
        .await
        .unwrap();
    // What `bob` asks for began before this: the network was asked in between, and he writes after it.
    access::set_role(services, &ada, "demo", &id.to_string(), "viewer")
        .await
        .unwrap();
    is_refused(
        promotion::promote(services, &bob, &development, "api", false).await,
        "promote",
    );
    is_refused(
        promotion::edit_pin(services, &bob, &production, "api", &digest("a"), false).await,
        "edit_pin",
    );
    is_refused(
        promotion::resume(services, &bob, &production, "api", false).await,
        "resume",
    );
    is_refused(promotion::cancel(services, &bob, &id_of).await, "cancel");
    is_refused(promotion::retry(services, &bob, &id_of).await, "retry");
    let draft = ResourceDraft {
        name: "late".into(),
        kind: "deployment".into(),
        source: "image".into(),
        image: API.into(),
        binding: "track".into(),
        ..ResourceDraft::default()
    };
    is_refused(
        configure::create_resource(services, &bob, &development, draft).await,
        "create_resource",
    );
    let reported = ReportedCheck {
        digest: digest("a"),
        name: "late".into(),
        status: "passed".into(),
        ..ReportedCheck::default()
    };
    is_refused(gates::report_check(services, &bob, &reported).await, "report_check");
    let draft = ChannelDraft {
        name: "late".into(),
        project: "myapp".into(),
        kind: "slack".into(),
        address: "http://127.0.0.1:9/".into(),
        occasions: "failed".into(),
        environments: String::new(),
    };
    is_refused(
        notification::add_channel(services, &bob, "demo", draft).await,
        "add_channel",
    );
    let draft = EnvironmentDraft {
        project: "myapp".into(),
        name: "late".into(),
        key: String::new(),
        cluster: "local".into(),
        protected: false,
        ..EnvironmentDraft::default()
    };
    is_refused(
        configure::add_environment(services, &bob, "demo", &draft).await,
        "add_environment",
    );
    let local = Removing {
        what: "cluster".into(),
        workspace: "demo".into(),
        name: "local".into(),
        ..Removing::default()
    };
    is_refused(
        removal::remove(services, &bob, &local, RemovalChoices::default(), "").await,
        "remove",
    );
    let his = ActivityFilter {
        actor: "bob".into(),
        ..ActivityFilter::default()
    };
    let told = views::activity(services, &ada, "demo", &his).await.unwrap().entries;
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test]
async fn who_may_change_less_in_one_project_reports_no_checks() {
    let (bench, _, _) = set_up().await;
    let services = &bench.services;
    let reported = ReportedCheck {
        digest: digest("a"),
        name: "integration".into(),
        status: "passed".into(),
        ..ReportedCheck::default()
    };
    let (dev, id) = bench.member("dev@example.com", "demo", Role::Developer).await;
    gates::report_check(services, &dev, &reported).await.unwrap();
    let hidden = without(&bench, "eve@example.com", Role::Developer, "blog").await;
    is_refused(
        gates::report_check(services, &hidden, &reported).await,
        "a project is hidden",
    );
    let blog = project(&bench, &dev, "blog").await;
    let mut tx = bench.store.write().await.unwrap();
    tx.set_project_role(blog, id, Some(Role::Viewer)).await.unwrap();
    tx.commit().await.unwrap();
    is_refused(
        gates::report_check(services, &dev, &reported).await,
        "a viewer of one project",
    );
}

#[tokio::test]
async fn who_was_sent_away_meanwhile_writes_nothing() {
    let (bench, ada, _) = set_up().await;
    let (bob, id) = bench.member("bob@example.com", "demo", Role::Admin).await;
    let services = &bench.services;
    let program = token(&bench, &ada, "ci", Role::Admin, ("", "")).await;
    let listed = access::tokens(services, &ada, "demo").await.unwrap().tokens;
    let ci = listed.iter().find(|token| token.name == "ci").unwrap().id.to_string();
    access::revoke_token(services, &ada, "demo", &ci).await.unwrap();
    is_refused(
        access::create_group(services, &program, "demo", "late").await,
        "a withdrawn token",
    );
    access::deactivate(services, &ada, "demo", &id.to_string())
        .await
        .unwrap();
    is_refused(
        access::create_group(services, &bob, "demo", "late").await,
        "a closed account",
    );
    assert_eq!(access::groups(services, &ada, "demo").await.unwrap().groups.len(), 0);
}

#[tokio::test]
async fn a_token_lets_nobody_in() {
    let (bench, ada, _) = set_up().await;
    let (_, cid) = bench.member("cid@example.com", "demo", Role::Viewer).await;
    let cid = cid.to_string();
    let services = &bench.services;
    let (made_here, _) = bench.program("demo", "on-the-database", Role::Admin).await;
    let hers = token(&bench, &ada, "hers", Role::Admin, ("", "")).await;
    for program in [made_here, hers] {
        let draft = contract::token::TokenDraft {
            name: "friend".into(),
            role: "admin".into(),
            expires: "never".into(),
            ..contract::token::TokenDraft::default()
        };
        for refused in [
            access::invite(services, &program, "demo", "eve@example.com", "admin")
                .await
                .map(drop),
            access::set_role(services, &program, "demo", &cid, "admin").await,
            access::remove_member(services, &program, "demo", &cid).await,
            access::deactivate(services, &program, "demo", &cid).await,
            access::activate(services, &program, "demo", &cid).await,
            access::create_token_drafted(services, &program, "demo", draft)
                .await
                .map(drop),
        ] {
            let why = refused.unwrap_err();
            assert!(matches!(why, AppError::Forbidden(_)), "{why}");
            assert!(why.to_string().contains("Sign in as a person"), "{why}");
        }
        // What configuration says of groups a program may say.
        access::groups(services, &program, "demo").await.unwrap();
    }
}

#[tokio::test]
async fn applying_starts_nothing_where_only_a_group_may_change_what_runs() {
    let (bench, ada, id) = set_up().await;
    let mut restricted = document();
    restricted["groups"] = json!([{ "name": "release", "members": [] }]);
    let environments = &mut restricted["projects"][0]["environments"];
    environments[1]["restrictedTo"] = json!(["release"]);
    environments[1]["resources"] = json!([
        { "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } } },
        { "name": "web", "source": { "image": API } },
    ]);
    let of_web = async || {
        let mut tx = bench.store.read().await.unwrap();
        let project = project(&bench, &ada, "myapp").await;
        let resources = tx.resources(project).await.unwrap();
        let web = resources
            .iter()
            .find(|resource| resource.name.as_str() == "web")
            .unwrap();
        tx.promotions_of(web.id, 10).await.unwrap().len()
    };
    let applied = bench.apply(&ada, &restricted).await;
    assert!(
        applied
            .warnings
            .iter()
            .any(|why| why.contains("Only members of the group release may change what runs in production")),
        "{:?}",
        applied.warnings
    );
    assert_eq!(of_web().await, 0);
    // Nor does it start by itself later, because somebody configured it.
    bench.registry.push(API, "two", &digest("b"));
    observe::poll_registries(&bench.services).await;
    assert_eq!(of_web().await, 0);
    // As a member of the group she may; that the group has her is for the document to say, too.
    restricted["groups"][0]["members"] = json!(["ada@example.com"]);
    bench.apply(&ada, &restricted).await;
    let ada = access::caller_of_user(&bench.services, id).await.unwrap().unwrap();
    assert_eq!(bench.apply(&ada, &restricted).await.warnings, [""; 0]);
    assert_eq!(of_web().await, 1);
}

#[tokio::test]
async fn only_its_group_lets_a_stopped_environment_go_on() {
    let (bench, ada, _) = set_up().await;
    let (bob, bob_id) = bench.member("bob@example.com", "demo", Role::Approver).await;
    let mut restricted = document();
    restricted["groups"] = json!([{ "name": "release", "members": ["bob@example.com"] }]);
    restricted["projects"][0]["environments"][1]["restrictedTo"] = json!(["release"]);
    bench.apply(&ada, &restricted).await;
    let bob = access::caller_of_user(&bench.services, bob_id)
        .await
        .unwrap()
        .map_or(bob, |bob| bob);
    let services = &bench.services;
    for environment in [Some("production"), None] {
        // In an emergency everybody who approves may stop it.
        promotion::pause_promotions(services, &ada, "demo", "myapp", environment, "It burns.")
            .await
            .unwrap();
        let view = views::environment(services, &ada, &at("myapp", "production"))
            .await
            .unwrap();
        assert!(view.may_stop && !view.stops[0].may_lift);
        let refused = promotion::resume_promotions(services, &ada, "demo", "myapp", environment).await;
        assert!(
            matches!(&refused, Err(AppError::Forbidden(why)) if why.contains("group release")),
            "{environment:?} {refused:?}"
        );
        promotion::resume_promotions(services, &bob, "demo", "myapp", environment)
            .await
            .unwrap();
    }
    promotion::pause_promotions(services, &ada, "demo", "myapp", Some("development"), "A test.")
        .await
        .unwrap();
    promotion::resume_promotions(services, &ada, "demo", "myapp", Some("development"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hidden_project_does_not_show_through() {
    let (bench, ada, _) = set_up().await;
    let secret = "127.0.0.1:5000/blog/secret";
    bench.registry.push(secret, "one", &digest("b"));
    let mut with_blog = document();
    with_blog["projects"][1]["environments"][0]["resources"] =
        json!([{ "name": "post", "source": { "image": secret } }]);
    bench.apply(&ada, &with_blog).await;
    let services = &bench.services;
    let eve = without(&bench, "eve@example.com", Role::Admin, "blog").await;
    let offers = async |caller: &Caller| {
        let options = views::form_options(services, caller, &at("myapp", "development"))
            .await
            .unwrap();
        let mut known: Vec<_> = options.repositories.iter().map(ToString::to_string).collect();
        known.sort();
        known
    };
    assert_eq!(offers(&ada).await, [secret, API]);
    assert_eq!(offers(&eve).await, [API]);
    let preview = async |caller: &Caller, image: &str| {
        let draft = ResourceDraft {
            name: "new".into(),
            kind: "deployment".into(),
            source: "image".into(),
            image: image.into(),
            binding: "track".into(),
            ..ResourceDraft::default()
        };
        views::preview_create(services, caller, &at("myapp", "development"), draft).await
    };
    assert!(preview(&ada, secret).await.is_ok());
    assert!(preview(&eve, API).await.is_ok());
    let (hidden, nothing) = (
        preview(&eve, secret).await,
        preview(&eve, "127.0.0.1:5000/blog/nothing").await,
    );
    assert_eq!(
        hidden.unwrap_err().to_string().replace("secret", "nothing"),
        nothing.unwrap_err().to_string()
    );
    // Activity leaves out what happened there, also to who looks for it.
    let told = async |caller: &Caller, filter: ActivityFilter| {
        let view = views::activity(services, caller, "demo", &filter).await.unwrap();
        let places = view
            .entries
            .iter()
            .filter_map(|e| Some((e.project.clone()?.to_string(), e.resource.clone()?.to_string())));
        let mut places: Vec<_> = places.collect();
        places.sort();
        places.dedup();
        (places, view.environments, view.actors)
    };
    let all = ActivityFilter::default;
    let of = |project: &str, resource: &str| (project.to_owned(), resource.to_owned());
    let (places, environments, actors) = told(&ada, all()).await;
    assert_eq!(places, [of("blog", "post"), of("myapp", "api")]);
    assert!(environments.contains(&"blog/development".to_owned()) && !actors.is_empty());
    let (places, environments, actors) = told(&eve, all()).await;
    assert_eq!(places, [of("myapp", "api")]);
    assert_eq!(environments, ["myapp/development", "myapp/production"]);
    assert!(actors.is_empty(), "{actors:?}");
    for (filter, found) in [
        (
            ActivityFilter {
                kind: "resource_created".into(),
                ..all()
            },
            true,
        ),
        (
            ActivityFilter {
                actor: "boss".into(),
                ..all()
            },
            true,
        ),
        (
            ActivityFilter {
                actor: "ada".into(),
                ..all()
            },
            false,
        ),
        (
            ActivityFilter {
                env: "blog/development".into(),
                ..all()
            },
            false,
        ),
        (
            ActivityFilter {
                resource: "post".into(),
                ..all()
            },
            false,
        ),
        (
            ActivityFilter {
                kind: "applied".into(),
                ..all()
            },
            false,
        ),
    ] {
        let (places, ..) = told(&eve, filter.clone()).await;
        assert_eq!(
            places,
            if found { vec![of("myapp", "api")] } else { vec![] },
            "{filter:?}"
        );
    }
    // Nor do the connections.
    let on = async |caller: &Caller| {
        configure::clusters(services, caller, "demo")
            .await
            .unwrap()
            .clusters
            .remove(0)
            .environments
    };
    assert_eq!(
        on(&ada).await,
        ["blog/development", "myapp/development", "myapp/production"]
    );
    assert_eq!(on(&eve).await, ["myapp/development", "myapp/production"]);
    let repositories = async |caller: &Caller| {
        let view = configure::repositories(services, caller, "demo").await.unwrap();
        view.projects
            .into_iter()
            .map(|project| project.draft.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(repositories(&ada).await, ["blog", "myapp"]);
    assert_eq!(repositories(&eve).await, ["myapp"]);
    let local = Removing {
        what: "cluster".into(),
        workspace: "demo".into(),
        name: "local".into(),
        ..Removing::default()
    };
    let used = removal::remove(services, &eve, &local, RemovalChoices::default(), "")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        used.contains("that you may not see") && !used.contains("blog"),
        "{used}"
    );
    // Nobody gives it another repository.
    let mut other = document();
    other["projects"][1]["repository"]["url"] = json!("/srv/git/eve.git");
    let document = read(&other);
    is_refused(configure::apply(services, &eve, &document, false).await, "apply");
    // The ledger tells of all projects.
    assert!(views::export_ledger(services, &ada, "demo").await.is_ok());
    let refused = views::export_ledger(services, &eve, "demo").await;
    assert!(matches!(refused.map(drop), Err(AppError::Forbidden(_))));
}

#[tokio::test]
async fn a_token_of_one_environment_is_not_told_the_names_of_others() {
    let (bench, ada, _) = set_up().await;
    let services = &bench.services;
    let values = "environments/development/values.yaml";
    bench.git.declare(values, "api", API, "one", &digest("a"));
    promotion::promote(services, &ada, &at("myapp", "production"), "api", false)
        .await
        .unwrap();
    let only = token(&bench, &ada, "only", Role::Approver, ("myapp", "production")).await;
    let mut told = Vec::new();
    let board = views::board(services, &only, "demo", "myapp", &BoardFilter::default())
        .await
        .unwrap();
    assert!(board.rows[0].cells[0].is_some());
    told.push(serde_json::to_string(&board).unwrap());
    let place = at("myapp", "production");
    told.push(serde_json::to_string(&views::environment(services, &only, &place).await.unwrap()).unwrap());
    let resource = views::resource(services, &only, &place, "api").await.unwrap();
    told.push(serde_json::to_string(&resource).unwrap());
    told.push(serde_json::to_string(&views::form_options(services, &only, &place).await.unwrap()).unwrap());
    assert_eq!(resource.history.len(), 1);
    for row in &resource.history {
        let promotion = views::promotion(services, &only, &row.id.to_string()).await.unwrap();
        assert_eq!(promotion.origin, None);
        let named = views::promotion_named(services, &only, &row.id.to_string())
            .await
            .unwrap();
        assert_eq!(named.promotion.origin, None);
    }
    let wrong = promotion::promote_between(services, &only, ["myapp", "api", "nowhere", "production"], false).await;
    told.push(wrong.unwrap_err().to_string());
    for text in told {
        assert!(!text.contains("development"), "{text}");
    }
    // Whoever sees all of the project is told.
    let resource = views::resource(services, &ada, &place, "api").await.unwrap();
    assert!(serde_json::to_string(&resource).unwrap().contains("development"));
}

#[tokio::test]
async fn who_saves_a_policy_later_does_not_write_over_it_unseen() {
    let (bench, ada, _) = set_up().await;
    let (bob, _) = bench.member("bob@example.com", "demo", Role::Admin).await;
    let services = &bench.services;
    let place = at("myapp", "production");
    let read = gates::policy(services, &ada, &place).await.unwrap().text;
    assert_eq!(read, "");
    let (of_bob, of_ada) = ("checks: [{ name: scan }]", "approvals: { count: 2 }");
    gates::set_policy(services, &bob, &place, of_bob, Some("{}"))
        .await
        .unwrap();
    let conflict = gates::set_policy(services, &ada, &place, of_ada, Some("{}"))
        .await
        .unwrap_err();
    let AppError::Conflict(why) = &conflict else {
        panic!("{conflict}");
    };
    assert!(
        why.contains("bob") && why.contains("scan") && why.contains("save again"),
        "{why}"
    );
    assert!(
        gates::policy(services, &ada, &place)
            .await
            .unwrap()
            .text
            .contains("scan")
    );
    // Who read it again, or wrote the same otherwise, saves.
    let read = gates::policy(services, &ada, &place).await.unwrap().text;
    gates::set_policy(services, &ada, &place, of_ada, Some(&read))
        .await
        .unwrap();
    let same = "approvals:\r\n  count: 2 # two\r\n";
    gates::set_policy(services, &ada, &place, "", Some(same)).await.unwrap();
    // Programs say what shall be, whatever was.
    gates::set_policy(services, &bob, &place, of_bob, None).await.unwrap();
    assert_eq!(
        json!(gates::policy(services, &ada, &place).await.unwrap().words.len()),
        Value::from(1)
    );
}
