//! The change in Git that running an image makes.

use crate::{
    ports::git::{GitError, PlaceEdit, ServicePlace},
    service::{
        context::Services,
        reach::{self, EnvironmentPlace, ProjectPlace},
    },
};
use contract::error::AppError;
use domain::{artifact::ExactImage, environment::Environment, key::Key, promotion::Promotion, resource::Resource};

/// The change of the values file that running `image` would make, as a unified diff; `None` when Git can't say.
///
/// # Errors
/// When the file can't take the change, or is not there and `may_create` doesn't let it be made: the commit would be refused, and
/// nobody need approve what can't be done.
pub(crate) async fn change_of(
    services: &Services,
    place: &EnvironmentPlace,
    resource: &Resource,
    image: &ExactImage,
    may_create: bool,
) -> Result<Option<String>, AppError> {
    let Ok(access) = reach::repository_access(services, &place.project.record) else {
        return Ok(None);
    };
    let edit = PlaceEdit {
        may_create,
        ..edit_for_resource(place, resource, image)
    };
    let mut said = services.git.preview(&access, std::slice::from_ref(&edit)).await;
    // The mirror may be older than what somebody corrected meanwhile.
    if said.as_ref().is_err_and(GitError::is_of_the_file) && services.git.fetch(&access).await.is_ok() {
        said = services.git.preview(&access, std::slice::from_ref(&edit)).await;
    }
    match said {
        Ok(difference) => Ok(Some(difference.text)),
        Err(error) if error.is_of_the_file() => Err(AppError::Conflict(error.to_string())),
        Err(_) => Ok(None),
    }
}

/// The change of the values file that a promotion asked for now would make; of what Git doesn't declare, with its configuration.
pub(crate) fn edit_for_resource(place: &EnvironmentPlace, resource: &Resource, image: &ExactImage) -> PlaceEdit {
    PlaceEdit {
        runtime: resource.desired.is_none().then(|| resource.runtime.clone()),
        ..image_edit(&place.project, &place.environment, &resource.key, image)
    }
}

/// The change of the values file that a promotion makes; `image` is as it stands in Git then.
pub(crate) fn edit_for_promotion(
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    promotion: &Promotion,
    image: &ExactImage,
) -> PlaceEdit {
    PlaceEdit {
        runtime: promotion.creates.then(|| resource.runtime.clone()),
        may_create: promotion.creates_file,
        ..image_edit(place, environment, &resource.key, image)
    }
}

/// The change of the values file that running an image makes, without configuration; as it would be if the file may be made.
pub(crate) fn image_edit(
    place: &ProjectPlace,
    environment: &Environment,
    service: &Key,
    image: &ExactImage,
) -> PlaceEdit {
    PlaceEdit {
        place: ServicePlace {
            path: place.record.project.values_path(&environment.key),
            prefix: place.record.project.values_prefix.clone(),
            service: service.to_string(),
        },
        image: image.clone(),
        runtime: None,
        may_create: true,
    }
}
