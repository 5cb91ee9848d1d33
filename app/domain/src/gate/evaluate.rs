//! The rules: one function for each kind of gate.
//!
//! Pure: the same evidence at the same moment gives the same decision. It fails closed: what can't be evaluated blocks, and says so.

use super::{
    Approval, Check, CheckStatus, Decision, Evidence, Found, Frozen, Gate, GateId, GateKind, GateState, HealthyRun,
    Override, Proof, Stop, evidence::listed,
};
use crate::{
    plan::STABLE_MILLIS,
    policy::{Approvals, Freeze, OverrideRight, Policy, RanIn, RequiredCheck},
    promotion::Purpose,
    succession::Opens,
    time::Timestamp,
};

/// After how long it is looked whether a registry was asked that should be asked at once: only if who does it was cut off.
const ASKED_WITHIN_MILLIS: i64 = 5_000;

/// Evaluates all gates.
#[must_use]
pub fn evaluate(policy: &Policy, evidence: &Evidence<'_>) -> Decision {
    // Here, in the functions below and in `evidence`, structs are taken apart without `..`: a new field doesn't compile until every place
    // that decides by it uses it, or names it as not used.
    let Policy {
        approvals,
        checks,
        ran_in: runs,
        signatures,
        provenance,
        summaries,
        freezes,
        // Asked for each gate, by `who_overrides` and `applies`.
        overrides: _,
        on_rollback: _,
        on_failure: _,
        sync: _,
        attestation: _,
    } = policy;
    let Evidence {
        now,
        purpose,
        stops,
        overrides,
        // Read by the gates that they decide, below.
        digest: _,
        requester: _,
        approvals: _,
        checks: _,
        runs: _,
        proofs: _,
        frozen: _,
    } = evidence;
    let applies = |kind: GateKind| match purpose {
        Purpose::Rollback => policy.holds_rollbacks(kind),
        Purpose::Deploy | Purpose::Promote | Purpose::Pin => true,
    };
    let mut decision = Decision::default();
    let mut when = Opens::Now;
    let mut add = |mut gate: Gate, again: Option<Timestamp>| {
        let holds = |one: &&Override| {
            let Override {
                gate: of,
                at,
                until,
                // Shown by `overridden_by`.
                by: _,
                reason: _,
            } = one;
            *of == gate.id
                && !gate.state.opens()
                && gate.since.is_none_or(|since| *at >= since)
                && until.is_none_or(|until| *now < until)
        };
        let overridden = overrides.iter().rev().find(holds);
        match overridden {
            Some(by) => decision.gates.push(overridden_by(gate, by)),
            None => {
                if let (false, Some(who)) = (gate.state.opens(), who_overrides(policy, gate.id.kind)) {
                    gate.who = format!("{} {who}", gate.who).trim_start().to_owned();
                }
                if !gate.state.opens() {
                    when = when.max(by_time(&gate, again));
                }
                decision.look_again = [decision.look_again, again].into_iter().flatten().min();
                decision.gates.push(gate);
            }
        }
    };
    if applies(GateKind::Approvals)
        && let Some(approvals) = approvals
    {
        add(approved(approvals, evidence), None);
    }
    for check in checks.iter().filter(|_| applies(GateKind::Check)) {
        let (gate, again) = checked(check, evidence);
        add(gate, again);
    }
    for ran in runs.iter().filter(|_| applies(GateKind::RanIn)) {
        let (gate, again) = ran_in(ran, evidence);
        add(gate, again);
    }
    let keys = signatures.iter().map(|one| (GateKind::Signature, &one.name));
    let builds = provenance.iter().map(|one| (GateKind::Provenance, &one.name));
    let verifiers = summaries.iter().map(|one| (GateKind::Summary, &one.name));
    for (kind, name) in keys.chain(builds).chain(verifiers).filter(|(kind, _)| applies(*kind)) {
        let (gate, again) = proven(kind, name, evidence);
        add(gate, again);
    }
    for freeze in freezes.iter().filter(|_| applies(GateKind::Freeze)) {
        let (gate, again) = not_frozen(freeze, evidence);
        add(gate, again);
    }
    for stop in stops.iter().filter(|_| applies(GateKind::Stop)) {
        add(stopped(stop), None);
    }
    decision.by_time = match when {
        Opens::At(at) => Some(at),
        Opens::Now | Opens::Unknown => None,
    };
    decision
}

/// When time alone opens a gate that is shut: the end of a soak or of a freeze. Others are only looked at again.
fn by_time(gate: &Gate, again: Option<Timestamp>) -> Opens {
    let opens_by_time = match gate.id.kind {
        GateKind::RanIn | GateKind::Freeze => gate.state == GateState::Waiting,
        GateKind::Approvals
        | GateKind::Check
        | GateKind::Signature
        | GateKind::Provenance
        | GateKind::Summary
        | GateKind::Stop => false,
    };
    match again {
        Some(at) if opens_by_time => Opens::At(at),
        Some(_) | None => Opens::Unknown,
    }
}

/// Who may let a promotion through a gate of this kind, a sentence; `None` when nobody may.
#[must_use]
pub fn who_overrides(policy: &Policy, kind: GateKind) -> Option<String> {
    let named = policy.overrides.iter();
    let named = named.filter(|OverrideRight { gates, by: _ }| gates.contains(&kind));
    let mut named: Vec<String> = named.flat_map(|right| &right.by).map(ToString::to_string).collect();
    named.sort();
    named.dedup();
    (!named.is_empty()).then(|| format!("{} can override it.", capital(&listed(&named, "and"))))
}

fn overridden_by(gate: Gate, one: &Override) -> Gate {
    let Override {
        by,
        reason,
        // The override was found by these.
        gate: _,
        at: _,
        until: _,
    } = one;
    Gate {
        state: GateState::Overridden,
        short: "overridden".into(),
        why: format!("Overridden by {}: {} Before: {}", by.name(), sentence(reason), gate.why),
        who: String::new(),
        ..gate
    }
}

fn approved(approvals: &Approvals, evidence: &Evidence<'_>) -> Gate {
    let Approvals {
        count,
        required_group,
        self_approval,
        // Read by `accepts` and `words`.
        by: _,
    } = approvals;
    let counts = |approval: &&Approval| {
        let Approval {
            by,
            digest,
            approves,
            comment: _,
            at: _,
        } = approval;
        *approves && digest == evidence.digest && approvals.accepts(by, evidence.requester)
    };
    let yes: Vec<&Approval> = evidence.approvals.iter().filter(counts).collect();
    let names: Vec<String> = yes.iter().map(|approval| approval.by.name.clone()).collect();
    let has = u32::try_from(yes.len()).unwrap_or(u32::MAX);
    let missing_group = required_group
        .as_ref()
        .filter(|group| !yes.iter().any(|approval| approval.by.groups.contains(group)));
    let by = if names.is_empty() {
        String::new()
    } else {
        format!(" Approved by {}.", listed(&names, "and"))
    };
    let id = GateId::of(GateKind::Approvals, "");
    if has >= *count && missing_group.is_none() {
        return Gate::new(id, GateState::Met, "approved", by.trim_start(), "");
    }
    let of = format!("{} of {}", has.min(*count), plural(*count, "approval"));
    let (short, why, who) = match missing_group {
        Some(group) if has >= *count => (
            format!("approval of group {group}"),
            format!("None of them is in group {group}.{by}"),
            format!("Members of group {group} can approve."),
        ),
        Some(_) | None => {
            let others = if *self_approval { "" } else { " Who asked can't." };
            let words = approvals.words();
            (
                of.clone(),
                format!("{of}.{by}"),
                format!("{} can approve.{others}", capital(&words)),
            )
        }
    };
    Gate::new(id, GateState::Waiting, short, why, who)
}

fn checked(required: &RequiredCheck, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let RequiredCheck { name, max_age_hours } = required;
    let newest = (evidence.checks.iter())
        .filter(|check| check.name == *name && check.digest == *evidence.digest)
        .max_by_key(|check| check.at);
    let gate = |state, short: String, why: String, who: &str| Gate {
        url: newest.and_then(|check| check.url.clone()),
        since: newest.map(|check| check.at),
        ..Gate::new(GateId::of(GateKind::Check, name), state, short, why, who)
    };
    let reports = "Whoever runs this check reports it.";
    let Some(Check {
        status,
        summary,
        at,
        // These don't decide: the check was found by them, or they are shown.
        digest: _,
        name: _,
        url: _,
        reported_by: _,
    }) = newest
    else {
        let why = format!("No result of {name} is known for this digest.");
        return (gate(GateState::Waiting, format!("check {name}"), why, reports), None);
    };
    let summary = summary
        .as_deref()
        .map(|text| format!(" {}", sentence(text)))
        .unwrap_or_default();
    match status {
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
            let ends = max_age_hours.map(|hours| (hours, at.plus_millis(i64::from(hours) * 3_600_000)));
            match ends {
                Some((hours, ends)) if ends <= evidence.now => {
                    let why = format!("It passed, but more than {hours} h ago.");
                    (
                        gate(GateState::Waiting, format!("check {name} again"), why, reports),
                        None,
                    )
                }
                ends => {
                    let why = format!("It passed.{summary}");
                    let again = ends.map(|(_, ends)| ends);
                    (gate(GateState::Met, format!("check {name} passed"), why, ""), again)
                }
            }
        }
    }
}

fn ran_in(required: &RanIn, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let RanIn {
        environment: name,
        soak_minutes,
        continues_when_replaced,
    } = required;
    let soak = i64::from(*soak_minutes) * 60_000;
    // Argo CD calls an Application healthy for a moment before a rollout begins; that proves nothing of the new image.
    let soak = soak.max(STABLE_MILLIS);
    let here = evidence.runs.iter().filter(|run| run.environment == *name);
    // When a run stopped counting; `None` while it counts.
    let until = |run: &HealthyRun| {
        let HealthyRun {
            environment: _,
            since,
            until,
            replaced,
        } = run;
        let was_stable = |until: &Timestamp| until.millis_since(*since) >= STABLE_MILLIS;
        until.filter(|until| !(*continues_when_replaced && *replaced && was_stable(until)))
    };
    let span = |run: &HealthyRun| until(run).unwrap_or(evidence.now).millis_since(run.since);
    let longest = here.clone().map(span).max();
    let gate = |state, short: String, why: String, who: String| {
        Gate::new(GateId::of(GateKind::RanIn, name.as_str()), state, short, why, who)
    };
    if longest.is_some_and(|longest| longest >= soak) {
        let why = match soak_minutes {
            0 => "This digest was healthy there.".to_owned(),
            minutes => format!("This digest was healthy there for {minutes} min and more."),
        };
        return (
            gate(GateState::Met, format!("healthy in {name}"), why, String::new()),
            None,
        );
    }
    let soaks = match soak_minutes {
        0 => String::new(),
        minutes => format!(" for {minutes} min"),
    };
    match here.filter(|run| until(run).is_none()).min_by_key(|run| run.since) {
        Some(run) => {
            let (since, again) = (run.since, run.since.plus_millis(soak));
            let why = match (soak_minutes, run.until) {
                (0, None) => format!("Healthy there since {}; it must be so for some seconds.", since.exact()),
                (_, None) => format!("Healthy there since {}; it must be so{soaks}.", since.exact()),
                (minutes, Some(replaced)) => format!(
                    "Healthy there from {} until a newer image took its place at {}; it still counts towards the {minutes} min.",
                    since.exact(),
                    replaced.exact(),
                ),
            };
            let who = format!("Opens automatically at {}.", again.exact());
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

/// What a registry may hold that proves something, in words.
struct ProofWords {
    /// On a badge, before its name.
    badge: &'static str,
    noun: &'static str,
    /// The noun with its article, where it has one.
    one: &'static str,
    valid: &'static str,
    /// One of several.
    each: &'static str,
    /// What who signs did to the digest.
    deed: &'static str,
    /// What opens the gate, a sentence.
    opens: String,
}

impl ProofWords {
    fn of(kind: GateKind, name: &str) -> Self {
        match kind {
            GateKind::Provenance => Self {
                badge: "provenance",
                noun: "provenance",
                one: "provenance",
                valid: "valid provenance",
                each: "attestation",
                deed: "built",
                opens: format!("Opens once {name} attests that it built this digest."),
            },
            GateKind::Summary => Self {
                badge: "summary",
                noun: "verification summary",
                one: "a verification summary",
                valid: "a valid verification summary",
                each: "attestation",
                deed: "vouched for",
                opens: format!("Opens once {name} vouches for this digest."),
            },
            // Registries prove no others.
            GateKind::Signature
            | GateKind::Approvals
            | GateKind::Check
            | GateKind::RanIn
            | GateKind::Freeze
            | GateKind::Stop => Self {
                badge: "signature",
                noun: "signature",
                one: "a signature",
                valid: "a valid signature",
                each: "signature",
                deed: "signed",
                opens: format!("Opens once this digest is signed by {name}."),
            },
        }
    }
}

/// Whether a registry holds what proves something about the digest: a signature, provenance, or a verification summary.
fn proven(kind: GateKind, name: &str, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let id = GateId::of(kind, name);
    let proof = evidence.proofs.iter().find(|proof| proof.gate == id);
    let ProofWords {
        badge,
        noun,
        one,
        valid,
        each,
        deed,
        opens,
    } = ProofWords::of(kind, name);
    let missing = format!("{badge} {name}");
    let differs = format!("not {deed} by {name}");
    let Some(Proof {
        gate: _,
        found,
        repository,
        at,
        again,
    }) = proof
    else {
        let why = "The registry has not been asked yet.";
        let gate = Gate::new(id, GateState::Waiting, missing, why, "It is asked now.");
        return (gate, Some(evidence.now.plus_millis(ASKED_WITHIN_MILLIS)));
    };
    let (state, short, why, who) = match found {
        Found::Valid => {
            let why = format!("{repository} held {valid} at {}.", at.exact());
            (GateState::Met, format!("{deed} by {name}"), why, String::new())
        }
        Found::Nothing => {
            let why = format!("{repository} held no {noun} of it at {}.", at.exact());
            (GateState::Waiting, missing, why, opens)
        }
        Found::OfOthers(count) => {
            let found = plural(*count, &format!("other {each}"));
            let why = format!("There is {one}, but not with this key: {found}.");
            (GateState::Failed, differs, why, opens)
        }
        Found::OfAnotherDigest => {
            let why = format!("There is {one} by {name}, but of another image.");
            (GateState::Failed, differs, why, opens)
        }
        Found::Otherwise(says) => {
            let why = format!("It says that {}", sentence(says));
            (GateState::Failed, differs, why, opens)
        }
        Found::Refused(why) => {
            let why = format!("There is {one}, but it doesn't count: {}", sentence(why));
            (GateState::Failed, differs, why, opens)
        }
        Found::Unknown { why, passes } => {
            let state = if *passes { GateState::Waiting } else { GateState::Failed };
            let why = format!("It can't be said whether there is {one}: {}", sentence(why));
            let who = "The registry is asked again by itself.".to_owned();
            (state, format!("{missing} unknown"), why, who)
        }
    };
    (Gate::new(id, state, short, why, who), *again)
}

fn not_frozen(freeze: &Freeze, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let Freeze {
        name,
        // Read by the calendar.
        time_zone: _,
        when: _,
    } = freeze;
    let gate = |state, short: String, why: String, who: String| {
        Gate::new(GateId::of(GateKind::Freeze, name), state, short, why, who)
    };
    match (evidence.frozen)(freeze) {
        Ok(Frozen::Until(end)) => {
            let why = format!("Nothing new may run until {}.", end.exact());
            let who = "Opens automatically then.".to_owned();
            let shut = Gate {
                until: Some(end),
                ..gate(GateState::Waiting, format!("freeze {name}"), why, who)
            };
            (shut, Some(end))
        }
        Ok(Frozen::From(begins)) => {
            let why = match begins {
                Some(at) => format!("It begins at {}.", at.exact()),
                None => "It is over.".to_owned(),
            };
            (
                gate(GateState::Met, format!("no freeze {name}"), why, String::new()),
                begins,
            )
        }
        Err(why) => {
            let why = format!("It can't be said whether it is on: {why}");
            let who = "Somebody who may edit the policy must mend it.".to_owned();
            (
                gate(GateState::Failed, format!("freeze {name} unknown"), why, who),
                None,
            )
        }
    }
}

fn stopped(stop: &Stop) -> Gate {
    let Stop {
        of_project,
        by,
        reason,
        at,
    } = stop;
    let (name, short) = match of_project {
        true => ("project", "project paused"),
        false => ("", "paused"),
    };
    let why = format!("{} paused it at {}: {}", by.name(), at.exact(), sentence(reason));
    let id = GateId::of(GateKind::Stop, name);
    Gate {
        since: Some(*at),
        ..Gate::new(
            id,
            GateState::Waiting,
            short,
            why,
            "Anyone who can pause promotions can resume them.",
        )
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
