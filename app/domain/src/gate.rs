//! Whether a promotion may go on: [`evaluate`] holds an environment's [`Policy`] against the [`Evidence`] there is, and gives a
//! [`Decision`] with a reason for every gate, in the words that pages show.
//!
//! It is pure: the same evidence at the same moment gives the same decision. It fails closed: what can't be evaluated blocks, and
//! says so.

use crate::{
    artifact::Digest,
    id::UserId,
    name::Name,
    policy::{Approvals, Freeze, Policy, RanIn, RequiredCheck, Who},
    promotion::{Actor, Purpose, UnknownWord},
    rights::Role,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a gate asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateKind {
    /// Approvals of people.
    Approvals,
    /// A check that passed on the digest.
    Check,
    /// The digest was healthy in another environment.
    RanIn,
    /// No freeze window is open.
    Freeze,
    /// Nobody stopped the line.
    Stop,
}

impl GateKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Approvals, Self::Check, Self::RanIn, Self::Freeze, Self::Stop];

    /// The word for it, as in a policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approvals => "approvals",
            Self::Check => "check",
            Self::RanIn => "ranIn",
            Self::Freeze => "freeze",
            Self::Stop => "stop",
        }
    }
}

/// One gate of an environment: `approvals`, `check:integration`, `ranIn:staging`, `freeze:weekend`, `stop`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateId {
    /// What it asks for.
    pub kind: GateKind,
    /// Which of its kind; empty where there is only one.
    pub name: String,
}

crate::text::from_text!(GateId);

impl GateId {
    fn of(kind: GateKind, name: impl Into<String>) -> Self {
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
            GateKind::Freeze => format!("Freeze {}", self.name),
            GateKind::Stop if self.name.is_empty() => "Stop the line".into(),
            GateKind::Stop => format!("Stop the line of the {}", self.name),
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
        let kind = GateKind::ALL.into_iter().find(|known| known.as_str() == kind);
        kind.map(|kind| Self::of(kind, name))
            .ok_or_else(|| UnknownWord(text.to_owned()))
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
        matches!(self, Self::Met | Self::Overridden)
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

/// What came of the evaluation of all gates.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decision {
    /// Every gate, in the order of the policy.
    pub gates: Vec<Gate>,
    /// When it may change by itself, by the clock alone.
    pub look_again: Option<Timestamp>,
}

impl Decision {
    /// Whether the promotion may go on.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.gates.iter().all(|gate| gate.state.opens())
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

/// Who approved or rejected, with the rights as they were then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approver {
    /// Who.
    pub id: UserId,
    /// Name to show.
    pub name: String,
    /// E-mail address, lower case.
    pub email: String,
    /// Role in the project.
    pub role: Role,
    /// Groups of the workspace.
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

impl Approvals {
    /// Whether this person's approval would count; `requester` is who asked, if a person did.
    #[must_use]
    pub fn accepts(&self, approver: &Approver, requester: Option<UserId>) -> bool {
        let is_self = requester == Some(approver.id);
        let is_named = match self.by.is_empty() {
            true => approver.role >= Role::Approver,
            false => approver.is_one_of(&self.by),
        };
        let is_required = self
            .required_group
            .as_ref()
            .is_some_and(|group| approver.groups.contains(group));
        (is_named || is_required) && (self.self_approval || !is_self)
    }

    /// Who may approve, to follow "Waits for": `members of group release or ada@example.com`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut names: Vec<String> = match self.by.is_empty() {
            true => vec![Who::Role(Role::Approver).to_string()],
            false => self.by.iter().map(ToString::to_string).collect(),
        };
        let group = self
            .required_group
            .as_ref()
            .map(|group| format!("members of group {group}"));
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
    /// Yes or no.
    pub approves: bool,
    /// What they said.
    pub comment: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How a check stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    pub const ALL: [Self; 3] = [Self::Pending, Self::Passed, Self::Failed];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for CheckStatus {
    type Err = UnknownWord;

    fn from_str(s: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == s);
        known.ok_or_else(|| UnknownWord(s.to_owned()))
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
    /// What it found, a sentence.
    pub summary: Option<String>,
    /// Where more is said.
    pub url: Option<String>,
    /// When it was so.
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
}

/// Somebody stopped the line: nothing new may run until it is lifted.
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
    /// Now.
    pub now: Timestamp,
    /// What is to run.
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
    /// Who stopped the line: of the project, of the environment.
    pub stops: &'a [Stop],
    /// What was overridden.
    pub overrides: &'a [Override],
    /// The calendar: whether a freeze is on, or why that can't be said.
    pub frozen: &'a dyn Fn(&Freeze) -> Result<Frozen, String>,
}

/// Evaluates all gates.
#[must_use]
pub fn evaluate(policy: &Policy, evidence: &Evidence<'_>) -> Decision {
    let applies = |kind: GateKind| evidence.purpose != Purpose::Rollback || policy.on_rollback.contains(&kind);
    let mut decision = Decision::default();
    let mut add = |gate: Gate, again: Option<Timestamp>| {
        let holds = |one: &&Override| {
            one.gate == gate.id
                && !gate.state.opens()
                && gate.since.is_none_or(|since| one.at >= since)
                && one.until.is_none_or(|until| evidence.now < until)
        };
        let overridden = evidence.overrides.iter().rev().find(holds);
        match overridden {
            Some(by) => decision.gates.push(overridden_by(gate, by)),
            None => {
                decision.look_again = [decision.look_again, again].into_iter().flatten().min();
                decision.gates.push(gate);
            }
        }
    };
    if applies(GateKind::Approvals)
        && let Some(approvals) = &policy.approvals
    {
        add(approved(approvals, evidence), None);
    }
    for check in policy.checks.iter().filter(|_| applies(GateKind::Check)) {
        let (gate, again) = checked(check, evidence);
        add(gate, again);
    }
    for ran in policy.ran_in.iter().filter(|_| applies(GateKind::RanIn)) {
        let (gate, again) = ran_in(ran, evidence);
        add(gate, again);
    }
    for freeze in policy.freezes.iter().filter(|_| applies(GateKind::Freeze)) {
        let (gate, again) = not_frozen(freeze, evidence);
        add(gate, again);
    }
    for stop in evidence.stops.iter().filter(|_| applies(GateKind::Stop)) {
        add(stopped(stop), None);
    }
    decision
}

fn overridden_by(gate: Gate, by: &Override) -> Gate {
    Gate {
        state: GateState::Overridden,
        short: "overridden".into(),
        why: format!(
            "Overridden by {}: {} Before: {}",
            by.by.name(),
            sentence(&by.reason),
            gate.why
        ),
        who: String::new(),
        ..gate
    }
}

fn approved(approvals: &Approvals, evidence: &Evidence<'_>) -> Gate {
    let counts = |approval: &&Approval| {
        approval.approves && approval.digest == *evidence.digest && approvals.accepts(&approval.by, evidence.requester)
    };
    let yes: Vec<&Approval> = evidence.approvals.iter().filter(counts).collect();
    let names: Vec<String> = yes.iter().map(|approval| approval.by.name.clone()).collect();
    let has = u32::try_from(yes.len()).unwrap_or(u32::MAX);
    let missing_group = approvals
        .required_group
        .as_ref()
        .filter(|group| !yes.iter().any(|approval| approval.by.groups.contains(group)));
    let by = if names.is_empty() {
        String::new()
    } else {
        format!(" Approved by {}.", listed(&names, "and"))
    };
    let id = GateId::of(GateKind::Approvals, "");
    if has >= approvals.count && missing_group.is_none() {
        return Gate {
            id,
            state: GateState::Met,
            short: "approved".into(),
            why: by.trim_start().to_owned(),
            who: String::new(),
            url: None,
            since: None,
            until: None,
        };
    }
    let of = format!(
        "{} of {}",
        has.min(approvals.count),
        plural(approvals.count, "approval")
    );
    let (short, why, who) = match missing_group {
        Some(group) if has >= approvals.count => (
            format!("approval of group {group}"),
            format!("None of them is in group {group}.{by}"),
            format!("Members of group {group} can approve."),
        ),
        _ => {
            let others = if approvals.self_approval {
                ""
            } else {
                " Who asked can't."
            };
            let words = approvals.words();
            (
                of.clone(),
                format!("{of}.{by}"),
                format!("{} can approve.{others}", capital(&words)),
            )
        }
    };
    Gate {
        id,
        state: GateState::Waiting,
        short,
        why,
        who,
        url: None,
        since: None,
        until: None,
    }
}

fn checked(required: &RequiredCheck, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let name = &required.name;
    let newest = (evidence.checks.iter())
        .filter(|check| check.name == *name && check.digest == *evidence.digest)
        .max_by_key(|check| check.at);
    let gate = |state, short: String, why: String, who: &str| Gate {
        id: GateId::of(GateKind::Check, name),
        state,
        short,
        why,
        who: who.to_owned(),
        url: newest.and_then(|check| check.url.clone()),
        since: newest.map(|check| check.at),
        until: None,
    };
    let reports = "Whoever runs this check reports it.";
    let Some(check) = newest else {
        let why = format!("No result of {name} is known for this digest.");
        return (gate(GateState::Waiting, format!("check {name}"), why, reports), None);
    };
    let summary = check
        .summary
        .as_deref()
        .map(|text| format!(" {}", sentence(text)))
        .unwrap_or_default();
    match check.status {
        CheckStatus::Pending => {
            let why = format!("It runs.{summary}");
            (gate(GateState::Waiting, format!("check {name}"), why, reports), None)
        }
        CheckStatus::Failed => {
            let why = format!("It failed.{summary}");
            let who = "It opens when the check passes on this digest.";
            (gate(GateState::Failed, format!("check {name} failed"), why, who), None)
        }
        CheckStatus::Passed => {
            let ends = required
                .max_age_hours
                .map(|hours| check.at.plus_millis(i64::from(hours) * 3_600_000));
            match ends {
                Some(ends) if ends <= evidence.now => {
                    let hours = required.max_age_hours.unwrap_or_default();
                    let why = format!("It passed, but more than {hours} h ago.");
                    (
                        gate(GateState::Waiting, format!("check {name} again"), why, reports),
                        None,
                    )
                }
                ends => {
                    let why = format!("It passed.{summary}");
                    (gate(GateState::Met, format!("check {name} passed"), why, ""), ends)
                }
            }
        }
    }
}

fn ran_in(required: &RanIn, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let (name, soak) = (&required.environment, i64::from(required.soak_minutes) * 60_000);
    let here = evidence.runs.iter().filter(|run| run.environment == *name);
    let span = |run: &HealthyRun| run.until.unwrap_or(evidence.now).millis_since(run.since);
    let longest = here.clone().map(span).max();
    let gate = |state, short: String, why: String, who: String| Gate {
        id: GateId::of(GateKind::RanIn, name.as_str()),
        state,
        short,
        why,
        who,
        url: None,
        since: None,
        until: None,
    };
    if longest.is_some_and(|longest| longest >= soak) {
        let why = match required.soak_minutes {
            0 => "This digest was healthy there.".to_owned(),
            minutes => format!("This digest was healthy there for {minutes} min and more."),
        };
        return (
            gate(GateState::Met, format!("healthy in {name}"), why, String::new()),
            None,
        );
    }
    let soaks = if soak > 0 {
        format!(" for {} min", required.soak_minutes)
    } else {
        String::new()
    };
    match here.filter(|run| run.until.is_none()).map(|run| run.since).min() {
        Some(since) => {
            let again = since.plus_millis(soak);
            let why = format!("Healthy there since {}; it must be so{soaks}.", since.exact());
            let who = format!("It opens by itself at {}.", again.exact());
            (
                gate(GateState::Waiting, format!("soak in {name}"), why, who),
                Some(again),
            )
        }
        None => {
            let why =
                format!("This digest must have been healthy in {name}{soaks}; it is not live and healthy there now.");
            let who = format!("Promote it to {name} first.");
            (gate(GateState::Waiting, format!("run in {name}"), why, who), None)
        }
    }
}

fn not_frozen(freeze: &Freeze, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let gate = |state, short: String, why: String, who: String| Gate {
        id: GateId::of(GateKind::Freeze, &freeze.name),
        state,
        short,
        why,
        who,
        url: None,
        since: None,
        until: None,
    };
    match (evidence.frozen)(freeze) {
        Ok(Frozen::Until(end)) => {
            let why = format!("Nothing new may run until {}.", end.exact());
            let who = "It opens by itself then.".to_owned();
            let until = |gate: Gate| Gate {
                until: Some(end),
                ..gate
            };
            let shut = gate(GateState::Waiting, format!("freeze {}", freeze.name), why, who);
            (until(shut), Some(end))
        }
        Ok(Frozen::From(begins)) => {
            let why = match begins {
                Some(at) => format!("It begins at {}.", at.exact()),
                None => "It is over.".to_owned(),
            };
            (
                gate(GateState::Met, format!("no freeze {}", freeze.name), why, String::new()),
                begins,
            )
        }
        Err(why) => {
            let why = format!("It can't be said whether it is on: {why}");
            let who = "Somebody who may edit the policy must mend it.".to_owned();
            (
                gate(GateState::Failed, format!("freeze {} unknown", freeze.name), why, who),
                None,
            )
        }
    }
}

fn stopped(stop: &Stop) -> Gate {
    Gate {
        id: GateId::of(GateKind::Stop, if stop.of_project { "project" } else { "" }),
        state: GateState::Waiting,
        short: if stop.of_project {
            "the project is stopped"
        } else {
            "the line is stopped"
        }
        .into(),
        why: format!(
            "{} stopped it at {}: {}",
            stop.by.name(),
            stop.at.exact(),
            sentence(&stop.reason)
        ),
        who: "Who may stop it can let it go on.".into(),
        url: None,
        since: Some(stop.at),
        until: None,
    }
}

fn plural(count: u32, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        // An address is written as it is.
        Some(first) if !text.split(' ').next().is_some_and(|word| word.contains('@')) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// With a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
