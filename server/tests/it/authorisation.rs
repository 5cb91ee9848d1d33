//! Who may do what, as one table: every use case that pages have, through every door that offers it, for everybody. A use
//! case without a line fails the test.

use crate::{
    rest::everything,
    support::{Bench, digest},
};
use axum::{
    body::{Body, to_bytes},
    extract::connect_info::MockConnectInfo,
    http::{Request, StatusCode, header},
};
use domain::{id::UserId, rights::Role};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use server::{service::token::hash, store::people::SessionRecord};
use std::{collections::BTreeSet, net::SocketAddr};
use tower::ServiceExt as _;

/// The use cases, as they are written down.
const BACKEND: &str = include_str!("../../../app/src/backend.rs");

const API: &str = "127.0.0.1:5000/myapp/api";

/// Who asks, in the order of the table's columns: nobody; the administrator of another workspace; a viewer, a developer, an
/// approver and an administrator of this one; a developer of the project `blog` only; a developer of `production` only. All are
/// programs.
const COLUMNS: usize = 8;

/// How somebody is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// They must sign in.
    SignIn,
    /// There is no such thing, as far as they know.
    Hidden,
    /// They may not.
    Refused,
    /// They may; whether it could be done is another matter.
    May,
}

use Door::{Graphql, Ui};

/// Through which door.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    /// The server function of this name, with this form.
    Ui(&'static str, &'static str),
    /// This query.
    Graphql(&'static str),
}

/// Who stands at a door.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    Nobody,
    /// With this token.
    Program(String),
    /// With this cookie, on a page of this site.
    Person(String),
}

pub(crate) const DEVELOPMENT: &str = "workspace=demo&project=myapp&environment=development";
pub(crate) const PRODUCTION: &str = "workspace=demo&project=myapp&environment=production";

/// Use case, door, and an answer for each column: `s` sign in, `h` hidden, `r` refused, `-` may, `p` a program is refused, and a person
/// of the same role may.
/// `{development}` and `{production}` stand for those places, `{…}` for ids.
#[rustfmt::skip]
pub(crate) const TABLE: &[(&str, Door, &str)] = &[
    ("me", Ui("me", ""), "--------"),
    ("sso", Ui("sso", ""), "--------"),
    ("sign_in", Ui("sign_in", "email=a@b&password=x"), "--------"),
    ("sign_out", Ui("sign_out", ""), "--------"),

    ("projects", Ui("projects", ""), "s-------"),
    ("projects", Graphql("{ projects { name } }"), "s-------"),
    ("board", Ui("board", "workspace=demo&project=myapp"), "sh----h-"),
    ("board", Graphql("{ project(name: \"myapp\") { name } }"), "sh----h-"),
    ("environment", Ui("environment", "{development}"), "sh----hh"),
    ("environment", Ui("environment", "{production}"), "sh----h-"),
    ("form_options", Ui("form_options", "{development}"), "shr---hh"),
    ("form_options", Ui("form_options", "{production}"), "shrr--hr"),
    ("preview_create", Ui("preview_create", "{development}&draft[name]=new&draft[source]=image"), "shr---hh"),
    ("create_resource", Ui("create_resource", "{development}&draft[name]=new&draft[source]=image"), "shr---hh"),
    ("create_resource", Ui("create_resource", "{production}&draft[name]=new&draft[source]=image"), "shrr--hr"),

    ("resource", Ui("resource", "{development}&resource=api"), "sh----hh"),
    ("preview_pin", Ui("preview_pin", "{development}&resource=api&digest={digest}"), "shr---hh"),
    ("edit_pin", Ui("edit_pin", "{development}&resource=api&digest={digest}"), "shr---hh"),
    ("edit_pin", Ui("edit_pin", "{production}&resource=api&digest={digest}"), "shrr--hr"),
    ("edit_pin", Graphql("mutation { pin(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" digest: \"{digest}\" }) { id } }"), "shr---hh"),
    ("preview_promote", Ui("preview_promote", "{development}&resource=api"), "shr---hh"),
    ("promote", Ui("promote", "{development}&resource=api"), "shr---hh"),
    ("promote", Graphql("mutation { promote(input: { projectId: \"myapp\" service: \"api\" fromEnvironment: \"development\" toEnvironment: \"production\" }) { id } }"), "shrr--hr"),
    ("rollback", Ui("rollback", "{development}&resource=api&digest={digest}"), "shr---hh"),
    ("rollback", Graphql("mutation { rollback(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" digest: \"{digest}\" }) { id } }"), "shr---hh"),
    ("resume", Ui("resume", "{development}&resource=api"), "shr---hh"),
    ("resume", Graphql("mutation { resume(input: { projectId: \"myapp\" environment: \"development\" service: \"api\" }) { id } }"), "shr---hh"),

    ("promotion", Ui("promotion", "id={promotion}"), "sh----hh"),
    ("promotion", Graphql("{ promotion(id: \"{promotion}\") { id } }"), "sh----hh"),
    ("retry", Ui("retry", "id={promotion}"), "shr---hh"),
    ("retry", Graphql("mutation { retry(id: \"{promotion}\") { id } }"), "shr---hh"),
    ("cancel", Ui("cancel", "id={promotion}"), "shr---hh"),
    ("cancel", Graphql("mutation { cancel(id: \"{promotion}\") { id } }"), "shr---hh"),

    // Only people decide.
    ("inbox", Ui("inbox", ""), "s-------"),
    ("inbox_count", Ui("inbox_count", ""), "--------"),
    ("approve", Ui("approve", "id={promotion}&comment="), "shrrrrhh"),
    ("approve", Graphql("mutation { approve(id: \"{promotion}\") { id } }"), "shrrrrhh"),
    ("reject", Ui("reject", "id={promotion}&comment=no"), "shrrrrhh"),
    ("reject", Graphql("mutation { reject(id: \"{promotion}\", comment: \"no\") { id } }"), "shrrrrhh"),
    ("override_gate", Ui("override_gate", "id={promotion}&gate=stop&reason=x"), "shrrrrhh"),
    ("stop_line", Ui("stop_line", "{development}&of_project=false&reason=x"), "shrr--hh"),
    ("resume_line", Ui("resume_line", "{development}&of_project=false"), "shrr--hh"),
    ("policy", Ui("policy", "{development}"), "sh----hh"),
    ("set_policy", Ui("set_policy", "{development}&text="), "shrrr-hh"),
    ("activity", Ui("activity", "workspace=demo"), "sh----rr"),

    ("members", Ui("members", "workspace=demo"), "shrrr-rr"),
    ("set_role", Ui("set_role", "workspace=demo&user={member}&role=viewer"), "shrrrprr"),
    ("deactivate", Ui("deactivate", "workspace=demo&user={member}"), "shrrrprr"),
    ("activate", Ui("activate", "workspace=demo&user={member}"), "shrrrprr"),
    ("invite", Ui("invite", "workspace=demo&email=x@example.com&role=viewer"), "shrrrprr"),
    ("withdraw_invitation", Ui("withdraw_invitation", "workspace=demo&invitation={invitation}"), "shrrr-rr"),
    ("invitation", Ui("invitation", "key={key}"), "--------"),
    ("accept_invitation", Ui("accept_invitation", "key={key}&name=&password="), "--------"),
    ("groups", Ui("groups", "workspace=demo"), "shrrr-rr"),
    ("create_group", Ui("create_group", "workspace=demo&name=release"), "shrrr-rr"),
    ("join_group", Ui("join_group", "workspace=demo&group=release&user={member}"), "shrrr-rr"),
    ("leave_group", Ui("leave_group", "workspace=demo&group=release&user={member}"), "shrrr-rr"),
    ("remove_member", Ui("remove_member", "workspace=demo&user={member}"), "shrrrprr"),
    ("tokens", Ui("tokens", "workspace=demo"), "shrrr-rr"),
    ("create_token", Ui("create_token", "workspace=demo&draft[name]=new&draft[role]=viewer&draft[expires]=1d"), "shrrrprr"),
    ("revoke_token", Ui("revoke_token", "workspace=demo&token={token}"), "shrrr-rr"),

    ("clusters", Ui("clusters", "workspace=demo"), "shrrr-rr"),
    ("save_cluster", Ui("save_cluster", "workspace=demo&cluster[was]=local&secrets[argocd_token]="), "shrrr-rr"),
    ("remove_cluster", Ui("remove_cluster", "workspace=demo&cluster=local"), "shrrr-rr"),
    ("test_cluster", Ui("test_cluster", "workspace=demo&cluster[was]=local&cluster[stored]=true&secrets[argocd_token]="), "shrrr-rr"),
    ("repositories", Ui("repositories", "workspace=demo"), "shrrr-rr"),
    ("save_repository", Ui("save_repository", "workspace=demo&repository[was]=myapp&secrets[git_token]="), "shrrr-rr"),
    ("add_environment", Ui("add_environment", "workspace=demo&environment[project]=myapp&environment[name]=Bad"), "shrrr-rr"),
    ("test_repository", Ui("test_repository", "workspace=demo&repository[was]=myapp&repository[stored]=true&secrets[git_token]="), "shrrr-rr"),
    ("notifications", Ui("notifications", "workspace=demo"), "shrrr-rr"),
    ("add_channel", Ui("add_channel", "workspace=demo&draft[name]=ops&draft[project]=myapp"), "shrrr-rr"),
    ("pause_channel", Ui("pause_channel", "workspace=demo&channel={channel}&paused=true"), "shrrr-rr"),
    ("pause_channel", Ui("pause_channel", "workspace=demo&channel={channel}&paused=false"), "shrrr-rr"),
    ("test_channel", Ui("test_channel", "workspace=demo&channel={channel}"), "shrrr-rr"),
    ("redeliver", Ui("redeliver", "workspace=demo&delivery=00000000-0000-0000-0000-000000000000"), "shrrrhrr"),
    ("remove_channel", Ui("remove_channel", "workspace=demo&channel={channel}"), "shrrr-rr"),

    // Only people have an account; these are all programs.
    ("account", Ui("account", ""), "srrrrrrr"),
    ("change_password", Ui("change_password", "current=a&new=b"), "srrrrrrr"),
    ("sign_out_everywhere", Ui("sign_out_everywhere", ""), "srrrrrrr"),
];

/// The names of the use cases.
fn use_cases() -> BTreeSet<&'static str> {
    let after = BACKEND.split("pub trait Backend").nth(1).unwrap_or_default();
    let inside = after.split("\n}").next().unwrap_or_default();
    let names = inside.split("async fn ").skip(1);
    names.filter_map(|rest| rest.split('(').next()).collect()
}

#[test]
fn every_use_case_is_in_the_table() {
    let table: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    assert!(use_cases().len() > 15, "the trait could not be read");
    let missing: Vec<_> = use_cases().difference(&table).copied().collect();
    assert_eq!(missing, [""; 0], "say who may do these, in TABLE");
    let gone: Vec<_> = table.difference(&use_cases()).copied().collect();
    assert_eq!(gone, [""; 0], "these are no use cases any more");
    assert!(TABLE.iter().all(|(.., answers)| answers.len() == COLUMNS));
}

pub(crate) fn document() -> Value {
    let resources = json!([{ "name": "api", "source": { "image": API } }]);
    let follows =
        json!([{ "name": "api", "source": { "promote": { "environment": "development", "resource": "api" } } }]);
    let project = |name: &str, environments: Value| json!({ "name": name, "repository": { "url": format!("/srv/git/{name}.git") }, "environments": environments });
    json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [
            project("myapp", json!([
                { "name": "development", "cluster": "local", "resources": resources },
                { "name": "production", "cluster": "local", "protected": true, "resources": follows },
            ])),
            project("blog", json!([{ "name": "development", "cluster": "local" }])),
        ],
    })
}

/// Path, kind of body, and body of what goes through a door.
pub(crate) fn request(door: Door, fill: &dyn Fn(&str) -> String) -> (String, &'static str, String) {
    match door {
        Ui(name, form) => (
            format!("/api/ui/{name}"),
            "application/x-www-form-urlencoded",
            fill(form),
        ),
        Graphql(query) => (
            "/api/graphql".to_owned(),
            "application/json",
            json!({ "query": fill(query) }).to_string(),
        ),
    }
}

/// Somebody who signed in today, as their browser shows it: by the clock of the bench, which is not that of the machine.
pub(crate) async fn session(bench: &Bench, user: UserId) -> Who {
    const MILLIS_A_DAY: i64 = 86_400_000;
    let id = tower_sessions::session::Id::default().to_string();
    let now = bench.services.now();
    let record = SessionRecord {
        id: hash(&id),
        user: Some(user),
        user_agent: None,
        address: None,
        created_at: Some(now),
        seen_at: Some(now),
        expires_at: now.plus_millis(MILLIS_A_DAY),
    };
    let data = json!({ "user": user, "day": now.0.div_euclid(MILLIS_A_DAY) }).to_string();
    let mut tx = bench.store.write().await.unwrap();
    tx.insert_session(&record, &data).await.unwrap();
    tx.commit().await.unwrap();
    Who::Person(format!("waybill_session={id}"))
}

pub(crate) async fn ask(bench: &Bench, door: Door, who: &Who, fill: &dyn Fn(&str) -> String) -> (Answer, String) {
    let (path, kind, body) = request(door, fill);
    let mut request = Request::post(path)
        .header(header::CONTENT_TYPE, kind)
        .header(header::ACCEPT, "application/json")
        .header(header::HOST, "w.example");
    request = match who {
        Who::Nobody => request,
        Who::Program(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        Who::Person(cookie) => request
            .header(header::COOKIE, cookie)
            .header(header::ORIGIN, "http://w.example"),
    };
    let routes = everything(bench).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    let response = routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    // A preview answers a refusal as an answer.
    let said = [&answer["errors"][0]["extensions"]["code"], &answer["Err"]["kind"]];
    let code = said.iter().find_map(|code| code.as_str()).unwrap_or_default();
    // The mutation of product.md says it of the field.
    let unseen = code == "invalid" && text.contains("or you may not see it");
    let answer = match (status, code) {
        (StatusCode::UNAUTHORIZED, _) | (_, "signed_out") => Answer::SignIn,
        (StatusCode::NOT_FOUND, _) | (_, "not_found") => Answer::Hidden,
        (StatusCode::FORBIDDEN, _) | (_, "forbidden") => Answer::Refused,
        _ if unseen => Answer::Hidden,
        (status, _) => {
            assert!(!status.is_server_error(), "{status} {text}");
            Answer::May
        }
    };
    (answer, text)
}

#[tokio::test]
async fn everybody_may_what_the_table_says() {
    let bench = Bench::new().await;
    bench.registry.push(API, "one", &digest("a"));
    let (admin, admin_token) = bench.program("demo", "admin", Role::Admin).await;
    bench.apply(&admin, &document()).await;
    let services = &bench.services;
    let program = |token: &SecretString| Who::Program(token.expose_secret().to_owned());
    let mut columns = vec![Who::Nobody];
    columns.push(program(&bench.program("other", "admin", Role::Admin).await.1));
    for (name, role) in [
        ("viewer", Role::Viewer),
        ("developer", Role::Developer),
        ("approver", Role::Approver),
    ] {
        columns.push(program(&bench.program("demo", name, role).await.1));
    }
    columns.push(program(&admin_token));
    let (ada, ada_id) = bench.member("ada@example.com", "demo", Role::Admin).await;
    let person = session(&bench, ada_id).await;
    for (name, part) in [("blog", ("blog", "")), ("production", ("myapp", "production"))] {
        let new = server::service::token::NewToken {
            name,
            role: Role::Developer,
            expires_in_millis: None,
        };
        columns.push(program(
            &services.create_token_for(&ada, "demo", &new, part).await.unwrap(),
        ));
    }

    let member = bench.person("bob@example.com").await;
    let mut tx = bench.store.write().await.unwrap();
    let workspace = admin.access[0].0.id;
    tx.set_membership(workspace, member, Role::Viewer).await.unwrap();
    let project = tx
        .projects(workspace)
        .await
        .unwrap()
        .into_iter()
        .find(|p| p.project.name.as_str() == "myapp");
    let project = project.unwrap().project.id;
    let development = tx.environments(project).await.unwrap()[0].id;
    let api = tx.resource_by_name(development, "api").await.unwrap().unwrap();
    let promotion = tx.promotions_of(api.id, 1).await.unwrap().remove(0).id;
    tx.commit().await.unwrap();
    let spare = bench.program("demo", "spare", Role::Viewer).await;
    drop(spare);
    let listed = services.tokens(&admin, "demo").await.unwrap().tokens;
    let token = listed.iter().find(|token| token.name == "spare").unwrap().id;
    let link = services
        .invite(&ada, "demo", "eve@example.com", "viewer")
        .await
        .unwrap()
        .link;
    let key = link.split_once("key=").unwrap().1.to_owned();
    services
        .invite(&ada, "demo", "off@example.com", "viewer")
        .await
        .unwrap();
    let open = services.members(&admin, "demo").await.unwrap().invitations;
    let invitation = open.iter().find(|row| row.email == "off@example.com").unwrap().id;
    let draft = app::api::notification::ChannelDraft {
        name: "channel".into(),
        project: "myapp".into(),
        kind: "slack".into(),
        // Nobody listens there.
        address: "http://127.0.0.1:9/".into(),
        occasions: "failed".into(),
        environments: String::new(),
    };
    services.add_channel(&admin, "demo", draft).await.unwrap();
    let channel = services.notifications(&admin, "demo").await.unwrap().channels[0].id;
    let fill = |text: &str| {
        text.replace("{development}", DEVELOPMENT)
            .replace("{production}", PRODUCTION)
            .replace("{digest}", &digest("a"))
            .replace("{promotion}", &promotion.to_string())
            .replace("{member}", &member.to_string())
            .replace("{token}", &token.to_string())
            .replace("{invitation}", &invitation.to_string())
            .replace("{key}", &key)
            .replace("{channel}", &channel.to_string())
    };

    let mut wrong = Vec::new();
    for (name, door, answers) in TABLE {
        for (column, (who, letter)) in columns.iter().zip(answers.chars()).enumerate() {
            let mut asked = vec![(
                who,
                match letter {
                    's' => Answer::SignIn,
                    'h' => Answer::Hidden,
                    'r' | 'p' => Answer::Refused,
                    _ => Answer::May,
                },
            )];
            if letter == 'p' {
                assert_eq!(column, 5, "the person of the table is an administrator");
                asked.push((&person, Answer::May));
            }
            for (who, wanted) in asked {
                let (answer, text) = ask(&bench, *door, who, &fill).await;
                if answer != wanted {
                    wrong.push(format!(
                        "{name} {door:?}, column {column}: {answer:?} instead of {wanted:?}: {text}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
