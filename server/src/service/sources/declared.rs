//! What Git declares for services, as it is read from the mirror.

use crate::{
    ports::git::GitError,
    service::{
        context::Services,
        reach::{self, ProjectPlace},
    },
};
use contract::error::AppError;
use domain::{
    artifact::{DeclaredImage, ExactImage},
    environment::Environment,
    resource::Resource,
};
use std::collections::HashMap;

/// What Git declares for one resource; at the tip as known, or, with `fetch`, as it is now.
pub(crate) async fn declared(
    services: &Services,
    place: &ProjectPlace,
    resource: &Resource,
    fetch: bool,
) -> Result<DeclaredImage, AppError> {
    let Some(environment) = place.environments.iter().find(|e| e.id == resource.environment) else {
        return Ok(DeclaredImage::default());
    };
    let mut services = declared_services(services, place, environment, fetch).await?;
    Ok(services.remove(resource.key.as_str()).unwrap_or_default())
}

/// What Git declares in an environment's values file, by key.
pub(crate) async fn declared_services(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    fetch: bool,
) -> Result<HashMap<String, DeclaredImage>, AppError> {
    let access = reach::repository_access(services, &place.record)?;
    let known = if fetch {
        None
    } else {
        services.git.known_tip(&access).await?
    };
    let tip = match known {
        Some(tip) => tip,
        None => match services.git.fetch(&access).await {
            Ok(tip) => tip,
            Err(GitError::Empty { .. }) => return Ok(HashMap::new()),
            Err(error) => return Err(error.into()),
        },
    };
    let path = place.record.project.values_path(&environment.key);
    let services = services
        .git
        .services(&access, &tip, &path, &place.record.project.values_prefix)
        .await?;
    Ok(services
        .unwrap_or_default()
        .into_iter()
        .map(|s| (s.name, s.image))
        .collect())
}

/// Whether an environment has no values file; at the tip as known, or, with `fetch`, as it is now. Not when Git can't say: it is asked
/// again before anything is written.
pub(crate) async fn lacks_file(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    fetch: bool,
) -> bool {
    let look = async {
        let access = reach::repository_access(services, &place.record)?;
        let known = match fetch {
            true => None,
            false => services.git.known_tip(&access).await?,
        };
        let tip = match known {
            Some(tip) => tip,
            None => match services.git.fetch(&access).await {
                Ok(tip) => tip,
                Err(GitError::Empty { .. }) => return Ok(true),
                Err(error) => return Err(error.into()),
            },
        };
        let project = &place.record.project;
        let path = project.values_path(&environment.key);
        let services = services
            .git
            .services(&access, &tip, &path, &project.values_prefix)
            .await?;
        Ok::<_, AppError>(services.is_none())
    };
    look.await.unwrap_or(false)
}

/// Host and path of a repository's address, however it is reached: `github.com/acme/deploy`.
pub(crate) fn whereabouts(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, path) = rest.split_once(['/', ':']).unwrap_or((rest, ""));
    // A port may stand between them.
    let path = match path.split_once('/') {
        Some((port, path)) if !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()) => path,
        _ => path,
    };
    let path = path.trim_matches('/').trim_end_matches(".git").to_lowercase();
    format!("{}/{path}", host.to_lowercase())
}

/// The image, where all of it is declared.
pub(crate) fn exact_image(declared: &DeclaredImage) -> Option<ExactImage> {
    Some(ExactImage {
        repository: declared.repository.clone()?,
        tag: declared.tag.clone(),
        digest: declared.digest.clone()?,
    })
}
