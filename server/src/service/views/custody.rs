//! The life of an image: where it comes from, what vouches for it, and where it went. All of it is in the database: the page waits for
//! nobody, and equal state gives equal bytes.

use crate::{
    service::{
        context::{Services, internal},
        gates,
        reach::{self, Caller, ProjectPlace, not_found},
    },
    signature::sought,
    store::{Asked, CopyRecord, TagMove, Tx},
};
use contract::{
    custody::{AdoptionShown, CheckShown, CopyShown, Custody, Evidence, Held, SCHEMA, Stage, TagShown},
    error::AppError,
};
use domain::{
    artifact::{Artifact, Digest},
    custody::{Fact, FactKind, Level, conflicts, in_order},
    environment::Workspace,
    field::FieldErrors,
    gate::{Approval, Check, Found, Override},
    id::{EnvironmentId, ProjectId, ResourceId},
    name::Name,
    promotion::Promotion,
    rights::{self, Right},
    statement::StatementForm,
    time::Timestamp,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Promotions of one image that are told of, the newest.
const MOST_STAGES: usize = 200;

/// The life of an image, as far as the caller may see it: environments that are hidden from them are counted, not named.
///
/// # Errors
/// In the field `digest` when it is none; when there is no such workspace for the caller, or it knows no such image.
pub async fn custody(services: &Services, caller: &Caller, workspace: &str, digest: &str) -> Result<Custody, AppError> {
    let (workspace, digest) = asked_for(caller, workspace, digest)?;
    let mut tx = services.store.read().await?;
    let held = tx.held(workspace.id, &digest).await?;
    let mut promotions = tx
        .promotions_of_digest(
            workspace.id,
            &digest,
            i64::try_from(MOST_STAGES + 1).unwrap_or(i64::MAX),
        )
        .await?;
    if held.is_empty() && promotions.is_empty() {
        return Err(AppError::NotFound(format!(
            "No registry of {} was seen to hold {digest}.",
            workspace.name
        )));
    }
    let is_cut = promotions.len() > MOST_STAGES;
    promotions.truncate(MOST_STAGES);
    promotions.reverse();
    let projects = projects(&mut *tx, caller, workspace).await?;
    let known = tx.asked(workspace.id, &digest).await?;
    let (evidence, trusted) = evidence(&mut *tx, workspace, &projects, &known).await?;
    let origin = origin(&held, &known, &trusted);
    let checks = tx.checks(workspace.id, &digest).await?;
    let copies = tx.copies_of_digest(workspace.id, &digest).await?;
    let count = promotions.len();
    let mut journey = Vec::new();
    let mut names: HashMap<ResourceId, Name> = HashMap::new();
    for promotion in promotions {
        let Some(project) = projects.get(&promotion.project) else {
            continue;
        };
        let mut environments = project.environments.iter();
        let Some(environment) = environments.find(|e| e.id == promotion.environment && project.shows(e)) else {
            continue;
        };
        if let std::collections::hash_map::Entry::Vacant(vacant) = names.entry(promotion.resource)
            && let Some(resource) = tx.resource(promotion.resource).await?
        {
            vacant.insert(resource.name);
        }
        let Some(resource) = names.get(&promotion.resource) else {
            continue;
        };
        let at = (
            project.record.project.name.clone(),
            environment.name.clone(),
            resource.clone(),
        );
        journey.push((
            promotion.environment,
            promotion.created_at,
            stage(&mut *tx, promotion, at).await?,
        ));
    }
    let hidden = count - journey.len();
    for project in projects.values() {
        for run in tx.runs(project.record.project.id, &digest).await? {
            put_run(&mut journey, run.environment, run.since, run.until);
        }
    }
    let adoptions = adoptions(&mut *tx, workspace, &projects, &digest).await?;
    let tags = tx.tags_on(workspace.id, &digest).await?;
    drop(tx);
    Ok(Custody {
        schema: SCHEMA.into(),
        workspace: workspace.name.clone(),
        conflicts: conflicts(&origin),
        held: held.into_iter().map(held_shown).collect(),
        origin,
        evidence,
        checks: newest_checks(checks),
        journey: journey.into_iter().map(|(_, _, stage)| stage).collect(),
        adoptions,
        tags: tags.into_iter().filter_map(|tag| tag_shown(&projects, tag)).collect(),
        copies: copies.into_iter().map(copy_shown).collect(),
        hidden,
        is_cut,
        digest,
    })
}

/// What is exported of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportForm {
    /// Its life, as JSON.
    Whole,
    /// The signed statements that Waybill hung on it, oldest first: Sigstore bundles, one a line.
    Bundles,
    /// The same as DSSE envelopes, one a line.
    Envelopes,
}

/// The life of an image for others to keep.
///
/// # Errors
/// As [`custody`].
pub async fn export_custody(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    digest: &str,
    form: ExportForm,
) -> Result<String, AppError> {
    let shown = custody(services, caller, workspace, digest).await?;
    if form == ExportForm::Whole {
        return serde_json::to_string_pretty(&shown).map_err(|error| internal(&error));
    }
    let mut tx = services.store.read().await?;
    let mut lines = String::new();
    for stage in shown.journey {
        let Some(statement) = tx.statement(stage.promotion).await? else {
            continue;
        };
        if statement.written_at.is_none() {
            continue;
        }
        let layer = statement.layer;
        let line = match (form, statement.form) {
            (ExportForm::Bundles, StatementForm::Bundle) | (ExportForm::Envelopes, StatementForm::Attachment) => layer,
            // The older form has no bundle.
            (ExportForm::Whole, _) | (ExportForm::Bundles, StatementForm::Attachment) => continue,
            (ExportForm::Envelopes, StatementForm::Bundle) => {
                let bundle: Option<Value> = crate::nesting::json(layer.as_bytes()).ok();
                match bundle.as_ref().and_then(|bundle| bundle.get("dsseEnvelope")) {
                    Some(envelope) => envelope.to_string(),
                    None => continue,
                }
            }
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    Ok(lines)
}

fn asked_for<'a>(caller: &'a Caller, workspace: &str, digest: &str) -> Result<(&'a Workspace, Digest), AppError> {
    let (workspace, role) = (caller.access.iter())
        .find(|(w, _)| w.name.as_str() == workspace)
        .ok_or_else(|| not_found("workspace", workspace))?;
    rights::check(*role, Right::View)?;
    let digest = digest.trim().parse::<Digest>();
    let digest = digest.map_err(|error| FieldErrors::one("digest", error.to_string()))?;
    Ok((workspace, digest))
}

/// The projects that the caller may know of.
async fn projects(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
) -> Result<BTreeMap<ProjectId, ProjectPlace>, AppError> {
    let mut known = BTreeMap::new();
    for record in tx.projects(workspace.id).await? {
        let id = record.project.id;
        if let Some(project) = reach::complete_place(tx, caller, workspace, record).await? {
            known.insert(id, project);
        }
    }
    Ok(known)
}

/// What vouches for the image as policies ask for it now, and what tells that apart from what no policy asks for any more.
async fn evidence(
    tx: &mut dyn Tx,
    workspace: &Workspace,
    projects: &BTreeMap<ProjectId, ProjectPlace>,
    known: &[Asked],
) -> Result<(Vec<Evidence>, BTreeSet<String>), AppError> {
    let (mut all, mut trusted) = (BTreeSet::new(), BTreeSet::new());
    for project in projects.values() {
        for environment in project.environments.iter().filter(|e| project.shows(e)) {
            let roots = gates::roots_of(tx, &environment.policy, workspace.id).await?;
            for (gate, sought) in sought(&environment.policy, &roots) {
                let fingerprint = sought.fingerprint();
                let of = || known.iter().filter(|asked| asked.sought == fingerprint);
                let Some(asked) = of().find(|asked| asked.is_proven()).or_else(|| of().next()) else {
                    continue;
                };
                all.insert(Evidence {
                    gate: gate.to_string(),
                    is_valid: asked.is_proven(),
                    why: words(asked),
                });
                trusted.insert(fingerprint);
            }
        }
    }
    Ok((all.into_iter().collect(), trusted))
}

fn words(asked: &Asked) -> String {
    let (repository, at) = (&asked.repository, asked.at.exact());
    match &asked.found {
        Found::Valid => format!("{repository} held it at {at}."),
        Found::Nothing => format!("{repository} held none at {at}."),
        Found::OfOthers(_) => format!("{repository} held only others' at {at}."),
        Found::OfAnotherDigest => format!("{repository} held one of another image at {at}."),
        Found::Otherwise(says) => format!("It says that {}.", says.trim_end_matches('.')),
        Found::Refused(why) => format!("It doesn't count: {}.", why.trim_end_matches('.')),
        Found::Unknown { why, .. } => format!("It is unknown: {}.", why.trim_end_matches('.')),
    }
}

/// Where the image comes from: what is proven, and what it says of itself.
fn origin(held: &[Artifact], known: &[Asked], trusted: &BTreeSet<String>) -> Vec<Fact> {
    let proven = known.iter().filter(|asked| trusted.contains(&asked.sought));
    let mut facts: Vec<Fact> = proven.flat_map(|asked| asked.facts.clone()).collect();
    for details in held.iter().filter_map(|artifact| artifact.details.as_ref()) {
        let base = |name: &str| details.labels.get(&format!("org.opencontainers.image.base.{name}"));
        let base = base("name").map(|name| match base("digest") {
            Some(digest) => format!("{name}@{digest}"),
            None => name.clone(),
        });
        // 1970 stands for a build that says no time, so that it can be repeated.
        let built = details.created_at.filter(|at| at.0 > 0).map(Timestamp::rfc3339);
        let said = [
            (FactKind::Repository, details.source().map(str::to_owned), "label"),
            (FactKind::Revision, details.revision().map(str::to_owned), "label"),
            (FactKind::BaseImage, base, "label"),
            (FactKind::BuiltAt, built, "image"),
        ];
        facts.extend(said.into_iter().filter_map(|(kind, value, by)| {
            Some(Fact {
                kind,
                level: Level::Stated,
                value: crate::signature::shown(&value?)?,
                by: by.into(),
            })
        }));
    }
    in_order(facts)
}

fn held_shown(artifact: Artifact) -> Held {
    Held {
        repository: artifact.image.repository,
        tag: artifact.image.tag,
        seen_at: artifact.seen_at.rfc3339(),
        size_bytes: artifact.details.as_ref().map(|details| details.size_bytes),
        platforms: artifact.details.map(|details| details.platforms).unwrap_or_default(),
    }
}

/// Of each check what was reported last.
fn newest_checks(checks: Vec<Check>) -> Vec<CheckShown> {
    let mut newest: BTreeMap<String, Check> = BTreeMap::new();
    for check in checks {
        match newest.get(&check.name) {
            Some(known) if known.at >= check.at => {}
            _ => {
                newest.insert(check.name.clone(), check);
            }
        }
    }
    let shown = |check: Check| CheckShown {
        name: check.name,
        status: check.status,
        summary: check.summary,
        url: check.url,
        at: check.at.rfc3339(),
        by: check.reported_by.name().to_owned(),
    };
    newest.into_values().map(shown).collect()
}

/// Where it was adopted, as far as the caller may see.
async fn adoptions(
    tx: &mut dyn Tx,
    workspace: &Workspace,
    projects: &BTreeMap<ProjectId, ProjectPlace>,
    digest: &Digest,
) -> Result<Vec<AdoptionShown>, AppError> {
    let mut shown = Vec::new();
    for adoption in tx.adoptions_of_digest(workspace.id, digest).await? {
        let Some(resource) = tx.resource(adoption.resource).await? else {
            continue;
        };
        if let Some((project, environment)) = named(projects, resource.environment) {
            shown.push(AdoptionShown {
                project,
                environment,
                resource: resource.name,
                by: adoption.by.name().to_owned(),
                at: adoption.at.rfc3339(),
                reason: adoption.reason,
            });
        }
    }
    Ok(shown)
}

/// The names of an environment and its project; `None` where the caller may not know of it.
fn named(projects: &BTreeMap<ProjectId, ProjectPlace>, id: EnvironmentId) -> Option<(Name, Name)> {
    projects.values().find_map(|project| {
        let environment = project.environments.iter().find(|e| e.id == id && project.shows(e))?;
        Some((project.record.project.name.clone(), environment.name.clone()))
    })
}

fn tag_shown(projects: &BTreeMap<ProjectId, ProjectPlace>, tag: TagMove) -> Option<TagShown> {
    let (project, environment) = named(projects, tag.wanted.environment)?;
    Some(TagShown {
        repository: tag.wanted.repository,
        tag: tag.wanted.tag,
        project,
        environment,
        usage: tag.wanted.usage.to_string(),
        set_at: tag.set_at?.rfc3339(),
        is_moved: tag.drift.is_some(),
    })
}

fn copy_shown(copy: CopyRecord) -> CopyShown {
    CopyShown {
        source: copy.wanted.source,
        target: copy.wanted.target,
        state: copy.state.to_string(),
        ended_at: copy.ended_at.map(Timestamp::rfc3339),
        failure: copy.failure,
    }
}

async fn stage(tx: &mut dyn Tx, promotion: Promotion, at: (Name, Name, Name)) -> Result<Stage, AppError> {
    let gates = tx.gates(promotion.id).await?.map(|decision| decision.gates);
    let approvals = tx.approvals(promotion.id).await?;
    let overrides = tx.overrides(promotion.id).await?;
    let statement = tx.statement(promotion.id).await?;
    let statement = statement.filter(|statement| statement.written_at.is_some());
    let (project, environment, resource) = at;
    Ok(Stage {
        promotion: promotion.id,
        project,
        environment,
        resource,
        purpose: promotion.purpose,
        by: promotion.requested_by.name().to_owned(),
        at: promotion.created_at.rfc3339(),
        state: promotion.state,
        ended_at: promotion.ended_at.map(Timestamp::rfc3339),
        commit: promotion.commit,
        gates: gates.unwrap_or_default(),
        decisions: decisions(&approvals, &overrides),
        statement: statement.map(|statement| crate::signature::sum(statement.layer.as_bytes())),
        ran: Vec::new(),
    })
}

/// Who said what, in the order in which they did.
fn decisions(approvals: &[Approval], overrides: &[Override]) -> Vec<String> {
    let approved = approvals.iter().map(|approval| {
        let did = if approval.approves { "approved" } else { "rejected" };
        let why = match &approval.comment {
            Some(comment) => format!(": {comment}"),
            None => String::new(),
        };
        let words = format!("{} {did} at {}{why}", approval.by.name, approval.at.exact());
        (approval.at, words)
    });
    let overridden = overrides.iter().map(|one| {
        let words = format!(
            "{} overrode {} at {}: {}",
            one.by.name(),
            one.gate,
            one.at.exact(),
            one.reason
        );
        (one.at, words)
    });
    let mut all: Vec<(Timestamp, String)> = approved.chain(overridden).collect();
    all.sort();
    all.into_iter().map(|(_, words)| words).collect()
}

/// Puts a healthy run beside the promotion that led to it: the last of the environment that was requested before.
fn put_run(
    journey: &mut [(EnvironmentId, Timestamp, Stage)],
    environment: EnvironmentId,
    since: Timestamp,
    until: Option<Timestamp>,
) {
    let led = journey
        .iter_mut()
        .rev()
        .find(|(at, asked, _)| *at == environment && *asked <= since);
    if let Some((_, _, stage)) = led {
        stage.ran.push((since.rfc3339(), until.map(Timestamp::rfc3339)));
        stage.ran.sort();
    }
}
