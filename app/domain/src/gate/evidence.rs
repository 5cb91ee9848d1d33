//! What a promotion's gates are decided by: what people said and did, results of checks, where the digest was healthy,
//! what registries hold about it, the calendar.

use super::{GateId, GateKind};
use crate::{
    artifact::{Digest, Repository},
    id::UserId,
    name::Name,
    policy::{Approvals, Freeze, OverrideRight, Policy, Who},
    promotion::{Actor, Purpose, UnknownWord},
    rights::Role,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Who approved or rejected, with the rights as they were then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approver {
    /// Their account.
    pub id: UserId,
    /// Name to show.
    pub name: String,
    /// E-mail address, lower case.
    pub email: String,
    /// Role in the project.
    pub role: Role,
    /// The groups of the workspace that they are in.
    pub groups: Vec<Name>,
}

impl Approver {
    /// Whether they are one of those meant.
    #[must_use]
    pub fn is_one_of(&self, all: &[Who]) -> bool {
        all.iter().any(|who| match who {
            Who::User(email) => email.eq_ignore_ascii_case(&self.email),
            Who::Group(group) => self.groups.contains(group),
            Who::Role(role) => self.role >= *role,
        })
    }
}

impl Policy {
    /// Whether this person may override gates of this kind.
    #[must_use]
    pub fn may_override(&self, gate: GateKind, who: &Approver) -> bool {
        let mut rights = self.overrides.iter();
        rights.any(|OverrideRight { gates, by }| gates.contains(&gate) && who.is_one_of(by))
    }
}

impl Approvals {
    /// Whether this person's approval would count; `requester` is who asked, if a person did.
    #[must_use]
    pub fn accepts(&self, approver: &Approver, requester: Option<UserId>) -> bool {
        let Self {
            by,
            required_group,
            self_approval,
            // About all approvals together.
            count: _,
        } = self;
        let is_self = requester == Some(approver.id);
        let is_named = match by.is_empty() {
            true => approver.role >= Role::Approver,
            false => approver.is_one_of(by),
        };
        let is_required = (required_group.as_ref()).is_some_and(|group| approver.groups.contains(group));
        (is_named || is_required) && (*self_approval || !is_self)
    }

    /// Who may approve, to follow "Waits for": `members of group release or ada@example.com`.
    #[must_use]
    pub fn words(&self) -> String {
        let Self {
            by,
            required_group,
            // Shown with the gate.
            count: _,
            self_approval: _,
        } = self;
        let mut names: Vec<String> = match by.is_empty() {
            true => vec![Who::Role(Role::Approver).to_string()],
            false => by.iter().map(ToString::to_string).collect(),
        };
        let group = (required_group.as_ref()).map(|group| format!("members of group {group}"));
        names.extend(group.filter(|words| !names.contains(words)));
        listed(&names, "or")
    }
}

/// What a person said about a promotion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Approver,
    /// The digest that they saw.
    pub digest: Digest,
    /// `false`: rejects.
    pub approves: bool,
    /// `None` when they said nothing.
    pub comment: Option<String>,
    /// When they decided.
    pub at: Timestamp,
}

/// How a check stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum CheckStatus {
    /// It runs.
    Pending,
    /// It passed.
    Passed,
    /// It failed.
    Failed,
}

impl CheckStatus {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A result about a digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What it is about.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: CheckStatus,
    /// What it found, a sentence with or without its full stop.
    pub summary: Option<String>,
    /// Address of the report.
    pub url: Option<String>,
    /// When it had this result, as its reporter says; never in the future.
    pub at: Timestamp,
    /// Who reported it.
    pub reported_by: Actor,
}

/// A span without a break in which a digest was live and healthy in an environment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealthyRun {
    /// Where.
    pub environment: Name,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it is.
    pub until: Option<Timestamp>,
    /// Whether it ended because a newer image took its place, and the resource has not gone back since.
    pub replaced: bool,
}

/// What came of looking for a proof of a digest where its image is: a signature with a key, provenance, a
/// verification summary.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// The gate that asks for it.
    pub gate: GateId,
    /// What was found.
    pub found: Found,
    /// Where it was looked for.
    pub repository: Repository,
    /// When that was.
    pub at: Timestamp,
    /// When it is looked for again; `None` when it was found: a digest never changes.
    pub again: Option<Timestamp>,
}

/// What a registry holds of what is looked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Found {
    /// It is there, and valid.
    Valid,
    /// There is nothing of the kind.
    Nothing,
    /// There are so many, by others.
    OfOthers(u32),
    /// There is one, about something else.
    OfAnotherDigest,
    /// There is one that says otherwise than it should: what it says, to follow "It says that".
    Otherwise(String),
    /// There is one that doesn't count: why, to follow "It doesn't count: ".
    Refused(String),
    /// That can't be said.
    Unknown {
        /// Why, a sentence.
        why: String,
        /// Whether that may pass by itself.
        passes: bool,
    },
}

/// Somebody paused promotions: nothing new may run until they are resumed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stop {
    /// Of the whole project, not only of one environment.
    #[serde(default)]
    pub of_project: bool,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// Somebody let a promotion through a gate that is shut.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Override {
    /// Which gate.
    pub gate: GateId,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Until when it holds: a freeze that was overridden ends, and the next one is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Whether a freeze is on, by the calendar of its time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frozen {
    /// It is, until then.
    Until(Timestamp),
    /// It is not; it begins then, if ever again.
    From(Option<Timestamp>),
}

/// All that is known about one promotion.
pub struct Evidence<'a> {
    /// The same moment for all gates.
    pub now: Timestamp,
    /// The image that is to run.
    pub digest: &'a Digest,
    /// What the promotion is for.
    pub purpose: Purpose,
    /// Who asked, if a person did.
    pub requester: Option<UserId>,
    /// What people said.
    pub approvals: &'a [Approval],
    /// The newest result of each check on the digest.
    pub checks: &'a [Check],
    /// Where the digest was healthy.
    pub runs: &'a [HealthyRun],
    /// What registries were asked about the digest.
    pub proofs: &'a [Proof],
    /// Who paused promotions: to the project, to the environment.
    pub stops: &'a [Stop],
    /// What was overridden.
    pub overrides: &'a [Override],
    /// The calendar: whether a freeze is on, or why that can't be said.
    pub frozen: &'a dyn Fn(&Freeze) -> Result<Frozen, String>,
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
