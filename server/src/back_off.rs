//! How long to wait before something that failed is tried again: 1, 2, 4, … seconds up to a minute, each a fifth shorter or longer, so
//! that those who failed together don't come back together.
//!
//! [`pause`] is the rule. [`Patience`] remembers it for the promotions that ask an Argo CD again and again: what they ask, how often it
//! was in vain, and when it is due again. It lives in memory: after a restart everybody begins anew, and so they do when a person has
//! reason to think that things are better ([`Patience::forget`]).

use domain::{id::PromotionId, plan::Cause, time::Timestamp};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The first pause, in milliseconds.
const FIRST_MILLIS: u64 = 1_000;
/// The longest, before it is made shorter or longer.
const LONGEST_MILLIS: u64 = 60_000;
/// Number of entries above which old ones are dropped.
const MOST_KEPT: usize = 10_000;
/// An entry is old this long after it was due, in milliseconds.
const FORGOTTEN_MILLIS: i64 = 10 * 60_000;

/// The pause after so many failures in a row. `dice` decides by how much it is shorter or longer: any number, another one for each who
/// waits.
#[must_use]
pub fn pause(failures: u32, dice: u128) -> Duration {
    let doubled = FIRST_MILLIS.saturating_mul(1 << failures.saturating_sub(1).min(16));
    // 800 to 1200 thousandths. The parts of an id that count up stand in front, the random ones behind.
    let share = 800 + u64::try_from(mixed(dice, failures) % 401).unwrap_or(200);
    Duration::from_millis(doubled.min(LONGEST_MILLIS) * share / 1000)
}

/// The same number never gives the same share twice in a row.
fn mixed(dice: u128, failures: u32) -> u128 {
    let folded = (dice ^ (dice >> 64)) & u128::from(u64::MAX);
    (folded + u128::from(failures)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// What a promotion asks an Argo CD for, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// To be told how the Application is.
    Look,
    /// To look at Git again.
    Refresh,
    /// To sync.
    Sync,
    /// To say whether a sync window is open.
    Window,
    /// To end a sync that runs.
    End,
    /// To look at Git, before anything else in a try.
    Begin,
}

/// What a promotion asks about. A different subject starts a new back-off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// What the planner asks for.
    Cause(Cause),
    /// It doesn't answer.
    Answer,
    /// It doesn't know the Application.
    Application,
    /// Its sync windows.
    Windows,
    /// That a sync window has opened.
    WindowOpened,
    /// A revision that it applies.
    Revision(String),
    /// A try of the promotion, by its number.
    Try(u32),
    /// A promotion that failed may have become live since.
    LiveAfterAll,
}

#[derive(Clone, Debug)]
struct Tries {
    /// What for: another reason begins anew.
    about: About,
    times: u32,
    due: Timestamp,
}

/// What was asked in vain, by promotion.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<(PromotionId, Ask), Tries>>);

impl Patience {
    fn all(&self) -> MutexGuard<'_, HashMap<(PromotionId, Ask), Tries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be asked for now; then it counts as asked.
    pub(crate) fn may(&self, id: PromotionId, ask: Ask, about: &About, now: Timestamp) -> bool {
        let mut all = self.all();
        let is_early = |tries: &Tries| tries.about == *about && now < tries.due;
        if all.get(&(id, ask)).is_some_and(is_early) {
            return false;
        }
        count(&mut all, id, ask, about, now);
        true
    }

    /// Whether this is the first look of a try.
    pub(crate) fn begins(&self, id: PromotionId, tries: u32, now: Timestamp) -> bool {
        let mut all = self.all();
        let about = About::Try(tries);
        let is_known = |tries: &Tries| tries.about == about;
        if all.get(&(id, Ask::Begin)).is_some_and(is_known) {
            return false;
        }
        count(&mut all, id, Ask::Begin, &about, now);
        true
    }

    /// It was in vain once more: the milliseconds until it is to be tried again.
    pub(crate) fn wait(&self, id: PromotionId, ask: Ask, about: &About, now: Timestamp) -> i64 {
        count(&mut self.all(), id, ask, about, now).millis_since(now)
    }

    /// It was not in vain.
    pub(crate) fn worked(&self, id: PromotionId, ask: Ask) {
        self.all().remove(&(id, ask));
    }

    /// Everybody tries at once: something was changed or repaired.
    pub(crate) fn forget(&self) {
        self.all().retain(|(_, ask), _| *ask == Ask::Begin);
    }
}

fn count(
    all: &mut HashMap<(PromotionId, Ask), Tries>,
    id: PromotionId,
    ask: Ask,
    about: &About,
    now: Timestamp,
) -> Timestamp {
    if all.len() >= MOST_KEPT {
        all.retain(|_, tries| now.millis_since(tries.due) < FORGOTTEN_MILLIS);
    }
    let tries = all.entry((id, ask)).or_insert_with(|| Tries {
        about: about.clone(),
        times: 0,
        due: now,
    });
    if tries.about != *about {
        tries.about.clone_from(about);
        tries.times = 0;
    }
    tries.times = tries.times.saturating_add(1);
    let pause = pause(tries.times, id.0.as_u128());
    tries.due = now.plus_millis(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
    tries.due
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn it_doubles_up_to_a_minute_and_spreads_by_a_fifth() {
        let mut shares = Vec::new();
        for dice in 0..200_u128 {
            for (failures, seconds) in [
                (1, 1),
                (2, 2),
                (3, 4),
                (4, 8),
                (6, 32),
                (7, 60),
                (40, 60),
                (u32::MAX, 60),
            ] {
                let pause = pause(failures, dice << 40).as_millis();
                assert!((800 * seconds..=1200 * seconds).contains(&pause), "{failures}: {pause}");
                shares.push(pause / seconds);
            }
        }
        shares.sort_unstable();
        assert!(shares[0] < 850 && shares[shares.len() - 1] > 1150, "they spread");
    }

    #[test]
    fn an_hour_of_refusals_is_asked_about_some_seventy_times_and_a_minute_six() {
        let (patience, id) = (Patience::default(), PromotionId(Uuid::from_u128(7)));
        let mut asked = Vec::new();
        for second in 0..3_600 {
            let now = Timestamp(second * 1_000);
            if patience.may(id, Ask::Sync, &About::Windows, now) {
                asked.push(second);
            }
        }
        let within = |seconds: i64| asked.iter().filter(|second| **second <= seconds).count();
        assert!((5..=8).contains(&within(61)), "{asked:?}");
        assert!((55..=85).contains(&asked.len()), "{asked:?}");
    }

    #[test]
    fn another_reason_a_success_and_a_person_begin_anew() {
        let (patience, id) = (Patience::default(), PromotionId(Uuid::from_u128(7)));
        let now = Timestamp(0);
        let may = |about: Cause| patience.may(id, Ask::Refresh, &About::Cause(about), now);
        assert!(may(Cause::NotSeen) && !may(Cause::NotSeen));
        assert!(may(Cause::NotCompared) && !may(Cause::NotCompared));
        patience.worked(id, Ask::Refresh);
        assert!(may(Cause::NotCompared) && !may(Cause::NotCompared));
        patience.forget();
        assert!(may(Cause::NotCompared));
        // What another asks is its own.
        assert!(patience.may(id, Ask::Sync, &About::Cause(Cause::NotCompared), now));
        let first = patience.wait(id, Ask::Look, &About::Answer, now);
        let third = [(); 2].map(|()| patience.wait(id, Ask::Look, &About::Answer, now))[1];
        assert!(
            (800..=1200).contains(&first) && (3200..=4800).contains(&third),
            "{first} {third}"
        );
    }

    #[test]
    fn a_try_begins_once() {
        let (patience, id) = (Patience::default(), PromotionId(Uuid::from_u128(7)));
        let now = Timestamp(0);
        assert!(patience.begins(id, 1, now) && !patience.begins(id, 1, now.plus_millis(3_600_000)));
        assert!(patience.begins(id, 2, now), "a retry is another");
        assert!(patience.begins(PromotionId(Uuid::from_u128(8)), 2, now));
        patience.forget();
        assert!(
            !patience.begins(id, 2, now),
            "that somebody repaired something is no new try"
        );
    }
}
