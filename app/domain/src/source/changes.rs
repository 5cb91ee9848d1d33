//! The commits between two images, or why they aren't known.

use super::{MOST_COMMITS, Revision, Timestamp};
use serde::{Deserialize, Serialize};

/// What lies between the image that ran before and the one that is promoted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceChanges {
    /// The repository that both were built from, host and path; `None` where their labels don't agree on one.
    pub repository: Option<String>,
    /// The folder of it that the new image says it was built from.
    pub folder: Option<String>,
    /// The commit that the image before was built from.
    pub before: Option<Revision>,
    /// The commit that the new image was built from.
    pub after: Option<Revision>,
    /// Where a browser compares the two, where the host's shape is known.
    pub compare: Option<String>,
    /// The commits.
    pub changes: Changes,
}

/// The commits between two images.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Changes {
    /// Both were built from the same commit.
    Same,
    /// One commit is in the history of the other.
    Known {
        /// What lies between them, newest first.
        commits: Commits,
        /// Whether the new image is the later one. Otherwise the commits are taken back.
        is_forward: bool,
    },
    /// Neither commit is in the history of the other: rebased, squashed, or of two branches.
    BothWays {
        /// Where the two histories part; `None` when they have nothing in common.
        base: Option<Revision>,
        /// What only the new image has.
        new: Commits,
        /// What only the image before has.
        gone: Commits,
    },
    /// It isn't known.
    Unknown {
        /// Why.
        why: Unknown,
    },
}

/// Commits, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Commits {
    /// The newest [`MOST_COMMITS`] of them.
    pub commits: Vec<SourceCommit>,
    /// Whether there are more.
    pub has_more: bool,
}

/// A commit of a source repository.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceCommit {
    /// Its name.
    pub id: Revision,
    /// The first line of its message.
    pub subject: String,
    /// The name of its author.
    pub author: String,
    /// When it was committed.
    pub at: Timestamp,
    /// Where a browser shows it, where the host's shape is known.
    pub url: Option<String>,
}

/// One of the two images.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that ran before.
    Before,
    /// The one that is promoted.
    After,
}

impl Side {
    fn words(self) -> &'static str {
        match self {
            Self::Before => "the image before",
            Self::After => "the new image",
        }
    }
}

/// Why the commits between two images aren't known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Unknown {
    /// Nothing ran there before.
    NothingBefore,
    /// The registry hasn't been asked about an image.
    NotRead {
        /// Which.
        side: Side,
    },
    /// An image has no label that names its repository.
    NoSource {
        /// Which.
        side: Side,
    },
    /// An image's label names no repository on a host.
    OddSource {
        /// Which.
        side: Side,
    },
    /// An image has no label that names its commit.
    NoRevision {
        /// Which.
        side: Side,
    },
    /// An image's label names no commit: a branch or tag, say, which may have moved since.
    OddRevision {
        /// Which.
        side: Side,
    },
    /// The images were built from two repositories.
    OtherRepository {
        /// That of the image before.
        before: String,
        /// That of the new image.
        after: String,
    },
    /// No administrator listed the host.
    NotListed {
        /// The host.
        host: String,
    },
    /// The repository doesn't have the commit.
    NoCommit {
        /// Of which image.
        side: Side,
        /// The commit.
        revision: Revision,
    },
    /// Several commits begin with what the label says.
    Ambiguous {
        /// What it says.
        revision: Revision,
    },
    /// The host has no such repository, or doesn't show it to this user.
    NoRepository {
        /// The host.
        host: String,
    },
    /// The host refused user and token.
    Refused {
        /// The host.
        host: String,
    },
    /// The host doesn't offer history without files.
    NoHistoryAlone {
        /// The host.
        host: String,
    },
    /// The history is larger than what is fetched.
    TooLarge,
    /// The host didn't answer in time.
    TimedOut {
        /// The host.
        host: String,
    },
    /// The host could not be asked.
    Unreachable {
        /// The host.
        host: String,
        /// What happened, without a full stop.
        why: String,
    },
    /// Waybill could not store or read the history.
    Machine,
}

impl Unknown {
    /// Why, and what to do about it.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::NothingBefore => "Nothing ran here before, so there is nothing to compare with.".into(),
            Self::NotRead { side } => format!("The registry hasn't reported the labels of {} yet.", side.words()),
            Self::NoSource { side } => format!(
                "Unknown: {} has no label org.opencontainers.image.source.",
                side.words()
            ),
            Self::OddSource { side } => format!(
                "Unknown: the label org.opencontainers.image.source of {} is not the address of a repository.",
                side.words()
            ),
            Self::NoRevision { side } => format!(
                "Unknown: {} has no label org.opencontainers.image.revision.",
                side.words()
            ),
            Self::OddRevision { side } => format!(
                "Unknown: the label org.opencontainers.image.revision of {} is not a commit id. Branches and tags can move after a build.",
                side.words()
            ),
            Self::OtherRepository { before, after } => {
                format!("Unknown: the image before was built from {before}, the new image from {after}.")
            }
            Self::NotListed { host } => format!(
                "Waybill doesn't read {host}. An administrator can list this host in the settings under Source repositories."
            ),
            Self::NoCommit { side, revision } => format!(
                "Unknown: the repository doesn't have commit {} of {}. The history may have been rewritten since the build.",
                revision.short(),
                side.words()
            ),
            Self::Ambiguous { revision } => format!(
                "Unknown: several commits begin with {}. Label images with the whole commit id.",
                revision.as_str()
            ),
            Self::NoRepository { host } => {
                format!("Unknown: {host} has no such repository, or the user listed for {host} can't read it.")
            }
            Self::Refused { host } => format!(
                "Unknown: {host} rejected the user and token. An administrator can replace them in the settings under Source repositories."
            ),
            Self::NoHistoryAlone { host } => format!(
                "Unknown: {host} doesn't offer history without files (Git protocol 2 with filters), and Waybill doesn't fetch whole repositories."
            ),
            Self::TooLarge => "Unknown: the history of this repository is too large to fetch.".into(),
            Self::TimedOut { host } => format!("Unknown: {host} didn't answer in time. Reload the page to try again."),
            Self::Unreachable { host, why } => format!("Unknown: {host} could not be read: {why}."),
            Self::Machine => {
                "Unknown: Waybill could not store the history. Your administrator can find the reason in the log."
                    .into()
            }
        }
    }

    /// Whether it may be otherwise a moment later, without anybody changing an image or a setting.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NotRead { .. }
                | Self::NoCommit { .. }
                | Self::Refused { .. }
                | Self::NoRepository { .. }
                | Self::TimedOut { .. }
                | Self::Unreachable { .. }
                | Self::Machine
        )
    }
}

impl Commits {
    /// How many, in words: `1 commit`, `12 commits`, `more than 250 commits`.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.commits.len(), self.has_more) {
            (_, true) => format!("more than {MOST_COMMITS} commits"),
            (1, _) => "1 commit".into(),
            (many, _) => format!("{many} commits"),
        }
    }
}

impl SourceChanges {
    /// What is known, in sentences.
    #[must_use]
    pub fn sentence(&self) -> String {
        let name = |revision: &Option<Revision>| revision.as_ref().map_or("?", Revision::short).to_owned();
        let (before, after) = (name(&self.before), name(&self.after));
        let mut text = match &self.changes {
            Changes::Same => format!("Both images were built from {after}."),
            Changes::Known { commits, is_forward } => {
                let how_many = commits.words();
                match is_forward {
                    true => format!("Brings {how_many}: from {before} to {after}."),
                    false => format!("Takes back {how_many}: {after} is older than {before}."),
                }
            }
            Changes::BothWays { base, .. } => {
                let parted = match base {
                    Some(base) => format!("The two histories part at {}", base.short()),
                    None => "The two histories have no commit in common".into(),
                };
                format!(
                    "Commit {before} isn't in the history of {after}. {parted}: a rebase, a squash, or another branch."
                )
            }
            Changes::Unknown { why } => return why.sentence(),
        };
        let is_listed = !matches!(self.changes, Changes::Same);
        if let Some(folder) = self.folder.as_ref().filter(|_| is_listed) {
            text.push_str(&format!(
                " The commits are those of the whole repository. Which of them changed {folder} is unknown."
            ));
        }
        text
    }
}
