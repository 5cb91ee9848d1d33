//! What a step found out: it says what comes next, and nobody sleeps.

use domain::{
    artifact::Repository,
    promotion::{Failed, State},
};

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The step is done.
    Done {
        /// The state that follows.
        next: State,
        /// Evidence, a sentence for the ledger.
        detail: Option<String>,
        /// The commit that the remote has now, and the pushes it took (0: it was there already).
        commit: Option<(String, u32)>,
    },
    /// The registry that the image is pulled from must be made ready before the commit.
    Prepare {
        /// Where the image is copied to; `None`: it is pulled from where it is, and only tagged.
        copy_to: Option<Repository>,
        /// Evidence, a sentence for the ledger.
        detail: String,
    },
    /// Look again later.
    Wait {
        /// In how many milliseconds, unless something happens before.
        millis: i64,
        /// What for, a sentence for people.
        why: String,
    },
    /// A sync window of Argo CD is closed: look again later, however long that is. The time doesn't count.
    Closed {
        /// In how many milliseconds, unless something happens before.
        millis: i64,
        /// What for, a sentence for people.
        why: String,
    },
    /// Look again later, for as long as it takes: a person stopped it elsewhere, and its time-out begins when they let it go on.
    Paused {
        /// In how many milliseconds, unless something happens before.
        millis: i64,
        /// What for, a sentence for people.
        why: String,
    },
    /// It failed in a way that may pass: try again, later each time.
    Retry {
        /// What failed, a sentence for people.
        why: String,
    },
    /// It failed: a person must do something.
    Fail {
        /// What happened and what to do, for people.
        reason: String,
    },
    /// It failed, and what happened, what to do and what was said are told apart.
    Failed(Failed),
    /// A person did something else in Git; automation leaves it alone.
    Withdrawn {
        /// What they did, a sentence.
        why: String,
        /// Its commit, where they did it on top of that and it was not recorded yet.
        commit: Option<String>,
    },
    /// There is no values file, and nobody said that it may be made: it fails, and automation holds.
    NoFile {
        /// What happened and what to do, for people.
        reason: String,
    },
    /// A newer promotion of the resource was committed; what this one promised will not be live.
    Overtaken {
        /// The newer one.
        by: domain::id::PromotionId,
        /// A commit of this one that the remote has, and that was not recorded yet.
        commit: Option<String>,
    },
}

impl Outcome {
    /// What it is called in metrics and traces.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } | Self::Prepare { .. } => "done",
            Self::Wait { .. } | Self::Paused { .. } | Self::Closed { .. } => "wait",
            Self::Retry { .. } => "retry",
            Self::Fail { .. } | Self::Failed(_) | Self::NoFile { .. } => "fail",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Overtaken { .. } => "overtaken",
        }
    }

    /// A gate shut since it was let through, so it waits again: `what` for, in a few words.
    pub(crate) fn held(what: &str) -> Self {
        Self::done(State::Waiting, format!("A gate shut meanwhile: {what}."))
    }

    /// Done, with evidence.
    pub(crate) fn done(next: State, detail: impl Into<String>) -> Self {
        Self::Done {
            next,
            detail: Some(detail.into()),
            commit: None,
        }
    }
}
