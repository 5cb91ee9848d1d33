//! Whether a promotion may go on: [`evaluate()`] holds an environment's policy against the [`Evidence`] there is, and gives a
//! [`Decision`] with a reason for every gate, in the words that pages show.
//!
//! Gates and decisions are here, what they are decided by in `evidence`, and the rules in `evaluate`.

mod evaluate;
mod evidence;
#[cfg(test)]
mod tests;

pub use evaluate::{evaluate, who_overrides};
pub use evidence::{
    Approval, Approver, Check, CheckStatus, Evidence, Found, Frozen, HealthyRun, Override, Proof, Stop,
};

use crate::{promotion::UnknownWord, succession::Opens, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// What a gate asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "camelCase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of)]
pub enum GateKind {
    /// Approvals of people.
    Approvals,
    /// A check that passed on the digest.
    Check,
    /// The digest was healthy in another environment.
    RanIn,
    /// The digest is signed with a key.
    Signature,
    /// It is attested where the digest comes from.
    Provenance,
    /// A verifier elsewhere vouches for the digest.
    Summary,
    /// No freeze window is open.
    Freeze,
    /// Nobody paused promotions.
    Stop,
}

impl GateKind {
    /// All kinds.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The word for it, as in a policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether somebody outside is asked for what opens it, each time a promotion waits for it.
    #[must_use]
    pub fn is_asked_for(self) -> bool {
        match self {
            Self::Signature | Self::Provenance | Self::Summary => true,
            Self::Approvals | Self::Check | Self::RanIn | Self::Freeze | Self::Stop => false,
        }
    }

    /// Whether a rollback must pass gates of this kind, unless a policy says otherwise: the way back doesn't wait for people or hours, and
    /// leads to nothing that isn't signed, is of unknown origin, or isn't vouched for.
    #[must_use]
    pub fn holds_rollbacks(self) -> bool {
        match self {
            Self::Signature | Self::Provenance | Self::Summary => true,
            Self::Approvals | Self::Check | Self::RanIn | Self::Freeze | Self::Stop => false,
        }
    }
}

/// One gate of an environment: `approvals`, `check:integration`, `ranIn:staging`, `signature:release`, `provenance:ci`,
/// `summary:other`, `freeze:weekend`, `stop`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateId {
    /// What it asks for.
    pub kind: GateKind,
    /// Which of its kind; empty where there is only one.
    pub name: String,
}

crate::text::from_text!(GateId);

impl GateId {
    /// The gate of this kind and name.
    #[must_use]
    pub fn of(kind: GateKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn title(&self) -> String {
        match self.kind {
            GateKind::Approvals => "Approvals".into(),
            GateKind::Check => format!("Check {}", self.name),
            GateKind::RanIn => format!("Healthy in {}", self.name),
            GateKind::Signature => format!("Signed by {}", self.name),
            GateKind::Provenance => format!("Provenance {}", self.name),
            GateKind::Summary => format!("Vouched for by {}", self.name),
            GateKind::Freeze => format!("Freeze {}", self.name),
            GateKind::Stop if self.name.is_empty() => "Pause".into(),
            GateKind::Stop => format!("Pause of the {}", self.name),
        }
    }
}

impl fmt::Display for GateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if self.name.is_empty() {
            return Ok(());
        }
        write!(f, ":{}", self.name)
    }
}

impl FromStr for GateId {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let kind = kind.parse::<GateKind>().map_err(|_| UnknownWord::of(text))?;
        Ok(Self::of(kind, name))
    }
}

/// How a gate stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// It is open.
    Met,
    /// Something is missing, and may come.
    Waiting,
    /// Something says no, or it can't be evaluated: a person must do something.
    Failed,
    /// A person overrode it.
    Overridden,
}

impl GateState {
    /// Whether it lets the promotion through.
    #[must_use]
    pub fn opens(self) -> bool {
        match self {
            Self::Met | Self::Overridden => true,
            Self::Waiting | Self::Failed => false,
        }
    }
}

/// A gate, evaluated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gate {
    /// Which.
    pub id: GateId,
    /// How it stands.
    pub state: GateState,
    /// Why, in a few words for a badge: `1 of 2 approvals`.
    pub short: String,
    /// Why, a sentence with the evidence.
    pub why: String,
    /// Who or what can change it, a sentence; empty when nothing need change.
    pub who: String,
    /// Where the evidence is, if it is somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Since when what shuts it is so, where that has a beginning: an override from before is about something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it opens by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Gate {
    /// A gate of which nothing more is known than how it stands, why, and who can change it.
    fn new(
        id: GateId,
        state: GateState,
        short: impl Into<String>,
        why: impl Into<String>,
        who: impl Into<String>,
    ) -> Self {
        Self {
            id,
            state,
            short: short.into(),
            why: why.into(),
            who: who.into(),
            url: None,
            since: None,
            until: None,
        }
    }
}

/// What came of the evaluation of all gates.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decision {
    /// Every gate, in the order of the policy.
    pub gates: Vec<Gate>,
    /// When it may change by itself, by the clock alone.
    pub look_again: Option<Timestamp>,
    /// When time alone will have opened all of them; `None` when something else must happen, or all are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_time: Option<Timestamp>,
    /// Since when each gate stands as it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stands_since: Vec<(GateId, Timestamp)>,
}

impl Decision {
    /// The same, with since when each gate stands so: as it was known `before`, or `now` when it stood otherwise.
    #[must_use]
    pub fn dated(mut self, before: Option<&Self>, now: Timestamp) -> Self {
        let stood = |gate: &Gate| {
            let before = before?;
            let same = |other: &&Gate| other.id == gate.id && other.state == gate.state;
            before.gates.iter().find(same)?;
            before.since(&gate.id)
        };
        self.stands_since = (self.gates.iter())
            .map(|gate| (gate.id.clone(), stood(gate).unwrap_or(now)))
            .collect();
        self
    }

    /// Since when a gate stands as it does, where that was written down.
    #[must_use]
    pub fn since(&self, gate: &GateId) -> Option<Timestamp> {
        self.stands_since.iter().find(|(id, _)| id == gate).map(|(_, at)| *at)
    }

    /// Whether the promotion may go on.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.gates.iter().all(|gate| gate.state.opens())
    }

    /// When it opens, as far as that is known.
    #[must_use]
    pub fn when(&self) -> Opens {
        match self.by_time {
            _ if self.opens() => Opens::Now,
            Some(at) => Opens::At(at),
            None => Opens::Unknown,
        }
    }

    /// What it waits for, in a few words; `None` when it may go on.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        let open: Vec<&str> = (self.gates.iter().filter(|gate| !gate.state.opens()))
            .map(|gate| gate.short.as_str())
            .collect();
        (!open.is_empty()).then(|| open.join(", "))
    }

    /// Whether people's approvals are missing.
    #[must_use]
    pub fn awaits_approval(&self) -> bool {
        let is_it = |gate: &Gate| gate.id.kind == GateKind::Approvals && !gate.state.opens();
        self.gates.iter().any(is_it)
    }
}
