//! The figures, a file each; what several of them stand on is in [`deployment`] and [`estate`].

mod approve;
mod board;
mod burst;
mod contended;
mod deployment;
mod estate;
mod fanout;
mod follow;
mod history;
mod hooks;
mod inbox;
mod interactive;
mod live;
mod memory;
mod promote_large;
mod promote_small;
mod recall;

use crate::{report::Report, scale::Scale, world::Ground};

/// Measures every group whose name contains `only`. What goes wrong in one doesn't keep the others from being measured.
pub(crate) async fn measure(ground: &Ground, scale: &Scale, only: &str, report: &mut Report) {
    let wanted = |name: &str| name.contains(only);
    if ["promote", "burst", "contended", "follow", "fanout", "approve"]
        .into_iter()
        .any(wanted)
    {
        let names = [
            "promote_warm_vs_floor",
            "promote_vs_script_small",
            "burst_1000_per_second",
            "burst_1000_pushes",
            "contended_p99",
            "follow_p99",
            "fanout_1000",
            "approve_to_push_p99",
        ];
        match deployment::Deployment::start(ground, scale).await {
            Ok(mut deployment) => {
                let d = &mut deployment;
                if wanted("promote") {
                    let outcome = promote_small::measure(d, report).await;
                    report.settle(&names[..2], outcome);
                }
                if wanted("burst") {
                    let outcome = burst::measure(d, report).await;
                    report.settle(&names[2..4], outcome);
                }
                if wanted("contended") {
                    let outcome = contended::measure(d, report).await;
                    report.settle(&names[4..5], outcome);
                }
                if wanted("follow") {
                    let outcome = follow::measure(d, report).await;
                    report.settle(&names[5..6], outcome);
                }
                if wanted("fanout") {
                    let outcome = fanout::measure(d, report).await;
                    report.settle(&names[6..7], outcome);
                }
                if wanted("approve") {
                    let outcome = approve::measure(d, report).await;
                    report.settle(&names[7..8], outcome);
                }
            }
            Err(error) => report.failed(&names, &error.to_string()),
        }
    }
    if wanted("promote") {
        let names = ["promote_vs_script_large"];
        let outcome = promote_large::measure(ground, scale, report).await;
        report.settle(&names, outcome);
    }
    if wanted("hooks") {
        let outcome = hooks::measure(ground, scale, report).await;
        report.settle(&["hooks_per_second"], outcome);
    }
    if wanted("recall") {
        let outcome = recall::measure(ground, scale, report).await;
        report.settle(&["recall_1000_list", "recall_1000"], outcome);
    }
    if wanted("board") {
        let names = [
            "board_1000x5_render_p50",
            "board_1000x5_rps",
            "board_1000x5_interactive",
        ];
        let outcome = board::measure(ground, scale, report).await;
        report.settle(&names, outcome);
    }
    if wanted("inbox") {
        let outcome = inbox::measure(ground, scale, report).await;
        report.settle(&["inbox_10k_p50"], outcome);
    }
    if wanted("live") {
        let outcome = live::measure(ground, scale, report).await;
        report.settle(&["live_seen_p99"], outcome);
    }
    if wanted("memory") {
        let outcome = memory::measure(ground, scale, report).await;
        report.settle(&["rss_idle", "rss_10k"], outcome);
    }
    if wanted("history") {
        let outcome = history::measure(ground, scale, report).await;
        report.settle(&["history_growth"], outcome);
    }
}
