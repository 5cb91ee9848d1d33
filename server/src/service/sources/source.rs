//! What a resource's source offers, made exact: a digest, never a tag alone.

use crate::service::{
    context::Services,
    reach::{self, ProjectPlace},
    sources::declared,
};
use contract::error::AppError;
use domain::{
    artifact::{Digest, ExactImage, Repository},
    draft::{SourceImage, source_image},
    field::FieldErrors,
    id::ResourceId,
    promotion::Origin,
    resource::{Resource, Source},
};

/// The exact image that a source resource runs according to Git: by its digest, or, where Git holds only a tag, by what
/// the registry says the tag names now.
pub(crate) async fn resolve_source(
    services: &Services,
    place: &ProjectPlace,
    source: ResourceId,
) -> Result<(ExactImage, Origin), AppError> {
    let (resource, origin) = source_of(services, place, source).await?;
    let who = format!("{}/{}", origin.environment, origin.resource);
    let declared = declared::declared(services, place, &resource, true).await?;
    let image = source_image(&declared, &who).map_err(AppError::Conflict)?;
    let image = resolve_image(services, place, &resource, &who, image)
        .await
        .map_err(AppError::Conflict)?;
    Ok((image, origin))
}

/// Makes a source's image exact. The error is a sentence for the person who asked.
pub(crate) async fn resolve_image(
    services: &Services,
    place: &ProjectPlace,
    source: &Resource,
    who: &str,
    image: SourceImage,
) -> Result<ExactImage, String> {
    let (repository, tag) = match image {
        SourceImage::Exact(image) => return Ok(image),
        SourceImage::ByTag(repository, tag) => (repository, tag),
    };
    let access = reach::registry_access(services, &place.registries, &repository).map_err(|e| e.to_string())?;
    let digest = services
        .registry
        .resolve(&access, &repository, &tag)
        .await
        .map_err(|e| e.to_string())?
        .ok_or_else(|| {
            format!("The registry has no tag {tag} in {repository} any more. Deploy {who} by digest first.")
        })?;
    let running = source
        .live
        .as_ref()
        .map(|live| live.digests.as_slice())
        .unwrap_or_default();
    if !running.is_empty() && !running.contains(&digest) {
        return Err(format!(
            "The tag {tag} has moved: it names {} now, but {who} runs {}. Deploy {who} by digest first, \
             so that what is promoted is what ran.",
            digest.short(),
            running.iter().map(Digest::short).collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(ExactImage {
        repository,
        tag: Some(tag),
        digest,
    })
}

pub(crate) async fn source_of(
    services: &Services,
    place: &ProjectPlace,
    source: ResourceId,
) -> Result<(Resource, Origin), AppError> {
    let missing = || AppError::Conflict("The source no longer exists. Choose another source.".into());
    let resource = services
        .store
        .read()
        .await?
        .resource(source)
        .await?
        .ok_or_else(missing)?;
    if !resource.is_promotable() {
        return Err(AppError::Conflict(resource.kind.refusal(resource.name.as_str())));
    }
    let origin = place.origin(&resource).ok_or_else(missing)?;
    Ok((resource, origin))
}

/// The repository that a source takes its images from.
pub(crate) async fn source_repository(
    services: &Services,
    place: &ProjectPlace,
    source: ResourceId,
) -> Result<(Repository, Origin), AppError> {
    let (resource, origin) = source_of(services, place, source).await?;
    let stored = match (&resource.source, &resource.desired) {
        (_, Some(desired)) => Some(desired.repository.clone()),
        (Source::Image { repository, .. }, None) => Some(repository.clone()),
        (Source::Promote { .. }, None) => None,
    };
    let repository = match stored {
        Some(repository) => Some(repository),
        None => declared::declared(services, place, &resource, true).await?.repository,
    };
    let who = format!("{}/{}", origin.environment, origin.resource);
    let why = || AppError::Conflict(format!("{who} has no image yet. Deploy it once, then promote it."));
    Ok((repository.ok_or_else(why)?, origin))
}

/// The image that a pin names: it must exist in the registry.
pub(crate) async fn pinned_image(
    services: &Services,
    place: &ProjectPlace,
    repository: &Repository,
    digest: &Digest,
) -> Result<ExactImage, AppError> {
    let access = reach::registry_access(services, &place.registries, repository)?;
    if !services.registry.exists(&access, repository, digest).await? {
        return Err(FieldErrors::one(
            "digest",
            format!("The registry holds no image with this digest in {repository}. Check the digest, or push the image first."),
        )
        .into());
    }
    let known = services
        .store
        .read()
        .await?
        .artifact(place.workspace.id, repository, digest)
        .await?;
    let tag = known.and_then(|artifact| artifact.image.tag);
    Ok(ExactImage {
        repository: repository.clone(),
        tag,
        digest: digest.clone(),
    })
}
