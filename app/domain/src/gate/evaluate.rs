//! The rules: one function for each kind of gate.
//!
//! Pure: the same evidence at the same moment gives the same decision. It fails closed: what can't be evaluated blocks, and says so.

use super::{
    Approval, CheckStatus, Decision, Evidence, Found, Frozen, Gate, GateId, GateKind, GateState, HealthyRun, Override,
    Stop, evidence::listed,
};
use crate::{
    plan::STABLE_MILLIS,
    policy::{Approvals, Freeze, Policy, RanIn, RequiredCheck},
    promotion::Purpose,
    succession::Opens,
    time::Timestamp,
};

/// After how long it is looked whether a registry was asked that should be asked at once: only if who does it was cut off.
const ASKED_WITHIN_MILLIS: i64 = 5_000;

/// Evaluates all gates.
#[must_use]
pub fn evaluate(policy: &Policy, evidence: &Evidence<'_>) -> Decision {
    // Each part by name: a new one doesn't compile until it has a gate here, or has said why it needs none.
    let Policy {
        approvals,
        checks,
        ran_in: runs,
        signatures,
        provenance,
        freezes,
        // Asked for each gate, by `who_overrides` and `applies`.
        overrides: _,
        on_rollback: _,
        on_failure: _,
        sync: _,
    } = policy;
    let applies = |kind: GateKind| evidence.purpose != Purpose::Rollback || policy.holds_rollbacks(kind);
    let mut decision = Decision::default();
    let mut when = Opens::Now;
    let mut add = |mut gate: Gate, again: Option<Timestamp>| {
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
    for (kind, name) in keys.chain(builds).filter(|(kind, _)| applies(*kind)) {
        let (gate, again) = proven(kind, name, evidence);
        add(gate, again);
    }
    for freeze in freezes.iter().filter(|_| applies(GateKind::Freeze)) {
        let (gate, again) = not_frozen(freeze, evidence);
        add(gate, again);
    }
    for stop in evidence.stops.iter().filter(|_| applies(GateKind::Stop)) {
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
    match (gate.id.kind, gate.state, again) {
        (GateKind::RanIn | GateKind::Freeze, GateState::Waiting, Some(at)) => Opens::At(at),
        _ => Opens::Unknown,
    }
}

/// Who may let a promotion through a gate of this kind, a sentence; `None` when nobody may.
#[must_use]
pub fn who_overrides(policy: &Policy, kind: GateKind) -> Option<String> {
    let named = policy.overrides.iter().filter(|right| right.gates.contains(&kind));
    let mut named: Vec<String> = named.flat_map(|right| &right.by).map(ToString::to_string).collect();
    named.sort();
    named.dedup();
    (!named.is_empty()).then(|| format!("{} can override it.", capital(&listed(&named, "and"))))
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
        return Gate::new(id, GateState::Met, "approved", by.trim_start(), "");
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
    Gate::new(id, GateState::Waiting, short, why, who)
}

fn checked(required: &RequiredCheck, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let name = &required.name;
    let newest = (evidence.checks.iter())
        .filter(|check| check.name == *name && check.digest == *evidence.digest)
        .max_by_key(|check| check.at);
    let gate = |state, short: String, why: String, who: &str| Gate {
        url: newest.and_then(|check| check.url.clone()),
        since: newest.map(|check| check.at),
        ..Gate::new(GateId::of(GateKind::Check, name), state, short, why, who)
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
    // Argo CD calls an Application healthy for a moment before a rollout begins; that proves nothing of the new image.
    let soak = soak.max(STABLE_MILLIS);
    let here = evidence.runs.iter().filter(|run| run.environment == *name);
    let goes_on = |run: &HealthyRun, until: Timestamp| {
        required.continues_when_replaced && run.replaced && until.millis_since(run.since) >= STABLE_MILLIS
    };
    let until = |run: &HealthyRun| run.until.filter(|until| !goes_on(run, *until));
    let span = |run: &HealthyRun| until(run).unwrap_or(evidence.now).millis_since(run.since);
    let longest = here.clone().map(span).max();
    let gate = |state, short: String, why: String, who: String| {
        Gate::new(GateId::of(GateKind::RanIn, name.as_str()), state, short, why, who)
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
    let soaks = if required.soak_minutes > 0 {
        format!(" for {} min", required.soak_minutes)
    } else {
        String::new()
    };
    match here.filter(|run| until(run).is_none()).min_by_key(|run| run.since) {
        Some(run) => {
            let (since, again) = (run.since, run.since.plus_millis(soak));
            let why = match (required.soak_minutes, run.until) {
                (0, None) => format!("Healthy there since {}; it must be so for some seconds.", since.exact()),
                (_, None) => format!("Healthy there since {}; it must be so{soaks}.", since.exact()),
                (_, Some(replaced)) => format!(
                    "Healthy there from {} until a newer image took its place at {}; it still counts towards the {} min.",
                    since.exact(),
                    replaced.exact(),
                    required.soak_minutes
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

/// Whether a registry holds what proves something about the digest: a signature, or provenance.
fn proven(kind: GateKind, name: &str, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let id = GateId::of(kind, name);
    let proof = evidence.proofs.iter().find(|proof| proof.gate == id);
    let (what, one, valid, many, deed) = match kind {
        GateKind::Provenance => ("provenance", "provenance", "valid provenance", "attestation", "built"),
        _ => ("signature", "a signature", "a valid signature", "signature", "signed"),
    };
    let missing = format!("{what} {name}");
    let differs = format!("not {deed} by {name}");
    let signs = || match kind {
        GateKind::Provenance => format!("Opens once {name} attests that it built this digest."),
        _ => format!("Opens once this digest is signed with the key {name}."),
    };
    let (state, short, why, who) = match proof.map(|proof| (proof, &proof.found)) {
        None => {
            let why = "The registry has not been asked yet.".to_owned();
            (GateState::Waiting, missing, why, "It is asked now.".to_owned())
        }
        Some((proof, Found::Valid)) => {
            let why = format!("{} held {valid} at {}.", proof.repository, proof.at.exact());
            (GateState::Met, format!("{deed} by {name}"), why, String::new())
        }
        Some((proof, Found::Nothing)) => {
            let why = format!("{} held no {what} of it at {}.", proof.repository, proof.at.exact());
            (GateState::Waiting, missing, why, signs())
        }
        Some((_, Found::OfOthers(count))) => {
            let found = plural(*count, &format!("other {many}"));
            let why = format!("There is {one}, but not with this key: {found}.");
            (GateState::Failed, differs, why, signs())
        }
        Some((_, Found::OfAnotherDigest)) => {
            let why = format!("There is {one} with this key, but of another image.");
            (GateState::Failed, differs, why, signs())
        }
        Some((_, Found::Otherwise(says))) => (
            GateState::Failed,
            differs,
            format!("It says that {}", sentence(says)),
            signs(),
        ),
        Some((_, Found::Unknown { why, passes })) => {
            let state = if *passes { GateState::Waiting } else { GateState::Failed };
            let why = format!("It can't be said whether there is {one}: {}", sentence(why));
            let who = "The registry is asked again by itself.".to_owned();
            (state, format!("{missing} unknown"), why, who)
        }
    };
    let again = match proof {
        Some(proof) => proof.again,
        None => Some(evidence.now.plus_millis(ASKED_WITHIN_MILLIS)),
    };
    (Gate::new(id, state, short, why, who), again)
}

fn not_frozen(freeze: &Freeze, evidence: &Evidence<'_>) -> (Gate, Option<Timestamp>) {
    let gate = |state, short: String, why: String, who: String| {
        Gate::new(GateId::of(GateKind::Freeze, &freeze.name), state, short, why, who)
    };
    match (evidence.frozen)(freeze) {
        Ok(Frozen::Until(end)) => {
            let why = format!("Nothing new may run until {}.", end.exact());
            let who = "Opens automatically then.".to_owned();
            let shut = Gate {
                until: Some(end),
                ..gate(GateState::Waiting, format!("freeze {}", freeze.name), why, who)
            };
            (shut, Some(end))
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
    let (name, short) = match stop.of_project {
        true => ("project", "the project is stopped"),
        false => ("", "the line is stopped"),
    };
    let (by, at, reason) = (stop.by.name(), stop.at.exact(), sentence(&stop.reason));
    let why = format!("{by} stopped it at {at}: {reason}");
    let id = GateId::of(GateKind::Stop, name);
    Gate {
        since: Some(stop.at),
        ..Gate::new(
            id,
            GateState::Waiting,
            short,
            why,
            "Anyone who may stop the line can let it go on.",
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
