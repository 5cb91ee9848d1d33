//! What a promotion does next, once it has looked at an Application.

use super::{said::Part, workload::WorkloadName};

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Read the Application again after Argo CD has looked at Git.
    Refresh {
        /// What it is asked about.
        cause: Cause,
        /// Why; a sentence to show.
        why: String,
    },
    /// Read the Application's workloads, and decide again with them.
    Inspect,
    /// Start a sync.
    Sync {
        /// The commit to sync to; `None` for the head of what the Application follows.
        revision: Option<String>,
        /// What alone is to be synced; empty for the whole Application.
        only: Vec<WorkloadName>,
        /// What it is asked for.
        cause: Cause,
        /// Why; a sentence to show.
        why: String,
    },
    /// Look again later.
    Wait {
        /// What for; a sentence to show.
        why: String,
    },
    /// Look again later: Argo CD syncs by itself, unless a sync window is closed.
    SyncsItself {
        /// What for; a sentence to show.
        why: String,
    },
    /// Look again later, for as long as it takes: a person paused the rollout.
    Paused {
        /// What for; a sentence to show.
        why: String,
    },
    /// The promised digest is live and healthy.
    Live {
        /// What proves it; a sentence for the ledger.
        evidence: String,
    },
    /// What Argo CD rendered at the commit doesn't name the promised digest. It fails, unless Git says something else by now.
    NotRendered {
        /// What was rendered instead.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// It can't become live without somebody doing something.
    Failed {
        /// What happened.
        reason: String,
        /// What to do.
        remedy: String,
    },
}

/// What Argo CD is asked about, over and over: for another cause it is asked at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It can't read or render the source.
    Unreadable,
    /// A part of it doesn't answer.
    PartDown(Part),
    /// It has not seen the commit.
    NotSeen,
    /// It has seen the commit and has not compared it with the cluster.
    NotCompared,
    /// It has not compared since the application's source was changed.
    SourceChanged,
    /// It has not compared since it synced.
    NotComparedSinceSync,
    /// It has seen the commit and has not synced it.
    NotSynced,
    /// It doesn't see the commit on the branch that it follows.
    NotOnItsBranch,
    /// The last sync was ended.
    Ended,
    /// An earlier sync failed.
    FailedEarlier,
}

impl Next {
    /// A sync of the whole Application to the head of what it follows.
    pub(super) fn sync(cause: Cause, why: impl Into<String>) -> Self {
        Self::Sync {
            revision: None,
            only: Vec::new(),
            cause,
            why: why.into(),
        }
    }
}
