//! Limits of connections: how long, and how many.

use std::time::Duration;

/// Descriptors that connections leave to mirrors, the database, and whatever the server asks of others.
const KEPT_BACK: usize = 256;
/// Connections that the listener for operations may hold, beside those of everybody.
const OPERATIONS: usize = 64;
/// Connections that are allowed however few descriptors there are: with fewer nobody could use the server.
const LEAST: usize = 16;

/// Limits of connections. Times are counted while nothing comes of them, except where it is said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the beginning of a connection, or the first byte of a further request, to the end of that request's head.
    pub head: Duration,
    /// Until the next byte of a request's body.
    pub body: Duration,
    /// For the whole body of a request, however steadily it comes.
    pub whole_body: Duration,
    /// Without a request; event streams and all else that is being answered is a request.
    pub idle: Duration,
    /// Until the next piece of an answer is taken.
    pub answer: Duration,
    /// For all requests to end when the server stops.
    pub farewell: Duration,
    /// Connections of one network address; of IPv6, of one /64. Trusted proxies are not counted.
    pub per_address: usize,
    /// Connections in all.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            whole_body: Duration::from_secs(300),
            idle: Duration::from_secs(75),
            answer: Duration::from_secs(30),
            farewell: Duration::from_secs(20),
            per_address: 256,
            total: 4096,
        }
    }
}

impl Limits {
    /// The same with so few connections that `descriptors` open files are enough for them and everything else.
    #[must_use]
    pub fn within(mut self, descriptors: usize) -> Self {
        let room = descriptors.saturating_sub(KEPT_BACK + OPERATIONS);
        self.total = self.total.min(room.max(descriptors / 4).max(LEAST));
        self
    }

    /// The same for the listener that only answers operations.
    #[must_use]
    pub fn of_operations(mut self) -> Self {
        self.total = OPERATIONS;
        self.per_address = OPERATIONS;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_stay_below_the_descriptors() {
        let of = |descriptors| Limits::default().within(descriptors).total;
        assert_eq!(of(1_048_576), 4096);
        assert_eq!(of(4096 + KEPT_BACK + OPERATIONS), 4096);
        assert_eq!(of(1024), 1024 - KEPT_BACK - OPERATIONS);
        assert_eq!(of(400), 100);
        assert_eq!(of(10), LEAST);
    }
}
