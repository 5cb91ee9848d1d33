//! One blob: linked by the registry where it can, else streamed from one registry to the other.
//!
//! The upload is begun first, then the source is opened (of a small blob at the same time), then all goes in one PUT. What breaks is tried again as a whole, with a new
//! upload and from the first byte: where a broken upload stands can't be found out for sure.

use super::{
    super::{
        client::sha256,
        push::{Begun, MOST_BROKEN, Pace, Upload, is_busy, is_private},
        transport::{RegistryAnswer, read},
    },
    CopyError, RegistryError,
    closure::{Blob, Manifests as _},
    end::End,
    flow::{self, Fault, Flow, Stall},
    lanes::{Lanes, Slot},
    node::is_digest_refused,
    settings::CopySettings,
};
use hyper::body::Bytes;
use reqwest::{Body, Method, Response, StatusCode, header::CONTENT_LENGTH};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often a blob is sent to a registry that asks to slow down.
const MOST_BUSY: u32 = 5;
/// Bytes of a blob that is small: it takes longer to ask for it than to send it.
pub(super) const SMALL: u64 = 1024 * 1024;
/// Bytes of an error that a source answers with.
const ERROR_LIMIT: usize = 64 * 1024;

/// How a blob got to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Sent,
    Mounted,
    /// Somebody else sent it meanwhile.
    Present,
}

/// Carries the blobs of one copy.
pub(super) struct Carrier<'a> {
    pub(super) from: &'a End,
    pub(super) to: &'a End,
    /// The target, signed in to for both repositories, where both are of one registry.
    pub(super) mount: Option<End>,
    pub(super) lanes: &'a Lanes,
    pub(super) settings: &'a CopySettings,
    pub(super) stop: &'a CancellationToken,
    /// Bytes that were given to the target so far.
    pub(super) moved: Arc<AtomicU64>,
    /// Whether the registry refused to mount: it is not asked again.
    pub(super) mounts_nothing: AtomicBool,
}

/// Why one try came to nothing, with what is to be said of it when it was the last.
enum Failed<E = CopyError> {
    /// Another try may do better.
    Broken(E),
    /// A registry asks to wait so long.
    Busy(Duration, E),
    /// The token has run out; there is a fresh one.
    SignIn(E),
    Final(E),
}

impl Failed<RegistryAnswer> {
    /// What it means that an upload was answered so, which is no success.
    fn of(answer: RegistryAnswer, pace: &Pace) -> Self {
        match answer.status {
            StatusCode::UNAUTHORIZED => Self::SignIn(answer),
            status if is_busy(status) => Self::Busy(pace.asked_for(&answer, 1), answer),
            status if status.is_server_error() => Self::Broken(answer),
            // The upload is gone, or the bytes were changed on their way: they were right here.
            StatusCode::NOT_FOUND => Self::Broken(answer),
            _ if is_digest_refused(&answer) => Self::Broken(answer),
            _ => Self::Final(answer),
        }
    }

    /// With what is to be said of the answer.
    fn map<E>(self, say: impl FnOnce(RegistryAnswer) -> E) -> Failed<E> {
        match self {
            Self::Broken(answer) => Failed::Broken(say(answer)),
            Self::Busy(pause, answer) => Failed::Busy(pause, say(answer)),
            Self::SignIn(answer) => Failed::SignIn(say(answer)),
            Self::Final(answer) => Failed::Final(say(answer)),
        }
    }
}

/// The tries of one blob so far.
#[derive(Default)]
struct Tries {
    broken: u32,
    busy: u32,
    has_signed_in: bool,
}

impl Tries {
    /// How long to wait before the next; the error when this was the last.
    fn pause<E>(&mut self, failed: Failed<E>, pace: &Pace) -> Result<Duration, E> {
        match failed {
            Failed::Final(error) => Err(error),
            Failed::SignIn(error) if self.has_signed_in => Err(error),
            Failed::SignIn(_) => {
                self.has_signed_in = true;
                Ok(Duration::ZERO)
            }
            Failed::Busy(pause, error) => {
                self.busy += 1;
                if self.busy < MOST_BUSY { Ok(pause) } else { Err(error) }
            }
            Failed::Broken(error) => {
                self.broken += 1;
                match self.broken < MOST_BROKEN {
                    true => Ok(pace.after(self.broken)),
                    false => Err(error),
                }
            }
        }
    }
}

impl Carrier<'_> {
    /// Brings a blob to the target, which had none when the slot was taken.
    pub(super) async fn carry(&self, blob: &Blob, slot: &Slot) -> Result<Carried, CopyError> {
        let mut was_sent = slot.lock().await;
        if *was_sent && self.to.blob(&blob.digest).await?.is(blob.size) {
            return Ok(Carried::Present);
        }
        let _lane = self.lanes.lane(&self.from.host(), &self.to.host()).await;
        let carried = match self.mount(blob).await {
            Some(Begun::Mounted) => Carried::Mounted,
            Some(Begun::Upload(upload)) => self.stream(blob, Some(upload)).await?,
            Some(Begun::Refused(_)) | None => self.stream(blob, None).await?,
        };
        *was_sent = true;
        Ok(carried)
    }

    /// Asks the registry to take the blob from the other repository. A refusal is no error: it is streamed then.
    async fn mount(&self, blob: &Blob) -> Option<Begun> {
        let mount = self.mount.as_ref()?;
        if self.mounts_nothing.load(Ordering::Relaxed) {
            return None;
        }
        let from = Some((&blob.digest, self.from.place.path.as_str()));
        let begun = mount.client.begin_upload(&mount.place, from, &mount.pace).await;
        if matches!(begun, Err(_) | Ok(Begun::Refused(_))) {
            self.mounts_nothing.store(true, Ordering::Relaxed);
        }
        begun.ok()
    }

    async fn stream(&self, blob: &Blob, mut begun: Option<Upload>) -> Result<Carried, CopyError> {
        let mut tries = Tries::default();
        loop {
            let flow = Arc::new(Flow::default());
            let failed = match self.send(blob, begun.take(), &flow).await {
                Ok(carried) => return Ok(carried),
                Err(failed) => failed,
            };
            self.moved.fetch_sub(flow.moved(), Ordering::Relaxed);
            tokio::time::sleep(tries.pause(failed, &self.to.pace)?).await;
        }
    }

    /// One try.
    async fn send(&self, blob: &Blob, begun: Option<Upload>, flow: &Arc<Flow>) -> Result<Carried, Failed> {
        let (to, what) = (self.to, format!("the blob {}", blob.digest));
        let target = |error: RegistryError| to.error(error);
        let begin = async {
            match begun {
                Some(upload) => Ok(Ok(upload)),
                None => match to.client.begin_upload(&to.place, None, &to.pace).await {
                    Ok(Begun::Upload(upload)) => Ok(Ok(upload)),
                    Ok(Begun::Mounted) => Ok(Err(Carried::Mounted)),
                    Ok(Begun::Refused(answer)) => Err(Failed::Final(to.refused(&answer, &what))),
                    Err(error) => Err(Failed::Final(target(error))),
                },
            }
        };
        let open = async { self.from.open(blob).await.map_err(Failed::Final) };
        // A large blob's source is not to wait, open, for a target that asks to slow down.
        let (upload, source) = if blob.size <= SMALL {
            let (upload, source) = futures::try_join!(begin, open)?;
            match upload {
                Ok(upload) => (upload, source),
                Err(carried) => return Ok(carried),
            }
        } else {
            match begin.await? {
                Ok(upload) => (upload, open.await?),
                Err(carried) => return Ok(carried),
            }
        };
        if says_other_length(&source, blob.size) {
            return Err(Failed::Final(self.changed(blob)));
        }
        // Whoever gives up this future gives up what it sends, too.
        let stop = self.stop.child_token();
        let _stopped = stop.clone().drop_guard();
        let body = flow::bytes(source, blob, Arc::clone(flow), Arc::clone(&self.moved), stop);
        let put = (to.client).put_blob(&to.place, &upload, &blob.digest, Body::wrap_stream(body), blob.size);
        let put = flow::watch(flow, self.settings, put).await;
        let answer = match (put, flow.fault()) {
            (Err(stall), _) => return Err(Failed::Final(self.stalled(stall))),
            (Ok(_), Some(Fault::OtherContent)) => return Err(Failed::Final(self.changed(blob))),
            (Ok(_), Some(fault)) => return Err(Failed::Broken(self.faulty(blob, fault))),
            (Ok(Err(error @ RegistryError::Unreachable { .. })), None) => return Err(Failed::Broken(target(error))),
            (Ok(Err(error)), None) => return Err(Failed::Final(target(error))),
            (Ok(Ok(answer)), None) => answer,
        };
        self.judge(blob, flow, answer, &what).await
    }

    async fn judge(&self, blob: &Blob, flow: &Flow, answer: RegistryAnswer, what: &str) -> Result<Carried, Failed> {
        let to = self.to;
        match answer.status {
            status if status.is_success() && flow.is_done() => Ok(Carried::Sent),
            status if status.is_success() => {
                // It answered before it had all: it must have had the blob before.
                match to.blob(&blob.digest).await.map_err(Failed::Final)?.is(blob.size) {
                    true => Ok(Carried::Present),
                    false => Err(Failed::Broken(
                        to.error(to.place.odd(format!("it took {what} before all bytes were sent"))),
                    )),
                }
            }
            _ => Err(Failed::of(answer, &to.pace).map(|answer| to.refused(&answer, what))),
        }
    }

    fn stalled(&self, stall: Stall) -> CopyError {
        CopyError::Stalled {
            from: self.from.place.registry.clone(),
            to: self.to.place.registry.clone(),
            reason: stall.reason(),
        }
    }

    fn changed(&self, blob: &Blob) -> CopyError {
        CopyError::Changed {
            registry: self.from.place.registry.clone(),
            what: format!("the blob {}", blob.digest),
        }
    }

    fn faulty(&self, blob: &Blob, fault: Fault) -> CopyError {
        let Blob { digest, size } = blob;
        let reason = match fault {
            Fault::EndedAfter(bytes) => format!("it sent {bytes} of {size} bytes of {digest}"),
            Fault::Broke(reason) => format!("{reason}, while it sent {digest}"),
            Fault::OtherContent => return self.changed(blob),
        };
        self.from.error(RegistryError::Unreachable {
            registry: self.from.place.registry.clone(),
            reason,
        })
    }
}

/// Whether the source says beforehand that it sends something else.
fn says_other_length(source: &Response, size: u64) -> bool {
    let length = source
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    length
        .and_then(|length| length.parse::<u64>().ok())
        .is_some_and(|length| length != size)
}

impl End {
    /// Puts a small blob whose bytes are at hand, if it isn't there; whether it was sent, or the answer of a registry that doesn't take it.
    pub(super) async fn put_small(&self, bytes: &Bytes) -> Result<Result<bool, RegistryAnswer>, CopyError> {
        let digest = sha256(bytes).ok_or_else(|| self.error(self.place.odd("a blob that cannot be hashed")))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.blob(&digest).await?.is(size) {
            return Ok(Ok(false));
        }
        let Self {
            client, place, pace, ..
        } = self;
        let mut tries = Tries::default();
        loop {
            let begun = client.begin_upload(place, None, pace).await;
            let upload = match begun.map_err(|error| self.error(error))? {
                Begun::Upload(upload) => upload,
                Begun::Mounted => return Ok(Ok(true)),
                Begun::Refused(answer) => return Ok(Err(answer)),
            };
            let put = client.put_blob(place, &upload, &digest, Body::from(bytes.clone()), size);
            let failed: Failed<Result<RegistryAnswer, CopyError>> =
                match client.transport.in_time(&place.registry, put).await {
                    Ok(answer) if answer.status.is_success() => return Ok(Ok(true)),
                    Ok(answer) => Failed::of(answer, pace).map(Ok),
                    Err(error @ RegistryError::Unreachable { .. }) => Failed::Broken(Err(self.error(error))),
                    Err(error) => Failed::Final(Err(self.error(error))),
                };
            match tries.pause(failed, pace) {
                Ok(pause) => tokio::time::sleep(pause).await,
                Err(Ok(answer)) => return Ok(Err(answer)),
                Err(Err(error)) => return Err(error),
            }
        }
    }

    /// Opens a blob; its bytes are the caller's to read.
    async fn open(&self, blob: &Blob) -> Result<Response, CopyError> {
        let place = &self.place;
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let mut request = place.request(Method::GET, url, "*/*", ERROR_LIMIT);
        request.allow_private = *self.is_private.get_or_init(|| is_private(&place.base)).await;
        let (mut busy, mut broken, mut answered) = (0, 0, Vec::new());
        request.authorization = (self.client.authenticator.known(&self.client.transport, place).await)
            .map_err(|error| self.error(error))?;
        loop {
            let (response, is_foreign) = match self.client.transport.open(request.clone()).await {
                Ok(opened) => opened,
                Err(RegistryError::Unreachable { .. }) if broken + 1 < MOST_BROKEN => {
                    broken += 1;
                    tokio::time::sleep(self.pace.after(broken)).await;
                    continue;
                }
                Err(error) => return Err(self.error(error)),
            };
            if response.status().is_success() {
                return Ok(response);
            }
            let answer = read(&place.registry, response, ERROR_LIMIT, is_foreign).await;
            let answer = answer.map_err(|error| self.error(error))?;
            match answer.status {
                StatusCode::UNAUTHORIZED if !is_foreign => {
                    let refused = request.authorization.clone();
                    let fresh = (self.client.authenticator)
                        .answer(
                            &self.client.transport,
                            place,
                            &answer.headers,
                            refused.as_ref(),
                            &mut answered,
                        )
                        .await;
                    match fresh.map_err(|error| self.error(error))? {
                        Some(fresh) => request.authorization = Some(fresh),
                        None => return Err(self.unexpected(&answer)),
                    }
                }
                StatusCode::NOT_FOUND => {
                    return Err(CopyError::Missing {
                        repository: place.repository.clone(),
                        what: format!("the blob {}", blob.digest),
                    });
                }
                status if is_busy(status) && busy + 1 < MOST_BUSY => {
                    busy += 1;
                    tokio::time::sleep(self.pace.asked_for(&answer, busy)).await;
                }
                status if status.is_server_error() && !is_busy(status) && broken + 1 < MOST_BROKEN => {
                    broken += 1;
                    tokio::time::sleep(self.pace.after(broken)).await;
                }
                _ => return Err(self.unexpected(&answer)),
            }
        }
    }
}
