//! From the names in an address to the things they name, for this caller.
//!
//! What a caller may not see is answered exactly like what isn't there.

use crate::{
    service::{
        context::Services,
        reach::caller::{self, Caller},
    },
    store::{ClusterRecord, ProjectRecord, RegistryRecord, Tx},
};
use contract::{backend::At, error::AppError};
use domain::{
    environment::{Environment, Workspace},
    gate::{GateKind, Stop},
    id::{EnvironmentId, PromotionId},
    name::Name,
    promotion::{Actor, Origin, Promotion},
    resource::Resource,
    rights::{self, Denied, Right, Role},
};

/// A project, with all that its environments need.
#[derive(Clone, Debug)]
pub struct ProjectPlace {
    /// The workspace.
    pub workspace: Workspace,
    /// The caller's role in the project.
    pub role: Role,
    /// Names of the caller's groups in the workspace.
    pub groups: Vec<Name>,
    /// The environment that a token is for, when it is for one only.
    pub only: Option<EnvironmentId>,
    /// The project.
    pub record: ProjectRecord,
    /// Its environments, in order.
    pub environments: Vec<Environment>,
    /// Which groups may change the environments that aren't for everybody.
    pub restricted: Vec<(EnvironmentId, Name)>,
    /// The workspace's clusters.
    pub clusters: Vec<ClusterRecord>,
    /// Its registries.
    pub registries: Vec<RegistryRecord>,
    /// Who paused promotions: to the whole project (`None`), of which environments.
    pub stops: Vec<(Option<EnvironmentId>, Stop)>,
}

/// An environment of a project.
#[derive(Clone, Debug)]
pub struct EnvironmentPlace {
    /// The project.
    pub project: ProjectPlace,
    /// The environment.
    pub environment: Environment,
}

/// A promotion of the past or of now, with its place.
#[derive(Clone, Debug)]
pub(crate) struct PromotionEver {
    /// The promotion.
    pub(crate) promotion: Promotion,
    /// Where it runs, or ran.
    pub(crate) place: EnvironmentPlace,
    /// Its resource.
    pub(crate) resource: Resource,
    /// Whether the resource was removed.
    pub(crate) is_removed: bool,
}

impl ProjectPlace {
    /// The cluster that an environment runs on.
    #[must_use]
    pub fn cluster(&self, environment: &Environment) -> Option<&ClusterRecord> {
        self.clusters
            .iter()
            .find(|record| record.cluster.id == environment.cluster)
    }

    /// Platforms of which an image needs one to run in an environment; none: some platform of Linux.
    #[must_use]
    pub fn platforms(&self, environment: EnvironmentId) -> &[String] {
        let environment = self.environments.iter().find(|e| e.id == environment);
        let record = environment.and_then(|environment| self.cluster(environment));
        record.map_or(&[], |record| &record.cluster.platforms)
    }

    /// Where an image comes from that `source` publishes; `None` when its environment is gone.
    #[must_use]
    pub fn origin(&self, source: &Resource) -> Option<Origin> {
        let environment = self.environments.iter().find(|e| e.id == source.environment)?;
        Some(Origin {
            environment: environment.name.clone(),
            resource: source.name.clone(),
        })
    }

    /// Who paused promotions to an environment, or to the whole project.
    pub fn stops_of(&self, environment: EnvironmentId) -> impl Iterator<Item = &(Option<EnvironmentId>, Stop)> {
        self.stops
            .iter()
            .filter(move |(of, _)| of.is_none_or(|of| of == environment))
    }

    /// Whether the caller may know of an environment.
    #[must_use]
    pub fn shows(&self, environment: &Environment) -> bool {
        self.only.is_none_or(|only| only == environment.id)
    }

    /// The environment of this name, if the caller may know of it.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|e| e.name.as_str() == name)
            .filter(|e| self.shows(e))
    }

    /// Whether the caller may bring an environment back to what ran there before. Where approvals open the door to all who may ask, a
    /// way back that passes no approvals is for those who may give them.
    ///
    /// # Errors
    /// Which role is needed, or which group.
    pub fn may_roll_back(&self, environment: &Environment) -> Result<(), Denied> {
        let passes_approvals = environment.policy.holds_rollbacks(GateKind::Approvals);
        if environment.protected && !passes_approvals {
            rights::check(self.role, Right::Change { protected: true })?;
        }
        self.may_change(environment)
    }

    /// Whether the caller may change what runs in an environment.
    ///
    /// # Errors
    /// Which role is needed, or which group.
    pub fn may_change(&self, environment: &Environment) -> Result<(), Denied> {
        // Where others must approve, asking is open to all who may change something.
        let protected = environment.protected && environment.policy.approvals.is_none();
        rights::check(self.role, Right::Change { protected })?;
        self.is_in_groups_of(environment)
    }

    /// Whether the caller may resume promotions to an environment, or in the whole project: then something may run again in each, so
    /// they must be of those for whom it is. To stop it in an emergency asks for less.
    ///
    /// # Errors
    /// Which role is needed, or which group.
    pub fn may_let_go_on(&self, environment: Option<EnvironmentId>) -> Result<(), Denied> {
        rights::check(self.role, STOP)?;
        self.environments
            .iter()
            .filter(|e| environment.is_none_or(|only| only == e.id))
            .try_for_each(|e| self.is_in_groups_of(e))
    }

    /// Whether the caller is of those for whom an environment is.
    ///
    /// # Errors
    /// Which group it takes.
    pub(crate) fn is_in_groups_of(&self, environment: &Environment) -> Result<(), Denied> {
        let allowed: Vec<Name> = self
            .restricted
            .iter()
            .filter(|(id, _)| *id == environment.id)
            .map(|(_, group)| group.clone())
            .collect();
        rights::check_groups(&environment.name, &allowed, &self.groups)
    }
}

/// There is no such thing, or the caller may not know of it.
pub(crate) fn not_found(what: &str, name: &str) -> AppError {
    AppError::NotFound(format!(
        "There is no {what} {name:?} here, or you may not see it. Check the name."
    ))
}

/// The project of this name (or id) in a workspace that the caller may see.
///
/// # Errors
/// When there is none.
pub(crate) async fn project_place(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &str,
    project: &str,
) -> Result<ProjectPlace, AppError> {
    let (workspace, _) = caller
        .access
        .iter()
        .find(|(w, _)| w.name.as_str() == workspace)
        .ok_or_else(|| not_found("workspace", workspace))?;
    let record = tx
        .projects(workspace.id)
        .await?
        .into_iter()
        .find(|record| record.project.name.as_str() == project || record.project.id.to_string() == project);
    let place = match record {
        Some(record) => complete_place(tx, caller, workspace, record).await?,
        None => None,
    };
    place.ok_or_else(|| not_found("project", project))
}

/// A project of a workspace, with all that its environments need; `None` when the caller may not know of it.
pub(crate) async fn complete_place(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    record: ProjectRecord,
) -> Result<Option<ProjectPlace>, AppError> {
    let project = record.project.id;
    let Some(role) = caller.role_in_project(workspace.id, project) else {
        return Ok(None);
    };
    rights::check(role, Right::View)?;
    Ok(Some(ProjectPlace {
        workspace: workspace.clone(),
        role,
        groups: caller.groups_in(workspace.id).to_vec(),
        only: caller.scope.and_then(|scope| scope.environment),
        environments: tx.environments(project).await?,
        restricted: tx.restrictions(project).await?,
        clusters: tx.clusters(workspace.id).await?,
        registries: tx.registries(workspace.id).await?,
        record,
        stops: tx.stops(project).await?,
    }))
}

/// The project with this id, for a caller who may see its workspace.
pub(crate) async fn project_place_by_id(
    tx: &mut dyn Tx,
    caller: &Caller,
    id: domain::id::ProjectId,
) -> Result<ProjectPlace, AppError> {
    let missing = || not_found("project", &id.to_string());
    let record = tx.project(id).await?.ok_or_else(missing)?;
    let (workspace, _) = caller
        .access
        .iter()
        .find(|(w, _)| w.id == record.project.workspace)
        .ok_or_else(missing)?;
    let place = complete_place(tx, caller, workspace, record).await?;
    place.ok_or_else(missing)
}

/// The environment that an address names.
///
/// # Errors
/// When there is none that the caller may see.
pub(crate) async fn environment_place(tx: &mut dyn Tx, caller: &Caller, at: &At) -> Result<EnvironmentPlace, AppError> {
    let project = project_place(tx, caller, &at.workspace, &at.project).await?;
    let environment = project
        .environment(&at.environment)
        .cloned()
        .ok_or_else(|| not_found("environment", &at.environment))?;
    Ok(EnvironmentPlace { project, environment })
}

/// The resource that an address names, for a caller who may change it.
pub(crate) async fn resource_to_change(
    services: &Services,
    caller: &Caller,
    at: &At,
    resource: &str,
) -> Result<(EnvironmentPlace, Resource), AppError> {
    let mut tx = services.store.read().await?;
    let place = environment_place(&mut *tx, caller, at).await?;
    place.project.may_change(&place.environment)?;
    let found = tx.resource_by_name(place.environment.id, resource).await?;
    Ok((place, found.ok_or_else(|| not_found("resource", resource))?))
}

/// Begins the transaction in which a caller changes what an environment runs. What they were asked before the network was, they are
/// asked again in it: rights may have been taken away meanwhile, groups left, the environment closed.
///
/// # Errors
/// When they may not change it any more, it is gone, or the database fails.
pub(crate) async fn write_change(
    services: &Services,
    caller: &Caller,
    before: &EnvironmentPlace,
) -> Result<(Box<dyn Tx>, Caller, EnvironmentPlace), AppError> {
    let (mut tx, caller) = caller::write_as_of_now(services, caller).await?;
    let id = before.project.record.project.id;
    let project = project_place_by_id(&mut *tx, &caller, id).await?;
    let environment = project
        .environments
        .iter()
        .find(|e| e.id == before.environment.id && project.shows(e))
        .cloned()
        .ok_or_else(|| not_found("environment", before.environment.name.as_str()))?;
    project.may_change(&environment)?;
    Ok((tx, caller, EnvironmentPlace { project, environment }))
}

/// The same resource, as it is in this transaction.
pub(crate) async fn reread(tx: &mut dyn Tx, resource: &Resource) -> Result<Resource, AppError> {
    tx.resource(resource.id)
        .await?
        .ok_or_else(|| not_found("resource", resource.name.as_str()))
}

/// A promotion that the caller may see, with its place, to be changed.
///
/// # Errors
/// When there is none, its resource was removed, or the database fails.
pub(crate) async fn promotion_place(
    tx: &mut dyn Tx,
    caller: &Caller,
    id: &str,
) -> Result<(Promotion, EnvironmentPlace), AppError> {
    let past = promotion_ever(tx, caller, id).await?;
    if past.is_removed {
        return Err(AppError::Conflict(format!(
            "{}/{} was deleted. Its promotions are history.",
            past.place.environment.name, past.resource.name
        )));
    }
    Ok((past.promotion, past.place))
}

/// A promotion that the caller may see, also of what was removed: history is kept. Nobody changes anything in such a place.
///
/// # Errors
/// When there is none, or the database fails.
pub(crate) async fn promotion_ever(tx: &mut dyn Tx, caller: &Caller, id: &str) -> Result<PromotionEver, AppError> {
    let missing = || not_found("promotion", id);
    let parsed: PromotionId = id.parse().map_err(|_| missing())?;
    let promotion = tx.promotion(parsed).await?.ok_or_else(missing)?;
    let (record, mut is_removed) = tx.project_ever(promotion.project).await?.ok_or_else(missing)?;
    let workspaces = &mut caller.access.iter();
    let (workspace, _) = workspaces
        .find(|(w, _)| w.id == record.project.workspace)
        .ok_or_else(missing)?;
    let place = complete_place(tx, caller, workspace, record).await?;
    let mut project = place.ok_or_else(missing)?;
    let (resource, resource_is_removed) = tx.resource_ever(promotion.resource).await?.ok_or_else(missing)?;
    is_removed |= resource_is_removed;
    let here = project.environments.iter().find(|e| e.id == promotion.environment);
    let environment = match here {
        Some(environment) => Some(environment.clone()),
        None => {
            let all = tx.environments_ever(promotion.project).await?.into_iter();
            is_removed = true;
            all.map(|(e, _)| e).find(|e| e.id == promotion.environment)
        }
    };
    let environment = environment.filter(|e| project.shows(e)).ok_or_else(missing)?;
    if is_removed {
        project.role = Role::Viewer;
    }
    Ok(PromotionEver {
        promotion,
        place: EnvironmentPlace { project, environment },
        resource,
        is_removed,
    })
}

/// Who may pause promotions: those who may change what runs in protected environments.
pub(crate) const STOP: Right = Right::Change { protected: true };

/// A project as Waybill itself sees it, for what it does by itself.
pub(crate) async fn place_for_waybill(
    tx: &mut dyn crate::store::Tx,
    record: ProjectRecord,
) -> Result<ProjectPlace, AppError> {
    let workspaces = tx.workspaces().await?;
    let workspace = workspaces.into_iter().find(|w| w.id == record.project.workspace);
    let workspace = workspace.ok_or_else(|| not_found("workspace", "of the project"))?;
    let caller = Caller::new(Actor::Waybill, vec![(workspace, Role::Admin)]);
    project_place_by_id(tx, &caller, record.project.id).await
}
