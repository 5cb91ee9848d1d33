//! New artifacts: a registry says that something was pushed, or a look at its tags finds it.

use super::{Services, follow::course, internal, place::ProjectPlace};
use crate::{
    adapters::registry::RegistryAccess,
    gather::Waiting,
    store::{NewEvent, Tx},
};
use app::error::AppError;
use domain::{
    artifact::{Artifact, ArtifactDetails, ExactImage, Repository, Tag},
    door::Entrance,
    event::{Happened, Subject},
    follow::Course,
    id::WorkspaceId,
    promotion::{Actor, Purpose},
    resource::Resource,
    time::Timestamp,
};
use std::collections::HashSet;

/// Artifacts that pages offer.
pub(crate) const RECENT: i64 = 20;
/// Tags that a look at a repository resolves again, because they may have moved; the newest known ones.
const RESOLVE_AGAIN: usize = 50;
/// Artifacts written in one transaction: others who write wait meanwhile.
const MOST_AT_ONCE: usize = 256;

impl Services {
    /// Looks at every tag of a repository that may be new or have moved.
    ///
    /// # Errors
    /// When the registry can't be asked.
    pub async fn look_at_repository(&self, workspace: WorkspaceId, repository: &Repository) -> Result<(), AppError> {
        let _turn = self.turn_at(workspace, repository).await;
        let found = self.find_in_repository(workspace, repository, Look::Whole).await?;
        self.see_all(workspace, repository, found).await
    }

    /// What the tags of a repository name that are new, or may have moved.
    ///
    /// # Errors
    /// When the registry can't be asked.
    pub(super) async fn find_in_repository(
        &self,
        workspace: WorkspaceId,
        repository: &Repository,
        look: Look,
    ) -> Result<Vec<Sighting>, AppError> {
        let mut tx = self.store.read().await?;
        let clusters = tx.clusters(workspace).await?;
        let known = tx.known_tags(workspace, repository).await?;
        drop(tx);
        let access = self.registry_access(&clusters, repository)?;
        let tags = self.registry.tags(&access, repository).await?;
        // Old tags that still name what they named are left alone; a tag that names something old and something new has moved.
        let (old, recent) = known.split_at(known.len().saturating_sub(RESOLVE_AGAIN));
        let mut found = Vec::new();
        for tag in tags {
            let is_asked = match look {
                Look::Whole => !old.contains(&tag) || recent.contains(&tag),
                Look::NewTags => !known.contains(&tag),
            };
            if is_asked {
                found.extend(self.look_at(workspace, &access, repository, &tag).await?);
            }
        }
        // Tags come in no order of time; what was built later is newer, and else what is named higher.
        found.sort_by(|(image, details), (other, of_other)| {
            let by_time = details.created_at.cmp(&of_other.created_at);
            by_time.then_with(|| match (&image.tag, &other.tag) {
                (Some(tag), Some(other)) => tag.natural_cmp(other),
                (tag, other) => tag.is_some().cmp(&other.is_some()),
            })
        });
        let sighting = |(image, details)| Sighting {
            workspace,
            image,
            details,
            entrance: Entrance::default(),
        };
        Ok(found.into_iter().map(sighting).collect())
    }

    /// The image that a tag names now, with what the registry says about it; `None` for what is no image (signatures, charts) or gone.
    pub(super) async fn look_at(
        &self,
        workspace: WorkspaceId,
        access: &RegistryAccess,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<(ExactImage, ArtifactDetails)>, AppError> {
        // Signatures, attestations and SBOMs hang on an image under such tags.
        if tag.as_str().starts_with("sha256-") {
            return Ok(None);
        }
        let Some(digest) = self.registry.resolve(access, repository, tag).await? else {
            return Ok(None);
        };
        let mut tx = self.store.read().await?;
        let known = tx.artifact(workspace, repository, &digest).await?;
        drop(tx);
        let details = match known.and_then(|artifact| artifact.details) {
            Some(details) => Some(details),
            None => self.registry.describe(access, repository, &digest).await?,
        };
        let image = ExactImage {
            repository: repository.clone(),
            tag: Some(tag.clone()),
            digest,
        };
        Ok(details
            .filter(|details| !details.platforms.is_empty())
            .map(|details| (image, details)))
    }

    /// Asks the registry about a remembered artifact, once.
    pub(crate) async fn learn_details(&self, workspace: WorkspaceId, image: &ExactImage) -> Result<(), AppError> {
        let mut tx = self.store.read().await?;
        let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
        let Some(known) = known.filter(|artifact| artifact.details.is_none()) else {
            return Ok(());
        };
        let clusters = tx.clusters(workspace).await?;
        drop(tx);
        let access = self.registry_access(&clusters, &image.repository)?;
        if let Some(details) = self
            .registry
            .describe(&access, &image.repository, &image.digest)
            .await?
        {
            let mut tx = self.store.write().await?;
            let now = self.now();
            tx.set_details(workspace, image, &details, rank(&details, known.seen_at))
                .await?;
            tx.append_event(&seen(workspace, image), now).await?;
            tx.commit().await?;
            self.wrote();
        }
        Ok(())
    }

    /// Remembers artifacts; where one is the newest of its repository, resources that track that are deployed. Notifications come
    /// late and out of order: an older build that is heard of last is not news. What others see meanwhile is written along.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn see(&self, sightings: Vec<Sighting>) -> Result<(), AppError> {
        let mut news = Vec::new();
        for sighting in sightings {
            // Most looks find nothing new: they need not take the writer's turn.
            if !self.is_settled(&sighting).await? {
                news.push(sighting);
            }
        }
        let mut adopted: Vec<(WorkspaceId, &Repository)> = Vec::new();
        for Sighting { workspace, image, .. } in &news {
            if !adopted.contains(&(*workspace, &image.repository)) {
                adopted.push((*workspace, &image.repository));
                self.adopt(*workspace, &image.repository).await?;
            }
        }
        let answers = self.pushes.seen.add(news);
        {
            let mut turn = self.pushes.seen.turn().await;
            while let Some(gathered) = turn.next(MOST_AT_ONCE) {
                self.write_seen(gathered).await;
            }
        }
        for answer in answers {
            answer.await.map_err(|e| internal(&e))??;
        }
        Ok(())
    }

    /// Whether an artifact is known as it was seen, and nothing is to be deployed for it.
    async fn is_settled(&self, sighting: &Sighting) -> Result<bool, AppError> {
        let (workspace, image) = (sighting.workspace, &sighting.image);
        let mut tx = self.store.read().await?;
        let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
        if is_news(known.as_ref(), image) {
            return Ok(false);
        }
        for resource in tx.resources_of_image(workspace, &image.repository).await? {
            if !self.has(&mut *tx, workspace, &resource, image).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what was seen, at once; where that fails, each by itself: one artifact's fault is not the others'.
    async fn write_seen(&self, gathered: Vec<Waiting<Sighting, Result<(), AppError>>>) {
        let sightings: Vec<&Sighting> = gathered.iter().map(|waiting| &waiting.item).collect();
        let together = self.try_write_seen(&sightings).await;
        let mut written = Vec::with_capacity(sightings.len());
        match together {
            Err(error) if sightings.len() > 1 && !matches!(error, AppError::Unavailable(_)) => {
                tracing::warn!(%error, "artifacts could not be recorded together; each is recorded by itself");
                for sighting in &sightings {
                    written.push(self.try_write_seen(std::slice::from_ref(sighting)).await);
                }
            }
            outcome => written.resize(sightings.len(), outcome),
        }
        for (waiting, written) in gathered.into_iter().zip(written) {
            // Who waited may be gone.
            let _ = waiting.written.send(written);
        }
    }

    async fn try_write_seen(&self, sightings: &[&Sighting]) -> Result<(), AppError> {
        let now = self.now();
        let mut tx = self.store.write().await?;
        for Sighting {
            workspace,
            image,
            details,
            entrance,
        } in sightings
        {
            tx.entered_by(entrance);
            let known = tx.artifact(*workspace, &image.repository, &image.digest).await?;
            tx.see_artifact(*workspace, image, now).await?;
            // As it was written: never before one that arrived earlier, whatever this server's clock says.
            let seen_at = match &known {
                Some(known) => known.seen_at,
                None => (tx.artifact(*workspace, &image.repository, &image.digest).await?)
                    .map_or(now, |written| written.seen_at),
            };
            tx.set_details(*workspace, image, details, rank(details, seen_at))
                .await?;
            if is_news(known.as_ref(), image) {
                tx.append_event(&seen(*workspace, image), now).await?;
            }
        }
        let mut decided = HashSet::new();
        for sighting in sightings {
            let (workspace, repository) = (sighting.workspace, &sighting.image.repository);
            if !decided.insert((workspace, repository)) {
                continue;
            }
            let newest = tx.recent_artifacts(workspace, repository, 1).await?;
            let is_newest = |other: &&&Sighting| {
                let image = &other.image;
                other.workspace == workspace
                    && newest.first().is_some_and(|newest| {
                        newest.image.repository == image.repository && newest.image.digest == image.digest
                    })
            };
            if let Some(Sighting { image, entrance, .. }) = sightings.iter().rev().find(is_newest) {
                tx.entered_by(entrance);
                self.deploy(&mut *tx, workspace, image).await?;
            }
        }
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// Whether nothing is to be done for a resource about an image: it doesn't track, runs it, or its newest promotion is to it (also
    /// when that failed: trying again is a person's decision), or it runs something newer.
    async fn has(
        &self,
        tx: &mut dyn Tx,
        workspace: WorkspaceId,
        resource: &Resource,
        image: &ExactImage,
    ) -> Result<bool, AppError> {
        if !resource.follows_by_itself() {
            return Ok(true);
        }
        let leads_on = course(tx, workspace, resource.desired.as_ref(), image).await? == Course::Newer;
        let newest = tx.promotions_of(resource.id, 1).await?.into_iter().next();
        Ok(match newest {
            Some(newest) if newest.image.digest == image.digest => true,
            Some(newest) if !newest.state.is_ended() => !leads_on,
            // Nothing goes back by itself.
            _ => !leads_on,
        })
    }

    async fn deploy(&self, tx: &mut dyn Tx, workspace: WorkspaceId, image: &ExactImage) -> Result<(), AppError> {
        for resource in tx.resources_of_image(workspace, &image.repository).await? {
            if self.has(tx, workspace, &resource, image).await? {
                continue;
            }
            let Some(project) = project_of(tx, workspace, &resource).await? else {
                continue;
            };
            let place = self.place_for_waybill(tx, project).await?;
            let request = super::request::Request {
                purpose: Purpose::Deploy,
                actor: Actor::Waybill,
                origin: None,
                image: image.clone(),
                creates: resource.desired.is_none(),
                preview: None,
            };
            self.request(tx, &place, &resource, request).await?;
        }
        Ok(())
    }

    /// Reads Git for resources of an image repository that are not known to run anything yet: one that was just applied may be
    /// running long since, and what Git declares for it is adopted before anything is deployed.
    async fn adopt(&self, workspace: WorkspaceId, repository: &Repository) -> Result<(), AppError> {
        let mut tx = self.store.read().await?;
        let mut projects = Vec::new();
        for resource in tx.resources_of_image(workspace, repository).await? {
            if resource.desired.is_some() {
                continue;
            }
            if let Some(record) = project_of(&mut *tx, workspace, &resource).await?
                && !projects.contains(&record.project.id)
            {
                projects.push(record.project.id);
            }
        }
        drop(tx);
        for project in projects {
            // Once for all who want it at about the same time.
            let read = async || {
                if let Err(error) = self.read_desired(project).await {
                    tracing::warn!(%project, %error, "the repository could not be read before deploying");
                }
                Ok::<(), AppError>(())
            };
            self.pushes.adopting.of(project).get(read).await?;
        }
        Ok(())
    }

    /// The newest artifact of a repository, after a look at it.
    pub(crate) async fn newest_artifact(
        &self,
        place: &ProjectPlace,
        repository: &Repository,
    ) -> Result<Option<ExactImage>, AppError> {
        let workspace = place.workspace.id;
        self.look_at_repository(workspace, repository).await?;
        let newest = self
            .store
            .read()
            .await?
            .recent_artifacts(workspace, repository, 1)
            .await?;
        Ok(newest.into_iter().next().map(|artifact| artifact.image))
    }

    /// Looks at all image repositories, one after another; what fails is logged and tried at the next round.
    pub async fn poll_registries(&self) {
        let repositories = match self.store.read().await {
            Ok(mut tx) => tx.image_repositories().await,
            Err(e) => Err(e),
        };
        match repositories {
            Ok(repositories) => {
                for (workspace, repository) in repositories {
                    if let Err(error) = self.look_at_repository(workspace, &repository).await
                        && !matches!(error, AppError::Unavailable(_))
                    {
                        tracing::warn!(%repository, %error, "a registry could not be polled");
                    }
                }
            }
            Err(error) if error.trouble().is_some() => {}
            Err(error) => tracing::error!(%error, "the image repositories could not be read"),
        }
    }
}

/// How much of a repository is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// Tags that aren't known.
    NewTags,
    /// The newest known ones, too: they may have moved.
    Whole,
}

/// An artifact that was seen in a registry.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// Whose.
    pub(crate) workspace: WorkspaceId,
    /// The image, with the tag that names it.
    pub(crate) image: ExactImage,
    /// What the registry says about it.
    pub(crate) details: ArtifactDetails,
    /// How it came to be looked at.
    pub(crate) entrance: Entrance,
}

/// Whether an image is other than what is known of it.
fn is_news(known: Option<&Artifact>, image: &ExactImage) -> bool {
    known.is_none_or(|known| known.details.is_none() || known.image.tag != image.tag)
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

async fn project_of(
    tx: &mut dyn Tx,
    workspace: WorkspaceId,
    resource: &Resource,
) -> Result<Option<crate::store::ProjectRecord>, AppError> {
    for record in tx.projects(workspace).await? {
        if tx
            .environments(record.project.id)
            .await?
            .iter()
            .any(|e| e.id == resource.environment)
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
