//! The inbox of a person for whom many promotions wait: how long the server takes for its page.
//!
//! One promotion is asked for and waits, as any would; the others are copies of it, one for each resource whose environment
//! asks for approvals.
//!
//! What is timed is the same request again and again. Until the ledger grows the server keeps two things from one to the next:
//! which promotions of a workspace wait and where (`service/context/inbox.rs`), and the cells of projects, which are counted in every page's
//! rail (`service/context/cells.rs`). What of it the reader may decide about, and all that is listed, is read and written anew each time.
//! Where much happens the ledger grows between any two requests: the note says what the page takes then, and its server function,
//! which has no rail.

use super::estate::{ENVIRONMENTS, Estate, Size, environment, project, service};
use crate::{
    Outcome,
    clock::{median, now},
    person::Person,
    report::{Report, number},
    scale::Scale,
    seed::{Copies, new_id, next_number},
    world::Ground,
};

/// What each environment asks for, but the first.
const POLICY: &str = "approvals: { count: 1 }";

/// Resources of an environment for which something waits.
const SERVICES: usize = 250;

/// Promotions of a project that wait.
const PER_PROJECT: usize = SERVICES * (ENVIRONMENTS - 1);

/// After how many seconds the worker looks again at what waits for people.
const LOOK: f64 = 600.0;

/// Measures `inbox_10k_p50`.
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let size = Size {
        projects: scale.waiting / PER_PROJECT,
        // The first of each environment is the one that was promoted: nothing waits for it.
        services: SERVICES + 1,
        promotions: scale.waiting,
        argocd: false,
    };
    let mut estate = Estate::start(ground, "inbox", size).await?;
    fill(&mut estate, size).await?;
    let server = &estate.server;
    let person = server.sign_in().await?;
    let bytes = check(&person, scale.waiting).await?;
    for _ in 0..3 {
        render(&person).await?;
    }
    let (mut times, mut sent) = (Vec::new(), 0);
    for _ in 0..scale.renders {
        let began = now();
        sent = render(&person).await?;
        times.push(now() - began);
    }
    let (mut grown, mut asked) = (Vec::new(), Vec::new());
    for n in 0..scale.renders {
        // A digest that nothing waits for: it is told in the ledger, and no promotion is looked at again.
        server.report_check(&estate.first_build, &format!("page-{n}")).await?;
        let began = now();
        render(&person).await?;
        grown.push(now() - began);
        server
            .report_check(&estate.first_build, &format!("function-{n}"))
            .await?;
        let began = now();
        person.ask("inbox", &[]).await?;
        asked.push(now() - began);
    }
    report.value("inbox_10k_p50", median(&times));
    report.note(format!(
        "the inbox's page has {} KB, {} KB as it is sent; when the ledger grew since anybody looked, it takes {} s, and its server function {} s",
        bytes / 1000,
        sent / 1000,
        number(median(&grown)),
        number(median(&asked))
    ));
    Ok(())
}

/// Has one promotion wait in each resource of all environments but the first.
async fn fill(estate: &mut Estate, size: Size) -> Outcome<()> {
    for p in 0..size.projects {
        for e in 1..ENVIRONMENTS {
            estate.server.set_policy(&project(p), &environment(e), POLICY).await?;
        }
    }
    // One that is behind, so that there is something to promote.
    let first = estate
        .server
        .promote(&project(0), &service(1), &environment(2), &environment(3))
        .await?;
    estate.server.stop().await;
    let database = &estate.server.database;
    let began = now();
    let millis = |seconds: f64| format!("CAST({:.0} AS INTEGER)", seconds * 1000.0);
    let of_first = |what: &str| format!("(SELECT {what} FROM promotions WHERE id = '{first}')");
    let targets = format!(
        "CREATE TEMP TABLE targets AS SELECT ROW_NUMBER() OVER (ORDER BY r.id) - 1 AS k, r.id AS resource_id, \
         e.id AS environment_id, e.project_id, o.name AS origin, s.name AS source FROM resources r \
         JOIN environments e ON e.id = r.environment_id JOIN resources s ON s.id = r.source_id \
         JOIN environments o ON o.id = s.environment_id WHERE r.name <> '{}' AND r.id <> {}",
        service(0),
        of_first("resource_id")
    );
    let place = || ["resource_id", "environment_id", "project_id"].map(|column| (column, format!("x.{column}")));
    let copies = |table, template, columns| Copies {
        table,
        template,
        first: 0,
        count: size.projects * PER_PROJECT - 1,
        columns,
        beside: Some(("targets".into(), "x.k = n".into())),
    };
    let mut columns = vec![
        ("id", new_id(began, "n")),
        ("number", next_number("x.resource_id")),
        ("origin_environment", "x.origin".into()),
        ("origin_resource", "x.source".into()),
        ("created_at", millis(began)),
        ("state_since", millis(began)),
        // As the worker leaves them once it has looked.
        ("next_at", millis(began + LOOK)),
        ("lease_owner", "NULL".into()),
        ("lease_until", "NULL".into()),
    ];
    columns.extend(place());
    let promotions = copies("promotions", format!("id = '{first}'"), columns);
    let mut columns = vec![("sequence", "NULL".to_owned()), ("promotion_id", new_id(began, "n"))];
    columns.extend(place());
    let asked_for = format!("sequence = (SELECT MIN(sequence) FROM events WHERE promotion_id = '{first}')");
    let events = copies("events", asked_for, columns);
    let statements = [
        targets,
        "CREATE UNIQUE INDEX temp.targets_by_k ON targets (k)".into(),
        database.copies(&promotions).await?,
        database.copies(&events).await?,
        "DROP TABLE targets".into(),
    ];
    database.run(&statements).await?;
    estate.server.start().await
}

/// Whether the page says that all of them wait; its length without compression.
async fn check(person: &Person, waiting: usize) -> Outcome<usize> {
    let request = person.get("/inbox").header("accept", "text/html");
    let page = request.send().await?.error_for_status()?.text().await?;
    if page.contains(&format!("{waiting} promotions wait for you")) {
        return Ok(page.len());
    }
    Err(format!("the inbox doesn't say that {waiting} promotions wait").into())
}

/// The page as browsers ask for it; its length as it is sent.
async fn render(person: &Person) -> Outcome<usize> {
    let request = person
        .get("/inbox")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("accept", "text/html");
    Ok(request.send().await?.error_for_status()?.bytes().await?.len())
}
