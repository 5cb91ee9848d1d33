//! Starting what was applied: the first promotion of resources that a document names.

use crate::{
    ports::git::GitError,
    service::{
        context::Services,
        observe,
        queue::{self, Request},
        reach::{self, Caller, EnvironmentPlace, ProjectPlace},
        sources::{self, TagCounts, course, runs_there},
    },
};
use contract::error::AppError;
use domain::{
    follow::Course,
    id::{EnvironmentId, ProjectId, ResourceId},
    promotion::Purpose,
    resource::{HoldCause, Resource, Source},
};
use std::collections::HashSet;

/// Starts what applied resources should run and Git doesn't say yet, where the caller may change what runs; in the environments
/// `create_file` the values file may be made. Returns what could not be started, a sentence each: the pollers try again what comes by
/// itself.
///
/// # Errors
/// When the database fails.
pub(super) async fn start_after_apply(
    services: &Services,
    caller: &Caller,
    resources: Vec<ResourceId>,
    create_file: &HashSet<EnvironmentId>,
) -> Result<Vec<String>, AppError> {
    let mut projects: Vec<(ProjectId, Vec<ResourceId>)> = Vec::new();
    let mut tx = services.store.read().await?;
    for (workspace, _) in &caller.access {
        for record in tx.projects(workspace.id).await? {
            let here = tx.resources(record.project.id).await?;
            let ids: Vec<_> = resources
                .iter()
                .copied()
                .filter(|id| here.iter().any(|r| r.id == *id))
                .collect();
            if !ids.is_empty() {
                projects.push((record.project.id, ids));
            }
        }
    }
    drop(tx);
    let mut warnings = Vec::new();
    for (project, ids) in projects {
        // What Git declares already is adopted, so that setting up a running system changes nothing in it.
        if let Err(error) = observe::read_desired(services, project).await
            && !is_empty(services, project).await
        {
            warnings.push(error.to_string());
            continue;
        }
        let mut tx = services.store.read().await?;
        let place = reach::project_place_by_id(&mut *tx, caller, project).await?;
        let named: Vec<Resource> = (tx.resources(project).await?.into_iter())
            .filter(|resource| ids.contains(&resource.id))
            .collect();
        drop(tx);
        warnings.extend(refused_ahead(services, &place, &named).await);
        for id in ids {
            if let Err(error) = start(services, caller, &place, id, create_file).await {
                warnings.push(error.to_string());
            }
        }
    }
    warnings.dedup();
    services.wrote();
    Ok(warnings)
}

/// What promotions of these resources would be refused for, also where nothing is to be started now.
async fn refused_ahead(services: &Services, place: &ProjectPlace, resources: &[Resource]) -> Vec<String> {
    let mut told = Vec::new();
    let project = &place.record.project;
    let Ok(access) = reach::repository_access(services, &place.record) else {
        return told;
    };
    let Ok(Some(tip)) = services.git.known_tip(&access).await else {
        return told;
    };
    for environment in &place.environments {
        let here = resources
            .iter()
            .filter(|resource| resource.environment == environment.id);
        let keys: Vec<String> = here.map(|resource| resource.key.to_string()).collect();
        if keys.is_empty() {
            continue;
        }
        let path = project.values_path(&environment.key);
        match services
            .git
            .refusals(&access, &tip, &path, &project.values_prefix, &keys)
            .await
        {
            Ok(refused) => told.extend(
                refused
                    .into_iter()
                    .map(|why| format!("{path}: a promotion would be refused. {}.", why.trim_end_matches('.'))),
            ),
            Err(error) => told.push(error.to_string()),
        }
    }
    told
}

/// Whether a project's repository has nothing yet, so that nothing is declared in it.
async fn is_empty(services: &Services, project: ProjectId) -> bool {
    let record = match services.store.read().await {
        Ok(mut tx) => tx.project(project).await,
        Err(_) => return false,
    };
    let Ok(Some(access)) = record.map(|record| reach::repository_access(services, &record?).ok()) else {
        return false;
    };
    matches!(services.git.fetch(&access).await, Err(GitError::Empty { .. }))
}

async fn start(
    services: &Services,
    caller: &Caller,
    place: &ProjectPlace,
    id: ResourceId,
    create_file: &HashSet<EnvironmentId>,
) -> Result<(), AppError> {
    let Some(resource) = services.store.read().await?.resource(id).await? else {
        return Ok(());
    };
    let Some(environment) = place.environments.iter().find(|e| e.id == resource.environment) else {
        return Ok(());
    };
    // Git says something that can't be read as an image: that was told, and it is not written over.
    if resource.unclear.is_some() {
        return Ok(());
    }
    // Who may configure an environment may still not be of those who may change what runs there.
    place.may_change(environment)?;
    let before = EnvironmentPlace {
        project: place.clone(),
        environment: environment.clone(),
    };
    let (image, origin) = match (&resource.source, resource.pin()) {
        (Source::Image { repository, tags: _ }, Some(pin)) => (
            Some(sources::pinned_image(services, place, repository, pin).await?),
            None,
        ),
        (Source::Image { repository, tags }, None) => (
            observe::newest_artifact(services, &before, repository, tags).await?,
            None,
        ),
        // A pin needs no more than the repository: its source may not run anything yet.
        (Source::Promote { from }, Some(pin)) => {
            let (repository, origin) = sources::source_repository(services, place, *from).await?;
            (
                Some(sources::pinned_image(services, place, &repository, pin).await?),
                Some(origin),
            )
        }
        (Source::Promote { from }, None) => {
            let Some(desired) = services
                .store
                .read()
                .await?
                .resource(*from)
                .await?
                .and_then(|r| r.desired)
            else {
                return Ok(());
            };
            let (_, origin) = sources::source_of(services, place, *from).await?;
            (Some(desired), Some(origin))
        }
    };
    let Some(image) = image else { return Ok(()) };
    let may_create = create_file.contains(&environment.id);
    if !resource.declares(&image.digest) {
        let placed = sources::placed_in(services, &before, &resource, &image).await?;
        sources::change_of(services, &before, &resource, &placed, may_create).await?;
    }
    let (mut tx, caller, now) = reach::write_change(services, caller, &before).await?;
    let mut resource = reach::reread(&mut *tx, &resource).await?;
    // Somebody else set it up; who applies now may say that it runs. They may say, too, that the file is made for which it waits.
    let is_let = |cause| cause == HoldCause::SetUp || (may_create && cause == HoldCause::NoFile);
    if resource.hold.as_ref().is_some_and(|hold| is_let(hold.cause)) {
        queue::lift_hold(services, &mut *tx, &caller, &now.project, &mut resource).await?;
    }
    // A person held it: what it runs is theirs to say.
    if resource.hold.is_some() || resource.declares(&image.digest) {
        return Ok(());
    }
    // What was applied says whom it follows, not to go back to what that one runs.
    let tags = TagCounts::of(&tx.order_of(resource.id).await?);
    let leads = course(&mut *tx, place.workspace.id, &tags, resource.desired.as_ref(), &image).await?;
    // What Git declared before Waybill ever moved it is adopted and stays, until something is published after that.
    let placed = sources::placed(&mut *tx, place, environment, &resource, &image).await?;
    let is_of_source = resource
        .desired
        .as_ref()
        .is_some_and(|runs| runs.repository == image.repository || runs.repository == placed.repository);
    let is_adopted = is_of_source && tx.promotions_of(resource.id, 1).await?.is_empty();
    let runs = runs_there(&mut *tx, place, environment.id, &image).await?;
    if resource.pin().is_none() && (is_adopted || leads != Course::Newer || !runs) {
        return Ok(());
    }
    let creates = resource.desired.is_none();
    let request = Request {
        purpose: Purpose::of_origin(origin.as_ref()),
        actor: caller.actor.clone(),
        origin,
        image,
        creates,
        preview: None,
    };
    let started = queue::request(services, &mut *tx, &now.project, &resource, request).await?;
    if may_create {
        tx.may_create_file(started.id).await?;
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}
