//! Taking turns at a host, for those who have time: so many requests a second and no more, whoever asks within the process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a host that asked to slow down is asked half as often.
const SLOW_FOR: Duration = Duration::from_secs(10 * 60);

/// The turns at all hosts.
#[derive(Debug)]
pub(super) struct Gentle {
    /// The shortest time between two turns at one host.
    interval: Duration,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// A host, and those who wait for their turn there.
#[derive(Debug, Default)]
struct Host {
    /// Held by who is next; the others wait in the order in which they came.
    next: tokio::sync::Mutex<()>,
    times: Mutex<Times>,
}

/// When a host was asked last, and how often it wants to be.
#[derive(Debug, Default)]
struct Times {
    last: Option<Instant>,
    slow_until: Option<Instant>,
}

impl Gentle {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            hosts: Mutex::default(),
        }
    }

    /// Waits for a turn at a host, and takes it.
    pub(super) async fn turn(&self, host: &str) {
        let host = self.host(host);
        let _next = host.next.lock().await;
        loop {
            let due = host.times().take(self.interval, Instant::now());
            let Some(due) = due else { return };
            // And then again: meanwhile the host may have asked to slow down.
            tokio::time::sleep_until(due).await;
        }
    }

    /// Remembers that a host asked to slow down.
    pub(super) fn slow_down(&self, host: &str) {
        self.host(host).times().slow_until = Some(Instant::now() + SLOW_FOR);
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(name.to_owned()).or_default())
    }
}

impl Host {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    /// Takes a turn now; or says when there is one.
    fn take(&mut self, interval: Duration, now: Instant) -> Option<Instant> {
        let is_slow = self.slow_until.is_some_and(|until| now < until);
        let apart = if is_slow { interval * 2 } else { interval };
        let due = self.last.map(|last| last + apart).filter(|due| now < *due);
        if due.is_none() {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_host_is_asked_once_in_an_interval() {
        let (mut times, begin) = (Times::default(), Instant::now());
        let mut take = |millis: u64| {
            let at = begin + Duration::from_millis(millis);
            times.take(SECOND, at).map(|due| (due - begin).as_millis())
        };
        assert_eq!(take(0), None);
        assert_eq!(take(1), Some(1000));
        assert_eq!(take(999), Some(1000), "asking for a turn puts it off for nobody");
        assert_eq!(take(1000), None);
        assert_eq!(take(1500), Some(2000));
        assert_eq!(take(60_000), None, "turns that nobody took are not made up for");
        assert_eq!(take(60_001), Some(61_000));
    }

    #[test]
    fn a_host_that_asks_to_slow_down_is_asked_half_as_often_for_ten_minutes() {
        let begin = Instant::now();
        let at = |millis: u64| begin + Duration::from_millis(millis);
        let mut times = Times::default();
        assert_eq!(times.take(SECOND, at(0)), None);
        times.slow_until = Some(at(500) + SLOW_FOR);
        assert_eq!(times.take(SECOND, at(1000)), Some(at(2000)));
        assert_eq!(times.take(SECOND, at(2000)), None);
        assert_eq!(times.take(SECOND, at(3999)), Some(at(4000)));
        assert_eq!(times.take(SECOND, at(600_000)), None);
        assert_eq!(times.take(SECOND, at(600_499)), Some(at(602_000)));
        assert_eq!(times.take(SECOND, at(601_000)), None, "ten minutes are over");
        assert_eq!(times.take(SECOND, at(601_001)), Some(at(602_000)));
    }

    #[tokio::test]
    async fn all_who_ask_one_host_take_turns_and_other_hosts_are_free() {
        let gentle = Gentle::new(HOUR);
        assert!(gentle.turn("a").now_or_never().is_some());
        assert!(gentle.turn("a").now_or_never().is_none());
        assert!(gentle.turn("b").now_or_never().is_some());
        gentle.slow_down("a");
        assert!(gentle.turn("c").now_or_never().is_some());
        let host = gentle.host("a");
        let last = host.times().last.unwrap();
        let due = host.times().take(HOUR, last + SECOND);
        assert_eq!(due, Some(last + 2 * HOUR), "of all hosts only this one is slow");
        let host = gentle.host("b");
        let last = host.times().last.unwrap();
        assert_eq!(host.times().take(HOUR, last + SECOND), Some(last + HOUR));
    }

    #[tokio::test]
    async fn a_turn_is_over_when_its_time_has_come() {
        let gentle = Gentle::new(Duration::from_millis(2));
        let began = Instant::now();
        for _ in 0..5 {
            gentle.turn("a").await;
        }
        assert!(began.elapsed() >= Duration::from_millis(8));
    }
}
