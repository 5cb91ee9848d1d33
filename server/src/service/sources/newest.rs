//! The newest artifact of a repository that counts.

use crate::{
    service::sources::tag_order::{TagCounts, WhatCounts},
    store::{NamedTag, StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::{Digest, ExactImage, Repository},
    id::WorkspaceId,
    tag_rule::TagRule,
    tags::shown,
};
use std::collections::HashSet;

/// Artifacts that pages offer.
pub(crate) const RECENT: i64 = 20;

/// The newest artifact that counts, and when it came to.
pub(crate) struct NewestArtifact {
    pub(crate) image: ExactImage,
    pub(crate) arrived: i64,
    /// Whether the arrival is that of its tag: an image may be there for long before it is called what counts.
    pub(crate) is_of_tag: bool,
}

pub(crate) async fn newest_arrival(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
) -> Result<Option<NewestArtifact>, AppError> {
    if !what.tags.is_by_age_alone() {
        let newest = newest_by_tag(tx, workspace, repository, what).await?;
        return Ok(newest.map(|(image, arrived)| NewestArtifact {
            image,
            arrived,
            is_of_tag: true,
        }));
    }
    let Some(image) = newest_that_counts(tx, workspace, repository, what).await? else {
        return Ok(None);
    };
    let age = tx.artifact_age(workspace, repository, &image.digest).await?;
    Ok(age.map(|age| NewestArtifact {
        image,
        arrived: age.arrived,
        is_of_tag: false,
    }))
}

/// The newest artifact of a repository that may be deployed, by the tag that counts. One that is recalled may not.
pub(crate) async fn newest_that_counts(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
) -> Result<Option<ExactImage>, AppError> {
    if !what.tags.is_by_age_alone() {
        let newest = newest_by_tag(tx, workspace, repository, what).await?;
        return Ok(newest.map(|(image, _)| image));
    }
    // Mostly it is the newest of all; platforms that are built apart may have it far back.
    let mut most = RECENT;
    loop {
        let recent = tx.recent_artifacts(workspace, repository, most).await?;
        let is_all = i64::try_from(recent.len()).is_ok_and(|found| found < most);
        let newest = recent.into_iter().find(|artifact| what.runs(artifact));
        if newest.is_some() || is_all {
            return Ok(newest.map(|artifact| artifact.image));
        }
        most *= 10;
    }
}

/// The newest artifact that has a tag that counts, and when it first had one.
async fn newest_by_tag(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    what: &WhatCounts,
) -> Result<Option<(ExactImage, i64)>, AppError> {
    let counting = what.tags.newest_first(tx.named_tags(workspace, repository).await?);
    let mut looked_at: HashSet<&Digest> = HashSet::new();
    for named in &counting {
        if !looked_at.insert(&named.digest) {
            continue;
        }
        let artifact = tx.artifact(workspace, repository, &named.digest).await?;
        if !artifact.is_some_and(|artifact| what.runs(&artifact))
            || tx.recall_of(workspace, &named.digest).await?.is_some()
        {
            continue;
        }
        let of_it: Vec<&NamedTag> = counting.iter().filter(|other| other.digest == named.digest).collect();
        let tag = match what.tags.is_by_age() {
            true => {
                let environments = tx.environment_names(workspace).await?;
                shown(of_it.iter().map(|named| &named.tag), &environments).cloned()
            }
            false => Some(named.tag.clone()),
        };
        let arrived = of_it.iter().map(|named| named.arrived).min().unwrap_or(named.arrived);
        let image = ExactImage {
            repository: repository.clone(),
            tag,
            digest: named.digest.clone(),
        };
        return Ok(Some((image, arrived)));
    }
    Ok(None)
}

/// Why there is nothing to deploy, and what to do.
pub(crate) fn none_counts(repository: &Repository, tags: &TagRule) -> String {
    match tags.is_default() {
        true => format!("The registry holds no image of {repository} yet. Push one first, or check the name."),
        false => format!(
            "No image of {repository} counts (tags: {}). Push one that does, or change which tags count.",
            tags.words()
        ),
    }
}

/// How many images that count are newer than `from`, up to `to`; `None` where that can't be said.
pub(crate) async fn count_newer(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    tags: &TagCounts,
    from: &ExactImage,
    to: &ExactImage,
) -> Result<Option<i64>, StoreError> {
    let repository = &to.repository;
    if tags.is_by_age_alone() {
        let newer = tx.count_newer(workspace, repository, &from.digest, &to.digest).await?;
        return Ok(Some(newer));
    }
    let newest_first = tags.newest_first(tx.named_tags(workspace, repository).await?);
    let place = |image: &ExactImage| newest_first.iter().position(|named| named.digest == image.digest);
    let (Some(newer), Some(older)) = (place(to), place(from)) else {
        return Ok(None);
    };
    let between: HashSet<&Digest> = newest_first
        .get(newer..older)
        .unwrap_or_default()
        .iter()
        .map(|named| &named.digest)
        .collect();
    Ok(i64::try_from(between.len()).ok())
}
