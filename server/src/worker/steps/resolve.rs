//! Resolve: the promotion names an exact digest since it was asked for; here the registry is asked whether it is still there.

use super::{Known, Outcome, known::Said};
use crate::service::{
    Services,
    reach::{self, ProjectPlace},
};
use contract::error::AppError;
use domain::promotion::{Promotion, State};
use std::time::Instant;

pub(super) async fn run(
    services: &Services,
    known: &Known,
    promotion: &Promotion,
    place: &ProjectPlace,
    since: Instant,
) -> Result<Outcome, AppError> {
    let image = &promotion.image;
    let access = reach::registry_access(services, &place.clusters, &image.repository)?;
    let ask = async || match services
        .registry
        .exists(&access, &image.repository, &image.digest)
        .await
    {
        Ok(true) => Said::Holds,
        Ok(false) => Said::Lacks,
        Err(error) => Said::Failed(error.to_string(), error.is_passing()),
    };
    Ok(match known.said(promotion.workspace, image, since, ask).await {
        Said::Holds => Outcome::done(
            State::Committing,
            format!("{} holds {}.", image.repository, image.digest),
        ),
        Said::Lacks => Outcome::Fail {
            reason: format!(
                "The registry no longer holds {} in {}. Push the image again, or promote another.",
                image.digest, image.repository
            ),
        },
        Said::Failed(why, true) => Outcome::Retry { why },
        Said::Failed(reason, false) => Outcome::Fail { reason },
    })
}
