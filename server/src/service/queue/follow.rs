//! Following a source: those who track it go along by themselves to what is newer than what they run, and nowhere else.
//!
//! A source may go back, by a rollback, a pin, or a commit of somebody else. Its followers stay then, and a person may take them along.

use crate::{
    service::{
        context::{Services, internal},
        queue::request::{self, Request},
        reach::ProjectPlace,
        sources::{TagCounts, course, runs_there},
    },
    store::{NewEvent, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::ExactImage,
    event::{Happened, Subject},
    follow::{Course, Fate},
    id::{EnvironmentId, ResourceId, WorkspaceId},
    promotion::{Actor, Phase, Promotion, Purpose},
    resource::Resource,
};
use std::collections::{HashSet, VecDeque};

/// Followers that a page tells of, with those who follow them.
const MOST_TOLD: usize = 20;

/// A resource published `image`: those who track it and run something older are promoted to it.
pub(crate) async fn follow(
    services: &Services,
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    source: &Resource,
    image: &ExactImage,
) -> Result<(), AppError> {
    if !source.is_promotable() {
        return Ok(());
    }
    let workspace = place.workspace.id;
    // They stay where they are, and go on with the next image that isn't recalled.
    if tx.recall_of(workspace, &image.digest).await?.is_some() {
        return Ok(());
    }
    let origin = place.origin(source);
    for (follower, order) in tx.followers_in_order(source.id).await? {
        if !follower.follows_by_itself() {
            continue;
        }
        let tags = TagCounts::of(&order);
        let left = leave_behind(services, tx, workspace, &tags, &follower, image).await?;
        let leads = course(tx, workspace, &tags, follower.desired.as_ref(), image).await?;
        if leads != Course::Newer || !left || !runs_there(tx, place, follower.environment, image).await? {
            continue;
        }
        let request = Request {
            purpose: Purpose::Promote,
            actor: Actor::Waybill,
            origin: origin.clone(),
            image: image.clone(),
            creates: false,
            preview: None,
        };
        request::request(services, tx, place, &follower, request).await?;
    }
    Ok(())
}

/// Withdraws what automation asked for and is not committed yet, where the source went back behind it. Returns whether nothing is
/// left on its way that `image` would undo.
async fn leave_behind(
    services: &Services,
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    tags: &TagCounts,
    follower: &Resource,
    image: &ExactImage,
) -> Result<bool, AppError> {
    let mut nothing_left = true;
    for open in tx.open_promotions(follower.id).await? {
        let leads = course(tx, workspace, tags, Some(&open.image), image).await?;
        if matches!(leads, Course::Newer | Course::Same) {
            continue;
        }
        if leads == Course::Older && is_withdrawn(&open) {
            let why = format!("Its source went back to {}.", image.short_label());
            withdraw(services, tx, open, &why).await?;
        } else {
            nothing_left = false;
        }
    }
    Ok(nothing_left)
}

/// Cancels a promotion that automation asked for.
pub(crate) async fn withdraw(
    services: &Services,
    tx: &mut dyn Tx,
    promotion: Promotion,
    why: &str,
) -> Result<(), AppError> {
    let (now, from) = (services.now(), promotion.state);
    let cancelled = promotion.cancel(why, now).map_err(|e| internal(&e))?;
    tx.update_promotion(&cancelled, from, now).await?;
    let event = NewEvent {
        workspace: cancelled.workspace,
        subject: Subject::promotion(&cancelled),
        actor: Actor::Waybill,
        happened: Happened::PromotionMoved {
            from,
            to: cancelled.state,
            detail: Some(why.to_owned()),
        },
    };
    tx.append_event(&event, now).await?;
    Ok(())
}

/// What becomes of those who follow a resource, and of those who follow them, if it goes to `image`: a sentence each.
pub(crate) async fn describe_followers(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    resource: ResourceId,
    image: &ExactImage,
) -> Result<Vec<String>, AppError> {
    let shown = |environment: EnvironmentId| place.only.is_none_or(|only| only == environment);
    let (mut told, mut met) = (Vec::new(), HashSet::from([resource]));
    let mut next = VecDeque::from([resource]);
    while let Some(source) = next.pop_front() {
        for (follower, order) in tx.followers_in_order(source).await? {
            if told.len() >= MOST_TOLD || !met.insert(follower.id) {
                continue;
            }
            let leads = course(
                tx,
                place.workspace.id,
                &TagCounts::of(&order),
                follower.desired.as_ref(),
                image,
            )
            .await?;
            let runs = runs_there(tx, place, follower.environment, image).await?;
            let fate = Fate::of(&follower, leads, runs);
            if matches!(fate, Fate::Goes | Fate::HasIt) {
                next.push_back(follower.id);
            }
            if let Some(at) = place.origin(&follower).filter(|_| shown(follower.environment)) {
                let at = format!("{}/{}", at.environment, at.resource);
                told.push(fate.words(&at, &follower, image));
            }
        }
    }
    Ok(told)
}

/// Whether a promotion may still be withdrawn, and nobody but automation asked for it.
pub(crate) fn is_withdrawn(open: &Promotion) -> bool {
    open.requested_by == Actor::Waybill && open.state.phase() == Phase::BeforeCommit
}
