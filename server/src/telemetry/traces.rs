//! One trace per promotion, for OpenTelemetry, when somebody asked for it.
//!
//! A promotion's steps are taken by whichever replica is free, maybe days apart, so its trace can't be held open: the trace's id
//! is the promotion's own, every step is a span of it when it ends, and the promotion itself is the span above them when that
//! ends. What a step asks of Git, registries and Argo CD are spans below it.
//!
//! Spans go through a bounded queue to one task that sends them in batches. When nobody takes them they are dropped: telling
//! about work must not hold the work up.

use crate::{adapters::system::System, ports::clock::Clock as _};
use domain::{
    promotion::{Promotion, State},
    time::Timestamp,
};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use std::{
    borrow::Cow,
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Spans that may wait.
const WAITING: usize = 4096;
/// Most spans of one request.
const BATCH: usize = 256;
/// How long spans are gathered for one request.
const GATHER: Duration = Duration::from_secs(2);
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
static QUEUE: OnceLock<mpsc::Sender<SpanData>> = OnceLock::new();

tokio::task_local! {
    /// What happens now belongs to these spans of these traces: several for commits that go out together.
    static CURRENT: Arc<[(TraceId, SpanId)]>;
}

/// Sends spans to `endpoint` (`http://collector:4318`) from now on, until `stop`; the task that does it.
///
/// # Errors
/// When no client can be made for it.
pub fn start(endpoint: &str, stop: CancellationToken) -> Result<impl Future<Output = ()> + Send + use<>, String> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(reqwest::Client::new())
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder()
        .with_service_name("waybill")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    exporter.set_resource(&resource);
    let (sender, receiver) = mpsc::channel(WAITING);
    // A second server in the same process has its spans sent by the first.
    let receiver = QUEUE.set(sender).is_ok().then_some(receiver);
    Ok(async move {
        match receiver {
            Some(receiver) => send(exporter, receiver, stop).await,
            None => stop.cancelled().await,
        }
    })
}

async fn send(exporter: SpanExporter, mut receiver: mpsc::Receiver<SpanData>, stop: CancellationToken) {
    let mut failing = false;
    let mut batch = Vec::new();
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            count = receiver.recv_many(&mut batch, BATCH) => count == 0,
        };
        if !stopping && batch.len() < BATCH {
            // A step brings several.
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
        }
        while batch.len() < BATCH {
            match receiver.try_recv() {
                Ok(span) => batch.push(span),
                Err(_) => break,
            }
        }
        if !batch.is_empty() {
            let count = batch.len();
            let sent = tokio::time::timeout(PATIENCE, exporter.export(std::mem::take(&mut batch))).await;
            let why = match sent {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the collector did not answer in time".into()),
            };
            let fails = why.is_some();
            match why {
                // Once: a collector that is down stays so for a while.
                Some(why) if !failing => {
                    tracing::warn!(%why, spans = count, "traces could not be sent; they are dropped")
                }
                None if failing => tracing::info!("traces are sent again"),
                _ => {}
            }
            failing = fails;
        }
        if stopping {
            return;
        }
    }
}

/// A step of promotions that are worked on together, mostly of one; what it asks of others belongs to it.
pub(super) async fn steps<T>(
    promotions: &[Promotion],
    step: impl Fn(&Promotion) -> &'static str,
    work: impl Future<Output = T>,
    outcome: impl Fn(&T, usize) -> &'static str,
) -> T {
    if QUEUE.get().is_none() {
        return work.await;
    }
    let began = Instant::now();
    let spans: Arc<[_]> = promotions.iter().map(|p| (trace_of(p), new_span())).collect();
    let result = CURRENT.scope(Arc::clone(&spans), work).await;
    let times = since(began);
    for (place, (promotion, (trace, span))) in promotions.iter().zip(spans.iter()).enumerate() {
        let (step, word) = (step(promotion), outcome(&result, place));
        let attributes = vec![
            KeyValue::new("waybill.promotion", promotion.id.to_string()),
            KeyValue::new("waybill.step", step),
            KeyValue::new("waybill.outcome", word),
            KeyValue::new("waybill.attempt", i64::from(promotion.attempts)),
        ];
        give(
            *trace,
            *span,
            root_of(promotion),
            step.into(),
            SpanKind::Internal,
            times,
            attributes,
            status(word),
        );
    }
    result
}

/// Something that was asked of others since `began`; nothing when it belongs to no step.
pub(super) fn child(name: impl Into<Cow<'static, str>>, began: Instant, outcome: &'static str) {
    if QUEUE.get().is_none() {
        return;
    }
    let Ok(spans) = CURRENT.try_with(Arc::clone) else {
        return;
    };
    let (name, times) = (name.into(), since(began));
    for (trace, parent) in spans.iter() {
        give(
            *trace,
            new_span(),
            *parent,
            name.clone(),
            SpanKind::Client,
            times,
            vec![KeyValue::new("waybill.outcome", outcome)],
            status(outcome),
        );
    }
}

/// A promotion that has ended: the span above all its steps.
pub(super) fn promotion(promotion: &Promotion, ended: Timestamp) {
    let attributes = vec![
        KeyValue::new("waybill.promotion", promotion.id.to_string()),
        KeyValue::new("waybill.project", promotion.project.to_string()),
        KeyValue::new("waybill.environment", promotion.environment.to_string()),
        KeyValue::new("waybill.resource", promotion.resource.to_string()),
        KeyValue::new("waybill.purpose", promotion.purpose.as_str()),
        KeyValue::new("waybill.digest", promotion.image.digest.to_string()),
        KeyValue::new("waybill.state", promotion.state.as_str()),
    ];
    let status = match &promotion.failure {
        Some(failure) if promotion.state == State::Failed => Status::error(failure.words()),
        _ => Status::Ok,
    };
    give(
        trace_of(promotion),
        root_of(promotion),
        SpanId::INVALID,
        "promotion".into(),
        SpanKind::Internal,
        (at(promotion.created_at), at(ended)),
        attributes,
        status,
    );
}

#[allow(clippy::too_many_arguments, reason = "a span is made of them")]
fn give(
    trace: TraceId,
    span: SpanId,
    parent: SpanId,
    name: Cow<'static, str>,
    span_kind: SpanKind,
    (start_time, end_time): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
    status: Status,
) {
    let Some(queue) = QUEUE.get() else { return };
    let span = SpanData {
        span_context: SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default()),
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind,
        name,
        start_time,
        end_time,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::builder("waybill").build(),
    };
    // A full queue drops it.
    let _ = queue.try_send(span);
}

fn status(outcome: &'static str) -> Status {
    match outcome {
        "fail" | "failed" | "error" | "refused" => Status::error(outcome),
        _ => Status::Unset,
    }
}

/// The promotion's id is a UUID: 16 bytes, as a trace's id has.
fn trace_of(promotion: &Promotion) -> TraceId {
    TraceId::from_bytes(promotion.id.0.into_bytes())
}

/// The span of the promotion itself has the random half of the id, so that every replica knows it.
fn root_of(promotion: &Promotion) -> SpanId {
    let bytes = promotion.id.0.into_bytes();
    let mut half = [0; 8];
    half.copy_from_slice(&bytes[8..]);
    SpanId::from_bytes(half)
}

fn new_span() -> SpanId {
    let mut bytes = [0; 8];
    // Without random numbers spans can't be told apart, and collectors leave them out.
    let _ = getrandom::fill(&mut bytes);
    SpanId::from_bytes(bytes)
}

fn since(began: Instant) -> (SystemTime, SystemTime) {
    let now = at(System.now());
    (now.checked_sub(began.elapsed()).unwrap_or(UNIX_EPOCH), now)
}

fn at(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(time.0).unwrap_or_default())
}
