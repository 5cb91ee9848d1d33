//! *Move back*: every resource that is to run a recalled digest goes to the last good one that it ran, all in one transaction. Each is a
//! rollback with the rules of one: who may roll back there, gates where the policy holds rollbacks, and a hold on what tracks its source.

use super::{approve, pin, recall, rollback::LOOK_BACK};
use crate::{
    service::{
        context::Services,
        queue::{self, Request},
        reach::{self, Caller, EnvironmentPlace, ProjectPlace},
        sources,
    },
    store::{RecalledPlace, Tx},
};
use contract::{error::AppError, recall::MovedBack};
use domain::{
    artifact::{Digest, ExactImage},
    environment::Workspace,
    id::{ProjectId, ResourceId, WorkspaceId},
    promotion::{Purpose, State},
    resource::HoldCause,
};
use std::collections::{HashMap, HashSet, hash_map::Entry};

/// Moves every place that is to run a recalled digest back to its last good one. With `break_glass`, gates that hold a rollback are
/// overridden with the recall's reason, where their policy lets the caller.
///
/// # Errors
/// When the digest isn't recalled, or the caller doesn't administer the workspace.
pub async fn move_places_back(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    digest: &str,
    break_glass: bool,
) -> Result<MovedBack, AppError> {
    caller.administered(workspace)?;
    let digest = recall::digest_of(digest)?;
    let (mut tx, caller, workspace) = reach::administer(services, caller, workspace).await?;
    let recalled = tx.recall_of(workspace.id, &digest).await?;
    let recalled = recalled.ok_or_else(|| recall::not_recalled(&digest))?;
    let places = tx.places_of_digest(workspace.id, &digest).await?;
    let good = last_good(&mut *tx, workspace.id, &digest).await?;
    let on_their_way = rolling_back(&mut *tx, workspace.id, &digest).await?;
    let mut projects: HashMap<ProjectId, Option<ProjectPlace>> = HashMap::new();
    let mut moved = MovedBack::default();
    for place in places.into_iter().filter(|place| place.is_desired) {
        if on_their_way.contains(&place.resource.id) {
            moved.under_way += 1;
            continue;
        }
        let Some(image) = good.get(&place.resource.id) else {
            moved.without_good += 1;
            continue;
        };
        let project = match projects.entry(place.project) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(project(&mut *tx, &caller, &workspace, place.project).await?),
        };
        let Some(at) = project.as_ref().and_then(|project| may_move(project, &place)) else {
            moved.refused += 1;
            continue;
        };
        let reason = break_glass.then(|| format!("Recall: {}", recalled.reason));
        match go_back(services, &mut *tx, &caller, &at, place, image, reason.as_deref()).await? {
            State::Waiting => moved.waiting += 1,
            _ => moved.started += 1,
        }
    }
    tx.commit().await?;
    services.wrote();
    Ok(moved)
}

/// The last good image of each resource that is to run a digest, or does: what was live and healthy there last, or was promoted there,
/// and isn't recalled.
pub(crate) async fn last_good(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    digest: &Digest,
) -> Result<HashMap<ResourceId, ExactImage>, AppError> {
    let mut good = HashMap::new();
    for ran in tx.ran_well_before(workspace, digest).await? {
        let image = match ran.image {
            Some(image) => Some(image),
            None => {
                let history = tx.promotions_of(ran.resource, LOOK_BACK).await?;
                sources::that_ran(&history).find(|image| image.digest == ran.digest)
            }
        };
        if let Some(image) = image {
            good.insert(ran.resource, image);
        }
    }
    Ok(good)
}

/// The resources whose newest promotion is on its way back from a digest.
async fn rolling_back(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    digest: &Digest,
) -> Result<HashSet<ResourceId>, AppError> {
    let (mut seen, mut back) = (HashSet::new(), HashSet::new());
    for open in tx.open_away_from(workspace, digest).await? {
        // The newest of a resource comes first.
        if seen.insert(open.resource) && open.purpose == Purpose::Rollback {
            back.insert(open.resource);
        }
    }
    Ok(back)
}

async fn project(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    project: ProjectId,
) -> Result<Option<ProjectPlace>, AppError> {
    match tx.project(project).await? {
        Some(record) => reach::complete_place(tx, caller, workspace, record).await,
        None => Ok(None),
    }
}

/// Where a resource is, if the caller may roll it back there.
fn may_move(project: &ProjectPlace, place: &RecalledPlace) -> Option<EnvironmentPlace> {
    let mut environments = project.environments.iter();
    let environment = environments.find(|e| e.id == place.resource.environment && project.shows(e))?;
    project.may_roll_back(environment).ok()?;
    Some(EnvironmentPlace {
        project: project.clone(),
        environment: environment.clone(),
    })
}

/// Rolls one resource back; the state that its promotion is in then.
async fn go_back(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    at: &EnvironmentPlace,
    place: RecalledPlace,
    image: &ExactImage,
    break_glass: Option<&str>,
) -> Result<State, AppError> {
    let mut resource = place.resource;
    if resource.pin().is_some() {
        pin::move_pin(services, tx, caller, &at.project, &mut resource, &image.digest).await?;
    } else {
        let cause = HoldCause::RolledBack;
        queue::put_on_hold(services, tx, caller, &at.project, &mut resource, cause).await?;
    }
    let request = Request {
        purpose: Purpose::Rollback,
        actor: caller.actor.clone(),
        origin: None,
        image: image.clone(),
        creates: false,
        preview: None,
    };
    let promotion = queue::request(services, tx, &at.project, &resource, request).await?;
    if let Some(keeper) = sources::keeper(&promotion, &at.environment.tags) {
        tx.want_tag(&keeper, services.now()).await?;
    }
    match break_glass {
        Some(reason) if promotion.state == State::Waiting => {
            approve::override_all(services, tx, caller, at, &promotion, reason).await
        }
        _ => Ok(promotion.state),
    }
}
