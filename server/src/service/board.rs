//! The board and its cells; an environment is one column of it.

use super::{
    Caller, Services, connection,
    place::{EnvironmentPlace, ProjectPlace},
};
use crate::store::Tx;
use app::{
    api::{
        board::{Behind, BoardRow, BoardView, Cell, EnvironmentHead, Follows, Held, Moving, Truth},
        environment::EnvironmentView,
    },
    backend::At,
    error::AppError,
};
use domain::{
    artifact::{Digest, ExactImage},
    environment::Environment,
    id::{EnvironmentId, ResourceId, WorkspaceId},
    name::Name,
    promotion::{Promotion, State},
    resource::{Kind, Resource, Source},
};
use std::collections::{BTreeMap, HashMap};

/// All that the cells of a project are made of.
pub(crate) struct Cells {
    workspace: WorkspaceId,
    environments: HashMap<EnvironmentId, (Name, bool)>,
    resources: HashMap<ResourceId, Resource>,
    newest: HashMap<ResourceId, Promotion>,
}

impl Cells {
    /// Reads them.
    pub(crate) async fn read(tx: &mut dyn Tx, place: &ProjectPlace) -> Result<Self, AppError> {
        let project = place.record.project.id;
        let git_only = |e: &Environment| place.cluster(e).is_none_or(|c| c.cluster.argocd.is_none());
        Ok(Self {
            workspace: place.workspace.id,
            environments: place
                .environments
                .iter()
                .map(|e| (e.id, (e.name.clone(), git_only(e))))
                .collect(),
            resources: tx.resources(project).await?.into_iter().map(|r| (r.id, r)).collect(),
            newest: tx
                .newest_promotions(project)
                .await?
                .into_iter()
                .map(|p| (p.resource, p))
                .collect(),
        })
    }

    /// The resources, in no order.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// The environment's and resource's name.
    pub(crate) fn name_of(&self, id: ResourceId) -> Option<(Name, Name)> {
        let resource = self.resources.get(&id)?;
        let (environment, _) = self.environments.get(&resource.environment)?;
        Some((environment.clone(), resource.name.clone()))
    }

    /// A resource's cell.
    pub(crate) async fn cell(&self, tx: &mut dyn Tx, resource: &Resource) -> Result<Cell, AppError> {
        let newest = self.newest.get(&resource.id);
        let git_only = self
            .environments
            .get(&resource.environment)
            .is_none_or(|(_, git_only)| *git_only);
        Ok(Cell {
            kind: resource.kind,
            image: resource.desired.clone(),
            since: resource.desired_at,
            outside: resource.outside.clone(),
            truth: truth(resource, newest, git_only),
            follows: Follows {
                source: match &resource.source {
                    Source::Promote { from } => self.name_of(*from),
                    Source::Image { .. } => None,
                },
                binding: resource.binding.clone(),
                hold: resource.hold.as_ref().map(|hold| Held {
                    cause: hold.cause,
                    by: hold.by.name().to_owned(),
                    at: hold.at,
                }),
            },
            behind: self.behind(tx, resource).await?,
            moving: newest.filter(|p| !p.state.is_ended()).map(|p| Moving {
                id: p.id,
                state: p.state,
                image: p.image.clone(),
            }),
            failed: newest.filter(|p| p.state == State::Failed).map(|p| p.id),
        })
    }

    /// How far a resource is behind its source; `None` when it isn't.
    async fn behind(&self, tx: &mut dyn Tx, resource: &Resource) -> Result<Option<Behind>, AppError> {
        let latest = self.latest(tx, resource).await?;
        let (Some(latest), Some(desired)) = (latest, &resource.desired) else {
            return Ok(None);
        };
        if latest.digest == desired.digest {
            return Ok(None);
        }
        let of = match &resource.source {
            Source::Promote { from } => self.name_of(*from).map(|(environment, _)| environment),
            Source::Image { .. } => None,
        };
        // None when its source went back to an older artifact: then it isn't behind by any number.
        let newer = tx
            .count_newer(self.workspace, &latest.repository, &desired.digest, &latest.digest)
            .await?;
        let count = u32::try_from(newer).ok().filter(|n| *n > 0);
        Ok(Some(Behind { count, of }))
    }

    /// What a resource's source offers now.
    pub(crate) async fn latest(&self, tx: &mut dyn Tx, resource: &Resource) -> Result<Option<ExactImage>, AppError> {
        Ok(match &resource.source {
            Source::Promote { from } => self.resources.get(from).and_then(|source| source.desired.clone()),
            Source::Image { repository } => {
                let newest = tx.recent_artifacts(self.workspace, repository, 1).await?;
                newest.into_iter().next().map(|artifact| artifact.image)
            }
        })
    }
}

/// What is live, compared with what Git says.
fn truth(resource: &Resource, newest: Option<&Promotion>, git_only: bool) -> Truth {
    if git_only {
        return Truth::GitOnly;
    }
    let Some(live) = &resource.live else {
        return Truth::NotReported;
    };
    if live.digests.is_empty() {
        let should_run = matches!(resource.kind, Kind::Deployment | Kind::StatefulSet);
        return if should_run && resource.runtime.replicas != Some(0) {
            Truth::NothingRuns
        } else {
            Truth::Idle
        };
    }
    let Some(desired) = &resource.desired else {
        return Truth::Drift(live.digests.iter().map(|d| d.short().to_owned()).collect());
    };
    let matching = live.digests.iter().filter(|d| **d == desired.digest).count();
    let moving = newest.is_some_and(|p| !p.state.is_ended());
    match (matching, live.digests.len()) {
        (1.., all) if matching == all => Truth::Live(live.health),
        (1.., _) => Truth::RollingOut,
        // Argo CD is on its way to what Git says; it is drift only when nobody is taking it there.
        (0, _) if moving => Truth::RollingOut,
        _ => Truth::Drift(live.digests.iter().map(Digest::short).map(str::to_owned).collect()),
    }
}

pub(crate) fn head(place: &ProjectPlace, environment: &Environment) -> EnvironmentHead {
    let cluster = place.cluster(environment);
    EnvironmentHead {
        name: environment.name.clone(),
        cluster: cluster.map_or_else(|| environment.name.clone(), |c| c.cluster.name.clone()),
        protected: environment.protected,
        git_only: cluster.is_none_or(|c| c.cluster.argocd.is_none()),
        may_change: place.may_change(environment).is_ok(),
    }
}

impl Services {
    /// What runs where in a project.
    ///
    /// # Errors
    /// When there is no such project for the caller.
    pub async fn board(&self, caller: &Caller, workspace: &str, project: &str) -> Result<BoardView, AppError> {
        let mut tx = self.store.read().await?;
        let place = self.project_place(&mut *tx, caller, workspace, project).await?;
        let cells = Cells::read(&mut *tx, &place).await?;
        let column: HashMap<EnvironmentId, usize> =
            place.environments.iter().enumerate().map(|(i, e)| (e.id, i)).collect();
        let mut rows: BTreeMap<Name, Vec<Option<Cell>>> = BTreeMap::new();
        for resource in cells.resources() {
            let Some(i) = column.get(&resource.environment) else {
                continue;
            };
            let cell = cells.cell(&mut *tx, resource).await?;
            let row = rows
                .entry(resource.name.clone())
                .or_insert_with(|| vec![None; column.len()]);
            row[*i] = Some(cell);
        }
        Ok(BoardView {
            environments: place.environments.iter().map(|e| head(&place, e)).collect(),
            rows: rows
                .into_iter()
                .map(|(resource, cells)| BoardRow { resource, cells })
                .collect(),
            problem: place.record.problem,
            now: self.now(),
            workspace: place.workspace.name,
            project: place.record.project.name,
        })
    }

    /// One environment with its resources.
    ///
    /// # Errors
    /// When there is no such environment for the caller.
    pub async fn environment(&self, caller: &Caller, at: &At) -> Result<EnvironmentView, AppError> {
        let mut tx = self.store.read().await?;
        let EnvironmentPlace {
            project: place,
            environment,
        } = self.environment_place(&mut *tx, caller, at).await?;
        let cells = Cells::read(&mut *tx, &place).await?;
        let mut resources = Vec::new();
        for resource in cells.resources().filter(|r| r.environment == environment.id) {
            resources.push((resource.name.clone(), cells.cell(&mut *tx, resource).await?));
        }
        resources.sort_by(|(a, _), (b, _)| a.cmp(b));
        let application = place
            .cluster(&environment)
            .and_then(|c| connection::application(c, &place.record.project.name, &environment.name))
            .map(|app| app.name);
        Ok(EnvironmentView {
            head: head(&place, &environment),
            values_path: place.record.project.values_path(&environment.name),
            application,
            resources,
            now: self.now(),
            workspace: place.workspace.name,
            project: place.record.project.name,
        })
    }
}
