//! Every example of `docs/policies.md`: a policy, and a table of what is known and what Waybill says then.
//!
//! The words of the tables are defined at the beginning of that page. What can't be read here fails: a row that nobody runs is no
//! example.

use domain::{
    artifact::Digest,
    gate::{
        Approval, Approver, Check, CheckStatus, Evidence, Found, GateId, GateKind, HealthyRun, Override, Proof, Stop,
        evaluate,
    },
    id::UserId,
    name::Name,
    policy::{Freeze, Policy},
    promotion::{Actor, Purpose},
    rights::Role,
    time::Timestamp,
};
use server::{
    calendar,
    service::{
        configure::{Document, SecretRef},
        gates,
    },
};
use uuid::Uuid;

const PAGE: &str = include_str!("../../../docs/policies.md");

/// What a table of examples begins with.
const HEAD: [&str; 2] = ["| known | it says |", "|---|---|"];

const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

const OWN: &str = "production";

/// Who asks unless a row says otherwise.
const ASKS: &str = "who-asked";

const NOW: &str = "2026-11-18 12:00 UTC";

const HOUR: i64 = 3_600_000;

const MINUTE: i64 = 60_000;

/// A policy of the page, with its table.
struct Example {
    section: String,
    line: usize,
    policy: String,
    /// Line, what is known, what it says.
    rows: Vec<(usize, String, String)>,
}

#[test]
fn every_example_of_the_page_is_true() {
    let (sections, examples) = examples(PAGE);
    let mut wrong = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    for example in &examples {
        let policy = read(&example.policy).unwrap_or_else(|why| panic!("line {}: {why}", example.line));
        for (line, known, says) in &example.rows {
            let known = Known::read(known, &policy).unwrap_or_else(|why| panic!("line {line}: {why}"));
            let said = known.decide(&policy);
            if said != *says {
                wrong.push(format!("line {line}: the page says {says:?}, Waybill says {said:?}"));
            }
            run.push(&example.section);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for section in &sections {
        assert!(run.contains(&section.as_str()), "no row was run of {section:?}");
    }
    assert!(
        sections.len() >= 8 && run.len() >= 20,
        "{sections:?}: {} rows",
        run.len()
    );
}

#[test]
fn what_cannot_be_read_is_no_example() {
    let policy = read("approvals: { count: 1 }").unwrap();
    for known in [
        "",
        "carol approves",
        "carol (boss) approves",
        "carol (approver) shrugs",
        "nothing, nothing at all",
        "integration passed 3 days ago",
        "at noon",
        "ada (admin) overrides everything",
        "healthy in ghost for 3 min",
        "signed by release",
        "vouched for by other",
    ] {
        assert!(Known::read(known, &policy).is_err(), "{known:?}");
    }
    for text in ["approvers: 2", "ranIn: [{ environment: ghost }]", "workspace: demo"] {
        assert!(read(text).is_err(), "{text:?}");
    }
    for text in ["approvals: { count: many }", "approvals: { count: -1 }"] {
        let refused = read(text).unwrap_err();
        assert!(refused.contains("must be a whole number"), "{refused}");
    }
}

/// The sections of a page, and its examples.
fn examples(page: &str) -> (Vec<String>, Vec<Example>) {
    let lines: Vec<&str> = page.lines().collect();
    let (mut sections, mut examples): (Vec<String>, Vec<Example>) = (Vec::new(), Vec::new());
    let (mut at, mut tables) = (0, 0);
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(title.to_owned());
        }
        tables += usize::from(line == HEAD[0]);
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let from = at;
        let length = lines[from..].iter().position(|line| *line == "```");
        let to = from + length.unwrap_or_else(|| panic!("line {from}: this block has no end"));
        at = to + 1;
        if language != "yaml" {
            continue;
        }
        let table = at + lines[at..].iter().take_while(|line| line.is_empty()).count();
        let follows = lines.get(table..table + 2) == Some(&HEAD[..]);
        assert!(follows, "line {}: after a policy comes the table {HEAD:?}", table + 1);
        let rows: Vec<_> = (lines[table + 2..].iter().enumerate())
            .take_while(|(_, line)| line.starts_with('|'))
            .map(|(i, line)| {
                let number = table + 3 + i;
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                match cells[..] {
                    [known, says] => (number, known.to_owned(), says.to_owned()),
                    _ => panic!("line {number}: a row has two cells"),
                }
            })
            .collect();
        assert!(!rows.is_empty(), "line {}: the table is empty", table + 1);
        examples.push(Example {
            section: sections.last().cloned().expect("an example stands in a section"),
            line: from,
            policy: lines[from..to].join("\n"),
            rows,
        });
    }
    assert_eq!(tables, examples.len(), "each table of examples follows a policy");
    (sections, examples)
}

/// Reads a policy as the page *Policy* does; of a whole file of `waybill apply`, the one of [`OWN`].
fn read(text: &str) -> Result<Policy, String> {
    let whole = text.starts_with("workspace:").then(|| {
        let file: Document<SecretRef> = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        let mut environments = file.projects.into_iter().flat_map(|project| project.environments);
        let own = environments.find(|environment| environment.name == OWN);
        let policy = own.and_then(|environment| environment.policy);
        serde_saphyr::to_string(&policy.ok_or("there is no policy in this file")?).map_err(|e| e.to_string())
    });
    let text = whole.transpose()?.unwrap_or_else(|| text.to_owned());
    let environments: Vec<Name> = ENVIRONMENTS.iter().map(|name| name.parse().unwrap()).collect();
    gates::read_policy(&text, &OWN.parse().unwrap(), &environments, &[]).map_err(|errors| errors.to_string())
}

/// What a row says is known.
struct Known {
    now: Timestamp,
    purpose: Purpose,
    requested_by: Actor,
    /// The tokens of the row, with who made each.
    makers: Vec<(String, UserId)>,
    approvals: Vec<Approval>,
    checks: Vec<Check>,
    runs: Vec<HealthyRun>,
    proofs: Vec<Proof>,
    stops: Vec<Stop>,
    overrides: Vec<Override>,
}

impl Known {
    fn read(row: &str, policy: &Policy) -> Result<Self, String> {
        let all = parts(row);
        let now = all.iter().find_map(|part| part.strip_prefix("at ")).unwrap_or(NOW);
        let mut known = Self {
            now: moment(now).ok_or_else(|| format!("{now:?} is no moment"))?,
            purpose: Purpose::Promote,
            requested_by: actor(&person(ASKS, Role::Developer, Vec::new())),
            makers: Vec::new(),
            approvals: Vec::new(),
            checks: Vec::new(),
            runs: Vec::new(),
            proofs: Vec::new(),
            stops: Vec::new(),
            overrides: Vec::new(),
        };
        for part in &all {
            let read = known.add(part, policy, all.len() == 1);
            read.ok_or_else(|| format!("{part:?} of {row:?} can't be read"))?;
        }
        Ok(known)
    }

    fn add(&mut self, part: &str, policy: &Policy, alone: bool) -> Option<()> {
        let now = self.now;
        match part {
            "nothing" => return alone.then_some(()),
            "a rollback" => self.purpose = Purpose::Rollback,
            "Waybill asked" => self.requested_by = Actor::Waybill,
            "who asked approves" => {
                let by = person(ASKS, Role::Approver, Vec::new());
                self.approvals.push(yes(by, 1, now));
            }
            "paused" => self.stops.push(Stop {
                of_project: false,
                by: Actor::Waybill,
                reason: "The database is being moved".into(),
                at: now.plus_millis(-5 * MINUTE),
            }),
            _ => return self.add_other(part, policy),
        }
        Some(())
    }

    fn add_other(&mut self, part: &str, policy: &Policy) -> Option<()> {
        let now = self.now;
        if part.starts_with("at ") {
            // It was read before all others, which count from it.
            return Some(());
        }
        if let Some(rest) = part.strip_prefix("a token of ") {
            let name = "deploy".to_owned();
            self.makers.push((name.clone(), id(rest.strip_suffix(" asked")?)));
            // Somebody else's stands beside it.
            self.makers.push(("other".into(), id("somebody")));
            self.requested_by = Actor::Token { name };
            return Some(());
        }
        if let Some(found) = found(part) {
            return self.was_asked(part, found, policy);
        }
        let (was, rest) = match part.strip_prefix("was ") {
            Some(rest) => (true, rest),
            None => (false, part),
        };
        if let Some(rest) = part.strip_prefix("replaced in ") {
            // By a newer image.
            let (when, span) = rest.split_once(" after ")?;
            let (environment, ago) = when.strip_suffix(" ago")?.split_once(' ')?;
            let until = now.plus_millis(-millis(ago)?);
            self.runs.push(HealthyRun {
                environment: environment.parse().ok()?,
                since: until.plus_millis(-millis(span)?),
                until: Some(until),
                replaced: true,
            });
            return Some(());
        }
        if let Some(rest) = rest.strip_prefix("healthy in ") {
            let (environment, span) = rest.split_once(" for ")?;
            let span = millis(span)?;
            // Runs that are over ended an hour ago.
            let until = was.then(|| now.plus_millis(-HOUR));
            self.runs.push(HealthyRun {
                environment: ENVIRONMENTS
                    .contains(&environment)
                    .then(|| environment.parse().ok())??,
                since: until.unwrap_or(now).plus_millis(-span),
                until,
                replaced: false,
            });
            return Some(());
        }
        if let Some((who, deed)) = part.split_once(')') {
            let (name, rest) = who.split_once(" (")?;
            let mut rights = rest.split(", ");
            let role = rights.next()?.parse().ok()?;
            let by = person(
                name,
                role,
                rights.map(|group| group.parse().ok()).collect::<Option<_>>()?,
            );
            match deed.trim() {
                "approves" => self.approvals.push(yes(by, 1, now)),
                "approves another digest" => self.approvals.push(yes(by, 2, now)),
                other => {
                    let gate = gate(other.strip_prefix("overrides ")?)?;
                    // Nothing is written down of who may not.
                    if policy.may_override(gate.kind, &by) {
                        self.overrides.push(Override {
                            gate,
                            by: actor(&by),
                            reason: "Security fix".into(),
                            at: now,
                            until: None,
                        });
                    }
                }
            }
            return Some(());
        }
        let (rest, of) = match part.strip_suffix(" on another digest") {
            Some(rest) => (rest, 2),
            None => (part, 1),
        };
        let (name, rest) = rest.split_once(' ')?;
        let (status, ago) = match rest.split_once(' ') {
            Some((status, ago)) => (status, millis(ago.strip_suffix(" ago")?)?),
            None => (rest, 0),
        };
        self.checks.push(Check {
            digest: digest(of),
            name: name.to_owned(),
            status: match status {
                "passed" => CheckStatus::Passed,
                "failed" => CheckStatus::Failed,
                "runs" => CheckStatus::Pending,
                _ => return None,
            },
            summary: None,
            url: None,
            at: now.plus_millis(-ago),
            reported_by: Actor::Token { name: "ci".into() },
        });
        Some(())
    }

    /// What the registry holds, in the words of the row: of the key that they name, or of all that the policy names.
    fn was_asked(&mut self, part: &str, found: Found, policy: &Policy) -> Option<()> {
        let (kind, named) = match part.split_once("ed by ") {
            Some(("sign", "others")) => (Some(GateKind::Signature), None),
            Some(("sign", name)) => (Some(GateKind::Signature), Some(name)),
            _ => {
                let kinds = [
                    ("built by ", GateKind::Provenance),
                    ("vouched for by ", GateKind::Summary),
                ];
                let said = kinds
                    .iter()
                    .find_map(|(says, kind)| Some((kind, part.strip_prefix(says)?)));
                match said {
                    Some((kind, "somebody else")) => (Some(*kind), None),
                    Some((kind, name)) => (Some(*kind), Some(name)),
                    None => (None, None),
                }
            }
        };
        let named = named.map(|rest| rest.strip_suffix(" on another digest").unwrap_or(rest));
        let signatures = policy
            .signatures
            .iter()
            .map(|one| GateId::of(GateKind::Signature, &one.name));
        let builds = policy
            .provenance
            .iter()
            .map(|one| GateId::of(GateKind::Provenance, &one.name));
        let verifiers = policy
            .summaries
            .iter()
            .map(|one| GateId::of(GateKind::Summary, &one.name));
        let gates: Vec<GateId> = (signatures.chain(builds).chain(verifiers))
            .filter(|gate| kind.is_none_or(|kind| gate.kind == kind) && named.is_none_or(|named| gate.name == named))
            .collect();
        let is_one = !gates.is_empty();
        for gate in gates {
            self.proofs.retain(|proof| proof.gate != gate);
            self.proofs.push(Proof {
                gate,
                found: found.clone(),
                repository: "registry.example.com/myapp/api".parse().unwrap(),
                at: self.now,
                again: Some(self.now.plus_millis(MINUTE)),
            });
        }
        is_one.then_some(())
    }

    /// What Waybill says.
    fn decide(&self, policy: &Policy) -> String {
        let frozen = |freeze: &Freeze| calendar::frozen(freeze, self.now);
        let decision = evaluate(
            policy,
            &Evidence {
                now: self.now,
                digest: &digest(1),
                purpose: self.purpose,
                requester: self.requested_by.person_behind(&self.makers),
                approvals: &self.approvals,
                checks: &self.checks,
                runs: &self.runs,
                proofs: &self.proofs,
                stops: &self.stops,
                overrides: &self.overrides,
                frozen: &frozen,
            },
        );
        decision.waits_for().unwrap_or_else(|| "goes on".to_owned())
    }
}

/// The parts of a row: commas in parentheses part nothing.
fn parts(row: &str) -> Vec<&str> {
    let mut depth = 0;
    let between = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    row.split(between).map(str::trim).collect()
}

/// `2026-11-18 12:00 UTC`.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(" UTC")?.replace(' ', "T");
    let at: jiff::Timestamp = format!("{text}:00Z").parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// `3 h`, `10 min`.
fn millis(span: &str) -> Option<i64> {
    let (count, unit) = span.split_once(' ')?;
    let unit = match unit {
        "h" => HOUR,
        "min" => MINUTE,
        "s" => 1_000,
        _ => return None,
    };
    Some(count.parse::<i64>().ok()? * unit)
}

/// What the words of a row say that a registry holds.
fn found(part: &str) -> Option<Found> {
    Some(match part {
        "no signatures" => Found::Nothing,
        "signed by others" => Found::OfOthers(1),
        "the registry is silent" => Found::Unknown {
            why: "It is down.".into(),
            passes: true,
        },
        "built by somebody else" => Found::Otherwise("somebody else built it".into()),
        "vouched for by somebody else" => Found::Otherwise("https://waybill.example.org vouches for it".into()),
        part if part.starts_with("built by ") || part.starts_with("vouched for by ") => Found::Valid,
        part if !part.starts_with("signed by ") => return None,
        part if part.ends_with(" on another digest") => Found::OfAnotherDigest,
        _ => Found::Valid,
    })
}

/// `stop`, `freeze weekend`.
fn gate(text: &str) -> Option<GateId> {
    let id: GateId = text.replacen(' ', ":", 1).parse().ok()?;
    let has_no_name = matches!(id.kind, GateKind::Approvals | GateKind::Stop);
    (id.name.is_empty() == has_no_name).then_some(id)
}

fn digest(n: u8) -> Digest {
    format!("sha256:{}", format!("{n:02x}").repeat(32)).parse().unwrap()
}

/// The same person for the same name.
fn id(name: &str) -> UserId {
    let bytes = name.bytes().take(16);
    UserId(Uuid::from_u128(bytes.fold(0, |n, byte| n << 8 | u128::from(byte))))
}

fn person(name: &str, role: Role, groups: Vec<Name>) -> Approver {
    Approver {
        id: id(name),
        name: name.to_owned(),
        email: format!("{name}@example.com"),
        role,
        groups,
    }
}

fn actor(by: &Approver) -> Actor {
    Actor::Person {
        id: by.id,
        name: by.name.clone(),
        email: by.email.clone(),
    }
}

fn yes(by: Approver, of: u8, at: Timestamp) -> Approval {
    Approval {
        by,
        digest: digest(of),
        approves: true,
        comment: None,
        at,
    }
}
