//! Who may send what at the same time: so many streams for each host, and each blob to a repository once, whoever sends it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Slots above which those that nobody holds are dropped.
const MOST_IDLE: usize = 4_096;

/// What one copy after the other does: sending a blob to a repository, writing a tag. Holds whether it was done while anyone held the slot.
pub(super) type Slot = tokio::sync::Mutex<bool>;

/// The streams of all copies of the process.
#[derive(Debug)]
pub(super) struct Lanes {
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    slots: Mutex<HashMap<(String, String), Arc<Slot>>>,
}

/// The right to one stream between two hosts.
#[derive(Debug)]
pub(super) struct Lane {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Lanes {
    pub(super) fn new(per_host: usize) -> Self {
        Self {
            per_host: per_host.max(1),
            hosts: Mutex::default(),
            slots: Mutex::default(),
        }
    }

    /// The slot of a digest or tag in a repository. Whoever may send it takes the slot before it looks whether that is needed, and keeps it.
    pub(super) fn slot(&self, repository: &str, name: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_IDLE {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let key = (repository.to_owned(), name.to_owned());
        Arc::clone(slots.entry(key).or_default())
    }

    /// Waits for a stream between two hosts. All take them in one order, so no two wait for each other.
    pub(super) async fn lane(&self, one: &str, other: &str) -> Lane {
        let mut hosts = vec![one, other];
        hosts.sort_unstable();
        hosts.dedup();
        let mut permits = Vec::new();
        for host in hosts {
            let streams = self.streams(host);
            // Fails only where it was closed, which nobody does.
            permits.extend(streams.acquire_owned().await.ok());
        }
        Lane { _permits: permits }
    }

    fn streams(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = hosts
            .entry(host.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_host)));
        Arc::clone(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_host_has_so_many_streams_whichever_end_it_is() {
        let lanes = Lanes::new(2);
        let first = lanes.lane("a", "b").await;
        let _second = lanes.lane("c", "a").await;
        assert!(lanes.lane("a", "d").now_or_never().is_none(), "a has two");
        let _third = lanes.lane("b", "d").await;
        drop(first);
        assert!(lanes.lane("d", "a").now_or_never().is_some());
        assert!(
            lanes.lane("e", "e").now_or_never().is_some(),
            "one stream within one host"
        );
    }

    #[test]
    fn slots_that_nobody_holds_are_dropped() {
        let lanes = Lanes::new(1);
        let held = lanes.slot("r", "held");
        for n in 0..MOST_IDLE {
            lanes.slot("r", &n.to_string());
        }
        assert!(lanes.slots.lock().unwrap().len() < 10);
        assert!(Arc::ptr_eq(&held, &lanes.slot("r", "held")));
    }
}
