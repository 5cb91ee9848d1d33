//! Resolve: the promotion names an exact digest since it was asked for; here the registry is asked whether it is still there.

use super::{Outcome, SharedAnswers, known::ImagePresence};
use crate::service::{
    Services,
    reach::{self, ProjectPlace},
};
use contract::error::AppError;
use domain::promotion::{Promotion, State};
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
        ImagePresence::Holds => Outcome::done(
            State::Committing,
            format!("{} holds {}.", image.repository, image.digest),
        ),
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
