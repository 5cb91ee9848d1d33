//! Resolve: the promotion names an exact digest since it was asked for; here the registry is asked whether it is still there.

use super::{Outcome, Work};
use app::error::AppError;
use domain::promotion::State;

pub(super) async fn run(work: &Work<'_>) -> Result<Outcome, AppError> {
    let image = &work.promotion.image;
    let access = work.services.registry_access(&work.place.clusters, &image.repository)?;
    match work
        .services
        .registry
        .exists(&access, &image.repository, &image.digest)
        .await
    {
        Ok(true) => {
            // What it was built from is for people to see; without it the promotion goes on.
            if let Err(error) = work.services.learn_details(work.place.workspace.id, image).await {
                tracing::warn!(digest = %image.digest, %error, "the registry said nothing about an image");
            }
            Ok(Outcome::done(
                State::Committing,
                format!("{} holds {}.", image.repository, image.digest),
            ))
        }
        Ok(false) => Ok(Outcome::Fail {
            reason: format!(
                "The registry no longer holds {} in {}. Push the image again, or promote another.",
                image.digest, image.repository
            ),
        }),
        Err(error) if error.is_passing() => Ok(Outcome::Retry { why: error.to_string() }),
        Err(error) => Ok(Outcome::Fail {
            reason: error.to_string(),
        }),
    }
}
