//! Blocks of removed resources that are to leave Git, when a person chose so: one small commit, made by a worker, told in the ledger.
//!
//! It is no promotion: no digest is promised, no gate is passed, nothing follows. The removal of the resources doesn't wait for it; until
//! it has ended, their names can't be taken again, so that it never removes what somebody made since.

use crate::{
    service::sources::whereabouts,
    store::{GitRemoval, NewEvent, Tx},
};
use contract::error::AppError;
use domain::{
    environment::{Environment, Project},
    event::{Happened, Subject},
    id::ProjectId,
    promotion::Actor,
    resource::Resource,
    time::Timestamp,
};

/// Refuses a name or key whose block is still being removed from the values file.
///
/// # Errors
/// For such a name or key, with what to do.
pub(crate) async fn check_is_out_of_git(
    tx: &mut dyn Tx,
    project: ProjectId,
    environment: &Environment,
    resource: Option<&Resource>,
) -> Result<(), AppError> {
    let open = tx.open_git_removals(project).await?;
    if open.is_empty() {
        return Ok(());
    }
    let path = (tx.project(project).await?).map(|record| record.project.values_path(&environment.key));
    // An environment may have been made anew since, with the name or with the file of the old one.
    let mut here = open
        .iter()
        .filter(|one| one.environment_name == environment.name.as_str() || path.as_ref() == Some(&one.path));
    let in_the_way = here.find(|one| {
        resource.is_none_or(|resource| one.services.iter().any(|service| service == resource.key.as_str()))
    });
    let Some(in_the_way) = in_the_way else {
        return Ok(());
    };
    // What was deleted may have been called otherwise.
    let what = match resource {
        Some(resource) if resource.key.is(&resource.name) => {
            format!("resource {}/{}", environment.name, resource.name)
        }
        Some(resource) => format!("resource with the key {} in {}", resource.key, environment.name),
        None if in_the_way.environment_name == environment.name.as_str() => {
            format!("environment {}", environment.name)
        }
        None => format!("environment with the file {}", in_the_way.path),
    };
    Err(AppError::Conflict(format!(
        "The {what} was deleted, and is still being removed from Git. Wait a moment, then try again; Activity says when it is done."
    )))
}

/// Ends what a project's removals were about in Git: its credentials go with it.
pub(crate) async fn give_up_git_removals(tx: &mut dyn Tx, project: ProjectId, now: Timestamp) -> Result<(), AppError> {
    for removal in tx.end_git_removals(project).await? {
        let event = git_removal_event(&removal, |path, services| Happened::NotRemovedFromGit {
            path,
            services,
            reason: "The project was deleted before it was done. Remove them in Git.".into(),
        });
        tx.append_event(&event, now).await?;
    }
    Ok(())
}

/// A resource that is written to a block which was to leave Git.
pub(crate) struct SameBlock {
    /// Its project, of whatever workspace.
    pub(crate) project: Project,
    /// Where it is: `myapp/staging/api`.
    pub(crate) path: String,
}

/// Something else that is written to one of these blocks: another project, or another environment of the same, may share the file.
pub(crate) async fn find_same_block(tx: &mut dyn Tx, removal: &GitRemoval) -> Result<Option<SameBlock>, AppError> {
    let here = whereabouts(&removal.repository_url);
    for workspace in tx.workspaces().await? {
        for record in tx.projects(workspace.id).await? {
            let project = record.project;
            let is_same = project.branch == removal.branch
                && project.values_prefix == removal.prefix
                && whereabouts(&project.repository_url) == here;
            if !is_same {
                continue;
            }
            let environments = tx.environments(project.id).await?;
            let resources = tx.resources(project.id).await?;
            for environment in environments {
                if environment.id == removal.environment || project.values_path(&environment.key) != removal.path {
                    continue;
                }
                let shared = resources.iter().find(|resource| {
                    resource.environment == environment.id
                        && removal.services.iter().any(|service| service == resource.key.as_str())
                });
                if let Some(resource) = shared {
                    let path = format!("{}/{}/{}", project.name, environment.name, resource.name);
                    return Ok(Some(SameBlock { project, path }));
                }
            }
        }
    }
    Ok(None)
}

/// An entry about a removal from Git.
pub(crate) fn git_removal_event(
    removal: &GitRemoval,
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
        happened: happened(removal.path.clone(), removal.services.clone()),
    }
}
