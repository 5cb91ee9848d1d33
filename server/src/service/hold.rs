//! *Hold* and *Resume*: what a person chose stays until a person lets the resource follow its source again; then it catches up.

use super::{Caller, Services, place::ProjectPlace, request::Request};
use crate::store::{NewEvent, Tx};
use app::{backend::At, error::AppError};
use domain::{
    event::{Happened, Subject},
    id::PromotionId,
    promotion::Purpose,
    resource::{Binding, Hold, HoldCause, Resource, Source},
};

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
        let at = self.now();
        let hold = Hold {
            cause,
            by: caller.actor.clone(),
            at,
        };
        tx.set_hold(resource.id, Some(&hold)).await?;
        resource.hold = Some(hold);
        let event = NewEvent {
            workspace: place.workspace.id,
            subject: Subject::resource(place.record.project.id, resource),
            actor: caller.actor.clone(),
            happened: Happened::Held { cause },
        };
        tx.append_event(&event, at).await?;
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

    /// Lifts the hold. Returns the promotion that catches up with the source; `None` when there is nothing to catch up with.
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
        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        if resource.hold.is_none() {
            return Err(AppError::Conflict(format!(
                "Nothing holds {}/{}: somebody resumed it already.",
                place.environment.name, resource.name
            )));
        }
        resource.binding = Binding::TrackLatest;
        tx.update_resource(&resource).await?;
        self.lift(&mut *tx, &caller, &place.project, &mut resource).await?;

        let (image, origin, purpose) = match &resource.source {
            Source::Promote { from } => {
                let source = tx.resource(*from).await?;
                let origin = source.as_ref().and_then(|source| place.project.origin(source));
                (source.and_then(|source| source.desired), origin, Purpose::Promote)
            }
            Source::Image { repository } => {
                let newest = tx.recent_artifacts(place.project.workspace.id, repository, 1).await?;
                (
                    newest.into_iter().next().map(|artifact| artifact.image),
                    None,
                    Purpose::Deploy,
                )
            }
        };
        let open = tx.open_promotions(resource.id).await?;
        let has_it = |digest| open.is_empty() && resource.declares(digest);
        let promotion = match image {
            Some(image) if !has_it(&image.digest) => {
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
