//! Copies of images, as people see them: what one would take, and how far it is.

use crate::{
    ports::image_copy::{CopyEnd, CopyRequest},
    service::{
        context::Services,
        reach::{self, EnvironmentPlace},
        sources,
    },
    store::{StoreError, Tx},
};
use contract::{error::AppError, promotion::CopyView};
use domain::{
    artifact::{ExactImage, Repository},
    environment::Environment,
    field::FieldErrors,
    id::PromotionId,
    resource::Resource,
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
    let access = match reach::push_access_to(services, &place.project, &place.environment, to) {
        Ok(Some(access)) => access,
        Ok(None) => return Some(sources::no_right_to_push(&image.repository, to)),
        Err(error) => return Some(error.to_string()),
    };
    let said = format!("Waybill copies the image to {to} first");
    let source = reach::registry_access(services, &place.project.registries, &image.repository);
    let (true, Ok(source)) = (asks, source) else {
        return Some(format!("{said}."));
    };
    let request = CopyRequest {
        from: CopyEnd {
            access: source,
            repository: image.repository.clone(),
        },
        to: CopyEnd {
            access,
            repository: to.clone(),
        },
        digest: image.digest.clone(),
        attachments: sources::attachments(&place.environment, &place.project.clusters),
    };
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

/// Refuses a new resource whose images would be copied to where those of another repository are.
pub(crate) async fn check_new_mirror(
    tx: &mut dyn Tx,
    place: &EnvironmentPlace,
    new: &Resource,
    source: &Repository,
) -> Result<(), AppError> {
    let mirror = sources::mirror_of(&place.environment, &place.project.clusters);
    if mirror
        .and_then(|mirror| mirror.target(source))
        .is_none_or(|target| target == *source)
    {
        return Ok(());
    }
    let (mut environments, mut resources): (Vec<Environment>, Vec<Resource>) = (Vec::new(), Vec::new());
    for record in tx.projects(place.project.workspace.id).await? {
        environments.extend(tx.environments(record.project.id).await?);
        resources.extend(tx.resources(record.project.id).await?);
    }
    if resources.iter().all(|known| known.id != new.id) {
        resources.push(new.clone());
    }
    let Some(collision) = sources::collision(&environments, &place.project.clusters, &resources) else {
        return Ok(());
    };
    // What other projects have is not told to who may not know of them.
    let here = |resource: &&Resource| place.project.environments.iter().any(|e| e.id == resource.environment);
    let own: Vec<Resource> = resources.iter().filter(here).cloned().collect();
    let is_own = sources::collision(&environments, &place.project.clusters, &own).is_some();
    let why = match is_own {
        true => collision.to_string(),
        false => format!(
            "Images of another repository are copied to {} already. Use {{path}} in place of {{name}} in its mirror, or copy one of them elsewhere.",
            collision.target
        ),
    };
    Err(FieldErrors::one("source", why).into())
}
