//! Projects, environments, resources and promotions as programs ask for them: plain values, without what only pages need.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller, ProjectPlace, not_found},
    },
    store::AskedFor,
};
use contract::error::AppError;
use domain::{
    environment::{Environment, Project},
    id::{ProjectId, ResourceId},
    name::Name,
    plan::Illness,
    promotion::{Promotion, State},
    resource::Resource,
};

/// A project with all that is in it.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The project, its environments and its workspace's clusters.
    pub place: ProjectPlace,
    /// All resources of all environments, by name.
    pub resources: Vec<Resource>,
}

impl Contents {
    /// The environment of a resource, and its own name.
    #[must_use]
    pub fn name_of(&self, id: ResourceId) -> Option<(&Name, &Name)> {
        let resource = self.resources.iter().find(|r| r.id == id)?;
        let environment = self.place.environments.iter().find(|e| e.id == resource.environment)?;
        Some((&environment.name, &resource.name))
    }

    /// The environment of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn environment(&self, name: &str) -> Result<&Environment, AppError> {
        let found = self.place.environments.iter().find(|e| e.name.as_str() == name);
        found.ok_or_else(|| not_found("environment", name))
    }

    /// The resource of this name in an environment.
    ///
    /// # Errors
    /// When there is none.
    pub fn resource(&self, environment: &Environment, name: &str) -> Result<&Resource, AppError> {
        let found = self
            .resources
            .iter()
            .find(|r| r.environment == environment.id && r.name.as_str() == name);
        found.ok_or_else(|| not_found("resource", name))
    }
}

/// A promotion with the names of what it is about.
#[derive(Clone, Debug)]
pub struct NamedPromotion {
    /// The promotion.
    pub promotion: Promotion,
    /// The project.
    pub project: Name,
    /// The target environment.
    pub environment: Name,
    /// The target resource.
    pub resource: Name,
}

/// Which promotions of a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromotionsOf<'a> {
    /// Only those of the environment of this name.
    pub environment: Option<&'a str>,
    /// Only those of resources of this name.
    pub resource: Option<&'a str>,
    /// Only those in this state.
    pub state: Option<State>,
}

/// What was wrong with the workload of a promotion that the caller may see, in its newest try; `None` once it succeeded.
pub(crate) async fn illness_of(services: &Services, promotion: &Promotion) -> Result<Option<Illness>, AppError> {
    if promotion.state == State::Succeeded {
        return Ok(None);
    }
    let illness = services.store.read().await?.illness(promotion.id).await?;
    Ok(illness.filter(|illness| illness.tries == promotion.tries))
}

/// The projects of the caller's workspaces, by workspace and name.
///
/// # Errors
/// When the database fails.
pub async fn project_list(services: &Services, caller: &Caller) -> Result<Vec<Project>, AppError> {
    let mut tx = services.store.read().await?;
    let mut projects = Vec::new();
    for (workspace, _) in &caller.access {
        projects.extend(
            tx.projects(workspace.id)
                .await?
                .into_iter()
                .map(|record| record.project)
                .filter(|project| caller.role_in_project(workspace.id, project.id).is_some()),
        );
    }
    Ok(projects)
}

/// The project with this id or name.
///
/// # Errors
/// When there is none that the caller may see, or several workspaces of the caller have one of this name.
pub async fn project_named(services: &Services, caller: &Caller, project: &str) -> Result<Project, AppError> {
    let mut found: Vec<Project> = project_list(services, caller).await?;
    found.retain(|p| p.id.to_string() == project || p.name.as_str() == project);
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(AppError::Conflict(format!(
            "Several of your workspaces have a project {project}. Name it by its id."
        ))),
        (None, _) => Err(not_found("project", project)),
    }
}

/// A project with all that is in it.
///
/// # Errors
/// When there is none that the caller may see.
pub async fn contents(services: &Services, caller: &Caller, project: ProjectId) -> Result<Contents, AppError> {
    let mut tx = services.store.read().await?;
    let mut place = reach::project_place_by_id(&mut *tx, caller, project).await?;
    let mut resources = tx.resources(project).await?;
    if let Some(only) = place.only {
        place.environments.retain(|environment| environment.id == only);
        resources.retain(|resource| resource.environment == only);
    }
    Ok(Contents { place, resources })
}

/// The promotions of a resource of `contents`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn promotions_of(
    services: &Services,
    contents: &Contents,
    resource: &Resource,
    limit: u32,
) -> Result<Vec<NamedPromotion>, AppError> {
    let Some((environment, name)) = contents.name_of(resource.id) else {
        return Ok(Vec::new());
    };
    let promotions = services
        .store
        .read()
        .await?
        .promotions_of(resource.id, i64::from(limit))
        .await?;
    let named = |promotion| NamedPromotion {
        promotion: for_eyes_of(&contents.place, promotion),
        project: contents.place.record.project.name.clone(),
        environment: environment.clone(),
        resource: name.clone(),
    };
    Ok(promotions.into_iter().map(named).collect())
}

/// Promotions of a project, those asked for last first, each with its place among all that were: `before` one for those that follow.
///
/// # Errors
/// When there is no such environment or resource, or the database fails.
pub async fn promotions_in(
    services: &Services,
    contents: &Contents,
    filter: &PromotionsOf<'_>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<(i64, NamedPromotion)>, AppError> {
    let environment = filter.environment.map(|name| contents.environment(name)).transpose()?;
    if let Some(name) = filter.resource {
        let is_it = |r: &&Resource| r.name.as_str() == name && environment.is_none_or(|e| e.id == r.environment);
        if !contents.resources.iter().any(|resource| is_it(&resource)) {
            return Err(not_found("resource", name));
        }
    }
    let which = AskedFor {
        project: contents.place.record.project.id,
        before: before.unwrap_or(i64::MAX),
        environment: environment.map(|e| e.id).or(contents.place.only),
        resource: filter.resource,
        state: filter.state,
        limit: i64::from(limit),
    };
    let promotions = services.store.read().await?.promotions_asked(&which).await?;
    let named = |(place, promotion): (i64, Promotion)| {
        let (environment, resource) = contents.name_of(promotion.resource)?;
        let named = NamedPromotion {
            promotion: for_eyes_of(&contents.place, promotion),
            project: contents.place.record.project.name.clone(),
            environment: environment.clone(),
            resource: resource.clone(),
        };
        Some((place, named))
    };
    Ok(promotions.into_iter().filter_map(named).collect())
}

/// The promotion with this id.
///
/// # Errors
/// When there is none that the caller may see.
pub async fn promotion_named(services: &Services, caller: &Caller, id: &str) -> Result<NamedPromotion, AppError> {
    let mut tx = services.store.read().await?;
    let past = reach::promotion_ever(&mut *tx, caller, id).await?;
    Ok(NamedPromotion {
        promotion: for_eyes_of(&past.place.project, past.promotion),
        project: past.place.project.record.project.name,
        environment: past.place.environment.name,
        resource: past.resource.name,
    })
}

/// A promotion as the caller may see it: who is for one environment isn't told the names of others.
fn for_eyes_of(place: &ProjectPlace, mut promotion: Promotion) -> Promotion {
    promotion.origin = promotion.origin.filter(|_| place.only.is_none());
    promotion
}
