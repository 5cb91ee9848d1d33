//! Which repository an image has to lie in before it may run somewhere: where it is, or a copy of it in the target's registry.

use crate::{service::reach::ProjectPlace, store::ClusterRecord};
use domain::{
    artifact::{ExactImage, Repository},
    copy::Mirror,
    environment::Environment,
    id::ResourceId,
    resource::{Resource, Source},
};
use std::{collections::HashMap, fmt};

/// Where images of an environment are copied to: as it says itself, else as its cluster says.
pub(crate) fn mirror_of<'a>(environment: &'a Environment, clusters: &'a [ClusterRecord]) -> Option<&'a Mirror> {
    let cluster = clusters.iter().find(|record| record.cluster.id == environment.cluster);
    (environment.mirror.as_ref()).or_else(|| cluster?.cluster.mirror.as_ref())
}

/// Where an image of `source` must be copied to before `resource` may run it; `None` where it is pulled from `source` itself.
pub(crate) fn target_repository(
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    source: &Repository,
) -> Option<Repository> {
    let declared = match resource.source {
        Source::Promote { .. } => resource.desired.as_ref().map(|image| &image.repository),
        // Who names the repository means it, and the file follows.
        Source::Image { .. } => None,
    };
    copied_to(mirror_of(environment, &place.clusters), declared, source)
}

/// The same, given what the file names of a resource that is promoted to.
///
/// The file wins where it names another registry than that of the image. Within the image's registry, the setting decides.
pub(crate) fn copied_to(
    mirror: Option<&Mirror>,
    declared: Option<&Repository>,
    source: &Repository,
) -> Option<Repository> {
    let elsewhere = declared.filter(|declared| declared.registry() != source.registry());
    let target = match (elsewhere, mirror) {
        (Some(elsewhere), _) => Some(elsewhere.clone()),
        (None, Some(mirror)) => mirror.target(source),
        // Another repository of the image's own registry is another image, most often.
        (None, None) => None,
    };
    target.filter(|target| target != source)
}

/// An image as Git will say it in a resource.
pub(crate) fn placed(
    place: &ProjectPlace,
    environment: &Environment,
    resource: &Resource,
    image: &ExactImage,
) -> ExactImage {
    match target_repository(place, environment, resource, &image.repository) {
        Some(repository) => ExactImage {
            repository,
            ..image.clone()
        },
        None => image.clone(),
    }
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

fn find(resources: &[Resource], id: ResourceId) -> Option<&Resource> {
    resources.iter().find(|resource| resource.id == id)
}
