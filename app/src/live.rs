//! Live pages: the server's event stream tells what changed, and pages read again. Without a script, pages stay as they
//! were read.
//!
//! There is one stream for the whole app ([`Live`], in context). A page reads with [`read`], which gives a resource that
//! is read again by itself: at most one reading at a time and one queued, at most five a second, and what is on screen
//! stays until the new reading is there. The browser reconnects a lost stream; after each connection pages read once,
//! because whatever happened in between was not heard.

use crate::held::{self, Fetch, Held, Key};
use contract::changed::Changed;
use contract::error::AppError;
use domain::time::Timestamp;
use leptos::{prelude::*, serde_json, task::spawn_local};
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, marker::PhantomData, sync::Arc, time::Duration};
use wasm_bindgen::{JsCast, closure::Closure};

/// Where the stream is.
const STREAM: &str = "/api/events";
/// Shortest time between the end of a reading and the next.
const REST: Duration = Duration::from_millis(200);
/// How long to wait before a stream that the browser gave up is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often ages on screen move on.
const TICK: Duration = Duration::from_secs(5);

/// The stream as pages see it.
#[derive(Clone, Copy)]
pub struct Live {
    /// The newest change; `None` before the first.
    pub changed: RwSignal<Option<Changed>>,
    /// Whether the stream is connected. Always true on the server and before it was first tried.
    pub connected: RwSignal<bool>,
    /// How often a connection was made.
    opened: RwSignal<u32>,
    /// Milliseconds that the page has been open, moved on every [`TICK`].
    uptime: RwSignal<i64>,
    started: StoredValue<bool>,
}

impl Live {
    /// A stream that was not tried yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            changed: RwSignal::new(None),
            connected: RwSignal::new(true),
            opened: RwSignal::new(0),
            uptime: RwSignal::new(0),
            started: StoredValue::new(false),
        }
    }

    /// Connects, once; in the browser only, from an effect of a page for people who are signed in.
    pub fn start(self) {
        if self.started.get_value() {
            return;
        }
        self.started.set_value(true);
        connect(self);
        let _ = set_interval_with_handle(move || self.uptime.set(uptime()), TICK);
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

/// Opens the stream and listens for as long as the page is open.
fn connect(live: Live) {
    let Ok(source) = web_sys::EventSource::new(STREAM) else {
        return;
    };
    let on_open = Closure::<dyn FnMut()>::new(move || {
        live.connected.set(true);
        live.opened.update(|n| *n += 1);
    });
    let on_message = Closure::<dyn FnMut(_)>::new(move |event: web_sys::MessageEvent| {
        if let Some(change) = event
            .data()
            .as_string()
            .and_then(|s| serde_json::from_slice(s.as_bytes()).ok())
        {
            live.changed.set(Some(change));
        }
    });
    let failed = source.clone();
    let on_error = Closure::<dyn FnMut()>::new(move || {
        live.connected.set(false);
        // A refusal (the session ended, a proxy answered) is final for the browser. The server may be back later.
        if failed.ready_state() == web_sys::EventSource::CLOSED {
            set_timeout(move || connect(live), PATIENCE);
        }
    });
    source.set_onopen(Some(on_open.into_js_value().unchecked_ref()));
    source.set_onmessage(Some(on_message.into_js_value().unchecked_ref()));
    source.set_onerror(Some(on_error.into_js_value().unchecked_ref()));
}

/// Milliseconds since the page was opened, in the browser.
fn uptime() -> i64 {
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of one visit")]
    window().performance().map_or(0, |clock| clock.now() as i64)
}

/// The server's clock, given when something was read: that moment at first, so that server and browser render the same,
/// then moving on while the page is open.
#[must_use]
pub fn now(read_at: Signal<Timestamp>) -> Signal<Timestamp> {
    let Some(live) = use_context::<Live>() else {
        return read_at;
    };
    let base = Memo::new(move |_| {
        let read_at = read_at.get();
        let at = if live.started.get_value() { uptime() } else { 0 };
        (read_at, at)
    });
    Memo::new(move |_| {
        let (read_at, at) = base.get();
        read_at.plus_millis((live.uptime.get() - at).max(0))
    })
    .into()
}

/// What a page shows, as it was last read; made by [`read`].
pub struct Read<T> {
    held: Resource<Option<Held>>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Read<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Read<T> {}

impl<T: Clone + DeserializeOwned + 'static> Read<T> {
    /// What was read; `None` before it was. Tracks, and makes a `Transition` above wait.
    #[must_use]
    pub fn get(self) -> Option<Result<T, AppError>> {
        self.held.with(|held| held.as_ref()?.as_ref().map(Held::outcome))
    }

    /// Reads again on every [`TICK`] while `moves`: for what the event stream doesn't tell, such as how far a copy is.
    pub fn keep_reading(self, moves: impl Fn(&T) -> bool + Send + Sync + 'static) {
        let Some(live) = use_context::<Live>() else {
            return;
        };
        Effect::new(move |before: Option<()>| {
            live.uptime.track();
            let is_moving = untrack(|| self.get()).is_some_and(|read| read.is_ok_and(|read| moves(&read)));
            if before.is_some() && is_moving {
                self.refetch();
            }
        });
    }

    /// Reads again.
    pub fn refetch(self) {
        self.held.refetch();
    }
}

/// Reads what a page shows, and reads it again whenever a change `concerns` it.
///
/// `about` says what to read (the page's parameters); `fetch` reads it, with a server function.
pub fn read<P, T, F>(
    about: impl Fn() -> P + Send + Sync + 'static,
    fetch: impl Fn(P) -> F + Copy + Send + Sync + 'static,
    concerns: impl Fn(&P, &Changed) -> bool + Send + Sync + 'static,
) -> Read<T>
where
    P: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + Send + 'static,
{
    Read {
        held: read_held(read_request(about, fetch, concerns)),
        of: PhantomData,
    }
}

/// Reads what a page shows once, and not again when something changes or the stream is opened: what the page is about is gone when it is
/// done.
pub fn read_once<P, T, F>(
    about: impl Fn() -> P + Send + Sync + 'static,
    fetch: impl Fn(P) -> F + Copy + Send + Sync + 'static,
) -> Read<T>
where
    P: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + Send + 'static,
{
    let what = read_request(about, fetch, |_, _| false);
    Read {
        held: held::resource(what.key, what.fetch, false),
        of: PhantomData,
    }
}

fn read_request<P, T, F>(
    about: impl Fn() -> P + Send + Sync + 'static,
    fetch: impl Fn(P) -> F + Copy + Send + Sync + 'static,
    concerns: impl Fn(&P, &Changed) -> bool + Send + Sync + 'static,
) -> ReadRequest
where
    P: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + Send + 'static,
{
    // Counted, so that what follows needs to know only that it changed.
    let about = Memo::new(move |before: Option<&(u32, P)>| {
        let now = about();
        match before {
            Some((count, before)) if *before == now => (*count, now),
            Some((count, _)) => (count + 1, now),
            None => (0, now),
        }
    });
    ReadRequest {
        key: Arc::new(move || about.try_get().map(|(count, _)| count)),
        fetch: Arc::new(move || {
            // Nothing is left of it when the page was left meanwhile.
            let reading = about.try_get_untracked().map(|(_, about)| fetch(about));
            Box::pin(async move {
                match reading {
                    Some(reading) => Some(Held::of(reading.await)),
                    None => None,
                }
            })
        }),
        concerns: Arc::new(move |changed| {
            about
                .try_get_untracked()
                .is_some_and(|(_, about)| concerns(&about, changed))
        }),
    }
}

/// What [`read`] was given, without its types.
#[derive(Clone)]
struct ReadRequest {
    key: Key,
    fetch: Fetch,
    concerns: Arc<dyn Fn(&Changed) -> bool + Send + Sync>,
}

/// How a page's reading is paced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Idle,
    Busy { again: bool },
}

fn read_held(what: ReadRequest) -> Resource<Option<Held>> {
    let resource = held::resource(what.key.clone(), what.fetch.clone(), false);
    if let Some(live) = use_context::<Live>() {
        let reading = Reading {
            what: StoredValue::new(what),
            resource,
            pace: StoredValue::new(Pace::Idle),
        };
        Effect::new(move |before: Option<()>| {
            let change = live.changed.get();
            if before.is_some()
                && let Some(change) = change
                && reading.what.with_value(|what| (what.concerns)(&change))
            {
                reading.ask();
            }
        });
        Effect::new(move |before: Option<u32>| {
            let opened = live.opened.get();
            if before.is_some_and(|before| before != opened) {
                reading.ask();
            }
            opened
        });
    }
    resource
}

/// A page's reading, while the page is open.
#[derive(Clone, Copy)]
struct Reading {
    what: StoredValue<ReadRequest>,
    resource: Resource<Option<Held>>,
    pace: StoredValue<Pace>,
}

impl Reading {
    /// Reads now, or once more after the reading that is under way.
    fn ask(self) {
        match self.pace.try_get_value() {
            Some(Pace::Idle) => self.go(),
            Some(Pace::Busy { .. }) => {
                self.pace.try_update_value(|pace| *pace = Pace::Busy { again: true });
            }
            None => {}
        }
    }

    fn go(self) {
        let Some(what) = self.what.try_get_value() else {
            return;
        };
        self.pace.try_update_value(|pace| *pace = Pace::Busy { again: false });
        spawn_local(async move {
            let key = untrack(|| (what.key)());
            let outcome = (what.fetch)().await;
            let still = untrack(|| (what.key)()) == key;
            // While Waybill can't be reached, what was read stays; the stream's own state says that it isn't live.
            if still
                && let Some(outcome) = outcome
                && outcome.error() != Some(AppError::Unreachable)
            {
                let _ = self.resource.try_set(Some(Some(outcome)));
            }
            set_timeout(
                move || match self.pace.try_get_value() {
                    Some(Pace::Busy { again: true }) => self.go(),
                    _ => {
                        self.pace.try_update_value(|pace| *pace = Pace::Idle);
                    }
                },
                REST,
            );
        });
    }
}
