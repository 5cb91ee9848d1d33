//! Resolve: the promotion names an exact digest since it was asked for; here the registry is asked whether it is still there, and it is
//! decided whether it must be copied to where it will be pulled from, or something is to be written beside it there.

use super::{Outcome, SharedAnswers, known::ImagePresence};
use crate::service::{
    Services,
    reach::{self, ProjectPlace},
    sources, statements,
};
use contract::error::AppError;
use domain::promotion::{Promotion, Purpose, State};
use std::time::Instant;

pub(super) async fn run(
    services: &Services,
    known: &SharedAnswers,
    promotion: &Promotion,
    place: &ProjectPlace,
    since: Instant,
) -> Result<Outcome, AppError> {
    let image = &promotion.image;
    let access = reach::registry_access(services, &place.registries, &image.repository)?;
    let ask = async || match services
        .registry
        .exists(&access, &image.repository, &image.digest)
        .await
    {
        Ok(true) => ImagePresence::Holds,
        Ok(false) => ImagePresence::Lacks,
        Err(error) => ImagePresence::Failed(error.to_string(), error.is_passing()),
    };
    Ok(match known.said(promotion.workspace, image, since, ask).await {
        ImagePresence::Holds => next(services, promotion, place).await?,
        ImagePresence::Lacks => Outcome::Fail {
            reason: format!(
                "The registry no longer holds {} in {}. Push the image again, or promote another.",
                image.digest, image.repository
            ),
        },
        ImagePresence::Failed(why, true) => Outcome::Retry { why },
        ImagePresence::Failed(reason, false) => Outcome::Fail { reason },
    })
}

/// What follows: the commit, or a copy before it. Who may not push is told before anything is written.
async fn next(services: &Services, promotion: &Promotion, place: &ProjectPlace) -> Result<Outcome, AppError> {
    let image = &promotion.image;
    let holds = format!("{} holds {}.", image.repository, image.digest);
    // What ran before is committed as it ran.
    if promotion.purpose == Purpose::Rollback {
        return Ok(Outcome::done(State::Committing, holds));
    }
    let mut tx = services.store.read().await?;
    let resource = tx.resource(promotion.resource).await?;
    let environment = place.environments.iter().find(|e| e.id == promotion.environment);
    let (Some(resource), Some(environment)) = (resource, environment) else {
        return Ok(super::gone("resource"));
    };
    let to = sources::target_repository(&mut *tx, place, environment, &resource, &image.repository).await?;
    let will_attest = statements::will_attest(&mut *tx, environment, promotion.purpose).await?;
    drop(tx);
    let Some(to) = to else {
        let tag = (environment.tags.keeper(&image.digest)).map(|tag| format!("gives it the tag {tag}, which keeps it"));
        let says = will_attest.then(|| "hangs a signed statement on it".to_owned());
        let next: Vec<String> = tag.into_iter().chain(says).collect();
        return Ok(match next.is_empty() {
            true => Outcome::done(State::Committing, holds),
            false => Outcome::Prepare {
                detail: format!("{holds} Next, Waybill {}.", next.join(" and ")),
                copy_to: None,
            },
        });
    };
    Ok(match sources::copy_request(services, place, environment, image, &to)? {
        Ok(_) => Outcome::Prepare {
            detail: format!("{holds} Next, Waybill copies it to {to}."),
            copy_to: Some(to),
        },
        Err(reason) => Outcome::Fail { reason },
    })
}
