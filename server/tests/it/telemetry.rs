//! What the server says about itself: numbers for Prometheus, and a trace per promotion.

use crate::support::world::{self, Setup, World, until};
use axum::{Router, body::Bytes, extract::State, routing::post};
use domain::promotion::State as Stands;
use std::sync::{Arc, Mutex};

/// The value of a metric with these labels, in whatever order they stand; all that fit together.
fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '))
        .filter(|(given, _)| (given.is_empty() || given.starts_with('{')) && labels.iter().all(|l| given.contains(l)))
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum()
}

async fn metrics(world: &World) -> String {
    let answer = reqwest::get(format!("{}/metrics", world.base_url)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain"), "{kind}");
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_counted_from_end_to_end_and_nothing_secret_is_told() {
    let world = World::start().await;
    let succeeded = ["state=\"succeeded\"", "purpose=\"promote\"", "by=\"waybill\""];
    let before = value(&metrics(&world).await, "waybill_promotions_total", &succeeded);

    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
    world.idle().await;

    let text = metrics(&world).await;
    let at_least_one = [
        (
            "waybill_promotions_total",
            &["state=\"queued\"", "purpose=\"deploy\""][..],
        ),
        (
            "waybill_promotion_seconds_count",
            &["state=\"succeeded\"", "purpose=\"promote\""],
        ),
        ("waybill_step_seconds_count", &["step=\"commit\"", "outcome=\"done\""]),
        ("waybill_step_seconds_bucket", &["step=\"resolve\"", "le=\"300\""]),
        ("waybill_git_pushes_total", &["outcome=\"accepted\""]),
        ("waybill_git_push_seconds_count", &["outcome=\"accepted\""]),
        ("waybill_git_batch_commits_bucket", &["le=\"1\""]),
        (
            "waybill_argocd_request_seconds_count",
            &["call=\"refresh\"", "outcome=\"ok\""],
        ),
        (
            "waybill_registry_request_seconds_count",
            &["call=\"exists\"", "outcome=\"ok\""],
        ),
        ("waybill_build_info", &["version="]),
    ];
    for (name, labels) in at_least_one {
        assert!(value(&text, name, labels) >= 1.0, "{name} {labels:?}\n{text}");
    }
    assert!(value(&text, "waybill_promotions_total", &succeeded) > before, "{text}");
    // Other tests share the numbers of the process, but not the host of this one's Argo CD.
    let host = world.standin.url().trim_start_matches("http://").to_owned();
    let stream = format!("waybill_argocd_stream_age_seconds{{argocd=\"{host}\"}}");
    assert!(text.contains(&stream), "{stream}\n{text}");
    assert!(text.contains("\nwaybill_queue_age_seconds "), "{text}");
    for (name, _, what) in server::telemetry::METRICS {
        assert!(text.contains(&format!("# HELP {name} {what}")), "{name}\n{text}");
    }
    let argocd = world::argocd_token();
    for secret in [
        world::GIT_TOKEN,
        world::HOOK_SECRET,
        world::PASSWORD,
        &argocd,
        &world.token,
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(!text.contains("myapp") && !text.contains(&digest), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_one_trace_under_its_own_id() {
    type Bodies = Arc<Mutex<Vec<u8>>>;
    async fn take(State(bodies): State<Bodies>, body: Bytes) {
        bodies.lock().unwrap().extend_from_slice(&body);
    }
    let bodies = Bodies::default();
    let collector = Router::new().route("/v1/traces", post(take)).with_state(bodies.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, collector).await.unwrap() });
    let world = World::with(Setup {
        process: true,
        variables: vec![("OTLP_ENDPOINT", endpoint)],
        ..Setup::default()
    })
    .await;
    let digest = world.push("1.1.0").await;
    world.wait_for_live("staging", "api", &digest).await;
    world.idle().await;
    let promotion = world.promotions("staging", "api").await.remove(0);
    assert_eq!(promotion.state, Stands::Succeeded);

    let (trace, root) = (promotion.id.0.into_bytes(), &promotion.id.0.into_bytes()[8..]);
    let count = |all: &[u8], wanted: &[u8]| all.windows(wanted.len()).filter(|w| *w == wanted).count();
    // They are sent as they end, not all at once.
    until("the trace to come", async || {
        let all = bodies.lock().unwrap().clone();
        // The steps name the promotion's span as the one above them, and it is there itself; an id of a trace ends with it too.
        let below = count(&all, root) - count(&all, &trace);
        let names = [
            "resolve",
            "commit",
            "sync",
            "verify",
            "registry exists",
            "argocd refresh",
            "git push",
        ];
        let are_there = names.iter().all(|name| count(&all, name.as_bytes()) >= 1);
        // Resolve, commit, sync and verify, the promotion, and what the steps asked of others.
        (count(&all, &trace) >= 8 && below >= 5 && are_there).then_some(())
    })
    .await;
}
