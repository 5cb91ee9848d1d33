//! The one place that reads the time.
//!
//! Argo CD writes RFC 3339 in UTC with whole seconds, which is what makes "finished" and "reconciled" look equal to a
//! client. The stand-in keeps that truncation, so timestamps are only ever handled as the text that goes on the wire.

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Now, as Argo CD writes it: `2026-09-01T12:00:07Z`.
pub(crate) fn now() -> String {
    stamp(OffsetDateTime::now_utc())
}

/// Seconds since the epoch, for token claims.
pub(crate) fn unix_now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// A moment given in Unix seconds, as text. `None` when out of range.
pub(crate) fn from_unix(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(stamp)
}

/// The clock as Go's `time.Kitchen` prints it, part of the retry message: `3:04PM`.
pub(crate) fn kitchen() -> String {
    OffsetDateTime::now_utc()
        .format(format_description!(
            "[hour repr:12 padding:none]:[minute][period case:upper]"
        ))
        .unwrap_or_default()
}

fn stamp(moment: OffsetDateTime) -> String {
    moment
        .replace_nanosecond(0)
        .unwrap_or(moment)
        .format(&Rfc3339)
        .unwrap_or_default()
}
