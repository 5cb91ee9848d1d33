//! What can't be pulled any more, as people see it.

use crate::{
    service::promotion::{healers, image_at},
    store::{PresenceRecord, StoreError, Tx},
};
use contract::resource::IncompleteView;
use domain::{artifact::ExactImage, id::ProjectId, id::WorkspaceId, resource::Resource};

/// What is gone of the image that a resource runs, and where it may be copied from; and why the last look wasn't answered.
pub(super) async fn incomplete_view(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    project: ProjectId,
    resource: &Resource,
) -> Result<(Option<IncompleteView>, Option<String>), StoreError> {
    let Some(image) = image_at(workspace, resource) else {
        return Ok((None, None));
    };
    let Some(record) = tx.presence(&image).await? else {
        return Ok((None, None));
    };
    let Some(since) = record.gone_since else {
        return Ok((None, record.trouble));
    };
    let incomplete = IncompleteView {
        from: healers(tx, project, resource, &image).await?,
        repository: image.repository,
        digest: image.digest,
        missing: record.missing,
        since,
        healing_from: record.heal_from,
        failure: record.heal_failure,
    };
    Ok((Some(incomplete), record.trouble))
}

/// What is gone of an image, by what is known; empty when nothing is.
pub(super) fn missing_of(incomplete: &[PresenceRecord], image: &ExactImage) -> Vec<String> {
    let is_it =
        |record: &&PresenceRecord| record.image.digest == image.digest && record.image.repository == image.repository;
    incomplete
        .iter()
        .find(is_it)
        .map(|record| record.missing.clone())
        .unwrap_or_default()
}
