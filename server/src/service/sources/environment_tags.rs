//! The tags of environments: where they lie, which of them a promotion brings about, which two can't be together, and how long an image is kept.

use super::{TagCounts, history::that_ran, mirror::lies_in};
use crate::{
    ports::image_copy::CopyEnd,
    service::{
        context::Services,
        reach::{self, ProjectPlace},
    },
    store::{ClusterRecord, StoreError, TagWanted, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::{Digest, ExactImage, Repository, Tag},
    environment::Environment,
    environment_tags::{EnvironmentTags, TagUse},
    id::{EnvironmentId, WorkspaceId},
    promotion::Promotion,
    resource::{Resource, Source},
    tag_rule::TagOrder,
};

/// Promotions of a resource that are looked through for the images that it ran last.
const LOOK_BACK: i64 = 200;
/// Keepers as they may be called, to hold rules against that would count them.
const KEEPERS: [&str; 4] = ["0123456789ab", "999999999999", "a1b2c3d4e5f6", "cafecafecafe"];

/// The tag that keeps the image of a promotion, if its environment has such.
pub(crate) fn keeper(promotion: &Promotion, tags: &EnvironmentTags) -> Option<TagWanted> {
    let tag = tags.keeper(&promotion.image.digest)?;
    Some(wanted(promotion, tag, TagUse::Keeper))
}

/// The tag that marks the image of a promotion once it is live, if its environment has one.
pub(crate) fn marker(promotion: &Promotion, tags: &EnvironmentTags) -> Option<TagWanted> {
    Some(wanted(promotion, tags.marker()?, TagUse::Marker))
}

fn wanted(promotion: &Promotion, tag: Tag, usage: TagUse) -> TagWanted {
    let placed = promotion.placed();
    TagWanted {
        workspace: promotion.workspace,
        repository: placed.repository,
        tag,
        usage,
        environment: promotion.environment,
        resource: promotion.resource,
        promotion: Some(promotion.id),
        digest: placed.digest,
    }
}

/// How a tag of an environment is set in a repository; within, why it can't be, a sentence.
///
/// # Errors
/// When a stored password can't be opened.
pub(crate) fn push_end(
    services: &Services,
    place: &ProjectPlace,
    environment: &Environment,
    repository: &Repository,
) -> Result<Result<CopyEnd, String>, AppError> {
    let access = match reach::push_access_to(services, place, environment, repository) {
        Err(AppError::Conflict(why)) => return Ok(Err(why)),
        access => access?,
    };
    Ok(match access {
        Some(access) => Ok(CopyEnd {
            access,
            repository: repository.clone(),
        }),
        None => Err(format!(
            "Waybill has no right to push to {repository}. Under Settings, Registries, give the registry {} a user that may push.",
            repository.registry()
        )),
    })
}

/// Whether an image must stay in a repository: it is among the last that a resource of the environment ran there, a promotion is on its way to
/// it, or it runs, or is to run, anywhere in the workspace. As long as an Argo CD doesn't say what runs in the environment, it must.
pub(crate) async fn is_kept(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    environment: &Environment,
    repository: &Repository,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let last = environment.tags.keep.as_ref().map_or(0, |keep| keep.last);
    let last = usize::try_from(last).unwrap_or(usize::MAX);
    let has_argocd = place
        .cluster(environment)
        .is_some_and(|record| record.cluster.argocd.is_some());
    let mut here = Vec::new();
    for record in tx.projects(place.workspace.id).await? {
        for resource in tx.resources(record.project.id).await? {
            let is_declared = (resource.desired.as_ref())
                .is_some_and(|image| image.digest == *digest && image.repository == *repository);
            let is_live = (resource.live.as_ref()).is_some_and(|live| live.digests.contains(digest));
            if is_declared || is_live {
                return Ok(true);
            }
            if resource.environment == environment.id {
                here.push(resource);
            }
        }
    }
    for resource in here {
        let is_unknown = has_argocd && resource.desired.is_some() && resource.live.is_none();
        let history = tx.promotions_of(resource.id, LOOK_BACK).await?;
        let is_it = |image: &ExactImage| image.digest == *digest && image.repository == *repository;
        if history
            .iter()
            .any(|promotion| !promotion.state.is_ended() && is_it(&promotion.placed()))
        {
            return Ok(true);
        }
        let mut ran: Vec<ExactImage> = Vec::new();
        for image in that_ran(&history) {
            if image.repository == *repository && ran.iter().all(|known| known.digest != image.digest) {
                ran.push(image);
            }
        }
        let counted = if is_unknown { ran.len() } else { last };
        if ran.iter().take(counted).any(is_it) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All environments and resources of a workspace: what rules about repositories are held against.
pub(crate) async fn all_of_workspace(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
) -> Result<(Vec<Environment>, Vec<Resource>), StoreError> {
    let (mut environments, mut resources) = (Vec::new(), Vec::new());
    for record in tx.projects(workspace).await? {
        environments.extend(tx.environments(record.project.id).await?);
        resources.extend(tx.resources(record.project.id).await?);
    }
    Ok((environments, resources))
}

/// Why the tags of an environment can't be as they are set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TagsClash {
    /// The environment.
    pub(crate) environment: EnvironmentId,
    /// The other environment that would set the same tag, if it is that.
    pub(crate) other: Option<EnvironmentId>,
    /// The part of its tags: `marker`, `keep.prefix`.
    pub(crate) part: &'static str,
    /// What is wrong, and what to do.
    pub(crate) why: String,
}

/// The first tags of two environments that would be one tag of one repository, or that a rule for tags counts: Waybill would promote what it
/// marked itself.
pub(crate) fn tags_clash(
    environments: &[Environment],
    clusters: &[ClusterRecord],
    resources: &[Resource],
) -> Option<TagsClash> {
    let tagged = resources.iter().filter_map(|resource| {
        let environment = environments.iter().find(|e| e.id == resource.environment)?;
        let repository = lies_in(resource, environments, clusters, resources)?;
        (!environment.tags.is_none()).then_some((environment, repository))
    });
    let mut placed: Vec<(&Environment, Repository)> = Vec::new();
    for (environment, repository) in tagged {
        for (other, theirs) in &placed {
            if other.id != environment.id
                && *theirs == repository
                && let Some(part) = shared(&environment.tags, &other.tags)
            {
                return Some(TagsClash {
                    environment: environment.id,
                    other: Some(other.id),
                    part,
                    why: format!(
                        "{} and {} both have images in {repository}, and would set the same tags there. Choose another name in one of them.",
                        other.name, environment.name
                    ),
                });
            }
        }
        for follower in resources {
            let Source::Image {
                repository: followed,
                tags,
            } = &follower.source
            else {
                continue;
            };
            // Every tag counts there, and none makes an image newer.
            if *followed != repository || tags.order == TagOrder::BuildTime {
                continue;
            }
            if let Some((part, tag)) = counted(&environment.tags, &TagCounts::of(tags)) {
                return Some(TagsClash {
                    environment: environment.id,
                    other: None,
                    part,
                    why: format!(
                        "{} follows {repository}, and would count {tag}, which Waybill sets itself: it would promote its own tag. Choose another name, or add it to the tags that never count for {}.",
                        follower.name, follower.name
                    ),
                });
            }
        }
        placed.push((environment, repository));
    }
    None
}

/// The part of `these` that would set a tag of `those`.
fn shared(these: &EnvironmentTags, those: &EnvironmentTags) -> Option<&'static str> {
    if these.marker().is_some_and(|marker| those.makes(&marker)) {
        return Some("marker");
    }
    let keep = these.keep.as_ref()?;
    let is_same = those.keep.as_ref().is_some_and(|other| other.prefix == keep.prefix);
    let is_marker = those.marker().is_some_and(|marker| keep.makes(&marker));
    (is_same || is_marker).then_some("keep.prefix")
}

/// The part of the tags that a rule counts, with such a tag.
fn counted(tags: &EnvironmentTags, rule: &TagCounts) -> Option<(&'static str, Tag)> {
    let counts = |tag: &Tag| rule.passes_over(tag).is_none();
    if let Some(marker) = tags.marker().filter(|marker| counts(marker)) {
        return Some(("marker", marker));
    }
    let prefix = &tags.keep.as_ref()?.prefix;
    let keepers = KEEPERS
        .iter()
        .filter_map(|short| format!("{prefix}{short}").parse().ok());
    let mut keepers = keepers.filter(counts);
    keepers.next().map(|tag| ("keep.prefix", tag))
}
