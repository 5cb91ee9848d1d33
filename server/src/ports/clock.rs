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
