//! Which repository an image has to lie in before it may run somewhere: where it is, or a copy of it in the target's registry.

use crate::{
    ports::image_copy::{CopyEnd, CopyRequest},
    service::{
        context::Services,
        reach::{self, EnvironmentPlace, ProjectPlace},
    },
    store::{ClusterRecord, StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::{ExactImage, Repository},
    copy::Mirror,
    environment::Environment,
    id::ResourceId,
    resource::{Resource, Source},
};
use std::{collections::HashMap, fmt};

/// Promotions that are looked through for the newest commit.
const LOOK_BACK: i64 = 200;

/// Where images of an environment are copied to: as it says itself, else as its cluster says.
pub(crate) fn mirror_of<'a>(environment: &'a Environment, clusters: &'a [ClusterRecord]) -> Option<&'a Mirror> {
    let cluster = clusters.iter().find(|record| record.cluster.id == environment.cluster);
    (environment.mirror.as_ref()).or_else(|| cluster?.cluster.mirror.as_ref())
}

/// Where an image of `source` must be copied to before `resource` may run it; `None` where it is pulled from `source` itself.
pub(crate) async fn target_repository(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    source: &Repository,
) -> Result<Option<Repository>, StoreError> {
    let mirror = mirror_of(environment, &place.clusters);
    let declared = match resource.source {
        Source::Promote { .. } => declared(tx, resource, source, mirror.is_some()).await?,
        // Who names the repository means it, and the file follows.
        Source::Image { .. } => None,
    };
    Ok(copied_to(mirror, declared.as_ref(), source))
}

/// The repository of another registry that the file of a resource names because a person wrote it there; without a mirror also the one that
/// was copied to before. What Waybill wrote as it followed its source says nothing.
async fn declared(
    tx: &mut dyn Tx,
    resource: &Resource,
    source: &Repository,
    has_mirror: bool,
) -> Result<Option<Repository>, StoreError> {
    let named = resource.desired.as_ref().map(|image| &image.repository);
    let Some(named) = named.filter(|named| named.registry() != source.registry()) else {
        return Ok(None);
    };
    let history = tx.promotions_of(resource.id, LOOK_BACK).await?;
    let newest = history.into_iter().find(|promotion| promotion.commit.is_some());
    let is_meant = match newest {
        Some(newest) if newest.placed().repository != *named => true,
        Some(newest) => newest.copied_to.is_some() && !has_mirror,
        None => true,
    };
    Ok(is_meant.then(|| named.clone()))
}

/// The same, given what the file names of a resource that is promoted to.
///
/// What is set decides, unless the file names another repository of the registry that images are copied to.
pub(crate) fn copied_to(
    mirror: Option<&Mirror>,
    declared: Option<&Repository>,
    source: &Repository,
) -> Option<Repository> {
    let elsewhere = declared.filter(|declared| declared.registry() != source.registry());
    let target = match (elsewhere, mirror) {
        (Some(elsewhere), Some(mirror)) if elsewhere.registry() == mirror.registry() => Some(elsewhere.clone()),
        (_, Some(mirror)) => mirror.target(source),
        (Some(elsewhere), None) => Some(elsewhere.clone()),
        // Another repository of the image's own registry is another image, most often.
        (None, None) => None,
    };
    target.filter(|target| target != source)
}

/// An image as a promotion to a resource will write it into Git.
pub(crate) async fn placed(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    image: &ExactImage,
) -> Result<ExactImage, StoreError> {
    Ok(
        match target_repository(tx, place, environment, resource, &image.repository).await? {
            Some(repository) => image.in_repository(&repository),
            None => image.clone(),
        },
    )
}

/// The same, outside of a transaction.
pub(crate) async fn placed_in(
    services: &Services,
    place: &EnvironmentPlace,
    resource: &Resource,
    image: &ExactImage,
) -> Result<ExactImage, StoreError> {
    let mut tx = services.store.read().await?;
    placed(&mut *tx, &place.project, &place.environment, resource, image).await
}

/// The copy of an image that is to run in an environment; within, why it can't be made, a sentence.
///
/// # Errors
/// When a stored password can't be opened, or the source may not be connected to.
pub(crate) fn copy_request(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    image: &ExactImage,
    to: &Repository,
) -> Result<Result<CopyRequest, String>, AppError> {
    let access = match reach::push_access_to(services, place, environment, to) {
        Err(AppError::Conflict(why)) => return Ok(Err(why)),
        access => access?,
    };
    let Some(access) = access else {
        return Ok(Err(no_right_to_push(&image.repository, to)));
    };
    let mirror = mirror_of(environment, &place.clusters);
    Ok(Ok(CopyRequest {
        from: CopyEnd {
            access: reach::registry_access(services, &place.registries, &image.repository)?,
            repository: image.repository.clone(),
        },
        to: CopyEnd {
            access,
            repository: to.clone(),
        },
        digest: image.digest.clone(),
        attachments: mirror.map(|mirror| mirror.attachments).unwrap_or_default(),
    }))
}

/// Why a promotion that needs a copy can't be made, and what to do.
fn no_right_to_push(from: &Repository, to: &Repository) -> String {
    format!(
        "The image must be copied from {from} to {to}, and Waybill has no right to push there. Under Settings, Registries, give the registry {} a user that may push. If it should be pulled from {from} instead, take the mirror away, or, where there is none, write that repository into the file in Git.",
        to.registry()
    )
}

/// A repository that images of two repositories would be copied to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Collision<'a> {
    /// One of the environments whose images land there.
    pub(crate) environment: &'a Environment,
    /// Where they would land.
    pub(crate) target: Repository,
    /// Where they come from.
    pub(crate) sources: [Repository; 2],
}

impl fmt::Display for Collision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = &self.sources;
        write!(
            f,
            "Images of {one} and of {other} would both be copied to {}. Use {{path}} in place of {{name}}, or copy one of them elsewhere.",
            self.target
        )
    }
}

/// The first repository that images of two different repositories would be copied to.
pub(crate) fn collision<'a>(
    environments: &'a [Environment],
    clusters: &'a [ClusterRecord],
    resources: &[Resource],
) -> Option<Collision<'a>> {
    let mut taken: HashMap<Repository, Repository> = HashMap::new();
    for (environment, source, target) in copies(environments, clusters, resources) {
        match taken.get(&target) {
            Some(other) if *other != source => {
                return Some(Collision {
                    environment,
                    sources: [other.clone(), source],
                    target,
                });
            }
            _ => drop(taken.insert(target, source)),
        }
    }
    None
}

/// The repositories that settings have images copied to, each once.
pub(crate) fn copy_targets(
    environments: &[Environment],
    clusters: &[ClusterRecord],
    resources: &[Resource],
) -> Vec<Repository> {
    let mut targets = Vec::new();
    for (_, _, target) in copies(environments, clusters, resources) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// What settings have copied: for which environment, from where to where.
fn copies<'a>(
    environments: &'a [Environment],
    clusters: &'a [ClusterRecord],
    resources: &[Resource],
) -> impl Iterator<Item = (&'a Environment, Repository, Repository)> {
    resources.iter().filter_map(move |resource| {
        let environment = environments.iter().find(|e| e.id == resource.environment)?;
        let mirror = mirror_of(environment, clusters)?;
        let source = comes_from(resource, environments, clusters, resources)?;
        let target = mirror.target(&source).filter(|target| *target != source)?;
        Some((environment, source, target))
    })
}

/// The repository that a resource's images come from, copies on the way followed; `None` where its source is gone.
fn comes_from(
    resource: &Resource,
    environments: &[Environment],
    clusters: &[ClusterRecord],
    resources: &[Resource],
) -> Option<Repository> {
    let mut chain = vec![resource];
    let first = loop {
        match &chain.last()?.source {
            Source::Image { repository, .. } => break repository.clone(),
            Source::Promote { from } => {
                let source = find(resources, *from)?;
                // What follows itself has no beginning.
                if chain.iter().any(|known| known.id == source.id) {
                    return None;
                }
                chain.push(source);
            }
        }
    };
    // What runs in each of those that it went through is where that one had it copied to.
    let repository = chain[1..].iter().rev().fold(first, |repository, passed| {
        let environment = environments.iter().find(|e| e.id == passed.environment);
        let mirror = environment.and_then(|environment| mirror_of(environment, clusters));
        mirror
            .and_then(|mirror| mirror.target(&repository))
            .unwrap_or(repository)
    });
    Some(repository)
}

/// The repository that a resource's images are pulled from, as settings say; `None` where its source is gone.
pub(super) fn lies_in(
    resource: &Resource,
    environments: &[Environment],
    clusters: &[ClusterRecord],
    resources: &[Resource],
) -> Option<Repository> {
    let source = comes_from(resource, environments, clusters, resources)?;
    let environment = environments.iter().find(|e| e.id == resource.environment)?;
    let copied = mirror_of(environment, clusters).and_then(|mirror| mirror.target(&source));
    Some(copied.unwrap_or(source))
}

fn find(resources: &[Resource], id: ResourceId) -> Option<&Resource> {
    resources.iter().find(|resource| resource.id == id)
}
