//! Where a promotion stands, who may follow whom, and which step that is.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Where a promotion stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum State {
    /// It waits for the gates of its target.
    Waiting,
    /// Decided; the image is about to be checked.
    Queued,
    /// The image is being copied to the target's registry.
    Mirroring,
    /// The commit is being made and pushed.
    Committing,
    /// Argo CD is being brought to the commit.
    Syncing,
    /// The commit is synced; the live digest is awaited.
    Verifying,
    /// The promised digest is live and healthy.
    Succeeded,
    /// A person said no.
    Rejected,
    /// A person withdrew it.
    Cancelled,
    /// A newer promotion of the same resource took its place.
    Superseded,
    /// A step failed; a person may retry.
    Failed,
}

impl State {
    /// All states.
    // An array, so that callers iterate by value. A wrong length doesn't compile.
    pub const ALL: [Self; 11] = *Self::VARIANTS.as_array().unwrap();

    /// The word for it, in screens, interfaces and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// How far it is, by its commit.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            Self::Waiting | Self::Queued | Self::Mirroring => Phase::BeforeCommit,
            Self::Committing => Phase::Committing,
            Self::Syncing | Self::Verifying => Phase::AfterCommit,
            Self::Succeeded | Self::Rejected | Self::Cancelled | Self::Superseded | Self::Failed => Phase::Ended,
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_ended(self) -> bool {
        self.phase() == Phase::Ended
    }

    /// How long a promotion is in this state when nothing is wrong, in milliseconds: resolving and committing take seconds,
    /// rollouts take minutes. `None` where people take the time they take, a copy the time that its bytes take, and at the end.
    #[must_use]
    pub fn expected_millis(self) -> Option<i64> {
        match self {
            Self::Queued | Self::Committing => Some(60_000),
            Self::Syncing | Self::Verifying => Some(15 * 60_000),
            Self::Waiting
            | Self::Mirroring
            | Self::Succeeded
            | Self::Rejected
            | Self::Cancelled
            | Self::Superseded
            | Self::Failed => None,
        }
    }

    /// Whether a promotion that has been in this state since `since` doesn't get on.
    #[must_use]
    pub fn is_stuck(self, since: Timestamp, now: Timestamp) -> bool {
        self.expected_millis()
            .is_some_and(|expected| now.millis_since(since) > expected)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use State::{
            Cancelled, Committing, Failed, Mirroring, Queued, Rejected, Succeeded, Superseded, Syncing, Verifying,
            Waiting,
        };
        match self {
            Waiting => matches!(next, Queued | Rejected | Cancelled | Superseded | Failed),
            // Back to waiting when a gate shut meanwhile.
            Queued => matches!(next, Waiting | Mirroring | Committing | Cancelled | Superseded | Failed),
            Mirroring => matches!(next, Waiting | Committing | Cancelled | Superseded | Failed),
            // Cancelled only while nobody is at it: between the tries of a push that fails.
            Committing => matches!(next, Waiting | Syncing | Succeeded | Cancelled | Superseded | Failed),
            // Cancelled only while a sync window is closed.
            Syncing => matches!(next, Verifying | Cancelled | Superseded | Failed),
            Verifying => matches!(next, Syncing | Succeeded | Superseded | Failed),
            // A retry is the same decision again.
            Failed => matches!(next, Queued | Waiting),
            Succeeded | Rejected | Cancelled | Superseded => false,
        }
    }

    /// The step that a promotion in this state is at; ended promotions are at none.
    #[must_use]
    pub fn step(self) -> Option<Step> {
        match self {
            Self::Waiting => Some(Step::Gates),
            Self::Queued => Some(Step::Resolve),
            Self::Mirroring => Some(Step::Mirror),
            Self::Committing => Some(Step::Commit),
            Self::Syncing => Some(Step::Sync),
            Self::Verifying => Some(Step::Verify),
            Self::Succeeded | Self::Rejected | Self::Cancelled | Self::Superseded | Self::Failed => None,
        }
    }
}

/// How far a promotion is, seen from its commit.
///
/// The worker's lanes follow it, and SQL of the store lists the same states by their words (`CLAIM_COMMIT`, `CLAIM_COPY`, `CLAIM_ROLLOUT`, late promotions):
/// a new state belongs there, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nothing is in Git yet, and nothing is on its way there.
    BeforeCommit,
    /// The commit is being made: it may be on the remote already, or not.
    Committing,
    /// The commit is on the remote, and Argo CD's rollout is under way.
    AfterCommit,
    /// Nothing more happens by itself, whether or not there is a commit.
    Ended,
}

/// What a promotion does, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum Step {
    /// Wait for the target's gates.
    Gates,
    /// Make sure that the exact image is there.
    Resolve,
    /// Copy it to the target's registry.
    Mirror,
    /// Commit and push.
    Commit,
    /// Bring Argo CD to the commit.
    Sync,
    /// Prove what is live.
    Verify,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 6] = *Self::VARIANTS.as_array().unwrap();

    /// The word for it in the database and interfaces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A word that is none of those expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

impl UnknownWord {
    /// The error about this word.
    pub(crate) fn of(word: &str) -> Self {
        Self(word.to_owned())
    }
}
