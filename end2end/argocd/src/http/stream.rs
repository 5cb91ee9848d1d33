//! The watch: replay, live events, two framings, and the habits that surprise clients.
//!
//! Response headers leave with the first message, so a stream about nothing answers nothing. Equal payloads in a row are
//! suppressed per bare name. A stream that cannot keep up loses events and is not told.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Params, World,
    applications::Filter,
    auth::{Caller, authenticate},
    error::{ApiError, json_bytes},
};
use crate::{
    app::Application,
    select::Fields,
    world::{Cut, Event, EventKind, Shared},
};

/// Messages that may wait for a client that reads slowly.
const WAITING: usize = 16;

/// What the body is made of: a chunk, or the end of the connection in the middle of one.
type Chunk = Result<Bytes, std::io::Error>;

pub(super) async fn applications(State(shared): World, headers: HeaderMap, params: Params) -> Response {
    let sse = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept == "text/event-stream");
    let fields = Fields::parse(params.text("fields"));
    let opened = authenticate(&shared, &headers).and_then(|caller| Ok((caller, Filter::new(&params)?)));
    let (caller, filter) = match opened {
        Ok(opened) => opened,
        Err(error) => return refuse(&error, sse, fields.as_ref()),
    };
    let (sender, mut chunks) = mpsc::channel(WAITING);
    let feed = Feed {
        events: shared.events.subscribe(),
        cuts: shared.watch_cuts(),
        min_version: params.get("resourceVersion").and_then(|version| version.parse().ok()),
        fields,
        seen: HashMap::new(),
        shared: Arc::clone(&shared),
        caller,
        filter,
        sse,
        sender,
    };
    shared.spawn(feed.run());
    // Nothing goes out before the first message does.
    let Some(first) = chunks.recv().await else {
        return body_of(sse, Body::empty());
    };
    let rest = ReceiverStream::new(chunks);
    body_of(sse, Body::from_stream(futures::stream::iter([first]).chain(rest)))
}

fn body_of(sse: bool, body: Body) -> Response {
    let content_type = if sse { "text/event-stream" } else { "application/json" };
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// A refusal is the first message of the stream: framed as one, and without the fields that nobody asked for, which for
/// an error is all of them.
fn refuse(error: &ApiError, sse: bool, fields: Option<&Fields>) -> Response {
    let chunk = fields.map_or_else(|| error.chunk(), |fields| fields.filter(&error.chunk()));
    if sse {
        let body = format!("data: {chunk} \n\n");
        return (error.code.status(), [(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    }
    (error.code.status(), json_bytes(&chunk)).into_response()
}

/// One open stream.
struct Feed {
    shared: Arc<Shared>,
    caller: Caller,
    filter: Filter,
    fields: Option<Fields>,
    min_version: Option<u64>,
    events: broadcast::Receiver<Event>,
    cuts: watch::Receiver<Cut>,
    seen: HashMap<String, Value>,
    sse: bool,
    sender: mpsc::Sender<Chunk>,
}

/// Why a stream ends.
enum End {
    ClientGone,
    Cut,
}

impl Feed {
    async fn run(mut self) {
        let cut = self.cuts.clone();
        let sender = self.sender.clone();
        let ended = tokio::select! {
            () = sender.closed() => End::ClientGone,
            end = self.feed() => end,
        };
        if matches!(ended, End::Cut) && cut.borrow().abrupt {
            let _ = sender.send(Err(std::io::Error::other("the stream was cut"))).await;
        }
    }

    async fn feed(&mut self) -> End {
        let mut cuts = self.cuts.clone();
        tokio::select! {
            _ = cuts.changed() => End::Cut,
            Err(end) = self.talk() => end,
        }
    }

    async fn talk(&mut self) -> Result<Infallible, End> {
        self.wait_for_voice().await;
        for app in self.replay() {
            self.send("ADDED", &app).await?;
        }
        let every = self.shared.timing().keepalive;
        let mut keepalive: Interval = tokio::time::interval_at(Instant::now() + every, every);
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = keepalive.tick(), if self.sse => {
                    self.wait_for_voice().await;
                    self.push(b":\n".to_vec()).await?;
                }
                event = self.events.recv() => match event {
                    Ok(event) => {
                        self.wait_for_voice().await;
                        self.live(&event).await?;
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(End::Cut),
                },
            }
        }
    }

    /// Holds everything back while streams are silent. One whose token has expired stays open and says nothing any more,
    /// not even that it is alive.
    async fn wait_for_voice(&self) {
        loop {
            let wake = self.shared.stream_wake.notified();
            let silent = self.shared.world().faults.silent_streams || self.caller.has_expired(&self.shared.clock);
            if !silent {
                return;
            }
            wake.await;
        }
    }

    fn replay(&self) -> Vec<Application> {
        let named = !self.filter.name().is_empty();
        if self.min_version.is_some() && !named {
            return Vec::new();
        }
        let apps: Vec<Application> = self
            .shared
            .world()
            .apps
            .values()
            .map(|record| record.app.clone())
            .collect();
        let wanted = |app: &Application| {
            self.filter.watches(&self.shared, &self.caller, app)
                && self.min_version.is_none_or(|version| app.metadata.version() >= version)
        };
        apps.into_iter().filter(wanted).collect()
    }

    async fn live(&mut self, event: &Event) -> Result<(), End> {
        let old = self
            .min_version
            .is_some_and(|version| event.app.metadata.version() < version);
        if old || !self.filter.watches(&self.shared, &self.caller, &event.app) {
            return Ok(());
        }
        let kind = match event.kind {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
        };
        self.send(kind, &event.app).await
    }

    async fn send(&mut self, kind: &str, app: &Application) -> Result<(), End> {
        let mut message = json!({"result": {"type": kind, "application": app}});
        if let Some(fields) = &self.fields {
            message = fields.filter(&message);
        }
        // The key is the bare name, also for two Applications in two namespaces: a quirk that clients have to bear.
        if self.seen.get(&app.metadata.name) == Some(&message) {
            return Ok(());
        }
        let text = if self.sse {
            format!("data: {message} \n\n\n")
        } else {
            format!("{message}\n")
        };
        self.seen.insert(app.metadata.name.clone(), message);
        self.push(text.into_bytes()).await
    }

    async fn push(&self, chunk: Vec<u8>) -> Result<(), End> {
        self.sender
            .send(Ok(Bytes::from(chunk)))
            .await
            .map_err(|_| End::ClientGone)
    }
}
