//! The system's clock, and identities made of it and of random numbers.

use crate::ports::clock::{Clock, Ids};
use domain::time::Timestamp;
use uuid::Uuid;

/// The system's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Ids for System {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
