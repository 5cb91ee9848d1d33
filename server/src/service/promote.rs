//! Asking for promotions: by a person, by a program, or because a source has something new.
//!
//! However it is asked for, a promotion names an exact digest from its first moment on. Asking writes the row, what it
//! overtakes and the event in one transaction; carrying it out is the worker's.

use super::{
    Caller, Services,
    place::{EnvironmentPlace, ProjectPlace, not_found},
};
use crate::store::{NewEvent, Tx};
use app::{backend::At, error::AppError};
use domain::{
    artifact::{Digest, ExactImage, Repository},
    draft::{SourceImage, check_digest, source_image},
    event::{Happened, Subject},
    field::FieldErrors,
    id::{ProjectId, PromotionId, ResourceId},
    promotion::{Actor, Origin, Promotion, Purpose, State},
    resource::{Binding, Resource, Source},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) purpose: Purpose,
    pub(crate) actor: Actor,
    pub(crate) origin: Option<Origin>,
    pub(crate) image: ExactImage,
    pub(crate) creates: bool,
}

impl Services {
    /// Writes a promotion of `resource`. One that already runs the same digest is returned instead; those that wait and would
    /// run another are superseded; one that is being committed is let finish.
    pub(crate) async fn request(
        &self,
        tx: &mut dyn Tx,
        place: &ProjectPlace,
        resource: &Resource,
        request: Request,
    ) -> Result<Promotion, AppError> {
        let now = self.now();
        let open = tx.open_promotions(resource.id).await?;
        // Past its commit it is the same only while Git still says so: somebody may have changed that by hand.
        let says =
            |p: &Promotion| p.commit.is_none() || resource.desired.as_ref().is_some_and(|d| d.digest == p.image.digest);
        if let Some(same) = open
            .first()
            .filter(|p| p.image.digest == request.image.digest && says(p))
        {
            return Ok(same.clone());
        }
        // Its configuration is committed with the first commit that is made, whichever promotion makes it.
        let creates =
            request.creates || resource.desired.is_none() || open.iter().any(|p| p.creates && p.commit.is_none());
        let id = PromotionId(self.ids.next());
        let subject = Subject {
            project: Some(place.record.project.id),
            environment: Some(resource.environment),
            resource: Some(resource.id),
            promotion: None,
        };
        for overtaken in open {
            let from = overtaken.state;
            if !matches!(from, State::Waiting | State::Queued | State::Mirroring) {
                continue;
            }
            let overtaken_id = overtaken.id;
            let superseded = overtaken.supersede(id, now).map_err(|e| super::internal(&e))?;
            tx.update_promotion(&superseded, from, now).await?;
            let happened = Happened::PromotionMoved {
                from,
                to: State::Superseded,
                detail: Some("A newer promotion took its place.".into()),
            };
            let event = NewEvent {
                workspace: place.workspace.id,
                subject: Subject {
                    promotion: Some(overtaken_id),
                    ..subject
                },
                actor: request.actor.clone(),
                happened,
            };
            tx.append_event(&event, now).await?;
        }
        let promotion = Promotion {
            id,
            workspace: place.workspace.id,
            project: place.record.project.id,
            environment: resource.environment,
            resource: resource.id,
            purpose: request.purpose,
            requested_by: request.actor.clone(),
            origin: request.origin,
            image: request.image.clone(),
            previous: resource.desired.clone(),
            creates,
            state: State::Queued,
            waits_for: None,
            failure: None,
            commit: None,
            committed_at: None,
            tries: 1,
            attempts: 0,
            created_at: now,
            state_since: now,
            ended_at: None,
        };
        tx.insert_promotion(&promotion).await?;
        tx.see_artifact(place.workspace.id, &promotion.image, now).await?;
        let event = NewEvent {
            workspace: place.workspace.id,
            subject: Subject {
                promotion: Some(id),
                ..subject
            },
            actor: request.actor,
            happened: Happened::PromotionRequested {
                purpose: request.purpose,
                image: request.image,
            },
        };
        tx.append_event(&event, now).await?;
        Ok(promotion)
    }

    /// A resource published `image`: those who track it are promoted to it.
    pub(crate) async fn follow(
        &self,
        tx: &mut dyn Tx,
        place: &ProjectPlace,
        source: &Resource,
        image: &ExactImage,
    ) -> Result<(), AppError> {
        if !source.is_promotable() {
            return Ok(());
        }
        let origin = place
            .environments
            .iter()
            .find(|e| e.id == source.environment)
            .map(|e| Origin {
                environment: e.name.clone(),
                resource: source.name.clone(),
            });
        for follower in tx.followers(source.id).await? {
            let has_it = follower
                .desired
                .as_ref()
                .is_some_and(|desired| desired.digest == image.digest);
            let open = tx.open_promotions(follower.id).await?;
            if follower.binding != Binding::TrackLatest || (has_it && open.is_empty()) {
                continue;
            }
            let request = Request {
                purpose: Purpose::Promote,
                actor: Actor::Waybill,
                origin: origin.clone(),
                image: image.clone(),
                creates: false,
            };
            self.request(tx, place, &follower, request).await?;
        }
        Ok(())
    }

    /// Promotes a resource to its source's latest artifact; moves the pin of a pinned one.
    ///
    /// # Errors
    /// When the caller may not, there is nothing to promote, or the outside world can't be asked.
    pub async fn promote(&self, caller: &Caller, at: &At, resource: &str) -> Result<PromotionId, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        let (image, origin) = match &resource.source {
            Source::Promote { from } => {
                let (image, origin) = self.resolve_source(&place.project, *from).await?;
                (image, Some(origin))
            }
            Source::Image { repository } => {
                let newest = self.newest_artifact(&place.project, repository).await?;
                let why = || {
                    AppError::Conflict(format!(
                        "The registry holds no image of {repository} yet. Push one first."
                    ))
                };
                (newest.ok_or_else(why)?, None)
            }
        };
        self.promote_to(caller, &place, &resource, image, origin).await
    }

    /// Promotes what `service` runs in `from` to `service` in `to`, both environments of one project.
    ///
    /// # Errors
    /// By field (`projectId`, `service`, `fromEnvironment`, `toEnvironment`) where a name is wrong.
    pub async fn promote_between(
        &self,
        caller: &Caller,
        project: &str,
        service: &str,
        from: &str,
        to: &str,
    ) -> Result<Promotion, AppError> {
        let (place, source, target) = self.pair(caller, project, service, from, to).await?;
        let (image, origin) = self.resolve_source(&place.project, source).await?;
        let id = self.promote_to(caller, &place, &target, image, Some(origin)).await?;
        let promotion = self.store.read().await?.promotion(id).await?;
        promotion.ok_or_else(|| not_found("promotion", &id.to_string()))
    }

    async fn pair(
        &self,
        caller: &Caller,
        project: &str,
        service: &str,
        from: &str,
        to: &str,
    ) -> Result<(EnvironmentPlace, ResourceId, Resource), AppError> {
        let field = |name: &str, message: String| AppError::from(FieldErrors::one(name, message));
        let mut tx = self.store.read().await?;
        let mut found = None;
        for (workspace, _) in &caller.access {
            match self
                .project_place(&mut *tx, caller, workspace.name.as_str(), project)
                .await
            {
                Ok(_) if found.is_some() => {
                    let why = format!("Several of your workspaces have a project {project}. Give its id instead.");
                    return Err(field("projectId", why));
                }
                Ok(place) => found = Some(place),
                Err(AppError::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let place = found.ok_or_else(|| {
            field(
                "projectId",
                format!("There is no project {project:?}, or you may not see it. Check its name."),
            )
        })?;
        if from == to {
            return Err(field(
                "toEnvironment",
                format!("{to} can't be promoted from itself. Choose another environment of the project."),
            ));
        }
        let environment = |name: &str, label: &str| {
            let known = place.environments.iter().find(|e| e.name.as_str() == name).cloned();
            known.ok_or_else(|| {
                let names: Vec<&str> = place.environments.iter().map(|e| e.name.as_str()).collect();
                field(
                    label,
                    format!("The project has no environment {name:?}. It has {}.", names.join(", ")),
                )
            })
        };
        let (source_environment, target_environment) =
            (environment(from, "fromEnvironment")?, environment(to, "toEnvironment")?);
        place.may_change(&target_environment)?;
        let source = tx
            .resource_by_name(source_environment.id, service)
            .await?
            .ok_or_else(|| {
                field(
                    "service",
                    format!("{from} has no resource {service:?}. Check its name."),
                )
            })?;
        let target = tx
            .resource_by_name(target_environment.id, service)
            .await?
            .ok_or_else(|| {
                field(
                    "service",
                    format!(
                        "{to} has no resource {service:?}. Create it there once, with source Promote from environment."
                    ),
                )
            })?;
        if !target.is_promotable() {
            let why = format!(
                "{to}/{service} is a {}; only a deployment can be promoted.",
                target.kind
            );
            return Err(field("service", why));
        }
        Ok((
            EnvironmentPlace {
                project: place,
                environment: target_environment,
            },
            source.id,
            target,
        ))
    }

    async fn promote_to(
        &self,
        caller: &Caller,
        place: &EnvironmentPlace,
        resource: &Resource,
        image: ExactImage,
        origin: Option<Origin>,
    ) -> Result<PromotionId, AppError> {
        let mut tx = self.store.write().await?;
        let mut resource = self.again(&mut *tx, resource).await?;
        let open = tx.open_promotions(resource.id).await?;
        if open.is_empty()
            && resource
                .desired
                .as_ref()
                .is_some_and(|desired| desired.digest == image.digest)
        {
            return Err(AppError::Conflict(format!(
                "{}/{} runs {} already; there is nothing to promote.",
                place.environment.name,
                resource.name,
                image.short_label()
            )));
        }
        if resource.pin().is_some() {
            self.move_pin(&mut *tx, caller, &place.project, &mut resource, &image.digest)
                .await?;
        }
        let purpose = if origin.is_some() {
            Purpose::Promote
        } else {
            Purpose::Deploy
        };
        let request = Request {
            purpose,
            actor: caller.actor.clone(),
            origin,
            image,
            creates: false,
        };
        let promotion = self.request(&mut *tx, &place.project, &resource, request).await?;
        tx.commit().await?;
        self.wrote();
        Ok(promotion.id)
    }

    /// Pins a resource to a digest and starts the promotion to it.
    ///
    /// # Errors
    /// In the field `digest` when it is malformed or the registry lacks it; else when the caller may not, or the registry can't be asked.
    pub async fn edit_pin(
        &self,
        caller: &Caller,
        at: &At,
        resource: &str,
        digest: &str,
    ) -> Result<PromotionId, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        let digest = check_digest(digest).map_err(|why| FieldErrors::one("digest", why))?;
        let (repository, origin) = match &resource.source {
            Source::Image { repository } => (repository.clone(), None),
            Source::Promote { from } => {
                let (repository, origin) = self.source_repository(&place.project, *from).await?;
                (repository, Some(origin))
            }
        };
        let image = self.pinned_image(&place.project, &repository, &digest).await?;
        let mut tx = self.store.write().await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        self.move_pin(&mut *tx, caller, &place.project, &mut resource, &digest)
            .await?;
        let request = Request {
            purpose: Purpose::Pin,
            actor: caller.actor.clone(),
            origin,
            image,
            creates: false,
        };
        let promotion = self.request(&mut *tx, &place.project, &resource, request).await?;
        tx.commit().await?;
        self.wrote();
        Ok(promotion.id)
    }

    async fn move_pin(
        &self,
        tx: &mut dyn Tx,
        caller: &Caller,
        place: &ProjectPlace,
        resource: &mut Resource,
        digest: &Digest,
    ) -> Result<(), AppError> {
        if resource.pin() == Some(digest) {
            return Ok(());
        }
        resource.binding = Binding::Pin(digest.clone());
        tx.update_resource(resource).await?;
        let event = NewEvent {
            workspace: place.workspace.id,
            subject: Subject {
                project: Some(place.record.project.id),
                environment: Some(resource.environment),
                resource: Some(resource.id),
                promotion: None,
            },
            actor: caller.actor.clone(),
            happened: Happened::PinChanged { to: digest.clone() },
        };
        tx.append_event(&event, self.now()).await?;
        Ok(())
    }

    /// Tries a failed promotion again.
    ///
    /// # Errors
    /// When it hasn't failed, a newer one took its place, or the caller may not.
    pub async fn retry(&self, caller: &Caller, id: &str) -> Result<(), AppError> {
        let missing = || not_found("promotion", id);
        let parsed: PromotionId = id.parse().map_err(|_| missing())?;
        let mut tx = self.store.write().await?;
        let promotion = tx.promotion(parsed).await?.ok_or_else(missing)?;
        let place = self
            .project_place_by_id(&mut *tx, caller, promotion.project)
            .await
            .map_err(|_| missing())?;
        let environment = place
            .environments
            .iter()
            .find(|e| e.id == promotion.environment)
            .ok_or_else(missing)?;
        place.may_change(environment)?;
        let newest = tx.promotions_of(promotion.resource, 1).await?;
        if newest.first().is_some_and(|newest| newest.id != promotion.id) {
            return Err(AppError::Conflict(
                "A newer promotion of this resource took its place. Look at that one instead.".into(),
            ));
        }
        let (from, now) = (promotion.state, self.now());
        let again = promotion.become_(State::Queued, now).map_err(|refused| {
            AppError::Conflict(format!(
                "Only a failed promotion can be tried again; this one is {}.",
                refused.from
            ))
        })?;
        tx.update_promotion(&again, from, now).await?;
        let event = NewEvent {
            workspace: again.workspace,
            subject: Subject {
                project: Some(again.project),
                environment: Some(again.environment),
                resource: Some(again.resource),
                promotion: Some(again.id),
            },
            actor: caller.actor.clone(),
            happened: Happened::PromotionMoved {
                from,
                to: State::Queued,
                detail: Some("Tried again.".into()),
            },
        };
        tx.append_event(&event, now).await?;
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// Starts what applied resources should run and Git doesn't say yet. Returns what could not be started, a sentence each: the
    /// pollers try again what comes by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_after_apply(
        &self,
        caller: &Caller,
        resources: Vec<ResourceId>,
    ) -> Result<Vec<String>, AppError> {
        let mut projects: Vec<(ProjectId, Vec<ResourceId>)> = Vec::new();
        let mut tx = self.store.read().await?;
        for (workspace, _) in &caller.access {
            for record in tx.projects(workspace.id).await? {
                let here = tx.resources(record.project.id).await?;
                let ids: Vec<_> = resources
                    .iter()
                    .copied()
                    .filter(|id| here.iter().any(|r| r.id == *id))
                    .collect();
                if !ids.is_empty() {
                    projects.push((record.project.id, ids));
                }
            }
        }
        drop(tx);
        let mut warnings = Vec::new();
        for (project, ids) in projects {
            // What Git declares already is adopted, so that setting up a running system changes nothing in it.
            if let Err(error) = self.read_desired(project).await {
                warnings.push(error.to_string());
                continue;
            }
            let mut tx = self.store.read().await?;
            let place = self.project_place_by_id(&mut *tx, caller, project).await?;
            drop(tx);
            for id in ids {
                if let Err(error) = self.start(caller, &place, id).await {
                    warnings.push(error.to_string());
                }
            }
        }
        warnings.dedup();
        self.wrote();
        Ok(warnings)
    }

    async fn start(&self, caller: &Caller, place: &ProjectPlace, id: ResourceId) -> Result<(), AppError> {
        let Some(resource) = self.store.read().await?.resource(id).await? else {
            return Ok(());
        };
        if !place.environments.iter().any(|e| e.id == resource.environment) {
            return Ok(());
        }
        let (image, origin) = match (&resource.source, resource.pin()) {
            (Source::Image { repository }, Some(pin)) => (Some(self.pinned_image(place, repository, pin).await?), None),
            (Source::Image { repository }, None) => (self.newest_artifact(place, repository).await?, None),
            // A pin needs no more than the repository: its source may not run anything yet.
            (Source::Promote { from }, Some(pin)) => {
                let (repository, origin) = self.source_repository(place, *from).await?;
                (Some(self.pinned_image(place, &repository, pin).await?), Some(origin))
            }
            (Source::Promote { from }, None) => {
                let Some(desired) = self.store.read().await?.resource(*from).await?.and_then(|r| r.desired) else {
                    return Ok(());
                };
                let (_, origin) = self.source_of(place, *from).await?;
                (Some(desired), Some(origin))
            }
        };
        let Some(image) = image else { return Ok(()) };
        let mut tx = self.store.write().await?;
        let resource = self.again(&mut *tx, &resource).await?;
        if resource
            .desired
            .as_ref()
            .is_some_and(|desired| desired.digest == image.digest)
        {
            return Ok(());
        }
        let purpose = if origin.is_some() {
            Purpose::Promote
        } else {
            Purpose::Deploy
        };
        let creates = resource.desired.is_none();
        let request = Request {
            purpose,
            actor: caller.actor.clone(),
            origin,
            image,
            creates,
        };
        self.request(&mut *tx, place, &resource, request).await?;
        tx.commit().await?;
        self.wrote();
        Ok(())
    }

    /// The resource that an address names, for a caller who may change it.
    async fn resource_to_change(
        &self,
        caller: &Caller,
        at: &At,
        resource: &str,
    ) -> Result<(EnvironmentPlace, Resource), AppError> {
        let mut tx = self.store.read().await?;
        let place = self.environment_place(&mut *tx, caller, at).await?;
        place.project.may_change(&place.environment)?;
        let found = tx.resource_by_name(place.environment.id, resource).await?;
        Ok((place, found.ok_or_else(|| not_found("resource", resource))?))
    }

    /// The same resource, as it is in this transaction.
    async fn again(&self, tx: &mut dyn Tx, resource: &Resource) -> Result<Resource, AppError> {
        tx.resource(resource.id)
            .await?
            .ok_or_else(|| not_found("resource", resource.name.as_str()))
    }

    /// The exact image that a source resource runs according to Git: by its digest, or, where Git holds only a tag, by what
    /// the registry says the tag names now.
    pub(crate) async fn resolve_source(
        &self,
        place: &ProjectPlace,
        source: ResourceId,
    ) -> Result<(ExactImage, Origin), AppError> {
        let (resource, origin) = self.source_of(place, source).await?;
        let who = format!("{}/{}", origin.environment, origin.resource);
        let declared = self
            .declared(place, &origin.environment, &origin.resource, true)
            .await?;
        let image = source_image(&declared, &who).map_err(AppError::Conflict)?;
        let image = self
            .resolve_image(place, &resource, &who, image)
            .await
            .map_err(AppError::Conflict)?;
        Ok((image, origin))
    }

    /// Makes a source's image exact. The error is a sentence for the person who asked.
    pub(crate) async fn resolve_image(
        &self,
        place: &ProjectPlace,
        source: &Resource,
        who: &str,
        image: SourceImage,
    ) -> Result<ExactImage, String> {
        let (repository, tag) = match image {
            SourceImage::Exact(image) => return Ok(image),
            SourceImage::ByTag(repository, tag) => (repository, tag),
        };
        let access = self
            .registry_access(&place.clusters, &repository)
            .map_err(|e| e.to_string())?;
        let digest = self
            .registry
            .resolve(&access, &repository, &tag)
            .await
            .map_err(|e| e.to_string())?
            .ok_or_else(|| {
                format!("The registry has no tag {tag} in {repository} any more. Deploy {who} by digest first.")
            })?;
        let running = source
            .live
            .as_ref()
            .map(|live| live.digests.as_slice())
            .unwrap_or_default();
        if !running.is_empty() && !running.contains(&digest) {
            return Err(format!(
                "The tag {tag} has moved: it names {} now, but {who} runs {}. Deploy {who} by digest first, \
                 so that what is promoted is what ran.",
                digest.short(),
                running.iter().map(Digest::short).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(ExactImage {
            repository,
            tag: Some(tag),
            digest,
        })
    }

    pub(crate) async fn source_of(
        &self,
        place: &ProjectPlace,
        source: ResourceId,
    ) -> Result<(Resource, Origin), AppError> {
        let missing = || AppError::Conflict("The source no longer exists. Choose another source.".into());
        let resource = self.store.read().await?.resource(source).await?.ok_or_else(missing)?;
        if !resource.is_promotable() {
            return Err(AppError::Conflict(format!(
                "{} is a {}; only a deployment can be promoted.",
                resource.name, resource.kind
            )));
        }
        let environment = place
            .environments
            .iter()
            .find(|e| e.id == resource.environment)
            .ok_or_else(missing)?;
        let origin = Origin {
            environment: environment.name.clone(),
            resource: resource.name.clone(),
        };
        Ok((resource, origin))
    }

    /// The repository that a source takes its images from.
    async fn source_repository(
        &self,
        place: &ProjectPlace,
        source: ResourceId,
    ) -> Result<(Repository, Origin), AppError> {
        let (resource, origin) = self.source_of(place, source).await?;
        let stored = match (&resource.source, &resource.desired) {
            (_, Some(desired)) => Some(desired.repository.clone()),
            (Source::Image { repository }, None) => Some(repository.clone()),
            (Source::Promote { .. }, None) => None,
        };
        let repository = match stored {
            Some(repository) => Some(repository),
            None => {
                self.declared(place, &origin.environment, &origin.resource, true)
                    .await?
                    .repository
            }
        };
        let who = format!("{}/{}", origin.environment, origin.resource);
        let why = || AppError::Conflict(format!("{who} has no image yet. Deploy it once, then promote it."));
        Ok((repository.ok_or_else(why)?, origin))
    }

    /// The image that a pin names: it must exist in the registry.
    pub(crate) async fn pinned_image(
        &self,
        place: &ProjectPlace,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<ExactImage, AppError> {
        let access = self.registry_access(&place.clusters, repository)?;
        if !self.registry.exists(&access, repository, digest).await? {
            return Err(FieldErrors::one(
                "digest",
                format!("The registry holds no image with this digest in {repository}. Check the digest, or push the image first."),
            )
            .into());
        }
        let known = self
            .store
            .read()
            .await?
            .artifact(place.workspace.id, repository, digest)
            .await?;
        let tag = known.and_then(|artifact| artifact.image.tag);
        Ok(ExactImage {
            repository: repository.clone(),
            tag,
            digest: digest.clone(),
        })
    }
}
