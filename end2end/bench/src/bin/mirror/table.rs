//! What was found, as lines and as tables.

use crate::{
    case::{Before, Case, SERIES, Series},
    clock, machine,
    run::Run,
    tool::{Tool, WAYBILL},
};
use std::fmt::Write as _;

/// Requests for a manifest at the target when there is nothing to do.
const MOST_REQUESTS: f64 = 3.0;

/// One case in one series.
pub(crate) struct Found<'a> {
    pub(crate) series: &'a Series,
    pub(crate) case: &'a Case,
    /// Manifests that a complete copy has, with all that hangs on the image and the lists of it.
    pub(crate) manifests: usize,
    pub(crate) tools: Vec<(Tool, Vec<Run>)>,
}

/// All of them.
pub(crate) struct Table<'a> {
    pub(crate) found: &'a [Found<'a>],
    pub(crate) runs: usize,
    pub(crate) seconds: f64,
}

impl Found<'_> {
    fn seconds(&self, is_wanted: impl Fn(&Tool) -> bool) -> Option<(&'static str, f64)> {
        (self.tools.iter())
            .filter(|(tool, runs)| is_wanted(tool) && !runs.is_empty())
            .map(|(tool, runs)| (tool.name, median(runs, |run| run.seconds)))
            .min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// Waybill's median by the best tool's, and which that is.
    fn ratio(&self) -> Option<(f64, &'static str)> {
        let (_, ours) = self.seconds(Tool::is_waybill)?;
        let (best, theirs) = self.seconds(|tool| !tool.is_waybill())?;
        Some((ours / theirs, best))
    }

    /// Waybill's requests for manifests at the target by the number of manifests, and how many of its requests carried bytes of blobs, when
    /// there is nothing to do.
    fn idle(&self) -> Option<(f64, usize)> {
        let Before::Holds(held) = self.case.before else {
            return None;
        };
        let runs = self
            .tools
            .iter()
            .find(|(tool, _)| tool.is_waybill())
            .map(|(_, runs)| runs)?;
        let most = runs.iter().map(|run| run.at_target.manifests).max()?;
        let contents = runs
            .iter()
            .map(|run| run.at_target.contents + run.at_source.contents)
            .max()?;
        (held == self.case.image).then(|| (decimal(most) / decimal(self.manifests), contents))
    }

    /// `name value unit`, as `make bench` prints figures.
    pub(crate) fn lines(&self) -> String {
        let place = format!("{}_{}", self.case.letter, self.series.name);
        let mut lines = String::new();
        for (tool, runs) in &self.tools {
            let row = Row::of(runs);
            eprintln!(
                "    {:<40} {:>7.3} s, worst {:>7.3} s, {:>6.2} s of processors, {:>4.0} MB, {} + {} requests",
                tool.name, row.median, row.worst, row.work, row.memory, row.at_source, row.at_target
            );
        }
        if let Some((ratio, best)) = self.ratio() {
            let _ = writeln!(lines, "mirror_vs_best_{place} {ratio:.2} ratio");
            let target = self.case.target(self.series);
            eprintln!("    {}: the target is ≤ {target} of {best}", verdict(ratio <= target));
        }
        if let Some((requests, contents)) = self.idle() {
            let _ = writeln!(lines, "mirror_idle_{place} {requests:.2} requests/manifest");
            let _ = writeln!(lines, "mirror_idle_contents_{place} {contents} requests");
        }
        lines
    }
}

/// A tool's row.
struct Row {
    median: f64,
    worst: f64,
    work: f64,
    memory: f64,
    at_source: usize,
    at_target: usize,
    left_behind: String,
}

impl Row {
    fn of(runs: &[Run]) -> Self {
        let referrers = runs.iter().map(|run| run.referrers).min().unwrap_or_default();
        let mut lost = Vec::new();
        let (arrived, all) = referrers;
        if arrived < all {
            lost.push(format!("{} of {all} referrers", all - arrived));
        }
        if runs.iter().any(|run| run.signature == Some(false)) {
            lost.push("the `.sig` tag".to_owned());
        }
        Self {
            median: median(runs, |run| run.seconds),
            worst: runs.iter().map(|run| run.seconds).fold(0.0, f64::max),
            work: median(runs, |run| run.work),
            memory: runs.iter().map(|run| run.memory).fold(0.0, f64::max),
            at_source: most(runs, |run| run.at_source.all),
            at_target: most(runs, |run| run.at_target.all),
            left_behind: match lost.is_empty() {
                true => "nothing".to_owned(),
                false => lost.join(", "),
            },
        }
    }
}

impl Table<'_> {
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "## Copies between registries\n\nWritten by `make bench-mirror` in {:.0} s; do not edit. Two docker-registries on this machine, with their data \
             on its disk. Before each run the target's registry is started afresh on an empty directory, or on a copy of one that holds what \
             the case says, and the disk has nothing left to write; the source is warm. Each program copies the same digest in a process \
             of its own, {} times in turn with the others: the median and the worst run in seconds, the median of processor seconds, the highest peak \
             of resident memory (both of GNU time), and the most requests, counted in the access logs of the source's registry and of the target's. After \
             each run, all manifests and blobs of the image were at the target under the same digests. Waybill is the copier of the server, \
             built as it is released. It reads all that it copied again at the target, and sets no tag; the others are told to copy to the digest, too.\n\n",
            self.seconds, self.runs
        );
        let _ = writeln!(text, "| machine | |\n|---|---|");
        for (name, value) in machine::describe().into_iter().filter(|(name, _)| *name != "git") {
            let _ = writeln!(text, "| {name} | {} |", value.replace('|', "/"));
        }
        let _ = writeln!(
            text,
            "| skopeo | {} |\n| crane | 0.22.1 |\n| oras | 1.3.6 |",
            machine::said("skopeo", "--version")
        );
        self.ratios(&mut text);
        for series in &SERIES {
            self.series(&mut text, series);
        }
        text
    }

    fn ratios(&self, text: &mut String) {
        text.push_str(
            "\n`mirror_vs_best` is Waybill's median divided by that of the best other program in the same case.\n\n",
        );
        text.push_str(
            "| | what | series | `mirror_vs_best` | best other program | target | |\n|---|---|---|---:|---|---:|---|\n",
        );
        for found in self.found {
            let Some((ratio, best)) = found.ratio() else { continue };
            let (case, target) = (found.case, found.case.target(found.series));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {ratio:.2} | `{best}` | ≤ {target} | {} |",
                case.letter,
                case.what,
                found.series.name,
                verdict(ratio <= target)
            );
        }
        for found in self.found {
            let Some((requests, contents)) = found.idle() else {
                continue;
            };
            let _ = writeln!(
                text,
                "| {} | requests for manifests at the target, for each of the {} manifests that are there already; {contents} requests for bytes of blobs | {} | {requests:.2} | | ≤ {MOST_REQUESTS} | {} |",
                found.case.letter,
                found.manifests,
                found.series.name,
                verdict(requests <= MOST_REQUESTS && contents == 0)
            );
        }
    }

    fn series(&self, text: &mut String, series: &Series) {
        let what = match series.delay {
            None => "Nothing lies between the programs and the registries.".to_owned(),
            Some(delay) => format!(
                "A proxy on this machine holds back all bytes for {} ms in each direction, and the first ones of a connection for a round trip \
                 more; it limits no width. It runs in the measuring process, and shares the processors with everything else.",
                delay.as_millis()
            ),
        };
        let _ = writeln!(
            text,
            "\n### Copies, {}\n\n{what}\n\n| | program | median s | worst s | processor s | peak MB | requests at source | at target | left behind |\n|---|---|---:|---:|---:|---:|---:|---:|---|",
            series.name
        );
        for found in self.found.iter().filter(|found| found.series.name == series.name) {
            for (tool, runs) in &found.tools {
                let row = Row::of(runs);
                let name = match tool.name {
                    WAYBILL => WAYBILL.to_owned(),
                    other => format!("`{other}`"),
                };
                let _ = writeln!(
                    text,
                    "| {} | {name} | {:.3} | {:.3} | {:.2} | {:.0} | {} | {} | {} |",
                    found.case.letter,
                    row.median,
                    row.worst,
                    row.work,
                    row.memory,
                    row.at_source,
                    row.at_target,
                    row.left_behind
                );
            }
        }
    }
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**missed**" }
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    clock::median(&runs.iter().map(of).collect::<Vec<_>>())
}

fn most(runs: &[Run], of: impl Fn(&Run) -> usize) -> usize {
    runs.iter().map(of).max().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "these are small")]
fn decimal(count: usize) -> f64 {
    count as f64
}
