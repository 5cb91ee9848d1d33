//! *Take the new name*: a resource whose key somebody renamed in Git goes on under the new one, with its history.

use super::{Caller, Services, unrecorded};
use crate::store::NewEvent;
use app::{backend::At, error::AppError};
use domain::{
    event::{Happened, Subject},
    name::Name,
    resource::{HoldCause, Resource},
};

impl Services {
    /// Gives a held resource the name that its key seems to have in Git now, and lifts the hold. Returns the name.
    ///
    /// # Errors
    /// When nothing looks like its new name, that one is taken or is no name, Git can't be read, or the caller may not.
    pub async fn take_new_name(&self, caller: &Caller, at: &At, resource: &str) -> Result<Name, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        new_name(&resource)?;
        let project = place.project.record.project.id;
        // What others changed is told apart now: below, the repository is read as if for the first time.
        self.read_desired(project).await.map_err(unrecorded)?;
        let environment = &place.environment.name;
        let declared = self.declared_services(&place.project, environment, false).await;
        let declared = declared.map_err(unrecorded)?;

        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        let name = new_name(&resource)?;
        let (environment, is_taken) = (
            &place.environment,
            tx.resource_by_name(place.environment.id, name.as_str())
                .await?
                .is_some(),
        );
        if is_taken || !declared.contains_key(name.as_str()) {
            let why = match is_taken {
                true => "is another resource by now",
                false => "is no longer in Git",
            };
            return Err(AppError::Conflict(format!(
                "{}/{name} {why}. Reload to see how it stands.",
                environment.name
            )));
        }
        self.check_is_out_of_git(&mut *tx, project, &environment.name, Some(&name))
            .await?;
        tx.rename_resource(resource.id, &name).await?;
        let from = std::mem::replace(&mut resource.name, name.clone());
        let event = NewEvent {
            workspace: place.project.workspace.id,
            subject: Subject::resource(project, &resource),
            actor: caller.actor.clone(),
            happened: Happened::Renamed { from, to: name.clone() },
        };
        tx.append_event(&event, self.now()).await?;
        self.lift(&mut *tx, &caller, &place.project, &mut resource).await?;
        // Writing the project makes its repository be read again, and with it what Git declares under this name.
        if let Some(record) = tx.project(project).await? {
            tx.put_project(&record).await?;
        }
        tx.commit().await?;
        self.wrote();
        if let Err(error) = self.read_desired(project).await {
            tracing::info!(%error, "a renamed resource is read from Git later");
        }
        Ok(name)
    }
}

/// The name that a resource's key seems to have in Git now.
pub(super) fn new_name(resource: &Resource) -> Result<Name, AppError> {
    let hold = resource.hold.as_ref();
    let renamed = hold.filter(|hold| hold.cause == HoldCause::RemovedFromGit);
    let key = renamed.and_then(|hold| hold.renamed.as_deref()).ok_or_else(|| {
        AppError::Conflict(format!(
            "Nothing in Git looks like a new name of {}. Reload to see how it stands.",
            resource.name
        ))
    })?;
    key.parse()
        .map_err(|error| AppError::Conflict(format!("{key} can't be the name of a resource: {error}")))
}
