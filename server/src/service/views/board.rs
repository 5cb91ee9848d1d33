//! The board: resources × environments of a project; an environment is one column of it.

use crate::service::{
    context::Services,
    observe,
    reach::{self, Caller, EnvironmentPlace, ProjectPlace, STOP},
    views::cells,
};
use contract::{
    backend::At,
    board::{BoardRow, BoardView, Cell, EnvironmentHead},
    board_filter::BoardFilter,
    environment::{EnvironmentView, StopView},
    error::AppError,
};
use domain::{
    environment::Environment,
    gate::Stop,
    id::EnvironmentId,
    name::Name,
    rights::{self, Right},
    time::Timestamp,
};
use std::sync::Arc;

/// Promotions under way that a board tells of: if more are stuck, these are where to begin.
const MOST_OPEN: usize = 20;

pub(crate) fn environment_head(place: &ProjectPlace, environment: &Environment) -> EnvironmentHead {
    let cluster = place.cluster(environment);
    EnvironmentHead {
        name: environment.name.clone(),
        cluster: cluster.map_or_else(|| environment.name.clone(), |c| c.cluster.name.clone()),
        protected: environment.protected,
        git_only: cluster.is_none_or(|c| c.cluster.argocd.is_none()),
        may_change: place.may_change(environment).is_ok(),
    }
}

/// What runs where in a project.
///
/// # Errors
/// When there is no such project for the caller.
pub async fn board(
    services: &Services,
    caller: &Caller,
    workspace: &str,
    project: &str,
    filter: &BoardFilter,
) -> Result<BoardView, AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::project_place(&mut *tx, caller, workspace, project).await?;
    let cells = cells::cells(services, &mut *tx, &place).await?;
    drop(tx);
    let now = services.now();
    let shown = place.environments.iter().filter(|e| place.shows(e));
    let environments: Vec<EnvironmentHead> = shown.map(|e| environment_head(&place, e)).collect();
    let columns = filter.columns(&environments);
    let narrowed = only_column(&place, cells.rows());
    let rows = narrowed.as_deref().unwrap_or_else(|| cells.rows());
    let total = rows.len();
    let matches: Vec<&Arc<BoardRow>> = rows.iter().filter(|row| filter.shows(row, &columns)).collect();
    let mut open = cells.longest_open(MOST_OPEN);
    open.retain(|open| environments.iter().any(|head| head.name == open.environment));
    Ok(BoardView {
        environments,
        matching: matches.len(),
        rows: matches.into_iter().take(filter.limit()).cloned().collect(),
        total,
        open,
        problem: place.record.problem,
        now: Timestamp(now.0 - now.0.rem_euclid(1000)),
        workspace: place.workspace.name,
        project: place.record.project.name,
    })
}

/// One environment with its resources.
///
/// # Errors
/// When there is no such environment for the caller.
pub async fn environment(services: &Services, caller: &Caller, at: &At) -> Result<EnvironmentView, AppError> {
    let mut tx = services.store.read().await?;
    let EnvironmentPlace {
        project: place,
        environment,
    } = reach::environment_place(&mut *tx, caller, at).await?;
    let cells = cells::cells(services, &mut *tx, &place).await?;
    let here = cells.resources().filter(|r| r.environment == environment.id);
    let mut resources: Vec<(Name, Cell)> = here
        .filter_map(|r| Some((r.name.clone(), hide_other_environments(&place, cells.cell(r.id)?))))
        .collect();
    resources.sort_by(|(a, _), (b, _)| a.cmp(b));
    let unpromoted = super::unpromoted::of_environment(&mut *tx, environment.id).await?;
    let application = place
        .cluster(&environment)
        .and_then(|c| reach::application(c, &place.record.project.name, &environment.name))
        .map(|app| app.name);
    Ok(EnvironmentView {
        head: environment_head(&place, &environment),
        denied: place.may_change(&environment).err().map(|denied| denied.to_string()),
        values_path: place.record.project.values_path(&environment.key),
        application,
        other_branch: place
            .cluster(&environment)
            .and_then(|cluster| observe::other_branch_warning(services, cluster, &place.record.project, &environment)),
        policy: environment.policy.words(),
        stops: place.stops_of(environment.id).map(|one| stop(&place, one)).collect(),
        may_stop: rights::check(place.role, STOP).is_ok(),
        may_remove: place.only.is_none() && rights::check(place.role, Right::Administer).is_ok(),
        resources,
        unpromoted,
        now: services.now(),
        workspace: place.workspace.name,
        project: place.record.project.name,
    })
}

fn stop(place: &ProjectPlace, (of, stop): &(Option<EnvironmentId>, Stop)) -> StopView {
    StopView {
        of_project: of.is_none(),
        may_lift: place.may_let_go_on(*of).is_ok() && (of.is_some() || place.only.is_none()),
        by: stop.by.name().to_owned(),
        reason: stop.reason.clone(),
        at: stop.at,
    }
}

/// A cell as the caller may see it: who is for one environment isn't told the names of others, from which its images come.
pub(crate) fn hide_other_environments(place: &ProjectPlace, cell: &Cell) -> Cell {
    let mut cell = cell.clone();
    if place.only.is_some() {
        cell.follows.source = None;
        cell.behind.iter_mut().for_each(|behind| behind.of = None);
    }
    cell
}

/// The rows with the one column that a token is for; `None` when it isn't for one.
fn only_column(place: &ProjectPlace, rows: &[Arc<BoardRow>]) -> Option<Vec<Arc<BoardRow>>> {
    let only = place.only?;
    let column = place.environments.iter().position(|e| e.id == only)?;
    let narrow = |row: &Arc<BoardRow>| {
        let cell = row.cells.get(column)?.as_ref()?;
        Some(Arc::new(BoardRow {
            resource: row.resource.clone(),
            cells: vec![Some(hide_other_environments(place, cell))],
        }))
    };
    Some(rows.iter().filter_map(narrow).collect())
}
