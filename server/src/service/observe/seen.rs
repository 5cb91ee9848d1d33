//! Artifacts that were seen in a registry are remembered, many in one transaction.

use crate::{
    gather::Waiting,
    service::{
        context::{Services, Sighting, internal},
        reach,
    },
    store::{Found, KnownTag, NewEvent, StoreError, Tx},
};
use contract::error::AppError;
use domain::{
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    event::{Happened, Subject},
    id::WorkspaceId,
    promotion::{Actor, Promotion},
    tags::shown,
    time::Timestamp,
};

/// Artifacts written in one transaction: others who write wait meanwhile.
const MOST_AT_ONCE: usize = 256;

/// Asks the registry about a remembered artifact, once.
pub(crate) async fn learn_details(
    services: &Services,
    workspace: WorkspaceId,
    image: &ExactImage,
) -> Result<(), AppError> {
    let mut tx = services.store.read().await?;
    let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
    let Some(known) = known.filter(|artifact| artifact.details.is_none()) else {
        return Ok(());
    };
    let registries = tx.registries(workspace).await?;
    drop(tx);
    let access = reach::registry_access(services, &registries, &image.repository)?;
    if let Some(details) = services
        .registry
        .describe(&access, &image.repository, &image.digest)
        .await?
    {
        let mut tx = services.store.write().await?;
        let now = services.now();
        tx.set_details(workspace, image, &details, rank(&details, known.seen_at))
            .await?;
        tx.append_event(&seen(workspace, image), now).await?;
        tx.commit().await?;
        services.wrote();
    }
    Ok(())
}

/// Remembers what a promotion has written into Git. What is known of an image is known of its copies.
pub(crate) async fn see_placed(
    tx: &mut dyn Tx,
    promotion: &Promotion,
    placed: &ExactImage,
    now: Timestamp,
) -> Result<(), StoreError> {
    let workspace = promotion.workspace;
    tx.see_artifact(workspace, placed, now).await?;
    if promotion.copied_to.is_none() {
        return Ok(());
    }
    let image = &promotion.image;
    tx.see_artifact(workspace, image, now).await?;
    let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
    if let Some(known) = known
        && let Some(details) = &known.details
    {
        tx.set_details(workspace, placed, details, rank(details, known.seen_at))
            .await?;
    }
    Ok(())
}

/// Remembers artifacts and what tags name. What others see meanwhile is written along, and what is known already is not written again.
///
/// # Errors
/// When the database fails.
pub(crate) async fn record_seen(services: &Services, sightings: Vec<Sighting>) -> Result<(), AppError> {
    let mut news = Vec::new();
    for sighting in sightings {
        // Most looks find nothing new: they need not take the writer's turn.
        let mut tx = services.store.read().await?;
        if is_news(&mut *tx, &sighting).await? {
            news.push(sighting);
        }
    }
    if news.is_empty() {
        return Ok(());
    }
    let answers = services.pushes.seen.add(news);
    {
        let mut turn = services.pushes.seen.turn().await;
        while let Some(gathered) = turn.next(MOST_AT_ONCE) {
            write_seen(services, gathered).await;
        }
    }
    for answer in answers {
        answer.await.map_err(|e| internal(&e))??;
    }
    Ok(())
}

/// Writes what was seen, at once; where that fails, each by itself: one artifact's fault is not the others'.
async fn write_seen(services: &Services, gathered: Vec<Waiting<Sighting, Result<(), AppError>>>) {
    let sightings: Vec<&Sighting> = gathered.iter().map(|waiting| &waiting.item).collect();
    let together = try_write_seen(services, &sightings).await;
    let mut written = Vec::with_capacity(sightings.len());
    match together {
        Err(error) if sightings.len() > 1 && !matches!(error, AppError::Unavailable(_)) => {
            tracing::warn!(%error, "artifacts could not be recorded together; each is recorded by itself");
            for sighting in &sightings {
                written.push(try_write_seen(services, std::slice::from_ref(sighting)).await);
            }
        }
        outcome => written.resize(sightings.len(), outcome),
    }
    for (waiting, written) in gathered.into_iter().zip(written) {
        // Who waited may be gone.
        let _ = waiting.written.send(written);
    }
}

async fn try_write_seen(services: &Services, sightings: &[&Sighting]) -> Result<(), AppError> {
    let now = services.now();
    let mut tx = services.store.write().await?;
    // Each once, with whether that is news to people; what is shown is chosen when all tags are written.
    let mut named: Vec<(&Sighting, bool)> = Vec::new();
    for sighting in sightings {
        let Sighting {
            workspace,
            image,
            details,
            ..
        } = sighting;
        if !is_news(&mut *tx, sighting).await? {
            continue;
        }
        let known = tx.artifact(*workspace, &image.repository, &image.digest).await?;
        let mut is_told = false;
        if known.as_ref().is_none_or(|known| known.details.is_none()) {
            tx.see_artifact(*workspace, image, now).await?;
            // As it was written: never before one that arrived earlier, whatever this server's clock says.
            let written = tx.artifact(*workspace, &image.repository, &image.digest).await?;
            let seen_at = written.map_or(now, |written| written.seen_at);
            tx.set_details(*workspace, image, details, rank(details, seen_at))
                .await?;
            is_told = true;
        }
        if let Some(tag) = &image.tag {
            is_told |= write_tag(&mut *tx, *workspace, image, tag).await?;
        }
        let same = |(other, _): &&mut (&Sighting, bool)| {
            other.workspace == *workspace
                && other.image.repository == image.repository
                && other.image.digest == image.digest
        };
        match named.iter_mut().find(same) {
            Some((_, told)) => *told |= is_told,
            None => named.push((sighting, is_told)),
        }
    }
    for (sighting, is_told) in named {
        let (workspace, image) = (sighting.workspace, &sighting.image);
        let shown = show_best_tag(&mut *tx, workspace, &image.repository, &image.digest).await?;
        if is_told || shown.is_changed {
            tx.entered_by(&sighting.entrance);
            let image = ExactImage {
                tag: shown.tag,
                ..image.clone()
            };
            tx.append_event(&seen(workspace, &image), now).await?;
        }
    }
    tx.commit().await?;
    services.wrote();
    Ok(())
}

/// Writes what a tag names; whether it named another image before.
async fn write_tag(tx: &mut dyn Tx, workspace: WorkspaceId, image: &ExactImage, tag: &Tag) -> Result<bool, AppError> {
    let repository = &image.repository;
    let before = tx.known_tag(workspace, repository, tag).await?;
    let known = KnownTag {
        tag: tag.clone(),
        digest: Some(image.digest.clone()),
        found: Found::Image,
        why: None,
    };
    tx.put_tag(workspace, repository, &known).await?;
    let moved_from = before
        .filter(|before| before.found == Found::Image)
        .and_then(|before| before.digest)
        .filter(|digest| *digest != image.digest);
    if let Some(old) = &moved_from {
        show_best_tag(tx, workspace, repository, old).await?;
    }
    Ok(moved_from.is_some())
}

/// Whether an image, or that its tag names it, is other than what is known.
async fn is_news(tx: &mut dyn Tx, sighting: &Sighting) -> Result<bool, AppError> {
    let (workspace, image) = (sighting.workspace, &sighting.image);
    let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
    if known.is_none_or(|known| known.details.is_none()) {
        return Ok(true);
    }
    let Some(tag) = &image.tag else { return Ok(false) };
    let named = tx.known_tag(workspace, &image.repository, tag).await?;
    Ok(named.is_none_or(|named| named.found != Found::Image || named.digest.as_ref() != Some(&image.digest)))
}

/// The tag of an artifact that is shown.
pub(crate) struct Shown {
    tag: Option<Tag>,
    is_changed: bool,
}

/// Chooses which tag of an artifact is shown. One that Git named stays until the registry has a better one; one that names another
/// image now is none of it.
pub(crate) async fn show_best_tag(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    repository: &Repository,
    digest: &Digest,
) -> Result<Shown, AppError> {
    let before = tx
        .artifact(workspace, repository, digest)
        .await?
        .and_then(|known| known.image.tag);
    let mut tags = tx.tags_of_image(workspace, repository, digest).await?;
    if let Some(before) = before.as_ref().filter(|before| !tags.contains(before)) {
        let names = tx.known_tag(workspace, repository, before).await?;
        if names.is_none_or(|names| names.digest.as_ref() == Some(digest)) {
            tags.push(before.clone());
        }
    }
    let environments = tx.environment_names(workspace).await?;
    let tag = shown(&tags, &environments).cloned();
    let is_changed = tag != before;
    if is_changed {
        tx.show_tag(workspace, repository, digest, tag.as_ref()).await?;
    }
    Ok(Shown { tag, is_changed })
}

fn seen(workspace: WorkspaceId, image: &ExactImage) -> NewEvent {
    NewEvent {
        workspace,
        subject: Subject::default(),
        actor: Actor::Waybill,
        happened: Happened::ArtifactSeen { image: image.clone() },
    }
}

/// How new an artifact is: when it was built; when it was first seen, where the builder says nothing believable (reproducible
/// builds say 1970).
fn rank(details: &ArtifactDetails, seen_at: Timestamp) -> Timestamp {
    const YEAR_2000: Timestamp = Timestamp(946_684_800_000);
    const A_DAY: i64 = 86_400_000;
    details
        .created_at
        .filter(|built| *built >= YEAR_2000 && *built <= seen_at.plus_millis(A_DAY))
        .unwrap_or(seen_at)
}
