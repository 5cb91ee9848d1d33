//! What a long history costs: the same questions to two servers that differ in nothing else.

use super::estate::{Estate, Size, environment, project, service};
use crate::{
    Outcome,
    clock::{median, now},
    report::{Report, number},
    scale::Scale,
    world::{Ground, Server},
};

/// Repetitions of each question.
const TIMES: usize = 40;

/// A question: what it is called, the server function, and what that is given.
type Question = (&'static str, &'static str, Vec<(&'static str, String)>);

/// Measures `history_growth`.
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let mut estates = Vec::new();
    for (name, promotions) in ["history-short", "history-long"].into_iter().zip(scale.histories) {
        // Few resources: each has more history than a page shows in both.
        let size = Size {
            projects: 1,
            services: 20,
            promotions,
            argocd: false,
        };
        estates.push(Estate::start(ground, name, size).await?);
    }
    // Found out before anything is timed: looking for them in the longer database leaves nothing of the server's in the processor's caches.
    let mut asked = Vec::new();
    for estate in &estates {
        asked.push(questions(&estate.server).await?);
    }
    let mut times: Vec<[Vec<f64>; 2]> = Vec::new();
    for time in 0..TIMES {
        for (which, (estate, questions)) in estates.iter().zip(&asked).enumerate() {
            for (q, question) in questions.iter().enumerate() {
                let arguments: Vec<_> = question.2.iter().map(|(key, value)| (*key, value.as_str())).collect();
                let began = now();
                estate.server.ask(question.1, &arguments).await?;
                let took = now() - began;
                if times.len() <= q {
                    times.push(Default::default());
                }
                // The first answers fill caches.
                if let Some(list) = times.get_mut(q).and_then(|both| both.get_mut(which))
                    && time > 2
                {
                    list.push(took);
                }
            }
        }
    }
    let mut worst: f64 = 0.0;
    for ((name, _, _), [short, long]) in asked[0].iter().zip(&times) {
        let (short, long) = (median(short), median(long));
        worst = worst.max(long / short);
        report.note(format!(
            "{name} takes {} s with {} promotions, {} s with {}",
            number(short),
            scale.histories[0],
            number(long),
            scale.histories[1]
        ));
    }
    report.value("history_growth", worst);
    Ok(())
}

/// The board, an environment, a resource with its history, a promotion with its timeline, and the activity: its newest page, one from
/// the middle of the ledger, and both filtered by what nearly all entries have and by what few have.
async fn questions(server: &Server) -> Outcome<Vec<Question>> {
    let one = server
        .database
        .text("SELECT id FROM promotions WHERE resource_id = (SELECT id FROM resources WHERE name = 'svc-0007' LIMIT 1) ORDER BY id DESC LIMIT 1")
        .await?;
    let at = || vec![("workspace", "bench".to_owned()), ("project", project(0))];
    let mut in_environment = at();
    in_environment.push(("environment", environment(2)));
    let mut of_resource = in_environment.clone();
    of_resource.push(("resource", service(7)));
    let middle = "SELECT at || '-' || sequence FROM events WHERE sequence = (SELECT MAX(sequence) / 2 FROM events)";
    let middle = server.database.text(middle).await?;
    let activity = |name, filter: &[(&'static str, String)]| {
        let mut arguments = vec![("workspace", "bench".to_owned())];
        arguments.extend_from_slice(filter);
        (name, "activity", arguments)
    };
    let kind = || ("filter[kind]", "promotion_moved".to_owned());
    let by = || ("filter[actor]", "waybill".to_owned());
    let before = || ("filter[before]", middle.clone());
    let of_service = [
        ("filter[env]", format!("{}/{}", project(0), environment(2))),
        ("filter[resource]", service(7)),
    ];
    Ok(vec![
        ("the list of projects", "projects", Vec::new()),
        ("a board", "board", at()),
        ("an environment", "environment", in_environment),
        ("a resource", "resource", of_resource),
        ("a promotion", "promotion", vec![("id", one)]),
        activity("the activity", &[]),
        activity("the activity from its middle on", &[before()]),
        activity("the activity of a kind, from its middle on", &[kind(), before()]),
        activity(
            "the activity of one who does most, from its middle on",
            &[by(), before()],
        ),
        activity("the activity of a resource", &of_service),
    ])
}
