//! Whether an image is newer than another, by the rule that counts for a resource.

use crate::{
    service::{
        reach::ProjectPlace,
        sources::tag_order::{Key, TagCounts},
    },
    store::{StoreError, Tx},
};
use domain::{
    artifact::ExactImage,
    follow::Course,
    id::{EnvironmentId, WorkspaceId},
};
use std::cmp::Ordering;

/// Where `offered` leads what runs `runs`, by the order of the artifacts of their repository: that of the tags which name them where the rule
/// has one for both, else that of their age.
pub(crate) async fn course(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    tags: &TagCounts,
    runs: Option<&ExactImage>,
    offered: &ExactImage,
) -> Result<Course, StoreError> {
    let Some(runs) = runs else {
        return Ok(Course::of(None, offered, None));
    };
    let (runs, offered) = &in_one_repository(tx, workspace, runs, offered).await?;
    if runs.repository != offered.repository || runs.digest == offered.digest {
        return Ok(Course::of(Some((runs, None)), offered, None));
    }
    let was = tx.artifact_age(workspace, &runs.repository, &runs.digest).await?;
    let is = tx.artifact_age(workspace, &offered.repository, &offered.digest).await?;
    if tags.has_keys()
        && let Some(old) = key(tx, workspace, tags, runs).await?
        && let Some(new) = key(tx, workspace, tags, offered).await?
    {
        let by_arrival = || is.map(|age| age.arrived).cmp(&was.map(|age| age.arrived));
        return Ok(match new.cmp(&old).then_with(by_arrival) {
            Ordering::Greater => Course::Newer,
            Ordering::Less => Course::Older,
            Ordering::Equal => Course::Unknown,
        });
    }
    Ok(Course::of(Some((runs, was)), offered, is))
}

/// Two images in one repository, where one of them is known there too: a copy is the image itself.
async fn in_one_repository(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    runs: &ExactImage,
    offered: &ExactImage,
) -> Result<(ExactImage, ExactImage), StoreError> {
    if runs.repository == offered.repository {
        return Ok((runs.clone(), offered.clone()));
    }
    if (tx.artifact(workspace, &offered.repository, &runs.digest).await?).is_some() {
        return Ok((runs.in_repository(&offered.repository), offered.clone()));
    }
    if (tx.artifact(workspace, &runs.repository, &offered.digest).await?).is_some() {
        return Ok((runs.clone(), offered.in_repository(&runs.repository)));
    }
    Ok((runs.clone(), offered.clone()))
}

/// Whether an image has a platform of an environment's cluster, as far as its registry said what it has.
pub(crate) async fn runs_there(
    tx: &mut dyn Tx,
    place: &ProjectPlace,
    environment: EnvironmentId,
    image: &ExactImage,
) -> Result<bool, StoreError> {
    let needed = place.platforms(environment);
    // What has no platform of Linux is no artifact at all.
    if needed.is_empty() {
        return Ok(true);
    }
    let known = tx
        .artifact(place.workspace.id, &image.repository, &image.digest)
        .await?;
    let details = known.and_then(|artifact| artifact.details);
    Ok(details.is_none_or(|details| details.runs_on(needed)))
}

/// What an image is ordered by: the highest of what its tags are, the one that it is called by among them.
async fn key(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    tags: &TagCounts,
    image: &ExactImage,
) -> Result<Option<Key>, StoreError> {
    let known = tx.tags_of_image(workspace, &image.repository, &image.digest).await?;
    Ok(known.iter().chain(&image.tag).filter_map(|tag| tags.key(tag)).max())
}
