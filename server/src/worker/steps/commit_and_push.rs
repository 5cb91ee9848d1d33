//! Commit: one small commit on the tip of the branch, and its push.
//!
//! A step that was cut off is taken again: the commit is found by its trailer then, and not made twice.

use super::{Outcome, Work};
use crate::{
    adapters::git::{CommitRequest, Committed, Signature},
    service::promotion::values_edit,
};
use app::error::AppError;
use domain::promotion::{Actor, State};

/// How soon a promotion looks again whose elder is still being committed.
const ELDER_MILLIS: i64 = 100;

pub(super) async fn run(work: &Work<'_>) -> Result<Outcome, AppError> {
    let promotion = work.promotion;
    // One resource's commits are made in the order in which they were asked for: otherwise the elder would undo the younger.
    if let Some(by) = work.overtaken_by().await? {
        return Ok(Outcome::Overtaken { by });
    }
    let open = work
        .services
        .store
        .read()
        .await?
        .open_promotions(work.resource.id)
        .await?;
    if open.iter().any(|p| p.id < promotion.id && p.state == State::Committing) {
        let why = "An earlier promotion of this resource is being committed.".into();
        return Ok(Outcome::Wait {
            millis: ELDER_MILLIS,
            why,
        });
    }
    let access = work.services.repository_access(&work.place.record)?;
    let request = request(work);
    let (commit, pushes, detail) = match work.services.git.commit_and_push(&access, &request).await {
        Ok(Committed::Pushed { commit, attempts }) => {
            let detail = format!("Commit {} is on {}.", short(&commit), access.branch);
            (commit, attempts, detail)
        }
        Ok(Committed::Found { commit }) => {
            let detail = format!("Commit {} was on {} already.", short(&commit), access.branch);
            (commit, 0, detail)
        }
        Ok(Committed::Unchanged { tip }) => {
            let detail = format!(
                "{} says so already at {}; no commit was needed.",
                request.edit.path,
                short(&tip)
            );
            (tip, 0, detail)
        }
        Err(error) if error.is_passing() => return Ok(Outcome::Retry { why: error.to_string() }),
        Err(error) => {
            return Ok(Outcome::Fail {
                reason: error.to_string(),
            });
        }
    };
    let git_only = work.cluster().is_none_or(|record| record.cluster.argocd.is_none());
    let next = if git_only { State::Succeeded } else { State::Syncing };
    tracing::debug!(promotion = %promotion.id, %commit, "committed");
    Ok(Outcome::Done {
        next,
        detail: Some(detail),
        commit: Some((commit, pushes)),
    })
}

fn request(work: &Work<'_>) -> CommitRequest {
    let promotion = work.promotion;
    let link = format!("{}/promotions/{}", work.services.public_url, promotion.id);
    let mut trailers = vec![("Waybill-Digest".to_owned(), promotion.image.digest.to_string())];
    if let Some(origin) = &promotion.origin {
        trailers.push((
            "Waybill-Source".into(),
            format!("{}/{}", origin.environment, origin.resource),
        ));
    }
    trailers.push(("Waybill-Link".into(), link));
    CommitRequest {
        promotion: promotion.id,
        edit: values_edit(&work.place, &work.environment, &work.resource, promotion),
        subject: promotion.subject(&work.environment.name, &work.resource.name),
        trailers,
        author: author(&promotion.requested_by),
        committer: waybill(),
        // The same in every try, so that the same commit is made again, and searched for far enough back.
        at: promotion.created_at.0.div_euclid(1000),
        retry: promotion.attempts > 0 || promotion.tries > 1,
        again: promotion.tries > 1,
    }
}

fn author(actor: &Actor) -> Signature {
    match actor {
        Actor::Person { name, email, .. } => Signature {
            name: name.clone(),
            email: email.clone(),
        },
        Actor::Token { name } => Signature {
            name: name.clone(),
            email: format!("{name}@token.waybill.invalid"),
        },
        Actor::Waybill => waybill(),
    }
}

fn waybill() -> Signature {
    Signature {
        name: "Waybill".into(),
        email: "waybill@waybill.invalid".into(),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
