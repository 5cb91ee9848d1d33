//! A promotion: one decision to run one artifact in one resource of one environment, and everything that came of it.
//!
//! The states, and who may follow whom, are in `state`; what a step does to the world is the worker's. A transition takes the
//! promotion and gives it back changed, or refuses.

mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use state::{Phase, State, Step, UnknownWord};

use crate::{
    artifact::{ExactImage, Repository},
    id::{EnvironmentId, ProjectId, PromotionId, ResourceId, UserId, WorkspaceId},
    name::Name,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Why a promotion is superseded whose commit is in Git.
pub const OVERTAKEN: &str = "overtaken";

/// What a promotion is for; the word begins the commit's subject.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum Purpose {
    /// A new artifact of the resource's own image repository.
    Deploy,
    /// The image of another environment.
    Promote,
    /// A person moved the pin.
    Pin,
    /// Back to an artifact that ran before.
    Rollback,
}

impl Purpose {
    /// All purposes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// What bringing an image from there is: [`Purpose::Promote`] from another environment, else [`Purpose::Deploy`].
    #[must_use]
    pub fn of_origin(origin: Option<&Origin>) -> Self {
        match origin {
            Some(_) => Self::Promote,
            None => Self::Deploy,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Who did something.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Actor {
    /// A person, signed in.
    Person {
        /// Their account.
        id: UserId,
        /// Name to show.
        name: String,
        /// E-mail address, for commits.
        email: String,
    },
    /// A program with an API token.
    Token {
        /// The token's name.
        name: String,
    },
    /// Waybill itself: a follower caught up with its source.
    Waybill,
}

impl Actor {
    /// Name to show.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person { name, .. } => name,
            Self::Token { name } => name,
            Self::Waybill => "Waybill",
        }
    }

    /// The person who stands behind it, given who made which token; nobody behind Waybill itself.
    #[must_use]
    pub fn person_behind(&self, makers: &[(String, UserId)]) -> Option<UserId> {
        match self {
            Self::Person { id, .. } => Some(*id),
            Self::Token { name } => makers.iter().find(|(token, _)| token == name).map(|(_, maker)| *maker),
            Self::Waybill => None,
        }
    }
}

/// What a promotion takes its image from, by name as it was then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The environment.
    pub environment: Name,
    /// The resource there.
    pub resource: Name,
}

/// Why a promotion failed, in words for the person who must act.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// What happened; what to do too, where that isn't apart.
    pub reason: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// All that was said by others, to be unfolded: a message each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl Failure {
    /// What happened and what to do, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{} {remedy}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// What made a step fail.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Failed {
    /// What happened: the cause first.
    pub reason: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// All that was said by others, to be unfolded: a message each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }
}

impl From<&str> for Failed {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// A promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promotion {
    /// Its id.
    pub id: PromotionId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The project.
    pub project: ProjectId,
    /// The target environment.
    pub environment: EnvironmentId,
    /// The target resource.
    pub resource: ResourceId,
    /// Its place among the promotions of its resource, from 1: of two the one with the higher number was asked for later, whatever
    /// clocks said then. Says nothing about promotions of different resources.
    pub number: i64,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asked; Waybill for a follower.
    pub requested_by: Actor,
    /// Where the image comes from; `None` when it comes from the resource's own image repository.
    pub origin: Option<Origin>,
    /// What is to run, where it comes from.
    pub image: ExactImage,
    /// The repository that it is copied to before it is committed; `None`: it is pulled from where it is, or that isn't known yet.
    #[serde(default)]
    pub copied_to: Option<Repository>,
    /// What ran before, according to Git, when it was asked for.
    pub previous: Option<ExactImage>,
    /// Whether it creates the resource, so that its configuration is committed too.
    pub creates: bool,
    /// Whether a person said that it may make the values file, where there is none.
    pub creates_file: bool,
    /// Where it stands.
    pub state: State,
    /// What it waits for right now, a sentence; shown under the step.
    pub waits_for: Option<String>,
    /// Why it failed, or why it was superseded.
    pub failure: Option<Failure>,
    /// The commit that says so in Git, in full, once the remote has it.
    pub commit: Option<String>,
    /// When the remote was known to have it, in the current try.
    pub committed_at: Option<Timestamp>,
    /// Tries of the whole: 1, and one more for each time a person tried again.
    pub tries: u32,
    /// Tries of the current step that failed in a passing way.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the current state began.
    pub state_since: Timestamp,
    /// When it ended; `None` until then, and again after a retry.
    pub ended_at: Option<Timestamp>,
    /// From when on its time counts, as it waits for a sync window, in this state: when the window is looked at again.
    #[serde(default)]
    pub counts_from: Option<Timestamp>,
}

/// A closed sync window is looked at again this long after it was due, at the latest.
pub const WINDOW_LATE_MILLIS: i64 = 30_000;

/// A transition that isn't allowed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a promotion that is {from} can't become {to}")]
pub struct Refused {
    /// The state it is in.
    pub from: State,
    /// The state that was wanted.
    pub to: State,
}

impl Promotion {
    /// What is to run, as Git says it: in the repository that it is pulled from there.
    #[must_use]
    pub fn placed(&self) -> ExactImage {
        match &self.copied_to {
            Some(repository) => self.image.in_repository(repository),
            None => self.image.clone(),
        }
    }

    /// Moves on to `next`.
    ///
    /// # Errors
    /// When the state machine doesn't allow it; the promotion is lost then, read it again.
    pub fn become_(mut self, next: State, at: Timestamp) -> Result<Self, Refused> {
        if !self.state.may_become(next) {
            return Err(Refused {
                from: self.state,
                to: next,
            });
        }
        if self.state == State::Failed {
            self.failure = None;
            self.tries = self.tries.saturating_add(1);
        }
        self.state = next;
        self.state_since = at;
        self.counts_from = None;
        self.waits_for = None;
        self.attempts = 0;
        self.ended_at = next.is_ended().then_some(at);
        Ok(self)
    }

    /// Ends in failure at the current step.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn fail(self, why: impl Into<Failed>, at: Timestamp) -> Result<Self, Refused> {
        let (step, why) = (self.state.step(), why.into());
        let mut failed = self.become_(State::Failed, at)?;
        failed.failure = step.map(|step| Failure {
            step,
            reason: why.reason,
            remedy: why.remedy,
            said: why.said,
        });
        Ok(failed)
    }

    /// It had failed, and what it promised is live after all. Gives back why it had failed.
    ///
    /// # Errors
    /// When it hasn't failed, or its commit never was on the remote.
    pub fn is_live_after_all(mut self, at: Timestamp) -> Result<(Self, Option<Failure>), Refused> {
        if self.state != State::Failed || self.commit.is_none() {
            return Err(Refused {
                from: self.state,
                to: State::Succeeded,
            });
        }
        let failure = self.failure.take();
        self.state = State::Succeeded;
        self.state_since = at;
        self.waits_for = None;
        self.ended_at = Some(at);
        Ok((self, failure))
    }

    /// From when on the time-out of its state counts: a closed sync window doesn't.
    #[must_use]
    pub fn counts_since(&self) -> Timestamp {
        self.counts_from
            .map_or(self.state_since, |from| from.max(self.state_since))
    }

    /// Whether it waits now for a sync window of Argo CD to open.
    #[must_use]
    pub fn is_at_window(&self, now: Timestamp) -> bool {
        self.state == State::Syncing
            && self
                .counts_from
                .is_some_and(|from| now.millis_since(from) <= WINDOW_LATE_MILLIS)
    }

    /// Ends because a newer promotion of the same resource took its place.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn supersede(self, by: PromotionId, at: Timestamp) -> Result<Self, Refused> {
        let mut superseded = self.become_(State::Superseded, at)?;
        superseded.waits_for = Some(format!("A newer promotion took its place: {by}"));
        Ok(superseded)
    }

    /// Ends because a person withdrew it, or did something else instead; `why` is a sentence.
    ///
    /// # Errors
    /// When it has ended already, or its commit is on the remote.
    pub fn cancel(self, why: impl Into<String>, at: Timestamp) -> Result<Self, Refused> {
        let mut cancelled = self.become_(State::Cancelled, at)?;
        cancelled.waits_for = Some(why.into());
        Ok(cancelled)
    }

    /// Ends because a person said no; `why` is a sentence.
    ///
    /// # Errors
    /// When it doesn't wait any more.
    pub fn reject(self, why: impl Into<String>, at: Timestamp) -> Result<Self, Refused> {
        let mut rejected = self.become_(State::Rejected, at)?;
        rejected.waits_for = Some(why.into());
        Ok(rejected)
    }

    /// Whether it ended superseded though its commit is in Git: a newer one came before it was live.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        self.state == State::Superseded && self.commit.is_some()
    }

    /// How it stands, in the word that counts and tells the overtaken apart from those that made room before their commit.
    #[must_use]
    pub fn standing(&self) -> &'static str {
        if self.is_overtaken() {
            OVERTAKEN
        } else {
            self.state.as_str()
        }
    }

    /// The identity of this try, which the operations that it starts in Argo CD carry.
    #[must_use]
    pub fn operation_identity(&self) -> String {
        format!("{}.{}", self.id, self.tries)
    }
}
