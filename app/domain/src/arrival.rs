//! Whether what a registry holds is to be deployed: what was there at the first look at a repository is history, and what arrives
//! after it counts.

use crate::time::Timestamp;

/// Where an artifact stands among those of its repository; of two the greater is newer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Standing {
    /// When it was built, as far as that can be believed; 0 where nothing is known of it.
    pub rank: Timestamp,
    /// Its place in the order of arrival.
    pub ordinal: i64,
}

/// What a resource runs according to Git.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// Git declares nothing for it.
    Nothing,
    /// An image of another repository than the one that it follows.
    Elsewhere,
    /// An image of that repository.
    Image(Standing),
}

/// How a newest artifact came to be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The whole repository was listed.
    Listed,
    /// Its registry told of a push.
    Told,
}

/// Whether the newest artifact of a repository is to be deployed by itself to a resource that follows it. `learned` is the last arrival
/// that was there when the repository was first listed in full for the resource; `None` before that.
#[must_use]
pub fn starts(newest: Standing, runs: Runs, learned: Option<i64>, heard: Heard) -> bool {
    let has_arrived = match (learned, heard) {
        (Some(learned), _) => newest.ordinal > learned,
        // A push is an arrival, whatever was there before.
        (None, Heard::Told) => true,
        (None, Heard::Listed) => runs == Runs::Nothing,
    };
    let is_newer = match runs {
        Runs::Nothing | Runs::Elsewhere => true,
        Runs::Image(running) => newest > running,
    };
    has_arrived && is_newer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rank: i64, ordinal: i64) -> Standing {
        Standing {
            rank: Timestamp(rank),
            ordinal,
        }
    }

    #[test]
    fn the_first_look_starts_something_only_where_git_declares_nothing() {
        assert!(starts(at(9, 60), Runs::Nothing, None, Heard::Listed));
        assert!(!starts(at(9, 60), Runs::Image(at(5, 31)), None, Heard::Listed));
        assert!(!starts(at(9, 60), Runs::Elsewhere, None, Heard::Listed));
    }

    #[test]
    fn after_it_only_what_arrives_counts_and_never_what_is_older_than_what_runs() {
        let runs = Runs::Image(at(5, 31));
        assert!(!starts(at(9, 60), runs, Some(60), Heard::Listed));
        assert!(starts(at(10, 61), runs, Some(60), Heard::Listed));
        assert!(starts(at(10, 61), runs, Some(60), Heard::Told));
        assert!(
            !starts(at(4, 61), runs, Some(60), Heard::Told),
            "built before what runs"
        );
        assert!(!starts(at(9, 60), Runs::Nothing, Some(60), Heard::Told), "it was there");
    }

    #[test]
    fn a_push_is_an_arrival_before_the_first_look_too() {
        assert!(starts(at(9, 2), Runs::Image(at(5, 1)), None, Heard::Told));
        assert!(!starts(at(4, 2), Runs::Image(at(5, 1)), None, Heard::Told));
    }
}
