//! *Approve*, *Reject* and *Override*: what people say about a promotion that waits.

use super::pin;
use crate::{
    service::{
        context::{Services, internal},
        gates::{self, requester},
        queue,
        reach::{self, Caller, EnvironmentPlace, not_found},
    },
    store::{NewEvent, Tx},
};
use contract::{
    error::AppError,
    promotion::{GateView, MaySay},
};
use domain::{
    event::{Happened, Subject},
    field::FieldErrors,
    gate::{Approval, Approver, GateId, Override, who_overrides},
    id::{UserId, WorkspaceId},
    policy::Approvals,
    promotion::{Actor, Promotion, State},
    rights::Role,
};

/// Characters of a comment or reason, at most.
const LONGEST: usize = 1_000;

/// A promotion that waits, and who looks at it.
struct Waiting {
    promotion: Promotion,
    place: EnvironmentPlace,
    approver: Approver,
    /// Who asked, if a person did.
    requester: Option<UserId>,
}

/// Approves a promotion: it goes on when this was the last thing it waited for. Approving twice, or after it went on, does nothing.
///
/// # Errors
/// When the caller may not, its digest is recalled, or it has ended otherwise.
pub async fn approve(services: &Services, caller: &Caller, id: &str, comment: &str) -> Result<(), AppError> {
    let comment = said(comment)?;
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let caller = &caller;
    let waiting = waiting(&mut *tx, caller, id).await?;
    let approvals = waiting.approvals()?;
    waiting.may_decide(&approvals)?;
    queue::check_recall(&mut *tx, waiting.promotion.workspace, &waiting.promotion.image.digest).await?;
    match waiting.promotion.state {
        State::Waiting => {}
        State::Rejected | State::Cancelled | State::Superseded | State::Failed => {
            return Err(AppError::Conflict(format!(
                "It is {} already; nothing is left to approve.",
                waiting.promotion.state
            )));
        }
        // Somebody else was faster, and it is on its way.
        _ => return Ok(()),
    }
    let approval = waiting.decision(true, comment.clone(), services);
    let known = tx.approvals(waiting.promotion.id).await?;
    let same = |other: &Approval| other.approves && other.by == approval.by && other.digest == approval.digest;
    if known.iter().any(same) {
        return Ok(());
    }
    // With other rights than before it may count now.
    tx.put_approval(waiting.promotion.id, &approval).await?;
    let happened = Happened::Approved {
        digest: waiting.promotion.image.digest.clone(),
        comment,
    };
    tx.append_event(&waiting.event(caller, happened), services.now())
        .await?;
    gates::look_at_gates(services, &mut *tx, waiting.promotion.id, &caller.actor).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Rejects a promotion, with a reason: it ends.
///
/// # Errors
/// In the field `comment` without one; when the caller may not, or it waits no more.
pub async fn reject(services: &Services, caller: &Caller, id: &str, comment: &str) -> Result<(), AppError> {
    let comment = said(comment)?
        .ok_or_else(|| FieldErrors::one("comment", "Say why, so that who asked knows what to do next."))?;
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let caller = &caller;
    let waiting = waiting(&mut *tx, caller, id).await?;
    let approvals = waiting.approvals()?;
    waiting.may_decide(&approvals)?;
    match waiting.promotion.state {
        State::Waiting => {}
        State::Rejected => return Ok(()),
        state => {
            return Err(AppError::Conflict(format!(
                "It is {state} already, and can't be rejected any more. Roll back instead if it should not run."
            )));
        }
    }
    let now = services.now();
    let approval = waiting.decision(false, Some(comment.clone()), services);
    // Who approved may think again, as long as it waits.
    tx.put_approval(waiting.promotion.id, &approval).await?;
    let happened = Happened::Rejected {
        comment: comment.clone(),
    };
    tx.append_event(&waiting.event(caller, happened), now).await?;
    let why = format!("Rejected by {}: {comment}", caller.actor.name());
    let rejected = waiting
        .promotion
        .clone()
        .reject(why.clone(), now)
        .map_err(|e| internal(&e))?;
    tx.update_promotion(&rejected, State::Waiting, now).await?;
    let happened = Happened::PromotionMoved {
        from: State::Waiting,
        to: State::Rejected,
        detail: Some(why),
    };
    tx.append_event(&waiting.event(caller, happened), now).await?;
    pin::pin_to_what_runs(services, &mut *tx, caller, &waiting.place.project, &rejected).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Lets a promotion through a gate that is shut, with a reason that is shown ever after.
///
/// # Errors
/// In the field `reason` without one; when the caller may not, or the gate isn't shut.
pub async fn override_gate(
    services: &Services,
    caller: &Caller,
    id: &str,
    gate: &str,
    reason: &str,
) -> Result<(), AppError> {
    let reason = said(reason)?
        .ok_or_else(|| FieldErrors::one("reason", "Say why: it is shown with the promotion from now on."))?;
    let gate: GateId = gate.parse().map_err(|_| not_found("gate", gate))?;
    let (mut tx, caller) = reach::write_as_of_now(services, caller).await?;
    let caller = &caller;
    let waiting = waiting(&mut *tx, caller, id).await?;
    let policy = &waiting.place.environment.policy;
    if !policy.may_override(gate.kind, &waiting.approver) {
        let who = who_overrides(policy, gate.kind)
            .unwrap_or_else(|| format!("The policy of {} lets no one.", waiting.place.environment.name));
        return Err(AppError::Forbidden(format!(
            "You may not override the gate {}. {who}",
            gate.title()
        )));
    }
    queue::check_recall(&mut *tx, waiting.promotion.workspace, &waiting.promotion.image.digest).await?;
    let EnvironmentPlace { project, environment } = &waiting.place;
    let decision = gates::decide_gates(
        services,
        &mut *tx,
        environment,
        &project.environments,
        &waiting.promotion,
    )
    .await?;
    let shut = decision
        .gates
        .into_iter()
        .find(|one| one.id == gate && !one.state.opens());
    let Some(shut) = shut.filter(|_| waiting.promotion.state == State::Waiting) else {
        return Err(AppError::Conflict(format!(
            "The gate {} is not shut any more; there is nothing to override.",
            gate.title()
        )));
    };
    let now = services.now();
    let one = Override {
        gate: gate.clone(),
        by: caller.actor.clone(),
        reason: reason.clone(),
        // It is about the gate as it is now, also where another clock said when that began.
        at: shut.since.map_or(now, |since| since.max(now)),
        until: shut.until,
    };
    tx.insert_override(waiting.promotion.id, &one).await?;
    let happened = Happened::GateOverridden { gate, reason };
    tx.append_event(&waiting.event(caller, happened), now).await?;
    gates::look_at_gates(services, &mut *tx, waiting.promotion.id, &caller.actor).await?;
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Lets a promotion that waits through all of its gates that are shut, where the policy lets the caller override each of them; else through
/// none. The state that it is in then.
pub(super) async fn override_all(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &EnvironmentPlace,
    promotion: &Promotion,
    reason: &str,
) -> Result<State, AppError> {
    let EnvironmentPlace { project, environment } = place;
    let Some(me) = approver(caller, project.workspace.id, project.role) else {
        return Ok(promotion.state);
    };
    let decision = gates::decide_gates(services, tx, environment, &project.environments, promotion).await?;
    let shut: Vec<_> = decision.gates.into_iter().filter(|gate| !gate.state.opens()).collect();
    if !(shut.iter()).all(|gate| environment.policy.may_override(gate.id.kind, &me)) {
        return Ok(promotion.state);
    }
    let now = services.now();
    for gate in shut {
        let one = Override {
            gate: gate.id.clone(),
            by: caller.actor.clone(),
            reason: reason.to_owned(),
            at: gate.since.map_or(now, |since| since.max(now)),
            until: gate.until,
        };
        tx.insert_override(promotion.id, &one).await?;
        let event = NewEvent {
            workspace: promotion.workspace,
            subject: Subject::promotion(promotion),
            actor: caller.actor.clone(),
            happened: Happened::GateOverridden {
                gate: gate.id,
                reason: reason.to_owned(),
            },
        };
        tx.append_event(&event, now).await?;
    }
    gates::look_at_gates(services, tx, promotion.id, &caller.actor).await?;
    let now = tx.promotion(promotion.id).await?;
    Ok(now.map_or(promotion.state, |promotion| promotion.state))
}

async fn waiting(tx: &mut dyn Tx, caller: &Caller, id: &str) -> Result<Waiting, AppError> {
    let (promotion, place) = reach::promotion_place(tx, caller, id).await?;
    let approver = approver(caller, place.project.workspace.id, place.project.role).ok_or_else(|| {
        AppError::Forbidden("Programs don't approve. Sign in as a person to decide about a promotion.".into())
    })?;
    let requester = requester(tx, promotion.workspace, &promotion.requested_by).await?;
    Ok(Waiting {
        promotion,
        place,
        approver,
        requester,
    })
}

/// The gates of a promotion, as they stand or stood when it went on, with what the caller may do about each; and what the
/// caller may say about it.
pub(crate) async fn gates_for(
    services: &Services,
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &EnvironmentPlace,
    promotion: &Promotion,
) -> Result<(Vec<GateView>, Option<MaySay>), AppError> {
    let waits = promotion.state == State::Waiting;
    let decision = if waits {
        let environments = &place.project.environments;
        gates::decide_gates(services, tx, &place.environment, environments, promotion).await?
    } else {
        tx.gates(promotion.id).await?.unwrap_or_default()
    };
    let me = approver(caller, place.project.workspace.id, place.project.role).filter(|_| waits);
    let requester = requester(tx, promotion.workspace, &promotion.requested_by).await?;
    let policy = &place.environment.policy;
    let accepts =
        |me: &&Approver| (policy.approvals.as_ref()).is_some_and(|approvals| approvals.accepts(me, requester));
    let may_say = match me.as_ref().filter(accepts) {
        Some(me) => {
            let known = tx.approvals(promotion.id).await?;
            let same = |one: &Approval| one.approves && one.by == *me && one.digest == promotion.image.digest;
            Some(match known.iter().any(same) {
                true => MaySay::Reject,
                false => MaySay::ApproveOrReject,
            })
        }
        None => None,
    };
    let stands_since = decision.stands_since;
    let since = |id: &GateId| stands_since.iter().find(|(other, _)| other == id).map(|(_, at)| *at);
    let gates = decision.gates.into_iter().map(|gate| GateView {
        since: since(&gate.id),
        may_override: !gate.state.opens() && me.as_ref().is_some_and(|me| policy.may_override(gate.id.kind, me)),
        gate,
    });
    Ok((gates.collect(), may_say))
}

/// The caller with this role in a project, as one who decides; `None` for programs.
pub(crate) fn approver(caller: &Caller, workspace: WorkspaceId, role: Role) -> Option<Approver> {
    let Actor::Person { id, name, email } = &caller.actor else {
        return None;
    };
    Some(Approver {
        id: *id,
        name: name.clone(),
        email: email.clone(),
        role,
        groups: caller.groups_in(workspace).to_vec(),
    })
}

impl Waiting {
    fn approvals(&self) -> Result<Approvals, AppError> {
        let approvals = self.place.environment.policy.approvals.clone();
        approvals.ok_or_else(|| AppError::Conflict(format!("{} asks for no approvals.", self.place.environment.name)))
    }

    fn may_decide(&self, approvals: &Approvals) -> Result<(), AppError> {
        if approvals.accepts(&self.approver, self.requester) {
            return Ok(());
        }
        let why = if self.requester == Some(self.approver.id) && !approvals.self_approval {
            "You asked for this promotion yourself: somebody else must decide.".to_owned()
        } else {
            format!(
                "Here {} decide. Ask one of them, or an administrator for the right.",
                approvals.words()
            )
        };
        Err(AppError::Forbidden(why))
    }

    fn decision(&self, approves: bool, comment: Option<String>, services: &Services) -> Approval {
        Approval {
            by: self.approver.clone(),
            digest: self.promotion.image.digest.clone(),
            approves,
            comment,
            at: services.now(),
        }
    }

    fn event(&self, caller: &Caller, happened: Happened) -> NewEvent {
        NewEvent {
            workspace: self.promotion.workspace,
            subject: Subject::promotion(&self.promotion),
            actor: caller.actor.clone(),
            happened,
        }
    }
}

/// What somebody typed; `None` for nothing.
fn said(text: &str) -> Result<Option<String>, AppError> {
    let text = text.trim();
    if text.chars().count() > LONGEST {
        return Err(FieldErrors::one("comment", format!("Say it in at most {LONGEST} characters.")).into());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
