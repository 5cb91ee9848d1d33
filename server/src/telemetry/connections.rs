//! Who is connected, who was turned away, and who had to go.

use super::{CONNECTIONS_CLOSED, CONNECTIONS_OPEN, CONNECTIONS_REFUSED};
use metrics::{counter, gauge};

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its address has as many as it may have, and all are in use.
    Address,
    /// There are as many as there may be, and all are in use.
    Total,
    /// The system had no descriptor, or no memory, for it.
    Descriptors,
}

/// Why a connection, or a request of it, was ended by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The head of a request didn't come to its end.
    Head,
    /// The body of a request didn't.
    Body,
    /// Nothing was asked.
    Idle,
    /// The answer wasn't read.
    Answer,
    /// Another needed the place.
    Room,
}

impl Refused {
    const ALL: [Self; 3] = [Self::Address, Self::Total, Self::Descriptors];

    fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Total => "total",
            Self::Descriptors => "descriptors",
        }
    }
}

impl Closed {
    const ALL: [Self; 5] = [Self::Head, Self::Body, Self::Idle, Self::Answer, Self::Room];

    fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Body => "body",
            Self::Idle => "idle",
            Self::Answer => "answer",
            Self::Room => "room",
        }
    }
}

/// Counts all of them from 0 on: most never happen.
pub(super) fn from_zero() {
    gauge!(CONNECTIONS_OPEN).increment(0.0);
    for reason in Refused::ALL {
        counter!(CONNECTIONS_REFUSED, "reason" => reason.as_str()).increment(0);
    }
    for reason in Closed::ALL {
        counter!(CONNECTIONS_CLOSED, "reason" => reason.as_str()).increment(0);
    }
}

/// This many more are open.
pub(crate) fn connections_open(more: f64) {
    gauge!(CONNECTIONS_OPEN).increment(more);
}

/// One was turned away.
pub(crate) fn connection_refused(reason: Refused) {
    counter!(CONNECTIONS_REFUSED, "reason" => reason.as_str()).increment(1);
}

/// One was ended.
pub(crate) fn connection_closed(reason: Closed) {
    counter!(CONNECTIONS_CLOSED, "reason" => reason.as_str()).increment(1);
}
