//! *Take the new key*: a resource whose key somebody renamed in Git goes on under the new one. Its name and its history stay.

use crate::{
    service::{
        context::{Services, unrecorded},
        observe, queue,
        reach::{self, Caller},
        removal, sources,
    },
    store::NewEvent,
};
use contract::{backend::At, error::AppError};
use domain::{
    event::{Happened, Subject},
    key::Key,
};

/// Gives a held resource the key that it seems to have in Git now, and lifts the hold. Returns the key.
///
/// # Errors
/// When nothing looks like its new key, that one is taken or gone again, Git can't be read, or the caller may not.
pub async fn take_new_key(services: &Services, caller: &Caller, at: &At, resource: &str) -> Result<Key, AppError> {
    let (place, resource) = reach::resource_to_change(services, caller, at, resource).await?;
    queue::renamed_key(&resource)?;
    let project = place.project.record.project.id;
    // What others changed is told apart now: below, the repository is read as if for the first time.
    observe::read_desired(services, project).await.map_err(unrecorded)?;
    let declared = sources::declared_services(services, &place.project, &place.environment, false)
        .await
        .map_err(unrecorded)?;

    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    let key = queue::renamed_key(&resource)?;
    let environment = &place.environment;
    let is_taken = (tx.resources(project).await?.iter())
        .any(|other| other.environment == environment.id && other.key == key && other.id != resource.id);
    if is_taken || !declared.contains_key(key.as_str()) {
        let why = match is_taken {
            true => "belongs to another resource by now",
            false => "is no longer in Git",
        };
        return Err(AppError::Conflict(format!(
            "The key {key} in {} {why}. Reload to see how it stands.",
            environment.name
        )));
    }
    let from = std::mem::replace(&mut resource.key, key.clone());
    removal::check_is_out_of_git(&mut *tx, project, environment, Some(&resource)).await?;
    tx.update_resource(&resource).await?;
    let event = NewEvent {
        workspace: place.project.workspace.id,
        subject: Subject::resource(project, &resource),
        actor: caller.actor.clone(),
        happened: Happened::KeyTaken { from, to: key.clone() },
    };
    tx.append_event(&event, services.now()).await?;
    queue::lift_hold(services, &mut *tx, &caller, &place.project, &mut resource).await?;
    // Writing the project makes its repository be read again, and with it what Git declares under this key.
    if let Some(record) = tx.project(project).await? {
        tx.put_project(&record).await?;
    }
    tx.commit().await?;
    services.wrote();
    if let Err(error) = observe::read_desired(services, project).await {
        tracing::info!(%error, "what Git declares under a new key is read later");
    }
    Ok(key)
}
