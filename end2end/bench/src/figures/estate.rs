//! A server that knows many resources and a long history: projects of five environments, written into its database.
//!
//! The first service of each environment is applied, as a person would, and promoted once; all other rows are copies. Git
//! declares the same as the rows, so that what the server reads is what it knows.

use super::deployment::PATIENCE;
use crate::{
    Outcome,
    repository::{self, values},
    seed::{Copies, old_id},
    world::{Ground, Server, tag},
};
use argocd_standin::{AppSpec, Options, Policy, Standin, Timing, TokenGrant, token_for};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const ENVIRONMENTS: usize = 5;

const IMAGE: &str = "bench/estate";

/// Image of the first service, of its own: it is promoted while Waybill doesn't know yet that others share an image.
const FIRST: &str = "bench/first";

/// Builds of the image; most resources run the last.
const BUILDS: usize = 8;

/// Who the stand-in's token belongs to.
const SUBJECT: &str = "proj:p00:waybill";

/// How large.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) projects: usize,
    pub(crate) services: usize,
    pub(crate) promotions: usize,
    /// Whether there is an Argo CD.
    pub(crate) argocd: bool,
}

/// A server that knows them.
pub(crate) struct Estate {
    pub(crate) server: Server,
    pub(crate) standin: Option<Standin>,
    /// A digest that nothing runs at first.
    pub(crate) first_build: String,
    pub(crate) image: String,
}

pub(crate) fn project(n: usize) -> String {
    format!("p{n:02}")
}

pub(crate) fn environment(n: usize) -> String {
    format!("env-{n}")
}

pub(crate) fn service(n: usize) -> String {
    format!("svc-{n:04}")
}

pub(crate) fn token() -> String {
    token_for(SUBJECT)
}

fn path(p: usize, e: usize) -> String {
    format!("{}/{}/values.yaml", project(p), environment(e))
}

/// What Git declares: some are behind in the last two environments.
fn build_of(e: usize, s: usize) -> usize {
    match (e, s) {
        (3.., s) if s % 5 == 1 => BUILDS - 3,
        _ => BUILDS,
    }
}

impl Estate {
    pub(crate) async fn start(ground: &Ground, name: &str, size: Size) -> Outcome<Self> {
        eprintln!(
            "Setting up {} × {} × {ENVIRONMENTS} resources with {} promotions …",
            size.projects, size.services, size.promotions
        );
        let mut digests = Vec::new();
        for n in 1..=BUILDS {
            digests.push(ground.build(IMAGE, n).await?);
        }
        let firsts = [ground.build(FIRST, 1).await?, ground.build(FIRST, 2).await?];
        let image = format!("{}/{IMAGE}", ground.registry.host());
        let first = format!("{}/{FIRST}", ground.registry.host());
        let mut files = Vec::new();
        for p in 0..size.projects {
            for e in 0..ENVIRONMENTS {
                let services = (0..size.services).map(|s| {
                    // The very first is promoted at the beginning.
                    let (image, builds, build) = match (e, s) {
                        (4, 0) => (&first, &firsts[..], 1),
                        (_, 0) => (&first, &firsts[..], 2),
                        _ => (&image, &digests[..], build_of(e, s)),
                    };
                    let digest = builds.get(build - 1).map_or("", String::as_str);
                    (service(s), image.as_str(), build, digest)
                });
                files.push((path(p, e), values(services)));
            }
        }
        let repository = ground.repositories().join(format!("{name}.git"));
        repository::create(&repository, &files, 0, 1)?;
        let standin = if size.argocd {
            Some(start_standin(&repository.display().to_string()).await?)
        } else {
            None
        };
        let mut server = ground.server(name).await?;
        let argocd = standin.as_ref().map(|standin| {
            json!({ "url": standin.url(), "token": token(), "application": "{project}-{environment}", "project": "p00" })
        });
        let document = document(ground, name, &first, size, argocd);
        server.apply(&document).await?;
        server.idle(PATIENCE).await?;
        // From here on it looks when it is told to: it shares the machine with what is measured.
        if let Some(standin) = &standin {
            standin.set_timing(timing(Duration::from_secs(3600)));
        }
        server.stop().await;
        seed(&server, size, &image, &digests).await?;
        server.start().await?;
        server.idle(PATIENCE).await?;
        Ok(Self {
            server,
            standin,
            first_build: digests.swap_remove(0),
            image,
        })
    }
}

/// A quick Argo CD that looks at everything by itself this often.
fn timing(poll: Duration) -> Timing {
    Timing { poll, ..Timing::fast() }
}

async fn start_standin(repository: &str) -> Outcome<Standin> {
    let standin = Standin::start(Options {
        tokens: vec![TokenGrant::new(SUBJECT, Policy::promoter("p00"))],
        timing: timing(Duration::from_millis(500)),
        ..Options::default()
    })
    .await?;
    for e in 0..ENVIRONMENTS {
        let mut app = AppSpec::new(&format!("p00-{}", environment(e)), "p00", repository, &path(0, e));
        app.automated = true;
        standin.upsert_app(app);
    }
    Ok(standin)
}

fn document(ground: &Ground, repository: &str, image: &str, size: Size, argocd: Option<Value>) -> Value {
    let source = |e: usize| match e {
        0 => json!({ "image": image }),
        _ => json!({ "promote": { "environment": environment(e - 1), "resource": service(0) } }),
    };
    let environments: Vec<Value> = (0..ENVIRONMENTS)
        .map(|e| {
            json!({
                "name": environment(e), "cluster": "one",
                "resources": [{ "name": service(0), "source": source(e), "runtime": { "replicas": 2, "ports": [8080] } }],
            })
        })
        .collect();
    let projects: Vec<Value> = (0..size.projects)
        .map(|p| {
            json!({
                "name": project(p),
                "repository": ground.repository(&format!("{repository}.git")),
                "pathTemplate": format!("{}/{{environment}}/values.yaml", project(p)),
                "environments": environments,
            })
        })
        .collect();
    json!({ "workspace": "bench", "clusters": [ground.cluster("one", argocd)], "projects": projects })
}

/// Copies rows: resources of every environment, promotions of all of them in turn, an event for each.
async fn seed(server: &Server, size: Size, image: &str, digests: &[String]) -> Outcome<()> {
    let database = &server.database;
    let desired = |e: usize, what: &dyn Fn(usize) -> String| {
        let (behind, usual) = (what(build_of(e, 1)), what(build_of(e, 2)));
        format!("CASE WHEN n % 5 = 1 THEN '{behind}' ELSE '{usual}' END")
    };
    let mut statements = Vec::new();
    for p in 0..size.projects {
        for e in 0..ENVIRONMENTS {
            let kind = 16 + p * ENVIRONMENTS + e;
            let mut columns = vec![
                ("id", old_id(kind, "n")),
                ("name", "printf('svc-%04d', n)".to_owned()),
                ("key", "printf('svc-%04d', n)".to_owned()),
                (
                    "image_repository",
                    (if e == 0 { format!("'{image}'") } else { "NULL".into() }),
                ),
                ("desired_repository", format!("'{image}'")),
                ("desired_tag", desired(e, &tag)),
                (
                    "desired_digest",
                    desired(e, &|build| digests.get(build - 1).cloned().unwrap_or_default()),
                ),
            ];
            // All stay where they are: otherwise they would follow one another while something is measured.
            let digest = |build: usize| digests.get(build - 1).cloned().unwrap_or_default();
            columns.push(("pin", desired(e, &digest)));
            if e > 0 {
                columns.push(("source_id", old_id(kind - 1, "n")));
            }
            let template = format!(
                "name = '{}' AND environment_id = (SELECT e.id FROM environments e JOIN projects p ON p.id = e.project_id \
                 WHERE e.name = '{}' AND p.name = '{}')",
                service(0),
                environment(e),
                project(p)
            );
            let copies = Copies {
                table: "resources",
                template,
                first: 1,
                count: size.services - 1,
                columns,
                beside: None,
            };
            if copies.count > 0 {
                statements.push(database.copies(&copies).await?);
            }
        }
    }
    statements.push(
        "CREATE TEMP TABLE targets AS SELECT ROW_NUMBER() OVER (ORDER BY r.id) - 1 AS k, r.id AS resource_id, \
         e.id AS environment_id, e.project_id FROM resources r JOIN environments e ON e.id = r.environment_id"
            .into(),
    );
    statements.push("CREATE UNIQUE INDEX temp.targets_by_k ON targets (k)".into());
    let targets = size.projects * size.services * ENVIRONMENTS;
    let beside = || Some(("targets".to_owned(), format!("x.k = n % {targets}")));
    let place = || ["resource_id", "environment_id", "project_id"].map(|column| (column, format!("x.{column}")));
    let succeeded = "(SELECT MAX(id) FROM promotions WHERE state = 'succeeded')";
    // They are older than what is there, which is given higher numbers.
    statements.push(format!("UPDATE promotions SET number = number + {}", size.promotions));
    let mut columns = vec![("id", old_id(1, "n")), ("number", format!("n / {targets} + 1"))];
    columns.extend(place());
    statements.push(
        database
            .copies(&Copies {
                table: "promotions",
                template: format!("id = {succeeded}"),
                first: 0,
                count: size.promotions,
                columns,
                beside: beside(),
            })
            .await?,
    );
    // Each at a moment of its own, as they come to be: searches of the ledger go along its times.
    let at = format!("t.at - {} + n", size.promotions);
    let mut columns = vec![
        ("sequence", "NULL".to_owned()),
        ("at", at),
        ("promotion_id", old_id(1, "n")),
    ];
    columns.extend(place());
    statements.push(
        database
            .copies(&Copies {
                table: "events",
                template: format!("sequence = (SELECT MAX(sequence) FROM events WHERE promotion_id = {succeeded})"),
                first: 0,
                count: size.promotions,
                columns,
                beside: beside(),
            })
            .await?,
    );
    statements.push("DROP TABLE targets".into());
    database.run(&statements).await
}
