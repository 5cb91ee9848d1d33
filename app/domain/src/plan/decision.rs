//! The decision: given one look at an Application, what does a promotion do next?
//!
//! Each check below either passes or ends the decision; read [`Look::proof`] for their order and the checks for the reasons. This file has those
//! about getting the commit applied, `runs` those about what runs then.

mod runs;

use super::{
    AppSnapshot, Cause, Next, OperationSnapshot, Workload,
    said::{self, clip},
    source::{self, Committed, Follows, Readers},
    workload::WorkloadName,
};
use crate::{
    artifact::{Digest, Repository},
    time::Timestamp,
};

/// How long Healthy must have held before it is believed; see [`Intent::stable_millis`].
pub const STABLE_MILLIS: i64 = 5_000;

/// How long a trouble that may pass is waited out; see [`Intent::grace_millis`].
pub const GRACE_MILLIS: i64 = 60_000;

/// Argo CD writes whole seconds: what it calls 12:00:07 may have been up to this much later.
const TRUNCATED_MILLIS: i64 = 1_000;

/// What a promotion wants of an Application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent<'a> {
    /// The commit that must become live, in full.
    pub commit: &'a str,
    /// The digest that must run.
    pub digest: &'a Digest,
    /// The repository it belongs to.
    pub repository: &'a Repository,
    /// Where the commit was pushed to, and what it changes.
    pub committed: Committed<'a>,
    /// Identity of this try: value of the info `waybill.dev/promotion` of the operations it starts. A retry takes a new
    /// one, otherwise the failed operation of the try before would count as its own.
    pub promotion: &'a str,
    /// When the remote had the commit or, for a retry, when that began; by our clock.
    pub pushed_at: Timestamp,
    /// Now, by our clock.
    pub now: Timestamp,
    /// Digests of the same repository that other resources of the Application run rightly: one image may serve several. Only asked where
    /// workloads can't be read.
    pub beside: &'a [Digest],
    /// Whether pods with the image are expected: not for zero replicas, or for what runs only now and then. Only asked where workloads can't be
    /// read.
    pub expects_pods: bool,
    /// Whether a sync of the service's own workloads is enough, where the Application waits to be asked for one.
    pub only_own: bool,
    /// For how long health must have been Healthy, in milliseconds; zero or less doesn't wait.
    pub stable_millis: i64,
    /// How long troubles may last that often pass by themselves, in milliseconds from `pushed_at`: an unreadable source,
    /// health that was Degraded before, an automatic sync that doesn't begin.
    pub grace_millis: i64,
}

/// The revisions of which the caller must find out whether they contain `commit`, before it calls [`next`]. Only full
/// commit ids: Argo CD may report a branch where it should report a commit.
#[must_use]
pub fn candidate_revisions(app: &AppSnapshot, commit: &str) -> Vec<String> {
    let operation = app
        .operation
        .iter()
        .flat_map(|operation| operation.revisions.iter().chain(&operation.requested));
    let mut candidates = Vec::new();
    for revision in app
        .sync_revisions
        .iter()
        .chain(operation)
        .map(String::as_str)
        .chain(failed_auto_syncs(app))
    {
        if revision != commit && is_commit(revision) && !candidates.iter().any(|known| known == revision) {
            candidates.push(revision.to_owned());
        }
    }
    candidates
}

/// Decides what to do about `app` for `intent`. `covering` are those of [`candidate_revisions`] that contain the commit.
///
/// The first look of a promotion should be at a refreshed Application; otherwise the first answer is mostly `Refresh`.
#[must_use]
pub fn next(app: &AppSnapshot, intent: &Intent<'_>, covering: &[String]) -> Next {
    let look = Look { app, intent, covering };
    match look.proof() {
        Ok(evidence) => Next::Live { evidence },
        Err(Next::Sync {
            revision, cause, why, ..
        }) if look.syncs_own() => look.sync_own(revision, cause, why),
        Err(next) => next,
    }
}

/// Whether a finished operation, or the comparison itself, says that the commit is applied; what runs is another matter.
#[must_use]
pub fn is_applied(app: &AppSnapshot, intent: &Intent<'_>, covering: &[String]) -> bool {
    let look = Look { app, intent, covering };
    let by_operation = look
        .full_operation()
        .is_some_and(|operation| operation.phase == "Succeeded" && look.covering_of(&operation.revisions).is_some());
    let by_comparison = app.sync_status == "Synced" && look.covering_of(&app.sync_revisions).is_some();
    !app.operation_pending && (by_operation || by_comparison)
}

/// One look at an Application for a promotion.
struct Look<'a> {
    app: &'a AppSnapshot,
    intent: &'a Intent<'a>,
    covering: &'a [String],
}

/// What brought a revision with our commit into the cluster.
enum Applied<'a> {
    /// An operation.
    By {
        operation: &'a OperationSnapshot,
        revision: &'a str,
    },
    /// Nothing had to: cluster and this revision are the same.
    Already { revision: &'a str },
}

impl<'a> Look<'a> {
    /// The evidence that the promotion is done, or what else to do.
    fn proof(&self) -> Result<String, Next> {
        self.is_kept()?;
        self.follows_our_branch()?;
        self.source_is_readable()?;
        self.no_operation_runs()?;
        self.no_operation_failed()?;
        let applied = self.applied()?;
        self.was_compared_since()?;
        let own = self.own(&applied)?;
        self.is_healthy(&applied, own.as_deref())?;
        let runs = match &own {
            Some(own) => self.workloads_run_the_digest(own)?,
            None => self.summary_shows_the_digest()?,
        };
        self.stays_healthy(own.as_deref())?;
        let compared = self.app.reconciled_at.map(Timestamp::exact).unwrap_or_default();
        let how = match applied {
            Applied::By { operation, revision } => format!(
                "{} succeeded at {}",
                self.name_of(operation),
                self.name_of_revision(revision)
            ),
            Applied::Already { revision } => format!("Synced at {}", self.name_of_revision(revision)),
        };
        let mut evidence = format!("Argo CD: {how}, compared {compared}, Healthy. {runs}");
        if let Readers::AnyOf(readers) = self.readers()
            && self.app.sources.len() > 1
            && readers.len() > 1
        {
            evidence.push_str(
                " Which of the application's sources reads the file can't be told; one of them contains the commit.",
            );
        }
        if let Some(own) = &own {
            evidence.push_str(&self.ill_neighbours(own));
        }
        Ok(evidence)
    }

    /// Whether only the service's own workloads are to be synced.
    fn syncs_own(&self) -> bool {
        self.intent.only_own && !self.app.auto_sync
    }

    /// A sync of the service's own workloads. Never of anything else, unless nobody may read which they are.
    fn sync_own(&self, revision: Option<String>, cause: Cause, why: String) -> Next {
        let app = self.app;
        let Some(workloads) = &app.workloads else {
            return match app.workloads_withheld {
                // Which they are must be known.
                None => Next::Inspect,
                Some(_) => Next::Sync {
                    revision,
                    only: Vec::new(),
                    cause,
                    why,
                },
            };
        };
        let own = workloads.iter().filter(|w| w.is_to_run(self.intent.digest));
        let only: Vec<WorkloadName> = own.map(Workload::full_name).collect();
        if only.is_empty() {
            // Before it has seen the commit, it is what was rendered before.
            return match self.covering_of(&app.sync_revisions) {
                Some(_) => self.not_rendered(workloads, app.reconciled_at),
                None => Next::Refresh {
                    cause: Cause::NotSeen,
                    why: self.not_seen(),
                },
            };
        }
        Next::Sync {
            revision,
            only,
            cause,
            why,
        }
    }

    /// Whether the cluster was told to run the digest in all of the service's own workloads: another service's sync, or a person's, may
    /// have taken the place of this promotion's.
    fn own_are_told(&self) -> bool {
        let mut own = self
            .app
            .workloads
            .iter()
            .flatten()
            .filter(|w| w.is_to_run(self.intent.digest))
            .peekable();
        own.peek().is_some() && own.all(|w| w.is_told_to_run(self.intent.digest))
    }

    /// Whether an operation of before this promotion is undone: the cluster is told something else since, and differs from Git. Where Argo CD
    /// ignores that, a sync of our own shows it.
    fn was_changed_after(&self, operation: &OperationSnapshot) -> bool {
        let is_earlier =
            (operation.finished_at).is_some_and(|at| at.plus_millis(TRUNCATED_MILLIS) <= self.intent.pushed_at);
        let mut own = self.app.workloads.iter().flatten();
        is_earlier
            && !self.is_ours(operation)
            && self.app.sync_status == "OutOfSync"
            && own.any(|w| w.is_to_run(self.intent.digest) && !w.is_told_to_run(self.intent.digest))
    }

    fn is_kept(&self) -> Result<(), Next> {
        if self.app.deleting {
            return Err(Next::Failed {
                reason: format!("The Argo CD application {} is being deleted.", self.app.name),
                remedy: "Create the application again, then retry.".into(),
            });
        }
        Ok(())
    }

    /// What reads the commit follows the branch that it was pushed to. Anything else would never run it, and asked for by name it would bring the
    /// whole of our branch into an application that is to run another.
    fn follows_our_branch(&self) -> Result<(), Next> {
        let committed = self.intent.committed;
        match source::other_branch(&self.app.sources, committed) {
            None => Ok(()),
            Some(revision) => Err(Next::Failed {
                reason: source::other_branch_words(&self.app.name, revision, committed.branch),
                remedy: format!("{} Then retry.", source::other_branch_remedy(committed.branch)),
            }),
        }
    }

    fn readers(&self) -> Readers {
        source::readers(&self.app.sources, self.intent.committed)
    }

    /// Argo CD can read and render what the Application follows.
    ///
    /// A failing repository server or a half-written chart often mends itself, and the condition may date from before our
    /// push: it counts when it is still there after the grace, in a comparison made since. Argo CD doesn't get as far as
    /// a comparison while the specification itself is invalid.
    fn source_is_readable(&self) -> Result<(), Next> {
        let Some((kind, message)) = self
            .app
            .conditions
            .iter()
            .find(|(kind, _)| kind == "ComparisonError" || kind == "InvalidSpecError")
        else {
            return Ok(());
        };
        if let Some(part) = said::part_down(message) {
            // Nobody can correct that in the application: it is waited for, as long as a sync may take.
            self.no_operation_runs()?;
            return Err(Next::Refresh {
                cause: Cause::PartDown(part),
                why: format!(
                    "{}. Waybill waits for it. Argo CD: {}",
                    part.trouble(),
                    said::cause(message)
                ),
            });
        }
        let message = said::cause(message);
        let compared_since = kind == "InvalidSpecError"
            || self
                .app
                .reconciled_at
                .is_some_and(|at| at.plus_millis(TRUNCATED_MILLIS) > self.intent.pushed_at);
        if compared_since && self.grace_is_over() {
            return Err(Next::Failed {
                reason: format!("{message}. Argo CD can't render the application {}.", self.app.name),
                remedy: "Correct the application, its chart or its values file, then retry.".into(),
            });
        }
        self.no_operation_runs()?;
        Err(Next::Refresh {
            cause: Cause::Unreadable,
            why: format!("Argo CD reports {kind} and is asked to look again: {message}"),
        })
    }

    /// No operation is asked for or running, whoever started it. The phase decides: an operation that waits for its next
    /// try is Running with an end, and right after a sync was asked for there is no phase at all.
    fn no_operation_runs(&self) -> Result<(), Next> {
        let operation = self.app.operation.as_ref();
        let phase = operation.map_or("", |operation| operation.phase.as_str());
        let ended = matches!(phase, "" | "Succeeded" | "Failed" | "Error");
        if ended && !self.app.operation_pending {
            return Ok(());
        }
        let Some(operation) = operation else {
            return Err(Next::Wait {
                why: "Argo CD is about to start a sync.".into(),
            });
        };
        let name = self.name_of(operation);
        let message = clip(&operation.message);
        let why = if phase == "Terminating" {
            format!("Waiting for Argo CD to stop an operation: {name}.")
        } else if operation
            .message
            .to_ascii_lowercase()
            .contains("blocked by sync window")
        {
            format!("A sync window of Argo CD blocks the operation for now: {name}.")
        } else if ended || message.is_empty() {
            format!("Argo CD is syncing: {name}.")
        } else {
            format!("Argo CD is syncing: {name}, {message}")
        };
        Err(Next::Wait { why })
    }

    /// The newest operation doesn't say that our commit can't be applied.
    fn no_operation_failed(&self) -> Result<(), Next> {
        let operation = self.full_operation();
        if let Some(operation) = operation.filter(|operation| matches!(operation.phase.as_str(), "Failed" | "Error")) {
            // Without a resolved revision, what it was asked for is the best that is known.
            let revisions = if operation.revisions.is_empty() {
                &operation.requested
            } else {
                &operation.revisions
            };
            let concerns_us = self.app.auto_sync && self.covering_of(revisions).is_some();
            // An automatic sync isn't repeated for a revision that failed: a retry must ask for one itself.
            let of_this_try = operation
                .finished_at
                .is_none_or(|at| at.plus_millis(TRUNCATED_MILLIS) > self.intent.pushed_at);
            let is_ended = operation.message.starts_with("Operation terminated");
            if concerns_us && is_ended && !self.is_ours(operation) {
                return Err(Next::sync(Cause::Ended, "The last sync was ended before it was done."));
            }
            if let Some(part) = said::operation_part_down(operation)
                && (self.is_ours(operation) || concerns_us)
            {
                return Err(Next::sync(
                    Cause::PartDown(part),
                    format!("{}. Waybill waits for it, and asks for the sync again.", part.trouble()),
                ));
            }
            if self.is_ours(operation) || (concerns_us && of_this_try) {
                return Err(Next::Failed {
                    reason: self.why_it_failed(operation),
                    remedy: "Correct what the message names, in Git or in the cluster, then retry.".into(),
                });
            }
            if concerns_us {
                return Err(Next::sync(
                    Cause::FailedEarlier,
                    "An earlier sync failed, and Argo CD doesn't repeat it by itself.",
                ));
            }
        }
        let applied = operation.is_some_and(|operation| {
            operation.phase == "Succeeded" && self.covering_of(&operation.revisions).is_some()
        });
        if self.app.auto_sync && !applied && failed_auto_syncs(self.app).any(|revision| self.covers(revision)) {
            let message = self.app.conditions.iter().find(|(kind, _)| kind == "SyncError");
            let message = message.map_or("", |(_, message)| message);
            if let Some(part) = said::part_down(message) {
                return Err(Next::sync(
                    Cause::PartDown(part),
                    format!("{}. Waybill waits for it, and asks for the sync again.", part.trouble()),
                ));
            }
            return Err(Next::Failed {
                reason: format!("{}. Argo CD could not apply the commit.", said::cause(message)),
                remedy: "Correct what the message names, in Git or in the cluster, then retry.".into(),
            });
        }
        Ok(())
    }

    /// The cause first: the resource that failed, or what the message comes down to.
    fn why_it_failed(&self, operation: &OperationSnapshot) -> String {
        let mut failing = said::failing(operation).into_iter();
        let cause = match (failing.next(), failing.len()) {
            (Some(first), 0) => first,
            (Some(first), more) => format!("{first} (and {more} more)"),
            (None, _) => said::cause(&operation.message),
        };
        let cause = cause.trim_end_matches('.');
        format!(
            "{cause}. Argo CD could not apply the commit ({}).",
            self.name_of(operation)
        )
    }

    /// A revision that contains our commit was applied.
    ///
    /// Syncs are asked for without a commit where Argo CD already knows a head that contains ours: two promotions of one
    /// Application then can't undo each other, and Applications that sync by themselves refuse anything else.
    fn applied(&self) -> Result<Applied<'a>, Next> {
        let app = self.app;
        let head = self.covering_of(&app.sync_revisions);
        let synced = app.sync_status == "Synced";
        if let Some(operation) = self.full_operation().filter(|operation| operation.phase == "Succeeded")
            // OutOfSync doesn't disprove what was asked for: the status compares with the head, which may be further.
            && (synced || !app.auto_sync || self.is_ours(operation) || app.awaits_pruning)
            && !self.was_changed_after(operation)
            && let Some(revision) = self.covering_of(&operation.revisions)
        {
            return Ok(Applied::By { operation, revision });
        }
        // The sync revision is meaningful only with Synced: otherwise it may be what Argo CD failed to resolve.
        match head {
            Some(revision) if synced => Ok(Applied::Already { revision }),
            Some(revision) if self.syncs_own() && self.own_are_told() => Ok(Applied::Already { revision }),
            Some(_) if app.sync_status != "OutOfSync" => Err(Next::Refresh {
                cause: Cause::NotCompared,
                why: "Argo CD has seen the commit and has not compared it with the cluster yet.".into(),
            }),
            Some(_) if app.auto_sync && !self.grace_is_over() => Err(Next::SyncsItself {
                why: "Argo CD has seen the commit and is about to sync by itself.".into(),
            }),
            Some(_) if app.auto_sync => Err(Next::sync(
                Cause::NotSynced,
                "Argo CD has seen the commit but has not synced by itself.",
            )),
            Some(_) => Err(Next::sync(
                Cause::NotSynced,
                "Argo CD has seen the commit and waits to be asked for a sync.",
            )),
            None if !app.auto_sync && self.grace_is_over() && self.may_be_asked_by_name() => Err(Next::Sync {
                revision: Some(self.intent.commit.to_owned()),
                only: Vec::new(),
                cause: Cause::NotOnItsBranch,
                why: "Argo CD does not see the commit on its branch and is asked for it by name.".into(),
            }),
            None => Err(Next::Refresh {
                cause: Cause::NotSeen,
                why: self.not_seen(),
            }),
        }
    }

    /// Whether a sync to our commit by its name brings nothing but what the Application follows anyway.
    fn may_be_asked_by_name(&self) -> bool {
        let app = self.app;
        if app.hydrated {
            return false;
        }
        let revision = match app.sources.as_slice() {
            [] => app.target_revision.as_str(),
            [source] => source.revision.as_str(),
            [..] => return false,
        };
        app.sync_revisions.len() <= 1 && source::follows(revision, self.intent.committed.branch) == Follows::Branch
    }

    fn not_seen(&self) -> String {
        let target = match self.app.target_revision.as_str() {
            "" => "the default branch",
            target => target,
        };
        let seen = match self.app.sync_revisions.iter().find(|revision| is_commit(revision)) {
            Some(revision) => format!("it compares with {} of {target}", short(revision)),
            None => format!("it has not resolved {target}"),
        };
        let hint = if self.grace_is_over() {
            " Check that the application follows the branch that Waybill pushes to."
        } else {
            ""
        };
        format!("Argo CD has not seen the commit yet ({seen}) and is asked to look at Git.{hint}")
    }

    /// Sync status and health are of the time after the newest operation, and of the source as it is specified now. Equal
    /// seconds prove nothing.
    fn was_compared_since(&self) -> Result<(), Next> {
        let (cause, why) = if !self.app.compared_to_current_source {
            (
                Cause::SourceChanged,
                "The application's source was changed and Argo CD is asked to compare again.",
            )
        } else {
            let ended = self.app.operation.as_ref().and_then(|operation| operation.finished_at);
            match (self.app.reconciled_at, ended) {
                (Some(compared), Some(ended)) if compared > ended => return Ok(()),
                (Some(_), None) => return Ok(()),
                _ => (
                    Cause::NotComparedSinceSync,
                    "Argo CD has synced and is asked to look at the result.",
                ),
            }
        };
        Err(Next::Refresh { cause, why: why.into() })
    }

    /// The newest operation, if it was to apply all that matters: the whole Application, or the service alone where that is enough. Others prove
    /// nothing about our commit.
    fn full_operation(&self) -> Option<&'a OperationSnapshot> {
        let counts =
            |operation: &&OperationSnapshot| !operation.partial || (self.syncs_own() && self.is_ours(operation));
        self.app.operation.as_ref().filter(counts)
    }

    fn is_ours(&self, operation: &OperationSnapshot) -> bool {
        operation.promotion.as_deref() == Some(self.intent.promotion)
    }

    /// Whether the commit is part of `revision`.
    fn covers(&self, revision: &str) -> bool {
        revision == self.intent.commit || (is_commit(revision) && self.covering.iter().any(|known| known == revision))
    }

    /// The revision, of `revisions` (one for each source), that contains the commit: that of each source that reads it, where that is known.
    fn covering_of(&self, revisions: &'a [String]) -> Option<&'a str> {
        if let Readers::These(readers) = self.readers()
            && revisions.len() > 1
            && revisions.len() == self.app.sources.len()
        {
            let read: Vec<&'a str> = readers
                .iter()
                .filter_map(|at| revisions.get(*at))
                .map(String::as_str)
                .collect();
            let all = read.len() == readers.len() && read.iter().all(|revision| self.covers(revision));
            return read.first().copied().filter(|_| all);
        }
        revisions
            .iter()
            .map(String::as_str)
            .find(|revision| self.covers(revision))
    }

    fn grace_is_over(&self) -> bool {
        self.intent.now.millis_since(self.intent.pushed_at) >= self.intent.grace_millis
    }

    fn name_of(&self, operation: &OperationSnapshot) -> String {
        let part = if operation.partial {
            "a sync of some resources"
        } else {
            "a sync"
        };
        match (&operation.promotion, operation.initiated_by.as_str()) {
            _ if self.is_ours(operation) => "the sync of this promotion".into(),
            (Some(_), _) => "the sync of another promotion".into(),
            (None, "") => format!("{part} by Argo CD itself"),
            (None, who) => format!("{part} started by {who}"),
        }
    }

    fn name_of_revision(&self, revision: &str) -> String {
        if revision == self.intent.commit {
            short(revision).to_owned()
        } else {
            format!("{}, which contains {}", short(revision), short(self.intent.commit))
        }
    }
}

/// Revisions that Argo CD says it failed to sync by itself and won't try again:
/// `Failed last sync attempt to [3f1c…]: …`.
fn failed_auto_syncs(app: &AppSnapshot) -> impl Iterator<Item = &str> {
    app.conditions
        .iter()
        .filter(|(kind, _)| kind == "SyncError")
        .filter_map(|(_, message)| message.split_once('[')?.1.split_once(']'))
        .flat_map(|(revisions, _)| revisions.split([',', ' ']))
        .filter(|revision| is_commit(revision))
}

/// Whether `text` is a full commit id, SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}
