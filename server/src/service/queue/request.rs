//! Writing a promotion: by a person, by a program, or because a source has something new.
//!
//! However it is asked for, a promotion names an exact digest from its first moment on. The row, what it overtakes and the
//! event are written in one transaction; carrying it out is the worker's.

use crate::{
    service::{
        context::{Services, internal},
        gates::{self, SUPERSEDED},
        queue::recalled::check_recall,
        reach::{ProjectPlace, not_found},
    },
    store::{NewEvent, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::ExactImage,
    event::{Happened, Subject},
    id::PromotionId,
    promotion::{Actor, Origin, Phase, Promotion, Purpose, Refused, State},
    resource::Resource,
    succession::{Waiter, superseded},
    time::Timestamp,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) purpose: Purpose,
    pub(crate) actor: Actor,
    pub(crate) origin: Option<Origin>,
    pub(crate) image: ExactImage,
    pub(crate) creates: bool,
    /// The change that it would make at the moment it is asked for, as a unified diff; none where nobody asks.
    pub(crate) preview: Option<String>,
}

/// Writes a promotion of `resource`. One that already runs the same digest is returned instead; of those that wait and would
/// run another, some are superseded ([`domain::succession`]); one that is being committed is let finish. A rollback goes straight to its commit, and
/// waits for nothing that waits or hangs.
///
/// # Errors
/// When its digest is recalled, whoever asks ([`check_recall`]); when the database fails.
pub(crate) async fn request(
    services: &Services,
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    resource: &Resource,
    request: Request,
) -> Result<Promotion, AppError> {
    check_recall(tx, place.workspace.id, &request.image.digest).await?;
    let now = services.now();
    // Whoever asks for the same resource at this moment, on another server, is before this one or after it.
    let number = tx.next_number(resource.id).await?;
    let open = tx.open_promotions(resource.id).await?;
    // Past its commit it is the same only while Git still says so: somebody may have changed that by hand.
    let says = |p: &Promotion| p.commit.is_none() || resource.declares(&p.image.digest);
    let is_decided = match open.first() {
        Some(first) if first.state == State::Waiting => {
            !tx.approvals(first.id).await?.is_empty() || !tx.overrides(first.id).await?.is_empty()
        }
        _ => false,
    };
    if let Some(same) = open
        .first()
        .filter(|p| p.image.digest == request.image.digest && says(p) && !stands_back(p, &request, is_decided))
        // One that ended since, after it, was the last word: what is asked for now is a new one.
        .filter(|p| p.number + 1 == number)
    {
        return Ok(same.clone());
    }
    // Its configuration is committed with the first commit that is made, whichever promotion makes it.
    let creates = request.creates || resource.desired.is_none() || open.iter().any(|p| p.creates && p.commit.is_none());
    // So is what a person said of it.
    let creates_file = open.iter().any(|p| p.creates_file && p.commit.is_none());
    let id = PromotionId(services.ids.next());
    let mut promotion = Promotion {
        copied_to: None,
        id,
        workspace: place.workspace.id,
        project: place.record.project.id,
        environment: resource.environment,
        resource: resource.id,
        number,
        purpose: request.purpose,
        requested_by: request.actor.clone(),
        origin: request.origin,
        image: request.image.clone(),
        previous: resource.desired.clone(),
        creates,
        creates_file,
        // What ran here before needs no look at the registry, which may be down just when it matters.
        state: match request.purpose {
            Purpose::Rollback => State::Committing,
            _ => State::Queued,
        },
        waits_for: None,
        failure: None,
        commit: None,
        committed_at: None,
        tries: 1,
        attempts: 0,
        created_at: now,
        state_since: now,
        ended_at: None,
        counts_from: None,
    };
    // As they are in this transaction: what was read before may lack a gate.
    let environments = tx.environments(place.record.project.id).await?;
    let environment = environments.iter().find(|e| e.id == resource.environment);
    let environment = environment.ok_or_else(|| not_found("environment", "of this resource"))?;
    let decision = gates::decide_gates(services, tx, environment, &environments, &promotion).await?;
    if !decision.opens() {
        promotion.state = State::Waiting;
        promotion.waits_for = decision.waits_for();
    }
    // A person means what they ask for; what automation asks for lets those go first that can.
    let ended = match request.actor {
        // But for the way back, which waits for nothing.
        Actor::Waybill if request.purpose != Purpose::Rollback => {
            let mut waiters = gates::waiting_promotions(tx, &open).await?;
            waiters.push(Waiter {
                id,
                number,
                opens: decision.when(),
            });
            Some(superseded(&waiters))
        }
        Actor::Waybill | Actor::Person { .. } | Actor::Token { .. } => None,
    };
    for overtaken in open {
        if overtaken.state.phase() == Phase::BeforeCommit
            && ended.as_ref().is_some_and(|ended| !ended.contains(&overtaken.id))
        {
            continue;
        }
        let (workspace, subject, from) = (overtaken.workspace, Subject::promotion(&overtaken), overtaken.state);
        let Some((ended, why)) = overtake(tx, overtaken, id, request.purpose, now).await? else {
            continue;
        };
        tx.update_promotion(&ended, from, now).await?;
        let happened = Happened::PromotionMoved {
            from,
            to: ended.state,
            detail: Some(why.into()),
        };
        let actor = request.actor.clone();
        tx.append_event(
            &NewEvent {
                workspace,
                subject,
                actor,
                happened,
            },
            now,
        )
        .await?;
    }
    tx.insert_promotion(&promotion).await?;
    if !decision.gates.is_empty() {
        tx.set_gates(id, &decision).await?;
    }
    tx.see_artifact(place.workspace.id, &promotion.image, now).await?;
    let event = NewEvent {
        workspace: place.workspace.id,
        subject: Subject::promotion(&promotion),
        actor: request.actor,
        happened: Happened::PromotionRequested {
            purpose: request.purpose,
            image: request.image,
            preview: request.preview,
        },
    };
    tx.append_event(&event, now).await?;
    Ok(promotion)
}

/// Whether an open promotion of the same digest makes room all the same: the way back doesn't wait where another waits, and who asks
/// by themselves stands for it, where nobody did and nobody has said anything about it.
fn stands_back(open: &Promotion, request: &Request, is_decided: bool) -> bool {
    let rolls_back = request.purpose == Purpose::Rollback && open.purpose != Purpose::Rollback;
    let takes_over = open.requested_by == Actor::Waybill && request.actor != Actor::Waybill && !is_decided;
    open.state == State::Waiting && (rolls_back || takes_over)
}

/// How an open promotion ends because a newer one is asked for, and why; `None` when it is let finish.
async fn overtake(
    tx: &mut dyn Tx,
    overtaken: Promotion,
    by: PromotionId,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<(Promotion, &'static str)>, AppError> {
    let rolls_back = purpose == Purpose::Rollback;
    let ended = match overtaken.state.phase() {
        Phase::BeforeCommit if !rolls_back => (overtaken.supersede(by, now), SUPERSEDED),
        Phase::BeforeCommit => cancelled(overtaken, now),
        // While a worker is at it, its push may be on the way: it finishes first, and the rollback comes on top.
        Phase::Committing if rolls_back && !tx.is_leased(overtaken.id, now).await? => cancelled(overtaken, now),
        // Its commit is there; what it promised will not be live.
        Phase::AfterCommit if rolls_back => (overtaken.supersede(by, now), "It was rolled back before it was live."),
        Phase::Committing | Phase::AfterCommit | Phase::Ended => return Ok(None),
    };
    let (ended, why) = ended;
    Ok(Some((ended.map_err(|e| internal(&e))?, why)))
}

fn cancelled(promotion: Promotion, now: Timestamp) -> (Result<Promotion, Refused>, &'static str) {
    const WHY: &str = "A rollback took its place.";
    (promotion.cancel(WHY, now), WHY)
}
