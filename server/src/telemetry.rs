//! What Waybill says about itself: numbers for Prometheus, and traces for OpenTelemetry when somebody asked for them.
//!
//! [`METRICS`] names and describes every metric once; the functions beside it record them, so that nobody else needs to know a
//! name. `connections` counts who is connected, `streams` knows how long Argo CD's streams have been silent,
//! `traces` sends a trace per promotion. For people: `docs/operations.md`, which a test holds to the table.

mod connections;
pub(crate) mod streams;
pub mod traces;

pub(crate) use connections::{Closed, Refused, connection_closed, connection_refused, connections_open};

use domain::{
    copy::CopyProof,
    notification::{ChannelKind, DeliveryState},
    promotion::{Actor, Promotion},
    time::Timestamp,
};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    future::Future,
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, until the server is started again.
    Counter,
    /// As it is now.
    Gauge,
    /// How many took how long.
    Seconds,
    /// How many were how large.
    Sizes,
}

/// A metric: its name, its kind, and what it means.
pub type Metric = (&'static str, Kind, &'static str);

const PROMOTIONS: &str = "waybill_promotions_total";
const PROMOTION_SECONDS: &str = "waybill_promotion_seconds";
const STEP_SECONDS: &str = "waybill_step_seconds";
const QUEUE_AGE: &str = "waybill_queue_age_seconds";
const GIT_PUSHES: &str = "waybill_git_pushes_total";
const GIT_PUSH_SECONDS: &str = "waybill_git_push_seconds";
const GIT_BATCH: &str = "waybill_git_batch_commits";
const ARGOCD_SECONDS: &str = "waybill_argocd_request_seconds";
const REGISTRY_SECONDS: &str = "waybill_registry_request_seconds";
const STREAM_PAUSE: &str = "waybill_argocd_back_off_seconds";
const STREAM_AGE: &str = "waybill_argocd_stream_age_seconds";
const NOTIFICATIONS: &str = "waybill_notifications_total";
const CONNECTIONS_OPEN: &str = "waybill_connections_open";
const CONNECTIONS_REFUSED: &str = "waybill_connections_refused_total";
const CONNECTIONS_CLOSED: &str = "waybill_connections_closed_total";
const GIT_REMOVALS: &str = "waybill_git_removals_total";
/// What comes of a try to remove blocks from Git.
const GIT_REMOVAL_OUTCOMES: [&str; 3] = ["done", "retry", "fail"];
const COPIES: &str = "waybill_copies_total";
const COPY_SECONDS: &str = "waybill_copy_seconds";
const COPIED_BYTES: &str = "waybill_copied_bytes_total";
const ENVIRONMENT_TAGS: &str = "waybill_environment_tags_total";
const IMAGE_LOOKS: &str = "waybill_image_looks_total";
const STATEMENTS: &str = "waybill_statements_total";
const BUILD: &str = "waybill_build_info";

/// Every metric.
pub const METRICS: [Metric; 23] = [
    (
        PROMOTIONS,
        Kind::Counter,
        "Promotions that came to a state, by state, purpose and who asked (person, token or waybill)",
    ),
    (
        PROMOTION_SECONDS,
        Kind::Seconds,
        "From recorded to ended, by the state it ended in and its purpose",
    ),
    (
        STEP_SECONDS,
        Kind::Seconds,
        "Steps of promotions, by step and what came of it (done, wait, retry, fail, withdrawn, overtaken or error)",
    ),
    (
        QUEUE_AGE,
        Kind::Gauge,
        "How long the promotion that is overdue longest has been waiting for a worker; 0 when none is overdue",
    ),
    (
        GIT_PUSHES,
        Kind::Counter,
        "Pushes to Git, by what came of them (accepted, overtaken by another writer, refused or failed)",
    ),
    (GIT_PUSH_SECONDS, Kind::Seconds, "Pushes to Git, by what came of them"),
    (GIT_BATCH, Kind::Sizes, "Commits of an accepted push"),
    (
        ARGOCD_SECONDS,
        Kind::Seconds,
        "Requests to Argo CD, by call and what came of them (ok, passing or failed)",
    ),
    (
        REGISTRY_SECONDS,
        Kind::Seconds,
        "Requests to registries, by call and what came of them (ok, passing or failed)",
    ),
    (
        STREAM_AGE,
        Kind::Gauge,
        "How long an Argo CD's stream has been silent, keep-alives included, by its host",
    ),
    (
        STREAM_PAUSE,
        Kind::Gauge,
        "How long Waybill waits before it tries to follow an Argo CD again, by its host; 0 while it follows it",
    ),
    (
        NOTIFICATIONS,
        Kind::Counter,
        "Notifications sent, by kind of channel and what came of it (delivered, waiting for another try, or given_up)",
    ),
    (CONNECTIONS_OPEN, Kind::Gauge, "Connections that are open"),
    (
        CONNECTIONS_REFUSED,
        Kind::Counter,
        "Connections turned away, by reason (address, total or descriptors)",
    ),
    (
        CONNECTIONS_CLOSED,
        Kind::Counter,
        "Connections closed for what they didn't do in time, by what that was (head, body, idle or answer), or to make room",
    ),
    (
        GIT_REMOVALS,
        Kind::Counter,
        "Tries to remove blocks of deleted resources from Git, by what came of it (done, retry, or fail)",
    ),
    (
        COPIES,
        Kind::Counter,
        "Copies of images, by the hosts of both registries and what came of it (done, retry, fail or stopped)",
    ),
    (
        COPY_SECONDS,
        Kind::Seconds,
        "Copies of images, by the hosts of both registries and what came of it",
    ),
    (
        COPIED_BYTES,
        Kind::Counter,
        "Bytes of images that were copied, by the hosts of both registries and how (sent, mounted, or present before)",
    ),
    (
        ENVIRONMENT_TAGS,
        Kind::Counter,
        "Looks at the tags of environments, by what came of them (set, same, drifted, refused, removed or retry)",
    ),
    (
        IMAGE_LOOKS,
        Kind::Counter,
        "Looks whether images that run can still be pulled, by the registry's host and what came of them (whole, incomplete or unanswered)",
    ),
    (
        STATEMENTS,
        Kind::Counter,
        "Tries to write a signed statement about a promotion, by what came of them (written, refused or retry)",
    ),
    (BUILD, Kind::Gauge, "1, with the version that runs"),
];

/// Upper bounds of the buckets of [`Kind::Seconds`]: from a look in a cache to a rollout.
const SECONDS: [f64; 15] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0,
];
/// The same of [`Kind::Sizes`].
const SIZES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
/// How often samples are put into their buckets when nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(10);

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to count; there is one set of numbers in a process.
pub fn install() {
    HANDLE.get_or_init(|| match build() {
        Ok(handle) => {
            describe();
            gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            // From 0 on: where no project has a channel, and nothing is deleted, nothing ever counts them.
            for outcome in GIT_REMOVAL_OUTCOMES {
                counter!(GIT_REMOVALS, "outcome" => outcome).increment(0);
            }
            for channel in ChannelKind::ALL {
                for outcome in DeliveryState::ALL {
                    notifications(*channel, *outcome).increment(0);
                }
            }
            connections::from_zero();
            Some(handle)
        }
        Err(error) => {
            tracing::error!(%error, "nothing is counted: /metrics is empty");
            None
        }
    });
}

fn build() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, kind, _) in METRICS {
        let bounds: &[f64] = match kind {
            Kind::Seconds => &SECONDS,
            Kind::Sizes => &SIZES,
            Kind::Counter | Kind::Gauge => continue,
        };
        builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), bounds)?;
    }
    builder.install_recorder()
}

fn describe() {
    for (name, kind, what) in METRICS {
        match kind {
            Kind::Counter => describe_counter!(name, what),
            Kind::Gauge => describe_gauge!(name, what),
            Kind::Seconds | Kind::Sizes => describe_histogram!(name, what),
        }
    }
}

/// Keeps the numbers small in memory until told to stop.
pub async fn upkeep(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP) => {}
        }
        if let Some(Some(handle)) = HANDLE.get() {
            handle.run_upkeep();
        }
    }
}

/// Everything, as Prometheus reads it. `due` is when the first promotion became or becomes due.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "milliseconds of a queue fit")]
pub fn render(now: Timestamp, due: Option<Timestamp>) -> String {
    let overdue = due.map_or(0, |due| now.millis_since(due)).max(0);
    gauge!(QUEUE_AGE).set(overdue as f64 / 1000.0);
    for (host, age) in streams::ages() {
        gauge!(STREAM_AGE, "argocd" => host).set(age.as_secs_f64());
    }
    match HANDLE.get() {
        Some(Some(handle)) => with_all(handle.render()),
        _ => String::new(),
    }
}

/// The text with a description of those metrics, too, that nothing has counted yet: who sets up an alert finds them.
fn with_all(mut text: String) -> String {
    for (name, kind, what) in METRICS {
        if text.contains(&format!("# HELP {name} ")) {
            continue;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Seconds | Kind::Sizes => "histogram",
        };
        text.push_str(&format!("# HELP {name} {what}\n# TYPE {name} {kind}\n\n"));
    }
    text
}

/// A promotion came to its state; called where that is written, in whichever way it came about.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of a promotion fit")]
pub(crate) fn promotion_is(promotion: &Promotion) {
    let (state, purpose) = (promotion.standing(), promotion.purpose.as_str());
    counter!(PROMOTIONS, "state" => state, "purpose" => purpose, "by" => who(&promotion.requested_by)).increment(1);
    if let Some(ended) = promotion.ended_at {
        let millis = ended.millis_since(promotion.created_at).max(0);
        histogram!(PROMOTION_SECONDS, "state" => state, "purpose" => purpose).record(millis as f64 / 1000.0);
        traces::promotion(promotion, ended);
    }
}

fn who(actor: &Actor) -> &'static str {
    match actor {
        Actor::Person { .. } => "person",
        Actor::Token { .. } => "token",
        Actor::Waybill => "waybill",
    }
}

/// Runs a step: timed, traced, and with the promotion's id on every line that is logged meanwhile. `word` says what came of it.
pub(crate) async fn step<T>(
    promotion: &Promotion,
    work: impl Future<Output = T>,
    word: impl Fn(&T) -> &'static str,
) -> T {
    let span = tracing::info_span!("step", promotion = %promotion.id, step = step_word(promotion));
    together(std::slice::from_ref(promotion), work.instrument(span), |result, _| {
        word(result)
    })
    .await
}

/// The same for the commits of a batch, which are one piece of work; `work` says what came of each.
pub(crate) async fn batch<T>(
    promotions: &[Promotion],
    work: impl Future<Output = Vec<T>>,
    word: impl Fn(&T) -> &'static str,
) -> Vec<T> {
    let span = tracing::info_span!("commit", promotions = promotions.len());
    let word = |results: &Vec<T>, place| results.get(place).map_or("error", &word);
    together(promotions, work.instrument(span), word).await
}

async fn together<T>(
    promotions: &[Promotion],
    work: impl Future<Output = T>,
    word: impl Fn(&T, usize) -> &'static str,
) -> T {
    let began = Instant::now();
    let result = traces::steps(promotions, step_word, work, &word).await;
    for (place, promotion) in promotions.iter().enumerate() {
        histogram!(STEP_SECONDS, "step" => step_word(promotion), "outcome" => word(&result, place))
            .record(began.elapsed());
    }
    result
}

fn step_word(promotion: &Promotion) -> &'static str {
    promotion.state.step().map_or("none", domain::promotion::Step::as_str)
}

/// A look at a tag of an environment ended.
pub(crate) fn looked_at_tag(outcome: &'static str) {
    counter!(ENVIRONMENT_TAGS, "outcome" => outcome).increment(1);
}

/// A look whether an image can still be pulled ended.
pub(crate) fn looked_at_image(registry: &str, outcome: &'static str) {
    counter!(IMAGE_LOOKS, "registry" => registry.to_owned(), "outcome" => outcome).increment(1);
}

/// A try to write a signed statement ended.
pub(crate) fn wrote_statement(outcome: &'static str) {
    counter!(STATEMENTS, "outcome" => outcome).increment(1);
}

/// What is asked over HTTP, outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    ArgoCd,
    Registry,
}

/// A call of a system that began at `began` has ended.
pub(crate) fn called(system: System, call: &'static str, began: Instant, outcome: &'static str) {
    let (metric, name) = match system {
        System::ArgoCd => (ARGOCD_SECONDS, "argocd"),
        System::Registry => (REGISTRY_SECONDS, "registry"),
    };
    histogram!(metric, "call" => call, "outcome" => outcome).record(began.elapsed());
    traces::child(format!("{name} {call}"), began, outcome);
}

/// What came of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// The remote has this many more commits.
    Accepted { commits: usize },
    /// Another writer was faster.
    Overtaken,
    /// The server doesn't allow it.
    Refused,
    /// It could not be reached, or broke.
    Failed,
}

/// A push that began at `began` has ended.
#[allow(clippy::cast_precision_loss, reason = "batches are small")]
pub(crate) fn pushed(began: Instant, push: Push) {
    let word = match push {
        Push::Accepted { .. } => "accepted",
        Push::Overtaken => "overtaken",
        Push::Refused => "refused",
        Push::Failed => "failed",
    };
    counter!(GIT_PUSHES, "outcome" => word).increment(1);
    histogram!(GIT_PUSH_SECONDS, "outcome" => word).record(began.elapsed());
    if let Push::Accepted { commits } = push {
        histogram!(GIT_BATCH).record(commits as f64);
    }
    traces::child("git push", began, word);
}

/// A notification was sent, once, whatever came of it.
pub(crate) fn notified(channel: ChannelKind, state: DeliveryState) {
    notifications(channel, state).increment(1);
}

/// A try to remove blocks of deleted resources from Git: one of [`GIT_REMOVAL_OUTCOMES`].
pub(crate) fn removed_from_git(outcome: &'static str) {
    counter!(GIT_REMOVALS, "outcome" => outcome).increment(1);
}

/// A copy of an image between two hosts ended: `outcome` is `done`, `retry`, `fail` or `stopped`.
pub(crate) fn copied(from: &str, to: &str, outcome: &'static str, proof: Option<&CopyProof>, took: Duration) {
    let hosts = || [("from", from.to_owned()), ("to", to.to_owned())];
    let labels = |name, value: &'static str| [&hosts()[..], &[(name, value.to_owned())]].concat();
    counter!(COPIES, &labels("outcome", outcome)).increment(1);
    histogram!(COPY_SECONDS, &labels("outcome", outcome)).record(took);
    let Some(proof) = proof else { return };
    for (how, bytes) in [
        ("sent", proof.sent),
        ("mounted", proof.mounted),
        ("present", proof.present),
    ] {
        counter!(COPIED_BYTES, &labels("how", how)).increment(bytes);
    }
}

fn notifications(channel: ChannelKind, outcome: DeliveryState) -> metrics::Counter {
    counter!(NOTIFICATIONS, "channel" => channel.as_str(), "outcome" => outcome.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (name, _, _) in METRICS {
            assert!(
                text.contains(&format!("`{name}`")),
                "{name} is not in docs/operations.md"
            );
        }
        for name in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            let plain = name
                .trim_end_matches("_bucket")
                .trim_end_matches("_count")
                .trim_end_matches("_sum");
            let known = METRICS.iter().any(|(known, _, _)| *known == plain);
            assert!(known || !name.starts_with("waybill_"), "there is no metric {name}");
        }
    }
}
