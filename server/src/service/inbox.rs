//! The inbox: promotions that wait for this person's approval, newest first, with enough to decide.

use super::{Caller, Services, approve::approver};
use crate::store::{Awaiting, Tx};
use app::{
    api::inbox::{InboxItem, InboxView},
    error::AppError,
};
use domain::{
    environment::{Environment, Workspace},
    gate::Approver,
    id::{EnvironmentId, ProjectId, PromotionId, UserId, WorkspaceId},
    name::Name,
    promotion::Actor,
};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

/// Promotions on a page.
const LISTED: usize = 50;

/// After so many events what waits is read anew.
const FEW_EVENTS: i64 = 2_000;
/// When events are about more promotions than this, what waits is read anew.
const FEW_PROMOTIONS: i64 = 100;

/// What waits in each workspace, as the ledger told of it so far: whatever begins or ends to wait is told there.
#[derive(Debug, Default)]
pub struct KeptInbox(Mutex<HashMap<WorkspaceId, Kept>>);

/// What waits, as of an event of the ledger.
type Kept = (i64, Arc<Vec<Alike>>);

/// Promotions about which the same people may decide: one environment's, asked for by the same.
#[derive(Clone, Debug)]
struct Alike {
    project: ProjectId,
    environment: EnvironmentId,
    requested_by: Actor,
    promotions: Vec<PromotionId>,
}

/// What one person may decide about.
struct Mine {
    /// Newest first.
    promotions: Vec<PromotionId>,
    /// Projects in which something waits; `None` for what isn't for the caller's eyes.
    projects: HashMap<ProjectId, Option<Asking>>,
}

/// A project in which promotions wait, as one caller sees it.
struct Asking {
    workspace: Name,
    name: Name,
    environments: Vec<Environment>,
    /// The caller as one who decides; `None` for programs.
    me: Option<Approver>,
}

impl Asking {
    fn environment(&self, id: EnvironmentId) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.id == id)
    }

    /// Whether the caller's approval would count for what `requester` asked for.
    fn accepts(&self, environment: EnvironmentId, requester: Option<UserId>) -> bool {
        let approvals = self.environment(environment).and_then(|e| e.policy.approvals.as_ref());
        approvals
            .zip(self.me.as_ref())
            .is_some_and(|(approvals, me)| approvals.accepts(me, requester))
    }
}

impl Services {
    /// What waits for the caller: a page of it, of what was asked for before the promotion `before` (empty: the newest).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox(&self, caller: &Caller, before: &str) -> Result<InboxView, AppError> {
        let mut tx = self.store.read().await?;
        let mine = self.mine(&mut *tx, caller).await?;
        // What is no promotion's id begins at the newest, like nothing.
        let before: Option<PromotionId> = before.parse().ok();
        let newer = (mine.promotions).partition_point(|id| before.is_some_and(|before| *id >= before));
        let listed = mine.promotions.get(newer..).unwrap_or_default();
        let page = listed.get(..LISTED).unwrap_or(listed);
        let mut items = Vec::with_capacity(page.len());
        for (promotion, resource, decision) in tx.with_gates(page).await? {
            let Some(project) = mine.projects.get(&promotion.project).and_then(Option::as_ref) else {
                continue;
            };
            let Some(environment) = project.environment(promotion.environment) else {
                continue;
            };
            let decision = match decision {
                Some(decision) => decision,
                // It was not looked at yet.
                None => {
                    self.decide(&mut *tx, environment, &project.environments, &promotion)
                        .await?
                }
            };
            items.push(InboxItem {
                id: promotion.id,
                workspace: project.workspace.clone(),
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
            older: listed.get(LISTED).and(listed.get(LISTED - 1)).copied(),
            items,
            total: mine.promotions.len(),
            now: self.now(),
        })
    }

    /// How many promotions wait for the caller.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox_count(&self, caller: &Caller) -> Result<usize, AppError> {
        let mut tx = self.store.read().await?;
        Ok(self.mine(&mut *tx, caller).await?.promotions.len())
    }

    /// The promotions about which the caller may decide and hasn't.
    async fn mine(&self, tx: &mut dyn Tx, caller: &Caller) -> Result<Mine, AppError> {
        let mut mine = Mine {
            promotions: Vec::new(),
            projects: HashMap::new(),
        };
        let Actor::Person { id, .. } = &caller.actor else {
            return Ok(mine);
        };
        let newest = tx.newest_event().await?;
        let decided: HashSet<PromotionId> = tx.decided_by(*id).await?.into_iter().collect();
        for (workspace, _) in &caller.access {
            let waiting = self.waiting_in(tx, workspace.id, newest).await?;
            let makers = match waiting.is_empty() {
                true => Vec::new(),
                false => tx.token_makers(workspace.id).await?,
            };
            for alike in waiting.iter() {
                let project = match mine.projects.entry(alike.project) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(asking(tx, caller, workspace, alike.project).await?),
                };
                let requester = alike.requested_by.person_behind(&makers);
                if project.as_ref().is_some_and(|project| project.accepts(alike.environment, requester)) {
                    let open = alike.promotions.iter().filter(|id| !decided.contains(id));
                    mine.promotions.extend(open);
                }
            }
        }
        mine.promotions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(mine)
    }

    async fn waiting_in(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        newest: i64,
    ) -> Result<Arc<Vec<Alike>>, AppError> {
        let kept = {
            let all = self.kept_inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&workspace).map(|(at, waiting)| (*at, Arc::clone(waiting)))
        };
        let waiting = match kept {
            Some((at, waiting)) if at == newest => return Ok(waiting),
            Some((at, waiting)) if (at..at + FEW_EVENTS).contains(&newest) => {
                brought_up(tx, workspace, at, waiting).await?
            }
            _ => None,
        };
        let waiting = match waiting {
            Some(waiting) => waiting,
            None => Arc::new(grouped(tx.awaiting_approval(workspace).await?)),
        };
        let mut all = self.kept_inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(workspace, (newest, Arc::clone(&waiting)));
        Ok(waiting)
    }
}

/// A project in which something waits; `None` when the caller may not know of it.
async fn asking(
    tx: &mut dyn Tx,
    caller: &Caller,
    workspace: &Workspace,
    project: ProjectId,
) -> Result<Option<Asking>, AppError> {
    let Some(role) = caller.role_in_project(workspace.id, project) else {
        return Ok(None);
    };
    let Some(record) = tx.project(project).await? else {
        return Ok(None);
    };
    Ok(Some(Asking {
        workspace: workspace.name.clone(),
        name: record.project.name,
        environments: tx.environments(project).await?,
        me: approver(caller, workspace.id, role),
    }))
}

/// What waits now, when it was this as of an event; `None` when too much happened since.
async fn brought_up(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    after: i64,
    mut waiting: Arc<Vec<Alike>>,
) -> Result<Option<Arc<Vec<Alike>>>, AppError> {
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
        group.promotions.retain(|id| !touched.contains(id));
    }
    for id in touched {
        if let Some(one) = tx.awaits_approval(id).await? {
            let alike =
                |group: &&mut Alike| (group.environment, &group.requested_by) == (one.environment, &one.requested_by);
            match groups.iter_mut().find(alike) {
                Some(group) => group.promotions.push(one.promotion),
                None => groups.extend(grouped(vec![one])),
            }
        }
    }
    groups.retain(|group| !group.promotions.is_empty());
    Ok(Some(waiting))
}

fn grouped(all: Vec<Awaiting>) -> Vec<Alike> {
    let mut groups: HashMap<(EnvironmentId, Actor), Alike> = HashMap::new();
    for one in all {
        match groups.entry((one.environment, one.requested_by)) {
            Entry::Occupied(mut group) => group.get_mut().promotions.push(one.promotion),
            Entry::Vacant(none) => {
                let requested_by = none.key().1.clone();
                none.insert(Alike {
                    project: one.project,
                    environment: one.environment,
                    requested_by,
                    promotions: vec![one.promotion],
                });
            }
        }
    }
    groups.into_values().collect()
}
