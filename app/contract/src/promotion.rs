//! One promotion: its steps, the commit it made, and all that happened.

use crate::{environment_images::TagView, statement::StatementView};
use domain::{
    artifact::{ArtifactDetails, ExactImage, Repository},
    copy::{CopyPlan, CopyProgress, CopyProof},
    gate::Gate,
    id::PromotionId,
    name::Name,
    promotion::{Failure, Purpose, State, Step},
    recall::Recall,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A promotion as its page shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromotionView {
    /// Whether its resource was deleted: then it is history.
    pub is_removed: bool,
    /// Its id.
    pub id: PromotionId,
    /// The workspace.
    pub workspace: Name,
    /// The project.
    pub project: Name,
    /// The target environment.
    pub environment: Name,
    /// The target resource.
    pub resource: Name,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asked.
    pub requested_by: String,
    /// Where the image comes from: environment and resource; `None` for an image repository.
    pub origin: Option<(Name, Name)>,
    /// What is to run.
    pub image: ExactImage,
    /// The recall of that, where it is recalled.
    #[serde(default)]
    pub recall: Option<Recall>,
    /// What the registry says about it, once asked.
    pub details: Option<ArtifactDetails>,
    /// What ran before.
    pub previous: Option<ExactImage>,
    /// What the registry says about that, once asked.
    pub previous_details: Option<ArtifactDetails>,
    /// Where it stands.
    pub state: State,
    /// What it waits for right now, a sentence.
    pub waits_for: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The promotion that takes it back, after it failed.
    #[serde(default)]
    pub taken_back_by: Option<PromotionId>,
    /// The failed promotion that it takes back.
    #[serde(default)]
    pub takes_back: Option<PromotionId>,
    /// Its gates, as they stand, or stood when it went on.
    pub gates: Vec<GateView>,
    /// What the actor may say about it now, if anything.
    pub may_say: Option<MaySay>,
    /// Of a rollback or a pin: what becomes of those who follow the resource, a sentence each.
    #[serde(default)]
    pub followers: Vec<String>,
    /// Its steps, in order.
    pub steps: Vec<StepView>,
    /// The file that changes in Git.
    pub path: String,
    /// Its commit, once the remote has it.
    pub commit: Option<CommitShown>,
    /// Where Argo CD shows the application, with its name.
    #[serde(default)]
    pub application: Option<(String, String)>,
    /// Before the commit is made: the unified diff that it would make now.
    pub preview: Option<String>,
    /// The change that was to be made when it was asked for, when the commit's differs from it.
    pub shown_before: Option<String>,
    /// The copy of its image that it waits for, or waited for.
    #[serde(default)]
    pub copy: Option<CopyView>,
    /// The tags in the registry that it set, or is about to set.
    #[serde(default)]
    pub tags: Vec<TagView>,
    /// What it passed, signed; `None` where nothing was signed.
    #[serde(default)]
    pub statement: Option<StatementView>,
    /// All that happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Whether it may be tried again, by the actor.
    pub may_retry: bool,
    /// Whether it may be withdrawn, by the actor.
    pub may_cancel: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When this was read.
    pub now: Timestamp,
}

/// A copy of an image to where it is pulled from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopyView {
    /// The repository that it comes from.
    pub from: Repository,
    /// The repository that it goes to.
    pub to: Repository,
    /// What has to be done, once that is known.
    pub plan: Option<CopyPlan>,
    /// How far it is.
    pub progress: CopyProgress,
    /// What was read again at the target, once it is done.
    pub proof: Option<CopyProof>,
    /// What keeps it, a sentence.
    pub problem: Option<String>,
}

/// What a person may say about a promotion that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MaySay {
    /// That it may go on, or that it may not.
    ApproveOrReject,
    /// That it may not: they approved it, and may think again.
    Reject,
}

/// A gate of a promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GateView {
    /// How it stands.
    pub gate: Gate,
    /// Since when it stands so.
    pub since: Option<Timestamp>,
    /// Whether the actor may override it now.
    pub may_override: bool,
}

/// A step of a promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepView {
    /// Which.
    pub step: Step,
    /// How it stands.
    pub status: StepStatus,
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Evidence, what it waits for, or why it failed: a sentence.
    pub note: Option<String>,
}

/// How a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Done.
    Done,
    /// Under way.
    Now,
    /// To come.
    ToDo,
    /// Failed here.
    Failed,
    /// Not needed here, or never reached because the promotion ended before.
    Skipped,
}

/// A commit as shown to people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommitShown {
    /// Its object name, 40 hexadecimal characters.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// Who it is by.
    pub author: String,
    /// Unified diff; empty when the file said so already.
    pub diff: String,
    /// Where a browser shows it, when the Git server is known.
    pub url: Option<String>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: String,
    /// What happened, a sentence.
    pub text: String,
}
