//! Copies of images, as people see them: what one would take, and how far it is.

use crate::{
    service::{context::Services, reach::EnvironmentPlace, sources},
    store::{StoreError, Tx},
};
use contract::promotion::CopyView;
use domain::{
    artifact::{ExactImage, Repository},
    id::PromotionId,
};
use std::time::Duration;

/// For so long a page waits for what registries say of a copy.
const MOMENT: Duration = Duration::from_secs(3);

/// That running an image copies it to another repository first, a sentence; `None` when it doesn't. `asks` says whether registries are asked
/// what it would take.
pub(crate) async fn foretold(
    services: &Services,
    place: &EnvironmentPlace,
    image: &ExactImage,
    to: &Repository,
    asks: bool,
) -> Option<String> {
    if *to == image.repository {
        return None;
    }
    let request = match sources::copy_request(services, &place.project, &place.environment, image, to) {
        Ok(Ok(request)) => request,
        Ok(Err(why)) => return Some(why),
        Err(error) => return Some(error.to_string()),
    };
    let said = format!("Waybill copies the image to {to} first");
    if !asks {
        return Some(format!("{said}."));
    }
    Some(
        match tokio::time::timeout(MOMENT, services.copier.plan(&request)).await {
            Ok(Ok(plan)) => format!("{said}: {}.", plan.words()),
            Ok(Err(error)) => format!("{said}, and that would fail now. {error}"),
            Err(_) => format!(
                "{said}. What that takes could not be read within {} s.",
                MOMENT.as_secs()
            ),
        },
    )
}

/// The copy that a promotion waits for, or waited for.
pub(crate) async fn of_promotion(tx: &mut dyn Tx, promotion: PromotionId) -> Result<Option<CopyView>, StoreError> {
    let record = tx.copies_for(promotion).await?.into_iter().next();
    Ok(record.map(|record| CopyView {
        from: record.wanted.source,
        to: record.wanted.target,
        plan: record.plan,
        progress: record.progress,
        proof: record.proof,
        problem: record.failure,
    }))
}
