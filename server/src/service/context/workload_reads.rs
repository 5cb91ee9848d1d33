//! Who reads workloads of which Argo CD, a few at a time, and what was read a moment ago.

use crate::ports::argocd::{AppRef, Workloads};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

/// Reads of one Argo CD at a time.
const AT_ONCE: usize = 4;
/// Of these, for boards: a promotion never stands behind a whole board.
const FOR_BOARDS: usize = 3;
/// So many reads for boards begin within any [`WINDOW`], of one Argo CD. One change makes a few versions, which need not wait for one another.
const MOST: usize = 10;
const WINDOW: Duration = Duration::from_secs(1);
/// For so long what was read of an Application holds, while its version stays: Argo CD changes nothing in it when one of two old pods ends.
const HOLDS: Duration = Duration::from_secs(5);
/// What was read longer ago than this is forgotten.
const KEPT: Duration = Duration::from_secs(30);

/// Whom a read is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadPurpose {
    /// A promotion, which waits for it.
    Promotion,
    /// A board, which says *checking* meanwhile.
    Board,
}

/// Who reads what of which Argo CD, and what promotions read last.
#[derive(Debug, Default)]
pub struct WorkloadReads {
    turns: Mutex<HashMap<String, Arc<Turns>>>,
    read: Mutex<HashMap<(String, AppRef), Read>>,
}

#[derive(Debug)]
pub(crate) struct Read {
    version: Option<u64>,
    at: Instant,
    workloads: Workloads,
}

/// The turns of one Argo CD.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Semaphore,
    boards: Semaphore,
    /// When the last ones for boards began, or may begin.
    begun: Mutex<VecDeque<Instant>>,
}

impl Turns {
    fn new() -> Self {
        Self {
            all: Semaphore::new(AT_ONCE),
            boards: Semaphore::new(FOR_BOARDS),
            begun: Mutex::default(),
        }
    }

    /// When the next read for a board may begin; it is taken then.
    fn begins(&self, now: Instant) -> Instant {
        let mut begun = locked(&self.begun);
        let earliest = match begun.len() {
            MOST.. => begun.pop_front().map(|first| first + WINDOW),
            _ => None,
        };
        let begins = earliest.map_or(now, |earliest| earliest.max(now));
        begun.push_back(begins);
        begins
    }

    /// Whether one began within the last [`WINDOW`], or is to begin.
    fn is_recent(&self, now: Instant) -> bool {
        locked(&self.begun).back().is_some_and(|last| *last + WINDOW > now)
    }

    /// Waits for a turn, which ends when what this returns is dropped.
    pub(crate) async fn take(&self, whom: ReadPurpose) -> [Option<SemaphorePermit<'_>>; 2] {
        if whom == ReadPurpose::Promotion {
            return [None, self.all.acquire().await.ok()];
        }
        let board = self.boards.acquire().await.ok();
        sleep_until(self.begins(Instant::now())).await;
        [board, self.all.acquire().await.ok()]
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkloadReads {
    pub(crate) fn turns(&self, url: &str) -> Arc<Turns> {
        let mut all = locked(&self.turns);
        // As many as clusters; those of addresses that are used no more go.
        all.retain(|known, turns| known == url || Arc::strong_count(turns) > 1 || turns.is_recent(Instant::now()));
        Arc::clone(all.entry(url.to_owned()).or_insert_with(|| Arc::new(Turns::new())))
    }

    pub(crate) fn known(&self, key: &(String, AppRef), version: Option<u64>, now: Instant) -> Option<Workloads> {
        let read = locked(&self.read);
        let known = read.get(key)?;
        (known.version == version && version.is_some() && now.duration_since(known.at) < HOLDS)
            .then(|| known.workloads.clone())
    }

    pub(crate) fn keep(&self, key: (String, AppRef), version: Option<u64>, workloads: Workloads, at: Instant) {
        let now = at;
        let mut read = locked(&self.read);
        read.retain(|_, known| now.duration_since(known.at) < KEPT);
        read.insert(key, Read { version, at, workloads });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn an_argo_cd_is_read_four_at_a_time_and_a_place_is_left_for_promotions() {
        let reads = WorkloadReads::default();
        let turns = reads.turns("a");
        let boards: Vec<_> = (0..FOR_BOARDS).map(|_| turns.boards.try_acquire().unwrap()).collect();
        assert!(
            turns.take(ReadPurpose::Board).now_or_never().is_none(),
            "boards have three places"
        );
        drop(boards);
        let mut held: Vec<_> = (0..AT_ONCE)
            .map(|_| turns.take(ReadPurpose::Promotion).now_or_never().unwrap())
            .collect();
        assert!(
            turns.take(ReadPurpose::Promotion).now_or_never().is_none(),
            "a fifth waits for one to end"
        );
        held.pop();
        assert!(turns.take(ReadPurpose::Promotion).now_or_never().is_some());
        assert!(Arc::ptr_eq(&turns, &reads.turns("a")) && !Arc::ptr_eq(&turns, &reads.turns("b")));
    }

    #[test]
    fn boards_begin_ten_reads_in_any_second() {
        let turns = Turns::new();
        let now = Instant::now();
        let begins: Vec<Instant> = (0..25).map(|_| turns.begins(now)).collect();
        assert_eq!(begins[9], now, "ten at once");
        assert_eq!(begins[10] - now, Duration::from_secs(1));
        assert_eq!(begins[24] - now, Duration::from_secs(2));
        let later = now + Duration::from_secs(60);
        assert_eq!(turns.begins(later), later, "who comes late doesn't wait");
    }

    #[test]
    fn what_was_read_holds_for_a_moment_and_for_its_version() {
        let reads = WorkloadReads::default();
        let app = AppRef {
            name: "web".into(),
            project: None,
            namespace: None,
        };
        let key = ("a".to_owned(), app);
        let read = Workloads::Withheld("no".into());
        let now = Instant::now();
        reads.keep(key.clone(), Some(7), read.clone(), now);
        assert_eq!(reads.known(&key, Some(7), now), Some(read.clone()));
        assert_eq!(
            (reads.known(&key, Some(8), now), reads.known(&key, None, now)),
            (None, None)
        );
        assert_eq!(reads.known(&key, Some(7), now + HOLDS), None);
        reads.keep(("b".into(), key.1.clone()), Some(1), read, now + KEPT);
        assert_eq!(locked(&reads.read).len(), 1, "what is old is forgotten");
    }
}
