//! *Pause promotions*: nothing new may run in a project, or in one of its environments, until somebody resumes it.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller, ProjectPlace, STOP, not_found},
    },
    store::{NewEvent, Waiting},
};
use contract::error::AppError;
use domain::{
    environment::Environment,
    event::{Happened, Subject},
    field::FieldErrors,
    gate::Stop,
    rights,
};

/// Characters of a reason, at most.
const LONGEST: usize = 1_000;

/// Pauses promotions to a project, or to one of its environments. Commits already pushed will finish.
///
/// # Errors
/// In the field `reason` without one; when the caller may not, or it is paused already.
pub async fn pause_promotions(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    project: &str,
    environment: Option<&str>,
    reason: &str,
) -> Result<(), AppError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST {
        let why = format!("Say why, in at most {LONGEST} characters: everybody who waits reads it.");
        return Err(FieldErrors::one("reason", why).into());
    }
    let stop = Stop {
        of_project: environment.is_none(),
        by: caller.actor.clone(),
        reason: reason.to_owned(),
        at: services.now(),
    };
    set_stop(services, caller, workspace, project, environment, Some(stop)).await
}

/// Resumes promotions.
///
/// # Errors
/// When the caller may not (there, or in one of the environments that the stop is about), or nobody paused it.
pub async fn resume_promotions(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    project: &str,
    environment: Option<&str>,
) -> Result<(), AppError> {
    set_stop(services, caller, workspace, project, environment, None).await
}

async fn set_stop(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    project: &str,
    environment: Option<&str>,
    stop: Option<Stop>,
) -> Result<(), AppError> {
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let place = reach::project_place(&mut *tx, &caller, workspace, project).await?;
    let environment = match environment {
        Some(name) => Some(named(&place, name)?),
        None => None,
    };
    rights::check(place.role, STOP)?;
    if environment.is_none() && place.only.is_some() {
        caller.check_whole()?;
    }
    let id = environment.map(|environment| environment.id);
    if stop.is_none() {
        place.may_let_go_on(id)?;
    }
    let before = place.stops.iter().find(|(of, _)| *of == id);
    match (before, &stop) {
        (Some((_, before)), Some(_)) => {
            return Err(AppError::Conflict(format!(
                "{} has already paused it: {}",
                before.by.name(),
                before.reason
            )));
        }
        (None, None) => {
            return Err(AppError::Conflict(
                "It is not paused: someone has already resumed it.".into(),
            ));
        }
        _ => {}
    }
    let project = place.record.project.id;
    tx.set_stop(project, id, stop.as_ref()).await?;
    let event = NewEvent {
        workspace: place.workspace.id,
        subject: Subject {
            project: Some(project),
            environment: id,
            ..Subject::default()
        },
        actor: caller.actor.clone(),
        happened: match stop {
            Some(stop) => Happened::LineStopped { reason: stop.reason },
            None => Happened::LineResumed,
        },
    };
    let now = services.now();
    tx.append_event(&event, now).await?;
    tx.wake_waiting(Waiting::Project(project), now).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

fn named<'a>(place: &'a ProjectPlace, name: &str) -> Result<&'a Environment, AppError> {
    place.environment(name).ok_or_else(|| not_found("environment", name))
}
