//! The gates of a promotion: what is known about it is gathered, [`domain::gate::evaluate`] decides, and the decision is kept with it.
//!
//! All of it happens in one write transaction, and writers take turns: what somebody says while gates are looked at is seen by this
//! look or by the next, which whoever writes something that may matter asks for ([`crate::store::Gates::wake_waiting`]).

use crate::{
    calendar,
    service::{
        context::{Services, internal},
        gates::{
            proofs, soak,
            waiting::{SUPERSEDED, waiting_promotions},
        },
    },
    store::{NewEvent, StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    environment::Environment,
    event::{Happened, Subject},
    gate::{Decision, Evidence, Gate, HealthyRun, Stop, evaluate},
    id::{PromotionId, UserId, WorkspaceId},
    policy::Policy,
    promotion::{Actor, Promotion, State},
    succession::{Opens, superseded},
    time::Timestamp,
};

/// After how long a promotion is looked at that nothing has to do with the clock: only if a wake-up was lost.
const LOOK_MILLIS: i64 = 10 * 60 * 1000;

/// How the gates of a promotion stand; none where its environment asks for nothing.
pub(crate) async fn decide_gates(
    services: &Services,
    tx: &mut dyn Tx,
    environment: &Environment,
    environments: &[Environment],
    promotion: &Promotion,
) -> Result<Decision, StoreError> {
    let stops = tx.stops(promotion.project).await?;
    let stops: Vec<Stop> = (stops.into_iter())
        .filter(|(of, _)| of.is_none_or(|of| of == environment.id))
        .map(|(_, stop)| stop)
        .collect();
    let policy = &environment.policy;
    // Each part by name: what a new one needs to know is gathered here, or it says that it needs nothing.
    let Policy {
        approvals: wants_approvals,
        checks: wanted_checks,
        ran_in,
        // All three are `proofs` below; freezes ask the calendar, overrides what was overridden; a rollback asks nothing more.
        signatures: _,
        provenance: _,
        summaries: _,
        freezes: _,
        overrides: _,
        on_rollback: _,
        on_failure: _,
        sync: _,
        attestation: _,
    } = policy;
    if policy.is_empty() && stops.is_empty() {
        return Ok(Decision::default());
    }
    let digest = &promotion.image.digest;
    let approvals = tx.approvals(promotion.id).await?;
    let overrides = tx.overrides(promotion.id).await?;
    let checks = match wanted_checks.is_empty() {
        true => Vec::new(),
        false => tx.checks(promotion.workspace, digest).await?,
    };
    let now = services.now();
    let mut runs = Vec::new();
    if !ran_in.is_empty() {
        for run in tx.runs(promotion.project, digest).await? {
            let environment = environments.iter().find(|e| e.id == run.environment);
            let unseen = soak::unseen_since(run.seen, run.since, now);
            runs.extend(environment.map(|environment| HealthyRun {
                environment: environment.name.clone(),
                since: run.since,
                until: run.until.or(unseen),
                // Nobody knows whether what took its place is still there while nobody looks.
                replaced: run.replaced && unseen.is_none(),
            }));
        }
    }
    let proofs = proofs::proofs(tx, policy, promotion.workspace, &promotion.image).await?;
    let requester = match wants_approvals {
        Some(_) => requester(tx, promotion.workspace, &promotion.requested_by).await?,
        None => None,
    };
    let frozen = |freeze: &_| calendar::frozen(freeze, now);
    let before = tx.gates(promotion.id).await?;
    let decision = evaluate(
        policy,
        &Evidence {
            now,
            digest,
            purpose: promotion.purpose,
            requester,
            approvals: &approvals,
            checks: &checks,
            runs: &runs,
            proofs: &proofs,
            stops: &stops,
            overrides: &overrides,
            frozen: &frozen,
        },
    );
    Ok(decision.dated(before.as_ref(), now))
}

/// Looks at the gates of a waiting promotion, and lets it go on when all are open. What did not wait any more is left alone.
/// Returns how they stand if it waits still.
pub(crate) async fn look_at_gates(
    services: &Services,
    tx: &mut dyn Tx,
    id: PromotionId,
    by: &Actor,
) -> Result<Option<Decision>, AppError> {
    let Some(promotion) = tx.promotion(id).await?.filter(|p| p.state == State::Waiting) else {
        return Ok(None);
    };
    let now = services.now();
    let environments = tx.environments(promotion.project).await?;
    let Some(environment) = environments.iter().find(|e| e.id == promotion.environment) else {
        let why = "The environment no longer exists.";
        let failed = promotion.fail(why, now).map_err(|e| internal(&e))?;
        tx.update_promotion(&failed, State::Waiting, now).await?;
        let event = NewEvent {
            workspace: failed.workspace,
            subject: Subject::promotion(&failed),
            actor: by.clone(),
            happened: Happened::PromotionMoved {
                from: State::Waiting,
                to: State::Failed,
                detail: Some(why.into()),
            },
        };
        tx.append_event(&event, now).await?;
        return Ok(None);
    };
    let decision = decide_gates(services, tx, environment, &environments, &promotion).await?;
    let mut event = NewEvent {
        workspace: promotion.workspace,
        subject: Subject::promotion(&promotion),
        actor: by.clone(),
        happened: Happened::PromotionMoved {
            from: State::Waiting,
            to: State::Queued,
            detail: Some("All gates are open.".into()),
        },
    };
    let opens = decision.when();
    if decision.opens() {
        tx.set_gates(id, &decision).await?;
        let queued = promotion.become_(State::Queued, now).map_err(|e| internal(&e))?;
        tx.update_promotion(&queued, State::Waiting, now).await?;
        tx.append_event(&event, now).await?;
        // What is older would undo it.
        make_room(services, tx, &queued, opens).await?;
        return Ok(None);
    }
    if tx.gates(id).await?.as_ref() != Some(&decision) {
        tx.set_gates(id, &decision).await?;
    }
    let waits_for = decision.waits_for();
    let mut waiting = promotion;
    if waiting.waits_for != waits_for {
        event.happened = Happened::PromotionWaits {
            detail: waits_for.clone().unwrap_or_default(),
        };
        tx.append_event(&event, now).await?;
        waiting.waits_for = waits_for;
    }
    waiting.attempts = 0;
    tx.update_promotion(&waiting, State::Waiting, next_look(&decision, now))
        .await?;
    make_room(services, tx, &waiting, opens).await?;
    Ok(Some(decision))
}

/// Ends those that need not wait any more beside a promotion whose gates were looked at: what is older than one that goes on, and what
/// time alone no longer opens.
async fn make_room(services: &Services, tx: &mut dyn Tx, looked_at: &Promotion, opens: Opens) -> Result<(), AppError> {
    let open = tx.open_promotions(looked_at.resource).await?;
    let mut waiters = waiting_promotions(tx, &open).await?;
    waiters
        .iter_mut()
        .filter(|w| w.id == looked_at.id)
        .for_each(|w| w.opens = opens);
    let Some(newest) = waiters.iter().max_by_key(|waiter| waiter.number).copied() else {
        return Ok(());
    };
    let mut ended = superseded(&waiters);
    if opens == Opens::Now {
        let older = waiters.iter().filter(|waiter| waiter.number < looked_at.number);
        ended.extend(older.map(|waiter| waiter.id));
    }
    let now = services.now();
    for promotion in open.into_iter().filter(|open| ended.contains(&open.id)) {
        let by = if opens == Opens::Now { looked_at.id } else { newest.id };
        let (subject, workspace, from) = (Subject::promotion(&promotion), promotion.workspace, promotion.state);
        let superseded = promotion.supersede(by, now).map_err(|e| internal(&e))?;
        tx.update_promotion(&superseded, from, now).await?;
        let event = NewEvent {
            workspace,
            subject,
            actor: Actor::Waybill,
            happened: Happened::PromotionMoved {
                from,
                to: State::Superseded,
                detail: Some(SUPERSEDED.into()),
            },
        };
        tx.append_event(&event, now).await?;
    }
    Ok(())
}

/// Looks at the gates of a waiting promotion, in a transaction of its own; whether it waits for what registries hold.
///
/// # Errors
/// When the database fails.
pub(crate) async fn pass_gates(services: &Services, id: PromotionId) -> Result<bool, AppError> {
    let mut tx = services.store.write().await?;
    let decision = look_at_gates(services, &mut *tx, id, &Actor::Waybill).await?;
    tx.commit().await?;
    services.wrote();
    let lacks = |gate: &Gate| gate.id.kind.is_asked_for() && !gate.state.opens();
    Ok(decision.is_some_and(|decision| decision.gates.iter().any(lacks)))
}

/// The moment at which the clock may open a gate, or close it.
fn next_look(decision: &Decision, now: Timestamp) -> Timestamp {
    let latest = now.plus_millis(LOOK_MILLIS);
    decision
        .look_again
        .map_or(latest, |at| at.clamp(now.plus_millis(1), latest))
}

/// Who asked, if a person did: by themselves, or through a token that they made.
pub(crate) async fn requester(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    actor: &Actor,
) -> Result<Option<UserId>, StoreError> {
    let makers = match actor {
        Actor::Token { .. } => tx.token_makers(workspace).await?,
        Actor::Person { .. } | Actor::Waybill => Vec::new(),
    };
    Ok(actor.person_behind(&makers))
}
