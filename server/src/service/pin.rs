//! *Pin to digest*: a person says which digest a resource stays on.

use super::{Caller, Services, place::ProjectPlace, request::Request, unrecorded};
use crate::store::{NewEvent, Tx};
use app::{backend::At, error::AppError};
use domain::{
    artifact::{Digest, ExactImage},
    draft::check_digest,
    event::{Happened, Subject},
    field::FieldErrors,
    id::PromotionId,
    promotion::{Origin, Promotion, Purpose},
    resource::{Binding, HoldCause, Resource, Source},
};

impl Services {
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
        self.edit_pin_making_file(caller, at, resource, digest, false).await
    }

    /// The same; with `create_file` the values file is made, where there is none: a person said so.
    ///
    /// # Errors
    /// As [`Services::edit_pin`].
    pub(crate) async fn edit_pin_making_file(
        &self,
        caller: &Caller,
        at: &At,
        resource: &str,
        digest: &str,
        create_file: bool,
    ) -> Result<PromotionId, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        let (image, origin) = self
            .image_to_pin(&place.project, &resource, digest)
            .await
            .map_err(unrecorded)?;
        let preview = self.change_of(&place, &resource, &image, create_file).await?;
        let (mut tx, caller, place) = self.write_change(caller, &place).await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        if resource.pin().is_none() {
            self.hold(&mut *tx, &caller, &place.project, &mut resource, HoldCause::Pinned)
                .await?;
        }
        self.move_pin(&mut *tx, &caller, &place.project, &mut resource, &image.digest)
            .await?;
        let request = Request {
            purpose: Purpose::Pin,
            actor: caller.actor.clone(),
            origin,
            image,
            creates: false,
            preview,
        };
        let promotion = self.request(&mut *tx, &place.project, &resource, request).await?;
        if create_file {
            tx.may_create_file(promotion.id).await?;
        }
        tx.commit().await?;
        self.wrote();
        Ok(promotion.id)
    }

    /// The image that a resource would be pinned to, and where it comes from when it is promoted.
    pub(super) async fn image_to_pin(
        &self,
        place: &ProjectPlace,
        resource: &Resource,
        digest: &str,
    ) -> Result<(ExactImage, Option<Origin>), AppError> {
        let digest = check_digest(digest).map_err(|why| FieldErrors::one("digest", why))?;
        let (repository, origin) = match &resource.source {
            Source::Image { repository, .. } => (repository.clone(), None),
            Source::Promote { from } => {
                let (repository, origin) = self.source_repository(place, *from).await?;
                (repository, Some(origin))
            }
        };
        Ok((self.pinned_image(place, &repository, &digest).await?, origin))
    }

    /// After a promotion that was refused or withdrawn: a resource that was pinned to its image stays pinned, to what it runs.
    pub(crate) async fn pin_to_what_runs(
        &self,
        tx: &mut dyn Tx,
        caller: &Caller,
        place: &ProjectPlace,
        ended: &Promotion,
    ) -> Result<(), AppError> {
        let Some(mut resource) = tx.resource(ended.resource).await? else {
            return Ok(());
        };
        match &resource.desired {
            Some(desired) if resource.pin() == Some(&ended.image.digest) => {
                let digest = desired.digest.clone();
                self.move_pin(tx, caller, place, &mut resource, &digest).await
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn move_pin(
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
            subject: Subject::resource(place.record.project.id, resource),
            actor: caller.actor.clone(),
            happened: Happened::PinChanged { to: digest.clone() },
        };
        tx.append_event(&event, self.now()).await?;
        Ok(())
    }
}
