//! Create Resource: what the form offers, and saving what it says.

use super::{
    Caller, Services,
    artifact::{RECENT, newest_that_counts, none_counts},
    desired::exact,
    place::EnvironmentPlace,
    preview::image_edit,
    request::Request,
    tag_order::{self, WhatCounts},
    unrecorded,
};
use crate::{
    adapters::git::ValuesEdit,
    store::{NewEvent, StoreError, Tx},
};
use app::{backend::At, error::AppError};
use domain::{
    artifact::{Artifact, DeclaredImage, ExactImage, Repository},
    draft::{FormOptions, NewResource, NewSource, ResourceDraft, SourceEnvironment, SourceResource, taken_key},
    environment::Environment,
    event::{Happened, Subject},
    field::FieldErrors,
    id::{PromotionId, ResourceId},
    promotion::{Actor, Origin, Purpose},
    resource::{Binding, Resource, Source},
    tag_rule::TagRule,
};

/// Holds a draft against every rule that needs no outside world.
pub(super) fn checked(draft: &ResourceDraft, options: &FormOptions) -> Result<NewResource, FieldErrors> {
    let new = draft.check(options);
    // Whatever else is wrong: all mistakes are said at once.
    let rule = match draft.source.as_str() {
        "image" => draft.check_tags(&mut FieldErrors::default()),
        _ => None,
    };
    match (new, rule.map_or(Ok(()), |rule| check_tags(&rule))) {
        (Ok(new), Ok(())) => Ok(new),
        (Err(mut errors), Err(of_tags)) => {
            errors.0.extend(of_tags.0);
            Err(errors)
        }
        (Err(errors), Ok(())) | (Ok(_), Err(errors)) => Err(errors),
    }
}

/// Holds which tags count against what only the server reads, in the form's fields.
pub(super) fn check_tags(tags: &TagRule) -> Result<(), FieldErrors> {
    tag_order::check(tags).map_err(|mut errors| {
        for error in errors.0.iter_mut().filter(|error| error.field != "leave_out") {
            "tags_value".clone_into(&mut error.field);
        }
        errors
    })
}

/// Whether the caller may know of everything in the workspace of `place`.
pub(super) async fn sees_all(tx: &mut dyn Tx, caller: &Caller, place: &EnvironmentPlace) -> Result<bool, AppError> {
    let workspace = place.project.workspace.id;
    Ok(place.project.only.is_none() && caller.sees_all(tx, workspace).await?)
}

/// The image repositories that resources take images from, as far as the caller may know of the resources.
async fn known_repositories(
    tx: &mut dyn Tx,
    caller: &Caller,
    place: &EnvironmentPlace,
) -> Result<Vec<Repository>, AppError> {
    let workspace = place.project.workspace.id;
    let mut known: Vec<Repository> = Vec::new();
    if sees_all(tx, caller, place).await? {
        let all = tx.image_repositories().await?;
        known.extend(
            all.into_iter()
                .filter(|(of, _)| *of == workspace)
                .map(|(_, known)| known),
        );
        return Ok(known);
    }
    for record in tx.projects(workspace).await? {
        if caller.role_in_project(workspace, record.project.id).is_none() {
            continue;
        }
        for resource in tx.resources(record.project.id).await? {
            let shown = place.project.only.is_none_or(|only| only == resource.environment);
            if let (true, Source::Image { repository, .. }) = (shown, resource.source) {
                known.push(repository);
            }
        }
    }
    known.sort_unstable();
    known.dedup();
    Ok(known)
}

impl Services {
    /// What the form offers in an environment.
    ///
    /// # Errors
    /// When there is no such environment, the caller may not change it, or its repository can't be read.
    pub async fn form_options(&self, caller: &Caller, at: &At) -> Result<FormOptions, AppError> {
        let mut tx = self.store.read().await?;
        let place = self.environment_place(&mut *tx, caller, at).await?;
        place.project.may_change(&place.environment)?;
        drop(tx);
        self.options(caller, &place, false, None).await
    }

    /// As much of what the form offers as it takes to check a draft.
    pub(super) async fn options_for(
        &self,
        caller: &Caller,
        place: &EnvironmentPlace,
        draft: &ResourceDraft,
    ) -> Result<FormOptions, AppError> {
        self.options(caller, place, false, Some(draft)).await
    }

    /// What the form offers; of sources only the one that `of` names, without its artifacts.
    async fn options(
        &self,
        caller: &Caller,
        place: &EnvironmentPlace,
        fetch: bool,
        of: Option<&ResourceDraft>,
    ) -> Result<FormOptions, AppError> {
        let EnvironmentPlace {
            project,
            environment: target,
        } = place;
        let mut tx = self.store.read().await?;
        let resources = tx.resources(project.record.project.id).await?;
        let repositories = known_repositories(&mut *tx, caller, place).await?;
        drop(tx);
        let mut environments = Vec::new();
        let is_asked_for = |e: &&Environment| of.is_none_or(|draft| *e.name.as_str() == draft.source_environment);
        for environment in project
            .environments
            .iter()
            .filter(|e| e.id != target.id && project.shows(e))
            .filter(is_asked_for)
        {
            let here: Vec<&Resource> = resources.iter().filter(|r| r.environment == environment.id).collect();
            let (promotable, rest): (Vec<&Resource>, Vec<&Resource>) =
                here.into_iter().partition(|r| r.is_promotable());
            if promotable.is_empty() {
                continue;
            }
            let mut declared = self.declared_services(project, environment, fetch).await?;
            let mut tx = self.store.read().await?;
            let mut sources = Vec::new();
            for resource in promotable {
                let declared = declared.remove(resource.key.as_str()).unwrap_or_default();
                sources.push(SourceResource {
                    name: resource.name.clone(),
                    kind: resource.kind.clone(),
                    recent: match of {
                        Some(_) => Vec::new(),
                        None => self.recent(&mut *tx, place, &declared, resource).await?,
                    },
                    declared,
                    since: resource.desired_at,
                });
            }
            environments.push(SourceEnvironment {
                name: environment.name.clone(),
                resources: sources,
                not_promotable: rest.into_iter().map(|r| (r.name.clone(), r.kind.clone())).collect(),
            });
        }
        let offered = |name: &domain::name::Name| environments.iter().any(|e| e.name == *name);
        Ok(FormOptions {
            environment: target.name.clone(),
            taken: resources
                .iter()
                .filter(|r| r.environment == target.id)
                .map(|r| r.name.clone())
                .collect(),
            taken_keys: resources
                .iter()
                .filter(|r| r.environment == target.id)
                .map(|r| (r.key.clone(), r.name.clone()))
                .collect(),
            creates_file: self.lacks_file(project, target, fetch).await,
            values_path: project.record.project.values_path(&target.key),
            values_prefix: project.record.project.values_prefix.clone(),
            other_environments: project
                .environments
                .iter()
                .filter(|e| e.id != target.id && project.shows(e) && !offered(&e.name))
                .map(|e| e.name.clone())
                .collect(),
            environments,
            repositories,
            gates: place.environment.policy.words(),
        })
    }

    async fn recent(
        &self,
        tx: &mut dyn Tx,
        place: &EnvironmentPlace,
        declared: &DeclaredImage,
        resource: &Resource,
    ) -> Result<Vec<Artifact>, AppError> {
        let repository = match (&declared.repository, &resource.source) {
            (Some(repository), _) | (None, Source::Image { repository, .. }) => repository,
            (None, Source::Promote { .. }) => return Ok(Vec::new()),
        };
        let records = tx
            .recent_artifacts(place.project.workspace.id, repository, RECENT)
            .await?;
        Ok(records)
    }

    /// Creates a resource and starts its first promotion.
    ///
    /// # Errors
    /// All that is wrong with the draft, by field; or why the outside world won't have it. Nothing is saved then.
    pub async fn create_resource(
        &self,
        caller: &Caller,
        at: &At,
        draft: ResourceDraft,
    ) -> Result<PromotionId, AppError> {
        let mut tx = self.store.read().await?;
        let place = self.environment_place(&mut *tx, caller, at).await?;
        place.project.may_change(&place.environment)?;
        let began = tx.newest_event().await?;
        drop(tx);
        let options = self.options(caller, &place, true, None).await.map_err(unrecorded)?;
        let new = checked(&draft, &options)?;
        let (source, image, origin) = self.first_image(&place, &new).await.map_err(unrecorded)?;
        let diff = self.check_values(&place, &new, &image).await.map_err(unrecorded)?;
        // What Git declares already ran before: it can be gone back to.
        let declared = self.declared_services(&place.project, &place.environment, false).await;
        let mut declared = declared.map_err(unrecorded)?;
        let stands = declared.remove(new.key.as_str()).as_ref().and_then(exact);

        let now = self.now();
        let mut resource = Resource {
            id: ResourceId(self.ids.next()),
            environment: place.environment.id,
            name: new.name.clone(),
            key: new.key.clone(),
            kind: new.kind,
            source,
            binding: new.binding,
            hold: None,
            runtime: new.runtime,
            desired: None,
            desired_at: None,
            outside: None,
            unclear: None,
            live: None,
            created_at: now,
        };
        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let project = place.project.record.project.id;
        self.check_is_out_of_git(&mut *tx, project, &place.environment, Some(&resource))
            .await?;
        // Somebody may have been faster than the look above. A transaction that failed can't be asked any more, so this comes before.
        let others = tx.resources(project).await?;
        let other = others
            .iter()
            .find(|r| r.environment == resource.environment && r.key == resource.key && r.name != resource.name);
        if let Some(other) = other {
            let why = taken_key(&place.environment.name, &other.name, &resource.key);
            return Err(FieldErrors::one("key", why).into());
        }
        match tx.insert_resource(&resource).await {
            Err(StoreError::Exists) => {
                let why = format!(
                    "{} already has a resource {}. Choose another name.",
                    place.environment.name, new.name
                );
                return Err(FieldErrors::one("name", why).into());
            }
            other => other?,
        }
        if stands.is_some() {
            tx.set_desired(resource.id, stands.as_ref(), now).await?;
            resource.desired = stands;
        }
        let event = NewEvent {
            workspace: place.project.workspace.id,
            subject: Subject::resource(place.project.record.project.id, &resource),
            actor: caller.actor.clone(),
            happened: Happened::ResourceCreated,
        };
        tx.append_event(&event, now).await?;
        let chosen = image.digest.clone();
        let request = Request {
            purpose: Purpose::of_origin(origin.as_ref()),
            actor: caller.actor.clone(),
            origin,
            image,
            creates: true,
            preview: Some(diff),
        };
        let promotion = self.request(&mut *tx, &place.project, &resource, request).await?;
        if new.creates_file {
            tx.may_create_file(promotion.id).await?;
        }
        // What the source published while this was being decided reached only those who followed it then.
        if let (Source::Promote { from }, Binding::TrackLatest) = (&resource.source, &resource.binding) {
            let published = tx.declared_after(place.project.record.project.id, began).await?;
            let source = tx.resource(*from).await?.filter(|s| published.contains(&s.id));
            if let Some((source, image)) = source.and_then(|s| s.desired.clone().map(|image| (s, image))) {
                self.follow(&mut *tx, &place.project, &source, &image).await?;
            }
        }
        if let (Source::Image { repository, tags }, Binding::TrackLatest) = (&resource.source, &resource.binding) {
            // Its repository was listed above: what is there now is learned, and what comes after it arrives, told of or not.
            let workspace = place.project.workspace.id;
            tx.learn(workspace, repository, resource.id).await?;
            let what = WhatCounts::new(tags, place.project.platforms(resource.environment));
            let newest = newest_that_counts(&mut *tx, workspace, repository, &what).await?;
            if let Some(image) = newest.filter(|newest| newest.digest != chosen) {
                let request = Request {
                    purpose: Purpose::Deploy,
                    actor: Actor::Waybill,
                    origin: None,
                    image,
                    creates: true,
                    preview: None,
                };
                self.request(&mut *tx, &place.project, &resource, request).await?;
            }
        }
        tx.commit().await?;
        self.wrote();
        self.connections_changed();
        Ok(promotion.id)
    }

    /// The exact image that a new resource runs first.
    pub(super) async fn first_image(
        &self,
        place: &EnvironmentPlace,
        new: &NewResource,
    ) -> Result<(Source, ExactImage, Option<Origin>), AppError> {
        match &new.source {
            NewSource::Image { repository, tags } => {
                let image = match &new.binding {
                    Binding::Pin(digest) => self.pinned_image(&place.project, repository, digest).await?,
                    Binding::TrackLatest => {
                        let newest = self.newest_artifact(place, repository, tags).await?;
                        newest.ok_or_else(|| {
                            let field = if tags.is_default() { "image" } else { "tags" };
                            FieldErrors::one(field, none_counts(repository, tags))
                        })?
                    }
                };
                Ok((
                    Source::Image {
                        repository: repository.clone(),
                        tags: tags.clone(),
                    },
                    image,
                    None,
                ))
            }
            NewSource::Promote {
                environment,
                resource,
                image,
            } => {
                let missing = || FieldErrors::one("source_resource", "The source no longer exists. Choose another.");
                let from = place.project.environments.iter().find(|e| e.name == *environment);
                let from = from.ok_or_else(missing)?;
                let found = self
                    .store
                    .read()
                    .await?
                    .resource_by_name(from.id, resource.as_str())
                    .await?;
                let source = found.ok_or_else(missing)?;
                let repository = match image {
                    domain::draft::SourceImage::Exact(image) => image.repository.clone(),
                    domain::draft::SourceImage::ByTag(repository, _) => repository.clone(),
                };
                let image = match &new.binding {
                    Binding::Pin(digest) => self.pinned_image(&place.project, &repository, digest).await?,
                    Binding::TrackLatest => {
                        let who = format!("{environment}/{resource}");
                        self.resolve_image(&place.project, &source, &who, image.clone())
                            .await
                            .map_err(|why| FieldErrors::one("source_resource", why))?
                    }
                };
                Ok((
                    Source::Promote { from: source.id },
                    image,
                    place.project.origin(&source),
                ))
            }
        }
    }

    /// Makes sure that the values file can take the change, before anything is saved; returns the change as a unified diff.
    pub(super) async fn check_values(
        &self,
        place: &EnvironmentPlace,
        new: &NewResource,
        image: &ExactImage,
    ) -> Result<String, AppError> {
        let access = self.repository_access(&place.project.record)?;
        let edit = ValuesEdit {
            runtime: Some(new.runtime.clone()),
            may_create: new.creates_file,
            ..image_edit(&place.project, &place.environment, &new.key, image)
        };
        match self.git.preview(&access, &edit).await {
            Ok(preview) => Ok(preview),
            Err(error) if error.is_of_the_file() => Err(AppError::Conflict(error.to_string())),
            Err(other) => Err(other.into()),
        }
    }
}
