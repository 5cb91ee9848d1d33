//! The cells of a project: what each resource runs, compared with what it should, and how it follows its source.

use crate::{
    service::{
        context::{Cells, Services},
        reach::ProjectPlace,
        sources::{TagCounts, WhatCounts, count_newer, course, newest_that_counts},
    },
    store::Tx,
};
use contract::{
    board::{Behind, BoardRow, Cell, Follows, HoldView, Moving, Truth},
    error::AppError,
};
use domain::{
    artifact::{Digest, ExactImage},
    environment::Environment,
    id::EnvironmentId,
    promotion::{Promotion, State},
    resource::{Resource, Source, Unknown},
    succession::starved,
    time::Timestamp,
    told::EventKind,
};
use std::{collections::HashMap, sync::Arc};

/// Promotions of a resource that are looked through for those that were superseded while it waits.
const MOST_STARVED: i64 = 200;
/// So many events later a project's cells are read again without looking for one that touched it.
const MOST_UNREAD: i64 = 2_000;
/// What happens in a workspace and shows in no cell.
const UNSEEN: [EventKind; 17] = [
    EventKind::AccountActivated,
    EventKind::AccountDeactivated,
    EventKind::CheckReported,
    EventKind::GroupCreated,
    EventKind::GroupJoined,
    EventKind::GroupLeft,
    EventKind::InvitationWithdrawn,
    EventKind::MemberInvited,
    EventKind::MemberJoined,
    EventKind::MemberRemoved,
    EventKind::PasswordChanged,
    EventKind::RoleChanged,
    EventKind::SignInFailed,
    EventKind::SignedIn,
    EventKind::SignedOutEverywhere,
    EventKind::TokenCreated,
    EventKind::TokenRevoked,
];

/// The cells of a project, as they are now.
pub(crate) async fn cells(services: &Services, tx: &mut dyn Tx, place: &ProjectPlace) -> Result<Arc<Cells>, AppError> {
    let slot = services.kept_cells.slot(place.record.project.id);
    let mut slot = slot.lock().await;
    let newest = tx.newest_event().await?;
    let kept = match &*slot {
        Some((at, cells)) if *at == newest || !touched(tx, place, *at, newest).await? => Some(Arc::clone(cells)),
        _ => None,
    };
    let cells = match kept {
        Some(cells) => cells,
        None => Arc::new(read_cells(tx, place).await?),
    };
    *slot = Some((newest, Arc::clone(&cells)));
    Ok(cells)
}

/// Whether something happened between two events of the ledger that may show in a project's cells.
async fn touched(tx: &mut dyn Tx, place: &ProjectPlace, after: i64, newest: i64) -> Result<bool, AppError> {
    if newest - after > MOST_UNREAD {
        return Ok(true);
    }
    let kinds = tx
        .kinds_after(after, place.workspace.id, place.record.project.id)
        .await?;
    Ok(kinds.iter().any(|kind| !UNSEEN.contains(kind)))
}

/// Reads them.
async fn read_cells(tx: &mut dyn Tx, place: &ProjectPlace) -> Result<Cells, AppError> {
    let project = place.record.project.id;
    let git_only = |e: &Environment| place.cluster(e).is_none_or(|c| c.cluster.argocd.is_none());
    let watches = tx.watches(place.workspace.id).await?;
    let lost = |e: &Environment| {
        let watch = watches.iter().find(|watch| watch.cluster == e.cluster)?;
        Some((e.id, watch.lost?))
    };
    let mut this = Cells {
        workspace: place.workspace.id,
        lost: place.environments.iter().filter_map(lost).collect(),
        environments: place
            .environments
            .iter()
            .map(|e| (e.id, (e.name.clone(), git_only(e))))
            .collect(),
        platforms: place
            .environments
            .iter()
            .map(|e| (e.id, place.platforms(e.id).to_vec()))
            .filter(|(_, platforms)| !platforms.is_empty())
            .collect(),
        resources: tx.resources(project).await?.into_iter().map(|r| (r.id, r)).collect(),
        switched_off: tx.switched_off(project).await?,
        incomplete: (tx.incomplete(place.workspace.id).await?.into_iter())
            .map(|record| (record.image.repository, record.image.digest))
            .collect(),
        moved_tags: (tx.drifted_markers(project).await?.into_iter())
            .map(|tag| (tag.wanted.resource, tag.wanted.tag))
            .collect(),
        newest: tx
            .newest_promotions(project)
            .await?
            .into_iter()
            .map(|p| (p.resource, p))
            .collect(),
        rows: Vec::new(),
        places: HashMap::new(),
    };
    let column: HashMap<EnvironmentId, usize> = place.environments.iter().enumerate().map(|(i, e)| (e.id, i)).collect();
    let mut sorted: Vec<(&Resource, usize)> = this
        .resources
        .values()
        .filter_map(|resource| Some((resource, *column.get(&resource.environment)?)))
        .collect();
    sorted.sort_unstable_by_key(|(resource, _)| &resource.name);
    let (mut rows, mut places): (Vec<BoardRow>, _) = (Vec::new(), HashMap::with_capacity(sorted.len()));
    for (resource, column_of_it) in sorted {
        let cell = make(&this, tx, resource).await?;
        if rows.last().is_none_or(|row| row.resource != resource.name) {
            rows.push(BoardRow {
                resource: resource.name.clone(),
                cells: vec![None; column.len()],
            });
        }
        places.insert(resource.id, (rows.len() - 1, column_of_it));
        if let Some(place) = rows.last_mut().and_then(|row| row.cells.get_mut(column_of_it)) {
            *place = Some(cell);
        }
    }
    (this.rows, this.places) = (rows.into_iter().map(Arc::new).collect(), places);
    Ok(this)
}

async fn make(cells: &Cells, tx: &mut dyn Tx, resource: &Resource) -> Result<Cell, AppError> {
    let newest = cells.newest.get(&resource.id);
    let git_only = cells
        .environments
        .get(&resource.environment)
        .is_none_or(|(_, git_only)| *git_only);
    let lost = cells.lost.get(&resource.environment).copied();
    let starved = match newest {
        Some(newest) if newest.state == State::Waiting => {
            // Mostly nothing was superseded, which the last two say.
            let last = tx.promotions_of(resource.id, 2).await?;
            let may_be = |p: &Promotion| matches!(p.state, State::Waiting | State::Superseded);
            if last.len() > 1 && last.iter().all(may_be) {
                starved(&tx.promotions_of(resource.id, MOST_STARVED).await?)
            } else {
                None
            }
        }
        _ => None,
    };
    Ok(Cell {
        kind: resource.kind.clone(),
        image: resource.desired.clone(),
        since: resource.desired_at,
        outside: resource.outside.clone(),
        unclear: resource.unclear.clone(),
        switched_off: cells.switched_off.contains(&resource.id),
        incomplete: (resource.desired.as_ref()).is_some_and(|image| {
            let at = (image.repository.clone(), image.digest.clone());
            cells.incomplete.contains(&at)
        }),
        moved_tag: cells.moved_tags.get(&resource.id).cloned(),
        truth: truth(resource, newest, git_only, lost),
        out_of_sight: lost.filter(|_| resource.live.is_some() && !git_only),
        follows: Follows {
            source: match &resource.source {
                Source::Promote { from } => cells.name_of(*from),
                Source::Image { .. } => None,
            },
            binding: resource.binding.clone(),
            hold: resource.hold.as_ref().map(|hold| HoldView {
                cause: hold.cause,
                words: hold.words(resource.desired.as_ref()),
                at: hold.at,
            }),
        },
        behind: behind(cells, tx, resource).await?,
        moving: newest.filter(|p| !p.state.is_ended()).map(|p| Moving {
            id: p.id,
            state: p.state,
            image: p.image.clone(),
            starved: starved.map(|starved| (starved.since, starved.superseded)),
        }),
        failed: newest.filter(|p| p.state == State::Failed).map(|p| p.id),
    })
}

/// How far a resource is behind its source; `None` when it isn't.
async fn behind(cells: &Cells, tx: &mut dyn Tx, resource: &Resource) -> Result<Option<Behind>, AppError> {
    let latest = latest(cells, tx, resource).await?;
    let (Some(latest), Some(desired)) = (latest, &resource.desired) else {
        return Ok(None);
    };
    if latest.digest == desired.digest {
        return Ok(None);
    }
    let of = match &resource.source {
        Source::Promote { from } => cells.name_of(*from).map(|(environment, _)| environment),
        Source::Image { .. } => None,
    };
    let tags = TagCounts::of(cells.order_of(resource));
    let course = course(tx, cells.workspace, &tags, Some(desired), &latest).await?;
    // None when its source went back to an older artifact: then it isn't behind by any number.
    let newer = count_newer(tx, cells.workspace, &tags, desired, &latest).await?;
    let count = newer.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    Ok(Some(Behind {
        course,
        count,
        of,
        latest,
    }))
}

/// What a resource's source offers now.
pub(crate) async fn latest(
    cells: &Cells,
    tx: &mut dyn Tx,
    resource: &Resource,
) -> Result<Option<ExactImage>, AppError> {
    Ok(match &resource.source {
        Source::Promote { from } => cells.resources.get(from).and_then(|source| source.desired.clone()),
        Source::Image { repository, tags } => {
            let platforms = cells
                .platforms
                .get(&resource.environment)
                .map_or(&[][..], Vec::as_slice);
            newest_that_counts(tx, cells.workspace, repository, &WhatCounts::new(tags, platforms)).await?
        }
    })
}

/// What is live, compared with what Git says.
fn truth(resource: &Resource, newest: Option<&Promotion>, git_only: bool, lost: Option<Timestamp>) -> Truth {
    if git_only {
        return Truth::GitOnly;
    }
    let Some(live) = &resource.live else {
        return lost.map_or(Truth::NotReported, Truth::NotKnownSince);
    };
    match live.unknown {
        Some(Unknown::Checking) => return Truth::Checking,
        Some(Unknown::NoApplication) => return Truth::NoApplication,
        None => {}
    }
    if live.digests.is_empty() {
        return if resource.expects_pods() {
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
