//! How often somebody may try to sign in.
//!
//! What counts is who tries what: the network address together with the e-mail address, so that a stranger's wrong passwords keep nobody
//! out but the stranger. Beside that an address may try only so many accounts, and an account is tried only so often from everywhere;
//! beyond that, tries are slowed down, not ended. A browser from which the account was signed in before has a count of its own
//! (`service/access/known_browser.rs`), which nobody else can use up. All of it is of this process.

use contract::error::AppError;
use domain::time::Timestamp;
use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

/// Failed sign-ins in this span count.
const WINDOW_MILLIS: i64 = 5 * 60 * 1000;
/// So many times as often as at one account one address may try at all accounts, before it is slowed down.
const OF_AN_ADDRESS: usize = 5;
/// So many times as often as from one address one account may be tried from all addresses, before they are slowed down.
const OF_AN_ACCOUNT: usize = 10;
/// Most keys that are remembered; beyond it the oldest are forgotten, so that a flood can't fill the memory.
const MOST_KEYS: usize = 50_000;
/// How often what no longer counts is forgotten.
const PRUNE_EVERY_MILLIS: i64 = 60_000;
/// Times so far ahead count: of tries made at once, one may ask for the time earlier and be counted later.
const AHEAD_MILLIS: i64 = 10_000;

/// Whether a failure counts. One far ahead was written by a clock that ran ahead, and mustn't count until then.
fn counts(at: Timestamp, now: Timestamp) -> bool {
    at <= now.plus_millis(AHEAD_MILLIS) && now.millis_since(at) < WINDOW_MILLIS
}

/// Counts failed sign-ins.
#[derive(Debug)]
pub struct SignInLimit {
    most: usize,
    failures: Mutex<Failures>,
}

/// What tries are counted by, and what happens when there are too many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    key: String,
    most: usize,
    /// Whether one is let through now and then all the same.
    slows: bool,
}

/// When which key failed, oldest first.
#[derive(Debug, Default)]
struct Failures {
    times: HashMap<String, Vec<Timestamp>>,
    pruned_at: Timestamp,
}

impl Failures {
    /// Forgets what no longer counts, now and then; and the oldest, where there are too many.
    fn prune(&mut self, now: Timestamp) {
        let was_just_done = self.pruned_at <= now && now.millis_since(self.pruned_at) < PRUNE_EVERY_MILLIS;
        if !was_just_done || self.times.len() >= MOST_KEYS {
            self.times.retain(|_, times| times.iter().any(|at| counts(*at, now)));
            self.pruned_at = now;
        }
        if self.times.len() >= MOST_KEYS {
            let mut newest: Vec<Timestamp> = self.times.values().filter_map(|times| times.last().copied()).collect();
            newest.sort_unstable();
            // An eighth at once, so that this is seldom done.
            let limit = newest.get(MOST_KEYS / 8).copied().unwrap_or(now);
            self.times.retain(|_, times| times.last().is_some_and(|at| *at > limit));
        }
    }

    /// How many milliseconds a count must wait for its next try; 0 when it may.
    fn wait(&mut self, count: &Count, now: Timestamp) -> i64 {
        let Some(times) = self.times.get_mut(&count.key) else {
            return 0;
        };
        times.retain(|at| counts(*at, now));
        let (Some(oldest), Some(newest), true) = (times.first(), times.last(), times.len() >= count.most) else {
            return 0;
        };
        let free_at = if count.slows {
            let most = i64::try_from(count.most).unwrap_or(i64::MAX).max(1);
            newest.plus_millis(WINDOW_MILLIS / most)
        } else {
            oldest.plus_millis(WINDOW_MILLIS)
        };
        free_at.millis_since(now).max(0)
    }
}

impl SignInLimit {
    /// Allows `most` failures in five minutes at one account from one address; see the module for what follows from it.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            failures: Mutex::default(),
        }
    }

    /// What a sign-in with a password is counted by. `browser` is the number of a browser from which this account was signed in before.
    pub(crate) fn of_password(&self, email: &str, from: &str, browser: Option<&str>) -> Vec<Count> {
        if let Some(browser) = browser {
            return vec![self.shut(format!("browser {browser}"))];
        }
        let address = address_of(from);
        vec![
            self.shut(format!("{address} {email}")),
            self.slow(format!("address {address}"), OF_AN_ADDRESS),
            self.slow(format!("email {email}"), OF_AN_ACCOUNT),
        ]
    }

    /// What a sign-in at the provider of single sign-on is counted by: who it is isn't known before.
    pub(crate) fn of_sso(&self, from: &str) -> Vec<Count> {
        vec![self.shut(format!("sso {}", address_of(from)))]
    }

    /// What asking for the password of who is signed in is counted by: whoever found an open browser must not be able to guess at it.
    pub(crate) fn of_signed_in(&self, email: &str) -> Vec<Count> {
        vec![self.shut(format!("password {email}"))]
    }

    fn shut(&self, key: String) -> Count {
        Count {
            key,
            most: self.most,
            slows: false,
        }
    }

    fn slow(&self, key: String, times: usize) -> Count {
        Count {
            key,
            most: self.most.saturating_mul(times),
            slows: true,
        }
    }

    /// Whether another try is allowed by all of `counts`; counts it as failed until [`SignInLimit::succeeded`] takes it back, so that
    /// tries made at once are all counted.
    ///
    /// # Errors
    /// After too many failures: how long to wait.
    pub(crate) fn begin(&self, counts: &[Count], now: Timestamp) -> Result<(), AppError> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = counts.iter().map(|count| failures.wait(count, now)).max().unwrap_or(0);
        if let Some(seconds) = u64::try_from(millis).ok().filter(|millis| *millis > 0) {
            return Err(AppError::TooMany {
                seconds: seconds.div_ceil(1000),
            });
        }
        failures.prune(now);
        for count in counts {
            failures.times.entry(count.key.clone()).or_default().push(now);
        }
        Ok(())
    }

    /// Takes back what [`SignInLimit::begin`] counted.
    pub(crate) fn succeeded(&self, counts: &[Count]) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            if let Entry::Occupied(mut times) = failures.times.entry(count.key.clone()) {
                times.get_mut().pop();
                if times.get().is_empty() {
                    times.remove();
                }
            }
        }
    }
}

/// A network address as it is counted. Of IPv6 somebody has at least a whole /64: its addresses are one.
fn address_of(from: &str) -> String {
    match from.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        Ok(address) => address.to_string(),
        Err(_) => from.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn shut(limit: &SignInLimit) -> Vec<Count> {
        limit.of_signed_in("a@example.com")
    }

    #[test]
    fn too_many_failures_close_the_door_for_a_while() {
        let limit = SignInLimit::new(3);
        for _ in 0..3 {
            assert_eq!(limit.begin(&shut(&limit), NOW), Ok(()));
        }
        let later = NOW.plus_millis(60_000);
        assert_eq!(
            limit.begin(&shut(&limit), later),
            Err(AppError::TooMany { seconds: 240 })
        );
        assert_eq!(limit.begin(&shut(&limit), NOW.plus_millis(WINDOW_MILLIS)), Ok(()));
    }

    #[test]
    fn what_a_clock_that_ran_ahead_wrote_does_not_count() {
        let limit = SignInLimit::new(3);
        let ahead = NOW.plus_millis(2 * 24 * 60 * 60 * 1000);
        for at in [ahead, NOW] {
            for _ in 0..3 {
                assert_eq!(limit.begin(&shut(&limit), at), Ok(()));
            }
            assert_eq!(limit.begin(&shut(&limit), at), Err(AppError::TooMany { seconds: 300 }));
        }
        // Of tries made at once, all count, in whatever order.
        let before = NOW.plus_millis(-5);
        assert!(limit.begin(&shut(&limit), before).is_err());
    }

    #[test]
    fn a_stranger_keeps_nobody_out_but_the_stranger() {
        let limit = SignInLimit::new(3);
        let tries = |email: &str, from: &str, browser| limit.begin(&limit.of_password(email, from, browser), NOW);
        for _ in 0..3 {
            assert_eq!(tries("ada", "192.0.2.66", None), Ok(()));
        }
        assert_eq!(
            tries("ada", "192.0.2.66", None),
            Err(AppError::TooMany { seconds: 300 })
        );
        assert_eq!(tries("ada", "192.0.2.1", None), Ok(()), "the owner, from elsewhere");
        assert_eq!(
            tries("bob", "192.0.2.66", None),
            Ok(()),
            "another one behind the same address"
        );
        assert_eq!(
            tries("ada", "192.0.2.66", Some("7")),
            Ok(()),
            "the owner's own browser, from the same address"
        );
    }

    #[test]
    fn guessing_from_everywhere_is_slowed_down_and_a_known_browser_is_not() {
        let limit = SignInLimit::new(3);
        let tries =
            |n: usize, browser, at| limit.begin(&limit.of_password("ada", &format!("192.0.2.{n}"), browser), at);
        for n in 0..3 * OF_AN_ACCOUNT {
            assert_eq!(tries(n, None, NOW), Ok(()), "{n}");
        }
        assert_eq!(tries(200, None, NOW), Err(AppError::TooMany { seconds: 10 }));
        assert_eq!(tries(201, Some("7"), NOW), Ok(()));
        // One try in ten seconds is let through, whoever it is.
        let next = NOW.plus_millis(10_000);
        assert_eq!(tries(202, None, next), Ok(()));
        assert_eq!(tries(203, None, next), Err(AppError::TooMany { seconds: 10 }));
        // The known browser's own count closes.
        assert_eq!(tries(204, Some("7"), NOW), Ok(()));
        assert_eq!(tries(205, Some("7"), NOW), Ok(()));
        assert_eq!(tries(206, Some("7"), NOW), Err(AppError::TooMany { seconds: 300 }));
    }

    #[test]
    fn one_address_with_many_names_is_slowed_down() {
        let limit = SignInLimit::new(3);
        let tries = |n: usize, from, at| limit.begin(&limit.of_password(&format!("guess{n}"), from, None), at);
        for n in 0..3 * OF_AN_ADDRESS {
            assert_eq!(tries(n, "192.0.2.66", NOW), Ok(()), "{n}");
        }
        assert_eq!(tries(99, "192.0.2.66", NOW), Err(AppError::TooMany { seconds: 20 }));
        assert_eq!(tries(99, "192.0.2.1", NOW), Ok(()));
        assert_eq!(tries(99, "192.0.2.66", NOW.plus_millis(20_000)), Ok(()));
    }

    #[test]
    fn single_sign_on_counts_for_itself() {
        let limit = SignInLimit::new(2);
        let sso = |from: &str| limit.begin(&limit.of_sso(from), NOW);
        assert_eq!((sso("192.0.2.1"), sso("192.0.2.1")), (Ok(()), Ok(())));
        assert!(sso("192.0.2.1").is_err());
        assert_eq!(sso("192.0.2.2"), Ok(()));
        assert_eq!(limit.begin(&limit.of_password("ada", "192.0.2.1", None), NOW), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        assert_eq!(address_of("2001:db8:1:2::5"), address_of("2001:db8:1:2:ffff::1"));
        assert_ne!(address_of("2001:db8:1:2::5"), address_of("2001:db8:1:3::5"));
        assert_eq!(address_of("::ffff:192.0.2.1"), address_of("192.0.2.1"));
        assert_ne!(address_of("192.0.2.1"), address_of("192.0.2.2"));
    }

    #[test]
    fn what_no_longer_counts_is_forgotten_and_a_flood_takes_only_the_oldest() {
        let limit = SignInLimit::new(3);
        let remembered = || limit.failures.lock().unwrap().times.len();
        let flood = i64::try_from(MOST_KEYS).unwrap() * 2;
        for n in 0..flood {
            let now = NOW.plus_millis(n / 1000);
            limit.begin(&limit.of_signed_in(&format!("{n}")), now).unwrap();
            assert!(remembered() <= MOST_KEYS);
        }
        // The newest still count.
        let last = limit.of_signed_in(&format!("{}", flood - 1));
        let now = NOW.plus_millis(flood / 1000);
        assert_eq!(limit.begin(&last, now), Ok(()));
        assert_eq!(limit.begin(&last, now), Ok(()));
        assert!(limit.begin(&last, now).is_err());
        // Later nothing of it is left.
        limit
            .begin(&limit.of_signed_in("x"), now.plus_millis(WINDOW_MILLIS))
            .unwrap();
        assert_eq!(remembered(), 1);
    }

    #[test]
    fn successes_do_not_count() {
        let limit = SignInLimit::new(2);
        for _ in 0..10 {
            let counts = limit.of_password("ada", "192.0.2.1", None);
            assert_eq!(limit.begin(&counts, NOW), Ok(()));
            limit.succeeded(&counts);
        }
    }
}
