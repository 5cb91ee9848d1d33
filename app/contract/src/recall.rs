//! A recall: what a digest being bad means, and where it runs.

use domain::{
    artifact::{Digest, ExactImage},
    id::PromotionId,
    name::Name,
    promotion::State,
    recall::Recall,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// What is known of a digest that is recalled, was, or may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecallView {
    /// The workspace.
    pub workspace: Name,
    /// The digest.
    pub digest: Digest,
    /// What it is called where it runs, if it has a tag there.
    pub tag: Option<String>,
    /// The recall in force.
    pub recall: Option<Recall>,
    /// Recalls of it that were lifted, the newest first.
    pub lifted: Vec<Recall>,
    /// Where it runs or is to run, as far as the actor may see.
    pub places: Vec<RecalledPlaceView>,
    /// How many more places there are, in environments that the actor may not see.
    pub hidden: usize,
    /// Why the actor may neither recall it nor lift a recall; `None` when they may.
    pub denied: Option<String>,
    /// When this was read.
    pub now: Timestamp,
}

impl RecallView {
    /// How many of the places shown would be moved back.
    #[must_use]
    pub fn movable(&self) -> usize {
        self.places.iter().filter(|place| place.is_movable()).count()
    }
}

/// A resource that runs a digest, or is to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecalledPlaceView {
    /// The project.
    pub project: Name,
    /// The environment.
    pub environment: Name,
    /// The resource.
    pub resource: Name,
    /// Whether Git says it.
    pub desired: bool,
    /// Whether it runs.
    pub live: bool,
    /// What it ran last that was good.
    pub good: Option<ExactImage>,
    /// The promotion that is bringing it to something else.
    pub moving: Option<MovingAway>,
    /// Why the actor may not move it back.
    pub denied: Option<String>,
}

impl RecalledPlaceView {
    /// Whether *Move back* would move it.
    #[must_use]
    pub fn is_movable(&self) -> bool {
        self.desired && self.good.is_some() && self.denied.is_none() && !self.moving.as_ref().is_some_and(|m| m.back)
    }
}

/// A promotion that brings a place away from a digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovingAway {
    /// The promotion.
    pub promotion: PromotionId,
    /// Where it stands.
    pub state: State,
    /// Whether it is a rollback.
    pub back: bool,
}

/// What came of moving the places of a recalled digest back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovedBack {
    /// Rollbacks that started.
    pub started: usize,
    /// Rollbacks that wait for gates.
    pub waiting: usize,
    /// Places that were being rolled back already.
    pub under_way: usize,
    /// Places that ran nothing good before.
    pub without_good: usize,
    /// Places that the actor may not roll back.
    pub refused: usize,
}

impl MovedBack {
    /// What came of it, a sentence for each part.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let places = |count: usize| match count {
            1 => "1 place".to_owned(),
            many => format!("{many} places"),
        };
        let parts = [
            (self.started, "started to move back."),
            (self.waiting, "wait for gates."),
            (self.under_way, "were already moving back."),
            (
                self.without_good,
                "ran no good image before. Promote another image there.",
            ),
            (self.refused, "need somebody who may roll back there."),
        ];
        let said = parts.into_iter().filter(|(count, _)| *count > 0);
        let mut lines: Vec<String> = said
            .map(|(count, words)| format!("{}: {words}", places(count)))
            .collect();
        if lines.is_empty() {
            lines.push("No place is to run this digest.".into());
        }
        lines
    }
}
