//! The usual repository, 20 environments × 200 services in one values file each, with a Git-only cluster: what a promotion costs
//! until its commit is on the remote, and nothing after it.
//!
//! Services of an environment, by number: 0 to 3 are applied, as a person would; the rest is copied from them in the database.
//! 0 is what bursts promote from, 1 is followed by many, 2 by one, 3 is promoted back and forth.

use crate::{
    Outcome,
    clock::now,
    repository::{self, values, values_path},
    scale::Scale,
    seed::{Copies, new_id, next_number, old_id},
    world::{Ground, Server, tag},
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

pub(crate) const PROJECT: &str = "shop";

const ENVIRONMENTS: usize = 20;

const SERVICES: usize = 200;

/// Services that a burst promotes, in every environment but the first.
const BURST: std::ops::Range<usize> = 10..70;

/// Services that follow the one that many follow.
const FOLLOWERS: std::ops::Range<usize> = 70..130;

/// Services that are promoted while somebody else pushes.
const CONTENDED: std::ops::Range<usize> = 130..145;

/// Image of most services.
const APP: &str = "bench/app";

/// Images of what is followed.
const FAN: &str = "bench/fan";

const FOLLOW: &str = "bench/follow";

/// How long anything may take before it is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A server with that repository.
pub(crate) struct Deployment<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) scale: Scale,
    pub(crate) server: Server,
    /// The bare repository.
    pub(crate) repository: PathBuf,
    pub(crate) url: String,
    /// Digests of the builds of [`APP`], the first at 0.
    builds: Vec<String>,
    bursts: usize,
    news: usize,
}

pub(crate) fn environment(n: usize) -> String {
    format!("env-{n:02}")
}

pub(crate) fn service(n: usize) -> String {
    format!("svc-{n:03}")
}

/// The image of a service and its build, as Git declares them at first.
fn declared(environment: usize, service: usize) -> (&'static str, usize) {
    match (environment, service) {
        (_, 1) | (1.., 70..130) => (FAN, 1),
        (_, 2) => (FOLLOW, 1),
        // Two sources that differ, so that there is always something to promote.
        (2, 3) => (APP, 2),
        (0, 130..145) => (APP, 2),
        _ => (APP, 1),
    }
}

impl<'a> Deployment<'a> {
    pub(crate) async fn start(ground: &'a Ground, scale: &Scale) -> Outcome<Self> {
        eprintln!("Setting up {ENVIRONMENTS} environments × {SERVICES} services …");
        let mut builds = Vec::new();
        for n in 1..=scale.bursts + 2 {
            builds.push(ground.build(APP, n).await?);
        }
        let (fan, follow) = (ground.build(FAN, 1).await?, ground.build(FOLLOW, 1).await?);
        let host = ground.registry.host();
        let digest = |image: &str, build: usize| match image {
            FAN => fan.as_str(),
            FOLLOW => follow.as_str(),
            _ => builds.get(build - 1).map_or("", String::as_str),
        };
        let images = [APP, FAN, FOLLOW].map(|image| (image, format!("{host}/{image}")));
        let full = |image: &str| {
            images
                .iter()
                .find(|(name, _)| *name == image)
                .map_or("", |(_, full)| full)
        };
        let files: Vec<(String, String)> = (0..ENVIRONMENTS)
            .map(|e| {
                let services = (0..SERVICES).map(|s| {
                    let (image, build) = declared(e, s);
                    (service(s), full(image), build, digest(image, build))
                });
                (values_path(&environment(e)), values(services))
            })
            .collect();
        let repository = ground.repositories().join("shop.git");
        repository::create(&repository, &files, 0, 1)?;

        let mut server = ground.server("shop").await?;
        server.apply(&document(ground, &host, &builds)).await?;
        server.idle(PATIENCE).await?;
        server.stop().await;
        seed(&server, &builds, scale).await?;
        server.start().await?;
        let mut deployment = Self {
            ground,
            scale: *scale,
            server,
            url: ground.git.url("shop.git"),
            repository,
            builds,
            bursts: 0,
            news: 1,
        };
        // Warms the mirror and everything else up; and it is the row that bursts are copied from.
        deployment.promote(0).await?;
        deployment.server.idle(PATIENCE).await?;
        Ok(deployment)
    }

    /// Promotes service 3 of the second environment, to another digest each `time`; the promotion's id.
    pub(crate) async fn promote(&mut self, time: usize) -> Outcome<String> {
        let from = if time.is_multiple_of(2) { 2 } else { 0 };
        self.server
            .promote(PROJECT, &service(3), &environment(from), &environment(1))
            .await
    }

    /// A `time` at which [`Self::promote`] has something to promote, whatever it promoted last.
    pub(crate) async fn next_time(&self) -> Outcome<usize> {
        let query = format!(
            "SELECT desired_digest FROM resources WHERE name = '{}' AND environment_id = (SELECT id FROM environments WHERE name = '{}')",
            service(3),
            environment(1)
        );
        let runs = self.server.database.text(&query).await?;
        Ok(usize::from(runs == self.some_digest(1)))
    }

    /// Writes what the environment asks for that [`Self::promote`] promotes to.
    pub(crate) async fn set_policy(&self, text: &str) -> Outcome<()> {
        self.server.set_policy(PROJECT, &environment(1), text).await
    }

    /// Promotes the `n`th of those that are promoted once, while somebody else pushes.
    pub(crate) async fn promote_contended(&self, n: usize) -> Outcome<String> {
        let (s, e) = (CONTENDED.start + n / (ENVIRONMENTS - 1), 1 + n % (ENVIRONMENTS - 1));
        self.server
            .promote(PROJECT, &service(s), &environment(0), &environment(e))
            .await
    }

    /// A digest for scripts to write.
    pub(crate) fn some_digest(&self, n: usize) -> &str {
        self.builds.get(n % 2).map_or("", String::as_str)
    }

    /// Records `count` promotions of one service each in one transaction, spread over the environments, and wakes the worker.
    /// Returns when they were recorded, and their ids.
    pub(crate) async fn record_burst(&mut self, count: usize) -> Outcome<(f64, Vec<String>)> {
        let build = self.bursts + 1;
        self.bursts += 1;
        let digest = self.builds.get(build).ok_or("no build is left for another burst")?;
        let database = &self.server.database;
        let began = now();
        let millis = format!("CAST({:.0} AS INTEGER)", began * 1000.0);
        let columns = vec![
            ("id", new_id(began, "n")),
            ("number", next_number("x.id")),
            ("environment_id", "x.environment_id".into()),
            ("resource_id", "x.id".into()),
            ("tag", format!("'{}'", tag(build + 1))),
            ("digest", format!("'{digest}'")),
            ("state", "'queued'".into()),
            ("waits_for", "NULL".into()),
            ("commit_id", "NULL".into()),
            ("committed_at", "NULL".into()),
            ("attempts", "0".into()),
            ("tries", "1".into()),
            ("created_at", millis.clone()),
            ("state_since", millis.clone()),
            ("ended_at", "NULL".into()),
            ("next_at", millis.clone()),
            ("lease_owner", "NULL".into()),
            ("lease_until", "NULL".into()),
        ];
        let targets = format!(
            "(SELECT id, environment_id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS k FROM resources WHERE name BETWEEN '{}' AND '{}' \
             AND pin IS NOT NULL AND source_id IS NOT NULL)",
            service(BURST.start),
            service(BURST.end - 1)
        );
        let copies = database
            .copies(&Copies {
                table: "promotions",
                template:
                    "id = (SELECT MAX(id) FROM promotions WHERE state = 'succeeded' AND origin_resource IS NOT NULL)"
                        .into(),
                first: 0,
                count,
                columns,
                beside: Some((targets, "x.k = n".into())),
            })
            .await?;
        database.run(&[copies]).await?;
        let recorded = now();
        // The worker may have begun already: they are told by their moment, not by their state.
        let ids = database
            .texts(&format!(
                "SELECT id FROM promotions WHERE created_at = {millis} AND digest = '{digest}'"
            ))
            .await?;
        if ids.len() != count {
            return Err(format!("{} promotions were recorded instead of {count}", ids.len()).into());
        }
        Ok((recorded, ids))
    }

    /// Publishes a new build of what is followed by many, or by one. Returns when the notification was sent, and the digest.
    pub(crate) async fn publish(&mut self, many: bool) -> Outcome<(f64, String)> {
        let image = if many { FAN } else { FOLLOW };
        self.news += 1;
        let digest = self.ground.build(image, self.news).await?;
        let sent = self.server.notify(image, &tag(self.news), &digest).await?;
        Ok((sent, digest))
    }
}

fn document(ground: &Ground, host: &str, builds: &[String]) -> Value {
    let image = |name: &str| json!({ "image": format!("{host}/{name}") });
    let from = |e: usize, s: usize| json!({ "promote": { "environment": environment(e), "resource": service(s) } });
    let (one, two) = (&builds[0], &builds[1]);
    let environments: Vec<Value> = (0..ENVIRONMENTS)
        .map(|e| {
            let resources = match e {
                0 => json!([
                    { "name": service(0), "source": image(APP), "binding": { "pin": one } },
                    { "name": service(1), "source": image(FAN) },
                    { "name": service(2), "source": image(FOLLOW) },
                    { "name": service(3), "source": image(APP), "binding": { "pin": one } },
                ]),
                1 => json!([
                    { "name": service(0), "source": from(0, 0), "binding": { "pin": one } },
                    { "name": service(1), "source": from(0, 1) },
                    { "name": service(2), "source": from(0, 2) },
                    { "name": service(3), "source": from(0, 3), "binding": { "pin": one } },
                ]),
                2 => json!([{ "name": service(3), "source": image(APP), "binding": { "pin": two } }]),
                _ => json!([]),
            };
            json!({ "name": environment(e), "cluster": "git-only", "resources": resources })
        })
        .collect();
    json!({
        "workspace": "bench",
        "clusters": [ground.cluster("git-only", None)],
        "projects": [{ "name": PROJECT, "repository": ground.repository("shop.git"), "environments": environments }],
    })
}

/// Copies the applied resources to the services that bursts, followers and the contended promotions need.
async fn seed(server: &Server, builds: &[String], scale: &Scale) -> Outcome<()> {
    let database = &server.database;
    let row = |e: usize, s: usize| {
        format!(
            "name = '{}' AND environment_id = (SELECT id FROM environments WHERE name = '{}')",
            service(s),
            environment(e)
        )
    };
    let others = ENVIRONMENTS - 1;
    let environment_of =
        |n: &str| format!("(SELECT id FROM environments WHERE name = printf('env-%02d', 1 + ({n}) % {others}))");
    let mut statements = Vec::new();
    for (kind, services, template) in [(1, BURST, (1, 0)), (2, FOLLOWERS, (1, 1))] {
        let count = if kind == 2 {
            scale.fanout
        } else {
            services.len() * others
        };
        statements.push(
            database
                .copies(&Copies {
                    table: "resources",
                    template: row(template.0, template.1),
                    first: 0,
                    // The applied one follows too.
                    count: if kind == 2 { count - 1 } else { count },
                    columns: vec![
                        ("id", old_id(kind, "n")),
                        ("environment_id", environment_of("n")),
                        ("name", format!("printf('svc-%03d', {} + n / {others})", services.start)),
                        ("key", format!("printf('svc-%03d', {} + n / {others})", services.start)),
                    ],
                    beside: None,
                })
                .await?,
        );
    }
    let sources = CONTENDED.len();
    statements.push(
        database
            .copies(&Copies {
                table: "resources",
                template: row(0, 3),
                first: 0,
                count: sources,
                columns: vec![
                    ("id", old_id(3, "n")),
                    ("name", format!("printf('svc-%03d', {} + n)", CONTENDED.start)),
                    ("key", format!("printf('svc-%03d', {} + n)", CONTENDED.start)),
                    ("pin", format!("'{}'", builds[1])),
                    ("desired_digest", format!("'{}'", builds[1])),
                    ("desired_tag", format!("'{}'", tag(2))),
                ],
                beside: None,
            })
            .await?,
    );
    statements.push(
        database
            .copies(&Copies {
                table: "resources",
                template: row(1, 3),
                first: 0,
                count: sources * others,
                columns: vec![
                    ("id", old_id(4, "n")),
                    ("environment_id", environment_of("n")),
                    (
                        "name",
                        format!("printf('svc-%03d', {} + n / {others})", CONTENDED.start),
                    ),
                    ("key", format!("printf('svc-%03d', {} + n / {others})", CONTENDED.start)),
                    ("source_id", old_id(3, &format!("n / {others}"))),
                ],
                beside: None,
            })
            .await?,
    );
    database.run(&statements).await
}
