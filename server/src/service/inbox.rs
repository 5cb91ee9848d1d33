//! The inbox: promotions that wait for this person's approval, newest first, with enough to decide.

use super::{Caller, Services, approve::approver, gates::behind, place::ProjectPlace};
use crate::store::{Awaiting, Tx};
use app::{
    api::inbox::{InboxItem, InboxView},
    error::AppError,
};
use domain::{
    id::{ProjectId, PromotionId, UserId, WorkspaceId},
    promotion::Actor,
};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

/// Promotions that the page lists; who has more waiting decides about these first.
const LISTED: usize = 50;

/// Whether the caller's approval would count.
fn accepts(caller: &Caller, place: &ProjectPlace, one: &Awaiting, requester: Option<UserId>) -> bool {
    let environment = place.environments.iter().find(|e| e.id == one.environment);
    let approvals = environment.and_then(|e| e.policy.approvals.as_ref());
    approvals
        .zip(approver(caller, place))
        .is_some_and(|(approvals, me)| approvals.accepts(&me, requester))
}

/// What waits in each workspace, kept until the ledger grows: whatever begins or ends to wait is told there.
#[derive(Debug, Default)]
pub struct KeptInbox(Mutex<HashMap<WorkspaceId, Kept>>);

/// What waits, as of an event of the ledger.
type Kept = (i64, Arc<Vec<Awaiting>>);

impl Services {
    /// What waits for the caller.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox(&self, caller: &Caller) -> Result<InboxView, AppError> {
        let mut tx = self.store.read().await?;
        let mine = self.mine(&mut *tx, caller).await?;
        let mut items = Vec::new();
        for id in mine.iter().take(LISTED) {
            let Some(promotion) = tx.promotion(*id).await? else {
                continue;
            };
            let place = self.project_place_by_id(&mut *tx, caller, promotion.project).await?;
            let resource = tx.resource(promotion.resource).await?;
            let environment = place.environments.iter().find(|e| e.id == promotion.environment);
            let (Some(resource), Some(environment)) = (resource, environment) else {
                continue;
            };
            let decision = self
                .decide(&mut *tx, environment, &place.environments, &promotion)
                .await?;
            items.push(InboxItem {
                id: promotion.id,
                workspace: place.workspace.name,
                project: place.record.project.name,
                environment: environment.name.clone(),
                resource: resource.name,
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
            items,
            total: mine.len(),
            now: self.now(),
        })
    }

    /// How many promotions wait for the caller.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox_count(&self, caller: &Caller) -> Result<usize, AppError> {
        let mut tx = self.store.read().await?;
        Ok(self.mine(&mut *tx, caller).await?.len())
    }

    /// The promotions about which the caller may decide and hasn't, newest first.
    async fn mine(&self, tx: &mut dyn Tx, caller: &Caller) -> Result<Vec<PromotionId>, AppError> {
        let Actor::Person { id, .. } = &caller.actor else {
            return Ok(Vec::new());
        };
        let newest = tx.newest_event().await?;
        let decided: HashSet<PromotionId> = tx.decided_by(*id).await?.into_iter().collect();
        let mut mine = Vec::new();
        for (workspace, _) in &caller.access {
            let awaiting = self.awaiting(tx, workspace.id, newest).await?;
            let makers = match awaiting.is_empty() {
                true => Vec::new(),
                false => tx.token_makers(workspace.id).await?,
            };
            let mut places: HashMap<ProjectId, Option<ProjectPlace>> = HashMap::new();
            for one in awaiting.iter().filter(|one| !decided.contains(&one.promotion)) {
                if let Entry::Vacant(vacant) = places.entry(one.project) {
                    let place = match self.project_place_by_id(tx, caller, one.project).await {
                        // Not for this caller's eyes.
                        Err(AppError::NotFound(_)) => None,
                        place => Some(place?),
                    };
                    vacant.insert(place);
                }
                let place = places.get(&one.project).and_then(Option::as_ref);
                if place.is_some_and(|place| accepts(caller, place, one, behind(&makers, &one.requested_by))) {
                    mine.push(one.promotion);
                }
            }
        }
        mine.sort_unstable_by(|a, b| b.cmp(a));
        Ok(mine)
    }

    async fn awaiting(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        newest: i64,
    ) -> Result<Arc<Vec<Awaiting>>, AppError> {
        let kept = |kept: &KeptInbox| {
            let all = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&workspace)
                .filter(|(at, _)| *at == newest)
                .map(|(_, all)| Arc::clone(all))
        };
        if let Some(awaiting) = kept(&self.kept_inbox) {
            return Ok(awaiting);
        }
        let awaiting = Arc::new(tx.awaiting_approval(workspace).await?);
        let mut all = self.kept_inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(workspace, (newest, Arc::clone(&awaiting)));
        Ok(awaiting)
    }
}
