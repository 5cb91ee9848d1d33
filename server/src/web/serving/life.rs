//! What a connection is doing, and whether it has kept the server waiting for too long.

use crate::{config::Limits, telemetry::Closed};
use http::Version;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A connection's life, shared by its socket, its requests, and whoever watches it.
#[derive(Debug)]
pub(super) struct Life {
    doing: Mutex<Doing>,
    /// It takes no further request, and ends with those under way.
    pub(super) finish: CancellationToken,
    /// It ends now.
    pub(super) cut: CancellationToken,
    /// It has ended.
    pub(super) gone: CancellationToken,
}

#[derive(Debug)]
struct Doing {
    /// Requests whose answers are not sent to their end.
    requests: usize,
    /// Since when there is none.
    idle: Instant,
    /// Since when the head of the next one is being sent.
    head: Option<Instant>,
    /// HTTP/2 says things between requests, too.
    is_http2: bool,
    /// Since when the socket takes no more bytes.
    full: Option<Instant>,
    /// Answers of which the next piece was not asked for since.
    untaken: BTreeMap<u64, Instant>,
    answers: u64,
    /// Since when it should have ended.
    asked_to_finish: Option<Instant>,
}

impl Life {
    /// Begins now.
    pub(super) fn new(now: Instant, finish: CancellationToken, cut: CancellationToken) -> Self {
        Self {
            doing: Mutex::new(Doing {
                requests: 0,
                idle: now,
                head: Some(now),
                is_http2: false,
                full: None,
                untaken: BTreeMap::new(),
                answers: 0,
                asked_to_finish: None,
            }),
            finish,
            cut,
            gone: CancellationToken::new(),
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(super) fn read(&self) {
        let mut doing = self.doing();
        if doing.requests == 0 && !doing.is_http2 && doing.head.is_none() {
            doing.head = Some(Instant::now());
        }
    }

    /// The socket took bytes.
    pub(super) fn wrote(&self) {
        let mut doing = self.doing();
        doing.full = None;
        // The end of an answer may still be on its way. HTTP/2 is answered between requests, too: that is no use of it.
        if doing.requests == 0 && !doing.is_http2 {
            doing.idle = Instant::now();
        }
    }

    /// The socket takes no more bytes until the other side has read some.
    pub(super) fn is_full(&self) {
        self.doing().full.get_or_insert_with(Instant::now);
    }

    /// A request's head is there. It is under way as long as what is returned.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Answering {
        let mut doing = self.doing();
        doing.requests += 1;
        doing.head = None;
        doing.is_http2 = version == Version::HTTP_2;
        doing.answers += 1;
        Answering {
            life: Arc::clone(self),
            number: doing.answers,
        }
    }

    /// Since when nothing is under way; `None` while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let doing = self.doing();
        (doing.requests == 0 && doing.full.is_none()).then_some(doing.idle)
    }

    /// Ends it for others: at once when nothing is under way.
    pub(super) fn leave(&self) {
        let is_idle = self.doing().requests == 0;
        match is_idle {
            true => self.cut.cancel(),
            false => self.finish.cancel(),
        }
    }

    /// Ends it when it has kept the server waiting for too long, and says for what; once for each cause.
    pub(super) fn close_when_overdue(&self, now: Instant, limits: &Limits) -> Option<Closed> {
        if self.cut.is_cancelled() {
            return None;
        }
        let mut doing = self.doing();
        let is_past = |since: &Instant, limit| now.saturating_duration_since(*since) >= limit;
        let untaken = doing
            .untaken
            .values()
            .filter(|since| is_past(since, limits.answer))
            .count();
        // The requests of one HTTP/2 connection may be of many people, behind a proxy: who doesn't read is not to cut off who does.
        let most_untaken = if doing.is_http2 { doing.requests } else { 1 };
        let is_stuck = untaken > 0 && untaken >= most_untaken;
        if is_stuck || doing.full.is_some_and(|since| is_past(&since, limits.answer)) {
            self.cut.cancel();
            return Some(Closed::Answer);
        }
        if doing.requests > 0 {
            return None;
        }
        if doing.head.is_some_and(|since| is_past(&since, limits.head)) {
            self.cut.cancel();
            return Some(Closed::Head);
        }
        match doing.asked_to_finish {
            // It was told so and didn't go.
            Some(since) if is_past(&since, limits.head) => {
                self.cut.cancel();
                None
            }
            None if is_past(&doing.idle, limits.idle) => {
                doing.asked_to_finish = Some(now);
                self.finish.cancel();
                Some(Closed::Idle)
            }
            _ => None,
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Answering {
    life: Arc<Life>,
    number: u64,
}

impl Answering {
    /// A piece of the answer was given away.
    pub(super) fn gave(&self) {
        self.life.doing().untaken.insert(self.number, Instant::now());
    }

    /// The next piece is asked for.
    pub(super) fn is_asked(&self) {
        self.life.doing().untaken.remove(&self.number);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut doing = self.life.doing();
        doing.untaken.remove(&self.number);
        doing.requests = doing.requests.saturating_sub(1);
        if doing.requests == 0 {
            doing.idle = Instant::now();
            doing.head = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_http2_who_does_not_read_cuts_nobody_off_who_does() {
        let limits = Limits::default();
        for (version, is_shared) in [(Version::HTTP_2, true), (Version::HTTP_11, false)] {
            let life = Life::new(Instant::now(), CancellationToken::new(), CancellationToken::new());
            let life = Arc::new(life);
            let (stuck, reads) = (life.begin(version), life.begin(version));
            stuck.gave();
            reads.gave();
            reads.is_asked();
            let late = Instant::now() + limits.answer;
            let closed = life.close_when_overdue(late, &limits);
            assert_eq!(closed.is_none(), is_shared, "{version:?}");
            assert_eq!(life.cut.is_cancelled(), !is_shared, "{version:?}");
            // Alone it is stuck.
            drop(reads);
            life.close_when_overdue(late, &limits);
            assert!(life.cut.is_cancelled(), "{version:?}");
        }
    }
}
