//! Requests and texts that nobody would send, thrown at everything that reads from outside: no panic, no 5xx, no hang. Short in `make
//! test`; `make fuzz` takes its time on both databases. [`texts`] throws at the functions that read, [`answers`] at the clients of what
//! stands outside, [`requests`] at a running server; [`mutate`] makes it all from what is right.
//!
//! `FUZZ_SEED` and the round, which a failure names, make it again; `FUZZ_SECONDS` is how long each of the long forms takes.

mod answers;
mod mutate;
mod requests;
mod texts;

use crate::soak::setting;
use std::time::{Duration, Instant};

/// How long something is thrown.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// So many times.
    Rounds(usize),
    /// Until then.
    Moment(Instant),
}

impl Until {
    /// As long as `make fuzz` has it.
    fn told() -> Self {
        let seconds = Duration::from_secs(setting("FUZZ_SECONDS", 240));
        Self::Moment(Instant::now() + seconds)
    }

    fn is_over(self, round: usize) -> bool {
        match self {
            Self::Rounds(rounds) => round >= rounds,
            Self::Moment(moment) => Instant::now() >= moment,
        }
    }
}

/// The seed of this run, said where it can be read when the test fails.
fn seed() -> u64 {
    let seed = setting("FUZZ_SEED", 1);
    println!("FUZZ_SEED={seed}");
    seed
}
