//! What was found: a line per figure at once, the table at the end.

use crate::{
    Outcome,
    figure::{FIGURES, Figure, Target},
    machine,
    scale::Scale,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// What came of a figure.
#[derive(Clone, Debug)]
enum Found {
    Value(f64),
    Skipped(String),
    Failed(String),
}

/// Collects figures.
pub(crate) struct Report {
    scale: Scale,
    found: BTreeMap<&'static str, Found>,
    notes: Vec<String>,
    seconds: f64,
}

impl Report {
    pub(crate) fn new(scale: &Scale) -> Self {
        Self {
            scale: *scale,
            found: BTreeMap::new(),
            notes: Vec::new(),
            seconds: 0.0,
        }
    }

    /// A figure was measured: `name value unit` on standard output, and how it compares on standard error.
    pub(crate) fn value(&mut self, name: &'static str, value: f64) {
        let Some(figure) = figure(name) else { return };
        println!("{name} {} {}", number(value), figure.unit);
        eprintln!("    {}", verdict(figure, value));
        self.found.insert(name, Found::Value(value));
    }

    /// A figure can't be measured here, and why.
    pub(crate) fn skipped(&mut self, name: &'static str, why: &str) {
        println!("{name} skipped {why}");
        self.found.insert(name, Found::Skipped(why.to_owned()));
    }

    /// Those of `names` that were not measured have failed, when something went wrong.
    pub(crate) fn settle(&mut self, names: &[&'static str], outcome: Outcome<()>) {
        if let Err(error) = outcome {
            self.failed(names, &error.to_string());
        }
    }

    /// Figures that should have been measured, and what went wrong.
    pub(crate) fn failed(&mut self, names: &[&'static str], why: &str) {
        for name in names {
            if !self.found.contains_key(name) {
                println!("{name} failed {}", why.lines().next().unwrap_or_default());
                self.found.insert(name, Found::Failed(why.to_owned()));
            }
        }
    }

    /// What a figure is made of.
    pub(crate) fn note(&mut self, note: String) {
        eprintln!("    {note}");
        self.notes.push(note);
    }

    pub(crate) fn took(&mut self, seconds: f64) {
        self.seconds = seconds;
    }

    /// Whether nothing went wrong.
    pub(crate) fn is_complete(&self) -> bool {
        !self.found.values().any(|found| matches!(found, Found::Failed(_)))
    }

    pub(crate) fn summary(&self) -> String {
        let met = |wanted: bool| {
            FIGURES
                .iter()
                .filter(|f| matches!(self.found.get(f.name), Some(Found::Value(v)) if f.target.is_met(*v) == wanted))
                .count()
        };
        format!("{} met, {} missed, in {:.0} s", met(true), met(false), self.seconds)
    }

    pub(crate) fn markdown(&self) -> String {
        let command = if self.scale.quick {
            "make bench-quick"
        } else {
            "make bench"
        };
        let mut text = format!(
            "# Benchmarks\n\nWritten by `{command}` in {:.0} s; do not edit. All figures are of one run on one machine, so that ratios hold. \
             The server is the released binary, Git is the `git` program behind smart HTTP (`git http-backend`), the registry is \
             docker-registry, Argo CD is the project's stand-in; they and the measuring client share the machine. \
             Of repetitions the median counts, where it doesn't say p99.\n\n",
            self.seconds
        );
        let _ = writeln!(text, "| machine | |\n|---|---|");
        for (name, value) in machine::describe() {
            let _ = writeln!(text, "| {name} | {} |", value.replace('|', "/"));
        }
        let _ = writeln!(text, "\nMeasured: {}.\n", self.scale.words());
        let _ = writeln!(
            text,
            "| figure | what | value | unit | target | |\n|---|---|---:|---|---:|---|"
        );
        for figure in &FIGURES {
            let (value, met) = match self.found.get(figure.name) {
                Some(Found::Value(value)) => (
                    number(*value),
                    if figure.target.is_met(*value) {
                        "met"
                    } else {
                        "**missed**"
                    },
                ),
                Some(Found::Skipped(_)) => ("–".into(), "skipped"),
                Some(Found::Failed(_)) => ("–".into(), "**not measured**"),
                None => continue,
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {value} | {} | {} | {met} |",
                figure.name,
                figure.what,
                figure.unit,
                target(figure.target)
            );
        }
        for (name, found) in &self.found {
            if let Found::Skipped(why) | Found::Failed(why) = found {
                let _ = writeln!(text, "\n`{name}`: {}", why.lines().next().unwrap_or_default());
            }
        }
        if !self.notes.is_empty() {
            text.push_str("\n## What they are made of\n\n");
            for note in &self.notes {
                let _ = writeln!(text, "- {note}");
            }
        }
        text
    }
}

fn figure(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}

fn verdict(figure: &Figure, value: f64) -> String {
    let word = if figure.target.is_met(value) { "met" } else { "missed" };
    format!("{word}: the target is {} {}", target(figure.target), figure.unit)
}

fn target(target: Target) -> String {
    match target {
        Target::AtMost(most) => format!("≤ {}", number(most)),
        Target::AtLeast(least) => format!("≥ {}", number(least)),
    }
}

/// Three digits that count, or whole numbers where there are more.
pub(crate) fn number(value: f64) -> String {
    let text = match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_the_table_says_what_was_met() {
        assert_eq!(
            [1234.5, 42.04, 1.3, 0.03, 20.0, 0.0].map(number),
            ["1234", "42", "1.3", "0.03", "20", "0"]
        );
        let mut report = Report::new(&Scale::quick());
        report.value("rss_idle", 59.0);
        report.value("rss_10k", 151.0);
        report.failed(&["rss_idle", "fanout_1000"], "it broke\nbadly");
        let table = report.markdown();
        assert!(
            table.contains("| 59 | MB | ≤ 60 | met |") && table.contains("| 151 | MB | ≤ 150 | **missed** |"),
            "{table}"
        );
        assert!(
            table.contains("`fanout_1000`: it broke\n") && !report.is_complete(),
            "{table}"
        );
    }
}
