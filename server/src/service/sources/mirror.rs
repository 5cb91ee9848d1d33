//! Which repository an image has to lie in before it may run somewhere: where it is, or a copy of it in the target's registry.

use crate::store::ClusterRecord;
use domain::{
    artifact::Repository,
    copy::Mirror,
    environment::Environment,
    id::ResourceId,
    resource::{Resource, Source},
};
use std::collections::HashMap;

/// Where images of an environment are copied to: as it says itself, else as its cluster says.
pub(crate) fn mirror_of<'a>(environment: &'a Environment, clusters: &'a [ClusterRecord]) -> Option<&'a Mirror> {
    let cluster = clusters.iter().find(|record| record.cluster.id == environment.cluster);
    (environment.mirror.as_ref()).or_else(|| cluster?.cluster.mirror.as_ref())
}

/// Where an image of `source` must be copied to before `resource` may run it; `None` where it is pulled from `source` itself.
///
/// The repository that the resource's file names wins where it is of another registry than the image. In the image's own registry, where
/// images are copied to wins. Of a resource that names its repository itself, the file only follows.
pub(crate) fn target_repository(
    mirror: Option<&Mirror>,
    resource: &Resource,
    source: &Repository,
) -> Option<Repository> {
    let declared = match resource.source {
        Source::Promote { .. } => resource.desired.as_ref().map(|image| &image.repository),
        Source::Image { .. } => None,
    };
    let elsewhere = declared.filter(|declared| declared.registry() != source.registry());
    let target = match (elsewhere, mirror) {
        (Some(elsewhere), _) => Some(elsewhere.clone()),
        (None, Some(mirror)) => mirror.target(source),
        (None, None) => declared.cloned(),
    };
    target.filter(|target| target != source)
}

/// Why a promotion that needs a copy can't be made, and what to do.
pub(crate) fn no_right_to_push(from: &Repository, to: &Repository) -> String {
    format!(
        "The image must be copied from {from} to {to}, and Waybill has no right to push there. Under Settings, Registries, give the registry {} a user that may push. If it should be pulled from {from} instead, write that repository into the file in Git.",
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

/// The first repository that images of two different repositories would be copied to.
pub(crate) fn collision<'a>(
    environments: &'a [Environment],
    clusters: &'a [ClusterRecord],
    resources: &[Resource],
) -> Option<Collision<'a>> {
    let mut taken: HashMap<Repository, Repository> = HashMap::new();
    for resource in resources {
        let Some(environment) = environments.iter().find(|e| e.id == resource.environment) else {
            continue;
        };
        let Some(mirror) = mirror_of(environment, clusters) else {
            continue;
        };
        let Some(source) = comes_from(resource, environments, clusters, resources) else {
            continue;
        };
        let Some(target) = mirror.target(&source).filter(|target| *target != source) else {
            continue;
        };
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

fn find(resources: &[Resource], id: ResourceId) -> Option<&Resource> {
    resources.iter().find(|resource| resource.id == id)
}
