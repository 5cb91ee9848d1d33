//! New artifacts: a registry says that something was pushed, or a look at its tags finds it.

use super::{Services, place::ProjectPlace, signature::hangs_on};
use crate::{
    adapters::registry::{RegistryAccess, notification::Pushed},
    store::{NewEvent, Tx},
};
use app::error::AppError;
use domain::{
    artifact::{ArtifactDetails, Digest, ExactImage, Repository, Tag},
    door::Entrance,
    event::{Happened, Subject},
    id::WorkspaceId,
    promotion::{Actor, Purpose},
    resource::Resource,
    time::Timestamp,
};
use std::time::Duration;

/// Artifacts that pages offer.
pub(crate) const RECENT: i64 = 20;
/// Tags that a look at a repository resolves again, because they may have moved; the newest known ones.
const RESOLVE_AGAIN: usize = 50;
/// Pauses before a tag is looked at again that doesn't name yet what its registry told of.
const TAG_PAUSES: [Duration; 5] = [
    Duration::from_millis(30),
    Duration::from_millis(70),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(700),
];

impl Services {
    /// A registry told of pushes to a workspace's repositories. They are hints: what the tags name is asked of the registry.
    /// Returns how many of them concern a resource.
    ///
    /// # Errors
    /// When there is no such workspace, or the registry can't be asked (the poller will).
    pub async fn pushed(&self, workspace: &str, pushes: Vec<Pushed>, entrance: &Entrance) -> Result<usize, AppError> {
        let mut tx = self.store.read().await?;
        let workspace = tx
            .workspace_by_name(workspace)
            .await?
            .ok_or_else(|| super::place::not_found("workspace", workspace))?;
        let repositories = tx.image_repositories().await?;
        drop(tx);
        let mut concerned = 0;
        for push in pushes {
            let Some(tag) = &push.tag else { continue };
            // The host that the registry calls itself may be another than the one people pull from; the path decides.
            let known = repositories
                .iter()
                .filter(|(w, r)| *w == workspace.id && r.path() == push.repository_path);
            for (_, repository) in known {
                concerned += 1;
                self.look_at_tag(workspace.id, repository, tag, push.digest.as_ref(), entrance)
                    .await?;
            }
        }
        Ok(concerned)
    }

    /// Looks at every tag of a repository that may be new or have moved.
    ///
    /// # Errors
    /// When the registry can't be asked.
    pub async fn look_at_repository(&self, workspace: WorkspaceId, repository: &Repository) -> Result<(), AppError> {
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
            if !old.contains(&tag) || recent.contains(&tag) {
                found.extend(self.look_at(workspace, &access, repository, &tag).await?);
            }
        }
        // Tags come in no order of time; what was built later is newer.
        found.sort_by_key(|(_, details)| details.created_at);
        for (image, details) in found {
            self.see(workspace, image, &details, &Entrance::default()).await?;
        }
        Ok(())
    }

    /// Looks what a tag names now. Registries may tell of a push before the tag names it (distribution 2.8 does: it stores
    /// the manifest, tells, and then moves the tag), so one that doesn't name `pushed` is looked at again for a moment.
    async fn look_at_tag(
        &self,
        workspace: WorkspaceId,
        repository: &Repository,
        tag: &Tag,
        pushed: Option<&Digest>,
        entrance: &Entrance,
    ) -> Result<(), AppError> {
        let clusters = self.store.read().await?.clusters(workspace).await?;
        let access = self.registry_access(&clusters, repository)?;
        for pause in TAG_PAUSES {
            let named = self.registry.resolve(&access, repository, tag).await?;
            if pushed.is_none() || named.as_ref() == pushed {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        if let Some(digest) = hangs_on(tag) {
            return self.signature_pushed(workspace, &digest).await;
        }
        match self.look_at(workspace, &access, repository, tag).await? {
            Some((image, details)) => self.see(workspace, image, &details, entrance).await,
            None => Ok(()),
        }
    }

    /// The image that a tag names now, with what the registry says about it; `None` for what is no image (signatures, charts) or gone.
    async fn look_at(
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

    /// Remembers an artifact; when it is the newest of its repository, resources that track that are deployed. Notifications come
    /// late and out of order: an older build that is heard of last is not news.
    async fn see(
        &self,
        workspace: WorkspaceId,
        image: ExactImage,
        details: &ArtifactDetails,
        entrance: &Entrance,
    ) -> Result<(), AppError> {
        let mut tx = self.store.read().await?;
        let known = tx.artifact(workspace, &image.repository, &image.digest).await?;
        let tracked = tx.resources_of_image(workspace, &image.repository).await?;
        let is_news = known.is_none_or(|known| known.details.is_none() || known.image.tag != image.tag);
        let mut settled = !is_news;
        for resource in &tracked {
            settled &= self.has(&mut *tx, resource, &image).await?;
        }
        drop(tx);
        // Most looks find nothing new: they need not take the writer's turn.
        if settled {
            return Ok(());
        }
        self.adopt(workspace, &image.repository).await?;
        let now = self.now();
        let mut tx = self.write_through(entrance).await?;
        let new = tx.see_artifact(workspace, &image, now).await?;
        let seen_at = tx
            .artifact(workspace, &image.repository, &image.digest)
            .await?
            .map_or(now, |known| known.seen_at);
        tx.set_details(workspace, &image, details, rank(details, seen_at))
            .await?;
        if new || is_news {
            tx.append_event(&seen(workspace, &image), now).await?;
        }
        let newest = tx.recent_artifacts(workspace, &image.repository, 1).await?;
        if newest.first().is_some_and(|newest| newest.image.digest == image.digest) {
            self.deploy(&mut *tx, workspace, &image).await?;
        }
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// Whether nothing is to be done for a resource about an image: it doesn't track, runs it, or its newest promotion is to it (also
    /// when that failed: trying again is a person's decision).
    async fn has(&self, tx: &mut dyn Tx, resource: &Resource, image: &ExactImage) -> Result<bool, AppError> {
        if !resource.follows_by_itself() {
            return Ok(true);
        }
        let newest = tx.promotions_of(resource.id, 1).await?.into_iter().next();
        Ok(match newest {
            Some(newest) if newest.image.digest == image.digest => true,
            Some(newest) if !newest.state.is_ended() => false,
            _ => resource.declares(&image.digest),
        })
    }

    async fn deploy(&self, tx: &mut dyn Tx, workspace: WorkspaceId, image: &ExactImage) -> Result<(), AppError> {
        for resource in tx.resources_of_image(workspace, &image.repository).await? {
            if self.has(tx, &resource, image).await? {
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
            if let Err(error) = self.read_desired(project).await {
                tracing::warn!(%project, %error, "the repository could not be read before deploying");
            }
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
