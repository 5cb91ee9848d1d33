//! What runs in an environment and was never promoted: declared in Git by others, or changed in the cluster.

use crate::{
    service::{
        context::Services,
        reach::{self, Caller},
    },
    store::{Tx, UnpromotedImage},
};
use contract::{backend::At, environment::Unpromoted, error::AppError};
use domain::id::EnvironmentId;

/// What runs in an environment and was never promoted, by resource.
///
/// # Errors
/// When there is no such environment for the caller.
pub async fn unpromoted(services: &Services, caller: &Caller, at: &At) -> Result<Vec<Unpromoted>, AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::environment_place(&mut *tx, caller, at).await?;
    of_environment(&mut *tx, place.environment.id).await
}

/// The same for whoever may see the environment.
pub(super) async fn of_environment(tx: &mut dyn Tx, environment: EnvironmentId) -> Result<Vec<Unpromoted>, AppError> {
    let found = tx.unpromoted(environment).await?;
    Ok(found.into_iter().filter_map(shown).collect())
}

/// A row as it is shown; `None` where it isn't known what runs.
fn shown(found: UnpromotedImage) -> Option<Unpromoted> {
    let resource = found.resource;
    let live = resource.live.as_ref().filter(|live| live.unknown.is_none())?;
    let is_declared = resource.declares(&found.digest);
    Some(Unpromoted {
        since: resource.desired_at.filter(|_| is_declared).unwrap_or(live.at),
        resource: resource.name,
        digest: found.digest,
        tag: found.tag,
        declared: resource.desired,
        declared_by: resource.outside,
        is_recalled: found.is_recalled,
    })
}
