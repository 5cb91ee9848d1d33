//! The inbox: promotions that wait for this person's approval, newest first, with enough to decide.

use crate::{
    service::{
        context::{DecisionGroup, Services, WaitingInWorkspace, WaitingPosition, WaitingProject},
        gates,
        promotion::approver,
        reach::Caller,
    },
    store::{Awaiting, Tx},
};
use contract::{
    error::AppError,
    inbox::{InboxItem, InboxView},
};
use domain::{
    environment::{Environment, Workspace},
    id::{EnvironmentId, ProjectId, PromotionId, WorkspaceId},
    name::Name,
    promotion::{Actor, Promotion},
};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, PoisonError},
};

/// Promotions on a page.
const LISTED: usize = 50;
/// After so many events what waits is read anew.
const FEW_EVENTS: i64 = 2_000;
/// When events are about more promotions than this, what waits is read anew.
const FEW_PROMOTIONS: i64 = 100;

/// What one person may decide about.
#[derive(Default)]
struct Mine {
    workspaces: Vec<MineIn>,
    /// Of it, what they have decided about.
    decided: HashSet<PromotionId>,
}

/// The same in one workspace.
struct MineIn {
    workspace: Workspace,
    kept: WaitingInWorkspace,
    /// Whose approval would count: of these groups, by their place in the list.
    groups: Vec<usize>,
}

impl Mine {
    /// In no order.
    fn promotions(&self) -> impl Iterator<Item = WaitingPosition> {
        let groups = self.workspaces.iter().flat_map(|here| {
            let groups = here.groups.iter();
            groups.filter_map(|at| here.kept.waiting.get(*at))
        });
        let promotions = groups.flat_map(|group| &group.promotions).copied();
        promotions.filter(|(_, id)| !self.decided.contains(id))
    }

    /// Where a promotion wants to run.
    fn place(&self, promotion: &Promotion) -> Option<(&Name, &WaitingProject, &Environment)> {
        let mut workspaces = self.workspaces.iter();
        let here = workspaces.find(|here| here.workspace.id == promotion.workspace)?;
        let project = here.kept.projects.get(&promotion.project)?;
        Some((
            &here.workspace.name,
            project,
            project.environment(promotion.environment)?,
        ))
    }
}

/// What waits for the caller: a page of it, of what was asked for before the promotion `before` (empty: the newest).
///
/// # Errors
/// When the database fails.
pub async fn inbox(services: &Services, caller: &Caller, before: &str) -> Result<InboxView, AppError> {
    let mut tx = services.store.read().await?;
    let mine = mine(services, &mut *tx, caller).await?;
    // What is no promotion's id begins at the newest, like nothing.
    let before: Option<WaitingPosition> = match before.parse() {
        Ok(id) => tx.asked_at(id).await?.map(|at| (at, id)),
        Err(_) => None,
    };
    let older = |place: &WaitingPosition| before.is_none_or(|before| *place < before);
    // A page and one more: of many only these need be in order.
    let mut listed: Vec<_> = mine.promotions().filter(older).collect();
    if listed.len() > LISTED + 1 {
        listed.select_nth_unstable_by(LISTED, |a, b| b.cmp(a));
        listed.truncate(LISTED + 1);
    }
    listed.sort_unstable_by(|a, b| b.cmp(a));
    let page = listed.get(..LISTED).unwrap_or(&listed);
    let asked_at: HashMap<PromotionId, i64> = page.iter().map(|(at, id)| (*id, *at)).collect();
    let ids: Vec<PromotionId> = page.iter().map(|(_, id)| *id).collect();
    let mut items = Vec::with_capacity(page.len());
    for (promotion, resource, decision) in tx.with_gates(&ids).await? {
        let Some((workspace, project, environment)) = mine.place(&promotion) else {
            continue;
        };
        let decision = match decision {
            Some(decision) => decision,
            // It was not looked at yet.
            None => gates::decide_gates(services, &mut *tx, environment, &project.environments, &promotion).await?,
        };
        items.push(InboxItem {
            id: promotion.id,
            asked_at: asked_at.get(&promotion.id).copied().unwrap_or_default(),
            workspace: workspace.clone(),
            project: project.name.clone(),
            environment: environment.name.clone(),
            resource,
            purpose: promotion.purpose,
            origin: promotion.origin.map(|origin| (origin.environment, origin.resource)),
            image: promotion.image,
            previous: promotion.previous,
            gates: decision.gates,
            requested_by: promotion.requested_by.name().to_owned(),
            created_at: promotion.created_at,
        });
    }
    Ok(InboxView {
        older: listed.get(LISTED).and(ids.last()).copied(),
        items,
        total: mine.promotions().count(),
        now: services.now(),
    })
}

/// How many promotions wait for the caller.
///
/// # Errors
/// When the database fails.
pub async fn inbox_count(services: &Services, caller: &Caller) -> Result<usize, AppError> {
    let mut tx = services.store.read().await?;
    Ok(mine(services, &mut *tx, caller).await?.promotions().count())
}

/// What the caller may decide about and hasn't.
async fn mine(services: &Services, tx: &mut dyn Tx, caller: &Caller) -> Result<Mine, AppError> {
    let Actor::Person { id, .. } = &caller.actor else {
        return Ok(Mine::default());
    };
    let newest = tx.newest_event().await?;
    let mut mine = Mine {
        workspaces: Vec::new(),
        decided: tx.decided_by(*id).await?.into_iter().collect(),
    };
    for (workspace, _) in &caller.access {
        let kept = kept(services, tx, workspace.id, newest).await?;
        if kept.waiting.is_empty() {
            continue;
        }
        let makers = tx.token_makers(workspace.id).await?;
        let accepts = |alike: &DecisionGroup| {
            let environment = kept.projects.get(&alike.project)?.environment(alike.environment)?;
            // What isn't for the caller's eyes gives them no role.
            let role = caller.role_in_project(workspace.id, alike.project)?;
            let me = approver(caller, workspace.id, role)?;
            let requester = alike.requested_by.person_behind(&makers);
            let approvals = environment.policy.approvals.as_ref()?;
            approvals.accepts(&me, requester).then_some(())
        };
        let groups = kept.waiting.iter().enumerate();
        let groups = groups.filter_map(|(at, alike)| accepts(alike).map(|()| at)).collect();
        mine.workspaces.push(MineIn {
            workspace: workspace.clone(),
            kept,
            groups,
        });
    }
    Ok(mine)
}

/// What waits in a workspace as of the ledger's newest event.
async fn kept(
    services: &Services,
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    newest: i64,
) -> Result<WaitingInWorkspace, AppError> {
    let known = {
        let all = services.kept_inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&workspace).cloned()
    };
    let waiting = match known {
        Some(known) if known.at == newest => return Ok(known),
        Some(WaitingInWorkspace { at, waiting, .. }) if (at..at + FEW_EVENTS).contains(&newest) => {
            brought_up(tx, workspace, at, waiting).await?
        }
        _ => None,
    };
    let waiting = match waiting {
        Some(waiting) => waiting,
        None => Arc::new(grouped(tx.awaiting_approval(workspace).await?)),
    };
    let kept = WaitingInWorkspace {
        at: newest,
        projects: Arc::new(asking(tx, &waiting).await?),
        waiting,
    };
    let mut all = services.kept_inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(workspace, kept.clone());
    Ok(kept)
}

/// The projects in which something waits.
async fn asking(tx: &mut dyn Tx, waiting: &[DecisionGroup]) -> Result<HashMap<ProjectId, WaitingProject>, AppError> {
    let mut projects = HashMap::new();
    for alike in waiting {
        if let Entry::Vacant(new) = projects.entry(alike.project)
            && let Some(record) = tx.project(alike.project).await?
        {
            let name = record.project.name;
            let environments = tx.environments(alike.project).await?;
            new.insert(WaitingProject { name, environments });
        }
    }
    Ok(projects)
}

/// What waits now, when it was this as of an event; `None` when too much happened since.
async fn brought_up(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    after: i64,
    mut waiting: Arc<Vec<DecisionGroup>>,
) -> Result<Option<Arc<Vec<DecisionGroup>>>, AppError> {
    let touched = tx.promotions_after(workspace, after, FEW_PROMOTIONS + 1).await?;
    if touched.len() as i64 > FEW_PROMOTIONS {
        return Ok(None);
    }
    if touched.is_empty() {
        return Ok(Some(waiting));
    }
    let touched: HashSet<PromotionId> = touched.into_iter().collect();
    let groups = Arc::make_mut(&mut waiting);
    for group in groups.iter_mut() {
        group.promotions.retain(|(_, id)| !touched.contains(id));
    }
    for id in touched {
        if let Some(one) = tx.awaits_approval(id).await? {
            let alike = |group: &&mut DecisionGroup| {
                (group.environment, &group.requested_by) == (one.environment, &one.requested_by)
            };
            match groups.iter_mut().find(alike) {
                Some(group) => group.promotions.push((one.asked_at, one.promotion)),
                None => groups.extend(grouped(vec![one])),
            }
        }
    }
    groups.retain(|group| !group.promotions.is_empty());
    Ok(Some(waiting))
}

fn grouped(all: Vec<Awaiting>) -> Vec<DecisionGroup> {
    let mut groups: HashMap<(EnvironmentId, Actor), DecisionGroup> = HashMap::new();
    for one in all {
        match groups.entry((one.environment, one.requested_by)) {
            Entry::Occupied(mut group) => group.get_mut().promotions.push((one.asked_at, one.promotion)),
            Entry::Vacant(none) => {
                let requested_by = none.key().1.clone();
                none.insert(DecisionGroup {
                    project: one.project,
                    environment: one.environment,
                    requested_by,
                    promotions: vec![(one.asked_at, one.promotion)],
                });
            }
        }
    }
    groups.into_values().collect()
}
