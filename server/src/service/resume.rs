//! *Resume*: a resource that a person held follows its source again, and catches up.

use super::{Caller, Services, request::Request};
use crate::store::NewEvent;
use app::{backend::At, error::AppError};
use domain::{
    event::{Happened, Subject},
    id::PromotionId,
    promotion::{Origin, Purpose},
    resource::{Binding, Source},
};

impl Services {
    /// Lifts the hold. Returns the promotion that catches up with the source; `None` when there is nothing to catch up with.
    ///
    /// # Errors
    /// When nothing holds it, or the caller may not.
    pub async fn resume(&self, caller: &Caller, at: &At, resource: &str) -> Result<Option<PromotionId>, AppError> {
        let (place, resource) = self.resource_to_change(caller, at, resource).await?;
        let mut tx = self.store.write().await?;
        let mut resource = self.again(&mut *tx, &resource).await?;
        if resource.hold.is_none() {
            return Err(AppError::Conflict(format!(
                "Nothing holds {}/{}: somebody resumed it already.",
                place.environment.name, resource.name
            )));
        }
        resource.binding = Binding::TrackLatest;
        resource.hold = None;
        tx.update_resource(&resource).await?;
        tx.set_hold(resource.id, None).await?;
        let event = NewEvent {
            workspace: place.project.workspace.id,
            subject: Subject::resource(place.project.record.project.id, &resource),
            actor: caller.actor.clone(),
            happened: Happened::Resumed,
        };
        tx.append_event(&event, self.now()).await?;

        let (image, origin, purpose) = match &resource.source {
            Source::Promote { from } => {
                let source = tx.resource(*from).await?;
                let origin = source.as_ref().and_then(|source| {
                    let environment = place.project.environments.iter().find(|e| e.id == source.environment)?;
                    Some(Origin {
                        environment: environment.name.clone(),
                        resource: source.name.clone(),
                    })
                });
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
        let has_it = |digest| {
            open.is_empty()
                && resource
                    .desired
                    .as_ref()
                    .is_some_and(|desired| desired.digest == digest)
        };
        let promotion = match image {
            Some(image) if !has_it(image.digest.clone()) => {
                let request = Request {
                    purpose,
                    actor: caller.actor.clone(),
                    origin,
                    image,
                    creates: false,
                    preview: None,
                };
                Some(self.request(&mut *tx, &place.project, &resource, request).await?.id)
            }
            _ => None,
        };
        tx.commit().await?;
        self.wrote();
        Ok(promotion)
    }
}
