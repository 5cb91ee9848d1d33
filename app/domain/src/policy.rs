//! What an environment asks for before an image may run in it: data that people edit, and the rules for it.
//!
//! Whether it is met for one promotion is said by [`crate::gate`].

mod attestation;
mod keyless;
mod summary;
#[cfg(test)]
mod tests;
mod times;

pub use attestation::Attestation;
pub use keyless::Keyless;
pub use summary::RequiredSummary;
pub use times::{DateTime, WeekTime};

use crate::{field::FieldErrors, gate::GateKind, name::Name, rights::Role};
use keyless::check_signer;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Approvals that may be asked for, at most.
const MOST_APPROVALS: u32 = 20;
/// Keys of a kind that may be asked for, at most: each is looked for at the registry.
const MOST_KEYS: usize = 10;
/// Characters of a name that people give, at most.
const LONGEST_NAME: usize = 100;
/// Bytes of an address, at most.
const LONGEST_ADDRESS: usize = 500;

/// The gates of an environment; the empty policy asks for nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Policy {
    /// Who must approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// Checks that must have passed on the digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<RequiredCheck>,
    /// Environments where the digest must have been healthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ran_in: Vec<RanIn>,
    /// Who must have signed the digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<RequiredSignature>,
    /// Builds that the digest must come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<RequiredProvenance>,
    /// Verifiers elsewhere that must vouch for the digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub summaries: Vec<RequiredSummary>,
    /// When nothing new may run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// Who may override what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideRight>,
    /// The gates that a rollback passes, too; left out: [`GateKind::holds_rollbacks`]. None at all is an empty list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_rollback: Option<Vec<GateKind>>,
    /// What becomes of a promotion that fails after its commit.
    #[serde(skip_serializing_if = "OnFailure::is_stop")]
    pub on_failure: OnFailure,
    /// How much of an Application is synced that does not sync by itself.
    #[serde(skip_serializing_if = "SyncScope::is_application")]
    pub sync: SyncScope,
    /// Whether a signed statement of what passed is written before the commit; left out: [`Self::attests`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// How much of an Application is synced that does not sync by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncScope {
    /// The whole of it, whatever else lies unsynced in Git.
    #[default]
    Application,
    /// The service's own workloads alone, where Argo CD says which they are.
    Service,
}

impl SyncScope {
    /// Whether it is what holds without a word.
    fn is_application(&self) -> bool {
        *self == Self::Application
    }
}

/// What becomes of a promotion that fails after its commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// It stays in Git, and a person says what is next.
    #[default]
    Stop,
    /// What was healthy here last is committed again, once, and held.
    TakeBack,
}

impl OnFailure {
    /// Whether it is what holds without a word.
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

/// Approvals of people, bound to the digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Approvals {
    /// How many, from 1 to 20.
    pub count: u32,
    /// Whose count; left out: those of approvers and administrators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Who>,
    /// A group that one of them must be in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_group: Option<Name>,
    /// Whether the approval of who asked counts.
    #[serde(default)]
    pub self_approval: bool,
}

/// Somebody, by e-mail address, group or role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Who {
    /// The person with this e-mail address.
    User(String),
    /// Members of a group.
    Group(Name),
    /// Those whose role includes this one.
    Role(Role),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(email) => f.write_str(email),
            Self::Group(group) => write!(f, "members of group {group}"),
            Self::Role(Role::Admin) => f.write_str("administrators"),
            Self::Role(role) => write!(f, "{role}s"),
        }
    }
}

/// A check that must have passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequiredCheck {
    /// Its name, as it is reported. 1 to 100 characters.
    pub name: String,
    /// How old its result may be; left out: any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_hours: Option<u32>,
}

/// An environment where the digest must have been healthy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RanIn {
    /// Which, of the same project.
    pub environment: Name,
    /// For how long without a break, at least.
    #[serde(default)]
    pub soak_minutes: u32,
    /// Whether the time goes on counting when a newer image took the place of one that was healthy, for places that get new images more
    /// often than a soak lasts. It ends when the environment goes back to something older.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues_when_replaced: bool,
}

/// Who must have signed the digest: whoever has a key, or has an identity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequiredSignature {
    /// What the signer is called: `release`. 1 to 100 characters, once among the signatures.
    pub name: String,
    /// The public key, PEM. Either this or [`Self::keyless`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The identity that signed without a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<Keyless>,
}

/// A build that the digest must come from, as whoever has a key attests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequiredProvenance {
    /// What the build is called: `ci`. 1 to 100 characters, once among the builds.
    pub name: String,
    /// The public key of who attests, PEM. Either this or [`Self::keyless`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The identity that attests without a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<Keyless>,
    /// Who must have built it, as it calls itself: an address, with or without its version.
    pub builder: String,
    /// The repository that it must be built from, an address.
    pub repository: String,
}

/// When nothing new may run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Freeze {
    /// What it is called: `weekend`. 1 to 100 characters, once among the freezes.
    pub name: String,
    /// The IANA time zone of its times: `Europe/Berlin`.
    pub time_zone: String,
    /// By the clock on the wall of that time zone.
    pub when: When,
}

/// When a freeze begins and ends, in its time zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum When {
    /// Every week: from `friday 17:00` to `monday 09:00`.
    Weekly {
        /// Its beginning.
        from: WeekTime,
        /// Its end.
        to: WeekTime,
    },
    /// Once: from `2026-12-24 18:00` to `2027-01-02 09:00`.
    Dates {
        /// Its beginning.
        from: DateTime,
        /// Its end.
        to: DateTime,
    },
}

/// Who may override a gate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OverrideRight {
    /// The kinds of gates; at least one.
    pub gates: Vec<GateKind>,
    /// Whoever is one of these; at least one.
    pub by: Vec<Who>,
}

impl Policy {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Named one by one, here and in the functions below: a new part doesn't compile until each of them has said what it means.
        let Self {
            approvals,
            checks,
            ran_in,
            signatures,
            provenance,
            summaries,
            freezes,
            // Who may open a gate, which of them a rollback passes, what comes of a failure, what is synced and what is signed: no
            // gates themselves.
            overrides: _,
            on_rollback: _,
            on_failure: _,
            sync: _,
            attestation: _,
        } = self;
        approvals.is_none()
            && checks.is_empty()
            && ran_in.is_empty()
            && signatures.is_empty()
            && provenance.is_empty()
            && summaries.is_empty()
            && freezes.is_empty()
    }

    /// Whether a rollback passes gates of this kind.
    #[must_use]
    pub fn holds_rollbacks(&self, kind: GateKind) -> bool {
        match &self.on_rollback {
            Some(kinds) => kinds.contains(&kind),
            None => kind.holds_rollbacks(),
        }
    }

    /// What it asks for, a sentence each.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let Self {
            approvals,
            checks,
            ran_in,
            signatures,
            provenance,
            summaries,
            freezes,
            // Told with each gate, where it matters.
            overrides: _,
            on_rollback: _,
            on_failure,
            sync,
            // Told by itself, below.
            attestation: _,
        } = self;
        let mut words = Vec::new();
        if let Some(approvals) = approvals {
            let Approvals {
                count,
                required_group,
                // Part of `Approvals::words`, and shown with the gate.
                by: _,
                self_approval: _,
            } = approvals;
            let count = match count {
                1 => "1 approval".to_owned(),
                n => format!("{n} approvals"),
            };
            let group = match required_group {
                Some(group) => format!(", one of them of group {group}"),
                None => String::new(),
            };
            words.push(format!("{count} by {}{group}.", approvals.words()));
        }
        let check = |RequiredCheck { name, max_age_hours }: &RequiredCheck| match max_age_hours {
            Some(hours) => format!("Check {name} passed, at most {hours} h ago."),
            None => format!("Check {name} passed."),
        };
        words.extend(checks.iter().map(check));
        words.extend(ran_in.iter().map(|ran| {
            let RanIn {
                environment,
                soak_minutes,
                continues_when_replaced,
            } = ran;
            match (soak_minutes, continues_when_replaced) {
                (0, _) => format!("Healthy in {environment} before."),
                (minutes, true) => {
                    format!("Healthy in {environment} for {minutes} min; a newer image doesn't stop the clock.")
                }
                (minutes, false) => format!("Healthy in {environment} for {minutes} min."),
            }
        }));
        let signed = |RequiredSignature { name, key: _, keyless }: &RequiredSignature| match keyless {
            Some(keyless) => format!("Signed by {name}: {}, known to {}.", keyless.who(), keyless.issuer),
            None => format!("Signed by {name}."),
        };
        words.extend(signatures.iter().map(signed));
        words.extend(provenance.iter().map(|one| {
            let RequiredProvenance {
                name,
                key: _,
                keyless: _,
                builder,
                repository,
            } = one;
            format!("Built by {builder} from {repository}, as {name} attests.")
        }));
        words.extend(summaries.iter().map(RequiredSummary::words));
        words.extend(freezes.iter().map(|freeze| {
            let Freeze { name, time_zone, when } = freeze;
            let (from, to) = match when {
                When::Weekly { from, to } => (from.to_string(), to.to_string()),
                When::Dates { from, to } => (from.to_string(), to.to_string()),
            };
            format!("Not from {from} to {to}, {time_zone} ({name}).")
        }));
        match on_failure {
            OnFailure::TakeBack => words.push("Taken back once when the rollout fails.".into()),
            OnFailure::Stop => {}
        }
        match sync {
            SyncScope::Service => {
                words.push("Syncs only the service's own workloads, where Argo CD doesn't sync by itself.".into());
            }
            SyncScope::Application => {}
        }
        words.extend(self.attestation_words().map(str::to_owned));
        words
    }

    /// What is wrong with it, by field below `at`, for the environment `own` of a project with these environments. Time zones and
    /// dates are checked where the calendar is, keys where signatures are.
    pub fn check(&self, at: &str, own: &Name, environments: &[Name], errors: &mut FieldErrors) {
        let Self {
            approvals,
            checks,
            ran_in,
            signatures,
            provenance,
            summaries,
            freezes,
            overrides,
            // Kinds of gates, whatever they are, and none at all: nothing to be wrong. Nor with one of a few words.
            on_rollback: _,
            on_failure: _,
            sync: _,
            attestation: _,
        } = self;
        if let Some(approvals) = approvals {
            let Approvals {
                count,
                by,
                // Every group and both answers are valid.
                required_group: _,
                self_approval: _,
            } = approvals;
            if !(1..=MOST_APPROVALS).contains(count) {
                errors.add(
                    format!("{at}.approvals.count"),
                    format!("Ask for 1 to {MOST_APPROVALS} approvals; leave approvals out for none."),
                );
            }
            who(by, &format!("{at}.approvals.by"), errors);
        }
        let names = checks.iter().map(|check| check.name.as_str());
        named(&format!("{at}.checks"), "check", names, errors);
        for (i, RequiredCheck { name: _, max_age_hours }) in checks.iter().enumerate() {
            if *max_age_hours == Some(0) {
                errors.add(
                    format!("{at}.checks[{i}].maxAgeHours"),
                    "Give at least 1 hour, or leave it out for any age.",
                );
            }
        }
        for (i, ran) in ran_in.iter().enumerate() {
            let RanIn {
                environment,
                // Every duration and both answers are valid.
                soak_minutes: _,
                continues_when_replaced: _,
            } = ran;
            let field = format!("{at}.ranIn[{i}].environment");
            if environment == own {
                errors.add(field, format!("{own} can't wait for itself. Name another environment."));
            } else if !environments.contains(environment) {
                errors.add(field, format!("The project has no environment {environment}."));
            } else if ran_in[..i].iter().any(|other| other.environment == *environment) {
                errors.add(field, format!("{environment} is named twice. Name it once."));
            }
        }
        let names = signatures.iter();
        let names = names.map(|one| one.name.as_str());
        named(&format!("{at}.signatures"), "signer", names, errors);
        let names = provenance.iter().map(|one| one.name.as_str());
        named(&format!("{at}.provenance"), "build", names, errors);
        let names = summaries.iter().map(|one| one.name.as_str());
        named(&format!("{at}.summaries"), "verifier", names, errors);
        for (field, count) in [
            ("signatures", signatures.len()),
            ("provenance", provenance.len()),
            ("summaries", summaries.len()),
        ] {
            if count > MOST_KEYS {
                errors.add(format!("{at}.{field}"), format!("Ask for at most {MOST_KEYS}."));
            }
        }
        for (i, RequiredSignature { name: _, key, keyless }) in signatures.iter().enumerate() {
            check_signer(
                key.as_deref(),
                keyless.as_ref(),
                &format!("{at}.signatures[{i}]"),
                errors,
            );
        }
        for (i, one) in provenance.iter().enumerate() {
            let RequiredProvenance {
                name: _,
                key,
                keyless,
                builder,
                repository,
            } = one;
            check_signer(
                key.as_deref(),
                keyless.as_ref(),
                &format!("{at}.provenance[{i}]"),
                errors,
            );
            for (field, text) in [("builder", builder), ("repository", repository)] {
                let fits = text.contains("://") && text.len() <= LONGEST_ADDRESS && !text.contains(char::is_whitespace);
                if !fits {
                    let why = "Give the address that the provenance names, from https:// on.";
                    errors.add(format!("{at}.provenance[{i}].{field}"), why);
                }
            }
        }
        for (i, one) in summaries.iter().enumerate() {
            one.check(&format!("{at}.summaries[{i}]"), errors);
        }
        let names = freezes.iter().map(|freeze| freeze.name.as_str());
        named(&format!("{at}.freezes"), "freeze", names, errors);
        for (i, freeze) in freezes.iter().enumerate() {
            let Freeze {
                name: _,
                time_zone: _,
                when,
            } = freeze;
            let is_empty = match when {
                When::Weekly { from, to } => from == to,
                When::Dates { from, to } => from >= to,
            };
            if is_empty {
                errors.add(format!("{at}.freezes[{i}].when"), "It must end after it begins.");
            }
        }
        for (i, OverrideRight { gates, by }) in overrides.iter().enumerate() {
            let at = format!("{at}.overrides[{i}]");
            if gates.is_empty() {
                errors.add(format!("{at}.gates"), "Name at least one gate.");
            }
            if by.is_empty() {
                errors.add(format!("{at}.by"), "Name at least one person, group or role.");
            }
            who(by, &format!("{at}.by"), errors);
        }
    }
}

fn who(all: &[Who], at: &str, errors: &mut FieldErrors) {
    for (i, who) in all.iter().enumerate() {
        if let Who::User(email) = who
            && !email.contains('@')
        {
            errors.add(format!("{at}[{i}].user"), "Give the person's e-mail address.");
        }
    }
}

fn named<'a>(at: &str, what: &str, names: impl Iterator<Item = &'a str>, errors: &mut FieldErrors) {
    let mut seen: Vec<&str> = Vec::new();
    for (i, name) in names.enumerate() {
        let field = format!("{at}[{i}].name");
        if let Err(why) = check_name(name) {
            errors.add(field, why);
        } else if seen.contains(&name) {
            errors.add(
                field,
                format!("Another {what} is called {name} already. Choose another name."),
            );
        }
        seen.push(name);
    }
}

/// Whether a check, a key, a build, a verifier or a freeze may be called so.
///
/// # Errors
/// Why not, a sentence.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !fits || name.trim() != name || name.chars().any(char::is_control) {
        return Err("Give a name of 1 to 100 characters, without spaces around it or line breaks.");
    }
    Ok(())
}
