//! What is promised: each figure's name, unit, meaning and target.

use Target::{AtLeast, AtMost};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// A figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    pub(crate) what: &'static str,
}

const fn figure(name: &'static str, unit: &'static str, target: Target, what: &'static str) -> Figure {
    Figure {
        name,
        unit,
        target,
        what,
    }
}

/// All of them, in the order of the table.
pub(crate) const FIGURES: [Figure; 20] = [
    figure(
        "promote_warm_vs_floor",
        "ratio",
        AtMost(1.3),
        "decision recorded → commit on the remote, one promotion, warm; divided by `git push` of a ready commit → on the same remote",
    ),
    figure(
        "promote_vs_script_small",
        "ratio",
        AtMost(0.5),
        "the same, divided by the script people use (clone with depth 1, edit, commit, push); 20 environments × 200 services",
    ),
    figure(
        "promote_vs_script_large",
        "ratio",
        AtMost(0.03),
        "the same on a repository of 20,000 files and 20,000 commits",
    ),
    figure(
        "burst_1000_per_second",
        "promotions/s",
        AtLeast(500.0),
        "1,000 promotions of one repository recorded at once → all on the remote",
    ),
    figure("burst_1000_pushes", "pushes", AtMost(20.0), "pushes which that took"),
    figure(
        "contended_p99",
        "s",
        AtMost(5.0),
        "recorded → on the remote, 200 promotions while an outside writer pushes to the branch without pause; none lost, none doubled",
    ),
    figure(
        "follow_p99",
        "s",
        AtMost(0.3),
        "registry notification sent → commit of the follower on the remote (behind the commit of what it follows), 100 in a row",
    ),
    figure(
        "fanout_1000",
        "s",
        AtMost(5.0),
        "notification of one new artifact with 1,000 followers → all committed",
    ),
    figure(
        "hooks_per_second",
        "notifications/s",
        AtLeast(300.0),
        "1,000 registry notifications of 1,000 new tags in 50 repositories, the registry on the same machine → all in the database",
    ),
    figure(
        "approve_to_push_p99",
        "s",
        AtMost(0.3),
        "click on *Approve* sent → commit on the remote, 100 promotions in a row that each wait for one approval",
    ),
    figure(
        "recall_1000_list",
        "s",
        AtMost(0.1),
        "a recalled digest is asked about that 1,000 places in 50 repositories are to run → all of them are listed, each with what it can go back to",
    ),
    figure(
        "recall_1000",
        "s",
        AtMost(5.0),
        "*Move back* sent for the same places → all of them committed and pushed",
    ),
    figure(
        "board_1000x5_render_p50",
        "s",
        AtMost(0.03),
        "server-rendered board of 1,000 resources × 5 environments, one request after another, compressed as browsers ask for it",
    ),
    figure(
        "board_1000x5_rps",
        "requests/s",
        AtLeast(150.0),
        "the same, 8 requests at a time; the client shares the machine",
    ),
    figure(
        "board_1000x5_interactive",
        "s",
        AtMost(1.0),
        "the same in Chromium: navigation → the filter answers a keystroke",
    ),
    figure(
        "inbox_10k_p50",
        "s",
        AtMost(0.03),
        "server-rendered inbox of a person for whom 10,000 promotions wait, one request after another",
    ),
    figure(
        "live_seen_p99",
        "s",
        AtMost(1.0),
        "Argo CD stand-in reports a change on its stream → an open browser stream has it",
    ),
    figure("rss_idle", "MB", AtMost(60.0), "resident memory, empty"),
    figure(
        "rss_10k",
        "MB",
        AtMost(150.0),
        "resident memory with 10,000 resources and 100,000 promotions, after every board was shown",
    ),
    figure(
        "history_growth",
        "ratio",
        AtMost(1.5),
        "board and history queries with 1,000,000 promotions divided by the same with 10,000; the worst of them",
    ),
];
