//! How much is measured: the numbers of the promise, and smaller ones for a quick look.

/// The numbers of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
    /// Repetitions of single promotions, pushes and scripts.
    pub(crate) singles: usize,
    /// Repetitions on the large repository.
    pub(crate) large_singles: usize,
    /// Files, and commits, of the large repository.
    pub(crate) large: usize,
    pub(crate) burst: usize,
    /// Repetitions of the burst and of the fan-out.
    pub(crate) bursts: usize,
    pub(crate) contended: usize,
    pub(crate) follows: usize,
    pub(crate) fanout: usize,
    /// Promotions that wait for a person's click, one after another.
    pub(crate) approvals: usize,
    /// Tags that a registry tells of, and the repositories they are in.
    pub(crate) hooks: (usize, usize),
    /// Places that run a recalled digest, and the repositories they are in.
    pub(crate) recall: (usize, usize),
    /// Rows of the board, in 5 environments.
    pub(crate) board: usize,
    /// Promotions in the inbox; whole projects of 1,000.
    pub(crate) waiting: usize,
    /// Views of the board's page, and of the inbox's.
    pub(crate) renders: usize,
    /// Seconds of load for requests per second.
    pub(crate) load: f64,
    pub(crate) navigations: usize,
    pub(crate) live: usize,
    /// Resources and promotions behind `rss_10k`.
    pub(crate) memory: (usize, usize),
    /// Promotions of the short and of the long history.
    pub(crate) histories: [usize; 2],
}

impl Scale {
    pub(crate) fn full() -> Self {
        Self {
            quick: false,
            singles: 21,
            large_singles: 7,
            large: 20_000,
            burst: 1_000,
            bursts: 3,
            contended: 200,
            follows: 100,
            fanout: 1_000,
            approvals: 100,
            hooks: (1_000, 50),
            recall: (1_000, 50),
            board: 1_000,
            waiting: 10_000,
            renders: 60,
            load: 10.0,
            navigations: 7,
            live: 100,
            memory: (10_000, 100_000),
            histories: [10_000, 1_000_000],
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            quick: true,
            singles: 7,
            large_singles: 3,
            large: 4_000,
            burst: 200,
            bursts: 1,
            contended: 40,
            follows: 20,
            fanout: 100,
            approvals: 20,
            hooks: (400, 20),
            recall: (200, 10),
            board: 300,
            waiting: 2_000,
            renders: 20,
            load: 3.0,
            navigations: 3,
            live: 30,
            memory: (2_000, 10_000),
            histories: [2_000, 100_000],
        }
    }

    /// What differs from the promise, for readers of the table.
    pub(crate) fn words(&self) -> String {
        format!(
            "{} single promotions ({} on the large repository, which has {} files and commits), {} × {} in a burst, {} against the outside writer, {} followers one after another, {} × {} in the fan-out, {} approvals one after another, {} tags in {} repositories told of, {} places in {} repositories recalled, {} × 5 on the board, {} promotions in the inbox, {} views of each page, {} navigations, {} live changes, {} resources with {} promotions in memory, histories of {} and {} promotions",
            self.singles,
            self.large_singles,
            self.large,
            self.bursts,
            self.burst,
            self.contended,
            self.follows,
            self.bursts,
            self.fanout,
            self.approvals,
            self.hooks.0,
            self.hooks.1,
            self.recall.0,
            self.recall.1,
            self.board,
            self.waiting,
            self.renders,
            self.navigations,
            self.live,
            self.memory.0,
            self.memory.1,
            self.histories[0],
            self.histories[1],
        )
    }
}
