//! *Recall*: a digest is marked bad in all of a workspace. What is open and was to bring it ends; what runs it stays until it is moved
//! back ([`super::move_back`]). That nothing new brings it is said where promotions begin ([`queue::check_recall`]), and where they are committed.

use super::pin;
use crate::{
    service::{
        context::{Services, internal},
        queue,
        reach::{self, Caller, ProjectPlace},
    },
    store::{NewEvent, RecalledPlace, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::Digest,
    draft::check_digest,
    environment::Workspace,
    event::{Happened, Subject},
    field::FieldErrors,
    id::{EnvironmentId, ProjectId, WorkspaceId},
    promotion::{Phase, Promotion},
    recall::{Lifted, Recall, check_reason},
};
use std::collections::{BTreeMap, HashMap, hash_map::Entry};

/// Marks a digest bad, whichever repository it lies in. Open promotions to it end, as far as no commit of them is on its way.
///
/// # Errors
/// In the fields `digest` and `reason`; when it is recalled already; when the caller doesn't administer the workspace.
pub async fn recall_digest(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    digest: &str,
    reason: &str,
) -> Result<(), AppError> {
    caller.administered(workspace)?;
    let (digest, reason) = (digest_of(digest)?, check_reason(reason)?);
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let recall = Recall {
        digest,
        reason,
        by: caller.actor.clone(),
        at: services.now(),
        lifted: None,
    };
    if !tx.insert_recall(workspace.id, &recall).await? {
        let known = tx.recall_of(workspace.id, &recall.digest).await?;
        let words = known.map(|known| known.words()).unwrap_or_default();
        return Err(AppError::Conflict(format!("This digest is recalled already. {words}")));
    }
    let places = tx.places_of_digest(workspace.id, &recall.digest).await?;
    let ended = end_open(services, &mut *tx, &caller, workspace.id, &recall).await?;
    let touched = touched(&places, &ended);
    let told = |places| Happened::DigestRecalled {
        digest: recall.digest.clone(),
        reason: recall.reason.clone(),
        places,
    };
    tell(services, &mut *tx, &caller, &workspace, &touched, told).await?;
    forget_cells(services, &mut *tx, workspace.id).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Lifts the recall of a digest, with a reason: it may be promoted again, and who follows a resource that is to run it does so at once.
///
/// # Errors
/// In the fields `digest` and `reason`; when it isn't recalled; when the caller doesn't administer the workspace.
pub async fn lift_recall(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    digest: &str,
    reason: &str,
) -> Result<(), AppError> {
    caller.administered(workspace)?;
    let (digest, reason) = (digest_of(digest)?, check_reason(reason)?);
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let lifted = Lifted {
        reason,
        by: caller.actor.clone(),
        at: services.now(),
    };
    if !tx.lift_recall(workspace.id, &digest, &lifted).await? {
        return Err(not_recalled(&digest));
    }
    let places = tx.places_of_digest(workspace.id, &digest).await?;
    let told = |_| Happened::RecallLifted {
        digest: digest.clone(),
        reason: lifted.reason.clone(),
    };
    tell(services, &mut *tx, &caller, &workspace, &touched(&places, &[]), told).await?;
    // They stayed behind because of the recall alone.
    let mut projects = Projects::default();
    for place in places.iter().filter(|place| place.is_desired) {
        if let (Some(project), Some(image)) = (projects.of(&mut *tx, place.project).await?, &place.resource.desired) {
            queue::follow(services, &mut *tx, project, &place.resource, image).await?;
        }
    }
    forget_cells(services, &mut *tx, workspace.id).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// A digest as somebody wrote it.
pub(crate) fn digest_of(text: &str) -> Result<Digest, FieldErrors> {
    check_digest(text).map_err(|why| FieldErrors::one("digest", why))
}

/// There is no recall to do anything about.
pub(super) fn not_recalled(digest: &Digest) -> AppError {
    AppError::Conflict(format!(
        "{} isn't recalled. Reload to see how it stands.",
        digest.short()
    ))
}

/// Ends the promotions to a digest whose commits aren't made, and gives them back. One whose push may be on its way is let finish: its place
/// is listed with the others then.
async fn end_open(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: WorkspaceId,
    recall: &Recall,
) -> Result<Vec<Promotion>, AppError> {
    let now = services.now();
    let why = format!("Ended by a recall. {}", recall.words());
    let (mut ended, mut projects) = (Vec::new(), Projects::default());
    for open in tx.open_to_digest(workspace, &recall.digest).await? {
        let is_ended = match open.state.phase() {
            Phase::BeforeCommit => true,
            Phase::Committing => !tx.is_leased(open.id, now).await?,
            Phase::AfterCommit | Phase::Ended => false,
        };
        if !is_ended {
            continue;
        }
        let from = open.state;
        let cancelled = open.cancel(why.as_str(), now).map_err(|e| internal(&e))?;
        tx.update_promotion(&cancelled, from, now).await?;
        let event = NewEvent {
            workspace,
            subject: Subject::promotion(&cancelled),
            actor: caller.actor.clone(),
            happened: Happened::PromotionMoved {
                from,
                to: cancelled.state,
                detail: Some(why.clone()),
            },
        };
        tx.append_event(&event, now).await?;
        if let Some(project) = projects.of(tx, cancelled.project).await? {
            pin::pin_to_what_runs(services, tx, caller, project, &cancelled).await?;
        }
        ended.push(cancelled);
    }
    Ok(ended)
}

/// In which environments how many resources have to do with it.
fn touched(places: &[RecalledPlace], ended: &[Promotion]) -> BTreeMap<(ProjectId, EnvironmentId), u32> {
    let mut found: BTreeMap<(ProjectId, EnvironmentId), Vec<_>> = BTreeMap::new();
    let run = places
        .iter()
        .map(|place| (place.project, place.resource.environment, place.resource.id));
    let were_to = ended.iter().map(|p| (p.project, p.environment, p.resource));
    for (project, environment, resource) in run.chain(were_to) {
        let here = found.entry((project, environment)).or_default();
        if !here.contains(&resource) {
            here.push(resource);
        }
    }
    let count = |all: Vec<_>| u32::try_from(all.len()).unwrap_or(u32::MAX);
    found.into_iter().map(|(at, all)| (at, count(all))).collect()
}

/// Writes what happened into the ledger: once for each environment that has to do with it, so that it is found there and told to who
/// may see it; for the workspace where none has.
async fn tell(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    touched: &BTreeMap<(ProjectId, EnvironmentId), u32>,
    happened: impl Fn(u32) -> Happened,
) -> Result<(), AppError> {
    let event = |subject, places| NewEvent {
        workspace: workspace.id,
        subject,
        actor: caller.actor.clone(),
        happened: happened(places),
    };
    if touched.is_empty() {
        tx.append_event(&event(Subject::default(), 0), services.now()).await?;
    }
    for ((project, environment), places) in touched {
        let subject = Subject {
            project: Some(*project),
            environment: Some(*environment),
            ..Subject::default()
        };
        tx.append_event(&event(subject, *places), services.now()).await?;
    }
    Ok(())
}

/// What boards say is the newest image may be another now, in any project.
async fn forget_cells(services: &Services, tx: &mut dyn Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    for record in tx.projects(workspace).await? {
        services.kept_cells.forget(record.project.id);
    }
    Ok(())
}

/// Projects that were read in this transaction, as Waybill sees them.
#[derive(Default)]
struct Projects(HashMap<ProjectId, Option<ProjectPlace>>);

impl Projects {
    async fn of(&mut self, tx: &mut dyn Tx, project: ProjectId) -> Result<Option<&ProjectPlace>, AppError> {
        let place = match self.0.entry(project) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(match tx.project(project).await? {
                Some(record) => Some(reach::place_for_waybill(tx, record).await?),
                None => None,
            }),
        };
        Ok(place.as_ref())
    }
}
