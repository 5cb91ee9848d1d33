//! Time and identity, as arguments: the system's in the program, fixed ones in tests.

use domain::time::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives new identities.
pub trait Ids: Send + Sync {
    /// A UUIDv7, which keeps what was made together close together in indexes. What is newer is never told by it.
    fn next(&self) -> Uuid;
}

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
