//! A workspace with projects and environments of every kind, and everybody who may be asked about.

use super::{
    WHO,
    doors::{Who, session},
};
use crate::{
    rest::everything,
    support::{Bench, digest},
};
use axum::Router;
use contract::{backend::At, source::SourceHostDraft};
use domain::{
    id::{ProjectId, UserId},
    promotion::State,
    rights::Role,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use server::service::{
    Caller,
    access::{self, NewToken},
    configure, promotion,
};

const API: &str = "127.0.0.1:5000/myapp/api";
/// Promotions that wait in `guarded`, each of a resource of its own.
const WAITING: [&str; 2] = ["waiting", "unwanted"];

/// A workspace with the projects `myapp` and `blog`.
pub(crate) fn document() -> Value {
    let resources = json!([{ "name": "api", "source": { "image": API } }]);
    let project = |name: &str, environments: Value| json!({ "name": name, "repository": { "url": format!("/srv/git/{name}.git") }, "environments": environments });
    json!({
        "workspace": "demo",
        "clusters": [{ "name": "local", "registry": { "host": "127.0.0.1:5000", "plainHttp": true } }],
        "projects": [
            project("myapp", json!([
                { "name": "development", "cluster": "local", "resources": resources },
                { "name": "production", "cluster": "local", "protected": true, "resources": [follows("api")] },
            ])),
            project("blog", json!([{ "name": "development", "cluster": "local" }])),
        ],
    })
}

/// A resource that follows `api` in development.
fn follows(name: &str) -> Value {
    json!({ "name": name, "source": { "promote": { "environment": "development", "resource": "api" } } })
}

/// The same with an environment for a group, and one that waits for approvals: more than there are people.
fn whole() -> Value {
    let mut document = document();
    // It is just being promoted to: see `busy`.
    let development = document["projects"][0]["environments"][0]["resources"]
        .as_array_mut()
        .unwrap();
    development.push(json!({ "name": "busy", "source": { "image": API } }));
    document["groups"] = json!([{ "name": "release", "members": ["gil@example.com", "rita@example.com"] }]);
    let environments = document["projects"][0]["environments"].as_array_mut().unwrap();
    environments.push(json!({
        "name": "closed", "cluster": "local", "restrictedTo": ["release"], "resources": [follows("api"), follows("web")],
        "policy": { "approvals": { "count": 20, "by": [{ "group": "release" }] } },
    }));
    environments.push(json!({
        "name": "guarded", "cluster": "local", "resources": [follows("api"), follows(WAITING[0]), follows(WAITING[1])],
        "policy": {
            "approvals": { "count": 20 },
            "overrides": [{ "gates": ["approvals"], "by": [{ "role": "admin" }] }],
        },
    }));
    document
}

/// Who asks, and what they ask about.
pub(super) struct Place {
    pub(super) bench: Bench,
    pub(super) routes: Router,
    everybody: Vec<Somebody>,
    /// Marks of the table, and what stands for them.
    marks: Vec<(&'static str, String)>,
    /// The same, different for each of [`WHO`]: what one removed, the next could not find.
    own: Vec<Vec<(&'static str, String)>>,
}

enum Somebody {
    Nobody,
    Program(SecretString),
    Person(UserId),
}

impl Place {
    pub(super) async fn new() -> Self {
        let bench = Bench::new().await;
        bench.registry.push(API, "one", &digest("a"));
        bench
            .git
            .declare("environments/development/values.yaml", "api", API, "one", &digest("a"));
        let (admin, admins) = bench.program("demo", "admin", Role::Admin).await;
        let (ada, _) = bench.member("ada@example.com", "demo", Role::Admin).await;

        let mut everybody = vec![Somebody::Nobody];
        everybody.push(Somebody::Program(bench.program("other", "admin", Role::Admin).await.1));
        for (name, role) in [
            ("viewer", Role::Viewer),
            ("developer", Role::Developer),
            ("approver", Role::Approver),
        ] {
            everybody.push(Somebody::Program(bench.program("demo", name, role).await.1));
        }
        everybody.push(Somebody::Program(admins));
        let mut people = Vec::new();
        // With what the project says otherwise of them, in the end.
        for (name, workspace, role, otherwise) in [
            ("olga", "other", Role::Admin, None),
            ("vic", "demo", Role::Viewer, None),
            ("dan", "demo", Role::Developer, None),
            ("amy", "demo", Role::Approver, None),
            ("adam", "demo", Role::Admin, None),
            ("gil", "demo", Role::Approver, None),
            ("less", "demo", Role::Admin, Some(Some(Role::Viewer))),
            ("more", "demo", Role::Viewer, Some(Some(Role::Admin))),
            ("none", "demo", Role::Admin, Some(None)),
        ] {
            people.push((person(&bench, name, workspace, role).await, otherwise));
        }
        // Who asks for what waits.
        let rita = person(&bench, "rita", "demo", Role::Developer).await;
        bench.apply(&admin, &whole()).await;
        let project = project(&bench, &admin, "myapp").await;
        let mut tx = bench.store.write().await.unwrap();
        for (person, otherwise) in &people {
            if let Some(role) = otherwise {
                tx.set_project_role(project, *person, *role).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        for (name, part) in [("blog", ("blog", "")), ("production", ("myapp", "production"))] {
            let new = NewToken {
                name,
                role: Role::Developer,
                expires_in_millis: None,
            };
            let token = access::create_token_for(&bench.services, &ada, "demo", &new, part).await;
            everybody.push(Somebody::Program(token.unwrap()));
        }
        everybody.extend(people.into_iter().map(|(person, _)| Somebody::Person(person)));
        assert_eq!(everybody.len(), WHO.len());

        busy(&bench, project).await;
        let marks = marks(&bench, rita).await;
        let mut own = Vec::new();
        for n in 0..WHO.len() {
            own.push(made_for(&bench, &ada, n).await);
        }
        Self {
            routes: everything(&bench),
            bench,
            everybody,
            marks,
            own,
        }
    }

    /// All of [`WHO`]; people with a session that has only begun.
    pub(super) async fn everybody(&self) -> Vec<Who> {
        let mut all = Vec::new();
        for one in &self.everybody {
            all.push(match one {
                Somebody::Nobody => Who::Nobody,
                Somebody::Program(token) => Who::Program(token.expose_secret().to_owned()),
                Somebody::Person(id) => session(&self.bench, *id).await,
            });
        }
        all
    }

    /// What one of [`WHO`] says for the marks in a text.
    pub(super) fn fill(&self, text: &str, n: usize) -> String {
        let marks = self.marks.iter().chain(&self.own[n]);
        marks.fold(text.to_owned(), |text, (mark, what)| text.replace(mark, what))
    }
}

/// Has the commit of a promotion be on the branch, as a worker would: what it is about can't be deleted.
async fn busy(bench: &Bench, project: ProjectId) {
    let now = bench.services.now();
    let mut tx = bench.store.write().await.unwrap();
    let resources = tx.resources(project).await.unwrap();
    let busy = resources
        .iter()
        .find(|resource| resource.name.as_str() == "busy")
        .unwrap();
    let mut promotion = tx.open_promotions(busy.id).await.unwrap().remove(0);
    for state in [State::Mirroring, State::Committing, State::Syncing] {
        let from = promotion.state;
        promotion = promotion.become_(state, now).unwrap();
        tx.update_promotion(&promotion, from, now).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// A member who never types a password: that they know it takes time to check.
async fn person(bench: &Bench, name: &str, workspace: &str, role: Role) -> UserId {
    let id = bench.person(&format!("{name}@example.com")).await;
    let mut tx = bench.store.write().await.unwrap();
    let workspace = tx.workspace_by_name(workspace).await.unwrap().unwrap();
    tx.set_membership(workspace.id, id, role).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn project(bench: &Bench, caller: &Caller, name: &str) -> ProjectId {
    let mut tx = bench.store.read().await.unwrap();
    let all = tx.projects(caller.access[0].0.id).await.unwrap();
    let found = all.into_iter().find(|p| p.project.name.as_str() == name);
    found.unwrap().project.id
}

/// What stands for the marks that mean the same for everybody.
async fn marks(bench: &Bench, rita: UserId) -> Vec<(&'static str, String)> {
    bench.registry.push(API, "two", &digest("b"));
    let rita = access::caller_of_user(&bench.services, rita).await.unwrap().unwrap();
    let at = |environment: &str| At {
        workspace: "demo".into(),
        project: "myapp".into(),
        environment: environment.into(),
    };
    let asked = async |environment: &str, resource: &str| {
        let asked = promotion::promote(&bench.services, &rita, &at(environment), resource, false).await;
        asked.unwrap().to_string()
    };
    let place = |environment: &str| format!("workspace=demo&project=myapp&environment={environment}");
    let target =
        |environment: &str| format!("target[workspace]=demo&target[project]=myapp&target[environment]={environment}");
    vec![
        ("{workspace}", "demo".into()),
        ("{development}", place("development")),
        ("{production}", place("production")),
        ("{closed}", place("closed")),
        ("{guarded}", place("guarded")),
        ("{target development}", target("development")),
        ("{target closed}", target("closed")),
        ("{digest}", digest("a")),
        ("{recalled}", digest("9")),
        ("{promotion}", asked("development", "api").await),
        ("{waiting}", asked("guarded", WAITING[0]).await),
        ("{unwanted}", asked("guarded", WAITING[1]).await),
        ("{only release}", asked("closed", "web").await),
    ]
}

/// Things to be changed and removed by one of [`WHO`].
async fn made_for(bench: &Bench, ada: &Caller, n: usize) -> Vec<(&'static str, String)> {
    let services = &bench.services;
    let name = |what: &str| format!("{what}-{n}");
    let member = person(bench, &name("member"), "demo", Role::Viewer).await;
    bench.program("demo", &name("spare"), Role::Viewer).await;
    let tokens = access::tokens(services, ada, "demo").await.unwrap().tokens;
    let token = tokens.iter().find(|token| token.name == name("spare")).unwrap().id;
    let email = |what: &str| format!("{}@example.com", name(what));
    let link = access::invite(services, ada, "demo", &email("eve"), "viewer")
        .await
        .unwrap()
        .link;
    access::invite(services, ada, "demo", &email("off"), "viewer")
        .await
        .unwrap();
    let open = access::members(services, ada, "demo").await.unwrap().invitations;
    let invitation = open.iter().find(|row| row.email == email("off")).unwrap().id;
    let (channel, delivery) = bench.channel(ada, &name("channel")).await;
    let listed = format!("{}.example", name("listed"));
    let host = SourceHostDraft {
        host: listed.clone(),
        ..SourceHostDraft::default()
    };
    configure::save_source_host(services, ada, "demo", &host, &SecretString::default())
        .await
        .unwrap();
    vec![
        ("{listed}", listed),
        ("{member}", member.to_string()),
        ("{token}", token.to_string()),
        ("{invitation}", invitation.to_string()),
        ("{key}", link.split_once("key=").unwrap().1.to_owned()),
        ("{channel}", channel.id.to_string()),
        ("{delivery}", delivery.id.to_string()),
        ("{group}", name("group")),
        ("{new}", name("new")),
    ]
}
