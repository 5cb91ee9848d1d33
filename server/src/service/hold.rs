//! *Hold* and *Resume*: what a person chose stays until a person lets the resource follow its source again; then it catches up.

use super::{
    Caller, Services,
    artifact::newest_that_counts,
    follow::{course, is_withdrawn, runs_there},
    place::ProjectPlace,
    request::Request,
    rollback::that_ran,
    tag_order::{TagCounts, WhatCounts},
};
use crate::{
    adapters::git::GitError,
    store::{NewEvent, Tx},
};
use app::{backend::At, error::AppError};
use domain::{
    event::{Happened, Subject},
    follow::Course,
    id::PromotionId,
    promotion::{Actor, Purpose},
    resource::{Binding, Hold, HoldCause, Outside, Resource, Source},
};

/// Writes a hold, with its event.
async fn put(tx: &mut dyn Tx, place: &ProjectPlace, resource: &mut Resource, hold: Hold) -> Result<(), AppError> {
    tx.set_hold(resource.id, Some(&hold)).await?;
    let event = NewEvent {
        workspace: place.workspace.id,
        subject: Subject::resource(place.record.project.id, resource),
        actor: hold.by.clone(),
        happened: Happened::Held {
            cause: hold.cause,
            outside: hold.outside.clone(),
        },
    };
    tx.append_event(&event, hold.at).await?;
    resource.hold = Some(hold);
    Ok(())
}

impl Services {
    /// Puts a hold on a resource that tracks its source; one that is there already stays as it is.
    pub(crate) async fn hold(
        &self,
        tx: &mut dyn Tx,
        caller: &Caller,
        place: &ProjectPlace,
        resource: &mut Resource,
        cause: HoldCause,
    ) -> Result<(), AppError> {
        if resource.hold.is_some() {
            return Ok(());
        }
        let hold = Hold {
            cause,
            by: caller.actor.clone(),
            at: self.now(),
            outside: None,
            renamed: None,
        };
        put(tx, place, resource, hold).await
    }

    /// Somebody changed a resource in Git, past Waybill: what they did stays, and what automation was about to do is withdrawn.
    pub(crate) async fn hold_for_git(
        &self,
        tx: &mut dyn Tx,
        place: &ProjectPlace,
        resource: &mut Resource,
        cause: HoldCause,
        outside: Option<Outside>,
        renamed: Option<String>,
    ) -> Result<(), AppError> {
        let hold = Hold {
            cause,
            by: Actor::Waybill,
            at: self.now(),
            outside,
            renamed,
        };
        let why = format!("It was {}.", hold.words(resource.desired.as_ref()));
        put(tx, place, resource, hold).await?;
        for open in tx.open_promotions(resource.id).await? {
            if is_withdrawn(&open) {
                self.withdraw(tx, open, &why).await?;
            }
        }
        Ok(())
    }

    /// Lifts the hold of a resource.
    pub(crate) async fn lift(
        &self,
        tx: &mut dyn Tx,
        caller: &Caller,
        place: &ProjectPlace,
        resource: &mut Resource,
    ) -> Result<(), AppError> {
        tx.set_hold(resource.id, None).await?;
        resource.hold = None;
        let event = NewEvent {
            workspace: place.workspace.id,
            subject: Subject::resource(place.record.project.id, resource),
            actor: caller.actor.clone(),
            happened: Happened::Resumed,
        };
        tx.append_event(&event, self.now()).await?;
        Ok(())
    }

    /// Lifts the hold. Returns the promotion that catches up with the source; `None` when there is nothing newer to catch up with.
    ///
    /// # Errors
    /// When nothing holds it, or the caller may not.
    pub async fn resume(&self, caller: &Caller, at: &At, resource: &str) -> Result<Option<PromotionId>, AppError> {
        self.resume_making_file(caller, at, resource, false).await
    }

    /// The same; with `create_file` the promotion may make the values file, where there is none: a person said so.
    ///
    /// # Errors
    /// As [`Services::resume`].
    pub(crate) async fn resume_making_file(
        &self,
        caller: &Caller,
        at: &At,
        resource: &str,
        create_file: bool,
    ) -> Result<Option<PromotionId>, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        let lacks_file = resource
            .hold
            .as_ref()
            .is_some_and(|hold| hold.cause == HoldCause::NoFile)
            && !create_file;
        if lacks_file && self.lacks_file(&place.project, &place.environment, true).await {
            let path = place.project.record.project.values_path(&place.environment.key);
            return Err(AppError::Conflict(GitError::NoFile { path }.to_string()));
        }
        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        if resource.hold.is_none() {
            return Err(AppError::Conflict(format!(
                "Nothing holds {}/{}: somebody resumed it already.",
                place.environment.name, resource.name
            )));
        }
        let was_removed = resource.desired.is_none()
            && resource
                .hold
                .as_ref()
                .is_some_and(|hold| hold.cause == HoldCause::RemovedFromGit);
        resource.binding = Binding::TrackLatest;
        tx.update_resource(&resource).await?;
        self.lift(&mut *tx, &caller, &place.project, &mut resource).await?;

        let (image, origin, purpose) = match &resource.source {
            Source::Promote { from } => {
                let source = tx.resource(*from).await?;
                let origin = source.as_ref().and_then(|source| place.project.origin(source));
                (source.and_then(|source| source.desired), origin, Purpose::Promote)
            }
            Source::Image { repository, tags } => {
                let what = WhatCounts::new(tags, place.project.platforms(place.environment.id));
                let newest = newest_that_counts(&mut *tx, place.project.workspace.id, repository, &what).await?;
                (newest, None, Purpose::Deploy)
            }
        };
        let tags = TagCounts::of(&tx.order_of(resource.id).await?);
        // What was removed is created again as it ran last, or as its source runs now if that is newer.
        let ran = match was_removed {
            true => {
                let history = tx.promotions_of(resource.id, 1).await?;
                that_ran(&history).next().cloned()
            }
            false => None,
        };
        let image = match (ran, image) {
            (Some(ran), Some(image)) => {
                let leads = course(&mut *tx, place.project.workspace.id, &tags, Some(&ran), &image).await?;
                Some(if leads == Course::Newer { image } else { ran })
            }
            (ran, image) => image.or(ran),
        };
        let open = tx.open_promotions(resource.id).await?;
        // Compared with what is on its way, where something is: a rollback that was just asked for is caught up with, too.
        let heads_for = open.first().map(|open| &open.image).or(resource.desired.as_ref());
        let leads = match &image {
            Some(image) => course(&mut *tx, place.project.workspace.id, &tags, heads_for, image).await?,
            None => Course::Same,
        };
        let image = match image {
            Some(image) if runs_there(&mut *tx, &place.project, place.environment.id, &image).await? => Some(image),
            _ => None,
        };
        let promotion = match image {
            Some(image) if leads == Course::Newer => {
                let request = Request {
                    purpose,
                    actor: caller.actor.clone(),
                    origin,
                    image,
                    creates: false,
                    preview: None,
                };
                let started = self.request(&mut *tx, &place.project, &resource, request).await?.id;
                if create_file {
                    tx.may_create_file(started).await?;
                }
                Some(started)
            }
            _ => None,
        };
        tx.commit().await?;
        self.wrote();
        Ok(promotion)
    }
}
