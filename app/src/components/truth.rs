//! What is live, compared with what Git says.

use crate::{
    api::board::Truth,
    components::state_badge::{Meaning, says},
};
use domain::plan::Health;
use leptos::prelude::*;

/// What a comparison of Git and cluster means, the icon that shows it, and its words.
#[must_use]
pub fn words(truth: &Truth) -> (Meaning, &'static str, String) {
    match truth {
        Truth::Live(health) => {
            let (meaning, icon, word) = health_words(*health);
            (meaning, icon, word.to_owned())
        }
        Truth::RollingOut => (Meaning::Moving, "moving", "Rolling out".into()),
        Truth::Drift(live) => (Meaning::Bad, "drift", format!("Drift: {} runs", live.join(", "))),
        Truth::Idle => (Meaning::Quiet, "ended", "Idle".into()),
        Truth::NothingRuns => (Meaning::Bad, "bad", "Nothing runs".into()),
        Truth::Checking => (Meaning::Quiet, "unknown", "Checking".into()),
        Truth::NoApplication => (Meaning::Bad, "bad", "Application not found".into()),
        Truth::NotReported => (Meaning::Quiet, "unknown", "Argo CD hasn't reported it yet".into()),
        Truth::NotKnownSince(since) => (Meaning::Quiet, "unknown", format!("Not known since {}", since.clock())),
        Truth::GitOnly => (Meaning::Quiet, "git", "Git only".into()),
    }
}

/// What a health means, the icon that shows it, and its word.
#[must_use]
pub fn health_words(health: Health) -> (Meaning, &'static str, &'static str) {
    match health {
        Health::Healthy => (Meaning::Good, "good", "Healthy"),
        Health::Progressing => (Meaning::Moving, "moving", "Progressing"),
        Health::Degraded => (Meaning::Bad, "bad", "Degraded"),
        Health::Suspended => (Meaning::Held, "held", "Suspended"),
        Health::Missing => (Meaning::Bad, "bad", "Missing"),
        Health::Unknown => (Meaning::Quiet, "unknown", "Health unknown"),
    }
}

/// A line: icon, words, colour.
#[component]
pub fn TruthLine(
    /// The comparison.
    truth: Truth,
) -> AnyView {
    let (meaning, icon, words) = words(&truth);
    says(meaning, icon, words)
}
