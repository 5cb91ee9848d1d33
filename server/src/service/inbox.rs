//! The inbox: promotions that wait for this person's approval, newest first, with enough to decide.

use super::{Caller, Services, approve::approver, place::ProjectPlace};
use crate::store::{Awaiting, Tx};
use app::{
    api::inbox::{InboxItem, InboxView},
    error::AppError,
};
use domain::{
    id::{EnvironmentId, ProjectId, PromotionId, UserId, WorkspaceId},
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
    /// Where they want to run.
    places: HashMap<ProjectId, ProjectPlace>,
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
        let mut items = Vec::new();
        for id in listed.iter().take(LISTED) {
            let Some((promotion, resource, decision)) = tx.with_gates(*id).await? else {
                continue;
            };
            let Some(place) = mine.places.get(&promotion.project) else {
                continue;
            };
            let Some(environment) = place.environments.iter().find(|e| e.id == promotion.environment) else {
                continue;
            };
            let decision = match decision {
                Some(decision) => decision,
                // It was not looked at yet.
                None => {
                    self.decide(&mut *tx, environment, &place.environments, &promotion)
                        .await?
                }
            };
            items.push(InboxItem {
                id: promotion.id,
                workspace: place.workspace.name.clone(),
                project: place.record.project.name.clone(),
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
            places: HashMap::new(),
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
                if let Entry::Vacant(vacant) = mine.places.entry(alike.project) {
                    match self.project_place_by_id(tx, caller, alike.project).await {
                        // Not for this caller's eyes.
                        Err(AppError::NotFound(_)) => continue,
                        place => drop(vacant.insert(place?)),
                    }
                }
                let place = mine.places.get(&alike.project);
                if place.is_some_and(|place| accepts(caller, place, alike, alike.requested_by.person_behind(&makers))) {
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

/// Whether the caller's approval would count.
fn accepts(caller: &Caller, place: &ProjectPlace, alike: &Alike, requester: Option<UserId>) -> bool {
    let environment = place.environments.iter().find(|e| e.id == alike.environment);
    let approvals = environment.and_then(|e| e.policy.approvals.as_ref());
    approvals
        .zip(approver(caller, place))
        .is_some_and(|(approvals, me)| approvals.accepts(&me, requester))
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
