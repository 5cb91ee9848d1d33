//! *Take the new key*: a resource whose key somebody renamed in Git goes on under the new one. Its name and its history stay.

use super::{Caller, Services, unrecorded};
use crate::store::NewEvent;
use app::{backend::At, error::AppError};
use domain::{
    event::{Happened, Subject},
    key::Key,
    resource::{HoldCause, Resource},
};

impl Services {
    /// Gives a held resource the key that it seems to have in Git now, and lifts the hold. Returns the key.
    ///
    /// # Errors
    /// When nothing looks like its new key, that one is taken or gone again, Git can't be read, or the caller may not.
    pub async fn take_new_key(&self, caller: &Caller, at: &At, resource: &str) -> Result<Key, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        new_key(&resource)?;
        let project = place.project.record.project.id;
        // What others changed is told apart now: below, the repository is read as if for the first time.
        self.read_desired(project).await.map_err(unrecorded)?;
        let declared = self
            .declared_services(&place.project, &place.environment, false)
            .await
            .map_err(unrecorded)?;

        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        let key = new_key(&resource)?;
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
        self.check_is_out_of_git(&mut *tx, project, environment, Some(&resource))
            .await?;
        tx.update_resource(&resource).await?;
        let event = NewEvent {
            workspace: place.project.workspace.id,
            subject: Subject::resource(project, &resource),
            actor: caller.actor.clone(),
            happened: Happened::KeyTaken { from, to: key.clone() },
        };
        tx.append_event(&event, self.now()).await?;
        self.lift(&mut *tx, &caller, &place.project, &mut resource).await?;
        // Writing the project makes its repository be read again, and with it what Git declares under this key.
        if let Some(record) = tx.project(project).await? {
            tx.put_project(&record).await?;
        }
        tx.commit().await?;
        self.wrote();
        if let Err(error) = self.read_desired(project).await {
            tracing::info!(%error, "what Git declares under a new key is read later");
        }
        Ok(key)
    }
}

/// The key that a resource seems to have in Git now.
pub(super) fn new_key(resource: &Resource) -> Result<Key, AppError> {
    let hold = resource.hold.as_ref();
    let renamed = hold.filter(|hold| hold.cause == HoldCause::RemovedFromGit);
    let key = renamed.and_then(|hold| hold.renamed.as_deref()).ok_or_else(|| {
        AppError::Conflict(format!(
            "Nothing in Git looks like a new key of {}. Reload to see how it stands.",
            resource.name
        ))
    })?;
    key.parse()
        .map_err(|error| AppError::Conflict(format!("{key} can't be the key of a resource: {error}")))
}
