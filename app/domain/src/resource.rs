//! What runs in an environment, where its image comes from, and how it follows that source.

use crate::{
    artifact::{Digest, ExactImage, Repository},
    id::{EnvironmentId, ResourceId},
    key::Key,
    name::Name,
    plan::Health,
    promotion::Actor,
    tag_rule::TagRule,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// What kind of thing a resource is.
///
/// As JSON and in the database a word. One that a newer Waybill wrote is kept and shown as it is; what people write is read with [`FromStr`], which
/// knows no others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Kind {
    /// Runs all the time, replaceable copies.
    Deployment,
    /// Runs all the time, each copy with an identity.
    StatefulSet,
    /// Runs all the time, a copy on each node.
    DaemonSet,
    /// Runs by the clock.
    CronJob,
    /// Runs all the time, rolled out in steps by Argo Rollouts.
    Rollout,
    /// Runs once.
    Job,
    /// A kind that this version doesn't know, by its word.
    Other(String),
}

impl Kind {
    /// All kinds that are known.
    pub const ALL: [Self; 6] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::CronJob,
        Self::Rollout,
        Self::Job,
    ];

    /// Their words.
    pub const WORDS: [&str; 6] = ["deployment", "statefulset", "daemonset", "cronjob", "rollout", "job"];

    /// Whether its image can be promoted to another environment.
    #[must_use]
    pub fn is_promotable(&self) -> bool {
        self.why_not_promotable().is_none()
    }

    /// Why its image can't be promoted, the end of a sentence; `None` when it can.
    #[must_use]
    pub fn why_not_promotable(&self) -> Option<&'static str> {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::CronJob | Self::Rollout => None,
            Self::Job => Some("it runs once, and Kubernetes lets nobody change the pod template of a job"),
            Self::Other(_) => Some("this version of Waybill does not know the kind"),
        }
    }

    /// The sentence that says why `who`, which is of this kind, can't be promoted.
    #[must_use]
    pub fn refusal(&self, who: &str) -> String {
        let why = self.why_not_promotable().unwrap_or("its kind can't be");
        format!("{who} is a {self} and can't be promoted: {why}.")
    }

    /// Whether it keeps pods running, rather than running now and then.
    #[must_use]
    pub fn keeps_pods(&self) -> bool {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::Rollout => true,
            Self::CronJob | Self::Job | Self::Other(_) => false,
        }
    }

    /// The word for it in interfaces and the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::CronJob => "cronjob",
            Self::Rollout => "rollout",
            Self::Job => "job",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(s: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == s).ok_or(UnknownKind)
    }
}

impl From<String> for Kind {
    fn from(word: String) -> Self {
        word.parse().unwrap_or(Self::Other(word))
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

/// A text that is no [`Kind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Choose one of deployment, statefulset, daemonset, cronjob, rollout and job.")]
pub struct UnknownKind;

/// Where a resource's image comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// A repository that CI or a registry reports to.
    Image {
        /// The repository.
        repository: Repository,
        /// Which of its tags count.
        #[serde(default)]
        tags: TagRule,
    },
    /// The image that a resource of another environment of the same project runs.
    Promote {
        /// That resource.
        from: ResourceId,
    },
}

impl Source {
    /// Whether images come from the same place, whichever of them count.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Image { repository, tags: _ },
                Self::Image {
                    repository: other,
                    tags: _,
                },
            ) => repository == other,
            (Self::Promote { from }, Self::Promote { from: other }) => from == other,
            (Self::Image { .. }, Self::Promote { .. }) | (Self::Promote { .. }, Self::Image { .. }) => false,
        }
    }

    /// Which tags of its repository count; `None` for what another resource runs.
    #[must_use]
    pub fn tags(&self) -> Option<&TagRule> {
        match self {
            Self::Image { repository: _, tags } => Some(tags),
            Self::Promote { .. } => None,
        }
    }
}

/// How a resource follows its source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "digest")]
pub enum Binding {
    /// New artifacts of the source arrive by themselves.
    TrackLatest,
    /// It stays on this digest until a person moves it.
    Pin(Digest),
}

/// How a resource runs: its own, never taken from its source.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Runtime {
    /// Copies; `None` leaves it to the chart.
    pub replicas: Option<u32>,
    /// Ports it listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Environment variables, name and value, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Host under which it is reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_host: Option<String>,
    /// How much it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Path that answers when it is well: `/healthz`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
}

/// How much a resource may use; what that means is the chart's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Size {
    /// A little.
    Small,
    /// The usual.
    Medium,
    /// A lot.
    Large,
}

impl Size {
    /// All sizes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The word for it in interfaces and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// Its name, unique in the environment.
    pub name: Name,
    /// Its key below `services` in the values file, unique in the environment.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// Where its image comes from.
    pub source: Source,
    /// How it follows that.
    pub binding: Binding,
    /// Why it doesn't follow its source just now, though it would; `None` when nothing holds it.
    pub hold: Option<Hold>,
    /// How it runs.
    pub runtime: Runtime,
    /// What Git says it runs: its latest artifact. `None` until Git declares an exact image.
    pub desired: Option<ExactImage>,
    /// Since when Git says so.
    pub desired_at: Option<Timestamp>,
    /// Who made Git say so, when it wasn't Waybill.
    pub outside: Option<Outside>,
    /// Why no exact image can be read out of what Git declares, with the file and the line; a sentence without its full stop.
    pub unclear: Option<String>,
    /// What Argo CD reports. `None` until it has.
    pub live: Option<Live>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Automation is paused for a resource that tracks its source: automation never undoes a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// What the person did.
    pub cause: HoldCause,
    /// Who did it; Waybill where it was done in Git.
    pub by: Actor,
    /// Since when it holds.
    pub at: Timestamp,
    /// The commit, where a person did it in Git, past Waybill; `by` is Waybill then, which saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// The key of the same file that has an image of the same repository, where the resource's own is gone: it may have been renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
}

impl Hold {
    /// Who did what, as in *Held: …*: `rolled back by Ada`, `moved in Git to 1.1.0 by Ada in 1a2b3c4`. `runs` is what Git declares.
    #[must_use]
    pub fn words(&self, runs: Option<&ExactImage>) -> String {
        let deed = match (self.cause, runs, &self.renamed) {
            (HoldCause::MovedInGit, Some(image), _) => format!("moved in Git to {}", image.short_label()),
            (HoldCause::RecalledInGit, Some(image), _) => {
                format!("moved in Git to {}, which is recalled,", image.short_label())
            }
            (HoldCause::RemovedFromGit, _, Some(key)) => format!("removed from Git, or renamed to {key}"),
            (cause, ..) => cause.deed().to_owned(),
        };
        match &self.outside {
            Some(outside) => {
                let commit = outside.commit.get(..7).unwrap_or(&outside.commit);
                format!("{deed} by {} in {commit}", outside.author)
            }
            None if self.cause.is_in_git() => format!("{deed} by somebody"),
            None => format!("{deed} by {}", self.by.name()),
        }
    }

    /// Who did it.
    #[must_use]
    pub fn who(&self) -> &str {
        match &self.outside {
            Some(outside) => &outside.author,
            None => self.by.name(),
        }
    }
}

/// A change of what Git declares that was made without Waybill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outside {
    /// The commit's author.
    pub author: String,
    /// The commit, in full.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
}

/// What was done that holds a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// Pinned it.
    Pinned,
    /// Rolled it back.
    RolledBack,
    /// Set it up where only others may change what runs.
    SetUp,
    /// Declared another image in Git, past Waybill.
    MovedInGit,
    /// Removed or renamed its block, or its file, in Git.
    RemovedFromGit,
    /// Switched it off in Git: `enabled: false`.
    DisabledInGit,
    /// Declared a recalled image in Git, past Waybill.
    RecalledInGit,
    /// Found no values file for it, which automation never makes.
    NoFile,
}

impl HoldCause {
    /// What was done, as in *Held since Ada … it*.
    #[must_use]
    pub fn deed(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::RolledBack => "rolled back",
            Self::SetUp => "set up",
            Self::MovedInGit => "moved in Git",
            Self::RemovedFromGit => "removed from Git",
            Self::DisabledInGit => "switched off in Git",
            Self::RecalledInGit => "moved in Git to a recalled image",
            Self::NoFile => "stopped at its missing values file",
        }
    }

    /// Whether it was done in Git, past Waybill.
    #[must_use]
    pub fn is_in_git(self) -> bool {
        match self {
            Self::MovedInGit | Self::RemovedFromGit | Self::DisabledInGit | Self::RecalledInGit => true,
            Self::Pinned | Self::RolledBack | Self::SetUp | Self::NoFile => false,
        }
    }
}

/// What runs, as Argo CD reports it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Live {
    /// Digests that run now: two during a rollout, none when nothing runs. Of what runs by the clock, the one that its next run will have.
    pub digests: Vec<Digest>,
    /// Health of its workloads; of the environment's whole Application where Argo CD doesn't let them be read.
    pub health: Health,
    /// When this was reported.
    pub at: Timestamp,
    /// Why it isn't known what runs: then nothing else of this counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
}

/// Why it isn't known what a resource runs, though its Argo CD answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is being found out.
    Checking,
    /// Argo CD has no such Application, or doesn't let Waybill see it. Its pods may run all the same: an Application can be deleted without them.
    NoApplication,
}

impl Live {
    /// What isn't known, since `at`.
    #[must_use]
    pub fn unknown(why: Unknown, at: Timestamp) -> Self {
        Self {
            digests: Vec::new(),
            health: Health::Unknown,
            at,
            unknown: Some(why),
        }
    }
}

impl Resource {
    /// Its name, with its key where that is another one: for what is said about Git.
    #[must_use]
    pub fn name_in_git(&self) -> String {
        match self.key.is(&self.name) {
            true => self.name.to_string(),
            false => format!("{} ({} in Git)", self.name, self.key),
        }
    }

    /// Whether it publishes images that others may take.
    #[must_use]
    pub fn is_promotable(&self) -> bool {
        self.kind.is_promotable()
    }

    /// Whether pods of it are to run all the time.
    #[must_use]
    pub fn expects_pods(&self) -> bool {
        self.kind.keeps_pods() && self.runtime.replicas != Some(0)
    }

    /// Whether new artifacts of its source reach it by themselves. Not while Git declares something that can't be read as an exact image:
    /// nobody knows then what it runs, and what is not known is not written over.
    #[must_use]
    pub fn follows_by_itself(&self) -> bool {
        match self.binding {
            Binding::TrackLatest => self.hold.is_none() && self.unclear.is_none(),
            Binding::Pin(_) => false,
        }
    }

    /// The digest it is pinned to.
    #[must_use]
    pub fn pin(&self) -> Option<&Digest> {
        match &self.binding {
            Binding::Pin(digest) => Some(digest),
            Binding::TrackLatest => None,
        }
    }

    /// Whether Git says that it runs this digest.
    #[must_use]
    pub fn declares(&self, digest: &Digest) -> bool {
        self.desired.as_ref().is_some_and(|desired| desired.digest == *digest)
    }

    /// Whether Git and Argo CD agree on the digest; `None` while one of them hasn't said, or nothing runs.
    #[must_use]
    pub fn is_live_as_desired(&self) -> Option<bool> {
        let (desired, live) = (self.desired.as_ref()?, self.live.as_ref()?);
        if live.digests.is_empty() {
            return None;
        }
        Some(live.digests.iter().all(|digest| *digest == desired.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_a_newer_waybill_wrote_is_kept_and_shown_and_cannot_be_promoted() {
        let kind: Kind = serde_json::from_str("\"replicaset\"").unwrap();
        assert_eq!((kind.to_string(), kind.is_promotable()), ("replicaset".into(), false));
        assert_eq!(serde_json::to_string(&kind).unwrap(), "\"replicaset\"");
        assert_eq!("replicaset".parse::<Kind>(), Err(UnknownKind), "people can't write it");
        assert_eq!(
            kind.refusal("web"),
            "web is a replicaset and can't be promoted: this version of Waybill does not know the kind."
        );
        for (kind, word) in Kind::ALL.into_iter().zip(Kind::WORDS) {
            assert_eq!((kind.as_str(), word.parse()), (word, Ok(kind.clone())));
            assert!(UnknownKind.to_string().contains(word), "{word}");
            assert_eq!(kind.is_promotable(), word != "job", "{word}");
        }
    }

    #[test]
    fn a_hold_from_before_is_read_and_says_who_did_what() {
        let old = r#"{"cause":"rolled_back","by":{"kind":"token","name":"ci"},"at":5}"#;
        let mut hold: Hold = serde_json::from_str(old).unwrap();
        assert_eq!(hold.words(None), "rolled back by ci");
        assert_eq!(serde_json::to_string(&hold).unwrap(), old, "an older server reads it");
        hold.by = Actor::Waybill;
        hold.cause = HoldCause::RemovedFromGit;
        assert_eq!(hold.words(None), "removed from Git by somebody");
        hold.outside = Some(Outside {
            author: "Ada".into(),
            commit: "1a2b3c4d5e".into(),
            subject: "Out".into(),
        });
        assert_eq!(hold.words(None), "removed from Git by Ada in 1a2b3c4");
        hold.renamed = Some("api-v2".into());
        assert_eq!(
            hold.words(None),
            "removed from Git, or renamed to api-v2 by Ada in 1a2b3c4"
        );
        hold.cause = HoldCause::MovedInGit;
        let image = ExactImage {
            repository: "r.example/api".parse().unwrap(),
            tag: "1.1.0".parse().ok(),
            digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        };
        assert_eq!(hold.words(Some(&image)), "moved in Git to 1.1.0 by Ada in 1a2b3c4");
        hold.cause = HoldCause::RecalledInGit;
        let words = "moved in Git to 1.1.0, which is recalled, by Ada in 1a2b3c4";
        assert_eq!(hold.words(Some(&image)), words);
        assert_eq!(hold.who(), "Ada");
    }
}
