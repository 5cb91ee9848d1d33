//! The one place that reads the time, and the clock that a test moves.
//!
//! Argo CD writes RFC 3339 in UTC with whole seconds, which is what makes "finished" and "reconciled" look equal to a
//! client. The stand-in keeps that truncation, so timestamps are handled as the text that goes on the wire; only what
//! depends on the time of day (sync windows, the expiry of tokens) asks for the moment itself.
//!
//! Moving the clock changes what time it is, not how fast things go: pauses ([`crate::Timing`]) run on real time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// The clock of one stand-in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// How many seconds it is ahead of the real time.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn moment(&self) -> OffsetDateTime {
        let real = OffsetDateTime::now_utc();
        let ahead = time::Duration::seconds(self.ahead.load(Ordering::Relaxed));
        real.checked_add(ahead).unwrap_or(real)
    }

    /// Now, as Argo CD writes it: `2026-09-01T12:00:07Z`.
    pub(crate) fn now(&self) -> String {
        stamp(self.moment())
    }

    /// Seconds since the epoch, for token claims.
    pub(crate) fn unix(&self) -> i64 {
        self.moment().unix_timestamp()
    }

    /// What it will show after `later`, as Go's `time.Kitchen` prints it, part of the retry message: `3:04PM`.
    pub(crate) fn kitchen(&self, later: Duration) -> String {
        let now = self.moment();
        let then = time::Duration::try_from(later)
            .ok()
            .and_then(|later| now.checked_add(later));
        then.unwrap_or(now)
            .format(format_description!(
                "[hour repr:12 padding:none]:[minute][period case:upper]"
            ))
            .unwrap_or_default()
    }

    /// Moves it forward.
    pub(crate) fn advance(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        let later = |ahead: i64| Some(ahead.saturating_add(seconds));
        // The closure always has an answer, so there is nothing to refuse.
        let _ = self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }
}

/// A moment given in Unix seconds, as text. `None` when out of range.
pub(crate) fn from_unix(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(stamp)
}

fn stamp(moment: OffsetDateTime) -> String {
    moment
        .replace_nanosecond(0)
        .unwrap_or(moment)
        .format(&Rfc3339)
        .unwrap_or_default()
}
