//! *Create resource*: saving what the form says, and starting the first promotion.

use crate::{
    service::{
        context::{Services, unrecorded},
        queue::{self, Request},
        reach::{self, Caller, EnvironmentPlace},
        removal,
        sources::{self, WhatCounts, exact_image, newest_that_counts},
        views::{self, check_draft},
    },
    store::{NewEvent, StoreError, Tx},
};
use contract::{backend::At, error::AppError};
use domain::{
    draft::{ResourceDraft, taken_key},
    event::{Happened, Subject},
    field::FieldErrors,
    id::{PromotionId, ResourceId},
    promotion::{Actor, Purpose},
    resource::{Binding, Resource, Source},
};

/// Creates a resource and starts its first promotion.
///
/// # Errors
/// All that is wrong with the draft, by field; or why the outside world won't have it. Nothing is saved then.
pub async fn create_resource(
    services: &Services,
    caller: &Caller,
    at: &At,
    draft: ResourceDraft,
) -> Result<PromotionId, AppError> {
    let mut tx = services.store.read().await?;
    let place = reach::environment_place(&mut *tx, caller, at).await?;
    place.project.may_change(&place.environment)?;
    let began = tx.newest_event().await?;
    drop(tx);
    let options = views::form_options_in(services, caller, &place, true, None)
        .await
        .map_err(unrecorded)?;
    let new = check_draft(&draft, &options)?;
    let (source, image, origin) = views::first_image(services, &place, &new).await.map_err(unrecorded)?;
    // What Git declares already ran before: it can be gone back to.
    let declared = sources::declared_services(services, &place.project, &place.environment, false).await;
    let stands = (declared.as_ref().ok())
        .and_then(|declared| declared.get(new.key.as_str()))
        .and_then(exact_image);
    // What is wrong with the file is said by what would change in it.
    let difference = views::check_values(services, &place, &new, stands.as_ref(), &image)
        .await
        .map_err(unrecorded)?;
    declared.map_err(unrecorded)?;

    let now = services.now();
    let mut resource = Resource {
        id: ResourceId(services.ids.next()),
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
    let (mut tx, caller, place) = reach::write_change(services, caller, &place).await?;
    let project = place.project.record.project.id;
    removal::check_is_out_of_git(&mut *tx, project, &place.environment, Some(&resource)).await?;
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
    check_new_repository(&mut *tx, &place, &resource, "source").await?;
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
        preview: Some(difference.text),
    };
    let promotion = queue::request(services, &mut *tx, &place.project, &resource, request).await?;
    if new.creates_file {
        tx.may_create_file(promotion.id).await?;
    }
    // What the source published while this was being decided reached only those who followed it then.
    if let (Source::Promote { from }, Binding::TrackLatest) = (&resource.source, &resource.binding) {
        let published = tx.declared_after(place.project.record.project.id, began).await?;
        let source = tx.resource(*from).await?.filter(|s| published.contains(&s.id));
        if let Some((source, image)) = source.and_then(|s| s.desired.clone().map(|image| (s, image))) {
            queue::follow(services, &mut *tx, &place.project, &source, &image).await?;
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
            queue::request(services, &mut *tx, &place.project, &resource, request).await?;
        }
    }
    tx.commit().await?;
    services.wrote();
    services.connections_changed();
    Ok(promotion.id)
}

/// Refuses, in this field, a resource whose images would be copied to where those of another repository are, or that would count a tag which
/// Waybill sets.
pub(super) async fn check_new_repository(
    tx: &mut dyn Tx,
    place: &EnvironmentPlace,
    new: &Resource,
    field: &str,
) -> Result<(), AppError> {
    let clusters = &place.project.clusters;
    let is_copied = sources::mirror_of(&place.environment, clusters).is_some();
    if !is_copied && tx.tagged_environments().await?.is_empty() {
        return Ok(());
    }
    let (environments, mut resources) = sources::all_of_workspace(tx, place.project.workspace.id).await?;
    resources.retain(|known| known.id != new.id);
    resources.push(new.clone());
    // What other projects have is not told to who may not know of them.
    let here = |resource: &&Resource| place.project.environments.iter().any(|e| e.id == resource.environment);
    let own: Vec<Resource> = resources.iter().filter(here).cloned().collect();
    let why = if sources::tags_clash(&environments, clusters, &resources).is_some() {
        match sources::tags_clash(&environments, clusters, &own) {
            Some(own) => own.why,
            None => format!(
                "Another project of this workspace has tags in the repository that {} follows, or runs images of it. Choose another rule for its tags, or ask an administrator.",
                new.name
            ),
        }
    } else if let Some(collision) = sources::collision(&environments, clusters, &resources) {
        match sources::collision(&environments, clusters, &own) {
            Some(own) => own.to_string(),
            None => format!(
                "Images of another repository are copied to {} already. Use {{path}} in place of {{name}} in its mirror, or copy one of them elsewhere.",
                collision.target
            ),
        }
    } else {
        return Ok(());
    };
    Err(FieldErrors::one(field, why).into())
}
