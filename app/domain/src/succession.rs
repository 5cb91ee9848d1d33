//! Who goes first when several promotions of one resource wait: of those that can pass their gates, the newest, and nobody for ever.
//!
//! A busy source would starve its followers if each new artifact ended the wait of the one before. At most two wait, therefore: *next*,
//! whose gates open by time alone before those of the newest, and the *newest*.

use crate::{
    id::PromotionId,
    promotion::{Promotion, State},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// When a promotion that isn't committed may go on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opens {
    /// Its gates are open.
    Now,
    /// Time alone opens its gates, at this moment.
    At(Timestamp),
    /// Something else must happen, which may never.
    Unknown,
}

/// A promotion that isn't committed yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// Which.
    pub id: PromotionId,
    /// Its place among the promotions of its resource: the newer has the higher.
    pub number: i64,
    /// When it may go on.
    pub opens: Opens,
}

/// Those that the newest supersedes. What goes on now goes on, unless the newest does so too. Of those that wait the one stays that time
/// opens first, if that is before the newest can go.
#[must_use]
pub fn superseded(waiters: &[Waiter]) -> Vec<PromotionId> {
    let Some(newest) = waiters.iter().max_by_key(|waiter| waiter.number) else {
        return Vec::new();
    };
    let earlier = || {
        let is_earlier = |waiter: &&Waiter| waiter.id != newest.id && waiter.opens < newest.opens;
        waiters.iter().filter(is_earlier)
    };
    let goes = earlier()
        .filter(|waiter| waiter.opens == Opens::Now)
        .max_by_key(|waiter| waiter.number);
    let next = earlier()
        .filter(|waiter| matches!(waiter.opens, Opens::At(_)))
        // What went on before it may not be undone by it.
        .filter(|waiter| goes.is_none_or(|goes| waiter.number > goes.number))
        .min_by_key(|waiter| (waiter.opens, -waiter.number));
    let stays = |id| [Some(newest), goes, next].into_iter().flatten().any(|one| one.id == id);
    let mut ended: Vec<&Waiter> = waiters.iter().filter(|waiter| !stays(waiter.id)).collect();
    ended.sort_by_key(|waiter| waiter.number);
    ended.into_iter().map(|waiter| waiter.id).collect()
}

/// How long nothing new has come through to a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Starved {
    /// Since when something waits.
    pub since: Timestamp,
    /// How many promotions were superseded meanwhile before they were committed.
    pub superseded: u32,
}

/// Whether promotions of a resource were superseded while its newest one waits, given its history, newest first.
#[must_use]
pub fn starved(history: &[Promotion]) -> Option<Starved> {
    if history.first()?.state != State::Waiting {
        return None;
    }
    let mut starved = Starved {
        since: history.first()?.created_at,
        superseded: 0,
    };
    for promotion in history {
        match promotion.state {
            State::Waiting => {}
            State::Superseded if promotion.commit.is_none() => starved.superseded += 1,
            State::Superseded
            | State::Queued
            | State::Mirroring
            | State::Committing
            | State::Syncing
            | State::Verifying
            | State::Succeeded
            | State::Rejected
            | State::Cancelled
            | State::Failed => break,
        }
        starved.since = promotion.created_at;
    }
    (starved.superseded > 0).then_some(starved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: i64) -> PromotionId {
        PromotionId(Uuid::from_u128(number.unsigned_abs().into()))
    }

    /// The numbers of those that are superseded among promotions 1, 2, 3, … that open so.
    fn ends(opens: &[Opens]) -> Vec<u128> {
        let waiters: Vec<Waiter> = (1..)
            .zip(opens)
            .map(|(number, opens)| Waiter {
                id: id(number),
                number,
                opens: *opens,
            })
            .collect();
        superseded(&waiters).iter().map(|id| id.0.as_u128()).collect()
    }

    #[test]
    fn at_most_two_wait_and_what_time_opens_first_is_one_of_them() {
        use Opens::{Now, Unknown};
        let at = |moment| Opens::At(Timestamp(moment));
        for (opens, superseded) in [
            (&[][..], &[][..]),
            (&[at(9)], &[]),
            // A soak each: the elder goes first.
            (&[at(5), at(9)], &[]),
            // The one between makes room, however many come.
            (&[at(5), at(7), at(9)], &[2]),
            (&[at(5), Unknown, Unknown], &[2]),
            // A freeze ends for all at once: then the newest goes.
            (&[at(9), at(9)], &[1]),
            (&[at(9), at(5)], &[1]),
            // Of two that time opens at once, the younger goes.
            (&[at(5), at(5), Unknown], &[1]),
            // What waits for people is superseded by the newest.
            (&[Unknown, Unknown], &[1]),
            (&[Unknown, at(9)], &[1]),
            (&[at(5), Unknown], &[]),
            (&[at(7), at(5), Unknown], &[1]),
            // What may go goes, unless the newest may, too.
            (&[Now, at(9)], &[]),
            (&[Now, Now], &[1]),
            (&[Now, at(5), at(9)], &[]),
            (&[at(5), Now, at(9)], &[1]),
            (&[at(5), at(7), Now], &[1, 2]),
            (&[Now, Now, Unknown], &[1]),
        ] {
            assert_eq!(ends(opens), superseded, "{opens:?}");
        }
    }

    #[test]
    fn seventy_two_builds_in_a_soak_of_a_day_leave_two() {
        let (hour, mut waiting) = (3_600_000, Vec::new());
        let mut gone = Vec::new();
        for build in 0..720_i64 {
            let now = build * hour / 3;
            let opened = |waiter: &Waiter| matches!(waiter.opens, Opens::At(at) if at.0 <= now);
            if let Some(goes) = waiting.iter().find(|waiter| opened(waiter)).map(|waiter| waiter.number) {
                gone.push(goes);
                waiting.retain(|waiter: &Waiter| waiter.number > goes);
            }
            waiting.push(Waiter {
                id: id(build + 1),
                number: build + 1,
                opens: Opens::At(Timestamp(now + 24 * hour)),
            });
            let ended = superseded(&waiting);
            waiting.retain(|waiter| !ended.contains(&waiter.id));
            assert!(waiting.len() <= 2, "{waiting:?}");
        }
        assert_eq!(gone, [1, 72, 143, 214, 285, 356, 427, 498, 569, 640], "one a day");
    }

    /// Promotions, newest first, each a minute older than the one before it.
    fn history(states: &[(State, bool)]) -> Vec<Promotion> {
        let one = |(minutes, (state, is_committed)): (i64, &(State, bool))| Promotion {
            state: *state,
            commit: is_committed.then(|| "1111111".to_owned()),
            created_at: Timestamp(-minutes * 60_000),
            ..crate::promotion::tests::promotion(*state)
        };
        (0..).zip(states).map(one).collect()
    }

    #[test]
    fn nothing_comes_through_while_each_is_superseded_before_its_commit() {
        use State::{Failed, Queued, Succeeded, Superseded, Waiting};
        let found = |states: &[(State, bool)]| {
            starved(&history(states)).map(|starved| (starved.since.0 / -60_000, starved.superseded))
        };
        let waits = (Waiting, false);
        let superseded = (Superseded, false);
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[waits]), None, "it waits, and nobody was superseded");
        assert_eq!(
            found(&[waits, superseded, superseded, (Succeeded, true), superseded]),
            Some((2, 2))
        );
        assert_eq!(
            found(&[waits, superseded, waits, superseded]),
            Some((3, 2)),
            "another waits between"
        );
        // One that was committed and overtaken came through.
        assert_eq!(found(&[waits, (Superseded, true), superseded]), None);
        assert_eq!(
            found(&[waits, superseded, (Superseded, true), superseded]),
            Some((1, 1))
        );
        for newest in [Queued, Succeeded, Failed, Superseded] {
            assert_eq!(found(&[(newest, false), superseded]), None, "{newest:?}: nothing waits");
        }
    }
}
