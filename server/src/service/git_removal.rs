//! Blocks of removed resources that are to leave Git, when a person chose so: one small commit, made by a worker, told in the ledger.
//!
//! It is no promotion: no digest is promised, no gate is passed, nothing follows. The removal of the resources doesn't wait for it; until
//! it has ended, their names can't be taken again, so that it never removes what somebody made since.

use super::Services;
use crate::store::{GitRemoval, NewEvent, Tx};
use app::error::AppError;
use domain::{
    event::{Happened, Subject},
    id::ProjectId,
    name::Name,
    promotion::Actor,
    time::Timestamp,
};

impl Services {
    /// Refuses a name whose block is still being removed from the values file.
    ///
    /// # Errors
    /// For such a name, with what to do.
    pub(in crate::service) async fn check_is_out_of_git(
        &self,
        tx: &mut dyn Tx,
        project: ProjectId,
        environment: &Name,
        resource: Option<&Name>,
    ) -> Result<(), AppError> {
        let open = tx.open_git_removals(project).await?;
        let mut here = open.iter().filter(|one| one.environment_name == environment.as_str());
        let is_in_the_way = here.any(|one| resource.is_none_or(|name| one.services.iter().any(|s| s == name.as_str())));
        if !is_in_the_way {
            return Ok(());
        }
        let name = resource.map_or_else(
            || environment.to_string(),
            |resource| format!("{environment}/{resource}"),
        );
        Err(AppError::Conflict(format!(
            "The {} {name} was deleted, and is still being removed from Git. Wait a moment, then try again; Activity says when it is done.",
            if resource.is_some() { "resource" } else { "environment" }
        )))
    }

    /// Ends what a project's removals were about in Git: its credentials go with it.
    pub(in crate::service) async fn give_up_git_removals(
        &self,
        tx: &mut dyn Tx,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let Some(record) = tx.project(project).await? else {
            return Ok(());
        };
        for removal in tx.end_git_removals(project).await? {
            let event = told(&removal, &record.project.path_template, |path, services| {
                Happened::NotRemovedFromGit {
                    path,
                    services,
                    reason: "The project was deleted before it was done. Remove them in Git.".into(),
                }
            });
            tx.append_event(&event, now).await?;
        }
        Ok(())
    }
}

/// The values file of an environment whose name need not be one any more.
pub(crate) fn path_of(removal: &GitRemoval, template: &str) -> String {
    template.replace("{environment}", &removal.environment_name)
}

/// An entry about a removal from Git, given its project's path template.
pub(crate) fn told(
    removal: &GitRemoval,
    template: &str,
    happened: impl FnOnce(String, Vec<String>) -> Happened,
) -> NewEvent {
    NewEvent {
        workspace: removal.workspace,
        subject: Subject {
            project: Some(removal.project),
            environment: Some(removal.environment),
            ..Subject::default()
        },
        actor: Actor::Waybill,
        happened: happened(path_of(removal, template), removal.services.clone()),
    }
}
