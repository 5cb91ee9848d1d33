//! *Mark*: the tags of an environment follow what runs there. Here it is written what they should name; the worker sets them, and success
//! never depends on it.

use crate::{
    service::{reach::ProjectPlace, sources},
    store::{StoreError, Tx},
};
use domain::{promotion::Promotion, time::Timestamp};

/// Writes that the marker of its environment should name what a promotion brought, which is verified live. Returns whether there is a tag to
/// set.
///
/// # Errors
/// When the database fails.
pub(crate) async fn mark(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    promotion: &Promotion,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let environment = place.environments.iter().find(|e| e.id == promotion.environment);
    let Some(wanted) = environment.and_then(|environment| sources::marker(promotion, &environment.tags)) else {
        return Ok(false);
    };
    tx.want_tag(&wanted, now).await?;
    Ok(true)
}
