//! The bytes of one blob on their way: hashed and counted while they pass, and watched.
//!
//! The last bytes are held back until all are there and the hash is right. So a target never gets the whole of something that isn't what
//! its digest says, even if it doesn't check. Nothing limits how long a blob may take, as long as it moves.

use super::{closure::Blob, settings::CopySettings};
use futures::{Stream, TryStreamExt as _, stream};
use hyper::body::Bytes;
use reqwest::Response;
use sha2::{Digest as _, Sha256};
use std::{
    io, mem,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Why the bytes of a source are of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ended after so many bytes.
    EndedAfter(u64),
    /// More bytes, or others, than the digest says.
    OtherContent,
    /// Its connection broke.
    Broke(String),
}

/// One blob under way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes given to the target in this try.
    moved: AtomicU64,
    waits_for_source: AtomicBool,
    is_done: AtomicBool,
    fault: Mutex<Option<Fault>>,
}

impl Flow {
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Whether all bytes were given, and are right.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, fault: Fault) -> io::Error {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        io::Error::other("the source is of no use")
    }
}

/// The state between two chunks.
struct Passing {
    source: Response,
    flow: Arc<Flow>,
    /// What all blobs of the copy have moved.
    moved: Arc<AtomicU64>,
    stop: CancellationToken,
    hash: Sha256,
    blob: Blob,
    passed: u64,
    held: Bytes,
}

/// The bytes of a source as they are sent on.
pub(super) fn bytes(
    source: Response,
    blob: &Blob,
    flow: Arc<Flow>,
    moved: Arc<AtomicU64>,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let passing = Passing {
        source,
        flow,
        moved,
        stop,
        hash: Sha256::new(),
        blob: blob.clone(),
        passed: 0,
        held: Bytes::new(),
    };
    stream::try_unfold(passing, Passing::next).try_filter(|chunk| std::future::ready(!chunk.is_empty()))
}

impl Passing {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.flow.is_done() {
            return Ok(None);
        }
        self.flow.waits_for_source.store(true, Ordering::Relaxed);
        let chunk = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(io::Error::other("stopped")),
            chunk = self.source.chunk() => chunk,
        };
        self.flow.waits_for_source.store(false, Ordering::Relaxed);
        let given = match chunk {
            Ok(Some(chunk)) => {
                self.passed += chunk.len() as u64;
                if self.passed > self.blob.size {
                    return Err(self.flow.fail(Fault::OtherContent));
                }
                self.hash.update(&chunk);
                mem::replace(&mut self.held, chunk)
            }
            Ok(None) if self.passed < self.blob.size => return Err(self.flow.fail(Fault::EndedAfter(self.passed))),
            Ok(None) => {
                if hex::encode(mem::take(&mut self.hash).finalize()) != self.blob.digest.hex() {
                    return Err(self.flow.fail(Fault::OtherContent));
                }
                self.flow.is_done.store(true, Ordering::Release);
                mem::take(&mut self.held)
            }
            Err(error) => {
                let reason = super::super::transport::transport_reason(&error);
                return Err(self.flow.fail(Fault::Broke(reason)));
            }
        };
        self.flow.moved.fetch_add(given.len() as u64, Ordering::Relaxed);
        self.moved.fetch_add(given.len() as u64, Ordering::Relaxed);
        Ok(Some((given, self)))
    }
}

/// Why a blob's way was cut short, as the end of "stalled:".
pub(super) enum Stall {
    /// The source sends nothing.
    Source(String),
    /// The target takes nothing, or doesn't answer.
    Target(String),
    /// It moves, but too slowly.
    Slow(String),
}

impl Stall {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Source(reason) | Self::Target(reason) | Self::Slow(reason) => reason,
        }
    }
}

/// The end of `sending`, unless nothing moves for too long.
pub(super) async fn watch<T>(
    flow: &Flow,
    settings: &CopySettings,
    sending: impl Future<Output = T>,
) -> Result<T, Stall> {
    let mut sending = pin!(sending);
    let mut tick = tokio::time::interval((settings.stall / 4).clamp(Duration::from_millis(5), Duration::from_secs(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut last_at) = (0, Instant::now());
    let (mut window, mut window_at) = (0, Instant::now());
    loop {
        tokio::select! {
            biased;
            ended = &mut sending => return Ok(ended),
            _ = tick.tick() => {}
        }
        let (moved, is_done) = (flow.moved(), flow.is_done());
        if moved != last {
            (last, last_at) = (moved, Instant::now());
        }
        // The target may have much to do with the last byte: to hash all of them, and to move them to where they stay.
        let patience = if is_done { settings.answer } else { settings.stall };
        if last_at.elapsed() >= patience {
            let seconds = patience.as_secs_f32();
            return Err(match flow.waits_for_source.load(Ordering::Relaxed) {
                _ if is_done => Stall::Target(format!("no answer for {seconds} s after the last byte")),
                true => Stall::Source(format!("no byte came for {seconds} s")),
                false => Stall::Target(format!("no byte was taken for {seconds} s")),
            });
        }
        let elapsed = window_at.elapsed();
        if !is_done && elapsed >= settings.floor_window {
            let rate = (moved - window) as f64 / elapsed.as_secs_f64();
            if rate < settings.floor as f64 {
                return Err(Stall::Slow(format!(
                    "{} KiB/s over {} s",
                    (rate / 1024.0).round(),
                    elapsed.as_secs()
                )));
            }
            (window, window_at) = (moved, Instant::now());
        }
    }
}
