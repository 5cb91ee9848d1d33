//! The board: resources × environments of a project.

use domain::{
    artifact::{ExactImage, Tag},
    follow::Course,
    id::PromotionId,
    name::Name,
    plan::Health,
    promotion::State,
    resource::{Binding, HoldCause, Kind, Outside},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What runs where in a project.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BoardView {
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// Columns.
    pub environments: Vec<EnvironmentHead>,
    /// Rows that match, by resource name; not more than were asked for. The server keeps them for all who read them.
    pub rows: Vec<Arc<BoardRow>>,
    /// Rows that match, also those that aren't here.
    pub matching: usize,
    /// Rows of the project.
    pub total: usize,
    /// Promotions under way, those first that have been in their state longest; a few.
    pub open: Vec<Open>,
    /// Why the repository can't be read, a sentence: what Git says may be older than it seems then.
    pub problem: Option<String>,
    /// The second in which this was read, on the server's clock: all who read within it are shown the same.
    pub now: Timestamp,
}

/// A promotion under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The promotion.
    pub id: PromotionId,
    /// Where it leads.
    pub environment: Name,
    /// Whose it is.
    pub resource: Name,
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What it waits for, a sentence, where that is known.
    pub waits_for: Option<String>,
}

/// A column's head.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnvironmentHead {
    /// The environment.
    pub name: Name,
    /// Its cluster.
    pub cluster: Name,
    /// Whether only approvers may change it.
    pub protected: bool,
    /// Whether it has no Argo CD: what is live is not known.
    pub git_only: bool,
    /// Whether the actor may change what runs here.
    pub may_change: bool,
}

/// A row: the resources of one name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BoardRow {
    /// The name.
    pub resource: Name,
    /// One cell per environment, in the columns' order; `None` where there is no such resource.
    pub cells: Vec<Option<Cell>>,
}

/// A resource on the board.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// What it is.
    pub kind: Kind,
    /// What Git says it runs; `None` until it does.
    pub image: Option<ExactImage>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Who made Git say so, when it wasn't Waybill.
    pub outside: Option<Outside>,
    /// Why no image can be read out of what Git says, a sentence without its full stop.
    pub unclear: Option<String>,
    /// Whether Git has it switched off.
    #[serde(default)]
    pub switched_off: bool,
    /// Whether its registry lost parts of that image, so that it can't be pulled any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// The tag of its environment that somebody else moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_tag: Option<Tag>,
    /// What is live, compared with that.
    pub truth: Truth,
    /// Since when Argo CD can't be reached, where what is live is what it said last.
    pub out_of_sight: Option<Timestamp>,
    /// Where its image comes from and how it follows.
    pub follows: Follows,
    /// What its source offers, where that is something else.
    pub behind: Option<Behind>,
    /// The promotion under way, if any.
    pub moving: Option<Moving>,
    /// The newest promotion, when it failed.
    pub failed: Option<PromotionId>,
}

/// What is live, compared with what Git says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "detail")]
pub enum Truth {
    /// The same digest runs, with this health.
    Live(Health),
    /// Old and new digests run side by side.
    RollingOut,
    /// Other digests run than Git says (first 7 characters of each).
    Drift(Vec<String>),
    /// Argo CD reports no pods of it, though there should be some.
    NothingRuns,
    /// Argo CD reports no pods of it, and there need not be any: it runs by the clock, once, or was scaled to none.
    Idle,
    /// What Argo CD reports in short can't tell what is live; its workloads are being read.
    Checking,
    /// Argo CD has no such Application, or doesn't let Waybill see it.
    NoApplication,
    /// Argo CD hasn't reported yet.
    NotReported,
    /// Argo CD can't be reached, and what it reported is too old to be believed: nothing is known since then.
    NotKnownSince(Timestamp),
    /// The cluster has no Argo CD.
    GitOnly,
}

/// Where an image comes from and how it follows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Follows {
    /// The source environment and resource; `None` when the source is an image repository.
    pub source: Option<(Name, Name)>,
    /// How.
    pub binding: Binding,
    /// Why it doesn't follow just now.
    pub hold: Option<HoldView>,
}

/// A hold as people see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldView {
    /// What was done.
    pub cause: HoldCause,
    /// Who did what: `rolled back by Ada`.
    pub words: String,
    /// When.
    pub at: Timestamp,
}

/// How a resource's source differs from it: mostly, how far it is behind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Behind {
    /// Where the source's image would lead it: to a newer one, or, when it is ahead of its source, to an older one.
    pub course: Course,
    /// Newer artifacts; `None` when they can't be counted.
    pub count: Option<u32>,
    /// Of which environment; `None` for an image repository.
    pub of: Option<Name>,
    /// What its source offers now: what *Promote* would run.
    pub latest: ExactImage,
}

/// A promotion under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moving {
    /// The promotion.
    pub id: PromotionId,
    /// Where it stands.
    pub state: State,
    /// What is to run.
    pub image: ExactImage,
    /// Since when something waits here, and how many promotions were superseded meanwhile; `None` when none was.
    #[serde(default)]
    pub starved: Option<(Timestamp, u32)>,
}
